"""Largest stable steps without a scan: exact roots of polynomials in h, and closed forms.

The test equation is that of frozen.py; stability.py finds the same limits in numbers.
"""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from typing import Any

import mpmath
import numpy as np
import sympy

from analytic_models.diffusions import VP, Diffusion, Langevin
from analytic_models.frozen import (
    NEUTRAL,
    cancelling_rate,
    exact_growth,
    frozen_problem,
    frozen_step,
    stands_still,
)
from analytic_models.rules import coefficients
from analytic_models.stability import AT_ONCE, SMALLEST, TOLERANCE
from analytic_models.targets import Block
from splitting_analysis.models import Rule
from splitting_analysis.schemes import Scheme


def polynomial_limit(
    scheme: Scheme, diffusion: Diffusion, variance: float, tau: float
) -> float | None:
    """`largest_stable_step` of one variance by another route: exact roots of polynomials in h.

    None where M(h) is no polynomial (exact substeps, DDPM). Between consecutive roots of what
    vanishes where an eigenvalue meets the unit circle nothing changes, so no unstable window is
    missed, however narrow, and no instability, however weak. A carried score may add eigenvalues of
    its own.
    """
    if any(piece.rule is not Rule.EULER for piece in scheme.program.pieces):  # rows have none
        return None
    own, frozen = frozen_problem(scheme, diffusion, [variance], tau)
    growth, fastest = exact_growth(scheme, own, frozen)
    rate, still = cancelling_rate(scheme, own, frozen), stands_still(scheme, own, frozen)[0]
    if growth[0] > NEUTRAL * fastest[0] and not still:
        return float("nan")
    h = sympy.Symbol("h", positive=True)
    numbers = {field.name: sympy.Rational(getattr(own, field.name)) for field in fields(own)}
    entries = [[float(np.ravel(e)[0]) for e in row] for row in frozen]
    sizes = [abs(row[i]) for i, row in enumerate(entries)]
    # of a law at rest, round-off and nothing else
    for i, j in ((0, 1), (1, 0)) if len(entries) > 1 else ():
        entries[i][j] *= abs(entries[i][j]) > TOLERANCE * (sizes[0] * sizes[1]) ** 0.5
    exact = tuple(tuple(sympy.Rational(e) for e in row) for row in entries)
    monic = _characteristic(scheme, replace(own, **numbers), exact, h)
    polynomials = [sympy.Poly(c, h) for c in _crossings(monic, h)]
    roots = sorted(
        {root for poly in polynomials if not poly.is_zero for root in poly.real_roots() if root > 0}
    )
    for low, high in zip([0, *roots], [*roots, None], strict=True):
        if high is not None and high < SMALLEST / float(rate[0]):
            continue  # as in the scan, round-off of the frozen score decides there
        if _outside([c.subs(h, _between(low, high)) for c in monic]):
            return float("nan") if still and low * rate[0] < AT_ONCE else float(low)
    return float("inf")


def _characteristic(scheme: Scheme, own: Diffusion, frozen: Block, h: Any) -> list[Any]:
    """Coefficients of the map's characteristic polynomial, 1 first, without its zero
    eigenvalues.
    """
    matrix = sympy.Matrix(frozen_step(scheme, own, frozen, h))
    monic = [sympy.expand(c) for c in matrix.charpoly(sympy.Dummy("x"), sympy.expand).all_coeffs()]
    while monic[-1] == 0:
        monic.pop()
    return monic


def _crossings(monic: list[Any], h: Any) -> list[Any]:
    """What vanishes wherever an eigenvalue crosses the unit circle: at 1, at -1, or a complex pair.

    The product of 1 - l_i l_j over all pairs vanishes for the last. Where it does so for every h (a
    symplectic pair), a pair leaves the circle only after it has met, at a zero of the discriminant.
    """
    n = len(monic) - 1
    x = sympy.Dummy("x")
    signs = [sum(monic), sum((-1) ** k * c for k, c in enumerate(monic))]
    padded = [*monic, *[sympy.Integer(0)] * n]
    inner = [
        [(padded[j - i] if j >= i else 0) - padded[i + j + 2] for j in range(n - 1)]
        for i in range(n - 1)
    ]
    pairs = sympy.expand(sympy.Matrix(inner).det()) if n > 1 else sympy.Integer(1)
    if pairs != 0:
        return [*signs, pairs]
    poly = sympy.Poly(monic, x, domain=sympy.QQ[h])
    return [*signs, sympy.Poly(poly.sqf_part(), x).discriminant()]


def _outside(monic: list[Any]) -> bool:
    """Whether a polynomial with rational coefficients has a root outside the unit disk."""
    if len(monic) <= 3:
        middle, last = (*monic[1:], 0, 0)[:2]
        return bool(last > 1 or abs(middle) > 1 + last)
    with mpmath.workdps(100):
        roots = mpmath.polyroots(
            [mpmath.mpf(c.p) / c.q for c in monic], maxsteps=500, extraprec=400, error=False
        )
        return bool(max(abs(root) for root in roots) > 1 + mpmath.mpf(10) ** -60)


def jury_conditions(scheme: Scheme, own: Diffusion, frozen: Block, h: Any) -> tuple[Any, ...]:
    """What must not be negative for stability, in SymPy: 1 -+ M, or 1 - det, 1 + det -+ tr.

    A carried score is allowed as long as it adds only zero eigenvalues. Raises ValueError where the
    map has more than two eigenvalues that are not zero.
    """
    monic = _characteristic(scheme, own, frozen, h)
    if len(monic) > 3:
        raise ValueError(
            f"{scheme.name} carries its score: Jury's conditions are written for 2 eigenvalues"
        )
    minus_trace, det = [*monic[1:], 0, 0][:2]
    if len(monic) == 2:
        return 1 + minus_trace, 1 - minus_trace
    return 1 - det, 1 + det + minus_trace, 1 + det - minus_trace


@cache
def boundaries(scheme: Scheme) -> tuple[Any, ...]:
    """Closed forms of the steps at which a Jury condition vanishes, for VP and Langevin schemes.

    VP: u = beta h as a function of v, the frozen variance. Langevin: h as a function of omega, the
    frequency, and gamma. The largest stable step is the smallest that is real and positive. Empty
    where there is no closed form (or, for Langevin, no bound). Raises ValueError for PSLD, whose
    limits are roots of `jury_conditions`.
    """
    h, v, omega, gamma, c = sympy.symbols("h v omega gamma c", positive=True)
    one = sympy.Integer(1)
    if not scheme.model.time_dependent:
        own: Diffusion = Langevin(gamma, one)
        conditions = jury_conditions(scheme, own, ((0, 0), (-(omega**2), 0)), h)
        # SymPy factors no root of c
        decay = {sympy.exp(-gamma * h): c**2, sympy.exp(-gamma * h / 2): c}
        factors = {
            f
            for q in conditions
            for f, _ in sympy.factor_list(sympy.fraction(sympy.together(q.subs(decay)))[0])[1]
        }
        found = [root for f in factors if f.has(h) and not f.has(c) for root in sympy.solve(f, h)]
    elif len(scheme.model.components) == 1:
        conditions = jury_conditions(scheme, VP(one, one, one), ((-1 / v,),), h)
        found = [root for q in conditions for root in _vp_roots(scheme, q, h, v)]
    else:
        raise ValueError(
            "closed forms are for vp and langevin schemes; for psld use polynomial_limit"
        )
    return tuple(sorted({sympy.simplify(sympy.nsimplify(root)) for root in found}, key=str))


def _vp_roots(scheme: Scheme, condition: Any, u: Any, v: Any) -> list[Any]:
    """Roots in u. A polynomial is one in z = u times the frozen drift, with numbers as roots."""
    drift = _unit_drift(scheme, v)
    if condition.is_polynomial(u):
        z = sympy.Symbol("z")
        poly = sympy.Poly(sympy.factor(sympy.simplify(condition.subs(u, z / drift))), z)
        return [root / drift for root in poly.real_roots() if root != 0]
    q = sympy.Symbol("q", positive=True)
    in_q = sympy.powsimp(sympy.expand(condition)).subs(sympy.exp(u / 2), q)
    if in_q.has(u):
        return [] if in_q.has(q) else sympy.solve(in_q, u)
    return [2 * sympy.log(root) for root in sympy.solve(in_q, q) if root != 1]


def _unit_drift(scheme: Scheme, v: Any) -> Any:
    one = sympy.Integer(1)
    linear, weights, _ = coefficients(scheme.model.drift, VP(one, one, one))
    return linear[0][0] - weights[0] / v


def _between(low: Any, high: Any) -> Any:
    """A rational number between two real roots, or beyond the last."""
    if high is None:
        return sympy.Integer(sympy.floor(low) + 1)
    digits = 20
    while not low < (middle := sympy.Rational(str(sympy.N((low + high) / 2, digits)))) < high:
        digits *= 2
    return middle
