"""Rows of `splitting-analysis gaussian`: exact errors on a Gaussian target, no Monte Carlo."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from analytic_models.moments import run
from analytic_models.problem import Problem, problem_for
from reports.commands.expressions import parse_settings
from reports.commands.lookup import check_lambda_s
from splitting_analysis.catalogue import CATALOGUE
from splitting_analysis.lookup import as_scheme
from splitting_analysis.models import MODEL_NAMES
from splitting_analysis.notation import read_float
from splitting_analysis.processes import PROCESSES
from splitting_analysis.schemes import Scheme

MOST = 10**7
"""Steps or evaluations of one run, at most."""
LONGEST = 600.0
"""Seconds that a table may take by its estimate."""
UNDISPUTED = 2 * 10**6
"""Numbers (steps times modes) pushed in about a second: below, nothing is estimated."""
ROW = UNDISPUTED // 25
"""What else a row costs at most, in the same numbers: saying why it blew up."""


def schemes_of(texts: list[str], model: str | None, dynamics: str | None) -> list[Scheme]:
    """The schemes of names or words, all of one model. Raises ValueError as `as_scheme` does, or for two.

    Without `model` a name belongs where it is found, PSLD first, and a word to PSLD.
    """
    found = [as_scheme(text, model, dynamics) for text in texts]
    names = list(dict.fromkeys(s.model_name for s in found))
    if len(names) > 1:
        parts = ", ".join(f"{s.name} is a {s.model_name} scheme" for s in found)
        common = [name for name in MODEL_NAMES if _all_in(texts, name, dynamics)]
        hint = f"; all of them exist in {' and in '.join(common)}: --model {common[0]}" if common else ""
        raise ValueError(f"one table is for one model, but {parts}{hint or '; run them apart'}")
    return found


def _all_in(texts: list[str], model: str, dynamics: str | None) -> bool:
    try:
        return bool([as_scheme(text, model, dynamics) for text in texts])
    except ValueError:
        return False


def readings(texts: list[str], schemes: list[Scheme], dynamics: str | None) -> list[str]:
    """One line for every word that would mean something else with the other dynamics, if none was given."""
    if dynamics is not None:
        return []
    names = {entry.name.casefold() for entry in CATALOGUE}
    lines = []
    for text, scheme in zip(texts, schemes, strict=True):
        other = "sde" if scheme.dynamics == "ode" else "ode"
        if text.strip().casefold() in names or not _all_in([text], scheme.model_name, other):
            continue
        called = " for Euler-Maruyama" if str(scheme.word) == "S E" else ""
        lines.append(f"{scheme.word} read as {scheme.dynamics.upper()} (--dynamics {other}{called})")
    return list(dict.fromkeys(lines))


def cases(
    schemes: list[Scheme], counts: list[int], lambdas: list[float | None]
) -> list[tuple[Scheme, int, float | None]]:
    """Scheme, count and lambda_s of every row: a scheme in which lambda_s does not act has one per count.

    Raises ValueError where lambda_s is given and acts in none of them.
    """
    if lambdas != [None]:
        check_lambda_s("--lambda-s", *schemes)
    return [
        (scheme, count, lambda_s)
        for scheme in schemes
        for count in counts
        for lambda_s in (lambdas if scheme.has_tunable_noise else [None])
    ]


def rows(
    asked: list[tuple[Scheme, int, float | None]], problem: Problem, *, are_steps: bool
) -> Iterator[dict[str, Any]]:
    """One row per case, as soon as it is computed; its count is of steps, or of evaluations."""
    for scheme, count, lambda_s in asked:
        yield problem.errors(scheme, count if are_steps else problem.steps(scheme, count), lambda_s)


def check_time(
    asked: list[tuple[Scheme, int, float | None]], problem: Problem, *, are_steps: bool
) -> float:
    """Seconds that the rows will take, timed on the first steps of each scheme; 0 where they are few.

    Raises ValueError beyond LONGEST, saying the estimate.
    """
    modes = problem.target.variances.size
    counts = [n if are_steps else problem.steps(scheme, n) for scheme, n, _ in asked]
    numbers = sum(counts) * max(modes, 20)  # a step of one mode costs as much as of 20
    if numbers + ROW * len(asked) < UNDISPUTED:
        return 0.0
    per_step: dict[str, float] = {}
    for (scheme, _, lambda_s), n in zip(asked, counts, strict=True):
        if scheme.name not in per_step:
            first = min(n, 200 if modes < 10**5 else 2)
            times = [(problem.process.T - problem.eps) * i / n for i in range(first + 1)]
            began = time.perf_counter()
            run(scheme, problem.process, problem.target, times, problem.start, False, lambda_s)
            per_step[scheme.name] = (time.perf_counter() - began) / (len(times) - 1)
    steps = sum(per_step[scheme.name] * n for (scheme, _, _), n in zip(asked, counts, strict=True))
    seconds = steps + ROW * len(asked) / UNDISPUTED
    if seconds > LONGEST:
        raise ValueError(
            f"{len(asked)} rows of {sum(counts)} steps in all would take about {_spoken(seconds)} "
            f"({1e6 * steps / sum(counts):.0f} microseconds a step of {modes} modes), and a "
            f"table may take {_spoken(LONGEST)}: give fewer steps, evaluations or rows"
        )
    return seconds


def _spoken(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.0f} hours"


def announcement(seconds: float) -> str | None:
    """What is said before a table that takes a while; None before one that does not."""
    return f"about {_spoken(seconds)} to go" if seconds > 5 else None


def problem_of(
    model: str, spectrum: str | None, parameters: str, start: str, grid_name: str, eps: float | None,
    denoise: bool | None,
) -> Problem:  # fmt: skip
    """The problem of the command's options; None is the default. Raises ValueError for bad ones."""
    if model == "langevin":  # it samples the target itself: nothing is diffused, or left to denoise
        for option, value in (("--eps", eps), ("--denoise/--no-denoise", denoise)):
            if value is not None:
                raise ValueError(
                    f"{option}: a langevin run has no diffusion to stop early and no denoising step"
                )
    names = [field.name for field in fields(PROCESSES[model])]
    given = parse_settings(parameters, names) if parameters else {}
    how = {"eps": eps, "denoise": denoise}
    chosen = {key: value for key, value in how.items() if value is not None}
    return problem_for(model, spectrum, given, start=start, grid=grid_name, **chosen)


def counts(text: str, option: str) -> list[int]:
    """Positive integers from "50,100". Raises ValueError naming the option."""
    for part in text.split(","):
        digits = part.strip().lstrip("0")
        if not (part.strip().isascii() and part.strip().isdigit() and digits):
            raise ValueError(f"{option} {text}: {part!r} is not a positive number, e.g. {option} 50,100")
        if len(digits) > len(str(MOST)) or int(digits) > MOST:
            raise ValueError(f"{option} {part.strip()[:20]}: at most {MOST} in one run")
    return [int(part) for part in text.split(",")]


def lambdas(text: str | None) -> list[float | None]:
    """Values of lambda_s from "1,1.2"; [None] when not given. Raises ValueError."""
    if text is None:
        return [None]
    try:
        values = [read_float(part) for part in text.split(",")]
    except ValueError as error:
        raise ValueError(f"--lambda-s {text[:40]}: {error}; numbers such as 1 or 1,1.1,1.2") from None
    if not all(0 <= value < float("inf") for value in values):
        raise ValueError(f"--lambda-s {text[:40]}: lambda_s scales a variance, so it is finite and >= 0")
    return list(values)


def blow_ups(rows: list[dict[str, Any]]) -> list[str]:
    """One line for every run that blew up: its step, the limit and the mode."""
    return list(dict.fromkeys(_blow_up(row, row["unstable"]) for row in rows if row["unstable"]))


def _blow_up(row: dict[str, Any], cause: dict[str, Any]) -> str:
    text = (
        f"{row['scheme']} with {row['steps']} step{'s' * (row['steps'] > 1)} is unstable in "
        f"{' and '.join(cause['components'])}: for mode {cause['mode']} (variance "
        f"{cause['variance']:.3g}) the step {cause['step']:.3g} at tau = {cause['tau']:.3g} "
    )
    if cause["limit"] is None:  # growth is right there, but not as much
        return text + f"multiplies by {cause['factor']:.3g} where {cause['exact']:.3g} is exact"
    return text + f"is beyond the limit there, {cause['limit']:.3g}"


def footnote(problem: Problem, rows: list[dict[str, Any]]) -> str:
    """What the table's numbers refer to."""
    modes = problem.target.variances.size
    if problem.process.model_name == "langevin":
        law = "unit variance" if modes == 1 and problem.target.variances[0] == 1 else f"{modes} modes"
        return f"{law}, start {problem.start}, uniform steps over T = {problem.process.T:g}"
    text = f"{modes} modes, start {problem.start}, {problem.grid} grid, eps {problem.eps:g}"
    text += ", denoising step" if problem.denoises else ", no denoising step"
    if rows and rows[0]["kl_modes"] < modes:
        text += f"; kl_x over the {rows[0]['kl_modes']} modes with positive variance"
    return text
