"""Page: conjugate integrators: their errors with lambda as a symbol, stability, the best lambda."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from analytic_models.conjugate import conjugate_step
from analytic_models.conjugate_stability import criterion, step_radius
from analytic_models.problem import problem_for
from analytic_models.stability import largest_stable_step
from reports.experiments.conjugate import GRIDS, NAME, NFES, POWER_LAW, RULE, bent, w2
from reports.experiments.store import KEPT, stored
from reports.pages.absent import absent
from reports.pages.conjugate_more import moving, skips
from reports.pages.conjugate_rules import CHOICE, choice, regret, rules
from reports.pages.exact_runs import SPECTRUM
from reports.pages.settings import Settings
from reports.render.document import (
    Block,
    Cell,
    Column,
    Figure,
    Heading,
    Line,
    Page,
    Panel,
    Table,
    printed,
    text,
)
from reports.render.spelling import blocks, entry, listed
from splitting_analysis.catalogue import find
from splitting_analysis.conjugate_catalogue import CONJUGATE_CATALOGUE
from splitting_analysis.processes import PSLD
from splitting_analysis.weak import error_difference, local_error, order_of

TITLE = "Conjugate integrators"
SHOWN = (20, 50, 100)
FITTED = ("digits", "CIFAR-10")
MADE_ON = "the spectra of digits, image patches and CIFAR-10"
"""Where the rule for lambda was chosen; of the patches no rows are stored."""
ENDS = (1e-4, 1e-6, 1e-8, 1e-10)
"""End times near 0."""
CURVE = np.linspace(-2.0, 2.0, 17)
LAMBDAS = (0.0, 0.5, 2.0)
CASES = (
    (2.0, 0.1, 0.05, 1.0),
    (2.0, 0.5, 0.3, 0.0),
    (2.0, 0.5, 0.05, 20.0),
    (0.01, 0.1, 0.05, -5.0),
)
"""Variance, time, step and lambda of single steps of LDDIM-I."""


def build(_: Settings) -> Page:
    if not found():
        return absent("conjugate", "conjugate", TITLE)
    ddim, plain = find(NAME, "psld"), find("EI", "psld")
    error, change = local_error(ddim, 2), error_difference(ddim, plain, 2)
    orders = sorted({order_of(s) for s in CONJUGATE_CATALOGUE})
    body: list[Block] = [
        text(
            "A conjugate integrator takes Euler’s step in A z instead of z, where dA/dτ = A "
            "(B − F), and holds the noise prediction ε, s = −L^{−T} ε. As words: `S E:eps` (EI, "
            "B = 0), "
            "`S E:eye` (λ-DDIM-I, B = λ I), `S E:ones` (λ-DDIM-II); pieces of a splitting take "
            "such steps, too: `S B:eye A:eye` (CSE). Their orders, derived with λ as a symbol: "
            f"{listed([str(order) for order in orders])}. Of the factor L the errors hold its "
            "rates alone, ℓ = (dL/dτ) L^{−1}."
        ),
        Heading("The error of a step, with λ as a symbol", "error"),
        *blocks(error, "lddim-i", f" of {NAME}"),
        text(
            "What λ brings in, all of it: ", entry(change, 2, "x"), " and ", entry(change, 2, "m")
        ),
        Heading("The best λ, and one without a search", "lambda"),
        _figure(),
        text(
            "To leading order the error of the final position is a parabola in λ, mode by mode, "
            "from the closed form above carried to the end by the exact flow; its smallest sum of "
            "squares is at λ_{0}, a root of a cubic that does not depend on h. At few steps the "
            "best λ is larger. The rule λ_{0} + β u / (1 + "
            f"{printed(RULE, '2g')} u) with u = β h, h the mean step, was chosen on {MADE_ON}; "
            "the power law is a test of it."
        ),
        _lambdas(),
        text(_regrets()),
        *rules(),
        *moving(),
        *skips(),
        Heading("Scores anew before every piece", "naive"),
        _naive(),
        Heading("Stability", "stability"),
        text(
            "The paper calls a step stable where |1 + h μ| ≤ 1, μ the eigenvalues of β W H − B "
            "(H the score’s matrix, W its weights). That is a statement on A z: it does not see A "
            "change over the step. With everything frozen at τ the limit of z itself is exact; "
            "modes whose exact flow is nearly neutral leave the disk long before the criterion "
            "says so, and λ > 0 holds them."
        ),
        _limits(),
        _single_steps(),
        Heading("Near τ = 0", "end"),
        text(
            "L^{−T} grows like τ^{−1/2} at most, which can be integrated: what a step gains down "
            "to an end time converges like the root of that time, and a step down to 0 is finite."
        ),
        _end(),
    ]
    return Page("conjugate", TITLE, _lead(), tuple(body))


@cache
def found() -> dict[tuple[str, str, int], dict[str, float]]:
    """The stored choices of lambda by spectrum, grid and budget."""
    spectra: dict[str, Any] = dict((stored("conjugate") or {}).get("spectra", {}))
    if kept := (stored("cifar10") or {}).get("conjugate_lambda"):
        spectra["CIFAR-10"] = kept
    return {
        (name, grid, nfe): spectra[name][grid][str(nfe)]
        for name in spectra
        for grid in GRIDS
        for nfe in NFES
    }


def _lead() -> str:
    gains = {key: at["w2_zero"] / at["w2_predicted"] for key, at in found().items()}
    key = max(gains, key=lambda k: gains[k])
    worst = max(found(), key=lambda k: regret(found()[k]))
    return (
        f"With its λ predicted from spectrum and step, by a rule made on {MADE_ON}, λ-DDIM-I takes "
        "the position W_{2} of EI, which is its case λ = 0, down by up to a factor of "
        f"{printed(gains[key], '2g')} ({_case(key)}). {_untried(gains)} At worst it is "
        f"{printed(regret(found()[worst]), '3g')} times that of the best λ ({_case(worst)})."
    )


def _untried(gains: dict[tuple[str, str, int], float]) -> str:
    """What the rule does on spectra on which nothing was fitted."""
    parts = []
    for name in dict.fromkeys(name for name, *_ in gains if name not in FITTED):
        own = {key: gain for key, gain in gains.items() if key[0] == name}
        worse = [f"{grid} grid, {nfe}" for (_, grid, nfe), gain in own.items() if gain < 1]
        where = f" ({'; '.join(worse)} evaluations)" if worse else ""
        parts.append(
            f"On the {name} spectrum, on which nothing was fitted, it is worse than EI in "
            f"{len(worse)} of {len(own)} rows{where}, and better by up to a factor of "
            f"{printed(max(own.values()), '2g')}."
        )
    return " ".join(parts)


def _case(key: tuple[str, str, int]) -> str:
    name, grid, nfe = key
    return f"{name}, {grid} grid, {nfe} evaluations"


def _regrets() -> str:
    parts = []
    for name in dict.fromkeys(name for name, *_ in found()):
        own = [regret(at) for (other, *_), at in found().items() if other == name]
        parts.append(f"{name} {printed(min(own), '3g')} to {printed(max(own), '3g')}")
    return (
        f"Regret, W_{{2}} at the predicted over W_{{2}} at the best λ: {'; '.join(parts)}. Where "
        "it is largest steps are far from the leading order, or one mode alone tells."
    )


def _figure() -> Figure:
    panels = []
    for grid in GRIDS:
        problem = problem_for("psld", "digits", grid=grid)
        lines = [
            Line(
                f"{nfe} evaluations",
                tuple(CURVE.tolist()),
                tuple(w2(problem, float(value), nfe) for value in CURVE),
            )
            for nfe in SHOWN
        ]
        panels.append(
            Panel(
                f"{grid} grid", tuple(lines), "λ", "position W_{2} (data units)", x_scale="linear"
            )
        )
    return Figure(
        "conjugate-lambda",
        "**Exact position error of λ-DDIM-I against λ.** PSLD at its default parameters, started "
        "from the prior, denoising step included; λ = 0 is EI.",
        tuple(panels),
        SPECTRUM,
    )


def _lambdas() -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            grid,
            nfe,
            *choice(at),
        )
        for (name, grid, nfe), at in found().items()
    ]
    return Table(
        "conjugate-best",
        "**The best λ of λ-DDIM-I, the predicted one, and the position W_{2} at both and at 0.**",
        CHOICE,
        tuple(rows),
        f"power law: variances 1/k², {len(POWER_LAW)} of them; stored: "
        f"{KEPT['conjugate'].command}; CIFAR-10 spectrum: {KEPT['cifar10'].command}",
    )


def _naive() -> Table:
    rows: list[tuple[Cell, ...]] = []
    problem = problem_for("psld", "digits")
    for name in ("RSE", "CSE", "NCSE", "RVV", "CVV", "NCVV", "ROBA", "COBA", "NCOBA"):
        scheme = find(name, "psld")
        errors = (problem.errors(scheme, problem.steps(scheme, n))["w2_x"] for n in SHOWN)
        rows.append((name, scheme.nfe, *errors))
    return Table(
        "conjugate-naive",
        "**Position W_{2} of conjugate splittings at λ = 0 by the number of evaluations,** beside "
        "the plain splittings of the same word, and with a score anew before every piece (N).",
        (
            Column("scheme", "sampler"),
            Column("cost", "evaluations a step", "", "d"),
            *(Column(f"w2{nfe}", str(nfe), "uniform grid") for nfe in SHOWN),
        ),
        tuple(rows),
        SPECTRUM,
    )


def _limits() -> Table:
    process, variances = PSLD(), problem_for("psld", "digits").target.variances
    rows: list[tuple[Cell, ...]] = []
    for value in LAMBDAS:
        scheme = bent(value)
        for tau in (0.5, 0.001):
            steps = largest_stable_step(scheme, process, variances, tau)
            said = criterion(scheme, process, variances, tau)
            mode = int(np.nanargmin(steps))
            told = None if said is None else float(said.min())
            rows.append((value, tau, float(steps[mode]), float(variances[mode]), told))
    return Table(
        "conjugate-limits",
        "**The largest stable step of λ-DDIM-I, all frozen at τ, and what the criterion says.** "
        "The shortest over the modes, with the variance that sets it.",
        (
            Column("value", "λ", "", "2g"),
            Column("tau", "τ"),
            Column("limit", "largest stable step"),
            Column("variance", "of variance"),
            Column("criterion", "|1 + h μ| ≤ 1 up to"),
        ),
        tuple(rows),
        SPECTRUM,
    )


def _single_steps() -> Table:
    rows: list[tuple[Cell, ...]] = []
    for variance, tau, h, value in CASES:
        scheme, process = bent(value), PSLD()
        limit = criterion(scheme, process, [variance], tau)
        radius = float(step_radius(scheme, process, [variance], tau, h)[0])
        said = limit is not None and h <= float(limit[0])
        verdict = "right" if said == (radius <= 1) else "misleads"
        rows.append((variance, tau, h, value, "stable" if said else "unstable", radius, verdict))
    return Table(
        "conjugate-steps",
        "**Single steps of λ-DDIM-I as they are, nothing frozen:** the criterion and the spectral "
        "radius of the step.",
        (
            Column("variance", "variance"),
            Column("tau", "τ"),
            Column("h", "h"),
            Column("value", "λ", "", "2g"),
            Column("said", "the criterion says"),
            Column("radius", "spectral radius", "", "4g"),
            Column("verdict", "it"),
        ),
        tuple(rows),
        "PSLD at its default parameters, exact",
    )


def _end() -> Table:
    scheme, process = find("EI", "psld"), PSLD()
    piece = scheme.program.pieces[0]

    def gain(end: float) -> Any:
        return np.array(conjugate_step(scheme, process, piece, 0.01, end, 0.01)[1], dtype=float)

    whole = gain(0.0)
    left = [float(np.abs(gain(end) - whole).max()) for end in ENDS]
    rates = [own / end**0.5 for own, end in zip(left, ENDS, strict=True)]
    return Table(
        "conjugate-end",
        "**What EI’s step from τ = 0.01 still gains below an end time,** the largest entry, and "
        "that over the root of the time: from the last but one to the last of these it changes "
        f"by {printed(100 * abs(rates[-1] / rates[-2] - 1), '2g')} %.",
        (
            Column("end", "end time"),
            Column("left", "gain below it"),
            Column("rate", "over its root", "", "5g"),
        ),
        tuple(zip(ENDS, left, rates, strict=True)),
        "PSLD at its default parameters, exact",
    )
