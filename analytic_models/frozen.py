"""One step of a scheme on a Gaussian target with beta and score frozen at one forward time.

The test equation freezes beta and the score, s = -Sigma_tau^{-1} z, at forward time tau. One step
is then a fixed matrix M(h), and the scheme is stable at h while no eigenvalue of M(h) leaves the
unit disk. For 1x1 and 2x2 maps this is Jury's criterion: 1 - det >= 0 and 1 + det -+ tr >= 0; a
carried score adds its own components to the state.

Frozen coefficients are the usual linear analysis. It explains where samplers blow up; it is not a
bound for one run, since a mode may be expanding early and stiff late.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytic_models.clocked import fading_rate
from analytic_models.conjugate_stability import Pinned, frozen_maps, pinned
from analytic_models.diffusions import Diffusion
from analytic_models.rules import coefficients
from analytic_models.steps import one_step
from analytic_models.targets import Block, Gaussian, score
from splitting_analysis.clocks import PositionOnly
from splitting_analysis.processes import LinearClock
from splitting_analysis.schemes import Scheme

Array = NDArray[np.float64]
NEUTRAL = 1e-12
"""Growth, relative to the fastest rate, below which the exact flow counts as neutral."""


@dataclass(frozen=True)
class Standing(PositionOnly):
    """A position-only process whose beta and rate of fading are those of one time for good."""

    T: Any
    rate: Any
    fades: Any

    @property
    def parameters(self) -> SimpleNamespace:
        return SimpleNamespace(half=self.T / self.T / 2)

    def beta(self, tau: Any) -> Any:
        return self.rate + 0 * tau

    def integral(self, tau: Any) -> Any:
        return self.rate * tau

    def clock(self, t: Any, length: Any) -> Any:  # noqa: ARG002
        return self.rate * length

    def fading(self, tau: Any) -> Any:
        return self.fades + 0 * tau

    def log_alpha(self, tau: Any) -> Any:
        return -self.fades * tau


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
            f"{scheme.name}: stability limits are known for splittings, conjugate and Runge-Kutta "
            "words, not where a prediction is held"
        )
    return frozen_at(diffusion, np.asarray(variances, dtype=np.float64), float(tau))


def has_limits(scheme: Scheme) -> bool:
    """Whether stable steps of the scheme are known: frozen coefficients make a linear map of the
    state.
    """
    return not scheme.program.holds and scheme.program.held_piece is None


def frozen_at(diffusion: Diffusion, variances: Any, tau: Any) -> tuple[Any, Block]:
    """`frozen_problem` of a scheme that has limits."""
    matrix = score(diffusion, Gaussian(variances), tau)[0]
    if isinstance(diffusion, LinearClock):
        return diffusion.at_rate(diffusion.beta(tau)), matrix
    if isinstance(diffusion, PositionOnly):
        own = Standing(diffusion.T, diffusion.beta(tau), diffusion.fading(tau))
        return own, matrix
    return diffusion, matrix


def frozen_step(
    scheme: Scheme, own: Diffusion, frozen: Block, h: Any, at: Pinned | None = None
) -> list[list[Any]]:
    """Rows of one frozen step over the state, and over the carried score where there is one.

    Conjugate steps are what they are `at` the time of freezing.
    """
    scheme = replace(scheme, clock="tau")  # what stands still does so in any clock
    nothing = tuple(0 for _ in frozen)
    at = at or pinned(scheme, own, own.T)
    maps = frozen_maps(scheme, own, h, at) if at else {}
    if at and at.skip is not None:  # what is held is the rest of the score
        rows = zip(frozen, at.skip, strict=True)
        frozen = tuple(tuple(a - b for a, b in zip(*pair, strict=True)) for pair in rows)
        scheme = replace(scheme, skip=None)
    step = one_step(scheme, own, 0 * own.T, h, lambda _: (frozen, nothing), ready=maps)
    keys = [
        (kind, i) for kind in ("zs" if scheme.carries_score else "z") for i in range(len(frozen))
    ]
    forms = step.forms + (step.score if scheme.carries_score else ())
    return [[form.get(key, 0) for key in keys] for form in forms]


def step_matrix(
    scheme: Scheme, own: Diffusion, frozen: Block, h: Any, at: Pinned | None = None
) -> Array:
    """The matrix of one frozen step, shape (..., k, k): k components, twice that with a carried
    score.

    h broadcasts against the modes, shape (d,); entries are nan or infinite where a step does not
    exist or overflows.
    """
    h = np.asarray(h, dtype=np.float64)
    shape = np.broadcast_shapes(h.shape, np.shape(frozen[-1][0]))
    with np.errstate(all="ignore"):
        rows = frozen_step(scheme, own, frozen, h, at)
    return np.stack(
        [np.stack([np.broadcast_to(e, shape) for e in row], axis=-1) for row in rows], axis=-2
    )


def excess(
    scheme: Scheme, own: Diffusion, frozen: Block, h: Any, at: Pinned | None = None
) -> Array:
    """By how much Jury's conditions fail at h (<= 0: stable); nan where the step does not exist.

    h broadcasts against the modes. With a carried score: spectral radius minus 1.
    """
    matrix = step_matrix(scheme, own, frozen, h, at)
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


def exact_growth(scheme: Scheme, own: Diffusion, frozen: Block) -> tuple[Array, Array]:
    """Largest real part, and largest modulus, of the eigenvalues of the exact frozen drift; shape
    (d,).
    """
    terms = _terms(scheme, own, frozen)
    a = [[own_part + score_part for own_part, score_part in row] for row in terms]
    if len(a) == 1:
        return a[0][0], _positive(np.abs(a[0][0]), own)
    size = np.maximum(sum(np.abs(entry) for row in a for entry in row), 1e-300)
    a = [[entry / size for entry in row] for row in a]  # so that no square overflows
    mean, det = (a[0][0] + a[1][1]) / 2, a[0][0] * a[1][1] - a[0][1] * a[1][0]
    root = np.sqrt(np.asarray(mean * mean - det, dtype=np.complex128))
    growth = size * (mean + root.real)
    return growth, _positive(size * np.maximum(np.abs(mean + root), np.abs(mean - root)), own)


def stands_still(scheme: Scheme, own: Diffusion, frozen: Block) -> NDArray[np.bool_]:
    """Where drift and score cancel, so that the exact frozen flow is the identity; shape (d,).

    Of one component alone: positions and momenta that neither grow nor shrink turn.
    """
    terms = _terms(scheme, own, frozen)
    if len(terms) > 1:
        return np.zeros(np.shape(frozen[-1][0]), dtype=bool)
    (((one, other),),) = terms
    return np.asarray(np.abs(one + other) <= NEUTRAL * (np.abs(one) + np.abs(other)))


def cancelling_rate(scheme: Scheme, own: Diffusion, frozen: Block) -> Array:
    """The fastest rate at which a step can move a mode, shape (d,): of one component that of drift
    and score each, since the pieces of a step do not cancel before it ends.
    """
    if len(frozen) > 1:
        return exact_growth(scheme, own, frozen)[1]
    (((one, other),),) = _terms(scheme, own, frozen)
    return _positive(np.abs(one) + np.abs(other), own)


def _terms(scheme: Scheme, own: Diffusion, frozen: Block) -> list[list[tuple[Any, Array]]]:
    """Entries of the exact frozen drift, each as what the linear part and the score bring to it."""
    linear, weights, _ = coefficients(scheme.model.drift, own)
    n, rate, onto = range(len(linear)), float(own.beta(own.T)), scheme.model.onto
    pushed = [
        [
            sum(
                (rate * weights[k] * np.asarray(frozen[k][j]) for k in n if onto[k] == i),
                np.asarray(0.0),
            )
            for j in n
        ]
        for i in n
    ]
    terms = [[(rate * linear[i][j], pushed[i][j]) for j in n] for i in n]
    if scheme.model.drift.fading:
        (((one, other),),) = terms
        terms = [[(one + fading_rate(scheme.model.drift, own, own.T), other)]]
    return terms


def _positive(rate: Array, own: Diffusion) -> Array:
    """The rate, or 1/T where the exact flow stands still."""
    return np.where(rate > 0, rate, 1 / float(own.T))
