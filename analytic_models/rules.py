"""What the rules of models.Rule do in one step with numbers in: an affine map plus Gaussian noise.

Entries are scalars (NumPy floats, mpmath numbers, SymPy expressions) or arrays over steps and
modes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, assert_never

import numpy as np
import sympy

from analytic_models import held_pieces
from analytic_models.arithmetic import exp, exp_2x2, expm1, flow_2x2, is_critical, noise_2x2
from analytic_models.clocked import faded, fading_rate, length, time_at
from analytic_models.conjugate import conjugate_step
from analytic_models.diffusions import Diffusion
from analytic_models.targets import Block, Gaussian, Pair
from splitting_analysis.models import Model, Piece, Rule
from splitting_analysis.program import Advance
from splitting_analysis.schemes import LambdaS, Scheme

Lambda = Any
"""lambda_s: a number, a function of reverse time, or None for the scheme's own (1 if symbolic)."""


@dataclass(frozen=True)
class Map:
    """An instruction with numbers in: z <- keep z + gain s + constant noise covariance (None
    without), with the prediction held in place of s where one is.
    """

    keep: Block
    gain: Block
    noise: Block | None


def advance(
    scheme: Scheme, diffusion: Diffusion, op: Advance, t: Any, h: Any, lambda_s: Lambda
) -> Map:
    """An instruction in the step from t over h."""
    piece = op.piece
    linear, weights, noise = coefficients(piece, diffusion)
    share = op.share
    match piece.rule:
        case Rule.EULER:
            tau = diffusion.T - t
            part = length(scheme, diffusion, t, h, tau) * share.numerator / share.denominator
            b, n = diffusion.beta(tau) * part, range(len(linear))
            keep = tuple(tuple(int(i == j) + product(linear[i][j], b) for j in n) for i in n)
            if piece.fading:
                keep = ((keep[0][0] + fading_rate(piece, diffusion, tau) * part,),)
            pushed = _placed(scheme.model, _diagonal([b] * len(linear)), weights)
            return Map(keep, pushed, _frozen_noise(piece, noise, b))
        case Rule.MIDPOINT:
            b = diffusion.beta(diffusion.T - t) * h * share.numerator / share.denominator
            halves = [product(row[i], b / 2) for i, row in enumerate(linear)]
            inverse = [1 if is_zero(half) else 1 / (1 - half) for half in halves]
            kept = [(1 + half) * x for half, x in zip(halves, inverse, strict=True)]
            gained = [product(w, b * x) for w, x in zip(weights, inverse, strict=True)]
            added = [product(q, b * x * x) for q, x in zip(noise, inverse, strict=True)]
            spread = _diagonal(added) if piece.has_noise else None
            return Map(_diagonal(kept), _diagonal(gained), spread)
        case Rule.ANCESTRAL:
            b = diffusion.beta(diffusion.T - t) * h * share.numerator / share.denominator
            if not isinstance(b, np.ndarray):  # in arrays the steps that do not exist become nan
                refuse_long(scheme, diffusion, t, h)
            root = (1 - b) ** 0.5
            return Map(((1 / root,),), ((b * weights[0] / root,),), _frozen_noise(piece, noise, b))
        case Rule.EXPONENTIAL:
            begin, span = _stretch(scheme, diffusion, op, t, h)
            if piece.fading:
                ends = diffusion.T - begin, diffusion.T - begin - span
                exponent, spread = faded(piece, diffusion, *ends)
                spread_in = ((product(noise[0], spread),),) if piece.has_noise else None
                return Map(((exp(exponent),),), ((0,),), spread_in)
            delta = diffusion.clock(begin, span)
            rates = [row[i] for i, row in enumerate(linear)]
            if piece.tuned is not None:
                value = lambda_at(scheme.lambda_s, lambda_s, t)
                noise = tuple(q * value if i == piece.tuned else q for i, q in enumerate(noise))
                if scheme.lambda_s.rule == "exponent":
                    rates[piece.tuned] = rates[piece.tuned] * value
            if scheme.model.acts and any(not is_zero(w) for w in weights):
                moved = _flow(linear, (1,) * len(linear), noise, rates, delta)
                return replace(moved, gain=_placed(scheme.model, moved.gain, weights))
            return _flow(linear, weights, noise, rates, delta)
        case Rule.CONJUGATE:
            at = [
                t + h * part.numerator / part.denominator for part in (op.start, op.stop, op.seen)
            ]
            return Map(
                *conjugate_step(scheme, diffusion, piece, *(diffusion.T - u for u in at)), None
            )
        case Rule.HELD:
            first, last = (time_at(scheme, diffusion, t, h, part) for part in (op.start, op.stop))
            return Map(*held_pieces.flow(piece, diffusion, first, last), None)
        case _:
            assert_never(piece.rule)


def _stretch(scheme: Scheme, diffusion: Diffusion, op: Advance, t: Any, h: Any) -> tuple[Any, Any]:
    """Reverse time at which an op begins, and its length in time."""
    if scheme.in_clock == "tau" or op.share == 1:
        begin = t + h * op.start.numerator / op.start.denominator if op.start else t
        return begin, h * op.share.numerator / op.share.denominator
    ends = (time_at(scheme, diffusion, t, h, part) for part in (op.start, op.stop))
    first, last = ends
    return diffusion.T - first, first - last


def conjugate_tables(
    scheme: Scheme, diffusion: Diffusion, target: Gaussian, times: Sequence[Any]
) -> dict[int, Map]:
    """The conjugate instructions by their index, each in all steps of a grid at once: once per
    grid.

    Empty where modes are no arrays, and steps are taken one by one.
    """
    if not isinstance(target.variances, np.ndarray) or len(times) < 2:
        return {}
    grid = np.asarray(times, dtype=np.float64)[:, np.newaxis]
    return {
        op.index: advance(scheme, diffusion, op, grid[:-1], np.diff(grid, axis=0), None)
        for op in scheme.program.instructions
        if isinstance(op, Advance) and op.piece.rule is Rule.CONJUGATE
    }


def part_of(table: Map, first: int, count: int) -> Map:
    """What is for `count` steps from the step `first` on; the table holds arrays over steps."""
    keep, gain = (
        tuple(
            tuple(e[first : first + count] if isinstance(e, np.ndarray) else e for e in row)
            for row in block
        )
        for block in (table.keep, table.gain)
    )
    return Map(keep, gain, None)


def coefficients(piece: Piece, diffusion: Diffusion) -> tuple[Block, Pair, Pair]:
    """Linear part, score part and noise of a piece as numbers."""
    p = diffusion.parameters
    return piece.linear(p), piece.score(p), piece.noise(p)


def _frozen_noise(piece: Piece, noise: Pair, b: Any) -> Block | None:
    return _diagonal([product(q, b) for q in noise]) if piece.has_noise else None


def refuse_long(scheme: Scheme, diffusion: Diffusion, t: Any, h: Any) -> None:
    """Raise ValueError where an ancestral op meets beta h >= 1; t and h alike, scalars or
    arrays.
    """
    for op in scheme.program.instructions:
        if not isinstance(op, Advance) or op.piece.rule is not Rule.ANCESTRAL:
            continue
        b = diffusion.beta(diffusion.T - t) * h * op.share.numerator / op.share.denominator
        if isinstance(b, sympy.Basic) or np.max(b) < 1:
            continue
        worst = int(np.argmax(b))
        b, t, h = (float(np.ravel(value)[worst]) for value in (b, t, h))
        raise ValueError(
            f"{scheme.name}: beta h = {b:.3g} in the step at t = {t:g}, but the ancestral step "
            f"divides by sqrt(1 - beta h): there h must be below {h / b:.3g}, not {h:.3g}"
        )


def lambda_at(policy: LambdaS, override: Lambda, t: Any) -> Any:
    """lambda_s at the step's start t: the override, else the scheme's value, else 1.

    Raises ValueError unless it is finite and not negative.
    """
    value = override
    if callable(override):
        value = (
            np.array([[override(float(u))] for u in t.flat])
            if isinstance(t, np.ndarray)
            else override(t)
        )
    elif override is None:
        value = policy.value
        if value == "free":
            return 1
        value = (1 + 0 * t) * value.numerator / value.denominator  # exact where t is
    numbers = np.asarray(value)
    if not isinstance(value, sympy.Basic) and not np.all((numbers >= 0) & (numbers < np.inf)):
        raise ValueError(f"lambda_s = {value}: it scales a variance, so it must be finite and >= 0")
    return value


def _flow(linear: Block, weights: Pair, noise: Pair, noise_rates: Sequence[Any], delta: Any) -> Map:
    """The exact flow over clock delta, score held; `noise_rates` are the noise's own, if
    uncoupled.
    """
    n = range(len(linear))
    silent = not any(not is_zero(q) for q in noise)
    if all(is_zero(linear[i][j]) for i in n for j in n if i != j):
        rates = [linear[i][i] for i in n]
        keep = _diagonal([1 if is_zero(rate) else exp(rate * delta) for rate in rates])
        gain = _diagonal([product(w, _ramp(r, delta)) for w, r in zip(weights, rates, strict=True)])
        added = [product(q, _ramp(2 * r, delta)) for q, r in zip(noise, noise_rates, strict=True)]
        return Map(keep, gain, None if silent else _diagonal(added))
    unscored = all(is_zero(w) for w in weights)
    if unscored and is_critical(linear):
        gain = tuple(tuple(0 for _ in n) for _ in n)
        return Map(
            exp_2x2(linear, delta), gain, None if silent else noise_2x2(linear, noise, delta)
        )
    keep, integral, covariance = flow_2x2(linear, noise, delta)
    gain = tuple(
        tuple(product(w, x) for w, x in zip(weights, row, strict=True)) for row in integral
    )
    return Map(keep, gain, None if silent else covariance)


def _placed(model: Model, gain: Block, weights: Pair) -> Block:
    """What each score does to the components, from what a unit push on each of them does."""
    places = tuple(zip(model.onto, weights, strict=True))
    return tuple(tuple(product(w, row[j]) for j, w in places) for row in gain)


def _ramp(rate: Any, delta: Any) -> Any:
    """The integral of exp(rate u) over [0, delta]."""
    if isinstance(rate, np.ndarray):
        return np.where(rate == 0, delta, expm1(rate * delta) / np.where(rate == 0, 1, rate))
    return delta if is_zero(rate) else expm1(rate * delta) / rate


def _diagonal(entries: Sequence[Any]) -> Block:
    return tuple(
        tuple(e if i == j else 0 for j in range(len(entries))) for i, e in enumerate(entries)
    )


def product(coefficient: Any, factor: Any) -> Any:
    """Their product, the integer 0 where the coefficient is 0: zeros cost nothing further on."""
    return 0 if is_zero(coefficient) else coefficient * factor


def is_zero(value: Any) -> bool:
    """Whether a scalar is 0; an array over steps or modes is taken as it comes."""
    return not isinstance(value, np.ndarray) and bool(value == 0)
