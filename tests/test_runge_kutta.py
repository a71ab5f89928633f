"""Runge-Kutta rows that are shorter than the stages so far weigh the last ones, in all three
worlds.

The oracle is the Butcher tableau with the zeros filled in: in symbols its elementary weights, in
exact arithmetic and in the engine the textbook's loop over stages, each written out here or in an
oracle.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction as F
from itertools import pairwise
from math import factorial, prod
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the samplers need torch")

from analytic_models import moments  # noqa: E402
from analytic_models.diffusions import PSLD, VP, Diffusion, Langevin  # noqa: E402
from analytic_models.targets import Gaussian  # noqa: E402
from gpu_samplers import engine  # noqa: E402
from gpu_samplers.plan import plan  # noqa: E402
from splitting_analysis.schemes import scheme  # noqa: E402
from splitting_analysis.weak import local_error, order_of  # noqa: E402
from tests.oracle_moments import Plain  # noqa: E402
from tests.probing import process_of  # noqa: E402

TABLEAUX: dict[str, tuple[list[list[Any]], list[Any]]] = {
    "midpoint": ([[], [F(1, 2)]], [0, 1]),
    "Heun's third": ([[], [F(1, 3)], [0, F(2, 3)]], [F(1, 4), 0, F(3, 4)]),
    "Bogacki-Shampine": ([[], [F(1, 2)], [0, F(3, 4)]], [F(2, 9), F(1, 3), F(4, 9)]),
    "Kutta's 3/8": (
        [[], [F(1, 3)], [F(-1, 3), 1], [1, -1, 1]],
        [F(1, 8), F(3, 8), F(3, 8), F(1, 8)],
    ),
    "the classical fourth": (
        [[], [F(1, 2)], [0, F(1, 2)], [0, 0, 1]],
        [F(1, 6), F(1, 3), F(1, 3), F(1, 6)],
    ),
    "the last two of three": ([[], [F(1, 2)], [F(1, 5), F(3, 5)]], [0, F(1, 2), F(1, 2)]),
    "two of three, then two of four": (
        [[], [F(1, 4)], [0, F(1, 2)], [0, F(2, 3), F(1, 3)]],
        [0, 0, F(3, 2), F(-1, 2)],
    ),
}  # fmt: skip
"""Rows of stages and weights. Orders: 2, 3, 3, 4, 4; of the last two what their elementary weights
say.
"""
ORDERS = dict(zip(TABLEAUX, (2, 3, 3, 4, 4), strict=False))
EVERY = pytest.mark.parametrize("name", TABLEAUX)
TIMES = [0.0, 0.1, 0.25, 0.5, 0.6, 0.83, 0.95]


def word_of(name):
    """The tableau as a word, the zeros at the start of each row left out."""
    stages, weights = TABLEAUX[name]
    tokens = ["S"]
    for row in (*stages[1:], weights):
        first = next(k for k, weight in enumerate(row) if weight)
        tokens += [f"E[{','.join(map(str, row[first:]))}]", f"S@{sum(row, F(0))}"]
    return " ".join(tokens[:-1])


def test_the_words_have_short_rows_after_the_first_stage():
    assert (
        word_of("the classical fourth") == "S E[1/2] S@1/2 E[1/2] S@1/2 E[1] S@1 E[1/6,1/3,1/3,1/6]"
    )
    assert word_of("the last two of three") == "S E[1/2] S@1/2 E[1/5,3/5] S@4/5 E[1/2,1/2]"


# In symbols: the coefficient of a tree t is (1 / gamma(t) - phi(t)) / sigma(t).


def size(tree):
    return 1 + sum(size(child) for _, child in tree[2])


def density(tree):
    return size(tree) * prod(density(child) for _, child in tree[2])


def symmetry(tree):
    children = [child for _, child in tree[2]]
    return prod(factorial(n) * symmetry(child) ** n for child, n in Counter(children).items())


def at_stages(tree, stages):
    """The elementary weight of every stage: one factor per child, each a row times the child's
    own.
    """
    result = [F(1)] * len(stages)
    for _, child in tree[2]:
        inner = at_stages(child, stages)
        sums = [sum((a * w for a, w in zip(row, inner, strict=False)), F(0)) for row in stages]
        result = [one * other for one, other in zip(result, sums, strict=True)]
    return result


def trees_of(order):
    """All rooted trees with `order` nodes, as weak.py spells them."""
    if order == 1:
        return [("f", 0, ())]
    grown = set()
    for tree in trees_of(order - 1):
        grown |= set(with_one_more(tree))
    return sorted(grown)


def with_one_more(tree):
    name, j, children = tree
    yield (name, j, tuple(sorted((*children, ("z", ("f", 0, ()))))))
    for k, (component, child) in enumerate(children):
        for new in with_one_more(child):
            yield (name, j, tuple(sorted((*children[:k], (component, new), *children[k + 1 :]))))


@EVERY
def test_the_derived_error_is_that_of_the_elementary_weights_of_the_tableau(name):
    stages, weights = TABLEAUX[name]
    found = local_error(scheme(word_of(name), "psld", "ode"), 5)
    wrong = []
    for order in range(1, 6):
        expected = {}
        for tree in trees_of(order):
            phi = sum((b * w for b, w in zip(weights, at_stages(tree, stages), strict=True)), F(0))
            expected[tree] = (F(1, density(tree)) - phi) / symmetry(tree)
        terms = found.terms[order]["z"]
        assert {tree: F(str(value.as_expr())) for tree, value in terms.items()} == {
            tree: value for tree, value in expected.items() if value
        }
        wrong += [order] if any(expected.values()) else []
    order = order_of(scheme(word_of(name), "psld", "ode"))
    assert order == wrong[0] - 1
    assert order == ORDERS.get(name, order)


# In exact arithmetic: the printed loop on dense Gaussian laws.


@EVERY
@pytest.mark.parametrize("model", ["psld", "vp", "langevin"])
def test_the_exact_moments_are_those_of_the_tableau_with_its_zeros(name, model):
    processes: dict[str, Diffusion] = {
        "psld": PSLD(0.3, 2.5, 2.0, 7.0, 0.04), "vp": VP(0.2, 3.5), "langevin": Langevin(0.8, 2.0)
    }  # fmt: skip
    process = processes[model]
    stages, weights = TABLEAUX[name]
    rows, last = [[float(a) for a in row] for row in stages], [float(b) for b in weights]
    oracle = Plain(model, process, np.diag([0.05, 0.7, 2.0]), np.array([0.4, -1.0, 0.3]))
    oracle.run(
        TIMES,
        lambda p: p.runge_kutta(rows, last, [sum(row) for row in rows]),
        int(model != "langevin"),
    )
    target = Gaussian([0.05, 0.7, 2.0], [0.4, -1.0, 0.3])
    law = moments.run(scheme(word_of(name), model, "ode"), process, target, TIMES)
    mean, covariance = oracle.mean(), oracle.covariance()
    for i, row in enumerate(law.covariance):
        np.testing.assert_allclose(law.mean[i], mean[i], rtol=1e-11, atol=1e-12)
        for j, entry in enumerate(row):
            np.testing.assert_allclose(
                np.diag(np.broadcast_to(entry, 3)), covariance[i][j], atol=1e-11
            )
    assert law.nfe == oracle.evaluations


# In the engine: the textbook's loop on a score that is no one's.


def wavy(z, tau):
    return -z + 0.3 * torch.sin(2 * z + tau) * (1 + tau)


def textbook(process, stages, weights, z):
    """The classical loop, the reverse probability flow written out (theory section 2)."""

    def slope(z, tau):
        s, half = wavy(z, tau), process.beta(tau) / 2
        if process.model_name == "vp":
            return half * (z + s)
        x, m = z
        gamma, nu = process.Gamma, process.nu
        mass = 4 / (gamma - nu) ** 2
        return half * torch.stack(
            [gamma * x - m / mass + gamma * s[0], x + nu * m + mass * nu * s[1]]
        )

    for t, after in pairwise(TIMES):
        h, slopes = after - t, list[Any]()
        for row in stages:
            state = z + h * sum((float(a) * k for a, k in zip(row, slopes, strict=True)), 0 * z)
            slopes.append(slope(state, process.T - t - float(sum(row)) * h))
        z = z + h * sum(float(b) * k for b, k in zip(weights, slopes, strict=True))
    return z


@EVERY
@pytest.mark.parametrize("case", ["psld, beta varies", "vp"])
def test_the_engine_runs_the_tableau_with_its_zeros(name, case):
    process, (stages, weights) = process_of(case), TABLEAUX[name]
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(len(process.stationary), 2, 5, generator=generator, dtype=torch.float64)
    ready = plan(scheme(word_of(name), process.model_name, "ode"), process, TIMES, denoise=False)
    end, nfe = engine.run(ready, wavy, z)
    torch.testing.assert_close(end, textbook(process, stages, weights, z), rtol=1e-12, atol=1e-12)
    assert nfe == len(stages) * (len(TIMES) - 1)
