"""Held polynomials as series in h: the moments of a kernel over a stretch, and the weights that
evaluations get from them.

Coefficients are elements of any polynomial ring over the field of the ratios of steps: only ratios
are divided by. A field of all symbols would look for common factors in vain.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import comb
from typing import Any

from sympy import QQ
from sympy.polys.fields import field

RATIOS = 8
"""Lengths of so many earlier steps, over a step's own, are symbols; each costs time, if only it is
there."""
FIELD, *SIZES = field([f"r{i}" for i in range(1, RATIOS + 1)], QQ)
NO_LENGTH, LENGTH = FIELD(0), FIELD(1)
SOME_RATIOS = tuple(
    FIELD(QQ(ratio, 12)) for ratio in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47)
)
"""Ratios among which no power of h vanishes by chance."""


class Series(list[Any]):
    """Coefficients by power of h that a rule may multiply and divide."""

    def __rmul__(self, number: Any) -> Series:
        return Series([number * c for c in self])

    def __truediv__(self, number: int) -> Series:
        return Series([c / number for c in self])


def number(value: Fraction) -> Any:
    """A fraction as an element of the field."""
    return FIELD(QQ(value.numerator, value.denominator))


def power(base: Any, exponent: int) -> Any:
    """base^exponent; SymPy's fields refuse 0^0."""
    return base**exponent if exponent else LENGTH


def moment(kernel: Sequence[Any], a: Any, b: Any, k: int) -> Series:
    """The integral of kappa theta^k over the stretch from a h to b h, theta from 0 to 1 in it.

    `kernel` are the Taylor coefficients of kappa at 0; a power of h more is left than they are.
    """
    result = Series([0 * kernel[0]])
    for m, coefficient in enumerate(kernel):
        # u = a + (b - a) theta, and du = h (b - a) dtheta
        total = sum(
            (comb(m, i) * power(a, m - i) * (b - a) ** (i + 1) / (i + k + 1) for i in range(m + 1)),
            NO_LENGTH,
        )
        result.append(coefficient * total)
    return result


def at_end(kernel: Sequence[Any], a: Any, b: Any) -> Series:
    """The kernel at the stretch's end, per unit of theta."""
    scaled = [c * power(b, m) * (b - a) for m, c in enumerate(kernel)]
    return Series([0 * kernel[0], *scaled])


def weights(places: Sequence[Any], moments: Sequence[Series]) -> list[Series]:
    """Lagrange's polynomials with theta^k replaced by its moment."""
    result = []
    for j, own in enumerate(places):
        polynomial = [LENGTH]
        for i, other in enumerate(places):
            if i != j:
                shifted = [NO_LENGTH, *polynomial]
                stretched = [*(c * other for c in polynomial), NO_LENGTH]
                polynomial = [
                    (x - y) / (own - other) for x, y in zip(shifted, stretched, strict=True)
                ]
        series = Series([0 * c for c in moments[0]])
        for c, own_moment in zip(polynomial, moments, strict=True):
            series = Series([s + c * m for s, m in zip(series, own_moment, strict=True)])
        result.append(series)
    return result
