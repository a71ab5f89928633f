"""The processes and their parameters, checked once: PSLD (CLD is Gamma = 0), VP, kinetic Langevin.

All worlds take them from here; kernels and covariances are derived twice, in analytic_models and in
gpu_samplers, so that each judges the other. Parameters may be floats, Fractions, mpmath numbers or
SymPy expressions: nothing here rounds. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf
from numbers import Number
from types import SimpleNamespace
from typing import Any, ClassVar

SMALLEST, LARGEST = 1e-30, 1e30
"""What is not 0 lies between: the formulas multiply up to ten of these numbers."""
MOST_DAMPING = 1e3
"""The rate of decay times the time span; 700 is already beyond the range of exp."""


class _LinearClock:
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


@dataclass(frozen=True)
class PSLD(_LinearClock):
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
                f"Gamma = nu = {self.Gamma}: critical damping, M = 4 / (Gamma - nu)^2, needs them to differ"
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
            half=_half(self), Gamma=self.Gamma, nu=self.nu, M=self.M, iM=1 / self.M
        )


@dataclass(frozen=True)
class VP(_LinearClock):
    """Variance-preserving diffusion dx = -(beta/2) x dtau + sqrt(beta) dW (theory section 8).

    Raises ValueError for negative beta, T <= 0, what is not finite, and what overflows.
    """

    beta_min: Any = 0.1
    beta_max: Any = 20.0
    T: Any = 1.0
    model_name: ClassVar[str] = "vp"

    def __post_init__(self) -> None:
        _check(self)

    @property
    def stationary(self) -> tuple[Any, ...]:
        """The variance of the stationary law and prior."""
        return (1,)

    @property
    def parameters(self) -> SimpleNamespace:
        """What the coefficient functions of models.py take."""
        return SimpleNamespace(half=_half(self))


@dataclass(frozen=True)
class Langevin:
    """Kinetic Langevin dynamics, unit mass and temperature, friction gamma, run over time T.

    Raises ValueError for negative gamma, T <= 0, what is not finite, and what overflows.
    """

    gamma: Any = 1.0
    T: Any = 10.0
    model_name: ClassVar[str] = "langevin"

    def __post_init__(self) -> None:
        _check(self)

    @property
    def stationary(self) -> tuple[Any, ...]:
        """Start law of a run: a unit Gaussian in position and momentum."""
        return (1, 1)

    @property
    def parameters(self) -> SimpleNamespace:
        """What the coefficient functions of models.py take."""
        return SimpleNamespace(half=_half(self), gamma=self.gamma)

    def beta(self, tau: Any) -> Any:
        """1: the clock of a fixed target is time itself."""
        return 1 + 0 * tau

    def integral(self, tau: Any) -> Any:
        return tau

    def clock(self, t: Any, length: Any) -> Any:  # noqa: ARG002
        return length


Process = PSLD | VP | Langevin
PROCESSES: dict[str, type[Process]] = {kind.model_name: kind for kind in (PSLD, VP, Langevin)}


def process_of(model: str, **parameters: Any) -> Process:
    """The process of a model's name. Raises ValueError naming models or parameters there are."""
    if model not in PROCESSES:
        raise ValueError(f"no model {model!r}; there are: {', '.join(PROCESSES)}")
    kind = PROCESSES[model]
    allowed = [field.name for field in fields(kind)]
    for name in parameters:
        if name not in allowed:
            raise ValueError(f"model {model} has no parameter {name!r}; there are: {', '.join(allowed)}")
    return kind(**parameters)


def _half(process: Process) -> Any:
    """1/2 in the arithmetic of the parameters, so that it is exact there."""
    return process.T / process.T / 2


def _check(process: Any) -> None:
    """Refuse what is no process; a process with a symbol in it carries its own assumptions."""
    values: dict[str, Any] = {field.name: getattr(process, field.name) for field in fields(process)}
    if any(hasattr(value, "free_symbols") for value in values.values()):
        return
    for name, value in values.items():
        if isinstance(value, bool) or not (_is_number(value) and abs(value) < inf):
            raise ValueError(f"{name} = {value}: {name} must be a finite number")
        if name == "T" and value <= 0:
            raise ValueError(f"T = {value}: the time span must be positive")
        if value < 0:
            raise ValueError(f"{name} = {value}: {name} must not be negative")
        if value != 0 and not SMALLEST <= value <= LARGEST:
            zero = "" if name == "T" else " or be 0"
            raise ValueError(
                f"{name} = {value}: products of it leave double precision; {name} must lie between "
                f"{SMALLEST:g} and {LARGEST:g}{zero}"
            )
    if values.get("beta_min", 1) == values.get("beta_max", 1) == 0:
        raise ValueError("beta_min = beta_max = 0: nothing would move; beta must be positive somewhere")
    _check_together(process)


def _is_number(value: Any) -> bool:
    return isinstance(value, Number)


def _check_together(process: Process) -> None:
    """Refuse parameters that are fine one by one and leave double precision together."""
    if isinstance(process, PSLD):
        gap = abs(process.Gamma - process.nu)
        if 0 < gap < 1e-9 * (process.Gamma + process.nu):
            raise ValueError(
                f"Gamma = {process.Gamma} and nu = {process.nu}: their difference is lost in "
                "rounding, and the mass M = 4 / (Gamma - nu)^2 with it; they must differ by more than "
                "1e-9 of their sum"
            )
    if isinstance(process, Langevin):
        return
    damping = (process.beta_min + process.beta_max) * process.T / 2
    name = "the integral of beta"
    if isinstance(process, PSLD):
        name, damping = f"Gamma + nu times {name}", (process.Gamma + process.nu) * damping
    if damping > MOST_DAMPING:
        raise ValueError(
            f"{name} is {float(damping):.3g}: exp of minus that much is nothing at all, and the "
            f"formulas lose their digits; at most {MOST_DAMPING:g}, e.g. by a smaller T"
        )
