"""How fast the data prediction changes where PSLD's data are held, on Gaussian data, in symbols.

What is known of x_0 from z is S = mu^T Sigma^-1 z = w . y with y = R^-1 z and w = R^-1 mu, and
|w|^2 = q is the signal-to-noise ratio of position and momentum together: on data N(0, v) the
prediction is P = v S / (1 + v q). The deterministic step that holds it follows y' = w' P exactly,
so that its error is made of P', P'', ... alone. A factor R is the direction of w, which turns by
omega.
"""

from __future__ import annotations

from functools import cache

import sympy

V, Q = sympy.symbols("v q", positive=True)
RATE, OMEGA, P, N = sympy.symbols("r omega P N", real=True)
"""The rate of log q and the angular velocity of w, in the clock; the prediction; the part of y
across w, which is standard normal."""


@cache
def prediction_slope() -> sympy.Expr:
    """P' along the flow, in v, q, r = q'/q, omega, P and N, derived."""
    a, b, y1, y2 = sympy.symbols("a b y1 y2", real=True)
    w, turned = (sympy.sqrt(Q) * a, sympy.sqrt(Q) * b), (-b, a)  # a^2 + b^2 = 1
    rates = {Q: RATE * Q, a: -OMEGA * b, b: OMEGA * a}

    def slope(of: sympy.Expr) -> sympy.Expr:
        return sum(sympy.diff(of, own) * rate for own, rate in rates.items())

    rates |= {own: slope(part) * P for own, part in zip((y1, y2), w, strict=True)}
    found = slope(V * (w[0] * y1 + w[1] * y2) / (1 + V * Q))
    # y by what it is along w, which P tells, and across
    size = P * (1 + V * Q) / (V * sympy.sqrt(Q))
    state = {own: size * u + N * v for own, u, v in zip((y1, y2), (a, b), turned, strict=True)}
    found = sympy.expand(sympy.expand(found.subs(state)).subs(b, sympy.sqrt(1 - a**2)))
    return sum(own * sympy.factor(sympy.diff(found, own)) for own in (P, N))
