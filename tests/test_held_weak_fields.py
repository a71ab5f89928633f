"""Weak errors of held predictions in two dimensions, with Jacobians that do not commute, by brute
force: polynomials, no trees.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import sympy
from sympy import Rational

from splitting_analysis.held_weak import weak_held_error
from splitting_analysis.schemes import scheme
from splitting_analysis.trees import leaves

SIZE = Rational(3, 2)
Y, Z, U = sympy.symbols("y0:2"), sympy.symbols("z0:2"), sympy.Symbol("u")
NOISE, H, Q = sympy.symbols("n0:2"), sympy.Symbol("h"), Rational(1, 3)


def field(u, y):
    """A prediction with derivatives of all kinds but third ones."""
    a, b = y
    return 1 + u / 2 + a / 3 + 2 * b - a * b / 2, 2 - u - a + b / 5 + a**2 / 3 + u * a / 2


def kernel(u):
    """e^(2 u) through h^3: eta is 1, so is the variance's rate, q e^(2 u)."""
    return 1 + 2 * u + 2 * u**2 + Rational(4, 3) * u**3


def cut(value, weight=6):
    """Without what is beyond h^3: h counts 2, noise 1."""
    kept = {
        m: c for m, c in sympy.Poly(value, H, *NOISE).terms() if 2 * m[0] + sum(m[1:]) <= weight
    }
    return sum(c * H ** m[0] * NOISE[0] ** m[1] * NOISE[1] ** m[2] for m, c in kept.items())


def generated(value, y):
    drift = [kernel(U) * p for p in field(U, y)]
    second = sum(sympy.diff(value, v, 2) for v in y)
    first = sum(d * sympy.diff(value, v) for d, v in zip(drift, y, strict=True))
    return sympy.expand(sympy.diff(value, U) + first + Q * kernel(U) * second / 2)


def expected(value, y, length, powers=3):
    """Over the reverse SDE, from y at u on, as a series in h."""
    total, layer = value, value
    for k in range(1, powers + 1):
        layer = cut(sympy.expand(generated(layer, y) * H * length / k))
        total += layer
    return total


def step(nodes, weights, test):
    """E test(y + sum of weights * nodes + noise) through h^3, the weights divided by h."""
    moved = [
        cut(sympy.expand(sum(H * w * p[i] for w, p in zip(weights, nodes, strict=True)))) + NOISE[i]
        for i in range(2)
    ]
    spread = sympy.expand(Q * sympy.integrate(kernel(U + H), (H, 0, H)))
    total: Any = 0
    for (i, j), c in sympy.Poly(test, *Z).terms():
        power = 1
        for factor in [Y[0] + moved[0]] * i + [Y[1] + moved[1]] * j:
            power = cut(sympy.expand(power * factor))
        for (a, b), part in sympy.Poly(power, *NOISE).terms():
            if a % 2 == b % 2 == 0:
                double = sympy.factorial2(a - 1) * sympy.factorial2(b - 1)
                total += c * part * double * spread ** ((a + b) // 2)
    return sympy.expand(total)


def brute(word, test):
    """Exact minus scheme in E test(y), the coefficients of h^2 and h^3 at y = 0."""
    first = sympy.expand(sympy.integrate(kernel(U + H), (H, 0, H)) / H)
    here = field(U, Y)
    if word == "S E:data":
        found = step([here], [first], test)
    else:
        slope = first / 2 / SIZE
        found = step([here, Z], [first + slope, -slope], test)  # Z: the evaluation before
    exact = expected(test.subs(dict(zip(Z, Y, strict=True))), Y, 1)
    total = cut(sympy.expand(exact - found))
    if word != "S E:data":
        total = cut(sympy.expand(expected(total, Y, SIZE)))
        total = total.subs(dict(zip(Z, field(U, Y), strict=True)))
    total = sympy.Poly(total.subs(dict.fromkeys((*Y, U), 0)), H)
    return [total.coeff_monomial(H**k) for k in (1, 2, 3)]


def by_trees(word, test):
    """The same from the derived trees, by automatic nesting of derivatives."""
    error = weak_held_error(scheme(word, "vp", "sde"))
    origin = dict.fromkeys((*Y, U), 0)

    def vector(tree, chosen):
        name, j, children = tree
        if name != "P":
            return [sympy.Integer(i == chosen[name]) for i in range(2)]
        inner = [vector(child, chosen) for _, child in children]
        result = []
        for p in field(U, Y):
            total: Any = 0
            for indices in product(range(2), repeat=len(children)):
                share = sympy.prod(v[i] for v, i in zip(inner, indices, strict=True))
                total += share * sympy.diff(p, *[(Y[i], 1) for i in indices], (U, j))
            result.append(total)
        return [r.subs(origin) for r in result]

    found: Any = 0
    for tree, coefficient in error.phi.items():
        names = sorted({n for n, _, _ in leaves(tree) if n.startswith("e")})
        for chosen in product(range(2), repeat=len(names)):
            inner = [vector(child, dict(zip(names, chosen, strict=True))) for _, child in tree[2]]
            for indices in product(range(2), repeat=len(inner)):
                share = sympy.prod(v[i] for v, i in zip(inner, indices, strict=True))
                slope = sympy.diff(test, *[(Z[i], 1) for i in indices]).subs(dict.fromkeys(Z, 0))
                found += coefficient * share * slope
    return error.power, found.subs({"q0xx": Q, "r1": SIZE})


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("word", "test"),
    [
        ("S E:data", Z[0]),
        ("S E:data", Z[1] + Z[0] * Z[1]),
        ("S E:data", Z[0] ** 2 - Z[1] ** 2),
        ("S E:data[2:dpm]", Z[1]),
        ("S E:data[2:dpm]", Z[0] ** 2),
    ],
    ids=str,
)
def test_in_two_dimensions_with_jacobians_that_do_not_commute_the_trees_are_right(word, test):
    power, told = by_trees(word, test)
    found = brute(word, test)
    assert found[: power - 1] == [0] * (power - 1)
    assert sympy.simplify(found[power - 1] - told) == 0 and told != 0
