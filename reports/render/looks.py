"""How a sampler's curve looks: one colour, marker and line per name, the same on every page.

Colour means sampler: whatever is no sampler (numbers of steps, training curves) is drawn in ink,
and what is no measurement of one (limits, floors) is a thin grey dotted line with its name beside
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import NamedTuple
from zlib import crc32

from splitting_analysis import catalogue
from splitting_analysis.reduction import naive, reduced
from splitting_analysis.schemes import Scheme

NAVY, BROWN, GREEN, ORANGE = "#3b55c4", "#8a4b14", "#009e73", "#e08a00"
SKY, CORAL, PINK = "#56a0d3", "#f0784a", "#cc79a7"
PALETTE = (NAVY, BROWN, GREEN, ORANGE, SKY, CORAL, PINK)
"""Hues that colour-blind readers tell apart too (but pink from green or sky only by its marker),
and that read on white and on black."""
MARKERS = "os^XD*vP><hpd8"
SOLID, DASHED = (), (5.0, 2.0)


NO_LINE = (0.0, 99.0)
"""Dashes of a curve that is points alone."""


class Look(NamedTuple):
    """`dashes` in line widths on and off, none for a solid line; a hollow marker is filled with
    paper.
    """

    colour: str
    marker: str
    dashes: tuple[float, ...] = SOLID
    hollow: bool = False


_CHOSEN: dict[str, tuple[str, str]] = {
    "Euler": (NAVY, "o"),
    "EM": (NAVY, ">"),
    "RSE": (BROWN, "s"),
    "ROBA": (BROWN, "D"),
    "RVV": (GREEN, "^"),
    "ROBAB": (GREEN, "P"),
    "RBAO": (ORANGE, "v"),
    "SSCS": (SKY, "*"),
    "RK45": (CORAL, "X"),
    "Heun": (CORAL, "<"),
    "RK4": (CORAL, "h"),
    "EI": (GREEN, "p"),
    "DDPM": (ORANGE, "d"),
    "SE": (BROWN, "8"),
    "VV": (GREEN, "d"),
    "BAOAB": (NAVY, "*"),
    "ABOBA": (ORANGE, "^"),
    "OBABO": (SKY, "s"),
    "BAOA": (BROWN, "v"),
    "UBU": (CORAL, "P"),
    "BUB": (BROWN, "X"),
    "GJF": (CORAL, "^"),
    "SPV": (CORAL, "8"),
    "BBK": (CORAL, "v"),
    "RESPA2": (PINK, "s"),
    "RESPA4": (PINK, "D"),
    "BAOAB-RESPA2": (PINK, "*"),
    "BAOAB-RESPA4": (PINK, "P"),
    "OBABO-RESPA2": (PINK, "^"),
    "LDDIM-I": (SKY, "d"),
    "LDDIM-II": (SKY, "P"),
    "CSE": (BROWN, ">"),
    "CVV": (GREEN, "h"),
    "COBA": (BROWN, "P"),
    "PDDIM": (ORANGE, "p"),
    "P2M": (ORANGE, "D"),
    "P3M": (ORANGE, "P"),
    "DDIM": (BROWN, "d"),
    "DPM++1": (ORANGE, "o"),
    "DPM++2M": (ORANGE, "s"),
    "DPM++2S": (ORANGE, ">"),
    "DPM++3M": (ORANGE, "8"),
    "DPM-Solver-2": (ORANGE, "h"),
    "DEIS2": (SKY, "^"),
    "DEIS3": (SKY, "v"),
    "UniPC2": (NAVY, "P"),
    "UniPC3": (NAVY, "D"),
    "res2s": (GREEN, "*"),
    "S E:data[3]": (GREEN, "X"),
    "Midpoint": (CORAL, "D"),
    "DPM++2M-SDE": (ORANGE, "X"),
    "SA2": (SKY, "8"),
    "Euler-a": (NAVY, "s"),
}
"""Chosen so that samplers of one panel differ in hue: the words around `B A` in brown, those around
`B A B` in green, Euler's in navy, Runge-Kutta's in coral; of samplers that hold a prediction DPM's
in orange, DEIS in sky, UniPC in navy, those exact in the exponential in green. Every other name
finds a place of its own."""
_WORDS = ("S E:data[3]",)
"""Words without a name that pages draw beside samplers."""


def looks() -> dict[str, Look]:
    """The look of every sampler that has a name built in, by name.

    A naive word looks like its reduced form, hollow and dashed. No two names look the same, and a
    new sampler leaves the looks chosen below as they are.
    """
    return _looks(catalogue.CATALOGUE)


@cache
def _looks(schemes: Sequence[Scheme]) -> dict[str, Look]:
    built_in = (*schemes, *catalogue.FURTHER)
    partner = _reduced_forms(built_in)
    every = [s.name for s in built_in]
    names = list(dict.fromkeys(partner.get(name, name) for name in (*every, *_WORDS)))
    taken = dict(_CHOSEN)
    for name in sorted(set(names) - taken.keys()):
        taken[name] = _free(name, set(taken.values()))
    found = {name: Look(*taken[name]) for name in names}
    pairs = {name: Look(*taken[other], DASHED, hollow=True) for name, other in partner.items()}
    return found | pairs


def _free(name: str, taken: set[tuple[str, str]]) -> tuple[str, str]:
    """The first free hue and marker from a place that the name alone decides."""
    places = list(product(MARKERS, PALETTE))
    start = crc32(name.encode()) % len(places)
    for marker, colour in places[start:] + places[:start]:
        if (colour, marker) not in taken:
            return colour, marker
    raise ValueError(f"no colour and marker left for {name}: add a marker to reports/looks.py")


def _reduced_forms(schemes: Sequence[Scheme]) -> dict[str, str]:
    """Names of naive words, each with the name of its reduced form, where the catalogue has both.

    Of several names for one word the pair named alike (NOBA, ROBA) goes together, else the first.
    """
    splittings = [s for s in schemes if s.model_name == "psld" and not s.word.is_runge_kutta]
    pairs = [
        (scheme.name, other.name)
        for other in splittings
        if reduced(other.word) == other.word != naive(other.word)
        for scheme in splittings
        if scheme.dynamics == other.dynamics and scheme.word == naive(other.word)
    ]
    found: dict[str, str] = {}
    for name, other in sorted(pairs, key=lambda pair: pair[0][1:] != pair[1][1:]):
        if name not in found and other not in found.values():
            found[name] = other
    return found
