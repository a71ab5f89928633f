"""What `validate` does once its options are read: the subject found, judged, and shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from analytic_models.probing.checks import Validation
from analytic_models.probing.claims import as_claims
from analytic_models.probing.validate import validate
from gpu_samplers.adapters import named
from reports.pages import validation as page_of
from reports.pages.word import Facts, facts
from reports.render import html
from splitting_analysis.lookup import as_scheme, check_family, read_lambda_s
from splitting_analysis.schemes import Scheme


def judged(
    sampler: str,
    claims: str | Scheme | None,
    model: str | None,
    dynamics: str | None,
    lambda_s: str | None,
    options: Sequence[str],
    say: Callable[[str], None],
) -> tuple[Validation, Facts | None]:
    """The verdict on what was named; of a word, what else is known. Raises ValueError for what
    there is not.
    """
    model, dynamics = check_family(model, dynamics)
    scale = None if lambda_s is None else float(read_lambda_s(lambda_s, "--lambda-s"))
    say(f"loading {sampler}")
    subject = named(sampler, options)
    if subject is None:
        subject = as_scheme(sampler, model, dynamics)
    if claims is None:
        if not isinstance(subject, Scheme):
            raise ValueError(
                "say what it is said to be: --claims ROBAB, --claims 'O S B A', --claims order=2"
            )
        claims = subject
    found = validate(subject, claims, model, dynamics=dynamics, lambda_s=scale, say=say)
    if not isinstance(subject, Scheme):
        return found, None
    say("what is known of the word")
    return found, facts(subject, as_claims(claims, subject.model_name, dynamics).scheme)


def page(found: Validation, known: Facts | None, sampler: str) -> str:
    """The verdict, and what is known of a word, as one self-contained HTML file."""
    return html.render(page_of.build(found, sampler, [] if known is None else known.blocks()), [])
