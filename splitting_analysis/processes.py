"""The processes and their parameters, checked once: PSLD (CLD is Gamma = 0), VP, VE, flow,
Langevin, and the same with two forces.

All worlds take them from here; kernels and covariances are derived twice, in analytic_models and in
gpu_samplers, so that each judges the other. Parameters may be floats, Fractions, mpmath numbers or
SymPy expressions: nothing here rounds. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from types import SimpleNamespace
from typing import Any, ClassVar

from splitting_analysis.clocks import Cosine, PositionOnly, Schedule, VariancePreserving, elementary
from splitting_analysis.fixed_targets import Langevin, Respa
from splitting_analysis.parameters import LARGEST, SMALLEST, check_numbers, half

__all__ = [
    "LARGEST",
    "PROCESSES",
    "PSLD",
    "SMALLEST",
    "VE",
    "VP",
    "Flow",
    "Langevin",
    "LinearClock",
    "Process",
    "Respa",
    "ScheduledVP",
    "process_of",
]

MOST_DAMPING = 1e3
"""The rate of decay times the time span; 700 is already beyond the range of exp."""

MOST_FADING = 600.0
"""The same of vp, whose exp(b) the clocks take, too."""


class LinearClock:
    """A clock rate beta, linear in forward time tau from beta_min at 0 to beta_max at T."""

    beta_min: Any
    beta_max: Any
    T: Any

    def beta(self, tau: Any) -> Any:
        """beta at forward time tau."""
        return self.beta_min + tau * (self.beta_max - self.beta_min) / self.T

    def integral(self, tau: Any) -> Any:
        """b(tau), the integral of beta over [0, tau]."""
        slope = (self.beta_max - self.beta_min) / self.T
        return tau * (self.beta_min + slope * tau / 2)

    def clock(self, t: Any, length: Any) -> Any:
        """The integral of beta over the reverse interval [t, t + length].

        beta is linear, so the midpoint gives it exactly, and a constant beta gives equal intervals
        equal clocks.
        """
        return length * self.beta(self.T - t - length / 2)

    def at_rate(self, rate: Any) -> Any:
        """The process with that beta at all times."""
        return replace(self, beta_min=rate, beta_max=rate)  # type: ignore[type-var]


@dataclass(frozen=True)
class PSLD(LinearClock):
    """Phase-space Langevin diffusion, critically damped: M = 4 / (Gamma - nu)^2 (theory section 1).

    Raises ValueError for Gamma = nu, negative Gamma, nu, kappa or beta, T <= 0, what is not finite,
    and what overflows in the formulas.
    """

    Gamma: Any = 0.01
    nu: Any = 4.01
    beta_min: Any = 8.0
    beta_max: Any = 8.0
    kappa: Any = 0.04
    T: Any = 1.0
    model_name: ClassVar[str] = "psld"

    def __post_init__(self) -> None:
        _check(self)
        if self.Gamma == self.nu:
            raise ValueError(
                f"Gamma = nu = {self.Gamma}: critical damping, M = 4 / (Gamma - nu)^2, needs them "
                "to differ"
            )

    @property
    def M(self) -> Any:
        """The mass, by critical damping."""
        return 4 / (self.Gamma - self.nu) ** 2

    @property
    def stationary(self) -> tuple[Any, ...]:
        """Variances of the stationary law and prior: diag(1, M)."""
        return (1, self.M)

    @property
    def parameters(self) -> SimpleNamespace:
        """What the coefficient functions of models.py take."""
        return SimpleNamespace(
            half=half(self), Gamma=self.Gamma, nu=self.nu, M=self.M, iM=1 / self.M
        )


@dataclass(frozen=True)
class VP(LinearClock, VariancePreserving):
    """Variance-preserving diffusion dx = -(beta/2) x dtau + sqrt(beta) dW (theory sections 8 and
    9).

    Raises ValueError for negative beta, T <= 0, what is not finite, and what overflows.
    """

    beta_min: Any = 0.1
    beta_max: Any = 20.0
    T: Any = 1.0
    model_name: ClassVar[str] = "vp"

    def __post_init__(self) -> None:
        _check(self)

    def tau_of_integral(self, b: Any) -> Any:
        """The forward time at which the integral of beta is b."""
        slope = (self.beta_max - self.beta_min) / self.T
        root = elementary("sqrt", self.beta_min**2 + 2 * slope * b)
        return 2 * b / (self.beta_min + root)  # no cancellation, and no division by a slope of 0

    @property
    def stationary(self) -> tuple[Any, ...]:
        """The variance of the stationary law and prior."""
        return (1,)

    @property
    def parameters(self) -> SimpleNamespace:
        """What the coefficient functions of models.py take."""
        return SimpleNamespace(half=half(self))


@dataclass(frozen=True)
class ScheduledVP(VP):
    """VP with beta from a schedule; its time ends at 1, or at T before.

    Raises ValueError for a T beyond the schedule, or where its alpha is nothing at all.
    """

    beta_min: Any = field(default=None, init=False, repr=False)
    beta_max: Any = field(default=None, init=False, repr=False)
    T: Any = None
    schedule: Schedule = field(default=Cosine(), kw_only=True)

    def __post_init__(self) -> None:
        if self.T is None:
            object.__setattr__(self, "T", self.schedule.last)
        _check(self)
        if self.T > 1:
            raise ValueError(f"T = {self.T}: the {self.schedule.name} schedule ends at 1")
        if not self.integral(self.T) <= MOST_FADING:
            raise ValueError(
                f"T = {self.T}: alpha is nothing at all there; the {self.schedule.name} schedule "
                f"is run from {self.schedule.last}"
            )

    def beta(self, tau: Any) -> Any:
        """beta at forward time tau."""
        return self.schedule.beta(tau)

    def integral(self, tau: Any) -> Any:
        """b(tau), the integral of beta over [0, tau]."""
        return self.schedule.integral(tau)

    def clock(self, t: Any, length: Any) -> Any:
        """The integral of beta over the reverse interval [t, t + length]."""
        return self.integral(self.T - t) - self.integral(self.T - t - length)

    def kinks(self, low: float, high: float) -> tuple[float, ...]:
        """Forward times between low and high at which beta jumps."""
        return self.schedule.kinks(low, high)

    def tau_of_integral(self, b: Any) -> Any:
        """The forward time at which the integral of beta is b."""
        return self.schedule.inverse(b)

    def at_rate(self, rate: Any) -> VP:
        """VP with that beta at all times, which no schedule has."""
        return VP(rate, rate, self.T)


@dataclass(frozen=True)
class VE(PositionOnly):
    """Variance-exploding diffusion x_tau = x_0 + tau eps: EDM's, time is the noise level (theory
    section 9).

    Raises ValueError for T <= 0, what is not finite, and what overflows.
    """

    T: Any = 80.0
    model_name: ClassVar[str] = "ve"

    def __post_init__(self) -> None:
        _check(self)

    @property
    def stationary(self) -> tuple[Any, ...]:
        """The variance of the prior, sigma(T)^2: nothing is stationary here."""
        return (self.T * self.T,)

    @property
    def parameters(self) -> SimpleNamespace:
        """What the coefficient functions of models.py take."""
        return SimpleNamespace(half=half(self))

    def beta(self, tau: Any) -> Any:
        """g^2 = (sigma^2)'."""
        return 2 * tau

    def integral(self, tau: Any) -> Any:
        """sigma^2, the integral of g^2."""
        return tau * tau

    def clock(self, t: Any, length: Any) -> Any:
        """The integral of g^2 over the reverse interval [t, t + length]."""
        return length * (2 * (self.T - t) - length)

    def log_alpha(self, tau: Any) -> Any:
        return 0 * tau

    def sigma(self, tau: Any) -> Any:
        return tau

    def rates(self, tau: Any) -> tuple[Any, Any]:
        return 0 * tau, 1 + 0 * tau

    def tau_of_lambda(self, value: Any) -> Any:
        return elementary("exp", -value)

    def tau_of_log_sigma(self, value: Any) -> Any:
        return elementary("exp", value)


@dataclass(frozen=True)
class Flow(PositionOnly):
    """Flow matching x_tau = (1 - tau) x_0 + tau eps (theory section 9).

    T is below 1, where alpha is 0 and no score says what the data are. Raises ValueError for
    another T.
    """

    T: Any = 0.999
    model_name: ClassVar[str] = "flow"

    def __post_init__(self) -> None:
        _check(self)
        if not (hasattr(self.T, "free_symbols") or self.T < 1):
            raise ValueError(
                f"T = {self.T}: alpha is 0 at 1, where no score says what the data are; T < 1"
            )

    @property
    def stationary(self) -> tuple[Any, ...]:
        """The variance of the prior, as at time 1."""
        return (1,)

    @property
    def parameters(self) -> SimpleNamespace:
        """What the coefficient functions of models.py take."""
        return SimpleNamespace(half=half(self))

    def beta(self, tau: Any) -> Any:
        """g^2 = 2 tau / (1 - tau)."""
        return 2 * tau / (1 - tau)

    def integral(self, tau: Any) -> Any:
        """The integral of g^2."""
        return -2 * elementary("log1p", -tau) - 2 * tau

    def clock(self, t: Any, length: Any) -> Any:
        """The integral of g^2 over the reverse interval [t, t + length]."""
        return self.integral(self.T - t) - self.integral(self.T - t - length)

    def log_alpha(self, tau: Any) -> Any:
        return elementary("log1p", -tau)

    def sigma(self, tau: Any) -> Any:
        return tau

    def rates(self, tau: Any) -> tuple[Any, Any]:
        return -1 + 0 * tau, 1 + 0 * tau

    def tau_of_lambda(self, value: Any) -> Any:
        return 1 / (1 + elementary("exp", value))

    def tau_of_log_sigma(self, value: Any) -> Any:
        return elementary("exp", value)


Process = PSLD | VP | VE | Flow | Langevin | Respa
PROCESSES: dict[str, type[Process]] = {
    kind.model_name: kind for kind in (PSLD, VP, VE, Flow, Langevin, Respa)
}


def process_of(model: str, **parameters: Any) -> Process:
    """The process of a model's name. Raises ValueError naming models or parameters there are."""
    if model not in PROCESSES:
        raise ValueError(f"no model {model!r}; there are: {', '.join(PROCESSES)}")
    kind = PROCESSES[model]
    allowed = [one.name for one in fields(kind)]
    for name in parameters:
        if name not in allowed:
            raise ValueError(
                f"model {model} has no parameter {name!r}; there are: {', '.join(allowed)}"
            )
    return kind(**parameters)


def _check(process: Any) -> None:
    if check_numbers(process):
        _check_together(process)


def _check_together(process: Process) -> None:
    """Refuse parameters that are fine one by one and leave double precision together."""
    if isinstance(process, PSLD):
        gap = abs(process.Gamma - process.nu)
        if 0 < gap < 1e-9 * (process.Gamma + process.nu):
            raise ValueError(
                f"Gamma = {process.Gamma} and nu = {process.nu}: their difference is lost in "
                "rounding, and the mass M = 4 / (Gamma - nu)^2 with it; they must differ by more "
                "than 1e-9 of their sum"
            )
    if not isinstance(process, PSLD | VP) or isinstance(process, ScheduledVP):
        return
    damping = (process.beta_min + process.beta_max) * process.T / 2
    name = "the integral of beta"
    if isinstance(process, PSLD):
        name, damping = f"Gamma + nu times {name}", (process.Gamma + process.nu) * damping
    most = MOST_DAMPING if isinstance(process, PSLD) else MOST_FADING
    if damping > most:
        raise ValueError(
            f"{name} is {float(damping):.3g}: exp of minus that much is nothing at all, and the "
            f"formulas lose their digits; at most {most:g}, e.g. by a smaller beta or T"
        )
