"""Time grids in reverse time t on [0, T - eps]."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import numpy as np

from analytic_models.arrays import read_row
from splitting_analysis import grids
from splitting_analysis.grids import EPS, GRIDS, Grid
from splitting_analysis.notation import read_float
from splitting_analysis.processes import Process

GridName = Literal["uniform", "quadratic"]
MOST_TIMES = 1_000_000
"""Of a grid in a file."""


def grid(name: str, steps: int, T: Any = 1.0, eps: Any = EPS) -> list[Any]:
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


def times_on(chosen: Grid, steps: int, process: Process, eps: Any) -> list[Any]:
    """The reverse times of a grid by name, or of one given; as `splitting_analysis.grids` says."""
    return grids.times_on(chosen, steps, process, eps, grid)


def read_grid(given: str | Sequence[float]) -> Grid:
    """A grid's name, or the times that a text lists, a file holds or that are given. Raises
    ValueError.
    """
    if not isinstance(given, str):
        try:
            given = [float(time) for time in given]
        except (TypeError, ValueError):
            message = f"grid = {str(given)[:40]}: a name, or reverse times such as (0, 0.3, 0.9)"
            raise ValueError(message) from None
        return _checked(given, "given")
    name = given.strip()
    if name.lower() in GRIDS:
        return name.lower()
    if "," in name and not Path(name).is_file():
        parts = name.split(",")
    else:
        path = Path(name)
        if not path.is_file():
            raise ValueError(
                f"no grid {name[:60]!r}; there are: {', '.join(GRIDS)}, a FILE of reverse times, "
                "or times as 0,0.3,0.9"
            )
        if path.suffix == ".npy":
            return _checked(read_row(path, "grid").tolist(), name)
        try:
            text = path.read_text(encoding="utf-8-sig")  # some editors begin with a mark
        except (UnicodeDecodeError, OSError) as error:
            raise ValueError(f"grid {name}: cannot be read as text ({error})") from None
        parts = text.replace(",", " ").split()
    try:
        times = [read_float(part) for part in parts]
    except ValueError as error:
        raise ValueError(f"grid {name[:60]}: {error}; times are numbers, e.g. 0,0.3,0.9") from None
    return _checked(times, name)


def _checked(times: Sequence[float], name: str) -> tuple[float, ...]:
    if not 2 <= len(times) <= MOST_TIMES:
        raise ValueError(f"grid {name[:60]}: 2 to {MOST_TIMES} reverse times, not {len(times)}")
    for i, (before, after) in enumerate(pairwise(times)):
        if not (isfinite(before) and isfinite(after) and before < after):
            raise ValueError(
                f"grid {name[:60]}: reverse times rise, and {before:g} is followed by {after:g} at "
                f"index {i + 1}"
            )
    if times[0] < 0:
        raise ValueError(f"grid {name[:60]}: reverse times start at 0 or later, not {times[0]:g}")
    return tuple(times)


def check_times(times: Sequence[Any], T: Any) -> None:
    """Raise ValueError unless the times are finite, increase strictly and lie in [0, T]."""
    if len(times) < 2 or not np.all(np.isfinite(np.asarray(times, dtype=np.float64))):
        raise ValueError("a grid needs at least two finite times, t_0 < ... < t_n <= T")
    for i, (a, b) in enumerate(pairwise(times)):
        if not a < b:
            raise ValueError(f"the grid does not increase at index {i + 1}: {a} then {b}")
    if times[0] < 0 or times[-1] > T:
        raise ValueError(f"the grid runs from {times[0]} to {times[-1]}, outside [0, T], T = {T}")
