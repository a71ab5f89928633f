"""Samplers of position-only processes as their papers print them, with alpha_t, sigma_t and
lambda_t.

They hold a prediction of the network over a step. As in plain.py nothing here knows words or
letters. A sampler takes the process (its alpha, sigma, log_snr and, for DEIS, g^2 = beta), s(x,
tau), the state, the reverse times, noise() and, where it is one of a family, eta. Multistep
samplers start with order 1, 2, ... and keep their order to the end; UniPC corrects its last step,
too (the papers' code may do neither).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import expm1, factorial, sqrt
from typing import Any

import numpy as np
import torch

from splitting_analysis.clocks import PositionOnly

Tensor = torch.Tensor
Times = Sequence[float]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(100)


def times_of(p: Any, times: Times) -> Iterator[tuple[float, float]]:
    """The forward times (s, t) at which a step starts and ends, as the papers call them."""
    return ((p.T - a, p.T - b) for a, b in pairwise(times))


def data(p: PositionOnly, s: Any, x: Tensor, t: float) -> Tensor:
    """The data prediction x_theta = (x + sigma^2 s) / alpha."""
    result: Tensor = (x + p.sigma(t) ** 2 * s(x, t)) / p.alpha(t)
    return result


def noise_prediction(p: PositionOnly, s: Any, x: Tensor, t: float) -> Tensor:
    """The noise prediction eps_theta = -sigma s."""
    result: Tensor = -p.sigma(t) * s(x, t)
    return result


def ddim(
    p: PositionOnly, score: Any, x: Tensor, times: Times, noise: Any, eta: float = 0
) -> Tensor:
    """DDIM (Song, Meng & Ermon 2021, equations 12 and 16); eta = 1 is DDPM's ancestral step."""
    for s, t in times_of(p, times):
        e = noise_prediction(p, score, x, s)
        x0 = (x - p.sigma(s) * e) / p.alpha(s)
        # equation 16 with alpha-bar as alpha^2/(alpha^2 + sigma^2), which it is for VP
        up = eta * p.sigma(t) * sqrt(1 - (p.sigma(t) * p.alpha(s) / (p.sigma(s) * p.alpha(t))) ** 2)
        x = p.alpha(t) * x0 + sqrt(p.sigma(t) ** 2 - up**2) * e
        x = x + up * noise() if eta else x
    return x


def dpm_1(p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """DPM-Solver++ of order 1 (Lu et al. 2022, arXiv 2211.01095)."""
    for s, t in times_of(p, times):
        h = p.log_snr(t) - p.log_snr(s)
        x = p.sigma(t) / p.sigma(s) * x - p.alpha(t) * expm1(-h) * data(p, score, x, s)
    return x


def dpm_2s(p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """DPM-Solver++(2S), algorithm 1 with r = 1/2."""
    r = 0.5
    for s, t in times_of(p, times):
        h = p.log_snr(t) - p.log_snr(s)
        middle = p.tau_at("lambda", p.log_snr(s) + r * h)
        first = data(p, score, x, s)
        u = p.sigma(middle) / p.sigma(s) * x - p.alpha(middle) * expm1(-r * h) * first
        d = (1 - 1 / (2 * r)) * first + 1 / (2 * r) * data(p, score, u, middle)
        x = p.sigma(t) / p.sigma(s) * x - p.alpha(t) * expm1(-h) * d
    return x


def dpm_2m(
    p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any, lower_order_final: bool = False
) -> Tensor:
    """DPM-Solver++(2M), algorithm 2."""
    old, h_old = None, 0.0
    for i, (s, t) in enumerate(times_of(p, times)):
        old = None if lower_order_final and i == len(times) - 2 else old
        h, now = p.log_snr(t) - p.log_snr(s), data(p, score, x, s)
        r = h_old / h
        d = now if old is None else (1 + 1 / (2 * r)) * now - 1 / (2 * r) * old
        x = p.sigma(t) / p.sigma(s) * x - p.alpha(t) * expm1(-h) * d
        old, h_old = now, h
    return x


def dpm_3m(
    p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any, lower_order_final: bool = False
) -> Tensor:
    """DPM-Solver++(3M) as its authors' code has it, dpm_solver_pytorch,
    multistep_dpm_solver_third_update.
    """
    past: list[Tensor] = []
    hs: list[float] = []
    for i, (s, t) in enumerate(times_of(p, times)):
        if lower_order_final:
            past = past[max(0, len(past) - (len(times) - 2 - i)) :]
        h, now = p.log_snr(t) - p.log_snr(s), data(p, score, x, s)
        phi_1 = expm1(-h)
        new = p.sigma(t) / p.sigma(s) * x - p.alpha(t) * phi_1 * now
        if len(past) == 1:
            new = new - p.alpha(t) * phi_1 / 2 * (now - past[-1]) / (hs[-1] / h)
        elif len(past) > 1:
            r0, r1 = hs[-1] / h, hs[-2] / h
            d1_0, d1_1 = (now - past[-1]) / r0, (past[-1] - past[-2]) / r1
            d1, d2 = d1_0 + r0 / (r0 + r1) * (d1_0 - d1_1), (d1_0 - d1_1) / (r0 + r1)
            phi_2 = phi_1 / h + 1
            phi_3 = phi_2 / h - 0.5
            new = new + p.alpha(t) * phi_2 * d1 - p.alpha(t) * phi_3 * d2
        past, hs, x = [*past, now][-2:], [*hs, h][-2:], new
    return x


def dpm_solver_2(p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """DPM-Solver-2 (Lu et al. 2022, arXiv 2206.00927, algorithm 1 with r = 1/2)."""
    for s, t in times_of(p, times):
        h = p.log_snr(t) - p.log_snr(s)
        middle = p.tau_at("lambda", p.log_snr(s) + h / 2)
        e = noise_prediction(p, score, x, s)
        u = p.alpha(middle) / p.alpha(s) * x - p.sigma(middle) * expm1(h / 2) * e
        x = p.alpha(t) / p.alpha(s) * x - p.sigma(t) * expm1(h) * noise_prediction(
            p, score, u, middle
        )
    return x


def _third(
    p: PositionOnly, score: Any, x: Tensor, times: Times, kind: Any, scale: Any, sign: int
) -> Tensor:
    """The singlestep solver of order 3, r_1 = 1/3 and r_2 = 2/3, of either prediction."""
    r1, r2 = 1 / 3, 2 / 3
    for s, t in times_of(p, times):
        h = p.log_snr(t) - p.log_snr(s)
        s1, s2 = (p.tau_at("lambda", p.log_snr(s) + r * h) for r in (r1, r2))
        other = p.alpha if sign > 0 else p.sigma
        first = kind(p, score, x, s)
        u1 = other(s1) / other(s) * x - scale(s1) * expm1(sign * r1 * h) * first
        d1 = kind(p, score, u1, s1) - first
        u2 = other(s2) / other(s) * x - scale(s2) * expm1(sign * r2 * h) * first
        u2 = u2 - sign * scale(s2) * r2 / r1 * (expm1(sign * r2 * h) / (r2 * h) - sign) * d1
        d2 = kind(p, score, u2, s2) - first
        x = other(t) / other(s) * x - scale(t) * expm1(sign * h) * first
        x = x - sign * scale(t) / r2 * (expm1(sign * h) / h - sign) * d2
    return x


def dpm_solver_3(p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """DPM-Solver-3 (Lu et al. 2022, arXiv 2206.00927, algorithm 2)."""
    return _third(p, score, x, times, noise_prediction, p.sigma, 1)


def dpm_3s(p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """DPM-Solver++(3S) as its authors' code has it, singlestep_dpm_solver_third_update."""
    return _third(p, score, x, times, data, p.alpha, -1)


def res2s(p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """The exponential Runge-Kutta method of order 2 with c_2 = 1/2 (Zhang et al. 2023, arXiv
    2308.02157).
    """
    c2 = 0.5
    for s, t in times_of(p, times):
        h = p.log_snr(t) - p.log_snr(s)
        middle = p.tau_at("lambda", p.log_snr(s) + c2 * h)
        phi_1, phi_2 = -expm1(-h) / h, (expm1(-h) + h) / h**2
        first = data(p, score, x, s)
        u = p.sigma(middle) / p.sigma(s) * x - p.alpha(middle) * expm1(-c2 * h) * first
        second = data(p, score, u, middle)
        d = (phi_1 - phi_2 / c2) * first + phi_2 / c2 * second
        x = p.sigma(t) / p.sigma(s) * x + p.alpha(t) * h * d
    return x


def _deis(p: Any, score: Any, x: Tensor, times: Times, most: int) -> Tensor:
    """tAB-DEIS (Zhang & Chen 2023, equations 14 and 15): eps extrapolated by a polynomial in
    time.
    """
    past: list[tuple[float, Tensor]] = []
    for s, t in times_of(p, times):
        past = [*past, (s, noise_prediction(p, score, x, s))][-most:]
        u = s + (t - s) * (_NODES + 1) / 2
        weight = p.alpha(t) / p.alpha(u) * p.beta(u) / (2 * p.sigma(u)) * _WEIGHTS * (t - s) / 2
        x = p.alpha(t) / p.alpha(s) * x
        for j, (own, e) in enumerate(past):
            lagrange = np.prod(
                [(u - other) / (own - other) for i, (other, _) in enumerate(past) if i != j], axis=0
            )
            x = x + float(np.sum(weight * lagrange)) * e
    return x


def deis2(p: Any, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """tAB1-DEIS: through two evaluations."""
    return _deis(p, score, x, times, 2)


def deis3(p: Any, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """tAB2-DEIS: through three evaluations."""
    return _deis(p, score, x, times, 3)


def _rho_deis(p: PositionOnly, score: Any, x: Tensor, times: Times, most: int) -> Tensor:
    """rhoAB-DEIS (Zhang & Chen 2023): Adams-Bashforth of y = x/alpha in rho, dy = eps drho."""
    past: list[tuple[float, Tensor]] = []
    for s, t in times_of(p, times):
        a, b = p.sigma(s) / p.alpha(s), p.sigma(t) / p.alpha(t)
        past = [*past, (a, noise_prediction(p, score, x, s))][-most:]
        e, h = past[-1][1], b - a
        y = x / p.alpha(s) + h * e
        if len(past) > 1:  # Newton's form: divided differences, and the integrals of their factors
            slopes = [(v - w) / (c - d) for (d, w), (c, v) in pairwise(past)]
            y = y + h**2 / 2 * slopes[-1]
            if len(past) > 2:
                bend = (slopes[1] - slopes[0]) / (past[2][0] - past[0][0])
                y = y + (h**3 / 3 + h**2 / 2 * (past[2][0] - past[1][0])) * bend
        x = p.alpha(t) * y
    return x


def rho_deis2(p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """rhoAB1-DEIS: through two evaluations."""
    return _rho_deis(p, score, x, times, 2)


def rho_deis3(p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """rhoAB2-DEIS: through three evaluations."""
    return _rho_deis(p, score, x, times, 3)


def _unipc(
    p: PositionOnly,
    score: Any,
    x: Tensor,
    times: Times,
    order: int,
    b_1: bool = False,
    lower_order_final: bool = False,
) -> Tensor:
    """UniPC (Zhao et al. 2023, algorithms 1 and 2) with data prediction and B_2(h), or B_1(h)."""
    past = [(p.log_snr(p.T - times[0]), data(p, score, x, p.T - times[0]))]  # type: ignore[attr-defined]
    for i, (s, t) in enumerate(times_of(p, times)):
        k = min(order, len(past))
        k = min(k, len(times) - 1 - i) if lower_order_final else k
        lambda_s, m0 = past[-1]
        h = p.log_snr(t) - lambda_s
        h_phi_1 = expm1(-h)
        b_h = -h if b_1 else h_phi_1  # B_1 or B_2 of -h, as the data prediction has it
        older = past[-k:-1][::-1]
        rks = [(lam - lambda_s) / h for lam, _ in older] + [1.0]
        d1s = [(m - m0) / rk for rk, (_, m) in zip(rks, older, strict=False)]
        matrix = np.array([[rk**i for rk in rks] for i in range(k)])
        phi, b = expm1(-h) / -h - 1, []
        for i in range(1, k + 1):
            b.append(phi * factorial(i) / b_h)
            phi = phi / -h - 1 / factorial(i + 1)
        rhos_p = np.array([0.5]) if k == 2 else np.linalg.solve(matrix[:-1, :-1], b[:-1])
        rhos_c = np.array([0.5]) if k == 1 else np.linalg.solve(matrix, b)
        linear = p.sigma(t) / p.sigma(s) * x - p.alpha(t) * h_phi_1 * m0
        predicted = linear
        for rho, d in zip(rhos_p, d1s, strict=True):
            predicted = predicted - p.alpha(t) * b_h * float(rho) * d
        new = data(p, score, predicted, t)
        x = linear
        for rho, d in zip(rhos_c, [*d1s, new - m0], strict=True):
            x = x - p.alpha(t) * b_h * float(rho) * d
        past = [*past, (p.log_snr(t), new)]
    return x


def unipc2(p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """UniPC of order 2."""
    return _unipc(p, score, x, times, 2)


def unipc3(
    p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any, lower_order_final: bool = False
) -> Tensor:
    """UniPC of order 3."""
    return _unipc(p, score, x, times, 3, lower_order_final=lower_order_final)


def unipc2_bh1(p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """UniPC of order 2 with B_1."""
    return _unipc(p, score, x, times, 2, b_1=True)


def unipc3_bh1(p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """UniPC of order 3 with B_1."""
    return _unipc(p, score, x, times, 3, b_1=True)


def ve_euler(p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """Euler in the noise level (Karras et al. 2022), x' = x + (t - s) (x - D)/s."""
    for s, t in times_of(p, times):
        x = x + (t - s) * (x - data(p, score, x, s)) / s
    return x


def ve_heun(p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """EDM's deterministic sampler (Karras et al. 2022, algorithm 1), not yet at noise level 0."""
    for s, t in times_of(p, times):
        d = (x - data(p, score, x, s)) / s
        u = x + (t - s) * d
        x = x + (t - s) * (d / 2 + (u - data(p, score, u, t)) / t / 2)
    return x


def velocity(p: PositionOnly, score: Any, x: Tensor, t: float) -> Tensor:
    """eps - x_0, what a network of flow matching predicts."""
    e = noise_prediction(p, score, x, t)
    return e - (x - p.sigma(t) * e) / p.alpha(t)


def flow_euler(p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """Euler along the velocity (Lipman et al. 2023)."""
    for s, t in times_of(p, times):
        x = x + (t - s) * velocity(p, score, x, s)
    return x


def flow_midpoint(p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """The midpoint rule along the velocity."""
    for s, t in times_of(p, times):
        u = x + (t - s) / 2 * velocity(p, score, x, s)
        x = x + (t - s) * velocity(p, score, u, (s + t) / 2)
    return x


def flow_heun(p: PositionOnly, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """Heun's method along the velocity."""
    for s, t in times_of(p, times):
        k1 = velocity(p, score, x, s)
        k2 = velocity(p, score, x + (t - s) * k1, t)
        x = x + (t - s) / 2 * (k1 + k2)
    return x


Sampler = Callable[..., Tensor]
SAMPLERS: dict[str, Sampler] = {
    function.__name__: function
    for function in (
        ddim,
        dpm_1,
        dpm_2s,
        dpm_2m,
        dpm_3m,
        dpm_solver_2,
        dpm_solver_3,
        dpm_3s,
        res2s,
        deis2,
        deis3,
        rho_deis2,
        rho_deis3,
        unipc2,
        unipc3,
        unipc2_bh1,
        unipc3_bh1,
        ve_euler,
        ve_heun,
        flow_euler,
        flow_midpoint,
        flow_heun,
    )
}
"""By the catalogue's name in lower case, with _ for its signs: "dpm_2m" is DPM++2M's; after the
model's where it is of one model, "ve_heun"."""
