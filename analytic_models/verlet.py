"""Integrators of kinetic Langevin dynamics that are no words, by what they do to positions alone:

    q_{n+1} = 2 c1 q_n - c2 q_{n-1} + c3 h^2 f_n + h (t0 xi_{n+1} + t1 xi_n)

with the force f and standard normals xi (Gronbech-Jensen, arXiv 2505.04100). What harmonic.py says
of a word follows from the five coefficients, functions of x = gamma h; which velocity goes with the
positions is another choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from analytic_models.harmonic import X, Y

_FRICTION = (1 - X / 2) / (1 + X / 2)
_HALF = 1 / (1 + X / 2)
_DECAY = sympy.exp(-X)
_RAMP = (1 - _DECAY) / X


@dataclass(frozen=True)
class Verlet:
    """Five coefficients; consistent ones have 2 c1 = 1 + c2."""

    c1: Any
    c2: Any
    c3: Any
    t0: Any
    t1: Any

    @property
    def position(self) -> Any:
        """<q^2> omega^2 on a well: the variance of an autoregressive process of order 2."""
        first, second = 2 * self.c1 - self.c3 * Y, -self.c2
        square = (self.t0**2 + self.t1**2) * (1 - second) + 2 * self.t0 * self.t1 * first
        return sympy.simplify(Y * square / ((1 + second) * ((1 - second) ** 2 - first**2)))

    @property
    def limit(self) -> Any:
        """(omega h)^2 up to which steps are stable."""
        return sympy.simplify((2 * self.c1 + 1 + self.c2) / self.c3)

    @property
    def diffusion(self) -> Any:
        """Of a free particle, times gamma."""
        return sympy.simplify(X / 2 * ((self.t0 + self.t1) / (1 - self.c2)) ** 2)

    @property
    def drift(self) -> Any:
        """Velocity under a unit force, times gamma."""
        return sympy.simplify(X * self.c3 / (1 - self.c2))


@dataclass(frozen=True)
class Printed:
    """An integrator with its source, and why it is no word."""

    name: str
    source: str
    form: Verlet
    why: str


def _evenly(strength: Any) -> tuple[Any, Any]:
    return strength / 2, strength / 2


PRINTED = (
    Printed(
        "BBK",
        "Brünger, Brooks & Karplus, Chem. Phys. Lett. 105, 495 (1984)",
        Verlet(_HALF, _FRICTION, _HALF, _HALF * sympy.sqrt(2 * X), 0),
        "friction by finite differences, (1 − γh/2)/(1 + γh/2) for e^{−γh}; a normal serves two "
        "steps",
    ),
    Printed(
        "SPV",
        "Mannella, Phys. Rev. E 69, 041107 (2004)",
        Verlet(_HALF, _FRICTION, _HALF, *_evenly(_HALF * sympy.sqrt(2 * X))),
        "friction by finite differences",
    ),
    Printed(
        "GJF = GJ-I",
        "Grønbech-Jensen & Farago, Mol. Phys. 111, 983 (2013)",
        Verlet(_HALF, _FRICTION, _HALF, *_evenly(_HALF * sympy.sqrt(2 * X))),
        "the positions of SPV, and those of BAOAB with the friction 2 artanh(γh/2)/h",
    ),
    Printed(
        "GJ-II",
        "Grønbech-Jensen, Mol. Phys. 118, e1662506 (2020)",
        Verlet((1 + _DECAY) / 2, _DECAY, _RAMP, *_evenly(_RAMP * sympy.sqrt(2 * X))),
        "the positions of BAOAB with A and B over h times the root of tanh(γh/2)/(γh/2): fractions "
        "of a word do not depend on the friction",
    ),
)
