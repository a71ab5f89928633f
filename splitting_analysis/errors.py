"""A local error: combinations of elementary differentials by power of h; what is done with one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from splitting_analysis.algebra import algebra, alike
from splitting_analysis.formulas import spell
from splitting_analysis.linebreaks import WIDTH, aligned
from splitting_analysis.models import Model
from splitting_analysis.points import (
    Score,
    check_scores,
    coefficients,
    score_expressions,
    values_at,
)
from splitting_analysis.schemes import Scheme
from splitting_analysis.styles import LATEX, TEXT, Style
from splitting_analysis.symbols import parts
from splitting_analysis.trees import PHI, Combination, Tree, linear

Kind = Literal["ode", "weak", "strong"]


@dataclass(frozen=True, repr=False)
class LocalError:
    """Exact minus scheme, as combinations of elementary differentials by power of h.

    terms[k][key] is the coefficient of h^k. Keys: a component ("x"), for the error of its mean
    or, for an ODE, of the value itself; two components ("xm"; "aux x" where a name is longer),
    for the error of the second moment of the increments; "phi" (weak), for the error of E phi(z)
    with any smooth phi. `schemes` are those whose error it is: one, or two of a difference.
    """

    name: str
    word: str
    model: Model
    kind: Kind
    terms: dict[int, dict[str, Combination]]
    schemes: tuple[Scheme, ...] = field(default=(), compare=False)

    @property
    def leading(self) -> int | None:
        """Lowest power of h with a non-zero coefficient, None if all computed ones vanish."""
        return min((k for k, by_key in self.terms.items() if any(by_key.values())), default=None)

    def __str__(self) -> str:
        """The formulas as text, a heading and one line for each that is not zero."""
        kinds = {
            "ode": "local error",
            "weak": "weak local error",
            "strong": "mean-square local error",
        }
        lines = [f"{kinds[self.kind]} of {self.name}" + (f" = {self.word}" if self.word else "")]
        for power in self.terms:
            spelled = [
                f"  {key:>2}: {spell_error(self, power, key)}"
                for key in keys_of(self, power)
                if self.terms[power][key]
            ]
            lines += [f"h^{power}:", *spelled] if spelled else [f"h^{power}: 0"]
        return "\n".join(lines)

    def __repr__(self) -> str:
        leading = "none" if self.leading is None else f"h^{self.leading}"
        return f"<{self.kind} local error of {self.name}, leading term {leading}>"

    def _repr_latex_(self) -> str:
        """Displays as formulas in a notebook."""
        return display(self)

    def __sub__(self, other: LocalError) -> LocalError:
        """The difference of two errors of one kind. Raises ValueError for incomparable ones."""
        if (self.kind, self.model.components) != (other.kind, other.model.components):
            raise ValueError(
                f"{self.name} ({self.model.name}, {self.kind}) and {other.name} "
                f"({other.model.name}, {other.kind}) have no common error to subtract"
            )
        terms = {
            k: {key: difference(by_key[key], other.terms[k][key]) for key in by_key}
            for k, by_key in self.terms.items()
            if k in other.terms
        }
        both = (*self.schemes, *other.schemes)
        return LocalError(f"{self.name} - {other.name}", "", self.model, self.kind, terms, both)

    def at(
        self, *, score_x: Score | None = None, score_m: Score | None = None, **values: float | str
    ) -> dict[int, dict[str, float]]:
        """The coefficients as numbers, by power of h and key, at one state, time and set of
        parameters.

            local_error("RSE").at(score_x="-x", score_m="-m", x=0.3, m=-0.7, t=0.4, Gamma=0.01,
            nu=4.01)

        The scores of position and momentum (position alone but for psld and respa) are texts in the
        state and the forward time tau, numbers or SymPy expressions. h is a length in the scheme's
        clock. Time is t (reverse) or tau = T
        - t; the keys and defaults of the rest are those of `derive --at`: M follows from critical
        damping unless it is given, and lambda_s is 1. Raises ValueError for what is missing or
        means nothing.
        """
        if not self.schemes:
            raise ValueError(f"{self.name}: this error does not say of which scheme it is")
        scheme = self.schemes[0]
        if len(self.schemes) > 1 and any(each.word.is_runge_kutta for each in self.schemes):
            raise ValueError(
                "numbers of a difference are for splittings, not for Runge-Kutta words"
            )
        here = values_at(self.schemes, values)
        expressions = score_expressions(scheme, (score_x, score_m))
        check_scores(expressions, here)
        return coefficients(scheme, self.terms, here, expressions)


def difference(left: Combination, right: Combination) -> Combination:
    reduce = algebra().reduce
    if left and right:  # of two schemes, which may have rings of their own
        both = alike(next(iter(left.values())), next(iter(right.values())))
        left, right = ({t: c.set_ring(both[0].ring) for t, c in p.items()} for p in (left, right))
    difference = linear([(1, left), (-1, right)])
    return {tree: r for tree, c in difference.items() if (r := reduce(c))}


def keys_of(error: LocalError, power: int) -> list[str]:
    """The keys to show for a power of h: all but the general test function."""
    return [key for key in error.terms[power] if key != PHI]


def spell_error(error: LocalError, power: int, key: str, style: Style = TEXT) -> str:
    """The coefficient of h^power of one entry of a local error, as text, LaTeX or MathML."""
    return spell(error.terms[power][key], style)


def display(error: LocalError, width: int = WIDTH) -> str:
    """All of an error as one LaTeX display for a notebook, no line much wider than `width`
    letters.
    """

    def about(key: str) -> str:
        return "".join(LATEX.symbol(c) for c in parts(key))

    rows = [
        (rf"h^{{{k}}} \;\; {about(key)}: \quad", spell_error(error, k, key, LATEX))
        for k in error.terms
        for key in keys_of(error, k)
        if error.terms[k][key]
    ]
    return f"$${aligned(rows, width)}$$" if rows else r"$$\begin{aligned}0\end{aligned}$$"


def to_json(error: LocalError) -> dict[str, Any]:
    """The error as plain data: name, word, kind and terms as coefficient (SymPy syntax) and tree.

    A tree is {"node", "d_tau", "along": [[component, tree], ...]}; nodes e1, e2 are unit vectors
    summed over, two children of "moment" the factors of a second moment.
    """

    def tree_json(tree: Tree) -> dict[str, Any]:
        name, j, children = tree
        return {"node": name, "d_tau": j, "along": [[c, tree_json(v)] for c, v in children]}

    to_sympy = algebra().to_sympy
    return {
        "scheme": error.name,
        "word": error.word,
        "model": error.model.name,
        "kind": error.kind,
        "leading_power": error.leading,
        "terms": {
            f"h{k}": {
                key: {
                    "text": spell(combination, TEXT),
                    "latex": spell(combination, LATEX),
                    "sum": [
                        {"coefficient": str(to_sympy(c)), "differential": tree_json(tree)}
                        for tree, c in combination.items()
                    ],
                }
                for key, combination in by_key.items()
                if key != PHI
            }
            for k, by_key in error.terms.items()
        },
    }
