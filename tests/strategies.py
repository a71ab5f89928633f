"""Hypothesis strategies shared by all tests: fractions, tokens, valid words and schemes,
parameters.

`scheme_words` builds words that a model accepts; `words` builds words of the grammar, most of
which no model accepts.
"""

from __future__ import annotations

import os
from fractions import Fraction
from types import SimpleNamespace

from hypothesis import settings
from hypothesis import strategies as st

from splitting_analysis.models import MODELS, Dynamics, model_of
from splitting_analysis.notation import Op, Word
from splitting_analysis.schemes import Scheme
from splitting_analysis.schemes import scheme as make

MODEL_KEYS = sorted(key for key in MODELS if key[0] in ("psld", "vp", "langevin"))
"""Models with splittings of several letters, or Runge-Kutta rows in usual time."""
_TIMES = (Fraction(0), Fraction(1, 2), Fraction(1))


def examples(number: int) -> settings:
    """So many examples by default, ten times as many where HYPOTHESIS_PROFILE is explore."""
    return settings(
        max_examples=number * (10 if os.environ.get("HYPOTHESIS_PROFILE") == "explore" else 1)
    )


def fractions(low: int = -4, high: int = 4, denominator: int = 12) -> st.SearchStrategy[Fraction]:
    """Fractions in [low, high]; zero included."""
    return st.fractions(low, high, max_denominator=denominator)


def ops() -> st.SearchStrategy[Op]:
    """Any token of the grammar, up to the longest numbers it allows."""
    numerators, denominators = st.integers(-(10**40) + 1, 10**40 - 1), st.integers(1, 10**40 - 1)
    any_number = st.one_of(fractions(), st.builds(Fraction, numerators, denominators))
    letters = st.sampled_from("ABCDEFGHIJKLMNOPQRTUVWXYZ")
    matrices = st.sampled_from(["{1,0,-1/2,3}", "{lambda*(tau-1),0,beta/M,exp(-tau)**(1/2)}"])
    names = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=20)
    rules = st.one_of(st.just(""), names, matrices)
    rows = st.lists(any_number, min_size=1, max_size=4).map(tuple)
    return st.one_of(
        st.builds(lambda at: Op("S", at=at), st.fractions(0, 1, max_denominator=10**40 - 1)),
        st.builds(lambda c, f, r: Op(c, f, rule=r), letters, any_number.filter(bool), rules),
        st.builds(lambda c, row: Op(c, row=row), letters, rows),
        st.builds(
            lambda c, f, r, k, n: Op(c, f, rule=r, through=k, coefficients=n),
            letters,
            any_number.filter(bool),
            rules.filter(bool),
            st.integers(1, 9),
            st.one_of(st.just(""), names),
        ),
    )


def words(max_size: int = 8) -> st.SearchStrategy[Word]:
    """Any word of the grammar, whether or not a model gives it a meaning."""
    return st.lists(ops(), min_size=1, max_size=max_size).map(lambda row: Word(tuple(row)))


@st.composite
def parts_of_one(draw: st.DrawFn, max_parts: int, negative: bool = False) -> list[Fraction]:
    """Non-zero fractions that add up to one; the last may be negative where that is allowed."""
    weights = draw(st.lists(st.integers(1, 6), min_size=1, max_size=max_parts))
    if (
        negative
        and len(weights) > 1
        and draw(st.integers(0, 3)) == 0
        and sum(weights[:-1]) != weights[-1]
    ):
        weights[-1] *= -1
    return [Fraction(weight, sum(weights)) for weight in weights]


@st.composite
def splitting_words(
    draw: st.DrawFn, name: str, dynamics: Dynamics, max_parts: int = 3, carried: bool = True
) -> Word:
    """A word that the model accepts: a splitting, its pieces in any order, each score used.

    The first score may come after its first use (carried over from the step before).
    """
    model = model_of(name, dynamics)
    pieces: list[Op] = []
    for letter in draw(st.sampled_from(model.splittings)):
        rules = [key.partition(":")[2] for key in model.pieces if key[0] == letter]
        backwards = all(
            not model.pieces[Op(letter, rule=rule).key].has_noise
            and model.pieces[Op(letter, rule=rule).key].rule == "euler"
            for rule in rules
        )
        parts = draw(parts_of_one(max_parts, negative=backwards))
        pieces += [Op(letter, part, rule=draw(st.sampled_from(rules))) for part in parts]
    pieces = draw(st.permutations(pieces))
    uses = [i for i, op in enumerate(pieces) if model.pieces[op.key].uses_score]
    fresh = draw(st.lists(st.booleans(), min_size=len(uses), max_size=len(uses)))
    if not any(fresh) or not carried:
        fresh[0] = True
    times = _TIMES if model.time_dependent else _TIMES[:1]
    after, row = 0, []
    for use, with_score in zip(uses, fresh, strict=True):
        gap = pieces[after:use]
        if with_score:
            gap.insert(draw(st.integers(0, len(gap))), Op("S", at=draw(st.sampled_from(times))))
        row += [*gap, pieces[use]]
        after = use + 1
    row += pieces[after:]
    if not fresh[0] and draw(st.booleans()):
        row.append(Op("S", at=draw(st.sampled_from(times))))  # used by the next step
    return Word(tuple(row))


@st.composite
def runge_kutta_words(draw: st.DrawFn, max_stages: int = 4) -> Word:
    """An explicit Runge-Kutta word with rational weights, for any ODE model.

    A row may be shorter than the stages so far: it weighs the last ones.
    """
    row: list[Op] = [Op("S")]
    stages = draw(st.integers(1, max_stages))
    for stage in range(1, stages + 1):
        weights = draw(st.lists(fractions(-2, 2, 6), max_size=stage - 1))
        node = Fraction(1) if stage == stages else draw(fractions(0, 1, 6))
        row.append(Op("E", row=(*weights, node - sum(weights, Fraction(0)))))
        if stage < stages:
            row.append(Op("S", at=node))
    return Word(tuple(row))


def scheme_words(name: str, dynamics: Dynamics, max_parts: int = 3) -> st.SearchStrategy[Word]:
    """Any valid word of the model: splittings, and Runge-Kutta rows for an ODE."""
    splittings = splitting_words(name, dynamics, max_parts)
    if dynamics == "ode":
        return st.one_of(splittings, runge_kutta_words())
    return splittings


@st.composite
def schemes(
    draw: st.DrawFn, name: str | None = None, dynamics: Dynamics | None = None, max_parts: int = 3
) -> Scheme:
    """A valid scheme of the given model, or of any."""
    keys = [key for key in MODEL_KEYS if name in (None, key[0]) and dynamics in (None, key[1])]
    model_name, which = draw(st.sampled_from(keys))
    word = draw(scheme_words(model_name, which, max_parts))
    return make(word, model_name, which)


@st.composite
def exact_parameters(draw: st.DrawFn) -> SimpleNamespace:
    """Random rational parameters of all models; Gamma != nu and critical mass, as PSLD wants."""
    positive = st.fractions(Fraction(1, 100), 8, max_denominator=100)
    gamma, nu = draw(st.fractions(0, 2, max_denominator=100)), draw(positive)
    if gamma == nu:
        nu += 1
    inverse_mass = (gamma - nu) ** 2 / 4
    return SimpleNamespace(
        Gamma=gamma,
        nu=nu,
        M=1 / inverse_mass,
        iM=inverse_mass,
        half=Fraction(1, 2),
        gamma=draw(positive),
    )
