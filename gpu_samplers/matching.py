"""What a network is trained on: images with noise on them, and the noise as what it must say.

Of PSLD this is hybrid score matching (Pandey & Mandt, ICCV 2023, arXiv 2303.01748, section 3): x_0
from the data, z_tau drawn from N(Phi(tau) (x_0, 0), Sigma_tau) with the initial momentum integrated
out; the network regresses on the normals drawn. VP is the same in one component.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from gpu_samplers.processes import PSLD, VP, kernels

OFFSETS = 64
"""Places where the times of a batch may begin on a card: kernels of 512 times take a processor 20
ms, longer than a step on a card. They are made once, before the first."""


def perturbed(process: PSLD | VP, x: Tensor, tau: Tensor, normal: Tensor) -> Tensor:
    """z_tau given the images x (B, C, H, W) and forward times (B,), normals (B, nC, H, W): like the
    normals.

    n = 2 components of PSLD, position channels first; 1 of VP. In float64 inside: near tau = 0 the
    covariance is a small difference.
    """
    in_float64 = factors(process, tuple(tau.tolist()))
    # no wait for a card
    there = (part.to(x.dtype).to(x.device, non_blocking=True) for part in in_float64)
    a, factor = (part[..., None, None, None] for part in there)
    normals = normal.chunk(a.shape[1], dim=1)
    parts = [a[:, i] * x for i in range(len(normals))]
    for i, part in enumerate(parts):
        for j in range(i + 1):
            part += factor[:, i, j] * normals[j]
    return torch.cat(parts, dim=1)


@lru_cache(2 * OFFSETS)
def factors(process: PSLD | VP, taus: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Factors of the image (k, n) and of the normals (k, n, n) at k forward times."""
    means, covariances = kernels(process, taus)
    return torch.from_numpy(means), torch.from_numpy(np.linalg.cholesky(covariances))


def loss_of(
    network: nn.Module, process: PSLD | VP, x: Tensor, tau: Tensor, normal: Tensor
) -> Tensor:
    """Mean squared error of the normals that the network sees in z_tau, unweighted.

    The times may stay on the CPU, wherever the images are.
    """
    z = perturbed(process, x, tau, normal)
    return (network(z, tau.to(z.device, non_blocking=True)) - normal).square().mean()
