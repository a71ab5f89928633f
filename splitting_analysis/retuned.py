"""The same word with another noise level, or other settings of its conjugate steps: each refused
where it does not act.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from splitting_analysis.models import model_at, model_of
from splitting_analysis.schemes import FACTORS, TRIANGULAR, Scheme
from splitting_analysis.told import MOST_ETA, DoesNotAct


def with_noise_level(scheme: Scheme, eta: Fraction) -> Scheme:
    """The same word with another eta, in the ODE's model for 0 and the SDE's else.

    Raises ValueError for an eta below 0, `DoesNotAct` for a word in which it does not act.
    """
    if not 0 <= eta <= MOST_ETA:
        raise ValueError(f"eta = {float(eta):g}: a noise level lies between 0 and {MOST_ETA}")
    if not scheme.program.holds and not scheme.model.has_levels:
        raise DoesNotAct(
            f"{scheme.name}: eta acts in words that hold a prediction, e.g. S E:data, and in those "
            f"of positions alone, e.g. L/2 S K L/2 of vp; {scheme.again} of {scheme.model_name} is "
            "neither"
        )
    order = scheme.order if eta == scheme.eta else None
    if not scheme.program.holds:
        model = model_at(scheme.model_name, eta)
        missing = [op.key for op in scheme.word if op.letter != "S" and not model.piece(op.key)]
        if missing:
            raise DoesNotAct(
                f"{scheme.name}: eta = {eta}, but {missing[0]} is a piece of eta = "
                f"{scheme.noise_level} alone"
            )
        return replace(scheme, model=model, eta=eta, order=order)
    model = model_of(scheme.model_name, "sde" if eta else "ode")
    for op in scheme.word:
        if op.letter != "S" and op.rule not in model.held:
            raise DoesNotAct(
                f"{scheme.name}: eta = {eta}, but {op.key} is one of the ODE, eta = 0; with noise "
                f"{scheme.model_name} holds {', '.join(f'E:{name}' for name in model.held)}"
            )
    return replace(scheme, model=model, eta=eta, order=order)


def with_conjugation(scheme: Scheme, value: Fraction | None, factor: str | None = None) -> Scheme:
    """The same word with another lambda, or factor, of its conjugate steps; None leaves it as it
    is.

    Raises `DoesNotAct` for a word in which they do not act, ValueError for what they cannot be.
    """
    if not scheme.program.conjugates and not (scheme.holds_pair and value is None):
        what = "lambda" if value is not None else "factor"
        also = "" if value is not None else ", or where psld holds the data, S E:data"
        raise DoesNotAct(
            f"{scheme.name}: {what} acts in conjugate steps, e.g. S E:eye{also}; {scheme.again} "
            "has none"
        )
    if value is not None and not scheme.bends:
        raise DoesNotAct(
            f"{scheme.name}: lambda acts in conjugate steps with a B, e.g. S E:eye; {scheme.again} "
            "has B = 0, or one without lambda"
        )
    chosen = next(
        (known for known in FACTORS if known == (factor or scheme.factor).strip().lower()), None
    )
    if chosen is None:
        known = ", ".join(scheme.factors or TRIANGULAR)
        raise ValueError(f"{scheme.name}: no factor {factor!a}; there are: {known}")
    if value is None:
        try:
            return replace(scheme, factor=chosen)
        except ValueError as error:  # another word has it
            raise DoesNotAct(str(error)) from None
    return replace(scheme, conjugate=value, told=True, factor=chosen)
