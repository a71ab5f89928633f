"""Rank correlations with honest p-values for few samplers: all permutations where that is
possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from math import factorial

import numpy as np
from scipy.stats import rankdata

RESAMPLES = 20_000


@dataclass(frozen=True)
class Rank:
    """Spearman's rho of n pairs and its two-sided p-value; rho is nan where one side is constant or
    n < 3.
    """

    rho: float
    p: float
    n: int


def spearman(x: Sequence[float | None], y: Sequence[float | None]) -> Rank:
    """Spearman's rank correlation over the pairs that have both numbers.

    p is the share of the orders of y whose |rho| is at least as large: all n! of them up to n = 7,
    else RESAMPLES random ones and the one observed. Infinite numbers (a sampler that diverged) rank
    last.
    """
    if len(x) != len(y):
        raise ValueError(f"{len(x)} numbers on one side and {len(y)} on the other are no pairs")
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if a is not None and b is not None]
    n = len(pairs)
    if n < 3:
        return Rank(float("nan"), float("nan"), n)
    a, b = (_centred(np.array(side, dtype=np.float64)) for side in zip(*pairs, strict=True))
    if not (a.any() and b.any()):
        return Rank(float("nan"), float("nan"), n)
    rho = float(a @ b)
    if factorial(n) <= RESAMPLES:
        orders = b[np.array(list(permutations(range(n))))]
        p = float(np.mean(np.abs(orders @ a) >= abs(rho) - 1e-12))
    else:
        orders = np.random.default_rng(0).permuted(np.tile(b, (RESAMPLES, 1)), axis=1)
        p = (1 + float(np.sum(np.abs(orders @ a) >= abs(rho) - 1e-12))) / (1 + RESAMPLES)
    return Rank(rho, p, n)


def _centred(
    values: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Ranks, centred and of norm 1; zeros where all are equal."""
    ranks = rankdata(values)
    ranks = ranks - ranks.mean()
    norm = float(np.linalg.norm(ranks))
    return ranks / norm if norm > 0 else ranks
