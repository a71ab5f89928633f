"""Whether a run blew up because its steps are beyond the stability limit, and which of them shows
it.

An inaccurate run is not unstable. Three things make one so, in the same mode: its law has left
every scale that the exact law has on the way; a step is beyond stability, with coefficients frozen
at its first or its last evaluation; and what such steps multiply by beyond what is right comes up
to that growth. A few long steps do it by their norm rather than by their eigenvalues.

Where the exact frozen flow contracts, a step is beyond stability that is longer than the largest
stable one. Where it expands there is none, since growth is right, and where it stands still there
may be none, since slow growth is a step's error; a step is beyond stability there if its spectral
radius outgrows the exact factor exp(g h) by more than that factor itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analytic_models.diffusions import Diffusion
from analytic_models.frozen import (
    exact_growth,
    frozen_problem,
    has_limits,
    spectral_radius,
    step_matrix,
)
from analytic_models.moments import Moments
from analytic_models.stability import largest_stable_step
from analytic_models.targets import Gaussian, marginal
from splitting_analysis.notation import parse
from splitting_analysis.schemes import Scheme

EXPLODED = 10.0
"""A component this many times as wide as it should ever be has exploded."""
LARGE = 1e300
"""Stands for what overflowed."""
MOST_TIMES = 1000
"""At so many times of a run, spread evenly, it is asked how wide its law should be."""
LOOKED_AT = 100
"""Steps of a run that are examined, spread evenly, the first and the last among them."""


BEYOND = 2.0
"""A step that grows at this many times the exact rate, or at all where there is none, is beyond
stability.
"""
ROUND_OFF = 1e-9
"""Growth in a step that counts as none."""


class _Step(NamedTuple):
    """What steps, its frozen forward time, how far it steps, and for how many of its like it
    stands.
    """

    scheme: Scheme
    tau: float
    h: float
    weight: float


class _Worst(NamedTuple):
    """A step, the logarithm of its spectral radius, and that of the exact factor, at least 0."""

    radius: float
    right: float
    step: _Step


@dataclass(frozen=True)
class Unstable:
    """The step that goes furthest beyond stability: its length and the limit there, in forward
    time.

    `limit` is None where the exact flow expands, or stands still while any step grows: none is too
    long by itself there. `factor` is the step's spectral radius, `exact` the exact flow's: how much
    either multiplies. `components` are those of the state that exploded: the momentum may do so in
    the last step alone. `tau` is the forward time of the evaluation that shows it; `mode` counts
    from 0.
    """

    step: float
    limit: float | None
    factor: float
    exact: float
    tau: float
    mode: int
    variance: float
    components: tuple[str, ...]


def instability(
    scheme: Scheme,
    diffusion: Diffusion,
    target: Gaussian,
    times: Sequence[float],
    moments: Moments,
    denoise: bool,
) -> Unstable | None:
    """Why the run on the grid `times` that ended at `moments` exploded, or None where it did not.

    None also for schemes without limits (`has_limits`), for conjugate steps, whose factor moves as
    they do, for words in another clock than time, whose steps have other lengths there, and where
    it exploded without a step beyond its limit. The denoising step counts as a
    step.
    """
    if not has_limits(scheme) or scheme.program.conjugates or scheme.in_clock != "tau":
        return None
    exploded = _exploded(diffusion, target, times, moments)
    if not exploded.any():
        return None
    modes = np.flatnonzero(exploded.any(axis=0))
    variances = np.asarray(target.variances)[modes]
    growth = np.zeros(len(modes))
    worst: list[_Worst | None] = [None] * len(modes)
    for step in _steps(scheme, diffusion, times, denoise):
        own, frozen = frozen_problem(step.scheme, diffusion, variances, step.tau)
        right = np.maximum(exact_growth(step.scheme, own, frozen)[0], 0.0) * step.h
        matrix = step_matrix(step.scheme, own, frozen, step.h)
        with np.errstate(divide="ignore"):  # a map to 0, whose logarithm is -inf
            radius = np.log(np.nan_to_num(spectral_radius(matrix), nan=LARGE, posinf=LARGE))
            most = np.maximum(np.log(_norm(matrix, diffusion)), radius)
        beyond = radius > BEYOND * right + ROUND_OFF
        growth += step.weight * np.where(beyond, most - right, 0.0)
        for k in map(int, np.flatnonzero(beyond)):
            found = worst[k]
            if found is None or radius[k] - right[k] > found.radius - found.right:
                worst[k] = _Worst(float(radius[k]), float(right[k]), step)
    causes = [
        (found, k) for k, found in enumerate(worst) if found and growth[k] >= math.log(EXPLODED) / 2
    ]
    if not causes:
        return None
    found, worse = max(causes, key=lambda cause: cause[0].radius - cause[0].right)
    stepper, tau, h, _ = found.step
    limit = float(
        largest_stable_step(stepper, diffusion, variances[worse : worse + 1], tau, 2 * h)[0]
    )
    components = tuple(scheme.model.components[i] for i in np.flatnonzero(exploded.any(axis=1)))
    return Unstable(
        step=h,
        limit=None if math.isnan(limit) else min(limit, h),
        factor=math.exp(found.radius),
        exact=math.exp(found.right),
        tau=tau,
        mode=int(modes[worse]),
        variance=float(variances[worse]),
        components=components,
    )


def _norm(matrix: NDArray[np.float64], diffusion: Diffusion) -> NDArray[np.float64]:
    """The most that the state's block stretches a vector, components in units of the stationary
    law.
    """
    unit = np.sqrt(np.array(diffusion.stationary, dtype=np.float64))
    block = matrix[..., : len(unit), : len(unit)] * unit / unit[:, None]
    safe = np.clip(np.where(np.isfinite(block), block, LARGE**0.25), -(LARGE**0.25), LARGE**0.25)
    return np.asarray(np.linalg.norm(safe, 2, axis=(-2, -1)))


def _exploded(
    diffusion: Diffusion, target: Gaussian, times: Sequence[float], moments: Moments
) -> NDArray[np.bool_]:
    """Components (rows) and modes whose spread about 0 is EXPLODED times the largest it should ever
    have.
    """
    seen = np.append(np.asarray(times), diffusion.T)
    taus = diffusion.T - seen[_spread(len(seen), MOST_TIMES)]
    mean, law = marginal(diffusion, target, taus[:, None])
    result = np.zeros((len(diffusion.stationary), np.size(target.variances)), dtype=bool)
    with np.errstate(all="ignore"):
        for i, still in enumerate(diffusion.stationary):
            spread = np.asarray(moments.mean[i]) ** 2 + moments.covariance[i][i]
            exact = np.atleast_2d(np.asarray(mean[i]) ** 2 + law[i][i])
            right = np.maximum(exact.max(axis=0), float(still))
            result[i] = ~(spread <= EXPLODED**2 * right)
    return result


def _spread(count: int, most: int) -> NDArray[np.intp]:
    """At most so many of `count` places, evenly, the first and the last among them."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.intp)


def _steps(
    scheme: Scheme, diffusion: Diffusion, times: Sequence[float], denoise: bool
) -> list[_Step]:
    """The steps that are looked at, each with the score frozen at its first and at its last
    evaluation.
    """
    n = len(times) - 1
    places = _spread(n, LOOKED_AT)
    latest = float(max(op.at for op in scheme.word if op.letter == "S"))
    steps = []
    for i in places:
        tau, h = float(diffusion.T - times[i]), float(times[i + 1] - times[i])
        # Near the data a late evaluation meets a stiffer score than the first.
        steps += [_Step(scheme, tau - c * h, h, n / len(places)) for c in sorted({0.0, latest})]
    left = float(diffusion.T - times[-1])
    if denoise and left > 0 and scheme.model.time_dependent:
        euler = Scheme("the denoising step", parse("S E"), scheme.equation)
        steps.append(_Step(euler, left, left, 1.0))
    return [step for step in steps if float(diffusion.beta(step.tau)) > 0]
