"""Page: what samplers of kinetic Langevin dynamics do to a harmonic well, in closed form."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import sympy

from analytic_models.harmonic import X, Y, closed_forms, leading, measures
from analytic_models.verlet import PRINTED
from reports.pages.harmonic_forces import two_forces
from reports.pages.settings import Settings
from reports.render.document import (
    Block,
    Cell,
    Column,
    Figure,
    Formula,
    Formulas,
    Heading,
    Line,
    Page,
    Panel,
    Table,
    printed,
    text,
)
from reports.render.spelling import anchor, expression, link, listed
from splitting_analysis.catalogue import entries, samplers
from splitting_analysis.schemes import Scheme
from splitting_analysis.word_classes import classes, cycle

GAMMA, H, OMEGA = sympy.symbols("gamma h omega", positive=True)
FRICTION = 1.0
"""gamma over omega in the figure and in what is said of it."""
MOMENTS = {"position": "position, |ω² ⟨q²⟩ − 1|", "momentum": "momentum, |⟨p²⟩ − 1|"}
BEYOND = 1.05
"""The figure reaches so many times the largest limit: every curve ends within it."""
LONG = 8
"""Operations in a formula that stands in a cell."""
SOURCE = "solved from the exact one-step map"
POSITIONS = "follows from the five coefficients of the printed step"


def words() -> tuple[Scheme, ...]:
    """The samplers with noise, in the order of the catalogue."""
    return samplers("langevin", "sde")


def build(settings: Settings) -> Page:
    body: list[Block] = [
        text(
            "The potential is ω² q²/2, mass and temperature are 1. A sampler with a fixed step h "
            "keeps a Gaussian law that is not quite the exact one; it is stable up to some step; "
            "without a force its particle diffuses, and under a constant one it drifts. All of it "
            "is exact here: `splitting-analysis harmonic` gives the same formulas, or numbers, for "
            "any word."
        ),
        Heading("Errors against the step", "errors"),
        _figure(settings),
        Heading("The law that is kept", "law"),
        _law(),
        *_long_forms(),
        Heading("Stability and transport", "transport"),
        _transport(),
        Heading("Two forces at two rates", "forces"),
        *two_forces(),
        Heading("Words that are one sampler", "classes"),
        _classes(),
        Heading("Integrators of five decades", "decades"),
        text(
            "Grønbech-Jensen (arXiv 2505.04100) compares twelve integrators by what positions do: "
            "the variance on a well, diffusion and drift. Here are those whose own papers "
            "or code say what a step is; which are his twelve is not claimed. GJ-I is GJF; "
            "GJ-VII chooses the attenuation and takes the step from it. Langevin impulse (Skeel & "
            "Izaguirre, Mol. Phys. 100, 3885 (2002)) is BUB, and the stochastic dynamics of Goga "
            "et al. (J. Chem. Theory Comput. 8, 3637 (2012)) BAOA."
        ),
        _decades(),
        Heading("Why some are no words", "others"),
        _others(),
    ]
    return Page("harmonic-well", "Kinetic Langevin on a harmonic well", _lead(), tuple(body))


@cache
def error(scheme: Scheme, step: float, what: str) -> float:
    """|<q^2> omega^2 - 1| or |<p^2> - 1| at omega h = `step`; nan where no law is kept."""
    value = getattr(measures(scheme, step, 1.0, FRICTION), what)
    return abs(value - 1) if value is not None else float("nan")


def exact(scheme: Scheme, what: str) -> bool:
    """Whether that moment is right at every step."""
    return bool(getattr(closed_forms(scheme), what) == 1)


def _lead() -> str:
    right = [s.name for s in words() if exact(s, "position")]
    off = {s.name: error(s, 1.0, "position") for s in words() if s.name not in right}
    known = {name: value for name, value in off.items() if value == value}
    worst, best = max(known, key=lambda n: known[n]), min(known, key=lambda n: known[n])
    lost = [name for name in off if name not in known]
    return (
        f"The position variance that a sampler keeps on a harmonic well is exact at every step "
        f"for {listed(right)}; at ωh = 1, with γ = ω, it is off by {_percent(known[best])} for "
        f"{best} and by {_percent(known[worst])} for {worst}"
        + (f", and {listed(lost)} keep{'s' * (len(lost) == 1)} none." if lost else ".")
    )


def _percent(value: float) -> str:
    return f"{printed(100 * value, '2g')} %"


def _figure(settings: Settings) -> Figure:
    points = 16 if settings.quick else 60
    drawn = entries("langevin", "sde")
    last = BEYOND * max(measures(s, 1.0, 1.0, FRICTION).limit for s in drawn)
    grid = tuple(float(f"{v:.4g}") for v in np.geomspace(0.05, last, points))
    panels = []
    for what, name in MOMENTS.items():
        lines = [
            Line(s.name, grid, tuple(error(s, v, what) for v in grid))
            for s in drawn
            if not exact(s, what)
        ]
        panels.append(Panel(name, tuple(lines), "step, ωh", "error of the variance"))
    missing = [f"in {m} {listed([s.name for s in drawn if exact(s, m)])}" for m in MOMENTS]
    return Figure(
        "harmonic-errors",
        f"**Error of the variance that is kept**, friction γ = ω; a curve ends at the "
        "last step shown at which the sampler is stable. Without an error, and a curve: "
        f"{'; '.join(missing)}.",
        tuple(panels),
        SOURCE,
    )


def shown(value: object) -> Formula:
    """A closed form in gamma, h and omega."""
    full = sympy.sympify(value).xreplace({X: GAMMA * H, Y: OMEGA**2 * H**2})
    return expression(full)


def _in_one_cell(formulas: list[Formula]) -> Formula:
    """Formulas side by side, a semicolon between."""
    if len(formulas) == 1:
        return formulas[0]
    between = '<mo>;</mo><mspace width="0.6em"/>'
    return Formula(
        r";\quad ".join(each.latex for each in formulas),
        f"<mrow>{between.join(each.mathml for each in formulas)}</mrow>",
        "; ".join(each.text for each in formulas),
    )


def _is_long(scheme: Scheme) -> bool:
    """Whether its formulas need a line each."""
    return bool(sympy.count_ops(closed_forms(scheme).position) > LONG)


def _law() -> Table:
    rows: list[tuple[Cell, ...]] = []
    for s in words():
        forms = closed_forms(s)
        row: list[Cell] = [link(s), f"`{s.word}`"]
        for value in (forms.position, forms.momentum):
            row.append("below" if _is_long(s) else shown(value))
            first = leading(value)
            row.append("0" if first == 0 else shown(first))
        row.append("below" if _is_long(s) else shown(H * forms.correlation))
        rows.append((*row, s.source.citation))
    return Table(
        "harmonic-law",
        "**Second moments at step h**, and the leading terms of their errors. In the exact law "
        "ω² ⟨q²⟩ and ⟨p²⟩ are 1 and ⟨q p⟩ is 0.",
        (
            Column("scheme", "scheme"),
            Column("word", "word"),
            Column("qq", "ω² ⟨q²⟩"),
            Column("qq_error", "its error", "leading term"),
            Column("pp", "⟨p²⟩"),
            Column("pp_error", "its error", "leading term"),
            Column("qp", "⟨q p⟩"),
            Column("source", "source"),
        ),
        tuple(rows),
        SOURCE,
    )


def _long_forms() -> list[Formulas]:
    """A block for each sampler whose formulas are long; tangents are called T."""
    x, y, t = sympy.symbols("x y T", positive=True)
    found = []
    for s in filter(_is_long, words()):
        forms, items, title = closed_forms(s), [], f"{s.name}, with x = γh and y = ω² h²"
        for label, value in (
            ("ω² ⟨q²⟩", forms.position),
            ("⟨p²⟩", forms.momentum),
            ("⟨q p⟩/h", forms.correlation),
        ):
            names = {X: x, Y: y, **dict.fromkeys(value.atoms(sympy.tanh), t)}
            items.append(expression(value.xreplace(names), label, factored=True))
        for tangent in forms.position.atoms(sympy.tanh):
            title += f", T = tanh({expression(tangent.args[0]).text})"
        found.append(Formulas(f"harmonic-{anchor(s)}", title, tuple(items)))
    return found


def _transport() -> Table:
    rows: list[tuple[Cell, ...]] = []
    for s in words():
        forms = closed_forms(s)
        limits = _in_one_cell([shown(each) for each in forms.limit])
        numbers = measures(s, 1.0, 1.0, FRICTION)
        rows.append((link(s), limits, numbers.limit, shown(forms.diffusion), shown(forms.drift)))
    return Table(
        "harmonic-transport",
        "**Limit and transport.** The (ωh)² at which an eigenvalue leaves the unit disk; a free "
        "particle’s diffusion and the velocity under a unit force, both times γ, are 1 in the "
        "exact dynamics. Where there are two limits, steps between them are stable.",
        (
            Column("scheme", "scheme"),
            Column("limit", "(ωh)² at the limit"),
            Column("number", "largest stable ωh", "γ = ω"),
            Column("diffusion", "γ × diffusion"),
            Column("drift", "γ × drift velocity"),
        ),
        tuple(rows),
        SOURCE,
    )


def _classes() -> Table:
    rows: list[tuple[Cell, ...]] = [
        (f"`{cycle(group[0])}`", listed([link(s) for s in group])) for group in classes(words())
    ]
    return Table(
        "harmonic-classes",
        "**Cycles.** A run repeats its word: samplers of one cycle carry out the same operations, "
        "begun and looked at elsewhere (arXiv 2602.01923). They share limit and transport, and the "
        "law of one is that of the other after the operations between.",
        (Column("cycle", "cycle"), Column("samplers", "samplers")),
        tuple(rows),
        "words compared, equal pieces merged",
    )


YEARS = {
    "EI": 1980,
    "BBK": 1984,
    "BUB": 2002,
    "SPV": 2004,
    "OBABO": 2007,
    "BAOA": 2012,
    "ABOBA": 2013,
    "BAOAB": 2013,
    "GJF": 2013,
    "UBU": 2017,
}
"""When a word of the catalogue was first printed as an integrator."""


def _decades() -> Table:
    own = {s.name: s for s in words()}
    made: list[tuple[int, str, str, Any]] = [
        (year, link(own[name]), f"`{own[name].word}`", closed_forms(own[name]))
        for name, year in YEARS.items()
        if name in own
    ]
    made += [(each.year, each.name, "none", each.form) for each in PRINTED]
    rows: list[tuple[Cell, ...]] = []
    for year, name, word, forms in sorted(made, key=lambda row: row[0]):
        momentum = getattr(forms, "momentum", None)
        limit = forms.limit if isinstance(forms.limit, tuple) else (forms.limit,)
        rows.append(
            (
                name,
                year,
                word,
                _off(forms.position),
                _number(forms.position),
                "" if momentum is None else _off(momentum),
                "" if momentum is None else _number(momentum),
                _briefly(limit),
                _briefly((forms.diffusion,)),
                _briefly((forms.drift,)),
            )
        )
    return Table(
        "harmonic-decades",
        "**By year.** Leading terms of the errors, and the numbers at γh = ωh = 1 (none beyond "
        "the limit). The momentum is the word’s; of what is no word several go with the same "
        "positions, and the GJ set is exact in all that these show.",
        (
            Column("name", "integrator"),
            Column("year", "year"),
            Column("word", "word"),
            Column("qq_error", "error of ω² ⟨q²⟩", "leading term"),
            Column("qq", "ω² ⟨q²⟩", "γh = ωh = 1"),
            Column("pp_error", "error of ⟨p²⟩", "leading term"),
            Column("pp", "⟨p²⟩", "γh = ωh = 1"),
            Column("limit", "(ωh)² at the limit"),
            Column("diffusion", "γ × diffusion"),
            Column("drift", "γ × drift velocity"),
        ),
        tuple(rows),
        f"{SOURCE}; of what is no word, {POSITIONS}",
    )


def _off(value: object) -> Cell:
    first = leading(value)
    return "0" if first == 0 else shown(first)


def _number(value: object) -> Cell:
    """A closed form at x = y = 1; a variance below 0 is that of no law."""
    number = float(sympy.sympify(value).subs({X: 1, Y: 1}))
    return number if number > 0 else "none"


def _briefly(values: tuple[Any, ...]) -> Cell:
    """Closed forms, or where one is long what it is at x = 1."""
    if all(sympy.count_ops(value) <= 3 * LONG for value in values):
        return _in_one_cell([shown(value) for value in values])
    return ", ".join(f"{printed(float(v.subs(X, 1)), '4g')} at γh = 1" for v in values)


def _others() -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            each.name,
            each.why,
            each.source,
        )
        for each in PRINTED
    ]
    return Table(
        "harmonic-others",
        "**No words.** The friction that words have is the exact flow, O, or the implicit midpoint "
        "rule, O:mid; a piece covers the same part of every step.",
        (
            Column("name", "integrator"),
            Column("why", "why it is no word"),
            Column("source", "published in"),
        ),
        tuple(rows),
        "as printed",
    )
