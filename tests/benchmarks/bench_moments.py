"""How fast exact moments are: the whole PSLD catalogue, against a plain loop over modes, and
linearity.

Run `python -m tests.benchmarks.bench_moments`; it needs about a minute. Claims measured: all PSLD
schemes on 3,072 modes at NFE 50, 250, 500 and 1000 in at most 5 s on 2 cores; cost linear in modes
x steps; a step of a conjugate, multistep or multi-stage sampler at most 3 times a step of EM.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from analytic_models.diffusions import PSLD, VP
from analytic_models.grids import grid
from analytic_models.moments import run
from analytic_models.targets import Gaussian
from splitting_analysis.catalogue import entries, find, samplers
from splitting_analysis.processes import Process
from splitting_analysis.schemes import Scheme, steps_for

MODES, BUDGETS, LIMIT, REPEATS = 3072, (1000, 500, 250, 50), 5.0, 5
PROCESS = PSLD()
PROCESSES: dict[str, Process] = {"psld": PROCESS, "vp": VP()}
FEW_MODES, STEPS, TIMES_EM = 64, 200, 3.0
"""Where samplers are compared by the step, and the limit."""


def spectrum(modes: int) -> Any:
    """A power law, as that of natural images."""
    return 200.0 * np.arange(1, modes + 1) ** -1.3


def score_one(scheme: Scheme, nfe: int, target: Gaussian) -> None:
    run(scheme, PROCESS, target, grid("uniform", steps_for(nfe, scheme, True)))


def whole_catalogue() -> None:
    """Every PSLD scheme at every budget, one after the other."""
    target = Gaussian(spectrum(MODES))
    for nfe, scheme in product(BUDGETS, entries("psld")):
        score_one(scheme, nfe, target)


def per_mode_loop(modes: int, nfe: int) -> None:
    """The plain way: ROBA, one mode and one step at a time, in floats."""
    for variance in spectrum(modes):
        target = Gaussian(float(variance))
        score_one(find("ROBA"), nfe, target)


def median(
    action: Callable[..., object],
    *arguments: Any,
    repeats: int = REPEATS,
    clock: Callable[[], float] = time.process_time,
) -> float:
    """Median seconds on `clock` (processor time, unless told), after one call that warms up."""
    action(*arguments)
    times = []
    for _ in range(repeats):
        start = clock()
        action(*arguments)
        times.append(clock() - start)
    return statistics.median(times)


def dearest_step(model: str) -> tuple[str, str]:
    """The sampler of a model whose step costs most, in steps of EM: of all, and by evaluation."""
    process, target, steps = PROCESSES[model], Gaussian(spectrum(FEW_MODES)), grid("uniform", STEPS)
    em = find("EM", model)
    costs = {}
    for scheme in (s for s in samplers() if s.model_name == model):
        ratios = []
        run(scheme, process, target, steps)
        for _ in range(REPEATS):
            spent = [median(run, s, process, target, steps, repeats=1) for s in (scheme, em)]
            ratios.append(spent[0] / spent[1])
        costs[scheme] = statistics.median(ratios)
    dearest = max(costs, key=lambda s: costs[s])
    by_evaluation = max(costs, key=lambda s: costs[s] / s.nfe)
    result = (
        f"{dearest.name}: {costs[dearest]:.2f} x EM (limit {TIMES_EM:g}); by evaluation "
        f"{by_evaluation.name}: {costs[by_evaluation] / by_evaluation.nfe:.2f}"
    )
    what = f"dearest step of {len(costs)} samplers of {model}, {FEW_MODES} modes, {STEPS} steps"
    return what, result


def measure() -> list[tuple[str, str]]:
    """Rows of (what, result)."""
    rows = [("schemes x budgets x modes", f"{len(entries('psld'))} x {len(BUDGETS)} x {MODES}")]
    for what, clock in (("wall clock", time.perf_counter), ("processor time", time.process_time)):
        seconds = median(whole_catalogue, clock=clock)
        rows.append(
            (f"whole PSLD catalogue, one thread, {what}", f"{seconds:.2f} s (limit {LIMIT:g} s)")
        )
    few = 16
    plain = median(per_mode_loop, few, 50, repeats=3) / few
    ours = median(score_one, find("ROBA"), 50, Gaussian(spectrum(MODES))) / MODES
    rows.append(("ROBA at NFE 50, plain loop", f"{1e6 * plain:.0f} us per mode"))
    rows.append(
        ("the same, vectorised", f"{1e6 * ours:.2f} us per mode: {plain / ours:.0f} times faster")
    )
    for axis, sizes in (("modes", (3072, 6144, 12288)), ("steps", (500, 1000, 2000))):
        costs = []
        for size in sizes:
            target = Gaussian(spectrum(size if axis == "modes" else MODES))
            nfe = 200 if axis == "modes" else size
            costs.append(median(score_one, find("ROBA"), nfe, target))
        slope = np.polyfit(np.log(sizes), np.log(costs), 1)[0]
        rows.append((f"ROBA, cost ~ {axis}^p", f"p = {slope:.2f} over {sizes}"))
    rows += [dearest_step(model) for model in ("psld", "vp")]
    return rows


def main() -> None:
    table = Table("measured", "result", title="Exact moments")
    for row in measure():
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
