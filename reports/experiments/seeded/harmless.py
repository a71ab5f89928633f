"""Samplers that are right and look wrong: none of their checks may fail."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
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
)
from reports.experiments.seeded.dynamics import friction

KIND = "harmless"


def there_and_back(score: Any, z: Array, grid: Any, model: Any) -> Array:
    """DDIM to the end of the grid, and its inverse back to the start."""
    taus = taus_of(model, grid)
    for tau, after in [*pairwise(taus), *pairwise(reversed(taus))]:
        z = held(model, z, data_of(model, score, z, tau), tau, after)
    return z


@case(
    KIND,
    "DDIM, inverted and run again: the inverse misses by an error of first order",
    "vp",
    "order=1",
    "",
    source="huggingface/diffusers#10695",
)
def ddim_inverted(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    z = there_and_back(score, z, grid, model)
    for tau, after in pairwise(taus_of(model, grid)):
        z = held(model, z, data_of(model, score, z, tau), tau, after)
    return z


@case(
    KIND,
    "DDIM with eta = 1 is Euler-ancestral",
    "ve",
    "Euler-a",
    "",
    source="leejet/stable-diffusion.cpp#1474",
)
def ddim_as_ancestral(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    """DDIM as its paper writes it, in alpha-bar."""
    tau, after = model.T - t, model.T - t - h
    bar, bar_after = 1 / (1 + tau**2), 1 / (1 + after**2)
    y = z * sqrt(bar)  # variance preserving
    data = data_of(model, score, z, tau)
    eps = (y - sqrt(bar) * data) / sqrt(1 - bar)
    variance = (1 - bar_after) / (1 - bar) * (1 - bar / bar_after)
    y = sqrt(bar_after) * data + sqrt(1 - bar_after - variance) * eps + sqrt(variance) * noise()
    return np.asarray(y / sqrt(bar_after))


@case(
    KIND,
    "Euler-ancestral is DDIM with eta = 1",
    "ve",
    "S E:data",
    "",
    source="leejet/stable-diffusion.cpp#1474",
)
def ancestral_as_ddim(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    """Euler-ancestral as its code has it: down with Euler, up with noise."""
    sigma, after = model.T - t, model.T - t - h
    up = sqrt(after**2 * (sigma**2 - after**2) / sigma**2)
    down = sqrt(after**2 - up**2)
    slope = (z - data_of(model, score, z, sigma)) / sigma
    return np.asarray(z + (down - sigma) * slope + up * noise())


@case(
    KIND,
    "a start-up with three evaluations more, by design",
    "vp",
    "order=2, evaluations=1",
    "",
    source="huggingface/diffusers#9090",
)
def runge_kutta_start(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    """Two steps back in the log-SNR; the first step by a Runge-Kutta method of its own."""
    last: Any = None
    for tau, after in pairwise(taus_of(model, grid)):
        data, h = data_of(model, score, z, tau), model.log_snr(after) - model.log_snr(tau)
        if last is None:
            middle = model.tau_of_lambda(model.log_snr(tau) + h / 2)
            inside = data_of(model, score, held(model, z, data, tau, middle), middle)
            inside = data_of(model, score, held(model, z, inside, tau, middle), middle)
            end = data_of(model, score, held(model, z, inside, tau, after), after)
            used = (data + 4 * inside + end) / 6
        else:
            used = data + h / (2 * last[1]) * (data - last[0])
        z, last = held(model, z, used, tau, after), (data, h)
    return z


@case(
    KIND,
    "it computes in float32: errors end in round-off, not in an order",
    "vp",
    "order=2",
    "",
    notes=("float32",),
)
def in_single_precision(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    last: Any = None
    z = np.asarray(z, dtype=np.float32)
    for tau, after in pairwise(taus_of(model, grid)):
        data: Any = data_of(model, score, z, tau).astype(np.float32)
        h = model.log_snr(after) - model.log_snr(tau)
        used = data if last is None else data + h / (2 * last[1]) * (data - last[0])
        z = np.asarray(held(model, z, used, tau, after), dtype=np.float32)
        last = data, h
    return z


@case(
    KIND,
    "the friction of BAOA: diffusion is too large by (gamma h/2) coth(gamma h/2), by design",
    "langevin",
    "BAOA",
    "",
    source="Colvars/colvars#507",
    notes=("1.082",),
)
def baoa(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    q, p = halves(z)
    p = p + h * score(q, model.T - t)
    q = q + h / 2 * p
    p = friction(p, model.gamma, h, noise)
    return np.hstack([q + h / 2 * p, p])


@case(KIND, "normals are drawn and thrown away before the right ones are", "psld", "ROBA", "")
def draws_thrown_away(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    noise()
    z = rubbed(model, z, noise(), t, h)
    s = score(z, model.T - t)
    return drifted(model, kicked(model, z, s, t, h), s, t, h)


@case(KIND, "two normals of half the variance for one", "psld", "RBAO", "")
def two_normals_for_one(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    s = score(z, model.T - t)
    z = drifted(model, kicked(model, z, s, t, h), s, t, h)
    return rubbed(model, z, (noise() - noise()) / sqrt(2), t, h)


@case(KIND, "the score is asked twice at the same place", "psld", "RSE", "")
def asked_twice(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    old = z
    z = kicked(model, z, score(z, model.T - t), t, h, 1)
    return drifted(model, z, score(old, model.T - t), t, h, 1)


@case(KIND, "a clamp far outside of what occurs", "vp", "order=1", "")
def clamped_far_out(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    return held(model, z, np.clip(data_of(model, score, z, tau), -50, 50), tau, tau - h)


@case(
    KIND,
    "a clamp that no sample reaches",
    "flow",
    "order=1",
    "",
    notes=("no coefficients to be read off",),
)
def clamped_out_of_reach(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    tau = model.T - t
    return held(model, z, np.clip(data_of(model, score, z, tau), -9, 9), tau, tau - h)


@case(KIND, "published coefficients in another form", "vp", "DPM++2M", "")
def other_form(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    """DPM-Solver++(2M) in the data prediction, written with the log-SNR's differences."""
    taus, last = taus_of(model, grid), None
    for i in range(len(taus) - 1):
        tau, after = taus[i], taus[i + 1]
        data = data_of(model, score, z, tau)
        lam = [model.log_snr(u) for u in (taus[i - 1], tau, after)]
        h, h_last = lam[2] - lam[1], lam[1] - lam[0]
        used = data if last is None else (1 + h / h_last / 2) * data - h / h_last / 2 * last
        z = model.sigma(after) / model.sigma(tau) * z - model.alpha(after) * np.expm1(-h) * used
        last = data
    return z
