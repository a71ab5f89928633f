"""Elementary differentials as data, and the few operations that Taylor expansion needs.

A *tree* is a nested tuple (name, j, children), a vector in R^d; rooted in `PHI` it is a scalar, in
`MOMENT` a matrix:

    ("x", 0, ())                            the position itself
    ("sx", j, ((c1, v1), ..., (ck, vk)))    k-th derivative of d^j sx / d tau^j along the
                                            directions v1..vk, taken in components c1..ck
    (unit(1), 0, ())                        a unit vector; it occurs twice and is summed over
    (Noise("3", "x"), 0, ())                standard normal noise of block 3, component x

The class of its name says what a node is: a `Unit`, a `Noise`, or, a plain string, a component or
a function of the state. Children are sorted, so equal differentials are equal tuples. A
*combination* maps trees to coefficients (elements of a polynomial ring); a *series* is a list of
combinations indexed by weight, the power of sqrt(h). Order in a product is kept by the nesting,
which is what makes results valid in R^d, where Jacobians do not commute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import permutations
from typing import Any, Self

from sympy.polys.rings import PolyElement

from splitting_analysis.symbols import Unit, unit

Tree = tuple[str, int, tuple[Any, ...]]
Combination = dict[Tree, PolyElement]
Series = list[Combination]

PHI = "phi"
"""Root of the derivatives of a general test function."""
MOMENT = "moment"
"""Root of a second moment: two children u, v stand for the matrix u v^T."""


def leaf(name: str) -> Tree:
    return (name, 0, ())


class Noise(str):
    """The name of a block's standard normal noise in one component."""

    __slots__ = ("block", "component")
    block: str
    component: str

    def __new__(cls, block: str, component: str) -> Self:
        name = super().__new__(cls, f"~{block}~{component}")  # "~": no component is named so
        name.block, name.component = block, component
        return name

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:  # for copies and pickles
        return type(self), (self.block, self.component)


def is_noise(tree: Tree) -> bool:
    return isinstance(tree[0], Noise)


def is_contraction(tree: Tree) -> bool:
    return isinstance(tree[0], Unit)


def units(tree: Tree) -> list[Unit]:
    """The unit vectors that occur in a tree, each once, sorted."""
    return sorted({name for name, _, _ in leaves(tree) if isinstance(name, Unit)})


def noises(tree: Tree) -> list[Noise]:
    """The noise in a tree, left to right."""
    return [name for name, _, _ in leaves(tree) if isinstance(name, Noise)]


def add_child(tree: Tree, component: str, child: Tree) -> Tree:
    name, j, children = tree
    return (name, j, tuple(sorted((*children, (component, child)))))


def accumulate(into: Combination, tree: Tree, coefficient: Any) -> None:
    """Add `coefficient * tree` to `into`, dropping what cancels."""
    total = into[tree] + coefficient if tree in into else coefficient
    if total:
        into[tree] = total
    else:
        into.pop(tree, None)


def linear(terms: Sequence[tuple[Any, Combination]]) -> Combination:
    """The linear combination sum of factor * combination."""
    result: Combination = {}
    for factor, combination in terms:
        if factor:
            for tree, coefficient in combination.items():
                accumulate(result, tree, coefficient * factor)
    return result


def leaves(tree: Tree) -> Iterator[Tree]:
    """All leaves without children, left to right (the order `replace_leaves` uses)."""
    if tree[2]:
        for _, child in tree[2]:
            yield from leaves(child)
    else:
        yield tree


def replace_leaves(tree: Tree, new: Callable[[Tree], Tree]) -> Tree:
    """The tree with `new(leaf)` in place of every leaf, visited left to right."""
    name, j, children = tree
    if not children:
        return new(tree)
    return (name, j, tuple(sorted((c, replace_leaves(child, new)) for c, child in children)))


@lru_cache(maxsize=100_000)
def canonical(tree: Tree) -> Tree:
    """The same tree with its contraction indices numbered in one fixed way."""
    labels = units(tree)
    if not labels:
        return tree
    numbers = permutations([unit(i + 1) for i in range(len(labels))])
    return min(_renamed(tree, dict(zip(labels, order, strict=True))) for order in numbers)


def _renamed(tree: Tree, names: dict[Unit, Unit]) -> Tree:
    return replace_leaves(
        tree, lambda end: leaf(names[end[0]]) if isinstance(end[0], Unit) else end
    )


def derivative(
    tree: Tree, component: str, direction: Tree, arguments: dict[str, frozenset[str]]
) -> list[Tree]:
    """The trees of d tree / d component along `direction` (Leibniz), each with coefficient 1.

    `arguments[name]` says which components a node depends on; leaves of the state are linear.
    """
    name, j, children = tree
    if not children and name == component:
        return [direction]
    depends = component in arguments.get(name, frozenset())
    result = [add_child(tree, component, direction)] if depends else []
    for i, (c, child) in enumerate(children):
        rest = (name, j, children[:i] + children[i + 1 :])
        result += [
            add_child(rest, c, new) for new in derivative(child, component, direction, arguments)
        ]
    return result


def time_derivative(tree: Tree, timed: frozenset[str]) -> list[Tree]:
    """The trees of d tree / d tau: each node named in `timed` is differentiated once more."""
    name, j, children = tree
    result = [(name, j + 1, children)] if name in timed else []
    for i, (c, child) in enumerate(children):
        rest = (name, j, children[:i] + children[i + 1 :])
        result += [add_child(rest, c, new) for new in time_derivative(child, timed)]
    return result


def taylor(root: Tree, deltas: dict[str, Series], weight: int, time_shift: Any, one: Any) -> Series:
    """Expand a node at (state + delta, tau + time_shift * h), up to `weight`.

    `deltas` maps the components the node depends on to the series of their increments (no
    weight-0 part). Children of `root` are kept as they are. `time_shift` 0 expands in state only.
    """
    result: Series = [{} for _ in range(weight + 1)]
    time_factor = one
    for j in range(weight // 2 + 1):
        if j:
            if not time_shift:
                break
            time_factor = time_factor * time_shift / j
        start = (root[0], root[1] + j, root[2])
        layer: Series = [{} for _ in range(weight + 1)]
        layer[2 * j] = {start: time_factor}
        power = 0
        while any(layer):
            for w, terms in enumerate(layer):
                for tree, coefficient in terms.items():
                    accumulate(result[w], tree, coefficient)
            power += 1
            layer = _one_more_child(layer, deltas, weight, power)
    return result


def _one_more_child(layer: Series, deltas: dict[str, Series], weight: int, power: int) -> Series:
    grown: Series = [{} for _ in range(weight + 1)]
    for w, terms in enumerate(layer):
        for tree, coefficient in terms.items():
            share = coefficient / power
            for component, series in deltas.items():
                for v in range(1, weight - w + 1):
                    for child, factor in series[v].items():
                        accumulate(grown[w + v], add_child(tree, component, child), share * factor)
    return grown


def gather(
    combination: Combination,
) -> tuple[Combination, dict[tuple[str, int, tuple[Any, ...], str], Combination]]:
    """Split a combination for printing and evaluation, using linearity in the last direction.

    Returns the plain trees (no children, a PHI or MOMENT root, or a contraction) and, keyed by
    (name, j, other children, component), the combination of directions of each Jacobian.
    """
    plain: Combination = {}
    gathered: dict[tuple[str, int, tuple[Any, ...], str], Combination] = {}
    for tree, coefficient in combination.items():
        name, j, children = tree
        if not children or name in (PHI, MOMENT) or units(tree):
            plain[tree] = coefficient
        else:
            *others, (component, last) = children
            gathered.setdefault((name, j, tuple(others), component), {})[last] = coefficient
    return plain, gathered
