"""What an experiment samples: a process, its score in two spellings, and the data behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from gpu_samplers import embedded, engine
from gpu_samplers.data import digits, patches
from gpu_samplers.exact import MixtureScore
from gpu_samplers.score import NetworkScore
from reports.experiments.scores import Diffusion, Score, Tensor, network_score
from reports.experiments.store import digest


@dataclass(frozen=True)
class Target:
    """A score to sample, in two spellings: differentiable in float64, and as the engine takes it.

    machine(dtype) is the score with the network (or the exact score's arithmetic) in `dtype`;
    `data` (k, *shape) are centres of a mixture, or images that samples should look like; `weights`
    is the SHA-256 of the network's file, "" for an exact score. `images` names the set in
    `gpu_samplers.data.BUNDLED` that the data are from: what judges samples of it is found by that
    name.
    """

    name: str
    process: Diffusion
    smooth: Score
    machine: Callable[[torch.dtype], engine.Score]
    data: Tensor
    weights: str = ""
    images: str = "digits"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one component of a sample."""
        return tuple(self.data.shape[1:])


def images() -> Tensor:
    """The digits (1797, 1, 8, 8) in float64."""
    return digits().pixels.double()


def exact_target(
    name: str,
    process: Diffusion,
    means: Tensor,
    variances: float = 0.0,
    weights: Tensor | float = 1.0,
) -> Target:
    """The exact score of the mixture around `means` (k, *shape), by default of equal weights.

    Variances 0: a data set.
    """
    score = MixtureScore(process, means, variances, weights)

    def machine(dtype: torch.dtype) -> engine.Score:
        return lambda z, tau: score(z.to(dtype), tau).to(z.dtype)

    return Target(name, process, score, machine, means.detach().double())


def network_target(
    name: str,
    load: Callable[[torch.dtype], tuple[torch.nn.Module, Diffusion]],
    data: Tensor,
    weights: str = "",
    images: str = "digits",
) -> Target:
    """A network; load(dtype) gives a copy of it in `dtype` and its process."""
    network, process = load(torch.float64)

    def machine(dtype: torch.dtype) -> engine.Score:
        return NetworkScore(load(dtype)[0], process, dtype)

    return Target(name, process, network_score(network, process), machine, data, weights, images)


def digits_target(name: str = "network", data: Tensor | None = None) -> Target:
    """The digits network that comes with the package, by default with all digits as its data."""
    return _bundled(name, "digits", images() if data is None else data)


def patches_target(name: str = "patches", data: Tensor | None = None) -> Target:
    """The patches network, by default with every sixteenth of the patches that it was trained
    on.
    """
    return _bundled(name, "patches", patches().split()[0][::16].double() if data is None else data)


def _bundled(name: str, images: str, data: Tensor) -> Target:
    load = partial(embedded.bundled_network, images)
    return network_target(name, load, data, digest(embedded.bundled_path(images)), images)


def has_network(images: str = "digits") -> bool:
    """Whether the weights of the network for a set of images are in this copy."""
    return embedded.BUNDLED[images].is_file()
