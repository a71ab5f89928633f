"""Largest stable step of a scheme on a Gaussian target, coefficients frozen at one forward time.

The test equation freezes beta and the score, s = -Sigma_tau^{-1} z, at forward time tau. One step is
then a fixed matrix M(h), and the scheme is stable at h while no eigenvalue of M(h) leaves the unit
disk. For 1x1 and 2x2 maps this is Jury's criterion: 1 - det >= 0 and 1 + det -+ tr >= 0; a carried
score adds its own components to the state.

What a limit means depends on the exact frozen flow exp(h A):

    contracting or neutral    the limit is the first h at which the scheme leaves the unit disk:
                              0 where it does so at once, inf where it never does up to `longest`
    expanding                 growth is right, so no step is too long for stability: nan

Frozen coefficients are the usual linear analysis. It explains where samplers blow up; it is not a
bound for one run, since a mode may be expanding early and stiff late.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from analytic_models.diffusions import VP, Diffusion, Langevin
from analytic_models.moments import one_step
from analytic_models.rules import coefficients
from analytic_models.targets import Block, Gaussian, score
from splitting_analysis.scheme import Scheme, piece_key

Array = NDArray[np.float64]
TOLERANCE = 4e-15
"""How far a Jury condition may be off by round-off."""
SCAN = 800
"""Steps tried, in geometric progression, before bisection."""
SMALLEST = 1e-6
"""The shortest step tried, in units of the fastest time scale of the exact flow."""
NEUTRAL = 1e-12
"""Growth, relative to the fastest rate, below which the exact flow counts as neutral."""


def largest_stable_step(
    scheme: Scheme, diffusion: Diffusion, variances: Any, tau: float, longest: float | None = None
) -> Array:
    """The largest h such that every step up to h is stable, per target variance; shape (d,).

    Units of forward time. 0: unstable at once (below SMALLEST time scales); inf: stable up to
    `longest` (default 10 T); nan: the exact frozen flow expands. Found by a scan of SCAN steps and
    bisection, so an unstable window narrower than a scan interval can be missed. A step that does
    not exist (DDPM, beta h >= 1) counts as unstable. Raises ValueError where the score does not
    exist at tau, or scheme and process are of different models.
    """
    own, frozen = frozen_problem(scheme, diffusion, variances, tau)
    growth, rate = _exact_growth(scheme, own, frozen)
    tolerance = 1e-9 if scheme.carries_score else TOLERANCE  # eigenvalues of 4x4 matrices are less exact
    longest = 10 * float(diffusion.T) if longest is None else longest
    scan = np.geomspace(min(SMALLEST / rate.max(), longest / 10), longest, SCAN)
    unstable: NDArray[np.bool_] = ~(excess(scheme, own, frozen, scan[:, None]) <= tolerance)
    unstable &= scan[:, None] >= SMALLEST / rate  # shorter than that, round-off decides
    first = np.argmax(unstable, axis=0)
    low, high = scan[np.maximum(first - 1, 0)], scan[first]
    for _ in range(60):
        middle = (low + high) / 2
        bad = ~(excess(scheme, own, frozen, middle) <= tolerance)
        low, high = np.where(bad, low, middle), np.where(bad, middle, high)
    limit = np.where(low * rate <= 2 * SMALLEST, 0.0, low)
    limit = np.where(unstable.any(axis=0), limit, np.inf)
    return np.where(growth > NEUTRAL * rate, np.nan, limit)


def excess(scheme: Scheme, own: Diffusion, frozen: Block, h: Any) -> Array:
    """By how much Jury's conditions fail at h (<= 0: stable); nan where the step does not exist.

    h broadcasts against the modes. With a carried score: spectral radius minus 1.
    """
    matrix = step_matrix(scheme, own, frozen, h)
    if matrix.shape[-1] == 1:
        return np.abs(matrix[..., 0, 0]) - 1
    if matrix.shape[-1] > 2:
        return spectral_radius(matrix) - 1
    with np.errstate(all="ignore"):
        trace = matrix[..., 0, 0] + matrix[..., 1, 1]
        det = matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]
        return np.maximum(det - 1, np.abs(trace) - 1 - det)


def spectral_radius(matrix: Array) -> Array:
    """Largest modulus of the eigenvalues of (..., k, k); nan where an entry is not finite."""
    finite = np.asarray(np.isfinite(matrix).all(axis=(-2, -1)))
    safe = np.where(finite[..., None, None], matrix, 0.0)
    return np.where(finite, np.abs(np.linalg.eigvals(safe)).max(axis=-1), np.nan)


def step_matrix(scheme: Scheme, own: Diffusion, frozen: Block, h: Any) -> Array:
    """The matrix of one frozen step, shape (..., k, k): k components, twice that with a carried score.

    h broadcasts against the modes, shape (d,); entries are nan or infinite where a step does not
    exist or overflows.
    """
    h = np.asarray(h, dtype=np.float64)
    shape = np.broadcast_shapes(h.shape, np.shape(frozen[-1][0]))
    with np.errstate(all="ignore"):
        rows = _matrix(scheme, own, frozen, h)
    return np.stack([np.stack([np.broadcast_to(e, shape) for e in row], axis=-1) for row in rows], axis=-2)


def polynomial_limit(scheme: Scheme, diffusion: Diffusion, variance: float, tau: float) -> float | None:
    """`largest_stable_step` of one variance by another route: exact roots of Jury's polynomials.

    None where M(h) is no polynomial (exact substeps, DDPM). Stable stretches lie between
    consecutive real roots, so no unstable window is missed, however narrow.
    """
    rules = {
        scheme.model.pieces[piece_key(op.letter, op.rule)].rule for op in scheme.word if op.letter != "S"
    }
    if rules != {"euler"}:
        return None
    own, frozen = frozen_problem(scheme, diffusion, [variance], tau)
    growth, rate = _exact_growth(scheme, own, frozen)
    if growth[0] > NEUTRAL * rate[0]:
        return float("nan")
    h = sympy.Symbol("h", positive=True)
    numbers = {field.name: sympy.Rational(getattr(own, field.name)) for field in fields(own)}
    exact = tuple(tuple(sympy.Rational(float(np.ravel(e)[0])) for e in row) for row in frozen)
    conditions = jury_conditions(scheme, replace(own, **numbers), exact, h)
    polynomials = [sympy.Poly(sympy.expand(c), h) for c in conditions]
    roots = sorted(
        {root for poly in polynomials if not poly.is_zero for root in poly.real_roots() if root > 0}
    )
    for low, high in zip([0, *roots], [*roots, None], strict=True):
        middle = _between(low, high)
        if any(poly.eval(middle) < 0 for poly in polynomials):
            return float(low)
    return float("inf")


def jury_conditions(scheme: Scheme, own: Diffusion, frozen: Block, h: Any) -> tuple[Any, ...]:
    """What must not be negative for stability, in SymPy: 1 -+ M, or 1 - det, 1 + det -+ tr.

    A carried score is allowed as long as it adds only zero eigenvalues. Raises ValueError where the
    map has more than two eigenvalues that are not zero.
    """
    matrix = sympy.Matrix(_matrix(scheme, own, frozen, h))
    x = sympy.Dummy("x")
    coefficients_ = [sympy.expand(c) for c in matrix.charpoly(x).all_coeffs()]
    while coefficients_ and coefficients_[-1] == 0:
        coefficients_.pop()
    if len(coefficients_) > 3:
        raise ValueError(f"{scheme.name} carries its score: Jury's conditions are written for 2 eigenvalues")
    minus_trace, det = [*coefficients_[1:], 0, 0][:2]
    if len(scheme.model.components) == 1:
        return 1 + minus_trace, 1 - minus_trace
    return 1 - det, 1 + det + minus_trace, 1 + det - minus_trace


def boundaries(scheme: Scheme) -> tuple[Any, ...]:
    """Closed forms of the steps at which a Jury condition vanishes, for VP and Langevin schemes.

    VP: u = beta h as a function of v, the frozen variance. Langevin: h as a function of omega, the
    frequency, and gamma. The largest stable step is the smallest that is real and positive. Empty
    where there is no closed form (or, for Langevin, no bound). Raises ValueError for PSLD, whose
    limits are roots of `jury_conditions`.
    """
    h, v, omega, gamma, c = sympy.symbols("h v omega gamma c", positive=True)
    one = sympy.Integer(1)
    if scheme.model_name == "langevin":
        own: Diffusion = Langevin(gamma, one)
        conditions = jury_conditions(scheme, own, ((0, 0), (-(omega**2), 0)), h)
        decay = {sympy.exp(-gamma * h): c**2, sympy.exp(-gamma * h / 2): c}  # SymPy factors no root of c
        factors = {f for q in conditions for f, _ in sympy.factor_list(sympy.expand(q).subs(decay))[1]}
        found = [root for f in factors if f.has(h) and not f.has(c) for root in sympy.solve(f, h)]
    elif scheme.model_name == "vp":
        conditions = jury_conditions(scheme, VP(one, one, one), ((-1 / v,),), h)
        found = [root for q in conditions for root in _vp_roots(scheme, q, h, v)]
    else:
        raise ValueError("closed forms are for vp and langevin schemes; for psld use polynomial_limit")
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


def _matrix(scheme: Scheme, own: Diffusion, frozen: Block, h: Any) -> list[list[Any]]:
    """Rows of one frozen step over the state, and over the carried score where there is one."""
    nothing = tuple(0 for _ in frozen)
    step = one_step(scheme, own, 0 * own.T, h, lambda _: (frozen, nothing))
    keys = [(kind, i) for kind in ("zs" if scheme.carries_score else "z") for i in range(len(frozen))]
    forms = step.forms + (step.score if scheme.carries_score else ())
    return [[form.get(key, 0) for key in keys] for form in forms]


def frozen_problem(
    scheme: Scheme, diffusion: Diffusion, variances: Any, tau: float
) -> tuple[Diffusion, Block]:
    """The process with its beta at tau for good, and the score's matrix there, entries (d,)."""
    if scheme.model_name != diffusion.model_name:
        raise ValueError(f"{scheme.name} is a {scheme.model_name} scheme, not one for {diffusion.model_name}")
    target = Gaussian(np.asarray(variances, dtype=np.float64))
    matrix = score(diffusion, target, float(tau))[0]
    if isinstance(diffusion, Langevin):
        return diffusion, matrix
    rate = float(diffusion.beta(tau))
    return replace(diffusion, beta_min=rate, beta_max=rate), matrix


def _exact_growth(scheme: Scheme, own: Diffusion, frozen: Block) -> tuple[Array, Array]:
    """Largest real part, and largest modulus, of the eigenvalues of the exact frozen drift; shape (d,)."""
    linear, weights, _ = coefficients(scheme.model.drift, own)
    n = range(len(linear))
    rate = float(own.beta(own.T))
    a = [[rate * (linear[i][j] + weights[i] * np.asarray(frozen[i][j])) for j in n] for i in n]
    if len(a) == 1:
        return a[0][0], _positive(np.abs(a[0][0]), own)
    mean, det = (a[0][0] + a[1][1]) / 2, a[0][0] * a[1][1] - a[0][1] * a[1][0]
    root = np.sqrt(np.asarray(mean * mean - det, dtype=np.complex128))
    growth = mean + root.real
    return growth, _positive(np.maximum(np.abs(mean + root), np.abs(mean - root)), own)


def _positive(rate: Array, own: Diffusion) -> Array:
    """The rate, or 1/T where the exact flow stands still."""
    return np.where(rate > 0, rate, 1 / float(own.T))
