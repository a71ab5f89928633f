"""A conjugate step (theory section 6) as a series in h: what it keeps of the state, gains of s.

With z_hat = A z it is Euler's step for B, then the exact flow Y of dz = (B + beta linear) z dt with
eps held, so that z' = Y (I - h B) z + (integral of Y(end, u) beta score Q(u) du) s, where Q(u) =
L(u)^-T L(seen)^T takes the score seen to the one that the held eps means at u. Along the step
dQ/dv = l^T Q in reverse time v, l = (dL/dtau) L^-1: of the factor L only l and its derivatives
occur, and they are symbols.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import factorial
from typing import Any

from splitting_analysis.algebra import algebra
from splitting_analysis.models import conjugation
from splitting_analysis.program import Advance
from splitting_analysis.symbols import MAX_RATE, rows

Matrix = list[list[Any]]
MOST = MAX_RATE + 1
"""The highest power of h for which the rates of the factor suffice."""


@dataclass(frozen=True)
class Bend:
    """lambda of conjugate steps, None for the symbol, and the factor of the eps that they hold."""

    value: Fraction | None = None
    factor: str = "lower"


PLAIN = Bend()


def conjugate_step(
    op: Advance, origin: int, betas: list[Any], bend: Bend, terms: int
) -> tuple[list[list[list[Any]]], list[list[list[Any]]]]:
    """K and G of z <- K z + G s through h^terms, matrices of series, in the step from `origin` on.

    `betas` are the coefficients of beta in powers of reverse time v from the base point on.
    """
    a = algebra()
    linear, weights = op.piece.linear(a.p), op.piece.score(a.p)
    n = range(len(linear))
    value = _lambda() if bend.value is None else a.number(bend.value)
    shift = conjugation(op.piece.conjugation, value, len(linear))
    moved = [[[beta * linear[i][j] for j in n] for i in n] for beta in betas[:terms]]
    moved[0] = [[moved[0][i][j] + shift[i][j] for j in n] for i in n]
    turned = [
        [[_rate(j, i, k, bend.factor) for j in n] for i in n] for k in range(min(terms, MAX_RATE))
    ]
    flow, undone = _flow(moved, terms)
    turn, back = _flow(turned, terms)
    force = [[[beta * weights[i] if i == j else 0 for j in n] for i in n] for beta in betas[:terms]]
    held = _times(_times(undone, force, terms - 1), turn, terms - 1)
    start, stop, seen = (part + origin for part in (op.start, op.stop, op.seen))
    integral = [[[0 for _ in n] for _ in n]] + [
        _scaled(held[k], (stop ** (k + 1) - start ** (k + 1)) / (k + 1)) for k in range(terms)
    ]
    end = _at(flow, stop)
    first = [_scaled(undone[0], Fraction(1)), _scaled([list(row) for row in shift], -op.share)]
    keep = _times(_times(end, _at(undone, start), terms), first, terms)
    gain = _times(_times(end, integral, terms), _at(back, seen), terms)
    return _entries(keep), _entries(gain)


def _lambda() -> Any:
    return algebra().element("lambda_")


def _rate(i: int, j: int, k: int, factor: str) -> Any:
    """The coefficient of v^k in entry i, j of l: triangular as the factor is; of VP a scalar."""
    if (i < j and factor == "lower") or (i > j and factor == "upper"):
        return 0
    names = [row.name for row in rows("factor")]
    entry = names[MAX_RATE * ("xx", "mx", "xm", "mm").index("xm"[i] + "xm"[j]) + k]
    return algebra().element(entry) * algebra().number(Fraction((-1) ** k, factorial(k)))


def _flow(moved: list[Matrix], terms: int) -> tuple[list[Matrix], list[Matrix]]:
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


def _at(series: list[Matrix], place: Fraction) -> list[Matrix]:
    """The series in v at v = place h, in powers of h."""
    return [_scaled(matrix, place**k if k else Fraction(1)) for k, matrix in enumerate(series)]


def _times(left: list[Matrix], right: list[Matrix], terms: int) -> list[Matrix]:
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
