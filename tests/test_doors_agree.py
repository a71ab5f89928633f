"""The commands take the same names and numbers in the same spellings."""

from __future__ import annotations

import json
import re

import pytest

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
