"""The option --at of `derive`: state, time and parameters as numbers, refused where they mean nothing."""

from __future__ import annotations

import math

import sympy

from reports.commands.expressions import parse_settings
from reports.commands.lookup import check_lambda_s
from splitting_analysis.numbers import beta_parameters
from splitting_analysis.schemes import Scheme

DEFAULTS = {
    "psld": {"Gamma": 0.01, "nu": 4.01, "beta": 8.0, "T": 1.0},
    "vp": {"beta_min": 0.1, "beta_max": 20.0, "T": 1.0},
    "langevin": {"gamma": 1.0},
}
OPTIONAL = {
    "psld": ("lambda_s", "M", "beta_min", "beta_max", "tau", "t"),
    "vp": ("beta", "tau", "t"),
    "langevin": (),
}
POSITIVE = {
    "M": "it is a mass",
    "beta": "with beta = 0 nothing moves",
    "T": "the process runs from tau = 0 to T",
}
NOT_NEGATIVE = {
    "Gamma": "it is a friction, and scales noise",
    "nu": "it is a friction, and scales noise",
    "gamma": "it is a friction, and scales noise",
    "beta_min": "it is the rate of a clock",
    "beta_max": "it is the rate of a clock",
    "lambda_s": "it scales a variance",
}


def values_at(schemes: list[Scheme], at: str) -> dict[str, float]:
    """All values of --at, defaults filled in, time given as t or tau, M by critical damping.

    With them beta, dbeta, d2beta, ... at that time. Raises ValueError for a value that is missing,
    that has no meaning, or that takes a derived one out of float64.
    """
    name, model = schemes[0].model_name, schemes[0].model
    given = parse_settings(at, (*DEFAULTS[name], *OPTIONAL[name], *model.components))
    _check_signs(given)
    values: dict[str, float] = {**DEFAULTS[name], **given, **_lambda_at(schemes, given)}
    needed = [c for c in model.components if c not in values]
    if model.time_dependent and not ({"t", "tau"} & set(given)):
        needed.append("t (reverse time; or tau = T - t)")
    if needed:
        raise ValueError(f"--at: missing {', '.join(needed)}")
    if model.time_dependent:
        _set_clock(values, given)
    if name == "psld":
        if values["Gamma"] == values["nu"]:
            raise ValueError("--at: Gamma and nu must differ (critical damping: 1/M = (Gamma - nu)^2/4)")
        if "M" not in given:
            try:
                values["M"] = 4 / (values["Gamma"] - values["nu"]) ** 2
            except (OverflowError, ZeroDivisionError):
                values["M"] = math.inf
    for key, value in values.items():
        if not math.isfinite(value) or (key == "M" and value == 0):
            raise ValueError(f"--at: {key}, which follows from {_said(given)}, lies outside float64")
    return values


def _exact(value: float) -> str:
    """Short where that is the number, else all its digits: what is refused must be seen."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _said(given: dict[str, float]) -> str:
    return ", ".join(f"{key} = {_exact(value)}" for key, value in given.items())


def _check_signs(given: dict[str, float]) -> None:
    for key, value in given.items():
        if key in POSITIVE and value <= 0:
            raise ValueError(f"--at: {key} = {_exact(value)} must be > 0: {POSITIVE[key]}")
        if key in NOT_NEGATIVE and value < 0:
            raise ValueError(f"--at: {key} = {_exact(value)} must be >= 0: {NOT_NEGATIVE[key]}")


def _set_clock(values: dict[str, float], given: dict[str, float]) -> None:
    """beta and its derivatives at the time given, both times."""
    if "beta" in given and ({"beta_min", "beta_max"} & set(given)):
        raise ValueError("--at: give beta (constant), or beta_min and beta_max, not both")
    if ("beta_min" in given) != ("beta_max" in given):
        raise ValueError("--at: beta_min and beta_max go together")
    if "beta" in given or ("beta_min" not in given and "beta" in values):
        values["beta_min"] = values["beta_max"] = values["beta"]
    if values["beta_min"] == values["beta_max"] == 0:
        raise ValueError(f"--at: beta_max = 0 must be > 0 where beta_min is 0: {POSITIVE['beta']}")
    if {"t", "tau"} <= set(given):
        raise ValueError("--at: give t (reverse time) or tau = T - t, not both")
    values["tau"] = given.get("tau", values["T"] - given.get("t", 0.0))
    values["t"] = given.get("t", values["T"] - values["tau"])
    which = "tau" if "tau" in given else "t"
    if not (0 <= values["tau"] <= values["T"] and 0 <= values[which] <= values["T"]):
        value, end = _exact(values[which]), _exact(values["T"])
        raise ValueError(f"--at: {which} = {value} lies outside [0, T = {end}]")
    values |= beta_parameters(rate(values), values["tau"])


def _lambda_at(schemes: list[Scheme], given: dict[str, float]) -> dict[str, float]:
    """lambda_s as given, or 1, where it acts."""
    if "lambda_s" in given:
        check_lambda_s("--at lambda_s", *schemes)
    acts = any(scheme.has_tunable_noise for scheme in schemes)
    return {"lambda_s": given.get("lambda_s", 1.0)} if acts else {}


def rate(values: dict[str, float]) -> sympy.Expr:
    """beta as an expression in forward time tau."""
    low, high = (sympy.Float(values[key], 30) for key in ("beta_min", "beta_max"))
    return low + sympy.Symbol("tau") * ((high - low) / sympy.Float(values["T"], 30))
