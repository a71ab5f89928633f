"""Global errors on scores that are not Gaussian: deterministic, strong and weak, of every PSLD sampler.

    python -m reports.crossval.global_orders [mixture | network | slow-network | weak ...]

computes the named parts (all of them by default) and replaces them in `reports/data/crossval_global.json`.
Deterministic samplers: the end state at forward time CUT from the same start against SciPy's DOP853 at 1e-13.
Stochastic ones: strong errors against a fine reference on the same path (reports.crossval.strong_orders);
weak ones on a one-dimensional mixture, by quadrature (reports.crossval.weak): on a network they need Monte
Carlo far below the error, and are not measured.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import torch

from gpu_samplers.embedded import digits_network
from gpu_samplers.network import NCSNpp
from gpu_samplers.processes import PSLD
from reports.crossval import results, runs, strong_orders, weak
from reports.crossval.runs import Target
from reports.crossval.scores import Tensor
from splitting_analysis.catalogue import entries
from splitting_analysis.order import observed_order
from splitting_analysis.scheme import Scheme

COMMAND = "python -m reports.crossval.global_orders"
STEPS = {
    "mixture": (8, 16, 32, 64, 128, 256),
    "network": (64, 128, 256, 512, 1024, 2048),
    "slow-network": (16, 32, 64, 128, 256, 512),
}
STEPS_RK = {
    "mixture": (48, 64, 96, 128, 192, 256),
    "network": (768, 1024, 1536, 2048, 3072),
    "slow-network": (32, 48, 64, 96, 128, 192),
}
"""Numbers of steps by target. A network changes within 1/1000 of its forward time (the Fourier features of
log tau): orders show with smaller steps. Runge-Kutta words reach round-off with fewer steps than others."""
PATHS = {"mixture": 64, "network": 8}
"""Samples, each with its Brownian path, of the strong errors; other targets have deterministic ones only."""
SLOWER = 16
"""By what the frequencies of the slow network's Fourier features of log tau are divided."""
FLOOR_TOLERANCE = 3e-13


def targets() -> dict[str, Target]:
    """Those of `runs` with steps here and, where its weights are there, the network in slow time.

    slow-network: the trained one with its Fourier features of log tau SLOWER times slower. No longer a score,
    but all its layers, and smooth enough in time for order 5 to show above round-off.
    """
    found = {name: target for name, target in runs.targets().items() if name in STEPS}
    if "network" in found:
        network = found["network"]
        found["slow-network"] = runs.network_target(_slowed, network.shape, network.weights, "slow-network")
    return found


def _slowed(dtype: torch.dtype) -> tuple[NCSNpp, PSLD]:
    network, process = digits_network(torch.float64)
    with torch.no_grad():
        network.get_parameter("all_modules.0.W").div_(SLOWER)
    return network.to(dtype), process


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
    """How far the reference and one at FLOOR_TOLERANCE lie apart: more than its own error."""
    return float((runs.reference(target, z, cut, FLOOR_TOLERANCE) - exact).norm())


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
    rows = []
    for scheme in entries("psld", "ode"):
        steps = (STEPS_RK if scheme.word.is_runge_kutta else STEPS)[target.name]
        rows.append(order_row(scheme, steps, end_errors(target, scheme, z, exact, steps), floor))
    return {"weights_sha256": target.weights, "floor": floor, "rows": rows}


def main(names: list[str]) -> None:
    """Compute the named parts, by default all that can be. Raises ValueError for an unknown name."""
    torch.set_num_threads(1)
    there = targets()
    for name in names or [*there, "weak"]:
        if name not in there and name != "weak":
            raise ValueError(f"no part {name!r}; there are: {', '.join(there)} and weak")
        began = time.perf_counter()
        kept = {"ode": {}, "strong": {}, "weak": []} | (results.stored("global") or {})
        if name == "weak":
            kept["weak"] = results.rounded(weak.compute())
        else:
            kept["ode"] |= {name: results.rounded(compute_target(there[name]))}
        if name in PATHS:
            stochastic = strong_orders.compute(there[name], samples=PATHS[name])
            kept["strong"] |= {name: results.rounded(stochastic)}
        settings = {"seed": runs.SEED, "samples": runs.SAMPLES, "cut": runs.CUT, "slower": SLOWER}
        about = "Global orders on scores that are not Gaussian; see reports/crossval/global_orders.py."
        parts = {"settings": settings, **{kind: kept[kind] for kind in ("ode", "strong", "weak")}}
        results.save("global", about, COMMAND, parts)
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
