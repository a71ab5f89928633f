"""What a text that is no word was probably meant to be: `respell("o,s,½b")` is "O S B/2".

Only a suggestion comes out of here: nothing that a user types is read in any other way than the
grammar in notation.py says. Texts in, texts out; whether the result is a word is for the caller.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from fractions import Fraction

LETTERS = "SABCEKLOU"
"""All letters that some model knows (a test compares); glued letters are only taken apart if
known.
"""
MAX_LENGTH = 300
"""Beyond it no suggestion is made: it could not be read at a glance anyway."""
MAX_REPEATS = 12

NUMBER = (
    r"[-+]?(?:[0-9]{1,40}(?:\.[0-9]{1,40})?|\.[0-9]{1,40})(?:e[-+]?[0-9]{1,2})?(?:/[0-9]{1,40})?"
)
"""How a word spells a number: 2, 2/3, 0.5, .5, 1e-3."""

_TIMES = {
    "end": "1",
    "t+h": "1",
    "t1": "1",
    "stop": "1",
    "start": "0",
    "t": "0",
    "t0": "0",
    "begin": "0",
    "mid": "1/2",
    "middle": "1/2",
    "half": "1/2",
    "t+h/2": "1/2",
    "h": "1",
    "h/2": "1/2",
}
_SEPARATORS = re.compile(r"\s*(?:->|→|⟶|,|;|\||·|∘(?!.))\s*")
_HYPHENS = re.compile(r"(?<=[A-Za-z0-9\]])\s*[-–—_]\s*(?=[A-Za-z])")
_REPEATED = re.compile(r"(?<![A-Za-z0-9])\(([^()\[\]]*)\)\s*(?:(?:\*\*|[*^x×])\s*([0-9]{1,2}))?")
_BEFORE = re.compile(r"(?<![A-Za-z0-9.@/*:\[,-])([0-9./]{1,40})\s*\*?\s*([A-Za-z])(?![A-Za-z])")
_AFTER = re.compile(
    rf"([A-RT-Za-rt-z])\s*(?:\(({NUMBER})\)|\^({NUMBER})|(?<=[A-Za-z])([0-9]+/[0-9]+))"
)
_DIVIDED = re.compile(r"([A-Z](?::[a-z]+)?)((?:/[0-9]*\.?[0-9]+)+)(?![0-9.])")
_GLUED = re.compile(
    rf"[{LETTERS}](?:@{NUMBER}|(?::[a-z]+)?(?:\*{NUMBER}|/[0-9]+|\[[^\[\]]*\])?)(?=$|[{LETTERS}])"
)


def respell(text: str) -> str | None:
    """The text with the usual slips mended, letters spaced; None if there is nothing to mend.

    Mended: lower case, commas and arrows between letters, glued letters, ½B and B(1/2) for B/2,
    B/0.5 for B*2, S@end and S@t+h for S@1, and (A B)^3 written out.
    """
    if len(text) > MAX_LENGTH or not any(c.isalpha() for c in text):
        return None
    # NFKC makes 1⁄2 of ½ (a fraction slash) and plain letters of wide or mathematical ones
    mended = unicodedata.normalize("NFKC", text).replace("⁄", "/").replace("−", "-")
    mended = _upper(re.sub(r"\b[Ss]@?\(([^()]*)\)", r"S@\1", mended))
    mended = re.sub(r"@\s*(?:([A-Za-z0-9+*/]+)|\(([^()]*)\))", _time, mended)
    mended = _REPEATED.sub(_written_out, mended) if "(" in mended else mended
    mended = _spaced_outside_rows(mended)
    mended = _BEFORE.sub(lambda m: _token(m[2], m[1]), mended)
    mended = _AFTER.sub(lambda m: _token(m[1], m[2] or m[3] or m[4]), mended)
    mended = _DIVIDED.sub(_division, mended)
    mended = " ".join(spaced for token in mended.split() for spaced in _taken_apart(token))
    return mended if mended != " ".join(text.split()) else None


def _upper(text: str) -> str:
    """Letters in upper case, but the names of rules (E:exp) in lower case; times (S@end) as they
    are.
    """
    parts = re.split(r"(:\s*[A-Za-z]+|@\s*[A-Za-z0-9+*/]+|(?<=[0-9.])[eE][-+]?[0-9]+)", text)
    return "".join(
        (part if part[0] == "@" else part.lower()) if i % 2 else part.upper()
        for i, part in enumerate(parts)
    )


def _time(match: re.Match[str]) -> str:
    said = match[1] or match[2].replace(" ", "")
    capital = re.fullmatch(r"T\b.*", said)  # the end of the process, not of the step
    return f"@{said if capital else _TIMES.get(said.lower(), said)}"


def _written_out(match: re.Match[str]) -> str:
    """(A B)^2 as A B A B."""
    times = int(match[2] or 1)
    return " ".join([" ", *[match[1]] * times, " "]) if 1 <= times <= MAX_REPEATS else match[0]


def _spelled(letter: str, fraction: Fraction) -> str:
    if fraction == 1:
        return letter
    return f"{letter}/{fraction.denominator}" if fraction.numerator == 1 else f"{letter}*{fraction}"


def _token(letter: str, number: str) -> str:
    try:
        return _spelled(letter, Fraction(number)) + " "
    except (ValueError, ZeroDivisionError):
        return f"{number}{letter}"


def _division(match: re.Match[str]) -> str:
    """B/0.5 is B*2, and B/2/2 is B/4."""
    try:
        fraction = Fraction(1)
        for divisor in match[2].split("/")[1:]:
            fraction /= Fraction(divisor)
    except (ValueError, ZeroDivisionError):
        return match[0]
    return _spelled(match[1], fraction)


def _spaced_outside_rows(text: str) -> str:
    parts = re.split(r"(\[[^\[\]]*\])", text)
    return "".join(
        "[" + re.sub(r"\s*[;,\s]\s*", ",", part[1:-1].strip()) + "]"
        if i % 2
        else _HYPHENS.sub(" ", _SEPARATORS.sub(" ", part))
        for i, part in enumerate(parts)
    )


def _taken_apart(token: str) -> list[str]:
    pieces = _GLUED.findall(token)
    return pieces if "".join(pieces) == token else [token]


def from_openmm(letters: list[str]) -> str | None:
    """The word of a splitting in OpenMM's letters, V kick, R drift, O friction: None for others.

    Repeated letters share the step evenly, as there, and a score is evaluated where the position
    has moved since the last one: "V R O R V" is B/2 A/2 O A/2 S B/2.
    """
    if not {"V", "R"} <= set(letters) <= {"V", "R", "O"} or len(letters) > MAX_LENGTH:
        return None
    counts = Counter(letters)
    ours = {"V": "B", "R": "A", "O": "O"}
    fresh = False  # whether the score belongs to where the position is; the first pass finds out
    for _ in range(2):
        word = []
        for letter in letters:
            if letter == "V" and not fresh:
                word.append("S")
            fresh = letter == "V" or (fresh and letter != "R")
            word.append(_spelled(ours[letter], Fraction(1, counts[letter])))
    return " ".join(word)
