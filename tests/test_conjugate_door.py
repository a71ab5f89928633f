"""lambda, factor, eta and the ending in a notebook are those of the command line."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import splitting_analysis as sa
from analytic_models.table import Table
from reports import cli


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command in this process; what it prints."""

    def command(*arguments: str) -> str:
        with pytest.raises(SystemExit) as stopped:
            cli.main(arguments)
        assert stopped.value.code in (0, None)
        return capsys.readouterr().out

    return command


@pytest.mark.parametrize(
    ("name", "options", "given"),
    [
        ("LDDIM-I", ["--param", "lambda=0.5,factor=upper"], {"lambda_": 0.5, "factor": "upper"}),
        ("LDDIM-II", ["--param", "lambda=1/4,nu=3"], {"lambda": "1/4", "nu": 3}),
        ("P2M", ["--eta", "1", "--denoise-by", "data"], {"eta": 1, "denoise": "data"}),
        ("PDDIM", ["--param", "factor=aligned"], {"factor": "aligned"}),
    ],
)
def test_rows_of_a_notebook_are_those_of_the_command_with_the_same_settings(
    command, name, options, given
):
    rows = json.loads(
        command("gaussian", name, "--nfe", "5", "--spectrum", "2", "--json", *options)
    )
    assert list(sa.gaussian(name, nfe=5, spectrum=2, **given).rows) == rows
    plain = sa.gaussian(name, nfe=5, spectrum=2).rows
    assert plain[0]["w2"] != rows[0]["w2"]


@pytest.mark.heavy
def test_a_formula_with_lambda_told_is_the_command_s(command):
    text = command("derive", "LDDIM-I", "--param", "lambda=0.5", "--order", "2")
    error = sa.local_error("LDDIM-I", 2, lambda_=0.5)
    assert all(line in text for line in str(error).splitlines()[2:])
    assert "told: λ=0.5\n" in text and text.count("λ") == 1  # in the heading, in no formula
    assert "λ" in command("derive", "LDDIM-I", "--order", "2")
    where: Any = {"score_x": "-x", "score_m": "-m", "x": 1, "m": 2, "t": 0.2}
    symbol = sa.local_error("LDDIM-I", 2)
    assert error.at(**where)[2] == pytest.approx(symbol.at(**where, lambda_=0.5)[2], rel=1e-12)
    assert symbol.at(**where)[2] != symbol.at(**where, lambda_=0.5)[2]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"lambda_": 1, "lambda": 2}, "twice"),
        ({"lambda_": "much"}, "lambda: 'much' is not a number"),
        ({"lambda_": 1e9}, "beyond"),
        ({"factor": "left"}, "lower, upper"),
        ({"factor": 2}, "a name such as"),
        ({"eta": 1}, "acts in words that hold"),
    ],
)
def test_what_cannot_be_told_is_refused_in_one_sentence(given, says):
    with pytest.raises(ValueError, match=says):
        sa.gaussian("LDDIM-I", nfe=5, spectrum=2, **given)


def test_samples_of_a_score_of_ones_own_take_lambda_and_eta():
    pytest.importorskip("torch")
    given: Any = {"n": 2, "nfe": 4, "score": lambda z, tau: -z, "shape": (3,)}
    plain, bent = (sa.sample("LDDIM-I", lambda_=value, **given) for value in (0, 0.5))
    noisy = sa.sample("P2M", eta=1, denoise="data", factor="upper", **given)
    assert plain.shape == bent.shape == noisy.shape == (2, 3)
    assert not np.allclose(plain, bent)
    assert np.array_equal(plain, sa.sample("LDDIM-I", **given))
    assert not np.allclose(noisy, sa.sample("P2M", **given))


def test_a_limit_is_asked_for_alike_by_the_command_and_in_a_notebook(command, monkeypatch):
    """What is asked for is caught: the limits themselves take seconds."""
    asked: list[Any] = []

    def caught(schemes: Any, process: Any, variances: Any, times: Any) -> Table:
        asked.append(([(s.conjugate, s.factor) for s in schemes], process, list(variances), times))
        return Table((), ("scheme",), "", ("tau", "largest_step"), ())

    monkeypatch.setattr("analytic_models.limits.limits", caught)
    given = ["--tau", "0.5,0.1", "--spectrum", "1.1,0.01", "--param", "lambda=0.5,nu=3"]
    command("stability", "LDDIM-I", *given[:-1], f"{given[-1]},factor=upper")
    sa.stability("LDDIM-I", tau=[0.5, 0.1], spectrum=[1.1, 0.01], lambda_=0.5, factor="upper", nu=3)
    (schemes, process, variances, times) = asked[0]
    assert asked[1] == asked[0] and schemes == [(0.5, "upper")]
    assert (variances, times, process.nu) == ([1.1, 0.01], [0.5, 0.1], 3)


@pytest.mark.heavy
def test_stable_steps_of_the_command_are_those_of_a_notebook(command):
    given = ["--tau", "0.5,0.1", "--spectrum", "1.1,0.01", "--param", "lambda=0.5"]
    shown = json.loads(command("stability", "LDDIM-I", *given, "--json"))
    table = sa.stability("LDDIM-I", tau=[0.5, 0.1], spectrum=[1.1, 0.01], lambda_=0.5)
    assert shown == list(table.rows)
    assert all(row["criterion"] > 2 * row["largest_step"] for row in shown[:1])
    assert "criterion" in command("stability", "LDDIM-I", *given)
    splitting = command("stability", "RSE", *given[:4])
    assert "criterion" not in splitting and "0.5" in splitting
