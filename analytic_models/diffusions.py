"""Exact forward kernels of the processes, and the laws of a Gaussian under them, in closed form.

Kernels are stated again, by quadrature, in gpu_samplers.processes: each judges the other.
"""

from __future__ import annotations

from typing import Any

from analytic_models.arithmetic import exp, expm1, noise_2x2
from splitting_analysis.clocks import PositionOnly
from splitting_analysis.processes import PSLD, VP, Langevin, Process, process_of

__all__ = ["PSLD", "VP", "Diffusion", "Langevin", "diffusion_of", "law", "noise", "transition"]

Pair = tuple[Any, ...]
Block = tuple[tuple[Any, ...], ...]
Diffusion = Process
diffusion_of = process_of


def transition(process: PSLD | VP, tau: Any, start: Any = 0) -> tuple[tuple[Any, ...], ...]:
    """Phi(tau) from forward time `start`: the matrix of the mean, exp((b - b_start) F0 / 2)."""
    b = process.integral(tau) - process.integral(start)
    if isinstance(process, VP):
        return ((exp(-b / 2),),)
    g, n = process.Gamma, process.nu
    scale = exp(-(g + n) * b / 4)
    return (
        (scale * (1 + (n - g) * b / 4), scale * ((g - n) ** 2 * b / 8)),
        (scale * (-b / 2), scale * (1 + (g - n) * b / 4)),
    )


def noise(process: PSLD | VP, tau: Any) -> tuple[tuple[Any, ...], ...]:
    """Covariance of z_tau given z_0, S - Phi S Phi^T with the stationary S, without the
    cancellation.
    """
    b = process.integral(tau)
    if isinstance(process, VP):
        return ((-expm1(-b),),)
    g, n, mass = process.Gamma, process.nu, process.M
    return noise_2x2(((-g, 1 / mass), (-1, -n)), (2 * g, 2 * mass * n), b / 2)


def initial(process: Diffusion, mean: Any, variances: Any) -> tuple[Pair, Block]:
    """Mean and covariance of the augmented law at forward time 0, where the data are N(mean,
    variances).

    PSLD: m_0 ~ N(0, kappa M); Langevin: momenta of unit temperature.
    """
    if isinstance(process, PositionOnly):
        return (mean,), ((variances,),)
    momenta = process.kappa * process.M if isinstance(process, PSLD) else 1
    return (mean, 0), ((variances, 0), (0, momenta))


def law(process: Diffusion, mean: Any, variances: Any, tau: Any) -> tuple[Pair, Block, Any]:
    """Mean and covariance of the law at forward time tau, and the determinant of the part of it
    whose inverse is the score (theory sections 1 and 9).

    `tau` may be a scalar, or an array shaped to broadcast against the modes.
    """
    if isinstance(process, PSLD):
        return _psld_law(process, mean, variances, tau)
    if isinstance(process, VP):
        decay = exp(-process.integral(tau))
        variance = decay * variances + noise(process, tau)[0][0]
        return (transition(process, tau)[0][0] * mean,), ((variance,),), variance
    if isinstance(process, PositionOnly):
        alpha, sigma = process.alpha(tau), process.sigma(tau)
        variance = alpha * alpha * variances + sigma * sigma
        return (alpha * mean,), ((variance,),), variance
    return *initial(process, mean, variances), variances  # a fixed target


def _psld_law(process: PSLD, mean: Any, variances: Any, tau: Any) -> tuple[Pair, Block, Any]:
    """Near tau = 0 the determinant is far below the products of variances, so it is summed over
    where the noise came from: position and momentum at 0, or later.
    """
    (a, b), (c, d) = transition(process, tau)
    (xx, xm), (_, mm) = noise(process, tau)
    x, m = variances, process.kappa * process.M
    cross = a * c * x + (b * d * m + xm)
    covariance = ((a * a * x + (b * b * m + xx), cross), (cross, c * c * x + (d * d * m + mm)))
    from_x = (a * d - b * c) ** 2 * m + (a * a * mm - 2 * a * c * xm + c * c * xx)
    from_m = m * (b * b * mm - 2 * b * d * xm + d * d * xx)
    return (a * mean, c * mean), covariance, x * from_x + (from_m + (xx * mm - xm * xm))
