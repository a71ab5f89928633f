"""Part of the page on conjugate integrators: a rule for the best lambda of other words."""

from __future__ import annotations

from functools import cache
from math import exp, log
from typing import Any

from reports.experiments.conjugate import GRIDS, NFES
from reports.experiments.conjugate_rules import FITTED_ON, RULES
from reports.experiments.store import KEPT, stored
from reports.pages.absent import told
from reports.render.document import Block, Cell, Column, Heading, Table, printed, text
from reports.render.spelling import listed

WORST = 2.5
"""A rule whose predicted lambda ends more than so many times as far as the best somewhere tells
nothing."""
TEST = "power-law"
FAR = 50.0
"""With a lambda beyond it, of either sign, little is left of a state."""
Rows = dict[tuple[str, str, int], dict[str, float]]


CHOICE = (
    Column("spectrum", "spectrum"),
    Column("grid", "grid"),
    Column("nfe", "evaluations", "", "d"),
    Column("best", "best λ", "", "2f"),
    Column("predicted", "predicted λ", "", "2f"),
    Column("zero", "λ = 0", "data units"),
    Column("w2best", "best", "data units"),
    Column("w2predicted", "predicted", "data units"),
    Column("regret", "regret", "", "3g"),
)
"""The columns of a choice of lambda: where, which, and what it is worth."""


def regret(at: dict[str, float]) -> float:
    """How many times as far as with the best lambda a run ends with the predicted one."""
    return at["w2_predicted"] / at["w2_best"]


def choice(at: dict[str, float]) -> tuple[Cell, ...]:
    """The cells of a choice, from the best lambda on."""
    told = (at[key] for key in ("best", "predicted", "w2_zero", "w2_best", "w2_predicted"))
    return (*told, regret(at))


@cache
def found() -> dict[str, Rows]:
    """The stored choices of lambda by word, and in it by spectrum, grid and budget."""
    spectra: dict[str, Any] = dict((stored("conjugate_rules") or {}).get("spectra", {}))
    return {
        name: {
            (spectrum, grid, nfe): own[name][grid][str(nfe)]
            for spectrum, own in spectra.items()
            for grid in GRIDS
            for nfe in NFES
        }
        for name in RULES
        if spectra
    }


def regrets(name: str, spectra: tuple[str, ...], key: str = "w2_predicted") -> list[float]:
    """How many times as far a word ends as at the best lambda, at the predicted one or at 0."""
    rows = found()[name].items()
    return [at[key] / at["w2_best"] for (spectrum, *_), at in rows if spectrum in spectra]


def mean(values: list[float]) -> float:
    """The geometric one."""
    return exp(sum(map(log, values)) / len(values))


def later(key: tuple[str, str, int]) -> bool:
    """Whether it is a case of the test with more than the fewest evaluations."""
    spectrum, _, nfe = key
    return spectrum == TEST and nfe > min(NFES)


def works(name: str) -> bool:
    """Whether on the spectrum on which nothing was fitted the rule is better than no lambda on
    average, and nowhere far from the best.
    """
    own = regrets(name, (TEST,))
    return mean(own) < mean(regrets(name, (TEST,), "w2_zero")) and max(own) < WORST


def rules() -> list[Block]:
    """A rule for every word, and what it is worth."""
    if not found():
        return [text(told("conjugate_rules"))]
    return [
        Heading("The best λ of the other words", "rules"),
        text(
            "Their closed forms give λ_{0} in the same way, and the rule has the same form, λ_{0} "
            "+ A β u / (1 + R u), with A and R chosen word by word on digits and patches; the "
            f"power law is the test. {_verdict()}{_far()}"
        ),
        _summary(),
        _all(),
    ]


def _verdict() -> str:
    good = [name for name in RULES if works(name)]
    parts = []
    if good:
        parts.append(
            f"It tells the λ of {listed(good)}: on the power law at most "
            f"{listed([printed(max(regrets(name, (TEST,))), '3g') for name in good])} times the "
            "W_{2} of the best λ, and on average closer to it than λ = 0."
        )
    if bad := [name for name in RULES if name not in good]:
        parts.append(
            f"No rule of this form tells that of {listed(bad)}: on the power law they end "
            f"somewhere at more than {WORST:g} times the W_{{2}} of the best λ, or on average no "
            "closer to it than λ = 0."
        )
    return " ".join(parts)


def _far() -> str:
    """How often the best lambda is one of samples that are all alike."""
    cases = [(name, at["best"]) for name, own in found().items() for at in own.values()]
    far = [(name, best) for name, best in cases if abs(best) > FAR]
    if not far:
        return ""
    return (
        f" In {len(far)} of {len(cases)} rows, of {listed(sorted({name for name, _ in far}))}, the "
        f"best λ lies beyond ±{FAR:g}: samples are then little more than the mean, which is closer "
        "to the data than what the word makes at so few steps."
    )


def _summary() -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, rule in RULES.items():
        cells: list[Cell] = [name, rule.A, rule.R]
        for spectra in (FITTED_ON, (TEST,)):
            own = regrets(name, spectra)
            cells += [mean(own), max(own), mean(regrets(name, spectra, "w2_zero"))]
        cells.append(max(regret(at) for k, at in found()[name].items() if later(k)))
        rows.append((*cells, "yes" if works(name) else "no"))
    where = ("digits and patches", TEST)
    return Table(
        "conjugate-rules",
        "**Regrets of the rule,** W_{2} at the predicted λ over W_{2} at the best one: geometric "
        "mean and worst over grids and budgets, and the mean at λ = 0.",
        (
            Column("word", "word"),
            Column("a", "A", "", "2g"),
            Column("r", "R", "", "2g"),
            *(
                Column(f"{key}{i}", shown, of, "3g")
                for i, of in enumerate(where)
                for key, shown in (("mean", "mean"), ("worst", "worst"), ("zero", "λ = 0"))
            ),
            Column("late", "worst", f"{TEST}, beyond {min(NFES)} evaluations", "3g"),
            Column("works", "tells it"),
        ),
        tuple(rows),
        f"stored: {KEPT['conjugate_rules'].command}",
    )


def _all() -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            spectrum,
            grid,
            nfe,
            *choice(at),
        )
        for name, own in found().items()
        for (spectrum, grid, nfe), at in own.items()
    ]
    return Table(
        "conjugate-rules-all",
        "**Every choice of λ,** and the position W_{2} at it.",
        (
            Column("word", "word"),
            *CHOICE,
        ),
        tuple(rows),
        f"stored: {KEPT['conjugate_rules'].command}",
        folded=True,
    )
