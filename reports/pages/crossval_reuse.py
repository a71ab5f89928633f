"""Page: what score reuse assumes, and how well closed forms predict what it costs at the end of a
run.
"""

from __future__ import annotations

from typing import Any

from reports.experiments.store import stored
from reports.pages.absent import absent, parts_absent
from reports.pages.settings import Settings
from reports.render.document import (
    Block,
    Cell,
    Column,
    Figure,
    Heading,
    Line,
    Page,
    Panel,
    Table,
    printed,
    text,
)
from reports.render.spelling import listed

TARGETS = {
    "mixture": "mixture around ten digits",
    "dataset": "a hundred digits",
    "network": "trained network",
    "patches": "network trained on patches of photographs",
}
PARTS = {
    "x": ("position", "largest"),
    "m": ("momentum", "largest"),
    "centre": ("position", "centre"),
    "border": ("position", "border"),
}


def build(_: Settings) -> Page:
    data = stored("reuse")
    title = "What reuse assumes"
    if data is None:
        return absent("reuse", "crossval-reuse", title)
    body: list[Block] = [
        Heading("The score's change under B", "changes"),
        text(
            "A reduced sampler takes for A the score from before B. Along runs of RSE the score "
            "is evaluated again after B, at the same time: shown is |change| / |score|, in the "
            "norm over all samples and the pixels in question; the centre is the middle half of "
            "rows and columns."
        ),
        *parts_absent("reuse", TARGETS, data["targets"]),
        _figure(data),
        _change_table(data),
        Heading("Naive minus reduced, predicted", "differences"),
        text(
            "Closed forms give the h^{2} term of one naive step minus one reduced step; of "
            "stochastic samplers too, on the same noise, λ_{s} = 1. *Carried*: added in every "
            "step of a reduced run, so that later steps carry it along; *summed*: only added up. "
            "The ratio is predicted over measured norm, the miss |predicted − measured| / "
            "|measured| of the end states."
        ),
        _difference_table(data),
    ]
    return Page("crossval-reuse", title, _lead(data), tuple(body))


def largest(rows: list[dict[str, float]], part: str) -> tuple[float, float]:
    """The largest change of one part of the score along a run, and the forward time at which it is
    seen.
    """
    return max((row[part], row["tau"]) for row in rows)


def _lead(data: dict[str, Any]) -> str:
    changes, misses = [], []
    for name, results in data["targets"].items():
        steps = list(results["changes"])[-1]
        change, tau = largest(results["changes"][steps], "x")
        changes.append(
            f"{printed(100 * change, '2g')} % ({TARGETS[name]}, τ = {printed(tau, '2g')})"
        )
        misses += [rows[-1] for rows in results["differences"].values()]
    sizes = [row["carried_miss"] for row in misses]
    return (
        f"Reuse assumes that B hardly changes the score that A takes over; in a run of {steps} "
        f"steps no step changes it by more than {listed(changes)}. What this costs at the end, "
        f"naive minus reduced, the closed forms predict at {misses[0]['steps']} steps missing "
        f"{printed(100 * min(sizes), '2g')} to {printed(100 * max(sizes), '2g')} % of it, and "
        "more with fewer steps."
    )


def _figure(data: dict[str, Any]) -> Figure:
    panels = []
    for name, results in data["targets"].items():
        lines = tuple(
            Line(f"{steps} steps", tuple(r["tau"] for r in rows), tuple(r["x"] for r in rows))
            for steps, rows in results["changes"].items()
        )
        panels.append(
            Panel(TARGETS[name], lines, "forward time τ", "|change of position score| / |score|")
        )
    caption = (
        "**Change of the position score under B, along runs of RSE.** Runs go from right to left."
    )
    return Figure("crossval-reuse-figure", caption, tuple(panels), f"`{data['_command']}`")


def _change_table(data: dict[str, Any]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, results in data["targets"].items():
        for steps, run in results["changes"].items():
            cells = [cell for part in PARTS for cell in largest(run, part)]
            rows.append((TARGETS[name], int(steps), *cells))
    columns = [Column("target", "score"), Column("steps", "steps", "", "d")]
    for part, (title, region) in PARTS.items():
        columns += [Column(part, title, region), Column(f"{part}_tau", "at τ", "", "2g")]
    return Table(
        "crossval-reuse-changes",
        "**Largest change of the score under B along a run of RSE.** To τ = "
        f"{data['settings']['cut']:g}.",
        tuple(columns),
        tuple(rows),
        f"`{data['_command']}`",
    )


def _difference_table(data: dict[str, Any]) -> Table:
    keys = ("measured", "carried_ratio", "carried_miss", "summed_ratio", "summed_miss")
    rows: list[tuple[Cell, ...]] = [
        (TARGETS[name], pair, row["steps"], *(row[key] for key in keys))
        for name, results in data["targets"].items()
        for pair, run in results["differences"].items()
        for row in run
    ]
    titles = ("naive − reduced", "carried", "carried", "summed", "summed")
    units = ("data units", "ratio", "miss", "ratio", "miss")
    columns = (
        Column("target", "score"),
        Column("pair", "pair"),
        Column("steps", "steps", "", "d"),
        *(Column(k, title, unit) for k, title, unit in zip(keys, titles, units, strict=True)),
    )
    return Table(
        "crossval-reuse-differences",
        "**End states, naive minus reduced, and their prediction.** To τ = "
        f"{data['settings']['difference_cut']:g}; pairs: "
        f"{listed(sorted({str(r[1]) for r in rows}))}.",
        columns,
        tuple(rows),
        f"`{data['_command']}`",
    )
