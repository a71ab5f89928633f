"""The times that the score is conditioned on: which are wrong, and by what rule they came about."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from analytic_models.probing.checks import Check, apart
from analytic_models.probing.comparison import Comparison
from splitting_analysis.clocks import PositionOnly

TIMES = "every score is conditioned on the claimed time"
WHOLE = (10, 20, 25, 50, 64, 100, 128, 200, 250, 256, 400, 500, 512, 1000, 1024, 2000, 4000, 10000)
"""Numbers of training steps to which times may have been cut."""
Pairs = Sequence[tuple[float, float]]
"""Seen and claimed forward times, call by call."""


def wrong_times(c: Comparison) -> list[int]:
    """The calls, up to the last that both make, whose times differ."""
    close = 1e-6 if c.seen.single else 1e-9
    pairs = zip(c.seen.distinct, c.claimed.distinct, strict=False)
    return [k for k, (a, b) in enumerate(pairs) if abs(a.tau - b.tau) > close * (abs(b.tau) + 1e-3)]


def timing(c: Comparison) -> Check:
    """The check: the first wrong time in terms of its step, and the rule that all follow."""
    wrong = wrong_times(c)
    if not wrong:
        return Check(TIMES, "pass")
    pairs = [(a.tau, b.tau) for a, b in zip(c.seen.distinct, c.claimed.distinct, strict=False)]
    k = wrong[0]
    seen, claimed = pairs[k]
    step = c.step_of(k)
    steps = len(c.times) - 1
    each = len(wrong) >= steps - 1 and len({c.step_of(i) for i in wrong}) >= steps - 1
    rule = _rule(c, pairs, wrong)
    return Check(
        TIMES,
        "fail",
        f"{moment(c, step, claimed)} (tau = {apart(claimed, seen)})",
        f"{moment(c, step, seen)} (tau = {apart(seen, claimed)})" + (f"; {rule}" if rule else ""),
        f"score call {c.number_in_step(k)} of step {step + 1} "
        f"({'every step' if each else f'{len(wrong)} of {len(pairs)} calls'})",
    )


def _rule(c: Comparison, pairs: Pairs, wrong: Sequence[int]) -> str:
    """What the wrong times have in common, in words; "" if nothing is seen."""
    bad = [pairs[k] for k in wrong]
    T, size = float(c.process.T), 1e-7 * float(c.process.T)
    if all(abs(seen - (T - claimed)) < size for seen, claimed in bad):
        return "that is the reverse time"
    if len(bad) > 2:
        found = _whole(pairs) or _squared(c, pairs, wrong)
        if found:
            return found
    for shift, name in ((-1, "before"), (1, "after")):
        if len(bad) > 1 and all(
            0 <= k + shift < len(pairs) and abs(pairs[k][0] - pairs[k + shift][1]) < size
            for k in wrong[1:-1] or wrong
        ):
            return f"each is the time of the call {name} it"
    ratios = [seen / claimed for seen, claimed in bad if claimed > 0]
    if ratios and len(ratios) == len(pairs) and np.ptp(ratios) < 1e-6 * abs(ratios[-1]):
        return f"all are {apart(ratios[-1], 1, 4)} times the claimed ones"
    seen, claimed = bad[-1]
    if claimed > 0 and abs(seen / claimed - 1) > 0.02:
        last = "the last" if wrong[-1] == len(pairs) - 1 else "the last of them"
        return f"{last} is {seen / claimed:.4g} times the claimed one"
    return ""


def _whole(pairs: Pairs) -> str:
    """Whether all times seen are whole parts 1/N, and how the claimed ones became so."""
    seen, claimed = np.array(pairs).T
    for n in WHOLE:
        a, b = seen * n, claimed * n
        if np.max(np.abs(a - np.round(a))) > 1e-7 * n:
            continue
        if np.max(np.abs(b - np.round(b))) < 1e-7 * n:
            return ""  # so are the claimed ones
        way = "are multiples of"
        for name, function in (("cut", np.floor), ("rounded", np.round), ("rounded up", np.ceil)):
            if np.max(np.abs(function(b) - a)) < 1e-6:
                way = f"are {name} to multiples of"
                break
        off = b - a
        return f"all {way} 1/{n}, by {off.min():.2f} to {off.max():.2f} of one too early"
    return ""


def _squared(c: Comparison, pairs: Pairs, wrong: Sequence[int]) -> str:
    """Whether the times lie behind their step's start by a multiple of h^2."""
    shares = []
    lengths = []
    for k in wrong:
        step = c.step_of(k)
        t, h = c.times[step], c.times[step + 1] - c.times[step]
        shares.append((c.process.T - t - pairs[k][0]) / h**2)
        lengths.append(h)
    if np.ptp(lengths) < 1e-6 or abs(shares[0]) < 1e-6:
        return ""
    if np.ptp(shares) < 1e-6 * abs(shares[0]):
        factor = Fraction(float(shares[0])).limit_denominator(12)
        return f"it lies behind the step's start by {factor} h^2"
    return ""


def moment(c: Comparison, step: int, tau: float) -> str:
    """A conditioning time in terms of the step."""
    t, h = c.times[step], c.times[step + 1] - c.times[step]
    part = (c.process.T - t - tau) / h
    nice = Fraction(part).limit_denominator(6)
    if abs(part - float(nice)) < 1e-5 and abs(nice) <= 2:
        if nice == 0:
            return "T - t"
        return "T - (t + h)" if nice == 1 else f"T - (t {_signed(nice)} h)"
    if isinstance(c.process, PositionOnly) and 0 < part < 1:
        ends = [c.process.log_snr(c.process.T - u) for u in (t, t + h)]
        share = (c.process.log_snr(tau) - ends[0]) / (ends[1] - ends[0])
        close = Fraction(share).limit_denominator(6)
        if abs(share - float(close)) < 1e-6:
            return f"{close} of the step in lambda"
    return f"T - (t {'+' if part > 0 else '-'} {abs(part):.4g} h)"


def _signed(value: Fraction) -> str:
    return f"{'+' if value > 0 else '-'} {abs(value)}"
