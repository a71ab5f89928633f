"""Formulas over several lines: every line fits, and together they still mean the formula."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.mathtext import MathTextParser

from splitting_analysis.catalogue import find
from splitting_analysis.errors import display, keys_of, spell_error
from splitting_analysis.linebreaks import WIDTH, aligned, broken
from splitting_analysis.numbers import evaluate
from splitting_analysis.strong import strong_error
from splitting_analysis.styles import LATEX
from splitting_analysis.weak import local_error
from tests import oracle_problems as problems
from tests.test_formulas import read
from tests.test_weak import point


def rejoined(lines):
    """The lines as one formula again: without indentation, brackets that grow in place of fixed
    ones.
    """
    text = " ".join(line.replace(r"\quad ", "").removeprefix("{} ") for line in lines)
    return text.replace(r"\Bigl", r"\left").replace(r"\Bigr", r"\right")


def formulas():
    """Coefficients of one error of every kind, the longest of the catalogue among them."""
    errors = [local_error(find(name)) for name in ("RVV", "NOBAB", "RK45")]
    errors += [local_error(find("BAOAB", "langevin")), strong_error(find("ROBA"))]
    return sorted(
        {spell_error(e, k, key, LATEX) for e in errors for k in e.terms for key in keys_of(e, k)}
    )


def typeset(line):
    """The width of a line as another typesetter makes it, in widths of the letter x."""
    fixed = re.sub(r"\\Big[lr](.)", r"\1", line.replace(r"\quad ", r"\quad\ ").replace("{} ", ""))
    parser = MathTextParser("path")
    return parser.parse(f"${fixed}$", 72).width / parser.parse("$x$", 72).width


@pytest.mark.heavy
@pytest.mark.parametrize("width", [WIDTH, 40])
def test_no_line_of_the_catalogue_is_typeset_much_wider_than_asked(width):
    long = [f for f in formulas() if len(f) > 600]
    assert len(long) > 3
    for formula in long[::4]:
        lines = broken(formula, width)
        assert len(lines) >= 3
        widths = [typeset(line) for line in lines]
        assert max(widths) < 1.2 * width
        assert np.mean(widths) > width / 3


def test_lines_lose_nothing_and_hold_whole_brackets_and_groups():
    for formula in formulas():
        lines = broken(formula, 50)
        for line in lines:
            assert line.count("{") == line.count("}")
            assert line.count(r"\left") == line.count(r"\right")
        if rejoined(lines).count(r"\frac") == formula.count(
            r"\frac"
        ) and r"\frac{1}{M} \, \left(" not in (rejoined(lines)):
            assert re.sub(r"\s", "", rejoined(lines)) == re.sub(r"\s", "", formula)


@pytest.mark.parametrize(("name", "model", "key"), [("RVV", "psld", "m")])
@pytest.mark.parametrize("width", [30, WIDTH])
def test_the_lines_read_back_are_the_number_that_the_formula_stands_for(name, model, key, width):
    p = problems.problem(model, "ode", 2)
    error = local_error(find(name, model))
    lines = broken(spell_error(error, 3, key, LATEX), width)
    assert len(lines) > 10
    expected = np.asarray(evaluate(error.terms[3][key], point(p)), float)
    assert read(rejoined(lines), "latex", p) == pytest.approx(expected, rel=1e-9)


def test_a_formula_that_fits_is_left_alone():
    short = r"-\frac{\beta \, \nu \, M}{4} \, \partial_{\tau} s^{m}"
    assert broken(short) == [short]
    assert aligned([("m:", short)]) == rf"\begin{{aligned}}m: & {short}\end{{aligned}}"


def test_a_long_sum_breaks_before_its_signs_and_goes_on_under_its_beginning():
    lines = broken(r"a + b - \left( c + d \right) \, x", 7)
    assert lines == ["a + b", r"\quad {} - \Bigl( c", r"\quad \quad {} + d \Bigr) \, x"]
    assert aligned([("f:", "a + b"), ("g:", "a + b")], 3) == (
        r"\begin{aligned}f: & a \\ & \quad {} + b \\ g: & a \\ & \quad {} + b\end{aligned}"
    )


@pytest.mark.parametrize("wrong", [r"\left( a", r"a \right)", "{a", "a}", r"\left( a } \right)"])
def test_unbalanced_latex_is_refused(wrong):
    with pytest.raises(ValueError, match="unbalanced LaTeX"):
        broken(wrong)


@pytest.mark.heavy
def test_a_whole_error_is_one_display_of_lines_that_fit():
    shown = display(local_error(find("RVV")))
    assert shown.startswith(r"$$\begin{aligned}h^{2} \;\; x: \quad & ") and shown.endswith(
        r"\end{aligned}$$"
    )
    lines = shown.split(r" \\ ")
    assert len(lines) > 20 and all(" & " in f" {line}" for line in lines)
    assert max(typeset(line.partition("&")[2]) for line in lines[:20:5]) < 1.2 * WIDTH
    nothing = local_error(find("RSE")) - local_error(find("RSE"))
    assert display(nothing) == r"$$\begin{aligned}0\end{aligned}$$"
