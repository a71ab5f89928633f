"""Figures: one Matplotlib style, SVG that reads on light and dark pages and is the same byte for
byte.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.markers import MarkerStyle
from matplotlib.style import context
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from reports.render.document import Figure, Line, Panel, plain, rounded
from reports.render.looks import NO_LINE, Look, looks

Paper = Literal["page", "white"]
_INK, _GROUND = "#101418", "#fdfefc"
"""Everything that is not a curve, and the filling of hollow markers, are drawn in these colours,
then become the page's own."""
GREY = "#858b93"
"""Reference lines and their names."""
_OTHERS = tuple(
    Look(_INK, marker, dashes)
    for marker, dashes in zip(
        "x+12|34_", ((), (7.0, 2.0), (3.0, 2.0), (7.0, 2.0, 2.0, 2.0)) * 2, strict=True
    )
)
"""Curves that are no sampler's, in their order: ink, with markers that no sampler has."""
_MARKED = 9
"""About how many points of a long curve carry its marker."""
_STYLE = {
    "svg.hashsalt": "splitting-analysis",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.18,
    "grid.linewidth": 0.7,
    "axes.linewidth": 0.8,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _INK,
}
_WIDTH, _HEIGHT = 4.4, 3.2
_ENLARGED = 4
"""Dots per pixel of a picture: a browser that smooths does not blur it away."""


@cache
def draw(figure: Figure, paper: Paper = "page") -> str:
    """The whole figure as one SVG: on "page" transparent, ink in the page's text colour; or on
    white.
    """
    shared = shared_legend(figure)
    columns = min(len(figure.panels), 2)
    rows = -(-len(figure.panels) // columns)
    canvas, axes = _canvas(
        (max(_WIDTH * columns, 5.6), (_HEIGHT + (0 if shared else 0.5)) * rows + 0.5 * shared),
        rows,
        columns,
    )
    with _context():
        for panel, ax in zip(figure.panels, axes, strict=False):
            _draw_panel(panel, ax)
            if not shared and panel.lines:
                ax.legend(
                    loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4, columnspacing=1.2
                )
        for ax in axes[len(figure.panels) :]:
            ax.set_axis_off()
        names = [name for name, _ in legend(figure.panels[0])]
        if shared and len(names) > 1:
            columns = len(names) if len(names) <= 6 else 4
            handles, _ = axes[0].get_legend_handles_labels()
            canvas.legend(handles, names, loc="outside lower center", ncols=columns)
        return _clean(_svg(canvas, paper), figure.key, paper)


@cache
def draw_panel(figure: Figure, index: int) -> str:
    """One panel as an SVG of its own, without legend, for a page that arranges panels to its
    width.
    """
    canvas, (ax,) = _canvas((_WIDTH, _HEIGHT), 1, 1, alone=True)
    with _context():
        _draw_panel(figure.panels[index], ax)
        return _clean(_svg(canvas, "page"), f"{figure.key}-{index}", "page")


def legend(panel: Panel) -> list[tuple[str, Look]]:
    """The names of a panel's curves, each once and with its look; reference lines are named in
    place.
    """
    styles = {line.label: line.style for line in panel.lines if not _is_reference(line)}
    looks = zip(styles.items(), _panel_looks(list(styles)), strict=True)
    return [
        (name, look._replace(dashes=NO_LINE) if style == "points" else look)
        for (name, style), look in looks
    ]


def _is_reference(line: Line) -> bool:
    return line.style == "reference" or not line.label


def shared_legend(figure: Figure) -> bool:
    """Whether all panels name the same curves, so that one legend serves them all."""
    return len({tuple(legend(panel)) for panel in figure.panels}) == 1


def key_svg(look: Look) -> str:
    """A short piece of the curve with its marker, as an inline SVG for a legend."""
    marker = MarkerStyle(look.marker)
    shape = marker.get_path().transformed(marker.get_transform())
    letters = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}
    path = "".join(
        letters[int(code)]
        + ("" if int(code) == 79 else " ".join(f"{value:.2f}" for value in points))
        for points, code in shape.iter_segments(curves=True)
    )
    colour, fill = ("currentColor" if look.colour == _INK else look.colour), "none"
    if marker.is_filled():
        fill = "var(--paper)" if look.hollow else colour
    dashes = (
        f' stroke-dasharray="{" ".join(f"{1.8 * d:g}" for d in look.dashes)}"'
        if look.dashes
        else ""
    )
    return (
        '<svg class="key" viewBox="0 0 36 14" width="36" height="14" aria-hidden="true">'
        f'<path d="M1 7H35" stroke="{colour}" stroke-width="1.8"{dashes}/>'
        f'<path d="{path}" transform="translate(18 7) scale(6.4 -6.4)" fill="{fill}" '
        f'stroke="{colour}" '
        'stroke-width=".2"/></svg>'
    )


def _context() -> Any:
    return context(["default", _STYLE])  # whatever the reader's matplotlibrc says


def _canvas(
    size: tuple[float, float], rows: int, columns: int, alone: bool = False
) -> tuple[Any, list[Any]]:
    with _context():
        canvas = Canvas(figsize=size, layout=None if alone else "constrained")
        FigureCanvasSVG(canvas)
        # Panels that a page arranges have their axes at one place; that costs no search for it
        # either.
        places = {"left": 0.165, "right": 0.98, "bottom": 0.15, "top": 0.92} if alone else None
        return canvas, list(
            canvas.subplots(rows, columns, squeeze=False, gridspec_kw=places).flatten()
        )


def _svg(canvas: Any, paper: Paper) -> str:
    out = io.StringIO()
    canvas.savefig(out, format="svg", transparent=paper == "page")
    return out.getvalue()


def _panel_looks(names: Sequence[str]) -> list[Look]:
    """A sampler's own look for its name; the others take theirs in their order."""
    samplers = looks()
    others = [name for name in names if name not in samplers]
    return [samplers.get(name) or _OTHERS[others.index(name) % len(_OTHERS)] for name in names]


def _draw_panel(panel: Panel, ax: Any) -> None:
    if panel.pixels:
        _draw_picture(panel, ax)
        return
    found = legend(panel)
    look_of, place = dict(found), {name: i for i, (name, _) in enumerate(found)}
    lines = [rounded(line) for line in panel.lines]
    for line in (line for line in lines if not _is_reference(line)):
        i = place[line.label]
        ax.plot(
            line.x,
            line.y,
            label=line.label,
            **_line_style(line, look_of[line.label], i, len(found)),
        )
    _draw_references([line for line in lines if _is_reference(line)], ax)
    for mark in panel.marks:
        level = plain(mark.level, "4g")
        ax.axhline(level, color=GREY, linewidth=1, linestyle=(0, (1, 2)))
        _name(mark.label, ax, (0.01, level), ax.get_yaxis_transform())
    ax.set_xscale(panel.x_scale)
    ax.set_yscale(panel.y_scale)
    ax.set_title(_math(panel.title), loc="left")
    ax.set_xlabel(_math(panel.x_title))
    ax.set_ylabel(_math(panel.y_title))
    _plain_ticks(panel, ax)


def _draw_references(lines: Sequence[Line], ax: Any) -> None:
    """Grey dotted curves, each named at its left end: above it, or below where the next would be
    hit.
    """
    starts = {}
    for line in lines:
        ax.plot(line.x, line.y, color=GREY, linewidth=1, linestyle=(0, (1, 2)))
        ends = [(x, y) for x, y in zip(line.x, line.y, strict=True) if x == x and y == y]
        if ends and line.label:
            starts[line.label] = min(ends)
    for label, at in starts.items():
        crowded = any(at[1] < y < 10 * at[1] for _, y in starts.values())
        _name(label, ax, at, ax.transData, below=crowded)


def _name(
    label: str, ax: Any, at: tuple[float, float], transform: Any, below: bool = False
) -> None:
    """The name of a reference line at its left end."""
    ax.annotate(
        _math(label),
        at,
        xycoords=transform,
        xytext=(0, -2 if below else 2),
        textcoords="offset points",
        ha="left",
        va="top" if below else "bottom",
        fontsize=7.5,
        color=GREY,
        annotation_clip=False,
    )


def _draw_picture(panel: Panel, ax: Any) -> None:
    levels = [list(row) for row in panel.pixels for _ in range(_ENLARGED)]
    levels = [[level for level in row for _ in range(_ENLARGED)] for row in levels]
    ax.imshow(levels, cmap="gray", vmin=0, vmax=255, interpolation="none")
    ax.set_title(_math(panel.title), loc="left")
    ax.set_axis_off()


def _math(text: str) -> str:
    """a_{b} of document.py in Matplotlib's spelling."""
    return re.sub(r"([_^]\{[^}]+\})", r"$\1$", text)


def _line_style(line: Line, look: Look, place: int, curves: int) -> dict[str, Any]:
    every = max(1, len(line.x) // _MARKED)
    return {
        "color": look.colour,
        "marker": look.marker,
        "markerfacecolor": _GROUND if look.hollow else look.colour,
        # Long curves carry their markers at different places, so that none hides another's.
        "markevery": (place * every // curves, every),
        "linestyle": "none" if line.style == "points" else (0, look.dashes) if look.dashes else "-",
    }


def _plain_ticks(panel: Panel, ax: Any) -> None:
    """Short logarithmic axes: the points that were computed (NFE 50 ... 1000), and 1, 2, 5, 10
    upwards.
    """
    values = sorted({x for line in panel.lines for x in rounded(line).x if x == x})
    if panel.x_scale == "log" and 1 < len(values) <= 8 and values[0] >= 1:
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xticks(values, [f"{x:g}" for x in values])
    low, high = ax.get_ylim()
    if panel.y_scale == "log" and high < 100 * low:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_locator(NullLocator())


def _clean(svg: str, key: str, paper: Paper) -> str:
    """The bare <svg> element, responsive, its ink and ground those of the page."""
    svg = svg[svg.index("<svg") :].strip()
    # The metadata hold the date.
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"(\d\d\.\d\d)\d+", r"\1", svg)  # a hundredth of a point is enough
    svg = svg.replace(_GROUND, "var(--paper)" if paper == "page" else "#ffffff")
    if paper == "page":
        svg = svg.replace(_INK, "currentColor")
    svg = re.sub(r">\s+<", "><", re.sub(r"\s*\n\s*", " ", svg))
    # Several figures share one page: ids that are used get the figure's name, the others go.
    used = set(re.findall(r"#([\w.-]+)", svg))
    prefix = re.sub(r"[^a-z0-9]", "-", key.lower())
    svg = re.sub(r' id="([^"]+)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\1{prefix}-", svg)
    if paper == "white":
        return svg
    width = re.search(r'width="([\d.]+)pt"', svg)
    style = (
        f' style="width:100%;max-width:{float(width[1]) * 4 / 3:.0f}px;height:auto"'
        if width
        else ""
    )
    svg = re.sub(r'(<svg[^>]*?) height="[\d.]+pt"', r"\1", svg, count=1)
    return re.sub(r'(<svg[^>]*?) width="[\d.]+pt"', rf'\1{style} role="img"', svg, count=1)
