"""Part of the overview: which sampler for a budget, by the samples of the two digits networks."""

from __future__ import annotations

import math
from typing import NamedTuple

from reports.experiments.store import path_of
from reports.experiments.vp_splitting_data import GRIDS
from reports.pages import family, vp_splitting
from reports.render.document import Cell, Column, Table, printed, with_error

BUDGET = 10
"""Evaluations of which the lead speaks."""


class Best(NamedTuple):
    """The sampler whose samples come closest: Fréchet distance and the standard error of that."""

    name: str
    grid: str
    distance: float
    error: float

    def __str__(self) -> str:
        return f"{self.name}, {self.grid}: {with_error(self.distance, self.error)}"


Pair = tuple[Best, Best]
"""The best of the samplers that are no splittings, and the best splitting."""


def psld() -> dict[int, Pair]:
    """By evaluations, of PSLD, over both grids; empty where no cells are stored."""
    found: dict[int, dict[bool, list[Best]]] = {}
    for row in family.rows():
        if row["frechet"] is not None:
            whole = any(token.startswith("E") for token in row["word"].split())
            best = Best(row["sampler"], row["grid"], row["frechet"], row["frechet_error"])
            found.setdefault(row["nfe"], {}).setdefault(whole, []).append(best)
    return {nfe: (_least(kinds[True]), _least(kinds[False])) for nfe, kinds in found.items()}


def vp() -> dict[int, Pair]:
    """The same of VP."""
    cells = vp_splitting.cells_of(vp_splitting.kept("network"))

    def best(own: bool, nfe: int) -> Best:
        options = [(grid, vp_splitting.best(cells, own, nfe, "frechet", grid)) for grid in GRIDS]
        return _least([Best(name, grid, value, error) for grid, (name, value, error) in options])

    return {nfe: (best(False, nfe), best(True, nfe)) for nfe in sorted({key[2] for key in cells})}


def _least(found: list[Best]) -> Best:
    return min(found, key=lambda best: best.distance)


def apart(pair: Pair) -> float:
    """How much closer the first comes than the splitting, in standard errors of the difference."""
    other, splitting = pair
    return (splitting.distance - other.distance) / math.hypot(splitting.error, other.error)


def lead() -> str:
    """What to take for BUDGET evaluations; empty where no samples are stored."""
    parts = []
    for model, found in (("PSLD", psld()), ("VP", vp())):
        if BUDGET in found:
            other, _ = found[BUDGET]
            first, second = sorted(found[BUDGET], key=lambda best: best.distance)
            kind = "other sampler" if second is other else "splitting"
            parts.append(
                f"{_short(first)} on {model} ({printed(first.distance, '3g')}, {first.grid} grid; "
                f"the best {kind}, {_short(second)}, {printed(second.distance, '3g')})"
            )
    if not parts:
        return ""
    return (
        f"With {BUDGET} evaluations the samples closest to 8 × 8 digits, by Fréchet distance, are "
        f"those of {' and of '.join(parts)}. "
    )


def _short(best: Best) -> str:
    """Without what the name says of its factor or λ."""
    return best.name.partition(",")[0]


def table() -> list[Table]:
    """Of every budget; none where no samples are stored."""
    rows: list[tuple[Cell, ...]] = [
        (model, nfe, *map(str, pair), apart(pair))
        for model, found in (("PSLD", psld()), ("VP", vp()))
        for nfe, pair in sorted(found.items())
    ]
    if not rows:
        return []
    psld_names = len({row["sampler"] for row in family.rows()})
    vp_names = len({key[0] for key in vp_splitting.cells_of(vp_splitting.kept("network"))})
    return [
        Table(
            "index-choice",
            f"**Fréchet distance of samples**, with its standard error: the best of {psld_names} "
            f"samplers on a network of PSLD and of {vp_names} on one of VP, on either grid. "
            "Apart: how much closer the first comes than the splitting, in standard errors; "
            "between −3 and 3 it may be chance. All samplers: [PSLD](family.html), "
            "[VP](vp-splitting.html).",
            (
                Column("model", "model"),
                Column("nfe", "evaluations", "", "d"),
                Column("other", "best that is no splitting"),
                Column("splitting", "best splitting"),
                Column("apart", "apart", "standard errors", "2g"),
            ),
            tuple(rows),
            f"stored results, {path_of('family').name}, {path_of('vp_network').name}",
        )
    ]
