"""The rates l = (dL/dtau) L^-1 of the factor of a noise prediction, as numbers at a time.

L L^T is the kernel's covariance, given x_0 (of PSLD m_0 ~ N(0, kappa M) is unknown). Its Taylor
coefficients are those of numbers with many digits: near tau = 0 it moves like a root of tau.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import factorial
from typing import Any

import mpmath

from splitting_analysis import bends
from splitting_analysis.conjugate_rule import one_skip, symbolic_entries
from splitting_analysis.families import POSITION_ONLY
from splitting_analysis.schemes import Scheme
from splitting_analysis.symbols import MAX_RATE, row, rows

DIGITS = 60


def bent_values(schemes: Sequence[Scheme], values: dict[str, float]) -> dict[str, float]:
    """lambda (0 unless given) and the rates of the factor, of schemes with conjugate steps.

    Takes "lambda" out of `values`. Raises ValueError for a lambda that acts nowhere or was told
    already, and for two factors.
    """
    value = values.pop("lambda", None)
    if value is not None and not any(scheme.bends for scheme in schemes):
        raise ValueError(f"lambda = {value:g}: {schemes[0].name} has B = 0, lambda acts in none")
    for scheme in schemes:
        if value is not None and scheme.told and value != float(scheme.conjugate):
            raise ValueError(
                f"lambda = {value:g}: {scheme.name} was told lambda = {scheme.conjugate}; leave "
                "one of them out"
            )
    own = {"lambda_": value or 0.0} | {"kappa": values.get("kappa", 0.04)}
    if len({scheme.factor for scheme in schemes}) > 1:
        raise ValueError("numbers of a difference need one factor of eps, lower or upper, in both")
    given = {**values, **own}
    own |= b_values(schemes, given) | skip_values(schemes, given)
    return own | factor_rates(schemes[0].model_name, schemes[0].factor, given)


def b_values(schemes: Sequence[Scheme], values: Mapping[str, float]) -> dict[str, float]:
    """The entries of a B that moves and their derivatives in tau by name, b1, db1, ..., where
    closed forms have symbols for them.

    Raises ValueError for an entry that is not finite there.
    """
    found: dict[str, float] = {}
    symbolic_entries(*schemes)
    for scheme in schemes:
        for node, number in symbolic_entries(scheme).items():
            with mpmath.workdps(DIGITS):
                given = {key: mpmath.mpf(value) for key, value in values.items()}
                if scheme.told:
                    given["lambda_"] = mpmath.mpf(scheme.conjugate.numerator)
                    given["lambda_"] /= scheme.conjugate.denominator
                series = _derivatives(bends.spelled(node), node, given)
            for k, value in enumerate(series):
                found[row(f"b{number}_{k}").value] = float(value)
    return found


def skip_values(schemes: Sequence[Scheme], values: Mapping[str, float]) -> dict[str, float]:
    """The entries of C_skip = -Sigma^-1 by name, c_xx, c_xm, c_mm, where there is one."""
    variance = one_skip(*schemes)
    if variance is None:
        return {}
    with mpmath.workdps(DIGITS):
        p = {key: mpmath.mpf(value) for key, value in values.items()}
        data = mpmath.mpf(variance.numerator) / variance.denominator
        sigma = _covariance(schemes[0].model_name, p, p["tau"], data)
        inverse = -(sigma**-1)
        places = {"xx": (0, 0)} | ({"xm": (0, 1), "mm": (1, 1)} if sigma.rows == 2 else {})
        return {f"c_{name}": float(inverse[place]) for name, place in places.items()}


def _derivatives(text: str, node: bends.Node, given: Mapping[str, Any]) -> list[Any]:
    def at(u: Any) -> Any:
        names = {"lambda" if key == "lambda_" else key: value for key, value in given.items()}
        names |= {"tau": u, "beta": _beta(given, u)}
        value = bends.value(node, bends.Arithmetic(_exact, names, _call, _power))
        if not mpmath.isfinite(value) or mpmath.im(value):
            raise ZeroDivisionError
        return value

    try:
        series = mpmath.taylor(at, given["tau"], MAX_RATE)
    except (ZeroDivisionError, ValueError):
        raise ValueError(
            f"the entry {text} of B has no finite value and derivatives at tau = "
            f"{float(given['tau']):g}"
        ) from None
    return [coefficient * factorial(k) for k, coefficient in enumerate(series)]


def _exact(number: Fraction) -> Any:
    return mpmath.mpf(number.numerator) / number.denominator


def _call(function: str, value: Any) -> Any:
    return getattr(mpmath, function)(value)


def _power(base: Any, exponent: Fraction) -> Any:
    return mpmath.power(base, _exact(exponent))


def factor_rates(name: str, factor: str, values: Mapping[str, float]) -> dict[str, float]:
    """The rates and their derivatives in tau by name, l_xx, dl_xx, ..., for the model `name`.

    `values` hold tau, beta_min, beta_max, T and the model's parameters. Raises ValueError at tau =
    0, where eps has no factor.
    """
    if values["tau"] <= 0:
        raise ValueError(
            "tau = 0: the factor of the noise prediction that conjugate steps hold vanishes "
            "there, and its rates are infinite; choose tau > 0"
        )
    with mpmath.workdps(DIGITS):
        given = {key: mpmath.mpf(value) for key, value in values.items()}
        columns = [
            mpmath.taylor(
                lambda u, k=k: _entries(name, factor, given, u)[k], given["tau"], MAX_RATE
            )
            for k in range(1 if name in POSITION_ONLY else 3)
        ]
        found = _rates(columns, factor)
        return {
            row.value: float(found.get(row.name[1:3], [0] * MAX_RATE)[k] * factorial(k))
            for i, row in enumerate(rows("factor"))
            for k in [i % MAX_RATE]
        }


def _entries(name: str, factor: str, p: Mapping[str, Any], u: Any) -> tuple[Any, ...]:
    """Diagonal and off-diagonal entries of L at forward time u."""
    sigma = _covariance(name, p, u, 0)
    if name in POSITION_ONLY:
        return (mpmath.sqrt(sigma[0]),)
    xx, xm, mm = sigma[0, 0], sigma[0, 1], sigma[1, 1]
    if factor == "lower":
        root = mpmath.sqrt(xx)
        return root, mpmath.sqrt(mm - xm * xm / xx), xm / root
    root = mpmath.sqrt(mm)
    return mpmath.sqrt(xx - xm * xm / mm), root, xm / root


def _covariance(name: str, p: Mapping[str, Any], u: Any, data: Any) -> Any:
    """Of the law at forward time u of Gaussian data of that variance, a matrix."""
    b = p["beta_min"] * u + (p["beta_max"] - p["beta_min"]) * u * u / (2 * p["T"])
    if name in POSITION_ONLY:
        return mpmath.matrix([[data * mpmath.exp(-b) - mpmath.expm1(-b)]])
    drift = mpmath.matrix([[-p["Gamma"], 1 / p["M"]], [-1, -p["nu"]]]) * (b / 2)
    phi, rest = mpmath.expm(drift), mpmath.diag([1, p["M"]])
    return rest + phi * (mpmath.diag([data, p["kappa"] * p["M"]]) - rest) * phi.T


def _beta(p: Mapping[str, Any], u: Any) -> Any:
    return p["beta_min"] + (p["beta_max"] - p["beta_min"]) * u / p["T"]


def _rates(columns: list[list[Any]], factor: str) -> dict[str, list[Any]]:
    """Taylor coefficients of the entries of (dL/dtau) L^-1 from those of L's."""
    if len(columns) == 1:
        return {"xx": _quotient(_slope(columns[0]), columns[0])}
    a, c, off = columns
    xx, mm = _quotient(_slope(a), a), _quotient(_slope(c), c)
    own, other, under = ("mx", mm, a) if factor == "lower" else ("xm", xx, c)
    moved = [s - p for s, p in zip(_slope(off), _product(other, off), strict=True)]
    return {"xx": xx, "mm": mm, own: _quotient(moved, under)}


def _slope(series: list[Any]) -> list[Any]:
    return [k * c for k, c in enumerate(series)][1:]


def _product(a: list[Any], b: list[Any]) -> list[Any]:
    return [sum(a[i] * b[k - i] for i in range(k + 1)) for k in range(MAX_RATE)]


def _quotient(top: list[Any], bottom: list[Any]) -> list[Any]:
    result: list[Any] = []
    for k in range(MAX_RATE):
        rest = top[k] - sum(result[i] * bottom[k - i] for i in range(k))
        result.append(rest / bottom[0])
    return result
