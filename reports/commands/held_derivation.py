"""What `splitting-analysis derive` prints for a word that holds a prediction: order and leading
error.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import sympy

from reports.commands.terminal import json_text
from splitting_analysis.held_error import HeldError, held_error
from splitting_analysis.held_terms import weak_moments
from splitting_analysis.held_weak import weak_held_error
from splitting_analysis.predictions import Prediction
from splitting_analysis.schemes import Scheme

HOLDS = {
    Prediction.DATA: "data prediction",
    Prediction.EPS: "noise prediction",
    Prediction.SCORE: "score",
    Prediction.VELOCITY: "velocity",
    Prediction.V: "v prediction",
}
CLOCKS = {"tau": "τ", "lambda": "λ = log(α/σ)", "sigma": "log σ", "rho": "σ/α"}
PAIR_CLOCKS = {"tau": "τ", "lambda": "λ = log(Φ_xx/σ_x)", "sigma": "log σ_x", "rho": "σ_x/Φ_xx"}
OF_A_PAIR = {
    "kappa": "kappa1, ...: Taylor coefficients of the component's own kernel d(R^-1 μ)/dλ at the "
    "step's start, over its value there; of x with the lower factor and in λ kappa_k = 1/k!",
    "J": "J: derivative of the prediction along the kernel; J1, ...: its derivatives",
}
OF_A_PAIRS_EPS = {
    "kappa": "kappa1, ...: Taylor coefficients of the integral's kernel at the step's start, over "
    "its value there: 2 x 2 matrices, applied to P1, ...",
    "J": "J: Jacobian of the prediction times the kernel, a matrix that is applied first; J1, ...: "
    "its derivatives",
}
SYMBOLS = {
    "P": "P1, P2, ...: first, second, ... derivative of the prediction along the exact path, in "
    "the clock",
    "r": "r1, r2, ...: lengths of the step before, the one before that, ..., over the step's own",
    "kappa": "kappa1, ...: Taylor coefficients of the integral's kernel at the step's start",
    "J": "J: Jacobian of the prediction at the state with its linear part taken out; J1, ...: "
    "its derivatives",
}
WEAK_SYMBOLS = {
    "P": "P: the prediction in units of the state with its linear part taken out; P_u: its "
    "derivative in the clock, P_x(v), P_xx(v, w): those along directions; with e1, e2, unit "
    "vectors, summed over all of them; outer(v, w): v w^T, on a diagonal block its symmetric part",
    "q": "q: rate of the noise's variance at the step's start, in the clock; q1, ...: its Taylor "
    "coefficients",
    "r": SYMBOLS["r"],
    "kappa": "kappa1, ...: Taylor coefficients of the integral's kernel at the step's start, over "
    "its value there",
}


def held_formulas(
    scheme: Scheme, style: str, heading: list[str], say: Callable[[str], None]
) -> str:
    """Order and leading local error in a style: text, latex, mathml or json."""
    say(f"deriving the error of {scheme.name[:40]}")
    if scheme.dynamics == "sde":
        return _weak(scheme, style, heading)
    error = held_error(scheme)
    components = scheme.model.components
    if style != "text":
        terms = dict.fromkeys(components, error.coefficient)
        return _spelled(scheme, style, "local error", error.power, terms)
    pair = scheme.holds_pair
    is_data = scheme.program.holds[0].held.prediction is Prediction.DATA
    other = (OF_A_PAIR if is_data else OF_A_PAIRS_EPS) if pair else {}
    title = "local error in the middle of a run, per unit of the exact linear part, coefficient of "
    equal = ", steps of equal length" if error.equal_steps else ""
    return "\n".join(
        [
            *heading,
            _holds(scheme),
            "",
            f"{title}h^{error.power}{equal}:",
            f"   {', '.join(components)}: {_text(error.coefficient)}",
            "",
            *_legend(error, other),
        ]
    )


def _weak(scheme: Scheme, style: str, heading: list[str]) -> str:
    error = weak_held_error(scheme)
    terms = {key: c for key, c in weak_moments(error, scheme.model).items() if c}
    if style != "text":
        return _spelled(scheme, style, "weak local error", error.power, terms)
    title = "weak local error averaged over an exact past, of mean and second moments, "
    symbols = {str(s) for value in terms.values() for s in value.free_symbols}
    occurring = {re.sub(r"\d*(_.*)?$", "", name) for name in symbols} | {"P"}
    return "\n".join(
        [
            *heading,
            _holds(scheme),
            "",
            f"{title}coefficient of h^{error.power}:",
            *(f"  {key:>2}: {_text(value)}" for key, value in terms.items()),
            "",
            *(told for kind, told in WEAK_SYMBOLS.items() if kind in occurring),
        ]
    )


def _spelled(
    scheme: Scheme, style: str, kind: str, power: int, terms: dict[str, sympy.Expr]
) -> str:
    """Other styles than text."""
    if style == "json":
        own = {
            "scheme": scheme.name,
            "word": str(scheme.word),
            "model": scheme.model_name,
            "dynamics": scheme.dynamics,
            "clock": scheme.in_clock,
            "kind": "ode" if scheme.dynamics == "ode" else "weak",
            "order": power - 1,
            "leading": power,
            "terms": {str(power): {key: str(value) for key, value in terms.items()}},
        }
        return json_text([own])
    lines = []
    for key, value in terms.items() if scheme.dynamics == "sde" else [*terms.items()][:1]:
        about = f", {key}" if scheme.dynamics == "sde" else ""
        if style == "latex":
            lines.append(f"% {kind}, h^{power}{about}\n{sympy.latex(value)}")
        else:
            inner = sympy.printing.mathml(value, printer="presentation")
            lines.append(f'<!-- {kind}, h^{power}{about} -->\n<math display="block">{inner}</math>')
    return "\n".join(lines)


def _text(value: sympy.Expr) -> str:
    return str(sympy.sstr(value)).replace("**", "^")


def _holds(scheme: Scheme) -> str:
    held = HOLDS[scheme.program.holds[0].held.prediction]
    clock = (PAIR_CLOCKS if scheme.holds_pair else CLOCKS)[scheme.in_clock]
    return f"holds the {held} P, as a polynomial in the clock {clock}; h is a step's length in it"


def _legend(error: HeldError, other: dict[str, str]) -> list[str]:
    kinds = {re.sub(r"\d+$", "", str(symbol)) for symbol in error.coefficient.free_symbols}
    return [other.get(kind, told) for kind, told in SYMBOLS.items() if kind in kinds]
