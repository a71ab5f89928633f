"""One step of a deterministic sampler on a score: engine minus exact flow, against the closed
form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import torch
from scipy.integrate import solve_ivp

from gpu_samplers import engine
from gpu_samplers.processes import Array
from reports.experiments.scores import (
    Diffusion,
    Score,
    Tensor,
    as_engine_sees,
    coefficient,
    drift,
    dyadic,
)
from splitting_analysis.models import Model
from splitting_analysis.schemes import Scheme
from splitting_analysis.weak import local_error

LEVELS = 10
"""Step sizes h, h/2, ..., of an extrapolation to h = 0."""
COPIES, APART = 16, 1e-8
"""Nearby states, so far apart, over which an error of a high power is averaged: round-off is
close.
"""


@dataclass(frozen=True)
class Limit:
    """A limit h -> 0: its value and an estimate of its error, and the values that led there by step
    size.
    """

    value: Tensor
    uncertainty: float
    steps: tuple[float, ...]
    raw: tuple[Tensor, ...]


@dataclass(frozen=True)
class Comparison:
    """Predicted and measured leading error; `by_step` are ratios of norms at the step sizes
    `steps`.

    `difference` is |measured - predicted| over |predicted|, `uncertainty` that of the
    extrapolation, relative to the measured norm.
    """

    power: int
    predicted: float
    measured: float
    difference: float
    uncertainty: float
    steps: tuple[float, ...]
    by_step: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Measured norm over predicted norm."""
        return self.measured / self.predicted


def extrapolated(
    measure: Callable[[float], Tensor], h: float, levels: int = LEVELS, ratio: float = 2.0
) -> Limit:
    """The limit of measure(h) as h -> 0 from h, h/ratio, ...: Neville's table of a power series in
    h.

    Among the entries the one is taken that differs least from its two parents and from its coarser
    neighbour, relative to itself: truncation falls and round-off grows along the table, and neither
    is known beforehand. (Parents alone can agree by chance: round-off comes in whole units.)
    """
    steps = [h / ratio**k for k in range(levels)]
    raw = [measure(step) for step in steps]
    column, best, least = raw, raw[-1], float("inf")
    for j in range(1, levels):
        new = [b + (b - a) / (ratio**j - 1) for a, b in pairwise(column)]
        for k, value in enumerate(new):
            near = [*column[k : k + 2], *new[max(0, k - 1) : k]]
            change = max(float((value - other).norm()) for other in near) / float(value.norm())
            if change < least:
                best, least = value, change
        column = new
    return Limit(best, least * float(best.norm()), tuple(steps), tuple(raw))


def exact_flow(
    process: Diffusion,
    model: Model,
    score: Score,
    z: Tensor,
    tau: float,
    length: float,
    tolerance: float = 1e-13,
) -> Tensor:
    """The probability flow from z (n, batch, *shape) at forward time tau over `length`, to
    round-off.

    By SciPy's Dormand-Prince method of order 8, which shares nothing with the samplers.
    """
    field = drift(process, model, score)

    def slope(t: float, y: Array) -> Array:
        at = torch.tensor(tau - t, dtype=torch.float64)
        with torch.no_grad():
            change: Array = field(torch.as_tensor(y).reshape(z.shape), at).reshape(-1).numpy()
        return change

    start: Array = z.reshape(-1).numpy()
    solution = solve_ivp(
        slope,
        (0.0, length),
        start,
        "DOP853",
        rtol=tolerance,
        atol=tolerance / 100,
        first_step=length,
    )
    if not solution.success:
        raise ValueError(f"no exact flow from tau = {tau} over {length}: {solution.message}")
    return torch.as_tensor(solution.y[:, -1]).reshape(z.shape)


def one_step(
    scheme: Scheme,
    process: Diffusion,
    score: engine.Score,
    z: Tensor,
    tau: float,
    h: float,
    noise: Callable[[int], Tensor] = engine.no_noise,
) -> Tensor:
    """One step of the engine from z (n, batch, *shape) at forward time tau, no denoising step."""
    t = process.T - tau
    ready, output = engine.prepared(scheme, process, score, [t, t + h], denoise=False)
    return engine.run(ready, output, z, noise)[0]


def leading_term(
    scheme: Scheme, process: Diffusion, score: Score, z: Tensor, tau: float
) -> tuple[int, Tensor]:
    """The leading power of h in an ODE scheme's local error at z (n, 1, ...), and its coefficient
    (n, ...).

    Raises ValueError for a scheme with noise, or without an error as far as it is expanded.
    """
    if scheme.dynamics != "ode":
        raise ValueError(f"{scheme.name} is stochastic: see reports.experiments.sde")
    error = local_error(scheme)
    if error.leading is None:
        raise ValueError(f"{scheme.name}: no error through h^{max(error.terms)}")
    by_key = coefficient(error, error.leading, process, scheme, score, z, tau)
    return error.leading, torch.stack([by_key[c] for c in scheme.model.components])


def compare(
    scheme: Scheme,
    process: Diffusion,
    machine: engine.Score,
    score: Score,
    z: Tensor,
    tau: float,
    h: float = 1e-2,
    levels: int = LEVELS,
    repeats: int = 1,
) -> Comparison:
    """The leading local error of an ODE scheme at z (n, 1, *shape) and forward time tau, both ways.

    `machine` is the score that the engine runs on (a NetworkScore in float64, or `score` itself),
    `score` the differentiable one. `h` is the largest step, below tau; all times are taken as
    `dyadic`. A power above 3 is measured at COPIES states and `repeats` times close to z and tau,
    and averaged: a network rounds functions of the time alike for every state. Raises ValueError
    for a scheme with noise.
    """
    tau = dyadic(tau)
    power, predicted = leading_term(scheme, process, score, z, tau)
    generator, states, times = torch.Generator().manual_seed(0), z, [tau]
    if power > 3:
        many = z.expand(len(z), COPIES, *z.shape[2:])
        states = many + APART * torch.randn(many.shape, generator=generator, dtype=z.dtype)
        moved = torch.rand(repeats - 1, generator=generator, dtype=z.dtype).tolist()
        times += [dyadic(tau * (1 + APART * (u - 0.5))) for u in moved]
    flow = as_engine_sees(machine)

    def once(step: float, tau: float) -> Tensor:
        end = one_step(scheme, process, machine, states, tau, step)
        return (exact_flow(process, scheme.model, flow, states, tau, step) - end).mean(
            1
        ) / step**power

    def measure(step: float) -> Tensor:
        return torch.stack([once(dyadic(step), time) for time in times]).mean(0)

    limit = extrapolated(measure, h, levels, sqrt(2) if power > 3 else 2.0)
    norm = float(predicted.norm())
    return Comparison(
        power,
        norm,
        float(limit.value.norm()),
        float((limit.value - predicted).norm()) / norm,
        limit.uncertainty / float(limit.value.norm()),
        limit.steps,
        tuple(float(value.norm()) / norm for value in limit.raw),
    )
