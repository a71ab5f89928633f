"""What the rules of models.Rule do to a state in one step, in float64: one function per rule."""

from __future__ import annotations

from fractions import Fraction
from functools import cache, lru_cache
from math import erf, expm1, sqrt
from typing import Any, NamedTuple, assert_never

import numpy as np

from gpu_samplers.clocked import Step, faded, fading
from gpu_samplers.conjugate import Shift, conjugate_step
from gpu_samplers.held_pieces import flow
from gpu_samplers.processes import (
    Array,
    Process,
    exponential,
    integrated_exponential,
    lower_factor,
    noise_covariance,
)
from splitting_analysis import bends
from splitting_analysis.models import Piece, Rule, conjugation, is_spelled_out, model_of
from splitting_analysis.program import Advance
from splitting_analysis.symbols import ones


class Map(NamedTuple):
    """z <- keep z + gain s + noise xi; shapes (n, n), (n, n), (n, q), with q normals drawn. Where a
    prediction is held it stands for s, and gain is (n, 1).
    """

    keep: Array
    gain: Array
    noise: Array | None


class Tuned(NamedTuple):
    """lambda_s in this step, and its rule (scheme.LambdaS)."""

    value: float
    rule: str
    conjugate: float = 0.0
    """lambda of conjugate steps, and the factor of their eps."""
    factor: str = "lower"
    skip: float | None = None


def advance(op: Advance, step: Step, tuned: Tuned) -> Map:
    """An op in a step. Raises ValueError for a step that does not exist."""
    process, clock, t, h = step
    piece = op.piece
    linear, weight, strength = _numbers(piece, process)
    push = pushes(weight, process)
    span, drawn = h * float(op.share), _acted_on(piece)
    match piece.rule:
        case Rule.EULER:
            part = step.length(process.T - t) * float(op.share)
            b = process.beta(process.T - t) * part
            keep = np.eye(len(linear)) + b * linear
            if piece.fading:
                keep = keep + float(piece.fading) * fading(process, process.T - t) * part
            return _map(keep, b * push, np.sqrt(b * strength), drawn)
        case Rule.MIDPOINT:
            b = process.beta(process.T - t) * span
            inverse = np.linalg.inv(np.eye(len(linear)) - b / 2 * linear)
            keep = inverse @ (np.eye(len(linear)) + b / 2 * linear)
            deviations = np.diag(inverse) * np.sqrt(b * strength)
            return _map(keep, inverse @ (b * push), deviations, drawn)
        case Rule.ANCESTRAL:
            b = process.beta(process.T - t) * span
            _refuse_long(b, t, h)
            keep, gain = np.eye(len(linear)) / sqrt(1 - b), np.diag(b * weight / sqrt(1 - b))
            return _map(keep, gain, np.sqrt(b * strength), drawn)
        case Rule.EXPONENTIAL:
            begin = t + h * float(op.start)
            if clock != "tau" and op.share != 1:
                begin = float(process.T - step.time(op.start))
                span = step.time(op.start) - step.time(op.stop)
            if piece.fading:
                ends = float(process.T - begin), float(process.T - begin - span)
                kept, grown = faded(process, float(piece.fading), *ends)
                return _map(np.eye(1) * kept, np.zeros((1, 1)), np.sqrt(grown * strength), drawn)
            delta = process.clock(begin, span)
            return _exponential(piece, linear, push, strength, delta, drawn, tuned)
        case Rule.CONJUGATE:
            begin, end, seen = (
                process.T - t - h * float(part) for part in (op.start, op.stop, op.seen)
            )
            shift = _shift(piece.conjugation, process, tuned.conjugate, len(linear))
            times = begin, max(end, 0.0), seen  # T - t - h may round below 0
            moved = conjugate_step(
                process, linear, weight, shift, tuned.factor, *times, skip=tuned.skip
            )
            return Map(*moved, None)
        case Rule.HELD:
            return Map(*flow(piece, process, step.time(op.start), step.time(op.stop)), None)
        case _:
            assert_never(piece.rule)


def _shift(name: str, process: Process, value: float, n: int) -> Array | Shift:
    """B, n x n, or as a function of forward times where it has names in it."""
    if not is_spelled_out(name):
        return np.array(conjugation(name, value, n), dtype=np.float64)

    def shift(taus: Array) -> Array:
        p = process.parameters
        names = {key: getattr(p, key) for key in ("Gamma", "nu", "M")} | {"lambda": value}
        names |= {"tau": taus, "beta": np.array([process.beta(tau) for tau in taus])}
        by = bends.Arithmetic(float, names, _function, lambda x, k: np.power(x, _exponent(k)))
        rows = conjugation(name, value, n, by)
        return np.stack(
            [np.stack([np.broadcast_to(e, taus.shape) for e in row], axis=-1) for row in rows],
            axis=1,
        )

    return shift


def _exponent(power: Fraction) -> float | int:
    return power.numerator if power.denominator == 1 else float(power)


def _function(name: str, at: Any) -> Any:
    if name == "erf":
        return np.vectorize(erf, otypes=[np.float64])(at)
    return getattr(np, "arctan" if name == "atan" else name)(at)


@lru_cache(256)
def _numbers(piece: Piece, process: Process) -> tuple[Array, Array, Array]:
    """Linear part (n, n), score part (n,) and noise (n,) of a piece: the same in every step of a
    run.
    """
    parts = piece.linear, piece.score, piece.noise
    linear, score, noise = (np.array(part(process.parameters), dtype=np.float64) for part in parts)
    return linear, score, noise


def pushes(weight: Array, process: Process) -> Array:
    """What each score pushes, (n, n): the component in its place, or that which both forces act
    on.
    """
    push = np.zeros((len(weight), len(weight)))
    push[list(model_of(process.model_name, "ode").onto), np.arange(len(weight))] = weight
    return push


def _map(keep: Array, gain: Array, deviations: Array, drawn: list[int]) -> Map:
    return Map(keep, gain, np.diag(deviations)[:, drawn] if drawn else None)


def _exponential(
    piece: Piece,
    linear: Array,
    push: Array,
    strength: Array,
    delta: float,
    drawn: list[int],
    tuned: Tuned,
) -> Map:
    """The exact flow over the clock interval delta, the score held."""
    rates = np.diag(linear)
    if np.count_nonzero(linear - np.diag(rates)) == 0:
        noise_rates = 2 * rates
        if piece.tuned is not None:
            scale = np.ones(len(rates))
            scale[piece.tuned] = tuned.value
            strength = strength * scale
            if tuned.rule == "exponent":
                noise_rates = noise_rates * scale
        deviations = np.sqrt(strength * [_ramp(r, delta) for r in noise_rates])
        gain = np.diag([_ramp(r, delta) for r in rates]) @ push
        return _map(np.diag(np.exp(rates * delta)), gain, deviations, drawn)
    clock = np.array([delta])
    gain = np.zeros_like(linear)
    if piece.uses_score:
        gain = integrated_exponential(linear, clock)[0] @ push
    factor = lower_factor(noise_covariance(linear, strength, clock)[0])
    return Map(exponential(linear, clock)[0], gain, factor[:, drawn] if drawn else None)


def _refuse_long(b: float, t: float, h: float) -> None:
    if b >= 1:
        raise ValueError(
            f"beta h = {b:.3g} in the step at t = {t:g}, but the ancestral step divides by "
            f"sqrt(1 - beta h): there h must be below {h / b:.3g}, not {h:.3g}"
        )


@cache
def _acted_on(piece: Piece) -> list[int]:
    """Components on which the piece's noise acts, whatever the parameters (CLD draws for both,
    too).
    """
    noise = [bool(strength) for strength in piece.noise(ones())]
    linear = np.array(piece.linear(ones()), dtype=np.float64)
    if piece.rule is Rule.EXPONENTIAL and any(noise):  # what the drift couples to it is noisy too
        for _ in noise:
            noise = [
                own or any(np.array(noise) & (row != 0))
                for own, row in zip(noise, linear, strict=True)
            ]
    return [i for i, own in enumerate(noise) if own]


def _ramp(rate: float, delta: float) -> float:
    """Integral of exp(rate u) over [0, delta]."""
    return expm1(rate * delta) / rate if rate else delta
