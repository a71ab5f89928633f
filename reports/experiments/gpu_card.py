"""Where the measurements of `reports.experiments.gpu` run, how large they are, and how time is
taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter
from typing import Any, NamedTuple

import torch


class Row(NamedTuple):
    """Something to measure, and about how many seconds that takes on a card."""

    name: str
    seconds: float
    measure: Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Card:
    """A GPU, or a CPU at toy size; `until` is the monotonic time at which measurements end.

    `reference` is a folder with the released network's outputs, None where there is none; `folder`
    takes what is made beside the numbers.
    """

    toy: bool
    until: float
    reference: Path | None = None
    folder: Path = Path()

    @property
    def device(self) -> torch.device:
        return torch.device("cpu" if self.toy else "cuda")

    @property
    def config(self) -> str:
        """The network whose speed is measured."""
        return "tiny_sota" if self.toy else "cifar10_sota"

    @property
    def batches(self) -> tuple[int, ...]:
        return (2,) if self.toy else (64, 256)

    @property
    def side(self) -> int:
        """Pixels along a side of the images that it takes."""
        return 16 if self.toy else 32

    def states(self, batch: int) -> torch.Tensor:
        """Random states (2, batch, 3, side, side)."""
        return torch.randn(2, batch, 3, self.side, self.side, device=self.device)

    def has(self, seconds: float) -> bool:
        """Whether there is time for something that takes about so long."""
        return monotonic() + (0 if self.toy else seconds) < self.until

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if not self.toy:
            torch.cuda.synchronize()

    def wall(self, action: Callable[[], object]) -> float:
        """Seconds that an action takes, the device's work included."""
        self.wait()
        start = perf_counter()
        action()
        self.wait()
        return perf_counter() - start

    def each(self, action: Callable[[], object], least: float = 0.3, rounds: int = 5) -> float:
        """Median seconds of one of many calls in a row, once warm: the host may run ahead, as in a
        run.
        """
        action()
        once = self.wall(action)
        calls = 1 if self.toy else max(2, round(least / once))

        def several() -> None:
            for _ in range(calls):
                action()

        return median(self.wall(several) for _ in range(1 if self.toy else rounds)) / calls
