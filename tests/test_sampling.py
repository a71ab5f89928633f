"""Runs that write samples: what they hold, that interruptions leave no trace, and what is refused."""

from __future__ import annotations

import fcntl
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the samplers need torch")
pytest.importorskip("safetensors", reason="checkpoints need safetensors")

from PIL import Image  # noqa: E402

from gpu_samplers import Config, engine, ncsnpp, plain, save_checkpoint  # noqa: E402
from gpu_samplers.distributed import Rank, rank_of  # noqa: E402
from gpu_samplers.noise import Noise  # noqa: E402
from gpu_samplers.processes import PSLD, VP, Langevin, grid, steps_for  # noqa: E402
from gpu_samplers.sampling import BLACK_BOX, Job, write_samples  # noqa: E402
from gpu_samplers.score import NetworkScore  # noqa: E402
from gpu_samplers.shards import read_shard, write_shard  # noqa: E402
from splitting_analysis import find, scheme  # noqa: E402

JOB = Job(find("ROBA"), PSLD(), n=11, nfe=4, shard=4, precision="float64")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tensors this small are slower on two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(channels=2, fault=0.0):
    """A network that is no one's; `fault` is added to the bias of its last layer."""
    torch.manual_seed(0)
    made = ncsnpp(Config(4, 4, (1,), 1, (), 0.0, in_ch=channels, out_ch=channels)).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.2)
        made.all_modules[-1].bias += fault
    return made


def images(folder):
    """What a folder holds, in the order of the index."""
    parts = [read_shard(path) for path in sorted(folder.glob("*.npz"))]
    index = np.concatenate([part[1] for part in parts])
    assert index.tolist() == list(range(len(index)))
    return np.concatenate([part[0] for part in parts])


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def run(folder, job=JOB, batch=2, made=None, **options):
    write_samples(folder, job, made or network(), batch=batch, **options)
    return folder


# What the samples are.


def test_samples_are_those_of_the_engine_and_evaluations_are_those_of_the_network(tmp_path):
    word, net, calls = scheme("O S B A"), network(), []
    job = Job(
        word, PSLD(), 5, 7, seed=3, grid="quadratic", eps=0.01, denoise=False, lambda_s=1.2, state="float32",
        factor="upper", numerical_eps=1e-4,
    )  # fmt: skip
    handle = net.register_forward_hook(lambda *_: calls.append(1))
    made = write_samples(tmp_path, job, net, batch=5)
    handle.remove()
    assert made.nfe == (7, 7) == (len(calls), 7) and made.samples == 5
    score = NetworkScore(net, job.process, factor="upper", numerical_eps=1e-4)
    (direct,) = engine.sample(
        word, job.process, score, grid("quadratic", 7, 1.0, 0.01), (1, 4, 4), range(5), 3, batch=5,
        state_dtype=torch.float32, denoise=False, lambda_s=1.2,
    )  # fmt: skip
    np.testing.assert_array_equal(images(tmp_path), direct.z[0].numpy())
    (path,) = tmp_path.glob("*.npz")
    assert np.load(path)["nfe"].tolist() == [7] * 5


@pytest.mark.parametrize("model_and_name", ["psld ROBAB", "psld RVV", "psld SSCS", "vp Heun", "vp EM"])
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
        printed = plain.sample(name, process, NetworkScore(net, process, torch.float64), prior, times, noise)
    np.testing.assert_allclose(images(tmp_path), printed[0], rtol=1e-5, atol=1e-5)
    assert printed[0].std() > 0.1


def test_merged_noise_makes_other_samples_by_the_engine_s_plan_with_merged_noise(tmp_path):
    net = network()
    sscs = find("SSCS")
    job = replace(JOB, scheme=sscs, merge_noise=True)
    run(tmp_path / "merged", job, made=net)
    run(tmp_path / "plain", replace(job, merge_noise=False), made=net)
    (batch,) = engine.sample(
        sscs, job.process, NetworkScore(net, job.process, torch.float64), job.times, (1, 4, 4),
        range(job.n), merge_noise=True,
    )  # fmt: skip
    np.testing.assert_allclose(images(tmp_path / "merged"), batch.z[0], rtol=1e-5, atol=1e-5)
    assert np.abs(images(tmp_path / "merged") - images(tmp_path / "plain")).max() > 0.1


def test_samples_depend_neither_on_batch_nor_shard_nor_memory_format_but_on_the_seed(tmp_path):
    first = images(run(tmp_path / "2"))
    others = [
        run(tmp_path / "3", batch=3), run(tmp_path / "4", batch=4, channels_last=True),
        run(tmp_path / "5", replace(JOB, shard=100), batch=64),
    ]  # fmt: skip
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
    for tol in (1e-2, 1e-5):
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


# Interruptions.

KILLED = """
import os, signal
from gpu_samplers import load_checkpoint
from tests.test_sampling import JOB, write_samples

def progress(done, total):
    if done == 6:  # in the middle of the second shard
        os.kill(os.getpid(), signal.SIGKILL)

write_samples("out", JOB, load_checkpoint("net.safetensors"), batch=2, progress=progress)
"""


def test_a_run_that_was_killed_goes_on_to_exactly_what_it_would_have_been(tmp_path):
    root = Path(__file__).parents[1]
    save_checkpoint(tmp_path / "net.safetensors", network())
    killed = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{KILLED}"],
        cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip
    assert killed.returncode == -9
    folder = tmp_path / "out"
    assert list(files(folder)) == ["00000000-00000003.npz", "run.json"]
    (first,) = folder.glob("*.npz")
    born = first.stat().st_mtime_ns
    asked = []
    write_samples(folder, JOB, network(), batch=2, progress=lambda *counts: asked.append(counts))
    assert asked == [(2, 7), (4, 7), (6, 7), (7, 7)]
    assert first.stat().st_mtime_ns == born
    assert files(folder) == files(run(tmp_path / "whole"))


def test_a_run_that_is_complete_makes_nothing(tmp_path):
    run(tmp_path)
    broken = network()
    broken.forward = None
    made = write_samples(tmp_path, JOB, broken, batch=2)
    assert (made.samples, made.nfe) == (0, (0, 0))


def test_an_interruption_while_a_file_is_written_leaves_no_file_of_its_name(tmp_path, monkeypatch):
    def cut(file, **_):
        file.write(b"PK")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", cut)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "cut")
    assert not list((tmp_path / "cut").glob("*.npz")) and len(files(tmp_path / "cut")) == 2
    assert files(run(tmp_path / "cut")) == files(run(tmp_path / "whole"))


def truncated(path):
    path.write_bytes(path.read_bytes()[:-30])


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def of_another_index(path):
    path.write_bytes((path.parent / "00000004-00000007.npz").read_bytes())


DAMAGES = [truncated, flipped, lambda path: path.write_bytes(b""), lambda path: path.unlink()]


@pytest.mark.parametrize(
    ("form", "victim", "damage"),
    [("npz", "00000000-00000003.npz", damage) for damage in [*DAMAGES, of_another_index]]
    + [("png", "00000002.png", damage) for damage in DAMAGES],
)
def test_a_shard_that_is_damaged_is_made_again_and_no_other(tmp_path, form, victim, damage):
    run(tmp_path, replace(JOB, form=form))
    whole, times = files(tmp_path), {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    damage(tmp_path / victim)
    made = write_samples(tmp_path, replace(JOB, form=form), network(), batch=2)
    assert made.samples == 4
    assert files(tmp_path) == whole
    touched = {path.name for path, at in times.items() if path.stat().st_mtime_ns != at}
    assert touched == ({victim} if form == "npz" else {f"0000000{i}.png" for i in range(4)})


# What is refused.


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"scheme": find("EM")}, 'word is "O S B A" there, "S E" here'),
        ({"n": 12}, "n is 11 there, 12 here"),
        ({"nfe": 5}, "nfe is 4 there, 5 here"),
        ({"seed": 1}, "seed is 0 there, 1 here"),
        ({"grid": "quadratic"}, 'grid is "uniform" there, "quadratic" here'),
        ({"eps": 1e-4}, "eps is 0.001 there, 0.0001 here"),
        ({"denoise": False}, "denoise is true there, false here"),
        ({"lambda_s": 1.2}, "lambda_s is null there, 1.2 here"),
        ({"precision": "bf16"}, 'precision is "float64" there, "bf16" here'),
        ({"state": "float32"}, 'state is "float64" there, "float32" here'),
        ({"factor": "upper"}, 'factor is "lower" there, "upper" here'),
        ({"numerical_eps": 1e-9}, "numerical_eps is 0.0 there, 1e-09 here"),
        ({"shard": 5}, "shard is 4 there, 5 here"),
        ({"form": "png"}, 'form is "npz" there, "png" here'),
        ({"process": PSLD(Gamma=0.0, nu=4.0)}, "process Gamma is 0.01 there, 0.0 here; process nu is 4.01"),
    ],
)
def test_a_folder_holds_samples_of_one_run_and_the_setting_that_differs_is_named(tmp_path, change, named):
    run(tmp_path, replace(JOB, n=11))
    before = files(tmp_path)
    with pytest.raises(ValueError, match=re.escape(named)):
        run(tmp_path, replace(JOB, **change))
    assert files(tmp_path) == before


def test_a_folder_holds_samples_of_one_network_and_one_version(tmp_path):
    run(tmp_path)
    with pytest.raises(ValueError, match="weights sha256 is"):
        run(tmp_path, made=network(fault=1e-7))
    record = tmp_path / "run.json"
    record.write_text(record.read_text().replace(f'"torch": "{torch.__version__}', '"torch": "1.0'))
    with pytest.raises(ValueError, match=r'versions torch is "1\.0" there, "2'):
        run(tmp_path)


def test_a_folder_that_cannot_hold_samples_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"file: cannot hold samples: .*exists"):
        run(tmp_path / "file")
    (tmp_path / "00000000.png").touch()
    with pytest.raises(ValueError, match=r"holds 00000000\.png but no run\.json"):
        run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json: cannot be read"):
        run(tmp_path)


def test_two_commands_do_not_write_to_one_folder_at_a_time(tmp_path):
    run(tmp_path, replace(JOB, n=4))
    with (tmp_path / "run.json").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another command is writing samples there"):
            run(tmp_path, replace(JOB, n=4))
    run(tmp_path, replace(JOB, n=4))


@pytest.mark.parametrize("job", [JOB, Job(None, PSLD(), 3, tol=1e-2)], ids=["word", "black box"])
def test_a_network_that_returns_nan_is_named_with_sampler_and_time_and_nothing_is_kept(tmp_path, job):
    with pytest.raises(
        FloatingPointError, match=rf"{job.name}.*score is NaN.*reverse time t = 0 \(forward 1"
    ):
        run(tmp_path, job, made=network(fault=float("nan")))
    assert list(files(tmp_path)) == ["run.json"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": 0}, "n = 0, shard = 4: both count samples, from 1"),
        ({"shard": 0}, "n = 11, shard = 0"),
        ({"nfe": 1}, "1 evaluations buy no step of ROBA"),
        ({"nfe": None}, "nfe: ROBA needs a budget"),
        ({"tol": 0.1}, "tol = 0.1: ROBA has fixed steps"),
        ({"grid": "cubic"}, "no grid 'cubic'; there are: uniform, quadratic"),
        ({"precision": "float16"}, "no precision 'float16'; there are: float32, bf16, float64"),
        ({"state": "bf16"}, "no state 'bf16'; there are: float64, float32"),
        ({"factor": "left"}, "no factor 'left'; there are: lower, upper"),
        ({"form": "jpg"}, "no format 'jpg'; there are: npz, png"),
        ({"eps": 1.0}, "eps = 1.0: the grid ends at T - eps, 0 <= eps < T = 1"),
        ({"eps": float("nan")}, "eps = nan"),
        ({"numerical_eps": -1.0}, "numerical_eps = -1.0"),
        ({"lambda_s": -1.0}, "lambda_s = -1.0"),
        ({"lambda_s": float("inf")}, "lambda_s = inf"),
        ({"scheme": find("EM"), "lambda_s": 1.0}, "lambda_s: EM has no letter O whose noise"),
        ({"process": VP()}, "ROBA is a psld scheme, not one for vp"),
        (
            {"scheme": find("BAOAB", "langevin"), "process": Langevin()},
            "a network is trained for psld or vp, not langevin",
        ),
        ({"scheme": None}, "nfe = 4: RK45 adaptive takes what its tolerance tol asks for"),
        ({"scheme": None, "nfe": None}, "tol = None: RK45 adaptive takes a tolerance between 0 and 1"),
        ({"scheme": None, "nfe": None, "tol": 0.0}, "tol = 0.0: RK45 adaptive takes a tolerance"),
        ({"scheme": None, "nfe": None, "tol": 0.1, "grid": "quadratic"}, "chooses its steps itself"),
        (
            {"scheme": None, "nfe": None, "tol": 0.1, "lambda_s": 1.0},
            "lambda_s: RK45 adaptive has no letter O",
        ),
        ({"scheme": None, "nfe": None, "tol": 0.1, "process": VP()}, "RK45 adaptive runs on psld, not on vp"),
    ],
)
def test_a_job_that_cannot_be_run_is_refused_with_a_way_out(wrong, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(JOB, **wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch": 5}, "batch = 5: a batch is a part of a shard, from 1 to shard = 4"),
        ({"batch": 0}, "batch = 0"),
        ({"made": network(3)}, "a network with 3 channels in and 3 out: a psld state has 2 component"),
        ({"made": network(4), "job": replace(JOB, form="png")}, "an image has 1 or 3 channels, not 2"),
        ({"device": "tpu"}, "no device 'tpu'; there are: cpu, cuda"),
        ({"device": "cuda", "rank": Rank(local=99)}, "device cuda:99: torch"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_anything_is_written(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        run(tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_the_record_is_json_with_everything_that_the_samples_depend_on(tmp_path):
    run(tmp_path)
    told = json.loads((tmp_path / "run.json").read_text())
    assert {
        "word",
        "process",
        "grid",
        "nfe",
        "seed",
        "weights sha256",
        "precision",
        "versions",
    } <= told.keys()
    assert told["process"]["kappa"] == 0.04 and told["network"]["image_size"] == 4
    assert "batch" not in told


# Ranks.


def test_the_launchers_environment_says_which_process_this_is():
    assert rank_of({}) == Rank(0, 1, 0)
    assert rank_of({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}) == Rank(5, 8, 1)
    assert Rank(local=3).device("cpu") == torch.device("cpu")
    for bad in ({"RANK": "1"}, {"RANK": "-1", "WORLD_SIZE": "2"}, {"WORLD_SIZE": "two"}):
        with pytest.raises(ValueError, match=r"RANK = "):
            rank_of(bad)
