"""Processes that share a run: which of them this one is, and a meeting point for all.

Samples need no communication: each depends on its index and the seed alone. torchrun sets the
environment that is read here; so may any other launcher.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

PATIENCE = timedelta(days=7)
"""How long a process waits for a slower one. One that has died is noticed at once: its connection
closes.
"""


@dataclass(frozen=True)
class Rank:
    """Process `rank` of `world`, the `local`-th on its machine. Raises ValueError if there is no
    such.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.rank < self.world and self.local >= 0):
            raise ValueError(
                f"RANK = {self.rank}, WORLD_SIZE = {self.world}, LOCAL_RANK = {self.local}: ranks "
                "count from 0 and lie below the world's size"
            )

    def device(self, kind: str) -> torch.device:
        """This process's device of a kind, "cpu" or "cuda". Raises ValueError if there is none for
        it.
        """
        if kind == "cpu":
            return torch.device("cpu")
        if kind != "cuda":
            raise ValueError(f"no device {kind!r}; there are: cpu, cuda")
        if self.local >= (found := torch.cuda.device_count()):
            raise ValueError(
                f"device cuda:{self.local}: torch {torch.__version__} finds {found} GPU(s) here"
            )
        return torch.device("cuda", self.local)


def rank_of(environment: Mapping[str, str] = os.environ) -> Rank:
    """The rank that a launcher's environment gives; alone where there is none. ValueError for a bad
    one.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    given = [environment.get(name, alone) for name, alone in zip(names, "010", strict=True)]
    if not all(text.isascii() and text.isdigit() for text in given):
        shown = ", ".join(f"{name} = {text!r}" for name, text in zip(names, given, strict=True))
        raise ValueError(f"{shown}: a launcher sets whole numbers")
    return Rank(*map(int, given))


@contextmanager
def meeting(rank: Rank) -> Iterator[Callable[[], None]]:
    """A function that returns when every process of the run has called it.

    Raises ValueError where the processes cannot find each other, or one has ended without calling
    it. They meet over gloo whatever the device: nothing but "here" is said, and gloo notices a
    process that has died where NCCL would wait.
    """
    name = f"process {rank.rank} of {rank.world}"
    if rank.world == 1:
        yield lambda: None
        return
    try:
        distributed.init_process_group(
            "gloo", timeout=PATIENCE, rank=rank.rank, world_size=rank.world
        )
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{name} does not find the others: {error}") from None

    def meet() -> None:
        try:
            distributed.barrier()
        except RuntimeError:
            raise ValueError(f"{name} stops, because another process has ended early") from None

    try:
        yield meet
    finally:
        distributed.destroy_process_group()
