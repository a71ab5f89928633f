"""Coefficients of state and score that are not those of the claimed step."""

from __future__ import annotations

from itertools import pairwise
from math import exp, expm1, log
from typing import Any

import numpy as np

from reports.experiments.seeded.case import (
    Array,
    case,
    data_of,
    drifted,
    halves,
    held,
    kicked,
    rubbed,
    taus_of,
    velocity_of,
)
from reports.experiments.seeded.grids import MOVES, two_steps

KIND = "weights of state and score"
HISTORY = "history"


@case(
    KIND,
    "the linear coefficient frozen over a step",
    "ve",
    "DPM++2M",
    MOVES,
    "x from x: 0.5",
    "0.606531",
    source="NVIDIA/physicsnemo#1932",
    grid=lambda n: [10 - 5 * 2.0 ** (-7 * i / n) for i in range(n + 1)],
)
def frozen_linear_part(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    before: Any = None
    for tau, after in pairwise(taus_of(model, grid)):
        data, h = data_of(model, score, z, tau), log(tau / after)
        used = data if before is None else data + h / (2 * before[1]) * (data - before[0])
        keep = exp((after - tau) / tau)  # exact: after / tau
        z, before = keep * z + (1 - keep) * used, (data, h)
    return z


@case(KIND, "the ODE's score weight in the SDE", "psld", "ROBA", MOVES, "(1/2 of the claimed one)")
def halved_score(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    z = rubbed(model, z, noise(), t, h)
    s = score(z, model.T - t)
    z = kicked(model, z, s, t, h)
    (x, m), (s_x, _) = halves(z), halves(s)
    b = model.beta(model.T - t) / 2
    return np.hstack([x + h * b * (model.Gamma * (2 * x + s_x) - m / model.M), m])


@case(KIND, "the score's weight twice as large", "vp", "Euler", MOVES, "of the claimed one")
def doubled_score(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    return np.asarray(z + h * model.beta(tau) / 2 * (z + 2 * score(z, tau)))


@case(KIND, "a sign of the drift", "psld", "RSE", MOVES, "x from m", "(-1 of the claimed one)")
def sign_of_the_momentum(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    s = score(z, model.T - t)
    z = kicked(model, z, s, t, h, 1)
    (x, m), (s_x, _) = halves(z), halves(s)
    b = model.beta(model.T - t) / 2
    return np.hstack([x + h * b * (model.Gamma * (x + s_x) + m / model.M), m])


@case(KIND, "the letters in another order", "psld", "RBAO", MOVES, "A comes before B")
def letters_swapped(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    s = score(z, model.T - t)
    z = kicked(model, drifted(model, z, s, t, h), s, t, h)
    return rubbed(model, z, noise(), t, h)


@case(KIND, "a mass left out", "psld", "RVV", MOVES, "m from score_m", "after score call 1")
def mass_left_out(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    (x, m), (_, s_m) = halves(z), halves(s := score(z, model.T - t))
    b = model.beta(model.T - t) / 2
    z = np.hstack([x, m + h / 2 * b * (x + model.nu * m + model.nu * s_m)])
    z = drifted(model, z, s, t, h, 1)
    return kicked(model, z, score(z, model.T - t - h), t, h / 2, 1)


@case(
    KIND,
    "the ancestral step of VE on a flow model, alpha forgotten",
    "flow",
    "Euler-a",
    MOVES,
    "x from x",
    source="leejet/stable-diffusion.cpp#1436",
)
def ancestral_without_alpha(
    z: Array, t: float, h: float, score: Any, noise: Any, model: Any
) -> Array:
    tau, after = model.T - t, model.T - t - h
    data = data_of(model, score, z, tau)
    up = after * (1 - (after / tau) ** 2) ** 0.5
    down = (after**2 - up**2) ** 0.5
    return z + (down - tau) / tau * (z - data) + up * noise()


@case(KIND, "VE's Euler step on a VP model, alpha forgotten", "vp", "DDIM", MOVES, "x from data")
def euler_without_alpha(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    ratio = model.sigma(tau - h) / model.sigma(tau)
    return np.asarray(ratio * z + (1 - ratio) * data_of(model, score, z, tau))


@case(KIND, "alpha-bar where its root belongs", "vp", "DDIM", MOVES, "x from data prediction")
def root_forgotten(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    ratio = model.sigma(tau - h) / model.sigma(tau)
    data = data_of(model, score, z, tau)
    return np.asarray(ratio * z + (model.alpha(tau - h) ** 2 - ratio * model.alpha(tau)) * data)


@case(KIND, "the corrector's slope alone, no mean", "vp", "Heun", MOVES, "step 1")
def mean_forgotten(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    first = velocity_of(model, score, z, tau)
    return z - h * velocity_of(model, score, z - h * first, tau - h)


@case(KIND, "the corrector's slope at the old state", "flow", "Heun", MOVES, "step 1")
def predictor_forgotten(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    first = velocity_of(model, score, z, tau)
    return z - h / 2 * (first + velocity_of(model, score, z, tau - h))


@case(
    KIND,
    "both half steps take beta from the first half",
    "psld",
    "SSCS",
    MOVES,
    "L/2",
    source="released PSLD code",
)
def beta_of_the_first_half(
    z: Array, t: float, h: float, score: Any, noise: Any, model: Any
) -> Array:
    d = model.clock(t, h / 2)

    def free(y: Array) -> Array:
        """The exact flow of the linear part with its noise, both halves over the same clock."""
        (x, m), a = halves(y), model.Gamma / 2
        F = np.array([[-a, -1 / (2 * model.M)], [0.5, -model.nu / 2]])
        rate = (model.Gamma + model.nu) / 4
        keep = exp(-rate * d) * (np.eye(2) + d * (F + rate * np.eye(2)))
        S = np.diag([1.0, model.M])
        root = np.linalg.cholesky(S - keep @ S @ keep.T)
        xi_x, xi_m = halves(noise())
        return np.hstack(
            [
                keep[0, 0] * x + keep[0, 1] * m + root[0, 0] * xi_x,
                keep[1, 0] * x + keep[1, 1] * m + root[1, 0] * xi_x + root[1, 1] * xi_m,
            ]
        )

    z = free(z)
    (x, m), (s_x, s_m) = halves(z), halves(score(z, model.T - t))
    b = h * model.beta(model.T - t)
    x = x + b * model.Gamma * (s_x + x)
    m = m + b * model.nu * (model.M * s_m + m)
    return free(np.hstack([x, m]))


@case(KIND, "beta at the step's start for its integral", "vp", "EI", MOVES, "x from x")
def beta_at_the_start(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    d = h * model.beta(model.T - t)
    kept = exp(d / 2) * z + 2 * expm1(d / 2) * score(z, model.T - t)
    return np.asarray(kept + np.sqrt(expm1(d)) * noise())


@case(
    HISTORY,
    "history is kept and never used",
    "vp",
    "DPM++2M",
    MOVES,
    "it is: DDIM = S E:ddim",
    source="ooples/AiDotNet#897",
)
def history_unused(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    kept: list[Array] = []
    for tau, after in pairwise(taus_of(model, grid)):
        kept.append(data_of(model, score, z, tau))
        z = held(model, z, kept[-1], tau, after)
    return z


@case(
    HISTORY,
    "history is kept and never used",
    "flow",
    "DEIS2",
    MOVES,
    "it is: DDIM = S E:ddim",
    source="ooples/AiDotNet#897",
)
def history_unused_in_flow(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    return history_unused(score, z, grid, noise, model)  # eps held once is data held once


@case(HISTORY, "history is overwritten before it is read", "ve", "order=2", "its order is 2", "1.0")
def history_overwritten(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    last: Any = None
    for tau, after in pairwise(taus_of(model, grid)):
        data = data_of(model, score, z, tau)
        last = data
        z = held(model, z, data + (data - last) / 2, tau, after)
    return z


@case(HISTORY, "the ratio of steps the wrong way round", "vp", "DPM++2M", MOVES, "step 2")
def ratio_inverted(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    before: Any = None
    for tau, after in pairwise(taus_of(model, grid)):
        data, h = data_of(model, score, z, tau), model.log_snr(after) - model.log_snr(tau)
        used = data if before is None else data + before[1] / (2 * h) * (data - before[0])
        z, before = held(model, z, used, tau, after), (data, h)
    return z


@case(HISTORY, "a steps' ratio of 1 whatever the grid", "ve", "DPM++2M", MOVES, "step 2")
def ratio_ignored(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    last: Any = None
    for tau, after in pairwise(taus_of(model, grid)):
        data = data_of(model, score, z, tau)
        used = data if last is None else 1.5 * data - 0.5 * last
        z, last = held(model, z, used, tau, after), data
    return z


@case(HISTORY, "a difference weighed twice", "flow", "DPM++2M", MOVES, "the one before the last")
def difference_twice(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    return two_steps(score, z, grid, model, first_at_last=False, share=1.0)
