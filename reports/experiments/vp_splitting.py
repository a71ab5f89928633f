"""Splittings of VP beside its other samplers at equal evaluations, computed once, stored as data.

    python -m reports.experiments.vp_splitting --target dataset    the data set's exact score
    python -m reports.experiments.vp_splitting --target network    the network trained on digits
    python -m reports.experiments.vp_splitting --target cifar10 --spectrum FILE    exact, on a
                                                                  spectrum that is not ours to ship

write `data/vp_splitting_dataset.json` and so on, cell by cell: a run that was stopped goes on where
it was. The noise level of the one sampler in which it is tuned is that of the least exact error on
the digits' spectrum, at each budget and grid: samples that are judged have no part in it.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import numpy as np
import torch

from gpu_samplers import engine, processes
from gpu_samplers.data import digits
from gpu_samplers.embedded import bundled_network, bundled_path
from gpu_samplers.exact import data_set_score
from gpu_samplers.features import FILE as CLASSIFIER
from gpu_samplers.features import digit_features
from gpu_samplers.processes import VP
from gpu_samplers.quality import frechet_distance, residual_noise
from gpu_samplers.score import NetworkScore
from reports.experiments import store
from reports.experiments.runner import SILENT, Watch, run
from reports.experiments.vp_splitting_data import (
    ETAS,
    GRIDS,
    Cell,
    Key,
    exact,
    key_of,
    keys,
    sampler,
)
from splitting_analysis.catalogue import find
from splitting_analysis.grids import EPS
from splitting_analysis.schemes import Scheme

SEED = 0
SAMPLES = {"dataset": 1024, "network": 2000}
BATCH = 500
JUDGE, JUDGE_NFE = "UniPC2", 100
"""The sampler that judges the network: with so many evaluations its error is the network's."""
DRAWS = 20


@cache
def score(target: str) -> engine.Score:
    """The score that is sampled: of the digits themselves, or the network's."""
    if target == "dataset":
        return data_set_score(VP(), digits().pixels)
    network, process = bundled_network("digits-vp")
    return NetworkScore(network, process, torch.float32)


def samples_of(target: str, own: Scheme, grid: str, nfe: int, number: int) -> torch.Tensor | None:
    """Positions (number, 1, 8, 8); None where the sampler diverged."""
    process = processes.VP()
    times = processes.grid(grid, processes.steps_for(nfe, own), process.T, EPS)
    runs = engine.sample(
        own, process, score(target), times, (1, 8, 8), range(number), SEED, batch=BATCH
    )
    try:
        return torch.cat([batch.z[0] for batch in runs])
    except FloatingPointError:
        return None


def images_of(target: str) -> torch.Tensor:
    """What samples should look like: the digits, or those that the network was trained on."""
    return digits().pixels if target == "dataset" else digits().split()[0]


@cache
def reference(target: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Features of these images."""
    return digit_features(images_of(target))


def judged(target: str, samples: torch.Tensor | None) -> dict[str, float | None]:
    """Fréchet distance with its standard error, over draws of the samples with replacement, and
    residual noise; None where there is nothing to judge.
    """
    measures = ("frechet", "standard_error", "residual")
    if samples is None or not samples.isfinite().all():
        return dict.fromkeys(measures)
    features, rng = digit_features(samples), np.random.default_rng(SEED)
    if not np.isfinite(features).all():
        return dict.fromkeys(measures)
    number = len(features)
    draws = [
        frechet_distance(features[rng.integers(number, size=number)], reference(target))
        for _ in range(DRAWS)
    ]
    found = (
        frechet_distance(features, reference(target)),
        float(np.std(draws, ddof=1)),
        residual_noise(samples, images_of(target)),
    )
    return dict(zip(measures, store.rounded(found), strict=True))


def cell(target: str, key: Key) -> Cell:
    """One cell, judged by samples, with the exact error on the digits' spectrum beside it."""
    name, grid, nfe = key
    try:
        own = sampler(name, grid, nfe)
        samples = samples_of(target, own, grid, nfe, SAMPLES[target])
    except ValueError:  # the budget buys no step
        samples = None
    return {**exact(key), **judged(target, samples)}


def header(target: str) -> dict[str, Any]:
    """What must be the same for cells to stand in one file."""
    told: dict[str, Any] = {"eps": EPS, "etas": [float(eta) for eta in ETAS]}
    if target == "cifar10":
        return told

    told |= {"seed": SEED, "samples": SAMPLES[target], "draws": DRAWS}
    told |= {"classifier_sha256": store.digest(CLASSIFIER)}
    if target == "network":
        told |= {"weights_sha256": store.digest(bundled_path("digits-vp"))}
    return told


def judge() -> dict[str, Any]:
    """The network beside held-out images, as that of PSLD is judged: sets of one size."""
    _, held = digits().split()
    own = find(JUDGE, "vp")
    samples = samples_of("network", own, GRIDS[1], JUDGE_NFE, len(held))
    floor = frechet_distance(digit_features(held), reference("network"))
    return {
        "sampler": JUDGE,
        "nfe": JUDGE_NFE,
        "grid": GRIDS[1],
        "number": len(held),
        **judged("network", samples),
        "held_out": store.rounded(floor),
    }


def compute(target: str, spectrum: str = "", watch: Watch = SILENT) -> None:
    """Fill the file of a target, rewriting it after every cell.

    Raises ValueError where it holds cells that were computed with other settings or weights.
    """
    name = f"vp_{target}"
    told: Mapping[str, Any] = header(target)
    done = store.stored(name)
    if done is not None and (other := [key for key in told if done.get(key) != told[key]]):
        raise ValueError(
            f"{store.path_of(name)}: holds another {', '.join(other)}; delete it to start anew"
        )
    cells = {key_of(entry): entry for entry in done["cells"]} if done else {}
    wanted = list(keys())
    verdict = {}
    if target == "network":
        verdict = {"judge": (done or {}).get("judge") or judge()}
    for key in watch([k for k in wanted if k not in cells] or wanted[:1], "cell"):
        if key not in cells:
            cells[key] = exact(key, spectrum) if target == "cifar10" else cell(target, key)
        kept = [cells[k] for k in wanted if k in cells]
        store.save(name, {**told, **verdict, "cells": kept})


def _part(target: str, spectrum: str | None) -> dict[str, Any]:
    if (target == "cifar10") != (spectrum is not None):
        raise ValueError("--spectrum FILE goes with --target cifar10, and that with it")
    return {target: partial(compute, target, spectrum or "")}


def command() -> None:
    """The command line."""
    about = (__doc__ or "").partition("\n")[0]
    parser = ArgumentParser(prog="python -m reports.experiments.vp_splitting", description=about)
    parser.add_argument("--target", choices=("cifar10", "dataset", "network"), required=True)
    parser.add_argument("--spectrum", help="the variances, an .npy file")
    given = parser.parse_args()
    of = store.KEPT[f"vp_{given.target}"].command
    run(of, lambda: _part(given.target, given.spectrum))


if __name__ == "__main__":
    command()
