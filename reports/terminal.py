"""Printing for both readers: a table on a terminal, plain tab-separated lines in a pipe, JSON on demand."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
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
    print(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False))


def progress(items: Iterable[Item], total: int) -> Iterable[Item]:
    """`items` with a progress bar on a terminal (on standard error), unchanged in a pipe."""
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, total=total, description="", console=Console(stderr=True), transient=True)
