"""The noise schedule of a VP process, by its name or from a file of alpha-bar."""

from __future__ import annotations

from typing import Any

from analytic_models.arrays import read_row
from splitting_analysis.clocks import Cosine, Schedule, scaled_linear, table
from splitting_analysis.processes import VP, Process, ScheduledVP

SCHEDULES = ("linear", "cosine", "scaled-linear")


def load_schedule(text: str) -> Schedule | None:
    """`cosine`, `scaled-linear` or FILE.npy of alpha-bar; None for `linear`. Raises ValueError."""
    name = text.strip().lower() if isinstance(text, str) else ""
    if name == "linear":
        return None
    if name == "cosine":
        return Cosine()
    if name == "scaled-linear":
        return scaled_linear()
    if not name.endswith(".npy"):
        known = ", ".join(SCHEDULES)
        shown = f"{text[:40]!a}" if name else str(text)[:40]
        raise ValueError(f"schedule {shown}: there are {known}, or FILE.npy of alpha-bar")
    return table(read_row(text, "schedule").tolist())


def schedule_name(process: Process) -> str | None:
    """The name of a VP process's schedule; None for other processes, which have none."""
    if isinstance(process, ScheduledVP):
        return process.schedule.name
    return "linear" if isinstance(process, VP) else None


def scheduled(process: Process, text: str, given: dict[str, Any]) -> Process:
    """The process with that schedule; `given` are the parameters that were set. Raises
    ValueError.
    """
    if not isinstance(process, VP):
        message = f"schedule {str(text)[:40]}: it belongs to vp, not to {process.model_name}"
        raise ValueError(message)  # noqa: TRY004 - bad input is a ValueError
    schedule = load_schedule(text)
    if schedule is None:
        return process
    if own := sorted(set(given) - {"T"}):
        raise ValueError(f"{' and '.join(own)}: the linear schedule's, not that of {text[:40]}")
    return ScheduledVP(given.get("T"), schedule=schedule)
