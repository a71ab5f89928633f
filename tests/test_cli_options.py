"""Options that act in some schemes and models only: lambda_s, eps, denoising."""

from __future__ import annotations

import json

import pytest
import sympy

from splitting_analysis import find
from splitting_analysis.algebra import SYMBOLS, algebra
from splitting_analysis.strong import strong_error
from tests.test_cli import run  # noqa: F401 - a fixture


def formulas(text):
    """What `derive` prints as text, without the heading and the legend."""
    return text.partition("\n\n")[2].partition("\nerror = ")[0]


@pytest.mark.share(3)
@pytest.mark.parametrize("value", ["0", "6/5", "1.2", "2", "9/4"])
def test_a_fixed_lambda_s_is_a_number_but_under_a_root_that_is_irrational(run, value):  # noqa: F811
    code, out, err = run("derive", "ROBA", "--lambda-s", value)
    assert (code, err) == (0, "")
    assert "λ" not in formulas(out).replace("√λ_s", "")
    assert ("√λ_s" in out) == (value not in ("0", "9/4"))
    _, out, _ = run("derive", "ROBA", "--lambda-s", value, "--format", "json")
    fixed = {SYMBOLS["lambda_s"]: sympy.Rational(value)}
    [(_, free)] = strong_error(find("ROBA")).terms[1]["xx"].items()
    [entry] = json.loads(out)[1]["terms"]["h1"]["xx"]["sum"]
    coefficient = sympy.sympify(entry["coefficient"], SYMBOLS)
    assert sympy.expand((coefficient - algebra().to_sympy(free)).subs(fixed)) == 0


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("6/5", "weak order at lambda_s = 6/5: 0 (claimed at lambda_s = 1: 1)"),
        ("1", "weak order at lambda_s = 1: 1 (claimed: 1)"),
        (None, "weak order at lambda_s = 1: 1 (claimed: 1)"),
    ],
)
def test_an_order_is_said_of_the_lambda_s_that_it_belongs_to(run, value, line):  # noqa: F811
    _, out, _ = run("derive", "ROBA", *(["--lambda-s", value] if value else []))
    assert out.splitlines()[2] == line


@pytest.mark.parametrize("name", ["EM", "SSCS", "RSE", "BAOAB"])
def test_a_scheme_without_lambda_s_does_not_mention_it_and_says_nothing_twice(run, name):  # noqa: F811
    _, out, _ = run("derive", name)
    assert "lambda" not in out and "λ" not in out
    assert out.count("mean-square local error") == (name != "RSE")
    place = "q=1,p=0" if name == "BAOAB" else "x=1,m=1,t=0.5"
    scores = ["--score-x=-q"] if name == "BAOAB" else ["--score-x=-x", "--score-m=-m"]
    assert "lambda_s" not in run("derive", name, *scores, "--at", place)[1]


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (["derive", "SSCS", "--lambda-s", "1.2"], "--lambda-s: SSCS"),
        (["derive", "BAOAB", "--lambda-s", "1"], "--lambda-s: BAOAB"),
        (["derive", "EM", "--minus", "SSCS", "--lambda-s", "1"], "--lambda-s: EM or SSCS"),
        (
            ["derive", "EM", "--score-x=-x", "--score-m=-m", "--at", "x=1,m=1,t=0.5,lambda_s=1"],
            "--at lambda_s: EM",
        ),
        (["gaussian", "EM", "SSCS", "--nfe", "9", "--lambda-s", "1"], "--lambda-s: EM or SSCS"),
    ],
)
def test_lambda_s_is_refused_where_it_acts_on_nothing(run, arguments, refused):  # noqa: F811
    problem = f"error: {refused} has no letter O whose position noise it could scale\n"
    assert run(*arguments) == (2, "", problem)


def test_a_scheme_without_lambda_s_has_one_row_beside_those_that_have_it(run):  # noqa: F811
    _, out, _ = run(
        "gaussian",
        "ROBA",
        "EM",
        "--nfe",
        "9,10",
        "--spectrum",
        "1",
        "--lambda-s",
        "1.2,1",
        "--json",
    )
    shown = [(row["scheme"], row["nfe"], row["lambda_s"]) for row in json.loads(out)]
    assert shown[:4] == [("ROBA", 9, 1.2), ("ROBA", 9, 1), ("ROBA", 10, 1.2), ("ROBA", 10, 1)]
    assert shown[4:] == [("EM", 9, None), ("EM", 10, None)]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            ["--spectrum", "digits"],
            "spectrum: 3 of 64 variances are 0, and a langevin run needs positive ones, v1,v2,...",
        ),
        (
            ["--spectrum", "1,2", "--eps", "0.001"],
            "--eps: a langevin run has no diffusion to stop early",
        ),
        (["--spectrum", "1,2", "--no-denoise"], "--denoise/--no-denoise: a langevin run has no "),
        (
            ["--spectrum", "1,2", "--grid", "quadratic"],
            "grid quadratic: a langevin run takes uniform steps",
        ),
    ],
)
def test_a_langevin_run_refuses_what_means_nothing_to_it(run, options, problem):  # noqa: F811
    asked = ("gaussian", "BAOAB", "--model", "langevin", "--nfe", "19")
    code, out, err = run(*asked, *options)
    assert (code, out) == (2, "") and err.startswith(f"error: {problem}")
    code, out, err = run(*asked, "--spectrum", "1,2")
    assert (code, err) == (0, "2 modes, start prior, uniform steps over T = 10\n")
    [row] = json.loads(run(*asked, "--spectrum", "1,2", "--json")[1])
    assert (row["eps"], row["denoise"], row["steps"], row["nfe"]) == (0, False, 18, 19)


def test_a_diffusion_ends_at_a_thousandth_and_denoises_unless_told_otherwise(run):  # noqa: F811
    asked = ("gaussian", "ROBA", "--nfe", "9", "--spectrum", "1,2", "--json")
    assert run(*asked) == run(*asked, "--eps", "1e-3", "--denoise")
    [row] = json.loads(run(*asked, "--eps", "0.01", "--no-denoise")[1])
    assert (row["eps"], row["denoise"], row["steps"]) == (0.01, False, 9)


def test_one_evaluation_is_singular(run):  # noqa: F811
    assert "1 score evaluation per step" in run("derive", "ROBA")[1]
    assert "2 score evaluations per step" in run("derive", "NOBA")[1]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("gaussian ROBA --nfe 9 --param Gamma=0.02 --param nu=5", "--param"),
        ("gaussian ROBA --nfe 9 --denoise --no-denoise", "--denoise/--no-denoise"),
        ("gaussian ROBA --nfe 9 --denoise data --denoise=data", "--denoise"),
        ("stability ROBA --tau 0.5 --tau=0.1", "--tau"),
        ("list --model psld --model vp", "--model"),
        ("sample --sampler ROBA -n 3 --n 4 --nfe 5 --out /dev/null/x", "--n"),
        ("--catalogue a.toml --catalogue b.toml list", "--catalogue"),
    ],
)
def test_an_option_that_is_given_twice_is_refused_for_one_would_be_lost(run, line, name):  # noqa: F811
    code, out, err = run(*line.split())
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {name} is given 2 times, and the last alone would act")


def test_options_that_may_be_repeated_and_flags_act_as_once(run):  # noqa: F811
    once, twice = (run("list", "--model", "vp", *["--json"] * n) for n in (1, 2))
    assert once == twice and once[0] == 0
    code, _, err = run("validate", "nowhere.py:step", *("--option", "a=1") * 2, "--claims", "DDIM")
    assert code == 2 and "given 2 times" not in err


@pytest.mark.parametrize("key", ["lambda", "factor", "skip"])
@pytest.mark.parametrize(
    "command", ["gaussian LDDIM-I --nfe 9 --spectrum 1", "stability LDDIM-I", "derive LDDIM-I"]
)
def test_a_parameter_of_a_scheme_without_a_value_is_refused_and_not_the_default(run, command, key):  # noqa: F811
    code, out, err = run(*command.split(), "--param", f"{key}=")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: --param {key}=: what is it to be? e.g. {key}=")
