"""Which words are one sampler, but for what is done before the first step and after the last.

A run repeats its word, so a word may begin anywhere in that cycle: BAOAB and BAOA, B/2 A/2 O A/2 S
B/2 and S B A/2 O A/2, carry out the same operations in the same order. What differs is where a run
starts and where it is looked at (arXiv 2602.01923). Words of a class share their stability and
their transport, and the law of one is that of another after the operations between.

Words are compared at equal steps and a constant rate, lambda_s being 1; standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from splitting_analysis.lookup import as_scheme
from splitting_analysis.models import Model, Piece, Rule
from splitting_analysis.notation import Op, Word
from splitting_analysis.schemes import Scheme
from splitting_analysis.symbols import ones


def same_class(
    one: str | Word | Scheme,
    other: str | Word | Scheme,
    model: str | None = None,
    dynamics: str | None = None,
) -> bool:
    """Whether two schemes, by names or words of `model`, are one sampler but for a run's first and
    last operations. Raises ValueError for what is no scheme, as `as_scheme`.
    """
    return _key(as_scheme(one, model, dynamics)) == _key(as_scheme(other, model, dynamics))


def classes(schemes: Iterable[str | Word | Scheme]) -> list[tuple[Scheme, ...]]:
    """The schemes in groups of one sampler, in the order in which they first occur."""
    found: dict[Any, list[Scheme]] = {}
    for scheme in map(as_scheme, schemes):
        found.setdefault(_key(scheme), []).append(scheme)
    return [tuple(group) for group in found.values()]


def cycle(scheme: Scheme) -> Word:
    """The word that stands for the class: pieces merged, those that may change places in the order
    of the alphabet, each score evaluated once and as late as it may be, and begun where it reads
    first in the alphabet, S before all. Pieces that do nothing come last.

    Words with rows, held predictions or conjugate steps, which remember where a step starts, stand
    for themselves.
    """
    program = scheme.program
    if program.has_rows or program.holds or program.conjugates or program.held_piece:
        return scheme.word
    ops = [op for op in scheme.word.ops if not _is_idle(op, scheme.model)]
    idle = [op for op in scheme.word.ops if _is_idle(op, scheme.model)]
    while _simplified(ops, scheme):
        pass
    first = min(_rotations(ops, scheme.model), key=lambda each: [_place(op) for op in each])
    return Word((*first, *_whole(idle)))


def _key(scheme: Scheme) -> Any:
    settings = (
        scheme.lambda_s if scheme.has_tunable_noise else None,
        scheme.in_clock if scheme.uses_clock else None,
        scheme.conjugate if scheme.bends else None,
        scheme.factor if scheme.factors else None,
        (scheme.eta, scheme.skip, scheme.churn),
    )
    return scheme.model_name, scheme.dynamics, cycle(scheme), settings


def _place(op: Op) -> Any:
    return op.letter != "S", op.key, op.fraction, op.at


def _rotations(ops: list[Op], model: Model) -> list[tuple[Op, ...]]:
    """The cycle begun at each token, the time of its first score being 0."""
    found = []
    for start in range(len(ops)):
        # what is left of the step before is one step late
        row = [*ops[start:], *(_shifted(op, 1) for op in ops[:start])]
        first = next(op.at for op in row if op.letter == "S")
        found.append(tuple(_shifted(op, -first) for op in row))
    if not model.time_dependent:
        return [tuple(replace(op, at=Fraction(0)) for op in row) for row in found]
    return found


def _shifted(op: Op, by: Fraction | int) -> Op:
    return replace(op, at=op.at + by) if op.letter == "S" else op


def _simplified(ops: list[Op], scheme: Scheme) -> bool:
    """Change one thing in the cycle that changes nothing in the run; False if there is none."""
    model, size = scheme.model, len(ops)
    for i, op in enumerate(ops):
        j = (i + 1) % size
        after = ops[j]
        if op.letter == "S":
            if after.letter == "S" and i != j:  # never used
                del ops[i]
                return True
            if _stays(after, model):  # not yet used, and the same later
                ops[i], ops[j] = after, op
                return True
            if _is_known(ops, i, model):
                del ops[i]
                return True
        elif after.letter != "S" and after.key == op.key and i != j and _merges(op, scheme):
            ops[i] = replace(op, fraction=op.fraction + after.fraction)
            del ops[j]
            if ops[i - (j < i)].fraction == 0:
                del ops[i - (j < i)]
            return True
        elif after.letter != "S" and _place(after) < _place(op) and _commute(op, after, scheme):
            ops[i], ops[j] = after, op
            return True
    return False


def _commute(op: Op, other: Op, scheme: Scheme) -> bool:
    """Whether two pieces, one after the other, may change places: kicks of two forces, the noise
    and the score of VE, parts of one piece, and frictions that keep the same law.
    """
    one, two = _piece(op, scheme.model), _piece(other, scheme.model)
    if _only_adds(one) and _only_adds(two):
        return True
    if op.key == other.key and not one.has_noise:  # functions of one matrix
        return True
    tuned = one.tuned is not None and scheme.lambda_s.value not in ("free", 1)
    return op.letter == other.letter and not (one.uses_score or two.uses_score or tuned)


def _only_adds(piece: Piece) -> bool:
    """Whether what the piece adds does not depend on the state."""
    return not piece.fading and not any(map(any, piece.linear(ones())))


def _is_idle(op: Op, model: Model) -> bool:
    """Whether the piece does nothing, as the linear part of VE's flow."""
    if op.letter == "S":
        return False
    piece, p = _piece(op, model), ones()
    return _only_adds(piece) and not any((*piece.score(p), *piece.noise(p)))


def _whole(idle: list[Op]) -> list[Op]:
    """Pieces that do nothing, one of each kind."""
    found: dict[Any, Op] = {}
    for op in sorted(idle, key=_place):
        before = found.get(op.key)
        part = op.fraction + (before.fraction if before else 0)
        found[op.key] = replace(op, fraction=part)
    return [op for op in found.values() if op.fraction]


def _is_known(ops: list[Op], index: int, model: Model) -> bool:
    """Whether the score there is the one held already: nothing that it depends on has moved."""
    for back in range(1, len(ops)):
        op = ops[index - back]
        if op.letter == "S":
            at = op.at - (index < back)
            return not model.time_dependent or at == ops[index].at
        if _moves(_piece(op, model), model):
            return False
    return False


def _piece(op: Op, model: Model) -> Piece:
    piece = model.piece(op.key)
    if piece is None:
        raise KeyError(op.key)
    return piece


def _moves(piece: Piece, model: Model) -> bool:
    """Whether the piece moves a component that the score depends on."""
    return any(model.moves(piece, ones(), i) for i in model.asked)


def _stays(op: Op, model: Model) -> bool:
    """Whether the piece neither uses a score nor moves what it depends on, its time included."""
    if op.letter == "S" or model.time_dependent:
        return False
    piece = _piece(op, model)
    return not piece.uses_score and not _moves(piece, model)


def _merges(op: Op, scheme: Scheme) -> bool:
    """Whether the piece over two parts of the step, one after the other, is that over their sum.

    An exact flow is. Euler's step is where its linear part leaves nothing to its second half.
    """
    piece = _piece(op, scheme.model)
    if piece.rule is Rule.EXPONENTIAL:
        return piece.tuned is None or scheme.lambda_s.value in ("free", 1)
    p = ones()
    linear, score = piece.linear(p), piece.score(p)
    n = range(len(linear))
    pushed = {i for i, w in zip(scheme.model.onto, score, strict=True) if w}
    again = any(linear[i][k] and (any(linear[k]) or k in pushed) for i in n for k in n)
    return piece.rule is Rule.EULER and not (again or piece.fading or piece.has_noise)
