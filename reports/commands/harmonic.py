"""`splitting-analysis harmonic`: what samplers of kinetic Langevin do to a harmonic well."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from reports.commands.terminal import a_float, print_json, print_table, progress
from splitting_analysis.catalogue import samplers
from splitting_analysis.lookup import as_scheme
from splitting_analysis.notation import read_float
from splitting_analysis.schemes import Scheme

COLUMNS = ("position", "momentum", "correlation", "limit", "diffusion", "drift")


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
    schemes = [_named(name) for name in names or ()]
    chosen = schemes or list(samplers("langevin", "sde"))
    columns: tuple[str, ...] = COLUMNS if h is None else ("h", *COLUMNS)
    if h is None:
        if (omega, gamma, fast) != (1.0, 1.0, None):
            raise ValueError("--omega, --gamma and --fast are for numbers: give --h, too")
        rows = _formulas(chosen)
        note = "x = gamma h, y = (omega h)^2"
        note += ", phi the fast part of the force" * any(s.model.acts for s in chosen)
    else:
        if fast is not None and not any(s.model.acts for s in chosen):
            raise ValueError(
                f"--fast is for words of two forces, such as BAOAB-RESPA2; {chosen[0].word} has one"
            )
        rows = _numbers(chosen, _steps(h), omega, gamma, fast)
        note = f"omega = {omega:g}, gamma = {gamma:g}; exact: 1, 1, 0 and 1, 1"
    made = list(progress(rows, len(chosen)))
    flat = [row for group in made for row in group]
    if as_json:
        print_json(flat)
        return
    print_table(
        ("scheme", *columns), [[_cell(row[c]) for c in ("scheme", *columns)] for row in flat]
    )
    print(note, file=sys.stderr)
    for row in flat:
        if h is not None and row["position"] is None:
            print(
                f"{row['scheme']} keeps no law at h = {row['h']:g}: omega h = "
                f"{omega * row['h']:g} is beyond its limit, {row['limit']:.5g}",
                file=sys.stderr,
            )


def _named(name: str) -> Scheme:
    """A sampler of one force, or of two where it is none of one."""
    try:
        return as_scheme(name, "langevin", "sde")
    except ValueError as first:
        try:
            return as_scheme(name, "respa", "sde")
        except ValueError as second:
            raise (second if "C" in name.split() or "C/" in name else first) from None


def _steps(text: str) -> list[float]:
    found = []
    for part in text.split(","):
        try:
            found.append(read_float(part))
        except ValueError as error:
            raise ValueError(f"--h: {error}") from None
    return found


def _numbers(
    schemes: Any, steps: list[float], omega: float, gamma: float, fast: float | None
) -> Any:
    from analytic_models.harmonic import measures

    for scheme in schemes:
        yield [
            {"scheme": scheme.name, "word": str(scheme.word), "h": step}
            | {k: _finite(v) for k, v in asdict(measures(scheme, step, omega, gamma, fast)).items()}
            for step in steps
        ]


def _finite(value: float | None) -> float | None:
    """A number that JSON has; what rounding has left of 0 is 0."""
    if value is None or not math.isfinite(value):
        return None
    return 0.0 if abs(value) < 1e-13 else value


def _formulas(schemes: Any) -> Any:
    from analytic_models.harmonic import closed_forms

    for scheme in schemes:
        forms = asdict(closed_forms(scheme))
        forms["limit"] = ", ".join(map(str, forms["limit"]))
        yield [
            {"scheme": scheme.name, "word": str(scheme.word)}
            | {name: str(value) for name, value in forms.items()}
        ]


def _cell(value: Any) -> Any:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else value
