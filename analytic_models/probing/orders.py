"""The order at which a sampler converges, and to what: three targets, two sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from analytic_models.probing.law import exact, mixture_exact, mixture_output, output_law
from analytic_models.probing.running import Array, Late, Trouble
from analytic_models.probing.signature import probe
from analytic_models.probing.skewed import skew_errors
from analytic_models.probing.subject import Subject
from splitting_analysis.models import model_of
from splitting_analysis.observed import observed_order
from splitting_analysis.processes import Process

COUNTS = (4, 5, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128)
"""Steps of the runs, coarse to fine; code may do otherwise where they are odd."""
UNEVEN_COUNTS = (4, 6, 8, 12, 16, 24, 32, 46, 64)
"""Of runs on pairs of steps."""
SKEWED_COUNTS = (4, 6, 8, 11, 16, 23, 32, 45, 64)
FLOOR, FLOOR_SINGLE = 2e-13, 3e-6
"""Errors below are round-off, and show no order: of float64, and of code in float32."""
NEAR = 0.12
"""How far an observed order may lie from the claimed one."""
MOST_COMPONENTS = 8
CLEAR = 10.0
"""So many times the bound on round-off, an error is clear of it."""
ENOUGH = 6
"""Runs that show an order, if there is no time for more."""
RAMP = 12
"""Steps of doubling length that lead up to the first whole one, so that starting costs nothing."""
Grid = Callable[[int], Sequence[float]]


@dataclass(frozen=True)
class Observed:
    """What a table of errors over the counts says: the lowest order of its components.

    order     None where nothing settles
    floor     whether errors ended in round-off
    errors    (counts, components), signed, relative to the size of each
    """

    target: str
    order: float | None
    counts: tuple[int, ...]
    errors: Array
    floor: bool
    names: tuple[str, ...]
    limits: Array | None = None
    """Exact values of the components, for naming a wrong limit."""

    @property
    def tends_elsewhere(self) -> bool:
        """Whether the errors stop falling far above round-off."""
        sizes = np.max(np.abs(self.errors), axis=1)
        return bool(self.order is not None and self.order < 0.5 and sizes[-1] > 1e-4) or bool(
            sizes[-1] > 1e-3 and sizes[-1] > 0.7 * sizes[len(sizes) // 2]
        )


def evenly(process: Process) -> Grid:
    """A uniform grid over the middle of the process: nothing is singular there."""
    T = float(process.T)
    return lambda n: tuple(T * (0.1 + 0.8 * i / n) for i in range(n + 1))


def bent(process: Process, bend: float) -> Grid:
    """The same stretch in pairs of steps, 1 to 2, and growing (bend > 0), or 2 to 1 and shrinking.

    On a grid that is only smooth, neighbours become alike as it is refined: weights that hold for
    equal steps alone would not show. The number of steps is even.
    """
    T, part = float(process.T), 1 / 3 if bend > 0 else 2 / 3

    def grid(n: int) -> tuple[float, ...]:
        pairs = [i / (n // 2) for i in range(n // 2 + 1)]
        ends = [T * (0.1 + 0.8 * ((1 - bend) * u + bend * u * u)) for u in pairs]
        split = [time for a, b in pairwise(ends) for time in (a, a + part * (b - a))]
        return (*split, ends[-1])

    return grid


def ramped(process: Process, whole: Grid | None = None) -> Grid:
    """The uniform grid, or another, its first step cut into steps that double."""
    whole = whole or evenly(process)

    def grid(n: int) -> tuple[float, ...]:
        times = whole(n)
        first, length = times[0], times[1] - times[0]
        return (first, *(first + length * 2.0 ** (i - RAMP) for i in range(RAMP)), *times[1:])

    return grid


def gaussian_orders(
    subject: Subject,
    process: Process,
    grid: Grid,
    stochastic: bool,
    single: bool = False,
    counts: Sequence[int] = COUNTS,
) -> Observed:
    """Of mean and covariance on a Gaussian target. Raises Trouble where no run succeeds."""

    def error(times: Sequence[float]) -> tuple[Array, bool]:
        law = output_law(subject, process, times)
        mean, covariance = exact(process, times, stochastic)
        i, j = np.triu_indices(covariance.shape[1])
        size = np.sqrt(np.einsum("dii->di", covariance))
        first = (law.mean - mean) / size
        second = (law.covariance - covariance)[:, i, j] / (size[:, i] * size[:, j])
        return np.concatenate([first.ravel(), second.ravel()]), law.single or single

    components = model_of(process.model_name, "sde" if stochastic else "ode").components
    modes = range(3)
    pairs = [f"cov({a}, {b})" for k, a in enumerate(components) for b in components[k:]]
    names = [f"mean of {c}, mode {d}" for d in modes for c in components]
    names += [f"{p}, mode {d}" for d in modes for p in pairs]
    return _observed("a Gaussian target", error, grid, counts, tuple(names))


def mixture_orders(
    subject: Subject,
    process: Process,
    grid: Grid,
    single: bool = False,
    counts: Sequence[int] = COUNTS,
) -> Observed:
    """Of the end points of deterministic code on a mixture."""

    def error(times: Sequence[float]) -> tuple[Array, bool]:
        reference = _trajectory(process, float(times[0]), float(times[-1]))
        wrong = mixture_output(subject, process, times) - reference
        return (wrong / (1 + np.abs(reference))).ravel(), single

    return _observed("a mixture of Gaussians", error, grid, counts, (), floor=2e-11)


@lru_cache(maxsize=64)
def _trajectory(process: Process, first: float, last: float) -> Array:
    return mixture_exact(process, first, last)


def skewed_orders(subject: Subject, process: Process, grid: Grid) -> Observed:
    """Of mean and third cumulants on a skewed target."""

    def error(times: Sequence[float]) -> tuple[Array, bool]:
        signature = probe(subject, process, times)
        return skew_errors(signature, process, times[0], times[-1]), signature.single

    return _observed("a skewed target", error, grid, SKEWED_COUNTS, ())


def _observed(
    target: str,
    error: Callable[[Sequence[float]], tuple[Array, bool]],
    grid: Grid,
    counts: Sequence[int],
    names: tuple[str, ...],
    floor: float = FLOOR,
) -> Observed:
    done: list[int] = []
    rows: list[Array] = []
    trouble: Trouble | None = None
    for n in counts:
        try:
            row, single = error(grid(n))
        except Late:
            if len(done) < ENOUGH:
                raise
            break
        except Trouble as found:  # a step may be too long for the code, and shorter ones not
            if done:
                raise
            trouble = found
            continue
        floor = max(floor, FLOOR_SINGLE if single else 0)
        done.append(n)
        rows.append(row)
        if len(rows) > 4 and np.max(np.abs(row)) < floor:
            break
    if len(done) < 4:
        raise trouble or Trouble("runs of more and more steps", "too few of them end")
    errors = np.array(rows)
    picked = np.argsort(-np.max(np.abs(errors[len(errors) // 3 :]), axis=0))[:MOST_COMPONENTS]
    found_orders = []
    for component in picked:
        column = errors[:, component]
        if np.max(np.abs(column)) <= 4 * floor:
            continue
        order_here = _settled(done, [float(value) for value in column], floor)
        if order_here is not None:
            found_orders.append(order_here)
        else:
            found_orders += _by_parity(done, column, floor)
    order = min(found_orders, default=None)
    ended = bool(np.max(np.abs(errors[-1])) < 4 * floor)
    return Observed(target, order, tuple(done), errors, ended, names)


def _by_parity(counts: Sequence[int], errors: Array, floor: float) -> list[float]:
    """The orders of even and of odd numbers of steps, where each by itself shows one: code that
    takes steps in pairs has two constants, and one table of both does not settle.
    """
    found = []
    for odd in (0, 1):
        rows = [k for k, n in enumerate(counts) if n % 2 == odd]
        order = _settled([counts[k] for k in rows], [float(errors[k]) for k in rows], floor)
        if order is None:
            return []
        found.append(order)
    return found


def _settled(counts: Sequence[int], errors: list[float], floor: float) -> float | None:
    """The order that errors show; where round-off leaves it open, of those that are clear of it, as
    if it were smaller: the bound on it is wide.
    """
    found = observed_order(counts, errors, floor).order if counts else None
    if found is not None:
        return found
    clear = next((k for k, e in enumerate(errors) if abs(e) < CLEAR * floor), len(errors))
    if clear < 4:
        return None
    return observed_order(counts[:clear], errors[:clear], floor / CLEAR).order
