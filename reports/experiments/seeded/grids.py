"""Times other than those asked for, and first and last steps of their own."""

from __future__ import annotations

from itertools import pairwise
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
from reports.experiments.seeded.times import STABLE_DIFFUSION, TIMES
from splitting_analysis.processes import Flow

KIND = "grid, first and last step"
MOVES = "state and scores are weighed as claimed"
CALLS = "the score is evaluated as often as claimed"
TAKEN = "it runs over the grid that it is given"
SHIFT = 3.0


def shifted(tau: float) -> float:
    """Flow matching's shift of the noise level."""
    return SHIFT * tau / (1 + (SHIFT - 1) * tau)


@case(
    KIND,
    "the shift of a flow-matching grid applied a second time",
    "flow",
    "Euler",
    TIMES,
    "times the claimed",
    source="huggingface/diffusers#13243",
    process=Flow(T=0.9999),
    grid=lambda n: [0.9999 - shifted(float(u)) for u in 0.999 * np.linspace(1, 0.1, n + 1) ** 3],
)
def shift_twice(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    for tau, after in pairwise(shifted(tau) for tau in taus_of(model, grid)):
        z = z + (after - tau) * velocity_of(model, score, z, tau)
    return z


@case(KIND, "a quadratic grid made quadratic again", "vp", "DDIM", TIMES, "score call 1 of step 2")
def quadratic_twice(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    own = grid[0] + (grid - grid[0]) ** 2 / (grid[-1] - grid[0])
    for tau, after in pairwise(taus_of(model, own)):
        z = held(model, z, data_of(model, score, z, tau), tau, after)
    return z


@case(KIND, "a grid of its own, the given one ignored", "vp", "DDIM", TAKEN, "the same times")
def own_grid(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    own = np.linspace(0.05, 0.95, len(grid)) * model.T
    for tau, after in pairwise(taus_of(model, own)):
        z = held(model, z, data_of(model, score, z, tau), tau, after)
    return z


@case(KIND, "steps of one length whatever the grid", "psld", "order=1", TAKEN, "the same times")
def own_grid_and_order(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    own = np.linspace(0.0, 0.99, len(grid)) * model.T
    for t, after in pairwise(own):
        s = score(z, model.T - t)
        z = drifted(model, kicked(model, z, s, t, after - t, 1), s, t, after - t, 1)
    return z


@case(KIND, "the last step is left out", "psld", "ROBA", CALLS, "6 calls in 7 steps", "step 7")
def one_step_short(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    for t, after in pairwise(grid[:-1]):
        z = rubbed(model, z, noise(), t, after - t)
        s = score(z, model.T - t)
        z = drifted(model, kicked(model, z, s, t, after - t), s, t, after - t)
    return z


@case(KIND, "a denoising step at the end", "psld", "RSE", CALLS, "after the last step")
def denoised_at_the_end(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    for t, after in pairwise(grid):
        s = score(z, model.T - t)
        z = drifted(model, kicked(model, z, s, t, after - t, 1), s, t, after - t, 1)
    s = score(z, model.T - grid[-1])
    (x, m), (s_x, _) = halves(z), halves(s)
    slope = model.beta(model.T - grid[-1]) / 2 * (model.Gamma * (x + s_x) - m / model.M)
    return np.hstack([x + 0.01 * slope, m])


@case(
    KIND,
    "the data prediction in place of the state at the end",
    "vp",
    "DPM++1",
    CALLS,
    "after the last step",
)
def data_at_the_end(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    taus = taus_of(model, grid)
    for tau, after in pairwise(taus):
        z = held(model, z, data_of(model, score, z, tau), tau, after)
    return data_of(model, score, z, taus[-1])


def two_steps(
    score: Any, z: Array, grid: Any, model: Any, *, first_at_last: bool, share: float = 0.5
) -> Array:
    """DPM-Solver++(2M), its last step of order 1 where that is asked for."""
    taus, before = taus_of(model, grid), None
    for i, (tau, after) in enumerate(pairwise(taus)):
        data = data_of(model, score, z, tau)
        used = data
        if before is not None and not (first_at_last and i == len(taus) - 2):
            last, h_last = before
            h = model.log_snr(after) - model.log_snr(tau)
            used = data + share * h / h_last * (data - last)
        h_now = model.log_snr(after) - model.log_snr(tau)
        z, before = held(model, z, used, tau, after), (data, h_now)
    return z


@case(KIND, "the last step is of order 1", "vp", "DPM++2M", MOVES, "(the last step only)")
def first_order_at_the_end(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    return two_steps(score, z, grid, model, first_at_last=True)


@case(KIND, "the last step is of order 1", "flow", "DPM++2M", MOVES, "(the last step only)")
def first_order_at_the_end_of_flow(
    score: Any, z: Array, grid: Any, noise: Any, model: Any
) -> Array:
    return two_steps(score, z, grid, model, first_at_last=True)


@case(
    KIND,
    "the run ends at the table's first alpha-bar, not at 1",
    "vp",
    "DDIM",
    MOVES,
    "(the last step only)",
    source="Stability-AI/stablediffusion#345",
    process=STABLE_DIFFUSION,
    grid=lambda n: [float(u) for u in (1 - np.linspace(0.95**0.5, 0, n + 1) ** 2)],
)
def last_alpha_bar_not_one(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    for tau, after in pairwise(taus_of(model, grid)):
        data = data_of(model, score, z, tau)
        z = held(model, z, data, tau, after if after > 0 else 0.001)
    return z


@case(
    KIND,
    "the second step of the noise level is made before the first",
    "ve",
    "Euler",
    TIMES,
    "score call 1 of step 1",
)
def grid_backwards(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    taus = taus_of(model, grid)
    for tau, after in pairwise([taus[1], taus[0], *taus[2:]]):
        z = z + (after - tau) / tau * (z - data_of(model, score, z, tau))
    return z
