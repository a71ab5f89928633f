"""Distances between Gaussian laws in closed form: 2-Wasserstein, Kullback-Leibler, per mode and
summed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytic_models.diffusions import Diffusion
from analytic_models.moments import Moments
from analytic_models.targets import Block, Gaussian, Pair, initial

Array = NDArray[np.float64]


def wasserstein_squared(mean: Pair, covariance: Block, other_mean: Pair, other: Block) -> Array:
    """Squared 2-Wasserstein distance of two Gaussians, per mode (blocks 1x1 or 2x2, entries (d,)).

    |m - m'|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2), and for 2x2 blocks the last trace is
    sqrt(tr(AB) + 2 sqrt(det A det B)) (Dowson & Landau 1982; Olkin & Pukelsheim 1982). Written as a
    sum of squares over a positive number, so that nearly equal laws lose no digits: with D = A - B,
    ((D_xx - D_mm)^2 + 4 D_xm^2 + 4 (sqrt det A - sqrt det B)^2) / (tr A + tr B + that trace).
    The two roots differ by no more than the larger is: what more there is comes of rounding, where
    A has one direction that is long beyond all others, as after a run that blew up.
    """
    total = sum((np.asarray(a, float) - b) ** 2 for a, b in zip(mean, other_mean, strict=True))
    if len(covariance) == 1:
        a, b = (np.asarray(block[0][0], float) for block in (covariance, other))
        return total + _over((a - b) ** 2, a + b + 2 * _root(a * b))
    (p, q), (_, r) = covariance
    (u, v), (_, w) = other
    roots = _root(p * r - q * q), _root(u * w - v * v)
    gap = (p - u) * r + u * (r - w) - (q - v) * (q + v)  # det A - det B
    apart = np.minimum(np.abs(_over(gap, roots[0] + roots[1])), np.maximum(*roots))
    squares = (p - u - r + w) ** 2 + 4 * (q - v) ** 2 + 4 * apart**2
    cross = _root(p * u + 2 * q * v + r * w + 2 * roots[0] * roots[1])
    return total + _over(squares, p + r + u + w + 2 * cross)


def _root(value: Any) -> Array:
    """The square root; round-off below zero counts as zero."""
    return np.sqrt(np.maximum(value, 0.0))


def _over(value: Any, divisor: Any) -> Array:
    """value / divisor, and 0 where the divisor is 0 (so is the value then)."""
    value, divisor = np.broadcast_arrays(value, divisor)
    return np.divide(value, divisor, out=np.zeros(divisor.shape), where=divisor != 0)


def kl_divergence(mean: Any, variance: Any, other_mean: Any, other: Any) -> Array:
    """KL(N(mean, variance) || N(other_mean, other)) per mode, in nats; scalars per mode.

    Infinite where exactly one variance is 0 or `other` has diverged; 0 where both laws are the same
    point mass.
    """
    p, q = np.asarray(variance, float), np.asarray(other, float)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shift = (np.asarray(mean, float) - other_mean) ** 2
        ratio = p / q
        value = 0.5 * (ratio - 1 - np.log(ratio) + shift / q)
    value = np.where(np.isnan(value), np.inf, value)
    point = (p == 0) & (q == 0) & (shift == 0)
    return np.where(point, 0.0, np.where((p > 0) & (q > 0), value, np.inf))


def score_card(moments: Moments, diffusion: Diffusion, target: Gaussian) -> dict[str, Any]:
    """Errors of a sampler's law against the data law at time 0, summed over modes; inf if it
    diverged.

    w2_x      2-Wasserstein distance of the position marginals, in units of the data
    w2        the same for the joint law of position and momentum (equal for VP)
    kl_x      KL(data || sampler) of the position marginals, nats, over the modes with positive
              data variance; kl_modes says how many those are
    worst_mode_x  largest position error (w2_x) of a single mode
    """
    mean, covariance = initial(diffusion, target)
    with np.errstate(over="ignore", invalid="ignore"):
        x = wasserstein_squared(
            moments.mean[:1], _corner(moments.covariance), mean[:1], _corner(covariance)
        )
        joint = wasserstein_squared(moments.mean, moments.covariance, mean, covariance)
    x, joint = (np.where(np.isnan(value), np.inf, value) for value in (x, joint))
    positive = np.broadcast_to(np.asarray(target.variances) > 0, np.shape(x))
    kl = kl_divergence(mean[0], target.variances, moments.mean[0], moments.covariance[0][0])
    kl = np.broadcast_to(kl, np.shape(x))[positive]
    return {
        "w2_x": float(np.sqrt(np.sum(x))),
        "w2": float(np.sqrt(np.sum(joint))),
        "kl_x": float(np.sum(kl)),
        "kl_modes": int(np.sum(positive)),
        "worst_mode_x": float(np.sqrt(np.max(x))),
    }


def _corner(covariance: Block) -> Block:
    return ((covariance[0][0],),)
