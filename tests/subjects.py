"""The samplers of gpu_samplers as code of the protocol of a validation: NumPy in, NumPy out."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np
import torch

from analytic_models.probing.signature import sizes
from analytic_models.probing.subject import Subject
from gpu_samplers import engine, plain
from splitting_analysis.schemes import Scheme


def plain_subject(entry: Scheme) -> Subject:
    """An entry of the catalogue as its paper prints it."""

    def run(z: Any, score: Any, grid: Any, noise: Any, model: Any) -> Any:
        options = {"eta": float(entry.noise_level)} if takes_eta(entry) else {}
        return plain.sample(entry.name, model, score, z, grid, noise, last=False, **options)

    return Subject(f"plain {entry.name}", "sample", protocol(entry, run))


def takes_eta(entry: Scheme) -> bool:
    """Whether the printed sampler has an eta, which says whether it is one of the SDE."""
    return "eta" in signature(plain.sampler_of(entry.model_name, entry.name)).parameters


def engine_subject(scheme: Scheme) -> Subject:
    """A word as the engine runs it."""

    def run(z: Any, score: Any, grid: Any, noise: Any, model: Any) -> Any:
        ready, output = engine.prepared(scheme, model, score, grid, denoise=False)
        return engine.run(ready, output, z, noise)[0]

    return Subject(f"engine {scheme}", "sample", protocol(scheme, run))


def protocol(scheme: Scheme, run: Callable[..., Any]) -> Callable[..., Any]:
    """A run on tensors (components, batch, d) as one on arrays (batch, components d)."""
    n = len(scheme.model.components)

    def packed(array: Any, parts: int) -> torch.Tensor:
        blocks = np.asarray(array).reshape(len(array), parts, -1).transpose(1, 0, 2)
        return torch.tensor(np.ascontiguousarray(blocks))

    def flat(z: torch.Tensor) -> Any:
        return z.numpy().transpose(1, 0, 2).reshape(z.shape[1], -1)

    def sample(score: Any, z: Any, grid: Any, noise: Any, model: Any) -> Any:
        _, asked, told = sizes(model)  # two forces are told of one position

        def scored(y: torch.Tensor, tau: float) -> torch.Tensor:
            return packed(score(flat(y[:asked]), float(tau)), told)

        def normals(parts: int) -> torch.Tensor:
            drawn = packed(noise(), n)
            return drawn[-parts:]  # langevin draws for the momentum alone, or for both

        times = [float(t) for t in grid]
        return flat(run(packed(z, n), scored, times, normals, model))

    return sample
