"""Splittings of VP, VE and flow matching in any clock, at any noise level, in all three worlds."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from itertools import product
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the samplers need torch")

import splitting_analysis as sa  # noqa: E402
from analytic_models import clocked, moments  # noqa: E402
from analytic_models.convergence import global_orders, slowest  # noqa: E402
from analytic_models.frozen import frozen_problem, step_matrix  # noqa: E402
from analytic_models.problem import problem_for  # noqa: E402
from analytic_models.stability import largest_stable_step  # noqa: E402
from analytic_models.steps import one_step  # noqa: E402
from analytic_models.targets import Gaussian, marginal, score  # noqa: E402
from gpu_samplers import engine, plain  # noqa: E402
from gpu_samplers.clocked import faded  # noqa: E402
from gpu_samplers.plan import plan  # noqa: E402
from splitting_analysis.clocks import CLOCKS  # noqa: E402
from splitting_analysis.families import POSITION_ONLY  # noqa: E402
from splitting_analysis.models import model_at, model_of  # noqa: E402
from splitting_analysis.numbers import Point, evaluate  # noqa: E402
from splitting_analysis.processes import VE, VP, Flow, process_of  # noqa: E402
from splitting_analysis.retuned import with_noise_level  # noqa: E402
from splitting_analysis.schemes import scheme  # noqa: E402
from splitting_analysis.splitting_catalogue import (  # noqa: E402
    SPLITTING_CATALOGUE,
    SSCS2_WORD,
    STRANG_WORD,
)
from splitting_analysis.weak import local_error, order_of  # noqa: E402
from tests.oracle_fields import linear_field  # noqa: E402
from tests.probing import gaussian_score, law  # noqa: E402

TARGET = Gaussian([0.7, 0.1], [0.3, -0.2])
PROCESSES: dict[str, Any] = {"vp": VP(0.4, 6.0, 1.25), "ve": VE(3.0), "flow": Flow(0.95)}
WORDS = [
    (STRANG_WORD, "ode", None, 2),
    ("L/2 S K L/2", "sde", None, 1),
    ("S L/2 K L/2", "sde", Fraction(1, 2), 1),
    ("S L/3 K/2 S@1/2 K/2 L*2/3", "sde", Fraction(3, 2), 1),
    (SSCS2_WORD, "sde", Fraction(1, 3), 2),
    ("S E", "sde", Fraction(1, 3), 1),
    ("S E[1] S@1 E[1/2,1/2]", "ode", None, 2),
]
CASES = [
    (name, clock, word)
    for (number, word), name, (shift, clock) in product(
        enumerate(WORDS), PROCESSES, enumerate(CLOCKS)
    )
    if (number + shift) % 2 == 0
]
IDS = [f"{name}-{clock}-{word[0]}" for name, clock, word in CASES]
GAUSSIAN_SCORES = {
    "vp": "-(x - 0.3*exp(-(0.4*tau + 2.24*tau**2)/2))/(1 - 0.3*exp(-(0.4*tau + 2.24*tau**2)))",
    "ve": "-(x - 0.3)/(0.7 + tau**2)",
    "flow": "-(x - 0.3*(1 - tau))/(0.7*(1 - tau)**2 + tau**2)",
}
"""Of mean 0.3 and variance 0.7, VP's beta from 0.4 to 6 over 1.25."""
EVERY_ENTRY = pytest.mark.parametrize(
    "entry", SPLITTING_CATALOGUE, ids=lambda s: f"{s.model_name}-{s.name}"
)


def times(process, n=5):
    return [process.T * (1 - (1 - i / (n + 1)) ** 2) for i in range(n + 1)]


def same(found, wanted, rtol=2e-11):
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-13 * np.max(np.abs(wanted)))


@pytest.mark.share(14)
@pytest.mark.parametrize(("name", "clock", "told"), CASES, ids=IDS)
def test_the_engine_has_the_exact_law_in_any_clock_at_any_noise_level(name, clock, told):
    word, dynamics, eta, _ = told
    process, own = PROCESSES[name], scheme(word, name, dynamics, clock=clock, eta=eta)
    exact = moments.run(own, process, TARGET, times(process), denoise=False)
    ready, known = (
        plan(own, process, times(process), denoise=False),
        gaussian_score(process, TARGET),
    )
    mean, covariance = law(
        lambda z, noise: engine.run(ready, known, z, noise)[0], 1, 2, process.stationary
    )
    same(mean, np.array(exact.mean))
    same(covariance, np.array(exact.covariance))


@EVERY_ENTRY
def test_a_printed_splitting_has_the_exact_law_and_the_engine_its_path(entry):
    process = PROCESSES[entry.model_name]
    grid, known = times(process), gaussian_score(process, TARGET)
    exact = moments.run(entry, process, TARGET, grid)
    sampler = partial(plain.sample, entry.name, process, known)
    mean, covariance = law(lambda z, noise: sampler(z, grid, noise), 1, 2, process.stationary)
    same(mean, np.array(exact.mean))
    same(covariance, np.array(exact.covariance))
    draws = torch.randn(3 * len(grid), 1, 3, 2, dtype=torch.float64)
    ready, ends = plan(entry, process, grid), []
    for run in (lambda z, n: sampler(z, grid, n), lambda z, n: engine.run(ready, known, z, n)[0]):
        left = iter(draws)
        ends.append(run(draws[-1], lambda parts, left=left: next(left)[:parts]).numpy())
    same(ends[1], ends[0])


@pytest.mark.parametrize("name", POSITION_ONLY)
def test_the_pieces_add_up_to_the_drift_of_their_noise_level_and_keep_the_prior_of_vp(name):
    p, sums = PROCESSES[name].parameters, dict[Any, Any]()
    eta = Fraction(2, 3)
    for level in (Fraction(0), eta, Fraction(1)):
        pieces = model_at(name, level).pieces
        parts = {
            key: np.array([*piece.linear(p)[0], *piece.score(p), *piece.noise(p), piece.fading])
            for key, piece in pieces.items()
        }
        np.testing.assert_allclose(np.float64(parts["L"] + parts["K"]), np.float64(parts["E"]))
        sums[level] = {key: np.float64(parts[key]) for key in "ELK"}
    share = float(eta**2)
    between = (1 - share) * sums[Fraction(0)]["E"] + share * sums[Fraction(1)]["E"]
    np.testing.assert_allclose(sums[eta]["E"], between, atol=1e-15)
    # theory section 9: -f x + (1 + eta^2)/2 g^2 s, noise eta^2 g^2
    np.testing.assert_allclose(sums[eta]["E"][1:3], [(1 + share) / 2, share])
    if name == "vp":  # N(0, 1), with the score -x
        linear, _, noise, _ = sums[eta]["L"]
        assert 2 * linear + noise == pytest.approx(0, abs=1e-15) and noise > 0
        linear, score_of, _, _ = sums[eta]["K"]
        assert linear == pytest.approx(score_of)


def test_less_noise_brings_splittings_of_vp_closer_at_equal_evaluations():
    ours = problem_for("vp", "digits", grid="quadratic", denoise="data")
    word = scheme("L/2 S K L/2", "vp", "sde")
    half = with_noise_level(word, Fraction(1, 2))
    for nfe in (10, 20, 50):
        steps = ours.steps(word, nfe)
        assert ours.errors(half, steps)["w2_x"] < 0.6 * ours.errors(word, steps)["w2_x"]


def readings(process, clock, tau):
    """The clock's reading, growing with forward time."""
    return process.clock_at(clock, tau) * (-1 if clock == "lambda" else 1)


def exact_step(process, target, eta, begin, end):
    """Gain and noise of the reverse dynamics at noise level eta between forward times: what it
    keeps of x - mean, and the variance added."""
    (_,), ((late,),) = marginal(process, target, begin)
    (_,), ((early,),) = marginal(process, target, end)
    share = mpmath.mpf(eta.numerator**2) / eta.denominator**2
    gain = (process.alpha(begin) / process.alpha(end)) ** share
    gain = gain * (early / late) ** ((1 + share) / 2)
    return gain, early - gain**2 * late


@pytest.mark.share(20)
@pytest.mark.parametrize(("name", "clock", "told"), CASES, ids=IDS)
def test_the_error_of_one_step_in_any_clock_tends_to_its_closed_form_and_to_its_number(
    name, clock, told
):
    word, dynamics, eta, order = told
    with mpmath.workdps(60):
        kind = {"vp": VP, "ve": VE, "flow": Flow}[name]
        numbers = {"vp": (0.4, 6, 1.25), "ve": (3,), "flow": (0.95,)}[name]
        process = kind(*(mpmath.mpf(n) for n in numbers))
        target = Gaussian(mpmath.mpf(7) / 10, mpmath.mpf(3) / 10)
        own = scheme(word, name, dynamics, clock=clock, eta=eta)
        tau, x = mpmath.mpf(2) / 5, mpmath.mpf(9) / 10
        here, small = readings(process, clock, tau), mpmath.mpf(10) ** -14
        sign = -1 if clock == "lambda" else 1

        def at(u):
            return process.tau_at(clock, sign * u)

        def taylor(of, terms=3):
            found = mpmath.taylor(of, here, terms - 1)
            return [mpmath.factorial(k) * c for k, c in enumerate(found)]

        pace = lambda u: mpmath.diff(at, u)  # noqa: E731 - a name for one line
        rates = taylor(lambda u: process.beta(at(u)) * pace(u))
        fades = taylor(lambda u: process.fading(at(u)) * pace(u))
        slopes = taylor(lambda u: score(process, target, at(u))[0][0][0])
        shifts = taylor(lambda u: score(process, target, at(u))[1][0])
        values = dict(zip(("beta", "dbeta", "d2beta"), rates, strict=True))
        values |= dict(zip(("r", "dr", "d2r"), fades, strict=True))
        jacobians = [[[c]] for c in slopes]
        field = linear_field(own.model, jacobians, [[c] for c in shifts], {"x": x})
        point = Point({"x": x}, field, values)
        end = at(here - small)
        step = one_step(own, process, process.T - tau, tau - end, partial(score, process, target))
        held = slopes[0] * x + shifts[0]
        inputs = {("z", 0): x, ("s", 0): held, ("1", 0): 1}
        mean = sum(c * inputs[k] for k, c in step.forms[0].items() if k in inputs)
        spread = sum(step.forms[0][("n", k, 0)] ** 2 * b[0][0] for k, b in enumerate(step.noise))
        gain, noise = exact_step(process, target, own.noise_level, tau, end)
        (m1,), _ = marginal(process, target, tau)
        (m0,), _ = marginal(process, target, end)
        true = m0 + gain * (x - m1)
        errors = {"x": true - mean}
        if dynamics == "sde":
            errors["xx"] = (true - x) ** 2 + noise - (mean - x) ** 2 - spread
        derived = local_error(own, order + 1)
        assert order_of(own) == order
        given = dict(zip(("beta_min", "beta_max", "T"), (0.4, 6, 1.25), strict=True))
        given = given if name == "vp" else {"T": float(process.T)}
        here_too = derived.at(score_x=GAUSSIAN_SCORES[name], x=0.9, tau=0.4, **given)[order + 1]
        for key, error in errors.items():
            constant = here_too[key]
            assert abs(error / small ** (order + 1) - constant) < 1e-9 * max(1, abs(constant)), key
            if not own.word.is_runge_kutta:  # whose closed form is one of the whole drift
                assert evaluate(derived.terms[order + 1][key], point) == pytest.approx(constant)


@pytest.mark.heavy
@EVERY_ENTRY
def test_a_splitting_converges_at_its_claimed_order_and_at_no_other(entry):
    assert order_of(entry) == entry.order
    with mpmath.workdps(40):
        every: Any = {"ve": VE(mpmath.mpf(3)), "flow": Flow(mpmath.mpf("0.95"))}
        process = every[entry.model_name]
        target = Gaussian(mpmath.mpf("0.7"), mpmath.mpf("0.3"))
        start = ((mpmath.mpf(1),), ((mpmath.mpf(1),),))
        steps = [2**k for k in range(4, 9)]
        found = slowest(global_orders(entry, process, target, steps, process.T / 4, start))
    assert found.confirms(entry.order) and not found.confirms(entry.order + 1), str(found)


def test_the_clocks_of_ve_that_are_one_give_one_sampler_and_others_another():
    found = {
        clock: moments.run(
            scheme("L/2 S K L/2", "ve", clock=clock), VE(3.0), TARGET, times(VE(3.0)), denoise=False
        ).covariance[0][0]
        for clock in CLOCKS
    }
    same(found["rho"], found["tau"])
    same(found["sigma"], found["lambda"])  # log sigma is -lambda
    assert np.max(np.abs(found["tau"] - found["lambda"])) > 0.01


@settings(max_examples=10)
@given(
    eta=st.fractions(0, 2, max_denominator=7).filter(lambda e: e not in (0, 1)),
    first=st.floats(0.05, 0.99),
    share=st.floats(0.01, 0.95),
)
def test_noise_that_fades_is_its_integral_in_both_worlds(eta, first, share):
    piece, end = model_at("flow", eta).pieces["L"], first * share
    process = Flow(0.999)
    kept, spread = clocked.faded(piece, process, first, end)
    power = 2 * float(piece.fading)
    wanted = mpmath.quad(
        lambda u: ((1 - end) / (1 - u)) ** power * 2 * u / (1 - u), [end, (end + first) / 2, first]
    )
    assert spread == pytest.approx(float(wanted), rel=1e-11)
    ours = faded(process, float(piece.fading), first, end)
    assert ours == pytest.approx((np.exp(kept), float(wanted)), rel=1e-11)


@pytest.mark.parametrize("name", ["ve", "flow"])
def test_a_frozen_step_leaves_the_disk_where_its_factor_does(name):
    process, tau, variance = PROCESSES[name], 0.4, 0.3
    own = scheme("S E", name, "sde")
    alpha, fading = float(process.alpha(tau)), float(process.fading(tau))
    slope = -1 / (alpha**2 * variance + tau**2)
    drift = fading + float(process.beta(tau)) * slope  # 1 + h drift = -1
    (limit,) = largest_stable_step(own, process, [variance], tau)
    assert limit == pytest.approx(-2 / drift, rel=1e-9)
    strang = scheme(STRANG_WORD, name, "ode", clock="rho")
    h = 0.05
    ours = step_matrix(strang, *frozen_problem(strang, process, [variance], tau), h)[0, 0, 0]
    z = h * float(process.beta(tau)) * slope / 2
    assert ours == pytest.approx(np.exp(h * fading) * (1 + z + z * z / 2), rel=1e-12)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda: scheme("L/2 S K L/2", "psld", clock="rho"), "splittings of positions alone"),
        (lambda: scheme("S E:ddpm", "vp", clock="rho"), "runs in tau"),
        (lambda: with_noise_level(sa.find("ROBA"), Fraction(1, 2)), "of psld is neither"),
        (lambda: with_noise_level(sa.find("DDPM"), Fraction(1, 2)), "E:ddpm is a piece of eta = 1"),
        (lambda: model_at("psld", Fraction(1, 2)), "no noise levels"),
        (lambda: sa.local_error("L/2 S K L/2", 5, model="flow"), "derived from 1 to 4"),
        (lambda: Flow(1.0), "T < 1"),
        (
            lambda: sa.gaussian("L/2 S K L/2", steps=3, model="flow", clock="lambda", eps=0),
            "end at eps > 0",
        ),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(asked, said):
    with pytest.raises(ValueError, match=said):
        asked()


def test_an_euler_step_of_flow_matching_follows_its_velocity():
    process, grid = Flow(0.9), times(Flow(0.9))
    of_score = moments.run(scheme("S E", "flow", "ode"), process, TARGET, grid, denoise=False)
    held = scheme("S E:velocity", "flow", "ode", clock="tau")
    of_velocity = moments.run(held, process, TARGET, grid, denoise=False)
    same(of_score.covariance[0][0], of_velocity.covariance[0][0])
    assert model_of("flow", "ode").drift.fading == 1


@pytest.mark.parametrize(
    ("word", "model"),
    [
        ("S E", "vp"),
        ("L/2 S@1/2 K L/2", "flow"),
        ("S E:data/2 S@1/2 E:data/2", "ve"),
        ("S E:data/2 S@1/2 E:data/2", "psld"),
        ("S E:eps/2 S@1/2 E:eps[1]", "psld"),
    ],
)
def test_a_step_to_where_its_clock_has_no_reading_is_refused_in_both_worlds(word, model):
    process = process_of(model)
    for clock in ("lambda", "sigma", "rho"):
        own, grid = scheme(word, model, "ode", clock=clock), [0.0, process.T / 2, process.T]
        told = rf"the clock {clock} has no reading.* at eps > 0"
        with pytest.raises(ValueError, match=told):
            moments.run(own, process, TARGET, grid, denoise=False)
        with pytest.raises(ValueError, match=told):
            plan(own, process, grid, denoise=False)


@pytest.mark.parametrize("name", POSITION_ONLY)
def test_a_piece_that_holds_a_prediction_down_to_time_0_is_refused_in_both_worlds(name):
    process = process_of(name)
    for held in ("data", "eps", "velocity"):
        own = scheme(f"L/2 S K:{held} L/2", name, "sde")
        grid, told = [process.T / 2, process.T], r"to 0: .*ends? at eps > 0"
        with pytest.raises(ValueError, match=told):
            moments.run(own, process, TARGET, grid, denoise=False)
        with pytest.raises(ValueError, match=told):
            plan(own, process, grid, denoise=False)


@pytest.mark.parametrize("process", [VP(), VE(80.0), Flow(0.9)], ids=lambda p: p.model_name)
@pytest.mark.parametrize("clock", [clock for clock in CLOCKS if clock != "tau"])
def test_the_length_of_a_step_is_that_of_a_short_one_read_off_its_clock(process, clock):
    tau, d = 0.4, 4e-7
    change = process.clock_at(clock, tau + d) - process.clock_at(clock, tau - d)
    assert clocked._pace(process, clock, tau) * abs(change) / (2 * d) == pytest.approx(1, rel=1e-8)
