"""`derive`: values without meaning are refused, legends are complete, long work is asked for."""

from __future__ import annotations

import json
import math
import random
import re
import time

import pytest

from reports.commands import derivation
from reports.commands.derivation import BEYOND, check_order, formulas
from splitting_analysis import CATALOGUE, find, points, weak
from splitting_analysis.expressions import MAX_NESTED, parse_expression
from splitting_analysis.families import FAMILIES
from splitting_analysis.lookup import as_scheme
from splitting_analysis.schemes import scheme as scheme_of
from tests.test_cli import run  # noqa: F401  the fixture

FORMULA = re.compile(r" {1,3}(\w{1,2}): (.*)")
SYMBOL = re.compile(
    r"∂_[xmqpτ][⁰¹²³⁴⁵⁶⁷⁸⁹]*|Δ_[xmqp]|s\^[xm]|√?λ_s|f′*|β(?:\^\(\d\)|[′″‴])?|e\d|[A-Za-zΓνγ]|⊗|ᵀ"
)


@pytest.mark.share(5)
@pytest.mark.parametrize("scheme", CATALOGUE, ids=lambda s: f"{s.model_name}-{s.name}")
def test_the_legend_explains_every_symbol_that_occurs_and_no_other(scheme):
    order = None if scheme.word.is_runge_kutta or scheme.model_name != "psld" else 2
    text = derivation.formulas(
        scheme.name,
        scheme.model_name,
        scheme.dynamics,
        order,
        None,
        "text",
        None,
        say=lambda _: None,
    )
    body, _, legend = text.partition("\nerror = ")
    shown = [match.groups() for line in body.splitlines() if (match := FORMULA.fullmatch(line))]
    found = {symbol for _, formula in shown for symbol in SYMBOL.findall(formula)}
    rest = "".join(SYMBOL.sub("", formula) for _, formula in shown)
    assert set(rest) <= set("0123456789⁰¹²³⁴⁵⁶⁷⁸⁹ +−/()[],·")
    explained = [
        s for line in legend.splitlines()[1:] for s in line.strip().partition(": ")[0].split(", ")
    ]
    assert len(explained) == len(set(explained))
    keys = {key for key, _ in shown}
    assert set(explained) == found | keys
    assert all(meaning for line in legend.splitlines()[1:] for meaning in [line.partition(": ")[2]])


def test_the_legend_of_a_runge_kutta_word_says_what_f_and_z_are(run):  # noqa: F811
    _, out, _ = run("derive", "RK45")
    assert "  z: (x, m, t), the variables in autonomous form" in out
    assert "  f: the full drift, dz/dt = f(z)" in out


SCORES = {
    "psld": ["--score-x=-x", "--score-m=-m"],
    "vp": ["--score-x=-x"],
    "langevin": ["--score-x=-q"],
}
PLACE = {"psld": "x=1,m=1,t=0.5", "vp": "x=1,t=0.5", "langevin": "q=1,p=1"}
UNPHYSICAL = [
    *(
        ("ROBA", v)
        for v in (
            "Gamma=-1",
            "nu=-0.1",
            "M=-1",
            "M=0",
            "beta=-1",
            "beta=0",
            "beta_min=-1,beta_max=1",
            "T=0",
            "T=-1",
            "beta_min=0,beta_max=0",
            "beta_min=1,beta_max=-1",
            "lambda_s=-1",
            "Gamma=4.01",
            "Gamma=0,nu=0",
            "beta=nan",
            "beta=inf",
            "M=nan",
            "lambda_s=inf",
            "T=1e-300",
            "Gamma=-1e-300",
            "Gamma=1e150",
            "nu=1e200",
            "nu=1e300",
            "beta=1e300",
            "M=1e-320",
            "M=1e300",
            "nu=1e-300,Gamma=0",
            "lambda_s=1e300",
            "beta_min=0,beta_max=1e308",
        )
    ),
    ("RK45", "Gamma=1e150"),
    ("RK45", "beta=1e300"),
    ("RSE", "M=0"),
    ("RSE", "nu=1e200"),
    ("EM/vp", "beta=0"),
    ("EM/vp", "beta=-3"),
    ("EM/vp", "beta_min=-1,beta_max=2"),
    ("EM/vp", "beta=1e300"),
    *(("BAOAB", v) for v in ("gamma=-1", "gamma=nan", "gamma=-inf", "gamma=-1e-9")),
    ("EM/langevin", "gamma=1e300"),
]


@pytest.mark.share(4)
@pytest.mark.parametrize(("name", "values"), UNPHYSICAL)
def test_a_value_without_meaning_or_beyond_float64_is_one_sentence(run, name, values):  # noqa: F811
    name, _, model = name.partition("/")
    model = model or {"BAOAB": "langevin"}.get(name, "psld")
    asked = ("derive", name, "--model", model, *SCORES[model], "--at", f"{PLACE[model]},{values}")
    code, out, err = run(*asked)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and "Traceback" not in err and "float division" not in err
    key = values.partition("=")[0]
    assert key in err or (key == "beta_min" and " beta" in err)


def test_a_rate_of_zero_is_refused_only_where_the_error_divides_by_it(run):  # noqa: F811
    at = ("--at", "x=1,t=1,beta_min=0,beta_max=1")
    code, out, err = run("derive", "EM", "--model", "vp", "--score-x=-x", *at)
    assert (code, out) == (2, "")
    assert "divides by beta, which is 0 at tau = 0: choose another time, or beta_min > 0" in err
    code, out, _ = run("derive", "Euler", "--model", "vp", "--score-x=-x", *at)
    assert code == 0 and json.loads(out)["h2"]["x"] == 0
    for word, time_of in (("t=2", "t = 2"), ("tau=-0.5", "tau = -0.5"), ("t=-1", "t = -1")):
        _, _, err = run("derive", "EM", "--model", "vp", "--score-x=-x", "--at", f"x=1,{word}")
        assert f"{time_of} lies outside [0, T = 1]" in err


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (
            "exp(800*x)",
            "the score sx = exp(800*x) overflows: it lies outside float64 at Gamma = 0.01",
        ),
        ("x*1e308*10", "overflows: it lies outside float64"),
        ("exp(exp(exp(9*x)))", "overflows: it lies outside float64"),
        ("sin(1e300*x)", "the derivative of the score sx by x, x overflows"),
        ("1/(x-1)", "the score sx = 1/(x - 1) has no finite value at "),
        ("log(-x)", "has no finite value at "),
        ("sqrt(x-2)", "has no finite value at "),
        ("sqrt(x-1)", "the derivative of the score sx by x, x has no finite value"),
    ],
)
@pytest.mark.parametrize("name", ["ROBA", "RK45"])
def test_a_score_without_a_finite_value_is_one_sentence_that_names_it(run, name, score, said):  # noqa: F811
    code, out, err = run(
        "derive", name, f"--score-x={score}", "--score-m=-m", "--at", PLACE["psld"]
    )
    assert (code, out) == (2, "") and err.startswith("error: ") and err.count("\n") == 1
    if name == "RK45" and "derivative" in said:
        said = "the derivative of the drift of x by "
    assert said in err and " m = 1, t = 0.5" in err


@pytest.mark.heavy
def test_a_score_whose_derivatives_grow_is_refused_before_they_take_minutes(run, monkeypatch):  # noqa: F811
    score = "*".join(f"(sin({i}*x+m)+2)" for i in range(7))
    asked = ("derive", "ROBA", f"--score-x={score}", "--score-m=-m", "--at", PLACE["psld"])
    assert run(*asked)[0] == 0
    monkeypatch.setattr(points, "MAX_SIZE", 100)
    code, out, err = run(*asked)
    assert (code, out) == (2, "")
    assert (
        "the derivative of the score sx by x has over 100 terms and is not differentiated further"
        in err
    )


def test_functions_within_functions_are_refused_before_they_take_long():
    start = time.process_time()
    for name in ("tanh", "cosh", "sin"):
        nested = f"{name}(" * (MAX_NESTED + 1) + "x" + ")" * (MAX_NESTED + 1)
        with pytest.raises(ValueError, match="nested too deeply"):
            parse_expression(nested, ("x",))
    assert parse_expression("sin(" * MAX_NESTED + "x" + ")" * MAX_NESTED + "+ sin(x)", ("x",))
    assert time.process_time() - start < 5


def test_hostile_options_end_in_numbers_or_in_one_message(run):  # noqa: F811
    draw = random.Random(20240211)
    keys = [
        "Gamma",
        "nu",
        "M",
        "beta",
        "beta_min",
        "beta_max",
        "T",
        "lambda_s",
        "x",
        "m",
        "t",
        "tau",
        "q",
    ]
    values = [
        "0",
        "1",
        "-1",
        "1e-320",
        "1e308",
        "-1e308",
        "nan",
        "inf",
        "1e160",
        "0.5",
        "1e-200",
        "",
    ]
    scores = [
        "-x",
        "1/x",
        "log(x)",
        "exp(x)",
        "x**64",
        "x**-64",
        "sqrt(m)",
        "x/m",
        "9**9**9",
        "x*1e300",
    ]
    codes = []
    for _ in range(18):
        at = ",".join(
            f"{draw.choice(keys)}={draw.choice(values)}" for _ in range(draw.randint(0, 2))
        )
        at = ",".join(part for part in ("x=1,m=1,t=0.5" if draw.random() < 0.9 else "", at) if part)
        name, score = draw.choice(["ROBA", "RSE", "EM"]), draw.choice(scores)
        code, out, err = run("derive", name, f"--score-x={score}", "--score-m=-m", "--at", at)
        codes.append(code)
        assert (code == 2) == err.startswith("error: ") and "fault" not in err
        if code == 0:
            numbers = json.loads(out, parse_constant=pytest.fail)
            assert all(
                math.isfinite(v) for k, row in numbers.items() if k[0] == "h" for v in row.values()
            )
    assert set(codes) == {0, 2}


EFFORTS = {
    (name, dynamics): effort
    for name, family in FAMILIES.items()
    for dynamics, effort in (family.efforts or {}).items()
}


@pytest.mark.parametrize(("key", "limit"), EFFORTS.items(), ids=str)
def test_an_order_that_takes_long_says_how_long_and_is_derived_only_when_confirmed(key, limit):
    scheme = next(
        s for s in CATALOGUE if (s.model_name, s.dynamics) == key and not s.word.is_runge_kutta
    )
    quick = limit[0]
    check_order(quick, [scheme], long=False)
    for order in (0, -1, quick + BEYOND + 1):
        with pytest.raises(ValueError, match=rf"--order {order}: choose 1 to \d+"):
            check_order(order, [scheme], long=True)
    if scheme.model.time_dependent and quick == 8:
        return  # no further derivatives of beta
    with pytest.raises(
        ValueError, match=rf"take about \d+ minutes?.*--order {quick} takes seconds, --long"
    ):
        check_order(quick + 1, [scheme], long=False)
    check_order(quick + 1, [scheme], long=True)


def test_a_difference_is_as_long_as_the_longer_of_its_two(run):  # noqa: F811
    slow, fast = find("ROBA"), find("RSE")
    with pytest.raises(ValueError, match="--long"):
        check_order(5, [fast, slow], long=False)
    code, _, err = run("derive", "ROBA", "--order", "5")
    assert code == 2 and "--order 5: the formulas of psld (sde) at h^5 take about 2 minutes" in err


def test_the_leading_term_is_printed_whatever_is_asked(run):  # noqa: F811
    """BAOAB and ABOBA are of weak order 2: their errors, and the difference of the two, lead with
    h^3.
    """
    for asked in (
        ["BAOAB"],
        ["BAOAB", "--order", "1"],
        ["BAOAB", "--minus", "ABOBA", "--order", "2"],
    ):
        code, out, _ = run("derive", *asked)
        assert code == 0
        assert "coefficient of h^3:" in out and "h^1: 0" in out and "h^2: 0" in out
    code, out, _ = run("derive", "BAOAB", "--minus", "BAOAB")
    assert code == 0 and "no difference through h^5" in out
    code, out, _ = run("derive", "BAOAB", "--score-x", "-q", "--at", "q=1,p=1")
    assert code == 0 and any(json.loads(out)["h3_weak"].values())


def test_an_order_lost_to_rounded_fractions_is_explained(run):  # noqa: F811
    a, b, c, d = "A*0.675603596", "B*1.351207192", "A*-0.175603596", "B*-1.702414384"
    word = f"{a} S {b} {c} S {d} {c} S {b} {a}"
    code, out, _ = run("derive", word, "--model", "langevin")
    assert code == 0 and "\norder: 2 (4 up to coefficients below 1e-" in out


@pytest.mark.parametrize(
    "text",
    ["1e99999999", "1e400", "1e-400", "1e300", "1e30000", "9" * 5000, "1_0", "1e7", "1e-7", "-1"],
)
def test_lambda_s_out_of_range_or_too_long_is_refused_in_one_bounded_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"^--lambda-s.{1,250}$"):
        formulas("ROBA", None, None, None, None, "text", text)


@pytest.mark.parametrize("time_of", ["t=1.0000001", "tau=1.0000001", "t=-1e-20", "tau=-1e-20"])
def test_a_time_just_outside_is_refused_with_its_digits(time_of: str) -> None:
    said = re.escape(f"{time_of.replace('=', ' = ')} lies outside [0, T = 1]")
    key, value = time_of.split("=")
    with pytest.raises(ValueError, match=said):
        points.values_at([as_scheme("RSE")], {"x": 0.0, "m": 0.0, key: value})


def test_numbers_at_a_point_are_those_of_the_clock_that_was_asked_for(run):  # noqa: F811
    asked = ("derive", "S E", "--model", "ve", "--score-x=-x", "--dynamics", "ode")
    at = ("--at", "x=1,tau=0.2,T=2", "--order", "2")
    _, own, _ = run(*asked, *at)
    code, there, _ = run(*asked, *at, "--clock", "lambda")
    assert code == 0 and "clock" not in json.loads(own)
    assert json.loads(there)["clock"] == "lambda"
    # with s = -x the drift is -x tau per unit of tau, and -x tau^2 per unit of -lambda = log tau
    for text, rate, slope in ((own, 0.2, 1.0), (there, 0.2**2, 2 * 0.2**2)):
        assert json.loads(text)["h2"]["x"] == pytest.approx((rate**2 + slope) / 2)
    code, _, err = run(*asked, "--at", "x=1,tau=0", "--clock", "rho")
    assert code == 2 and "no reading at tau = 0" in err
    one, other = (scheme_of("S E", "ve", clock=clock) for clock in ("tau", "rho"))
    with pytest.raises(ValueError, match="the one clock is tau, the other rho"):
        weak.error_difference(one, other)


def test_numbers_at_a_high_order_have_all_derivatives_of_the_rate(run):  # noqa: F811
    code, out, _ = run(
        *("derive", "L/2 S@1/2 K L/2", "--model", "flow", "--score-x=-x", "--dynamics", "ode"),
        *("--at", "x=1,tau=0.5", "--order", "4"),
    )
    assert code == 0 and json.loads(out)["at"]["d3r"] == pytest.approx(6 * 2**4)
    error = weak.local_error(as_scheme("L/2 S@1/2 K L/2", "vp", "ode"), 5)
    found = error.at(score_x="-2*x", x=1, tau=0.5, beta=3)[5]["x"]
    # e^(-3h/2) less e^(3h/2) (1 - 3h)
    assert found == pytest.approx((-1.5) ** 5 / 120 - (1.5**5 / 120 - 3 * 1.5**4 / 24))


@pytest.mark.parametrize(
    ("lambda_s", "wanted"),
    [(None, ["weak", "free", "1 at lambda_s = 1"]), ("5/4", ["weak", "5/4"])],
)
def test_a_free_lambda_s_brings_the_strong_error_at_one_too(monkeypatch, lambda_s, wanted):
    """The schemes' lambda_s in place of the errors, which take a second."""
    monkeypatch.setattr(derivation, "_derived", lambda *_: "weak")
    monkeypatch.setattr(derivation, "strong_error", lambda scheme: str(scheme.lambda_s.value))
    monkeypatch.setattr(derivation, "_formulas", lambda error, _, said, *__: [f"{error}{said}"])
    told = derivation.formulas(
        "ROBA", None, None, None, None, "latex", lambda_s, say=lambda _: None
    )
    assert told.split("\n") == wanted


def test_what_lambda_brings_in_is_the_error_less_that_without_it():
    own = find("LDDIM-I", "psld")
    said = derivation._brought_in(own, weak.local_error(own, 2), [], lambda _: None)
    assert said[2:] == ["   x: λ/4 (2 λ x − β Γ s^x)", "   m: λ/4 (2 λ m − β ν M s^m)"]
