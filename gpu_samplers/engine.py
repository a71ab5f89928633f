"""The only loop: runs any scheme on a batch, one pass over memory between two score evaluations.

Inside the loop the host never waits for the device: coefficients are there before it starts, noise
is sent asynchronously, and whether the scores were finite is read behind the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import sqrt
from typing import Any, Protocol

import numpy as np
import torch

from gpu_samplers.noise import Noise
from gpu_samplers.plan import LambdaS, Plan, Update, plan
from gpu_samplers.processes import Array, Process
from gpu_samplers.score import NetworkScore, check_returned
from splitting_analysis.schemes import Denoise, Scheme

LOOK_EVERY = 16
"""Evaluations between two looks at the flags; the step named is the first bad one all the same."""

Progress = Callable[[int, int], None]
"""progress(steps begun, steps). On a GPU the host, which calls it, runs ahead of the device."""


class Score(Protocol):
    """The score at a state (n, batch, ...) and forward time; Langevin's takes the position alone, n
    = 1.

    The state it gets is a copy, which it may write into; that copy's memory is used for the next
    call, too: a score that keeps a state keeps a copy of its own. What it returns may be its
    argument, or one buffer.
    """

    def __call__(self, z: torch.Tensor, tau: float, /) -> torch.Tensor: ...


@dataclass(frozen=True)
class Samples:
    """A batch: sample indices[b] is z[:, b]; z is (n, batch, ...), position first."""

    indices: tuple[int, ...]
    z: torch.Tensor
    nfe: int


def sample(
    scheme: Scheme,
    process: Process,
    score: Score,
    times: Sequence[float],
    shape: Sequence[int],
    indices: Sequence[int],
    seed: int = 0,
    *,
    batch: int = 64,
    device: str | torch.device = "cpu",
    state_dtype: torch.dtype = torch.float64,
    noise_dtype: torch.dtype = torch.float32,
    denoise: Denoise = True,
    lambda_s: LambdaS = None,
    merge_noise: bool = False,
    progress: Progress | None = None,
) -> Iterator[Samples]:
    """Samples `indices`, `batch` at a time, from the prior; `shape` is that of one component of one
    sample.

    A sample depends on its index and the seed, not on its batch: a run is resumed with the indices
    that are missing, and shared between processes by giving each its part of them.
    """
    if batch < 1:
        raise ValueError(f"batch = {batch}: a batch has at least one sample")
    ready, output = prepared(
        scheme, process, score, times, denoise=denoise, lambda_s=lambda_s, merge_noise=merge_noise
    )
    left = iter(indices)
    while chunk := tuple(islice(left, batch)):
        noise = Noise(seed, chunk, shape, noise_dtype, device)
        yield Samples(
            chunk, *run(ready, output, prior(process, noise, state_dtype), noise, progress=progress)
        )


def prepared(
    scheme: Scheme, process: Process, score: Score, times: Sequence[float], **options: Any
) -> tuple[Plan, Score]:
    """The plan of a run on `score`, and the score to `run` it with; options as `plan` takes them.

    What turns a network's output into a score goes into the plan's coefficients.
    """
    if isinstance(score, NetworkScore):
        return plan(scheme, process, times, factor=score.factor, **options), score.output
    return plan(scheme, process, times, **options), score


def prior(process: Process, noise: Noise, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Draws (n, batch, *shape) of what a run starts from: normals of the stationary variances."""
    z = noise(len(process.stationary)).to(dtype)
    for component, variance in zip(z, process.stationary, strict=True):
        component.mul_(sqrt(variance))
    return z


def no_noise(parts: int) -> torch.Tensor:
    """The noise of a run that was given none: refuses to be drawn."""
    raise ValueError(f"the sampler is stochastic: it needs noise, for {parts} component(s) here")


@torch.no_grad()
def run(
    plan: Plan,
    output: Score,
    z: torch.Tensor,
    noise: Callable[[int], torch.Tensor] = no_noise,
    *,
    progress: Progress | None = None,
) -> tuple[torch.Tensor, int]:
    """The end state of the plan started at z (n, batch, ...), and the score evaluations it took.

    The arithmetic is that of z: float64 or float32. `output` is the score, or what the plan's
    `factor` turns into it. noise(q) draws standard normals (q, batch, ...); an ODE needs none.
    Raises FloatingPointError, naming step, time and sampler, where a score or the state is not
    finite, and ValueError where a score is no float tensor (m, batch, ...).
    """
    n, m = len(plan.process.stationary), plan.outputs
    if z.dtype not in (torch.float64, torch.float32):
        raise ValueError(f"the state is float64 or float32, not {z.dtype}")
    if len(z) != n:
        shape = f"(n, batch, ...) with n = {n} for {plan.process.model_name}"
        raise ValueError(f"the state is {shape}, not {tuple(z.shape)}")
    event = z.shape[1:]
    arguments = len(plan.scheme.model.score_arguments)
    counted, watch = Counted(output), Watch(plan, z.device)
    table = _table(plan, z)
    # a NetworkScore reads the state into an image of its own, and is spared the copy
    own = None if _only_reads(output) else z.new_empty((arguments, *event))
    if isinstance(noise, Noise):
        noise.expect(sum(sum(update.draws) for update in plan.updates))
    # Rows: the base state, the scores since, the normals since. Twice, so that a new state is
    # written while the old one is read. No row is read before it is written.
    rows, spare = (z.new_empty(plan.rows, z[0].numel()) for _ in range(2))
    rows[:n].view(z.shape).copy_(z)
    for k, update in enumerate(plan.updates):
        if progress is not None and (k == 0 or update.step != plan.updates[k - 1].step):
            progress(update.step, len(plan.times) - 1)
        state = rows[:n]
        if update.matrix is not None:
            used = update.base + m * update.scores
            for parts in update.draws:
                rows[used : used + parts].view(parts, *event).copy_(noise(parts))
                used += parts
            result = spare[: len(update.matrix)]
            _combine(update.matrix, table[k], rows[:used], result)
            state = result[:n]
            if update.rebase:
                rows, spare = spare, rows
        if update.tau is None:
            break
        seen = state.view(z.shape)[:arguments]
        s = counted(seen if own is None else own.copy_(seen), update.tau)
        check_returned("the score", s, (m, *event), z)
        watch.record(k, s)
        place = update.after + m * (0 if update.rebase else update.scores)
        rows[place : place + m].view(s.shape).copy_(s)
    watch.finish(state)
    return state.view(z.shape).clone(), counted.calls


def _only_reads(output: Score) -> bool:
    return isinstance(getattr(output, "__self__", output), NetworkScore)


def _table(plan: Plan, z: torch.Tensor) -> torch.Tensor:
    """The matrices of all updates, (updates, height, rows), sent to the device in one piece."""
    table = np.zeros((len(plan.updates), plan.height, plan.rows))
    for k, update in enumerate(plan.updates):
        if update.matrix is not None:
            table[k, : len(update.matrix), : update.matrix.shape[1]] = update.matrix
    return torch.from_numpy(table).to(device=z.device, dtype=z.dtype)


def _combine(matrix: Array, on_device: torch.Tensor, rows: torch.Tensor, out: torch.Tensor) -> None:
    """out = matrix @ rows; `on_device` is the matrix again, with columns to spare."""
    if rows.dtype == torch.float64:
        torch.mm(on_device[: len(out), : len(rows)], rows, out=out)
        return
    # In float32 a user may have allowed products in TF32 or bf16, for the network: not for the
    # state.
    for target, weights in zip(out, matrix.tolist(), strict=True):
        torch.mul(rows[0], weights[0], out=target)
        for row, weight in zip(rows[1:], weights[1:], strict=True):
            if weight:
                target.add_(row, alpha=weight)


class Counted:
    """A score that counts its calls: evaluations are counted, never computed."""

    def __init__(self, score: Score) -> None:
        self.score, self.calls = score, 0

    def __call__(self, z: torch.Tensor, tau: float, /) -> torch.Tensor:
        self.calls += 1
        return self.score(z, tau)


class Watch:
    """Finds the first score that is not finite, without waiting for the device.

    Each score leaves its sum on the device: one cheap pass, which NaN and inf survive (and so does
    what is too large to add up, 1e33 in float32). Every `LOOK_EVERY` evaluations the sums go to the
    host asynchronously and are read a look later, if they have arrived by then; only the end of the
    run waits. Nothing is lost by being late: the first bad sum says which evaluation it was.
    """

    def __init__(self, plan: Plan, device: torch.device) -> None:
        self.plan = plan
        self.sums = torch.zeros(len(plan.updates), dtype=torch.float64, device=device)
        self.sent: tuple[torch.Tensor, torch.cuda.Event] | None = None

    def record(self, k: int, s: torch.Tensor) -> None:
        # half overflows
        self.sums[k].copy_(s.sum(dtype=torch.promote_types(s.dtype, torch.float32)))
        if (k + 1) % LOOK_EVERY:
            return
        if not self.sums.is_cuda:
            self.check(self.sums[: k + 1])
            return
        arrived = self.sent is not None and self.sent[1].query()  # type: ignore[no-untyped-call]
        if self.sent is not None and arrived:
            self.check(self.sent[0])
            self.sent = None
        if self.sent is None:
            copy = torch.empty(k + 1, dtype=torch.float64, pin_memory=True)
            copy.copy_(self.sums[: k + 1], non_blocking=True)
            self.sent = (copy, torch.cuda.Event())  # type: ignore[no-untyped-call]
            self.sent[1].record()

    def check(self, sums: torch.Tensor) -> None:
        bad = (~torch.isfinite(sums)).nonzero()
        if len(bad):
            update = self.plan.updates[int(bad[0])]
            raise FloatingPointError(self.where(update, "the score is NaN or infinite"))

    def where(self, update: Update, what: str) -> str:
        steps, tau = len(self.plan.times) - 1, update.tau or 0.0
        step = (
            "the denoising step" if update.step == steps else f"step {update.step + 1} of {steps}"
        )
        name = f"{self.plan.scheme.name} ({self.plan.scheme.word})"
        when = f"reverse time t = {self.plan.process.T - tau:.6g} (forward {tau:.6g})"
        return f"{name}: {what} in {step}, {when}"

    def finish(self, state: torch.Tensor) -> None:
        """Wait for the run and look at all of it."""
        self.check(self.sums.cpu())
        if not torch.isfinite(state.sum()):
            raise FloatingPointError(self.where(self.plan.updates[-1], "the state overflowed"))
