"""The samplers' processes, flows and network scores, against SciPy, the exact side and the released
code.
"""

from __future__ import annotations

import json
from math import isclose
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the network score is torch's")

from torch import nn  # noqa: E402

from analytic_models import diffusions, grids, moments, targets  # noqa: E402
from gpu_samplers import engine, plain, processes  # noqa: E402
from gpu_samplers.noise import Noise  # noqa: E402
from gpu_samplers.plan import plan  # noqa: E402
from gpu_samplers.processes import (  # noqa: E402
    PSLD,
    VP,
    Langevin,
    check_times,
    exponential,
    grid,
    lower_factor,
    noise_covariance,
    steps_for,
)
from gpu_samplers.score import NetworkScore  # noqa: E402
from splitting_analysis import CATALOGUE, find  # noqa: E402
from tests.strategies import examples  # noqa: E402

REFERENCE = Path(__file__).parents[2] / "shared" / "reference" / "psld_sde.json"
rates = st.floats(-3, 3)


class Echo(nn.Module):
    """Predicts its first `channels` channels; all of them without a number."""

    def __init__(self, channels=None):
        super().__init__()
        self.channels = channels

    def forward(self, z, t):  # noqa: ARG002 - the interface of a network
        return z[:, : self.channels]


@examples(16)
@given(entries=st.tuples(rates, rates, rates, rates), delta=st.floats(0, 6))
def test_the_exponential_is_scipys(entries, delta):
    matrix = np.array(entries).reshape(2, 2)
    wanted = scipy.linalg.expm(delta * matrix)
    ours = exponential(matrix, np.array([0.0, delta]))
    np.testing.assert_array_equal(ours[0], np.eye(2))
    np.testing.assert_allclose(
        ours[1], wanted, rtol=1e-9, atol=1e-11 * max(1, np.abs(wanted).max())
    )


@examples(16)
@given(
    entries=st.tuples(rates, rates, rates, rates),
    delta=st.floats(1e-3, 2),
    noise=st.tuples(st.floats(0, 2), st.floats(0, 2)),
)
def test_the_noise_covariance_is_van_loans(entries, delta, noise):
    matrix, strength = np.array(entries).reshape(2, 2), np.array(noise)
    block = np.block([[-matrix, np.diag(strength)], [np.zeros((2, 2)), matrix.T]])
    both = scipy.linalg.expm(delta * block)
    wanted = both[2:, 2:].T @ both[:2, 2:]
    half, ours = noise_covariance(matrix, strength, np.array([delta / 2, delta]))
    np.testing.assert_allclose(
        half, noise_covariance(matrix, strength, np.array([delta / 2]))[0], rtol=1e-12
    )
    np.testing.assert_allclose(ours, wanted, rtol=1e-8, atol=1e-10 * max(1, np.abs(wanted).max()))
    factor = lower_factor(ours)
    np.testing.assert_allclose(factor @ factor.T, ours, atol=1e-13 * max(1, np.abs(ours).max()))
    assert factor[0, 1] == 0


@pytest.mark.parametrize("tau", [1e-8, 1e-3, 0.1, 1.0])
@pytest.mark.parametrize("Gamma", [0.0, 0.01, 0.5])
def test_the_kernel_keeps_its_digits_down_to_the_shortest_times(Gamma, tau):
    parameters = {"Gamma": Gamma, "nu": Gamma + 4, "beta_min": 2.0, "beta_max": 9.0}
    ours = processes.kernel(PSLD(**parameters, kappa=0), tau)
    exact = np.array(diffusions.noise(diffusions.PSLD(**parameters), tau), dtype=float)
    np.testing.assert_allclose(ours, exact, rtol=1e-9)
    assert np.linalg.cond(ours) < np.inf


def test_the_kernel_is_the_released_codes():
    if not REFERENCE.exists():
        pytest.skip("psld_sde.json is not here")
    (case,) = json.loads(REFERENCE.read_text())["cases"]
    process = PSLD(
        case["gamma"], case["nu"], case["beta_min"], case["beta_max"], case["kappa"], case["T"]
    )
    score = NetworkScore(Echo(), process, torch.float64, numerical_eps=1e-9)
    for row in case["t"]:
        tau, hybrid = row["t"], row["init"][0]
        assert hybrid["xx_0"] == 0 and isclose(hybrid["mm_0"], process.kappa * process.M)
        xx, xm, mm = hybrid["cov"]
        kernel = processes.kernel(process, tau) + 1e-9 * np.eye(2)
        np.testing.assert_allclose(kernel, [[xx, xm], [xm, mm]], rtol=1e-11, atol=1e-15)
        inverse = np.array(hybrid["inv_coeff"]).reshape(2, 2)
        np.testing.assert_allclose(score.factor(tau), -inverse, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("process", [PSLD(0.2, 3.0, 1.0, 9.0), VP()], ids=["psld", "vp"])
@pytest.mark.parametrize("side", ["lower", "upper"])
def test_the_score_undoes_the_factor_that_the_noise_was_made_with(process, side):
    """Score of N(0, L L^T) at z = L eps is -L^-T eps; the score of a Gaussian is -covariance^-1
    z.
    """
    score = NetworkScore(Echo(), process, torch.float64, factor=side)
    covariance = processes.kernel(process, 0.3)
    made_with = -np.linalg.inv(score.factor(0.3)).T
    assert np.all(np.diag(made_with) > 0)
    assert np.array_equal(made_with, np.tril(made_with) if side == "lower" else np.triu(made_with))
    np.testing.assert_allclose(made_with @ made_with.T, covariance, rtol=1e-12)
    z = np.ones(len(covariance))
    epsilon = torch.from_numpy(np.linalg.inv(made_with) @ z).view(-1, 1, 1)
    np.testing.assert_allclose(
        score(epsilon, 0.3).ravel(), -np.linalg.inv(covariance) @ z, rtol=1e-10
    )


class Net(nn.Module):
    """A network by its interface: images and times in, epsilon out; it keeps what it was given."""

    def __init__(self, channels=6):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.seen = []

    def forward(self, z, t):
        self.seen.append((z, t))
        return torch.sin(self.conv(z)) + t.view(-1, 1, 1, 1).to(z.dtype)


def net():
    torch.manual_seed(0)
    return Net()


@pytest.mark.parametrize("name", ["EM", "SSCS", "ROBA", "NVV", "RK45"])
def test_the_engine_folds_the_factor_into_its_coefficients(name):
    process = PSLD()
    score = NetworkScore(net(), process, torch.float64)
    times, shape = grid("quadratic", 6), (3, 4, 4)
    (batch,) = engine.sample(
        find(name), process, score, times, shape, range(2), noise_dtype=torch.float64
    )
    noise = Noise(0, range(2), shape, torch.float64)
    z = noise(2)
    z[1] *= process.M**0.5
    with torch.no_grad():
        printed = plain.sample(name, process, score, z, times, noise)
    assert (batch.z - printed).abs().max() <= 1e-12 * float(printed.abs().max())
    assert batch.nfe == len(times) * find(name).word.nfe - find(name).word.nfe + 1


@pytest.mark.parametrize(
    ("dtype", "coarse"), [(torch.float32, 1e-5), (torch.bfloat16, 0.2)], ids=str
)
def test_a_network_runs_in_its_own_precision_and_the_state_stays_float64(dtype, coarse):
    ends = []
    for precision in (torch.float64, dtype):
        network = net()
        score = NetworkScore(network, PSLD(), precision)
        (batch,) = engine.sample(
            find("ROBA"), PSLD(), score, grid("uniform", 6), (3, 4, 4), range(2)
        )
        z, t = network.seen[-1]
        assert z.dtype == precision and z.shape == (2, 6, 4, 4)
        assert t.dtype == torch.promote_types(precision, torch.float32) and t.shape == (2,)
        assert batch.z.dtype == torch.float64
        ends.append(batch.z)
    assert 0 < (ends[0] - ends[1]).abs().max() < coarse * ends[0].abs().max()


def test_channels_last_is_a_memory_format_and_nothing_else():
    ends = []
    for channels_last in (False, True):
        network = net()
        score = NetworkScore(network, PSLD(), channels_last=channels_last)
        (batch,) = engine.sample(
            find("ROBA"), PSLD(), score, grid("uniform", 6), (3, 4, 4), range(2)
        )
        z, _ = network.seen[-1]
        assert z.is_contiguous(memory_format=torch.channels_last) == channels_last
        ends.append(batch.z)
    assert (ends[0] - ends[1]).abs().max() < 1e-4 * ends[0].abs().max()


@pytest.mark.heavy
# by torch
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")
def test_a_compiled_network_gives_the_same_samples():
    ends = []
    for compiled in (False, True):
        torch.manual_seed(0)
        network = nn.Conv2d(6, 6, 3, padding=1)
        wrapped = Timeless(network)
        score = NetworkScore(wrapped, PSLD(), compile=compiled)
        (batch,) = engine.sample(
            find("ROBA"), PSLD(), score, grid("uniform", 6), (3, 4, 4), range(2)
        )
        ends.append(batch.z)
    assert (ends[0] - ends[1]).abs().max() < 1e-4 * ends[0].abs().max()


class Timeless(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, z, t):
        return torch.sin(self.inner(z)) + t.view(-1, 1, 1, 1)


def test_a_network_that_predicts_too_little_is_refused():
    score = NetworkScore(Echo(3), PSLD())
    with pytest.raises(ValueError, match=r"network must .* \(1, 6, 4, 4\); .* \(1, 3, 4, 4\)"):
        score(torch.zeros(2, 1, 3, 4, 4, dtype=torch.float64), 0.5)
    with pytest.raises(ValueError, match="no factor 'left'"):
        NetworkScore(Echo(), PSLD(), factor="left")
    with pytest.raises(ValueError, match=r"not torch\.int32"):
        NetworkScore(Echo(), PSLD(), torch.int32)


@pytest.mark.parametrize("name", ["uniform", "quadratic"])
def test_the_grids_are_the_exact_sides(name):
    for steps in (1, 7, 50):
        wanted = grids.grid(name, steps, 2.0, 0.01)
        np.testing.assert_allclose(grid(name, steps, 2.0, 0.01), wanted, rtol=1e-14)


@pytest.mark.parametrize(("denoise", "nfe"), [(True, 21), (False, 8)])
def test_a_budget_buys_the_steps_of_the_exact_side_and_no_run_of_either_spends_more(denoise, nfe):
    """Evaluations counted in real runs: the budget holds, and one step more would break it."""
    for entry in CATALOGUE:
        # else long DDPM steps do not exist
        rate = {"beta_max": 4.0} if entry.model_name == "vp" else {}
        exact = diffusions.diffusion_of(entry.model_name, **rate)
        process = {"psld": PSLD, "vp": VP, "langevin": Langevin}[entry.model_name](**rate)
        steps = steps_for(nfe, entry, denoise)
        spent = []
        for n in (steps, steps + 1):
            times = grid("uniform", n, process.T, 1e-3)
            spent.append(plan(entry, process, times, denoise=denoise).nfe)
            law = moments.run(entry, exact, targets.Gaussian([1.0]), times, denoise=denoise)
            assert law.nfe == spent[-1]
        assert spent[0] <= nfe < spent[1], entry.name


@pytest.mark.parametrize("name", ["uniform", "quadratic"])
def test_a_grid_ends_exactly_where_it_should(name):
    for T, steps in ((9.9, 13), (3.3, 43), (1.7, 41), (0.7, 187), (1.0, 49)):
        for eps in (0.0, 1e-3):
            for times in (grid(name, steps, T, eps), grids.grid(name, steps, T, eps)):
                assert (times[0], times[-1]) == (0, T - eps)
                check_times(times, T)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: grid("cubic", 3), "no grid 'cubic'; there are: uniform, quadratic"),
        (lambda: grid("uniform", 0), "0 steps to T - eps"),
        (lambda: grid("uniform", 3, 1.0, 1.0), "0 <= eps < T"),
        (lambda: grid("quadratic", 3, 1.0, 1e-300), "eps = 1e-300 vanishes beside T = 1.0"),
        (lambda: check_times([0.0, float("nan")], 1.0), "two finite times"),
        (
            lambda: steps_for(2, find("NOBAB")),
            "2 evaluations buy no step of NOBAB: one step takes 3",
        ),
    ],
)
def test_bad_values_are_refused(action, message):
    with pytest.raises(ValueError, match=message):
        action()
