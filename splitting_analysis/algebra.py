"""The coefficient rings of the closed forms: exact rational polynomials in all parameters.

The more symbols, the slower: what only conjugate steps have is in larger rings (`with_kinds`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from types import SimpleNamespace
from typing import Any

from sympy import QQ, Expr, Integer, Rational, Symbol
from sympy.polys.rings import PolyElement, PolyRing, ring

from splitting_analysis.symbols import ALWAYS, Kind, base, generators, namespace, row, rows
from splitting_analysis.symbols import Symbol as Generator


@dataclass(frozen=True)
class Algebra:
    """The coefficient ring of a model: its parameters, root lambda_s, and the derivatives of
    beta and of r, the rate at which data fade.

    `p` is the namespace that the letters' coefficient functions take.
    """

    ring: PolyRing
    p: SimpleNamespace
    lambda_s: PolyElement
    root_lambda: PolyElement
    ibeta: PolyElement
    betas: tuple[PolyElement, ...]
    fadings: tuple[PolyElement, ...]
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
        own = element.ring
        place = {str(name): i for i, name in enumerate(own.symbols)}
        derived = [
            (place[g.name], place[base(g).name], g.power)
            for g in generators(*ALWAYS)
            if g.power != 1
        ]
        result = own.zero
        for monomial, coefficient in element.terms():
            exponents = list(monomial)
            for part, whole, power in derived:
                if power == -1:
                    common = min(exponents[part], exponents[whole])
                    exponents[part] -= common
                    exponents[whole] -= common
                else:  # a root
                    exponents[whole] += exponents[part] // power.denominator
                    exponents[part] %= power.denominator
            result += own({tuple(exponents): coefficient})
        return result

    def to_sympy(self, element: PolyElement) -> Expr:
        """The SymPy expression in the symbols of `SYMBOLS`, and those of later lines of the
        table.
        """
        own = [row(str(name)) for name in element.ring.symbols]
        meanings = [_symbol(g) ** Rational(g.power.numerator, g.power.denominator) for g in own]
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


_KINDS: ContextVar[tuple[Kind, ...]] = ContextVar("kinds", default=ALWAYS)


@contextmanager
def with_kinds(*kinds: Kind) -> Iterator[None]:
    """Within it `algebra()` has the generators of these kinds, too."""
    token = _KINDS.set((*ALWAYS, *kinds))
    try:
        yield
    finally:
        _KINDS.reset(token)


def algebra() -> Algebra:
    """The coefficient ring at hand: rational polynomials in the parameters."""
    return _algebra(_KINDS.get())


def alike(left: PolyElement, right: PolyElement) -> tuple[PolyElement, PolyElement]:
    """Both in a ring that has the generators of both."""
    if left.ring is right.ring:
        return left, right
    kinds = {row(str(name)).kind for each in (left, right) for name in each.ring.symbols}
    with with_kinds(*sorted(kinds - set(ALWAYS))):
        whole = algebra().ring
    return left.set_ring(whole), right.set_ring(whole)


@cache
def _algebra(kinds: tuple[Kind, ...]) -> Algebra:
    names = [row.name for row in generators(*kinds)]
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
        tuple(named[row.name] for row in rows("fading") if row.name in named),
        polynomials.one,
    )
