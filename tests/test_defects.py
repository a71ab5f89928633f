"""The seeded bugs: what a validation says of each, and that the bugs are those of the reports.

The numbers of the public reports come out of the samplers here by routes that know nothing of the
validation: a scalar recursion on data N(0, 0.3), and linear maps on a harmonic force.
"""

from __future__ import annotations

from itertools import pairwise
from math import exp, sqrt, tanh

import numpy as np
import pytest

from analytic_models.distances import wasserstein_squared
from analytic_models.probing.stability import transport
from reports.experiments import defects, store
from reports.experiments.defects import ALL as CASES
from reports.experiments.seeded import dynamics, grids, harmless, noises, weights
from reports.experiments.seeded.times import STABLE_DIFFUSION
from reports.pages import validation_proof
from reports.pages.settings import QUICK
from splitting_analysis.processes import VE, VP, Flow, Langevin
from tests.test_false_alarms import complaints

CHEAP = ("predictor-clamped", "history-leaks")
"""Of different kinds, judged anew by default; the others with the heavy tests."""
STORED = {row["key"]: row for row in (store.stored("defects") or {}).get("rows", [])}


@pytest.mark.parametrize(
    "key", [key if key in CHEAP else pytest.param(key, marks=pytest.mark.heavy) for key in CASES]
)
def test_a_case_is_judged_rightly_and_as_it_is_stored(key):
    case = CASES[key]
    found = defects.judged(case)
    assert not defects.missed(case, found)
    again, kept = defects.row(case, found), STORED[key]
    assert {k: again[k] for k in again if k not in ("message", "notes")} == {
        k: kept[k] for k in kept if k not in ("message", "notes")
    }


def test_there_are_forty_bugs_and_more_and_all_are_found_and_stored():
    bugs = [case for case in CASES.values() if case.kind != harmless.KIND]
    assert len(bugs) >= 40
    assert list(STORED) == list(CASES)
    assert not [case.key for case in bugs if STORED[case.key]["holds"]]
    assert all(STORED[case.key]["holds"] for case in CASES.values() if case not in bugs)


def test_every_stored_message_says_what_it_must():
    for case in CASES.values():
        kept = STORED[case.key]
        assert all(phrase in kept["message"] for phrase in case.says), case.key
        assert kept["check"].startswith(case.fails), case.key
        assert all(any(note in own for own in kept["notes"]) for note in case.notes), case.key


def test_every_defect_has_a_sibling_in_another_model():
    models: dict[str, set[str]] = {}
    for case in CASES.values():
        models.setdefault(case.kind, set()).add(case.model)
    alone = {kind for kind, found in models.items() if len(found) < 2}
    assert alone == {dynamics.KIND}  # what belongs to langevin alone


def test_the_page_counts_what_is_stored():
    page = validation_proof.build(QUICK)
    bugs = sum(row["kind"] != harmless.KIND for row in STORED.values())
    assert page.lead.startswith(f"Of {bugs} samplers with a seeded bug")
    assert "finds all" in page.lead
    assert f"{len(STORED) - bugs} right ones that look wrong it accuses none" in page.lead


# The numbers of the public reports, without the validation.


def variance(key_or_call, process, times, v=0.3):
    """Of the samples of data N(0, v): the run is linear in its start and in every normal."""
    call = CASES[key_or_call].subject.call if isinstance(key_or_call, str) else key_or_call
    kind = CASES[key_or_call].subject.kind if isinstance(key_or_call, str) else "step"
    spread = lambda tau: process.alpha(tau) ** 2 * v + process.sigma(tau) ** 2  # noqa: E731
    score = lambda x, tau: -x / spread(tau)  # noqa: E731
    rows = 1 + len(times)
    z = np.zeros((rows, 1))
    z[0] = sqrt(spread(process.T - times[0]))
    drawn = 0

    def noise():
        nonlocal drawn
        drawn += 1
        unit = np.zeros((rows, 1))
        unit[drawn] = 1
        return unit

    if kind == "sample":
        z = call(score, z, np.array(times), noise, process)
    else:
        for t, after in pairwise(times):
            z = call(z, t, after - t, score, noise, process)
    return float(np.sum(z**2))


def own(key):
    """The process and the grid that a case brings."""
    subject = CASES[key].subject
    assert subject.grid is not None
    return subject.process, subject.grid


def evenly(process, n, end=1e-4):
    T = process.T
    return [T * (1 - end) * i / n for i in range(n + 1)]


def test_noise_without_its_drift_ends_at_0_637():
    process = Flow(T=0.9999)
    half, whole = (variance("noise-uncorrected", process, evenly(process, n)) for n in (500, 1000))
    assert 2 * whole - half == pytest.approx(0.637, abs=1.5e-3)


def test_a_sign_in_the_drift_of_a_noisy_flow_ends_at_0_39():
    process = Flow()
    found = [variance("sign-in-noisy-flow", process, evenly(process, n)) for n in (500, 1000)]
    assert 2 * found[1] - found[0] == pytest.approx(0.39, abs=5e-3)


def test_churn_that_nobody_asked_for_ends_at_0_254_in_1000_steps():
    process, grid = own("churn-limit")
    assert variance("churn-limit", process, grid(1000)) == pytest.approx(0.254, abs=5e-4)


@pytest.mark.parametrize(("steps", "wrong", "right"), [(20, 0.289, 0.185), (1000, 0.159, 0.296)])
def test_ddim_with_a_wrong_variance_looks_better_in_20_steps_alone(steps, wrong, right):
    process, grid = own("whole-noise-again")
    times = grid(steps)

    def ancestral(z, t, h, score, noise, model):
        tau, after = model.T - t, model.T - t - h
        ratio = (model.alpha(tau) / model.alpha(after)) ** 2
        fresh = model.sigma(after) ** 2 / model.sigma(tau) ** 2 * (1 - ratio)
        return noises.ddim_with(z, model, score, tau, after, fresh) + sqrt(fresh) * noise()

    assert variance("whole-noise-again", process, times) == pytest.approx(wrong, abs=5e-4)
    assert variance(ancestral, process, times) == pytest.approx(right, abs=5e-4)


def test_noise_of_deviation_h_has_the_right_limit_at_first_order():
    process = VP(0.1, 6.0)
    call = CASES["deviation-h"].subject.call
    exact = lambda tau: process.alpha(tau) ** 2 * 0.3 + process.sigma(tau) ** 2  # noqa: E731
    errors = [
        variance(call, process, evenly(process, n, 0.1)) - exact(0.1) for n in (100, 200, 400)
    ]
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.1)
    assert errors[1] / errors[2] == pytest.approx(2, abs=0.05)


def test_a_frozen_linear_part_keeps_0_6065_where_a_half_is_right():
    silent = lambda x, tau: -x / tau**2  # noqa: E731 - the data prediction is 0
    z = np.ones((1, 1))
    end = weights.frozen_linear_part(silent, z, [5.0, 7.5], None, VE(T=10.0))
    assert float(end[0, 0]) == pytest.approx(0.6065, abs=1e-4)


def test_a_table_that_does_not_end_at_1_leaves_0_029():
    model = STABLE_DIFFUSION
    point = lambda x, tau: -x / model.sigma(tau) ** 2  # noqa: E731 - all data are 0
    tau = 0.5
    end = grids.last_alpha_bar_not_one(
        point, np.full((1, 1), model.sigma(tau)), [0.5, 0.99, 1.0], None, model
    )
    assert float(end[0, 0]) == pytest.approx(0.029, abs=5e-4)


def one_step(call, process, h):
    """A step of langevin on the force -q: its linear map (2, 2) and its noise (2, draws)."""
    z = np.vstack([np.eye(2), np.zeros((8, 2))])
    drawn = 0

    def noise():
        nonlocal drawn
        unit = np.zeros_like(z)
        unit[2 + 2 * drawn, 0] = unit[3 + 2 * drawn, 1] = 1
        drawn += 1
        return unit

    score = lambda q, tau: -q  # noqa: E731
    if call.__code__.co_varnames[0] == "score":
        end = call(score, z, [0.0, h], noise, process)
    else:
        end = call(z, 0.0, h, score, noise, process)
    return end[:2].T, end[2:].T


def stationary(call, process, h):
    """Its stationary covariance on the force -q, by summing what every step adds."""
    keep, noise = one_step(call, process, h)
    covariance, factor = noise @ noise.T, keep
    for _ in range(40):  # doubling: 2^40 steps
        covariance = covariance + factor @ covariance @ factor.T
        factor = factor @ factor
    return covariance


def test_noise_proportional_to_h_has_the_variance_4h_over_4_minus_h():
    eta = 0.6  # overdamped steps of length h = eta^2
    h = eta**2
    found = stationary(noises.overdamped_noise_with_h, noises.LARGE, eta)[0, 0]
    # the momentum is eta xi for xi, so that the position moves by h xi for sqrt(h) xi
    assert found == pytest.approx(4 * h / (4 - h), rel=1e-12)


def test_noise_over_the_mass_leaves_momenta_1_over_mu_too_hot():
    process = Langevin(gamma=0.7)
    found = stationary(noises.noise_over_mass, process, 0.1)[1, 1]
    assert found == pytest.approx(1 / noises.MU, rel=0.01)


def test_friction_in_each_inner_step_is_c_squared():
    process, h = Langevin(gamma=0.7), 0.4
    none = lambda q, tau: 0 * q  # noqa: E731
    silent = lambda: np.zeros((1, 2))  # noqa: E731
    end = dynamics.friction_in_each_inner_step(
        none, np.array([[0.0, 1.0]]), [0.0, h], silent, process
    )
    assert float(end[0, 1]) == pytest.approx(exp(-0.7 * h) ** 2, rel=1e-12)


@pytest.mark.parametrize(("h", "grows"), [(0.69, False), (0.71, True)])
def test_both_updates_from_the_old_state_are_unstable_from_gamma_on(h, grows):
    keep, _ = one_step(dynamics.both_from_the_old_state, Langevin(gamma=0.7), h)
    assert bool(np.max(np.abs(np.linalg.eigvals(keep))) > 1) is grows


def test_the_diffusion_of_baoa_is_too_large_by_the_formula():
    found = transport(CASES["baoa"].subject, Langevin(gamma=0.7), 1.0)
    assert found == pytest.approx([0.5 / tanh(0.5)] * 2, rel=1e-6)
    assert found[0] == pytest.approx(1.082, abs=5e-4)


def test_a_friction_off_by_a_root_shows_in_transport_and_not_in_the_temperature():
    process = Langevin(gamma=0.7)
    call = CASES["friction-off"].subject
    # and the splitting's own factor, (gamma h/2) coth(gamma h/2) at that friction
    half = 0.3 / sqrt(3)
    wanted = sqrt(3) / 2 * half / tanh(half)
    assert transport(call, process, 0.3)[0] == pytest.approx(wanted, rel=1e-6)
    assert stationary(dynamics.friction_off, process, 0.02)[1, 1] == pytest.approx(1, abs=1e-3)


def test_the_inverse_of_ddim_misses_by_an_error_of_first_order():
    model, v = VP(0.1, 20.0), 0.3
    score = lambda x, tau: -x / (model.alpha(tau) ** 2 * v + model.sigma(tau) ** 2)  # noqa: E731
    misses = []
    for n in (50, 100, 200):
        times = np.linspace(0.0, 0.999, n + 1)
        back = harmless.there_and_back(score, np.ones((1, 1)), times, model)
        misses.append(abs(float(back[0, 0]) - 1))
    assert misses[0] / misses[1] == pytest.approx(2, abs=0.15)
    assert misses[1] / misses[2] == pytest.approx(2, abs=0.08)


def test_ddim_with_noise_and_euler_ancestral_are_one_sampler():
    process, rng = VE(T=10.0), np.random.default_rng(0)
    z, xi = rng.normal(size=(2, 5, 3)) * 10
    score = lambda x, tau: -x / (1 + tau**2)  # noqa: E731
    one, other = (
        call(z, 4.0, 2.0, score, lambda: xi, process)
        for call in (harmless.ddim_as_ancestral, harmless.ancestral_as_ddim)
    )
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_the_distance_of_two_gaussians_is_that_of_their_deviations():
    found = wasserstein_squared(
        (0.0, 0.0), ((1.0, 0.0), (0.0, 1.0)), (0.0, 0.0), ((4.0, 0.0), (0.0, 1.0))
    )
    assert float(np.sum(found)) == pytest.approx(1)  # |C1 - C2|^2 would be 9


def test_a_right_case_holds_with_nothing_open():
    assert not complaints(defects.judged(CASES["other-form"]))
