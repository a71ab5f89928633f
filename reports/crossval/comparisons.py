"""Is a reduced sampler better than its naive one at the same budget? Differences with their standard errors.

    python -m reports.crossval.comparisons [dataset | network ...]

draws the samples of the cells in question again (`reports.crossval.quality`, same seed) and writes
`reports/data/crossval_comparisons.json`, after every comparison: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import torch

from gpu_samplers.features import digit_features
from gpu_samplers.processes import Array
from gpu_samplers.quality import frechet_distance, nearest_squares, still_pixel_squares
from reports.crossval import quality, results
from reports.crossval.quality import Target
from reports.crossval.quality_data import COMPARED, GRIDS
from reports.crossval.reuse import PAIRS
from splitting_analysis.catalogue import find

COMMAND = "python -m reports.crossval.comparisons"
GROUPS = 16
"""Left out one at a time (the jackknife)."""
NOISES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "dataset": lambda samples, images: nearest_squares(samples, images) / images[0].numel(),
    "network": still_pixel_squares,
}
"""The noise of each sample, (n,): as the page on quality judges it."""


def difference(a: Array, b: Array, reference: Array) -> tuple[float, float]:
    """Fréchet distance of features a (n, k) minus that of b, and its standard error.

    Samples are left out in GROUPS, the same of both: what the two runs share, their start and noise,
    does not count as chance. The bias that both distances have from n samples cancels.
    """

    def apart(keep: Any) -> float:
        return frechet_distance(a[keep], reference) - frechet_distance(b[keep], reference)

    group = np.arange(len(a)) % GROUPS
    partial = np.array([apart(group != left) for left in range(GROUPS)])
    return apart(slice(None)), float(np.sqrt((GROUPS - 1) * partial.var()))


def comparison(where: Target, pair: tuple[str, str], grid: str, nfe: int, number: int) -> dict[str, Any]:
    """Naive minus reduced, lambda_s = 1: Fréchet distance and noise, each with its standard error.

    None for both where one of the two samplers diverges.
    """
    naive, reduced = (
        quality.samples_of(where, find(name), grid, nfe, 1.0, quality.SEED, number) for name in pair
    )
    found: dict[str, Any] = {"naive": pair[0], "reduced": pair[1], "grid": grid, "nfe": nfe}
    names = ("frechet", "frechet_error", "noise", "noise_error")
    if naive is None or reduced is None:
        return found | dict.fromkeys(names)
    a, b = digit_features(naive), digit_features(reduced)
    noise = NOISES[where.name]
    apart = (noise(naive, where.images) - noise(reduced, where.images)).numpy()
    values = (
        *difference(a, b, quality.reference(where.name)),
        float(apart.mean()),
        float(apart.std(ddof=1) / np.sqrt(number)),
    )
    return found | dict(zip(names, values, strict=True))


def main(names: list[str]) -> None:
    """Compare on the named targets, by default both. Raises ValueError for an unknown name."""
    torch.set_num_threads(1)
    for name in names or NOISES:
        where, number = quality.target(name), quality.SAMPLES[name]
        told = {"samples": number, "seed": quality.SEED, "weights_sha256": where.weights, "groups": GROUPS}
        targets = (results.stored("comparisons") or {}).get("targets", {})
        there = targets.get(name, {})
        rows = there["rows"] if told == {key: there.get(key) for key in told} else []
        for grid, nfe, pair in product(GRIDS, COMPARED, PAIRS):
            key = {"naive": pair[0], "reduced": pair[1], "grid": grid, "nfe": nfe}
            if any(key.items() <= row.items() for row in rows):
                continue
            rows.append(results.rounded(comparison(where, pair, grid, nfe, number)))
            print(name, *rows[-1].values(), flush=True)
            about = "Naive against reduced samplers at one budget; see reports/crossval/comparisons.py."
            results.save("comparisons", about, COMMAND, {"targets": targets | {name: {**told, "rows": rows}}})


if __name__ == "__main__":
    main(sys.argv[1:])
