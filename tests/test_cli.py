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
from splitting_analysis import CATALOGUE, find, parse
from splitting_analysis.catalogue import read_catalogue, samplers
from splitting_analysis.lookup import as_scheme, reading

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


def shown(entry):
    return entry.dynamics if entry.churn is None else "ode+churn"


def test_the_list_in_a_pipe_is_a_header_and_one_undecorated_line_per_scheme(run):
    code, out, err = run("list")
    header, *lines = [line.split("\t") for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert header == ["name", "model", "dynamics", "word", "nfe", "order", "source"]
    assert [(row[0], row[1], row[2], parse(row[3]), int(row[4]), *row[5:]) for row in lines] == [
        (s.name, s.model_name, shown(s), s.word, s.nfe, str(s.order or ""), s.source.citation)
        for s in samplers()
    ]
    assert ("EDM", "ode+churn") in [(row[0], row[2]) for row in lines]
    assert not set(out) & set("│─┃━\x1b")


def test_the_list_as_json_is_an_array_of_objects_that_holds_the_whole_catalogue(run):
    code, out, err = run("list", "--json")
    assert (code, err) == (0, "")
    for row, entry in zip(json.loads(out), samplers(), strict=True):
        source = entry.source
        assert row == {
            "name": entry.name,
            "model": entry.model_name,
            "dynamics": entry.dynamics,
            "churn": entry.churn and entry.churn.as_dict(),
            "word": str(entry.word),
            "nfe": entry.nfe,
            "order": entry.order,
            "clock": entry.clock if entry.program.uses_clock else None,
            "source": source.citation,
            "place": source.place,
            "erratum": source.erratum,
        }


def test_the_list_on_a_terminal_is_a_table_that_shows_words_unharmed(run, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "400")
    run("list")
    shown = terminal.getvalue()
    assert "│" in shown
    for entry in samplers():
        assert str(entry.word) in shown


def test_a_word_too_long_for_the_terminal_is_folded_and_nothing_of_it_is_cut(run, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    run("list")
    words: list[str] = []
    for line in terminal.getvalue().splitlines():
        if line.startswith("│"):
            name, *_, word, _nfe, _order, _source = [cell.strip() for cell in line.split("│")[1:-1]]
            words += [word] if name else []
            words[-1] += "" if name else word
    assert [word.replace(" ", "") for word in words] == [
        str(s.word).replace(" ", "") for s in samplers()
    ]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["--model", "vp"], lambda s: s.model_name == "vp"),
        (["--dynamics", "ode"], lambda s: s.dynamics == "ode" and s.name != "EDM"),
        (["--dynamics", "sde"], lambda s: s.dynamics == "sde" or s.name == "EDM"),
        (
            ["--model", "psld", "--dynamics", "sde"],
            lambda s: (s.model_name, s.dynamics) == ("psld", "sde"),
        ),
    ],
)
def test_the_list_can_be_narrowed(run, options, kept):
    _, out, _ = run("list", "--json", *options)
    assert [(row["model"], row["name"]) for row in json.loads(out)] == [
        (s.model_name, s.name) for s in samplers() if kept(s)
    ]


def test_bad_input_is_one_message_on_standard_error_and_exit_code_2(run):
    code, out, err = run("list", "--model", "edm")
    assert (code, out) == (2, "")
    assert err == "error: no model 'edm'; there are: psld, vp, ve, flow, langevin, respa\n"
    for command in (["list"], ["derive", "EM"]):
        code, out, err = run(*command, "--dynamics", "pde")
        assert (code, out, err) == (2, "", "error: no dynamics 'pde'; there are: ode, sde\n")


@pytest.mark.parametrize("arguments", [["lst"], ["list", "--jsn"], ["list", "A"]])
def test_wrong_usage_is_refused_with_exit_code_2_and_no_traceback(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err and "Traceback" not in err


def test_a_mistyped_command_is_answered_with_the_nearest(run):
    assert "Did you mean 'list'?" in run("lst")[2]


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError("a\n  ^"), "error: a\n  ^\n"),
        (KeyError("no scheme 'X'"), "error: no scheme 'X'\n"),
    ],
)
def test_an_error_is_shown_as_it_was_worded(monkeypatch, capsys, error, shown):
    def fail(**_):
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as stopped:
        cli.main([])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == shown


def test_debug_lets_the_error_through():
    for place in range(4):
        arguments = ["list", "--model", "edm"]
        arguments.insert(place, "--debug")
        with pytest.raises(ValueError, match="no model 'edm'"):
            cli.main(arguments)


COMMANDS = [
    command.name or command.callback.__name__
    for command in cli.app.registered_commands
    if command.callback
]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_help_of_every_command_teaches_by_examples(run, command):
    code, out, err = run(*command.split(), "--help")
    assert (code, err) == (0, "")
    assert ("Examples:" if command else "Start here:") in out
    assert f"splitting-analysis {command}".strip() in out.partition("Usage")[2].partition("\n")[2]
    assert max(map(len, out.splitlines())) <= 90


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_help_on_a_terminal_gives_no_type_to_a_flag(run, monkeypatch, command):
    monkeypatch.setattr(cli.app, "rich_markup_mode", "rich")
    _, out, _ = run(*command.split(), "--help")
    assert "│" in out and "--help" in out
    assert "<bool>" not in out


@pytest.mark.share(3)
@pytest.mark.parametrize("arguments", [["list"], ["--help"]])
def test_a_reader_that_stops_early_sees_no_traceback(arguments):
    command = f"{sys.executable} -c 'from reports.cli import main; main()' {' '.join(arguments)}"
    shown = subprocess.run(
        ["bash", "-c", f"{command} | head -n 1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert shown.stdout.count("\n") == 1
    assert shown.stderr == ""


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda s: f"{s.model_name}-{s.name}")
def test_every_scheme_is_found_by_name_and_by_word(entry):
    assert as_scheme(entry.name, entry.model_name) is entry
    assert as_scheme(entry.name.lower(), entry.model_name, entry.dynamics) is entry
    assert as_scheme(str(entry.word), entry.model_name, entry.dynamics).word == entry.word


def test_without_a_model_a_name_is_looked_up_in_psld_first_and_then_in_the_others():
    assert as_scheme("EM").model_name == "psld"
    assert as_scheme("BAOAB").model_name == "langevin"
    assert as_scheme("DDPM").model_name == "vp"
    assert as_scheme("S B A").model_name == "psld"
    assert as_scheme("EM", dynamics="sde") is find("EM")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ROBOA",), "no scheme is named 'ROBOA'; did you mean ROBA or ROBAB or RBAO?"),
        (
            ("obab", "langevin"),
            "no scheme is named 'obab' in model langevin; did you mean OBABO or",
        ),
        (("obabb", "psld"), "did you mean ROBAB or NOBAB or ROBA or OBABO (of langevin)"),
        (("sba",), "or, as a word: 'S B A'"),
        (("VRORV",), "or, as a word: 'B/2 A/2 O A/2 S B/2'"),
        (("R O B A",), "a name is written without spaces: ROBA = O S B A (psld sde)"),
        (
            ("B A O A B",),
            "a name is written without spaces: BAOAB = B/2 A/2 O A/2 S B/2 (langevin sde)",
        ),
        (("½B",), "did you mean 'B/2'?"),
        (("S B A", "vp"), "as it stands, a word of psld ode, langevin ode"),
        (("BAOAB", "psld"), "BAOAB is no psld scheme; it belongs to langevin (sde)"),
        (("ROBA", None, "ode"), "ROBA is no ode scheme; it belongs to psld (sde)"),
        (
            ("Euler", "langevin"),
            "Euler is no langevin scheme; it belongs to psld (ode) and vp (ode)",
        ),
        (("S X",), "allowed: S, E, E:exp, A, B, E:data, E:eps, E:score, E:eye, E:ones"),
        ((find("DDIM", "vp"), "ve"), "DDIM is a scheme of vp ode, not of ve: leave that out"),
        ((find("DDIM", "vp"), "VP", "sde"), "DDIM is a scheme of vp ode, not of vp sde"),
        (("ROBA", 3), "no model 3; there are: psld, vp"),
        (("ROBA", "edm"), "no model 'edm'; there are: psld, vp, ve, flow, langevin, respa"),
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
        as_scheme(*arguments)


@pytest.mark.parametrize("name", ["DDIN", "xyz", "Euler2", "RK3"])
def test_an_unknown_name_of_other_letters_is_not_proposed_as_a_word(name):
    with pytest.raises(ValueError, match="no scheme is named") as caught:
        as_scheme(name)
    assert "word" not in str(caught.value)


def test_models_and_dynamics_are_known_in_upper_and_lower_case(run):
    assert as_scheme("em", "PSLD", "SDE") is find("EM")
    assert as_scheme("S B A", "PsLd", "Ode") == as_scheme("S B A", "psld", "ode")
    assert run("list", "--model", "PSLD", "--dynamics", "Sde") == run(
        "list", "--model", "psld", "--dynamics", "sde"
    )
    assert run("derive", "EM", "--model", "VP", "--format", "JSON") == run(
        "derive", "EM", "--model", "vp", "--format", "json"
    )


@pytest.mark.share(4)
@pytest.mark.parametrize(
    ("word", "model", "open_reading"),
    [
        ("S E", None, True),
        ("S E", "vp", True),
        ("S E:exp", "vp", True),
        ("S E/2 S E/2", "langevin", True),
        ("S B A", None, False),
        ("O S B A", None, False),
        ("S E:ddpm", "vp", False),
        ("Euler", None, False),
        ("S E[1] S@1 E[1/2,1/2]", "vp", False),
        ("L/2 S K L/2", None, False),
    ],
)
def test_a_word_of_both_dynamics_says_how_it_is_read_unless_told(run, word, model, open_reading):
    said = reading(as_scheme(word, model), None)
    assert bool(said) == open_reading
    family = ["--model", model] if model else []
    code, out, err = run("derive", word, *family)
    assert (code, err) == (0, f"{said}\n" if said else "")
    assert reading(as_scheme(word, model, as_scheme(word, model).dynamics), "ode") == ""
    if open_reading:
        assert ("--dynamics sde" in said and "probability-flow ODE" in out) or "Hamiltonian" in out
        assert run("derive", word, *family, "--dynamics", "ode") == (0, out, "")


def test_a_splitting_of_vp_with_noise_in_one_dynamics_only_is_told_as_read(run):
    code, out, err = run("derive", "L/2 S K L/2", "--model", "vp")
    assert code == 0 and "reverse SDE" in out
    assert err.startswith("'L/2 S K L/2' is read as an SDE") and "--dynamics ode" in err
    code, out, err = run("derive", "L/2 S K L/2", "--model", "vp", "--dynamics", "ode")
    assert (code, err) == (0, "") and "probability-flow ODE" in out


def test_one_word_in_two_clocks_is_two_samplers_by_name_option_and_file(run, tmp_path):
    def held_in(*arguments):
        lines = run("derive", *arguments)[1].splitlines()
        return next(line for line in lines if line.startswith("holds "))

    rows = {row["name"]: row for row in json.loads(run("list", "--json", "--model", "vp")[1])}
    assert rows["DEIS2"]["word"] == rows["rho-DEIS2"]["word"]
    assert [rows[name]["clock"] for name in ("DEIS2", "rho-DEIS2", "DDIM")] == ["tau", "rho", None]
    mine = tmp_path / "mine.toml"
    mine.write_text('[[sampler]]\nname = "MY2"\nword = "S E:eps[2]"\nmodel = "vp"\nclock = "rho"\n')
    named = held_in("rho-DEIS2", "--model", "vp")
    assert held_in("S E:eps[2]", "--model", "vp", "--clock", "rho") == named
    assert named != held_in("S E:eps[2]", "--model", "vp")
    (own,) = read_catalogue(mine)
    assert (own.clock, str(own.word)) == ("rho", "S E:eps[2]")
    mine.write_text(mine.read_text().replace("rho", "rh"))
    with pytest.raises(ValueError, match="no clock 'rh'; there are: tau, lambda"):
        read_catalogue(mine)


@pytest.mark.parametrize("bracket", ["0", "-1", "3/2", "1/2,1/2"])
def test_a_bracket_that_counts_no_evaluations_is_refused_at_its_place(run, bracket):
    code, out, err = run("gaussian", f"S E:data[{bracket}]", "--model", "vp", "--nfe", "9")
    assert (code, out) == (2, "") and "is no number of evaluations" in err
