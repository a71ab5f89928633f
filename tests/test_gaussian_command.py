"""The command `gaussian`: the model it takes, what it says of runs that blow up, what it
refuses.
"""

from __future__ import annotations

import json
import random
import warnings
from typing import Any

import pytest

import splitting_analysis as sa
from analytic_models import moments
from analytic_models.gaussian import schemes_of
from reports import cli
from reports.commands import gaussian_options
from reports.commands.gaussian import gaussian
from reports.commands.gaussian_options import announcement, lambdas
from splitting_analysis import find
from splitting_analysis.lookup import as_scheme, reading

VALUES = "0 1e-300 1e-160 1e-30 1e-12 0.01 1 4 4.01 100 1e5 1e29 1e150 1e200 1e300 -1 nan inf"
SPECTRA = "1 0 1e300 1e-300 1e100,1 nan -1 1e-100,1 5e-324 0,0"


@pytest.fixture
def run(capsys):
    """Run the command in this process: (exit code, standard output, standard error)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            cli.main(["gaussian", *arguments])
        code = stopped.value.code
        return (0 if code is None else code, *capsys.readouterr())

    return run


def rows_of(run, *arguments):
    code, out, err = run(*arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


@pytest.mark.parametrize(
    ("names", "model"), [(["BAOAB"], "langevin"), (["ddpm", "EI"], "vp"), (["EM", "ROBA"], "psld")]
)
def test_the_model_is_where_the_names_are_found(run, names, model):
    rows = rows_of(run, *names, "--steps", "60", "--spectrum", "1")
    assert [row["model"] for row in rows] == [model] * len(names)


@pytest.mark.parametrize("model", ["LANGEVIN", "Langevin", " vp "])
def test_a_models_name_ignores_case_and_wins_over_where_the_name_is_found(run, model):
    (row,) = rows_of(run, "em", "--steps", "30", "--model", model, "--spectrum", "1")
    assert row["model"] == model.strip().casefold()


def test_schemes_of_two_models_are_refused_with_what_would_be_right(run):
    code, out, err = run("EM", "BAOAB", "--nfe", "9")
    assert (code, out) == (2, "") and "EM is a psld scheme, BAOAB is a langevin scheme" in err
    assert "--model langevin" in err
    assert "run them apart" in run("Heun", "BAOAB", "--nfe", "9")[2]


def test_a_langevin_run_has_a_default_spectrum_that_works_and_says_so(run):
    code, out, err = run("BAOAB", "--nfe", "51")
    assert code == 0 and err.startswith("unit variance, ") and "unstable" not in out
    assert rows_of(run, "BAOAB", "--nfe", "51") == rows_of(
        run, "BAOAB", "--nfe", "51", "--spectrum", "1"
    )


def test_a_word_with_two_readings_says_which_is_meant(run):
    asked = ("S E", "--steps", "60", "--spectrum", "1")
    assert reading(as_scheme("S E"), None) + "\n" in run(*asked)[2]
    assert "read as" not in run(*asked, "--dynamics", "ode")[2]
    assert "read as" not in run("O S B A", "RSE", "--steps", "60", "--spectrum", "1")[2]
    (row,) = rows_of(run, *asked, "--dynamics", "SDE")
    assert row["dynamics"] == "sde"
    (named,) = rows_of(run, "EM", "--steps", "60", "--spectrum", "1")
    assert row["w2_x"] == named["w2_x"] != rows_of(run, *asked)[0]["w2_x"]


def test_a_run_beyond_stability_is_called_unstable_with_its_step_limit_and_mode(run):
    asked = ("ROBA", "--nfe", "4,400", "--spectrum", "1,0")
    unstable, fine = rows_of(run, *asked)
    assert fine["unstable"] is None and unstable["w2_x"] > 0
    cause = unstable["unstable"]
    assert cause["limit"] < cause["step"] == pytest.approx(0.999 / 3)
    assert (cause["mode"], cause["variance"], cause["components"]) == (1, 0, ["x", "m"])
    _, out, err = run(*asked)
    first, second = (line.split("\t") for line in out.splitlines()[1:])
    assert first == ["ROBA", "3", "4", *["unstable"] * 4] and "unstable" not in second
    assert (
        "ROBA with 3 steps is unstable in x and m: for mode 1 (variance 0) the step 0.333 at" in err
    )


def test_a_run_unstable_in_a_mode_that_rightly_grows_is_told_both_factors_and_no_limit(run):
    asked = ("NVV", "--spectrum", "30", "--param", "beta_min=0.1,beta_max=20", "--nfe", "10")
    (row,) = rows_of(run, *asked)
    assert row["unstable"]["limit"] is None and row["w2_x"] > 1000
    _, out, err = run(*asked)
    assert out.splitlines()[1].split("\t") == ["NVV", "3", "10", *["unstable"] * 4]
    assert "the step 0.333 at tau = 1 multiplies by 42.3 where 1 is exact" in err


def test_a_law_that_left_float64_without_a_known_limit_is_said_to_have_blown_up(run):
    told = ("--spectrum", "1,0.01", "--nfe", "5", "--param")
    code, out, err = run("LDDIM-I", *told, "lambda=300,0")
    assert code == 0 and out.splitlines()[1].split("\t")[4:6] == ["-", "-"]
    assert err.count("LDDIM-I with 4 steps blew up: its law left float64") == 1
    assert "blew up" not in run("LDDIM-I", *told, "lambda=0")[2]


def test_where_the_momentum_alone_blew_up_the_position_keeps_its_number(run):
    asked = ("RVV", "--steps", "9", "--spectrum", "0,0.05,2")
    (row,) = rows_of(run, *asked)
    assert row["unstable"]["components"] == ["m"]
    cells = run(*asked)[1].splitlines()[1].split("\t")
    assert cells[3] == f"{row['w2_x']:.4g}" and cells[4] == "unstable"


@pytest.mark.parametrize("eps", ["1e-300", "1e-17"])
@pytest.mark.parametrize("name", ["ROBA", "DDPM"])
def test_an_eps_that_vanishes_beside_T_is_refused(run, eps, name):
    code, out, err = run(name, "--steps", "30", "--eps", eps, "--spectrum", "1")
    assert (code, out) == (2, "") and f"eps = {eps} vanishes beside T = 1" in err


def test_the_smallest_eps_that_is_taken_is_denoised(run):
    (row,) = rows_of(run, "ROBA", "--steps", "5", "--eps", "1e-15", "--spectrum", "1")
    assert row["nfe"] == 6


@pytest.mark.share(4)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nfe", "100000000"], "--nfe 100000000: at most 10000000 in one run"),
        (["--steps", "0"], "--steps 0: '0' is not a positive number"),
        (["--steps", "10000000", "--spectrum", ",".join(["1"] * 2000)], "would take about"),
        (
            ["--steps", ",".join(["5"] * 50_000)],
            "50000 rows of 250000 steps in all would take about",
        ),
        (["--steps", "9", "--lambda-s", "1e400"], "lambda_s scales a variance"),
        (["--steps", "9", "--spectrum", "1,1e300"], "eigenvalue 1 is 1e+300"),
        (["--steps", "9", "--spectrum", "1,0,1e-300"], "eigenvalue 2 is 1e-300"),
        (["--steps", "9", "--param", "Gamma=1e150"], "Gamma = 1e+150"),
        (["--steps", "9", "--param", "nu=1e200"], "nu = 1e+200"),
        (["--steps", "9", "--param", "beta_max=1e9"], "times the integral of beta"),
        (
            ["--steps", "9", "--param", "Gamma=4,nu=4.000000000000001"],
            "difference is lost in rounding",
        ),
    ],
)
def test_what_would_never_end_or_overflows_is_refused_at_once(run, arguments, message, monkeypatch):
    monkeypatch.setattr(gaussian_options, "run", _slow(moments.run))
    code, out, err = run("ROBA", *arguments)
    assert (code, out) == (2, "") and message in err and err.count("error: ") == 1


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--start pT", {"start": "pT"}),
        ("--grid quadratic", {"grid": "quadratic"}),
        ("--eps 0.05", {"eps": 0.05}),
        ("--no-denoise", {"denoise": False}),
        ("--denoise data", {"denoise": "data"}),
        ("--lambda-s 5/4", {"lambda_s": 1.25}),
        ("--param nu=3", {"nu": 3}),
        ("--spectrum 2,0.1", {"spectrum": [2, 0.1]}),
    ],
)
def test_every_option_makes_another_row_and_it_is_that_of_a_notebook(run, option, told):
    more = option if "spectrum" in told else f"{option} --spectrum 0.5"
    plain, rows = (
        rows_of(run, "ROBA", "--nfe", "9", *given.split()) for given in ("--spectrum 0.5", more)
    )
    asked: dict[str, Any] = {"spectrum": 0.5, **told}
    assert list(sa.gaussian("ROBA", nfe=9, **asked)) == rows
    assert rows[0]["w2_x"] != plain[0]["w2_x"]


def test_a_run_to_the_data_takes_no_denoising_step_and_no_evaluation_for_one(monkeypatch):
    """Whether a run blew up is asked with the step that it ends with."""
    asked = []
    monkeypatch.setattr("analytic_models.problem.instability", lambda *given: asked.append(given))
    for told, steps, ending in (
        ({"eps": 0.0}, 9, False),
        ({"eps": 0.01}, 8, True),
        ({"eps": 0.01, "denoise": "data"}, 8, "data"),
    ):
        given: dict[str, Any] = {"spectrum": 0.5, **told}
        (row,) = sa.gaussian("ROBA", nfe=9, **given)
        assert (row["steps"], row["denoise"], row["nfe"]) == (steps, ending, 9)
        assert asked[-1][-1] == (ending is True)


def test_a_budget_beside_a_grid_that_is_given_is_one_that_buys_its_steps_and_no_more():
    given: dict[str, Any] = {"grid": [0.0, 0.3, 0.6, 0.99], "spectrum": 0.5}
    assert [sa.gaussian("NOBA", nfe=n, **given)[0]["steps"] for n in (7, 8)] == [3, 3]
    for nfe in (6, 9):
        with pytest.raises(ValueError, match=r"the grid given has 3 steps.*on this grid: NOBA 7"):
            sa.gaussian("NOBA", nfe=nfe, **given)


def _slow(truly):
    """A run that is never asked for more than the first steps, on which the estimate stands."""

    def run(scheme, diffusion, target, times, *rest, **options):
        assert len(times) < 1000, "a long run was begun"
        return truly(scheme, diffusion, target, times, *rest, **options)

    return run


@pytest.mark.heavy
def test_extreme_values_give_numbers_or_one_sentence(capsys):
    """No other exception, no warning, no nan or infinity shown as a number, for whatever
    combination.
    """
    draw = random.Random(7)
    values = VALUES.split()
    spectra = SPECTRA.split()
    names = {"psld": "EM ROBA SSCS RK45 NVV", "vp": "EM EI DDPM Heun", "langevin": "BAOAB EM VV"}
    keys = {
        "psld": "Gamma nu beta_min beta_max kappa T",
        "vp": "beta_min beta_max T",
        "langevin": "gamma T",
    }
    refused = 0
    for _ in range(300):
        model = draw.choice(list(names))
        chosen = draw.sample(keys[model].split(), draw.randint(0, 2))
        asked: dict[str, Any] = {
            "model": model,
            "steps": draw.choice(["1", "8", "40"]),
            "param": ",".join(f"{key}={draw.choice(values)}" for key in chosen),
            "spectrum": draw.choice(spectra),
            "start": draw.choice(["prior", "pT"]),
        }
        if model != "langevin":
            asked["grid"] = draw.choice(["uniform", "quadratic"])
            asked["eps"] = draw.choice([0.0, 1e-300, 1e-16, 1e-8, 1e-3, 0.9])
        name = draw.choice(names[model].split())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                gaussian([name], **asked)
            except ValueError:
                refused += 1
                continue
        out = capsys.readouterr().out
        assert not {"nan", "inf", "-inf"} & set(out.split()), (name, asked)
        assert out.splitlines()[1].split("\t")[3] != "-", (name, asked)
    assert 50 < refused < 280


def test_every_scheme_is_found_by_the_command_as_by_its_name():
    assert schemes_of(["BAOAB"], None, None) == [find("BAOAB", "langevin")]


@pytest.mark.parametrize("text", ["1_0", "1,٣", "1e-400"])
def test_lambda_s_is_refused_in_a_spelling_that_only_python_reads(text: str) -> None:
    with pytest.raises(ValueError, match=r"--lambda-s .*(is not a number|is closer to 0)"):
        lambdas(text)


KEYS = (
    "scheme word model dynamics steps nfe lambda_s lambda factor skip eta clock schedule "
    "lower_order_final churn grid start eps denoise w2_x w2 kl_x kl_modes worst_mode_x unstable"
)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("ROBA", {"eta": 1, "clock": "tau", "factor": None, "lambda": None, "schedule": None}),
        ("LDDIM-I", {"eta": 0, "clock": "tau", "factor": "lower", "lambda": 0, "skip": None}),
        ("P2M --denoise data", {"eta": 0, "clock": "lambda", "factor": "lower", "denoise": "data"}),
        ("P2M --eta 1 --clock rho", {"eta": 1, "dynamics": "sde", "clock": "rho"}),
        ("DEIS2 --model vp --schedule cosine", {"clock": "tau", "eta": 0, "schedule": "cosine"}),
        ("SA2 --model flow --no-denoise", {"eta": 1, "schedule": None, "denoise": False}),
        ("EM --model vp --grid quadratic", {"schedule": "linear", "grid": "quadratic"}),
        ("BAOAB", {"eta": None, "clock": None, "model": "langevin"}),
    ],
)
def test_rows_of_every_kind_of_sampler_have_the_same_keys_and_say_what_is_set(run, words, told):
    (row,) = rows_of(run, *words.split(), "--steps", "8", "--spectrum", "1")
    assert list(row) == KEYS.split()
    assert {key: row[key] for key in told} == told


def test_what_a_table_takes_is_announced_in_seconds_minutes_or_hours():
    told = {5: None, 6: "6 seconds", 99: "99 seconds", 101: "2 minutes", 5999: "100 minutes"}
    told |= {6001: "2 hours", 36000: "10 hours"}
    for seconds, words in told.items():
        assert announcement(seconds) == (words and f"about {words} to go")
