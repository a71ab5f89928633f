"""Targets that are not Gaussian: mixtures of isotropic Gaussians, and a data set, which is one of
zero width.

Every component stays Gaussian under the forward process, so score and density are exact at every
time (theory, section 1): s(z, tau) = -sum_k r_k(z) Sigma_k^-1 (z - Phi mu_k), r_k the shares of the
components in the density at z. States are (n, batch, d), position first; Langevin's the position
alone, (1, batch, d).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytic_models.diffusions import Diffusion
from analytic_models.targets import Gaussian, marginal
from analytic_models.targets import score as gaussian_score
from splitting_analysis.families import family_of

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Mixture:
    """The data law sum_k weights[k] N(means[k], variances[k] I).

    weights (k,), means (k, d), variances (k,) or a number. Weights are relative: they are kept
    divided by their sum. Raises ValueError for shapes that do not fit, weights that are not
    positive, variances below 0, or what is not finite.
    """

    weights: Any
    means: Any
    variances: Any = 0.0

    def __post_init__(self) -> None:
        means = np.asarray(self.means, dtype=np.float64)
        if means.ndim != 2 or means.size == 0:
            raise ValueError(f"means are k >= 1 rows of d >= 1 numbers, not shape {means.shape}")
        k = len(means)
        weights = np.asarray(self.weights, dtype=np.float64)
        variances = np.asarray(self.variances, dtype=np.float64)
        if weights.shape != (k,):
            raise ValueError(f"{k} means take {k} weights, not shape {weights.shape}")
        if variances.shape not in ((), (k,)):
            raise ValueError(
                f"{k} means take {k} variances or one number, not shape {variances.shape}"
            )
        for name, bad, right in (
            ("means", ~np.isfinite(means).all(1), "finite"),
            ("weights", ~(np.isfinite(weights) & (weights > 0)), "finite and > 0"),
            ("variances", ~(np.isfinite(variances) & (variances >= 0)), "finite and >= 0"),
        ):
            if bad.any():
                raise ValueError(
                    f"component {np.argmax(bad)} of the mixture: its {name} must be {right}"
                )
        object.__setattr__(self, "weights", weights / weights.sum())
        object.__setattr__(self, "means", means)
        object.__setattr__(self, "variances", np.broadcast_to(variances, (k,)))

    @property
    def mean(self) -> Array:
        """Mean of the data law, (d,)."""
        return np.asarray(self.weights @ self.means)

    @property
    def covariance(self) -> Array:
        """Covariance of the data law, (d, d)."""
        centred = self.means - self.mean
        within = (self.weights @ self.variances) * np.eye(self.means.shape[1])
        return np.asarray((self.weights[:, None] * centred).T @ centred + within)


def data_set(images: Any) -> Mixture:
    """Draws from `images` (k, d), all equally likely: the score that training aims at."""
    return Mixture(np.ones(len(images)), images, 0.0)


def score(diffusion: Diffusion, target: Mixture, state: Array, tau: float) -> Array:
    """The exact score in the shape of `state`, (n, batch, d); Langevin's is the same at every tau.

    Raises ValueError for another shape, and where a component has no density (zero variance at tau
    = 0).
    """
    return np.stack([s for s, _ in _samples(diffusion, target, state, tau)], axis=1)


def log_density(diffusion: Diffusion, target: Mixture, state: Array, tau: float) -> Array:
    """log p_tau at the states, (batch,); Langevin: of the position. Raises ValueError as `score`
    does.
    """
    return np.array([p for _, p in _samples(diffusion, target, state, tau)])


def _samples(
    diffusion: Diffusion, target: Mixture, state: Array, tau: float
) -> list[tuple[Array, float]]:
    """Score (n, d) and log density of every state."""
    centres, precisions = _components(diffusion, target, tau)
    n, _, d = centres.shape
    state = np.asarray(state, dtype=np.float64)
    if state.ndim != 3 or (len(state), state.shape[2]) != (n, d):
        raise ValueError(
            f"states under {diffusion.model_name} are ({n}, batch, {d}), not {state.shape}"
        )
    scale = (
        np.log(target.weights) + (np.linalg.slogdet(precisions)[1] - n * np.log(2 * np.pi)) * d / 2
    )
    found = []
    # One state at a time: all differences at once would be (n, batch, k, d).
    for b in range(state.shape[1]):
        away = state[:, b, None] - centres
        pulls = -np.einsum("kij,jkd->ikd", precisions, away)
        logs = scale + (away * pulls).sum((0, 2)) / 2
        top = logs.max()
        shares = np.exp(logs - top)
        mean_pull = np.einsum("k,ikd->id", shares / shares.sum(), pulls)
        found.append((mean_pull, float(top + np.log(shares.sum()))))
    return found


def _components(diffusion: Diffusion, target: Mixture, tau: float) -> tuple[Array, Array]:
    """Centres (n, k, d) and precisions (k, n, n) of the components at forward time tau."""
    fixed = not family_of(diffusion).diffuses
    if (fixed or tau == 0) and not np.all(target.variances > 0):
        raise ValueError(
            f"component {np.argmin(target.variances)} has variance 0 and no score at forward time "
            f"{tau:g}; "
            "give it a positive variance" + ("" if fixed else ", or end at eps > 0")
        )
    # One mode per component; the mean 1 shows what multiplies a mean.
    widths = Gaussian(np.array(target.variances), 1.0)
    scales, _ = marginal(diffusion, widths, tau)
    blocks, _ = gaussian_score(diffusion, widths, tau)
    if fixed:
        scales, blocks = scales[:1], ((blocks[1][0],),)
    rows = [
        np.broadcast_to(-np.asarray(entry), target.variances.shape)
        for row in blocks
        for entry in row
    ]
    n = len(blocks)
    centres = np.stack([np.asarray(a * target.means, dtype=np.float64) for a in scales])
    return centres, np.stack(rows, axis=-1).reshape(-1, n, n)
