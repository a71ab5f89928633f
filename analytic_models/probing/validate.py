"""Is a sampler what it is said to be? Everything that can be found out from outside, judged."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from analytic_models.probing.agreement import agreement, both
from analytic_models.probing.checks import Check, Validation
from analytic_models.probing.claimed_order import Asked
from analytic_models.probing.claims import Claims, as_claims, model_for
from analytic_models.probing.comparison import Comparison
from analytic_models.probing.deduce import next_to, recognised
from analytic_models.probing.elsewhere import located
from analytic_models.probing.limits import limit_in_words
from analytic_models.probing.manners import Manners, manners
from analytic_models.probing.many import many
from analytic_models.probing.orders import (
    Observed,
    evenly,
)
from analytic_models.probing.precision import precision
from analytic_models.probing.reference import subject_for
from analytic_models.probing.running import Late, Run, Trouble, budget
from analytic_models.probing.signature import PROBES, Signature, probe, rehearse, single_times
from analytic_models.probing.stability import stability, transport_note
from analytic_models.probing.statistics import noisy_law
from analytic_models.probing.stiff import explodes, stiff
from analytic_models.probing.subject import Subject, subject_of
from analytic_models.probing.tuning import tuned
from analytic_models.probing.verdicts import (
    CONVERGES,
    counted,
    elsewhere,
    in_range,
    order_name,
)
from splitting_analysis.catalogue import CATALOGUE, FURTHER
from splitting_analysis.families import fixed_target
from splitting_analysis.processes import PSLD, VE, VP, Flow, Langevin, Process, Respa
from splitting_analysis.program import Evaluate, Program
from splitting_analysis.schemes import Scheme

PROCESSES: dict[str, Process] = {
    "psld": PSLD(Gamma=0.3, nu=2.1, beta_min=2.0, beta_max=6.0, T=0.8, kappa=0.3),
    "vp": VP(beta_min=0.4, beta_max=6.0, T=1.25),
    "ve": VE(T=10.0),
    "flow": Flow(),
    "langevin": Langevin(gamma=0.7, T=3.0),
    "respa": Respa(gamma=0.7, T=3.0, fast=0.8),
}
"""On what samplers are tried: no parameter is 0 or 1 where it can be another, and none
is stiff.
"""
BROKEN = "it does what a sampler does"
"""The check that fails where code raises."""
AFFINE = "a step is an affine map of state, scores and normals, coordinate by coordinate"
STEPS = 7
"""Of the run whose coefficients are read off: odd, for which code may have a branch of its own."""
PROVED = frozenset((*CATALOGUE, *FURTHER))
"""Samplers whose claimed orders the tests of this package demand; a claim of a file is no proof."""
LONGEST = 50.0
"""Seconds that a validation may take."""
Say = Callable[[str], None]


def validate(
    sampler: Any,
    claims: Any,
    model: str | None = None,
    *,
    dynamics: str | None = None,
    lambda_s: Any = None,
    process: Process | None = None,
    say: Say = lambda _: None,
) -> Validation:
    """Whether a sampler is what it is claimed to be.

    sampler   a callable (see subject.py), a `Subject`, or a Scheme
    claims    a name ("ROBAB"), a word, "order=2", "evaluations=1", or several with commas
    model     psld, vp, ve, flow, langevin or respa; else that of the claimed name
    process   on which it is tried, in place of the model's in `PROCESSES`
    say       is told what is being looked at

    Raises ValueError for claims or a callable that cannot be read; whatever the code itself does is
    a verdict.
    """
    if isinstance(sampler, Scheme):
        subject = subject_for(sampler, lambda_s=lambda_s)
        model = model or sampler.model_name
    else:
        subject = subject_of(sampler)
    process = process or subject.process
    if process is not None:
        model = process.model_name
    claimed = claims.scheme if isinstance(claims, Claims) else claims
    if model is None and isinstance(claimed, Scheme):
        model = claimed.model_name
    model = (model or model_for(str(claims))).strip().lower()
    if model not in PROCESSES:
        raise ValueError(f"no model {model!r}; there are: {', '.join(PROCESSES)}")
    process = process or PROCESSES[model]
    as_claims(claims, model, dynamics)  # a claim that cannot be read is refused before any work
    times = _uneven(process) if subject.grid is None else tuple(subject.grid(STEPS))
    judge = _Judge(subject, process, times, lambda_s, say)
    try:
        with budget(LONGEST):
            judge.judge(claims, dynamics)
    except Late as late:
        judge.add(Check("it is judged in a minute", "inconclusive", late.expected, late.seen))
    except Trouble as trouble:
        judge.add(_broken(trouble))
    text = claims.text if isinstance(claims, Claims) else str(claims)
    return Validation(
        subject.name,
        model,
        text,
        tuple(judge.checks),
        judge.deduced,
        (*subject.notes, *judge.notes),
    )


def _uneven(process: Process) -> tuple[float, ...]:
    """A grid whose steps all differ: what goes with h shows as such."""
    T = float(process.T)
    return tuple(T * (0.1 + 0.8 * (i / STEPS) ** 1.2) for i in range(STEPS + 1))


def _broken(trouble: Trouble) -> Check:
    return Check(BROKEN, "fail", trouble.expected, trouble.seen, trouble.where)


class _Judge:
    """The checks in their order; a later one needs what an earlier one found."""

    def __init__(
        self, subject: Subject, process: Process, times: Sequence[float], lambda_s: Any, say: Say
    ) -> None:
        self.subject, self.process, self.times = subject, process, times
        self.lambda_s, self.say = lambda_s, say
        self.checks: list[Check] = []
        self.deduced, self.notes, self.single = "", list[str](), False

    def add(self, *checks: Check) -> None:
        self.checks += checks

    def judge(self, claims: Any, dynamics: str | None) -> None:
        self.say("running it")
        found = self.manners()
        self.add(*found.checks)
        if found.leaks:  # what comes next would follow from it
            return
        self.compare(found, claims, dynamics)
        where = located(self.subject, self.process, self.times)  # last: it may leave tensors behind
        if isinstance(where, Check):
            self.add(where)
        elif where:
            self.notes.append(where)

    def compare(self, found: Manners, claims: Any, dynamics: str | None) -> None:
        if found.repeats:
            self.say("its rounding")
            self.add(*precision(self.subject, self.process, self.times, found.first))
        stochastic = bool(found.first.draws) or found.own_noise
        known = dynamics or ("sde" if stochastic else None)
        claimed = as_claims(claims, self.process.model_name, dynamics)
        claimed = _as_seen(claims, self.process, known, claimed)
        self.evaluations(claimed, found.first, stochastic)
        if found.own_noise:
            self.from_samples(claimed)
            return
        self.say("its coefficients")
        seen = self.coefficients(found, claimed)
        if seen is not None:
            self.against(claimed, seen)
        elif stochastic:
            self.from_samples(claimed)
            return
        self.say("its order")
        self.order(claimed, stochastic, seen is not None)
        if fixed_target(self.process) and stochastic and seen is not None:
            self.say("transport")
            self.notes += filter(None, [transport_note(self.subject, self.process)])

    def from_samples(self, claimed: Claims) -> None:
        """All that is known of stochastic code which has no exact law: too little for an order."""
        self.say("its law, from samples")
        self.add(*noisy_law(self.subject, self.process, claimed.scheme, self.lambda_s))
        if claimed.order is not None:
            text = "its law from samples alone, and that does not show an order"
            name = order_name(claimed.order)
            self.add(Check(name, "inconclusive", f"order {claimed.order}", text, "its noise"))

    def manners(self) -> Manners:
        """With tensors where the code turns arrays down, if torch is there."""
        try:
            return manners(self.subject, self.process, self.times)
        except Trouble as trouble:
            if self.subject.torch or "torch" not in sys.modules or "Error" not in trouble.seen:
                raise
            self.subject = replace(self.subject, torch=True)
            try:
                return manners(self.subject, self.process, self.times)
            except Trouble:
                raise trouble from None

    def coefficients(self, found: Manners, claimed: Claims) -> Signature | None:
        """None where code is no affine map, which only a word claims that it is."""
        try:
            seen = probe(self.subject, self.process, self.times)
        except Late:
            raise
        except Trouble as trouble:
            if claimed.scheme is None:
                self.notes.append(
                    f"it has no coefficients to be read off, and is judged by its results alone: "
                    f"{trouble.seen}"
                )
            else:
                self.add(Check(AFFINE, "fail", trouble.expected, trouble.seen, trouble.where))
            return None
        states, normals = PROBES[-1]
        reach = f"looked at up to {states:g} in states and scores, {normals:g} in normals"
        self.add(Check(AFFINE, "pass", seen=reach))
        self.single = seen.single or found.first.single
        if self.single:
            rounded = single_times(found.first.taus, self.process, self.times)
            times_only = rounded and not found.first.single
            what = "its times are float32" if times_only else "it computes in float32"
            self.notes.append(f"{what}: errors end in round-off at about 1e-6")
        return seen

    def against(self, claimed: Claims, seen: Signature) -> None:
        scheme = claimed.scheme
        if scheme is None:
            self.deduced = self.known_word(seen, None)
            return
        # a step may keep its last score for the next one: then it makes the word's own calls
        keeps = len(seen.calls) == scheme.nfe * seen.steps + scheme.carries_score
        step = self.subject.kind == "step" and not keeps
        program = _as_step(scheme) if step else scheme.program
        reference = subject_for(scheme, program, self.lambda_s)
        try:
            told = probe(reference, self.process, self.times)
        except Trouble as trouble:
            raise ValueError(
                f"the claimed {scheme.name} does not run here: {trouble.seen}"
            ) from None
        checks = agreement(Comparison(scheme, program, self.process, self.times, seen, told))
        self.add(*self.in_one_step(scheme, program, reference, checks))
        if all(check.verdict == "pass" for check in checks[1:]):  # at most it evaluates in vain
            self.deduced = str(scheme)
            self.add(*stiff(self.subject, reference, self.process))
            self.add(*many(self.subject, reference, self.process))
            return
        self.notes += _known_of(scheme)
        self.say("which word it is")
        self.deduced = self.known_word(seen, scheme) or next_to(
            scheme, seen, self.process, self.times
        )
        if fixed_target(self.process):
            self.say("its largest stable step")
            self.add(stability(self.subject, reference, self.process))

    def known_word(self, seen: Signature, claimed: Scheme | None) -> str:
        """The sampler of the catalogue that it is, perhaps with a number of its own."""
        where = self.process, self.times
        return recognised(seen, *where) or tuned(seen, *where, claimed)

    def in_one_step(
        self, scheme: Scheme, program: Program, reference: Subject, checks: list[Check]
    ) -> list[Check]:
        """For a fixed target, whose force sees no momentum: what one step shows by itself."""
        if not fixed_target(self.process) or checks[0].verdict != "pass":
            return checks
        first, h = self.times[0], self.times[1] - self.times[0]
        found = []
        try:
            for length in (h, h / 4):
                times = (first, first + length)
                seen = probe(self.subject, self.process, times)
                told = probe(reference, self.process, times)
                found.append(Comparison(scheme, program, self.process, times, seen, told))
        except Trouble:
            return checks
        return both(found[0], found[1], checks)

    def evaluations(self, claimed: Claims, found: Run, stochastic: bool) -> None:
        """What can be said of the score's calls where no word is claimed."""
        if claimed.evaluations is not None:
            more = self.more_at_the_start(len(found.taus))
            self.add(counted(claimed.evaluations, len(found.taus), len(self.times) - 1, more))
        if claimed.scheme is None:
            self.add(in_range(found, self.process, self.times, stochastic))

    def more_at_the_start(self, calls: int) -> int | None:
        """Evaluations beyond a fixed number per step, None where their number is not that."""
        if self.subject.kind == "step":
            return None
        grid = self.subject.grid or evenly(self.process)
        try:
            counts = [
                len(rehearse(self.subject, self.process, grid(n)).taus)
                for n in (2 * STEPS, 3 * STEPS)
            ]
        except Late:
            raise
        except Trouble:
            return None
        each, rest = divmod(counts[1] - counts[0], STEPS)
        extra = counts[0] - 2 * STEPS * each
        return extra if not rest and extra == calls - STEPS * each else None

    def order(self, claimed: Claims, stochastic: bool, affine: bool) -> None:
        how = stochastic, affine, self.single, self.lambda_s, self.deduced
        asked = Asked(self.subject, self.process, *how)
        first = asked.first()
        self.add(self.consistent(first, claimed, stochastic))
        scheme = claimed.scheme
        same = scheme is not None and self.deduced == str(scheme) and claimed.order is None
        if scheme is not None and same and (scheme.order is None or scheme in PROVED):
            text = "that of the word, whose coefficients it has"
            self.add(
                Check("its order is the claimed word's", "pass", seen=f"{scheme.order or text}")
            )
            return
        expected = claimed.order or (scheme.order if scheme else None)
        if expected is None:
            return
        checks, notes = asked.judged(expected, first, scheme)
        self.add(*checks)
        if claimed.order is not None:
            notes.append(explodes(self.subject, self.process, stochastic, affine))
        self.notes += filter(None, notes)

    def consistent(self, found: Observed, claimed: Claims, stochastic: bool) -> Check:
        if self.lambda_s is not None and claimed.scheme is not None:
            return Check(CONVERGES, "pass", seen=f"not asked of lambda_s = {self.lambda_s}")
        if not found.tends_elsewhere:
            return Check(CONVERGES, "pass")
        self.say("its limit")
        words = limit_in_words(self.subject, self.process, stochastic) if found.names else ""
        return elsewhere(found, words)


def _known_of(scheme: Scheme) -> list[str]:
    """What is known of a claimed sampler that may be why other code is not it."""
    notes = [f"of {scheme.name}: {scheme.source.erratum}"] if scheme.source.erratum else []
    if scheme.churn is not None:
        notes.append(f"the claimed {scheme.name} first adds noise in each step (churn)")
    return notes


def _as_step(scheme: Scheme) -> Program:
    """A word that carries its score, as a step that has to evaluate it at its start."""
    own = scheme.program
    if not scheme.carries_score:
        return own
    return Program((Evaluate(Fraction(0)), *own.instructions))


def _as_seen(claims: Any, process: Process, dynamics: str | None, read: Claims) -> Claims:
    """The claim read for the dynamics that the code shows, where it can be."""
    if dynamics is None or read.scheme is None or read.scheme.dynamics == dynamics:
        return read
    try:
        return as_claims(claims, process.model_name, dynamics)
    except (ValueError, KeyError):
        return read
