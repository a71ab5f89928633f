"""Every symbol of the closed forms, once: its spellings, its meaning, and what it is a power of.

The coefficient ring, the three styles, numbers at a point and the legend all read this table, so a
new parameter of a model is one line here, besides its use in the model. A component or a score of
the state needs a line only where it is to be spelled or explained otherwise than by its own name.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from types import SimpleNamespace
from typing import Any, Literal, Self

MAX_BETA = 8
"""Derivatives of beta kept: beta, beta', ..., enough for h^8."""

MAX_RATE = 3
"""Rates of the factor of eps kept: l, l', l'', enough for h^4 of conjugate steps."""

MAX_ENTRIES = 8
"""Entries of B that are no polynomials, and have symbols: those of two matrices."""

MAX_FADING = 4
"""r and its derivatives kept: enough for h^4 of splittings of flow matching."""

Kind = Literal[
    "component",
    "score",
    "parameter",
    "scale",
    "clock",
    "factor",
    "bend",
    "entry",
    "skip",
    "fading",
    "kernel",
    "mark",
]
"""From parameters on, all but marks are generators of a coefficient ring."""
ALWAYS: tuple[Kind, ...] = ("parameter", "scale", "clock")
"""Those of every coefficient ring."""
SOMETIMES: tuple[Kind, ...] = ("factor", "bend", "entry", "skip", "fading", "kernel")
"""Those that only conjugate steps have, what fades at a rate of its own, and held pieces."""


@dataclass(frozen=True)
class Symbol:
    """One symbol: a generator of the ring, a component, a score, or a mark of the notation.

    `value` is what --at and SymPy call the quantity; a generator is its `power` (-1 for 1/M, 1/2
    for a root), and kept beside it because the ring knows polynomials only. `positive` is what
    SymPy may assume of it. `meaning` is its line in the legend; "" for none of its own.
    """

    name: str
    kind: Kind
    text: str
    latex: str
    mathml: str
    meaning: str = ""
    value: str = ""
    power: Fraction = Fraction(1)
    positive: bool = False

    def at(self, values: Mapping[str, Any]) -> Any:
        """The generator's value, from those of the quantities. Raises KeyError for a missing
        one.
        """
        if self.value not in values:
            raise KeyError(f"the closed form needs a value for {self.value}")
        value = values[self.value]
        if self.power == 1:
            return value
        return 1 / value if self.power == -1 else value ** float(self.power)


def symbol(
    name: str,
    kind: Kind,
    meaning: str = "",
    text: str = "",
    latex: str = "",
    mathml: str = "",
    value: str = "",
    power: Fraction = Fraction(1),
    positive: bool = False,
) -> Symbol:
    """A row; what is not given follows from the name, the MathML from the text."""
    text = text or name
    upright = latex or (name if len(name) == 1 else rf"\mathrm{{{name}}}")
    return Symbol(
        name,
        kind,
        text,
        upright,
        mathml or f"<mi>{text}</mi>",
        meaning,
        value or name,
        power,
        positive,
    )


def _raised(base: str, top: str) -> str:
    return f"<msup><mi>{base}</mi>{top}</msup>"


def _over(below: str) -> str:
    return f"<mfrac><mn>1</mn>{below}</mfrac>"


def _beta(k: int) -> Symbol:
    """beta or its k-th derivative in forward time."""
    name, value = f"beta{k}", {0: "beta", 1: "dbeta"}.get(k, f"d{k}beta")
    if k == 0:
        return symbol(name, "clock", "rate of the clock at τ = T − t", "β", r"\beta", value=value)
    meaning = "with primes, its derivatives in τ"
    if k <= 3:
        mark = "′″‴"[k - 1]
        spelled = (f"β{mark}", r"\beta" + "'" * k, _raised("β", f"<mo>{mark}</mo>"))
    else:
        order = f"<mrow><mo>(</mo><mn>{k}</mn><mo>)</mo></mrow>"
        spelled = (f"β^({k})", rf"\beta^{{({k})}}", _raised("β", order))
    return symbol(name, "clock", meaning, *spelled, value=value)


def _rate(entry: str, k: int) -> Symbol:
    """An entry of (dL/dtau) L^-1, or its k-th derivative in forward time."""
    mark = "′″‴"[k - 1] if k else ""
    value = {0: "", 1: "d"}.get(k, f"d{k}") + f"l_{entry}"
    below = f"<msub><mi>ℓ</mi><mi>{entry}</mi></msub>"
    return symbol(
        f"l{entry}{k or ''}",
        "factor",
        "entries of (dL/dτ) L⁻¹, with L of the noise prediction, s = −L⁻ᵀ ε; with primes, their "
        "derivatives in τ",
        f"ℓ_{entry}{mark}",
        rf"\ell_{{{entry}}}" + "'" * k,
        f"<msup>{below}<mo>{mark}</mo></msup>" if k else below,
        value,
    )


def _entry(number: int, k: int) -> Symbol:
    """An entry of a B that is no polynomial, or its k-th derivative in forward time."""
    mark = "′″‴"[k - 1] if k else ""
    value = {0: "", 1: "d"}.get(k, f"d{k}") + f"b{number}"
    below = f"<msub><mi>b</mi><mn>{number}</mn></msub>"
    return symbol(
        f"b{number}_{k}",
        "entry",
        "entries of B that are no polynomials, in their order; with primes, their derivatives in τ",
        f"b_{number}{mark}",
        rf"b_{{{number}}}" + "'" * k,
        f"<msup>{below}<mo>{mark}</mo></msup>" if k else below,
        value,
    )


def _fading(k: int) -> Symbol:
    """r, the rate at which data fade, or its k-th derivative in forward time."""
    mark = "′″‴"[k - 1] if k else ""
    return symbol(
        f"r{k}",
        "fading",
        "−α′/α at τ = T − t, the rate at which data fade; with primes, its derivatives in τ",
        f"r{mark}",
        "r" + "'" * k,
        _raised("r", f"<mo>{mark}</mo>") if k else "<mi>r</mi>",
        {0: "", 1: "d"}.get(k, f"d{k}") + "r",
    )


def _kernel(name: str, text: str, latex: str, entry: str, meaning: str) -> Symbol:
    below = f"<msub><mi>{text}</mi><mi>{entry}</mi></msub>"
    spelled = f"{text}_{entry}", f"{latex}_{{{entry}}}", below
    return symbol(f"{name}_{entry}", "kernel", meaning, *spelled)


_INVERSE, _ROOT = Fraction(-1), Fraction(1, 2)
_UNDER_ROOT = "<msub><mi>λ</mi><mi>s</mi></msub>"
_IN_POSITION = "friction of the position, which scales its noise"
_IN_MOMENTUM = "friction of the momentum, which scales its noise"
_TABLE = (
    symbol("x", "component", "position"),
    symbol("q", "component", "position"),
    symbol("m", "component", "momentum"),
    symbol("p", "component", "momentum"),
    symbol("z", "component"),
    symbol("sx", "score", text="s^x", latex="s^{x}", mathml=_raised("s", "<mi>x</mi>")),
    symbol("sm", "score", text="s^m", latex="s^{m}", mathml=_raised("s", "<mi>m</mi>")),
    symbol("s", "score"),
    symbol("sf", "score", text="s^f", latex="s^{f}", mathml=_raised("s", "<mi>f</mi>")),
    symbol("ss", "score", text="s^s", latex="s^{s}", mathml=_raised("s", "<mi>s</mi>")),
    symbol("f", "score"),
    symbol("D", "score", "what is held: the data x_0, as predicted at z and τ"),
    symbol("epsilon", "score", "what is held: the noise −σ s", "ε", r"\varepsilon"),
    symbol("u", "score", "what is held: the velocity α′ x_0 + σ′ ε"),
    symbol("v", "score", "what is held: α ε − σ x_0"),
    symbol("Gamma", "parameter", _IN_POSITION, "Γ", r"\Gamma", positive=True),
    symbol("nu", "parameter", _IN_MOMENTUM, "ν", r"\nu", positive=True),
    symbol("M", "parameter", "mass; 1/M = (Γ − ν)²/4 is critical damping", positive=True),
    symbol("iM", "parameter", "", "1/M", r"\frac{1}{M}", _over("<mi>M</mi>"), "M", _INVERSE),
    symbol("gamma", "parameter", "friction", "γ", r"\gamma", positive=True),
    symbol(
        "lambda_s",
        "scale",
        "scale of the position noise of the letter O; 1 is exact",
        "λ_s",
        r"\lambda_s",
        _UNDER_ROOT,
        positive=True,
    ),
    symbol(
        "root_lambda",
        "scale",
        "",
        "√λ_s",
        r"\sqrt{\lambda_s}",
        f"<msqrt>{_UNDER_ROOT}</msqrt>",
        "lambda_s",
        _ROOT,
    ),
    symbol("ibeta", "clock", "", "1/β", r"\frac{1}{\beta}", _over("<mi>β</mi>"), "beta", _INVERSE),
    *(_beta(k) for k in range(MAX_BETA)),
    symbol(
        "lambda_", "scale", "of conjugate steps: B = λ I (eye) or λ times all ones", "λ", r"\lambda"
    ),
    *(_rate(entry, k) for entry in ("xx", "mx", "xm", "mm") for k in range(MAX_RATE)),
    symbol("tau", "bend", "", "τ", r"\tau"),
    *(_entry(number, k) for number in range(1, MAX_ENTRIES + 1) for k in range(MAX_RATE + 1)),
    *(
        symbol(
            f"c{entry}",
            "skip",
            "entries of C_skip = −Σ⁻¹, with Σ the covariance at τ of Gaussian data",
            f"c_{entry}",
            f"c_{{{entry}}}",
            f"<msub><mi>c</mi><mi>{entry}</mi></msub>",
            f"c_{entry}",
        )
        for entry in ("xx", "xm", "mm")
    ),
    *(_fading(k) for k in range(MAX_FADING)),
    symbol("alpha", "kernel", "x_τ = α x_0 + σ ε", "α", r"\alpha", positive=True),
    symbol("isigma", "kernel", "1/σ", "w", "w", positive=True),
    symbol("isize", "kernel", "1/(α² + σ²)", "n", "n", positive=True),
    *(_kernel("mu", "μ", r"\mu", e, "what multiplies x_0 in the mean of z") for e in ("x", "m")),
    *(_kernel("P", "Π", r"\Pi", e, "entries of Σ⁻¹, Σ = Cov(z | x_0)") for e in ("xx", "xm", "mm")),
    symbol("phi", "mark", "a smooth test function", "φ", r"\varphi"),
    symbol("identity", "mark", "identity matrix", "I", "I"),
    symbol("outer", "mark", "u ⊗ v is the matrix u vᵀ", " ⊗ ", r" \otimes ", "<mo>⊗</mo>"),
)
ROWS: dict[str, Symbol] = {row.name: row for row in _TABLE}
"""The table by name, in the order in which plain terms are printed (coefficients: `printed`)."""


class Unit(str):
    """The name of a unit vector of R^d. What makes it one is this class: the text is how it is
    spelled, and `refuse_state` keeps components and scores from being spelled alike.
    """

    __slots__ = ()


def unit(number: int) -> Unit:
    """The unit vector e1, e2, ...; numbers count from 1."""
    return Unit(f"e{number}")


class Moment(str):
    """The key of a second moment in a local error; `parts` are its two components."""

    __slots__ = ("parts",)
    parts: tuple[str, str]

    def __new__(cls, a: str, b: str, text: str) -> Self:
        key = super().__new__(cls, text)
        key.parts = (a, b)
        return key

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str]]:  # for copies and pickles
        return type(self), (*self.parts, str(self))


def row(name: str) -> Symbol:
    """The symbol of that name; one without a line is spelled as it is called."""
    return ROWS.get(name) or _unlisted(name)


@cache
def _unlisted(name: str) -> Symbol:
    if isinstance(name, Unit):
        number = name[1:]
        mathml = f"<msub><mi>e</mi><mn>{number}</mn></msub>"
        return Symbol(name, "mark", name, f"e_{{{number}}}", mathml)
    return symbol(name, "component")


def rows(*kinds: Kind) -> list[Symbol]:
    """The lines of these kinds, in the table's order."""
    return [row for row in ROWS.values() if row.kind in kinds]


def generators(*kinds: Kind) -> list[Symbol]:
    """The generators of the coefficient ring of these kinds, in its order; all by default."""
    return rows(*(kinds or (*ALWAYS, *SOMETIMES)))


def base(generator: Symbol) -> Symbol:
    """The generator that is the quantity itself: M for 1/M."""
    return next(r for r in generators() if r.value == generator.value and r.power == 1)


def printed() -> list[str]:
    """Names of the generators in the order of a printed product: the clock before the rest."""
    return [row.name for row in (*rows("clock", "fading"), *rows("parameter", "scale"))] + [
        row.name for row in rows(*(kind for kind in SOMETIMES if kind != "fading"))
    ]


def rank(name: str) -> tuple[int, int]:
    """The place of a symbol among plain terms: components, scores, the rest; no line comes last."""
    kinds: list[Kind] = ["component", "score"]
    kind = row(name).kind
    known = [each.name for each in rows(kind)]
    return (
        kinds.index(kind) if kind in kinds else len(kinds),
        known.index(name) if name in known else len(known),
    )


def namespace(half: Any, values: Mapping[str, Any]) -> SimpleNamespace:
    """What the letters' coefficient functions take: all parameters by name, and 1/2."""
    return SimpleNamespace(half=half, **{row.name: values[row.name] for row in rows("parameter")})


def ones() -> SimpleNamespace:
    """Parameters at which a coefficient vanishes only if it vanishes identically."""
    return namespace(Fraction(1, 2), {row.name: 1 for row in rows("parameter")})


def pair(a: str, b: str, components: Iterable[str]) -> Moment:
    """The key of the second moment of two components: "xm", or "aux x" where names are longer."""
    return Moment(a, b, f"{a}{b}" if all(len(c) == 1 for c in components) else f"{a} {b}")


def parts(key: str) -> tuple[str, ...]:
    """The components that a key of a local error is about: one, or the two of a second moment."""
    return key.parts if isinstance(key, Moment) else (key,)


def refuse_state(
    components: tuple[str, ...], scores: tuple[str, ...], parameters: tuple[str, ...]
) -> None:
    """Raise ValueError for names of a state that formulas could not tell apart or spell."""
    names = [*components, *(name for name in scores if name)]
    for name in names:
        spelled_as_unit = name[:1] == "e" and name[1:].isdigit()
        if not (name.isalnum() and name[0].isalpha()) or spelled_as_unit or name == "moment":
            raise ValueError(
                f"{name!r} names no part of a state: letters and digits, a letter first, and "
                "neither 'moment' nor e1, e2, ..., the unit vectors"
            )
        what = row(name).kind
        if what not in ("component", "score"):
            which = what if what in ALWAYS else "mark"
            raise ValueError(f"{name!r} is a {which} of the closed forms, no part of a state")
    if len(set(components)) < len(components) or set(components) & set(scores):
        raise ValueError(f"components and scores must be told apart: {', '.join(names)}")
    known = [r.name for r in rows("parameter") if r.power == 1]
    for name in parameters:
        if name not in known:
            raise ValueError(f"no parameter {name!r} in symbols.py; there are: {', '.join(known)}")
