"""What samplers of kinetic Langevin do to a harmonic well, as a table: numbers or formulas."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from analytic_models.harmonic import closed_forms, measures
from analytic_models.table import Formula, Row, Table
from splitting_analysis.catalogue import samplers
from splitting_analysis.lookup import as_scheme
from splitting_analysis.notation import Word
from splitting_analysis.schemes import Scheme

COLUMNS = ("position", "momentum", "correlation", "limit", "diffusion", "drift")


def table(
    texts: Sequence[str | Word | Scheme],
    steps: Sequence[float] | None,
    omega: float = 1.0,
    gamma: float = 1.0,
    fast: float | None = None,
) -> Table:
    """A row per scheme and step, or formulas per scheme where there are no steps.

    Without schemes all of langevin's SDE. Raises ValueError for what there is not.
    """
    schemes = chosen(texts)
    check(schemes, steps, omega, gamma, fast)
    found = [row for group in rows(schemes, steps, omega, gamma, fast) for row in group]
    notes = [note(schemes, steps, omega, gamma), *lawless(found, omega)]
    return Table(tuple(found), columns(steps), "\n".join(notes), ("h", "position"))


def columns(steps: Sequence[float] | None) -> tuple[str, ...]:
    """Those of a row that are shown."""
    return ("scheme", *(() if steps is None else ("h",)), *COLUMNS)


def chosen(texts: Sequence[str | Word | Scheme]) -> list[Scheme]:
    """The samplers, of one force, or of two where they are none of one; all of one where none are
    said.
    """
    return [_named(text) for text in texts] or list(samplers("langevin", "sde"))


def _named(text: str | Word | Scheme) -> Scheme:
    try:
        return as_scheme(text, "langevin", "sde")
    except ValueError as first:
        try:
            return as_scheme(text, "respa", "sde")
        except ValueError as second:
            raise (second if re.search(r"\bC\b", str(text).upper()) else first) from None


def check(
    schemes: Sequence[Scheme],
    steps: Sequence[float] | None,
    omega: float,
    gamma: float,
    fast: float | None,
    option: str = "",
) -> None:
    """Raise ValueError for what acts on nothing; `option` is what stands before a name."""
    o = option
    if steps is None:
        if (omega, gamma, fast) != (1.0, 1.0, None):
            raise ValueError(f"{o}omega, {o}gamma and {o}fast are for numbers: give {o}h, too")
    elif fast is not None and not any(s.model.acts for s in schemes):
        raise ValueError(
            f"{o}fast is for words of two forces, such as BAOAB-RESPA2; {schemes[0].word} has one"
        )


def rows(
    schemes: Sequence[Scheme],
    steps: Sequence[float] | None,
    omega: float = 1.0,
    gamma: float = 1.0,
    fast: float | None = None,
) -> Iterator[list[Row]]:
    """Those of each scheme, as soon as they are computed."""
    for scheme in schemes:
        own = {"scheme": scheme.name, "word": str(scheme.word)}
        if steps is None:
            forms = asdict(closed_forms(scheme))
            forms["limit"] = ", ".join(map(str, forms["limit"]))
            yield [own | {name: Formula(value) for name, value in forms.items()}]
            continue
        found = [(h, asdict(measures(scheme, h, omega, gamma, fast))) for h in steps]
        yield [own | {"h": h} | {k: _finite(v) for k, v in row.items()} for h, row in found]


def _finite(value: float | None) -> float | None:
    """A number that JSON has; what rounding has left of 0 is 0."""
    if value is None or not math.isfinite(value):
        return None
    return 0.0 if abs(value) < 1e-13 else value


def note(
    schemes: Sequence[Scheme], steps: Sequence[float] | None, omega: float, gamma: float
) -> str:
    """What numbers or formulas refer to."""
    if steps is not None:
        return f"omega = {omega:g}, gamma = {gamma:g}; exact: 1, 1, 0 and 1, 1"
    two = ", φ the fast part of the force" * any(s.model.acts for s in schemes)
    return f"x = gamma h, y = (omega h)²{two}; the limit is of y, the correlation <q p>/h"


def lawless(found: Sequence[Row], omega: float) -> list[str]:
    """A line for each row whose step keeps no law, and for each that has no transport."""
    return [
        f"{row['scheme']} keeps no law at h = {row['h']:g}: omega h = {omega * row['h']:g} "
        + (f"is beyond its limit, {row['limit']:.5g}" if row["limit"] else "is not stable")
        for row in found
        if row["position"] is None
    ] + [
        f"{row['scheme']} has no transport at h = {row['h']:g}: the momentum of a free particle "
        "grows"
        for row in found
        if row.get("diffusion", 0) is None
    ]


def cell(value: Any) -> str:
    """A cell for a person."""
    if value is None:
        return "-"
    if isinstance(value, Formula):
        return value.shown
    return f"{value:.6g}" if isinstance(value, float) else str(value)
