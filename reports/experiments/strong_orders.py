"""Global strong errors of the stochastic PSLD samplers: the engine against a fine reference on one
path.

The Brownian path is given by its increment and its slope on each of FINE intervals, all normal;
what the engine's pieces integrate of it, the exact Ornstein-Uhlenbeck step included, is put
together from these (reports.experiments.sde). The reference takes one step of SRA1 per interval, of
strong order 3/2.
"""

from __future__ import annotations

from math import log, sqrt
from typing import Any

import torch

from gpu_samplers import engine
from reports.experiments import runs, sde
from reports.experiments.ode import one_step
from reports.experiments.runner import SILENT, Watch
from reports.experiments.scores import Diffusion, Tensor
from reports.experiments.targets import Target
from splitting_analysis.catalogue import entries, find
from splitting_analysis.schemes import Scheme
from splitting_analysis.strong import strong_error
from splitting_analysis.weak import at_lambda_one, local_error

FINE = 1024
STEPS = (16, 32, 64, 128, 256)


def claim(scheme: Scheme) -> float:
    """The strong order that local errors imply: mean error h^q, mean square h^r: min(q - 1, (r - 1)
    / 2).

    By Milstein's fundamental theorem (Milstein and Tretyakov, Stochastic Numerics, theorem 1.1).
    Raises ValueError where the expansions are too short to tell.
    """
    weak, strong = local_error(scheme).leading, strong_error(scheme).leading
    if weak is None or strong is None:
        raise ValueError(f"{scheme.name}: no local error as far as it is expanded")
    return min(weak - 1, (strong - 1) / 2)


def fine_path(shape: tuple[int, ...], samples: int, seed: int, intervals: int = FINE) -> Tensor:
    """Standard normals (2, intervals, 2, samples, *shape): increment and slope of the path, by
    interval.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, intervals, 2, samples, *shape, generator=generator, dtype=torch.float64)


def halved(path: Tensor) -> Tensor:
    """The same path on half as many intervals: what of it is constant and what linear on each
    pair.
    """
    a, b = path[:, 0::2], path[:, 1::2]
    increment = (a[:, :, 0] + b[:, :, 0]) / sqrt(2)
    slope = (a[:, :, 1] + b[:, :, 1] + sqrt(3) * (b[:, :, 0] - a[:, :, 0])) / sqrt(8)
    return torch.stack([increment, slope], dim=2)


def end_on_path(
    scheme: Scheme,
    process: Diffusion,
    machine: engine.Score,
    z: Tensor,
    path: Tensor,
    steps: int,
    cut: float,
) -> Tensor:
    """The engine's end state at forward time `cut`, from z (2, batch, *shape), in `steps` uniform
    steps.
    """
    times, each = runs.times_of(process, steps, cut), path.shape[1] // steps
    for k in range(steps):
        tau, h = process.T - times[k], times[k + 1] - times[k]
        noise = sde.PathNoise(scheme, process, tau, h, path[:, k * each : (k + 1) * each])
        z = one_step(scheme, process, machine, z, tau, h, noise)
    return z


def order_of(coarse: Tensor, fine: Tensor, ratio: float) -> tuple[float, float]:
    """Order between two step sizes and its standard error, from the mean squares (samples,) of
    every sample.

    On one path errors at two step sizes fluctuate on their own: samples left out one at a time (the
    jackknife) show by how much. Raises ValueError for fewer than two samples.
    """
    n = len(coarse)
    if n < 2:
        raise ValueError(f"{n} sample(s): a standard error needs two or more")

    def order(a: Tensor, b: Tensor) -> float:
        return log(float(a.sum() / b.sum())) / 2 / log(ratio)

    kept = [[k for k in range(n) if k != left] for left in range(n)]
    partial = torch.tensor([order(coarse[k], fine[k]) for k in kept], dtype=torch.float64)
    return order(coarse, fine), float(((n - 1) * partial.var(correction=0)).sqrt())


def compute(
    target: Target,
    steps: tuple[int, ...] = STEPS,
    cut: float = runs.CUT,
    samples: int = 8,
    fine: int = FINE,
    watch: Watch = SILENT,
) -> dict[str, Any]:
    """Root mean square errors at the end of every stochastic PSLD sampler, lambda_s = 1, and their
    order.

    The order is that between the last number of steps and the last but two.
    """
    z = runs.starts(target, samples)
    path = fine_path(target.shape, samples, runs.SEED, fine)
    process, machine = target.process, target.machine(torch.float64)
    model, span = find("EM").model, target.process.T - cut
    with torch.no_grad():
        exact, coarser = (
            sde.reference(process, model, target.smooth, z, process.T, span, p)
            for p in (path, halved(path))
        )
    rows, first = [], max(0, len(steps) - 3)
    for scheme in map(at_lambda_one, watch(entries("psld", "sde"), "strong")):
        squares = [
            _squares(end_on_path(scheme, process, machine, z, path, n, cut) - exact) for n in steps
        ]
        order, error = order_of(squares[first], squares[-1], steps[-1] / steps[first])
        norms = [float(s.mean().sqrt()) for s in squares]
        rows.append(
            {
                "scheme": scheme.name,
                "claim": claim(scheme),
                "steps": list(steps),
                "norms": norms,
                "order": order,
                "standard_error": error,
            }
        )
    floor = float(_squares(exact - coarser).mean().sqrt())
    return {
        "weights_sha256": target.weights,
        "floor": floor,
        "samples": samples,
        "fine": fine,
        "rows": rows,
    }


def _squares(values: Tensor) -> Tensor:
    """Mean square over all entries of every sample, (samples,), of (2, samples, *shape)."""
    return values.square().transpose(0, 1).flatten(1).mean(1)
