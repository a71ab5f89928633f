"""Parts of the page on conjugate integrators: a B that moves, and a score without C_skip z."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache

from analytic_models.problem import problem_for
from reports.experiments.conjugate import GRIDS
from reports.pages.exact_runs import SPECTRUM
from reports.render.document import Block, Cell, Column, Heading, Table, printed, text
from reports.render.spelling import entry
from splitting_analysis.catalogue import find
from splitting_analysis.retuned import with_conjugation
from splitting_analysis.schemes import Scheme, scheme
from splitting_analysis.weak import error_difference, local_error

SHOWN = (20, 50, 100)
MOVING = (
    ("S E:eps", None),
    ("S E:eye", Fraction(1, 2)),
    ("S E:{lambda*tau,0,0,lambda*tau}", Fraction(1)),
    ("S E:{lambda*(1-tau),0,0,lambda*(1-tau)}", Fraction(1)),
    ("S E:{1/(tau+1/4),0,0,1/(tau+1/4)}", None),
)
"""Words, and lambda where it acts."""
SKIPS = (None, Fraction(1), Fraction(3, 10))
"""Variances of the Gaussian data whose C_skip is taken; the last is about the mean of digits."""


def moving() -> list[Block]:
    """A B that depends on time."""
    word = scheme("S E:{lambda*tau,0,0,lambda*tau}", "psld", "ode")
    error = local_error(word, 2)
    return [
        Heading("A B that moves", "moving"),
        text(
            "Entries of B may be expressions in τ, λ, β and the parameters, `S "
            "E:{lambda*tau,0,0,lambda*tau}`; A_{τ} then solves a linear ODE whose matrices need "
            "not commute. To h² a B that moves adds (B² + B′)/2 times the state to the error, and "
            "a constant one B²/2: of this word ",
            entry(error, 2, "x"),
            ". With B = I/(τ + c) that vanishes, and Euler’s step in A z takes away exactly what A "
            "brings: what the state keeps is that of EI, and what it gains differs.",
        ),
        _table(
            "conjugate-moving",
            "**Position W_{2} with a B that depends on time,** beside B = 0 and a constant one.",
            [
                (f"`{s.word}`", None if value is None else float(value), "", s)
                for word, value in MOVING
                for s in [_told(scheme(word, "psld", "ode"), value)]
            ],
            (("word", "word"), ("value", "λ")),
        ),
    ]


def skips() -> list[Block]:
    """eps of the score without C_skip z."""
    one, plain = replace(find("EI", "psld"), skip=Fraction(1)), find("EI", "psld")
    change = error_difference(one, plain, 2)
    rows = []
    for name, value in (("EI", None), ("LDDIM-I", Fraction(1, 2))):
        for variance in SKIPS if name == "EI" else SKIPS[:2]:
            own = replace(_told(find(name, "psld"), value), skip=variance)
            shown = "0" if variance is None else f"of variance {float(variance):g}"
            rows.append((name, None if value is None else float(value), shown, own))
    return [
        Heading("A preconditioned score", "skip"),
        text(
            "A network that predicts what is left of the score, s = C_{skip} z + C_{out} ε, leaves "
            "less to be held: the linear part of the step then has C_{skip} in it. With C_{skip} = "
            "−Σ_{τ}^{−1}, Σ_{τ} the covariance at τ of Gaussian data of a variance (`--param "
            "skip=1`), ε is 0 on such data and EI exact. The network stays as it is: ε is C_{out}"
            "^{−1} (s − C_{skip} z). C_{skip} adds to the error of EI, m: ",
            entry(change, 2, "m"),
            f". {_gain(rows)}",
        ),
        _table(
            "conjugate-skip",
            "**Position W_{2} with and without C_{skip}.**",
            rows,
            (("name", "sampler"), ("value", "λ"), ("skip", "C_{skip}")),
        ),
    ]


@cache
def w2(own: Scheme, grid: str, nfe: int) -> float | None:
    """Exact position W2 on the spectrum of digits."""
    problem = problem_for("psld", "digits", grid=grid)
    found = problem.errors(own, problem.steps(own, nfe))["w2_x"]
    return None if found is None else float(found)


def _gain(rows: list[tuple[str, float | None, str, Scheme]]) -> str:
    plain, one = rows[0][3], rows[1][3]
    gains = {
        (grid, nfe): (w2(plain, grid, nfe) or 0.0) / (w2(one, grid, nfe) or 1.0)
        for grid in GRIDS
        for nfe in SHOWN
    }
    low, high = min(gains.values()), max(gains.values())
    return (
        "On digits that of unit variance divides the position W_{2} of EI by "
        f"{printed(low, '2g')} to {printed(high, '2g')}."
    )


def _told(own: Scheme, value: Fraction | None) -> Scheme:
    return own if value is None else with_conjugation(own, value)


def _table(
    label: str,
    caption: str,
    rows: list[tuple[str, float | None, str, Scheme]],
    heads: tuple[tuple[str, str], ...],
) -> Table:
    cells: list[tuple[Cell, ...]] = []
    for *said, own in rows:
        cells.append(
            (*said[: len(heads)], *(w2(own, grid, nfe) for grid in GRIDS for nfe in SHOWN))
        )
    columns = [Column(key, shown, "", "2g" if key == "value" else "3g") for key, shown in heads]
    columns += [Column(f"{g}{nfe}", str(nfe), f"{g} grid") for g in GRIDS for nfe in SHOWN]
    return Table(label, caption, tuple(columns), tuple(cells), SPECTRUM)
