"""The Fréchet distance that an exact law foretells, without a network and without its samples.

    python -m reports.experiments.predicted

gives the images of the data the mean and variances that a sampler's exact law has on the Gaussian
of the same mean and covariance, mode by mode (what is too narrow is shrunk, what is too wide gets
noise), and judges them by their features as samples are judged. Written to
`reports/data/predicted.json`.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import torch

from analytic_models.diffusions import PSLD
from analytic_models.moments import Moments
from analytic_models.problem import Problem
from analytic_models.targets import Gaussian
from gpu_samplers.features import digit_features
from gpu_samplers.processes import Array
from gpu_samplers.quality import frechet_distance
from reports.experiments import family, quality, store
from reports.experiments.quality_data import GRIDS, NFES
from reports.experiments.runner import SILENT, Watch, main
from splitting_analysis.schemes import Denoise, Scheme

PARTS = ("dataset", "network", "family")
SEED = 0
NARROW = 1e-9
"""Variances of the data below it are of pixels that never change."""


@cache
def basis(name: str) -> tuple[Array, Array, Array]:
    """The data's mean (d,), variances of the modes (d,) and modes, one a column (d, d)."""
    pixels = quality.target(name).data.double().flatten(1).numpy()
    variances, modes = np.linalg.eigh(np.cov(pixels.T, bias=True))
    return pixels.mean(0), np.maximum(variances, 0.0), modes


def moved(name: str, law: Moments) -> torch.Tensor:
    """The images of the data with the position's mean and variances of a law in their modes."""
    where = quality.target(name)
    centre, variances, modes = basis(name)
    own = np.broadcast_to(np.asarray(law.covariance[0][0], dtype=float), variances.shape)
    mean = np.broadcast_to(np.asarray(law.mean[0], dtype=float), variances.shape)
    moving = variances > NARROW
    shrunk = np.sqrt(np.minimum(1.0, own / np.where(moving, variances, 1.0)))
    normals = np.random.default_rng(SEED).normal(size=(len(where.data), len(variances)))
    scores = (where.data.double().flatten(1).numpy() - centre) @ modes
    spread = mean + scores * np.where(moving, shrunk, 1.0)
    # normals of pixels, turned there and back: no mode's sign, which is arbitrary, changes them
    spread += (normals @ modes) * np.sqrt(np.maximum(own - variances, 0.0))
    return torch.tensor(spread @ modes.T).reshape(where.data.shape).float()


def foretold(name: str, scheme: Scheme, grid_name: str, nfe: int, end: Denoise) -> float | None:
    """The distance foretold, at lambda_s = 1; None where the law has left float32."""
    centre, variances, modes = basis(name)
    problem = Problem(PSLD(), Gaussian(variances, centre @ modes), grid=grid_name, denoise=end)
    images = moved(name, problem.law(scheme, problem.steps(scheme, nfe)))
    features = digit_features(images)
    if not np.isfinite(features).all():
        return None
    return float(frechet_distance(features, quality.reference(name)))


def cells(part: str) -> list[tuple[Scheme, family.Key]]:
    """What a part foretells: samplers with their grids and budgets."""
    if part == "family":
        return [(family.chosen(family.samplers()[k[0]], *k[1:]), k) for k in list(family.keys())]
    return [(s, (s.name, g, n)) for s in quality.schemes() for g in GRIDS for n in NFES]


def compute(part: str, watch: Watch = SILENT) -> None:
    """The rows of a part, all at once; those of the other parts stay."""
    name = "network" if part == "family" else part
    end: Denoise = "data" if part == "family" else True
    rows = [
        {
            "part": part,
            "sampler": key[0],
            "grid": key[1],
            "nfe": key[2],
            "predicted": store.rounded(foretold(name, scheme, *key[1:], end)),
        }
        for scheme, key in watch(cells(part), "cell")
    ]
    kept = (store.stored("predicted") or {"rows": []})["rows"]
    others = [row for row in kept if row["part"] != part]
    store.save("predicted", {"seed": SEED, "rows": [*others, *rows]})


if __name__ == "__main__":
    main(
        "python -m reports.experiments.predicted",
        __doc__,
        {name: partial(compute, name) for name in PARTS},
    )
