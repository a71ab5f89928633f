"""Global errors on scores that are not Gaussian: deterministic, strong and weak, of every PSLD
sampler.

    python -m reports.experiments.global_orders [mixture | network | slow-network | weak ...]

computes the named parts (all of them by default) and replaces them in
`reports/data/crossval_global.json`. Deterministic samplers: the end state at forward time CUT from
the same start against SciPy's DOP853 at 1e-13. Stochastic ones: strong errors against a fine
reference on the same path (reports.experiments.strong_orders); weak ones on a one-dimensional
mixture, by quadrature (reports.experiments.weak): on a network they need Monte Carlo far below the
error, and are not measured.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from gpu_samplers.embedded import digits_network
from gpu_samplers.network import NCSNpp
from gpu_samplers.processes import PSLD
from reports.experiments import runs, store, strong_orders, weak
from reports.experiments.runner import SILENT, Watch, main
from reports.experiments.scores import Tensor
from reports.experiments.targets import Target, network_target
from splitting_analysis.catalogue import entries
from splitting_analysis.observed import observed_order
from splitting_analysis.schemes import Scheme

STEPS = {
    "mixture": (8, 16, 32, 64, 128, 256),
    "network": (64, 128, 256, 512, 1024, 2048),
    "slow-network": (16, 32, 64, 128, 256, 512),
    "patches": (64, 128, 256, 512, 1024),
}
STEPS_RK = {
    "mixture": (48, 64, 96, 128, 192, 256),
    "network": (768, 1024, 1536, 2048, 3072),
    "slow-network": (32, 48, 64, 96, 128, 192),
    "patches": (768, 1024, 1536, 2048),
}
"""Numbers of steps by target. A network changes within 1/1000 of its forward time (the Fourier
features of log tau): orders show with smaller steps. Runge-Kutta words reach round-off with fewer
steps than others."""
PATHS = {"mixture": 64, "network": 8, "patches": 4}
"""Samples, each with its Brownian path, of the strong errors; other targets have deterministic ones
only.
"""
SLOWER = 16
"""By what the frequencies of the slow network's Fourier features of log tau are divided."""
FLOOR_TOLERANCE = 3e-13


def targets() -> dict[str, Target]:
    """Those of `runs` with steps here and, where its weights are there, the network in slow time.

    slow-network: the trained one with its Fourier features of log tau SLOWER times slower. No
    longer a score, but all its layers, and smooth enough in time for order 5 to show above
    round-off.
    """
    found = {name: target for name, target in runs.targets().items() if name in STEPS}
    if "network" in found:
        network = found["network"]
        found["slow-network"] = network_target(
            "slow-network", _slowed, network.data, network.weights
        )
    return found


def _slowed(dtype: torch.dtype) -> tuple[NCSNpp, PSLD]:
    network, process = digits_network(torch.float64)
    with torch.no_grad():
        network.get_parameter("all_modules.0.W").div_(SLOWER)
    return network.to(dtype), process


def end_errors(
    target: Target,
    scheme: Scheme,
    z: Tensor,
    exact: Tensor,
    steps: tuple[int, ...],
    cut: float = runs.CUT,
) -> list[Tensor]:
    """Engine minus reference at the end, (n, batch, *shape) for each number of steps, network in
    float64.
    """
    score = target.machine(torch.float64)
    return [
        runs.end_state(scheme, target.process, score, runs.times_of(target.process, n, cut), z)
        - exact
        for n in steps
    ]


def floor_of(target: Target, z: Tensor, exact: Tensor, cut: float = runs.CUT) -> float:
    """How far the reference and one at FLOOR_TOLERANCE lie apart: more than its own error."""
    return float((runs.reference(target, z, cut, FLOOR_TOLERANCE) - exact).norm())


def order_row(
    scheme: Scheme, steps: tuple[int, ...], errors: list[Tensor], floor: float
) -> dict[str, Any]:
    """Norms, signed projections on the direction of the finest error, and the order that they
    show.
    """
    direction = errors[-1] / errors[-1].norm()
    signed = [float((e * direction).sum()) for e in errors]
    found = observed_order(list(steps), signed, floor)
    return {
        "scheme": scheme.name,
        "claim": scheme.order,
        "steps": list(steps),
        "norms": [float(e.norm()) / e.numel() ** 0.5 for e in errors],
        "signed": signed,
        "order": found.order,
        "low": found.low,
        "high": found.high,
        "summary": found.summary,
    }


def compute_target(target: Target, watch: Watch = SILENT) -> dict[str, Any]:
    """All deterministic PSLD samplers on one target."""
    z = runs.starts(target)
    exact = runs.reference(target, z)
    floor = floor_of(target, z, exact)
    rows = []
    for scheme in watch(entries("psld", "ode"), "deterministic"):
        steps = (STEPS_RK if scheme.word.is_runge_kutta else STEPS)[target.name]
        rows.append(order_row(scheme, steps, end_errors(target, scheme, z, exact, steps), floor))
    return {"weights_sha256": target.weights, "floor": floor, "rows": rows}


def keep(name: str, watch: Watch = SILENT) -> None:
    """Compute a part and replace it in the store."""
    kept = {"ode": {}, "strong": {}, "weak": []} | (store.stored("global") or {})
    if name == "weak":
        kept["weak"] = store.rounded(weak.compute(watch=watch))
    else:
        kept["ode"] |= {name: store.rounded(compute_target(targets()[name], watch))}
    if name in PATHS:
        stochastic = strong_orders.compute(targets()[name], samples=PATHS[name], watch=watch)
        kept["strong"] |= {name: store.rounded(stochastic)}
    settings = {"seed": runs.SEED, "samples": runs.SAMPLES, "cut": runs.CUT, "slower": SLOWER}
    store.save(
        "global", {"settings": settings, **{kind: kept[kind] for kind in ("ode", "strong", "weak")}}
    )


if __name__ == "__main__":
    main(
        store.KEPT["global"].command,
        __doc__,
        {name: partial(keep, name) for name in [*targets(), "weak"]},
    )
