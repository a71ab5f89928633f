"""Closed forms of conjugate steps against one step with numbers in, by exact Gaussian laws."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest

from analytic_models.frozen import frozen_problem, step_matrix
from analytic_models.linear_flow import closed_flow
from analytic_models.steps import one_step
from analytic_models.targets import Gaussian, marginal, score
from splitting_analysis.catalogue import find
from splitting_analysis.conjugate_catalogue import CONJUGATE_CATALOGUE
from splitting_analysis.errors import spell_error
from splitting_analysis.factor_rates import factor_rates
from splitting_analysis.numbers import Point
from splitting_analysis.points import values_at
from splitting_analysis.processes import PSLD, VP
from splitting_analysis.schemes import Factor, Scheme, scheme
from splitting_analysis.weak import error_difference, local_error, order_of
from tests.oracle_fields import error_numbers, linear_field

VARIANCE, TAU, STATE = 0.7, 0.4, {"x": 0.3, "m": -0.7}
PSLD_NUMBERS = {"Gamma": 0.5, "nu": 2.5, "beta_min": 0.5, "beta_max": 4.0}


@cache
def jacobians(process: Any) -> list[list[list[float]]]:
    """The score's matrix and its derivatives in tau."""
    with mpmath.workdps(40):
        target = Gaussian(mpmath.mpf(VARIANCE))
        n = range(len(process.stationary))

        def series(i: int, j: int) -> list[Any]:
            found = mpmath.taylor(lambda u: score(process, target, u)[0][i][j], mpmath.mpf(TAU), 3)
            return [float(c * mpmath.factorial(k)) for k, c in enumerate(found)]

        entries = [[series(i, j) for j in n] for i in n]
    return [[[entries[i][j][k] for j in n] for i in n] for k in range(4)]


def predicted(s: Scheme, process: Any) -> dict[int, dict[str, float]]:
    """The coefficients at STATE, by the closed form."""
    names = s.model.components
    slopes = jacobians(process)
    given = {k: getattr(process, k) for k in (PSLD_NUMBERS if len(names) == 2 else ())}
    given |= {"beta_min": process.beta_min, "beta_max": process.beta_max, "tau": TAU}
    state = {c: STATE[c] for c in names}
    told = {} if s.told or not s.bends else {"lambda": 1.25}
    values = values_at([s], {**given, **state, **told})
    field = linear_field(s.model, slopes, [[0.0] * len(names)] * 4, state)
    return error_numbers(
        local_error(s, 3 if s.dynamics == "ode" else 2), Point(state, field, values)
    )


def measured(s: Scheme, process: Any, h: float) -> dict[str, Any]:
    """Exact minus scheme after one step: the mean, of an SDE second moments of increments, too."""
    names = s.model.components
    n = range(len(names))
    target, t = Gaussian(VARIANCE), process.T - TAU
    flow = closed_flow(s.dynamics, process, target, t, t + h)
    moved = one_step(s, process, t, h, lambda u: score(process, target, u))
    z = [STATE[c] for c in names]
    own = [[moved.forms[i].get(("z", j), 0) for j in n] for i in n]
    mean = [
        [sum(matrix[i][j] * z[j] for j in n) - z[i] for i in n] for matrix in (flow.matrix, own)
    ]
    found = {c: mean[0][i] - mean[1][i] for i, c in enumerate(names)}
    if s.dynamics == "sde":
        noise = [
            [
                sum(
                    moved.forms[i].get(("n", k, a), 0)
                    * block[a][b]
                    * moved.forms[j].get(("n", k, b), 0)
                    for k, block in enumerate(moved.noise)
                    for a in n
                    for b in n
                )
                for j in n
            ]
            for i in n
        ]
        for i, j in ((0, 0), (0, 1), (1, 1)):
            exact = flow.noise[i][j] + mean[0][i] * mean[0][j]
            found[names[i] + names[j]] = exact - noise[i][j] - mean[1][i] * mean[1][j]
    return found


def limits(s: Scheme, process: Any) -> tuple[dict[str, float], dict[str, float]]:
    """The coefficients of h^2 and h^3, from steps that halve, by extrapolation."""
    lengths = [2.0**-k for k in range(4, 9)]
    table = [measured(s, process, h) for h in lengths]
    second, third = {}, {}
    for key in table[0]:
        column = [row[key] / h**2 for row, h in zip(table, lengths, strict=True)]
        second[key] = extrapolated(column)
        rest = [(c - second[key]) / h for c, h in zip(column, lengths, strict=True)]
        third[key] = extrapolated(rest[:-1])
    return second, third


def extrapolated(column: list[float]) -> float:
    """The limit of a sequence over steps that halve."""
    for m in range(1, len(column)):
        column = [(2**m * b - a) / (2**m - 1) for a, b in pairwise(column)]
    return float(column[-1])


_PIECES = "S B:{1/(1+tau),0,lambda*tau,nu}/2 A:{beta,0,0,sqrt(tau)} S@1 B:{tau,lambda,1,Gamma}/2"

# every one with one factor or the other
CASES = [(s.name, s, f) for s, f in zip(CONJUGATE_CATALOGUE, ["lower", "upper"] * 9, strict=False)]
CASES += [
    ("mixed", scheme("S B:ones/2 A:eye S@1 B:eps/2", "psld", "ode"), "upper"),
    ("vp", scheme("S E:eye", "vp", "ode"), "lower"),
    ("own", scheme("S B:{0,0,-1/2,1} A:{1/4,0,0,1}", "psld", "ode"), "lower"),
    ("moving", scheme("S E:{lambda*tau,beta/4,-tau**2,exp(-tau)}", "psld", "ode"), "lower"),
    ("moving pieces", scheme(_PIECES, "psld", "ode"), "upper"),
    ("skip", replace(find("LDDIM-II"), skip=Fraction(1, 3)), "lower"),
    ("skip and pieces", replace(find("CVV"), skip=Fraction(2)), "upper"),
    ("skip and noise", replace(find("COBA"), skip=Fraction(2)), "lower"),
    ("skip of vp", replace(scheme("S E:eye", "vp", "ode"), skip=Fraction(2)), "lower"),
    ("parts of vp", scheme("S E:eye/2 E:eye/2", "vp", "ode"), "lower"),
    ("moving noise", scheme("O S B:{tau/M,0,0,lambda} A:{sin(tau),1,0,tau}", "psld"), "lower"),
]


@pytest.mark.parametrize(
    ("s", "factor"),
    # those of one component take a tenth of a second
    [
        pytest.param(*case[1:], id=case[0], marks=() if "vp" in case[0] else pytest.mark.heavy)
        for case in CASES
    ],
)
def test_the_leading_coefficient_is_the_limit_of_the_exact_error_of_one_step(s, factor):
    process = VP() if s.model_name == "vp" else PSLD(**PSLD_NUMBERS)
    s = replace(s, factor=factor)
    numbers = replace(s, conjugate=Fraction(5, 4)) if s.bends else s
    found, wanted = predicted(s, process), limits(numbers, process)
    for power, by_key in zip((2, 3), wanted, strict=True):
        size = max(abs(value) for value in by_key.values())
        assert size > 0.01
        for key, value in by_key.items() if power in found else ():
            off = abs(found[power][key] - value) / size
            assert off < (1e-6 if power == 2 else 1e-3), (power, key)
    # lambda as a number in the formula is lambda at the point
    assert predicted(numbers, process)[2] == pytest.approx(found[2], rel=1e-12)


@pytest.mark.parametrize(
    ("name", "said"),
    [("LDDIM-I", {"x": "λ/4 (2 λ x − β Γ s^x)", "m": "λ/4 (2 λ m − β ν M s^m)"}), ("EI", {})],
)
def test_what_lambda_brings_into_the_leading_error_is_one_line_a_component(name, said):
    change = error_difference(find(name, "psld"), find("EI", "psld"))
    assert {c: spell_error(change, 2, c) for c in ("x", "m") if change.terms[2][c]} == said


def test_a_slope_of_b_enters_the_h2_error_with_its_sign():
    """By hand: of B = b(tau) I the step keeps exp(integral of b) (1 - h b) z, reverse in time."""
    moving, still = scheme("S E:{tau,0,0,tau}", "psld", "ode"), find("EI", "psld")
    change = error_difference(moving, still, 2)
    assert spell_error(change, 2, "x") == "1/4 (2 (τ² + 1) x − β Γ τ s^x)"


def test_a_score_that_is_held_as_eps_turns_by_the_transposed_rates_of_the_factor():
    """By hand: held it is (1 + v l^T) s, of which the h^2 error has minus half, and its weight."""
    said: dict[Factor, tuple[str, str]] = {
        "lower": ("− 2 ℓ_mx s^m − 2 ∂_τ s^x", "(−2 M ℓ_mm s^m − 2 M ∂_τ s^m"),
        "upper": ("(−2 ℓ_xx s^x − 2 ∂_τ s^x", "(−2 M ℓ_xm s^x − 2 M ℓ_mm s^m − 2 M ∂_τ s^m"),
    }
    for factor, parts in said.items():
        error = local_error(replace(find("EI", "psld"), factor=factor), 2)
        for component, front, part in zip("xm", ("β Γ/8 (", "β ν/8 ("), parts, strict=True):
            spelled = spell_error(error, 2, component)
            assert spelled.startswith(front) and part in spelled, (factor, component)


def test_the_order_of_conjugate_words_is_derived_to_be_what_they_claim():
    assert [order_of(s) for s in CONJUGATE_CATALOGUE] == [s.order for s in CONJUGATE_CATALOGUE]


@pytest.mark.parametrize("factor", ["lower", "upper"])
def test_the_rates_of_a_factor_are_the_slope_of_the_covariances_own_triangle(factor):
    """l = (dL/dtau) L^-1, L from the law of a data point at 0 by Cholesky, dL by differences."""
    process = PSLD(**PSLD_NUMBERS)
    turn = np.eye(2) if factor == "lower" else np.eye(2)[::-1]

    def triangle(tau: float) -> Any:
        law = np.array(marginal(process, Gaussian(0.0), tau)[1], dtype=float)
        return turn @ np.linalg.cholesky(turn @ law @ turn) @ turn

    def rates(tau: float) -> Any:
        slope = (triangle(tau + 1e-4) - triangle(tau - 1e-4)) / 2e-4
        return slope @ np.linalg.inv(triangle(tau))

    given = {**vars(process), "M": process.M, "tau": TAU}
    told = factor_rates("psld", factor, given)
    slopes = (rates(TAU + 1e-3) - rates(TAU - 1e-3)) / 2e-3
    for i, one in enumerate("xm"):
        for j, other in enumerate("xm"):
            assert told[f"l_{one}{other}"] == pytest.approx(rates(TAU)[i, j], rel=1e-5, abs=1e-5)
            assert told[f"dl_{one}{other}"] == pytest.approx(slopes[i, j], rel=1e-3, abs=1e-3)
    off = told["l_mx" if factor == "lower" else "l_xm"]
    assert abs(off) > 0.1


NOT_SYMMETRIC = "{1,2,-1/2,3}"


@pytest.mark.parametrize("word", [f"S E:{NOT_SYMMETRIC}", f"S B:{NOT_SYMMETRIC} A:eye"])
def test_a_conjugation_that_is_not_symmetric_leaves_a_step_consistent(word):
    """As series, and frozen: what the matrix adds to the flow Euler's step for it takes away."""
    own = scheme(word, "psld", "ode")
    assert order_of(own) == 1
    process, h = PSLD(**PSLD_NUMBERS), 1e-6
    frozen, matrix = frozen_problem(own, process, [VARIANCE], TAU)
    own = replace(own, conjugate=Fraction(3, 4))  # what the matrix is multiplied by
    found = (step_matrix(own, frozen, matrix, np.array([h]))[0] - np.eye(2)) / h
    euler = scheme("S E", "psld", "ode")
    wanted = (step_matrix(euler, frozen, matrix, np.array([h]))[0] - np.eye(2)) / h
    assert found == pytest.approx(wanted, rel=1e-4, abs=1e-4) and np.abs(wanted).min() > 0.1


def test_powers_that_need_more_rates_of_the_factor_than_there_are_are_refused():
    with pytest.raises(ValueError, match="from 1 to 4"):
        local_error(find("EI", "psld"), 5)
    with pytest.raises(ValueError, match="tau > 0"):
        values_at([find("EI", "psld")], {"x": 1, "m": 1, "tau": 0})
    with pytest.raises(ValueError, match="B = 0"):
        values_at([find("EI", "psld")], {"x": 1, "m": 1, "tau": 0.5, "lambda": 1})
