"""All of PSLD's samplers on the digits network at one budget: published, conjugate, exponential,
data held.

    python -m reports.experiments.family [5 10 20 ...]

draws 2,000 samples a cell, judges them by their Fréchet distance with a standard error, and writes
`reports/data/family.json` after every cell: a run that was stopped goes on where it was. All runs
start from the prior and end with the data predicted at T - eps, at one evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache, partial
from typing import Any

import numpy as np
import torch

from gpu_samplers import engine
from gpu_samplers.features import FILE as CLASSIFIER
from gpu_samplers.features import digit_features
from gpu_samplers.processes import Array, grid, steps_for
from gpu_samplers.quality import frechet_distance
from reports.experiments import store
from reports.experiments.held_data import label, problem, w2
from reports.experiments.quality import target
from reports.experiments.runner import SILENT, Watch, main
from reports.experiments.targets import Target
from splitting_analysis.catalogue import find
from splitting_analysis.grids import EPS
from splitting_analysis.retuned import with_conjugation
from splitting_analysis.schemes import Scheme

NFES = (5, 10, 20, 50, 100)
GRIDS = ("uniform", "quadratic")
SAMPLES, SEED, BATCH = 2000, 0, 500
GROUPS = 20
"""Left out one at a time (the jackknife)."""
PUBLISHED = ("Euler", "RSE", "RVV", "NVV", "RK45", "EM", "SSCS", "ROBA", "ROBAB", "NOBA", "NOBAB")
STAGES = ("Heun", "RK4", "ExpAdams2", "ExpAdams3", "Exp-Midpoint")
CONJUGATE = ("EI", "LDDIM-I", "LDDIM-II", "CSE", "CVV", "COBA")
HELD = (("PDDIM", "lower"), ("P2M", "lower"), ("P2M", "aligned"), ("P3M", "lower"))
LAMBDAS = tuple(Fraction(k, 2) for k in range(-4, 9))
"""lambda of a conjugate integrator is the one of these with the smallest exact W2 on the digits
spectrum, at the same grid and budget: no sample is drawn to choose it."""
Key = tuple[str, str, int]
"""Sampler as shown, grid, evaluations."""


@cache
def samplers() -> dict[str, Scheme]:
    """Every sampler that is compared, by the name that it is shown with."""
    found = {name: find(name, "psld") for name in (*PUBLISHED, *STAGES, *CONJUGATE)}
    for name, factor in HELD:
        found[label(name, factor)] = with_conjugation(find(name, "psld"), None, factor)
    return found


def chosen(scheme: Scheme, grid_name: str, nfe: int) -> Scheme:
    """The scheme with its lambda chosen, where it has one."""
    if scheme.name == "EI" or not scheme.program.conjugates:
        return scheme
    ours = problem("digits", grid_name)
    own = [with_conjugation(scheme, value) for value in LAMBDAS]
    errors = [w2(ours, each, nfe) for each in own]
    return min(zip(errors, own, strict=True), key=lambda e: np.inf if e[0] is None else e[0])[1]


def features_of(
    where: Target, scheme: Scheme, grid_name: str, nfe: int, number: int
) -> Array | None:
    """Features (number, k) of samples; None where the sampler diverged."""
    times = grid(grid_name, steps_for(nfe, scheme, "data"), where.process.T, EPS)
    runs = engine.sample(
        scheme,
        where.process,
        where.machine(torch.float32),
        times,
        where.shape,
        range(number),
        SEED,
        batch=BATCH,
        denoise="data",
    )
    try:
        found = digit_features(torch.cat([batch.z[0] for batch in runs]))
    except FloatingPointError:
        return None
    return found if np.isfinite(found).all() else None


def judged(features: Array | None, reference: Array) -> dict[str, float | None]:
    """The Fréchet distance and its standard error, samples left out in groups."""
    if features is None:
        return {"frechet": None, "frechet_error": None}
    group = np.arange(len(features)) % GROUPS
    parts = [frechet_distance(features[group != left], reference) for left in range(GROUPS)]
    return store.rounded(
        {
            "frechet": frechet_distance(features, reference),
            "frechet_error": float(np.sqrt((GROUPS - 1) * np.var(parts))),
        }
    )


def row(key: Key, number: int = SAMPLES) -> dict[str, Any]:
    """One cell: its sampler, the Fréchet distance on the network, the exact W2 on the spectrum."""
    name, grid_name, nfe = key
    where, scheme = target("network"), chosen(samplers()[name], grid_name, nfe)
    error = w2(problem("digits", grid_name), scheme, nfe)
    return {
        "sampler": name,
        "word": str(scheme.word),
        "lambda": float(scheme.conjugate) if scheme.program.conjugates else None,
        "grid": grid_name,
        "nfe": nfe,
        **judged(features_of(where, scheme, grid_name, nfe, number), digit_features(where.data)),
        "w2_x": None if error is None else store.rounded(error),
    }


def keys(nfes: tuple[int, ...] = NFES) -> Iterator[Key]:
    """All cells, cheap ones first; a budget too small for a single step has none."""
    for nfe in nfes:
        for grid_name in GRIDS:
            for name, scheme in samplers().items():
                if nfe > scheme.nfe + scheme.carries_score:
                    yield name, grid_name, nfe


def header() -> dict[str, Any]:
    """What must be the same for rows to stand in one file."""
    where = target("network")
    return {
        "seed": SEED,
        "samples": SAMPLES,
        "eps": EPS,
        "weights_sha256": where.weights,
        "classifier_sha256": store.digest(CLASSIFIER),
    }


def compute(nfe: int, watch: Watch = SILENT) -> None:
    """Fill the file with the cells of a budget, rewriting it after every one.

    Raises ValueError where it holds rows that were computed with other settings or weights.
    """
    told, done = header(), store.stored("family")
    if done is not None and (other := [key for key in told if done.get(key) != told[key]]):
        path = store.path_of("family")
        raise ValueError(f"{path}: holds another {', '.join(other)}; delete it to start anew")
    rows = {(r["sampler"], r["grid"], r["nfe"]): r for r in (done or {"rows": []})["rows"]}
    mine = list(keys((nfe,)))
    for key in watch([key for key in mine if key not in rows] or mine[:1], "cell"):
        if key not in rows:
            rows[key] = row(key)
        whole = [n for n in NFES if rows.keys() >= set(keys((n,)))]
        kept = [rows[key] for key in keys() if key in rows]
        store.save("family", {**told, "whole": whole, "rows": kept})


if __name__ == "__main__":
    main(
        "python -m reports.experiments.family",
        __doc__,
        {str(nfe): partial(compute, nfe) for nfe in NFES},
    )
