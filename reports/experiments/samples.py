"""The digits network beside its data: samples to look at, Fréchet distances, the loss curves.

    python -m reports.experiments.samples

writes `data/crossval_network.json`, in about a minute on one core.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gpu_samplers import engine
from gpu_samplers.checkpoints import read_checkpoint
from gpu_samplers.data import digits
from gpu_samplers.embedded import DIGITS
from gpu_samplers.features import digit_features
from gpu_samplers.processes import grid, steps_for
from gpu_samplers.quality import frechet_distance, residual_noise, still_pixel_noise
from reports.experiments import store
from reports.experiments.runner import SILENT, Watch, main
from reports.experiments.targets import digits_target
from splitting_analysis.catalogue import find
from splitting_analysis.grids import EPS

SAMPLER, NFE, GRID, SEED = "ROBA", 100, "uniform", 0
ROWS, COLUMNS = 8, 10


def sampled(number: int, batch: int = 512) -> torch.Tensor:
    """Positions (number, 1, 8, 8) of the first samples of the digits network."""
    target, scheme = digits_target(), find(SAMPLER)
    times = grid(GRID, steps_for(NFE, scheme), target.process.T, EPS)
    score = target.machine(torch.float32)
    runs = engine.sample(
        scheme, target.process, score, times, target.shape, range(number), SEED, batch=batch
    )
    return torch.cat([part.z[0] for part in runs])


def mosaic(images: torch.Tensor) -> list[str]:
    """Images (n, 1, 8, 8) side by side, a pixel of ground between: rows of grey levels, in hex."""
    levels = np.rint(
        (images[: ROWS * COLUMNS, 0].clamp(-1, 1).double().numpy() + 1) * 127.5
    ).astype(np.uint8)
    framed = np.pad(levels, ((0, 0), (0, 1), (0, 1))).reshape(ROWS, COLUMNS, 9, 9)
    return [
        row.tobytes().hex() for row in framed.transpose(0, 2, 1, 3).reshape(ROWS * 9, COLUMNS * 9)
    ]


def compute() -> dict[str, Any]:
    """Everything that is stored. All sets that are compared have the size of the held-out one."""
    taught, held = digits().split()
    samples = sampled(len(held))
    reference = digit_features(taught)
    order = torch.randperm(len(taught), generator=torch.Generator().manual_seed(SEED))
    record = read_checkpoint(DIGITS).record
    judged = {}
    for name, images in (("samples", samples), ("held-out images", held)):
        judged[name] = {
            "frechet": frechet_distance(digit_features(images), reference),
            "residual": residual_noise(images, taught),
            "still": still_pixel_noise(images, taught),
        }
    told = ("steps", "batch", "rate", "ema", "seconds", "threads", "torch")
    return {
        "weights_sha256": store.digest(DIGITS),
        "bytes": DIGITS.stat().st_size,
        "sampler": SAMPLER,
        "nfe": NFE,
        "grid": GRID,
        "seed": SEED,
        "number": len(held),
        "taught": len(taught),
        "judged": store.rounded(judged),
        "training": {key: record[key] for key in told},
        "curve": store.rounded([point for point in record["curve"] if point[0] % 200 == 0], 4),
        "pictures": {"data": mosaic(taught[order]), "samples": mosaic(samples)},
    }


def keep(watch: Watch = SILENT) -> None:
    """Compute everything and store it."""
    for _ in watch(("once",), "samples and their distances"):
        store.save("network", compute())


if __name__ == "__main__":
    main(store.KEPT["network"].command, __doc__, {"samples": keep})
