"""What `validate` does once its options are read: the subject found, judged, and shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from analytic_models.probing.checks import Validation
from analytic_models.probing.subject import load
from analytic_models.probing.validate import validate
from reports.pages import validation as page_of
from reports.render import html
from splitting_analysis.lookup import as_scheme, check_family, read_lambda_s


def judged(
    sampler: str,
    claims: str | None,
    model: str | None,
    dynamics: str | None,
    lambda_s: str | None,
    options: Sequence[str],
    say: Callable[[str], None],
) -> Validation:
    """The verdict on what was named. Raises ValueError for what there is not."""
    model, dynamics = check_family(model, dynamics)
    scale = None if lambda_s is None else float(read_lambda_s(lambda_s, "--lambda-s"))
    subject = _subject(sampler, options, model, dynamics, say)
    if claims is None:
        if ".py:" in sampler or _is_foreign(sampler):
            raise ValueError(
                "say what it is said to be: --claims ROBAB, --claims 'O S B A', --claims order=2"
            )
        claims = subject
    return validate(subject, claims, model, dynamics=dynamics, lambda_s=scale, say=say)


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
