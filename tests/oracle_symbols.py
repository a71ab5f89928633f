"""The straightforward derivation: PSLD's ODE samplers as printed, differentiated by SymPy in h.

One dimension, abstract functions s^x, s^m of (x, m, tau) and beta of tau. Nothing of the package is
imported; the benchmark measures the package against this.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

x, m, h = sp.symbols("x m h")
tau = sp.Symbol("tau")
Gamma, nu, M = sp.symbols("Gamma nu M", positive=True)
FUNCTIONS = {"sx": sp.Function("s^x"), "sm": sp.Function("s^m")}
sx, sm, beta = FUNCTIONS["sx"], FUNCTIONS["sm"], sp.Function("beta")


def _a(z: Any, s: Any, c: Any = 1) -> Any:
    return z[0] + c * h * beta(tau) / 2 * (Gamma * z[0] - z[1] / M + Gamma * s[0]), z[1]


def _b(z: Any, s: Any, c: Any = 1) -> Any:
    return z[0], z[1] + c * h * beta(tau) / 2 * (z[0] + nu * z[1] + M * nu * s[1])


def _s(z: Any, t: Any = tau) -> Any:
    return sx(*z, t), sm(*z, t)


def euler(z: Any) -> Any:
    s = _s(z)
    return _a(z, s)[0], _b(z, s)[1]


def nse(z: Any) -> Any:
    z = _b(z, _s(z))
    return _a(z, _s(z))


def rse(z: Any) -> Any:
    s = _s(z)
    return _a(_b(z, s), s)


def nvv(z: Any) -> Any:
    z = _b(z, _s(z), sp.Rational(1, 2))
    z = _a(z, _s(z))
    return _b(z, _s(z), sp.Rational(1, 2))


def rvv(z: Any) -> Any:
    s = _s(z)
    z = _a(_b(z, s, sp.Rational(1, 2)), s)
    return _b(z, _s(z, tau - h), sp.Rational(1, 2))


SAMPLERS = {"Euler": euler, "NSE": nse, "RSE": rse, "NVV": nvv, "RVV": rvv}


def exact(order: int) -> list[tuple[Any, Any]]:
    """Taylor coefficients of the probability flow in h, by the chain rule along the flow."""
    drift = (
        beta(tau) / 2 * (Gamma * x - m / M + Gamma * sx(x, m, tau)),
        beta(tau) / 2 * (x + nu * m + M * nu * sm(x, m, tau)),
    )

    def along(f: Any) -> Any:
        return sp.diff(f, x) * drift[0] + sp.diff(f, m) * drift[1] - sp.diff(f, tau)

    terms: list[tuple[Any, Any]] = [(x, m)]
    for k in range(1, order + 1):
        terms.append((along(terms[-1][0]) / k, along(terms[-1][1]) / k))
    return terms


def local_error(name: str, order: int) -> dict[int, dict[str, Any]]:
    """Coefficients of h^1..h^order of exact minus scheme, by component."""
    result = {}
    step, true = SAMPLERS[name]((x, m)), exact(order)
    for k in range(1, order + 1):
        step = tuple(sp.diff(component, h) / k for component in step)
        scheme = [component.subs(h, 0).doit() for component in step]
        result[k] = {c: sp.expand(true[k][i] - scheme[i]) for i, c in enumerate("xm")}
    return result


def field(name: str, j: int, directions: Any) -> Any:
    """Derivatives of the abstract score along directions, for closed forms to be spelled with."""
    value = FUNCTIONS[name](x, m, tau)
    for c, _ in directions:
        value = sp.diff(value, {"x": x, "m": m}[c])
    value = sp.diff(value, tau, j)
    for _, direction in directions:
        value *= direction
    return value


PARAMETERS = {"Gamma": Gamma, "nu": nu, "M": M} | {
    name: sp.diff(beta(tau), tau, k) for k, name in enumerate(("beta", "dbeta", "d2beta"))
}
