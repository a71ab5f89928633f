"""Options that several commands take, each said once."""

from __future__ import annotations

from typing import Annotated

import typer

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
