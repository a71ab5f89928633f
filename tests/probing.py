"""The exact law of a sampler on a Gaussian target, by feeding it basis vectors: no Monte Carlo.

With an affine score a sampler is an affine map of its start and its normals. One batch that holds
the origin and every unit vector of both reads that map off, for all modes at once.
"""

from __future__ import annotations

from typing import Any

import torch

from analytic_models import diffusions, targets
from gpu_samplers import plain, processes
from splitting_analysis.schemes import Scheme

CASES: dict[str, tuple[str, dict[str, float]]] = {
    "psld": ("psld", {}),
    "psld, beta varies": (
        "psld",
        {"Gamma": 0.3, "nu": 2.1, "beta_min": 2.0, "beta_max": 11.0, "T": 1.2},
    ),
    "vp": ("vp", {"beta_min": 0.1, "beta_max": 8.0}),
    "langevin": ("langevin", {"gamma": 0.7, "T": 4.0}),
}
"""Parameters of the processes that the tests run on, by model."""


def case_names(model: str) -> list[str]:
    return [name for name, (kind, _) in CASES.items() if kind == model]


def process_of(name: str) -> processes.Process:
    kind, parameters = CASES[name]
    made = {"psld": processes.PSLD, "vp": processes.VP, "langevin": processes.Langevin}[kind](
        **parameters
    )
    assert isinstance(made, processes.PSLD | processes.VP | processes.Langevin)
    return made


def plain_version(entry: Scheme) -> plain.Sampler | None:
    """The sampler of an entry as its paper prints it, None where that is still to be written."""
    try:
        return plain.sampler_of(entry.model_name, entry.name)
    except ValueError:
        return None


def diffusion_of(name: str) -> diffusions.Diffusion:
    """The same process for the exact side, which has classes of its own."""
    kind, parameters = CASES[name]
    return diffusions.diffusion_of(kind, **parameters)


def gaussian_score(diffusion: diffusions.Diffusion, target: targets.Gaussian) -> Any:
    """The exact score as gpu_samplers calls it: z (components, batch, modes)."""

    def score(z: torch.Tensor, tau: float) -> torch.Tensor:
        matrix, constant = targets.score(diffusion, target, tau)
        rows = range(len(matrix)) if diffusion.model_name != "langevin" else [1]
        return torch.stack(
            [
                sum(torch.as_tensor(matrix[i][j]) * z[j] for j in range(len(z)))
                + torch.as_tensor(constant[i])
                for i in rows
            ]
        )

    return score


def law(sampler: Any, components: int, modes: int, variances: tuple[float, ...]) -> tuple[Any, Any]:
    """Mean (n, modes) and covariance (n, n, modes) of sampler(z, noise) started at N(0,
    diag(variances)).
    """
    drawn: list[int] = []

    def silent(parts: int) -> torch.Tensor:
        drawn.append(parts)
        return torch.zeros(parts, 1, modes, dtype=torch.float64)

    sampler(torch.zeros(components, 1, modes, dtype=torch.float64), silent)
    batch, used = 1 + components + sum(drawn), 1 + components

    def unit(parts: int) -> torch.Tensor:
        nonlocal used
        normals = torch.zeros(parts, batch, modes, dtype=torch.float64)
        for part in range(parts):
            normals[part, used + part] = 1
        used += parts
        return normals

    z = torch.zeros(components, batch, modes, dtype=torch.float64)
    for i, variance in enumerate(variances):
        z[i, 1 + i] = variance**0.5
    end = sampler(z, unit)
    assert used == batch
    loadings = end[:, 1:] - end[:, :1]
    return end[:, 0].numpy(), torch.einsum("ibk,jbk->ijk", loadings, loadings).numpy()
