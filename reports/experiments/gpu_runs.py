"""Runs on a GPU that are batched otherwise, shared by processes, or killed and resumed: the same
samples.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

import numpy as np
import torch

from gpu_samplers.distributed import rank_of
from gpu_samplers.embedded import digits_network
from gpu_samplers.job import Job
from gpu_samplers.sampling import write_samples
from reports.experiments.gpu_card import Card, Row
from splitting_analysis.catalogue import find

SAMPLES, SHARD, BATCH = 96, 24, 24
ROUNDING = {"float64": 1e-9, "float32": 1e-3}
"""How far a sample may move with the batch: by the rounding of the network, as its kernels
differ.
"""
PATIENCE = 120


def rows(card: Card) -> Iterator[Row]:
    """Largest difference of any sample from the run of one process with a batch of BATCH."""
    for precision in ROUNDING:
        for batch in (5, 16):
            yield Row(
                f"batch {batch} beside {BATCH}, {precision}",
                30,
                partial(batched, card, precision, batch),
            )
    yield Row("two processes beside one, float32", 40, partial(shared, card))
    yield Row("killed and resumed, float32", 40, partial(resumed, card))


def batched(card: Card, precision: str, batch: int) -> dict[str, Any]:
    """The same samples in batches of another size."""
    with TemporaryDirectory() as place:
        alone, other = Path(place, "alone"), Path(place, "other")
        make(alone, card, precision, BATCH)
        make(other, card, precision, batch)
        return {"error": largest(alone, other), "limit": ROUNDING[precision]}


def shared(card: Card) -> dict[str, Any]:
    """The same samples by two processes."""
    with TemporaryDirectory() as place, socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
        free.close()
        alone, pair = Path(place, "alone"), Path(place, "pair")
        make(alone, card, "float32", BATCH)
        _waited(*[_child(pair, card, rank, port) for rank in (0, 1)])
        return {"error": largest(alone, pair), "limit": 0.0}


def resumed(card: Card) -> dict[str, Any]:
    """The same samples by a process that is killed, and one that goes on where it was."""
    with TemporaryDirectory() as place:
        alone, other = Path(place, "alone"), Path(place, "other")
        make(alone, card, "float32", BATCH)
        child, until = _child(other, card), monotonic() + PATIENCE
        while child.poll() is None and not list(other.glob("*.npz")) and monotonic() < until:
            sleep(0.005)
        child.send_signal(signal.SIGKILL)
        child.wait()
        kept = len(list(other.glob("*.npz")))
        _waited(_child(other, card))
        return {
            "error": largest(alone, other),
            "limit": 0.0,
            "shards_kept": kept,
            "shards": SAMPLES // SHARD,
        }


def make(folder: Path, card: Card, precision: str, batch: int) -> None:
    """The samples, by as many processes as the environment says."""
    nfe = 6 if card.toy else 40
    network, process = digits_network(torch.float64 if precision == "float64" else torch.float32)
    job = Job(find("ROBA"), process, SAMPLES, nfe, precision=precision, shard=SHARD)
    write_samples(folder, job, network, batch=batch, device=card.device.type, rank=rank_of())


def images(folder: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """All samples of a folder in the order of their indices."""
    parts = [np.load(path) for path in sorted(folder.glob("*.npz"))]
    index = np.concatenate([part["index"] for part in parts])
    if sorted(index) != list(range(SAMPLES)):
        raise ValueError(f"{folder}: holds {len(index)} samples of {SAMPLES}")
    return np.asarray(
        np.concatenate([part["images"] for part in parts])[np.argsort(index)], dtype=np.float32
    )


def largest(first: Path, second: Path) -> float:
    """The largest difference between two runs in any pixel of any sample."""
    return float(np.abs(images(first).astype(float) - images(second)).max())


_CODE = (
    "import sys; from pathlib import Path; from reports.experiments import gpu_runs; "
    "from reports.experiments.gpu_card import Card; "
    "gpu_runs.make(Path(sys.argv[1]), Card(sys.argv[2] == 'True', 0.0), 'float32', gpu_runs.BATCH)"
)


def _child(
    folder: Path, card: Card, rank: int | None = None, port: int = 0
) -> subprocess.Popen[bytes]:
    environment = dict(os.environ)
    if rank is not None:
        environment |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}
        environment["MASTER_PORT"] = str(port)
    words = [sys.executable, "-c", _CODE, str(folder), str(card.toy)]
    return subprocess.Popen(words, env=environment)  # noqa: S603 - our own code


def _waited(*children: subprocess.Popen[bytes]) -> None:
    """Until all have ended well. Raises ValueError where one has not; the others are ended then."""
    try:
        for child in children:
            if child.wait(PATIENCE):
                raise ValueError(f"a process that samples ended with status {child.returncode}")
    except subprocess.TimeoutExpired:
        raise ValueError(f"a process that samples did not end within {PATIENCE} s") from None
    finally:
        for child in children:
            child.kill()
            child.wait()
