"""A page as data: what every renderer (HTML, JSON, LaTeX, Markdown) shows, and how numbers print.

Text may hold `code`, **bold**, *emphasis*, a_{b}, a^{b} and [text](page.html#anchor), nothing else.
A number is printed once, by `printed`, and every renderer shows that string: HTML and JSON cannot
disagree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any


@dataclass(frozen=True)
class Formula:
    """One formula in the three spellings of splitting_analysis.styles, with a text label before
    it.
    """

    latex: str
    mathml: str
    text: str
    label: str = ""


Inline = str | Formula
Cell = str | int | float | None | Formula


@dataclass(frozen=True)
class Heading:
    text: str
    anchor: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Running text; formulas stand inline between the strings."""

    parts: tuple[Inline, ...]


@dataclass(frozen=True)
class Formulas:
    """Labelled formulas under a title; `folded` ones open on a click (and in print)."""

    key: str
    title: str
    items: tuple[Formula, ...]
    folded: bool = False


@dataclass(frozen=True)
class Column:
    """`digits` says how numbers print: "3g" three significant, "2f" two decimals, "d" an
    integer.
    """

    key: str
    title: str
    unit: str = ""
    digits: str = "3g"
    smallest: bool = False
    """Whether the smallest number of the column is set in bold."""


@dataclass(frozen=True)
class Table:
    """Rows of cells, one per column. `source` says where the numbers come from.

    A table with `compared` False (software versions) may differ from machine to machine; a `folded`
    one opens on a click (and in print).
    """

    key: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    source: str = ""
    compared: bool = True
    folded: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"table {self.key}: {len(row)} cells in a row of {len(self.columns)} columns"
                )

    def shown(self, row: int, column: int) -> str:
        """A cell as printed (the text spelling, for a formula)."""
        cell = self.rows[row][column]
        return (
            cell.text if isinstance(cell, Formula) else printed(cell, self.columns[column].digits)
        )

    def boldest(self) -> set[tuple[int, int]]:
        """Cells (row, column) that hold the smallest number of a column that asks for it."""
        found = set()
        for j, column in enumerate(self.columns):
            if column.smallest:
                values = [plain(row[j], column.digits) for row in self.rows]
                numbers = [v for v in values if isinstance(v, int | float)]
                found |= {(i, j) for i, v in enumerate(values) if numbers and v == min(numbers)}
        return found


@dataclass(frozen=True)
class Line:
    """One curve: points are drawn where both numbers are finite.

    A label that names a sampler gives the curve that sampler's colour, marker and line. `style` is
    "", "points" or "reference": grey and dotted, its label beside it and not in the legend.
    """

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    style: str = ""


@dataclass(frozen=True)
class Mark:
    """A horizontal reference level, with the name that stands beside it."""

    level: float
    label: str


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    lines: tuple[Line, ...]
    x_title: str
    y_title: str
    x_scale: str = "log"
    y_scale: str = "log"
    marks: tuple[Mark, ...] = ()
    pixels: tuple[bytes, ...] = ()
    """Rows of grey levels, 0 to 255: a picture in place of axes."""


@dataclass(frozen=True)
class Figure:
    """Panels side by side with one legend; drawn from the same rounded data that JSON holds."""

    key: str
    caption: str
    panels: tuple[Panel, ...]
    source: str = ""


@dataclass(frozen=True)
class Code:
    """Code as it is typed, and what it prints."""

    source: str
    output: str = ""


Block = Heading | Paragraph | Formulas | Table | Figure | Code


@dataclass(frozen=True)
class Page:
    """`lead` is the sentence that says what the page shows and finds; it is derived, not typed."""

    slug: str
    title: str
    lead: str
    blocks: tuple[Block, ...] = field(default=())

    def find(self, key: str) -> Any:
        """The table, figure or formulas with this key. Raises KeyError naming the page."""
        for block in self.blocks:
            if getattr(block, "key", None) == key:
                return block
        raise KeyError(f"page {self.slug} has no block {key!r}")


def text(*parts: Inline) -> Paragraph:
    return Paragraph(parts)


FIGURE_DIGITS = "4g"
_NOISE = 12
"""Digits kept before rounding to those printed: a tie rounds the same way on every machine."""


def with_error(value: float, error: float, digits: str = "3g") -> str:
    """A number beside its standard error: "4.52 ± 1"."""
    return f"{printed(value, digits)} ± {printed(error, '1g')}"


def printed(cell: Cell, digits: str = "3g") -> str:
    """A cell as text: "0.120", "1.23e-05", "∞", "–" for None. Raises ValueError for a bad
    format.
    """
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Formula):
        return cell.text
    value = float(cell)
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if digits == "d":
        return str(round(value))
    number, kind = digits[:-1], digits[-1]
    if kind not in "gf" or not number.isdigit():
        raise ValueError(f"number format {digits!r}: 3g, 2f or d")
    clean = Decimal(f"{value:.{_NOISE - 1}e}")
    return _fixed(clean, int(number)) if kind == "f" else _significant(clean, int(number))


def _fixed(value: Decimal, decimals: int) -> str:
    rounded = value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)
    return f"{abs(rounded) if rounded == 0 else rounded:f}".replace("-", "−")


def _significant(value: Decimal, figures: int) -> str:
    if value == 0:
        return "0"
    exponent = value.adjusted()
    rounded = value.quantize(Decimal(1).scaleb(exponent - figures + 1), ROUND_HALF_EVEN)
    exponent = rounded.adjusted()
    if -4 < exponent < max(figures, 5):
        decimals = max(figures - 1 - exponent, 0)
        return f"{rounded:.{decimals}f}".replace("-", "−")
    return f"{rounded:.{figures - 1}e}".replace("-", "−").replace("e+", "e")


def plain(cell: Cell, digits: str = "3g") -> Any:
    """A cell as JSON holds it: the number that was printed, a string, or None."""
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, Formula):
        return {"text": cell.text, "latex": cell.latex}
    shown = printed(cell, digits).replace("−", "-")
    if digits == "d" and shown.lstrip("-").isdigit():
        return int(shown)
    try:
        value = float(shown)
    except ValueError:
        return shown
    return value if math.isfinite(value) else shown


def rounded(line: Line) -> Line:
    """A curve at the digits that JSON holds; what cannot be drawn becomes nan."""

    def clean(values: Sequence[float]) -> tuple[float, ...]:
        numbers = [plain(float(v), FIGURE_DIGITS) for v in values]
        return tuple(v if isinstance(v, float) else math.nan for v in numbers)

    return replace(line, x=clean(line.x), y=clean(line.y))


def tables(page: Page) -> Iterator[Table]:
    yield from (block for block in page.blocks if isinstance(block, Table))


def to_json(page: Page) -> dict[str, Any]:
    """The page as plain data, numbers at their printed digits."""
    return {
        "page": page.slug,
        "title": page.title,
        "lead": page.lead,
        "blocks": [_block_json(block) for block in page.blocks],
    }


def _formula_json(formula: Formula) -> dict[str, str]:
    return {"label": formula.label, "text": formula.text, "latex": formula.latex}


def _block_json(block: Block) -> dict[str, Any]:
    match block:
        case Heading():
            return {"heading": block.text, "anchor": block.anchor}
        case Paragraph():
            return {
                "paragraph": [
                    _formula_json(p) if isinstance(p, Formula) else p for p in block.parts
                ]
            }
        case Code():
            return {"code": block.source.split("\n"), "output": block.output.split("\n")}
        case Formulas():
            return {
                "formulas": block.key,
                "title": block.title,
                "items": [_formula_json(formula) for formula in block.items],
            }
        case Table():
            keys = [column.key for column in block.columns]
            return {
                "table": block.key,
                "caption": block.caption,
                "source": block.source,
                "compared": block.compared,
                "columns": {c.key: {"title": c.title, "unit": c.unit} for c in block.columns},
                "rows": [
                    {
                        key: plain(cell, column.digits)
                        for key, cell, column in zip(keys, row, block.columns, strict=True)
                    }
                    for row in block.rows
                ],
            }
        case Figure():
            return {
                "figure": block.key,
                "caption": block.caption,
                "source": block.source,
                "panels": [_panel_json(panel) for panel in block.panels],
            }


def _mark_json(mark: Mark) -> dict[str, Any]:
    return {"label": mark.label, "level": plain(mark.level, FIGURE_DIGITS)}


def _panel_json(panel: Panel) -> dict[str, Any]:
    def numbers(values: Sequence[float]) -> list[float | None]:
        return [v if math.isfinite(v) else None for v in values]

    lines = [rounded(line) for line in panel.lines]
    return {
        "title": panel.title,
        "x": panel.x_title,
        "y": panel.y_title,
        "lines": [{"label": e.label, "x": numbers(e.x), "y": numbers(e.y)} for e in lines],
        **({"marks": [_mark_json(mark) for mark in panel.marks]} if panel.marks else {}),
        **({"pixels": [row.hex() for row in panel.pixels]} if panel.pixels else {}),
    }
