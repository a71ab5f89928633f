"""The reverse dynamics that the oracle of samplers steps: a problem, its drift, kicks and noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp
from numpy.polynomial import Polynomial

COMPONENTS = {"psld": "xm", "vp": "x", "langevin": "qp"}


SCORES = {"psld": {"x": "sx", "m": "sm"}, "vp": {"x": "s"}, "langevin": {"p": "s"}}


CIRCLE = 32


@dataclass(eq=False)
class Problem:
    """A process, a concrete score and the point where a step starts.

    `scores` maps a score's name to d expressions in the coordinates ("x1", "m1", ...) and tau.
    `beta` is a polynomial in forward time tau. The step starts at forward time `tau`.
    """

    model: str
    dynamics: str
    scores: Mapping[str, list[sp.Expr]]
    state: Mapping[str, list[float]]
    tau: float = 0.0
    beta: Polynomial = field(default_factory=lambda: Polynomial([1.0]))
    Gamma: float = 0.0
    nu: float = 0.0
    M: float = 1.0
    gamma: float = 0.0
    lambda_s: float = 1.0
    lambda_rule: str = "exponent"
    radius: float = 0.05

    def __post_init__(self) -> None:
        self.components = COMPONENTS[self.model]
        self.d = len(self.state[self.components[0]])
        self.symbols = [[sp.Symbol(f"{c}{i + 1}") for i in range(self.d)] for c in self.components]
        flat = [s for row in self.symbols for s in row]
        self.functions = {
            name: sp.lambdify([*flat, sp.Symbol("tau")], list(rows), "numpy")
            for name, rows in self.scores.items()
        }
        self.h = self.radius * np.exp(2j * np.pi * np.arange(CIRCLE) / CIRCLE)[:, None, None]

    def score(self, z: dict[str, Any], tau: Any) -> dict[str, Any]:
        """The score by component, at state z (..., d) and forward time tau."""
        flat = [z[c][..., i] for c in self.components for i in range(self.d)]
        shape = np.broadcast(*flat, tau[..., 0]).shape
        result = {}
        for c, name in SCORES[self.model].items():
            rows = self.functions[name](*flat, tau[..., 0])
            result[c] = np.stack([np.broadcast_to(row, shape) for row in rows], axis=-1)
        return result

    def clock(self, start: Any, stop: Any) -> Any:
        """The integral of beta over reverse times t + start .. t + stop (start, stop complex)."""
        b = self.beta.integ()
        return b(self.tau - start) - b(self.tau - stop)


def drift(p: Problem, z: dict[str, Any], s: dict[str, Any]) -> dict[str, Any]:
    """The full reverse drift without its factor beta, as theory section 2 and 8 print it."""
    k = 2 if p.dynamics == "sde" else 1
    if p.model == "vp":
        return {"x": (z["x"] + k * s["x"]) / 2}
    if p.model == "langevin":
        friction = p.gamma if p.dynamics == "sde" else 0
        return {"q": z["p"], "p": s["p"] - friction * z["p"]}
    return {
        "x": (p.Gamma * z["x"] - z["m"] / p.M + k * p.Gamma * s["x"]) / 2,
        "m": (z["x"] + p.nu * z["m"] + k * p.M * p.nu * s["m"]) / 2,
    }


def kick(p: Problem, z: dict[str, Any], s: dict[str, Any]) -> dict[str, Any]:
    """What of the drift is not that of the letter L, without its factor beta."""
    assert p.model == "vp"
    return {"x": s["x"] / 2 if p.dynamics == "ode" else s["x"] + z["x"]}


def strength(p: Problem) -> list[float]:
    """Noise intensities by component, without their factor beta."""
    if p.dynamics == "ode":
        return [0.0] * len(p.components)
    return {"psld": [p.Gamma, p.M * p.nu], "vp": [1.0], "langevin": [0.0, 2 * p.gamma]}[p.model]
