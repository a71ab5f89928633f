"""Where the rounding of a float32 or bfloat16 network hides the truncation error of a sampler.

    python -m reports.experiments.rounding [mixture | network ...]

computes the named targets (all by default) into `reports/data/crossval_rounding.json`. The state
stays in float64; only the network runs in less. Rounding is the distance of that run's end from the
end of the float64 run, truncation that of the float64 run from the exact flow; of a stochastic
sampler, its strong error as `global_orders` has stored it. Where rounding passes truncation,
smaller steps buy nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from gpu_samplers.noise import Noise
from reports.experiments import runs, store
from reports.experiments.runner import SILENT, Watch, main
from reports.experiments.scores import Tensor
from reports.experiments.targets import Target
from splitting_analysis.catalogue import entries
from splitting_analysis.schemes import Scheme

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
STEPS = (8, 32, 128, 1024)
STEPS_SDE = (16, 64, 256)
"""Among those of the stored strong errors."""
STEPS_RK = {"mixture": (4, 8, 16, 32), "network": (8, 32, 128, 512), "patches": (8, 32, 128, 512)}
"""Runge-Kutta words reach round-off with fewer steps; on a network, not before they resolve its
time.
"""


def ends(
    target: Target, scheme: Scheme, dtype: torch.dtype, z: Tensor, steps: Sequence[int]
) -> list[Tensor]:
    """End states of the runs with the network in `dtype`; every run of one grid sees the same
    noise.
    """
    score, process = target.machine(dtype), target.process
    return [
        runs.end_state(
            scheme,
            process,
            score,
            runs.times_of(process, n),
            z,
            Noise(runs.SEED + 1, range(z.shape[1]), target.shape, torch.float64),
        )
        for n in steps
    ]


def crossing(
    steps: Sequence[int], truncation: Sequence[float], rounding: Sequence[float]
) -> float | None:
    """The number of steps at which rounding equals truncation, log-linear between measured points.

    0 where rounding is larger from the first point on; None where it is smaller up to the last.
    """
    gaps = [math.log(t / r) for t, r in zip(truncation, rounding, strict=True)]
    if gaps[0] <= 0:
        return 0.0
    for k in range(1, len(gaps)):
        if gaps[k] <= 0:
            share = gaps[k - 1] / (gaps[k - 1] - gaps[k])
            return float(steps[k - 1] * (steps[k] / steps[k - 1]) ** share)
    return None


def compute_target(
    target: Target, schemes: Sequence[Scheme] | None = None, watch: Watch = SILENT
) -> dict[str, Any]:
    """Rows of every PSLD sampler, lambda_s = 1: sizes are root mean squares over entries."""
    z = runs.starts(target)
    exact = runs.reference(target, z)
    rows = []
    for scheme in watch(entries("psld") if schemes is None else schemes, "sampler"):
        stochastic = scheme.dynamics == "sde"
        runge_kutta = scheme.word.is_runge_kutta
        steps = STEPS_SDE if stochastic else STEPS_RK[target.name] if runge_kutta else STEPS
        best = ends(target, scheme, torch.float64, z, steps)
        truncation = (
            strong_errors(target.name, scheme.name, steps)
            if stochastic
            else [_rms(end - exact) for end in best]
        )
        row: dict[str, Any] = {"scheme": scheme.name, "dynamics": scheme.dynamics}
        row |= {"steps": list(steps), "truncation": truncation}
        for name, dtype in DTYPES.items():
            less = ends(target, scheme, dtype, z, steps)
            row[name] = [_rms(a - b) for a, b in zip(less, best, strict=True)]
            row[f"{name}_crossing"] = crossing(steps, truncation, row[name])
        rows.append(row)
    return {"weights_sha256": target.weights, "span": target.process.T - runs.CUT, "rows": rows}


def strong_errors(target: str, scheme: str, steps: Sequence[int]) -> list[float]:
    """The stored strong errors of a scheme; ValueError where they are absent."""
    stored = store.stored("global")
    if stored is None or target not in stored["strong"]:
        raise ValueError(
            f"no strong errors of target {target!r} are stored; run "
            f"{store.KEPT['global'].command} first"
        )
    row = next(row for row in stored["strong"][target]["rows"] if row["scheme"] == scheme)
    return [row["norms"][row["steps"].index(n)] for n in steps]


def _rms(values: Tensor) -> float:
    return float(values.norm()) / values.numel() ** 0.5


def targets() -> dict[str, Target]:
    """Those of `runs` with steps here."""
    return {name: target for name, target in runs.targets().items() if name in STEPS_RK}


def keep(name: str, watch: Watch = SILENT) -> None:
    """Compute a target and replace it in the store."""
    result = store.rounded(compute_target(targets()[name], watch=watch), 4)
    found = (store.stored("rounding") or {}).get("targets", {}) | {name: result}
    settings = {"seed": runs.SEED, "samples": runs.SAMPLES, "cut": runs.CUT}
    ordered = {key: found[key] for key in targets() if key in found}
    store.save("rounding", {"settings": settings, "targets": ordered})


if __name__ == "__main__":
    main(store.KEPT["rounding"].command, __doc__, {name: partial(keep, name) for name in targets()})
