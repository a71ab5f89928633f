"""A sampler whose verdict is known, and what the samplers of this package have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, expm1, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytic_models.probing.subject import Subject, subject_of
from splitting_analysis.processes import Process

Array = NDArray[np.float64]
Score = Callable[[Array, float], Array]
Noise = Callable[[], Array]
Grid = Callable[[int], Sequence[float]]


@dataclass(frozen=True)
class Case:
    """A sampler, what it is said to be, and what must be found.

    what      its defect in a few words; of a harmless one, what could be taken for a defect
    fails     the check that must fail, by the start of its name; "" where every check must hold
    says      what the message (expected, seen, where, and the word deduced) must contain
    notes     what a note must contain
    """

    key: str
    kind: str
    what: str
    model: str
    claims: str
    subject: Subject
    fails: str
    says: tuple[str, ...] = ()
    source: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.key


CASES: dict[str, Case] = {}
"""By key, in the order of their files; importing reports.experiments.defects fills it."""


def case(
    kind: str,
    what: str,
    model: str,
    claims: str,
    fails: str,
    *says: str,
    source: str = "",
    process: Process | None = None,
    grid: Grid | None = None,
    limit: float = 20.0,
    notes: tuple[str, ...] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function of the protocol; its name, with dashes, is the key."""

    def registered(call: Callable[..., Any]) -> Callable[..., Any]:
        key = call.__name__.replace("_", "-")
        if key in CASES:
            raise ValueError(f"two cases are called {key}; a name says which defect it is")
        found = subject_of(call)
        subject = Subject(key, found.kind, call, process, grid, limit=limit)
        CASES[key] = Case(key, kind, what, model, claims, subject, fails, says, source, notes)
        return call

    return registered


def halves(z: Array) -> tuple[Array, Array]:
    """Positions and momenta."""
    d = z.shape[1] // 2
    return z[:, :d], z[:, d:]


def kicked(model: Any, z: Array, s: Array, t: float, h: float, kappa: float = 2) -> Array:
    """PSLD's B over h, Euler: kappa is 2 in the SDE, 1 in the ODE (theory section 3)."""
    (x, m), (_, s_m) = halves(z), halves(s)
    slope = model.beta(model.T - t) / 2 * (x + kappa * model.nu * (m + model.M * s_m))
    return np.hstack([x, m + h * slope])


def drifted(model: Any, z: Array, s: Array, t: float, h: float, kappa: float = 2) -> Array:
    """PSLD's A over h, Euler."""
    (x, m), (s_x, _) = halves(z), halves(s)
    slope = model.beta(model.T - t) / 2 * (kappa * model.Gamma * (x + s_x) - m / model.M)
    return np.hstack([x + h * slope, m])


def rubbed(model: Any, z: Array, xi: Array, t: float, h: float) -> Array:
    """PSLD's O over h, exact: the Ornstein-Uhlenbeck step with the normals xi."""
    (x, m), (xi_x, xi_m) = halves(z), halves(xi)
    d = model.clock(t, h)
    x = exp(-d * model.Gamma / 2) * x + sqrt(-expm1(-d * model.Gamma)) * xi_x
    m = exp(-d * model.nu / 2) * m + sqrt(-model.M * expm1(-d * model.nu)) * xi_m
    return np.hstack([x, m])


def data_of(model: Any, score: Score, x: Array, tau: float, at: float | None = None) -> Array:
    """The data prediction at (x, tau); `at` is the time that the score is asked for, if another."""
    s = score(x, tau if at is None else at)
    alpha, sigma = model.alpha(tau), model.sigma(tau)
    return np.asarray((x + sigma**2 * s) / alpha)


def velocity_of(model: Any, score: Score, x: Array, tau: float, at: float | None = None) -> Array:
    """Slope of the probability flow in forward time."""
    s = score(x, tau if at is None else at)
    shrink, growth = model.rates(tau)
    alpha, sigma = model.alpha(tau), model.sigma(tau)
    f = shrink / alpha
    return np.asarray(f * x - (sigma * growth - f * sigma**2) * s)


def held(model: Any, x: Array, data: Array, tau: float, after: float) -> Array:
    """DDIM's step: the data prediction held from tau to `after`."""
    ratio = model.sigma(after) / model.sigma(tau)
    return np.asarray(ratio * x + (model.alpha(after) - ratio * model.alpha(tau)) * data)


def taus_of(model: Any, grid: Sequence[float]) -> list[float]:
    """The forward times of a grid."""
    return [float(model.T - t) for t in grid]
