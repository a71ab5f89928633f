"""Runs that write samples: what they hold, that interruptions leave no trace, and what is
refused.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the samplers need torch")
pytest.importorskip("safetensors", reason="checkpoints need safetensors")

from PIL import Image  # noqa: E402

import splitting_analysis as sa  # noqa: E402
from gpu_samplers import engine, plain, sampling  # noqa: E402
from gpu_samplers.distributed import Rank  # noqa: E402
from gpu_samplers.job import BLACK_BOX, Job, settings_of  # noqa: E402
from gpu_samplers.noise import Noise  # noqa: E402
from gpu_samplers.processes import PSLD, VP, grid, steps_for  # noqa: E402
from gpu_samplers.sampling import Made, write_samples  # noqa: E402
from gpu_samplers.score import NetworkScore  # noqa: E402
from gpu_samplers.shards import write_shard  # noqa: E402
from splitting_analysis import find, scheme  # noqa: E402
from splitting_analysis.schemes import Denoise  # noqa: E402
from tests.sampled import JOB, files, images, network, run  # noqa: E402

# What the samples are.


def test_samples_are_those_of_the_engine_and_evaluations_are_those_of_the_network(tmp_path):
    word, net, calls = scheme("O S B A"), network(), []
    job = Job(
        word,
        PSLD(),
        5,
        7,
        seed=3,
        grid="quadratic",
        eps=0.01,
        denoise=False,
        lambda_s=1.2,
        state="float32",
        factor="upper",
        numerical_eps=1e-4,
    )
    handle = net.register_forward_hook(lambda *_: calls.append(1))
    made = write_samples(tmp_path, job, net, batch=5)
    handle.remove()
    assert made.nfe == (7, 7) == (len(calls), 7) and made.samples == 5
    score = NetworkScore(net, job.process, factor="upper", numerical_eps=1e-4)
    (direct,) = engine.sample(
        word,
        job.process,
        score,
        grid("quadratic", 7, 1.0, 0.01),
        (1, 4, 4),
        range(5),
        3,
        batch=5,
        state_dtype=torch.float32,
        denoise=False,
        lambda_s=1.2,
    )
    np.testing.assert_array_equal(images(tmp_path), direct.z[0].numpy())
    (path,) = tmp_path.glob("*.npz")
    assert np.load(path)["nfe"].tolist() == [7] * 5


def test_whatever_makes_other_samples_makes_other_settings_of_a_folder():
    told = sa.scheme
    schemes = [
        told("P2M"),
        told("LDDIM-I"),
        told("P2M", eta=1),
        told("P2M", eta="1/2"),
        told("P2M", clock="rho"),
    ]
    schemes += [told("P2M", factor="upper"), told("P2M", lower_order_final=True)]
    schemes += [told("LDDIM-I", lambda_=0.5), told("LDDIM-I", skip=2), told("LDDIM-I", skip=3)]
    jobs = [Job(each, PSLD(), 4, 9) for each in schemes]
    jobs += [Job(told("ROBA", lambda_s=value), PSLD(), 4, 9) for value in (1, "5/4")]
    first = jobs[0]
    changes: list[tuple[str, Any]] = [
        ("nfe", 8), ("seed", 1), ("grid", "quadratic"), ("eps", 0.01), ("denoise", False),
        ("denoise", "data"), ("precision", "bf16"), ("state", "float32"), ("factor", "upper"),
        ("numerical_eps", 1e-9), ("process", PSLD(nu=3)), ("merge_noise", True),
    ]  # fmt: skip
    jobs += [replace(first, **{key: value}) for key, value in changes]
    net, other = network(), network()
    found = [settings_of(job, net, 2) for job in jobs]
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1
    found.append(settings_of(first, other, 2))
    assert all(one != two for one, two in combinations(found, 2))
    assert settings_of(first, network(), 4) == found[0]


def test_a_grid_that_ends_at_the_data_leaves_no_evaluation_for_a_denoising_step():
    for eps, steps in ((0.01, 49), (0.0, 50)):
        assert len(Job(find("ROBA"), PSLD(), 1, 50, eps=eps).times) == steps + 1
    for end, nfe in ((0.9, 3), (1.0, 2)):  # a grid that is given says itself where it ends
        job = Job(find("ROBA"), PSLD(), 1, grid=(0.0, 0.5, end))
        assert (job.nfe, job.eps) == (nfe, 1 - end) and bool(job.denoises) == (end < 1)


def test_the_black_box_ends_as_it_is_asked_to(tmp_path):
    ends = []
    ways: tuple[Denoise, ...] = (True, False, "data")
    for k, denoise in enumerate(ways):
        run(tmp_path / str(k), Job(None, PSLD(), 1, tol=0.5, eps=0.1, denoise=denoise))
        ends.append(images(tmp_path / str(k)))
    assert all(np.abs(one - two).max() > 1e-3 for one, two in combinations(ends, 2))


def test_processes_share_the_shards_that_are_left(tmp_path, monkeypatch):
    """None waits for another here, and none makes what it is to make."""
    asked = []

    def make(_, job, shards, *rest):
        asked.append(shards)
        return Made(0, 0.0, (0, 0))

    monkeypatch.setattr(sampling, "meeting", lambda _: nullcontext(lambda: None))
    monkeypatch.setattr(sampling, "_make", make)
    for k in (0, 1):
        write_samples(tmp_path, replace(JOB, n=7, shard=2), network(), rank=Rank(k, 2))
    assert asked == [[range(2), range(4, 6)], [range(2, 4), range(6, 7)]]


@pytest.mark.parametrize(
    "model_and_name", ["psld ROBAB", "psld RVV", "psld SSCS", "vp Heun", "vp EM"]
)
def test_samples_are_those_of_the_paper_on_the_same_noise(tmp_path, model_and_name):
    model, name = model_and_name.split()
    process = PSLD(beta_min=2.0) if model == "psld" else VP()
    entry, net = find(name, model), network(2 if model == "psld" else 1)
    job = Job(entry, process, 3, 9, seed=1, precision="float64")
    run(tmp_path, job, 3, net)
    noise = Noise(1, range(3), (1, 4, 4))
    prior = noise(len(process.stationary)).double()
    prior *= torch.tensor(process.stationary, dtype=torch.float64).sqrt().view(-1, 1, 1, 1, 1)
    times = grid("uniform", steps_for(9, entry), process.T)
    with torch.no_grad():
        printed = plain.sample(
            name, process, NetworkScore(net, process, torch.float64), prior, times, noise
        )
    np.testing.assert_allclose(images(tmp_path), printed[0], rtol=1e-5, atol=1e-5)
    assert printed[0].std() > 0.1


def test_merged_noise_makes_other_samples_by_the_engine_s_plan_with_merged_noise(tmp_path):
    net = network()
    sscs = find("SSCS")
    job = replace(JOB, scheme=sscs, merge_noise=True)
    run(tmp_path / "merged", job, made=net)
    run(tmp_path / "plain", replace(job, merge_noise=False), made=net)
    (batch,) = engine.sample(
        sscs,
        job.process,
        NetworkScore(net, job.process, torch.float64),
        job.times,
        (1, 4, 4),
        range(job.n),
        merge_noise=True,
    )
    np.testing.assert_allclose(images(tmp_path / "merged"), batch.z[0], rtol=1e-5, atol=1e-5)
    assert np.abs(images(tmp_path / "merged") - images(tmp_path / "plain")).max() > 0.1


def test_samples_depend_neither_on_batch_nor_shard_nor_memory_format_but_on_the_seed(tmp_path):
    first = images(run(tmp_path / "2"))
    others = [
        run(tmp_path / "3", batch=3),
        run(tmp_path / "4", batch=4, channels_last=True),
        run(tmp_path / "5", replace(JOB, shard=100), batch=64),
    ]
    for other in others:
        np.testing.assert_allclose(images(other), first, rtol=0, atol=1e-6 * np.abs(first).max())
    assert np.abs(images(run(tmp_path / "6", replace(JOB, seed=1))) - first).max() > 0.1
    assert len(list((tmp_path / "5").glob("*.npz"))) == 1


def test_more_samples_begin_with_the_same(tmp_path):
    few, more = run(tmp_path / "few", replace(JOB, n=6)), run(tmp_path / "more")
    np.testing.assert_allclose(images(few), images(more)[:6], rtol=1e-6, atol=1e-6)


def test_a_network_in_bf16_and_a_state_in_float32_come_close_to_double_precision(tmp_path):
    exact = images(run(tmp_path / "exact"))
    single = images(run(tmp_path / "single", replace(JOB, precision="float32", state="float32")))
    half = images(run(tmp_path / "half", replace(JOB, precision="bf16")))
    scale = np.abs(exact).max()
    assert 0 < np.abs(single - exact).max() < 1e-4 * scale
    assert np.abs(single - exact).max() < np.abs(half - exact).max() < 0.1 * scale


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_png_are_the_images_clipped_to_bytes_and_named_by_index(tmp_path, channels, mode):
    arrays = np.random.default_rng(0).uniform(-1.3, 1.3, (3, channels, 4, 5)).astype(np.float32)
    write_shard(tmp_path, "png", range(7, 10), arrays, [1, 1, 1])
    assert list(files(tmp_path)) == ["00000007.png", "00000008.png", "00000009.png"]
    for i, array in enumerate(arrays):
        with Image.open(tmp_path / f"0000000{7 + i}.png") as image:
            assert image.mode == mode
            pixels = np.asarray(image).reshape(4, 5, channels)
        for (c, y, x), value in np.ndenumerate(array):
            assert abs(pixels[y, x, c] - 255 * (min(max(value, -1), 1) + 1) / 2) <= 0.5 + 1e-4
        assert {0, 255} < set(pixels.ravel().tolist())


def test_png_and_npz_hold_the_same_samples(tmp_path):
    net = network(6)
    arrays = images(run(tmp_path / "npz", made=net))
    run(tmp_path / "png", replace(JOB, form="png"), made=net)
    assert list(files(tmp_path / "png")) == [f"{i:08d}.png" for i in range(11)] + ["run.json"]
    for i, array in enumerate(arrays):
        pixels = np.asarray(Image.open(tmp_path / "png" / f"{i:08d}.png"))
        np.testing.assert_array_equal(pixels[array.transpose(1, 2, 0) > 1], 255)
        np.testing.assert_array_equal(pixels[array.transpose(1, 2, 0) < -1], 0)


# The black box.


def test_the_black_box_reports_the_evaluations_it_took_and_takes_more_for_less_error(tmp_path):
    net, process = network(), PSLD()
    taken = []
    for tol in (1e-1, 1e-3):
        job = Job(None, process, 3, tol=tol, precision="float64")
        made = write_samples(tmp_path / f"{tol}", job, net, batch=3)
        noise = Noise(0, range(3), (1, 4, 4))
        prior = noise(2).double() * torch.tensor([1, process.M]).sqrt().view(2, 1, 1, 1, 1)
        score = engine.Counted(NetworkScore(net, process, torch.float64))
        with torch.no_grad():
            end = plain.sample(BLACK_BOX, process, score, prior, (0.0, 0.999), None, tol=tol)
        np.testing.assert_allclose(images(tmp_path / f"{tol}"), end[0], rtol=1e-5, atol=1e-5)
        assert made.nfe == (score.calls, score.calls)
        taken.append(score.calls)
    assert taken[0] < taken[1]


def test_the_black_box_has_one_step_size_for_a_batch_so_the_batch_is_part_of_its_job(tmp_path):
    job = Job(None, PSLD(), 2, tol=1e-2)
    run(tmp_path, job, batch=2)
    with pytest.raises(ValueError, match="batch is 2 there, 1 here"):
        run(tmp_path, job, batch=1)


def test_the_network_of_the_caller_stays_as_it_is_and_so_its_samples(tmp_path):
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    half, fast = replace(JOB, precision="bf16"), replace(JOB, precision="float32")
    first = images(run(tmp_path / "first", JOB, made=net))
    for name, job, winograd in (("half", half, False), ("fast", fast, True)):
        run(tmp_path / name, job, made=net, winograd=winograd)
        assert write_samples(tmp_path / name, job, net, batch=2, winograd=winograd).samples == 0
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    np.testing.assert_array_equal(images(run(tmp_path / "again", JOB, made=net)), first)


def test_a_batch_is_64_samples_or_the_shard(tmp_path):
    default = images(run(tmp_path / "default", batch=None))
    np.testing.assert_array_equal(default, images(run(tmp_path / "shard", batch=JOB.shard)))
