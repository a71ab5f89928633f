"""A piece of the reverse drift, the rules that advance one, and the model that pieces make up.

Standard library only.

Coefficients are functions of a namespace of parameters; models.py has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

from splitting_analysis import bends
from splitting_analysis.notation import Op
from splitting_analysis.predictions import Prediction
from splitting_analysis.symbols import ones, refuse_state

Dynamics = Literal["ode", "sde"]
Coefficients = tuple[Any, ...]
Matrix = tuple[Coefficients, ...]


class Rule(StrEnum):
    """How a piece is advanced over a part of the step; each world has one function per rule.

    delta is the integral of beta over that part, b = beta(T - t) times its length, with t the
    start of the whole step; xi are standard normals.
    """

    EULER = "euler"
    """z + b (linear z + score * s) + sqrt(b noise) xi: all frozen at the step's start."""
    EXPONENTIAL = "exponential"
    """exp(delta linear) z + (integral of exp(u linear) over [0, delta]) score * s + N(0, Q), with
    Q the integral of exp(u linear) noise exp(u linear)^T: the exact flow, s frozen."""
    MIDPOINT = "midpoint"
    """(1 - b linear/2)^-1 ((1 + b linear/2) z + b score * s + sqrt(b noise) xi): the implicit
    midpoint rule, s held. Of friction alone it keeps the law that the exact flow keeps."""
    ANCESTRAL = "ancestral"
    """DDPM's step of VP: (x + b score * s) / sqrt(1 - b) + sqrt(b noise) xi."""
    CONJUGATE = "conjugate"
    """Euler's step of B, z - h B z, then the exact flow of dz = (B + beta linear) z dt + beta score
    * s, with s = -L^-T eps and eps held: a conjugate integrator (theory section 6), undone and
    unconjugated."""

    HELD = "held"
    """The exact flow of dz = beta linear z dt + beta score * s, where s is what a prediction held
    says of it: of data, s = (alpha x_0 - x)/sigma^2 with x_0 as it was predicted (theory section
    10)."""


CONJUGATIONS: dict[str, Callable[[Any, int], tuple[tuple[Any, ...], ...]]] = {
    "eps": lambda _, n: tuple((0,) * n for _ in range(n)),
    "eye": lambda value, n: tuple(
        tuple(value if i == j else 0 for j in range(n)) for i in range(n)
    ),
    "ones": lambda value, n: tuple((value,) * n for _ in range(n)),
}
"""B from lambda and the number of components, by the name after the colon: "E:eye" is lambda I.

`eps` has none: the plain exponential integrator with the noise prediction eps = -L^T s held."""


def conjugation(
    name: str, value: Any, n: int, by: bends.Arithmetic | None = None
) -> tuple[tuple[Any, ...], ...]:
    """B, n x n, by its name or, "{1,0,0,1/2}", by the matrix that lambda, `value`, multiplies.

    A matrix with names in it, "{lambda*tau,0,0,lambda}", is evaluated `by` an arithmetic.
    """
    if name in CONJUGATIONS:
        return CONJUGATIONS[name](value, n)
    entries = bends.entries(name)
    if bends.is_constant(name):
        found = [value * e.numerator / e.denominator if e else 0 for e in entries]
    elif by is None:
        raise ValueError(f"B = {name} depends on time or parameters, and none are given")
    else:
        found = [bends.value(e, by) if e != 0 else 0 for e in entries]
    return tuple(tuple(found[n * i : n * i + n]) for i in range(n))


def is_spelled_out(name: str) -> bool:
    """Whether B is a matrix with names in it, which is evaluated at times and parameters."""
    return name.startswith("{") and not bends.is_constant(name)


def takes_lambda(name: str) -> bool:
    """Whether lambda acts in B."""
    return name not in ("", "eps") and (not name.startswith("{") or bends.has_lambda(name))


@dataclass(frozen=True)
class Piece:
    """One term of the reverse drift, its noise, and the rule that advances it.

    Raises ValueError, as it is made, for a rule that the terms do not allow, and for terms in a
    parameter that the table of symbols lacks.
    """

    rule: Rule
    linear: Callable[[Any], Matrix]
    score: Callable[[Any], Coefficients]
    noise: Callable[[Any], Coefficients]
    tuned: int | None = None
    """The component whose noise lambda_s scales, if any (the letter O: the position, 0)."""
    conjugation: str = ""
    """Which B the conjugate rule takes: of CONJUGATIONS, or a matrix as `conjugation` reads it."""
    held: str = ""
    """Which prediction the held rule holds."""
    fading: Fraction = Fraction(0)
    """Of position-only processes: what more of the linear part there is in units of the rate
    -alpha'/alpha at which data fade, rather than of beta. Of VP that is beta/2, in `linear`."""

    def __post_init__(self) -> None:
        if self.rule not in tuple(Rule):
            known = ", ".join(f"Rule.{rule.name}" for rule in Rule)
            raise ValueError(f"no rule {self.rule!r} for a piece; there are: {known}")
        try:
            self.linear(ones()), self.score(ones()), self.noise(ones())
        except AttributeError as error:
            known = ", ".join(vars(ones()))
            raise ValueError(
                f"no parameter {error.name!r} in symbols.py; there are: {known}"
            ) from None
        if self.rule is Rule.ANCESTRAL and self.linear(ones()) != ((ones().half,),):
            raise ValueError(
                "the ancestral rule is that of x/2 in one component: its step contains it"
            )
        if self.rule is Rule.MIDPOINT and not self._uncoupled:
            raise ValueError("the midpoint rule is for pieces that couple no components")
        matrix = self.conjugation.startswith("{")
        if (self.rule is Rule.CONJUGATE) != (matrix or self.conjugation in CONJUGATIONS):
            known = ", ".join([*CONJUGATIONS, "{1,0,0,1}"])
            raise ValueError(
                f"the conjugate rule alone takes a B of {known}, not {self.conjugation!r}"
            )
        if (self.rule is Rule.HELD) != (self.held in tuple(Prediction)):
            known = ", ".join(Prediction)
            raise ValueError(f"the held rule alone holds one of {known}, not {self.held!r}")
        if self.rule is Rule.HELD and (any(self.noise(ones())) or not any(self.score(ones()))):
            raise ValueError(
                "the held rule holds what is known of the score: no noise, and a score"
            )
        if self.rule is Rule.CONJUGATE and (any(self.noise(ones())) or not any(self.score(ones()))):
            raise ValueError("the conjugate rule holds eps: it needs a score, and has no noise")
        if self.tuned is not None and not (self.rule is Rule.EXPONENTIAL and self._uncoupled):
            raise ValueError(
                "lambda_s tunes the noise of exponential pieces that couple no components"
            )

    @property
    def _uncoupled(self) -> bool:
        return not any(
            entry
            for i, row in enumerate(self.linear(ones()))
            for j, entry in enumerate(row)
            if i != j
        )

    @cached_property
    def uses_score(self) -> bool:
        return any(self.score(ones()))

    @cached_property
    def has_noise(self) -> bool:
        return any(self.noise(ones()))


@dataclass(frozen=True, eq=False)
class Model:
    """A process family: its state, its score and its letters. Equal only to itself.

    `scores` names the score that acts on each component ("" for none), `score_arguments` the
    components it depends on. `pieces` is keyed by letter, or `letter:rule` for another rule.
    Raises ValueError for names that formulas could not spell or tell apart.
    """

    name: str
    dynamics: Dynamics
    components: tuple[str, ...]
    scores: tuple[str, ...]
    score_arguments: tuple[str, ...]
    time_dependent: bool
    parameters: tuple[str, ...]
    pieces: Mapping[str, Piece]
    splittings: tuple[str, ...]
    """Sets of letters that add up to the full drift E."""
    held: tuple[str, ...] = ()
    """The predictions that a step `E:...` may hold (predictions.HELD)."""
    conjugates: bool = False
    """Whether its pieces with a score may be conjugate steps: it has an eps with a factor."""
    churns: bool = False
    """Whether a step may go back in time first, by adding noise (churn.py)."""
    acts: tuple[int, ...] = ()
    """The component that each score acts on, where it is not the one of its own place."""
    eta: Fraction | None = None
    """The noise level of its pieces where it is neither the ODE's, 0, nor the SDE's, 1."""

    def __post_init__(self) -> None:
        refuse_state(self.components, self.scores, self.parameters)

    def __repr__(self) -> str:
        return f"<model {self.name} {self.dynamics}>"

    @cached_property
    def asked(self) -> tuple[int, ...]:
        """The components at which the score is evaluated, counted from 0."""
        return tuple(self.components.index(c) for c in self.score_arguments)

    @cached_property
    def onto(self) -> tuple[int, ...]:
        """The component that each score acts on, by its place in `scores`, counted from 0."""
        return self.acts or tuple(range(len(self.scores)))

    def moves(self, piece: Piece, p: Any, component: int) -> bool:
        """Whether the piece moves that component, at parameters p."""
        pushed = zip(self.onto, piece.score(p), strict=True)
        return (
            piece.fading != 0
            or any(piece.linear(p)[component])
            or any(bool(w) for i, w in pushed if i == component)
            or bool(piece.noise(p)[component])
        )

    @cached_property
    def driven(self) -> tuple[int, ...]:
        """The places in `scores` that hold one, in the order in which it is returned."""
        return tuple(i for i, name in enumerate(self.scores) if name)

    @property
    def drift(self) -> Piece:
        return self.pieces["E"]

    @property
    def level(self) -> Fraction:
        """The noise level of its pieces."""
        return Fraction(self.dynamics == "sde") if self.eta is None else self.eta

    @property
    def has_levels(self) -> bool:
        """Whether its splittings have a noise level, and run in any clock: of positions alone."""
        return len(self.components) == 1 and self.time_dependent

    @cached_property
    def conjugate(self) -> Mapping[str, Piece]:
        """Pieces that a conjugate step may advance, by `letter:name`; none where there is no
        eps.
        """
        if not self.conjugates:
            return {}
        return {
            f"{letter}:{name}": replace(piece, rule=Rule.CONJUGATE, conjugation=name)
            for letter, piece in self.pieces.items()
            if piece.rule is Rule.EULER and piece.uses_score and not piece.has_noise
            for name in CONJUGATIONS
            if not (name in self.held and len(self.components) == 1)
        }

    @cached_property
    def holding(self) -> Mapping[str, Piece]:
        """Pieces of a splitting that may hold a prediction, by `letter:name`, beside conjugate
        ones: of positions alone any, of psld the data.
        """
        names = tuple(Prediction) if self.has_levels else self.held[:1]
        return (
            {
                key: replace(piece, rule=Rule.HELD, held=str(name))
                for letter, piece in self.pieces.items()
                if letter != "E" and piece.rule is Rule.EULER and piece.uses_score
                for name in names
                if not piece.has_noise and (key := f"{letter}:{name}") not in self.conjugate
            }
            if self.time_dependent
            else {}
        )

    def holds(self, op: Op, word: Iterable[Op]) -> bool:
        """Whether a token of the word holds a prediction through several evaluations, or one.

        `E:eps` of psld alone is a conjugate step; where a token of its word has a bracket, all are
        steps that hold eps, which through one evaluation is the same.
        """
        if op.letter != "E" or op.rule not in self.held:
            return False
        return op.key not in self.conjugate or any(other.through for other in word)

    def piece(self, key: str) -> Piece | None:
        """The piece of a token's key; None where it names none."""
        letter, _, name = key.partition(":")
        plain = self.conjugate.get(f"{letter}:eye")
        if plain is not None and name.startswith("{") and len(self.components) == 2:
            return replace(plain, conjugation=name)
        return self.pieces.get(key) or self.conjugate.get(key) or self.holding.get(key)

    @property
    def has_tunable_noise(self) -> bool:
        return any(piece.tuned is not None for piece in self.pieces.values())
