"""The coefficient ring of the closed forms: exact rational polynomials in all parameters."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from types import SimpleNamespace
from typing import Any

from sympy import QQ, Expr, Integer, Rational, Symbol
from sympy.polys.rings import PolyElement, PolyRing, ring

from splitting_analysis.symbols import Symbol as Generator
from splitting_analysis.symbols import base, generators, namespace, rows


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

    def element(self, name: str) -> PolyElement:
        """The generator of that name."""
        return self.ring.gens[[str(symbol) for symbol in self.ring.symbols].index(name)]

    def reduce(self, element: PolyElement) -> PolyElement:
        """Apply M (1/M) = 1, beta (1/beta) = 1 and (root lambda_s)^2 = lambda_s."""
        place = {str(name): i for i, name in enumerate(self.ring.symbols)}
        derived = [
            (place[g.name], place[base(g).name], g.power) for g in generators() if g.power != 1
        ]
        result = self.ring.zero
        for monomial, coefficient in element.terms():
            exponents = list(monomial)
            for own, whole, power in derived:
                if power == -1:
                    common = min(exponents[own], exponents[whole])
                    exponents[own] -= common
                    exponents[whole] -= common
                else:  # a root
                    exponents[whole] += exponents[own] // power.denominator
                    exponents[own] %= power.denominator
            result += self.ring({tuple(exponents): coefficient})
        return result

    def to_sympy(self, element: PolyElement) -> Expr:
        """The SymPy expression in the symbols of `SYMBOLS`, and those of later lines of the
        table.
        """
        meanings = [
            _symbol(g) ** Rational(g.power.numerator, g.power.denominator) for g in generators()
        ]
        total = Integer(0)
        for monomial, coefficient in element.terms():
            term = Rational(coefficient.numerator, coefficient.denominator)
            for meaning, exponent in zip(meanings, monomial, strict=True):
                term *= meaning**exponent
            total += term
        return total


def _symbol(row: Generator) -> Symbol:
    """The SymPy symbol of the quantity that a generator is a power of."""
    return Symbol(row.value, positive=True) if base(row).positive else Symbol(row.value)


SYMBOLS: dict[str, Symbol] = {row.value: _symbol(row) for row in generators() if row.power == 1}
"""Symbols of the closed forms; `dbeta`, `d2beta`, ... are derivatives in forward time tau."""


@cache
def algebra() -> Algebra:
    """The one coefficient ring, rational polynomials in all parameters."""
    names = [row.name for row in generators()]
    polynomials, *elements = ring(names, QQ)
    named = dict(zip(names, elements, strict=True))
    betas = tuple(named[row.name] for row in rows("clock") if row.power == 1)
    return Algebra(
        polynomials,
        namespace(polynomials.ground_new(QQ(1, 2)), named),
        named["lambda_s"],
        named["root_lambda"],
        named["ibeta"],
        betas,
        polynomials.one,
    )
