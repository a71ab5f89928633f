"""Training a network of PSLD or VP: an average of the weights, resumable, repeatable.

What it is trained on is in `matching`, what determines the weights in `training_settings`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gpu_samplers.checkpoints import save_checkpoint
from gpu_samplers.data import HOLD_OUT_EVERY, Images
from gpu_samplers.files import check_file, whole
from gpu_samplers.interruptions import uninterrupted
from gpu_samplers.matching import OFFSETS, factors, loss_of, perturbed
from gpu_samplers.memory import check_memory, kept_for_gradients
from gpu_samplers.network import NCSNpp, ncsnpp
from gpu_samplers.resuming import read_state
from gpu_samplers.training_settings import NETWORKS, PRECISIONS, Settings

__all__ = ["NETWORKS", "PRECISIONS", "Settings", "loss_of", "partial_of", "perturbed", "train"]

LOOK_EVERY = 100
"""Steps between two points of the loss curve."""
READ_EVERY = 50
"""Steps after which a card is asked for its losses: to read one is to wait for it."""
MOST_HELD = 512
"""Of more held-out images than this every second is looked at, or every third, ...: it has to cost
little.
"""
PROBES = 32
"""Forward times, spread evenly, at which the held-out loss is measured; one per image if there are
fewer.
"""
ON_DEVICE = ("foreach", "fused")
"""Settings of Adam that say how it is computed, not what."""
_APART = 0x9E3779B1
"""2^32 over the golden ratio, rounded to odd: multiples of it, modulo 2^32, keep away from each
other.
"""

Progress = Callable[[int, int, float], None]
"""progress(steps done, steps, mean loss since the last call)."""
Beat = Callable[[int, int], None]
"""beat(steps done, steps), after every step."""


@dataclass
class _Run:
    """What changes while training; `state` is what of it is in the file that resumes a run."""

    network: NCSNpp
    average: NCSNpp
    optimizer: torch.optim.Adam
    step: int = 0
    """Complete steps."""
    seconds: float = 0.0
    total: float = 0.0
    """Sum of the losses since the last point of the curve, but for `unread`."""
    unread: list[Tensor] = field(default_factory=list)
    """Losses of the last steps, still on the device; whoever reads `total` or saves the state reads
    them.
    """
    curve: list[tuple[int, float, float]] = field(default_factory=list)
    whole: bool = True
    """No change is half made: only such a state may be saved."""
    parameters: list[Tensor] = field(init=False)
    averages: list[Tensor] = field(init=False)
    """Those of both networks: to walk through these takes longer than a card needs for their
    sum.
    """
    kept: int = 0
    """The step after which the state was last saved."""

    def __post_init__(self) -> None:
        self.parameters, self.averages = (
            list(self.network.parameters()),
            list(self.average.parameters()),
        )

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around all that changes the state: signals wait; what else stops it leaves `whole`
        False.
        """
        with uninterrupted():
            self.whole = False
            yield
            self.whole = True

    def read(self, steps: int) -> None:
        """Add the unread losses. FloatingPointError names the first step whose loss is not
        finite.
        """
        losses = torch.stack(self.unread).tolist() if self.unread else []
        for step, value in enumerate(losses, self.step - len(losses) + 1):
            if not math.isfinite(value):
                raise FloatingPointError(f"training: the loss is {value} in step {step} of {steps}")
        with self.changing():
            for value in losses:
                self.total += value
            self.unread.clear()

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "total": self.total,
            "curve": self.curve,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        own = self.optimizer.param_groups
        for group, before in zip(own, state["optimizer"]["param_groups"], strict=True):
            before |= {key: group[key] for key in ON_DEVICE}  # it may have been on another device
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.kept = self.step
        self.total, self.curve = state["total"], state["curve"]


def train(
    settings: Settings,
    images: Images,
    out: str | Path,
    *,
    device: str | torch.device = "cpu",
    compile: bool = False,  # noqa: A002 - torch's word
    save_every: float = 30.0,
    progress: Progress = lambda *_: None,
    beat: Beat = lambda *_: None,
) -> dict[str, Any]:
    """Train on `images`, write the averaged weights to `out` (safetensors), and return the record.

    The images held out give the record's second curve. Every `save_every` seconds, and when
    something stops it, the run is kept in `out`.partial as it was after the last complete step; a
    signal waits for the end of an update. The same call resumes it, to the weights and curves of a
    run that was never stopped. `compile`: the network through torch.compile. Raises ValueError
    where images and network do not fit, memory or disk do not suffice, the place cannot be written
    (before the first step), or the file is damaged or belongs to another run; FloatingPointError,
    naming the first step whose loss is not finite.
    """
    config, out = settings.config, Path(out)
    channels, size = images.pixels.shape[1], images.pixels.shape[2]
    wide = channels * len(settings.process.stationary)
    if (config.in_ch, config.out_ch, config.image_size) != (wide, wide, size):
        raise ValueError(
            f"images of {channels} channels and {size} x {size} pixels need a network of "
            f"{settings.process.model_name} with in_ch = out_ch = {wide}, image_size = {size}; not "
            f"{config.in_ch}, {config.out_ch}, {config.image_size}"
        )
    if (number := len(images.pixels)) < HOLD_OUT_EVERY:
        raise ValueError(f"training holds out one image of {HOLD_OUT_EVERY}: {number} are too few")
    told = settings.as_dict() | {"data": images.name, "images_sha256": images.digest}
    partial = partial_of(out)
    _check_places(settings, out, device)
    run = _started(settings, device)
    if partial.exists():
        run.restore(read_state(partial, told, run.network, run.optimizer, settings.steps))
    if compile:
        run.network.compile(dynamic=False)  # in place: its weights keep their names
    taught, held = (part.to(device) for part in images.split())
    began, saved = time.monotonic() - run.seconds, time.monotonic()
    try:
        # the run may have been stopped before a point that was due
        _look(settings, run, held, progress)
        while run.step < settings.steps:
            _train_step(settings, run, taught)
            run.seconds = time.monotonic() - began
            _look(settings, run, held, progress)
            beat(run.step, settings.steps)
            if time.monotonic() - saved >= save_every:
                _save(partial, told, run)
                saved = time.monotonic()
        where = {
            "device": str(device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
        where |= {"card": torch.cuda.get_device_name(device)} if taught.is_cuda else {}
        where |= {"compiled": True} if compile else {}
        record = (
            told
            | {"held_out": len(held), "seconds": round(run.seconds), "curve": run.curve}
            | where
        )
        save_checkpoint(out, run.average, record)
    except FloatingPointError:  # resumed, it would come to the same
        raise
    except ValueError as error:  # a place that cannot be written any more
        _keep(partial, told, run)
        raise ValueError(f"{error}; {_left(partial, run)}") from None
    except (KeyboardInterrupt, Exception):
        _keep(partial, told, run)
        raise
    partial.unlink(missing_ok=True)
    return record


def partial_of(out: Path) -> Path:
    """Where an interrupted training is kept."""
    return out.with_name(out.name + ".partial")


def _keep(partial: Path, told: dict[str, Any], run: _Run) -> None:
    """Save what is not saved yet, if it is whole and there is room; what was saved before stays."""
    if run.step > run.kept and run.whole:
        with suppress(ValueError, FloatingPointError):
            _save(partial, told, run)


def _left(partial: Path, run: _Run) -> str:
    if not run.kept:
        return "no step could be kept"
    return (
        f"the run is kept as after step {run.kept} in {partial}, and the same command resumes "
        "from there"
    )


def _check_places(settings: Settings, out: Path, device: str | torch.device) -> None:
    """Raise ValueError where files or memory will not do, before anything is trained."""
    with torch.device("meta"):
        numbers = sum(parameter.numel() for parameter in ncsnpp(settings.config).parameters())
    partial = partial_of(out)
    check_file(out, 4 * numbers)
    there = partial.stat().st_size if partial.exists() else 0
    # network, average and two moments; the old state is there until the new one is whole, then the
    # weights
    check_file(partial, (4 if there else 5) * 4 * numbers)
    what = f"training a network of {numbers:,} parameters"
    check_memory(5 * 4 * numbers, what, "give a smaller network", device)
    each = 2 if settings.precision == "bf16" else 4
    features = each * settings.batch * kept_for_gradients(settings.config)
    what = f"a step on {settings.batch} images"
    check_memory(features, what, "give a smaller batch", device)


def _started(settings: Settings, device: str | torch.device) -> _Run:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = ncsnpp(settings.config).to(device=device)
        average = ncsnpp(settings.config).to(device=device).requires_grad_(False).eval()
    average.load_state_dict(network.state_dict())
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch has no types for it
    cuda = torch.device(device).type == "cuda"
    # in the same format the average is updated at once; on a CPU it would be a different rounding
    if cuda:
        average = average.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        _prepare(settings)
    adam = torch.optim.Adam(network.parameters(), lr=settings.rate, fused=True if cuda else None)
    return _Run(network.train(), average, adam)


def _prepare(settings: Settings) -> None:
    """Make the kernels of all times that a card draws: `factors` keeps them."""
    for k in range(OFFSETS):
        factors(
            settings.process, tuple(_times(settings, torch.tensor([k / OFFSETS]), OFFSETS).tolist())
        )


def _train_step(settings: Settings, run: _Run, taught: Tensor) -> None:
    """One step; all that is random in it comes from (seed, step): stopped before its update, it is
    redone.
    """
    batch, device = settings.batch, taught.device
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        # The network's dropout draws from it too. The CPU's generator takes 32 bits: runs start far
        # apart.
        torch.manual_seed((settings.seed * _APART + run.step + 1) % 2**32)
        x = taught[torch.randint(len(taught), (batch,)).to(device, non_blocking=True)]
        tau = _times(settings, torch.rand(1), OFFSETS if cuda else 0)
        wide = len(settings.process.stationary) * x.shape[1]
        normal = torch.randn(batch, wide, *x.shape[2:], device=device)
        with _precision(settings, device):
            loss = loss_of(run.network, settings.process, x, tau, normal)
        run.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call] # torch has no types for it
    step = run.step + 1
    nn.utils.clip_grad_norm_(run.parameters, settings.clip)
    decay = min(settings.ema, step / (step + 9))  # early on the start is forgotten faster
    with run.changing(), torch.no_grad():
        for group in run.optimizer.param_groups:
            group["lr"] = _rate(settings, step)
        run.optimizer.step()
        torch._foreach_lerp_(run.averages, run.parameters, 1 - decay)
        run.unread.append(loss.detach())
        run.step = step
    if len(run.unread) >= _patience(device):
        run.read(settings.steps)


def _patience(device: torch.device) -> int:
    """Steps after which losses are read: on a CPU nothing is waited for."""
    return READ_EVERY if device.type == "cuda" else 1


def _times(settings: Settings, start: Tensor, offsets: int) -> Tensor:
    """Forward times of a batch: one in each of `batch` equal intervals, less variance than
    independent ones.

    `start` (1,) in [0, 1) says where in its interval; with `offsets` it is rounded down to one of
    so many.
    """
    if offsets:
        start = (start * offsets).floor() / offsets
    share = (start + torch.arange(settings.batch) / settings.batch) % 1
    return settings.eps + (settings.process.T - settings.eps) * share


def _precision(settings: Settings, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16")


def _look(settings: Settings, run: _Run, held: Tensor, progress: Progress) -> None:
    """Add a point to the curve, where one is due."""
    since = run.step - (run.curve[-1][0] if run.curve else 0)
    if not since or (run.step % LOOK_EVERY and run.step < settings.steps):
        return
    run.read(settings.steps)
    point = run.step, run.total / since, _held_out_loss(settings, run.average, held)
    with run.changing():
        run.curve.append(point)
        run.total = 0.0
    progress(run.step, settings.steps, point[1])


def _rate(settings: Settings, step: int) -> float:
    if step <= settings.warmup:
        return settings.rate * step / settings.warmup
    done = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.rate * (1 + math.cos(math.pi * done)) / 2


@torch.no_grad()
def _held_out_loss(settings: Settings, network: NCSNpp, held: Tensor) -> float:
    """The loss on the held-out images, with the same times and normals every time."""
    held = held[:: -(-len(held) // MOST_HELD)]
    generator = torch.Generator().manual_seed(settings.seed)
    probes = min(PROBES, len(held))
    share = (torch.arange(len(held)) % probes + 0.5) / probes
    tau = settings.eps + (settings.process.T - settings.eps) * share
    wide = len(settings.process.stationary) * held.shape[1]
    normal = torch.randn(len(held), wide, *held.shape[2:], generator=generator).to(held.device)
    with _precision(settings, held.device):
        return float(loss_of(network, settings.process, held, tau, normal))


def _save(partial: Path, told: dict[str, Any], run: _Run) -> None:
    run.read(told["steps"])
    with whole(partial) as part:
        try:
            torch.save(run.state() | {"told": json.dumps(told)}, part)
        except RuntimeError as error:  # torch's own words for a disk that takes no more
            raise OSError(None, "the disk is full, or failed") from error
    run.kept = run.step
