"""Closed-form local errors against samplers run as printed, at complex step sizes and in
symbols.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import factorial

import numpy as np
import pytest
import sympy as sp
from hypothesis import Phase, assume, example, given, settings

from splitting_analysis.catalogue import CATALOGUE, find
from splitting_analysis.notation import parse
from splitting_analysis.numbers import Point, evaluate
from splitting_analysis.schemes import LambdaS, scheme
from splitting_analysis.weak import local_error
from tests import oracle_errors as oracle
from tests import oracle_jets as jets
from tests import oracle_problems as problems
from tests import oracle_symbols
from tests.strategies import splitting_words

SPLITTINGS = [s for s in CATALOGUE if not s.word.is_runge_kutta]


def named(schemes):
    return [pytest.param(s, id=f"{s.model_name}-{s.dynamics}-{s.name}") for s in schemes]


def point(p, phi=None):
    """The point of an oracle's problem, for the closed form; vectors, one direction per
    coordinate.
    """
    state = {c: np.array(v) for c, v in p.state.items()}
    return Point(state, problems.jet(p, phi), problems.parameters(p), basis=list(np.eye(p.d)))


def smooth_function(p):
    """A smooth function of all coordinates whose derivatives all differ."""
    flat = [v for row in p.symbols for v in row]
    weights = [sp.Rational(3 * k + 2, 7) for k in range(len(flat))]
    form = sp.Add(*[w * v for w, v in zip(weights, flat, strict=True)])
    return sp.sin(form) + flat[0] * flat[-1] ** 3 + flat[0] ** 2


def close(ours, theirs, tolerance=1e-9):
    return np.abs(np.asarray(ours) - np.asarray(theirs)).max() < tolerance


@pytest.mark.share(7)
@pytest.mark.parametrize("d", [1, 2, pytest.param(3, marks=pytest.mark.heavy)])
@pytest.mark.parametrize("scheme", named(s for s in SPLITTINGS if s.dynamics == "ode"))
def test_every_ode_word_errs_as_its_closed_form_says_in_any_dimension(scheme, d):
    p = problems.problem(scheme.model_name, "ode", d)
    truth = oracle.ode_error(p, str(scheme.word), 3)
    error, here = local_error(scheme), point(p)
    for k, c in product((1, 2, 3), p.components):
        assert close(evaluate(error.terms[k][c], here), truth[k][c]), (k, c)
    assert max(np.abs(v).max() for v in truth[3].values()) > 1e-3


@pytest.mark.share(9)
@pytest.mark.parametrize("scheme", named(s for s in SPLITTINGS if s.dynamics == "sde"))
def test_every_sde_word_errs_in_mean_and_second_moments_as_its_closed_form_says(scheme):
    p = problems.problem(scheme.model_name, "sde")
    error, here = local_error(scheme), point(p)
    for key in error.terms[2].keys() - {"phi"}:
        truth = oracle.weak_error(p, str(scheme.word), problems.increments(p, key))
        for k in (1, 2):
            assert close(np.sum(evaluate(error.terms[k][key], here)), truth[k]), (k, key)


@pytest.mark.share(5)
@pytest.mark.parametrize(
    "scheme",
    [
        pytest.param(*p.values, id=p.id, marks=pytest.mark.heavy if "psld" in str(p.id) else ())
        for p in named(s for s in SPLITTINGS if s.dynamics == "sde")
    ],
)
def test_the_mean_of_any_smooth_function_errs_as_its_closed_form_says_in_two_dimensions(scheme):
    p = problems.problem(scheme.model_name, "sde", 2)
    phi = smooth_function(p)
    truth = oracle.weak_error(p, str(scheme.word), phi)
    for k in (1, 2):
        assert close(evaluate(local_error(scheme).terms[k]["phi"], point(p, phi)), truth[k])
    assert (abs(truth[2]) < 1e-9) == (scheme.order == 2)


THIRD = {
    "psld": ["SSCS", "ROBA"],
    "vp": ["SSCS", "EI", "DDPM"],
    "langevin": ["BAOAB", "ABOBA", "OBABO"],
}


@pytest.mark.share(3)
@pytest.mark.parametrize(
    ("model", "name"),
    [
        pytest.param(model, name, marks=pytest.mark.heavy if model == "psld" else ())
        for model in THIRD
        for name in THIRD[model]
    ],
)
def test_weak_errors_through_h3_hold_where_the_exact_pieces_covariance_shows(model, name):
    p, s = problems.problem(model, "sde"), find(name, model)
    first, last = p.symbols[0][0], p.symbols[-1][0]
    phi = first * last**2 + first
    truth = oracle.weak_error(p, str(s.word), phi, 3, nodes=4)
    error = local_error(s, 3)
    for k in (1, 2, 3):
        assert close(evaluate(error.terms[k]["phi"], point(p, phi)), truth[k]), k
    assert abs(truth[3]) > 1e-2


@pytest.mark.parametrize("rule", ["exponent", "variance"])
def test_both_policies_of_lambda_s_err_as_their_closed_forms_say(rule):
    p = problems.problem("psld", "sde", 1, lambda_rule=rule, lambda_s=1.6)
    word = find("ROBA").word
    phi = smooth_function(p)
    truth = oracle.weak_error(p, str(word), phi)
    error = local_error(scheme(word, lambda_s=LambdaS(rule)))
    fixed = local_error(scheme(word, lambda_s=LambdaS(rule, Fraction(8, 5))))
    for k in (1, 2):
        assert close(evaluate(error.terms[k]["phi"], point(p, phi)), truth[k])
        assert close(evaluate(fixed.terms[k]["phi"], point(p, phi)), truth[k])
    assert abs(truth[1]) > 1e-2


FROZEN = {"psld": "E:exp/3 S E:exp*2/3", "vp": "E:exp/3 S E:exp*2/3", "langevin": "A/3 S B A*2/3"}
"""The score held in exponential steps, which couple the components of PSLD and carry it over."""


@pytest.mark.parametrize(
    ("model", "examples"),
    [("psld", 1), ("vp", 4), ("langevin", 4), pytest.param("psld", 20, marks=pytest.mark.heavy)],
)
def test_random_ode_words_err_as_their_closed_forms_say(model, examples):
    p = problems.problem(model, "ode")
    here = point(p)
    cheap = examples == 1  # PSLD by default: the one word given, as a random one takes seconds

    @settings(max_examples=examples, phases=[Phase.explicit] if cheap else tuple(Phase))
    @given(word=splitting_words(model, "ode", 2))
    @example(word=parse("S E:exp" if cheap else FROZEN[model]))
    def holds(word):
        truth = oracle.ode_error(p, str(word), 3)
        error = local_error(scheme(word, model, "ode"))
        for k, c in product((1, 2, 3), p.components):
            assert close(evaluate(error.terms[k][c], here), truth[k][c]), (k, c)

    holds()


CARRIED = {
    "psld": "B A S O",
    "vp": "K*1/3 S@1/3 K*2/3 L",
    "langevin": "O/2 B*-1/2 S A/3 B*3/2 A*2/3 O/2",
}
"""A score carried over and noise after the last `S`: pairs of noise of the generator's and of the
step's.
"""
MERGED = {"langevin": "B/2 S B/2 U"}
"""A score carried over a piece that moves what it depends on, and draws noise."""


@pytest.mark.parametrize(
    ("model", "examples"),
    [
        ("vp", 4),
        ("langevin", 4),
        *(pytest.param(model, 20, marks=pytest.mark.heavy) for model in CARRIED),
    ],
)
def test_random_sde_words_err_weakly_as_their_closed_forms_say_in_two_dimensions(model, examples):
    """Jacobians of different scores do not commute there, and every contraction has an index of its
    own.
    """
    p = problems.problem(model, "sde", 2)
    phi = smooth_function(p)
    here = point(p, phi)
    frozen = FROZEN[model] + (" O" if model == "langevin" else "")

    @settings(max_examples=examples)
    @given(word=splitting_words(model, "sde", 2))
    @example(word=parse(CARRIED[model]))
    @example(word=parse(frozen))
    @example(word=parse(MERGED.get(model, frozen)))
    def holds(word):
        own = scheme(word, model, "sde")
        # each U draws from 81 nodes, and what follows a carried score draws again: gigabytes
        assume(not own.carries_score or str(word).count("U") < 2)
        truth = oracle.weak_error(p, str(word), phi)
        error = local_error(own, 2)
        for k in (1, 2):
            assert close(evaluate(error.terms[k]["phi"], here), truth[k]), k

    holds()


@pytest.mark.heavy
@pytest.mark.parametrize("key", ["x", "xx"])
@pytest.mark.parametrize("word", ["K S L", "K/2 S L K/2"])
def test_moments_through_h3_hold_in_two_dimensions_with_a_score_carried_past_noise(word, key):
    p = problems.problem("vp", "sde", 2)
    truth = oracle.weak_error(p, word, problems.increments(p, key), 3, nodes=4)
    error, here = local_error(scheme(parse(word), "vp", "sde"), 3), point(p)
    for k in (2, 3):
        assert close(np.sum(evaluate(error.terms[k][key], here)), truth[k]), k
    assert abs(truth[3]) > 1e-2


@pytest.mark.share(8)
@pytest.mark.parametrize("name", oracle_symbols.SAMPLERS)
def test_every_psld_ode_sampler_differentiated_by_sympy_gives_the_same_formula(name):
    order = 3 if name in ("NSE", "RSE") else 2
    state = {"x": oracle_symbols.x, "m": oracle_symbols.m}
    here = Point(state, oracle_symbols.field, oracle_symbols.PARAMETERS)
    error = local_error(find(name))
    for k, by_component in oracle_symbols.local_error(name, order).items():
        for c, formula in by_component.items():
            assert sp.expand(evaluate(error.terms[k][c], here) - formula) == 0, (k, c)


def exact_point(p, model, phi):
    parameters = {name: getattr(p, name) for name in ("Gamma", "nu", "M", "lambda_s")}
    for k, name in enumerate(("beta", "dbeta", "d2beta", "d3beta")):
        parameters[name] = p.beta[k] * factorial(k)
    state = {"x": p.x, "m": p.m} if model == "psld" else {"x": p.x}
    return Point(state, jets.field(p, phi), parameters)


@pytest.mark.share(2)
@pytest.mark.parametrize("key", jets.SAMPLERS, ids="-".join)
def test_the_h2_error_equals_that_of_the_printed_sampler_in_exact_arithmetic(key):
    model, dynamics, _ = key
    (scheme_,) = (s for s in CATALOGUE if (s.model_name, s.dynamics, s.name) == key)
    p = jets.Process(seed=7)
    x, m = jets.X, jets.Y * (model == "psld")
    if dynamics == "ode":
        for function, c in zip((x, m), scheme_.model.components, strict=False):
            truth = jets.error(p, key, function)
            for k in (1, 2):
                value = evaluate(local_error(scheme_).terms[k][c], exact_point(p, model, function))
                assert value == truth[k], (k, c)
        return
    phi = (
        x
        + 3 * m
        + x**2 * 5
        + x * m / 7
        - m**2
        + x**3
        - 2 * x**2 * m
        + x * m**2
        + m**3 / 3
        + (x + m) ** 4
    )
    truth = jets.error(p, key, phi)
    here = exact_point(p, model, phi)
    for k in (1, 2):
        assert evaluate(local_error(scheme_).terms[k]["phi"], here) == truth[k], k
    assert truth[2] != 0
