"""Is a sampler what it is said to be? Everything that can be found out from outside, judged."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from analytic_models.probing.agreement import agreement, both
from analytic_models.probing.checks import Check, Validation
from analytic_models.probing.claims import Claims, as_claims, model_for
from analytic_models.probing.comparison import Comparison
from analytic_models.probing.deduce import recognised
from analytic_models.probing.limits import limit_in_words
from analytic_models.probing.manners import Manners, manners
from analytic_models.probing.orders import (
    NEAR,
    Grid,
    Observed,
    evenly,
    gaussian_orders,
    mixture_orders,
    ramped,
    skewed_orders,
)
from analytic_models.probing.reference import subject_for
from analytic_models.probing.running import Late, Trouble, budget
from analytic_models.probing.signature import Signature, probe, rehearse
from analytic_models.probing.stability import stability, transport_note
from analytic_models.probing.statistics import noisy_law
from analytic_models.probing.subject import Subject, subject_of
from analytic_models.probing.tuning import tuned
from splitting_analysis.processes import PSLD, VE, VP, Flow, Langevin, Process
from splitting_analysis.program import Evaluate, Program
from splitting_analysis.schemes import Scheme

PROCESSES: dict[str, Process] = {
    "psld": PSLD(Gamma=0.3, nu=2.1, beta_min=2.0, beta_max=6.0, kappa=0.3),
    "vp": VP(beta_min=0.1, beta_max=6.0),
    "ve": VE(T=10.0),
    "flow": Flow(),
    "langevin": Langevin(gamma=0.7, T=3.0),
}
"""On what samplers are tried: no parameter is 0 or 1, and none is stiff."""
AFFINE = "a step is an affine map of state, scores and normals, coordinate by coordinate"
STEPS = 6
"""Of the run whose coefficients are read off."""
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
    model     psld, vp, ve, flow or langevin; else that of the claimed name
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
    if process is not None or subject.process is not None:
        model = (process or subject.process or PROCESSES["psld"]).model_name
    claimed = claims.scheme if isinstance(claims, Claims) else claims
    if model is None and isinstance(claimed, Scheme):
        model = claimed.model_name
    model = (model or model_for(str(claims))).strip().lower()
    if model not in PROCESSES:
        raise ValueError(f"no model {model!r}; there are: {', '.join(PROCESSES)}")
    process = process or subject.process or PROCESSES[model]
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
    return Check(
        "it does what a sampler does", "fail", trouble.expected, trouble.seen, trouble.where
    )


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
        stochastic = bool(found.first.draws) or found.own_noise
        known = dynamics or ("sde" if stochastic else None)
        claimed = as_claims(claims, self.process.model_name, dynamics)
        if claimed.scheme is None or _open(claims, claimed.scheme, self.process):
            claimed = _as_seen(claims, self.process, known, claimed)
        if found.own_noise:
            self.say("its law, from samples")
            self.add(*noisy_law(self.subject, self.process, claimed.scheme, self.lambda_s))
            return
        self.say("its coefficients")
        seen = self.coefficients(found, claimed)
        if seen is not None:
            self.against(claimed, seen)
        elif stochastic:
            self.say("its law, from samples")
            self.add(*noisy_law(self.subject, self.process, claimed.scheme, self.lambda_s))
            return
        self.say("its order")
        self.order(claimed, stochastic, seen is not None)
        if isinstance(self.process, Langevin) and stochastic and seen is not None:
            self.say("transport")
            self.notes += filter(None, [transport_note(self.subject, self.process)])

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
        self.add(Check(AFFINE, "pass"))
        self.single = seen.single or found.first.single
        if self.single:
            self.notes.append("it computes in float32: errors end in round-off at about 1e-6")
        return seen

    def against(self, claimed: Claims, seen: Signature) -> None:
        scheme = claimed.scheme
        if claimed.evaluations is not None:
            self.add(_counted(claimed.evaluations, seen, self.more_at_the_start(seen)))
        if scheme is None:
            self.add(_in_range(seen, self.process, self.times, self.subject))
            self.deduced = recognised(seen, self.process, self.times) or tuned(
                seen, self.process, self.times, None
            )
            return
        program = _as_step(scheme) if self.subject.kind == "step" else scheme.program
        reference = subject_for(scheme, program, self.lambda_s)
        try:
            told = probe(reference, self.process, self.times)
        except Trouble as trouble:
            raise ValueError(
                f"the claimed {scheme.name} does not run here: {trouble.seen}"
            ) from None
        checks = agreement(Comparison(scheme, program, self.process, self.times, seen, told))
        self.add(*self.in_one_step(scheme, program, reference, checks))
        if all(check.verdict == "pass" for check in checks):
            self.deduced = str(scheme)
            return
        self.say("which word it is")
        self.deduced = (
            recognised(seen, self.process, self.times)
            or tuned(seen, self.process, self.times, scheme)
            or recognised(seen, self.process, self.times, scheme)
        )
        if isinstance(self.process, Langevin):
            self.say("its largest stable step")
            self.add(stability(self.subject, reference, self.process))

    def in_one_step(
        self, scheme: Scheme, program: Program, reference: Subject, checks: list[Check]
    ) -> list[Check]:
        """For langevin, whose score does not see the momentum: what one step shows by itself."""
        if not isinstance(self.process, Langevin) or checks[0].verdict != "pass":
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
        return both(*found, checks)

    def more_at_the_start(self, seen: Signature) -> int | None:
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
        return extra if not rest and extra == len(seen.calls) - STEPS * each else None

    def order(self, claimed: Claims, stochastic: bool, affine: bool) -> None:
        """Of code that is not affine the Gaussian law is not known: a mixture's points judge it."""
        grid = self.subject.grid or evenly(self.process)
        first = (
            gaussian_orders(self.subject, self.process, grid, stochastic, self.single)
            if affine
            else mixture_orders(self.subject, self.process, grid, self.single)
        )
        self.add(self.consistent(first, claimed, stochastic))
        scheme = claimed.scheme
        if scheme is not None and self.deduced == str(scheme) and claimed.order is None:
            text = "that of the word, whose coefficients it has"
            order = scheme.order
            self.add(Check("its order is the claimed word's", "pass", seen=f"{order or text}"))
            return
        expected = claimed.order or (scheme.order if scheme else None)
        if expected is None:
            return
        seen = [first, self.beyond_linear(grid, stochastic) if affine else None]
        lowest, start = _lowest(seen), ""
        slow = lowest is None or lowest < expected - NEAR
        if affine and slow and expected > 1 and self.subject.kind == "sample" and self.subject.grid is None:
            gentle = ramped(self.process)
            again = [
                gaussian_orders(self.subject, self.process, gentle, stochastic, self.single),
                self.beyond_linear(gentle, stochastic),
            ]
            other = _lowest(again)
            if other is not None and abs(other - expected) <= NEAR:
                start = (
                    "; that is the formula's, in a run with short first steps: with steps of one "
                    f"length the start leaves {_number(lowest)}"
                )
                seen, lowest = again, other
        self.add(_order(expected, seen, lowest, start))

    def beyond_linear(self, grid: Grid, stochastic: bool) -> Observed | None:
        try:
            if not stochastic:
                found = mixture_orders(self.subject, self.process, grid, self.single)
                if found.order is not None:
                    return found
            return skewed_orders(self.subject, self.process, grid)
        except Late:
            raise
        except Trouble:
            return None

    def consistent(self, found: Observed, claimed: Claims, stochastic: bool) -> Check:
        name = "it converges to the exact law"
        if self.lambda_s is not None and claimed.scheme is not None:
            return Check(name, "pass", seen=f"not asked of lambda_s = {self.lambda_s}")
        if not found.tends_elsewhere:
            return Check(name, "pass")
        errors = found.errors[-1]
        worst = int(np.argmax(np.abs(errors)))
        limit = _extrapolated(found, worst)
        what = found.names[worst] if found.names else "its worst component"
        if not found.names:
            tends = f"a sample tends to {limit:+.3g} beside the right one"
        elif what.startswith("cov") and _diagonal(what):
            tends = f"{what} tends to {1 + limit:.3g} times the right one"
        else:
            tends = f"{what} tends to {limit:+.3g} standard deviations beside the right one"
        if found.names:
            self.say("its limit")
            words = limit_in_words(self.subject, self.process, stochastic)
            tends += f"; {words}" if words else ""
        return Check(
            name,
            "fail",
            "errors that fall to nothing as steps are refined",
            tends,
            f"runs of {found.counts[0]} to {found.counts[-1]} steps",
        )


def _diagonal(name: str) -> bool:
    inside = name[name.index("(") + 1 : name.index(")")].split(", ")
    return inside[0] == inside[1]


def _extrapolated(found: Observed, component: int) -> float:
    """The limit of an error, its first power of the step removed."""
    (n1, n2), (e1, e2) = found.counts[-2:], found.errors[-2:, component]
    return float(e2 + (e2 - e1) * n1 / (n2 - n1))


def _lowest(seen: Sequence[Observed | None]) -> float | None:
    return min((o.order for o in seen if o is not None and o.order is not None), default=None)


def _number(value: float | None) -> str:
    return "nothing that settles" if value is None else f"{value:.3f}"


def _order(
    expected: int, seen: Sequence[Observed | None], lowest: float | None, start: str
) -> Check:
    name = f"its order is {expected}: {expected} holds, {expected + 1} does not"
    shown = ", ".join(
        f"{_number(o.order)} on {o.target}" + (" (ending in round-off)" if o.floor else "")
        for o in seen
        if o is not None
    )
    where = "global errors over runs of more and more steps"
    if lowest is None:
        return Check(name, "inconclusive", f"order {expected}", shown or "no table", where)
    verdict = "pass" if abs(lowest - expected) <= NEAR else "fail"
    return Check(name, verdict, f"order {expected}", shown + start, where)  # type: ignore[arg-type]


def _counted(claimed: int, seen: Signature, at_start: int | None) -> Check:
    name = "a step makes the claimed number of evaluations"
    extra = len(seen.calls) - claimed * seen.steps
    text = f"{len(seen.calls)} in {seen.steps} steps"
    if extra in (0, 1):
        return Check(name, "pass", seen=text)
    if extra > 0 and extra == at_start:
        return Check(name, "pass", seen=f"{text}: {extra} of them to start, however long the run")
    return Check(name, "fail", f"{claimed} per step", text, "the loop")


def _in_range(seen: Signature, process: Process, times: Sequence[float], subject: Subject) -> Check:
    """Where no word says which times are right: every call lies inside its step or the run."""
    name = "every score is conditioned on a time inside its step"
    T, slack = float(process.T), 1e-6
    for number, call in enumerate(seen.calls):
        step = call.step if subject.kind == "step" else None
        low = T - (times[-1] if step is None else times[step + 1])
        high = T - (times[0] if step is None else times[step])
        if not low - slack * T <= call.tau <= high + slack * T:
            return Check(
                name,
                "fail",
                f"a forward time from {low:.6g} to {high:.6g}",
                f"tau = {call.tau:.6g}",
                f"score call {number + 1}" + ("" if step is None else f", step {step + 1}"),
            )
    return Check(name, "pass")


def _as_step(scheme: Scheme) -> Program:
    """A word that carries its score, as a step that has to evaluate it at its start."""
    own = scheme.program
    if not scheme.carries_score:
        return own
    return Program((Evaluate(Fraction(0)), *own.instructions))


def _open(claims: Any, scheme: Scheme, process: Process) -> bool:
    """Whether the claimed text is a word of the ODE and of the SDE alike."""
    return isinstance(claims, str) and scheme.model_name == process.model_name


def _as_seen(claims: Any, process: Process, dynamics: str | None, read: Claims) -> Claims:
    """The claim read for the dynamics that the code shows, where it can be."""
    if dynamics is None or read.scheme is None or read.scheme.dynamics == dynamics:
        return read
    try:
        return as_claims(claims, process.model_name, dynamics)
    except (ValueError, KeyError):
        return read
