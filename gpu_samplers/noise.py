"""Noise that belongs to the sample: sample i sees the same normals whatever the batch, order or process.

Every sample has a generator of its own, seeded from (seed, i), and reads it from the start: its
k-th draw depends on (seed, i, k) alone, bit for bit, as long as the draws before it had the same
sizes (a sampler's do). Normals are made on the host, also for a GPU: then every device sees the
same bits, and at about 4 ns a number and thread the host is done long before a network is.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from hashlib import blake2b
from math import prod

import torch

_WORD = 2**32
_WORTH_A_THREAD = 2**15
"""Numbers that one thread draws in about the time it takes to wake up another."""


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

    def __call__(self, parts: int) -> torch.Tensor:
        on_host = self.device.type == "cpu"
        # Fresh memory every time: a pinned block is reused only after the copy out of it is done.
        size = (len(self._generators), parts * prod(self.shape))
        block = torch.empty(size, dtype=self.dtype, pin_memory=not on_host)
        self._fill(block)
        if not on_host:
            block = block.to(self.device, non_blocking=True)
        return block.view(len(self._generators), parts, *self.shape).transpose(0, 1)

    def _fill(self, block: torch.Tensor) -> None:
        """Row i from generator i. Threads (torch draws without Python's lock) share the rows out."""
        threads = max(1, min(torch.get_num_threads(), block.numel() // _WORTH_A_THREAD, len(block)))
        rows, share = block.unbind(), -(-len(block) // threads)

        def draw(first: int) -> None:
            for row, generator in zip(rows[first : first + share], self._generators[first:], strict=False):
                row.normal_(generator=generator)

        rest = [_pool().submit(draw, first) for first in range(share, len(rows), share)]
        draw(0)
        for part in rest:
            part.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="noise")
