"""Page: the step below which the rounding of a network hides the error of the sampler."""

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
    text,
)
from reports.render.spelling import count, listed, number

TARGETS = {
    "mixture": "mixture around ten digits",
    "network": "network trained on the digits",
    "patches": "network trained on patches of photographs",
}
DTYPES = ("float32", "bfloat16")
KINDS = {"ode": "probability flow", "sde": "reverse SDE"}


def build(_: Settings) -> Page:
    data = stored("rounding")
    title = "Rounding against truncation"
    if data is None:
        return absent("rounding", "crossval-rounding", title)
    body: list[Block] = [
        text(
            "The state is float64 throughout; the score is computed in float32 or bfloat16. "
            "Rounding is the "
            "distance between the ends of that run and of the float64 run on the same noise. "
            "Truncation is, "
            "for deterministic samplers, the distance of the float64 run from the exact flow at "
            "tolerance "
            "10^{-13}; for stochastic ones, the strong error ([Orders on real scores]"
            "(crossval-global.html#strong)). All are root mean squares over all entries, at "
            f"forward time {data['settings']['cut']:g}. Where rounding and truncation are equal "
            "lies the smallest useful step h*; nothing is continued beyond the steps that were "
            "run."
        )
    ]
    for name, results in data["targets"].items():
        command = f"`{data['_command']}`"
        body += [
            Heading(TARGETS[name].capitalize(), name),
            _figure(name, results, command),
            *(_crossings(name, kind, results, command) for kind in KINDS),
        ]
    body += parts_absent("rounding", TARGETS, data["targets"])
    return Page("crossval-rounding", title, _lead(data), tuple(body))


def _lead(data: dict[str, Any]) -> str:
    parts, hidden, total = [], [0, 0], 0
    for name, results in data["targets"].items():
        rows = [row for row in results["rows"] if row["scheme"] != "RK45"]
        counts = [sum(row[f"{dtype}_crossing"] is not None for row in rows) for dtype in DTYPES]
        hidden, total = [a + b for a, b in zip(hidden, counts, strict=True)], total + len(rows)
        parts.append(
            f"on the {TARGETS[name]} in bfloat16 for {counts[1]} of the {len(rows)} samplers and "
            f"in float32 for {counts[0]}"
        )
    most = max(row["steps"][-1] for results in data["targets"].values() for row in results["rows"])
    return (
        "A network’s rounding is larger than a first-order sampler’s own error, within at most "
        f"{most} steps, in {count(hidden[1])} of {total} cases when it computes in bfloat16 and "
        f"in {count(hidden[0]) if hidden[0] else 'none'} when in float32. From there on smaller "
        f"steps gain nothing: {listed(parts)}."
    )


def _crossings(name: str, kind: str, results: dict[str, Any], command: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for r in results["rows"]:
        if r["dynamics"] == kind:
            cells: list[Cell] = [r["scheme"], r["steps"][-1], r["truncation"][-1]]
            for dtype in DTYPES:
                cells += [
                    r[dtype][-1],
                    *_equal(r[f"{dtype}_crossing"], r["steps"], results["span"]),
                ]
            rows.append(tuple(cells))
    columns = [
        Column("scheme", "scheme"),
        Column("steps", "most steps", "", "d"),
        Column("truncation", "truncation", "at most steps"),
    ]
    for dtype in DTYPES:
        columns += [
            Column(dtype, dtype, "at most steps"),
            Column(f"{dtype}_steps", "equal at", "steps", "2g"),
            Column(f"{dtype}_h", "h*", "time", "2g"),
        ]
    return Table(
        f"crossval-rounding-{name}-{kind}",
        f"**Where rounding equals truncation, {TARGETS[name]}, {KINDS[kind]}.** Sizes at the end "
        "in data units. >: rounding is still smaller at the most steps; <: larger already at the "
        "fewest.",
        tuple(columns),
        tuple(rows),
        command,
    )


def _equal(crossing: float | None, steps: list[int], span: float) -> tuple[Cell, Cell]:
    """Number of steps, and step, at which rounding equals truncation, or on which side they lie."""
    if crossing is None:
        return f"> {steps[-1]}", f"< {number(span / steps[-1])}"
    if crossing == 0:
        return f"< {steps[0]}", f"> {number(span / steps[0])}"
    return crossing, span / crossing


def _figure(name: str, results: dict[str, Any], command: str) -> Figure:
    panels = []
    for kind, title in KINDS.items():
        rows = [r for r in results["rows"] if r["dynamics"] == kind and r["scheme"] != "RK45"]
        lines = [Line(r["scheme"], tuple(r["steps"]), tuple(r["truncation"])) for r in rows]
        for dtype in DTYPES:
            ends = [[r[dtype][k] for r in rows] for k in range(len(rows[0]["steps"]))]
            lines += [
                Line(
                    f"{dtype}, {what}",
                    tuple(rows[0]["steps"]),
                    tuple(map(which, ends)),
                    "reference",
                )
                for what, which in (("least", min), ("most", max))
            ]
        panels.append(Panel(title, tuple(lines), "steps", "size at the end (data units)"))
    caption = (
        f"**Truncation of each first-order sampler, {TARGETS[name]}.** Grey, dotted: the least "
        "and the most rounding among them, in bfloat16 (above) and in float32."
    )
    return Figure(f"crossval-rounding-{name}-figure", caption, tuple(panels), command)
