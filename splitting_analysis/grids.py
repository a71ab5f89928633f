"""Time grids that samplers of today run on, and grids given time by time. Standard library only.

    uniform     t_i = (T - eps) i/n
    quadratic   t_i = (T - eps) (1 - (1 - i/n)^2)                         (theory section 7)
    karras      sigma/alpha to the power 1/7 falls evenly                 (EDM, equation 5)
    lambda      log(alpha/sigma) rises evenly                             (DPM-Solver)
    leading, trailing, linspace
                timesteps of 1000, tau_k = (k + 1) T/1000, spaced as diffusers does, and T - eps
                last: leading skips the noisiest (steps_offset 1), trailing starts at T, linspace
                is even between both ends

A grid is n + 1 reverse times; the first two hold for all models, karras and lambda for those of
position only, the last three for psld, vp and flow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from splitting_analysis.families import FAMILIES, POSITION_ONLY, family_of, names

EPS = 1e-3
"""Where a grid ends before T, unless said otherwise (theory section 7)."""
EVEN = ("uniform", "quadratic")
SPACED = ("karras", "lambda", "leading", "trailing", "linspace")
GRIDS = (*EVEN, *SPACED)
TRAINED = 1000
"""Timesteps of the networks that the last three are made for."""
KARRAS = 7
HELP = (
    "uniform; quadratic; of vp, ve and flow karras ((sigma/alpha)^(1/7) falls evenly: rho = 7) and "
    "lambda (log(alpha/sigma) rises evenly); of psld, vp and flow, among 1000 timesteps of "
    "networks, leading (every (1000//n)th, without the noisiest), trailing (from T on), linspace "
    "(even between both ends); or FILE of reverse times (.npy or text), or times 0,0.3,0.9: these "
    "say themselves how many steps there are."
)
Grid = str | tuple[float, ...]
"""A name, or reverse times."""
Even = Callable[[str, int, Any, Any], list[Any]]
"""(name, steps, T, eps) -> the times of one of `EVEN`."""


def spaced(name: str, steps: int, process: Any, eps: float) -> list[float]:
    """The times of one of the grids `SPACED`. Raises ValueError where the process has none such."""
    if steps < 1:
        raise ValueError(f"a grid has at least 1 step, not {steps}")
    T = float(process.T)
    if name in ("karras", "lambda"):
        taus = _clocked(name, steps, process, eps)
    elif not family_of(process).diffuses:
        raise ValueError(f"grid {name}: a {process.model_name} run takes uniform steps")
    elif not family_of(process).timesteps:
        known = names(model for model, family in FAMILIES.items() if family.timesteps)
        raise ValueError(
            f"grid {name}: timesteps are those of {known}, not of {process.model_name}"
        )
    else:
        taus = [(k + 1) * T / TRAINED for k in _timesteps(name, steps)]
    times = [*(max(0.0, T - tau) for tau in taus), T - eps]
    for before, after in pairwise(times):
        if not before < after:
            raise ValueError(
                f"grid {name} with {steps} steps: {before:.6g} is followed by {after:.6g}; give "
                "fewer steps or a smaller eps"
            )
    return times


def _clocked(name: str, steps: int, process: Any, eps: float) -> list[float]:
    """Forward times, noisiest first, without the last."""
    if process.model_name not in POSITION_ONLY:
        known = names(POSITION_ONLY)
        raise ValueError(f"grid {name}: for {known}, not for {process.model_name}")
    if not eps > 0:
        raise ValueError(f"grid {name}: sigma/alpha is 0 at eps = 0; give eps > 0")
    if name == "lambda":
        first, last = process.log_snr(process.T), process.log_snr(eps)
        readings = [first + (last - first) * i / steps for i in range(1, steps)]
        return [float(process.T), *(float(process.tau_at("lambda", r)) for r in readings)]
    ends = [process.clock_at("rho", tau) ** (1 / KARRAS) for tau in (process.T, eps)]
    readings = [(ends[0] + (ends[1] - ends[0]) * i / steps) ** KARRAS for i in range(1, steps)]
    return [float(process.T), *(float(process.tau_at("rho", r)) for r in readings)]


def _timesteps(name: str, steps: int) -> list[int]:
    """Indices of the first `steps` evaluations among the trained ones, noisiest first."""
    if steps > TRAINED - 2:
        raise ValueError(f"grid {name}: {TRAINED} timesteps make at most {TRAINED - 2} steps")
    if name == "leading":
        return [(TRAINED // steps) * k + 1 for k in reversed(range(steps))]
    if name == "trailing":
        return [round(TRAINED - TRAINED * k / steps) - 1 for k in range(steps)]
    if name == "linspace":
        return [round((TRAINED - 1) * (1 - k / steps)) for k in range(steps)]
    raise ValueError(f"no grid {name!r}; there are: {', '.join(GRIDS)}")


def times_on(chosen: Grid, steps: int, process: Any, eps: Any, even: Even) -> list[Any]:
    """The reverse times of a grid by name, or of one given; `even` are a world's own two."""
    if not isinstance(chosen, str):
        return given_times(chosen, steps, process.T)
    if chosen in EVEN:
        return even(chosen, steps, process.T, eps)
    return spaced(chosen, steps, process, eps)


def given_times(times: tuple[float, ...], steps: int, T: float) -> list[float]:
    """An explicit grid, if it has so many steps and ends by T. Raises ValueError."""
    if steps != len(times) - 1:
        raise ValueError(
            f"the grid given has {len(times) - 1} steps, and {steps} are asked for: it says itself "
            "how many there are, leave out the number of steps or evaluations"
        )
    if times[-1] > T:
        raise ValueError(f"the grid given ends at {times[-1]:g}, beyond T = {T:g}")
    return list(times)


def check_end(times: Sequence[float], T: Any, eps: float) -> None:
    """Raise ValueError where a grid that is given does not end at T - eps."""
    if abs(T - eps - times[-1]) > 1e-9 * T:
        raise ValueError(
            f"eps = {eps:g} with a grid that is given: its last time is {times[-1]:g}, which says "
            f"that eps is {T - times[-1]:g}; leave eps out, or end the grid at {T - eps:g}"
        )
