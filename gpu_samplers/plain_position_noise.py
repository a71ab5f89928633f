"""Samplers of position-only processes that draw noise, as their papers print them (see
plain_position.py).
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, expm1, sqrt
from typing import Any

from gpu_samplers.plain_position import Tensor, Times, data, times_of
from splitting_analysis.clocks import PositionOnly


def euler_a(
    p: PositionOnly, score: Any, x: Tensor, times: Times, noise: Any, eta: float = 1
) -> Tensor:
    """k-diffusion's Euler ancestral, in y = x/alpha and the noise level rho = sigma/alpha."""
    y = x / p.alpha(p.T - times[0])  # type: ignore[attr-defined]
    for s, t in times_of(p, times):
        a, b = p.sigma(s) / p.alpha(s), p.sigma(t) / p.alpha(t)
        denoised = data(p, score, p.alpha(s) * y, s)
        up = min(b, eta * sqrt(b**2 * (a**2 - b**2) / a**2))
        down = sqrt(b**2 - up**2)
        y = y + (y - denoised) / a * (down - a) + up * noise()
    result: Tensor = p.alpha(p.T - times[-1]) * y  # type: ignore[attr-defined]
    return result


def dpm_1_sde(p: PositionOnly, score: Any, x: Tensor, times: Times, noise: Any) -> Tensor:
    """SDE-DPM-Solver++1 (Lu et al. 2022, arXiv 2211.01095, section 4.3; eta = 1)."""
    for s, t in times_of(p, times):
        h, now = p.log_snr(t) - p.log_snr(s), data(p, score, x, s)
        x = p.sigma(t) / p.sigma(s) * exp(-h) * x - p.alpha(t) * expm1(-2 * h) * now
        x = x + p.sigma(t) * sqrt(-expm1(-2 * h)) * noise()
    return x


def dpm_2m_sde(p: PositionOnly, score: Any, x: Tensor, times: Times, noise: Any) -> Tensor:
    """SDE-DPM-Solver++(2M), section 4.3 of the same paper (eta = 1)."""
    old, h_old = None, 0.0
    for s, t in times_of(p, times):
        h, now = p.log_snr(t) - p.log_snr(s), data(p, score, x, s)
        x = p.sigma(t) / p.sigma(s) * exp(-h) * x - p.alpha(t) * expm1(-2 * h) * now
        if old is not None:
            x = x - p.alpha(t) * expm1(-2 * h) / 2 * (now - old) / (h_old / h)
        x = x + p.sigma(t) * sqrt(-expm1(-2 * h)) * noise()
        old, h_old = now, h
    return x


def dpm_2s_sde(p: PositionOnly, score: Any, x: Tensor, times: Times, noise: Any) -> Tensor:
    """k-diffusion's sample_dpmpp_sde (r = 1/2, eta = 1) on the Brownian path of SEEDS-2 (arXiv
    2305.14267): what is drawn up to the middle counts again at the end.
    """
    for s, t in times_of(p, times):
        h = p.log_snr(t) - p.log_snr(s)
        middle = p.tau_at("lambda", p.log_snr(s) + h / 2)
        one, other = noise(), noise()
        u = p.sigma(middle) / p.sigma(s) * exp(-h / 2) * x
        u = u - p.alpha(middle) * expm1(-h) * data(p, score, x, s)
        u = u + p.sigma(middle) * sqrt(-expm1(-h)) * one
        x = p.sigma(t) / p.sigma(s) * exp(-h) * x
        x = x - p.alpha(t) * expm1(-2 * h) * data(p, score, u, middle)
        x = x + p.sigma(t) * (sqrt(exp(-h) - exp(-2 * h)) * one + sqrt(-expm1(-h)) * other)
    return x


def sa2(p: PositionOnly, score: Any, x: Tensor, times: Times, noise: Any, eta: float = 1) -> Tensor:
    """SA-Solver (Xue et al. 2023), a 2-step predictor and a 1-step corrector, its integrals done by
    hand.
    """
    now, old, h_old = data(p, score, x, p.T - times[0]), None, 0.0  # type: ignore[attr-defined]
    c = 1 + eta**2
    for s, t in times_of(p, times):
        h = p.log_snr(t) - p.log_snr(s)
        zeroth = -expm1(-c * h)
        first = h - zeroth / c  # the integral of the kernel times the time since s, in lambda
        common = p.sigma(t) / p.sigma(s) * exp(-(eta**2) * h) * x + p.alpha(t) * zeroth * now
        common = common + p.sigma(t) * sqrt(-expm1(-2 * eta**2 * h)) * noise()
        slope = 0.0 if old is None else (now - old) / h_old
        new = data(p, score, common + p.alpha(t) * first * slope, t)
        x = common + p.alpha(t) * first * (new - now) / h
        now, old, h_old = new, now, h
    return x


def ve_edm(
    p: PositionOnly,
    score: Any,
    x: Tensor,
    times: Times,
    fresh: Any,
    S_churn: float = 40,
    S_tmin: float = 0.05,
    S_tmax: float = 50,
    S_noise: float = 1,
) -> Tensor:
    """EDM's stochastic sampler (Karras et al. 2022, algorithm 2), not yet at noise level 0.

    Its noise, `fresh`, is no reverse SDE's: what follows it is the probability flow.
    """
    for t, after in times_of(p, times):
        gamma = min(S_churn / (len(times) - 1), sqrt(2) - 1) if S_tmin <= t <= S_tmax else 0
        t_hat = t + gamma * t
        x_hat = x + sqrt(t_hat**2 - t**2) * S_noise * fresh() if gamma else x
        d = (x_hat - data(p, score, x_hat, t_hat)) / t_hat
        x = x_hat + (after - t_hat) * d
        d_after = (x - data(p, score, x, after)) / after
        x = x_hat + (after - t_hat) * (d / 2 + d_after / 2)
    return x


SAMPLERS: dict[str, Callable[..., Tensor]] = {
    function.__name__: function
    for function in (dpm_1_sde, dpm_2m_sde, dpm_2s_sde, sa2, euler_a, ve_edm)
}
"""By the catalogue's name, as in plain_position.py."""
