"""Few steps on a stiff target: narrow data, and a run almost to them, where the score is steep.

There a step's error is not small, and what code does besides its formula shows: a clamp, smaller
steps of its own, another branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from analytic_models.probing.checks import Check, apart
from analytic_models.probing.law import Law, output_law
from analytic_models.probing.reference import subject_for
from analytic_models.probing.running import Array, Trouble
from analytic_models.probing.stability import LONGEST, largest_step
from analytic_models.probing.subject import Subject
from analytic_models.targets import Gaussian, marginal
from splitting_analysis.catalogue import samplers
from splitting_analysis.families import fixed_target
from splitting_analysis.processes import Langevin, Process
from splitting_analysis.schemes import Scheme

STIFF = "on a stiff target, in few steps, its law is the claimed word's"
NARROW = Gaussian(np.array([1e-3, 1e-2, 0.1]), np.array([0.2, 0.0, -0.3]))
ENDS = 0.1, 0.98
"""Parts of the time span between which it runs."""
FEW = (2, 3, 5)
COUNTS = (2, 3, 4, 5, 6, 8, 11, 16, 23, 32, 45)
TOO_WIDE = 2.0
"""Times the exact deviation, beyond which a run is said to explode."""
CLOSE = 1e-3
"""Parts of the largest entry, by which two laws may differ: times or tables in float32 are right
code, and what this check is for changes a law altogether."""
REFERENCES = ("RSE", "EM", "Euler")


def _grid(process: Process, n: int) -> tuple[float, ...]:
    first, last = (float(process.T) * part for part in ENDS)
    return tuple(first + (last - first) * i / n for i in range(n + 1))


def stiff(subject: Subject, claimed: Subject, process: Process) -> list[Check]:
    """The check; none of a fixed target, where long runs show stability, or on its own grid."""
    if fixed_target(process) or subject.adapted:
        return []
    for n in FEW:
        times = _grid(process, n)
        try:
            theirs = output_law(claimed, process, times, NARROW)
        except (Trouble, ArithmeticError):  # steps too long for the word itself
            continue
        try:
            ours = output_law(subject, process, times, NARROW)
        except Trouble as trouble:
            if trouble.late:
                raise
            where = f"a run of {n} steps on data of variance {NARROW.variances[0]:g} and more"
            return [Check(STIFF, "fail", "a run, as the claimed word's", trouble.seen, where)]
        off, told, wanted = furthest(ours, theirs)
        if off > CLOSE:
            where = f"runs of {n} steps on data of variance {NARROW.variances[0]:g} to 0.1"
            return [Check(STIFF, "fail", wanted, told, where)]
    return [Check(STIFF, "pass")]


def furthest(ours: Law, theirs: Law) -> tuple[float, str, str]:
    """By how much the laws differ, in parts of their size, and what shows it where they do most."""
    size = np.max(np.abs(theirs.covariance), axis=(1, 2)) + np.max(theirs.mean**2, axis=1)
    gap = np.max(np.abs(ours.covariance - theirs.covariance), axis=(1, 2)) / size
    gap += np.max(np.abs(ours.mean - theirs.mean), axis=1) / np.sqrt(size)
    mode = int(np.argmax(gap))
    return float(gap[mode]), *_told(ours, theirs, mode)


def _told(ours: Law, theirs: Law, mode: int) -> tuple[str, str]:
    """What is seen and what is expected of a mode: its variance, or its mean where that is off."""
    seen, wanted = float(ours.covariance[mode, 0, 0]), float(theirs.covariance[mode, 0, 0])
    name = "variance"
    if abs(seen - wanted) <= CLOSE * abs(wanted):
        name, seen, wanted = "mean", float(ours.mean[mode, 0]), float(theirs.mean[mode, 0])
    return f"{name} {apart(seen, wanted)}", f"{name} {apart(wanted, seen)}"


def needed(subject: Subject, process: Process) -> int | None:
    """Equal steps from which on no run explodes, of those in COUNTS; None if all do."""
    _, rows = marginal(process, NARROW, process.T - _grid(process, 1)[-1])
    exact = np.array([np.broadcast_to(rows[i][i], 3) for i in range(len(rows))]).T
    for n, after in zip(reversed(COUNTS), (None, *reversed(COUNTS)), strict=False):
        if _wide(subject, process, n, exact):
            return after
    return COUNTS[0]


def _wide(subject: Subject, process: Process, n: int, exact: Array) -> bool:
    try:
        found = output_law(subject, process, _grid(process, n), NARROW)
    except Trouble as trouble:
        if trouble.late:
            raise
        return True
    return bool(np.any(np.einsum("dii->di", found.covariance) > TOO_WIDE**2 * exact))


def explodes(subject: Subject, process: Process, stochastic: bool, affine: bool) -> str:
    """In how many steps it does, beside samplers that everybody knows; "" where it is not seen."""
    if subject.adapted or not affine:
        return ""
    if fixed_target(process):
        return _of_fixed(subject, process, stochastic)
    dynamics = "sde" if stochastic else "ode"
    known = [s for s in samplers(process.model_name) if s.dynamics == dynamics]
    beside = [f"{s.name} {_said(_known(s, process))}" for s in known if s.name in REFERENCES]
    return _sentence(needed(subject, process), beside)


@lru_cache(maxsize=64)
def _known(scheme: Scheme, process: Process) -> int | None:
    return needed(subject_for(scheme), process)


def _said(steps: int | None) -> str:
    if steps is None:
        return f"more than {COUNTS[-1]}"
    return f"{steps} or fewer" if steps == COUNTS[0] else f"{steps}"


def _sentence(steps: int | None, beside: Sequence[str]) -> str:
    return (
        f"on a stiff target (data of variance {NARROW.variances[0]:g} to 0.1, equal steps to "
        f"{ENDS[1]:g} T) it takes {_said(steps)} steps to stay within {TOO_WIDE:g} times the exact "
        "deviation, as seen" + (f" ({', '.join(beside)})" if beside else "")
    )


def _of_fixed(subject: Subject, process: Langevin, stochastic: bool) -> str:
    own = largest_step(subject, process)
    known = "BAOAB" if stochastic else "VV"
    beside = next((s for s in samplers(process.model_name) if s.name == known), None)
    other = f" ({known} {largest_step(subject_for(beside), process):.3g})" if beside else ""
    least = "at least " if own >= LONGEST else ""
    return f"for the force -q it is stable up to steps of {least}{own:.3g}, as seen{other}"
