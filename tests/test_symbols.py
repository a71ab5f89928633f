"""The table of symbols: all that occurs in a formula has its line, and a new parameter needs no
more.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest
import sympy as sp

from reports.commands.legend import legend
from reports.render.spelling import entry
from splitting_analysis import symbols
from splitting_analysis.algebra import SYMBOLS, _algebra, algebra, with_kinds
from splitting_analysis.errors import keys_of, spell_error, to_json
from splitting_analysis.models import MODELS, Model, Piece, Rule, model_of
from splitting_analysis.notation import parse
from splitting_analysis.numbers import Point
from splitting_analysis.schemes import scheme
from splitting_analysis.strong import strong_error
from splitting_analysis.styles import LATEX, MATHML, STYLES
from splitting_analysis.symbols import ROWS, pair, parts, row, symbol
from splitting_analysis.weak import local_error
from tests.oracle_fields import error_numbers, sympy_field

AT = {"x": 0.4, "m": -0.7}
SCORES = {"sx": "x*m**2 - tau*sin(x)", "sm": "exp(-m) + x**2*m - tau**2"}
VALUES = {
    "Gamma": 0.3,
    "nu": 1.1,
    "M": 1.7,
    "lambda_s": 0.7,
    "beta": 1.3,
    "dbeta": 0.4,
    "d2beta": -0.2,
}
WORDS = ["S B A", "O S B A", "L/2 S K L/2", "S@1/2 A/2 B A/2"]


@pytest.mark.parametrize("kinds", [(), ("factor",), ("factor", "bend")])
def test_every_generator_of_a_ring_has_one_line_and_each_line_of_its_kinds_is_a_generator(kinds):
    with with_kinds(*kinds):
        names = [str(name) for name in algebra().ring.symbols]
    found = [r.name for r in symbols.generators(*symbols.ALWAYS, *kinds)]
    assert names == found and len(set(names)) == len(names)
    # a second line of one name would be lost in the dictionary
    assert len(symbols._TABLE) == len(ROWS)


@pytest.mark.parametrize("key", MODELS, ids=" ".join)
def test_every_component_score_and_parameter_of_a_model_has_a_line_of_its_kind(key):
    model = MODELS[key]
    assert {ROWS[c].kind for c in model.components} == {"component"}
    assert all(ROWS[c].meaning for c in model.components)
    assert {ROWS[name].kind for name in model.scores if name} == {"score"}
    assert all(ROWS[name].kind == "parameter" and ROWS[name].meaning for name in model.parameters)


def test_every_line_is_spelled_in_all_styles_and_no_two_alike():
    for style in STYLES.values():
        spellings = [style.symbol(name) for name in ROWS]
        assert all(s.strip() for s in spellings) and len(set(spellings)) == len(spellings)
    for name in ROWS:
        ET.fromstring(f"<math>{MATHML.symbol(name)}</math>")  # noqa: S314 - our own
        latex = LATEX.symbol(name)
        assert latex.isascii() and latex.count("{") == latex.count("}")


def test_a_power_of_a_quantity_reduces_evaluates_and_reads_as_one():
    a = algebra()
    for generator in (g for g in symbols.generators() if g.power != 1):
        whole, own = (
            a.ring(sp.Symbol(name)) for name in (symbols.base(generator).name, generator.name)
        )
        inverse = generator.power == -1
        assert a.reduce(own * whole if inverse else own**2) == (a.one if inverse else whole)
        assert generator.at({generator.value: 4.0}) == 4.0 ** float(generator.power)
        assert a.to_sympy(own) == SYMBOLS[generator.value] ** sp.Rational(str(generator.power))
    with pytest.raises(KeyError, match="needs a value for dbeta"):
        row("beta1").at({"beta": 1.0})


def renamed(model: Model, name: str) -> Model:
    """PSLD with a component "aux" for x, its score "saux", and the parameter theta for Gamma."""

    def of(function):
        return lambda p: function(SimpleNamespace(**vars(p) | {"Gamma": p.theta}))

    pieces = {
        letter: Piece(piece.rule, of(piece.linear), of(piece.score), of(piece.noise), piece.tuned)
        for letter, piece in model.pieces.items()
    }
    return replace(
        model,
        name=name,
        components=("aux", "m"),
        scores=("saux", "sm"),
        score_arguments=("aux", "m"),
        parameters=("theta", "nu", "M"),
        pieces=pieces,
    )


@pytest.fixture
def theta(monkeypatch):
    """The table with one more parameter, in a ring of its own."""
    line = symbol(
        "theta", "parameter", "friction of the auxiliary part", "θ", r"\theta", positive=True
    )
    monkeypatch.setitem(ROWS, "theta", line)
    _algebra.cache_clear()
    yield
    monkeypatch.undo()
    _algebra.cache_clear()


@pytest.mark.share(2)
@pytest.mark.parametrize("word", WORDS)
def test_a_new_parameter_and_a_component_with_a_longer_name_give_the_numbers_of_the_old_ones(
    theta, word
):
    """PSLD under other names: expansion, noise, strong error, numbers; as text, LaTeX, MathML,
    JSON.
    """
    given = scheme(word)
    other = scheme(word, model=renamed(given.model, "scratch"))
    rename = {"x": "aux", "sx": "saux", "Gamma": "theta"}
    scores = {name: sp.sympify(text) for name, text in SCORES.items()}
    new_scores = {
        rename.get(n, n): e.subs(sp.Symbol("x"), sp.Symbol("aux")) for n, e in scores.items()
    }
    at = AT | {"tau": 0.3}
    new_at = {rename.get(c, c): value for c, value in at.items()}
    here = Point(AT, sympy_field(scores, at), VALUES)
    new_values = {rename.get(key, key): value for key, value in VALUES.items()}
    there = Point({c: new_at[c] for c in ("aux", "m")}, sympy_field(new_scores, new_at), new_values)
    for derive in [partial(local_error, order=2)] + [strong_error] * (given.dynamics == "sde"):
        error = derive(other)
        wanted = error_numbers(derive(given), here)
        found = error_numbers(error, there)
        for k, by_key in wanted.items():
            names = {
                key: [rename.get(c, c) for c in (key if len(key) == 2 else [key])] for key in by_key
            }
            as_now = {
                pair(each[0], each[1], ("aux", "m")) if len(each) == 2 else each[0]: by_key[key]
                for key, each in names.items()
            }
            assert found[k] == pytest.approx(as_now, rel=1e-9, abs=1e-12)
        data = json.loads(json.dumps(to_json(error)))
        for k in error.terms:
            assert list(data["terms"][f"h{k}"]) == keys_of(error, k)
            for key in keys_of(error, k):
                ET.fromstring(f"<math>{spell_error(error, k, key, MATHML)}</math>")  # noqa: S314 - our own


def test_a_formula_in_new_symbols_reads_as_one_in_old_ones(theta):
    new = scheme("S B A", model=renamed(model_of("psld", "ode"), "scratch"), name="RSE")
    naive = replace(new, name="NSE", word=parse("S B S A"))
    # published for x and Gamma: see test_formulas.py
    error = local_error(naive, 2) - local_error(new, 2)
    assert spell_error(error, 2, "aux") == "−β² θ/4 ∂_m saux[ν m + aux + ν M s^m]"
    assert spell_error(error, 2, "aux", LATEX).replace(" ", "") == (
        r"-\frac{\beta^{2}\,\theta}{4}\,\partial_{m}\mathrm{saux}"
        r"\left[\nu\,m+\mathrm{aux}+\nu\,M\,s^{m}\right]"
    )
    assert "<mo>+</mo><mi>aux</mi><mo>+</mo>" in spell_error(error, 2, "aux", MATHML)
    assert "  aux: −β² θ/4" in str(error) and r"\mathrm{aux}: \quad" in error._repr_latex_()
    error = local_error(new, 2)
    lines = legend([(key, spell_error(error, 2, key)) for key in keys_of(error, 2)], new)
    assert "  θ: friction of the auxiliary part" in lines
    assert "  aux: component of the state" in lines and "  m: momentum" in lines
    assert not any(line.startswith("  Γ") for line in lines)


def test_keys_of_second_moments_are_told_from_those_of_means():
    key = pair("x", "m", ("x", "m"))
    assert key == "xm" and parts(key) == ("x", "m") and parts("xm") == ("xm",)
    # "xx" is a component here, so that letters side by side would not do
    assert parts("xx") == ("xx",) and parts(pair("x", "x", ("x", "xx"))) == ("x", "x")
    # a key that is typed, as in a page, is the error's own
    assert entry(local_error(scheme("O S B A")), 2, "xm").label == "x mᵀ"


@pytest.mark.parametrize(
    ("components", "scores", "parameters", "problem"),
    [
        (("e1",), ("s",), (), "'e1' names no part of a state"),
        (("x_1",), ("s",), (), "'x_1' names no part of a state"),
        (("",), ("s",), (), "'' names no part of a state"),
        (("moment",), ("s",), (), "'moment' names no part"),
        (("M",), ("s",), (), "'M' is a parameter of the closed forms"),
        (("tau",), ("s",), (), "'tau' is a mark of the closed forms"),
        (("x",), ("phi",), (), "'phi' is a mark"),
        (("x", "x"), ("s", ""), (), "must be told apart: x, x, s"),
        (("x",), ("x",), (), "must be told apart"),
        (
            ("x",),
            ("s",),
            ("kappa",),
            "no parameter 'kappa' in symbols.py; there are: Gamma, nu, M, gamma",
        ),
    ],
)
def test_a_state_that_formulas_could_not_spell_is_refused(components, scores, parameters, problem):
    none = tuple(0 for _ in components)
    piece = Piece(Rule.EULER, lambda _: (none,) * len(none), lambda _: none, lambda _: none)
    with pytest.raises(ValueError, match=problem):
        Model("m", "ode", components, scores, components, True, parameters, {"E": piece}, ("E",))


def test_a_piece_that_uses_a_parameter_without_a_line_is_refused():
    with pytest.raises(
        ValueError, match=r"no parameter 'kappa' in symbols\.py; there are: half, Gamma, nu"
    ):
        Piece(Rule.EULER, lambda p: ((p.kappa,),), lambda _: (0,), lambda _: (0,))
