"""What a network is trained on: images with as much noise as the forward process has put there."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from gpu_samplers import processes
from gpu_samplers.matching import perturbed
from gpu_samplers.processes import PSLD, VP

VARYING = PSLD(Gamma=0.1, nu=3.9, beta_min=3.0, beta_max=12.0, kappa=0.3)


@pytest.mark.share(3)
@pytest.mark.parametrize(
    "process", [PSLD(), VARYING, PSLD(0.0, 4.0)], ids=["paper", "varying", "CLD"]
)
def test_the_perturbation_is_the_forward_process(process):
    """Mean and covariance against their own differential equations, from hybrid score matching's
    start.
    """
    drift = np.array([[-process.Gamma, 1 / process.M], [-1, -process.nu]]) / 2
    noise = np.diag([process.Gamma, process.M * process.nu])
    for tau in (0.01, 0.3, 1.0):
        steps = 4000
        mean, covariance = np.array([1.0, 0.0]), np.diag([0.0, process.kappa * process.M])
        for i in range(steps):  # midpoint rule: error ~ steps^-2
            h, beta = tau / steps, process.beta((i + 0.5) * tau / steps)

            def slopes(m, c, beta=beta):
                return beta * drift @ m, beta * (drift @ c + c @ drift.T + noise)

            half = [
                v + h / 2 * s
                for v, s in zip((mean, covariance), slopes(mean, covariance), strict=True)
            ]
            mean, covariance = (
                v + h * s for v, s in zip((mean, covariance), slopes(*half), strict=True)
            )
        (factor,), (ours,) = processes.kernels(process, [tau])
        assert factor == pytest.approx(mean, abs=1e-5)
        assert ours == pytest.approx(covariance, abs=1e-5)


@pytest.mark.parametrize(
    "process",
    [PSLD(), VARYING, PSLD(0.0, 4.0), PSLD(0.0, 4.0, kappa=0.0), PSLD(4.0, 0.0)],
    ids=["paper", "varying", "CLD", "CLD, momentum known", "no friction"],
)
def test_a_batch_of_times_has_the_kernels_of_each_time_however_small(process):
    taus = [1e-6, 1e-5, 1e-3, 0.1, 1.0]
    for ours, tau in zip(processes.kernels(process, taus)[1], taus, strict=True):
        np.testing.assert_allclose(ours, processes.kernel(process, tau), rtol=1e-12)
        # 1/M^2 of M nu, squared and integrated
        if process.kappa == 0 and process.Gamma == 0 and tau < 1e-4:
            delta = process.clock(process.T - tau, tau)
            assert ours[0, 0] == pytest.approx(process.nu / process.M * delta**3 / 12, rel=1e-2)


def test_images_and_normals_are_put_together_channel_by_channel():
    x, normal = (
        torch.randn(3, 2, 8, 8, dtype=torch.float64),
        torch.randn(3, 4, 8, 8, dtype=torch.float64),
    )
    taus = [0.2, 0.5, 1.0]
    z = perturbed(VARYING, x, torch.tensor(taus), normal)
    means, covariances = processes.kernels(VARYING, torch.tensor(taus).tolist())
    lowers = np.linalg.cholesky(covariances)
    for i in range(3):
        for c in range(2):
            wanted = np.einsum("a,hw->ahw", means[i], x[i, c]) + np.einsum(
                "ab,bhw->ahw", lowers[i], normal[i, [c, 2 + c]]
            )
            assert np.allclose(z[i, [c, 2 + c]], wanted, atol=1e-12)


def test_images_of_vp_are_put_together_with_as_many_normals_as_they_have_pixels():
    process, taus = VP(beta_min=0.5, beta_max=3.0), [1e-3, 0.5, 1.0]
    x, normal = torch.randn(2, 3, 2, 4, 4, dtype=torch.float64)
    z = perturbed(process, x, torch.tensor(taus, dtype=torch.float64), normal)
    for i, tau in enumerate(taus):
        b = quad(process.beta, 0, tau, epsabs=1e-14)[0]
        wanted = math.exp(-b / 2) * x[i] + math.sqrt(-math.expm1(-b)) * normal[i]
        assert torch.allclose(z[i], wanted, atol=1e-12)
