"""Every scheme converges at the order it claims, to the limit it should: exact moments,
two-sided.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytic_models.convergence import global_errors, global_orders, slowest
from analytic_models.diffusions import PSLD, VP, Diffusion, Langevin
from analytic_models.linear_flow import closed_flow, integrated_flow
from analytic_models.targets import Gaussian
from splitting_analysis.catalogue import CATALOGUE, entries, find
from splitting_analysis.observed import observed_order
from splitting_analysis.schemes import LambdaS, scheme
from tests.strategies import examples

named = pytest.mark.parametrize(
    "entry", CATALOGUE, ids=lambda s: f"{s.model_name}-{s.dynamics}-{s.name}"
)
TEN_TO_SEVENTY = range(10, 80, 10)


def problem(model: str, number=float) -> tuple[Diffusion, Gaussian, Any]:
    """A mild process with time-dependent beta, a target, and a start that is no equilibrium."""
    x = {
        key: number(value)
        for key, value in {
            "one": "1",
            "Gamma": "0.3",
            "nu": "1.8",
            "early": "2",
            "late": "1",
            "kappa": "0.7",
            "friction": "0.7",
            "variance": "0.6",
            "mean": "-0.8",
            "x": "1.3",
            "m": "-0.6",
            "xx": "0.7",
            "xm": "0.2",
            "mm": "0.9",
        }.items()
    }
    diffusions: dict[str, Diffusion] = {
        "psld": PSLD(x["Gamma"], x["nu"], x["early"], x["late"], x["kappa"], x["one"]),
        "vp": VP(x["early"], x["late"], x["one"]),
        "langevin": Langevin(x["friction"], x["one"]),
    }
    start: Any = ((x["x"], x["m"]), ((x["xx"], x["xm"]), (x["xm"], x["mm"])))
    if model == "vp":
        start = ((x["x"],), ((x["xx"],),))
    return diffusions[model], Gaussian(x["variance"], x["mean"]), start


@pytest.mark.share(17)
@named
def test_every_moment_of_every_scheme_converges_at_exactly_the_claimed_order(entry):
    with mp.workdps(30):
        diffusion, target, start = problem(entry.model_name, mp.mpf)
        orders = global_orders(entry, diffusion, target, TEN_TO_SEVENTY, mp.mpf("0.3"), start)
    assert len(orders) == (2 if entry.model_name == "vp" else 5)
    for key, result in orders.items():
        assert result.confirms(entry.order, within=0.01), f"{key}\n{result}"
        assert not result.confirms(entry.order + 1) and not result.confirms(entry.order - 1)


@examples(3)
@given(
    entry=st.sampled_from([s for s in CATALOGUE if s.order in (1, 2)]),
    Gamma=st.floats(0.05, 1.0),
    nu=st.floats(1.5, 3.0),
    early=st.floats(0.5, 3.0),
    late=st.floats(0.5, 3.0),
    kappa=st.floats(0.3, 1.5),
    variance=st.floats(0.3, 3.0),
    mean=st.floats(-1, 1),
    grid=st.sampled_from(["uniform", "quadratic"]),
)
def test_no_random_model_contradicts_the_claimed_order(
    entry, Gamma, nu, early, late, kappa, variance, mean, grid
):
    """An error that happens to vanish or change sign is inconclusive; whatever settles must
    agree.
    """
    _, _, start = problem(entry.model_name)
    diffusions: dict[str, Diffusion] = {
        "psld": PSLD(Gamma, nu, early, late, kappa),
        "vp": VP(early, late),
        "langevin": Langevin(Gamma, 1.0),
    }
    target = Gaussian(np.array([variance]), np.array([mean]))
    orders = global_orders(
        entry, diffusions[entry.model_name], target, [2**k for k in range(5, 12)], 0.2, start, grid
    )
    settled = [
        r for r in orders.values() if r.order is not None and r.confirms(r.order, within=0.05)
    ]
    assert all(r.order is not None and abs(r.order - entry.order) < 0.01 for r in settled)
    assert any(result.confirms(entry.order, within=0.01) for result in settled)
    assert not any(result.verdict == "diverges" for result in orders.values())


@pytest.mark.share(4)
@pytest.mark.parametrize("rule", ["exponent", "variance"])
@pytest.mark.parametrize(
    "entry", [s for s in entries("psld", "sde") if "O" in s.word.letters], ids=lambda s: s.name
)
def test_lambda_s_other_than_one_leaves_an_error_of_order_zero_and_converges_to_its_own_limit(
    entry, rule
):
    diffusion, _, start = problem("psld")
    target = Gaussian(np.array([0.6]), np.array([-0.8]))
    inexact = replace(entry, lambda_s=LambdaS(rule, Fraction(3)))
    steps = [2**k for k in range(4, 10)]
    to_exact = global_orders(inexact, diffusion, target, steps, 0.3, start)
    for key in ("xx", "xm", "mm"):
        assert to_exact[key].confirms(0), f"{key}\n{to_exact[key]}"
    assert to_exact["x"].confirms(1) and to_exact["m"].confirms(1), "the mean has no noise in it"
    limit = integrated_flow("sde", diffusion, target, 0.0, 0.7, lambda_s=3)
    to_limit = global_orders(inexact, diffusion, target, steps, 0.3, start, limit=limit)
    for key, result in to_limit.items():
        assert result.confirms(entry.order), f"{key}\n{result}"


def test_the_exact_limit_of_lambda_s_one_is_the_exact_flow_itself():
    diffusion, target, start = problem("psld")
    limit = integrated_flow("sde", diffusion, target, 0.0, 0.7)
    errors = [
        global_errors(find("ROBA"), diffusion, target, [8], 0.3, start, limit=reference)
        for reference in (None, limit)
    ]
    for key in errors[0]:
        assert errors[0][key][0] == pytest.approx(errors[1][key][0], abs=1e-11)
        assert abs(errors[0][key][0]) > 1e-4


def test_an_error_is_the_scheme_minus_the_flow_with_its_sign():
    """One Euler step of the VP probability flow, by hand: x (1 + h beta/2 (1 - 1/v)), v the
    variance at T.
    """
    diffusion, target = VP(2.0, 2.0), Gaussian(0.6)
    errors = global_errors(find("Euler", "vp"), diffusion, target, [1], 0.3, ((1.0,), ((1.0,),)))
    v = 1 + np.exp(-2) * (0.6 - 1)
    scale = 1 + 0.7 * (1 - 1 / v)
    flow = closed_flow("ode", diffusion, target, 0.0, 0.7).matrix[0][0]
    assert errors["x"][0] == pytest.approx(scale - flow, rel=1e-12)
    assert errors["xx"][0] == pytest.approx(scale**2 - flow**2, rel=1e-12)
    assert errors["x"][0] > 0


def test_a_scheme_of_two_half_steps_has_the_errors_of_twice_the_steps():
    """BAOA written twice in one word: n steps of it are 2n steps of BAOA."""
    diffusion, target, start = problem("langevin")
    twice = scheme("S B/2 A/4 O/2 A/4 S B/2 A/4 O/2 A/4", "langevin", "sde")
    once = find("BAOA", "langevin")
    long, short = (
        global_errors(s, diffusion, target, n, 0.3, start)
        for s, n in ((twice, [4, 8]), (once, [8, 16]))
    )
    for key in long:
        assert long[key] == pytest.approx(short[key], rel=1e-10)


def test_modes_in_one_array_have_the_errors_of_each_alone():
    diffusion, _, start = problem("psld")
    together = Gaussian(np.array([0.2, 1.5]), np.array([0.5, -1.0]))
    errors = global_errors(find("ROBAB"), diffusion, together, [4, 8], 0.3, start)
    for mode in range(2):
        alone = Gaussian(together.variances[mode], together.mean[mode])
        for key, row in global_errors(find("ROBAB"), diffusion, alone, [4, 8], 0.3, start).items():
            assert [e[mode] for e in errors[key]] == pytest.approx(row, rel=1e-9, abs=1e-14)
    with pytest.raises(ValueError, match="one mode at a time"):
        global_orders(find("ROBAB"), diffusion, together, [4, 8], 0.3, start)


def test_the_slowest_entry_speaks_for_the_method():
    one, two = (
        observed_order([1, 2, 4], [1, 0.5, 0.25]),
        observed_order([1, 2, 4], [1, 0.25, 0.0625]),
    )
    vague, bad = observed_order([1, 2], [1, 0.5]), observed_order([1, 2, 4], [1, 2, 4])
    assert slowest({"a": two, "b": one}) is one
    assert slowest({"a": one, "b": vague}) is vague
    assert slowest({"a": vague, "b": bad, "c": one}) is bad
    flat, wild = observed_order([1, 2, 4], [1, 1, 1]), observed_order([1, 2, 4, 8], [1, 2, 8, 64])
    assert (flat.order, wild.order) == (0, None)
    assert slowest({"a": flat, "b": vague}) is vague
    assert slowest({"a": flat, "b": vague, "c": wild}) is wild
