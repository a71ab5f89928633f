"""Data held on PSLD and CLD, in float64: stated again from the theory, by collocation in log tau.

Given x_0 the forward path is N(mu x_0, Sigma). With eta = 0 a step carries R^-1 (z - mu x_0) along,
R R^T = Sigma; with eta = 1 it draws from the exact bridge; between, the reverse drifts of both are
mixed as 1 - eta^2 to eta^2, and the noise is eta times as strong.
analytic_models.bridges has closed forms for most of it: each judges the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, exp, log, sqrt
from typing import NamedTuple

import numpy as np

from gpu_samplers.conjugate import INTEGRATION, NODES, STAGES, WEIGHTS, factors
from gpu_samplers.processes import PSLD, Array, exponential, forward_drift, lower_factor
from splitting_analysis.clocks import Clock
from splitting_analysis.program import Hold

IDENTITY = np.eye(2)


class Step(NamedTuple):
    """z <- keep z + sum of gains[j] prediction_j + deviation xi; shapes (2, 2), (2, p), (2, 2) for
    p components of the prediction.
    """

    keep: Array
    gains: tuple[Array, ...]
    deviation: Array


def means(process: PSLD, taus: Array) -> Array:
    """mu at forward times (k,), shape (k, 2). Raises ValueError where the position has forgotten
    x_0.
    """
    clocks = np.array([process.clock(process.T - tau, tau) for tau in taus])
    found = exponential(forward_drift(process), clocks)[:, :, 0]
    if not found[:, 0].min() > 0:
        raise ValueError(
            f"Gamma = {process.Gamma}, nu = {process.nu}: no data are left in the position at "
            f"forward time {float(taus.max()):g} that a step could hold; choose Gamma < nu"
        )
    return found


def predicted(process: PSLD, tau: float) -> tuple[Array, Array]:
    """x_0 = (x + (Sigma s)^x) / Phi_xx, as the factors (1, 2) of state and score."""
    lower, share = factors(process, "lower", np.array([tau]))[0], means(process, np.array([tau]))
    row = (lower @ lower.T)[:1]
    return np.array([[1.0, 0.0]]) / share[0, 0], row / share[0, 0]


def readings(process: PSLD, clock: Clock, taus: Array) -> Array:
    """What a clock shows at forward times (k,)."""
    if clock == "tau":
        return taus
    sigma = factors(process, "lower", taus)[:, 0, 0]
    if clock == "sigma":
        return np.log(sigma)
    ratio = sigma / means(process, taus)[:, 0]
    return ratio if clock == "rho" else -np.log(ratio)


def time_between(process: PSLD, clock: Clock, begin: float, end: float, share: float) -> float:
    """The forward time at which a clock has gone `share` of its way, by dividing log tau."""
    first, last = readings(process, clock, np.array([begin, end]))
    low, high = 0.0, 1.0
    for _ in range(13):  # 16 parts each time: all digits
        parts = np.linspace(low, high, 17)
        gone = readings(process, clock, begin * np.exp(parts * log(end / begin))) - first
        place = int(np.clip(np.searchsorted(gone / (last - first), share), 1, 16))
        low, high = parts[place - 1], parts[place]
    return begin * exp(high * log(end / begin))


def ends(process: PSLD, clock: Clock, begin: float, end: float) -> tuple[float, float]:
    """What the clock shows where a step that holds a prediction begins and ends.

    Raises ValueError where it would end without noise, or its clock turns back.
    """
    if end <= 0:
        raise ValueError(
            f"a step from forward time {begin:g} to {end:g} holds a prediction where the position "
            "has no noise; the grid ends at eps > 0"
        )
    first, last = readings(process, clock, np.array([begin, end]))
    if not (last - first) * (1 if clock == "lambda" else -1) > 0:
        raise ValueError(
            f"from forward time {begin:g} to {end:g} the clock {clock} stands still or turns "
            "back; the clock tau runs on"
        )
    return float(first), float(last)


def hold(
    op: Hold,
    process: PSLD,
    clock: Clock,
    eta: float,
    factor: str,
    begin: float,
    end: float,
    nodes: Sequence[float],
) -> Step:
    """The step from forward time `begin` to `end` with data predicted at the forward times `nodes`.

    Raises ValueError where it would end without noise, or begin without data.
    """
    first, last = ends(process, clock, begin, end)
    count = len(nodes)
    state = np.hstack([IDENTITY, np.zeros((2, count))])
    noise = np.zeros((4, 1))
    for high, low in _panels(process, begin, end):
        taus = np.exp(log(high) + log(low / high) * NODES)
        pace = (log(low / high) * taus)[:, None, None]
        drift, kernel, added = _reverse(process, factor, eta, taus)
        theta = (readings(process, clock, taus) - first) / (last - first)
        source = kernel[:, :, None] * theta[:, None, None] ** np.arange(count)
        padded = np.concatenate([np.zeros_like(drift), source], axis=2)
        state = collocated(pace * drift, pace * padded, state)
        if eta:
            whole = np.einsum("qij,kl->qikjl", drift, IDENTITY)
            whole = whole + np.einsum("ij,qkl->qikjl", IDENTITY, drift)
            noise = collocated(
                pace * whole.reshape(-1, 4, 4), -pace * added.reshape(-1, 4, 1), noise
            )
    _, kernel, _ = _reverse(process, factor, eta, np.array([end]))
    at_end = kernel[0] * (last - first) / speed(process, clock, end)
    places = (readings(process, clock, np.array(nodes)) - first) / (last - first)
    powers = places ** np.arange(count)[:, None]
    gains = np.array(
        [
            np.linalg.solve(powers, np.array(op.rule(row[2:].tolist(), float(slope))))
            for row, slope in zip(state, at_end, strict=True)
        ]
    )
    deviation = lower_factor(noise.reshape(2, 2)) if eta else np.zeros((2, 2))
    return Step(state[:, :2], tuple(gains[:, j : j + 1] for j in range(count)), deviation)


def speed(process: PSLD, clock: Clock, tau: float) -> float:
    """d (reading) / d tau."""
    if clock == "tau":
        return 1.0
    lower, mu = factors(process, "lower", np.array([tau]))[0], means(process, np.array([tau]))[0]
    change = _slopes(process, np.array([tau]), lower[None])[0, 0, 0] / (2 * lower[0, 0] ** 2)
    fall = float((process.beta(tau) * forward_drift(process) @ mu)[0] / mu[0])
    if clock == "sigma":
        return float(change)
    return float(fall - change if clock == "lambda" else (change - fall) * lower[0, 0] / mu[0])


def _slopes(process: PSLD, taus: Array, lower: Array) -> Array:
    """Sigma' = F Sigma + Sigma F^T + G G^T at forward times (k,)."""
    rates = np.array([process.beta(tau) for tau in taus])[:, None, None]
    moved = rates * (forward_drift(process) @ lower @ lower.swapaxes(1, 2))
    return np.asarray(moved + moved.swapaxes(1, 2) + rates * _diffusion(process))


def _diffusion(process: PSLD) -> Array:
    """G G^T over beta."""
    return np.diag([process.Gamma, process.M * process.nu])


def _reverse(process: PSLD, factor: str, eta: float, taus: Array) -> tuple[Array, Array, Array]:
    """At forward times (k,): W in dz = (W (z - mu x_0) + mu' x_0) dtau; mu' - W mu; the noise's
    covariance by dtau.
    """
    lower, mu = factors(process, "lower", taus), means(process, taus)
    rates = np.array([process.beta(tau) for tau in taus])[:, None, None]
    forward, spread = rates * forward_drift(process), rates * _diffusion(process)
    back = np.linalg.inv(lower)
    pulled = spread @ back.swapaxes(1, 2) @ back
    drift = (1 - eta**2) * _carried(process, factor, taus, lower, forward + pulled / 2)
    drift = drift + eta**2 * (forward + pulled)
    kernel = np.einsum("qij,qj->qi", forward - drift, mu)
    return drift, kernel, eta**2 * spread


def _carried(process: PSLD, factor: str, taus: Array, lower: Array, flow: Array) -> Array:
    """R' R^-1 at forward times (k,); `flow` is that of the probability flow."""
    if factor == "flow":
        return flow
    slopes = _slopes(process, taus, lower)
    if factor == "symmetric":
        turned, sizes, _ = np.linalg.svd(lower)
        inside = turned.swapaxes(1, 2) @ slopes @ turned
        inside = inside / (sizes[:, :, None] + sizes[:, None, :]) / sizes[:, None, :]
        return np.asarray(turned @ inside @ turned.swapaxes(1, 2))
    if factor == "aligned":
        return _aligned(process, taus, lower, slopes)
    root = factors(process, factor, taus)
    back = np.linalg.inv(root)
    inside = back @ slopes @ back.swapaxes(1, 2)
    keep = np.tril(np.ones((2, 2))) if factor == "lower" else np.triu(np.ones((2, 2)))
    return np.asarray(root @ (inside * (keep - IDENTITY / 2)) @ back)


def _aligned(process: PSLD, taus: Array, lower: Array, slopes: Array) -> Array:
    """R' R^-1 of the R whose first column is mu / sqrt(q), q = mu^T Sigma^-1 mu."""
    mu = means(process, taus)[:, :, None]
    rates = np.array([process.beta(tau) for tau in taus])[:, None, None]
    change = rates * forward_drift(process) @ mu
    seen = np.linalg.solve(lower, mu)
    whole = np.sqrt((seen**2).sum(1, keepdims=True))
    across = np.concatenate([-seen[:, 1:], seen[:, :1]], axis=1)
    root = lower @ np.concatenate([seen, across], axis=2) / whole
    back = np.linalg.inv(root)
    inside = back @ slopes @ back.swapaxes(1, 2)
    first = back @ change / whole
    result = np.empty_like(inside)
    # the first entry is half of inside's own, as that of any square root's
    result[:, 0, 0], result[:, 1, 1] = inside[:, 0, 0] / 2, inside[:, 1, 1] / 2
    result[:, 1, 0] = first[:, 1, 0]
    result[:, 0, 1] = inside[:, 0, 1] - first[:, 1, 0]
    return np.asarray(root @ result @ back)


def collocated(matrices: Array, sources: Array, state: Array) -> Array:
    """The state after dZ = (matrix Z + source) du over u in [0, 1], both given at the nodes."""
    n = len(state)
    system = np.eye(STAGES * n)
    system = system - np.einsum("ij,jkl->ikjl", INTEGRATION, matrices).reshape(STAGES * n, -1)
    known = state + np.einsum("ij,jkl->ikl", INTEGRATION, sources)
    stages = np.linalg.solve(system, known.reshape(STAGES * n, -1)).reshape(STAGES, n, -1)
    return np.asarray(state + np.einsum("j,jkl->kl", WEIGHTS, matrices @ stages + sources))


def _panels(process: PSLD, begin: float, end: float) -> list[tuple[float, float]]:
    """Panels of forward time from `begin` down to `end`, short in log tau and in the clock."""
    damping = (process.Gamma + process.nu) * process.clock(process.T - begin, begin - end)
    parts = max(1, ceil(log(begin / end)), ceil(sqrt(damping)))
    edges = begin * np.exp(log(end / begin) * np.arange(parts + 1) / parts)
    return list(pairwise([begin, *edges[1:-1].tolist(), end]))
