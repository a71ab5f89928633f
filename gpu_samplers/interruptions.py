"""Signals that ask a run to stop: they wait while a change is half made, and all mean what Ctrl-C
means.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

STOPPING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
"""Windows has no SIGHUP."""


class Stopped(KeyboardInterrupt):
    """The process was told to end; `status` is what a shell expects of it then."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.status = 128 + number


@contextmanager
def stoppable() -> Iterator[None]:
    """While this lasts SIGTERM and SIGHUP raise Stopped: what cleans up after Ctrl-C does so for
    them.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Stopped(number)

    with _handling({number: stop for number in STOPPING if number != signal.SIGINT}):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals that come in between are acted on at the end, as they would have been at once."""
    waiting: list[tuple[int, FrameType | None]] = []

    def wait(number: int, frame: FrameType | None) -> None:
        waiting.append((number, frame))

    with _handling(dict.fromkeys(STOPPING, wait)):
        yield
    for number, frame in waiting[:1]:
        handler = signal.getsignal(number)
        if callable(handler):
            handler(number, frame)
        elif handler == signal.SIG_DFL:
            signal.raise_signal(number)


@contextmanager
def _handling(handlers: dict[Any, Any]) -> Iterator[None]:
    """These handlers for a while; only the main thread has any."""
    if current_thread() is not main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in handlers}
    # None: set by other code than Python's, which could not be put back; ignored signals stay
    # ignored
    ours = {n: h for n, h in handlers.items() if before[n] not in (None, signal.SIG_IGN)}
    try:
        for number, handler in ours.items():
            signal.signal(number, handler)
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])
