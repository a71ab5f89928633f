"""Memory that is allocated without being filled, made to hold what shows that it was read."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np

NAMES = ("empty", "empty_like", "empty_strided")
METHODS = ("new_empty", "new_empty_strided")
"""Of a tensor."""


@contextlib.contextmanager
def filling(value: float, call: Callable[..., Any]) -> Iterator[None]:
    """`empty` and its like give arrays of this value, in NumPy, and in torch where that is loaded;
    also by the names that the module of the code has imported them under.
    """
    torch = sys.modules.get("torch")
    made = {}
    with contextlib.ExitStack() as stack:
        for home, names in ((np, NAMES), (torch, NAMES), (getattr(torch, "Tensor", None), METHODS)):
            for name in names:
                if (make := getattr(home, name, None)) is not None:
                    made[make] = _filled(make, value)
                    stack.enter_context(mock.patch.object(home, name, made[make]))
        for known in _globals_of(call):
            for name, own in list(known.items()):
                if inspect.isroutine(own) and (other := _known(made, own)) is not None:
                    stack.enter_context(mock.patch.dict(known, {name: other}))
        yield


def _known(made: dict[Any, Any], own: Any) -> Any:
    try:
        return made.get(own)
    except TypeError:  # what cannot be hashed is none of them
        return None


def _filled(make: Callable[..., Any], value: float) -> Callable[..., Any]:
    def whole(*arguments: Any, **named: Any) -> Any:
        made = make(*arguments, **named)
        floating = getattr(made, "is_floating_point", None)
        if floating() if floating else made.dtype.kind == "f":
            made[...] = value
        return made

    return whole


def _globals_of(call: Callable[..., Any]) -> list[dict[str, Any]]:
    """The names of the module of the code, and of those of its modules that it was loaded with."""
    own = getattr(inspect.unwrap(call), "__globals__", None)
    own = own or getattr(getattr(call, "__func__", None), "__globals__", None)
    if own is None:
        own = vars(sys.modules.get(type(call).__module__, ModuleType("")))
    homes = {id(own): own}
    for value in list(own.values()):
        known = getattr(value, "__globals__", None)
        if isinstance(known, dict) and not known.get("__name__", "").startswith(("numpy", "torch")):
            homes.setdefault(id(known), known)
    return list(homes.values())
