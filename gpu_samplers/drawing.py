"""Samples in memory, for a notebook: of a network as the command `sample` makes them, or of a
score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_samplers import engine
from gpu_samplers.embedded import KINDS, network_and_process
from gpu_samplers.job import Job
from gpu_samplers.processes import steps_for, times_on
from gpu_samplers.sampling import write_samples
from gpu_samplers.shards import read_shard
from splitting_analysis.grids import EPS, Grid
from splitting_analysis.processes import PROCESSES
from splitting_analysis.schemes import Denoise, Scheme


def from_network(
    scheme: Scheme,
    n: int,
    nfe: int,
    parameters: Mapping[str, Any],
    checkpoint: str | Path | None = None,
    config: str | None = None,
    batch: int | None = None,
    device: str = "cpu",
    **job: Any,
) -> NDArray[np.float32]:
    """Images (n, channels, height, width) in the scale of the data: samples 0 to n - 1, as the
    command's.

    `checkpoint` is a file or the name of a network in BUNDLED (default: digits); `parameters` are
    those of its process where they differ from its record; `job` are fields of job.Job. Raises
    ValueError for what cannot be run.
    """
    if scheme.model_name not in KINDS:
        known = ", ".join(KINDS)
        raise ValueError(
            f"{scheme.name} is a {scheme.model_name} scheme: a network is trained for {known}"
        )
    network, process = network_and_process(
        checkpoint,
        scheme.model_name,
        _given(scheme, parameters),
        config,
        job.get("precision", "float32"),
    )
    made = Job(scheme, process, n, nfe, **job)
    with TemporaryDirectory() as folder:  # the one way in which samples are made, and checked
        write_samples(folder, made, network, batch=batch, device=device)
        shards = sorted(Path(folder).glob("*.npz"))
        return np.concatenate([read_shard(shard)[0] for shard in shards])


def from_score(
    scheme: Scheme,
    n: int,
    nfe: int,
    parameters: Mapping[str, Any],
    score: engine.Score,
    shape: Sequence[int],
    seed: int = 0,
    grid_name: Grid = "uniform",
    eps: float = EPS,
    denoise: Denoise = True,
    lambda_s: float | None = None,
    batch: int = 64,
    device: str = "cpu",
) -> NDArray[np.float64]:
    """Positions (n, *shape) of samples of `score(z, tau)`, z of shape (components, batch, *shape).

    Raises ValueError for what cannot be run.
    """
    if n < 1:
        raise ValueError(f"n = {n}: at least one sample")
    process = PROCESSES[scheme.model_name](**_given(scheme, parameters))
    ending = denoise if eps > 0 else False
    times = times_on(grid_name, steps_for(nfe, scheme, ending), process, eps)
    made = engine.sample(
        scheme,
        process,
        score,
        times,
        shape,
        range(n),
        seed,
        batch=batch,
        device=device,
        denoise=ending,
        lambda_s=lambda_s,
    )
    return np.concatenate([part.z[0].double().cpu().numpy() for part in made])


def _given(scheme: Scheme, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters by the names that the scheme's process has for them. Raises ValueError for
    others.
    """
    known = [field.name for field in fields(PROCESSES[scheme.model_name])]
    for name in parameters:
        if name not in known:
            raise ValueError(
                f"model {scheme.model_name} has no parameter {name!r}; there are: "
                f"{', '.join(known)}"
            )
    return dict(parameters)
