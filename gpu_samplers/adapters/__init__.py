"""Samplers of other libraries, brought to the protocol of `analytic_models.probing.subject`.

`subject("diffusers:DDIMScheduler", {"eta": "1"})` is such a sampler; a library is imported when one
of its samplers is asked for, and its noise is the protocol's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from analytic_models.probing.subject import Subject, load

LIBRARIES = {
    "diffusers": "gpu_samplers.adapters.diffusers",
    "k_diffusion": "gpu_samplers.adapters.k_diffusion",
    "openmm": "gpu_samplers.adapters.openmm",
}
"""A library's name before the colon, and the module with its `subject(name, options)`."""
PATH = re.compile(r"^/|/[A-Za-z_.]|\.[A-Za-z]\w*$")
"""What a file has before the colon, and no word: of these only numbers come after / and dots."""
MATRIX = re.compile(r"\{[^{}]*\}")
"""Of a word, with names in it."""


def subject(spec: str, options: Mapping[str, str] | None = None) -> Subject:
    """The sampler that `library:name` names, with options as text.

    Raises ValueError naming the libraries, the samplers or the options that there are, or the
    package that is missing.
    """
    library, colon, name = spec.partition(":")
    library = library.replace("-", "_")
    if not colon or library not in LIBRARIES:
        known = ", ".join(f"{one}:NAME" for one in LIBRARIES)
        raise ValueError(f"{spec!r} is no sampler of a library known here; there are: {known}")
    made: Subject = import_module(LIBRARIES[library]).subject(name, dict(options or {}))
    return made


def named(text: str, options: Sequence[str] = ()) -> Callable[..., Any] | Subject | None:
    """The code that `path/to/file.py:function` or `library:sampler` names; None for a word or a
    name.

    `options` are those of a library's sampler, as "solver_order=2". Raises ValueError for what
    there is not, and for options where there are none.
    """
    path, _, attribute = (part.strip() for part in text.rpartition(":"))
    if ".py:" in text or text.endswith(".py") or PATH.search(MATRIX.sub("", path)):
        if not path.endswith(".py") or not attribute:
            raise ValueError(f"{text.strip()}: which function? give path/to/file.py:function")
        _refuse(options, text)
        return load(path, attribute)
    if path.replace("-", "_").isidentifier() and attribute.isidentifier():
        return subject(text, _pairs(options))
    _refuse(options, text)
    return None


def _refuse(options: Sequence[str], text: str) -> None:
    if options:
        raise ValueError(f"--option {options[0]}: for samplers of a library, not for {text}")


def _pairs(options: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ValueError(f"--option {option}: an option is name=value, e.g. solver_order=2")
        pairs[name.strip()] = value.strip()
    return pairs
