"""Weak errors on a one-dimensional mixture without Monte Carlo, by the backward recursion of the
engine.

A run is a chain of updates z' = M (z, s(z, tau), xi). With u_N = phi, u_k(z) = E u_{k+1}(z') is
computed on a grid in the plane of position and momentum: Gauss-Hermite nodes for the normals,
quintic splines between grid points. E phi of the run is then an integral of u_0 over the exact law
at the start, and its limit for h -> 0 is E phi of the exact law at the end, in closed form: both
laws are mixtures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, spline_filter

from analytic_models import diffusions
from analytic_models.mixtures import Mixture, score
from analytic_models.targets import Gaussian, marginal
from gpu_samplers.plan import plan
from gpu_samplers.processes import PSLD
from reports.experiments.runner import SILENT, Watch
from splitting_analysis.catalogue import entries
from splitting_analysis.observed import observed_order
from splitting_analysis.schemes import Scheme

Array = NDArray[np.float64]
TARGET = Mixture([1.0, 2.0], [[-0.9], [0.6]], [0.05, 0.15])
PARAMETERS = {"Gamma": 0.3, "nu": 2.3, "beta_min": 2.0, "beta_max": 2.0, "kappa": 0.3}
START, END = 0.9, 0.3
"""Forward times between which the runs go."""
STEPS = (8, 16, 32, 64, 128)
HALF_WIDTH, POINTS, FEWER, NODES = 7.0, 81, 67, 6
Functions = Callable[[Array, Array], Array]
"""Test functions: positions and momenta (count,) to values (q, count)."""
NAMES = ("x²", "sin(x + m)")


def observables(x: Array, m: Array) -> Array:
    """The functions NAMES at points."""
    return np.stack([x**2, np.sin(x + m)])


def expectation(phi: Functions, tau: float) -> Array:
    """E phi of the exact law at forward time tau, (q,), by 40 x 40 Gauss-Hermite nodes per
    component.
    """
    process = diffusions.PSLD(**PARAMETERS)
    nodes, weights = _normals(40, 2)
    parts = []
    for share, mean, variance in zip(
        TARGET.weights, TARGET.means[:, 0], TARGET.variances, strict=True
    ):
        centre, block = marginal(process, Gaussian(float(variance), float(mean)), tau)
        factor = np.linalg.cholesky(np.array(block, dtype=np.float64))
        x, m = factor @ nodes + np.array(centre, dtype=np.float64)[:, None]
        parts.append(share * phi(x, m) @ weights)
    return np.sum(parts, axis=0)


def run_expectation(
    scheme: Scheme, phi: Functions, steps: int, points: int = POINTS, nodes: int = NODES
) -> Array:
    """E phi at the end of a run from the exact law at START, (q,). Raises ValueError for a carried
    score.
    """
    if scheme.carries_score:
        raise ValueError(
            f"{scheme.name} carries its score: a step is no function of the state alone"
        )
    process, exact = PSLD(**PARAMETERS), diffusions.PSLD(**PARAMETERS)
    times = [process.T - START + (START - END) * i / steps for i in range(steps + 1)]
    updates = plan(scheme, process, times, denoise=False, merge_noise=True).updates
    axis = np.linspace(-HALF_WIDTH, HALF_WIDTH, points)
    z = np.stack([c.ravel() for c in np.meshgrid(axis, axis, indexing="ij")])
    after = phi
    for k in range(len(updates) - 1, -1, -1):
        matrix, tau = updates[k].matrix, updates[k - 1].tau if k else None
        if matrix is None:  # the state is what it was: only a score is evaluated here
            continue
        known = z
        if tau is not None:
            known = np.concatenate([z, score(exact, TARGET, z[:, :, None], tau)[:, :, 0]])
        normals, weights = _normals(nodes, matrix.shape[1] - len(known))
        drift, spread = matrix[:, : len(known)] @ known, matrix[:, len(known) :] @ normals
        x, m = (drift[:, :, None] + spread[:, None, :]).reshape(2, -1)
        after = _spline(axis, after(x, m).reshape(-1, z.shape[1], len(weights)) @ weights)
    return expectation(after, START)


def _spline(axis: Array, values: Array) -> Functions:
    """Quintic splines through the values (q, points^2) on the square of `axis`; constant
    outside.
    """
    tables = [
        spline_filter(v.reshape(len(axis), len(axis)), order=5, mode="mirror") for v in values
    ]
    spacing = axis[1] - axis[0]

    def functions(x: Array, m: Array) -> Array:
        places = np.clip((np.stack([x, m]) - axis[0]) / spacing, 0, len(axis) - 1)
        return np.stack(
            [map_coordinates(t, places, order=5, mode="mirror", prefilter=False) for t in tables]
        )

    return functions


def _normals(nodes: int, dimensions: int) -> tuple[Array, Array]:
    """Nodes (dimensions, count) and weights of a product rule for independent standard normals."""
    if dimensions == 0:
        return np.zeros((0, 1)), np.ones(1)
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    grids = np.meshgrid(*[x] * dimensions, indexing="ij")
    weights = np.prod(np.meshgrid(*[w / w.sum()] * dimensions, indexing="ij"), axis=0)
    return np.stack([g.ravel() for g in grids]), weights.ravel()


def compute(steps: tuple[int, ...] = STEPS, watch: Watch = SILENT) -> list[dict[str, Any]]:
    """Signed weak errors and observed orders of every stochastic PSLD sampler, by test function.

    Interpolation errs a little in every step: `floor`, what a coarser grid changes in the longest
    run, is some twice as much as all of it.
    """
    rows = []
    exact = expectation(observables, END)
    for scheme in watch(entries("psld", "sde"), "weak"):
        errors = np.array([run_expectation(scheme, observables, n) - exact for n in steps])
        floors = abs(
            run_expectation(scheme, observables, steps[-1], FEWER) - exact - errors[-1]
        ).tolist()
        for name, value, signed, floor in zip(
            NAMES, exact.tolist(), errors.T.tolist(), floors, strict=True
        ):
            found = observed_order(list(steps), signed, floor)
            rows.append(
                {
                    "scheme": scheme.name,
                    "claim": scheme.order,
                    "function": name,
                    "steps": list(steps),
                    "signed": signed,
                    "floor": floor,
                    "exact": value,
                    "order": found.order,
                    "low": found.low,
                    "high": found.high,
                    "summary": found.summary,
                }
            )
    return rows
