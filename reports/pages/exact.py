"""Page: exact errors against the number of score evaluations on the embedded spectrum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reports.pages.exact_best import ELSEWHERE, beyond, compared, finding, lead
from reports.pages.exact_runs import (
    GRIDS,
    KINDS,
    SPECTRUM,
    at_budget,
    limit,
    limit_per_mode,
    per_mode,
    schemes,
    target,
)
from reports.pages.settings import Settings
from reports.render.document import (
    Block,
    Cell,
    Column,
    Figure,
    Heading,
    Line,
    Mark,
    Page,
    Panel,
    Paragraph,
    Table,
    printed,
    text,
)
from reports.render.spelling import link, listed, share
from splitting_analysis.grids import EPS
from splitting_analysis.schemes import Scheme, steps_for

PER_MODE_NFE = 100
NEGLIGIBLE = 0.05
"""A relative change of an error below which its cause is said not to matter."""
VISIBLE = 0.05
"""How far below the limit, relatively, a sampler must lie to be seen below it in the figure."""
MEASURES = {
    "w2_x": (
        "position W_{2}",
        "data units",
        "2-Wasserstein distance of the position marginal to the data law",
    ),
    "w2": (
        "joint W_{2}",
        "data units",
        "2-Wasserstein distance of position and momentum to their law at time 0",
    ),
    "kl_x": (
        "KL",
        "nats",
        (
            "KL divergence KL(data ‖ sampler) of the position marginal, over the modes with "
            "positive variance"
        ),
    ),
}


def build(settings: Settings) -> Page:
    modes = int(np.sum(target().variances > 0))
    body: list[Block] = [
        text(
            f"The target is a Gaussian with the {SPECTRUM}: {target().variances.size} modes, "
            f"{modes} of "
            "them with positive variance. Its score is known exactly, so mean and covariance of "
            "every "
            "sampler are pushed exactly through all steps: no Monte Carlo, no fit. Time runs to T "
            "− ε, ε = "
            f"{EPS:g}, then one denoising step; a budget of N evaluations buys as many steps as "
            "it can once the denoising step and a carried score are paid. PSLD and VP at their "
            f"default parameters, λ_{{s}} = 1. Of PSLD these are its {compared()}; its other "
            f"samplers have pages of their own: {ELSEWHERE}."
        ),
        Heading("PSLD, started from the prior", "psld"),
        *(_figure(settings, dynamics) for dynamics in KINDS),
        *_below_the_line(settings),
        text(finding(settings, "uniform"), " ", finding(settings, "quadratic")),
        text(beyond(settings)),
    ]
    for grid in GRIDS:
        body.append(Heading(f"{grid.capitalize()} grid", f"psld-{grid}", 3))
        body += [_table(settings, "psld", measure, grid, "prior") for measure in MEASURES]
    body += _starts(settings)
    body += [Heading("Mode by mode", "modes"), _per_mode_figure(), text(_mode_finding())]
    body += [
        Heading("VP", "vp"),
        text(
            "The position-only process on the same target; the ancestral step needs βh < 1, so it "
            "has no entry for few steps. Other samplers of it: "
            "[position-only samplers](position-only.html), [Splitting VP](vp-splitting.html)."
        ),
        _table(settings, "vp", "w2_x", "uniform", "prior"),
        *_limits(settings),
    ]
    return Page("exact", "Exact error against score evaluations", lead(), tuple(body))


def _figure(settings: Settings, dynamics: str) -> Figure:
    left = limit("psld", dynamics, "prior")["w2_x"]
    marks = (Mark(left, "limit for h → 0"),)
    panels = []
    for grid in GRIDS:
        lines = []
        for s in schemes("psld", dynamics):
            cards = [at_budget(s, nfe, grid, "prior") for nfe in settings.nfes]
            lines.append(
                Line(s.name, tuple(settings.nfes), tuple(c["w2_x"] if c else np.nan for c in cards))
            )
        x, y = "score evaluations", "position W_{2} (data units)"
        panels.append(Panel(f"{KINDS[dynamics]}, {grid} grid", tuple(lines), x, y, marks=marks))
    return Figure(
        f"exact-nfe-{dynamics}",
        f"**Exact error against cost, {KINDS[dynamics]}.** Position 2-Wasserstein distance to the "
        "data law. Dotted: the exact flow with the same start, cut and denoising step, the limit "
        f"for h → 0, {printed(left)}.",
        tuple(panels),
        SPECTRUM,
    )


def _below_the_line(settings: Settings) -> list[Paragraph]:
    """Why a sampler may lie below the dotted line, told where one visibly does."""
    sentences, opposed = [], []
    rest = {dynamics: limit_per_mode("psld", dynamics, "prior") for dynamics in KINDS}
    for dynamics in KINDS:
        left = limit("psld", dynamics, "prior")["w2_x"]
        for grid in GRIDS:
            for s in schemes("psld", dynamics):
                cards = {nfe: at_budget(s, nfe, grid, "prior") for nfe in settings.nfes}
                below = [nfe for nfe, c in cards.items() if c and c["w2_x"] < (1 - VISIBLE) * left]
                if not below:
                    continue
                sentences.append(
                    f"{s.name} at {listed(list(map(str, below)))} evaluations on the {grid} grid"
                )
                for nfe in below:
                    error = per_mode(s, steps_for(nfe, s, denoise=True), grid, "prior")
                    opposed.append((dynamics, _cosine(error - rest[dynamics], rest[dynamics])))
    if not sentences:
        return []
    flows = list(dict.fromkeys(dynamics for dynamics, _ in opposed))
    large = [
        f"{share(int(np.sum(rest[d] > 0)), rest[d].size)} standard deviations too large "
        f"({KINDS[d]})"
        for d in flows
    ]
    why = (
        f"Below the dotted line lies {listed(sentences)}. The line is no bound: the exact flow, "
        f"cut at ε and denoised, leaves {listed(large)}"
    )
    if all(cosine < 0 for _, cosine in opposed):
        cosines = listed([printed(cosine, "2f") for _, cosine in opposed])
        why += (
            ", and there the discretisation errs the other way (the cosine of the angle between "
            f"the two errors, over the modes, is {cosines}), so that it takes a part of the "
            "excess away; as h → 0 that part comes back."
        )
    else:
        why += (
            ", and a discretisation error of the other sign in some modes takes a part of that "
            "away."
        )
    return [text(why)]


def _cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def _table(settings: Settings, model: str, measure: str, grid: str, start: str) -> Table:
    short, unit, what = MEASURES[measure]
    rows: list[tuple[Cell, ...]] = []
    for dynamics, kind in KINDS.items():
        for s in schemes(model, dynamics):
            cards = [at_budget(s, nfe, grid, start) for nfe in settings.nfes]
            rows.append((link(s), kind, s.word.nfe, *(c[measure] if c else None for c in cards)))
    columns = [
        Column("scheme", "scheme"),
        Column("dynamics", "dynamics"),
        Column("per_step", "per step", "evaluations", "d"),
        *(
            Column(f"nfe{nfe}", str(nfe), "evaluations", "3g", smallest=True)
            for nfe in settings.nfes
        ),
    ]
    return Table(
        f"exact-{model}-{measure}-{grid}-{start}",
        f"**{short} ({unit}), {grid} grid.** {what[0].upper()}{what[1:]}. Smallest of each column "
        "in bold.",
        tuple(columns),
        tuple(rows),
        SPECTRUM,
    )


def _limits(settings: Settings) -> list[Block]:
    rows: list[tuple[Cell, ...]] = []
    for model in ("psld", "vp"):
        for dynamics, kind in KINDS.items():
            without, done = (limit(model, dynamics, "prior", denoise=d) for d in (False, True))
            rows.append(
                (
                    f"{model.upper()}, {kind}",
                    without["w2_x"],
                    done["w2_x"],
                    without["kl_x"],
                    done["kl_x"],
                )
            )
    worse = [str(row[0]) for row in rows if row[4] > row[3]]  # type: ignore[operator]
    better = sum(row[2] < row[1] for row in rows)  # type: ignore[operator]
    return [
        Heading("What is left as h → 0", "limits"),
        text(
            f"The exact flow itself, stopped at ε = {EPS:g}: what is left is the start’s "
            "mismatch, the cut, "
            "and what the denoising step makes of it. That step brings the position W_{2} down in "
            f"{share(better, len(rows))} cases, "
            + (
                f"but drives the KL divergence up for {listed(worse)}: it shrinks the modes of "
                "smallest variance too far, which the data’s own scale does not notice and a "
                "ratio of variances does."
                if worse
                else "and the KL divergence with it."
            ),
            _passing_below(settings),
        ),
        Table(
            "exact-limits",
            "**The exact flow, cut at ε.** Without and with the final denoising step; started "
            "from the prior.",
            (
                Column("flow", "flow"),
                Column("w2_cut", "position W_{2}", "cut only"),
                Column("w2_denoised", "position W_{2}", "denoised"),
                Column("kl_cut", "KL in nats", "cut only"),
                Column("kl_denoised", "KL in nats", "denoised"),
            ),
            tuple(rows),
            SPECTRUM,
        ),
    ]


def _passing_below(settings: Settings) -> str:
    """Which samplers are closer to the data, on some budget, than the exact flow is."""
    below = []
    for model in ("psld", "vp"):
        for dynamics in KINDS:
            left = limit(model, dynamics, "prior")["w2_x"]
            for s in schemes(model, dynamics):
                cards = [
                    at_budget(s, nfe, grid, "prior") for nfe in settings.nfes for grid in GRIDS
                ]
                if any(c and c["w2_x"] < left for c in cards):
                    below.append(f"{s.name} ({model.upper()})")
    if not below:
        return ""
    return (
        f" It is not a bound: on some budget errors cancel, and {listed(below)} come closer to "
        "the data."
    )


def _starts(settings: Settings) -> list[Block]:
    rows: list[tuple[Cell, ...]] = []
    ratios = []
    for dynamics, kind in KINDS.items():
        for s in schemes("psld", dynamics):
            row: list[Cell] = [link(s), kind]
            for nfe in settings.nfes:
                prior, exact = (at_budget(s, nfe, "uniform", start) for start in ("prior", "pT"))
                change = exact["w2_x"] / prior["w2_x"] - 1 if prior and exact else None
                row.append(None if change is None else 100 * change)
                ratios += [] if change is None else [abs(change)]
            rows.append(tuple(row))
    columns = [Column("scheme", "scheme"), Column("dynamics", "dynamics")]
    columns += [Column(f"nfe{nfe}", str(nfe), "evaluations", "2f") for nfe in settings.nfes]
    return [
        Heading("What the start costs", "starts"),
        text(
            "Samplers start from the prior N(0, diag(1, M)), not from the exact law at T. "
            "Starting from that law instead changes the position error by at most "
            f"{printed(100 * max(ratios), '2g')} %"
            + (": the start is not what limits any of them." if max(ratios) < NEGLIGIBLE else ".")
        ),
        Table(
            "exact-starts",
            "**Exact start.** Change of the position W_{2} in per cent when the run starts from "
            "the exact law at T instead of the prior; uniform grid.",
            tuple(columns),
            tuple(rows),
            SPECTRUM,
        ),
    ]


def _per_mode_figure() -> Figure:
    positive = target().variances > 0
    variances = target().variances[positive]
    panels = []
    for dynamics, kind in KINDS.items():
        lines = []
        for s in schemes("psld", dynamics):
            relative = _relative(s)
            lines.append(Line(s.name, tuple(variances), tuple(np.abs(relative))))
        panels.append(
            Panel(
                kind,
                tuple(lines),
                "variance of the mode",
                "relative error of its standard deviation",
            )
        )
    return Figure(
        "exact-modes",
        "**Where the error sits.** Relative error of each mode’s standard deviation at "
        f"{PER_MODE_NFE} evaluations, uniform grid, started from the prior; absolute values.",
        tuple(panels),
        SPECTRUM,
    )


def _relative(scheme: Scheme) -> np.ndarray:
    positive = target().variances > 0
    error = per_mode(scheme, steps_for(PER_MODE_NFE, scheme, denoise=True), "uniform", "prior")
    return error[positive] / np.sqrt(target().variances[positive])


def _mode_finding() -> str:
    def split(dynamics: str) -> tuple[Sequence[float], Sequence[float]]:
        errors = np.array([np.abs(_relative(s)) for s in schemes("psld", dynamics)])
        return np.median(errors[:, :5], axis=1), np.median(errors[:, -5:], axis=1)

    parts = []
    for dynamics, kind in KINDS.items():
        large, small = split(dynamics)
        worse = sum(b > a for a, b in zip(large, small, strict=True))
        parts.append(f"for {share(worse, len(large))} samplers of the {kind}")
    return (
        "The relative error is larger on the five smallest positive modes than on the five largest "
        f"{' and '.join(parts)} (medians): small variances are stiff near the data."
    )
