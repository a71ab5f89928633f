"""Words of one class run through one cycle: the same eigenvalues, transport, and law in between."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analytic_models import moments
from analytic_models.diffusions import PSLD, Diffusion, Langevin
from analytic_models.frozen import frozen_problem, spectral_radius, step_matrix
from analytic_models.harmonic import transport
from analytic_models.stationary import stationary
from analytic_models.targets import Gaussian
from reports import cli
from splitting_analysis.catalogue import find, samplers
from splitting_analysis.families import POSITION_ONLY
from splitting_analysis.notation import Word, WordError, parse
from splitting_analysis.processes import process_of
from splitting_analysis.schemes import LambdaS, Scheme, scheme
from splitting_analysis.word_classes import classes, cycle, same_class
from tests.strategies import examples, splitting_words

PROCESSES: dict[str, Diffusion] = {"psld": PSLD(0.3, 2.5, 5.0, 5.0), "langevin": Langevin(0.8, 3.0)}


def radius(own: Scheme) -> float:
    """The largest eigenvalue of one step, score and rate frozen."""
    process = PROCESSES[own.model_name]
    frozen = frozen_problem(own, process, np.array([0.6]), 0.4)
    return float(spectral_radius(step_matrix(own, *frozen, np.array([0.3])))[0])


def turned(word: Word, by: int) -> Word:
    """The word begun at another token; scores of the step before are one step late."""
    late = (replace(op, at=op.at + 1) if op.letter == "S" else op for op in word.ops[:by])
    return Word((*word.ops[by:], *late))


@examples(25)
@given(word=splitting_words("langevin", "sde", 2), data=st.data())
def test_a_word_begun_elsewhere_and_cut_finer_is_the_same_sampler_at_the_same_stability(word, data):
    own = scheme(word, "langevin", "sde")
    ops = list(word.ops)
    place = data.draw(st.integers(0, len(ops) - 1))
    if ops[place].key in "ABOU":  # each of them is exact, or does not act on itself
        share = data.draw(st.sampled_from([Fraction(1, 3), Fraction(3, 4)]))
        pieces = [replace(ops[place], fraction=ops[place].fraction * s) for s in (share, 1 - share)]
        ops[place : place + 1] = pieces
    by = data.draw(st.integers(0, len(ops) - 1))
    other = [replace(op, at=Fraction(0)) for op in turned(Word(tuple(ops)), by)]
    try:
        again = scheme(Word(tuple(other)), "langevin", "sde")
    except WordError:  # a score that nothing uses before the word's end
        assume(False)
        raise
    assert same_class(own, again) and same_class(again, own)
    assert radius(own) == pytest.approx(radius(again), rel=1e-7, abs=1e-7)
    process = Langevin(0.8)
    assert transport(own, process, 0.3) == pytest.approx(transport(again, process, 0.3), rel=1e-9)
    assert cycle(again) == cycle(own) == cycle(replace(own, word=cycle(own)))


@examples(15)
@given(word=splitting_words("psld", "sde", 2), data=st.data())
def test_times_of_scores_turn_with_the_word(word, data):
    own = scheme(word, "psld", "sde")
    front = [op.at for op in word.ops if op.letter == "S"]
    by = data.draw(st.integers(0, len(word.ops) - 1))
    ahead = sum(op.letter == "S" for op in word.ops[:by])
    assume(all(at == 0 for at in front[:ahead]))  # what is late may be late by one step at most
    try:
        again = scheme(turned(word, by), "psld", "sde")
    except WordError:
        assume(False)
        raise
    assert same_class(own, again)
    assert radius(own) == pytest.approx(radius(again), rel=1e-7, abs=1e-7)


def test_the_classes_of_the_catalogue_are_these():
    found = [[s.name for s in group] for group in classes(samplers()) if len(group) > 1]
    assert all(pair in found for pair in (["SE", "VV"], ["NOBA", "NBAO"], ["ROBA", "RBAO"]))
    of_langevin = [[s.name for s in group] for group in classes(samplers("langevin", "sde"))]
    assert of_langevin == [
        ["EM"],
        ["EI"],
        ["BAOAB", "BAOA"],
        ["ABOBA", "OBABO"],
        ["UBU", "BUB"],
        ["GJF"],
        ["SPV", "BBK"],
    ]
    assert same_class("BAOAB", "baoa") and not same_class("ROBA", "NOBA")


@pytest.mark.parametrize(
    ("one", "other", "model", "same"),
    [
        ("S B A/2 O A/2", "S B/2 A/2 O A/2 S B/2", "langevin", True),  # the second S is for nothing
        ("O/2 S O/2 B A", "S O B A", "langevin", True),  # friction does not move what it asks
        ("S B U", "S U B", "langevin", False),
        ("B/2 A/2 O A/2 S B/2", "O/2 B/2 A S B/2 O/2", "langevin", False),
        ("S B A/2 O A/2", "S B A/3 O A*2/3", "langevin", False),
        ("S B A O", "B A S O", "langevin", True),
        ("O S B A", "O/2 S B A O/2", "psld", True),
        ("O S B A", "O S B/2 B/2 A", "psld", False),  # two Euler steps of what acts on itself
        ("O S B A", "O S@1 B A", "psld", True),  # all times are relative: begun a step later
        ("O S B S A", "O S B S@1 A", "psld", False),
        ("S K L", "L/2 S K L/2", "psld", True),
    ],
)
def test_words_are_of_one_class_or_not(one, other, model, same):
    left, right = (scheme(text, model, "sde") for text in (one, other))
    assert same_class(left, right) == same
    if same:
        assert radius(left) == pytest.approx(radius(right), rel=1e-9)


def test_another_model_another_lambda_s_and_words_that_remember_their_start_are_others():
    own = scheme("O S B A")
    assert not same_class(own, scheme("O S B A", "langevin"))
    tuned = replace(own, lambda_s=LambdaS(value=Fraction(6, 5)))
    assert not same_class(own, tuned) and cycle(tuned) == cycle(own)
    cut = replace(tuned, word=parse("O/2 S B A O/2"))
    assert cycle(cut) != cycle(tuned)  # its noise does not add up
    for name in ("RK45", "PDDIM", "CSE"):
        assert cycle(find(name)) == find(name).word


def test_settings_that_a_word_does_not_spell_make_another_sampler_each():
    bent = scheme("S E:eye", "psld", "ode")
    held = scheme("S E:data[2]", "vp", "sde")
    for own, others in (
        (
            bent,
            [
                replace(bent, conjugate=Fraction(1)),
                replace(bent, factor="upper"),
                replace(bent, skip=Fraction(1)),
            ],
        ),
        (
            held,
            [
                scheme("S E:data[2]", "vp", "sde", clock="tau"),
                scheme("S E:data[2]", "vp", "sde", eta=Fraction(1, 2)),
            ],
        ),
    ):
        for other in others:
            assert same_class(other, other) and not same_class(own, other), other
        assert len(classes([own, *others, own])) == 1 + len(others)


def test_a_clock_that_does_not_act_makes_no_other_sampler():
    own = scheme("S E:data", "vp", "ode")
    assert same_class(own, scheme("S E:data", "vp", "ode", clock="tau"))
    assert not same_class("S E:data[2]", scheme("S E:data[2]", "vp", "ode", clock="tau"), "vp")


def test_the_law_of_aboba_is_that_of_obabo_after_what_lies_between():
    """From the middle of the position's move: A/2, B/2, O/2 lead to where OBABO begins."""
    h, gamma, variance = 0.7, 0.9, 0.4
    process, c = Langevin(gamma), np.exp(-gamma * h / 2)
    law: Any = np.array(stationary(find("ABOBA", "langevin"), process, variance, h))
    other: Any = np.array(stationary(find("OBABO", "langevin"), process, variance, h))
    assert np.abs(law - other).max() > 0.1
    half = np.diag([1, c]) @ [[1, 0], [-h / 2 / variance, 1]] @ [[1, h / 2], [0, 1]]
    pushed = half @ law @ half.T + np.diag([0, 1 - c**2])
    assert pushed == pytest.approx(other, rel=1e-12, abs=1e-12)


def test_a_sampler_that_churns_is_no_class_with_the_one_that_does_not():
    edm, heun = find("EDM", "ve"), find("Heun", "ve")
    assert edm.word == heun.word and not same_class(edm, heun)


def test_the_command_lists_the_classes(capsys):
    with pytest.raises(SystemExit):
        cli.main(["list", "--model", "langevin", "--dynamics", "sde", "--classes"])
    shown = capsys.readouterr().out.splitlines()
    assert shown[1] == "langevin\tsde\tS B A/2 O A/2\tBAOAB BAOA" and len(shown) == 5


@pytest.mark.parametrize("model", POSITION_ONLY)
@pytest.mark.parametrize(
    ("whole", "halves"),
    [
        ("L/2 S K L/2", "L/2 S K/2 K/2 L/2"),
        ("S L/2 K L/2", "S L/4 L/4 K L/2"),
    ],
)
def test_parts_of_positions_alone_are_merged_where_the_law_is_the_same(model, whole, halves):
    process, laws = process_of(model), []
    grid = [process.T * share for share in (0.0, 0.3, 0.5, 0.6)]
    for word in (whole, halves):
        run = moments.run(scheme(word, model, "sde"), process, Gaussian(0.3), grid, denoise=False)
        laws.append(float(run.covariance[0][0]))
    same = laws[0] == pytest.approx(laws[1], rel=1e-12)
    assert same_class(whole, halves, model, "sde") == same
    assert same == (model == "ve" or "L/4" in halves)


@pytest.mark.parametrize(
    ("one", "other", "model", "dynamics", "same"),
    [
        ("S B*2/3 C B/3 A O", "S C B A O", "respa", "sde", True),  # two kicks
        ("S C A B O", "S C B A O", "respa", "sde", False),
        ("S L/3 K L*2/3", "S L K", "ve", "sde", True),  # noise and a score held
        ("S L/3 K L*2/3", "S L K", "vp", "sde", False),
        ("S K/3 L/2 K*2/3 L/2", "L S K", "ve", "ode", True),  # L does nothing
        ("S L K/4 K*3/4", "S L K*3/4 K/4", "vp", "sde", True),  # parts of one piece
        ("S L K/4 K*3/4", "S L K/2 K/2", "vp", "sde", False),
        ("S B A O/3 O:mid*2/3", "S B A O:mid*2/3 O/3", "langevin", "sde", True),
        ("S B A O:mid/3 O:mid*2/3", "S B A O:mid*2/3 O:mid/3", "langevin", "sde", True),
        ("S B A O:mid/3 O:mid*2/3", "S B A O:mid", "langevin", "sde", False),
        ("S E/4 E*3/4", "S E*3/4 E/4", "vp", "ode", True),
        ("S E/4 E*3/4", "S E*3/4 E/4", "vp", "sde", False),  # the noise of the first grows
    ],
)
def test_pieces_change_places_where_the_law_stays_the_same(one, other, model, dynamics, same):
    pair, laws = [scheme(word, model, dynamics) for word in (one, other)], []
    times = [process_of(model).T * share for share in (0.0, 0.2, 0.3, 0.5)]
    for own in pair:
        run = moments.run(own, process_of(model), Gaussian(0.3), times, denoise=False)
        laws.append(np.array(run.covariance, dtype=float))
    assert same == np.allclose(laws[0], laws[1], rtol=1e-12, atol=0)
    left, right = pair
    assert same_class(left, right) == same_class(right, left) == same
    for own in pair:
        assert cycle(replace(own, word=cycle(own))) == cycle(own)
