"""Speed on a GPU: the network's forward in several forms, and what a run takes beyond its
forwards.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from statistics import median
from typing import Any

import torch

from gpu_samplers import engine, ncsnpp, plain
from gpu_samplers.job import BLACK_BOX, PRECISIONS
from gpu_samplers.noise import Noise
from gpu_samplers.processes import PSLD, grid, steps_for
from gpu_samplers.score import NetworkScore
from reports.experiments.gpu_card import Card, Row
from splitting_analysis.catalogue import find
from splitting_analysis.grids import EPS

SAMPLERS = ("EM", "SSCS", "ROBA", "ROBAB", "RK45")
NFE = 50
LEAST = 8
"""Evaluations that every sampler's step and the denoising step need."""
REPEATS = 3
COMPILING = 100
"""Seconds that torch.compile may take for one form and batch."""


@dataclass(frozen=True)
class Form:
    """How the network runs: a key of job.PRECISIONS, and the options of NetworkScore."""

    precision: str = "float32"
    channels_last: bool = False
    compile: bool = False
    graphs: bool = False

    def __str__(self) -> str:
        told = (
            ("channels-last", self.channels_last),
            ("compiled", self.compile),
            ("graph", self.graphs),
        )
        return ", ".join([self.precision, *(name for name, on in told if on)])

    def score(self, card: Card) -> NetworkScore:
        """The network with random weights in this form."""
        torch.manual_seed(0)
        network = ncsnpp(card.config).requires_grad_(False).to(card.device)
        return NetworkScore(
            network,
            PSLD(),
            PRECISIONS[self.precision],
            compile=self.compile and not card.toy,
            channels_last=self.channels_last,
            tf32=self.precision == "tf32",
            graphs=self.graphs and not card.toy,
        )


PLAIN, FASTEST = Form(), Form("bf16", channels_last=True, compile=True, graphs=True)
FORMS = (
    PLAIN,
    Form("float32", True),
    Form("tf32"),
    Form("tf32", True),
    Form("bf16"),
    Form("bf16", True),
    Form("bf16", graphs=True),
    Form("bf16", True, graphs=True),
    Form("tf32", True, graphs=True),
)
COMPILED = (FASTEST, Form("tf32", True, compile=True, graphs=True), Form("float32", compile=True))
RUN_FORMS = (PLAIN, Form("bf16"), Form("bf16", graphs=True))


def forward_rows(card: Card) -> Iterator[Row]:
    """Seconds of one forward in each form and batch, and the memory that it takes at its peak."""
    for forms, seconds in ((FORMS, 15), (COMPILED, COMPILING)):
        for batch in card.batches:
            for form in forms:
                yield Row(f"{form}; {batch}", seconds, partial(forward, card, form, batch))


def forward(card: Card, form: Form, batch: int) -> dict[str, Any]:
    """One forward of `batch` states, weights and all; in the fastest form also whole runs of
    ROBA.
    """
    score, z = _score(card, form), card.states(batch)
    with torch.no_grad():
        seconds = card.each(lambda: score.output(z, 0.3))
    told: dict[str, Any] = {"form": str(form), "batch": batch, "seconds": seconds}
    if not card.toy:
        told["peak_bytes"] = torch.cuda.max_memory_allocated()
    if form == FASTEST:
        spent = min(whole(card, score, "ROBA", batch, NFE)[0] for _ in range(2))
        told |= {"sampler": "ROBA", "nfe": NFE, "images_per_second": batch / spent}
    return told


@lru_cache(maxsize=1)
def _score(card: Card, form: Form) -> NetworkScore:
    """The network in a form, the one before it forgotten: compiled code, graphs, memory."""
    torch._dynamo.reset()
    gc.collect()
    if not card.toy:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return form.score(card)


def overhead_rows(card: Card) -> Iterator[Row]:
    """Time of a run over its evaluations times the network's, in the forms of RUN_FORMS."""
    for batch in card.batches:
        for form in RUN_FORMS[::-1]:
            for sampler in SAMPLERS + ((BLACK_BOX,) if batch == card.batches[0] else ()):
                seconds = 60 if form == PLAIN and batch > card.batches[0] else 15
                measure = partial(overhead, card, sampler, form, batch)
                yield Row(f"{sampler}; {form}; {batch}", seconds, measure)


def overhead(card: Card, sampler: str, form: Form, batch: int) -> dict[str, Any]:
    """Runs and as many forwards in turn, as a card's clock drifts: medians and the ratio of each
    pair.
    """
    score, z = _score(card, form), card.states(batch)

    @torch.no_grad()
    def forwards(calls: int) -> float:
        return card.wall(lambda: [None for _ in range(calls) if score.output(z, 0.3) is None])

    forwards(2)
    once = forwards(2) / 2
    nfe = LEAST if card.toy else max(LEAST, min(NFE, round(1.2 / once)))
    if not card.toy:
        whole(card, score, sampler, batch, LEAST)
    pairs, evaluations = [], 0
    for _ in range(1 if card.toy else REPEATS):
        spent, evaluations = whole(card, score, sampler, batch, nfe)
        pairs.append((spent, forwards(evaluations)))
    seconds, ratio = (
        median(each) for each in zip(*((run, run / all_) for run, all_ in pairs), strict=True)
    )
    told = {"sampler": sampler, "form": str(form), "batch": batch, "nfe": evaluations}
    return told | {"seconds": seconds, "ratio": ratio}


def whole(card: Card, score: NetworkScore, sampler: str, batch: int, nfe: int) -> tuple[float, int]:
    """Seconds of a run of one batch, from the seed to the samples, and its evaluations."""
    process, shape, calls = PSLD(), (3, card.side, card.side), [0]

    def action() -> None:
        if sampler == BLACK_BOX:
            calls[0] = _black_box(card, score, batch, shape)
            return
        scheme = find(sampler)
        times = grid("uniform", steps_for(nfe, scheme), process.T, EPS)
        for made in engine.sample(
            scheme, process, score, times, shape, range(batch), batch=batch, device=card.device
        ):
            calls[0] = made.nfe

    return card.wall(action), calls[0]


@torch.no_grad()
def _black_box(card: Card, score: NetworkScore, batch: int, shape: tuple[int, ...]) -> int:
    process = PSLD()
    counted = engine.Counted(score)
    z = engine.prior(process, Noise(0, range(batch), shape, device=card.device))
    times = grid("uniform", 1, process.T, EPS)
    plain.sample(BLACK_BOX, process, counted, z, times, engine.no_noise, last=True, tol=1e-2)
    return counted.calls
