"""lambda_s: the exact error curve, its minimum, and the bias that survives h -> 0, each by two
routes.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from analytic_models.diffusions import PSLD
from analytic_models.distances import score_card
from analytic_models.grids import grid
from analytic_models.linear_flow import closed_flow
from analytic_models.moments import run, starting_law
from analytic_models.position_noise import (
    best_lambda_s,
    bias,
    limit_excess_variance,
    limit_law,
    x_error,
    x_error_curve,
)
from analytic_models.problem import Problem
from analytic_models.targets import Gaussian, digits_spectrum
from splitting_analysis.catalogue import entries, find
from splitting_analysis.observed import observed_order
from splitting_analysis.schemes import LambdaS

DIGITS = Problem(PSLD(), Gaussian(digits_spectrum()))
FEW = replace(DIGITS, target=Gaussian(digits_spectrum()[::9]))
MODES = Problem(
    PSLD(Gamma=0.3, nu=4.3, beta_min=4.0, beta_max=8.0),
    Gaussian(np.array([2.0, 0.3, 0.0])),
    eps=0.01,
)
WITH_O = [s for s in entries("psld", "sde") if "O" in s.word.letters]
o_words = pytest.mark.parametrize("entry", WITH_O, ids=lambda s: s.name)
rules = pytest.mark.parametrize("rule", ["exponent", "variance"])


def x_variance(entry, setting, steps, lambda_s):
    """Position variances after `steps` steps to T - eps, no denoising."""
    times = grid(setting.grid, steps, setting.process.T, setting.eps)
    moments = run(entry, setting.process, setting.target, times, setting.start, False, lambda_s)
    return np.asarray(moments.covariance[0][0])


@pytest.mark.share(7)
@o_words
@rules
def test_the_interpolated_curve_is_the_error_of_each_run(entry, rule):
    inexact = replace(entry, lambda_s=LambdaS(rule))
    for setting in (replace(DIGITS, grid="quadratic", start="pT", denoise=False), MODES):
        values = np.array([0.0, 0.7, 1.0, 5.3, 32.0])
        curve = x_error_curve(inexact, setting, 50, 0.0, 32.0)(values)
        assert curve == pytest.approx([x_error(inexact, setting, 50, x) for x in values], rel=1e-9)
        assert np.ptp(curve) > 1e-3 * curve.min(), "lambda_s matters"


@pytest.mark.share(4)
@o_words
def test_the_best_lambda_s_beats_every_other_in_the_interval(entry):
    for nfe in (20, 100) if entry.name == "ROBA" else (20,):
        best = best_lambda_s(entry, DIGITS, nfe)
        others = x_error_curve(entry, DIGITS, nfe)(np.linspace(0, 32, 1000))
        assert best.w2_x <= others.min() * (1 + 1e-9)
        assert best.w2_x <= best.w2_x_exact_noise
        assert best.boundary == ("low" if best.lambda_s == 0 else None)
        if best.boundary is None:
            near = [x_error(entry, DIGITS, nfe, best.lambda_s * (1 + d)) for d in (-1e-3, 0, 1e-3)]
            assert near[1] < near[0] and near[1] < near[2]
        else:
            assert x_error(entry, DIGITS, nfe, 1e-3) > best.w2_x


def test_an_optimum_outside_the_interval_is_said_to_be_at_its_boundary():
    roba, quadratic = find("ROBA"), replace(DIGITS, grid="quadratic")
    inside = best_lambda_s(roba, quadratic, 100)
    assert inside.boundary is None and 1 < inside.lambda_s < 10
    for low, high, side in ((0.0, 2.0, "high"), (10.0, 20.0, "low")):
        best = best_lambda_s(roba, quadratic, 100, low, high)
        assert best.boundary == side and best.lambda_s == (high if side == "high" else low)
        assert best.w2_x > inside.w2_x


@pytest.mark.share(4)
@o_words
def test_one_mode_can_be_made_exact_and_the_best_lambda_s_finds_where(entry):
    """With one mode the best value is where its variance is right: the distance falls to zero."""
    one = replace(MODES, target=Gaussian(np.array([0.3])), process=PSLD(Gamma=0.3, nu=4.3))
    best = best_lambda_s(entry, one, 100)
    assert best.boundary is None
    assert best.w2_x < 1e-6 < 1e-3 < best.w2_x_exact_noise


@pytest.mark.share(3)
@o_words
def test_with_a_fixed_clock_step_the_variance_is_affine_in_the_injected_variance(entry):
    """By either rule the same noise enters, so both give one line in the variance of one O step."""
    setting = replace(MODES, process=PSLD(Gamma=0.3, nu=4.3))
    steps = 20
    delta = 8 * (1 - setting.eps) / steps
    full = 1 - np.exp(-0.3 * delta)
    anchor = [x_variance(entry, setting, steps, x) for x in (0.0, 1.0)]
    by_rule = {LambdaS("exponent"): 1 - np.exp(-2.5 * 0.3 * delta), LambdaS("variance"): 2.5 * full}
    for policy, injected in by_rule.items():
        found = x_variance(replace(entry, lambda_s=policy), setting, steps, 2.5)
        line = anchor[0] + (anchor[1] - anchor[0]) * injected / full
        assert np.allclose(found, line, rtol=1e-9, atol=1e-15)
        assert np.abs(found - anchor[1]).max() > 1e-3


@pytest.mark.heavy
@pytest.mark.parametrize(
    "setting", [FEW, MODES, replace(MODES, start="pT")], ids=["digits", "modes", "pT"]
)
def test_the_limit_of_small_steps_has_the_same_variance_by_integration_and_by_quadrature(setting):
    exact = closed_flow(
        "sde", setting.process, setting.target, 0.0, setting.process.T - setting.eps
    )
    _, law = exact.push(*starting_law(setting.process, setting.target, setting.start))
    for value in (1, 2.0):
        excess = limit_law(setting, value)[1][0][0] - law[0][0]
        assert np.allclose(excess, limit_excess_variance(setting, value), rtol=1e-7, atol=1e-11)
        assert np.all(excess > 0) if value > 1 else np.all(np.abs(excess) < 1e-11)


@pytest.mark.share(4)
@pytest.mark.parametrize(
    ("name", "rule"), [("NOBA", "exponent"), ("RBAO", "variance"), ("ROBAB", "exponent")]
)
def test_small_steps_tend_to_that_limit_at_first_order(name, rule):
    inexact = replace(find(name), lambda_s=LambdaS(rule, Fraction(5, 2)))
    limit = limit_law(MODES, 2.5)[1][0][0]
    steps = [2**k for k in range(7, 11)]
    errors = np.array([x_variance(inexact, MODES, n, None) - limit for n in steps])
    assert observed_order(steps, list(errors[:, 1])).confirms(1, within=0.05)
    assert np.abs(errors[-1]).max() < 0.02 * np.abs(limit_excess_variance(MODES, 2.5)).max()


@pytest.mark.heavy
def test_the_bias_vanishes_at_one_and_grows_on_both_sides():
    sizes = [bias(MODES, x) for x in (0.0, 0.5, 1.0, 1.5, 4.0)]
    assert sizes[2] < 1e-9
    assert sizes[0] > sizes[1] > 1e-3 < sizes[3] < sizes[4]
    assert bias(MODES, lambda t: 1 + t) > sizes[3]


def test_without_position_noise_lambda_s_does_nothing():
    cld = replace(MODES, process=PSLD(Gamma=0.0, nu=4.0))
    curve = x_error_curve(find("ROBA"), cld, 50)(np.linspace(0, 32, 9))
    assert np.ptp(curve) < 1e-12 * curve[0]
    assert bias(cld, 3.0) < 1e-9


@pytest.mark.share(4)
@pytest.mark.parametrize(("denoise", "steps"), [(True, 49), (False, 50)])
@pytest.mark.parametrize("start", ["prior", "pT"])
@pytest.mark.parametrize("name", ["uniform", "quadratic"])
def test_the_error_at_one_is_the_one_on_the_score_card(denoise, steps, start, name):
    roba, setting = (
        find("ROBA"),
        replace(DIGITS, denoise=denoise, start=start, grid=name, eps=0.002),
    )
    times = grid(name, steps, 1.0, 0.002)
    moments = run(roba, setting.process, setting.target, times, start, denoise)
    assert moments.nfe == 50
    card = score_card(moments, setting.process, setting.target)
    assert x_error(roba, setting, 50, 1.0) == pytest.approx(card["w2_x"], rel=1e-12)
    best = best_lambda_s(roba, setting, 50)
    assert (best.nfe, best.steps, best.w2_x_exact_noise) == (
        50,
        steps,
        x_error(roba, setting, 50, 1.0),
    )


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="no letter O"):
        best_lambda_s(find("EM"), DIGITS, 50)
    with pytest.raises(ValueError, match="0 <= low < high"):
        best_lambda_s(find("ROBA"), DIGITS, 50, 2.0, 1.0)
    with pytest.raises(ValueError, match="outside"):
        x_error_curve(find("ROBA"), DIGITS, 50, 0.0, 4.0)([4.5])
    with pytest.raises(ValueError, match="buy no step"):
        best_lambda_s(find("NOBAB"), DIGITS, 3)
