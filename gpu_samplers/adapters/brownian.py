"""Noise samplers that ask for increments of one Brownian motion, made of fresh normals."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Any

SAME = 1e-6
"""Times of float32 that agree to this part of their size are one time."""


class Brownian:
    """W(b) - W(a) over sqrt(b - a), W one path: intervals that overlap have the noise in common.

    Known points are filled in by the Brownian bridge, so what is given is linear in the normals and
    has the law of the samplers that this stands in for (the Brownian trees of torchsde).
    """

    def __init__(self, normal: Callable[[], Any]) -> None:
        self.normal = normal
        self.times: list[float] = []
        self.path: dict[float, Any] = {}

    def __call__(self, start: Any, end: Any) -> Any:
        first, last = self.known(float(start)), self.known(float(end))
        return (self.path[last] - self.path[first]) / abs(last - first) ** 0.5

    def known(self, t: float) -> float:
        """The time as it is kept, the path known there."""
        place = bisect_left(self.times, t)
        near = self.times[max(place - 1, 0) : place + 1]
        for kept in near:
            if abs(kept - t) <= SAME * max(abs(t), 1e-12):
                return kept
        if not self.times:
            self.path[t] = 0.0
        elif place in (0, len(self.times)):
            end = self.times[-1 if place else 0]
            self.path[t] = self.path[end] + abs(t - end) ** 0.5 * self.normal()
        else:
            a, b = self.times[place - 1], self.times[place]
            part = (t - a) / (b - a)
            between = (1 - part) * self.path[a] + part * self.path[b]
            self.path[t] = between + ((b - t) * part) ** 0.5 * self.normal()
        insort(self.times, t)
        return t
