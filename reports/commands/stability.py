"""`splitting-analysis stability`: the largest stable step of samplers on a Gaussian target."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from reports.commands.terminal import print_json, print_table
from splitting_analysis.notation import read_float


def stability(
    names: Annotated[
        list[str], typer.Argument(help='Names from the catalogue, or words in quotes: "O S B A".')
    ],
    tau: Annotated[
        str, typer.Option(help="Forward times at which all is frozen, e.g. 0.5,0.1.")
    ] = "0.001",
    model: Annotated[
        str | None,
        typer.Option(
            help="psld, vp, ve, flow, langevin or respa; by default psld, or where the name is "
            "found."
        ),
    ] = None,
    dynamics: Annotated[
        str | None, typer.Option(help="ode or sde; by default what the letters say (noise: sde).")
    ] = None,
    spectrum: Annotated[
        str | None,
        typer.Option(help="Variances of the target: digits, patches, FILE.npy or v1,v2,..."),
    ] = None,
    param: Annotated[
        str,
        typer.Option(
            help="Parameters of the process: Gamma=0.02; of conjugate steps: lambda=0.5 (several, "
            "as lambda=0,0.5, are a row each), factor=upper, skip=1."
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array of rows.")] = False,
) -> None:
    """The largest stable step of samplers on a Gaussian target, all frozen at a time.

    The shortest limit over the target's modes, in units of time, with the mode
    and the variance that set it; inf where every step is stable, nan where the
    exact flow grows in all modes, or stands still while the sampler grows. Of
    conjugate integrators also the limit of |1 + h lambda~| <= 1, which looks at
    the conjugated state alone.

    \b
    Examples:
      splitting-analysis stability LDDIM-I --param lambda=0.5 --tau 0.5,0.1
      splitting-analysis stability ROBA SSCS "O S B A" --spectrum 1,0.01
      splitting-analysis stability EI --model vp --dynamics sde
    """
    from analytic_models.gaussian import readings, schemes_of
    from analytic_models.limits import limits
    from reports.commands.gaussian_options import problem_of
    from splitting_analysis.lookup import conjugated

    schemes = schemes_of(names, model, dynamics, "--model ")
    said = readings(names, schemes, dynamics, "--dynamics ")
    schemes, param = conjugated(schemes, param, several=True)
    problem = problem_of(schemes[0].model_name, spectrum, param, "prior", "uniform", None, None)
    try:
        times = [read_float(part) for part in tau.split(",")]
    except ValueError as error:
        raise ValueError(f"--tau: {error}") from None
    for line in said:
        print(line, file=sys.stderr)
    table = limits(schemes, problem.process, problem.target.variances, times)
    if as_json:
        print_json([_plain(row) for row in table.rows])
    else:
        print_table(table.columns, table.cells())


def _plain(row: dict[str, object]) -> dict[str, object]:
    """A row for JSON, which has no inf and nan: they become words."""
    return {
        key: str(value) if isinstance(value, float) and not abs(value) < float("inf") else value
        for key, value in row.items()
    }
