"""Which sampler of PSLD comes closest to the digits spectrum: of those of the page of exact errors,
and of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from reports.pages.exact_runs import GRIDS, KINDS, at_budget, schemes
from reports.pages.settings import Settings
from reports.render.document import printed
from reports.render.spelling import listed
from splitting_analysis.catalogue import entries, samplers
from splitting_analysis.schemes import Scheme
from splitting_analysis.weak import at_lambda_one

FEW = 100
"""Evaluations up to which the samplers here are held against all others that have a name."""
ELSEWHERE = (
    "[data held](data-held.html), [conjugate integrators](conjugate.html) and "
    "[PSLD at one budget](family.html)"
)
"""Pages of PSLD's other samplers."""


def every(model: str, dynamics: str) -> tuple[Scheme, ...]:
    """All samplers with a name; conjugate ones at the λ they have without a choice."""
    return tuple(at_lambda_one(s) for s in samplers(model, dynamics))


def compared() -> str:
    """What the samplers of PSLD on this page are."""
    plain = [s.name for s in entries("psld") if {op.letter for op in s.word} <= {"S", "E"}]
    return f"splittings, {listed(plain)}"


def _errors(own: Sequence[Scheme], grid: str, nfe: int) -> dict[str, float]:
    found = {s.name: at_budget(s, nfe, grid, "prior") for s in own}
    return {name: c["w2_x"] for name, c in found.items() if c and np.isfinite(c["w2_x"])}


def _best(own: Sequence[Scheme], grid: str, nfe: int) -> tuple[str, float]:
    errors = _errors(own, grid, nfe)
    name = min(errors, key=lambda n: errors[n])
    return name, errors[name]


def lead() -> str:
    """The best of the samplers of the page, and of all, at the budgets of the papers."""
    parts = []
    for nfe in (50, 100):
        (ode, a), (sde, b) = (_best(schemes("psld", d), "uniform", nfe) for d in KINDS)
        euler = _errors(schemes("psld", "ode"), "uniform", nfe)["Euler"]
        (first, c), (second, e) = (_best(every("psld", d), "uniform", nfe) for d in KINDS)
        here = f"{ode} ({printed(a)}; Euler {printed(euler)}) and {sde} ({printed(b)})"
        parts.append((here, f"{first} ({printed(c)}) and {second} ({printed(e)})"))
    (here, all_), (here_100, all_100) = parts
    return (
        f"On PSLD with 50 score evaluations, uniform grid, {here} come closest to the digits "
        "spectrum by position W_{2}, of the probability flow and of the reverse SDE, among "
        f"{compared()}; of all its {len(samplers('psld'))} named samplers {all_}. With 100 they "
        f"are {here_100}; of all, {all_100}."
    )


def finding(settings: Settings, grid: str) -> str:
    return (
        f"Of PSLD’s {compared()} the most accurate in position on the {grid} grid, by number of "
        f"evaluations: {_winners(schemes, grid, settings.nfes)}."
    )


def _winners(own: Callable[[str, str], Sequence[Scheme]], grid: str, budgets: Sequence[int]) -> str:
    parts = []
    for dynamics, kind in KINDS.items():
        by_budget: dict[str, list[str]] = {}
        for nfe in budgets:
            name, _ = _best(own("psld", dynamics), grid, nfe)
            by_budget.setdefault(name, []).append(str(nfe))
        winners = [f"{name} at {listed(nfes)}" for name, nfes in by_budget.items()]
        parts.append(f"for the {kind} {', '.join(winners)}")
    return "; ".join(parts)


def beyond(settings: Settings) -> str:
    """The same of all samplers that have a name, at few evaluations."""
    budgets = [nfe for nfe in settings.nfes if nfe <= FEW]
    parts = [f"on the {grid} grid {_winners(every, grid, budgets)}" for grid in GRIDS]
    return (
        f"Of all {len(samplers('psld'))} samplers of PSLD that have a name, at most {FEW} "
        f"evaluations and with the same start and end: {'; '.join(parts)}. What is not in the "
        f"tables here is on the pages {ELSEWHERE}."
    )
