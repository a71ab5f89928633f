"""Folders of samples: interruptions, what is refused, several processes."""

from __future__ import annotations

import json
import os
import re
import signal
import warnings
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the samplers need torch")
pytest.importorskip("safetensors", reason="checkpoints need safetensors")


from gpu_samplers.distributed import Rank, rank_of  # noqa: E402
from gpu_samplers.job import Job  # noqa: E402
from gpu_samplers.processes import PSLD, VP, Langevin  # noqa: E402
from gpu_samplers.sampling import write_samples  # noqa: E402
from splitting_analysis import find  # noqa: E402
from tests.sampled import JOB, files, network, run  # noqa: E402

# Interruptions.


def killed(folder):
    """Writes samples in a process of its own that is killed in the middle of the second shard."""

    def progress(done, _):
        if done == 6:
            os.kill(os.getpid(), signal.SIGKILL)

    with warnings.catch_warnings():
        # Python warns of threads, which might hold locks: nothing here waits for one, and not long.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        signal.alarm(60)
        try:
            write_samples(folder, JOB, network(), batch=2, progress=progress)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def test_a_run_that_was_killed_goes_on_to_exactly_what_it_would_have_been(tmp_path):
    folder = tmp_path / "out"
    killed(folder)
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
    assert list(files(tmp_path / "cut")) == ["run.json"]
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


@pytest.mark.share(4)
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


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """The samples of JOB, which no test may change."""
    return run(tmp_path_factory.mktemp("complete"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"scheme": find("EM")}, 'word is "O S B A" there, "S E" here'),
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
        (
            {"process": PSLD(Gamma=0.0, nu=4.0)},
            "process Gamma is 0.01 there, 0.0 here; process nu is 4.01",
        ),
    ],
)
def test_a_folder_holds_samples_of_one_run_and_the_setting_that_differs_is_named(
    complete, change, named
):
    before = files(complete)
    with pytest.raises(ValueError, match=re.escape(named)):
        run(complete, replace(JOB, **change))
    assert files(complete) == before


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
    with pytest.raises(ValueError, match=r"file: cannot be written to: \S*file is no folder; give"):
        run(tmp_path / "file")
    (tmp_path / "00000000.png").touch()
    with pytest.raises(ValueError, match=r"holds 00000000\.png but no run\.json"):
        run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json: cannot be read"):
        run(tmp_path)


def test_two_commands_do_not_write_to_one_folder_at_a_time(tmp_path):
    run(tmp_path, replace(JOB, n=4))
    asked = []

    def second(*_):
        with pytest.raises(ValueError, match="another command is writing samples there"):
            run(tmp_path, replace(JOB, n=9))
        asked.append(1)

    run(tmp_path, replace(JOB, n=8), progress=second)
    assert len(asked) == 2
    run(tmp_path, replace(JOB, n=4))


@pytest.mark.parametrize("job", [JOB, Job(None, PSLD(), 3, tol=1e-2)], ids=["word", "black box"])
def test_a_network_that_returns_nan_is_named_with_sampler_and_time_and_nothing_is_kept(
    tmp_path, job
):
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
        (
            {"precision": "float16"},
            "no precision 'float16'; there are: float32, tf32, bf16, float64",
        ),
        ({"state": "bf16"}, "no state 'bf16'; there are: float64, float32"),
        ({"factor": "left"}, "no factor 'left'; there are: lower, upper"),
        ({"form": "jpg"}, "no format 'jpg'; there are: npz, png"),
        ({"eps": 1.0}, "eps = 1.0: the grid ends at T - eps, 0 <= eps < T = 1"),
        ({"eps": float("nan")}, "eps = nan"),
        *(
            ({"numerical_eps": eps}, f"numerical_eps = {eps}: it is added to variances of order 1")
            for eps in (-1.0, 0.011, 1e308, float("inf"), float("nan"))
        ),
        ({"lambda_s": -1.0}, "lambda_s = -1.0"),
        ({"lambda_s": float("inf")}, "lambda_s = inf"),
        ({"scheme": find("EM"), "lambda_s": 1.0}, "lambda_s: EM has no letter O whose noise"),
        ({"process": VP()}, "ROBA is a psld scheme, not one for vp"),
        (
            {"scheme": find("BAOAB", "langevin"), "process": Langevin()},
            "a network is trained for psld or vp, not langevin",
        ),
        ({"scheme": None}, "nfe = 4: RK45 adaptive takes what its tolerance tol asks for"),
        (
            {"scheme": None, "nfe": None},
            "tol = None: RK45 adaptive takes a tolerance between 0 and 1",
        ),
        ({"scheme": None, "nfe": None, "tol": 0.0}, "tol = 0.0: RK45 adaptive takes a tolerance"),
        (
            {"scheme": None, "nfe": None, "tol": 0.1, "grid": "quadratic"},
            "chooses its steps itself",
        ),
        (
            {"scheme": None, "nfe": None, "tol": 0.1, "lambda_s": 1.0},
            "lambda_s: RK45 adaptive has no letter O",
        ),
        (
            {"scheme": None, "nfe": None, "tol": 0.1, "process": VP()},
            "RK45 adaptive runs on psld, not on vp",
        ),
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
        (
            {"made": network(3)},
            "a network with 3 channels in and 3 out: a psld state has 2 component",
        ),
        (
            {"made": network(4), "job": replace(JOB, form="png")},
            "an image has 1 or 3 channels, not 2",
        ),
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
