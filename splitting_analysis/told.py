"""What a scheme may be told beside its word: source, lambda_s, factor, ending.

Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import Literal

MOST_ETA = 10
"""A noise level beyond it is no sampler's."""
MOST_CONJUGATE = 1000
"""|lambda| of conjugate steps beyond it is no sampler's."""
MOST_SKIP = 10**6
"""A variance of data beyond it is no one's."""
Factor = Literal["lower", "upper", "symmetric", "flow", "aligned"]
FACTORS: tuple[Factor, ...] = ("lower", "upper", "symmetric", "flow", "aligned")
"""Square roots R of the kernel's covariance: triangular, symmetric, carried along by the
probability flow, or with R^-1 mu in one direction at all times (mu: what multiplies x_0)."""
TRIANGULAR: tuple[Factor, ...] = FACTORS[:2]
"""Those that a network's eps has, and conjugate steps."""
Denoise = bool | Literal["data"]
"""How a run ends: as it is (False), with an Euler step over what is left to T (True), or with the
data predicted in place of the position; the last two take one evaluation."""


class DoesNotAct(ValueError):
    """A setting that changes nothing in a word, told to it; another word may take it."""


@dataclass(frozen=True)
class Source:
    """Where a scheme was published: a citation, the place in it, and errata found since."""

    citation: str
    place: str = ""
    erratum: str = ""


@dataclass(frozen=True)
class LambdaS:
    """How lambda_s enters the position noise of the letter O over a clock interval delta.

    exponent   variance 1 - exp(-lambda_s delta Gamma)      (arXiv 2402.07211)
    variance   variance lambda_s (1 - exp(-delta Gamma))
    `value` fixes lambda_s; "free" leaves it a symbol in closed forms, and a setting of the run
    (1 unless it says otherwise) in numbers.
    """

    rule: Literal["exponent", "variance"] = "exponent"
    value: Fraction | Literal["free"] = "free"

    def __post_init__(self) -> None:
        if self.rule not in ("exponent", "variance"):
            raise ValueError(f"no rule {self.rule!r} for lambda_s; there are: exponent, variance")
        if self.value != "free" and not 0 <= self.value < inf:
            raise ValueError(f"lambda_s = {self.value}: lambda_s scales a variance, so it is >= 0")
