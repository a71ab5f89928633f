"""Averages over noise and over the reverse SDE, of elementary differentials (trees).

dy = kappa(u) P(u, y) du + dN, d<N>/du = Q(u) I, in any dimension, or of a pair; Taylor coefficients
of kappa and Q at the state that moves are generators of the ring.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

from sympy.polys.rings import ring

from splitting_analysis.held_weights import FIELD
from splitting_analysis.symbols import unit
from splitting_analysis.trees import (
    PHI,
    Combination,
    Tree,
    accumulate,
    canonical,
    derivative,
    leaf,
    leaves,
    time_derivative,
    units,
)

HIGHEST = 3
"""The power of h up to which errors are expanded: weak orders 1 and 2."""
WEIGHT = 2 * HIGHEST
LIVE = "P"
"""The prediction at the state that moves; P1, P2, ... stand at earlier ones."""
COMPONENTS = ("x", "m")
_PAIRS = ("xx", "xm", "mm")
_KERNELS = [f"kappa{k}{c}" for c in COMPONENTS for k in range(WEIGHT)]
_NOISES = [f"q{k}{p}" for p in _PAIRS for k in range(WEIGHT)]
RING, *_ELEMENTS = ring([*_KERNELS, *_NOISES], FIELD.to_domain())
_BY_NAME = dict(zip([*_KERNELS, *_NOISES], _ELEMENTS, strict=True))
ZERO, ONE = RING(0), RING(1)
Weighted = list[Combination]
"""Combinations by weight, the power of sqrt(h): 1 for noise, 2 for h."""


def numbered(name: str, k: int, of: str) -> Any:
    """The k-th Taylor coefficient of kappa of a component, or of Q of two."""
    return _BY_NAME[f"{name}{k}{of}"]


def name_of(j: int) -> str:
    """The prediction at the first state of the j-th step before."""
    return f"{LIVE}{j or ''}"


def averaged(
    total: Weighted, names: dict[str, str], spread: dict[tuple[str, str], list[Any]]
) -> Weighted:
    """Over normals: leaves by the names of their components, with a covariance by powers of h."""
    result, layer, k = [dict(terms) for terms in total], total, 1
    while any(layer):
        twice = nothing(WEIGHT)
        for pair, covariance in spread.items():
            for w, tree, coefficient in _contracted(layer, names[pair[0]], names[pair[1]]):
                for i, c in enumerate(covariance):
                    if c and w - 2 + 2 * i <= WEIGHT:
                        share = coefficient * c / 2 * (1 if pair[0] == pair[1] else 2)
                        accumulate(twice[w - 2 + 2 * i], tree, share)
        layer = [{tree: c / k for tree, c in terms.items()} for terms in twice]
        result = total_of(result, layer)
        k += 1
    return [_without(terms, set(names.values())) for terms in result]


def flowed(
    total: Weighted, length: Any, components: Sequence[str], names: dict[str, str]
) -> Weighted:
    """Averaged over the reverse SDE from a state `length` h earlier on, of which the total then is
    a function; leaves of those names, by component, are the noise that it draws on the way.
    """
    result, layer, k = [dict(terms) for terms in total], total, 1
    while any(layer):
        layer = [
            {tree: c * length / k for tree, c in terms.items()}
            for terms in _generated(layer, components, names)
        ]
        result = total_of(result, layer)
        k += 1
    return [_without(terms, set(names.values())) for terms in result]


def _generated(total: Weighted, components: Sequence[str], names: dict[str, str]) -> Weighted:
    """h times the generator of the reverse SDE, of state, time and noise."""
    result = nothing(WEIGHT)
    everything = frozenset(components)
    arguments = {LIVE: everything, PHI: everything}
    arguments |= {c: frozenset({c}) for c in components}

    def add(weight: int, tree: Tree, coefficient: Any) -> None:
        if weight <= WEIGHT:
            accumulate(result[weight], canonical(tree), coefficient)

    for w, terms in enumerate(total):
        for tree, coefficient in terms.items():
            if w + 2 <= WEIGHT:
                add(w + 2, tree, _slope(coefficient))
                for new in time_derivative(tree, frozenset({LIVE})):
                    add(w + 2, new, coefficient)
                for c in components:
                    for new in derivative(tree, c, leaf(LIVE), arguments):
                        add(w + 2, new, coefficient * numbered("kappa", 0, c))
            along = leaf(unit(len(units(tree)) + 1))
            once: dict[str, list[tuple[int, Tree]]] = {
                c: [
                    *((0, new) for new in derivative(tree, c, along, arguments)),
                    *((1, new) for new in _by_noise(tree, names.get(c), along)),
                ]
                for c in components
            }
            for pair in combinations_with_replacement(components, 2):
                share = coefficient * numbered("q", 0, "".join(pair))
                share = share / 2 if pair[0] == pair[1] else share
                for lost, first in once[pair[0]]:
                    for new in derivative(first, pair[1], along, arguments):
                        add(w + 2 - lost, new, share)
                    for new in _by_noise(first, names.get(pair[1]), along):
                        add(w + 1 - lost, new, share)
    return result


def _by_noise(tree: Tree, name: str | None, along: Tree) -> list[Tree]:
    return derivative(tree, name, along, {}) if name else []


def _contracted(layer: Weighted, one: str, other: str) -> list[tuple[int, Tree, Any]]:
    """Weights and trees with a unit vector in place of two leaves."""
    found: list[tuple[int, Tree, Any]] = []
    for w, terms in enumerate(layer):
        for tree, coefficient in terms.items():
            along = leaf(unit(len(units(tree)) + 1))
            for once in derivative(tree, one, along, {}):
                found += [
                    (w, canonical(twice), coefficient)
                    for twice in derivative(once, other, along, {})
                ]
    return found


def _without(terms: Combination, names: set[str]) -> Combination:
    """Those in which no noise of that name is left: it starts from 0."""
    return {
        tree: c
        for tree, c in terms.items()
        if not any(name in names for name, _, _ in leaves(tree))
    }


def older(terms: Combination) -> Combination:
    """The same with the state one step earlier as the one that moves."""
    result: Combination = {}
    for tree, coefficient in terms.items():
        accumulate(result, canonical(_renamed(tree)), coefficient)
    return result


def _renamed(tree: Tree) -> Tree:
    name, j, children = tree
    if name[:1] == LIVE and name[1:].isdigit():
        name = name_of(int(name[1:]) - 1)
    return (name, j, tuple(sorted((c, _renamed(child)) for c, child in children)))


def _slope(coefficient: Any) -> Any:
    """The derivative in u of a polynomial in Taylor coefficients at u."""
    result = ZERO
    for names in (_KERNELS, _NOISES):
        for i, name in enumerate(names[:-1]):
            if (i + 1) % WEIGHT:
                changed = coefficient.diff(_BY_NAME[name])
                if changed:
                    result += changed * _BY_NAME[names[i + 1]] * ((i + 1) % WEIGHT)
    return result


def nothing(weight: int) -> Weighted:
    return [{} for _ in range(weight + 1)]


def single(tree: Tree, weight: int = WEIGHT) -> Weighted:
    return [{tree: ONE}, *nothing(weight)[1:]]


def total_of(one: Weighted, other: Weighted) -> Weighted:
    result = [dict(terms) for terms in one]
    for into, terms in zip(result, other, strict=False):
        for tree, coefficient in terms.items():
            accumulate(into, tree, coefficient)
    return result


def minus(one: Weighted, other: Weighted) -> Weighted:
    return total_of(one, [{tree: -c for tree, c in terms.items()} for terms in other])


def times_series(by_h: Sequence[Any], series: Weighted, weight: int) -> Weighted:
    """A series in h times one in the root of h."""
    result = nothing(weight)
    for i, factor in enumerate(by_h):
        if factor:
            for w, terms in enumerate(series):
                if w + 2 * i <= weight:
                    for tree, coefficient in terms.items():
                        accumulate(result[w + 2 * i], tree, coefficient * factor)
    return result
