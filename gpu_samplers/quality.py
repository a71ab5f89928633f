"""How good samples are: Fréchet distance in a feature space, and the noise that is left on them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_samplers.processes import Array

Tensor = torch.Tensor
_CHUNK = 2**24
"""Distances held at once: 128 MB in float64."""


def frechet_distance(features_a: NDArray[np.floating], features_b: NDArray[np.floating]) -> float:
    """Squared 2-Wasserstein distance of the Gaussians with the moments of two feature sets (n, k),
    (m, k).

    |mu_a - mu_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2), A and B the unbiased covariances (Dowson &
    Landau
    1982); Fréchet inception distance is this number on Inception features (Heusel et al., arXiv
    1706.08500). The last trace is the nuclear norm of A^1/2 B^1/2, taken from centred data R_a^T
    R_a = A
    without forming a product of covariances: singular covariances are fine. Raises ValueError for
    shapes that do not match, fewer than two samples, or values that are not finite.
    """
    a, b = (np.asarray(f, dtype=np.float64) for f in (features_a, features_b))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(
            f"features are (n, k) and (m, k) with the same k, not {a.shape} and {b.shape}"
        )
    for name, features in (("first", a), ("second", b)):
        if len(features) < 2:
            raise ValueError(
                f"the {name} set has {len(features)} sample(s): a covariance needs two or more"
            )
        if not np.isfinite(features).all():
            raise ValueError(f"the {name} set holds features that are NaN or infinite")
    shift = a.mean(0) - b.mean(0)
    root_a, root_b = _root(a), _root(b)
    cross = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    spread = np.square(root_a).sum() + np.square(root_b).sum() - 2 * cross
    return float(shift @ shift + max(spread, 0.0))


def _root(features: Array) -> Array:
    """R (at most k rows) with R^T R the unbiased covariance of the rows."""
    centred = (features - features.mean(0)) / np.sqrt(len(features) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r"), dtype=np.float64)


def residual_noise(samples: Tensor, images: Tensor) -> float:
    """Mean squared distance per pixel to the nearest image: samples (n, ...), images (m, ...).

    What is left on samples of the data set's own score, which converge to images. A network also
    makes images that are new: for it, compare with what held-out images have. Raises ValueError for
    shapes that do not match, no images, or values that are not finite.
    """
    _refuse_unlike(samples, images)
    return float(nearest_squares(samples, images).mean()) / images[0].numel()


def nearest_squares(samples: Tensor, images: Tensor) -> Tensor:
    """Squared distance of every sample to its nearest image, (n,), in float64; chunked over
    samples.

    The nearest is found by |s|^2 - 2 s.x + |x|^2, its distance from the difference: nothing
    cancels.
    """
    s, x = samples.reshape(len(samples), -1).double(), images.reshape(len(images), -1).double()
    squares = x.square().sum(1)
    found = [
        (part - x[(squares - 2 * part @ x.T).argmin(1)]).square().sum(1)
        for part in torch.split(s, max(1, _CHUNK // len(x)))
    ]
    return torch.cat(found)


def still_pixel_noise(samples: Tensor, images: Tensor) -> float:
    """Mean squared deviation at the pixels that never change: samples (n, ...), images (m, ...).

    A right image, new or not, has none: this noise needs no neighbour. Raises ValueError as
    `residual_noise`, and where every pixel of the images moves.
    """
    return float(still_pixel_squares(samples, images).mean())


def still_pixel_squares(samples: Tensor, images: Tensor) -> Tensor:
    """`still_pixel_noise` of each sample, (n,), in float64."""
    _refuse_unlike(samples, images)
    first = images[0].double()
    still = (images == images[0]).all(0)
    if not still.any():
        raise ValueError(
            "no pixel is the same in all images: this estimate of the noise does not exist here"
        )
    return (samples.double() - first)[:, still].square().mean(1)


def _refuse_unlike(samples: Tensor, images: Tensor) -> None:
    if samples.shape[1:] != images.shape[1:] or not len(samples) or not len(images):
        shapes = f"{tuple(samples.shape)} and {tuple(images.shape)}"
        raise ValueError(
            f"samples and images are (n, ...) and (m, ...) of one shape, n, m >= 1, not {shapes}"
        )
    if not (samples.isfinite().all() and images.isfinite().all()):
        raise ValueError("samples or images hold values that are NaN or infinite")
