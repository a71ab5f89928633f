"""What `splitting-analysis derive` prints: the local error of a scheme, as formulas or as numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache, partial
from itertools import islice, product
from typing import Any

import mpmath
import sympy

from reports.commands.at_option import rate, values_at
from reports.commands.expressions import parse_expression
from reports.commands.legend import legend
from reports.commands.lookup import check_lambda_s
from reports.commands.terminal import json_text
from splitting_analysis.errors import LocalError, keys_of, spell_error, to_json
from splitting_analysis.lookup import as_scheme
from splitting_analysis.notation import read_number
from splitting_analysis.numbers import Directions, Point, evaluate
from splitting_analysis.schemes import LambdaS, Scheme
from splitting_analysis.strong import strong_error
from splitting_analysis.styles import STYLES
from splitting_analysis.symbols import namespace, rows
from splitting_analysis.weak import (
    at_lambda_one,
    error_difference,
    local_error,
    order_in_words,
)

DIGITS = 30
"""In which coefficients are evaluated, before they become a float64."""
MAX_SIZE = 10_000
"""Nodes of a score's derivative that is differentiated once more: beyond it, minutes go by."""
SECONDS = {
    ("psld", "sde"): (4, 8, 18), ("psld", "ode"): (5, 18, 10), ("vp", "sde"): (6, 20, 9),
    ("vp", "ode"): (8, 16, 4), ("langevin", "sde"): (6, 4, 10), ("langevin", "ode"): (10, 1, 2),
}  # fmt: skip
"""Measured: the highest order that the formulas of a short word reach within half a minute of CPU,
the seconds that takes, and by how much the next order takes longer (and is longer to read)."""
RUNGE_KUTTA = (10, 20, 3)
BEYOND = 2
"""How many further orders --long allows."""
LARGEST_LAMBDA = 10**6
"""Of --lambda-s, and the smallest but 0 is its inverse: beyond, formulas are pages of digits."""
MAX_TIMED = 8
"""The closed forms hold derivatives of beta for that power of h."""


def check_order(order: int | None, schemes: list[Scheme], long: bool) -> None:
    """Raise ValueError for an order that there is not, or that takes long and was not confirmed."""
    if order is None:
        return
    limits = [
        RUNGE_KUTTA if s.word.is_runge_kutta else SECONDS[s.model_name, s.dynamics] for s in schemes
    ]
    quick, seconds, growth = min(limits)
    timed = any(s.model.time_dependent and not s.word.is_runge_kutta for s in schemes)
    highest = min(quick + BEYOND, MAX_TIMED if timed else quick + BEYOND)
    if not 1 <= order <= highest:
        more = f", above {quick} with --long" if highest > quick else ""
        raise ValueError(f"--order {order}: choose 1 to {highest}{more}, the highest power of h to derive")
    if order > quick and not long:
        minutes = max(1, round(seconds * growth ** (order - quick) / 60))
        raise ValueError(
            f"--order {order}: the formulas of {schemes[0].model_name} ({schemes[0].dynamics}) at "
            f"h^{order} take about {minutes} minute{'s' if minutes > 1 else ''}, and each order is about "
            f"{growth} times as long to read as the one before; --order {quick} takes seconds, --long "
            "derives it all the same"
        )


def formulas(
    text: str, model: str | None, dynamics: str | None, order: int | None, minus: str | None,
    style: str, lambda_s: str | None, long: bool = False, say: Callable[[str], None] = print,
) -> str:  # fmt: skip
    """The formulas as text to print; `say` is told what is being done.

    Raises ValueError for anything it refuses.
    """
    if style not in (*STYLES, "json"):
        raise ValueError(f"no format {style!a}; there are: {', '.join([*STYLES, 'json'])}")
    schemes = resolved(text, minus, model, dynamics)
    check_order(order, schemes, long)
    value = None if lambda_s is None else _lambda(lambda_s)
    if value is not None:
        check_lambda_s("--lambda-s", *schemes)
        schemes = [replace(s, lambda_s=LambdaS(s.lambda_s.rule, value)) for s in schemes]
    scheme = schemes[0]
    errors = [_derived(schemes, order, say)]
    if minus is None and scheme.dynamics == "sde":
        errors.append(strong_error(scheme))
        if scheme.has_tunable_noise and value is None:
            errors.append(strong_error(at_lambda_one(scheme)))
    if style == "json":
        say("writing the formulas")
        return json_text([to_json(error) for error in errors])
    say("determining the order")
    lines = [] if style != "text" else _heading(scheme, minus, value)
    spelled: list[tuple[str, str]] = []
    for i, error in enumerate(errors):
        lines += _formulas(error, style, " at lambda_s = 1" if i == 2 else "", spelled, say)
    return "\n".join(lines + (["", *legend(spelled, scheme)] if style == "text" else []))


def _derived(schemes: list[Scheme], order: int | None, say: Callable[[str], None]) -> LocalError:
    """The error of a scheme, or the difference of two."""
    names = " and ".join(scheme.name[:40] for scheme in schemes)
    say(f"deriving the error of {names}" + (f" up to h^{order}" if order else ""))
    if len(schemes) == 1:
        return local_error(schemes[0], order)
    return error_difference(schemes[0], schemes[1], order)


def resolved(text: str, minus: str | None, model: str | None, dynamics: str | None) -> list[Scheme]:
    """The scheme, and the one whose error is subtracted, if any."""
    scheme = as_scheme(text, model, dynamics)
    return [scheme] if minus is None else [scheme, as_scheme(minus, scheme.model_name, dynamics)]


def _lambda(text: str) -> Fraction:
    sizes = f"lambda_s is 0 or from {1 / LARGEST_LAMBDA:g} to {LARGEST_LAMBDA:.0e}"
    try:
        value = read_number(text)
    except ValueError as error:
        raise ValueError(f"--lambda-s: {error}; {sizes}") from None
    if value < 0:
        raise ValueError(f"--lambda-s {text.strip()}: lambda_s scales a variance, so it is >= 0")
    if value and not Fraction(1, LARGEST_LAMBDA) <= value <= LARGEST_LAMBDA:
        raise ValueError(f"--lambda-s {text.strip()}: {sizes}")
    return value


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
    return [*lines, f"{weak}order{at}: {order_in_words(scheme)}{claim}"]


def _formulas(
    error: LocalError, style: str, note: str, spelled: list[tuple[str, str]], say: Callable[[str], None]
) -> list[str]:
    """The lines for an error; (key, formula) of every formula is added to `spelled`."""
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
            say(f"writing the coefficient of h^{power}, {key}")
            formula = spell_error(error, power, key, STYLES[style])
            spelled.append((key, formula))
            if style == "text":
                lines.append(f"  {key:>2}: {formula}")
            elif style == "latex":
                lines.append(f"% {names[error.kind]}{note}, h^{power}, {key}\n{formula}")
            else:
                lines.append(f"<!-- {names[error.kind]}{note}, h^{power}, {key} -->")
                lines.append(f'<math display="block">{formula}</math>')
    if not lines:
        lines = ["", f"no difference through h^{max(error.terms)}"]
    return lines


def numbers(
    text: str, model: str | None, dynamics: str | None, order: int | None, minus: str | None,
    scores: tuple[str | None, str | None], at: str, long: bool = False, say: Callable[[str], None] = print,
) -> dict[str, Any]:  # fmt: skip
    """The coefficients at one state, for score expressions in the state and forward time tau."""
    schemes = resolved(text, minus, model, dynamics)
    scheme = schemes[0]
    check_order(order, schemes, long)
    values = values_at(schemes, at)
    expressions = _score_expressions(scheme, scores)
    runge_kutta = any(s.word.is_runge_kutta for s in schemes)
    if runge_kutta and minus is not None:
        raise ValueError("--minus with --at is for splittings, not for Runge-Kutta words")
    result: dict[str, Any] = {
        "scheme": scheme.name, "word": str(scheme.word), "dynamics": scheme.dynamics,
        "model": scheme.model_name, "at": values,
    }  # fmt: skip
    for name in expressions:
        _check_value(name, expressions[name], values)
    with mpmath.workdps(DIGITS):
        if runge_kutta:
            return result | _runge_kutta_numbers(scheme, values, _derived(schemes, order, say), expressions)
        error = _derived(schemes, order, say)
        result["scheme"] = error.name
        point = _point(scheme, values, expressions)
        say("evaluating the coefficients")
        suffix = "_weak" if scheme.dynamics == "sde" else ""
        for power, by_key in _numbers(error, point, values).items():
            if power > 1 or any(by_key.values()):
                result[f"h{power}{suffix}"] = by_key
        if scheme.dynamics == "sde" and minus is None:
            strong = strong_error(at_lambda_one(scheme) if values.get("lambda_s") == 1 else scheme)
            for power, by_key in _numbers(strong, point, values).items():
                result[f"h{power}_strong"] = by_key
    return result


def _numbers(error: LocalError, point: Point, values: dict[str, float]) -> dict[int, dict[str, float]]:
    """All coefficients as floats, by power of h and key; refused where one is no float64."""
    return {
        power: {
            key: _finite(f"the coefficient of h^{power}, {key}", values, partial(evaluate, terms[key], point))
            for key in keys_of(error, power)
        }
        for power, terms in error.terms.items()
    }


def _finite(what: str, values: dict[str, float], number: Callable[[], Any]) -> float:
    """The number that is computed, as a float; `what` it is and where is said if it is none."""
    try:
        value = float(number())
    except ZeroDivisionError:
        if not values.get("beta", 1.0):
            raise ValueError(
                f"{what} divides by beta, which is 0 at tau = {values['tau']:g}: "
                "choose another time, or beta_min > 0"
            ) from None
        value = math.nan
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ValueError(f"{what} overflows: it lies outside float64 at {place(values)}")
    return value


def _check_value(name: str, expression: sympy.Expr, values: dict[str, float]) -> None:
    """Refuse a score whose value at the point is no float64, before it is differentiated."""
    here = {s: values[str(s)] for s in sorted(expression.free_symbols, key=str)}
    shown = f"the score {name} = {str(expression)[:60]}"
    try:
        value = float(sympy.lambdify(list(here), expression, "math")(*here.values()))
    except OverflowError:
        value = math.inf
    except (ValueError, ZeroDivisionError, TypeError):  # TypeError: of a complex number
        raise ValueError(f"{shown} has no finite value at {place(values)}") from None
    if not math.isfinite(value):
        raise ValueError(f"{shown} overflows: it lies outside float64 at {place(values)}")


def place(values: dict[str, float]) -> str:
    """The point of `values` in words, state and time and the parameters that were chosen."""
    hidden = {"beta_min", "beta_max", "dbeta", "d2beta", "d3beta", "tau", "T"}
    shown = [key for key in values if key not in hidden]
    return ", ".join(f"{key} = {values[key]:g}" for key in shown)


def _score_expressions(scheme: Scheme, scores: tuple[str | None, str | None]) -> dict[str, sympy.Expr]:
    """Score name -> expression. --score-x is the position's score, --score-m the momentum's."""
    names = [*scheme.model.score_arguments, *(["tau"] if scheme.model.time_dependent else [])]
    given = [s for s in scores if s is not None]
    wanted = [name for name in scheme.model.scores if name]
    if len(given) != len(wanted):
        need = "--score-x and --score-m" if len(wanted) == 2 else "--score-x alone"
        raise ValueError(f"model {scheme.model_name} has {len(wanted)} score(s): give {need}")
    return {n: parse_expression(s, names) for n, s in zip(wanted, given, strict=True)}


def _derivatives(
    expressions: dict[str, sympy.Expr], values: dict[str, float]
) -> Callable[[str, tuple[str, ...]], Any]:
    """number(name, variables): the value of an expression differentiated by these, as an mpmath number.

    It raises ValueError for a value that is no float64, and where differentiation takes minutes.
    """
    at = {sympy.Symbol(name): sympy.Float(value, DIGITS) for name, value in values.items()}

    @cache
    def derivative(name: str, by: tuple[str, ...]) -> sympy.Expr:
        if not by:
            return expressions[name]
        before = derivative(name, by[:-1])
        size = sum(1 for _ in islice(sympy.preorder_traversal(before), MAX_SIZE + 1))
        if size > MAX_SIZE:
            raise ValueError(
                f"{_said(name, by[:-1])} has over {MAX_SIZE} terms and is not differentiated further: "
                "a shorter score or a lower --order would do"
            )
        return sympy.diff(before, sympy.Symbol(by[-1]))

    @cache
    def number(name: str, by: tuple[str, ...]) -> Any:
        value = sympy.N(derivative(name, by).subs(at), 25)
        if not value.is_number or not value.is_finite or not value.is_real:
            raise ValueError(f"{_said(name, by)} has no finite value at {place(values)}")
        if not math.isfinite(float(value)):
            raise ValueError(f"{_said(name, by)} overflows: it lies outside float64 at {place(values)}")
        return mpmath.mpf(str(value))

    return number


def _said(name: str, by: tuple[str, ...]) -> str:
    what = f"the score {name}" if name.startswith("s") else f"the drift of {name[1:]}"
    return f"the derivative of {what} by {', '.join(by)}" if by else what


def _point(scheme: Scheme, values: dict[str, float], expressions: dict[str, sympy.Expr]) -> Point:
    """Where to evaluate, in mpmath's numbers: nothing overflows on the way to a float64 result."""
    number = _derivatives(expressions, values)

    def field(name: str, j: int, directions: Directions) -> Any:
        value = number(name, ("tau",) * j + tuple(sorted(c for c, _ in directions)))
        for _, direction in directions:
            value = value * direction
        return value

    exact = {key: mpmath.mpf(value) for key, value in values.items()}
    return Point({c: exact[c] for c in scheme.model.components}, field, exact)


def _runge_kutta_numbers(
    scheme: Scheme, values: dict[str, float], error: LocalError, expressions: dict[str, sympy.Expr]
) -> dict[str, Any]:
    """A Runge-Kutta word's error at a point: trees of the full drift, tau as one more variable."""
    model = scheme.model
    numbers = {key: sympy.Float(value, DIGITS) for key, value in values.items()}
    given = {row.value: sympy.Integer(1) for row in rows("parameter")} | numbers  # 1: not in its drift
    parameters = {row.name: row.at(given) for row in rows("parameter")}
    p = namespace(sympy.Rational(1, 2), parameters)
    clock = rate(values) if model.time_dependent else sympy.Integer(1)
    state = [sympy.Symbol(c) for c in model.components]
    drift = {
        f"f{c}": clock * (sum(entry * z for entry, z in zip(row, state, strict=True))
                          + weight * expressions.get(name, 0))
        for c, row, weight, name in zip(
            model.components, model.drift.linear(p), model.drift.score(p), model.scores, strict=True
        )
    }  # fmt: skip
    names = [*model.components, "tau"]
    number = _derivatives({**drift, "ftau": sympy.Integer(-1)}, values)

    def field(_: str, __: int, directions: Directions) -> Any:
        """The derivative of the drift along the directions, vectors over `names`."""
        entries = [mpmath.mpf(0)] * len(names)
        for choice in product(range(len(names)), repeat=len(directions)):
            weight = mpmath.mpf(1)
            for index, (_, direction) in zip(choice, directions, strict=True):
                weight *= direction[index]
            if weight:
                by = tuple(sorted(names[index] for index in choice))
                entries = [e + weight * number(f"f{n}", by) for e, n in zip(entries, names, strict=True)]
        return mpmath.matrix(entries)

    result: dict[str, Any] = {}
    for power in list(error.terms)[1:]:
        combination = error.terms[power]["z"]
        vector = evaluate(combination, Point({}, field, {})) if combination else [0] * len(names)
        result[f"h{power}"] = {
            c: _finite(f"the coefficient of h^{power}, {c}", values, partial(vector.__getitem__, i))
            for i, c in enumerate(model.components)
        }
    return result
