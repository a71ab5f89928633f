"""A word resolved: what one step does, instruction by instruction, as all worlds carry it out.

Here a letter becomes the piece it names, fractions become stretches of the step, and a row of
weights gets its zeros; closed forms, exact moments and the engine read the result, not the word.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from splitting_analysis.models import Model, Piece, Rule
from splitting_analysis.notation import Word
from splitting_analysis.predictions import COEFFICIENTS, HELD, CoefficientRule, Held, Prediction


@dataclass(frozen=True)
class Evaluate:
    """Evaluate the score at the current state, conditioned on the part `at` of the step."""

    at: Fraction
    """0 is the step's start, 1 its end, -1 the start of the step before."""
    weighed: Piece | None = None
    """The piece whose drift with this score later rows weigh."""
    begins: bool = False
    """Whether these rows start from the current state: the first of their evaluations."""


@dataclass(frozen=True)
class Advance:
    """Advance a piece of the drift over [start, stop] of the step, the score held."""

    piece: Piece
    start: Fraction
    stop: Fraction
    index: int
    """Place in the word: it names the noise that is drawn."""
    seen: Fraction = Fraction(0)
    """The part of the step on which the score that it uses was conditioned; conjugate steps need
    it.
    """

    @property
    def share(self) -> Fraction:
        """The part of the step that it covers."""
        return self.stop - self.start


@dataclass(frozen=True)
class Row:
    """From the state where the first of its evaluations was, h times their weighted drifts,
    oldest first: of the whole drift, or of a piece between others, at the clock rates of their
    times.
    """

    weights: tuple[Fraction, ...]


@dataclass(frozen=True)
class Hold:
    """Advance the whole drift over [start, stop] of the step exactly, a prediction held.

    It is held as the polynomial through the last `through` evaluations, earlier steps' included; in
    the first steps of a run through as many as there are.
    """

    held: Held
    start: Fraction
    stop: Fraction
    through: int
    rule: CoefficientRule
    """What stands for the polynomial's moments."""
    restarts: bool
    """Whether it begins at the step's start rather than at the current state."""
    index: int
    """Place in the word: it names the noise that is drawn."""
    drawn: tuple[tuple[Fraction, Fraction], ...] = ()
    """The parts of the stretch in which its noise is drawn, from its start on: a part that an
    earlier step of the same step of the run went over has the noise that was drawn there."""


Instruction = Evaluate | Advance | Row | Hold


@dataclass(frozen=True)
class Program:
    """The instructions of a word in its model, one per token."""

    instructions: tuple[Instruction, ...]

    @property
    def evaluations(self) -> int:
        """Score evaluations per step."""
        return sum(isinstance(each, Evaluate) for each in self.instructions)

    @property
    def has_rows(self) -> bool:
        """Whether some of its evaluations are drifts that later rows weigh."""
        return any(isinstance(each, Row) for each in self.instructions)

    @property
    def holds(self) -> tuple[Hold, ...]:
        """Its steps that hold a prediction."""
        return tuple(each for each in self.instructions if isinstance(each, Hold))

    @property
    def uses_clock(self) -> bool:
        """Whether it depends on the clock in which held polynomials are ones, and steps halved."""
        return any(op.through > 1 or op.stop != 1 for op in self.holds)

    @property
    def steps_in_clock(self) -> bool:
        """Whether where a step is halved, or what Euler's rule takes for its length, matters."""
        parts = [op.at for op in self.instructions if isinstance(op, Evaluate)]
        moved = [op for op in self.instructions if isinstance(op, Advance)]
        parts += [part for op in moved for part in (op.start, op.stop)]
        frozen = any(op.piece.rule is not Rule.EXPONENTIAL for op in moved)
        return self.has_rows or frozen or any(part.denominator != 1 for part in parts)

    @property
    def history(self) -> int:
        """Evaluations of earlier steps that a step needs, in the middle of a run."""
        needed, evaluations = 0, 0
        for each in self.instructions:
            evaluations += isinstance(each, Evaluate)
            if isinstance(each, Hold):
                needed = max(needed, each.through - evaluations)
        return needed

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The pieces advanced, in order, repeats included."""
        return tuple(each.piece for each in self.instructions if isinstance(each, Advance))

    @property
    def conjugates(self) -> bool:
        """Whether a conjugate step advances one of its pieces."""
        return any(piece.rule is Rule.CONJUGATE for piece in self.pieces)

    @property
    def held_piece(self) -> Prediction | None:
        """What pieces between others hold, if some do: one word holds one prediction."""
        found = (Prediction(piece.held) for piece in self.pieces if piece.held)
        return next(found, None)

    @property
    def carries_score(self) -> bool:
        """Whether the first score used was evaluated in the step before."""
        for each in self.instructions:
            if isinstance(each, Evaluate):
                return False
            if isinstance(each, Hold) or (isinstance(each, Advance) and each.piece.uses_score):
                return True
        return False

    @property
    def tail(self) -> tuple[Instruction, ...]:
        """From the last evaluation on: what follows the score that the next step carries over."""
        last = max(i for i, each in enumerate(self.instructions) if isinstance(each, Evaluate))
        return self.instructions[last:]


def rows_of(word: Word) -> dict[int, str]:
    """Tokens that belong to rows, evaluations and rows alike, with the letter of those rows.

    A run of such tokens without another between them is one Runge-Kutta step of that letter.
    """
    found: dict[int, str] = {}
    waiting: list[int] = []
    for index, op in enumerate(word):
        if op.letter == "S":
            waiting.append(index)
        elif op.row:
            found |= dict.fromkeys((*waiting, index), op.letter)
            waiting = []
        else:
            waiting = []
    return found


def _drawn(
    before: list[tuple[Fraction, Fraction]], start: Fraction, stop: Fraction
) -> tuple[tuple[Fraction, Fraction], ...]:
    """The parts of a stretch in which noise was drawn before, and the one that is left."""
    parts = tuple(part for part in before if start <= part[0] and part[1] <= stop)
    covered = parts[-1][1] if parts else start
    return parts if covered == stop else (*parts, (covered, stop))


@cache
def resolve(word: Word, model: Model) -> Program:
    """The program of a word. Raises KeyError for a letter without a piece in the model."""
    done: dict[str, Fraction] = {}
    drawn: list[tuple[Fraction, Fraction]] = []
    inside, first = rows_of(word), 0
    instructions: list[Instruction] = []
    seen = next((op.at - 1 for op in reversed(word.ops) if op.letter == "S"), Fraction(0))
    for index, op in enumerate(word):
        if op.letter == "S":
            seen = op.at
            letter = inside.get(index)
            begins = letter is not None and inside.get(index - 1) != letter
            first = index if begins else first
            weighed = model.pieces[letter] if letter else None
            instructions.append(Evaluate(op.at, weighed, begins))
        elif op.row:
            evaluations = sum(before.letter == "S" for before in word.ops[first:index])
            missing = evaluations - len(op.row)
            instructions.append(Row((Fraction(0),) * missing + op.row))
        elif model.holds(op, word):
            restarts = op.through > 0
            start = Fraction(0) if restarts else done.get(op.letter, Fraction(0))
            done[op.letter] = stop = start + op.fraction
            rule = COEFFICIENTS[op.coefficients].rule
            parts = _drawn(drawn, start, stop)
            drawn += parts[-1:] if parts[-1] not in drawn else []
            instructions.append(
                Hold(HELD[op.rule], start, stop, op.through or 1, rule, restarts, index, parts)
            )
        else:
            start = done.get(op.letter, Fraction(0))
            done[op.letter] = stop = start + op.fraction
            piece = model.piece(op.key)
            if piece is None:
                raise KeyError(op.key)
            own = seen if piece.rule is Rule.CONJUGATE else Fraction(0)
            instructions.append(Advance(piece, start, stop, index, own))
    return Program(tuple(instructions))
