"""Which samplers of PSLD are held against those that hold the data, and their exact errors.

All start from the prior and end with the data predicted at T - eps, at one evaluation.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from analytic_models.problem import Problem, problem_for
from splitting_analysis.catalogue import find
from splitting_analysis.data_catalogue import DATA_CATALOGUE
from splitting_analysis.models import Dynamics
from splitting_analysis.retuned import with_conjugation, with_noise_level
from splitting_analysis.schemes import FACTORS, Scheme, scheme

NFES = (5, 10, 20)
GRIDS = ("uniform", "quadratic")
BRIDGE = "exact bridge"
POWERS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
"""Of grids t_i = (T - eps)(1 - (1 - i/n)^power): 1 is uniform, 2 quadratic."""
GRIDDED = (("PDDIM", "aligned"), ("P2M", "lower"), ("P2M", "aligned"), ("P3M", "aligned"))
"""Those whose best grid is looked for, besides SSCS."""
IN_PIECES: tuple[tuple[str, Dynamics, str, str], ...] = (
    ("psld", "ode", "S B A", "S B:data A:data"),
    ("psld", "sde", "O S B A", "O S B:data A:data"),
    ("psld", "sde", "O/2 S B A O/2", "O/2 S B:data A:data O/2"),
    ("psld", "sde", "S B A O", "S B:data A:data O"),
    ("psld", "sde", "L/2 S K L/2", "L/2 S K:data L/2"),
    ("vp", "ode", "L/2 S@1/2 K L/2", "L/2 S@1/2 K:data L/2"),
    ("vp", "sde", "L/2 S K L/2", "L/2 S K:data L/2"),
    ("vp", "sde", "S L/2 K L/2", "S L/2 K:data L/2"),
    ("flow", "sde", "L/2 S K L/2", "L/2 S K:data L/2"),
)
"""Splittings whose pieces take the score, and the same with the data held in them."""
WHOLE = (("psld", "PDDIM"), ("psld", "P2M"), ("vp", "DDIM"), ("vp", "DPM++2M"), ("flow", "DPM++2M"))
"""What holds the data over the whole drift, beside them."""
OTHERS = ("EM", "SSCS", "ROBA", "ROBAB", "EI", "LDDIM-I")
CONJUGATE = {"LDDIM-I": Fraction(1, 2)}
"""lambda of conjugate integrators, where it is not 0; at 0 LDDIM-I is EI."""


def held() -> dict[tuple[str, str], Scheme]:
    """Those that hold the data, by name and factor; the exact bridge, which is random, has none."""
    found: dict[tuple[str, str], Scheme] = {}
    for entry in DATA_CATALOGUE:
        for factor in FACTORS:
            found[entry.name, factor] = with_conjugation(entry, None, factor)
        found[entry.name, BRIDGE] = with_noise_level(entry, Fraction(1))
    return found


def others() -> dict[tuple[str, str], Scheme]:
    """Published samplers of PSLD, by name and lambda."""
    found = {}
    for name in OTHERS:
        value = CONJUGATE.get(name)
        told = "" if value is None else f"λ = {value}"
        own = find(name, "psld")
        found[name, told] = own if value is None else with_conjugation(own, value)
    return found


def gridded() -> dict[tuple[str, str], Scheme]:
    """Samplers whose best grid is looked for."""
    return {key: held()[key] for key in GRIDDED} | {("SSCS", ""): find("SSCS", "psld")}


def in_pieces(spectrum: object) -> dict[tuple[str, str, int], float | None]:
    """Position W2 of splittings with score and with data in their pieces, and of what holds the
    data over the whole drift, by model, word or name, and budget; on the quadratic grid.
    """
    pairs = [
        (model, str(own), scheme(own, model, dynamics))
        for model, dynamics, *both in IN_PIECES
        for own in both
    ]
    whole = [(model, name, find(name, model)) for model, name in WHOLE]
    return {
        (model, name, nfe): w2(problem(spectrum, GRIDS[1], model), own, nfe)
        for model, name, own in (*pairs, *whole)
        for nfe in NFES
    }


def problem(spectrum: object, grid: str, model: str = "psld") -> Problem:
    """The run on that spectrum (a name, a file or variances)."""
    return problem_for(model, spectrum, grid=grid, denoise="data")


def w2(ours: Problem, scheme: Scheme, nfe: int) -> float | None:
    """Exact position W2 at a budget; None where the position blew up."""
    found = ours.errors(scheme, ours.steps(scheme, nfe))
    cause = found["unstable"]
    return None if cause and "x" in cause["components"] else found["w2_x"]


def on_best_grid(spectrum: object, scheme: Scheme, nfe: int) -> tuple[float, float | None]:
    """The best of POWERS for a budget and its error: times (T - eps)(1 - (1 - i/n)^power)."""
    errors: dict[float, float] = {}
    for own in POWERS:
        uniform = problem(spectrum, GRIDS[0])
        steps, end = uniform.steps(scheme, nfe), uniform.process.T - uniform.eps
        times = [end * (1 - (1 - i / steps) ** own) for i in range(steps)]
        error = w2(replace(uniform, grid=(*times, end)), scheme, nfe)
        if error is not None:
            errors[own] = error
    if not errors:
        return POWERS[0], None
    best = min(errors, key=errors.__getitem__)
    return best, errors[best]


def label(name: str, what: str) -> str:
    """A sampler with its factor or lambda, as stored."""
    return f"{name}, {what}" if what else name
