"""Runs of the engine: samples by index and seed, in batches; and what stops a run."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the samplers need torch")

from gpu_samplers import engine  # noqa: E402
from gpu_samplers.noise import Noise  # noqa: E402
from gpu_samplers.plan import plan  # noqa: E402
from gpu_samplers.processes import PSLD, VP  # noqa: E402
from splitting_analysis import find  # noqa: E402
from tests.probing import (  # noqa: E402
    process_of,
)
from tests.test_engine import (  # noqa: E402
    SHAPE,
    STEPS,
    curved,
    ours,
    start,
    times_of,
)


def run_all(process, batch, indices=range(7), **options):
    chunks = list(
        engine.sample(
            find("SSCS"),
            process,
            curved(process),
            times_of(process, "uniform"),
            SHAPE,
            indices,
            seed=3,
            batch=batch,
            **options,
        )
    )
    assert [i for chunk in chunks for i in chunk.indices] == list(indices)
    return {i: chunk.z[:, b] for chunk in chunks for b, i in enumerate(chunk.indices)}


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 100])
def test_a_sample_does_not_depend_on_its_batch(batch):
    process = process_of("psld")
    whole, parts = run_all(process, 7), run_all(process, batch)
    for i, z in whole.items():
        assert (parts[i] - z).abs().max() <= 1e-13


def test_a_run_is_resumed_or_shared_by_giving_the_missing_indices():
    process = process_of("psld")
    whole = run_all(process, 4)
    shared = run_all(process, 4, range(0, 7, 2)) | run_all(process, 2, range(1, 7, 2))
    assert set(shared) == set(whole)
    assert all((shared[i] - whole[i]).abs().max() <= 1e-13 for i in whole)
    assert (whole[0] - whole[1]).abs().max() > 0.1


def test_a_seed_is_a_run():
    process = process_of("vp")
    runs = [
        next(
            engine.sample(
                find("EM", "vp"), process, curved(process), [0.0, 0.1], SHAPE, [0], seed=seed
            )
        ).z
        for seed in (1, 1, 2)
    ]
    assert torch.equal(runs[0], runs[1]) and (runs[0] - runs[2]).abs().max() > 0.1


def test_the_start_is_the_prior():
    process = PSLD(0.3, 2.1)
    seen = []

    def score(z, tau):
        seen.append(z.clone())
        return 0 * z

    next(
        engine.sample(
            find("EM"), process, score, [0.0, 0.1], (4000,), [0], noise_dtype=torch.float64
        )
    )
    drawn = Noise(0, [0], (4000,), torch.float64)(2)
    assert torch.allclose(
        seen[0], drawn * torch.tensor([1.0, process.M**0.5]).view(2, 1, 1).double()
    )


def test_float32_state_costs_digits_and_nothing_else():
    process = process_of("psld")
    precise, coarse = run_all(process, 7), run_all(process, 7, state_dtype=torch.float32)
    worst = max(float((precise[i] - coarse[i]).abs().max()) for i in precise)
    assert coarse[0].dtype == torch.float32
    assert 1e-9 < worst < 1e-4


def test_progress_is_reported_once_a_step():
    process, seen = process_of("psld"), []
    run_all(process, 7, progress=lambda done, steps: seen.append((done, steps)))
    assert seen == [(i, STEPS) for i in range(STEPS + 1)]


def spoiled(process, bad_call, value):
    calls = 0

    def score(z, tau):
        nonlocal calls
        calls += 1
        s = curved(process)(z, tau).clone()
        if calls == bad_call:
            s[0, 1, 0, 0] = value
        return s

    return score


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")], ids=str)
@pytest.mark.parametrize(("bad_call", "where"), [(1, 1), (5, 3), (34, 17), (36, 18)])
def test_a_score_that_is_not_finite_stops_the_run_and_says_where(value, bad_call, where):
    process = process_of("psld")
    times = times_of(process, "uniform")
    # Call k of RVV is made at the start (odd k) or the end (even k) of step ceil(k / 2).
    tau = process.T - times[bad_call // 2]
    message = (
        rf"RVV \(S B/2 A S@1 B/2\): .* NaN or inf.* in step {where} of {STEPS}, .*forward "
        rf"{tau:.6g}\)"
    )
    with pytest.raises(FloatingPointError, match=message):
        ours(find("RVV"), process, times, spoiled(process, bad_call, value), start(process))


def test_a_bad_denoising_score_is_named_as_such():
    process = process_of("psld")
    times = times_of(process, "uniform")
    with pytest.raises(FloatingPointError, match=r"in the denoising step, reverse time t = 0.999"):
        ours(find("RSE"), process, times, spoiled(process, STEPS + 1, np.nan), start(process))


def test_a_run_with_a_bad_score_does_not_go_on_to_its_end():
    process = process_of("psld")
    score = engine.Counted(spoiled(process, 3, np.nan))
    with pytest.raises(FloatingPointError, match="in step 3 of 400"):
        ours(find("RSE"), process, times_of(process, "uniform", 400), score, start(process))
    assert score.calls == engine.LOOK_EVERY


def test_a_state_that_overflows_after_the_last_score_is_found():
    process = process_of("psld")
    huge = start(process).sign() * 1.5e308
    with pytest.raises(FloatingPointError, match="the state overflowed"):
        ours(find("RSE"), process, [0.0, 0.5], lambda z, tau: 0 * z, huge, denoise=False)


def test_bad_input_is_refused_with_one_clear_sentence():
    process, times = PSLD(), [0.0, 0.5]
    z = start(process)
    ready, noisy = plan(find("RSE"), process, times), plan(find("EM"), process, times)
    refusals = [
        (lambda: plan(find("EM", "vp"), process, times), "EM is a vp scheme, not one for psld"),
        (lambda: plan(find("EM"), process, [0.0]), "at least two finite times"),
        (lambda: plan(find("EM"), process, [0.0, 0.5, 0.5]), "does not increase at index 2"),
        (lambda: plan(find("EM"), process, [0.0, 1.5]), r"outside \[0, T\]"),
        (lambda: plan(find("ROBA"), process, times, lambda_s=-1.0), "finite and >= 0"),
        (
            lambda: plan(find("DDPM", "vp"), VP(), times),
            r"beta h = 10 in the step at t = 0, .* below 0.05",
        ),
        (
            lambda: engine.run(ready, lambda z, t: z, z.half()),
            "float64 or float32, not torch.float16",
        ),
        (lambda: engine.run(ready, lambda z, t: z, z[:1]), r"n = 2 for psld, not \(1, 3, 2, 3\)"),
        (
            lambda: engine.run(ready, lambda z, t: z[:1], z),
            r"shape \(2, 3, 2, 3\); .* \(1, 3, 2, 3",
        ),
        (
            lambda: engine.run(noisy, lambda z, t: z, z),
            "stochastic: it needs noise, for 2 component",
        ),
        (lambda: next(run_batches(0)), "at least one sample"),
    ]
    for action, message in refusals:
        with pytest.raises(ValueError, match=message):
            action()


def run_batches(batch):
    process = PSLD()
    return engine.sample(
        find("EM"), process, curved(process), [0.0, 0.5], SHAPE, range(2), batch=batch
    )
