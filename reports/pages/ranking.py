"""Page: which exact number orders samplers as the Fréchet distance of their samples does."""

from __future__ import annotations

from itertools import combinations
from math import inf, sqrt
from typing import Any

from reports.experiments import store
from reports.experiments.quality_data import stored
from reports.pages.absent import absent
from reports.pages.family import SHOWN
from reports.pages.family import rows as family_rows
from reports.pages.settings import Settings
from reports.render.document import (
    Block,
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

PARTS = {
    "dataset": "exact score of the digits data set",
    "network": "trained network",
    "family": "trained network, the whole family",
}
PREDICTORS = {
    "predicted": "Fréchet distance foretold",
    "w2_x": "W_{2}",
    "worst_mode_x": "worst mode’s W_{2}",
    "kl_x": "KL divergence",
}
CERTAIN = 3
"""Standard errors of a difference beyond which a pair is ordered by more than chance."""
RELATIVE = 0.05
"""Standard error of a large distance, as a part of it: where only a perfect sampler's is stored."""
IMAGES = SHOWN
"""Above it samples are no images: which of two such samplers is worse is of no interest."""
DRAWN = 1e4
WELL = 10.0
"""A distance foretold below it promises samples that are hard to tell from the data."""
Row = dict[str, Any]


def cells(part: str) -> list[Row]:
    """Samplers with their measured distance, its standard error, and every predictor."""
    foretold = {
        (row["sampler"], row["grid"], row["nfe"]): row["predicted"]
        for row in (store.stored("predicted") or {"rows": []})["rows"]
        if row["part"] == part
    }
    if part == "family":
        found = [dict(row) for row in family_rows()]
    else:
        data = stored(part)
        if data is None:
            return []
        least = data["floors"]["spread"]
        found = [
            {
                **cell,
                "sampler": cell["scheme"],
                "frechet_error": max(least, RELATIVE * (cell["frechet"] or 0.0)),
            }
            for cell in data["cells"]
            if cell["rule"] == "one"
        ]
    for row in found:
        row["predicted"] = foretold.get((row["sampler"], row["grid"], row["nfe"]))
    return found


def decided(found: list[Row]) -> list[tuple[Row, Row]]:
    """Pairs on one grid and budget, the better first, that differ by more than chance."""
    pairs = []
    for a, b in combinations(found, 2):
        if (a["grid"], a["nfe"]) != (b["grid"], b["nfe"]):
            continue
        first, second = sorted((a, b), key=_measured)
        if _measured(first) > IMAGES:
            continue
        chance = sqrt(first["frechet_error"] ** 2 + (second["frechet_error"] or 0.0) ** 2)
        if _measured(second) - first["frechet"] > CERTAIN * chance:
            pairs.append((first, second))
    return pairs


def _measured(row: Row) -> float:
    return inf if row["frechet"] is None else float(row["frechet"])


def right(pairs: list[tuple[Row, Row]], predictor: str) -> int | None:
    """How many of the pairs a predictor orders as they are; None where it is not stored."""
    if not pairs or not all(predictor in row for pair in pairs for row in pair):
        return None
    values = [[inf if row[predictor] is None else row[predictor] for row in p] for p in pairs]
    return sum(better < worse for better, worse in values)


def build(_: Settings) -> Page:
    title = "Which exact number ranks samplers as a network does"
    found = {part: own for part in PARTS if (own := cells(part))}
    if not found or store.stored("predicted") is None:
        return absent("predicted", "ranking", title)
    body: list[Block] = [
        text(
            "A designer wants the order of samplers before any sample is drawn. Of all pairs of "
            "samplers on one grid at one budget, those count whose measured Fréchet distances "
            f"differ by more than {CERTAIN} standard errors and of which one at least makes images "
            f"(a distance below {IMAGES:g}); of each exact number it is asked how "
            "many of these pairs it orders as they are. “Fréchet distance foretold”: the images of "
            "the data are given the mean and variances of the sampler’s exact law, mode by mode, "
            "and judged by their features as samples are. It takes the data and the features, no "
            "network and none of its samples. The standard error of a distance is measured for "
            "the whole family; on the other two it is that of a perfect sampler, and at least "
            f"{RELATIVE:.0%} of the distance."
        ),
        _table(found),
        Heading("Foretold and measured", "foretold"),
        _figure(found),
        text(_missed(found)),
    ]
    return Page("ranking", title, _lead(found), tuple(body))


def _lead(found: dict[str, list[Row]]) -> str:
    parts, ends = [], list[float]()
    for part, own in found.items():
        pairs = decided(own)
        shares = {
            title: k / len(pairs)
            for predictor, title in PREDICTORS.items()
            if (k := right(pairs, predictor)) is not None
        }
        least, most = min(shares, key=lambda t: shares[t]), max(shares, key=lambda t: shares[t])
        ends += [shares[least], shares[most]]
        told = f"{shares[least]:.0%} ({least}) to {shares[most]:.0%} ({most})"
        if f"{shares[least]:.0%}" == f"{shares[most]:.0%}":
            told = f"{shares[most]:.0%} by {listed(list(shares))}"
        parts.append(f"{told} of {len(pairs)} on the {PARTS[part]}")
    return (
        "Before any sample is drawn an exact number tells which of two samplers comes closer in "
        f"{min(ends):.0%} to {max(ends):.0%} of the pairs whose Fréchet distances differ by more "
        f"than chance. It does so in {'; '.join(parts)}."
    )


def _missed(found: dict[str, list[Row]]) -> str:
    both = [
        (PARTS[part], row)
        for part, own in found.items()
        for row in own
        if row["predicted"] and row["frechet"] and row["predicted"] < WELL
    ]
    where, worst = max(both, key=lambda at: float(at[1]["frechet"] / max(at[1]["predicted"], WELL)))
    return (
        "Far to the left the measured distance stays where chance and the score’s own error hold "
        "it, and no exact number orders what is left. And a Gaussian’s score is not a network’s "
        f"everywhere: the worst of what is foretold below {WELL:g} is {worst['sampler']} on the "
        f"{worst['grid']} grid with {worst['nfe']} evaluations, foretold "
        f"{printed(worst['predicted'], '2g')} and measured {printed(worst['frechet'], '2g')} "
        f"({where})."
    )


def _table(found: dict[str, list[Row]]) -> Table:
    rows: list[tuple[str | int | float | None, ...]] = []
    for part, own in found.items():
        pairs = decided(own)
        for nfe in (*dict.fromkeys(row["nfe"] for row in own), None):
            mine = [p for p in pairs if nfe in (None, p[0]["nfe"])]
            if not mine:
                continue
            counts = [right(mine, predictor) for predictor in PREDICTORS]
            rows.append(
                (
                    PARTS[part],
                    "all" if nfe is None else nfe,
                    len(mine),
                    *(None if k is None else 100 * k / len(mine) for k in counts),
                )
            )
    return Table(
        "ranking-pairs",
        "**Pairs ordered as the samples are**, of those that differ by more than chance.",
        (
            Column("part", "measured on"),
            Column("nfe", "evaluations", "", "d"),
            Column("pairs", "pairs", "", "d"),
            *(Column(key, title, "%", "3g") for key, title in PREDICTORS.items()),
        ),
        tuple(rows),
        "distances: stored results; exact numbers by analytic_models",
    )


def _figure(found: dict[str, list[Row]]) -> Figure:
    panels = []
    budgets = sorted({row["nfe"] for own in found.values() for row in own})
    for part, own in found.items():
        drawn = [
            row
            for row in own
            if row["predicted"] and row["frechet"] and max(row["predicted"], row["frechet"]) < DRAWN
        ]
        lines = tuple(
            Line(
                f"{nfe} evaluations",
                tuple(float(r["predicted"]) for r in drawn if r["nfe"] == nfe),
                tuple(float(r["frechet"]) for r in drawn if r["nfe"] == nfe),
                "points",
            )
            for nfe in budgets  # all in every panel: a budget has one marker
        )
        same = tuple(10.0**k for k in (-0.5, 1.0, 2.5, 4.0))
        panels.append(
            Panel(
                PARTS[part][0].upper() + PARTS[part][1:],
                (*lines, Line("foretold = measured", same, same, "reference")),
                "Fréchet distance foretold",
                "measured",
            )
        )
    return Figure(
        "ranking-foretold",
        "**Fréchet distances, foretold by exact laws and measured on samples.** One point a "
        f"sampler, grid and budget; what lies above {DRAWN:g} is not drawn.",
        tuple(panels),
        "stored results, predicted.json, quality_*.json, family.json",
    )
