"""Coefficients, sums and stretches of a step as lines of Python code spell them."""

from __future__ import annotations

import re
from fractions import Fraction
from textwrap import indent
from typing import Any

import sympy


def indented(lines: list[str]) -> list[str]:
    return [indent(line, "    ") for line in lines]


def share_of(what: str, share: Fraction) -> str:
    """A part of something: "b", "b / 2", "3 * b / 10"."""
    times = what if share.numerator == 1 else f"{share.numerator} * {what}"
    return times if share.denominator == 1 else f"{times} / {share.denominator}"


def shifted(t: str, at: Fraction) -> str:
    return t if at == 0 else f"{t} + {share_of('h', at)}"


def summed(terms: list[tuple[Any, str]]) -> str:
    """Coefficients times names, as a sum in their order."""
    text = ""
    for coefficient, name in terms:
        term = spelled(coefficient * sympy.Symbol(name))
        if text:
            text += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
        else:
            text = term
    return text


def grouped(text: str) -> str:
    """A sum in brackets; a product as it is."""
    return f"({text})" if " + " in text or " - " in text else text


def spelled(value: Any) -> str:
    """A product of numbers and symbols as Python has it."""
    return re.sub(r" *([*/]) *", r" \1 ", sympy.sstr(value))
