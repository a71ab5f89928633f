"""From what a user types to a scheme: a catalogue name, or a word in quotes."""

from __future__ import annotations

import difflib

from splitting_analysis.catalogue import CATALOGUE, find
from splitting_analysis.models import MODEL_NAMES
from splitting_analysis.scheme import Scheme, scheme


def resolve(text: str, model: str | None = None, dynamics: str | None = None) -> Scheme:
    """The scheme a user means. Raises WordError or ValueError saying what would be right.

    Anything with a space is a word, everything else a name. Without `model`, names are looked
    up in PSLD first and then in the other models; words are PSLD words.
    """
    if model is not None and model not in MODEL_NAMES:
        raise ValueError(f"no model {model!r}; there are: {', '.join(MODEL_NAMES)}")
    if dynamics not in (None, "ode", "sde"):
        raise ValueError(f"no dynamics {dynamics!r}; there are: ode, sde")
    if len(text.split()) != 1:
        return scheme(text, model or "psld", dynamics)  # type: ignore[arg-type]
    searched = (model,) if model else MODEL_NAMES
    for name in searched:
        for entry in CATALOGUE:
            if (entry.model_name, entry.name) == (name, text):
                if dynamics not in (None, entry.dynamics):
                    raise ValueError(
                        f"{text} samples the {entry.dynamics.upper()} of {name}; "
                        f"drop --dynamics {dynamics}, or give its word {str(entry.word)!r}"
                    )
                return find(text, name)
    names = sorted({s.name for s in CATALOGUE if s.model_name in searched})
    close = difflib.get_close_matches(text.upper(), names, 3, 0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(names)}"
    where = f" for model {model}" if model else ""
    raise ValueError(f"no scheme is named {text!r}{where}; {hint} (a word has spaces: 'O S B A')")
