"""Is a reduced sampler better than its naive one at the same budget? Differences with their
standard errors.

    python -m reports.experiments.comparisons [dataset | network | patches ...]

draws the samples of the cells in question again (`quality`, same seed) and writes
`reports/data/crossval_comparisons.json`, after every comparison: a run that was stopped goes on
where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch

from gpu_samplers.processes import Array
from gpu_samplers.quality import frechet_distance, nearest_squares, still_pixel_squares
from reports.experiments import quality, store
from reports.experiments.quality_data import COMPARED, GRIDS
from reports.experiments.reuse import PAIRS
from reports.experiments.runner import SILENT, Watch, main
from reports.experiments.targets import Target
from splitting_analysis.catalogue import find

GROUPS = 16
"""Left out one at a time (the jackknife)."""


def _nearest(samples: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    return nearest_squares(samples, images) / images[0].numel()


NOISES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "dataset": _nearest,
    "network": still_pixel_squares,
    "patches": _nearest,
}
"""The noise of each sample, (n,): as the page on quality judges it."""


def difference(a: Array, b: Array, reference: Array) -> tuple[float, float]:
    """Fréchet distance of features a (n, k) minus that of b, and its standard error.

    Samples are left out in GROUPS, the same of both: what the two runs share, their start and
    noise, does not count as chance. The bias that both distances have from n samples cancels.
    """

    def apart(keep: Any) -> float:
        return frechet_distance(a[keep], reference) - frechet_distance(b[keep], reference)

    group = np.arange(len(a)) % GROUPS
    partial = np.array([apart(group != left) for left in range(GROUPS)])
    return apart(slice(None)), float(np.sqrt((GROUPS - 1) * partial.var()))


def comparison(
    where: Target, pair: tuple[str, str], grid: str, nfe: int, number: int
) -> dict[str, Any]:
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
    seen = quality.FEATURES[where.images]
    a, b = seen(naive), seen(reduced)
    noise = NOISES[where.name]
    apart = (noise(naive, where.data) - noise(reduced, where.data)).numpy()
    values = (
        *difference(a, b, quality.reference(where.name)),
        float(apart.mean()),
        float(apart.std(ddof=1) / np.sqrt(number)),
    )
    return found | dict(zip(names, values, strict=True))


def keep(name: str, watch: Watch = SILENT) -> None:
    """Compute the comparisons on a target that are not stored yet, each stored as soon as it is
    made.
    """
    where, number = quality.target(name), quality.SAMPLES[name]
    told = {
        "samples": number,
        "seed": quality.SEED,
        "weights_sha256": where.weights,
        "groups": GROUPS,
    }
    targets = (store.stored("comparisons") or {}).get("targets", {})
    there = targets.get(name, {})
    rows = there["rows"] if told == {key: there.get(key) for key in told} else []
    known = {(row["grid"], row["nfe"], (row["naive"], row["reduced"])) for row in rows}
    missing = [key for key in product(GRIDS, COMPARED, PAIRS) if key not in known]
    for grid, nfe, pair in watch(missing, "comparison"):
        rows.append(store.rounded(comparison(where, pair, grid, nfe, number)))
        store.save("comparisons", {"targets": targets | {name: {**told, "rows": rows}}})


if __name__ == "__main__":
    main(store.KEPT["comparisons"].command, __doc__, {name: partial(keep, name) for name in NOISES})
