"""Page: what a validation finds, on samplers of which it is known what is wrong with them."""

from __future__ import annotations

from typing import Any

from reports.experiments.store import stored
from reports.pages.absent import absent
from reports.pages.settings import Settings
from reports.render.document import Block, Column, Heading, Page, Table, text
from reports.render.spelling import count

SLUG = "validation-proof"
TITLE = "Bugs that a validation finds"
HARMLESS = "harmless"
COLUMNS = (
    Column("bug", "bug"),
    Column("model", "model"),
    Column("claim", "claim"),
    Column("check", "check that fails"),
    Column("message", "message"),
)


def build(_: Settings) -> Page:
    data = stored("defects")
    if data is None:
        return absent("defects", SLUG, TITLE)
    rows = data["rows"]
    bugs = [r for r in rows if r["kind"] != HARMLESS]
    right = [r for r in rows if r["kind"] == HARMLESS]
    kinds = list(dict.fromkeys(r["kind"] for r in bugs))
    command = f"`{data['_command']}`"
    body: list[Block] = [
        text(
            "Each row is a small sampler with one defect, in the protocol of "
            "`splitting-analysis validate`; it is validated as anyone's code would be, by what it "
            "computes alone. The defects are of kinds that released code had. Where a public "
            "report gave the idea it is named; the samplers are written for this page, and each "
            "kind has members in several models. The samplers are in "
            "`reports/experiments/seeded/`."
        )
    ]
    for kind in kinds:
        own = [r for r in bugs if r["kind"] == kind]
        body += [
            Heading(kind.capitalize(), kind.replace(" ", "-").replace(",", "")),
            Table(
                f"defects-{kind.replace(' ', '-').replace(',', '')}",
                f"**{kind.capitalize()}: {count(len(own))} defects.** What the first failing check "
                "of its kind says.",
                COLUMNS,
                tuple((_what(r), r["model"], r["claims"], r["check"], r["message"]) for r in own),
                command,
            ),
        ]
    body += [
        Heading("Right, and not taken for wrong", "right"),
        Table(
            "defects-right",
            "**Right samplers that look wrong.** All checks hold.",
            (
                Column("what", "what could be taken for a defect"),
                Column("model", "model"),
                Column("claim", "claim"),
                Column("verdict", "verdict"),
                Column("note", "note"),
            ),
            tuple(
                (
                    _what(r),
                    r["model"],
                    r["claims"],
                    "every check holds" if r["holds"] else "**does not hold**",
                    "; ".join(r["notes"]),
                )
                for r in right
            ),
            command,
        ),
        text(
            "Beyond these, the tests validate every sampler of the catalogue twice, as its paper "
            "prints it and as the engine runs it, and random words of all models on random grids "
            "and processes: none is accused of anything (`tests/test_false_alarms.py`)."
        ),
    ]
    return Page(SLUG, TITLE, _lead(bugs, right, kinds), tuple(body))


def _what(row: dict[str, Any]) -> str:
    return f"{row['what']} ({row['source']})" if row["source"] else str(row["what"])


def _lead(bugs: list[dict[str, Any]], right: list[dict[str, Any]], kinds: list[str]) -> str:
    found = sum(not r["holds"] and bool(r["message"]) for r in bugs)
    alarms = sum(not r["holds"] for r in right)
    models = count(len({r["model"] for r in bugs}))
    public = len({r["source"] for r in [*bugs, *right] if r["source"]})
    return (
        f"Of {len(bugs)} samplers with a seeded bug, in {count(len(kinds))} kinds and {models} "
        f"models, a validation finds {'all' if found == len(bugs) else found} and says where; of "
        f"{len(right)} right ones that look wrong it accuses "
        f"{count(alarms) if alarms else 'none'}. They follow {public} public reports, and have "
        "siblings in other models."
    )
