"""Data held on PSLD and CLD, with numbers in (theory section 10).

Given x_0 the forward path is Gaussian, N(mu x_0, Sigma), and a step may follow any process with
these laws in reverse. They differ by one number a(tau), a rotation, and by their noise eta:

    dz = mu' x_0 dtau + W (z - mu x_0) dtau,     W Sigma = Sigma'/2 + eta^2 G G^T/2 + a J

and the noise eta G dW. A factor R, R R^T = Sigma, that is carried along gives an a of its own, the
exact bridge the one of the probability flow; at eta between, a and the drift lie between them:
W = (1 - eta^2) R'R^-1 + eta^2 (F + G G^T Sigma^-1). M below takes z - mu x_0 from one time to
another. Entries are floats, arrays over steps of shape (k, 1), or mpmath numbers.

gpu_samplers.bridges states all of it again and integrates it by collocation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from analytic_models.arithmetic import exp
from analytic_models.conjugate import covariance
from analytic_models.diffusions import PSLD, noise, transition
from analytic_models.given_data import (
    clock_at,
    clock_ends,
    clock_rate,
    covariance_block,
    mean,
    mean_rate,
    rates_of,
)
from analytic_models.held import weights
from analytic_models.linear_flow import over_a_unit
from analytic_models.matrices import applied, plus, times, transposed
from analytic_models.targets import Block, Pair
from splitting_analysis.clocks import Clock
from splitting_analysis.clocks import elementary as of
from splitting_analysis.program import Hold

NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)
N = range(2)


@dataclass(frozen=True)
class Step:
    """z <- keep z + sum of gains[j] prediction_j + N(0, noise); noise is None where there is
    none.
    """

    keep: Block
    gains: tuple[Pair, ...]
    noise: Block | None


def turn(process: PSLD, factor: str, tau: Any) -> Any:
    """a of the factor, the antisymmetric part of R'R^T: all in which one factor differs from
    another.
    """
    law = covariance(process, tau)
    return _turn(process, factor, law, rates_of(process, law, tau), tau)


def _turn(process: PSLD, factor: str, law: Sequence[Any], rates: Sequence[Any], tau: Any) -> Any:
    (xx, xm, mm, det), (dxx, dxm, dmm) = law, rates
    match factor:
        case "lower":
            return (dxx * xm / xx - dxm) / 2
        case "upper":
            return (dxm - dmm * xm / mm) / 2
        case "symmetric":
            commutator = xm * (dxx - dmm) + dxm * (mm - xx)
            return commutator / (xx + mm + 2 * of("sqrt", det)) / 2
        case "aligned":  # (R^-1 mu)' along R^-1 mu: W mu = mu' - q'/(2 q) mu, q = mu Sigma^-1 mu
            (x, m), (dx, dm) = mean(process, tau), mean_rate(process, tau)
            u, v = (mm * x - xm * m) / det, (xx * m - xm * x) / det  # Sigma^-1 mu
            pull = dxx * u + dxm * v, dxm * u + dmm * v
            half = (dx * u + dm * v - (pull[0] * u + pull[1] * v) / 2) / (x * u + m * v)
            rest = dx - half * x - pull[0] / 2, dm - half * m - pull[1] / 2
            return (v * rest[0] - u * rest[1]) / (u * u + v * v)
        case _:  # the flow's, F Sigma - Sigma F^T over 2
            g, nu, mass = process.Gamma, process.nu, process.M
            return process.beta(tau) * ((nu - g) * xm + mm / mass + xx) / 4


def drift(process: PSLD, factor: str, eta: Any, tau: Any) -> Block:
    """W at forward time tau."""
    law = covariance(process, tau)
    (xx, xm, mm, det), (dxx, dxm, dmm) = law, (rates := rates_of(process, law, tau))
    rate, more = process.beta(tau), eta * eta
    own, flow = (_turn(process, name, law, rates, tau) for name in (factor, "flow"))
    a = (1 - more) * own + more * flow
    half = (
        ((dxx + more * rate * process.Gamma) / 2, dxm / 2 + a),
        (dxm / 2 - a, (dmm + more * rate * process.M * process.nu) / 2),
    )
    return times(half, ((mm / det, -xm / det), (-xm / det, xx / det)))


def hold(
    op: Hold,
    process: PSLD,
    clock: Clock,
    eta: Any,
    factor: str,
    begin: Any,
    end: Any,
    nodes: Sequence[Any],
) -> Step:
    """The step from forward time `begin` to `end` with data predicted at the forward times `nodes`.

    Raises ValueError where it would end without noise, where no data are left at its start, and
    where the clock does not run one way.
    """
    first, last = clock_ends(process, clock, begin, end)
    count = len(nodes)
    if 0 < eta < 1:
        keep, integrals, added = _integrated(process, clock, eta, factor, begin, end, count)
    else:
        keep, integrals, added = _closed(process, clock, eta, factor, begin, end, count)
    before, after = mean(process, begin), mean(process, end)
    moved = applied(keep, before)
    w = drift(process, factor, eta, end)
    slope, carried = mean_rate(process, end), applied(w, after)
    speed = clock_rate(process, clock, end) / (last - first)
    places = [(clock_at(process, clock, tau) - first) / (last - first) for tau in nodes]
    columns = []
    for i in N:
        moments = [
            after[i] - moved[i],
            *(after[i] - k * integrals[k - 1][i] for k in range(1, count)),
        ]
        at_end = (slope[i] - carried[i]) / speed
        columns.append(weights(places, op.rule(moments, at_end)))
    return Step(keep, tuple(zip(*columns, strict=True)), added if eta else None)


def _root(process: PSLD, factor: str, tau: Any) -> tuple[Block, Block]:
    """R and its inverse, of the factors with a formula."""
    xx, xm, mm, det = covariance(process, tau)
    whole = of("sqrt", det)
    if factor == "lower":
        top = of("sqrt", xx)
        root = ((top, 0), (xm / top, whole / top))
    elif factor == "upper":
        low = of("sqrt", mm)
        root = ((whole / low, xm / low), (0, low))
    elif factor == "aligned":
        x, m = mean(process, tau)
        u, v = (mm * x - xm * m) / det, (xx * m - xm * x) / det
        size = of("sqrt", x * u + m * v)
        root = ((x / size, whole * v / size), (m / size, -whole * u / size))
        whole = -whole
    else:
        size = of("sqrt", xx + mm + 2 * whole)
        root = (((xx + whole) / size, xm / size), (xm / size, (mm + whole) / size))
    (p, q), (r, s) = root
    return root, ((s / whole, -q / whole), (-r / whole, p / whole))


def _moving(process: PSLD, eta: Any, factor: str, end: Any) -> Callable[[Any], Block]:
    """M from any forward time to `end`: R R^-1, or Bayes' rule where eta is 1.

    The flow's R is the lower one turned.
    """
    if not eta and factor == "flow":
        lower = _root(process, "lower", end)[0]

        def turned(tau: Any) -> Block:
            turned_by = angle(process, "flow", "lower", tau, end)
            cosine, sine = of("cos", turned_by), of("sin", turned_by)
            back = times(((cosine, -sine), (sine, cosine)), _root(process, "lower", tau)[1])
            return times(lower, back)

        return turned
    if not eta:
        root = _root(process, factor, end)[0]
        return lambda tau: times(root, _root(process, factor, tau)[1])
    own = covariance_block(process, end)

    def bayes(tau: Any) -> Block:
        xx, xm, mm, det = covariance(process, tau)
        inverse = ((mm / det, -xm / det), (-xm / det, xx / det))
        phi = transition(process, tau, end)
        return times(times(own, transposed(phi)), inverse)

    return bayes


def angle(process: PSLD, factor: str, against: str, begin: Any, end: Any) -> Any:
    """How far a factor turns against another between two forward times, in radians.

    Rates (a - a') / sqrt(det Sigma), as A J A^T = det(A) J.
    """

    def rate(u: Any) -> Any:
        tau = of("exp", u)
        law = covariance(process, tau)
        rates = rates_of(process, law, tau)
        own, other = (_turn(process, name, law, rates, tau) for name in (factor, against))
        return tau * (own - other) / of("sqrt", law[3])

    low, high = of("log", end), of("log", begin)
    if isinstance(low, mpmath.mpf):
        return mpmath.quad(rate, [low, high])
    length = np.asarray(high - low)[..., None]
    nodes, share = _panels(int(np.max(_parts(process, begin, end))))
    total = np.sum(rate(np.asarray(low)[..., None] + length * nodes) * share * length, axis=-1)
    return total if isinstance(begin, np.ndarray) else float(total)


def _parts(process: PSLD, begin: Any, end: Any) -> Any:
    """How many panels are short in log tau and in the clock, of each step."""
    damping = (process.Gamma + process.nu) * process.clock(process.T - begin, begin - end) / 2
    return np.maximum(1, np.ceil(np.maximum(2 * of("log", begin / end), damping)))


def _panels(parts: int) -> tuple[Any, Any]:
    """Gauss-Legendre nodes and weights on [0, 1], in so many panels."""
    nodes = np.concatenate([(i + (NODES + 1) / 2) / parts for i in range(parts)])
    return nodes, np.tile(WEIGHTS, parts) / (2 * parts)


def _closed(
    process: PSLD, clock: Clock, eta: Any, factor: str, begin: Any, end: Any, count: int
) -> tuple[Block, list[Pair], Block]:
    """M over the step, the integrals of M mu theta^k dtheta for k < count - 1, and the noise."""
    moving = _moving(process, eta, factor, end)
    keep = moving(begin)
    integrals: list[Pair] = []
    if count > 1:
        integrals = _integrals(process, clock, eta, factor, begin, end, count - 1)
    zero: Block = ((0, 0), (0, 0))
    if not eta:
        return keep, integrals, zero
    phi = transition(process, begin, end)
    rest = plus(((1, 0), (0, 1)), times(keep, phi), -1)
    # in Joseph's form, a sum of two positive matrices
    kept = times(times(rest, covariance_block(process, end)), transposed(rest))
    forward = _forward_noise(process, begin, end)
    return keep, integrals, plus(kept, times(times(keep, forward), transposed(keep)))


def _forward_noise(process: PSLD, begin: Any, end: Any) -> Block:
    """Covariance of z at `begin` given z at the earlier forward time `end`."""
    clock = process.clock(process.T - begin, begin - end)
    one = process.T / process.T
    unit = PSLD(process.Gamma, process.nu, one, one, process.kappa, process.T)
    return noise(unit, clock)


def _integrals(
    process: PSLD, clock: Clock, eta: Any, factor: str, begin: Any, end: Any, count: int
) -> list[Pair]:
    """By Gauss-Legendre quadrature in log tau, in which nothing varies fast near 0; steps that take
    as many panels together.
    """
    if not isinstance(begin, np.ndarray):
        return _integrals_alone(process, clock, eta, factor, begin, end, count)
    parts, found = _parts(process, begin, end)[:, 0], np.empty((count, 2, *begin.shape))
    for own in np.unique(parts):
        chosen = parts == own
        found[:, :, chosen] = _integrals_alone(
            process, clock, eta, factor, begin[chosen], end[chosen], count
        )
    return [tuple(pair) for pair in found]


def _integrals_alone(
    process: PSLD, clock: Clock, eta: Any, factor: str, begin: Any, end: Any, count: int
) -> list[Pair]:
    """The same, all steps on the nodes of the longest."""
    first, last = clock_at(process, clock, begin), clock_at(process, clock, end)
    moving = _moving(process, eta, factor, end)

    def integrand(u: Any) -> tuple[Pair, Any, Any]:
        tau = exp(u)
        theta = (clock_at(process, clock, tau) - first) / (last - first)
        speed = clock_rate(process, clock, tau) / (last - first) * tau
        return applied(moving(tau), mean(process, tau)), speed, theta

    low, high = of("log", begin), of("log", end)
    if isinstance(begin, mpmath.mpf) or isinstance(end, mpmath.mpf):

        def entry(i: int, k: int) -> Callable[[Any], Any]:
            def at(u: Any) -> Any:
                value, speed, theta = integrand(u)
                return value[i] * speed * theta**k

            return at

        return [tuple(mpmath.quad(entry(i, k), [low, high]) for i in N) for k in range(count)]
    nodes, share = _panels(int(np.max(_parts(process, begin, end))))
    value, speed, theta = integrand(low + (high - low) * nodes)
    kernel = speed * (high - low) * share
    shaped = isinstance(begin, np.ndarray)
    return [
        tuple(np.sum(value[i] * kernel * theta**k, axis=-1, keepdims=shaped) for i in N)
        for k in range(count)
    ]


def _integrated(
    process: PSLD, clock: Clock, eta: Any, factor: str, begin: Any, end: Any, count: int
) -> tuple[Block, list[Pair], Block]:
    """The same where there is no formula: dM/dtau = -M W from `end` on, with what is integrated
    along it, in log tau; all steps at once.
    """
    first, last = clock_at(process, clock, begin), clock_at(process, clock, end)
    low, length = of("log", end), of("log", begin) - of("log", end)

    def slope(share: Any, flat: Sequence[Any]) -> list[Any]:
        tau = of("exp", low + share * length)
        moved: Block = ((flat[0], flat[1]), (flat[2], flat[3]))
        fallen = times(moved, drift(process, factor, eta, tau))
        speed = length * tau
        strength = speed * process.beta(tau) * eta * eta
        gains = strength * process.Gamma, strength * process.M * process.nu
        spread = [
            sum(moved[i][k] * gains[k] * moved[j][k] for k in N)
            for i, j in ((0, 0), (0, 1), (1, 1))
        ]
        result = [-speed * entry for row in fallen for entry in row] + spread
        if count > 1:
            theta = (clock_at(process, clock, tau) - first) / (last - first)
            run = -speed * clock_rate(process, clock, tau) / (last - first)
            value = applied(moved, mean(process, tau))
            result += [value[i] * run * theta**k for k in range(count - 1) for i in N]
        return result

    zero = 0 * (begin + end)
    start = [1 + zero, zero, zero, 1 + zero, *([zero] * (3 + 2 * (count - 1)))]
    return _unflat(over_a_unit(slope, start, zero, "a step that holds the data"))


def _unflat(flat: Sequence[Any]) -> tuple[Block, list[Pair], Block]:
    a, b, c, d, p, q, r, *rest = flat
    pairs: list[Pair] = list(zip(rest[::2], rest[1::2], strict=True))
    return ((a, b), (c, d)), pairs, ((p, q), (q, r))
