"""Exact errors on a Gaussian target as a table: rows of schemes and budgets, no Monte Carlo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from analytic_models.problem import Problem
from analytic_models.schedules import schedule_name
from analytic_models.table import Table
from splitting_analysis.catalogue import entries, named
from splitting_analysis.families import family_of
from splitting_analysis.lookup import as_scheme, check_lambda_s, reading
from splitting_analysis.models import MODEL_NAMES
from splitting_analysis.notation import Word
from splitting_analysis.processes import Process
from splitting_analysis.schemes import Scheme, nfe_for
from splitting_analysis.settings import shown

COLUMNS = ("scheme", "steps", "nfe", "lambda_s", "w2_x", "w2", "kl_x", "worst_mode_x")
"""The columns of a row that are shown; lambda_s only where it was given."""
Case = tuple[Scheme, int, float | None]
"""Scheme, number of steps or evaluations, lambda_s."""


def table(
    asked: Sequence[Case], problem: Problem, *, are_steps: bool, notes: Sequence[str] = ()
) -> Table:
    """The rows of all cases with what they refer to, and why those that blew up did."""
    return tabled(tuple(rows(asked, problem, are_steps=are_steps)), asked, problem, notes)


def tabled(
    made: tuple[dict[str, Any], ...],
    asked: Sequence[Case],
    problem: Problem,
    notes: Sequence[str] = (),
) -> Table:
    """The rows of those cases as a table."""
    columns = tuple(
        c for c in COLUMNS if c != "lambda_s" or any(value is not None for *_, value in asked)
    )
    note = "\n".join((footnote(problem, made), *notes, *blow_ups(made)))
    return Table(made, columns, note, settings=tuple(shown([scheme for scheme, *_ in asked])))


def schemes_of(
    texts: Sequence[str | Word | Scheme],
    model: str | None,
    dynamics: str | None,
    option: str = "model=",
) -> list[Scheme]:
    """The schemes of names or words, all of one model. Raises ValueError as `as_scheme` does, or
    for two.

    Without `model` a name belongs where it is found, PSLD first, and a word to PSLD; `option` is
    how the model is given.
    """
    found = [as_scheme(text, model, dynamics) for text in texts]
    names = list(dict.fromkeys(s.model_name for s in found))
    if len(names) > 1 and model is None:
        # a name that PSLD has beside others' (EI) joins the names that only another model has
        plain = [
            next((e for e in entries(None, dynamics) if e in named(str(t))), s)
            for t, s in zip(texts, found, strict=True)
        ]
        names = list(dict.fromkeys(s.model_name for s in plain))
        found = plain if len(names) == 1 else found
    if len(names) > 1:
        parts = ", ".join(f"{s.name} is a {s.model_name} scheme" for s in found)
        common = [name for name in MODEL_NAMES if _all_in(texts, name, dynamics)]
        hint = (
            f"; all of them exist in {' and in '.join(common)}: {option}{common[0]}"
            if common
            else ""
        )
        raise ValueError(f"one table is for one model, but {parts}{hint or '; run them apart'}")
    return found


def _all_in(texts: Sequence[str | Word | Scheme], model: str, dynamics: str | None) -> bool:
    try:
        return bool([as_scheme(text, model, dynamics) for text in texts])
    except ValueError:
        return False


def readings(
    texts: Sequence[str | Word | Scheme],
    schemes: Sequence[Scheme],
    dynamics: str | None,
    option: str = "dynamics=",
) -> list[str]:
    """One line for every word that would mean something else with the other dynamics, if none was
    given: `lookup.reading` of those that were given as words.
    """
    said = (
        reading(scheme, dynamics, option)
        for text, scheme in zip(texts, schemes, strict=True)
        if not (isinstance(text, Scheme) or (isinstance(text, str) and named(text)))
    )
    return [line for line in dict.fromkeys(said) if line]


def cases(
    schemes: Sequence[Scheme],
    counts: Sequence[int],
    lambdas: Sequence[float | None],
    option: str = "lambda_s",
) -> list[Case]:
    """Scheme, count and lambda_s of every row: a scheme in which lambda_s does not act has one per
    count.

    Raises ValueError where lambda_s is given and acts in none of them.
    """
    if list(lambdas) != [None]:
        check_lambda_s(option, *schemes)
    return [
        (scheme, count, lambda_s)
        for scheme in schemes
        for count in counts
        for lambda_s in (lambdas if scheme.has_tunable_noise else [None])
    ]


def counted(
    schemes: Sequence[Scheme],
    problem: Problem,
    nfe: list[int] | None,
    steps: list[int] | None,
    options: str,
) -> tuple[list[int], bool]:
    """Numbers of steps or evaluations, and whether they are of steps: those of a grid that is given
    need not be said.

    Raises ValueError for both or neither, saying the options, and for others than a given grid has.
    """
    named = isinstance(problem.grid, str)
    if (nfe is None) == (steps is None) and (named or nfe is not None):
        raise ValueError(f"give either {options}")
    asked = (nfe or []) if steps is None else steps
    if named:
        return asked, nfe is None
    own = problem.least_steps
    if nfe is None and set(asked) <= {own}:
        return [own], True
    costs = {scheme.name: nfe_for(own, scheme, problem.denoises) for scheme in schemes}
    for scheme in schemes:
        least, most = costs[scheme.name], costs[scheme.name] + scheme.nfe
        if nfe is None or not all(least <= count < most for count in nfe):
            takes = ", ".join(f"{name} {cost}" for name, cost in costs.items())
            raise ValueError(
                f"the grid given has {own} steps, whatever the number of steps or evaluations "
                f"asked for: leave it out; evaluations on this grid: {takes}"
            )
    return asked, False


def rows(asked: Sequence[Case], problem: Problem, *, are_steps: bool) -> Iterator[dict[str, Any]]:
    """One row per case, as soon as it is computed; its count is of steps, or of evaluations."""
    for scheme, count, lambda_s in asked:
        yield problem.errors(scheme, count if are_steps else problem.steps(scheme, count), lambda_s)


def blow_ups(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One line for every run that blew up: its step, the limit and the mode; or that it left
    float64, where no limit is known to be exceeded.
    """
    said = (_blow_up(row, row["unstable"]) if row["unstable"] else _beyond(row) for row in rows)
    return [line for line in dict.fromkeys(said) if line]


def _beyond(row: dict[str, Any]) -> str:
    if None not in (row["w2_x"], row["w2"]):
        return ""
    return (
        f"{row['scheme']} with {row['steps']} step{'s' * (row['steps'] > 1)} blew up: its law "
        "left float64, and - stands for what is no number"
    )


def _blow_up(row: dict[str, Any], cause: dict[str, Any]) -> str:
    text = (
        f"{row['scheme']} with {row['steps']} step{'s' * (row['steps'] > 1)} is unstable in "
        f"{' and '.join(cause['components'])}: for mode {cause['mode']} (variance "
        f"{cause['variance']:.3g}) the step {cause['step']:.3g} at tau = {cause['tau']:.3g} "
    )
    if cause["limit"] is None:  # growth is right there, but not as much
        return text + f"multiplies by {cause['factor']:.3g} where {cause['exact']:.3g} is exact"
    return text + f"is beyond the limit there, {cause['limit']:.3g}"


def _told(process: Process) -> str:
    """What a process is told that its model does not say."""
    schedule = schedule_name(process)
    usual = family_of(process).process()
    told = [f"schedule {schedule}"] if schedule not in (None, schedule_name(usual)) else []
    for one in fields(process):
        value = getattr(process, one.name)
        if isinstance(value, int | float) and value != getattr(usual, one.name, None):
            told.append(f"{one.name} = {value:g}")
    return "".join(f", {text}" for text in told)


def footnote(problem: Problem, rows: Sequence[dict[str, Any]]) -> str:
    """What the table's numbers refer to."""
    modes = problem.target.variances.size
    if not family_of(problem.process).diffuses:
        law = (
            "unit variance" if modes == 1 and problem.target.variances[0] == 1 else f"{modes} modes"
        )
        steps = f"{problem.grid_name} steps over T = {problem.process.T:g}"
        return f"{law}, start {problem.start}, {steps}{_told(problem.process)}"
    text = f"{modes} modes, start {problem.start}, {problem.grid_name} grid, eps {problem.eps:g}"
    endings = {False: "no denoising step", True: "denoising step", "data": "ends with the data"}
    text += f", {endings[problem.denoises]}{_told(problem.process)}"
    if rows and rows[0]["kl_modes"] < modes:
        text += f"; kl_x over the {rows[0]['kl_modes']} modes with positive variance"
    return text
