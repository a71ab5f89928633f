"""Global errors on scores that are not Gaussian: deterministic, strong and weak, of every PSLD sampler.

    python -m reports.crossval.global_orders

writes `reports/data/crossval_global.json`. Deterministic samplers: the end state at forward time CUT from the
same start against SciPy's DOP853 at 1e-13. Stochastic ones: strong errors against a fine reference on the
same path (reports.crossval.strong_orders); weak ones on a one-dimensional mixture, by quadrature
(reports.crossval.weak): on a network they need Monte Carlo far below the error, and are not measured.
"""

from __future__ import annotations

import time
from typing import Any

import torch

from reports.crossval import results, runs, strong_orders, weak
from reports.crossval.runs import Target
from reports.crossval.scores import Tensor
from splitting_analysis.catalogue import entries, find
from splitting_analysis.order import observed_order
from splitting_analysis.scheme import Scheme

COMMAND = "python -m reports.crossval.global_orders"
STEPS = (8, 16, 32, 64, 128, 256)
STEPS_RK = (24, 32, 48, 64, 96, 128)
"""Runge-Kutta words reach round-off with fewer steps."""
FLOOR_STEPS = 256


def steps_of(scheme: Scheme) -> tuple[int, ...]:
    """Numbers of steps at which a scheme is measured."""
    return STEPS_RK if scheme.word.is_runge_kutta else STEPS


def end_errors(
    target: Target, scheme: Scheme, z: Tensor, exact: Tensor, steps: tuple[int, ...], cut: float = runs.CUT
) -> list[Tensor]:
    """Engine minus reference at the end, (n, batch, *shape) for each number of steps, network in float64."""
    score = target.machine(torch.float64)
    return [
        runs.end_state(scheme, target.process, score, runs.times_of(target.process, n, cut), z) - exact
        for n in steps
    ]


def floor_of(target: Target, z: Tensor, exact: Tensor, cut: float = runs.CUT) -> float:
    """How far the reference and a second route, the RK45 word on a fine grid, lie apart."""
    return float(end_errors(target, find("RK45"), z, exact, (FLOOR_STEPS,), cut)[0].norm())


def order_row(scheme: Scheme, steps: tuple[int, ...], errors: list[Tensor], floor: float) -> dict[str, Any]:
    """Norms, signed projections on the direction of the finest error, and the order that they show."""
    direction = errors[-1] / errors[-1].norm()
    signed = [float((e * direction).sum()) for e in errors]
    found = observed_order(list(steps), signed, floor)
    return {
        "scheme": scheme.name, "claim": scheme.order, "steps": list(steps),
        "norms": [float(e.norm()) / e.numel() ** 0.5 for e in errors], "signed": signed,
        "order": found.order, "low": found.low, "high": found.high, "summary": found.summary,
    }  # fmt: skip


def compute_target(target: Target) -> dict[str, Any]:
    """All deterministic PSLD samplers on one target."""
    z = runs.starts(target)
    exact = runs.reference(target, z)
    floor = floor_of(target, z, exact)
    rows = [
        order_row(s, steps_of(s), end_errors(target, s, z, exact, steps_of(s)), floor)
        for s in entries("psld", "ode")
    ]
    return {"weights_sha256": target.weights, "floor": floor, "rows": rows}


def main() -> None:
    torch.set_num_threads(1)
    settings = {"seed": runs.SEED, "samples": runs.SAMPLES, "cut": runs.CUT}
    found: dict[str, Any] = {"settings": settings, "ode": {}, "strong": {}}
    for name, target in runs.targets().items():
        if name == "dataset":  # its orders are not reached with steps of this size: see the rounding page
            continue
        began = time.perf_counter()
        found["ode"][name] = compute_target(target)
        found["strong"][name] = strong_orders.compute(target)
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    began = time.perf_counter()
    found["weak"] = weak.compute()
    print(f"weak: {time.perf_counter() - began:.0f} s")
    about = "Global orders on scores that are not Gaussian; see reports/crossval/global_orders.py."
    results.save("global", about, COMMAND, results.rounded(found))


if __name__ == "__main__":
    main()
