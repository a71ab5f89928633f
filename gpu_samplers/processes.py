"""Kernels of the processes in float64, by quadrature, and time grids, as the samplers need them.

Stated again from the theory, apart from analytic_models, so that each judges the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, isfinite, sqrt

import numpy as np
from numpy.typing import NDArray

from splitting_analysis import grids
from splitting_analysis.grids import Grid
from splitting_analysis.processes import PSLD, VE, VP, Flow, Langevin, Process, Respa
from splitting_analysis.schemes import steps_for

__all__ = [
    "PSLD",
    "VE",
    "VP",
    "Array",
    "Flow",
    "Langevin",
    "Process",
    "Respa",
    "check_times",
    "exponential",
    "forward_drift",
    "grid",
    "integrated_exponential",
    "kernel",
    "kernels",
    "lower_factor",
    "noise_covariance",
    "steps_for",
    "times_on",
]

Array = NDArray[np.float64]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
MOST_PANELS = 1000
"""Panels of 20 nodes each of one quadrature: longer ones are put together from shorter ones."""


def exponential(matrix: Array, delta: Array) -> Array:
    """exp(delta matrix) for times `delta` (k,) and a matrix (n, n), n <= 2; shape (k, n, n).

    With mu the mean eigenvalue and q the square of half their difference times delta:
    exp = e^(mu delta) (cosh sqrt(q) + sinh(sqrt q)/sqrt(q) delta (matrix - mu)); q < 0 oscillates.
    Where nothing acts back on the first component, as in a free particle with friction, however
    strong, it is written with the two rates themselves, which do not overflow.
    """
    n = len(matrix)
    if n == 2 and matrix[1, 0] == 0 > matrix[1, 1] and matrix[0, 0] == 0:
        flow = np.tile(np.eye(2), (len(delta), 1, 1))
        flow[:, 0, 1] = matrix[0, 1] * np.expm1(matrix[1, 1] * delta) / matrix[1, 1]
        flow[:, 1, 1] = np.exp(matrix[1, 1] * delta)
        return flow
    mu = float(np.trace(matrix)) / n
    rest = matrix - mu * np.eye(n)
    q = (rest @ rest)[0, 0] * delta**2  # traceless and 2 x 2: its square is a multiple of I
    root = np.sqrt(np.abs(q))
    series = 1 + q / 6 * (1 + q / 20 * (1 + q / 42))  # exact to rounding where the quotient is not
    safe = np.where(root < 1e-2, 1.0, root)
    ratio = np.where(root < 1e-2, series, np.where(q > 0, np.sinh(root), np.sin(root)) / safe)
    even = np.where(q > 0, np.cosh(root), np.cos(root))
    flow = even[:, None, None] * np.eye(n) + (ratio * delta)[:, None, None] * rest
    return np.exp(mu * delta)[:, None, None] * flow


def noise_covariance(matrix: Array, noise: Array, delta: Array) -> Array:
    """Integral over u in [0, delta] of exp(u matrix) diag(noise) exp(u matrix)^T; delta (k,), (k,
    n, n).

    By Gauss-Legendre panels: the diagonal is a sum of positive terms, so that a tiny variance
    (the position of CLD after a short step, of order delta^3) keeps all its digits. A time too long
    for MOST_PANELS is halved, and doubled again by Q <- Q + E Q E^T.
    """
    if _panel_count(matrix, delta) > MOST_PANELS:
        half = noise_covariance(matrix, noise, delta / 2)
        flow = exponential(matrix, delta / 2)
        return np.asarray(half + flow @ half @ flow.swapaxes(1, 2))
    nodes, weights = _panels(matrix, delta)
    roots = np.sqrt(weights)[:, None, None] * np.sqrt(noise)
    flow = exponential(matrix, np.outer(delta, nodes).ravel()).reshape(
        len(delta), -1, *matrix.shape
    )
    wide = (flow * roots).swapaxes(1, 2).reshape(len(delta), len(matrix), -1)
    return np.asarray(delta[:, None, None] * (wide @ wide.swapaxes(1, 2)))


def integrated_exponential(matrix: Array, delta: Array) -> Array:
    """Integral over u in [0, delta] of exp(u matrix), by the same panels; delta (k,), (k, n, n)."""
    if _panel_count(matrix, delta) > MOST_PANELS:
        half = integrated_exponential(matrix, delta / 2)
        return np.asarray(half + exponential(matrix, delta / 2) @ half)
    nodes, weights = _panels(matrix, delta)
    flow = exponential(matrix, np.outer(delta, nodes).ravel()).reshape(
        len(delta), -1, *matrix.shape
    )
    return np.asarray(delta[:, None, None] * np.einsum("q,kqij->kij", weights, flow))


def _panels(matrix: Array, delta: Array) -> tuple[Array, Array]:
    """Nodes in [0, 1] and weights of Gauss-Legendre panels short enough for exp(u matrix)."""
    panels = _panel_count(matrix, delta)
    nodes = ((np.arange(panels)[:, None] + (_NODES + 1) / 2) / panels).ravel()
    return nodes, np.tile(_WEIGHTS / 2 / panels, panels)


def _panel_count(matrix: Array, delta: Array) -> int:
    size = np.abs(matrix)
    # in the units of a heavy or light momentum one entry is huge alone
    balanced = np.sqrt(size * size.T)
    return max(1, ceil(float(delta.max() * min(size.sum(), 4 * balanced.sum())) / 4))


def lower_factor(covariance: Array) -> Array:
    """Lower-triangular L, L L^T = covariance, of a (semi-)definite 1 x 1 or 2 x 2 matrix."""
    factor = np.zeros_like(covariance)
    factor[0, 0] = sqrt(max(covariance[0, 0], 0.0))
    if len(covariance) == 2:
        factor[1, 0] = covariance[1, 0] / factor[0, 0] if factor[0, 0] > 0 else 0.0
        factor[1, 1] = sqrt(max(covariance[1, 1] - factor[1, 0] ** 2, 0.0))
    return factor


def kernels(process: PSLD | VP, taus: Sequence[float]) -> tuple[Array, Array]:
    """Of z_tau given x_0 (momentum integrated out: hybrid score matching), at forward times (k,).

    Factors of x_0 (k, n), and covariances (k, n, n).
    """
    clocks = np.array([process.clock(process.T - tau, tau) for tau in taus])
    if isinstance(process, VP):
        return np.exp(-clocks / 2)[:, None], -np.expm1(-clocks)[:, None, None]
    drift = forward_drift(process)
    flow = exponential(drift, clocks)
    noise = noise_covariance(drift, np.array([process.Gamma, process.M * process.nu]), clocks)
    start = np.diag([0.0, process.kappa * process.M])
    return flow[:, :, 0], noise + flow @ start @ flow.transpose(0, 2, 1)


def kernel(process: PSLD | VP, tau: float) -> Array:
    """Covariance of z_tau given x_0, shape (n, n): see `kernels`."""
    return kernels(process, [tau])[1][0]


def forward_drift(process: PSLD) -> Array:
    """F0 / 2: dz = beta (F0 / 2) z dtau + noise, forward in time; shape (2, 2)."""
    return np.array([[-process.Gamma, 1 / process.M], [-1.0, -process.nu]]) / 2


def grid(name: str, steps: int, T: float = 1.0, eps: float = grids.EPS) -> list[float]:
    """`steps` + 1 reverse times on [0, T - eps], "uniform" or "quadratic" (theory section 7)."""
    if steps < 1 or not 0 <= eps < T:
        raise ValueError(
            f"{steps} steps to T - eps, T = {T}, eps = {eps}: it takes steps >= 1, 0 <= eps < T"
        )
    if eps > 0 and T - eps == T:
        raise ValueError(
            f"eps = {eps} vanishes beside T = {T}: T - eps rounds to T; give 0 or a larger eps"
        )
    if name == "uniform":
        # i / n rounds, also past T
        return [*((T - eps) * i / steps for i in range(steps)), T - eps]
    if name == "quadratic":
        return [*((T - eps) * (1 - (1 - i / steps) ** 2) for i in range(steps)), T - eps]
    raise ValueError(f"no grid {name!r}; there are: uniform, quadratic")


def times_on(chosen: Grid, steps: int, process: Process, eps: float) -> list[float]:
    """The reverse times of a grid by name, or of one given; as `splitting_analysis.grids` says."""
    return grids.times_on(chosen, steps, process, eps, grid)


def check_times(times: Sequence[float], T: float) -> None:
    """Raise ValueError unless there are two or more times, finite and increasing, in [0, T]."""
    if len(times) < 2 or not all(isfinite(t) for t in times):
        raise ValueError(f"a grid has at least two finite times, not {list(times)[:4]}")
    for i, (before, after) in enumerate(pairwise(times)):
        if not before < after:
            raise ValueError(f"the grid does not increase at index {i + 1}: {before} then {after}")
    if times[0] < 0 or times[-1] > T:
        raise ValueError(f"the grid runs from {times[0]} to {times[-1]}, outside [0, T], T = {T}")
