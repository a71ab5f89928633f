"""Page: which sampler for a budget; one picture and three sentences, then what every page finds,
then their most telling figures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reports.pages import choice
from reports.pages.catalogue import ELSEWHERE, WHAT, named
from reports.render.document import Block, Column, Figure, Heading, Page, Table, text
from splitting_analysis.catalogue import CATALOGUE

PICTURE = ("exact", "exact-nfe-sde")
"""Page and key of the figure that opens the overview."""
TOLD = ("exact", "reuse", "quality")
"""Pages whose first sentences stand beside it."""
SHOWN = (
    "exact-nfe-ode",
    "reuse-changes",
    "reuse-budget",
    "lambda-best-uniform",
    "published-heun",
    "network-samples",
    "quality-network-sde",
)
"""Figures and tables of other pages that the overview repeats."""
TITLES = {
    "exact": "Exact error against cost",
    "reuse": "What score reuse does",
    "position-noise": "How much noise in position",
    "published": "An erratum",
    "network": "A network to try samplers on",
    "quality": "Quality of samples",
}


def first_sentence(lead: str) -> str:
    """Up to the first full stop that a capital letter follows."""
    return re.split(r"(?<=\.)\s+(?=[A-Z])", lead, maxsplit=1)[0]


def build(pages: Sequence[Page]) -> Page:
    by_slug = {page.slug: page for page in pages}
    told = [first_sentence(by_slug[slug].lead) for slug in TOLD if slug in by_slug]
    body: list[Block] = [
        *_picture(by_slug),
        text(" ".join(told)),
        *_choice(),
        Heading("What each page finds", "findings"),
        _findings(pages),
        text(
            "A sampler is one line of text, a *word*: `O S B A` is an Ornstein–Uhlenbeck step, a "
            "score evaluation, a kick of the momentum and a drift of the position. Everything in "
            "this report follows from the words: their errors in closed form, their exact errors "
            "on Gaussian targets, their stability and their cost."
        ),
    ]
    for page in pages:
        shown = [block for block in page.blocks if getattr(block, "key", None) in SHOWN]
        if shown:
            body += [Heading(TITLES.get(page.slug, page.title), f"on-{page.slug}"), *shown]
    lead = (
        f"{choice.lead()}The errors in closed form are of {len(CATALOGUE)} of the {named()} "
        f"named samplers: {WHAT}. The others hold a prediction or are conjugate: {ELSEWHERE}."
    )
    return Page("index", "Splitting samplers, analysed exactly", lead, tuple(body))


def _picture(by_slug: dict[str, Page]) -> list[Figure]:
    slug, key = PICTURE
    return [by_slug[slug].find(key)] if slug in by_slug else []


def _choice() -> list[Block]:
    tables = choice.table()
    return [Heading("Which sampler for a budget", "choice"), *tables] if tables else []


def _findings(pages: Sequence[Page]) -> Table:
    return Table(
        "index-findings",
        "**Findings**, the first sentence of every page.",
        (Column("page", "page"), Column("finding", "finding")),
        tuple((f"[{page.title}]({page.slug}.html)", first_sentence(page.lead)) for page in pages),
    )
