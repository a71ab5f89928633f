"""The legend below printed formulas: every symbol that occurs in them, and no other, explained.

What a symbol means is its line in the table of symbols; here are the shapes of the notation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from splitting_analysis.models import Model
from splitting_analysis.schemes import Scheme
from splitting_analysis.symbols import ROWS, Symbol, pair, parts, row, rows

_SUPER = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_WORD = rf"[^\W{_SUPER}]"
"""A letter or digit of a name; a power, which follows it, is none."""


def legend(formulas: Iterable[tuple[str, str]], scheme: Scheme) -> list[str]:
    """Lines for the symbols of the given (key, formula) pairs, formulas in the style "text".

    `scheme` is the one whose error they are: it says what its symbols mean in its model.
    """
    shown = list(formulas)
    keys = list(dict.fromkeys(key for key, _ in shown))
    tokens = _tokens(" ".join(formula for _, formula in shown), scheme.model)
    lines = ["error = exact - scheme after one step of size h from the same state"]
    for symbols, meaning in _entries(keys, tokens, scheme):
        if symbols:
            lines.append(f"  {', '.join(symbols)}: {meaning}")
    return lines


def _tokens(text: str, model: Model) -> list[str]:
    """The distinct symbols of a text in alphabetical order ("x" before "x²"), operators with
    powers.
    """
    state = [row(name) for name in (*model.components, *model.scores) if name]
    names = sorted({r.text.strip() for r in [*ROWS.values(), *state]}, key=len, reverse=True)
    operator = rf"[∂Δ]_{_WORD}+[{_SUPER}]*"
    name = rf"(?<!{_WORD})(?:{'|'.join(map(re.escape, names))})(?!{_WORD})"
    return sorted(dict.fromkeys(re.findall(rf"{operator}|\bf′+|\be\d\b|ᵀ|{name}", text)))


def _entries(keys: list[str], tokens: list[str], scheme: Scheme) -> Iterable[tuple[list[str], str]]:
    def found(pattern: str) -> list[str]:
        return [token for token in tokens if re.fullmatch(pattern, token)]

    def among(symbols: Iterable[Symbol]) -> list[str]:
        texts = {symbol.text.strip() for symbol in symbols}
        return [token for token in tokens if token in texts]

    model = scheme.model
    time = ", at forward time τ = T − t" if model.time_dependent else ""
    for c in model.components:
        if c in keys or among([row(c)]):
            yield [row(c).text], row(c).meaning or "component of the state"
    yield _moments(keys, model)
    if found("f′*"):
        variables = ", ".join(
            [*model.components, "t"] if model.time_dependent else model.components
        )
        yield ["z"], f"({variables}), the variables in autonomous form"
        yield ["f"], "the full drift, dz/dt = f(z)"
        yield found("f′+"), "its derivatives, applied to the vectors in brackets"
    scores = among(row(name) for name in model.scores if name)
    scored = [row(c).text for c, name in zip(model.components, model.scores, strict=True) if name]
    yield (
        scores,
        (
            f"score, the gradient of log p{time}"
            if len(scores) == 1
            else "fast and slow force, which add up to the gradient of log p"
            if model.acts
            else f"parts of the score, the gradient of log p in {' and '.join(scored)}{time}"
        ),
    )
    for symbol in rows("score"):
        if symbol.meaning:
            yield among([symbol]), symbol.meaning
    yield (
        found(rf"∂_(?!τ){_WORD}+[{_SUPER}]*"),
        (
            "derivatives in that component, applied to the vectors in [ ]: ∂_c s[v] is the "
            "Jacobian of s times v; without [ ] the Jacobian itself"
        ),
    )
    yield found(rf"Δ_{_WORD}+"), "Laplacian: the sum of the second derivatives over the coordinates"
    yield found(rf"∂_τ[{_SUPER}]*"), "derivatives in τ"
    for group in _groups():
        present = [symbol for symbol in group if symbol.text in tokens]
        yield (
            among(group),
            "; ".join(dict.fromkeys(s.meaning for s in [group[0], *present] if s.meaning)),
        )
    yield found(r"e\d"), "unit vectors, summed over the coordinates"
    for mark in rows("mark"):
        if mark.meaning:
            yield among([mark]), mark.meaning
    yield found("ᵀ"), "transpose"


def _moments(keys: list[str], model: Model) -> tuple[list[str], str]:
    """The keys of second moments, and what a mixed one and a diagonal one are."""
    moments = [key for key in keys if len(parts(key)) == 2]
    diagonal = " and ".join(pair(c, c, model.components) for c in model.components)
    for key in moments:
        a, b = parts(key)
        if a != b:
            return moments, (
                f"second moments, d x d matrices ({key} of {a} with {b}; on {diagonal} the "
                "symmetric part counts)"
            )
    return moments, "second moments, d x d matrices (the symmetric part counts)"


def _groups() -> list[list[Symbol]]:
    """The parameters as they are explained: beta with its derivatives, the others with their
    roots, the rates of a factor.
    """
    parameters = [symbol for symbol in rows("parameter", "scale") if symbol.power > 0]
    by_value: dict[str, list[Symbol]] = {}
    for symbol in parameters:
        by_value.setdefault(symbol.value, []).append(symbol)
    clock = [symbol for symbol in rows("clock") if symbol.power > 0]
    by_meaning: dict[str, list[Symbol]] = {}
    for symbol in rows("kernel"):
        by_meaning.setdefault(symbol.meaning, []).append(symbol)
    rates = [clock, rows("fading")]
    conjugates = [rows("factor"), rows("entry"), rows("skip")]
    return [*rates, *by_meaning.values(), *by_value.values(), *conjugates]
