"""Page: samplers that hold a prediction, exactly, on the digits spectrum, and their orders."""

from __future__ import annotations

from functools import cache

import numpy as np

from analytic_models.problem import Problem, problem_for
from reports.pages.exact_runs import GRIDS, KINDS, SPECTRUM
from reports.pages.settings import Settings
from reports.render.document import (
    Block,
    Cell,
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
from reports.render.spelling import count, link, listed, power
from splitting_analysis.catalogue import CATALOGUE, entries, find, samplers
from splitting_analysis.clocks import PositionOnly
from splitting_analysis.families import FAMILIES, POSITION_ONLY
from splitting_analysis.grids import EPS
from splitting_analysis.held_error import leading_power
from splitting_analysis.held_weak import weak_leading_power
from splitting_analysis.lookup import as_scheme
from splitting_analysis.position_catalogue import HELD_CATALOGUE
from splitting_analysis.schemes import Scheme

NFES = (5, 10, 20, 50, 100)
TABLED = (10, 20, 50)
TOLD = 20
"""The budget of the first sentence."""
FEW = 10
"""The budget at which orders are held against what they are worth."""
HELD = (
    "DDIM",
    "DPM++2M",
    "DPM++2S",
    "DPM++3M",
    "S E:data[3]",
    "S E:v[2]",
    "DEIS2",
    "DEIS3",
    "UniPC2",
    "UniPC3",
    "res2s",
)
UNNAMED = tuple(name for name in HELD if " " in name)
FLOW = ("Euler", "Midpoint", "Heun", "DPM++2M", "UniPC2")
CLAIMED = {"DPM++3M": 3}
"""Orders that a source claims, where the derived one is another."""
VISIBLE = 0.05
"""How far below the limit, relatively, a sampler must lie to be named."""
PROCESSES = {model: FAMILIES[model].label for model in POSITION_ONLY}


@cache
def problem(model: str, grid: str) -> Problem:
    """The digits spectrum, started from the exact law at T, without a denoising step."""
    return problem_for(model, grid=grid, start="pT", denoise=False)


@cache
def error(scheme: Scheme, grid: str, nfe: int) -> float | str | None:
    """Exact W2 in position at a budget; None where it buys no step, a word for one that blew up."""
    ours = problem(scheme.model_name, grid)
    try:
        steps = ours.steps(scheme, nfe)
    except ValueError:
        return None
    found = ours.errors(scheme, steps)
    return "unstable" if found["unstable"] else found["w2_x"]


def limit(model: str) -> float:
    """What the exact flow leaves when it is cut at eps: the distance of the exact law there to the
    data.
    """
    ours = problem(model, GRIDS[0])
    process, variances = _process(ours), np.asarray(ours.target.variances)
    there = np.sqrt(process.alpha(EPS) ** 2 * variances + process.sigma(EPS) ** 2)
    return float(np.linalg.norm(there - np.sqrt(variances)))


def _process(ours: Problem) -> PositionOnly:
    if not isinstance(ours.process, PositionOnly):
        raise TypeError(f"{ours.process}: no position-only process")
    return ours.process


def held() -> tuple[Scheme, ...]:
    """The samplers of the page that hold a prediction."""
    return tuple(as_scheme(name, "vp") for name in HELD)


def others() -> tuple[Scheme, ...]:
    """VP's samplers that hold none: those of the probability flow that do not split it, and the
    exponential integrator.
    """
    whole = (s for s in entries("vp", "ode") if s.word.letters == {"E"})
    return (*whole, find("EI", "vp"))


def flow() -> tuple[Scheme, ...]:
    return tuple(find(name, "flow") for name in FLOW)


def build(_: Settings) -> Page:
    body: list[Block] = [
        text(
            "A sampler *holds a prediction* where its word says what it keeps constant, or as a "
            "polynomial through earlier evaluations, while the rest of the drift is advanced "
            "exactly: `S E:data[2]` evaluates the score and holds the data prediction on the "
            "line through the last two of them. DPM-Solver++, DEIS, UniPC and others are such "
            f"words, in a clock of their own; {listed([f'`{name}`' for name in UNNAMED])} have no "
            f"name. Here they run on the Gaussian with the {SPECTRUM}, from its exact law at T to "
            f"forward time ε = {EPS:g}, without a denoising step, and their laws are pushed "
            f"exactly; VP’s β goes from {_rates()}. A budget of N evaluations buys as many steps "
            "as it can, half as many where one takes two evaluations; where a step begins with "
            "the last one’s evaluation, the first costs one more."
        ),
        Heading("VP", "vp"),
        _figure(),
        _table("vp", (*held(), *others())),
        text(_behind(), _passing_below()),
        Heading("Orders", "orders"),
        text(
            "Order of the global error for a fixed ratio of successive steps, once enough "
            "evaluations are behind, and the power of h, a step’s length in the sampler’s clock, "
            "with which the error of one step begins; both derived from the word."
        ),
        _orders(),
        *_notes(),
        text(
            "With noise the order is weak: that of means of smooth functions. It is derived from "
            "the word, too, for any prediction in any dimension: one step from an exact past, "
            "averaged over that past, against the reverse SDE."
        ),
        _weak_orders(),
        Heading("Flow matching", "flow"),
        text(_flow_finding()),
        _table("flow", flow()),
    ]
    return Page(
        "position-only", "Position-only samplers that hold a prediction", _lead(), tuple(body)
    )


def _rates() -> str:
    parameters = vars(problem("vp", GRIDS[0]).process)
    return f"{parameters['beta_min']:g} to {parameters['beta_max']:g}"


def _best(schemes: tuple[Scheme, ...], grid: str, nfe: int) -> tuple[str, float]:
    """The most accurate of some samplers, and its error."""
    errors = {s.name: e for s in schemes if isinstance(e := error(s, grid, nfe), float)}
    name = min(errors, key=lambda n: errors[n])
    return name, errors[name]


def _lead() -> str:
    parts = []
    for grid in GRIDS:
        (name, own), (other, its) = _best(held(), grid, TOLD), _best(others(), grid, TOLD)
        parts.append(
            f"{printed(own)} on the {grid} grid ({name}; best of VP’s others: {other}, "
            f"{printed(its)})"
        )
    shares = [
        f"{count(n) if (n := len(behind(grid))) else 'none'} on the {grid} grid" for grid in GRIDS
    ]
    return (
        f"With {TOLD} score evaluations the best of {count(len(held()))} samplers that hold a "
        f"prediction comes as close to the digits spectrum as {listed(parts)}, by position W_{{2}} "
        "in data units. With "
        f"{FEW}, of the {count(len(_of_higher_order()))} of order 2 or more {listed(shares)} are "
        f"less accurate than DDIM, of order {order(find('DDIM', 'vp'))}."
    )


def behind(grid: str) -> list[str]:
    """Samplers of order 2 or more that are less accurate than DDIM with few evaluations."""
    first = error(find("DDIM", "vp"), grid, FEW)
    return [s.name for s in _of_higher_order() if _size(error(s, grid, FEW)) > _size(first)]


def _of_higher_order() -> list[Scheme]:
    return [s for s in held() if order(s) > 1]


def _size(value: float | str | None) -> float:
    return value if isinstance(value, float) else np.inf


def order(scheme: Scheme) -> int:
    """Of the global error, derived."""
    return leading_power(scheme) - 1


def stretch(grid: str) -> float:
    """How many times as long in lambda the last of few steps is as the one before."""
    ours = problem("vp", grid)
    process = _process(ours)
    readings = [process.clock_at("lambda", ours.process.T - t) for t in ours.times(FEW)[-3:]]
    return float((readings[2] - readings[1]) / (readings[1] - readings[0]))


def _behind() -> str:
    """Who is less accurate than DDIM, and how uneven the grids are in lambda."""
    parts = [f"on the {grid} grid {listed(names)}" for grid in GRIDS if (names := behind(grid))]
    ratios = [f"{printed(stretch(grid), '2g')} times on the {grid} grid" for grid in GRIDS]
    told = f"The last of {FEW} steps is, in λ, {listed(ratios)} as long as the one before. "
    if not parts:
        return told
    clocks = {s.in_clock for s in held() if any(s.name in behind(grid) for grid in GRIDS)}
    return (
        f"Less accurate than DDIM with {FEW} evaluations, though of higher order, are "
        f"{'; '.join(parts)}"
        + (": all of them in the clock λ. " if clocks == {"lambda"} else ". ")
        + told
    )


def _passing_below() -> str:
    """Which samplers are visibly closer to the data, on some budget, than the exact flow is."""
    below = [
        s.name
        for s in (*held(), *others())
        if any(
            _size(error(s, grid, n)) < (1 - VISIBLE) * limit("vp") for grid in GRIDS for n in NFES
        )
    ]
    if not below:
        return ""
    return (
        f"The dotted line is no bound: {listed(below)} come{'s' * (len(below) == 1)} more than "
        f"{100 * VISIBLE:g} % below it on some budget, where the discretisation errs against what "
        "the cut leaves."
    )


def _figure() -> Figure:
    marks = (Mark(limit("vp"), "limit for h → 0"),)
    panels = []
    for grid in GRIDS:
        lines = []
        for s in (*held(), *others()):
            found = [error(s, grid, nfe) for nfe in NFES]
            errors = tuple(e if isinstance(e, float) else np.nan for e in found)
            lines.append(Line(s.name, tuple(map(float, NFES)), errors))
        panels.append(
            Panel(
                f"{grid} grid",
                tuple(lines),
                "score evaluations",
                "position W_{2} (data units)",
                marks=marks,
            )
        )
    return Figure(
        "position-only-nfe",
        "**Exact error against cost, VP.** Position 2-Wasserstein distance to the data law; runs "
        "that blew up have no point. Dotted: the exact flow with the same start and cut, the "
        f"limit for h → 0, {printed(limit('vp'))}.",
        tuple(panels),
        SPECTRUM,
    )


def _table(model: str, schemes: tuple[Scheme, ...]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for s in schemes:
        errors = (error(s, grid, nfe) for grid in GRIDS for nfe in TABLED)
        rows.append((_named(s), KINDS[s.dynamics], s.nfe, *errors))
    columns = [
        Column("scheme", "sampler"),
        Column("dynamics", "dynamics"),
        Column("per_step", "per step", "evaluations", "d"),
        *(
            Column(f"{grid}{nfe}", str(nfe), f"{grid} grid", "3g", smallest=True)
            for grid in GRIDS
            for nfe in TABLED
        ),
    ]
    return Table(
        f"position-only-{model}",
        f"**{_capital(PROCESSES[model])}: position W_{{2}} (data units) by the number of "
        f"evaluations.** The limit for h → 0 is {printed(limit(model))}. Smallest of each column "
        "in bold.",
        tuple(columns),
        tuple(rows),
        SPECTRUM,
    )


def _named(scheme: Scheme) -> str:
    """Linked to the catalogue where that has it; a word without a name as code."""
    if scheme in CATALOGUE:
        return link(scheme)
    return scheme.name if scheme.name != str(scheme.word) else f"`{scheme.word}`"


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def ordered() -> dict[Scheme, str]:
    """The samplers of the table of orders, each once, with the processes that have it."""
    homes: dict[tuple[str, str, str], list[Scheme]] = {}
    unnamed = [s for s in held() if s not in HELD_CATALOGUE]
    for s in (*HELD_CATALOGUE, *unnamed):
        if s.dynamics == "ode":
            homes.setdefault((s.name, str(s.word), s.in_clock), []).append(s)
    found = {}
    for same in homes.values():
        models = [s.model_name for s in same]
        every = set(models) == set(PROCESSES) or same[0] in unnamed
        found[same[0]] = "all" if every else listed([PROCESSES[m] for m in models])
    return found


def _orders() -> Table:
    rows: list[tuple[Cell, ...]] = []
    for s, where in ordered().items():
        what = _named(s), f"`{s.word}`", where, _CLOCKS[s.in_clock], s.nfe
        rows.append((*what, order(s), CLAIMED.get(s.name), power(leading_power(s))))
    return Table(
        "position-only-orders",
        "**Orders of samplers of the probability flow that hold a prediction.** A claim is given "
        "where the source’s is another.",
        (
            Column("scheme", "sampler"),
            Column("word", "word"),
            Column("process", "process"),
            Column("clock", "clock"),
            Column("per_step", "per step", "evaluations", "d"),
            Column("order", "order", "derived", "d"),
            Column("claimed", "order", "claimed", "d"),
            Column("power", "local error"),
        ),
        tuple(rows),
        "derived from the words",
    )


def _weak_orders() -> Table:
    seen = {(s.name, str(s.word)): s for s in reversed(HELD_CATALOGUE) if s.dynamics == "sde"}
    rows: list[tuple[Cell, ...]] = [
        (_named(s), f"`{s.word}`", s.nfe, weak_leading_power(s) - 1, s.order)
        for s in reversed(seen.values())
    ]
    return Table(
        "position-only-weak-orders",
        "**Weak orders of samplers of the reverse SDE that hold a prediction**, on all three "
        "processes.",
        (
            Column("scheme", "sampler"),
            Column("word", "word"),
            Column("per_step", "per step", "evaluations", "d"),
            Column("order", "weak order", "derived", "d"),
            Column("claimed", "weak order", "claimed", "d"),
        ),
        tuple(rows),
        "derived from the words",
    )


_CLOCKS = {"tau": "τ", "lambda": "λ", "sigma": "log σ", "rho": "σ/α"}


def _notes() -> list[Block]:
    """What the entries say of their sources, each note once."""
    notes: dict[str, list[str]] = {}
    noisy = [s for s in samplers("vp") if s.dynamics == "sde" and s in HELD_CATALOGUE]
    for s in (*ordered(), *noisy):
        if s.source.erratum:
            notes.setdefault(s.source.erratum, []).append(s.name)
    return [text(f"**{listed(names)}.** {note}") for note, names in notes.items()]


def _flow_finding() -> str:
    parts = []
    for grid in GRIDS:
        name, own = _best(flow(), grid, TOLD)
        parts.append(f"{printed(own)} on the {grid} grid ({name})")
    return (
        f"Data and noise are mixed along a straight line. With {TOLD} evaluations "
        f"{count(len(FLOW))} samplers come as close to the data as {listed(parts)}."
    )
