"""Fields of scores for `numbers.evaluate`: of SymPy expressions, of a Gaussian, of callables.

Each is another route than the one that points.py takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Any, Protocol

import sympy

from splitting_analysis.models import Model
from splitting_analysis.numbers import Directions, Field, Point, evaluate
from splitting_analysis.trees import PHI, Combination


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
