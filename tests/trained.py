"""A small network, noise to train it on, and what training did, for the tests of training."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")
pytest.importorskip("safetensors", reason="checkpoints need safetensors")

from gpu_samplers import training  # noqa: E402
from gpu_samplers.checkpoints import read_checkpoint  # noqa: E402
from gpu_samplers.configs import Config  # noqa: E402
from gpu_samplers.data import Images  # noqa: E402
from gpu_samplers.training import Settings  # noqa: E402
from reports.cli import main  # noqa: E402

TINY = Config(8, 4, (1,), 1, (), 0.1, in_ch=2, out_ch=2)


def images(n=10):
    return Images(
        "noise", torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(3)) * 2 - 1
    )


def settings(**changes):
    return replace(Settings(TINY, steps=4, batch=6, warmup=2), **changes)


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    monkeypatch.setattr(training, "LOOK_EVERY", 2)


@pytest.fixture
def calls(monkeypatch):
    """Every call of the loss from here on: is it for training, images, times, normals, its
    value.
    """
    seen, loss = [], training.loss_of

    def watched(network, process, *drawn):
        value = loss(network, process, *drawn)
        seen.append((network.training, *drawn, value.item()))
        return value

    monkeypatch.setattr(training, "loss_of", watched)
    return seen


def weights(path):
    return read_checkpoint(path).weights


def same(a, b):
    return all(torch.equal(value, b[key]) for key, value in a.items()) and a.keys() == b.keys()


def exit_of_the_command(folder):
    """Exit code of `train`, four steps on images() into folder/net.safetensors."""
    np.savez(folder / "noise.npz", images=images().pixels[:, 0].numpy())
    (folder / "tiny.json").write_text(json.dumps(TINY.as_dict()))
    with pytest.raises(SystemExit) as exit_:
        main(
            [
                "train",
                "--data",
                str(folder / "noise.npz"),
                "--config",
                str(folder / "tiny.json"),
                "--out",
                str(folder / "net.safetensors"),
                "--steps",
                "4",
                "--batch",
                "6",
                "--rate",
                "2e-3",
                "--ema",
                "0.5",
                "--seed",
                "7",
                "--param",
                "Gamma=0.1,nu=3.9,beta_min=3,beta_max=12,kappa=0.3",
            ]
        )
    return exit_.value.code
