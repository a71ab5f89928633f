"""The command `sample` in several processes: the samples of one, and none waits for a dead one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the samplers need torch")
pytest.importorskip("safetensors", reason="checkpoints need safetensors")

from gpu_samplers import load_checkpoint  # noqa: E402
from gpu_samplers.job import Job  # noqa: E402
from gpu_samplers.sampling import write_samples  # noqa: E402
from splitting_analysis import find  # noqa: E402
from tests import test_sample_command  # noqa: E402
from tests.test_sample_command import ROOT, TRAINED, images  # noqa: E402

net = test_sample_command.net
run = test_sample_command.run
"""The fixtures."""


def command(net, out, *more, n=23):
    return [
        "-m",
        "reports",
        "sample",
        "--sampler",
        "ROBA",
        "--nfe",
        "5",
        "-n",
        str(n),
        "--shard",
        "4",
        "--batch",
        "4",
        "--precision",
        "float64",
        "--checkpoint",
        str(net),
        "--out",
        str(out),
        *more,
    ]


def torchrun(processes, *arguments):
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*launch, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@pytest.mark.heavy
def test_two_processes_make_the_samples_of_one_and_only_the_first_speaks(net, tmp_path):
    shown = torchrun(2, *command(net, tmp_path / "two"))
    assert (
        shown.stdout.count("\n") == 1 and "12 made now by the first of 2 processes" in shown.stdout
    )
    job = Job(find("ROBA"), TRAINED, 23, 5, shard=4, precision="float64")
    write_samples(tmp_path / "one", job, load_checkpoint(net, dtype=torch.float64), batch=3)
    two, one = images(tmp_path / "two"), images(tmp_path / "one")
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-6 * np.abs(one).max())
    assert len(two) == 23
    record = [(tmp_path / name / "run.json").read_text() for name in ("one", "two")]
    assert record[0] == record[1]


@pytest.mark.heavy
def test_torchrun_with_one_process_is_the_plain_command(net, tmp_path, run):
    torchrun(1, *command(net, tmp_path / "one"))
    run(*command(net, tmp_path / "plain")[3:])
    np.testing.assert_array_equal(images(tmp_path / "one"), images(tmp_path / "plain"))


@pytest.mark.heavy
@pytest.mark.parametrize("how", ["refused", "killed"])
def test_a_process_that_fails_leaves_no_other_waiting(net, tmp_path, how):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "WORLD_SIZE": "2",
    }
    started = []
    for rank in "01":
        other = how == "refused" and rank == "1"
        more = command(net, tmp_path / "out", *(["--seed", "1"] if other else []), n=4000)
        arguments = [sys.executable, *more]
        environment = os.environ | places | {"RANK": rank, "LOCAL_RANK": rank}
        started.append(
            subprocess.Popen(
                arguments, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
            )
        )
    first, second = started
    if how == "killed":
        while not list((tmp_path / "out").glob("*.npz")):
            time.sleep(0.02)
        second.send_signal(signal.SIGKILL)
    assert "Traceback" not in second.communicate(timeout=60)[1]
    told = first.communicate(timeout=120)[1]
    assert (first.returncode, second.returncode) == (2, 2 if how == "refused" else -9)
    assert "process 0 of 2 stops, because another process has ended early" in told
