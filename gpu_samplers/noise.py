"""Noise that belongs to the sample: sample i sees the same normals whatever the batch, order or
process.

Every sample has a generator of its own, seeded from (seed, i), and reads it from the start: its
k-th draw depends on (seed, i, k) alone, bit for bit, as long as the draws before it had the same
sizes (a sampler's do). Normals are made on the host, also for a GPU: then every device sees the
same bits, and at about 4 ns a number the host is done long before a network is. A run that says
what it will draw has it drawn ahead, by a thread of its own, while the rest of a step is computed;
a run that has to wait for its noise helps that thread, sample by sample.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from math import prod
from threading import Lock

import torch

_WORD = 2**32
_WORTH_A_THREAD = 2**15
"""Numbers of a component below which waking up a thread takes longer than drawing them."""
_AHEAD = 8
"""Components in a block that is drawn ahead: fewer are handed over too often, more leave the
cache.
"""
_LANES = 16
"""torch makes normals in groups of so many: only whole groups are the same in one call and in
several.
"""


def stream_seed(seed: int, index: int) -> int:
    """The 32 bits that torch's CPU generator (mt19937) takes as its seed, for sample `index` of a
    run.

    For one `seed` this is a bijection of the index, so that no two samples of a run ever share a
    stream; runs of different seeds start at unrelated places of the same 2^32 streams.
    """
    start = int.from_bytes(blake2b(str(seed).encode(), digest_size=4).digest(), "little")
    x = (start + index) % _WORD
    for shift, odd in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):  # the finalizer of MurmurHash3
        x = (x ^ (x >> shift)) * odd % _WORD
    return x


class Noise:
    """Standard normals for the samples `indices`, each of `shape` per component.

    `noise(parts)` is the next draw, shape (parts, batch, *shape). Raises ValueError for an index
    outside [0, 2^32) or a dtype other than float32 and float64.
    """

    def __init__(
        self,
        seed: int,
        indices: Sequence[int],
        shape: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"noise is drawn in float32 or float64, not {dtype}")
        indices = [int(index) for index in indices]  # NumPy's and torch's integers, too
        for index in indices:
            if not 0 <= index < _WORD:
                raise ValueError(f"sample index {index}: an index lies in [0, 2^32)")
        self.shape, self.dtype, self.device = tuple(shape), dtype, torch.device(device)
        self._generators = [torch.Generator().manual_seed(stream_seed(seed, i)) for i in indices]
        self._ready = torch.empty(len(self._generators), 0, dtype=dtype, device=self.device)
        self._expected = 0
        self._coming: tuple[_Block, Future[None]] | None = None

    def expect(self, parts: int) -> None:
        """Announce that `parts` components more will be drawn: they are the same, but drawn
        ahead.
        """
        size = prod(self.shape)
        if size % _LANES == 0 and size * len(self._generators) >= _WORTH_A_THREAD:
            self._expected += parts
            self._coming = self._coming or self._begin()

    def __call__(self, parts: int) -> torch.Tensor:
        missing, found = parts * prod(self.shape), list[torch.Tensor]()
        while missing:
            if not self._ready.shape[1]:
                self._ready = self._next_block(missing).to(self.device, non_blocking=True)
            found.append(self._ready[:, :missing])
            self._ready = self._ready[:, missing:]
            missing -= found[-1].shape[1]
        drawn = found[0] if len(found) == 1 else torch.cat(found, dim=1)
        return drawn.view(len(drawn), parts, *self.shape).transpose(0, 1)

    def _next_block(self, numbers: int) -> torch.Tensor:
        """What comes next, (batch, numbers or, if drawn ahead, so many), on the host."""
        if self._coming is None:
            block = self._block(numbers)
            block.fill()
            return block.normals
        (block, drawn), self._coming = self._coming, self._begin()
        block.help()
        drawn.result()
        return block.normals

    def _begin(self) -> tuple[_Block, Future[None]] | None:
        """Have the next block drawn, if more is expected."""
        parts = min(self._expected, _AHEAD)
        if not parts:
            return None
        self._expected -= parts
        block = self._block(parts * prod(self.shape))
        return block, _pool().submit(block.draw)

    def _block(self, numbers: int) -> _Block:
        return _Block(self._generators, numbers, self.dtype, pinned=self.device.type != "cpu")


class _Block:
    """The next normals (batch, numbers) of the generators, row i from generator i, on the host."""

    def __init__(
        self, generators: Sequence[torch.Generator], numbers: int, dtype: torch.dtype, pinned: bool
    ) -> None:
        # Fresh memory every time: a pinned block is reused only after the copy out of it is done.
        self.normals = torch.empty(len(generators), numbers, dtype=dtype, pin_memory=pinned)
        self._rows = deque(zip(self.normals.unbind(), generators, strict=True))
        self._helping = Lock()

    def fill(self) -> None:
        """Draw the rows that nobody has taken yet, one by one."""
        with suppress(IndexError):
            while True:
                row, generator = self._rows.popleft()
                row.normal_(generator=generator)

    def help(self) -> None:
        """Draw rows, while another thread is at `draw`."""
        with self._helping:
            self.fill()

    def draw(self) -> None:
        """Draw rows until all are there: the generators are free for the next block then."""
        self.fill()
        with self._helping:
            pass


@cache
def _pool() -> ThreadPoolExecutor:
    """One thread: it draws the blocks of a generator in the order in which they were asked for."""
    return ThreadPoolExecutor(1, thread_name_prefix="noise")
