"""A page as Markdown with pictures, so that it reads in a repository browser."""

from __future__ import annotations

import re

from reports.render.document import Code, Figure, Formula, Formulas, Heading, Page, Paragraph, Table
from reports.render.figures import draw

PICTURES = "pictures"


def render(page: Page) -> str:
    """The page as one Markdown file; its figures are expected under `pictures/<key>.svg`."""
    parts = [f"# {page.title}", _links(page.lead)]
    for block in page.blocks:
        match block:
            case Heading():
                parts.append(f"{'#' * block.level} {_links(block.text)}")
            case Paragraph():
                shown = (
                    f"`{p.text}`" if isinstance(p, Formula) else _links(p) for p in block.parts
                )
                parts.append("".join(shown))
            case Formulas():
                parts.append(block.title)
                parts += [f"    {formula.label}: {formula.text}" for formula in block.items]
            case Table():
                parts += [_table(block), _caption(block.caption, block.source)]
            case Code():
                lines = [
                    *block.source.split("\n"),
                    *(block.output.split("\n") if block.output else []),
                ]
                parts.append("\n".join(f"    {line}" for line in lines))
            case Figure():
                alt = re.sub(r"[*`\[\]]", "", block.caption.split(". ")[0])
                parts += [
                    f"![{alt}]({PICTURES}/{block.key}.svg)",
                    _caption(block.caption, block.source),
                ]
    return "\n\n".join(parts) + "\n"


def pictures(page: Page) -> dict[str, str]:
    """The page's figures by file name, on a white ground."""
    return {
        f"{PICTURES}/{block.key}.svg": draw(block, "white") + "\n"
        for block in page.blocks
        if isinstance(block, Figure)
    }


def _links(text: str) -> str:
    """Small print as HTML tags; links to other pages, which a repository browser cannot show, as
    text.
    """
    text = re.sub(r"_\{([^}]+)\}", r"<sub>\1</sub>", text)
    text = re.sub(r"\^\{([^}]+)\}", r"<sup>\1</sup>", text)
    return re.sub(r"\[([^\]]+)\]\(([a-z-]+)\.html[^)]*\)", r"\1 (`\2.html`)", text)


def _cell(table: Table, i: int, j: int) -> str:
    shown = table.shown(i, j)
    if isinstance(table.rows[i][j], Formula):
        return f"`{shown}`"
    return _links(re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", shown))


def _caption(caption: str, source: str) -> str:
    return f"<sub>{_links(caption)}{' Source: ' + _links(source) if source else ''}</sub>"


def _table(table: Table) -> str:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    bold = table.boldest()
    heads = [_links(c.title) + (f" ({c.unit})" if c.unit else "") for c in table.columns]
    rules = [
        "---:" if any(isinstance(row[j], int | float) for row in table.rows) else "---"
        for j in range(len(heads))
    ]
    body = []
    for i, row in enumerate(table.rows):
        shown = [_cell(table, i, j) for j in range(len(row))]
        body.append(
            line([f"**{cell}**" if (i, j) in bold else cell for j, cell in enumerate(shown)])
        )
    return "\n".join([line(heads), line(rules), *body])
