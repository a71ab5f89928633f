"""Samples in memory, for a notebook: of a network as the command `sample` makes them, or of a
score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_samplers import engine
from gpu_samplers.embedded import KINDS, network_and_process
from gpu_samplers.job import BLACK_BOX, STATES, TOLERANCE, Job
from gpu_samplers.processes import steps_for, times_on
from gpu_samplers.sampling import write_samples
from gpu_samplers.shards import read_shard
from splitting_analysis.grids import EPS, Grid, check_end
from splitting_analysis.lookup import as_scheme
from splitting_analysis.notation import Word
from splitting_analysis.processes import PROCESSES, Process
from splitting_analysis.schemes import Denoise, Scheme, nfe_for

EVALUATIONS = 50
"""Of each sample, unless said otherwise."""


def sampler_of(
    sampler: str | Word | Scheme,
    model: str | None,
    dynamics: str | None,
    tell: Callable[[list[Scheme]], list[Scheme]] | None = None,
) -> Scheme | None:
    """The scheme that is meant, after what `tell` tells it; None is `BLACK_BOX`, in upper or lower
    case.

    Raises ValueError for what there is not, and where `BLACK_BOX` is told anything.
    """
    if not isinstance(sampler, str) or sampler.strip().casefold() != BLACK_BOX.casefold():
        found = as_scheme(sampler, model, dynamics)
        return found if tell is None else tell([found])[0]
    if tell is not None:
        raise ValueError(f"{BLACK_BOX} has no lambda, factor, eta, clock or skip")
    return None


def from_network(
    scheme: Scheme | None,
    n: int,
    nfe: int | None,
    parameters: Mapping[str, Any],
    checkpoint: str | Path | None = None,
    config: str | None = None,
    batch: int | None = None,
    device: str = "cpu",
    tol: float | None = None,
    running: Mapping[str, Any] | None = None,
    **job: Any,
) -> NDArray[np.float32]:
    """Images (n, channels, height, width) in the scale of the data: samples 0 to n - 1, as the
    command's.

    `checkpoint` is a file or the name of a network in BUNDLED (default: digits); `parameters` are
    those of its process where they differ from its record; `job` are fields of job.Job, `running`
    the flags of sampling.write_samples (compile, graphs, ...). A scheme
    takes 50 evaluations unless told otherwise, `BLACK_BOX`, None, its tolerance. Raises ValueError
    for what cannot be run.
    """
    model = "psld" if scheme is None else scheme.model_name
    if scheme is None:
        tol = TOLERANCE if tol is None else tol
    elif model not in KINDS:
        known = ", ".join(KINDS)
        raise ValueError(
            f"{scheme.name} is a {scheme.model_name} scheme: a network is trained for {known}"
        )
    network, process = network_and_process(
        checkpoint,
        model,
        _given(model, parameters),
        config,
        job.get("precision", "float32"),
    )
    named = isinstance(job.get("grid", "uniform"), str)
    budget = EVALUATIONS if nfe is None and scheme is not None and named else nfe
    job["eps"] = _end(job.get("grid", "uniform"), process, job.get("eps"))
    made = Job(scheme, process, n, budget, tol=tol, **job)
    with TemporaryDirectory() as folder:  # the one way in which samples are made, and checked
        write_samples(folder, made, network, batch=batch, device=device, **(running or {}))
        shards = sorted(Path(folder).glob("*.npz"))
        return np.concatenate([read_shard(shard)[0] for shard in shards])


def from_score(
    scheme: Scheme | None,
    n: int,
    nfe: int | None,
    parameters: Mapping[str, Any],
    score: engine.Score,
    shape: Sequence[int],
    seed: int = 0,
    grid_name: Grid = "uniform",
    eps: float | None = None,
    denoise: Denoise = True,
    lambda_s: float | None = None,
    batch: int = 64,
    device: str = "cpu",
    merge_noise: bool = False,
    state: str = "float64",
) -> NDArray[np.float64]:
    """Positions (n, *shape) of samples of `score(z, tau)`, z of shape (components, batch, *shape).

    Raises ValueError for what cannot be run.
    """
    if scheme is None:
        raise ValueError(f"{BLACK_BOX} samples a network here; a score of your own takes a word")
    if n < 1:
        raise ValueError(f"n = {n}: at least one sample")
    process = PROCESSES[scheme.model_name](**_given(scheme.model_name, parameters))
    if state not in STATES:
        raise ValueError(f"no state {state!r}; there are: {', '.join(STATES)}")
    left = _end(grid_name, process, eps)
    ending = denoise if left > 0 else False
    if nfe is None and not isinstance(grid_name, str):  # it says itself in how many steps
        nfe = nfe_for(len(grid_name) - 1, scheme, ending)
    nfe = EVALUATIONS if nfe is None else nfe
    times = times_on(grid_name, steps_for(nfe, scheme, ending), process, left)
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
        state_dtype=STATES[state],
        denoise=ending,
        lambda_s=lambda_s,
        merge_noise=merge_noise,
    )
    return np.concatenate([part.z[0].double().cpu().numpy() for part in made])


def _end(grid: Grid, process: Process, eps: float | None) -> float:
    """What a run leaves of T: EPS where neither a grid that is given nor `eps` says it.

    Raises ValueError where both do, and differ.
    """
    if isinstance(grid, str):
        return EPS if eps is None else eps
    if eps is not None:
        check_end(grid, process.T, eps)
    return max(0.0, float(process.T) - grid[-1])


def _given(model: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters by the names that the model's process has for them. Raises ValueError for
    others.
    """
    known = [field.name for field in fields(PROCESSES[model])]
    for name in parameters:
        if name not in known:
            raise ValueError(
                f"model {model} has no parameter {name!r}; there are: {', '.join(known)}"
            )
    return dict(parameters)
