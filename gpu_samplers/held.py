"""A prediction held over a step, in float64: stated again from the theory, by quadrature in forward
time.

analytic_models.held has closed forms, and integrates in lambda: each judges the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import exp, expm1, sqrt
from typing import NamedTuple, assert_never

import numpy as np

from gpu_samplers.processes import Array
from splitting_analysis.clocks import Clock, PositionOnly
from splitting_analysis.predictions import Prediction
from splitting_analysis.program import Hold

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
PANEL = 0.5
"""Of lambda, at most, in a panel of the quadrature."""


class Step(NamedTuple):
    """x <- keep x + sum of gains[j] prediction_j + deviation xi."""

    keep: float
    gains: tuple[float, ...]
    deviation: float


def predicted(prediction: Prediction, process: PositionOnly, tau: float) -> tuple[float, float]:
    """What is held at forward time tau, as the factors of x and of the score."""
    alpha, sigma = float(process.alpha(tau)), float(process.sigma(tau))
    data = np.array([1.0, sigma**2]) / alpha
    noise = np.array([0.0, -sigma])
    match prediction:
        case Prediction.DATA:
            found = data
        case Prediction.EPS:
            found = noise
        case Prediction.SCORE:
            found = np.array([0.0, 1.0])
        case Prediction.VELOCITY:
            alpha_rate, sigma_rate = process.rates(tau)
            found = alpha_rate * data + sigma_rate * noise
        case Prediction.V:
            found = alpha * noise - sigma * data
        case _:
            assert_never(prediction)
    return float(found[0]), float(found[1])


def hold(
    op: Hold,
    process: PositionOnly,
    clock: Clock,
    eta: float,
    begin: float,
    end: float,
    nodes: Sequence[float],
) -> Step:
    """The step from forward time `begin` to `end`, its predictions evaluated at the forward times
    `nodes`.

    Raises ValueError where it would end without noise, or begin without data.
    """
    if end <= 0 or not process.alpha(begin) > 0:
        raise ValueError(
            f"a step from forward time {begin:g} to {end:g} holds a prediction where sigma or "
            "alpha is 0; the grid ends at eps > 0"
        )
    h = float(process.log_snr(end) - process.log_snr(begin))
    alpha, before = float(process.alpha(end)), float(process.alpha(begin))
    sigma, sigma_before = float(process.sigma(end)), float(process.sigma(begin))
    if op.held.ddim:
        variance = (eta * sigma) ** 2 * -expm1(-2 * h)
        own = sqrt(sigma**2 - variance) / sigma_before
        return Step(own, (alpha - own * before,), sqrt(variance))
    taus, weights = _panels(process, begin, end)
    alphas, sigmas = process.alpha(taus), process.sigma(taus)
    alpha_rates, sigma_rates = process.rates(taus)
    growth = weights * (alpha_rates / alphas - sigma_rates / sigmas)  # d lambda, node by node
    more = 1 + eta**2
    lambdas = process.log_snr(taus)
    last = float(process.log_snr(end))
    match op.held.prediction:
        case Prediction.DATA:
            keep, deviation = (
                sigma / sigma_before * exp(-(eta**2) * h),
                sigma * sqrt(-expm1(-2 * eta**2 * h)),
            )
            kernel, limit = (
                growth * more * alpha * np.exp(more * (lambdas - last)),
                more * alpha * h,
            )
        case Prediction.EPS:
            keep, deviation = alpha / before, eta * sigma * sqrt(expm1(2 * h))
            kernel, limit = -growth * more * sigma * np.exp(last - lambdas), -more * sigma * h
        case Prediction.SCORE:
            keep, deviation = alpha / before, eta * sigma * sqrt(expm1(2 * h))
            kernel, limit = growth * more * alpha * sigmas**2 / alphas, more * sigma**2 * h
        case Prediction.VELOCITY:
            keep, deviation, kernel, limit = 1.0, 0.0, weights, end - begin
        case Prediction.V:
            size, sizes = alpha**2 + sigma**2, alphas**2 + sigmas**2
            keep, deviation = sqrt(size / (before**2 + sigma_before**2)), 0.0
            kernel = weights * (alphas * sigma_rates - alpha_rates * sigmas) / sizes
            kernel, limit = kernel * np.sqrt(size / sizes), -alpha * sigma * h / size
        case _:
            assert_never(op.held.prediction)
    start = process.clock_at(clock, begin)
    span = process.clock_at(clock, end) - start
    theta = (process.clock_at(clock, taus) - start) / span
    moments = op.rule([float(np.sum(kernel * theta**k)) for k in range(len(nodes))], limit)
    places = (process.clock_at(clock, np.array(nodes)) - start) / span
    powers = places ** np.arange(len(nodes))[:, None]
    return Step(keep, tuple(np.linalg.solve(powers, np.array(moments)).tolist()), deviation)


def _panels(process: PositionOnly, begin: float, end: float) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights over forward time, in panels between the kinks and short in
    lambda.
    """
    borders = [begin, *reversed(process.kinks(end, begin)), end]
    finer: list[float] = []
    for a, b in pairwise(borders):
        readings = process.log_snr(np.array([a, b]))
        parts = int(np.ceil((readings[1] - readings[0]) / PANEL))
        inner = readings[0] + (readings[1] - readings[0]) * np.arange(1, parts) / parts
        finer += [a, *process.tau_at("lambda", inner).tolist()] if parts > 1 else [a]
    edges = np.array([*finer, end])
    lengths = np.diff(edges)
    taus = edges[:-1, None] + lengths[:, None] * (_NODES + 1) / 2
    return taus.ravel(), (lengths[:, None] * _WEIGHTS / 2).ravel()
