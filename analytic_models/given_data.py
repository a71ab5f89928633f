"""The law of PSLD given the data, with numbers in: its mean and covariance, what it tells of x_0,
and the clocks in which a held prediction is a polynomial (theory section 10).

Entries are floats, arrays over steps of shape (k, 1), or mpmath numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mpmath
import numpy as np
from scipy.optimize import brentq

from analytic_models.conjugate import covariance
from analytic_models.diffusions import PSLD, transition
from analytic_models.held import refuse_faint
from analytic_models.targets import Block, Pair
from splitting_analysis.clocks import Clock
from splitting_analysis.clocks import elementary as of

MOST_KAPPA = 1e6
"""Of the momenta's starting variance, in units of M, where data are held."""


def predicted(process: PSLD, tau: Any) -> tuple[Pair, Pair]:
    """(own, gain): x_0 as predicted at forward time tau is own z + gain s. Raises ValueError where
    Phi_xx is not positive.
    """
    xx, xm, _, _ = covariance(process, tau)
    phi = decay(process, tau)
    return (1 / phi, 0), (xx / phi, xm / phi)


def decay(process: PSLD, tau: Any) -> Any:
    """Phi_xx."""
    phi = transition(process, tau)[0][0]
    if not np.min(phi) > 0:
        raise ValueError(
            f"Gamma = {process.Gamma}, nu = {process.nu}: the position has forgotten the data at "
            f"forward time {float(np.max(tau)):g} (Phi_xx <= 0), and none can be held; it keeps "
            "them where Gamma < nu"
        )
    return phi


def clock_at(process: PSLD, clock: Clock, tau: Any) -> Any:
    """The reading of a clock: lambda = log(Phi_xx / sigma_x), sigma = log sigma_x, rho = sigma_x /
    Phi_xx, with sigma_x^2 = Sigma_xx; or tau.
    """
    if clock == "tau":
        return tau
    variance = covariance(process, tau)[0]
    if clock == "sigma":
        return of("log", variance) / 2
    phi = decay(process, tau)
    if clock == "rho":
        return of("sqrt", variance) / phi
    return of("log", phi) - of("log", variance) / 2


def tau_between(process: PSLD, clock: Clock, begin: Any, end: Any, share: Any) -> Any:
    """The forward time at which a clock has gone this share of its way from `begin` to `end`."""
    if isinstance(begin, np.ndarray):
        pairs = zip(begin.flat, end.flat, strict=True)
        found = [tau_between(process, clock, float(a), float(b), share) for a, b in pairs]
        return np.reshape(found, begin.shape)
    first, last = clock_at(process, clock, begin), clock_at(process, clock, end)
    wanted = first + share * (last - first)

    def off(tau: Any) -> Any:
        return clock_at(process, clock, tau) - wanted

    if isinstance(begin, mpmath.mpf):
        return mpmath.findroot(off, (end, begin), solver="anderson", tol=mpmath.mp.eps**1.5)
    return float(brentq(off, float(end), float(begin), xtol=1e-16, rtol=1e-15))


def rates_of(process: PSLD, law: Sequence[Any], tau: Any) -> tuple[Any, Any, Any]:
    """The derivatives of xx, xm, mm of Sigma: F Sigma + Sigma F^T + G G^T."""
    xx, xm, mm, _ = law
    rate, g, nu, mass = process.beta(tau), process.Gamma, process.nu, process.M
    return (
        rate * (-g * xx + xm / mass + g),
        rate * (mm / mass - xx - (g + nu) * xm) / 2,
        rate * (-xm - nu * mm + mass * nu),
    )


def clock_rate(process: PSLD, clock: Clock, tau: Any) -> Any:
    """The derivative of a clock's reading in forward time."""
    if clock == "tau":
        return 1 + 0 * tau
    law = covariance(process, tau)
    growth = rates_of(process, law, tau)[0] / law[0] / 2
    if clock == "sigma":
        return growth
    (phi, _), (below, _) = transition(process, tau)
    fall = process.beta(tau) / 2 * (-process.Gamma + below / phi / process.M)
    if clock == "lambda":
        return fall - growth
    return clock_at(process, "rho", tau) * (growth - fall)


def clock_ends(process: PSLD, clock: Clock, begin: Any, end: Any) -> tuple[Any, Any]:
    """What the clock shows at both ends of a step that holds a prediction.

    Raises ValueError where it would end without noise, and where the clock does not run one way.
    """
    if not np.min(end) > 0:
        raise ValueError(
            f"a step from forward time {float(np.max(begin)):g} to {float(np.min(end)):g}: the "
            "position has no noise at 0, where a held prediction has no clock; end at eps > 0 (a "
            "last denoising step may go on to 0)"
        )
    refuse_faint(decay(process, begin), begin)
    if not isinstance(process.kappa, mpmath.mpf) and process.kappa > MOST_KAPPA:
        raise ValueError(
            f"kappa = {process.kappa:g}: beside momenta that start so wide a held prediction "
            f"has no digits left; it takes at most {MOST_KAPPA:g}"
        )
    first, last = clock_at(process, clock, begin), clock_at(process, clock, end)
    if not np.min((last - first) * (1 if clock == "lambda" else -1)) > 0:
        raise ValueError(
            f"the clock {clock} does not run on in a step from forward time "
            f"{float(np.max(begin)):g} to {float(np.min(end)):g}; --clock tau does"
        )
    return first, last


def mean(process: PSLD, tau: Any) -> Pair:
    """mu, what multiplies x_0 in the mean of z."""
    (x, _), (m, _) = transition(process, tau)
    return x, m


def mean_rate(process: PSLD, tau: Any) -> Pair:
    """mu'."""
    (x, m), half = mean(process, tau), process.beta(tau) / 2
    return half * (m / process.M - process.Gamma * x), half * (-x - process.nu * m)


def covariance_block(process: PSLD, tau: Any) -> Block:
    """Sigma."""
    xx, xm, mm, _ = covariance(process, tau)
    return ((xx, xm), (xm, mm))
