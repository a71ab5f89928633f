"""A run's coefficients, read off exactly: the score is free, and answers with basis vectors.

Call k of the score returns what no earlier call has returned, so one batch that holds the origin
and every basis vector of start, scores and normals shows each state that the code asks about, and
its result, as linear forms of these. Nothing is fitted, and no target is assumed.

For position-only processes the free quantity is the data prediction, s = (alpha D - x) / sigma^2:
coefficients then read as the papers print them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analytic_models.held import predicted
from analytic_models.probing.running import Array, Run, Trouble, run
from analytic_models.probing.subject import Subject
from splitting_analysis.clocks import PositionOnly
from splitting_analysis.models import model_of
from splitting_analysis.predictions import Prediction
from splitting_analysis.processes import Process

SAME = 1e-12
"""Two calls at states and times that agree to this ask for one and the same score."""
AFFINE = 1e-9
"""How well a probe of random numbers must be met by the forms (float64)."""
AFFINE_SINGLE = 2e-4
"""The same for code that computes in float32, in whole or in part."""
EXACT, ROUNDED = 1e-12, 1e-7
"""Parts of T: by less, a time agrees in float64; by as much, it is float32's."""
PROBES = ((8.0, 1.0), (1000.0, 30.0))
"""Sizes of the random probes, of states and scores, and of normals: beyond the range of clamps."""


@dataclass(frozen=True)
class Call:
    """A score evaluation: its step, forward time, and state as a form, (n, columns).

    `column` numbers the score it returns; a call that repeats an earlier one has the earlier's.
    `own` and `gain` make the score s of what is free, D: s = own y + gain D.
    """

    step: int
    tau: float
    form: Array
    column: int
    own: float
    gain: float


@dataclass(frozen=True)
class Signature:
    """All that an affine sampler does on one grid.

    Columns of a form: n of the start, m per distinct score, n per draw of normals.
    """

    n: int
    m: int
    calls: tuple[Call, ...]
    final: Array
    scores: int
    draws: int
    single: bool
    steps: int

    def split(self, form: Array) -> tuple[Array, Array, Array]:
        """A form's parts: start (n, n), scores (n, scores, m), normals (n, draws n)."""
        first, second = self.n, self.n + self.m * self.scores
        rows = len(form)
        return (
            form[:, :first],
            form[:, first:second].reshape(rows, self.scores, self.m),
            form[:, second:],
        )

    def unused(self) -> list[int]:
        """The scores that neither the result has, nor a state at which one that it has is asked."""

        def has(form: Array) -> set[int]:
            sizes = np.max(np.abs(self.split(form)[1]), axis=(0, 2), initial=0)
            return {int(column) for column in np.flatnonzero(sizes > SAME)}

        used = has(self.final)
        for call in reversed(self.calls):
            if call.column in used:
                used |= has(call.form)
        return [column for column in range(self.scores) if column not in used]

    def without_unused(self, scores: int) -> Signature:
        """The same without its unused scores, where so many are left; else itself."""
        gone = set(self.unused())
        kept = [column for column in range(self.scores) if column not in gone]
        if not gone or len(kept) != scores:
            return self

        def cut(form: Array) -> Array:
            start, asked, normals = self.split(form)
            return np.hstack([start, asked[:, kept].reshape(len(form), -1), normals])

        calls = tuple(
            replace(c, form=cut(c.form), column=kept.index(c.column))
            for c in self.calls
            if c.column not in gone
        )
        return replace(self, calls=calls, final=cut(self.final), scores=scores)

    @property
    def distinct(self) -> tuple[Call, ...]:
        """The calls that are no repeats."""
        first = {call.column: call for call in reversed(self.calls)}
        return tuple(first[column] for column in sorted(first))


def sizes(process: Process) -> tuple[int, int, int]:
    """Components of the state, of what the score is asked at, and of the score."""
    model = model_of(process.model_name, "ode")
    return len(model.components), len(model.asked), len(model.driven)


def free(process: Process, tau: float) -> tuple[float, float]:
    """(own, gain): the score is own y + gain D, D being what is free."""
    if not isinstance(process, PositionOnly):
        return 0.0, 1.0
    own, factor = predicted(Prediction.DATA, process, tau)
    return float(-own / factor), float(1 / factor)


def rehearse(subject: Subject, process: Process, times: Sequence[float], d: int = 2) -> Run:
    """One ordinary run on data of variance 1: how often the score is asked and normals are
    drawn.
    """
    n, asked, m = sizes(process)
    z = np.random.default_rng(11).normal(size=(3, n * d))
    normals = np.random.default_rng(12)

    def score(_: int, y: Array, tau: float) -> Array:
        spread = 1.0
        if isinstance(process, PositionOnly):
            spread = float(process.alpha(tau) ** 2 + process.sigma(tau) ** 2)
        whole = -y[:, : m * d] / spread
        return np.hstack([whole] * (1 if m <= asked else m))

    return run(subject, process, times, z, score, lambda _: normals.normal(size=z.shape))


def probe(subject: Subject, process: Process, times: Sequence[float]) -> Signature:
    """The signature of the subject on the grid. Raises Trouble where it is not affine, or acts on
    several coordinates together, or asks for scores as its values make it."""
    counted = rehearse(subject, process, times)
    n, asked, m = sizes(process)
    calls, draws, d = len(counted.taus), counted.draws, 2
    width = n + m * calls + n * draws
    rows = width + 1 + len(PROBES)  # the origin first, random probes last
    rng = np.random.default_rng(5)
    start = np.zeros((rows, n, d))
    start[1 + np.arange(n), np.arange(n), 0] = 1
    start[-1] = rng.normal(size=(n, d))
    random_scores = rng.normal(size=(calls, m, d))
    random_normals = rng.normal(size=(draws, n, d))
    start[-len(PROBES) :] = np.multiply.outer([size for size, _ in PROBES], start[-1])
    seen: list[tuple[float, Array, int]] = []
    found: list[tuple[int, float, float]] = []

    def score(number: int, y: Array, tau: float) -> Array:
        if number >= calls:
            raise Trouble(
                f"{calls} score calls, as in another run over this grid",
                "more: their number depends on the values",
            )
        own, gain = free(process, tau)
        size = 1 + np.max(np.abs(y))
        fixed = not model_of(process.model_name, "ode").time_dependent
        column = next(
            (
                known
                for time, state, known in seen
                if (fixed or abs(time - tau) <= SAME * process.T)
                and np.max(np.abs(state - y)) <= SAME * size
            ),
            number,
        )
        seen.append((tau, y.copy(), column))
        found.append((column, own, gain))
        values = np.zeros((rows, m, d))
        place = 1 + n + m * column
        values[place + np.arange(m), np.arange(m), 0] = 1
        for row, (size_of, _) in enumerate(PROBES, -len(PROBES)):
            values[row] = size_of * random_scores[column]
        free_part = gain * values.reshape(rows, m * d)
        return own * y + free_part if own else free_part

    def noise(number: int) -> Array:
        values = np.zeros((rows, n, d))
        if number < draws:
            place = 1 + n + m * calls + n * number
            values[place + np.arange(n), np.arange(n), 0] = 1
            for row, (_, size_of) in enumerate(PROBES, -len(PROBES)):
                values[row] = size_of * random_normals[number]
        return values.reshape(rows, n * d)

    done = run(subject, process, times, start.reshape(rows, n * d), score, noise)
    if (len(done.taus), done.draws) != (calls, draws):
        raise Trouble(
            f"{calls} score calls and {draws} draws, as in another run over this grid",
            f"{len(done.taus)} and {done.draws}: their number depends on the values",
        )
    inputs = [
        np.concatenate(
            [
                start[row],
                size * random_scores.reshape(-1, d),
                of_normals * random_normals.reshape(-1, d),
            ]
        )
        for row, (size, of_normals) in enumerate(PROBES, -len(PROBES))
    ]
    misses: list[float] = []
    columns = sorted({column for column, _, _ in found})
    kept = np.concatenate(
        [
            np.arange(n),
            *(n + m * c + np.arange(m) for c in columns),
            n + m * calls + np.arange(n * draws),
        ]
    ).astype(int)
    made = []
    for number, (state, tau, step, (column, own, gain)) in enumerate(
        zip(done.states, done.taus, done.steps, found, strict=True)
    ):
        what, where = f"score call {number + 1}", _between(number, done.steps)
        form = _form(state.reshape(rows, asked, d), inputs, misses, what, where)
        made.append(Call(step, tau, form[:, kept], columns.index(column), own, gain))
    where = _between(len(made), done.steps)
    final = _form(done.final.reshape(rows, n, d), inputs, misses, "the result", where)
    single = done.single or max(misses) > AFFINE or single_times(done.taus, process, times)
    return Signature(n, m, tuple(made), final[:, kept], len(columns), draws, single, len(times) - 1)


def single_times(taus: Sequence[float], process: Process, times: Sequence[float]) -> bool:
    """Whether a time is that of the grid rounded to float32, the state being float64."""
    grid, size = np.array([float(process.T - t) for t in times]), float(process.T)
    for tau in taus:
        off = float(np.min(np.abs(grid - tau)))
        if float(np.float32(tau)) == tau and EXACT * size < off <= ROUNDED * size:
            return True
    return False


def _between(number: int, steps: Sequence[int]) -> str:
    """Where a state came about that is first seen at a score call, or (the last) as the result."""
    count = len(steps)
    if number == count:
        text = f"after score call {count}, the last" if count else "the run"
    else:
        text = f"between score calls {number} and {number + 1}" if number else "before score call 1"
    step = steps[min(number, count - 1)] if count else -1
    return text + (f", step {step + 1}" if step >= 0 else "")


def _form(
    values: Array, inputs: Sequence[Array], misses: list[float], what: str, where: str
) -> Array:
    """The linear form of what the batch shows, confirmed on its last rows in both coordinates.

    How far it misses goes to `misses`: float32 shows there, whatever the type of the result.
    """
    origin, basis = values[0], values[1 : -len(inputs)]
    form: Array = (basis[:, :, 0] - origin[:, 0]).T
    sizes_of = [
        1 + float(np.max(np.abs(values[row]))) + float(np.max(np.abs(form))) * states
        for row, (states, _) in enumerate(PROBES, -len(PROBES))
    ]
    close = AFFINE_SINGLE * sizes_of[0]
    if np.max(np.abs(basis[:, :, 1] - origin[:, 1])) > close:
        raise Trouble(
            "each coordinate moved by itself, all alike",
            f"{what}: a change in one coordinate moves another",
            where,
        )
    if np.max(np.abs(origin)) > close:
        raise Trouble(
            "a step that leaves the origin where it is, scores and normals 0",
            f"{what}: moved to {origin.ravel()[np.argmax(np.abs(origin))]:.4g}",
            where,
        )
    for row, (given, size) in enumerate(zip(inputs, sizes_of, strict=True), -len(inputs)):
        miss = float(np.max(np.abs(form @ given - values[row])))
        if miss > AFFINE_SINGLE * size:
            states, normals = PROBES[row]
            raise Trouble(
                "an affine map of state, scores and normals",
                f"{what}: not affine (off by {miss:.2g} on a random state of size {states:g}, "
                f"normals of size {normals:g}): something clamps, rescales or adapts to the values",
                where,
            )
        misses.append(miss / size)
    return form
