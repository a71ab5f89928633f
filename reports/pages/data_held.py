"""Page: the data held on PSLD, exactly, beside its published samplers; and why a factor matters."""

from __future__ import annotations

from functools import cache
from math import pi

from analytic_models.bridges import angle
from analytic_models.diffusions import PSLD
from reports.experiments.held_data import (
    BRIDGE,
    GRIDS,
    NFES,
    POWERS,
    gridded,
    held,
    label,
    on_best_grid,
    others,
    problem,
    w2,
)
from reports.experiments.store import KEPT, stored
from reports.pages import data_held_pieces
from reports.pages.exact_runs import SPECTRUM, target
from reports.pages.settings import Settings
from reports.render.document import (
    Block,
    Cell,
    Column,
    Formulas,
    Heading,
    Page,
    Table,
    printed,
    text,
)
from reports.render.spelling import count, expression, listed, power
from splitting_analysis.data_catalogue import DATA_CATALOGUE
from splitting_analysis.data_slope import prediction_slope
from splitting_analysis.grids import EPS
from splitting_analysis.held_error import held_error
from splitting_analysis.schemes import FACTORS

Key = tuple[str, str]
Errors = dict[tuple[Key, str, int], float | None]
UNSTABLE = "unstable"


@cache
def digits() -> Errors:
    """Position W2 on the digits spectrum, by sampler, grid and budget."""
    found: Errors = {}
    for grid in GRIDS:
        ours = problem("digits", grid)
        for key, own in {**held(), **others()}.items():
            found |= {(key, grid, nfe): w2(ours, own, nfe) for nfe in NFES}
    return found


def cifar10() -> Errors:
    """The same on the CIFAR-10 spectrum, stored; empty where that is not in this copy."""
    kept = (stored("cifar10") or {}).get("data_held_w2_x", {})
    return {
        (key, grid, nfe): kept[grid][label(*key)][str(nfe)]
        for grid in kept
        for key in (*held(), *others())
        for nfe in NFES
    }


def build(_: Settings) -> Page:
    body: list[Block] = [
        text(
            "Position and momentum of PSLD may be advanced exactly while the data predicted from "
            "the score, x_{0} = (x + (Σ s)^{x}) / Φ_{xx}, are held: `S E:data` (PDDIM), or on "
            "a polynomial through the last evaluations in λ = log(Φ_{xx}/σ_{x}): "
            "`S E:data[2:dpm]` (P2M, DPM-Solver++’s coefficients) and `S E:data[3]` (P3M, the "
            "exact integral). Given x_{0} a state is N(μ x_{0}, Σ); with η = 0 a step carries "
            "R^{−1} (z − μ x_{0}) along, with a factor R R^{T} = Σ; with η = 1 it draws from the "
            "exact bridge. All runs here start from the prior and end with the data predicted at "
            f"forward time {EPS:g}, at one evaluation. Orders in history are "
            f"{listed([str(held_error(s).order) for s in DATA_CATALOGUE])}, derived: the error of "
            f"a step begins with {listed([power(held_error(s).power) for s in DATA_CATALOGUE])}; "
            "all of them start with order 1, where the prediction is still far from the data and "
            "changes least."
        ),
        Heading("Data held, beside published samplers", "compared"),
        _table("data-held-digits", digits(), SPECTRUM),
        text(_factors(digits())),
    ]
    if found := cifar10():
        where = f"CIFAR-10 spectrum, stored: {KEPT['cifar10'].command}"
        body += [_table("data-held-cifar10", found, where), text(_compared(found, "CIFAR-10"))]
    body += [
        *data_held_pieces.blocks(),
        Heading("The best grid for a budget", "grids"),
        _grids(),
        text(_gridded()),
        Heading("Why, and what a factor changes", "why"),
        text(
            "The step is exact for a prediction that stays what it is, whatever Γ, ν and β: its "
            "local error holds no term in them, only the derivatives P′, P″, ... of the "
            "prediction along the flow. On data of one point they are 0, and a step of any length "
            "is exact, with any factor and noise; where the score is held instead, a step errs "
            "there too. What z tells about x_{0} is S = μ^{T} Σ^{−1} z alone, with the "
            "signal-to-noise ratio q = μ^{T} Σ^{−1} μ, and on data N(0, v)"
        ),
        Formulas("data-held-slope", "P′, derived", (expression(prediction_slope(), "P′"),)),
        text(
            "with N standard normal and independent of P, r the rate of log q, and ω the rate at "
            "which R^{−1} μ turns, both in λ. The first term is that of a position-only process "
            "of the same q; the second is the momentum’s, and vanishes where R^{−1} μ keeps its "
            "direction. That is the *aligned* factor, R = (μ/√q, ...): with it and an exact score "
            "PSLD with data held *is* a position-only process, x_{0} plus noise of variance 1/q, "
            "on any data. All factors are one another turned: by how much, the table says. "
            "With the flow’s factor the step is that of gDDIM (ε held), "
            "whose published Fréchet distances on CIFAR-10 (CLD, its network) are 2.86 with 27 "
            "evaluations and 2.26 with 50 (arXiv 2206.05564, abstract); distances of a Gaussian "
            "and of images do not compare as numbers, their order may."
        ),
        _turns(),
    ]
    return Page("data-held", "Data held on PSLD", _lead(), tuple(body))


@cache
def best_grids() -> dict[tuple[Key, int], tuple[float, float | None]]:
    """The best power of a grid on the digits spectrum and the error on it, by sampler and
    budget.
    """
    return {
        (key, nfe): on_best_grid(target().variances, own, nfe)
        for key, own in gridded().items()
        for nfe in NFES
    }


def stored_grids() -> dict[tuple[Key, int], tuple[float, float | None]]:
    """The same on the CIFAR-10 spectrum; empty where that is not in this copy."""
    kept = (stored("cifar10") or {}).get("data_held_grids")
    if not kept:
        return {}
    powers, errors = kept["power"], kept["w2_x"]
    return {
        (key, nfe): (powers[label(*key)][str(nfe)], errors[label(*key)][str(nfe)])
        for key in gridded()
        for nfe in NFES
    }


def _grids() -> Table:
    every = {"digits": best_grids(), "CIFAR-10": stored_grids()}
    rows: list[tuple[Cell, ...]] = []
    for name, what in gridded():
        cells = (
            cell
            for found in every.values()
            for nfe in NFES
            for cell in found.get(((name, what), nfe), (None, None))
        )
        rows.append((name, what or "–", *cells))
    return Table(
        "data-held-grids",
        "**The best power p of a grid and the position W_{2} on it, by the number of "
        f"evaluations.** t_{{i}} = (T − ε)(1 − (1 − i/n)^{{p}}), p among "
        f"{listed([printed(own, '2g') for own in POWERS])}: 1 is uniform, 2 quadratic.",
        (
            Column("scheme", "sampler"),
            Column("factor", "factor"),
            *(
                Column(f"{name}{nfe}{kind}", f"{nfe}, {title}", name, digits, kind == "w2")
                for name in every
                for nfe in NFES
                for kind, title, digits in (("p", "p", "2g"), ("w2", "W_{2}", "3g"))
            ),
        ),
        tuple(rows),
        f"{SPECTRUM}; CIFAR-10 spectrum, stored: {KEPT['cifar10'].command}",
    )


def _gridded() -> str:
    """Which sampler is the best, each on its own best grid, and how far SSCS is behind."""
    parts = []
    for nfe in NFES:
        errors = {
            key: error
            for (key, n), (_, error) in best_grids().items()
            if n == nfe and error is not None
        }
        key = min((k for k in errors if k[1]), key=errors.__getitem__)
        ratio = errors["SSCS", ""] / errors[key]
        power_of = best_grids()[key, nfe][0]
        parts.append(
            f"with {nfe} evaluations {key[0]}, {key[1]}, p = {printed(power_of, '2g')}, "
            f"{printed(ratio, '2g')} times as close as SSCS on its own best grid"
        )
    return f"On the digits spectrum the best are {'; '.join(parts)}."


def best(found: Errors, keys: dict[Key, object], nfe: int) -> tuple[Key, str, float]:
    """The most accurate of some samplers on either grid at a budget: which, grid and error."""
    errors = [
        (error, key, grid)
        for (key, grid, n), error in found.items()
        if n == nfe and key in keys and error is not None
    ]
    error, key, grid = min(errors)
    return key, grid, error


def _lead() -> str:
    closer: dict[bool, list[str]] = {True: [], False: []}
    for nfe in NFES:
        own, other = (best(digits(), dict(group), nfe) for group in (held(), others()))
        closer[own[2] < other[2]].append(
            f"{nfe} ({own[0][0]}, {printed(own[2])}; {other[0][0]}, {printed(other[2])})"
        )
    won, lost = (listed(closer[which]) for which in (True, False))
    told = f"with {won} evaluations" if won else "at no budget"
    return (
        "The best of the samplers that hold the data come closer to the digits spectrum than the "
        f"best of PSLD’s published samplers, by position W_{{2}}, {told}"
        f"{f', not with {lost}' if lost else ''}."
    )


def _compared(found: Errors, name: str) -> str:
    """Sampler, factor and grid for a budget."""
    parts = []
    for nfe in NFES:
        (sampler, factor), grid, error = best(found, dict(held()), nfe)
        other = best(found, dict(others()), nfe)
        parts.append(
            f"with {nfe} {sampler}, {factor}, {grid} grid ({printed(error)}; else "
            f"{other[0][0]}, {printed(other[2])})"
        )
    return f"Best on the {name} spectrum: {'; '.join(parts)}."


def spread(found: Errors, name: str, nfe: int, grid: str) -> tuple[float, float]:
    """How much worse than the best factor the worst is, but for the flow's, and the flow's: both
    as ratios.
    """
    errors = {factor: found[(name, factor), grid, nfe] for factor in FACTORS}
    known = {factor: error for factor, error in errors.items() if error is not None}
    least = min(known.values())
    return max(e for f, e in known.items() if f != "flow") / least, known["flow"] / least


def _factors(found: Errors) -> str:
    """How much the factor matters, and how often the aligned one is the best."""
    cases = [(s.name, nfe, grid) for s in DATA_CATALOGUE for nfe in NFES for grid in GRIDS]
    ratios = [spread(found, *case) for case in cases]
    aligned = sum(
        found[(name, "aligned"), grid, nfe]
        == min(e for f in FACTORS if (e := found[(name, f), grid, nfe]) is not None)
        for name, nfe, grid in cases
    )
    return (
        f"Of the {count(len(FACTORS))} factors the aligned one is the best in {aligned} of "
        f"{len(cases)} cases (sampler, grid, budget); all but the flow’s are within "
        f"{printed(100 * (max(r for r, _ in ratios) - 1), '2g')} % of the best, and the flow’s is "
        f"up to {printed(max(r for _, r in ratios), '2g')} times as far."
    )


def _table(key: str, found: Errors, source: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, what in (*held(), *others()):
        errors = (found[(name, what), grid, nfe] for grid in GRIDS for nfe in NFES)
        rows.append((name, what or "–", *(UNSTABLE if e is None else e for e in errors)))
    return Table(
        key,
        "**Position W_{2} (data units) by the number of evaluations.** Smallest of each column in "
        f"bold. Factor: that of η = 0, or the {BRIDGE}, η = 1; of conjugate integrators λ.",
        (
            Column("scheme", "sampler"),
            Column("factor", "factor"),
            *(
                Column(f"{grid}{nfe}", str(nfe), f"{grid} grid", "3g", smallest=True)
                for grid in GRIDS
                for nfe in NFES
            ),
        ),
        tuple(rows),
        source,
    )


def _turns() -> Table:
    process = PSLD()
    rows: list[tuple[Cell, ...]] = []
    for factor in FACTORS:
        first = angle(process, factor, "aligned", process.T, process.T / 2)
        last = angle(process, factor, "aligned", process.T / 2, EPS)
        rows.append((factor, 180 / pi * abs(first), 180 / pi * abs(last)))
    return Table(
        "data-held-turns",
        "**How far R^{−1} μ turns, in degrees.** By factor, in the first half of the time and in "
        "the second.",
        (
            Column("factor", "factor"),
            Column("first", "first half", "degrees"),
            Column("second", "second half", "degrees"),
        ),
        tuple(rows),
        f"PSLD at its default parameters, down to forward time {EPS:g}",
    )
