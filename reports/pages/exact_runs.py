"""Exact errors on the embedded spectrum, computed once per report and shared by its pages."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytic_models.diffusions import Diffusion, diffusion_of
from analytic_models.distances import score_card
from analytic_models.linear_flow import closed_flow
from analytic_models.moments import Moments, run, starting_law
from analytic_models.problem import Problem
from analytic_models.targets import Gaussian, digits_spectrum
from splitting_analysis.catalogue import entries
from splitting_analysis.grids import EPS
from splitting_analysis.schemes import Scheme, steps_for
from splitting_analysis.weak import at_lambda_one

SPECTRUM = "covariance spectrum of scikit-learn’s bundled 8×8 digits, pixels in [−1, 1]"
GRIDS = ("uniform", "quadratic")
KINDS = {"ode": "probability flow", "sde": "reverse SDE"}
_ROUNDING = 1e-12
"""Eigenvalues below this fraction of the largest are round-off of zero: pixels that never
change.
"""


@cache
def target() -> Gaussian:
    values = digits_spectrum()
    return Gaussian(np.where(values < _ROUNDING * values.max(), 0.0, values))


def schemes(model: str, dynamics: str) -> tuple[Scheme, ...]:
    """The catalogue's samplers of a kind, with the exact noise."""
    return tuple(at_lambda_one(s) for s in entries(model, dynamics))


@cache
def diffusion(model: str) -> Diffusion:
    return diffusion_of(model)


@cache
def moments(
    scheme: Scheme, steps: int, grid_name: str = "uniform", start: str = "prior"
) -> Moments:
    """The sampler's exact law on the digits target, final denoising step included."""
    problem = Problem(diffusion(scheme.model_name), target(), grid_name, start)
    return problem.law(scheme, steps)


def card(scheme: Scheme, steps: int, *options: Any) -> dict[str, float]:
    """Distances to the data law; options as for `moments`."""
    return score_card(moments(scheme, steps, *options), diffusion(scheme.model_name), target())


def at_budget(scheme: Scheme, nfe: int, *options: Any) -> dict[str, float] | None:
    """`card` with the steps that `nfe` evaluations buy; None where they buy none, or too few for
    the ancestral step to exist (it needs beta h < 1)."""
    try:
        return card(scheme, steps_for(nfe, scheme, denoise=True), *options)
    except ValueError:
        return None


def per_mode(scheme: Scheme, steps: int, *options: Any) -> NDArray[np.float64]:
    """Error of each mode's standard deviation in position, sampler minus data."""
    return _deviations(moments(scheme, steps, *options))


def _deviations(law: Moments) -> NDArray[np.float64]:
    variance = np.asarray(law.covariance[0][0], float)
    return np.sqrt(np.maximum(variance, 0)) - np.sqrt(target().variances)


@cache
def _limit_law(model: str, dynamics: str, start: str, denoise: bool) -> Moments:
    """The law of the exact reverse flow, cut at T - eps, then denoised or not."""
    process = diffusion(model)
    almost, end = process.T - EPS * (1 + 1e-6), process.T - EPS
    flow = closed_flow(dynamics, process, target(), 0.0, almost)  # type: ignore[arg-type]
    law = flow.push(*starting_law(process, target(), start))
    # its one step has length 1e-6 eps: only the denoising step counts
    euler = entries(model, dynamics)[0]
    return run(euler, process, target(), [almost, end], law, denoise)


def limit(model: str, dynamics: str, start: str, denoise: bool = True) -> dict[str, float]:
    """What remains for h -> 0: distances of the exact reverse flow, cut at T - eps, to the data
    law.
    """
    return score_card(_limit_law(model, dynamics, start, denoise), diffusion(model), target())


def limit_per_mode(model: str, dynamics: str, start: str) -> NDArray[np.float64]:
    """`per_mode` of the exact reverse flow, cut and denoised."""
    return _deviations(_limit_law(model, dynamics, start, True))
