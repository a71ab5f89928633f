"""Conjugate integrators of PSLD as arXiv 2310.07894 prints them (see plain.py for what goes in and
out).

A_tau and Phi_tau run from tau = 0 through the whole process, by an adaptive method in sqrt(tau);
eps is read off the score, eps = -L^T s, with L of the kernel in 30 digits. `lam` is lambda.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from math import exp, sqrt
from typing import Any

import mpmath
import numpy as np
import torch
from scipy.integrate import solve_ivp

from gpu_samplers.plain_psld import delta, steps
from gpu_samplers.processes import PSLD, Array

Tensor = torch.Tensor
Pair = tuple[Tensor, Tensor]
Times = Sequence[float]
IDENTITY = ((1.0, 0.0), (0.0, 1.0))
ONES = ((1.0, 1.0), (1.0, 1.0))
Square = tuple[tuple[float, float], tuple[float, float]]
Moving = Callable[[float], Square]
"""A B that depends on forward time."""


@lru_cache(10000)
def kernel_factor(p: PSLD, tau: float, factor: str) -> Array:
    """L of Sigma_tau = S + Phi (Sigma_0 - S) Phi^T, Sigma_0 = diag(0, kappa M)."""
    with mpmath.workdps(30):
        G, nu, M, kappa, u = (
            mpmath.mpf(v) for v in (p.Gamma, p.nu, 4 / (p.nu - p.Gamma) ** 2, p.kappa, tau)
        )
        b = p.beta_min * u + (mpmath.mpf(p.beta_max) - p.beta_min) * u * u / (2 * p.T)
        # Phi = e (top, bottom), written out: matrices of mpmath take several times as long
        e = mpmath.exp(-(G + nu) * b / 4)
        top, bottom = (1 + (nu - G) * b / 4, (G - nu) ** 2 * b / 8), (-b / 2, 1 + (G - nu) * b / 4)
        e2, start = e * e, kappa * M - M
        xx = 1 + e2 * (start * top[1] ** 2 - top[0] ** 2)
        xm = e2 * (start * top[1] * bottom[1] - top[0] * bottom[0])
        mm = M + e2 * (start * bottom[1] ** 2 - bottom[0] ** 2)
        if factor == "lower":
            r = mpmath.sqrt(xx)
            entries = ((r, 0), (xm / r, mpmath.sqrt(mm - xm * xm / xx)))
        else:
            r = mpmath.sqrt(mm)
            entries = ((mpmath.sqrt(xx - xm * xm / mm), xm / r), (0, r))
        return np.array([[float(v) for v in row] for row in entries])


def conjugated(
    p: PSLD,
    linear: Square,
    noise: tuple[float, float],
    B: Square | Moving,
    factor: str,
    taus: Sequence[float],
    skip: float | None = None,
) -> list[tuple[Array, Array]]:
    """A_tau and Phi_tau (up to a constant) at `taus`.

    With F = beta linear, G G^T = beta diag(noise):
    dA/dtau = A (B_tau - F + 1/2 G G^T C_skip), A(0) = I; dPhi/dtau = -1/2 A G G^T C_out, with
    C_out = -L^-T and C_skip = 0, or that of Gaussian data of variance `skip`.
    """
    F, Q = np.array(linear), np.diag(noise)
    low = min(taus)

    def slope(v: float, y: Array) -> Array:
        tau, A = v * v, y[:4].reshape(2, 2)
        own = F if skip is None else F - Q @ skipped(p, tau, skip) / 2
        dA = A @ (matrix_at(B, tau) - p.beta(tau) * own)
        if tau <= low and low > 0:
            return 2 * v * np.concatenate([dA.ravel(), np.zeros(4)])
        C_out = -np.linalg.inv(kernel_factor(p, tau, factor)).T
        return 2 * v * np.concatenate([dA.ravel(), (-A @ (p.beta(tau) * Q) @ C_out / 2).ravel()])

    y, v, found = np.concatenate([np.eye(2).ravel(), np.zeros(4)]), 0.0, {}
    for tau in sorted(set(taus)):
        if sqrt(tau) > v:
            first = v if v or low > 0 else 1e-10  # C_out is singular at 0
            y = solve_ivp(slope, (first, sqrt(tau)), y, method="DOP853", rtol=1e-13, atol=1e-15).y[
                :, -1
            ]
        v = sqrt(tau)
        found[tau] = y[:4].reshape(2, 2), y[4:].reshape(2, 2)
    return [found[tau] for tau in taus]


def matrix_at(B: Square | Moving, tau: float) -> Array:
    return np.array(B(tau) if callable(B) else B)


def skipped(p: PSLD, tau: float, variance: float) -> Array:
    """C_skip = -Sigma^-1, Sigma = S + Phi (Sigma_0 - S) Phi^T with Sigma_0 = diag(variance, kappa
    M).
    """
    with mpmath.workdps(30):
        G, nu, u = mpmath.mpf(p.Gamma), mpmath.mpf(p.nu), mpmath.mpf(tau)
        M = 4 / (nu - G) ** 2
        b = p.beta_min * u + (mpmath.mpf(p.beta_max) - p.beta_min) * u * u / (2 * p.T)
        e = mpmath.exp(-(G + nu) * b / 4)
        (x, y), (z, w) = (
            (e * (1 + (nu - G) * b / 4), e * (G - nu) ** 2 * b / 8),
            (-e * b / 2, e * (1 + (G - nu) * b / 4)),
        )
        first, second = variance - 1, p.kappa * M - M
        xx = 1 + first * x * x + second * y * y
        xm = first * x * z + second * y * w
        mm = M + first * z * z + second * w * w
        det = xx * mm - xm * xm
        return -np.array([[float(mm / det), float(-xm / det)], [float(-xm / det), float(xx / det)]])


def scaled(lam: float, matrix: Square) -> Square:
    (a, b), (c, d) = matrix
    return (lam * a, lam * b), (lam * c, lam * d)


def applied(matrix: Array, x: Tensor, m: Tensor) -> Pair:
    (a, b), (c, d) = matrix.tolist()
    return a * x + b * m, c * x + d * m


def eps_of(
    p: PSLD, s: Any, x: Tensor, m: Tensor, tau: float, factor: str, skip: float | None = None
) -> Pair:
    """What the network would say: s = C_skip z - L^-T eps."""
    sx, sm = s(x, m, tau)
    if skip is not None:
        cx, cm = applied(skipped(p, tau, skip), x, m)
        sx, sm = sx - cx, sm - cm
    return applied(-kernel_factor(p, tau, factor).T, sx, sm)


Move = Callable[[Pair, Pair, float, float], Pair]


def mover(
    p: PSLD,
    linear: Square,
    noise: tuple[float, float],
    B: Square | Moving,
    factor: str,
    taus: Sequence[float],
    skip: float | None = None,
) -> Move:
    """The conjugate step from tau to tau', eps held."""
    taus = [max(tau, 0.0) for tau in taus]
    table = dict(zip(taus, conjugated(p, linear, noise, B, factor, taus, skip), strict=True))

    def move(z: Pair, eps: Pair, tau: float, after: float) -> Pair:
        A, phi = table[max(tau, 0.0)]
        A_after, phi_after = table[max(after, 0.0)]
        hat = applied(A, *z)
        conjugated_b: Array = (tau - after) * A @ matrix_at(B, tau) @ np.linalg.inv(A)
        drift = applied(conjugated_b, *hat)
        push = applied(phi_after - phi, *eps)
        hat = hat[0] - drift[0] + push[0], hat[1] - drift[1] + push[1]
        inverse = np.linalg.inv(A_after).astype(np.float64)
        return applied(inverse, *hat)

    return move


def single(
    p: PSLD,
    s: Any,
    x: Tensor,
    m: Tensor,
    times: Times,
    B: Square | Moving,
    factor: str,
    skip: float | None = None,
) -> Pair:
    F = ((-p.Gamma / 2, 1 / p.M / 2), (-1 / 2, -p.nu / 2))
    taus = [p.T - t for t in times]
    move = mover(p, F, (p.Gamma, p.M * p.nu), B, factor, taus, skip)
    for tau, after in pairwise(taus):
        x, m = move((x, m), eps_of(p, s, x, m, tau, factor, skip), tau, after)
    return x, m


def psld_ei(
    p: PSLD, s: Any, x: Tensor, m: Tensor, times: Times, _: Any, factor: str = "lower"
) -> Pair:
    """Exponential integrator: B = 0."""
    return single(p, s, x, m, times, scaled(0.0, IDENTITY), factor)


def psld_lddim_i(
    p: PSLD,
    s: Any,
    x: Tensor,
    m: Tensor,
    times: Times,
    _: Any,
    lam: float = 0.0,
    factor: str = "lower",
) -> Pair:
    """lambda-DDIM-I: B = lambda I."""
    return single(p, s, x, m, times, scaled(lam, IDENTITY), factor)


def psld_lddim_ii(
    p: PSLD,
    s: Any,
    x: Tensor,
    m: Tensor,
    times: Times,
    _: Any,
    lam: float = 0.0,
    factor: str = "lower",
) -> Pair:
    """lambda-DDIM-II: B = lambda times all ones."""
    return single(p, s, x, m, times, scaled(lam, ONES), factor)


def pieces(p: PSLD, k: int, lam: float, factor: str, taus: Sequence[float]) -> tuple[Move, Move]:
    """Conjugate steps of A and of B; k = 1 for the ODE, 2 for the SDE."""
    B = scaled(lam, IDENTITY)
    a = mover(p, ((-k * p.Gamma / 2, 1 / p.M / 2), (0.0, 0.0)), (k * p.Gamma, 0.0), B, factor, taus)
    b = mover(p, ((0.0, 0.0), (-1 / 2, -k * p.nu / 2)), (0.0, k * p.M * p.nu), B, factor, taus)
    return a, b


def psld_cse(
    p: PSLD,
    s: Any,
    x: Tensor,
    m: Tensor,
    times: Times,
    _: Any,
    lam: float = 0.0,
    factor: str = "lower",
) -> Pair:
    """Conjugate symplectic Euler: B, then A with the same eps."""
    taus = [p.T - t for t in times]
    a, b = pieces(p, 1, lam, factor, taus)
    for tau, after in pairwise(taus):
        eps = eps_of(p, s, x, m, tau, factor)
        x, m = b((x, m), eps, tau, after)
        x, m = a((x, m), eps, tau, after)
    return x, m


def psld_cvv(
    p: PSLD,
    s: Any,
    x: Tensor,
    m: Tensor,
    times: Times,
    _: Any,
    lam: float = 0.0,
    factor: str = "lower",
) -> Pair:
    """Conjugate velocity Verlet: half of B, A with the same eps, a new eps at the end for the other
    half.
    """
    taus = [p.T - t for t in times]
    halves = [(u + v) / 2 for u, v in pairwise(taus)]
    a, b = pieces(p, 1, lam, factor, [*taus, *halves])
    for tau, middle, after in zip(taus, halves, taus[1:], strict=False):
        eps = eps_of(p, s, x, m, tau, factor)
        x, m = b((x, m), eps, tau, middle)
        x, m = a((x, m), eps, tau, after)
        x, m = b((x, m), eps_of(p, s, x, m, after, factor), middle, after)
    return x, m


def psld_coba(
    p: PSLD,
    s: Any,
    x: Tensor,
    m: Tensor,
    times: Times,
    noise: Any,
    lam: float = 0.0,
    factor: str = "lower",
) -> Pair:
    """Conjugate OBA: the exact OU step, then B and A with one eps."""
    taus = [p.T - t for t in times]
    a, b = pieces(p, 2, lam, factor, taus)
    for t, h in steps(times):
        d, (ex, em) = delta(p, t, h), noise()
        x = exp(-d * p.Gamma / 2) * x + sqrt(1 - exp(-d * p.Gamma)) * ex
        m = exp(-d * p.nu / 2) * m + sqrt(p.M * (1 - exp(-d * p.nu))) * em
        tau, after = p.T - t, taus[times.index(t) + 1]
        eps = eps_of(p, s, x, m, tau, factor)
        x, m = b((x, m), eps, tau, after)
        x, m = a((x, m), eps, tau, after)
    return x, m


def psld_ncse(
    p: PSLD,
    s: Any,
    x: Tensor,
    m: Tensor,
    times: Times,
    _: Any,
    lam: float = 0.0,
    factor: str = "lower",
) -> Pair:
    """Naive conjugate symplectic Euler: B, then A with an eps of its own, both at time tau."""
    taus = [p.T - t for t in times]
    a, b = pieces(p, 1, lam, factor, taus)
    for tau, after in pairwise(taus):
        x, m = b((x, m), eps_of(p, s, x, m, tau, factor), tau, after)
        x, m = a((x, m), eps_of(p, s, x, m, tau, factor), tau, after)
    return x, m


def psld_ncvv(
    p: PSLD,
    s: Any,
    x: Tensor,
    m: Tensor,
    times: Times,
    _: Any,
    lam: float = 0.0,
    factor: str = "lower",
) -> Pair:
    """Naive conjugate velocity Verlet: an eps anew for half of B, A, half of B, all at time tau."""
    taus = [p.T - t for t in times]
    halves = [(u + v) / 2 for u, v in pairwise(taus)]
    a, b = pieces(p, 1, lam, factor, [*taus, *halves])
    for tau, middle, after in zip(taus, halves, taus[1:], strict=False):
        x, m = b((x, m), eps_of(p, s, x, m, tau, factor), tau, middle)
        x, m = a((x, m), eps_of(p, s, x, m, tau, factor), tau, after)
        x, m = b((x, m), eps_of(p, s, x, m, tau, factor), middle, after)
    return x, m


def psld_ncoba(
    p: PSLD,
    s: Any,
    x: Tensor,
    m: Tensor,
    times: Times,
    noise: Any,
    lam: float = 0.0,
    factor: str = "lower",
) -> Pair:
    """Naive conjugate OBA: the exact OU step, then B and A with an eps each."""
    taus = [p.T - t for t in times]
    a, b = pieces(p, 2, lam, factor, taus)
    for (t, h), tau, after in zip(steps(times), taus, taus[1:], strict=False):
        d, (ex, em) = delta(p, t, h), noise()
        x = exp(-d * p.Gamma / 2) * x + sqrt(1 - exp(-d * p.Gamma)) * ex
        m = exp(-d * p.nu / 2) * m + sqrt(p.M * (1 - exp(-d * p.nu))) * em
        x, m = b((x, m), eps_of(p, s, x, m, tau, factor), tau, after)
        x, m = a((x, m), eps_of(p, s, x, m, tau, factor), tau, after)
    return x, m
