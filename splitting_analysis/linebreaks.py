"""Long LaTeX formulas over several aligned lines: neither MathJax nor LaTeX breaks a line by
itself.

Widths are counted in letters of the typeset formula, an estimate: a fraction is as wide as its
wider part, indices count for two thirds. The input is LaTeX as styles.LATEX spells it: sums with
spaces around + and -, brackets as \\left and \\right, which cannot span lines and become \\Bigl and
\\Bigr.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 64
"""Letters in a line: about the text column of a notebook or a paper."""
_TOKEN = re.compile(r"\\left\s*(\\.|.)|\\right\s*(\\.|.)|\\[A-Za-z]+|\\.|\s+|.", re.DOTALL)
_NARROW = {r"\,": 0.3, r"\;": 0.5, r"\quad": 2.0}
_DEEPEST = 3
"""Indentation stops growing at this depth of brackets."""


@dataclass(frozen=True)
class _Bracket:
    opening: str
    inside: tuple[_Item, ...]
    closing: str


_Item = str | _Bracket
"""A token with its {arguments}, or a \\left ... \\right pair."""


def aligned(rows: Sequence[tuple[str, str]], width: int = WIDTH) -> str:
    """Rows of (label, formula) as one `aligned` environment; no line is wider than about `width`
    letters.

    A formula that is wider goes on under its own beginning. Raises ValueError for unbalanced LaTeX.
    """
    lines = []
    for label, formula in rows:
        first, *rest = broken(formula, width)
        lines += [f"{label} & {first}", *(f"& {line}" for line in rest)]
    return r"\begin{aligned}" + r" \\ ".join(lines) + r"\end{aligned}"


def broken(latex: str, width: int = WIDTH) -> list[str]:
    """A formula cut into lines of at most `width` letters where its sums and brackets allow it.

    Terms are kept whole where they fit; a term that does not is cut inside its widest bracket, and
    so on. A formula that fits is returned as it is. Raises ValueError for unbalanced LaTeX.
    """
    items = _items(latex)
    if _measure(items) <= width:
        return [latex]
    lines: list[str] = []
    room = 0.0
    for depth, piece in _pieces(items, width, 0):
        size = _measure(piece)
        if not lines or size > room:
            indent = 0 if not lines else 1 + min(depth, _DEEPEST)
            start = "{} " if lines and piece[0] in ("+", "-") and piece[1:2] == (" ",) else ""
            lines.append(r"\quad " * indent + start + _spell(piece).strip())
            room = width - 2 * indent - size
        else:
            lines[-1] = f"{lines[-1].rstrip()} {_spell(piece).strip()}"
            room -= size
    return lines


def _tokens(latex: str) -> list[str]:
    return [match[0] for match in _TOKEN.finditer(latex)]


def _items(latex: str) -> tuple[_Item, ...]:
    return _parse(_tokens(latex), 0, "")[0]


def _parse(tokens: list[str], at: int, until: str) -> tuple[tuple[_Item, ...], int]:
    r"""Items from token `at` up to the \right or } that ends them, and where that is."""
    items: list[_Item] = []
    while at < len(tokens):
        part = tokens[at]
        if part.startswith(r"\left") and not part[5:6].isalpha():
            inside, end = _parse(tokens, at + 1, r"\right")
            items.append(_Bracket(part[5:].strip(), inside, tokens[end][6:].strip()))
            at = end + 1
        elif (part.startswith(r"\right") and not part[6:7].isalpha()) or part == "}":
            if not until or not part.startswith(until):
                raise ValueError(f"unbalanced LaTeX: {part} without its beginning")
            return tuple(items), at
        elif part == "{":
            _, end = _parse(tokens, at + 1, "}")
            items.append("".join(tokens[at : end + 1]))
            at = end + 1
        else:
            items.append(part)
            at += 1
    if until:
        raise ValueError(f"unbalanced LaTeX: no {until}")
    return tuple(items), at


def _measure(items: Sequence[_Item]) -> float:
    """The width in letters of the typeset items."""
    total, at = 0.0, 0
    while at < len(items):
        item = items[at]
        at += 1
        if isinstance(item, _Bracket):
            total += 1.2 + _measure(item.inside)
        elif item in ("_", "^"):
            if at < len(items):
                total += _measure(items[at : at + 1]) * 2 / 3
            at += 1
        elif item == r"\frac":
            total += max(map(_inner, items[at : at + 2]), default=0)
            at += 2
        elif item.startswith("{"):
            total += _inner(item)
        elif not item.isspace():
            total += 2 if item in "+-" else _NARROW.get(item, 1)
    return total


def _inner(item: _Item) -> float:
    """The width of what a {group} holds, or of a single token."""
    if isinstance(item, str) and item.startswith("{"):
        return _measure(_items(item[1:-1]))
    return _measure((item,))


def _terms(items: tuple[_Item, ...]) -> list[tuple[_Item, ...]]:
    """The items cut before each + and - between spaces and after each comma."""
    cuts = [0]
    for i, item in enumerate(items):
        spaced = 0 < i < len(items) - 1 and all(str(items[j]).isspace() for j in (i - 1, i + 1))
        if item in ("+", "-") and spaced:
            cuts.append(i)
        elif item == "," and i + 1 < len(items):
            cuts.append(i + 1)
    return [items[a:b] for a, b in zip(cuts, [*cuts[1:], len(items)], strict=True)]


_Piece = tuple[int, tuple[_Item, ...]]
"""What must stay on one line, with the number of opened brackets around it."""


def _pieces(items: tuple[_Item, ...], width: float, depth: int) -> list[_Piece]:
    result: list[_Piece] = []
    for term in _terms(items):
        opened = term if _measure(term) <= width else _open_fractions(term, width)
        brackets = [i for i, item in enumerate(opened) if isinstance(item, _Bracket)]
        inside = [b for b in brackets if _can_break(opened[b])]
        if _measure(opened) <= width or not inside:
            result.append((depth, opened))
            continue
        widest = max(inside, key=lambda i: _measure(opened[i : i + 1]))
        bracket = opened[widest]
        assert isinstance(bracket, _Bracket)  # noqa: S101 - as just chosen
        head = _pieces((*opened[:widest], rf"\Bigl{bracket.opening}"), width, depth)
        inner = _pieces(bracket.inside, width - 4, depth + 1)
        tail = _pieces((rf"\Bigr{bracket.closing}", *opened[widest + 1 :]), width, depth)
        result += _joined(_joined(head, inner, width), tail, width)
    return [(d, piece) for d, piece in result if piece]


def _joined(left: list[_Piece], right: list[_Piece], width: float) -> list[_Piece]:
    """Both in a row; no line ends with an opening bracket or begins with a closing one if that
    fits.
    """
    (depth, last), (_, first) = left[-1], right[0]
    if _measure(last) + _measure(first) > width:
        return left + right
    return [*left[:-1], (depth, (*last, *first)), *right[1:]]


def _can_break(item: _Item) -> bool:
    """Whether a bracket, or one within it, holds a sum or several directions."""
    if not isinstance(item, _Bracket):
        return False
    return len(_terms(item.inside)) > 1 or any(map(_can_break, item.inside))


def _open_fractions(term: tuple[_Item, ...], width: float) -> tuple[_Item, ...]:
    """A fraction of a long sum as one over its denominator times the sum in brackets."""
    result: list[_Item] = []
    at = 0
    while at < len(term):
        if term[at] == r"\frac" and _inner(term[at + 1]) > width / 2:
            top = _items(str(term[at + 1])[1:-1])
            if len(_terms(top)) > 1:
                result += [r"\frac", "{1}", term[at + 2], " ", r"\,", " ", _Bracket("(", top, ")")]
                at += 3
                continue
        result.append(term[at])
        at += 1
    return tuple(result)


def _spell(items: Sequence[_Item]) -> str:
    return "".join(
        item
        if isinstance(item, str)
        else rf"\left{item.opening}{_spell(item.inside)}\right{item.closing}"
        for item in items
    )
