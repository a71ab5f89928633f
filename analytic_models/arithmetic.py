"""One spelling for float64 arrays, mpmath numbers and SymPy expressions."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import sympy


def exp(value: Any) -> Any:
    """exp(value) in the arithmetic of `value`."""
    if isinstance(value, mpmath.mpf):
        return mpmath.exp(value)
    if isinstance(value, sympy.Basic):
        return sympy.exp(value)
    return np.exp(value)


def expm1(value: Any) -> Any:
    """exp(value) - 1 without cancellation (exact for SymPy)."""
    if isinstance(value, mpmath.mpf):
        return mpmath.expm1(value)
    if isinstance(value, sympy.Basic):
        return sympy.exp(value) - 1
    return np.expm1(value)


def matrix_exponential(rows: list[list[Any]]) -> list[list[Any]]:
    """exp of a small square matrix of scalars."""
    import scipy.linalg

    entries = [entry for row in rows for entry in row]
    if any(isinstance(entry, sympy.Basic) for entry in entries):
        return sympy.Matrix(rows).exp().tolist()
    if any(isinstance(entry, mpmath.mpf) for entry in entries):
        result = mpmath.expm(mpmath.matrix(rows), method="taylor")
        return [[result[i, j] for j in range(len(rows))] for i in range(len(rows))]
    return scipy.linalg.expm(np.array(rows, dtype=np.float64)).tolist()
