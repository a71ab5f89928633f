"""What `splitting-analysis derive` prints: the local error of a scheme, as formulas or as numbers."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import sympy

from reports.expressions import parse_expression, parse_settings
from reports.lookup import check_lambda_s, resolve
from splitting_analysis.algebra import algebra
from splitting_analysis.formulas import keys_of, spell_error, to_json
from splitting_analysis.local_error import LocalError, at_lambda_one, local_error, order_of
from splitting_analysis.numbers import (
    Point,
    beta_parameters,
    error_numbers,
    evaluate,
    sympy_field,
    vector_field,
)
from splitting_analysis.scheme import LambdaS, Scheme
from splitting_analysis.strong import strong_error
from splitting_analysis.styles import STYLES

LEGEND = (
    "error = exact - scheme after one step from the same state; beta, its derivatives and the score "
    "are taken at forward time tau = T - t.\n"
    "d_c s[v] (∂_c s[v]): Jacobian of s in c applied to v; Δ_c s: sum of second derivatives over "
    "coordinates; ∂_τ s: derivative in tau.\nxx, xm, mm: second moments of the increment "
    "(matrices; on xx and mm their symmetric part)."
)
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


def formulas(
    text: str, model: str | None, dynamics: str | None, order: int | None, minus: str | None,
    style: str, lambda_s: str | None,
) -> str:  # fmt: skip
    """The formulas as text to print. Raises ValueError for anything it refuses."""
    if style not in (*STYLES, "json"):
        raise ValueError(f"no format {style!r}; there are: {', '.join([*STYLES, 'json'])}")
    if order is not None and not 1 <= order <= 6:
        raise ValueError(f"--order {order}: choose 1 to 6, the highest power of h to derive")
    schemes = _resolved(text, minus, model, dynamics)
    value = None if lambda_s is None else _lambda(lambda_s)
    if value is not None:
        check_lambda_s("--lambda-s", *schemes)
        schemes = [replace(s, lambda_s=LambdaS(s.lambda_s.rule, value)) for s in schemes]
    scheme = schemes[0]
    errors = [local_error(s, order) for s in schemes]
    if minus is not None:
        errors = [errors[0] - errors[1]]
    elif scheme.dynamics == "sde":
        errors.append(_fixed(strong_error(scheme), value))
        if scheme.has_tunable_noise and value is None:
            errors.append(strong_error(at_lambda_one(scheme)))
    if style == "json":
        return json.dumps([to_json(error) for error in errors], indent=1, ensure_ascii=False)
    lines = [] if style != "text" else _heading(scheme, minus, value)
    for i, error in enumerate(errors):
        lines += _formulas(error, style, " at lambda_s = 1" if i == 2 else "")
    return "\n".join(lines + (["", LEGEND] if style == "text" else []))


def _resolved(text: str, minus: str | None, model: str | None, dynamics: str | None) -> list[Scheme]:
    """The scheme, and the one whose error is subtracted, if any."""
    scheme = resolve(text, model, dynamics)
    return [scheme] if minus is None else [scheme, resolve(minus, scheme.model_name, dynamics)]


def _lambda(text: str) -> Fraction:
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"--lambda-s {text}: a number such as 1, 1.25 or 5/4") from None
    if value < 0:
        raise ValueError(f"--lambda-s {text}: lambda_s scales a variance, so it is >= 0")
    return value


def _fixed(error: LocalError, value: Fraction | None) -> LocalError:
    """The error at that lambda_s; its root stays a symbol where it is not rational."""
    if value is None:
        return error
    ring = algebra()
    known = [(ring.lambda_s, value)]
    root = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
    if root**2 == value:
        known.append((ring.root_lambda, root))
    terms = {
        power: {
            key: {tree: c for tree, full in combination.items() if (c := full.subs(known))}
            for key, combination in by_key.items()
        }
        for power, by_key in error.terms.items()
    }
    return replace(error, terms=terms)


def _heading(scheme: Scheme, minus: str | None, value: Fraction | None) -> list[str]:
    kind = "reverse SDE" if scheme.dynamics == "sde" else "probability-flow ODE"
    if scheme.model_name == "langevin":
        kind = "kinetic Langevin" if scheme.dynamics == "sde" else "Hamiltonian flow"
    title = f"{scheme.name} = {scheme.word}" if scheme.name != str(scheme.word) else scheme.name
    evaluations = f"{scheme.word.nfe} score evaluation{'s' if scheme.word.nfe > 1 else ''}"
    lines = [f"{title}  ({scheme.model_name}, {kind}, {evaluations} per step)"]
    if scheme.source.citation != "user":
        lines.append(f"source: {scheme.source.citation}, {scheme.source.place}".rstrip(", "))
    if scheme.source.erratum:
        lines.append(f"note: {scheme.source.erratum}")
    at = "" if value is None else f" at lambda_s = {value}"
    if minus is not None:
        return [*lines, f"error minus the error of {minus}{at}"]
    weak = "weak " if scheme.dynamics == "sde" else ""
    if scheme.has_tunable_noise and value is None:
        at = " at lambda_s = 1"
    claimed = "claimed" if value in (None, 1) else "claimed at lambda_s = 1"
    claim = "" if scheme.order is None else f" ({claimed}: {scheme.order})"
    return [*lines, f"{weak}order{at}: {order_of(scheme)}{claim}"]


def _formulas(error: LocalError, style: str, note: str) -> list[str]:
    names = {"ode": "local error", "weak": "weak local error", "strong": "mean-square local error"}
    lines = []
    for power in error.terms:
        if not any(error.terms[power].get(key) for key in keys_of(error, power)):
            if style == "text" and error.leading is not None and error.leading >= power:
                lines += ["", f"{names[error.kind]}{note}, h^{power}: 0"]
            continue
        if style == "text":
            lines += ["", f"{names[error.kind]}{note}, coefficient of h^{power}:"]
        for key in keys_of(error, power):
            formula = spell_error(error, power, key, STYLES[style])
            if style == "text":
                lines.append(f"  {key:>2}: {formula}")
            elif style == "latex":
                lines.append(f"% {names[error.kind]}{note}, h^{power}, {key}\n{formula}")
            else:
                lines.append(f"<!-- {names[error.kind]}{note}, h^{power}, {key} -->")
                lines.append(f'<math display="block">{formula}</math>')
    if not lines:
        lines = ["no difference at the powers of h derived"]
    return lines


def numbers(
    text: str, model: str | None, dynamics: str | None, order: int | None, minus: str | None,
    scores: tuple[str | None, str | None], at: str,
) -> dict[str, Any]:  # fmt: skip
    """The coefficients at one state, for score expressions in the state and forward time tau."""
    schemes = _resolved(text, minus, model, dynamics)
    scheme = schemes[0]
    values = _values(schemes, at)
    point = _field_point(scheme, values, _score_expressions(scheme, scores))
    if any(s.word.is_runge_kutta for s in schemes):
        if minus is not None:
            raise ValueError("--minus with --at is for splittings, not for Runge-Kutta words")
        return _runge_kutta_numbers(scheme, values, order, scores)
    errors = [local_error(s, order) for s in schemes]
    error = errors[0] if minus is None else errors[0] - errors[1]
    suffix = "_weak" if scheme.dynamics == "sde" else ""
    result: dict[str, Any] = {
        "scheme": error.name, "word": str(scheme.word), "dynamics": scheme.dynamics,
        "model": scheme.model_name, "at": values,
    }  # fmt: skip
    for power, by_key in error_numbers(error, point).items():
        if power > 1 or any(by_key.values()):
            result[f"h{power}{suffix}"] = by_key
    if scheme.dynamics == "sde" and minus is None:
        strong = strong_error(at_lambda_one(scheme) if values.get("lambda_s") == 1 else scheme)
        for power, by_key in error_numbers(strong, point).items():
            result[f"h{power}_strong"] = by_key
    return result


def _values(schemes: list[Scheme], at: str) -> dict[str, float]:
    """All values of --at, defaults filled in, time given as t or tau, M by critical damping."""
    name, model = schemes[0].model_name, schemes[0].model
    allowed = (*DEFAULTS[name], *OPTIONAL[name], *model.components)
    given = parse_settings(at, allowed)
    values: dict[str, float] = {**DEFAULTS[name], **given, **_lambda_at(schemes, given)}
    if "beta" in given and ({"beta_min", "beta_max"} & set(given)):
        raise ValueError("--at: give beta (constant), or beta_min and beta_max, not both")
    if ("beta_min" in given) != ("beta_max" in given):
        raise ValueError("--at: beta_min and beta_max go together")
    if "beta" in given or ("beta_min" not in given and "beta" in values):
        values["beta_min"] = values["beta_max"] = values["beta"]
    if values.get("beta_min", 0) < 0 or values.get("beta_max", 0) < 0:
        raise ValueError("--at: beta must not be negative")
    needed = [c for c in model.components if c not in values]
    if model.time_dependent and not ({"t", "tau"} & set(given)):
        needed.append("t (reverse time; or tau = T - t)")
    if needed:
        raise ValueError(f"--at: missing {', '.join(needed)}")
    if {"t", "tau"} <= set(given):
        raise ValueError("--at: give t (reverse time) or tau = T - t, not both")
    if model.time_dependent:
        values["tau"] = given.get("tau", values["T"] - given.get("t", 0.0))
        values["t"] = given.get("t", values["T"] - values["tau"])
        if not 0 <= values["tau"] <= values["T"]:
            raise ValueError(f"--at: tau = {values['tau']} lies outside [0, T = {values['T']}]")
        values |= beta_parameters(_beta(values), values["tau"])
    if name == "psld":
        if values["Gamma"] < 0 or values["nu"] < 0 or values["Gamma"] == values["nu"]:
            raise ValueError("--at: Gamma and nu must be >= 0 and differ (critical damping)")
        values.setdefault("M", 4 / (values["Gamma"] - values["nu"]) ** 2)
    return values


def _lambda_at(schemes: list[Scheme], given: dict[str, float]) -> dict[str, float]:
    """lambda_s as given, or 1, where it acts."""
    if "lambda_s" in given:
        check_lambda_s("--at lambda_s", *schemes)
        if given["lambda_s"] < 0:
            raise ValueError("--at: lambda_s scales a variance, so it is >= 0")
    acts = any(scheme.has_tunable_noise for scheme in schemes)
    return {"lambda_s": given.get("lambda_s", 1.0)} if acts else {}


def _beta(values: dict[str, float]) -> sympy.Expr:
    low, high = values["beta_min"], values["beta_max"]
    return low + sympy.Symbol("tau") * (high - low) / values["T"]


def _score_expressions(scheme: Scheme, scores: tuple[str | None, str | None]) -> dict[str, sympy.Expr]:
    """Score name -> expression. --score-x is the position's score, --score-m the momentum's."""
    names = [*scheme.model.score_arguments, *(["tau"] if scheme.model.time_dependent else [])]
    given = [s for s in scores if s is not None]
    wanted = [name for name in scheme.model.scores if name]
    if len(given) != len(wanted):
        need = "--score-x and --score-m" if len(wanted) == 2 else "--score-x alone"
        raise ValueError(f"model {scheme.model_name} has {len(wanted)} score(s): give {need}")
    return {n: parse_expression(s, names) for n, s in zip(wanted, given, strict=True)}


def _field_point(scheme: Scheme, values: dict[str, float], expressions: dict[str, sympy.Expr]) -> Point:
    where = {c: values[c] for c in scheme.model.components}
    field = sympy_field(expressions, {**where, "tau": values.get("tau", 0.0)})
    return Point(where, field, values)


def _runge_kutta_numbers(
    scheme: Scheme, values: dict[str, float], order: int | None, scores: tuple[str | None, str | None]
) -> dict[str, Any]:
    """A Runge-Kutta word's error at a point: trees of the full drift, tau as one more variable."""
    expressions = _score_expressions(scheme, scores)
    model = scheme.model
    p = SimpleNamespace(
        half=sympy.Rational(1, 2), iM=1 / values.get("M", 1.0),
        **{k: v for k, v in values.items() if k in ("Gamma", "nu", "M", "gamma")},
    )  # fmt: skip
    rate = _beta(values) if model.time_dependent else sympy.Integer(1)
    state = [sympy.Symbol(c) for c in model.components]
    drift = [
        rate * (sum(entry * z for entry, z in zip(row, state, strict=True))
                + weight * expressions.get(name, 0))
        for row, weight, name in zip(model.drift.linear(p), model.drift.score(p), model.scores, strict=True)
    ]  # fmt: skip
    names = [*model.components, "tau"]
    here = {c: values.get(c, 0.0) for c in names}
    point = Point({}, vector_field([*drift, sympy.Integer(-1)], here, names), {})
    error = local_error(scheme, order)
    result: dict[str, Any] = {
        "scheme": scheme.name, "word": str(scheme.word), "dynamics": scheme.dynamics,
        "model": scheme.model_name, "at": values,
    }  # fmt: skip
    for power in list(error.terms)[1:]:
        vector = evaluate(error.terms[power]["z"], point)
        result[f"h{power}"] = {c: float(vector[i]) if vector else 0.0 for i, c in enumerate(model.components)}
    return result
