"""Position-only processes x_tau = alpha(tau) x_0 + sigma(tau) eps, their schedules and their
clocks.

A process states log alpha and sigma; what else there is to say follows here (theory section 9):

    tau      forward time itself       lambda   log(alpha / sigma), half the log-SNR, falls in tau
    sigma    log sigma                 rho      sigma / alpha

Values may be floats, mpmath numbers, or arrays of floats. Standard library only.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate, pairwise
from math import inf
from typing import Any, ClassVar, Literal, get_args

Clock = Literal["tau", "lambda", "sigma", "rho"]
CLOCKS: tuple[Clock, ...] = get_args(Clock)
MOST_ENTRIES = 100_000
"""Of a table of alpha-bar."""


def elementary(name: str, value: Any) -> Any:
    """The function of that name in the value's arithmetic: math's, NumPy's, mpmath's or SymPy's."""
    return _in(type(value).__module__, name)(value)


@cache
def _in(module: str, name: str) -> Callable[[Any], Any]:
    # whoever has such a number loaded it
    home: Any = sys.modules.get(module.partition(".")[0])
    if hasattr(home, name):
        return getattr(home, name)
    if getattr(home, "__name__", "") == "sympy":  # which has neither
        return {"expm1": lambda x: home.exp(x) - 1, "log1p": lambda x: home.log(1 + x)}[name]
    return getattr(math, name)


def each(function: Callable[[float], float], value: Any) -> Any:
    """A function of floats, of every entry of an array or of one number."""
    if not getattr(value, "ndim", 0):
        return function(value)
    result = value * 1.0
    result.flat = [function(float(entry)) for entry in value.flat]
    return result


class PositionOnly:
    """What follows from log alpha and sigma. Subclasses state both, g^2 and `tau_of_lambda`."""

    model_name: ClassVar[str]

    def beta(self, tau: Any) -> Any:
        """g^2."""
        raise NotImplementedError

    def log_alpha(self, tau: Any) -> Any:
        raise NotImplementedError

    def sigma(self, tau: Any) -> Any:
        raise NotImplementedError

    def tau_of_lambda(self, value: Any) -> Any:
        """The forward time at which lambda has this value."""
        raise NotImplementedError

    def alpha(self, tau: Any) -> Any:
        return elementary("exp", self.log_alpha(tau))

    def log_snr(self, tau: Any) -> Any:
        """lambda = log(alpha / sigma)."""
        return self.log_alpha(tau) - elementary("log", self.sigma(tau))

    def rates(self, tau: Any) -> tuple[Any, Any]:
        """The derivatives (alpha', sigma') in forward time."""
        raise NotImplementedError

    def fading(self, tau: Any) -> Any:
        """-alpha'/alpha, the rate at which data fade."""
        return -self.rates(tau)[0] / self.alpha(tau)

    def kinks(self, low: float, high: float) -> tuple[float, ...]:  # noqa: ARG002
        """Forward times between low and high at which they jump, increasing."""
        return ()

    def clock_at(self, clock: Clock, tau: Any) -> Any:
        """The reading of a clock at forward time tau; rho and sigma are 0 and -inf where sigma is
        0.
        """
        match clock:
            case "tau":
                return tau
            case "lambda":
                return self.log_snr(tau)
            case "sigma":
                return self.log_sigma(tau)
            case "rho":
                return self.sigma(tau) / self.alpha(tau)

    def tau_at(self, clock: Clock, reading: Any) -> Any:
        """The forward time at which a clock shows this reading."""
        match clock:
            case "tau":
                return reading
            case "lambda":
                return self.tau_of_lambda(reading)
            case "sigma":
                return self.tau_of_log_sigma(reading)
            case "rho":
                return self.tau_of_lambda(-elementary("log", reading))

    def log_sigma(self, tau: Any) -> Any:
        return elementary("log", self.sigma(tau))

    def tau_of_log_sigma(self, value: Any) -> Any:
        """The forward time at which log sigma has this value."""
        raise NotImplementedError


def _log_of_rest(value: Any) -> Any:
    """log(1 - e^value) of a negative number, or of an array of them; it is its own inverse."""
    if getattr(value, "ndim", 0):
        return each(_log_of_rest, value)
    if hasattr(value, "free_symbols") or value > -0.7:
        return elementary("log", -elementary("expm1", value))
    return elementary("log1p", -elementary("exp", value))


class VariancePreserving(PositionOnly):
    """alpha^2 + sigma^2 = 1: everything from b(tau), the integral of beta."""

    def integral(self, tau: Any) -> Any:
        raise NotImplementedError

    def beta(self, tau: Any) -> Any:
        raise NotImplementedError

    def tau_of_integral(self, b: Any) -> Any:
        """The forward time at which the integral of beta is b."""
        raise NotImplementedError

    def log_alpha(self, tau: Any) -> Any:
        return -self.integral(tau) / 2

    def sigma(self, tau: Any) -> Any:
        return elementary("sqrt", -elementary("expm1", -self.integral(tau)))

    def rates(self, tau: Any) -> tuple[Any, Any]:
        alpha, rate = self.alpha(tau), self.beta(tau) / 2
        return -rate * alpha, rate * alpha * alpha / self.sigma(tau)

    def log_snr(self, tau: Any) -> Any:
        """lambda = -log(e^b - 1) / 2, with all digits on both ends."""
        return -elementary("log", elementary("expm1", self.integral(tau))) / 2

    def tau_of_lambda(self, value: Any) -> Any:
        return self.tau_of_integral(elementary("log1p", elementary("exp", -2 * value)))

    def log_sigma(self, tau: Any) -> Any:
        """log(1 - e^-b) / 2, with all digits on both ends: sigma itself rounds to 1."""
        return _log_of_rest(-self.integral(tau)) / 2

    def tau_of_log_sigma(self, value: Any) -> Any:
        return self.tau_of_integral(-_log_of_rest(2 * value))


@dataclass(frozen=True)
class Cosine:
    """alpha-bar = cos^2(pi/2 (tau + s)/(1 + s)) over its value at 0 (Nichol & Dhariwal 2021)."""

    s: float = 0.008
    name = "cosine"
    last: float = 0.9946
    """Where a run starts unless told otherwise (DPM-Solver's choice): alpha is 0 at tau = 1."""

    def __post_init__(self) -> None:
        if not 0 < self.s < 1:
            raise ValueError(
                f"s = {self.s}: the offset of a cosine schedule lies in (0, 1), e.g. 0.008"
            )

    def _angles(self, tau: float) -> tuple[float, float]:
        """pi/2 s/(1 + s), and half of what the angle has grown since."""
        return math.pi / 2 * self.s / (1 + self.s), math.pi / 4 * tau / (1 + self.s)

    def integral(self, tau: Any) -> Any:
        return each(self._integral, tau) + 0 * tau  # in the arithmetic of tau, so that alpha is

    def _integral(self, tau: float) -> float:
        first, half = self._angles(tau)
        return -2 * math.log1p(-2 * math.sin(first + half) * math.sin(half) / math.cos(first))

    def beta(self, tau: Any) -> Any:
        return each(self._beta, tau) + 0 * tau

    def _beta(self, tau: float) -> float:
        first, half = self._angles(tau)
        return math.pi / (1 + self.s) * math.tan(first + 2 * half)

    def kinks(self, low: float, high: float) -> tuple[float, ...]:  # noqa: ARG002
        return ()

    def inverse(self, b: Any) -> Any:
        return each(self._inverse, b)

    def _inverse(self, b: float) -> float:
        first, _ = self._angles(0.0)
        wanted = -math.expm1(-b / 2) * math.cos(first) / 2  # sin(first + half) sin(half)
        half = (math.acos(min(1.0, math.exp(-b / 2) * math.cos(first))) - first) / 2
        for _ in range(3):  # acos is ill-conditioned near 1: Newton has the last digits
            half -= (math.sin(first + half) * math.sin(half) - wanted) / math.sin(first + 2 * half)
        return half * 4 / math.pi * (1 + self.s)


@dataclass(frozen=True)
class Table:
    """A table of alpha-bar: log alpha is linear between tau_i = (i + 1)/N, and from 0 at tau = 0
    on.

    Raises ValueError unless the N >= 2 numbers fall strictly and lie in (0, 1).
    """

    alpha_bar: tuple[float, ...]
    name: str = "table"
    last: float = 1.0
    _integrals: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        n = len(self.alpha_bar)
        if not 2 <= n <= MOST_ENTRIES:
            raise ValueError(f"a table of alpha-bar has from 2 to {MOST_ENTRIES} numbers, not {n}")
        for i, (before, value) in enumerate(pairwise((1.0, *self.alpha_bar))):
            if not 0 < value < before:  # also for nan
                after = f"{before} before it" if i else "1"
                raise ValueError(
                    f"alpha-bar {value} at index {i} of the table: it falls with time, between 0 "
                    f"and {after}"
                )
        object.__setattr__(
            self, "_integrals", (0.0, *(-math.log(value) for value in self.alpha_bar))
        )

    def _line(self, place: int) -> tuple[float, float]:
        """b at the start of segment `place`, and what it grows by."""
        return self._integrals[place], self._integrals[place + 1] - self._integrals[place]

    def _place(self, tau: float) -> int:
        n = len(self.alpha_bar)
        return min(max(int(tau * n), 0), n - 1)

    def integral(self, tau: Any) -> Any:
        return each(self._integral, tau)

    def _integral(self, tau: float) -> float:
        place = self._place(tau)
        start, growth = self._line(place)
        return start + (tau * len(self.alpha_bar) - place) * growth

    def beta(self, tau: Any) -> Any:
        return each(lambda u: self._line(self._place(u))[1] * len(self.alpha_bar), tau)

    def kinks(self, low: float, high: float) -> tuple[float, ...]:
        """The times of the table strictly between."""
        n = len(self.alpha_bar)
        between = range(int(low * n), min(int(high * n) + 2, n))
        return tuple(i / n for i in between if low < i / n < high)

    def inverse(self, b: Any) -> Any:
        return each(self._inverse, b)

    def _inverse(self, b: float) -> float:
        n = len(self.alpha_bar)
        place = min(max(bisect_right(self._integrals, b) - 1, 0), n - 1)
        start, growth = self._line(place)
        return (place + (b - start) / growth) / n


Schedule = Cosine | Table


def scaled_linear(first: float = 0.00085, last: float = 0.012, n: int = 1000) -> Table:
    """Stable Diffusion's table: sqrt(beta_i) linear from sqrt(first) to sqrt(last), alpha-bar the
    product.

    Raises ValueError unless 0 < first < last < 1 and n is from 2 to MOST_ENTRIES.
    """
    if not (0 < first < last < 1 and 2 <= n <= MOST_ENTRIES):
        raise ValueError(
            f"scaled-linear from {first} to {last} in {n}: 0 < first < last < 1, in 2 to "
            f"{MOST_ENTRIES}"
        )
    a, b = math.sqrt(first), math.sqrt(last)
    factors = (1 - (a + (b - a) * i / (n - 1)) ** 2 for i in range(n))
    return Table(tuple(accumulate(factors, lambda x, y: x * y)), "scaled-linear")


def table(values: Sequence[float]) -> Table:
    """A table of alpha-bar from any sequence of numbers. Raises ValueError as `Table`."""
    numbers = tuple(float(value) for value in values)
    for i, value in enumerate(numbers):
        if not -inf < value < inf:
            raise ValueError(f"alpha-bar {value} at index {i} of the table is not finite")
    return Table(numbers)
