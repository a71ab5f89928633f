"""What a person sees of a command that takes long: how far it is and what is left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TypeVar

SILENCE = 10.0
"""Seconds without a line in a pipe, at most."""

Item = TypeVar("Item")
Shown = Callable[[float, float, str], None]
"""shown(done, total, what): `done` may count what is half done."""


@contextmanager
def shown(before: str) -> Iterator[Shown]:
    """Progress on standard error: a bar for people; in a pipe a line per tenth, and one after
    SILENCE.

    In a pipe nothing half done makes a line before SILENCE is over.
    """
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(before)
        yield lambda done, total, what: bar.update(
            task, description=what, completed=done, total=total
        )


def watched(items: Sequence[Item], what: str) -> Iterator[Item]:
    """The items one by one, with progress on standard error."""
    with shown(what) as show:
        for done, item in enumerate(items):
            show(done, len(items), f"{what}, {_named(item)}")
            yield item
        if items:
            show(len(items), len(items), what)


def unwatched(items: Sequence[Item], what: str) -> Iterator[Item]:  # noqa: ARG001 - as `watched`
    """The items one by one, without a word."""
    return iter(items)


def _named(item: object) -> str:
    """What an item is: the name of a scheme, the parts of a key."""
    if isinstance(item, tuple):
        return " ".join(map(_named, item))
    return str(getattr(item, "name", item))


def _lines() -> Shown:
    first: tuple[float, float] | None = None
    tenths, last = 0, monotonic()

    def line(done: float, total: float, what: str) -> None:
        nonlocal first, tenths, last
        now, begun = monotonic(), int(10 * done // total)
        first = first or (done, now)
        if (begun > tenths and done == int(done)) or now - last >= SILENCE:
            tenths, last = max(tenths, begun), now
            left = time_left(done - first[0], total - done, now - first[1])
            print(f"[{int(done)}/{int(total)}] {what}{left}", file=sys.stderr, flush=True)

    return line


def time_left(done: float, left: float, seconds: float) -> str:
    """ ", about 3 min left", where so much was done in so many seconds; empty where nothing can be
    said.
    """
    if done <= 0 or left <= 0:
        return ""
    return f", about {spelled(seconds * left / done)} left"


def spelled(seconds: float) -> str:
    """A duration, to be read and not to be computed with."""
    for unit, length, next_length in (
        ("s", 1, 120),
        ("min", 60, 7200),
        ("h", 3600, 172_800),
        ("days", 86_400, 63_115_200),
    ):
        if seconds < next_length:
            return f"{max(1, round(seconds / length))} {unit}"
    return f"{seconds / 31_557_600:.3g} years"
