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
from functools import cache
from itertools import takewhile
from math import comb, factorial
from typing import Any

import sympy
from sympy import QQ
from sympy.polys.fields import field
from sympy.polys.rings import ring

from splitting_analysis.clocks import Clock
from splitting_analysis.predictions import Prediction
from splitting_analysis.program import Evaluate, Hold, Program
from splitting_analysis.schemes import Scheme

POWERS = 6
"""Of h, up to which errors are expanded."""
RATIOS = 8
_SOME_RATIOS = (3, 5, 7, 11, 13, 17, 19, 23)
"""Ratios of steps, each over 12, among which no power of h vanishes by chance."""

# Only ratios are divided by: lengths and places are rational functions of them, series polynomials
# in the rest with such coefficients. A field of all symbols would look for common factors in vain.
_FIELD, *_RATIOS = field([f"r{i}" for i in range(1, RATIOS + 1)], QQ)
_NAMES = [f"P{k}" for k in range(POWERS)] + [f"kappa{k}" for k in range(1, POWERS)] + ["J", "J1"]
_RING, *_ELEMENTS = ring(_NAMES, _FIELD.to_domain())
_BY_NAME = dict(zip(_NAMES, _ELEMENTS, strict=True))
_NO_LENGTH, _LENGTH = _FIELD(0), _FIELD(1)
_ZERO, _ONE = _RING(0), _RING(1)
_DERIVATIVES = [_BY_NAME[f"P{k}"] for k in range(POWERS)]
Series = list[Any]
"""Coefficients of h^0, ..., h^POWERS."""


@dataclass(frozen=True)
class HeldError:
    """The leading term h^power * coefficient of exact minus scheme, per unit of the linear part.

    In the symbols r1, r2, ... (ratios), P1, P2, ... (derivatives of the prediction along the exact
    path in the clock), kappa1, ... (Taylor coefficients of the kernel where it is not known), J
    (the Jacobian of P times the kernel's unit) and J1 (its derivative along the path).
    """

    power: int
    coefficient: sympy.Expr

    @property
    def order(self) -> int:
        """Of the global error, for a fixed ratio of steps."""
        return self.power - 1


def held_error(scheme: Scheme) -> HeldError:
    """The leading local error of an ODE word that holds a prediction, in the middle of a run.

    Raises ValueError for other words, and where nothing is left through the powers that are looked
    at.
    """
    _check(scheme)
    found, highest = _leading(scheme.program, scheme.in_clock, scheme.holds_pair)
    if found is None:
        raise _beyond(scheme, highest)
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
    sizes = tuple(_FIELD(QQ(ratio, 12)) for ratio in _SOME_RATIOS)
    found, _, highest = _first(scheme.program, scheme.in_clock, sizes, scheme.holds_pair)
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
            f"{scheme.name}: orders of held predictions are derived for the ODE; the weak order "
            "of its SDE is not derived yet, but seen on Gaussian targets: gaussian gives its exact "
            "errors"
        )


@cache
def _leading(program: Program, clock: Clock, pair: bool) -> tuple[HeldError | None, int]:
    """The leading error, if any, and the highest power of h at which nothing would be left out."""
    power, coefficient, highest = _first(program, clock, tuple(_RATIOS), pair)
    if power is None:
        return None, highest
    return HeldError(power, sympy.factor(coefficient.as_expr())), highest


@cache
def _first(
    program: Program, clock: Clock, sizes: tuple[Any, ...], pair: bool
) -> tuple[int | None, Any, int]:
    """Power and coefficient of the leading error, if any, and the highest power that is looked
    at.
    """
    error, smallest = _step_error(program, clock, _LENGTH, sizes, pair)
    highest = min(POWERS - 1, 2 * smallest)  # beyond, P depends on squares of what stages are off
    for power, coefficient in enumerate(error[: highest + 1]):
        if coefficient:
            return power, coefficient, highest
    return None, None, highest


def _kernel(prediction: Prediction, clock: Clock, pair: bool) -> Series:
    """Taylor coefficients of kappa at the step's start, in the clock; of a pair those of either
    component of d(R^-1 mu)/du, whose first is 1 in the component's own unit.
    """
    match prediction, None if pair else clock:
        case Prediction.DATA, "lambda":
            return [_RING(QQ(1, factorial(m))) for m in range(POWERS + 1)]
        case Prediction.EPS, "lambda":
            return [_RING(QQ((-1) ** m, factorial(m))) for m in range(POWERS + 1)]
        case (Prediction.EPS, "rho") | (Prediction.VELOCITY, "tau"):
            return [_ONE, *([_ZERO] * POWERS)]
    return [_ONE, *(_BY_NAME[f"kappa{m}"] for m in range(1, POWERS)), _ZERO]


def _step_error(
    program: Program, clock: Clock, size: Any, sizes: Sequence[Any], pair: bool
) -> tuple[Series, int]:
    """Exact minus scheme after one step of length `size` h that follows steps of lengths `sizes` h.

    Second, the lowest power of h in the error of any state at which this step evaluates.
    """
    kernel = _kernel(program.holds[0].held.prediction, clock, pair)
    times = [op.at for op in program.instructions if isinstance(op, Evaluate)]
    nodes: list[tuple[Any, Series]] = []
    smallest = POWERS
    # evaluations of earlier steps, newest last
    start = _NO_LENGTH
    earlier: list[tuple[Any, Series]] = []
    for i, length in enumerate(sizes):
        start = start - length
        if len(earlier) >= program.history:
            break
        off = [[_ZERO] * (POWERS + 1) for _ in times]
        if program.carries_score and len(times) == 1 and i + 1 < len(sizes):
            off[0] = _predictor(program, kernel, length, sizes[i + 1 :])
            smallest = min(smallest, _lowest(off[0]))
        places = [start + _number(at) * length for at in times]
        earlier += reversed(list(zip(places, off, strict=True)))
    nodes = [(place, _values(place, d)) for place, d in reversed(earlier[: program.history])]
    error, states = [_ZERO] * (POWERS + 1), {Fraction(0): [_ZERO] * (POWERS + 1)}
    at = Fraction(0)
    for op in program.instructions:
        if isinstance(op, Evaluate):
            here = states[at]
            if at:
                smallest = min(smallest, _lowest(here))
            place = _number(at) * size
            nodes.append((place, _values(place, [-e for e in here])))
        elif isinstance(op, Hold):
            before = states[op.start] if op.restarts else states[at]
            error = [
                a + b for a, b in zip(before, _hold_error(op, kernel, size, nodes), strict=True)
            ]
            at, states[op.stop] = op.stop, error
    return error, smallest


def _predictor(program: Program, kernel: Series, size: Any, sizes: Sequence[Any]) -> Series:
    """The scheme minus exact at a step's last evaluation, its earlier ones taken as exact."""
    holds = takewhile(lambda op: not isinstance(op, Evaluate), program.instructions)
    start, nodes = _NO_LENGTH, []
    for length in [_NO_LENGTH, *sizes]:  # carried: an evaluation at the start of every step
        start = start - length
        nodes.append((start, _values(start, [_ZERO] * (POWERS + 1))))
    nodes.reverse()
    error = [_ZERO] * (POWERS + 1)
    for op in holds:
        if isinstance(op, Hold):
            error = _hold_error(op, kernel, size, nodes)
    return [-e for e in error]


def _lowest(series: Series) -> int:
    return next((k for k, c in enumerate(series) if c), POWERS)


def _number(value: Fraction) -> Any:
    return _FIELD(QQ(value.numerator, value.denominator))


def _power(base: Any, exponent: int) -> Any:
    """base^exponent; SymPy's fields refuse 0^0."""
    return base**exponent if exponent else _LENGTH


def _values(place: Any, off: Series) -> Series:
    """The prediction at `place` h on the exact path, and what it is off where y is: J off."""
    exact = [_DERIVATIVES[k] * _power(place, k) / factorial(k) for k in range(POWERS)] + [_ZERO]
    moved = [_BY_NAME["J"] * c for c in off]
    later = [_ZERO, *(_BY_NAME["J1"] * place * c for c in off[:-1])]
    return [a + b + c for a, b, c in zip(exact, moved, later, strict=True)]


def _hold_error(op: Hold, kernel: Series, size: Any, nodes: Sequence[tuple[Any, Series]]) -> Series:
    """The integral of kappa P over the op's stretch, minus the weighted evaluations."""
    through = nodes[-op.through :]
    a, b = _number(op.start) * size, _number(op.stop) * size
    exact = [_ZERO] * (POWERS + 1)
    for k in range(POWERS):
        for m in range(POWERS - k):
            total = (_power(b, k + m + 1) - _power(a, k + m + 1)) / (k + m + 1)
            exact[k + m + 1] += _DERIVATIVES[k] / factorial(k) * kernel[m] * total
    moments = [_moment(kernel, a, b, k) for k in range(len(through))]
    at_end = [_ZERO, *(kernel[m] * _power(b, m) * (b - a) for m in range(POWERS))]
    rule = [_Series(m) for m in moments]
    weights = _weights(
        [(place - a) / (b - a) for place, _ in through], op.rule(rule, _Series(at_end))
    )
    for weight, (_, values) in zip(weights, through, strict=True):
        for i, w in enumerate(weight):
            if w:
                for j, value in enumerate(values[: POWERS + 1 - i]):
                    exact[i + j] -= w * value
    return exact


def _moment(kernel: Series, a: Any, b: Any, k: int) -> Series:
    """The integral of kappa theta^k over the stretch from a h to b h, theta from 0 to 1 in it."""
    result = [_ZERO] * (POWERS + 1)
    for m in range(POWERS):
        # u = a + (b - a) theta, and du = h (b - a) dtheta
        total = sum(
            (
                comb(m, i) * _power(a, m - i) * (b - a) ** (i + 1) / (i + k + 1)
                for i in range(m + 1)
            ),
            _NO_LENGTH,
        )
        result[m + 1] = kernel[m] * total
    return result


class _Series(list[Any]):
    """Coefficients by power of h that a rule may multiply and divide."""

    def __rmul__(self, number: Any) -> _Series:
        return _Series([number * c for c in self])

    def __truediv__(self, number: int) -> _Series:
        return _Series([c / number for c in self])


def _weights(places: Sequence[Any], moments: Sequence[Series]) -> list[Series]:
    """Lagrange's polynomials with theta^k replaced by its moment."""
    result = []
    for j, own in enumerate(places):
        polynomial = [_LENGTH]
        for i, other in enumerate(places):
            if i != j:
                shifted = [_NO_LENGTH, *polynomial]
                stretched = [*(c * other for c in polynomial), _NO_LENGTH]
                polynomial = [
                    (x - y) / (own - other) for x, y in zip(shifted, stretched, strict=True)
                ]
        series = [_ZERO] * (POWERS + 1)
        for c, moment in zip(polynomial, moments, strict=True):
            series = [s + c * m for s, m in zip(series, moment, strict=True)]
        result.append(series)
    return result
