"""From what a user typed to a scheme: the name of one in the catalogue, or a word; what it can take."""

from __future__ import annotations

from difflib import get_close_matches

from splitting_analysis.catalogue import CATALOGUE
from splitting_analysis.models import MODEL_NAMES
from splitting_analysis.notation import WordError, parse
from splitting_analysis.scheme import Scheme, scheme


def check_family(model: str | None, dynamics: str | None) -> tuple[str | None, str | None]:
    """Both as the code spells them, from any case; None is any. ValueError for what there is not."""
    model, dynamics = (text and text.strip().casefold() for text in (model, dynamics))
    if model not in (None, *MODEL_NAMES):
        raise ValueError(f"no model {model!r}; there are: {', '.join(MODEL_NAMES)}")
    if dynamics not in (None, "ode", "sde"):
        raise ValueError(f"no dynamics {dynamics!r}; there are: ode, sde")
    return model, dynamics


def check_lambda_s(option: str, *schemes: Scheme) -> None:
    """Raise ValueError for lambda_s, given by `option`, where it acts in none of the schemes."""
    if not any(scheme.has_tunable_noise for scheme in schemes):
        names = " or ".join(dict.fromkeys(scheme.name for scheme in schemes))
        raise ValueError(f"{option}: {names} has no letter O whose position noise it could scale")


def resolve(text: str, model: str | None = None, dynamics: str | None = None) -> Scheme:
    """The scheme of that name (in upper or lower case), or of that word ("S B A").

    Without `model`, a name is looked up in PSLD first and then in the other models, and a word
    is a PSLD word; `dynamics` is "ode", "sde" or whatever the name or word says. Raises
    WordError for a word that the model refuses, ValueError for an unknown name, model or
    dynamics, each saying what would be right.
    """
    model, dynamics = check_family(model, dynamics)
    named = [entry for entry in CATALOGUE if entry.name.casefold() == text.strip().casefold()]
    for entry in named:  # the catalogue lists PSLD first
        if model in (None, entry.model_name) and dynamics in (None, entry.dynamics):
            return entry
    if named:
        asked = " ".join(part for part in (model, dynamics) if part)
        where = " and ".join(f"{s.model_name} ({s.dynamics})" for s in named)
        raise ValueError(f"{named[0].name} is no {asked} scheme; it belongs to {where}")
    try:
        word = parse(text)
    except WordError:
        if text.strip().isalnum():
            raise ValueError(_unknown_name(text.strip(), model)) from None
        raise
    return scheme(word, model or "psld", dynamics)  # type: ignore[arg-type]  # one of two, checked above


def _unknown_name(name: str, model: str | None) -> str:
    known = {s.name.casefold(): s.name for s in CATALOGUE if model in (None, s.model_name)}
    close = get_close_matches(name.casefold(), known, 3)
    hint = f"; did you mean {' or '.join(known[key] for key in close)}?" if close else ""
    return (
        f"no scheme is named {name!a}{f' in model {model}' if model else ''}{hint}\n"
        f"  names: {', '.join(known.values())}\n"
        f"  or a word, its letters spaced: {' '.join(name.upper())[:60]!a}"
    )
