"""Code of pieces whose linear part has a rate of its own, r = -alpha'/alpha: those of flow
matching, where alpha = 1 - tau.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy

from splitting_analysis.code_lines import shifted, spelled, summed
from splitting_analysis.program import Advance


def frozen_fading(share: Fraction, rate: str) -> str:
    """What a share of the fading at a frozen rate adds to x; "" for none."""
    if not share:
        return ""
    return f" + {summed([(sympy.Rational(*share.as_integer_ratio()), rate)])} * x"


def faded_lines(op: Advance, noise: Any) -> list[str]:
    """The exact flow of x over a stretch of the step, its noise included.

    With v = log of (1 - end)/(1 - tau) the noise of dtau is 2 (1 - (1 - end) e^-v) dv, and grows by
    e^(2 c v).
    """
    c = sympy.Rational(*op.piece.fading.as_integer_ratio())
    grown = sympy.Symbol("grown")
    lines = [
        f"begin, end = {_forward(op.start)}, {_forward(op.stop)}",
        "grown = log(model.alpha(end) / model.alpha(begin))",
    ]
    keep = f"exp({spelled(c * grown)}) * x"
    if noise == 0:
        return [*lines, f"x = {keep}"]
    slow, fast = (f"expm1({spelled(k * grown)}) / ({spelled(k)})" for k in (2 * c, 2 * c - 1))
    return [
        *lines,
        f"spread = {spelled(2 * noise)} * ({slow} - (1 - end) * {fast})",
        f"x = {keep} + sqrt(spread) * xi",
    ]


def _forward(at: Fraction) -> str:
    return "T - t" if at == 0 else f"T - ({shifted('t', at)})"
