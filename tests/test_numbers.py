"""Numbers from closed forms: every field gives the same, and asks for what is missing by name."""

from __future__ import annotations

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from splitting_analysis.catalogue import CATALOGUE, find
from splitting_analysis.numbers import Point, beta_parameters, coefficient_value, evaluate
from splitting_analysis.schemes import scheme
from splitting_analysis.strong import strong_error
from splitting_analysis.weak import local_error
from tests import oracle_problems as problems
from tests.oracle_fields import callable_field, error_numbers, linear_field, sympy_field

SPLITTINGS = [s for s in CATALOGUE if not s.word.is_runge_kutta]
PARAMETERS = {
    "Gamma": 0.3,
    "nu": 1.1,
    "M": 1.7,
    "gamma": 0.6,
    "lambda_s": 0.7,
    "beta": 1.3,
    "dbeta": 0.4,
    "d2beta": -0.2,
}


def named(schemes):
    return [pytest.param(s, id=f"{s.model_name}-{s.dynamics}-{s.name}") for s in schemes]


def affine(model, modes):
    """jacobians[j][i][k], offsets[j][i] over random modes, and a random state."""
    draw, n = np.random.default_rng(5), len(model.components)
    jacobians = draw.uniform(-1, 1, (4, n, n, modes))
    if model.name == "langevin":
        jacobians[:, :, 1] = 0
        jacobians[1:] = 0
    offsets = draw.uniform(-1, 1, (4, n, modes))
    if not model.time_dependent:
        offsets[1:] = 0
    return (
        jacobians,
        offsets,
        dict(zip(model.components, draw.uniform(-1, 1, (n, modes)), strict=True)),
    )


def scores_of(model, jacobians, offsets, mode):
    """The same affine scores as SymPy expressions in tau around tau = 0."""
    z, tau = [sp.Symbol(c) for c in model.components], sp.Symbol("tau")
    return {
        name: sum(
            tau**j
            / sp.factorial(j)
            * (sum(jacobians[j, i, k, mode] * v for k, v in enumerate(z)) + offsets[j, i, mode])
            for j in range(4)
        )
        for i, name in enumerate(model.scores)
        if name
    }


@pytest.mark.share(16)
@pytest.mark.parametrize("scheme", named(SPLITTINGS))
def test_an_array_of_gaussian_modes_gives_each_mode_the_number_of_its_sympy_score(scheme):
    model, modes = scheme.model, 3
    jacobians, offsets, state = affine(model, modes)
    error = local_error(scheme)
    here = Point(state, linear_field(model, jacobians, offsets, state), PARAMETERS)
    each = []
    for i in range(modes):
        at = {c: v[i] for c, v in state.items()}
        field = sympy_field(scores_of(model, jacobians, offsets, i), at | {"tau": 0})
        each.append(error_numbers(error, Point(at, field, PARAMETERS)))
    for k, by_key in error.terms.items():
        for key in by_key.keys() - {"phi"}:
            values = np.broadcast_to(evaluate(by_key[key], here), modes)
            expected = [numbers[k][key] for numbers in each]
            assert values == pytest.approx(expected, rel=1e-9, abs=1e-12), (k, key)


def network(p):
    """What a network offers at a point: its value, a Jacobian-vector product, a time derivative."""
    jet = problems.jet(p)
    asked = []

    def jvp(name, component, v):
        asked.append((name, component))
        return jet(name, 0, ((component, v),))

    return callable_field(lambda name: jet(name, 0, ()), jvp, lambda name: jet(name, 1, ())), asked


@pytest.mark.share(12)
@pytest.mark.parametrize("scheme", named(SPLITTINGS))
def test_callables_and_a_trace_term_are_enough_for_every_h2_coefficient_in_r_d(scheme):
    p = problems.problem(scheme.model_name, scheme.dynamics, 2)
    jet, units = problems.jet(p), list(np.eye(2))
    field, asked = network(p)
    state = {c: np.array(v) for c, v in p.state.items()}

    def laplacian(name, component):
        return sum(jet(name, 0, ((component, u), (component, u))) for u in units)

    full = Point(state, jet, problems.parameters(p), basis=units)
    ours = Point(state, field, problems.parameters(p), basis=units, laplacian=laplacian)
    error = local_error(scheme, 2)
    for key, combination in error.terms[2].items():
        if key != "phi":
            assert evaluate(combination, ours) == pytest.approx(
                evaluate(combination, full), rel=1e-10
            ), key
    assert bool(asked) == any(error.terms[2][c] for c in p.components)


@pytest.mark.parametrize(("j", "along"), [(0, "xx"), (0, "xmx"), (1, "m"), (2, "")])
def test_callables_refuse_what_they_cannot_give_and_say_what_it_is(j, along):
    field, asked = network(problems.problem("psld", "ode", 2))
    asks = rf"derivative of sm of order {len(along)} in the state and {j} in time"
    with pytest.raises(ValueError, match=asks):
        field("sm", j, tuple((c, np.ones(2)) for c in along))
    assert not asked


def test_second_moments_of_vectors_are_traces_over_the_coordinates():
    """E[dx . dx] of Euler-Maruyama at h^1 would be d beta Gamma; what lambda_s adds to it is the
    error.
    """
    error = local_error(find("ROBA"))
    p = {**PARAMETERS, "lambda_s": 1.5}
    for d in (1, 2, 5):
        here = Point({}, lambda *_: pytest.fail("no score at h^1"), p, basis=list(np.eye(d)))
        value = evaluate(error.terms[1]["xx"], here)
        assert value == pytest.approx(-0.5 * p["beta"] * p["Gamma"] * d)


@pytest.mark.parametrize("missing", ["nu", "beta", "dbeta", "M"])
def test_a_missing_parameter_is_named(missing):
    p = problems.problem("psld", "ode")
    values = {k: v for k, v in problems.parameters(p).items() if k != missing}
    here = Point({c: np.array(v) for c, v in p.state.items()}, problems.jet(p), values)
    with pytest.raises(KeyError, match=rf"needs a value for {missing}\b"):
        error_numbers(local_error(find("RSE")), here)


@pytest.mark.parametrize("expression", ["log(x)", "1/(x + 1)", "sqrt(x)"])
def test_a_score_without_a_finite_real_value_is_refused_with_its_place(expression):
    at = {"x": -1.0, "m": 0.0, "tau": 0.3}
    field = sympy_field({"sx": sp.sympify(expression), "sm": sp.Integer(0)}, at)
    with pytest.raises(ValueError, match=r"sx has no finite value at .*'x': -1\.0"):
        error_numbers(local_error(find("RSE")), Point({"x": -1.0, "m": 0.0}, field, PARAMETERS))


def test_exact_and_high_precision_parameters_stay_exact():
    coefficient = local_error(find("ROBA")).terms[2]["x"][("x", 0, ())]
    parameters = {
        "Gamma": Fraction(1, 3),
        "nu": Fraction(4),
        "M": Fraction(9, 7),
        "lambda_s": Fraction(1),
        "beta": Fraction(8),
        "dbeta": Fraction(2, 5),
    }
    exact = coefficient_value(coefficient, parameters)
    assert isinstance(exact, Fraction)
    with mp.workdps(40):
        same = {k: mp.mpf(v.numerator) / v.denominator for k, v in parameters.items()}
        precise = coefficient_value(coefficient, same)
        assert abs(precise - mp.mpf(exact.numerator) / exact.denominator) < mp.mpf(10) ** -38


def test_the_root_of_lambda_s_is_the_root_of_its_value():
    (coefficient,) = strong_error(find("ROBA")).terms[1]["xx"].values()
    value = coefficient_value(coefficient, {**PARAMETERS, "lambda_s": 2.25})
    assert value == pytest.approx(PARAMETERS["beta"] * PARAMETERS["Gamma"] * (1 - 1.5) ** 2)


def test_beta_parameters_are_the_derivatives_in_forward_time():
    values = beta_parameters(sp.sympify("2 + 3*tau**2 - tau**3"), 0.5)
    assert values == pytest.approx({"beta": 2.625, "dbeta": 2.25, "d2beta": 3.0, "d3beta": -6.0})


def test_numbers_hold_each_power_and_key_and_no_test_function():
    here = Point(
        {"x": 0.3}, sympy_field({"s": sp.sympify("x**2")}, {"x": 0.3, "tau": 0}), PARAMETERS
    )
    numbers = error_numbers(local_error(find("EM", "vp")), here)
    assert {k: set(by_key) for k, by_key in numbers.items()} == {1: {"x", "xx"}, 2: {"x", "xx"}}
    assert all(isinstance(v, float) for by_key in numbers.values() for v in by_key.values())
    nothing = error_numbers(local_error(find("RSE")) - local_error(scheme("S B A")), here)
    assert {v for by_key in nothing.values() for v in by_key.values()} == {0.0}


def test_a_derivative_of_too_many_terms_is_not_differentiated_further(monkeypatch):
    error = local_error(find("RSE"), 2)
    where: dict[str, float] = {"x": 0.3, "m": -0.7, "t": 0.4}
    asked = {"score_x": "sin(x + m)*exp(x*m)", "score_m": "-m"}
    assert error.at(**asked, **where)[2]["x"] != 0
    monkeypatch.setattr("splitting_analysis.points.MAX_SIZE", 5)
    with pytest.raises(ValueError, match="has over 5 terms and is not differentiated further"):
        error.at(**asked, **where)
