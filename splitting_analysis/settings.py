"""What a sampler was told beside its name, as a table's column "settings" says it; and what several
of them are told at once, each where it acts. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache

from splitting_analysis.catalogue import samplers
from splitting_analysis.checking import accepts
from splitting_analysis.churn import NAMES, Churn
from splitting_analysis.clocks import CLOCKS, Clock
from splitting_analysis.models import Model, model_of
from splitting_analysis.notation import Word, parse
from splitting_analysis.schemes import Scheme, scheme
from splitting_analysis.told import DoesNotAct

SIGNS: dict[Clock, str] = dict(zip(CLOCKS, "τλσρ", strict=True))
"""The options' names of the clocks, in a letter."""


def where_it_acts(schemes: Sequence[Scheme], change: Callable[[Scheme], Scheme]) -> list[Scheme]:
    """The schemes changed; those in which it does not act stay as they are.

    Raises what `change` does: `DoesNotAct` only where it acts in none of them.
    """
    found, refusals = [], []
    for one in schemes:
        try:
            found.append(change(one))
        except DoesNotAct as refusal:
            refusals.append(refusal)
            found.append(one)
    if refusals and len(refusals) == len(schemes):
        raise refusals[0]
    return found


def keys(model: str) -> tuple[str, ...]:
    """What --param takes for samplers of a model, beside the parameters of its process."""
    ode = model_of(model, "ode")
    found = []
    for key, word in (("lambda", "S E:eye"), ("factor", "S E:data"), ("skip", "S E:eye")):
        if accepts(parse(word), ode) and (key != "factor" or scheme(word, ode).factors):
            found.append(key)
    return (*found, *(NAMES if ode.churns else ()))


def usual(own: Scheme) -> Scheme:
    """The scheme that its name stands for, or else its word alone."""
    for known in samplers(own.model_name):
        if (known.name, known.word) == (own.name, own.word):
            return known
    return _of_word(own.word, own.model)


@cache
def _of_word(word: Word, model: Model) -> Scheme:
    try:
        return scheme(word, model.name)
    except ValueError:  # a word of these dynamics alone, or a model of one's own
        return scheme(word, model)


def changed(own: Scheme) -> dict[str, str]:
    """What it was told that its name, or word, does not say, by kind."""
    default = _churn(Churn(Fraction(0))) | _settings(usual(own))
    return {key: text for key, text in _settings(own).items() if text != default.get(key)}


def shown(schemes: Sequence[Scheme]) -> list[str]:
    """A cell for each row of a table; all are empty where names and words say everything.

    A setting is shown, of all rows in which it acts, where one of them has another than its name
    says; lambda of conjugate steps always, and clocks where the rows have several.
    """
    rows = [_settings(one) for one in schemes]
    asked = {"lambda"}
    for one in schemes:
        asked |= changed(one).keys()
    if len({row["clock"] for row in rows if "clock" in row}) > 1:
        asked.add("clock")
    return [" ".join(text for key, text in row.items() if key in asked) for row in rows]


def _settings(one: Scheme) -> dict[str, str]:
    """All that acts in it, spelled."""
    found = {}
    if one.bends:
        found["lambda"] = f"λ={_number(one.conjugate)}"
    if one.factors:
        found["factor"] = f"factor={one.factor}"
    if one.skip is not None:
        found["skip"] = f"skip={_number(one.skip)}"
    if one.program.holds or one.model.has_levels:
        found["eta"] = f"η={_number(one.noise_level)}"
    if one.uses_clock:
        found["clock"] = f"clock {SIGNS[one.in_clock]}"
    if one.lower_final:
        found["lower_final"] = "lower final order"
    if one.lambda_s.value != "free" and one.has_tunable_noise:
        found["lambda_s"] = f"λ_s={_number(one.lambda_s.value)}"
    return found | _churn(one.churn) if one.churn else found


def _churn(churn: Churn) -> dict[str, str]:
    numbers = churn.as_dict()
    return {name: f"{name}={numbers[name]:g}" for name in NAMES if numbers[name] is not None}


def _number(value: Fraction) -> str:
    return f"{float(value):g}"
