"""Steps at which kicks resonate: unstable windows that a scan of steps steps over.

Where the slow kick comes in half a period of the fast force, a pair of eigenvalues meets at -1 and
leaves the unit circle along the real axis, to come back a little later. The window is as narrow as
the slow force is weak beside the fast one, or as several kicks of one force are alike; Jury's
condition has a maximum in it, which is looked for between the points of a scan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEAST = 1e-12
"""By how much Jury's condition must fail at a maximum: round-off is below it."""
_GOLDEN = (5**0.5 - 1) / 2


def real_excess(matrix: Array) -> Array:
    """By how much det(1 -+ M) is below 0, (...), for maps (..., k, k): above 0 an odd number of
    eigenvalues is beyond +1, or beyond -1. Of two eigenvalues it is |trace| - 1 - det.
    """
    one = np.eye(matrix.shape[-1])
    return np.asarray(-np.minimum(np.linalg.det(one - matrix), np.linalg.det(one + matrix)))


def first_window(matrix: Callable[[Any], Array], scan: Array) -> tuple[float, float] | None:
    """The first unstable window (low, high) at the steps of `scan` or between, or None.

    `matrix` gives the maps (n, k, k) of one mode at steps (n,). A window that begins beyond the
    last step is none; one that does not end before it ends there.
    """

    def excess(h: Any) -> Array:
        return real_excess(matrix(np.atleast_1d(np.asarray(h, dtype=np.float64))))

    found = excess(scan)
    inside = np.arange(1, len(scan) - 1)
    peaks = inside[(found[inside] >= found[inside - 1]) & (found[inside] >= found[inside + 1])]
    low, high = scan[peaks - 1], scan[peaks + 1]
    for _ in range(60 if len(peaks) else 0):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        up = excess(left) < excess(right)
        low, high = np.where(up, left, low), np.where(up, high, right)
    tops = (low + high) / 2
    points = np.sort(np.concatenate([scan, tops]))
    beyond = excess(points) > LEAST
    if not beyond.any():
        return None
    first = int(np.argmax(beyond))
    last = first + int(np.argmin(np.append(beyond[first:], False)))
    ends = [(first - 1, first)] + [(last, last - 1)] * (last < len(points))
    edges = []
    for calm, wild in ends:
        stable, unstable = float(points[calm]), float(points[wild])
        for _ in range(60):
            middle = (stable + unstable) / 2
            if excess(middle)[0] > LEAST:
                unstable = middle
            else:
                stable = middle
        edges.append(stable)
    return edges[0], edges[1] if len(edges) > 1 else float(scan[-1])
