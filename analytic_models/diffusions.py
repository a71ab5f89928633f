"""The three processes: PSLD (CLD is Gamma = 0), VP, kinetic Langevin, with exact forward kernels.

Parameters may be floats, mpmath numbers, Fractions or SymPy expressions: the formulas do not round.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any, ClassVar

import mpmath
import sympy

from analytic_models.arithmetic import exp, expm1, noise_2x2

SMALLEST, LARGEST = 1e-30, 1e30
"""What is not 0 lies between: the formulas multiply up to ten of these numbers."""
MOST_DAMPING = 1e3
"""The rate of decay times the time span; 700 is already beyond the range of exp."""


@dataclass(frozen=True)
class PSLD:
    """Phase-space Langevin diffusion, critically damped: M = 4 / (Gamma - nu)^2 (theory section 1).

    Raises ValueError for Gamma = nu, negative Gamma, nu, kappa or beta, T <= 0, what is not finite, and
    what overflows in the formulas.
    """

    Gamma: Any = 0.01
    nu: Any = 4.01
    beta_min: Any = 8.0
    beta_max: Any = 8.0
    kappa: Any = 0.04
    T: Any = 1.0
    model_name: ClassVar[str] = "psld"

    def __post_init__(self) -> None:
        _refuse_bad(self, non_negative=("Gamma", "nu", "kappa", "beta_min", "beta_max"))
        if self.Gamma == self.nu:
            raise ValueError(
                f"Gamma = nu = {self.Gamma}: critical damping, M = 4 / (Gamma - nu)^2, needs them to differ"
            )

    @property
    def M(self) -> Any:
        return 4 / (self.Gamma - self.nu) ** 2

    @property
    def stationary(self) -> tuple[Any, ...]:
        """Variances of the stationary law and prior: diag(1, M)."""
        return (1, self.M)

    def beta(self, tau: Any) -> Any:
        return _beta(self, tau)

    def integral(self, tau: Any) -> Any:
        """b(tau), the integral of beta over [0, tau]."""
        return _integral(self, tau)

    def transition(self, tau: Any, start: Any = 0) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """Phi(tau) from forward time `start`: the 2x2 map of the mean, exp((b - b_start) F0 / 2)."""
        b = self.integral(tau) - self.integral(start)
        g, n = self.Gamma, self.nu
        scale = exp(-(g + n) * b / 4)
        return (
            (scale * (1 + (n - g) * b / 4), scale * ((g - n) ** 2 * b / 8)),
            (scale * (-b / 2), scale * (1 + (g - n) * b / 4)),
        )

    def noise(self, tau: Any) -> tuple[tuple[Any, ...], ...]:
        """Covariance of z_tau given z_0: S - Phi S Phi^T, S = diag(1, M), without the cancellation."""
        g, n, mass = self.Gamma, self.nu, self.M
        return noise_2x2(((-g, 1 / mass), (-1, -n)), (2 * g, 2 * mass * n), self.integral(tau) / 2)


@dataclass(frozen=True)
class VP:
    """Variance-preserving diffusion dx = -(beta/2) x dtau + sqrt(beta) dW (theory section 8)."""

    beta_min: Any = 0.1
    beta_max: Any = 20.0
    T: Any = 1.0
    model_name: ClassVar[str] = "vp"

    def __post_init__(self) -> None:
        _refuse_bad(self, non_negative=("beta_min", "beta_max"))

    @property
    def stationary(self) -> tuple[Any, ...]:
        return (1,)

    def beta(self, tau: Any) -> Any:
        return _beta(self, tau)

    def integral(self, tau: Any) -> Any:
        """b(tau), the integral of beta over [0, tau]."""
        return _integral(self, tau)

    def transition(self, tau: Any, start: Any = 0) -> tuple[tuple[Any]]:
        return ((exp(-(self.integral(tau) - self.integral(start)) / 2),),)

    def noise_variance(self, tau: Any) -> Any:
        """1 - exp(-b(tau)), without cancellation near tau = 0."""
        return -expm1(-self.integral(tau))


@dataclass(frozen=True)
class Langevin:
    """Kinetic Langevin dynamics, unit mass and temperature, friction gamma, run over time T."""

    gamma: Any = 1.0
    T: Any = 10.0
    model_name: ClassVar[str] = "langevin"

    def __post_init__(self) -> None:
        _refuse_bad(self, non_negative=("gamma",))

    @property
    def stationary(self) -> tuple[Any, ...]:
        """Start law of a run: a unit Gaussian in position and momentum."""
        return (1, 1)

    def beta(self, tau: Any) -> Any:
        return 1 + 0 * tau

    def integral(self, tau: Any) -> Any:
        return tau


Diffusion = PSLD | VP | Langevin
_KINDS: dict[str, type[Diffusion]] = {"psld": PSLD, "vp": VP, "langevin": Langevin}


def diffusion_of(model: str, **parameters: Any) -> Diffusion:
    """The process of a model's name. Raises ValueError naming models or parameters there are."""
    if model not in _KINDS:
        raise ValueError(f"no model {model!r}; there are: {', '.join(_KINDS)}")
    kind = _KINDS[model]
    allowed = [field.name for field in fields(kind)]
    for name in parameters:
        if name not in allowed:
            raise ValueError(f"model {model} has no parameter {name!r}; there are: {', '.join(allowed)}")
    return kind(**parameters)


def letter_parameters(diffusion: Diffusion) -> SimpleNamespace:
    """The namespace that the coefficient functions of splitting_analysis.models take."""
    one = diffusion.T / diffusion.T  # 1 in the arithmetic at hand, so that 1/2 is exact there
    space = SimpleNamespace(half=one / 2)
    if isinstance(diffusion, PSLD):
        space.Gamma, space.nu, space.M, space.iM = (
            diffusion.Gamma, diffusion.nu, diffusion.M, 1 / diffusion.M,
        )  # fmt: skip
    if isinstance(diffusion, Langevin):
        space.gamma = diffusion.gamma
    return space


def clock(diffusion: Diffusion, start: Any, length: Any) -> Any:
    """delta: the integral of beta over the reverse interval [start, start + length].

    beta is linear, so the midpoint gives it exactly, and a constant beta gives equal intervals
    equal clocks.
    """
    return length * diffusion.beta(diffusion.T - start - length / 2)


def _beta(diffusion: PSLD | VP, tau: Any) -> Any:
    return diffusion.beta_min + tau * (diffusion.beta_max - diffusion.beta_min) / diffusion.T


def _integral(diffusion: PSLD | VP, tau: Any) -> Any:
    slope = (diffusion.beta_max - diffusion.beta_min) / diffusion.T
    return tau * (diffusion.beta_min + slope * tau / 2)


def _refuse_bad(diffusion: Any, non_negative: tuple[str, ...]) -> None:
    values = {field.name: getattr(diffusion, field.name) for field in fields(diffusion)}
    if any(isinstance(value, sympy.Basic) for value in values.values()):
        return  # symbols carry their own assumptions
    for name, value in values.items():
        if isinstance(value, bool | str) or not mpmath.isfinite(value):
            raise ValueError(f"{name} = {value}: {name} must be a finite number")
    for name in non_negative:
        if values[name] < 0:
            raise ValueError(f"{name} = {values[name]}: {name} must not be negative")
    if values["T"] <= 0:
        raise ValueError(f"T = {values['T']}: the time span must be positive")
    if "beta_max" in values and values["beta_min"] == values["beta_max"] == 0:
        raise ValueError("beta_min = beta_max = 0: nothing would move; beta must be positive somewhere")
    for name, value in values.items():
        if value != 0 and not SMALLEST <= value <= LARGEST:
            raise ValueError(
                f"{name} = {value}: products of it leave double precision; {name} must lie between "
                f"{SMALLEST:g} and {LARGEST:g}{' or be 0' if name in non_negative else ''}"
            )
    _refuse_extreme(diffusion)


def _refuse_extreme(diffusion: Diffusion) -> None:
    """Raise ValueError where parameters that are fine one by one leave double precision together."""
    if isinstance(diffusion, PSLD):
        gap = abs(diffusion.Gamma - diffusion.nu)
        if 0 < gap < 1e-9 * (diffusion.Gamma + diffusion.nu):
            raise ValueError(
                f"Gamma = {diffusion.Gamma} and nu = {diffusion.nu}: their difference is lost in "
                "rounding, and the mass M = 4 / (Gamma - nu)^2 with it; they must differ by more than "
                "1e-9 of their sum"
            )
    if isinstance(diffusion, Langevin):
        return
    damping = (diffusion.beta_min + diffusion.beta_max) * diffusion.T / 2
    name = "the integral of beta"
    if isinstance(diffusion, PSLD):
        name, damping = f"Gamma + nu times {name}", (diffusion.Gamma + diffusion.nu) * damping
    if damping > MOST_DAMPING:
        raise ValueError(
            f"{name} is {float(damping):.3g}: exp of minus that much is nothing at all, and the "
            f"formulas lose their digits; at most {MOST_DAMPING:g}, e.g. by a smaller T"
        )
