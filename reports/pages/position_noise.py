"""Page: lambda_s, the scale of the position noise, on the embedded spectrum."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from analytic_models.diffusions import PSLD
from analytic_models.grids import GridName
from analytic_models.linear_flow import closed_flow
from analytic_models.moments import starting_law
from analytic_models.position_noise import (
    Best,
    best_lambda_s,
    limit_excess_variance,
    x_error_curve,
)
from analytic_models.problem import Problem
from reports.pages.exact_runs import SPECTRUM, target
from reports.pages.settings import Settings
from reports.render.document import (
    Block,
    Cell,
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
from reports.render.spelling import count, entry, link, listed, share
from splitting_analysis.catalogue import entries
from splitting_analysis.grids import EPS
from splitting_analysis.schemes import Scheme
from splitting_analysis.weak import local_error

GRIDS: tuple[GridName, ...] = ("uniform", "quadratic")
BEYOND = 1.2
"""How far, relatively, the figures go beyond the largest of the best lambda_s."""
BIASED = (0.0, 0.5, 0.9, 1.1, 1.5, 2.0, 4.0, 8.0)
"""lambda_s of the table of biases, besides the largest of the best."""


def schemes() -> tuple[Scheme, ...]:
    """The words of the catalogue with the letter O, whose noise lambda_s scales."""
    return tuple(s for s in entries("psld", "sde") if "O" in s.word.letters)


@cache
def setting(grid: GridName) -> Problem:
    return Problem(PSLD(), target(), grid)


@cache
def best(scheme: Scheme, nfe: int, grid: GridName) -> Best:
    return best_lambda_s(scheme, setting(grid), nfe)


def build(settings: Settings) -> Page:
    first = local_error(schemes()[0])
    shared = all(local_error(s).terms[1] == first.terms[1] for s in schemes())
    body: list[Block] = [
        text(
            "The letter O scales the noise it injects into the position by λ_{s}; λ_{s} = 1 is "
            "the exact Ornstein–Uhlenbeck step. Any other value makes the sampler inconsistent: "
            "its error in the second moment of the position is already of first order in h, for "
            f"{'all these words' if shared else schemes()[0].name} ",
            entry(first, 1, "xx"),
            ", and that leaves a bias which no number of steps removes. At few steps a bias may "
            "be worth it.",
        ),
        Heading("Error against λ_{s}", "curves"),
        *(_figure(settings, grid) for grid in GRIDS),
        Heading("The best λ_{s}", "best"),
        *(_best_table(settings, grid) for grid in GRIDS),
        text(_trend(settings)),
        Heading("What is left as h → 0", "bias"),
        text(_bias_finding()),
        _bias_table(settings),
    ]
    return Page("position-noise", "How much noise in position: λ_{s}", _lead(settings), tuple(body))


def _all(settings: Settings, grid: GridName) -> dict[tuple[str, int], Best]:
    return {(s.name, nfe): best(s, nfe, grid) for nfe in settings.lambda_nfes for s in schemes()}


def _lead(settings: Settings) -> str:
    found = [b for grid in GRIDS for b in _all(settings, grid).values()]
    above = sum(b.lambda_s > 1 for b in found)
    gains = {
        (name, nfe, grid): b.w2_x_exact_noise / b.w2_x
        for grid in GRIDS
        for (name, nfe), b in _all(settings, grid).items()
    }
    name, nfe, grid = top = max(gains, key=lambda k: gains[k])
    return (
        "On the digits spectrum the best scale λ_{s} of a splitting’s position noise lies above "
        f"the exact one, 1, in {share(above, len(found))} cases; it gains most for {name} at {nfe} "
        f"evaluations on the {grid} grid, a factor {printed(gains[top], '2g')} in position "
        "W_{2}, and as h → 0 it buys nothing but bias."
    )


def _largest(settings: Settings) -> float:
    return max(b.lambda_s for grid in GRIDS for b in _all(settings, grid).values())


def _shown(settings: Settings) -> float:
    """Where the axis of lambda_s ends: an even number beyond every best value, so that all are
    seen.
    """
    return 2.0 * math.ceil(BEYOND * _largest(settings) / 2)


def _figure(settings: Settings, grid: GridName) -> Figure:
    values = np.linspace(0, _shown(settings), settings.lambda_points)
    panels = []
    for nfe in settings.lambda_nfes:
        lines = [
            Line(s.name, tuple(values), tuple(x_error_curve(s, setting(grid), nfe)(values)))
            for s in schemes()
        ]
        panels.append(
            Panel(
                f"{nfe} evaluations",
                tuple(lines),
                "λ_{s}",
                "position W_{2} (data units)",
                x_scale="linear",
            )
        )
    return Figure(
        f"lambda-curves-{grid}",
        f"**Exact position error against λ_{{s}}, {grid} grid.** PSLD at its default parameters, "
        "started from the prior, denoising step included.",
        tuple(panels),
        SPECTRUM,
    )


def _best_table(settings: Settings, grid: GridName) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for s in schemes():
        row: list[Cell] = [link(s)]
        for nfe in settings.lambda_nfes:
            b = best(s, nfe, grid)
            row += [b.lambda_s, b.w2_x_exact_noise / b.w2_x]
        rows.append(tuple(row))
    columns = [Column("scheme", "scheme")]
    for nfe in settings.lambda_nfes:
        columns += [
            Column(f"best{nfe}", "best λ_{s}", f"{nfe} evaluations", "2g"),
            Column(f"gain{nfe}", "gain", f"over 1, {nfe}", "2f"),
        ]
    ends = [b for b in _all(settings, grid).values() if b.boundary == "low"]
    note = f" In {count(len(ends))} cases the best is no position noise at all." if ends else ""
    return Table(
        f"lambda-best-{grid}",
        f"**Best λ_{{s}}, {grid} grid**, and by what factor it lowers the position W_{{2}} of "
        f"λ_{{s}} = "
        f"1.{note}",
        tuple(columns),
        tuple(rows),
        SPECTRUM,
    )


def _trend(settings: Settings) -> str:
    last = settings.lambda_nfes[-2:]
    falling = [
        (s.name, grid)
        for grid in GRIDS
        for s in schemes()
        if abs(best(s, last[1], grid).lambda_s - 1) < abs(best(s, last[0], grid).lambda_s - 1)
    ]
    total = len(GRIDS) * len(schemes())
    return (
        f"From {last[0]} to {last[1]} evaluations the best value moves towards 1 in "
        f"{share(len(falling), total)} cases: the more steps, the less noise there is to make up "
        "for."
    )


def _bias_table(settings: Settings) -> Table:
    largest = float(printed(_largest(settings), "2g"))
    values = sorted({*BIASED, largest})
    return Table(
        "lambda-bias",
        f"**Bias as h → 0.** 2-Wasserstein distance at T − ε, ε = {EPS:g}, between the position "
        "marginals of the limit with this λ_{s} and of λ_{s} = 1; the same for every word and "
        "grid.",
        (Column("lambda_s", "λ_{s}", "", "2g"), Column("bias", "position W_{2}", "data units")),
        tuple((value, _bias(value)) for value in values),
        f"the extra noise carried to the end by the exact flow; {SPECTRUM}",
    )


@cache
def _limit_variances() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Position variances at T - eps of the exact law, and what one more unit of lambda_s adds to
    them.
    """
    own = setting("uniform")
    flow = closed_flow("sde", own.process, own.target, 0.0, own.process.T - EPS)
    _, covariance = flow.push(*starting_law(own.process, own.target, "prior"))
    return np.asarray(covariance[0][0]), limit_excess_variance(own, 2.0)


def _bias(value: float) -> float:
    exact, unit = _limit_variances()
    return float(np.linalg.norm(np.sqrt(exact + (value - 1) * unit) - np.sqrt(exact)))


def _bias_finding() -> str:
    one_half, double = _bias(0.5), _bias(2.0)
    budgets = [50, 100, 200]
    exact = {
        (s.name, nfe): best(s, nfe, "uniform").w2_x_exact_noise
        for s in schemes()
        for nfe in budgets
    }
    smaller = [nfe for nfe in budgets if all(double < exact[s.name, nfe] for s in schemes())]
    where = (
        "; doubling the noise costs less than the discretisation error of every word at "
        f"{listed([str(n) for n in smaller])} evaluations"
        if smaller
        else ""
    )
    return (
        f"Half the noise leaves a bias of {printed(one_half)} in position W_{{2}}, twice the noise "
        f"{printed(double)}{where}."
    )
