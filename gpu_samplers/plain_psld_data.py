"""PSLD and CLD with the data held, as theory section 10 prints it (see plain.py for what goes in
and out).

Given x_0 the forward path is N(mu x_0, Sigma) with mu the first column of Phi. eta = 1 draws from
its exact bridge, eta = 0 carries R^-1 (z - mu x_0) along, R R^T = Sigma (gDDIM's idea). Several
evaluations are a polynomial in lambda = log(Phi_xx / sigma_x), started with fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import exp, log, sqrt
from typing import Any

import numpy as np
import torch
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from gpu_samplers.plain_psld import delta
from gpu_samplers.processes import PSLD, Array

Tensor = torch.Tensor
Pair = tuple[Tensor, Tensor]
Times = Sequence[float]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


def transition(p: PSLD, late: float, early: float) -> Array:
    """Phi(late <- early) of forward times."""
    G, nu, b = p.Gamma, p.nu, delta(p, p.T - late, late - early)
    top = [1 + (nu - G) * b / 4, (G - nu) ** 2 * b / 8]
    matrix: Array = exp(-(G + nu) * b / 4) * np.array([top, [-b / 2, 1 + (G - nu) * b / 4]])
    return matrix


def kernel(p: PSLD, tau: float) -> tuple[Array, Array]:
    """mu and Sigma = S + Phi (Sigma_0 - S) Phi^T, Sigma_0 = diag(0, kappa M)."""
    phi = transition(p, tau, 0.0)
    away = np.diag([-1.0, p.kappa * p.M - p.M])
    return phi[:, 0], np.diag([1.0, p.M]) + phi @ away @ phi.T


def log_snr(p: PSLD, tau: float) -> float:
    mu, sigma = kernel(p, tau)
    return log(mu[0] / sqrt(sigma[0, 0]))


def root(mu: Array, sigma: Array, factor: str) -> Array:
    """R with R R^T = Sigma; aligned, R^-1 mu points along the first axis."""
    if factor == "aligned":
        L = np.linalg.cholesky(sigma)
        a, b = np.linalg.solve(L, mu)
        return np.asarray(L @ np.array([[a, -b], [b, a]]) / sqrt(a * a + b * b))
    if factor == "lower":
        return np.asarray(np.linalg.cholesky(sigma))
    if factor == "upper":
        return np.asarray(np.linalg.cholesky(sigma[::-1, ::-1])[::-1, ::-1])
    values, vectors = np.linalg.eigh(sigma)
    return np.asarray(vectors @ np.diag(np.sqrt(values)) @ vectors.T)


def carried(p: PSLD, factor: str, tau: float, after: float) -> Array:
    """R' R^-1; of the probability flow dR/dtau = (F + G G^T Sigma^-1 / 2) R."""
    if factor != "flow":
        before, then = kernel(p, tau), kernel(p, after)
        return np.asarray(root(*then, factor) @ np.linalg.inv(root(*before, factor)))
    F = np.array([[-p.Gamma, 1 / p.M], [-1.0, -p.nu]]) / 2
    GG = np.diag([p.Gamma, p.M * p.nu])

    def slope(u: float, y: Array) -> Array:
        matrix = p.beta(exp(u)) * (F + GG @ np.linalg.inv(kernel(p, exp(u))[1]) / 2)
        return np.asarray(exp(u) * matrix @ y.reshape(2, 2)).ravel()

    start, ends = np.eye(2).ravel(), (log(tau), log(after))  # tau = e^u
    found = solve_ivp(slope, ends, start, method="DOP853", rtol=1e-12, atol=1e-14)
    return np.asarray(found.y[:, -1].reshape(2, 2))


def bridge(p: PSLD, tau: float, after: float) -> tuple[Array, Array]:
    """K and the covariance of the bridge's noise."""
    phi, before, then = transition(p, tau, after), kernel(p, tau)[1], kernel(p, after)[1]
    K = then @ phi.T @ np.linalg.inv(before)
    return np.asarray(K), np.asarray(then - K @ phi @ then)


def data(p: PSLD, s: Any, x: Tensor, m: Tensor, tau: float) -> Tensor:
    """x_0 as the score has it, (x + (Sigma s)^x) / Phi_xx."""
    (mu, sigma), (sx, sm) = kernel(p, tau), s(x, m, tau)
    result: Tensor = (x + sigma[0, 0] * sx + sigma[0, 1] * sm) / mu[0]
    return result


def held(
    p: PSLD,
    s: Any,
    x: Tensor,
    m: Tensor,
    times: Times,
    noise: Any,
    eta: float,
    factor: str,
    share: Callable[[list[float], float, Callable[[float], Array]], list[Array]],
) -> Pair:
    """A run; `share` says what each of the data predicted so far adds to the state."""
    if eta not in (0, 1):
        raise ValueError(f"eta = {eta}: the theory prints 0 and 1")
    nodes: list[float] = []
    seen: list[Tensor] = []
    for tau, after in pairwise(p.T - t for t in times):

        def moving(u: float, after: float = after) -> Array:
            return bridge(p, u, after)[0] if eta else carried(p, factor, u, after)

        nodes, seen = [*nodes, tau], [*seen, data(p, s, x, m, tau)]
        gains = share(nodes, after, moving)
        M = moving(tau).tolist()
        x, m = M[0][0] * x + M[0][1] * m, M[1][0] * x + M[1][1] * m
        for gain, known in zip(gains, seen[-len(gains) :], strict=True):
            x, m = x + float(gain[0]) * known, m + float(gain[1]) * known
        if eta:
            L, (ex, em) = np.linalg.cholesky(bridge(p, tau, after)[1]).tolist(), noise()
            x, m = x + L[0][0] * ex, m + L[1][0] * ex + L[1][1] * em
    return x, m


def psld_pddim(
    p: PSLD,
    s: Any,
    x: Tensor,
    m: Tensor,
    times: Times,
    noise: Any,
    eta: float = 0,
    factor: str = "lower",
) -> Pair:
    """One evaluation: z' = mu' x_0 + M (z - mu x_0)."""

    def share(nodes: list[float], after: float, moving: Callable[[float], Array]) -> list[Array]:
        tau = nodes[-1]
        return [kernel(p, after)[0] - moving(tau) @ kernel(p, tau)[0]]

    return held(p, s, x, m, times, noise, eta, factor, share)


def psld_p2m(
    p: PSLD,
    s: Any,
    x: Tensor,
    m: Tensor,
    times: Times,
    noise: Any,
    eta: float = 0,
    factor: str = "lower",
) -> Pair:
    """Two evaluations: the same with (1 + w) x_0 - w x_0^last, w = h / (2 h_last)."""

    def share(nodes: list[float], after: float, moving: Callable[[float], Array]) -> list[Array]:
        tau = nodes[-1]
        gain = kernel(p, after)[0] - moving(tau) @ kernel(p, tau)[0]
        if len(nodes) == 1:
            return [gain]
        h, h_last = log_snr(p, after) - log_snr(p, tau), log_snr(p, tau) - log_snr(p, nodes[-2])
        w = h / (2 * h_last)
        return [-w * gain, (1 + w) * gain]

    return held(p, s, x, m, times, noise, eta, factor, share)


def psld_p3m(
    p: PSLD,
    s: Any,
    x: Tensor,
    m: Tensor,
    times: Times,
    noise: Any,
    eta: float = 0,
    factor: str = "lower",
) -> Pair:
    """Three evaluations: the integral of d(M mu) times Lagrange's polynomials, by parts and by
    quadrature in lambda.
    """

    def share(nodes: list[float], after: float, moving: Callable[[float], Array]) -> list[Array]:
        tau, through = nodes[-1], nodes[-3:]
        first, last = log_snr(p, tau), log_snr(p, after)
        readings = (first + last) / 2 + (last - first) / 2 * _NODES
        inner = [float(brentq(lambda u, r=r: log_snr(p, u) - r, after, tau)) for r in readings]
        values = np.array([moving(u) @ kernel(p, u)[0] for u in inner])
        gains = []
        for own in through:
            others = [log_snr(p, u) for u in through if u != own]
            line = np.poly1d(others, r=True)
            line = line / line(log_snr(p, own))
            slope = np.asarray(line.deriv()(readings)) * _WEIGHTS * (last - first) / 2
            ends = line(last) * kernel(p, after)[0] - line(first) * moving(tau) @ kernel(p, tau)[0]
            gains.append(ends - slope @ values)
        return gains

    return held(p, s, x, m, times, noise, eta, factor, share)


SAMPLERS = {function.__name__: function for function in (psld_pddim, psld_p2m, psld_p3m)}
"""By model and name, as plain_position.SAMPLERS."""
