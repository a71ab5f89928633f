"""Score expressions and options: read exactly, and nothing else is read."""

from __future__ import annotations

import math
import random

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from splitting_analysis.expressions import FUNCTIONS, MAX_LENGTH, parse_expression, parse_settings
from tests.strategies import examples

NAMES = ("x", "m", "tau")
X, M, TAU = sympy.symbols(NAMES)
KEYS = ("Gamma", "nu", "beta", "x", "m", "t")
AT = {"x": 0.3, "m": -0.7, "tau": 0.4}


def read(text):
    return parse_expression(text, NAMES)


def pointed_at(error):
    *_, shown, marker, _ = str(error).splitlines()
    return shown[marker.index("^") : len(marker)]


# Random trees: Python evaluates the printed text with math, the parser reads the same text.
_LEAVES = st.one_of(
    st.sampled_from(["x", "m", "tau", "pi"]),
    st.integers(0, 9).map(str),
    st.floats(0.01, 9, allow_subnormal=False).map(repr),
)


def _grow(inner):
    binary = st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner)
    smooth = st.builds(
        "{}({})".format, st.sampled_from(["sin", "cos", "tanh", "atan", "erf"]), inner
    )
    power = st.builds("({})**{}".format, inner, st.integers(0, 3))
    quotient = st.builds("({})/(1.5 + cos({}))".format, inner, inner)
    return st.one_of(
        binary, smooth, power, quotient, inner.map("-{}".format), inner.map("+({})".format)
    )


@examples(60)
@given(st.recursive(_LEAVES, _grow, max_leaves=8))
def test_an_expression_has_the_value_that_python_gives_its_text(text):
    expected = eval(text, {"__builtins__": {}}, {**FUNCTIONS, "pi": math.pi, **AT})  # noqa: S307  our own text
    value = float(
        read(text).evalf(30, subs={sympy.Symbol(k): sympy.Float(v, 30) for k, v in AT.items()})
    )
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sin(0.7*x) - m/2 + exp(-tau)", sympy.sin(X * 7 / 10) - M / 2 + sympy.exp(-TAU)),
        ("2**-1", sympy.Rational(1, 2)),
        ("-x**2", -(X**2)),
        ("2**3**2", sympy.Integer(512)),
        ("x - m - tau", X - M - TAU),
        ("x/m/tau", X / M / TAU),
        ("  + x ", X),
        ("1e-3*x", X / 1000),
        ("pi*x", sympy.pi * X),
        ("erf(x)*sqrt(m**2)", sympy.erf(X) * sympy.sqrt(M**2)),
        ("x**0.5", sympy.sqrt(X)),
        ("2**x", 2**X),
        ("1_000", sympy.Integer(1000)),
    ],
)
def test_precedence_and_numbers_are_those_of_python_and_exact(text, expected):
    assert read(text) == expected


def test_decimals_cancel_exactly_and_round_once():
    assert read("0.1*x + 0.2*x - 0.3*x") == 0
    assert read("0.1 + 0.2") == sympy.Rational(3, 10)
    value = sympy.lambdify(X, sympy.diff(read("0.7*x**2 + 1e300*x - 1e300*x"), X))(1.0)
    assert value == 1.4


def test_every_function_is_the_function_of_that_name():
    for name, function in FUNCTIONS.items():
        value = float(read(f"{name}(x)").subs(X, sympy.Rational(3, 10)))
        assert value == pytest.approx(function(0.3), rel=1e-14)


def test_only_the_names_given_are_allowed():
    assert parse_expression("-q", ["q"]) == -sympy.Symbol("q")
    with pytest.raises(ValueError, match="unknown name 'x'") as caught:
        parse_expression("-q + x", ["q"])
    assert pointed_at(caught.value) == "x"
    assert "numbers, q, pi" in str(caught.value)


DEEP = "(" * 120 + "x" + ")" * 120
REFUSED = [
    ("", "", "empty"),
    ("   ", "", "empty"),
    ("x +", "x", "cannot read"),
    ("2x", "2", "cannot read"),
    ("x y", "y", "cannot read"),
    ("(x", "(", "cannot read"),
    ("x = 1", "=", "cannot read"),
    ("x^2", "^", "not an operator"),
    ("x + τ", "τ", "cannot stand"),
    ("x # m", "#", "cannot stand"),
    ("x; m", ";", "cannot stand"),
    ("x + y", "y", "unknown name 'y'"),
    ("sinn(x)", "sinn", "did you mean sin?"),
    ("__import__('os')", "__import__", "unknown name"),
    ("x.real", "x.real", "not part of"),
    ("().__class__", "().__class__", "not part of"),
    ("sin.__call__(x)", "sin.__call__(x)", "not part of"),
    ("x[0]", "x[0]", "not part of"),
    ("'x'", "'x'", "only real numbers"),
    ("f'{x}'", "f'{x}'", "not part of"),
    ("True", "True", "only real numbers"),
    ("None", "None", "only real numbers"),
    ("...", "...", "not part of"),
    ("2j*x", "2j", "only real numbers"),
    ("x if m else tau", "x if m else tau", "not part of"),
    ("x < m", "x < m", "not part of"),
    ("x and m", "x and m", "not part of"),
    ("not x", "not x", "not part of"),
    ("~x", "~x", "not part of"),
    ("x % 2", "x % 2", "not part of"),
    ("x // 2", "x // 2", "not part of"),
    ("x @ m", "x @ m", "not part of"),
    ("x << 2", "x << 2", "not part of"),
    ("lambda: x", "lambda: x", "not part of"),
    ("[x for x in (1,)]", "[x for x in (1,)]", "not part of"),
    ("(x := 2)", "x := 2", "not part of"),
    ("x, m", "x, m", "not part of"),
    ("x + sin", "sin", "sin needs an argument"),
    ("sin()", "sin()", "takes one argument"),
    ("sin(x, m)", "sin(x, m)", "takes one argument"),
    ("sin(*x)", "*x", "not part of"),
    ("sin(x, m=1)", "sin(x, m=1)", "takes one argument"),
    ("sin(x=1)", "sin(x=1)", "takes one argument"),
    ("x(2)", "x(2)", "x is not a function"),
    ("1e999*x", "1e999", "not a finite real number"),
    ("9**9**9", "9**9**9", "too large"),
    ("9**9**9**9", "9**9**9", "too large"),
    ("1.0000001**64**64", "1.0000001**64**64", "too large"),
    ("((1.0000001**64)**64)**64", "(1.0000001**64)**64", "too large"),
    ("x**65", "x**65", "too large"),
    ("x + 1/0", "1/0", "division by zero"),
    ("x/(1 - 1)", "x/(1 - 1)", "division by zero"),
    ("1/(x - x)", "1/(x - x)", "division by zero"),
    ("log(x - x)", "log(x - x)", "no finite real value"),
    ("log(0)", "log(0)", "not a finite real number"),
    ("log(1 - 1)", "log(1 - 1)", "not a finite real number"),
    ("sqrt(-1)", "sqrt(-1)", "not a finite real number"),
    ("(-1)**0.5", "(-1)**0.5", "not a finite real number"),
    ("exp(exp(exp(9)))", "exp(exp(9))", "not a finite real number"),
    (DEEP.replace("(", "sin("), "sin(", "nested too deeply"),
    ("-" * 300 + "x", "-" * 20, "nested too deeply"),
    ("+" * 1999 + "x", "+", ""),
    ("x" + "+x" * (MAX_LENGTH // 2), "x", "at most"),
]


@pytest.mark.parametrize(("text", "place", "problem"), REFUSED, ids=lambda x: repr(x)[:30])
def test_anything_else_is_refused_with_its_place(text, place, problem):
    with pytest.raises(ValueError, match="allowed: ") as caught:
        read(text)
    assert problem in str(caught.value)
    assert pointed_at(caught.value).startswith(place)
    assert type(caught.value) is ValueError


_ATOMS = [
    *"xm()()+-**/9,=.[]'{}:τ_@~!j# \\ \n\0\ud800",
    *(
        "**",
        "0.5",
        "1e300",
        "0x",
        "sin(",
        "exp(",
        "log(",
        "sqrt",
        "pi",
        "lambda",
        "for",
        "in",
        "if",
        "await",
    ),
]


def test_20_000_arbitrary_texts_are_expressions_or_value_errors_and_nothing_else():
    draw = random.Random(20240211)
    accepted, messages = 0, set()
    for _ in range(20_000):
        text = "".join(draw.choices(_ATOMS, k=draw.randint(0, 9)))
        try:
            expression = read(text)
        except ValueError as error:
            messages.add("  allowed: " in str(error))
        else:
            accepted += 1
            assert expression.free_symbols <= {X, M, TAU}
    assert accepted > 100
    assert messages == {True}


def test_options_are_read_as_numbers():
    text = "Gamma=0.01,nu=4.01,beta=8,x=0.3,m=-0.7,t=4e-1"
    assert parse_settings(text, KEYS) == {
        "Gamma": 0.01,
        "nu": 4.01,
        "beta": 8,
        "x": 0.3,
        "m": -0.7,
        "t": 0.4,
    }
    assert parse_settings(" nu = 4 , t=1 ", KEYS) == {"nu": 4, "t": 1}
    assert parse_settings("", KEYS) == parse_settings("  ", KEYS) == {}


@given(st.dictionaries(st.sampled_from(KEYS), st.floats(allow_nan=False, allow_infinity=False)))
def test_options_survive_printing(values):
    assert (
        parse_settings(",".join(f"{key}={value!r}" for key, value in values.items()), KEYS)
        == values
    )


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("nu=4,gama=1", "gama=1", "unknown key 'gama'"),
        ("nu=4,gamma=1", "gamma=1", "did you mean Gamma?"),
        ("nu=4,nu=4", "nu=4", "nu is given twice"),
        ("nu", "nu", "no key=value in 'nu'"),
        ("nu=4,", "", "no key=value in ''"),
        (",nu=4", "", "no key=value in ''"),
        ("nu=", "nu=", "'' is not a number"),
        ("nu=four", "nu=four", "'four' is not a number"),
        ("nu=1=2", "nu=1=2", "'1=2' is not a number"),
        ("nu=nan", "nu=nan", "nu=nan is not finite"),
        ("t=1,nu=-inf", "nu=-inf", "nu=-inf is not finite"),
        ("nu=1e999", "nu=1e999", "nu=1e999 is not finite"),
    ],
)
def test_a_bad_option_is_refused_with_its_place(text, place, problem):
    with pytest.raises(ValueError, match="with the keys Gamma, nu, beta") as caught:
        parse_settings(text, KEYS)
    assert problem in str(caught.value)
    assert pointed_at(caught.value).startswith(place)


def test_every_digit_of_a_constant_is_kept() -> None:
    text = "0.1234567890123456789012345"
    assert parse_expression(text, ()) == sympy.Rational(text)
    assert parse_expression("0e999999999", ()) == 0


@pytest.mark.parametrize("text", ["1e-400", "x + 1e-99999999", "0." + "1" * 1900])
def test_a_constant_that_would_become_zero_or_has_too_many_digits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"closer to 0|too many digits"):
        parse_expression(text, ("x",))


@pytest.mark.parametrize("number", ["1_0", "٣", "1e-400"])
def test_a_setting_is_refused_that_only_python_reads(number: str) -> None:
    with pytest.raises(ValueError, match=r"is not a number|is closer to 0"):
        parse_settings(f"nu={number}", KEYS)
