"""Quality of samples against evaluations, for every PSLD sampler: computed once, stored as data.

    python -m reports.experiments.quality --target dataset    the exact score of the digits data set
    python -m reports.experiments.quality --target network    the network trained on the digits
    python -m reports.experiments.quality --target patches    that trained on patches of photographs

write `reports/data/quality_dataset.json` and so on, cell by cell: a run that was
stopped goes on where it was, and `--up-to 50` leaves larger budgets for later. lambda_s is tuned by
the Fréchet distance of other, fewer samples of the exact score, also for the network; `dataset` is
therefore run first.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import cache, partial
from typing import Any

import numpy as np
import torch

from analytic_models import diffusions
from analytic_models.distances import score_card
from analytic_models.problem import Problem
from analytic_models.targets import BUNDLED as SPECTRA
from analytic_models.targets import Gaussian
from gpu_samplers import engine
from gpu_samplers.data import BUNDLED as IMAGES
from gpu_samplers.data import digits, patches
from gpu_samplers.exact import data_set_score
from gpu_samplers.features import FILE as CLASSIFIER
from gpu_samplers.features import digit_features
from gpu_samplers.patch_features import patch_features
from gpu_samplers.processes import PSLD, Array, grid, steps_for
from gpu_samplers.quality import frechet_distance, residual_noise, still_pixel_noise
from reports.experiments import store
from reports.experiments.quality_data import (
    GRIDS,
    NFES,
    RULES,
    Cell,
    Key,
    key_of,
    path_of,
    save,
    stored,
)
from reports.experiments.runner import SILENT, Watch, run
from reports.experiments.scores import Diffusion
from reports.experiments.targets import Target, digits_target, exact_target, images, patches_target
from splitting_analysis.catalogue import entries, find
from splitting_analysis.grids import EPS
from splitting_analysis.schemes import Scheme

LAMBDAS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
TUNING_SEED, TUNING_SAMPLES = 1, 512
SEED = 0
EXACT = ("w2_x", "kl_x", "worst_mode_x")
"""Exact Gaussian errors that stand beside the qualities."""
SAMPLES = {"dataset": 1797, "network": 512, "patches": 512}
FLOOR_DRAWS = 20
MOST_AT_ONCE = 2**17
"""Pixels and channels of the samples that are made together: all digits of a cell, 42 patches."""
FEATURES: Mapping[str, Callable[[torch.Tensor], Array]] = {
    "digits": digit_features,
    "patches": patch_features,
}
"""The space of the Fréchet distance, by the images that samples should look like."""


@cache
def target(name: str) -> Target:
    """The target by its name. Raises ValueError for another name, or where the network has no
    weights.
    """
    if name == "dataset":
        target = exact_target(name, PSLD(), images())
        # in its own precision, whichever is asked for
        fast = data_set_score(PSLD(), digits().pixels)
        return replace(target, machine=lambda _: fast, data=digits().pixels)
    if name == "patches":
        return patches_target(name, patches().split()[0])
    if name != "network":
        raise ValueError(f"no target {name!r}; there are: {', '.join(SAMPLES)}")
    return digits_target(name, digits().split()[0])


def schemes() -> tuple[Scheme, ...]:
    """The PSLD samplers of the catalogue."""
    return tuple(entries("psld"))


def samples_of(
    where: Target, scheme: Scheme, grid_name: str, nfe: int, lambda_s: float, seed: int, number: int
) -> torch.Tensor | None:
    """Positions (number, *shape) at the end of a run; None where the sampler diverged."""
    times = grid(grid_name, steps_for(nfe, scheme), where.process.T, EPS)
    shape = where.shape
    runs = engine.sample(
        scheme,
        where.process,
        where.machine(torch.float32),
        times,
        shape,
        range(number),
        seed,
        batch=min(number, MOST_AT_ONCE // where.data[0].numel()),
        lambda_s=lambda_s,
    )
    try:
        return torch.cat([batch.z[0] for batch in runs])
    except FloatingPointError:
        return None


@cache
def reference(name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Features of the target's images."""
    where = target(name)
    return FEATURES[where.images](where.data)


def qualities(where: Target, samples: torch.Tensor | None) -> dict[str, float | None]:
    """Fréchet distance, residual noise, noise at still pixels; None where there is nothing to
    judge.
    """
    measures = ("frechet", "residual", "still")
    if samples is None or not samples.isfinite().all():
        return dict.fromkeys(measures)
    features = FEATURES[where.images](samples)
    if not np.isfinite(features).all():
        return dict.fromkeys(measures)
    return {
        "frechet": store.rounded(frechet_distance(features, reference(where.name))),
        "residual": store.rounded(residual_noise(samples, where.data)),
        "still": store.rounded(still_pixel_noise(samples, where.data))
        if has_still_pixels(where)
        else None,
    }


def has_still_pixels(where: Target) -> bool:
    """Whether some pixel is the same in all images of the target."""
    return bool((where.data == where.data[0]).all(0).any())


@cache
def tuned(scheme: Scheme, grid_name: str, nfe: int) -> float:
    """The lambda_s of the smallest Fréchet distance on the tuning seed and exact score; 1 if all
    diverge.
    """
    where = target("dataset")
    found = {}
    for value in LAMBDAS:
        samples = samples_of(where, scheme, grid_name, nfe, value, TUNING_SEED, TUNING_SAMPLES)
        distance = qualities(where, samples)["frechet"]
        found[value] = float("inf") if distance is None else distance
    best = min(found, key=lambda value: found[value])
    return best if np.isfinite(found[best]) else 1.0


def gaussian(
    process: Diffusion,
    scheme: Scheme,
    grid_name: str,
    nfe: int,
    lambda_s: float,
    images: str = "digits",
) -> dict[str, float]:
    """Exact errors of the same run on the Gaussian with the spectrum of these images."""
    diffusion = diffusions.PSLD(**asdict(process))
    law = Gaussian(SPECTRA[images]())
    problem = Problem(diffusion, law, grid_name)
    end = problem.law(scheme, problem.steps(scheme, nfe), lambda_s)
    card = score_card(end, diffusion, law)
    return {key: store.rounded(card[key]) for key in EXACT}


def cell(where: Target, key: Key, number: int, lambda_s: float | None = None) -> Cell:
    """One cell, judged on `number` samples; lambda_s is tuned if the rule says so and it is not
    given.
    """
    name, grid_name, nfe, rule = key
    scheme = find(name)
    if lambda_s is None:
        lambda_s = 1.0 if rule == "one" else tuned(scheme, grid_name, nfe)
    samples = samples_of(where, scheme, grid_name, nfe, lambda_s, SEED, number)
    return {
        "scheme": name,
        "grid": grid_name,
        "nfe": nfe,
        "rule": rule,
        "lambda_s": lambda_s,
        **qualities(where, samples),
        **gaussian(where.process, scheme, grid_name, nfe, lambda_s, where.images),
    }


def all_keys(up_to: int = NFES[-1]) -> Iterator[Key]:
    """All cells of a target with budgets of at most `up_to` evaluations, the cheap ones first."""
    for nfe in (n for n in NFES if n <= up_to):
        for rule in RULES:
            for grid_name in GRIDS:
                for scheme in schemes():
                    if rule == "one" or scheme.has_tunable_noise:
                        yield scheme.name, grid_name, nfe, rule


def floors(where: Target, number: int) -> dict[str, float]:
    """What a perfect sampler would score.

    bootstrap   Fréchet distance of `number` images drawn with replacement, mean over draws
    spread      standard deviation of that distance over the draws: differences below it are chance
    held_out    Fréchet distance between held-out images and those trained on (networks only)
    residual    mean squared distance per pixel from held-out images to those trained on (networks)
    """
    rng, features = np.random.default_rng(SEED), reference(where.name)
    draws = [
        frechet_distance(features[rng.integers(len(features), size=number)], features)
        for _ in range(FLOOR_DRAWS)
    ]
    seen, held = IMAGES[where.images]().split()
    of = FEATURES[where.images]
    return {
        "bootstrap": store.rounded(float(np.mean(draws))),
        "spread": store.rounded(float(np.std(draws, ddof=1))),
        "held_out": store.rounded(frechet_distance(of(held), of(seen))),
        "residual": store.rounded(residual_noise(held, seen)),
    }


def header(where: Target) -> dict[str, Any]:
    """What must be the same for cells to stand in one file."""
    return {
        "seed": SEED,
        "samples": SAMPLES[where.name],
        "tuning": {"seed": TUNING_SEED, "samples": TUNING_SAMPLES, "lambda_s": list(LAMBDAS)},
        "eps": EPS,
        "weights_sha256": where.weights,
        "classifier_sha256": store.digest(CLASSIFIER),
    }


def compute(name: str, up_to: int = NFES[-1], watch: Watch = SILENT) -> None:
    """Fill the file of a target with all cells of at most `up_to` evaluations, rewriting it after
    every cell.

    Raises ValueError where the file holds cells that were computed with other settings or weights.
    """
    where = target(name)
    told, done = header(where), stored(name)
    if done is not None and (other := [key for key in told if done.get(key) != told[key]]):
        raise ValueError(
            f"{path_of(name)}: holds another {', '.join(other)}; delete it to start anew"
        )
    cells = {key_of(entry): entry for entry in done["cells"]} if done else {}
    wanted = list(all_keys())
    limits = floors(where, SAMPLES[name])
    known = {
        key_of(entry): entry["lambda_s"] for entry in (stored("dataset") or {"cells": []})["cells"]
    }
    mine = [k for k in all_keys(up_to) if k not in cells]
    for key in watch(mine or wanted[:1], "cell"):  # a whole file gets its header anew
        if key not in cells:
            cells[key] = cell(where, key, SAMPLES[name], known.get(key))
        save(name, {**told, "floors": limits, "cells": [cells[k] for k in wanted if k in cells]})


def command() -> None:
    """The command line."""
    parser = ArgumentParser(prog="python -m reports.experiments.quality", description=__doc__)
    parser.add_argument("--target", choices=sorted(SAMPLES), required=True)
    parser.add_argument(
        "--up-to", type=int, choices=NFES, default=NFES[-1], help="largest budget computed"
    )
    given = parser.parse_args()
    part = partial(compute, given.target, given.up_to)
    run(store.KEPT[f"quality_{given.target}"].command, lambda: {given.target: part})


if __name__ == "__main__":
    command()
