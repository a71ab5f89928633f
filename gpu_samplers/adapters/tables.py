"""What time means to the networks that other libraries sample: their schedules between the entries
of a table."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from splitting_analysis.clocks import Cosine, Table, each


@dataclass(frozen=True)
class Interpolated(Table):
    """A table of alpha-bar between whose times rho = sigma / alpha, or its logarithm, is linear.

    That is what diffusers and k-diffusion take a fraction of a training step to mean. From 0 to the
    first time the integral of beta is linear, as in `Table`.
    """

    name: str = "interpolated"
    logarithmic: bool = True

    def _rho(self, place: int) -> float:
        return math.sqrt(math.expm1(self._integrals[place]))

    def _readings(self, place: int) -> tuple[float, float]:
        """rho or its logarithm at both ends of a segment that is not the first."""
        ends = self._rho(place), self._rho(place + 1)
        return (math.log(ends[0]), math.log(ends[1])) if self.logarithmic else ends

    def _rho_at(self, place: int, tau: float) -> tuple[float, float]:
        """rho and its derivative in tau."""
        first, last = self._readings(place)
        n = len(self.alpha_bar)
        value, slope = first + (tau * n - place) * (last - first), (last - first) * n
        return (math.exp(value), math.exp(value) * slope) if self.logarithmic else (value, slope)

    def _integral(self, tau: float) -> float:
        place = self._place(tau)
        if place == 0:
            return super()._integral(tau)
        rho, _ = self._rho_at(place, tau)
        return math.log1p(rho * rho)

    def beta(self, tau: Any) -> Any:
        return each(self._beta, tau)

    def _beta(self, tau: float) -> float:
        place = self._place(tau)
        if place == 0:
            return self._line(0)[1] * len(self.alpha_bar)
        rho, slope = self._rho_at(place, tau)
        return 2 * rho * slope / (1 + rho * rho)

    def _inverse(self, b: float) -> float:
        n = len(self.alpha_bar)
        place = min(max(bisect_right(self._integrals, b) - 1, 0), n - 1)
        if place == 0:
            return super()._inverse(b)
        first, last = self._readings(place)
        rho = math.sqrt(math.expm1(b))
        return (place + ((math.log(rho) if self.logarithmic else rho) - first) / (last - first)) / n


@dataclass(frozen=True)
class Quarter(Cosine):
    """alpha = cos(pi tau / 2), sigma = sin(pi tau / 2): the cosine schedule without its offset."""

    s: float = 0.0
    last: float = 1 - 1e-7
    """At 1 alpha is 0, and no score says what the data are."""
    name = "quarter"

    def __post_init__(self) -> None:
        """Nothing to refuse."""

    def inverse(self, b: Any) -> Any:
        return each(lambda v: 2 / math.pi * math.atan(math.sqrt(math.expm1(v))), b)
