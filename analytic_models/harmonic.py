"""What a sampler of kinetic Langevin dynamics does at a finite step: to a harmonic well, and to a
particle that is free or pulled by a constant force (theory section 11).

In units in which the exact answer is 1, but for the correlation, where it is 0, and the limit.
`measures` gives numbers, `closed_forms` the same as formulas in x = gamma h and y = (omega h)^2: a
step has no other numbers, mass and temperature being 1.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from numbers import Real
from typing import Any

import mpmath
import sympy

from analytic_models.boundaries import jury_conditions
from analytic_models.diffusions import Langevin
from analytic_models.stability import largest_stable_step
from analytic_models.stationary import DIGITS, in_digits, stationary
from analytic_models.steps import CONSTANT, one_step
from splitting_analysis.families import FIXED_TARGETS
from splitting_analysis.processes import Respa
from splitting_analysis.schemes import Scheme

X, Y = sympy.symbols("x y", positive=True)
"""gamma h and (omega h)^2."""
PHI = sympy.Symbol("phi", positive=True)
"""The fast force's part of the whole, omega_fast^2/omega^2."""


WIDEST = 1e20
"""Beyond it a law is none: a step that float64 tells from the limit keeps a narrower one."""


@dataclass(frozen=True)
class Harmonic:
    """position     <q^2> omega^2 of the law kept on the well
    momentum     <p^2>
    correlation  <q p> omega (a number), <q p>/h (a formula); exact: 0
    limit        omega h up to which every step is stable (a number); the values of (omega h)^2 at
                 which an eigenvalue leaves the unit disk (formulas)
    diffusion    of a free particle, times gamma
    drift        velocity under a constant unit force, times gamma

    The law is None where none is kept: the step is too long. Diffusion and drift are nan where the
    momentum of a free particle grows.
    """

    position: Any
    momentum: Any
    correlation: Any
    limit: Any
    diffusion: Any
    drift: Any


def measures(
    scheme: Scheme, h: float, omega: float = 1.0, gamma: float = 1.0, fast: float | None = None
) -> Harmonic:
    """The numbers; `fast` is the part of the force that the fast one of two is.

    Raises ValueError for a scheme that has none, and for h, omega and gamma outside
    1e-6 to 1e6, where rounding would show.
    """
    _check(scheme)
    if fast is not None and not 0 < fast < 1:
        raise ValueError(f"fast = {fast:g}: the fast force's part lies between 0 and 1")
    for name, value in (("h", h), ("omega", omega), ("gamma", gamma)):
        if not (isinstance(value, Real) and 1e-6 <= value <= 1e6):
            shown = f"{value:g}" if isinstance(value, float) else str(value)[:40]
            raise ValueError(f"{name} = {shown}: {name} lies between 1e-06 and 1e+06 here")
    process = _process(scheme, float(gamma), 1.0, fast)
    limit = _limit(scheme, gamma / omega, fast)
    with mpmath.workdps(DIGITS):
        spread, velocity = transport(scheme, in_digits(process), mpmath.mpf(h))
        variance = 1 / mpmath.mpf(omega) ** 2
    law: tuple[Any, Any, Any] = (None, None, None)
    with suppress(ValueError):  # it keeps none
        (qq, qp), (_, pp) = stationary(scheme, process, variance, h)
        kept = (float(qq * omega**2), float(pp), float(qp * omega))
        law = kept if max(map(abs, kept)) <= WIDEST else law
    return Harmonic(*law, limit, float(spread), float(velocity))


@cache
def _limit(scheme: Scheme, friction: float, fast: float | None) -> float:
    """omega h up to which all steps are stable, by gamma/omega; inf where that is any."""
    process, found = _process(scheme, friction, 1.0, fast), math.inf
    # of n evaluations each bounds its own part of the step; damped ones bear n^2 as much
    for longest in (1, scheme.nfe**2):
        if math.isinf(found):
            reach = 10 * max(1.0, friction) * longest
            found = float(largest_stable_step(scheme, process, [1.0], 0.0, reach)[0])
    return found


@cache
def closed_forms(scheme: Scheme) -> Harmonic:
    """The formulas in X, Y and the hyperbolic tangent of a part of X. Raises ValueError for a
    scheme that has none.
    """
    _check(scheme)
    one = sympy.Integer(1)
    process = _process(scheme, X, one, PHI)
    (qq, qp), (_, pp) = stationary(scheme, process, 1 / Y, one)
    conditions = jury_conditions(scheme, process, tuple((-w * Y, 0) for w in process.shares), one)
    spread, velocity = transport(scheme, process, one)
    law = [tidy(value) for value in (qq * Y, pp, qp)]
    limits = _boundaries(conditions)
    return Harmonic(law[0], law[1], law[2], limits, tidy(spread), tidy(velocity))


def _process(scheme: Scheme, gamma: Any, T: Any, fast: Any) -> Langevin:
    if not scheme.model.acts:
        return Langevin(gamma=gamma, T=T)
    return Respa(gamma=gamma, T=T, fast=Respa.fast if fast is None else fast)


def _check(scheme: Scheme) -> None:
    if scheme.model_name not in FIXED_TARGETS:
        raise ValueError(
            f"{scheme.name} is a {scheme.model_name} scheme: a well and a free particle are for "
            "langevin"
        )
    if scheme.dynamics == "ode":
        raise ValueError(
            f"{scheme.name} has no friction and no noise: it keeps no law of its own, and a free "
            "particle flies; take one of the SDE, such as BAOAB"
        )


def transport(scheme: Scheme, process: Langevin, h: Any) -> tuple[Any, Any]:
    """Diffusion of a free particle and drift velocity under a unit force, both times gamma.

    Without a force that depends on q a step is q <- q + a p + n_q + u, p <- c p + n_p + w. The sum
    of all p is that of all (n_p + w)/(1 - c), but for what does not grow: nan where p does, as
    there is neither then.
    """
    forces = tuple(share + 0 * h for share in process.shares)
    pulled = ((0, 0), (0, 0)), forces
    step = one_step(scheme, process, 0 * h, h, lambda _: pulled)
    q, p = step.forms
    kept = p.get(("z", 1), 0)
    if not isinstance(kept, sympy.Basic) and abs(kept) >= 1:
        return math.nan, math.nan
    reach = q.get(("z", 1), 0) / (1 - kept)
    # a carried score is the constant force, too
    pull = [
        form.get(CONSTANT, 0) + sum(f * form.get(("s", i), 0) for i, f in enumerate(forces))
        for form in (q, p)
    ]
    spread: Any = 0
    for k, block in enumerate(step.noise):
        weights = [q.get(("n", k, i), 0) + reach * p.get(("n", k, i), 0) for i in (0, 1)]
        spread += sum(weights[i] * block[i][j] * weights[j] for i in (0, 1) for j in (0, 1))
    return process.gamma * spread / (2 * h), process.gamma * (pull[0] + reach * pull[1]) / h


def tidy(value: Any) -> Any:
    """A rational function of x, y and exponentials of rational multiples of x, with the tangents in
    their place.
    """
    rational, tangent = _in_tangent(sympy.sympify(value))
    top, bottom = sympy.fraction(sympy.factor(sympy.cancel(rational)))
    constant, factors = sympy.factor_list(bottom)
    # 4/(4 - y) rather than -4/(y - 4): for a short step all below the line is positive
    short = {X: sympy.Rational(1, 10), Y: sympy.Rational(1, 100), _T: sympy.Rational(1, 40)}
    short[PHI] = sympy.Rational(9, 10)
    for factor, power in factors:
        own = factor if factor.subs(short) > 0 else -factor
        top, constant = top / own**power, constant * (-1 if own != factor and power % 2 else 1)
    return (top / constant).subs(_T, tangent)


_T = sympy.Symbol("T", positive=True)


def _in_tangent(value: Any) -> tuple[Any, Any]:
    """The value as a rational function of T, and T as a tangent: e^-(x/d) = (1 - T)/(1 + T)."""
    powers = {e: e.args[0].as_coefficient(X) for e in value.atoms(sympy.exp)}
    parts = sympy.ilcm(1, 1, *(power.q for power in powers.values()))
    decay = (1 - _T) / (1 + _T)
    # not subs, which would take one exponential for a power of another
    rational = value.xreplace({e: decay ** int(-power * parts) for e, power in powers.items()})
    return rational, sympy.tanh(X / (2 * parts))


def _boundaries(conditions: tuple[Any, ...]) -> tuple[Any, ...]:
    """Where Jury's conditions vanish, in y: roots of factors of degree 1 and 2 that are positive
    for some friction, the other conditions holding there.
    """
    found = []
    for condition in conditions:
        rational, tangent = _in_tangent(sympy.sympify(condition))
        for factor, _ in sympy.factor_list(sympy.fraction(sympy.together(rational))[0])[1]:
            if 0 < sympy.degree(factor, Y) <= 2:
                found += [root.subs(_T, tangent) for root in sympy.solve(factor, Y)]
    values = sympy.lambdify((X, Y, PHI), conditions, "math")
    return tuple(
        dict.fromkeys(
            root
            for root in found
            if any(
                (number := root.subs({X: x, PHI: sympy.Rational(9, 10)}).evalf()).is_real
                and number > 1e-9
                and min(values(float(x), float(number), 0.9)) > -1e-9
                for x in _FRICTIONS
            )
        )
    )


_FRICTIONS = tuple(map(sympy.Rational, ("1/10", "1/3", 1, 2, 3, 5, 10, 30)))


def leading(value: Any, exact: int = 1) -> Any:
    """The leading term of a closed form's deviation from what is exact, in X and Y; 0 for none.

    X is of the order of the step, Y of its square.
    """
    s = sympy.Symbol("s", positive=True)
    plain = sympy.sympify(value).replace(sympy.tanh, _tangent).replace(sympy.exp, _powers)
    small = plain.subs({X: s * X, Y: s**2 * Y})
    top, bottom = sympy.fraction(sympy.cancel(small - exact))
    if top == 0:
        return sympy.Integer(0)
    first = [sympy.Poly(each, s).terms()[-1] for each in (top, bottom)]
    return sympy.factor(first[0][1] / first[1][1])


def _powers(z: Any) -> Any:
    """The series of the exponential, as far."""
    return sum(z**k / sympy.factorial(k) for k in range(10))


def _tangent(z: Any) -> Any:
    """The series of the tangent, further than any leading term goes."""
    return z - z**3 / 3 + 2 * z**5 / 15 - 17 * z**7 / 315 + 62 * z**9 / 2835
