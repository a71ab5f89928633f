"""Tables (booktabs) and formulas of a page as LaTeX, pure ASCII, to be \\input into a paper."""

from __future__ import annotations

import re
from functools import cache

from reports.render.document import Cell, Column, Formula, Formulas, Page, Table, printed
from splitting_analysis.linebreaks import aligned, broken

_SYMBOLS = {
    "α": r"\alpha",
    "η": r"\eta",
    "Γ": r"\Gamma",
    "ν": r"\nu",
    "Π": r"\Pi",
    "κ": r"\kappa",
    "λ": r"\lambda",
    "β": r"\beta",
    "γ": r"\gamma",
    "τ": r"\tau",
    "ε": r"\varepsilon",
    "ω": r"\omega",
    "φ": r"\varphi",
    "Δ": r"\Delta",
    "∂": r"\partial",
    "ρ": r"\rho",
    "σ": r"\sigma",
    "Σ": r"\Sigma",
    "μ": r"\mu",
    "δ": r"\delta",
    "√": r"\surd",
    "−": "-",
    "·": r"\cdot",
    "×": r"\times",
    "≤": r"\le",
    "≥": r"\ge",
    "≈": r"\approx",
    "∞": r"\infty",
    "→": r"\to",
    "∈": r"\in",
    "±": r"\pm",
    "∫": r"\int",
    "≠": r"\ne",
    "∝": r"\propto",
    "⊗": r"\otimes",
    "′": "'",
    "½": r"\tfrac{1}{2}",
    "‖": r"\Vert",
    "⟨": r"\langle",
    "⟩": r"\rangle",
}
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵀ", "0123456789-T")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_PUNCTUATION = {
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
    "\u00a0": "~",
}
_ACCENTS = {"ö": r"\"o", "ø": r"\o{}", "é": r"\'e", "ü": r"\"u", "ä": r"\"a", "ň": r"\v{n}"}


def render(page: Page) -> str:
    """All tables and formulas of the page. Needs the packages booktabs and amsmath."""
    parts = [f"% {escape(page.title)}. Generated; needs \\usepackage{{booktabs,amsmath}}."]
    for block in page.blocks:
        if isinstance(block, Table):
            parts.append(_table(block))
        elif isinstance(block, Formulas):
            parts.append(f"% {escape(block.title)}")
            parts += [
                f"% {escape(item.label)}\n\\[ {display(item.latex)} \\]" for item in block.items
            ]
    return "\n\n".join(parts) + "\n"


@cache
def display(formula: str) -> str:
    """A formula for a display: over several aligned lines where it is too long for one."""
    return aligned([("", formula)]) if len(broken(formula)) > 1 else formula


def escape(text: str) -> str:
    """Text with the small markup of document.py as LaTeX. Raises ValueError for a character it
    lacks.
    """
    text = re.sub(r"\[([^\]]+)\]\([^)\s]+\)", r"\1", text)
    result = []
    for part in re.split(r"(`[^`]+`|\*\*[^*]+\*\*|\*[^*]+\*|[_^]\{[^}]+\})", text):
        if part.startswith("`"):
            result.append(rf"\texttt{{{_plain(part[1:-1])}}}")
        elif part.startswith("**"):
            result.append(rf"\textbf{{{escape(part[2:-2])}}}")
        elif part.startswith("*") and len(part) > 2:
            result.append(rf"\emph{{{escape(part[1:-1])}}}")
        elif part.startswith(("_{", "^{")):
            result.append(rf"${part[0]}{{\mathrm{{{part[2:-1].replace('−', '-')}}}}}$")
        else:
            result.append(_plain(part))
    return "".join(result)


def _plain(text: str) -> str:
    return "".join(_character(c) for c in text)


def _character(c: str) -> str:
    if c in _ESCAPES:
        return _ESCAPES[c]
    if c in _SYMBOLS:
        return f"${_SYMBOLS[c]}$"
    if c in "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵀ":
        return f"$^{{{c.translate(_RAISED)}}}$"
    if c in "₀₁₂₃₄₅₆₇₈₉":
        return f"$_{{{c.translate(_LOWERED)}}}$"
    c = _PUNCTUATION.get(c, _ACCENTS.get(c, c))
    if not c.isascii():
        raise ValueError(f"no LaTeX spelling for {c!r}: add it to reports/render/latex.py")
    return c


def _table(table: Table) -> str:
    bold = table.boldest()
    shape = "".join(_alignment(table, j) for j in range(len(table.columns)))
    head = " & ".join(_head(column) for column in table.columns)
    lines = []
    for i, row in enumerate(table.rows):
        cells = [_cell(cell, column) for cell, column in zip(row, table.columns, strict=True)]
        lines.append(
            " & ".join(_bold(c) if (i, j) in bold else c for j, c in enumerate(cells)) + r" \\"
        )
    source = f"\n% Source: {escape(table.source)}" if table.source else ""
    return (
        f"% Table {table.key}: {escape(table.caption)}{source}\n"
        f"\\begin{{tabular}}{{{shape}}}\n\\toprule\n{head} \\\\\n\\midrule\n"
        + "\n".join(lines)
        + "\n\\bottomrule\n\\end{tabular}"
    )


def _head(column: Column) -> str:
    return escape(column.title) + (f" [{escape(column.unit)}]" if column.unit else "")


def _alignment(table: Table, column: int) -> str:
    return "r" if any(isinstance(row[column], int | float) for row in table.rows) else "l"


def _cell(cell: Cell, column: Column) -> str:
    if isinstance(cell, Formula):
        return f"${cell.latex}$"
    if cell is None or isinstance(cell, str):
        return escape(printed(cell))
    mantissa, e, exponent = printed(cell, column.digits).replace("−", "-").partition("e")
    if e and exponent.lstrip("-").isdigit():
        return rf"${mantissa} \cdot 10^{{{int(exponent)}}}$"
    return f"${mantissa}$" if mantissa.startswith("-") else escape(mantissa)


def _bold(cell: str) -> str:
    return rf"$\boldsymbol{{{cell[1:-1]}}}$" if cell.startswith("$") else rf"\textbf{{{cell}}}"
