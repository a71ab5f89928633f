"""What the global cross-validations share: the targets, where runs start and end, runs of the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch

from analytic_models.targets import digits_images
from gpu_samplers import embedded, engine
from gpu_samplers.exact import MixtureScore
from gpu_samplers.noise import Noise
from gpu_samplers.processes import PSLD
from gpu_samplers.score import NetworkScore
from reports.crossval import results
from reports.crossval.ode import exact_flow
from reports.crossval.scores import Score, Tensor, as_engine_sees, network_score
from splitting_analysis.catalogue import find
from splitting_analysis.scheme import Scheme

SEED, SAMPLES = 0, 4
COMPONENTS, WIDTH = 10, 0.2
"""The mixture: this many digits, each the centre of a Gaussian of this variance."""
IMAGES = 100
"""Digits in the data set with the exact score: its cost is proportional to them."""
CUT = 0.2
"""Forward time at which runs end."""


@dataclass(frozen=True)
class Target:
    """A score to sample, in two spellings: differentiable in float64, and as the engine takes it.

    machine(dtype) is the score with the network (or the exact score's arithmetic) in `dtype`; `shape` is that
    of one component of a sample; `weights` the SHA-256 of the network's file, "" for an exact score.
    """

    name: str
    process: PSLD
    smooth: Score
    machine: Callable[[torch.dtype], engine.Score]
    shape: tuple[int, ...]
    weights: str = ""


def exact_target(name: str, process: PSLD, means: Tensor, variances: float = 0.0) -> Target:
    """The exact score of the mixture of equal weights around `means` (k, *shape); variances 0: a data set."""
    score = MixtureScore(process, means, variances)

    def machine(dtype: torch.dtype) -> engine.Score:
        return lambda z, tau: score(z.to(dtype), tau).to(z.dtype)

    return Target(name, process, score, machine, tuple(means.shape[1:]))


def network_target(
    load: Callable[[torch.dtype], tuple[torch.nn.Module, PSLD]], shape: tuple[int, ...], weights: str,
    name: str = "network",
) -> Target:  # fmt: skip
    """A network; load(dtype) gives a copy of it in `dtype` and its process."""
    network, process = load(torch.float64)

    def machine(dtype: torch.dtype) -> engine.Score:
        return NetworkScore(load(dtype)[0], process, dtype)

    return Target(name, process, network_score(network, process), machine, shape, weights)


@cache
def targets() -> dict[str, Target]:
    """Exact scores on 8x8 digits and, where its weights are there, the network trained on them.

    mixture: Gaussians of variance WIDTH around the first COMPONENTS digits, smooth at every time.
    dataset: the first IMAGES digits themselves, whose score decides between images ever faster near the data.
    """
    images = torch.from_numpy(digits_images()).reshape(-1, 1, 8, 8)
    found = {
        "mixture": exact_target("mixture", PSLD(), images[:COMPONENTS], WIDTH),
        "dataset": exact_target("dataset", PSLD(), images[:IMAGES]),
    }
    if embedded.DIGITS.is_file():
        found["network"] = network_target(embedded.digits_network, (1, 8, 8), results.digest(embedded.DIGITS))
    return found


def starts(target: Target, samples: int = SAMPLES, seed: int = SEED) -> Tensor:
    """Draws (2, samples, *shape) from the prior, in float64."""
    return engine.prior(target.process, Noise(seed, range(samples), target.shape, torch.float64))


def times_of(process: PSLD, steps: int, cut: float = CUT) -> list[float]:
    """A uniform grid of reverse times on [0, T - cut]."""
    return [(process.T - cut) * i / steps for i in range(steps + 1)]


def end_state(
    scheme: Scheme, process: PSLD, score: engine.Score, times: Sequence[float], z: Tensor,
    noise: Callable[[int], Tensor] = engine.no_noise,
) -> Tensor:  # fmt: skip
    """The end of the engine's run from z (n, batch, *shape) on the grid `times`, without a denoising step."""
    return engine.run(*engine.prepared(scheme, process, score, times, denoise=False), z, noise)[0]


def reference(target: Target, z: Tensor, cut: float = CUT, tolerance: float = 1e-13) -> Tensor:
    """The probability flow from z at forward time T down to `cut`, by SciPy's DOP853."""
    model, process = find("Euler", target.process.model_name).model, target.process
    score = as_engine_sees(target.machine(torch.float64))
    return exact_flow(process, model, score, z, process.T, process.T - cut, tolerance)
