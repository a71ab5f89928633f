"""The options of `splitting-analysis gaussian`, read; and how long what they ask for will take."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from analytic_models.gaussian import Case
from analytic_models.moments import run
from analytic_models.problem import Problem, problem_for
from splitting_analysis import churn
from splitting_analysis.door_arguments import MOST
from splitting_analysis.expressions import parse_settings
from splitting_analysis.families import FAMILIES
from splitting_analysis.lookup import churned, read_lambda_s
from splitting_analysis.processes import PROCESSES
from splitting_analysis.schemes import Denoise, Scheme
from splitting_analysis.settings import keys

LONGEST = 600.0
"""Seconds that a table may take by its estimate."""
UNDISPUTED = 2 * 10**6
"""Numbers (steps times modes) pushed in about a second: below, nothing is estimated."""
ROW = UNDISPUTED // 25
"""What else a row costs at most, in the same numbers: saying why it blew up."""


def check_time(asked: Sequence[Case], problem: Problem, *, are_steps: bool) -> float:
    """Seconds that the rows will take, timed on the first steps of each scheme; 0 where they are
    few.

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
    model: str,
    spectrum: str | None,
    parameters: str,
    start: str,
    grid_name: str,
    eps: float | None,
    denoise: Denoise | None,
    schedule: str | None = None,
) -> Problem:
    """The problem of the command's options; None is the default. Raises ValueError for bad ones."""
    if not FAMILIES[model].diffuses:
        for option, value in (("--eps", eps), ("--denoise/--no-denoise", denoise)):
            if value is not None:
                raise ValueError(
                    f"{option}: a {model} run has no diffusion to stop early and no denoising step"
                )
    names = [field.name for field in fields(PROCESSES[model])]
    given = parse_settings(parameters, names, keys(model)) if parameters else {}
    how = {"eps": eps, "denoise": denoise}
    chosen: dict[str, Any] = {key: value for key, value in how.items() if value is not None}
    return problem_for(model, spectrum, given, schedule, start=start, grid=grid_name, **chosen)


def churning(schemes: list[Scheme], parameters: str) -> tuple[list[Scheme], str]:
    """The schemes with what `parameters` says of noise before a step, and the rest of it.

    Raises ValueError for what cannot be, and where it acts in none of the schemes.
    """
    numbers, rest = churn.read(parameters)
    return (churned(schemes, numbers), rest) if numbers else (schemes, parameters)


def counts(text: str, option: str) -> list[int]:
    """Positive integers from "50,100". Raises ValueError naming the option."""
    for part in text.split(","):
        digits = part.strip().lstrip("0")
        if not (part.strip().isascii() and part.strip().isdigit() and digits):
            raise ValueError(
                f"{option} {text}: {part!r} is not a positive number, e.g. {option} 50,100"
            )
        if len(digits) > len(str(MOST)) or int(digits) > MOST:
            raise ValueError(f"{option} {part.strip()[:20]}: at most {MOST} in one run")
    return [int(part) for part in text.split(",")]


def lambdas(text: str | None) -> list[float | None]:
    """Values of lambda_s from "1,1.2" or "1,5/4"; [None] when not given. Raises ValueError."""
    if text is None:
        return [None]
    return [float(read_lambda_s(part, "--lambda-s")) for part in text.split(",")]
