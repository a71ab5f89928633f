"""What a page shows where its stored results are not in this copy."""

from __future__ import annotations

from reports.experiments.store import KEPT, path_of
from reports.render.document import Page, text


def told(name: str) -> str:
    """That the results `name`, a key of the store, are absent, and which command makes them."""
    missing, command = path_of(name).name, KEPT[name].command
    return f"**Not in this copy**: `{missing}` is absent; `{command}` makes it."


def absent(name: str, slug: str, title: str) -> Page:
    """The page without the results `name`, a key of the store."""
    lead = "The stored results of this page are missing from this copy."
    return Page(slug, title, lead, (text(told(name)),))
