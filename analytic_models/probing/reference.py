"""A word as running code of the protocol: the sampler that a claim names, instruction by
instruction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, assert_never

import numpy as np

from analytic_models import exponential, given_data
from analytic_models.clocked import fading_rate, length
from analytic_models.conjugate_moving import skip_at
from analytic_models.held import hold, predicted
from analytic_models.probing.running import Array
from analytic_models.probing.subject import Subject
from analytic_models.rules import advance, coefficients
from analytic_models.steps import churned
from splitting_analysis.models import Piece
from splitting_analysis.predictions import Prediction
from splitting_analysis.processes import PSLD
from splitting_analysis.program import Advance, Evaluate, Hold, Program, Row
from splitting_analysis.schemes import Scheme

Score = Callable[[Any, float], Any]


def subject_for(scheme: Scheme, program: Program | None = None, lambda_s: Any = None) -> Subject:
    """The scheme as a whole run; `program` in place of its own, for the words next to it."""

    def sample(score: Score, z: Array, grid: Sequence[float], noise: Any, model: Any) -> Array:
        walk = _Walk(scheme, program or scheme.program, score, noise, model, lambda_s)
        return walk.run(z, [float(t) for t in grid])

    return Subject(scheme.name, "sample", sample)


class _Walk:
    """One run: the state, the score held, and the predictions kept."""

    def __init__(
        self,
        scheme: Scheme,
        program: Program,
        score: Score,
        noise: Callable[[], Array],
        model: Any,
        lambda_s: Any,
    ) -> None:
        self.scheme, self.program, self.model, self.lambda_s = scheme, program, model, lambda_s
        self.score_of, self.noise_of = score, noise
        self.n = len(scheme.model.components)
        self.kept: list[tuple[float, Array]] = []
        self.told = np.zeros(0)

    def run(self, z: Array, grid: Sequence[float]) -> Array:
        self.steps = len(grid) - 1
        self.d, self.held = z.shape[1] // self.n, np.zeros_like(z)
        if self.program.carries_score:
            self.evaluate(z, self.model.T - grid[0])
        for i, (t, after) in enumerate(pairwise(grid)):
            if self.scheme.lower_final:
                usable = self.scheme.usable(len(grid) - 1 - i)
                self.kept = self.kept[max(0, len(self.kept) - usable) :]
            ends = after >= self.model.T * (1 - 1e-12)
            if self.program.holds and ends and not self.scheme.holds_pair:
                return self.to_data(z, self.model.T - t)
            z = self.step(z, t, after - t)
        return z

    def to_data(self, z: Array, tau: float) -> Array:
        """The last step, to time 0, where lambda is infinite: the data prediction at its start."""
        held = self.program.holds[0].held.prediction
        if self.program.carries_score and held is Prediction.DATA:
            return self.kept[-1][1]
        return self.prediction(Prediction.DATA, z, self.score_of(z, tau), tau)

    def evaluate(self, z: Array, tau: float) -> None:
        model = self.scheme.model
        if len(model.asked) == len(model.driven) == self.n:
            self.held = self.score_of(z, tau)
        else:
            rows = np.reshape(z, (len(z), self.n, self.d))
            found = self.score_of(rows[:, model.asked].reshape(len(z), -1), tau)
            driven = np.zeros_like(rows)
            driven[:, model.driven] = np.reshape(found, (len(z), -1, self.d))
            self.held = driven.reshape(z.shape)
        if self.scheme.skip is not None:  # conjugate steps hold the rest
            self.held = self.held - self.mixed(skip_at(self.scheme, self.model, tau), z)
        if self.program.held_piece:
            self.told = self.prediction(self.program.held_piece, z, self.held, tau)
        if self.program.holds:
            held = self.program.holds[0].held.prediction
            self.kept.append((tau, self.prediction(held, z, self.held, tau)))

    def prediction(self, kind: Prediction, z: Array, s: Array, tau: float) -> Array:
        """What is held, (batch, p d), from the state and the score there."""
        if isinstance(self.model, PSLD):
            own, gain = exponential.predicted(kind, self.model, self.scheme.factor, tau)
        else:
            of_state, of_score = predicted(kind, self.model, tau)
            own, gain = ((of_state,),), ((of_score,),)
        return np.asarray(self.mixed(own, z) + self.mixed(gain, s))

    def step(self, z: Array, t: float, h: float) -> Array:
        if self.scheme.churn:
            t, h, added = churned(self.scheme.churn, self.model, t, h, self.steps)
            if added:
                z = z + added**0.5 * self.noise_of()
        start, base, drifts = z, z, list[Array]()
        drawn: dict[Any, Array] = {}
        for op in self.program.instructions:
            match op:
                case Evaluate():
                    tau = self.time(t, h, op.at)
                    self.evaluate(z, tau)
                    if op.begins:
                        base, drifts = z, []
                    if op.weighed:
                        over = length(self.scheme, self.model, t, h, tau)
                        drifts.append(over * self.drift(op.weighed, z, tau))
                case Row():
                    pairs = zip(op.weights, drifts, strict=True)
                    z = base + sum(float(w) * drift for w, drift in pairs)
                case Advance():
                    moved = advance(self.scheme, self.model, op, t, h, self.lambda_s)
                    pull = self.told if op.piece.held else self.held
                    z = self.mixed(moved.keep, z) + self.mixed(moved.gain, pull)
                    if moved.noise is not None:
                        z = z + self.mixed(_root(moved.noise), self.noise_of())
                case Hold():
                    z = self.advance_held(op, start if op.restarts else z, t, h, drawn)
                case _:
                    assert_never(op)
        return z

    def advance_held(
        self, op: Hold, z: Array, t: float, h: float, drawn: dict[Any, Array]
    ) -> Array:
        ends = self.time(t, h, op.start), self.time(t, h, op.stop)
        through = self.kept[-op.through :]
        step = self.held_step(op, *ends)
        z = self.mixed(step.keep, z)
        for gain, (_, value) in zip(step.gains, through, strict=True):
            z = z + self.mixed(gain, value)
        if step.noise is None:
            return z
        times = [ends[0], *(self.time(t, h, stop) for _, stop in op.drawn)]
        for part, (begin, end) in zip(op.drawn, pairwise(times), strict=True):
            if part not in drawn:  # a part has one noise, however often it is gone over
                drawn[part] = self.noise_of()
            alone = step if len(op.drawn) == 1 else self.held_step(op, begin, end)
            added = self.mixed(_root(alone.noise), drawn[part])
            if part[1] != op.stop:
                added = self.mixed(self.held_step(op, end, ends[1]).keep, added)
            z = z + added
        return z

    def held_step(self, op: Hold, begin: float, end: float) -> exponential.Step:
        """What holding does between two forward times; `noise` is None where there is none."""
        nodes = [tau for tau, _ in self.kept[-op.through :]]
        how = self.scheme.in_clock, float(self.scheme.noise_level)
        if isinstance(self.model, PSLD):
            return exponential.hold(op, self.model, *how, self.scheme.factor, begin, end, nodes)
        own = hold(op, self.model, *how, begin, end, nodes)
        noise = ((own.noise,),) if how[1] else None
        return exponential.Step(((own.keep,),), tuple(((gain,),) for gain in own.gains), noise)

    def drift(self, piece: Piece, z: Array, tau: float) -> Array:
        linear, weights, _ = coefficients(piece, self.model)
        onto = self.scheme.model.onto
        own = [
            [w if i == at else 0 for at, w in zip(onto, weights, strict=True)]
            for i in range(self.n)
        ]
        moved = self.model.beta(tau) * (self.mixed(linear, z) + self.mixed(own, self.held))
        return np.asarray(moved + fading_rate(piece, self.model, tau) * z)

    def time(self, t: float, h: float, at: Fraction) -> float:
        """The forward time at the part `at` of the step, as the scheme's clock measures it."""
        T, clock = self.model.T, self.scheme.in_clock
        if clock == "tau" or at.denominator == 1:
            return float(T - t - float(at) * h)
        if isinstance(self.model, PSLD):
            return float(given_data.tau_between(self.model, clock, T - t, T - t - h, float(at)))
        first, last = (self.model.clock_at(clock, T - u) for u in (t, t + h))
        return float(self.model.tau_at(clock, first + float(at) * (last - first)))

    def mixed(self, block: Any, z: Array) -> Array:
        """A block (k, n) applied to the components of (batch, n d)."""
        matrix = np.array([[float(entry) for entry in row] for row in block], dtype=z.dtype)
        parts = z.reshape(len(z), matrix.shape[1], self.d)
        return np.einsum("ij,bjd->bid", matrix, parts).reshape(len(z), -1)


def _root(covariance: Any) -> Any:
    """A factor of a covariance that may be degenerate."""
    block = np.array([[float(entry) for entry in row] for row in covariance])
    values, vectors = np.linalg.eigh(block)
    return vectors * np.sqrt(np.maximum(values, 0))
