"""The samplers as printed: exact laws, the black box against SciPy, and what they must not lean
on.
"""

from __future__ import annotations

import ast
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

torch = pytest.importorskip("torch", reason="the samplers need torch")

from analytic_models import linear_flow, moments  # noqa: E402
from analytic_models.targets import Gaussian  # noqa: E402
from gpu_samplers import black_box, engine, plain, plain_psld  # noqa: E402
from gpu_samplers.processes import PSLD, VP, grid  # noqa: E402
from splitting_analysis import CATALOGUE  # noqa: E402
from splitting_analysis.conjugate_catalogue import CONJUGATE_CATALOGUE  # noqa: E402
from splitting_analysis.exponential_catalogue import EXPONENTIAL_CATALOGUE  # noqa: E402
from splitting_analysis.kinetic_catalogue import KINETIC_CATALOGUE  # noqa: E402
from tests.probing import (  # noqa: E402
    case_names,
    diffusion_of,
    gaussian_score,
    law,
    plain_version,
    process_of,
)

PRINTED = [entry for entry in (*CATALOGUE, *KINETIC_CATALOGUE) if plain_version(entry)]
EVERY_SCHEME = pytest.mark.parametrize("entry", PRINTED, ids=lambda s: f"{s.model_name}-{s.name}")
TARGET = Gaussian([3.0, 0.2], [0.5, -1.0])
BASELINES = [plain_psld.psld_rk45_adaptive]


def test_every_entry_of_the_built_in_catalogue_has_its_plain_version():
    missing = [
        f"{entry.model_name} {entry.name}"
        for entry in (*CATALOGUE, *KINETIC_CATALOGUE)
        if not plain_version(entry)
    ]
    assert not missing, "print them in gpu_samplers/plain.py or plain_psld.py, as model_name"


def test_every_plain_version_is_that_of_one_entry_or_a_baseline():
    found = [plain.sampler_of(entry.model_name, entry.name) for entry in PRINTED] + BASELINES
    assert len(set(found)) == len(found)
    further = {
        plain.sampler_of(entry.model_name, entry.name)
        for entry in (*CONJUGATE_CATALOGUE, *EXPONENTIAL_CATALOGUE)
    }
    assert set(found) | further == set(plain.SAMPLERS.values()) and not set(found) & further


@EVERY_SCHEME
def test_a_plain_version_takes_noise_if_it_is_one_of_an_sde(entry):
    assert plain.noise_level(plain.sampler_of(entry.model_name, entry.name)) == (
        entry.dynamics == "sde"
    )


@pytest.mark.parametrize(
    "name",
    [
        "plain.py",
        "plain_psld.py",
        "plain_conjugate.py",
        "plain_exponential.py",
        "plain_psld_data.py",
        "black_box.py",
    ],
)
def test_what_is_printed_knows_no_word_and_no_letter(name):
    tree = ast.parse((Path(plain.__file__).parent / name).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {m for m in modules if m and m.startswith(("gpu_samplers", "splitting_analysis"))}
    assert ours <= {
        f"gpu_samplers{part}"
        for part in ("", ".processes", ".plain_psld", ".black_box")
        + (".plain_conjugate", ".plain_psld_data")
    }


def printed(name, given, z, noise):
    return plain.sample(name, z=z, noise=noise, **given)


@pytest.mark.share(4)
@EVERY_SCHEME
def test_the_law_of_a_printed_sampler_is_the_exact_one(entry):
    for name in case_names(entry.model_name):
        process, diffusion = process_of(name), diffusion_of(name)
        for kind, denoise in (("uniform", True), ("quadratic", False)):
            times = grid(kind, 18, process.T, 1e-3 * process.T)
            score = engine.Counted(gaussian_score(diffusion, TARGET))
            given = {"p": process, "score": score, "times": times, "last": denoise}
            sampler = partial(printed, entry.name, given)
            mean, covariance = law(sampler, len(process.stationary), 2, process.stationary)
            exact = moments.run(entry, diffusion, TARGET, times, denoise=denoise)
            scale = max(1.0, float(np.max(np.abs(exact.covariance))))
            np.testing.assert_allclose(
                covariance, np.array(exact.covariance), rtol=1e-9, atol=1e-11 * scale
            )
            np.testing.assert_allclose(mean, np.array(exact.mean), rtol=1e-9, atol=1e-11 * scale)
            assert score.calls == 2 * exact.nfe  # the probe runs twice


@pytest.mark.parametrize("model", ["psld", "vp"])
def test_sscs_keeps_the_stationary_law_with_its_score(model):
    process = process_of(model)
    variances = torch.tensor(process.stationary, dtype=torch.float64).view(-1, 1, 1)
    mean, covariance = law(
        lambda z, noise: plain.sample(
            "SSCS", process, lambda z, tau: -z / variances, z, [0.0, 0.3, 0.9], noise, last=False
        ),
        len(variances),
        1,
        process.stationary,
    )
    np.testing.assert_allclose(covariance[..., 0], np.diag(process.stationary), atol=1e-13)
    assert not mean.any()


# The black box.


def flow(name):
    process, diffusion = process_of(name), diffusion_of(name)
    score = gaussian_score(diffusion, TARGET)
    return process, diffusion, lambda x, m, tau: score(torch.stack((x, m)), tau)


@pytest.mark.parametrize("tol", [1e-3, 1e-5, 1e-8])
def test_the_black_box_takes_scipys_steps(tol):
    process, _, score = flow("psld, beta varies")
    slope = plain_psld.flow(process, score)
    z = torch.tensor([[[1.0, -0.4]], [[0.3, 0.8]]], dtype=torch.float64)
    calls = 0

    def counted(t, z):
        nonlocal calls
        calls += 1
        return slope(t, z)

    ours = black_box.adaptive(counted, 0.0, 1.19, z, tol, tol)
    flat = lambda t, y: slope(t, torch.from_numpy(y).view(z.shape)).numpy().ravel()  # noqa: E731
    theirs = solve_ivp(flat, (0.0, 1.19), z.numpy().ravel(), method="RK45", rtol=tol, atol=tol)
    assert calls == theirs.nfev
    np.testing.assert_allclose(ours.numpy().ravel(), theirs.y[:, -1], rtol=1e-9)


@pytest.mark.heavy
def test_the_black_box_comes_as_close_as_it_is_told():
    process, diffusion, _ = flow("psld")
    z = torch.tensor([[[1.0, -0.4]], [[0.3, 0.8]]], dtype=torch.float64)
    score = gaussian_score(diffusion, TARGET)
    exact = linear_flow.closed_flow("ode", diffusion, TARGET, 0.0, 0.99)
    matrix: Any = np.array(exact.matrix)
    wanted = np.einsum("ijd,jd->id", matrix, z[:, 0].numpy()) + np.array(exact.shift)
    errors = []
    for tol in (1e-4, 1e-7, 1e-10):
        end = plain.sample(
            "RK45 adaptive", process, score, z, [0.0, 0.99], None, last=False, tol=tol
        )
        errors.append(float(np.abs(end[:, 0].numpy() - wanted).max()))
    assert errors[0] > 30 * errors[1] > 900 * errors[2]
    assert errors[2] < 1e-8


def test_the_black_box_says_when_no_step_is_small_enough():
    blow_up = lambda t, z: z * z  # noqa: E731 - 1 / (1 - t)
    with pytest.raises(ArithmeticError, match="at t = 1 no step is small enough"):
        black_box.adaptive(blow_up, 0.0, 2.0, torch.ones(1, dtype=torch.float64), 1e-6, 1e-6)


# What is refused.


def test_an_unknown_name_is_refused_with_the_names_there_are():
    with pytest.raises(
        ValueError, match=r"no plain vp sampler 'ROBA'; there are: euler, heun, .*, sscs2$"
    ):
        plain.sample("ROBA", VP(), None, torch.zeros(1, 1, 1), [0.0, 0.5], None)
    # a function, but no sampler
    with pytest.raises(ValueError, match="no plain vp sampler 'slope'"):
        plain.sampler_of("vp", "slope")
    with pytest.raises(ValueError, match="no plain edm sampler 'Heun'; there are: none"):
        plain.sampler_of("edm", "Heun")


def test_the_case_and_the_signs_of_a_name_do_not_matter():
    assert plain.sampler_of("psld", "RK45 adaptive") is plain_psld.psld_rk45_adaptive
    assert (
        plain.sampler_of("psld", "Euler")
        is plain.sampler_of("psld", "euler")
        is plain_psld.psld_euler
    )


def test_nothing_is_denoised_where_nothing_is_left():
    process = PSLD()
    score = engine.Counted(lambda z, tau: -z)
    z = torch.ones(2, 1, 1, dtype=torch.float64)
    plain.sample("Euler", process, score, z, [0.0, 0.5, 1.0], None)
    assert score.calls == 2


def test_the_black_box_ends_where_the_slope_is_not_a_number():
    slope = lambda t, z: torch.where(torch.tensor(t > 0.5), torch.nan, -z)  # noqa: E731
    with pytest.raises(ArithmeticError, match=r"at t = 0\.[45]\d* no step is small enough"):
        black_box.adaptive(slope, 0.0, 1.0, torch.ones(1, 3, dtype=torch.float64), 1e-6, 1e-6)
