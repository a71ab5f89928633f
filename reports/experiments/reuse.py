"""What score reuse assumes, and what it costs: the score's change under an update, and naive minus
reduced.

    python -m reports.experiments.reuse [mixture | dataset | network ...]

computes the named targets (all by default) into `reports/data/crossval_reuse.json`. A reduced
sampler takes
the score before B for the A after it. Along the reduced run this measures
|s(z after B, t) - s(z, t)| / |s(z, t)|; and it compares naive minus reduced at the end with what
the closed
form of their one-step difference, h^2 times derivatives of the score, adds up to. Stochastic pairs
see the
same normals: on one path, too, they differ first at h^2, by that form.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import torch

from gpu_samplers.noise import Noise
from reports.experiments import runs, store
from reports.experiments.ode import one_step
from reports.experiments.runner import SILENT, Watch, main
from reports.experiments.scores import Diffusion, Score, Tensor, coefficient
from reports.experiments.targets import Target
from splitting_analysis.catalogue import find
from splitting_analysis.differences import pairs
from splitting_analysis.errors import LocalError
from splitting_analysis.grids import EPS
from splitting_analysis.schemes import Scheme
from splitting_analysis.weak import at_lambda_one, local_error

PAIRS = tuple((pair.naive.name, pair.reduced.name) for pair in pairs())
STEPS = (10, 50, 200)
PREDICTED_STEPS = (10, 20, 40, 80)
PREDICTED_SAMPLES = 2
CUT = EPS
"""Forward time at which the score's change is last looked at: where sampling ends."""


def kick(process: Diffusion, z: Tensor, s: Tensor, tau: float, h: float) -> Tensor:
    """The state after B over a step h (theory, section 3), z and s (2, batch, *shape)."""
    nu, mass = process.parameters.nu, process.parameters.M
    change = h * process.beta(tau) / 2 * (z[0] + nu * z[1] + mass * nu * s[1])
    return torch.stack([z[0], z[1] + change])


def changes(
    target: Target, steps: int, cut: float = CUT, samples: int = runs.SAMPLES
) -> list[dict[str, float]]:
    """The relative change of the score under B in every step of RSE, in the norm over the batch.

    By component of the score; of images, for centre (half of rows and columns) and border of the
    position's score too.
    """
    score, process, rse = target.machine(torch.float64), target.process, find("RSE")
    smooth = target.smooth
    z, rows = runs.starts(target, samples), []
    for t, after in pairwise(runs.times_of(process, steps, cut)):
        tau, h = process.T - t, after - t
        time_now = torch.tensor(tau, dtype=torch.float64)
        with torch.no_grad():
            s = smooth(z, time_now)
            moved = smooth(kick(process, z, s, tau, h), time_now)
        row = {"tau": tau, "x": _relative(s[0], moved[0]), "m": _relative(s[1], moved[1])}
        if len(target.shape) == 3:
            centre = torch.zeros(target.shape, dtype=torch.bool)
            inner = slice(target.shape[-1] // 4, -(target.shape[-1] // 4))
            centre[..., inner, inner] = True
            row["centre"] = _relative(s[0][:, centre], moved[0][:, centre])
            row["border"] = _relative(s[0][:, ~centre], moved[0][:, ~centre])
        rows.append(row)
        z = one_step(rse, process, score, z, tau, h)
    return rows


def _relative(before: Tensor, after: Tensor) -> float:
    return float((after - before).norm() / before.norm())


def difference_coefficient(
    difference: LocalError, scheme: Scheme, process: Diffusion, score: Score, z: Tensor, tau: float
) -> Tensor:
    """The h^2 coefficient of an ODE local error at every sample of z (n, batch, *shape)."""
    columns = []
    for b in range(z.shape[1]):
        by_key = coefficient(difference, 2, process, scheme, score, z[:, b : b + 1], tau)
        columns.append(torch.stack([by_key[c] for c in scheme.model.components]))
    return torch.stack(columns, dim=1)


def predicted_difference(
    target: Target,
    pair: tuple[str, str],
    steps: int,
    cut: float = runs.CUT,
    samples: int = PREDICTED_SAMPLES,
) -> dict[str, float]:
    """Naive minus reduced at the end of a run: measured, and predicted in two ways.

    carried  the reduced run with h^2 times the closed form of the one-step difference added in
             every step, minus the reduced run: later steps carry the early differences along
    summed   the same closed forms along the reduced run, only added up

    `measured` is a root mean square over entries; `ratio` is the predicted norm over the measured
    one, `miss`
    |predicted - measured| / |measured|.
    """
    naive, reduced = (at_lambda_one(find(name)) for name in pair)
    # exact - reduced minus (exact - naive) is what a naive step adds to a reduced one
    difference = local_error(reduced) - local_error(naive)
    score, process = target.machine(torch.float64), target.process
    z = runs.starts(target, samples)
    times = runs.times_of(process, steps, cut)
    noise = Noise(runs.SEED + 1, range(samples), target.shape, torch.float64)
    # what the O of every step draws; an ODE draws none
    blocks = [noise(len(z)) for _ in range(steps)]
    plain, corrected, summed = z, z, torch.zeros_like(z)
    for (t, after), block in zip(pairwise(times), blocks, strict=True):
        tau, h = process.T - t, after - t
        here = difference_coefficient(difference, reduced, process, target.smooth, plain, tau)
        there = difference_coefficient(difference, reduced, process, target.smooth, corrected, tau)
        summed = summed + h**2 * here
        plain = one_step(reduced, process, score, plain, tau, h, given(block))
        corrected = (
            one_step(reduced, process, score, corrected, tau, h, given(block)) + h**2 * there
        )
    measured = runs.end_state(naive, process, score, times, z, given(*blocks)) - plain
    size = float(measured.norm())
    found: dict[str, float] = {"steps": steps, "measured": size / measured.numel() ** 0.5}
    for name, predicted in (("carried", corrected - plain), ("summed", summed)):
        found[f"{name}_ratio"] = float(predicted.norm()) / size
        found[f"{name}_miss"] = float((predicted - measured).norm()) / size
    return found


def given(*blocks: Tensor) -> Callable[[int], Tensor]:
    """A noise that consists of these blocks."""
    left = iter(blocks)
    return lambda _: next(left)


def compute_target(target: Target, watch: Watch = SILENT) -> dict[str, Any]:
    """Everything stored about one target; on the data set only the changes, as derivatives are dear
    there.
    """
    pairs = () if target.name == "dataset" else PAIRS
    return {
        "weights_sha256": target.weights,
        "changes": {str(n): changes(target, n) for n in watch(STEPS, "changes")},
        "differences": {
            "/".join(pair): [predicted_difference(target, pair, n) for n in PREDICTED_STEPS]
            for pair in watch(pairs, "differences")
        },
    }


def keep(name: str, watch: Watch = SILENT) -> None:
    """Compute a target and replace it in the store."""
    result = store.rounded(compute_target(runs.targets()[name], watch), 4)
    found = (store.stored("reuse") or {}).get("targets", {}) | {name: result}
    settings = {"seed": runs.SEED, "samples": runs.SAMPLES, "cut": CUT, "difference_cut": runs.CUT}
    ordered = {key: found[key] for key in runs.targets() if key in found}
    store.save("reuse", {"settings": settings, "targets": ordered})


if __name__ == "__main__":
    main(
        store.KEPT["reuse"].command, __doc__, {name: partial(keep, name) for name in runs.targets()}
    )
