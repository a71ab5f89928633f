"""What `splitting-analysis derive` prints for a word that holds a prediction: order and leading
error.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import sympy

from reports.commands.terminal import json_text
from splitting_analysis.held_error import HeldError, held_error
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


def held_formulas(
    scheme: Scheme, style: str, heading: list[str], say: Callable[[str], None]
) -> str:
    """Order and leading local error in a style: text, latex, mathml or json."""
    say(f"deriving the error of {scheme.name[:40]}")
    error = held_error(scheme)
    if style == "json":
        return json_text(
            [
                {
                    "scheme": scheme.name,
                    "word": str(scheme.word),
                    "model": scheme.model_name,
                    "dynamics": scheme.dynamics,
                    "clock": scheme.in_clock,
                    "kind": "ode",
                    "order": error.order,
                    "leading": error.power,
                    "terms": {
                        str(error.power): dict.fromkeys(
                            scheme.model.components, str(error.coefficient)
                        )
                    },
                }
            ]
        )
    if style == "latex":
        return f"% local error, h^{error.power}\n{sympy.latex(error.coefficient)}"
    if style == "mathml":
        inner = sympy.printing.mathml(error.coefficient, printer="presentation")
        return f'<!-- local error, h^{error.power} -->\n<math display="block">{inner}</math>'
    held = HOLDS[scheme.program.holds[0].held.prediction]
    pair, components = scheme.holds_pair, ", ".join(scheme.model.components)
    is_data = scheme.program.holds[0].held.prediction is Prediction.DATA
    other = (OF_A_PAIR if is_data else OF_A_PAIRS_EPS) if pair else {}
    clock = (PAIR_CLOCKS if pair else CLOCKS)[scheme.in_clock]
    holds = f"holds the {held} P, as a polynomial in the clock {clock}; h is a step's length in it"
    title = "local error in the middle of a run, per unit of the exact linear part, coefficient of "
    equal = ", steps of equal length" if error.equal_steps else ""
    return "\n".join(
        [
            *heading,
            holds,
            "",
            f"{title}h^{error.power}{equal}:",
            f"   {components}: {sympy.sstr(error.coefficient).replace('**', '^')}",
            "",
            *_legend(error, other),
        ]
    )


def _legend(error: HeldError, other: dict[str, str]) -> list[str]:
    kinds = {re.sub(r"\d+$", "", str(symbol)) for symbol in error.coefficient.free_symbols}
    return [other.get(kind, told) for kind, told in SYMBOLS.items() if kind in kinds]
