"""What a sampler costs apart from its network, in units of one float32 draw of its noise.

Run `python -m tests.benchmarks.bench_engine`; it needs about half a minute. Claims measured: on a
batch (16, 6, 32, 32) a step of EM takes at most 1.5 draws (torch.randn of that shape), one of SSCS
2.5. The network is a stub that returns the same tensor: what is left is drawing the noise, handing
the state over in the network's precision, counting, watching for nan, and the update. torch has one
thread here: the second core draws the noise ahead, and torch's own idle threads would spin on it.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from gpu_samplers import engine
from gpu_samplers.noise import Noise
from gpu_samplers.plan import plan
from gpu_samplers.processes import PSLD, grid
from gpu_samplers.score import NetworkScore
from splitting_analysis.catalogue import find

BATCH, SHAPE, STEPS, REPEATS = 16, (3, 32, 32), 20, 31
LIMITS = {"EM": 1.5, "SSCS": 2.5}
NAMES = ("RSE", "EM", "ROBA", "SSCS")


class Stub(nn.Module):
    """A network that costs nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.epsilon = torch.randn(BATCH, 2 * SHAPE[0], *SHAPE[1:])

    def forward(self, z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:  # noqa: ARG002 - a network's interface
        return self.epsilon


def run_of(name: str, merge_noise: bool = False) -> Callable[[], object]:
    """STEPS steps of a sampler, ready to go."""
    score = NetworkScore(Stub(), PSLD())
    times = grid("uniform", STEPS)
    ready = plan(
        find(name), PSLD(), times, denoise=False, merge_noise=merge_noise, factor=score.factor
    )
    noise = Noise(0, range(BATCH), SHAPE)
    z = noise(2).double()
    return lambda: engine.run(ready, score.output, z, noise)


def draws() -> None:
    for _ in range(STEPS):
        torch.randn(BATCH, 2 * SHAPE[0], *SHAPE[1:])


def own_draws() -> Callable[[], object]:
    noise = Noise(0, range(BATCH), SHAPE)
    return lambda: [noise(2) for _ in range(STEPS)]


def measure() -> dict[str, list[float]]:
    """Microseconds per step, run by run; the actions take turns, so that a busy machine slows them
    alike.
    """
    actions: dict[str, Callable[[], object]] = {
        "torch.randn": draws,
        "the same, per sample": own_draws(),
    }
    actions |= {name: run_of(name) for name in NAMES}
    actions["SSCS, noise merged"] = run_of("SSCS", merge_noise=True)
    spent: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(REPEATS):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            spent[name].append(1e6 * (time.perf_counter() - start) / STEPS)
    return spent


def main() -> None:
    torch.set_num_threads(1)
    spent = measure()
    unit, *_ = spent.values()
    title = (
        f"Sampler-only time of a step, batch {BATCH} x 6 x 32 x 32, {torch.get_num_threads()} "
        "threads"
    )
    table = Table("sampler", "us", "draws, median", "limit", "draws, fastest", title=title)
    missed = False
    for name, values in spent.items():
        ratio = statistics.median(v / u for v, u in zip(values, unit, strict=True))
        limit = f"{LIMITS[name]:g}" if name in LIMITS else ""
        best = min(values) / min(unit)
        table.add_row(
            name, f"{statistics.median(values):.0f}", f"{ratio:.2f}", limit, f"{best:.2f}"
        )
        missed |= name in LIMITS and ratio > LIMITS[name]
    Console().print(table)
    if missed:
        sys.exit("over the limit: on a machine that does nothing else?")


if __name__ == "__main__":
    main()
