"""A run that writes samples to a folder: in shards, by any number of processes, killed and resumed
at will.

    job = Job(find("ROBA"), PSLD(), n=50_000, nfe=50)
    write_samples("samples", job, load_checkpoint("psld.safetensors"))

A shard is a fixed range of sample indices. It appears complete or not at all, so that a folder says
by itself what is left to do; run.json in it says what its samples are samples of.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from math import isfinite, prod
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_samplers import engine, plain
from gpu_samplers.distributed import Rank, meeting
from gpu_samplers.files import check_space
from gpu_samplers.limits import check_counts
from gpu_samplers.memory import check_memory, widest
from gpu_samplers.network import NCSNpp
from gpu_samplers.network.winograd import with_winograd
from gpu_samplers.noise import Noise
from gpu_samplers.processes import PSLD, VP, grid, steps_for, times_on
from gpu_samplers.score import NetworkScore, check_numerical_eps
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
from splitting_analysis.grids import GRIDS, Grid
from splitting_analysis.models import model_of
from splitting_analysis.schemes import Denoise, Scheme, check_ending, check_history

BLACK_BOX = "RK45 adaptive"
"""The sampler that no word describes: Dormand-Prince with error control, on the probability
flow.
"""

PRECISIONS = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "float64": torch.float64,
}
STATES = {"float64": torch.float64, "float32": torch.float32}

MOST_EVALUATIONS = 20_000
"""Per sample: to plan more steps takes minutes, and published samplers have converged at a tenth of
them.
"""

Progress = Callable[[int, int], None]
"""progress(samples made, samples to make), of this process and this call."""
Partly = Callable[[float, int], None]
"""The same within a batch: its samples count by the share of the way that they have gone."""


@dataclass(frozen=True)
class Job:
    """What determines the samples, but for the network. Raises ValueError for what cannot be run.

    scheme         the sampler; None is `BLACK_BOX`, which takes `tol` (rtol = atol), not `nfe`
    nfe            score evaluations per sample, at most; they buy the steps of the grid (steps_for)
    grid, eps      a name of splitting_analysis.grids, on [0, T - eps], or reverse times
    denoise        end with one noiseless Euler step over eps, which takes one evaluation; "data":
                   with the data predicted there, which does, too
    lambda_s       scale of the position noise of the letter O; None: the scheme's own
    merge_noise    one normal per component between two evaluations: other samples of the same law
    precision      in which the network runs: float32, tf32 (float32, multiplied in TF32 on a GPU),
                   bf16 or float64
    state          in which the samples are updated: float64 or float32
    factor, numerical_eps  as in NetworkScore
    shard          samples per shard
    form           "npz" or "png"
    """

    scheme: Scheme | None
    process: PSLD | VP
    n: int
    nfe: int | None = None
    seed: int = 0
    grid: Grid = "uniform"
    eps: float = 1e-3
    denoise: Denoise = True
    lambda_s: float | None = None
    merge_noise: bool = False
    tol: float | None = None
    precision: str = "float32"
    state: str = "float64"
    factor: str = "lower"
    numerical_eps: float = 0.0
    shard: int = 512
    form: str = "npz"

    def __post_init__(self) -> None:
        if not isinstance(self.process, PSLD | VP):
            raise ValueError(f"a network is trained for psld or vp, not {self.process.model_name}")  # noqa: TRY004
        if self.scheme is not None and self.scheme.model_name != self.process.model_name:
            raise ValueError(
                f"{self.name} is a {self.scheme.model_name} scheme, not one for "
                f"{self.process.model_name}"
            )
        if self.scheme is None and not isinstance(self.process, PSLD):
            raise ValueError(f"{BLACK_BOX} runs on psld, not on {self.process.model_name}")
        if isinstance(self.grid, str):
            object.__setattr__(self, "grid", self.grid.strip().lower())
        else:  # it says itself where it ends
            object.__setattr__(self, "grid", tuple(self.grid))
            object.__setattr__(self, "eps", max(0.0, float(self.process.T) - self.grid[-1]))
        for what in ("precision", "state", "factor", "form"):
            object.__setattr__(self, what, getattr(self, what).strip().lower())
        check_counts(self.n, self.shard, self.form)
        for what, value, known in (
            *([("grid", self.grid, GRIDS)] if isinstance(self.grid, str) else []),
            ("precision", self.precision, PRECISIONS),
            ("state", self.state, STATES),
            ("factor", self.factor, ("lower", "upper")),
            ("format", self.form, ("npz", "png")),
        ):
            if value not in known:
                raise ValueError(f"no {what} {value!r}; there are: {', '.join(known)}")
        check_numerical_eps(self.numerical_eps)
        check_ending(self.denoise, model_of(self.process.model_name, "ode"))
        if not 0 <= self.eps < self.process.T:
            raise ValueError(
                f"eps = {self.eps}: the grid ends at T - eps, 0 <= eps < T = {self.process.T:g}"
            )
        if self.scheme is None:
            self._check_black_box()
        else:
            self._check_word(self.scheme)

    def _check_black_box(self) -> None:
        if self.nfe is not None:
            raise ValueError(
                f"nfe = {self.nfe}: {BLACK_BOX} takes what its tolerance tol asks for; give tol"
            )
        if self.tol is None or not 0 < self.tol < 1:
            raise ValueError(
                f"tol = {self.tol}: {BLACK_BOX} takes a tolerance between 0 and 1, e.g. 1e-4"
            )
        own = torch.finfo(STATES[self.state]).eps
        network = (
            2**-10 if self.precision == "tf32" else torch.finfo(PRECISIONS[self.precision]).eps
        )
        if self.tol < (least := max(network / 100, 100 * own)):
            raise ValueError(
                f"tol = {self.tol}: with a network in {self.precision} and a state in "
                f"{self.state} rounding alone errs so much, and the steps would shrink without "
                f"end; give tol >= {least:.2g}"
            )
        if self.grid != "uniform":
            raise ValueError(f"grid = {self.grid}: {BLACK_BOX} chooses its steps itself")
        if self.lambda_s is not None:
            raise ValueError(f"lambda_s: {BLACK_BOX} has no letter O whose noise it could scale")
        if self.merge_noise:
            raise ValueError(f"merge_noise: {BLACK_BOX} is deterministic, it has no noise to merge")

    def _check_word(self, scheme: Scheme) -> None:
        if self.tol is not None:
            raise ValueError(
                f"tol = {self.tol}: {self.name} has fixed steps; a tolerance is for {BLACK_BOX}"
            )
        if self.nfe is None:
            raise ValueError(f"nfe: {self.name} needs a budget of score evaluations, e.g. 50")
        if self.nfe > MOST_EVALUATIONS:
            raise ValueError(
                f"nfe = {self.nfe}: at most {MOST_EVALUATIONS} evaluations per sample; samplers "
                "have converged long before, and to plan more steps takes minutes"
            )
        check_history(scheme, steps_for(self.nfe, scheme, self.denoises))
        if self.lambda_s is None:
            return
        if not self.has_tunable_noise:
            raise ValueError(f"lambda_s: {self.name} has no letter O whose noise it could scale")
        if not (isfinite(self.lambda_s) and self.lambda_s >= 0):
            raise ValueError(
                f"lambda_s = {self.lambda_s}: a scale of a variance is finite and >= 0"
            )

    @property
    def name(self) -> str:
        return BLACK_BOX if self.scheme is None else self.scheme.name

    @property
    def denoises(self) -> Denoise:
        return self.denoise if self.eps > 0 else False

    @property
    def has_tunable_noise(self) -> bool:
        return self.scheme is not None and self.scheme.has_tunable_noise

    @property
    def times(self) -> list[float]:
        """The reverse times of the grid; of the black box the first and the last."""
        if self.scheme is None or self.nfe is None:
            return grid("uniform", 1, self.process.T, self.eps)
        steps = steps_for(self.nfe, self.scheme, self.denoises)
        return times_on(self.grid, steps, self.process, self.eps)

    @property
    def shards(self) -> list[range]:
        """The sample indices of every shard."""
        return [range(i, min(i + self.shard, self.n)) for i in range(0, self.n, self.shard)]


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


def digest_of(network: NCSNpp) -> str:
    """SHA-256 of a network's weights with their names, types and shapes, whatever file they are
    from.
    """
    digest = sha256()
    for key, value in network.state_dict().items():
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _settings_of_word(scheme: Scheme) -> dict[str, Any]:
    """What its word does not say and its model has another for, unless told otherwise."""
    own = {
        "eta": float(scheme.noise_level),
        "clock": scheme.clock,
        "lambda": float(scheme.conjugate),
        "factor of the word": scheme.factor,
    }
    usual = {
        "eta": float(scheme.dynamics == "sde"),
        "clock": "lambda" if scheme.program.holds else "tau",
        "lambda": 0.0,
        "factor of the word": "lower",
    }
    return {key: value for key, value in own.items() if value != usual[key]}


def settings_of(job: Job, network: NCSNpp, batch: int) -> dict[str, Any]:
    """Everything that determines the samples, as JSON can hold it."""
    own = asdict(job)
    del own["scheme"]
    own["process"] = {"model": job.process.model_name, **asdict(job.process)}
    if job.scheme is None:
        sampler: dict[str, Any] = {"word": BLACK_BOX, "batch": batch}
    else:
        noise, value = job.scheme.lambda_s, job.scheme.lambda_s.value
        rule = {"rule": noise.rule, "value": None if value == "free" else float(value)}
        sampler = {
            "word": str(job.scheme.word),
            "dynamics": job.scheme.dynamics,
            "noise of O": rule if job.has_tunable_noise else None,
            **_settings_of_word(job.scheme),
        }
    versions = {"splitting-analysis": version("splitting-analysis"), "torch": torch.__version__}
    rest = {
        "network": network.config.as_dict(),
        "weights sha256": digest_of(network),
        "versions": versions,
    }
    told: dict[str, Any] = json.loads(json.dumps(sampler | own | rest))
    return told
