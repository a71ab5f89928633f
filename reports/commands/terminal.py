"""Printing for both readers: a table on a terminal, plain tab-separated lines in a pipe, JSON on
demand.
"""

from __future__ import annotations

import codecs
import json
import re
import shutil
import sys
import textwrap
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import typer

from splitting_analysis.notation import read_float
from splitting_analysis.schemes import Denoise

Item = TypeVar("Item")
NARROW = 60
"""Columns of a terminal below which help is plain, each explanation below what it explains."""
READABLE = 11
"""Characters of a cell that stand in one line at least, if the cell has as many."""


def a_float(text: str | float) -> float:
    """What an option that is a number takes: 0.001, 1e-3 or 1/1000, spelled as everywhere here.

    A default, which comes here too, is a number already.
    """
    if not isinstance(text, str):
        return text
    try:
        return read_float(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def an_int(text: str | int) -> int:
    """What an option that counts takes: digits, and none of what Python alone reads (1_0); or its
    default.
    """
    if not isinstance(text, str):
        return text
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text.strip()):
        raise typer.BadParameter(f"{text[:40]!a} is not a whole number")
    return int(text)


def ending_of(denoise: bool | None, by: str | None) -> Denoise | None:
    """What --denoise and its value say together; None where neither is given.

    Raises ValueError for a value that there is not, and beside --no-denoise.
    """
    if by is None:
        return denoise
    if by.strip().lower() != "data":
        raise ValueError(
            f"--denoise {by[:40]}: --denoise alone for an Euler step, --denoise data for the data "
            "predicted, or --no-denoise"
        )
    if denoise is not None:
        other = "--denoise" if denoise else "--no-denoise"
        raise ValueError(f"--denoise data beside {other}: a run has one ending; give one of them")
    return "data"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A decorated table where a person looks at it; otherwise a header and rows separated by tabs.

    Cells too wide for the terminal are folded between words, never cut: what they say can be
    copied; numbers, names and headers stay whole. Where the columns would become too narrow to
    read, each row is a paragraph of "column: cell".
    """
    shown = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in (columns, *shown):
            print(*row, sep="\t")
        return
    width = shutil.get_terminal_size().columns
    padding = 1
    widths = _widths(columns, shown, width, padding)
    if widths is None:
        padding = 0
        widths = _widths(columns, shown, width, padding)
    if widths is None:
        for row in shown:
            print(f"{columns[0]}: {row[0]}")
            for name, cell in zip(columns[1:], row[1:], strict=True):
                line = textwrap.TextWrapper(width, "  ", "    ", break_on_hyphens=False)
                print(line.fill(f"{name}: {cell}"))
        return
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    heads = (Column(n, overflow="fold", width=w) for n, w in zip(columns, widths, strict=True))
    table = Table(*heads, title=title or None, padding=(0, padding))
    for row in shown:  # Text, because a word such as E[1/2] is not markup
        table.add_row(*map(Text, row))
    Console().print(table)


def _widths(
    columns: Sequence[str], rows: list[list[str]], width: int, padding: int
) -> list[int] | None:
    """The columns' widths on a terminal; None where what must stay whole is wider."""
    whole, wanted = [], []
    for i, name in enumerate(columns):
        cells = [row[i] for row in rows]
        parts = [part for cell in cells for part in cell.split()]
        # the first column are names; a word's piece may be as long as a line
        longest = [
            len(p) if _is_number(p) else min(len(p), READABLE * (2 - (i > 0))) for p in parts
        ]
        whole.append(max([len(name), *longest]))
        wanted.append(max(map(len, (name, *cells))))
    left = width - sum(whole) - (1 + 2 * padding) * len(columns) - 1  # its borders
    if left < 0:
        return None
    lacking = [want - have for want, have in zip(wanted, whole, strict=True)]
    for i in sorted(range(len(columns)), key=lambda i: lacking[i]):  # those that lack little first
        more = min(lacking[i], left // sum(1 for other in lacking if other >= lacking[i]))
        whole[i] += more
        left -= more
        lacking[i] = -1
    return whole


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


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
    """Say on standard error that work goes on, if it takes long: after `first` seconds, every
    `then`.

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


def narrow_help(formatter: Any) -> Any:
    """The help formatter given, for little room."""
    return _NarrowHelp(formatter)


class _NarrowHelp:
    """A help formatter for little room: a term on its own line, its explanation indented below.

    It stands in for the formatter that it is given, which collects what it writes.
    """

    def __init__(self, formatter: Any) -> None:
        self.formatter = formatter
        formatter.width = max(20, shutil.get_terminal_size().columns - 1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.formatter, name)

    def write_dl(self, rows: Iterable[tuple[str, str]], **_: Any) -> None:
        for term, meaning in rows:
            for text, indent in ((term, 2), (meaning, 6)):
                for line in textwrap.wrap(
                    text, self.formatter.width - indent, break_on_hyphens=False
                ):
                    self.formatter.write(" " * indent + line + "\n")


_ASCII = {
    "Γ": "Gamma",
    "ν": "nu",
    "μ": "mu",
    "Π": "Pi",
    "γ": "gamma",
    "β": "beta",
    "τ": "tau",
    "λ": "lambda",
    "φ": "phi",
    "κ": "kappa",
    "δ": "delta",
    "η": "eta",
    "σ": "sigma",
    "α": "alpha",
    "ρ": "rho",
    "Σ": "Sigma",
    "Φ": "Phi",
    "ε": "eps",
    "′": "'",
    "″": "'" * 2,
    "‴": "'" * 3,
    "√": "sqrt ",
    "∂": "d",
    "Δ": "Lap",
    "⊗": "(x)",
    "ᵀ": "^T",
    "−": "-",
    "·": "*",
    "×": "x",
    "→": "->",
    "–": "-",
    "—": "-",
    "≥": ">=",
    "≤": "<=",
    "≈": "~",
    "±": "+-",
    "…": "...",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "∞": "inf",
    "∇": "grad ",
}
_SUPER = "⁰¹²³⁴⁵⁶⁷⁸⁹"


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """An error handler for codecs: the letters that cannot be written, spelled out."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text, before = "", ""
    for char in error.object[error.start : error.end]:
        if char in _SUPER:
            text += ("" if before in _SUPER and before else "^") + str(_SUPER.index(char))
        else:
            plain = (
                unicodedata.normalize("NFKD", char)
                .replace("⁄", "/")
                .encode("ascii", "ignore")
                .decode()
            )
            text += _ASCII.get(char) or plain or char.encode("ascii", "backslashreplace").decode()
        before = char
    return text, error.end


def make_readable(*streams: Any) -> None:
    """Let the streams spell out what their encoding lacks (Γ as Gamma) rather than fail."""
    codecs.register_error("in_ascii", _in_ascii)
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="in_ascii")
