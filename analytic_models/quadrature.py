"""Integrals of matrices over time by the tanh-sinh rule, to which singularities at the ends are
nothing; by mpmath's where numbers are its own.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

import mpmath
import numpy as np

from analytic_models.matrices import Rows

_U = np.arange(-60, 61) / 16
_HALF_DECAY = np.exp(-pi * np.sinh(_U))
NODES = 1 / (1 + _HALF_DECAY)
"""Of the tanh-sinh rule on [0, 1]; the first are 1e-29, where an integrand like x^-1/2 may still be
large.
"""
WEIGHTS = pi * np.cosh(_U) * NODES * _HALF_DECAY / (1 + _HALF_DECAY) / 16


def integral(
    integrand: Callable[[Any], Rows], shape: tuple[int, int], begin: Any, end: Any
) -> Rows:
    """Over forward time from `end` to `begin`, of a matrix of that shape."""
    if isinstance(begin, mpmath.mpf) or isinstance(end, mpmath.mpf):
        found: dict[Any, Rows] = {}

        def entry(u: Any, i: int, j: int) -> Any:
            if u not in found:
                found[u] = integrand(u)
            return found[u][i][j]

        return [
            [mpmath.quad(lambda u, i=i, j=j: entry(u, i, j), [end, begin]) for j in range(shape[1])]
            for i in range(shape[0])
        ]
    length = begin - end
    values = integrand(end + length * NODES)
    return [[_over_nodes(value * WEIGHTS, length) for value in row] for row in values]


def _over_nodes(values: Any, length: Any) -> Any:
    total = np.sum(values, axis=-1, keepdims=isinstance(length, np.ndarray))
    return total * length if isinstance(length, np.ndarray) else float(total) * length


def unit_integral(integrand: Callable[[Any], Rows], n: int, like: Any) -> Rows:
    """Over [0, 1] of an n x n matrix, in the numbers of `like`: mpmath's, or arrays (k, 1)."""
    if isinstance(like, mpmath.mpf):
        return integral(integrand, (n, n), mpmath.mpf(1), mpmath.mpf(0))
    return [
        [np.sum(entry * WEIGHTS, axis=-1, keepdims=True) for entry in row]
        for row in integrand(NODES)
    ]
