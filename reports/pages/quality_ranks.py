"""Of the page on quality: how well exact Gaussian errors, and published FIDs, predict it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from reports.experiments.quality_data import GRIDS, NFES, Cell
from reports.experiments.ranks import Rank, spearman
from reports.experiments.store import published
from reports.pages.quality_terms import (
    ERRORS,
    JUDGED,
    QUALITIES,
    TABLE_NFES,
    TARGETS,
    Cells,
    cells_of,
)
from reports.render.document import Block, Column, Heading, Table, printed, text
from reports.render.document import Cell as Shown
from reports.render.spelling import count, listed
from splitting_analysis.catalogue import entries, find

SIGNIFICANT = 0.05


def ranks(cells: Cells, grid: str, nfe: int, judged: Sequence[str]) -> dict[tuple[str, str], Rank]:
    """Rank correlation of each exact error with each quality over all samplers at λ_s = 1."""
    there = [c for k, c in cells.items() if k[1:] == (grid, nfe, "one")]
    return {
        (error, quality): spearman([c[error] for c in there], [c[quality] for c in there])
        for error in ERRORS
        for quality in judged
    }


def ranks_of(name: str, data: dict[str, Any]) -> list[Block]:
    cells = cells_of(data)
    samplers = {key[0] for key in cells}
    found = {  # while a run is under way, a part of the samplers would have ranks of its own
        (grid, nfe): ranks(cells, grid, nfe, JUDGED[name])
        for grid in GRIDS
        for nfe in NFES
        if samplers <= {key[0] for key in cells if key[1:] == (grid, nfe, "one")}
    }
    title = f"Do exact Gaussian errors predict it? {TARGETS[name].capitalize()}"
    tables = [_rank_table(name, quality, found) for quality in JUDGED[name]]
    return [Heading(title, f"ranks-{name}"), text(_ranks_finding(found)), *tables]


def _rank_table(
    name: str, quality: str, found: dict[tuple[str, int], dict[tuple[str, str], Rank]]
) -> Table:
    rows = []
    for (grid, nfe), by in found.items():
        mine = [by[error, quality] for error in ERRORS]
        row: list[Shown] = [grid, nfe, max(rank.n for rank in mine)]
        for rank in mine:
            row += [rank.rho, rank.p]
        rows.append(tuple(row))
    columns = [
        Column("grid", "grid"),
        Column("nfe", "evaluations", "", "d"),
        Column("n", "samplers", "", "d"),
    ]
    for error, title in ERRORS.items():
        columns += [Column(error, title, "ρ", "2f"), Column(f"{error}-p", title, "p", "2g")]
    return Table(
        f"quality-ranks-{name}-{quality}",
        f"**{QUALITIES[quality].capitalize()}: Spearman’s rank correlation** with the exact error "
        "on the Gaussian with the digits’ spectrum, same sampler, grid, budget and λ_{s} = 1. p: "
        "two-sided, by permutations.",
        tuple(columns),
        tuple(rows),
        "exact errors by analytic_models; qualities: stored results",
    )


def _ranks_finding(found: dict[tuple[str, int], dict[tuple[str, str], Rank]]) -> str:
    parts = []
    for error, quality in next(iter(found.values())):
        values = [row[error, quality] for row in found.values()]
        sure = sum(r.p < SIGNIFICANT and r.rho > 0 for r in values)
        middle = printed(median(r.rho for r in values), "2f")
        parts.append(
            f"{ERRORS[error]} predicts the {QUALITIES[quality]} with a median ρ of {middle} (p < "
            f"{SIGNIFICANT:g} in {sure} of {len(values)} rows)"
        )
    return "Over grids and budgets, " + listed(parts) + "."


def beside_published(found: dict[str, Any]) -> list[Block]:
    """Published FIDs on CIFAR-10 against our numbers on the digits, over the samplers that have
    both.
    """
    fid = published()["psld_cifar10_fid"]
    known = {s.name for s in entries("psld")}
    rows: list[tuple[Shown, ...]] = []
    for nfe in TABLE_NFES:
        names = [n for n, row in fid["rows"].items() if n in known and str(nfe) in row]
        figures = [fid["rows"][n][str(nfe)] for n in names]
        for name, data in found.items():
            cells = cells_of(data)
            for grid in GRIDS:
                mine = [_as_published(cells, n, grid, nfe) for n in names]
                measures = (*JUDGED[name], *ERRORS)
                found_ranks = [
                    spearman(figures, [c.get(measure) for c in mine]) for measure in measures
                ]
                smallest = min(rank.p for rank in found_ranks)
                rows.append(
                    (name, grid, nfe, len(names), *(rank.rho for rank in found_ranks), smallest)
                )
    columns = [
        Column("target", "target"),
        Column("grid", "grid"),
        Column("nfe", "evaluations", "", "d"),
    ]
    columns.append(Column("n", "samplers", "", "d"))
    for measure, title in ({"frechet": QUALITIES["frechet"], "noise": "noise"} | ERRORS).items():
        columns.append(Column(measure, title, "ρ", "2f"))
    columns.append(Column("p", "smallest p", "", "2g"))
    numbers = sorted({int(row[3]) for row in rows if isinstance(row[3], int)})
    few, many = numbers[0], numbers[-1]
    least = printed(2 / math.factorial(few), "2g")
    return [
        Heading("Beside published FIDs", "published"),
        text(
            "The same correlation with the FIDs published for CIFAR-10, another data set and "
            "network: "
            f"{count(few)} to {count(many)} samplers have a figure there. Among {count(few)}, "
            "even perfect "
            f"agreement has p = {least}. "
            "As published, λ_{s} is tuned where a sampler has one."
        ),
        Table(
            "quality-published",
            "**Spearman’s rank correlation with published FIDs.**",
            tuple(columns),
            tuple(rows),
            f"{fid['source']}; ours: stored results",
        ),
    ]


def _as_published(cells: Cells, name: str, grid: str, nfe: int) -> Cell:
    """The cell with tuned λ_s where the scheme has an O, else its only one."""
    rule = "tuned" if find(name).has_tunable_noise else "one"
    return cells.get((name, grid, nfe, rule), {})
