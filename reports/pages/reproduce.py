"""Page: how to get every number of the report again."""

from __future__ import annotations

import json
import platform
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version

from reports.experiments.store import DATA, stored
from reports.pages.exact_runs import SPECTRUM, diffusion
from reports.pages.settings import Settings
from reports.render.document import (
    FIGURE_DIGITS,
    Cell,
    Column,
    Heading,
    Page,
    Paragraph,
    Table,
    text,
)
from splitting_analysis.catalogue import CATALOGUE
from splitting_analysis.grids import EPS

PACKAGES = ("splitting-analysis", "numpy", "scipy", "sympy", "mpmath", "matplotlib", "scikit-learn")
COMMANDS = (
    ("splitting-analysis report", "the full report, into `report/`"),
    (
        "splitting-analysis report --quick",
        "the same pages on fewer points; the committed copy is this one",
    ),
    (
        "splitting-analysis report --quick --check",
        "recompute, compare with the committed copy, list what differs",
    ),
    ("splitting-analysis report --quick --out reports/output", "renew the committed copy"),
    ("splitting-analysis derive ROBA", "one sampler’s error in closed form"),
    ('splitting-analysis derive "O S B A" --format latex', "the same for any word, as LaTeX"),
    ("splitting-analysis derive NOBA --minus ROBA", "what score reuse changes"),
    ("splitting-analysis gaussian ROBA EM --nfe 50,100", "exact errors on the digits spectrum"),
    (
        "splitting-analysis sample --sampler ROBA --nfe 50 --n 64 --out new",
        "samples of the digits network",
    ),
    ("splitting-analysis train --data digits --out mine.safetensors", "a network like it"),
)


def build(settings: Settings) -> Page:
    lead = (
        f"This copy was made by `{settings.command}`; everything random in it is stored with its "
        "seed, so every machine gets the same printed digits."
    )
    body = (
        Heading("Commands", "commands"),
        Table(
            "reproduce-commands",
            "**Commands.** All run offline once the package is installed (`pip install "
            "'.[torch]'` in its source folder).",
            (Column("command", "command"), Column("what", "what it does")),
            tuple((f"`{command}`", what) for command, what in COMMANDS),
        ),
        Heading("What is computed how", "how"),
        text(
            "Closed forms are derived from the words with exact rational coefficients. Exact "
            "errors push mean and covariance of each sampler through all its steps in float64; "
            "observed orders use more digits, so that round-off cannot pass for an order. Nothing "
            "of this is sampled. What runs on a network or draws samples takes hours and is "
            "**stored with the report**: each file holds its command, and the seeds and versions "
            "that it depends on."
        ),
        *_stored(),
        text(
            "Numbers in tables are rounded to the digits shown, those behind figures to "
            f"{FIGURE_DIGITS[:-1]} significant digits; the JSON files hold exactly these. On one "
            "machine the report is the same byte for byte."
        ),
        text(
            f"The spectrum is the {SPECTRUM}; eigenvalues that are round-off of zero are set to "
            "zero."
        ),
        Heading("Settings", "settings"),
        _parameters(settings),
        Heading("Software", "software"),
        Table(
            "reproduce-software",
            "**Versions that made this copy.** The only table that `--check` does not compare.",
            (Column("package", "package"), Column("version", "version")),
            (("Python", platform.python_version()), *((name, _version(name)) for name in PACKAGES)),
            compared=False,
        ),
    )
    return Page("reproduce", "How to reproduce this report", lead, body)


def _stored() -> tuple[Table, Paragraph]:
    rows: list[tuple[Cell, ...]] = []
    for path in sorted(DATA.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if "_command" in document:
            torch = document.get("_versions", {}).get("torch")
            rows.append((f"`{path.name}`", f"`{document['_command']}`", torch))
    table = Table(
        "reproduce-stored",
        "**Stored results.**",
        (
            Column("file", "file in reports/data"),
            Column("command", "command"),
            Column("torch", "torch"),
        ),
        tuple(rows),
        "the files",
    )
    measured = stored("gpu")
    if measured is None:
        said = "All of it was computed on CPUs: **nothing in this report was measured on a GPU**, "
        return table, text(said, "neither rounding nor speed.")
    card = measured["machine"]["card"]
    return table, text(
        f"[On a GPU](gpu.html) was measured on an {card}; all else was computed on CPUs."
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _parameters(settings: Settings) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for model in dict.fromkeys(entry.model_name for entry in CATALOGUE):
        process = diffusion(model)
        values = ", ".join(f"{f.name} = {getattr(process, f.name):g}" for f in fields(process))
        rows.append((model, values))
    rows += [
        ("ε", f"{EPS:g}, the time left to the denoising step"),
        ("evaluations", ", ".join(map(str, settings.nfes))),
        ("evaluations, λ_{s}", ", ".join(map(str, settings.lambda_nfes))),
        ("steps, orders", ", ".join(map(str, settings.order_steps))),
    ]
    return Table(
        "reproduce-settings",
        "**Settings of this copy.**",
        (Column("setting", "setting"), Column("value", "value")),
        tuple(rows),
        "defaults of the package",
    )
