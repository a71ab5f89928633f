"""Training ends with the same weights and curves however often, and wherever, it is interrupted."""

from __future__ import annotations

import errno
import math
import os
import signal
import stat
import sys

import pytest

from tests.trained import calls, exit_of_the_command, images, look_often, same, settings, weights

torch = pytest.importorskip("torch", reason="training needs torch")

from torch import nn  # noqa: E402

from gpu_samplers import matching, memory, resuming, training  # noqa: E402
from gpu_samplers.checkpoints import read_checkpoint  # noqa: E402
from gpu_samplers.training import train  # noqa: E402
from reports.render import progress  # noqa: E402

__all__ = ["calls", "look_often"]  # fixtures


def stop_in_step(step, error, patch):
    """Let the loss raise `error` in the given step of the next training."""
    steps, loss = [], training.loss_of

    def stopping(network, *arguments):
        steps.extend([1] * network.training)
        if len(steps) == step:
            raise error
        return loss(network, *arguments)

    patch.setattr(training, "loss_of", stopping)


@pytest.mark.share(4)
@pytest.mark.parametrize(
    ("error", "save_every", "kept"),
    [(KeyboardInterrupt, math.inf, 3), (SystemExit, 0.0, 3), (SystemExit, math.inf, 0)],
    ids=["interrupted", "killed after a save", "killed before the first save"],
)
def test_a_run_stopped_in_its_fourth_step_resumes_where_it_was_saved(
    tmp_path, calls, error, save_every, kept
):
    whole, parts, seen = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors", []
    straight = train(settings(steps=6), images(), whole)
    with pytest.MonkeyPatch.context() as patch:
        stop_in_step(4, error, patch)
        with pytest.raises(error):
            train(settings(steps=6), images(), parts, save_every=save_every)
    left = {"whole.safetensors"} | ({"parts.safetensors.partial"} if kept else set())
    assert {path.name for path in tmp_path.iterdir()} == left
    calls.clear()
    record = train(settings(steps=6), images(), parts, progress=lambda done, *_: seen.append(done))
    assert sum(taught for taught, *_ in calls) == 6 - kept
    assert seen == ([4, 6] if kept else [2, 4, 6])
    assert record["curve"] == straight["curve"] and same(weights(whole), weights(parts))
    assert {path.name for path in tmp_path.iterdir()} == {"whole.safetensors", "parts.safetensors"}


@pytest.mark.heavy
@pytest.mark.parametrize("save_every", [0.0, math.inf])
def test_losses_that_are_read_late_are_kept_with_the_run(tmp_path, monkeypatch, save_every):
    """As on a card: whatever stops a run, and wherever it is saved, no loss is lost or counted
    twice.
    """
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    straight = train(settings(steps=6), images(), whole)
    monkeypatch.setattr(training, "_patience", lambda _: 50)
    monkeypatch.setattr(training, "LOOK_EVERY", 4)
    late = train(settings(steps=6), images(), tmp_path / "late.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        stop_in_step(4, KeyboardInterrupt, patch)
        with pytest.raises(KeyboardInterrupt):
            train(settings(steps=6), images(), parts, save_every=save_every)
    assert torch.load(tmp_path / "parts.safetensors.partial")["step"] == 3
    record = train(settings(steps=6), images(), parts)
    assert record["curve"] == late["curve"] and same(weights(whole), weights(parts))
    (_, first, _), (_, second, _), (_, third, _) = straight["curve"]
    assert (
        late["curve"][0][1] == pytest.approx((first + second) / 2) and late["curve"][1][1] == third
    )


def test_a_run_stopped_after_a_bad_step_that_was_not_read_yet_is_stopped_and_not_kept(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "_patience", lambda _: 50)
    steps, loss = [], training.loss_of

    def spoiled(network, *drawn):
        steps.extend([1] * network.training)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return loss(network, *drawn) * math.nan

    monkeypatch.setattr(training, "LOOK_EVERY", 9)
    monkeypatch.setattr(training, "loss_of", spoiled)
    with pytest.raises(KeyboardInterrupt):
        train(settings(steps=6), images(), tmp_path / "net.safetensors")
    assert len(steps) == 3 and not list(tmp_path.iterdir())


def test_how_adam_is_computed_is_the_device_s_own_and_what_it_computes_the_run_s():
    began, resumed = (training._started(settings(), "cpu") for _ in range(2))
    state, own = began.state(), dict(resumed.optimizer.param_groups[0])
    state["optimizer"]["param_groups"][0] |= {"fused": True, "foreach": False, "lr": 0.25}
    state["step"] = 3
    assert "another kind" not in resuming._optimizer_problem(state["optimizer"], began.optimizer)
    resumed.restore(state)
    group = resumed.optimizer.param_groups[0]
    assert (group["fused"], group["foreach"]) == (own["fused"], own["foreach"])
    assert group["lr"] == 0.25 != own["lr"] and not own["fused"]
    assert resumed.step == resumed.kept == 3
    state["optimizer"]["param_groups"][0]["amsgrad"] = True
    assert "another kind" in resuming._optimizer_problem(state["optimizer"], began.optimizer)
    assert not resuming._counts_problem(state, 3)
    assert resuming._counts_problem(state, 2) == "it says step 3 of 2"


@pytest.mark.heavy
def test_a_run_that_began_on_another_device_is_resumed_with_this_ones_adam(tmp_path):
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    train(settings(steps=6), images(), whole)
    with pytest.MonkeyPatch.context() as patch:
        stop_in_step(4, KeyboardInterrupt, patch)
        with pytest.raises(KeyboardInterrupt):
            train(settings(steps=6), images(), parts)
    partial = tmp_path / "parts.safetensors.partial"
    state = torch.load(partial)
    state["optimizer"]["param_groups"][0] |= {"fused": True, "foreach": False}
    torch.save(state, partial)
    train(settings(steps=6), images(), parts)
    assert same(weights(whole), weights(parts))
    state["optimizer"]["param_groups"][0]["amsgrad"] = True
    torch.save(state, partial)
    with pytest.raises(ValueError, match="its optimizer is of another kind"):
        train(settings(steps=6), images(), parts)


def train_by_lines(path, stop_at=None):
    """Three steps, with Ctrl-C before the given line of training.py to be run; the lines run, in
    order.
    """
    lines = []

    def at_line(frame, event, _):
        if event == "line":
            lines.append((frame.f_code.co_name, frame.f_lineno))
            if len(lines) - 1 == stop_at:
                raise KeyboardInterrupt
        return at_line

    matching.factors.cache_clear()  # every run passes the same lines
    before = sys.gettrace()
    sys.settrace(
        lambda frame, *_: at_line if frame.f_code.co_filename == training.__file__ else None
    )
    try:
        train(settings(steps=3, batch=2), images(), path, save_every=0)
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.heavy)])
def test_at_whatever_line_it_is_interrupted_a_run_ends_the_same(tmp_path, monkeypatch, every):
    """Each line, or one in some, in the second of three steps, after which a point of the curve is
    due.
    """

    class Small(nn.Module):
        def __init__(self, config):
            super().__init__()
            self.config, self.layer = config, nn.Conv2d(2, 2, 1)

        def forward(self, z, _):
            return self.layer(z)

    monkeypatch.setattr(training, "ncsnpp", Small)
    lines = train_by_lines(tmp_path / "whole.safetensors")
    straight = read_checkpoint(tmp_path / "whole.safetensors")
    for line in sorted(set(lines))[::every]:
        when = [i for i, other in enumerate(lines) if other == line]
        path = tmp_path / "-{}-{}.safetensors".format(*line)
        with pytest.raises(KeyboardInterrupt):
            train_by_lines(path, when[(len(when) - 1) // 2])
        record = train(settings(steps=3, batch=2), images(), path)
        assert same(weights(path), straight.weights), line
        assert [list(point) for point in record["curve"]] == straight.record["curve"], line


def test_a_partial_file_of_another_run_or_a_damaged_one_is_refused(tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    path = tmp_path / "net.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(settings(), images(), path, progress=stop)
    with pytest.raises(
        ValueError, match=r"other settings \(rate 0.001, now 0.5\); repeat its settings"
    ):
        train(settings(rate=0.5), images(), path)
    with pytest.raises(ValueError, match=r"other settings \(images_sha256"):
        train(settings(), images(11), path)
    partial = tmp_path / "net.safetensors.partial"
    torch.save({"told": torch.load(partial)["told"]}, partial)
    with pytest.raises(
        ValueError, match="no interrupted training, or damaged: it lacks network, average"
    ):
        train(settings(), images(), path)
    partial.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no interrupted training, or damaged"):
        train(settings(), images(), path)


@pytest.mark.parametrize("step", [1, 2])
def test_the_command_names_the_file_from_which_it_resumes_only_where_there_is_one(
    tmp_path, capsys, step
):
    partial = tmp_path / "net.safetensors.partial"
    with pytest.MonkeyPatch.context() as patch:
        stop_in_step(step, KeyboardInterrupt, patch)
        assert exit_of_the_command(tmp_path) == 130
    assert partial.exists() == (step > 1)
    says = f"the same command resumes from {partial}" if step > 1 else "no step was kept"
    assert f"stopped; {says}\n" in capsys.readouterr().err
    assert exit_of_the_command(tmp_path) == 0 and not partial.exists()


# What stops a training keeps it.


@pytest.mark.share(3)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_within_an_update_waits_for_its_end_and_loses_no_step(tmp_path, capsys, number):
    """Without it the state would be half changed, and with no older file everything would be
    lost.
    """
    step, steps = torch.optim.Adam.step, []

    def told_to_stop(self, *arguments):
        steps.append(1)
        if len(steps) == 3:
            os.kill(os.getpid(), number)
        return step(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.Adam, "step", told_to_stop)
        assert exit_of_the_command(tmp_path) == 128 + number
    partial = tmp_path / "net.safetensors.partial"
    assert torch.load(partial)["step"] == 3
    assert f"stopped; the same command resumes from {partial}\n" in capsys.readouterr().err
    assert exit_of_the_command(tmp_path) == 0 and not partial.exists()


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def torch_full_disk(_, part, **__):
    part.write_bytes(b"half")
    raise RuntimeError("[enforce fail at inline_container.cc:668] . unexpected pos 64 vs 0")


@pytest.mark.share(4)
@pytest.mark.parametrize("full", [full_disk, torch_full_disk])
@pytest.mark.parametrize("before", [0, 2])
def test_a_disk_that_is_full_keeps_the_last_state_and_says_where_it_is(
    tmp_path, monkeypatch, full, before
):
    whole, parts, save, saves = (
        tmp_path / "a.safetensors",
        tmp_path / "b.safetensors",
        torch.save,
        [],
    )
    train(settings(steps=6), images(), whole)

    def filling(content, part, **options):
        saves.append(1)
        return (save if len(saves) <= before else full)(content, part, **options)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", filling)
        with pytest.raises(ValueError, match=r"partial: cannot be written: ") as error:
            train(settings(steps=6), images(), parts, save_every=0)
    partial = tmp_path / "b.safetensors.partial"
    kept = f"as after step {before} in {partial}, and the same command resumes from there"
    assert (kept if before else "no step could be kept") in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} == {whole.name} | (
        {partial.name} if before else set()
    )
    train(settings(steps=6), images(), parts)
    assert same(weights(whole), weights(parts))


def test_weights_that_cannot_be_written_at_the_end_leave_the_whole_training_to_resume(
    tmp_path, monkeypatch
):
    path = tmp_path / "net.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(
            training, "save_checkpoint", lambda *_: (_ for _ in ()).throw(ValueError("full"))
        )
        with pytest.raises(
            ValueError, match=r"full; the run is kept as after step 4 in \S+partial"
        ):
            train(settings(), images(), path)
    record = train(settings(), images(), path, beat=lambda *_: pytest.fail("a step was made again"))
    assert record["curve"][-1][0] == 4 and path.exists()


def test_memory_that_runs_out_keeps_the_last_state_too(tmp_path):
    path = tmp_path / "net.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        stop_in_step(3, RuntimeError("DefaultCPUAllocator: can't allocate memory"), patch)
        with pytest.raises(RuntimeError):
            train(settings(), images(), path)
    assert torch.load(tmp_path / "net.safetensors.partial")["step"] == 2


@pytest.mark.parametrize(
    "place", ["f/net.safetensors", "none/net.safetensors", "d.safetensors", "x" * 300]
)
def test_a_place_that_cannot_be_written_is_refused_before_the_first_step(tmp_path, place):
    (tmp_path / "f").touch()
    (tmp_path / "d.safetensors").mkdir()
    with pytest.raises(ValueError, match="cannot be written"):
        train(settings(), images(), tmp_path / place, beat=lambda *_: pytest.fail("it began"))
    assert {path.name for path in tmp_path.iterdir()} == {"f", "d.safetensors"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"batch": 10**8}, r"a step on 100000000 images needs at least \S+ GB"),
        ({}, "training a network of"),
    ],
)
def test_what_the_memory_cannot_hold_is_refused_before_the_first_step(
    tmp_path, monkeypatch, changes, says
):
    monkeypatch.setattr(memory, "memory", lambda *_: 1e9 if changes else 1e3)
    with pytest.raises(ValueError, match=says):
        train(settings(**changes), images(), tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_the_state_has_the_permissions_of_the_umask(tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    before = os.umask(0o027)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(settings(), images(), tmp_path / "net.safetensors", beat=stop)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "net.safetensors.partial").stat().st_mode) == 0o640


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1, 10**30])
def test_a_seed_that_no_generator_takes_is_refused(seed):
    with pytest.raises(ValueError, match=r"it must lie in \[-2\^63, 2\^63\)"):
        settings(seed=seed)


def test_a_training_of_ages_says_so_after_some_seconds_in_a_pipe(tmp_path, capsys, monkeypatch):
    seconds = iter(range(0, 10**6, 4))
    monkeypatch.setattr(progress, "monotonic", lambda: next(seconds))
    with progress.shown("training") as show:
        for step in range(1, 9):
            show(step, 10**9, "training")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "[3/1000000000] training, about 127 years left" and len(lines) == 2
    assert [progress.spelled(s) for s in (0.2, 100, 600, 8000, 3e5, 1e20)] == [
        "1 s",
        "100 s",
        "10 min",
        "2 h",
        "3 days",
        "3.17e+12 years",
    ]
