"""The law of a sampler's output on targets with an exact score: no Monte Carlo, no word assumed.

On a Gaussian target the code is run on the origin and the basis vectors of its start and normals,
which gives mean and covariance of its output exactly. On a mixture, deterministic code is compared
with its reference trajectory. `skewed` has the non-linear target for stochastic code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from analytic_models.linear_flow import closed_flow
from analytic_models.probing.running import Array, run
from analytic_models.probing.signature import rehearse, sizes
from analytic_models.probing.subject import Subject
from analytic_models.rules import coefficients
from analytic_models.targets import Gaussian, marginal, score
from splitting_analysis.clocks import PositionOnly
from splitting_analysis.families import family_of, fixed_target
from splitting_analysis.models import model_of
from splitting_analysis.processes import VE, Process

TARGET = Gaussian(np.array([0.3, 0.8, 2.0]), np.array([0.4, 0.0, -0.7]))
FIXED_START = ((0.3, -0.2), ((1.5, 0.0), (0.0, 0.6)))
"""Mean and covariance from which a run on a fixed target starts: off its stationary law."""
MODES = ((0.7, 0.25, 0.45), (0.3, -0.9, 0.2))
"""Weight, mean and variance of the components of a mixture in each coordinate."""
FAR = 3.0
"""How much further out some starts on the mixture lie."""


@dataclass(frozen=True)
class Law:
    """Mean (d, n) and covariance (d, n, n), with what it took."""

    mean: Array
    covariance: Array
    calls: int
    single: bool


def output_law(
    subject: Subject, process: Process, times: Sequence[float], target: Gaussian = TARGET
) -> Law:
    """The exact law of the subject's output on the target, three modes, from the exact law at its
    start.
    """
    n, asked, m = sizes(process)
    d = len(target.variances)
    counted = rehearse(subject, process, times, d)
    draws = counted.draws
    rows = 1 + n + n * draws
    start = np.zeros((rows, n, d))
    start[1 + np.arange(n), np.arange(n)] = 1

    def gaussian(_: int, y: Array, tau: float) -> Array:
        return affine_score(process, target, y.reshape(rows, asked, d), tau).reshape(rows, m * d)

    def noise(number: int) -> Array:
        values = np.zeros((rows, n, d))
        if number < draws:
            values[1 + n + n * number + np.arange(n), np.arange(n)] = 1
        return values.reshape(rows, n * d)

    done = run(subject, process, times, start.reshape(rows, n * d), gaussian, noise)
    values = done.final.reshape(rows, n, d)
    linear = np.moveaxis(values[1 : 1 + n] - values[0], 2, 0).transpose(0, 2, 1)  # (d, n, n)
    normals = np.moveaxis(values[1 + n :] - values[0], 2, 0)  # (d, draws n, n)
    mean0, covariance0 = starting(process, times[0], target)
    mean = np.einsum("dij,dj->di", linear, mean0) + values[0].T
    covariance = np.einsum("dij,djk,dlk->dil", linear, covariance0, linear)
    covariance += np.einsum("dki,dkj->dij", normals, normals)
    return Law(mean, covariance, len(done.taus), done.single)


def affine_score(process: Process, target: Gaussian, y: Array, tau: float) -> Array:
    """The score of a Gaussian target at y (batch, asked, d)."""
    rows, shift = score(process, target, tau)
    model = model_of(process.model_name, "ode")
    shape, columns = y.shape[2:], model.asked
    matrix = np.array([[np.broadcast_to(rows[i][j], shape) for j in columns] for i in model.driven])
    constant = np.array([np.broadcast_to(shift[i], shape) for i in model.driven])
    result: Array = np.einsum("ijd,bjd->bid", matrix, y) + constant
    return result


def starting(process: Process, t: float, target: Gaussian = TARGET) -> tuple[Array, Array]:
    """The law that a run starts from: exact at its first time; (d, n) and (d, n, n)."""
    if not family_of(process).diffuses:
        return _stacked(*FIXED_START)
    return _stacked(*marginal(process, target, process.T - t))


def exact(process: Process, times: Sequence[float], stochastic: bool) -> tuple[Array, Array]:
    """The exact law at the end of the grid."""
    if family_of(process).diffuses:
        return _stacked(*marginal(process, TARGET, process.T - times[-1]))
    flow = closed_flow("sde" if stochastic else "ode", process, TARGET, times[0], times[-1])
    return _stacked(*flow.push(*FIXED_START))


def _stacked(mean: Any, covariance: Any) -> tuple[Array, Array]:
    d = len(TARGET.variances)
    first = np.array([np.broadcast_to(e, d) for e in mean]).T
    rows = np.array([[np.broadcast_to(e, d) for e in row] for row in covariance])
    return first, np.moveaxis(rows, 2, 0)


def mixture_score(process: Process, y: Array, tau: float) -> Array:
    """The exact score of a mixture of two Gaussians in each coordinate, at y (batch, asked, d)."""
    asked = model_of(process.model_name, "ode").asked
    logs, slopes = [], []
    for weight, mean, variance in MODES:
        target = Gaussian(np.array([variance]), np.array([mean]))
        centre, covariance = marginal(process, target, tau)
        middle = np.array([float(np.ravel(centre[i])[0]) for i in asked])
        block = np.array([[float(np.ravel(covariance[i][j])[0]) for j in asked] for i in asked])
        gap = y - middle[:, None]
        slope = -np.einsum("ij,bjd->bid", np.linalg.inv(block), gap)
        logs.append(
            np.log(weight) - np.linalg.slogdet(block)[1] / 2 + np.sum(gap * slope, axis=1) / 2
        )
        slopes.append(slope)
    shares = np.exp(np.array(logs) - np.max(logs, axis=0))
    shares /= np.sum(shares, axis=0)
    result: Array = np.einsum("kbd,kbid->bid", shares, np.array(slopes))
    if fixed_target(process):  # the whole force, or its parts
        parts = [process.shares[i] for i in model_of(process.model_name, "ode").driven]
        result = np.stack([part * result[:, 0] for part in parts], axis=1)
    return result


def mixture_start(process: Process, t: float, d: int = 2, count: int = 10) -> Array:
    """Points (count, n, d) that a mixture's law at the start of a run would give, and beyond: a
    clamp must show.
    """
    rng = np.random.default_rng(17)
    n = len(process.stationary)
    normals = rng.normal(size=(count, n, d))
    normals[-2:] *= FAR
    target = Gaussian(np.array([1.0]))
    _, covariance = marginal(process, target, process.T - t)
    block = np.array([[float(np.ravel(e)[0]) for e in row] for row in covariance])
    points: Array = np.einsum("ij,bjd->bid", np.linalg.cholesky(block), normals)
    return points


def mixture_output(subject: Subject, process: Process, times: Sequence[float]) -> Array:
    """Where deterministic code ends on the mixture, (count, n, d)."""
    n, asked, m = sizes(process)
    start = mixture_start(process, times[0])
    count, _, d = start.shape

    def target(_: int, y: Array, tau: float) -> Array:
        return mixture_score(process, y.reshape(count, asked, d), tau).reshape(count, m * d)

    def silent(_: int) -> Array:
        return np.zeros((count, n * d))

    done = run(subject, process, times, start.reshape(count, n * d), target, silent)
    return done.final.reshape(start.shape)


def mixture_exact(process: Process, first: float, last: float) -> Array:
    """Where the probability flow leads from `mixture_start`, to 1e-12.

    Position-only processes are one flow in the clock rho = sigma/alpha, d(x/alpha)/drho = eps,
    whatever the schedule: there it is smooth, and ends at 0.
    """
    start = mixture_start(process, first)
    if isinstance(process, PositionOnly):
        scales = [float(process.alpha(process.T - t)) for t in (first, last)]
        ends = [float(process.clock_at("rho", process.T - t)) for t in (first, last)]
        edm = VE(T=max(ends))

        def slope(rho: float, y: Array) -> Array:
            return np.asarray(-rho * np.ravel(mixture_score(edm, y.reshape(start.shape), rho)))

        return _solved(slope, start / scales[0], ends) * scales[1]
    model = model_of(process.model_name, "ode")
    linear, weights, _ = coefficients(model.drift, process)

    def drift(t: float, flat: Array) -> Array:
        y, tau = flat.reshape(start.shape), float(process.T - t)
        s = np.zeros_like(y)
        s[:, list(model.driven)] = mixture_score(process, y[:, list(model.asked)], tau)
        moved = np.einsum("ij,bjd->bid", np.array(linear, dtype=float), y)
        pushed = np.zeros_like(y)
        for k, (i, weight) in enumerate(zip(model.onto, weights, strict=True)):
            pushed[:, i] += float(weight) * s[:, k]
        return np.ravel(process.beta(tau) * (moved + pushed))

    return _solved(drift, start, [first, last])


def _solved(slope: Callable[[float, Array], Array], start: Array, ends: Sequence[float]) -> Array:
    found = solve_ivp(slope, ends, start.ravel(), "DOP853", rtol=1e-12, atol=1e-13)
    result: Array = found.y[:, -1].reshape(start.shape)
    return result
