"""Whether a run blew up because its steps are beyond the stability limit, and which of them shows it.

An inaccurate run is not unstable. Three things make one so, in the same mode: its law has left every
scale that the exact law has on the way; a step is longer than the largest stable one there, with
coefficients frozen at its first or its last evaluation; and such steps alone can multiply up to that
growth. A few long steps do it by their norm rather than by their eigenvalues.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytic_models.diffusions import Diffusion
from analytic_models.moments import Moments
from analytic_models.stability import (
    NEUTRAL,
    exact_growth,
    frozen_problem,
    largest_stable_step,
    spectral_radius,
    step_matrix,
)
from analytic_models.targets import Gaussian, initial
from splitting_analysis.notation import parse
from splitting_analysis.schemes import Scheme

EXPLODED = 10.0
"""A component this many times as wide as it should ever be has exploded."""
LARGE = 1e300
"""Stands for what overflowed."""
LOOKED_AT = 100
"""Steps of a run that are examined, spread evenly, the first and the last among them."""


@dataclass(frozen=True)
class Unstable:
    """The step that goes furthest beyond stability: its length and the limit there, in forward time.

    `components` are those of the state that exploded: the momentum may do so in the last step alone.

    `tau` is the forward time of the evaluation that shows it; `mode` counts from 0.
    """

    step: float
    limit: float
    tau: float
    mode: int
    variance: float
    components: tuple[str, ...]


def instability(
    scheme: Scheme, diffusion: Diffusion, target: Gaussian, times: Sequence[float], moments: Moments,
    denoise: bool,
) -> Unstable | None:  # fmt: skip
    """Why the run on the grid `times` that ended at `moments` exploded, or None where it did not.

    None also where it exploded without a step beyond its limit. The denoising step counts as a step.
    """
    exploded = _exploded(diffusion, target, moments)
    if not exploded.any():
        return None
    modes = np.flatnonzero(exploded.any(axis=0))
    variances = np.asarray(target.variances)[modes]
    growth = np.zeros(len(modes))
    worst: tuple[float, Scheme, float, float, int] | None = None
    for stepper, tau, h, weight in _steps(scheme, diffusion, times, denoise):
        own, frozen = frozen_problem(stepper, diffusion, variances, tau)
        rising, rate = exact_growth(stepper, own, frozen)
        matrix = step_matrix(stepper, own, frozen, h)
        radius = spectral_radius(matrix)
        beyond = (np.where(np.isnan(radius), np.inf, radius) > 1 + 1e-9) & (rising <= NEUTRAL * rate)
        radius = np.where(beyond, np.where(np.isfinite(radius), radius, LARGE), 1.0)
        growth += weight * np.where(beyond, np.log(np.maximum(_norm(matrix, diffusion), radius)), 0.0)
        k = int(np.argmax(radius))
        if radius[k] > 1 and (worst is None or radius[k] > worst[0]):
            worst = (float(radius[k]), stepper, tau, h, k)
    if worst is None or growth[worst[4]] < math.log(EXPLODED) / 2:
        return None
    _, stepper, tau, h, k = worst
    limit = float(largest_stable_step(stepper, diffusion, variances[k : k + 1], tau, 2 * h)[0])
    components = tuple(scheme.model.components[i] for i in np.flatnonzero(exploded.any(axis=1)))
    return Unstable(h, min(limit, h), tau, int(modes[k]), float(variances[k]), components)


def _norm(matrix: NDArray[np.float64], diffusion: Diffusion) -> NDArray[np.float64]:
    """The most that the state's block stretches a vector, components in units of the stationary law."""
    unit = np.sqrt(np.array(diffusion.stationary, dtype=np.float64))
    block = matrix[..., : len(unit), : len(unit)] * unit / unit[:, None]
    safe = np.clip(np.where(np.isfinite(block), block, LARGE**0.25), -(LARGE**0.25), LARGE**0.25)
    return np.asarray(np.linalg.norm(safe, 2, axis=(-2, -1)))


def _exploded(diffusion: Diffusion, target: Gaussian, moments: Moments) -> NDArray[np.bool_]:
    """Components (rows) and modes whose spread about 0 is EXPLODED times the largest it should have."""
    mean, data = initial(diffusion, target)
    result = np.zeros((len(diffusion.stationary), np.size(target.variances)), dtype=bool)
    with np.errstate(all="ignore"):
        for i, still in enumerate(diffusion.stationary):
            spread = np.asarray(moments.mean[i]) ** 2 + moments.covariance[i][i]
            right = np.maximum(np.asarray(mean[i]) ** 2 + data[i][i], float(still))
            result[i] = ~(spread <= EXPLODED**2 * right)
    return result


def _steps(
    scheme: Scheme, diffusion: Diffusion, times: Sequence[float], denoise: bool
) -> list[tuple[Scheme, float, float, float]]:
    """What steps, its frozen forward time, how far it steps, and for how many of its like it stands."""
    n = len(times) - 1
    places = np.unique(np.linspace(0, n - 1, min(n, LOOKED_AT)).astype(int))
    latest = float(max(op.at for op in scheme.word if op.letter == "S"))
    steps = []
    for i in places:
        tau, h = float(diffusion.T - times[i]), float(times[i + 1] - times[i])
        # Near the data a late evaluation meets a stiffer score than the first.
        steps += [(scheme, tau - c * h, h, n / len(places)) for c in sorted({0.0, latest})]
    left = float(diffusion.T - times[-1])
    if denoise and left > 0 and scheme.model.time_dependent:
        euler = Scheme("the denoising step", parse("S E"), scheme.model)
        steps.append((euler, left, left, 1.0))
    return [step for step in steps if float(diffusion.beta(step[1])) > 0]
