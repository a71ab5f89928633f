"""Whether a word means something in a model: letters, sums, rows and scores, each refused at its
place. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from splitting_analysis.histories import check_held
from splitting_analysis.models import MODELS, Model, Piece, Rule
from splitting_analysis.notation import Word, WordError
from splitting_analysis.predictions import HELD, Prediction
from splitting_analysis.program import rows_of
from splitting_analysis.spelling import from_openmm

ROUNDING = Fraction(1, 10**12)
"""How far fractions may miss their sum: coefficients typed as decimals do, in their last digit."""


def _uses_score(word: Word, model: Model, index: int) -> bool:
    op = word.ops[index]
    if op.letter == "S":
        return False
    piece = model.piece(op.key)
    return piece is None or piece.uses_score


def check(word: Word, model: Model) -> None:
    """Raise `WordError` at the first token that the model cannot make sense of.

    The message says for which models the same text is a word, if for any.
    """
    try:
        _check(word, model)
    except WordError as error:
        text, start, length, problem, allowed = error._parts
        homes = [
            f"{m.name} {m.dynamics}" for m in MODELS.values() if m is not model and accepts(word, m)
        ]
        if homes:
            raise WordError(
                text,
                start,
                length,
                problem,
                f"{allowed} (as it stands, a word of {', '.join(homes)})",
            ) from None
        raise


def accepts(word: Word, model: Model) -> bool:
    """Whether the word means something in the model."""
    try:
        _check(word, model)
    except WordError:
        return False
    return True


def _check(word: Word, model: Model) -> None:
    known = ["S", *model.pieces, *(f"E:{name}" for name in model.held)]
    letters = ", ".join(dict.fromkeys([*known, *model.conjugate, *model.holding]))
    if not word.ops:
        raise WordError("", 0, 1, "the word is empty", letters)
    for index, op in enumerate(word):
        if op.letter == "S":
            if op.at != 0 and not model.time_dependent and not word.is_runge_kutta:
                raise word.error(index, f"the {model.name} target does not depend on time", "S")
            continue
        if model.holds(op, word):
            continue
        piece = model.piece(op.key)
        if piece is None and op.rule in model.held and op.letter in model.pieces:
            problem = f"{op.key}: the whole drift holds {op.rule}, this piece does not"
            others = [key for key in model.holding if key[0] == op.letter]
            raise word.error(index, problem, ", ".join([f"E:{op.rule}", op.letter, *others]))
        if piece is None and op.letter == "E" and op.rule in HELD:
            where = f"{model.name} {model.dynamics.upper()}"
            held = ", ".join(f"E:{name}" for name in model.held)
            raise word.error(index, f"the {where} holds no {op.rule}", held or letters)
        if piece is None:
            what = (
                "an ODE has no noise"
                if op.letter in "OLKU" and model.dynamics == "ode" and op.letter not in model.pieces
                else (f"unknown piece {op.key!r}")
            )
            problem = f"{what} (model {model.name}, {model.dynamics.upper()})"
            raise word.error(index, problem, _translated(word) or letters)
        if piece.rule is Rule.HELD:
            _check_held_piece(word, model, index, piece)
        if piece.rule is Rule.CONJUGATE and _carried_from_before(word, index):
            raise word.error(
                index,
                "this eps is from before the step's start, a time that the step does not know",
                "an S before it, or a last S@1",
            )
        if op.fraction < 0 and (piece.has_noise or piece.rule is not Rule.EULER):
            why = "noise" if piece.has_noise else "an exact substep"
            raise word.error(index, f"{why} cannot run backwards", "a positive fraction")
        if op.through or (op.row and not _has_rows(piece)):
            allowed = "E[1/2,1/2]" + ", K[0,1]" * ("K" in model.pieces)
            allowed += f", E:{model.held[0]}[2]" if model.held else ""
            problem = (
                "a Runge-Kutta row belongs to the full drift of an ODE, or to a piece with a score "
                "and without noise"
            )
            raise word.error(index, problem, allowed)
    if any(model.holds(op, word) for op in word):
        check_held(word, model)
        return _check_scores(word, model)
    _check_sums(word, model)
    return _check_scores(word, model)


def _check_held_piece(word: Word, model: Model, index: int, piece: Piece) -> None:
    """Refuse a piece that holds a prediction where none is at hand, and beside what holds another,
    or the score itself, which data alone say in full.
    """
    if all(op.letter != "S" for op in word.ops[:index]):
        problem = "what is held here would be from the step before, and another state"
        raise word.error(index, problem, "an S before it in the step")
    if word.ops[index].through:
        name = word.ops[index].key
        raise word.error(index, "a piece holds one evaluation, the last", name)
    for other in (model.piece(op.key) for op in word if op.letter != "S"):
        if other is None or not other.uses_score or other.held == piece.held:
            continue
        plain = other.rule in (Rule.EULER, Rule.EXPONENTIAL)
        if not (plain and piece.held == Prediction.DATA):
            held = f"{piece.held} is held here, and another piece takes"
            problem = f"{held} {other.held or other.conjugation or 'the score'}"
            raise word.error(index, problem, "one prediction in all pieces, or data and the score")


def _has_rows(piece: Piece) -> bool:
    """Whether a Runge-Kutta step of the piece exists here: of a drift, by Euler's rule."""
    return piece.rule is Rule.EULER and piece.uses_score and not piece.has_noise


def _carried_from_before(word: Word, index: int) -> bool:
    """Whether a token uses a score of the step before that was not taken at its end."""
    times = [op.at for op in word if op.letter == "S"]
    return bool(times) and times[-1] != 1 and all(op.letter != "S" for op in word.ops[:index])


def _translated(word: Word) -> str | None:
    """What a word in OpenMM's letters is in ours, if it is one."""
    translation = from_openmm([str(op) for op in word])
    return translation and (
        f"{translation} with model langevin (in OpenMM's letters V is the kick B, R the drift A)"
    )


def _is(total: Fraction, expected: Fraction) -> bool:
    return abs(total - expected) <= ROUNDING


def _shown(total: Fraction) -> str:
    """A sum for a message: a fraction if it is short, else a decimal."""
    if max(abs(total.numerator), total.denominator) < 10**6:
        return str(total)
    return f"{float(total):.17g}" if abs(total) < 10**300 else "more than 1e300"


def _check_sums(word: Word, model: Model) -> None:
    if word.is_runge_kutta:
        return _check_rows(word)
    _check_rows_between(word)
    last = len(word.ops) - 1
    if "".join(sorted(word.letters)) not in model.splittings:
        sets = " or ".join(" ".join(letters) for letters in model.splittings)
        used = " ".join(sorted(word.letters))
        drift = f"the {model.dynamics.upper()}'s drift"
        problem = (
            f"{used} does not add up to {drift}"
            if used
            else f"no letter moves the state by {drift}"
        )
        raise word.error(last, problem, sets)
    for letter in sorted(word.letters):
        total = sum(_parts(word, letter), Fraction(0))
        if not _is(total, Fraction(1)):
            index = max(i for i, op in enumerate(word) if op.letter == letter)
            problem = f"the fractions of {letter} add up to {_shown(total)}"
            raise word.error(index, problem, f"a sum of 1 over all {letter}")
    return None


def _parts(word: Word, letter: str) -> Iterator[Fraction]:
    """The parts of the step over which a letter is advanced; of rows, the last of each run."""
    inside = rows_of(word)
    for index, op in enumerate(word):
        if op.letter != letter:
            continue
        if not op.row:
            yield op.fraction
        elif inside.get(index + 1) != letter:
            yield sum(op.row, Fraction(0))


def _check_rows_between(word: Word) -> None:
    """Rows of a piece: as many weights as evaluations in their run, at most, and no row unused."""
    inside, evaluations = rows_of(word), 0
    for index, op in enumerate(word):
        if op.letter == "S":
            begins = inside.get(index - 1) != inside.get(index)
            evaluations = 1 if begins else evaluations + 1
        elif op.row:
            if inside.get(index - 1) != op.letter or word.ops[index - 1].row:
                raise word.error(index, "no evaluation of its own before this row", "an S before")
            if len(op.row) > evaluations:
                problem = f"{len(op.row)} weights, but {evaluations} evaluations in this run of S"
                problem += f" and {op.letter}[...]"
                raise word.error(index, problem, f"at most {evaluations} weights")


def _check_rows(word: Word) -> None:
    """Rows and score times of a Runge-Kutta word: the row sums are the nodes c."""
    evaluations, row_sum = 0, Fraction(0)
    for index, op in enumerate(word):
        if op.letter == "S":
            if not _is(op.at, row_sum):
                here = _shown(row_sum)
                raise word.error(index, f"the state here stands at {here} of the step", f"S@{here}")
            evaluations += 1
            continue
        if not op.row:
            raise word.error(index, "every E of a Runge-Kutta word has a row", "E[1/2]")
        if len(op.row) > evaluations:
            raise word.error(
                index,
                f"{len(op.row)} weights, but {evaluations} evaluations so far in the step",
                f"at most {evaluations} weights",
            )
        if index and word.ops[index - 1].row:
            raise word.error(
                index, "the row before is never used: a row starts anew", "an S between rows"
            )
        row_sum = sum(op.row, Fraction(0))
    if not _is(row_sum, Fraction(1)):
        problem = f"the last row sums to {_shown(row_sum)}"
        raise word.error(len(word.ops) - 1, problem, "weights that sum to 1")


def _check_scores(word: Word, model: Model) -> None:
    scores = [i for i, op in enumerate(word) if op.letter == "S"]
    uses = [i for i in range(len(word.ops)) if _uses_score(word, model, i)]
    if not scores:
        raise word.error(
            uses[0], "the score is used but never evaluated", "an S before it, or later in the word"
        )
    carried = uses[0] < scores[0]
    if carried and any(op.row for op in word):
        problem = "a word with rows does not carry a score over from the step before"
        raise word.error(uses[0], problem, "an S before it")
    for index, following in zip(scores, [*scores[1:], len(word.ops)], strict=True):
        used = any(index < use < following for use in uses)
        if not used and not (carried and following == len(word.ops)):
            raise word.error(index, "this score is never used", "a piece that uses it, or no S")
