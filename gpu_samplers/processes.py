"""The three processes in float64, as the samplers need them: rates, clocks, kernels, time grids.

Stated again from the theory, apart from analytic_models, so that each judges the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from math import ceil, expm1, isfinite, sqrt
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from splitting_analysis.scheme import Scheme

Array = NDArray[np.float64]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)


def exponential(matrix: Array, delta: Array) -> Array:
    """exp(delta matrix) for times `delta` (k,) and a matrix (n, n), n <= 2; shape (k, n, n).

    With mu the mean eigenvalue and q the square of half their difference times delta:
    exp = e^(mu delta) (cosh sqrt(q) + sinh(sqrt q)/sqrt(q) delta (matrix - mu)); q < 0 oscillates.
    """
    n = len(matrix)
    mu = float(np.trace(matrix)) / n
    rest = matrix - mu * np.eye(n)
    q = (rest @ rest)[0, 0] * delta**2  # traceless and 2 x 2: its square is a multiple of I
    root = np.sqrt(np.abs(q))
    series = 1 + q / 6 * (1 + q / 20 * (1 + q / 42))  # exact to rounding where the quotient is not
    safe = np.where(root < 1e-2, 1.0, root)
    ratio = np.where(root < 1e-2, series, np.where(q > 0, np.sinh(root), np.sin(root)) / safe)
    even = np.where(q > 0, np.cosh(root), np.cos(root))
    flow = even[:, None, None] * np.eye(n) + (ratio * delta)[:, None, None] * rest
    return np.exp(mu * delta)[:, None, None] * flow


def noise_covariance(matrix: Array, noise: Array, delta: Array) -> Array:
    """Integral over u in [0, delta] of exp(u matrix) diag(noise) exp(u matrix)^T; delta (k,), (k, n, n).

    By Gauss-Legendre panels: the diagonal is a sum of positive terms, so that a tiny variance
    (the position of CLD after a short step, of order delta^3) keeps all its digits.
    """
    nodes, weights = _panels(matrix, delta)
    roots = np.sqrt(weights)[:, None, None] * np.sqrt(noise)
    flow = exponential(matrix, np.outer(delta, nodes).ravel()).reshape(len(delta), -1, *matrix.shape)
    wide = (flow * roots).swapaxes(1, 2).reshape(len(delta), len(matrix), -1)
    return np.asarray(delta[:, None, None] * (wide @ wide.swapaxes(1, 2)))


def integrated_exponential(matrix: Array, delta: Array) -> Array:
    """Integral over u in [0, delta] of exp(u matrix), by the same panels; delta (k,), (k, n, n)."""
    nodes, weights = _panels(matrix, delta)
    flow = exponential(matrix, np.outer(delta, nodes).ravel()).reshape(len(delta), -1, *matrix.shape)
    return np.asarray(delta[:, None, None] * np.einsum("q,kqij->kij", weights, flow))


def _panels(matrix: Array, delta: Array) -> tuple[Array, Array]:
    """Nodes in [0, 1] and weights of Gauss-Legendre panels short enough for exp(u matrix)."""
    size = np.abs(matrix)
    balanced = np.sqrt(size * size.T)  # in the units of a heavy or light momentum one entry is huge alone
    panels = max(1, ceil(float(delta.max() * min(size.sum(), 4 * balanced.sum())) / 4))
    nodes = ((np.arange(panels)[:, None] + (_NODES + 1) / 2) / panels).ravel()
    return nodes, np.tile(_WEIGHTS / 2 / panels, panels)


def lower_factor(covariance: Array) -> Array:
    """Lower-triangular L, L L^T = covariance, of a (semi-)definite 1 x 1 or 2 x 2 matrix."""
    factor = np.zeros_like(covariance)
    factor[0, 0] = sqrt(max(covariance[0, 0], 0.0))
    if len(covariance) == 2:
        factor[1, 0] = covariance[1, 0] / factor[0, 0] if factor[0, 0] > 0 else 0.0
        factor[1, 1] = sqrt(max(covariance[1, 1] - factor[1, 0] ** 2, 0.0))
    return factor


class _Clocked:
    """What the three have in common: a clock rate beta, linear in forward time tau."""

    T: float

    def beta(self, tau: float) -> float:
        raise NotImplementedError

    def clock(self, t: float, length: float) -> float:
        """Integral of beta over the reverse interval [t, t + length]; the midpoint, as beta is linear."""
        return length * self.beta(self.T - t - length / 2)


@dataclass(frozen=True)
class PSLD(_Clocked):
    """Phase-space Langevin diffusion, critically damped; CLD is Gamma = 0. Refuses bad values."""

    Gamma: float = 0.01
    nu: float = 4.01
    beta_min: float = 8.0
    beta_max: float = 8.0
    kappa: float = 0.04
    T: float = 1.0
    model_name: ClassVar[str] = "psld"

    def __post_init__(self) -> None:
        _refuse_bad(self)
        if self.Gamma == self.nu:
            raise ValueError(f"Gamma = nu = {self.Gamma}: the mass 4 / (Gamma - nu)^2 needs them to differ")

    @property
    def M(self) -> float:
        return 4 / (self.Gamma - self.nu) ** 2

    @property
    def parameters(self) -> SimpleNamespace:
        """What the letters' coefficient functions take."""
        return SimpleNamespace(Gamma=self.Gamma, nu=self.nu, M=self.M, iM=1 / self.M, half=0.5)

    @property
    def stationary(self) -> tuple[float, ...]:
        """Variances of the prior, by component."""
        return (1.0, self.M)

    def beta(self, tau: float) -> float:
        return self.beta_min + tau * (self.beta_max - self.beta_min) / self.T

    @property
    def drift(self) -> Array:
        """F0 / 2: dz = beta (F0 / 2) z dtau + noise, forward in time; shape (2, 2)."""
        return np.array([[-self.Gamma, 1 / self.M], [-1.0, -self.nu]]) / 2

    def kernels(self, taus: Sequence[float]) -> tuple[Array, Array]:
        """Of z_tau given x_0 (momentum integrated out: hybrid score matching), at forward times (k,).

        Factors of x_0 (k, 2), and covariances (k, 2, 2).
        """
        clocks = np.array([self.clock(self.T - tau, tau) for tau in taus])
        flow = exponential(self.drift, clocks)
        noise = noise_covariance(self.drift, np.array([self.Gamma, self.M * self.nu]), clocks)
        start = np.diag([0.0, self.kappa * self.M])
        return flow[:, :, 0], noise + flow @ start @ flow.transpose(0, 2, 1)

    def kernel(self, tau: float) -> Array:
        """Covariance of z_tau given x_0, shape (2, 2): see `kernels`."""
        return self.kernels([tau])[1][0]


@dataclass(frozen=True)
class VP(_Clocked):
    """Variance-preserving diffusion dx = -(beta/2) x dtau + sqrt(beta) dW. Refuses bad values."""

    beta_min: float = 0.1
    beta_max: float = 20.0
    T: float = 1.0
    model_name: ClassVar[str] = "vp"

    def __post_init__(self) -> None:
        _refuse_bad(self)

    @property
    def parameters(self) -> SimpleNamespace:
        return SimpleNamespace(half=0.5)

    @property
    def stationary(self) -> tuple[float, ...]:
        return (1.0,)

    def beta(self, tau: float) -> float:
        return self.beta_min + tau * (self.beta_max - self.beta_min) / self.T

    def kernel(self, tau: float) -> Array:
        """Variance of x_tau given x_0, shape (1, 1)."""
        return np.array([[-expm1(-self.clock(self.T - tau, tau))]])


@dataclass(frozen=True)
class Langevin(_Clocked):
    """Kinetic Langevin dynamics, unit mass and temperature, friction gamma, fixed target; run over time T."""

    gamma: float = 1.0
    T: float = 10.0
    model_name: ClassVar[str] = "langevin"

    def __post_init__(self) -> None:
        _refuse_bad(self)

    @property
    def parameters(self) -> SimpleNamespace:
        return SimpleNamespace(gamma=self.gamma, half=0.5)

    @property
    def stationary(self) -> tuple[float, ...]:
        return (1.0, 1.0)

    def beta(self, tau: float) -> float:  # noqa: ARG002 - the clock of a fixed target is time itself
        return 1.0


Process = PSLD | VP | Langevin


def _refuse_bad(process: PSLD | VP | Langevin) -> None:
    values = {field.name: getattr(process, field.name) for field in fields(process)}
    for name, value in values.items():
        if isinstance(value, bool | str) or not isfinite(value) or value < 0:
            raise ValueError(f"{name} = {value}: it must be a finite number >= 0")
    if values["T"] == 0:
        raise ValueError("T = 0: the time span must be positive")
    if values.get("beta_min", 1) == values.get("beta_max", 1) == 0:
        raise ValueError("beta_min = beta_max = 0: nothing would move")
    for name, value in values.items():
        if value != 0 and not 1e-30 <= value <= 1e30:
            raise ValueError(f"{name} = {value}: products of it overflow; it must be 0 or in [1e-30, 1e30]")
    # Equal values are refused by PSLD itself. Close ones leave the mass without digits.
    total, gap = (abs(values.get("nu", 0.0) + sign * values.get("Gamma", 0.0)) for sign in (1, -1))
    if 0 < gap < 1e-9 * total:
        raise ValueError(
            f"Gamma = {values['Gamma']}, nu = {values['nu']}: the mass 4 / (Gamma - nu)^2 needs a difference "
            "of more than 1e-9 of their sum"
        )
    rate = (values.get("beta_min", 0.0) + values.get("beta_max", 0.0)) / 2  # Langevin has no prior to reach
    damping = rate * values["T"] * (total if "nu" in values else 1.0)
    if damping > 1e3:
        raise ValueError(
            f"the rate of decay times the time span is {damping:.3g}, and nothing is left of a start that "
            "decays by exp of minus that: at most 1000, e.g. by a smaller T"
        )


def grid(name: str, steps: int, T: float = 1.0, eps: float = 1e-3) -> list[float]:
    """`steps` + 1 reverse times on [0, T - eps], "uniform" or "quadratic" (theory section 7)."""
    if steps < 1 or not 0 <= eps < T:
        raise ValueError(f"{steps} steps to T - eps, T = {T}, eps = {eps}: it takes steps >= 1, 0 <= eps < T")
    if eps > 0 and T - eps == T:
        raise ValueError(f"eps = {eps} vanishes beside T = {T}: T - eps rounds to T; give 0 or a larger eps")
    if name == "uniform":
        return [(T - eps) * i / steps for i in range(steps + 1)]
    if name == "quadratic":
        return [(T - eps) * (1 - (1 - i / steps) ** 2) for i in range(steps + 1)]
    raise ValueError(f"no grid {name!r}; there are: uniform, quadratic")


def check_times(times: Sequence[float], T: float) -> None:
    """Raise ValueError unless there are two or more times, finite and increasing, in [0, T]."""
    if len(times) < 2 or not all(isfinite(t) for t in times):
        raise ValueError(f"a grid has at least two finite times, not {list(times)[:4]}")
    for i, (before, after) in enumerate(pairwise(times)):
        if not before < after:
            raise ValueError(f"the grid does not increase at index {i + 1}: {before} then {after}")
    if times[0] < 0 or times[-1] > T:
        raise ValueError(f"the grid runs from {times[0]} to {times[-1]}, outside [0, T], T = {T}")


def steps_for(nfe: int, scheme: Scheme, denoise: bool = True) -> int:
    """Steps that a budget of `nfe` evaluations buys (theory section 7). Raises ValueError below 1."""
    extra = scheme.carries_score + (denoise and scheme.model.time_dependent)
    steps = (nfe - extra) // scheme.word.nfe
    if steps < 1:
        raise ValueError(
            f"{nfe} evaluations buy no step of {scheme.name}: a step takes {scheme.word.nfe}, and {extra} go "
            "to the start and the denoising step"
        )
    return steps
