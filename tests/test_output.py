"""What comes out where output is hard: narrow and ASCII-only terminals, full disks, faults,
interrupts.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reports import cli
from reports.commands import terminal
from reports.commands.terminal import make_readable, print_table
from splitting_analysis import CATALOGUE, symbols
from splitting_analysis.catalogue import samplers
from splitting_analysis.styles import TEXT

ROOT = Path(__file__).parents[1]
COMMANDS = [
    command.name or command.callback.__name__
    for command in cli.app.registered_commands
    if command.callback
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def outcome(monkeypatch, capsys, error, arguments=()):
    """(exit code, standard error) where the command raises `error`."""

    def fail(**_):
        raise error

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(cli, "_drop_output", lambda: None)
    with pytest.raises(SystemExit) as stopped:
        cli.main(list(arguments))
    return stopped.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(errno.ENOSPC, "No space left"), 1, "cannot write the output: No space left"),
        (PermissionError(13, "Permission denied", "a/b"), 1, "a/b: Permission denied"),
        (MemoryError(), 1, "the memory of this machine does not suffice; --debug shows where"),
        (
            AssertionError("a broken invariant\nand more"),
            1,
            "(AssertionError: a broken invariant); --debug",
        ),
        (RecursionError("too deep"), 1, "(RecursionError: too deep); --debug shows the traceback"),
        (ZeroDivisionError(), 1, "(ZeroDivisionError); --debug shows the traceback"),
        (ValueError("what is wrong"), 2, "error: what is wrong\n"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_whatever_fails_is_one_message_and_debug_shows_the_traceback(
    monkeypatch, capsys, error, code, said
):
    stopped, shown = outcome(monkeypatch, capsys, error)
    assert stopped == code
    assert shown.startswith("error: ") and said in shown and shown.count("\n") == 1
    with pytest.raises(type(error)):
        cli.main(["--debug"])


def test_an_interrupt_is_said_and_has_its_own_exit_code(monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("reports.commands.list.check_family", stop)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["list"])
    assert (stopped.value.code, capsys.readouterr().err) == (130, "interrupted\n")
    assert outcome(monkeypatch, capsys, KeyboardInterrupt()) == (130, "interrupted\n")


def test_a_reader_that_has_gone_is_not_told(monkeypatch, capsys):
    assert outcome(monkeypatch, capsys, BrokenPipeError(errno.EPIPE, "Broken pipe")) == (1, "")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("list >/dev/full", "No space left on device"),
        ("--version >/dev/full", "No space left on device"),  # short: noticed when it is flushed
        ("list >&-", "standard output is closed"),
    ],
)
def test_output_that_cannot_be_written_is_one_sentence_and_exit_code_1(command, said):
    command = f"{sys.executable} -m reports {command}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: cannot write the output: {said}\n"


@pytest.mark.parametrize(
    ("command", "code", "shown"),
    [
        (["gaussian", "ROBA", "--steps", "9", "--spectrum", "1"], 0, "scheme\tsteps\tnfe"),
        (["gaussian", "ROBA", "--steps", "x", "--spectrum", "1"], 2, ""),
        (["list", "--no-such-option"], 2, ""),
    ],
)
def test_where_standard_error_is_closed_results_are_printed_and_messages_are_not(
    command, code, shown, monkeypatch, capsys
):
    monkeypatch.setattr("sys.stderr", None)
    with pytest.raises(SystemExit) as stopped:
        cli.main(command)
    sys.stderr.close()
    out = capsys.readouterr().out
    assert stopped.value.code == code and out.startswith(shown) and bool(out) == bool(shown)


@pytest.mark.heavy
def test_an_output_of_ascii_alone_spells_out_what_it_lacks():
    done = subprocess.run(
        [sys.executable, "-m", "reports", "derive", "EM", "--model", "vp"],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    shown = done.stdout.decode("ascii")
    assert "  xx: 1/2 ((beta^2 - beta') I + 2 beta^2 d_x s)" in shown and "\\" not in shown
    assert done.stderr == b""


def written(text, encoding):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding)
    make_readable(stream)
    stream.write(text)
    stream.flush()
    return raw.getvalue().decode(encoding)


def test_every_symbol_of_a_formula_can_be_read_in_ascii():
    for row in symbols.ROWS.values():
        shown = written(TEXT.power(row.text, 12), "ascii")
        assert "\\" not in shown and "?" not in shown and shown.endswith("^12")
    assert written("Γ² ∂_x⁴ s ⅓ Ü ☃", "ascii") == "Gamma^2 d_x^4 s 1/3 U \\u2603"
    assert written("Γ ν", "latin-1") == "Gamma nu"
    assert written("Γ ☃", "utf-8") == "Γ ☃"


def test_json_is_the_same_data_for_an_output_of_ascii_alone(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    text = terminal.json_text({"x": "β Γ"})
    assert text.isascii() and json.loads(text) == {"x": "β Γ"}
    monkeypatch.undo()


@pytest.mark.parametrize("width", [20, 40, 59, 80, 100])
def test_no_column_of_a_table_is_too_narrow_to_read(monkeypatch, width):
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setenv("COLUMNS", str(width))
    columns = ("name", "word", "source")
    rows = [(s.name, str(s.word), f"{s.source.citation}, {s.source.place}") for s in CATALOGUE]
    print_table(columns, rows)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue()).splitlines()
    assert max(map(len, lines)) <= width
    for row in rows:
        for piece in row[1].split():
            assert any(piece in line for line in lines) or len(piece) > 10
    if "│" in shown.getvalue():
        head = next(line for line in lines if "name" in line)
        assert min(len(cell) - 2 for cell in head.strip("┃").split("┃")) >= 5
    else:
        assert [line for line in lines if line.startswith("name: ")] == [
            f"name: {row[0]}" for row in rows
        ]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_help_of_a_narrow_terminal_explains_below_and_stays_within_it(
    monkeypatch, capsys, command
):
    monkeypatch.setenv("COLUMNS", "40")
    with pytest.raises(SystemExit):
        cli.main([*command.split(), "--help"])
    text, _, options = capsys.readouterr().out.partition("Options:\n")
    lines = options.splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[lines.index("  --help") + 1] == "      Show this message and exit."
    assert text and (command or "..." not in options)  # no summary of a command is cut


def test_long_work_is_heard_of_and_short_work_is_not(capsys):
    with terminal.heard(first=0.02, then=0.02) as say:
        say("deriving h^3")
        time.sleep(0.07)
    assert capsys.readouterr().err.startswith("deriving h^3 (0 s)\n")
    with terminal.heard(first=5) as say:
        say("deriving h^3")
    assert capsys.readouterr().err == ""


def test_numbers_and_headers_stay_whole_and_the_words_wrap(monkeypatch):
    columns = ("scheme", "settings", "steps", "nfe", "w2_x", "w2", "kl_x", "worst_mode_x")
    row = ("S E:eps S@1 E:eps[2]", "clock λ", "9", "19", "0.07798", "0.4216", "1.3e-05", "0.1357")
    for width in (70, 76, 80, 120):
        shown = Terminal()
        monkeypatch.setattr(sys, "stdout", shown)
        monkeypatch.setenv("COLUMNS", str(width))
        print_table(columns, [row])
        lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue()).splitlines()
        assert max(map(len, lines)) <= width
        for whole in (*columns, *row[2:]):
            assert any(re.search(rf"(?<![\w.]){whole}(?![\w.])", line) for line in lines)
    assert sum("S E:eps S@1 E:eps[2]" in line for line in lines) == 1  # room enough: one line


def test_the_list_of_a_model_takes_few_lines_a_row_on_eighty_columns(monkeypatch):
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        cli.main(["list", "--model", "ve"])
    own = samplers("ve")
    assert len(shown.getvalue().splitlines()) < 2 * len(own)
    assert all(f"│ {s.name} " in shown.getvalue() for s in own)
    assert shown.getvalue().count("2206.00364") == 3
