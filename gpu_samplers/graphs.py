"""A network as CUDA graphs: recorded once for each shape, then launched by a single call."""

from __future__ import annotations

from collections.abc import Callable

import torch

WARM_UP = 3
"""Calls before the recording, in which libraries choose their kernels and take their memory."""


class Graphs:
    """network(image, time) by CUDA graphs, one for each shape of the image.

    The result is a buffer that the next call with that shape overwrites. No gradients. Raises
    ValueError for an image that is not on a GPU.
    """

    def __init__(self, network: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        self.network = network
        self.recorded: dict[torch.Size, tuple[torch.cuda.CUDAGraph, tuple[torch.Tensor, ...]]] = {}

    @torch.no_grad()
    def __call__(self, image: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        if not image.is_cuda:
            raise ValueError(f"CUDA graphs run on a GPU, not on {image.device.type}")
        if image.shape not in self.recorded:
            self.recorded[image.shape] = self._record(image.clone(), time.clone())
        graph, (own_image, own_time, result) = self.recorded[image.shape]
        own_image.copy_(image)
        own_time.copy_(time)
        graph.replay()
        return result

    def _record(
        self, image: torch.Tensor, time: torch.Tensor
    ) -> tuple[torch.cuda.CUDAGraph, tuple[torch.Tensor, ...]]:
        here, aside = torch.cuda.current_stream(image.device), torch.cuda.Stream(image.device)  # type: ignore[no-untyped-call]
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                self.network(image, time)
        here.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # other threads go on meanwhile: they draw noise into pinned memory
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            result = self.network(image, time)
        return graph, (image, time, result)
