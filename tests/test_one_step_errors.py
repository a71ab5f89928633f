"""The derived constants against exact one-step errors: error / (C h^p) -> 1, in 50 digits.

The closed form comes from splitting_analysis, the error from analytic_models (exact flow minus the
scheme's exact affine map); the two share only the word and the parameters.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations_with_replacement
from typing import Any

import mpmath
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analytic_models.diffusions import PSLD, VP, Diffusion, Langevin
from analytic_models.linear_flow import closed_flow
from analytic_models.steps import one_step
from analytic_models.targets import Gaussian, score
from splitting_analysis.catalogue import CATALOGUE, find
from splitting_analysis.numbers import Point, evaluate
from splitting_analysis.schemes import Scheme, scheme
from splitting_analysis.weak import at_lambda_one, local_error, order_of
from tests.oracle_fields import linear_field, vector_field
from tests.strategies import splitting_words

H = mpmath.mpf(10) ** -16
NEAR = 1e-6
DIGITS = 70


@st.composite
def problems(draw: st.DrawFn, model: str) -> tuple[Diffusion, Gaussian, Any, list[Any]]:
    """Random process, one-mode target, reverse time and state, as mpmath numbers."""

    def number(low: Any = Fraction(1, 10), high: Any = 2) -> Any:
        value = draw(st.fractions(low, high, max_denominator=50))
        return mpmath.mpf(value.numerator) / value.denominator

    diffusion: Diffusion
    if model == "psld":
        gamma, nu = number(0, 2), number(Fraction(1, 2), 6)
        assume(abs(gamma - nu) > 0.2)
        diffusion = PSLD(gamma, nu, number(), number(1, 10), number(), mpmath.mpf(1))
    elif model == "vp":
        diffusion = VP(number(), number(1, 20), mpmath.mpf(1))
    else:
        diffusion = Langevin(number(), mpmath.mpf(1))
    target = Gaussian(number(Fraction(1, 10), 3), number(-2, 2))
    state = [number(-2, 2) + mpmath.mpf(1) / 7 for _ in range(1 if model == "vp" else 2)]
    return diffusion, target, number(0, Fraction(4, 5)), state


def numbers_of(
    scheme: Scheme, diffusion: Diffusion, target: Gaussian, t: Any, state: list[Any]
) -> Point:
    """The point at which the closed form is evaluated: Gaussian score and its time derivative."""
    tau = diffusion.T - t
    size = len(state)

    def entry(i: int, j: int) -> Any:
        return lambda s: score(diffusion, target, s)[0][i][j] + mpmath.mpf(0)

    def offset(i: int) -> Any:
        return lambda s: score(diffusion, target, s)[1][i] + mpmath.mpf(0)

    with mpmath.workdps(2 * DIGITS):
        jets = [[mpmath.taylor(entry(i, j), tau, 2) for j in range(size)] for i in range(size)]
        offsets = [mpmath.taylor(offset(i), tau, 2) for i in range(size)]
    times = ((0, 1), (1, 1), (2, 2))  # power and its factorial
    jacobians = [[[f * e[k] for e in row] for row in jets] for k, f in times]
    shifts = [[f * e[k] for e in offsets] for k, f in times]
    values: dict[str, Any] = {"lambda_s": mpmath.mpf(1), "beta": diffusion.beta(tau)}
    values["dbeta"] = diffusion.beta(mpmath.mpf(1)) - diffusion.beta(mpmath.mpf(0))
    values["d2beta"] = mpmath.mpf(0)
    for name in scheme.model.parameters:
        values[name] = getattr(diffusion, name)
    at = dict(zip(scheme.model.components, state, strict=True))
    return Point(at, linear_field(scheme.model, jacobians, shifts, at), values)


def one_step_errors(
    scheme: Scheme, diffusion: Diffusion, target: Gaussian, t: Any, state: list[Any]
) -> dict[str, Any]:
    """Exact minus scheme after one step of H: means, and for an SDE second moments of the
    increment.
    """
    step = one_step(scheme, diffusion, t, H, lambda tau: score(diffusion, target, tau))
    flow = closed_flow(scheme.dynamics, diffusion, target, t, t + H)
    h, g = score(diffusion, target, diffusion.T - t)
    held = [sum(h[i][j] * state[j] for j in range(len(state))) + g[i] for i in range(len(state))]
    inputs: dict[Any, Any] = {("1", 0): 1}
    for i, value in enumerate(state):
        inputs["z", i], inputs["s", i] = value, held[i]
    exact, ours = [], []
    for i, (row, form) in enumerate(zip(flow.matrix, step.forms, strict=True)):
        true = sum(a * z for a, z in zip(row, state, strict=True)) + flow.shift[i]
        exact.append(true - state[i])
        ours.append(sum(c * inputs[k] for k, c in form.items() if k in inputs) - state[i])
    names = scheme.model.components
    result = {c: exact[i] - ours[i] for i, c in enumerate(names)}
    if scheme.dynamics == "ode":
        return result
    for i, j in combinations_with_replacement(range(len(names)), 2):
        noise = sum(
            step.forms[i].get(("n", k, a), 0) * block[a][b] * step.forms[j].get(("n", k, b), 0)
            for k, block in enumerate(step.noise)
            for a in range(len(block))
            for b in range(len(block))
        )
        difference = exact[i] * exact[j] + flow.noise[i][j] - ours[i] * ours[j] - noise
        result[names[i] + names[j]] = difference
    return result


def assert_ratio_one(scheme: Scheme, problem: tuple[Diffusion, Gaussian, Any, list[Any]]) -> None:
    scheme = at_lambda_one(scheme)
    with mpmath.workdps(DIGITS):
        errors = one_step_errors(scheme, *problem)
        point = numbers_of(scheme, *problem)
        power = order_of(scheme) + 1
        closed = local_error(scheme, power).terms[power]
        constants = {key: evaluate(closed[key], point) for key in errors}
        size = max(abs(c) for c in constants.values())
        for key, error in errors.items():
            # Relative to the constant itself, unless that is accidentally near zero.
            scale = max(abs(constants[key]), mpmath.mpf("1e-3") * size, mpmath.mpf("1e-9"))
            off = abs(error / H**power - constants[key]) / scale
            assert off < NEAR, f"{scheme.word} {key}: {error / H**power} is not {constants[key]}"


MODELS = [(model, dynamics) for model in ("psld", "vp", "langevin") for dynamics in ("ode", "sde")]


@pytest.mark.share(3)
@pytest.mark.parametrize(
    ("examples", "model", "dynamics"),
    [(3, *key) for key in MODELS]
    + [pytest.param(60, *key, marks=pytest.mark.heavy) for key in MODELS],
)
def test_the_error_of_one_step_over_its_derived_constant_tends_to_one_for_random_words(
    examples, model, dynamics
):
    @settings(max_examples=examples)
    @given(word=splitting_words(model, dynamics, carried=False), problem=problems(model))
    def holds(word, problem):
        assert_ratio_one(scheme(word, model, dynamics), problem)

    with mpmath.workdps(DIGITS):
        holds()


FROZEN = [
    scheme(word, model, dynamics)
    for word in ("S E:exp", "S E:exp/3 E:exp*2/3")
    for model in ("psld", "vp")
    for dynamics in ("ode", "sde")
]
"""Exponential steps with the score held: no catalogue entry of PSLD has one, whose components it
couples.
"""


@pytest.mark.share(7)
@pytest.mark.parametrize(
    "scheme",
    [s for s in [*CATALOGUE, *FROZEN] if not s.word.is_runge_kutta],
    ids=lambda s: f"{s.model_name}-{s.dynamics}-{s.name}",
)
def test_the_error_of_one_step_over_its_derived_constant_tends_to_one_for_the_catalogue(scheme):
    @settings(max_examples=1)
    @given(problem=problems(scheme.model_name))
    def holds(problem):
        assert_ratio_one(scheme, problem)

    with mpmath.workdps(DIGITS):
        holds()


@pytest.mark.parametrize(("name", "power"), [("Heun", 3), ("RK4", 5)])
def test_runge_kutta_errors_over_their_derived_constants_tend_to_one(name, power):
    with mpmath.workdps(DIGITS):
        step = mpmath.mpf(10) ** -8
        diffusion, target = (
            VP(mpmath.mpf("0.3"), mpmath.mpf(7), mpmath.mpf(1)),
            Gaussian(mpmath.mpf("0.4")),
        )
        t, x = mpmath.mpf("0.55"), mpmath.mpf("1.3")
        scheme = find(name, "vp")
        forms = one_step(
            scheme, diffusion, t, step, lambda tau: score(diffusion, target, tau)
        ).forms
        error = (
            closed_flow("ode", diffusion, target, t, t + step).matrix[0][0] - forms[0]["z", 0]
        ) * x

        tau, z = sympy.symbols("tau x")
        low, high = sympy.Rational(3, 10), 7
        beta = low + tau * (high - low)
        b = low * tau + tau**2 * (high - low) / 2
        variance = 1 + sympy.exp(-b) * (sympy.Rational(4, 10) - 1)
        drift = beta / 2 * (z - z / variance)
        at = {"x": 1.3, "tau": 0.45}
        point = Point({}, vector_field([drift, sympy.Integer(-1)], at, ["x", "tau"]), {})
        constant = mpmath.mpf(str(evaluate(local_error(scheme, power).terms[power]["z"], point)[0]))
        assert abs(error / (constant * step**power) - 1) < NEAR
        assert abs(error / (constant * step ** (power + 1)) - 1) > 1
