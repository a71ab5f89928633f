"""One folder, asked again: for more samples or fewer, after failures, on a disk that is full."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the samplers need torch")
pytest.importorskip("safetensors", reason="checkpoints need safetensors")

from PIL import Image  # noqa: E402

from gpu_samplers import memory, sampling, save_checkpoint, shards  # noqa: E402
from gpu_samplers.job import Job  # noqa: E402
from gpu_samplers.processes import PSLD  # noqa: E402
from gpu_samplers.sampling import write_samples  # noqa: E402
from reports.cli import main  # noqa: E402
from tests.sampled import JOB, files, network, run  # noqa: E402


def content(folder):
    """What a folder holds, but for how many samples its record says."""
    found = files(folder)
    return {name: data for name, data in found.items() if name != "run.json"}


@pytest.mark.share(6)
@pytest.mark.parametrize("form", ["npz", "png"])
@pytest.mark.parametrize(("shard", "batch"), [(4, 2), (512, 64), (3, 3)])
def test_more_samples_are_to_the_bit_those_of_a_run_that_was_asked_for_them_at_once(
    tmp_path, form, shard, batch
):
    job = replace(JOB, shard=shard, form=form)
    for n in (5, 6, 11):
        run(tmp_path / "grown", replace(job, n=n), batch)
    assert files(tmp_path / "grown") == files(run(tmp_path / "fresh", replace(job, n=11), batch))


@pytest.mark.share(4)
@pytest.mark.parametrize("form", ["npz", "png"])
@pytest.mark.parametrize("shard", [4, 512])
def test_fewer_samples_keep_what_is_there_and_say_so(tmp_path, form, shard):
    job = replace(JOB, shard=shard, form=form)
    whole = files(run(tmp_path, job))
    made = write_samples(tmp_path, replace(job, n=6), network(), batch=2)
    assert files(tmp_path) == whole
    assert (made.samples, made.kept) == (0, 5)
    run(tmp_path, job)
    assert files(tmp_path) == whole


def test_of_fewer_samples_only_those_are_made_that_are_missing(tmp_path):
    whole = content(run(tmp_path))
    (tmp_path / "00000000-00000003.npz").unlink()
    (tmp_path / "00000008-00000010.npz").unlink()
    made = write_samples(tmp_path, replace(JOB, n=6), network(), batch=2)
    assert (made.samples, made.kept) == (4, 2)
    del whole["00000008-00000010.npz"]
    assert content(tmp_path) == whole


def test_a_run_killed_between_a_longer_shard_and_the_removal_of_the_shorter_is_put_right(tmp_path):
    whole = files(run(tmp_path / "a", replace(JOB, n=8, shard=512)))
    run(tmp_path / "b", replace(JOB, n=5, shard=512))
    shorter = (tmp_path / "b/00000000-00000004.npz").read_bytes()
    (tmp_path / "a/00000000-00000004.npz").write_bytes(shorter)
    run(tmp_path / "a", replace(JOB, n=8, shard=512))
    assert files(tmp_path / "a") == whole


def test_the_record_says_the_most_that_was_asked_for(tmp_path):
    for n, told in ((6, 6), (11, 11), (3, 11)):
        run(tmp_path, replace(JOB, n=n))
        assert json.loads((tmp_path / "run.json").read_text())["n"] == told


@pytest.mark.share(3)
@pytest.mark.parametrize("failing", [network(fault=float("nan")), None], ids=["nan", "interrupted"])
def test_a_run_that_made_no_sample_leaves_its_folder_to_any_other(tmp_path, failing):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises((FloatingPointError, KeyboardInterrupt)):
        run(tmp_path / "x", JOB, made=failing, partly=stop if failing is None else None)
    other = replace(JOB, seed=3, nfe=5, form="png", shard=2)
    assert files(run(tmp_path / "x", other)) == files(run(tmp_path / "y", other))


WRITERS = [
    (np, "savez"),
    (Image.Image, "save"),
    (Path, "write_text"),
    (Path, "replace"),
    (Path, "chmod"),
]


@pytest.mark.share(6)
@pytest.mark.parametrize(("owner", "name"), WRITERS, ids=[name for _, name in WRITERS])
@pytest.mark.parametrize("after", [0, 1])
def test_a_disk_that_is_full_leaves_whole_files_only_and_the_same_command_goes_on(
    tmp_path, monkeypatch, owner, name, after
):
    job = replace(JOB, form="png" if name == "save" else "npz")
    real, calls = getattr(owner, name), []

    def full(*arguments, **options):
        calls.append(1)
        if len(calls) <= after:
            return real(*arguments, **options)
        if name in ("savez", "save"):
            target = arguments[0 if name == "savez" else 1]
            target.write(b"half") if name == "savez" else Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, full)
        if name == "write_text" and after:
            run(tmp_path / "x", job)  # the record alone is text
        else:
            with pytest.raises(ValueError, match=r"cannot be written: No space left on device"):
                run(tmp_path / "x", job)
    assert not list((tmp_path / "x").glob(".*"))
    assert files(run(tmp_path / "x", job)) == files(run(tmp_path / "whole", job))


def test_every_file_of_a_run_has_the_permissions_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        run(tmp_path / "a")
        run(tmp_path / "b", replace(JOB, form="png"))
        save_checkpoint(tmp_path / "c.safetensors", network())
    finally:
        os.umask(before)
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o640, path


def test_leftovers_of_a_killed_run_are_removed(tmp_path):
    run(tmp_path)
    (tmp_path / ".00000000-00000099.npz.part").write_bytes(b"half")
    run(tmp_path)
    assert not list(tmp_path.glob(".*"))


# Limits.


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"n": 10**20}, "n = 100000000000000000000: a seed has 4294967296 samples"),
        ({"n": 2**32 + 1, "shard": 2**20}, "a seed has 4294967296 samples"),
        ({"n": 10**9, "shard": 1}, "more than 1000000 in one folder; give shard >= 1000"),
        ({"n": 10**7, "form": "png", "shard": 10**6}, "more than 1000000 in one folder, or npz"),
        ({"nfe": 10**8}, "nfe = 100000000: at most 20000 evaluations per sample"),
        ({"nfe": 10**300}, "at most 20000 evaluations"),
    ],
)
def test_what_would_run_without_end_is_refused_with_its_reason(wrong, says):
    with pytest.raises(ValueError, match=r"^(n|nfe) = ") as error:
        replace(JOB, **wrong)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("precision", "state", "tol", "fine"),
    [
        ("float32", "float64", 1e-15, False),
        ("float32", "float64", 1e-10, False),
        ("float32", "float64", 1e-8, True),
        ("float64", "float64", 1e-15, False),
        ("float64", "float64", 1e-12, True),
        ("bf16", "float64", 1e-5, False),
        ("bf16", "float64", 1e-4, True),
        ("float32", "float32", 1e-6, False),
        ("float32", "float32", 1e-4, True),
    ],
)
def test_a_tolerance_below_the_rounding_is_refused_with_the_least_that_is_not(
    precision, state, tol, fine
):
    def job():
        return Job(None, PSLD(), 1, tol=tol, precision=precision, state=state)

    if fine:
        assert job().tol == tol
        return
    with pytest.raises(
        ValueError, match=rf"tol = {tol}: .* in {precision} .* in {state} .*give tol >= "
    ):
        job()


def test_step_control_that_does_not_arrive_is_given_up_and_says_where(tmp_path, monkeypatch):
    monkeypatch.setattr(sampling, "MOST_EVALUATIONS", 20)
    with pytest.raises(
        FloatingPointError, match=r"20 evaluations have led to reverse time t = \S+ only"
    ):
        run(tmp_path, Job(None, PSLD(), 1, tol=1e-6), batch=1)


@pytest.mark.parametrize(
    ("change", "batch", "says"),
    [
        (
            {"n": 10**8, "shard": 10**8},
            10**8,
            r"a batch of 100000000 samples needs at least \S+ .B of mem",
        ),
        (
            {"n": 10**9, "shard": 10**9},
            64,
            r"a shard of 1000000000 samples needs at least 128 GB of memory",
        ),
    ],
)
def test_a_batch_or_a_shard_larger_than_the_memory_is_refused_before_anything_is_made(
    tmp_path, monkeypatch, change, batch, says
):
    monkeypatch.setattr(memory, "memory", lambda *_: 1e10)
    with pytest.raises(ValueError, match=says):
        run(tmp_path / "x", replace(JOB, **change), batch)
    assert not (tmp_path / "x").exists()


def test_more_samples_than_the_disk_holds_are_refused_with_both_numbers(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("gpu_samplers.files.shutil.disk_usage", lambda _: usage._replace(free=700))
    with pytest.raises(ValueError, match="704 bytes are needed there, 700 bytes are free"):
        run(tmp_path / "x")


def test_within_a_batch_progress_counts_the_share_of_its_steps(tmp_path):
    seen = []
    run(tmp_path / "word", replace(JOB, n=2), partly=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 2) and len(seen) >= 3 and all(0 <= done < 2 for done, _ in seen)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    seen.clear()
    run(tmp_path / "box", Job(None, PSLD(), 2, tol=1e-2), partly=lambda *told: seen.append(told))
    assert seen[0][0] == 0 and 1.9 < max(done for done, _ in seen) < 2


# The command.


def sample(net, out, *more):
    main(
        [
            "sample",
            "--sampler",
            "ROBA",
            "--nfe",
            "5",
            "--out",
            str(out),
            "--checkpoint",
            str(net),
            "--shard",
            "2",
            *more,
        ]
    )


@pytest.mark.share(3)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_whole_shards_and_says_how_to_go_on(tmp_path, capsys, monkeypatch, number):
    save_checkpoint(tmp_path / "net.safetensors", network())
    real = shards.write_shard

    def then_told_to_stop(*arguments):
        real(*arguments)
        os.kill(os.getpid(), number)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(sampling, "write_shard", then_told_to_stop)
        with pytest.raises(SystemExit) as stopped:
            sample(tmp_path / "net.safetensors", out, "-n", "6")
    assert stopped.value.code == 128 + number
    assert f"stopped; the same command goes on from what is in {out}\n" in capsys.readouterr().err
    assert list(files(out)) == ["00000000-00000001.npz", "run.json"]
    with pytest.raises(SystemExit):
        sample(tmp_path / "net.safetensors", out, "-n", "4")
    assert "4 samples, 5 evaluations each; 2 made now" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        sample(tmp_path / "net.safetensors", out, "-n", "2")
    assert (
        "2 samples; all were there; 2 more, asked for before, are kept" in capsys.readouterr().out
    )
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
