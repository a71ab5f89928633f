"""The commands take the same names and numbers in the same spellings."""

from __future__ import annotations

import inspect
import json
import re
from importlib import import_module
from typing import Any

import pytest

import splitting_analysis as sa
from reports import cli
from splitting_analysis.lookup import read_lambda_s, spelled

COMMANDS = ("list", "derive", "gaussian", "report", "sample", "train", "convert")


@pytest.fixture
def run(capsys):
    """Run the command in this process: (exit code, standard output, standard error)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            cli.main([*map(str, arguments)])
        return (stopped.value.code or 0, *capsys.readouterr())

    return run


@pytest.mark.parametrize(
    ("plain", "other"),
    [
        ("--start prior --grid uniform", "--start PRIOR --grid Uniform"),
        ("--start pT --grid quadratic", "--start PT --grid QUADRATIC"),
        (
            "--model psld --dynamics sde --spectrum digits",
            "--model PSLD --dynamics SDE --spectrum Digits",
        ),
        ("--eps 0.002 --param Gamma=0.02", "--eps 1/500 --param Gamma=1/50"),
        ("--spectrum 0.25,1", "--spectrum 1/4,1"),
    ],
)
def test_names_ignore_case_and_numbers_may_be_fractions(run, plain, other):
    rows = [
        json.loads(run("gaussian", "EM", "--nfe", "9", *given.split(), "--json")[1])
        for given in (plain, other)
    ]
    assert rows[0] == rows[1]


def test_lambda_s_is_spelled_in_one_way_in_every_command(run, tmp_path):
    rows = [
        json.loads(run("gaussian", "ROBA", "--nfe", "9", "--lambda-s", given, "--json")[1])
        for given in ("5/4,1", "1.25,1.0")
    ]
    assert rows[0] == rows[1] and [row["lambda_s"] for row in rows[0]] == [1.25, 1]
    formulas = [run("derive", "ROBA", "--lambda-s", given)[1] for given in ("5/4", "1.25")]
    assert formulas[0] == formulas[1] and "lambda_s = 5/4" in formulas[0]


@pytest.mark.parametrize("bad", ["1_0", "1e7", "1e-7", "-1", "nan", "1/0"])
def test_lambda_s_is_refused_with_one_sentence_in_every_command(run, tmp_path, bad):
    pytest.importorskip("torch")
    refused = {
        run("derive", "ROBA", f"--lambda-s={bad}"),
        run("gaussian", "ROBA", "--nfe", "9", f"--lambda-s={bad}"),
        run(
            "sample",
            "--sampler",
            "ROBA",
            "--nfe",
            "9",
            "-n",
            1,
            "--out",
            tmp_path / "a",
            f"--lambda-s={bad}",
        ),
    }
    assert len(refused) == 1 and not (tmp_path / "a").exists()
    [(code, out, err)] = refused
    assert (code, out) == (2, "") and re.fullmatch(
        r"error: --lambda-s .*lambda_s scales a variance.*\n", err
    )


def test_the_range_of_lambda_s_ends_where_it_says():
    assert [read_lambda_s(edge) for edge in ("1e6", "1e-6", "0", 0.0)] == [
        10**6,
        pytest.approx(1e-6),
        0,
        0,
    ]
    for beyond in ("1000001", "9/10000000", float("inf"), None):
        with pytest.raises(ValueError, match="lambda_s scales a variance"):
            read_lambda_s(beyond)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments",
    [
        ["gaussian", "EM", "--nfe", "9", "--eps", "1_0"],
        ["sample", "--sampler", "EM", "--out", "a", "--nfe", "9", "-n", "1_0"],
        ["sample", "--sampler", "EM", "--out", "a", "--nfe", "1_0", "-n", "1"],
        ["sample", "--sampler", "EM", "--out", "a", "--nfe", "9", "-n", "1", "--eps", "1_0"],
        ["train", "--out", "a.safetensors", "--rate", "1_0"],
        ["train", "--out", "a.safetensors", "--steps", "٣"],
        ["derive", "EM", "--order", "1_0"],
    ],
)
def test_numbers_that_only_python_reads_are_refused_by_every_option(
    run, arguments, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "") and arguments[-2] in err
    assert re.search("is not a (whole )?number", err) and not list(tmp_path.iterdir())


def test_the_samples_model_is_where_the_name_is_found(run, tmp_path):
    pytest.importorskip("torch")
    given = ["--nfe", "9", "-n", 1, "--out", tmp_path / "a"]
    said = run("sample", "--sampler", "BAOAB", *given)[2]
    assert said == "error: BAOAB is a langevin scheme: a network is trained for one of: psld, vp\n"
    assert "error: DDPM: beta h = 2.5" in run("sample", "--sampler", "ddpm", *given)[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_the_help_fit_a_terminal_of_eighty_columns(run, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = run(command, "--help")[1]
    examples = shown.partition("Examples:")[2].partition("Options")[0].splitlines()
    assert any("splitting-analysis" in line for line in examples)
    assert max(map(len, examples)) < 80


def test_a_name_that_is_unknown_stays_as_it_was_given():
    assert spelled(" PT ", ("prior", "pT")) == "pT"
    assert spelled("Data", ("prior", "pT")) == "Data"


DOORS = {
    "derive": (sa.local_error, sa.code),
    "gaussian": (sa.gaussian,),
    "stability": (sa.stability,),
    "harmonic": (sa.harmonic,),
    "sample": (sa.sample,),
    "validate": (sa.validate,),
}
"""The functions of a notebook that do what a command does."""
NO_KEYWORD = {
    "derive": {
        "style": "sa.code has a language; an error is data that displays as it is asked to",
        "param": "lambda_, factor and skip",
        **dict.fromkeys(("score_x", "score_m", "at"), "what .at(...) of the error takes"),
        "long": "a function does not ask whether one is sure",
    },
    "gaussian": {
        "names": "schemes",
        "param": "lambda_, factor, skip and **parameters",
        "denoise_by": "denoise='data'",
        "as_json": "rows are data",
    },
    "stability": {
        "names": "schemes",
        "param": "lambda_, factor, skip and **parameters",
        "as_json": "rows are data",
    },
    "harmonic": {"names": "schemes", "as_json": "rows are data"},
    "sample": {
        "sampler": "scheme",
        "param": "lambda_, factor, skip and **parameters",
        "denoise_by": "denoise='data'",
        **dict.fromkeys(("out", "shard", "form"), "samples are an array, not files"),
    },
    "validate": {
        "param": "lambda_, factor, skip and **parameters",
        "report": "the verdict is data",
        "as_json": "the verdict is data",
    },
}
"""Options that are none of Python's, and what stands for them there."""


@pytest.mark.parametrize("command", DOORS)
def test_every_option_of_a_command_is_a_keyword_in_python_or_has_something_in_its_place(command):
    options = set(
        inspect.signature(getattr(import_module(f"reports.commands.{command}"), command)).parameters
    )
    taken = [set(inspect.signature(door).parameters) for door in DOORS[command]]
    assert options - set[str].union(*taken) == set(NO_KEYWORD[command])
    told = " ".join(NO_KEYWORD[command].values())
    for keyword in {"lambda_", "factor", "skip"} & set(re.findall(r"\w+", told)):
        assert all(keyword in door for door in taken)


def test_what_is_told_to_a_sampler_in_python_is_what_the_command_tells_it(run):
    cases: dict[tuple[str, str], tuple[dict[str, Any], list[str]]] = {
        ("DPM++2M", "vp"): (
            {"schedule": "cosine", "lower_order_final": True, "eta": 0.5},
            ["--schedule=cosine", "--lower-order-final", "--eta=0.5"],
        ),
        ("EDM", "ve"): ({"S_churn": 0.5}, ["--param=S_churn=0.5"]),
        ("LDDIM-I", "psld"): (
            {"lambda_": 0.5, "factor": "upper"},
            ["--param=lambda=0.5,factor=upper"],
        ),
    }
    for (name, model), (keywords, options) in cases.items():
        given = ["--spectrum=1,0.1", "--nfe=6", f"--model={model}"]
        rows = json.loads(run("gaussian", name, *given, *options, "--json")[1])
        told: dict[str, Any] = {"spectrum": "1,0.1", "nfe": 6, "model": model}
        assert list(sa.gaussian(name, **told, **keywords)) == rows
        assert sa.gaussian(name, **told)[0]["w2_x"] != rows[0]["w2_x"]


def test_several_values_are_several_rows_and_a_scheme_that_takes_none_has_one():
    table = sa.gaussian(
        "LDDIM-I", nfe=5, spectrum=1, lambda_=[0, 0.5, 1], factor=["lower", "upper"]
    )
    assert [(row["lambda"], row["factor"]) for row in table] == [
        (value, factor) for value in (0, 0.5, 1) for factor in ("lower", "upper")
    ]
    noisy = sa.gaussian("DDIM", model="vp", nfe=5, spectrum=1, eta=[0, "1/2"])
    assert [row["eta"] for row in noisy] == [0, 0.5]
    limits = sa.stability("LDDIM-I", spectrum=1, lambda_=[0, 0.5], tau=0.1)
    each = [sa.stability("LDDIM-I", spectrum=1, lambda_=value, tau=0.1)[0] for value in (0, 0.5)]
    assert list(limits) == each and each[0]["largest_step"] != each[1]["largest_step"]
    with pytest.raises(ValueError, match="an empty list of values"):
        sa.gaussian("LDDIM-I", nfe=5, lambda_=[])


def test_the_code_of_a_sampler_is_what_derive_writes(run):
    for arguments, keywords in (
        (("O S B A", "python"), {"lambda_s": 1.2}),
        (("DPM++2M", "torch"), {"model": "vp", "eta": 0.5, "clock": "lambda"}),
        (("P2M", "python"), {"factor": "upper"}),
    ):
        options = [
            f"--param=factor={value}" if key == "factor" else f"--{key.replace('_', '-')}={value}"
            for key, value in keywords.items()
        ]
        written = run("derive", arguments[0], "--format", arguments[1], *options)[1]
        assert sa.code(*arguments, **keywords) == written and "def s" in written
    with pytest.raises(ValueError, match="no language 'c'; there are: python, torch"):
        sa.code("O S B A", "c")


@pytest.mark.heavy
def test_the_harmonic_well_is_that_of_the_command_and_its_formulas_are_written_as_people_do(run):
    rows = json.loads(run("harmonic", "BAOAB", "BAOAB-RESPA2", "--h", "0.5,3", "--json")[1])
    table = sa.harmonic("BAOAB", "BAOAB-RESPA2", h=[0.5, "3"])
    assert list(table) == rows and "BAOAB keeps no law at h = 3" in table.note
    shown = run("harmonic", "OBABO")[1]
    assert "**" not in shown and "*" not in shown
    forms = sa.harmonic("OBABO")
    assert list(forms) == json.loads(run("harmonic", "OBABO", "--json")[1])
    assert forms[0]["position"] == "4/(4 - y)" and "4/(4 − y)" in str(forms)
    for bad, said in (({"omega": 2}, "give h, too"), ({"h": "x"}, "h = x: a number")):
        with pytest.raises(ValueError, match=said):
            sa.harmonic("BAOAB", **bad)


def test_the_error_where_a_prediction_is_held_is_what_derive_prints(run):
    for name, keywords in (("DPM++2M", {}), ("DDIM", {"eta": 1}), ("S E:eps[2]", {"clock": "rho"})):
        options = [f"--{key}={value}" for key, value in keywords.items()]
        error: Any = sa.local_error(name, model="vp", **keywords)
        printed = run("derive", name, "--model", "vp", *options)[1]
        assert printed.endswith("\n" + "\n".join(error.lines()) + "\n")
        assert repr(error).splitlines()[1:] == error.lines()
        assert error.order == sa.order(name, model="vp", **keywords) == error.leading - 1
        with pytest.raises(ValueError, match="in the prediction's derivatives"):
            error.at(x=1)
    with pytest.raises(ValueError, match="minus: of a word that holds a prediction"):
        sa.local_error("DPM++2M", model="vp", minus="DDIM")
    with pytest.raises(ValueError, match="eta acts in words that hold a prediction"):
        sa.local_error("ROBA", eta=0.5)


def test_samples_of_a_score_take_what_a_sampler_is_told_and_nothing_that_is_of_a_network():
    pytest.importorskip("torch")
    how: dict[str, Any] = {
        "model": "vp",
        "n": 2,
        "nfe": 6,
        "shape": (3,),
        "score": lambda z, _: -2 * z,
    }
    plain = sa.sample("DPM++2M", **how)
    for more in ({"lower_order_final": True}, {"eta": 0.5}, {"clock": "rho"}, {"state": "float32"}):
        assert (sa.sample("DPM++2M", **how, **more) != plain).any()
    for more in ({"precision": "bf16"}, {"compile": True}, {"numerical_eps": 1e-9}):
        with pytest.raises(ValueError, match="are of a network"):
            sa.sample("DPM++2M", **how, **more)


@pytest.mark.heavy
def test_a_claimed_word_is_told_in_python_what_the_command_tells_it():
    assert sa.validate("DDIM", model="vp", eta=0.5, beta_max=8).holds
    assert not sa.validate("DDIM", claims=sa.scheme("DDIM", "vp", eta=0.5)).holds
    with pytest.raises(ValueError, match="settings of a sampler are for a claimed word"):
        sa.validate("DDIM", claims="order=1", model="vp", eta=0.5)
    with pytest.raises(ValueError, match="model vp has no parameter 'beta'"):
        sa.validate("DDIM", model="vp", beta=8)


def test_a_sampler_that_brings_its_process_is_tried_on_no_other(tmp_path, run):
    (tmp_path / "own.py").write_text(
        """from analytic_models.probing.subject import Subject
from splitting_analysis.processes import VP
def sample(score, z, grid, noise, model):
    return z * model.gamma
mine = Subject("mine", "sample", sample, VP(), lambda n: [i / n * 0.9 for i in range(n + 1)])
""",
        encoding="utf-8",
    )
    own = f"{tmp_path / 'own.py'}:mine"  # breaks down at once, on what it is tried
    told = sa.validate(own, claims="S E:data", eta=0, model="VP")
    assert told.model == "vp" and told.notes == ()
    _, out, _ = run("validate", own, "--claims", "S E:data", "--eta", "0")
    assert out.startswith("mine (vp), said to be S E:data\n")
    for keywords, option, why in (
        ({"model": "psld"}, "--model=psld", "of model vp: model psld does not fit"),
        ({"beta_max": 10}, "--param=beta_max=10", "parameters of another cannot be said"),
    ):
        with pytest.raises(ValueError, match=f"mine brings its own process.*{why}"):
            sa.validate(own, claims="DDIM", **keywords)
        code, _, err = run("validate", own, "--claims", "DDIM", option)
        assert code == 2 and why in err


def test_code_that_breaks_down_in_a_model_that_nobody_said_is_told_which_it_was(tmp_path, run):
    (tmp_path / "kick.py").write_text(
        "def step(z, t, h, score, noise, model):\n    return z * (1 - h * model.gamma)\n",
        encoding="utf-8",
    )
    mine, note = f"{tmp_path / 'kick.py'}:step", "it was tried on psld: say another by --model"
    assert note in str(sa.validate(mine, claims="order=1"))
    assert note in run("validate", mine, "--claims", "order=1")[1]
    assert note not in str(sa.validate(mine, claims="ROBA"))
    assert note not in str(sa.validate(mine, claims="order=1", model="psld"))


def test_a_refusal_names_a_word_once():
    for refused in (
        lambda: sa.code("S E:eye"),
        lambda: sa.scheme("S E", eta=0.5),
        lambda: sa.scheme("S E", lambda_=0.5),
        lambda: sa.scheme("S E", skip=1),
        lambda: sa.strong_error("S E:data", model="vp", eta=1),
    ):
        with pytest.raises(ValueError, match="this word") as said:
            refused()
        word = str(said.value).partition(": ")[0]
        assert not re.search(rf"{re.escape(word)} (of|takes|has|is|holds)", str(said.value))
    with pytest.raises(ValueError, match="LDDIM-I: S E:eye takes conjugate steps"):
        sa.code("LDDIM-I", lambda_=0.5)
