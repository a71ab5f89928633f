"""Training ends with the same weights and curves however often, and wherever, it is interrupted."""

from __future__ import annotations

import math
import sys

import pytest

from tests.trained import calls, exit_of_the_command, images, look_often, same, settings, weights

torch = pytest.importorskip("torch", reason="training needs torch")

from torch import nn  # noqa: E402

from gpu_samplers import training  # noqa: E402
from gpu_samplers.checkpoints import read_checkpoint  # noqa: E402
from gpu_samplers.training import train  # noqa: E402

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


def train_by_lines(path, stop_at=None):
    """Three steps, with Ctrl-C before the given line of training.py to be run; the lines run, in order."""
    lines = []

    def at_line(frame, event, _):
        if event == "line":
            lines.append((frame.f_code.co_name, frame.f_lineno))
            if len(lines) - 1 == stop_at:
                raise KeyboardInterrupt
        return at_line

    before = sys.gettrace()
    sys.settrace(lambda frame, *_: at_line if frame.f_code.co_filename == training.__file__ else None)
    try:
        train(settings(steps=3, batch=2), images(), path, save_every=0)
    finally:
        sys.settrace(before)
    return lines


def test_at_whatever_line_it_is_interrupted_a_run_ends_the_same(tmp_path, monkeypatch):
    """Each line where it is run in the second of three steps, after which a point of the curve is due."""

    class Small(nn.Module):
        def __init__(self, config):
            super().__init__()
            self.config, self.layer = config, nn.Conv2d(2, 2, 1)

        def forward(self, z, _):
            return self.layer(z)

    monkeypatch.setattr(training, "ncsnpp", Small)
    lines = train_by_lines(tmp_path / "whole.safetensors")
    straight = read_checkpoint(tmp_path / "whole.safetensors")
    for line in sorted(set(lines)):
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
    with pytest.raises(ValueError, match=r"other settings \(rate 0.001, now 0.5\); repeat its settings"):
        train(settings(rate=0.5), images(), path)
    with pytest.raises(ValueError, match=r"other settings \(images_sha256"):
        train(settings(), images(11), path)
    partial = tmp_path / "net.safetensors.partial"
    torch.save({"told": torch.load(partial)["told"]}, partial)
    with pytest.raises(ValueError, match="no interrupted training, or damaged: it lacks network, average, opt"):
        train(settings(), images(), path)
    partial.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no interrupted training, or damaged"):
        train(settings(), images(), path)


@pytest.mark.parametrize("step", [1, 2])
def test_the_command_names_the_file_from_which_it_resumes_only_where_there_is_one(tmp_path, capsys, step):
    partial = tmp_path / "net.safetensors.partial"
    with pytest.MonkeyPatch.context() as patch:
        stop_in_step(step, KeyboardInterrupt, patch)
        assert exit_of_the_command(tmp_path) == 130
    assert partial.exists() == (step > 1)
    says = f"the same command resumes from {partial}" if step > 1 else "no step was kept"
    assert f"stopped; {says}\n" in capsys.readouterr().err
    assert exit_of_the_command(tmp_path) == 0 and not partial.exists()
