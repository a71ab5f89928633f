"""Page: what the papers leave open, and what the other pages now say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.pages.overview import first_sentence
from reports.render.document import Block, Column, Heading, Page, Paragraph, Table, text
from reports.render.spelling import count


@dataclass(frozen=True)
class Question:
    """What is open, in our words, and the slugs of the pages that say something of it."""

    title: str
    asked: str
    evidence: tuple[str, ...]


QUESTIONS = (
    Question(
        "How much position noise?",
        "The reduced splittings owe a good part of their quality to λ_{s}, which their paper "
        "finds by a search over Fréchet distances, budget by budget (arXiv 2402.07211). Is there "
        "a rule, and is λ_{s} more than a correction at large steps?",
        ("position-noise", "exact"),
    ),
    Question(
        "Splitting without a momentum?",
        "Both papers split augmented dynamics, and leave open whether splitting pays for models "
        "of position alone, beside exponential and multistep samplers (arXiv 2310.07894, "
        "2402.07211).",
        ("vp-splitting", "position-only"),
    ),
    Question(
        "Why, and when, does reusing the score help?",
        "That a reduced splitting beats its naive form is shown by samples of one network. What "
        "does reuse change in the error, and on what does it rest?",
        ("reuse", "crossval-reuse", "quality"),
    ),
    Question(
        "Which change of variables, and is there more than splitting?",
        "The conjugate integrators have a free matrix B_{τ}, searched for as λ_{s} is; and all "
        "samplers of the papers hold the score or ε (arXiv 2310.07894). Can λ be told without a "
        "search, and does another choice of what is held do better?",
        ("conjugate", "data-held", "family"),
    ),
)
MEASURE = ("ranking",)
"""What stands behind all four: whether exact numbers say what samples would."""


def build(pages: Sequence[Page]) -> Page:
    by_slug = {page.slug: page for page in pages}
    body: list[Block] = [_table(by_slug)]
    for question in QUESTIONS:
        anchor = question.evidence[0]
        body += [
            Heading(question.title, f"on-{anchor}"),
            text(f"*Open.* {question.asked}"),
            *_known(by_slug, question.evidence),
        ]
    body += [
        Heading("May exact numbers answer for samples?", "on-measure"),
        text(
            "The papers judge by Fréchet distances of samples; most answers above are exact "
            "numbers on Gaussians. How far these order samplers as samples of a network do is "
            "measured."
        ),
        *_known(by_slug, MEASURE),
    ]
    used = {slug for question in QUESTIONS for slug in question.evidence}
    return Page(
        "questions",
        "The papers’ open questions",
        f"{count(len(QUESTIONS)).capitalize()} questions that the papers on splitting and "
        "conjugate integrators leave open, in our words, each with what is now known of it, by "
        f"the findings of {len(used)} pages.",
        tuple(body),
    )


def _table(by_slug: dict[str, Page]) -> Table:
    rows = [
        (question.title, ", ".join(_links(by_slug, question.evidence))) for question in QUESTIONS
    ]
    return Table(
        "questions-evidence",
        "**Where the evidence is.**",
        (Column("question", "question"), Column("pages", "pages")),
        tuple(rows),
    )


def _links(by_slug: dict[str, Page], slugs: Sequence[str]) -> list[str]:
    return [f"[{by_slug[slug].title}]({slug}.html)" for slug in slugs if slug in by_slug]


def _known(by_slug: dict[str, Page], slugs: Sequence[str]) -> list[Paragraph]:
    """What each page finds, with the way there."""
    return [
        text(f"*Known* ([{page.title}]({page.slug}.html)): {first_sentence(page.lead)}")
        for page in (by_slug[slug] for slug in slugs if slug in by_slug)
    ]
