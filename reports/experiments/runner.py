"""How an experiment is run: its parts one after another, each with progress on standard error."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Protocol, TypeVar

from gpu_samplers.interruptions import stoppable
from reports.render.progress import spelled, unwatched, watched

Item = TypeVar("Item")


class Watch(Protocol):
    """Gives the items that it is given, one by one, and may say how far it is with `what`."""

    def __call__(self, items: Sequence[Item], what: str) -> Iterator[Item]: ...


SILENT: Watch = unwatched
"""For who computes a part without being a command."""
Part = Callable[[Watch], None]
"""Computes something and stores it: what is finished stays, whatever comes later."""


def chosen(names: Sequence[str], parts: Mapping[str, Part]) -> dict[str, Part]:
    """The named parts in the order asked for, all of them by default. Raises ValueError for another
    name.
    """
    for name in names:
        if name not in parts:
            raise ValueError(f"no part {name!r}; there are: {', '.join(parts)}")
    return {name: parts[name] for name in names or parts}


def main(command: str, doc: str | None, parts: Mapping[str, Part]) -> None:
    """The command line of an experiment that takes names of its parts."""
    parser = ArgumentParser(prog=command, description=(doc or "").partition("\n")[0])
    parser.add_argument(
        "parts", nargs="*", help=f"what to compute, by default all: {', '.join(parts)}"
    )
    names = parser.parse_args().parts
    run(command, lambda: chosen(names, parts))


def run(command: str, parts: Callable[[], Mapping[str, Part]]) -> None:
    """Compute the parts that `parts` gives.

    Bad input is one message and exit status 2. Ctrl-C and SIGTERM end the run with the parts that
    are left: what is finished is stored.
    """
    left: list[str] = []
    try:
        asked = parts()
        left += asked
        _in_one_thread()
        with stoppable():
            for number, (name, compute) in enumerate(asked.items(), 1):
                print(f"{name} ({number} of {len(asked)})", file=sys.stderr, flush=True)
                began = monotonic()
                compute(watched)
                left.remove(name)
                print(
                    f"{name}: stored after {spelled(monotonic() - began)}",
                    file=sys.stderr,
                    flush=True,
                )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt as stopped:
        print(f"stopped; {command} was not done with: {', '.join(left)}", file=sys.stderr)
        raise SystemExit(getattr(stopped, "status", 130)) from None


def _in_one_thread() -> None:
    """Sums of several threads differ in the last bits. What is exact runs where there is no torch,
    too.
    """
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)
