"""Exact scores in torch: derivatives in state and time, precision, Langevin, what is refused.

That the values are right is held in test_mixtures, against NumPy.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analytic_models import diffusions
from gpu_samplers import processes
from gpu_samplers.data import digits
from gpu_samplers.exact import MixtureScore, covariance, data_set_score, transition
from gpu_samplers.processes import PSLD, VP, Langevin

# torch's own import of its forward-mode rules
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
)

PROCESSES = [PSLD(), PSLD(0.3, 2.1, 2.0, 11.0, 0.5, 1.2), VP()]
MEANS = torch.linspace(-1, 1, 12, dtype=torch.float64).sin().reshape(3, 1, 2, 2)
VARIANCES = torch.tensor([0.1, 0.02, 0.3], dtype=torch.float64)


def batch(process, seed=0):
    generator = torch.Generator().manual_seed(seed)
    n = 1 if isinstance(process, Langevin) else len(process.stationary)
    return 0.5 * torch.randn(n, 4, 1, 2, 2, generator=generator, dtype=torch.float64)


@pytest.mark.share(4)
@pytest.mark.parametrize("process", PROCESSES, ids=repr)
@pytest.mark.parametrize("variances", [0.0, VARIANCES], ids=["data set", "mixture"])
def test_it_can_be_differentiated_in_time_and_along_the_state(process, variances):
    score, z = (
        MixtureScore(process, MEANS, variances, torch.tensor([1.0, 2.0, 3.0])),
        batch(process),
    )
    tau, step = torch.tensor(0.3, dtype=torch.float64), 1e-6
    direction = batch(process, seed=1)
    change = torch.func.jvp(score, (z, tau), (direction, torch.ones_like(tau)))[1]
    ahead, behind = (
        score(z + side * step * direction, float(tau) + side * step) for side in (1, -1)
    )
    difference = (ahead - behind) / (2 * step)
    assert torch.allclose(change, difference, rtol=1e-6, atol=1e-7 * float(change.abs().max()))
    assert float(change.abs().max()) > 0.1
    # and again: the closed forms of higher order nest derivatives
    once = lambda z, tau: torch.func.jvp(score, (z, tau), (direction, torch.ones_like(tau)))[1]  # noqa: E731
    twice = torch.func.jvp(once, (z, tau), (direction, torch.ones_like(tau)))[1]
    ahead, behind = (once(z + side * step * direction, tau + side * step) for side in (1, -1))
    difference = (ahead - behind) / (2 * step)
    assert torch.allclose(twice, difference, rtol=1e-6, atol=1e-7 * float(twice.abs().max()))
    assert float(twice.abs().max()) > 0.1


@pytest.mark.parametrize("process", PROCESSES, ids=repr)
@pytest.mark.parametrize("tau", [1e-5, 1e-3, 0.3, 1.0])
def test_transition_and_covariance_are_those_of_the_kernel(process, tau):
    times = torch.tensor([tau, 0.5], dtype=torch.float64)
    flow = np.array(diffusions.transition(process, tau))
    np.testing.assert_allclose(transition(process, times)[0], flow, rtol=1e-13, atol=1e-16)
    ours = covariance(process, times, torch.zeros(1, dtype=torch.float64))[0, 0]
    np.testing.assert_allclose(ours, processes.kernel(process, tau), rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("process", [*PROCESSES, Langevin()], ids=repr)
def test_the_score_comes_in_the_precision_and_shape_of_the_state(process):
    score, z = MixtureScore(process, MEANS, VARIANCES), batch(process)
    exact, single = score(z, 0.2), score(z.float(), 0.2)
    assert (exact.dtype, single.dtype, single.shape) == (torch.float64, torch.float32, z.shape)
    gap = float((exact - single).abs().max() / exact.abs().max())
    assert 1e-9 < gap < 1e-5


def test_langevins_target_is_the_mixture_at_every_time():
    score, z = MixtureScore(Langevin(), MEANS, VARIANCES), batch(Langevin())
    assert torch.equal(score(z, 0.0), score(z, 5.0))

    def log_density(x):
        laws = [
            torch.distributions.Normal(mu, v.sqrt()) for mu, v in zip(MEANS, VARIANCES, strict=True)
        ]
        return torch.stack([law.log_prob(x).flatten(1).sum(1) for law in laws]).logsumexp(0).sum()

    gradient = torch.func.grad(log_density)(z[0])
    assert torch.allclose(score(z, 0.0)[0], gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((VP(), MEANS, -1.0), "finite variances >= 0"),
        ((VP(), MEANS, 0.0, torch.tensor([1.0, 0.0, 1.0])), "finite weights > 0"),
        ((VP(), MEANS * torch.inf), "finite means"),
        ((VP(), MEANS, torch.ones(2)), r"3 means take 3 variances or one number, not shape \(2,\)"),
        ((VP(), MEANS, 0.0, torch.ones(3, 1)), "3 means take 3 weights"),
        ((VP(), MEANS[0, 0, 0]), "means are"),
        ((VP(), MEANS[:0]), "means are"),
        ((Langevin(), MEANS), "variances must be > 0"),
    ],
)
def test_what_is_no_mixture_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MixtureScore(*arguments)


def test_states_and_times_that_do_not_fit_are_refused():
    score = MixtureScore(PSLD(), MEANS)
    with pytest.raises(ValueError, match=r"is \(2, batch, 1, 2, 2\), not \(1, 4, 1, 2, 2\)"):
        score(batch(VP()), 0.5)
    with pytest.raises(ValueError, match="forward time 0: one of variance 0"):
        score(batch(PSLD()), 0.0)


@pytest.mark.parametrize("tau", [0.001, 0.05, 0.4, 1.0])
def test_the_fast_score_of_a_data_set_is_the_mean_of_the_kernels_scores(tau):
    """All differences written out, coefficients from the exact side's transition and noise."""
    process, images = PSLD(), digits().pixels[::60]
    diffusion = diffusions.PSLD()
    (a, b), (c, d) = diffusions.transition(diffusion, tau)
    (xx, xm), (_, mm) = diffusions.noise(diffusion, tau)
    start = diffusion.kappa * diffusion.M
    kernel = np.array(
        [[xx + b * b * start, xm + b * d * start], [xm + b * d * start, mm + d * d * start]]
    )
    centres = np.stack(
        [a * images.flatten(1).double().numpy(), c * images.flatten(1).double().numpy()]
    )
    z = centres[:, :6] + 0.3 * np.random.default_rng(0).normal(size=(2, 6, 64))
    away = z[:, :, None] - centres[:, None]
    precision = np.linalg.inv(kernel)
    logits = -np.einsum("ij,ibkd,jbkd->bk", precision, away, away) / 2
    share = np.exp(logits - logits.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    expected = -np.einsum("ij,bk,jbkd->ibd", precision, share, away)
    state = torch.from_numpy(z).reshape(2, 6, 1, 8, 8)
    found = data_set_score(process, images)(state, tau).reshape(2, 6, 64).numpy()
    assert np.allclose(found, expected, rtol=1e-7, atol=1e-7 * np.abs(expected).max())
