"""Closed forms as formulas of a page, and words for counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import sympy

from reports.render.document import Formula, Formulas, printed
from splitting_analysis.errors import LocalError, keys_of
from splitting_analysis.formulas import spell
from splitting_analysis.schemes import Scheme
from splitting_analysis.styles import LATEX, MATHML, TEXT
from splitting_analysis.symbols import parts
from splitting_analysis.trees import Combination, Tree

_POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_NUMBERS = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
KINDS = {"ode": "Local error", "weak": "Weak local error", "strong": "Mean-square local error"}


def power(k: int) -> str:
    """h², h³, ... (plain h for k = 1)."""
    return "h" if k == 1 else "h" + str(k).translate(_POWERS)


def count(n: int) -> str:
    """A number in running text, spelled out up to twelve."""
    return _NUMBERS[n] if 0 <= n < len(_NUMBERS) else str(n)


def share(part: int, total: int) -> str:
    """ "all 40" or "38 of 40"."""
    return f"all {count(total)}" if part == total else f"{part} of {total}"


def number(value: float, digits: str = "2g") -> str:
    """A number in running text: "0.12", "2.7·10^{−6}"."""
    mantissa, e, exponent = printed(value, digits).partition("e")
    power = exponent.removeprefix("−").lstrip("0")
    return f"{mantissa}·10^{{{'−' * exponent.startswith('−')}{power}}}" if e else mantissa


def listed(names: Sequence[str]) -> str:
    """ "A, B and C"."""
    names = list(names)
    if len(names) < 2:
        return "".join(names)
    return ", ".join(names[:-1]) + " and " + names[-1]


_SPELLED: dict[frozenset[tuple[Tree, Any]], tuple[str, str, str]] = {}
"""Spellings made so far: schemes share many coefficients, and spelling one means factoring
polynomials.
"""


def formula(combination: Combination, label: str = "") -> Formula:
    """A combination of elementary differentials as a formula."""
    key = frozenset(combination.items())
    if key not in _SPELLED:
        latex, mathml, text = (spell(combination, style) for style in (LATEX, MATHML, TEXT))
        _SPELLED[key] = latex, mathml, text
    return Formula(*_SPELLED[key], label)


def entry(error: LocalError, k: int, key: str) -> Formula:
    """The coefficient of h^k of one entry of a local error."""
    own = next(own for own in error.terms[k] if own == key)  # knows which components it is of
    return formula(error.terms[k][key], label(own))


def label(key: str) -> str:
    """What an entry is: the state's component, a mean, or a second moment of the increment."""
    names = parts(key)
    return key if len(names) == 1 else f"{names[0]} {names[1]}ᵀ"


def blocks(error: LocalError, anchor: str, note: str = "", folded_from: int = 99) -> list[Formulas]:
    """One block per power of h with a coefficient that is not zero; powers >= `folded_from`
    folded.
    """
    result = []
    for k in error.terms:
        keys = [key for key in keys_of(error, k) if error.terms[k][key]]
        if keys:
            title = f"{KINDS[error.kind]}{note}, coefficient of {power(k)}"
            items = tuple(entry(error, k, key) for key in keys)
            result.append(Formulas(f"{anchor}-{error.kind}-h{k}", title, items, k >= folded_from))
    return result


def anchor(scheme: Scheme) -> str:
    return f"{scheme.model_name}-{scheme.dynamics}-{scheme.name.lower()}"


def link(scheme: Scheme) -> str:
    """The scheme's name, linked to its entry in the catalogue."""
    return f"[{scheme.name}](catalogue.html#{anchor(scheme)})"


_MATHML = {
    "<mo>&InvisibleTimes;</mo>": '<mspace width="0.15em"/>',
    "&ExponentialE;": "e",
    "<mo>-</mo>": "<mo>−</mo>",
}
"""SymPy's MathML has entities that XML does not know, and hyphens for minus signs."""


def expression(value: Any, label: str = "", *, factored: bool = False) -> Formula:
    """A SymPy expression, roots of polynomials as decimals, quotients with a positive constant
    below; or as it is, in factors.
    """
    value = sympy.sympify(value)
    value = value.xreplace({root: sympy.N(root, 5) for root in value.atoms(sympy.CRootOf)})
    if not factored:
        value = _tidy(value.replace(sympy.log, lambda inside: sympy.log(_tidy(inside))))
    order = {"order": "rev-lex"}
    mathml = sympy.mathml(value, printer="presentation", **order)
    for written, meant in _MATHML.items():
        mathml = mathml.replace(written, meant)
    plain = sympy.sstr(value, **order)
    plain = re.sub(r"\*\*([0-9]+)", lambda power: power[1].translate(_POWERS), plain)
    text = plain.replace("*", " ").replace("-", "−")
    for name, letter in {"omega": "ω", "gamma": "γ", "phi": "φ"}.items():
        text = text.replace(name, letter)
    return Formula(sympy.latex(value, **order), mathml, text, label)


def _tidy(value: Any) -> Any:
    """A polynomial expanded, a quotient of two with the constant (or leading sign) below
    positive.
    """
    if not value.is_rational_function():
        return value
    top, bottom = sympy.fraction(sympy.together(value))
    top, bottom = sympy.expand(top), sympy.expand(bottom)
    constant = bottom.subs(dict.fromkeys(bottom.free_symbols, 0))
    if constant < 0 or (constant == 0 and bottom.could_extract_minus_sign()):
        top, bottom = -top, -bottom
    return top / bottom if bottom.free_symbols else sympy.expand(top / bottom)
