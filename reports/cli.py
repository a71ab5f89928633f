"""The command line: the commands, registered; their options and help are in modules of their own.

Help is instant because nothing imported here imports SymPy, NumPy or Matplotlib: a command
imports the module that does its work when it is called. A command raises ValueError or KeyError
for bad input; `main` turns these into one message and exit code 2, and everything else that goes
wrong into one message and exit code 1.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from reports.commands.convert import convert
from reports.commands.derive import derive
from reports.commands.gaussian import gaussian
from reports.commands.harmonic import harmonic
from reports.commands.list import list_schemes
from reports.commands.report import report
from reports.commands.sample import sample
from reports.commands.stability import stability
from reports.commands.terminal import NARROW, make_readable, narrow_help
from reports.commands.train import train
from reports.commands.validate import validate
from splitting_analysis.catalogue import read_catalogue, register
from splitting_analysis.notation import GRAMMAR, WordError


def _without_types(parameters: list[Any]) -> list[Any]:
    """Flags take no value: no "<bool>" after them in the help."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


def _refuse_twice(command: Any, ctx: Any, args: list[str]) -> None:
    """Raise ValueError for an option that is given twice: all but the last would be lost."""
    *_, order = command.make_parser(ctx).parse_args(args=list(args))
    for one, times in Counter(order).items():
        if times < 2 or getattr(one, "multiple", True) or (one.is_flag and not one.secondary_opts):
            continue
        # "--denoise data" is an option of its own
        name = "/".join([*one.opts[:1], *one.secondary_opts[:1]]).removesuffix("-by")
        raise ValueError(
            f"{name} is given {times} times, and the last alone would act: give it once; where "
            "several values can be told, they stand in one, with commas"
        )


def _is_narrow() -> bool:
    return shutil.get_terminal_size().columns < NARROW


class _Command(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _refuse_twice(self, ctx, args)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, narrow_help(formatter) if _is_narrow() else formatter)


class _Group(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _refuse_twice(self, ctx, args)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, narrow_help(formatter) if _is_narrow() else formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        if not _is_narrow():
            return super().format_commands(ctx, formatter)
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):  # in full: each has lines of its own
            formatter.write_dl([(n, c.get_short_help_str(1000)) for n, c in commands.items() if c])
        return None

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # here, because Typer ends the program without a word
            print("interrupted", file=sys.stderr)
            raise typer.Exit(130) from None


class _App(typer.Typer):
    """Reads the signatures of the commands once in a process: 25 ms, longer than many a command."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _commands(self, self.rich_markup_mode)(*args, **kwargs)


@cache
def _commands(application: typer.Typer, _markup: Any) -> Any:
    return typer.main.get_command(application)


app = _App(
    cls=_Group,
    name="splitting-analysis",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Boxes and colours for people who have room for them; plain text for pipes.
    rich_markup_mode="rich"
    if sys.stdout is not None and sys.stdout.isatty() and not _is_narrow()
    else None,
)
app.command("list", cls=_Command)(list_schemes)
for command in (derive, gaussian, stability, harmonic, validate, report, sample, train, convert):
    app.command(cls=_Command)(command)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(version("splitting-analysis"))
        raise typer.Exit


@app.callback()
def _options(
    _debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
    catalogue: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file of samplers of your own, [[sampler]] with name and word each: names "
            "like all others then."
        ),
    ] = None,
) -> None:
    """One word in, a proven error out: samplers for diffusion models, analysed exactly.

    A sampler is a word such as "O S B A": its pieces in the order in which a
    step carries them out, S where the network is evaluated.

    \b
    Start here:
      splitting-analysis list                 the named samplers and their words
      splitting-analysis COMMAND --help       what a command does, with examples
    """
    if catalogue is not None:
        register(*read_catalogue(catalogue))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 0, with 2 for bad input, with 1 where something else failed.

    Whatever fails is one message on standard error; --debug shows the traceback instead. It and
    --catalogue may stand anywhere.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    if sys.stderr is None:  # closed: what is said there goes nowhere, and not into the output
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
    try:
        arguments = [argument for argument in arguments if argument != "--debug"]
        _run(_with_endings(_catalogue_first(arguments)))
    except BrokenPipeError:  # whoever read our output has seen enough
        _drop_output()
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None:
            _drop_output()
        if debug:
            raise
        print(f"error: {_message(error)}", file=sys.stderr)
        bad_input = isinstance(error, ValueError | KeyError) and not isinstance(
            error, UnicodeEncodeError
        )
        raise SystemExit(2 if bad_input else 1) from None


def _catalogue_first(arguments: list[str]) -> list[str]:
    """The arguments with the option that belongs to all commands in front of the command."""
    for i, argument in enumerate(arguments):
        if argument == "--catalogue" or argument.startswith("--catalogue="):
            stop = i + 1 + (argument == "--catalogue")
            return arguments[i:stop] + arguments[:i] + arguments[stop:]
    return arguments


def _with_endings(arguments: list[str]) -> list[str]:
    """The arguments with the value of --denoise, which is a flag, in an option of its own."""
    found: list[str] = []
    for argument in arguments:
        if argument.startswith("--denoise="):
            found.append(argument.replace("--denoise", "--denoise-by", 1))
        elif argument.strip().lower() == "data" and found[-1:] == ["--denoise"]:
            found[-1:] = [f"--denoise-by={argument}"]
        else:
            found.append(argument)
    return found


def _run(arguments: list[str]) -> None:
    if sys.stdout is None:
        raise OSError("cannot write the output: standard output is closed")
    make_readable(sys.stdout, sys.stderr)
    try:
        app(args=arguments, prog_name="splitting-analysis")
    finally:
        sys.stdout.flush()  # a full disk is noticed here, not when the interpreter is gone


def _message(error: Exception) -> str:
    """One sentence for what went wrong."""
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])  # str(KeyError("text")) is its repr
    if isinstance(error, WordError) and error.allowed == GRAMMAR:
        return f"{error}\n  in full: splitting-analysis derive --help"
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        what = "cannot write the output" if error.filename is None else str(error.filename)
        return f"{what}: {error.strerror}"
    if isinstance(error, OSError):
        return str(error)
    if isinstance(error, MemoryError):
        return "the memory of this machine does not suffice; --debug shows where"
    said = str(error).strip().partition("\n")[0]
    kind = type(error).__name__ + (f": {said}" if said else "")
    return f"a fault of this program, not of the input ({kind}); --debug shows the traceback"


def _drop_output() -> None:
    """What is still to be written goes nowhere: the interpreter would complain when it ends."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
