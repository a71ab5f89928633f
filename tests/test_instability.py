"""Which runs are called unstable: those that exploded by steps beyond stability, and no others."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analytic_models import instability as instability_module
from analytic_models.diffusions import PSLD, VP, Langevin, diffusion_of
from analytic_models.grids import grid
from analytic_models.instability import _exploded, instability
from analytic_models.moments import Moments, run
from analytic_models.problem import problem_for
from analytic_models.targets import Gaussian, marginal
from splitting_analysis.catalogue import CATALOGUE, find
from splitting_analysis.processes import process_of
from splitting_analysis.schemes import scheme
from tests.strategies import examples

TARGET = Gaussian([0.0, 0.05, 2.0])


def cause_of(entry, diffusion, target, times, denoise=True):
    law = run(entry, diffusion, target, times, denoise=denoise)
    return instability(entry, diffusion, target, times, law, denoise), law


@pytest.mark.share(3)
@pytest.mark.parametrize("name", ["SE", "VV", "BAOAB", "OBABO", "EM"])
@pytest.mark.parametrize("variance", [0.04, 1.0])
def test_a_langevin_run_is_unstable_above_its_limit_and_not_below(name, variance):
    """The limit is known: 2 / omega for the splittings, gamma / omega^2 for Euler-Maruyama at gamma
    1.
    """
    entry, target = find(name, "langevin"), Gaussian([variance])
    limit = variance if name == "EM" else 2 * math.sqrt(variance)
    steps = 1000 if name == "EM" else 100
    causes = []
    for factor in (0.9, 1.3):
        process = Langevin(1.0, steps * factor * limit)
        causes.append(cause_of(entry, process, target, grid("uniform", steps, process.T, 0.0))[0])
    below, above = causes
    assert below is None and above is not None
    assert (above.mode, above.variance) == (0, variance)
    assert (above.limit, above.step) == (pytest.approx(limit), pytest.approx(1.3 * limit))


@pytest.mark.share(4)
@pytest.mark.parametrize("entry", [s for s in CATALOGUE if s.name != "DDPM"], ids=str)
def test_a_step_named_unstable_is_beyond_its_limit_and_many_short_ones_never_are(entry):
    diffusion = diffusion_of(entry.model_name)
    target = Gaussian([0.02, 0.9]) if entry.model_name == "langevin" else TARGET
    eps = 0.0 if entry.model_name == "langevin" else 1e-3
    for steps in (2, 700):
        times = grid("quadratic" if eps else "uniform", steps, diffusion.T, eps)
        cause, law = cause_of(entry, diffusion, target, times)
        if cause is not None:
            assert cause.limit < cause.step and target.variances[cause.mode] == cause.variance
            spread = np.sqrt(max(law.covariance[0][0].max(), law.covariance[-1][-1].max()))
            assert spread > 4 and steps == 2
        elif steps == 2 and entry.model_name == "langevin":
            raise AssertionError("steps of 5 are far beyond the limits of both wells")


def test_an_inaccurate_run_is_not_unstable():
    times = grid("uniform", 20)
    cause, law = cause_of(find("EM"), PSLD(), TARGET, times)
    assert cause is None and law.covariance[0][0][1] > 1.5 * 0.05


def test_an_explosion_of_noise_is_not_one_of_steps():
    """lambda_s = 1e6 makes a law a hundred times too wide, by steps that are all stable."""
    times = grid("quadratic", 500)
    target = Gaussian([0.5])
    law = run(find("ROBA"), PSLD(), target, times, lambda_s=1e6)
    wide = Moments(law.mean, ((1e6 + law.covariance[0][0], 0), (0, law.covariance[1][1])), 1, 500)
    assert instability(find("ROBA"), PSLD(), target, times, wide, denoise=True) is None


def test_a_denoising_step_beyond_the_limit_is_found():
    """Runge-Kutta up to eps = 0.4 is exact to many digits; one Euler step from there is not
    stable.
    """
    diffusion, target = VP(100.0, 100.0), Gaussian([0.0])
    times = grid("uniform", 200, 1.0, 0.4)
    fine, _ = cause_of(find("RK4", "vp"), diffusion, target, times, denoise=False)
    cause, _ = cause_of(find("EM", "vp"), diffusion, target, times)
    assert fine is None and cause is not None
    assert cause.step == pytest.approx(0.4) and cause.components == ("x",)


def test_what_overflowed_is_unstable():
    times = grid("uniform", 400, 1000.0, 0.0)
    cause, law = cause_of(find("EM", "langevin"), Langevin(100.0, 1000.0), Gaussian([1.0]), times)
    assert not np.isfinite(law.covariance[0][0]).all()
    assert cause is not None and cause.limit < cause.step == 2.5 and cause.components == ("q", "p")


EXPANDING = [
    ("NVV", "psld", 3, (30.0,), {"beta_min": 0.1, "beta_max": 20.0}),
    ("RSE", "psld", 3, (6.0,), {}),
    ("Euler", "psld", 3, (30.0,), {"beta_min": 0.1, "beta_max": 20.0}),
    ("RK45", "psld", 3, (30.0,), {"beta_min": 0.1, "beta_max": 20.0}),
]
"""Runs that explode in a mode that rightly grows: slowly in one direction, while the other is
stiff.
"""


@pytest.mark.parametrize(("name", "model", "steps", "variances", "parameters"), EXPANDING)
def test_a_mode_that_rightly_grows_may_be_unstable_too_and_has_no_limit(
    name, model, steps, variances, parameters
):
    process, target = process_of(model, **parameters), Gaussian(variances)
    times = grid("uniform", steps)
    cause, law = cause_of(find(name, model, "ode"), process, target, times)
    assert law.covariance[0][0][0] > 100 * max(variances)
    assert cause is not None and cause.limit is None
    assert cause.factor > cause.exact**2 >= 1
    fine, _ = cause_of(find(name, model, "ode"), process, target, grid("uniform", 40 * steps))
    assert fine is None


def test_a_mode_that_stands_still_may_be_blown_up_and_its_limit_is_none_rather_than_0():
    process, target = VP(0.1, 30.0), Gaussian([1.0])
    cause, _ = cause_of(find("Strang", "vp"), process, target, grid("uniform", 3))
    assert cause is not None and cause.limit is None
    assert cause.factor > 10 and cause.exact == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    ("second", "power", "unstable"), [(Fraction(5, 2), 1.5, False), (12, 3, True)]
)
def test_growth_counts_as_unstable_from_the_square_of_the_right_one_on(second, power, unstable):
    """R(z) = 1 + z + second z^2 at z = 1/2, in every step: e^(z power), where e^z is right."""
    word = scheme(f"S E[1] S@1 E[{1 - second},{second}]", "vp", "ode")
    process, target, times = VP(10.0, 10.0), Gaussian([1e8]), grid("uniform", 10, 1.0, 0.0)
    law = run(word, process, target, times, "pT", False)
    assert math.sqrt(law.covariance[0][0][0]) > 10 * 1e4  # exploded both times
    cause = instability(word, process, target, times, law, False)
    assert (cause is not None) == unstable
    growth = math.log(1.5 + second / 4)
    assert growth == pytest.approx(power / 2, rel=0.01)
    if cause is not None:
        assert cause.limit is None
        right = math.log(cause.exact)
        assert (right, math.log(cause.factor)) == pytest.approx((1 / 2, growth), rel=0.01)


def largest(law, process, target, times):
    """How many times as wide as it ever should be the law is, in its widest component and mode."""
    ratios = []
    for tau in [0.0, *(process.T - t for t in times)]:
        mean, exact = marginal(process, target, tau)
        with np.errstate(all="ignore"):
            ratios.append(
                [
                    (law.mean[i] ** 2 + law.covariance[i][i])
                    / np.maximum(mean[i] ** 2 + exact[i][i], still)
                    for i, still in enumerate(process.stationary)
                ]
            )
    return np.sqrt(np.nan_to_num(np.array(ratios), nan=np.inf).min(axis=0).max())


@examples(24)
@example(find("NVV"), 3, [30.0], 0.1, 20.0, "uniform", True)
@given(
    st.sampled_from([s for s in CATALOGUE if s.dynamics == "ode" and s.model_name != "langevin"]),
    st.integers(2, 30),
    st.lists(st.floats(-4, 4).map(lambda power: 10.0**power), min_size=1, max_size=4),
    st.floats(0.05, 20),
    st.floats(0, 30),
    st.sampled_from(["uniform", "quadratic"]),
    st.booleans(),
)
def test_an_ode_run_is_unstable_where_its_law_is_orders_of_magnitude_too_wide_and_nowhere_else(
    scheme, steps, variances, beta, more, kind, denoise
):
    process = process_of(scheme.model_name, beta_min=beta, beta_max=beta + more)
    target, times = Gaussian(variances), grid(kind, steps)
    with np.errstate(all="ignore"):
        cause, law = cause_of(scheme, process, target, times, denoise)
    ratio = largest(law, process, target, times)
    assert cause is not None if ratio > 100 else cause is None or ratio > 9


def test_a_mean_beyond_every_scale_has_exploded_as_a_spread_has():
    process, target = PSLD(), Gaussian(np.array([1.0, 1.0]))
    one, none = np.ones(2), np.zeros(2)
    mean, spread = (np.array([1e3, 0.0]), none), ((one, none), (none, np.array([0.1, 1e4])))
    found = _exploded(process, target, [0.0, 0.5, 1.0], Moments(mean, spread, 1, 1))
    assert found.tolist() == [[True, False], [False, True]]


def test_a_limit_that_is_not_found_below_the_step_is_the_step(monkeypatch):
    given = find("EM", "langevin"), Langevin(), Gaussian([0.04]), [k * 0.1 for k in range(11)]
    assert 0 < cause_of(*given)[0].limit < 0.1
    place = "analytic_models.instability.largest_stable_step"
    for limit, told in ((math.inf, 0.1), (math.nan, None)):
        monkeypatch.setattr(place, lambda *_, limit=limit: np.array([limit]))
        assert cause_of(*given)[0].limit == pytest.approx(told)


def test_how_wide_a_law_should_be_is_asked_at_so_many_times_however_many_steps_there_are(
    monkeypatch,
):
    asked = []

    def counted(diffusion, target, tau):
        asked.append(np.size(tau))
        return marginal(diffusion, target, tau)

    monkeypatch.setattr(instability_module, "marginal", counted)
    problem = problem_for("psld", [1.0])
    assert problem.errors(find("EM", "psld"), 3000)["unstable"] is None
    assert asked == [instability_module.MOST_TIMES]


def test_places_of_a_run_are_spread_from_its_first_to_its_last():
    assert instability_module._spread(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert instability_module._spread(1000, 3).tolist() == [0, 499, 999]
