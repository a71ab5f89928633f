"""Kinetic Langevin: friction, kicks and what they do to transport; and claimed orders."""

from __future__ import annotations

from itertools import pairwise
from math import exp, expm1, sqrt
from typing import Any

import numpy as np

from reports.experiments.seeded.case import Array, case, halves, velocity_of
from reports.experiments.seeded.grids import MOVES

KIND = "kinetic Langevin"
ORDERS = "order"
FILLED = "memory is filled before it is read"
TENDS = "it converges to the exact law"
STABLE = "it is stable as long as the claimed word"


def friction(p: Array, gamma: float, h: float, noise: Any) -> Array:
    """The exact friction step over h."""
    xi = halves(noise())[1]
    return np.asarray(exp(-gamma * h) * p + sqrt(-expm1(-2 * gamma * h)) * xi)


@case(
    KIND,
    "the friction of a whole step in each of two inner steps",
    "langevin",
    "B/2 A/4 O/2 A/4 A/4 O/2 A/4 S B/2",
    MOVES,
    "(the claimed one to the power 2)",
    source="openmm/openmm#3790",
)
def friction_in_each_inner_step(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    (q, p), tau = halves(z), model.T - grid[0]
    s = score(q, tau)
    for t, after in pairwise(grid):
        h = after - t
        p = p + h / 2 * s
        for _ in range(2):
            q = q + h / 4 * p
            p = friction(p, model.gamma, h, noise)  # right: h / 2
            q = q + h / 4 * p
        s = score(q, model.T - t)
        p = p + h / 2 * s
    return np.hstack([q, p])


@case(
    KIND,
    "both updates from the old state",
    "langevin",
    "S B A O",
    STABLE,
    "grows from h = 0.7 on",
    "EM = S E",
    source="TuringLang/AdvancedHMC.jl#428",
)
def both_from_the_old_state(
    z: Array, t: float, h: float, score: Any, noise: Any, model: Any
) -> Array:
    (q, p), g = halves(z), model.gamma
    kick = h * (score(q, model.T - t) - g * p) + sqrt(2 * g * h) * halves(noise())[1]
    return np.hstack([q + h * p, p + kick])  # right: q + h * (p + kick)


@case(
    KIND,
    "the first kick reads a force that was never computed",
    "langevin",
    "BAOAB",
    FILLED,
    "NaN",
    source="JuliaMolSim/Molly.jl#203",
)
def force_never_computed(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    q, p = halves(z)
    s = np.empty_like(q)
    for t, after in pairwise(grid):
        h = after - t
        p = p + h / 2 * s
        q = q + h / 2 * p
        p = friction(p, model.gamma, h, noise)
        q = q + h / 2 * p
        s = score(q, model.T - t)
        p = p + h / 2 * s
    return np.hstack([q, p])


@case(
    KIND,
    "the first kick has a force of 0",
    "langevin",
    "OBABO",
    "the score is evaluated as",
    "7 calls in 7 steps",
    source="JuliaMolSim/Molly.jl#203",
)
def first_force_zero(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    q, p = halves(z)
    s = np.zeros_like(q)
    for t, after in pairwise(grid):
        h = after - t
        p = friction(p, model.gamma, h / 2, noise) + h / 2 * s
        q = q + h * p
        s = score(q, model.T - t)
        p = friction(p + h / 2 * s, model.gamma, h / 2, noise)
    return np.hstack([q, p])


@case(
    KIND,
    "friction too large by 2/sqrt(3), noise to match: only transport shows it",
    "langevin",
    "BAOA",
    MOVES,
    "p from p",
    source="espressomd/espresso#938",
    notes=("0.86",),
)
def friction_off(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    q, p = halves(z)
    p = p + h * score(q, model.T - t)
    q = q + h / 2 * p
    p = friction(p, 2 / sqrt(3) * model.gamma, h, noise)
    return np.hstack([q + h / 2 * p, p])


@case(
    KIND,
    "friction too large by 2/sqrt(3), noise to match: only transport shows it",
    "langevin",
    "order=1",
    TENDS,
    "mode",
    source="espressomd/espresso#938",
    notes=("0.86",),
)
def friction_off_no_word(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    return friction_off(z, t, h, score, noise, model)


@case(KIND, "1 - gamma h for exp(-gamma h)", "langevin", "BAOAB", MOVES, "p from p")
def friction_linear(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    q, p = halves(z)
    s = score(q, model.T - grid[0])
    for t, after in pairwise(grid):
        h = after - t
        q = q + h / 2 * (p := p + h / 2 * s)
        xi = halves(noise())[1]
        p = (1 - model.gamma * h) * p + sqrt(-expm1(-2 * model.gamma * h)) * xi
        q = q + h / 2 * p
        p = p + h / 2 * (s := score(q, model.T - t))
    return np.hstack([q, p])


@case(KIND, "a half kick where a whole one belongs", "langevin", "BAOA", MOVES, "(1/2 of the")
def half_a_kick(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    q, p = halves(z)
    p = p + h / 2 * score(q, model.T - t)
    p_free = friction(p, model.gamma, h, noise)
    return np.hstack([q + h / 2 * (p + p_free), p_free])


@case(KIND, "the kick's sign", "langevin", "VV", MOVES, "p from score_p", "(-1 of the claimed one)")
def kicked_away(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    q, p = halves(z)
    s = score(q, model.T - grid[0])
    for t, after in pairwise(grid):
        h = after - t
        p = p - h / 2 * s
        q = q + h * p
        p = p - h / 2 * (s := score(q, model.T - t))
    return np.hstack([q, p])


@case(
    ORDERS,
    "weak order 2 claimed, 1 found",
    "langevin",
    "order=2",
    "its order is 2",
    "1.0",
    source="SciML/StochasticDiffEq.jl#179",
)
def weak_order_one(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    q, p = halves(z)
    p = friction(p + h * score(q, model.T - t), model.gamma, h, noise)
    return np.hstack([q + h * p, p])


@case(
    ORDERS,
    "weak order 2 claimed, 1 found",
    "vp",
    "order=2",
    "its order is 2",
    "1.0",
    source="SciML/StochasticDiffEq.jl#179",
)
def weak_order_one_of_vp(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    """Heun for the drift, but noise of Euler-Maruyama: outside of the corrector."""
    tau = model.T - t
    b, after = model.beta(tau), model.beta(tau - h)
    first = b * (z / 2 + score(z, tau))
    guess = z + h * first
    second = after * (guess / 2 + score(guess, tau - h))
    return np.asarray(z + h / 2 * (first + second) + sqrt(h * b) * noise())


@case(
    ORDERS,
    "the predictor of a Heun step is clamped",
    "vp",
    "order=2",
    "its order is 2",
    "a mixture of Gaussians",
    source="the-virtual-brain/tvb-root#781",
)
def predictor_clamped(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    first = velocity_of(model, score, z, tau)
    guess = np.clip(z - h * first, -2.0, 2.0)
    return z - h / 2 * (first + velocity_of(model, score, guess, tau - h))


@case(
    ORDERS,
    "a predictor is kept within a band around its state",
    "flow",
    "order=2",
    "its order is 2",
    "a mixture of Gaussians",
    source="the-virtual-brain/tvb-root#781",
)
def predictor_in_a_band(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    change = np.clip(velocity_of(model, score, z, tau), -0.5, 0.5)
    return z - h * velocity_of(model, score, z - h / 2 * change, tau - h / 2)


@case(
    ORDERS, "beta of the step's start in the second stage", "vp", "order=2", "its order is 2", "1.0"
)
def clock_of_the_start(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    b = model.beta(tau) / 2
    first = b * (z + score(z, tau))
    guess = z + h * first
    return np.asarray(z + h / 2 * (first + b * (guess + score(guess, tau - h))))


@case(
    ORDERS, "four equal weights in a Runge-Kutta step", "psld", "order=4", "its order is 4", "2.0"
)
def equal_weights(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau, stages, y = model.T - t, list[Array](), z
    for part in (0.5, 0.5, 1.0, 0.0):
        at = tau - h * (0.0 if not stages else (0.5, 0.5, 1.0)[len(stages) - 1])
        (x, m), (s_x, s_m) = halves(y), halves(score(y, at))
        b, G, nu, M = model.beta(at) / 2, model.Gamma, model.nu, model.M
        slope = b * np.hstack([G * (x + s_x) - m / M, x + nu * (m + M * s_m)])
        stages.append(slope)
        y = z + part * h * slope
    return np.asarray(z + h / 4 * sum(stages))
