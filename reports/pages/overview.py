"""Page: what the report finds, one sentence per page, and its two most telling figures."""

from __future__ import annotations

from collections.abc import Sequence

from reports.document import Block, Heading, Page, text
from splitting_analysis.catalogue import CATALOGUE

SHOWN = (
    "exact-nfe-ode",
    "exact-nfe-sde",
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


def build(pages: Sequence[Page]) -> Page:
    body: list[Block] = [
        text(
            "A sampler is one line of text, a *word*: `O S B A` is an Ornstein–Uhlenbeck step, a score "
            "evaluation, a kick of the momentum and a drift of the position. Everything in this report "
            "follows from the words: their errors in closed form, their exact errors on Gaussian targets, "
            "their stability and their cost."
        ),
        Heading("Findings", "findings"),
    ]
    body += [text(f"**[{page.title}]({page.slug}.html).** {page.lead}") for page in pages]
    for page in pages:
        shown = [block for block in page.blocks if getattr(block, "key", None) in SHOWN]
        if shown:
            body += [Heading(TITLES.get(page.slug, page.title), f"on-{page.slug}"), *shown]
    lead = (
        f"{len(CATALOGUE)} samplers of diffusion models and of molecular dynamics: closed-form errors, "
        "exact distances without Monte Carlo, and both compared with samplers that run on a network."
    )
    return Page("index", "Splitting samplers, analysed exactly", lead, tuple(body))
