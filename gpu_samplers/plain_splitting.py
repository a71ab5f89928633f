"""Splittings of position-only processes written out, with alpha_t and sigma_t (plain_position.py).

VP's are in plain.py, with beta. In reverse time dx = -(alpha'/alpha) x + k g^2 s / 2, with k = 1
for the flow and 2 for the SDE, whose noise is g dW.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np

from gpu_samplers.plain_position import Tensor, Times, times_of

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(100)


def strength(p: Any, t: float) -> float:
    """g^2 = (sigma^2)' - 2 (alpha'/alpha) sigma^2."""
    slope, growth = p.rates(t)
    sigma = p.sigma(t)
    return float(2 * sigma * growth - 2 * slope / p.alpha(t) * sigma**2)


def forgotten(p: Any, x: Tensor, s: float, t: float, noise: Any) -> Tensor:
    """From s to t the forward process at these times: it shrinks the state, and adds its noise."""
    taus = (s + t) / 2 + (s - t) / 2 * _NODES
    shrinks = [float((p.alpha(tau) / p.alpha(t)) ** 2) for tau in taus]
    spread = sum(
        w * (s - t) / 2 * q * strength(p, tau)
        for w, q, tau in zip(_WEIGHTS, shrinks, taus, strict=True)
    )
    moved: Tensor = p.alpha(s) / p.alpha(t) * x + sqrt(spread) * noise()
    return moved


def flow_strang_euler(p: Any, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """Strang splitting of the probability flow (Liu, Gu & Liu 2026), the score's part by Euler."""
    for s, t in times_of(p, times):
        middle = (s + t) / 2
        x = p.alpha(middle) / p.alpha(s) * x
        x = x + (s - t) * strength(p, s) / 2 * score(x, middle)
        x = p.alpha(t) / p.alpha(middle) * x
    return x


def flow_strang(p: Any, score: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """Strang splitting of the probability flow (Liu, Gu & Liu 2026): half of the linear flow, the
    score's part by the explicit midpoint rule at the middle time, the other half.
    """
    for s, t in times_of(p, times):
        middle = (s + t) / 2
        half = strength(p, middle) / 2
        x = p.alpha(middle) / p.alpha(s) * x
        k1 = half * score(x, middle)
        x = x + (s - t) * half * score(x + (s - t) / 2 * k1, middle)
        x = p.alpha(t) / p.alpha(middle) * x
    return x


def kick(p: Any, score: Any, x: Tensor, t: float) -> Tensor:
    """What the SDE's drift has beside the forward process's own."""
    slope, _ = p.rates(t)
    moved: Tensor = strength(p, t) * score(x, t) - 2 * slope / p.alpha(t) * x
    return moved


def sscs(p: Any, score: Any, x: Tensor, times: Times, noise: Any) -> Tensor:
    """SSCS without a momentum: half of the forward process, the kick, the other half."""
    for s, t in times_of(p, times):
        middle = (s + t) / 2
        x = forgotten(p, x, s, middle, noise)
        x = x + (s - t) * kick(p, score, x, s)
        x = forgotten(p, x, middle, t, noise)
    return x


def sscs2(p: Any, score: Any, x: Tensor, times: Times, noise: Any) -> Tensor:
    """The same with the kick by the midpoint rule."""
    for s, t in times_of(p, times):
        middle = (s + t) / 2
        x = forgotten(p, x, s, middle, noise)
        half = x + (s - t) / 2 * kick(p, score, x, s)
        x = x + (s - t) * kick(p, score, half, middle)
        x = forgotten(p, x, middle, t, noise)
    return x


SAMPLERS: dict[str, Callable[..., Tensor]] = {
    function.__name__: function for function in (flow_strang_euler, flow_strang, sscs, sscs2)
}
"""By the catalogue's name, as in plain_position.py."""
