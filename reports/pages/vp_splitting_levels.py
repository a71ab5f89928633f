"""The part of page "splitting the position-only flow" on noise levels, VE and flow matching."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

from analytic_models.problem import problem_for
from reports.experiments.held_data import w2
from reports.pages.exact_runs import SPECTRUM
from reports.render.document import Block, Cell, Column, Heading, Table, printed, text
from reports.render.spelling import listed
from splitting_analysis.catalogue import find
from splitting_analysis.families import POSITION_ONLY
from splitting_analysis.retuned import with_noise_level
from splitting_analysis.schemes import Scheme

LEVELS = tuple(Fraction(k, 4) for k in range(1, 6))
NFES = (5, 10, 20, 50)
GRID = "quadratic"
NAME = "SSCS"
BESIDE = ("DDIM", "DPM++2M")
UNSTABLE = "unstable"
Key = tuple[str, str, str]
"""Model, sampler, noise level."""


def samplers() -> dict[Key, Scheme]:
    """What is compared: SSCS at noise levels, and what holds the data beside it."""
    found: dict[Key, Scheme] = {}
    for model in POSITION_ONLY:
        for eta in LEVELS:
            found[model, NAME, f"{float(eta):g}"] = with_noise_level(find(NAME, model), eta)
        found |= {(model, name, "0"): find(name, model) for name in BESIDE}
    return found


@cache
def errors() -> dict[Key, dict[int, float | None]]:
    """Position W2 on the digits spectrum, by sampler and budget."""
    found = {}
    for key, own in samplers().items():
        ours = problem_for(key[0], "digits", grid=GRID, denoise="data")
        found[key] = {nfe: w2(ours, own, nfe) for nfe in NFES}
    return found


def blocks() -> list[Block]:
    """Heading, text and table."""
    rows: list[tuple[Cell, ...]] = [
        (*key, *(UNSTABLE if row[nfe] is None else row[nfe] for nfe in NFES))
        for key, row in errors().items()
    ]
    return [
        Heading("Noise levels, and other processes", "levels"),
        text(
            "VE and flow matching split alike: `L` of the flow is the linear part −(α′/α) x (of VE "
            "the identity), of the SDE the forward process’s own drift and noise, and `K` takes "
            "the rest. At a noise level η between or beyond, `L` is η² times that of the SDE and "
            "`K` (1 + η²)/2 times: both leave the prior of VP as it is. Any of them runs in the "
            "clock τ, λ, log σ or ρ, by `--clock`, and at any level, by `--eta`. "
            + " ".join(_said(model) for model in POSITION_ONLY)
        ),
        Table(
            "vp-splitting-levels",
            f"**Position W_{{2}} (data units), digits spectrum, {GRID} grid, by the number of "
            "evaluations; runs end with the data predicted.** Smallest of each column in bold.",
            (
                Column("model", "model"),
                Column("scheme", "sampler"),
                Column("eta", "η"),
                *(Column(f"nfe{n}", str(n), "evaluations", "3g", smallest=True) for n in NFES),
            ),
            tuple(rows),
            SPECTRUM,
        ),
    ]


def best(model: str, nfe: int) -> tuple[str, float]:
    """The noise level at which SSCS is closest at a budget, and its error."""
    found = {
        eta: error
        for (own, name, eta), row in errors().items()
        if (own, name) == (model, NAME) and (error := row[nfe]) is not None
    }
    eta = min(found, key=found.__getitem__)
    return eta, found[eta]


def _said(model: str) -> str:
    parts = []
    for nfe in NFES[1:]:
        eta, error = best(model, nfe)
        whole = errors()[model, NAME, "1"][nfe]
        beside = UNSTABLE if whole is None else printed(whole)
        parts.append(f"{printed(error)} at η = {eta} beside {beside} at 1 with {nfe}")
    return f"Of {model} SSCS errs by {listed(parts)} evaluations."
