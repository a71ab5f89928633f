"""What a user types beside a word: score expressions and key=value options, read without eval.

    parse_expression("sin(0.7*x) - m/2 + exp(-tau)", ("x", "m", "tau"))  -> a SymPy expression
    parse_settings("Gamma=0.01,nu=4.01", ("Gamma", "nu", "beta"))        -> floats by key

Decimal numbers are read as the exact rationals that they spell (0.7 is 7/10): what should cancel
does so symbolically, nothing is rounded twice, and a number derived from the expression is
rounded once, when it becomes a float64 (or an mpmath number of any precision).
"""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from splitting_analysis.notation import WordError, read_float

if TYPE_CHECKING:
    import sympy

FUNCTIONS: Mapping[str, Callable[[float], float]] = {
    name: getattr(math, name)
    for name in ("sin", "cos", "tan", "exp", "log", "sqrt", "sinh", "cosh", "tanh", "atan", "erf")
}
"""Each has the same name in SymPy; the float version keeps constants within float64."""
MAX_LENGTH, MAX_DEPTH, MAX_EXPONENT, MAX_BITS = 2000, 100, 64, 5000
MAX_NESTED = 8
"""Functions within functions: the time SymPy takes for tanh doubles with each (8: a second)."""
_OPERATORS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def parse_expression(text: str, names: Iterable[str]) -> sympy.Expr:
    """The SymPy expression that `text` spells in symbols of the given names, numbers, pi,
    FUNCTIONS.

    Raises ValueError showing the place and what is allowed, for any other text: nothing is
    evaluated as Python, and constants beyond float64 (9**9**9, 1/0, log(0)) are refused.
    """
    return _Reader(text.strip(), names).read()


class _Reader:
    """One text being read. A visit gives an expression, and its float value if it is constant."""

    def __init__(self, text: str, names: Iterable[str]) -> None:
        import sympy  # half a second: loaded when an expression is read, not by --help

        self.sympy, self.text = sympy, text
        self.names = {name: sympy.Symbol(name) for name in names}
        self.nested = 0
        self.allowed = f"numbers, {', '.join(self.names)}, pi, + - * / **, {', '.join(FUNCTIONS)}"

    def refuse(self, problem: str, place: ast.expr | int = 0, allowed: str = "") -> ValueError:
        """The same picture as for a bad word: the place marked, and what may stand there."""
        start, length = place if isinstance(place, int) else place.col_offset, 1
        if isinstance(place, ast.expr) and place.end_col_offset is not None:
            length = place.end_col_offset - start
        return ValueError(
            str(WordError(self.text, start, length, problem, allowed or self.allowed))
        )

    def read(self) -> sympy.Expr:
        if not self.text:
            raise self.refuse("the expression is empty")
        if len(self.text) > MAX_LENGTH:
            raise self.refuse(
                f"the expression has {len(self.text)} characters", 0, f"at most {MAX_LENGTH}"
            )
        # ASCII: so the columns that Python reports are ours
        for place, char in enumerate(self.text):
            if not (" " <= char <= "~") or char in "#;\\":
                raise self.refuse(f"{char!a} cannot stand in an expression", place)
            if char == "^":
                raise self.refuse("^ is not an operator here", place, "** for powers")
        try:
            with warnings.catch_warnings():  # of Python's about text that is refused below
                warnings.simplefilter("ignore")
                tree = ast.parse(self.text, mode="eval")
        except SyntaxError as error:
            place = min(max((error.offset or 1) - 1, 0), len(self.text) - 1)
            hint = f"{self.allowed} (write 2*x, not 2x)"
            raise self.refuse(f"cannot read this expression: {error.msg}", place, hint) from None
        except (ValueError, MemoryError, RecursionError):
            raise self.refuse("cannot read this expression") from None
        expression, _ = self.visit(tree.body, 0)
        if expression.has(self.sympy.zoo, self.sympy.nan, self.sympy.oo, self.sympy.I):
            raise self.refuse("the expression has no finite real value", tree.body)
        return expression

    def visit(self, node: ast.expr, depth: int) -> tuple[Any, float | None]:
        if depth > MAX_DEPTH:
            raise self.refuse(
                "the expression is nested too deeply", node, f"at most {MAX_DEPTH} levels"
            )
        match node:
            case ast.Constant(value=bool() | complex() | str() | bytes() | None):
                raise self.refuse("only real numbers are understood", node)
            case ast.Constant(value=int() | float() as number):
                rounded = self.finite(node, float, number)  # first: it bounds the exponent
                return self.number(node, number), rounded
            case ast.Name(id="pi"):
                return self.sympy.pi, math.pi
            case ast.Name(id=name) if name in self.names:
                return self.names[name], None
            case ast.Name(id=name) if name in FUNCTIONS:
                raise self.refuse(f"{name} needs an argument", node, f"{name}(...)")
            case ast.Name(id=name):
                hint = did_you_mean(name, [*self.names, *FUNCTIONS])
                raise self.refuse(f"unknown name {name!r}{hint}", node)
            case ast.UnaryOp(op=ast.UAdd(), operand=inner):
                return self.visit(inner, depth + 1)
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                value, constant = self.visit(inner, depth + 1)
                return -value, None if constant is None else -constant
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                pair = self.visit(left, depth + 1), self.visit(right, depth + 1)
                return self.combine(node, _OPERATORS[type(op)], *pair)
            case ast.Call(func=ast.Name() as function):
                return self.call(node, function, depth)
            case _:
                raise self.refuse("this is not part of a score expression", node)

    def number(self, node: ast.expr, number: float) -> Any:
        """Exactly what is spelled, not the float that Python made of it."""
        spelled = self.text[node.col_offset : node.end_col_offset].lower().replace("_", "")
        if number == 0:  # no exponent is built here: 0e999999999
            if re.search("[1-9]", spelled.partition("e")[0]):
                raise self.refuse(
                    "this constant is closer to 0 than float64 reaches", node, "5e-324 or more"
                )
            return self.sympy.Integer(0)
        value = self.sympy.Rational(spelled if isinstance(number, float) else number)
        if max(value.p.bit_length(), value.q.bit_length()) > MAX_BITS:
            raise self.refuse("this constant has too many digits", node, f"up to {MAX_BITS} bits")
        return value

    def call(self, node: ast.Call, function: ast.Name, depth: int) -> tuple[Any, float | None]:
        name = function.id
        if name in self.names or name == "pi":
            raise self.refuse(f"{name} is not a function", node, f"{name}*(...) for a product")
        if name not in FUNCTIONS:
            return self.visit(function, depth)  # refused as an unknown name
        if len(node.args) != 1 or node.keywords:
            raise self.refuse(f"{name} takes one argument", node, f"{name}(...)")
        self.nested += 1
        if self.nested > MAX_NESTED:
            allowed = f"at most {MAX_NESTED} functions within each other"
            raise self.refuse("the expression is nested too deeply", node, allowed)
        value, constant = self.visit(node.args[0], depth + 1)
        self.nested -= 1
        checked = None if constant is None else self.finite(node, FUNCTIONS[name], constant)
        return getattr(self.sympy, name)(value), checked

    def finite(self, node: ast.expr, function: Callable[..., Any], *values: float) -> float:
        """The float value of a constant; refused unless finite and real."""
        try:
            value = function(*values)
        except (ValueError, ZeroDivisionError, OverflowError):
            value = math.nan
        if isinstance(value, complex) or not math.isfinite(value):
            raise self.refuse(
                "this constant is not a finite real number", node, "constants within float64"
            )
        return float(value)

    def combine(
        self,
        node: ast.expr,
        operation: Callable[[Any, Any], Any],
        left: tuple[Any, float | None],
        right: tuple[Any, float | None],
    ) -> tuple[Any, float | None]:
        (a, a_value), (b, b_value) = left, right
        if operation is operator.pow and b_value is not None:
            # checked before SymPy computes it: exact powers of rationals grow without bound
            bits = max(a.p.bit_length(), a.q.bit_length()) if a.is_Rational else 0
            if abs(b_value) > MAX_EXPONENT or bits * abs(b_value) > MAX_BITS:
                raise self.refuse(
                    "this power is too large", node, f"exponents up to {MAX_EXPONENT}"
                )
        if operation is operator.truediv and b == 0:
            raise self.refuse("division by zero", node)
        constant = None
        if a_value is not None and b_value is not None:
            constant = self.finite(node, operation, a_value, b_value)
        value = operation(a, b)
        if value.is_Rational and max(value.p.bit_length(), value.q.bit_length()) > MAX_BITS:
            raise self.refuse("this constant has too many digits", node, f"up to {MAX_BITS} bits")
        return value, constant


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ " (did you mean ...?)" if something known is spelled almost like it, else nothing."""
    close = get_close_matches(word, list(known), 1)
    return f" (did you mean {close[0]}?)" if close else ""


def parse_settings(
    text: str, known: Collection[str], others: Collection[str] = ()
) -> dict[str, float]:
    """The finite numbers of "key=value,key=value"; {} for an empty text.

    `others` are keys that were read before, and that a message names too. Raises ValueError naming
    the item for an unknown, repeated or missing key and for a value that is not a finite number.
    """
    every = [*known, *others]
    allowed = f"key=number,key=number with the keys {', '.join(every) or '(none)'}"
    values: dict[str, float] = {}
    start = 0

    def refuse(problem: str) -> ValueError:
        return ValueError(str(WordError(text, start, len(item), problem, allowed)))

    for item in text.split(",") if text.strip() else []:
        key, equals, number = (part.strip() for part in item.partition("="))
        if not equals:
            raise refuse(f"no key=value in {item.strip()[:40]!a}")
        if key not in known:
            raise refuse(f"unknown key {key[:40]!a}{did_you_mean(key, every)}")
        if key in values:
            raise refuse(f"{key} is given twice")
        try:
            values[key] = read_float(number)
        except ValueError as error:
            raise refuse(str(error)) from None
        if not math.isfinite(values[key]):
            raise refuse(f"{key}={number[:40]} is not finite")
        start += len(item) + 1
    return values
