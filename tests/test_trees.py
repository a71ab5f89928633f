"""Trees are functions of the state: what is done to a tree is what calculus does to its
function.
"""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from splitting_analysis.algebra import SYMBOLS, algebra
from splitting_analysis.symbols import Moment, Unit, pair, unit
from splitting_analysis.trees import (
    Noise,
    canonical,
    derivative,
    gather,
    is_contraction,
    is_noise,
    leaf,
    leaves,
    linear,
    replace_leaves,
    taylor,
    time_derivative,
    units,
)
from tests.strategies import examples

x, m, tau = sp.symbols("x m tau")
FUNCTIONS = {"x": x, "m": m, "sx": sp.exp(x + 2 * m) * (1 + tau), "sq": x**3 * sp.exp(3 * tau)}
ARGUMENTS = {"x": frozenset("x"), "m": frozenset("m"), "sx": frozenset("xm"), "sq": frozenset("x")}
"""sq does not depend on m, as a Langevin score does not on the momentum."""


def value(tree):
    """The function a tree stands for, in one dimension."""
    name, j, children = tree
    one = isinstance(name, Unit | Noise)
    result = sp.Integer(1) if one else sp.diff(FUNCTIONS[name], tau, j)
    for c, _ in children:
        result = sp.diff(result, {"x": x, "m": m}[c])
    for _, child in children:
        result *= value(child)
    return result


def same(left, right):
    return sp.simplify(left - right) == 0


def trees(depth=2, labels=()):
    """Random trees; children only in components that the node depends on."""
    ends = st.sampled_from(["x", "m", *labels]).map(leaf)
    if depth == 0:
        return ends

    def node(name):
        child = st.tuples(st.sampled_from(sorted(ARGUMENTS[name])), trees(depth - 1, labels))
        return st.builds(
            lambda j, children: (name, j, tuple(sorted(children))),
            st.integers(0, 1),
            st.lists(child, max_size=2),
        )

    return st.one_of(ends, st.sampled_from(["sx", "sq"]).flatmap(node))


@examples(16)
@given(tree=trees(), component=st.sampled_from("xm"), direction=trees(1))
def test_the_derivative_of_a_tree_is_that_of_its_function_along_the_direction(
    tree, component, direction
):
    terms = derivative(tree, component, direction, ARGUMENTS)
    true = sp.diff(value(tree), {"x": x, "m": m}[component]) * value(direction)
    assert same(sum(map(value, terms)), true)


@examples(16)
@given(tree=trees())
def test_the_time_derivative_of_a_tree_is_that_of_its_function(tree):
    terms = time_derivative(tree, frozenset({"sx", "sq"}))
    assert same(sum(map(value, terms)), sp.diff(value(tree), tau))


def test_a_momentum_reaches_a_score_that_only_its_children_carry_it_to():
    force = ("sq", 0, (("x", leaf("m")),))
    assert derivative(force, "m", leaf("sx"), ARGUMENTS) == [("sq", 0, (("x", leaf("sx")),))]


@pytest.mark.parametrize("name", ["sx", "sq"])
def test_taylor_expands_a_node_as_its_function(name):
    """At (x + a h + b h^2, m + c h) and tau - h/2, through h^3; steps are series in sqrt(h)."""
    a, h = algebra(), sp.Symbol("h")
    number = lambda v: a.number(Fraction(v))  # noqa: E731
    one = leaf(unit(1))
    series = {
        "x": [{}, {}, {one: number(2)}, {}, {one: number(-1)}, {}, {}],
        "m": [{}, {}, {one: number(3)}, {}, {}, {}, {}],
    }
    deltas = {c: s for c, s in series.items() if c in ARGUMENTS[name]}
    result = taylor(leaf(name), deltas, 6, a.number(Fraction(-1, 2)), a.one)
    moved = FUNCTIONS[name].subs(
        {x: x + 2 * h - h**2, m: m + 3 * h, tau: tau - h / 2}, simultaneous=True
    )
    for k in range(4):
        ours = sum(a.to_sympy(c) * value(tree) for tree, c in result[2 * k].items())
        assert same(ours, sp.diff(moved, h, k).subs(h, 0) / sp.factorial(k)), k
    assert not any(result[1::2])


@given(tree=trees(labels=(unit(1), unit(2))), swap=st.booleans())
def test_the_canonical_tree_does_not_depend_on_the_names_of_its_indices(tree, swap):
    new = (unit(2), unit(1)) if swap else (unit(7), unit(3))
    names: dict[str, str] = dict(zip((unit(1), unit(2)), new, strict=True))
    renamed = replace_leaves(tree, lambda end: leaf(names[end[0]]) if end[0] in names else end)
    assert canonical(renamed) == canonical(tree) == canonical(canonical(tree))
    shape = lambda t: replace_leaves(t, lambda end: leaf("e") if is_contraction(end) else end)  # noqa: E731
    assert shape(canonical(tree)) == shape(tree)
    assert len(units(canonical(tree))) == len(units(tree))


def test_what_a_node_is_does_not_hang_on_how_its_name_is_spelled():
    """Neither is a component called e, or eps, a unit vector, nor what only looks like noise
    noise.
    """
    assert is_contraction(leaf(unit(3))) and is_noise(leaf(Noise("3", "x")))
    for name in ("e", "e1", "eps", "~3~x"):
        assert not is_contraction(leaf(name)) and not is_noise(leaf(name))
    noise, key = Noise("4-late", "e~x"), pair("x", "aux", ("x", "aux"))
    for each in (copy.deepcopy(noise), pickle.loads(pickle.dumps(noise))):  # noqa: S301 - our own
        assert isinstance(each, Noise) and (each.block, each.component) == ("4-late", "e~x")
    again = pickle.loads(pickle.dumps(key))  # noqa: S301 - our own
    assert isinstance(again, Moment) and again == "x aux" and again.parts == ("x", "aux")


@given(tree=trees(labels=(unit(1), Noise("0", "x"))))
def test_leaves_are_visited_in_the_order_in_which_they_are_replaced(tree):
    seen = []

    def note(end):
        seen.append(end)
        return end

    replace_leaves(tree, note)
    assert seen == list(leaves(tree))


@examples(16)
@given(terms=st.lists(st.tuples(trees(labels=(unit(1),)), st.integers(-3, 3)), max_size=8))
def test_gathering_loses_nothing(terms):
    a = algebra()
    combination = linear([(a.number(c), {tree: a.one}) for tree, c in terms])
    plain, gathered = gather(combination)
    back = dict(plain)
    for (name, j, others, component), directions in gathered.items():
        for child, c in directions.items():
            back[name, j, (*others, (component, child))] = c
    assert back == combination
    total = sum(a.to_sympy(c) * value(tree) for tree, c in combination.items())
    assert same(sum(c * value(tree) for tree, c in terms), total)


def test_the_ring_reduces_what_is_one_and_keeps_what_is_not():
    a = algebra()
    mass, inverse, ibeta, root = a.p.M, a.p.iM, a.ibeta, a.root_lambda
    assert a.reduce(mass * inverse * ibeta * a.betas[0]) == a.one
    assert a.reduce(root**3) == a.lambda_s * root
    assert (
        a.reduce(mass**2 * inverse) == mass and a.reduce(ibeta * a.betas[1]) == ibeta * a.betas[1]
    )
    expression = a.to_sympy(mass**2 * a.p.nu / 3 - root * a.betas[2] + inverse)
    M, nu, lambda_s, d2beta = (SYMBOLS[n] for n in ("M", "nu", "lambda_s", "d2beta"))
    assert same(expression, M**2 * nu / 3 - sp.sqrt(lambda_s) * d2beta + 1 / M)
