"""Do samples of the patches network pass as patches? Their power by frequency, and a Fréchet
distance.

    python -m reports.experiments.judge FOLDER

judges what this wrote to FOLDER (it goes on where it was stopped, on a CPU or a card):

    splitting-analysis sample --checkpoint patches --sampler RK45 --grid quadratic --nfe 100 \\
        -n 4096 --out FOLDER

RK45, because its exact error on the patches' spectrum is the least of all samplers at 100
evaluations: what is judged is the network. Writes `data/patches_network.json`, in about two minutes
on one core. With `--weights FILE --out FILE.json` other weights are judged, before they take the
place of those that are here.
"""

from __future__ import annotations

from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpu_samplers.checkpoints import Checkpoint, network_of, read_checkpoint
from gpu_samplers.data import patches
from gpu_samplers.embedded import bundled_path
from gpu_samplers.files import check_file, is_folder, read_json
from gpu_samplers.job import digest_of
from gpu_samplers.patch_features import CHANNELS, band_power, opponent, patch_features
from gpu_samplers.processes import Array
from gpu_samplers.quality import frechet_distance
from gpu_samplers.shards import read_shard
from reports.experiments import store
from reports.experiments.runner import SILENT, Watch, run
from splitting_analysis.catalogue import entries

WITHIN_POWER, WITHIN_FRECHET = 0.1, 3.0
"""Samples pass as patches if in every band and channel their power is within this share of that of
the patches trained on, and their Fréchet distance to these at most so many times that of held-out
patches."""
SEED = 0
ROWS, COLUMNS = 4, 8
FEWEST = ROWS * COLUMNS
OF_SAMPLES = ("word", "nfe", "grid", "eps", "seed", "denoise", "precision")
OF_TRAINING = ("steps", "batch", "rate", "ema", "precision", "seconds", "device", "card", "torch")
"""What is repeated of the records of the samples and of the training."""


def ratio(power: Array, reference: Array) -> tuple[Array, Array]:
    """Mean power of samples (n, ...) over that of the reference (m, ...), and its standard
    error.
    """
    mean = reference.mean(0)
    return power.mean(0) / mean, power.std(0, ddof=1) / np.sqrt(len(power)) / mean


def verdict(found: Array, error: Array) -> dict[str, int]:
    """Bands whose ratio of powers is surely within the tolerance, surely beyond it, and neither.

    Sure is what two standard errors do not change.
    """
    off = np.abs(found - 1)
    within = int((off + 2 * error <= WITHIN_POWER).sum())
    beyond = int((off - 2 * error > WITHIN_POWER).sum())
    return {"within": within, "beyond": beyond, "undecided": found.size - within - beyond}


def passes(off: float, times: float) -> bool:
    """Whether the largest deviation of a power and the distance in units of the floor are both
    allowed.
    """
    return off <= WITHIN_POWER and times <= WITHIN_FRECHET


def judged(samples: torch.Tensor, taught: torch.Tensor, held: torch.Tensor) -> dict[str, Any]:
    """Samples (n, 3, 32, 32) beside the patches trained on and those held out: what passes, and the
    numbers.

    A Fréchet distance has a bias that depends on the size of a set: all that are compared with the
    patches trained on have one size. `chance` is the distance of as many of these patches
    themselves.
    """
    number = min(len(samples), len(held), len(taught))
    order = torch.Generator().manual_seed(SEED)
    of = {"samples": samples, "held-out patches": held, "chance": taught}
    sets = {name: x[torch.randperm(len(x), generator=order)[:number]] for name, x in of.items()}
    seen, power = patch_features(taught), band_power(taught)
    distances = {
        name: frechet_distance(patch_features(images), seen) for name, images in sets.items()
    }
    powers = {name: ratio(band_power(of[name]), power) for name in ("samples", "held-out patches")}
    found, error = powers["samples"]
    times = distances["samples"] / distances["held-out patches"]
    off = float(np.abs(found - 1).max())
    return {
        "passes": passes(off, times),
        "number": len(samples),
        "compared": number,
        "taught": len(taught),
        "held_out": len(held),
        "frechet": distances,
        "times_the_floor": times,
        "power": {
            name: {"ratio": values.tolist(), "standard_error": errors.tolist()}
            for name, (values, errors) in powers.items()
        },
        "largest_power_off": off,
        "bands": verdict(found, error),
        "channels": list(CHANNELS),
        "criteria": {"power": WITHIN_POWER, "frechet": WITHIN_FRECHET},
    }


def mosaic(images: torch.Tensor) -> list[str]:
    """Luminance of images (n, 3, 32, 32) side by side, a pixel of ground between: rows of levels,
    in hex.
    """
    grey = opponent(images[:FEWEST])[:, 0] / 3**0.5
    levels = np.rint((grey.clamp(-1, 1).numpy() + 1) * 127.5).astype(np.uint8)
    side = levels.shape[-1] + 1
    framed = np.pad(levels, ((0, 0), (0, 1), (0, 1))).reshape(ROWS, COLUMNS, side, side)
    rows = framed.transpose(0, 2, 1, 3).reshape(ROWS * side, COLUMNS * side)
    return [row.tobytes().hex() for row in rows]


def samples_in(
    folder: Path, weights: Path, stored: Checkpoint
) -> tuple[torch.Tensor, dict[str, Any]]:
    """The samples (n, 3, 32, 32) in a folder, and its record.

    Raises ValueError where they are not there, too few, or of another network than that of the
    weights.
    """
    if not is_folder(folder):
        raise ValueError(f"{folder}: there is no such folder; `sample` makes it")
    told = read_json(folder / "run.json")
    if not isinstance(told, dict) or told.get("weights sha256") != digest_of(
        network_of(weights, stored)
    ):
        raise ValueError(f"{folder}: its samples are not those of the network in {weights}")
    found: dict[int, torch.Tensor] = {}
    for path in sorted(folder.glob("*.npz")):
        try:
            images, index = read_shard(path)
            found |= dict(zip(index.tolist(), torch.from_numpy(images), strict=True))
        except Exception as error:  # noqa: BLE001 - damaged bytes can make the reader raise anything
            raise ValueError(f"{path}: cannot be read as samples: {error}") from None
    if len(found) < FEWEST:
        raise ValueError(
            f"{folder}: holds {len(found)} samples as .npz; to be judged it takes {FEWEST}"
        )
    return torch.stack([found[i] for i in sorted(found)]), told


def compute(folder: Path, weights: Path) -> dict[str, Any]:
    """Everything that is stored."""
    stored = read_checkpoint(weights)
    samples, told = samples_in(folder, weights, stored)
    taught, held = patches().split()
    order = torch.randperm(len(taught), generator=torch.Generator().manual_seed(SEED))
    record = stored.record
    return {
        "weights_sha256": store.digest(weights),
        "bytes": weights.stat().st_size,
        **store.rounded(judged(samples, taught, held)),
        "samples": {"sampler": _named(told.get("word"))}
        | {k: told[k] for k in OF_SAMPLES if k in told},
        "training": {key: record[key] for key in OF_TRAINING if key in record},
        "curve": store.rounded(record.get("curve", []), 4),
        "pictures": {"data": mosaic(taught[order]), "samples": mosaic(samples)},
    }


def _named(word: object) -> str:
    """The name of a sampler of the catalogue, from the word that a record holds; else the word."""
    return next((entry.name for entry in entries("psld") if str(entry.word) == word), str(word))


def keep(folder: Path, weights: Path, out: Path | None, watch: Watch = SILENT) -> None:
    """Judge the samples of a folder, say what was found, and store it: in the store, or in
    `out`.
    """
    for _ in watch(("once",), "spectrum and features"):
        found = compute(folder, weights)
        if out is None:
            store.save("patches", found)
        else:
            store.write(out, found)
        print(sentence(found))


def sentence(found: dict[str, Any]) -> str:
    """The verdict in a sentence."""
    does = "pass" if found["passes"] else "do not pass"
    return (
        f"{found['number']} samples {does} as patches: power off by at most "
        f"{100 * found['largest_power_off']:.3g} % in a band (allowed {100 * WITHIN_POWER:g} %), "
        f"Fréchet distance {found['times_the_floor']:.3g} times that of held-out patches (allowed "
        f"{WITHIN_FRECHET:g})"
    )


def _part(folder: Path, weights: Path | None, out: Path | None) -> dict[str, Any]:
    if (weights is None) != (out is None):
        raise ValueError(
            "--weights and --out go together: other weights are not stored in place of these"
        )
    if out is not None:
        check_file(out)
    return {"patches": partial(keep, folder, weights or bundled_path("patches"), out)}


def command() -> None:
    """The command line."""
    about = (__doc__ or "").partition("\n")[0]
    parser = ArgumentParser(prog="python -m reports.experiments.judge", description=about)
    parser.add_argument(
        "folder", type=Path, help="samples, as `splitting-analysis sample` writes them"
    )
    parser.add_argument(
        "--weights", type=Path, help="the network that they are of (default: the bundled)"
    )
    parser.add_argument(
        "--out", type=Path, help="where to write what is found of other weights, .json"
    )
    given = parser.parse_args()
    run(store.KEPT["patches"].command, lambda: _part(given.folder, given.weights, given.out))


if __name__ == "__main__":
    command()
