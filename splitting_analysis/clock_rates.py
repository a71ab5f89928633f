"""Rates at a point: beta, what fades beside it, and their derivatives, per unit of the clock in
which a step is one.

Where that clock is not tau, h is a step's length in it, and what formulas call a derivative in tau
is one in the reading that grows with forward time: log sigma, rho, or minus lambda (theory section
9).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import sympy

from splitting_analysis.families import FAMILIES
from splitting_analysis.schemes import Scheme
from splitting_analysis.symbols import rows

DIGITS = 30
TAU = sympy.Symbol("tau")


@dataclass(frozen=True)
class Rates:
    """Expressions in forward time `TAU`, the first two per unit of tau.

    beta    the rate of the clock
    fading  at which data fade beside it, 0 for models in which that is a multiple of beta
    pace    dtau/du of the clock's reading u that grows with forward time
    """

    beta: sympy.Expr
    fading: sympy.Expr
    pace: sympy.Expr

    def slope(self, expression: sympy.Expr) -> sympy.Expr:
        """The derivative in the clock."""
        return self.pace * sympy.diff(expression, TAU)


def rates_of(scheme: Scheme, values: Mapping[str, float]) -> Rates:
    """Those of a scheme at the parameters that `values` have. Raises ValueError for parameters that
    are none of the process.
    """
    zero, one = sympy.Integer(0), sympy.Integer(1)
    if not scheme.model.time_dependent:
        return Rates(one, zero, one)
    kind = FAMILIES[scheme.model_name].process
    if scheme.in_clock == "tau" and "beta_min" in values:
        low, high, end = (sympy.Float(values[key], DIGITS) for key in ("beta_min", "beta_max", "T"))
        return Rates(low + TAU * ((high - low) / end), zero, one)
    exact = {f.name: sympy.Float(values[f.name], DIGITS) for f in fields(kind) if f.name in values}
    process: Any = kind(**exact)
    fades = process.fading(TAU) if scheme.model.drift.fading else zero
    return Rates(process.beta(TAU), fades, _pace(scheme, process))


def _pace(scheme: Scheme, process: Any) -> Any:
    # (log sigma)' = g^2/(2 sigma^2) - fading, and -lambda' = g^2/(2 sigma^2)
    sigma, falls = process.sigma(TAU), process.beta(TAU) / (2 * process.sigma(TAU) ** 2)
    match scheme.in_clock:
        case "tau":
            return sympy.Integer(1)
        case "lambda":
            return 1 / falls
        case "sigma":
            return 1 / (falls - process.fading(TAU))
        case _:
            return process.alpha(TAU) / (sigma * falls)


def rates_at(rates: Rates, tau: float, count: int = 4) -> dict[str, float]:
    """beta, dbeta, d2beta, ... at forward time `tau`, as many as `count`, and r, dr, ... where data
    fade, each as a float; nan or inf where there is no number.
    """
    named = {"clock": rates.beta, "fading": rates.fading}
    if not rates.fading:
        del named["fading"]
    found: dict[str, float] = {}
    for kind, rate in named.items():
        names = [row.value for row in rows(kind) if row.power == 1][:count]  # type: ignore[arg-type]
        found |= dict(zip(names, _slopes(rates, rate, tau, len(names)), strict=True))
    return found


@cache
def _slopes(rates: Rates, rate: sympy.Expr, tau: float, count: int) -> tuple[float, ...]:
    at, found = {TAU: sympy.Float(tau, DIGITS)}, []
    expression: Any = rates.pace * rate
    for _ in range(count):
        value = sympy.N(expression.subs(at), 25)
        found.append(float(value) if value.is_real else float("nan"))
        expression = rates.slope(expression)
    return tuple(found)
