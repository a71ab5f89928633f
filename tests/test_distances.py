"""Distances between Gaussian laws: axioms, matrix square roots, quadrature, and no lost digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from analytic_models.diffusions import PSLD, VP, Langevin
from analytic_models.distances import kl_divergence, score_card, wasserstein_squared
from analytic_models.grids import grid
from analytic_models.moments import Moments, run
from analytic_models.targets import Gaussian, initial
from splitting_analysis.catalogue import find

SIZES = st.one_of(st.just(0.0), st.floats(1e-4, 50.0))


@st.composite
def laws(draw, size=None):
    """Mean and covariance entries of one mode, 1x1 or 2x2, degenerate ones included."""
    size = draw(st.sampled_from([1, 2])) if size is None else size
    mean = tuple(draw(st.floats(-5, 5)) for _ in range(size))
    p = draw(SIZES)
    if size == 1:
        return mean, ((p,),)
    r, correlation = draw(SIZES), draw(st.floats(-1, 1))
    q = correlation * np.sqrt(p * r)
    return mean, ((p, q), (q, r))


def triples():
    return st.sampled_from([1, 2]).flatmap(lambda n: st.tuples(laws(n), laws(n), laws(n)))


def distance(a, b):
    return float(np.sqrt(wasserstein_squared(*a, *b)))


@given(triples())
def test_the_distance_is_a_metric(case):
    a, b, c = case
    scale = 1 + max(np.trace(np.array(law[1])) for law in case)
    assert distance(a, a) == 0
    assert distance(a, b) == pytest.approx(distance(b, a), rel=1e-12, abs=1e-12)
    assert distance(a, c) <= (distance(a, b) + distance(b, c)) * (1 + 1e-9) + 1e-7 * scale


@given(st.sampled_from([1, 2]).flatmap(lambda n: st.tuples(laws(n), laws(n))))
def test_the_distance_is_that_of_matrix_square_roots(case):
    (m, a), (n, b) = case
    a, b = np.array(a), np.array(b)

    def root(x):
        values, vectors = np.linalg.eigh(x)
        return vectors @ np.diag(np.sqrt(np.maximum(values, 0))) @ vectors.T

    cross = np.trace(root(root(a) @ b @ root(a)))
    slow = np.sum((np.array(m) - n) ** 2) + np.trace(a) + np.trace(b) - 2 * cross
    scale = 1 + np.trace(a) + np.trace(b)
    # an eigenvalue that is 0 but for round-off has a root of 1e-8
    assert float(wasserstein_squared(*case[0], *case[1])) == pytest.approx(
        slow, rel=1e-7, abs=3e-7 * scale
    )


def test_the_distance_of_well_conditioned_laws_is_that_of_scipy_to_all_digits():
    draw = np.random.default_rng(0)
    for _ in range(50):
        a, b = (x @ x.T + np.eye(2) for x in draw.normal(size=(2, 2, 2)))
        slow = np.trace(a + b - 2 * np.real(scipy.linalg.sqrtm(a @ b)))
        fast = wasserstein_squared((0, 0), a.tolist(), (0, 0), b.tolist())
        assert float(fast) == pytest.approx(slow, rel=1e-11, abs=1e-14)


@given(st.floats(-14, -1), st.floats(-14, -1), st.floats(-14, -1))
def test_nearly_equal_laws_lose_no_digits(x, y, z):
    dp, dq, dr = 10**x, 10**y, 10**z
    p, q, r = 2.0, 0.3, 0.25
    ours = float(
        wasserstein_squared((0, 0), ((p, q), (q, r)), (0, 0), ((p + dp, q + dq), (q + dq, r + dr)))
    )
    with mpmath.workdps(60):
        a = mpmath.matrix([[p, q], [q, r]])
        b = mpmath.matrix([[p + dp, q + dq], [q + dq, r + dr]])
        product = a * b
        trace = product[0, 0] + product[1, 1]
        exact = (
            a[0, 0]
            + a[1, 1]
            + b[0, 0]
            + b[1, 1]
            - 2 * mpmath.sqrt(trace + 2 * mpmath.sqrt(mpmath.det(product)))
        )
        assert abs(ours / exact - 1) < 1e-12


@pytest.mark.parametrize("long", [1.0, 1e20])
@pytest.mark.parametrize("small", [1e-3, 1e-16])
def test_a_law_along_one_direction_is_far_by_its_length_though_its_determinant_is_rounding(
    long, small
):
    """(A^1/2 B A^1/2)^1/2 has the trace sqrt(u B u) then, for A = u u^T."""
    angles = np.linspace(0.01, 1.5, 400)
    x, m = np.sqrt(long) * np.cos(angles), np.sqrt(long) * np.sin(angles)
    found = wasserstein_squared(
        (0, 0), ((x * x, x * m), (x * m, m * m)), (0, 0), ((small, 0), (0, 2 * small))
    )
    wanted = long + 3 * small - 2 * np.sqrt(small * (x * x + 2 * m * m))
    assert np.max(np.abs(found / wanted - 1)) < 1e-6


def test_the_distance_of_positions_is_that_of_standard_deviations_and_means():
    ours, other = ((np.array([4.0, 9.0]),),), ((np.array([1.0, 0.0]),),)
    value = wasserstein_squared((np.array([1.0, 0.0]),), ours, (0.0,), other)
    assert np.array_equal(value, [2.0, 9.0])


@given(st.floats(0.01, 20), st.floats(0.01, 20), st.floats(-2, 2), st.floats(-2, 2))
def test_the_divergence_is_its_integral(p, q, a, b):
    def log_density(x, mean, variance):
        return -0.5 * ((x - mean) ** 2 / variance + np.log(2 * np.pi * variance))

    def integrand(u):  # x = a + sqrt(p) u
        x = a + np.sqrt(p) * u
        ratio = log_density(x, a, p) - log_density(x, b, q)
        return np.exp(-u * u / 2) / np.sqrt(2 * np.pi) * ratio

    slow = scipy.integrate.quad(integrand, -12, 12, epsabs=1e-12, limit=200)[0]
    assert float(kl_divergence(a, p, b, q)) == pytest.approx(slow, rel=1e-8, abs=1e-9)


def test_the_divergence_of_degenerate_laws():
    p, q = np.array([1.0, 0.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0, 0.0])
    value = kl_divergence(np.array([0.0, 0.0, 0.0, 1.0]), p, 0.0, q)
    assert np.array_equal(value, [np.inf, np.inf, 0.0, np.inf])
    diverged = kl_divergence(
        0.0, 1.0, np.array([1e200, np.inf, np.nan]), np.array([1e300, np.inf, np.nan])
    )
    assert np.array_equal(diverged, [np.inf, np.inf, np.inf])


def test_the_score_card_adds_up_modes_against_the_data_law():
    variances, mean = np.array([2.0, 0.5, 0.0]), np.array([0.1, 0.0, -0.2])
    process, target = PSLD(), Gaussian(variances, mean)
    law = run(find("ROBA"), process, target, grid("uniform", 60))
    card = score_card(law, process, target)
    position = (np.sqrt(law.covariance[0][0]) - np.sqrt(variances)) ** 2 + (law.mean[0] - mean) ** 2
    assert card["w2_x"] == pytest.approx(np.sqrt(position.sum()), rel=1e-12)
    assert card["worst_mode_x"] == pytest.approx(np.sqrt(position.max()), rel=1e-12)
    joint = wasserstein_squared(law.mean, law.covariance, *initial(process, target))
    assert card["w2"] == pytest.approx(np.sqrt(joint.sum())) and card["w2"] > card["w2_x"]
    assert card["kl_modes"] == 2, "the mode without variance has no density"
    per_mode = kl_divergence(mean[:2], variances[:2], law.mean[0][:2], law.covariance[0][0][:2])
    assert card["kl_x"] == pytest.approx(per_mode.sum(), rel=1e-12)


def test_joint_and_position_errors_coincide_without_a_momentum():
    target = Gaussian([1.0, 3.0])
    card = score_card(run(find("EM", "vp"), VP(), target, grid("uniform", 50)), VP(), target)
    assert card["w2"] == card["w2_x"] > 0


def test_the_data_law_itself_has_no_error():
    target = Gaussian([1.0, 3.0, 0.0], 0.5)
    for process in (PSLD(), VP(), Langevin()):
        card = score_card(Moments(*initial(process, target), 0, 0), process, target)
        assert card["w2"] == card["w2_x"] == card["kl_x"] == card["worst_mode_x"] == 0


@pytest.mark.parametrize("mean", [0.0, 1.0])
def test_a_sampler_that_diverges_is_infinitely_far_and_warns_nobody(mean):
    """Velocity Verlet is unstable for h omega > 2; here h omega is about 40, for 500 steps."""
    target, process = Gaussian([1e-2, 1.0], mean), Langevin(T=2000.0)
    law = run(find("VV", "langevin"), process, target, grid("uniform", 500, 2000.0, 0.0))
    card = score_card(law, process, target)
    assert card["w2_x"] == card["w2"] == card["worst_mode_x"] == np.inf and card["kl_x"] == np.inf
