"""One spelling for float64 arrays, mpmath numbers and SymPy expressions."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import scipy.special
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

    With A = a I + N, N traceless, N^2 = w I: exp(A) = e^a (cosh sqrt(w) I + sinh sqrt(w)/sqrt(w)
    N). Both series in w are summed directly: no square root, no cancellation at w = 0, which is
    critical damping.
    """
    (p, q), (r, s) = ((entry * factor for entry in row) for row in matrix)
    mean, half = (p + s) / 2, (p - s) / 2
    w = half * half + q * r
    even, odd, term = 1 + 0 * w, 1 + 0 * w, 1 + 0 * w
    if isinstance(w, sympy.Basic):
        w = sympy.cancel(w)  # critical damping makes it 0, though not at first sight
        root = sympy.sqrt(w)
        even, odd = (sympy.cosh(root), sympy.sinh(root) / root) if w != 0 else (w + 1, w + 1)
    else:
        k = 0
        # what overflowed to nan stays
        while k == 0 or np.any((even + term != even) & (even == even)):
            k += 2
            term = term * w / (k * (k - 1))
            even, odd = even + term, odd + term / (k + 1)
    scale = exp(mean)
    return (
        (scale * (even + odd * half), scale * odd * q),
        (scale * odd * r, scale * (even - odd * half)),
    )


def noise_2x2(
    matrix: tuple[tuple[Any, ...], ...], noise: tuple[Any, ...], delta: Any
) -> tuple[tuple[Any, ...], ...]:
    """The integral over [0, delta] of exp(u A) diag(noise) exp(u A)^T, for a critically damped 2x2
    A.

    A = -(k/2) I + N with N^2 = 0 gives J0 D + J1 (N D + D N^T) + J2 N D N^T, where J_n is the
    integral of e^{-ku} u^n: small intervals and degenerate noise cost no digits, as S - exp(A) S
    exp(A)^T would.
    """
    (p, q), (r, s) = matrix
    d, e = noise
    k, half = -(p + s), (p - s) / 2
    j0, j1, j2 = (value / k**n for n, value in enumerate(lower_gammas(k * delta), start=1))
    xm = j1 * (r * d + q * e) + j2 * half * (r * d - q * e)
    return (
        (j0 * d + 2 * j1 * half * d + j2 * (half * half * d + q * q * e), xm),
        (xm, j0 * e - 2 * j1 * half * e + j2 * (half * half * e + r * r * d)),
    )


def is_critical(matrix: tuple[tuple[Any, ...], ...]) -> bool:
    """Whether a 2x2 matrix of scalars has one double eigenvalue, to rounding."""
    (p, q), (r, s) = matrix
    square, product = ((p - s) / 2) ** 2, q * r
    if isinstance(square + product, sympy.Basic):
        return bool(sympy.simplify(square + product) == 0)
    eps = mpmath.eps if isinstance(square + product, mpmath.mpf) else np.finfo(np.float64).eps
    return bool(abs(square + product) <= 64 * eps * (square + abs(product)))


def flow_2x2(
    matrix: tuple[tuple[Any, ...], ...], noise: tuple[Any, ...], delta: Any
) -> tuple[Any, Any, Any]:
    """exp(delta A), its integral from 0 to delta, and the covariance of `noise_2x2`, for any 2x2 A.

    Taylor series over delta / 2^k, short enough not to cancel, and k doublings: with E and G the
    flow and its integral over u, those over 2u are E E and G + E G, and the covariance is Q + E Q
    E^T. Scalars and arrays of float64 or mpmath numbers; SymPy expressions where A is that of a
    free particle with friction, ((0, b), (0, d)). Raises ValueError for others.
    """
    if isinstance(delta, sympy.Basic) or any(
        isinstance(e, sympy.Basic) for row in matrix for e in row
    ):
        return _free_particle(matrix, noise, delta)
    n = range(2)
    halvings = _halvings(np.abs(delta) * max(sum(abs(e) for e in row) for row in matrix))
    u = delta / 2**halvings
    e = [[int(i == j) + 0 * u for j in n] for i in n]
    g = [[int(i == j) * u for j in n] for i in n]
    q = [[(noise[i] if i == j else 0) * u for j in n] for i in n]
    term, moment = g, q  # u^(k+1) A^k / (k+1)!, and the same of what multiplies the noise
    for k in range(1, 200):
        e = [[e[i][j] + sum(matrix[i][m] * term[m][j] for m in n) for j in n] for i in n]
        moment = [
            [
                sum(matrix[i][m] * moment[m][j] + moment[i][m] * matrix[j][m] for m in n)
                * u
                / (k + 1)
                for j in n
            ]
            for i in n
        ]
        term = [[sum(matrix[i][m] * term[m][j] for m in n) * u / (k + 1) for j in n] for i in n]
        new = [[q[i][j] + moment[i][j] for j in n] for i in n]
        longer = [[g[i][j] + term[i][j] for j in n] for i in n]
        if all(
            np.all(after[i][j] == before[i][j])
            for before, after in ((q, new), (g, longer))
            for i in n
            for j in n
        ):
            break
        q, g = new, longer
    for done in range(int(np.max(halvings))):
        right = [[sum(e[i][m] * g[m][j] for m in n) for j in n] for i in n]
        spread = [[sum(e[i][m] * q[m][k] * e[j][k] for m in n for k in n) for j in n] for i in n]
        twice = [[sum(e[i][m] * e[m][j] for m in n) for j in n] for i in n]
        if np.ndim(halvings):  # those that are long enough stay as they are
            more = done < halvings
            right = [[np.where(more, entry, 0.0) for entry in row] for row in right]
            spread = [[np.where(more, entry, 0.0) for entry in row] for row in spread]
            twice = [[np.where(more, twice[i][j], e[i][j]) for j in n] for i in n]
        g = [[g[i][j] + right[i][j] for j in n] for i in n]
        q = [[q[i][j] + spread[i][j] for j in n] for i in n]
        e = twice
    return tuple(map(tuple, e)), tuple(map(tuple, g)), tuple(map(tuple, q))


def _halvings(size: Any) -> Any:
    """How often an interval of that length, in units of what moves in it, is halved to 1/4 or less.

    Of an array each by itself: a short one, halved as often as the longest, would lose its digits
    beside 1.
    """
    if np.ndim(size):
        return np.maximum(0.0, np.ceil(np.log2(np.maximum(size, 1e-300))) + 2)
    return max(0, math.ceil(math.log2(size)) + 2) if size > 0 else 0


def _free_particle(
    matrix: tuple[tuple[Any, ...], ...], noise: tuple[Any, ...], delta: Any
) -> tuple[Any, Any, Any]:
    """`flow_2x2` of ((0, b), (0, d)), d not 0, in closed form; the noise is that of the second
    component.

    With r the integral of e^{du}, the first component has b^2 times that of r^2, and the covariance
    is that of r r' = (r^2)'/2.
    """
    (zero, b), (too, d) = matrix
    if not zero == too == noise[0] == 0:
        raise ValueError(
            "no closed form of this exponential piece: its linear part is not critically damped"
        )
    decay = sympy.exp(d * delta)
    ramp, twice = (decay - 1) / d, (decay**2 - 1) / (2 * d)
    cross = noise[1] * b * ramp**2 / 2
    return (
        ((1, b * ramp), (0, decay)),
        ((delta, b * (ramp - delta) / d), (0, ramp)),
        ((noise[1] * b**2 * (twice - 2 * ramp + delta) / d**2, cross), (cross, noise[1] * twice)),
    )


def lower_gammas(x: Any) -> tuple[Any, Any, Any]:
    """The integrals of e^{-u} u^n over [0, x], n = 0, 1, 2, each to full relative accuracy."""
    decay = exp(-x)
    if isinstance(x, sympy.Basic) or (isinstance(x, mpmath.mpf) and x > 1):
        return 1 - decay, 1 - (1 + x) * decay, 2 - (2 + 2 * x + x * x) * decay
    if isinstance(x, mpmath.mpf):
        third, term, n = mpmath.mpf(0), x**3 * decay / 3, 3
        while third + term != third:
            third, n = third + term, n + 1
            term = term * x / n
    else:
        third = 2 * scipy.special.gammainc(3, x)
    second = (third + x * x * decay) / 2  # downwards only positive terms are added
    return second + x * decay, second, third
