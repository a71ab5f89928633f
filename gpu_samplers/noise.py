"""Noise that belongs to the sample: sample i sees the same normals whatever the batch, order or process.

Every sample has a generator of its own, seeded from (seed, i), and reads it from the start: its
k-th draw depends on (seed, i, k) alone, bit for bit, as long as the draws before it had the same
sizes (a sampler's do). Normals are made on the host, also for a GPU: then every device sees the
same bits, and at about 4 ns a number the host is done long before a network is. A run that says what
it will draw has it drawn ahead, by a thread of its own, while the rest of a step is computed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from hashlib import blake2b
from math import prod

import torch

_WORD = 2**32
_WORTH_A_THREAD = 2**15
"""Numbers of a component below which waking up a thread takes longer than drawing them."""
_FIRST, _MOST = 2, 8
"""Components in the first block that is drawn ahead, and in the largest: each has twice those of the last."""
_WAITING = 2
"""Blocks under way or waiting to be read: with one only, its thread would sleep until that is read."""
_LANES = 16
"""torch makes normals in groups of so many: only whole groups are the same in one call and in several."""


def stream_seed(seed: int, index: int) -> int:
    """The 32 bits that torch's CPU generator (mt19937) takes as its seed, for sample `index` of a run.

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
        self, seed: int, indices: Sequence[int], shape: Sequence[int],
        dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu",
    ) -> None:  # fmt: skip
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"noise is drawn in float32 or float64, not {dtype}")
        for index in indices:
            if not 0 <= index < _WORD:
                raise ValueError(f"sample index {index}: an index lies in [0, 2^32)")
        self.shape, self.dtype, self.device = tuple(shape), dtype, torch.device(device)
        self._generators = [torch.Generator().manual_seed(stream_seed(seed, i)) for i in indices]
        self._ready = torch.empty(len(self._generators), 0, dtype=dtype, device=self.device)
        self._coming = deque[Future[torch.Tensor]]()
        self._expected, self._ahead = 0, _FIRST

    def expect(self, parts: int) -> None:
        """Announce that `parts` components more will be drawn: they are the same, but drawn ahead."""
        size = prod(self.shape)
        if size % _LANES == 0 and size * len(self._generators) >= _WORTH_A_THREAD:
            self._expected, self._ahead = self._expected + parts, _FIRST
            self._draw_ahead()

    def __call__(self, parts: int) -> torch.Tensor:
        missing, found = parts * prod(self.shape), list[torch.Tensor]()
        while missing:
            if not self._ready.shape[1]:
                coming = self._coming.popleft() if self._coming else None
                self._draw_ahead()
                block = self._block(missing) if coming is None else coming.result()
                self._ready = block.to(self.device, non_blocking=True)
            found.append(self._ready[:, :missing])
            self._ready = self._ready[:, missing:]
            missing -= found[-1].shape[1]
        drawn = found[0] if len(found) == 1 else torch.cat(found, dim=1)
        return drawn.view(len(drawn), parts, *self.shape).transpose(0, 1)

    def _draw_ahead(self) -> None:
        while self._expected and len(self._coming) < _WAITING:
            parts = min(self._expected, self._ahead)
            self._expected, self._ahead = self._expected - parts, min(2 * self._ahead, _MOST)
            self._coming.append(_pool().submit(self._block, parts * prod(self.shape)))

    def _block(self, numbers: int) -> torch.Tensor:
        """The next normals (batch, numbers), on the host; row i from generator i."""
        # Fresh memory every time: a pinned block is reused only after the copy out of it is done.
        size = (len(self._generators), numbers)
        block = torch.empty(size, dtype=self.dtype, pin_memory=self.device.type != "cpu")
        for row, generator in zip(block.unbind(), self._generators, strict=True):
            row.normal_(generator=generator)
        return block


@cache
def _pool() -> ThreadPoolExecutor:
    """One thread: it draws the blocks of a generator in the order in which they were asked for."""
    return ThreadPoolExecutor(1, thread_name_prefix="noise")
