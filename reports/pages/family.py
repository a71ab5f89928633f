"""Page: all of PSLD's samplers on the digits network at one budget, with standard errors."""

from __future__ import annotations

from typing import Any

from reports.experiments import store
from reports.pages.absent import absent
from reports.pages.settings import Settings
from reports.render.document import Block, Column, Heading, Page, Table, printed, text
from reports.render.document import Cell as Shown
from reports.render.spelling import listed
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
        )
    ]
    for grid in dict.fromkeys(row["grid"] for row in found):
        body += [
            Heading(f"{grid.capitalize()} grid", grid),
            _distances(grid, [row for row in found if row["grid"] == grid]),
            _exact(grid, [row for row in found if row["grid"] == grid]),
        ]
    return Page("family", TITLE, _lead(found), tuple(body))


def best(found: list[Row]) -> dict[int, Row]:
    """The smallest Fréchet distance of each budget, over both grids."""
    there = [row for row in found if row["frechet"] is not None]
    return {
        nfe: min((r for r in there if r["nfe"] == nfe), key=lambda r: float(r["frechet"]))
        for nfe in dict.fromkeys(row["nfe"] for row in there)
    }


def _lead(found: list[Row]) -> str:
    holds = {s.name for s in samplers("psld") if s.holds_pair}
    parts, certain = [], 0
    for nfe, first in best(found).items():
        rest = [
            r
            for r in found
            if r["nfe"] == nfe
            and r["frechet"] is not None
            and (_base(r) in holds) != (_base(first) in holds)
        ]
        other = min(rest, key=lambda r: float(r["frechet"]))
        gap = other["frechet"] - first["frechet"]
        certain += (
            gap > CERTAIN * (first["frechet_error"] ** 2 + other["frechet_error"] ** 2) ** 0.5
        )
        kind = "holds" if _base(first) in holds else "does not hold"
        parts.append(
            f"{nfe} evaluations {_shown(first)}, which {kind} the data ({_shown(other)} is the "
            "best of the others)"
        )
    return (
        f"By the Fréchet distance of their samples the best are, with {listed(parts)}; "
        f"{certain} of these {len(parts)} gaps exceed {CERTAIN} standard errors."
    )


def _base(row: Row) -> str:
    return str(row["sampler"]).partition(",")[0]


def _shown(row: Row) -> str:
    value, error = printed(row["frechet"], "3g"), printed(row["frechet_error"], "1g")
    return f"{row['sampler']} ({row['grid']}) at {value} ± {error}"


def _samplers(found: list[Row]) -> dict[str, dict[int, Row]]:
    """Cells by sampler and budget."""
    names = dict.fromkeys(row["sampler"] for row in found)
    return {name: {r["nfe"]: r for r in found if r["sampler"] == name} for name in names}


def _word(cells: dict[int, Row]) -> str:
    word = next(iter(cells.values()))["word"]
    return f"`{word}`" if len(word) < 30 else "Runge–Kutta"


def _distances(grid: str, found: list[Row]) -> Table:
    nfes = list(dict.fromkeys(row["nfe"] for row in found))
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
    nfes = list(dict.fromkeys(row["nfe"] for row in found))
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
