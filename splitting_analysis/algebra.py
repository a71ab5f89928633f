"""The coefficient ring of the closed forms: exact rational polynomials in all parameters."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from types import SimpleNamespace
from typing import Any

from sympy import QQ, Expr, Integer, Rational, Symbol, sqrt
from sympy.polys.rings import PolyElement, PolyRing, ring

MAX_BETA = 8
"""Derivatives of beta kept: beta, beta', ..., enough for h^8."""


@dataclass(frozen=True)
class Algebra:
    """The coefficient ring of a model: its parameters, root lambda_s, and beta's derivatives.

    `p` is the namespace that the letters' coefficient functions take.
    """

    ring: PolyRing
    p: SimpleNamespace
    lambda_s: PolyElement
    root_lambda: PolyElement
    ibeta: PolyElement
    betas: tuple[PolyElement, ...]
    one: PolyElement

    def number(self, value: Any) -> PolyElement:
        """A rational constant, or a ring element unchanged."""
        if isinstance(value, Fraction):
            return self.ring.ground_new(QQ(value.numerator, value.denominator))
        return self.ring(value) if isinstance(value, int) else value

    def reduce(self, element: PolyElement) -> PolyElement:
        """Apply M (1/M) = 1, beta (1/beta) = 1 and (root lambda_s)^2 = lambda_s."""
        result = self.ring.zero
        for monomial, coefficient in element.terms():
            gamma, nu, m, im, friction, lambda_s, root, ib, b, *betas = monomial
            mass, rate = min(m, im), min(b, ib)
            exponents = [
                gamma, nu, m - mass, im - mass, friction, lambda_s + root // 2, root % 2,
                ib - rate, b - rate, *betas,
            ]  # fmt: skip
            result += self.ring({tuple(exponents): coefficient})
        return result

    def to_sympy(self, element: PolyElement) -> Expr:
        """The SymPy expression in the symbols of `SYMBOLS`."""
        total = Integer(0)
        for monomial, coefficient in element.terms():
            term = Rational(coefficient.numerator, coefficient.denominator)
            for symbol, exponent in zip(_MEANING, monomial, strict=True):
                term *= symbol**exponent
            total += term
        return total


_NAMES = ["Gamma", "nu", "M", "iM", "gamma", "lambda_s", "root_lambda", "ibeta"]
_NAMES += [f"beta{k}" for k in range(MAX_BETA)]
SYMBOLS: dict[str, Symbol] = {
    name: Symbol(name, positive=True) for name in ("Gamma", "nu", "M", "gamma", "lambda_s")
} | {name: Symbol(name) for name in ["beta", "dbeta"] + [f"d{k}beta" for k in range(2, MAX_BETA)]}
"""Symbols of the closed forms; `dbeta`, `d2beta`, ... are derivatives in forward time tau."""
_MEANING: list[Expr] = [
    SYMBOLS["Gamma"], SYMBOLS["nu"], SYMBOLS["M"], 1 / SYMBOLS["M"], SYMBOLS["gamma"],
    SYMBOLS["lambda_s"], sqrt(SYMBOLS["lambda_s"]), 1 / SYMBOLS["beta"],
    *list(SYMBOLS.values())[5:],
]  # fmt: skip


@cache
def algebra() -> Algebra:
    """The one coefficient ring, rational polynomials in all parameters."""
    polynomials, *gens = ring(_NAMES, QQ)
    named = dict(zip(_NAMES, gens, strict=True))
    half = polynomials.ground_new(QQ(1, 2))
    p = SimpleNamespace(half=half, **{k: named[k] for k in ("Gamma", "nu", "M", "iM", "gamma")})
    return Algebra(
        polynomials, p, named["lambda_s"], named["root_lambda"], named["ibeta"], tuple(gens[8:]),
        polynomials.one,
    )  # fmt: skip
