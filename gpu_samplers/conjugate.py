"""A conjugate step (theory section 6) in float64, by Gauss-Legendre collocation in sqrt(tau).

The step is Euler's for B, then the flow of dz = (B + beta linear) z dt + beta score * s with s =
-L(tau)^-T eps and eps held. L^-T grows like tau^-1/2 at most, so in v = sqrt(tau) the equation is
smooth down to tau = 0, and matrices that do not commute are nothing special.
"""

from __future__ import annotations

from collections.abc import Callable
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
Shift = Callable[[Array], Array]
"""B that moves: at forward times (k,), shape (k, n, n)."""
Panel = tuple[float, float]
RESOLVED = 1e-14
"""Of a matrix that moves, what its last Legendre coefficients on a panel may be."""
MOST_PANELS, SHORTEST = 4000, 2.0**-20
"""So many, and of so much of the way, before B counts as one that has none."""
MOST_SCALES = 1e4
"""Of B times a step, at most: the state leaves float64 long before, and panels follow its size."""
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
    shift: Array | Shift,
    factor: str,
    begin: float,
    end: float,
    seen: float,
    skip: float | None = None,
) -> tuple[Array, Array]:
    """keep and gain (n, n), z' = keep z + gain s, from forward time `begin` to `end`, s taken at
    `seen`.

    With a variance `skip` the linear part has C_skip in it, and s is the score without C_skip z.
    Raises ValueError for a process without eps, and for a B that is not finite or moves too fast.
    """
    process = _with_eps(process)
    n = len(linear)
    identity, state = np.eye(n), np.hstack([np.eye(n), np.zeros((n, n))])

    def matrix(taus: Array) -> Array:
        """B + beta (linear + weight C_skip) at forward times (k,)."""
        rates = np.array([process.beta(u) for u in taus])[:, None, None]
        own = linear if skip is None else linear + weight[:, None] * skipped(process, skip, taus)
        return np.asarray(at(shift, taus) + rates * own)

    moves = callable(shift) or skip is not None
    if not callable(shift) and (scales := (begin - end) * np.abs(shift).sum()) > MOST_SCALES:
        raise ValueError(
            f"B moves too fast: from forward time {begin:.3g} to {end:.3g} it multiplies by up to "
            f"exp({scales:.3g}), and may by exp({MOST_SCALES:g}); give smaller entries of B, or a "
            "smaller lambda"
        )

    def rate_of(high: float, low: float) -> float:
        """How fast the state moves between two times; of a table beta is one number there."""
        if callable(shift):
            return float(np.abs(matrix(np.array([high]))).sum())
        beta = process.beta((high + low) / 2 if jumps else high)
        return float(np.abs(shift).sum() + beta * np.abs(linear).sum())

    jumps = process.kinks(end, begin) if isinstance(process, VP) else ()
    whole = [
        panel
        for high, low in pairwise([begin, *reversed(jumps), end])
        for panel in panels(sqrt(high), sqrt(low), sqrt(float(process.T)), rate_of(high, low))
    ]
    for high, low in refined(whole, matrix) if moves else whole:
        v = high + (low - high) * NODES
        tau, speed = v * v, 2 * v * (high - low)
        rate = np.array([process.beta(u) for u in tau])
        matrices = speed[:, None, None] * matrix(tau)
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
    keep = state[:, :n] @ (identity - (begin - end) * at(shift, np.array([begin]))[0])
    return keep, state[:, n:] @ factors(process, factor, np.array([seen]))[0].T


def at(shift: Array | Shift, taus: Array) -> Array:
    """B at forward times (k,), shape (k, n, n)."""
    if not callable(shift):
        return np.broadcast_to(shift, (len(taus), *shift.shape))
    with np.errstate(all="ignore"):
        found = shift(taus)
    if not np.isfinite(found).all():
        raise ValueError(f"B has no finite value near forward time {float(taus[0]):.3g}")
    return found


def refined(whole: list[Panel], matrix: Callable[[Array], Array]) -> list[Panel]:
    """The panels, halved where a polynomial through the nodes does not have the matrix, or where it
    moves the state by much.
    """
    degrees = 2 * np.arange(STAGES) + 1
    values = np.polynomial.legendre.legvander(2 * NODES - 1, STAGES - 1)
    waiting, found = list(reversed(whole)), list[Panel]()
    while waiting:
        high, low = waiting.pop()
        v = high + (low - high) * NODES
        moved = matrix(v * v) * (2 * v * (high - low))[:, None, None]
        size = np.abs(moved).max()
        parts = np.einsum("i,id,ijk->djk", WEIGHTS, values, moved) * degrees[:, None, None]
        if size <= 2 and np.abs(parts[-3:]).max() <= RESOLVED * max(size, 1.0):
            found.append((high, low))
        elif len(found) > MOST_PANELS or high - low < SHORTEST * (whole[0][0] - whole[-1][1]):
            raise ValueError(
                f"B moves too fast, or is not finite, near forward time {high * high:.3g}"
            )
        else:
            middle = (high + low) / 2
            waiting += [(middle, low), (high, middle)]
    return found


def _with_eps(process: Process) -> PSLD | VP:
    """The process, if its networks predict eps. Raises ValueError for another."""
    if not isinstance(process, PSLD | VP):
        raise ValueError(  # noqa: TRY004 - bad input is a ValueError here
            f"conjugate steps are those of psld and vp, not of {process.model_name}"
        )
    return process


def skipped(process: Process, variance: float, taus: Array) -> Array:
    """C_skip = -Sigma^-1 at forward times (k,), with Sigma the covariance of Gaussian data of that
    variance; shape (k, n, n).

    Raises ValueError for a process without eps.
    """
    process = _with_eps(process)
    clocks = np.array([process.clock(process.T - tau, tau) for tau in taus])
    if isinstance(process, VP):
        return (-1 / (variance * np.exp(-clocks) - np.expm1(-clocks)))[:, None, None]
    drift = forward_drift(process)
    noise = noise_covariance(drift, np.array([process.Gamma, process.M * process.nu]), clocks)
    moved = exponential(drift, clocks)
    held = np.array([variance, process.kappa * process.M])
    total = noise + np.einsum("kia,a,kja->kij", moved, held, moved)
    # det(N + a p p^T + b q q^T), summed so that near tau = 0 nothing is lost
    turned = np.stack([moved[:, 1], -moved[:, 0]], axis=1)
    det = noise[:, 0, 0] * noise[:, 1, 1] - noise[:, 0, 1] ** 2
    det = det + np.einsum("kia,kij,kja,a->k", turned, noise, turned, held)
    det = det + held[0] * held[1] * np.exp(2 * np.trace(drift) * clocks)
    adjugate = np.stack(
        [
            np.stack([total[:, 1, 1], -total[:, 0, 1]], axis=-1),
            np.stack([-total[:, 0, 1], total[:, 0, 0]], axis=-1),
        ],
        axis=1,
    )
    return np.asarray(-adjugate / det[:, None, None])


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
    none = root == 0  # at tau = 0, where all entries are limits
    root = np.where(none, 1.0, root)
    result[:, i, i], result[:, j, i], result[:, j, j] = (
        np.where(none, 0.0, root),
        total[:, 0, 1] / root,
        np.sqrt(det) / root,
    )
    result[none, j, j if process.Gamma > 0 else i] = np.sqrt(total[none, j, j])
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
