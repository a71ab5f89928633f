"""k-diffusion and OpenMM, the real packages, against the formulas that they are named after."""

import math
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from gpu_samplers.adapters import subject

pytestmark = pytest.mark.heavy  # `make heavy` installs the packages
V = 0.3
K_DIFFUSION = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("k_diffusion", "torchsde", "torchdiffeq")),
    reason="k-diffusion is not installed: make foreign",
)
OPENMM = pytest.mark.skipif(
    find_spec("openmm") is None, reason="OpenMM is not installed: make foreign"
)


def walked(name, options=None, n=6):
    """Noise levels, data predictions of the calls, normals and result of a run from x = (1, -2)."""
    made: Any = subject(f"k_diffusion:{name}", options)
    grid = made.grid(n)
    calls: list[Any] = []
    normals: list[Any] = []

    def score(x, sigma):
        calls.append((sigma, x * V / (V + sigma**2)))
        return -x / (V + sigma**2)

    def noise():
        normals.append(np.full((1, 2), 0.5 - 0.3 * len(normals)))
        return normals[-1]

    final = made.call(score, np.array([[1.0, -2.0]]), grid, noise, made.process)
    return [float(made.process.T) - t for t in grid], calls, normals, final


@K_DIFFUSION
def test_dpmpp_2m_is_the_algorithm_of_its_paper():
    sigmas, calls, _, final = walked("dpmpp_2m")
    x, before, last = np.array([[1.0, -2.0]]), None, 0.0
    for (a, b), (_, data) in zip(pairwise(sigmas), calls, strict=True):
        h = math.log(a / b)
        held = data if before is None else data + h / (2 * last) * (data - before)
        x, before, last = b / a * x - math.expm1(-h) * held, data, h
    assert final == pytest.approx(x, rel=1e-12)


@K_DIFFUSION
def test_churn_asks_the_network_after_the_noise():
    sigmas, calls, normals, _ = walked("euler", {"s_churn": "2"})
    gamma = min(2 / 6, math.sqrt(2) - 1)
    assert calls[0][0] == pytest.approx(sigmas[0] * (1 + gamma))
    ahead = 1.0 + normals[0][0, 0] * sigmas[0] * math.sqrt((1 + gamma) ** 2 - 1)
    assert calls[0][1][0, 0] == pytest.approx(ahead * V / (V + calls[0][0] ** 2))


@K_DIFFUSION
def test_a_run_to_the_data_ends_with_the_data_prediction_at_the_last_noise_level():
    sigmas, calls, _, final = walked("heun", {"ends": "data", "sigma_min": "0.05"})
    assert sigmas[-1] == 0 and sigmas[-2] == pytest.approx(0.05)
    assert final == pytest.approx(calls[-1][1], rel=1e-12)


@K_DIFFUSION
@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("euler_a", {}, "no sampler 'euler_a'; there are: .*sample_euler_ancestral"),
        ("dpm_adaptive", {}, "takes steps that depend on the values"),
        ("euler", {"eta": "1"}, "no option 'eta'; there are: .*s_churn"),
        ("euler", {"sigma_min": "90"}, "0 < sigma_min < sigma_max"),
        ("euler", {"ends": "x"}, "option ends=x: grid or data"),
    ],
)
def test_bad_input_to_k_diffusion_is_one_message(name, options, says):
    with pytest.raises(ValueError, match=says):
        subject(f"k_diffusion:{name}", options)


def stepped(q, p, force, name="LangevinMiddleIntegrator", **options):
    made = subject(f"openmm:{name}", {"noise": "none", "friction": "1.5", **options})
    asked = []

    def score(x, tau):
        asked.append(x.copy())
        return np.full_like(x, force)

    z = made.call(np.array([[q, p]]), 0.0, 0.3, score, None, made.process)
    return z[0], asked


@OPENMM
def test_langevin_middle_kicks_drifts_turns_and_drifts():
    c, h = math.exp(-1.5 * 0.3), 0.3
    for q, p, force in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.4, -0.7, 1.3)):
        kicked = p + h * force
        expected = [q + h / 2 * (1 + c) * kicked, c * kicked]
        seen, asked = stepped(q, p, force)
        assert seen == pytest.approx(expected, abs=1e-12)
        assert len(asked) == 1 and asked[0] == pytest.approx(q)


@OPENMM
def test_its_own_noise_has_the_covariance_of_the_friction_step():
    made = subject("openmm:LangevinMiddleIntegrator", {"friction": "1.5", "seed": "7"})
    count, h = 40_000, 0.3
    z = made.call(np.zeros((count, 2)), 0.0, h, lambda q, _: 0 * q, None, made.process)
    variance = -math.expm1(-2 * 1.5 * h)
    shape = np.array([[h * h / 4, h / 2], [h / 2, 1]]) * variance
    error = np.abs(np.cov(z.T) - shape) / np.sqrt(np.outer(np.diag(shape), np.diag(shape)))
    assert np.max(error) < 5 * math.sqrt(2 / count)


@OPENMM
@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("VerletIntegrator", {}, "no 'VerletIntegrator' known here; there are: Langevin"),
        ("LangevinMiddleIntegrator", {"noise": "mine"}, "option noise=mine: own or none"),
        ("LangevinMiddleIntegrator", {"friction": "0"}, "friction=0: a positive number"),
        ("LangevinMiddleIntegrator", {"mass": "2"}, "no option 'mass'; there are: friction"),
    ],
)
def test_bad_input_to_openmm_is_one_message(name, options, says):
    with pytest.raises(ValueError, match=says):
        subject(f"openmm:{name}", options)
