"""Local errors of the samplers of oracle_samplers, exact minus scheme, by powers of h.

A discrete Fourier transform over the circle of step sizes gives the coefficient of every power of h
to about machine precision (Cauchy's formula). The exact side is the reverse flow itself for an ODE
(extrapolated midpoint rule, complex h), and the Ito-Taylor coefficients L^k phi / k! by plain
differentiation in coordinates for an SDE. Nothing of the package is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import factorial
from typing import Any

import numpy as np
import sympy as sp

from tests.oracle_dynamics import CIRCLE, SCORES, Problem, drift, strength
from tests.oracle_samplers import Run


def coefficients(values: Any, radius: float, highest: int) -> list[Any]:
    """Taylor coefficients in h of 0 .. highest from values on the circle (Cauchy's formula)."""
    spectrum = np.fft.fft(values, axis=0) / CIRCLE
    return [(spectrum[k] / radius**k).real for k in range(highest + 1)]


def exact_flow(problem: Problem, z: dict[str, Any]) -> dict[str, Any]:
    """The probability flow over one step h from z: modified midpoint rule, extrapolated."""
    h = problem.h

    def slope(y: dict[str, Any], t: Any) -> dict[str, Any]:
        tau = problem.tau - t
        f = drift(problem, y, problem.score(y, tau))
        return {c: problem.beta(tau) * f[c] for c in f}

    counts = [2 * k for k in range(1, 11)]
    table: list[dict[str, Any]] = []
    for n in counts:
        k = h / n
        f = slope(z, 0 * h)
        before, now = z, {c: z[c] + k * f[c] for c in z}
        for i in range(1, n):
            f = slope(now, i * k)
            before, now = now, {c: before[c] + 2 * k * f[c] for c in z}
        table.append(now)
    for level in range(1, len(table)):
        for j in range(len(table) - 1, level - 1, -1):
            ratio = (counts[j] / counts[j - level]) ** 2
            table[j] = {c: table[j][c] + (table[j][c] - table[j - 1][c]) / (ratio - 1) for c in z}
    return table[-1]


def ode_error(problem: Problem, word: str, highest: int) -> dict[int, dict[str, Any]]:
    """Coefficients of h^1..h^highest of exact minus scheme, vectors by component."""
    run = Run.start(problem, word)
    true = exact_flow(problem, run.z)
    run.step(word)
    by_component = {
        c: coefficients((true[c] - run.z[c])[:, 0], problem.radius, highest)
        for c in problem.components
    }
    return {k: {c: v[k] for c, v in by_component.items()} for k in range(1, highest + 1)}


def generator(problem: Problem) -> Callable[[sp.Expr], sp.Expr]:
    """L f = f_t + grad f . drift + 1/2 tr(D Hess f) in coordinates, with f_t = -df/dtau."""
    p, tau = problem, sp.Symbol("tau")
    beta = sum(sp.Float(c, 20) * tau**k for k, c in enumerate(p.beta.coef))
    z = {c: np.array(row, dtype=object) for c, row in zip(p.components, p.symbols, strict=True)}
    s = {c: np.array(list(p.scores[n]), dtype=object) for c, n in SCORES[p.model].items()}
    f = drift(p, z, s)
    noise = dict(zip(p.components, strength(p), strict=True))

    def apply(phi: sp.Expr) -> sp.Expr:
        total = -sp.diff(phi, tau)
        for c, row in zip(p.components, p.symbols, strict=True):
            for i, v in enumerate(row):
                second = sp.diff(phi, v, 2, simplify=False)
                total += beta * (f[c][i] * sp.diff(phi, v) + noise[c] / 2 * second)
        return total

    return apply


@cache
def ito_taylor(problem: Problem, phi: sp.Expr, highest: int) -> list[Callable[..., Any]]:
    """phi, L phi, ..., L^highest phi as functions of the coordinates and tau."""
    arguments = [*(s for row in problem.symbols for s in row), sp.Symbol("tau")]
    apply, terms = generator(problem), [phi]
    for _ in range(highest):
        terms.append(apply(terms[-1]))
    return [sp.lambdify(arguments, term, "numpy") for term in terms]


def weak_error(
    problem: Problem, word: str, phi: sp.Expr, highest: int = 2, nodes: int = 3
) -> list[float]:
    """Coefficients of h^0..h^highest of E phi(exact) - E phi(scheme); phi in the coordinates."""
    p = problem
    run = Run.start(p, word, nodes)

    def mean(function: Callable[..., Any]) -> Any:
        flat = [run.z[c][..., i] for c in p.components for i in range(p.d)]
        return run.average(np.broadcast_to(function(*flat, p.tau), flat[0].shape))

    terms = ito_taylor(p, phi, highest)
    true = sum(p.h[:, 0, 0] ** k / factorial(k) * mean(term) for k, term in enumerate(terms))
    run.step(word)
    return [float(v) for v in coefficients(true - mean(terms[0]), p.radius, highest)]
