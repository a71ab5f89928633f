"""Order of a splitting of exact flows from algebra alone: products of exponentials of free letters.

A word of pieces with fractions c is the product of exp(c h X) over letters X that do not commute.
Expanded in strings of letters, it agrees with exp(h (X + Y + ...)) through h^p exactly when every
string of n <= p letters has the coefficient 1/n!. No differential is involved.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from math import factorial


def splitting_order(pieces: Sequence[tuple[str, Fraction]], highest: int) -> int:
    """The order of the word of (letter, fraction) pieces, `highest` if no defect shows through
    it.
    """
    strings: dict[str, Fraction] = {"": Fraction(1)}
    for letter, fraction in pieces:
        grown: dict[str, Fraction] = {}
        for string, coefficient in strings.items():
            for k in range(highest - len(string) + 1):
                key = string + letter * k
                grown[key] = grown.get(key, Fraction(0)) + coefficient * fraction**k / factorial(k)
        strings = grown
    letters = sorted({letter for letter, _ in pieces})
    for n in range(1, highest + 1):
        if any(
            strings.get("".join(s), 0) != Fraction(1, factorial(n))
            for s in product(letters, repeat=n)
        ):
            return n - 1
    return highest
