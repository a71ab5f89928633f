"""What a person sees of a command that takes long: how far it is, what is left, how it ends early."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import typer

SILENCE = 10.0
"""Seconds without a line in a pipe, at most."""

Shown = Callable[[float, float, str], None]
"""shown(done, total, what): `done` may count what is half done."""
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")


@contextmanager
def shown(before: str) -> Iterator[Shown]:
    """Progress on standard error: a bar for people; in a pipe a line per tenth, and one after SILENCE.

    In a pipe nothing half done makes a line before SILENCE is over.
    """
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(before)
        yield lambda done, total, what: bar.update(task, description=what, completed=done, total=total)


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
    """", about 3 min left", where so much was done in so many seconds; empty where nothing can be said."""
    if done <= 0 or left <= 0:
        return ""
    return f", about {spelled(seconds * left / done)} left"


def spelled(seconds: float) -> str:
    """A duration, to be read and not to be computed with."""
    for unit, length, next_length in (
        ("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800), ("days", 86_400, 63_115_200),
    ):  # fmt: skip
        if seconds < next_length:
            return f"{max(1, round(seconds / length))} {unit}"
    return f"{seconds / 31_557_600:.3g} years"


@contextmanager
def ends_with_a_sentence(kept: Callable[[], str], remedy: str) -> Iterator[None]:
    """Around the work of a command: whatever stops it is one message.

    Ctrl-C, SIGTERM and SIGHUP: what `kept` says, and exit status 128 + signal. Numbers that are not finite,
    memory that is not there (with the remedy), and what the system refuses: ValueError.
    """
    from gpu_samplers.interruptions import stoppable

    try:
        with stoppable():
            yield
    except KeyboardInterrupt as stopped:
        if said := kept():
            print(f"stopped; {said}", file=sys.stderr)
        raise typer.Exit(getattr(stopped, "status", 130)) from None
    except FloatingPointError as error:
        raise ValueError(str(error)) from None
    except OSError as error:
        raise ValueError(f"{error.filename or 'the system'}: {error.strerror or error}") from None
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or any(text in str(error).lower() for text in _NO_MEMORY):
            raise ValueError(f"the memory of this machine does not suffice; {remedy}") from None
        raise
