"""What the global cross-validations share: the targets, where runs start and end, runs of the
engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch

from gpu_samplers import engine
from gpu_samplers.noise import Noise
from gpu_samplers.processes import PSLD
from reports.experiments.ode import exact_flow
from reports.experiments.scores import Diffusion, Tensor, as_engine_sees
from reports.experiments.targets import (
    Target,
    digits_target,
    exact_target,
    has_network,
    images,
    patches_target,
)
from splitting_analysis.catalogue import find
from splitting_analysis.schemes import Scheme

SEED, SAMPLES = 0, 4
COMPONENTS, WIDTH = 10, 0.2
"""The mixture: this many digits, each the centre of a Gaussian of this variance."""
IMAGES = 100
"""Digits in the data set with the exact score: its cost is proportional to them."""
CUT = 0.2
"""Forward time at which runs end."""


@cache
def targets() -> dict[str, Target]:
    """Exact scores on 8x8 digits and, where their weights are there, the networks that come with
    the package.

    mixture: Gaussians of variance WIDTH around the first COMPONENTS digits, smooth at every time.
    dataset: the first IMAGES digits themselves, whose score decides between images ever faster near
    the data.
    """
    found = {
        "mixture": exact_target("mixture", PSLD(), images()[:COMPONENTS], WIDTH),
        "dataset": exact_target("dataset", PSLD(), images()[:IMAGES]),
    }
    networks = {"network": ("digits", digits_target), "patches": ("patches", patches_target)}
    return found | {
        name: make() for name, (images, make) in networks.items() if has_network(images)
    }


def starts(target: Target, samples: int = SAMPLES, seed: int = SEED) -> Tensor:
    """Draws (2, samples, *shape) from the prior, in float64."""
    return engine.prior(target.process, Noise(seed, range(samples), target.shape, torch.float64))


def times_of(process: Diffusion, steps: int, cut: float = CUT) -> list[float]:
    """A uniform grid of reverse times on [0, T - cut]."""
    return [(process.T - cut) * i / steps for i in range(steps + 1)]


def end_state(
    scheme: Scheme,
    process: Diffusion,
    score: engine.Score,
    times: Sequence[float],
    z: Tensor,
    noise: Callable[[int], Tensor] = engine.no_noise,
) -> Tensor:
    """The end of the engine's run from z (n, batch, *shape) on the grid `times`, without a
    denoising step.
    """
    return engine.run(*engine.prepared(scheme, process, score, times, denoise=False), z, noise)[0]


def reference(target: Target, z: Tensor, cut: float = CUT, tolerance: float = 1e-13) -> Tensor:
    """The probability flow from z at forward time T down to `cut`, by SciPy's DOP853."""
    model, process = find("Euler", target.process.model_name).model, target.process
    score = as_engine_sees(target.machine(torch.float64))
    return exact_flow(process, model, score, z, process.T, process.T - cut, tolerance)
