"""Local error and order of ODE words that hold a prediction, ratios of steps as symbols.

In its clock u and with the linear part taken out, the probability flow is y' = kappa(u) P(u, y):
for the data prediction in lambda y = x/sigma and kappa = e^u, for eps in rho y = x/alpha and kappa
= 1; for data held on PSLD y = R^-1 z and kappa = d(R^-1 mu)/du, a pair.

Along the exact path P has the derivatives P', P'', ... Evaluations of earlier steps stand on
the exact path, or are off by what the word's own predictor leaves there; those of this step are off
by the errors of their stages, on which P depends through its Jacobian J. So the error is a
polynomial in h, rational in the ratios

    r1, r2, ...   lengths of the step before, the one before that, ..., in the clock, over its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, reduce
from math import factorial
from typing import Any

import sympy
from sympy import QQ
from sympy.polys.rings import ring

from splitting_analysis.clocks import Clock
from splitting_analysis.held_weights import (
    FIELD,
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

EFFORTS = ((6, 1), (10, 2))
"""Powers of h up to which errors are expanded, and the steps back from an evaluation of an earlier
step up to which what its state is off counts; the second where the first leaves nothing."""

SHORT = 40
"""Terms of a coefficient whose factors are looked for."""
WITH_RATIOS = 5
"""The highest power whose coefficient is written with ratios of steps as symbols: beyond, it takes
minutes, and is that of equal steps."""

_MOST = EFFORTS[-1][0]
_NAMES = [f"P{k}" for k in range(_MOST)] + [f"kappa{k}" for k in range(1, _MOST)]
_NAMES += ["J"] + [f"J{k}" for k in range(1, _MOST)]
_RING, *_ELEMENTS = ring(_NAMES, FIELD.to_domain())
_BY_NAME = dict(zip(_NAMES, _ELEMENTS, strict=True))
_ZERO, _ONE = _RING(0), _RING(1)
_DERIVATIVES = [_BY_NAME[f"P{k}"] for k in range(_MOST)]
_JACOBIANS = [_BY_NAME["J"]] + [_BY_NAME[f"J{k}"] for k in range(1, _MOST)]
Node = tuple[Any, Series]
"""Where an evaluation stands, in units of h, and its value."""


@dataclass(frozen=True)
class HeldError:
    """The leading term h^power * coefficient of exact minus scheme, per unit of the linear part.

    In the symbols r1, r2, ... (ratios), P1, P2, ... (derivatives of the prediction along the exact
    path in the clock), kappa1, ... (Taylor coefficients of the kernel where it is not known), J
    (the Jacobian of P times the kernel's unit) and J1, ... (its derivatives along the path).
    """

    power: int
    coefficient: sympy.Expr
    equal_steps: bool = False
    """Whether all ratios are 1 in it."""

    @property
    def order(self) -> int:
        """Of the global error, for a fixed ratio of steps."""
        return self.power - 1


def held_error(scheme: Scheme) -> HeldError:
    """The leading local error of an ODE word that holds a prediction, in the middle of a run.

    Raises ValueError for other words, and where nothing is left through the powers that are looked
    at.
    """
    own = leading_power(scheme)
    found = _leading(scheme.program, scheme.in_clock, scheme.holds_pair, own)
    if found is None:  # equal steps may be better by chance
        raise ValueError(
            f"{scheme.name}: its order is {own - 1}; no formula of its leading error was found"
        )
    if scheme.holds_pair and _mixes(found.coefficient):
        raise ValueError(
            f"{scheme.name}: its leading error, h^{found.power}, mixes the kernels of position and "
            f"momentum, which has no formula here; its order is {found.order}"
        )
    return found


def _mixes(coefficient: sympy.Expr) -> bool:
    """Whether a product of J, which sums over the components, with one's own kernel occurs."""
    terms = sympy.Add.make_args(sympy.expand(coefficient))
    names = ({str(symbol)[0] for symbol in term.free_symbols} for term in terms)
    return any({"J", "k"} <= each for each in names)


def leading_power(scheme: Scheme) -> int:
    """`held_error(scheme).power` alone, from ratios of steps that are numbers: many times as fast.

    What does not vanish there does not vanish as a function of the ratios. Raises ValueError as
    `held_error`.
    """
    _check(scheme)
    found, _, highest = _first(scheme.program, scheme.in_clock, scheme.holds_pair)
    if found is None:
        raise _beyond(scheme, highest)
    return found


def _beyond(scheme: Scheme, highest: int) -> ValueError:
    """What is said where nothing is left through h^highest."""
    return ValueError(
        f"{scheme.name}: its order is {highest} or higher, and orders beyond {highest - 1} are not "
        "derived where a prediction is held"
    )


def _check(scheme: Scheme) -> None:
    if not scheme.program.holds or scheme.dynamics != "ode":
        raise ValueError(
            f"{scheme.name}: this is the error of ODE words that hold a prediction; that of an "
            "SDE's is held_weak.weak_held_error(scheme)"
        )


@cache
def _leading(program: Program, clock: Clock, pair: bool, own: int) -> HeldError | None:
    """The error in h^own, if any, with ratios of steps as symbols or all of them 1."""
    _, depth, _ = _first(program, clock, pair)
    step = _Step(program, _kernel(program.holds[0].held.prediction, clock, pair)[:own])
    equal = own > WITH_RATIOS or step.back(depth) > len(SIZES)
    sizes = (LENGTH,) * len(SOME_RATIOS) if equal else tuple(SIZES)
    coefficient = step.error(sizes, depth)[own]
    return HeldError(own, _over_one_denominator(coefficient), equal) if coefficient else None


def _over_one_denominator(coefficient: Any) -> sympy.Expr:
    """A sum over the ring as one fraction, factored where it is short: what is long rarely has
    factors, and looking for them takes seconds.
    """
    parts = dict(coefficient).values()
    below = reduce(lambda a, b: a.lcm(b), (part.denom for part in parts))
    above = sympy.expand((coefficient * FIELD(below)).as_expr())
    if len(sympy.Add.make_args(above)) <= SHORT:
        return sympy.factor(above / below.as_expr())
    content, rest = above.primitive()
    return content * rest / sympy.factor(below.as_expr())


@cache
def _first(program: Program, clock: Clock, pair: bool) -> tuple[int | None, int, int]:
    """The leading error's power, if any, with ratios that are numbers, the steps back that count
    for it, and the highest power that is looked at.
    """
    depth = highest = 0
    for powers, depth in EFFORTS:
        step = _Step(program, _kernel(program.holds[0].held.prediction, clock, pair)[:powers])
        error = step.error(SOME_RATIOS, depth)
        # beyond, P depends on squares of what stages are off, and on what is off further back
        highest = min(powers - 1, 2 * step.smallest, step.smallest_before + depth)
        for found, coefficient in enumerate(error[: highest + 1]):
            if coefficient:
                return found, depth, highest
    return None, depth, highest


def _kernel(prediction: Prediction, clock: Clock, pair: bool) -> list[Any]:
    """Taylor coefficients of kappa at the step's start, in the clock; of a pair those of either
    component of d(R^-1 mu)/du, whose first is 1 in the component's own unit.
    """
    match prediction, None if pair else clock:
        case Prediction.DATA, "lambda":
            return [_RING(QQ(1, factorial(m))) for m in range(_MOST)]
        case Prediction.EPS, "lambda":
            return [_RING(QQ((-1) ** m, factorial(m))) for m in range(_MOST)]
        case (Prediction.EPS, "rho") | (Prediction.VELOCITY, "tau"):
            return [_ONE, *([_ZERO] * (_MOST - 1))]
    return [_ONE, *(_BY_NAME[f"kappa{m}"] for m in range(1, _MOST))]


class _Step:
    """Steps of a program along the exact path, expanded through as many powers of h as its kernel
    has.
    """

    def __init__(self, program: Program, kernel: list[Any]) -> None:
        self.program, self.kernel, self.powers = program, kernel, len(kernel)
        self.smallest = self.smallest_before = self.powers
        """The lowest power of h in the error of any state at which this step, or one before,
        evaluates."""

    def zero(self) -> Series:
        return Series([_ZERO] * (self.powers + 1))

    def error(self, sizes: Sequence[Any], depth: int) -> Series:
        """Exact minus scheme after one step of length h that follows steps of lengths `sizes` h."""
        if self.back(depth) > len(sizes):
            raise ValueError(
                f"{len(sizes)} earlier steps at most are looked back upon where orders are derived "
                f"of held predictions, and {self.back(depth)} would be needed here"
            )
        nodes = self.earlier(NO_LENGTH, sizes, self.program.history, depth)
        error, _, smallest = self.run(NO_LENGTH, LENGTH, nodes)
        self.smallest = min(smallest, self.smallest_before)
        return error

    def back(self, depth: int) -> int:
        """How many earlier steps are needed."""
        once = -(-self.program.history // self.program.evaluations)
        return once if self.exact else once * (1 + depth)

    @property
    def exact(self) -> bool:
        """Whether all that it evaluates are states at a step's start or end, exact before."""
        ops = self.program.instructions
        ends = isinstance(ops[-1], Evaluate)
        times = [op.at for op in ops if isinstance(op, Evaluate)]
        return all(at == 0 or (ends and at == 1) for at in times)

    def earlier(self, start: Any, sizes: Sequence[Any], count: int, depth: int) -> list[Node]:
        """The last `count` evaluations before the step from `start`, oldest first."""
        found: list[Node] = []
        for i, size in enumerate(sizes):
            if len(found) >= count:
                return found[len(found) - count :]
            start = start - size
            found = self.made(start, size, sizes[i + 1 :], depth) + found
        return found[len(found) - count :]

    def made(self, start: Any, size: Any, sizes: Sequence[Any], depth: int) -> list[Node]:
        """The evaluations of an earlier step: on the exact path, or off by what the step itself
        leaves there.
        """
        if not depth or self.exact:
            times = [op.at for op in self.program.instructions if isinstance(op, Evaluate)]
            places = [start + number(at) * size for at in times]
            return [(place, self.values(place, self.zero())) for place in places]
        # what is off there comes in times h: a power less of it is needed
        step = _Step(self.program, self.kernel[:-1])
        nodes = step.earlier(start, sizes, self.program.history, depth - 1)
        _, made, smallest = step.run(start, size, nodes)
        self.smallest_before = min(self.smallest_before, smallest, step.smallest_before)
        return made

    def run(self, start: Any, size: Any, nodes: Sequence[Node]) -> tuple[Series, list[Node], int]:
        """Exact minus scheme after the step from `start`, its evaluations, and the lowest power of
        h in the error of their states.
        """
        nodes, count, smallest = list(nodes), len(nodes), self.powers
        error, states, at = self.zero(), {Fraction(0): self.zero()}, Fraction(0)
        for op in self.program.instructions:
            if isinstance(op, Evaluate):
                here = states[at]
                if at:
                    smallest = min(smallest, _lowest(here))
                place = start + number(at) * size
                nodes.append((place, self.values(place, Series([-e for e in here]))))
            elif isinstance(op, Hold):
                before = states[op.start] if op.restarts else states[at]
                left = self.left(op, start, size, nodes)
                error = Series([a + b for a, b in zip(before, left, strict=True)])
                at, states[op.stop] = op.stop, error
        return error, nodes[count:], smallest

    def values(self, place: Any, off: Series) -> Series:
        """The prediction at `place` h on the exact path, and what it is off where y is: J off."""
        series = self.zero()
        for k in range(min(self.powers + 1, _MOST)):
            share = power(place, k) / factorial(k)
            series[k] += _DERIVATIVES[k] * share
            for i, c in enumerate(off[: self.powers + 1 - k]):
                if c:
                    series[i + k] += _JACOBIANS[k] * share * c
        return series

    def left(self, op: Hold, start: Any, size: Any, nodes: Sequence[Node]) -> Series:
        """The integral of kappa P over the op's stretch, minus the weighted evaluations."""
        through = nodes[-op.through :]
        a, b = start + number(op.start) * size, start + number(op.stop) * size
        exact = self.zero()
        for k in range(self.powers):
            for m in range(self.powers - k):
                total = (power(b, k + m + 1) - power(a, k + m + 1)) / (k + m + 1)
                exact[k + m + 1] += _DERIVATIVES[k] / factorial(k) * self.kernel[m] * total
        moments = [moment(self.kernel, a, b, k) for k in range(len(through))]
        rule = [Series(each) for each in op.rule(moments, at_end(self.kernel, a, b))]
        places = [(place - a) / (b - a) for place, _ in through]
        for weight, (_, values) in zip(weights(places, rule), through, strict=True):
            for i, w in enumerate(weight):
                if w:
                    for j, value in enumerate(values[: self.powers + 1 - i]):
                        exact[i + j] -= w * value
        return exact


def _lowest(series: Series) -> int:
    return next((k for k, c in enumerate(series) if c), len(series) - 1)
