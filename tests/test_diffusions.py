"""The forward processes: closed forms against matrix exponentials, released code and high
precision.
"""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import sympy
from hypothesis import given
from hypothesis import strategies as st

from analytic_models import diffusions
from analytic_models.diffusions import PSLD, VP, Langevin, diffusion_of, transition
from gpu_samplers import processes
from splitting_analysis.models import model_of
from splitting_analysis.processes import PROCESSES, process_of
from tests.strategies import examples

RELEASED = Path(__file__).parents[2] / "shared" / "reference" / "psld_sde.json"
NUMERICAL_EPS = 1e-9
"""What the released code adds to both variances."""

rates = st.floats(0.05, 12.0)
times = st.floats(1e-8, 1.0)


@st.composite
def pslds(draw: st.DrawFn) -> PSLD:
    """Any process of the family, CLD (Gamma = 0) and point masses of momentum (kappa = 0)
    included.
    """
    gamma = draw(st.sampled_from([0.0, 0.01, 0.3, 2.0]))
    nu = draw(st.sampled_from([0.0, 4 + gamma, 3 * gamma])) if gamma else draw(st.floats(0.5, 6.0))
    return PSLD(gamma, nu, draw(rates), draw(rates), draw(st.sampled_from([0.0, 0.04, 1.0])))


def drift_matrix(process: PSLD) -> np.ndarray:
    """F0 of theory section 1."""
    g, n = process.Gamma, process.nu
    return np.array([[-g, (g - n) ** 2 / 4], [-1.0, -n]])


@given(pslds(), times)
def test_the_transition_matrix_is_the_exponential_of_the_drift(process, tau):
    b = scipy.integrate.quad(process.beta, 0, tau)[0]
    assert np.allclose(
        transition(process, tau), scipy.linalg.expm(b / 2 * drift_matrix(process)), atol=1e-12
    )


@given(pslds(), times, times)
def test_transitions_over_two_intervals_compose(process, tau, start):
    whole = np.array(transition(process, tau))
    parts = np.array(transition(process, tau, start)), np.array(transition(process, start))
    assert np.allclose(whole, parts[0] @ parts[1], atol=1e-10)


@given(pslds(), times)
def test_the_kernel_covariance_keeps_every_digit_at_small_times(process, tau):
    with mpmath.workdps(60):
        g, n, b = (mpmath.mpf(v) for v in (process.Gamma, process.nu, process.integral(tau)))
        stationary = mpmath.diag([1, 4 / (g - n) ** 2])
        flow = mpmath.expm(b / 2 * mpmath.matrix([[-g, (g - n) ** 2 / 4], [-1, -n]]))
        exact = stationary - flow * stationary * flow.T
    value = diffusions.noise(process, tau)
    size = np.sqrt(float(exact[0, 0] * exact[1, 1]))
    for i, j in ((0, 0), (1, 1)):
        assert float(abs(value[i][j] / exact[i, j] - 1)) < 1e-12
    assert abs(value[0][1] - float(exact[0, 1])) < 1e-12 * size and value[0][1] == value[1][0]


@given(pslds(), st.floats(0, 1))
def test_the_stationary_law_stays(process, tau):
    s, flow = np.diag(np.array(process.stationary, float)), np.array(transition(process, tau))
    kept = flow @ s @ flow.T + np.array(diffusions.noise(process, tau))
    assert np.allclose(kept, s, rtol=1e-12, atol=1e-13)


@given(st.builds(VP, rates, rates), times)
def test_vp_keeps_unit_variance_and_its_noise_has_all_digits(process, tau):
    scale = transition(process, tau)[0][0]
    assert scale**2 + diffusions.noise(process, tau)[0][0] == pytest.approx(1, rel=1e-13)
    with mpmath.workdps(40):
        exact = 1 - mpmath.exp(-mpmath.mpf(process.integral(tau)))
        assert abs(diffusions.noise(process, tau)[0][0] / exact - 1) < 1e-14


@given(st.one_of(pslds(), st.builds(VP, rates, rates), st.just(Langevin())), times, times)
def test_the_clock_is_the_integral_of_beta_over_reverse_time(process, t, length):
    h = (t + min(length, 1 - t)) - t  # such that t + h is a float
    slow = scipy.integrate.quad(lambda u: process.beta(process.T - u), t, t + h)[0]
    assert process.clock(t, h) == pytest.approx(slow, rel=1e-12, abs=1e-18)


def test_the_clock_of_a_tiny_step_keeps_every_digit():
    process = VP()
    with mpmath.workdps(40):
        t, h = mpmath.mpf(0.7), mpmath.mpf(1e-13)
        tau, end = 1 - t, 1 - t - h
        exact = mpmath.mpf(0.1) * h + (20 - mpmath.mpf(0.1)) / 2 * (tau**2 - end**2)
        assert abs(process.clock(0.7, 1e-13) / exact - 1) < 1e-15


@pytest.mark.heavy
def test_the_symbolic_transition_solves_the_mean_equation():
    tau = sympy.Symbol("tau", positive=True)
    gamma, nu = sympy.Rational(1, 3), sympy.Rational(5, 2)
    process = PSLD(
        gamma, nu, sympy.Integer(2), sympy.Integer(7), sympy.Integer(0), sympy.Integer(1)
    )
    drift = sympy.Matrix([[-gamma, 1 / process.M], [-1, -nu]]) * process.beta(tau) / 2
    flow = sympy.Matrix(transition(process, tau))
    assert (flow.diff(tau) - drift * flow).applyfunc(sympy.simplify).is_zero_matrix
    assert (flow.subs(tau, 0) - sympy.eye(2)).is_zero_matrix
    noise = sympy.Matrix(diffusions.noise(process, tau))
    spread = process.beta(tau) * sympy.diag(gamma, process.M * nu)
    left = noise.diff(tau) - (drift * noise + noise * drift.T + spread)
    assert left.applyfunc(lambda e: sympy.simplify(sympy.expand(e))).is_zero_matrix


def released_cases():
    if not RELEASED.is_file():
        pytest.skip("the numbers of the released code (shared/reference) are not here")
    return json.loads(RELEASED.read_text())["cases"]


def test_transition_and_covariance_are_those_of_the_released_code():
    compared = 0
    for case in released_cases():
        for row in case["t"]:
            for start in row["init"]:
                process = PSLD(
                    case["gamma"],
                    case["nu"],
                    case["beta_min"],
                    case["beta_max"],
                    start["mm_0"] / case["m"],
                )
                assert pytest.approx(case["m"]) == process.M and process.stationary[1] == process.M
                assert process.beta(row["t"]) == row["beta_t"]
                assert process.integral(row["t"]) == pytest.approx(row["b_t"], rel=1e-15)
                flow = np.array(transition(process, row["t"]))
                assert np.allclose(flow, row["mean_map"], rtol=1e-14, atol=1e-17)
                initial = np.diag([start["xx_0"], start["mm_0"]])
                ours = flow @ initial @ flow.T + np.array(diffusions.noise(process, row["t"]))
                ours += NUMERICAL_EPS * np.eye(2)
                assert np.allclose(ours[np.triu_indices(2)], start["cov"], rtol=1e-11)
                compared += 1
    assert compared >= 10


def test_the_letter_e_is_the_reverse_drift_of_the_released_code():
    """The file holds drifts at one unnamed state and score: the forward drift gives the state, the
    reverse SDE's drift the score, and the probability flow's drift must follow from both."""
    for case in released_cases():
        process = PSLD(case["gamma"], case["nu"], case["beta_min"], case["beta_max"], case["kappa"])
        p = process.parameters
        for row in case["t"]:
            beta = process.beta(row["t"])
            z = np.linalg.solve(beta / 2 * drift_matrix(process), row["sde"]["drift"])
            assert np.allclose(
                row["sde"]["diffusion"], np.sqrt(beta * np.array([p.Gamma, p.M * p.nu]))
            )
            parts = {d: model_of("psld", d).drift for d in ("sde", "ode")}
            for call in ("arg_t", "fwd_t"):
                drifts = {
                    d: row[f"reverse_sde_{call}|pf={d == 'ode'}|nocast"]["drift"] for d in parts
                }
                reverse = {
                    d: beta * np.array(part.linear(p), float) @ z for d, part in parts.items()
                }
                assert np.allclose(reverse["ode"], -np.array(row["sde"]["drift"]))
                score = (drifts["sde"] - reverse["sde"]) / (beta * np.array(parts["sde"].score(p)))
                flow = reverse["ode"] + beta * np.array(parts["ode"].score(p)) * score
                assert np.allclose(flow, drifts["ode"], rtol=1e-9)


REFUSED = [
    (PSLD, {"Gamma": 4.01}, "Gamma = nu"),
    (PSLD, {"Gamma": -0.01}, "Gamma = -0.01: Gamma must not be negative"),
    (PSLD, {"nu": -1.0}, "nu = -1.0: nu must not be negative"),
    (PSLD, {"kappa": -0.1}, "kappa = -0.1: kappa must not be negative"),
    (PSLD, {"beta_min": -8.0}, "beta_min must not be negative"),
    (PSLD, {"beta_max": float("nan")}, "beta_max must be a finite number"),
    (PSLD, {"Gamma": float("inf")}, "Gamma must be a finite number"),
    (PSLD, {"nu": "4"}, "nu must be a finite number"),
    (PSLD, {"kappa": True}, "kappa must be a finite number"),
    (PSLD, {"beta_min": 0.0, "beta_max": 0.0}, "beta must be positive somewhere"),
    (VP, {"beta_min": 0, "beta_max": 0}, "beta must be positive somewhere"),
    (VP, {"beta_max": -1.0}, "beta_max must not be negative"),
    (VP, {"T": 0.0}, "the time span must be positive"),
    (Langevin, {"gamma": -1.0}, "gamma must not be negative"),
    (Langevin, {"T": float("-inf")}, "T must be a finite number"),
    (PSLD, {"nu": 1e200}, "nu = 1e+200: products of it leave double precision"),
    (PSLD, {"Gamma": 4.0, "nu": 4.0 + 1e-12}, "more than 1e-9 of their sum"),
    (VP, {"beta_max": 1e6}, "at most 600"),
]


@pytest.mark.parametrize(("kind", "parameters", "problem"), REFUSED)
def test_bad_parameters_are_refused_with_their_name_and_value(kind, parameters, problem):
    with pytest.raises(ValueError, match=re.escape(problem)) as caught:
        kind(**parameters)
    assert "\n" not in str(caught.value)


def test_a_process_is_found_by_name_and_misspelt_parameters_are_answered_with_what_there_is():
    assert diffusion_of("psld", Gamma=0.02) == PSLD(Gamma=0.02)
    assert diffusion_of("vp") == VP() and diffusion_of("langevin", T=3.0) == Langevin(T=3.0)
    with pytest.raises(ValueError, match="there are: psld, vp, ve, flow, langevin, respa"):
        diffusion_of("sub-vp")
    with pytest.raises(ValueError, match=r"no parameter 'gama'; there are: Gamma, nu, .*kappa"):
        diffusion_of("psld", gama=1.0)


def test_a_letter_means_the_same_in_floats_and_in_exact_numbers():
    exact = PSLD(*(sympy.Rational(v) for v in ("1/100", "401/100", "8", "8", "1/25", "1")))
    for name in ("sde", "ode"):
        for piece in model_of("psld", name).pieces.values():
            for part in (piece.linear, piece.score, piece.noise):
                ours = np.array(part(PSLD().parameters), float)
                assert np.allclose(ours, np.array(part(exact.parameters), float), rtol=1e-14)


EXTREME = st.sampled_from(
    [-1.0, 0.0, 1e-200, 1e-31, 1e-12, 0.5, 4.0, 1e5, 1e31, 1e150, 1e200, 1e300, float("nan")]
)


@given(st.sampled_from(["psld", "vp", "langevin"]), st.data())
@examples(80)
def test_parameters_that_are_not_refused_have_finite_kernels_in_both_engines(model, data):
    names = [field.name for field in fields(PROCESSES[model])]
    chosen = {name: data.draw(EXTREME, name) for name in names if data.draw(st.booleans())}
    try:
        process = process_of(model, **chosen)
    except ValueError:
        return
    found = [*process.stationary, *vars(process.parameters).values()]
    if isinstance(process, PSLD | VP):
        tau = process.T / 2
        found += [*np.ravel(transition(process, tau)), *np.ravel(diffusions.noise(process, tau))]
        found += list(np.ravel(processes.kernel(process, tau)))
    assert np.all(np.isfinite(np.array(found, dtype=float)))
