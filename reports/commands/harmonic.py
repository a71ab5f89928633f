"""`splitting-analysis harmonic`: what samplers of kinetic Langevin do to a harmonic well."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from reports.commands.terminal import a_float, print_json, print_table, progress
from splitting_analysis.notation import read_float


def harmonic(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names of langevin, or words in quotes; by default all of the SDE."),
    ] = None,
    h: Annotated[
        str | None, typer.Option("--h", help="Steps: 0.5, or several 0.1,0.5. Without: formulas.")
    ] = None,
    omega: Annotated[
        float, typer.Option(parser=a_float, metavar="<float>", help="Frequency of the well.")
    ] = 1.0,
    gamma: Annotated[
        float, typer.Option(parser=a_float, metavar="<float>", help="Friction.")
    ] = 1.0,
    fast: Annotated[
        float | None,
        typer.Option(
            parser=a_float, metavar="<float>", help="Of two forces: the fast one's part, 0 to 1."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array of rows.")] = False,
) -> None:
    """The law that a step keeps on a harmonic well, its limit, and its transport: exact.

    Kinetic Langevin dynamics at unit mass and temperature. position is <q^2>
    omega^2 and momentum <p^2> of the law that steps of size h keep; both are 1
    in the exact law, and correlation, <q p> omega, is 0. limit is omega h up
    to which all steps are stable. diffusion is that of a free particle and
    drift the velocity under a unit force, both times gamma: 1 if exact.

    Without --h they are formulas in x = gamma h and y = (omega h)^2, of <q p>/h
    for the correlation, and of the y at which an eigenvalue leaves the unit
    disk for the limit.

    Words with C are of two forces, model respa: C is the kick of the fast one,
    B of the slow one, and --fast says which part of the well's force is fast
    (0.9 unless said; phi in formulas). Their limit is where steps first fail,
    which may be a window of resonance: formulas name both its ends.

    \b
    Examples:
      splitting-analysis harmonic BAOAB UBU
      splitting-analysis harmonic BAOAB UBU "U S B" --h 0.5,1 --omega 2
      splitting-analysis harmonic --h 1 --gamma 0.1 --json
      splitting-analysis harmonic BAOAB-RESPA2 --h 0.5 --fast 0.99
    """
    from analytic_models import harmonic_table as t

    steps = None if h is None else _steps(h)
    schemes = t.chosen(names or ())
    t.check(schemes, steps, omega, gamma, fast, "--")
    made = list(progress(t.rows(schemes, steps, omega, gamma, fast), len(schemes)))
    flat = [row for group in made for row in group]
    if as_json:
        print_json(flat)
        return
    columns = t.columns(steps)
    print_table(columns, [[t.cell(row[c]) for c in columns] for row in flat])
    print(t.note(schemes, steps, omega, gamma), *t.lawless(flat, omega), sep="\n", file=sys.stderr)


def _steps(text: str) -> list[float]:
    found = []
    for part in text.split(","):
        try:
            found.append(read_float(part))
        except ValueError as error:
            raise ValueError(f"--h: {error}") from None
    return found
