"""Truncated power series of numbers, mpmath numbers or arrays, with the functions of entries of B.

Coefficients are plain lists, so that one recurrence serves all of them. A function f of a series u
follows from f' = g(u) u': its k-th coefficient needs those of g below k alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import pi
from typing import Any

import mpmath
import numpy as np
import scipy.special

ELEMENTARY: dict[str, Callable[[Any], Any]] = {
    name: getattr(np, {"atan": "arctan"}.get(name, name))
    for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan")
} | {"erf": scipy.special.erf}


def function(name: str, value: Any) -> Any:
    """One of bends.FUNCTIONS at a number or array."""
    return getattr(mpmath, name)(value) if _is_long(value) else ELEMENTARY[name](value)


def power(base: Any, exponent: Fraction) -> Any:
    """A number or array to a fraction."""
    if exponent.denominator == 1:
        return base**exponent.numerator
    if _is_long(base):
        return mpmath.power(base, mpmath.mpf(exponent.numerator) / exponent.denominator)
    return np.asarray(base, dtype=np.float64) ** float(exponent)


def _is_long(value: Any) -> bool:
    return isinstance(value, mpmath.mpf | mpmath.mpc)


@dataclass(frozen=True)
class Series:
    """c_0 + c_1 s + ..., so many coefficients."""

    c: list[Any]

    def __add__(self, other: Series) -> Series:
        return Series([a + b for a, b in zip(self.c, other.c, strict=True)])

    def __sub__(self, other: Series) -> Series:
        return Series([a - b for a, b in zip(self.c, other.c, strict=True)])

    def __neg__(self) -> Series:
        return Series([-a for a in self.c])

    def __mul__(self, other: Series) -> Series:
        return Series([convolved(self.c, other.c, k) for k in range(len(self.c))])

    def __truediv__(self, other: Series) -> Series:
        found: list[Any] = []
        for k, top in enumerate(self.c):
            rest = sum((found[j] * other.c[k - j] for j in range(k)), 0 * top)
            found.append((top - rest) / other.c[0])
        return Series(found)

    def raised(self, exponent: Fraction) -> Series:
        """To a constant power; u p' = r u' p where it is no whole number."""
        if exponent.denominator == 1 and exponent >= 0:
            result = Series([0 * self.c[0] + 1, *(0 * self.c[0] for _ in self.c[1:])])
            for _ in range(exponent.numerator):
                result = result * self
            return result
        found = [power(self.c[0], exponent)]
        for k in range(1, len(self.c)):
            total = sum(
                (j * exponent.numerator - (k - j) * exponent.denominator) * self.c[j] * found[k - j]
                for j in range(1, k + 1)
            )
            found.append(total / (k * exponent.denominator * self.c[0]))
        return Series(found)

    def of(self, name: str) -> Series:
        """One of bends.FUNCTIONS of the series."""
        match name:
            case "exp":
                return self._integrated(name, lambda f: f)
            case "log":
                return self._from(name, Series(self._ones()) / self)
            case "sqrt":
                return self.raised(Fraction(1, 2))
            case "sin" | "cos" | "sinh" | "cosh":
                return self._pair(name)
            case "tan" | "tanh":
                return self.of(name.replace("tan", "sin")) / self.of(name.replace("tan", "cos"))
            case "atan":
                return self._from(name, Series(self._ones()) / (Series(self._ones()) + self * self))
            case "erf":
                scale = 2 / (mpmath.sqrt(mpmath.pi) if _is_long(self.c[0]) else pi**0.5)
                bell = (-(self * self)).of("exp")
                return self._from(name, Series([scale * a for a in bell.c]))
        raise AssertionError(name)

    def _ones(self) -> list[Any]:
        return [0 * self.c[0] + 1, *(0 * self.c[0] for _ in self.c[1:])]

    def _from(self, name: str, slope: Series) -> Series:
        return self._integrated(name, lambda _: slope.c)

    def _integrated(self, name: str, slope: Callable[[list[Any]], list[Any]]) -> Series:
        """f with f' = slope u', where the slope's coefficients may be those of f found so far."""
        found = [function(name, self.c[0])]
        for k in range(1, len(self.c)):
            g = slope(found)
            found.append(sum(j * self.c[j] * g[k - j] for j in range(1, k + 1)) / k)
        return Series(found)

    def _pair(self, name: str) -> Series:
        hyperbolic = name.endswith("h")
        odd = [function("sinh" if hyperbolic else "sin", self.c[0])]
        even = [function("cosh" if hyperbolic else "cos", self.c[0])]
        sign = 1 if hyperbolic else -1
        for k in range(1, len(self.c)):
            steps = range(1, k + 1)
            odd.append(sum(j * self.c[j] * even[k - j] for j in steps) / k)
            even.append(sign * sum(j * self.c[j] * odd[k - j] for j in steps) / k)
        return Series(odd if name.startswith("sin") else even)


def convolved(a: list[Any], b: list[Any], k: int) -> Any:
    """The k-th coefficient of a product."""
    return sum((a[j] * b[k - j] for j in range(1, k + 1)), a[0] * b[k])
