"""Churn: a step that first goes back in time by adding noise, as EDM's stochastic sampler does.

At noise level sigma of a run of n steps, where S_tmin <= sigma <= S_tmax, the level is raised to
(1 + gamma) sigma, gamma = min(S_churn/n, sqrt(2) - 1), with normals of standard deviation S_noise
times the root of what sigma^2 grows by; then the word steps from there. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf
from typing import Any

from splitting_analysis.notation import read_number

NAMES = ("S_churn", "S_tmin", "S_tmax", "S_noise")
MOST = 10**6
"""Of S_churn and S_noise; EDM's own stay below 100 and 1.01."""


@dataclass(frozen=True)
class Churn:
    """The four numbers under their names in Karras et al. 2022, algorithm 2.

    Raises ValueError for numbers that are none of such a sampler.
    """

    S_churn: Fraction
    S_tmin: Fraction = Fraction(0)
    S_tmax: Fraction | None = None
    """None: at every level."""
    S_noise: Fraction = Fraction(1)
    """1 adds exactly the noise that the level rises by; another is inconsistent."""

    def __post_init__(self) -> None:
        for name in ("S_churn", "S_noise"):
            if not 0 <= getattr(self, name) <= MOST:
                raise ValueError(
                    f"{name} = {float(getattr(self, name)):g}: it scales noise, so it lies between "
                    f"0 and {MOST}"
                )
        if self.S_tmin < 0 or (self.S_tmax is not None and self.S_tmax < self.S_tmin):
            raise ValueError(
                f"S_tmin = {float(self.S_tmin):g} and S_tmax = {self.end:g}: noise is added "
                "between these noise levels, 0 <= S_tmin <= S_tmax"
            )

    @property
    def end(self) -> float:
        """S_tmax as a number."""
        return inf if self.S_tmax is None else float(self.S_tmax)

    def as_dict(self) -> dict[str, float | None]:
        """The numbers by name, as JSON can hold them."""
        numbers = {name: getattr(self, name) for name in NAMES}
        return {name: None if value is None else float(value) for name, value in numbers.items()}


def read(parameters: str) -> tuple[dict[str, Fraction], str]:
    """The numbers that "S_churn=40,S_noise=1.003,..." says, by name, and what else is said there.

    Raises ValueError for a number that is none, or is said twice.
    """
    found: dict[str, Fraction] = {}
    rest = []
    for item in parameters.split(","):
        key, _, value = (part.strip() for part in item.partition("="))
        if key not in NAMES:
            rest.append(item)
            continue
        if key in found:
            raise ValueError(f"--param: {key} is given twice")
        try:
            found[key] = read_number(value)
        except ValueError as error:
            raise ValueError(f"--param {key}: {error}") from None
    return found, ",".join(rest) if found else parameters


def over(own: Churn | None, numbers: Mapping[str, Any]) -> Churn | None:
    """The churn with other numbers, each taken for what it prints as; none without any.

    Raises ValueError for what is no number, as `Churn`, and where numbers of a noise are given that
    is not added.
    """
    found: dict[str, Fraction] = {}
    for name, value in numbers.items():
        try:
            found[name] = read_number(str(value))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    if not found:
        return own
    churn = replace(own or Churn(Fraction(0)), **found)
    if churn.S_churn == 0 and (others := [name for name in found if name != "S_churn"]):
        raise ValueError(
            f"{', '.join(others)}: of the noise that S_churn adds before a step, and S_churn is 0; "
            "give S_churn, too, e.g. S_churn=40"
        )
    return churn
