"""Integrators that are no words: their printed steps, on a well and free, against what follows from
their positions alone.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import sympy

from analytic_models.harmonic import X, Y, closed_forms, leading
from analytic_models.verlet import PRINTED, Verlet, evenly, whole
from analytic_models.verlet import gj as gj_form
from splitting_analysis.catalogue import find

BY_NAME = {each.name: each.form for each in PRINTED}
H, GAMMA, OMEGA = 0.6, 1.4, 1.1
HG, E = GAMMA * H, np.exp(-GAMMA * H)
ROOT = np.sqrt(2 * HG)


def free_noise(h):
    """Deviations of (q, v) that noise makes in a free particle over h, (2, 2), by quadrature."""
    u, w = (a / 2 for a in np.polynomial.legendre.leggauss(20))
    left = h * (u + 0.5)
    kernel = np.stack([(1 - np.exp(-GAMMA * left)) / GAMMA, np.exp(-GAMMA * left)])
    return np.linalg.cholesky(np.einsum("is,js,s->ij", kernel, kernel, 2 * GAMMA * h * w))


def ss(z, xi, k):
    """Friction and noise are forces, both half kicks of a step taking the same."""
    q, v = z
    v = v + H * (-k * q - GAMMA * v) + ROOT * xi[0]
    return np.array([q + H * v, v])


def allen(z, xi, k):
    q, v = z
    c0, c1 = E, (1 - E) / HG
    c2, (dr, dv) = (1 - c1) / HG, free_noise(H) @ xi[:2]
    after = q + c1 * H * v - c2 * H**2 * k * q + dr
    return np.array([after, c0 * v - (c1 - c2) * H * k * q - c2 * H * k * after + dv])


def vgb(z, xi, k):
    """In positions; z is q_n, q_{n-1}, and what the noise of the step before still adds."""
    q, last, left = z
    slope = (HG / 2 * (1 + E) - (1 - E)) / HG**2
    force = -k * (q * (1 - E) / HG + (q - last) * slope)
    dr, dv = free_noise(H) @ xi[:2]
    after = (1 + E) * q - E * last + H**2 * force + dr + left
    return np.array([after, q, (1 - E) / GAMMA * dv - E * dr])


def vec(z, xi, k):
    q, v = z
    one, two = xi[:2]
    noise = np.sqrt(2 * GAMMA)

    def half(v, force):
        drift = force - GAMMA * v
        kick = v + H / 2 * drift + np.sqrt(H) / 2 * noise * one
        late = H**2 / 8 * GAMMA * drift + H**1.5 / 4 * GAMMA * noise * (one / 2 + two / np.sqrt(3))
        return kick - late

    v = half(v, -k * q)
    q = q + H * v + H**1.5 * noise * two / (2 * np.sqrt(3))
    return np.array([q, half(v, -k * q)])


def ovrvo(z, xi, k):
    q, v = z
    scaled, root = H * np.sqrt(2 / HG * np.tanh(HG / 2)), np.sqrt(1 - E)
    v = np.sqrt(E) * v + root * xi[0] - scaled / 2 * k * q
    q = q + scaled * v
    v = v - scaled / 2 * k * q
    return np.array([q, np.sqrt(E) * v + root * xi[1]])


def gj(c2):
    """The splitting form of Gronbech-Jensen 2024, equations 24, as LAMMPS runs it."""

    def step(z, xi, k):
        q, v = z
        c1, c3 = (1 + c2) / 2, (1 - c2) / HG
        ratio, kick = np.sqrt(c3 / c1), ROOT * xi[0]
        v = v - ratio * H / 2 * k * q
        q = q + ratio * H / 2 * v
        middle = np.sqrt(c1) * v + np.sqrt(c3) / 2 * kick
        v = c2 / np.sqrt(c1) * middle + ratio / 2 * kick
        q = q + ratio * H / 2 * v
        return np.array([q, v - ratio * H / 2 * k * q])

    return step


STEPS = {
    "SS": ss,
    "Allen": allen,
    "vGB": vgb,
    "VEC": vec,
    "OVRVO": ovrvo,
    "GJ-II": gj(E),
    "GJ-III": gj(1 - HG),
    "GJ-IV": gj((np.sqrt(1 + 4 * HG) - 1) / (2 * HG)),
    "GJ-V": gj(1 / (1 + HG)),
    "GJ-VI": gj((1 / (1 + HG / 2)) ** 2),
    "GJ-VIII": gj(np.sqrt(HG**2 + 1) - HG),
}


def number(value):
    return float(sympy.sympify(value).subs({X: HG, Y: (OMEGA * H) ** 2}))


def map_of(step, k):
    """Matrix and noise, (n, n) and (n, 2), of a printed step with the force -k q."""
    n = 3 if step is vgb else 2
    still, quiet = np.zeros(n), np.zeros(2)
    matrix = np.stack([step(unit, quiet, k) for unit in np.eye(n)], axis=1)
    return matrix, np.stack([step(still, unit, k) for unit in np.eye(2)], axis=1)


def test_every_printed_integrator_is_tried():
    assert list(STEPS) == list(BY_NAME)


@pytest.mark.share(4)
@pytest.mark.parametrize("name", STEPS)
def test_a_printed_step_has_the_law_and_the_transport_of_its_positions(name):
    form = BY_NAME[name]
    matrix, noise = map_of(STEPS[name], OMEGA**2)
    law = scipy.linalg.solve_discrete_lyapunov(matrix, noise @ noise.T)
    assert law[0, 0] * OMEGA**2 == pytest.approx(number(form.position), rel=1e-10)
    free, noise = map_of(STEPS[name], 0.0)
    if len(free) == 2:  # the sum of all velocities moves the position
        total = noise[0] + free[0, 1] / (1 - free[1, 1]) * noise[1]
    else:  # q_{n+1} - q_n = e (q_n - q_{n-1}) + noise, which comes in over two steps
        total = (noise[0] + noise[2]) / (1 - E)
    assert total @ total * GAMMA / (2 * H) == pytest.approx(number(form.diffusion), rel=1e-10)
    edge, _ = map_of(STEPS[name], number(form.limit) / H**2)
    assert min(abs(np.linalg.eigvals(edge) + 1)) < 1e-6
    below, _ = map_of(STEPS[name], number(form.limit) / H**2 * 0.99)
    assert max(abs(np.linalg.eigvals(below))) < 1


@pytest.mark.parametrize("name", STEPS)
def test_the_drift_of_a_printed_integrator_is_that_of_its_positions(name):
    """A unit force as that of a well of stiffness k, far out: from -1/k."""
    k = 1e-6
    form, step = BY_NAME[name], STEPS[name]
    matrix, _ = map_of(step, k)
    z = -np.array([1.0, 0.0] if len(matrix) == 2 else [1.0, 1.0, 0.0]) / k
    for _ in range(60):
        z, before = matrix @ z, z
    speed = (z[0] - before[0]) / H * GAMMA
    assert speed == pytest.approx(number(form.drift), rel=1e-4)


@pytest.mark.heavy
def test_the_gj_set_alone_is_exact_in_all_that_positions_show():
    exact = [
        name
        for name, form in BY_NAME.items()
        if (form.position, form.diffusion, form.drift) == (1, 1, 1)
    ]
    assert exact == [name for name in BY_NAME if name.startswith("GJ-")]
    for name in ("GJF", "SPV"):
        forms = closed_forms(find(name, "langevin"))
        assert (forms.position, forms.diffusion, forms.drift) == (1, 1, 1)


@pytest.mark.heavy
def test_gjf_is_the_member_of_the_gj_set_whose_step_is_not_scaled():
    member, forms = gj_form((1 - X / 2) / (1 + X / 2)), closed_forms(find("GJF", "langevin"))
    assert sympy.simplify(member.c3 / member.c1) == 1
    assert (member.position, member.diffusion, member.drift) == (1, 1, 1)
    assert forms.limit == (member.limit,) == (4,)


WORDS = dict.fromkeys(("BAOAB", "BAOA", "ABOBA"), True) | {"OBABO": False}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.heavy] * (n in ("BAOA", "ABOBA"))) for n in WORDS],
)
def test_a_word_with_one_whole_kick_is_what_follows_from_its_positions(name):
    """The noise of one step reaches two positions, half each, or one as a whole."""
    decay = sympy.exp(-X)
    root, mean = sympy.sqrt(1 - decay**2), (1 + decay) / 2
    parts = (evenly if WORDS[name] else whole)(root)
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
