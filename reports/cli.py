"""The command line: the commands, registered; their options and help are in modules of their own.

Help is instant because nothing imported here imports SymPy, NumPy or Matplotlib: a command
imports the module that does its work when it is called. A command raises ValueError or KeyError
for bad input; `main` turns these into one message and exit code 2.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from reports.convert_command import convert
from reports.derive_command import derive
from reports.gaussian_command import gaussian
from reports.list_command import list_schemes
from reports.report_command import report
from reports.sample_command import sample
from reports.train_command import train


def _without_types(parameters: list[Any]) -> list[Any]:
    """Flags take no value: no "<bool>" after them in the help."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


app = typer.Typer(
    cls=_Group,
    name="splitting-analysis",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Boxes and colours for people; plain text for pipes.
    rich_markup_mode="rich" if sys.stdout.isatty() else None,
)
app.command("list", cls=_Command)(list_schemes)
for command in (derive, gaussian, report, sample, train, convert):
    app.command(cls=_Command)(command)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(version("splitting-analysis"))
        raise typer.Exit


@app.callback()
def _options(
    _debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One word in, a proven error out: samplers for diffusion models, analysed exactly.

    A sampler is a word such as "O S B A": its pieces in the order in which a
    step carries them out, S where the network is evaluated.

    \b
    Start here:
      splitting-analysis list                 the named samplers and their words
      splitting-analysis COMMAND --help       what a command does, with examples
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 0, or with 2 and one message on standard error."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        app(args=arguments, prog_name="splitting-analysis")
    except (ValueError, KeyError) as error:
        if "--debug" in arguments:
            raise
        # str(KeyError("text")) is its repr
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"error: {message}", file=sys.stderr)
        raise SystemExit(2) from None
