"""Taylor expansion in h of a word and of the exact reverse flow, as series of trees.

Both sides have the same type, so a local error is their difference (local_error.py). Nothing
here knows a scheme by name: what a letter does comes from models.py, the order from the word.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import factorial
from typing import Any

from sympy.polys.rings import PolyElement

from splitting_analysis.algebra import algebra
from splitting_analysis.models import Matrix, Model, Piece
from splitting_analysis.notation import Op, Word
from splitting_analysis.scheme import piece_key
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
    leaves,
    linear,
    taylor,
    time_derivative,
)


@dataclass
class Flow:
    """A state under expansion: one series per component, and the noise blocks drawn so far."""

    model: Model
    weight: int
    state: dict[str, Series]
    noise: dict[str, dict[tuple[str, str], list[PolyElement]]]
    """Block -> (component, component) -> covariance by powers of h (index 0 is h^1)."""

    def arguments(self) -> dict[str, frozenset[str]]:
        """Which components each node depends on."""
        everything = frozenset(self.model.components)
        table = {c: frozenset({c}) for c in self.model.components} | {PHI: everything}
        scores = frozenset(self.model.score_arguments)
        return table | {name: scores for name in self.model.scores if name}

    def score(self, shift: Fraction) -> dict[str, Series]:
        """The score at the current state and forward time tau - shift * h."""
        a = algebra()
        deltas = {c: [{}, *self.state[c][1:]] for c in self.model.score_arguments}
        move = a.number(-shift) if self.model.time_dependent else 0
        return {
            name: taylor(leaf(name), deltas, self.weight, move, a.one) for name in self.model.scores if name
        }


NoiseRule = Callable[[Flow, Piece, "Step"], None]


@dataclass(frozen=True)
class Step:
    """The part [start, stop] of the step (in units of h, from the base time) an op covers."""

    block: str
    start: Fraction
    stop: Fraction
    origin: Fraction
    """Start of the time step the op belongs to: 0, or -1 for the step before."""
    exact: bool


def begin(model: Model, weight: int) -> Flow:
    """The state before any op: z itself."""
    one = algebra().one
    state = {c: [{leaf(c): one}] + [{} for _ in range(weight)] for c in model.components}
    return Flow(model, weight, state, {})


def beta_at(model: Model, offset: Fraction, terms: int) -> list[PolyElement]:
    """beta at forward time tau - offset * h, as coefficients of h^0, h^1, ..."""
    a = algebra()
    if not model.time_dependent:
        return [a.one] + [a.ring.zero] * (terms - 1)
    return [a.betas[k] * a.number(Fraction((-offset) ** k, factorial(k))) for k in range(terms)]


def clock(model: Model, step: Step, terms: int) -> list[PolyElement]:
    """delta = integral of beta over the op's part of the step, coefficients of h^1, h^2, ..."""
    a = algebra()
    if not model.time_dependent:
        return [a.number(step.stop - step.start)] + [a.ring.zero] * (terms - 1)
    return [
        a.betas[k]
        * a.number(Fraction((-1) ** k) * (step.stop ** (k + 1) - step.start ** (k + 1)) / factorial(k + 1))
        for k in range(terms)
    ]


def multiply(x: list[Any], y: list[Any], terms: int) -> list[Any]:
    product = [algebra().ring.zero for _ in range(terms)]
    for i, p in enumerate(x[:terms]):
        if p:
            for j, q in enumerate(y[: terms - i]):
                product[i + j] += p * q
    return product


def matrix_power(matrix: Matrix, k: int) -> list[list[Any]]:
    n = range(len(matrix))
    result = [[algebra().one if i == j else 0 for j in n] for i in n]
    for _ in range(k):
        result = [[sum(result[i][m] * matrix[m][j] for m in n) for j in n] for i in n]
    return result


def clock_of(model: Model, step: Step, terms: int) -> list[Any]:
    if step.exact:
        return clock(model, step, terms)
    share = algebra().number(step.stop - step.start)
    return [share * b for b in beta_at(model, step.origin, terms)]


def run(
    word: Word,
    flow: Flow,
    noise: NoiseRule,
    carried: dict[str, Series] | None = None,
    origin: int = 0,
    ops: range | None = None,
) -> dict[str, Series] | None:
    """Carry out ops of a word on `flow` (all by default); returns the last score held."""  # fmt: skip
    clocks: dict[str, Fraction] = {}
    score, stages = carried, []
    start = {c: list(series) for c, series in flow.state.items()}
    for index, op in enumerate(word):
        begun = clocks.get(op.letter, Fraction(0))
        clocks[op.letter] = begun + op.fraction
        if ops is not None and index not in ops:
            continue
        if op.letter == "S":
            score = flow.score(op.at + origin)
            if word.is_runge_kutta:
                stages.append(_drift(flow, score, op.at))
            continue
        piece = flow.model.pieces[piece_key(op.letter, op.rule)]
        if op.row:
            _runge_kutta(flow, op, start, stages)
            continue
        step = Step(
            f"~{index}" + "-" * -origin, begun + origin, begun + op.fraction + origin,
            Fraction(origin), piece.rule == "exponential",
        )  # fmt: skip
        _advance(flow, piece, step, score or {})
        if piece.has_noise:
            noise(flow, piece, step)
    return score


def _advance(flow: Flow, piece: Piece, step: Step, score: dict[str, Series]) -> None:
    """z <- K z + G (score part), with K, G series of matrices in h that the rule dictates."""
    a, p, n = algebra(), algebra().p, range(len(flow.model.components))
    terms = flow.weight // 2
    matrix, weights = piece.linear(p), piece.score(p)
    delta = [a.ring.zero, *clock_of(flow.model, step, terms)]
    identity = [[[a.one if i == j else a.ring.zero] + [a.ring.zero] * terms for j in n] for i in n]
    keep, gain = identity, [[[a.ring.zero] * (terms + 1) for _ in n] for _ in n]
    power = [a.one] + [a.ring.zero] * terms
    for k in range(1, terms + 1 if piece.rule == "exponential" else 2):
        power = [x / k for x in multiply(power, delta, terms + 1)]
        current, before = matrix_power(matrix, k), matrix_power(matrix, k - 1)
        for i in n:
            for j in n:
                keep[i][j] = [x + y * current[i][j] for x, y in zip(keep[i][j], power, strict=True)]
                gain[i][j] = [x + y * before[i][j] for x, y in zip(gain[i][j], power, strict=True)]
    if piece.rule == "ancestral":
        # (1 - b)^(-1/2) = sum of (2k)! / (4^k k!^2) b^k, in place of 1 + b/2
        root, power = [a.ring.zero] * (terms + 1), [a.one] + [a.ring.zero] * terms
        for k in range(terms + 1):
            factor = a.number(Fraction(factorial(2 * k), 4**k * factorial(k) ** 2))
            root = [x + factor * y for x, y in zip(root, power, strict=True)]
            power = multiply(power, delta, terms + 1)
        keep, gain = [[root]], [[multiply(root, delta, terms + 1)]]
    old = flow.state
    flow.state = {}
    for i, c in enumerate(flow.model.components):
        parts = [(keep[i][j], old[d]) for j, d in enumerate(flow.model.components)]
        for j, name in enumerate(flow.model.scores):
            if name and weights[j]:
                parts.append(([x * weights[j] for x in gain[i][j]], score[name]))
        flow.state[c] = _h_linear(parts, flow.weight)


def _h_linear(parts: list[tuple[list[Any], Series]], weight: int) -> Series:
    """Sum of (coefficients by power of h) * series, truncated at `weight`."""
    return [
        linear([(k, s[w - 2 * i]) for ks, s in parts for i, k in enumerate(ks) if 2 * i <= w])
        for w in range(weight + 1)
    ]


def _drift(flow: Flow, score: dict[str, Series], at: Fraction) -> dict[str, Series]:
    """The full drift at the current state and stage time, a series per component."""
    terms, p = flow.weight // 2 + 1, algebra().p
    rate = beta_at(flow.model, at, terms)
    matrix, weights = flow.model.drift.linear(p), flow.model.drift.score(p)
    result = {}
    for i, c in enumerate(flow.model.components):
        parts = [([matrix[i][j]], flow.state[d]) for j, d in enumerate(flow.model.components)]
        if flow.model.scores[i]:
            parts.append(([weights[i]], score[flow.model.scores[i]]))
        result[c] = _h_linear([(rate, _h_linear(parts, flow.weight))], flow.weight)
    return result


def _runge_kutta(flow: Flow, op: Op, start: dict[str, Series], stages: list[dict[str, Series]]) -> None:
    a = algebra()
    for c in flow.model.components:
        parts: list[tuple[list[Any], Series]] = [([a.one], start[c])]
        for weight, stage in zip(op.row, stages[-len(op.row) :], strict=True):
            parts.append(([0, a.number(weight)], stage[c]))
        flow.state[c] = _h_linear(parts, flow.weight)


def exact(model: Model, start: Combination, order: int) -> list[Combination]:
    """(generator)^k start / k! for k = 0..order: the exact reverse flow, in expectation.

    Generator: L f = f_t + grad f . drift + 1/2 tr(D grad^2 f), with f_t = -f_tau.
    """
    result = [start]
    for k in range(1, order + 1):
        result.append(linear([(algebra().number(Fraction(1, k)), generator(model, result[-1]))]))
    return result


def generator(model: Model, combination: Combination) -> Combination:
    """The generator of the reverse dynamics applied to a combination of trees."""
    a = algebra()
    flow = begin(model, 0)
    arguments = flow.arguments()
    rate = a.betas[0] if model.time_dependent else a.one
    drift = drift_terms(model)
    noise = model.drift.noise(a.p)
    result: Combination = {}
    timed = frozenset(name for name in model.scores if name) if model.time_dependent else frozenset()
    for tree, coefficient in combination.items():
        if model.time_dependent:
            accumulate(result, tree, _minus_d_tau(coefficient))
            for new in time_derivative(tree, timed):
                accumulate(result, new, -coefficient)
        for c, terms in drift.items():
            for direction, factor in terms.items():
                for new in derivative(tree, c, direction, arguments):
                    accumulate(result, canonical(new), coefficient * factor)
        unit = leaf(f"e{sum(end[0][0] == 'e' for end in leaves(tree)) // 2 + 1}")
        for i, c in enumerate(model.components):
            if noise[i]:
                factor = coefficient * rate * noise[i] / 2
                for once in derivative(tree, c, unit, arguments):
                    for twice in derivative(once, c, unit, arguments):
                        accumulate(result, canonical(twice), factor)
    return result


def drift_terms(model: Model) -> dict[str, Combination]:
    """The full reverse drift by component, at the base point."""
    a = algebra()
    rate = a.betas[0] if model.time_dependent else a.one
    matrix, weights = model.drift.linear(a.p), model.drift.score(a.p)
    result = {}
    for i, c in enumerate(model.components):
        parts = [(rate * matrix[i][j], {leaf(d): a.one}) for j, d in enumerate(model.components)]
        if model.scores[i]:
            parts.append((rate * weights[i], {leaf(model.scores[i]): a.one}))
        result[c] = linear(parts)
    return result


def _minus_d_tau(element: PolyElement) -> PolyElement:
    """-d/dtau of a coefficient: each beta^(k) gives beta^(k+1)."""
    betas = algebra().betas
    result = algebra().ring.zero
    for low, high in pairwise(betas):
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
                        accumulate(grown[w + v], add_child(root, component, new), coefficient * factor)
        result = grown
    return result
