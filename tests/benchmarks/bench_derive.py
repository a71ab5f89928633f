"""Cold time from import to the errors of the whole catalogue, against plain SymPy differentiation.

Run `python -m tests.benchmarks.bench_derive` in the project's root; it needs a minute. Each time is
the median of three fresh interpreters: in all, and for the derivation after its imports. Claim
measured: every error of every sampler (ODE through h^3, weak, strong, orders; leading errors of
those that hold a prediction, with ratios of steps as symbols) in less than 10 s, cold. The baseline
(tests/oracle_symbols.py) writes one ODE sampler down as its paper prints it, with abstract
functions s^x, s^m, beta, and differentiates in h; tests/test_weak.py compares the two formulas.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
TARGET, REPEATS = 10.0, 3
"""Seconds in all for the catalogue, and interpreters per row."""

CATALOGUE = """
from splitting_analysis.catalogue import CATALOGUE, samplers
from splitting_analysis.held_error import held_error
from splitting_analysis.held_weak import weak_held_error
from splitting_analysis.weak import local_error, order_of
from splitting_analysis.strong import strong_error

def derive():
    for scheme in samplers():
        if scheme.program.holds:
            held_error(scheme) if scheme.dynamics == "ode" else weak_held_error(scheme)
            continue
        local_error(scheme)
        if scheme not in CATALOGUE:
            continue
        assert order_of(scheme) == scheme.order
        if scheme.dynamics == "sde":
            strong_error(scheme)
"""
ONE = """
from splitting_analysis.catalogue import find
from splitting_analysis.weak import local_error

def derive():
    local_error(find("{name}"), 3)
"""
BASELINE = """
from tests.oracle_symbols import local_error

def derive():
    local_error("{name}", 3)
"""
CLOCK = """
import time
start = time.perf_counter()
derive()
print(time.perf_counter() - start)
"""


def cold(program: str) -> tuple[float, float]:
    """Median seconds of fresh interpreters in the project's root: in all, and of `derive()`
    alone.
    """
    totals, inner = [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        command = [sys.executable, "-c", program + CLOCK]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        totals.append(time.perf_counter() - start)
        inner.append(float(done.stdout))
    return median(totals), median(inner)


def main() -> None:
    catalogue = cold(CATALOGUE)
    table = Table(
        "cold, median of 3", "s in all", "s to derive", "times", title="Closed-form local errors"
    )
    table.add_row("the whole catalogue", *(f"{seconds:.2f}" for seconds in catalogue))
    for name in ("RSE", "RVV"):
        ours, plain = cold(ONE.format(name=name)), cold(BASELINE.format(name=name))
        table.add_row(f"{name} through h^3", *(f"{seconds:.3f}" for seconds in ours))
        slower = f"{plain[1] / ours[1]:.0f}"
        table.add_row("the same, plain SymPy", *(f"{seconds:.3f}" for seconds in plain), slower)
    Console().print(table)
    if catalogue[0] >= TARGET:
        sys.exit(f"the catalogue took {catalogue[0]:.1f} s: more than {TARGET} s")


if __name__ == "__main__":
    main()
