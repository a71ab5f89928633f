"""Numbers and small markup of a page: printed once, the same in every renderer."""

from __future__ import annotations

import re
from decimal import Decimal
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.render import figures, html, latex, markdown
from reports.render.document import (
    Column,
    Figure,
    Formula,
    Line,
    Mark,
    Page,
    Panel,
    Table,
    plain,
    printed,
    rounded,
    text,
)
from reports.render.spelling import number

NUMBERS = st.floats(-1e12, 1e12, allow_subnormal=False).filter(lambda v: v == 0 or abs(v) > 1e-12)


@given(NUMBERS, st.integers(1, 6))
def test_a_printed_number_is_within_half_a_unit_of_its_last_digit(value, figures):
    shown = plain(value, f"{figures}g")
    if value == 0:
        assert shown == 0
        return
    exponent = Decimal(f"{value:.11e}").adjusted()
    unit = 10.0 ** (exponent - figures + 1)
    assert abs(shown - value) <= 0.5 * unit * (1 + 1e-9)
    mantissa = printed(value, f"{figures}g").replace("−", "").split("e")[0]
    if "." in mantissa or "e" in printed(value, f"{figures}g"):
        assert len(mantissa.replace(".", "").lstrip("0")) == figures


@given(NUMBERS, st.integers(0, 6))
def test_fixed_decimals_round_to_the_nearest(value, decimals):
    shown = printed(value, f"{decimals}f").replace("−", "-")
    assert len(shown.partition(".")[2]) == decimals
    assert abs(Decimal(shown) - Decimal(value)) <= Decimal("0.5000001") * Decimal(
        10
    ) ** -decimals + Decimal(abs(value) * 1e-11)
    assert not shown.startswith("-") or Decimal(shown) != 0


@given(st.integers(1, 9999), st.integers(-6, 6), st.sampled_from([-1, 1]))
def test_a_tie_rounds_the_same_way_whatever_the_last_bits_are(digits, exponent, sign):
    tie = float(f"{digits}5e{exponent}")
    for noise in (1 - 4e-16, 1, 1 + 4e-16):
        assert printed(sign * tie * noise, f"{len(str(digits))}g") == printed(
            sign * tie, f"{len(str(digits))}g"
        )


def test_a_tie_goes_to_the_even_digit():
    assert [printed(v, "2g") for v in (0.125, 0.135, 1250.0)] == ["0.12", "0.14", "1200"]
    assert [printed(v, "2f") for v in (0.125, 0.375, -0.001)] == ["0.12", "0.38", "0.00"]


def test_what_is_no_finite_number_prints_as_a_word_and_stays_out_of_json_numbers():
    inf = float("inf")
    assert [printed(v) for v in (None, inf, -inf, float("nan"))] == ["–", "∞", "−∞", "undefined"]
    assert [plain(v) for v in (inf, float("nan"), None)] == ["∞", "undefined", None]
    with pytest.raises(ValueError, match="number format"):
        printed(1.0, "3x")


def test_the_smallest_of_a_column_is_bold_ties_included():
    columns = (Column("a", "a"), Column("b", "b", digits="2f", smallest=True))
    table = Table(
        "t", "c", columns, (("p", 0.1249), ("q", 0.5), ("r", 0.1201), ("s", None), ("t", 0.1251))
    )
    assert table.boldest() == {(0, 1), (2, 1)}


def test_every_renderer_sets_the_same_cells_in_bold_and_keeps_them_in_their_columns():
    columns = (Column("a", "a"), Column("b", "b", smallest=True), Column("c", "c", smallest=True))
    table = Table("t", "c", columns, (("p|q", 2.0, 1.0), ("r", 1.5, 3.0), ("s", 4.0, 5.0)))
    page = Page("p", "T", "l", (table,))
    shown = markdown.render(page)
    assert "| p\\|q | 2.00 | **1.00** |\n| r | **1.50** | 3.00 |\n| s | 4.00 | 5.00 |" in shown
    bold = re.findall(r'<td class="number best">([\d.]+)</td>', html.render(page, []))
    assert bold == re.findall(r"\\textbf{([\d.]+)}", latex.render(page)) == ["1.00", "1.50"]


def test_a_mark_is_drawn_at_its_level():
    panel = Panel("t", (Line("a", (1.0, 2.0), (3.0, 4.0)),), "x", "y", marks=(Mark(2.5, "m"),))
    _, (ax,) = figures._canvas((3, 3), 1, 1)
    figures._draw_panel(panel, ax)
    assert [list(line.get_ydata()) for line in ax.lines] == [[3.0, 4.0], [2.5, 2.5]]


def test_small_numbers_are_written_with_an_exponent_from_the_fourth_zero_on():
    assert [printed(v) for v in (1.234e-3, 1.234e-4)] == ["0.00123", "1.23e−4"]


def test_a_row_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="table t: 1 cells in a row of 2 columns"):
        Table("t", "c", (Column("a", "a"), Column("b", "b")), (("p",),))


@given(st.text(st.characters(exclude_characters="`*[_^", exclude_categories=("Cs", "Cc"))))
def test_text_without_markup_is_shown_as_it_is(source):
    shown = str(html.inline(source))
    assert "<" not in shown
    assert unescape(shown) == source


def test_markup_of_a_sentence_becomes_html_markdown_and_latex():
    source = "**W_{2}** of `S@1 <b>` at [x & y](exact.html#modes), 10^{−3} *now*"
    assert str(html.inline(source)) == (
        "<b>W<sub>2</sub></b> of <code>S@1 &lt;b&gt;</code> at "
        '<a href="exact.html#modes">x &amp; y</a>, 10<sup>−3</sup> <em>now</em>'
    )
    assert latex.escape(source) == (
        r"\textbf{W$_{\mathrm{2}}$} of \texttt{S@1 <b>} at x \& y, 10$^{\mathrm{-3}}$ \emph{now}"
    )
    page = Page("p", "T", source)
    assert "W<sub>2</sub>" in markdown.render(page) and "(`exact.html`)" in markdown.render(page)


def test_a_character_without_latex_spelling_is_refused():
    with pytest.raises(ValueError, match="no LaTeX spelling for '☃'"):
        latex.escape("a ☃")


def test_a_formula_inside_a_sentence_is_mathml_with_its_text_as_label():
    formula = Formula(r"\beta^{2}", "<msup><mi>β</mi><mn>2</mn></msup>", "β²")
    shown = html.render(Page("p", "T", "l", (text("is ", formula, "."),)), [("p", "P")])
    assert (
        'is <span role="math" '
        'aria-label="β²"><math><msup><mi>β</mi><mn>2</mn></msup></math></span>.' in shown
    )


def test_a_figure_is_drawn_from_the_rounded_numbers_that_json_holds():
    line = Line("a", (1.0, 2.0), (0.123456, float("inf")))
    assert rounded(line).y[0] == 0.1235 and rounded(line).y[1] != rounded(line).y[1]
    near = Line("a", (1.0, 2.0), (0.123461, float("inf")))
    one, two = (
        figures.draw(Figure("f", "c", (Panel("p", (curve,), "x", "y", y_scale="linear"),)))
        for curve in (line, near)
    )
    assert one == two


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2.71e-6, "2.7·10^{−6}"),
        (1.6e8, "1.6·10^{8}"),
        (-3e-10, "−3.0·10^{−10}"),
        (5500, "5500"),
        (0.12, "0.12"),
    ],
)
def test_a_number_in_running_text_has_a_power_of_ten_where_it_is_long(value, shown):
    assert number(value) == shown


def test_a_line_breaks_inside_the_longest_bracket_of_a_long_term_wherever_it_stands():
    def sum_of(letters):
        inside = "<mo>+</mo>".join(f"<mi>{each}</mi>" for each in letters)
        return f"<mrow><mo>(</mo>{inside}<mo>)</mo></mrow>"

    long, short = sum_of(["a" * 20, "b" * 20, "c"]), sum_of("de")
    for before, after in (("", "<mi>x</mi>"), ("<mi>x</mi>", ""), (short, "<mi>x</mi>")):
        parts = [re.sub("<[^>]*>", "", part) for part in html.breakable(before + long + after)]
        first, last = (re.sub("<[^>]*>", "", text) for text in (before, after))
        assert parts == [f"{first}({'a' * 20}", f"+{'b' * 20}", f"+c){last}"]
    assert len(html.breakable(short + "<mi>x</mi>")) == 1
