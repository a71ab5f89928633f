"""Figures: one Matplotlib style, SVG that reads on light and dark pages and is the same byte for byte."""

from __future__ import annotations

import io
import re
from functools import cache
from typing import Any, Literal

from reports.document import Figure, Line, Panel, rounded

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56a0d3", "#8f6bbd", "#7f7f7f")
"""Okabe and Ito's colour-blind safe hues, darkened where needed to read on white and on black."""
_MARKERS = "os^DvP*X"
_INK = "#101418"
"""Everything that is not a curve is drawn in this colour, then becomes the page's own."""
_STYLE = {
    "svg.hashsalt": "splitting-analysis",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.2,
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
_WIDTH, _HEIGHT = 4.4, 3.3
_ENLARGED = 4
"""Dots per pixel of a picture: a browser that smooths does not blur it away."""


@cache
def draw(figure: Figure, paper: Literal["page", "white"] = "page") -> str:
    """The figure as SVG: on "page" transparent, ink in the page's text colour; or on white."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas
    from matplotlib.style import context

    labels = [tuple(line.label for line in panel.lines if line.label) for panel in figure.panels]
    shared = len(set(labels)) == 1
    columns = min(len(figure.panels), 2)
    rows = -(-len(figure.panels) // columns)
    with context(["default", _STYLE]):  # whatever the reader's matplotlibrc says
        size = (max(_WIDTH * columns, 5.6), (_HEIGHT + (0 if shared else 0.5)) * rows + 0.5 * shared)
        canvas = Canvas(figsize=size, layout="constrained")
        FigureCanvasSVG(canvas)
        axes = canvas.subplots(rows, columns, squeeze=False).flatten()
        for panel, ax in zip(figure.panels, axes, strict=False):
            _draw_panel(panel, ax)
            if not shared and panel.lines:
                ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4, columnspacing=1.2)
        for ax in axes[len(figure.panels) :]:
            ax.set_axis_off()
        if shared and len(labels[0]) > 1:
            handles, names = axes[0].get_legend_handles_labels()
            canvas.legend(
                handles, names, loc="outside lower center", ncols=len(names) if len(names) <= 7 else 4
            )
        out = io.StringIO()
        canvas.savefig(out, format="svg", transparent=paper == "page")
    return _clean(out.getvalue(), figure, paper)


def _draw_panel(panel: Panel, ax: Any) -> None:
    if panel.pixels:
        _draw_picture(panel, ax)
        return
    names = list(dict.fromkeys(line.label for line in panel.lines if line.label))
    for line in panel.lines:
        line = rounded(line)
        i = names.index(line.label) % len(PALETTE) if line.label else len(PALETTE) - 1
        ax.plot(line.x, line.y, color=PALETTE[i], label=line.label or None, **_line_style(line, _MARKERS[i]))
    for level in panel.marks:
        ax.axhline(level, color=_INK, linewidth=0.9, linestyle=(0, (1, 2)))
    ax.set_xscale(panel.x_scale)
    ax.set_yscale(panel.y_scale)
    ax.set_title(_math(panel.title), loc="left")
    ax.set_xlabel(_math(panel.x_title))
    ax.set_ylabel(_math(panel.y_title))
    _plain_ticks(panel, ax)


def _draw_picture(panel: Panel, ax: Any) -> None:
    levels = [list(row) for row in panel.pixels for _ in range(_ENLARGED)]
    levels = [[level for level in row for _ in range(_ENLARGED)] for row in levels]
    ax.imshow(levels, cmap="gray", vmin=0, vmax=255, interpolation="none")
    ax.set_title(_math(panel.title), loc="left")
    ax.set_axis_off()


def _math(text: str) -> str:
    """a_{b} of document.py in Matplotlib's spelling."""
    return re.sub(r"([_^]\{[^}]+\})", r"$\1$", text)


def _line_style(line: Line, marker: str) -> dict[str, Any]:
    marker = marker if len(line.x) <= 24 or line.style == "points" else ""
    if line.style == "points":
        return {"linestyle": "none", "marker": marker}
    return {"linestyle": (0, (5, 2)) if line.style == "dashed" else "-", "marker": marker}


def _plain_ticks(panel: Panel, ax: Any) -> None:
    """Short logarithmic axes: the points that were computed (NFE 50 ... 1000), and 1, 2, 5, 10 upwards."""
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

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


def _clean(svg: str, figure: Figure, paper: str) -> str:
    """The bare <svg> element, responsive, described, its ink that of the page."""
    svg = svg[svg.index("<svg") :].strip()
    # The metadata hold the date.
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"(\d\d\.\d\d)\d+", r"\1", svg)  # a hundredth of a point is enough
    if paper == "page":
        svg = svg.replace(_INK, "currentColor")
    svg = re.sub(r">\s+<", "><", re.sub(r"\s*\n\s*", " ", svg))
    # Several figures share one page: ids that are used get the figure's name, the others go.
    used = set(re.findall(r"#([\w.-]+)", svg))
    prefix = re.sub(r"[^a-z0-9]", "-", figure.key.lower())
    svg = re.sub(r' id="([^"]+)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\1{prefix}-", svg)
    if paper == "white":
        return svg
    width = re.search(r'width="([\d.]+)pt"', svg)
    style = f' style="width:100%;max-width:{float(width[1]) * 4 / 3:.0f}px;height:auto"' if width else ""
    svg = re.sub(r'(<svg[^>]*?) height="[\d.]+pt"', r"\1", svg, count=1)
    return re.sub(r'(<svg[^>]*?) width="[\d.]+pt"', rf'\1{style} role="img"', svg, count=1)
