"""Samplers of other libraries, brought to the protocol of `analytic_models.probing.subject`.

`subject("diffusers:DDIMScheduler", {"eta": "1"})` is such a sampler; a library is imported when one
of its samplers is asked for, and its noise is the protocol's.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from analytic_models.probing.subject import Subject

LIBRARIES = {
    "diffusers": "gpu_samplers.adapters.diffusers",
    "k_diffusion": "gpu_samplers.adapters.k_diffusion",
    "openmm": "gpu_samplers.adapters.openmm",
}
"""A library's name before the colon, and the module with its `subject(name, options)`."""


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
