"""A network as a scheduler sees it: what it is given, at what time, and what it predicts.

The score of the protocol stands in for the network. A scheduler asks with a timestep; the network
answers for the forward time that this timestep means where it was trained, whatever noise level
the scheduler itself works with: where the two differ, calls show it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from gpu_samplers.adapters.arrays import Array
from splitting_analysis.clocks import PositionOnly
from splitting_analysis.processes import VE, Flow, ScheduledVP

Score = Callable[[Array, float], Array]
AT_NOISE = 1 - 1e-7
"""Where a run from time 1 of flow matching starts: at 1 itself no score says what the data are."""


class Network(Protocol):
    """What an adapter knows of a family of networks; sigma is the scheduler's own number."""

    @property
    def process(self) -> Any:
        """The process that the network was trained on."""

    def tau(self, timestep: float) -> float:
        """The forward time that a timestep means."""

    def tau_of_sigma(self, sigma: float) -> float:
        """The forward time of a noise level as the scheduler writes it."""

    def answer(self, given: Array, tau: float, score: Score) -> Array:
        """What the network says of its input."""


def predicted(kind: str, process: PositionOnly, z: Array, tau: float, score: Score) -> Array:
    """A network's output of this kind from the score at z. Raises ValueError for another kind."""
    s = score(z, tau)
    alpha, sigma = process.alpha(tau), process.sigma(tau)
    noise, data = -sigma * s, (z + sigma**2 * s) / alpha
    match kind:
        case "epsilon":
            return noise
        case "sample" | "original_sample":
            return data
        case "v_prediction":
            return alpha * noise - sigma * data
        case "flow_prediction":
            return noise - data
        case "data_minus_noise":
            return data - noise
        case "score":
            return s
    raise ValueError(f"no prediction_type {kind!r}; there are: epsilon, sample, v_prediction")


@dataclass(frozen=True)
class Discrete:
    """Trained on a table of alpha-bar: timestep i is time (i + 1) / N."""

    process: ScheduledVP
    prediction: str
    steps: int

    def tau(self, timestep: float) -> float:
        return min((timestep + 1) / self.steps, self.process.T)

    def tau_of_sigma(self, sigma: float) -> float:
        return min(float(self.process.tau_at("rho", sigma)), self.process.T) if sigma > 0 else 0.0

    def answer(self, given: Array, tau: float, score: Score) -> Array:
        return predicted(self.prediction, self.process, given, tau, score)


@dataclass(frozen=True)
class Exploded:
    """The same network to a scheduler that keeps x / alpha and scales what it asks: VE in rho.

    `continuous` says that a timestep is log(rho) / 4.
    """

    table: Discrete
    continuous: bool = False

    @cached_property
    def process(self) -> VE:
        return VE(T=float(self.table.process.clock_at("rho", self.table.process.T)))

    def tau(self, timestep: float) -> float:
        if self.continuous:
            return min(math.exp(4 * timestep), self.process.T)
        process = self.table.process
        return float(process.clock_at("rho", self.table.tau(timestep)))

    def tau_of_sigma(self, sigma: float) -> float:
        return min(sigma, self.process.T)

    def answer(self, given: Array, tau: float, score: Score) -> Array:
        size = math.hypot(1, tau)  # 1 / alpha
        x, alpha, sigma = given * size, 1 / size, tau / size
        if self.table.prediction != "v_prediction":
            return predicted(self.table.prediction, self.process, x, tau, score)
        noise = predicted("epsilon", self.process, x, tau, score)
        return alpha * noise - sigma * (x - tau * noise)


@dataclass(frozen=True)
class Straight:
    """Flow matching: time is sigma, the timestep a multiple of it, or of 1 - sigma."""

    prediction: str = "flow_prediction"
    steps: float = 1000
    backward: bool = False
    process: Flow = field(default_factory=lambda: Flow(T=AT_NOISE))

    def tau(self, timestep: float) -> float:
        part = timestep / self.steps
        return min(1 - part if self.backward else part, AT_NOISE)

    def tau_of_sigma(self, sigma: float) -> float:
        return min(sigma, AT_NOISE)

    def answer(self, given: Array, tau: float, score: Score) -> Array:
        return predicted(self.prediction, self.process, given, tau, score)


@dataclass(frozen=True)
class Rising:
    """Variance exploding, time is sigma; `sigma_of` reads it from a timestep.

    With `data`, the standard deviation of the data, input and output are preconditioned as in EDM
    (Karras et al. 2022, table 1).
    """

    process: VE
    sigma_of: Callable[[float], float]
    prediction: str
    data: float | None = None

    def tau(self, timestep: float) -> float:
        return min(self.sigma_of(timestep), self.process.T)

    def tau_of_sigma(self, sigma: float) -> float:
        return min(sigma, self.process.T)

    def answer(self, given: Array, tau: float, score: Score) -> Array:
        if self.data is None:
            return predicted(self.prediction, self.process, given, tau, score)
        size = math.hypot(tau, self.data)
        z = given * size
        skip, out = (self.data / size) ** 2, tau * self.data / size
        if self.prediction == "v_prediction":
            out = -out
        return (predicted("sample", self.process, z, tau, score) - skip * z) / out


@dataclass(frozen=True)
class Timed:
    """VP whose timestep is time itself, alpha-bar a function of it; sigma is the noise level."""

    process: ScheduledVP
    prediction: str

    def tau(self, timestep: float) -> float:
        return min(timestep, self.process.T)

    def tau_of_sigma(self, sigma: float) -> float:
        if sigma <= 0:
            return 0.0
        return min(
            float(self.process.tau_of_log_sigma(math.log(min(sigma, 1 - 1e-16)))), self.process.T
        )

    def answer(self, given: Array, tau: float, score: Score) -> Array:
        return predicted(self.prediction, self.process, given, tau, score)
