"""`splitting-analysis gaussian`: exact errors on a Gaussian target."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from reports.commands.options import ClockName, LowerOrderFinal, ModelName, NoiseLevel, with_options
from reports.commands.terminal import a_float, ending_of, print_json, print_table, progress
from splitting_analysis.grids import EPS
from splitting_analysis.grids import HELP as GRID_HELP

PARAM_HELP = (
    "Parameters of the process: beta_min=0.1,beta_max=20; of conjugate integrators: "
    "lambda=0.5,factor=upper,skip=1 (C_skip of Gaussian data of that variance); of data held on "
    "psld: factor=lower, upper, symmetric, flow, aligned (several, as lambda=0,0.5, "
    "are a row each); of noise before a step (EDM, or, where it is not among "
    "the names, any sampler of ve that can): S_churn=40,S_tmin=0.05,S_tmax=50,S_noise=1.003. "
    "Each acts on the rows that take it."
)


def gaussian(
    names: Annotated[
        list[str], typer.Argument(help="Names from the catalogue, or words in quotes.")
    ],
    nfe: Annotated[str | None, typer.Option(help="Budgets of score evaluations: 50,100.")] = None,
    steps: Annotated[str | None, typer.Option(help="Numbers of steps instead: 49,99.")] = None,
    model: ModelName = None,
    dynamics: Annotated[
        str | None, typer.Option(help="ode or sde; by default what the letters say (noise: sde).")
    ] = None,
    spectrum: Annotated[
        str | None,
        typer.Option(
            help="Variances of the target: digits, patches (of photographs), FILE.npy, or numbers "
            "v1,v2,... (default: digits; 1 for langevin, which needs positive ones)."
        ),
    ] = None,
    start: Annotated[
        str, typer.Option(help="prior (stationary law) or pT (exact law at T).")
    ] = "prior",
    grid: Annotated[str, typer.Option(help=GRID_HELP)] = "uniform",
    eps: Annotated[
        float | None,
        typer.Option(
            parser=a_float,
            metavar="<float>",
            help=f"The grid ends at T - eps (default: {EPS:g}; not for langevin).",
        ),
    ] = None,
    denoise: Annotated[
        bool | None,
        typer.Option(
            "--denoise/--no-denoise",
            help="End with a noiseless Euler step over eps, 1 NFE (default: denoise, of flow "
            "--no-denoise; not for langevin); --denoise data: with the data predicted there, also "
            "1 NFE.",
        ),
    ] = None,
    denoise_by: Annotated[str | None, typer.Option(hidden=True)] = None,
    lambda_s: Annotated[
        str | None,
        typer.Option(
            help="Position noise of the letter O: 1.2, several 1,1.1,1.2. A scheme without it has "
            "one row."
        ),
    ] = None,
    param: Annotated[str, typer.Option(help=PARAM_HELP)] = "",
    schedule: Annotated[
        str | None,
        typer.Option(
            help="Of vp: linear (the default), cosine, scaled-linear, FILE.npy of alpha-bar."
        ),
    ] = None,
    clock: ClockName = None,
    eta: NoiseLevel = None,
    lower_order_final: LowerOrderFinal = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array of rows.")] = False,
) -> None:
    """Exact error of samplers on a Gaussian target: no Monte Carlo, no network.

    Mean and covariance of every step are pushed exactly through the word, mode
    by mode. w2_x is the 2-Wasserstein distance of the positions to the data
    law, w2 that of positions and momenta, kl_x the Kullback-Leibler divergence
    of data from sampler over the modes with positive variance. A run that
    blew up because its steps are beyond the stability limit is called
    unstable, with the step, the limit (none in a mode that rightly grows) and
    the mode (in JSON under unstable). Options act on those rows that take them;
    a column settings says what a row was told that its name does not say, λ of
    conjugate integrators always, and clocks (τ, λ, σ, ρ) where they differ.
    kl_x, which divides by the sampled variance, is enormous where samplers of an
    SDE end with the Euler denoising step: of its full score it leaves a mode of
    variance 1e-5 almost nothing (--denoise data, --no-denoise).

    \b
    Examples:
      splitting-analysis gaussian NOBA ROBA EM --nfe 50,100
      splitting-analysis gaussian "O S B A" --nfe 50 --lambda-s 1,1.1,1.2
      splitting-analysis gaussian EM EI DDPM --model vp --steps 49 --start pT \\
          --no-denoise --param beta_min=0.1,beta_max=20
      splitting-analysis gaussian DDIM DPM++2M "S E:data[2]" --model vp \\
          --nfe 10,20 --schedule cosine
    """
    from analytic_models import gaussian as g
    from reports.commands import gaussian_options as o
    from splitting_analysis.lookup import conjugated

    budgets = None if nfe is None else o.counts(nfe, "--nfe")
    numbers = None if steps is None else o.counts(steps, "--steps")
    ending = ending_of(denoise, denoise_by)
    schemes = g.schemes_of(names, model, dynamics, "--model ")
    readings = g.readings(names, schemes, dynamics if eta is None else eta, "--dynamics ")
    schemes = with_options(schemes, clock, eta, lower_order_final, dynamics)
    schemes, param = conjugated(schemes, param, several=True)
    schemes, param = o.churning(schemes, param)
    problem = o.problem_of(
        schemes[0].model_name, spectrum, param, start, grid, eps, ending, schedule
    )
    ask = "--nfe 50,100 (budgets) or --steps 49,99"
    counts, are_steps = g.counted(schemes, problem, budgets, numbers, ask)
    cases = g.cases(schemes, counts, o.lambdas(lambda_s), "--lambda-s")
    if notice := o.announcement(o.check_time(cases, problem, are_steps=are_steps)):
        print(notice, file=sys.stderr)
    rows = list(progress(g.rows(cases, problem, are_steps=are_steps), len(cases)))
    if as_json:
        print_json(rows)
    else:
        table = g.tabled(tuple(rows), cases, problem, readings)
        print_table(table.columns, table.cells())
        print(table.note, file=sys.stderr)
