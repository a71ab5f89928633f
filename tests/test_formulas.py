"""Printed closed forms, read back as a person reads them, against the numbers they stand for."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings

from splitting_analysis.catalogue import CATALOGUE, find
from splitting_analysis.errors import keys_of, spell_error, to_json
from splitting_analysis.numbers import Point, evaluate
from splitting_analysis.schemes import Scheme, scheme
from splitting_analysis.strong import strong_error
from splitting_analysis.styles import STYLES
from splitting_analysis.weak import at_lambda_one, local_error
from tests import oracle_errors as oracle
from tests import oracle_problems as problems
from tests import oracle_strong as strong
from tests.oracle_fields import error_numbers
from tests.oracle_reader import READERS, Formula
from tests.strategies import splitting_words
from tests.test_strong_error import affine
from tests.test_weak import point

SPLITTINGS = [s for s in CATALOGUE if not s.word.is_runge_kutta]
PAIRS = [("NSE", "RSE"), ("NVV", "RVV"), ("NOBA", "ROBA"), ("NBAO", "RBAO"), ("NOBAB", "ROBAB")]
ERRORS: dict[str, tuple[Scheme, ...]] = {
    f"{s.model_name}-{s.dynamics}-{s.name}": (s,) for s in SPLITTINGS
}
ERRORS |= {f"{a} - {b}": (find(a), find(b)) for a, b in PAIRS}
"""Of one scheme, or the difference of two: derived by the test that needs it."""


def error_of(schemes):
    error, *others = map(local_error, schemes)
    return error - others[0] if others else error


def read(text, style, p):
    """The value of a printed formula at an oracle's problem."""
    values = problems.parameters(p) | {c: np.array(v) for c, v in p.state.items()}
    values["root_lambda"] = p.lambda_s**0.5
    return Formula(READERS[style](text), problems.jet(p), values, p.d).value()


@pytest.mark.share(28)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("schemes", ERRORS.values(), ids=ERRORS)
def test_every_printed_formula_means_the_error_it_is_printed_for(schemes, style):
    error = error_of(schemes)
    p = problems.problem(error.model.name, error.model.dynamics, 2)
    here = point(p)
    for k in error.terms:
        if k == 3 and style != "text" and error.name != "RVV":
            continue  # the longest formulas: one of them in every style is enough
        for key in keys_of(error, k):
            value = read(spell_error(error, k, key, STYLES[style]), style, p)
            expected = evaluate(error.terms[k][key], here)
            if len(key) == 2 and np.ndim(value) == 2:
                value = np.trace(value)
            assert value == pytest.approx(np.asarray(expected, float), rel=1e-9, abs=1e-12), (
                k,
                key,
            )


@pytest.mark.share(2)
@pytest.mark.parametrize("name", ["EM", "ROBA", "NOBAB", "SSCS"])
def test_a_printed_strong_error_is_the_matrix_of_the_exact_one_block_by_block(name):
    p = affine("psld", 2)
    truth = strong.strong_error(p, str(find(name).word))[3]
    error = strong_error(at_lambda_one(find(name)))

    def field(score, j, directions):
        ((component, direction),) = directions
        i, k = ("sx", "sm").index(score), "xm".index(component)
        return p.jacobian[0][2 * i : 2 * i + 2, 2 * k : 2 * k + 2] @ direction

    values = {"Gamma": p.Gamma, "nu": p.nu, "M": p.M, "beta": p.beta(0), "dbeta": p.beta.deriv()(0)}
    for key, style in product(("xx", "xm", "mm"), STYLES):
        i, k = ("xm".index(c) for c in key)
        block = truth[2 * i : 2 * i + 2, 2 * k : 2 * k + 2]
        value = Formula(
            READERS[style](spell_error(error, 3, key, STYLES[style])), field, values, 2
        ).value()
        if key[0] == key[1]:
            value = (value + value.T) / 2
        assert value == pytest.approx(block, abs=1e-8), key


@pytest.mark.heavy
@pytest.mark.parametrize("key", ["xx", "xm"])
def test_a_printed_second_moment_is_the_matrix_of_the_sampler_entry_by_entry(key):
    p = problems.problem("psld", "sde", 2)
    value = read(spell_error(local_error(find("EM")), 2, key), "text", p)
    value = (value + value.T) / 2 if key == "xx" else value
    left, right = (
        [v - sp.Float(a, 20) for v, a in zip(p.symbols["xm".index(c)], p.state[c], strict=True)]
        for c in key
    )
    truth = [[oracle.weak_error(p, "S E", u * v)[2] for v in right] for u in left]
    assert value == pytest.approx(np.array(truth), abs=1e-9)
    assert abs(truth[0][1] - truth[1][0]) > 1e-3 or key == "xx"


def test_random_words_print_what_they_mean_in_all_styles():
    p = problems.problem("psld", "ode", 2)
    here = point(p)

    @settings(max_examples=6)
    @given(word=splitting_words("psld", "ode", 2))
    def holds(word):
        error = local_error(scheme(word, "psld", "ode"), 2)
        for k, by_key in error.terms.items():
            for c, combination in by_key.items():
                expected = np.asarray(evaluate(combination, here), float)
                for style in STYLES:
                    value = read(spell_error(error, k, c, STYLES[style]), style, p)
                    assert value == pytest.approx(expected, rel=1e-9, abs=1e-11)

    holds()


@pytest.mark.parametrize(
    ("left", "right", "key", "text"),
    [
        ("NSE", "RSE", "x", "−β² Γ/4 ∂_m s^x[x + ν m + ν M s^m]"),
        ("NSE", "RSE", "m", "0"),
        ("NVV", "RVV", "m", "−β ν M/4 ∂_τ s^m"),
        ("NOBA", "ROBA", "x", "−β² Γ/2 ∂_m s^x[x + 2 ν m + 2 ν M s^m]"),
    ],
)
def test_what_score_reuse_changes_reads_in_one_line(left, right, key, text):
    assert spell_error(local_error(find(left)) - local_error(find(right)), 2, key) == text


def test_one_difference_reads_alike_in_all_styles():
    difference = local_error(find("NVV")) - local_error(find("RVV"))
    latex = spell_error(difference, 2, "m", STYLES["latex"])
    assert latex == r"-\frac{\beta \, \nu \, M}{4} \, \partial_{\tau} s^{m}"
    tokens = [
        list(READERS[style](spell_error(difference, 3, "x", STYLES[style]))) for style in STYLES
    ]
    without_brackets = [[t for t in row if t[0] not in "()"] for row in tokens]
    assert without_brackets[0] == without_brackets[1] == without_brackets[2]


@pytest.mark.parametrize(("name", "power", "count"), [("Heun", 3, 2), ("RK4", 5, 9)])
def test_a_runge_kutta_error_prints_the_elementary_differentials_of_its_order(name, power, count):
    """There are 2 rooted trees of order 3 and 9 of order 5."""
    error = local_error(find(name, "vp"))
    assert len(error.terms[power]["z"]) == count
    latex = spell_error(error, power, "z", STYLES["latex"])
    assert latex.count("{") == latex.count("}") and latex.count(r"\left") == latex.count(r"\right")


def test_heun_misses_a_known_pair_of_differentials():
    """Hairer, Norsett & Wanner I, II.2: the h^3 error of the trapezoidal rule in explicit form."""
    assert spell_error(local_error(find("Heun", "vp")), 3, "z") == "1/12 (2 f′[f′[f]] − f′′[f, f])"


def from_json(node, field, state, unit):
    """A tree of the JSON form in one dimension."""
    if node["node"] in state:
        return state[node["node"]]
    if node["node"][0] == "e":
        return unit
    along = [(c, from_json(child, field, state, unit)) for c, child in node["along"]]
    if node["node"] == "moment":
        return np.prod([value for _, value in along])
    return field(node["node"], node["d_tau"], tuple(along))


@pytest.mark.heavy
@pytest.mark.parametrize(
    "schemes",
    [
        pytest.param(of, id=name)
        for name, of in ERRORS.items()
        if name.rpartition("-")[2] in ("RSE", "SE", "EM", "BAOA") or name == "NOBA - ROBA"
    ],
)
def test_the_json_form_alone_gives_the_numbers(schemes):
    error = error_of(schemes)
    p = problems.problem(error.model.name, error.model.dynamics, 1)
    state = {c: v[0] for c, v in p.state.items()}
    jet = problems.jet(p)

    def field(name, j, directions):
        return float(jet(name, j, tuple((c, np.array([v])) for c, v in directions))[0])

    data = json.loads(json.dumps(to_json(error)))
    values = {
        sp.Symbol(n, positive=n in ("Gamma", "nu", "M", "gamma", "lambda_s")): v
        for n, v in problems.parameters(p).items()
    }
    expected = error_numbers(error, Point(state, field, problems.parameters(p)))
    assert (data["scheme"], data["word"], data["kind"]) == (error.name, error.word, error.kind)
    assert data["leading_power"] == error.leading
    for k, by_key in expected.items():
        for key, number in by_key.items():
            entry = data["terms"][f"h{k}"][key]
            total = sum(
                float(
                    sp.sympify(term["coefficient"], locals={str(s): s for s in values}).subs(values)
                )
                * from_json(term["differential"], field, state, 1.0)
                for term in entry["sum"]
            )
            assert total == pytest.approx(number, rel=1e-9, abs=1e-12), (k, key)
            assert entry["text"] == spell_error(error, k, key)


def test_errors_display_as_formulas_in_a_notebook():
    for error in (
        local_error(find("RSE")),
        strong_error(find("ROBA")),
        local_error(find("Heun", "vp")),
    ):
        latex = error._repr_latex_()
        assert latex.startswith("$$\\begin{aligned}") and latex.endswith("\\end{aligned}$$")
        assert latex.count("{") == latex.count("}") and latex.count(r"\left") == latex.count(
            r"\right"
        )
    nothing = local_error(find("RSE")) - local_error(scheme("S B A"))
    assert nothing._repr_latex_() == r"$$\begin{aligned}0\end{aligned}$$"
