"""The cells of `reports.experiments.vp_splitting`: which there are, and their exact errors, without
torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import Any

from analytic_models.problem import Problem, problem_for
from analytic_models.targets import load_spectrum
from reports.experiments import store
from splitting_analysis.catalogue import find, samplers
from splitting_analysis.retuned import with_noise_level
from splitting_analysis.schemes import Scheme, scheme

Cell = dict[str, Any]
Key = tuple[str, str, int]
"""Sampler, grid, evaluations."""
NFES = (5, 10, 20, 50, 100)
GRIDS = ("uniform", "quadratic")
REUSED = "SSCS, score reused"
TUNED = "DPM++2M-SDE, η tuned"
SPLITTINGS = ("Strang-Euler", "Strang", "SSCS", REUSED, "SSCS2")
OTHERS = ("EM", "DDIM", "DPM++2M", TUNED, "DEIS2", "UniPC2", "UniPC3")
"""Others that are sampled, too; exact errors are of all of VP's samplers."""
ETAS = tuple(Fraction(k, 4) for k in range(6))
"""Noise levels tried; with 0 it is DPM++2M."""


def others() -> tuple[str, ...]:
    """VP's samplers that are no splittings, by name, and the one whose noise is tuned."""
    return (*(s.name for s in samplers("vp") if s.name not in SPLITTINGS), TUNED)


@cache
def sampler(name: str, grid: str, nfe: int) -> Scheme:
    """The scheme of a sampler's name at a grid and a budget."""
    if name == REUSED:
        return scheme("S L/2 K L/2", "vp", "sde", REUSED)
    return tuned(grid, nfe) if name == TUNED else find(name, "vp")


@cache
def tuned(grid: str, nfe: int) -> Scheme:
    """DPM++2M-SDE at the noise level of the least exact error on the digits' spectrum."""
    held, ours = find("DPM++2M-SDE", "vp"), problem(grid)
    choices = [with_noise_level(held, eta) for eta in ETAS]
    errors = [w2(ours, own, nfe) for own in choices]
    return min(zip(choices, errors, strict=True), key=lambda pair: pair[1] or float("inf"))[0]


@cache
def problem(grid: str, spectrum: str = "digits") -> Problem:
    """VP on a spectrum, as all runs here: from the prior, with the denoising step."""
    return problem_for("vp", load_spectrum(spectrum), grid=grid)


def w2(ours: Problem, own: Scheme, nfe: int) -> float | None:
    """Exact position W2 at a budget; None where it buys no step, or the run blew up."""
    try:
        found = ours.errors(own, ours.steps(own, nfe))
    except ValueError:
        return None
    return None if found["unstable"] else found["w2_x"]


def exact(key: Key, spectrum: str = "digits") -> Cell:
    """One exact cell."""
    name, grid, nfe = key
    own = sampler(name, grid, nfe)
    error = w2(problem(grid, spectrum), own, nfe)
    return {**_labels(key, own), "w2_x": store.rounded(error)}


def _labels(key: Key, own: Scheme) -> Cell:
    name, grid, nfe = key
    return {"sampler": name, "grid": grid, "nfe": nfe, "eta": float(own.noise_level)}


def key_of(cell: Cell) -> Key:
    """What a cell is of."""
    return cell["sampler"], cell["grid"], cell["nfe"]


def keys() -> Iterator[Key]:
    """All cells of a target, the cheap ones first."""
    for nfe in NFES:
        for grid in GRIDS:
            for name in (*SPLITTINGS, *OTHERS):
                yield name, grid, nfe
