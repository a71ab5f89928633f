"""Printing for both readers: a table on a terminal, plain tab-separated lines in a pipe, JSON on demand."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A decorated table where a person looks at it; otherwise a header and rows separated by tabs.

    Cells too wide for the terminal are folded, never cut: what they say can be copied.
    """
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            print(*("" if cell is None else cell for cell in row), sep="\t")
        return
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(*(Column(name, overflow="fold") for name in columns), title=title or None)
    for row in rows:  # Text, because a word such as E[1/2] is not markup
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    Console().print(table)


def print_json(data: Any) -> None:
    """`data` as JSON that other programs can read; NaN and infinity are errors."""
    print(json_text(data))


def json_text(data: Any) -> str:
    """`data` as JSON; other letters than ASCII are escaped if standard output cannot show them."""
    escaped = not (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
    return json.dumps(data, indent=1, ensure_ascii=escaped, allow_nan=False)


def progress(items: Iterable[Item], total: int) -> Iterable[Item]:
    """`items` with a progress bar on a terminal (on standard error), unchanged in a pipe."""
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, total=total, description="", console=Console(stderr=True), transient=True)


@contextmanager
def heard(first: float = 5, then: float = 20) -> Iterator[Callable[[str], None]]:
    """Say on standard error that work goes on, if it takes long: after `first` seconds, every `then`.

    Call what is yielded with what is being done now.
    """
    now, over, start = ["working"], threading.Event(), time.monotonic()

    def speak() -> None:
        wait = first
        while not over.wait(wait):
            print(f"{now[0]} ({time.monotonic() - start:.0f} s)", file=sys.stderr, flush=True)
            wait = then

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    try:
        yield lambda doing: now.__setitem__(0, doing)
    finally:
        over.set()
        thread.join()
