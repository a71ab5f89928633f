"""What `splitting-analysis derive` prints: the local error of a scheme, as formulas or as
numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from reports.commands.held_derivation import held_formulas
from reports.commands.legend import legend
from reports.commands.terminal import json_text
from splitting_analysis.errors import LocalError, keys_of, spell_error, to_json
from splitting_analysis.expressions import parse_settings
from splitting_analysis.families import FAMILIES, Effort
from splitting_analysis.held_results import NO_NUMBERS, refuse_more
from splitting_analysis.lookup import as_scheme, check_lambda_s, conjugated, read_lambda_s
from splitting_analysis.points import (
    check_scores,
    coefficients,
    known_values,
    score_expressions,
    values_at,
)
from splitting_analysis.schemes import LambdaS, Scheme
from splitting_analysis.settings import changed
from splitting_analysis.step_code import FORMATS, step_code
from splitting_analysis.strong import strong_error
from splitting_analysis.styles import STYLES
from splitting_analysis.weak import (
    at_lambda_one,
    error_difference,
    highest_power,
    local_error,
    order_in_words,
)

RUNGE_KUTTA: Effort = (10, 20, 3)
BEYOND = 2
"""How many further orders --long allows."""
MAX_TIMED = 8
"""The closed forms hold derivatives of beta for that power of h."""
CONJUGATES: Effort = (3, 10, 6)
"""Of conjugate steps; BEYOND it they would need more rates of their factor than are kept."""


def check_order(order: int | None, schemes: list[Scheme], long: bool) -> None:
    """Raise ValueError for an order that there is not, or that takes long and was not confirmed."""
    if order is None:
        return
    limits = [
        CONJUGATES
        if s.program.conjugates
        else RUNGE_KUTTA
        if s.word.is_runge_kutta
        else FAMILIES[s.model_name].effort(s.dynamics)
        for s in schemes
    ]
    quick, seconds, growth = min(limits)
    timed = any(s.model.time_dependent and not s.word.is_runge_kutta for s in schemes)
    highest = min(quick + BEYOND, MAX_TIMED if timed else quick + BEYOND)
    highest = min([highest, *(highest_power(s) for s in schemes if s.program.conjugates)])
    if not 1 <= order <= highest:
        more = f", above {quick} with --long" if highest > quick else ""
        raise ValueError(
            f"--order {order}: choose 1 to {highest}{more}, the highest power of h to derive"
        )
    if order > quick and not long:
        minutes = max(1, round(seconds * growth ** (order - quick) / 60))
        raise ValueError(
            f"--order {order}: the formulas of {schemes[0].model_name} ({schemes[0].dynamics}) at "
            f"h^{order} take about {minutes} minute{'s' if minutes > 1 else ''}, and each order "
            f"is about {growth} times as long to read as the one before; --order {quick} takes "
            "seconds, --long derives it all the same"
        )


def formulas(
    text: str | Scheme,
    model: str | None,
    dynamics: str | None,
    order: int | None,
    minus: str | None,
    style: str,
    lambda_s: str | None,
    long: bool = False,
    say: Callable[[str], None] = print,
    param: str = "",
) -> str:
    """The formulas as text to print; `say` is told what is being done.

    Raises ValueError for anything it refuses.
    """
    if style not in (*STYLES, "json"):
        known = ", ".join([*STYLES, "json", *FORMATS])
        raise ValueError(f"no format {style!a}; there are: {known}")
    schemes = _bent(resolved(text, minus, model, dynamics), param)
    if any(scheme.program.holds for scheme in schemes):
        refuse_more(**{"--minus": minus, "--order": order, "--lambda-s": lambda_s})
        heading = _heading(schemes[0], None, None) if style == "text" else []
        return held_formulas(schemes[0], style, heading, say)
    check_order(order, schemes, long)
    value = None if lambda_s is None else read_lambda_s(lambda_s, "--lambda-s")
    if value is not None:
        check_lambda_s("--lambda-s", *schemes)
        schemes = [replace(s, lambda_s=LambdaS(s.lambda_s.rule, value)) for s in schemes]
    scheme = schemes[0]
    errors = [_derived(schemes, order, say)]
    if minus is None and scheme.dynamics == "sde" and not scheme.program.held_piece:
        errors.append(strong_error(scheme))
        if scheme.has_tunable_noise and value is None:
            errors.append(strong_error(at_lambda_one(scheme)))
    if style == "json":
        say("writing the formulas")
        return json_text([to_json(error) for error in errors])
    say("determining the order")
    lines = [] if style != "text" else _heading(scheme, minus, value)
    spelled: list[tuple[str, str]] = []
    for i, error in enumerate(errors):
        lines += _formulas(error, style, " at lambda_s = 1" if i == 2 else "", spelled, say)
    if style == "text" and minus is None and scheme.bends and not scheme.told:
        lines += _brought_in(scheme, errors[0], spelled, say)
    return "\n".join(lines + (["", *legend(spelled, scheme)] if style == "text" else []))


def _bent(schemes: list[Scheme], param: str) -> list[Scheme]:
    """The schemes with the lambda and factor of --param, each where it acts."""
    if not param.strip():
        return schemes
    acts = [s for s in schemes if s.program.conjugates and (s.bends or "lambda" not in param)]
    acts = acts or schemes
    found, rest = conjugated(acts, param)
    if rest.strip():
        raise ValueError(
            f"--param {rest}: of a formula there are lambda, factor and skip, of conjugate steps; "
            "what the process is, --at says"
        )
    return [dict(zip(acts, found, strict=True)).get(s, s) for s in schemes]


def _brought_in(
    scheme: Scheme, error: LocalError, spelled: list[tuple[str, str]], say: Callable[[str], None]
) -> list[str]:
    """What lambda changes in the coefficient of h^2, a line."""
    say("what lambda changes")
    change = error - local_error(replace(scheme, told=True), max(error.terms))
    terms = [
        (key, spell_error(change, 2, key)) for key in keys_of(change, 2) if change.terms[2].get(key)
    ]
    spelled += terms
    return ["", "what lambda brings into h^2:", *(f"  {key:>2}: {term}" for key, term in terms)]


def code(
    text: str | Scheme,
    model: str | None,
    dynamics: str | None,
    style: str,
    lambda_s: str | None,
    param: str = "",
) -> str:
    """The sampler as Python code. Raises ValueError for anything it refuses."""
    (scheme,) = _bent([as_scheme(text, model, dynamics)], param)
    if lambda_s is not None:
        check_lambda_s("--lambda-s", scheme)
    return step_code(
        scheme, style, None if lambda_s is None else read_lambda_s(lambda_s, "--lambda-s")
    )


def _derived(schemes: list[Scheme], order: int | None, say: Callable[[str], None]) -> LocalError:
    """The error of a scheme, or the difference of two."""
    names = " and ".join(scheme.name[:40] for scheme in schemes)
    say(f"deriving the error of {names}" + (f" up to h^{order}" if order else ""))
    if len(schemes) == 1:
        return local_error(schemes[0], order)
    return error_difference(schemes[0], schemes[1], order)


def resolved(
    text: str | Scheme, minus: str | None, model: str | None, dynamics: str | None
) -> list[Scheme]:
    """The scheme, and the one whose error is subtracted, if any."""
    scheme = as_scheme(text, model, dynamics)
    return [scheme] if minus is None else [scheme, as_scheme(minus, scheme.model_name, dynamics)]


def _heading(scheme: Scheme, minus: str | None, value: Fraction | None) -> list[str]:
    kind = FAMILIES[scheme.model_name].kind(scheme.dynamics)
    kind += ", with noise before each step" * scheme.stochastic * (scheme.dynamics == "ode")
    title = f"{scheme.name} = {scheme.word}" if scheme.name != str(scheme.word) else scheme.name
    evaluations = f"{scheme.word.nfe} score evaluation{'s' if scheme.word.nfe > 1 else ''}"
    lines = [f"{title}  ({scheme.model_name}, {kind}, {evaluations} per step)"]
    if scheme.source.citation != "user":
        lines.append(f"source: {scheme.source.citation}, {scheme.source.place}".rstrip(", "))
    if scheme.source.erratum:
        lines.append(f"note: {scheme.source.erratum}")
    told = changed(scheme)
    if scheme.model.eta is not None or "eta" in told:
        lines.append(f"noise level: eta = {scheme.noise_level}")
    if others := [text for key, text in told.items() if key not in ("eta", "clock", "lambda_s")]:
        lines.append(f"told: {', '.join(others)}")
    if scheme.in_clock != "tau" and not scheme.program.holds:
        lines.append(
            f"in the clock {scheme.in_clock}: h is a step's length in it, beta (and r) are rates "
            "per unit of it, and derivatives in tau are those in "
            + {"lambda": "-lambda", "sigma": "log sigma"}.get(scheme.in_clock, scheme.in_clock)
        )
    at = "" if value is None else f" at lambda_s = {value}"
    if minus is not None:
        return [*lines, f"error minus the error of {minus}{at}"]
    weak = "weak " if scheme.dynamics == "sde" else ""
    if scheme.has_tunable_noise and value is None:
        at = " at lambda_s = 1"
    claimed = "claimed here" if scheme.source.erratum else "claimed"
    claimed = claimed if value in (None, 1) else "claimed at lambda_s = 1"
    claim = "" if scheme.order is None else f" ({claimed}: {scheme.order})"
    return [*lines, f"{weak}order{at}: {order_in_words(scheme)}{claim}"]


def _formulas(
    error: LocalError,
    style: str,
    note: str,
    spelled: list[tuple[str, str]],
    say: Callable[[str], None],
) -> list[str]:
    """The lines for an error; (key, formula) of every formula is added to `spelled`."""
    names = {"ode": "local error", "weak": "weak local error", "strong": "mean-square local error"}
    lines = []
    for power in error.terms:
        if not any(error.terms[power].get(key) for key in keys_of(error, power)):
            if style == "text" and error.leading is not None and error.leading >= power:
                lines += ["", f"{names[error.kind]}{note}, h^{power}: 0"]
            continue
        if style == "text":
            lines += ["", f"{names[error.kind]}{note}, coefficient of h^{power}:"]
        for key in keys_of(error, power):
            say(f"writing the coefficient of h^{power}, {key}")
            formula = spell_error(error, power, key, STYLES[style])
            spelled.append((key, formula))
            if style == "text":
                lines.append(f"  {key:>2}: {formula}")
            elif style == "latex":
                lines.append(f"% {names[error.kind]}{note}, h^{power}, {key}\n{formula}")
            else:
                lines.append(f"<!-- {names[error.kind]}{note}, h^{power}, {key} -->")
                lines.append(f'<math display="block">{formula}</math>')
    if not lines:
        lines = ["", f"no difference through h^{max(error.terms)}"]
    return lines


def numbers(
    text: str | Scheme,
    model: str | None,
    dynamics: str | None,
    order: int | None,
    minus: str | None,
    scores: tuple[str | None, str | None],
    at: str,
    long: bool = False,
    say: Callable[[str], None] = print,
    param: str = "",
) -> dict[str, Any]:
    """The coefficients at one state, for score expressions in the state and forward time tau."""
    schemes = _bent(resolved(text, minus, model, dynamics), param)
    scheme = schemes[0]
    if any(each.program.holds for each in schemes):
        raise ValueError(f"{scheme.name}: --at: {NO_NUMBERS}; leave out --at and --score-x")
    check_order(order, schemes, long)
    values = _values(schemes, at)
    expressions = score_expressions(scheme, scores, ("--score-x", "--score-m"))
    if minus is not None and any(s.word.is_runge_kutta for s in schemes):
        raise ValueError("--minus with --at is for splittings, not for Runge-Kutta words")
    check_scores(expressions, values)
    error = _derived(schemes, order, say)
    errors = {"_weak" if scheme.dynamics == "sde" else "": error}
    if scheme.dynamics == "sde" and minus is None:
        errors["_strong"] = strong_error(
            at_lambda_one(scheme) if values.get("lambda_s") == 1 else scheme
        )
    say("evaluating the coefficients")
    result: dict[str, Any] = {
        "scheme": error.name,
        "word": str(scheme.word),
        "dynamics": scheme.dynamics,
        "model": scheme.model_name,
        **({} if scheme.in_clock == "tau" else {"clock": scheme.in_clock}),
        "at": {"lambda" if key == "lambda_" else key: value for key, value in values.items()},
    }
    for suffix, each in errors.items():
        for power, by_key in coefficients(scheme, each.terms, values, expressions).items():
            if suffix == "_strong" or power > 1 or any(by_key.values()):
                result[f"h{power}{suffix}"] = by_key
    return result


def _values(schemes: list[Scheme], at: str) -> dict[str, float]:
    """The values of --at; what is refused says so."""
    given = parse_settings(at, known_values(schemes[0]))
    try:
        return values_at(schemes, given)
    except ValueError as error:
        option = "--at" if str(error).startswith("lambda_s: ") else "--at:"
        raise ValueError(f"{option} {error}") from None
