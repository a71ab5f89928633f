"""The front door: `import splitting_analysis as sa`, names and words in, the results of the
commands out.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import splitting_analysis as sa
from reports import cli
from splitting_analysis import catalogue, strong, weak

POINT = {"x": 0.3, "m": -0.7, "t": 0.4, "Gamma": 0.02, "nu": 3.5}
SCORES = {"score_x": "sin(0.7*x) - m/2", "score_m": "-m + x/3"}


@pytest.fixture
def command(capsys):
    """Run a command in this process and read the JSON that it prints."""

    def command(*arguments):
        with pytest.raises(SystemExit) as stopped:
            cli.main(arguments)
        assert stopped.value.code in (0, None)
        return json.loads(capsys.readouterr().out)

    return command


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch):
    monkeypatch.setattr(catalogue, "_registered", [])


def test_no_function_of_the_package_hides_a_module():
    modules = {path.stem for path in Path(sa.__path__[0]).glob("*.py")}
    assert {"schemes", "weak", "observed"} <= modules and not modules & set(sa.__all__)


def test_what_the_package_offers_is_listed_typed_and_explained():
    assert set(dir(sa)) >= set(sa.__all__)
    for name in sa.__all__:
        assert getattr(sa, name).__doc__, name
    with pytest.raises(
        AttributeError, match=r"splitting_analysis has no 'locale_error'; there are: .*local_error"
    ):
        sa.locale_error  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError):
        from splitting_analysis import nothing  # type: ignore[attr-defined]  # noqa: F401
    from splitting_analysis import algebra  # a module that nothing above has loaded by this name

    assert algebra.__name__ == "splitting_analysis.algebra"


@pytest.mark.parametrize(
    ("given", "keywords", "name"),
    [
        ("roba", {}, ("ROBA", "psld")),
        (" BAOAB", {}, ("BAOAB", "langevin")),
        ("em", {"model": "VP"}, ("EM", "vp")),
        ("EM", {"model": "Langevin", "dynamics": "SDE"}, ("EM", "langevin")),
        ("O S B A", {}, ("O S B A", "psld")),
    ],
)
def test_a_scheme_is_a_name_or_a_word_and_upper_and_lower_case_are_the_same(given, keywords, name):
    found = sa.scheme(given, **keywords)
    assert (found.name, found.model_name) == name
    assert sa.scheme(found) is found


def test_a_scheme_prints_as_its_name_and_word_and_is_short():
    assert str(sa.scheme("ROBA")) == "ROBA = O S B A" and str(sa.scheme("O S B A")) == "O S B A"
    assert repr(sa.scheme("S E")) == "<Scheme S E (psld ode)>"
    assert repr(sa.scheme("DDPM")) == "<Scheme DDPM = S E:ddpm (vp sde)>"


def test_a_scheme_takes_lambda_s_in_every_spelling_where_it_acts():
    for given in (1.25, "1.25", "5/4", Fraction(5, 4)):
        assert sa.scheme("ROBA", lambda_s=given).lambda_s.value == Fraction(5, 4)
    with pytest.raises(ValueError, match="lambda_s: EM has no letter O"):
        sa.scheme("EM", lambda_s=1)
    for bad in ("1_0", -1, 1e9, True, float("nan")):
        with pytest.raises(ValueError, match="lambda_s"):
            sa.scheme("ROBA", lambda_s=bad)


def test_a_name_that_there_is_not_is_refused_with_those_that_there_are():
    for refused in (
        sa.scheme,
        sa.local_error,
        sa.order,
        lambda n: sa.gaussian(n, nfe=9),
        sa.stability,
        sa.sample,
    ):
        with pytest.raises(ValueError, match=r"did you mean ROBA.*\n  names: .*SSCS"):
            refused("ROBX")
    with pytest.raises(ValueError, match=r"no model 'cld'; there are: psld, vp, .*, respa"):
        sa.local_error("EM", model="cld")
    with pytest.raises(ValueError, match="this is a scheme that has its own"):
        sa.scheme("ROBA", name="MINE")


def test_errors_and_orders_are_those_of_the_schemes():
    roba, noba = sa.find("ROBA"), sa.find("NOBA")
    assert sa.local_error("ROBA") == weak.local_error(roba)
    assert (
        sa.local_error("O S B S A", minus="O S B A").terms
        == weak.error_difference(noba, roba).terms
    )
    assert sa.strong_error("em", model="vp") == strong.strong_error(sa.find("EM", "vp"))
    assert (
        sa.local_error("ROBA", lambda_s=1).terms == weak.local_error(weak.at_lambda_one(roba)).terms
    )
    assert sa.order("BAOAB") == 2 and sa.order("S E", dynamics="sde") == 1 and sa.order("rk45") == 5


def test_an_error_prints_as_formulas_and_its_repr_is_one_short_line():
    error = sa.local_error("RSE")
    assert str(error).startswith("local error of RSE = S B A\nh^1: 0\nh^2:\n   x: ")
    assert repr(error) == "<ode local error of RSE, leading term h^2>"


@pytest.mark.share(2)
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("RSE", {}),
        ("RSE", {"M": 0.3}),
        ("ROBA", {"lambda_s": 1.2}),
        ("RK45", {"beta_min": 1, "beta_max": 9}),
        ("NOBA", {"tau": 0.25}),
    ],
)
def test_numbers_at_a_point_are_those_of_the_command(command, name, more):
    at = {**POINT, **more}
    if "tau" in more:
        del at["t"]
    found = command(
        "derive",
        name,
        "--score-x",
        SCORES["score_x"],
        "--score-m",
        SCORES["score_m"],
        "--at",
        ",".join(f"{key}={value}" for key, value in at.items()),
    )
    error = sa.local_error(name)
    numbers = error.at(**SCORES, **at)
    suffix = "" if error.kind == "ode" else "_weak"
    shown = {
        int(key[1]): value for key, value in found.items() if key[0] == "h" and key.endswith(suffix)
    }
    assert shown and shown.items() <= numbers.items()
    assert any(value for by_key in shown.values() for value in by_key.values())
    if error.kind == "weak":
        [(power, by_key)] = sa.strong_error(name).at(**SCORES, **at).items()
        assert found.get(f"h{power}_strong", by_key) == by_key


def test_numbers_at_a_point_are_those_of_the_formulas_by_another_route():
    import sympy

    from splitting_analysis.numbers import Point, beta_parameters
    from tests.oracle_fields import error_numbers, sympy_field

    tau, M = 0.6, 4 / (0.02 - 3.5) ** 2
    rate = sympy.Rational(8) - 2 * sympy.Symbol("tau")
    state = {"x": 0.3, "m": -0.7}
    scores = {"sx": sympy.sympify("sin(0.7*x) - m/2"), "sm": sympy.sympify("-m + x/3")}
    values = {"Gamma": 0.02, "nu": 3.5, "M": M, "lambda_s": 1.2, **beta_parameters(rate, tau)}
    point = Point(state, sympy_field(scores, {**state, "tau": tau}), values)
    error = sa.local_error("ROBA")
    found = error.at(**SCORES, **POINT, lambda_s=1.2, beta_min=8, beta_max=6)
    for power, by_key in error_numbers(error, point).items():
        for key, value in by_key.items():
            assert found[power][key] == pytest.approx(value, rel=1e-12, abs=1e-12), (power, key)


def test_numbers_take_what_a_notebook_has():
    import numpy as np
    import sympy

    error = sa.local_error("S E", model="vp")
    expected = error.at(score_x="-2*x", x="0.5", tau=0.25)
    assert (
        error.at(score_x=-2 * sympy.Symbol("x"), x=np.float64(0.5), t=sympy.Rational(3, 4))
        == expected
    )
    assert error.at(score_x=-1.0, x=0, t=0) == error.at(score_x="-1", x=0, t=0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (POINT, r"has 2 score\(s\): give score_x and score_m"),
        (SCORES, "missing x, m, t"),
        (
            {**SCORES, **POINT, "gama": 1},
            r"no value 'gama' \(did you mean Gamma\?\); there are: Gamma, nu",
        ),
        ({**SCORES, **POINT, "x": "1_0"}, "x = 1_0 is not a finite number"),
        ({**SCORES, **POINT, "x": True}, "x = True is not"),
        ({**SCORES, **POINT, "lambda_s": 1}, "lambda_s: RSE"),
        ({**SCORES, **POINT, "nu": 0.02}, "must differ"),
        ({**SCORES, **POINT, "tau": 1}, "not both"),
    ],
)
def test_a_point_that_means_nothing_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        sa.local_error("RSE").at(**given)


def test_a_score_of_foreign_symbols_is_refused():
    import sympy

    with pytest.raises(ValueError, match="has symbols y; known are x, tau"):
        sa.local_error("S E", model="vp").at(score_x=sympy.Symbol("y"), x=1, t=0)


def test_the_table_of_exact_errors_is_that_of_the_command(command):
    table = sa.gaussian(
        "ROBA", "O S B A", "SSCS", nfe=[9, 20], lambda_s=["5/4", 1], Gamma=0.02, grid="QUADRATIC"
    )
    rows = command(
        "gaussian",
        "ROBA",
        "O S B A",
        "SSCS",
        "--nfe",
        "9,20",
        "--lambda-s",
        "5/4,1",
        "--param",
        "Gamma=0.02",
        "--grid",
        "quadratic",
        "--json",
    )
    assert list(table.rows) == rows and len(rows) == 10
    assert "64 modes, start prior, quadratic grid" in table.note
    assert (
        table.columns[3] == "lambda_s"
        and "lambda_s" not in sa.gaussian("EM", nfe=9, spectrum=1).columns
    )


def test_the_table_says_how_a_word_was_read_and_what_blew_up():
    table = sa.gaussian("S E", "EM", nfe=5, spectrum=[1, 0.01])
    said = "'S E' is read as an ODE, as none of its letters is noise; for the SDE: dynamics=sde\n"
    assert said in str(table)
    assert "is unstable in x and m" in str(table)
    assert "read as" not in str(sa.gaussian("S E", dynamics="ode", nfe=5, spectrum=1))


def test_tables_plot_their_own_columns():
    limits = sa.stability("EM", "ROBA", tau=[1e-3, 0.1], spectrum="1")
    for axes, labels in (
        (limits.plot(), ("tau", "largest_step")),
        (sa.gaussian("EM", nfe=[50, 99], spectrum="1").plot(), ("nfe", "w2_x")),
    ):
        assert (axes.get_xlabel(), axes.get_ylabel()) == labels and axes.lines


def test_the_largest_step_is_the_shortest_over_the_modes():
    import numpy as np

    from analytic_models.stability import largest_stable_step
    from splitting_analysis.processes import PSLD

    table = sa.stability("EM", "ROBA", tau=[1e-3, 0.1], spectrum=[1, 0.01, 4], Gamma=0.02)
    for row in table:
        every = largest_stable_step(
            sa.find(row["scheme"]), PSLD(Gamma=0.02), [1, 0.01, 4], row["tau"]
        )
        assert row["largest_step"] == np.nanmin(every) == every[row["mode"]]
        assert row["variance"] == [1, 0.01, 4][row["mode"]]
    assert [row["largest_step"] for row in sa.stability("BAOAB")] == [pytest.approx(2, rel=1e-9)]
    with pytest.raises(ValueError, match=r"tau = 2.0: forward time lies in \[0, T = 1\]"):
        sa.stability("EM", tau=2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"nfe": 9, "steps": 9}, "either nfe="),
        ({}, "either nfe="),
        ({"nfe": 0}, "nfe = 0: whole numbers"),
        ({"nfe": []}, "nfe = None"),
        ({"steps": [9, 2.5]}, "steps = 2.5"),
        ({"nfe": True}, "nfe = True"),
        ({"nfe": 9, "grid": "log"}, "no grid .log.; there are: uniform, quadratic"),
        ({"nfe": 9, "start": "data"}, "start data: there are prior"),
        ({"nfe": 9, "gamma": 1}, "has no parameter 'gamma'; there are: Gamma, nu"),
        ({"nfe": 9, "lambda_s": 1, "model": "vp"}, "no letter O"),
    ],
)
def test_a_table_that_means_nothing_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        sa.gaussian("EM", **given)


def test_without_a_scheme_there_is_no_table():
    for refused in (lambda: sa.gaussian(nfe=9), sa.stability):
        with pytest.raises(ValueError, match="no scheme: give names or words"):
            refused()


def test_a_word_goes_wherever_a_name_does_and_what_is_neither_is_refused():
    word = sa.naive("O B A")
    assert sa.local_error(word).terms == sa.local_error("NOBA").terms
    assert (
        sa.gaussian(word, nfe=9, spectrum=1)[0]["w2_x"]
        == sa.gaussian("NOBA", nfe=9, spectrum=1)[0]["w2_x"]
    )
    three: Any = 3
    for refused in (sa.local_error, sa.stability, sa.order, lambda n: sa.gaussian(n, nfe=9)):
        with pytest.raises(ValueError, match="a scheme is a name, a word or a Scheme, not '3'"):
            refused(three)


def test_a_problem_takes_names_and_words_in_its_model():
    from analytic_models.problem import problem_for

    problem = problem_for("VP", spectrum=[1.0, 0.2])
    assert problem.steps("ddpm", 9) == problem.steps(sa.find("DDPM"), 9)
    assert problem.errors("S E", 5) == problem.errors(sa.scheme("S E", "vp"), 5)


def test_samplers_of_ones_own_go_through_every_function():
    sa.register(sa.scheme("S B/3 S A B*2/3", name="THIRDS"))
    assert sa.find("thirds") in sa.entries("PSLD") and sa.order("THIRDS") == 1
    assert sa.gaussian("THIRDS", nfe=9, spectrum=1).rows[0]["scheme"] == "THIRDS"


def test_the_rules_of_the_papers_take_names_words_and_schemes_in_their_models():
    assert str(sa.naive("ROBA")) == "O S B S A" and str(sa.reduced("noba")) == "O S B A"
    assert str(sa.naive("BAOAB")) == "S B/2 A/2 O A/2 S B/2"
    assert str(sa.naive("B/2 A/2 O A/2 B/2", "langevin")) == "S B/2 A/2 O A/2 S B/2"
    assert str(sa.naive("B/2 A/2 O A/2 B/2")) == "S B/2 S A/2 O S A/2 S B/2"
    with pytest.raises(ValueError, match="no model 'cld'; there are"):
        sa.naive("O B A", "cld")


door: Any = sa
"""Called with what its types forbid."""
NO_NAME: list[Any] = [None, 3, 1.5, True, b"ROBA", [], {}, object(), 1j, np.zeros(2)]


@pytest.mark.parametrize("odd", NO_NAME, ids=lambda odd: type(odd).__name__)
def test_what_is_no_name_word_or_model_is_a_value_error_with_a_sentence(odd):
    says = "a text such as|is no word|no model|no dynamics|is empty|a model"
    calls: list[Any] = [
        lambda: door.find(odd),
        lambda: door.scheme(odd),
        lambda: door.naive(odd),
        lambda: door.reduced(odd),
        lambda: door.find("ROBA", odd if odd is not None else 0),
        lambda: door.find("ROBA", dynamics=odd if odd is not None else 0),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=says):
            call()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: door.gaussian("ROBA", nfe=10**400), "nfe = 1000.*: at most 10000000 in one run"),
        (lambda: door.gaussian("ROBA", nfe=5, spectrum=1j), "spectrum = 1j: variances are one"),
        (
            lambda: door.gaussian("ROBA", nfe=5, spectrum=10**400),
            "spectrum = 1000.*: variances are",
        ),
        (lambda: door.gaussian("ROBA", nfe=5, spectrum=["x"]), "spectrum = .*: variances are one"),
        (lambda: door.gaussian("DDIM", model="vp", nfe=5, schedule=3), "schedule 3: there are lin"),
        (lambda: door.gaussian("ROBA", nfe=5, schedule=3), "schedule 3: it belongs to vp"),
        (
            lambda: door.gaussian("ROBA", nfe=5, Gamma=1j),
            "Gamma = 1j: Gamma must be a finite number",
        ),
        (lambda: door.stability("ROBA", tau="x"), "tau = x: a number, as 0.5, '1/2'"),
        (lambda: door.harmonic("BAOAB", h=1, omega="x"), "omega = x: a number, as 0.5"),
        (lambda: door.local_error("S B A", order="x"), "order x; powers of h are derived from 1"),
        (lambda: door.local_error("S B A", order=1.5), "order 1.5; powers of h"),
        (lambda: door.scheme("S B A", dynamics="ode", order="x"), "order"),
    ],
)
def test_an_argument_of_a_wrong_kind_is_a_value_error_that_names_it(call: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()
