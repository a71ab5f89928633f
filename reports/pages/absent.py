"""What a page shows where its stored results are not in this copy."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping

from reports.experiments.store import KEPT, path_of
from reports.render.document import Page, Paragraph, text


def told(name: str) -> str:
    """That the results `name`, a key of the store, are absent, and which command makes them."""
    missing, command = path_of(name).name, KEPT[name].command
    return f"**Not in this copy**: `{missing}` is absent; `{command}` makes it."


def parts_absent(
    name: str, titles: Mapping[str, str], there: Collection[str]
) -> tuple[Paragraph, ...]:
    """That parts of the results `name` are absent, by their titles, and which command makes
    them.
    """
    return tuple(
        text(
            f"**Not in this copy**: {title}; `{shlex.join([*KEPT[name].command.split(), part])}` "
            "makes it, where the weights are."
        )
        for part, title in titles.items()
        if part not in there
    )


def absent(name: str, slug: str, title: str) -> Page:
    """The page without the results `name`, a key of the store."""
    lead = "The stored results of this page are missing from this copy."
    return Page(slug, title, lead, (text(told(name)),))
