"""What `validate` does once its options are read: the subject found, judged, and shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from analytic_models.probing.checks import Validation
from analytic_models.probing.claims import Claims, as_claims, model_for
from analytic_models.probing.subject import load
from analytic_models.probing.validate import PROCESSES as TRIED
from analytic_models.probing.validate import validate
from reports.commands.gaussian_options import conjugated, with_options
from reports.pages import validation as page_of
from reports.render import html
from splitting_analysis.expressions import parse_settings
from splitting_analysis.lookup import as_scheme, check_family, read_lambda_s
from splitting_analysis.processes import PROCESSES, Process
from splitting_analysis.schemes import Scheme


@dataclass(frozen=True)
class Settings:
    """What the claimed word and its process are told beside their names, as typed."""

    lambda_s: str | None = None
    clock: str | None = None
    eta: str | None = None
    param: str = ""


def judged(
    sampler: str,
    claims: str | None,
    model: str | None,
    dynamics: str | None,
    settings: Settings,
    options: Sequence[str],
    say: Callable[[str], None],
) -> Validation:
    """The verdict on what was named. Raises ValueError for what there is not."""
    model, dynamics = check_family(model, dynamics)
    scale = (
        None if settings.lambda_s is None else float(read_lambda_s(settings.lambda_s, "--lambda-s"))
    )
    subject = _subject(sampler, options, model, dynamics, say)
    if claims is None:
        if not isinstance(subject, Scheme):
            raise ValueError(
                "say what it is said to be: --claims ROBAB, --claims 'O S B A', --claims order=2"
            )
        claims = str(subject.word) if subject.name == str(subject.word) else subject.name
        model, dynamics = subject.model_name, subject.dynamics
        said, process = _told(claims, model, dynamics, settings)
        if isinstance(said, Claims) and said.scheme is not None:
            subject = said.scheme  # it is itself, with its settings
    else:
        said, process = _told(claims, model, dynamics, settings)
    return validate(
        subject, said, model, dynamics=dynamics, lambda_s=scale, process=process, say=say
    )


def _told(
    claims: str, model: str | None, dynamics: str | None, settings: Settings
) -> tuple[Any, Process | None]:
    """The claims with their settings, and the process, None where nothing is said of it."""
    if (settings.clock, settings.eta, settings.param) == (None, None, ""):
        return claims, None
    home = model or model_for(claims)
    read = as_claims(claims, home, dynamics)
    param = settings.param
    if read.scheme is not None:
        (scheme,) = with_options([read.scheme], settings.clock, settings.eta)
        (scheme,), param = conjugated([scheme], param)
        read = replace(read, scheme=scheme)
    elif settings.clock or settings.eta:
        raise ValueError(f"--clock and --eta are for a claimed word; {claims!r} claims none")
    process = None
    if param.strip():
        names = [field.name for field in fields(PROCESSES[home])]
        given: dict[str, Any] = dict(parse_settings(param, names))
        process = replace(TRIED[home], **given)
    return read, process


def _subject(
    sampler: str,
    options: Sequence[str],
    model: str | None,
    dynamics: str | None,
    say: Callable[[str], None],
) -> Any:
    path, colon, attribute = sampler.rpartition(":")
    if colon and path.endswith(".py"):
        _refuse(options, sampler)
        return load(path, attribute)
    if sampler.endswith(".py"):
        raise ValueError(f"{sampler}: which function? give {sampler}:my_step")
    if _is_foreign(sampler):
        from gpu_samplers.adapters import subject

        say(f"loading {sampler.partition(':')[0]}")
        return subject(sampler, _pairs(options))
    _refuse(options, sampler)
    return as_scheme(sampler, model, dynamics)


def _is_foreign(sampler: str) -> bool:
    library, colon, name = sampler.partition(":")
    return bool(colon) and library.replace("-", "_").isidentifier() and name.isidentifier()


def _refuse(options: Sequence[str], sampler: str) -> None:
    if options:
        raise ValueError(f"--option {options[0]}: for samplers of a library, not for {sampler}")


def _pairs(options: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ValueError(f"--option {option}: an option is name=value, e.g. solver_order=2")
        pairs[name.strip()] = value.strip()
    return pairs


def page(found: Validation, sampler: str) -> str:
    """The verdict as one self-contained HTML file."""
    return html.render(page_of.build(found, sampler), [("validation", "Validation")])
