"""What a page shows where its stored results are not in this copy."""

from __future__ import annotations

from reports.crossval.results import path_of
from reports.document import Page, text


def absent(name: str, module: str, slug: str, title: str) -> Page:
    """The page without the results `name`, which reports.crossval.`module` makes."""
    command = f"`python -m reports.crossval.{module}`"
    told = f"**Not in this copy**: `{path_of(name).name}` is absent; {command} makes it."
    return Page(slug, title, "The stored results of this page are missing from this copy.", (text(told),))
