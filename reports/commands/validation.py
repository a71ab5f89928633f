"""What `validate` does once its options are read: the subject found, judged, and shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from analytic_models.claimed import noted, own_model
from analytic_models.probing.checks import Validation
from analytic_models.probing.claims import Claims, as_claims, model_for
from analytic_models.probing.validate import PROCESSES as TRIED
from analytic_models.probing.validate import validate
from gpu_samplers.adapters import named
from reports.commands.options import with_options
from reports.pages import validation as page_of
from reports.pages.word import Facts, facts
from reports.render import html
from splitting_analysis.expressions import parse_settings
from splitting_analysis.lookup import (
    as_scheme,
    check_family,
    check_lambda_s,
    conjugated,
    read_lambda_s,
)
from splitting_analysis.processes import PROCESSES, Process
from splitting_analysis.schemes import Scheme
from splitting_analysis.settings import keys


@dataclass(frozen=True)
class Settings:
    """What the claimed word and its process are told beside their names, as typed."""

    lambda_s: str | None = None
    clock: str | None = None
    eta: str | None = None
    param: str = ""


def judged(
    sampler: str,
    claims: str | Scheme | None,
    model: str | None,
    dynamics: str | None,
    settings: Settings,
    options: Sequence[str],
    say: Callable[[str], None],
) -> tuple[Validation, Facts | None]:
    """The verdict on what was named; of a word, what else is known. Raises ValueError for what
    there is not.
    """
    model, dynamics = check_family(model, dynamics)
    scale = (
        None if settings.lambda_s is None else float(read_lambda_s(settings.lambda_s, "--lambda-s"))
    )
    say(f"loading {sampler}")
    subject: Any = named(sampler, options)
    if subject is None:
        subject = as_scheme(sampler, model, dynamics)
    if claims is None and not isinstance(subject, Scheme):
        raise ValueError(
            "say what it is said to be: --claims ROBAB, --claims 'O S B A', --claims order=2"
        )
    model = own_model(subject, model)
    said, process, given = _told(subject if claims is None else claims, model, dynamics, settings)
    own_model(subject, model, process)
    if claims is None and isinstance(said, Claims) and said.scheme is not None:
        subject = said.scheme  # it is itself, with its settings
    if scale is not None:
        tried = model or (subject.model_name if isinstance(subject, Scheme) else None)
        claimed = as_claims(said, tried or model_for(str(said)), dynamics).scheme
        schemes = [each for each in (claimed, subject) if isinstance(each, Scheme)]
        if schemes:
            check_lambda_s("--lambda-s", *schemes)
    found = validate(
        subject, said, model, dynamics=dynamics, lambda_s=scale, process=process, say=say
    )
    if not isinstance(subject, Scheme):
        return noted(found, model), None
    say("what is known of the word")
    claimed = as_claims(said, subject.model_name, dynamics).scheme
    return found, facts(subject, claimed, given)


def _told(
    claims: Any, model: str | None, dynamics: str | None, settings: Settings
) -> tuple[Any, Process | None, dict[str, Any]]:
    """The claims with their settings, the process, None where nothing is said of it, and what is
    said of it.
    """
    if (settings.clock, settings.eta, settings.param) == (None, None, ""):
        return claims, None, {}
    if model is None:
        model = claims.model_name if isinstance(claims, Scheme) else model_for(claims)
    read, param = as_claims(claims, model, dynamics), settings.param
    if read.scheme is not None:
        (scheme,) = with_options([read.scheme], settings.clock, settings.eta, dynamics=dynamics)
        (scheme,), param = conjugated([scheme], param)
        read = replace(read, scheme=scheme)
    elif settings.clock or settings.eta:
        raise ValueError(f"--clock and --eta are for a claimed word; {claims!r} claims none")
    process, given = None, dict[str, Any]()
    if param.strip():
        names = [field.name for field in fields(PROCESSES[model])]
        given = dict(parse_settings(param, names, keys(model)))
        process = replace(TRIED[model], **given)
    return read, process, given


def page(found: Validation, known: Facts | None, sampler: str) -> str:
    """The verdict, and what is known of a word, as one self-contained HTML file."""
    return html.render(page_of.build(found, sampler, [] if known is None else known.blocks()), [])
