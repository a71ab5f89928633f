"""diffusers, the real package: its schedulers against the papers' formulas, its defects found."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="diffusers is not installed: pip install '.[adapters]'")

from analytic_models.probing.reference import subject_for
from analytic_models.probing.segments import same
from analytic_models.probing.signature import probe
from gpu_samplers.adapters import subject
from gpu_samplers.adapters.names import OTHERS, SAMPLERS
from splitting_analysis.catalogue import find

V = 0.3


def run(spec, options, n=5, z=None):
    """Taus and data predictions of the calls, and the result, on the Gaussian N(0, V)."""
    made: Any = subject(f"diffusers:{spec}", options)
    process, grid = made.process, made.grid(n)
    calls: list[Any] = []
    draws: list[Any] = []
    z = np.array([[1.0, -0.4]]) if z is None else z

    def score(y, tau):
        alpha, sigma = process.alpha(tau), process.sigma(tau)
        s = -y / (alpha**2 * V + sigma**2)
        calls.append((tau, (y + sigma**2 * s) / alpha))
        return s

    def noise():
        draws.append(np.full(z.shape, 0.3 + 0.2 * len(draws)))
        return draws[-1]

    final = made.call(score, z, grid, noise, process)
    taus = [float(process.T) - t for t in grid]
    return process, taus, calls, draws, final


def ddim(process, a, b, x, data):
    """DDIM's step from forward time a to b with a data prediction."""
    ratio = process.sigma(b) / process.sigma(a)
    return ratio * x + (process.alpha(b) - process.alpha(a) * ratio) * data


@pytest.mark.parametrize("arithmetic", ["single", "double"])
@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("name", ["DDIMScheduler", "EulerDiscreteScheduler"])
def test_ddim_and_eulers_step_in_sigma_are_the_formula_of_ddim(name, prediction, arithmetic):
    options = {"prediction_type": prediction, "arithmetic": arithmetic}
    process, taus, calls, _, final = run(name, options)
    x = np.array([[1.0, -0.4]])
    for (a, b), (tau, data) in zip(pairwise(taus), calls, strict=True):
        assert tau == pytest.approx(a, abs=1e-12)
        x = ddim(process, a, b, x, data)
    assert final == pytest.approx(x, rel=1e-5 if arithmetic == "single" else 1e-10)


def test_heun_in_sigma_is_the_algorithm_of_edm():
    process, taus, calls, _, final = run("HeunDiscreteScheduler", {"arithmetic": "double"})
    x = np.array([[1.0, -0.4]])
    answers = iter(calls)
    for s, t in pairwise(taus):
        first = (x - next(answers)[1]) / s
        ahead = x + (t - s) * first
        x = x + (t - s) / 2 * (first + (ahead - next(answers)[1]) / t)
    assert process.model_name == "ve" and final == pytest.approx(x, rel=1e-10)


def test_dpm_solver_multistep_is_the_algorithm_of_its_paper():
    options = {"arithmetic": "double", "timestep_spacing": "trailing"}
    process, taus, calls, _, final = run("DPMSolverMultistepScheduler", options)
    x, before, last = np.array([[1.0, -0.4]]), None, 0.0
    for (a, b), (_, data) in zip(pairwise(taus), calls, strict=True):
        h = process.log_snr(b) - process.log_snr(a)
        held = data if before is None else data + h / (2 * last) * (data - before)
        ratio = process.sigma(b) / process.sigma(a)
        x = ratio * x - process.alpha(b) * math.expm1(-h) * held
        before, last = data, h
    assert final == pytest.approx(x, rel=1e-10)


def test_ancestral_noise_is_the_protocols_and_has_the_variance_of_the_posterior():
    process, taus, calls, draws, final = run("DDPMScheduler", {"arithmetic": "double"})
    x = np.array([[1.0, -0.4]])
    for (a, b), (_, data), normal in zip(pairwise(taus), calls, draws, strict=True):
        bar, after = process.alpha(a) ** 2, process.alpha(b) ** 2
        keep, share = bar / after, 1 - bar / after
        mean = math.sqrt(after) * share / (1 - bar) * data
        mean = mean + math.sqrt(keep) * (1 - after) / (1 - bar) * x
        x = mean + math.sqrt((1 - after) / (1 - bar) * share) * normal
    assert final == pytest.approx(x, rel=1e-10)


@pytest.mark.share(5)
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_scheduler_that_samples_runs_and_comes_near_the_target(name):
    options = {"tail_steps": "0"} if name == "RFD4ProteinaScheduler" else {}
    z = np.array([[0.0], [1.0]])
    _, taus, calls, _, final = run(name, options, 24, z)
    assert len(calls) >= len(taus) - 1
    assert all(b < a for a, b in pairwise(taus))
    assert np.all(np.isfinite(final))


@pytest.mark.parametrize("name", OTHERS)
def test_a_scheduler_that_samples_no_score_is_refused_with_the_reason(name):
    with pytest.raises(ValueError, match=f"diffusers:{name} .*nothing here to validate"):
        subject(f"diffusers:{name}")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"solver_ordre": "2"}, "no option 'solver_ordre'; there are: .*solver_order"),
        ({"solver_order": "two"}, "option solver_order=two: a number"),
        ({"beta_schedule": "cubic"}, "does not run: NotImplementedError: cubic"),
        ({"prediction_type": "velocity"}, "does not run: ValueError: .*prediction_type"),
        ({"ends": "noise"}, "option ends=noise: grid or data"),
        ({"use_karras_sigmas": "true", "use_beta_sigmas": "true"}, "does not run: .*Only one of"),
    ],
)
def test_bad_options_are_one_message_that_says_what_would_be_right(options, says):
    with pytest.raises(ValueError, match=says):
        subject("diffusers:DPMSolverMultistepScheduler", options)


def test_a_name_that_is_no_scheduler_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"no scheduler 'DDIM' that is known.*DDIMScheduler"):
        subject("diffusers:DDIM")


def test_a_grid_that_is_not_the_schedulers_own_is_refused():
    made = subject("diffusers:DDIMScheduler")
    with pytest.raises(ValueError, match="brings its own grid: none of 3 steps"):
        made.call(lambda z, _: -z, np.ones((1, 1)), [0.0, 0.1, 0.2, 0.3], None, made.process)


@pytest.mark.parametrize("name", ["LMSDiscreteScheduler", "PNDMScheduler", "HeunDiscreteScheduler"])
def test_the_second_run_of_one_object_is_as_the_first(name):
    once = run(name, {})[-1]
    assert np.array_equal(run(name, {"again": "true"})[-1], once)


def test_a_run_to_the_data_ends_with_the_data_prediction():
    process, taus, calls, _, final = run("EulerDiscreteScheduler", {"ends": "data"})
    assert taus[-1] == 0 and process.alpha(0.0) == 1
    assert final == pytest.approx(calls[-1][1], rel=1e-5)


def test_truncated_timesteps_are_seen_as_times_beside_those_of_the_noise_levels():
    options = {"use_exponential_sigmas": "true", "arithmetic": "double"}
    _, taus, calls, _, _ = run("DPMSolverMultistepScheduler", options, 9)
    gaps = [1000 * (own - tau) for own, (tau, _) in zip(taus, calls, strict=False)]
    assert all(-1e-3 < gap < 1 for gap in gaps)
    assert max(gaps) > 0.3


@pytest.mark.parametrize(
    ("name", "options", "word", "model"),
    [
        ("UniPCMultistepScheduler", {}, "UniPC2", "vp"),
        ("DPMSolverMultistepScheduler", {"timestep_spacing": "leading"}, "DPM++2M", "vp"),
        ("KDPM2DiscreteScheduler", {"timestep_spacing": "trailing"}, "DPM-Solver-2", "ve"),
        ("EDMDPMSolverMultistepScheduler", {}, "DPM++2M", "ve"),
        ("EulerAncestralDiscreteScheduler", {}, "Euler-a", "ve"),
        ("FlowMatchHeunDiscreteScheduler", {"arithmetic": "single"}, "Heun", "flow"),
        ("CogVideoXDPMScheduler", {}, "DPM++2M-SDE", "vp"),
    ],
)
def test_coefficient_by_coefficient_a_scheduler_is_its_word(name, options, word, model):
    made: Any = subject(f"diffusers:{name}", {"arithmetic": "double", **options})
    times = made.grid(5)
    wanted = probe(subject_for(find(word, model)), made.process, times)
    assert same(probe(made, made.process, times), wanted)
