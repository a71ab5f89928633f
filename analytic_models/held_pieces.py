"""A piece of a splitting with a prediction held, with numbers in: its exact flow.

The piece is dz = beta linear z dt + beta w s dt, and what is held, P, says s at any time: of data s
= (alpha P - x)/sigma^2, of PSLD s = -Sigma^-1 (z - mu P). So it is linear in z, with coefficients
that move in time. Of positions alone its exponent is in closed form, and what P brings in one
quadrature in lambda; of a pair both are integrated.

gpu_samplers.held_pieces integrates all of it by collocation. Entries are floats, arrays over steps,
or mpmath numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, assert_never

import mpmath
import numpy as np

from analytic_models.clocked import number, position_only
from analytic_models.conjugate import covariance
from analytic_models.diffusions import PSLD, Diffusion
from analytic_models.given_data import decay, mean
from analytic_models.held import NODES, WEIGHTS, refuse_ends
from analytic_models.linear_flow import over_a_unit
from analytic_models.targets import Block
from splitting_analysis.clocks import PositionOnly
from splitting_analysis.clocks import elementary as of
from splitting_analysis.models import Piece
from splitting_analysis.predictions import Prediction

PANEL = 1.0
"""Of lambda, at most, in a panel of the quadrature."""


def flow(piece: Piece, diffusion: Diffusion, begin: Any, end: Any) -> tuple[Block, Block]:
    """(keep, gain) of z <- keep z + gain P from forward time `begin` to `end`.

    Raises ValueError where it would end without noise, or begin without data.
    """
    if isinstance(diffusion, PSLD):
        return _pair(piece, diffusion, begin, end)
    process = position_only(diffusion)
    refuse_ends(process, begin, end)
    if isinstance(end, np.ndarray) and process.kinks(float(np.min(end)), float(np.max(begin))):
        pairs = zip(begin.flat, end.flat, strict=True)
        rows = [_single(piece, process, float(a), float(b)) for a, b in pairs]
        keep, gain = (np.reshape(column, end.shape) for column in zip(*rows, strict=True))
        return ((keep,),), ((gain,),)
    keep, gain = _single(piece, process, begin, end)
    return ((keep,),), ((gain,),)


def _single(piece: Piece, process: PositionOnly, begin: Any, end: Any) -> tuple[Any, Any]:
    p = process.parameters  # type: ignore[attr-defined]
    linear, weight = piece.linear(p)[0][0], piece.score(p)[0]
    fading = number(piece.fading, begin)
    held, last = Prediction(piece.held), process.log_snr(end)

    def exponent(tau: Any) -> Any:
        """Of what grows from forward time tau to the end."""
        integral = process.integral(tau) - process.integral(end)  # type: ignore[attr-defined]
        faded = process.log_alpha(end) - process.log_alpha(tau)
        own = linear * integral + fading * faded
        match held:
            case Prediction.DATA:
                return own - 2 * weight * (last - process.log_snr(tau))
            case Prediction.EPS | Prediction.SCORE:
                return own
            case Prediction.VELOCITY:
                return own - 2 * weight * faded
            case Prediction.V:
                ends = (of("log1p", process.clock_at("rho", u) ** 2) for u in (end, tau))
                return own + weight * (next(ends) - next(ends))
            case _:
                assert_never(held)

    def force(tau: Any) -> Any:
        """What one of P brings in per unit of lambda."""
        alpha, sigma = process.alpha(tau), process.sigma(tau)
        match held:
            case Prediction.DATA:
                return 2 * weight * alpha
            case Prediction.EPS:
                return -2 * weight * sigma
            case Prediction.SCORE:
                return 2 * weight * sigma * sigma
            case Prediction.VELOCITY:
                rate, growth = process.rates(tau)
                return -2 * weight / (growth / sigma - rate / alpha)
            case Prediction.V:
                return -2 * weight * alpha * sigma / (alpha * alpha + sigma * sigma)
            case _:
                assert_never(held)

    def integrand(u: Any) -> Any:
        tau = process.tau_of_lambda(u)
        return of("exp", exponent(tau)) * force(tau)

    return of("exp", exponent(begin)), _integral(process, integrand, begin, end)


def _integral(process: PositionOnly, integrand: Callable[[Any], Any], begin: Any, end: Any) -> Any:
    """By Gauss-Legendre panels in lambda, between the times at which beta jumps."""
    first, last = process.log_snr(begin), process.log_snr(end)
    if isinstance(end, mpmath.mpf):
        return mpmath.quad(integrand, [first, last])
    if isinstance(end, np.ndarray):
        panels = int(np.ceil(np.max(last - first) / PANEL))
        edges = [first + (last - first) * i / panels for i in range(panels + 1)]
    else:
        between = process.kinks(float(end), float(begin))
        borders = [first, *(process.log_snr(tau) for tau in reversed(between)), last]
        edges = []
        for a, b in pairwise(borders):
            panels = int(np.ceil(float(b - a) / PANEL)) or 1
            edges += [a + (b - a) * i / panels for i in range(panels)]
        edges.append(last)
    total: Any = 0.0
    for low, high in pairwise(edges):
        values = integrand(low + (high - low) * (NODES + 1) / 2) * WEIGHTS / 2
        total = total + (high - low) * np.sum(values, axis=-1, keepdims=np.ndim(end) > 0)
    return total


def _pair(piece: Piece, process: PSLD, begin: Any, end: Any) -> tuple[Block, Block]:
    """Of PSLD, in log tau from `begin` to `end`: all steps at once."""
    if not np.min(np.asarray(end, dtype=np.float64)) > 0:
        raise ValueError(
            f"a step from forward time {float(np.max(begin)):g} to {float(np.min(end)):g}: the "
            "position has no noise at 0, where data held say no score; end at eps > 0"
        )
    decay(process, begin)
    p = process.parameters
    linear, weights = piece.linear(p), piece.score(p)
    low, length = of("log", begin), of("log", end) - of("log", begin)

    def slope(share: Any, flat: Sequence[Any]) -> list[Any]:
        tau = of("exp", low + share * length)
        speed = -length * tau * process.beta(tau)  # of reverse time, in units of beta
        xx, xm, mm, det = covariance(process, tau)
        inverse = ((mm / det, -xm / det), (-xm / det, xx / det))
        mu = mean(process, tau)
        result = []
        for i in range(2):
            row = [linear[i][j] - weights[i] * inverse[i][j] for j in range(2)]
            pull = weights[i] * (inverse[i][0] * mu[0] + inverse[i][1] * mu[1])
            for k in range(3):
                moved = row[0] * flat[k] + row[1] * flat[3 + k]
                result.append(speed * (moved + (pull if k == 2 else 0)))
        return result

    zero = 0 * (begin + end)
    start = [1 + zero, zero, zero, zero, 1 + zero, zero]
    a, b, e, c, d, f = over_a_unit(slope, start, zero, "a piece that holds the data")
    return ((a, b), (c, d)), ((e,), (f,))
