"""A signature cut at its score calls: what happens between two of them, relative to the first.

Segment k leads from the state at one call to that at the next (the last, to the result):

    next = linear @ state + sum of gains[j] @ free_j + noise

Two samplers are the same if their segments are; a defect shows in the segment in which it sits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analytic_models.probing.running import Array
from analytic_models.probing.signature import Signature

CLOSE, CLOSE_SINGLE = 1e-7, 3e-4
"""How far coefficients may differ, in parts of the largest of their segment."""


@dataclass(frozen=True)
class Segment:
    """linear (rows, n), gains (rows, scores, m), noise (rows, normals), for `rows` components."""

    linear: Array
    gains: Array
    noise: Array

    @property
    def covariance(self) -> Array:
        result: Array = self.noise @ self.noise.T
        return result


@dataclass(frozen=True)
class Difference:
    """A coefficient of a segment that is not the claimed one."""

    segment: int
    kind: str
    """linear, gain, noise, or correlation (noise that two segments share)."""
    row: int
    column: int
    score: int
    seen: float
    claimed: float


def segments(signature: Signature) -> list[Segment]:
    """The segments between distinct calls, the first from the start, the last to the result.

    Where a call shows part of the state only (langevin), segments start from the run's start.
    """
    states = [call.form for call in signature.distinct] + [signature.final]
    whole = all(len(form) == signature.n for form in states)
    before = np.eye(signature.n, states[-1].shape[1])
    found = []
    for form in states:
        start, _, _ = signature.split(before)
        now, _, _ = signature.split(form)
        if whole and np.linalg.cond(start) < 1e10:
            linear = now @ np.linalg.inv(start)
            rest = form - linear @ before
        else:
            linear, rest = now, form
        _, gains, noise = signature.split(rest)
        found.append(Segment(linear, gains, noise))
        if whole:
            before = form
    return found


def differences(seen: Signature, claimed: Signature) -> list[Difference]:
    """Where the two differ, over the segments that both have, in order."""
    close = CLOSE_SINGLE if seen.single else CLOSE
    ours, theirs = segments(seen), segments(claimed)
    found: list[Difference] = []
    count = min(len(ours), len(theirs))
    if len(ours) != len(theirs):  # then only the last of the longer is the result
        count -= 1
    for index in range(count):
        a, b = ours[index], theirs[index]
        if a.linear.shape != b.linear.shape:
            continue
        scores = min(a.gains.shape[1], b.gains.shape[1])
        size = max(
            np.max(np.abs(part), initial=0) for part in (b.linear, b.gains[:, :scores], a.gains)
        )
        size = max(size, 1e-3)
        for row, column in np.argwhere(np.abs(a.linear - b.linear) > close * size):
            values = float(a.linear[row, column]), float(b.linear[row, column])
            found.append(Difference(index, "linear", int(row), int(column), 0, *values))
        for row, score, column in np.argwhere(
            np.abs(a.gains[:, :scores] - b.gains[:, :scores]) > close * size
        ):
            values = float(a.gains[row, score, column]), float(b.gains[row, score, column])
            found.append(Difference(index, "gain", int(row), int(column), int(score), *values))
        found += _noise(index, a, b, close)
    if not found and count:
        found += _correlations(ours[:count], theirs[:count], close)
    return found


def _noise(index: int, a: Segment, b: Segment, close: float) -> list[Difference]:
    ours, theirs = a.covariance, b.covariance
    amounts = np.diag(theirs) + np.diag(ours)
    wrong = np.argwhere(
        np.triu(np.abs(ours - theirs) > 2 * close * np.sqrt(np.outer(amounts, amounts)) + 1e-14)
    )
    return [
        Difference(index, "noise", int(i), int(j), 0, float(ours[i, j]), float(theirs[i, j]))
        for i, j in wrong
    ]


def _correlations(
    ours: Sequence[Segment], theirs: Sequence[Segment], close: float
) -> list[Difference]:
    """Noise that one segment shares with a later one: drawn anew where it should be kept, or kept
    where it should be fresh. One for each later segment."""
    size = max(1e-12, *(float(np.max(np.abs(one.covariance), initial=0)) for one in ours))
    found = []
    for later in range(len(ours)):
        for earlier in range(later):
            a = ours[later].noise @ ours[earlier].noise.T
            b = theirs[later].noise @ theirs[earlier].noise.T
            wrong = np.argwhere(np.abs(a - b) > 2 * close * size)
            if len(wrong):
                i, j = map(int, wrong[0])
                values = float(a[i, j]), float(b[i, j])
                found.append(Difference(later, "correlation", i, j, earlier, *values))
                break
    return found


def same(seen: Signature, claimed: Signature) -> bool:
    """Whether the two are one sampler on this grid: calls, times and coefficients."""
    return same_times(seen, claimed) and not differences(seen, claimed)


def same_times(seen: Signature, claimed: Signature) -> bool:
    ours, theirs = seen.distinct, claimed.distinct
    close = 1e-6 if seen.single else 1e-9
    return len(ours) == len(theirs) and all(
        abs(a.tau - b.tau) <= close * (abs(b.tau) + 1e-3) for a, b in zip(ours, theirs, strict=True)
    )
