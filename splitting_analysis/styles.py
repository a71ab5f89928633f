"""How text, LaTeX and MathML spell the few shapes a formula is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from splitting_analysis.symbols import Symbol, row


@dataclass(frozen=True)
class Style:
    """How one output format spells the shapes of a formula."""

    spelled: Callable[[Symbol], str]
    power: Callable[[str, int], str]
    fraction: Callable[[str, str], str]
    product: Callable[[Sequence[str]], str]
    total: Callable[[Sequence[tuple[str, str]]], str]
    bracket: Callable[[str, str, str], str]
    partial: Callable[[str, int], str]
    number: Callable[[int], str]
    laplace: Callable[[str], str]
    primed: Callable[[str, int], str]
    transposed: Callable[[str], str]
    comma: str
    gap: str
    """What stands between an operator and its operand."""

    def symbol(self, name: str) -> str:
        return self.spelled(row(name))


def _plus_minus(terms: Sequence[tuple[str, str]], plus: str, minus: str, lead: str) -> str:
    text = ""
    for i, (sign, term) in enumerate(terms):
        if i == 0:
            text = (lead if sign == "-" else "") + term
        else:
            text += (minus if sign == "-" else plus) + term
    return text or "0"


_SUPER = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def _text_fraction(top: str, bottom: str) -> str:
    def shield(part: str) -> str:
        return f"({part})" if any(c in part for c in " /·") and not _closed(part) else part

    return f"{shield(top) if ' + ' in top or ' − ' in top else top}/{shield(bottom)}"


def _text_product(parts: Sequence[str]) -> str:
    """Factors side by side; a quotient by symbols is shielded from what follows it."""
    parts = [part for part in parts if part]
    shown = [
        f"({p})" if "/" in p and not p[-1].isdigit() and not _closed(p) else p for p in parts[:-1]
    ]
    return " ".join([*shown, *parts[-1:]])


def _closed(part: str) -> bool:
    return part.startswith("(") and part.endswith(")") and part.count("(") == 1


TEXT = Style(
    spelled=lambda row: row.text,
    power=lambda base, k: f"{base}{str(k).translate(_SUPER)}",
    fraction=_text_fraction,
    product=_text_product,
    total=lambda terms: _plus_minus(terms, " + ", " − ", "−"),
    bracket=lambda left, inside, right: f"{left}{inside}{right}",
    partial=lambda c, k: f"∂_{c}" + (str(k).translate(_SUPER) if k > 1 else ""),
    number=str,
    laplace=lambda c: f"Δ_{c}",
    primed=lambda base, n: base + "′" * n,
    transposed=lambda inner: f"{inner}ᵀ",
    comma=", ",
    gap=" ",
)

LATEX = Style(
    spelled=lambda row: row.latex,
    power=lambda base, k: (
        rf"{{{base}}}^{{{k}}}" if "'" in base or "^" in base else f"{base}^{{{k}}}"
    ),
    fraction=lambda top, bottom: rf"\frac{{{top}}}{{{bottom}}}",
    product=lambda parts: r" \, ".join(p for p in parts if p),
    total=lambda terms: _plus_minus(terms, " + ", " - ", "-"),
    bracket=lambda left, inside, right: rf"\left{left} {inside} \right{right}",
    partial=lambda c, k: rf"\partial_{{{c}}}" + (f"^{{{k}}}" if k > 1 else ""),
    number=str,
    laplace=lambda c: rf"\Delta_{{{c}}}",
    primed=lambda base, n: base + "'" * n,
    transposed=lambda inner: f"{inner}^{{T}}",
    comma=", ",
    gap=" ",
)


def _mi(name: str) -> str:
    return f"<mi>{name}</mi>"


def _mo(sign: str) -> str:
    return f"<mo>{sign}</mo>"


def _row(inside: str) -> str:
    return f"<mrow>{inside}</mrow>"


def _msup(base: str, top: str) -> str:
    return f"<msup>{base}{top}</msup>"


MATHML = Style(
    spelled=lambda row: row.mathml,
    power=lambda base, k: _msup(_row(base), f"<mn>{k}</mn>"),
    fraction=lambda top, bottom: f"<mfrac>{_row(top)}{_row(bottom)}</mfrac>",
    product=lambda parts: '<mspace width="0.15em"/>'.join(p for p in parts if p),
    total=lambda terms: _plus_minus(terms, _mo("+"), _mo("−"), _mo("−")),
    bracket=lambda left, inside, right: _row(_mo(left) + inside + _mo(right)),
    partial=lambda c, k: (
        f"<msubsup>{_mo('∂')}{c}<mn>{k}</mn></msubsup>" if k > 1 else f"<msub>{_mo('∂')}{c}</msub>"
    ),
    number=lambda n: f"<mn>{n}</mn>",
    laplace=lambda c: f"<msub>{_mi('Δ')}{c}</msub>",
    primed=lambda base, n: _msup(base, _mo("′" * n)) if n else base,
    transposed=lambda inner: _msup(inner, _mi("T")),
    comma=_mo(","),
    gap="",
)

STYLES = {"text": TEXT, "latex": LATEX, "mathml": MATHML}
