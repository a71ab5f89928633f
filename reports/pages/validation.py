"""A validation as a page: the verdict in a sentence, what was checked, and which word it is."""

from __future__ import annotations

from collections.abc import Sequence

from analytic_models.probing.checks import Check, Validation
from reports.render.document import Block, Column, Heading, Page, Table, text

SIGNS = {"fail": "**fails**", "inconclusive": "open"}


def build(found: Validation, sampler: str, known: Sequence[Block] = ()) -> Page:
    """The page of one validated sampler; `known` are blocks on its word."""
    bad = [check for check in found.checks if check.verdict != "pass"]
    good = [check for check in found.checks if check.verdict == "pass"]
    blocks: list[Block] = [*_failing(bad), *_holding(good)]
    if found.deduced:
        blocks += [Heading("Which word it is", "word"), text(f"It is `{found.deduced}`.")]
    if found.notes:
        blocks += [Heading("Notes", "notes"), *(text(note) for note in found.notes)]
    title = f"Validation of {sampler}"
    return Page("validation", title, _lead(found, sampler), (*blocks, *known))


def _lead(found: Validation, sampler: str) -> str:
    said = "" if found.claims == sampler else f", {found.claims}"
    all_ = len(found.checks)
    if found.holds:
        return f"{sampler} is what it is said to be{said}: all {all_} checks hold."
    failed = len(found.failures)
    open_ = sum(check.verdict == "inconclusive" for check in found.checks)
    counts = [f"{failed} of {all_} checks fail"] if failed else []
    counts += [f"{open_} {'are' if open_ > 1 else 'is'} open"] if open_ else []
    return f"{sampler} is not shown to be {found.claims}: {' and '.join(counts)}."


def _failing(checks: Sequence[Check]) -> list[Block]:
    if not checks:
        return []
    columns = (
        Column("check", "check"),
        Column("verdict", "verdict"),
        Column("expected", "expected"),
        Column("seen", "seen"),
        Column("where", "where"),
    )
    rows = tuple((c.name, SIGNS[c.verdict], c.expected, c.seen, c.where) for c in checks)
    caption = "**What does not hold**, or could not be told."
    return [
        Heading("What does not hold", "fails"),
        Table("fails", caption, columns, rows, "what the code did in place of what it claims"),
    ]


def _holding(checks: Sequence[Check]) -> list[Block]:
    if not checks:
        return []
    rows = tuple((c.name, c.seen or "as it should be") for c in checks)
    source = "basis vectors in place of scores and normals, and targets whose law is known"
    return [
        Heading("What holds", "holds"),
        Table(
            "holds",
            "**What was checked and holds.**",
            (Column("check", "check"), Column("seen", "seen")),
            rows,
            source,
        ),
    ]
