"""What a letter means, stated once per model, for symbols and numbers alike.

Every model is a time-changed linear SDE plus score, in reverse time t with clock rate beta:

    dz = beta(T - t) (linear z + score * s) dt + sqrt(beta(T - t) noise) dW

(`fading` of a piece is what more there is of its linear part, at a rate of its own: flow matching.)
`E` is the full reverse drift, the other letters are pieces of it, and the letters of a splitting
add up to `E` (a test holds this). The coefficients are functions of a namespace of parameters,
so that the same line serves SymPy rings, floats, arrays, mpmath numbers and SymPy expressions.
Standard library only.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

from splitting_analysis.pieces import (
    CONJUGATIONS,
    Coefficients,
    Dynamics,
    Matrix,
    Model,
    Piece,
    Rule,
    conjugation,
    is_spelled_out,
    takes_lambda,
)
from splitting_analysis.predictions import HELD

__all__ = [
    "CONJUGATIONS",
    "MODELS",
    "MODEL_NAMES",
    "Coefficients",
    "Dynamics",
    "Matrix",
    "Model",
    "Piece",
    "Rule",
    "conjugation",
    "is_spelled_out",
    "model_at",
    "model_of",
    "takes_lambda",
]


def _psld_ode(p: Any) -> Matrix:
    return ((p.Gamma / 2, -p.iM / 2), (p.half, p.nu / 2))


def _psld_noise(p: Any) -> Coefficients:
    return (p.Gamma, p.M * p.nu)


def _psld_half_score(p: Any) -> Coefficients:
    return (p.Gamma / 2, p.M * p.nu / 2)


def _none(_: Any) -> Coefficients:
    return (0, 0)


# Parameters: Gamma, nu, M, and iM = 1/M, half = 1/2 in the arithmetic at hand.
_PSLD_ODE = {
    "E": Piece(Rule.EULER, _psld_ode, _psld_half_score, _none),
    "E:exp": Piece(Rule.EXPONENTIAL, _psld_ode, _psld_half_score, _none),
    "A": Piece(
        Rule.EULER, lambda p: ((p.Gamma / 2, -p.iM / 2), (0, 0)), lambda p: (p.Gamma / 2, 0), _none
    ),
    "B": Piece(
        Rule.EULER, lambda p: ((0, 0), (p.half, p.nu / 2)), lambda p: (0, p.M * p.nu / 2), _none
    ),
}
_PSLD_SDE = {
    "E": Piece(Rule.EULER, _psld_ode, _psld_noise, _psld_noise),
    "E:exp": Piece(Rule.EXPONENTIAL, _psld_ode, _psld_noise, _psld_noise),
    "A": Piece(Rule.EULER, lambda p: ((p.Gamma, -p.iM / 2), (0, 0)), lambda p: (p.Gamma, 0), _none),
    "B": Piece(Rule.EULER, lambda p: ((0, 0), (p.half, p.nu)), lambda p: (0, p.M * p.nu), _none),
    "O": Piece(
        Rule.EXPONENTIAL,
        lambda p: ((-p.Gamma / 2, 0), (0, -p.nu / 2)),
        _none,
        _psld_noise,
        tuned=0,
    ),
    "L": Piece(
        Rule.EXPONENTIAL,
        lambda p: ((-p.Gamma / 2, -p.iM / 2), (p.half, -p.nu / 2)),
        _none,
        _psld_noise,
    ),
    "K": Piece(Rule.EULER, lambda p: ((p.Gamma, 0), (0, p.nu)), _psld_noise, _none),
}
_VP_ODE = {
    "E": Piece(Rule.EULER, lambda p: ((p.half,),), lambda p: (p.half,), lambda p: (0,)),
    "E:exp": Piece(Rule.EXPONENTIAL, lambda p: ((p.half,),), lambda p: (p.half,), lambda p: (0,)),
    "L": Piece(Rule.EXPONENTIAL, lambda p: ((p.half,),), lambda p: (0,), lambda p: (0,)),
    "K": Piece(Rule.EULER, lambda p: ((0,),), lambda p: (p.half,), lambda p: (0,)),
}
_VP_SDE = {
    "E": Piece(Rule.EULER, lambda p: ((p.half,),), lambda p: (1,), lambda p: (1,)),
    "E:exp": Piece(Rule.EXPONENTIAL, lambda p: ((p.half,),), lambda p: (1,), lambda p: (1,)),
    "E:ddpm": Piece(Rule.ANCESTRAL, lambda p: ((p.half,),), lambda p: (1,), lambda p: (1,)),
    "L": Piece(Rule.EXPONENTIAL, lambda p: ((-p.half,),), lambda p: (0,), lambda p: (1,)),
    "K": Piece(Rule.EULER, lambda p: ((1,),), lambda p: (1,), lambda p: (0,)),
}


def _letters(dynamics: Dynamics, fading: int) -> dict[str, Piece]:
    """E, L and K where x fades at the rate r times `fading`: 0 of VE, 1 of flow matching.

    As of VP, L is the linear part of the flow, and in the SDE the forward process's own drift and
    noise: of VE the identity, and the noise alone. K is what is left to E, the score with it.
    """

    def none(_: Any) -> Coefficients:
        return (0,)

    def nothing(_: Any) -> Matrix:
        return ((0,),)

    def score(p: Any) -> Coefficients:
        return (p.half,) if dynamics == "ode" else (1,)

    def noise(_: Any) -> Coefficients:
        return (int(dynamics == "sde"),)

    own = fading if dynamics == "ode" else -fading
    return {
        "E": Piece(Rule.EULER, nothing, score, noise, fading=Fraction(fading)),
        "L": Piece(Rule.EXPONENTIAL, nothing, none, noise, fading=Fraction(own)),
        "K": Piece(Rule.EULER, nothing, score, none, fading=Fraction(fading - own)),
    }


_HELD_ODE = tuple(HELD)
_HELD_SDE = ("data", "eps", "ddim")
_HELD_PAIR = ("data",)
"""Of position and momentum: what is known of x_0 is one component, and moves both."""
_HELD_PAIR_ODE = (*_HELD_PAIR, "eps", "score")
_HAMILTON = {
    "E": Piece(Rule.EULER, lambda p: ((0, 1), (0, 0)), lambda p: (0, 1), _none),
    "A": Piece(Rule.EULER, lambda p: ((0, 1), (0, 0)), _none, _none),
    "B": Piece(Rule.EULER, lambda p: ((0, 0), (0, 0)), lambda p: (0, 1), _none),
}
_LANGEVIN = {
    "E": Piece(
        Rule.EULER, lambda p: ((0, 1), (0, -p.gamma)), lambda p: (0, 1), lambda p: (0, 2 * p.gamma)
    ),
    "E:exp": Piece(
        Rule.EXPONENTIAL,
        lambda p: ((0, 1), (0, -p.gamma)),
        lambda p: (0, 1),
        lambda p: (0, 2 * p.gamma),
    ),
    "A": _HAMILTON["A"],
    "B": _HAMILTON["B"],
    "O": Piece(
        Rule.EXPONENTIAL, lambda p: ((0, 0), (0, -p.gamma)), _none, lambda p: (0, 2 * p.gamma)
    ),
    "O:mid": Piece(
        Rule.MIDPOINT, lambda p: ((0, 0), (0, -p.gamma)), _none, lambda p: (0, 2 * p.gamma)
    ),
    "U": Piece(  # A and O at once: the free particle, friction and noise included
        Rule.EXPONENTIAL, lambda p: ((0, 1), (0, -p.gamma)), _none, lambda p: (0, 2 * p.gamma)
    ),
}


def _both(piece: Piece) -> Piece:
    """The piece with two forces in place of one, which both act on the momentum."""
    return replace(piece, score=lambda p: (piece.score(p)[1],) * 2)


def _kick(fast: int) -> Piece:
    return Piece(Rule.EULER, _LANGEVIN["B"].linear, lambda _: (fast, 1 - fast), _none)


_TWO_FORCES = {
    "ode": {"E": _both(_HAMILTON["E"]), "A": _HAMILTON["A"], "B": _kick(0), "C": _kick(1)},
    "sde": {
        "E": _both(_LANGEVIN["E"]),
        "E:exp": _both(_LANGEVIN["E:exp"]),
        "A": _LANGEVIN["A"],
        "B": _kick(0),
        "C": _kick(1),
        "O": _LANGEVIN["O"],
        "O:mid": _LANGEVIN["O:mid"],
        "U": _LANGEVIN["U"],
    },
}
"""B is the kick of the slow force, ss, and C that of the fast one, sf."""
_XM, _QP = ("x", "m"), ("q", "p")
_X = ("x",), ("s",), ("x",), True, ()
"""Of the position alone: components, scores, what these see, time, parameters."""
_PSLD_PARAMETERS = ("Gamma", "nu", "M")
MODELS: dict[tuple[str, Dynamics], Model] = {
    (model.name, model.dynamics): model
    for model in (
        Model(
            "psld",
            "ode",
            _XM,
            ("sx", "sm"),
            _XM,
            True,
            _PSLD_PARAMETERS,
            _PSLD_ODE,
            ("E", "AB"),
            _HELD_PAIR_ODE,
            conjugates=True,
        ),
        Model(
            "psld",
            "sde",
            _XM,
            ("sx", "sm"),
            _XM,
            True,
            _PSLD_PARAMETERS,
            _PSLD_SDE,
            ("E", "ABO", "KL"),
            _HELD_PAIR,
            conjugates=True,
        ),
        Model("vp", "ode", *_X, _VP_ODE, ("E", "KL"), _HELD_ODE, conjugates=True),
        Model("vp", "sde", *_X, _VP_SDE, ("E", "KL"), _HELD_SDE, conjugates=True),
        Model("ve", "ode", *_X, _letters("ode", 0), ("E", "KL"), _HELD_ODE, churns=True),
        Model("ve", "sde", *_X, _letters("sde", 0), ("E", "KL"), _HELD_SDE, churns=True),
        Model("flow", "ode", *_X, _letters("ode", 1), ("E", "KL"), _HELD_ODE),
        Model("flow", "sde", *_X, _letters("sde", 1), ("E", "KL"), _HELD_SDE),
        Model("langevin", "ode", _QP, ("", "s"), ("q",), False, (), _HAMILTON, ("E", "AB")),
        Model(
            "langevin",
            "sde",
            _QP,
            ("", "s"),
            ("q",),
            False,
            ("gamma",),
            _LANGEVIN,
            ("E", "ABO", "BU"),
        ),
        Model(
            "respa",
            "ode",
            _QP,
            ("sf", "ss"),
            ("q",),
            False,
            (),
            _TWO_FORCES["ode"],
            ("E", "ABC"),
            acts=(1, 1),
        ),
        Model(
            "respa",
            "sde",
            _QP,
            ("sf", "ss"),
            ("q",),
            False,
            ("gamma",),
            _TWO_FORCES["sde"],
            ("E", "ABCO", "BCU"),
            acts=(1, 1),
        ),
    )
}
MODEL_NAMES = tuple(dict.fromkeys(name for name, _ in MODELS))


def model_of(name: str, dynamics: str) -> Model:
    """The model `name` with `dynamics` "ode" or "sde". Raises ValueError naming what exists."""
    for key, model in MODELS.items():
        if key == (name, dynamics):
            return model
    known = ", ".join(f"{n} {d}" for n, d in MODELS)
    raise ValueError(f"no model {name!r} with dynamics {dynamics!r}; there are: {known}")


@cache
def model_at(name: str, eta: Fraction) -> Model:
    """The model of that name at noise level eta: 0 the ODE's, 1 the SDE's.

    Elsewhere E is eta^2 of the way between the two, as the drift is (theory section 9). L is eta^2
    times the SDE's, the forward process's own drift and noise, and K takes the rest, (1 + eta^2)/2
    times the SDE's: as at 1 both leave the prior of VP as it is. (At 0 that L would be nothing; the
    ODE's is the linear part.) Pieces that one of the two lacks are left out, E:ddpm for one. Raises
    ValueError for a model without levels.
    """
    low, high = model_of(name, "ode"), model_of(name, "sde")
    if eta in (0, 1):
        return high if eta else low
    if not high.has_levels:
        raise ValueError(f"{name} has no noise levels: those of positions alone have, e.g. vp")
    pieces = {
        key: _mixed(low.pieces[key], 1 - eta**2, piece, eta**2)
        for key, piece in high.pieces.items()
        if key in low.pieces
    }
    for key, share in (("L", eta**2), ("K", (1 + eta**2) / 2)):
        pieces[key] = _mixed(high.pieces[key], Fraction(0), high.pieces[key], share)
    return replace(high, pieces=pieces, eta=eta)


def _mixed(low: Piece, less: Fraction, high: Piece, more: Fraction) -> Piece:
    """The pieces' sum with these shares, of one component each."""

    def mixed(p: Any, a: Any, b: Any) -> Any:
        one = p.half + p.half  # so that a fraction is one of the arithmetic at hand
        whole = less.denominator * more.denominator
        left = less.numerator * more.denominator * a + more.numerator * less.denominator * b
        return 0 if left == 0 else one * left / whole

    def linear(p: Any) -> Matrix:
        return ((mixed(p, low.linear(p)[0][0], high.linear(p)[0][0]),),)

    def score(p: Any) -> Coefficients:
        return (mixed(p, low.score(p)[0], high.score(p)[0]),)

    def noise(p: Any) -> Coefficients:
        return (mixed(p, low.noise(p)[0], high.noise(p)[0]),)

    fading = less * low.fading + more * high.fading
    return Piece(high.rule, linear, score, noise, fading=fading)
