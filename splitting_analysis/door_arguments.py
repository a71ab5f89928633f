"""What the functions of the door have in common: what a scheme may be told, one or several values,
budgets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from typing import Any

from splitting_analysis.churn import NAMES as CHURN
from splitting_analysis.lookup import as_scheme, check_lambda_s, read_lambda_s, spread, told
from splitting_analysis.notation import Word, read_float
from splitting_analysis.schemes import LambdaS, Scheme

MOST = 10**7
"""Steps or evaluations of one run, at most."""
Scale = str | float | Fraction
"""A number as it may be given: 1.25, "1.25", "5/4", Fraction(5, 4)."""


@dataclass
class Settings:
    """What schemes are told beside their words, None where nothing is said."""

    lambda_: Any = None
    factor: Any = None
    eta: Any = None
    clock: Any = None
    skip: Any = None
    lower_final: bool = False
    churn: Mapping[str, Any] | None = None
    dynamics: str | None = field(default=None, compare=False)
    """What was asked for: a noise level may contradict it."""

    @property
    def said(self) -> bool:
        """Whether anything is said."""
        return self != Settings()

    def of(self, schemes: Sequence[Scheme]) -> list[Scheme]:
        """The schemes with it. Raises ValueError as `lookup.told`."""
        own = (self.lambda_, self.factor, self.eta, self.clock, self.skip)
        return told(list(schemes), *own, self.lower_final, self.churn, self.dynamics)

    def meant(
        self, given: str | Word | Scheme, model: str | None, lambda_s: LambdaS | Scale | None
    ) -> Scheme:
        """The scheme of a name or a word, told all that is said. Raises ValueError as
        `lookup.told`.
        """
        return tuned(self.of([as_scheme(given, model, self.dynamics)]), lambda_s)[0]

    def all_of(self, schemes: Sequence[Scheme]) -> list[Scheme]:
        """The schemes with every combination of the values, of which there may be several, each
        scheme's together; what does not act in a scheme does not repeat it.
        """
        own = (self.lambda_, self.factor, self.eta, self.clock, self.skip)
        each = [
            replace(self, lambda_=a, factor=b, eta=c, clock=d, skip=e).of(schemes)
            for a, b, c, d, e in product(*map(many, own))
        ]
        if not each:
            raise ValueError("an empty list of values: give at least one, e.g. lambda_=[0, 0.5]")
        return spread(each)


def settings(parameters: dict[str, Any], lambda_: Any = None, **others: Any) -> Settings:
    """All that is said of schemes; what is said of them in `parameters` is taken out of it, and the
    numbers that stay are floats, however they are spelled.

    lambda is a word of Python's, and `**{"lambda": 0.5}` says it, too. Raises ValueError where both
    spellings are given.
    """
    other = parameters.pop("lambda", None)
    if other is not None and lambda_ is not None:
        raise ValueError("lambda is given twice: lambda_=0.5 and **{'lambda': 0.5} are the same")
    churn = {name: parameters.pop(name) for name in CHURN if name in parameters}
    for name, value in parameters.items():
        with suppress(ValueError):  # what is no number, or no parameter, the process refuses
            parameters[name] = number(name, value)
    return Settings(other if lambda_ is None else lambda_, churn=churn or None, **others)


def tuned(schemes: list[Scheme], lambda_s: LambdaS | Scale | None) -> list[Scheme]:
    """The schemes with lambda_s fixed, if it is given. Raises ValueError where it acts in none of
    them.
    """
    if lambda_s is None:
        return schemes
    if isinstance(lambda_s, LambdaS):
        return [replace(each, lambda_s=lambda_s) for each in schemes]
    check_lambda_s("lambda_s", *schemes)
    value = read_lambda_s(lambda_s)
    return [replace(each, lambda_s=replace(each.lambda_s, value=value)) for each in schemes]


def number(what: str, given: Any) -> float:
    """A number as it may be given, 0.5, "1/2" or Fraction(1, 2), as a float.

    Raises ValueError that names it.
    """
    try:
        return given if isinstance(given, float) else read_float(str(given))
    except ValueError:
        raise ValueError(
            f"{what} = {str(given)[:40]}: a number, as 0.5, '1/2' or Fraction(1, 2)"
        ) from None


def many(given: Any) -> list[Any]:
    """What may be one or several, as a list."""
    return list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]


def counts(what: str, given: int | Iterable[int] | None) -> list[int]:
    """Budgets or numbers of steps, each a whole number of at least 1."""
    found = many(given)
    for count in found or [None]:
        if isinstance(count, bool) or not hasattr(count, "__index__") or count < 1:
            shown = repr(count)[:40]
            raise ValueError(f"{what} = {shown}: whole numbers from 1 on, e.g. {what}=[50, 100]")
        if int(count) > MOST:
            raise ValueError(f"{what} = {str(count)[:20]}: at most {MOST} in one run")
    return [int(count) for count in found]
