"""Gaussian targets: marginals and scores against moment equations and dense linear algebra;
spectra.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.sparse.linalg import svds
from sklearn.datasets import load_digits, load_sample_image

from analytic_models.diffusions import PSLD, VP, Diffusion, Langevin
from analytic_models.targets import (
    Gaussian,
    digits_spectrum,
    initial,
    load_spectrum,
    marginal,
    score,
)

RELEASED = Path(__file__).parents[2] / "shared" / "reference" / "psld_sde.json"
PROCESSES: list[PSLD | VP] = [
    PSLD(),
    PSLD(0.0, 3.0, 1.0, 9.0, 0.5),
    PSLD(0.5, 0.0, kappa=0.3),
    VP(),
    VP(8.0, 8.0),
]
C, MU = np.array([0.0, 0.01, 1.0, 30.0]), np.array([0.3, -1.0, 0.0, 2.0])
variances = st.floats(1e-3, 1e3)


def blocks(covariance):
    """(d, n, n) from the package's nested entries."""
    n = len(covariance)
    return np.stack(np.broadcast_arrays(*flat(covariance)), axis=-1).astype(float).reshape(-1, n, n)


def flat(nested):
    """The entries of nested tuples, in order."""
    return [e for part in nested for e in flat(part)] if isinstance(nested, tuple) else [nested]


@pytest.mark.parametrize("process", PROCESSES, ids=repr)
@pytest.mark.parametrize("tau", [1e-3, 0.3, 1.0])
def test_the_marginal_solves_the_moment_equations(process, tau):
    if isinstance(process, PSLD):
        g, n = process.Gamma, process.nu
        drift = np.array([[-g, (g - n) ** 2 / 4], [-1, -n]]) / 2
        spread = np.diag([g, 4 * n / (g - n) ** 2])
        start = np.diag([0.0, process.kappa * 4 / (g - n) ** 2])
    else:
        drift, spread, start = np.array([[-0.5]]), np.eye(1), np.zeros((1, 1))
    k = len(drift)
    mean, covariance = marginal(process, Gaussian(C, MU), tau)
    for i, (c, mu) in enumerate(zip(C, MU, strict=True)):

        def slope(u, y):
            s, beta = (
                y[k:].reshape(k, k),
                process.beta_min + u * (process.beta_max - process.beta_min),
            )
            change = drift @ s + s @ drift.T + spread
            return beta * np.concatenate([drift @ y[:k], change.ravel()])

        first = start.copy()
        first[0, 0] = c
        y0 = np.concatenate([[mu], np.zeros(k - 1), first.ravel()])
        y = solve_ivp(slope, (0, tau), y0, method="DOP853", rtol=1e-12, atol=1e-15).y[:, -1]
        assert np.allclose(
            [np.broadcast_to(m, C.shape)[i] for m in mean], y[:k], rtol=1e-10, atol=1e-13
        )
        assert np.allclose(blocks(covariance)[i].ravel(), y[k:], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("process", PROCESSES, ids=repr)
def test_the_marginal_at_time_zero_is_the_data_law(process):
    target = Gaussian(C, MU)
    for ours, law in zip(
        flat(marginal(process, target, 0.0)), flat(initial(process, target)), strict=True
    ):
        assert np.allclose(ours, law, rtol=1e-15)


@given(variances, st.floats(-5, 5), st.floats(1e-4, 1.0), st.sampled_from(PROCESSES))
def test_the_score_is_minus_the_inverse_covariance_times_the_deviation(c, mu, tau, process):
    target = Gaussian([c], [mu])
    mean, covariance = marginal(process, target, tau)
    h, g = score(process, target, tau)
    dense = blocks(covariance)[0]
    at_mean = blocks(h)[0] @ np.ravel(mean) + np.ravel(g)
    assert np.allclose(-blocks(h)[0] @ dense, np.eye(len(dense)), atol=1e-8 * np.linalg.cond(dense))
    assert np.allclose(at_mean, 0, atol=1e-10 * np.abs(blocks(h)).max() * (1 + abs(mu)))
    assert np.array_equal(blocks(h)[0], blocks(h)[0].T)


@example(1e-8, 0.0, PROCESSES[1])
@given(
    st.floats(1e-8, 0.1), st.sampled_from([0.0, 1e-6, 1.0, 100.0]), st.sampled_from(PROCESSES[:3])
)
def test_the_score_near_time_zero_agrees_with_sixty_digits(tau, c, process):
    h, _ = score(process, Gaussian([c]), tau)
    with mpmath.workdps(60):
        fields = ("Gamma", "nu", "beta_min", "beta_max", "kappa", "T")
        precise = PSLD(*(mpmath.mpf(getattr(process, name)) for name in fields))
        exact, _ = score(precise, Gaussian(mpmath.mpf(c), mpmath.mpf(0)), mpmath.mpf(tau))
        size = mpmath.sqrt(exact[0][0] * exact[1][1])
        for ours, reference in zip(flat(h), flat(exact), strict=True):
            assert abs(ours[0] - reference) < 1e-12 * max(size, abs(reference))


def test_the_score_of_langevin_acts_on_the_momentum_and_reads_the_position():
    h, g = score(Langevin(), Gaussian([4.0, 0.5], [1.0, -2.0]), 3.0)
    assert not any(np.any(block) for block in (*h[0], g[0], h[1][1]))
    assert np.array_equal(h[1][0], [-0.25, -2.0]) and np.array_equal(g[1], [0.25, -4.0])


def test_the_precision_is_that_of_the_released_code():
    """inv_coeff is L^-T of the kernel covariance, to whose variances the released code adds
    1e-9.
    """
    if not RELEASED.is_file():
        pytest.skip("the numbers of the released code (shared/reference) are not here")
    for case in json.loads(RELEASED.read_text())["cases"]:
        for row, k in product(case["t"], range(3)):
            start = row["init"][k]
            gamma, nu, low, high = (case[name] for name in ("gamma", "nu", "beta_min", "beta_max"))
            process = PSLD(gamma, nu, low, high, start["mm_0"] / case["m"])
            h, _ = score(process, Gaussian([start["xx_0"]]), row["t"])
            ours = np.linalg.inv(np.linalg.inv(-blocks(h)[0]) + 1e-9 * np.eye(2))
            upper = np.array(start["inv_coeff"]).reshape(2, 2)
            assert np.allclose(upper @ upper.T, ours, rtol=1e-9, atol=1e-9 * np.abs(ours).max())


@pytest.mark.parametrize(
    ("process", "tau"), [(PSLD(), 0.0), (VP(), 0.0), (PSLD(kappa=0.0), 0.0), (Langevin(), 5.0)]
)
def test_a_score_that_does_not_exist_is_refused_with_mode_and_time(process, tau):
    target = Gaussian([1.0, 2.0, 0.0])
    mode = 0 if process == PSLD(kappa=0.0) else 2
    with pytest.raises(ValueError, match=f"mode {mode} at forward time {tau:g} does not exist"):
        score(process, target, tau)
    if tau == 0:
        with pytest.raises(ValueError, match=f"mode {mode} at forward time 0 does not exist"):
            score(process, target, np.array([[0.5], [0.0]]))
        score(process, target, 1e-6)


def test_many_times_at_once_are_the_times_one_by_one():
    target, taus = Gaussian(C, MU), np.array([[0.1], [0.4], [0.9]])
    processes: list[Diffusion] = [*PROCESSES, Langevin()]
    for process in processes:
        if isinstance(process, Langevin):
            target = Gaussian(C[1:], MU[1:])
        h, g = score(process, target, taus)
        for k, tau in enumerate(taus[:, 0]):
            for many, one in zip(
                flat((h, g)), flat(score(process, target, float(tau))), strict=True
            ):
                assert np.allclose(many[k] if np.ndim(many) == 2 else many, one, rtol=1e-14)


@pytest.mark.parametrize(
    ("variances", "mean", "problem"),
    [
        ([1.0, -0.1], 0.0, "variance -0.1 of mode 1"),
        ([float("nan")], 0.0, "variance nan of mode 0"),
        ([[1.0]], 0.0, "not shape"),
        ([], 0.0, "d >= 1 numbers"),
        ([1.0, 2.0], [1.0], "one finite number or 2"),
        ([1.0, 2.0], float("inf"), "one finite number or 2"),
    ],
)
def test_bad_targets_are_refused(variances, mean, problem):
    with pytest.raises(ValueError, match=problem):
        Gaussian(variances, mean)


def test_the_digits_spectrum_is_that_of_the_images():
    values = digits_spectrum()
    images = load_digits().data / 8 - 1
    centred = images - images.mean(axis=0)
    assert images.min() == -1 and images.max() == 1
    assert values.shape == (64,) and np.all(np.diff(values) <= 0) and values[-1] >= 0
    assert values.sum() == pytest.approx((centred**2).sum() / len(images), rel=1e-12)
    singular = np.linalg.svd(centred, compute_uv=False)
    assert np.allclose(values, singular**2 / len(images), atol=1e-12)
    assert np.array_equal(load_spectrum("digits"), values)


@pytest.mark.heavy
def test_the_patches_spectrum_has_the_variance_and_the_largest_eigenvalue_of_the_patches():
    """On a coarser grid, cut here: cheap parts of what the heavy test below computes in full."""
    halves = [load_sample_image(name)[:, :320] / 127.5 - 1 for name in ("china.jpg", "flower.jpg")]
    corners = [(i, j) for i in range(0, 396, 15) for j in range(0, 289, 15)]
    x = np.array([half[i : i + 32, j : j + 32] for half in halves for i, j in corners])
    x = np.concatenate([x, x[:, :, ::-1]]).transpose(0, 3, 1, 2).reshape(-1, 3072)
    x -= x.mean(0)
    values = load_spectrum("patches")
    assert values.shape == (3072,) and np.all(np.diff(values) <= 0) and values[-1] > 0
    assert np.square(x).sum() / len(x) == pytest.approx(values.sum(), rel=0.02)
    largest = svds(x, 8, v0=np.ones(len(x)), return_singular_vectors=False)
    assert np.sort(largest)[::-1] ** 2 / len(x) == pytest.approx(values[:8], rel=0.08)


@pytest.mark.heavy
def test_the_patches_spectrum_is_that_of_the_patches_trained_on():
    taught, _ = pytest.importorskip("gpu_samplers.data").patches().split()
    x = taught.flatten(1).double().numpy()
    values = np.linalg.eigvalsh(np.cov(x, rowvar=False, bias=True))[::-1]
    assert load_spectrum("patches") == pytest.approx(values, rel=1e-6)


def test_a_spectrum_is_read_from_numbers_and_files(tmp_path):
    assert np.array_equal(load_spectrum("2, 1,0.5"), [2.0, 1.0, 0.5])
    path = tmp_path / "s.npy"
    np.save(path, np.array([3.0, -1e-7, 1.0], dtype=np.float32))
    assert np.array_equal(load_spectrum(str(path)), [3.0, 0.0, 1.0])
    assert load_spectrum(str(path)).dtype == np.float64


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (np.array([[1.0]]), "not one row"),
        (np.array([1.0, np.nan]), "eigenvalue 1 is not finite"),
        (np.array([1.0, -0.5]), "eigenvalue 1 is -0.5"),
        (np.array([-1.0]), "eigenvalue 0 is -1"),
        (np.array([]), "is empty"),
        (np.array(["a"]), "not real numbers"),
        (np.array([1j]), "not real numbers"),
        (np.array([{}], dtype=object), "not a readable .npy array"),
        (b"nonsense", "not a readable .npy array"),
        (b"", "not a readable .npy array"),
    ],
)
def test_a_bad_spectrum_file_is_refused(tmp_path, content, problem):
    path = tmp_path / "bad.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(ValueError, match=problem) as caught:
        load_spectrum(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["missing.npy", "1,two", "", "1,,2", "nan", "-1", "inf,1"])
def test_bad_spectrum_texts_are_refused(text):
    with pytest.raises(ValueError, match="spectrum"):
        load_spectrum(text)


@pytest.mark.parametrize("text", ["1_0", "1,٣", "1e-400"])
def test_a_spectrum_is_refused_in_a_spelling_that_only_python_reads(text: str) -> None:
    with pytest.raises(ValueError, match=r"spectrum .*(is not a number|is closer to 0)"):
        load_spectrum(text)
