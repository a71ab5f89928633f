"""Stability of conjugate steps: the frozen step, the published criterion, the step as it is.

Frozen at a time, the factor of eps stands still like beta and the score, and the step is a function
of h alone: Y (I - h B) z + (integral of Y) beta score s with Y the flow of the constant matrix B +
beta linear. The paper's criterion looks at the conjugated state z_hat = A z instead:
|1 + h lambda~| <= 1, lambda~ the eigenvalues of beta score H - B with H the score's matrix. That
says nothing of how A changes over the step, which the spectral radius of the step does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytic_models.arithmetic import exp, expm1, flow_2x2
from analytic_models.conjugate import conjugate_step
from analytic_models.conjugate_moving import shift_at, skip_at
from analytic_models.diffusions import Diffusion
from analytic_models.matrices import Rows
from analytic_models.rules import Map
from analytic_models.targets import Block, Gaussian, score
from splitting_analysis.models import Piece, Rule
from splitting_analysis.program import Advance
from splitting_analysis.schemes import Scheme

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pinned:
    """What conjugate steps have at the time at which all is frozen, beyond a rate of the clock."""

    shifts: dict[str, Block]
    """B by its name."""
    skip: Rows | None
    """C_skip, where there is one."""


def pinned(scheme: Scheme, diffusion: Any, tau: Any) -> Pinned | None:
    """None for a scheme without conjugate steps."""
    if not scheme.program.conjugates:
        return None
    steps = [piece for piece in scheme.program.pieces if piece.rule is Rule.CONJUGATE]
    shifts = {piece.conjugation: shift_at(scheme, diffusion, piece, tau) for piece in steps}
    skip = None if scheme.skip is None else skip_at(scheme, diffusion, tau)
    return Pinned(shifts, skip)


def frozen_maps(scheme: Scheme, own: Diffusion, h: Any, at: Pinned) -> dict[int, Map]:
    """The conjugate instructions by their index, with beta and the factor of eps frozen."""
    return {
        op.index: _frozen(own, op.piece, h * op.share.numerator / op.share.denominator, at)
        for op in scheme.program.instructions
        if isinstance(op, Advance) and op.piece.rule is Rule.CONJUGATE
    }


def _frozen(own: Diffusion, piece: Piece, h: Any, at: Pinned) -> Map:
    p, rate = own.parameters, own.beta(own.T)
    linear, weights = piece.linear(p), piece.score(p)
    n = range(len(linear))
    shift, skip = at.shifts[piece.conjugation], at.skip
    moved = tuple(
        tuple(
            shift[i][j] + rate * (linear[i][j] + (0 if skip is None else weights[i] * skip[i][j]))
            for j in n
        )
        for i in n
    )
    if len(linear) == 1:
        flow: Any = ((exp(moved[0][0] * h),),)
        integral: Any = ((expm1(moved[0][0] * h) / moved[0][0] if moved[0][0] else h,),)
    else:
        flow, integral, _ = flow_2x2(moved, (0 * rate, 0 * rate), h)
    first = [[int(i == j) - h * shift[i][j] for j in n] for i in n]
    keep = tuple(tuple(sum(flow[i][k] * first[k][j] for k in n) for j in n) for i in n)
    gain = tuple(tuple(integral[i][j] * rate * weights[j] for j in n) for i in n)
    return Map(keep, gain, None)


def criterion(scheme: Scheme, diffusion: Diffusion, variances: Any, tau: float) -> Array | None:
    """The largest h with |1 + h lambda~| <= 1, per target variance, in units of forward time.

    0 where an eigenvalue grows at once, inf where none moves; None for words of several pieces, of
    which the paper states none.
    """
    pieces = scheme.program.pieces
    if len(pieces) != 1 or pieces[0].rule is not Rule.CONJUGATE:
        return None
    eigenvalues = np.linalg.eigvals(conjugated(scheme, diffusion, variances, tau))
    size = np.abs(eigenvalues) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        limits = np.where(eigenvalues.real < 0, -2 * eigenvalues.real / size, 0.0)
    return np.asarray(np.where(size == 0, np.inf, limits).min(axis=-1))


def conjugated(scheme: Scheme, diffusion: Diffusion, variances: Any, tau: float) -> Array:
    """beta score (H - C_skip) - B of a word of one conjugate piece, per target variance; shape
    (d, n, n).
    """
    (piece,) = scheme.program.pieces
    hessian = held_matrices(scheme, diffusion, variances, tau)
    weights = np.array(piece.score(diffusion.parameters), dtype=np.float64)
    at = pinned(scheme, diffusion, tau)
    shift = at.shifts[piece.conjugation] if at else 0.0
    pull = float(diffusion.beta(tau)) * weights[:, None] * hessian
    return np.asarray(pull - np.array(shift, dtype=np.float64))


def step_radius(
    scheme: Scheme, diffusion: Diffusion, variances: Any, tau: float, h: float
) -> Array:
    """The spectral radius of the step from tau to tau - h as it is, nothing frozen, per variance.

    Of a word of one conjugate piece. Raises ValueError for a step beyond tau = 0.
    """
    if not 0 < h <= tau:
        raise ValueError(f"h = {h}: a step from tau = {tau} is longer than 0 and at most tau")
    (piece,) = scheme.program.pieces
    keep, gain = conjugate_step(scheme, diffusion, piece, tau, tau - h, tau)
    hessian = held_matrices(scheme, diffusion, variances, tau)
    matrix = np.array(keep, dtype=np.float64) + np.array(gain, dtype=np.float64) @ hessian
    return np.asarray(np.abs(np.linalg.eigvals(matrix)).max(axis=-1))


def held_matrices(scheme: Scheme, diffusion: Diffusion, variances: Any, tau: float) -> Array:
    """The matrix of what the steps hold of the score, H - C_skip, per target variance."""
    hessian = _matrices(score(diffusion, Gaussian(np.atleast_1d(variances)), tau)[0])
    at = pinned(scheme, diffusion, tau)
    if at is None or at.skip is None:
        return hessian
    return np.asarray(hessian - np.array(at.skip, dtype=np.float64))


def _matrices(block: Any) -> Array:
    """Rows of entries (d,) as matrices (d, n, n)."""
    rows = [[np.atleast_1d(np.asarray(e, dtype=np.float64)) for e in row] for row in block]
    size = max(len(e) for row in rows for e in row)
    whole = np.array([[np.broadcast_to(e, (size,)) for e in row] for row in rows])
    return np.moveaxis(whole, -1, 0)
