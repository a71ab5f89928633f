"""Part of the page on the harmonic well: two forces at two rates, and where they resonate."""

from __future__ import annotations

import sympy

from analytic_models.harmonic import PHI, X, Y, closed_forms, leading, measures
from reports.render.document import Block, Cell, Column, Formula, Table, text
from reports.render.spelling import expression
from splitting_analysis.catalogue import samplers

CLOSED = 2
"""Inner steps up to which closed forms are short enough to show."""
PARTS = (0.9, 0.99)
FRICTIONS = (0.01, 1.0)


def two_forces() -> tuple[Block, Table]:
    """A text and a table."""
    rows: list[tuple[Cell, ...]] = []
    for scheme in samplers("respa", "sde"):
        row: list[Cell] = [scheme.name, f"`{scheme.word}`", scheme.nfe]
        if scheme.nfe <= CLOSED:
            forms = closed_forms(scheme)
            row += [_off(forms.position), _off(forms.momentum)]
        else:
            row += ["", ""]
        row += [measures(scheme, 0.1, 1.0, g, part).limit for part in PARTS for g in FRICTIONS]
        rows.append(tuple(row))
    return (
        text(
            "Words with C are of two forces, model `respa`: C is the kick of the fast one, B that "
            "of the slow one, which comes in once a step (r-RESPA, Tuckerman, Berne & Martyna "
            "1992). On a well both are linear, and φ = ω_{fast}²/ω² is the fast one’s part. A "
            "slow kick every half period of the fast motion feeds it: with two inner steps the "
            "window 8/(2 − φ) < (ωh)² < 8/φ is unstable however weak the slow force is. Friction "
            "between the slow kicks closes it, friction beside them, as in OBABO-RESPA2, does not."
        ),
        Table(
            "harmonic-forces",
            "**Two forces at two rates.** Leading terms of the errors, and the step ωh at which a "
            "sampler first fails.",
            (
                Column("scheme", "scheme"),
                Column("word", "word"),
                Column("nfe", "fast forces", "per step", "d"),
                Column("qq_error", "error of ω² ⟨q²⟩", "leading term"),
                Column("pp_error", "error of ⟨p²⟩", "leading term"),
                *(
                    Column(f"limit_{part}_{g}", "first failing ωh", f"φ = {part:g}, γ = {g:g} ω")
                    for part in PARTS
                    for g in FRICTIONS
                ),
            ),
            tuple(rows),
            "solved from the exact one-step map",
        ),
    )


def _off(value: object) -> Cell:
    first = leading(value)
    if first == 0:
        return "0"
    gamma, h, omega, phi = sympy.symbols("gamma h omega phi", positive=True)
    shown: Formula = expression(first.xreplace({X: gamma * h, Y: omega**2 * h**2, PHI: phi}))
    return shown
