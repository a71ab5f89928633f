"""Steps in another clock than forward time, and what fades at a rate of its own, in float64.

Stated again from the theory, apart from analytic_models.clocked: the paces of the clocks follow
from g^2 here, and noise that fades is integrated by quadrature.
"""

from __future__ import annotations

from fractions import Fraction
from math import exp, log
from typing import NamedTuple

import numpy as np

from gpu_samplers import bridges
from gpu_samplers.processes import PSLD, Process
from splitting_analysis.clocks import Clock, PositionOnly

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
PANEL = 0.5
"""Of log alpha, at most, in a panel of the quadrature."""


class Step(NamedTuple):
    """A step of a process, and its clock."""

    process: Process
    clock: Clock
    t: float
    h: float

    def time(self, at: Fraction) -> float:
        """The forward time at the part `at` of the step, in the clock."""
        begin = float(self.process.T - self.t)
        if self.clock == "tau" or at in (0, 1):
            return float(self.process.T - self.t - float(at) * self.h)
        self.refuse_end(begin - self.h)
        if isinstance(self.process, PSLD):
            return bridges.time_between(self.process, self.clock, begin, begin - self.h, float(at))
        process = position_only(self.process)
        first, last = (process.clock_at(self.clock, tau) for tau in (begin, begin - self.h))
        return float(process.tau_at(self.clock, first + float(at) * (last - first)))

    def refuse_end(self, end: float) -> None:
        """Raise ValueError where the clock is infinite at the step's end."""
        if end <= 0:
            raise ValueError(
                f"a step ends at forward time {end:g}, where sigma is 0 and the clock "
                f"{self.clock} has no reading: the grid ends at eps > 0"
            )

    def length(self, tau: float) -> float:
        """The step's length for rates per unit of forward time at `tau`.

        Raises ValueError where the clock is infinite at its end.
        """
        if self.clock == "tau":
            return self.h
        process = position_only(self.process)
        begin, end = self.time(Fraction(0)), self.time(Fraction(1))
        self.refuse_end(end)
        apart = abs(process.clock_at(self.clock, end) - process.clock_at(self.clock, begin))
        sigma = float(process.sigma(tau))
        speed = float(process.beta(tau)) / (2 * sigma**2)  # of lambda: g^2 = 2 sigma^2 |lambda'|
        if self.clock == "rho":
            speed *= sigma / float(process.alpha(tau))
        elif self.clock == "sigma":
            speed = float(process.rates(tau)[1]) / sigma
        return float(apart / speed)


def fading(process: Process | PositionOnly, tau: float) -> float:
    """-alpha'/alpha, the rate at which data fade."""
    own = position_only(process)
    return -float(own.rates(tau)[0]) / float(own.alpha(tau))


def faded(process: Process, share: float, begin: float, end: float) -> tuple[float, float]:
    """Of a piece that fades `share` times as fast as the data, backwards, from forward time `begin`
    to `end`: what it keeps, and the variance that unit noise has become.
    """
    own = position_only(process)
    first, last = float(own.alpha(begin)), float(own.alpha(end))
    grown = log(last / first)
    count = max(1, int(np.ceil(grown / PANEL)))
    inner = (np.arange(count)[:, None] + (_NODES + 1) / 2) / count
    alphas = first * np.exp(grown * inner.ravel())
    taus = 1 - alphas  # of flow matching, the one process that fades so
    speed = np.array([fading(own, float(tau)) for tau in taus])
    rates = np.array([own.beta(float(tau)) for tau in taus])
    kept = (last / alphas) ** (2 * share)
    weights = np.tile(_WEIGHTS / (2 * count), count)
    return exp(share * grown), float(grown * np.sum(weights * kept * rates / speed))


def position_only(process: Process | PositionOnly) -> PositionOnly:
    """The process itself. Raises ValueError where no prediction is held."""
    if not isinstance(process, PositionOnly):
        message = f"a prediction is held in psld, vp, ve and flow, not in {process.model_name}"
        raise ValueError(message)  # noqa: TRY004 - bad input is a ValueError
    return process
