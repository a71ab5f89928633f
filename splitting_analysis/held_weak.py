"""Weak local error of SDE words that hold a prediction, ratios of steps as symbols.

With the linear part taken out, in the clock u, the reverse SDE is

    dy = kappa(u) P(u, y) du + dN,   d<N>/du = Q(u) I

with noise N that does not depend on y: for the data prediction in lambda kappa = e^((1 + eta^2) u)
and Q = q e^(2 eta^2 u), for eps kappa = e^-u and Q = q e^(-2 u), u from the step's start. For data
held on PSLD y, kappa and N are pairs and Q is a matrix. P is what is held, in units of y.

One step is expanded in elementary differentials of P, as trees; those of earlier steps keep their
own base points, P1, P2, ... . The error E phi(scheme) - E phi(exact), negated, from a state y_0 and
its past is then averaged over that past: the reverse SDE runs from each of the earlier states to
the next, and what an earlier step evaluated within itself shares its noise. What is left is the
error that builds up; it holds for R^d, where Jacobians do not commute.

    kappa1, ...; q, q1, ...    Taylor coefficients of kappa and Q, where they are not known
    r1, r2, ...                lengths of the step before, the one before that, ..., over its own
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement, pairwise
from math import factorial
from typing import Any

import sympy
from sympy import QQ

from splitting_analysis.held_averages import (
    COMPONENTS,
    HIGHEST,
    ONE,
    RING,
    WEIGHT,
    ZERO,
    Weighted,
    averaged,
    flowed,
    minus,
    name_of,
    nothing,
    numbered,
    older,
    single,
    times_series,
    total_of,
)
from splitting_analysis.held_weights import (
    LENGTH,
    NO_LENGTH,
    SIZES,
    SOME_RATIOS,
    Series,
    at_end,
    moment,
    number,
    power,
    weights,
)
from splitting_analysis.predictions import Prediction
from splitting_analysis.program import Evaluate, Hold, Program
from splitting_analysis.schemes import Scheme
from splitting_analysis.trees import PHI, Tree, accumulate, leaf, taylor

Stretch = tuple[Fraction, Fraction]


@dataclass(frozen=True)
class WeakHeldError:
    """The leading term of exact minus scheme in E phi, h^power times a combination of trees.

    Trees are rooted in phi, coefficients SymPy expressions; in one step, or in the middle of a run,
    averaged over what lies behind.
    """

    power: int
    phi: dict[Tree, sympy.Expr]

    @property
    def order(self) -> int:
        """Weak order, for a fixed ratio of steps."""
        return self.power - 1


def weak_held_error(scheme: Scheme) -> WeakHeldError:
    """The leading weak local error of an SDE word that holds a prediction.

    Raises ValueError where nothing is left through h^HIGHEST.
    """
    return _found(scheme, tuple(SIZES))


def weak_leading_power(scheme: Scheme) -> int:
    """`weak_held_error(scheme).power` alone, from ratios of steps that are numbers."""
    return _found(scheme, SOME_RATIOS).power


def _found(scheme: Scheme, sizes: tuple[Any, ...]) -> WeakHeldError:
    found = _leading(scheme.program, _Kind.of(scheme), sizes)
    if found is None:
        raise ValueError(
            f"{scheme.name}: its weak order is {HIGHEST} or higher, and weak orders beyond "
            f"{HIGHEST - 1} are not derived where a prediction is held"
        )
    return found


@dataclass(frozen=True)
class _Kind:
    """What kappa and Q are: rates of exponentials, or None where they are symbols."""

    components: tuple[str, ...]
    kernel: Fraction | None
    noise: Fraction | None
    ddim: Fraction | None
    """eta of DDIM's own noise, where it is none of the reverse SDE's."""

    @classmethod
    def of(cls, scheme: Scheme) -> _Kind:
        """Raises ValueError for a scheme of which there is no such error."""
        if not scheme.program.holds or scheme.dynamics != "sde":
            raise ValueError(f"{scheme.name}: no SDE word that holds a prediction")
        components, more = scheme.model.components, scheme.noise_level**2
        held = scheme.program.holds[0].held
        own = scheme.noise_level if held.ddim and scheme.noise_level != 1 else None
        in_lambda = scheme.in_clock == "lambda" or not scheme.program.uses_clock
        if own is not None and not in_lambda:
            raise ValueError(
                f"{scheme.name}: the weak order of DDIM's own noise is derived in the clock "
                f"lambda, not {scheme.in_clock}"
            )
        if len(components) == 1 and in_lambda and held.prediction is Prediction.DATA:
            return cls(components, 1 + more, 2 * more, own)
        if len(components) == 1 and in_lambda and held.prediction is Prediction.EPS:
            return cls(components, Fraction(-1), Fraction(-2), None)
        return cls(components, None, None, None)


@cache
def _leading(program: Program, kind: _Kind, sizes: tuple[Any, ...]) -> WeakHeldError | None:
    error = _Expansion(program, kind, sizes).error()
    for h in range(1, HIGHEST + 1):
        terms: dict[Tree, sympy.Expr] = {}
        for tree, coefficient in error[2 * h].items():
            value = _evaluated(coefficient, kind)
            if value:
                terms[tree] = sympy.factor(value.as_expr())
        if terms:
            return WeakHeldError(h, terms)
    return None


def _evaluated(coefficient: Any, kind: _Kind) -> Any:
    """With kappa 1 at the step's start, in its unit, and what is known of kappa and Q."""
    pairs = []
    for c in COMPONENTS:
        for k in range(WEIGHT):
            if kind.kernel is not None:
                rate = kind.kernel**k / factorial(k)
                pairs.append((numbered("kappa", k, c), RING(QQ(rate.numerator, rate.denominator))))
            elif k == 0:
                pairs.append((numbered("kappa", 0, c), ONE))
    if kind.noise is not None:
        for k in range(1, WEIGHT):
            rate = kind.noise**k / factorial(k)
            scaled = numbered("q", 0, "xx") * QQ(rate.numerator, rate.denominator)
            pairs.append((numbered("q", k, "xx"), scaled))
    return coefficient.compose(pairs)


class _Expansion:
    """One step of a word, and what it refers to of the steps before."""

    def __init__(self, program: Program, kind: _Kind, sizes: tuple[Any, ...]) -> None:
        self.program, self.kind, self.sizes = program, kind, sizes
        self.components = kind.components
        marks = {Fraction(0), Fraction(1)}
        for op in program.holds:
            marks |= {op.start, op.stop}
        ordered = sorted(marks)
        self.stretches = list(pairwise(ordered))
        """Those between which the noise of a step is drawn."""
        self.deepest = 0

    def error(self) -> Weighted:
        """Exact minus scheme in E phi by weight, averaged over the past."""
        deltas = self.state(0, len(self.program.instructions), WEIGHT)
        total = taylor(leaf(PHI), deltas, WEIGHT, 0, ONE)
        for stretch in self.stretches:
            total = averaged(
                total,
                {c: _noise(0, stretch, c) for c in self.components},
                {pair: self.covariance("".join(pair), stretch) for pair in self.pairs},
            )
        total = minus(flowed(single(leaf(PHI)), LENGTH, self.components, {}), total)
        for j in range(1, self.deepest + 1):
            for stretch in reversed(self.stretches):
                length = number(stretch[1] - stretch[0]) * self.sizes[j - 1]
                names = {c: _noise(j, stretch, c) for c in self.components}
                total = flowed(total, length, self.components, names)
            total = [older(terms) for terms in total]
        return total

    def start(self, j: int) -> Any:
        """Where the j-th step before starts, in h."""
        return -sum(self.sizes[:j], NO_LENGTH)

    def size(self, j: int) -> Any:
        return self.sizes[j - 1] if j else LENGTH

    def state(self, j: int, stop: int, weight: int) -> dict[str, Weighted]:
        """What the instructions before `stop` of the j-th step before add to its first state."""
        zero = {c: nothing(weight) for c in self.components}
        states, state, at = {Fraction(0): zero}, zero, Fraction(0)
        for index, op in enumerate(self.program.instructions[:stop]):
            if isinstance(op, Hold):
                before = states[op.start] if op.restarts else state
                nodes = self.nodes(j, index, op.through, weight - 2)
                state = self.held(op, j, before, nodes, weight)
                at = op.stop
                states[at] = state
        return state

    def nodes(self, j: int, index: int, count: int, weight: int) -> list[tuple[Any, Weighted]]:
        """The last `count` evaluations before an instruction, oldest first: places and values."""
        found: list[tuple[Any, Weighted]] = []
        while len(found) < count:
            for i in reversed(range(index)):
                op = self.program.instructions[i]
                if isinstance(op, Evaluate) and len(found) < count:
                    place = self.start(j) + number(op.at) * self.size(j)
                    found.append((place, self.value(j, i, op, max(weight, 0))))
            j, index = j + 1, len(self.program.instructions)
            if j > len(self.sizes):
                raise ValueError(
                    f"{len(self.sizes)} earlier steps at most are looked back upon where weak "
                    "orders are derived"
                )
        return found[::-1]

    def value(self, j: int, index: int, op: Evaluate, weight: int) -> Weighted:
        """The prediction where an evaluation stands, around the first state of its step."""
        rest = self.program.instructions[index:]
        if op.at == 1 and not any(isinstance(each, Hold) for each in rest):
            return self.at_base(j - 1, weight)  # the step's last state
        if op.at == 0 or weight < 1:
            return self.at_base(j, weight)
        deltas = self.state(j, index, weight)
        self.deepest = max(self.deepest, j)
        move = number(op.at) * self.size(j)
        return taylor(leaf(name_of(j)), deltas, weight, move, ONE)

    def at_base(self, j: int, weight: int) -> Weighted:
        self.deepest = max(self.deepest, j)
        return [{leaf(name_of(j)): ONE}, *nothing(weight)[1:]]

    def held(
        self,
        op: Hold,
        j: int,
        before: dict[str, Weighted],
        nodes: Sequence[tuple[Any, Weighted]],
        weight: int,
    ) -> dict[str, Weighted]:
        a, b = (self.start(j) + number(at) * self.size(j) for at in (op.start, op.stop))
        result = {}
        for c in self.components:
            keep, gains = self.coefficients(op, c, a, b, [place for place, _ in nodes])
            total = times_series(keep, before[c], weight)
            if self.kind.ddim is not None:  # more than the state itself is kept
                added = times_series([ZERO, *keep[1:]], single(leaf(c), weight), weight)
                total = total_of(total, added)
            for gain, (_, value) in zip(gains, nodes, strict=True):
                total = total_of(total, times_series(gain, value, weight))
            for stretch in self.stretches:
                if op.start <= stretch[0] and stretch[1] <= op.stop and weight >= 1:
                    accumulate(total[1], leaf(_noise(j, stretch, c)), ONE)
            result[c] = total
        return result

    def coefficients(
        self, op: Hold, c: str, a: Any, b: Any, places: Sequence[Any]
    ) -> tuple[Sequence[Any], list[Sequence[Any]]]:
        """Of the state, by powers of h, and of the evaluations."""
        kernel = [numbered("kappa", k, c) for k in range(WEIGHT)]
        one = [ONE, *([ZERO] * HIGHEST)]
        if self.kind.ddim is None:
            moments = [moment(kernel, a, b, k) for k in range(len(places))]
            rule = op.rule(moments, at_end(kernel, a, b))
            inside = [(place - a) / (b - a) for place in places]
            return one, list(weights(inside, [Series(each) for each in rule]))
        # the root of 1 - eta^2 (1 - e^(-2 h)), by powers of b - a
        more = self.kind.ddim**2
        fallen = [more * Fraction((-2) ** k, factorial(k)) for k in range(1, HIGHEST + 1)]
        root = root_of([Fraction(1), *fallen])
        lengths = [power(b - a, k) for k in range(HIGHEST + 1)]
        own = [RING(number(r) * length) for r, length in zip(root, lengths, strict=True)]
        grown = convolved(own, _exponential(more, b - a))
        gain = [
            x - y
            for x, y in zip(
                _exponential(1 + more, b),
                convolved(own, convolved(_exponential(more, b), _exponential(1, a))),
                strict=True,
            )
        ]
        share = kernel[0] * QQ(1, 1) / number(1 + more)
        return grown, [[share * g for g in gain]]

    def covariance(self, pair: str, stretch: Stretch) -> list[Any]:
        """Of the noise of a stretch of this step, by powers of h."""
        a, b = (number(at) for at in stretch)
        if self.kind.ddim is not None:
            more = self.kind.ddim**2
            fallen = [-c for c in _exponential(-2, b - a)]
            fallen[0] += ONE
            grown = convolved(fallen, _exponential(2 * more, b))
            return [numbered("q", 0, pair) * c / 2 for c in grown]
        result = [ZERO]
        for k in range(HIGHEST):
            total = (power(b, k + 1) - power(a, k + 1)) / (k + 1)
            result.append(numbered("q", k, pair) * total)
        return result

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return list(combinations_with_replacement(self.components, 2))


def _noise(j: int, stretch: Stretch, component: str) -> str:
    """The name of a step's noise in a stretch: a leaf of the trees."""
    return f"~{j}~{stretch[0]}~{stretch[1]}~{component}"


def _exponential(rate: Any, place: Any) -> list[Any]:
    """e^(rate place h) by powers of h."""
    rate = Fraction(rate)
    return [RING(number(rate**k / factorial(k)) * power(place, k)) for k in range(HIGHEST + 1)]


def root_of(series: Sequence[Fraction]) -> list[Fraction]:
    """Of a series that begins with 1."""
    found = [Fraction(1)]
    for k in range(1, len(series)):
        inner = sum((found[i] * found[k - i] for i in range(1, k)), Fraction(0))
        found.append((series[k] - inner) / 2)
    return found


def convolved(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    result = [ZERO] * (HIGHEST + 1)
    for i, x in enumerate(one):
        for k, y in enumerate(other[: HIGHEST + 1 - i]):
            result[i + k] += x * y
    return result
