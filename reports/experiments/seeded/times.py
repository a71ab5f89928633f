"""The score asked for a time that is not the one of the state."""

from __future__ import annotations

from itertools import pairwise
from math import exp, log
from typing import Any

import numpy as np

from reports.experiments.seeded.case import (
    Array,
    case,
    data_of,
    drifted,
    held,
    kicked,
    rubbed,
    velocity_of,
)
from splitting_analysis.clocks import scaled_linear
from splitting_analysis.processes import ScheduledVP

KIND = "conditioning time"
TIMES = "every score is conditioned on the claimed time"
OUT = "it does what a sampler does"
ORDER = "its order is 2"
STABLE_DIFFUSION = ScheduledVP(schedule=scaled_linear())


@case(
    KIND,
    "the second score of a step is conditioned on the step's start",
    "psld",
    "ROBAB",
    TIMES,
    "score call 2",
    "T - (t + h)",
    "seen T - t",
)
def stale_second_score(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    z = rubbed(model, z, noise(), t, h)
    s = score(z, model.T - t)
    z = drifted(model, kicked(model, z, s, t, h / 2), s, t, h)
    return kicked(model, z, score(z, model.T - t), t, h / 2)


@case(KIND, "reverse time given to the score", "psld", "ROBA", TIMES, "score call 1", "every step")
def reverse_time(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    z = rubbed(model, z, noise(), t, h)
    s = score(z, t)
    return drifted(model, kicked(model, z, s, t, h), s, t, h)


@case(KIND, "reverse time given to the score", "vp", "EM", TIMES, "score call 1", "every step")
def reverse_time_alone(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    b = model.beta(model.T - t)
    return np.asarray(z + h * b * (z / 2 + score(z, t)) + np.sqrt(h * b) * noise())


@case(
    KIND,
    "times are cut to whole training steps",
    "vp",
    "DDIM",
    TIMES,
    "cut to multiples of 1/1000",
    source="huggingface/diffusers#13768",
    process=STABLE_DIFFUSION,
    grid=lambda n: [float(u) for u in np.linspace(0.0103, 0.9907, n + 1)],
)
def times_cut_to_whole(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    data = data_of(model, score, z, tau, at=int(tau * 1000) / 1000)
    return held(model, z, data, tau, tau - h)


@case(KIND, "times are rounded to hundredths", "flow", "Euler", TIMES, "rounded to multiples of")
def times_rounded(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    return z - h * velocity_of(model, score, z, tau, at=round(tau, 2))


@case(
    KIND,
    "a stage at t + theta h^2 for t + theta h",
    "flow",
    "Midpoint",
    TIMES,
    "score call 2",
    "h^2",
    source="SciML/StochasticDiffEq.jl#667",
)
def stage_at_h_squared(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    half = z - h / 2 * velocity_of(model, score, z, tau)
    return z - h * velocity_of(model, score, half, tau - h / 2, at=tau - h * h / 2)


@case(
    KIND,
    "a stage at t + theta h^2 for t + theta h: order 2 becomes 1",
    "vp",
    "order=2",
    ORDER,
    "1.000",
    source="SciML/StochasticDiffEq.jl#667",
)
def stage_at_h_squared_of_vp(
    z: Array, t: float, h: float, score: Any, noise: Any, model: Any
) -> Array:
    tau = model.T - t
    half = z - h / 2 * velocity_of(model, score, z, tau)
    return z - h * velocity_of(model, score, half, tau - h * h / 2)


@case(
    KIND,
    "the index of a step given as time",
    "vp",
    "DDIM",
    OUT,
    "forward time in [0, T]",
    source="Stability-AI/stablediffusion#226",
)
def index_as_time(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    for i, (t, after) in enumerate(pairwise(grid)):
        tau = model.T - t
        data = data_of(model, score, z, tau, at=len(grid) - 1 - i)
        z = held(model, z, data, tau, model.T - after)
    return z


@case(KIND, "a time in thousandths given as time", "psld", "RSE", OUT, "forward time in [0, T]")
def time_in_thousandths(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    s = score(z, 1000 * (model.T - t))
    return drifted(model, kicked(model, z, s, t, h, 1), s, t, h, 1)


@case(
    KIND,
    "the middle of a step taken in time, not in the log-SNR",
    "ve",
    "res2s",
    TIMES,
    "1/2 of the step in lambda",
    "T - (t + 1/2 h)",
)
def middle_in_time(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    middle, after = tau - h / 2, tau - h
    first = data_of(model, score, z, tau)
    second = data_of(model, score, held(model, z, first, tau, middle), middle)
    step, part = log(tau / after), log(tau / middle)
    phi = 1 - (1 - exp(-step)) / step
    ratio = after / tau
    return ratio * z + (1 - ratio) * first + phi * step / part * (second - first)


@case(
    KIND,
    "all four stages conditioned on the step's start",
    "vp",
    "RK4",
    TIMES,
    "score call 2",
    "T - (t + 1/2 h)",
)
def stages_at_the_start(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    def slope(x: Array, part: float) -> Array:
        b = model.beta(model.T - t - part * h)
        return np.asarray(b / 2 * (x + score(x, model.T - t)))

    k1 = slope(z, 0)
    k2 = slope(z + h / 2 * k1, 0.5)
    k3 = slope(z + h / 2 * k2, 0.5)
    k4 = slope(z + h * k3, 1)
    return np.asarray(z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
