"""Samplers of kinetic Langevin dynamics as their papers print them, continued from plain.py."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, sqrt
from typing import Any

import torch

from gpu_samplers.plain_psld import steps
from gpu_samplers.processes import Langevin, Respa

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


# Two forces: s(q) is the fast and the slow one. The slow force comes in at the ends of a step.


def impulses(
    p: Respa, s: Any, q: Tensor, v: Tensor, times: Times, inner: int, noise: Any = None
) -> Pair:
    """r-RESPA: `inner` steps of the fast force between half kicks of the slow one, velocity Verlet
    or, with noise, BAOAB.
    """
    fast, slow = s(q)
    for _t, h in steps(times):
        v, part = v + h / 2 * slow, h / inner
        for _ in range(inner):
            v = v + part / 2 * fast
            q = q + part / 2 * v
            if noise is not None:
                decay = exp(-p.gamma * part)
                v = decay * v + sqrt(1 - decay**2) * noise()
            q = q + part / 2 * v
            fast, slow = s(q)
            v = v + part / 2 * fast
        v = v + h / 2 * slow
    return q, v


def respa_respa2(p: Respa, s: Any, q: Tensor, v: Tensor, times: Times, _: Any) -> Pair:
    """Two inner steps (Tuckerman, Berne & Martyna 1992)."""
    return impulses(p, s, q, v, times, 2)


def respa_respa4(p: Respa, s: Any, q: Tensor, v: Tensor, times: Times, _: Any) -> Pair:
    """Four inner steps (Tuckerman, Berne & Martyna 1992)."""
    return impulses(p, s, q, v, times, 4)


def respa_baoab_respa2(p: Respa, s: Any, q: Tensor, v: Tensor, times: Times, noise: Any) -> Pair:
    """Two inner steps of BAOAB (Lagardere, Aviat & Piquemal 2019)."""
    return impulses(p, s, q, v, times, 2, noise)


def respa_baoab_respa4(p: Respa, s: Any, q: Tensor, v: Tensor, times: Times, noise: Any) -> Pair:
    """Four inner steps of BAOAB (Lagardere, Aviat & Piquemal 2019)."""
    return impulses(p, s, q, v, times, 4, noise)


def respa_obabo_respa2(p: Respa, s: Any, q: Tensor, v: Tensor, times: Times, noise: Any) -> Pair:
    """Velocity Verlet with two inner steps between halves of the friction."""
    for t, h in steps(times):
        half = exp(-p.gamma * h / 2)
        v = half * v + sqrt(1 - half**2) * noise()
        q, v = impulses(p, s, q, v, (t, t + h), 2)
        v = half * v + sqrt(1 - half**2) * noise()
    return q, v
