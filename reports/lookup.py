"""From what a user typed to a scheme: the name of one in the catalogue, or a word; what it can take."""

from __future__ import annotations

from difflib import get_close_matches

from splitting_analysis.catalogue import CATALOGUE
from splitting_analysis.models import MODEL_NAMES, model_of
from splitting_analysis.notation import WordError, meant_word, parse
from splitting_analysis.scheme import Scheme, accepts, scheme


def check_family(model: str | None, dynamics: str | None) -> tuple[str | None, str | None]:
    """The model and dynamics as they are spelled here; upper and lower case are the same.

    Raises ValueError for a model or dynamics that there is not; None is any.
    """
    given = model, dynamics
    model, dynamics = (None if name is None else name.strip().lower() for name in given)
    if model not in (None, *MODEL_NAMES):
        raise ValueError(f"no model {given[0]!a}; there are: {', '.join(MODEL_NAMES)}")
    if dynamics not in (None, "ode", "sde"):
        raise ValueError(f"no dynamics {given[1]!a}; there are: ode, sde")
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
    named = _named(text)
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
        if text.isascii() and text.strip().isalnum():
            raise ValueError(_unknown_name(text.strip(), model)) from None
        raise
    try:
        return scheme(word, model or "psld", dynamics)
    except WordError as error:
        spelled = _named("".join(text.split()))
        if not spelled:
            raise
        names = " or ".join(f"{s.name} = {s.word} ({s.model_name} {s.dynamics})" for s in spelled)
        raise ValueError(f"{error}\n  a name is written without spaces: {names}") from None


def reading(scheme: Scheme, dynamics: str | None) -> str:
    """How a word was read that is one of the ODE's and of the SDE's; "" where nothing was open.

    `scheme` is what `resolve` made of a text with this `dynamics`. The sentence says which of the
    two is meant and how to ask for the other: print it where the result does not show it.
    """
    if dynamics is not None or scheme in CATALOGUE:
        return ""
    other = "sde" if scheme.dynamics == "ode" else "ode"
    if not accepts(scheme.word, model_of(scheme.model_name, other)):
        return ""
    why = {"ode": "an ODE, as none of its letters is noise", "sde": "an SDE, as one of its letters is noise"}
    return f"'{scheme.word}' is read as {why[scheme.dynamics]}; for the {other.upper()}: --dynamics {other}"


def _named(text: str) -> list[Scheme]:
    return [entry for entry in CATALOGUE if entry.name.casefold() == text.strip().casefold()]


def _unknown_name(name: str, model: str | None) -> str:
    """What to say to a name that there is not: the nearest ones, wherever they are."""
    homes: dict[str, list[str]] = {}
    for entry in CATALOGUE:
        homes.setdefault(entry.name, []).append(entry.model_name)
    inside = {key.casefold(): key for key, models in homes.items() if model in (None, *models)}
    outside = {key.casefold(): key for key in homes if key not in inside.values()}
    near = [inside[key] for key in get_close_matches(name.casefold(), inside, 3)]
    near += [
        f"{outside[key]} (of {' and '.join(dict.fromkeys(homes[outside[key]]))})"
        for key in get_close_matches(name.casefold(), outside, 2, 0.7)
    ]
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    word = meant_word(name)
    return (
        f"no scheme is named {name[:60]!a}{f' in model {model}' if model else ''}{hint}\n"
        f"  names: {', '.join(inside.values())}"
    ) + (f"\n  or, as a word: {word!r}" if word else "")
