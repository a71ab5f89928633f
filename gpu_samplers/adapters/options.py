"""Options of foreign code, written as text: which there are is read from its signatures."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

WORDS = {"true": True, "false": False, "none": None}


def known(*calls: Callable[..., Any], hidden: Iterable[str] = ()) -> dict[str, Any]:
    """Names and defaults of the parameters of these callables, but for the hidden."""
    found: dict[str, Any] = {}
    for call in calls:
        for parameter in inspect.signature(call).parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            if parameter.name not in {*hidden, "self"}:
                found.setdefault(parameter.name, parameter.default)
    return found


def value(name: str, text: str, default: Any) -> Any:
    """What the text says: true, false, none, a number, a list of numbers, or a word.

    Raises ValueError where the default is a number or a truth value and the text is none.
    """
    word = text.strip()
    if isinstance(default, str):
        return word
    if word.lower() in WORDS:
        read: Any = WORDS[word.lower()]
    else:
        try:
            read = ast.literal_eval(word)
        except (ValueError, SyntaxError):
            read = word
    truth, number = isinstance(default, bool), isinstance(default, int | float)
    if read is None or default is None or default is inspect.Parameter.empty:
        return read
    if truth and not isinstance(read, bool):
        raise ValueError(f"option {name}={text}: true or false, as its default {default}")
    if number and not truth and (isinstance(read, bool) or not isinstance(read, int | float)):
        raise ValueError(f"option {name}={text}: a number, as its default {default}")
    return read


def parsed(options: Mapping[str, str], defaults: Mapping[str, Any], of: str) -> dict[str, Any]:
    """Every option with its value. Raises ValueError naming the options there are."""
    for name in options:
        if name not in defaults:
            raise ValueError(
                f"{of} has no option {name!r}; there are: {', '.join(sorted(defaults)) or 'none'}"
            )
    return {name: value(name, str(text), defaults[name]) for name, text in options.items()}
