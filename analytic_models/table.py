"""Rows of numbers for people: they print, display in a notebook, plot, and become a data frame."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True, repr=False)
class Table:
    """Rows with the keys that JSON has, the columns of them that are shown, and a note on what they
    are.

    `axes` are the columns that `plot` shows unless others are asked for. `settings` say of each row
    what its sampler was told beside its name, in a column of their own if there is anything to say.
    """

    rows: tuple[Row, ...]
    columns: tuple[str, ...]
    note: str = ""
    axes: tuple[str, str] = ("nfe", "w2_x")
    settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(self.settings):
            first, *others = self.columns
            object.__setattr__(self, "columns", (first, SETTINGS, *others))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> Row:
        return self.rows[index]

    def cells(self) -> list[list[str]]:
        """The shown columns as text, row by row."""
        told = self.settings or ("",) * len(self.rows)
        return [
            [said if column == SETTINGS else cell(row, column) for column in self.columns]
            for row, said in zip(self.rows, told, strict=True)
        ]

    @property
    def labels(self) -> list[str]:
        """What tells the samplers of the rows apart: name and settings."""
        names = [str(row["scheme"]) for row in self.rows]
        told = self.settings or ("",) * len(names)
        return [f"{name} {said}".strip() for name, said in zip(names, told, strict=True)]

    def __str__(self) -> str:
        lines = [list(self.columns), *self.cells()]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        text = [
            "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        return "\n".join([*text, self.note] if self.note else text)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def line(tag: str, cells: Sequence[str]) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(c)}</{tag}>" for c in cells) + "</tr>"

        body = "".join(line("td", cells) for cells in self.cells())
        note = f"<caption>{escape(self.note)}</caption>" if self.note else ""
        return (
            f"<table>{note}<thead>{line('th', self.columns)}</thead><tbody>{body}</tbody></table>"
        )

    def to_pandas(self) -> Any:
        """A pandas data frame of the rows. Raises ValueError where pandas is not installed."""
        try:
            import pandas as pd  # type: ignore[import-untyped, unused-ignore]
        except ModuleNotFoundError:
            raise ValueError("pandas is not installed: pip install pandas") from None
        return pd.DataFrame(list(self.rows))

    def plot(self, y: str | None = None, x: str | None = None) -> Any:
        """`y` against `x` on logarithmic axes, a line per sampler; returns the Matplotlib axes.

        Raises ValueError for a column that there is not, or that holds no numbers.
        """
        from matplotlib import pyplot as plt

        x, y = x or self.axes[0], y or self.axes[1]
        for name in (x, y):
            known = [key for key, value in self.rows[0].items() if isinstance(value, int | float)]
            if name not in known:
                raise ValueError(f"no column of numbers {name!r}; there are: {', '.join(known)}")
        axes = plt.figure(figsize=(6, 4)).add_subplot()
        labels = self.labels
        for label in dict.fromkeys(labels):
            points = sorted(
                (row[x], row[y])
                for row, own in zip(self.rows, labels, strict=True)
                if own == label and row.get("unstable") is None and row[y] is not None
            )
            axes.loglog(*zip(*points, strict=True), marker="o", label=label) if points else None
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.legend()
        return axes


def cell(row: Row, column: str) -> str:
    """A cell for a person: an error of a run that blew up is no number."""
    cause = row.get("unstable")
    if cause and (column == "w2" or (column in ERRORS and cause["components"][0] in ("x", "q"))):
        return "unstable"
    value = row[column]
    if value is None:
        return "-"
    if isinstance(value, Formula):
        return value.shown
    return f"{value:.4g}" if isinstance(value, float) else str(value)


SETTINGS = "settings"
ERRORS = ("w2_x", "w2", "kl_x", "worst_mode_x")
"""Columns that are no numbers where a run blew up; w2 alone where only the momentum did."""


class Formula(str):
    """A formula as Python spells it, which is how rows hold it; a table shows it as people write:
    x**3*tanh(x/4)**3 is x³ tanh³(x/4).
    """

    __slots__ = ()

    @property
    def shown(self) -> str:
        text = re.sub(r"\bphi\b", "φ", self)  # before it has a power, which is a letter to \b
        text = re.sub(r"\btanh(\([^()]*\))\*\*(\d+)", lambda m: f"tanh{_raised(m[2])}{m[1]}", text)
        text = re.sub(r"\*\*(\d+)", lambda m: _raised(m[1]), text)
        return text.replace("*", " ").replace("-", "−")


def _raised(digits: str) -> str:
    return digits.translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
