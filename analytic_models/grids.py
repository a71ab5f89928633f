"""Time grids in reverse time t on [0, T - eps]."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np

GridName = Literal["uniform", "quadratic"]


def grid(name: str, steps: int, T: Any = 1.0, eps: Any = 1e-3) -> list[Any]:
    """`steps` + 1 times from 0 to T - eps: uniform, or quadratic (T - eps)(1 - (1 - i/n)^2).

    Raises ValueError for an unknown name, steps < 1, or eps outside [0, T) or lost beside T.
    """
    if steps < 1 or int(steps) != steps:
        raise ValueError(f"a grid has at least 1 step, not {steps}")
    if not 0 <= eps < T:
        raise ValueError(f"eps = {eps}: the last time T - eps must lie in (0, T], T = {T}")
    end = T - eps
    if eps > 0 and end == T:
        raise ValueError(
            f"eps = {eps} vanishes beside T = {T}: T - eps rounds to T, and nothing would be left "
            "to denoise; give 0, or 1e-15 T and more"
        )
    if name == "uniform":
        return [*(end * i / steps for i in range(steps)), end]  # i / n rounds, also past T
    if name == "quadratic":
        return [*(end * (i * (2 * steps - i)) / (steps * steps) for i in range(steps)), end]
    raise ValueError(f"no grid {name!r}; there are: uniform, quadratic")


def given_grid(times: Sequence[Any], T: Any = 1.0) -> list[Any]:
    """A user's grid. Raises ValueError unless it starts at 0, increases strictly and ends by T."""
    values = list(times)
    check_times(values, T)
    if values[0] != 0:
        raise ValueError(f"the grid starts at {values[0]}; it must start at 0")
    return values


def check_times(times: Sequence[Any], T: Any) -> None:
    """Raise ValueError unless the times are finite, increase strictly and lie in [0, T]."""
    if len(times) < 2 or not np.all(np.isfinite(np.asarray(times, dtype=np.float64))):
        raise ValueError("a grid needs at least two finite times, t_0 < ... < t_n <= T")
    for i, (a, b) in enumerate(pairwise(times)):
        if not a < b:
            raise ValueError(f"the grid does not increase at index {i + 1}: {a} then {b}")
    if times[0] < 0 or times[-1] > T:
        raise ValueError(f"the grid runs from {times[0]} to {times[-1]}, outside [0, T], T = {T}")
