"""A conjugate step (theory section 6) with numbers in: what it keeps of the state and gains from
the score.

A and Phi run through the whole process, and A grows like exp(b); one step needs neither. With z_hat
= A z the step is Euler's for B followed by the exact flow Y of dz = (B + beta linear) z dt, eps
held:

    z' = Y (I - h B) z + (integral of Y(end, u) beta score L(u)^-T du) (-eps),     -eps = L^T s

so it stays accurate where A overflows. Y is a Taylor series, as beta is linear in time; the
integral is tanh-sinh quadrature, to which the singularity of L^-T at tau = 0 is nothing, and in
short steps away from it Gauss-Legendre quadrature, at an eighth of the nodes.
gpu_samplers.conjugate finds the same by collocation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from math import ceil
from typing import Any

import mpmath
import numpy as np

from analytic_models.arithmetic import exp
from analytic_models.conjugate_moving import moving_step
from analytic_models.diffusions import PSLD, VP, Diffusion, noise, transition
from analytic_models.matrices import Rows, times
from analytic_models.quadrature import integral
from analytic_models.targets import Block
from splitting_analysis.models import Piece, conjugation, is_spelled_out
from splitting_analysis.schemes import Scheme


def conjugate_step(
    scheme: Scheme, diffusion: Diffusion, piece: Piece, begin: Any, end: Any, seen: Any
) -> tuple[Block, Block]:
    """keep and gain, z' = keep z + gain s, from forward time `begin` to `end`, s evaluated at
    `seen`.

    Times are scalars, or arrays over steps of shape (k, 1), as then are the entries. Raises
    ValueError for a process without eps, or a step that begins beyond its data.
    """
    if not isinstance(diffusion, PSLD | VP):
        raise ValueError(  # noqa: TRY004 - bad input is a ValueError here
            f"conjugate steps are those of psld and vp, not of {diffusion.model_name}"
        )
    p = diffusion.parameters
    linear, weights = piece.linear(p), piece.score(p)
    n = range(len(linear))
    held = transposed_factor(diffusion, scheme.factor, seen)
    if is_spelled_out(piece.conjugation) or scheme.skip is not None:
        once = isinstance(begin, float) and isinstance(end, float)
        step = _kept_step if once else _moving_step
        keep, gain = step(scheme, diffusion, piece, begin, end)
        return keep, times(gain, held)

    def bent(begin: Any) -> Block:
        value = (0 * begin + 1) * scheme.conjugate.numerator / scheme.conjugate.denominator
        return conjugation(piece.conjugation, value, len(linear))

    shift = bent(begin)
    flow = _flow(diffusion, linear, shift, begin, end)
    length = begin - end
    first = [[int(i == j) - length * shift[i][j] for j in n] for i in n]
    keep = times(flow, first)

    def integrand(u: Any, begin: Any, end: Any) -> Rows:
        own, rate = inverse_factor(diffusion, scheme.factor, u), diffusion.beta(u)
        forced = [[rate * weights[i] * own[i][j] for j in n] for i in n]
        return times(_flow(diffusion, linear, bent(begin), u, end), forced)

    fastest = max(float(np.max(np.abs(entry))) for row in shift for entry in row)
    if isinstance(diffusion, VP) and _jumps(diffusion, begin, end):
        found = _between_jumps(diffusion, linear, bent, integrand, begin, end, fastest)
        return keep, times([[found]], held)
    few = smooth(diffusion, begin, end, fastest)
    return keep, times(integral(integrand, (len(n), len(n)), begin, end, few), held)


def _jumps(process: VP, begin: Any, end: Any) -> tuple[float, ...]:
    """Where beta of a table jumps between the earliest end and the latest begin."""
    return process.kinks(float(np.min(end)), float(np.max(begin)))


def _between_jumps(
    process: VP,
    linear: Block,
    bent: Callable[[Any], Block],
    integrand: Callable[[Any, Any, Any], Rows],
    begin: Any,
    end: Any,
    rate: float,
) -> Any:
    """The integral over steps in which beta jumps: from one jump to the next, all of them at once,
    each carried on to the end of its step.
    """
    if not isinstance(begin, np.ndarray):
        edges = [end, *_jumps(process, begin, end), begin]
        total = 0 * end
        for low, high in pairwise(edges):
            ((part,),) = integral(integrand, (1, 1), high + 0 * end, low + 0 * end)
            total = total + _flow(process, linear, bent(begin), low + 0 * end, end)[0][0] * part
        return total
    borders = [
        [float(a), *reversed(_jumps(process, a, b)), float(b)]
        for a, b in zip(begin.flat, end.flat, strict=True)
    ]
    high = np.array([[edge] for edges in borders for edge in edges[:-1]])
    low = np.array([[edge] for edges in borders for edge in edges[1:]])
    counts = [len(edges) - 1 for edges in borders]
    last = np.repeat(end, counts, axis=0)
    # 1/sigma is singular where b is 0: far from there, and in short stretches, few nodes do
    few = (process.integral(high) <= 2 * process.integral(low)) & (rate * (high - low) < 1)
    ((parts,),) = integral(integrand, (1, 1), high, low, few[:, 0])
    carried = parts * _flow(process, linear, bent(high), low, last)[0][0]
    return np.add.reduceat(carried, np.cumsum([0, *counts[:-1]]), axis=0)


def _moving_step(
    scheme: Scheme, diffusion: PSLD | VP, piece: Piece, begin: Any, end: Any
) -> tuple[Block, Block]:
    """keep and gain of -eps where B moves, or C_skip is in the linear part."""
    weights = piece.score(diffusion.parameters)
    n = range(len(weights))

    def source(u: Any) -> Rows:
        own, rate = inverse_factor(diffusion, scheme.factor, u), diffusion.beta(u)
        return [[rate * weights[i] * own[i][j] for j in n] for i in n]

    return moving_step(scheme, diffusion, piece, begin, end, source)


_kept_step = lru_cache(4096)(_moving_step)
"""Who steps one by one takes the same steps in many runs, and one takes hundreds of series."""


def conjugate_flow(diffusion: PSLD, linear: Block, begin: Any, end: Any) -> Rows:
    """The flow of dz = beta linear z dt over reverse time, from forward time `begin` to `end`."""
    return _flow(diffusion, linear, ((0, 0), (0, 0)), begin, end)


def smooth(process: PSLD | VP, begin: Any, end: Any, rate: float = 0.0) -> Any:
    """Of arrays over steps (k, 1), which steps, (k,), are short and far from tau = 0, where the
    kernel is singular, so that few nodes serve for it and exponentials of at most that rate. None
    for numbers.
    """
    if not isinstance(begin, np.ndarray):
        return None
    speed = 1.0 if isinstance(process, VP) else (process.Gamma + process.nu) / 2
    clock = process.clock(process.T - begin, begin - end)
    short = (speed * clock < 1) & (rate * (begin - end) < 1) & (begin <= 2 * end)
    return short[:, 0]


def _flow(diffusion: PSLD | VP, linear: Block, shift: Block, begin: Any, end: Any) -> Rows:
    """Y: the flow of dz = (B + beta linear) z dt over reverse time, from forward time `begin` to
    `end`.
    """
    if isinstance(diffusion, VP):
        clock = diffusion.integral(begin) - diffusion.integral(end)
        return [[exp(shift[0][0] * (begin - end) + linear[0][0] * clock)]]
    scaled = _is_scaled(shift)
    numbers = isinstance(begin, np.ndarray | float) and isinstance(end, np.ndarray | float)
    if numbers and (scaled or diffusion.beta_min == diffusion.beta_max):
        return _commuting(diffusion, linear, shift, begin, end, scaled)
    n = range(2)
    slope = (diffusion.beta_max - diffusion.beta_min) / diffusion.T
    span = begin - end
    most = max(float(np.max(np.abs(diffusion.beta(edge)))) for edge in (begin, end))
    size = max(
        sum(float(np.max(np.abs(shift[i][j]))) + most * float(abs(linear[i][j])) for j in n)
        for i in n
    )
    parts = max(1, ceil(2 * size * float(np.max(span))))
    u = span / parts
    total: Rows = [[int(i == j) + 0 * u for j in n] for i in n]
    for k in range(parts):
        rate = diffusion.beta(begin - k * u)
        now = [[shift[i][j] + rate * linear[i][j] for j in n] for i in n]
        before = [[0 * u for _ in n] for _ in n]
        term = [[int(i == j) + 0 * u for j in n] for i in n]
        own = [list(row) for row in term]
        for order in range(1, 200):
            # (m + 1) y_{m+1} = M y_m - slope linear y_{m-1}, each y_m times u^m
            grown, bent = times(now, term), times(linear, before)
            before, term = (
                term,
                [[(grown[i][j] * u - slope * u * u * bent[i][j]) / order for j in n] for i in n],
            )
            after = [[own[i][j] + term[i][j] for j in n] for i in n]
            still = all(np.all(after[i][j] == own[i][j]) for i in n for j in n)
            own = after
            if still:
                break
        total = times(own, total)
    return total


def _is_scaled(shift: Block) -> bool:
    """Whether B is a multiple of I, which commutes with everything."""
    alone = all(isinstance(shift[i][j], int) and shift[i][j] == 0 for i, j in ((0, 1), (1, 0)))
    return alone and shift[0][0] is shift[1][1]


def _commuting(
    diffusion: PSLD, linear: Block, shift: Block, begin: Any, end: Any, scaled: bool
) -> Rows:
    """Y where all matrices on the way commute: the exponential of their integral, in floats.

    With m the mean eigenvalue and q the square of half their difference, that is
    e^m (cosh sqrt(q) + sinh(sqrt q)/sqrt(q) (matrix - m)).
    """
    clock, span = diffusion.clock(diffusion.T - begin, begin - end), begin - end
    n = range(2)
    # lambda I only stretches: it is kept apart, so that nothing is lost against a long clock
    if scaled:
        whole = [[clock * linear[i][j] for j in n] for i in n]
        growth = np.exp(shift[0][0] * span)
    else:
        whole = [[clock * linear[i][j] + span * shift[i][j] for j in n] for i in n]
        growth = 1.0
    mean, half = (whole[0][0] + whole[1][1]) / 2, (whole[0][0] - whole[1][1]) / 2
    square = half * half + whole[0][1] * whole[1][0]
    root = np.sqrt(np.abs(square))
    series = 1 + square / 6 * (1 + square / 20 * (1 + square / 42))  # exact to rounding below 1e-2
    safe = np.where(root < 1e-2, 1.0, root)
    odd = np.where(root < 1e-2, series, np.where(square > 0, np.sinh(safe), np.sin(safe)) / safe)
    even = np.where(square > 0, np.cosh(root), np.cos(root))
    scale = growth * np.exp(mean)
    return [
        [scale * (even + odd * half), scale * odd * whole[0][1]],
        [scale * odd * whole[1][0], scale * (even - odd * half)],
    ]


def covariance(process: PSLD, tau: Any) -> tuple[Any, Any, Any, Any]:
    """xx, xm, mm and the determinant of the kernel's covariance (hybrid: x_0 known, m_0 not).

    The determinant is a sum of what the noise and the start contribute: near tau = 0 the products
    of the entries would lose it.
    """
    (_, b), (_, d) = transition(process, tau)
    (xx, xm), (_, mm) = noise(process, tau)
    m = process.kappa * process.M
    det = (xx * mm - xm * xm) + m * (b * b * mm - 2 * b * d * xm + d * d * xx)
    return xx + b * b * m, xm + b * d * m, mm + d * d * m, det


def _factor(process: PSLD, name: str, tau: Any) -> tuple[Any, Any, Any, Any]:
    """Diagonal and off-diagonal entries of L, and the root of the determinant; their limits at 0,
    where positions have no noise.
    """
    xx, xm, mm, det = covariance(process, tau)
    xx, mm, whole = (
        value**0.5 if not isinstance(value, mpmath.mpf) else mpmath.sqrt(value)
        for value in (xx, mm, det)
    )
    if name != "lower":
        return _over(whole, mm), mm, _over(xm, mm), whole
    start = mm * (xx == 0)  # positions fade in by noise of their own, or by the momentum's alone
    own, mixed = (start, 0 * start) if process.Gamma > 0 else (0 * start, start)
    return xx, _over(whole, xx) + own, _over(xm, xx) + mixed, whole


def _over(value: Any, root: Any) -> Any:
    """Their ratio, and 0 where the root is."""
    return value / (root + (root == 0))


def transposed_factor(process: PSLD | VP, name: str, tau: Any) -> Rows:
    """L^T: -eps = L^T s."""
    if isinstance(process, VP):
        return [[process.sigma(tau)]]
    a, c, off, _ = _factor(process, name, tau)
    return [[a, off], [0, c]] if name == "lower" else [[a, 0], [off, c]]


def inverse_factor(process: PSLD | VP, name: str, tau: Any) -> Rows:
    """L^-T, so that s = L^-T (-eps): -C_out of a network that predicts eps."""
    if isinstance(process, VP):
        return [[1 / process.sigma(tau)]]
    a, c, off, whole = _factor(process, name, tau)
    return (
        [[1 / a, -off / whole], [0, 1 / c]]
        if name == "lower"
        else [[1 / a, 0], [-off / whole, 1 / c]]
    )
