"""A signature against that of the claimed word: calls, times, coefficients, noise, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import log

import numpy as np

from analytic_models.probing.checks import Check, apart
from analytic_models.probing.comparison import Comparison
from analytic_models.probing.deduce import token
from analytic_models.probing.segments import Difference, differences, segments
from analytic_models.probing.timing import TIMES, timing, wrong_times
from splitting_analysis.clocks import PositionOnly
from splitting_analysis.program import Evaluate

EVALUATIONS = "the score is evaluated as often as claimed"
MOVES = "state and scores are weighed as claimed"
NOISE = "the noise is as claimed"
LATER = (TIMES, MOVES, NOISE)
LOST = 1e-7
"""Of the other coefficient: so little is none, single precision's round-off."""
MOST_SHOWN = 3
SIMPLE = 12
"""Largest denominator of a ratio that is shown as a fraction."""
MOST_POWER = 8
POWERS = (Fraction(1), Fraction(-1), Fraction(1, 2), Fraction(-1, 2), Fraction(2))
"""Of h, by which a variance is off where its root, or h itself, is forgotten or taken twice."""
NO_NOISE, LENGTHS, EXACTLY = 1e-6, 1.2, 0.01
"""What is no variance beside the largest, how far steps must differ, how well a power must fit."""


def agreement(c: Comparison) -> list[Check]:
    """The four checks of a word: evaluations, their times, coefficients, noise.

    An evaluation after which nothing comes is told, and the rest compared without it.
    """
    used = c.seen.without_unused(c.claimed.scores)
    if used is not c.seen:
        return [_thrown_away(c), *agreement(replace(c, seen=used))[1:]]
    found = differences(c.seen, c.claimed)
    moved = [d for d in found if d.kind in ("linear", "gain")]
    noisy = [d for d in found if d.kind in ("noise", "correlation")]
    first = _evaluations(c, found)
    if c.seen.scores != c.claimed.scores:
        place = _leaves(c, found)
        return [
            first,
            *(Check(name, "inconclusive", "as the claimed word", place) for name in LATER),
        ]
    return [first, timing(c), _moves(c, moved), _noise(c, noisy)]


def both(one: Comparison, long: Comparison, whole: Sequence[Check]) -> list[Check]:
    """The checks of a whole run, but coefficients as a single step shows them.

    Where the score sees part of the state only, a segment of a run mixes steps; one step does not.
    `long` is one step of another length: what the noise's error does with it is a power of h.
    """
    checks = []
    for short, check in zip(agreement(one), whole, strict=True):
        chosen = check
        if check.verdict == short.verdict == "fail" and check.name in (MOVES, NOISE):
            power = _power_of_two(one, long) if check.name == NOISE else ""
            chosen = replace(short, seen=short.seen + power, where=f"{short.where} (every step)")
        checks.append(chosen)
    return checks


def _power_of_two(one: Comparison, long: Comparison) -> str:
    rows = []
    for c in (one, long):
        seen, claimed = (np.diag(segments(s)[-1].covariance) for s in (c.seen, c.claimed))
        rows.append((c.times[1] - c.times[0], seen, claimed))
    found = [_fitted([(h, a[i], b[i]) for h, a, b in rows], 0.25) for i in range(len(rows[0][1]))]
    return next(filter(None, found), "")


def _thrown_away(c: Comparison) -> Check:
    steps, more = len(c.times) - 1, len(c.seen.calls) - len(c.claimed.calls)
    count = "one evaluation is" if more == 1 else f"{more} evaluations are"
    told = f"{count} thrown away after the last step"
    where = "the end of the run: the result does not depend on what is evaluated there"
    again = more - (c.seen.scores - c.claimed.scores)
    if again > 0 or c.seen.unused()[0] < c.claimed.scores:
        each = f": {more // steps} in each step" if more % steps == 0 else ""
        known = f", {again} of them where it is called again" if again > 0 else ""
        told = f"{count} in vain{each}{known}"
        where = "every step: the result does not depend on what is evaluated there"
    return Check(
        EVALUATIONS,
        "fail",
        f"{len(c.claimed.calls)} calls in {steps} steps",
        f"{len(c.seen.calls)}: {told}",
        where,
    )


def _evaluations(c: Comparison, found: Sequence[Difference]) -> Check:
    name = EVALUATIONS
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
    return Check(
        name, "fail", f"{claimed} calls in {steps} steps ({each})", text, _leaves(c, found)
    )


def _leaves(c: Comparison, found: Sequence[Difference]) -> str:
    """Up to where code that makes another number of calls is the claimed word."""
    ours, theirs = c.seen.scores, c.claimed.scores
    both_make = min(ours, theirs)
    first = min([both_make, *wrong_times(c), *(d.segment for d in found)])
    if first < both_make:
        if first == 0:
            return "other than claimed from the first score call on"
        return (
            f"as claimed up to score call {first}, other from there on: "
            f"step {c.step_of(first - 1) + 1}"
        )
    if ours > theirs:
        more = ours - theirs
        return (
            f"as claimed up to its last score call; {more} more after the last step: a step more, "
            "a denoising step, or a prediction in place of the state"
        )
    return f"as claimed up to score call {ours}; what is missing begins in step " + str(
        c.step_of(ours) + 1
    )


def _moves(c: Comparison, found: Sequence[Difference]) -> Check:
    if not found:
        return Check(MOVES, "pass")
    first = found[0].segment
    # one step of langevin is short enough to be read as a whole
    alone = len(c.times) == 2
    here = [d for d in found if d.segment == first or alone]
    # what can be read off first: a simple ratio says what was done
    here = sorted(here, key=lambda d: (not _simple(d), -_off(d)))[:MOST_SHOWN]
    return Check(
        MOVES,
        "fail",
        "; ".join(f"{_label(c, d)} {_shown(d.claimed, d.seen)}" for d in here),
        "; ".join(f"{_label(c, d)} {_shown(d.seen, d.claimed)}{_ratio(d)}" for d in here),
        _where(c, found),
    )


def _noise(c: Comparison, found: Sequence[Difference]) -> Check:
    ours, theirs = _uses_noise(c.seen.draws, c), _uses_noise(c.claimed.draws, c, claimed=True)
    if ours and not theirs:
        return Check(NOISE, "fail", "no noise", f"{c.seen.draws} draws", _noisy_where(c, found))
    if theirs and not ours:
        text = (
            f"noise() is called {c.seen.draws} times; normals never reach the state of their row"
            if c.seen.draws
            else "noise() is never called"
        )
        return Check(NOISE, "fail", "noise in every step", text, "every step")
    if not found:
        return Check(NOISE, "pass")
    d = found[0]
    if d.kind == "correlation":
        return _shared(c, d, found)
    text = f"{_label(c, d)} {_shown(d.seen, d.claimed)}{_ratio(d)}{_power(c, d)}"
    wanted = f"{_label(c, d)} {_shown(d.claimed, d.seen)}"
    return Check(NOISE, "fail", wanted, text, _where(c, found))


def _shared(c: Comparison, d: Difference, found: Sequence[Difference]) -> Check:
    """Noise that two segments have in common and should not, or should and have not."""
    what = f"covariance of the noise here with that {_distance(c, d)}"
    kept = abs(d.seen) > abs(d.claimed)
    why = ": normals are used again" if kept else ": drawn anew where they should be kept"
    return Check(
        NOISE,
        "fail",
        f"{what}: {_shown(d.claimed, d.seen)}",
        f"{what}: {_shown(d.seen, d.claimed)}{why}",
        _where(c, found),
    )


def _distance(c: Comparison, d: Difference) -> str:
    return f"of segment {d.score + 1} (step {c.step_of(max(d.score - 1, 0)) + 1})"


def _uses_noise(draws: int, c: Comparison, *, claimed: bool = False) -> bool:
    """Whether any normal reaches the state."""
    signature = c.claimed if claimed else c.seen
    return draws > 0 and any(np.any(s.noise) for s in segments(signature))


def _noisy_where(c: Comparison, found: Sequence[Difference]) -> str:
    noisy = [d for d in found if d.kind == "noise"]
    return _where(c, noisy) if noisy else "every step"


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
    if not isinstance(c.process, PositionOnly):
        model = c.scheme.model
        what = f"score_{parts[model.driven[d.column]]}"
        if model.acts:
            what = ("the fast force", "the slow force")[d.column]
    else:
        what = "data prediction"
    which = {0: "the last", 1: "the one before the last"}.get(back, f"{back} evaluations back")
    return f"{row} from {what}, {which}:"


def _shown(value: float, other: float) -> str:
    return "0" if _is_none(value, other) else apart(value, other)


def _is_none(value: float, other: float) -> bool:
    return abs(value) < max(1e-12, LOST * abs(other))


def _simple(d: Difference) -> bool:
    """Whether what was seen is a simple multiple of what was claimed, or a power."""
    return _fraction(d) is not None or _exponent(d) is not None


def _off(d: Difference) -> float:
    return abs(d.seen - d.claimed) / max(abs(d.seen), abs(d.claimed))


def _fraction(d: Difference) -> Fraction | None:
    if abs(d.claimed) < 1e-9 or _is_none(d.seen, d.claimed):
        return None
    ratio = d.seen / d.claimed
    nice = Fraction(ratio).limit_denominator(SIMPLE)
    return nice if nice and abs(ratio / float(nice) - 1) < 1e-6 else None


def _exponent(d: Difference) -> Fraction | None:
    """k where a decay was taken k times: the claimed one to the power k."""
    if d.kind != "linear" or not (1e-9 < d.claimed < 1 and 1e-12 < d.seen < 1):
        return None
    power = log(d.seen) / log(d.claimed)
    nice = Fraction(power).limit_denominator(4)
    if abs(power - float(nice)) < 1e-6 and nice != 1 and 0 < nice <= MOST_POWER:
        return nice
    return None


def _ratio(d: Difference) -> str:
    if not d.claimed or abs(d.claimed) < LOST * abs(d.seen):
        return " (claimed: none)"
    if _is_none(d.seen, d.claimed):
        return " (missing)"
    if (nice := _fraction(d)) is not None:
        return f" ({nice} of the claimed one)"
    if (power := _exponent(d)) is not None:
        return f" (the claimed one to the power {power})"
    return f" ({apart(d.seen / d.claimed, 1, 4)} of the claimed one)"


def _power(c: Comparison, d: Difference) -> str:
    """Whether the noise is off by a power of the step: said only where it is one exactly."""
    ours, theirs = segments(c.seen), segments(c.claimed)
    steps = np.diff(np.asarray(c.times))
    found = []
    for k in range(1, min(len(ours), len(theirs))):
        seen, claimed = (one[k].covariance for one in (ours, theirs))
        if max(d.row, d.column) < min(len(seen), len(claimed)):
            h = steps[min(c.step_of(k - 1), len(steps) - 1)]
            found.append((h, seen[d.row, d.row], claimed[d.row, d.row]))
    return _fitted(found, EXACTLY) if len(found) > 2 and d.row == d.column else ""


def _fitted(rows: Sequence[tuple[float, float, float]], close: float) -> str:
    """The power of h that seen over claimed variances follow; "" where there is none."""
    lengths, seen, claimed = np.array(rows).T
    least = NO_NOISE * np.max(claimed)
    if not np.all(np.isfinite(seen)) or least <= 0 or min(np.min(seen), np.min(claimed)) <= least:
        return ""
    if np.max(lengths) < LENGTHS * np.min(lengths):
        return ""
    x, y = np.log(lengths), np.log(seen / claimed)
    rate, start = np.polyfit(x, y, 1)
    if np.max(np.abs(start + rate * x - y)) > EXACTLY:
        return ""
    return _powered(float(rate), close)


def _powered(rate: float, close: float) -> str:
    power = min(POWERS, key=lambda p: abs(rate - p))
    if abs(rate - power) > close * abs(power):
        return ""
    way = "grows with h, not with its root" if power == 1 else "does not go with the root of h"
    return f", and the ratio goes with h^{power}: its standard deviation {way}"


def _where(c: Comparison, found: Sequence[Difference]) -> str:
    """Which segment, which tokens of the claimed word, and whether formula, start or end."""
    places = sorted({d.segment for d in found})
    first = places[0]
    total = min(len(c.seen.distinct), len(c.claimed.distinct)) + 1
    tokens = _tokens(c, first)
    step = c.step_of(max(first - 1, 0))
    text = f"step {step + 1}, {tokens}"
    if len(c.times) == 2:
        return text
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
