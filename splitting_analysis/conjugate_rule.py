"""A conjugate step (theory section 6) as a series in h: what it keeps of the state, gains of s.

With z_hat = A z it is Euler's step for B, then the exact flow Y of dz = (B + beta linear) z dt with
eps held, so that z' = Y (I - h B) z + (integral of Y(end, u) beta score Q(u) du) s, where Q(u) =
L(u)^-T L(seen)^T takes the score seen to the one that the held eps means at u. Along the step
dQ/dv = l^T Q in reverse time v, l = (dL/dtau) L^-1: of the factor L only l and its derivatives
occur, and they are symbols. A B that moves is substituted where its entries are polynomials, and
where they are not the entries and their derivatives are symbols.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from math import factorial
from typing import Any

from splitting_analysis import bends
from splitting_analysis.algebra import algebra
from splitting_analysis.models import Model, conjugation, is_spelled_out
from splitting_analysis.program import Advance
from splitting_analysis.schemes import Scheme
from splitting_analysis.symbols import MAX_ENTRIES, MAX_RATE, rows

Matrix = list[list[Any]]
MOST = MAX_RATE + 1
"""The highest power of h for which the rates of the factor suffice."""


@dataclass(frozen=True)
class Bend:
    """lambda of conjugate steps, None for the symbol, and the factor of the eps that they hold."""

    value: Fraction | None = None
    factor: str = "lower"
    entries: Mapping[bends.Node, int] = field(default_factory=dict)
    """Entries of B that are no polynomials, and the numbers of their symbols."""
    skip: bool = False
    """Whether what is held is the score without C_skip z."""


PLAIN = Bend()


def conjugate_step(
    model: Model, op: Advance, origin: int, betas: list[Any], bend: Bend, terms: int
) -> tuple[list[list[list[Any]]], list[list[list[Any]]]]:
    """K and G of z <- K z + G s through h^terms, matrices of series, in the step from `origin` on.

    `betas` are the coefficients of beta in powers of reverse time v from the base point on.
    """
    a = algebra()
    linear, weights = op.piece.linear(a.p), op.piece.score(a.p)
    n = range(len(linear))
    shift = _shift(op.piece.conjugation, bend, betas, terms, len(linear))
    moved = [[[beta * linear[i][j] for j in n] for i in n] for beta in betas[:terms]]
    moved = [_sum(own, added) for own, added in zip(moved, shift, strict=True)]
    if bend.skip:
        held = skip_series(model, betas, terms)
        for k in range(terms):
            for q in range(k + 1):
                own = _product(_diagonal([betas[q] * w for w in weights]), held[k - q])
                moved[k] = _sum(moved[k], own)
    turned = [
        [[_rate(j, i, k, bend.factor) for j in n] for i in n] for k in range(min(terms, MAX_RATE))
    ]
    flow, undone = series_flow(moved, terms)
    turn, back = series_flow(turned, terms)
    force = [[[beta * weights[i] if i == j else 0 for j in n] for i in n] for beta in betas[:terms]]
    held = series_times(series_times(undone, force, terms - 1), turn, terms - 1)
    start, stop, seen = (part + origin for part in (op.start, op.stop, op.seen))
    integral = [[[0 for _ in n] for _ in n]] + [
        _scaled(held[k], (stop ** (k + 1) - start ** (k + 1)) / (k + 1)) for k in range(terms)
    ]
    end = series_at(flow, stop)
    first = [undone[0], *(_scaled(matrix, -op.share) for matrix in series_at(shift, start))]
    keep = series_times(series_times(end, series_at(undone, start), terms), first, terms)
    gain = series_times(series_times(end, integral, terms), series_at(back, seen), terms)
    return _entries(keep), _entries(gain)


def skip_series(model: Model, betas: list[Any], terms: int) -> list[Matrix]:
    """C_skip = -Sigma^-1 as a series in v, through v^(terms - 1): its entries are symbols, and what
    follows from dC/dtau = beta (C A + A^T C + C D C) with A the linear part of the reverse drift
    and D = G G^T / beta.
    """
    a = algebra()
    linear, weights = model.drift.linear(a.p), model.drift.score(a.p)
    n = range(len(linear))
    whole = 2 if model.dynamics == "ode" else 1  # of the ODE the score acts by half of D
    names = [["xx", "xm"], ["xm", "mm"]]
    series = [[[a.element(f"c{names[i][j]}") for j in n] for i in n]]
    slopes: list[Matrix] = []
    drift = [[a.one * linear[i][j] for j in n] for i in n]
    turned = [[drift[j][i] for j in n] for i in n]
    noise = _diagonal([a.one * w * whole for w in weights])
    for k in range(terms - 1):
        slope = _sum(_product(series[k], drift), _product(turned, series[k]))
        for q in range(k + 1):
            slope = _sum(slope, _product(_product(series[q], noise), series[k - q]))
        slopes.append(slope)
        total = [[a.ring.zero for _ in n] for _ in n]
        for q in range(k + 1):
            total = _sum(total, [[betas[q] * x for x in row] for row in slopes[k - q]])
        series.append(_scaled(total, Fraction(-1, k + 1)))
    return series


def _diagonal(entries: list[Any]) -> Matrix:
    n = range(len(entries))
    return [[entries[i] if i == j else algebra().ring.zero for j in n] for i in n]


def _shift(name: str, bend: Bend, betas: list[Any], terms: int, n: int) -> list[Matrix]:
    """B as a series in v, through v^(terms - 1)."""
    a = algebra()
    value = a.element("lambda_") if bend.value is None else a.number(bend.value)
    nothing = [a.ring.zero] * (terms - 1)
    if not is_spelled_out(name):
        entries = [[a.ring(x), *nothing] for row in conjugation(name, value, n) for x in row]
    else:
        names = {key: _Series([getattr(a.p, key), *nothing]) for key in ("Gamma", "nu", "M")}
        names["lambda"] = _Series([a.ring(value), *nothing])
        names["beta"] = _Series(betas[:terms])
        if "tau" in map(str, a.ring.symbols):
            names["tau"] = _Series([a.element("tau"), -a.one, *nothing][:terms])
        by = bends.Arithmetic(
            lambda number: _Series([a.number(number), *nothing]), names, _never, _Series.raised
        )
        entries = [
            bends.value(node, by).terms
            if is_polynomial(node)
            else _symbols(bend.entries[node], terms)
            for node in bends.entries(name)
        ]
    return [[[entries[n * i + j][k] for j in range(n)] for i in range(n)] for k in range(terms)]


def is_polynomial(node: bends.Node) -> bool:
    """Whether an entry of B is one in its names and 1/M: it is substituted then."""
    match node:
        case Fraction() | str():
            return True
        case ("**", base, exponent):
            whole = exponent.denominator == 1
            return whole and (base == "M" or (exponent > 0 and is_polynomial(base)))
        case ("/", top, bottom):
            return (isinstance(bottom, Fraction) or bottom == "M") and is_polynomial(top)
        case ("+" | "-" | "*" | "neg", *operands):
            return all(map(is_polynomial, operands))
        case _:
            return False


def one_skip(*schemes: Scheme) -> Fraction | None:
    """The variance of the Gaussian data of their C_skip, of those that have one.

    Raises ValueError for two of them: closed forms have one C_skip.
    """
    found = sorted({scheme.skip for scheme in schemes if scheme.skip is not None})
    if len(found) > 1:
        raise ValueError(
            f"closed forms have symbols for one C_skip, not for skip = {found[0]} and {found[1]}"
        )
    return found[0] if found else None


def symbolic_entries(*schemes: Scheme) -> dict[bends.Node, int]:
    """Entries of B that stay symbols in the closed forms of schemes, and their numbers from 1 on.

    Raises ValueError where they are too many, or one number means two of them.
    """
    found: dict[bends.Node, int] = {}
    for scheme in schemes:
        own: dict[bends.Node, int] = {}
        for piece in scheme.program.pieces:
            if is_spelled_out(piece.conjugation):
                for node in bends.entries(piece.conjugation):
                    if not is_polynomial(node):
                        own.setdefault(node, len(own) + 1)
        if len(own) > MAX_ENTRIES:
            raise ValueError(
                f"{scheme.name}: {len(own)} entries of B are no polynomials, and closed forms have "
                f"symbols for {MAX_ENTRIES}"
            )
        for node, number in own.items():
            others = [bends.spelled(other) for other, k in found.items() if k == number]
            if found.setdefault(node, number) != number or others not in (
                [],
                [bends.spelled(node)],
            ):
                raise ValueError(
                    f"{scheme.name}: closed forms call {bends.spelled(node)} b_{number}, and those "
                    f"of {schemes[0].name} have other entries of B that are no polynomials: they "
                    "have no common formula"
                )
    return found


def _symbols(number: int, terms: int) -> list[Any]:
    """An entry that is no polynomial, as a series in v: its derivatives in tau are symbols."""
    a = algebra()
    return [
        a.element(f"b{number}_{k}") * a.number(Fraction((-1) ** k, factorial(k)))
        for k in range(terms)
    ]


def _never(function: str, _: Any) -> Any:
    raise AssertionError(f"{function} is no polynomial")


@dataclass(frozen=True)
class _Series:
    """A scalar series in v, with what an entry of B does to it."""

    terms: list[Any]

    def __add__(self, other: _Series) -> _Series:
        return _Series([x + y for x, y in zip(self.terms, other.terms, strict=True)])

    def __neg__(self) -> _Series:
        return _Series([-x for x in self.terms])

    def __sub__(self, other: _Series) -> _Series:
        return self + -other

    def __mul__(self, other: _Series) -> _Series:
        product = [algebra().ring.zero for _ in self.terms]
        for i, x in enumerate(self.terms):
            for j, y in enumerate(other.terms[: len(product) - i]):
                product[i + j] += x * y
        return _Series(product)

    def __truediv__(self, other: _Series) -> _Series:
        """By a number or M."""
        return self * other.raised(Fraction(-1))

    def raised(self, exponent: Fraction) -> _Series:
        a, first = algebra(), self.terms[0]
        if exponent < 0:
            inverse = a.p.iM if first == a.p.M else a.one / first.LC
            return _Series([a.ring(inverse), *self.terms[1:]]).raised(-exponent)
        one = _Series([a.one, *([a.ring.zero] * (len(self.terms) - 1))])
        return reduce(operator.mul, [self] * exponent.numerator, one)


def _rate(i: int, j: int, k: int, factor: str) -> Any:
    """The coefficient of v^k in entry i, j of l: triangular as the factor is; of VP a scalar."""
    if (i < j and factor == "lower") or (i > j and factor == "upper"):
        return 0
    names = [row.name for row in rows("factor")]
    entry = names[MAX_RATE * ("xx", "mx", "xm", "mm").index("xm"[i] + "xm"[j]) + k]
    return algebra().element(entry) * algebra().number(Fraction((-1) ** k, factorial(k)))


def series_flow(moved: list[Matrix], terms: int) -> tuple[list[Matrix], list[Matrix]]:
    """V with dV/dv = M V, V(0) = I, and its inverse, as series in v; M is a series, too."""
    n = range(len(moved[0]))
    one = [[algebra().one if i == j else algebra().ring.zero for j in n] for i in n]
    flow, undone = [one], [one]
    for k in range(terms):
        grown = shrunk = [[algebra().ring.zero for _ in n] for _ in n]
        for j in range(min(k + 1, len(moved))):
            grown = _sum(grown, _product(moved[j], flow[k - j]))
            shrunk = _sum(shrunk, _product(undone[k - j], moved[j]))
        flow.append(_scaled(grown, Fraction(1, k + 1)))
        undone.append(_scaled(shrunk, Fraction(-1, k + 1)))
    return flow, undone


def series_at(series: list[Matrix], place: Fraction) -> list[Matrix]:
    """The series in v at v = place h, in powers of h."""
    return [_scaled(matrix, place**k if k else Fraction(1)) for k, matrix in enumerate(series)]


def series_times(left: list[Matrix], right: list[Matrix], terms: int) -> list[Matrix]:
    n = range(len(left[0]))
    product = [[[algebra().ring.zero for _ in n] for _ in n] for _ in range(terms + 1)]
    for i, a in enumerate(left[: terms + 1]):
        for j, b in enumerate(right[: terms + 1 - i]):
            product[i + j] = _sum(product[i + j], _product(a, b))
    return product


def _product(a: Matrix, b: Matrix) -> Matrix:
    n = range(len(a))
    return [[sum(a[i][k] * b[k][j] for k in n) for j in n] for i in n]


def _sum(a: Matrix, b: Matrix) -> Matrix:
    return [
        [x + y for x, y in zip(row, other, strict=True)] for row, other in zip(a, b, strict=True)
    ]


def _scaled(matrix: Matrix, number: Fraction) -> Matrix:
    factor = algebra().number(number)
    return [[entry * factor for entry in row] for row in matrix]


def _entries(series: list[Matrix]) -> list[list[list[Any]]]:
    """Of a series of matrices the matrix of series; an entry that vanishes is empty."""
    n = range(len(series[0]))
    found = [[[matrix[i][j] for matrix in series] for j in n] for i in n]
    return [[entry if any(entry) else [] for entry in row] for row in found]
