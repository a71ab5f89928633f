"""Page: all of PSLD's samplers on the digits network at one budget, with standard errors."""

from __future__ import annotations

import math
from typing import Any

from reports.experiments import store
from reports.pages.absent import absent
from reports.pages.settings import Settings
from reports.render.document import (
    Block,
    Column,
    Heading,
    Page,
    Table,
    text,
    with_error,
)
from reports.render.document import Cell as Shown
from reports.render.spelling import count, listed
from splitting_analysis.catalogue import samplers

TITLE = "All samplers of PSLD at one budget"
CERTAIN = 3
"""Standard errors beyond which a difference counts."""
SHOWN = 1e3
"""A distance above it is of samples that are no images, of noise or all alike."""
Row = dict[str, Any]


def rows() -> list[Row]:
    """The stored cells of budgets that were computed to the end; empty where there is none."""
    found = store.stored("family") or {"rows": [], "whole": []}
    return [row for row in found["rows"] if row["nfe"] in found["whole"]]


def build(_: Settings) -> Page:
    found = rows()
    if not found:
        return absent("family", "family", TITLE)
    number = (store.stored("family") or {})["samples"]
    body: list[Block] = [
        text(
            "Published splittings, conjugate integrators, exponential steps and samplers that "
            "hold the data, one network, one target, one budget. All start from the prior and end "
            "with the data predicted at forward time "
            f"{(store.stored('family') or {})['eps']:g}, at one evaluation. "
            f"**Monte Carlo results, stored**: {number:,} samples a cell, Fréchet distance in the "
            "features of a small classifier, its standard error by leaving out groups. The λ of a "
            "conjugate integrator is the one with the smallest exact W_{2} on the digits "
            "spectrum, chosen without a sample. W_{2}: exact, on the Gaussian with the digits’ "
            "spectrum. “Lower” and “aligned” are factors R of the kernel’s covariance "
            "([Data held on PSLD](data-held.html)). Above a few hundred a distance is one of noise "
            "or of samples that have all become alike, whose standard error is then small: it "
            "tells no more than that there are no images."
        ),
        _best(found),
    ]
    for grid in dict.fromkeys(row["grid"] for row in found):
        body += [
            Heading(f"{grid.capitalize()} grid", grid),
            _distances(grid, [row for row in found if row["grid"] == grid]),
            _exact(grid, [row for row in found if row["grid"] == grid]),
        ]
    return Page("family", TITLE, _lead(found), tuple(body))


def best(found: list[Row], nfe: int, *, holds: bool) -> Row:
    """The smallest Fréchet distance at a budget, over both grids, of the samplers that hold the
    data or of the others.
    """
    held = {s.name for s in samplers("psld") if s.holds_pair}
    there = [row for row in found if row["nfe"] == nfe and row["frechet"] is not None]
    mine = [row for row in there if (row["sampler"].partition(",")[0] in held) == holds]
    return min(mine, key=lambda row: float(row["frechet"]))


def gap(found: list[Row], nfe: int) -> tuple[float, float]:
    """How much closer the best of those that hold the data comes than the best of the others, and
    the standard error of that.
    """
    held, other = (best(found, nfe, holds=holds) for holds in (True, False))
    error = math.hypot(held["frechet_error"], other["frechet_error"])
    return other["frechet"] - held["frechet"], error


def _budgets(found: list[Row]) -> list[int]:
    return list(dict.fromkeys(row["nfe"] for row in found))


def _lead(found: list[Row]) -> str:
    gaps = {nfe: gap(found, nfe) for nfe in _budgets(found)}
    sure = [nfe for nfe, (value, error) in gaps.items() if value > CERTAIN * error]
    lost = [nfe for nfe, (value, error) in gaps.items() if value < -CERTAIN * error]
    open_ = [nfe for nfe in gaps if nfe not in (*sure, *lost)]
    parts = []
    for nfes, what in (
        (sure, "samplers that hold the data come closest"),
        (lost, "a sampler that does not hold the data comes closest"),
        (open_, "the best of the two kinds are no further apart than chance allows"),
    ):
        if nfes:
            parts.append(f"with {listed([str(n) for n in nfes])} evaluations {what}")
    return (
        f"By the Fréchet distance of their samples, {'; '.join(parts)} "
        f"({count(CERTAIN)} standard errors)."
    )


def _best(found: list[Row]) -> Table:
    shown: list[tuple[Shown, ...]] = []
    for nfe in _budgets(found):
        value, error = gap(found, nfe)
        held, other = (_shown(best(found, nfe, holds=holds)) for holds in (True, False))
        shown.append((nfe, held, other, with_error(value, error, "2g")))
    return Table(
        "family-best",
        "**The best of the samplers that hold the data and of the others, over both grids**: "
        "Fréchet distance with its standard error, and by how much the first is the smaller.",
        (
            Column("nfe", "evaluations", "", "d"),
            Column("held", "hold the data"),
            Column("other", "others"),
            Column("gap", "difference"),
        ),
        tuple(shown),
        f"stored results, {store.path_of('family').name}",
    )


def _shown(row: Row) -> str:
    value = with_error(row["frechet"], row["frechet_error"])
    return f"{row['sampler']}, {row['grid']} grid: {value}"


def _samplers(found: list[Row]) -> dict[str, dict[int, Row]]:
    """Cells by sampler and budget."""
    names = dict.fromkeys(row["sampler"] for row in found)
    return {name: {r["nfe"]: r for r in found if r["sampler"] == name} for name in names}


def _word(cells: dict[int, Row]) -> str:
    word = next(iter(cells.values()))["word"]
    return f"`{word}`" if len(word) < 30 else "Runge–Kutta"


def _distances(grid: str, found: list[Row]) -> Table:
    nfes = _budgets(found)
    columns = [Column("sampler", "sampler"), Column("word", "word")]
    for nfe in nfes:
        columns += [
            Column(f"frechet{nfe}", "Fréchet", f"NFE {nfe}", smallest=True),
            Column(f"error{nfe}", "±", f"NFE {nfe}", "1g"),
        ]
    shown = []
    for name, mine in _samplers(found).items():
        cells: list[Shown] = [name, _word(mine)]
        for nfe in nfes:
            row = mine.get(nfe)
            if row is None:
                cells += [None, None]
            elif row["frechet"] is None or row["frechet"] > SHOWN:
                cells += ["no images", None]
            else:
                cells += [row["frechet"], row["frechet_error"]]
        shown.append(tuple(cells))
    return Table(
        f"family-{grid}",
        f"**Fréchet distance on the digits network, {grid} grid**, with its standard error. “No "
        f"images”: above {SHOWN:g}, or not finite; –: the budget buys no step.",
        tuple(columns),
        tuple(shown),
        f"stored results, {store.path_of('family').name}",
    )


def _exact(grid: str, found: list[Row]) -> Table:
    nfes = _budgets(found)
    return Table(
        f"family-exact-{grid}",
        f"**The same cells’ exact position W_{{2}} on the digits spectrum, {grid} grid** (data "
        "units). –: the budget buys no step, or the exact law blew up.",
        (
            Column("sampler", "sampler"),
            Column("word", "word"),
            *(Column(f"w2{nfe}", "W_{2}", f"NFE {nfe}", smallest=True) for nfe in nfes),
        ),
        tuple(
            (name, _word(mine), *(mine[nfe]["w2_x"] if nfe in mine else None for nfe in nfes))
            for name, mine in _samplers(found).items()
        ),
        f"stored results, {store.path_of('family').name}",
    )
