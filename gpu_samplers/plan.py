"""A scheme on a grid as a list of updates: what lies between two score evaluations is one affine
map.

All coefficients are computed here, once, in float64. A token acts on *forms*, the state written in
what it is made of (the base state, the scores evaluated since, the normals drawn since); at every
`S` the form is written out as one matrix, and the next form starts from the state that results.
A Runge-Kutta step keeps the state where it starts as its base: its rows refer to it. What words
that hold a prediction need for longer survives as further rows of the base state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, sqrt
from typing import assert_never

import numpy as np

from gpu_samplers.clocked import Step, fading
from gpu_samplers.conjugate import skipped
from gpu_samplers.forms import Form, History, combined, prediction
from gpu_samplers.processes import Array, Process, check_times, lower_factor
from gpu_samplers.rules import Map, Tuned, advance, pushes
from splitting_analysis.models import Piece
from splitting_analysis.predictions import Prediction
from splitting_analysis.program import Advance, Evaluate, Hold, Row
from splitting_analysis.schemes import Denoise, Scheme, check_ending

LambdaS = float | Callable[[float], float] | None
"""lambda_s: a number, a function of reverse time, or None for the scheme's own (1 if it has
none).
"""


@dataclass(frozen=True)
class Update:
    """One pass over memory: result = matrix @ (base state, scores so far, normals), and what
    follows.

    matrix    (rows, base + m * scores + sum(draws)), or None where the base state is the result;
              its first n rows are the state, and those below what is kept for later: predictions of
              earlier evaluations and, within a step that starts anew, its start and its noise
    base      rows of the base state
    draws     components of each noise block, in the order in which the blocks are drawn
    rebase    the result replaces the base state, and the scores so far are forgotten
    tau       forward time at which the score of the result is evaluated next; None at the end
    """

    matrix: Array | None
    scores: int
    draws: tuple[int, ...]
    rebase: bool
    tau: float | None
    step: int
    base: int

    @property
    def after(self) -> int:
        """Rows of the base state that follows."""
        return len(self.matrix) if self.rebase and self.matrix is not None else self.base


@dataclass(frozen=True)
class Plan:
    """Everything a run needs, and nothing on a device: see `plan`."""

    scheme: Scheme
    process: Process
    times: tuple[float, ...]
    updates: tuple[Update, ...]
    outputs: int
    """Components of the score, m."""

    @property
    def nfe(self) -> int:
        return sum(update.tau is not None for update in self.updates)

    @property
    def rows(self) -> int:
        """Most columns that a matrix has, or rows."""
        m = self.outputs
        return max(max(u.base, u.after) + m * (u.scores + 1) + sum(u.draws) for u in self.updates)

    @property
    def height(self) -> int:
        """Most rows that a matrix has."""
        return max([len(u.matrix) for u in self.updates if u.matrix is not None], default=0)


def plan(
    scheme: Scheme,
    process: Process,
    times: Sequence[float],
    *,
    denoise: Denoise = True,
    lambda_s: LambdaS = None,
    merge_noise: bool = False,
    factor: Callable[[float], Array] | None = None,
) -> Plan:
    """The scheme on the grid `times` (n + 1 reverse times) as updates between score evaluations.

    denoise      end with one Euler step of the reverse drift, without noise, over what is left to
                 T; "data": with the data predicted in place of the position
    merge_noise  replace the normals between two evaluations by as few as have the same covariance
                 (its Cholesky factor): same law, another path. SSCS then draws half as much
    factor       factor(tau) @ output is the score, where the network predicts something else

    Raises ValueError for a scheme of another process, a bad grid, a bad lambda_s, or a step for
    which an ancestral piece does not exist.
    """
    if scheme.model_name != process.model_name:
        raise ValueError(
            f"{scheme.name} is a {scheme.model_name} scheme, not one for {process.model_name}"
        )
    check_times(times, process.T)
    builder = _Builder(scheme, process, len(times) - 1, lambda_s, merge_noise, factor)
    if scheme.carries_score:
        builder.evaluate(process.T - times[0], 0)
    for i, (t, after) in enumerate(pairwise(times)):
        builder.step(t, after - t, i)
    left = process.T - times[-1]
    check_ending(denoise, scheme.model)
    if denoise is True and left > 0 and "E" not in scheme.model.pieces:
        raise ValueError(
            f"{scheme.model_name} has no Euler letter, and no denoising step: denoise=False, or "
            "denoise='data'"
        )
    if denoise and left > 0 and scheme.model.time_dependent:
        builder.evaluate(left, len(times) - 1)
        builder.denoise(left, denoise)
    builder.emit(None, len(times) - 1, rebase=True)
    return Plan(scheme, process, tuple(times), tuple(builder.updates), builder.outputs)


class _Builder:
    """The form of the state while the word runs, and the updates written so far."""

    def __init__(
        self,
        scheme: Scheme,
        process: Process,
        steps: int,
        lambda_s: LambdaS,
        merge_noise: bool,
        factor: Callable[[float], Array] | None,
    ) -> None:
        self.steps = steps
        self.scheme, self.process, self.lambda_s = scheme, process, lambda_s
        self.merge_noise, self.factor = merge_noise, factor
        self.identity = np.eye(len(process.stationary))
        # Column k of `inject` is where the k-th component of the score acts.
        self.inject = self.identity[:, [i for i, name in enumerate(scheme.model.scores) if name]]
        self.outputs = self.inject.shape[1]
        self.held = self.inject
        self.form = Form(self.identity)
        self.skipped: Array | None = None
        """C_skip where the score held was evaluated, of which conjugate steps hold the rest."""
        self.history = History(scheme, process)
        self.told = self.form  # what pieces hold, once there is a score
        self.updates: list[Update] = []

    def emit(self, tau: float | None, step: int, *, rebase: bool) -> None:
        base, scores = self.form.base.shape[1], len(self.form.scores)
        blocks = self.form.noise
        draws = tuple(block.shape[1] for block in blocks)
        kept = self.history.live if rebase and tau is not None else []
        if (
            self.merge_noise
            and sum(draws) > len(self.identity)
            and not any(form.noise for form in kept)
        ):
            noise = np.hstack(blocks)
            blocks, draws = [lower_factor(noise @ noise.T)], (len(self.identity),)
        top = np.hstack([self.form.base, *self.form.scores, *blocks])
        matrix = np.vstack([top, *(form.padded(self.form.scores, blocks) for form in kept)])
        still = matrix.shape == (base, base) and np.array_equal(matrix, np.eye(base))
        self.updates.append(
            Update(None if still else matrix, scores, draws, rebase, tau, step, base)
        )
        if rebase:
            whole, first = np.eye(len(matrix)), len(self.identity)
            self.form = Form(whole[:first])
            for form in kept:
                rows = len(form.base)
                form.base, form.scores, form.noise = whole[first : first + rows], [], []
                first += rows

    def evaluate(self, tau: float, step: int, *, rebase: bool = True) -> None:
        """Write the state out and hold its score, in terms of which all that follows is."""
        self.emit(tau, step, rebase=rebase)
        self.form.scores.append(np.zeros_like(self.inject))
        # What a piece does with the score it does with the network's output times this.
        self.held = (
            self.inject if self.factor is None else self.inject @ np.asarray(self.factor(tau))
        )
        if self.scheme.skip is not None:
            self.skipped = skipped(self.process, float(self.scheme.skip), np.array([tau]))[0]
        if kind := self.scheme.program.held_piece:
            self.told = self.predicted(*prediction(kind, self.process, tau))
        if self.scheme.program.holds:
            own, gain = self.history.prediction(tau)
            self.history.add(tau, self.predicted(own, gain))

    def predicted(self, own: Array, gain: Array) -> Form:
        """own @ state + gain @ score, rows (k, n) each, with the score held."""
        return self.form.moved(own, gain @ self.held)

    def drift(self, tau: float, drift: Piece) -> Form:
        """The drift of a piece at the state, with the score held."""
        parameters, rate = self.process.parameters, self.process.beta(tau)
        weight = np.array(drift.score(parameters), dtype=np.float64)
        gain = pushes(weight, self.process) @ self.held
        linear = rate * np.array(drift.linear(parameters), dtype=np.float64)
        if drift.fading:
            linear = linear + float(drift.fading) * fading(self.process, tau)
        return self.form.moved(linear, rate * gain)

    def denoise(self, left: float, how: Denoise) -> None:
        """End at forward time `left`, where the score is held."""
        if how == "data":
            data = self.predicted(*prediction(Prediction.DATA, self.process, left))
            self.form = data.above(self.form)
        else:
            self.form = self.form.plus(left, self.drift(left, self.scheme.equation.drift))

    def step(self, t: float, h: float, index: int) -> None:
        own, program = self.scheme, self.scheme.program
        skip = None if own.skip is None else float(own.skip)
        tuned = Tuned(self.lambda_at(t), own.lambda_s.rule, float(own.conjugate), own.factor, skip)
        t, h = self.churned(t, h)
        start = Form(self.identity)  # every run of rows begins a base
        drifts = list[tuple[float, Form]]()
        self.history.begin(own.usable(self.steps - index))
        for place, op in enumerate(program.instructions):
            match op:
                case Evaluate():
                    self.history.look(program.instructions[place:])
                    within = op.weighed is not None and not op.begins
                    self.evaluate(self.history.time(t, h, op.at), index, rebase=not within)
                    drifts = drifts if within else []
                    if op.weighed:
                        tau = self.history.time(t, h, op.at)
                        drifts.append((self.length(t, h, tau), self.drift(tau, op.weighed)))
                case Advance():
                    keep, gain, noise = self.advance(op, t, h, tuned)
                    if op.piece.held:
                        self.form = combined([(keep, self.form), (gain, self.told)], self.form)
                        continue
                    self.form = self.form.moved(keep, gain @ self.held, noise)
                    if self.skipped is not None:  # the score was evaluated at the base state
                        self.form.base = self.form.base - gain @ self.skipped
                case Row():
                    self.form = start
                    for weight, (length, drift) in zip(op.weights, drifts, strict=True):
                        self.form = self.form.plus(length * float(weight), drift)
                case Hold():
                    self.form = self.history.hold(op, self.form, t, h)
                case _:
                    assert_never(op)

    def churned(self, t: float, h: float) -> tuple[float, float]:
        """Start and size of the step, which goes back in time first where it churns."""
        churn, level = self.scheme.churn, float(self.process.T - t)
        if churn is None or not float(churn.S_tmin) <= level <= churn.end:
            return t, h
        raised = level * (1 + min(float(churn.S_churn) / self.steps, sqrt(2) - 1))
        if raised > level:
            deviation = float(churn.S_noise) * sqrt(raised**2 - level**2)
            self.form = self.form.moved(self.identity, None, deviation * self.identity)
        return float(self.process.T - raised), float(h + raised - level)

    def advance(self, op: Advance, t: float, h: float, tuned: Tuned) -> Map:
        try:
            return advance(op, self.stretch(t, h), tuned)
        except ValueError as error:
            raise ValueError(f"{self.scheme.name}: {error}") from None

    def length(self, t: float, h: float, tau: float) -> float:
        """The length of the step for rates at forward time tau."""
        try:
            return self.stretch(t, h).length(tau)
        except ValueError as error:
            raise ValueError(f"{self.scheme.name}: {error}") from None

    def stretch(self, t: float, h: float) -> Step:
        """The step in its clock; where a prediction is held, that is the history's."""
        clock = "tau" if self.scheme.program.holds else self.scheme.in_clock
        return Step(self.process, clock, t, h)

    def lambda_at(self, t: float) -> float:
        """lambda_s in the step that starts at reverse time t."""
        own = 1.0 if self.scheme.lambda_s.value == "free" else float(self.scheme.lambda_s.value)
        value = own if self.lambda_s is None else self.lambda_s
        value = float(value(t) if callable(value) else value)
        if not (isfinite(value) and value >= 0):
            raise ValueError(
                f"lambda_s = {value} at t = {t:g}: a scale of a variance is finite and >= 0"
            )
        return value
