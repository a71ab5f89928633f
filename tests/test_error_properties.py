"""What must hold for any word: orders, symmetry, additivity, and where a rewrite changes
nothing.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from splitting_analysis.algebra import algebra
from splitting_analysis.catalogue import CATALOGUE, find
from splitting_analysis.notation import Op, Word, parse
from splitting_analysis.numbers import Point, evaluate
from splitting_analysis.reduction import naive, reduced
from splitting_analysis.schemes import scheme
from splitting_analysis.weak import (
    at_lambda_one,
    error_difference,
    local_error,
    order_in_words,
    order_of,
)
from tests import oracle_dynamics as dynamics
from tests import oracle_errors as oracle
from tests import oracle_problems as problems
from tests.oracle_fields import vector_field
from tests.oracle_words import splitting_order
from tests.strategies import examples, parts_of_one, runge_kutta_words, splitting_words


def test_the_order_of_every_catalogue_word_is_the_one_claimed():
    assert {f"{s.model_name} {s.name}": order_of(s) for s in CATALOGUE} == {
        f"{s.model_name} {s.name}": s.order for s in CATALOGUE
    }


@pytest.mark.share(9)
@pytest.mark.parametrize("scheme", CATALOGUE, ids=lambda s: f"{s.model_name}-{s.dynamics}-{s.name}")
def test_the_order_claimed_is_seen_in_the_sampler_itself_from_both_sides(scheme):
    """At lambda_s = 1: nothing through h^p, something at h^(p + 1)."""
    p = problems.problem(scheme.model_name, scheme.dynamics, lambda_s=1.0, radius=0.15)
    word, power = str(scheme.word), scheme.order + 1
    if scheme.dynamics == "ode":
        by_power = [
            np.abs(list(v.values())).max() for v in oracle.ode_error(p, word, power).values()
        ]
    else:
        flat = [row[0] for row in p.symbols]
        phi = sp.sin(flat[0] + flat[-1] / 3)
        by_power = [abs(v) for v in oracle.weak_error(p, word, phi, power, nodes=power + 1)[1:]]
    assert max(by_power[:-1]) < 1e-8 < 1e-6 < by_power[-1]


def runge_kutta_error(word, p, order):
    """h^order of a Runge-Kutta word's closed form at a problem: time is one more component."""
    symbols = {c: np.array(row) for c, row in zip(p.components, p.symbols, strict=True)}
    scores = {c: np.array(p.scores[name]) for c, name in dynamics.SCORES[p.model].items()}
    tau = sp.Symbol("tau")
    beta = sp.Add(*[sp.Float(c, 20) * tau**k for k, c in enumerate(p.beta.coef)])
    slopes = dynamics.drift(p, symbols, scores)
    drift = [*(beta * slopes[c][0] for c in p.components), sp.Integer(-1)]
    at = {str(row[0]): p.state[c][0] for c, row in zip(p.components, p.symbols, strict=True)}
    at["tau"] = p.tau
    field = vector_field(drift, at, list(at))
    combination = local_error(scheme(word, p.model, "ode"), order).terms[order]["z"]
    if not combination:  # the word is of this order: no tree, so no vector
        return np.zeros(len(drift))
    zero = sp.zeros(len(drift), 1)
    return np.array(zero + evaluate(combination, Point({}, field, {})), dtype=float).ravel()


@pytest.mark.parametrize(("name", "power"), [("Heun", 3), ("RK4", 5)])
def test_a_runge_kutta_word_errs_as_its_butcher_series_says(name, power):
    p = problems.problem("vp", "ode", radius=0.15)
    word = find(name, "vp").word
    truth = oracle.ode_error(p, str(word), power)[power]["x"]
    assert runge_kutta_error(word, p, power)[0] == pytest.approx(truth[0], rel=1e-5)


def test_random_runge_kutta_words_err_as_their_butcher_series_say():
    p = problems.problem("psld", "ode", seed=2)

    @settings(max_examples=3)
    @given(word=runge_kutta_words(3))
    @example(word=parse("S E[1/2] S@1/2 E[1]"))  # no error at h^2
    def holds(word):
        truth = oracle.ode_error(p, str(word), 3)
        for k in (2, 3):
            value = runge_kutta_error(word, p, k)[:2]
            assert value == pytest.approx([truth[k]["x"][0], truth[k]["m"][0]], rel=1e-8, abs=1e-9)

    holds()


RUTH = "S B*7/24 A*2/3 S B*3/4 A*-2/3 S B*-1/24 A"


@pytest.mark.parametrize(
    ("word", "order"),
    [
        (RUTH, 3),
        (" ".join(reversed(RUTH.replace("S B", "B").split())).replace("B", "S B"), 3),
        (RUTH.replace("7/24", "1/4").replace("3/4", "19/24"), 1),
        ("A/2 S B A/2", 2),
        ("S B/2 A/2 S B/2 A/2", 1),
    ],
)
def test_known_compositions_have_their_known_order(word, order):
    """Ruth, IEEE Trans. Nucl. Sci. 30 (1983), third order, and its adjoint; and what a typo makes
    of it.
    """
    pieces = [(op.letter, op.fraction) for op in parse(word) if op.letter != "S"]
    assert splitting_order(pieces, 4) == order
    assert order_of(scheme(word, "langevin")) == order


FEHLBERG = """\
2/27
1/36 1/12
1/24 0 1/8
5/12 0 -25/16 25/16
1/20 0 0 1/4 1/5
-25/108 0 0 125/108 -65/27 125/54
31/300 0 0 0 61/225 -2/9 13/900
2 0 0 -53/6 704/45 -107/9 67/90 3
-91/108 0 0 23/108 -976/135 311/54 -19/60 17/6 -1/12
2383/4100 0 0 -341/164 4496/1025 -301/82 2133/4100 45/82 45/164 18/41
3/205 0 0 0 0 -6/41 -3/205 -3/41 3/41 6/41 0
-1777/4100 0 0 -341/164 4496/1025 -289/82 2193/4100 51/82 33/164 12/41 0 1"""
FEHLBERG_7 = "41/840 0 0 0 0 34/105 9/35 9/35 9/280 9/280 41/840"
FEHLBERG_8 = "0 0 0 0 0 34/105 9/35 9/35 9/280 9/280 0 41/840 41/840"


def tableau(rows, weights):
    """The word of an explicit Runge-Kutta tableau."""
    word = ["S"]
    for row in rows:
        entries = [Fraction(entry) for entry in row.split()]
        word += [f"E[{','.join(map(str, entries))}]", f"S@{sum(entries)}"]
    return " ".join([*word, f"E[{','.join(weights.split())}]"])


@pytest.mark.heavy
def test_fehlbergs_eighth_order_weights_have_their_order():
    rows = FEHLBERG.splitlines()
    assert order_of(scheme(tableau(rows, FEHLBERG_8), dynamics="ode")) == 8


def test_fehlbergs_seventh_order_weights_have_their_order_and_lose_it_to_one_misplaced_weight():
    """Fehlberg, NASA TR R-287 (1968), table X; Hairer, Norsett & Wanner I, table II.5.4."""
    rows = FEHLBERG.splitlines()
    assert order_of(scheme(tableau(rows[:10], FEHLBERG_7), dynamics="ode")) == 7
    wrong = FEHLBERG_7.replace("34/105 9/35", "9/35 34/105")
    assert order_of(scheme(tableau(rows[:10], wrong), dynamics="ode")) < 7


def yoshida(digits):
    """Three leapfrogs (Phys. Lett. A 150, 1990), their fractions rounded to so many digits."""
    outer = Fraction(round(10**digits / (2 - 2 ** (1 / 3))), 10**digits)
    inner = 1 - 2 * outer
    a, b = outer / 2, (outer + inner) / 2
    return f"A*{a} S B*{outer} A*{b} S B*{inner} A*{b} S B*{outer} A*{a}"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (yoshida(8), "2 (4 up to coefficients below 1e-8)"),
        (yoshida(5), "2"),
        (RUTH, "3"),
        ("A/2 S B A/2", "2"),
    ],
)
def test_an_order_lost_to_rounded_fractions_is_said_to_be_lost_to_them(word, said):
    assert order_in_words(scheme(word, "langevin", "ode")) == said


def test_an_error_is_derived_to_its_leading_term_whatever_is_asked():
    baoab, aboba = find("BAOAB", "langevin"), find("ABOBA", "langevin")
    assert list(local_error(baoab).terms) == list(local_error(baoab, 1).terms) == [1, 2, 3]
    assert local_error(baoab).leading == error_difference(baoab, aboba, 2).leading == 3
    assert list(local_error(find("NSE")).terms) == [1, 2, 3]
    assert error_difference(baoab, baoab).leading is None
    with pytest.raises(ValueError, match="powers of h are derived from 1 to 12"):
        local_error(baoab, 0)


@st.composite
def exact_splittings(draw, letters, parts=3):
    """Words of exact pieces, the score fresh before every B; half of them palindromes."""
    shares = {letter: draw(parts_of_one(parts, negative=letter != "O")) for letter in letters}
    pieces = [(letter, part) for letter in letters for part in shares[letter]]
    pieces = draw(st.permutations(pieces))
    if draw(st.booleans()):
        half = [(letter, part / 2) for letter, part in pieces]
        pieces = [*half, *reversed(half)]
    return pieces


def fresh_word(pieces):
    ops = [
        [Op("S"), Op(letter, part)] if letter == "B" else [Op(letter, part)]
        for letter, part in pieces
    ]
    return Word(tuple(op for group in ops for op in group))


@examples(16)
@given(pieces=exact_splittings("AB"))
def test_a_hamiltonian_splitting_has_the_order_that_free_algebra_says(pieces):
    """Through h^3 at least; beyond, as far as its leading term."""
    order = splitting_order(pieces, 4)
    leading = local_error(scheme(fresh_word(pieces), "langevin", "ode")).leading
    assert leading == order + 1 if order < 4 else leading and leading > 4


@pytest.mark.heavy
@examples(6)
@given(pieces=exact_splittings("ABO"))
def test_a_langevin_splitting_has_the_order_that_free_algebra_says(pieces):
    error = local_error(scheme(fresh_word(pieces), "langevin", "sde"))
    assert error.leading == splitting_order(pieces, 2) + 1


@settings(max_examples=1)
@given(pieces=exact_splittings("ABO", 2))
def test_a_palindrome_of_exact_pieces_has_no_h2_error_and_loses_that_when_one_piece_moves(pieces):
    half = [(letter, part / 2) for letter, part in pieces]
    error = local_error(scheme(fresh_word([*half, *reversed(half)]), "langevin", "sde"))
    assert error.leading == 3
    rest = [piece for piece in [*half, *reversed(half)] if piece[0] != "O"]
    moved = local_error(scheme(fresh_word([("O", Fraction(1)), *rest]), "langevin", "sde"))
    assert moved.leading == 2


@pytest.mark.share(3)
@pytest.mark.parametrize(("model", "dynamics"), [("psld", "ode"), ("psld", "sde"), ("vp", "sde")])
def test_any_word_is_consistent_at_lambda_one(model, dynamics):
    @settings(max_examples=5)
    @given(word=splitting_words(model, dynamics, 2))
    def holds(word):
        s = scheme(word, model, dynamics)
        assert (local_error(at_lambda_one(s), 1).leading or 0) > 1
        assert (local_error(s, 1).leading == 1) == ("O" in word.letters)

    holds()


def without_gamma(combination):
    """The combination at Gamma = 0."""
    gamma = [str(g) for g in algebra().ring.symbols].index("Gamma")
    kept = {tree: [m for m in c.monoms() if m[gamma] == 0] for tree, c in combination.items()}
    return {tree: monomials for tree, monomials in kept.items() if monomials}


def doubled(word, letter):
    """The word with every piece of `letter` cut in two halves, no score between them."""
    ops = [
        [Op(letter, op.fraction / 2, rule=op.rule)] * 2 if op.letter == letter else [op]
        for op in word.ops
    ]
    return Word(tuple(op for group in ops for op in group))


@pytest.mark.parametrize("model", ["langevin", "psld", "vp"])
def test_halving_an_exact_piece_changes_nothing(model):
    letters = {"langevin": "ABO", "psld": "OL", "vp": "L"}[model]

    @settings(max_examples=4)
    @given(
        word=splitting_words(model, "sde", 2, carried=model != "psld"),
        letter=st.sampled_from(letters),
    )
    def holds(word, letter):
        whole = at_lambda_one(scheme(word, model, "sde"))
        halves = at_lambda_one(scheme(doubled(word, letter), model, "sde"))
        assert (local_error(whole) - local_error(halves)).leading is None

    holds()


def test_halving_what_is_not_exact_changes_the_error():
    psld = {letter: local_error(scheme(doubled(find("RSE").word, letter))) for letter in "AB"}
    change = {letter: local_error(find("RSE")) - error for letter, error in psld.items()}
    assert change["A"].leading == change["B"].leading == 2
    assert not any(
        without_gamma(c) for by_key in change["A"].terms.values() for c in by_key.values()
    )
    assert any(without_gamma(c) for c in change["B"].terms[2].values())
    roba = find("ROBA").word
    assert (local_error(scheme(roba)) - local_error(scheme(doubled(roba, "O")))).leading == 2


@settings(max_examples=4)
@given(words=st.tuples(*[splitting_words("psld", "sde", 2, carried=False)] * 3))
def test_differences_of_errors_are_antisymmetric_and_add_up(words):
    x, y, z = (local_error(scheme(word, "psld", "sde")) for word in words)
    assert all(not c for by_key in (x - x).terms.values() for c in by_key.values())
    one, other, third = x - y, y - x, (x - z) - (y - z)
    for k, by_key in one.terms.items():
        for key, combination in by_key.items():
            assert other.terms[k][key] == {tree: -c for tree, c in combination.items()}
            assert third.terms[k][key] == combination


@pytest.mark.parametrize("skeleton", ["B A", "B/2 A B/2", "O B A", "B A O", "O B/2 A B/2"])
def test_reuse_costs_the_position_nothing_at_gamma_zero_and_something_otherwise(skeleton):
    difference = local_error(scheme(naive(skeleton))) - local_error(scheme(reduced(skeleton)))
    assert difference.terms[2]["x"]
    assert not without_gamma(difference.terms[2]["x"])
    closing = "B/2" in skeleton
    assert bool(difference.terms[2]["m"]) == closing
    assert {(t[0], t[1]) for t in difference.terms[2]["m"]} == ({("sm", 1)} if closing else set())


def test_conditioning_the_closing_score_on_the_step_end_changes_only_the_time_derivative():
    for word in ("S B/2 A S@1 B/2", "O S B/2 A S@1 B/2"):
        difference = local_error(scheme(word)) - local_error(scheme(word.replace("@1", "")))
        assert {key for key, c in difference.terms[2].items() if c} - {"phi"} == {"m"}
        ((tree, _),) = difference.terms[2]["m"].items()
        assert tree == ("sm", 1, ())


@pytest.mark.parametrize(("left", "right"), [("NSE", "ROBA"), ("RSE", "EM")])
def test_errors_of_different_kinds_have_no_difference(left, right):
    with pytest.raises(ValueError, match="no common error"):
        local_error(find(left)) - local_error(find(right))
