"""A local error as numbers: at a state, a time and parameters, which are refused where they mean
nothing.

The score is given as expressions, and differentiated symbolically; Runge-Kutta words take the trees
of the full drift.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from itertools import islice, product
from typing import Any, TypeAlias

import mpmath
import sympy

from splitting_analysis.clock_rates import Rates, rates_at, rates_of
from splitting_analysis.expressions import did_you_mean, parse_expression
from splitting_analysis.factor_rates import bent_values
from splitting_analysis.families import FAMILIES
from splitting_analysis.lookup import check_lambda_s
from splitting_analysis.notation import read_float
from splitting_analysis.numbers import Directions, Point, evaluate
from splitting_analysis.schemes import Scheme
from splitting_analysis.symbols import namespace, rows
from splitting_analysis.trees import PHI, Combination

Score: TypeAlias = str | float | sympy.Expr
"""A score as it may be given: a text in the state's components and tau, a number, a SymPy
expression.
"""
DIGITS = 30
"""In which coefficients are evaluated, before they become a float64."""
MAX_SIZE = 10_000
"""Nodes of a score's derivative that is differentiated once more: beyond it, minutes go by."""

_OF_CONJUGATES = ("lambda", "kappa")
"""lambda, and the variance at the start of m_0 over M, which is in the factor of eps."""
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
    "kappa": "it scales a variance",
}


def known_values(scheme: Scheme) -> tuple[str, ...]:
    """The keys that a point of a scheme's error may have: state, time and parameters.

    Raises ValueError for a word whose errors are formulas alone.
    """
    if scheme.program.held_piece:
        raise ValueError(
            f"{scheme.name}: its error is one in derivatives of what its pieces hold, a formula "
            "alone: errors become numbers at a point for words with the score"
        )
    family, more = FAMILIES[scheme.model_name], _OF_CONJUGATES if scheme.program.conjugates else ()
    return (*family.point, *family.optional, *scheme.model.components, *more)


def values_at(schemes: Sequence[Scheme], point: Mapping[str, float | str]) -> dict[str, float]:
    """All values at a point, defaults filled in, time given as t or tau, M by critical damping.

    With them beta, dbeta, d2beta, ... at that time. Raises ValueError for a key that there is not,
    a value that is missing, that has no meaning, or that takes a derived one out of float64.
    """
    model = schemes[0].model
    conjugates = [scheme for scheme in schemes if scheme.program.conjugates]
    known = known_values(conjugates[0] if conjugates else schemes[0])
    if "lambda_" in point:  # Python's spelling
        point = {"lambda" if key == "lambda_" else key: value for key, value in point.items()}
    given = {key: _number(key, value, known) for key, value in point.items()}
    _check_signs(given)
    values = {**FAMILIES[schemes[0].model_name].point, **given, **_lambda_at(schemes, given)}
    needed = [c for c in model.components if c not in values]
    if model.time_dependent and not ({"t", "tau"} & set(given)):
        needed.append("t (reverse time; or tau = T - t)")
    if needed:
        raise ValueError(f"missing {', '.join(needed)}")
    if model.time_dependent:
        _set_clock(schemes[0], values, given)
    if "M" in model.parameters:
        if values["Gamma"] == values["nu"]:
            raise ValueError("Gamma and nu must differ (critical damping: 1/M = (Gamma - nu)^2/4)")
        if "M" not in given:
            try:
                values["M"] = 4 / (values["Gamma"] - values["nu"]) ** 2
            except (OverflowError, ZeroDivisionError):
                values["M"] = math.inf
    if conjugates:
        values |= bent_values(conjugates, values)
    for key, value in values.items():
        if not math.isfinite(value) or (key == "M" and value == 0):
            raise ValueError(f"{key}, which follows from {_given(given)}, lies outside float64")
    return values


def _number(key: str, value: Any, known: Sequence[str]) -> float:
    """A value of a point as a float, from a number or a text."""
    if key not in known:
        raise ValueError(
            f"no value {key[:40]!a}{did_you_mean(key, known)}; there are: {', '.join(known)}"
        )
    try:
        number = (
            math.nan
            if isinstance(value, bool)
            else (read_float(value) if isinstance(value, str) else float(value))
        )
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{key} = {str(value)[:40]} is not a finite number")
    return number


def _exact(value: float) -> str:
    """Short where that is the number, else all its digits: what is refused must be seen."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _given(given: dict[str, float]) -> str:
    return ", ".join(f"{key} = {_exact(value)}" for key, value in given.items())


def _check_signs(given: dict[str, float]) -> None:
    for key, value in given.items():
        if key in POSITIVE and value <= 0:
            raise ValueError(f"{key} = {_exact(value)} must be > 0: {POSITIVE[key]}")
        if key in NOT_NEGATIVE and value < 0:
            raise ValueError(f"{key} = {_exact(value)} must be >= 0: {NOT_NEGATIVE[key]}")


def _set_clock(scheme: Scheme, values: dict[str, float], given: dict[str, float]) -> None:
    """beta and its derivatives at the time given, both times; those of r where data fade."""
    if "beta" in given and ({"beta_min", "beta_max"} & set(given)):
        raise ValueError("give beta (constant), or beta_min and beta_max, not both")
    if ("beta_min" in given) != ("beta_max" in given):
        raise ValueError("beta_min and beta_max go together")
    if "beta" in given or ("beta_min" not in given and "beta" in values):
        values["beta_min"] = values["beta_max"] = values["beta"]
    if values.get("beta_min") == values.get("beta_max") == 0:
        raise ValueError(f"beta_max = 0 must be > 0 where beta_min is 0: {POSITIVE['beta']}")
    if {"t", "tau"} <= set(given):
        raise ValueError("give t (reverse time) or tau = T - t, not both")
    values["tau"] = given.get("tau", values["T"] - given.get("t", 0.0))
    values["t"] = given.get("t", values["T"] - values["tau"])
    which = "tau" if "tau" in given else "t"
    if not (0 <= values["tau"] <= values["T"] and 0 <= values[which] <= values["T"]):
        value, end = _exact(values[which]), _exact(values["T"])
        raise ValueError(f"{which} = {value} lies outside [0, T = {end}]")
    if scheme.in_clock != "tau" and values["tau"] == 0:
        raise ValueError(
            f"the clock {scheme.in_clock} has no reading at tau = 0, where sigma is 0: choose "
            "another time, or the clock tau"
        )
    values |= rates_at(rates_of(scheme, values), values["tau"])


def _lambda_at(schemes: Sequence[Scheme], given: dict[str, float]) -> dict[str, float]:
    """lambda_s as given, or 1, where it acts."""
    if "lambda_s" in given:
        check_lambda_s("lambda_s", *schemes)
    acts = any(scheme.has_tunable_noise for scheme in schemes)
    return {"lambda_s": given.get("lambda_s", 1.0)} if acts else {}


Terms = Mapping[int, Mapping[str, Combination]]
"""Of a local error: combinations by power of h and key."""


def coefficients(
    scheme: Scheme, terms: Terms, values: dict[str, float], expressions: dict[str, sympy.Expr]
) -> dict[int, dict[str, float]]:
    """The coefficients of an error at `values_at` a point, by power of h and key, for scores as
    expressions.

    `terms` are those of the error of `scheme`, or of a difference in its model. A Runge-Kutta
    word's begin with h^2. Raises ValueError where one is no float64.
    """
    with mpmath.workdps(DIGITS):
        if scheme.word.is_runge_kutta:
            return _runge_kutta_numbers(scheme, terms, values, expressions)
        point = _point(scheme, values, expressions, max(terms, default=1))
        return {
            power: {
                key: _finite(
                    f"the coefficient of h^{power}, {key}", values, partial(evaluate, c, point)
                )
                for key, c in by_key.items()
                if key != PHI
            }
            for power, by_key in terms.items()
        }


def _finite(what: str, values: dict[str, float], number: Callable[[], Any]) -> float:
    """The number that is computed, as a float; `what` it is and where is said if it is none."""
    try:
        value = float(number())
    except ZeroDivisionError:
        if not values.get("beta", 1.0):
            raise ValueError(
                f"{what} divides by beta, which is 0 at tau = {values['tau']:g}: "
                "choose another time" + ", or beta_min > 0" * ("beta_min" in values)
            ) from None
        value = math.nan
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ValueError(f"{what} overflows: it lies outside float64 at {place(values)}")
    return value


def check_scores(expressions: Mapping[str, sympy.Expr], values: dict[str, float]) -> None:
    """Refuse a score whose value at the point is no float64, before it is differentiated."""
    for name, expression in expressions.items():
        _check_value(name, expression, values)


def _check_value(name: str, expression: sympy.Expr, values: dict[str, float]) -> None:
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
    hidden = {"beta_min", "beta_max", "tau", "T"}
    shown = [key for key in values if key not in hidden and not re.match("d.?(beta|r)$", key)]
    return ", ".join(f"{key} = {values[key]:g}" for key in shown)


def score_expressions(
    scheme: Scheme,
    scores: Sequence[Score | None],
    spelled: tuple[str, str] = ("score_x", "score_m"),
) -> dict[str, sympy.Expr]:
    """Score name -> expression, of the position's score and the momentum's; `spelled` is how they
    are given.

    Raises ValueError for one too many or too few, and for what is no expression in the state and
    tau.
    """
    names = [*scheme.model.score_arguments, *(["tau"] if scheme.model.time_dependent else [])]
    given = [s for s in scores if s is not None]
    wanted = [name for name in scheme.model.scores if name]
    if len(given) != len(wanted):
        need = " and ".join(spelled) if len(wanted) == 2 else f"{spelled[0]} alone"
        raise ValueError(f"model {scheme.model_name} has {len(wanted)} score(s): give {need}")
    return {n: _expression(s, names) for n, s in zip(wanted, given, strict=True)}


def _expression(score: Score, names: Sequence[str]) -> sympy.Expr:
    if not isinstance(score, sympy.Expr):
        return parse_expression(score if isinstance(score, str) else repr(float(score)), names)
    if strange := sorted(map(str, score.free_symbols - {sympy.Symbol(name) for name in names})):
        raise ValueError(
            f"the score {score} has symbols {', '.join(strange)}; known are {', '.join(names)}"
        )
    return score


def _derivatives(
    expressions: dict[str, sympy.Expr], values: dict[str, float], rates: Rates
) -> Callable[[str, tuple[str, ...]], Any]:
    """number(name, variables): the value of an expression differentiated by these, as an mpmath
    number.

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
                f"{_said(name, by[:-1])} has over {MAX_SIZE} terms and is not differentiated "
                "further: a shorter score or a lower --order would do"
            )
        return rates.slope(before) if by[-1] == "tau" else sympy.diff(before, sympy.Symbol(by[-1]))

    @cache
    def number(name: str, by: tuple[str, ...]) -> Any:
        value = sympy.N(derivative(name, by).subs(at), 25)
        if not value.is_number or not value.is_finite or not value.is_real:
            raise ValueError(f"{_said(name, by)} has no finite value at {place(values)}")
        if not math.isfinite(float(value)):
            raise ValueError(
                f"{_said(name, by)} overflows: it lies outside float64 at {place(values)}"
            )
        return mpmath.mpf(str(value))

    return number


def _said(name: str, by: tuple[str, ...]) -> str:
    what = f"the score {name}" if name.startswith("s") else f"the drift of {name[1:]}"
    return f"the derivative of {what} by {', '.join(by)}" if by else what


def _point(
    scheme: Scheme, values: dict[str, float], expressions: dict[str, sympy.Expr], power: int
) -> Point:
    """Where to evaluate terms up to h^power, in mpmath's numbers: nothing overflows on the way to a
    float64 result.
    """
    rates = rates_of(scheme, values)
    number = _derivatives(expressions, values, rates)
    if scheme.model.time_dependent and power > 4:
        values = {**values, **rates_at(rates, values["tau"], power)}

    def field(name: str, j: int, directions: Directions) -> Any:
        value = number(name, ("tau",) * j + tuple(sorted(c for c, _ in directions)))
        for _, direction in directions:
            value = value * direction
        return value

    exact = {key: mpmath.mpf(value) for key, value in values.items()}
    return Point({c: exact[c] for c in scheme.model.components}, field, exact)


def _runge_kutta_numbers(
    scheme: Scheme, terms: Terms, values: dict[str, float], expressions: dict[str, sympy.Expr]
) -> dict[int, dict[str, float]]:
    """A Runge-Kutta word's error at a point: trees of the whole drift and its clock."""
    model = scheme.model
    numbers = {key: sympy.Float(value, DIGITS) for key, value in values.items()}
    # 1: not in its drift
    given = {row.value: sympy.Integer(1) for row in rows("parameter")} | numbers
    parameters = {row.name: row.at(given) for row in rows("parameter")}
    p = namespace(sympy.Rational(1, 2), parameters)
    rates = rates_of(scheme, values)
    state = [sympy.Symbol(c) for c in model.components]
    drift = {
        f"f{c}": rates.pace
        * rates.beta
        * (
            sum(entry * z for entry, z in zip(row, state, strict=True))
            + sum(
                weight * expressions.get(name, 0)
                for name, at, weight in zip(
                    model.scores, model.onto, model.drift.score(p), strict=True
                )
                if at == i
            )
        )
        for i, (c, row) in enumerate(zip(model.components, model.drift.linear(p), strict=True))
    }
    if model.drift.fading:
        share = sympy.Rational(*model.drift.fading.as_integer_ratio())
        drift[f"f{model.components[0]}"] += rates.pace * rates.fading * share * state[0]
    names = [*model.components, "tau"]
    number = _derivatives({**drift, "ftau": sympy.Integer(-1)}, values, rates)

    def field(_: str, __: int, directions: Directions) -> Any:
        """The derivative of the drift along the directions, vectors over `names`."""
        entries = [mpmath.mpf(0)] * len(names)
        for choice in product(range(len(names)), repeat=len(directions)):
            weight = mpmath.mpf(1)
            for index, (_, direction) in zip(choice, directions, strict=True):
                weight *= direction[index]
            if weight:
                by = tuple(sorted(names[index] for index in choice))
                entries = [
                    e + weight * number(f"f{n}", by) for e, n in zip(entries, names, strict=True)
                ]
        return mpmath.matrix(entries)

    result: dict[int, dict[str, float]] = {}
    for power in list(terms)[1:]:
        combination = terms[power]["z"]
        vector = evaluate(combination, Point({}, field, {})) if combination else [0] * len(names)
        result[power] = {
            c: _finite(f"the coefficient of h^{power}, {c}", values, partial(vector.__getitem__, i))
            for i, c in enumerate(model.components)
        }
    return result
