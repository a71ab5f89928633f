"""What the rules of models.Rule do to a state, as series of matrices in h: one function per
rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import factorial
from typing import Any, assert_never

from sympy.polys.rings import PolyElement

from splitting_analysis.algebra import algebra
from splitting_analysis.conjugate_rule import Bend, conjugate_step
from splitting_analysis.models import Matrix, Model, Piece, Rule
from splitting_analysis.program import Advance

Coefficients = list[Any]
"""Of h^0, h^1, ... (or h^1, h^2, ... where said)."""
Matrices = list[list[Coefficients]]
"""A matrix of series."""


def transition(
    model: Model, op: Advance, origin: int, terms: int, bend: Bend
) -> tuple[Matrices, Matrices]:
    """K and G of z <- K z + G s, through h^terms, in the step that starts at `origin`."""
    delta = [algebra().ring.zero, *clock(model, op, origin, terms)]
    if op.piece.fading:
        return _faded(op.piece, delta, [algebra().ring.zero, *_fading(op, origin, terms)], terms)
    match op.piece.rule:
        case Rule.EULER:
            return _weighed(model, op.piece, _exponential(op.piece, delta, terms, last=1))
        case Rule.EXPONENTIAL:
            return _weighed(model, op.piece, _exponential(op.piece, delta, terms, last=terms))
        case Rule.MIDPOINT:
            return _weighed(model, op.piece, _exponential(op.piece, delta, terms, last=terms))
        case Rule.ANCESTRAL:
            return _weighed(model, op.piece, _ancestral(delta, terms))
        case Rule.CONJUGATE:
            betas = beta_at(model, Fraction(1), terms + 1)
            return conjugate_step(model, op, origin, betas, bend, terms)
        case Rule.HELD:
            raise ValueError("what a held piece does is expanded by held_pieces.py")
        case _:
            assert_never(op.piece.rule)


def _weighed(
    model: Model, piece: Piece, maps: tuple[Matrices, Matrices]
) -> tuple[Matrices, Matrices]:
    """G with the piece's score part in it."""
    keep, gain = maps
    weights = piece.score(algebra().p)
    return keep, [
        [[x * w for x in row[j]] if w else [] for j, w in zip(model.onto, weights, strict=True)]
        for row in gain
    ]


def _faded(
    piece: Piece, delta: Coefficients, fading: Coefficients, terms: int
) -> tuple[Matrices, Matrices]:
    """`transition` of a piece of one component whose linear part is a multiple of r."""
    a = algebra()
    share, weight = a.number(piece.fading), piece.score(a.p)[0]
    exponent = [share * x for x in fading]
    if not flows(piece):
        return [[[a.one, *exponent[1:]]]], [[[weight * x for x in delta] if weight else []]]
    if weight:
        raise ValueError("a piece that fades and holds the score has no series here")
    return [[_series_exponential(exponent, terms)]], [[[]]]


def faded_noise(op: Advance, origin: int, terms: int) -> Coefficients:
    """The variance that a piece that fades brings in; coefficients of h^1, h^2, ..."""
    a = algebra()
    noise, share = op.piece.noise(a.p)[0], a.number(2 * op.piece.fading)
    # dQ/dv = 2 rate Q + noise beta in reverse time v: Q = G (integral of noise beta / G)
    powers = range(terms)
    rate = [share * x for x in fading_at(Fraction(1), terms)]
    grown = [a.ring.zero, *(rate[k] * a.number(Fraction(1, k + 1)) for k in powers)]
    growth, inverse = (_series_exponential([s * x for x in grown], terms) for s in (1, -1))
    inward = multiply([noise * b for b in _taylor(a.betas, Fraction(1), terms)], inverse, terms)
    integral = [a.ring.zero, *(inward[k] * a.number(Fraction(1, k + 1)) for k in powers)]
    first, last = op.start + origin, op.stop + origin
    between = [
        x * a.number(last**k - first**k if k else Fraction(0)) for k, x in enumerate(integral)
    ]
    end = [x * a.number(last**k if k else Fraction(1)) for k, x in enumerate(growth)]
    return multiply(end, between, terms + 1)[1:]


def _series_exponential(exponent: Coefficients, terms: int) -> Coefficients:
    """exp of a series without a constant, through h^terms."""
    a = algebra()
    result, power = [a.one] + [a.ring.zero] * terms, [a.one] + [a.ring.zero] * terms
    for k in range(1, terms + 1):
        power = [x * a.number(Fraction(1, k)) for x in multiply(power, exponent, terms + 1)]
        result = [x + y for x, y in zip(result, power, strict=True)]
    return result


def _fading(op: Advance, origin: int, terms: int) -> Coefficients:
    """What the rule takes for the integral of r over the op's stretch; coefficients of h^1, ..."""
    a = algebra()
    if not flows(op.piece):
        return [a.number(op.share) * r for r in fading_at(Fraction(origin), terms)]
    first, last = op.start + origin, op.stop + origin
    rates = fading_at(Fraction(1), terms)
    return [
        r * a.number((last ** (k + 1) - first ** (k + 1)) / (k + 1)) for k, r in enumerate(rates)
    ]


def fading_at(offset: Fraction, terms: int) -> list[PolyElement]:
    """r at forward time tau - offset * h, as coefficients of h^0, h^1, ...

    Raises ValueError beyond the derivatives of r that there are.
    """
    fadings = algebra().fadings
    if terms > len(fadings):
        raise ValueError(f"powers of h are derived from 1 to {len(fadings)} where data fade")
    return _taylor(fadings, offset, terms)


def _taylor(derivatives: Sequence[PolyElement], offset: Fraction, terms: int) -> list[PolyElement]:
    """A function of forward time at tau - offset * h, as coefficients of h^0, h^1, ..."""
    number = algebra().number
    return [
        derivatives[k] * number(Fraction((-offset) ** k if k else 1, factorial(k)))
        for k in range(terms)
    ]


def clock(model: Model, op: Advance, origin: int, terms: int) -> Coefficients:
    """What the rule takes for the integral of beta over the op's stretch; coefficients of h^1, h^2,
    ...
    """
    if flows(op.piece):
        return _integral(model, op.start + origin, op.stop + origin, terms)
    share = algebra().number(op.share)
    return [share * b for b in beta_at(model, Fraction(origin), terms)]


def flows(piece: Piece) -> bool:
    """Whether time and noise pass during the op, or all is taken at the step's start and comes in
    at once.
    """
    match piece.rule:
        case Rule.EXPONENTIAL | Rule.CONJUGATE | Rule.HELD:
            return True
        case Rule.EULER | Rule.ANCESTRAL | Rule.MIDPOINT:
            return False
        case _:
            assert_never(piece.rule)


def noise_drift(piece: Piece) -> Matrix:
    """The linear drift that acts on a piece's noise: none where it comes in at once, as it is."""
    linear = piece.linear(algebra().p)
    acts = flows(piece) or piece.rule is Rule.MIDPOINT
    return linear if acts else tuple(tuple(0 for _ in row) for row in linear)


def series_weight(piece: Piece, k: int) -> Fraction:
    """Of (delta A)^k in what the rule has for the integral of exp(u A) over [0, delta], per delta.

    That of (1 - delta A/2)^-1 for the midpoint rule, else the exponential's own.
    """
    return Fraction(1, 2**k if piece.rule is Rule.MIDPOINT else factorial(k + 1))


def _exponential(
    piece: Piece, delta: Coefficients, terms: int, last: int
) -> tuple[Matrices, Matrices]:
    """exp(delta A) and its integral, or what the rule has for them: 1 + delta A G and G.

    The series are cut after delta^last: 1 is Euler's step.
    """
    a = algebra()
    matrix = piece.linear(a.p)
    n = range(len(matrix))
    keep = [[[a.one if i == j else a.ring.zero] + [a.ring.zero] * terms for j in n] for i in n]
    gain = [[[a.ring.zero] * (terms + 1) for _ in n] for _ in n]
    power = [a.one] + [a.ring.zero] * terms
    for k in range(1, last + 1):
        power = multiply(power, delta, terms + 1)
        weight = a.number(series_weight(piece, k - 1))
        weighed = [weight * x for x in power]
        current, before = matrix_power(matrix, k), matrix_power(matrix, k - 1)
        for i in n:
            for j in n:
                for series, factor in ((keep, current), (gain, before)):
                    old = zip(series[i][j], weighed, strict=True)
                    series[i][j] = [x + y * factor[i][j] for x, y in old]
    return keep, gain


def _ancestral(b: Coefficients, terms: int) -> tuple[Matrices, Matrices]:
    """(1 - b)^(-1/2) = sum of (2k)! / (4^k k!^2) b^k, and b times that."""
    a = algebra()
    root, power = [a.ring.zero] * (terms + 1), [a.one] + [a.ring.zero] * terms
    for k in range(terms + 1):
        factor = a.number(Fraction(factorial(2 * k), 4**k * factorial(k) ** 2))
        root = [x + factor * y for x, y in zip(root, power, strict=True)]
        power = multiply(power, b, terms + 1)
    return [[root]], [[multiply(root, b, terms + 1)]]


def beta_at(model: Model, offset: Fraction, terms: int) -> list[PolyElement]:
    """beta at forward time tau - offset * h, as coefficients of h^0, h^1, ..."""
    a = algebra()
    if not model.time_dependent:
        return [a.one] + [a.ring.zero] * (terms - 1)
    return _taylor(a.betas, offset, terms)


def _integral(model: Model, start: Fraction, stop: Fraction, terms: int) -> Coefficients:
    """The integral of beta over [start, stop] in units of h; coefficients of h^1, h^2, ..."""
    a = algebra()
    if not model.time_dependent:
        return [a.number(stop - start)] + [a.ring.zero] * (terms - 1)
    return [
        a.betas[k]
        * a.number(Fraction((-1) ** k) * (stop ** (k + 1) - start ** (k + 1)) / factorial(k + 1))
        for k in range(terms)
    ]


def multiply(x: Coefficients, y: Coefficients, terms: int) -> Coefficients:
    """The product of two series, its first `terms` coefficients."""
    product = [algebra().ring.zero for _ in range(terms)]
    for i, p in enumerate(x[:terms]):
        if p:
            for j, q in enumerate(y[: terms - i]):
                product[i + j] += p * q
    return product


def matrix_power(matrix: Matrix, k: int) -> list[list[Any]]:
    """The k-th power of a matrix of ring elements."""
    n = range(len(matrix))
    result = [[algebra().one if i == j else 0 for j in n] for i in n]
    for _ in range(k):
        result = [[sum(result[i][m] * matrix[m][j] for m in n) for j in n] for i in n]
    return result
