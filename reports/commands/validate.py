"""`splitting-analysis validate`: is a sampler what it is said to be?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reports.commands.options import ClockName
from reports.commands.terminal import heard, print_json


def validate(
    sampler: Annotated[
        str,
        typer.Argument(
            help="path/to/file.py:function, a library's sampler (diffusers:DDIMScheduler), a name "
            'from the catalogue, or a word in quotes: "O S B A".'
        ),
    ],
    claims: Annotated[
        str | None,
        typer.Option(
            help='What it is said to be: ROBAB, "a word", order=2, evaluations=1; several with '
            "commas. A word or name is itself, if nothing else is said."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="psld, vp, ve, flow, langevin or respa; by default the claimed name's."),
    ] = None,
    dynamics: Annotated[
        str | None, typer.Option(help="ode or sde, where a claimed word may be either.")
    ] = None,
    lambda_s: Annotated[
        str | None, typer.Option(help="lambda_s of the claimed word (default: 1).")
    ] = None,
    clock: ClockName = None,
    eta: Annotated[
        str | None, typer.Option(help="Noise level of the claimed word, if it holds a prediction.")
    ] = None,
    param: Annotated[
        str,
        typer.Option(
            help="Parameters of the process it is tried on, Gamma=0.02,beta_max=8, and of a "
            "claimed conjugate word, lambda=0.5,factor=upper,skip=1."
        ),
    ] = "",
    option: Annotated[
        list[str] | None,
        typer.Option(help="An option of a library's sampler: solver_order=2; may be repeated."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write the verdict as an HTML page to this file.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: one entry per check.")
    ] = False,
) -> None:
    """Judge a sampler that nobody here wrote: is it what it is said to be?

    The code is step(z, t, h, score, noise, model) -> z, or a whole run
    sample(score, z, grid, noise, model) -> z, in NumPy or torch. It is fed basis
    vectors in place of scores and normals, which shows its coefficients exactly;
    they are compared with those of the claimed word, one by one, and its order,
    limit and manners are judged, on even grids of 4 to 128 steps from 0.1 T to
    0.9 T: nearer to the ends nothing is seen. Exit status 0 only if every claim
    holds. Of a word or name all else that is known is told, too: its error as a formula, its
    exact distance to the data beside the claimed sampler's, its largest stable step.

    \b
    Examples:
      splitting-analysis validate my_sampler.py:my_step --claims ROBAB
      splitting-analysis validate my_sampler.py:run --claims order=2 --model vp
      splitting-analysis validate "O S B/2 A S@1 B/2" --claims ROBAB
      splitting-analysis validate diffusers:DPMSolverMultistepScheduler \\
          --option solver_order=2 --claims DPM++2M
    """
    from gpu_samplers.files import check_file, write_whole
    from reports.commands import validation

    if report is not None:
        check_file(report)
    with heard(first=2, then=10) as say:
        found, known = validation.judged(
            sampler,
            claims,
            model,
            dynamics,
            validation.Settings(lambda_s, clock, eta, param),
            option or [],
            say,
        )
        page = None if report is None else validation.page(found, known, sampler)
    if report is not None and page is not None:
        write_whole(report, page)
    if as_json:
        print_json(found.as_dict() | ({} if known is None else {"word": known.as_dict()}))
    else:
        print(found, *([] if known is None else ["", known]), sep="\n")
    if not found.holds:
        raise typer.Exit(1)
