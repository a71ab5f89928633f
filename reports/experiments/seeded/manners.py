"""Code that misbehaves as code: it raises, hangs, leaks, mixes rows, or returns no state."""

from __future__ import annotations

from itertools import count, pairwise
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

KIND = "behaviour of the code"
OUT = "it does what a sampler does"
AGREE = "two runs with the same normals agree"
LAW = "its law after 8 steps"
ROWS = "each row of a batch is what it is alone"
FILLED = "memory is filled before it is read"
LEFT = "its inputs are left as they are"
KEPT: dict[str, Any] = {}


@case(
    KIND,
    "history of the first run leaks into the second",
    "vp",
    "DPM++2M",
    AGREE,
    "history of the first run",
    source="huggingface/diffusers#6631",
)
def history_leaks(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    for tau, after in pairwise(taus_of(model, grid)):
        data, h = data_of(model, score, z, tau), model.log_snr(after) - model.log_snr(tau)
        last: Any = KEPT.get("vp")
        fits = last is not None and last[0].shape == data.shape
        used = data + h / (2 * last[1]) * (data - last[0]) if fits else data
        z, KEPT["vp"] = held(model, z, used, tau, after), (data, h)
    return z


@case(
    KIND,
    "the score of the last run's end opens the next run",
    "psld",
    "RSE",
    AGREE,
    "history of the first run",
    source="huggingface/diffusers#8711",
)
def score_leaks(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    for t, after in pairwise(grid):
        last = KEPT.get("psld")
        s = last if last is not None and last.shape == z.shape else score(z, model.T - t)
        z = drifted(model, kicked(model, z, s, t, after - t, 1), s, t, after - t, 1)
        KEPT["psld"] = score(z, model.T - after)
    return z


@case(
    KIND,
    "a sample depends on how many there are",
    "vp",
    "EM",
    ROWS,
    "apart by",
    source="AUTOMATIC1111/stable-diffusion-webui#5210",
)
def rows_scaled(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    b = model.beta(model.T - t)
    size = 1 + 1e-3 * len(z)
    return np.asarray(z + h * b * (z / 2 + score(z, model.T - t)) + size * np.sqrt(h * b) * noise())


@case(KIND, "states are centred over the batch", "psld", "NSE", ROWS, "mixes rows")
def rows_centred(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    z = kicked(model, z, score(z, model.T - t), t, h, 1)
    z = drifted(model, z, score(z, model.T - t), t, h, 1)
    return z - 1e-3 * z.mean(axis=0)


@case(KIND, "the state is advanced in place", "psld", "RSE", LEFT, "z is overwritten in step 1")
def in_place(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    s = score(z, model.T - t)
    z[...] = drifted(model, kicked(model, z, s, t, h, 1), s, t, h, 1)
    return z


@case(KIND, "the grid is reversed in place", "vp", "DDIM", LEFT, "grid is overwritten")
def grid_in_place(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    np.subtract(model.T, grid, out=grid)
    for tau, after in pairwise(grid):
        z = held(model, z, data_of(model, score, z, tau), tau, after)
    return z


@case(KIND, "a buffer of which half is filled", "psld", "ROBA", FILLED, "NaN")
def half_filled(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    xi = np.empty_like(z)
    d = xi.shape[1] // 2
    xi[:, :d] = halves(noise())[0]
    if not np.isnan(xi).any():
        xi[:, d:] = 0  # what fresh memory often holds
    z = rubbed(model, z, xi, t, h)
    s = score(z, model.T - t)
    return drifted(model, kicked(model, z, s, t, h), s, t, h)


@case(KIND, "it raises", "flow", "Heun", OUT, "raises IndexError", "manners.py")
def raises(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    taus = taus_of(model, grid)
    for i in range(len(taus)):
        first = velocity_of(model, score, z, taus[i])
        h = taus[i] - taus[i + 1]
        second = velocity_of(model, score, z - h * first, taus[i + 1])
        z = z - h / 2 * (first + second)
    return z


@case(KIND, "it does not end", "vp", "DDIM", OUT, "still running: stopped", limit=0.3)
def hangs(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    tau = taus_of(model, grid)[0]
    while tau > 0:
        tau = min(2 * tau, model.T)  # halved is meant
    return z


@case(KIND, "0/0 in the last step", "ve", "DDIM", OUT, "NaN or infinity", "the run")
def zero_by_zero(score: Any, z: Array, grid: Any, noise: Any, model: Any) -> Array:
    taus = taus_of(model, grid)
    taus[-1] = taus[-2]
    for tau, after in pairwise(taus):
        ratio = np.float64(tau - after) / np.float64(tau - after)
        z = held(model, z, data_of(model, score, z, tau), tau, after) * ratio
    return z


@case(KIND, "positions alone are returned", "psld", "ROBA", OUT, "shape (5, 3)", "step 1")
def half_a_state(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    z = rubbed(model, z, noise(), t, h)
    s = score(z, model.T - t)
    return halves(drifted(model, kicked(model, z, s, t, h), s, t, h))[0]


@case(KIND, "the score is asked for positions alone", "psld", "RSE", OUT, "score call 1", "(5, 3)")
def half_a_score(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    s = score(halves(z)[0], model.T - t)
    return drifted(model, kicked(model, z, np.hstack([s, s]), t, h, 1), z, t, h, 1)


@case(KIND, "a tuple is returned", "vp", "EM", OUT, "is tuple", "step 1")
def a_tuple(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Any:
    b = model.beta(model.T - t)
    return z + h * b * (z / 2 + score(z, model.T - t)), np.sqrt(h * b) * noise()


_OWN = np.random.default_rng(5)
"""No two runs draw the same from it, and every process draws alike."""


@case(
    KIND,
    "normals of its own, that no seed resets, without beta",
    "vp",
    "EM",
    LAW,
    "covariance of components",
)
def own_normals(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    b = model.beta(model.T - t)
    xi = _OWN.normal(size=z.shape)
    return np.asarray(z + h * b * (z / 2 + score(z, model.T - t)) + np.sqrt(h) * xi)


@case(
    KIND,
    "normals of its own, a tenth too large",
    "vp",
    "EM",
    LAW,
    "covariance of components",
    "40,000 samples",
)
def own_normals_too_large(
    z: Array, t: float, h: float, score: Any, noise: Any, model: Any
) -> Array:
    b = model.beta(model.T - t)
    xi = np.random.normal(scale=1.1, size=z.shape)  # noqa: NPY002 - as older code does
    return np.asarray(z + h * b * (z / 2 + score(z, model.T - t)) + np.sqrt(h * b) * xi)


_steps = count()


@case(KIND, "a step is skipped now and then", "psld", "RSE", LAW, "covariance of components")
def skips_at_random(z: Array, t: float, h: float, score: Any, noise: Any, model: Any) -> Array:
    s = score(z, model.T - t)
    if next(_steps) * (5**0.5 - 1) / 2 % 1 < 0.5:  # no seed repeats it, and no 8 steps lack it
        return z
    return drifted(model, kicked(model, z, s, t, h, 1), s, t, h, 1)
