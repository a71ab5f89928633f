"""Naive and reduced score evaluation as rules on words (theory of arXiv 2402.07211, section 3).

The skeleton of a splitting is its word without any `S`: "O B/2 A B/2". The two rules put the
evaluations back in, each in its own way.
"""

from __future__ import annotations

from fractions import Fraction
from typing import overload

from splitting_analysis.models import Model, model_of
from splitting_analysis.notation import Op, Word, as_word
from splitting_analysis.schemes import Scheme, scheme

_SCORE = Op("S")
_PSLD = model_of("psld", "sde")


def skeleton(word: str | Word) -> Word:
    """The word without its score evaluations."""
    return Word(tuple(op for op in as_word(word) if op.letter != "S"))


@overload
def naive(of: Scheme) -> Scheme: ...
@overload
def naive(of: str | Word, model: Model = ...) -> Word: ...
def naive(of: str | Word | Scheme, model: Model = _PSLD) -> Word | Scheme:
    """A fresh score, conditioned on the step's start, before every piece that uses one.

    Of a scheme, in its own model; a word is taken for one of `model`, PSLD's SDE by default. Raises
    WordError for a word that cannot be read.
    """
    if isinstance(of, Scheme):
        return scheme(naive(of.word, of.model), of.model, name=f"naive {of.name}")
    ops: list[Op] = []
    for op in skeleton(of):
        ops += [_SCORE, op] if _uses_score(op, model) else [op]
    return Word(tuple(ops))


@overload
def reduced(of: Scheme) -> Scheme: ...
@overload
def reduced(of: str | Word, model: Model = ...) -> Word: ...
def reduced(of: str | Word | Scheme, model: Model = _PSLD) -> Word | Scheme:
    """One score before the first piece that uses one, reused by all that follow; a closing
    piece that finishes a letter begun earlier gets a second one, conditioned on the step's end
    (or unconditioned, for a target that does not move).

    Of a scheme or a word as `naive`.
    """
    if isinstance(of, Scheme):
        return scheme(reduced(of.word, of.model), of.model, name=f"reduced {of.name}")
    ops: list[Op] = []
    begun: set[str] = set()
    pieces = skeleton(of).ops
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


def _uses_score(op: Op, model: Model) -> bool:
    return op.key in model.pieces and model.pieces[op.key].uses_score
