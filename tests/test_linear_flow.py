"""The exact reverse flow: two routes, and what must hold of any exact flow."""

from __future__ import annotations

from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from analytic_models import diffusions, linear_flow
from analytic_models.diffusions import PSLD, VP, Diffusion, Langevin
from analytic_models.linear_flow import Flow, closed_flow, integrated_flow
from analytic_models.targets import Gaussian, marginal
from tests.strategies import examples

TARGET = Gaussian(np.array([4.0, 1.0, 0.2, 0.01]), np.array([1.0, 2.0, -1.0, 0.5]))
DIFFUSIONS: list[Diffusion] = [
    PSLD(),
    PSLD(Gamma=0.0, nu=4.0),
    PSLD(Gamma=0.5, nu=1.3, beta_min=2.0, beta_max=9.0, kappa=0.3, T=1.5),
    PSLD(Gamma=1.4, nu=0.2, beta_min=6.0, beta_max=1.0),
    VP(),
    VP(beta_min=5.0, beta_max=1.0, T=2.0),
    Langevin(gamma=0.7, T=2.0),
]
both_dynamics = pytest.mark.parametrize("dynamics", ["ode", "sde"])
all_diffusions = pytest.mark.parametrize("diffusion", DIFFUSIONS, ids=repr)


def entries(flow: Flow, modes: int = TARGET.variances.size) -> np.ndarray:
    """All numbers of a flow, shape (entries, modes)."""
    flat = [*sum(flow.matrix, ()), *flow.shift, *sum(flow.noise, ())]
    return np.array([np.broadcast_to(np.asarray(e, dtype=float), (modes,)) for e in flat])


def exact_entries(flow: Flow) -> list[mp.mpf]:
    return [mp.mpf(e) for e in (*sum(flow.matrix, ()), *flow.shift, *sum(flow.noise, ()))]


def law(pair_and_block, modes: int = TARGET.variances.size) -> np.ndarray:
    mean, block = pair_and_block
    return np.array([np.broadcast_to(e, (modes,)) for e in (*mean, *sum(block, ()))])


@pytest.mark.share(7)
@both_dynamics
@all_diffusions
def test_the_closed_form_and_the_integrated_moment_equations_agree(diffusion, dynamics):
    times = 0.1, diffusion.T - 0.01
    closed = entries(closed_flow(dynamics, diffusion, TARGET, *times))
    integrated = entries(integrated_flow(dynamics, diffusion, TARGET, *times))
    assert np.abs(closed - integrated).max() < 1e-10
    assert np.abs(closed[0] - 1).max() > 0.1, "the flow does something"


def resolved(value):
    """Products of smaller numbers leave double precision: then it is 0."""
    return value if abs(value) > 1e-20 else 0.0


def random_diffusion(data, number):
    """A random process and target with entries made by `number` from float64 strings."""
    x = {
        name: number(data.draw(st.floats(low, high).map(resolved), label=name))
        for name, low, high in [
            ("Gamma", 0, 2), ("nu", 2.2, 6), ("beta_min", 0.1, 5), ("beta_max", 0.1, 5),
            ("kappa", 0.02, 1), ("T", 0.5, 2), ("variance", 0.05, 4), ("mean", -2, 2),
        ]
    }  # fmt: skip
    target = Gaussian(x.pop("variance"), x.pop("mean"))
    if data.draw(st.booleans(), label="VP"):
        return VP(x["beta_min"], x["beta_max"], x["T"]), target
    return PSLD(**x), target


@examples(8)
@given(data=st.data(), dynamics=st.sampled_from(["ode", "sde"]))
def test_the_two_routes_agree_on_random_models_with_time_dependent_beta(data, dynamics):
    diffusion, target = random_diffusion(data, lambda x: x)
    times = 0.2 * diffusion.T, 0.9 * diffusion.T
    closed = entries(closed_flow(dynamics, diffusion, target, *times), 1)
    integrated = entries(integrated_flow(dynamics, diffusion, target, *times), 1)
    assert np.abs(closed - integrated).max() < 1e-10


@pytest.mark.heavy
@both_dynamics
@pytest.mark.parametrize("model", ["psld", "vp", "langevin"])
def test_the_two_routes_agree_in_fifty_digits_for_short_and_long_steps(model, dynamics):
    with mp.workdps(50):
        diffusions: dict[str, Diffusion] = {
            "psld": PSLD(*map(mp.mpf, ("0.3", "1.7", "2", "5", "0.04", "1"))),
            "vp": VP(*map(mp.mpf, ("0.1", "5", "1"))),
            "langevin": Langevin(mp.mpf("0.7"), mp.mpf(3)),
        }
        diffusion = diffusions[model]
        target = Gaussian(mp.mpf("0.3"), mp.mpf("1.2"))
        for h in (mp.mpf("1e-8"), mp.mpf("0.05")):
            times = mp.mpf("0.4"), mp.mpf("0.4") + h
            closed = exact_entries(closed_flow(dynamics, diffusion, target, *times))
            integrated = exact_entries(integrated_flow(dynamics, diffusion, target, *times))
            worst = max(abs(a - b) for a, b in zip(closed, integrated, strict=True))
            assert worst < mp.mpf("1e-45")
            assert max(abs(a - round(a)) for a in integrated) > h / 100, "h is resolved"


@both_dynamics
@pytest.mark.parametrize("diffusion", DIFFUSIONS[:6], ids=repr)
def test_the_flow_carries_the_law_at_T_to_the_law_at_any_time(diffusion, dynamics):
    for t in (0.05, diffusion.T - 1e-3):
        flow = closed_flow(dynamics, diffusion, TARGET, 0.0, t)
        arrived = flow.push(*marginal(diffusion, TARGET, diffusion.T))
        there = marginal(diffusion, TARGET, diffusion.T - t)
        assert np.allclose(law(arrived), law(there), rtol=1e-9, atol=1e-12)


@both_dynamics
@all_diffusions
def test_two_flows_in_a_row_are_one_flow(diffusion, dynamics):
    start = (0.3, -0.2)[: len(diffusion.stationary)]
    covariance = tuple(
        tuple(0.7 if i == j else 0.1 for j in range(len(start))) for i in range(len(start))
    )
    times = [0.1, 0.4, diffusion.T - 0.05]
    whole = closed_flow(dynamics, diffusion, TARGET, times[0], times[2]).push(start, covariance)
    state = start, covariance
    for t0, t1 in pairwise(times):
        state = closed_flow(dynamics, diffusion, TARGET, t0, t1).push(*state)
    assert np.allclose(law(whole), law(state), rtol=1e-9, atol=1e-12)


@all_diffusions
def test_only_the_sde_adds_noise_and_its_covariance_is_positive(diffusion):
    times = 0.1, diffusion.T - 0.01
    assert np.all(law(((), closed_flow("ode", diffusion, TARGET, *times).noise)) == 0)
    noise = closed_flow("sde", diffusion, TARGET, *times).noise
    blocks: np.ndarray = np.moveaxis(np.array(noise), -1, 0)
    assert np.linalg.eigvalsh(blocks).min() > 0


@pytest.mark.parametrize("diffusion", DIFFUSIONS[:4], ids=repr)
def test_the_sde_flow_is_the_conditional_law_of_the_joint_gaussian(diffusion):
    t0, t1 = 0.1, diffusion.T - 0.02
    flow = closed_flow("sde", diffusion, TARGET, t0, t1)
    phi = np.array(
        diffusions.transition(diffusion, diffusion.T - t0, diffusion.T - t1), dtype=float
    )
    for mode in range(TARGET.variances.size):
        one = Gaussian(TARGET.variances[mode : mode + 1], TARGET.mean[mode : mode + 1])
        s0: np.ndarray = np.array(marginal(diffusion, one, diffusion.T - t1)[1])[..., 0]
        s1: np.ndarray = np.array(marginal(diffusion, one, diffusion.T - t0)[1])[..., 0]
        gain = np.linalg.solve(s1, phi @ s0).T
        assert np.allclose(np.array(flow.matrix)[..., mode], gain, rtol=1e-8, atol=1e-12)
        assert np.allclose(np.array(flow.noise)[..., mode], s0 - gain @ phi @ s0, atol=1e-12)


@both_dynamics
@pytest.mark.parametrize("gamma", [0.0, 0.7, 2.0, 5.0])
def test_the_langevin_flow_is_the_matrix_exponential_with_van_loans_covariance(gamma, dynamics):
    target, h = Gaussian(np.array([1.0, 0.25, 3.0]), 0.4), 0.9
    flow = closed_flow(dynamics, Langevin(gamma=gamma), target, 0.0, h)
    friction = gamma if dynamics == "sde" else 0.0
    for mode, variance in enumerate(target.variances):
        drift = np.array([[0, 1], [-1 / variance, -friction]])
        noise = np.diag([0, 2 * friction])
        big = scipy.linalg.expm(h * np.block([[-drift, noise], [np.zeros((2, 2)), drift.T]]))
        matrix = big[2:, 2:].T
        assert np.allclose(np.array(flow.matrix)[..., mode], matrix, atol=1e-13)
        assert np.allclose(np.array(flow.noise)[..., mode], matrix @ big[:2, 2:], atol=1e-13)
        mean = np.array([0.4, 0])
        assert np.allclose(np.array(flow.shift)[..., mode], mean - matrix @ mean, atol=1e-13)


def test_the_probability_flow_of_vp_scales_by_the_ratio_of_standard_deviations():
    diffusion = DIFFUSIONS[4]
    flow = integrated_flow("ode", diffusion, TARGET, 0.0, 0.99)
    (_, ((early,),)), (_, ((late,),)) = (
        marginal(diffusion, TARGET, tau) for tau in (1 - 0.99, 1.0)
    )
    assert np.allclose(flow.matrix[0][0], np.sqrt(early / late), rtol=1e-11)


@pytest.mark.parametrize("diffusion", DIFFUSIONS[:4], ids=repr)
def test_the_probability_flow_is_more_than_a_map_between_the_marginals(diffusion):
    """A wrong rotation angle would still map marginals: the integrated flow is what pins it."""
    closed = closed_flow("ode", diffusion, TARGET, 0.1, diffusion.T - 0.01)
    s0, s1 = (marginal(diffusion, TARGET, tau)[1] for tau in (0.01, diffusion.T - 0.1))
    roots = [np.linalg.cholesky(np.moveaxis(np.array(s), -1, 0)) for s in (s0, s1)]
    unturned = roots[0] @ np.linalg.inv(roots[1])
    assert np.abs(np.moveaxis(np.array(closed.matrix), -1, 0) - unturned).max() > 0.05


@both_dynamics
@pytest.mark.parametrize("diffusion", [PSLD(), PSLD(Gamma=0.0), VP()], ids=repr)
def test_the_flow_reaches_a_point_mass_exactly_and_as_the_limit_of_flows_that_stop_short(
    diffusion, dynamics
):
    target = Gaussian(np.array([0.0, 0.0]), np.array([0.5, -1.0]))
    if dynamics == "ode" and diffusion == PSLD(Gamma=0.0):
        with pytest.raises(ValueError, match="degenerate"):
            closed_flow(dynamics, diffusion, target, 0.0, diffusion.T)
        return
    flow = closed_flow(dynamics, diffusion, target, 0.0, diffusion.T)
    mean, covariance = flow.push(*marginal(diffusion, target, diffusion.T))
    assert np.all(covariance[0][0] == 0)
    assert np.allclose(mean[0], target.mean, atol=1e-14)
    short = closed_flow(dynamics, diffusion, target, 0.0, diffusion.T - 1e-9)
    assert 0 < np.abs(entries(flow, 2) - entries(short, 2)).max() < 1e-3


@pytest.mark.heavy
@pytest.mark.parametrize("diffusion", [DIFFUSIONS[0], DIFFUSIONS[2]], ids=repr)
def test_lambda_s_scales_the_position_noise_and_nothing_else(diffusion):
    times = 0.1, diffusion.T - 0.01
    flows = [
        integrated_flow("sde", diffusion, TARGET, *times, lambda_s=x, tolerance=1e-11)
        for x in (0, 1, 2, lambda t: 1 + 0 * t)
    ]
    exact = closed_flow("sde", diffusion, TARGET, *times)
    for flow in flows:
        assert np.allclose(flow.matrix, exact.matrix, atol=1e-10)
    noises: list[np.ndarray] = [np.array(flow.noise) for flow in flows]
    none, one, two, callable_one = noises
    assert np.allclose(two - one, one - none, atol=1e-10), "linear in lambda_s"
    assert np.all(two[0][0] > one[0][0]) and np.all(one[0][0] > none[0][0])
    assert np.allclose(callable_one, one, atol=1e-13)


def test_over_a_short_time_lambda_s_multiplies_the_position_noise_and_leaves_the_momentum_noise():
    h = 1e-5
    for value in (0, 3):
        flow = integrated_flow("sde", DIFFUSIONS[2], TARGET, 0.3, 0.3 + h, lambda_s=value)
        exact = closed_flow("sde", DIFFUSIONS[2], TARGET, 0.3, 0.3 + h)
        assert np.allclose(flow.noise[0][0], value * exact.noise[0][0], rtol=1e-3, atol=1e-8)
        assert np.allclose(flow.noise[1][1], exact.noise[1][1], rtol=1e-3)
        assert np.all(exact.noise[0][0] > 1e-6)


@pytest.mark.heavy
def test_an_integration_that_cannot_reach_its_tolerance_says_so(monkeypatch):
    monkeypatch.setattr(linear_flow, "MOST_HALVINGS", 1)
    with mp.workdps(20):
        diffusion, target = VP(*map(mp.mpf, ("1", "2", "1"))), Gaussian(mp.mpf("0.5"), mp.mpf(0))
        with pytest.raises(ValueError, match="could not be integrated"):
            integrated_flow(
                "ode", diffusion, target, mp.mpf("0.1"), mp.mpf("0.2"), tolerance=mp.mpf(-1)
            )


@pytest.mark.parametrize(("t0", "t1"), [(-0.1, 0.5), (0.5, 0.5), (0.6, 0.5), (0.5, 1.1)])
def test_times_out_of_order_are_refused(t0, t1):
    for route in (closed_flow, integrated_flow):
        with pytest.raises(ValueError, match="0 <= t0 < t1 <= T"):
            route("sde", PSLD(), TARGET, t0, t1)


def test_an_integration_into_a_degenerate_law_is_refused():
    target = Gaussian(np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="degenerate"):
        integrated_flow("ode", VP(), target, 0.0, 1.0)
