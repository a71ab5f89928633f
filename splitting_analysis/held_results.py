"""The local error of a word that holds a prediction as a result: order, terms, and how it prints.

`held_error.py` derives it for the ODE, `held_weak.py` the weak one of the SDE; here both are said
in the same way, for the command `derive` and for a notebook.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

import sympy

from splitting_analysis.held_error import HeldError, held_error
from splitting_analysis.held_terms import weak_moments
from splitting_analysis.held_weak import WeakHeldError, weak_held_error
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
    "kappa": "Taylor coefficients of the component's own kernel d(R^-1 μ)/dλ at the step's start, "
    "over its value there; of x with the lower factor and in λ kappa_k = 1/k!",
    "J": "derivative of the prediction along the kernel",
}
OF_A_PAIRS_EPS = {
    "kappa": "Taylor coefficients of the integral's kernel at the step's start, over its value "
    "there: 2 x 2 matrices, applied to the derivatives of the prediction",
    "J": "Jacobian of the prediction times the kernel, a matrix that is applied first",
}
SYMBOLS = {
    "P": "derivative of the prediction along the exact path, in the clock",
    "r": "the step before, the one before that, the one before both, the fourth before",
    "kappa": "Taylor coefficients of the integral's kernel at the step's start",
    "J": "Jacobian of the prediction at the state with its linear part taken out",
}
WEAK_SYMBOLS = {
    "P": "the prediction in units of the state with its linear part taken out",
    "q": "rate of the noise's variance at the step's start, in the clock",
    "r": SYMBOLS["r"],
    "kappa": "Taylor coefficients of the integral's kernel at the step's start, over its value "
    "there",
}
WEAK_PARTS = (
    (r"P_u", "P_u: its derivative in the clock"),
    (r"P_u*x", "P_x(v), P_xx(v, w): those along directions"),
    (r"\be\d", "e1, e2: unit vectors, summed over all of them"),
    (r"outer", "outer(v, w): v w^T, on a diagonal block its symmetric part"),
)
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


@dataclass(frozen=True, repr=False)
class HeldLocalError:
    """The leading term of exact minus scheme, for a word that holds a prediction.

    terms[power][key] are SymPy expressions: the coefficient of h^power by component ("x"), of an
    SDE those of the mean and of the increment's second moments ("xx"); h is a step's length in the
    word's clock. `error` is what was derived; `kind` is "ode" or "weak".
    """

    scheme: Scheme
    error: HeldError | WeakHeldError = field(compare=False)
    terms: dict[int, dict[str, sympy.Expr]]

    @property
    def name(self) -> str:
        return self.scheme.name

    @property
    def kind(self) -> Literal["ode", "weak"]:
        return "ode" if isinstance(self.error, HeldError) else "weak"

    @property
    def power(self) -> int:
        """The power of h of the leading term, which is all that is derived."""
        return self.error.power

    leading = power

    @property
    def order(self) -> int:
        """Of the global error, for a fixed ratio of steps; weak, for an SDE."""
        return self.error.order

    @property
    def coefficient(self) -> sympy.Expr:
        """Of h^power, the same for all components. Raises ValueError for an SDE, whose terms
        differ.
        """
        if isinstance(self.error, HeldError):
            return self.error.coefficient
        keys = ", ".join(map(repr, self.terms[self.power]))
        raise ValueError(
            f"{self.name}: a weak error has a coefficient for each moment: terms[{self.power}] has "
            f"{keys}"
        )

    def lines(self) -> list[str]:
        """What is held, the formulas, and what their symbols are."""
        scheme, terms = self.scheme, self.terms[self.power]
        held = HOLDS[scheme.program.holds[0].held.prediction]
        clock = (PAIR_CLOCKS if scheme.holds_pair else CLOCKS)[scheme.in_clock]
        told = f"holds the {held} P, as a polynomial in the clock {clock}; h is a step's length in "
        if isinstance(self.error, HeldError):
            title = "local error in the middle of a run, per unit of the exact linear part, "
            equal = ", steps of equal length" if self.error.equal_steps else ""
            formulas = [f"   {', '.join(terms)}: {_text(self.error.coefficient)}"]
        else:
            title = "weak local error averaged over an exact past, of mean and second moments, "
            equal, formulas = "", [f"  {key:>2}: {_text(value)}" for key, value in terms.items()]
        first = f"{title}coefficient of h^{self.power}{equal}:"
        return [f"{told}it", "", first, *formulas, "", *self.symbols().values()]

    def symbols(self) -> dict[str, str]:
        """What the symbols of the terms are, by the letters that they begin with."""
        values = self.terms[self.power].values()
        names = {str(s) for value in values for s in value.free_symbols}
        if self.kind == "weak":
            found = _legend(names | {"P"}, WEAK_SYMBOLS)
            text = " ".join(map(str, values))
            parts = (part for pattern, part in WEAK_PARTS if re.search(pattern, text))
            return found | {"P": "; ".join((found["P"], *parts))}
        is_data = self.scheme.program.holds[0].held.prediction is Prediction.DATA
        other = (OF_A_PAIR if is_data else OF_A_PAIRS_EPS) if self.scheme.holds_pair else {}
        return _legend(names, SYMBOLS | other)

    def __str__(self) -> str:
        named = "" if self.name == str(self.scheme.word) else f" = {self.scheme.word}"
        weak = "weak " if self.kind == "weak" else ""
        title = f"{weak}local error of {self.name}{named}, {weak}order {self.order}"
        return "\n".join([title, *self.lines()])

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        """Displays as formulas in a notebook."""
        if isinstance(self.error, HeldError):
            rows = [(", ".join(self.terms[self.power]), self.error.coefficient)]
        else:
            rows = list(self.terms[self.power].items())
        lines = [rf"h^{{{self.power}}} \;\; {key}: \quad {sympy.latex(c)}" for key, c in rows]
        return "$$" + r" \\ ".join(lines) + "$$"

    def at(self, **_: Any) -> dict[int, dict[str, float]]:
        """As of other errors; of this one there are no numbers. Raises ValueError."""
        raise ValueError(f"{self.name}: {NO_NUMBERS}; terms[{self.power}] has it as expressions")


NO_NUMBERS = (
    "the error of a word that holds a prediction is in the prediction's derivatives, not in the "
    "score's"
)


def held_local_error(scheme: Scheme) -> HeldLocalError:
    """The leading local error of a word that holds a prediction: weak for an SDE.

    Raises ValueError for other words, and where nothing is left through the powers that are looked
    at.
    """
    if scheme.dynamics == "sde":
        weak = weak_held_error(scheme)
        moments = {key: c for key, c in weak_moments(weak, scheme.model).items() if c}
        return HeldLocalError(scheme, weak, {weak.power: moments})
    error = held_error(scheme)
    terms = dict.fromkeys(scheme.model.components, error.coefficient)
    return HeldLocalError(scheme, error, {error.power: terms})


def refuse_more(**given: object) -> None:
    """Raise ValueError for what formulas of other words take, by the name that it was given by."""
    for name, value in given.items():
        if value is not None and value is not False:
            raise ValueError(
                f"{name}: of a word that holds a prediction the leading error is derived, in "
                "derivatives of the prediction; that is all there is"
            )


def _text(value: sympy.Expr) -> str:
    return str(sympy.sstr(value)).replace("**", "^")


def _before(first: int) -> list[str]:
    return [f"the {ordinal} before" for ordinal in ORDINALS[first - 1 :]]


def _legend(symbols: set[str], told: dict[str, str]) -> dict[str, str]:
    """A line for each kind of symbol that occurs, of those of it that do."""
    lines: dict[str, str] = {}
    for kind, text in told.items():
        numbers = sorted(int(s[len(kind) :]) for s in symbols if re.fullmatch(rf"{kind}\d+", s))
        names = ", ".join(f"{kind}{i}" for i in numbers)
        if kind == "r" and numbers:
            lengths = f"length{'s' * (len(numbers) > 1)} of "
            named = dict(enumerate([*text.split(", "), *_before(text.count(",") + 2)], 1))
            own = ", ".join(named.get(i, f"the {i}th before") for i in numbers)
            lines[kind] = f"{names}: {lengths}{own}, over the step's own"
        elif kind == "P" and numbers:
            lines[kind] = f"{names}: {', '.join(ORDINALS[i - 1] for i in numbers)} {text}"
        elif kind == "kappa" and numbers:
            one = text if len(numbers) > 1 else text.replace("coefficients", "coefficient", 1)
            lines[kind] = f"{names}: {one}"
        elif kind in symbols or numbers:
            rates = "its Taylor coefficients" if kind == "q" else "its derivatives"
            own = f"; {names}: {rates if len(numbers) > 1 else rates[:-1]}" if numbers else ""
            lines[kind] = f"{kind}: {text}{own}"
    return lines
