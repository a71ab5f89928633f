"""Gaussian targets N(mu_0, C) in the eigenbasis of C: d independent modes, exact scores at every
time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from analytic_models import diffusions
from analytic_models.arrays import read_row
from analytic_models.diffusions import Diffusion, law
from splitting_analysis.families import family_of, fixed_target
from splitting_analysis.notation import read_float

LARGEST_VARIANCE = 1e100
"""Of a spectrum, and the smallest is its inverse: distances square variances, scores divide by
them.
"""
Pair = diffusions.Pair
Block = diffusions.Block
PATCHES = Path(__file__).parent / "spectra" / "patches.npy"
"""Kept as numbers: to find them again takes the patches, 230 MB, and ten seconds."""


@dataclass(frozen=True, eq=False)
class Gaussian:
    """The data law N(mean, diag(variances)); entries (d,), or scalars of any arithmetic.

    Raises ValueError for a negative or non-finite variance, or mismatched lengths.
    """

    variances: Any
    mean: Any = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.variances, np.ndarray | list | tuple):
            return
        values = np.asarray(self.variances, dtype=np.float64)
        if values.ndim != 1 or values.size == 0:
            raise ValueError(f"variances form a list of d >= 1 numbers, not shape {values.shape}")
        bad = np.flatnonzero(~np.isfinite(values) | (values < 0))
        if bad.size:
            raise ValueError(
                f"variance {values[bad[0]]} of mode {bad[0]}: variances are finite and >= 0"
            )
        mean = np.asarray(self.mean, dtype=np.float64)
        if (
            mean.ndim > 1
            or (mean.ndim == 1 and mean.size != values.size)
            or not np.all(np.isfinite(mean))
        ):
            raise ValueError(
                f"the mean is one finite number or {values.size}, not shape {mean.shape}"
            )
        object.__setattr__(self, "variances", values)
        object.__setattr__(self, "mean", mean if mean.ndim else float(mean))


def initial(diffusion: Diffusion, target: Gaussian) -> tuple[Pair, Block]:
    """Mean and covariance of the augmented law at forward time 0 (PSLD: m_0 ~ N(0, kappa M))."""
    return diffusions.initial(diffusion, target.mean, target.variances)


def marginal(diffusion: Diffusion, target: Gaussian, tau: Any) -> tuple[Pair, Block]:
    """Mean and covariance blocks of the forward law at time tau (theory section 1).

    `tau` may be a scalar, or an array shaped to broadcast against the modes.
    """
    mean, covariance, _ = law(diffusion, target.mean, target.variances, tau)
    return mean, covariance


def score(diffusion: Diffusion, target: Gaussian, tau: Any) -> tuple[Block, Pair]:
    """The exact score as affine map s = H z + g: H = -Sigma^-1, g = Sigma^-1 mu, at forward time
    tau.

    Langevin: s(q) = -(q - mu)/C acts on the momentum and depends on q alone; of two forces (respa)
    the fast one is the part `fast` of it. `tau` may be an array
    of times, shape (n, 1), against modes (d,). Raises ValueError where the law is degenerate (a
    zero variance at tau = 0).
    """
    centred = not isinstance(target.mean, np.ndarray) and target.mean == 0
    mean, covariance, det = law(diffusion, target.mean, target.variances, tau)
    _refuse_degenerate(det, tau)
    scale = -1 / det
    if len(covariance) == 1 or not family_of(diffusion).diffuses:
        g = 0 if centred else -scale * mean[0]
        if len(covariance) == 1:
            return ((scale,),), (g,)
        parts = diffusion.shares if fixed_target(diffusion) else (1, 1)
        return tuple((w * scale, 0) for w in parts), tuple(w * g for w in parts)
    (p, q), (_, r) = covariance
    xx, xm, mm = r * scale, q / det, p * scale
    if centred:
        return ((xx, xm), (xm, mm)), (0, 0)
    return ((xx, xm), (xm, mm)), (-(xx * mean[0] + xm * mean[1]), -(xm * mean[0] + mm * mean[1]))


def _refuse_degenerate(determinant: Any, tau: Any) -> None:
    if isinstance(determinant, sympy.Basic) or np.min(determinant) > 0:
        return
    place = np.unravel_index(int(np.argmin(determinant)), np.shape(determinant))
    when = np.reshape(tau, -1)[place[0] if len(place) == 2 else 0]
    mode = place[-1] if place else 0
    raise ValueError(
        f"the score of mode {mode} at forward time {float(when):g} does not exist: its law is "
        "degenerate there; end at eps > 0 or give the mode a positive variance"
    )


@cache
def _digits() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Images and spectrum; scikit-learn reads the images from text, again at every call."""
    from sklearn.datasets import load_digits

    images = np.asarray(load_digits().data / 8.0 - 1.0, dtype=np.float64)
    values = np.linalg.eigvalsh(np.cov(images, rowvar=False, bias=True))[::-1]
    return images, np.where(values > 1e-12 * values[0], values, 0.0)


def digits_images() -> NDArray[np.float64]:
    """scikit-learn's bundled digits, (1797, 64): 8x8 images row by row, pixels scaled to [-1,
    1].
    """
    return _digits()[0].copy()


def digits_spectrum() -> NDArray[np.float64]:
    """Covariance eigenvalues (64, descending) of scikit-learn's digits, pixels scaled to [-1, 1].

    Pixels that never change give zeros; what the eigenvalue solver leaves there (1e-17) is cut to
    0.
    """
    return _digits()[1].copy()


def patches_spectrum() -> NDArray[np.float64]:
    """Covariance eigenvalues (3072, descending, from 709 to 3e-5) of colour patches of photographs.

    Patches of 32 x 32 pixels from the left halves of scikit-learn's two photographs, pixels scaled
    to [-1, 1]: those that `gpu_samplers.data.patches` trains on.
    """
    return np.asarray(np.load(PATCHES, allow_pickle=False), dtype=np.float64)


BUNDLED: Mapping[str, Callable[[], NDArray[np.float64]]] = {
    "digits": digits_spectrum,
    "patches": patches_spectrum,
}
"""Spectra of real images, by name."""


def load_spectrum(text: str) -> NDArray[np.float64]:
    """A name in BUNDLED, a .npy file of eigenvalues, or numbers "v1,v2,...". ValueError says what
    is wrong.

    Negative values up to 1e-4 of the largest are rounding of an eigenvalue solver and are clipped
    to 0.
    """
    if text in BUNDLED:
        return BUNDLED[text]()
    if text.endswith(".npy"):
        values = read_row(text, "spectrum")
    else:
        try:
            values = np.array([read_float(part) for part in text.split(",")])
        except ValueError as error:
            how = f"give {', '.join(BUNDLED)}, FILE.npy or numbers v1,v2,..."
            raise ValueError(f"spectrum {text[:40]!a}: {how} ({error})") from None
    if not values.size:
        raise ValueError(f"spectrum {text!r} is empty: give at least one eigenvalue")
    if not np.all(np.isfinite(values)):
        raise ValueError(
            f"spectrum: eigenvalue {np.flatnonzero(~np.isfinite(values))[0]} is not finite"
        )
    extreme = np.flatnonzero(
        (values > LARGEST_VARIANCE) | ((values > 0) & (values < 1 / LARGEST_VARIANCE))
    )
    if extreme.size:
        raise ValueError(
            f"spectrum: eigenvalue {extreme[0]} is {values[extreme[0]]:g}, and its square or its "
            f"inverse leaves double precision: a variance is 0 or from {1 / LARGEST_VARIANCE:g} "
            f"to {LARGEST_VARIANCE:g}"
        )
    if values.min() < -1e-4 * max(values.max(), 0.0) or values.max() < 0:
        raise ValueError(f"spectrum: eigenvalue {values.argmin()} is {values.min():g}, below 0")
    return np.clip(values, 0.0, None)
