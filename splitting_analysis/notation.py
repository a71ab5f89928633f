"""Words: the one-line text that *is* a sampler, parsed to exact data and printed back.

A word is a row of tokens, carried out left to right within one step of size h:

    S         evaluate the score at the current state, conditioned on the step's start
    S@1       the same, conditioned on the step's end (S@1/2 on its middle)
    A  B/2    advance piece A over the whole step, piece B over half of it
    B*2/3     two thirds of it; B*-1/3 backwards over a third (deterministic pieces only)
    B*0.25    a decimal is read as the fraction that it spells, and printed as that: B/4
    E:exp     piece E advanced by another rule than its default (here the exponential one)
    (S B/2 A/2)*2   what is in brackets, so many times
    E[0,1/2]  a Runge-Kutta row: from the step's start, h times the weighted drifts of the
              last evaluations, oldest first; the row before S@c sums to c, the last to 1
    K[0,1]    the same of a piece, between others: from where the first of these evaluations
              was, at the times that they say; the last row sums to the part of K that is done
    E:{1,0,0,1/2}   a conjugate step with B = lambda times this matrix, row by row
    E:{lambda*tau,0,0,lambda}   with names in it (bends.py) the matrix is B itself
    E:data    piece E exactly, the prediction of the data held (others: eps, score, ...)
    E:data[2]       from the step's start, a polynomial through the last two evaluations held,
                    earlier steps' included; E:data/2[1] up to the middle of the step
    E:data[2:dpm]   the same with coefficients as published (predictions.py)
    B:data    piece B exactly while the data predicted at the last evaluation say its score

This module knows the grammar only. What a letter means is the model's business (models.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from splitting_analysis.bends import ALLOWED, canonical
from splitting_analysis.spelling import NUMBER, from_openmm, respell

GRAMMAR = (
    "S, S@1/2 (score), A, B/2, B*2/3, B*0.5, E:exp (pieces), (S B/2 A/2)*2 (repeat), "
    "E[1/2,1/2] (row), E:data[2] (prediction)"
)
REPEAT = "(S B/2 A/2)*2"
MAX_TOKENS = 400
MAX_LENGTH = 10_000
"""Characters; beyond it a text is no word, and reading it need not be fast."""

MAX_DIGITS = 40
"""Of a numerator or denominator: more than twice those of a float64, so that any of them can be
typed.
"""

_TOKEN = re.compile(
    rf"(?P<letter>[A-Z])(?:@(?P<at>{NUMBER}))?"
    rf"(?::(?P<rule>[a-z]{{1,20}}|\{{[^{{}}]*\}}))?"
    rf"(?:\*(?P<times>{NUMBER})|/(?P<over>[0-9]{{1,40}}))?"
    rf"(?:(?(rule)|(?!))\[(?P<through>[1-9])(?::(?P<coefficients>[a-z][a-z0-9]{{0,19}}))?\]"
    rf"|\[(?P<row>{NUMBER}(?:,{NUMBER})*)\])?"
)
_CHUNK = re.compile(
    r"[A-Z]:\{[^{}]*\}[^\s()]*|\(|\)[^\s()]*|[^\s\[\]()]*\[[^\]]*\][^\s()]*|[^\s()]+"
)


class WordError(ValueError):
    """A word that is refused; the message shows the place and says what is allowed there."""

    def __init__(self, text: str, start: int, length: int, problem: str, allowed: str) -> None:
        self.problem, self.allowed, self.start = problem, allowed, start
        shown = "".join(c if c.isprintable() else "?" for c in text)
        left = max(0, start - 60)
        shown = shown[left : left + 120]
        marker = " " * (start - left) + "^" * max(1, min(length, 120 - (start - left)))
        super().__init__(f"{problem}\n  {shown}\n  {marker}\n  allowed: {allowed}")
        self._parts = (text, start, length, problem, allowed)

    def __reduce__(self) -> tuple[type[WordError], tuple[str, int, int, str, str]]:
        # so that it pickles: Exception would pass on the message alone
        return WordError, self._parts


@dataclass(frozen=True)
class Op:
    """One token. `S` has a score time `at`; every other letter has a fraction or a row."""

    letter: str
    fraction: Fraction = Fraction(1)
    at: Fraction = Fraction(0)
    rule: str = ""
    """How the piece is advanced; "" is the letter's default rule in its model."""
    row: tuple[Fraction, ...] = ()
    """Weights of the last evaluations, oldest first. Evaluations older than the step's first
    `S` (linear multistep methods) and other rules fit in here: no second kind of scheme."""
    through: int = 0
    """Evaluations that a held polynomial passes through, in a step from the start; 0 for none
    such.
    """
    coefficients: str = ""
    """Whose coefficients those are; "" for the polynomial's integral."""

    @property
    def key(self) -> str:
        """The key of its piece in `Model.pieces`: "E", "E:exp"."""
        return f"{self.letter}:{self.rule}" if self.rule else self.letter

    def __str__(self) -> str:
        if self.letter == "S":
            return "S" if self.at == 0 else f"S@{self.at}"
        name = self.letter + (f":{self.rule}" if self.rule else "")
        if self.row:
            return f"{name}[{','.join(map(str, self.row))}]"
        if self.fraction.numerator == 1 and self.fraction != 1:
            name += f"/{self.fraction.denominator}"
        elif self.fraction != 1:
            name += f"*{self.fraction}"
        if not self.through:
            return name
        return f"{name}[{self.through}{':' * bool(self.coefficients)}{self.coefficients}]"


@dataclass(frozen=True)
class Word:
    """A parsed word: `ops` in order of application. `str(word)` is its canonical spelling."""

    ops: tuple[Op, ...]

    def __str__(self) -> str:
        return " ".join(map(str, self.ops))

    def __iter__(self) -> Iterator[Op]:
        return iter(self.ops)

    def _repr_latex_(self) -> str:
        shown = self.folded.replace("{", r"\{").replace("}", r"\}")
        return r"$\mathtt{" + shown.replace(" ", r"\;") + "}$"

    @property
    def folded(self) -> str:
        """The spelling with a repeat in brackets, where that is shorter: "(S B/3 A/3)*3"."""
        return _folded(tuple(str(op) for op in self.ops))

    @property
    def nfe(self) -> int:
        """Score evaluations per step."""
        return sum(op.letter == "S" for op in self.ops)

    @property
    def letters(self) -> frozenset[str]:
        """The pieces used, `S` left out."""
        return frozenset(op.letter for op in self.ops) - {"S"}

    @property
    def is_runge_kutta(self) -> bool:
        """Whether it is made of rows of the whole drift."""
        return self.letters == {"E"} and any(op.row for op in self.ops)

    def error(self, index: int, problem: str, allowed: str) -> WordError:
        """A `WordError` pointing at token `index` of the canonical spelling."""
        tokens = [str(op) for op in self.ops]
        start = sum(len(token) + 1 for token in tokens[:index])
        return WordError(str(self), start, len(tokens[index]), problem, allowed)


def parse(text: str) -> Word:
    """Read a word. Raises `WordError`, and nothing else, for any text that is not one.

    Where the text is a word but for its spelling ("o,s,½b"), the message says what it would be.
    """
    try:
        return _read(text)
    except WordError as error:
        meant = meant_word(text)
        if meant is None:
            raise
        _, start, length, problem, allowed = error._parts
        raise WordError(
            text, start, length, f"{problem}; did you mean {meant!r}?", allowed
        ) from None


def meant_word(text: str) -> str | None:
    """The word that a text that is none was probably meant to be, in canonical spelling, or
    None.
    """
    meant = from_openmm(re.findall(r"[^\s,]", text.upper())) or respell(text)
    try:
        return None if meant is None else str(_read(meant))
    except WordError:
        return None


def _read(text: str) -> Word:
    if not isinstance(text, str):
        raise TypeError(f"a word is a string such as 'S B A', not {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        problem = f"the text has {len(text)} characters"
        raise WordError(text, MAX_LENGTH, 1, problem, f"at most {MAX_LENGTH}")
    chunks = list(_CHUNK.finditer(text))
    if not chunks:
        raise WordError(text, 0, 1, "the word is empty", GRAMMAR)
    return Word(tuple(_ops(text, chunks)))


def _ops(text: str, chunks: list[re.Match[str]]) -> list[Op]:
    """The ops of a text cut in chunks, repeats written out."""

    def checked(ops: list[Op], chunk: re.Match[str]) -> list[Op]:
        if len(ops) > MAX_TOKENS:
            problem = f"the word has more than {MAX_TOKENS} tokens"
            raise WordError(
                text, chunk.start(), 1, problem, f"at most {MAX_TOKENS}, repeats written out"
            )
        return ops

    levels: list[list[Op]] = [[]]
    opened: list[re.Match[str]] = []
    for chunk in chunks:
        said, start = chunk.group(), chunk.start()
        if said == "(":
            levels.append([])
            opened.append(chunk)
        elif said[0] == ")":
            if not opened:
                raise WordError(text, start, len(said), "nothing was opened here", REPEAT)
            times = int(said[2:] or 1) if re.fullmatch(r"\)(\*[0-9]{1,4})?", said) else 0
            if not times or not levels[-1]:
                problem = f"cannot repeat by {said[:40]!a}" if levels[-1] else "nothing to repeat"
                raise WordError(text, start, len(said), problem, f"a positive number, {REPEAT}")
            opened.pop()
            again = levels.pop()
            levels[-1] = checked(levels[-1] + again * min(times, MAX_TOKENS + 1), chunk)
        else:
            levels[-1] = checked([*levels[-1], _parse_token(text, said, start)], chunk)
    if opened:
        raise WordError(text, opened[-1].start(), 1, "this is never closed", REPEAT)
    return levels[0]


def _parse_token(text: str, token: str, start: int) -> Op:
    def refuse(problem: str, allowed: str) -> WordError:
        return WordError(text, start, len(token), problem, allowed)

    match = _TOKEN.fullmatch(re.sub(r" *([,\[\]]) *", r"\1", token))
    if match is None:
        raise refuse(f"cannot read {token[:40]!a}", GRAMMAR)
    part = match.groupdict()
    try:
        numbers = {key: _number(part[key]) for key in ("at", "times") if part[key] is not None}
        row = tuple(_number(number) for number in (part["row"] or "").split(",") if number)
        over = Fraction(1, int(part["over"])) if part["over"] is not None else None
    except ZeroDivisionError:
        raise refuse(f"division by zero in {token!r}", "a non-zero denominator") from None
    rule = part["rule"] or ""
    if rule.startswith("{"):
        try:
            rule = canonical(rule)
        except ValueError as error:
            raise refuse(str(error), f"E:{{1,0,0,1/2}} with {ALLOWED}") from None
    if any(_too_long(number) for number in (*numbers.values(), *row)):
        raise refuse(
            "a number with too many digits", f"fractions of at most {MAX_DIGITS} digits each"
        )
    if part["letter"] == "S":
        if part["rule"] or part["times"] or part["over"] or row or part["through"]:
            raise refuse("a score evaluation has no fraction, rule or row", "S, S@1, S@1/2")
        at = numbers.get("at", Fraction(0))
        if not 0 <= at <= 1:
            raise refuse(f"score time {at} lies outside the step", "S@c with 0 <= c <= 1")
        return Op("S", at=at)
    if "at" in numbers:
        raise refuse("only the score S has a time", f"S@{numbers['at']} or {part['letter']}")
    fraction = over if over is not None else numbers.get("times", Fraction(1))
    if fraction == 0:
        raise refuse("a piece over a zero fraction does nothing", "a non-zero fraction")
    if row and (over or "times" in numbers):
        raise refuse(
            "a row has its fraction in its sum", f"{part['letter']}[1/2] for half of the step"
        )
    if row and part["rule"]:
        raise refuse(
            f"{part['row']!a} is no number of evaluations", "a whole number from 1 to 9, E:data[2]"
        )
    through = int(part["through"] or 0)
    return Op(
        part["letter"],
        fraction,
        rule=rule,
        row=row,
        through=through,
        coefficients=part["coefficients"] or "",
    )


def _number(text: str) -> Fraction:
    """Exactly what the text spells: 0.1 is 1/10. Raises ZeroDivisionError for 1/0."""
    number, _, divisor = text.partition("/")
    return Fraction(number) / int(divisor or 1)


def read_number(text: str) -> Fraction:
    """Exactly the number that a text such as "1", "1.25", "1e-3" or "5/4" spells.

    Raises ValueError, one bounded sentence, for any other text and for more than MAX_DIGITS digits.
    """
    shown = f"{text[:MAX_DIGITS]!a}" + ("..." if len(text) > MAX_DIGITS else "")
    # NUMBER bounds digits and exponent, so that no huge integer is built before it is refused
    if len(text) <= 4 * MAX_DIGITS and re.fullmatch(NUMBER, text.strip().lower()):
        try:
            number = _number(text.strip())
        except ZeroDivisionError:
            raise ValueError(f"{shown} divides by zero") from None
        if not _too_long(number):
            return number
    raise ValueError(
        f"{shown} is not a number such as 1, 1.25 or 5/4 with at most {MAX_DIGITS} digits in its "
        "numerator and denominator"
    )


def read_float(text: str) -> float:
    """The float64 nearest to the number that the text spells: 1.25, 5/4, 1e-3; inf and nan are read
    too.

    Raises ValueError, one bounded sentence, for any other text (Python reads 1_0 as 10, and digits
    of any script) and for a number other than 0 that would become 0.
    """
    shown = f"{text[:MAX_DIGITS]!a}" + ("..." if len(text) > MAX_DIGITS else "")
    if "/" in text:
        return float(read_number(text))
    try:
        value = float(text if text.isascii() and "_" not in text else "")
    except ValueError:
        raise ValueError(f"{shown} is not a number") from None
    if value == 0 and re.search("[1-9]", text.lower().partition("e")[0]):
        raise ValueError(f"{shown} is closer to 0 than float64 reaches")
    return value


def _too_long(number: Fraction) -> bool:
    return max(abs(number.numerator), number.denominator) >= 10**MAX_DIGITS


@cache
def _folded(tokens: tuple[str, ...]) -> str:
    """The tokens with one repeat in brackets, the one that saves most."""
    best = " ".join(tokens)
    for size in range(1, len(tokens) // 2 + 1):
        for start in range(len(tokens) - 2 * size + 1):
            unit = tokens[start : start + size]
            times = 1
            while tokens[start + times * size : start + (times + 1) * size] == unit:
                times += 1
            if times == 1:
                continue
            parts = (tokens[:start], tokens[start + times * size :])
            before, after = (" ".join(part) for part in parts)
            text = f"{before} ({' '.join(unit)})*{times} {after}".strip()
            best = min(best, text, key=len)
    return best


def as_word(word: str | Word | Sequence[Op]) -> Word:
    """`word` itself, or its parse, or the word of the given ops. Raises WordError, or ValueError
    for what is none of these.
    """
    if isinstance(word, Word):
        return word
    if isinstance(word, str):
        return parse(word)
    ops = tuple(word) if isinstance(word, Iterable) else (word,)
    if not all(isinstance(op, Op) for op in ops):
        raise ValueError(
            f"{str(word)[:40]} is no word: give text such as 'O S B A', a Word, or operations"
        )
    made = Word(ops)
    for index, (op, spelled) in enumerate(zip(made, parse(str(made)), strict=True)):
        if op != spelled:
            raise made.error(index, f"{op!r} has no spelling", GRAMMAR)
    return made
