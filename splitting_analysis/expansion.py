"""Taylor expansion in h of a word and of the exact reverse flow, as series of trees.

Both sides have the same type, so a local error is their difference (weak.py). Nothing
here knows a scheme by name: what a letter does comes from models.py, the order from the word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, assert_never

from sympy.polys.rings import PolyElement

from splitting_analysis.algebra import algebra
from splitting_analysis.conjugate_rule import PLAIN, Bend, skip_series
from splitting_analysis.held_pieces import Told
from splitting_analysis.models import Model, Piece
from splitting_analysis.predictions import Prediction
from splitting_analysis.program import Advance, Evaluate, Hold, Instruction, Row
from splitting_analysis.rules import beta_at, fading_at, transition
from splitting_analysis.symbols import unit
from splitting_analysis.trees import (
    PHI,
    Combination,
    Series,
    Tree,
    accumulate,
    add_child,
    canonical,
    derivative,
    leaf,
    linear,
    taylor,
    time_derivative,
    units,
)


@dataclass
class Flow:
    """A state under expansion: one series per component, and the noise blocks drawn so far."""

    model: Model
    weight: int
    state: dict[str, Series]
    noise: dict[str, dict[tuple[str, str], list[PolyElement]]]
    """Block -> (component, component) -> covariance by powers of h (index 0 is h^1)."""
    bend: Bend = PLAIN
    """What conjugate steps need to know."""
    told: Told | None = None
    """What pieces hold, if some do: derivatives are its, not the score's."""

    def arguments(self) -> dict[str, frozenset[str]]:
        """Which components each node depends on."""
        everything = frozenset(self.model.components)
        table = {c: frozenset({c}) for c in self.model.components} | {PHI: everything}
        scores = frozenset(self.model.score_arguments)
        names = [self.told.name] if self.told else self.model.scores
        return table | {name: scores for name in names if name}

    def score(self, shift: Fraction) -> dict[str, Series]:
        """The score at the current state and forward time tau - shift * h."""
        a = algebra()
        deltas = {c: [{}, *self.state[c][1:]] for c in self.model.score_arguments}
        move = a.number(-shift) if self.model.time_dependent else 0
        if self.told:
            told = taylor(leaf(self.told.name), deltas, self.weight, move, a.one)
            return {self.told.name: told, **self._said(self.told, told, shift)}
        return {
            name: taylor(leaf(name), deltas, self.weight, move, a.one)
            for name in self.model.scores
            if name
        }

    def held(self, shift: Fraction) -> dict[str, Series]:
        """What the pieces get of the score: conjugate steps may hold it without C_skip z."""
        found = self.score(shift)
        if not self.bend.skip:
            return found
        a, terms = algebra(), max(1, self.weight // 2)
        matrices = skip_series(self.model, beta_at(self.model, Fraction(1), terms), terms)
        places = [a.number(shift**k if k else Fraction(1)) for k in range(terms)]
        for i, name in enumerate(self.model.scores):
            parts: list[tuple[list[Any], Series]] = [([a.one], found[name])]
            for j, c in enumerate(self.model.components):
                entry = [-place * m[i][j] for place, m in zip(places, matrices, strict=True)]
                parts.append((entry, self.state[c]))
            found[name] = _h_linear(parts, self.weight)
        return found

    def _said(self, told: Told, held: Series, shift: Fraction) -> dict[str, Series]:
        """The score where data are held, for the pieces that take it as it is."""
        if told.held != Prediction.DATA:
            return {}
        a, terms, names = algebra(), max(1, self.weight // 2 + 1), self.model.components
        own, gain = told.score()

        def at(element: Any) -> list[Any]:
            return told.taylor(a.reduce(element * a.ibeta), shift, terms)

        result = {}
        for i, name in enumerate(self.model.scores):
            parts = [(at(own[i][j]), self.state[c]) for j, c in enumerate(names)]
            result[name] = _h_linear([*parts, (at(gain[i]), held)], self.weight)
        return result


NoiseRule = Callable[[Flow, Advance, int], None]
"""Adds the noise of an instruction to the flow; the integer is the step's start, 0, or -1 a step
earlier.
"""


def begin(model: Model, weight: int, bend: Bend = PLAIN, told: Told | None = None) -> Flow:
    """The state before any op: z itself."""
    one = algebra().one
    state = {c: [{leaf(c): one}] + [{} for _ in range(weight)] for c in model.components}
    return Flow(model, weight, state, {}, bend, told)


def run(
    instructions: Sequence[Instruction],
    flow: Flow,
    noise: NoiseRule,
    carried: dict[str, Series] | None = None,
    origin: int = 0,
) -> dict[str, Series] | None:
    """Carry out instructions on `flow`, in the step that starts at `origin`; returns the last score
    held.
    """
    start = {c: list(series) for c, series in flow.state.items()}
    score, drifts = carried, list[dict[str, Series]]()
    for each in instructions:
        match each:
            case Evaluate():
                score = flow.held(each.at + origin)
                if each.begins:
                    start, drifts = {c: list(series) for c, series in flow.state.items()}, []
                if each.weighed:
                    drifts.append(_drift(flow, each.weighed, score, each.at + origin))
            case Advance():
                _advance(flow, each, origin, score or {})
                if each.piece.has_noise:
                    noise(flow, each, origin)
            case Row():
                _restart(flow, each, start, drifts)
            case Hold():
                raise ValueError("a held prediction is expanded by held_error.py")
            case _:
                assert_never(each)
    return score


def _advance(flow: Flow, op: Advance, origin: int, score: dict[str, Series]) -> None:
    """z <- K z + G (score part), with K, G series of matrices in h that the rule dictates."""
    if flow.told and op.piece.held:
        return _advance_held(flow, flow.told, op, origin, score)
    keep, gain = transition(flow.model, op, origin, flow.weight // 2, flow.bend)
    old = flow.state
    flow.state = {}
    for i, c in enumerate(flow.model.components):
        parts = [(keep[i][j], old[d]) for j, d in enumerate(flow.model.components)]
        for j, name in enumerate(flow.model.scores):
            if name and gain[i][j]:
                parts.append((gain[i][j], score[name]))
        flow.state[c] = _h_linear(parts, flow.weight)
    return None


def _advance_held(
    flow: Flow, told: Told, op: Advance, origin: int, score: dict[str, Series]
) -> None:
    """The same where what is held stands for the score."""
    keep, gain = told.transition(op, origin, max(1, flow.weight // 2))
    old, names = flow.state, flow.model.components
    flow.state = {}
    for i, c in enumerate(names):
        parts = [(keep[i][j], old[d]) for j, d in enumerate(names)]
        flow.state[c] = _h_linear([*parts, (gain[i], score[told.name])], flow.weight)


def _h_linear(parts: list[tuple[list[Any], Series]], weight: int) -> Series:
    """Sum of (coefficients by power of h) * series, truncated at `weight`."""
    return [
        linear([(k, s[w - 2 * i]) for ks, s in parts for i, k in enumerate(ks) if 2 * i <= w])
        for w in range(weight + 1)
    ]


def _drift(flow: Flow, piece: Piece, score: dict[str, Series], at: Fraction) -> dict[str, Series]:
    """A piece's drift at the current state and the part `at` of the step, a series per
    component.
    """
    p = algebra().p
    matrix, weights = piece.linear(p), piece.score(p)
    rate = beta_at(flow.model, at, max(1, flow.weight // 2))
    result = {}
    for i, c in enumerate(flow.model.components):
        parts = [
            ([b * matrix[i][j] for b in rate], flow.state[d])
            for j, d in enumerate(flow.model.components)
        ]
        if piece.fading:
            share = algebra().number(piece.fading)
            parts.append(([share * r for r in fading_at(at, len(rate))], flow.state[c]))
        for name, j, weight in zip(flow.model.scores, flow.model.onto, weights, strict=True):
            if name and i == j:
                parts.append(([b * weight for b in rate], score[name]))
        result[c] = _h_linear(parts, flow.weight)
    return result


def _restart(
    flow: Flow, row: Row, start: dict[str, Series], drifts: list[dict[str, Series]]
) -> None:
    a = algebra()
    for c in flow.model.components:
        parts: list[tuple[list[Any], Series]] = [([a.one], start[c])]
        for weight, drift in zip(row.weights, drifts, strict=True):
            parts.append(([0, a.number(weight)], drift[c]))
        flow.state[c] = _h_linear(parts, flow.weight)


def exact(
    model: Model, start: Combination, order: int, told: Told | None = None
) -> list[Combination]:
    """(generator)^k start / k! for k = 0..order: the exact reverse flow, in expectation.

    Generator: L f = f_t + grad f . drift + 1/2 tr(D grad^2 f), with f_t = -f_tau.
    """
    result = [start]
    for k in range(1, order + 1):
        result.append(
            linear([(algebra().number(Fraction(1, k)), generator(model, result[-1], told))])
        )
    return result


def generator(model: Model, combination: Combination, told: Told | None = None) -> Combination:
    """The generator of the reverse dynamics applied to a combination of trees."""
    a = algebra()
    flow = begin(model, 0, PLAIN, told)
    arguments = flow.arguments()
    rate = a.betas[0] if model.time_dependent else a.one
    drift = drift_terms(model, told)
    noise = model.drift.noise(a.p)
    result: Combination = {}
    names = [told.name] if told else model.scores
    timed = frozenset(name for name in names if name) if model.time_dependent else frozenset()
    for tree, coefficient in combination.items():
        if model.time_dependent:
            change = -told.derivative(coefficient) if told else _minus_d_tau(coefficient)
            accumulate(result, tree, change)
            for new in time_derivative(tree, timed):
                accumulate(result, new, -coefficient)
        for c, terms in drift.items():
            for direction, factor in terms.items():
                for new in derivative(tree, c, direction, arguments):
                    accumulate(result, canonical(new), coefficient * factor)
        along = leaf(unit(len(units(tree)) + 1))
        for i, c in enumerate(model.components):
            if noise[i]:
                factor = coefficient * rate * noise[i] / 2
                for once in derivative(tree, c, along, arguments):
                    for twice in derivative(once, c, along, arguments):
                        accumulate(result, canonical(twice), factor)
    return result


def drift_terms(model: Model, told: Told | None = None) -> dict[str, Combination]:
    """The full reverse drift by component, at the base point."""
    a = algebra()
    if told:
        moved, force = told.drift(model.drift)
        return {
            c: linear(
                [
                    *((x, {leaf(d): a.one}) for x, d in zip(row, model.components, strict=True)),
                    (pull, {leaf(told.name): a.one}),
                ]
            )
            for c, row, pull in zip(model.components, moved, force, strict=True)
        }
    rate = a.betas[0] if model.time_dependent else a.one
    matrix, weights = model.drift.linear(a.p), model.drift.score(a.p)
    result = {}
    for i, c in enumerate(model.components):
        parts = [(rate * matrix[i][j], {leaf(d): a.one}) for j, d in enumerate(model.components)]
        if model.drift.fading:
            parts.append((a.fadings[0] * a.number(model.drift.fading), {leaf(c): a.one}))
        for name, j, weight in zip(model.scores, model.onto, weights, strict=True):
            if name and i == j:
                parts.append((rate * weight, {leaf(name): a.one}))
        result[c] = linear(parts)
    return result


def _minus_d_tau(element: PolyElement) -> PolyElement:
    """-d/dtau of a coefficient: each beta^(k) gives beta^(k+1), and r^(k) likewise."""
    result = algebra().ring.zero
    for derivatives in (algebra().betas, algebra().fadings):
        for low, high in pairwise(derivatives):
            result -= element.diff(low) * high
    return result


def compose(combination: Combination, flow: Flow, state: dict[str, Series]) -> Series:
    """The combination's value at `state` instead of the base point, as a series."""
    result: Series = [{} for _ in range(flow.weight + 1)]
    for tree, coefficient in combination.items():
        for w, terms in enumerate(_value_at(tree, flow, state)):
            for new, factor in terms.items():
                accumulate(result[w], new, coefficient * factor)
    return result


def _value_at(tree: Tree, flow: Flow, state: dict[str, Series]) -> Series:
    name, j, children = tree
    if name in state:
        return state[name]
    if name not in flow.arguments():
        return [{tree: algebra().one}] + [{} for _ in range(flow.weight)]
    deltas = {c: [{}, *state[c][1:]] for c in flow.arguments()[name]}
    result = taylor((name, j, ()), deltas, flow.weight, 0, algebra().one)
    for component, child in children:
        value = _value_at(child, flow, state)
        grown: Series = [{} for _ in range(flow.weight + 1)]
        for w, terms in enumerate(result):
            for root, coefficient in terms.items():
                for v, inner in enumerate(value[: flow.weight - w + 1]):
                    for new, factor in inner.items():
                        accumulate(
                            grown[w + v], add_child(root, component, new), coefficient * factor
                        )
        result = grown
    return result
