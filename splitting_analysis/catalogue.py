"""Every named scheme, one entry each, with its source and its claims.

To add a sampler, add one line. `order` is the claimed order of the global error (weak order for
an SDE, at lambda_s = 1); the tests derive it from the word and demand equality, not >=.
"""

from __future__ import annotations

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from splitting_analysis.conjugate_catalogue import CONJUGATE_CATALOGUE
from splitting_analysis.data_catalogue import DATA_CATALOGUE
from splitting_analysis.exponential_catalogue import EXPONENTIAL_CATALOGUE, RK4
from splitting_analysis.kin import column_of, kin
from splitting_analysis.kinetic_catalogue import KINETIC_CATALOGUE
from splitting_analysis.models import Dynamics
from splitting_analysis.notation import WordError, meant_word, parse, read_number
from splitting_analysis.position_catalogue import HELD_CATALOGUE
from splitting_analysis.schemes import LambdaS, Scheme, Source, scheme
from splitting_analysis.splitting_catalogue import (
    CLD,
    SPLITTING_CATALOGUE,
    SSCS2_WORD,
    STRANG,
    STRANG_WORD,
)

CONJUGATE = "Pandey, Rudolph & Mandt, ICLR 2024, arXiv 2310.07894"
REDUCED = "Pandey, Rudolph & Mandt, arXiv 2402.07211"
SONG = "Song et al., ICLR 2021, arXiv 2011.13456"
DDPM = "Ho, Jain & Abbeel, NeurIPS 2020, arXiv 2006.11239"
GAUSSIAN = "Pierret & Galerne, ICML 2025, arXiv 2405.14250"
EDM = "Karras et al., NeurIPS 2022, arXiv 2206.00364"
MD = "Leimkuhler & Matthews, Appl. Math. Res. Express 2013"
OBABO = "Bussi & Parrinello, Phys. Rev. E 75, 056707 (2007)"
BAOA = "Kieninger & Keller, J. Chem. Theory Comput. 18 (2022)"
ERMAK = "Ermak & Buckholz, J. Comput. Phys. 35 (1980); Cheng et al., COLT 2018, arXiv 1707.03663"
UBU = "Alamo Zapatero, PhD thesis, Valladolid (2017); Sanz-Serna & Zygalakis, JMLR 22 (2021)"
BUB = "Sanz-Serna & Zygalakis, JMLR 22 (2021); Paulin & Whalley, arXiv 2402.08711"
VERLET = "Hairer, Lubich & Wanner, Acta Numerica 12 (2003)"
TEXTBOOK = "Hairer, Norsett & Wanner, Solving Ordinary Differential Equations I (1993)"
KLOEDEN = "Kloeden & Platen, Numerical Solution of SDEs (1992)"


def _entry(
    name: str,
    word: str,
    model: str,
    dynamics: Dynamics,
    order: int,
    nfe: int,
    cite: str,
    place: str = "",
    erratum: str = "",
) -> Scheme:
    return scheme(
        word, model, dynamics, name, source=Source(cite, place, erratum), order=order, nfe=nfe
    )


_DOPRI5 = (
    "S E[1/5] S@1/5 E[3/40,9/40] S@3/10 E[44/45,-56/15,32/9] "
    "S@4/5 E[19372/6561,-25360/2187,64448/6561,-212/729] "
    "S@8/9 E[9017/3168,-355/33,46732/5247,49/176,-5103/18656] "
    "S@1 E[35/384,0,500/1113,125/192,-2187/6784,11/84]"
)
_SSCS = (
    "The released code conditions both half steps L/2 on the same time; they agree only for "
    "constant beta. Here each half covers its own half of the step."
)
_DDPM = (
    "Here b is h beta(tau). Code with a table of abar takes b = 1 - abar_i/abar_(i-1), equal to "
    "first order: with beta tilde as its variance that is DPM++1-SDE."
)

# fmt: off
CATALOGUE: tuple[Scheme, ...] = (
    _entry("Euler", "S E",                   "psld", "ode", 1, 1, TEXTBOOK, "I.7"),
    _entry("NSE",   "S B S A",               "psld", "ode", 1, 2, CONJUGATE, "naive symplectic "
                                                                             "Euler"),
    _entry("RSE",   "S B A",                 "psld", "ode", 1, 1, CONJUGATE, "reduced symplectic "
                                                                             "Euler"),
    _entry("NVV",   "S B/2 S A S B/2",       "psld", "ode", 1, 3, CONJUGATE, "naive velocity "
                                                                             "Verlet"),
    _entry("RVV",   "S B/2 A S@1 B/2",       "psld", "ode", 1, 2, CONJUGATE, "reduced velocity "
                                                                             "Verlet"),
    _entry("RK45",  _DOPRI5,                 "psld", "ode", 5, 6, TEXTBOOK, "II.5, table 5.2",
           "The step of the adaptive solver in the released code, taken at fixed size: "
           "its step-size control is not part of a word."),
    _entry("EM",    "S E",                   "psld", "sde", 1, 1, KLOEDEN, "9.1, 14.1"),
    _entry("SSCS",  "L/2 S K L/2",           "psld", "sde", 1, 1, CLD, "section 3.3", _SSCS),
    _entry("NOBA",  "O S B S A",             "psld", "sde", 1, 2, REDUCED, "naive"),
    _entry("ROBA",  "O S B A",               "psld", "sde", 1, 1, REDUCED, "reduced"),
    _entry("NBAO",  "S B S A O",             "psld", "sde", 1, 2, REDUCED, "naive"),
    _entry("RBAO",  "S B A O",               "psld", "sde", 1, 1, REDUCED, "reduced"),
    _entry("NOBAB", "O S B/2 S A S B/2",     "psld", "sde", 1, 3, REDUCED, "naive"),
    _entry("ROBAB", "O S B/2 A S@1 B/2",     "psld", "sde", 1, 2, REDUCED, "reduced"),

    _entry("Euler", "S E",                   "vp", "ode", 1, 1, SONG, "probability flow"),
    _entry("Heun",  "S E[1] S@1 E[1/2,1/2]", "vp", "ode", 2, 2, EDM, "algorithm 1"),
    _entry("RK4",   RK4,                     "vp", "ode", 4, 4, TEXTBOOK, "II.1"),
    _entry("EM",    "S E",                   "vp", "sde", 1, 1, SONG, "appendix D"),
    _entry("EI",    "S E:exp",               "vp", "sde", 1, 1, GAUSSIAN, "section 4"),
    _entry("DDPM",  "S E:ddpm",              "vp", "sde", 1, 1, DDPM, "algorithm 2", _DDPM),
    _entry("Strang-Euler", "L/2 S@1/2 K L/2", "vp", "ode", 1, 1, STRANG, "its kick by Euler"),
    _entry("Strang", STRANG_WORD,            "vp", "ode", 2, 2, STRANG, "second-order sampler"),
    _entry("SSCS",  "L/2 S K L/2",           "vp", "sde", 1, 1, CLD, "without a momentum"),
    _entry("SSCS2", SSCS2_WORD,              "vp", "sde", 2, 2, CLD, "without a momentum, its kick "
                                                                     "by the midpoint rule"),

    _entry("SE",    "S B A",                 "langevin", "ode", 1, 1, VERLET, "symplectic Euler"),
    _entry("VV",    "B/2 A S B/2",           "langevin", "ode", 2, 1, VERLET, "velocity Verlet"),
    _entry("EM",    "S E",                   "langevin", "sde", 1, 1, KLOEDEN, "14.1"),
    _entry("EI",    "S E:exp",               "langevin", "sde", 1, 1, ERMAK),
    _entry("BAOAB", "B/2 A/2 O A/2 S B/2",   "langevin", "sde", 2, 1, MD),
    _entry("ABOBA", "A/2 S B/2 O B/2 A/2",   "langevin", "sde", 2, 1, MD),
    _entry("OBABO", "O/2 B/2 A S B/2 O/2",   "langevin", "sde", 2, 1, OBABO),
    _entry("BAOA",  "S B A/2 O A/2",         "langevin", "sde", 1, 1, BAOA),
    _entry("UBU",   "U/2 S B U/2",           "langevin", "sde", 2, 1, UBU),
    _entry("BUB",   "B/2 U S B/2",           "langevin", "sde", 2, 1, BUB),
)
# fmt: on


FURTHER: tuple[Scheme, ...] = (
    *CONJUGATE_CATALOGUE,
    *EXPONENTIAL_CATALOGUE,
    *DATA_CATALOGUE,
    *HELD_CATALOGUE,
    *KINETIC_CATALOGUE,
    *SPLITTING_CATALOGUE,
)
"""Samplers with a name that the pages of stored results leave out."""
_registered: list[Scheme] = []
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9+\-:.'_*]{0,39}")
MAX_CATALOGUE = 200_000
"""Bytes of a file of entries: more than a thousand samplers."""


def entries(model: str | None = None, dynamics: str | None = None) -> tuple[Scheme, ...]:
    """The catalogue and what was registered, or the part with the given model and dynamics."""
    every = (*CATALOGUE, *_registered)
    model, dynamics = _lowered("model", model), _lowered("dynamics", dynamics)
    return tuple(
        s for s in every if model in (None, s.model_name) and dynamics in (None, s.dynamics)
    )


def samplers(model: str | None = None, dynamics: str | None = None) -> tuple[Scheme, ...]:
    """`entries`, conjugate integrators, and samplers that hold a prediction: what a name may stand
    for.
    """
    every = (*CATALOGUE, *FURTHER, *_registered)
    return tuple(
        s for s in every if model in (None, s.model_name) and dynamics in (None, s.dynamics)
    )


def register(*schemes: Scheme) -> None:
    """Let every command and function find samplers of your own by their names, in this process.

    All of them or none; the same one again changes nothing. Raises ValueError for a name that its
    model has for another, or that is none: up to 40 letters, digits and signs without a space, and
    no word itself. A claimed order is not derived here; `derive NAME` shows it beside what is.
    """
    taken = {(s.model_name, s.name.casefold()): s for s in samplers()}
    known = set(taken.values())
    for own in schemes:
        if not _NAME.fullmatch(own.name) or _is_word(own.name):
            raise ValueError(
                f"{own.name[:40]!a} is no name: up to 40 letters, digits and signs such as + or "
                "-, from a letter on, without a space, and not itself a word"
            )
        key = own.model_name, own.name.casefold()
        if taken.get(key, own) != own:
            raise ValueError(
                f"the name {own.name} is taken: model {own.model_name} has {taken[key].word} by it"
            )
        taken[key] = own
    _registered.extend(own for own in dict.fromkeys(schemes) if own not in known)


def _is_word(name: str) -> bool:
    try:
        parse(name)
    except WordError:
        return False
    return True


def read_catalogue(path: str | Path) -> tuple[Scheme, ...]:
    """The entries of a TOML file, checked like the built-in ones:

        [[sampler]]
        name = "MINE"
        word = "O S B/2 A B/2"
        model = "psld"    # and, if wanted: dynamics, order, nfe, clock, source, place, erratum,
                          # lambda_s

    Raises ValueError that names file and entry; `register(*read_catalogue(path))` makes them known.
    """
    place = Path(path)
    if not place.is_file():
        raise ValueError(f"{path}: no file to read a catalogue from")
    if place.stat().st_size > MAX_CATALOGUE:
        raise ValueError(f"{path}: a catalogue has at most {MAX_CATALOGUE} bytes")
    try:
        document = tomllib.loads(place.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read as a catalogue ({error})") from None
    except ValueError as error:  # TOML's own, and Python's of numbers with thousands of digits
        raise ValueError(f"{path}: no TOML: {error}") from None
    rows = document.get("sampler")
    if set(document) != {"sampler"} or not isinstance(rows, list):
        raise ValueError(
            f"{path}: a catalogue holds entries [[sampler]], each with a name and a word"
        )
    return tuple(_read(row, f"{path}, sampler {i + 1}") for i, row in enumerate(rows))


_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("name", "word", "model", "dynamics", "source", "place", "erratum"), (str,)),
    "clock": (str,),
    **dict.fromkeys(("order", "nfe"), (int,)),
    "lambda_s": (int, float, str),
}


def _read(row: Any, where: str) -> Scheme:
    if not isinstance(row, dict) or not {"name", "word"} <= set(row) <= set(_KINDS):
        raise ValueError(
            f"{where}: it needs name and word, and may have {', '.join(list(_KINDS)[2:])}"
        )
    for key, value in row.items():
        if not isinstance(value, _KINDS[key]) or isinstance(value, bool) or value == "":
            kinds = " or ".join(kind.__name__ for kind in _KINDS[key])
            raise ValueError(f"{where}: {key} = {value!r} should be of type {kinds}, and not empty")
    try:
        source = Source(row.get("source", "user"), row.get("place", ""), row.get("erratum", ""))
        made = scheme(
            row["word"],
            row.get("model", "psld"),
            row.get("dynamics"),
            row["name"],
            source=source,
            order=row.get("order"),
            nfe=row.get("nfe"),
            lambda_s=_tuned(row.get("lambda_s")),
            clock=row.get("clock"),
        )
    except ValueError as error:
        raise ValueError(f"{where} ({row['name'][:40]!a}): {error}") from None
    if "lambda_s" in row and not made.has_tunable_noise:
        raise ValueError(
            f"{where}: lambda_s, but it has no letter O whose position noise that scales"
        )
    return made


def _tuned(given: Any) -> LambdaS:
    if given is None:
        return LambdaS()
    try:
        return LambdaS(value=read_number(str(given)))
    except ValueError as error:
        raise ValueError(f"lambda_s: {error}") from None


def find(name: str, model: str | None = None, dynamics: str | None = None) -> Scheme:
    """The scheme of that name, upper and lower case being the same; without `model`, PSLD's first.

    Raises ValueError with the names there are, and the models in which this one exists.
    """
    found = named(name)
    model, dynamics = _lowered("model", model), _lowered("dynamics", dynamics)
    for entry in found:
        if model in (None, entry.model_name) and dynamics in (None, entry.dynamics):
            return entry
    if model is not None and model not in (known := {s.model_name for s in samplers()}):
        raise ValueError(f"no model {model!a}; there are: {', '.join(sorted(known))}")
    if found:
        asked = " ".join(part for part in (model, dynamics) if part)
        where = " and ".join(f"{s.model_name} ({s.dynamics})" for s in found)
        near = _near(found, model)
        raise ValueError(f"{found[0].name} is no {asked} scheme; it belongs to {where}{near}")
    raise ValueError(_unknown(name.strip(), model))


def _near(found: list[Scheme], model: str | None) -> str:
    """What a model has that is nearest to a sampler of others."""
    if model is None or any(entry.model_name == model for entry in found):
        return ""
    known = [entry.name for entry in samplers(model)]
    near = kin(found[0].name, found[0].model_name, known, column_of(model))
    return f"; nearest in {model}: {near}" if near else ""


def named(name: str) -> list[Scheme]:
    """The schemes of that name in all models, PSLD's first."""
    own = _text("name", name).strip().casefold()
    found = [entry for entry in samplers() if entry.name.casefold() == own]
    return sorted(found, key=lambda entry: entry.model_name != "psld")


def _text(what: str, given: Any) -> str:
    """What is given, if it is text. Raises ValueError."""
    if not isinstance(given, str):
        example = {"name": "'ROBA'", "model": "'psld'", "dynamics": "'sde'"}[what]
        message = f"{what} = {str(given)[:40]}: a text such as {example}"
        raise ValueError(message)  # noqa: TRY004 - bad input is a ValueError
    return given


def _lowered(what: str, given: str | None) -> str | None:
    return None if given is None else _text(what, given).strip().lower()


def _unknown(name: str, model: str | None) -> str:
    """What to say to a name that there is not: the nearest ones, wherever they are."""
    homes: dict[str, list[str]] = {}
    for entry in samplers():
        homes.setdefault(entry.name, []).append(entry.model_name)
    inside = {key.casefold(): key for key, models in homes.items() if model in (None, *models)}
    outside = {key.casefold(): key for key in homes if key not in inside.values()}
    near = [inside[key] for key in get_close_matches(name.casefold(), inside, 3)]
    near += [
        f"{outside[key]} (of {' and '.join(dict.fromkeys(homes[outside[key]]))})"
        for key in get_close_matches(name.casefold(), outside, 2, 0.7)
    ]
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    word = meant_word(name)
    return (
        f"no scheme is named {name[:60]!a}{f' in model {model}' if model else ''}{hint}\n"
        f"  names: {', '.join(inside.values())}"
    ) + (f"\n  or, as a word: {word!r}" if word else "")
