"""What a cause of foreign failures is: a number three times, and what is read off running code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytic_models.probing.signature import Signature, probe
from analytic_models.probing.subject import Subject
from gpu_samplers.adapters import subject

V = 0.3
"""Variance of the data where a run as a whole is looked at."""


Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trace:
    """One number that shows a cause; `cause` is a key of the page's texts."""

    cause: str
    what: str
    right: float
    formula: float
    seen: float | None


def alpha_bars(last: float = 0.02, first: float = 1e-4, n: int = 1000) -> Array:
    """Alpha-bar of linear betas, in float64."""
    return np.asarray(np.cumprod(1 - np.linspace(first, last, n)))


def noise_levels(bars: Array) -> Array:
    return np.asarray(np.sqrt((1 - bars) / bars))


def signature_of(spec: str, n: int, **options: str) -> tuple[Subject, Signature]:
    made = subject(spec, {"arithmetic": "double", **options})
    assert made.process is not None and made.grid is not None  # noqa: S101 - an adapter brings both
    return made, probe(made, made.process, tuple(made.grid(n)))


def run_variance(spec: str, n: int, **options: str) -> float:
    """The variance of a sampler's result on N(0, V), over the right one, minus 1."""
    made: Any = subject(spec, {"arithmetic": "double", **options})
    process, grid, draws = made.process, made.grid(n), [0]

    def size(tau: float) -> float:
        return float(process.alpha(tau) ** 2 * V + process.sigma(tau) ** 2)

    def run(z: Array, noise: Callable[[], Array]) -> Array:
        return np.asarray(made.call(lambda y, tau: -y / size(tau), z, grid, noise, process))

    def counted() -> Array:
        draws[0] += 1
        return np.zeros((1, 1))

    run(np.zeros((1, 1)), counted)
    basis = iter(np.eye(draws[0] + 1)[1:])
    start, end = (float(process.T) - grid[i] for i in (0, -1))
    z = np.zeros((draws[0] + 1, 1))
    z[0] = sqrt(size(start))
    final = run(z, lambda: next(basis)[:, None])
    return float(np.sum(final**2) / size(end) - 1)
