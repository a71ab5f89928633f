"""Samplers of kinetic Langevin dynamics as their papers print them, continued from plain.py."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import torch

from gpu_samplers.plain_psld import steps
from gpu_samplers.processes import Langevin

Tensor = torch.Tensor
Pair = tuple[Tensor, Tensor]
Times = Sequence[float]


def langevin_gjf(p: Langevin, s: Any, q: Tensor, v: Tensor, times: Times, noise: Any) -> Pair:
    """GJF, with a and b of its paper (Gronbech-Jensen & Farago 2013)."""
    f = s(q)
    for _t, h in steps(times):
        b = 1 / (1 + p.gamma * h / 2)
        a = (1 - p.gamma * h / 2) * b
        kick = sqrt(2 * p.gamma * h) * noise()
        after = q + b * h * v + b * h**2 / 2 * f + b * h / 2 * kick
        force = s(after)
        v = a * v + h / 2 * (a * f + force) + b * kick
        q, f = after, force
    return q, v


def langevin_spv(p: Langevin, s: Any, q: Tensor, v: Tensor, times: Times, noise: Any) -> Pair:
    """Leapfrog with c1 and c2 of its paper (Mannella 2004)."""
    for _t, h in steps(times):
        c1, c2 = 1 - p.gamma * h / 2, 1 / (1 + p.gamma * h / 2)
        middle = q + h / 2 * v
        v = c2 * (c1 * v + h * s(middle) + sqrt(2 * p.gamma * h) * noise())
        q = middle + h / 2 * v
    return q, v


def langevin_bbk(p: Langevin, s: Any, q: Tensor, v: Tensor, times: Times, noise: Any) -> Pair:
    """(v' - v)/h = f - gamma (v + v')/2 + noise, v between positions (Brunger et al. 1984)."""
    for _t, h in steps(times):
        known = v + h * s(q) - p.gamma * h / 2 * v + sqrt(2 * p.gamma * h) * noise()
        v = known / (1 + p.gamma * h / 2)
        q = q + h * v
    return q, v
