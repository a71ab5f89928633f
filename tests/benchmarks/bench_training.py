"""What a step of training costs: the network of the patches, on a card and its precisions, or on a
CPU.

Run `python -m tests.benchmarks.bench_training`, or with `--batch 256 512 1024` and so on. Each row
is timed once warm, and says what fits into four minutes. Weights and images are random: only the
time is looked at.
"""

from __future__ import annotations

import argparse
import itertools
import time

import torch
from rich.console import Console
from rich.table import Table

from gpu_samplers import training
from gpu_samplers.data import Images
from gpu_samplers.training_settings import PATCHES_CONFIG, Settings

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
MINUTES = 4


def steps_a_second(
    settings: Settings, *, compiled: bool, warm: int, steps: int
) -> tuple[float, float]:
    """Steps a second, and the seconds that the first ones took (compilation among them)."""
    run = training._started(settings, DEVICE)
    if compiled:
        run.network.compile(dynamic=False)
    images = torch.rand(4096, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    taught, held = (part.to(DEVICE) for part in Images("noise", images).split())
    spent = []
    for count in (warm, steps):
        begun = time.perf_counter()
        for _ in range(count):
            training._train_step(settings, run, taught)
        run.read(settings.steps)  # waits for the card
        spent.append(time.perf_counter() - begun)
    training._held_out_loss(settings, run.average, held)
    return steps / spent[1], spent[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[256, 512, 1024] if GPU else [8])
    parser.add_argument(
        "--precision", nargs="+", default=["bf16", "float32"] if GPU else ["float32"]
    )
    parser.add_argument(
        "--compile", type=int, nargs="+", default=[0, 1] if GPU else [0], help="0, 1 or both"
    )
    parser.add_argument("--steps", type=int, default=150 if GPU else 3)
    args = parser.parse_args()
    fits = f"steps in {MINUTES} min"
    table = Table("precision", "compiled", "batch", "first, s", "steps/s", "images/s", fits)
    for precision, compiled, batch in itertools.product(args.precision, args.compile, args.batch):
        settings = Settings(PATCHES_CONFIG, steps=10**6, batch=batch, precision=precision)
        warm = max(1, args.steps // 5)
        rate, first = steps_a_second(settings, compiled=bool(compiled), warm=warm, steps=args.steps)
        row = f"{first:.1f}", f"{rate:.1f}", f"{rate * batch:,.0f}", f"{rate * 60 * MINUTES:,.0f}"
        table.add_row(precision, str(bool(compiled)), str(batch), *row)
        print(precision, bool(compiled), batch, *row, flush=True)  # at once: it may be cut off
    where = torch.cuda.get_device_name() if GPU else f"CPU, {torch.get_num_threads()} threads"
    Console(width=100).print(f"torch {torch.__version__}, {where}", table)


if __name__ == "__main__":
    main()
