"""Words: printing and parsing are inverse, and every other text is refused at its place."""

from __future__ import annotations

import pickle
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitting_analysis import CATALOGUE, find
from splitting_analysis.models import MODELS
from splitting_analysis.notation import (
    GRAMMAR,
    MAX_TOKENS,
    Op,
    Word,
    WordError,
    as_word,
    parse,
)
from splitting_analysis.spelling import LETTERS, from_openmm
from tests.strategies import examples, ops, words


def pointed_at(error: WordError) -> str:
    """What stands above the carets of a message."""
    *_, shown, marker, _ = str(error).splitlines()
    first = marker.index("^")
    assert set(marker) <= {" ", "^"}
    assert set(marker[first:]) == {"^"}
    return shown[first : len(marker)]


@examples(20)
@given(words())
def test_parsing_a_printed_word_gives_the_word_back(word):
    assert parse(str(word)) == word


@examples(40)
@given(ops())
def test_parsing_a_printed_token_gives_the_token_back(op):
    assert parse(str(op)).ops == (op,)


@examples(20)
@given(
    words(), st.lists(st.sampled_from([" ", "  ", "\t", "\n", " \r\n "]), min_size=9, max_size=9)
)
def test_the_space_between_tokens_says_nothing(word, gaps):
    spread = "".join(gap + str(op) for gap, op in zip(gaps, word, strict=False)) + gaps[-1]
    assert parse(spread) == word


@pytest.mark.parametrize("scheme", CATALOGUE, ids=lambda s: f"{s.model_name}-{s.name}")
def test_every_catalogue_word_is_printed_in_its_canonical_spelling(scheme):
    assert parse(str(scheme.word)) == scheme.word


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        ("A/1", "A"),
        ("B*2/4", "B/2"),
        ("B*-1/3", "B*-1/3"),
        ("S@0", "S"),
        ("S@-0", "S"),
        ("S@2/2", "S@1"),
        ("S@2/4", "S@1/2"),
        ("O*1", "O"),
        ("E:exp*1/2", "E:exp/2"),
        ("E[ 1/2 , 2/4 ]", "E[1/2,1/2]"),
        ("B*0.5", "B/2"),
        ("B*.25", "B/4"),
        ("B*+0.75", "B*3/4"),
        ("B*-0.125", "B*-1/8"),
        ("B*1e-3", "B/1000"),
        ("B*2.5e1", "B*25"),
        ("B*0.5/3", "B/6"),
        ("S@0.5", "S@1/2"),
        ("S@1.0", "S@1"),
        ("E[0.5,.5]", "E[1/2,1/2]"),
        ("E:exp*0.1", "E:exp/10"),
        ("B*1.3512071919596576", "B*422252247487393/312500000000000"),
    ],
)
def test_one_meaning_has_one_canonical_spelling(spelling, canonical):
    assert str(parse(spelling)) == canonical
    assert str(parse(canonical)) == canonical


def test_a_word_is_exact_data():
    word = parse("B/2 E:exp*2/3 S@1/2 E[1/6,-1/3]")
    assert word.ops == (
        Op("B", Fraction(1, 2)),
        Op("E", Fraction(2, 3), rule="exp"),
        Op("S", at=Fraction(1, 2)),
        Op("E", row=(Fraction(1, 6), Fraction(-1, 3))),
    )
    assert word.letters == {"B", "E"}
    assert parse("S E[1]").is_runge_kutta and not parse("S E").is_runge_kutta
    assert not parse("L/2 S K[1] L/2").is_runge_kutta  # a splitting with a step of its own inside


@examples(20)
@given(words())
def test_the_evaluations_per_step_are_the_letters_s_of_the_text(word):
    assert word.nfe == sum(token[0] == "S" for token in str(word).split())


def test_a_word_is_taken_as_text_as_a_word_and_as_tokens():
    word = parse("S B A")
    assert as_word("S B A") == as_word(word) == as_word(word.ops) == word


# text, what the caret points at, the problem, what the message allows there
BAD = [
    ("", " ", "the word is empty", GRAMMAR),
    (" \t\n ", " ", "the word is empty", GRAMMAR),
    ("S B a", "a", "cannot read 'a'", GRAMMAR),
    ("S BA", "BA", "cannot read 'BA'", GRAMMAR),
    ("S,B,A", "S,B,A", "cannot read", GRAMMAR),
    ("S B/ A", "B/", "cannot read 'B/'", GRAMMAR),
    ("S B/0 A", "B/0", "division by zero", "non-zero denominator"),
    ("S B*1/0 A", "B*1/0", "division by zero", "non-zero denominator"),
    ("S E[1/0]", "E[1/0]", "division by zero", "non-zero denominator"),
    ("S B*0 A", "B*0", "zero fraction", "a non-zero fraction"),
    ("S B/-2 A", "B/-2", "cannot read", GRAMMAR),
    ("S B/2.5 A", "B/2.5", "cannot read", GRAMMAR),
    ("S B*0.5. A", "B*0.5.", "cannot read", GRAMMAR),
    ("S B*1e-300 A", "B*1e-300", "cannot read", GRAMMAR),
    ("S B*1e99 A", "B*1e99", "a number with too many digits", "at most 40 digits"),
    ("S B*1e-40 A", "B*1e-40", "a number with too many digits", "at most 40 digits"),
    ("S B*1e-39/99 A", "B*1e-39/99", "a number with too many digits", "at most 40 digits"),
    ("S B*0x1 A", "B*0x1", "cannot read", GRAMMAR),
    ("S B/2/2 A", "B/2/2", "cannot read", GRAMMAR),
    ("S B/1" + "0" * 40 + " A", "B/1" + "0" * 40, "cannot read", GRAMMAR),
    ("S B/٢ A", "B/٢", "cannot read", GRAMMAR),
    ("S@2 B A", "S@2", "score time 2 lies outside the step", "0 <= c <= 1"),
    ("S@-1/2 B A", "S@-1/2", "score time -1/2 lies outside the step", "0 <= c <= 1"),
    ("S@ B A", "S@", "cannot read", GRAMMAR),
    ("S@now B A", "S@now", "cannot read", GRAMMAR),
    ("S@nan B A", "S@nan", "cannot read", GRAMMAR),
    ("S/2 B A", "S/2", "no fraction, rule or row", "S, S@1, S@1/2"),
    ("S*1/2 B A", "S*1/2", "no fraction, rule or row", "S, S@1, S@1/2"),
    ("S:exp B A", "S:exp", "no fraction, rule or row", "S, S@1, S@1/2"),
    ("S[1] B A", "S[1]", "no fraction, rule or row", "S, S@1, S@1/2"),
    ("S B A@1", "A@1", "only the score S has a time", "S@1 or A"),
    ("S E[1/2", "E[1/2", "cannot read", GRAMMAR),
    ("S E[]", "E[]", "cannot read", GRAMMAR),
    ("S E[1,,2]", "E[1,,2]", "cannot read", GRAMMAR),
    ("S E:Exp", "E:Exp", "cannot read", GRAMMAR),
    ("S E:exp[1]x", "E:exp[1]x", "cannot read", GRAMMAR),
]


@pytest.mark.parametrize(("text", "place", "problem", "allowed"), BAD)
def test_a_bad_word_is_refused_with_its_place_and_what_is_allowed(text, place, problem, allowed):
    with pytest.raises(WordError) as caught:
        parse(text)
    message = str(caught.value)
    assert problem in message.splitlines()[0]
    assert pointed_at(caught.value).ljust(1) == place
    assert message.splitlines()[-1].startswith("  allowed: ")
    assert allowed in message.splitlines()[-1]


@pytest.mark.parametrize("index", [0, 1, 57, 399])
def test_the_caret_stands_under_the_bad_token_of_a_long_word(index):
    tokens = ["B/400"] * 400
    tokens[index] = "b/400"
    with pytest.raises(WordError) as caught:
        parse(" ".join(tokens))
    assert pointed_at(caught.value) == "b/400"
    assert max(map(len, str(caught.value).splitlines())) < 140


def test_a_word_of_too_many_tokens_is_refused_at_the_first_one_too_many():
    assert len(parse("A " * MAX_TOKENS).ops) == MAX_TOKENS
    with pytest.raises(WordError, match=f"more than {MAX_TOKENS} tokens") as caught:
        parse("A " * MAX_TOKENS + "B")
    assert pointed_at(caught.value) == "B"


@pytest.mark.parametrize("thing", [None, 3, b"S B A", ["S"]])
def test_what_is_not_text_is_a_type_error(thing):
    with pytest.raises(TypeError, match="a word is a string such as"):
        parse(thing)


def test_control_characters_do_not_reach_the_message():
    with pytest.raises(WordError) as caught:
        parse("S \x1b[31mB\x07 \ud800 A")
    assert all(line.isprintable() for line in str(caught.value).splitlines())


def test_a_word_error_survives_the_way_to_another_process():
    with pytest.raises(WordError) as caught:
        parse("S Bad")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301  our own bytes


@examples(50)
@given(st.floats(-1e20, 1e20).filter(lambda x: abs(x) > 1e-15))
def test_a_float_written_out_in_a_word_is_read_as_the_decimal_that_it_shows(value):
    [op] = parse(f"B*{value!r}").ops
    assert op.fraction == Fraction(repr(value)) and float(op.fraction) == value


# what was typed, and the word that the refusal proposes
MEANT = [
    ("o s b a", "O S B A"),
    ("O,S,B,A", "O S B A"),
    ("O, S; B | A", "O S B A"),
    ("OSBA", "O S B A"),
    ("osba", "O S B A"),
    ("O->S->B->A", "O S B A"),
    ("O-S-B-A", "O S B A"),
    ("(o s b a)", "O S B A"),
    ("S BA", "S B A"),
    ("B/2A/2OA/2SB/2", "B/2 A/2 O A/2 S B/2"),
    ("S b/2 a s@1 b/2", "S B/2 A S@1 B/2"),
    ("S ½B A B½", "S B/2 A B/2"),
    ("S ⅓B A ⅔B", "S B/3 A B*2/3"),
    ("0.5B", "B/2"),
    ("1/2 B", "B/2"),
    ("B(1/2)", "B/2"),
    ("B^0.5", "B/2"),
    ("2B", "B*2"),
    ("B*½", "B/2"),
    ("S@½", "S@1/2"),
    ("B/0.5", "B*2"),
    ("B/2.5", "B*2/5"),
    ("B/2/2", "B/4"),
    ("S@end", "S@1"),
    ("S@END", "S@1"),
    ("S@t+h", "S@1"),
    ("S@(t+h)", "S@1"),
    ("S(t+h)", "S@1"),
    ("S@t+h/2", "S@1/2"),
    ("S@mid", "S@1/2"),
    ("S@t B", "S B"),
    ("(S B/2 A/2)^2", "S B/2 A/2 S B/2 A/2"),
    ("(S B/2 A/2)**2", "S B/2 A/2 S B/2 A/2"),
    ("E[0.5;0.5]", "E[1/2,1/2]"),
    ("E[0 1]", "E[0,1]"),
    ("S E:Exp", "S E:exp"),
    ("e:exp", "E:exp"),
    ("Ｓ　Ｂ　Ａ", "S B A"),
    ("VRORV", "B/2 A/2 O A/2 S B/2"),
    ("v r o v r", "S B/2 A/2 O S B/2 A/2"),
]


@pytest.mark.parametrize(("typed", "meant"), MEANT)
def test_a_word_that_is_misspelled_is_refused_with_the_word_that_was_meant(typed, meant):
    with pytest.raises(WordError, match="did you mean") as caught:
        parse(typed)
    assert caught.value.problem.endswith(f"; did you mean {meant!r}?")
    assert str(parse(meant)) == meant


@pytest.mark.parametrize(
    "typed", ["S X1", "Heun", "S@now", "S@T", "", "3", "()*3", "(B)*x", "S B/0"]
)
def test_nothing_is_proposed_where_nothing_is_likely(typed):
    with pytest.raises(WordError) as caught:
        parse(typed)
    assert "did you mean" not in str(caught.value)


def test_the_letters_taken_apart_are_those_of_the_models():
    assert set(LETTERS) == {key[0] for model in MODELS.values() for key in model.pieces} | {"S"}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("V R O R V", "BAOAB"),
        ("R V O V R", "ABOBA"),
        ("O V R V O", "OBABO"),
        ("V R O R", "BAOA"),
    ],
)
def test_a_splitting_in_the_letters_of_openmm_is_the_one_of_that_name(theirs, ours):
    assert from_openmm(theirs.split()) == str(find(ours, "langevin").word)


def test_other_letters_are_not_taken_for_those_of_openmm():
    assert from_openmm(["V", "O"]) is from_openmm(["O", "S", "B", "A"]) is from_openmm([]) is None


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("O (S B/3 A/3)*3 O/2", "O (S B/3 A/3)*3 O/2"),
        ("(S A)*5", "(S A)*5"),
        ("S S A/2 (S B/4 A/4)*4", "S S A/2 (S B/4 A/4)*4"),  # not the short repeat before it
        ("((S B/4)*2 A/2)*2", "(S B/4 S B/4 A/2)*2"),
        ("S B A", "S B A"),
    ],
)
def test_the_repeat_that_saves_most_is_written_in_brackets(text, folded):
    assert parse(text).folded == folded and parse(folded) == parse(text)


@pytest.mark.heavy
@examples(25)
@given(before=words(3), unit=words(3), after=words(2), times=st.integers(1, 5))
def test_a_repeat_is_its_tokens_written_out_and_is_found_again(before, unit, after, times):
    word = parse(f"{before} ({unit})*{times} {after}")
    assert word.ops == before.ops + unit.ops * times + after.ops
    assert parse(word.folded) == word and len(word.folded) <= len(str(word))
    assert parse(f"(({unit})*{times})") == Word(unit.ops * times)


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("S (B A", "(", "never closed"),
        ("S B) A", ")", "nothing was opened"),
        ("S ()*2 B", ")*2", "nothing to"),
        ("(S B A)*0", ")*0", "cannot repeat"),
        ("(S B A)*1/2", ")*1/2", "cannot repeat"),
        ("((S)*99)*9 B", ")*9", "more than 400"),
    ],
)
def test_brackets_that_repeat_nothing_are_refused_at_their_place(text, place, problem):
    with pytest.raises(WordError, match=problem) as caught:
        parse(text)
    assert text[caught.value.start :].startswith(place)
