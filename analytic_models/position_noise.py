"""lambda_s, the scale of the position noise in the letter O: exact errors, the best value, the
bias.

lambda_s = 1 is the exact Ornstein-Uhlenbeck step. Any other value trades a bias that survives
h -> 0 for a smaller error at large h. On a Gaussian target both are numbers, not estimates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.integrate import quad_vec
from scipy.optimize import minimize_scalar

from analytic_models.distances import wasserstein_squared
from analytic_models.linear_flow import closed_flow, integrated_flow
from analytic_models.moments import starting_law
from analytic_models.problem import Problem
from analytic_models.targets import Block, Pair, initial
from splitting_analysis.schemes import Scheme, steps_for

Array = NDArray[np.float64]
HIGH = 32.0
"""Upper end of the interval searched, unless another is given: the best values grow with h."""
NODES = 24
"""Chebyshev nodes in lambda_s."""
SCAN = 513
"""Values of lambda_s compared before refinement."""


@dataclass(frozen=True)
class Best:
    """The lambda_s with the smallest position error on [low, high], and what it gains.

    `boundary` is "low" or "high" where the error still falls at that end of the interval: the value
    is then the best of the interval only. `w2_x` is at the best value, `w2_x_exact_noise` at 1.
    """

    lambda_s: float
    w2_x: float
    w2_x_exact_noise: float
    nfe: int
    steps: int
    boundary: Literal["low", "high"] | None


def x_error(scheme: Scheme, setting: Problem, nfe: int, lambda_s: float) -> float:
    """2-Wasserstein distance of the position marginal to the data law at a budget of `nfe`
    evaluations.
    """
    mean, variance = _x_law(scheme, setting, nfe, lambda_s)
    return float(np.sqrt(np.sum(_x_distance(setting, mean, variance))))


def x_error_curve(
    scheme: Scheme, setting: Problem, nfe: int, low: float = 0.0, high: float = HIGH
) -> Callable[[Any], Array]:
    """`x_error` as a function of arrays of lambda_s in [low, high], for the price of NODES runs.

    The mean does not depend on lambda_s, and each variance is an entire function of it: it is
    interpolated at Chebyshev nodes, to round-off. Raises ValueError for a scheme without tunable
    position noise, and, from the curve, for values outside [low, high].
    """
    if not scheme.has_tunable_noise:
        raise ValueError(
            f"{scheme.name} ({scheme.word}) has no letter O whose position noise lambda_s could "
            "scale"
        )
    if not 0 <= low < high < np.inf:
        raise ValueError(f"lambda_s in [{low}, {high}]: the interval needs 0 <= low < high")
    nodes = chebyshev.chebpts1(NODES)
    laws = [_x_law(scheme, setting, nfe, low + (high - low) * (x + 1) / 2) for x in nodes]
    mean = laws[0][0]
    series = chebyshev.chebfit(nodes, np.array([variance for _, variance in laws]), NODES - 1)

    def curve(lambdas: Any) -> Array:
        values = np.atleast_1d(np.asarray(lambdas, dtype=np.float64))
        if values.size and not (low <= values.min() and values.max() <= high):
            raise ValueError(
                f"lambda_s from {values.min()} to {values.max()} lies outside [{low}, {high}]"
            )
        at = chebyshev.chebval(2 * (values - low) / (high - low) - 1, series)
        return np.array([np.sqrt(np.sum(_x_distance(setting, mean, column))) for column in at.T])

    return curve


def best_lambda_s(
    scheme: Scheme, setting: Problem, nfe: int, low: float = 0.0, high: float = HIGH
) -> Best:
    """The best constant lambda_s in [low, high] at a budget of `nfe` evaluations.

    A scan of the whole interval brackets the smallest value (there may be several minima), then it
    is refined; an optimum at an end of the interval is said to be one. Raises ValueError as
    `x_error_curve` does, and where the budget buys no step.
    """
    curve = x_error_curve(scheme, setting, nfe, low, high)
    scan = np.linspace(low, high, SCAN)
    first = int(np.argmin(curve(scan)))
    boundary: Literal["low", "high"] | None = None
    if first in (0, SCAN - 1):
        boundary, best = ("low", low) if first == 0 else ("high", high)
    else:
        bounds = (scan[first - 1], scan[first + 1])
        best = float(minimize_scalar(lambda x: curve(x)[0], bounds=bounds, method="bounded").x)
    steps = steps_for(nfe, scheme, setting.denoise)
    return Best(
        best,
        x_error(scheme, setting, nfe, best),
        x_error(scheme, setting, nfe, 1.0),
        nfe,
        steps,
        boundary,
    )


def limit_law(setting: Problem, lambda_s: Any) -> tuple[Pair, Block]:
    """The law at T - eps that every scheme with this lambda_s tends to as h -> 0 (either rule).

    The reverse SDE with its position noise scaled by lambda_s, a number or a function of reverse
    time; moment equations integrated (linear_flow).
    """
    diffusion, target = setting.process, setting.target
    flow = integrated_flow(
        "sde", diffusion, target, 0.0, diffusion.T - setting.eps, lambda_s, 1e-11
    )
    return flow.push(*starting_law(diffusion, target, setting.start))


def limit_excess_variance(setting: Problem, lambda_s: float) -> Array:
    """Position variance of the limit law minus the exact one, (d,), by another route: one
    quadrature.

    (lambda_s - 1) times the integral of beta Gamma R_xx(t)^2 dt, R(t) the exact flow from t to T -
    eps.
    """
    diffusion, target = setting.process, setting.target
    end = diffusion.T - setting.eps

    def density(t: float) -> Array:
        gain = closed_flow("sde", diffusion, target, t, end).matrix
        return np.asarray(
            diffusion.beta(diffusion.T - t) * diffusion.parameters.Gamma * gain[0][0] ** 2
        )

    # The integrand lives near the end, on the scale of eps: equal panels in the logarithm of what
    # is left.
    integrate: Any = quad_vec
    value, _, info = integrate(
        lambda v: density(end - np.exp(v)) * np.exp(v),
        np.log(1e-14),
        np.log(end),
        epsrel=1e-11,
        limit=500,
        full_output=True,
    )
    if not info.success:
        raise ValueError(f"the excess variance did not converge: {info.message}")
    return np.asarray((lambda_s - 1) * value)


def bias(setting: Problem, lambda_s: Any) -> float:
    """2-Wasserstein distance of position marginals at T - eps: limit law against exact reverse
    SDE.
    """
    diffusion, target = setting.process, setting.target
    flow = closed_flow("sde", diffusion, target, 0.0, diffusion.T - setting.eps)
    exact, law = flow.push(*starting_law(diffusion, target, setting.start))
    mean, covariance = limit_law(setting, lambda_s)
    distance = wasserstein_squared(mean[:1], ((covariance[0][0],),), exact[:1], ((law[0][0],),))
    return float(np.sqrt(np.sum(distance)))


def _x_law(scheme: Scheme, setting: Problem, nfe: int, lambda_s: float) -> tuple[Array, Array]:
    """Mean and variance of the position, per mode, at a budget of nfe."""
    moments = setting.law(scheme, setting.steps(scheme, nfe), lambda_s)
    return np.asarray(moments.mean[0]), np.asarray(moments.covariance[0][0])


def _x_distance(setting: Problem, mean: Array, variance: Array) -> Array:
    data_mean, data = initial(setting.process, setting.target)
    return wasserstein_squared((mean,), ((variance,),), data_mean[:1], ((data[0][0],),))
