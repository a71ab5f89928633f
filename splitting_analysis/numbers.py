"""Closed forms as numbers, for any score that can say its derivatives.

Everything goes through one `evaluate`, which walks a combination and asks a *field* for
derivatives of the score along directions. Directions are scalars, arrays of independent modes
(d = 1 each) or vectors in R^d; the field alone knows which.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import sympy
from sympy.polys.rings import PolyElement

from splitting_analysis.symbols import row, rows
from splitting_analysis.trees import MOMENT, PHI, Combination, Tree, gather, is_contraction, units

Directions = tuple[tuple[str, Any], ...]
Field = Callable[[str, int, Directions], Any]
"""field(name, j, ((c1, v1), ...)): d^j name / dtau^j differentiated along v_i in component c_i."""


@dataclass(frozen=True)
class Point:
    """Where to evaluate: `state` by component, the score's `field`, and parameter values.

    `parameters` holds what occurs of Gamma, nu, M, gamma, lambda_s, beta, dbeta, d2beta, ...
    `basis` lists the unit vectors of R^d when directions are vectors; None means d = 1 (or
    independent modes). `laplacian(name, component)` may supply the trace term of a vector score.
    """

    state: Mapping[str, Any]
    field: Field
    parameters: Mapping[str, Any]
    basis: Sequence[Any] | None = None
    laplacian: Callable[[str, str], Any] | None = None


def evaluate(combination: Combination, point: Point) -> Any:
    """The value of a combination; 0 for the empty one.

    Second moments of a vector score come out as the trace of their d x d matrix. Raises KeyError
    naming a parameter that is missing.
    """
    plain, gathered = gather(combination)
    terms = [
        coefficient_value(c, point.parameters) * _tree(tree, point) for tree, c in plain.items()
    ]
    for (name, j, others, component), directions in gathered.items():
        arguments = [(c, _tree(child, point)) for c, child in others]
        arguments.append((component, evaluate(directions, point)))
        terms.append(_asked(point, name, j, arguments))
    return reduce(operator.add, terms) if terms else 0  # sum() would start from 0, no vector


def coefficient_value(element: PolyElement, parameters: Mapping[str, Any]) -> Any:
    """A coefficient at the given parameter values."""
    total: Any = 0
    for monomial, number in element.terms():
        term: Any = int(number.numerator)
        for name, exponent in zip(map(str, element.ring.symbols), monomial, strict=True):
            if exponent:
                term = term * row(name).at(parameters) ** exponent
        total = total + term / int(number.denominator)
    return total


def _tree(tree: Tree, point: Point) -> Any:
    labels = units(tree)
    if not labels or point.basis is None:
        return _bound(tree, point, dict.fromkeys(labels, 1))
    if point.laplacian is not None and _is_laplacian(tree):
        return point.laplacian(tree[0], tree[2][0][0])
    total: Any = 0
    choices: list[dict[str, Any]] = [{}]
    for label in labels:
        choices = [{**bound, label: unit} for bound in choices for unit in point.basis]
    for bound in choices:
        total = total + _bound(tree, point, bound)
    return total


def _is_laplacian(tree: Tree) -> bool:
    (name, j, children) = tree
    return (
        name not in (PHI, MOMENT)
        and j == 0
        and len(children) == 2
        and is_contraction(children[0][1])
        and children[0] == children[1]
    )


def _bound(tree: Tree, point: Point, units: Mapping[str, Any]) -> Any:
    name, j, children = tree
    if name in units:
        return units[name]
    if name in point.state:
        return point.state[name]
    arguments = [(c, _bound(child, point, units)) for c, child in children]
    if name == MOMENT:
        product = arguments[0][1] * arguments[1][1]
        return product if point.basis is None else product.sum()
    return _asked(point, name, j, arguments)


def _asked(point: Point, name: str, j: int, arguments: Sequence[tuple[str, Any]]) -> Any:
    """What the field says, as a copy of copies: it may write into a direction, or into its last
    result.
    """
    return _own(point.field(name, j, tuple((c, _own(direction)) for c, direction in arguments)))


def _own(value: Any) -> Any:
    """A copy of an array (NumPy, torch, a SymPy matrix); numbers and expressions as they are."""
    if isinstance(value, sympy.Basic):
        return value
    copy = getattr(value, "clone", None) or getattr(value, "copy", None)
    return copy() if copy is not None else value


def beta_parameters(beta: sympy.Expr, tau: float, count: int = 4) -> dict[str, float]:
    """beta, dbeta, d2beta, ... at forward time tau from an expression in `tau`."""
    symbol = sympy.Symbol("tau")
    names = [r.value for r in rows("clock") if r.power == 1][:count]
    return {n: float(sympy.diff(beta, symbol, k).subs(symbol, tau)) for k, n in enumerate(names)}
