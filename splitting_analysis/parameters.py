"""What every parameter of a process must be: a number that the formulas can take.

Standard library only.
"""

from __future__ import annotations

from dataclasses import fields
from math import inf
from numbers import Number
from typing import Any

SMALLEST, LARGEST = 1e-30, 1e30
"""What is not 0 lies between: the formulas multiply up to ten of these numbers."""


def half(process: Any) -> Any:
    """1/2 in the arithmetic of the parameters, so that it is exact there."""
    return process.T / process.T / 2


def check_numbers(process: Any) -> bool:
    """Refuse what is no process; false where one with a symbol carries its own assumptions."""
    names = [one.name for one in fields(process) if one.init and one.name != "schedule"]
    values: dict[str, Any] = {name: getattr(process, name) for name in names}
    if any(hasattr(value, "free_symbols") for value in values.values()):
        return False
    for name, value in values.items():
        odd = isinstance(value, bool | complex) or not is_number(value)
        if odd or not abs(value) < inf:
            raise ValueError(f"{name} = {value}: {name} must be a finite number")
        if name == "T" and value <= 0:
            raise ValueError(f"T = {value}: the time span must be positive")
        if value < 0:
            raise ValueError(f"{name} = {value}: {name} must not be negative")
        if value != 0 and not SMALLEST <= value <= LARGEST:
            zero = "" if name == "T" else " or be 0"
            raise ValueError(
                f"{name} = {value}: products of it leave double precision; {name} must lie between "
                f"{SMALLEST:g} and {LARGEST:g}{zero}"
            )
    if values.get("beta_min", 1) == values.get("beta_max", 1) == 0:
        raise ValueError(
            "beta_min = beta_max = 0: nothing would move; beta must be positive somewhere"
        )
    return True


def is_number(value: Any) -> bool:
    """Whether it is a number of Python, NumPy or mpmath."""
    return isinstance(value, Number)
