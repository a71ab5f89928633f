"""How code behaves as code: its inputs left alone, runs alike, rows apart, memory filled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from analytic_models.probing.checks import Check
from analytic_models.probing.law import TARGET, affine_score
from analytic_models.probing.running import Array, Run, Trouble, run
from analytic_models.probing.signature import sizes
from analytic_models.probing.subject import Subject
from splitting_analysis.processes import Process

ROWS = 5
LARGE = 1000
"""Rows of the largest batch that is tried: beyond any size at which code may cut one in pieces."""
ALIKE = 1e-12
ALIKE_SINGLE = 1e-5
FADES = 0.2
"""At most this part of a difference is left some runs later, where it is history that fades."""


@dataclass(frozen=True)
class Manners:
    """What was found, and what later checks need to know of it."""

    checks: tuple[Check, ...]
    first: Run
    own_noise: bool
    """Whether it draws random numbers that are not from `noise`."""
    leaks: bool = False
    """Whether a run changes those after it: then no comparison of runs shows anything else."""

    @property
    def repeats(self) -> bool:
        """Whether two runs with the same normals agree."""
        return not self.own_noise and not self.leaks


def ordinary_run(
    subject: Subject,
    process: Process,
    times: Sequence[float],
    rows: Sequence[int] = range(ROWS),
    *,
    fill: float = 0.0,
    nudge: float = 0.0,
    form: Callable[[Any], Any] | None = None,
) -> Run:
    """A run on a Gaussian target, row i always with the same start and normals.

    What `empty` allocates holds `fill`: otherwise two runs differ by what memory held before.
    `nudge` is the part of themselves by which start and normals are moved, each another way;
    `form` is what the code is given (see `run`).
    """
    n, asked, m = sizes(process)
    d = len(TARGET.variances)
    picked = list(rows)

    def normals(number: int) -> Array:
        return moved(np.random.default_rng((3, number)).normal(size=(ROWS, n * d)))[picked]

    def moved(values: Array) -> Array:
        return values * (1 + nudge * np.cos(np.arange(values.size)).reshape(values.shape))

    def score(_: int, y: Array, tau: float) -> Array:
        return affine_score(process, TARGET, y.reshape(len(picked), asked, d), tau).reshape(
            -1, m * d
        )

    scale = np.repeat(np.sqrt([float(v) for v in process.stationary]), d)
    z = moved(np.random.default_rng(2).normal(size=(ROWS, n * d)))[picked] * scale
    return run(subject, process, times, z, score, normals, fill=fill, form=form)


def manners(subject: Subject, process: Process, times: Sequence[float]) -> Manners:
    """Raises Trouble where the code does not run at all."""
    first = ordinary_run(subject, process, times)
    again = ordinary_run(subject, process, times)
    checks = [
        Check(
            "it runs: finite states of the right shape",
            "pass",
            seen=f"{len(first.taus)} score calls and {first.draws} draws in {len(times) - 1} steps",
        ),
        _unchanged(first),
    ]
    close = _close(first)
    own_noise = leaks = False
    if _apart(first, again) <= close:
        checks.append(Check("two runs with the same normals agree", "pass"))
    else:
        rerun, own_noise = _rerun(subject, process, times, [first, again], close)
        checks.append(rerun)
        leaks = rerun.verdict == "fail"
    if not own_noise and not leaks:  # else a comparison of runs says nothing of what it looks for
        if subject.kind == "sample" and subject.grid is None:
            checks.append(_grid(subject, process, times, first))
        checks += [_rows(subject, process, times, first), _filled(subject, process, times, first)]
    return Manners(tuple(checks), first, own_noise, leaks)


def _unchanged(first: Run) -> Check:
    name = "its inputs are left as they are"
    if not first.mutated:
        return Check(name, "pass")
    return Check(name, "fail", "a result in memory of its own", first.mutated, first.mutated)


def _rerun(
    subject: Subject, process: Process, times: Sequence[float], runs: list[Run], close: float
) -> tuple[Check, bool]:
    """Why runs alike differ, and whether by random numbers: those come anew in every run, and the
    influence of what an earlier run left behind dies out.
    """
    name = "two runs with the same normals agree"
    runs = [*runs, *(ordinary_run(subject, process, times) for _ in range(4))]
    gaps = [_apart(a, b) for a, b in pairwise(runs)]
    if gaps[-1] <= close or max(gaps[-2:]) < FADES * gaps[0]:
        text = (
            f"apart by {gaps[0]:.3g}, and later runs by {gaps[1]:.2g} and {gaps[2]:.2g}: history "
            "of the first run leaks into those after it"
        )
        return Check(name, "fail", "the second run as the first", text, "what is kept"), False
    pair = []
    for _ in range(2):
        seed_all(8)
        pair.append(ordinary_run(subject, process, times))
    if _apart(*pair) <= close:
        text = "only once the global generators are seeded: it draws numbers of its own"
        return Check(name, "pass", seen=text), True
    text = "it draws numbers of its own that no seed repeats: its law is judged from samples"
    return Check(name, "pass", seen=text), True


def _grid(subject: Subject, process: Process, times: Sequence[float], first: Run) -> Check:
    """Another grid must lead to other times: one that ends earlier."""
    name = "it runs over the grid that it is given"
    start, end = times[0], times[-1]
    other = [start + (t - start) * 0.8 for t in times]
    try:
        again = ordinary_run(subject, process, other)
    except Trouble as trouble:
        return Check(name, "fail", "a run over any grid", trouble.seen, trouble.where)
    same = first.taus == again.taus if any(first.taus) else np.array_equal(first.final, again.final)
    if first.taus and same:
        shown = ", ".join(f"{tau:.4g}" for tau in first.taus[:3])
        return Check(
            name,
            "fail",
            "score calls at times of the grid",
            f"the same times, tau = {shown}, ..., for a grid to t = {end:.4g} and one to "
            f"t = {other[-1]:.4g}",
            "the grid is ignored",
        )
    return Check(name, "pass")


def seed_all(seed: int) -> None:
    """Seed the global generators that code may draw from."""
    import random  # noqa: PLC0415 - only here
    import sys  # noqa: PLC0415

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - foreign code may use it
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _rows(subject: Subject, process: Process, times: Sequence[float], first: Run) -> Check:
    name = "each row of a batch is what it is alone"
    close = _close(first)
    try:
        few = [_off(subject, process, times, rows, first) for rows in ([1], [2, 0])]
        worst = max(float(np.max(off)) for off in few)
        if worst <= close:
            large = _off(subject, process, times, [i % ROWS for i in range(LARGE)], first)
            return Check(name, "pass") if np.max(large) <= close else _large(name, large, close)
    except Trouble as trouble:
        return Check(name, "fail", "a run of any batch size", trouble.seen, trouble.where)
    if (apart := _alike_rows(subject, process, times)) > _close(first):
        return Check(
            name,
            "fail",
            "the same result for rows that are the same, their normals, too",
            f"apart by {apart:.3g}, and so in every run: a row's result depends on its place in "
            "the batch",
            "a seed inside, or something that goes by row number",
        )
    return Check(
        name,
        "fail",
        "the same row from a batch of 5, 2 and 1",
        f"apart by {worst:.3g}: a sample depends on those beside it",
        "what mixes rows: a mean, a norm or a maximum over the whole batch",
    )


def _off(
    subject: Subject, process: Process, times: Sequence[float], rows: Sequence[int], first: Run
) -> Array:
    """How far each of these rows, in a batch of their own, is from what it was in the first run."""
    part = ordinary_run(subject, process, times, rows).final
    result: Array = np.max(np.abs(part - first.final[list(rows)]) / (1 + np.abs(part)), axis=1)
    return result


def _large(name: str, off: Array, close: float) -> Check:
    """Only a large batch shows it: which of its rows do."""
    wrong = np.flatnonzero(off > close)
    which = "all of them" if len(wrong) == LARGE else f"{len(wrong)} of them, from {wrong[0] + 1}"
    return Check(
        name,
        "fail",
        f"the same rows from a batch of {LARGE} as from one of {ROWS}",
        f"apart by {off.max():.3g}: {which}",
        "what goes by the size of the batch, or by pieces that it is cut into",
    )


def _alike_rows(subject: Subject, process: Process, times: Sequence[float]) -> float:
    """How far rows come apart that start alike and are given the same normals."""
    try:
        final = ordinary_run(subject, process, times, [0] * ROWS).final
    except Trouble:
        return 0.0
    return float(np.max(np.ptp(final, axis=0) / (1 + np.abs(final[0]))))


def _filled(subject: Subject, process: Process, times: Sequence[float], first: Run) -> Check:
    name = "memory is filled before it is read"
    place = "an array from empty() or empty_like()"
    try:
        other = ordinary_run(subject, process, times, fill=float("nan"))
    except Trouble as trouble:
        text = f"{trouble.seen} once unfilled memory holds NaN"
        return Check(name, "fail", "no use of what was never written", text, trouble.where or place)
    if _apart(first, other) <= _close(first):
        return Check(name, "pass")
    text = "another result once unfilled memory holds NaN"
    return Check(name, "fail", "no use of what was never written", text, place)


def _close(first: Run) -> float:
    return ALIKE_SINGLE if first.single else ALIKE


def _apart(a: Run, b: Run) -> float:
    return float(np.max(np.abs(a.final - b.final) / (1 + np.abs(a.final))))
