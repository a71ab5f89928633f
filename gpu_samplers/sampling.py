"""A run that writes samples to a folder: in shards, by any number of processes, killed and resumed
at will.

    job = Job(find("ROBA"), PSLD(), n=50_000, nfe=50)
    write_samples("samples", job, load_checkpoint("psld.safetensors"))

A shard is a fixed range of sample indices. It appears complete or not at all, so that a folder says
by itself what is left to do; run.json in it says what its samples are samples of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_samplers import engine
from gpu_samplers.distributed import Rank, meeting
from gpu_samplers.files import check_space
from gpu_samplers.job import BLACK_BOX, MOST_EVALUATIONS, PRECISIONS, STATES, Job, settings_of
from gpu_samplers.memory import check_memory, widest
from gpu_samplers.network import NCSNpp
from gpu_samplers.network.winograd import with_winograd
from gpu_samplers.noise import Noise
from gpu_samplers.score import NetworkScore
from gpu_samplers.shards import (
    MODES,
    check_record,
    claimed,
    drop_superseded,
    missing,
    most_held,
    named_folder,
    write_shard,
)

Progress = Callable[[int, int], None]
"""progress(samples made, samples to make), of this process and this call."""
Partly = Callable[[float, int], None]
"""The same within a batch: its samples count by the share of the way that they have gone."""


@dataclass(frozen=True)
class Made:
    """What a call of `write_samples` did in this process: samples made, seconds, evaluations per
    sample.

    `nfe` is the least and the most that a sample took; (0, 0) if all samples were there. `kept`
    samples are in the folder beyond the job's: it was asked for more before.
    """

    samples: int
    seconds: float
    nfe: tuple[int, int]
    kept: int = 0


def write_samples(
    folder: str | Path,
    job: Job,
    network: NCSNpp,
    *,
    batch: int | None = None,
    device: str = "cpu",
    compile: bool = False,  # noqa: A002 - torch's word
    channels_last: bool = False,
    winograd: bool = False,
    graphs: bool = False,
    rank: Rank | None = None,
    progress: Progress | None = None,
    partly: Partly | None = None,
) -> Made:
    """Write the samples of a job that `folder` does not hold yet.

    With a larger n than before a folder gets what a new one would: its last shard, if it was a
    part, is made again in full. With a smaller n what is there is kept.

    Up to rounding in the network's precision, the samples depend on the job and the network alone:
    not on batch (64 by default, or a shard), device, compile, channels_last, winograd
    (network.winograd), graphs (graphs.Graphs), the number of processes or interruptions. In bf16
    and TF32 that rounding shows: with another batch a few pixels are plainly others. (The black box
    has one step size for a batch: for it `batch` is part of the job.) The network itself stays as
    it is. An .npz holds one shard: `images` float32 (n, channels, height, width), positions in the
    scale of the data, not clipped; `index` (n,); `nfe` (n,). A .png holds one sample, clipped to
    [-1, 1], named by its index.

    Raises ValueError if the folder holds samples of another job or cannot be written, or where
    memory or disk cannot hold what is asked for; FloatingPointError, naming sampler, step and time,
    where the network's output or a state is not finite.
    """
    rank, folder = rank or Rank(), named_folder(folder)
    batch = min(64, job.shard) if batch is None else batch
    if not 1 <= batch <= job.shard:
        raise ValueError(
            f"batch = {batch}: a batch is a part of a shard, from 1 to shard = {job.shard}"
        )
    if winograd and job.precision == "bf16":
        raise ValueError("winograd: its transforms need float32 or float64, not bf16")
    if graphs and device != "cuda":
        raise ValueError(f"graphs: CUDA graphs run on device cuda, not on {device}")
    shape, place = _shape(job, network), rank.device(device)
    _check_memory(job, network, shape, min(batch, job.n), place)
    settings = settings_of(job, network, batch)
    with meeting(rank) as meet, ExitStack() as stack:
        if rank.rank == 0:
            stack.enter_context(claimed(folder, settings))
        meet()
        check_record(folder, settings)
        left = missing(folder, job.form, job.shards, shape)
        if job.form == "npz" and rank.rank == 0:
            check_space(folder, sum(map(len, left)) * 4 * prod(shape))
        meet()  # a shard made while another process still looks would shift its list
        network = deepcopy(network)  # the caller's stays as it is
        network = with_winograd(network) if winograd else network
        made = _make(
            folder,
            job,
            left[rank.rank :: rank.world],
            shape,
            batch,
            NetworkScore(
                network.to(place),
                job.process,
                PRECISIONS[job.precision],
                compile=compile,
                channels_last=channels_last,
                tf32=job.precision == "tf32",
                graphs=graphs,
                factor=job.factor,
                numerical_eps=job.numerical_eps,
            ),
            place,
            progress,
            partly,
        )
        meet()
        if rank.rank == 0:
            drop_superseded(folder)
        return replace(made, kept=max(0, most_held(folder) - job.n))


def _check_memory(
    job: Job, network: NCSNpp, shape: tuple[int, ...], batch: int, place: torch.device
) -> None:
    """Raise ValueError where a batch, or the images of a shard, cannot be in memory."""
    n, numbers = len(job.process.stationary), prod(shape)
    # rows of the engine: state and score, twice
    state = 4 * n * torch.finfo(STATES[job.state]).bits // 8
    features = 2 * torch.finfo(PRECISIONS[job.precision]).bits // 8 * widest(network.config)
    fewer = f"a batch of {batch} samples", "give a smaller batch"
    check_memory(batch * (state * numbers + features), *fewer, place)
    check_memory(batch * 5000, *fewer)  # a generator for each
    images = min(job.shard, job.n)
    check_memory(8 * images * numbers, f"a shard of {images} samples", "give a smaller shard")


def _make(
    folder: Path,
    job: Job,
    shards: list[range],
    shape: tuple[int, ...],
    batch: int,
    score: NetworkScore,
    device: torch.device,
    progress: Progress | None,
    partly: Partly | None,
) -> Made:
    begin, total = perf_counter(), sum(map(len, shards))
    done, taken = 0, set[int]()

    def beat(share: float, size: int) -> None:
        if partly is not None:
            partly(done + share * size, total)

    for shard in shards:
        images, counts = list[NDArray[np.float32]](), list[int]()
        for part in _samples(job, score, shape, shard, batch, device, beat):
            images.append(part.z[0].float().cpu().numpy())
            counts += [part.nfe] * len(part.indices)
            done += len(part.indices)
            if progress is not None:
                progress(done, total)
        try:
            write_shard(folder, job.form, shard, np.concatenate(images), counts)
        except ValueError as error:
            kept = "the shards before it are whole, and the same command goes on from them"
            raise ValueError(f"{error}; {kept}") from None
        taken |= set(counts)
    return Made(done, perf_counter() - begin, (min(taken, default=0), max(taken, default=0)))


def _samples(
    job: Job,
    score: NetworkScore,
    shape: tuple[int, ...],
    shard: range,
    batch: int,
    device: torch.device,
    beat: Callable[[float, int], None],
) -> Iterator[engine.Samples]:
    if job.scheme is not None:
        yield from engine.sample(
            job.scheme,
            job.process,
            score,
            job.times,
            shape,
            shard,
            job.seed,
            batch=batch,
            device=device,
            state_dtype=STATES[job.state],
            denoise=job.denoises,
            lambda_s=job.lambda_s,
            merge_noise=job.merge_noise,
            progress=lambda step, steps: beat(step / (steps + 1), min(batch, len(shard))),
        )
        return
    for first in range(0, len(shard), batch):
        indices = tuple(shard[first : first + batch])
        noise = Noise(job.seed, indices, shape, device=device)
        z = engine.prior(job.process, noise, STATES[job.state])
        counted = engine.Counted(_Finite(score, _of_all(beat, len(indices))))
        with torch.no_grad():
            end = _solved(job, counted, z)
        yield engine.Samples(indices, end, counted.calls)


def _of_all(beat: Callable[[float, int], None], size: int) -> Callable[[float], None]:
    return lambda share: beat(share, size)


def _solved(job: Job, score: engine.Score, z: torch.Tensor) -> torch.Tensor:
    from gpu_samplers import plain  # the papers' samplers: this is the only one that is needed

    try:
        return plain.sample(
            BLACK_BOX,
            job.process,
            score,
            z,
            job.times,
            engine.no_noise,
            last=job.denoises,
            tol=job.tol,
        )
    except FloatingPointError:
        raise
    except ArithmeticError as error:  # the step size underflowed
        raise FloatingPointError(str(error)) from None


class _Finite:
    """A score that is looked at after each evaluation: step control would never end on NaN.

    Nor is it sure to end soon: after MOST_EVALUATIONS it is given up.
    """

    def __init__(self, score: NetworkScore, beat: Callable[[float], None]) -> None:
        self.score, self.beat, self.calls = score, beat, 0

    def __call__(self, z: torch.Tensor, tau: float, /) -> torch.Tensor:
        self.calls += 1
        self.beat(1 - tau / self.score.process.T)
        if self.calls > MOST_EVALUATIONS:
            when = f"reverse time t = {self.score.process.T - tau:.6g}"
            raise FloatingPointError(
                f"{BLACK_BOX}: {MOST_EVALUATIONS} evaluations have led to {when} only; give a "
                "larger tol"
            )
        s = self.score(z, tau)
        if not torch.isfinite(s).all():
            when = f"reverse time t = {self.score.process.T - tau:.6g} (forward {tau:.6g})"
            raise FloatingPointError(f"{BLACK_BOX}: the score is NaN or infinite at {when}")
        return s


def _shape(job: Job, network: NCSNpp) -> tuple[int, int, int]:
    """(channels, height, width) of a sample."""
    config, n = network.config, len(job.process.stationary)
    if config.in_ch % n or config.out_ch != config.in_ch:
        raise ValueError(
            f"a network with {config.in_ch} channels in and {config.out_ch} out: a "
            f"{job.process.model_name} state has {n} component(s) of equal channels, and epsilon "
            "is predicted for each"
        )
    channels = config.in_ch // n
    if job.form == "png" and channels not in MODES:
        raise ValueError(f"format png: an image has 1 or 3 channels, not {channels}; give npz")
    return channels, config.image_size, config.image_size
