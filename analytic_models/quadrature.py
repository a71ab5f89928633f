"""Integrals of matrices over time by the tanh-sinh rule, to which singularities at the ends are
nothing, or by Gauss's where there are none nearby; by mpmath's where numbers are its own.
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
_LEGENDRE = np.polynomial.legendre.leggauss(16)
FEW_NODES, FEW_WEIGHTS = (_LEGENDRE[0] + 1) / 2, _LEGENDRE[1] / 2
"""The same of Gauss and Legendre, for an integrand without a singularity nearby."""


def integral(
    integrand: Callable[[Any, Any, Any], Rows],
    shape: tuple[int, int],
    begin: Any,
    end: Any,
    few: Any = None,
) -> Rows:
    """Over forward time u from `end` to `begin`, of a matrix of that shape, integrand(u, begin,
    end): numbers, or arrays over steps (k, 1). `few` says for which of these, (k,), few nodes do.
    """
    if isinstance(begin, mpmath.mpf) or isinstance(end, mpmath.mpf):
        found: dict[Any, Rows] = {}

        def entry(u: Any, i: int, j: int) -> Any:
            if u not in found:
                found[u] = integrand(u, begin, end)
            return found[u][i][j]

        return [
            [mpmath.quad(lambda u, i=i, j=j: entry(u, i, j), [end, begin]) for j in range(shape[1])]
            for i in range(shape[0])
        ]
    if not isinstance(begin, np.ndarray):
        values = integrand(end + (begin - end) * NODES, begin, end)
        return [[float(np.sum(v * WEIGHTS)) * (begin - end) for v in row] for row in values]
    total = np.empty((*shape, *begin.shape))
    few = np.zeros(len(begin), bool) if few is None else few
    for chosen, nodes, weights in ((few, FEW_NODES, FEW_WEIGHTS), (~few, NODES, WEIGHTS)):
        if not np.any(chosen):
            continue
        first, last = begin[chosen], end[chosen]
        values = integrand(last + (first - last) * nodes, first, last)
        for i, row in enumerate(values):
            for j, value in enumerate(row):
                total[i, j, chosen] = np.sum(value * weights, -1, keepdims=True) * (first - last)
    return [list(row) for row in total]


def unit_integral(integrand: Callable[[Any], Rows], n: int, like: Any) -> Rows:
    """Over [0, 1] of an n x n matrix, in the numbers of `like`: mpmath's, or arrays (k, 1)."""
    if isinstance(like, mpmath.mpf):
        return integral(lambda u, *_: integrand(u), (n, n), mpmath.mpf(1), mpmath.mpf(0))
    return [
        [np.sum(entry * WEIGHTS, axis=-1, keepdims=True) for entry in row]
        for row in integrand(NODES)
    ]
