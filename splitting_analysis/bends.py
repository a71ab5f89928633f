"""B of conjugate steps that moves: "{lambda*tau,0,0,lambda}", entries row by row, as data.

An entry is a number, a name (NAMES), or a tuple of an operation and its operands; every world gives
them its own arithmetic by `value`. Nothing is evaluated as Python. Standard library only.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

NAMES = ("tau", "lambda", "beta", "Gamma", "nu", "M")
"""Forward time, lambda, the clock's rate at that time, and PSLD's parameters."""
MOVING = frozenset({"tau", "beta"})
FUNCTIONS = ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "erf")
MAX_LENGTH, MAX_DEPTH, MAX_EXPONENT, MAX_DIGITS = 400, 30, 64, 40
ALLOWED = f"numbers, {', '.join(NAMES)}, + - * / **, {', '.join(FUNCTIONS)}"

Node = Any
"""Fraction | str | (operation, node, ...), with the operations + - * / ** neg and FUNCTIONS."""
_OPERATORS: Mapping[type, str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
}
_ACT: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_STRENGTH = {"+": 1, "-": 1, "*": 2, "/": 2, "neg": 3, "**": 4}


@dataclass(frozen=True)
class Arithmetic:
    """How a world evaluates entries; + - * / are the operators of what it returns."""

    number: Callable[[Fraction], Any]
    names: Mapping[str, Any]
    call: Callable[[str, Any], Any]
    """A function of FUNCTIONS at a value."""
    power: Callable[[Any, Fraction], Any]


def value(node: Node, by: Arithmetic) -> Any:
    """An entry in that arithmetic."""
    match node:
        case Fraction():
            return by.number(node)
        case str():
            return by.names[node]
        case ("neg", inner):
            return -value(inner, by)
        case ("**", base, Fraction() as exponent):
            return by.power(value(base, by), exponent)
        case (act, left, right):
            return _ACT[act](value(left, by), value(right, by))
        case (function, inner):
            return by.call(function, value(inner, by))
        case _:
            raise AssertionError(node)


@cache
def entries(text: str) -> tuple[Node, ...]:
    """The entries of "{a,b,c,d}". Raises ValueError saying which is none, and what would be."""
    return tuple(read(entry) for entry in text.strip("{}").split(","))


def canonical(text: str) -> str:
    """The one spelling of a matrix. Raises ValueError unless it has four entries, and as `read`."""
    found = entries(text)
    if len(found) != 4:
        raise ValueError(f"B is a matrix of 4 entries, row by row, not {len(found)}")
    return "{" + ",".join(map(spelled, found)) + "}"


def is_constant(text: str) -> bool:
    """Whether it is a matrix of numbers, which lambda multiplies; others are B as they stand."""
    return all(isinstance(entry, Fraction) for entry in entries(text))


def occurring(node: Node) -> frozenset[str]:
    """The names in an entry."""
    if isinstance(node, tuple):
        return frozenset().union(*map(occurring, node[1:]))
    return frozenset({node} if isinstance(node, str) else ())


def has_lambda(text: str) -> bool:
    """Whether lambda acts in the matrix."""
    return is_constant(text) or any("lambda" in occurring(entry) for entry in entries(text))


def is_moving(text: str) -> bool:
    """Whether the matrix depends on time."""
    return any(occurring(entry) & MOVING for entry in entries(text))


@cache
def read(text: str) -> Node:
    """One entry. Raises ValueError, one sentence, for a text that is none."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"an entry of B has {len(text)} characters, and may have {MAX_LENGTH}")
    shown = f"{text.strip()[:40]!a}"
    if not re.fullmatch(r"[A-Za-z0-9+*/().\- ]+", text):
        raise ValueError(f"{shown} is no entry of B")
    said = re.sub(r"\blambda\b", "lambda_", text.strip())  # a word of Python's
    try:
        tree = ast.parse(said, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError(f"{shown} is no entry of B") from None
    try:
        return _node(tree.body, said, 0)
    except ZeroDivisionError:
        raise ValueError(f"{shown} divides by zero") from None


def _node(tree: ast.expr, text: str, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise ValueError(f"an entry of B is nested more than {MAX_DEPTH} levels deep")
    match tree:
        case ast.Constant():
            return _number(text[tree.col_offset : tree.end_col_offset])
        case ast.Name(id=name) if name.strip("_") in NAMES:
            return name.strip("_")
        case ast.Name(id=name):
            raise ValueError(f"unknown name {name!a} in B")
        case ast.UnaryOp(op=ast.UAdd(), operand=inner):
            return _node(inner, text, depth + 1)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            found = _node(inner, text, depth + 1)
            return -found if isinstance(found, Fraction) else ("neg", found)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            pair = (_node(left, text, depth + 1), _node(right, text, depth + 1))
            return _combined(_OPERATORS[type(op)], *pair)
        case ast.Call(func=ast.Name(id=name), args=[inner], keywords=[]) if name in FUNCTIONS:
            return (name, _node(inner, text, depth + 1))
        case _:
            shown = ast.unparse(tree).replace("lambda_", "lambda")[:40]
            raise ValueError(f"{shown!a} cannot stand in B")


def _number(spelled: str) -> Fraction:
    if not re.fullmatch(r"([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(e[+-]?[0-9]{1,2})?", spelled):
        raise ValueError(f"{spelled[:40]!a} is no number in B, such as 2, 0.5 or 1e-3")
    return _short(Fraction(spelled))


def _short(number: Fraction) -> Fraction:
    if max(abs(number.numerator), number.denominator) >= 10**MAX_DIGITS:
        raise ValueError(f"a number in B has more than {MAX_DIGITS} digits")
    return number


def _combined(act: str, left: Node, right: Node) -> Node:
    """The operation, carried out where both sides are numbers."""
    if act == "**":
        if not isinstance(right, Fraction) or abs(right) > MAX_EXPONENT:
            raise ValueError(f"a power in B is a number up to {MAX_EXPONENT}; exp(...) for others")
        if isinstance(left, Fraction) and right.denominator == 1:
            return _short(left**right.numerator)
        return (act, left, right)
    if act == "/" and right == 0:
        raise ZeroDivisionError
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return _short(_ACT[act](left, right))
    return (act, left, right)


def spelled(node: Node) -> str:
    """The text of an entry, which `read` reads as the same."""
    return _spelled(node)[0]


def _spelled(node: Node) -> tuple[str, int]:
    """The text and how strongly it holds together."""
    if isinstance(node, Fraction):
        return str(node), 1 if node < 0 else 5 if node.denominator == 1 else 2
    if isinstance(node, str):
        return node, 5
    act, *operands = node
    if act not in _STRENGTH:
        return f"{act}({spelled(operands[0])})", 5
    own = _STRENGTH[act]
    if act == "neg":
        return f"-{_within(operands[0], own + 1)}", own
    # ** alone binds from the right: its base wants brackets, and its power, unless plain, too
    left, right = (own + 1, 5) if act == "**" else (own, own + 1)
    return _within(operands[0], left) + act + _within(operands[1], right), own


def _within(node: Node, least: int) -> str:
    text, strength = _spelled(node)
    return text if strength >= least else f"({text})"
