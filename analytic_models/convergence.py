"""Global errors of a scheme's moments on a Gaussian target, and the order that they show.

Mean and covariance after n steps are exact numbers (moments.py), and so are those of the exact flow
(linear_flow.py): their difference is the whole error, signed, with no sampling in it. In mpmath
arithmetic there is no round-off floor either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mpmath
import numpy as np

from analytic_models.diffusions import Diffusion
from analytic_models.grids import GridName, grid
from analytic_models.linear_flow import Flow, closed_flow
from analytic_models.moments import run, starting_law
from analytic_models.targets import Block, Gaussian, Pair
from splitting_analysis.observed import ObservedOrder, observed_order
from splitting_analysis.schemes import Scheme

Start = str | tuple[Pair, Block]


def global_errors(
    scheme: Scheme,
    diffusion: Diffusion,
    target: Gaussian,
    steps: Sequence[int],
    eps: Any,
    start: Start = "prior",
    name: GridName = "uniform",
    lambda_s: Any = None,
    limit: Flow | None = None,
) -> dict[str, list[Any]]:
    """Scheme minus exact flow at time T - eps, for each number of steps on [0, T - eps].

    Keys are the components and their products, as "x", "m", "xx", "xm", "mm": means and
    covariances. `limit` replaces the exact flow as the reference, e.g. by the limit of a scheme
    with lambda_s != 1. One number per entry of `steps`, an array over modes where the target has
    several.
    """
    flow = limit or closed_flow(scheme.dynamics, diffusion, target, 0 * eps, diffusion.T - eps)
    exact = _named(scheme, *flow.push(*starting_law(diffusion, target, start)))
    errors: dict[str, list[Any]] = {key: [] for key in exact}
    for n in steps:
        times = grid(name, n, diffusion.T, eps)
        moments = run(scheme, diffusion, target, times, start, denoise=False, lambda_s=lambda_s)
        for key, value in _named(scheme, moments.mean, moments.covariance).items():
            errors[key].append(value - exact[key])
    return errors


def global_orders(
    scheme: Scheme,
    diffusion: Diffusion,
    target: Gaussian,
    steps: Sequence[int],
    eps: Any,
    start: Start = "prior",
    name: GridName = "uniform",
    lambda_s: Any = None,
    limit: Flow | None = None,
) -> dict[str, ObservedOrder]:
    """The observed order of every entry of `global_errors`, for a target of one mode.

    In float64 the round-off floor is taken as 1e-15 per step taken, at the finest; mpmath has none.
    Raises ValueError for a target of several modes: each has its own table.
    """
    if np.size(target.variances) != 1:
        raise ValueError(
            f"an order is read off one mode at a time, the target has {np.size(target.variances)}"
        )
    errors = global_errors(scheme, diffusion, target, steps, eps, start, name, lambda_s, limit)
    floor = 0 if isinstance(eps, mpmath.mpf) else 1e-15 * max(steps)
    scalars = {
        key: [e if isinstance(e, mpmath.mpf) else float(np.ravel(e)[0]) for e in row]
        for key, row in errors.items()
    }
    return {key: observed_order(steps, row, floor) for key, row in scalars.items()}


def slowest(orders: dict[str, ObservedOrder]) -> ObservedOrder:
    """The order of the method: that of its slowest entry, the first of those that agree in four
    decimals (round-off tells no more); a verdict that is no order comes first.
    """
    for verdict in ("diverges", "inconclusive"):
        for result in orders.values():
            if result.verdict == verdict:
                return result
    return min(orders.values(), key=lambda result: round(result.order or 0.0, 4))


def _named(scheme: Scheme, mean: Pair, covariance: Block) -> dict[str, Any]:
    names = scheme.model.components
    entries = dict(zip(names, mean, strict=True))
    for i, row in enumerate(covariance):
        entries |= {names[i] + names[j]: row[j] for j in range(i, len(row))}
    return entries
