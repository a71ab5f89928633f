"""A prediction held over a step, with numbers in: what it is, and the exact step that holds it.

Closed forms where clock and kernel have them, else quadrature in lambda. gpu_samplers.held says all
of it again, by quadrature in tau. Entries are floats, arrays over steps, or mpmath numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, assert_never

import mpmath
import numpy as np

from splitting_analysis.clocks import Clock, PositionOnly
from splitting_analysis.clocks import elementary as of
from splitting_analysis.predictions import Prediction
from splitting_analysis.program import Hold

NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)
FAINTEST = 1e-12
"""Of the data, the least that a position keeps where a prediction is held."""
PANEL = 2.0
"""Of lambda, at most, in a panel of the quadrature."""


@dataclass(frozen=True)
class Step:
    """x <- keep x + sum of gains[j] prediction_j + N(0, noise)."""

    keep: Any
    gains: tuple[Any, ...]
    noise: Any


def predicted(prediction: Prediction, process: PositionOnly, tau: Any) -> tuple[Any, Any]:
    """(a, b): the prediction at forward time tau is a x + b s."""
    sigma = process.sigma(tau)
    match prediction:
        case Prediction.DATA:
            alpha = process.alpha(tau)
            return 1 / alpha, sigma * sigma / alpha
        case Prediction.EPS:
            return 0, -sigma
        case Prediction.SCORE:
            return 0, 1
        case Prediction.VELOCITY:
            shrink, (_, growth) = process.rates(tau)[0] / process.alpha(tau), process.rates(tau)
            return shrink, sigma * (shrink * sigma - growth)
        case Prediction.V:
            alpha = process.alpha(tau)
            return -sigma / alpha, -sigma * (alpha * alpha + sigma * sigma) / alpha
        case _:
            assert_never(prediction)


def hold(
    op: Hold,
    process: PositionOnly,
    clock: Clock,
    eta: Any,
    begin: Any,
    end: Any,
    nodes: Sequence[Any],
) -> Step:
    """The step from forward time `begin` to `end` with predictions from the forward times `nodes`.

    Raises ValueError where the process has no data or no noise at an end that the step divides by.
    """
    refuse_ends(process, begin, end)
    first, last = process.log_snr(begin), process.log_snr(end)
    h = last - first
    alpha, sigma = process.alpha(end), process.sigma(end)
    if op.held.ddim:
        ratio = process.clock_at("rho", end) / process.clock_at("rho", begin)
        noise = eta * eta * sigma * sigma * (1 - ratio) * (1 + ratio)
        keep = of("sqrt", sigma * sigma - noise) / process.sigma(begin)
        return Step(keep, (alpha - process.alpha(begin) * keep,), noise)
    if op.held.prediction is not Prediction.DATA:  # whose steps divide by sigma instead
        refuse_faint(process.alpha(begin), begin)
    more = 1 + eta * eta
    match op.held.prediction:
        case Prediction.DATA:
            keep = sigma / process.sigma(begin) * of("exp", -eta * eta * h)
            noise = -sigma * sigma * of("expm1", -2 * eta * eta * h)
        case Prediction.EPS | Prediction.SCORE:
            keep = alpha / process.alpha(begin)
            noise = eta * eta * sigma * sigma * of("expm1", 2 * h)
        case Prediction.VELOCITY:
            keep, noise = 1, 0 * h
        case Prediction.V:  # x over the root of alpha^2 + sigma^2 turns by an angle
            keep, noise = of("sqrt", _size(process, end) / _size(process, begin)), 0 * h
        case _:
            assert_never(op.held.prediction)
    if clock != "lambda":
        first, last = process.clock_at(clock, begin), process.clock_at(clock, end)
    places = [(process.clock_at(clock, tau) - first) / (last - first) for tau in nodes]
    ends = begin, end, h, alpha, sigma
    moments, at_end = _moments(op.held.prediction, process, clock, more, ends, len(nodes))
    return Step(keep, weights(places, op.rule(moments, at_end)), noise)


def _size(process: PositionOnly, tau: Any) -> Any:
    """alpha^2 + sigma^2."""
    return process.alpha(tau) ** 2 + process.sigma(tau) ** 2


def refuse_ends(process: PositionOnly, begin: Any, end: Any) -> None:
    """Raise ValueError where a step would end without noise: lambda is infinite there."""
    if np.min(end) <= 0 or not np.min(process.alpha(begin)) > 0:
        raise ValueError(
            f"a step from forward time {float(np.max(begin)):g} to {float(np.min(end)):g}: sigma "
            "is 0 at 0, where a held prediction has no clock; end at eps > 0 (a last denoising "
            "step may go on to 0)"
        )


def refuse_faint(kept: Any, tau: Any) -> None:
    """Raise ValueError where float64 cannot tell what is kept of the data, x = kept x_0 + ..., from
    none: a step divides by it, and the digits that it costs are in every step that follows.
    """
    if isinstance(kept, mpmath.mpf) or np.min(kept) >= FAINTEST:
        return
    raise ValueError(
        f"the position keeps {float(np.min(kept)):.2g} of the data at forward time "
        f"{float(np.max(tau)):g}, and a prediction that is held there has no digits left; it takes "
        f"{FAINTEST:g} and more, e.g. by a smaller beta or T"
    )


def weights(places: Sequence[Any], moments: Sequence[Any]) -> tuple[Any, ...]:
    """w with sum of w_j places_j^k = moments_k: the moments of Lagrange's polynomials."""
    result = []
    for j, own in enumerate(places):
        # product of (theta - other), lowest power first, the highest one, 1, left out; and its
        # value at theta = own
        lower: list[Any] = []
        size: Any = 1
        for i, other in enumerate(places):
            if i != j:
                size = size * (own - other)
                raised = [*lower, 1]
                lower = [-other * raised[0], *(a - other * b for a, b in pairwise(raised))]
        total = sum(c * m for c, m in zip(lower, moments, strict=False)) + moments[len(lower)]
        result.append(total / size)
    return tuple(result)


def _moments(
    prediction: Prediction,
    process: PositionOnly,
    clock: Clock,
    more: Any,
    ends: tuple[Any, Any, Any, Any, Any],
    count: int,
) -> tuple[list[Any], Any]:
    """The moments I_0, ... of the kernel, and the kernel at the end, both per unit of theta.

    The kernel takes theta as measured in lambda, or in tau for the velocity, at the end of the
    stretch; `ends` are its two times, its length in lambda, and alpha and sigma at its end.
    """
    begin, end, h, alpha, sigma = ends
    match prediction, clock:
        case Prediction.DATA, "lambda":
            return [more * alpha * h * phi for phi in _powers(-more * h, count)], more * alpha * h
        case Prediction.EPS, "lambda":
            return [-more * sigma * h * phi for phi in _powers(h, count)], -more * sigma * h
        case Prediction.EPS, "rho":
            change = more * alpha * (process.clock_at("rho", end) - process.clock_at("rho", begin))
            return [change / (k + 1) for k in range(count)], -more * sigma * h
        case Prediction.VELOCITY, "tau":
            return [(end - begin) / (k + 1) for k in range(count)], end - begin
        case Prediction.DATA, _:
            at_end = more * alpha * h
        case Prediction.EPS, _:
            at_end = -more * sigma * h
        case Prediction.SCORE, _:
            at_end = more * sigma * sigma * h
        case Prediction.V, _:
            at_end = -alpha * sigma * h / _size(process, end)
        case _:
            at_end = end - begin
    if not isinstance(begin, np.ndarray) or not process.kinks(
        float(np.min(end)), float(np.max(begin))
    ):
        return _integrals(prediction, process, clock, more, begin, end, count), at_end
    pairs = zip(begin.flat, end.flat, strict=True)
    rows = [
        _integrals(prediction, process, clock, more, float(a), float(b), count) for a, b in pairs
    ]
    return [np.reshape([row[k] for row in rows], begin.shape) for k in range(count)], at_end


def _powers(a: Any, count: int) -> list[Any]:
    """The integrals over [0, 1] of e^(a (1 - theta)) theta^k, for k < count."""
    small = abs(a) < 1
    safe = np.where(small, 1.0, a) if isinstance(a, np.ndarray) else (1 if small else a)
    parts = [of("expm1", a) / safe]  # by parts, upwards
    for k in range(1, count):
        parts.append((k * parts[-1] - 1) / safe)
    if not np.any(small):
        return parts
    # the last as a series, sum of a^m (count - 1)! / (count + m)!, those before by parts, downwards
    terms, term, largest = 0, 1, np.max(abs(a)[small]) if isinstance(a, np.ndarray) else abs(a)
    while term > (mpmath.mp.eps / 8 if isinstance(a, mpmath.mpf) else 1e-17):
        terms += 1
        term = term * largest / (count + terms)
    last = 1 + 0 * a
    for m in range(terms, 0, -1):
        last = 1 + a * last / (count + m)
    series = [last / count]
    for k in range(count - 1, 0, -1):
        series.insert(0, (1 + a * series[0]) / k)
    if not isinstance(a, np.ndarray):
        return series
    return [np.where(small, one, other) for one, other in zip(series, parts, strict=True)]


def _integrals(
    prediction: Prediction,
    process: PositionOnly,
    clock: Clock,
    more: Any,
    begin: Any,
    end: Any,
    count: int,
) -> list[Any]:
    """The moments by quadrature in lambda, in panels between the kinks that are no longer than
    PANEL: what is integrated has poles beside the real line, pi/2 away.
    """
    first, last = process.clock_at(clock, begin), process.clock_at(clock, end)
    stop = process.log_snr(end)

    def integrand(u: Any) -> tuple[Any, Any]:
        tau = process.tau_at("lambda", u)
        theta = (process.clock_at(clock, tau) - first) / (last - first)
        match prediction:
            case Prediction.DATA:
                return more * process.alpha(end) * of("exp", more * (u - stop)), theta
            case Prediction.EPS:
                return -more * process.sigma(end) * of("exp", stop - u), theta
            case Prediction.SCORE:
                return more * process.alpha(end) * process.sigma(tau) ** 2 / process.alpha(
                    tau
                ), theta
            case Prediction.VELOCITY:  # d tau / d lambda
                alpha_rate, sigma_rate = process.rates(tau)
                return 1 / (
                    alpha_rate / process.alpha(tau) - sigma_rate / process.sigma(tau)
                ), theta
            case Prediction.V:
                size = _size(process, tau)
                turn = process.alpha(tau) * process.sigma(tau) / size
                return -turn * of("sqrt", _size(process, end) / size), theta
            case _:
                assert_never(prediction)

    kinks = [] if isinstance(end, np.ndarray) else process.kinks(float(end), float(begin))
    borders = [process.log_snr(tau) for tau in (begin, *reversed(kinks), end)]
    if isinstance(end, mpmath.mpf):
        return [mpmath.quad(_times(integrand, k), borders) for k in range(count)]
    finer = [borders[0]]
    for low, high in pairwise(borders):
        parts = max(1 + (len(borders) == 2), math.ceil(float(np.max(high - low)) / PANEL))
        finer += [low + (high - low) * i / parts for i in range(1, parts + 1)]
    totals: list[Any] = [0.0] * count
    for low, high in pairwise(finer):
        kernel, theta = integrand(low + (high - low) * (NODES + 1) / 2)
        kernel = kernel * (high - low) * WEIGHTS / 2
        totals = [
            total + np.sum(kernel * theta**k, axis=-1, keepdims=np.ndim(end) > 0)
            for k, total in enumerate(totals)
        ]
    return totals


def _times(integrand: Callable[[Any], tuple[Any, Any]], k: int) -> Callable[[Any], Any]:
    def moment(u: Any) -> Any:
        kernel, theta = integrand(u)
        return kernel * theta**k

    return moment
