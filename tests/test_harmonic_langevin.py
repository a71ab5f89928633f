"""Kinetic Langevin on a harmonic well: published closed forms, derived by the machinery that runs
words.

Potential omega^2 q^2 / 2, unit mass and temperature: the exact law is q ~ N(0, 1/omega^2), p ~ N(0,
1). Closed forms: Leimkuhler & Matthews, Appl. Math. Res. Express 2013 (BAOAB, ABOBA exact in
position); Bussi & Parrinello, Phys. Rev. E 75, 056707 (2007) (OBABO); Kieninger & Keller, J. Chem.
Theory Comput. 18 (2022) (BAOA).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
import sympy

from analytic_models.diffusions import Langevin
from analytic_models.grids import grid
from analytic_models.moments import run
from analytic_models.stationary import stationary
from analytic_models.steps import one_step
from analytic_models.targets import Gaussian, score
from splitting_analysis.catalogue import entries, find
from splitting_analysis.schemes import scheme
from tests.oracle_moments import SAMPLERS, Plain

OMEGA, H, GAMMA = sympy.symbols("omega h gamma", positive=True)
SYMBOLIC = Langevin(gamma=GAMMA, T=sympy.Integer(1))
STABLE = ("BAOAB", "ABOBA", "OBABO", "BAOA")
PUBLISHED = {
    "BAOAB": (1 / OMEGA**2, 0, 1 - H**2 * OMEGA**2 / 4),
    "ABOBA": (1 / OMEGA**2, 0, 1 / (1 - H**2 * OMEGA**2 / 4)),
    "OBABO": (1 / (OMEGA**2 * (1 - H**2 * OMEGA**2 / 4)), 0, 1),
    # Both marginals are exact, the joint law is not: position and momentum are correlated.
    "BAOA": (1 / OMEGA**2, H / 2, 1),
}


def law_of(name):
    (qq, qp), (_, pp) = stationary(find(name, "langevin"), SYMBOLIC, 1 / OMEGA**2, H)
    return qq, qp, pp


@pytest.mark.parametrize("name", STABLE)
def test_the_law_kept_by_one_step_is_the_published_one(name):
    for ours, published in zip(law_of(name), PUBLISHED[name], strict=True):
        assert sympy.simplify(ours - published) == 0


def test_the_law_of_a_splitting_does_not_depend_on_the_friction_but_that_of_euler_does():
    for name in STABLE:
        assert not any(GAMMA in sympy.sympify(entry).free_symbols for entry in law_of(name))
    assert all(GAMMA in entry.free_symbols for entry in law_of("EM"))


def test_every_scheme_keeps_the_exact_law_as_the_step_vanishes():
    for entry in entries("langevin", "sde"):
        for h in (1e-2, 1e-3, 1e-4):
            law: Any = np.array(stationary(entry, Langevin(0.7), 0.8, h))
            assert np.abs(law - np.diag([0.8, 1.0])).max() < 3 * h


def test_ubu_is_off_in_position_by_minus_a_sixth_of_the_step_squared_and_bub_by_a_twelfth():
    """Relative, times omega^2: the first is published, in momentum they are off the other way."""
    h, omega2 = 1e-2, 1 / 0.8
    for name, q, p in (("UBU", -1 / 6, 1 / 12), ("BUB", 1 / 12, -1 / 6)):
        (qq, _), (_, pp) = stationary(find(name, "langevin"), Langevin(0.7), 0.8, h)
        assert (qq * omega2 - 1) / (h**2 * omega2) == pytest.approx(q, abs=1e-3)
        assert (pp - 1) / (h**2 * omega2) == pytest.approx(p, abs=1e-3)


def carried_map(name):
    """One step on (q, p), a carried score replaced by what it is exactly: -omega^2 q."""
    entry, target = find(name, "langevin"), Gaussian(1 / OMEGA**2)
    step = one_step(entry, SYMBOLIC, 0, H, lambda tau: score(SYMBOLIC, target, tau))
    rows = []
    for form in step.forms:
        held = form.get(("s", 1), 0)
        rows.append([form.get(("z", 0), 0) - OMEGA**2 * held, form.get(("z", 1), 0)])
    return sympy.Matrix(rows)


@pytest.mark.parametrize("name", STABLE)
def test_a_splitting_is_stable_exactly_while_h_omega_is_below_two(name):
    """Jury: |det| < 1, 1 - tr + det > 0, 1 + tr + det > 0. Only the last depends on h omega - 2."""
    matrix, c = carried_map(name), sympy.Symbol("c", positive=True)  # c = e^{-gamma h} < 1
    det, trace = (
        sympy.expand(e).subs(sympy.exp(-GAMMA * H), c) for e in (matrix.det(), matrix.trace())
    )
    det = sympy.simplify(det.subs(sympy.exp(-GAMMA * H / 2), sympy.sqrt(c)))
    trace = sympy.simplify(trace.subs(sympy.exp(-GAMMA * H / 2), sympy.sqrt(c)))
    assert det == c
    assert sympy.expand(1 - trace + det - (1 + c) * H**2 * OMEGA**2 / 2) == 0
    assert sympy.expand(1 + trace + det - (1 + c) * (4 - H**2 * OMEGA**2) / 2) == 0


@pytest.mark.parametrize("name", ["SE", "VV"])
def test_the_frictionless_splittings_share_that_limit(name):
    matrix = carried_map(name)
    assert sympy.simplify(matrix.det()) == 1
    # |trace| < 2 below h omega = 2
    assert sympy.expand(sympy.trace(matrix) - 2 + H**2 * OMEGA**2) == 0


@pytest.mark.share(5)
@pytest.mark.parametrize(
    "entry",
    [s for s in entries("langevin", "sde") if ("langevin", s.name) in SAMPLERS],
    ids=lambda s: s.name,
)
@pytest.mark.parametrize(
    ("h", "variance", "gamma"), [(0.3, 1.0, 0.7), (0.05, 0.02, 4.0), (1.2, 3.0, 0.2)]
)
def test_the_closed_form_is_its_number_and_the_law_of_the_printed_step(entry, h, variance, gamma):
    process = Langevin(gamma, h)
    if entry.name == "EM" and h / variance > gamma:
        with pytest.raises(ValueError, match="keeps no law"):  # Euler is unstable there
            stationary(entry, process, variance, h)
        return
    ours: Any = np.array(stationary(entry, process, variance, h))
    at = {OMEGA: sympy.sqrt(1 / sympy.Float(variance, 30)), H: h, GAMMA: gamma}
    symbols = [float(sympy.sympify(value).subs(at)) for value in law_of(entry.name)]
    assert np.allclose([ours[0, 0], ours[0, 1], ours[1, 1]], symbols, rtol=1e-11, atol=1e-13)
    matrix, noise = printed_step(entry.name, process, variance, h)
    assert np.allclose(
        ours, scipy.linalg.solve_discrete_lyapunov(matrix, noise), rtol=1e-10, atol=1e-12
    )


def printed_step(name, process, variance, h):
    """Matrix and noise covariance of the plain sampler's step from (q, p)."""
    plain = Plain("langevin", process, np.array([[variance]]), np.zeros(1))
    plain.run([0.0, h], SAMPLERS["langevin", name])
    columns = np.vstack([plain.q, plain.v])[:, 1:]  # loadings: q, p, then the noises
    return columns[:, :2], columns[:, 2:] @ columns[:, 2:].T


def test_long_runs_forget_their_start_and_end_at_the_law_that_is_kept():
    for entry in entries("langevin", "sde"):
        process, variances = Langevin(1.0, 60.0), np.array([0.5, 2.0])
        law = run(entry, process, Gaussian(variances), grid("uniform", 300, 60.0, 0.0))
        for k, variance in enumerate(variances):
            kept = stationary(entry, process, variance, 0.2)
            assert np.allclose(np.array(law.covariance)[..., k], kept, rtol=1e-9, atol=1e-10)


def test_a_carried_score_changes_nothing_since_it_depends_on_the_position_alone():
    carried, fresh = find("BAOAB", "langevin"), scheme("S B/2 A/2 O A/2 S B/2", "langevin", "sde")
    process, target = Langevin(0.8, 5.0), Gaussian([0.3, 2.0], [1.0, -1.0])
    times = grid("uniform", 20, 5.0, 0.0)
    one, two = (run(entry, process, target, times) for entry in (carried, fresh))
    assert np.allclose(one.covariance, two.covariance, rtol=1e-12)
    assert np.allclose(one.mean, two.mean, rtol=1e-12)
    assert (one.nfe, two.nfe) == (21, 40)


@pytest.mark.parametrize(
    ("name", "gamma", "h"),
    [("BAOAB", 1.0, 2.1), ("OBABO", 1.0, 2.1), ("EM", 0.1, 0.2), ("BAOAB", 0.0, 0.5)],
)
def test_a_step_that_keeps_no_law_is_refused(name, gamma, h):
    with pytest.raises(ValueError, match=f"{name} keeps no law at h = {h}"):
        stationary(find(name, "langevin"), Langevin(gamma), 1.0, h)
