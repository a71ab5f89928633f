"""Page: quality of samples against evaluations, and how well exact Gaussian errors predict it."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from reports.experiments import store
from reports.experiments.quality_data import COMPARED, GRIDS, NFES, Cell, path_of, stored
from reports.pages.absent import told
from reports.pages.quality_ranks import beside_published, ranks_of
from reports.pages.quality_terms import JUDGED, QUALITIES, TABLE_NFES, TARGETS, Cells, cells_of
from reports.pages.settings import Settings
from reports.render.document import (
    Block,
    Column,
    Figure,
    Heading,
    Line,
    Mark,
    Page,
    Panel,
    Table,
    printed,
    text,
)
from reports.render.document import Cell as Shown
from reports.render.spelling import count, link, listed, number
from splitting_analysis.catalogue import entries
from splitting_analysis.differences import pairs

DRAWN = {"frechet": 100.0, "residual": 1.0, "still": 1.0}
"""Points above these are left out of the figures."""
CERTAIN = 3
"""Standard errors beyond which a difference counts: among thirty, chance alone reaches two."""


def build(_: Settings) -> Page:
    found = {name: data for name in TARGETS if (data := stored(name)) is not None}
    body: list[Block] = [
        text(_method()),
        Heading("What is measured", "measures"),
        text(_measures()),
    ]
    for name, title in TARGETS.items():
        body.append(Heading(title[0].upper() + title[1:], name))
        if name not in found:
            body.append(text(told(f"quality_{name}")))
            continue
        body += _target(name, found[name])
    for name, data in found.items():
        body += ranks_of(name, data)
    if "dataset" in found:
        body += beside_published(found)
    return Page("quality", "Quality of samples", _lead(found), tuple(body))


def _method() -> str:
    return (
        "Every PSLD sampler of the catalogue at its default parameters, from the prior to T − ε, "
        f"ε = 0.001, with the denoising step, at budgets of {listed([str(n) for n in NFES])} "
        "evaluations. These are **Monte Carlo results, stored** with their command, seed and "
        "versions: samples are drawn, and the samples are judged."
    )


def _measures() -> str:
    return (
        "**Fréchet distance**: 2-Wasserstein distance, squared, of the Gaussians that have the "
        "moments of the samples’ and the data’s features, as FID; the features are the 48 of a "
        "small classifier trained on the digits, or for patches the 91 of a scattering transform, "
        "so the number compares samplers here and is no FID of other papers. **Residual noise**: "
        "mean squared distance per pixel to the nearest image of the data. With the exact score "
        "of the data set samples converge to images, and what is left is noise; a network also "
        "makes images that are new, and for it the **noise at still pixels**, those that are the "
        "same in all images, is the estimate that needs no neighbour."
    )


def _lead(found: dict[str, Any]) -> str:
    if "dataset" not in found:
        return "Stored results on the quality of samples are missing from this copy."
    quieter = []
    for name, data in found.items():
        noise = JUDGED[name][1]
        factors = [a[noise] / b[noise] for a, b in reuse(cells_of(data), noise)]
        quieter.append(
            f"{sum(f > 1 for f in factors)} of {len(factors)} comparisons on the {TARGETS[name]} "
            f"(by a median factor of {printed(median(factors), '2g')})"
        )
    near = [f"{_as_good_as_perfect(data)} on the {TARGETS[name]}" for name, data in found.items()]
    return (
        "At the same number of evaluations, samples drawn with the score reused hold less noise "
        "than with a "
        f"fresh one in {listed(quieter)}. At 50 evaluations, "
        "λ_{s} = 1, the Fréchet distance is within chance (two standard deviations) of a perfect "
        f"sampler’s in {listed(near)} (samplers times grids)."
    )


def _as_good_as_perfect(data: dict[str, Any]) -> str:
    """How many runs at 50 evaluations score what a perfect sampler could, by chance."""
    runs = [c["frechet"] for k, c in cells_of(data).items() if k[2:] == (50, "one")]
    limit = data["floors"]["bootstrap"] + 2 * data["floors"]["spread"]
    return f"{sum(f is not None and f <= limit for f in runs)} of {len(runs)}"


def _best(cells: Cells, grid: str, nfe: int, measure: str = "frechet") -> Cell:
    there = [c for k, c in cells.items() if k[1:] == (grid, nfe, "one") and c[measure] is not None]
    return min(there, key=lambda c: float(c[measure]))


def reuse(cells: Cells, measure: str) -> list[tuple[Cell, Cell]]:
    """Cells of a naive scheme beside its reduced form's: same grid and budget, λ_s = 1, where both
    exist.
    """
    both = [
        (cells[pair.naive.name, grid, nfe, "one"], cells[pair.reduced.name, grid, nfe, "one"])
        for pair in pairs()
        for grid in GRIDS
        for nfe in COMPARED
        if {(pair.naive.name, grid, nfe, "one"), (pair.reduced.name, grid, nfe, "one")}
        <= cells.keys()
    ]
    return [(a, b) for a, b in both if a[measure] is not None and b[measure] is not None]


def _compared(name: str) -> list[dict[str, Any]]:
    """The comparisons of naive and reduced samplers on a target, without those in which one
    diverged.
    """
    rows = ((store.stored("comparisons") or {"targets": {}})["targets"].get(name) or {"rows": []})[
        "rows"
    ]
    return [row for row in rows if row["frechet"] is not None]


def _reuse_counts(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "The comparisons of naive and reduced samplers are missing from this copy."
    counts = {
        measure: [
            sum(sign * row[measure] > CERTAIN * row[f"{measure}_error"] for row in rows)
            for sign in (1, -1)
        ]
        for measure in ("frechet", "noise")
    }
    budgets = listed([str(n) for n in COMPARED])
    better = {row["nfe"] for row in rows if row["frechet"] > CERTAIN * row["frechet_error"]}
    where = f" (at {listed([str(n) for n in sorted(better)])} evaluations)" if better else ""
    return (
        f"At the same budget ({budgets} evaluations, both grids), reusing the score lowers the "
        f"Fréchet distance by more than {count(CERTAIN)} standard errors in "
        f"{counts['frechet'][0]} of {len(rows)} comparisons{where} and raises it so in "
        f"{counts['frechet'][1]}; it lowers the noise so in {counts['noise'][0]} and raises it in "
        f"{counts['noise'][1]}."
    )


def _comparison_table(name: str, rows: list[dict[str, Any]]) -> Table:
    noise = QUALITIES[JUDGED[name][1]]
    columns = (
        Column("naive", "naive"),
        Column("reduced", "reduced"),
        Column("grid", "grid"),
        Column("nfe", "evaluations", "", "d"),
        Column("frechet", "Fréchet distance", "naive − reduced"),
        Column("frechet_error", "Fréchet distance", "standard error", "2g"),
        Column("noise", noise, "naive − reduced"),
        Column("noise_error", noise, "standard error", "2g"),
    )
    return Table(
        f"quality-comparisons-{name}",
        f"**{TARGETS[name].capitalize()}: naive minus reduced at the same budget**, λ_{{s}} = 1; "
        "positive where reuse is better. Both samplers start at the same points; standard errors "
        "are of the difference, for the Fréchet distance by leaving out groups of samples "
        "(jackknife).",
        columns,
        tuple(tuple(row[column.key] for column in columns) for row in rows),
        f"`{store.KEPT['comparisons'].command}`",
    )


def _target(name: str, data: dict[str, Any]) -> list[Block]:
    cells, floors = cells_of(data), data["floors"]
    body: list[Block] = [text(_floors(name, data))]
    body += [_figure(name, dynamics, kind, cells, floors) for dynamics, kind in _KINDS.items()]
    rows = _compared(name)
    sentences = [
        _reuse_counts(rows),
        _extremes(cells),
        _noise(cells, JUDGED[name][1]),
        _tuning(cells),
    ]
    body.append(text(" ".join(sentences)))
    if rows:
        body.append(_comparison_table(name, rows))
    body += [_table(name, grid, cells) for grid in GRIDS]
    return body


_KINDS = {"ode": "probability flow", "sde": "reverse SDE"}


def _floors(name: str, data: dict[str, Any]) -> str:
    floors = data["floors"]
    words = (
        f"{data['samples']} samples per cell, seed {data['seed']}. As many images drawn from the "
        f"data have a Fréchet distance of {printed(floors['bootstrap'])} ± "
        f"{printed(floors['spread'], '2g')} to it (mean and standard deviation over draws): what "
        "a perfect sampler scores, and what is chance."
    )
    lowest = min(c["frechet"] for c in data["cells"] if c["frechet"] is not None)
    if lowest < floors["bootstrap"]:
        below = (floors["bootstrap"] - lowest) / floors["spread"]
        words += (
            f" The lowest of all runs, {printed(lowest)}, lies {printed(below, '2g')} standard "
            "deviations below that mean. That is no sign of a sampler better than perfect: all "
            "start at the same points, so that chance can favour many at once."
        )
    if name != "dataset":
        words += (
            " Images that were held out from the network’s training have a Fréchet distance of "
            f"{printed(floors['held_out'])} to those trained on, and a mean squared distance per "
            f"pixel of {printed(floors['residual'])} to the nearest of them."
        )
    return words


def _figure(name: str, dynamics: str, kind: str, cells: Cells, floors: dict[str, float]) -> Figure:
    panels = []
    for measure in JUDGED[name]:
        for grid in GRIDS:
            lines = [_line(cells, s.name, grid, measure) for s in entries("psld", dynamics)]
            marks = (
                (Mark(floors["bootstrap"], "a perfect sampler"),) if measure == "frechet" else ()
            )
            shown = QUALITIES[measure][0].upper() + QUALITIES[measure][1:]
            panels.append(
                Panel(f"{grid} grid", tuple(lines), "evaluations (NFE)", shown, marks=marks)
            )
    return Figure(
        f"quality-{name}-{dynamics}",
        f"**{TARGETS[name].capitalize()}, {kind}.** "
        f"{listed([QUALITIES[m] for m in JUDGED[name]])} at "
        "λ_{s} = 1; dotted: what a perfect sampler scores. "
        f"Fréchet distances above {DRAWN['frechet']:g} and noise above {DRAWN['residual']:g} are "
        "not drawn.",
        tuple(panels),
        f"stored results, {path_of(name).name}",
    )


def _line(cells: Cells, scheme: str, grid: str, measure: str) -> Line:
    values = [cells.get((scheme, grid, nfe, "one"), {}).get(measure) for nfe in NFES]
    y = tuple(float(v) if v is not None and v <= DRAWN[measure] else math.nan for v in values)
    return Line(scheme, tuple(map(float, NFES)), y)


def _table(name: str, grid: str, cells: Cells) -> Table:
    columns = [Column("scheme", "scheme")]
    for nfe in TABLE_NFES:
        columns += [
            Column(f"frechet{nfe}", "Fréchet", f"NFE {nfe}", smallest=True),
            Column(f"tuned{nfe}", "tuned", f"NFE {nfe}", smallest=True),
            Column(f"lambda{nfe}", "λ_{s}", f"NFE {nfe}", "2g"),
            Column(f"residual{nfe}", "residual", f"NFE {nfe}", smallest=True),
            Column(f"still{nfe}", "still", f"NFE {nfe}", smallest=True),
        ]
    rows = []
    for scheme in entries("psld"):
        row: list[Shown] = [link(scheme)]
        for nfe in TABLE_NFES:
            one = cells.get((scheme.name, grid, nfe, "one"), {})
            tuned = cells.get((scheme.name, grid, nfe, "tuned"), {})
            row += [one.get("frechet"), tuned.get("frechet"), tuned.get("lambda_s")]
            row += [one.get("residual"), one.get("still")]
        rows.append(tuple(row))
    return Table(
        f"quality-{name}-{grid}",
        f"**{TARGETS[name].capitalize()}, {grid} grid.** Fréchet distance at λ_{{s}} = 1 and at a "
        f"λ_{{s}} "
        "tuned by that of other samples of the exact score; residual noise and that at still "
        "pixels at 1.",
        tuple(columns),
        tuple(rows),
        f"stored results, {path_of(name).name}",
    )


def _extremes(cells: Cells) -> str:
    """The comparison of naive and reduced that differs most."""
    a, b = max(
        reuse(cells, "frechet"), key=lambda ab: abs(math.log(ab[0]["frechet"] / ab[1]["frechet"]))
    )
    return (
        f"The largest difference is {b['scheme']}’s {number(b['frechet'], '3g')} beside "
        f"{a['scheme']}’s {number(a['frechet'], '3g')} at {a['nfe']} evaluations on the "
        f"{a['grid']} grid."
    )


def _noise(cells: Cells, noise: str = "residual") -> str:
    parts = []
    for grid in GRIDS:
        best = _best(cells, grid, 50, noise)
        em = cells["EM", grid, 50, "one"][noise]
        parts.append(
            f"{best['scheme']} ({number(best[noise])}; EM {number(em)}) on the {grid} grid"
        )
    return f"At 50 evaluations the least noise is left by {listed(parts)}."


def _tuning(cells: Cells) -> str:
    """How often a tuned lambda_s is still better on samples it was not tuned on."""
    both = [
        (cells[(*key[:3], "one")]["frechet"], cell["frechet"])
        for key, cell in cells.items()
        if key[3] == "tuned" and cell["lambda_s"] != 1 and key[2] in COMPARED
    ]
    both = [(a, b) for a, b in both if a is not None and b is not None]
    better = sum(b < a for a, b in both)
    gain = printed(median(a / b for a, b in both), "2g") if both else "–"
    return (
        f"Where tuning moved λ_{{s}} off 1 ({len(both)} cells at these budgets), the Fréchet "
        f"distance of fresh samples fell in {better} of them, by a median factor of {gain} over "
        "all: "
        + ("tuning pays." if better > 0.75 * len(both) else "tuning on few samples pays little.")
    )
