"""Closed forms as numbers: for a SymPy score, a Gaussian's, or callables such as a network.

Everything goes through one `evaluate`, which walks a combination and asks a *field* for
derivatives of the score along directions. Directions are scalars, arrays of independent modes
(d = 1 each) or vectors in R^d; the field alone knows which.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from itertools import product
from typing import Any, Protocol

import sympy
from sympy.polys.rings import PolyElement

from splitting_analysis.models import Model
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


def sympy_field(expressions: Mapping[str, sympy.Expr], at: Mapping[str, float]) -> Field:
    """The field of scalar score expressions in the state's components and forward time `tau`.

    `expressions` is keyed by score name ("sx", "sm"; "s"), and may hold "phi", a test function.
    """
    symbols = {name: sympy.Symbol(name) for name in at}
    values = {symbols[name]: sympy.Float(value, 30) for name, value in at.items()}
    cache: dict[tuple[Any, ...], float] = {}

    def field(name: str, j: int, directions: Directions) -> Any:
        key = (name, j, tuple(sorted(c for c, _ in directions)))
        if key not in cache:
            by = [symbols["tau"]] * j + [symbols[c] for c in key[2]]
            expression = expressions[name]
            if by:
                expression = sympy.diff(expression, *by, simplify=False)
            value = sympy.N(expression.subs(values), 25)
            if not value.is_number or not value.is_finite or not value.is_real:
                raise ValueError(f"the score {name} has no finite value at {dict(at)}: {value}")
            cache[key] = float(value)
        product: Any = cache[key]
        for _, direction in directions:
            product = product * direction
        return product

    return field


def linear_field(
    model: Model,
    jacobians: Sequence[Sequence[Sequence[Any]]],
    offsets: Sequence[Sequence[Any]],
    state: Mapping[str, Any],
) -> Field:
    """The field of an affine score, a Gaussian target's: d^j s/dtau^j = jacobians[j] z +
    offsets[j].

    Entries are scalars or arrays over independent modes, indexed by component. Second and higher
    derivatives in the state vanish.
    """
    index = {c: i for i, c in enumerate(model.components)}
    row = {name: i for i, name in enumerate(model.scores) if name}

    def field(name: str, j: int, directions: Directions) -> Any:
        i = row[name]
        if not directions:
            value = sum(jacobians[j][i][k] * state[c] for c, k in index.items())
            return value + offsets[j][i]
        if len(directions) > 1:
            return 0 * state[model.components[0]]
        component, direction = directions[0]
        return jacobians[j][i][index[component]] * direction

    return field


def callable_field(
    score: Callable[[str], Any],
    jvp: Callable[[str, str, Any], Any],
    dtau: Callable[[str], Any],
) -> Field:
    """The field of callables, a network's: enough for every h^2 coefficient.

    score(name), jvp(name, component, v) and dtau(name) are taken at the point in question. Give
    the trace term to `Point.laplacian`. Raises ValueError for a derivative they cannot supply.
    """

    def field(name: str, j: int, directions: Directions) -> Any:
        if not directions and j == 0:
            return score(name)
        if not directions and j == 1:
            return dtau(name)
        if len(directions) == 1 and j == 0:
            return jvp(name, *directions[0])
        raise ValueError(
            f"a derivative of {name} of order {len(directions)} in the state and {j} in time is "
            "needed; these callables give s, its Jacobian-vector products and its time derivative"
        )

    return field


def vector_field(
    drift: Sequence[sympy.Expr], at: Mapping[str, float], names: Sequence[str]
) -> Field:
    """The field of a full drift f for Runge-Kutta words: directions are SymPy column vectors.

    `drift` are the components of dz/dt for the variables `names`, time appended with drift 1.
    """
    symbols = [sympy.Symbol(name) for name in names]
    values = {sympy.Symbol(name): sympy.Float(value, 30) for name, value in at.items()}

    @cache
    def partial(by: tuple[int, ...]) -> Any:
        along = [symbols[i] for i in by]
        derived = [sympy.diff(f, *along, simplify=False) if by else f for f in drift]
        return sympy.Matrix(derived).subs(values).evalf(25)

    def field(_: str, __: int, directions: Directions) -> Any:
        total = sympy.zeros(len(drift), 1)
        for by in product(range(len(symbols)), repeat=len(directions)):
            along = [direction[i] for i, (_, direction) in zip(by, directions, strict=True)]
            total += sympy.prod(along) * partial(tuple(sorted(by)))
        return total

    return field


class HasTerms(Protocol):
    """A local error, as far as numbers of it are concerned."""

    @property
    def terms(self) -> Mapping[int, Mapping[str, Combination]]: ...


def error_numbers(error: HasTerms, point: Point) -> dict[int, dict[str, float]]:
    """All coefficients of a local error as floats, by power of h and key ("phi" left out)."""
    return {
        k: {key: float(evaluate(c, point)) for key, c in by_key.items() if key != PHI}
        for k, by_key in error.terms.items()
    }


def beta_parameters(beta: sympy.Expr, tau: float, count: int = 4) -> dict[str, float]:
    """beta, dbeta, d2beta, ... at forward time tau from an expression in `tau`."""
    symbol = sympy.Symbol("tau")
    names = [r.value for r in rows("clock") if r.power == 1][:count]
    return {n: float(sympy.diff(beta, symbol, k).subs(symbol, tau)) for k, n in enumerate(names)}
