"""Pieces of splittings that hold a prediction: one flow in the exact world and the engine, and
closed forms in derivatives of what is held.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the samplers need torch")

import splitting_analysis as sa  # noqa: E402
from analytic_models import held_pieces, moments  # noqa: E402
from analytic_models.conjugate import covariance  # noqa: E402
from analytic_models.convergence import global_orders, slowest  # noqa: E402
from analytic_models.given_data import mean as mean_of  # noqa: E402
from analytic_models.given_data import predicted  # noqa: E402
from analytic_models.linear_flow import closed_flow  # noqa: E402
from analytic_models.problem import problem_for  # noqa: E402
from analytic_models.steps import one_step, predicted_forms  # noqa: E402
from analytic_models.targets import Gaussian, marginal, score  # noqa: E402
from gpu_samplers import engine  # noqa: E402
from gpu_samplers.held_pieces import flow as collocated  # noqa: E402
from gpu_samplers.plan import plan  # noqa: E402
from splitting_analysis.algebra import with_kinds  # noqa: E402
from splitting_analysis.clocks import scaled_linear  # noqa: E402
from splitting_analysis.held_pieces import NAMES, told_of  # noqa: E402
from splitting_analysis.models import model_of  # noqa: E402
from splitting_analysis.notation import WordError  # noqa: E402
from splitting_analysis.numbers import Point, evaluate  # noqa: E402
from splitting_analysis.predictions import Prediction  # noqa: E402
from splitting_analysis.processes import PSLD, VE, VP, Flow, ScheduledVP  # noqa: E402
from splitting_analysis.schemes import scheme  # noqa: E402
from splitting_analysis.weak import at_lambda_one, local_error, order_of  # noqa: E402
from tests.probing import gaussian_score, law  # noqa: E402

TARGET = Gaussian([0.7, 0.1], [0.3, -0.2])
POSITIONS: dict[str, Any] = {"vp": VP(0.4, 6.0, 1.25), "ve": VE(3.0), "flow": Flow(0.95)}
PAIRS: dict[str, Any] = {"psld": PSLD(0.3, 2.1, 2.0, 6.0, 0.3, 0.8), "cld": PSLD(0.0, 4.0)}
EVERY: dict[str, Any] = (
    POSITIONS
    | PAIRS
    | {"table": ScheduledVP(schedule=scaled_linear(n=40)), "cosine": ScheduledVP()}
)
OF_POSITIONS = [
    *((f"L/2 S K:{kind} L/2", "ode", None, "tau") for kind in Prediction),
    *((f"S L/3 K:{kind}/2 S@1/2 K:{kind}/2 L*2/3", "sde", "2/3", "lambda") for kind in Prediction),
]
OF_PAIRS = [
    ("S B:data A:data", "ode", None, "tau"),
    ("O S B:data A", "sde", None, "tau"),
    ("O/2 S A:data/2 B A:data/2 O/2", "sde", None, "tau"),
    ("L/2 S K:data L/2", "sde", None, "tau"),
]
CASES = [(name, word) for name in EVERY for word in (OF_PAIRS if name in PAIRS else OF_POSITIONS)]
EVERY_CASE = pytest.mark.parametrize(
    ("name", "told"), CASES, ids=[f"{name}-{word[0]}" for name, word in CASES]
)


def scheme_of(name, told):
    word, dynamics, eta, clock = told
    model = EVERY[name].model_name
    return scheme(word, model, dynamics, clock=clock, eta=eta and Fraction(eta))


def times(process, n=4):
    return [process.T * (1 - (1 - i / (n + 1)) ** 2) for i in range(n + 1)]


@pytest.mark.share(20)
@EVERY_CASE
def test_the_engine_has_the_exact_law(name, told):
    process, own = EVERY[name], scheme_of(name, told)
    exact = moments.run(own, process, TARGET, times(process), denoise=False)
    ready = plan(own, process, times(process), denoise=False)
    known, n = engine.Counted(gaussian_score(process, TARGET)), len(process.stationary)
    mean, spread = law(
        lambda z, noise: engine.run(ready, known, z, noise)[0], n, 2, process.stationary
    )
    for found, law_of in ((mean, exact.mean), (spread, exact.covariance)):
        wanted = np.array(law_of)
        size = float(np.max(np.abs(wanted)))
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12 * size)
    assert known.calls == 2 * exact.nfe


@pytest.mark.parametrize("held", Prediction)
@pytest.mark.parametrize("name", POSITIONS)
def test_on_a_known_point_what_is_held_stays_and_the_flow_of_the_whole_drift_is_exact(name, held):
    """With L's part in it, K:data takes the law of one data point to its law at the end; so do the
    others where what they hold does not change.
    """
    process, point = POSITIONS[name], Gaussian([0.0], [0.6])
    begin, end = 0.7 * process.T, 0.3 * process.T
    piece = model_of(name, "ode").holding[f"K:{held}"]
    keep, gain = held_pieces.flow(piece, process, begin, end)
    (again, pulled) = collocated(piece, process, begin, end)
    assert (again[0, 0], pulled[0, 0]) == pytest.approx((keep[0][0], gain[0][0]), rel=1e-12)
    if held == Prediction.DATA:  # dx = sigma^2 s dlambda, and x - alpha x_0 falls like e^-lambda
        h = process.log_snr(end) - process.log_snr(begin)
        assert keep[0][0] == pytest.approx(float(np.exp(-h)), rel=1e-13)
    assert np.max(marginal(process, point, end)[1]) > 0


def field_of(jets, components):
    """D^(j) = sum of own_c z_c + constant, from jets[j] = (own, constant)."""

    def field(state):
        def at(_name, j, directions):
            own, constant = jets[j]
            if not directions:
                return sum(a * state[c] for a, c in zip(own, components, strict=True)) + constant
            if len(directions) > 1:
                return 0 * constant
            ((component, along),) = directions
            return own[components.index(component)] * along

        return at

    return field


NUMBERS = {
    "vp": (VP, (0.4, 6, 1.25)),
    "ve": (VE, (3,)),
    "flow": (Flow, (0.95,)),
    "psld": (PSLD, (0.3, 2.1, 2, 6, 0.3, 0.8)),
}
ERRING = [
    (name, word)
    for name, word in CASES
    if name in NUMBERS and not ("velocity" in word[0] and word[3] != "tau")
]


@pytest.mark.share(14)
@pytest.mark.parametrize(
    ("name", "told"), ERRING, ids=[f"{name}-{word[0]}" for name, word in ERRING]
)
def test_the_error_of_one_step_tends_to_its_closed_form_in_what_is_held(name, told):
    word, dynamics, eta, clock = told
    with mpmath.workdps(50):
        kind, numbers = NUMBERS[name]
        process = kind(*(mpmath.mpf(str(n)) for n in numbers))
        target = Gaussian(mpmath.mpf("0.7"), mpmath.mpf("0.3"))
        own = at_lambda_one(scheme(word, name, dynamics, clock=clock, eta=eta and Fraction(eta)))
        components = own.model.components
        held: Any = own.program.held_piece
        tau, sign = mpmath.mpf("0.4"), -1 if clock == "lambda" else 1
        at = lambda u: u if clock == "tau" else process.tau_at(clock, sign * u)  # noqa: E731
        here = tau if clock == "tau" else sign * process.clock_at(clock, tau)
        small = mpmath.mpf(10) ** -12

        def jet(of):
            return [mpmath.factorial(k) * c for k, c in enumerate(mpmath.taylor(of, here, 2))]

        def prediction(u):
            """What is held, in the state: coefficients and constant."""
            t = at(u)
            h, g = score(process, target, t)
            n = range(len(components))
            state = [{("z", i): mpmath.mpf(1)} for i in n]
            known = [{**{("z", j): h[i][j] for j in n}, ("1", 0): g[i]} for i in n]
            (form,) = predicted_forms(held, process, t, state, known)
            return [form.get(("z", i), 0 * t) for i in n], form.get(("1", 0), 0 * t)

        n = len(components)
        owns = [jet(lambda u, i=i: prediction(u)[0][i]) for i in range(n)]
        constants = jet(lambda u: prediction(u)[1])
        jets = [([own_i[k] for own_i in owns], constants[k]) for k in range(3)]
        pace = (lambda u: mpmath.diff(at, u)) if clock != "tau" else (lambda u: 1 + 0 * u)
        values = dict(
            zip(("beta", "dbeta"), jet(lambda u: process.beta(at(u)) * pace(u)), strict=False)
        )
        if name == "psld":
            values |= {key: getattr(process, key) for key in ("Gamma", "nu", "M")}
            xx, xm, mm, det = covariance(process, tau)
            values |= dict(zip(("mu_x", "mu_m"), mean_of(process, tau), strict=True))
            values |= {"P_xx": mm / det, "P_xm": -xm / det, "P_mm": xx / det}
        else:
            fades = jet(lambda u: process.fading(at(u)) * pace(u))
            alpha, sigma = process.alpha(tau), process.sigma(tau)
            values |= {"r": fades[0], "dr": fades[1], "alpha": alpha, "isigma": 1 / sigma}
            values["isize"] = 1 / (alpha**2 + sigma**2)
        z = dict(zip(components, (mpmath.mpf("0.9"), mpmath.mpf("-0.4")), strict=False))
        point = Point(z, field_of(jets, components)(z), values)
        end = at(here - small)
        step = one_step(
            own, process, process.T - tau, tau - end, lambda t: score(process, target, t)
        )
        inputs = {("1", 0): mpmath.mpf(1)} | {("z", i): z[c] for i, c in enumerate(components)}
        ours = [sum(c * inputs[k] for k, c in f.items() if k in inputs) for f in step.forms]
        true = exact_means(process, target, own, tau, end, [z[c] for c in components])
        terms = local_error(own).terms
        assert order_of(own) == 1 and not any(terms[1].values())
        for c, a, b in zip(components, true, ours, strict=True):
            constant = evaluate(terms[2][c], point)
            assert abs((a - b) / small**2 - constant) < 1e-8 * max(1, abs(constant)), c


def exact_means(process, target, own, tau, end, state):
    if isinstance(process, PSLD):
        flow = closed_flow(own.dynamics, process, target, process.T - tau, process.T - end)
        rows = zip(flow.matrix, flow.shift, strict=True)
        return [sum(a * z for a, z in zip(row, state, strict=True)) + r for row, r in rows]
    (m1,), ((late,),) = marginal(process, target, tau)
    (m0,), ((early,),) = marginal(process, target, end)
    share = mpmath.mpf(own.noise_level.numerator**2) / own.noise_level.denominator**2
    gain = (process.alpha(tau) / process.alpha(end)) ** share * (early / late) ** ((1 + share) / 2)
    return [m0 + gain * (state[0] - m1)]


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("word", "model", "dynamics"),
    [
        ("L/2 S K:data L/2", "vp", "ode"),
        ("L/2 S K:data L/2", "flow", "sde"),
        ("O S B:data A:data", "psld", "sde"),
        ("L/2 S K:v L/2", "ve", "ode"),
    ],
)
def test_its_order_is_one_and_not_two(word, model, dynamics):
    process = {"psld": PSLD(0.3, 2.1, 2.0, 6.0, 0.3, 0.8)}.get(model) or POSITIONS[model]
    own, target = scheme(word, model, dynamics), Gaussian([0.7], [0.3])
    start = (
        tuple(np.ones(1) for _ in process.stationary),
        tuple(
            tuple(np.ones(1) * (i == j) for j in range(len(process.stationary)))
            for i in range(len(process.stationary))
        ),
    )
    steps = [2**k for k in range(5, 10)]
    found = slowest(global_orders(own, process, target, steps, process.T / 4, start))
    assert order_of(own) == 1
    assert found.confirms(1, 0.03) and not found.confirms(2, 0.03), str(found)


@pytest.mark.parametrize("name", ["vp", "flow", "psld"])
def test_what_the_score_is_said_to_be_is_what_it_is(name):
    """A z + B P is beta s, with P the prediction that s and z make."""
    process = (POSITIONS | PAIRS)[name]
    with with_kinds("fading", "kernel"):
        told = told_of(model_of(name, "ode"), Prediction.DATA)
        own, gain = told.score()
    assert told.name == NAMES[Prediction.DATA] == "D"
    tau, z, s = 0.4, np.array([0.3, -0.8]), np.array([0.5, 0.2])
    if name == "psld":
        xx, xm, mm, det = covariance(process, tau)
        inverse = np.array([[mm, -xm], [-xm, xx]]) / det
        mu = np.array(mean_of(process, tau))
        s = -inverse @ (z - 0.7 * mu)  # what x_0 = 0.7 says
        of_state, of_score = predicted(process, tau)
        data = np.dot(of_state, z) + np.dot(of_score, s)
        values = {"P_xx": inverse[0, 0], "P_xm": inverse[0, 1], "P_mm": inverse[1, 1]}
        values |= {"mu_x": mu[0], "mu_m": mu[1], "beta0": process.beta(tau)}
    else:
        alpha, sigma = float(process.alpha(tau)), float(process.sigma(tau))
        data = (z[0] + sigma**2 * s[0]) / alpha
        values = {"alpha": alpha, "isigma": 1 / sigma, "beta0": float(process.beta(tau))}

    def number(element):
        names = map(str, element.ring.symbols)
        at = [(g, values.get(n, 0)) for n, g in zip(names, element.ring.gens, strict=True)]
        return float(element.evaluate(at)) if element else 0.0

    n = len(own)
    for i in range(n):
        said = sum(number(own[i][j]) * z[j] for j in range(n)) + number(gain[i]) * data
        assert said == pytest.approx(values["beta0"] * s[i], rel=1e-9)


@pytest.mark.parametrize(
    ("word", "model", "said"),
    [
        ("K:data/2 L S K:data/2", "vp", "an S before it in the step"),
        ("L/2 S K:data[2] L/2", "vp", "a piece holds one evaluation"),
        ("S K:data/2 L K:v/2", "ve", "one prediction in all pieces"),
        ("S B:data A:eps", "psld", "one prediction in all pieces"),
        ("S K:v/2 K/2 L", "ve", "another piece takes the score"),
        ("O S B:eps[2] A", "psld", "E:eps|Runge-Kutta row"),
        ("S B:v A", "psld", "unknown piece|holds no|does not"),
        ("S B:data A", "langevin", "langevin"),
    ],
)
def test_a_word_that_holds_in_vain_is_refused_at_its_place(word, model, said):
    with pytest.raises(WordError, match=said):
        scheme(word, model)


def test_what_is_not_known_of_such_words_is_refused_with_what_is():
    word = "O S B:data A:data"
    for asked, said in {
        "strong": (lambda: sa.strong_error(word), "its weak one is"),
        "stability": (lambda: sa.stability(word), "not where a prediction is held"),
        "numbers": (
            lambda: sa.local_error(word).at(score_x="-x", score_m="-m", x=1, m=1, t=0.5),
            "a formula",
        ),
        "end": (lambda: sa.gaussian(word, steps=3, eps=0), "end at eps > 0"),
        "velocity": (
            lambda: order_of(scheme("L/2 S K:velocity L/2", "flow", "ode", clock="rho")),
            "derived in the clock tau",
        ),
    }.values():
        with pytest.raises(ValueError, match=said):
            asked()


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("word", "model"), [("O S B:data A:data", "psld"), ("L/2 S K:data L/2", "flow")]
)
def test_validation_holds_of_a_word_what_it_says(word, model):
    found = sa.validate(word, model=model)
    assert found.holds, str(found)


def test_data_held_in_the_pieces_of_a_splitting_bring_it_closer_at_few_evaluations():
    ours = problem_for("psld", "digits", grid="quadratic", denoise="data")
    plain, held = (
        ours.errors(scheme(word, "psld", "sde"), 20)["w2_x"]
        for word in ("S B A O", "S B:data A:data O")
    )
    assert held < plain / 3
