"""Integrators that are no words: their printed steps, on a well and free, against what follows from
their positions alone.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import sympy

from analytic_models.harmonic import X, Y, closed_forms, leading
from analytic_models.verlet import PRINTED, Verlet
from splitting_analysis.catalogue import find

BY_NAME = {each.name: each.form for each in PRINTED}
H, GAMMA, OMEGA = 0.6, 1.4, 1.1
HALF, FRICTION = 1 / (1 + GAMMA * H / 2), (1 - GAMMA * H / 2) / (1 + GAMMA * H / 2)
ROOT = np.sqrt(2 * GAMMA * H)


def bbk(q, v, xi, k):
    v = FRICTION * v + HALF * (-H * k * q + ROOT * xi)
    return q + H * v, v


def spv(q, v, xi, k):
    q = q + H / 2 * v
    v = FRICTION * v + HALF * (-H * k * q + ROOT * xi)
    return q + H / 2 * v, v


def gjf(q, v, xi, k):
    after = q + HALF * H * (v - H / 2 * k * q + ROOT / 2 * xi)
    return after, FRICTION * v - H / 2 * k * (FRICTION * q + after) + HALF * ROOT * xi


def gj2(q, v, xi, k):
    """BAOAB with kicks and drifts over a scaled step."""
    scaled = H * np.sqrt(np.tanh(GAMMA * H / 2) / (GAMMA * H / 2))
    v = v - scaled / 2 * k * q
    q = q + scaled / 2 * v
    v = np.exp(-GAMMA * H) * v + np.sqrt(1 - np.exp(-2 * GAMMA * H)) * xi
    q = q + scaled / 2 * v
    return q, v - scaled / 2 * k * q


STEPS = {"BBK": bbk, "SPV": spv, "GJF = GJ-I": gjf, "GJ-II": gj2}


def number(value):
    return float(sympy.sympify(value).subs({X: GAMMA * H, Y: (OMEGA * H) ** 2}))


def map_of(step, k):
    columns = [np.array(step(*unit, k)) for unit in ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0))]
    return np.stack(columns[:2], axis=1), columns[2]


@pytest.mark.parametrize("name", STEPS)
def test_a_printed_step_has_the_law_and_the_diffusion_of_its_positions(name):
    form = BY_NAME[name]
    matrix, noise = map_of(STEPS[name], OMEGA**2)
    law = scipy.linalg.solve_discrete_lyapunov(matrix, np.outer(noise, noise))
    assert law[0, 0] * OMEGA**2 == pytest.approx(number(form.position), rel=1e-10)
    free, noise = map_of(STEPS[name], 0.0)
    whole = noise[0] + free[0, 1] / (1 - free[1, 1]) * noise[1]
    assert whole**2 * GAMMA / (2 * H) == pytest.approx(number(form.diffusion), rel=1e-10)
    edge, _ = map_of(STEPS[name], number(form.limit) / H**2)
    assert min(abs(np.linalg.eigvals(edge) + 1)) < 1e-6


def test_the_gj_set_is_exact_in_all_that_positions_show_and_bbk_in_transport():
    for name, form in BY_NAME.items():
        assert (form.diffusion, form.drift) == (1, 1), name
        expected = 4 / (4 - Y) if name == "BBK" else 1
        assert sympy.simplify(form.position - expected) == 0


WORDS = {
    **dict.fromkeys(("BAOAB", "BAOA", "ABOBA"), True),
    "OBABO": False,
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.heavy] * (n in ("BAOA", "ABOBA"))) for n in WORDS],
)
def test_a_word_with_one_whole_kick_is_what_follows_from_its_positions(name):
    """The noise of one step reaches two positions, half each, or one as a whole."""
    decay = sympy.exp(-X)
    root, mean = sympy.sqrt(1 - decay**2), (1 + decay) / 2
    parts = (root / 2, root / 2) if WORDS[name] else (root, 0)
    form, found = Verlet(mean, decay, mean, *parts), closed_forms(find(name, "langevin", "sde"))
    for what in ("position", "diffusion", "drift"):
        ours, other = getattr(found, what), getattr(form, what)
        assert sympy.simplify((ours - other).rewrite(sympy.exp)) == 0, what
    assert found.limit == (sympy.simplify(form.limit),)


@pytest.mark.parametrize(
    ("name", "position", "momentum"),
    [
        ("OBABO", Y / 4, 0),
        ("BAOAB", 0, -Y / 4),
        pytest.param("UBU", -Y / 6, Y / 12, marks=pytest.mark.heavy),
        pytest.param("BUB", Y / 12, -Y / 6, marks=pytest.mark.heavy),
    ],
)
def test_leading_terms_are_these(name, position, momentum):
    found = closed_forms(find(name, "langevin"))
    assert leading(found.position) == position and leading(found.momentum) == momentum
