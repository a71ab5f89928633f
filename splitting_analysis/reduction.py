"""Naive and reduced score evaluation as rules on words (theory of arXiv 2402.07211, section 3).

The skeleton of a splitting is its word without any `S`: "O B/2 A B/2". The two rules put the
evaluations back in, each in its own way.
"""

from __future__ import annotations

from fractions import Fraction
from typing import overload

from splitting_analysis.catalogue import find, named
from splitting_analysis.lookup import check_family
from splitting_analysis.models import Model, model_of
from splitting_analysis.notation import Op, Word, as_word
from splitting_analysis.schemes import Scheme, scheme

_SCORE = Op("S")


def skeleton(word: str | Word) -> Word:
    """The word without its score evaluations."""
    return Word(tuple(op for op in as_word(word) if op.letter != "S"))


@overload
def naive(of: Scheme) -> Scheme: ...
@overload
def naive(of: str | Word, model: str | Model | None = ..., dynamics: str | None = ...) -> Word: ...
def naive(
    of: str | Word | Scheme, model: str | Model | None = None, dynamics: str | None = None
) -> Word | Scheme:
    """A fresh score, conditioned on the step's start, before every piece that uses one.

    Of a scheme, in its own model; of a word, or the word of a name, in `model` (a name or a model
    of your own; by default where the name is found, for a word PSLD's SDE). Raises WordError or
    ValueError for a word, name, model or dynamics that there is not.
    """
    if isinstance(of, Scheme):
        return scheme(naive(of.word, of.model), of.model, name=f"naive {of.name}")
    word, model = _placed(of, model, dynamics)
    ops: list[Op] = []
    for op in skeleton(word):
        ops += [_SCORE, op] if _uses_score(op, model) else [op]
    return Word(tuple(ops))


@overload
def reduced(of: Scheme) -> Scheme: ...
@overload
def reduced(
    of: str | Word, model: str | Model | None = ..., dynamics: str | None = ...
) -> Word: ...
def reduced(
    of: str | Word | Scheme, model: str | Model | None = None, dynamics: str | None = None
) -> Word | Scheme:
    """One score before the first piece that uses one, reused by all that follow; a closing
    piece that finishes a letter begun earlier gets a second one, conditioned on the step's end
    (or unconditioned, for a target that does not move).

    Of a scheme or a word as `naive`.
    """
    if isinstance(of, Scheme):
        return scheme(reduced(of.word, of.model), of.model, name=f"reduced {of.name}")
    word, model = _placed(of, model, dynamics)
    ops: list[Op] = []
    begun: set[str] = set()
    pieces = skeleton(word).ops
    last = max((i for i, op in enumerate(pieces) if _uses_score(op, model)), default=-1)
    for i, op in enumerate(pieces):
        if _uses_score(op, model):
            if not begun:
                ops.append(_SCORE)
            elif i == last and op.letter in begun:
                ops.append(Op("S", at=Fraction(model.time_dependent)))
            begun.add(op.letter)
        ops.append(op)
    return Word(tuple(ops))


def _placed(of: str | Word, model: str | Model | None, dynamics: str | None) -> tuple[Word, Model]:
    """The word meant, and the model it is taken in."""
    if isinstance(model, Model):
        return as_word(of), model
    model, dynamics = check_family(model, dynamics)
    if isinstance(of, str) and named(of):
        found = find(of, model, dynamics)
        return found.word, found.model
    return as_word(of), model_of(model or "psld", dynamics or "sde")


def _uses_score(op: Op, model: Model) -> bool:
    """Whether a piece uses the score; a step that holds a prediction does, of any dynamics."""
    piece = model.piece(op.key)
    if piece is not None:
        return piece.uses_score
    return op.letter == "E" and bool(op.rule)
