"""Kinetic Langevin dynamics with a fast and a slow force: r-RESPA, as words and on its own."""

from __future__ import annotations

from dataclasses import replace
from math import cos, pi, sin, sqrt, tan

import numpy as np
import pytest
import scipy.linalg
import sympy

from analytic_models import stability
from analytic_models.harmonic import PHI, X, Y, closed_forms, measures
from analytic_models.harmonic_table import chosen
from analytic_models.probing.validate import validate
from analytic_models.resonance import first_window, real_excess
from analytic_models.stability import largest_stable_step
from splitting_analysis.catalogue import find, samplers
from splitting_analysis.families import FAMILIES
from splitting_analysis.models import Rule, model_of
from splitting_analysis.notation import WordError
from splitting_analysis.processes import Langevin, Respa
from splitting_analysis.schemes import scheme
from splitting_analysis.weak import local_error, order_of

WORDS = samplers("respa")


def matrices(inner: int, h: float, fast: float, decay: float):
    """A step of r-RESPA with BAOAB inside on a unit well, and its noise, (2, 2) each."""

    def kick(k: float, share: float):
        return np.array([[1, 0], [-k * share, 1]])

    part = h / inner
    drift, friction = np.array([[1, part / 2], [0, 1]]), np.diag([1, decay])
    half, slow = kick(fast, part / 2), kick(1 - fast, h / 2)
    step, spread = slow, np.zeros((2, 2))
    for _ in range(inner):
        for moved in (half, drift):
            step = moved @ step
            spread = moved @ spread @ moved.T
        step, spread = friction @ step, friction @ spread @ friction + np.diag([0, 1 - decay**2])
        for moved in (drift, half):
            step = moved @ step
            spread = moved @ spread @ moved.T
    return slow @ step, slow @ spread @ slow.T


@pytest.mark.parametrize("inner", [2, pytest.param(4, marks=pytest.mark.heavy)])
def test_the_law_that_respa_keeps_is_that_of_its_matrices(inner):
    h, gamma, fast = 0.9, 0.7, 0.85
    step, spread = matrices(inner, h, fast, np.exp(-gamma * h / inner))
    law = scipy.linalg.solve_discrete_lyapunov(step, spread)
    found = measures(find(f"BAOAB-RESPA{inner}", "respa"), h, 1.0, gamma, fast)
    assert [found.position, found.momentum, found.correlation] == pytest.approx(
        [law[0, 0], law[1, 1], law[0, 1]], rel=1e-9, abs=1e-12
    )


@pytest.mark.heavy
def test_closed_forms_of_two_forces_are_the_numbers():
    own = find("OBABO-RESPA2", "respa")
    forms, at = closed_forms(own), {X: 0.4 * 0.8, Y: 0.64, PHI: 0.7}
    numbers = measures(own, 0.8, 1.0, 0.4, 0.7)
    for what in ("position", "momentum", "diffusion", "drift"):
        value = float(sympy.sympify(getattr(forms, what)).subs(at))
        assert getattr(numbers, what) == pytest.approx(value, rel=1e-9), what
    assert set(forms.limit[1:]) == {8 / PHI, -8 / (PHI - 2)}
    # velocity Verlet's 4/(4 - y) at half the step, where all of the force is fast
    assert sympy.cancel(forms.position.subs(PHI, 1) - 16 / (16 - Y)) == 0


@pytest.mark.heavy
@pytest.mark.parametrize("fast", [0.9, 0.99, 0.999])
def test_two_forces_resonate_at_half_the_period_of_the_fast_one(fast):
    """Two inner steps turn the fast force by half a period at (omega h)^2 = 8/fast."""
    process = Respa(0.0, 1.0, fast)
    limit = largest_stable_step(find("RESPA2", "respa"), process, [1.0], 0.0, 10.0)[0]
    assert limit == pytest.approx(sqrt(8 / (2 - fast)), rel=1e-9)
    damped = measures(find("OBABO-RESPA2", "respa"), 0.1, 1.0, 1.0, fast)
    assert damped.limit == pytest.approx(limit, rel=1e-6)  # friction outside does not help
    for h, stable in ((limit * 0.9999, True), (sqrt(8 / fast) * 0.9999, False)):
        step, _ = matrices(2, h, fast, 1.0)
        assert (max(abs(np.linalg.eigvals(step))) < 1 + 1e-7) == stable


@pytest.mark.heavy
def test_friction_within_the_inner_steps_closes_the_window():
    limits = [
        measures(find("BAOAB-RESPA2", "respa"), 0.1, 1.0, gamma, 0.99).limit
        for gamma in (1e-3, 1e-1)
    ]
    assert limits[0] == pytest.approx(sqrt(8 / 1.01), rel=1e-4)
    assert limits[1] == pytest.approx(4 / sqrt(0.99 * 1.01), rel=1e-6)


def test_the_window_of_impulses_on_an_exact_fast_flow_is_found():
    """tan(omega h/2) = 2 omega/(h k) to omega h = pi, omega fast and k the slow stiffness."""
    omega, k = 1.0, 0.01

    def impulses(h):
        turned = np.array([[[cos(a), sin(a)], [-sin(a), cos(a)]] for a in omega * h])
        kicks = np.array([[[1, 0], [-k * a / 2, 1]] for a in h])
        return kicks @ turned @ kicks

    for points in range(30, 70, 3):  # wherever the steps looked at lie about the window
        window = first_window(impulses, np.geomspace(0.01, 4, points))
        assert window is not None
        low, high = window
        assert high == pytest.approx(pi / omega, rel=1e-9)
        assert tan(omega * low / 2) == pytest.approx(2 * omega / (low * k), rel=1e-6)
    cut = first_window(impulses, np.linspace(3, 3.1405, 60))
    assert cut is not None and cut[1] == 3.1405  # where it does not end before
    assert first_window(impulses, np.geomspace(0.01, 2, 60)) is None


@pytest.mark.parametrize(("window", "limit"), [((0.25, 0.5), 0.25), ((3.0, 4.0), 2.0), (None, 2.0)])
def test_steps_are_stable_up_to_the_first_window_of_resonance(monkeypatch, window, limit):
    """Of two forces; where a window is, and where eigenvalues leave the disk, is told."""
    monkeypatch.setattr(stability, "excess", lambda *given: np.atleast_1d(given[3]) - 2.0)
    monkeypatch.setattr(stability, "first_window", lambda *_: window)
    found = largest_stable_step(scheme("S C B O A", "respa"), Respa(), [1.0], 0.0, 10.0)
    assert found == pytest.approx([limit], rel=1e-12)
    alone = largest_stable_step(scheme("S B O A", "langevin"), Langevin(), [1.0], 0.0, 10.0)
    assert alone == pytest.approx([2.0], rel=1e-12)


@pytest.mark.parametrize("own", WORDS, ids=lambda s: s.name)
def test_the_order_of_a_word_of_two_forces_is_the_claimed_one(own):
    assert order_of(own) == own.order == 2


def test_errors_of_two_forces_tell_their_derivatives_apart():
    """Kicks commute; the slow force errs by the whole step's square, the fast by the part's."""
    error = local_error(find("RESPA2", "respa"))
    fast = error.at(score_x="-q**3", score_m="0", q=0.4, p=0.3)[3]
    slow = error.at(score_x="0", score_m="-q**3", q=0.4, p=0.3)[3]
    assert slow["q"] == pytest.approx(4 * fast["q"], rel=1e-12)
    assert slow["p"] == pytest.approx(4 * fast["p"], rel=1e-12)
    both = error.at(score_x="-q**3", score_m="-sin(q)", q=0.4, p=0.3)[3]

    def force(q, order=0):
        return (-(q**3), -np.sin(q))

    def step(q, p, h):
        p = p + h / 2 * force(q)[1]
        for _ in range(2):
            p = p + h / 4 * force(q)[0]
            q = q + h / 2 * p
            p = p + h / 4 * force(q)[0]
        return np.array([q, p + h / 2 * force(q)[1]])

    found = []
    for h in (0.02, 0.01):
        fine = np.array([0.4, 0.3])
        for _ in range(200):  # Runge and Kutta's, 200 times as fine

            def slope(z):
                return np.array([z[1], sum(force(z[0]))])

            d = h / 200
            k1 = slope(fine)
            k2 = slope(fine + d / 2 * k1)
            k3 = slope(fine + d / 2 * k2)
            fine = fine + d / 6 * (k1 + 2 * k2 + 2 * k3 + slope(fine + d * k3))
        found.append((fine - step(0.4, 0.3, h)) / h**3)
    limit = 2 * found[1] - found[0]
    assert limit == pytest.approx([both["q"], both["p"]], rel=2e-3)


def respa(z, t, h, score, noise, model, slow_inside=False):
    d = z.shape[1] // 2
    q, p = z[:, :d], z[:, d:]
    fast, slow = np.hsplit(score(q, 0.0), 2)
    p = p + h / 2 * slow
    for _ in range(2):
        p = p + h / 4 * fast
        q = q + h / 2 * p
        fast, slow = np.hsplit(score(q, 0.0), 2)
        p = p + h / 4 * fast
    return np.hstack((q, p + h / 2 * (fast if slow_inside else slow)))


@pytest.mark.heavy
def test_code_of_respa_is_judged_force_by_force():
    found = validate(respa, "RESPA2", "respa")
    assert found.holds and found.deduced.startswith("RESPA2")

    def wrong(z, t, h, score, noise, model):
        return respa(z, t, h, score, noise, model, slow_inside=True)

    found = validate(wrong, "RESPA2", "respa")
    bad = [check for check in found.checks if check.verdict == "fail"]
    assert "score_p" not in bad[0].seen and "slow" in bad[0].seen


@pytest.mark.heavy
def test_kicks_of_one_force_that_differ_a_little_resonate_in_a_window_that_is_found():
    word = "S B*33/100 A/3 S B*33/100 A/3 S B*34/100 A/3 O"
    limit = measures(scheme(word, "langevin", "sde"), 0.1, 1.0, 1e-3).limit

    def radius(h):
        kicks = [np.array([[1, 0], [-h * b, 1]]) for b in (0.33, 0.33, 0.34)]
        move, step = np.array([[1, h / 3], [0, 1]]), np.eye(2)
        for kick in kicks:
            step = move @ kick @ step
        return np.abs(np.linalg.eigvals(np.diag([1, np.exp(-1e-3 * h)]) @ step)).max()

    assert limit == pytest.approx(2.98582, abs=1e-5)
    assert radius(limit - 1e-5) < 1 < radius(limit + 1e-5) and radius(3.1) < 1  # the window's end


def test_a_window_is_one_of_maps_with_any_number_of_eigenvalues():
    inside, beyond = np.diag([0.9, -0.9, 0.5, 0.0]), np.diag([0.9, -1.01, 0.5, 0.0])
    assert real_excess(inside) < 0 < real_excess(beyond)


def test_the_midpoint_rule_is_refused_where_components_are_coupled():
    free = model_of("langevin", "sde").pieces["U"]
    with pytest.raises(ValueError, match="the midpoint rule is for pieces that couple no"):
        replace(free, rule=Rule.MIDPOINT)


def test_what_two_forces_have_not_is_said():
    with pytest.raises(WordError, match="never used"):  # and not: unknown piece
        chosen(["S C*2/3 B A O C*1/3 S"])
    with pytest.raises(WordError, match="A B does not add up"):
        scheme("B/2 A S B/2", "respa")
    with pytest.raises(ValueError, match="the part of the force that is fast is at most 1"):
        Respa(1.0, 1.0, 1.5)
    with pytest.raises(ValueError, match="fast = 1: the fast force's part lies between 0 and 1"):
        measures(find("BAOAB-RESPA2", "respa"), 0.1, fast=1.0)
    assert not FAMILIES["respa"].diffuses and model_of("respa", "sde").onto == (1, 1)
