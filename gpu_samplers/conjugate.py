"""A conjugate step (theory section 6) in float64, by Gauss-Legendre collocation in sqrt(tau).

The step is Euler's for B, then the flow of dz = (B + beta linear) z dt + beta score * s with s =
-L(tau)^-T eps and eps held. L^-T grows like tau^-1/2 at most, so in v = sqrt(tau) the equation is
smooth down to tau = 0, and matrices that do not commute are nothing special.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from math import ceil, sqrt

import numpy as np

from gpu_samplers.processes import (
    PSLD,
    VP,
    Array,
    Process,
    exponential,
    forward_drift,
    noise_covariance,
)

STAGES = 20
NODES = (np.polynomial.legendre.leggauss(STAGES)[0] + 1) / 2
WEIGHTS = np.polynomial.legendre.leggauss(STAGES)[1] / 2
HALVINGS = 12
"""Panels double from T 4^-HALVINGS on: below, nothing varies that does not at 0."""


def _integration_matrix() -> Array:
    """a_ij, the integral of the j-th Lagrange polynomial up to the i-th node."""
    x = 2 * NODES - 1
    values = np.polynomial.legendre.legvander(x, STAGES)
    degrees = np.arange(STAGES)
    # P_{-1} counts as -1: it gives x + 1
    below = np.hstack([-np.ones((STAGES, 1)), values[:, : STAGES - 1]])
    integrals = (values[:, 1:] - below) / (2 * degrees + 1) / 2
    # discrete orthogonality of Legendre polynomials at Gauss nodes
    return np.asarray(integrals @ ((2 * degrees + 1)[:, None] * values[:, :STAGES].T * WEIGHTS))


INTEGRATION = _integration_matrix()


def conjugate_step(
    process: Process,
    linear: Array,
    weight: Array,
    shift: Array,
    factor: str,
    begin: float,
    end: float,
    seen: float,
) -> tuple[Array, Array]:
    """keep and gain (n, n), z' = keep z + gain s, from forward time `begin` to `end`, s taken at
    `seen`.

    Raises ValueError for a process without eps.
    """
    if not isinstance(process, PSLD | VP):
        raise ValueError(  # noqa: TRY004 - bad input is a ValueError here
            f"conjugate steps are those of psld and vp, not of {process.model_name}"
        )
    n = len(linear)
    identity, state = np.eye(n), np.hstack([np.eye(n), np.zeros((n, n))])
    size = float(np.abs(shift).sum() + process.beta(begin) * np.abs(linear).sum())
    for high, low in panels(sqrt(begin), sqrt(end), sqrt(float(process.T)), size):
        v = high + (low - high) * NODES
        tau, speed = v * v, 2 * v * (high - low)
        rate = np.array([process.beta(u) for u in tau])
        matrices = speed[:, None, None] * (shift + rate[:, None, None] * linear)
        source = (speed * rate)[:, None, None] * (
            weight[:, None] * inverse_factors(process, factor, tau)
        )
        forced = np.concatenate([np.zeros_like(source), source], axis=2)
        # stages Z_i = Z_0 + sum_j a_ij (M_j Z_j + f_j)
        system = np.eye(STAGES * n) - np.einsum("ij,jkl->ikjl", INTEGRATION, matrices).reshape(
            STAGES * n, -1
        )
        known = state + np.einsum("ij,jkl->ikl", INTEGRATION, forced)
        stages = np.linalg.solve(system, known.reshape(STAGES * n, -1)).reshape(STAGES, n, 2 * n)
        state = state + np.einsum("j,jkl->kl", WEIGHTS, matrices @ stages + forced)
    keep = state[:, :n] @ (identity - (begin - end) * shift)
    return keep, state[:, n:] @ factors(process, factor, np.array([seen]))[0].T


def panels(high: float, low: float, whole: float, size: float) -> list[tuple[float, float]]:
    """Panels of v from `high` down to `low`."""
    borders = {high, low, *(b for k in range(HALVINGS + 1) if low < (b := whole * 0.5**k) < high)}
    ordered, panels = sorted(borders, reverse=True), []
    for a, b in pairwise(ordered):
        parts = max(1, ceil((a * a - b * b) * size))
        edges = a + (b - a) * np.arange(parts + 1) / parts
        panels += list(pairwise(edges.tolist()))
    return panels


def factors(process: PSLD | VP, name: str, taus: Array) -> Array:
    """L at forward times (k,), L L^T the kernel's covariance, triangular; shape (k, n, n)."""
    clocks = np.array([process.clock(process.T - tau, tau) for tau in taus])
    if isinstance(process, VP):
        return np.sqrt(-np.expm1(-clocks))[:, None, None]
    drift = forward_drift(process)
    noise = noise_covariance(drift, np.array([process.Gamma, process.M * process.nu]), clocks)
    start = exponential(drift, clocks)[:, :, 1]
    variance = process.kappa * process.M
    total = noise + variance * start[:, :, None] * start[:, None, :]
    turned = np.stack([start[:, 1], -start[:, 0]], axis=1)
    # det(N + v v^T) = det N + v^T adj(N) v: near tau = 0 the entries' products would lose it
    det = noise[:, 0, 0] * noise[:, 1, 1] - noise[:, 0, 1] ** 2
    det = det + variance * np.einsum("ki,kij,kj->k", turned, noise, turned)
    result = np.zeros_like(total)
    i, j = (0, 1) if name == "lower" else (1, 0)
    root = np.sqrt(total[:, i, i])
    result[:, i, i], result[:, j, i], result[:, j, j] = (
        root,
        total[:, 0, 1] / root,
        np.sqrt(det) / root,
    )
    return result


def inverse_factors(process: PSLD | VP, name: str, taus: Array) -> Array:
    """L^-T at forward times (k,)."""
    return _cached(process, name, tuple(taus.tolist()))


@lru_cache(4096)
def _cached(process: PSLD | VP, name: str, taus: tuple[float, ...]) -> Array:
    own = factors(process, name, np.array(taus))
    if own.shape[1] == 1:
        return 1 / own
    result = np.zeros_like(own)
    result[:, 0, 0], result[:, 1, 1] = 1 / own[:, 0, 0], 1 / own[:, 1, 1]
    i, j = (0, 1) if name == "lower" else (1, 0)
    result[:, i, j] = -own[:, j, i] / (own[:, 0, 0] * own[:, 1, 1])
    return result
