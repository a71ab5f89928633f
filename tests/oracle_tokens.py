"""A word's token taken apart, for the oracles, which import nothing of the package."""

from __future__ import annotations

import re
from fractions import Fraction


def read(token: str) -> tuple[str, str, Fraction, Fraction, list[Fraction]]:
    """letter, rule, score time, fraction, Runge-Kutta row of one token."""
    match = re.fullmatch(
        r"([A-Z])(?:@([\d/]+))?(:[a-z]+)?(?:\*([-\d/]+)|/(\d+))?(?:\[(.*)\])?", token
    )
    assert match, token
    letter, at, rule, times, over, row = match.groups()
    part = Fraction(times) if times else Fraction(1, int(over or 1))
    return (
        letter,
        rule or "",
        Fraction(at or 0),
        part,
        [Fraction(w) for w in row.split(",")] if row else [],
    )
