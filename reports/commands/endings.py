"""How a command that takes long ends: with one sentence, whatever stops it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from gpu_samplers.interruptions import stoppable

_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")


@contextmanager
def ends_with_a_sentence(kept: Callable[[], str], remedy: str) -> Iterator[None]:
    """Around the work of a command: whatever stops it is one message.

    Ctrl-C, SIGTERM and SIGHUP: what `kept` says, and exit status 128 + signal. Numbers that are not
    finite, memory that is not there (with the remedy), and what the system refuses: ValueError.
    """
    try:
        with stoppable():
            yield
    except KeyboardInterrupt as stopped:
        if said := kept():
            print(f"stopped; {said}", file=sys.stderr)
        raise typer.Exit(getattr(stopped, "status", 130)) from None
    except FloatingPointError as error:
        raise ValueError(str(error)) from None
    except OSError as error:
        raise ValueError(f"{error.filename or 'the system'}: {error.strerror or error}") from None
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or any(text in str(error).lower() for text in _NO_MEMORY):
            raise ValueError(f"the memory of this machine does not suffice; {remedy}") from None
        raise
