"""The command line: what it prints for people, for pipes and for programs; and how it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from reports import cli
from reports.lookup import resolve
from splitting_analysis import CATALOGUE, find, parse

ROOT = Path(__file__).parents[1]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(capsys):
    """Run the command line in this process: (exit code, standard output, standard error)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            cli.main(arguments)
        code = stopped.value.code
        return (0 if code is None else code, *capsys.readouterr())

    return run


def test_the_list_in_a_pipe_is_a_header_and_one_undecorated_line_per_scheme(run):
    code, out, err = run("list")
    header, *lines = [line.split("\t") for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert header == ["name", "model", "dynamics", "word", "nfe", "order", "source"]
    assert [(row[0], row[1], row[2], parse(row[3]), int(row[4]), int(row[5]), row[6]) for row in lines] == [
        (s.name, s.model_name, s.dynamics, s.word, s.nfe, s.order, s.source.citation) for s in CATALOGUE
    ]
    assert not set(out) & set("│─┃━\x1b")


def test_the_list_as_json_is_an_array_of_objects_that_holds_the_whole_catalogue(run):
    code, out, err = run("list", "--json")
    assert (code, err) == (0, "")
    for row, entry in zip(json.loads(out), CATALOGUE, strict=True):
        source = entry.source
        assert row == {
            "name": entry.name, "model": entry.model_name, "dynamics": entry.dynamics,
            "word": str(entry.word), "nfe": entry.nfe, "order": entry.order,
            "source": source.citation, "place": source.place, "erratum": source.erratum,
        }  # fmt: skip


def test_the_list_on_a_terminal_is_a_table_that_shows_words_unharmed(run, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "400")
    run("list")
    shown = terminal.getvalue()
    assert "│" in shown
    for entry in CATALOGUE:
        assert str(entry.word) in shown


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["--model", "vp"], lambda s: s.model_name == "vp"),
        (["--dynamics", "ode"], lambda s: s.dynamics == "ode"),
        (["--model", "psld", "--dynamics", "sde"], lambda s: (s.model_name, s.dynamics) == ("psld", "sde")),
    ],
)
def test_the_list_can_be_narrowed(run, options, kept):
    _, out, _ = run("list", "--json", *options)
    assert [(row["model"], row["name"]) for row in json.loads(out)] == [
        (s.model_name, s.name) for s in CATALOGUE if kept(s)
    ]


def test_bad_input_is_one_message_on_standard_error_and_exit_code_2(run):
    code, out, err = run("list", "--model", "edm")
    assert (code, out) == (2, "")
    assert err == "error: no model 'edm'; there are: psld, vp, langevin\n"


@pytest.mark.parametrize(
    "arguments", [["lst"], ["list", "--jsn"], ["list", "--dynamics", "pde"], ["list", "A"]]
)
def test_wrong_usage_is_refused_with_exit_code_2_and_no_traceback(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err and "Traceback" not in err


def test_a_mistyped_command_is_answered_with_the_nearest(run):
    assert "Did you mean 'list'?" in run("lst")[2]


@pytest.mark.parametrize(
    ("error", "shown"),
    [(ValueError("a\n  ^"), "error: a\n  ^\n"), (KeyError("no scheme 'X'"), "error: no scheme 'X'\n")],
)
def test_an_error_is_shown_as_it_was_worded(monkeypatch, capsys, error, shown):
    def fail(**_):
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as stopped:
        cli.main([])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == shown


def test_a_fault_that_is_not_bad_input_is_not_hidden(monkeypatch):
    def fail(**_):
        raise AssertionError("a broken invariant")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(AssertionError, match="a broken invariant"):
        cli.main([])


def test_debug_lets_the_error_through():
    with pytest.raises(ValueError, match="no model 'edm'"):
        cli.main(["--debug", "list", "--model", "edm"])


COMMANDS = [
    command.name or command.callback.__name__ for command in cli.app.registered_commands if command.callback
]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_help_of_every_command_teaches_by_examples(run, command):
    code, out, err = run(*command.split(), "--help")
    assert (code, err) == (0, "")
    assert ("Examples:" if command else "Start here:") in out
    assert f"splitting-analysis {command}".strip() in out.partition("Usage")[2].partition("\n")[2]
    assert max(map(len, out.splitlines())) <= 90


@pytest.mark.parametrize("arguments", [["list"], ["--help"]])
def test_a_reader_that_stops_early_sees_no_traceback(arguments):
    command = f"{sys.executable} -c 'from reports.cli import main; main()' {' '.join(arguments)}"
    shown = subprocess.run(
        ["bash", "-c", f"{command} | head -n 1"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert shown.stdout.count("\n") == 1
    assert shown.stderr == ""


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda s: f"{s.model_name}-{s.name}")
def test_every_scheme_is_found_by_name_and_by_word(entry):
    assert resolve(entry.name, entry.model_name) is entry
    assert resolve(entry.name.lower(), entry.model_name, entry.dynamics) is entry
    assert resolve(str(entry.word), entry.model_name, entry.dynamics).word == entry.word


def test_without_a_model_a_name_is_looked_up_in_psld_first_and_then_in_the_others():
    assert resolve("EM").model_name == "psld"
    assert resolve("BAOAB").model_name == "langevin"
    assert resolve("Heun").model_name == "vp"
    assert resolve("S B A").model_name == "psld"
    assert resolve("EM", dynamics="sde") is find("EM")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ROBOA",), "no scheme is named 'ROBOA'; did you mean ROBA or ROBAB or RBAO?"),
        (("obab", "langevin"), "no scheme is named 'obab' in model langevin; did you mean OBABO or BAOAB"),
        (("sba",), "or a word, its letters spaced: 'S B A'"),
        (("BAOAB", "psld"), "BAOAB is no psld scheme; there is: --model langevin --dynamics sde"),
        (("ROBA", None, "ode"), "ROBA is no ode scheme; there is: --model psld --dynamics sde"),
        (("ROBA", "edm"), "no model 'edm'; there are: psld, vp, langevin"),
        (("ROBA", None, "pde"), "no dynamics 'pde'; there are: ode, sde"),
        (("O S B",), "B O does not add up to the SDE's drift"),
        (("S B/0",), "division by zero"),
        (("E",), "the score is used but never evaluated"),
        (("",), "the word is empty"),
        (("\ud800",), "cannot read"),
    ],
)
def test_what_is_neither_a_name_nor_a_word_is_refused_with_a_way_out(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        resolve(*arguments)
