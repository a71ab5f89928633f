"""Exact forward kernels of the processes, in closed form.

Stated again, by quadrature, in gpu_samplers.processes: each judges the other.
"""

from __future__ import annotations

from typing import Any

from analytic_models.arithmetic import exp, expm1, noise_2x2
from splitting_analysis.processes import PSLD, VP, Langevin, Process, process_of

__all__ = ["PSLD", "VP", "Diffusion", "Langevin", "diffusion_of", "noise", "transition"]

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
