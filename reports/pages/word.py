"""What is known of a word without a run: its cost, order, error, exact distances, stability."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analytic_models import gaussian
from analytic_models.limits import limits
from analytic_models.problem import problem_for
from reports.render.document import (
    Block,
    Cell,
    Column,
    Formulas,
    Heading,
    Table,
    printed,
    text,
)
from reports.render.spelling import blocks as formulas_of
from reports.render.spelling import count, expression, power
from splitting_analysis.families import family_of
from splitting_analysis.grids import EPS
from splitting_analysis.held_results import held_local_error
from splitting_analysis.schemes import Scheme
from splitting_analysis.weak import at_lambda_one, local_error, order_of

BUDGETS = (10, 20, 50)
NEAR_DATA = EPS
"""Forward time at which the largest stable step is told: where a run ends, and it is shortest."""
HELD = (
    "P1, P2, ... are derivatives of the prediction along the exact path in the clock; r1, r2, ... "
    "the lengths of earlier steps over the step's own; kappa1, ... coefficients of the kernel; J "
    "the Jacobian of the prediction."
)


Distance = tuple[str, int, int | None, float | None]


@dataclass(frozen=True)
class Facts:
    """A word and, beside it, what it is claimed to be.

    order      derived; None where it is not (`absent` says why)
    rows       (scheme, budget, evaluations made, W2 of the positions or None)
    unstable   the (scheme, budget) whose runs blew up: these distances are no results
    symbols    what the letters of the error are, where it is one of a prediction that is held
    problem    what these are distances on: spectrum, grid and start, in words
    limit      largest stable step at forward time NEAR_DATA, in units of time; None if not known
    """

    scheme: Scheme
    order: int | None
    error: tuple[Formulas, ...]
    rows: tuple[Distance, ...]
    limit: float | None
    absent: tuple[str, ...]
    problem: str = ""
    unstable: frozenset[tuple[str, int]] = frozenset()
    symbols: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """What the command prints as JSON; a number that is not known or not finite is null."""
        scheme = self.scheme
        return {
            "scheme": scheme.name,
            "word": str(scheme.word),
            "model": scheme.model_name,
            "dynamics": scheme.dynamics,
            "evaluations_per_step": scheme.program.evaluations,
            "carries_score": scheme.carries_score,
            "order": self.order,
            "claimed_order": scheme.order,
            "local_error": [
                {"title": block.title, "entry": f.label, "text": f.text, "latex": f.latex}
                for block in self.error
                for f in block.items
            ],
            "w2_x": [
                dict(zip(("scheme", "budget", "nfe", "w2_x"), row, strict=True))
                | {"unstable": row[:2] in self.unstable}
                for row in self.rows
            ],
            "w2_x_on": self.problem,
            "largest_stable_step": {"tau": NEAR_DATA, "step": _finite(self.limit)},
            "absent": list(self.absent),
        }

    def __str__(self) -> str:
        scheme = self.scheme
        lines = [
            f"what is known of {scheme} ({scheme.model_name}, {scheme.dynamics})",
            f"  cost                  {_evaluations(scheme)} per step",
            f"  order                 {_order(self)}",
        ]
        for block in self.error:
            lines.append(f"  {block.title.replace('_{s}', '_s')}")
            lines += [f"{'':6}{f.label}: {f.text}" for f in block.items]
        lines += [f"{'':6}{symbol}" for symbol in self.symbols]
        lines.append(f"  exact W2 of the positions to the data, {_list(BUDGETS)} evaluations")
        lines += [f"{'':6}on {self.problem}"] * bool(self.problem)
        lines += [f"{'':6}{name}: {_list(values)}" for name, values in _by_name(self).items()]
        lines.append(f"  largest stable step   {_limit(self)}")
        return "\n".join([*lines, *(f"  note                  {one}" for one in self.absent)])

    def blocks(self) -> list[Block]:
        """The facts as blocks of a page."""
        scheme = self.scheme
        held = [text(HELD)] if scheme.program.holds else []
        columns = [Column("sampler", "sampler"), *(Column(f"nfe{n}", f"{n}") for n in BUDGETS)]
        rows: list[tuple[Cell, ...]] = [(name, *values) for name, values in _by_name(self).items()]
        return [
            Heading("What is known of the word", "known"),
            text(
                f"`{scheme.word}` makes {_evaluations(scheme)} per step; its order is "
                f"{_order(self)}; its largest stable step is {_limit(self)}."
            ),
            *self.error,
            *held,
            Table(
                "w2",
                "**Exact 2-Wasserstein distance** of the sampled positions to the data, by number "
                "of score evaluations.",
                tuple(columns),
                tuple(rows),
                f"`splitting-analysis gaussian` on {self.problem}; unstable: steps beyond the "
                "stability limit blew the run up",
            ),
            *(text(f"Not known: {one}.") for one in self.absent),
        ]


def facts(
    scheme: Scheme, claimed: Scheme | None = None, parameters: Mapping[str, Any] | None = None
) -> Facts:
    """All that the package knows about a scheme; `claimed` is compared with it where it is another.

    Distances and the largest step are those of the model's process, with these `parameters`.
    Takes a second or two.
    """
    given = dict(parameters or {})
    absent: list[str] = []
    order, error, symbols = _error(scheme, absent)
    beside = [scheme]
    if claimed is not None and claimed.model_name == scheme.model_name:
        beside += [claimed] if claimed.name != scheme.name else []
    distances = [_distance(each, n, absent, given) for each in beside for n in BUDGETS]
    return Facts(
        scheme,
        order,
        error,
        tuple(row for row, _ in distances),
        _stable(scheme, absent, given),
        tuple(absent),
        _problem(scheme, given),
        frozenset(row[:2] for row, blew_up in distances if blew_up),
        symbols,
    )


def _error(
    scheme: Scheme, absent: list[str]
) -> tuple[int | None, tuple[Formulas, ...], tuple[str, ...]]:
    """Order, leading local error, and what the symbols of that are where they need a word."""
    try:
        if scheme.program.holds:
            held = held_local_error(scheme)
            if held.kind == "weak":
                title = "Weak local error"
                shown = tuple(expression(c, key) for key, c in held.terms[held.power].items())
            else:
                title = "Local error per unit of the linear part"
                shown = (expression(held.coefficient, ", ".join(scheme.model.components)),)
            found = Formulas("error", f"{title}, coefficient of {power(held.power)}", shown)
            return held.order, (found,), tuple(held.symbols().values())
        exact_noise = at_lambda_one(scheme)
        error = local_error(exact_noise, 1)
        note = ", λ_{s} = 1" if scheme.has_tunable_noise else ""
        return order_of(exact_noise), tuple(formulas_of(error, "error", note)), ()
    except ValueError as refused:
        absent.append(_sentence(refused))
        return None, (), ()


def _distance(
    scheme: Scheme, budget: int, absent: list[str], given: dict[str, Any]
) -> tuple[Distance, bool]:
    """The row, and whether the run blew up."""
    problem = problem_for(scheme.model_name, None, given)
    try:
        cases = gaussian.cases([scheme], [budget], [None])
        (row,) = gaussian.rows(cases, problem, are_steps=False)
    except ValueError as refused:
        absent.append(f"{_sentence(refused)} ({budget} evaluations)")
        return (scheme.name, budget, None, None), False
    found = (scheme.name, budget, int(row["nfe"]), _finite(row["w2_x"]))
    return found, row["unstable"] is not None


def _problem(scheme: Scheme, given: dict[str, Any]) -> str:
    """Spectrum, start, grid and end of the runs, in words."""
    problem = problem_for(scheme.model_name, None, given)
    spectrum = family_of(problem.process).spectrum
    named = f"{spectrum}: " if isinstance(spectrum, str) and spectrum.isalpha() else ""
    return named + gaussian.footnote(problem, [])


def _stable(scheme: Scheme, absent: list[str], given: dict[str, Any]) -> float | None:
    problem = problem_for(scheme.model_name, None, given)
    try:
        table = limits([scheme], problem.process, problem.target.variances, [NEAR_DATA])
    except ValueError as refused:
        absent.append(_sentence(refused))
        return None
    return float(table.rows[0]["largest_step"])


def _sentence(error: ValueError) -> str:
    return str(error).split("\n", 1)[0].removesuffix(".")


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _evaluations(scheme: Scheme) -> str:
    n = scheme.program.evaluations
    return f"{count(n)} score evaluation{'s' * (n > 1)}"


def _order(facts: Facts) -> str:
    claimed = facts.scheme.order
    told = "not derived" if facts.order is None else str(facts.order)
    return told if claimed is None else f"{told} (claimed: {claimed})"


def _limit(facts: Facts) -> str:
    if facts.limit is None:
        return "not known"
    if math.isnan(facts.limit):
        return "none: the exact flow itself grows"
    return f"{printed(facts.limit)} at forward time {NEAR_DATA:g}"


def _by_name(facts: Facts) -> dict[str, list[float | str | None]]:
    found: dict[str, list[float | str | None]] = {}
    for name, budget, _, value in facts.rows:
        blew_up = (name, budget) in facts.unstable
        found.setdefault(name, []).append("unstable" if blew_up else value)
    return found


def _list(values: Any) -> str:
    return ", ".join(str(v) if isinstance(v, int | str) else printed(v) for v in values)
