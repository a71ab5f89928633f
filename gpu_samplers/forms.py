"""A state written in what it is made of, and what is kept of the evaluations before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from gpu_samplers import bridges, exponential, held
from gpu_samplers.clocked import Step, position_only
from gpu_samplers.processes import PSLD, Array, Process
from splitting_analysis.predictions import Prediction
from splitting_analysis.program import Hold, Instruction
from splitting_analysis.schemes import Scheme


@dataclass
class Form:
    """A state: base @ z + sum over k of scores[k] @ s_k + sum over j of noise[j] @ xi_j."""

    base: Array
    scores: list[Array] = field(default_factory=list)
    noise: list[Array] = field(default_factory=list)

    def moved(self, keep: Array, gain: Array | None = None, noise: Array | None = None) -> Form:
        """keep @ self + gain @ (the last score) + noise @ (new normals)."""
        scores = [keep @ g for g in self.scores]
        if gain is not None and gain.any():
            scores[-1] = scores[-1] + gain
        drawn = [] if noise is None else [noise]
        return Form(keep @ self.base, scores, [keep @ r for r in self.noise] + drawn)

    def padded(self, scores: list[Array], noise: list[Array]) -> Array:
        """The form as one matrix, with zeros for what the state is made of and it is not."""
        rows = len(self.base)
        parts = [self.base]
        for mine, all_of_them in ((self.scores, scores), (self.noise, noise)):
            parts += [
                *mine,
                *(np.zeros((rows, each.shape[1])) for each in all_of_them[len(mine) :]),
            ]
        return np.hstack(parts)

    def above(self, other: Form) -> Form:
        """Its rows in place of the first of the other's, which is made of the same."""
        rows = len(self.base)

        def stacked(own: list[Array], theirs: list[Array]) -> list[Array]:
            pairs = zip(own, theirs, strict=True)
            return [np.vstack([mine, below[rows:]]) for mine, below in pairs]

        base = np.vstack([self.base, other.base[rows:]])
        return Form(base, stacked(self.scores, other.scores), stacked(self.noise, other.noise))

    def plus(self, factor: float, other: Form) -> Form:
        """self + factor * other, both without noise; a score that one of them lacks counts as 0."""
        zero = np.zeros_like(other.scores[-1])
        mine = self.scores + [zero] * (len(other.scores) - len(self.scores))
        theirs = other.scores + [zero] * (len(mine) - len(other.scores))
        scores = [a + factor * b for a, b in zip(mine, theirs, strict=True)]
        return Form(self.base + factor * other.base, scores)


class History:
    """Predictions of earlier evaluations, and within a step its start and its noise: forms that are
    live.

    Whoever writes the state out writes these out below it, and they become rows of the next base
    state.
    """

    def __init__(self, scheme: Scheme, process: Process) -> None:
        self.scheme, self.process = scheme, process
        self.predictions: list[tuple[float, Form]] = []
        self.start: Form | None = None
        self.drawn: dict[tuple[Fraction, Fraction], Form] = {}
        self.depth = max((op.through for op in scheme.program.holds), default=0)

    @property
    def live(self) -> list[Form]:
        """The forms that later ones refer to."""
        start = [self.start] if self.start else []
        return [*(form for _, form in self.predictions), *start, *self.drawn.values()]

    def begin(self, usable: int) -> None:
        """A step begins that holds so many earlier predictions: the state is its start, nothing is
        drawn.
        """
        self.start, self.drawn = None, {}
        self.predictions = self.predictions[max(0, len(self.predictions) - usable) :]

    def look(self, ahead: Sequence[Instruction]) -> None:
        """Forget what the instructions ahead, of which the first is an evaluation, do not use."""
        self.predictions = self.predictions[1 - self.depth :] if self.depth > 1 else []
        anew = [op for op in ahead if isinstance(op, Hold) and op.restarts]
        if not anew:
            self.start = None
        stretches = {part for op in anew for part in op.drawn}
        self.drawn = {key: form for key, form in self.drawn.items() if key in stretches}

    def add(self, tau: float, prediction: Form) -> None:
        self.predictions.append((tau, prediction))

    def prediction(self, tau: float) -> tuple[Array, Array]:
        """The factors (p, n) of state and score in the p components of what is held."""
        kind = self.scheme.program.holds[0].held.prediction
        return prediction(kind, self.process, tau, self.scheme.factor)

    def time(self, t: float, h: float, at: Fraction) -> float:
        """The forward time at the part `at` of the step, in the scheme's clock."""
        return Step(self.process, self.scheme.in_clock, t, h).time(at)

    def hold(self, op: Hold, state: Form, t: float, h: float) -> Form:
        """The state after a step that holds predictions. Raises ValueError where that has no
        end.
        """
        ends = self.time(t, h, op.start), self.time(t, h, op.stop)
        through = self.predictions[-op.through :]
        step = self.held(op, *ends, [tau for tau, _ in through])
        old = self.start if op.restarts and self.start is not None else state
        if self.start is None:
            self.start = state
        terms = [(step.keep, old), *zip(step.gains, (form for _, form in through), strict=True)]
        new = combined(terms, state)
        if not self.scheme.noise_level:
            return new
        n, identity = len(new.base), np.eye(len(new.base))
        for part in op.drawn:
            middle = self.time(t, h, part[1])
            own = step
            if len(op.drawn) > 1:
                start = self.time(t, h, part[0])
                own = self.held(op, start, middle, [start])
            if part not in self.drawn:
                width = state.base.shape[1]
                blocks = [np.zeros((n, block.shape[1])) for block in new.noise]
                self.drawn[part] = Form(np.zeros((n, width)), [], [*blocks, np.eye(n)])
            moved = own.deviation
            if part[1] != op.stop:
                moved = self.held(op, middle, ends[1], [middle]).keep @ moved
            new = combined([(identity, new), (moved, self.drawn[part])], state)
        return new

    def held(self, op: Hold, begin: float, end: float, nodes: Sequence[float]) -> bridges.Step:
        """The step between two forward times. Raises ValueError where that has no end."""
        clock, eta = self.scheme.in_clock, float(self.scheme.noise_level)
        try:
            if isinstance(self.process, PSLD):
                return exponential.hold(
                    op, self.process, clock, eta, self.scheme.factor, begin, end, nodes
                )
            own = held.hold(op, position_only(self.process), clock, eta, begin, end, nodes)
        except ValueError as error:
            raise ValueError(f"{self.scheme.name}: {error}") from None
        gains = tuple(np.array([[gain]]) for gain in own.gains)
        return bridges.Step(np.array([[own.keep]]), gains, np.array([[own.deviation]]))


def prediction(
    kind: Prediction, process: Process, tau: float, factor: str = "lower"
) -> tuple[Array, Array]:
    """The factors (p, n) of state and score in a prediction of p components at forward time tau.

    Raises ValueError for a process without one.
    """
    if isinstance(process, PSLD):
        return exponential.predicted(kind, process, factor, tau)
    own, gain = held.predicted(kind, position_only(process), tau)
    return np.array([[own]]), np.array([[gain]])


def combined(terms: Sequence[tuple[Array, Form]], like: Form) -> Form:
    """The sum of factor @ form; scores and noise that one lacks count as 0."""
    scores = max(len(form.scores) for form in (*(form for _, form in terms), like))
    blocks = max(len(form.noise) for _, form in terms)
    widths = next(form.noise for _, form in terms if len(form.noise) == blocks)
    width = like.scores[0].shape[1] if like.scores else 1
    rows = len(like.base)

    def total(parts: list[tuple[Array, list[Array]]], k: int, columns: int) -> Array:
        result = np.zeros((rows, columns))
        for factor, mine in parts:
            if k < len(mine):
                result = result + factor @ mine[k]
        return result

    base = sum((factor @ form.base for factor, form in terms), np.zeros_like(like.base))
    by_score = [(factor, form.scores) for factor, form in terms]
    by_noise = [(factor, form.noise) for factor, form in terms]
    return Form(
        base,
        [total(by_score, k, width) for k in range(scores)],
        [total(by_noise, k, widths[k].shape[1]) for k in range(blocks)],
    )
