"""Mixtures and data sets in NumPy: gradients of their own density, Gaussians, quadrature, sampled
moments.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch

from analytic_models import diffusions, targets
from analytic_models.diffusions import PSLD, VP, Diffusion, Langevin
from analytic_models.mixtures import Mixture, data_set, log_density, score
from gpu_samplers import processes
from gpu_samplers.exact import MixtureScore

PROCESSES: list[Diffusion] = [
    PSLD(), PSLD(0.3, 2.1, 2.0, 11.0, 0.5, 1.2), PSLD(0.0, 4.0), VP(), VP(8.0, 8.0), Langevin(0.7),
]  # fmt: skip
MEANS = np.array([[0.3, -1.0, 0.2], [1.0, 0.4, -0.6], [-0.8, 0.1, 0.9], [0.2, -0.9, 0.3]])
MIXED = Mixture([1.0, 3.0, 2.0, 0.5], MEANS, [0.1, 0.02, 0.3, 0.05])
IMAGES = data_set(MEANS)
TIMES = [1e-3, 0.05, 0.3, 1.0]


def states(process, target, tau, batch=5, seed=0):
    """Draws from the law at tau, so that shares are mixed where the components overlap."""
    generator = np.random.default_rng(seed)
    n = 1 if process.model_name in ("vp", "langevin") else 2
    picked = generator.integers(len(target.means), size=batch)
    x = target.means[picked] + np.sqrt(target.variances[picked, None]) * generator.standard_normal(
        (batch, 3)
    )
    if process.model_name == "langevin":
        return x[None]
    phi = np.array(diffusions.transition(process, tau), dtype=float)
    start, noise = x[None], diffusions.noise(process, tau)
    if n == 2:
        start = np.stack(
            [x, np.sqrt(process.kappa * process.M) * generator.standard_normal(x.shape)]
        )
    root = np.linalg.cholesky(np.array(noise, dtype=float))
    normals = generator.standard_normal(start.shape)
    return np.einsum("ij,jbd->ibd", phi, start) + np.einsum("ij,jbd->ibd", root, normals)


def other(process: Diffusion) -> processes.PSLD | processes.VP | processes.Langevin:
    kinds = {"psld": processes.PSLD, "vp": processes.VP, "langevin": processes.Langevin}
    return kinds[process.model_name](**vars(process))


@pytest.mark.parametrize("process", PROCESSES, ids=repr)
@pytest.mark.parametrize("tau", TIMES)
def test_numpy_and_torch_state_the_same_score(process, tau):
    for target in [MIXED] if process.model_name == "langevin" else [MIXED, IMAGES]:
        z = states(process, target, tau)
        theirs = MixtureScore(
            other(process), *map(torch.tensor, (target.means, target.variances, target.weights))
        )
        ours = score(process, target, z, tau)
        np.testing.assert_allclose(
            theirs(torch.tensor(z), tau).numpy(), ours, rtol=1e-12, atol=1e-12 * abs(ours).max()
        )


@pytest.mark.parametrize("process", PROCESSES, ids=repr)
def test_the_score_is_the_gradient_of_the_log_density(process):
    tau, step = 0.05, 1e-5
    z = states(process, MIXED, tau)
    gradient = np.empty_like(z)
    for i in range(len(z)):
        for j in range(3):
            shift = np.zeros_like(z)
            shift[i, :, j] = step
            ahead, behind = (log_density(process, MIXED, z + side * shift, tau) for side in (1, -1))
            gradient[i, :, j] = (ahead - behind) / (2 * step)
    ours = score(process, MIXED, z, tau)
    np.testing.assert_allclose(gradient, ours, rtol=1e-6, atol=1e-7 * abs(ours).max())


@pytest.mark.parametrize("process", [PSLD(), VP()], ids=repr)
def test_the_density_has_mass_one_and_the_moments_of_the_forward_law(process):
    mixture, tau = Mixture([1.0, 2.0], [[-0.8], [0.7]], [0.1, 0.02]), 0.4
    n = len(process.stationary)
    axes = [np.linspace(-7, 7, 61) * spread**0.5 for spread in process.stationary]
    z = np.stack([c.ravel() for c in np.meshgrid(*axes, indexing="ij")])[..., None]
    mass = np.exp(log_density(process, mixture, z, tau)) * np.prod([a[1] - a[0] for a in axes])
    # the moments do not see the shape
    as_one = targets.Gaussian(mixture.covariance[0], mixture.mean)
    mean, covariance = targets.marginal(process, as_one, tau)
    assert mass.sum() == pytest.approx(1, abs=1e-9)
    for i in range(n):
        assert (mass * z[i, :, 0]).sum() == pytest.approx(mean[i][0], abs=1e-9)
        for j in range(n):
            second = (mass * z[i, :, 0] * z[j, :, 0]).sum()
            assert second == pytest.approx(covariance[i][j][0] + mean[i][0] * mean[j][0], abs=1e-9)


@pytest.mark.parametrize("process", PROCESSES, ids=repr)
@pytest.mark.parametrize("tau", TIMES)
def test_one_component_is_the_gaussian_target(process, tau):
    alone, gaussian = Mixture([5.0], MEANS[:1], 0.3), targets.Gaussian([0.3] * 3, MEANS[0])
    z = states(process, alone, tau)
    matrix, constant = targets.score(process, gaussian, tau)
    if len(z) == len(matrix):
        expected = np.stack(
            [
                sum(h * zj for h, zj in zip(row, z, strict=True)) + g
                for row, g in zip(matrix, constant, strict=True)
            ]
        )
    else:
        expected = (matrix[1][0] * z[0] + constant[1])[None]
    np.testing.assert_allclose(
        score(process, alone, z, tau), expected, rtol=1e-10, atol=1e-11 * abs(expected).max()
    )


@pytest.mark.parametrize("tau", ["1e-3", "0.3"])
def test_the_score_of_a_data_set_is_right_in_fifty_digits(tau):
    with mpmath.workdps(50):
        exact = PSLD(*map(mpmath.mpf, ("0.01", "4.01", "8", "8", "0.04", "1")))
        (a, _), (c, _) = diffusions.transition(exact, mpmath.mpf(tau))
        _, cov = targets.marginal(exact, targets.Gaussian(mpmath.mpf(0)), mpmath.mpf(tau))
        precision = mpmath.inverse(mpmath.matrix([list(row) for row in cov]))
        z = states(PSLD(), IMAGES, float(tau), batch=3)
        for b in range(3):
            away = [
                [
                    mpmath.mpf(z[i, b, j]) - (a, c)[i] * mpmath.mpf(mu[j])
                    for j in range(3)
                    for i in (0, 1)
                ]
                for mu in MEANS
            ]
            pulls = [
                [-(precision * mpmath.matrix(v[2 * j : 2 * j + 2])) for j in range(3)] for v in away
            ]
            shares = [
                mpmath.exp(sum(v[2 * j + i] * p[j][i] for j in range(3) for i in (0, 1)) / 2)
                for v, p in zip(away, pulls, strict=True)
            ]
            expected = [
                [
                    float(
                        sum(r * p[j][i] for r, p in zip(shares, pulls, strict=True)) / sum(shares)
                    )
                    for j in range(3)
                ]
                for i in (0, 1)
            ]
            ours = score(PSLD(), IMAGES, z[:, b : b + 1], float(tau))[:, 0]
            np.testing.assert_allclose(ours, expected, rtol=1e-11, atol=1e-11 * abs(ours).max())


def test_mean_and_covariance_are_those_of_draws_and_of_the_images():
    images = targets.digits_images()
    digits = data_set(images)
    np.testing.assert_allclose(digits.mean, images.mean(0), atol=1e-14)
    np.testing.assert_allclose(
        digits.covariance, np.cov(images, rowvar=False, bias=True), atol=1e-13
    )
    generator = np.random.default_rng(0)
    picked = generator.choice(4, size=200_000, p=MIXED.weights)
    draws = MEANS[picked] + np.sqrt(MIXED.variances[picked, None]) * generator.standard_normal(
        (200_000, 3)
    )
    np.testing.assert_allclose(MIXED.mean, draws.mean(0), atol=0.006)
    np.testing.assert_allclose(MIXED.covariance, np.cov(draws, rowvar=False), atol=0.008)


def test_the_digits_are_scaled_to_minus_one_and_one():
    images = targets.digits_images()
    assert images.shape == (1797, 64) and images.min() == -1 and images.max() == 1
    assert np.allclose(np.diff(np.unique(images)), 1 / 8)


def test_far_from_every_component_nothing_overflows():
    z = np.full((2, 1, 3), 1e4)
    assert np.all(np.isfinite(score(PSLD(), IMAGES, z, 1e-3)))
    assert np.isfinite(log_density(PSLD(), IMAGES, z, 1e-3)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], [0.0, 1.0]), "means are k >= 1 rows"),
        (([1.0], np.zeros((0, 2))), "means are k >= 1 rows"),
        (([1.0, 1.0], [[0.0]]), "1 means take 1 weights"),
        (([1.0], [[0.0]], [1.0, 2.0]), "1 means take 1 variances"),
        (
            ([1.0, 0.0], [[0.0], [1.0]]),
            "component 1 of the mixture: its weights must be finite and > 0",
        ),
        (([1.0, 1.0], [[0.0], [np.nan]]), "component 1 of the mixture: its means must be finite"),
        (([1.0, 1.0], [[0.0], [1.0]], [-1.0, 0.0]), "component 0 of the mixture: its variances"),
    ],
)
def test_what_is_no_mixture_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Mixture(*arguments)


@pytest.mark.parametrize("process", [PSLD(), VP(), Langevin()], ids=repr)
def test_a_component_without_density_has_no_score(process):
    with pytest.raises(ValueError, match="component 0 has variance 0"):
        score(process, IMAGES, np.zeros((len(process.stationary), 1, 3)), 0.0)


def test_states_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"are \(2, batch, 3\), not \(1, 4, 3\)"):
        score(PSLD(), MIXED, np.zeros((1, 4, 3)), 0.5)
