"""The PSLD samplers as their papers print them (see plain.py for what goes in and out)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import exp, sqrt
from typing import Any

import torch

from gpu_samplers.black_box import adaptive, dormand_prince
from gpu_samplers.processes import PSLD, VP

Tensor = torch.Tensor
Pair = tuple[Tensor, Tensor]


def steps(times: Sequence[float]) -> list[tuple[float, float]]:
    return [(t, after - t) for t, after in pairwise(times)]


def delta(p: PSLD | VP, t: float, h: float) -> float:
    """b(T - t) - b(T - t - h), where b(tau) = beta_min tau + (beta_max - beta_min) tau^2 / 2T."""
    b = [
        p.beta_min * u + (p.beta_max - p.beta_min) * u * u / (2 * p.T)
        for u in (p.T - t, p.T - t - h)
    ]
    return b[0] - b[1]


# PSLD, probability-flow ODE: dx = b/2 (G x - m/M + G sx) dt, dm = b/2 (x + nu m + M nu sm) dt.


def slope(p: PSLD, s: Any, x: Tensor, m: Tensor, tau: float) -> Pair:
    sx, sm = s(x, m, tau)
    b, G, nu, M = p.beta(tau), p.Gamma, p.nu, p.M
    return b / 2 * (G * x - m / M + G * sx), b / 2 * (x + nu * m + M * nu * sm)


def psld_euler(p: PSLD, s: Any, x: Tensor, m: Tensor, times: Sequence[float], _: Any) -> Pair:
    """Euler."""
    for t, h in steps(times):
        dx, dm = slope(p, s, x, m, p.T - t)
        x, m = x + h * dx, m + h * dm
    return x, m


def psld_nse(p: PSLD, s: Any, x: Tensor, m: Tensor, times: Sequence[float], _: Any) -> Pair:
    """Naive symplectic Euler (arXiv 2310.07894): each half update with a score of its own."""
    for t, h in steps(times):
        b, G, nu, M = p.beta(p.T - t), p.Gamma, p.nu, p.M
        _sx, sm = s(x, m, p.T - t)
        m = m + h * b / 2 * (x + nu * m + M * nu * sm)
        sx, _sm = s(x, m, p.T - t)
        x = x + h * b / 2 * (G * x - m / M + G * sx)
    return x, m


def psld_rse(p: PSLD, s: Any, x: Tensor, m: Tensor, times: Sequence[float], _: Any) -> Pair:
    """Reduced symplectic Euler (arXiv 2310.07894): the score of the momentum update, used again."""
    for t, h in steps(times):
        b, G, nu, M = p.beta(p.T - t), p.Gamma, p.nu, p.M
        sx, sm = s(x, m, p.T - t)
        m = m + h * b / 2 * (x + nu * m + M * nu * sm)
        x = x + h * b / 2 * (G * x - m / M + G * sx)
    return x, m


def psld_nvv(p: PSLD, s: Any, x: Tensor, m: Tensor, times: Sequence[float], _: Any) -> Pair:
    """Naive velocity Verlet (arXiv 2310.07894)."""
    for t, h in steps(times):
        b, G, nu, M = p.beta(p.T - t), p.Gamma, p.nu, p.M
        _sx, sm = s(x, m, p.T - t)
        m = m + h / 2 * b / 2 * (x + nu * m + M * nu * sm)
        sx, _sm = s(x, m, p.T - t)
        x = x + h * b / 2 * (G * x - m / M + G * sx)
        _sx, sm = s(x, m, p.T - t)
        m = m + h / 2 * b / 2 * (x + nu * m + M * nu * sm)
    return x, m


def psld_rvv(p: PSLD, s: Any, x: Tensor, m: Tensor, times: Sequence[float], _: Any) -> Pair:
    """Reduced velocity Verlet (arXiv 2310.07894): the closing half step conditions on T - (t +
    h).
    """
    for t, h in steps(times):
        b, G, nu, M = p.beta(p.T - t), p.Gamma, p.nu, p.M
        sx, sm = s(x, m, p.T - t)
        m = m + h / 2 * b / 2 * (x + nu * m + M * nu * sm)
        x = x + h * b / 2 * (G * x - m / M + G * sx)
        _sx, sm = s(x, m, p.T - t - h)
        m = m + h / 2 * b / 2 * (x + nu * m + M * nu * sm)
    return x, m


def flow(p: PSLD, s: Any) -> Callable[[float, Tensor], Tensor]:
    return lambda t, z: torch.stack(slope(p, s, z[0], z[1], p.T - t))


def psld_rk45(p: PSLD, s: Any, x: Tensor, m: Tensor, times: Sequence[float], _: Any) -> Pair:
    """The step of the adaptive solver, at the fixed times."""
    z = torch.stack((x, m))
    for t, h in steps(times):
        z, _stages = dormand_prince(flow(p, s), t, z, h, flow(p, s)(t, z))
    return z[0], z[1]


def psld_rk45_adaptive(
    p: PSLD, s: Any, x: Tensor, m: Tensor, times: Sequence[float], _: Any, tol: float = 1e-5
) -> Pair:
    """The released code's black box, from the first to the last time; rtol = atol = tol."""
    z = adaptive(flow(p, s), times[0], times[-1], torch.stack((x, m)), tol, tol)
    return z[0], z[1]


# PSLD, reverse SDE: the score counts twice, and there is noise.


def psld_em(p: PSLD, s: Any, x: Tensor, m: Tensor, times: Sequence[float], noise: Any) -> Pair:
    """Euler-Maruyama."""
    for t, h in steps(times):
        b, G, nu, M = p.beta(p.T - t), p.Gamma, p.nu, p.M
        (sx, sm), (xi, eta) = s(x, m, p.T - t), noise()
        dx = b / 2 * (G * x - m / M + 2 * G * sx)
        dm = b / 2 * (x + nu * m + 2 * M * nu * sm)
        x, m = x + h * dx + sqrt(h * b * G) * xi, m + h * dm + sqrt(h * b * M * nu) * eta
    return x, m


def psld_sscs(p: PSLD, s: Any, x: Tensor, m: Tensor, times: Sequence[float], noise: Any) -> Pair:
    """SSCS (Dockhorn et al. 2022, section 3.3): each half of the OU part covers its own half of the
    step.

    The transition matrix is the PSLD paper's, with the momentum reversed; its covariance is
    S - Phi S Phi^T, S = diag(1, M), and enters through its lower Cholesky factor.
    """
    G, nu, M = p.Gamma, p.nu, p.M

    def half(x: Tensor, m: Tensor, b: float) -> Pair:
        e = exp(-(G + nu) * b / 4)
        pxx, pxm = e * (1 + (nu - G) * b / 4), -e * (G - nu) ** 2 * b / 8
        pmx, pmm = e * b / 2, e * (1 + (G - nu) * b / 4)
        cxx, cmm = 1 - pxx**2 - M * pxm**2, M - pmx**2 - M * pmm**2
        cxm = -pxx * pmx - M * pxm * pmm
        xi, eta = noise()
        noise_x = sqrt(cxx) * xi
        noise_m = cxm / sqrt(cxx) * xi + sqrt(cmm - cxm**2 / cxx) * eta
        return pxx * x + pxm * m + noise_x, pmx * x + pmm * m + noise_m

    for t, h in steps(times):
        b = p.beta(p.T - t)
        x, m = half(x, m, delta(p, t, h / 2))
        sx, sm = s(x, m, p.T - t)
        x, m = x + h * b * G * (sx + x), m + h * b * M * nu * (sm + m / M)
        x, m = half(x, m, delta(p, t + h / 2, h / 2))
    return x, m


def ou(p: PSLD, x: Tensor, m: Tensor, d: float, lambda_s: float, noise: Any) -> Pair:
    """The Ornstein-Uhlenbeck update of arXiv 2402.07211 over d, the integral of beta."""
    xi, eta = noise()
    x = exp(-d * p.Gamma / 2) * x + sqrt(1 - exp(-lambda_s * d * p.Gamma)) * xi
    m = exp(-d * p.nu / 2) * m + sqrt(p.M * (1 - exp(-d * p.nu))) * eta
    return x, m


def update_x(p: PSLD, x: Tensor, m: Tensor, c: float, sx: Tensor) -> Tensor:
    """Update A of arXiv 2402.07211; c is the step times beta."""
    return x + c / 2 * (2 * p.Gamma * x - m / p.M + 2 * p.Gamma * sx)


def update_m(p: PSLD, x: Tensor, m: Tensor, c: float, sm: Tensor) -> Tensor:
    """Update B of arXiv 2402.07211."""
    return m + c / 2 * (x + 2 * p.nu * m + 2 * p.M * p.nu * sm)


def psld_noba(
    p: PSLD, s: Any, x: Tensor, m: Tensor, times: Sequence[float], noise: Any, lambda_s: float = 1.0
) -> Pair:
    """Naive OBA (arXiv 2402.07211)."""
    for t, h in steps(times):
        c = h * p.beta(p.T - t)
        x, m = ou(p, x, m, delta(p, t, h), lambda_s, noise)
        m = update_m(p, x, m, c, s(x, m, p.T - t)[1])
        x = update_x(p, x, m, c, s(x, m, p.T - t)[0])
    return x, m


def psld_roba(
    p: PSLD, s: Any, x: Tensor, m: Tensor, times: Sequence[float], noise: Any, lambda_s: float = 1.0
) -> Pair:
    """Reduced OBA (arXiv 2402.07211)."""
    for t, h in steps(times):
        c = h * p.beta(p.T - t)
        x, m = ou(p, x, m, delta(p, t, h), lambda_s, noise)
        sx, sm = s(x, m, p.T - t)
        m = update_m(p, x, m, c, sm)
        x = update_x(p, x, m, c, sx)
    return x, m


def psld_nbao(
    p: PSLD, s: Any, x: Tensor, m: Tensor, times: Sequence[float], noise: Any, lambda_s: float = 1.0
) -> Pair:
    """Naive BAO (arXiv 2402.07211)."""
    for t, h in steps(times):
        c = h * p.beta(p.T - t)
        m = update_m(p, x, m, c, s(x, m, p.T - t)[1])
        x = update_x(p, x, m, c, s(x, m, p.T - t)[0])
        x, m = ou(p, x, m, delta(p, t, h), lambda_s, noise)
    return x, m


def psld_rbao(
    p: PSLD, s: Any, x: Tensor, m: Tensor, times: Sequence[float], noise: Any, lambda_s: float = 1.0
) -> Pair:
    """Reduced BAO (arXiv 2402.07211)."""
    for t, h in steps(times):
        c = h * p.beta(p.T - t)
        sx, sm = s(x, m, p.T - t)
        m = update_m(p, x, m, c, sm)
        x = update_x(p, x, m, c, sx)
        x, m = ou(p, x, m, delta(p, t, h), lambda_s, noise)
    return x, m


def psld_nobab(
    p: PSLD, s: Any, x: Tensor, m: Tensor, times: Sequence[float], noise: Any, lambda_s: float = 1.0
) -> Pair:
    """Naive OBAB (arXiv 2402.07211)."""
    for t, h in steps(times):
        c = h * p.beta(p.T - t)
        x, m = ou(p, x, m, delta(p, t, h), lambda_s, noise)
        m = update_m(p, x, m, c / 2, s(x, m, p.T - t)[1])
        x = update_x(p, x, m, c, s(x, m, p.T - t)[0])
        m = update_m(p, x, m, c / 2, s(x, m, p.T - t)[1])
    return x, m


def psld_robab(
    p: PSLD, s: Any, x: Tensor, m: Tensor, times: Sequence[float], noise: Any, lambda_s: float = 1.0
) -> Pair:
    """Reduced OBAB (arXiv 2402.07211): the closing half step conditions on T - (t + h)."""
    for t, h in steps(times):
        c = h * p.beta(p.T - t)
        x, m = ou(p, x, m, delta(p, t, h), lambda_s, noise)
        sx, sm = s(x, m, p.T - t)
        m = update_m(p, x, m, c / 2, sm)
        x = update_x(p, x, m, c, sx)
        m = update_m(p, x, m, c / 2, s(x, m, p.T - t - h)[1])
    return x, m
