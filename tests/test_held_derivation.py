"""`derive` on words that hold a prediction: order and leading error, spelled; what it does not
take.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import sympy

import splitting_analysis as sa
from splitting_analysis import held_results
from splitting_analysis.catalogue import find
from splitting_analysis.held_error import held_error
from splitting_analysis.held_results import HeldLocalError
from splitting_analysis.held_weak import WeakHeldError
from tests.test_cli import run  # noqa: F401 - a fixture


@pytest.fixture
def derived(run):  # noqa: F811
    def derived(*words):
        code, out, err = run("derive", *words)
        assert code == 0, err
        return out

    return derived


def test_order_and_leading_term_are_printed_with_the_symbols_that_occur(derived):
    told = derived("DPM++2M", "--model", "vp")
    assert "order: 2 (claimed: 2)" in told and "coefficient of h^3" in told
    error = told.partition("x: ")[2].partition("\n")[0].replace("^", "**")
    r1, p1, p2 = sympy.symbols("r1 P1 P2")
    assert sympy.expand(sympy.sympify(error) - (p1 + 3 * p2 * r1 + 2 * p2) / 12) == 0
    assert "\nP1, P2: first, second derivative of" in told and "J:" not in told
    assert "\nr1: length of the step before, over the step's own\n" in told and "r2" not in told


def test_a_legend_explains_what_stands_there_and_nothing_else(derived):
    for name in ("DPM++3S", "Euler-a"):
        error, *legend = derived(name, "--model", "vp").partition("coefficient of")[2].split("\n\n")
        own = re.compile(r"\b(?:P\d+|r\d|kappa\d|J\d*|q\d*|P_u|outer|e1)\b")
        told = " ".join(re.findall(r"(?:^|; )([^:;]*):", "\n".join(legend), re.MULTILINE))
        assert set(own.findall(error)) - {"e2"} <= set(own.findall(told)) | {"P_u"}
        assert set(own.findall(told)) <= set(own.findall(error)), name


def test_an_erratum_stands_beside_the_order_that_is_derived(derived):
    told = derived("DPM++3M", "--model", "vp")
    assert "order: 2 (claimed here: 2)" in told and "its order is 2, not 3" in told
    assert "order: 3" in derived("S E:data[3]", "--model", "vp")


def test_of_a_weak_legend_the_parts_that_do_not_occur_are_left_out():
    error = WeakHeldError(2, {})
    alone = HeldLocalError(find("Euler-a", "vp"), error, {2: {"x": sympy.Symbol("P_u")}})
    assert list(alone.symbols()) == ["P"]
    assert alone.symbols()["P"].endswith("taken out; P_u: its derivative in the clock")


@pytest.mark.parametrize("name", ["DDIM", "DEIS2", "res2s"])
def test_json_and_latex_hold_the_same_coefficient(name, derived):
    error = held_error(find(name, "vp"))
    (told,) = json.loads(derived(name, "--model", "vp", "--format", "json"))
    assert (told["order"], told["leading"]) == (error.order, error.power)
    symbols = {str(s): s for s in error.coefficient.free_symbols}
    found = sympy.sympify(told["terms"][str(error.power)]["x"], symbols)
    assert sympy.expand(found - error.coefficient) == 0
    assert sympy.latex(error.coefficient) in derived(name, "--model", "vp", "--format", "latex")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--order", "3"), "--order: of a word that holds a prediction"),
        (("--minus", "DDIM"), "--minus: of a word that holds a prediction"),
        (("--score-x", "-x", "--at", "x=1,t=0.5"), "leave out --at and --score-x"),
    ],
)
def test_what_such_a_word_does_not_take_is_refused_with_what_there_is(words, said, run):  # noqa: F811
    code, out, err = run("derive", "DPM++2M", "--model", "vp", *words)
    assert (code, out) == (2, "") and said in err


def test_the_weak_order_of_an_sde_and_its_leading_moments_are_printed(derived):
    told = derived("Euler-a", "--model", "vp")
    assert "weak order: 1 (claimed: 1)" in told and "coefficient of h^2" in told
    assert "   x: q*P_xx(e1, e1)/4 + (P_u + P_x(P))/2" in told
    assert "  xx: q*outer(P_x(e1), e1)" in told
    assert "q: rate of the noise" in told and "kappa" not in told and "r1, r2" not in told
    (data,) = json.loads(derived("Euler-a", "--model", "vp", "--format", "json"))
    assert (data["kind"], data["order"], set(data["terms"]["2"])) == ("weak", 1, {"x", "xx"})
    assert "% weak local error, h^2, xx" in derived("Euler-a", "--model", "vp", "--format", "latex")


@pytest.mark.heavy
def test_the_symbols_of_a_weak_error_are_told_where_they_occur(derived):
    told = derived("S E:data[2:dpm]", "--model", "vp", "--dynamics", "sde", "--clock", "tau")
    legend = [line.partition(":")[0] for line in told.strip().rpartition("\n\n")[2].split("\n")]
    assert legend == ["P", "q", "r1", "kappa1"]


@pytest.mark.heavy
def test_of_a_pair_every_moment_has_its_line(derived):
    told = derived("S E:data", "--model", "psld", "--dynamics", "sde")
    assert "weak order: 1" in told
    assert all(f"{key:>4}: " in told for key in ("x", "m", "xx", "xm", "mm")) and "q_xx" in told


def test_a_coefficient_that_is_that_of_equal_steps_says_so():
    own: Any = sa.local_error("DPM++2M", model="vp")
    assert not own.error.equal_steps and "steps of equal length" not in str(own)
    told = replace(own, error=replace(own.error, equal_steps=True))
    assert f"coefficient of h^{own.power}, steps of equal length:" in str(told)


def test_every_earlier_step_and_eight_derivatives_have_names():
    symbols = {f"P{i}" for i in range(1, 9)} | {f"r{i}" for i in range(1, 15)}
    told = held_results._legend(symbols, held_results.SYMBOLS)
    assert (
        told["r"].count(", ") == 2 * 13 + 1 and "the fourth before, the fifth before" in told["r"]
    )
    assert "the eighth before, the 9th before" in told["r"]
    assert told["r"].endswith("the 14th before, over the step's own")
    assert "seventh, eighth derivative" in told["P"]
