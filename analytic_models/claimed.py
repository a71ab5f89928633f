"""Claims with what a claimed word is told beside its letters, and the process they are tried on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from analytic_models.probing.checks import Validation
from analytic_models.probing.claims import Claims, as_claims, model_for
from analytic_models.probing.subject import Subject
from analytic_models.probing.validate import BROKEN
from analytic_models.probing.validate import PROCESSES as TRIED
from splitting_analysis.processes import PROCESSES, Process
from splitting_analysis.schemes import Scheme

Tell = Callable[[list[Scheme]], list[Scheme]]


def own_model(sampler: Any, model: str | None, told: Process | None = None) -> str | None:
    """The model in which a sampler is tried: that of the process it brings, else the one said.

    Raises ValueError where it brings a process and another is said, by model or parameters.
    """
    process = sampler.process if isinstance(sampler, Subject) else None
    if process is None:
        return model
    own = process.model_name
    if model is not None and model.strip().lower() != own:
        raise ValueError(
            f"{sampler.name} brings its own process, of model {own}: model {model} does not fit"
        )
    if told is not None:
        raise ValueError(
            f"{sampler.name} brings its own process: parameters of another cannot be said"
        )
    return own


def noted(found: Validation, model: str | None) -> Validation:
    """The verdict; on code that broke down in a model that nobody said, with a note that says so.

    `model` is the one that was said, or the process's own.
    """
    broken = any(check.name == BROKEN for check in found.failures)
    if not broken or model is not None or model_for(found.claims, ""):
        return found
    note = f"the claim names no model, so it was tried on {found.model}: say another by --model"
    return replace(found, notes=(*found.notes, note))


def told_claims(
    claims: str | Scheme | Claims,
    model: str | None,
    dynamics: str | None,
    tell: Tell | None,
    parameters: Mapping[str, Any],
) -> tuple[Claims, Process | None]:
    """The claims, their word told by `tell`, and the process with these parameters, None without
    any.

    Raises ValueError where there is no word to tell, and for a parameter that there is not.
    """
    if model is None:
        model = claims.model_name if isinstance(claims, Scheme) else model_for(str(claims))
    model = model.strip().lower()
    read = as_claims(claims, model, dynamics)
    if tell is not None:
        if read.scheme is None:
            raise ValueError(
                f"settings of a sampler are for a claimed word; {read.text!r} has none"
            )
        read = replace(read, scheme=tell([read.scheme])[0])
    if not parameters:
        return read, None
    known = [field.name for field in fields(PROCESSES[model])]
    for name in parameters:
        if name not in known:
            raise ValueError(
                f"model {model} has no parameter {name!r}; there are: {', '.join(known)}"
            )
    return read, replace(TRIED[model], **parameters)
