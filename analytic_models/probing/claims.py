"""What a sampler is said to be: `ROBAB`, a word, `order=2`, or several, separated by commas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from splitting_analysis.catalogue import samplers
from splitting_analysis.lookup import as_scheme
from splitting_analysis.schemes import Scheme

FORMS = 'a name, "a word", order=p, evaluations=k, or several with commas: "ROBAB, order=1"'


@dataclass(frozen=True)
class Claims:
    """A scheme, an order of the global error (weak, for an SDE), evaluations per step."""

    text: str
    scheme: Scheme | None = None
    order: int | None = None
    evaluations: int | None = None


def read(text: str, model: str, dynamics: str | None = None) -> Claims:
    """Claims as they are typed. Raises ValueError that says what a claim may be."""
    scheme: Scheme | None = None
    numbers: dict[str, int] = {}
    for part in _parts(text):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not equals:
            if scheme is not None:
                raise ValueError(f"claims {text!r}: two samplers, {scheme.name} and {part}")
            scheme = as_scheme(part, model, dynamics)
            continue
        if name in numbers:
            raise ValueError(f"claims {text!r}: {name} is said twice; once would be right")
        if name not in ("order", "evaluations"):
            raise ValueError(f"claims {text!r}: cannot read {part!r}; there are: {FORMS}")
        if not value.isdigit() or not 1 <= int(value) <= 12:
            raise ValueError(
                f"claims {text!r}: {name} is a whole number from 1 to 12, not {value!r}"
            )
        numbers[name] = int(value)
    if scheme is None and not numbers:
        raise ValueError(f"nothing is claimed; give {FORMS}")
    return Claims(text, scheme, **numbers)


def _parts(text: str) -> list[str]:
    """The claims between commas that are not in brackets: rows and matrices have commas too."""
    parts, depth, current = [], 0, ""
    for letter in text:
        depth += (letter in "[({") - (letter in "])}")
        if letter == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += letter
    return [part for part in [*parts, current.strip()] if part]


def model_for(text: str, default: str = "psld") -> str:
    """The model in which a claimed name exists; psld if it may be that one's."""
    names = {part.partition("=")[0].strip().lower() for part in _parts(text)}
    models = [s.model_name for s in samplers() if s.name.lower() in names]
    return default if not models or default in models else models[0]


def as_claims(claims: Any, model: str, dynamics: str | None = None) -> Claims:
    """Claims, or text, or a scheme, as claims."""
    if isinstance(claims, Claims):
        return claims
    if isinstance(claims, Scheme):
        return Claims(str(claims), claims)
    return read(str(claims), model, dynamics)
