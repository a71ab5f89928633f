"""What a step may hold, and how a published coefficient differs from the integral: data for all
worlds.

`E:data` advances the whole drift exactly while a *prediction* is held, `E:data[2]` a polynomial
through its last two evaluations (theory section 10). With theta the scheme's clock over the
stretch, from 0 to 1, and p(theta) = sum of a_k theta^k, the exact step adds

    sum of a_k I_k,   I_k = integral over the stretch of (kernel theta^k),   kernel: see each world

A published coefficient that is not this integral has other numbers in place of the I_k: a rule. The
weights w_j of the evaluations at theta_j follow from them: sum of w_j theta_j^k = I_k.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Prediction(StrEnum):
    """What is held; each world has one function that says what it is and what holding it does."""

    DATA = "data"
    """x_0 = (x + sigma^2 s) / alpha; of PSLD (x + (Sigma s)^x) / Phi_xx."""
    EPS = "eps"
    """The noise, -sigma s."""
    SCORE = "score"
    """s itself."""
    VELOCITY = "velocity"
    """alpha' x_0 + sigma' eps, the slope of x along the probability flow."""
    V = "v"
    """alpha eps - sigma x_0, what networks trained on v predict."""


@dataclass(frozen=True)
class Held:
    """A prediction, and whether the noise of the step is that of DDIM rather than the reverse
    SDE's.
    """

    prediction: Prediction
    ddim: bool = False


HELD: dict[str, Held] = {
    **{kind.value: Held(kind) for kind in Prediction},
    "ddim": Held(Prediction.DATA, ddim=True),
}
"""By the name after the colon: "E:data"."""

Moments = Sequence[Any]
CoefficientRule = Callable[[Moments, Any], Moments]
"""What stands for the moments I_0, ..., I_(k-1) of a polynomial through k; the second argument is
the kernel at the stretch's end."""


@dataclass(frozen=True)
class Coefficients:
    """A rule for the moments, and up to how many evaluations it has been published."""

    rule: CoefficientRule
    most: int
    meaning: str


def _exact(moments: Moments, _: Any) -> Moments:
    return moments


def _dpm(moments: Moments, _: Any) -> Moments:
    if len(moments) == 2:
        return (moments[0], moments[0] / 2)
    return (*moments[:2], moments[2] / 2) if len(moments) == 3 else moments


def _dpm3(moments: Moments, _: Any) -> Moments:
    return (*moments[:2], 2 * moments[1] / 3) if len(moments) == 3 else moments


def _bh2(moments: Moments, _: Any) -> Moments:
    return (moments[0], moments[0] / 2) if len(moments) == 2 else moments


def _bh1(moments: Moments, end: Any) -> Moments:
    return (moments[0], end / 2) if len(moments) == 2 else moments


COEFFICIENTS: dict[str, Coefficients] = {
    "": Coefficients(_exact, 8, "the polynomial's integral"),
    "dpm": Coefficients(
        _dpm,
        3,
        "DPM-Solver's: through two, the value in the middle is held; through three, half of the "
        "integral of the square",
    ),
    "dpm3": Coefficients(
        _dpm3,
        3,
        "DPM-Solver-3's: through three at 0, 1/3 and 2/3, the line through the first and the last",
    ),
    "bh1": Coefficients(
        _bh1, 8, "UniPC's with B(h) = h: through two, half of the kernel at the end"
    ),
    "bh2": Coefficients(
        _bh2, 8, "UniPC's with B(h) = e^h - 1: through two, the value in the middle is held"
    ),
}
"""By the name after the number: "E:data[2:dpm]"."""
