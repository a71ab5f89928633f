"""Strong local error: the leading mean square of exact minus scheme on one Brownian path.

Noise enters as integrals of kernels against the path over [t, t + h]: with u in [0, 1] the time
within the step, a piece that covers [a, b] of it contributes g dW on [a, b], and the exact
Ornstein-Uhlenbeck flow a correction with the kernel b - u. Products of such integrals average to
integrals of products of kernels (Ito's isometry), which are rational numbers. lambda_s scales the
path of the position by root lambda_s.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement
from math import isqrt
from typing import Literal, NamedTuple

from sympy.polys.rings import PolyElement

from splitting_analysis.algebra import algebra, with_kinds
from splitting_analysis.errors import LocalError
from splitting_analysis.expansion import (
    Flow,
    NoiseRule,
    begin,
    compose,
    drift_terms,
    generator,
    run,
)
from splitting_analysis.models import Rule
from splitting_analysis.noise import block_of
from splitting_analysis.program import Advance
from splitting_analysis.rules import flows, matrix_power
from splitting_analysis.schemes import Scheme
from splitting_analysis.symbols import pair, unit
from splitting_analysis.trees import (
    MOMENT,
    Combination,
    Noise,
    Tree,
    accumulate,
    derivative,
    is_noise,
    leaf,
    linear,
    noises,
    replace_leaves,
)
from splitting_analysis.weak import bend_of, carried_score, kinds_of, refuse_held

_WEIGHT = 3
"""h^(3/2): the first order at which additive noise and a consistent drift can disagree."""
_LATER = 5
"""h^(5/2): where they first disagree if the noise passes through the position exactly, too."""


Errors = dict[str, list[Combination]]


class Kernel(NamedTuple):
    """A polynomial in u on [start, stop], in units of the step; coefficients of 1, u, u^2, ..."""

    start: Fraction
    stop: Fraction
    coefficients: tuple[Fraction, ...]

    def inner(self, other: Kernel) -> Fraction:
        """The integral of the product."""
        low, high = max(self.start, other.start), min(self.stop, other.stop)
        if low >= high:
            return Fraction(0)
        return sum(
            (
                a * b * (high ** (i + j + 1) - low ** (i + j + 1)) / (i + j + 1)
                for i, a in enumerate(self.coefficients)
                for j, b in enumerate(other.coefficients)
            ),
            Fraction(0),
        )


def _kernels(block: str, start: Fraction, stop: Fraction) -> dict[str, Kernel]:
    """What noise on [start, stop] of the step is integrated against: 1; the time that is left of
    it, and half of that squared, for what acts on it meanwhile; u, for a rate that moves.
    """
    one, half = Fraction(1), Fraction(1, 2)
    return {
        block: Kernel(start, stop, (one,)),
        block + "late": Kernel(start, stop, (stop, -one)),
        block + "later": Kernel(start, stop, (half * stop**2, -stop, half)),
        block + "drift": Kernel(start, stop, (0 * one, one)),
    }


def _path_noise(root: PolyElement, kernels: dict[str, Kernel]) -> NoiseRule:
    """Noise as integrals against the path, that of a tuned component times `root`."""

    def draw(flow: Flow, op: Advance, origin: int) -> None:
        a, piece, block = algebra(), op.piece, block_of(op, origin)
        matrix, noise = piece.linear(a.p), piece.noise(a.p)
        kernels.update(_kernels(block, op.start + origin, op.stop + origin))
        square = matrix_power(matrix, 2)
        rate = a.betas[0] if flow.model.time_dependent else a.one
        for q, c in enumerate(flow.model.components):
            if not noise[q]:
                continue
            scale = root if q == piece.tuned else a.one
            accumulate(flow.state[c][1], leaf(Noise(block, c)), scale)
            if piece.rule is Rule.MIDPOINT:  # at once, then (1 - b linear/2)^-1
                half = a.number(op.share / 2) * rate * matrix[q][q]
                accumulate(flow.state[c][3], leaf(Noise(block, c)), scale * half)
                if flow.weight >= _LATER:
                    accumulate(flow.state[c][_LATER], leaf(Noise(block, c)), scale * half * half)
            if not flows(piece):
                continue  # the noise comes in at once, at the rate of the step's start
            for i, d in enumerate(flow.model.components):
                if matrix[i][q]:
                    late = leaf(Noise(block + "late", c))
                    accumulate(flow.state[d][3], late, scale * rate * matrix[i][q])
                if i == q and piece.fading:
                    late, share = leaf(Noise(block + "late", c)), a.number(piece.fading)
                    accumulate(flow.state[d][3], late, scale * a.fadings[0] * share)
                if flow.weight >= _LATER and square[i][q]:
                    later = leaf(Noise(block + "later", c))
                    accumulate(flow.state[d][_LATER], later, scale * square[i][q])
            if flow.model.time_dependent:
                growth = scale * a.betas[1] * a.ibeta * a.number(Fraction(-1, 2))
                accumulate(flow.state[c][3], leaf(Noise(block + "drift", c)), growth)

    return draw


@cache
def strong_error(scheme: Scheme) -> LocalError:
    """E[err_a . err_b] to leading order, err = exact - scheme with the Brownian path shared.

    Keys "xx", "xm", "mm" (d x d matrices in R^d). terms[3] is the usual leading coefficient, and
    the strong global order is then 1. Where a free lambda_s or missing noise makes the scheme
    inconsistent, terms[1] is the leading one and nothing else is returned. Where the noise passes
    exactly through the position (langevin's U), it is terms[5], for strong order 2, or terms[4].
    The root of a fixed lambda_s that is no rational number stays a symbol.
    Raises ValueError for a scheme without noise.
    """
    refuse_held(scheme)
    if scheme.program.held_piece:
        raise ValueError(
            f"{scheme.name}: the strong error of a word whose pieces hold a prediction is not "
            "derived; its weak one is"
        )
    if scheme.dynamics != "sde":
        raise ValueError(f"{scheme.name} is deterministic: it has no strong error, only an ODE one")
    with with_kinds(*kinds_of(scheme)):
        return _strong_error(scheme)


def _strong_error(scheme: Scheme) -> LocalError:
    model = scheme.model
    value = scheme.lambda_s.value
    errors, kernels, moved = _errors(scheme, _WEIGHT)
    terms = {power: _mean_squares(scheme, kernels, errors, power) for power in (1, 3)}
    if value != "free":
        terms = {power: _at_lambda(by_key, value) for power, by_key in terms.items()}
    terms = {1: terms[1]} if any(terms[1].values()) else {3: terms[3]}
    if not (moved or model.time_dependent or any(v for by in terms.values() for v in by.values())):
        terms = _later(scheme)
    return LocalError(scheme.name, str(scheme.word), model, "strong", terms, (scheme,))


def _errors(scheme: Scheme, weight: int) -> tuple[Errors, dict[str, Kernel], bool]:
    """Exact minus scheme by component, a series through `weight`; the kernels of its noise; and
    whether the base point is one before the step's start.
    """
    kernels: dict[str, Kernel] = {}
    rule = _path_noise(_root(scheme.lambda_s.value), kernels)
    flow = begin(scheme.model, weight, bend_of(scheme))
    carried, moved = carried_score(scheme, flow, rule)
    before = {c: list(series) for c, series in flow.state.items()}
    run(scheme.program.instructions, flow, rule, carried)
    errors: Errors = {}
    for c in scheme.model.components:
        true = _exact(c, flow, before, kernels)
        errors[c] = [linear([(1, true[w]), (-1, flow.state[c][w])]) for w in range(weight + 1)]
    return errors, kernels, moved


def _later(scheme: Scheme) -> dict[int, dict[str, Combination]]:
    """The terms of h^5, or those of h^4, which one mean makes; of h^3, none, where noise acts on
    noise before that.
    """
    errors, kernels, _ = _errors(scheme, _LATER)
    nothing = _mean_squares(scheme, kernels, errors, _WEIGHT)
    counts = {4: 0, _LATER: 1}
    for series in errors.values():
        for power, count in counts.items():
            if any(len(noises(tree)) != count for tree in series[power]):
                return {_WEIGHT: nothing}
    found = {power: _mean_squares(scheme, kernels, errors, power) for power in counts}
    return {4: found[4]} if any(found[4].values()) else {_LATER: found[_LATER]}


def _mean_squares(
    scheme: Scheme, kernels: dict[str, Kernel], errors: Errors, power: int
) -> dict[str, Combination]:
    components = scheme.model.components
    return {
        pair(a, b, components): _mean_square(
            scheme, kernels, a, errors[a][power], b, errors[b][power]
        )
        for a, b in combinations_with_replacement(components, 2)
    }


def _root(value: Fraction | Literal["free"]) -> PolyElement:
    """Root lambda_s, a number where that is rational."""
    if value != "free":
        root = Fraction(isqrt(value.numerator), isqrt(value.denominator))
        if root**2 == value:
            return algebra().number(root) * algebra().one
    return algebra().root_lambda


def _at_lambda(by_key: dict[str, Combination], value: Fraction) -> dict[str, Combination]:
    """The terms at a fixed lambda_s, which products of its root have brought in."""
    known = [(algebra().lambda_s, value)]
    return {
        key: {tree: c for tree, full in combination.items() if (c := full.subs(known))}
        for key, combination in by_key.items()
    }


def _exact(
    component: str, flow: Flow, before: dict[str, list[Combination]], kernels: dict[str, Kernel]
) -> list[Combination]:
    """z + g W + h f + (integral of f'[g W]) through h^(3/2), from the state `before`."""
    a, model = algebra(), flow.model
    whole = "exact"
    kernels.update(_kernels(whole, Fraction(0), Fraction(1)))
    result = [dict(terms) for terms in before[component]]
    drift = drift_terms(model)[component]
    slopes = {"late": drift}
    for w, terms in enumerate(compose(drift, flow, before)[:2]):
        for tree, coefficient in terms.items():
            accumulate(result[w + 2], tree, coefficient)
    if flow.weight >= _LATER:  # from the base point; noise does not act on the drift's slope
        slopes["later"] = generator(model, drift)
        for tree, coefficient in slopes["later"].items():
            accumulate(result[4], tree, coefficient * a.number(Fraction(1, 2)))
    noise = model.drift.noise(a.p)
    for q, c in enumerate(model.components):
        if not noise[q]:
            continue
        for weight, (kernel, slope) in zip((_WEIGHT, _LATER), slopes.items(), strict=False):
            for tree, coefficient in slope.items():
                for new in derivative(tree, c, leaf(Noise(whole + kernel, c)), flow.arguments()):
                    accumulate(result[weight], new, coefficient)
        if c == component:
            accumulate(result[1], leaf(Noise(whole, c)), a.one)
            if model.time_dependent:
                growth = a.betas[1] * a.ibeta * a.number(Fraction(-1, 2))
                accumulate(result[3], leaf(Noise(whole + "drift", c)), growth)
    return result


def _mean_square(
    scheme: Scheme,
    kernels: dict[str, Kernel],
    a: str,
    left: Combination,
    b: str,
    right: Combination,
) -> Combination:
    model, ring = scheme.model, algebra()
    noise = dict(zip(model.components, model.drift.noise(ring.p), strict=True))
    rate = ring.betas[0] if model.time_dependent else ring.one
    result: Combination = {}
    for tree, coefficient in left.items():
        u, path = _split(tree)
        for other, factor in right.items():
            v, other_path = _split(other)
            if path is None or other_path is None:  # two means, where no noise is left
                accumulate(result, _moment(a, u, b, v), coefficient * factor)
                continue
            if path.component != other_path.component:
                continue
            overlap = kernels[path.block].inner(kernels[other_path.block])
            if overlap:
                weight: PolyElement = rate * noise[path.component] * ring.number(overlap)
                accumulate(result, _moment(a, u, b, v), coefficient * factor * weight)
    return {tree: r for tree, c in result.items() if (r := ring.reduce(c))}


def _moment(a: str, u: Tree, b: str, v: Tree) -> Tree:
    return (MOMENT, 0, tuple(sorted(((a, u), (b, v)))))


def _split(tree: Tree) -> tuple[Tree, Noise | None]:
    """The tree with a unit vector in place of its noise leaf, and that noise, if it has one."""
    found = noises(tree)
    if not found:
        return tree, None
    return replace_leaves(tree, lambda end: leaf(unit(1)) if is_noise(end) else end), found[0]
