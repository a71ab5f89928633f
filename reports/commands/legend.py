"""The legend below printed formulas: every symbol that occurs in them, and no other, explained."""

from __future__ import annotations

import re
from collections.abc import Iterable

from splitting_analysis.scheme import Scheme

_SUPER = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_NAME = {"x": "position", "m": "momentum", "q": "position", "p": "momentum"}


def legend(formulas: Iterable[tuple[str, str]], scheme: Scheme) -> list[str]:
    """Lines for the symbols of the given (key, formula) pairs, formulas in the style "text".

    `scheme` is the one whose error they are: it says what its symbols mean in its model.
    """
    shown = list(formulas)
    keys = list(dict.fromkeys(key for key, _ in shown))
    text = " ".join(formula for _, formula in shown)
    lines = ["error = exact - scheme after one step of size h from the same state"]
    for symbols, meaning in _entries(keys, text, scheme):
        if symbols:
            lines.append(f"  {', '.join(symbols)}: {meaning}")
    return lines


def _entries(keys: list[str], text: str, scheme: Scheme) -> Iterable[tuple[list[str], str]]:
    def found(pattern: str) -> list[str]:
        """The distinct texts that match, in alphabetical order, "x" before "x²"."""
        return sorted(dict.fromkeys(re.findall(pattern, text)))

    model = scheme.model
    time = ", at forward time τ = T − t" if model.time_dependent else ""
    components = [c for c in model.components if c in keys or found(rf"(?<![\w^∂Δ_]){c}(?!\w)")]
    moments = [key for key in keys if len(key) == 2]
    for c in components:
        yield [c], _NAME[c]
    yield moments, (
        "second moments, d x d matrices (xm of x with m; on xx and mm the symmetric part counts)"
        if "xm" in moments
        else "second moments, d x d matrices (the symmetric part counts)"
    )
    if found(r"\bf"):
        variables = ", ".join([*model.components, "t"] if model.time_dependent else model.components)
        yield ["z"], f"({variables}), the variables in autonomous form"
        yield ["f"], "the full drift, dz/dt = f(z)"
        yield found(r"f(′+)") and [f"f{p}" for p in found(r"f(′+)")], (
            "its derivatives, applied to the vectors in brackets"
        )
    scores = found(r"s\^[xm]") + found(r"(?<![\w^_∂])s(?![\w^])")
    yield scores, (
        f"score, the gradient of log p{time}"
        if len(scores) == 1
        else f"parts of the score, the gradient of log p in x and m{time}"
    )
    yield found(rf"∂_[xmqp][{_SUPER}]*"), (
        "derivatives in that component, applied to the vectors in [ ]: ∂_c s[v] is the Jacobian of s "
        "times v; without [ ] the Jacobian itself"
    )
    yield found(r"Δ_[xmqp]"), "Laplacian: the sum of the second derivatives over the coordinates"
    yield found(rf"∂_τ[{_SUPER}]*"), "derivatives in τ"
    primed = found("β[′″‴^]")
    yield found(r"β(?:\^\(\d\)|[′″‴])?"), (
        "rate of the clock at τ = T − t" + ("; with primes, its derivatives in τ" if primed else "")
    )
    yield found("Γ"), "friction of the position, which scales its noise"
    yield found("ν"), "friction of the momentum, which scales its noise"
    yield found("M"), "mass; 1/M = (Γ − ν)²/4 is critical damping"
    yield found("γ"), "friction"
    yield found("√?λ_s"), "scale of the position noise of the letter O; 1 is exact"
    yield found(r"\be\d\b"), "unit vectors, summed over the coordinates"
    yield found(r"\bI\b"), "identity matrix"
    yield found("⊗"), "u ⊗ v is the matrix u vᵀ"
    yield found("ᵀ"), "transpose"
