"""Samplers as the papers print them, run at complex step sizes on all nodes of a noise rule at
once.

One step of a sampler from a fixed state is an analytic function of h: it is run at h on a small
circle around 0, and oracle_errors reads off the powers of h. Noise is replaced by the nodes of a
Gauss-Hermite rule: noise enters with sqrt(h) and n nodes are exact through degree 2n - 1, so that
they average every power of h below n exactly. Nothing is expanded and no score is differentiated.

Nothing of the package is imported. States are arrays (circle, nodes, d), one per component.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import factorial
from typing import Any

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from tests.oracle_dynamics import CIRCLE, COMPONENTS, Problem, drift, kick, strength
from tests.oracle_tokens import read


@dataclass
class Run:
    """A state over circle and nodes, with the nodes' weights; `step` advances it by one word."""

    problem: Problem
    nodes: int
    z: dict[str, Any]
    weights: Any
    held: Any = None

    @classmethod
    def start(cls, problem: Problem, word: str, nodes: int = 3) -> Run:
        """The state in which a step of `word` begins.

        A word that carries its first score over takes it from the step before: there it was
        evaluated at the problem's state, and what followed it moved that state on. Where that left
        the score's arguments alone (B and O of Langevin), the problem's state is the one after it,
        as it is without a carried score.
        """
        z = {
            c: np.broadcast_to(np.asarray(problem.state[c], complex), (CIRCLE, 1, problem.d))
            for c in problem.components
        }
        run = cls(problem, nodes, z, np.ones(1))
        first, last = word.split("S", 1)[0], word.rsplit("S", 1)[1]
        if any(letter in first for letter in ("BKEA" if problem.model == "psld" else "BKE")):
            if problem.model == "langevin" and not set("AEU") & set(last):
                run.held = problem.score(z, problem.tau + 0 * problem.h)
            else:
                run.step(word, origin=-1, after_last_score=True)
        return run

    def normal(self, count: int) -> list[Any]:
        """`count` independent standard normal vectors in R^d; the nodes multiply."""
        one, weight = hermegauss(self.nodes)
        weight = weight / weight.sum()
        grid = np.array(list(product(one, repeat=count * self.problem.d)))
        weights = np.prod(np.array(list(product(weight, repeat=count * self.problem.d))), axis=1)
        old, new = len(self.weights), len(weights)
        self.z = {c: np.repeat(v, new, axis=1) for c, v in self.z.items()}
        if self.held is not None:
            self.held = {c: np.repeat(v, new, axis=1) for c, v in self.held.items()}
        self.weights = np.outer(self.weights, weights).ravel()
        tiled = np.tile(grid, (old, 1)).reshape(1, -1, count, self.problem.d)
        return [tiled[:, :, k] for k in range(count)]

    def step(self, word: str, origin: int = 0, after_last_score: bool = False) -> Run:
        """One step of `word` over [origin h, (origin + 1) h], or its last score and what
        follows.
        """
        tokens = word.split()
        last = max(i for i, token in enumerate(tokens) if token[0] == "S")
        p, h = self.problem, self.problem.h
        clocks: dict[str, Fraction] = {}
        z0, slopes, inside = dict(self.z), list[dict[str, Any]](), False
        for i, token in enumerate(tokens):
            letter, rule, at, part, row = read(token)
            begun = clocks.get(letter, Fraction(0))
            clocks[letter] = begun + part
            if after_last_score and i < last:
                continue
            if letter == "S":
                tau = p.tau - (origin + float(at)) * h
                self.held = p.score(self.z, tau)
                if "[" in word:
                    if not inside:
                        z0, slopes = dict(self.z), []
                    inside = True
                    kicks = any(t[:2] == "K[" for t in tokens)
                    slope = (kick if kicks else drift)(p, self.z, self.held)
                    slopes.append({c: p.beta(tau) * slope[c] for c in p.components})
            elif row:
                used = slopes[-len(row) :]
                self.z = {
                    c: z0[c] + h * sum(float(w) * k[c] for w, k in zip(row, used, strict=True))
                    for c in p.components
                }
            else:
                inside = False
                interval = (origin + float(begun)) * h, (origin + float(begun + part)) * h
                frozen = float(part) * h * p.beta(p.tau - origin * h)
                _LETTERS[p.model, p.dynamics, letter + rule](self, frozen, p.clock(*interval))
        return self

    def average(self, values: Any) -> Any:
        """The mean over the nodes of an array (circle, nodes, ...)."""
        return np.tensordot(np.asarray(values), self.weights, axes=(1, 0))


def _euler(run: Run, b: Any, _: Any) -> None:
    p, z = run.problem, run.z
    f = drift(p, z, run.held)
    run.z = {c: z[c] + b * f[c] for c in p.components}
    active = [(c, g) for c, g in zip(p.components, strength(p), strict=True) if g]
    for (c, g), xi in zip(active, run.normal(len(active)) if active else [], strict=True):
        run.z[c] = run.z[c] + np.sqrt(b * g) * xi


def _psld_a(run: Run, b: Any, _: Any) -> None:
    p, z, k = run.problem, run.z, 2 if run.problem.dynamics == "sde" else 1
    run.z = z | {
        "x": z["x"] + b / 2 * (k * p.Gamma * z["x"] - z["m"] / p.M + k * p.Gamma * run.held["x"])
    }


def _psld_b(run: Run, b: Any, _: Any) -> None:
    p, z, k = run.problem, run.z, 2 if run.problem.dynamics == "sde" else 1
    run.z = z | {
        "m": z["m"] + b / 2 * (z["x"] + k * p.nu * z["m"] + k * p.M * p.nu * run.held["m"])
    }


def _psld_o(run: Run, _: Any, delta: Any) -> None:
    p = run.problem
    xi, eta = run.normal(2)
    if p.lambda_rule == "exponent":
        variance = 1 - np.exp(-p.lambda_s * delta * p.Gamma)
    else:
        variance = p.lambda_s * (1 - np.exp(-delta * p.Gamma))
    run.z = {
        "x": np.exp(-delta * p.Gamma / 2) * run.z["x"] + np.sqrt(variance) * xi,
        "m": np.exp(-delta * p.nu / 2) * run.z["m"]
        + np.sqrt(p.M * (1 - np.exp(-delta * p.nu))) * eta,
    }


def exponential(matrix: Any, delta: Any) -> Any:
    """exp(delta * matrix) of a 2 x 2 matrix, for an array of complex delta; shape (..., 2, 2).

    Sylvester's formula around the mean eigenvalue, with the entire functions cosh(sqrt q) and
    sinh(sqrt q) / sqrt q of q = delta^2 (discriminant), as their power series.
    """
    mean, delta = np.trace(matrix) / 2, np.asarray(delta)[..., None, None]
    rest = matrix - mean * np.eye(2)
    q = -np.linalg.det(rest) * delta**2
    cosh = sum(q**k / factorial(2 * k) for k in range(12))
    sinh = sum(q**k / factorial(2 * k + 1) for k in range(12))
    return np.exp(mean * delta) * (cosh * np.eye(2) + sinh * delta * rest)


def _psld_l(run: Run, _: Any, delta: Any) -> None:
    """dz = [[-Gamma, -1/M], [1, -nu]]/2 z + noise, stationary at diag(1, M)."""
    p = run.problem
    flow = exponential(np.array([[-p.Gamma, -1 / p.M], [1, -p.nu]]) / 2, delta)
    stationary = np.diag([1.0, p.M])
    cov = stationary - flow @ stationary @ np.swapaxes(flow, -1, -2)  # no conjugate: analytic in h
    xi, eta = run.normal(2)
    corner = np.sqrt(cov[..., 0, 0])
    below = cov[..., 0, 1] / corner
    x, m = run.z["x"], run.z["m"]
    run.z = {
        "x": flow[..., 0, 0] * x + flow[..., 0, 1] * m + corner * xi,
        "m": flow[..., 1, 0] * x
        + flow[..., 1, 1] * m
        + below * xi
        + np.sqrt(cov[..., 1, 1] - below**2) * eta,
    }


def _psld_exp(run: Run, _: Any, delta: Any) -> None:
    """The full linear part exactly, the score frozen; integrals of exp(u F) by Gauss's rule in u /
    delta.
    """
    p, k = run.problem, 2 if run.problem.dynamics == "sde" else 1
    linear = np.array([[p.Gamma, -1 / p.M], [1, p.nu]]) / 2
    nodes, weights = np.polynomial.legendre.leggauss(16)
    flows = [exponential(linear, delta * (1 + node) / 2) for node in nodes]
    width = np.asarray(delta)[..., None, None] / 2
    parts = [weight * width * e for weight, e in zip(weights, flows, strict=True)]
    gain = sum(parts) @ np.diag([k * p.Gamma / 2, k * p.M * p.nu / 2])
    flow, z, s = exponential(linear, delta), run.z, run.held
    run.z = {
        c: sum(flow[..., i, j] * z[d] + gain[..., i, j] * s[d] for j, d in enumerate("xm"))
        for i, c in enumerate("xm")
    }
    if p.dynamics == "sde":
        noise = np.diag([p.Gamma, p.M * p.nu])
        cov = sum(
            part @ noise @ np.swapaxes(e, -1, -2) for part, e in zip(parts, flows, strict=True)
        )
        xi, eta = run.normal(2)
        corner = np.sqrt(cov[..., 0, 0])
        below = cov[..., 0, 1] / corner
        run.z = {
            "x": run.z["x"] + corner * xi,
            "m": run.z["m"] + below * xi + np.sqrt(cov[..., 1, 1] - below**2) * eta,
        }


def _psld_k(run: Run, b: Any, _: Any) -> None:
    p, z, s = run.problem, run.z, run.held
    run.z = {
        "x": z["x"] + b * p.Gamma * (s["x"] + z["x"]),
        "m": z["m"] + b * p.M * p.nu * (s["m"] + z["m"] / p.M),
    }


def _vp_exp(run: Run, _: Any, delta: Any) -> None:
    """Exact flow of the linear part, score frozen; noise of dx = x/2 dt + dW over the clock
    delta.
    """
    k = 2 if run.problem.dynamics == "sde" else 1
    x = np.exp(delta / 2) * run.z["x"] + k * (np.exp(delta / 2) - 1) * run.held["x"]
    run.z = {"x": x}
    if run.problem.dynamics == "sde":
        (xi,) = run.normal(1)
        run.z = {"x": run.z["x"] + np.sqrt(np.exp(delta) - 1) * xi}


def _vp_ddpm(run: Run, b: Any, _: Any) -> None:
    run.z = {"x": (run.z["x"] + b * run.held["x"]) / np.sqrt(1 - b)}
    (xi,) = run.normal(1)
    run.z = {"x": run.z["x"] + np.sqrt(b) * xi}


def _vp_l_ode(run: Run, _: Any, delta: Any) -> None:
    run.z = {"x": np.exp(delta / 2) * run.z["x"]}


def _vp_k_ode(run: Run, b: Any, _: Any) -> None:
    run.z = {"x": run.z["x"] + b / 2 * run.held["x"]}


def _vp_l(run: Run, _: Any, delta: Any) -> None:
    (xi,) = run.normal(1)
    run.z = {"x": np.exp(-delta / 2) * run.z["x"] + np.sqrt(1 - np.exp(-delta)) * xi}


def _vp_k(run: Run, b: Any, _: Any) -> None:
    run.z = {"x": run.z["x"] + b * (run.held["x"] + run.z["x"])}


def _langevin_a(run: Run, b: Any, _: Any) -> None:
    run.z = run.z | {"q": run.z["q"] + b * run.z["p"]}


def _langevin_b(run: Run, b: Any, _: Any) -> None:
    run.z = run.z | {"p": run.z["p"] + b * run.held["p"]}


def _langevin_o(run: Run, b: Any, _: Any) -> None:
    (xi,), gamma = run.normal(1), run.problem.gamma
    p = np.exp(-gamma * b) * run.z["p"] + np.sqrt(1 - np.exp(-2 * gamma * b)) * xi
    run.z = run.z | {"p": p}


def _langevin_o_mid(run: Run, b: Any, _: Any) -> None:
    """p' = p - gamma b (p + p')/2 + noise, solved for p'."""
    (xi,), half = run.normal(1), run.problem.gamma * b / 2
    kicked = run.z["p"] - half * run.z["p"] + np.sqrt(4 * half) * xi
    run.z = run.z | {"p": kicked / (1 + half)}


def _langevin_u(run: Run, b: Any, _: Any) -> None:
    """The free particle: dq = p dt, dp = -gamma p dt + sqrt(2 gamma) dW, both from one path."""
    (xi, eta), gamma = run.normal(2), run.problem.gamma
    decay = np.exp(-gamma * b)
    ramp = (1 - decay) / gamma
    spread = 2 * b / gamma - 4 * ramp / gamma + (1 - decay**2) / gamma**2
    corner = np.sqrt(1 - decay**2)
    beside = gamma * ramp**2 / corner
    run.z = {
        "q": run.z["q"] + ramp * run.z["p"] + beside * xi + np.sqrt(spread - beside**2) * eta,
        "p": decay * run.z["p"] + corner * xi,
    }


def _langevin_exp(run: Run, b: Any, clock: Any) -> None:
    """The free particle, and what a constant force adds: the integrals of its flow."""
    _langevin_u(run, b, clock)  # draws, and has all that is held on as many nodes
    f, gamma = run.held["p"], run.problem.gamma
    ramp = (1 - np.exp(-gamma * b)) / gamma
    run.z = {"q": run.z["q"] + (b - ramp) / gamma * f, "p": run.z["p"] + ramp * f}


_LETTERS: dict[tuple[str, str, str], Callable[[Run, Any, Any], None]] = {
    (model, dynamics, "E"): _euler for model in COMPONENTS for dynamics in ("ode", "sde")
} | {
    ("psld", "ode", "A"): _psld_a,
    ("psld", "ode", "B"): _psld_b,
    ("psld", "sde", "A"): _psld_a,
    ("psld", "sde", "B"): _psld_b,
    ("psld", "ode", "E:exp"): _psld_exp,
    ("psld", "sde", "E:exp"): _psld_exp,
    ("psld", "sde", "O"): _psld_o,
    ("psld", "sde", "L"): _psld_l,
    ("psld", "sde", "K"): _psld_k,
    ("vp", "ode", "E:exp"): _vp_exp,
    ("vp", "sde", "E:exp"): _vp_exp,
    ("vp", "sde", "E:ddpm"): _vp_ddpm,
    ("vp", "ode", "L"): _vp_l_ode,
    ("vp", "ode", "K"): _vp_k_ode,
    ("vp", "sde", "L"): _vp_l,
    ("vp", "sde", "K"): _vp_k,
    ("langevin", "ode", "A"): _langevin_a,
    ("langevin", "ode", "B"): _langevin_b,
    ("langevin", "sde", "A"): _langevin_a,
    ("langevin", "sde", "B"): _langevin_b,
    ("langevin", "sde", "O"): _langevin_o,
    ("langevin", "sde", "O:mid"): _langevin_o_mid,
    ("langevin", "sde", "U"): _langevin_u,
    ("langevin", "sde", "E:exp"): _langevin_exp,
}
