"""Noise in the expansions: covariance blocks for weak errors, and their average (Wick)."""

from __future__ import annotations

from fractions import Fraction
from math import comb

from sympy.polys.rings import PolyElement

from splitting_analysis.algebra import algebra
from splitting_analysis.expansion import Flow, NoiseRule
from splitting_analysis.models import Coefficients, Matrix, Piece, Rule
from splitting_analysis.program import Advance
from splitting_analysis.rules import (
    clock,
    faded_noise,
    flows,
    matrix_power,
    multiply,
    noise_drift,
    series_weight,
)
from splitting_analysis.schemes import LambdaS
from splitting_analysis.symbols import unit
from splitting_analysis.trees import (
    Noise,
    Series,
    Tree,
    accumulate,
    canonical,
    is_noise,
    leaf,
    noises,
    replace_leaves,
    units,
)


def weak_noise(policy: LambdaS) -> NoiseRule:
    """Noise as one Gaussian block per op with its covariance expanded in h."""

    def draw(flow: Flow, op: Advance, origin: int) -> None:
        a, terms = algebra(), flow.weight // 2
        if op.piece.fading and flows(op.piece):
            (component,), block = flow.model.components, block_of(op, origin)
            flow.noise[block] = {(component, component): faded_noise(op, origin, terms)}
            accumulate(flow.state[component][1], leaf(Noise(block, component)), a.one)
            return
        matrix, noise = scaled_noise(op.piece, policy)
        components = flow.model.components
        covariance = {}
        powers = [clock(flow.model, op, origin, terms)]
        for _ in range(terms - 1):
            powers.append(multiply([0, *powers[-1]], powers[0], terms))
        n = range(len(components))
        for i in n:
            for j in n:
                total = [a.ring.zero] * terms
                for k in range(terms):
                    middle = op.piece.rule is Rule.MIDPOINT
                    factor = sum(
                        (1 if middle else comb(k, m))
                        * matrix_power(matrix, m)[i][q]
                        * noise[q]
                        * matrix_power(matrix, k - m)[j][q]
                        for m in range(k + 1)
                        for q in n
                    )
                    if factor:
                        scale = factor * a.number(series_weight(op.piece, k))
                        total = [t + scale * x for t, x in zip(total, powers[k], strict=True)]
                if any(total):
                    covariance[components[i], components[j]] = total
        block = block_of(op, origin)
        flow.noise[block] = covariance
        for c in {c for pair in covariance for c in pair}:
            accumulate(flow.state[c][1], leaf(Noise(block, c)), a.one)

    return draw


def block_of(op: Advance, origin: int) -> str:
    """The name of an op's noise: its place in the word, and a mark for the step before."""
    return f"{op.index}" + "-" * -origin


def scaled_noise(piece: Piece, policy: LambdaS) -> tuple[Matrix, Coefficients]:
    """The linear part and the noise that make up the covariance of a piece, lambda_s included."""
    a = algebra()
    matrix, noise = noise_drift(piece), piece.noise(a.p)
    if piece.tuned is None:
        return matrix, noise
    value = a.lambda_s if policy.value == "free" else a.number(Fraction(policy.value))
    if policy.rule == "exponent":
        matrix = tuple(
            tuple(entry * value if i == j == piece.tuned else entry for j, entry in enumerate(row))
            for i, row in enumerate(matrix)
        )
    return matrix, tuple(q * value if i == piece.tuned else q for i, q in enumerate(noise))


def expectation(series: Series, flow: Flow) -> Series:
    """Average a series over the noise blocks of `flow` (Wick's theorem)."""
    result: Series = [{} for _ in series]
    for weight, terms in enumerate(series):
        for tree, coefficient in terms.items():
            noisy = noises(tree)
            for pairing in _pairings(tuple(range(len(noisy)))):
                _contract(result, weight, tree, coefficient, noisy, pairing, flow)
    return result


def _pairings(items: tuple[int, ...]) -> list[list[tuple[int, int]]]:
    if not items:
        return [[]]
    first, rest = items[0], items[1:]
    return [
        [(first, other), *more]
        for i, other in enumerate(rest)
        for more in _pairings(rest[:i] + rest[i + 1 :])
    ]


def _contract(
    result: Series,
    weight: int,
    tree: Tree,
    coefficient: PolyElement,
    noisy: list[Noise],
    pairing: list[tuple[int, int]],
    flow: Flow,
) -> None:
    factors = [coefficient]
    name_of: dict[int, Tree] = {}
    taken = len(units(tree))  # the generator's own pairs
    terms = (len(result) - 1 - weight) // 2 + 1
    for number, (i, j) in enumerate(pairing):
        one, other = noisy[i], noisy[j]
        if one.block != other.block:
            return
        covariance = flow.noise[one.block].get((one.component, other.component))
        if covariance is None:
            return
        factors = multiply(factors, covariance, terms)
        name_of[i] = name_of[j] = leaf(unit(taken + number + 1))
    position = iter(range(len(noisy)))
    new = canonical(
        replace_leaves(tree, lambda end: name_of[next(position)] if is_noise(end) else end)
    )
    for k, factor in enumerate(factors):
        if factor and weight + 2 * k < len(result):
            accumulate(result[weight + 2 * k], new, factor)
