"""One word in, a proven error out: splitting samplers for diffusion models, analysed.

    import splitting_analysis as sa

    sa.scheme("O S B A"), sa.find("ROBA"), sa.entries("psld")        a word, a name, the catalogue
    sa.local_error("ROBA"), sa.order("ROBA"), sa.strong_error("EM")   closed forms
    sa.gaussian("ROBA", "SSCS", nfe=[50, 100])                        exact errors, a table
    sa.stability("ROBA", "SSCS")                                      largest stable steps, a table
    sa.harmonic("BAOAB", h=[0.5, 1])                 kinetic Langevin in a harmonic well, a table
    sa.code("ROBAB", "torch")                                         the sampler itself, as code
    sa.sample("ROBA", n=16, nfe=50)                               samples of a network (needs torch)
    sa.validate(my_step, claims="ROBAB")                      is running code what it is said to be?
    sa.naive("O B/2 A B/2"), sa.reduced(...)                         the papers' two rules on a word
    sa.same_class("BAOAB", "BAOA")        one sampler, but for where a run begins and is looked at?
    sa.register(sa.scheme("O S B/2 A B/2", name="MINE"))              samplers of your own, by name

The import costs nothing: SymPy, NumPy and torch are loaded by the function that needs them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from splitting_analysis.catalogue import CATALOGUE, entries, find, read_catalogue, register
    from splitting_analysis.door import code, local_error, order, scheme, strong_error
    from splitting_analysis.door_runs import sample, validate
    from splitting_analysis.door_tables import gaussian, harmonic, stability
    from splitting_analysis.notation import Word, WordError, parse
    from splitting_analysis.reduction import naive, reduced
    from splitting_analysis.schemes import LambdaS, Scheme, Source
    from splitting_analysis.word_classes import classes, same_class

_HOMES = {
    "catalogue": ("CATALOGUE", "entries", "find", "read_catalogue", "register"),
    "door": ("code", "local_error", "order", "scheme", "strong_error"),
    "door_runs": ("sample", "validate"),
    "door_tables": ("gaussian", "harmonic", "stability"),
    "notation": ("Word", "WordError", "parse"),
    "reduction": ("naive", "reduced"),
    "schemes": ("LambdaS", "Scheme", "Source"),
    "word_classes": ("classes", "same_class"),
}
"""The modules that are loaded when one of these names is first asked for."""

__all__ = [
    "CATALOGUE",
    "LambdaS",
    "Scheme",
    "Source",
    "Word",
    "WordError",
    "classes",
    "code",
    "entries",
    "find",
    "gaussian",
    "harmonic",
    "local_error",
    "naive",
    "order",
    "parse",
    "read_catalogue",
    "reduced",
    "register",
    "same_class",
    "sample",
    "scheme",
    "stability",
    "strong_error",
    "validate",
]


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__name__", "__path__"])


if not TYPE_CHECKING:  # a type checker knows what there is, and says so

    def __getattr__(name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        for home, names in _HOMES.items():
            if name in names:
                globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
                return globals()[name]
        raise AttributeError(f"splitting_analysis has no {name!r}; there are: {', '.join(__all__)}")
