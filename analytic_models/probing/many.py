"""Many steps: what code does only from some step on does not show in the few whose coefficients
are read off.
"""

from __future__ import annotations

from analytic_models.probing.checks import Check
from analytic_models.probing.law import output_law
from analytic_models.probing.orders import evenly
from analytic_models.probing.running import Trouble
from analytic_models.probing.stiff import CLOSE, furthest
from analytic_models.probing.subject import Subject
from splitting_analysis.processes import Process

STEPS = 64
LONG = f"in {STEPS} steps its law is the claimed word's"


def many(subject: Subject, claimed: Subject, process: Process) -> list[Check]:
    """The check: both laws are exact, and no samples. None where the word itself does not get to
    the end.
    """
    times = tuple((subject.grid or evenly(process))(STEPS))
    try:
        theirs = output_law(claimed, process, times)
    except (Trouble, ArithmeticError):
        return []
    where = f"a run of {STEPS} steps, of which a run of a few shows nothing: what begins later?"
    try:
        ours = output_law(subject, process, times)
    except Trouble as trouble:
        if trouble.late:
            raise
        return [Check(LONG, "fail", "a run, as the claimed word's", trouble.seen, where)]
    off, told, wanted = furthest(ours, theirs)
    return [
        Check(LONG, "fail", wanted, told, where) if off > CLOSE else Check(LONG, "pass"),
    ]
