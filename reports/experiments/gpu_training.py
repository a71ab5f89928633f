"""Training on a GPU: the network of the patches in at most five minutes, and whether its samples
pass.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import torch

from gpu_samplers import engine
from gpu_samplers.checkpoints import load_checkpoint
from gpu_samplers.data import Images, patches
from gpu_samplers.embedded import BUNDLED
from gpu_samplers.files import whole
from gpu_samplers.processes import PSLD, grid, steps_for
from gpu_samplers.score import NetworkScore
from gpu_samplers.training import NETWORKS, Settings, train
from reports.experiments.gpu_card import Card, Row
from reports.experiments.judge import judged
from splitting_analysis.catalogue import find
from splitting_analysis.grids import EPS

SECONDS = 240.0
"""Of training, compilation and the steps that are timed not counted."""
TIMED = 100
"""Steps that are timed, after as many that compile and warm up."""
SAMPLER, NFE, SAMPLES, BATCH = "RK45", 100, 4096, 512
SEED = 0


class _TimedEnough(Exception):
    """The steps that are timed are done."""


def rows(card: Card) -> Iterator[Row]:
    """One row; the weights go beside the numbers, and to their place in the package if samples
    pass.
    """
    weights = card.folder / "patches.safetensors"
    yield Row("patches network, trained", 420, partial(trained, card, weights))


def trained(card: Card, weights: Path) -> dict[str, Any]:
    """As many steps as fit, by the time that one takes; the samples judged."""
    images = _few(patches()) if card.toy else patches()
    settings = Settings(NETWORKS["patches"], batch=4 if card.toy else BATCH, seed=SEED)
    if not card.toy:
        settings = replace(settings, precision="bf16")
    rate = 1.0 if card.toy else steps_a_second(card, settings, images)
    steps = 2 if card.toy else round(SECONDS * rate)
    # the average reaches back about a twentieth of the run
    settings = replace(settings, steps=steps, ema=1 - 20 / steps if steps > 20 else 0.5)
    record = train(settings, images, weights, device=card.device, compile=not card.toy)
    found = judged(samples(card, weights), *images.split())
    if found["passes"] and not card.toy:
        with whole(BUNDLED["patches"]) as place:  # where none may be yet
            shutil.copyfile(weights, place)
    return {
        "passes": found["passes"],
        "times_the_floor": found["times_the_floor"],
        "largest_power_off": found["largest_power_off"],
        "number": found["number"],
        "steps": steps,
        "batch": settings.batch,
        "steps_per_second": rate,
        "seconds": record["seconds"],
        "held_out_loss": record["curve"][-1][2],
    }


def steps_a_second(card: Card, settings: Settings, images: Images) -> float:
    """Of a training that is given up, once warm."""
    begun: list[float] = []

    def beat(step: int, _: int) -> None:
        if step % TIMED == 0:
            card.wait()
            begun.append(monotonic())
        if step == 2 * TIMED:
            raise _TimedEnough

    with TemporaryDirectory() as place:
        try:
            out = Path(place, "given_up.safetensors")
            train(
                settings, images, out, device=card.device, compile=True, save_every=1e9, beat=beat
            )
        except _TimedEnough:
            pass
    return TIMED / (begun[1] - begun[0])


def samples(card: Card, weights: Path) -> torch.Tensor:
    """Positions of samples (n, 3, 32, 32) of the network."""
    number, nfe = (4, 8) if card.toy else (SAMPLES, NFE)
    score, scheme = NetworkScore(load_checkpoint(weights).to(card.device), PSLD()), find(SAMPLER)
    times = grid("quadratic", steps_for(nfe, scheme), PSLD().T, EPS)
    made = engine.sample(
        scheme,
        PSLD(),
        score,
        times,
        (3, 32, 32),
        range(number),
        SEED,
        batch=BATCH,
        device=card.device,
    )
    return torch.cat([each.z[0].float().cpu() for each in made])


def _few(images: Images) -> Images:
    """Enough of a set to go through everything."""
    taught, held = images.split()
    pixels = torch.cat([taught[::900], held[::200]])
    return Images(images.name, pixels, torch.arange(len(pixels)) >= len(taught[::900]))
