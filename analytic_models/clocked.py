"""Steps in another clock than forward time, and what fades at a rate of its own, with numbers in.

A position-only process may be run in the clock u = tau, lambda, log sigma or rho: the middle of a
step is the middle in u, and Euler's rule takes for the length of a step the one in u, with rates
per unit of u. What is advanced exactly does not know the clock (theory section 9).

gpu_samplers.clocked says all of it again. Entries are floats, arrays over steps, mpmath numbers.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from analytic_models import given_data
from analytic_models.arithmetic import expm1
from analytic_models.diffusions import PSLD, Diffusion
from splitting_analysis.clocks import Clock, PositionOnly
from splitting_analysis.models import Piece
from splitting_analysis.processes import Flow
from splitting_analysis.schemes import Scheme


def time_at(scheme: Scheme, diffusion: Diffusion, t: Any, h: Any, at: Fraction) -> Any:
    """The forward time at the part `at` of the step, as the scheme's clock measures it."""
    if scheme.in_clock == "tau" or at.denominator == 1:
        return diffusion.T - t - at.numerator * h / at.denominator
    _refuse_end(scheme, diffusion.T - t - h)
    if isinstance(diffusion, PSLD):
        share, start = number(at, t + h), diffusion.T - t
        return given_data.tau_between(diffusion, scheme.in_clock, start, start - h, share)
    process, clock = position_only(diffusion), scheme.in_clock
    first, last = (
        process.clock_at(clock, diffusion.T - t),
        process.clock_at(clock, diffusion.T - t - h),
    )
    return process.tau_at(clock, first + at.numerator * (last - first) / at.denominator)


def length(scheme: Scheme, diffusion: Diffusion, t: Any, h: Any, tau: Any) -> Any:
    """The length of the step from reverse time t over h for rates per unit of time at forward time
    `tau`: h, or the step's length in the clock times dtau/du there.

    Raises ValueError where the step ends without noise, whose clock is infinite there.
    """
    clock = scheme.in_clock
    if clock == "tau" or not isinstance(diffusion, PositionOnly) or scheme.program.holds:
        return h
    end = diffusion.T - t - h
    _refuse_end(scheme, end)
    first, last = diffusion.clock_at(clock, diffusion.T - t), diffusion.clock_at(clock, end)
    return abs(last - first) * _pace(diffusion, clock, tau)


def _refuse_end(scheme: Scheme, end: Any) -> None:
    if np.min(np.asarray(end, dtype=np.float64)) <= 0:
        raise ValueError(
            f"{scheme.name}: a step to forward time 0, where sigma is 0 and the clock "
            f"{scheme.in_clock} has no reading; end at eps > 0, or run in the clock tau"
        )


def _pace(process: PositionOnly, clock: Clock, tau: Any) -> Any:
    """|dtau/du| of a clock other than tau."""
    alpha, sigma = process.alpha(tau), process.sigma(tau)
    alpha_rate, sigma_rate = process.rates(tau)
    falls = sigma_rate / sigma - alpha_rate / alpha
    match clock:
        case "sigma":
            return sigma / sigma_rate
        case "rho":
            return alpha / (sigma * falls)
        case _:
            return 1 / falls


def fading_rate(piece: Piece, diffusion: Diffusion, tau: Any) -> Any:
    """What a piece has of the linear part beside that in units of beta; the integer 0 for none."""
    if not piece.fading:
        return 0
    return _times(piece.fading, position_only(diffusion).fading(tau))


def faded(piece: Piece, diffusion: Diffusion, begin: Any, end: Any) -> tuple[Any, Any]:
    """Of a piece with a `fading`, advanced exactly from forward time `begin` to `end`: the exponent
    of what it keeps, and the variance that unit noise has become.
    """
    process = position_only(diffusion)
    grown = process.log_alpha(end) - process.log_alpha(begin)
    double = number(2 * piece.fading, grown)
    exponent = _times(piece.fading, grown)
    if not isinstance(process, Flow):  # both rates stand still: stability looks at such
        return exponent, process.beta(end) / process.fading(end) * _ramp(double, grown)
    # with u = 1 - tau the noise of dtau comes in as 2 (1 - u) dtau/u, and grows by a power of u
    slow, fast = _ramp(double, grown), _ramp(double - 1, grown)
    return exponent, 2 * (end * slow + (1 - end) * (slow - fast))


def _ramp(rate: Any, over: Any) -> Any:
    """The integral of exp(rate u) over [0, over]."""
    return over if rate == 0 else expm1(rate * over) / rate


def _times(share: Fraction, value: Any) -> Any:
    return value * share.numerator / share.denominator


def position_only(diffusion: Diffusion) -> PositionOnly:
    """The process itself. Raises ValueError for one with a momentum."""
    if not isinstance(diffusion, PositionOnly):
        message = f"a prediction is held in psld, vp, ve and flow, not in {diffusion.model_name}"
        raise ValueError(message)  # noqa: TRY004 - bad input is a ValueError
    return diffusion


def number(value: Fraction, like: Any) -> Any:
    """A fraction in the arithmetic of another number."""
    one = like / like if not isinstance(like, np.ndarray) else 1
    return one * value.numerator / value.denominator
