"""Page: the largest stable step of every sampler."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import sympy
from numpy.typing import NDArray

from analytic_models.boundaries import boundaries
from analytic_models.stability import largest_stable_step, stiffest
from reports.pages.exact_runs import KINDS, SPECTRUM, diffusion, schemes, target
from reports.pages.settings import Settings
from reports.render.document import (
    Block,
    Cell,
    Column,
    Figure,
    Formula,
    Heading,
    Line,
    Page,
    Panel,
    Table,
    printed,
    text,
)
from reports.render.spelling import count, expression, link, listed
from splitting_analysis.catalogue import entries
from splitting_analysis.grids import EPS
from splitting_analysis.schemes import Scheme

SMALL, LARGE = 1e-6, 4.0
"""Range of target variances in the figure: the positive ones of the digits spectrum lie within, and
the caption says how near its left end is to the limit of variance 0."""


@cache
def limits(scheme: Scheme, variances: tuple[float, ...], tau: float) -> NDArray[np.float64]:
    return largest_stable_step(scheme, diffusion(scheme.model_name), np.array(variances), tau)


def variances_of_interest() -> tuple[float, float, float]:
    """Largest, median and smallest variance of the whole spectrum: pixels that never change have
    0.
    """
    variances = target().variances
    return float(variances.max()), float(np.median(variances)), float(variances.min())


def _stiffest(scheme: Scheme) -> float:
    """The variance of the mode whose exact flow is the fastest at the last evaluation."""
    variances = target().variances
    return float(variances[stiffest(scheme, diffusion(scheme.model_name), variances, EPS)])


def build(settings: Settings) -> Page:
    body: list[Block] = [
        text(
            "Freeze the rate β and the score of a Gaussian mode at forward time τ. One step is "
            "then a fixed matrix, and a step is stable as long as no eigenvalue of that matrix "
            "leaves the unit disk, that is, while Jury’s conditions hold. The largest stable step "
            "is in units of forward time; where the exact flow itself grows, growth is right and "
            "there is no limit; ∞ means stable at every step tried."
        ),
        Heading("PSLD near the data", "psld"),
        _figure(settings),
        _table("psld"),
        text(_cost_finding()),
        Heading("PSLD along the way", "time"),
        _time_figure(settings),
        text(_time_finding()),
        Heading("VP", "vp"),
        _table("vp"),
        Heading("Closed forms", "closed"),
        text(
            "For VP and for a harmonic well the conditions can be solved: u = ∫β over the step, v "
            "is the variance of the mode at the frozen time, ω the frequency of the well."
        ),
        _closed_table(),
    ]
    return Page("stability", "Largest stable step", _lead(), tuple(body))


def _lead() -> str:
    parts, stiff = [], set()
    for dynamics, kind in KINDS.items():
        found = {
            s.name: float(limits(s, (_stiffest(s),), EPS)[0]) for s in schemes("psld", dynamics)
        }
        stiff |= {_stiffest(s) for s in schemes("psld", dynamics)}
        best = max(found, key=lambda n: found[n])
        worst = min(found, key=lambda n: found[n])
        parts.append(
            f"from {printed(found[worst])} ({worst}) to {printed(found[best])} ({best}) for the "
            f"{kind}"
        )
    return (
        "On the stiffest mode of the digits spectrum, of variance "
        f"{listed([printed(v) for v in sorted(stiff)])}, at the last evaluation before the data "
        f"(τ = {EPS:g}), the largest stable step goes {' and '.join(parts)}; Euler’s is "
        f"{_noise_factor()} times as long as Euler–Maruyama’s."
    )


def _noise_factor() -> str:
    euler, em = (
        next(s for s in schemes("psld", d) if s.name == n)
        for d, n in (("ode", "Euler"), ("sde", "EM"))
    )
    longest = [float(limits(s, (_stiffest(s),), EPS)[0]) for s in (euler, em)]
    return printed(longest[0] / longest[1], "2g")


def _figure(settings: Settings) -> Figure:
    points = 25 if settings.quick else 97
    grid = tuple(float(f"{v:.6g}") for v in np.geomspace(SMALL, LARGE, points))
    panels = []
    for dynamics, kind in KINDS.items():
        lines = [Line(s.name, grid, tuple(limits(s, grid, EPS))) for s in schemes("psld", dynamics)]
        panels.append(Panel(kind, tuple(lines), "target variance", "largest stable step h"))
    every = [s for dynamics in KINDS for s in schemes("psld", dynamics)]
    ends = [limits(s, (0.0, SMALL), EPS) for s in every]
    drop = max(float(1 - none / end) for none, end in ends)
    return Figure(
        "stability-variance",
        f"**Largest stable step at τ = {EPS:g}**, PSLD at its default parameters, by the variance "
        "of the mode; from the left end down to variance 0 a curve falls by at most "
        f"{printed(100 * drop, '2g')} %.",
        tuple(panels),
        "spectral radius of the exact one-step map",
    )


def _time_figure(settings: Settings) -> Figure:
    points = 9 if settings.quick else 49
    times = tuple(float(f"{t:.4g}") for t in np.geomspace(EPS, 1.0, points))
    median = variances_of_interest()[1]
    panels = []
    for dynamics, kind in KINDS.items():
        lines = [
            Line(s.name, times, tuple(float(limits(s, (median,), t)[0]) for t in times))
            for s in schemes("psld", dynamics)
        ]
        panels.append(Panel(kind, tuple(lines), "forward time τ", "largest stable step h"))
    return Figure(
        "stability-time",
        "**Largest stable step along the way**, PSLD, for the median variance of the digits "
        f"spectrum, {printed(median)}. Curves break off where there is no limit.",
        tuple(panels),
        "spectral radius of the exact one-step map",
    )


def _time_finding() -> str:
    median = variances_of_interest()[1]
    gains = {
        s.name: float(limits(s, (median,), 0.1)[0] / limits(s, (median,), EPS)[0])
        for dynamics in KINDS
        for s in schemes("psld", dynamics)
    }
    finite = {name: g for name, g in gains.items() if math.isfinite(g)}
    return (
        f"From τ = {EPS:g} to τ = 0.1 the limit grows by factors from "
        f"{printed(min(finite.values()), '2g')} ({min(finite, key=lambda n: finite[n])}) to "
        f"{printed(max(finite.values()), '2g')} ({max(finite, key=lambda n: finite[n])}): only "
        "the last stretch is stiff, which is what a quadratic grid is for."
    )


def _table(model: str) -> Table:
    picks = variances_of_interest()
    rows: list[tuple[Cell, ...]] = []
    for dynamics, kind in KINDS.items():
        for s in schemes(model, dynamics):
            values = [float(v) for v in limits(s, picks, EPS)]
            shown = ["no limit" if math.isnan(v) else v for v in values]
            rows.append((link(s), kind, *shown, _budget(s, values)))
    heads = ("largest variance", "median variance", "smallest variance")
    return Table(
        f"stability-{model}",
        f"**{model.upper()}: largest stable step at τ = {EPS:g}** for three modes of the "
        "spectrum, and the evaluations that steps within the smallest of the three would take on "
        "a uniform grid.",
        (
            Column("scheme", "scheme"),
            Column("dynamics", "dynamics"),
            *(
                Column(f"h{i}", head, printed(v))
                for i, (head, v) in enumerate(zip(heads, picks, strict=True))
            ),
            Column("budget", "evaluations", "uniform grid", "d", smallest=True),
        ),
        tuple(rows),
        SPECTRUM,
    )


def _budget(scheme: Scheme, values: list[float]) -> int | None:
    finite = [v for v in values if math.isfinite(v) and v > 0]
    if not finite:
        return None
    # Round-off must not push an exact quotient over the next integer.
    return scheme.word.nfe * math.ceil(float(f"{(1 - EPS) / min(finite):.10g}"))


def _cost_finding() -> str:
    parts = []
    for dynamics, kind in KINDS.items():
        picks = variances_of_interest()
        costs = {
            s.name: _budget(s, [float(v) for v in limits(s, picks, EPS)])
            for s in schemes("psld", dynamics)
        }
        known = {name: c for name, c in costs.items() if c is not None}
        best = min(known, key=lambda n: known[n])
        parts.append(f"{best} ({known[best]}) for the {kind}")
    return (
        f"Counted in evaluations the cheapest to keep stable are {listed(parts)}. Shorter runs "
        "take their last step from further away, τ = ε + h, where the limit is another one."
    )


def _closed_table() -> Table:
    rows: list[tuple[Cell, ...]] = []
    never = []
    for model, spoken, unit in (
        ("vp", "VP", "VP, u"),
        ("langevin", "Langevin", "harmonic well, h"),
    ):
        for s in entries(model):
            found = boundaries(s)
            if not found:
                never.append(f"{s.name} ({spoken})")
            for value in found:
                if not value.has(*_symbols("gamma")):
                    formula: Formula = expression(value)
                    rows.append((link(s), unit, formula))
    note = f" No boundary in closed form: {listed(never)}." if never else ""
    same = {
        row[2].text
        for row in rows
        if str(row[1]).startswith("harmonic") and isinstance(row[2], Formula)
    }
    one = (
        f" All {count(len(same))}: the splittings of a harmonic well share one limit."
        if len(same) == 1
        else ""
    )
    return Table(
        "stability-closed",
        "**Stability boundaries in closed form.** Steps at which an eigenvalue leaves the unit "
        f"disk; no limit where the expression is not positive.{note}{one}",
        (
            Column("scheme", "scheme"),
            Column("model", "model and step"),
            Column("limit", "boundary"),
        ),
        tuple(rows),
        "zeros of Jury’s conditions of the exact one-step map",
    )


def _symbols(*names: str) -> list[object]:
    return [sympy.Symbol(name, positive=True) for name in names]
