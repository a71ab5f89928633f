"""`splitting-analysis derive`: the local error of a scheme."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from reports.commands.options import ClockName, ModelName, NoiseLevel, with_options
from reports.commands.terminal import an_int, heard, print_json
from splitting_analysis.lookup import as_scheme, reading
from splitting_analysis.schemes import Scheme


def derive(
    scheme: Annotated[
        str, typer.Argument(help='A name from the catalogue, or a word in quotes: "O S B A".')
    ],
    model: ModelName = None,
    dynamics: Annotated[
        str | None, typer.Option(help="ode or sde; by default what the letters say (noise: sde).")
    ] = None,
    order: Annotated[
        int | None,
        typer.Option(
            parser=an_int,
            metavar="<int>",
            help="Powers of h (default: 3 ODE, 2 SDE; the leading term in any case).",
        ),
    ] = None,
    minus: Annotated[str | None, typer.Option(help="Subtract the error of this scheme.")] = None,
    style: Annotated[
        str,
        typer.Option(
            "--format",
            help="text, latex, mathml or json; python or torch: the sampler itself, as code.",
        ),
    ] = "text",
    lambda_s: Annotated[
        str | None,
        typer.Option(help="Fix lambda_s, the noise of the letter O (default: a symbol)."),
    ] = None,
    clock: ClockName = None,
    eta: NoiseLevel = None,
    param: Annotated[
        str,
        typer.Option(
            help="Of conjugate steps: lambda=0.5 (default: a symbol), factor=upper (of "
            "eps), skip=1 (C_skip of Gaussian data of that variance)."
        ),
    ] = "",
    score_x: Annotated[
        str | None,
        typer.Option(help="Score of the position, in x, m and forward time tau (q for langevin)."),
    ] = None,
    score_m: Annotated[
        str | None,
        typer.Option(help="Score of the momentum (psld); slow force (respa: x is the fast)."),
    ] = None,
    long: Annotated[
        bool, typer.Option("--long", help="Allow an --order that takes minutes or hours.")
    ] = False,
    at: Annotated[
        str | None,
        typer.Option(help="State, reverse time t (or tau) and parameters: x=0.3,m=-0.7,t=0.4,..."),
    ] = None,
) -> None:
    """The local truncation error of a scheme in closed form: exact flow minus one step.

    For an ODE the coefficients of h^2, h^3, ...; for an SDE those of the weak
    error (mean and second moments of the increment) and of the mean-square
    error on a shared Brownian path. With --score-x and --at, numbers as JSON.
    With --format python the sampler's step as code that `validate` takes.

    \b
    Words, carried out from left to right in one step:
      S  S@1  S@1/2      evaluate the score: at the step's start, end, middle
      A  B/2  B*2/3      advance a piece over all, half, two thirds of the step
      E:exp  E:ddpm      by another rule than Euler's: exactly, DDPM's
      E:data  E:eps      exactly, with a prediction held (also score, v, velocity)
      E:data[2]          through the last two evaluations, earlier steps' too
      E:data[2:dpm]      the same with coefficients as published by a sampler
      E:data/2[1]        the same from the step's start to its middle
      E[0,1/2]  K[0,1]   a Runge-Kutta row: weights of the last evaluations
      E:eye  E:{1,0,0,1} a conjugate step (psld), B = lambda I or that matrix
      (B/2 A/2)*2        what is in brackets, so many times

    \b
    Examples:
      splitting-analysis derive ROBA
      splitting-analysis derive "S B/2 A S@1 B/2" --order 2 --format latex
      splitting-analysis derive NOBA --minus ROBA
      splitting-analysis derive LDDIM-I --minus EI
      splitting-analysis derive BAOAB --model langevin --order 3
      splitting-analysis derive "O S B A" --format python > my_sampler.py
      splitting-analysis derive RSE --score-x "sin(0.7*x) - m/2" \\
          --score-m "-m + x/3" --at Gamma=0.01,nu=4.01,beta=8,x=0.3,m=-0.7,t=0.4
    """
    from reports.commands import derivation

    style = style.strip().lower()
    given: str | Scheme = scheme
    if clock is not None or eta is not None:
        read = as_scheme(scheme, model, dynamics)
        (given,) = with_options([read], clock, eta, dynamics=dynamics)
    # said before the work, which may be long
    for one in derivation.resolved(given, minus, model, dynamics):
        if said := reading(one, dynamics if eta is None else eta):
            print(said, file=sys.stderr)
    if style in ("python", "torch"):
        others = {"score_x": score_x, "score_m": score_m, "at": at}
        _refuse(style, order=order, minus=minus, **others)
        print(derivation.code(given, model, dynamics, style, lambda_s, param), end="")
        return
    if at is None and score_x is None and score_m is None:
        with heard() as say:
            text = derivation.formulas(
                given, model, dynamics, order, minus, style, lambda_s, long, say, param
            )
        print(text)
        return
    if at is None or score_x is None:
        raise ValueError(
            "numbers need both a score (--score-x, --score-m) and a state (--at x=..,t=..)"
        )
    if lambda_s is not None:
        raise ValueError("with --at, give lambda_s there: --at lambda_s=1.2,...")
    if style not in ("text", "json"):
        raise ValueError(f"--format {style}: with --at the result is numbers, printed as JSON")
    with heard() as say:
        found = derivation.numbers(
            given, model, dynamics, order, minus, (score_x, score_m), at, long, say, param
        )
    print_json(found)


def _refuse(style: str, **given: object) -> None:
    """Raise ValueError for options of formulas, where code is asked for."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"--{name.replace('_', '-')} is of the error's formulas, and --format {style} "
                "writes the sampler itself: leave one of the two out"
            )
