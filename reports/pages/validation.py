"""A validation as a page: the verdict in a sentence, what was checked, and which word it is."""

from __future__ import annotations

from analytic_models.probing.checks import Validation
from reports.render.document import Block, Column, Heading, Page, Table, text

SIGNS = {"pass": "holds", "fail": "**fails**", "inconclusive": "*open*"}


def build(found: Validation, sampler: str) -> Page:
    """The page of one validated sampler."""
    bad = found.failures
    lead = (
        f"{sampler} is what it is said to be, {found.claims}: all {len(found.checks)} checks hold."
        if found.holds
        else f"{sampler} is said to be {found.claims}; "
        f"{len(bad)} of {len(found.checks)} checks fail"
        + (f", first: {bad[0].name}." if bad else ", some are open.")
    )
    rows = tuple(
        (check.name, SIGNS[check.verdict], check.expected, check.seen, check.where)
        for check in found.checks
    )
    blocks: list[Block] = [
        Heading("Checks", "checks"),
        Table(
            "checks",
            f"**What was checked.** Model {found.model}, claims {found.claims}.",
            (
                Column("check", "check"),
                Column("verdict", "verdict"),
                Column("expected", "expected"),
                Column("seen", "seen"),
                Column("where", "where"),
            ),
            rows,
            "probing with basis vectors in place of scores and normals, and exact targets",
        ),
    ]
    if found.deduced:
        blocks += [Heading("Which word it is", "word"), text(f"It is `{found.deduced}`.")]
    if found.notes:
        blocks += [Heading("Notes", "notes"), *(text(note) for note in found.notes)]
    return Page("validation", f"Validation of {sampler}", lead, tuple(blocks))
