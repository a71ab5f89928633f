"""Page: the samplers of today's toolboxes, each against what it is said to be."""

from __future__ import annotations

from typing import Any

from analytic_models.probing.validate import STEPS
from gpu_samplers.adapters.names import OTHERS
from reports.experiments.foreign_cases import CASES, Case
from reports.experiments.store import stored
from reports.pages.absent import absent, parts_absent
from reports.pages.foreign_causes import CAUSES, HARMLESS, cause_of
from reports.pages.settings import Settings
from reports.render.document import Block, Cell, Column, Heading, Page, Table, text
from reports.render.spelling import count

SLUG, TITLE = "foreign", "Samplers of today’s toolboxes, judged"
LIBRARIES = {
    "diffusers": "Hugging Face diffusers",
    "k_diffusion": "k-diffusion",
    "openmm": "OpenMM",
}
SOURCE = "`splitting-analysis validate SAMPLER --option NAME=VALUE --claims CLAIM`"
Rows = list[tuple[Case, dict[str, Any]]]


def build(_: Settings) -> Page:
    data = stored("foreign")
    if data is None:
        return absent("foreign", SLUG, TITLE)
    rows = {name: _rows(name, found) for name, found in data["libraries"].items()}
    whole = [row for part in rows.values() for row in part]
    body: list[Block] = [
        text(
            "A scheduler is driven as its pipeline does, its noise replaced by ours, and asked for "
            "nothing but its own steps. Free data predictions in place of a network show every "
            f"coefficient of a run of {count(STEPS)} steps; these are compared with those of the "
            "claimed word, and each time that the network is given with the time of the noise "
            "level. Where only an order is claimed it is observed on a Gaussian target, and on one "
            "that is not. The last step, to the data, is left out: there log σ is infinite, and no "
            "word goes."
        ),
        text(
            "Options that clip the data prediction to [−1, 1] are off: they suit images, not "
            "targets. The arithmetic is the library’s own, float32 in most places: coefficients "
            "are compared to 3 · 10^{−4}. *Not settled* says that "
            "observed orders do not settle: timesteps rounded to whole ones make grids that are "
            "not refined evenly."
        ),
        _failures(whole),
        Heading("Why", "why"),
        text(
            "Each cause is a formula in the library’s text. *Right* is the number that the claim "
            "means, *by the text* what that formula gives, both worked out without the library; "
            "*seen* is read off the running code in float64. Where the last two agree, the cause "
            "is found."
        ),
    ]
    for key, cause in CAUSES.items():
        traces = [trace for trace in data["causes"] if trace["cause"] == key]
        body += [Heading(cause.title, key, 3), text(cause.words)]
        if traces:
            body.append(_traces(key, cause.title, traces, data["_command"]))
    for name, part in rows.items():
        body += [Heading(LIBRARIES[name], name), _table(name, part)]
    body += parts_absent("foreign", LIBRARIES, rows)
    body += [Heading("Schedulers that are not judged", "others"), _others()]
    return Page(SLUG, TITLE, _lead(whole), tuple(body))


def _rows(library: str, found: list[dict[str, Any]]) -> Rows:
    cases = {case.key: case for case in CASES[library]}
    return [(cases[row["key"]], row) for row in found if row["key"] in cases]


def verdict_of(row: dict[str, Any]) -> str:
    """As stored; but an order that settles on one target only is not settled."""
    failed = [(name, seen) for name, verdict, _, seen, _ in row["checks"] if verdict == "fail"]
    loose = failed and all("order is" in n and "nothing that settles" in s for n, s in failed)
    return "not settled" if loose else str(row["verdict"])


def _lead(rows: Rows) -> str:
    verdicts = [verdict_of(row) for _, row in rows]
    fails = [case for case, row in rows if verdict_of(row) == "fails"]
    names = {case.spec for case, _ in rows}
    harmless = sum(cause_of(case) in HARMLESS for case in fails)
    return (
        f"Of {len(rows)} configurations of {len(names)} samplers {verdicts.count('holds')} are "
        f"exactly what they are said to be, {len(fails)} are not, {count(harmless)} of them by "
        f"design or harmlessly, and of {count(verdicts.count('not settled'))} the order does not "
        "settle. Each failure is traced to a formula."
    )


def _shown(case: Case) -> str:
    options = " ".join(f"{name}={value}" for name, value in case.options)
    name = case.spec.partition(":")[2]
    return f"{name} `{options}`" if options else name


def _seen(row: dict[str, Any]) -> str:
    """The first check that does not pass, in a line; of several numbers the first."""
    for name, verdict, expected, seen, _ in row["checks"]:
        if verdict == "fail":
            now, wanted = (told.partition("; ")[0] for told in (seen, expected))
            return f"Not so: {name}. Seen: {now}. Claimed: {wanted}"
    return next((seen for _, _, _, seen, _ in row["checks"]), "")


def _failures(rows: Rows) -> Table:
    cells: list[tuple[Cell, ...]] = []
    for case, row in rows:
        if verdict_of(row) == "fails":
            key = cause_of(case)
            why = f"[{CAUSES[key].title}](#{key})" if key else "not traced"
            cells.append((_shown(case), case.claims, _seen(row), why, f"`{case.command}`"))
    return Table(
        "foreign-failures",
        "**What fails, and why.** What is seen against what the claim means, in the first check "
        "that fails.",
        (
            Column("sampler", "sampler"),
            Column("claim", "said to be"),
            Column("seen", "seen"),
            Column("why", "why"),
            Column("command", "again by"),
        ),
        tuple(cells),
        SOURCE,
    )


def _traces(key: str, title: str, traces: list[dict[str, Any]], command: str) -> Table:
    return Table(
        f"foreign-{key}",
        f"**{title}.**",
        (
            Column("what", "number"),
            Column("right", "right", "", "5g"),
            Column("formula", "by the text", "", "5g"),
            Column("seen", "seen", "", "5g"),
        ),
        tuple((t["what"], t["right"], t["formula"], t["seen"]) for t in traces),
        f"`{command} causes`",
    )


def _table(library: str, rows: Rows) -> Table:
    cells: list[tuple[Cell, ...]] = []
    for case, row in rows:
        order = next((seen for name, _, _, seen, _ in row["checks"] if "order" in name), "")
        found = row["deduced"] if verdict_of(row) == "holds" and row["deduced"] else ""
        measured = found or order or _seen(row)
        cells.append((_shown(case), case.claims, verdict_of(row), measured, case.why))
    versions = sorted({row["version"] for _, row in rows})
    return Table(
        f"foreign-{library}",
        f"**{LIBRARIES[library]} {', '.join(versions)}.** What the code is where it holds, else "
        "what was measured.",
        (
            Column("sampler", "sampler"),
            Column("claim", "said to be"),
            Column("verdict", "verdict"),
            Column("measured", "it is, or measured"),
            Column("why", "remark"),
        ),
        tuple(cells),
        SOURCE,
    )


def _others() -> Table:
    return Table(
        "foreign-others",
        "**Schedulers of diffusers that sample no score.**",
        (Column("name", "scheduler"), Column("why", "why")),
        tuple((name, why) for name, why in OTHERS.items()),
        "gpu_samplers/adapters/names.py",
    )
