"""Schemes: what a model accepts, what it refuses and where; and what the letters mean."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, replace
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from splitting_analysis.checking import check
from splitting_analysis.models import MODELS, Model, Rule, model_of
from splitting_analysis.notation import Op, Word, WordError, as_word, parse
from splitting_analysis.program import resolve
from splitting_analysis.schemes import scheme
from tests.strategies import MODEL_KEYS, exact_parameters, examples, schemes, splitting_words
from tests.test_notation import pointed_at

EVERY_MODEL = pytest.mark.parametrize("key", MODEL_KEYS, ids="-".join)


@given(schemes())
def test_every_generated_word_is_accepted_and_survives_printing(any_scheme):
    assert scheme(str(any_scheme.word), *(any_scheme.model_name, any_scheme.dynamics)) == any_scheme


# word, model, dynamics, what the caret points at, the problem, what the message allows there
REFUSED = [
    ("S X A", "psld", "sde", "X", "unknown piece 'X'", "S, E, E:exp, A, B, O, L, K"),
    ("S B:exp A", "psld", "ode", "B:exp", "unknown piece 'B:exp'", "S, E, E:exp, A, B"),
    ("S B A", "vp", "ode", "B", "unknown piece 'B'", "S, E, E:exp"),
    ("S E:exp", "langevin", "ode", "E:exp", "unknown piece 'E:exp'", "A, B"),
    ("O S B A", "psld", "ode", "O", "an ODE has no noise", "S, E, E:exp, A, B"),
    ("L/2 S K L/2", "psld", "ode", "L/2", "an ODE has no noise", "S, E"),
    ("S B A", "psld", "sde", "A", "A B does not add up to the SDE's drift", "E or A B O or K L"),
    ("S E A", "psld", "ode", "A", "A E does not add up", "E or A B"),
    ("S", "psld", "ode", "S", "no letter moves the state by the ODE's drift", "E or A B"),
    ("S B/2 A", "psld", "ode", "B/2", "the fractions of B add up to 1/2", "a sum of 1 over all B"),
    (
        "S B/2 A B/3",
        "psld",
        "ode",
        "B/3",
        "the fractions of B add up to 5/6",
        "a sum of 1 over all B",
    ),
    (
        "S B A B*-1/2",
        "psld",
        "ode",
        "B*-1/2",
        "the fractions of B add up to 1/2",
        "a sum of 1 over all B",
    ),
    ("O*-1 O*2 S B A", "psld", "sde", "O*-1", "noise cannot run backwards", "a positive fraction"),
    ("S E*2 S E*-1", "vp", "sde", "E*-1", "noise cannot run backwards", "a positive fraction"),
    ("B A", "psld", "ode", "B", "the score is used but never evaluated", "an S before it"),
    (
        "A/2 B A/2",
        "langevin",
        "ode",
        "B",
        "the score is used but never evaluated",
        "an S before it",
    ),
    ("S S B A", "psld", "ode", "S", "this score is never used", "a piece that uses it, or no S"),
    ("S B A S@1", "psld", "ode", "S@1", "this score is never used", "a piece that uses it"),
    ("S A/2 S B A/2", "langevin", "ode", "S", "this score is never used", "a piece that uses it"),
    ("B A S@1", "langevin", "ode", "S@1", "does not depend on time", "S"),
    ("S E[1]", "psld", "sde", "E[1]", "belongs to the full drift of an ODE", "E[1/2,1/2]"),
    ("S O[1] B A", "psld", "sde", "O[1]", "or to a piece with a score and", "E[1/2,1/2], K[0,1]"),
    ("S L/2 K[1] L/2", "vp", "ode", "K[1]", "no evaluation of its own", "an S before"),
    ("L/2 S K[1/2,1/2] L/2", "vp", "ode", "K[1/2,1/2]", "2 weights, but 1", "at most 1 weights"),
    (
        "L/2 S K[1/2] S K[0,1/3] L/2",
        "vp",
        "sde",
        "K[0,1/3]",
        "the fractions of K add up to 1/3",
        "a sum of 1 over all K",
    ),
    ("K/2 L S K[1/2]", "vp", "ode", "K/2", "does not carry a score over", "an S before it"),
    ("S E:exp[1]", "vp", "ode", "E:exp[1]", "belongs to the full drift of an ODE", "E[1/2,1/2]"),
    (
        "S E[1/2] S@1 E[0,1]",
        "vp",
        "ode",
        "S@1",
        "the state here stands at 1/2 of the step",
        "S@1/2",
    ),
    ("S@1 E[1]", "vp", "ode", "S@1", "the state here stands at 0 of the step", "S@0"),
    (
        "S E[1] S@1 E[1/2,1/3]",
        "vp",
        "ode",
        "E[1/2,1/3]",
        "the last row sums to 5/6",
        "weights that sum to 1",
    ),
    (
        "S E[1/2,1/2]",
        "vp",
        "ode",
        "E[1/2,1/2]",
        "2 weights, but 1 evaluations",
        "at most 1 weights",
    ),
    ("S E[1/2] S@1/2 E", "vp", "ode", "E", "every E of a Runge-Kutta word has a row", "E[1/2]"),
    ("S E[1] S@1", "vp", "ode", "S@1", "this score is never used", "a piece that uses it"),
]


@pytest.mark.parametrize(
    ("text", "model", "dynamics", "place", "problem", "allowed"), REFUSED, ids=lambda x: str(x)[:24]
)
def test_a_word_without_meaning_is_refused_with_its_place(
    text, model, dynamics, place, problem, allowed
):
    with pytest.raises(WordError) as caught:
        scheme(text, model, dynamics)
    message = str(caught.value).splitlines()
    assert problem in message[0]
    assert pointed_at(caught.value) == place
    assert allowed in message[-1]


def test_the_empty_word_is_refused_by_every_model():
    for key in MODEL_KEYS:
        with pytest.raises(WordError, match="empty"):
            check(Word(()), model_of(*key))


def test_a_runge_kutta_word_says_where_its_stages_stand_even_if_the_target_does_not_move():
    assert scheme("S E[1] S@1 E[1/2,1/2]", "langevin", "ode").word.nfe == 2
    with pytest.raises(WordError, match="stands at 1 of the step"):
        scheme("S E[1] S E[1/2,1/2]", "langevin", "ode")


@pytest.mark.parametrize(
    "op",
    [
        Op("a"),
        Op("A", Fraction(0)),
        Op("A", Fraction(10**40)),
        Op("A", at=Fraction(1)),
        Op("A", rule="EXP"),
        Op("E", Fraction(1, 2), row=(Fraction(1),)),
        Op("S", at=Fraction(2)),
        Op("S", Fraction(1, 2)),
    ],
    ids=repr,
)
def test_tokens_that_could_not_be_written_are_refused_as_a_word(op):
    with pytest.raises(WordError):
        as_word([op])


@pytest.mark.share(3)
@examples(16)
@given(st.data())
@EVERY_MODEL
def test_a_word_that_lacks_a_piece_or_a_score_is_refused(key, data):
    model = model_of(*key)
    word = data.draw(splitting_words(*key))
    index = data.draw(st.integers(0, len(word.ops) - 1))
    ops = word.ops[:index] + word.ops[index + 1 :]
    if word.ops[index].letter == "S":
        assume(word.nfe == 1)
    with pytest.raises(WordError):
        check(Word(ops), model)


@examples(16)
@given(st.data())
@EVERY_MODEL
def test_a_score_evaluated_twice_in_a_row_is_refused(key, data):
    word = data.draw(splitting_words(*key))
    index = next(i for i, op in enumerate(word) if op.letter == "S")
    doubled = Word((*word.ops[:index], word.ops[index], *word.ops[index:]))
    with pytest.raises(WordError, match="never used"):
        check(doubled, model_of(*key))


def scores_in_use(word: Word, model: Model, steps: int = 2) -> list[int]:
    """By running the word: at each piece that uses a score, the number of evaluations made so
    far.
    """
    seen, row = 0, []
    for op in word.ops * steps:
        if op.letter == "S":
            seen += 1
        elif model.pieces[op.key].uses_score:
            row.append(seen)
    return row


@given(schemes())
def test_a_score_is_carried_where_running_the_word_meets_a_use_before_an_evaluation(any_scheme):
    used = scores_in_use(any_scheme.word, any_scheme.model)
    assert any_scheme.carries_score == (used[0] == 0)


@given(schemes())
def test_no_evaluation_of_an_accepted_word_is_wasted(any_scheme):
    steps, nfe = 3, any_scheme.word.nfe
    used = set(scores_in_use(any_scheme.word, any_scheme.model, steps))
    assert used >= set(range(1, (steps - 1) * nfe + 1))


def test_carrying_is_told_from_the_first_use_not_from_the_first_letter():
    langevin = model_of("langevin", "sde")
    assert resolve(parse("B/2 A/2 O A/2 S B/2"), langevin).carries_score
    assert not resolve(parse("A/2 S B/2 O B/2 A/2"), langevin).carries_score
    assert resolve(parse("A S B O"), model_of("psld", "sde")).carries_score


def test_a_claim_about_evaluations_that_the_word_contradicts_is_refused():
    with pytest.raises(
        ValueError, match="claims 2 evaluations per step, but its word S B A makes 1"
    ):
        scheme("S B A", "psld", "ode", "RSE", nfe=2)
    assert scheme("S B A", "psld", "ode", "RSE", nfe=1).nfe == 1


@pytest.mark.parametrize(("model", "dynamics"), [("pslb", "sde"), ("psld", "pde"), ("", "")])
def test_an_unknown_model_is_refused_with_those_there_are(model, dynamics):
    with pytest.raises(ValueError, match="there are: psld ode, psld sde, vp ode, vp sde"):
        scheme("S E", model, dynamics)


def test_a_scheme_is_frozen():
    with pytest.raises(FrozenInstanceError):
        scheme("S E").order = 2  # type: ignore[misc]
    with pytest.raises(WordError):
        replace(scheme("S B A"), model=model_of("psld", "sde"))


@pytest.mark.parametrize(
    ("word", "model", "dynamics"),
    [
        ("S B A", "psld", "ode"),
        ("O S B A", "psld", "sde"),
        ("L/2 S K L/2", "vp", "sde"),
        ("S E:ddpm", "vp", "sde"),
        ("S E", "vp", "ode"),
        ("S E:exp", "Langevin", "sde"),
        ("S E:exp/2 S E:exp/2", "respa", "sde"),
        ("S E:exp", "psld", "ode"),
    ],
)
def test_the_dynamics_of_a_users_word_follow_from_its_noise(word, model, dynamics):
    assert scheme(word, model).dynamics == dynamics


# What the letters mean, against the forward process dz = (beta/2) F0 z dtau + sqrt(beta G) dW of
# the papers.
def forward(name, p):
    """F0 / 2 and G as lists, written from the forward SDE."""
    if name == "vp":
        return [[-p.half]], [1]
    return [[-p.Gamma / 2, p.iM / 2], [-p.half, -p.nu / 2]], [p.Gamma, p.M * p.nu]


@examples(6)
@given(exact_parameters())
@pytest.mark.parametrize(("name", "dynamics"), [key for key in MODEL_KEYS if key[0] != "langevin"])
def test_the_full_drift_is_the_time_reversal_of_the_forward_process(name, dynamics, p):
    drift, (linear, noise) = model_of(name, dynamics).drift, forward(name, p)
    share = Fraction(1) if dynamics == "sde" else Fraction(1, 2)
    assert [list(row) for row in drift.linear(p)] == [[-entry for entry in row] for row in linear]
    assert list(drift.score(p)) == [share * entry for entry in noise]
    assert list(drift.noise(p)) == [entry if dynamics == "sde" else 0 for entry in noise]


@examples(6)
@given(exact_parameters())
@EVERY_MODEL
def test_the_letters_of_each_splitting_add_up_to_the_full_drift(key, p):
    model = model_of(*key)
    n = len(model.components)
    for letters in model.splittings:
        pieces = [model.pieces[letter] for letter in letters]
        for i in range(n):
            assert sum(piece.score(p)[i] for piece in pieces) == model.drift.score(p)[i]
            assert sum(piece.noise(p)[i] for piece in pieces) == model.drift.noise(p)[i]
            for j in range(n):
                assert sum(piece.linear(p)[i][j] for piece in pieces) == model.drift.linear(p)[i][j]


@examples(6)
@given(exact_parameters())
@EVERY_MODEL
def test_another_rule_advances_the_same_piece(key, p):
    pieces = model_of(*key).pieces
    for name, piece in pieces.items():
        default = pieces[name.partition(":")[0]]
        assert (piece.linear(p), piece.score(p), piece.noise(p)) == (
            default.linear(p),
            default.score(p),
            default.noise(p),
        )


def stationary_covariance(name, p):
    return [1] if name == "vp" else [1, p.M]


@examples(6)
@given(exact_parameters())
@pytest.mark.parametrize(("name", "letter"), [("psld", "O"), ("psld", "L"), ("vp", "L")])
def test_the_exact_noisy_pieces_leave_the_stationary_law_alone(name, letter, p):
    piece, s = model_of(name, "sde").pieces[letter], stationary_covariance(name, p)
    linear, noise = piece.linear(p), piece.noise(p)
    for i in range(len(s)):
        for j in range(len(s)):
            balance = linear[i][j] * s[j] + s[i] * linear[j][i] + (noise[i] if i == j else 0)
            assert balance == 0


@examples(6)
@given(exact_parameters())
@pytest.mark.parametrize("name", ["psld", "vp"])
def test_the_kick_vanishes_at_the_stationary_score(name, p):
    piece, s = model_of(name, "sde").pieces["K"], stationary_covariance(name, p)
    for i, row in enumerate(piece.linear(p)):
        assert row[i] == piece.score(p)[i] / s[i]
        assert all(entry == 0 for j, entry in enumerate(row) if j != i)


@EVERY_MODEL
def test_a_model_is_described_consistently(key):
    model = MODELS[key]
    n = len(model.components)
    assert (model.name, model.dynamics) == key
    assert len(model.scores) == n
    assert set(model.score_arguments) <= set(model.components)
    assert "E" in model.splittings
    for splitting in model.splittings:
        assert list(splitting) == sorted(splitting)  # looked up by sorted letters
    for piece in model.pieces.values():
        assert not (model.dynamics == "ode" and piece.has_noise)


def test_coefficients_typed_with_the_digits_of_a_float_may_miss_their_sum_by_a_rounding():
    outer, inner = 1 / (2 - 2 ** (1 / 3)), -(2 ** (1 / 3)) / (2 - 2 ** (1 / 3))
    a, b = f"{outer / 2!r}", f"{(outer + inner) / 2!r}"
    text = f"A*{a} S B*{outer!r} A*{b} S B*{inner!r} A*{b} S B*{outer!r} A*{a}"
    yoshida = scheme(text, "langevin", "ode")
    total = sum((op.fraction for op in yoshida.word if op.letter == "B"), Fraction(0))
    assert 0 < abs(total - 1) < Fraction(1, 10**15)
    assert [float(op.fraction) for op in yoshida.word if op.letter == "B"] == [outer, inner, outer]
    with pytest.raises(WordError, match=r"the fractions of B add up to 0\.999999999"):
        scheme("S B*0.33333333333 A S B*.66666666666", "psld", "ode")
    assert scheme("S E[0.3333333333333333] S@1/3 E[0,0.9999999999999999]", "vp", "ode")
    with pytest.raises(WordError, match=r"the state here stands at 0\.333"):
        scheme("S E[0.3333333333] S@1/3 E[0,1]", "vp", "ode")


@pytest.mark.parametrize(
    ("text", "model", "dynamics", "homes"),
    [
        ("S B A", "vp", "ode", "psld ode, langevin ode"),
        ("O S B A", "langevin", "ode", "psld sde, langevin sde"),
        ("S E:ddpm", "vp", "ode", "vp sde"),
    ],
)
def test_a_word_of_another_model_is_refused_with_that_models_name(text, model, dynamics, homes):
    with pytest.raises(WordError, match=re.escape(f"(as it stands, a word of {homes})")):
        scheme(text, model, dynamics)


def test_a_word_in_the_letters_of_openmm_is_refused_with_its_translation():
    for key in MODEL_KEYS:
        with pytest.raises(WordError, match="allowed: B/2 A/2 O A/2 S B/2 with model langevin"):
            scheme("V R O R V", *key)


def test_a_sum_of_many_digits_is_still_a_short_message():
    text = "S " + " ".join(f"B/{10**39 + k}" for k in range(150)) + " A"
    with pytest.raises(WordError, match=r"the fractions of B add up to 1\.5e-37"):
        scheme(text, "psld", "ode")


@pytest.mark.parametrize("rule", ["trapezoid", "EULER", "", None, 0])
def test_a_piece_with_an_unknown_rule_is_refused_as_it_is_made(rule):
    piece = model_of("vp", "sde").pieces["E"]
    with pytest.raises(ValueError, match=r"no rule .* for a piece; there are: Rule\.EULER, Rule"):
        replace(piece, rule=rule)
    assert replace(piece, rule=Rule.EXPONENTIAL).rule is Rule.EXPONENTIAL
