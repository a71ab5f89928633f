"""Local truncation error of any scheme: exact reverse flow minus one step, in closed form.

Both sides are expanded by the same machinery from the same state, so the error is a difference
of combinations of trees and the order is read off it, term by term.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement
from math import ceil, log10

from splitting_analysis.algebra import algebra, with_kinds
from splitting_analysis.conjugate_rule import MOST, Bend, one_skip, symbolic_entries
from splitting_analysis.errors import LocalError, difference
from splitting_analysis.expansion import Flow, NoiseRule, begin, compose, exact, run
from splitting_analysis.held_error import leading_power
from splitting_analysis.held_pieces import MOST as MOST_HELD
from splitting_analysis.held_pieces import told_of
from splitting_analysis.held_weak import weak_leading_power
from splitting_analysis.models import Model, Piece, Rule, is_spelled_out
from splitting_analysis.noise import expectation, weak_noise
from splitting_analysis.predictions import Prediction
from splitting_analysis.program import Advance, Evaluate, Instruction, resolve
from splitting_analysis.schemes import Scheme
from splitting_analysis.symbols import MAX_BETA, MAX_FADING, Kind, pair
from splitting_analysis.trees import MOMENT, PHI, Combination, Series, accumulate, leaf, taylor

HIGHEST_POWER = 12
"""Of h, up to which an error is looked for; less where beta moves, whose derivatives end before."""
NEGLIGIBLE = 1e-7
"""Coefficients below it may be the rounding of a word's fractions: nine digits leave some 1e-9."""


def local_error(scheme: Scheme, order: int | None = None) -> LocalError:
    """The error of one step through h^order (default: 3, an SDE's 2; its leading term alone where
    pieces hold a prediction), and on to its leading term.

    For a Runge-Kutta word the differentials are those of the full drift f, in autonomous form
    (time as one more component), which is what its order conditions are about. A word with a
    carried score starts from the state at which that score was evaluated, one tail of ops back.
    Raises ValueError for an order below 1 or above what there are derivatives of beta for.
    """
    refuse_held(scheme)
    highest = highest_power(scheme)
    if order is None:
        leading = scheme.word.is_runge_kutta or scheme.program.held_piece is not None
        order = 1 if leading else 3 if scheme.dynamics == "ode" else 2
    if not (hasattr(order, "__index__") and 1 <= order <= highest):
        raise ValueError(
            f"{scheme.name}: order {order}; powers of h are derived from 1 to {highest}"
        )
    error = _expanded(scheme, order)
    while error.leading is None and order < highest:
        order += 1
        error = _expanded(scheme, order)
    return error


def error_difference(left: Scheme, right: Scheme, order: int | None = None) -> LocalError:
    """The error of one scheme minus that of another, on to the leading term of the difference.

    At most two powers beyond the leading terms of both: what agrees there is taken to be equal.
    Raises ValueError for errors of different kinds, or in different clocks.
    """
    if left.in_clock != right.in_clock:
        raise ValueError(
            f"{left.name} and {right.name} have no common error to subtract: the one clock is "
            f"{left.in_clock}, the other {right.in_clock}, and h is a length in it"
        )
    symbolic_entries(left, right)
    one_skip(left, right)
    power = max(*local_error(left, order).terms, *local_error(right, order).terms)
    for last in range(power, min(power + 2, highest_power(left), highest_power(right)) + 1):
        difference = local_error(left, last) - local_error(right, last)
        if difference.leading is not None:
            break
    return difference


def order_of(scheme: Scheme) -> int:
    """Order of the global error (weak, for an SDE): one less than the leading power of h.

    At lambda_s = 1 unless the scheme fixes it; where a prediction is held, in the middle of a run.
    Raises ValueError if the error vanishes through all powers of h that are looked at.
    """
    if scheme.program.holds:
        return (leading_power if scheme.dynamics == "ode" else weak_leading_power)(scheme) - 1
    return next(_orders(scheme))[0]


def order_in_words(scheme: Scheme) -> str:
    """The order, and the one it has but for coefficients that may be rounding.

    "2 (4 up to coefficients below 1e-9)" for a method of order 4 whose fractions were typed with
    nine digits; plainly "4" otherwise. Raises ValueError as `order_of`.
    """
    if scheme.program.holds:
        return str(order_of(scheme))
    orders = _orders(scheme)
    exact, size = next(orders)
    order = exact
    rounding = 0.0
    while size < NEGLIGIBLE:
        rounding = max(rounding, size)
        order, size = next(orders)
    if order == exact:
        return str(exact)
    return f"{exact} ({order} up to coefficients below 1e{ceil(log10(rounding))})"


def refuse_held(scheme: Scheme) -> None:
    """Raise ValueError for a word that holds a prediction: its error is told by held_error.py."""
    if scheme.program.holds:
        raise ValueError(
            f"{scheme.name}: {scheme.again} holds a prediction; its error is not one in elementary "
            "differentials of the score: splitting_analysis.local_error(scheme) has it in "
            "derivatives of the prediction, the weak one of an SDE"
        )


def _orders(scheme: Scheme) -> Iterator[tuple[int, float]]:
    """(power - 1, largest coefficient) for every power of h at which the error does not vanish."""
    refuse_held(scheme)
    scheme = at_lambda_one(scheme)
    for power in range(1, highest_power(scheme) + 1):
        terms = _expanded(scheme, power).terms[power].values()
        sizes = [
            abs(number) for by_tree in terms for c in by_tree.values() for number in c.coeffs()
        ]
        if sizes:
            yield power - 1, float(max(sizes))
    raise ValueError(f"{scheme.name}: no error through h^{highest_power(scheme)}")


def bend_of(scheme: Scheme) -> Bend:
    """What its conjugate steps need: lambda stays a symbol unless the scheme was told one.

    Raises ValueError for more entries of B than there are symbols for.
    """
    entries = symbolic_entries(scheme)
    value = scheme.conjugate if scheme.told else None
    return Bend(value, scheme.factor, entries, scheme.skip is not None)


def highest_power(scheme: Scheme) -> int:
    """The highest power of h that the error of a scheme can be derived to."""
    if scheme.program.conjugates:
        return MOST
    if scheme.program.held_piece:
        return MOST_HELD
    if scheme.model.drift.fading and not scheme.word.is_runge_kutta:
        return MAX_FADING
    moving = scheme.model.time_dependent and not scheme.word.is_runge_kutta
    return MAX_BETA if moving else HIGHEST_POWER


def _expanded(scheme: Scheme, order: int) -> LocalError:
    """The error through h^order, whether or not anything is left of it."""
    with with_kinds(*kinds_of(scheme)):
        return (_expand_field if scheme.word.is_runge_kutta else _expand)(scheme, order)


def kinds_of(scheme: Scheme) -> Iterator[Kind]:
    """The symbols that its error has beyond those of every scheme."""
    if scheme.program.conjugates:
        yield "factor"
    if any(is_spelled_out(piece.conjugation) for piece in scheme.program.pieces):
        yield "bend"
    if symbolic_entries(scheme):
        yield "entry"
    if scheme.skip is not None:
        yield "skip"
    if scheme.program.held_piece or scheme.model.drift.fading:
        yield "fading"
    if scheme.program.held_piece:
        yield "kernel"


def at_lambda_one(scheme: Scheme) -> Scheme:
    """The scheme with a symbolic lambda_s fixed at 1, the exact Ornstein-Uhlenbeck noise."""
    if scheme.lambda_s.value != "free" or not scheme.model.has_tunable_noise:
        return scheme
    return replace(scheme, lambda_s=replace(scheme.lambda_s, value=Fraction(1)))


@cache
def _expand(scheme: Scheme, order: int) -> LocalError:
    model = scheme.model
    held = scheme.program.held_piece
    told = None if held is None else told_of(model, held)
    if held == Prediction.VELOCITY and scheme.in_clock != "tau":
        raise ValueError(
            f"{scheme.name}: the error where the velocity, a rate in tau, is held by a piece is "
            f"derived in the clock tau, not in {scheme.in_clock}"
        )
    flow = begin(model, 2 * order, bend_of(scheme), told)
    rule = weak_noise(scheme.lambda_s)
    carried, moved = carried_score(scheme, flow, rule)
    before = {c: list(series) for c, series in flow.state.items()}
    run(scheme.program.instructions, flow, rule, carried)
    if model.dynamics == "ode":
        return _ode(scheme, flow, order, before if moved else None)
    return _weak(scheme, flow, order, before if moved else None)


def carried_score(
    scheme: Scheme, flow: Flow, rule: NoiseRule
) -> tuple[dict[str, Series] | None, bool]:
    """The score a word carries in from the step before, if any, and whether `flow` moved for it.

    The base point is where that score was evaluated: the ops after it (the tail of the step
    before) are carried out first, unless they leave the score's arguments alone.
    """
    if not scheme.carries_score:
        return None, False
    evaluation, *rest = scheme.program.tail
    if isinstance(evaluation, Evaluate) and not moves_score(scheme.model, rest):
        return flow.held(evaluation.at - 1), False
    return run(scheme.program.tail, flow, rule, origin=-1), True


def moves_score(model: Model, instructions: Sequence[Instruction]) -> bool:
    """Whether any of the instructions moves a component that the score depends on."""
    p = algebra().p
    arguments = [i for i, c in enumerate(model.components) if c in model.score_arguments]
    return any(
        model.moves(piece, p, i)
        for each in instructions
        if isinstance(each, Advance)
        for piece in [each.piece]
        for i in arguments
    )


def _ode(scheme: Scheme, flow: Flow, order: int, before: dict[str, Series] | None) -> LocalError:
    model = flow.model
    terms: dict[int, dict[str, Combination]] = {k: {} for k in range(1, order + 1)}
    for c in model.components:
        true = exact(model, {leaf(c): algebra().one}, order, flow.told)
        by_power = _compose_powers(true, flow, before, order)
        for k, by_key in terms.items():
            by_key[c] = difference(by_power[k], flow.state[c][2 * k])
    return LocalError(scheme.name, str(scheme.word), model, "ode", terms, (scheme,))


def _weak(scheme: Scheme, flow: Flow, order: int, before: dict[str, Series] | None) -> LocalError:
    model = flow.model
    deltas = {c: [{}, *flow.state[c][1:]] for c in model.components}
    phi = taylor(leaf(PHI), deltas, 2 * order, 0, algebra().one)
    scheme_mean = expectation(phi, flow)
    true = exact(model, {leaf(PHI): algebra().one}, order, flow.told)
    by_power = _compose_powers(true, flow, before, order)
    terms = {}
    for k in range(1, order + 1):
        error = difference(by_power[k], scheme_mean[2 * k])
        terms[k] = {**moments(model, error), "phi": error}
    return LocalError(scheme.name, str(scheme.word), model, "weak", terms, (scheme,))


def _compose_powers(
    true: list[Combination], flow: Flow, before: dict[str, Series] | None, order: int
) -> list[Combination]:
    """Coefficients of h^0..h^order of the exact flow, from the base point or from `before`."""
    if before is None:
        return true
    total: Series = [{} for _ in range(2 * order + 1)]
    for k, combination in enumerate(true):
        for w, terms in enumerate(compose(combination, flow, before)[: 2 * (order - k) + 1]):
            for tree, coefficient in terms.items():
                accumulate(total[w + 2 * k], tree, coefficient)
    return expectation(total, flow)[::2]


def moments(model: Model, phi: Combination) -> dict[str, Combination]:
    """Errors of the mean ("x") and of second moments of increments ("xm") contained in phi's.

    E[dx dm^T] comes from phi = dx_i dm_j, so a tree phi[(x, u), (m, v)] stands for u v^T, and
    twice phi[(x, u), (x, v)] for u v^T + v u^T, which in one dimension is 2 u v.
    """
    result: dict[str, Combination] = {c: {} for c in model.components}
    for a, b in combinations_with_replacement(model.components, 2):
        result[pair(a, b, model.components)] = {}
    for tree, coefficient in phi.items():
        children = tree[2]
        if len(children) == 1:
            accumulate(result[children[0][0]], children[0][1], coefficient)
        elif len(children) == 2:
            a, b = sorted((children[0][0], children[1][0]), key=model.components.index)
            by_tree = result[pair(a, b, model.components)]
            accumulate(by_tree, (MOMENT, 0, children), coefficient * (2 if a == b else 1))
    return result


@cache
def _expand_field(scheme: Scheme, order: int) -> LocalError:
    """A Runge-Kutta word on dz = f(z) dt, f unspecified: its Butcher series against the exact."""
    field = Model(
        "field",
        "ode",
        ("z",),
        ("f",),
        ("z",),
        False,
        (),
        {"E": Piece(Rule.EULER, lambda p: ((0,),), lambda p: (1,), lambda p: (0,))},
        ("E",),
    )
    flow = begin(field, 2 * order)
    run(resolve(scheme.word, field).instructions, flow, weak_noise(scheme.lambda_s))
    return _ode(scheme, flow, order, None)
