"""Page: splittings of VP's flow and reverse SDE beside its other samplers, at equal evaluations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from itertools import product
from typing import Any

from reports.experiments.store import KEPT, path_of, stored
from reports.experiments.vp_splitting_data import (
    ETAS,
    GRIDS,
    NFES,
    REUSED,
    SPLITTINGS,
    TUNED,
    Cell,
    Key,
    exact,
    key_of,
    others,
    problem,
    sampler,
    w2,
)
from reports.pages import vp_splitting_levels
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
    with_error,
)
from reports.render.document import Cell as Shown
from reports.render.spelling import count, link, listed
from splitting_analysis.catalogue import CATALOGUE
from splitting_analysis.grids import EPS

Cells = Mapping[Key, Cell]
DRAWN = 10.0
"""Exact errors above are not drawn, nor Fréchet distances above a hundred times that."""
GRID = GRIDS[1]
"""The grid of the figures and of what is said of single budgets."""
CERTAIN = 2
"""Standard errors up to which a difference may be chance."""
FINE = 4000
"""So many times the limit no longer tells samplers apart; evaluations that reach it."""
ALWAYS = (*SPLITTINGS, "DDIM")
"""Drawn in every figure, beside whatever else is the best at some budget."""
SHOWN = "The splittings, DDIM, and every other sampler that is the best at some budget."
PASSES = 3.0
"""A network passes where samples are at most so many times as far as held-out images."""
TITLES = {"dataset": "exact score of the digits data set", "network": "network trained for VP"}


@cache
def digits() -> Cells:
    """Exact errors of all of VP's samplers on the digits' spectrum."""
    names = (*SPLITTINGS, *others())
    return {key: exact(key) for key in product(names, GRIDS, NFES)}


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
            f"**Exact position W_{{2}} against cost, {GRID} grid.** {SHOWN} Errors above {DRAWN:g} "
            "are not drawn.",
            [_panel(title, cells, "w2_x", DRAWN) for title, cells in _spectra().items()],
            _source(),
        ),
        _best("digits", digits(), "w2_x", "exact position W_{2}, digits spectrum", SPECTRUM),
        text(_said(digits())),
        *_tables("digits", digits(), "w2_x", "digits spectrum: exact position W_{2}", SPECTRUM),
    ]
    if cifar := cells_of(kept("cifar10")):
        what = "CIFAR-10 spectrum: exact position W_{2}"
        source = f"stored results, `{KEPT['vp_cifar10'].command}`"
        body.append(text(f"On the CIFAR-10 spectrum {_names(cifar)} samplers are computed."))
        body += _tables("cifar10", cifar, "w2_x", what, source)
    else:
        body.append(text(told("vp_cifar10")))
    body += vp_splitting_levels.blocks()
    for target, title in TITLES.items():
        body.append(Heading(title[0].upper() + title[1:], target))
        body += _sampled(target, title)
    return Page("vp-splitting", "Splitting the position-only flow", _lead(digits()), tuple(body))


def _spectra() -> dict[str, Cells]:
    found = {"digits": digits(), "CIFAR-10": cells_of(kept("cifar10"))}
    return {name: cells for name, cells in found.items() if cells}


def _source() -> str:
    return f"{SPECTRUM}; CIFAR-10: stored results, `{KEPT['vp_cifar10'].command}`"


def _names(cells: Cells) -> int:
    return len({name for name, *_ in cells})


def _value(cells: Cells, key: Key, measure: str) -> float:
    """A cell's number, infinite where the run blew up or is not there."""
    value = cells.get(key, {}).get(measure)
    return math.inf if value is None else float(value)


def best(
    cells: Cells, own: bool, nfe: int, measure: str, grid: str = GRID
) -> tuple[str, float, float]:
    """The best of the splittings (`own`) or of the other samplers that have a cell: its name, its
    number and the standard error of that (0 where it is exact).
    """
    names = [n for n in dict.fromkeys(key[0] for key in cells) if (n in SPLITTINGS) == own]
    errors = {name: _value(cells, (name, grid, nfe), measure) for name in names}
    name = min(errors, key=errors.__getitem__)
    return name, errors[name], cells[name, grid, nfe].get("standard_error") or 0.0


def _shown(found: tuple[str, float, float]) -> str:
    name, value, error = found
    return f"{name}: {with_error(value, error, '2g') if error else printed(value)}"


def cases(cells: Cells) -> list[tuple[str, int]]:
    """Grids and budgets that have cells."""
    there = {key[1:] for key in cells}
    return [(grid, nfe) for grid in GRIDS for nfe in NFES if (grid, nfe) in there]


def wins(cells: Cells, measure: str) -> list[tuple[str, int]]:
    """Grids and budgets at which a splitting is the best of all."""
    return [
        (grid, nfe)
        for grid, nfe in cases(cells)
        if best(cells, True, nfe, measure, grid)[1] < best(cells, False, nfe, measure, grid)[1]
    ]


def certain(cells: Cells, own: bool) -> int:
    """At how many grids and budgets the best splitting (`own`) or the best other sampler is the
    better by more than CERTAIN standard errors of their difference.
    """
    found = 0
    for grid, nfe in cases(cells):
        (_, a, da), (_, b, db) = (
            best(cells, each, nfe, "frechet", grid) for each in (own, not own)
        )
        found += b - a > CERTAIN * math.hypot(da, db)
    return found


def _lead(cells: Cells) -> str:
    won, all_ = wins(cells, "w2_x"), cases(cells)
    return (
        f"Of {_names(cells)} samplers of VP a splitting comes closest to the digits spectrum, by "
        f"exact position W_{{2}}, in {len(won) or 'none'} of {len(all_)} cases "
        f"({listed(GRIDS)} grid, {listed([str(n) for n in NFES])} evaluations).{_by_samples()}"
    )


def _best(target: str, cells: Cells, measure: str, what: str, source: str) -> Table:
    """The best splitting and the best other sampler of every grid and budget."""
    rows: list[tuple[Shown, ...]] = []
    for grid, nfe in cases(cells):
        pair = (_shown(best(cells, own, nfe, measure, grid)) for own in (True, False))
        rows.append((grid, nfe, *pair))
    return Table(
        f"vp-splitting-{target}-best",
        f"**The best splitting and the best of the other samplers**: {what}"
        f"{', with its standard error' if measure == 'frechet' else ''}.",
        (
            Column("grid", "grid"),
            Column("nfe", "evaluations", "", "d"),
            Column("splitting", "splitting"),
            Column("other", "other"),
        ),
        tuple(rows),
        source,
    )


def _by_samples() -> str:
    """The same by samples, where those are in this copy."""
    parts, sure, total = [], [0, 0], 0
    for target, title in TITLES.items():
        cells = cells_of(kept(target))
        if not cells:
            continue
        won = wins(cells, "frechet")
        sure = [n + certain(cells, own) for n, own in zip(sure, (True, False), strict=True)]
        total += len(cases(cells))
        parts.append(f"in {len(won)} of {len(cases(cells))} with the {title}")
    if not parts:
        return ""
    return (
        f" By the Fréchet distance of samples a splitting is the best {listed(parts)}; by more "
        f"than {count(CERTAIN)} standard errors it is in {sure[0] or 'none'} of these {total}, and "
        f"another sampler in {sure[1] or 'none'}."
    )


@cache
def limit(dynamics: str, grid: str = GRID) -> float:
    """What start, cut and denoising step leave when the steps err no more."""
    own = {"ode": "UniPC3", "sde": "SSCS2"}[dynamics]
    return w2(problem(grid), sampler(own, grid, FINE), FINE) or math.inf


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
    body: list[Block] = [
        text(
            f"**Monte Carlo results, stored**: {found['samples']} samples per cell, seed "
            f"{found['seed']}, judged by the Fréchet distance of the digits’ features; standard "
            f"errors over {found['draws']} draws of the samples with replacement. "
            + (_judged(found["judge"]) if "judge" in found else "")
            + f"Sampled are {_names(cells)} samplers."
        ),
        _best(target, cells, "frechet", "Fréchet distance", source),
        _figure(
            f"vp-splitting-{target}",
            f"**Fréchet distance against cost, {title}, {GRID} grid.** {SHOWN} Above "
            f"{100 * DRAWN:g} they are not drawn.",
            [_panel(title, cells, "frechet", 100 * DRAWN, _marks(found))],
            source,
        ),
        *_tables(target, cells, "frechet", f"{title}: Fréchet distance", source),
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
    rivals = (best(cells, False, nfe, measure)[0] for nfe in budgets)
    for name in dict.fromkeys((*ALWAYS, *rivals)):
        values = [_value(cells, (name, GRID, nfe), measure) for nfe in budgets]
        y = tuple(v if v <= most else math.nan for v in values)
        lines.append(Line(name, tuple(map(float, budgets)), y))
    label = "position W_{2} (data units)" if measure == "w2_x" else "Fréchet distance"
    return Panel(title, tuple(lines), "score evaluations", label, marks=marks)


def _figure(key: str, caption: str, panels: list[Panel], source: str) -> Figure:
    return Figure(key, caption, tuple(panels), source)


def _tables(target: str, cells: Cells, measure: str, what: str, source: str) -> list[Block]:
    """One table a grid: both in one are wider than a page."""
    grids = dict.fromkeys(grid for grid, _ in cases(cells))
    return [_table(target, grid, cells, measure, what, source) for grid in grids]


def _table(target: str, grid: str, cells: Cells, measure: str, what: str, source: str) -> Table:
    budgets = [nfe for own, nfe in cases(cells) if own == grid]
    sampled = measure != "w2_x"
    columns = [Column("sampler", "sampler"), Column("order", "order", "claimed", "d")]
    for nfe in budgets:
        columns.append(Column(f"nfe{nfe}", str(nfe), "evaluations", "3g", smallest=True))
        if sampled:
            columns.append(Column(f"error{nfe}", "±", "", "2g"))
    rows: list[tuple[Shown, ...]] = []
    for name in dict.fromkeys(key[0] for key in cells):
        row: list[Shown] = [_named(name), sampler(name, GRID, NFES[-1]).order]
        for nfe in budgets:
            cell = cells.get((name, grid, nfe), {})
            row.append(cell.get(measure))
            if sampled:
                row.append(cell.get("standard_error"))
        rows.append(tuple(row))
    return Table(
        f"vp-splitting-{target}-{grid}",
        f"**{what[0].upper()}{what[1:]}, {grid} grid, by the number of evaluations.** No number: "
        "the budget buys no step, or the run blew up. Smallest of each column in bold.",
        tuple(columns),
        tuple(rows),
        source,
    )


def _named(name: str) -> str:
    """Linked to the catalogue where that has it."""
    own = sampler(name, GRID, NFES[-1])
    return link(own) if own in CATALOGUE else name
