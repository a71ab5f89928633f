"""Integrators of kinetic Langevin dynamics that are no words, by what they do to positions alone:

    q_{n+1} = 2 c1 q_n - c2 q_{n-1} + h^2 (c3 f_n + c4 f_{n-1}) + h N_n

with the force f and normals N whose covariances are r0 at once and r1 from step to step
(Gronbech-Jensen, arXiv 2505.04100). What harmonic.py says of a word follows from the coefficients,
functions of x = gamma h; which velocity goes with the positions is another choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from analytic_models.harmonic import X, Y, tidy

_HALF = sympy.Rational(1, 2)
_DECAY = sympy.exp(-X)
_RAMP = (1 - _DECAY) / X
_D = sympy.Symbol("D", positive=True)
"""Stands for e^-x in long coefficients, so that they are rational."""


@dataclass(frozen=True)
class Verlet:
    """The coefficients; consistent ones have 2 c1 = 1 + c2."""

    c1: Any
    c2: Any
    c3: Any
    r0: Any
    r1: Any
    c4: Any = 0

    @property
    def position(self) -> Any:
        """<q^2> omega^2 on a well: the variance of an autoregressive process of order 2."""
        first, second = 2 * self.c1 - self.c3 * Y, -self.c2 - self.c4 * Y
        square = self.r0 * (1 - second) + 2 * self.r1 * first
        return _short(Y * square / ((1 + second) * ((1 - second) ** 2 - first**2)))

    @property
    def limit(self) -> Any:
        """(omega h)^2 up to which steps are stable.

        An eigenvalue of -1; what c4, of the order of x, adds lies beyond it (a test holds it).
        """
        return _short((2 * self.c1 + 1 + self.c2) / (self.c3 - self.c4))

    @property
    def diffusion(self) -> Any:
        """Of a free particle, times gamma."""
        return _short(X / 2 * (self.r0 + 2 * self.r1) / (1 - self.c2) ** 2)

    @property
    def drift(self) -> Any:
        """Velocity under a unit force, times gamma."""
        return _short(X * (self.c3 + self.c4) / (1 - self.c2))


def _short(value: Any) -> Any:
    value = sympy.sympify(value)
    return sympy.factor(value).xreplace({_D: _DECAY}) if value.has(_D) else tidy(value)


@dataclass(frozen=True)
class Printed:
    """An integrator with its source, and why it is no word."""

    name: str
    year: int
    source: str
    form: Verlet
    why: str


def whole(strength: Any) -> tuple[Any, Any]:
    """r0 and r1 of a normal that enters one position first."""
    return strength**2, sympy.Integer(0)


def evenly(strength: Any) -> tuple[Any, Any]:
    """r0 and r1 of a normal that enters two positions, half each."""
    return strength**2 / 2, strength**2 / 4


def free_particle(decay: Any) -> tuple[Any, Any]:
    """r0 and r1 of the noise of a particle without a force, exactly; decay is e^-x."""
    qq = (2 * X - 3 + 4 * decay - decay**2) / X**2
    qp, pp, ramp = (1 - decay) ** 2 / X, 1 - decay**2, (1 - decay) / X
    at_once = qq * (1 + decay**2) + ramp**2 * pp - 2 * ramp * decay * qp
    return at_once, ramp * qp - decay * qq


def gj(c2: Any) -> Verlet:
    """The member of the GJ set with that attenuation of the velocity in a step.

    It is BAOAB with e^(-gamma h) replaced by c2, and A and B over h times the root of c3/c1.
    """
    c3 = (1 - c2) / X
    return Verlet((1 + c2) / 2, c2, c3, *evenly(c3 * sympy.sqrt(2 * X)))


def _allen() -> Verlet:
    """Ermak and Buckholz's step, its momentum by both forces: c0, c1 and c2 as in Allen's book."""
    c0, c1 = _D, (1 - _D) / X
    c2 = (1 - c1) / X
    back = c1 * (c1 - c2) - c0 * c2
    return Verlet((1 + c0) / 2, c0, c2 + c1 * c2, *free_particle(c0), c4=back)


def _sloped() -> Verlet:
    """The force with its slope, from two positions, through an exact flow."""
    slope = (X * (1 + _D) / 2 - (1 - _D)) / X**2
    c3 = (1 - _D) / X + slope
    return Verlet((1 + _D) / 2, _D, c3, *free_particle(_D), c4=-slope)


def _second_order() -> Verlet:
    """Two normals a step: a v + b h f + w in each half, and d in the position."""
    a, b = 1 - X / 2 + X**2 / 8, _HALF - X / 8
    alpha, beta, delta = _HALF - X / 8, -X / (4 * sympy.sqrt(3)), 1 / (2 * sympy.sqrt(3))
    new, old = (alpha, beta + delta), (a * alpha, a * beta - a**2 * delta)
    r0 = 2 * X * sum(value**2 for value in (*new, *old))
    r1 = 2 * X * sum(p * q for p, q in zip(new, old, strict=True))
    return Verlet((1 + a**2) / 2, a**2, (1 + a) * b, r0, r1)


_FORCE = "a force from the step before acts in this one; a word holds the last"
_SET = (
    "the positions of BAOAB with {} for e^(−γh), and A and B over h √(c₃/c₁): fractions of a word "
    "do not depend on the friction"
)
_MOL_PHYS = "Grønbech-Jensen, Mol. Phys. 118, e1662506 (2020)"
PRINTED = (
    Printed(
        "SS",
        1978,
        "Schneider & Stoll, Phys. Rev. B 17, 1302 (1978), as in LAMMPS",
        Verlet(1 - X / 2, 1 - X, sympy.Integer(1), *whole(sympy.sqrt(2 * X))),
        "friction by Euler’s rule, 1 − γh for e^(−γh): its noise does not keep the law of p",
    ),
    Printed(
        "Allen",
        1982,
        "Allen, Mol. Phys. 47, 599 (1982); Allen & Tildesley (1987), 9.3",
        _allen(),
        _FORCE,
    ),
    Printed(
        "vGB",
        1982,
        "van Gunsteren & Berendsen, Mol. Phys. 45, 637 (1982)",
        _sloped(),
        _FORCE,
    ),
    Printed(
        "VEC",
        2006,
        "Vanden-Eijnden & Ciccotti, Chem. Phys. Lett. 429, 310 (2006)",
        _second_order(),
        "friction by a Taylor polynomial of e^(−γh/2), and noise by two normals to that order",
    ),
    Printed(
        "OVRVO",
        2014,
        "Sivak, Chodera & Crooks, J. Phys. Chem. B 118, 6466 (2014)",
        Verlet((1 + _DECAY) / 2, _DECAY, _RAMP, *whole((1 - _DECAY) * sympy.sqrt(2 / X))),
        "OBABO with A and B over h √(2 tanh(γh/2)/(γh)): fractions of a word do not depend on the "
        "friction",
    ),
    Printed("GJ-II", 2020, _MOL_PHYS, gj(_DECAY), _SET.format("e^(−γh)")),
    Printed("GJ-III", 2020, _MOL_PHYS, gj(1 - X), _SET.format("1 − γh")),
    Printed(
        "GJ-IV",
        2020,
        _MOL_PHYS,
        gj((sympy.sqrt(1 + 4 * X) - 1) / (2 * X)),
        _SET.format("(√(1 + 4γh) − 1)/(2γh)"),
    ),
    Printed("GJ-V", 2020, _MOL_PHYS, gj(1 / (1 + X)), _SET.format("1/(1 + γh)")),
    Printed("GJ-VI", 2020, _MOL_PHYS, gj(1 / (1 + X / 2) ** 2), _SET.format("1/(1 + γh/2)²")),
    Printed(
        "GJ-VIII",
        2024,
        "Grønbech-Jensen, J. Stat. Phys. 191, 137 (2024)",
        gj(sympy.sqrt(1 + X**2) - X),
        _SET.format("√(1 + γ²h²) − γh"),
    ),
)
