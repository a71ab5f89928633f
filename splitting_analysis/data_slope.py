"""How fast the data prediction changes where PSLD's data are held, on Gaussian data, in symbols.

What is known of x_0 from z is S = mu^T Sigma^-1 z = w . y with y = R^-1 z and w = R^-1 mu, and
|w|^2 = q is the signal-to-noise ratio of position and momentum together: on data N(0, v) the
prediction is P = v S / (1 + v q). The deterministic step that holds it follows y' = w' P exactly,
so that its error is made of P', P'', ... alone. A factor R is the direction of w: it turns by omega.
"""

from __future__ import annotations

from functools import cache

import sympy

LAMBDA = sympy.Symbol("lambda", real=True)
V, Q = sympy.symbols("v q", positive=True)
RATE, OMEGA, P, N = sympy.symbols("r omega P N", real=True)
"""The rate of log q and the angular velocity of w, in the clock; the prediction; the part of y across
w, which is standard normal."""


@cache
def prediction_slope() -> sympy.Expr:
    """P' along the flow, in v, q, r = q'/q, omega, P and N, derived."""
    q, angle = (sympy.Function(name)(LAMBDA) for name in ("q", "phi"))
    y = [sympy.Function(f"y{i}")(LAMBDA) for i in (1, 2)]
    along = [sympy.cos(angle), sympy.sin(angle)]
    w = [sympy.sqrt(q) * part for part in along]
    prediction = V * sum(a * b for a, b in zip(w, y, strict=True)) / (1 + V * q)
    pulls = [sympy.diff(part, LAMBDA) * P for part in w]
    flow = {sympy.diff(own, LAMBDA): pull for own, pull in zip(y, pulls, strict=True)}
    slope = sympy.diff(prediction, LAMBDA).subs(flow)
    # y by what it is along w, which P tells, and across
    size = P * (1 + V * q) / (V * sympy.sqrt(q))
    slope = slope.subs({y[0]: size * along[0] - N * along[1], y[1]: size * along[1] + N * along[0]})
    known = {sympy.diff(q, LAMBDA): RATE * Q, sympy.diff(angle, LAMBDA): OMEGA, q: Q}
    found = slope.subs(known)
    parts = [own * sympy.factor(sympy.simplify(sympy.diff(found, own))) for own in (P, N)]
    if sympy.simplify(found - sum(parts)):
        raise ArithmeticError("the slope is not linear in P and N")
    return sum(parts)
