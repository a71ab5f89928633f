"""Page: the step below which the rounding of a network hides the error of the sampler."""

from __future__ import annotations

from typing import Any

from reports.crossval.results import stored
from reports.document import Block, Cell, Column, Figure, Heading, Line, Page, Panel, Table, text
from reports.pages.absent import absent
from reports.pages.settings import Settings
from reports.pages.spelling import listed, number

TARGETS = {"mixture": "mixture around ten digits", "network": "network trained on the digits"}
DTYPES = ("float32", "bfloat16")


def build(_: Settings) -> Page:
    data = stored("rounding")
    title = "Rounding against truncation"
    if data is None:
        return absent("rounding", "rounding", "crossval-rounding", title)
    body: list[Block] = [
        text(
            "The state is float64 throughout; the score is computed in float32 or bfloat16. Rounding is the "
            "distance between the ends of that run and of the float64 run on the same noise; truncation, for "
            "deterministic samplers, that of the float64 run from the exact flow at tolerance 10^{-13}; both "
            "as root mean squares over all entries. Where the two are equal lies the smallest useful step h*."
        )
    ]
    for name, results in data["targets"].items():
        command = f"`{data['_command']}`"
        body += [
            Heading(TARGETS[name].capitalize(), name),
            _crossings(name, results, command),
            _figure(name, results, command),
            _stochastic(name, results, command),
        ]
    return Page("crossval-rounding", title, _lead(data), tuple(body))


def _lead(data: dict[str, Any]) -> str:
    parts = []
    for name, results in data["targets"].items():
        rows = [r for r in results["rows"] if r["dynamics"] == "ode" and r["scheme"] != "RK45"]
        limits = [number(max(r[f"{dtype}_crossing"] for r in rows)) for dtype in DTYPES]
        parts.append(f"{limits[0]} steps in float32 and {limits[1]} in bfloat16 on the {TARGETS[name]}")
    return (
        f"Rounding hides what any deterministic first-order sampler could still gain: after {listed(parts)}."
    )


def _crossings(name: str, results: dict[str, Any], command: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for r in results["rows"]:
        if r["dynamics"] == "ode":
            cells: list[Cell] = [r["scheme"], r["truncation"][-1]]
            for dtype in DTYPES:
                n = r[f"{dtype}_crossing"]
                cells += [r[dtype][-1], n or None, results["span"] / n if n else None]
            rows.append((*cells, r["steps"][-1]))
    columns = [Column("scheme", "scheme"), Column("truncation", "truncation", "at most steps")]
    for dtype in DTYPES:
        columns += [
            Column(dtype, dtype, "at most steps"),
            Column(f"{dtype}_steps", "equal", "steps", "2g"),
            Column(f"{dtype}_h", "h*", "time", "2g"),
        ]
    columns.append(Column("steps", "most steps", "", "d"))
    return Table(
        f"crossval-rounding-{name}",
        f"**Where rounding equals truncation, {TARGETS[name]}.** Sizes at the end in data units. Beyond the "
        "most steps truncation is continued at its order. – where rounding is larger on the coarsest grid.",
        tuple(columns),
        tuple(rows),
        command,
    )


def _figure(name: str, results: dict[str, Any], command: str) -> Figure:
    rows = [r for r in results["rows"] if r["dynamics"] == "ode"]
    lines = [Line(r["scheme"], tuple(r["steps"]), tuple(r["truncation"])) for r in rows]
    steps = sorted({n for r in rows for n in r["steps"]})
    for dtype in DTYPES:
        worst = [max(r[dtype][r["steps"].index(n)] for r in rows if n in r["steps"]) for n in steps]
        lines.append(Line(f"rounding, {dtype}", tuple(steps), tuple(worst), "dashed"))
    panel = Panel("", tuple(lines), "steps", "size at the end (data units)")
    caption = (
        f"**Truncation of each sampler, and the largest rounding among them, {TARGETS[name]}.** A sampler "
        "whose curve is below a dashed line gains nothing from more steps in that precision."
    )
    return Figure(f"crossval-rounding-{name}-figure", caption, (panel,), command)


def _stochastic(name: str, results: dict[str, Any], command: str) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (r["scheme"], r["steps"][k], *(r[dtype][k] for dtype in DTYPES))
        for r in results["rows"]
        if r["dynamics"] == "sde"
        for k in range(len(r["steps"]))
    ]
    columns = (Column("scheme", "scheme"), Column("steps", "steps", "", "d"),
               *(Column(dtype, dtype) for dtype in DTYPES))  # fmt: skip
    return Table(
        f"crossval-rounding-{name}-sde",
        f"**Rounding of stochastic runs, {TARGETS[name]}.** Distance of ends on the same noise, data units.",
        columns,
        tuple(rows),
        command,
    )
