"""Noise of the wrong size, at the wrong place, used again, or none; and wrong limits."""

from __future__ import annotations

from itertools import pairwise
from math import exp, expm1, sqrt
from typing import Any

import numpy as np

from reports.experiments.seeded.case import (
    Array,
    case,
    data_of,
    drifted,
    halves,
    kicked,
    rubbed,
    taus_of,
    velocity_of,
)
from splitting_analysis.clocks import table
from splitting_analysis.processes import VE, Flow, Langevin, ScheduledVP

KIND = "noise"
LIMIT = "wrong limit"
NOISE = "the noise is as claimed"
TENDS = "it converges to the exact law"
BETAS = np.linspace(1e-4, 0.02, 1000)
DDPM_TABLE = ScheduledVP(schedule=table([float(a) for a in np.cumprod(1 - BETAS)]))
MU = 0.5
"""Mass of the particles of a sampler that has them."""
LARGE = Langevin(gamma=400.0, T=3.0)
"""So much friction that every step forgets its momentum: kinetic Langevin is then overdamped."""


@case(
    KIND,
    "noise whose standard deviation grows with the step",
    "langevin",
    "O S B A",
    NOISE,
    "the ratio goes with h^1",
    source="blei-lab/edward#722",
)
def noise_with_h(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    (q, p), (_, xi) = halves(z), halves(noise())
    p = exp(-model.gamma * h) * p + sqrt(2 * model.gamma) * h * xi
    p = p + h * score(q, model.T - t)
    return np.hstack([q + h * p, p])


@case(
    KIND,
    "overdamped steps of length h^2, their noise proportional to it",
    "langevin",
    "O S B/2 A B/2",
    NOISE,
    "variance of the noise in",
    source="blei-lab/edward#722",
    process=LARGE,
)
def overdamped_noise_with_h(
    z: Array, t: float, h: float, score: Any, noise: Any, model: Any
) -> Array:
    (q, _), (_, xi) = halves(z), halves(noise())
    p = h * xi  # exact: xi
    s = score(q, model.T - t)
    p = p + h / 2 * s
    return np.hstack([q + h * p, p + h / 2 * s])


@case(
    KIND,
    "noise of amplitude 1/mu for 1/sqrt(mu)",
    "langevin",
    "OBABO",
    NOISE,
    "variance of the noise in",
    "(2 of the claimed one)",
    source="lammps/lammps#5097",
)
def noise_over_mass(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    """Velocities v of particles of mass MU; the state is in units in which the mass is 1."""
    (y, p), s = halves(z), None
    for t, after in pairwise(grid):
        h = after - t
        c, v = exp(-model.gamma * h / 2), p / sqrt(MU)
        s = score(y, model.T - t) if s is None else s
        v = c * v + sqrt(-expm1(-model.gamma * h)) / MU * halves(noise())[1]
        v = v + h / 2 * s / sqrt(MU)
        y = y + h * v * sqrt(MU)
        s = score(y, model.T - t)
        v = v + h / 2 * s / sqrt(MU)
        v = c * v + sqrt(-expm1(-model.gamma * h)) / MU * halves(noise())[1]
        p = v * sqrt(MU)
    return np.hstack([y, p])


@case(KIND, "noise of amplitude M for sqrt(M)", "psld", "RBAO", NOISE, "in m", "of the claimed")
def noise_by_mass(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    s = score(z, model.T - t)
    z = drifted(model, kicked(model, z, s, t, h), s, t, h)
    xi_x, xi_m = halves(noise())
    return rubbed(model, z, np.hstack([xi_x, sqrt(model.M) * xi_m]), t, h)


@case(
    KIND,
    "predicted noise where fresh noise belongs",
    "vp",
    "DDPM",
    NOISE,
    "noise() is never called",
    source="IDEALLab/EngiOpt#66",
)
def predicted_for_fresh(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau, b = model.T - t, h * model.beta(model.T - t)
    s = score(z, tau)
    return np.asarray((z + b * s) / sqrt(1 - b) + sqrt(b) * -model.sigma(tau) * s)


@case(
    KIND,
    "predicted noise where fresh noise belongs",
    "psld",
    "EM",
    NOISE,
    "noise() is never called",
    source="IDEALLab/EngiOpt#66",
)
def predicted_for_fresh_in_psld(
    z: Array, t: float, h: float, score: Any, noise: Any, model: Any
) -> Array:
    b = model.beta(model.T - t)
    (x, m), (s_x, s_m) = halves(z), halves(score(z, model.T - t))
    G, nu, M = model.Gamma, model.nu, model.M
    return np.hstack(
        [
            x + h * b / 2 * (G * x - m / M + 2 * G * s_x) - sqrt(h * b * G) * s_x,
            m + h * b / 2 * (x + nu * m + 2 * M * nu * s_m) - sqrt(h * b * M * nu) * s_m,
        ]
    )


@case(KIND, "normals are drawn and not used", "psld", "ROBA", NOISE, "never reach the state")
def noise_unused(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    noise()
    z = rubbed(model, z, np.zeros_like(z), t, h)
    s = score(z, model.T - t)
    return drifted(model, kicked(model, z, s, t, h), s, t, h)


@case(KIND, "normals are drawn once for all steps", "vp", "EM", NOISE, "of segment")
def noise_kept(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    xi = noise()
    for t, after in pairwise(grid):
        b = (after - t) * model.beta(model.T - t)
        z = z + b * (z / 2 + score(z, model.T - t)) + sqrt(b) * xi
    return z


@case(KIND, "one normal for position and momentum", "psld", "NBAO", NOISE, "covariance of the")
def one_normal_for_both(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    z = kicked(model, z, score(z, model.T - t), t, h)
    z = drifted(model, z, score(z, model.T - t), t, h)
    xi = halves(noise())[0]
    return rubbed(model, z, np.hstack([xi, xi]), t, h)


@case(KIND, "the noise of one half of the friction only", "langevin", "OBABO", NOISE, "step 1")
def half_the_noise(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    (q, p), s = halves(z), None
    for t, after in pairwise(grid):
        h = after - t
        c, size = exp(-model.gamma * h / 2), sqrt(-expm1(-model.gamma * h))
        s = score(q, model.T - t) if s is None else s
        p = c * p + size * halves(noise())[1] + h / 2 * s
        q = q + h * p
        s = score(q, model.T - t)
        p = c * (p + h / 2 * s)
        noise()
    return np.hstack([q, p])


@case(
    KIND,
    "max for min: churn, and its noise, where none is asked for",
    "ve",
    "Euler",
    NOISE,
    "no noise",
    source="Koishi-Star/Euler-Smea-Dyn-Sampler#11",
)
def churn_unasked(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    churn = 0.0
    for sigma, after in pairwise(taus_of(model, grid)):
        up = sigma * (1 + max(churn / (len(grid) - 1), sqrt(2) - 1))  # min is meant
        up = min(up, model.T)
        z = z + sqrt(up**2 - sigma**2) * noise()
        z = z + (after - up) / up * (z - data_of(model, score, z, up))
    return z


@case(
    LIMIT,
    "max for min: churn, and its noise, where none is asked for",
    "ve",
    "order=1",
    TENDS,
    "0.254 in 1000",
    "where 0.3 is right",
    source="Koishi-Star/Euler-Smea-Dyn-Sampler#11",
    process=VE(T=80.0),
    grid=lambda n: [
        80 - (80 ** (1 / 7) + i / n * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(n + 1)
    ],
)
def churn_limit(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    for sigma, after in pairwise(taus_of(model, grid)):
        up = min(sigma * sqrt(2), model.T)
        z = z + sqrt(up**2 - sigma**2) * noise()
        z = z + (after - up) / up * (z - data_of(model, score, z, up))
    return z


@case(
    LIMIT,
    "noise added to a flow sampler, its drift not corrected",
    "flow",
    "order=1",
    TENDS,
    "0.637",
    "where 0.3 is right",
    source="tue-bmd/zea#551",
    process=Flow(T=0.9999),
)
def noise_uncorrected(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    return z - h * velocity_of(model, score, z, tau) + sqrt(h * tau) * noise()


@case(LIMIT, "noise added to an exponential step", "vp", "order=1", TENDS, "where 0.3 is right")
def noise_uncorrected_in_vp(
    z: Array, t: float, h: float, score: Any, noise: Any, model: Any
) -> Array:
    tau = model.T - t
    b = model.beta(tau)
    return np.asarray(z + h * b / 2 * (z + score(z, tau)) + sqrt(h * b) * noise())


@case(
    LIMIT,
    "a sign in the drift of a noisy flow sampler",
    "flow",
    "order=1",
    TENDS,
    "0.39",
    "where 0.3 is right",
    source="yifan123/flow_grpo#145",
)
def sign_in_noisy_flow(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    u = velocity_of(model, score, z, tau)
    g2 = 0.49 * tau / (1 - tau)
    drift = u + g2 / (2 * tau) * (z - (1 - tau) * u)  # right: z + (1 - tau) u
    return np.asarray(z - h * drift + sqrt(g2 * h) * noise())


def ddim_with(z: Array, model: Any, score: Any, tau: float, after: float, variance: float) -> Array:
    """DDIM's mean for a noise of this variance, of which it subtracts at most all there is."""
    data = data_of(model, score, z, tau)
    eps = (z - model.alpha(tau) * data) / model.sigma(tau)
    left = sqrt(max(model.sigma(after) ** 2 - variance, 0.0))
    return np.asarray(model.alpha(after) * data + left * eps)


@case(
    LIMIT,
    "DDIM with the variance 1 - alpha-bar for its noise",
    "vp",
    "order=1",
    TENDS,
    "0.289 in 20 steps and 0.159 in 1000",
    source="jsboige/CoursIA#16158",
    process=DDPM_TABLE,
    grid=lambda n: [*(1 - (1 + round(999 - 999 * i / (n - 1))) / 1000 for i in range(n)), 1.0],
)
def whole_noise_again(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    variance = model.sigma(tau) ** 2
    z = ddim_with(z, model, score, tau, tau - h, variance)
    return np.asarray(z + sqrt(variance) * noise())


@case(
    KIND,
    "noise of standard deviation h: the right limit, at the wrong rate",
    "vp",
    "EM",
    NOISE,
    "the ratio goes with h^1",
    source="jmtomczak/intro_dgm#10",
)
def deviation_h(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    b = model.beta(tau)
    return np.asarray(z + h * b / 2 * (z + score(z, tau)) + sqrt(b) * h * noise())


@case(KIND, "the noise of the forward clock's wrong end", "flow", "Euler-a", NOISE, "step 1")
def variance_of_the_start(
    z: Array, t: float, h: float, score: Any, noise: Any, model: Any
) -> Array:
    tau, after = model.T - t, model.T - t - h
    ratio = (model.alpha(tau) / model.alpha(after)) ** 2
    right = (model.sigma(after) / model.sigma(tau)) ** 2 * (
        model.sigma(tau) ** 2 - ratio * model.sigma(after) ** 2
    )
    mean = ddim_with(z, model, score, tau, after, right)
    return np.asarray(mean + sqrt(right * 1.1) * noise())
