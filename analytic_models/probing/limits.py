"""A wrong limit in numbers: what becomes of the variance of data over a whole run."""

from __future__ import annotations

from analytic_models.probing.law import TARGET, exact, output_law
from analytic_models.probing.orders import Grid
from analytic_models.probing.running import Trouble
from analytic_models.probing.subject import Subject
from splitting_analysis.clocks import PositionOnly
from splitting_analysis.processes import Process

COUNTS = (20, 500, 1000)
CUT = 1e-4
"""Part of the time span that a whole run leaves out at its end."""


def whole_run(process: Process) -> Grid:
    """Equal steps from the start of the process almost to the data."""
    T = float(process.T)
    return lambda n: tuple(T * (1 - CUT) * i / n for i in range(n + 1))


def variances(subject: Subject, process: Process, grid: Grid) -> list[float]:
    """Of the samples of data of variance 0.3, in the numbers of steps `COUNTS`."""
    return [float(output_law(subject, process, grid(n)).covariance[0, 0, 0]) for n in COUNTS]


def limit_in_words(subject: Subject, process: Process, stochastic: bool) -> str:
    """The variance that position-only code gives data of variance 0.3, in a phrase; "" where it
    cannot be found, or is right.
    """
    if not isinstance(process, PositionOnly):
        return ""
    grid = subject.grid or whole_run(process)
    try:
        few, half, many = variances(subject, process, grid)
        right = float(exact(process, grid(COUNTS[-1]), stochastic)[1][0, 0, 0])
    except (Trouble, ValueError, ArithmeticError, IndexError):
        return ""
    if not few < 1e12 or not many < 1e12:
        return ""
    tends = 2 * many - half
    return (
        f"over a whole run, from data of variance {TARGET.variances[0]:g}, the variance is "
        f"{few:.3g} in {COUNTS[0]} steps and {many:.3g} in {COUNTS[-1]}, and tends to {tends:.3g} "
        f"where {right:.3g} is right"
    )
