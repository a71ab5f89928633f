"""What `splitting-analysis derive` prints for a word that holds a prediction: order and leading
error.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy

from reports.commands.terminal import json_text
from splitting_analysis.held_results import held_local_error
from splitting_analysis.schemes import Scheme


def held_formulas(
    scheme: Scheme, style: str, heading: list[str], say: Callable[[str], None]
) -> str:
    """Order and leading local error in a style: text, latex, mathml or json."""
    say(f"deriving the error of {scheme.name[:40]}")
    error = held_local_error(scheme)
    if style == "text":
        return "\n".join([*heading, *error.lines()])
    about = "weak local error" if error.kind == "weak" else "local error"
    return _spelled(scheme, style, about, error.power, error.terms[error.power])


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
