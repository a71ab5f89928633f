"""Texts and numbers that are no words: each refused in one bounded sentence, at its place."""

from __future__ import annotations

import random
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitting_analysis import CATALOGUE
from splitting_analysis.notation import (
    Word,
    WordError,
    parse,
    read_float,
    read_number,
)
from tests.strategies import examples
from tests.test_notation import pointed_at

_VALID = [str(scheme.word) for scheme in CATALOGUE] + ["E:exp/2 S@1/2 B*-1/3 E[ 1/2 , 1/2 ]"]


_JUNK = [
    *"@/*[]:,-. SBs10٣½Σ",
    "\0",
    "\x1b",
    "\u2028",
    "\u202e",
    "\ud800",
    "\U0001f600",
    "/0",
    "1e9",
    "nan",
    "9" * 5000,
    "[" * 50,
]


def _arbitrary_text(draw: random.Random) -> str:
    kind = draw.randrange(4)
    if kind == 0:  # a valid word, damaged at a few places
        text = list(draw.choice(_VALID))
        for _ in range(draw.randint(1, 4)):
            place, action = draw.randrange(len(text) + 1), draw.randrange(3)
            text[place : place + (action > 0)] = [draw.choice(_JUNK)] if action < 2 else []
        return "".join(text)
    if kind == 1:  # pieces of grammar and junk in any order
        return "".join(draw.choices(_JUNK, k=draw.randint(0, 12)))
    if kind == 2:  # any code points, surrogates included
        return "".join(map(chr, draw.choices(range(0x110000), k=draw.randint(0, 20))))
    return "".join(map(chr, draw.choices(range(0x80), k=draw.randint(0, 20))))


@pytest.mark.heavy
def test_5_000_arbitrary_texts_are_words_or_word_errors_and_nothing_else():
    draw = random.Random(20240211)
    read = refused = 0
    for _ in range(5_000):
        text = _arbitrary_text(draw)
        try:
            word = parse(text)
        except WordError as error:
            refused += 1
            pointed_at(error)
        else:
            read += 1
            assert parse(str(word)) == word
    assert read > 50 and refused > 2_500


@examples(100)
@given(st.text(st.characters(codec=None)))
def test_any_unicode_text_is_a_word_or_a_word_error(text):
    try:
        word = parse(text)
    except WordError:
        return
    assert isinstance(word, Word)


def test_a_long_text_is_refused_in_time_linear_in_its_length():
    def seconds(tokens: int) -> float:
        start = time.perf_counter()
        with pytest.raises(WordError):
            parse("E[1 " * tokens)
        return time.perf_counter() - start

    assert seconds(40_000) < 1  # quadratic time would be 5 s


def test_a_space_within_a_row_does_not_glue_two_numbers():
    with pytest.raises(WordError, match="cannot read") as caught:
        parse("S E[0 1]")
    assert pointed_at(caught.value) == "E[0 1]"


@pytest.mark.parametrize(
    "text",
    [
        "1e99999999",
        "1e-99999999",
        "1e400",
        "1e-400",
        "1e40",
        "1e-40",
        "9" * 41,
        "9" * 5000,
        "1_0",
        "٣",
        "nan",
        "inf",
        "",
        "1/0",
        "1/1_0",
        "0." + "3" * 41,
        " " * 5000 + "1",
    ],
)
def test_a_number_with_too_many_digits_or_other_digits_is_refused_in_one_bounded_sentence(
    text: str,
) -> None:
    with pytest.raises(ValueError, match=r"^[ -~]{1,250}$"):  # printable ASCII, one line
        read_number(text)


def test_a_number_is_read_as_what_it_spells() -> None:
    spelled = {
        "1": 1,
        " 1.25 ": Fraction(5, 4),
        "5/4": Fraction(5, 4),
        "1e-3": Fraction(1, 1000),
        "1E2": 100,
    }
    assert {text: read_number(text) for text in spelled} == spelled
    assert read_number("9" * 40) == 10**40 - 1
    assert (
        read_float("1e-320") == 1e-320 and read_float("0e-999999") == 0 and read_float(" -2.") == -2
    )


@pytest.mark.parametrize("text", ["1_0", "٣", "1e-400", "-0." + "0" * 400 + "1", "", "x" * 5000])
def test_a_float_is_refused_that_is_spelled_otherwise_or_would_become_zero(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a number|is closer to 0") as refused:
        read_float(text)
    assert len(str(refused.value)) < 100
