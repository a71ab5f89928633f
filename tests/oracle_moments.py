"""Samplers as the papers print them, run on dense Gaussian laws in R^d, no eigenbasis: an oracle.

A law is its mean and its loadings on independent standard normal numbers: one matrix per component,
mean in column 0. A deterministic op acts on all columns, noise adds columns. Every formula is
written out (theory sections 2, 3 and 8); nothing of the package is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.integrate
import scipy.linalg

PARTS = {"psld": "xm", "vp": "x", "langevin": "qv"}


class Plain:
    """One run. `process` holds the parameters by name, C and mu are the data law's."""

    x: Any
    m: Any
    q: Any
    v: Any
    sx: Any
    sm: Any
    t: float
    h: float

    def __init__(
        self, model: str, process: Any, C: Any, mu: Any, lam: float = 1.0, rule: str = "exponent"
    ):
        self.model, self.process, self.C, self.mu, self.d = model, process, C, mu, len(mu)
        self.lam, self.rule, self.parts, self.evaluations = lam, rule, PARTS[model], 0
        self.sx = self.sm = None
        widths = [1.0, 1.0]
        if model == "psld":
            self.G, self.N = process.Gamma, process.nu
            self.M = 4 / (self.G - self.N) ** 2
            widths = [1.0, np.sqrt(self.M)]
        for k, part in enumerate(self.parts):  # the prior
            blocks = [np.eye(self.d) * (widths[k] if k == j else 0) for j in range(len(self.parts))]
            self.z[part] = np.hstack([np.zeros((self.d, 1)), *blocks])

    @property
    def z(self) -> dict[str, Any]:
        return self.__dict__

    def beta(self, tau: float) -> float:
        return self.process.beta_min + tau * (self.process.beta_max - self.process.beta_min)

    def b(self, low: float, high: float) -> float:
        return scipy.integrate.quad(self.beta, low, high, epsabs=1e-15)[0]

    def now(self) -> float:
        """h beta at the step's start."""
        return self.h * self.beta(self.process.T - self.t)

    def clock(self, low: float, high: float) -> float:
        """delta over the part [low, high] of the step."""
        tau = self.process.T - self.t
        return self.b(tau - high * self.h, tau - low * self.h)

    def marginal(self, tau: float) -> tuple[Any, Any]:
        """Mean and covariance at forward time tau."""
        eye, zero = np.eye(self.d), np.zeros((self.d, self.d))
        b = self.b(0, tau)
        if self.model == "vp":
            return np.exp(-b / 2) * self.mu, np.exp(-b) * self.C + (1 - np.exp(-b)) * eye
        flow = np.kron(
            scipy.linalg.expm(b / 2 * np.array([[-self.G, 1 / self.M], [-1, -self.N]])), eye
        )
        stationary = np.kron(np.diag([1, self.M]), eye)
        initial = np.block([[self.C, zero], [zero, self.process.kappa * self.M * eye]])
        return flow[:, : self.d] @ self.mu, stationary + flow @ (initial - stationary) @ flow.T

    def S(self, c: float = 0.0) -> None:
        self.evaluations += 1
        if self.model == "langevin":
            shifted = self.q.copy()
            shifted[:, 0] -= self.mu
            self.sx = -np.linalg.solve(self.C, shifted)
            return
        mean, covariance = self.marginal(self.process.T - self.t - c * self.h)
        z = np.vstack([self.z[part] for part in self.parts])
        z[:, 0] -= mean
        s = -np.linalg.solve(covariance, z)
        self.sx, self.sm = s[: self.d], s[self.d :]

    def noise(self, *factors: list[float]) -> None:
        """Component i gets the sum of factors[i][j] xi_j, fresh normal vectors xi_j."""
        for part, row in zip(self.parts, factors, strict=True):
            self.z[part] = np.hstack([self.z[part], *(f * np.eye(self.d) for f in row)])
        for name in ("sx", "sm"):
            if self.z[name] is not None:
                pad = np.zeros((len(self.z[name]), self.d * len(factors[0])))
                self.z[name] = np.hstack([self.z[name], pad])

    # PSLD; k is kappa_1 of theory section 3: 1 for the ODE, 2 for the SDE
    def A(self, c: float, k: int) -> None:
        self.x = self.x + c * self.now() / 2 * (
            k * self.G * self.x - self.m / self.M + k * self.G * self.sx
        )

    def B(self, c: float, k: int) -> None:
        self.m = self.m + c * self.now() / 2 * (
            self.x + k * self.N * self.m + k * self.M * self.N * self.sm
        )

    def O(self, low: float = 0, high: float = 1) -> None:  # noqa: E743
        d = self.clock(low, high)
        self.x, self.m = np.exp(-d * self.G / 2) * self.x, np.exp(-d * self.N / 2) * self.m
        variance = 1 - np.exp(-self.lam * d * self.G)
        if self.rule == "variance":
            variance = self.lam * (1 - np.exp(-d * self.G))
        self.noise([np.sqrt(variance), 0], [0, np.sqrt(self.M * (1 - np.exp(-d * self.N)))])

    def L(self, low: float, high: float) -> None:
        d = self.clock(low, high)
        if self.model == "vp":
            self.x = np.exp(-d / 2) * self.x
            return self.noise([np.sqrt(1 - np.exp(-d))])
        flow = scipy.linalg.expm(d / 2 * np.array([[-self.G, -1 / self.M], [1, -self.N]]))
        stationary = np.diag([1, self.M])
        self.x, self.m = (flow[i, 0] * self.x + flow[i, 1] * self.m for i in (0, 1))
        return self.noise(*np.linalg.cholesky(stationary - flow @ stationary @ flow.T).tolist())

    def K(self) -> None:
        if self.model == "vp":
            self.x = self.x + self.now() * (self.sx + self.x)
        else:
            self.x = self.x + self.now() * self.G * (self.sx + self.x)
            self.m = self.m + self.now() * self.M * self.N * (self.sm + self.m / self.M)

    def drift(self, k: int, c: float = 0.0) -> list[Any]:
        """The reverse drift at the current state, held score and step fraction c."""
        if self.model == "langevin":
            return [self.v, self.sx - (self.process.gamma * self.v if k == 2 else 0)]
        half = self.beta(self.process.T - self.t - c * self.h) / 2
        if self.model == "vp":
            return [half * (self.x + k * self.sx)]
        return [
            half * (self.G * self.x - self.m / self.M + k * self.G * self.sx),
            half * (self.x + self.N * self.m + k * self.M * self.N * self.sm),
        ]

    def euler(self, k: int) -> None:
        for part, slope in zip(self.parts, self.drift(k), strict=True):
            self.z[part] = self.z[part] + self.h * slope

    def maruyama(self) -> None:
        self.euler(2)
        if self.model == "vp":
            self.noise([np.sqrt(self.now())])
        elif self.model == "psld":
            self.noise(
                [np.sqrt(self.now() * self.G), 0], [0, np.sqrt(self.now() * self.M * self.N)]
            )
        else:
            self.noise([0.0], [np.sqrt(2 * self.process.gamma * self.h)])

    def runge_kutta(
        self, stages: list[list[float]], weights: list[float], nodes: list[float]
    ) -> None:
        first = [self.z[part] for part in self.parts]
        slopes: list[Any] = []

        def move(row: list[float]) -> None:
            for i, part in enumerate(self.parts):
                self.z[part] = first[i] + self.h * sum(
                    w * s[i] for w, s in zip(row, slopes, strict=True)
                )

        for row, c in zip(stages, nodes, strict=True):
            move(row)
            self.S(c)
            slopes.append(self.drift(1, c))
        move(weights)

    # VP
    def exponential(self) -> None:
        d = self.clock(0, 1)
        self.x = np.exp(d / 2) * self.x + 2 * (np.exp(d / 2) - 1) * self.sx
        self.noise([np.sqrt(np.exp(d) - 1)])

    def ddpm(self) -> None:
        self.x = (self.x + self.now() * self.sx) / np.sqrt(1 - self.now())
        self.noise([np.sqrt(self.now())])

    def grow(self, low: float, high: float) -> None:
        """The linear part of the probability flow."""
        self.x = np.exp(self.clock(low, high) / 2) * self.x

    def push(self, b: Any) -> None:
        self.x = self.x + b * self.sx

    def midpoint(self, linear: float, weight: float, first: float) -> None:
        """x' = beta (linear x + weight s) by the explicit midpoint rule, its first slope at the
        part `first` of the step."""
        before = self.x
        for c, part in ((first, 0.5), (0.5, 1.0)):
            self.S(c)
            rate = part * self.h * self.beta(self.process.T - self.t - c * self.h)
            self.x = before + rate * (linear * self.x + weight * self.sx)

    # Langevin: q += h v, v += h s(q), v = e^{-gamma h} v + sqrt(1 - e^{-2 gamma h}) xi
    def move_q(self, c: float) -> None:
        self.q = self.q + c * self.h * self.v

    def kick(self, c: float) -> None:
        self.S()
        self.v = self.v + c * self.h * self.sx

    def friction(self, c: float) -> None:
        decay = np.exp(-self.process.gamma * c * self.h)
        self.v = decay * self.v
        self.noise([0.0], [np.sqrt(1 - decay**2)])

    def free(self, c: float) -> None:
        """Position and friction together: both driven by one Brownian path (van Loan 1978)."""
        g, h = self.process.gamma, c * self.h
        block = np.array([[0, -1, 0, 0], [0, g, 0, 2 * g], [0, 0, 0, 0], [0, 0, 1, -g]])
        moved = scipy.linalg.expm(h * block)
        flow = moved[2:, 2:].T
        self.q, self.v = (flow[i, 0] * self.q + flow[i, 1] * self.v for i in (0, 1))
        self.noise(*np.linalg.cholesky(flow @ moved[:2, 2:]).tolist())

    def held(self) -> None:
        """The force held, all else exact."""
        g, h, f = self.process.gamma, self.h, self.sx
        ramp = (1 - np.exp(-g * h)) / g
        self.free(1)
        f = np.hstack([f, np.zeros((self.d, self.q.shape[1] - f.shape[1]))])
        self.q, self.v = self.q + (h - ramp) / g * f, self.v + ramp * f

    def run(self, times: list[float], step: Callable[[Plain], Any], denoise: int = 0) -> Plain:
        for t, after in pairwise(times):
            self.t, self.h = t, after - t
            step(self)
        if denoise:
            self.t, self.h = times[-1], self.process.T - times[-1]
            self.S()
            self.euler(denoise)
        return self

    def mean(self) -> Any:
        return np.stack([self.z[part][:, 0] for part in self.parts])

    def covariance(self) -> Any:
        """(k, k, d, d)"""
        loads = [self.z[part][:, 1:] for part in self.parts]
        return np.array([[u @ w.T for w in loads] for u in loads])


def _steps(*ops: Callable[[Plain], Any]) -> Callable[[Plain], None]:
    def step(p: Plain) -> None:
        for op in ops:
            op(p)

    return step


def _s(c: float = 0) -> Callable[[Plain], Any]:
    return lambda p: p.S(c)


def _a(c: float, k: int) -> Callable[[Plain], Any]:
    return lambda p: p.A(c, k)


def _b(c: float, k: int) -> Callable[[Plain], Any]:
    return lambda p: p.B(c, k)


_o: Callable[[Plain], Any] = lambda p: p.O()  # noqa: E731
_sscs = _steps(lambda p: p.L(0, 0.5), _s(), lambda p: p.K(), lambda p: p.L(0.5, 1))
_rk = scipy.integrate.RK45


def _q(c: float) -> Callable[[Plain], Any]:
    return lambda p: p.move_q(c)


def _v(c: float) -> Callable[[Plain], Any]:
    return lambda p: p.kick(c)


def _f(c: float) -> Callable[[Plain], Any]:
    return lambda p: p.friction(c)


def _u(c: float) -> Callable[[Plain], Any]:
    return lambda p: p.free(c)


SAMPLERS: dict[tuple[str, str], Callable[[Plain], Any]] = {
    ("psld", "Euler"): _steps(_s(), lambda p: p.euler(1)),
    ("psld", "NSE"): _steps(_s(), _b(1, 1), _s(), _a(1, 1)),
    ("psld", "RSE"): _steps(_s(), _b(1, 1), _a(1, 1)),
    ("psld", "NVV"): _steps(_s(), _b(0.5, 1), _s(), _a(1, 1), _s(), _b(0.5, 1)),
    ("psld", "RVV"): _steps(_s(), _b(0.5, 1), _a(1, 1), _s(1), _b(0.5, 1)),
    ("psld", "RK45"): lambda p: p.runge_kutta(
        [list(row[:i]) for i, row in enumerate(_rk.A)], list(_rk.B), list(_rk.C)
    ),
    ("psld", "EM"): _steps(_s(), lambda p: p.maruyama()),
    ("psld", "SSCS"): _sscs,
    ("psld", "NOBA"): _steps(_o, _s(), _b(1, 2), _s(), _a(1, 2)),
    ("psld", "ROBA"): _steps(_o, _s(), _b(1, 2), _a(1, 2)),
    ("psld", "NBAO"): _steps(_s(), _b(1, 2), _s(), _a(1, 2), _o),
    ("psld", "RBAO"): _steps(_s(), _b(1, 2), _a(1, 2), _o),
    ("psld", "NOBAB"): _steps(_o, _s(), _b(0.5, 2), _s(), _a(1, 2), _s(), _b(0.5, 2)),
    ("psld", "ROBAB"): _steps(_o, _s(), _b(0.5, 2), _a(1, 2), _s(1), _b(0.5, 2)),
    ("vp", "Euler"): _steps(_s(), lambda p: p.euler(1)),
    ("vp", "Heun"): lambda p: p.runge_kutta([[], [1.0]], [0.5, 0.5], [0.0, 1.0]),
    ("vp", "RK4"): lambda p: p.runge_kutta(
        [[], [0.5], [0, 0.5], [0, 0, 1]], [1 / 6, 1 / 3, 1 / 3, 1 / 6], [0, 0.5, 0.5, 1]
    ),
    ("vp", "EM"): _steps(_s(), lambda p: p.maruyama()),
    ("vp", "EI"): _steps(_s(), lambda p: p.exponential()),
    ("vp", "DDPM"): _steps(_s(), lambda p: p.ddpm()),
    ("vp", "SSCS"): _sscs,
    ("vp", "SSCS2"): _steps(
        lambda p: p.L(0, 0.5), lambda p: p.midpoint(1, 1, 0.0), lambda p: p.L(0.5, 1)
    ),
    ("vp", "Strang-Euler"): _steps(
        lambda p: p.grow(0, 0.5), _s(0.5), lambda p: p.push(p.now() / 2), lambda p: p.grow(0.5, 1)
    ),
    ("vp", "Strang"): _steps(
        lambda p: p.grow(0, 0.5), lambda p: p.midpoint(0, 0.5, 0.5), lambda p: p.grow(0.5, 1)
    ),
    ("langevin", "SE"): _steps(_v(1), _q(1)),
    ("langevin", "VV"): _steps(_v(0.5), _q(1), _v(0.5)),
    ("langevin", "EM"): _steps(_s(), lambda p: p.maruyama()),
    ("langevin", "EI"): _steps(_s(), lambda p: p.held()),
    ("langevin", "BAOAB"): _steps(_v(0.5), _q(0.5), _f(1), _q(0.5), _v(0.5)),
    ("langevin", "ABOBA"): _steps(_q(0.5), _v(0.5), _f(1), _v(0.5), _q(0.5)),
    ("langevin", "OBABO"): _steps(_f(0.5), _v(0.5), _q(1), _v(0.5), _f(0.5)),
    ("langevin", "BAOA"): _steps(_v(1), _q(0.5), _f(1), _q(0.5)),
    ("langevin", "UBU"): _steps(_u(0.5), _v(1), _u(0.5)),
    ("langevin", "BUB"): _steps(_v(0.5), _u(1), _v(0.5)),
}
