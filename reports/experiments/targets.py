"""What an experiment samples: a process, its score in two spellings, and the data behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from gpu_samplers import embedded, engine
from gpu_samplers.data import digits
from gpu_samplers.exact import MixtureScore
from gpu_samplers.score import NetworkScore
from reports.experiments.scores import Diffusion, Score, Tensor, network_score
from reports.experiments.store import digest


@dataclass(frozen=True)
class Target:
    """A score to sample, in two spellings: differentiable in float64, and as the engine takes it.

    machine(dtype) is the score with the network (or the exact score's arithmetic) in `dtype`; `data`
    (k, *shape) are centres of a mixture, or images that samples should look like; `weights` is the SHA-256 of
    the network's file, "" for an exact score.
    """

    name: str
    process: Diffusion
    smooth: Score
    machine: Callable[[torch.dtype], engine.Score]
    data: Tensor
    weights: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one component of a sample."""
        return tuple(self.data.shape[1:])


def images() -> Tensor:
    """The digits (1797, 1, 8, 8) in float64."""
    return digits().pixels.double()


def exact_target(
    name: str, process: Diffusion, means: Tensor, variances: float = 0.0, weights: Tensor | float = 1.0
) -> Target:
    """The exact score of the mixture around `means` (k, *shape), by default of equal weights.

    Variances 0: a data set.
    """
    score = MixtureScore(process, means, variances, weights)

    def machine(dtype: torch.dtype) -> engine.Score:
        return lambda z, tau: score(z.to(dtype), tau).to(z.dtype)

    return Target(name, process, score, machine, means.detach().double())


def network_target(
    name: str, load: Callable[[torch.dtype], tuple[torch.nn.Module, Diffusion]], data: Tensor,
    weights: str = "",
) -> Target:  # fmt: skip
    """A network; load(dtype) gives a copy of it in `dtype` and its process."""
    network, process = load(torch.float64)

    def machine(dtype: torch.dtype) -> engine.Score:
        return NetworkScore(load(dtype)[0], process, dtype)

    return Target(name, process, network_score(network, process), machine, data, weights)


def digits_target(name: str = "network", data: Tensor | None = None) -> Target:
    """The network that comes with the package, by default with all digits as its data."""
    data = images() if data is None else data
    return network_target(name, embedded.digits_network, data, digest(embedded.DIGITS))


def has_network() -> bool:
    """Whether the weights of the digits network are in this copy."""
    return embedded.DIGITS.is_file()
