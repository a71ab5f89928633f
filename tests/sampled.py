"""A small network, a small job and what a folder of samples holds, for the tests of sampling."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the samplers need torch")
pytest.importorskip("safetensors", reason="checkpoints need safetensors")


from gpu_samplers import Config, ncsnpp  # noqa: E402
from gpu_samplers.job import Job  # noqa: E402
from gpu_samplers.processes import PSLD  # noqa: E402
from gpu_samplers.sampling import write_samples  # noqa: E402
from gpu_samplers.shards import read_shard  # noqa: E402
from splitting_analysis import find  # noqa: E402

JOB = Job(find("ROBA"), PSLD(), n=11, nfe=4, shard=4, precision="float64")


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
