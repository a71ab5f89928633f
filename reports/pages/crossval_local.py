"""Page: errors of one step on scores that are not Gaussian, closed form against engine."""

from __future__ import annotations

from typing import Any

from scipy.stats import t as student

from reports.experiments.store import KEPT, stored
from reports.pages.absent import absent, parts_absent
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
    text,
)
from reports.render.spelling import count, link, number, power, share
from splitting_analysis.catalogue import find

SLUG, TITLE = "crossval-local", "Cross-validation: one step"
NETWORKS = {
    "digits network": "the network trained on the digits",
    "patches network": "the network trained on patches of photographs",
}
CERTAIN = 3
KINDS = {"mean": "mean", "second moments": "second moments", "strong": "mean square"}


def build(_: Settings) -> Page:
    document = stored("local")
    if document is None:
        return absent("local", SLUG, TITLE)
    targets: dict[str, dict[str, Any]] = document["targets"]
    body: list[Block] = [
        text(
            "Every closed form is a combination of derivatives of the score. Here those "
            "derivatives are taken of scores that are not Gaussian, networks among them, by "
            "nested forward differentiation; the measured side is **one step of the engine** in "
            "float64, which knows no derivative. Deterministic samplers are held against the "
            "exact flow (SciPy’s DOP853) and extrapolated to h = 0, which never looks at the "
            "prediction. Stochastic ones share their Brownian path with a reference of higher "
            "order; normals drawn in orthogonal pairs of opposite sign make the average of every "
            "cubic exact, and steps h, h/2, … are extrapolated to 0, so that what is left of "
            "Monte Carlo is mostly round-off, far below the errors compared."
        ),
        text(
            f"These are **stored results**, computed by `{KEPT['local'].command}` with torch "
            f"{document['_versions']['torch']}, seed {document['_seed']}; a test computes a part "
            f"again. Powers above h³ are measured at 1/{round(1 / document['_near'])} of a random "
            "state, whose round-off would hide them."
        ),
    ]
    for name, target in targets.items():
        body += _target(name, target, document["_rotations"])
    body += parts_absent("local", NETWORKS, targets)
    return Page(SLUG, TITLE, _lead(targets), tuple(body))


def _lead(targets: dict[str, dict[str, Any]]) -> str:
    first, high = (
        max(
            abs(r["ratio_minus_1"])
            for t in targets.values()
            for r in t["ode"]
            if (r["power"] > 2) == above
        )
        for above in (False, True)
    )
    rows = [row for target in targets.values() for row in target["sde"]]
    noisy = max(row["difference"] for row in rows if row["predicted"])
    agree = sum(abs(_deviation(row)) <= CERTAIN for row in rows)
    networks = sum("network" in name for name in targets)
    return (
        "In one step the engine errs as the closed forms say, on scores that are not Gaussian: "
        f"measured over predicted leading error is 1 within {number(first)} for deterministic "
        f"samplers of order 1 and {number(high)} for those of higher order, where round-off sets "
        f"the limit. On the {count(len(targets))} targets, {count(networks)} of them networks, "
        "means, second moments and mean squares of the stochastic ones agree within "
        f"{number(noisy)}, {share(agree, len(rows))} within {count(CERTAIN)} standard errors."
    )


def _deviation(row: dict[str, Any]) -> float:
    """Measured minus predicted in standard errors."""
    off: float = row["ratio_minus_1"] if row["predicted"] else row["measured"]
    return off / float(row["standard_error"])


def _target(name: str, target: dict[str, Any], rotations: int) -> list[Block]:
    anchor = "".join(c if c.isalnum() else "-" for c in name.lower())
    body: list[Block] = [Heading(name[0].upper() + name[1:], anchor), text(target["what"] + ".")]
    if target["weights_sha256"]:
        body.append(text(f"SHA-256 of the weights: `{target['weights_sha256']}`."))
    return [
        *body,
        _ode_table(anchor, target),
        _figure(anchor, target),
        _sde_table(anchor, target, rotations),
    ]


def _scheme(name: str, target: dict[str, Any]) -> str:
    """The scheme's link; names occur in several models."""
    return link(find(name, target["model"]))


def _ode_table(anchor: str, target: dict[str, Any]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            _scheme(row["scheme"], target),
            row["tau"],
            power(row["power"]),
            row["predicted"],
            row["measured"],
            row["ratio_minus_1"],
            row["difference"],
            row["uncertainty"],
        )
        for row in target["ode"]
    ]
    return Table(
        f"{anchor}-ode",
        "**Deterministic samplers.** Norm of the leading coefficient of one step’s error, "
        "predicted by the closed form and measured on the engine; the difference is that of the "
        "vectors, relative to the prediction, the uncertainty what the extrapolation to h = 0 "
        "says of itself.",
        (
            Column("scheme", "scheme"),
            Column("tau", "forward time", digits="2g"),
            Column("power", "leading power"),
            Column("predicted", "norm", "predicted", "6g"),
            Column("measured", "norm", "measured", "6g"),
            Column("ratio", "ratio − 1", digits="2g"),
            Column("difference", "difference", digits="2g"),
            Column("uncertainty", "uncertainty", digits="2g"),
        ),
        tuple(rows),
        "stored results",
    )


def _figure(anchor: str, target: dict[str, Any]) -> Figure:
    last = target["ode"][-1]["tau"]
    lines = tuple(
        Line(row["scheme"], tuple(row["steps"]), tuple(abs(r - 1) for r in row["by_step"]))
        for row in target["ode"]
        if row["tau"] == last and row["power"] == 2
    )
    return Figure(
        f"{anchor}-ratio",
        "**How the ratio reaches 1.** |measured / predicted − 1| of the error norms by step "
        f"size, first-order samplers at forward time {last}: slope one is the next power of h, "
        "the rest round-off.",
        (Panel("", lines, "step size h", "| ratio − 1 |"),),
        "stored results",
    )


def _sde_table(anchor: str, target: dict[str, Any], rotations: int) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            _scheme(row["scheme"], target),
            KINDS[row["kind"]],
            row["predicted"],
            row["measured"],
            row["difference"],
            row["ratio_minus_1"],
            row["standard_error"],
            _deviation(row),
        )
        for row in target["sde"]
    ]
    chance = 2 * float(student.sf(CERTAIN, rotations - 1))
    return Table(
        f"{anchor}-sde",
        f"**Stochastic samplers**, λ_{{s}} = 1, forward time {target['sde_tau']}. Leading "
        "coefficients: of the mean and the second moments of the increment (h², weak), and of "
        "the mean square on one Brownian path (h³, strong); norms of the mean, traces of the "
        "others. The difference is that of vectors and matrices, relative to the prediction "
        "where that is not 0 (where it is, the standard error is that of the measured size). "
        f"Standard errors are over {count(rotations)} rotations of the normals, each with a step "
        f"size of its own, and hold round-off too; so few put {count(round(100 * chance))} in a "
        f"hundred beyond {count(CERTAIN)} of them by chance (Student’s t).",
        (
            Column("scheme", "scheme"),
            Column("kind", "error"),
            Column("predicted", "size", "predicted", "4g"),
            Column("measured", "size", "measured", "4g"),
            Column("difference", "difference", digits="2g"),
            Column("ratio", "ratio − 1", "value", "2g"),
            Column("error", "ratio − 1", "standard error", "2g"),
            Column("deviation", "ratio − 1", "in standard errors", "1f"),
        ),
        tuple(rows),
        "stored results",
    )
