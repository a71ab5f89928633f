"""Page: errors of one step on scores that are not Gaussian, closed form against engine."""

from __future__ import annotations

from typing import Any

from reports.crossval.results import stored
from reports.document import Block, Cell, Column, Figure, Heading, Line, Page, Panel, Table, text
from reports.pages.settings import Settings
from reports.pages.spelling import link, listed, power
from splitting_analysis.catalogue import find

SLUG, TITLE = "crossval-local", "Cross-validation: one step"
COMMAND = "python -m reports.crossval.local"
MISSING = f"The stored results are not in this copy; `{COMMAND}` computes them."
KINDS = ("mean", "second moments", "strong")


def build(_: Settings) -> Page:
    document = stored("local")
    if document is None:
        return Page(SLUG, TITLE, MISSING, (text(MISSING),))
    targets: dict[str, dict[str, Any]] = document["targets"]
    body: list[Block] = [
        text(
            "Every closed form is a combination of derivatives of the score. Here those derivatives are "
            "taken of scores that are not Gaussian, networks among them, by nested forward differentiation; "
            "the measured side is **one step of the engine** in float64, which knows no derivative. "
            "Deterministic samplers are held against the exact flow (SciPy’s DOP853) and extrapolated to "
            "h = 0, which never looks at the prediction. Stochastic ones share their Brownian path with a "
            "reference of higher order; normals drawn in orthogonal pairs of opposite sign make the average "
            "of every cubic exact, so that what is left of Monte Carlo is far below the errors compared."
        ),
        text(
            f"These are **stored results**, computed by `{COMMAND}` with torch "
            f"{document['_versions']['torch']}, seed {document['_seed']}; a test computes a part again."
        ),
    ]
    for name, target in targets.items():
        body += _target(name, target)
    return Page(SLUG, TITLE, _lead(targets), tuple(body))


def _lead(targets: dict[str, dict[str, Any]]) -> str:
    low = [r["difference"] for t in targets.values() for r in t["ode"] if r["power"] == 2]
    high = [r["difference"] for t in targets.values() for r in t["ode"] if r["power"] > 2]
    noisy = [r["difference"] for t in targets.values() for r in t["sde"] if r["predicted"]]
    return (
        f"On {listed([t['what'] for t in targets.values()])}, the engine errs in one step as the closed "
        f"forms say: as vectors, the leading errors differ by at most {max(low):.1e} of their size for the "
        f"deterministic samplers of order 1, {max(high):.1e} for those of higher order (round-off sets "
        f"the limit), and {max(noisy):.1e} in mean, second moments and mean square for the stochastic ones."
    )


def _target(name: str, target: dict[str, Any]) -> list[Block]:
    anchor = "".join(c if c.isalnum() else "-" for c in name.lower())
    body: list[Block] = [Heading(name[0].upper() + name[1:], anchor), text(target["what"] + ".")]
    if target["weights_sha256"]:
        body.append(text(f"SHA-256 of the weights: `{target['weights_sha256']}`."))
    return [*body, _ode_table(anchor, target), _figure(anchor, target), _sde_table(anchor, target)]


def _scheme(name: str, target: dict[str, Any]) -> str:
    """The scheme's link; names occur in several models."""
    return link(find(name, target["model"]))


def _ode_table(anchor: str, target: dict[str, Any]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            _scheme(row["scheme"], target), row["tau"], power(row["power"]),
            row["predicted"], row["measured"], row["ratio_minus_1"], row["difference"], row["uncertainty"],
        )
        for row in target["ode"]
    ]  # fmt: skip
    return Table(
        f"{anchor}-ode",
        "**Deterministic samplers.** Norm of the leading coefficient of one step’s error, predicted by the "
        "closed form and measured on the engine; the difference is that of the vectors, relative to the "
        "prediction, the uncertainty what the extrapolation to h = 0 says of itself.",
        (
            Column("scheme", "scheme"), Column("tau", "forward time", digits="2g"),
            Column("power", "leading power"),
            Column("predicted", "norm", "predicted", "6g"), Column("measured", "norm", "measured", "6g"),
            Column("ratio", "ratio − 1", digits="2g"), Column("difference", "difference", digits="2g"),
            Column("uncertainty", "uncertainty", digits="2g"),
        ),
        tuple(rows),
        "stored results",
    )  # fmt: skip


def _figure(anchor: str, target: dict[str, Any]) -> Figure:
    last = target["ode"][-1]["tau"]
    lines = tuple(
        Line(row["scheme"], tuple(row["steps"]), tuple(abs(r - 1) for r in row["by_step"]))
        for row in target["ode"]
        if row["tau"] == last and row["power"] == 2
    )
    return Figure(
        f"{anchor}-ratio",
        "**How the ratio reaches 1.** |measured / predicted − 1| of the error norms by step size, "
        f"first-order samplers at forward time {last}: slope one is the next power of h, and nothing else.",
        (Panel("", lines, "step size h", "| ratio − 1 |"),),
        "stored results",
    )


def _sde_table(anchor: str, target: dict[str, Any]) -> Table:
    names = list(dict.fromkeys(row["scheme"] for row in target["sde"]))
    by = {(row["scheme"], row["kind"]): row for row in target["sde"]}
    rows: list[tuple[Cell, ...]] = []
    for name in names:
        cells: list[Cell] = [_scheme(name, target)]
        for kind in KINDS:
            row = by[name, kind]
            cells += [row["predicted"], row["ratio_minus_1"], row["standard_error"], row["difference"]]
        rows.append(tuple(cells))
    columns = [Column("scheme", "scheme")]
    for kind in KINDS:
        columns += [
            Column(f"{kind} predicted", kind, "predicted", "4g"),
            Column(f"{kind} ratio", kind, "ratio − 1", "2g"),
            Column(f"{kind} error", kind, "standard error", "2g"),
            Column(f"{kind} difference", kind, "difference", "2g"),
        ]
    return Table(
        f"{anchor}-sde",
        f"**Stochastic samplers**, λ_{{s}} = 1, forward time {target['sde_tau']}. Leading coefficients: of "
        "the mean and the second moments of the increment (h², weak), and of the mean square on one Brownian "
        "path (h³, strong; second moments and mean squares as traces). Where the closed form says 0 the last "
        "column is the measured coefficient itself.",
        tuple(columns),
        tuple(rows),
        "stored results",
    )
