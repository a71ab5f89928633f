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


def exp_2x2(matrix: tuple[tuple[Any, ...], ...], factor: Any) -> tuple[tuple[Any, ...], ...]:
    """exp(factor * matrix) of a 2x2 matrix of scalars, in closed form.

    With A = a I + N, N traceless, N^2 = w I: exp(A) = e^a (cosh sqrt(w) I + sinh sqrt(w)/sqrt(w) N).
    Both series in w are summed directly: no square root, no cancellation at w = 0, which is
    critical damping.
    """
    (p, q), (r, s) = ((entry * factor for entry in row) for row in matrix)
    mean, half = (p + s) / 2, (p - s) / 2
    w = half * half + q * r
    even, odd, term = 1 + 0 * w, 1 + 0 * w, 1 + 0 * w
    if isinstance(w, sympy.Basic):
        root = sympy.sqrt(w)
        even, odd = (sympy.cosh(root), sympy.sinh(root) / root) if w != 0 else (even, odd)
    else:
        k = 0
        while k == 0 or even + term != even:
            k += 2
            term = term * w / (k * (k - 1))
            even, odd = even + term, odd + term / (k + 1)
    scale = exp(mean)
    return (
        (scale * (even + odd * half), scale * odd * q),
        (scale * odd * r, scale * (even - odd * half)),
    )
