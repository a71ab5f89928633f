"""Exact reverse flow on a Gaussian target, from any state or Gaussian law, by independent routes.

With the exact score the reverse dynamics of a Gaussian are linear: over reverse times [t0, t1] they
act as z -> R z + r + N(0, Q). Each flow is found twice:

    closed_flow       SDE: time reversal is Bayes' rule for the forward kernel. ODE: in Cholesky
                      coordinates the flow is a rotation, whose angle is one quadrature. Langevin:
                      exponential of a constant matrix, noise from the stationary law.
    integrated_flow   the moment equations of the reverse drift, by DOP853 or, for mpmath numbers,
                      by Gragg-Bulirsch-Stoer extrapolation; also with scaled position noise.

Entries are floats, arrays over modes, or mpmath numbers, and results are as exact as those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad_vec, solve_ivp

from analytic_models.clocked import fading_rate
from analytic_models.diffusions import PSLD, VP, Diffusion, Langevin, transition
from analytic_models.matrices import column, diagonal, identity, inverse, plus, times, transposed
from analytic_models.targets import Block, Gaussian, Pair, marginal, score
from splitting_analysis.models import Dynamics, model_of
from splitting_analysis.processes import VE
from splitting_analysis.processes import Flow as Fading

MOST_COLUMNS = 24
"""Columns of the extrapolation table before a step is split in two."""
MOST_HALVINGS = 12


@dataclass(frozen=True)
class Flow:
    """z -> matrix z + shift + N(0, noise) over a stretch of reverse time; entries (d,) or
    scalars.
    """

    matrix: Block
    shift: Pair
    noise: Block

    def push(self, mean: Pair, covariance: Block) -> tuple[Pair, Block]:
        """The law N(mean, covariance) after the flow."""
        moved = tuple(
            row[0] + r for row, r in zip(times(self.matrix, column(mean)), self.shift, strict=True)
        )
        return moved, plus(
            times(times(self.matrix, covariance), transposed(self.matrix)), self.noise
        )


def closed_flow(
    dynamics: Dynamics, diffusion: Diffusion, target: Gaussian, t0: Any, t1: Any
) -> Flow:
    """Route 1: the exact reverse flow from reverse time t0 to t1 > t0 in closed form.

    A zero variance at t1 = T is no obstacle, except to the probability flow of CLD (Gamma = 0).
    Raises ValueError there, for times out of order or beyond T, and where the score at the start
    does not exist or a law on the way is lost to round-off.
    """
    _refuse_bad_times(diffusion, t0, t1)
    if isinstance(diffusion, Langevin):
        matrix, noise = _langevin(dynamics, diffusion, target, t1 - t0)
        return Flow(matrix, _shift(matrix, (target.mean, 0), (target.mean, 0)), noise)
    if isinstance(diffusion, VE | Fading):
        return _position_only(dynamics, diffusion, target, diffusion.T - t0, diffusion.T - t1)
    score(diffusion, target, diffusion.T - t0)  # refuses a degenerate start
    own = diffusion.at_rate(diffusion.T / diffusion.T)  # in its own clock: forward time is then b
    early, late = diffusion.integral(diffusion.T - t1), diffusion.integral(diffusion.T - t0)
    mean0, sigma0 = marginal(own, target, early)
    mean1, sigma1 = marginal(own, target, late)
    if dynamics == "ode":
        # x and m become one: no Cholesky factor in the limit
        if isinstance(own, PSLD) and own.Gamma == 0:
            score(diffusion, target, diffusion.T - t1)
        matrix = _probability_flow(own, target, early, late, sigma0, sigma1)
        noise = tuple(tuple(0 * entry for entry in row) for row in sigma0)
    else:
        matrix, noise = _bayes(own, diffusion.clock(t0, t1 - t0), sigma0, sigma1)
    return Flow(matrix, _shift(matrix, mean0, mean1), noise)


def _position_only(
    dynamics: Dynamics, process: VE | Fading, target: Gaussian, late: Any, early: Any
) -> Flow:
    """The same from forward time `late` to `early` where alpha and sigma are not VP's."""
    (mean0,), ((var0,),) = marginal(process, target, early)
    (mean1,), ((var1,),) = marginal(process, target, late)
    score(process, target, late)
    if dynamics == "ode":
        matrix = (var0 / var1) ** 0.5
        return Flow(((matrix,),), (mean0 - matrix * mean1,), ((0 * var0,),))
    phi = process.alpha(late) / process.alpha(early)
    forward = process.sigma(late) ** 2 - (phi * process.sigma(early)) ** 2
    gain = var0 * phi / var1
    kept = (1 - gain * phi) ** 2 * var0 + gain * gain * forward
    return Flow(((gain,),), (mean0 - gain * mean1,), ((kept,),))


def _bayes(own: PSLD | VP, delta: Any, sigma0: Block, sigma1: Block) -> tuple[Block, Block]:
    """Anderson (1982): the reverse SDE is the time reversal, so z_0 given z_1 is the posterior.

    The covariance is in Joseph's form, a sum of two positive matrices.
    """
    phi = transition(own, delta)
    gain = times(times(sigma0, transposed(phi)), inverse(sigma1))
    stationary = diagonal(own.stationary)
    forward = plus(stationary, times(times(phi, stationary), transposed(phi)), -1)
    rest = plus(identity(len(phi)), times(gain, phi), -1)
    kept = times(times(rest, sigma0), transposed(rest))
    return gain, plus(kept, times(times(gain, forward), transposed(gain)))


def _probability_flow(
    own: PSLD | VP, target: Gaussian, early: Any, late: Any, sigma0: Block, sigma1: Block
) -> Block:
    """L_0 U(angle) L_1^-1 with Cholesky factors L L^T = Sigma.

    The flow maps marginals to marginals, so in the coordinates y = L^-1 z it is orthogonal, and in
    two dimensions rotations commute: only the integral of the angular velocity is needed.
    """
    if isinstance(own, VP):
        return ((_sqrt(sigma0[0][0] / sigma1[0][0]),),)
    angle = _integral(lambda u: _angular_velocity(own, target, u), early, late)
    cosine, sine = (mpmath.cos, mpmath.sin) if isinstance(angle, mpmath.mpf) else (np.cos, np.sin)
    turn = ((cosine(angle), sine(angle)), (-sine(angle), cosine(angle)))  # backwards in tau
    (p, _), (q, r) = _cholesky(sigma1)
    return times(times(_cholesky(sigma0), turn), ((1 / p, 0), (-q / (p * r), 1 / r)))


def _angular_velocity(own: PSLD, target: Gaussian, u: Any) -> Any:
    """-(L^-1 (K L - L'))_{xm} with K = F + D Sigma^-1 / 2; L' drops out, as L is lower
    triangular.
    """
    (p, q), (_, r) = marginal(own, target, u)[1]
    det = p * r - q * q
    if not np.min(det) > 0:
        raise ValueError(
            f"the probability flow at clock {float(u):.3g} meets a law that is degenerate (mode "
            f"{int(np.argmin(det))}): end earlier, or give the mode a positive variance"
        )
    root = _sqrt(det)
    return (own.Gamma * q / root - root / own.M) / (2 * p)


def _integral(f: Callable[[Any], Any], a: Any, b: Any) -> Any:
    """The integral over [a, b], 0 <= a < b, to round-off; u = v^2 removes an u^-1/2 singularity at
    0.
    """
    low, high = _sqrt(a), _sqrt(b)
    if isinstance(b, mpmath.mpf):
        points = [high]  # panels that double in length: the integrand varies on the scale of v
        while low < points[-1] / 2 and len(points) < 16:
            points.append(points[-1] / 2)
        return mpmath.quad(lambda v: 2 * v * f(v * v), [low, *reversed(points)])
    adaptive: Any = quad_vec  # its stubs know no functions of one array
    value, error, info = adaptive(
        lambda v: 2 * v * f(v * v),
        low,
        high,
        epsabs=1e-14,
        epsrel=1e-13,
        norm="max",
        full_output=True,
        limit=2000,
    )
    if not (info.success or error < 1e-10):
        raise ValueError(
            f"the rotation angle over clock [{a}, {b}] did not converge: {info.message}"
        )
    return value


def _langevin(
    dynamics: Dynamics, diffusion: Langevin, target: Gaussian, h: Any
) -> tuple[Block, Block]:
    """exp(h [[0, 1], [-1/C, -gamma]]) by its eigenvalues, and Q = S - R S R^T, S = diag(C, 1)."""
    stiffness = 1 / target.variances
    r = (diffusion.gamma if dynamics == "sde" else 0 * diffusion.gamma) / (2 + 0 * h)
    d2 = r * r - stiffness
    even, odd = _cosh_sinhc(d2, h)
    decay = _exp(-r * h)
    matrix = (
        (decay * (even + r * odd), decay * odd),
        (-decay * odd * stiffness, decay * (even - r * odd)),
    )
    law = diagonal((target.variances, 1 + 0 * target.variances))
    noise = plus(law, times(times(matrix, law), transposed(matrix)), -1)
    return matrix, noise if dynamics == "sde" else tuple(tuple(0 * x for x in row) for row in noise)


def _cosh_sinhc(d2: Any, h: Any) -> tuple[Any, Any]:
    """cosh(d h) and sinh(d h)/d for d = sqrt(d2) of either sign of d2, and at 0."""
    if isinstance(h, mpmath.mpf) or isinstance(d2, mpmath.mpf):
        if d2 == 0:
            return 1 + 0 * h, h
        d = mpmath.sqrt(mpmath.mpc(d2))
        return mpmath.re(mpmath.cosh(d * h)), mpmath.re(mpmath.sinh(d * h) / d)
    d = np.sqrt(np.asarray(d2, dtype=np.complex128))
    safe = np.where(d == 0, 1, d)
    return np.cosh(d * h).real, np.where(d == 0, h, (np.sinh(safe * h) / safe).real)


def integrated_flow(
    dynamics: Dynamics,
    diffusion: Diffusion,
    target: Gaussian,
    t0: Any,
    t1: Any,
    lambda_s: Any = 1,
    tolerance: Any = None,
) -> Flow:
    """Route 2: R' = A R, r' = A r + a, Q' = A Q + Q A^T + D along the reverse drift A z + a.

    `lambda_s` (a number, or a function of reverse time) scales the position noise; 1 is the exact
    flow, anything else the limit h -> 0 of the splitting schemes with that lambda_s. `tolerance` is
    relative, by default 1e-13, or 1e3 units of round-off for mpmath numbers. Raises ValueError for
    times out of order or beyond T, and where the score does not exist along the way.
    """
    _refuse_bad_times(diffusion, t0, t1)
    drift = model_of(diffusion.model_name, dynamics).drift
    p = diffusion.parameters
    linear, weights, amounts = drift.linear(p), drift.score(p), drift.noise(p)
    n = len(linear)

    def slope(t: Any, flat: Sequence[Any]) -> list[Any]:
        matrix, shift, noise = _unpack(flat, n)
        h, g = score(diffusion, target, diffusion.T - t)
        rate = diffusion.beta(diffusion.T - t)
        a = tuple(
            tuple(rate * (linear[i][j] + weights[i] * h[i][j]) for j in range(n)) for i in range(n)
        )
        if drift.fading:
            a = ((a[0][0] + fading_rate(drift, diffusion, diffusion.T - t),),)
        scale = lambda_s(t) if callable(lambda_s) else lambda_s
        moved = times(a, column(shift))
        half = times(a, noise)
        q = [[half[i][j] + half[j][i] for j in range(n)] for i in range(n)]
        for i in range(n):
            q[i][i] = q[i][i] + rate * amounts[i] * (scale if i == 0 else 1)
        return [
            *(entry for row in times(a, matrix) for entry in row),
            *(moved[i][0] + rate * weights[i] * g[i] for i in range(n)),
            *(q[i][j] for i in range(n) for j in range(i, n)),
        ]

    zero = 0 * (t1 + target.variances + target.mean)
    start = [zero + int(i == j) for i in range(n) for j in range(n)]
    start += [zero] * (n + n * (n + 1) // 2)
    if isinstance(zero, mpmath.mpf):
        return Flow(
            *_unpack(extrapolated(slope, start, t0, t1, tolerance or 1e3 * mpmath.mp.eps), n)
        )
    shape = (len(start), *np.shape(zero))

    def flat_slope(t: float, y: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.empty(shape)
        for i, entry in enumerate(slope(t, list(y.reshape(shape)))):
            found[i] = entry
        return found.ravel()

    solution = solve_ivp(
        flat_slope,
        (t0, t1),
        np.ravel(start),
        method="DOP853",
        rtol=tolerance or 1e-13,
        atol=1e-16,
    )
    if not solution.success:
        raise ValueError(f"the moment equations could not be integrated: {solution.message}")
    return Flow(*_unpack(list(solution.y[:, -1].reshape(shape)), n))


def _unpack(flat: Sequence[Any], n: int) -> tuple[Block, Pair, Block]:
    matrix = tuple(tuple(flat[i * n + j] for j in range(n)) for i in range(n))
    shift = tuple(flat[n * n : n * n + n])
    upper = flat[n * n + n :]
    noise = ((upper[0],),) if n == 1 else ((upper[0], upper[1]), (upper[1], upper[2]))
    return matrix, shift, noise


def over_a_unit(
    slope: Callable[[Any, Sequence[Any]], list[Any]], start: list[Any], zero: Any, what: str
) -> list[Any]:
    """y(1) of y' = slope(share, y), y(0) = start, in the arithmetic of `zero`: mpmath's numbers,
    or floats and arrays of its shape.

    Raises ValueError, which names `what`, where that cannot be integrated.
    """
    if isinstance(zero, mpmath.mpf):
        return extrapolated(slope, start, zero, 1 + zero, 1e3 * mpmath.mp.eps)
    shape = (len(start), *np.shape(zero))
    found = solve_ivp(
        lambda share, y: np.ravel(slope(share, list(y.reshape(shape)))),
        (0, 1),
        np.ravel(start),
        method="DOP853",
        rtol=1e-13,
        atol=1e-16,
    )
    if not found.success:
        raise ValueError(f"{what} could not be integrated: {found.message}")
    return list(found.y[:, -1].reshape(shape))


def extrapolated(
    f: Callable[[Any, Sequence[Any]], list[Any]],
    y: list[Any],
    a: Any,
    b: Any,
    tolerance: Any,
    halvings: int = 0,
) -> list[Any]:
    """Gragg's midpoint rule with 2, 4, 6, ... steps, extrapolated in h^2 (Hairer, Norsett & Wanner,
    II.9).

    A step that has not converged after MOST_COLUMNS is halved, at most MOST_HALVINGS times.
    """
    if halvings > MOST_HALVINGS:
        raise ValueError(
            f"the moment equations could not be integrated to {mpmath.nstr(tolerance, 3)} at t = "
            f"{a}"
        )
    table: list[list[Any]] = []
    for level in range(MOST_COLUMNS):
        row = _midpoint(f, y, a, b, 2 * (level + 1))
        new = [row]
        for k in range(1, level + 1):
            ratio = mpmath.mpf(level + 1) / (level + 1 - k)
            factor = 1 / (ratio * ratio - 1)
            new.append([u + (u - v) * factor for u, v in zip(new[-1], table[k - 1], strict=True)])
        if level:
            change = max(abs(u - v) for u, v in zip(new[-1], new[-2], strict=True))
            if change <= tolerance * max(abs(u) for u in new[-1]):
                return new[-1]
        table = new
    middle = (a + b) / 2
    y = extrapolated(f, y, a, middle, tolerance, halvings + 1)
    return extrapolated(f, y, middle, b, tolerance, halvings + 1)


def _midpoint(
    f: Callable[[Any, Sequence[Any]], list[Any]], y: list[Any], a: Any, b: Any, steps: int
) -> list[Any]:
    h = (b - a) / steps
    before, here = y, [u + h * v for u, v in zip(y, f(a, y), strict=True)]
    for k in range(1, steps):
        slope = f(a + k * h, here)
        before, here = here, [u + 2 * h * v for u, v in zip(before, slope, strict=True)]
    return here


def _refuse_bad_times(diffusion: Diffusion, t0: Any, t1: Any) -> None:
    if not 0 <= t0 < t1 <= diffusion.T:
        raise ValueError(f"reverse times [{t0}, {t1}]: they need 0 <= t0 < t1 <= T = {diffusion.T}")


def _shift(matrix: Block, mean0: Pair, mean1: Pair) -> Pair:
    return tuple(m - row[0] for m, row in zip(mean0, times(matrix, column(mean1)), strict=True))


def _sqrt(value: Any) -> Any:
    return mpmath.sqrt(value) if isinstance(value, mpmath.mpf) else np.sqrt(value)


def _exp(value: Any) -> Any:
    return mpmath.exp(value) if isinstance(value, mpmath.mpf) else np.exp(value)


def _cholesky(block: Block) -> Block:
    (p, q), (_, r) = block
    root = _sqrt(p)
    if isinstance(p, mpmath.mpf):
        below = q / root if p else 0 * q
        return ((root, 0), (below, mpmath.sqrt(r - below * below)))
    below = np.divide(q, root, out=np.zeros(np.shape(p)), where=np.asarray(p) > 0)
    return ((root, 0), (below, np.sqrt(np.maximum(r - below * below, 0))))
