"""Samplers of PSLD's probability flow that hold eps over a step, as DEIS and DPM-Solver print them
for one component (see plain.py for what goes in and out); and Heun and RK4.

z' = Psi(t, s) z + sum of C_j eps_j, C_j = integral over u from s to t of Psi(t, u) G G^T L(u)^-T/2
times Lagrange's polynomial of the j-th evaluation, with s > t forward times and Psi that of dz =
F z dtau. The integrals are done panel by panel in log tau.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, log
from typing import Any

import numpy as np
import torch

from gpu_samplers.plain_conjugate import applied, eps_of, kernel_factor
from gpu_samplers.plain_psld import slope, steps
from gpu_samplers.plain_psld_data import transition
from gpu_samplers.processes import PSLD, Array

Tensor = torch.Tensor
Pair = tuple[Tensor, Tensor]
Times = Sequence[float]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


def psld_heun(p: PSLD, s: Any, x: Tensor, m: Tensor, times: Times, _: Any) -> Pair:
    """Heun on the probability flow (Karras et al. 2022, algorithm 1)."""
    for t, h in steps(times):
        dx, dm = slope(p, s, x, m, p.T - t)
        ex, em = slope(p, s, x + h * dx, m + h * dm, p.T - t - h)
        x, m = x + h * (dx / 2 + ex / 2), m + h * (dm / 2 + em / 2)
    return x, m


def psld_rk4(p: PSLD, s: Any, x: Tensor, m: Tensor, times: Times, _: Any) -> Pair:
    """The classical Runge-Kutta method on the probability flow."""
    for t, h in steps(times):
        tau, mid = p.T - t, p.T - t - h / 2
        k1x, k1m = slope(p, s, x, m, tau)
        k2x, k2m = slope(p, s, x + h / 2 * k1x, m + h / 2 * k1m, mid)
        k3x, k3m = slope(p, s, x + h / 2 * k2x, m + h / 2 * k2m, mid)
        k4x, k4m = slope(p, s, x + h * k3x, m + h * k3m, tau - h)
        x = x + h / 6 * (k1x + 2 * k2x + 2 * k3x + k4x)
        m = m + h / 6 * (k1m + 2 * k2m + 2 * k3m + k4m)
    return x, m


def psi(p: PSLD, after: float, tau: float) -> Array:
    """Of dz = F z dtau backwards, from tau to an earlier time."""
    return np.asarray(np.linalg.inv(transition(p, tau, after)))


def coefficients(p: PSLD, factor: str, s: float, t: float, nodes: Sequence[float]) -> list[Array]:
    """C_j for evaluations at the forward times `nodes`."""
    found = [np.zeros((2, 2)) for _ in nodes]
    edges = s * np.exp(log(t / s) * np.linspace(0, 1, ceil(2 * log(s / t) + 4 * (s - t)) + 1))
    for high, low in pairwise(edges.tolist()):
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            u = high * (low / high) ** float((node + 1) / 2)
            du = float(weight) / 2 * log(low / high) * u
            GG = p.beta(u) * np.diag([p.Gamma, p.M * p.nu])
            pushed = du * psi(p, t, u) @ GG @ np.linalg.inv(kernel_factor(p, u, factor)).T / 2
            for j, own in enumerate(nodes):
                lagrange = [(u - v) / (own - v) for i, v in enumerate(nodes) if i != j]
                found[j] = found[j] + pushed * np.prod(lagrange)
    return found


def moved(p: PSLD, factor: str, z: Pair, s: float, t: float, past: Any) -> Pair:
    """The step from s to t through the evaluations (time, eps) of `past`."""
    x, m = applied(psi(p, t, s), *z)
    for C, (_, eps) in zip(
        coefficients(p, factor, s, t, [time for time, _ in past]), past, strict=True
    ):
        dx, dm = applied(C, *eps)
        x, m = x + dx, m + dm
    return x, m


def adams(p: PSLD, s: Any, x: Tensor, m: Tensor, times: Times, factor: str, most: int) -> Pair:
    """eps extrapolated by a polynomial in time through the last evaluations, at first fewer."""
    past: list[tuple[float, Pair]] = []
    for tau, after in pairwise([p.T - t for t in times]):
        past = [*past, (tau, eps_of(p, s, x, m, tau, factor))][-most:]
        x, m = moved(p, factor, (x, m), tau, after, past)
    return x, m


def psld_expadams2(
    p: PSLD, s: Any, x: Tensor, m: Tensor, times: Times, _: Any, factor: str = "lower"
) -> Pair:
    """tAB1-DEIS of the pair: through two evaluations."""
    return adams(p, s, x, m, times, factor, 2)


def psld_expadams3(
    p: PSLD, s: Any, x: Tensor, m: Tensor, times: Times, _: Any, factor: str = "lower"
) -> Pair:
    """tAB2-DEIS of the pair: through three evaluations."""
    return adams(p, s, x, m, times, factor, 3)


def psld_exp_midpoint(
    p: PSLD, s: Any, x: Tensor, m: Tensor, times: Times, _: Any, factor: str = "lower"
) -> Pair:
    """Half a step with eps held, then the whole step with that of the middle."""
    for tau, after in pairwise([p.T - t for t in times]):
        middle = (tau + after) / 2
        first = (tau, eps_of(p, s, x, m, tau, factor))
        u = moved(p, factor, (x, m), tau, middle, [first])
        second = (middle, eps_of(p, s, *u, middle, factor))
        x, m = moved(p, factor, (x, m), tau, after, [second])
    return x, m
