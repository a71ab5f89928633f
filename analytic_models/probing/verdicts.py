"""Single checks of a validation: what was measured against what was claimed, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analytic_models.probing.checks import Check, Verdict, apart
from analytic_models.probing.orders import NEAR, Observed
from analytic_models.probing.running import Run
from splitting_analysis.models import model_of
from splitting_analysis.processes import Process

CONVERGES = "it converges to the exact law"


def elsewhere(found: Observed, words: str) -> Check:
    """The failed check of code that converges to something else; `words` say more of its limit."""
    worst = int(np.argmax(np.abs(found.errors[-1])))
    limit = _extrapolated(found, worst)
    what = found.names[worst] if found.names else ""
    if not what:
        tends = f"a sample tends to {limit:+.3g} beside the right one"
    elif what.startswith("cov") and _diagonal(what):
        tends = f"{what} tends to {apart(max(1 + limit, 0), 1, 3)} times the right one"
    else:
        tends = f"{what} tends to {limit:+.3g} standard deviations beside the right one"
    return Check(
        CONVERGES,
        "fail",
        "errors that fall to nothing as steps are refined",
        tends + (f"; {words}" if words else ""),
        f"runs of {found.counts[0]} to {found.counts[-1]} steps",
    )


def _diagonal(name: str) -> bool:
    inside = name[name.index("(") + 1 : name.index(")")].split(", ")
    return inside[0] == inside[1]


def _extrapolated(found: Observed, component: int) -> float:
    """The limit of an error, its first power of the step removed."""
    (n1, n2), (e1, e2) = found.counts[-2:], found.errors[-2:, component]
    return float(e2 + (e2 - e1) * n1 / (n2 - n1))


def lowest_of(seen: Sequence[Observed | None]) -> float | None:
    """The lowest order that was observed, None where nothing settles."""
    return min((o.order for o in seen if o is not None and o.order is not None), default=None)


def number(value: float | None) -> str:
    """An observed order as it is shown."""
    return "nothing that settles" if value is None else f"{value:.3f}"


def order_name(p: int) -> str:
    """The check of an order, two-sided."""
    return f"its order is {p}: {p} holds, {p + 1} does not"


def ordered(
    expected: int, seen: Sequence[Observed | None], lowest: float | None, start: str
) -> Check:
    """Whether the order is the claimed one, from above and below."""
    name = order_name(expected)
    shown = ", ".join(
        f"{number(o.order)} on {o.target}" + (" (ending in round-off)" if o.floor else "")
        for o in seen
        if o is not None
    )
    where = "global errors over runs of more and more steps"
    if lowest is None:
        return Check(name, "inconclusive", f"order {expected}", shown or "no table", where)
    return Check(name, _decided(lowest, expected), f"order {expected}", shown + start, where)


def _decided(lowest: float, expected: int) -> Verdict:
    """Orders are whole numbers: one that is seen next to the claimed one, between two, decides
    nothing (grids that are not refined evenly show such).
    """
    if abs(lowest - expected) <= NEAR:
        return "pass"
    another = abs(lowest - round(lowest)) <= NEAR
    return "fail" if another or abs(lowest - expected) >= 1 else "inconclusive"


def counted(claimed: int, calls: int, steps: int, at_start: int | None) -> Check:
    """Whether a step evaluates the score so often; a start may need more, of a fixed number."""
    name = "a step makes the claimed number of evaluations"
    extra = calls - claimed * steps
    text = f"{calls} in {steps} steps"
    if extra in (0, 1):
        return Check(name, "pass", seen=text)
    if extra > 0 and extra == at_start:
        return Check(name, "pass", seen=f"{text}: {extra} of them to start, however long the run")
    return Check(name, "fail", f"{claimed} per step", text, "the loop")


def in_range(found: Run, process: Process, times: Sequence[float], stochastic: bool) -> Check:
    """Where no word says which times are right: every call lies inside its step or the run.

    Stochastic code may add noise before it asks: its times may lie above their step's start.
    """
    name = "every score is conditioned on a time inside its step"
    if not model_of(process.model_name, "ode").time_dependent:
        return Check(name, "pass", seen="a force has no time")
    T, slack, above = float(process.T), 1e-6, 0
    for call, (step, tau) in enumerate(zip(found.steps, found.taus, strict=True)):
        low = T - (times[-1] if step < 0 else times[step + 1])
        high = T - (times[0] if step < 0 else times[step])
        if stochastic and tau > high + slack * T:
            above += 1  # and at most T, else the run had ended there
        elif not low - slack * T <= tau <= high + slack * T:
            return Check(
                name,
                "fail",
                f"a forward time from {low:.6g} to {high:.6g}",
                f"tau = {tau:.6g}",
                f"score call {call + 1}" + ("" if step < 0 else f", step {step + 1}"),
            )
    text = f"{above} of {len(found.taus)} above its start, as where noise is added first"
    return Check(name, "pass", seen=text if above else "")
