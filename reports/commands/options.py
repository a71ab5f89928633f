"""Options that several commands take, each said once, and what they tell a sampler."""

from __future__ import annotations

from typing import Annotated

import typer

from splitting_analysis.lookup import check_level, clocked, lowered
from splitting_analysis.notation import read_number
from splitting_analysis.retuned import with_noise_level
from splitting_analysis.schemes import Scheme
from splitting_analysis.settings import where_it_acts

ModelName = Annotated[
    str | None,
    typer.Option(
        help="psld, vp, ve, flow, langevin or respa; by default psld, or where the name is found."
    ),
]
NoiseLevel = Annotated[
    str | None,
    typer.Option(
        help="Noise level where a prediction is held, and of splittings of vp, ve and flow: 0 the "
        "ODE, 1 the reverse SDE (of psld the exact bridge), 0.5, ..."
    ),
]
ClockName = Annotated[
    str | None,
    typer.Option(
        help="tau (time), lambda (log(alpha/sigma)), sigma (log sigma) or rho (sigma/alpha): in "
        "what a step is halved, Euler's pieces step, and held predictions are polynomials "
        "(default: the name's own; of words lambda where a prediction is held, else tau)."
    ),
]
LowerOrderFinal = Annotated[
    bool,
    typer.Option(
        "--lower-order-final",
        help="Samplers that hold evaluations of earlier steps hold fewer in the last steps.",
    ),
]


def with_options(
    schemes: list[Scheme],
    clock: str | None,
    eta: str | None,
    lower_final: bool = False,
    dynamics: str | None = None,
) -> list[Scheme]:
    """The schemes in that clock and with that noise level, each where it acts; None leaves each its
    own.

    With `lower_final` those that hold earlier steps' evaluations lower their order in the last
    steps. Raises ValueError for a clock or level that there is not, that acts in none of them, or
    that the `dynamics` asked for do not have.
    """
    schemes = clocked(lowered(schemes) if lower_final else schemes, clock, "--clock ")
    if eta is not None:
        try:
            level = read_number(eta)
        except ValueError as error:
            raise ValueError(f"--eta: {error}") from None
        check_level(level, dynamics)
        schemes = where_it_acts(schemes, lambda one: with_noise_level(one, level))
    return schemes
