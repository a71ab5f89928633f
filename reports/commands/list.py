"""`splitting-analysis list`: the catalogue."""

from __future__ import annotations

from typing import Annotated

import typer

from reports.commands.terminal import print_json, print_table
from splitting_analysis.catalogue import samplers
from splitting_analysis.lookup import check_family
from splitting_analysis.models import MODEL_NAMES

COLUMNS = ("name", "model", "dynamics", "word", "nfe", "order", "source")


def list_schemes(
    model: Annotated[
        str | None, typer.Option(help=f"Only the schemes of one model: {', '.join(MODEL_NAMES)}.")
    ] = None,
    dynamics: Annotated[
        str | None, typer.Option(help="Only deterministic (ode) or stochastic (sde) schemes.")
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print a JSON array, with place and errata of each source."),
    ] = False,
) -> None:
    """Every named sampler: its word, what it costs and the order it claims.

    A word is carried out left to right: S evaluates the score, A and B move
    position and momentum, O is the exact Ornstein-Uhlenbeck step, B/2 is half
    of B, S@1 evaluates at the time where the step ends, E:data advances all
    exactly with a prediction held. The column nfe counts
    the S of a word: network evaluations per step. One word may be a sampler of
    the ODE and another of the SDE: the column dynamics says of which.

    \b
    Examples:
      splitting-analysis list
      splitting-analysis list --model psld --dynamics sde
      splitting-analysis list --json
    """
    model, dynamics = check_family(model, dynamics)
    rows = [
        {
            "name": s.name,
            "model": s.model_name,
            "dynamics": s.dynamics,
            "word": str(s.word),
            "nfe": s.nfe,
            "order": s.order,
            "source": s.source.citation,
            "place": s.source.place,
            "erratum": s.source.erratum,
        }
        for s in samplers(model, dynamics)
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(COLUMNS, [[row[column] for column in COLUMNS] for row in rows])
