"""Scheme: one sampler as frozen data (name, word, model, source, claims), refused if
inconsistent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import inf

from splitting_analysis.checking import check
from splitting_analysis.churn import Churn
from splitting_analysis.clocks import CLOCKS, Clock
from splitting_analysis.models import Dynamics, Model, Rule, model_at, model_of, takes_lambda
from splitting_analysis.notation import Op, Word, as_word
from splitting_analysis.predictions import Prediction
from splitting_analysis.program import Program, resolve
from splitting_analysis.told import (
    FACTORS,
    MOST_CONJUGATE,
    MOST_SKIP,
    TRIANGULAR,
    Denoise,
    DoesNotAct,
    Factor,
    LambdaS,
    Source,
)

__all__ = ["FACTORS", "TRIANGULAR", "Denoise", "Factor", "LambdaS", "Scheme", "Source"]
_USER, _FREE = Source("user"), LambdaS()


@dataclass(frozen=True, repr=False)
class Scheme:
    """A named sampler. Raises WordError or ValueError when word, model and settings disagree.

    `order` is the claimed order of the global error (weak, for an SDE); None claims nothing. It is
    not compared here, as deriving an order may take long: `derive` shows it beside the derived one.
    """

    name: str
    word: Word
    model: Model
    source: Source = field(default=_USER)
    order: int | None = None
    lambda_s: LambdaS = field(default=_FREE)
    clock: Clock | None = None
    """In what a held polynomial is one, and `S@1/2` is in the middle; lambda unless it says
    otherwise.
    """
    eta: Fraction | None = None
    """The noise level of steps that hold a prediction: 0 the ODE, 1 the reverse SDE."""
    conjugate: Fraction = Fraction(0)
    """lambda of its conjugate steps: B is lambda I in `E:eye`, lambda times all ones in
    `E:ones`, and what it says in `E:{lambda*tau,0,0,lambda}`.
    """
    factor: Factor = "lower"
    """L of the eps that conjugate steps hold, s = -L^-T eps with L L^T the kernel's covariance; and
    the R of steps of psld that hold the data, which carry R^-1 (z - mu x_0) along.
    """
    skip: Fraction | None = None
    """The eps of conjugate steps is that of the score without C_skip z, C_skip = -Sigma^-1 with
    Sigma the covariance of Gaussian data of this variance; None: C_skip = 0.
    """
    told: bool = False
    """Whether lambda of its conjugate steps was told: if not, it is a symbol in closed forms, and 0
    in numbers.
    """

    lower_final: bool = False
    """Whether the last steps of a run hold fewer evaluations: the very last those of its own alone,
    the one before one step's more, and so on.
    """

    churn: Churn | None = None
    """Whether each step first goes back in time by adding noise."""

    def __post_init__(self) -> None:
        holds = any(self.model.holds(op, self.word) for op in self.word)
        if self.eta not in (None, self.model.level) and self.model.has_levels and not holds:
            object.__setattr__(self, "model", model_at(self.model.name, Fraction(self.eta or 0)))
        check(self.word, self.model)
        self._check_conjugate()
        if self.clock is None:
            object.__setattr__(self, "clock", "lambda" if holds else "tau")
        if self.clock not in CLOCKS:
            raise ValueError(f"no clock {self.clock!r}; there are: {', '.join(CLOCKS)}")
        if self.clock != "tau" and not (holds or self.runs_in_clocks):
            raise ValueError(
                f"{self.name}: the clock {self.clock} is for words that hold a prediction, e.g. S "
                f"E:data[2], and for splittings of positions alone; {self.again} of "
                f"{self.model_name} runs in tau"
            )
        level = self.model.level
        if self.eta is None:
            object.__setattr__(self, "eta", level)
        if self.eta != level and not holds:
            raise ValueError(
                f"{self.name}: eta = {self.eta} acts in words that hold a prediction, e.g. S "
                "E:data, and in those of positions alone, e.g. L/2 S K L/2 of vp; "
                f"{self.again} is one of the {self.dynamics.upper()}, eta = {level}"
            )
        if (self.eta == 0) != (self.dynamics == "ode") or not 0 <= self.noise_level < inf:
            right = "0" if self.dynamics == "ode" else "above 0"
            raise ValueError(
                f"{self.name}: eta = {self.eta} with the {self.dynamics.upper()}; it is {right}"
            )
        if any(hold.held.ddim for hold in self.program.holds) and self.noise_level > 1:
            raise ValueError(f"{self.name}: eta = {self.eta}; DDIM's own lies between 0 and 1")
        if self.holds_pair and self.noise_level > 1:
            raise ValueError(
                f"{self.name}: eta = {self.eta}; where data are held on psld it lies between 0, "
                "deterministic, and 1, the exact bridge"
            )
        if self.churn and (not self.model.churns or not holds or self.program.history):
            raise DoesNotAct(
                f"{self.name}: S_churn adds noise before a step of ve that holds evaluations of "
                f"its own alone, e.g. S E:eps S@1 E:eps[2]; this is {self.word} of "
                f"{self.model.name}"
            )
        if self.lower_final and self.program.history <= self.carries_score:
            raise ValueError(
                f"{self.name}: a lower order in the last steps is for words that hold evaluations "
                f"of earlier steps, e.g. S E:data[2]; {self.again} holds none"
            )
        if self.order is not None and not (hasattr(self.order, "__index__") and self.order >= 1):
            raise ValueError(
                f"{self.name}: claims order {self.order}; a consistent scheme has at least 1"
            )

    def _check_conjugate(self) -> None:
        if self.conjugate and not self.bends:
            raise ValueError(
                f"{self.name}: lambda = {self.conjugate} acts in conjugate steps, e.g. S E:eye or "
                f"S E:ones; {self.again} has none"
            )
        if not abs(self.conjugate) <= MOST_CONJUGATE:
            raise ValueError(
                f"{self.name}: lambda = {self.conjugate} lies beyond +-{MOST_CONJUGATE}"
            )
        if self.conjugate:
            object.__setattr__(self, "told", True)
        if self.skip is not None:
            self._check_skip(self.skip)
        known = self.factors or TRIANGULAR
        if self.factor not in known:
            held = f"; {self.factor} is one of S E:data on psld" if self.factor in FACTORS else ""
            raise ValueError(
                f"{self.name}: no factor {self.factor!a}; there are: {', '.join(known)}{held}"
            )
        if self.factor != "lower" and not self.factors:
            raise ValueError(
                f"{self.name}: factor = {self.factor} is that of the eps that conjugate steps of "
                "psld hold, e.g. S E:eps, or of data held there, S E:data; the score has no "
                f"factor, and {self.again} has none"
            )

    def _check_skip(self, variance: Fraction) -> None:
        users = [piece for piece in self.program.pieces if piece.uses_score]
        if not users or any(piece.rule is not Rule.CONJUGATE for piece in users):
            raise DoesNotAct(
                f"{self.name}: skip = {variance} acts in words whose scores conjugate steps alone "
                f"use, e.g. S E:eps or S B:eye A:eye; {self.again} is none"
            )
        if not 0 < variance <= MOST_SKIP:
            raise ValueError(
                f"{self.name}: skip = {variance}: the variance of data lies above 0 and up to "
                f"{MOST_SKIP}"
            )

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The factors that it may take; none where a factor does not act."""
        if self.holds_pair:
            match self.program.holds[0].held.prediction:
                case Prediction.DATA:
                    return FACTORS
                case Prediction.EPS:
                    return TRIANGULAR
            return ()
        acts = self.program.conjugates and len(self.model.components) == 2
        return TRIANGULAR if acts else ()

    def __str__(self) -> str:
        """Its name and word; of a scheme without a name of its own the word alone."""
        return str(self.word) if self.name == str(self.word) else f"{self.name} = {self.word}"

    @property
    def again(self) -> str:
        """Its word, in a sentence that has begun with its name, which may be the word."""
        return "this word" if self.name == str(self.word) else str(self.word)

    def __repr__(self) -> str:
        return f"<Scheme {self} ({self.model_name} {self.dynamics})>"

    @property
    def runs_in_clocks(self) -> bool:
        """Whether its pieces may step in another clock than tau: none has a b of its own."""
        rules = {piece.rule for piece in self.program.pieces}
        return self.model.has_levels and not rules & {Rule.ANCESTRAL, Rule.CONJUGATE}

    @property
    def uses_clock(self) -> bool:
        """Whether the clock acts in it."""
        acts = self.runs_in_clocks and self.program.steps_in_clock
        return self.program.uses_clock or acts

    @property
    def noise_level(self) -> Fraction:
        """eta, filled in."""
        return Fraction(0) if self.eta is None else self.eta

    @property
    def equation(self) -> Model:
        """What it solves: its model, of positions alone at its noise level. (Where evaluations are
        held the word is written in the pieces of level 1.) The denoising step is one of Euler's of
        its drift.
        """
        return model_at(self.model_name, self.noise_level) if self.model.has_levels else self.model

    @property
    def bends(self) -> bool:
        """Whether lambda acts in it: one of its conjugate steps has a B with lambda in it."""
        return any(takes_lambda(piece.conjugation) for piece in self.program.pieces)

    def usable(self, left: int) -> int:
        """Evaluations of earlier steps that a step may hold, `left` of the run, the last being 1.

        One at the step's own start, which a carried one is, is not of an earlier step.
        """
        history = self.program.history
        if not self.lower_final:
            return history
        return min(history, self.carries_score + (left - 1) * self.nfe)

    @property
    def holds_pair(self) -> bool:
        """Whether it holds a prediction in a process with a momentum."""
        return bool(self.program.holds) and len(self.model.components) == 2

    @property
    def in_clock(self) -> Clock:
        """The clock, filled in."""
        return self.clock or "tau"

    @property
    def model_name(self) -> str:
        """The name of its model, in lower case."""
        return self.model.name

    @property
    def dynamics(self) -> Dynamics:
        """Whether it steps the ODE or the SDE of its model."""
        return self.model.dynamics

    @property
    def family(self) -> tuple[str, Dynamics]:
        """The names of its model and dynamics."""
        return self.model_name, self.dynamics

    @property
    def stochastic(self) -> bool:
        """Whether its runs draw noise: the SDE's, and those that churn before a step of the ODE."""
        return self.dynamics == "sde" or (self.churn is not None and self.churn.S_churn > 0)

    @property
    def kind(self) -> str:
        """Its dynamics, and whether it churns before a step of them: ode, sde, ode+churn."""
        return self.dynamics + "+churn" * (self.churn is not None)

    @property
    def nfe(self) -> int:
        """Score evaluations per step."""
        return self.program.evaluations

    @cached_property
    def program(self) -> Program:
        """The word resolved in its model."""
        return resolve(self.word, self.model)

    @property
    def has_tunable_noise(self) -> bool:
        """Whether lambda_s acts in it: a letter of its word has position noise to scale."""
        return any(piece.tuned is not None for piece in self.program.pieces)

    def _repr_latex_(self) -> str:
        """Displays as its name and word in a notebook."""
        return rf"$\text{{{self.name}}} = " + self.word._repr_latex_()[1:]

    @property
    def carries_score(self) -> bool:
        """Whether the first score used in a step was evaluated in the step before."""
        return self.program.carries_score


def scheme(
    word: str | Word,
    model: str | Model = "psld",
    dynamics: str | None = None,
    name: str | None = None,
    *,
    source: Source = _USER,
    order: int | None = None,
    nfe: int | None = None,
    lambda_s: LambdaS = _FREE,
    clock: Clock | None = None,
    eta: Fraction | None = None,
    churn: Churn | None = None,
) -> Scheme:
    """A scheme from a word. In a named model, words with noise in them, or a piece that the ODE has
    not, are the SDE's, others the ODE's.

    `model` is a name, upper or lower case, or a model of your own, which has its dynamics. `order`
    and `nfe` are claims. Raises WordError or ValueError when word, model and the claimed `nfe`
    disagree; a claimed order is kept beside the derived one, which `derive` and `sa.order` find.
    """
    word = as_word(word)
    if isinstance(model, str):
        model = model.strip().lower()
        if dynamics is None:
            dynamics = "sde" if _is_noisy(word, model) else "ode"
        model = model_of(model, dynamics.strip().lower())
    elif dynamics not in (None, model.dynamics):
        raise ValueError(
            f"the model {model.name} that was given is one of the {model.dynamics.upper()}"
        )
    name = name or str(word)
    if nfe not in (None, word.nfe):
        raise ValueError(
            f"{name}: claims {nfe} evaluations per step, but its word {word} makes {word.nfe}"
        )
    return Scheme(name, word, model, source, order, lambda_s, clock, eta, churn=churn)


def _is_noisy(word: Word, model: str) -> bool:
    """Whether a word that does not say so is one of the SDE."""
    if word.letters & set("OLKU"):
        return True
    keys = {op.key for op in word if op.letter != "S"}
    ode, sde = (all(model_of(model, kind).piece(key) for key in keys) for kind in ("ode", "sde"))
    return sde and not ode


def check_ending(denoise: Denoise, model: Model) -> None:
    """Raise ValueError for an ending that there is not, or that the model does not have."""
    if denoise not in (True, False, "data"):
        raise ValueError(
            f"denoise = {denoise!a}: True for an Euler step, 'data' for the data predicted, False "
            "for neither"
        )
    if denoise == "data" and not model.time_dependent:
        raise ValueError(f"denoise = 'data': {model.name} samples its target, not data with noise")


def steps_for(nfe: int, scheme: Scheme, denoise: Denoise = True) -> int:
    """Steps that a budget of score evaluations buys (theory section 7). Raises ValueError below 1.

    A run starts with an evaluation where the score is carried, and ends with one where it is
    denoised, in either way; a fixed target has no denoising step.
    """
    extra = nfe_for(0, scheme, denoise)
    steps = (nfe - extra) // scheme.nfe
    if steps < 1:
        raise ValueError(
            f"{nfe} evaluations buy no step of {scheme.name}: one step takes {scheme.nfe}"
            + (f", and {extra} go to the start or the denoising step" if extra else "")
        )
    return steps


def nfe_for(steps: int, scheme: Scheme, denoise: Denoise = True) -> int:
    """Score evaluations of a run of so many steps, as `steps_for` counts them."""
    extra = scheme.carries_score + (bool(denoise) and scheme.model.time_dependent)
    return steps * scheme.nfe + extra


def check_history(scheme: Scheme, steps: int) -> None:
    """Raise ValueError for a run too short to hold a prediction as its word says.

    It would be a run of another word: in the first steps fewer evaluations are held.
    """
    holds = scheme.program.holds
    most = max((op.through for op in holds), default=0)
    here = steps * scheme.nfe + scheme.carries_score
    if here < most:
        fewer = Op("E", rule=next(op.rule for op in scheme.word if op.letter != "S"), through=here)
        less = f"S {fewer if here > 1 else fewer.key}"
        raise ValueError(
            f"{scheme.name}: it holds {holds[0].held.prediction} through {most} evaluations, and a "
            f"run of {steps} step{'s' * (steps > 1)} has {here}: take more steps, or hold "
            f"fewer, {less}"
        )
