"""From what a user typed to a scheme (the name of one, or a word), and to its lambda_s."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

from splitting_analysis.catalogue import find, named, samplers
from splitting_analysis.checking import accepts
from splitting_analysis.churn import over
from splitting_analysis.clocks import CLOCKS
from splitting_analysis.models import MODEL_NAMES, model_of
from splitting_analysis.notation import Word, WordError, parse, read_number
from splitting_analysis.retuned import with_conjugation, with_noise_level
from splitting_analysis.schemes import Scheme, scheme
from splitting_analysis.settings import where_it_acts

LARGEST_LAMBDA = 10**6
"""Of lambda_s, and the smallest but 0 is its inverse: beyond, formulas are pages of digits."""


def check_family(model: str | None, dynamics: str | None) -> tuple[str | None, str | None]:
    """The model and dynamics as they are spelled here; upper and lower case are the same.

    Raises ValueError for a model or dynamics that there is not; None is any.
    """
    given = model, dynamics
    model, dynamics = (None if name is None else str(name).strip().lower() for name in given)
    if model not in (None, *MODEL_NAMES):
        raise ValueError(f"no model {given[0]!a}; there are: {', '.join(MODEL_NAMES)}")
    if dynamics not in (None, "ode", "sde"):
        raise ValueError(f"no dynamics {given[1]!a}; there are: ode, sde")
    return model, dynamics


def spelled(given: str, known: Iterable[str]) -> str:
    """The name among `known` that was given, whatever its case; what is unknown as it is."""
    own = str(given).strip().casefold()
    return next((name for name in known if name.casefold() == own), given)


def as_scheme(
    text: str | Word | Scheme, model: str | None = None, dynamics: str | None = None
) -> Scheme:
    """The scheme of that name (in upper or lower case), or of that word ("S B A"); a scheme itself,
    if it is one of that model and dynamics.

    Without `model`, a name is looked up in PSLD first and then in the other models, and a word
    is a PSLD word; `dynamics` is "ode", "sde" or whatever the name or word says. Raises
    WordError for a word that the model refuses, ValueError for an unknown name, model or
    dynamics, each saying what would be right.
    """
    model, dynamics = check_family(model, dynamics)
    if isinstance(text, Scheme):
        if (model or text.model_name, dynamics or text.dynamics) != text.family:
            raise ValueError(
                f"{text.name} is a scheme of {' '.join(text.family)}, not of "
                f"{' '.join(filter(None, (model, dynamics)))}: leave that out, or give its word"
            )
        return text
    if isinstance(text, Word):
        return scheme(text, model or "psld", dynamics)
    if not isinstance(text, str):
        message = f"a scheme is a name, a word or a Scheme, not {str(text)[:40]!a}"
        raise ValueError(message)  # noqa: TRY004 - bad input is a ValueError here
    if named(text):
        return find(text, model, dynamics)
    try:
        word = parse(text)
    except WordError:
        if text.isascii() and text.strip().isalnum():
            find(text, model)  # says what names there are
        raise
    try:
        return scheme(word, model or "psld", dynamics)
    except WordError as error:
        spelled = named("".join(text.split()))
        if not spelled:
            raise
        names = " or ".join(f"{s.name} = {s.word} ({s.model_name} {s.dynamics})" for s in spelled)
        raise ValueError(f"{error}\n  a name is written without spaces: {names}") from None


OWN_PARAMETERS = {"lambda": "lambda=0.5", "factor": "factor=upper", "skip": "skip=1"}
"""Parameters of a scheme rather than of its process, each as it is told."""


def conjugated(
    schemes: list[Scheme], parameters: str, *, several: bool = False
) -> tuple[list[Scheme], str]:
    """The schemes with what `parameters` says of conjugate steps, each where it acts, and the rest,
    which is the process's.

    With `several`, lambda=0,0.5 and factor=lower,upper make more schemes: one for each value in
    those in which it acts. Raises ValueError for values that they cannot take, and for what acts in
    none of them.
    """
    own: dict[str, list[str]] = {}
    rest = []
    last = ""
    for item in parameters.split(","):
        key, equals, value = (part.strip() for part in item.partition("="))
        if last and key and not equals:
            own[last].append(key)
            continue
        last = key if key in ("lambda", "factor") else ""
        if key not in OWN_PARAMETERS:
            rest.append(item)
        elif key in own:
            raise ValueError(f"--param: {key} is given twice")
        elif not value:
            raise ValueError(f"--param {key}=: what is it to be? e.g. {OWN_PARAMETERS[key]}")
        else:
            own[key] = [value]
    if not own:
        return schemes, parameters
    for key, values in own.items():
        if len(values) > 1 and not several:
            raise ValueError(
                f"--param {key}={','.join(values)}: one {key} here; several are for gaussian and "
                "stability, a row for each"
            )
    (skip,) = own.get("skip", [None])
    pairs = product(own.get("lambda", [None]), own.get("factor", [None]))
    try:
        made = [told(schemes, value, factor, skip=skip) for value, factor in pairs]
    except ValueError as error:
        marked = "--param " if str(error).startswith(("lambda: ", "skip: ")) else ""
        raise ValueError(f"{marked}{error}") from None
    return spread(made), ",".join(rest)


def spread(made: list[list[Scheme]]) -> list[Scheme]:
    """Of the same schemes told different things: each with all that it was told, in turn."""
    return [own for each in zip(*made, strict=True) for own in dict.fromkeys(each)]


def told(
    schemes: list[Scheme],
    value: str | float | Fraction | None = None,
    factor: str | None = None,
    eta: str | float | Fraction | None = None,
    clock: str | None = None,
    skip: str | float | Fraction | None = None,
    lower_final: bool = False,
    churn: Mapping[str, Any] | None = None,
    dynamics: str | None = None,
) -> list[Scheme]:
    """The schemes with that lambda and factor of their conjugate steps (or of data held on PSLD),
    that noise level, that clock, the C_skip of Gaussian data of variance `skip`, a lower order in
    the last steps and those numbers of noise before a step; None leaves each its own.

    A number is taken for what it prints as. A setting is taken by those of the schemes in which it
    acts. Raises ValueError for what cannot be, for what acts in none of them, and for a level that
    the `dynamics` asked for do not have.
    """
    check_level(eta, dynamics)
    schemes = clocked(lowered(schemes) if lower_final else schemes, clock)
    if churn:
        schemes = churned(schemes, churn)
    if eta is not None:
        level = _read("eta", eta)
        schemes = where_it_acts(schemes, lambda one: with_noise_level(one, level))
    if skip is not None:
        variance = _read("skip", skip)
        schemes = where_it_acts(schemes, lambda one: replace(one, skip=variance))
    if value is not None:
        number = _read("lambda", value)
        schemes = where_it_acts(schemes, lambda one: with_conjugation(one, number))
    if factor is not None:
        if not isinstance(factor, str):
            raise ValueError(f"factor = {factor!r}: a name such as 'upper'")
        schemes = where_it_acts(schemes, lambda one: with_conjugation(one, None, factor))
    return schemes


def check_level(eta: object, dynamics: str | None) -> None:
    """Raise ValueError for a noise level beside dynamics that have another.

    What else a level must be is checked where it is told.
    """
    if eta is None or dynamics is None:
        return
    name = dynamics.strip().lower()
    if name in ("ode", "sde") and (name == "ode") != (_read("eta", str(eta)) == 0):
        raise ValueError(
            f"eta = {eta} with the {name.upper()}: eta = 0 is the ODE, and a level above it an "
            "SDE; give one of the two, eta alone for noise of that level"
        )


def lowered(schemes: list[Scheme]) -> list[Scheme]:
    """The schemes with a lower order in the last steps, where they hold earlier steps' evaluations.

    Raises ValueError where none of them does.
    """
    acts = [s.program.history > s.carries_score for s in schemes]
    if not any(acts):
        replace(schemes[0], lower_final=True)  # says what it is for
    pairs = zip(schemes, acts, strict=True)
    return [replace(s, lower_final=True) if act else s for s, act in pairs]


def churned(schemes: list[Scheme], numbers: Mapping[str, Any]) -> list[Scheme]:
    """The schemes with those numbers of noise before a step, S_churn, ..., each over its own.

    They are for those that have such noise of their own, beside which others stay as they are: Heun
    is the baseline of EDM. Where none has, all take them that can. Raises ValueError for what
    cannot be, and where it acts in none of the schemes.
    """
    some = any(one.churn for one in schemes)

    def change(one: Scheme) -> Scheme:
        if some and one.churn is None:
            return one
        churn = over(one.churn, numbers)
        consistent = one.churn is None or churn == one.churn
        return replace(one, churn=churn, order=one.order if consistent else None)

    return where_it_acts(schemes, change)


def clocked(schemes: list[Scheme], clock: str | None, option: str = "clock = ") -> list[Scheme]:
    """The schemes in that clock, where it acts in them; None leaves each its own.

    Raises ValueError for a clock that there is not, and where it acts in none of them; `option` is
    how it was given.
    """
    if clock is None:
        return schemes
    own = str(clock).strip().lower()
    chosen = next((known for known in CLOCKS if known == own), None)
    if chosen is None:
        raise ValueError(f"{option}{str(clock)[:40]}: there are {', '.join(CLOCKS)}")
    if not any(s.uses_clock for s in schemes):
        names = " or ".join(dict.fromkeys(s.name for s in schemes))
        raise ValueError(
            f"{option}{own}: it acts where a prediction is held as a polynomial, or in the middle "
            "of a step, e.g. S E:data[2] or S E:eps/2 S@1/2 E:eps[1], and in splittings of "
            f"positions alone, L/2 S K L/2 of vp; {names} does neither"
        )
    return [
        replace(s, clock=chosen, order=s.order if s.clock == chosen else None)
        if s.uses_clock
        else s
        for s in schemes
    ]


def _read(what: str, given: str | float | Fraction) -> Fraction:
    try:
        return read_number(str(given))
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None


def reading(scheme: Scheme, dynamics: str | None, option: str = "--dynamics ") -> str:
    """How a word was read that is one of the ODE's and of the SDE's; "" where nothing was open.

    `scheme` is what `as_scheme` made of a text with this `dynamics`. The sentence says which of the
    two is meant and how to ask for the other, by `option`: print it where the result does not show
    it.
    """
    if dynamics is not None or scheme in samplers():
        return ""
    other = "sde" if scheme.dynamics == "ode" else "ode"
    if not accepts(scheme.word, model_of(scheme.model_name, other)):
        return ""
    why = {
        "ode": "an ODE, as none of its letters is noise",
        "sde": "an SDE, as one of its letters is noise",
    }
    return (
        f"'{scheme.word}' is read as {why[scheme.dynamics]}; for the {other.upper()}: "
        f"{option}{other}"
    )


def check_lambda_s(option: str, *schemes: Scheme) -> None:
    """Raise ValueError for lambda_s, given by `option`, where it acts in none of the schemes."""
    if not any(scheme.has_tunable_noise for scheme in schemes):
        names = " or ".join(dict.fromkeys(scheme.name for scheme in schemes))
        raise ValueError(f"{option}: {names} has no letter O whose position noise it could scale")


def read_lambda_s(given: str | float | Fraction, option: str = "lambda_s") -> Fraction:
    """lambda_s from a text ("5/4", "1.25") or a number, which is taken for what it prints as.

    Raises ValueError naming `option` for anything else, and outside 0 and 1/LARGEST_LAMBDA to
    LARGEST_LAMBDA.
    """
    sizes = f"lambda_s scales a variance: 0, or from {1 / LARGEST_LAMBDA:g} to {LARGEST_LAMBDA:.0e}"
    text = given if isinstance(given, str) else str(given)
    try:
        value = read_number(text)
    except ValueError as error:
        raise ValueError(f"{option} {error}; {sizes}") from None
    if value < 0:
        raise ValueError(f"{option} {text.strip()}: lambda_s scales a variance, so it is >= 0")
    if value and not Fraction(1, LARGEST_LAMBDA) <= value <= LARGEST_LAMBDA:
        raise ValueError(f"{option} {text.strip()}: {sizes}")
    return value
