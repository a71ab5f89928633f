"""Small matrices and vectors as tuples; entries are floats, arrays over modes or mpmath numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analytic_models.diffusions import Block, Pair

Rows = Sequence[Sequence[Any]]


def times(a: Rows, b: Rows) -> Block:
    columns = range(len(b[0]))
    return tuple(tuple(sum(row[k] * b[k][j] for k in range(len(b))) for j in columns) for row in a)


def plus(a: Block, b: Block, factor: int = 1) -> Block:
    """a + factor b."""
    return tuple(
        tuple(x + factor * y for x, y in zip(r, s, strict=True)) for r, s in zip(a, b, strict=True)
    )


def transposed(a: Block) -> Block:
    return tuple(zip(*a, strict=True))


def applied(a: Block, vector: Pair) -> Pair:
    """The matrix times the vector."""
    return tuple(sum(entry * v for entry, v in zip(row, vector, strict=True)) for row in a)


def inverse(symmetric: Block) -> Block:
    """Of a symmetric matrix of one or two components."""
    if len(symmetric) == 1:
        return ((1 / symmetric[0][0],),)
    (p, q), (_, r) = symmetric
    det = p * r - q * q
    return ((r / det, -q / det), (-q / det, p / det))


def column(values: Pair) -> Block:
    return tuple((value,) for value in values)


def diagonal(values: Pair) -> Block:
    return tuple(
        tuple(v if i == j else 0 * v for j in range(len(values))) for i, v in enumerate(values)
    )


def identity(n: int) -> Block:
    return tuple(tuple(int(i == j) for j in range(n)) for i in range(n))
