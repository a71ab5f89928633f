"""Which runs are called unstable: those that exploded by steps beyond stability, and no others."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analytic_models.diffusions import PSLD, VP, Langevin, diffusion_of
from analytic_models.grids import grid
from analytic_models.instability import instability
from analytic_models.moments import Moments, run
from analytic_models.targets import Gaussian
from splitting_analysis.catalogue import CATALOGUE, find

TARGET = Gaussian([0.0, 0.05, 2.0])


def cause_of(entry, diffusion, target, times, denoise=True):
    law = run(entry, diffusion, target, times, denoise=denoise)
    return instability(entry, diffusion, target, times, law, denoise), law


@pytest.mark.parametrize("name", ["SE", "VV", "BAOAB", "OBABO", "EM"])
@pytest.mark.parametrize("variance", [0.04, 1.0])
def test_a_langevin_run_is_unstable_above_its_limit_and_not_below(name, variance):
    """The limit is known: 2 / omega for the splittings, gamma / omega^2 for Euler-Maruyama at gamma 1."""
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
    """Runge-Kutta up to eps = 0.4 is exact to many digits; one Euler step from there is not stable."""
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
