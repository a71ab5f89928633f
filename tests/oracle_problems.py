"""Concrete problems for the oracles: smooth scores that are no gradients, seen from both sides.

`problem` is what oracle_samplers runs; `jet` is the same score as a multilinear map in coordinates
of R^d, by plain SymPy differentiation, in the shape that closed forms are evaluated with.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.polynomial import Polynomial

from tests.oracle_dynamics import COMPONENTS, SCORES, Problem

PARAMETERS = {"Gamma": 0.3, "nu": 1.1, "M": 1.7, "gamma": 0.6, "lambda_s": 0.7}
TAU, BETA = 0.4, Polynomial([1.3, 0.4, -0.3, 0.2])


def coordinates(model: str, d: int) -> dict[str, list[sp.Symbol]]:
    return {c: [sp.Symbol(f"{c}{i + 1}") for i in range(d)] for c in COMPONENTS[model]}


@cache
def problem(model: str, dynamics: str, d: int = 1, seed: int = 1, **changes: Any) -> Problem:
    """A random smooth score at a random point; Jacobians of different scores do not commute."""
    draw = np.random.default_rng([seed, d, len(model)])

    def number() -> float:
        return round(float(draw.uniform(-1, 1)), 2)

    z = coordinates(model, d)
    arguments = [v for c in z if (model, c) != ("langevin", "p") for v in z[c]]
    tau = sp.Symbol("tau") if model != "langevin" else sp.Integer(0)
    scores = {
        name: [
            number()
            + sp.sin(sum(number() * v for v in arguments) + number() * tau)
            + sum(number() * v for v in arguments)
            * (1 + number() * tau + number() * arguments[-1] ** 2)
            for _ in range(d)
        ]
        for name in SCORES[model].values()
    }
    state = {c: [number() for _ in range(d)] for c in z}
    if model == "langevin":
        clock: dict[str, Any] = {"tau": 0.0, "beta": Polynomial([1.0])}
    else:
        clock = {"tau": TAU, "beta": BETA}
    return Problem(model, dynamics, scores, state, **clock, **(PARAMETERS | changes))


def parameters(p: Problem) -> dict[str, float]:
    """The values a closed form asks for, beta's derivatives included."""
    names = ["beta", "dbeta", "d2beta", "d3beta", "d4beta", "d5beta"]
    clock = {name: float(p.beta.deriv(k)(p.tau)) for k, name in enumerate(names)}
    return clock | {name: getattr(p, name) for name in PARAMETERS}


@cache
def jet(p: Problem, phi: sp.Expr | None = None) -> Callable[..., Any]:
    """field(name, j, ((component, direction), ...)) in coordinates, any number of directions.

    `phi` adds a scalar test function beside the scores. Directions are arrays (d,).
    """
    z = dict(zip(p.components, p.symbols, strict=True))
    tau = sp.Symbol("tau")
    values = {s: v for c, row in z.items() for s, v in zip(row, p.state[c], strict=True)} | {
        tau: p.tau
    }
    functions = p.scores if phi is None else {**p.scores, "phi": [phi]}
    known: dict[tuple[Any, ...], Any] = {}

    def field(name: str, j: int, directions: Any) -> Any:
        components = tuple(c for c, _ in directions)
        if (name, j, components) not in known:
            derived = [sp.diff(row, tau, j, simplify=False) for row in functions[name]]
            rows = np.array(derived, dtype=object)
            for c in components:
                gradients = [[sp.diff(e, v) for v in z[c]] for e in rows.flat]
                rows = np.array(gradients).reshape(*rows.shape, p.d)
            numbers = [float(sp.sympify(e).subs(values)) for e in rows.flat]
            known[name, j, components] = np.array(numbers).reshape(rows.shape)
        value = known[name, j, components]
        for _, direction in reversed(directions):
            value = value @ np.broadcast_to(direction, (p.d,))
        return value

    return field


def increments(p: Problem, key: str) -> sp.Expr:
    """The function whose mean is the entry `key`: x, or the inner product of two increments."""
    columns = [
        [
            v - sp.Float(a, 20)
            for v, a in zip(p.symbols[p.components.index(c)], p.state[c], strict=True)
        ]
        for c in key
    ]
    return sp.Add(*[sp.Mul(*row) for row in zip(*columns, strict=True)])
