"""Largest stable step of a scheme on a Gaussian target, coefficients frozen at one forward time.

The test equation freezes beta and the score, s = -Sigma_tau^{-1} z, at forward time tau. One step
is then a fixed matrix M(h), and the scheme is stable at h while no eigenvalue of M(h) leaves the
unit disk. For 1x1 and 2x2 maps this is Jury's criterion: 1 - det >= 0 and 1 + det -+ tr >= 0; a
carried score adds its own components to the state.

An eigenvalue may leave the disk like h^k with any k, so slowly that float64 does not see it, and it
may stay on the circle all the way (symplectic maps). Where float64 cannot tell which, the same map
is evaluated again with DIGITS digits.

What a limit means depends on the exact frozen flow exp(h A):

    contracting or neutral    the limit is the first h at which the scheme leaves the unit disk:
                              0 where it does so at once, inf where it never does up to `longest`
    expanding                 growth is right, so no step is too long for stability: nan

Frozen coefficients are the usual linear analysis. It explains where samplers blow up; it is not a
bound for one run, since a mode may be expanding early and stiff late.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from typing import Any

import mpmath
import numpy as np
import sympy
from numpy.typing import NDArray

from analytic_models.diffusions import VP, Diffusion, Langevin
from analytic_models.rules import coefficients
from analytic_models.steps import one_step
from analytic_models.targets import Block, Gaussian, score
from splitting_analysis.models import Rule
from splitting_analysis.schemes import Scheme

Array = NDArray[np.float64]
TOLERANCE, CARRIED_TOLERANCE = 4e-15, 1e-9
"""How far a Jury condition, or an eigenvalue of a larger matrix, may be off by round-off near a
crossing.
"""
UNDECIDED, CARRIED_UNDECIDED = 1e-12, 1e-6
"""A scan point this close to the circle decides nothing in float64."""
CLEAR = 1e-7
"""An eigenvalue this far outside at the first unstable point of the scan leaves no doubt."""
DIGITS, FAINT = 150, -80
"""Decimal digits of the second look, where growth below 10^FAINT in a step counts as none: h^13 is
seen.
"""
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
    not exist (DDPM, beta h >= 1) counts as unstable. Where beta is 0 nothing moves: inf.
    Raises ValueError where the score does not exist at tau, or scheme and process are of different
    models.
    """
    if diffusion.beta(tau) == 0:
        return np.full(np.size(variances), np.inf)
    own, frozen = frozen_problem(scheme, diffusion, variances, tau)
    growth, rate = exact_growth(scheme, own, frozen)
    wide = scheme.carries_score and len(frozen) > 1  # eigenvalues of larger matrices are less exact
    tolerance = CARRIED_TOLERANCE if wide else TOLERANCE
    longest = 10 * float(diffusion.T) if longest is None else longest
    scan = np.geomspace(min(SMALLEST / rate.max(), longest / 10), longest, SCAN)
    found = excess(scheme, own, frozen, scan[:, None])
    within = scan[:, None] >= SMALLEST / rate  # shorter than that, round-off decides
    undecided = within & (np.abs(found) <= (CARRIED_UNDECIDED if wide else UNDECIDED))
    unstable: NDArray[np.bool_] = within & ~undecided & ~(found <= tolerance)
    first = np.where(unstable.any(axis=0), np.argmax(unstable, axis=0), SCAN)
    low, high = scan[np.maximum(first - 1, 0)], scan[np.minimum(first, SCAN - 1)]
    for _ in range(60):
        middle = (low + high) / 2
        bad = ~(excess(scheme, own, frozen, middle) <= tolerance)
        low, high = np.where(bad, low, middle), np.where(bad, middle, high)
    limit = np.where(low * rate <= 2 * SMALLEST, 0.0, low)
    limit = np.where(first < SCAN, limit, np.inf)
    limit = np.where(growth > NEUTRAL * rate, np.nan, limit)
    for mode in np.flatnonzero(~np.isnan(limit)):
        at = int(first[mode])
        begin = at
        while begin and undecided[begin - 1, mode]:
            begin -= 1
        faint = at < SCAN and found[at, mode] < CLEAR
        if at - begin > 1 or wide or faint:  # a plain crossing takes one point of the scan at most
            variance = float(np.broadcast_to(np.asarray(variances, float), limit.shape)[mode])
            leaves = _precise(scheme, diffusion, variance, tau)
            shortest = int(np.argmax(within[:, mode]))
            reach = scan[max(begin - 1, shortest) : at + 1]
            limit[mode] = _first_exit(
                leaves, reach, float(limit[mode]), 2 * SMALLEST / float(rate[mode])
            )
    return limit


def stiffest(scheme: Scheme, diffusion: Diffusion, variances: Any, tau: float) -> int:
    """Index of the mode whose exact frozen flow is the fastest (the first of equals).

    A variance of 0 counts like any other where the score exists. Raises ValueError where it does
    not.
    """
    return int(
        np.argmax(exact_growth(scheme, *frozen_problem(scheme, diffusion, variances, tau))[1])
    )


def _first_exit(
    leaves: Callable[[float], bool], scan: Array, guess: float, shortest: float
) -> float:
    """Where the map first leaves the disk on the increasing steps `scan`; inf if nowhere, 0 if at
    once.

    A `guess` that holds to 1e-9 is kept, else it is found by bisection. Six steps of the scan
    before it are tried: an exit between two of them that is undone is not seen.
    """
    steps = np.unique([scan[0], *scan[np.linspace(0, len(scan) - 1, 6).astype(int)], scan[-1]])
    tried = [float(h) for h in steps]
    if shortest < guess < np.inf:
        around = [guess * (1 - 1e-9), guess * (1 + 1e-9)]
        tried = [
            *(h for h in tried if h < around[0]),
            *around,
            *(h for h in tried if h > around[1]),
        ]
    outside = next((i for i, h in enumerate(tried) if leaves(h)), None)
    if outside is None:
        return float("inf")
    if outside == 0:
        return 0.0
    low, high = tried[outside - 1], tried[outside]
    if high == guess * (1 + 1e-9):
        return guess
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if leaves(middle) else (middle, high)
    return low if low > shortest else 0.0


def _precise(
    scheme: Scheme, diffusion: Diffusion, variance: float, tau: float
) -> Callable[[float], bool]:
    """Whether the frozen map of h has an eigenvalue outside the disk, in DIGITS digits from the
    start.
    """
    with mpmath.workdps(DIGITS):
        numbers = {
            field.name: mpmath.mpf(getattr(diffusion, field.name)) for field in fields(diffusion)
        }
        own, frozen = _frozen(replace(diffusion, **numbers), mpmath.mpf(variance), mpmath.mpf(tau))

    def leaves(h: float) -> bool:
        with mpmath.workdps(DIGITS):
            try:
                matrix = _matrix(scheme, own, frozen, mpmath.mpf(h))
            except ValueError:
                return True  # a step that does not exist
            return _beyond_circle(mpmath.matrix(matrix))

    return leaves


def _beyond_circle(matrix: Any) -> bool:
    """Whether an mpmath matrix has an eigenvalue outside the unit disk, by more than `FAINT`.

    A carried score mostly adds eigenvalues that are 0: what is left is then Jury's criterion.
    """
    faint = mpmath.mpf(10) ** FAINT
    monic, power = [mpmath.mpf(1)], mpmath.eye(matrix.rows)
    for k in range(1, matrix.rows + 1):  # Faddeev and Le Verrier
        moved = matrix * power
        monic.append(-sum(moved[i, i] for i in range(matrix.rows)) / k)
        power = moved + monic[-1] * mpmath.eye(matrix.rows)
    while abs(monic[-1]) < faint / 10**20:
        monic.pop()
    if len(monic) <= 3:
        trace, det = -(monic + [0])[1], (monic + [0, 0])[2]
        return bool(max(det - 1, abs(trace) - 1 - det) > faint)
    return bool(
        max(abs(value) for value in mpmath.eig(matrix, left=False, right=False)) > 1 + faint
    )


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
    """The matrix of one frozen step, shape (..., k, k): k components, twice that with a carried
    score.

    h broadcasts against the modes, shape (d,); entries are nan or infinite where a step does not
    exist or overflows.
    """
    h = np.asarray(h, dtype=np.float64)
    shape = np.broadcast_shapes(h.shape, np.shape(frozen[-1][0]))
    with np.errstate(all="ignore"):
        rows = _matrix(scheme, own, frozen, h)
    return np.stack(
        [np.stack([np.broadcast_to(e, shape) for e in row], axis=-1) for row in rows], axis=-2
    )


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
    growth, rate = exact_growth(scheme, own, frozen)
    if growth[0] > NEUTRAL * rate[0]:
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
            return float(low)
    return float("inf")


def _characteristic(scheme: Scheme, own: Diffusion, frozen: Block, h: Any) -> list[Any]:
    """Coefficients of the map's characteristic polynomial, 1 first, without its zero
    eigenvalues.
    """
    matrix = sympy.Matrix(_matrix(scheme, own, frozen, h))
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
    if scheme.model_name == "langevin":
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
    elif scheme.model_name == "vp":
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


def _matrix(scheme: Scheme, own: Diffusion, frozen: Block, h: Any) -> list[list[Any]]:
    """Rows of one frozen step over the state, and over the carried score where there is one."""
    nothing = tuple(0 for _ in frozen)
    step = one_step(scheme, own, 0 * own.T, h, lambda _: (frozen, nothing))
    keys = [
        (kind, i) for kind in ("zs" if scheme.carries_score else "z") for i in range(len(frozen))
    ]
    forms = step.forms + (step.score if scheme.carries_score else ())
    return [[form.get(key, 0) for key in keys] for form in forms]


def frozen_problem(
    scheme: Scheme, diffusion: Diffusion, variances: Any, tau: float
) -> tuple[Diffusion, Block]:
    """The process with its beta at tau for good, and the score's matrix there, entries (d,)."""
    if scheme.model_name != diffusion.model_name:
        raise ValueError(
            f"{scheme.name} is a {scheme.model_name} scheme, not one for {diffusion.model_name}"
        )
    if not has_limits(scheme):
        raise ValueError(
            f"{scheme.name}: stability limits are known for splittings and Runge-Kutta words of "
            "psld, vp and langevin, not where a prediction is held or the process has no rate to "
            "freeze"
        )
    return _frozen(diffusion, np.asarray(variances, dtype=np.float64), float(tau))


def has_limits(scheme: Scheme) -> bool:
    """Whether stable steps of the scheme are known: frozen coefficients make a linear map of the
    state.
    """
    special = scheme.program.holds or scheme.program.conjugates
    return not special and scheme.model_name in ("psld", "vp", "langevin")


def _frozen(diffusion: Diffusion, variances: Any, tau: Any) -> tuple[Diffusion, Block]:
    matrix = score(diffusion, Gaussian(variances), tau)[0]
    if isinstance(diffusion, Langevin):
        return diffusion, matrix
    rate = diffusion.beta(tau)
    if isinstance(diffusion, VP):
        return VP(rate, rate, diffusion.T), matrix
    return replace(diffusion, beta_min=rate, beta_max=rate), matrix


def exact_growth(scheme: Scheme, own: Diffusion, frozen: Block) -> tuple[Array, Array]:
    """Largest real part, and largest modulus, of the eigenvalues of the exact frozen drift; shape
    (d,).
    """
    linear, weights, _ = coefficients(scheme.model.drift, own)
    n = range(len(linear))
    rate = float(own.beta(own.T))
    a = [[rate * (linear[i][j] + weights[i] * np.asarray(frozen[i][j])) for j in n] for i in n]
    if len(a) == 1:
        return a[0][0], _positive(np.abs(a[0][0]), own)
    size = np.maximum(sum(np.abs(entry) for row in a for entry in row), 1e-300)
    a = [[entry / size for entry in row] for row in a]  # so that no square overflows
    mean, det = (a[0][0] + a[1][1]) / 2, a[0][0] * a[1][1] - a[0][1] * a[1][0]
    root = np.sqrt(np.asarray(mean * mean - det, dtype=np.complex128))
    growth = size * (mean + root.real)
    return growth, _positive(size * np.maximum(np.abs(mean + root), np.abs(mean - root)), own)


def _positive(rate: Array, own: Diffusion) -> Array:
    """The rate, or 1/T where the exact flow stands still."""
    return np.where(rate > 0, rate, 1 / float(own.T))
