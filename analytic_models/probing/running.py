"""Foreign code run under watch: what it asks of the score, what it draws, and what goes wrong."""

from __future__ import annotations

import contextlib
import gc
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytic_models.probing.memory import filling
from analytic_models.probing.subject import Subject
from splitting_analysis.models import model_of
from splitting_analysis.processes import Process

HOME, TORCH = str(Path(__file__).parent), f"{os.sep}torch{os.sep}"
"""Where frames of a traceback are not those of the code under test."""
Array = NDArray[np.float64]
CHURN = math.sqrt(2)
"""How far beyond T noise that is added may lead (arXiv 2206.00364, algorithm 2): on ve, whose times
are noise levels, and which goes on there as it was."""
ScoreOf = Callable[[int, Array, float], Array]
"""(number of the call, state as given, forward time) -> score."""
NoiseOf = Callable[[int], Array]
"""Number of the draw -> normals, (batch, n d)."""


class Trouble(Exception):
    """The code under test went wrong: what it should have done, what it did, and where."""

    late = False
    """Whether it is only that time is up."""

    def __init__(self, expected: str, seen: str, where: str = "") -> None:
        super().__init__(seen)
        self.expected, self.seen, self.where = expected, seen, where


class Late(Trouble):
    """Time is up for the validation as a whole: no fault of the code, but no verdict either."""

    late = True


class _Late(BaseException):
    """The time limit, raised in the middle of foreign code: no `except Exception` keeps it."""


@dataclass
class Run:
    """What one run did: the state and forward time of every score call, and its result."""

    final: Array
    states: list[Array]
    taus: list[float]
    steps: list[int]
    """The step in which each call was made (a whole run counts none: -1)."""
    draws: int
    single: bool
    """Whether the result has float32 precision."""
    mutated: str = ""
    """What of its inputs it overwrote."""
    types: dict[str, str] = field(default_factory=dict)
    """Types of the states that came back, and where each came first."""


def as_given(subject: Subject, kind: Any = np.float64) -> Callable[[Any], Any]:
    """What makes of numbers a copy in the form that the code wants, of this type."""
    if not subject.torch:
        return lambda values: np.array(values, dtype=kind)
    return lambda values: import_module("torch").tensor(np.array(values, dtype=kind))


def run(
    subject: Subject,
    process: Process,
    times: Sequence[float],
    z: Array,
    score: ScoreOf,
    noise: NoiseOf,
    *,
    limit: float | None = None,
    fill: float = 0.0,
    form: Callable[[Any], Any] | None = None,
) -> Run:
    """Run the subject from `z` over the reverse times. Raises Trouble for whatever goes wrong.

    A run may take `limit` seconds, the subject's own by default. Memory that is allocated
    without being filled holds `fill`: what it held before would make verdicts those of chance.
    `form` makes what the code is given, float64 arrays or tensors by default.
    """
    watch = _Watch(subject, process, z, score, noise, form)
    with (
        _limited(limit or subject.limit, _ends[-1]),
        filling(fill, subject.call),
    ):
        if subject.kind == "sample":
            start, grid = watch.given(z), watch.given(times)
            result = watch.called(watch.score, start, grid, watch.noise, process)
            watch.unchanged(start, z, "z")
            watch.unchanged(grid, times, "grid")
            final = watch.checked(result, "the result")
        else:
            final = np.array(z)
            for index, (t, after) in enumerate(pairwise(times)):
                watch.step = index
                given = watch.given(final)
                before = final.copy()
                result = watch.called(given, t, after - t, watch.score, watch.noise, process)
                watch.unchanged(given, before, "z")
                final = watch.checked(result, f"the result of step {index + 1}")
    with np.errstate(over="ignore"):  # what float32 cannot hold is not of its precision
        single = watch.single or not np.any(final.astype(np.float32) != final)
    return Run(
        final,
        watch.states,
        watch.taus,
        watch.steps,
        watch.draws,
        bool(single),
        watch.mutated,
        watch.types,
    )


class _Watch:
    """The score and the noise as the code under test sees them."""

    def __init__(
        self,
        subject: Subject,
        process: Process,
        z: Array,
        score: ScoreOf,
        noise: NoiseOf,
        form: Callable[[Any], Any] | None,
    ) -> None:
        self.subject, self.process, self.shape = subject, process, z.shape
        self.given = form or as_given(subject)
        self.score_of, self.noise_of = score, noise
        self.states: list[Array] = []
        self.taus: list[float] = []
        self.steps: list[int] = []
        self.types: dict[str, str] = {}
        self.draws, self.step, self.single, self.mutated = 0, -1, False, ""

    @property
    def place(self) -> str:
        return f"step {self.step + 1}" if self.step >= 0 else "the run"

    def called(self, *arguments: Any) -> Any:
        try:
            # what it prints is no part of what a command prints
            with np.errstate(all="ignore"), contextlib.redirect_stdout(sys.stderr):
                return self.subject.call(*arguments)
        except (Trouble, _Late, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it raises is its verdict
            frames = traceback.extract_tb(error.__traceback__)
            outside = [
                f for f in frames if not f.filename.startswith(HOME) and TORCH not in f.filename
            ]
            last = outside[-1] if outside else None  # no line of ours is to blame
            line = f", line {last.lineno} of {Path(last.filename).name}" if last else ""
            raise Trouble(
                "a result",
                f"raises {type(error).__name__}: {(str(error).splitlines() or [''])[0]}",
                self.place + line,
            ) from None

    def array(self, value: Any, what: str) -> Array:
        """What came back as float64, its precision noted."""
        if hasattr(value, "detach"):
            value = value.detach().cpu().numpy()
        if not isinstance(value, np.ndarray):
            hint = ": return only z, here through a wrapper" if isinstance(value, tuple) else ""
            seen = f"{what} is {type(value).__name__}{hint}"
            raise Trouble(f"an array of shape {self.shape}", seen, self.place)
        if value.dtype.kind not in "fiu":
            raise Trouble("an array of real numbers", f"{what} has {value.dtype} in it", self.place)
        self.single = self.single or value.dtype in (np.float32, np.float16)
        self.types.setdefault(str(value.dtype), what if "step" in what else f"{what}, {self.place}")
        return np.array(value, dtype=np.float64)

    def checked(self, value: Any, what: str) -> Array:
        """A state that came back: of the right shape and finite."""
        array = self.array(value, what)
        if array.shape != self.shape:
            raise Trouble(f"{what} of shape {self.shape}, as z", f"shape {array.shape}", self.place)
        if not np.all(np.isfinite(array)):
            raise Trouble(f"{what} finite", "NaN or infinity", self.place)
        return array

    def score(self, state: Any, tau: Any) -> Any:
        number = len(self.taus)
        where = f"{self.place}, score call {number + 1}"
        model = model_of(self.process.model_name, "ode")
        n, asked = len(model.components), len(model.asked)
        wanted = (self.shape[0], self.shape[1] * asked // n)
        y = self.array(state, "the state given to the score")
        if y.shape != wanted:
            what = "the state z" if asked == n else "positions q"
            raise Trouble(f"score({what}) of shape {wanted}", f"shape {y.shape}", where)
        if not np.all(np.isfinite(y)):
            raise Trouble("a finite state given to the score", "NaN or infinity", where)
        # the force of a fixed target has no time, and whatever is given as one is right
        time = self.time(tau, where) if model.time_dependent else 0.0
        self.states.append(y.copy())
        self.taus.append(time)
        self.steps.append(self.step)
        return self.given(self.score_of(number, y, time))

    def time(self, tau: Any, where: str) -> float:
        value = np.ravel(tau.detach().cpu().numpy() if hasattr(tau, "detach") else np.asarray(tau))
        if value.size == 0 or value.dtype.kind not in "fiu" or np.ptp(value) > 0:
            raise Trouble("one forward time given to the score", f"{tau!r:.60}", where)
        time = float(value[0])
        if not np.isfinite(time):
            raise Trouble("a finite forward time given to the score", f"{time}", where)
        T = float(self.process.T)
        churned = T * CHURN if model_of(self.process.model_name, "ode").churns else T
        if not 0 <= time <= churned * (1 + 1e-9):
            raise Trouble(f"a forward time in [0, T], T = {T:g}", f"tau = {time:.6g}", where)
        return min(time, churned)

    def noise(self) -> Any:
        self.draws += 1
        return self.given(self.noise_of(self.draws - 1))

    def unchanged(self, given: Any, before: Any, name: str) -> None:
        now = given.detach().cpu().numpy() if hasattr(given, "detach") else np.asarray(given)
        if not np.array_equal(now, np.asarray(before, now.dtype)) and not self.mutated:
            self.mutated = f"{name} is overwritten in {self.place}"


_ends = [math.inf]
"""When the validations that are under way must be done, by the monotonic clock; the last counts."""


@contextlib.contextmanager
def budget(seconds: float) -> Iterator[None]:
    """Runs inside raise Late once so many seconds are over."""
    _ends.append(min(_ends[-1], time.monotonic() + seconds))
    try:
        yield
    finally:
        _ends.pop()


@contextlib.contextmanager
def _limited(seconds: float, end: float) -> Iterator[None]:
    """Stop what runs longer, or beyond the end. Signals reach the main thread only; elsewhere a run
    is not cut short.
    """
    left = end - time.monotonic()
    trouble = Trouble(f"a run in at most {seconds:g} s", "still running: stopped")
    if left < seconds:
        trouble = Late("runs short enough for all checks", "time was up: the code is slow")
        seconds = left
    if seconds <= 0:
        raise trouble
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return

    def late(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise _Late

    before, collecting = signal.signal(signal.SIGALRM, late), gc.isenabled()
    gc.disable()  # what is raised within a collection is lost, and warned of
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)  # again, if code goes on after it
    try:
        yield
    except _Late:
        raise trouble from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if collecting:
            gc.enable()
