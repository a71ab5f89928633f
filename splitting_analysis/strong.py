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

from splitting_analysis.algebra import algebra
from splitting_analysis.errors import LocalError
from splitting_analysis.expansion import Flow, NoiseRule, begin, compose, drift_terms, run
from splitting_analysis.noise import block_of
from splitting_analysis.program import Advance
from splitting_analysis.rules import flows
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
from splitting_analysis.weak import carried_score, refuse_held

_WEIGHT = 3
"""h^(3/2): the first order at which additive noise and a consistent drift can disagree."""


class Kernel(NamedTuple):
    """constant + slope * u on [start, stop], in units of the step."""

    start: Fraction
    stop: Fraction
    constant: Fraction
    slope: Fraction

    def inner(self, other: Kernel) -> Fraction:
        """The integral of the product."""
        low, high = max(self.start, other.start), min(self.stop, other.stop)
        if low >= high:
            return Fraction(0)
        c = (
            self.constant * other.constant,
            self.constant * other.slope + self.slope * other.constant,
            self.slope * other.slope,
        )
        return sum(
            (a * (high ** (k + 1) - low ** (k + 1)) / (k + 1) for k, a in enumerate(c)),
            Fraction(0),
        )


def _path_noise(root: PolyElement, kernels: dict[str, Kernel]) -> NoiseRule:
    """Noise as integrals against the path, that of a tuned component times `root`."""

    def draw(flow: Flow, op: Advance, origin: int) -> None:
        a, piece, block = algebra(), op.piece, block_of(op, origin)
        matrix, noise = piece.linear(a.p), piece.noise(a.p)
        start, stop = op.start + origin, op.stop + origin
        kernels[block] = Kernel(start, stop, Fraction(1), Fraction(0))
        kernels[block + "late"] = Kernel(start, stop, stop, Fraction(-1))
        kernels[block + "drift"] = Kernel(start, stop, Fraction(0), Fraction(1))
        rate = a.betas[0] if flow.model.time_dependent else a.one
        for q, c in enumerate(flow.model.components):
            if not noise[q]:
                continue
            scale = root if q == piece.tuned else a.one
            accumulate(flow.state[c][1], leaf(Noise(block, c)), scale)
            if not flows(piece):
                continue  # the noise comes in at once, at the rate of the step's start
            for i, d in enumerate(flow.model.components):
                if matrix[i][q]:
                    late = leaf(Noise(block + "late", c))
                    accumulate(flow.state[d][3], late, scale * rate * matrix[i][q])
            if flow.model.time_dependent:
                growth = scale * a.betas[1] * a.ibeta * a.number(Fraction(-1, 2))
                accumulate(flow.state[c][3], leaf(Noise(block + "drift", c)), growth)

    return draw


@cache
def strong_error(scheme: Scheme) -> LocalError:
    """E[err_a . err_b] to leading order, err = exact - scheme with the Brownian path shared.

    Keys "xx", "xm", "mm" (d x d matrices in R^d). terms[3] is the usual leading coefficient, and
    the strong global order is then 1. Where a free lambda_s or missing noise makes the scheme
    inconsistent, terms[1] is the leading one and nothing else is returned. The root of a fixed
    lambda_s that is no rational number stays a symbol.
    Raises ValueError for a scheme without noise.
    """
    refuse_held(scheme)
    model = scheme.model
    if model.dynamics != "sde":
        raise ValueError(f"{scheme.name} is deterministic: it has no strong error, only an ODE one")
    kernels: dict[str, Kernel] = {}
    value = scheme.lambda_s.value
    rule = _path_noise(_root(value), kernels)
    flow = begin(model, _WEIGHT)
    carried, _ = carried_score(scheme, flow, rule)
    before = {c: list(series) for c, series in flow.state.items()}
    run(scheme.program.instructions, flow, rule, carried)
    errors = {
        c: [
            linear([(1, _exact(c, flow, before, kernels)[w]), (-1, flow.state[c][w])])
            for w in range(_WEIGHT + 1)
        ]
        for c in model.components
    }
    terms: dict[int, dict[str, Combination]] = {1: {}, 3: {}}
    for a, b in combinations_with_replacement(model.components, 2):
        for power, by_key in terms.items():
            mean = _mean_square(scheme, kernels, a, errors[a][power], b, errors[b][power])
            by_key[pair(a, b, model.components)] = mean
    if value != "free":
        terms = {power: _at_lambda(by_key, value) for power, by_key in terms.items()}
    terms = {1: terms[1]} if any(terms[1].values()) else {3: terms[3]}
    return LocalError(scheme.name, str(scheme.word), model, "strong", terms, (scheme,))


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
    kernels[whole] = Kernel(Fraction(0), Fraction(1), Fraction(1), Fraction(0))
    kernels[whole + "late"] = Kernel(Fraction(0), Fraction(1), Fraction(1), Fraction(-1))
    kernels[whole + "drift"] = Kernel(Fraction(0), Fraction(1), Fraction(0), Fraction(1))
    result = [dict(terms) for terms in before[component]]
    drift = drift_terms(model)[component]
    for w, terms in enumerate(compose(drift, flow, before)[:2]):
        for tree, coefficient in terms.items():
            accumulate(result[w + 2], tree, coefficient)
    noise = model.drift.noise(a.p)
    for q, c in enumerate(model.components):
        if not noise[q]:
            continue
        for tree, coefficient in drift.items():
            late = leaf(Noise(whole + "late", c))
            for new in derivative(tree, c, late, flow.arguments()):
                accumulate(result[3], new, coefficient)
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
            if path.component != other_path.component:
                continue
            overlap = kernels[path.block].inner(kernels[other_path.block])
            if overlap:
                weight: PolyElement = rate * noise[path.component] * ring.number(overlap)
                key: Tree = (MOMENT, 0, tuple(sorted(((a, u), (b, v)))))
                accumulate(result, key, coefficient * factor * weight)
    return {tree: r for tree, c in result.items() if (r := ring.reduce(c))}


def _split(tree: Tree) -> tuple[Tree, Noise]:
    """The tree with a unit vector in place of its one noise leaf, and that noise."""
    (noise,) = noises(tree)
    return replace_leaves(tree, lambda end: leaf(unit(1)) if is_noise(end) else end), noise
