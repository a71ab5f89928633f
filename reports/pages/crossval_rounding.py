"""Page: the step below which the rounding of a network hides the error of the sampler."""

from __future__ import annotations

from typing import Any

from reports.crossval.results import stored
from reports.document import Block, Cell, Column, Figure, Heading, Line, Page, Panel, Table, printed, text
from reports.pages.settings import Settings

TARGETS = {"mixture": "mixture around ten digits", "network": "network"}
DTYPES = ("float32", "bfloat16")


def build(_: Settings) -> Page:
    data = stored("rounding")
    title = "Rounding against truncation"
    if data is None:
        return Page("crossval-rounding", title, "No stored results: run the command of this page's module.")
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
            Heading(TARGETS[name], name),
            _crossings(name, results, command),
            _figure(name, results, command),
            _stochastic(name, results, command),
        ]
    return Page("crossval-rounding", title, _lead(data), tuple(body))


def _lead(data: dict[str, Any]) -> str:
    parts = []
    for name, results in data["targets"].items():
        rows = [r for r in results["rows"] if r["dynamics"] == "ode" and r["scheme"] != "RK45"]
        limits = [max(r[f"{dtype}_crossing"] for r in rows) for dtype in DTYPES]
        parts.append(
            f"{TARGETS[name]}: no deterministic first-order sampler gains from more than "
            f"{printed(limits[0], '2g')} steps in float32, or {printed(limits[1], '2g')} in bfloat16"
        )
    return f"{'; '.join(parts)}."


def _crossings(name: str, results: dict[str, Any], command: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for r in results["rows"]:
        if r["dynamics"] == "ode":
            cells: list[Cell] = [r["scheme"], r["steps"][-1], r["truncation"][-1]]
            for dtype in DTYPES:
                n = r[f"{dtype}_crossing"]
                beyond = "yes" if n > r["steps"][-1] else "no"
                cells += [r[dtype][-1], n or None, results["span"] / n if n else None, beyond]
            rows.append(tuple(cells))
    columns = [
        Column("scheme", "scheme"),
        Column("steps", "most steps", "", "d"),
        Column("truncation", "truncation there", "data units"),
    ]
    for dtype in DTYPES:
        columns += [
            Column(dtype, f"{dtype} rounding there", "data units"),
            Column(f"{dtype}_steps", "crossing", "steps", "2g"),
            Column(f"{dtype}_h", "h*", "time", "2g"),
            Column(f"{dtype}_beyond", "extrapolated"),
        ]
    return Table(
        f"crossval-rounding-{name}",
        f"**Where rounding equals truncation, {TARGETS[name]}.** Crossings beyond the most steps continue "
        "truncation at its order. – where rounding is larger on the coarsest grid already.",
        tuple(columns),
        tuple(rows),
        command,
    )


def _figure(name: str, results: dict[str, Any], command: str) -> Figure:
    panels = []
    for dtype in DTYPES:
        lines: list[Line] = []
        for r in results["rows"]:
            if r["dynamics"] == "ode":
                steps = tuple(r["steps"])
                lines.append(Line(f"{r['scheme']}, truncation", steps, tuple(r["truncation"])))
                lines.append(Line(f"{r['scheme']}, rounding", steps, tuple(r[dtype]), "dashed"))
        panels.append(Panel(dtype, tuple(lines), "steps", "size at the end (data units)"))
    caption = f"**Truncation and rounding against steps, {TARGETS[name]}.**"
    return Figure(f"crossval-rounding-{name}-figure", caption, tuple(panels), command)


def _stochastic(name: str, results: dict[str, Any], command: str) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (r["scheme"], r["steps"][k], *(r[dtype][k] for dtype in DTYPES))
        for r in results["rows"]
        if r["dynamics"] == "sde"
        for k in range(len(r["steps"]))
    ]
    columns = (Column("scheme", "scheme"), Column("steps", "steps", "", "d"),
               *(Column(dtype, dtype, "data units") for dtype in DTYPES))  # fmt: skip
    return Table(
        f"crossval-rounding-{name}-sde",
        f"**Rounding of stochastic runs, {TARGETS[name]}.** Distance of the ends on the same noise.",
        columns,
        tuple(rows),
        command,
    )
