"""Reads printed formulas back: text, LaTeX and MathML to one row of tokens, and those to numbers in
R^d.

A reader knows nothing of trees: it takes a formula as a person would. Factors side by side multiply
and a/b c means (a/b) c. In d_x d_m s[u, v] the first derivative is along u, the second along v; a
Jacobian without brackets is a matrix; u (x) v is u v^T. `field` gives derivatives of the scores
along directions, as in oracle_problems.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np

Token = tuple[str, Any]
NAMES = {
    "Γ": "Gamma",
    "ν": "nu",
    "γ": "gamma",
    "τ": "tau",
    "s^x": "sx",
    "s^m": "sm",
    "β": "beta",
    "β′": "dbeta",
    "β″": "d2beta",
    "β‴": "d3beta",
    "λ_s": "lambda_s",
    "√λ_s": "root_lambda",
    **{c: c for c in ("x", "m", "q", "p", "s", "M", "I", "e1", "e2", "e3")},
}
_SUPER = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_TEXT = re.compile(
    r"\s*(?:(?P<number>\d+)|(?P<partial>∂_(?P<along>.)(?P<times>[⁰¹²³⁴-⁹]*))|Δ_(?P<laplace>.)|(?P<power>[⁰¹²³⁴-⁹]+)"
    r"|(?P<name>s\^x|s\^m|√λ_s|λ_s|β[′″‴]?|e\d|[ΓνγτxmqpsMI])|(?P<mark>[-−+/()\[\],⊗ᵀ]))"
)


def from_text(text: str) -> Iterator[Token]:
    position = 0
    while position < len(text):
        match = _TEXT.match(text, position)
        assert match, f"cannot read {text[position:]!r}"
        position = match.end()
        part = match.groupdict()
        if part["number"]:
            yield "number", int(part["number"])
        elif part["partial"]:
            yield "partial", (NAMES[part["along"]], int(part["times"].translate(_SUPER) or 1))
        elif part["laplace"]:
            yield "laplace", part["laplace"]
        elif part["power"]:
            yield "power", int(part["power"].translate(_SUPER))
        elif part["name"]:
            yield "name", NAMES[part["name"]]
        else:
            yield part["mark"].replace("−", "-"), None


_LATEX = re.compile(
    r"\s*(?:(?P<skip>\\,|\\left|\\right)|(?P<partial>\\partial_\{(?P<along>\\?\w+)\}(?:\^\{(?P<times>\d+)\})?)"
    r"|\\Delta_\{(?P<laplace>\w)\}|\^\{(?P<power>\d+)\}|(?P<transposed>\^\{T\})|(?P<number>\d+)|(?P<frac>\\frac)"
    r"|(?P<name>s\^\{[xm]\}|e_\{\d\}|\\sqrt\{\\lambda_s\}|\\lambda_s|\\beta'{0,3}|\\(?:Gamma|nu|gamma|tau)\b|[xmqpsMI])"
    r"|(?P<outer>\\otimes)|(?P<mark>[-+/()\[\],{}]))"
)
_LATEX_NAMES = {
    r"\beta": "beta",
    r"\beta'": "dbeta",
    r"\beta''": "d2beta",
    r"\beta'''": "d3beta",
    r"\lambda_s": "lambda_s",
    r"\sqrt{\lambda_s}": "root_lambda",
    "s^{x}": "sx",
    "s^{m}": "sm",
    **{f"e_{{{k}}}": f"e{k}" for k in (1, 2, 3)},
}


def from_latex(text: str) -> Iterator[Token]:
    fractions: list[list[int]] = []
    depth = position = 0
    while position < len(text):
        match = _LATEX.match(text, position)
        assert match, f"cannot read {text[position:]!r}"
        position = match.end()
        part = match.groupdict()
        if part["partial"]:
            yield "partial", (part["along"].lstrip("\\"), int(part["times"] or 1))
        elif part["frac"]:
            fractions.append([depth, 0])
            yield "(", None
        elif part["name"]:
            yield "name", _LATEX_NAMES.get(part["name"], part["name"].lstrip("\\"))
        elif part["mark"]:
            depth += {"{": 1, "}": -1}.get(part["mark"], 0)
            yield {"{": "(", "}": ")"}.get(part["mark"], part["mark"]), None
            if part["mark"] == "}" and fractions and fractions[-1][0] == depth:
                fractions[-1][1] += 1
                yield ("/" if fractions[-1][1] == 1 else ")"), None
                if fractions[-1][1] == 2:
                    fractions.pop()
        elif part["outer"] or part["transposed"]:
            yield ("⊗" if part["outer"] else "ᵀ"), None
        else:
            for kind in ("number", "power", "laplace"):
                if part[kind]:
                    yield kind, part[kind] if kind == "laplace" else int(part[kind])
    assert depth == 0 and not fractions


def from_mathml(text: str) -> Iterator[Token]:
    """Raises ET.ParseError unless the formula is well-formed XML."""
    yield from _walk(ET.fromstring(f"<math>{text}</math>"))  # noqa: S314 - our own output


def _walk(node: ET.Element) -> Iterator[Token]:
    parts = list(node)
    flat = "".join(node.itertext())
    if node.tag in ("math", "mrow"):
        for part in parts:
            yield from _walk(part)
    elif node.tag == "mn":
        yield "number", int(flat)
    elif node.tag == "mi":
        yield "name", NAMES[flat]
    elif node.tag == "mo":
        assert flat in "−+()[],⊗" and len(flat) == 1, flat
        yield flat.replace("−", "-"), None
    elif node.tag == "mfrac":
        yield "(", None
        for mark, part in zip("/)", parts, strict=True):
            yield "(", None
            yield from _walk(part)
            yield ")", None
            yield mark, None
    elif node.tag in ("msub", "msubsup") and parts[0].text in ("∂", "Δ"):
        along = NAMES["".join(parts[1].itertext())]
        times = int(parts[2].text or 0) if node.tag == "msubsup" else 1
        yield ("partial", (along, times)) if parts[0].text == "∂" else ("laplace", along)
    elif node.tag == "msub" or (
        node.tag == "msup" and parts[0].tag == "mi" and parts[1].tag != "mn"
    ):
        yield "name", NAMES[{"λs": "λ_s", "sx": "s^x", "sm": "s^m"}.get(flat, flat)]
    elif node.tag == "msqrt":
        assert flat == "λs"
        yield "name", "root_lambda"
    elif node.tag == "msup":
        yield "(", None
        yield from _walk(parts[0])
        yield ")", None
        yield ("ᵀ", None) if parts[1].text == "T" else ("power", int(parts[1].text or 0))
    else:
        assert node.tag == "mspace", node.tag


READERS: dict[str, Callable[[str], Iterator[Token]]] = {
    "text": from_text,
    "latex": from_latex,
    "mathml": from_mathml,
}


class Formula:
    """The value of a row of tokens: a number, a vector (d,) or a matrix (d, d)."""

    def __init__(
        self, tokens: Iterator[Token], field: Callable[..., Any], values: Mapping[str, Any], d: int
    ):
        self.tokens, self.at = [*tokens, ("end", None)], 0
        self.field, self.values, self.units = field, values, np.eye(d)

    def value(self) -> Any:
        result = self.sum()
        assert self.peek() == "end", self.tokens[self.at :]
        return result

    def peek(self) -> str:
        return self.tokens[self.at][0]

    def take(self, kind: str | None = None) -> Any:
        assert kind in (None, self.peek()), (kind, self.tokens[self.at :])
        self.at += 1
        return self.tokens[self.at - 1][1]

    def sum(self) -> Any:
        sign = -1 if self.peek() == "-" else 1
        if sign < 0:
            self.take()
        total = sign * self.term()
        while self.peek() in "+-":
            sign = -1 if self.peek() == "-" else 1
            self.take()
            total = total + sign * self.term()
        return total

    def term(self) -> Any:
        """A product; unit vectors that stand in it are summed over the coordinates."""
        start = self.at
        free = self.unit_vectors()
        if not free:
            return self.product()
        total = 0.0
        for units in product(self.units, repeat=len(free)):
            self.at, self.values = start, {**self.values, **dict(zip(free, units, strict=True))}
            total = total + self.product()
        self.values = {name: v for name, v in self.values.items() if name not in free}
        return total

    def unit_vectors(self) -> list[str]:
        """Those of the term that begins here, which no term within its parentheses sums over."""
        found, depth, open_ = list[str](), 0, 0
        for kind, what in self.tokens[self.at :]:
            depth += (kind == "(") - (kind == ")")
            open_ += (kind == "[") - (kind == "]")
            if depth < 0 or open_ < 0 or (not depth and not open_ and kind in "+-,end"):
                break
            if kind == "name" and not depth and re.fullmatch(r"e\d", what):
                found += [what] if what not in (*found, *self.values) else []
        return found

    def product(self) -> Any:
        value = self.factor()
        while self.peek() in ("/", "⊗", "(", "number", "name", "partial", "laplace"):
            if self.peek() == "/":
                self.take()
                value = value / self.factor()
            elif self.peek() == "⊗":
                self.take()
                value = np.outer(value, self.factor())
            else:
                right = self.factor()
                kinds = np.ndim(value), np.ndim(right)
                assert kinds != (1, 1), "two vectors side by side mean nothing"
                value = value @ right if min(kinds) else value * right
        return value

    def factor(self) -> Any:
        along: list[str] = []
        times, traces = 0, []
        while self.peek() in ("partial", "laplace"):
            if self.peek() == "laplace":
                traces.append(self.take())
                continue
            c, k = self.take()
            along += [c] * k if c != "tau" else []
            times += k if c == "tau" else 0
        if self.peek() == "(":
            assert not along and not times and not traces
            self.take()
            value = self.sum()
            self.take(")")
        elif self.peek() == "number":
            value = float(self.take())
        else:
            name = self.take("name")
            if name in ("s", "sx", "sm"):
                value = self.function(name, times, along, traces)
            else:
                assert not along and not times and not traces
                value = np.eye(len(self.units)) if name == "I" else self.values[name]
        if self.peek() == "power":
            assert np.ndim(value) == 0
            value = value ** self.take()
        if self.peek() == "ᵀ":
            self.take()
            value = value.T
        return value

    def function(self, name: str, times: int, along: list[str], traces: list[str]) -> Any:
        rows: list[list[Any]] = [[]]
        if self.peek() == "[":
            self.take()
            arguments = [self.sum()]
            while self.peek() == ",":
                self.take()
                arguments.append(self.sum())
            self.take("]")
            return self.traced(name, times, list(zip(along, arguments, strict=True)), traces)
        assert len(along) <= 1, "a second derivative needs its directions"
        if along:
            rows = [[(along[0], unit)] for unit in self.units]
            return np.stack([self.traced(name, times, row, traces) for row in rows], axis=-1)
        return self.traced(name, times, [], traces)

    def traced(self, name: str, times: int, directions: list[Any], traces: list[str]) -> Any:
        if not traces:
            return self.field(name, times, tuple(directions))
        (c,) = traces
        return sum(self.field(name, times, ((c, u), (c, u), *directions)) for u in self.units)
