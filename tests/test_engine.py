"""The engine against the samplers as printed, and against the exact moments."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the samplers need torch")

from analytic_models import moments  # noqa: E402
from analytic_models.targets import Gaussian  # noqa: E402
from gpu_samplers import engine, plain  # noqa: E402
from gpu_samplers.noise import Noise  # noqa: E402
from gpu_samplers.plan import plan  # noqa: E402
from gpu_samplers.processes import PSLD, VP, exponential, grid  # noqa: E402
from splitting_analysis import CATALOGUE, find, parse  # noqa: E402
from splitting_analysis.schemes import LambdaS, scheme  # noqa: E402
from tests.probing import (  # noqa: E402
    case_names,
    diffusion_of,
    gaussian_score,
    law,
    plain_version,
    process_of,
)
from tests.strategies import examples, schemes  # noqa: E402

EVERY_SCHEME = pytest.mark.parametrize("entry", CATALOGUE, ids=lambda s: f"{s.model_name}-{s.name}")
PRINTED = pytest.mark.parametrize(
    "entry", [e for e in CATALOGUE if plain_version(e)], ids=lambda s: f"{s.model_name}-{s.name}"
)
TARGET = Gaussian([4.0, 0.3, 0.01], [0.5, -1.0, 0.0])
SHAPE, STEPS = (2, 3), 18


def curved(process):
    """A score that is no one's: stationary pull, a wave in z, and tau, so that nothing cancels."""
    variances = torch.tensor(process.stationary, dtype=torch.float64)

    def score(z, tau):
        if process.model_name == "langevin":
            return -z + 0.3 * torch.sin(2 * z)
        scale = variances.view(-1, *[1] * (z.ndim - 1)).to(z.dtype)
        return -z / scale + 0.3 * torch.sin(z + z.flip(0) + tau) * (1 + tau)

    return score


def start(process, batch=3, seed=0):
    n = len(process.stationary)
    return Noise(seed, range(batch), SHAPE, torch.float64)(n)


def times_of(process, name, steps=STEPS):
    return grid(name, steps, process.T, 1e-3 * process.T)


def ours(entry, process, times, score, z, noise=engine.no_noise, **options):
    return engine.run(plan(entry, process, times, **options), score, z, noise)


# The engine and the papers' own lines.


@PRINTED
def test_engine_and_paper_agree_on_shared_noise(entry):
    for name in case_names(entry.model_name):
        process = process_of(name)
        for kind, denoise in (("uniform", True), ("quadratic", False)):
            times, score, z = (
                times_of(process, kind),
                engine.Counted(curved(process)),
                start(process),
            )
            noises = [Noise(1, range(3), SHAPE, torch.float64) for _ in range(2)]
            fused, nfe = ours(entry, process, times, curved(process), z, noises[0], denoise=denoise)
            printed = plain.sample(entry.name, process, score, z, times, noises[1], last=denoise)
            assert torch.isfinite(printed).all() and printed.dtype == torch.float64
            assert (fused - printed).abs().max() <= 1e-12 * max(1.0, float(printed.abs().max()))
            assert nfe == score.calls


@pytest.mark.parametrize("name", ["NOBA", "ROBA", "NBAO", "RBAO", "NOBAB", "ROBAB"])
def test_they_agree_with_lambda_s_too(name):
    process = process_of("psld, beta varies")
    times, z = times_of(process, "uniform"), start(process)
    noises = [Noise(1, range(3), SHAPE, torch.float64) for _ in range(2)]
    fused, _ = ours(find(name), process, times, curved(process), z, noises[0], lambda_s=0.6)
    printed = plain.sample(name, process, curved(process), z, times, noises[1], lambda_s=0.6)
    assert (fused - printed).abs().max() <= 1e-12
    other, _ = ours(
        find(name), process, times, curved(process), z, Noise(1, range(3), SHAPE, torch.float64)
    )
    assert (fused - other).abs().max() > 1e-3


def test_a_run_changes_neither_its_start_nor_its_noise():
    process = process_of("psld")
    z = start(process)
    kept, fixed = z.clone(), torch.ones(2, 3, *SHAPE, dtype=torch.float64)
    ours(
        find("ROBA"),
        process,
        times_of(process, "uniform"),
        curved(process),
        z,
        lambda parts: fixed[:parts],
    )
    assert torch.equal(z, kept) and torch.equal(fixed, torch.ones_like(fixed))


# The engine and the exact moments.


def close_to_moments(entry, name, times, denoise=True, lambda_s=None, merge_noise=False):
    process, diffusion = process_of(name), diffusion_of(name)
    ready = plan(entry, process, times, denoise=denoise, lambda_s=lambda_s, merge_noise=merge_noise)
    score = gaussian_score(diffusion, TARGET)
    n, evaluations = len(process.stationary), []

    def sampler(z, noise):
        end, nfe = engine.run(ready, score, z, noise)
        evaluations.append(nfe)
        return end

    mean, covariance = law(sampler, n, 3, process.stationary)
    exact = moments.run(entry, diffusion, TARGET, times, denoise=denoise, lambda_s=lambda_s)
    wanted: Any = np.array(exact.covariance)
    scale = max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(covariance, wanted, rtol=1e-9, atol=1e-11 * scale)
    np.testing.assert_allclose(mean, np.array(exact.mean), rtol=1e-9, atol=1e-11 * scale)
    assert set(evaluations) == {exact.nfe} == {ready.nfe}


@pytest.mark.share(6)
@EVERY_SCHEME
def test_the_law_of_the_samples_is_the_exact_one(entry):
    for name in case_names(entry.model_name):
        for kind, denoise, merge in (("uniform", True, False), ("quadratic", False, True)):
            close_to_moments(
                entry, name, times_of(process_of(name), kind), denoise, merge_noise=merge
            )


MIXED = scheme("S B O/3 A O*2/3")
"""Between two scores it draws four normals, and A mixes them: two correlated ones do as much."""
FROZEN, FROZEN_ODE = (
    scheme("E:exp/3 S E:exp*2/3", dynamics=dynamics) for dynamics in ("sde", "ode")
)
"""The score held in exponential steps that couple the components."""


@examples(10)
@given(entry=schemes(), varying=st.booleans(), merge=st.booleans(), denoise=st.booleans())
@example(entry=MIXED, varying=True, merge=True, denoise=False)
@example(entry=FROZEN, varying=True, merge=True, denoise=False)
@example(entry=FROZEN_ODE, varying=True, merge=False, denoise=False)
def test_the_law_of_any_word_is_the_exact_one(entry, varying, merge, denoise):
    name = case_names(entry.model_name)[varying and entry.model_name == "psld"]
    times = times_of(process_of(name), "quadratic")
    law_there = moments.run(entry, diffusion_of(name), TARGET, times, denoise=denoise)
    # far beyond stability both sides lose digits
    assume(np.max(np.abs(law_there.covariance)) < 1e6)
    close_to_moments(entry, name, times, denoise, merge_noise=merge)


@pytest.mark.parametrize(
    ("word", "case"),
    [
        (word, case)
        for case in case_names("psld")
        for word in (str(MIXED.word), "O/2 S A/2 O/2 B A/2", "L/2 S K L/2", "O/4 A O*3/4 S B")
    ]
    + [("O/3 A/2 O/3 A/2 O/3 S B", "langevin")],
)
def test_merged_noise_keeps_every_covariance_of_position_and_momentum_in_fewest_normals(word, case):
    process = process_of(case)
    entry = scheme(word, process.model_name, "sde")
    times = times_of(process, "quadratic")
    apart, merged = (plan(entry, process, times, merge_noise=m) for m in (False, True))
    seen = 0
    for one, other in zip(apart.updates, merged.updates, strict=True):
        if one.matrix is None or other.matrix is None:
            assert one.matrix is other.matrix
            continue
        known = one.matrix.shape[1] - sum(one.draws)
        assert np.array_equal(one.matrix[:, :known], other.matrix[:, :known])
        wanted, found = (m[:, known:] @ m[:, known:].T for m in (one.matrix, other.matrix))
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-15 * np.abs(wanted).max())
        assert sum(other.draws) == min(sum(one.draws), 2)
        merges = sum(one.draws) > 2
        seen += merges and bool(abs(wanted[0, 1]) > 1e-3 * np.sqrt(wanted[0, 0] * wanted[1, 1]))
    assert seen >= STEPS - 1  # of independent noise the test would say nothing


@pytest.mark.share(4)
@pytest.mark.parametrize("rule", ["exponent", "variance"])
@pytest.mark.parametrize("value", [0.0, 0.4, lambda t: 0.2 + t], ids=["0", "0.4", "0.2 + t"])
def test_lambda_s_means_the_same_to_the_engine_and_to_the_exact_side(rule, value):
    word, policy = parse("O/3 S B A O*2/3"), LambdaS(rule, Fraction(7, 10))
    entry = scheme(word, "psld", "sde", lambda_s=policy)
    for name in case_names("psld"):
        times = times_of(process_of(name), "quadratic")
        close_to_moments(entry, name, times, lambda_s=value)
        close_to_moments(entry, name, times)


def test_without_a_momentum_noise_cld_is_sampled_all_the_same():
    process = PSLD(Gamma=0.0, nu=4.0)
    for name in ("SSCS", "ROBA", "EM"):
        times = times_of(process, "quadratic")
        noises = [Noise(1, range(3), SHAPE, torch.float64) for _ in range(2)]
        fused, _ = ours(find(name), process, times, curved(process), start(process), noises[0])
        printed = plain.sample(name, process, curved(process), start(process), times, noises[1])
        # the printed covariance cancels where Gamma is 0
        assert (fused - printed).abs().max() <= 1e-9


# What a plan is.


@EVERY_SCHEME
def test_there_is_one_pass_between_two_evaluations(entry):
    process = process_of(entry.model_name)
    ready = plan(entry, process, times_of(process, "uniform"))
    assert len(ready.updates) == ready.nfe + 1
    assert all(update.matrix is not None for update in ready.updates[1:])


def test_merged_noise_draws_half_as_much_for_sscs_and_nothing_else_changes():
    process = process_of("psld, beta varies")
    for entry in CATALOGUE:
        if entry.model_name != "psld":
            continue
        apart, merged = (
            plan(entry, process, times_of(process, "uniform"), merge_noise=merge)
            for merge in (False, True)
        )
        numbers = [sum(sum(u.draws) for u in p.updates) for p in (apart, merged)]
        inner = 2 * (STEPS - 1)  # the first and the last half step have no neighbour to merge with
        assert numbers[0] - numbers[1] == (inner if entry.name == "SSCS" else 0)


@pytest.mark.parametrize("model", ["psld", "vp"])
def test_both_halves_of_sscs_cover_their_own_half_when_beta_varies(model):
    """With the stationary law's score the kick vanishes, and what is left is L over the whole
    clock.

    The released code conditions both halves on one time: then the clocks do not add up.
    """
    process: Any = PSLD(0.3, 2.1, 1.0, 15.0) if model == "psld" else VP(0.5, 9.0)
    variances = torch.tensor(process.stationary, dtype=torch.float64).view(-1, 1, 1)
    times, z = (
        [0.0, 0.4, 0.9],
        torch.tensor([[[1.0]], [[-0.7]]], dtype=torch.float64)[: len(variances)],
    )
    silent = lambda parts: torch.zeros(parts, 1, 1, dtype=torch.float64)  # noqa: E731 - one line, one use
    stationary = lambda z, tau: -z / variances  # noqa: E731
    end, _ = ours(find("SSCS", model), process, times, stationary, z, silent, denoise=False)
    half = [[-0.3, -1 / process.M], [1.0, -2.1]] if model == "psld" else [[-1.0]]
    clock = process.clock(0.0, 0.9)
    flow = exponential(np.array(half) / 2, np.array([clock]))[0]
    np.testing.assert_allclose(end[:, 0, 0], flow @ z[:, 0, 0].numpy(), rtol=1e-12)
    printed = plain.sample("SSCS", process, stationary, z, times, silent, last=False)
    np.testing.assert_allclose(printed[:, 0, 0], end[:, 0, 0], rtol=1e-12)
    assert "half" in find("SSCS", model).source.erratum or model == "vp"


def test_the_noise_free_ends_of_time_are_evaluated_where_the_word_says():
    process, asked = process_of("psld"), []

    def score(z, tau):
        asked.append(tau)
        return -z

    ours(find("RVV"), process, [0.0, 0.5, 0.9], score, start(process))
    np.testing.assert_allclose(asked, [1.0, 0.5, 0.5, 0.1, 0.1], rtol=1e-14)


# Batches.


# Scores that are not finite.


# What is refused.


def test_a_users_word_runs_like_any_other():
    process = process_of("psld")
    user, known = scheme("O S B A"), find("ROBA")
    ends = [
        ours(
            entry,
            process,
            times_of(process, "uniform"),
            curved(process),
            start(process),
            Noise(1, range(3), SHAPE, torch.float64),
        )[0]
        for entry in (user, known)
    ]
    assert torch.equal(*ends)
