"""Page: splittings of VP's flow and reverse SDE beside its other samplers, at equal evaluations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from reports.experiments.store import KEPT, path_of, stored
from reports.experiments.vp_splitting_data import (
    ETAS,
    GRIDS,
    NFES,
    OTHERS,
    REUSED,
    SPLITTINGS,
    TUNED,
    Cell,
    Key,
    exact,
    key_of,
    keys,
    problem,
    sampler,
    w2,
)
from reports.pages.absent import told
from reports.pages.exact_runs import SPECTRUM
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
from reports.render.spelling import link, listed
from splitting_analysis.catalogue import CATALOGUE
from splitting_analysis.grids import EPS

Cells = Mapping[Key, Cell]
DRAWN = 10.0
"""Exact errors above are not drawn, nor Fréchet distances above a hundred times that."""
GRID = GRIDS[1]
"""The grid of the figures and of what is said."""
NEAR, FINE = 1.25, 4000
"""So many times the limit no longer tells samplers apart; evaluations that reach it."""
PASSES = 3.0
"""A network passes where samples are at most so many times as far as held-out images."""
TITLES = {"dataset": "exact score of the digits data set", "network": "network trained for VP"}


@cache
def digits() -> Cells:
    """Exact errors on the digits' spectrum."""
    return {key: exact(key) for key in keys("digits")}


def kept(target: str) -> dict[str, Any] | None:
    return stored(f"vp_{target}")


def cells_of(found: dict[str, Any] | None) -> Cells:
    return {key_of(cell): cell for cell in (found or {}).get("cells", [])}


def build(_: Settings) -> Page:
    body: list[Block] = [
        text(
            "VP’s probability flow is dx = (β/2)(x + s) dt. **Strang splitting** takes its linear "
            "part `L` exactly over half of the step, the score’s part `K` over all of it and `L` "
            "again: `L/2 S@1/2 K L/2` with `K` by Euler’s rule (Strang-Euler, order 1 for all its "
            "symmetry), or by the midpoint rule, two evaluations in a *row* of `K` "
            "(Strang, order 2; Liu, Gu & Liu, arXiv 2601.17375). Of the reverse SDE **SSCS** takes "
            "the Ornstein–Uhlenbeck flow −(β/2) x dt + √β dW as `L` and β (s + x) as `K`: "
            "`L/2 S K L/2`; with a row of `K` (SSCS2, `L/2 S K[1/2] S@1/2 K[0,1] L/2`) its weak "
            f"order is 2, derived. *{REUSED}* is `S L/2 K L/2`: the score of where the step before "
            f"ended. *{TUNED}* has the noise level η of {listed([f'{float(e):g}' for e in ETAS])} "
            "with the least exact error on the digits’ spectrum at that grid and budget; 0 is "
            "DPM++2M. All runs go from the prior to "
            f"forward time {EPS:g} and end with the denoising step, at one evaluation."
        ),
        Heading("Exact errors", "exact"),
        _figure(
            "vp-splitting-exact",
            f"**Exact position W_{{2}} against cost, {GRID} grid.** Errors above {DRAWN:g} are not "
            "drawn.",
            [_panel(title, cells, "w2_x", DRAWN) for title, cells in _spectra().items()],
            _source(),
        ),
        text(_said(digits())),
        _table("digits", digits(), "w2_x", "digits spectrum: exact position W_{2}", SPECTRUM),
    ]
    if cifar := cells_of(kept("cifar10")):
        what = "CIFAR-10 spectrum: exact position W_{2}"
        source = f"stored results, `{KEPT['vp_cifar10'].command}`"
        body.append(_table("cifar10", cifar, "w2_x", what, source))
    else:
        body.append(text(told("vp_cifar10")))
    for target, title in TITLES.items():
        body.append(Heading(title[0].upper() + title[1:], target))
        body += _sampled(target, title)
    return Page("vp-splitting", "Splitting the position-only flow", _lead(digits()), tuple(body))


def _spectra() -> dict[str, Cells]:
    found = {"digits": digits(), "CIFAR-10": cells_of(kept("cifar10"))}
    return {name: cells for name, cells in found.items() if cells}


def _source() -> str:
    return f"{SPECTRUM}; CIFAR-10: stored results, `{KEPT['vp_cifar10'].command}`"


def _value(cells: Cells, key: Key, measure: str) -> float:
    """A cell's number, infinite where the run blew up or is not there."""
    value = cells.get(key, {}).get(measure)
    return math.inf if value is None else float(value)


def best(cells: Cells, names: tuple[str, ...], nfe: int, measure: str) -> tuple[str, float]:
    """The best of some samplers on the grid of the figures."""
    errors = {name: _value(cells, (name, GRID, nfe), measure) for name in names}
    name = min(errors, key=errors.__getitem__)
    return name, errors[name]


def _pairs(cells: Cells, measure: str, budgets: tuple[int, ...]) -> str:
    parts = []
    for nfe in budgets:
        (own, a), (other, b) = (best(cells, g, nfe, measure) for g in (SPLITTINGS, OTHERS))
        parts.append(f"{printed(a)} ({own}) beside {printed(b)} ({other}) with {nfe}")
    return listed(parts)


def _lead(cells: Cells) -> str:
    open_ = [n for n in NFES if _least(cells, n) > NEAR * limit("ode")]
    wins = [n for n in open_ if best(cells, SPLITTINGS, n, "w2_x")[1] < _least(cells, n)]
    closed = [str(n) for n in NFES if n not in open_]
    won = (
        f"A splitting is the best at {listed([str(n) for n in wins])} evaluations only"
        if wins
        else "At no budget is a splitting the best"
    )
    won += f" (at {listed(closed)} all that is left is near the limit)" if closed else ""
    return (
        f"{won}. On the digits spectrum and the {GRID} grid the best splitting and the best other "
        f"sampler come as close to the data, by position W_{{2}}, as "
        f"{_pairs(cells, 'w2_x', NFES)} evaluations."
    )


@cache
def limit(dynamics: str) -> float:
    """What start, cut and denoising step leave when the steps err no more."""
    own = {"ode": "UniPC3", "sde": "SSCS2"}[dynamics]
    return w2(problem(GRID), sampler(own, GRID, FINE), FINE) or math.inf


def _least(cells: Cells, nfe: int) -> float:
    return best(cells, OTHERS, nfe, "w2_x")[1]


def _said(cells: Cells) -> str:
    """Why: what half a step of the linear part alone does; what the row and reuse do to SSCS."""
    ratios = []
    for nfe in NFES:
        plain, rows, again = (
            _value(cells, (name, GRID, nfe), "w2_x") for name in ("SSCS", "SSCS2", REUSED)
        )
        ratios.append(f"{printed(rows / plain, '2g')} and {printed(again / plain, '2g')} at {nfe}")
    behind = [
        nfe
        for nfe in NFES
        if min(_value(cells, (n, GRID, nfe), "w2_x") for n in SPLITTINGS[:2])
        > _value(cells, ("DDIM", GRID, nfe), "w2_x")
    ]
    return (
        f"With ever more steps the samplers of the flow end at {printed(limit('ode'))}, those of "
        f"the SDE at {printed(limit('sde'))}: what start, cut and denoising step leave (the SDE "
        "forgets the start). That is no bound: below it the steps err against the cut. "
        "Strang splitting of the flow pays for a split that is not small: x and s cancel where the "
        "law is that of the prior, and each half of `L` alone expands the state by "
        "exp(∫β/4) before the score takes it back. It is less accurate than DDIM, of order 1, "
        f"at {listed([str(n) for n in behind])} evaluations, blown up where no number stands. SSCS "
        "splits into two parts that both leave the prior as it is, and has no such cost. "
        "The error of SSCS2 and that with the score reused, over that of SSCS, are "
        f"{listed(ratios)} evaluations: the second order needs enough steps to pay its second "
        "evaluation, and a reused score saves nothing here, where SSCS takes one evaluation "
        "anyway."
    )


def _sampled(target: str, title: str) -> list[Block]:
    found = kept(target)
    if found is None:
        return [text(told(f"vp_{target}"))]
    cells, source = cells_of(found), f"stored results, {path_of(f'vp_{target}').name}"
    budgets = tuple(sorted({nfe for _, _, nfe in cells}))
    body: list[Block] = [
        text(
            f"**Monte Carlo results, stored**: {found['samples']} samples per cell, seed "
            f"{found['seed']}, judged by the Fréchet distance of the digits’ features; standard "
            f"errors over {found['draws']} draws of the samples with replacement. "
            + (_judged(found["judge"]) if "judge" in found else "")
            + f"On the {GRID} grid the best splitting and the best other sampler have "
            f"{_pairs(cells, 'frechet', budgets)} evaluations."
        ),
        _figure(
            f"vp-splitting-{target}",
            f"**Fréchet distance against cost, {title}, {GRID} grid.** Above {100 * DRAWN:g} they "
            "are not drawn.",
            [_panel(title, cells, "frechet", 100 * DRAWN, _marks(found))],
            source,
        ),
        _table(target, cells, "frechet", f"{title}: Fréchet distance", source),
    ]
    return body


def _marks(found: dict[str, Any]) -> tuple[Mark, ...]:
    if "judge" not in found:
        return ()
    return (Mark(found["judge"]["held_out"], "held-out images"),)


def _judged(judge: dict[str, Any]) -> str:
    ratio = judge["frechet"] / judge["held_out"]
    does = "passes" if ratio < PASSES else "does **not** pass"
    return (
        f"The network {does} as a model of the digits: {judge['number']} samples of "
        f"{judge['sampler']} with {judge['nfe']} evaluations have a Fréchet distance of "
        f"{printed(judge['frechet'])} to the images trained on, {printed(ratio, '2g')} times that "
        f"of as many held-out images ({printed(judge['held_out'])}; at most {PASSES:g} times is "
        "allowed, as for PSLD’s). "
    )


def _panel(
    title: str, cells: Cells, measure: str, most: float, marks: tuple[Mark, ...] = ()
) -> Panel:
    budgets = sorted({nfe for _, _, nfe in cells})
    lines = []
    for name in (*SPLITTINGS, *OTHERS):
        values = [_value(cells, (name, GRID, nfe), measure) for nfe in budgets]
        y = tuple(v if v <= most else math.nan for v in values)
        lines.append(Line(name, tuple(map(float, budgets)), y))
    label = "position W_{2} (data units)" if measure == "w2_x" else "Fréchet distance"
    return Panel(title, tuple(lines), "score evaluations", label, marks=marks)


def _figure(key: str, caption: str, panels: list[Panel], source: str) -> Figure:
    return Figure(key, caption, tuple(panels), source)


def _table(target: str, cells: Cells, measure: str, what: str, source: str) -> Table:
    budgets = [(grid, nfe) for grid in GRIDS for nfe in NFES]
    budgets = [(g, n) for g, n in budgets if any(key[1:] == (g, n) for key in cells)]
    sampled = measure != "w2_x"
    columns = [Column("sampler", "sampler"), Column("order", "order", "claimed", "d")]
    for grid, nfe in budgets:
        columns.append(Column(f"{grid}{nfe}", str(nfe), f"{grid} grid", "3g", smallest=True))
        if sampled and len(budgets) < len(NFES):
            columns.append(Column(f"{grid}{nfe}-error", "±", f"{grid} grid", "2g"))
    rows: list[tuple[Shown, ...]] = []
    for name in (*SPLITTINGS, *OTHERS):
        row: list[Shown] = [_named(name), sampler(name, GRID, NFES[-1]).order]
        for grid, nfe in budgets:
            cell = cells.get((name, grid, nfe), {})
            row.append(cell.get(measure))
            if sampled and len(budgets) < len(NFES):
                row.append(cell.get("standard_error"))
        rows.append(tuple(row))
    return Table(
        f"vp-splitting-{target}",
        f"**{what[0].upper()}{what[1:]}, by the number of evaluations.** No number: the budget "
        "buys no step, or the run blew up. Smallest of each column in bold.",
        tuple(columns),
        tuple(rows),
        source,
    )


def _named(name: str) -> str:
    """Linked to the catalogue where that has it."""
    own = sampler(name, GRID, NFES[-1])
    return link(own) if own in CATALOGUE else name
