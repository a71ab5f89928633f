"""Strong local errors against the exact error of a sampler that shares the Brownian path."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.polynomial import Polynomial

from splitting_analysis.catalogue import CATALOGUE, find
from splitting_analysis.models import model_of
from splitting_analysis.numbers import Point, evaluate
from splitting_analysis.schemes import LambdaS, scheme
from splitting_analysis.strong import strong_error
from splitting_analysis.weak import at_lambda_one
from tests import oracle_strong as oracle
from tests.strategies import splitting_words

SDE = [s for s in CATALOGUE if s.dynamics == "sde"]


def affine(model, d=1, seed=3, constant_beta=False, lambda_s=1.0):
    """A random affine score whose Jacobian is not symmetric, and a random beta(tau)."""
    draw = np.random.default_rng([seed, d])
    size = d * len(oracle.COMPONENTS[model])
    jacobian = [draw.uniform(-1, 1, (size, size)) for _ in range(2)]
    offset = [draw.uniform(-1, 1, size) for _ in range(2)]
    beta = Polynomial([1.4, 0.0 if constant_beta else 0.8, 0.0 if constant_beta else -0.3])
    if model == "langevin":
        jacobian = [
            np.hstack([np.zeros((size, 0)), j * (np.arange(size) < d)]) for j in jacobian[:1]
        ]
        offset, beta = offset[:1], Polynomial([1.0])
    state = draw.uniform(-1, 1, size)
    return oracle.Affine(model, jacobian, offset, state, beta, 0.4, 1.3, 0.8, 0.7, lambda_s)


def numbers(error, p, power):
    """The closed form's matrices (traces of d x d blocks), as a symmetric matrix over
    components.
    """
    model = model_of(p.model, "sde")
    rows = {name: i for i, name in enumerate(model.scores) if name}

    def field(name, j, directions):
        assert j == 0 and len(directions) <= 1
        i = rows[name]
        if not directions:
            own = p.jacobian[0] @ p.state + p.offset[0]
            return own[i * p.d : (i + 1) * p.d]
        ((component, direction),) = directions
        k = model.components.index(component)
        return p.jacobian[0][i * p.d : (i + 1) * p.d, k * p.d : (k + 1) * p.d] @ direction

    parameters = {name: getattr(p, name) for name in ("Gamma", "nu", "M", "gamma", "lambda_s")}
    parameters |= {"beta": p.beta(0), "dbeta": p.beta.deriv()(0)}
    state = dict(zip(model.components, np.split(p.state, len(model.components)), strict=True))
    point = Point(state, field, parameters, basis=list(np.eye(p.d)))
    return {key: float(evaluate(c, point)) for key, c in error.terms[power].items()}


def traces(p, matrix):
    """The same from the oracle's matrix."""
    blocks = matrix.reshape(len(p.components), p.d, len(p.components), p.d)
    t = np.einsum("aibi->ab", blocks)
    return {
        a + b: t[i, j]
        for i, a in enumerate(p.components)
        for j, b in enumerate(p.components)
        if i <= j
    }


@pytest.mark.share(4)
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("scheme", [pytest.param(s, id=f"{s.model_name}-{s.name}") for s in SDE])
def test_every_sde_word_errs_strongly_as_its_closed_form_says(scheme, d):
    p = affine(scheme.model_name, d)
    error = strong_error(at_lambda_one(scheme))
    exact = "U" in scheme.word.letters or (scheme.model_name, scheme.name) == ("langevin", "EI")
    power = 3 if not exact else 5 if scheme.order == 2 else 4
    truth = oracle.strong_error(p, str(scheme.word), power)
    ours = numbers(error, p, power)
    assert error.leading == power and ours == pytest.approx(traces(p, truth[power]), abs=1e-8)
    assert max(map(abs, ours.values())) > 1e-2 * 0.02 ** (power > 3)
    assert np.abs(truth[1]).max() < 1e-11
    assert max(np.abs(truth[k]).max() for k in range(2, power)) < 1e-9


@pytest.mark.parametrize("name", ["NOBA", "ROBA", "RBAO", "ROBAB"])
def test_a_tuned_lambda_s_leaves_an_error_of_order_h(name):
    p = affine("psld", lambda_s=1.6)
    truth = oracle.strong_error(p, str(find(name).word), 1)
    error = strong_error(find(name))
    assert error.leading == 1 and set(error.terms) == {1}
    assert numbers(error, p, 1) == pytest.approx(traces(p, truth[1]), abs=1e-10)
    assert truth[1][0, 0] > 1e-2


@pytest.mark.parametrize("model", ["psld", "vp", "langevin"])
def test_random_words_err_strongly_as_their_closed_forms_say(model):
    p = affine(model)

    @settings(max_examples=12)
    @given(word=splitting_words(model, "sde", 2))
    def holds(word):
        truth = oracle.strong_error(p, str(word))
        error = strong_error(at_lambda_one(scheme(word, model, "sde")))
        ours = numbers(error, p, 3) if 3 in error.terms else dict.fromkeys(traces(p, truth[3]), 0.0)
        assert ours == pytest.approx(traces(p, truth[3]), abs=1e-8)

    holds()


@pytest.mark.parametrize(
    ("word", "power"),
    [
        ("U/4 S B/2 U/2 S B/2 U/4", 5),
        ("S B/4 U/2 S B/2 U/2 S B/4", 5),
        ("S U B", 4),
        ("U/3 S B U*2/3", 4),
    ],
)
def test_noise_that_passes_exactly_through_the_position_errs_two_powers_later(word, power):
    """By two powers where the mean of the step has order 2, by one where that has order 1."""
    p = affine("langevin", 2)
    truth = oracle.strong_error(p, word, 5)
    error = strong_error(scheme(word, "langevin"))
    assert set(error.terms) == {power}
    assert numbers(error, p, power) == pytest.approx(traces(p, truth[power]), abs=1e-10)
    assert max(np.abs(truth[k]).max() for k in range(1, power)) < 1e-12


def test_a_strong_error_does_not_depend_on_how_beta_changes_unless_the_scheme_freezes_it():
    """dbeta enters through frozen noise (E, DDPM) and through nothing else at this order."""
    for s in SDE:
        text = {
            str(symbol)
            for by_key in strong_error(at_lambda_one(s)).terms.values()
            for c in by_key.values()
            for v in c.values()
            for m in v.monoms()
            for symbol, k in zip(v.ring.symbols, m, strict=True)
            if k
        }
        frozen = s.model_name != "langevin" and str(s.word) in ("S E", "S E:ddpm")
        assert ("beta1" in text) == frozen, s.name


def test_a_deterministic_scheme_has_no_strong_error():
    with pytest.raises(ValueError, match="deterministic"):
        strong_error(find("NSE"))


def test_halving_an_exact_piece_does_not_change_the_strong_error():
    halves = strong_error(at_lambda_one(scheme("O/2 O/2 S B A")))
    assert halves.terms == strong_error(at_lambda_one(scheme("O S B A"))).terms


@pytest.mark.parametrize("value", [Fraction(9, 4), Fraction(8, 5), Fraction(1)])
def test_a_fixed_lambda_s_is_the_free_one_at_that_number(value):
    """A rational root, an irrational one, and the exact noise."""
    p = affine("psld", lambda_s=float(value))
    free = scheme("O/3 S B A O*2/3")
    fixed = strong_error(replace(free, lambda_s=LambdaS(value=value)))
    power = 3 if value == 1 else 1
    assert fixed.leading == power
    expected = strong_error(at_lambda_one(free)) if value == 1 else strong_error(free)
    assert numbers(fixed, p, power) == pytest.approx(numbers(expected, p, power), abs=1e-12)
    assert power == 3 or any(numbers(fixed, p, 1).values())
