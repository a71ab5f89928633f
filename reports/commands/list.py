"""`splitting-analysis list`: the catalogue."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from reports.commands.terminal import print_json, print_table
from splitting_analysis.catalogue import samplers
from splitting_analysis.lookup import check_family
from splitting_analysis.models import MODEL_NAMES
from splitting_analysis.schemes import Scheme

COLUMNS = ("name", "model", "dynamics", "word", "nfe", "order", "source")
WIDE = 140
"""Columns of a terminal from which sources are written out."""


def list_schemes(
    model: Annotated[
        str | None, typer.Option(help=f"Only the schemes of one model: {', '.join(MODEL_NAMES)}.")
    ] = None,
    dynamics: Annotated[
        str | None, typer.Option(help="Only deterministic (ode) or stochastic (sde) schemes.")
    ] = None,
    by_class: Annotated[
        bool,
        typer.Option(
            "--classes",
            help="Groups of samplers that are one, but for a run's first and last operations.",
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print a JSON array, with place and errata of each source."),
    ] = False,
) -> None:
    """Every named sampler: its word, what it costs and the order it claims.

    A word is carried out left to right: S evaluates the score, A and B move
    position and momentum, O is the exact Ornstein-Uhlenbeck step, B/2 is half
    of B, O:mid friction by the implicit midpoint rule, C the kick of the fast of
    two forces (respa), S@1 evaluates at the time where the step ends, E:data advances all
    exactly with a prediction held. The column nfe counts
    the S of a word: network evaluations per step. One word may be a sampler of
    the ODE and another of the SDE: the column dynamics says of which. A sampler
    of the ODE that adds noise before each step is one of "ode+churn", and
    stochastic. In which clock a prediction is held, and how much noise churns,
    --json says: DEIS2 and rho-DEIS2 are one word. On a narrow terminal a source
    is its number at arXiv.

    \b
    Examples:
      splitting-analysis list
      splitting-analysis list --model psld --dynamics sde
      splitting-analysis list --model langevin --classes
      splitting-analysis list --json
    """
    model, dynamics = check_family(model, dynamics)
    chosen = [s for s in samplers(model) if dynamics in (None, "sde" if s.stochastic else "ode")]
    if by_class:
        _list_classes(chosen, as_json)
        return
    rows = [
        {
            "name": s.name,
            "model": s.model_name,
            "dynamics": s.dynamics,
            "churn": s.churn and s.churn.as_dict(),
            "word": str(s.word),
            "nfe": s.nfe,
            "order": s.order,
            "clock": s.clock if s.program.uses_clock else None,
            "source": s.source.citation,
            "place": s.source.place,
            "erratum": s.source.erratum,
        }
        for s in chosen
    ]
    if as_json:
        print_json(rows)
        return
    columns: tuple[str, ...] = COLUMNS
    if sys.stdout.isatty():
        columns = tuple(c for c in COLUMNS if c != "model" or model is None)
        if shutil.get_terminal_size().columns < WIDE:
            for row in rows:
                row["source"] = _short(str(row["source"]))
    for row in rows:
        row["dynamics"] = f"{row['dynamics']}+churn" if row["churn"] else row["dynamics"]
    print_table(columns, [[row[column] for column in columns] for row in rows])


def _short(citation: str) -> str:
    """A source in a word or two: its number at arXiv, or else author and year."""
    if found := re.search(r"arXiv (\d+\.\d+)", citation):
        return found[1]
    year = re.search(r"\b(?:19|20)\d\d\b", citation)
    return f"{re.split(r'[ ,]', citation)[0]} {year[0] if year else ''}".strip()


def _list_classes(schemes: Sequence[Scheme], as_json: bool) -> None:
    """The classes of more than one sampler; the others stand alone."""
    from splitting_analysis.word_classes import classes, cycle

    rows = [
        {
            "model": group[0].model_name,
            "dynamics": group[0].kind,
            "cycle": str(cycle(group[0])),
            "samplers": [s.name for s in group],
        }
        for group in classes(schemes)
        if len(group) > 1
    ]
    if as_json:
        print_json(rows)
        return
    shown = [
        [row["model"], row["dynamics"], row["cycle"], " ".join(row["samplers"])] for row in rows
    ]
    print_table(("model", "dynamics", "cycle", "samplers"), shown)
    print(
        "one sampler each at equal steps and a constant rate, begun and looked at elsewhere in its "
        "cycle; all others are their own",
        file=sys.stderr,
    )
