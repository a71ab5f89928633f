"""A page as self-contained HTML: inline CSS, SVG and a few lines of JavaScript, formulas as
MathML.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from reports.render.document import (
    Block,
    Cell,
    Code,
    Column,
    Figure,
    Formula,
    Formulas,
    Heading,
    Inline,
    Page,
    Panel,
    Paragraph,
    Table,
    tables,
)
from reports.render.figures import draw_panel, key_svg, legend, shared_legend
from reports.render.latex import display
from reports.render.looks import Look

LONG_TERM = 40
"""Letters and digits of a term above which the line may break inside its longest bracket."""
PROSE = 40
"""Characters from which a cell is running text."""
TEMPLATES = Path(__file__).parent / "templates"
MADE_BY = "Regenerate with `splitting-analysis report`; see [how to reproduce](reproduce.html)."


def render(page: Page, site: Sequence[tuple[str, str]]) -> str:
    """The page as one HTML file. `site` lists (slug, short title) of all pages, for navigation.

    A page without a site stands alone: it links to no other file.
    """
    contents = [block for block in page.blocks if isinstance(block, Heading)]
    return _template().render(
        page=page,
        site=[{"slug": slug, "short": short} for slug, short in site],
        contents=contents,
        has_tables=any(tables(page)),
        css=_safe(_read("page.css")),
        script=_safe(_read("page.js")),
        made_by=MADE_BY,
    )


@cache
def _template():  # type: ignore[no-untyped-def]
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["inline"] = inline
    environment.filters["show"] = show
    environment.filters["bare"] = bare
    return environment.get_template("page.html")


def _safe(markup: str) -> Markup:
    """Markup from our own files and renderers, which is not to be escaped."""
    return Markup(markup)  # noqa: S704


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8").strip()


_INLINE = re.compile(
    r"`(?P<code>[^`]+)`|\*\*(?P<bold>[^*]+)\*\*|\*(?P<em>[^*]+)\*|\[(?P<text>[^\]]+)\]\((?P<href>[^)\s]+)\)"
    r"|_\{(?P<sub>[^}]+)\}|\^\{(?P<sup>[^}]+)\}"
)


def inline(source: str) -> Markup:
    """The small markup of document.py as HTML, everything else escaped."""
    result, position = Markup(), 0
    for match in _INLINE.finditer(source):
        result += escape(source[position : match.start()])
        position = match.end()
        part = match.groupdict()
        if part["code"] is not None:
            long = Markup(' class="long"') if len(part["code"]) > 34 else Markup()
            result += Markup("<code{}>{}</code>").format(long, part["code"])
        elif part["bold"] is not None:
            result += Markup("<b>{}</b>").format(inline(part["bold"]))
        elif part["em"] is not None:
            result += Markup("<em>{}</em>").format(inline(part["em"]))
        elif part["sub"] is not None:
            result += Markup("<sub>{}</sub>").format(part["sub"])
        elif part["sup"] is not None:
            result += Markup("<sup>{}</sup>").format(part["sup"])
        else:
            result += Markup('<a href="{}">{}</a>').format(part["href"], inline(part["text"]))
    return result + escape(source[position:])


def show(block: Block) -> Markup:
    """One block of a page."""
    match block:
        case Heading():
            heading = (
                Markup('<h3 id="{}">{}</h3>') if block.level == 3 else Markup('<h2 id="{}">{}</h2>')
            )
            return heading.format(block.anchor, inline(block.text))
        case Paragraph():
            return Markup("<p>{}</p>").format(Markup().join(_part(part) for part in block.parts))
        case Formulas():
            return _formulas(block)
        case Table():
            return _table(block)
        case Figure():
            return _figure(block)
        case Code():
            output = (
                Markup('<pre class="output">{}</pre>').format(block.output) if block.output else ""
            )
            return Markup(
                '<div class="scroll code" tabindex="0" role="region" aria-label="code and what it '
                'prints">'
                "<pre>{}</pre>{}</div>"
            ).format(block.source, output)


def _part(part: Inline) -> Markup:
    return inline(part) if isinstance(part, str) else _math(part)


def _formulas(block: Formulas) -> Markup:
    rows = Markup("\n").join(
        Markup(
            '<div class="formula"><span class="label">{}</span><span class="math" '
            'tabindex="0">{}</span>'
            '<button class="copy" type="button" data-latex="{}">copy LaTeX</button></div>'
        ).format(inline(formula.label), _math(formula), display(formula.latex))
        for formula in block.items
    )
    if block.folded:
        return Markup(
            '<details class="folded" id="{}"><summary>{}</summary><div '
            'class="formulas">{}</div></details>'
        ).format(block.key, inline(block.title), rows)
    return Markup('<div class="formulas" id="{}"><div class="title">{}</div>{}</div>').format(
        block.key, inline(block.title), rows
    )


_BREAK = "\u200b"
"""A place without width where a line may break."""


def _math(formula: Formula) -> Markup:
    """The formula as a row of <math> elements, so that a line can break between the terms of a
    sum.
    """
    pieces = _safe(_BREAK).join(
        _safe(f"<math>{piece}</math>") for piece in breakable(formula.mathml)
    )
    return Markup('<span role="math" aria-label="{}">{}</span>').format(formula.text, pieces)


def breakable(mathml: str) -> list[str]:
    """Cut MathML before each + and - of its sum, and of the longest sum in brackets of a long
    term.

    No browser breaks lines inside <math>; between two of them all do.
    """
    root = ET.fromstring(f"<mrow>{mathml}</mrow>")  # noqa: S314 - spelled by formulas.py
    return [
        "".join(ET.tostring(e, encoding="unicode") for e in piece) for piece in _pieces(list(root))
    ]


def _pieces(children: list[ET.Element]) -> list[list[ET.Element]]:
    starts = [
        0,
        *(i for i, e in enumerate(children) if i and e.tag == "mo" and e.text in ("+", "−")),
    ]
    for start in starts[1:]:
        children[start].set("form", "infix")  # it would be a prefix, being first in its <math>
    terms = [children[a:b] for a, b in zip(starts, [*starts[1:], len(children)], strict=True)]
    result: list[list[ET.Element]] = []
    for term in terms:
        sizes = [len("".join(element.itertext())) for element in term]
        brackets = [i for i, element in enumerate(term) if _is_bracket(element)]
        if sum(sizes) > LONG_TERM and brackets:
            at = max(brackets, key=sizes.__getitem__)
            opening, *inside, closing = list(term[at])
            for fence in (opening, closing):
                fence.attrib |= {"minsize": "1.7em", "maxsize": "1.7em"}
            inner = _pieces(inside)
            inner[0] = [*term[:at], opening, *inner[0]]
            inner[-1] = [*inner[-1], closing, *term[at + 1 :]]
            result += inner
        else:
            result.append(term)
    return result


def _is_bracket(element: ET.Element) -> bool:
    children = list(element)
    return element.tag == "mrow" and len(children) > 2 and children[0].text in ("(", "[")


def _table(table: Table) -> Markup:
    bold = table.boldest()
    titled = _has_prose(table)
    numeric = [j > 0 and _is_numeric(table, j) for j in range(len(table.columns))]
    head = Markup().join(
        Markup('<th scope="col"{}>{}{}</th>').format(
            Markup(' class="number"') if number else "", inline(column.title), _unit(column)
        )
        for column, number in zip(table.columns, numeric, strict=True)
    )
    rows = []
    for i, row in enumerate(table.rows):
        cells = [_cell(table, i, j, numeric[j], (i, j) in bold, titled) for j in range(len(row))]
        rows.append(Markup("<tr>{}</tr>").format(Markup().join(cells)))
    blocks = Markup(' class="blocks"') if titled else Markup()
    body = Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{}"><table{}>'
        "<thead><tr>{}</tr></thead>\n<tbody>\n{}\n</tbody></table></div>"
    ).format(bare(table.caption), blocks, head, Markup("\n").join(rows))
    caption = _caption(table.caption, table.source)
    if table.folded:
        shape = Markup(
            '<details class="folded" id="{}"><summary>{}</summary><figure>{}{}</figure></details>'
        )
        return shape.format(table.key, bare(table.caption.split(".")[0]), body, caption)
    return Markup('<figure id="{}">{}{}</figure>').format(table.key, body, caption)


def _has_prose(table: Table) -> bool:
    """Whether cells hold sentences or formulas: on a phone such rows become blocks, cell below
    cell.
    """
    return any(
        isinstance(cell, Formula) or (isinstance(cell, str) and len(bare(cell)) > PROSE)
        for row in table.rows
        for cell in row[1:]
    )


def _unit(column: Column) -> Markup:
    return Markup('<span class="unit">{}</span>').format(column.unit) if column.unit else Markup()


def _is_numeric(table: Table, column: int) -> bool:
    cells: list[Cell] = [row[column] for row in table.rows]
    return any(
        isinstance(c, int | float) or (isinstance(c, str) and c[:2] in ("< ", "> ")) for c in cells
    ) and not any(isinstance(c, Formula) or (isinstance(c, str) and len(c) > 14) for c in cells)


def _cell(table: Table, i: int, j: int, numeric: bool, bold: bool, titled: bool) -> Markup:
    cell = table.rows[i][j]
    if isinstance(cell, Formula):
        content = _math(cell)
    elif isinstance(cell, str):
        content = inline(cell)
    else:
        content = _number(table.shown(i, j))
    if j == 0:
        long = Markup(' class="long"') if len(bare(table.shown(i, j))) > 26 else Markup()
        return Markup('<th scope="row"{}>{}</th>').format(long, content)
    classes = [
        *(["number"] if numeric else []),
        *(["best"] if bold else []),
        *(["prose"] if isinstance(cell, str) and len(cell) > PROSE else []),
    ]
    attributes = Markup(' class="{}"').format(" ".join(classes)) if classes else Markup()
    if titled:
        column = table.columns[j]
        title = bare(f"{column.title}, {column.unit}" if column.unit else column.title)
        attributes += Markup(' data-title="{}"').format(title)
        # one item beside its title, whatever is in it
        content = Markup("<span>{}</span>").format(content)
    return Markup("<td{}>{}</td>").format(attributes, content)


def _number(shown: str) -> Markup:
    """1.23e-05 as 1.23 times a power of ten; the exact string stays in data-value for programs."""
    mantissa, e, exponent = shown.partition("e")
    if not e or not exponent.lstrip("−").isdigit():
        return escape(shown)
    power = str(int(exponent.replace("−", "-"))).replace("-", "−")
    return Markup('<data value="{}">{}·10<sup>{}</sup></data>').format(
        shown.replace("−", "-"), mantissa, power
    )


def _figure(figure: Figure) -> Markup:
    """Panels that the page arranges to its width, one legend below them or one below each."""
    shared = shared_legend(figure)
    panels = Markup("\n").join(
        Markup('<div class="panel">{}{}</div>').format(
            _described(draw_panel(figure, i), figure, panel),
            Markup() if shared else _legend(legend(panel)),
        )
        for i, panel in enumerate(figure.panels)
    )
    return Markup(
        '<figure id="{}" class="plot" style="--panels:{}"><div '
        'class="panels">\n{}\n</div>{}{}</figure>'
    ).format(
        figure.key,
        len(figure.panels),
        panels,
        _legend(legend(figure.panels[0])) if shared else Markup(),
        _caption(figure.caption, figure.source),
    )


def _described(svg: str, figure: Figure, panel: Panel) -> Markup:
    told = ". ".join(filter(None, [bare(figure.caption.split(". ")[0]), bare(panel.title)]))
    return _safe(svg.replace('role="img"', f'role="img" aria-label="{escape(told)}"', 1))


def _legend(entries: list[tuple[str, Look]]) -> Markup:
    if len(entries) < 2:
        return Markup()
    items = Markup().join(
        Markup("<li>{}{}</li>").format(_safe(key_svg(look)), inline(name)) for name, look in entries
    )
    return Markup('<ul class="legend">{}</ul>').format(items)


def _caption(caption: str, source: str) -> Markup:
    note = (
        Markup('<span class="source">Source: {}</span>').format(inline(source))
        if source
        else Markup()
    )
    return Markup("<figcaption>{}{}</figcaption>").format(inline(caption), note)


def bare(source: str) -> str:
    """The text without its markup."""
    return inline(source).striptags()
