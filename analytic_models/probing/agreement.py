"""A signature against that of the claimed word: calls, times, coefficients, noise, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from analytic_models.probing.checks import Check
from analytic_models.probing.deduce import token
from analytic_models.probing.segments import Difference, differences, segments
from analytic_models.probing.signature import Signature
from splitting_analysis.clocks import PositionOnly
from splitting_analysis.processes import Process
from splitting_analysis.program import Evaluate, Program
from splitting_analysis.schemes import Scheme

TIMES = "every score is conditioned on the claimed time"
MOVES = "state and scores are weighed as claimed"
NOISE = "the noise is as claimed"
LATER = (TIMES, MOVES, NOISE)
MOST_SHOWN = 3
SIMPLE = 12
"""Largest denominator of a ratio that is shown as a fraction."""


@dataclass(frozen=True)
class Comparison:
    """A claimed word and what was seen, on one grid."""

    scheme: Scheme
    program: Program
    process: Process
    times: Sequence[float]
    seen: Signature
    claimed: Signature


def agreement(c: Comparison) -> list[Check]:
    """The four checks of a word: evaluations, their times, coefficients, noise."""
    if c.seen.scores != c.claimed.scores:
        text = "not compared: it makes another number of evaluations"
        return [
            _evaluations(c),
            *(Check(name, "inconclusive", "as the claimed word", text) for name in LATER),
        ]
    found = differences(c.seen, c.claimed)
    moved = [d for d in found if d.kind in ("linear", "gain")]
    noisy = [d for d in found if d.kind in ("noise", "correlation")]
    return [_evaluations(c), _times(c), _moves(c, moved), _noise(c, noisy)]


def _evaluations(c: Comparison) -> Check:
    name = "the score is evaluated as often as claimed"
    steps = len(c.times) - 1
    seen, claimed = len(c.seen.calls), len(c.claimed.calls)
    ours, theirs = c.seen.scores, c.claimed.scores
    text = f"{seen} calls in {steps} steps"
    if ours == theirs and seen >= claimed:
        more = f", {seen - ours} of them where it had been called before" if seen > ours else ""
        return Check(name, "pass", seen=text + more)
    each = f"{c.scheme.nfe} per step" + (
        ", one more at the start" if c.scheme.carries_score else ""
    )
    return Check(name, "fail", f"{claimed} calls in {steps} steps ({each})", text, "the loop")


def _times(c: Comparison) -> Check:
    name = TIMES
    close = 1e-6 if c.seen.single else 1e-9
    pairs = list(zip(c.seen.distinct, c.claimed.distinct, strict=False))
    wrong = [
        k for k, (a, b) in enumerate(pairs) if abs(a.tau - b.tau) > close * (abs(b.tau) + 1e-3)
    ]
    if not wrong:
        return Check(name, "pass")
    k = wrong[0]
    a, b = pairs[k]
    step = _step_of(c, k)
    every = (
        "every step" if len(wrong) >= len(c.times) - 2 else f"{len(wrong)} of {len(pairs)} calls"
    )
    return Check(
        name,
        "fail",
        f"{_moment(c, step, b.tau)} (tau = {b.tau:.6g})",
        f"{_moment(c, step, a.tau)} (tau = {a.tau:.6g})",
        f"score call {_number_in_step(c, k)} of step {step + 1} ({every})",
    )


def _moves(c: Comparison, found: Sequence[Difference]) -> Check:
    name = MOVES
    if not found:
        return Check(name, "pass")
    first = found[0].segment
    here = [d for d in found if d.segment == first]
    here = sorted(here, key=lambda d: -abs(d.seen - d.claimed))[:MOST_SHOWN]
    return Check(
        name,
        "fail",
        "; ".join(f"{_label(c, d)} {d.claimed:.6g}" for d in here),
        "; ".join(f"{_label(c, d)} {d.seen:.6g}{_ratio(d)}" for d in here),
        _where(c, found),
    )


def _noise(c: Comparison, found: Sequence[Difference]) -> Check:
    name = NOISE
    if c.seen.draws and not c.claimed.draws:
        return Check(name, "fail", "no noise", f"{c.seen.draws} draws", "every step")
    if c.claimed.draws and not c.seen.draws:
        return Check(name, "fail", "noise in every step", "noise() is never called", "every step")
    if not found:
        return Check(name, "pass")
    d = found[0]
    if d.kind == "correlation":
        what = "covariance of the noise here with that of segment"
        text = f"{what} {d.score + 1}"
        return Check(
            name, "fail", f"{text}: {d.claimed:.6g}", f"{text}: {d.seen:.6g}", _where(c, found)
        )
    return Check(
        name,
        "fail",
        f"{_label(c, d)} {d.claimed:.6g}",
        f"{_label(c, d)} {d.seen:.6g}{_ratio(d)}{_power(c, d)}",
        _where(c, found),
    )


def _label(c: Comparison, d: Difference) -> str:
    parts = c.scheme.model.components
    row = parts[d.row]
    if d.kind == "linear":
        return f"{row} from {parts[d.column]}:"
    if d.kind == "noise":
        return (
            f"variance of the noise in {row}:" if d.row == d.column else "covariance of the noise:"
        )
    call = min(d.segment - 1, c.seen.scores - 1)
    back = call - d.score
    if c.process.model_name in ("psld", "langevin"):
        names = parts if c.process.model_name == "psld" else parts[1:]
        what = f"score_{names[d.column]}"
    else:
        what = "data prediction"
    which = {0: "the last", 1: "the one before the last"}.get(back, f"{back} evaluations back")
    return f"{row} from {what}, {which}:"


def _ratio(d: Difference) -> str:
    if not d.claimed or abs(d.claimed) < 1e-9 * abs(d.seen):
        return " (claimed: none)"
    ratio = d.seen / d.claimed
    if abs(d.seen) < 1e-12:
        return " (missing)"
    nice = Fraction(ratio).limit_denominator(SIMPLE)
    if nice and abs(ratio / float(nice) - 1) < 1e-6:
        return f" ({nice} of the claimed one)"
    return f" ({ratio:.4g} of the claimed one)"


def _power(c: Comparison, d: Difference) -> str:
    """Whether the noise is off by a power of the step: its standard deviation grows wrongly."""
    ours, theirs = segments(c.seen), segments(c.claimed)
    steps = np.diff(np.asarray(c.times))
    ratios, lengths = [], []
    for k in range(1, min(len(ours), len(theirs))):
        seen = ours[k].covariance[d.row : d.row + 1, d.column : d.column + 1]
        claimed = theirs[k].covariance[d.row : d.row + 1, d.column : d.column + 1]
        if seen.size and claimed.size and claimed[0, 0] > 0 and seen[0, 0] > 0:
            ratios.append(float(seen[0, 0] / claimed[0, 0]))
            lengths.append(float(steps[min(_step_of(c, k - 1), len(steps) - 1)]))
    if len(ratios) < 3 or np.ptp(lengths) < 1e-9:
        return ""
    for power in (1, -1):
        scaled = np.array(ratios) / np.array(lengths) ** power
        if np.ptp(scaled) < 0.02 * np.mean(scaled):
            way = "grows with h" if power == 1 else "does not shrink with sqrt(h)"
            return f", and the ratio goes with h^{power}: its standard deviation {way}"
    return ""


def _where(c: Comparison, found: Sequence[Difference]) -> str:
    """Which segment, which tokens of the claimed word, and whether formula, start or end."""
    places = sorted({d.segment for d in found})
    first = places[0]
    total = min(len(c.seen.distinct), len(c.claimed.distinct)) + 1
    tokens = _tokens(c, first)
    step = _step_of(c, max(first - 1, 0))
    text = f"step {step + 1}, {tokens}"
    if len(places) == 1 and first == total - 1:
        return text + " (the last step only)"
    if places[-1] <= 2 * c.scheme.nfe and total > 2 * c.scheme.nfe + 2:
        return text + " (the start only)"
    if first > 2 * c.scheme.nfe:
        return text + " (not in the steps before)"
    return text + (" (and in other steps)" if len(places) > 1 else "")


def _tokens(c: Comparison, segment: int) -> str:
    """The tokens of the claimed word that a segment runs through."""
    ops = c.program.instructions
    evaluations = [i for i, op in enumerate(ops) if isinstance(op, Evaluate)]
    carried = c.scheme.carries_score and c.program.instructions == c.scheme.program.instructions
    if segment == 0:
        before = ops[: evaluations[0]] if not carried else ()
        return "before the first score" + _spelled(c, before)
    k = segment - 1 - carried
    if k < 0:
        return "from the first score on" + _spelled(c, ops[: evaluations[0]])
    at = evaluations[k % len(evaluations)]
    later = [i for i in evaluations if i > at]
    inside = ops[at + 1 : later[0]] if later else (*ops[at + 1 :], *ops[: evaluations[0]])
    return f"after score call {k % len(evaluations) + 1} of the step" + _spelled(c, inside)


def _spelled(c: Comparison, ops: Sequence[object]) -> str:
    text = " ".join(token(c.scheme, op) for op in ops)  # type: ignore[arg-type]
    return f": {text}" if text else ""


def _per_step(c: Comparison) -> int:
    return c.program.evaluations


def _carried(c: Comparison) -> int:
    return int(c.scheme.carries_score and c.program.evaluations == c.scheme.nfe)


def _step_of(c: Comparison, call: int) -> int:
    return min(max(call - _carried(c), 0) // _per_step(c), len(c.times) - 2)


def _number_in_step(c: Comparison, call: int) -> int:
    return max(call - _carried(c), 0) % _per_step(c) + 1


def _moment(c: Comparison, step: int, tau: float) -> str:
    """A conditioning time in terms of the step."""
    t, h = c.times[step], c.times[step + 1] - c.times[step]
    part = (c.process.T - t - tau) / h
    nice = Fraction(part).limit_denominator(6)
    if abs(part - float(nice)) < 1e-5 and abs(nice) <= 2:
        if nice == 0:
            return "T - t"
        return "T - (t + h)" if nice == 1 else f"T - (t + {nice} h)"
    if isinstance(c.process, PositionOnly) and 0 < part < 1:
        ends = [c.process.log_snr(c.process.T - u) for u in (t, t + h)]
        share = (c.process.log_snr(tau) - ends[0]) / (ends[1] - ends[0])
        close = Fraction(share).limit_denominator(6)
        if abs(share - float(close)) < 1e-6:
            return f"{close} of the step in lambda"
    return f"T - (t + {part:.4g} h)"
