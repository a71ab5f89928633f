"""Global and weak errors on scores that are not Gaussian: Gaussian targets, other rules, stored
data.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analytic_models import diffusions, moments, targets
from analytic_models.mixtures import Mixture, log_density
from gpu_samplers import processes
from reports.experiments import global_orders, runs, store, weak
from reports.experiments.targets import exact_target
from reports.pages import crossval_global
from splitting_analysis.catalogue import entries, find
from splitting_analysis.observed import observed_order

MEANS = torch.tensor([[0.5, -0.8], [-0.4, 0.9], [0.1, 0.2]], dtype=torch.float64)
TARGET = exact_target("tiny", processes.PSLD(), MEANS, 0.3)
STOCHASTIC = {s.name: s for s in entries("psld", "sde")}


@pytest.fixture(scope="module")
def start():
    z = runs.starts(TARGET, 1)
    return z, runs.reference(TARGET, z)


@pytest.mark.share(3)
@pytest.mark.parametrize("name", ["RSE", "NSE"])
def test_a_first_order_sampler_is_of_order_one_and_of_no_other(name, start):
    z, exact = start
    steps = (32, 64, 128, 256)
    scheme = find(name)
    errors = global_orders.end_errors(TARGET, scheme, z, exact, steps)
    row = global_orders.order_row(scheme, steps, errors, 1e-10)
    assert crossval_global.is_confirmed(row)
    for wrong in (0, 2):
        assert not crossval_global.is_confirmed({**row, "claim": wrong})


@pytest.mark.parametrize(
    ("change", "confirmed"),
    [
        ({}, True),
        ({"low": 1.04, "high": 1.9}, True),
        ({"low": 0.1, "high": 0.96}, True),
        ({"order": None}, False),
        ({"low": 1.06, "high": 1.1}, False),
        ({"low": 0.9, "high": 0.94}, False),  # misses the claim
        ({"low": 0.0}, False),
        ({"high": 2.0}, False),  # holds a neighbour
        ({"claim": 2}, False),
        ({"claim": 0}, False),
    ],
)
def test_an_order_is_confirmed_by_an_interval_with_the_claim_and_without_its_neighbours(
    change, confirmed
):
    row = {"order": 1.0, "claim": 1, "low": 0.97, "high": 1.04}
    assert crossval_global.is_confirmed(row | change) is confirmed


@pytest.mark.heavy
def test_the_reference_and_a_fine_runge_kutta_run_agree(start):
    z, exact = start
    assert 0 < global_orders.floor_of(TARGET, z, exact) < 1e-8


def test_the_signed_errors_are_projections_and_the_norms_root_mean_squares(start):
    z, exact = start
    errors = global_orders.end_errors(TARGET, find("Euler"), z, exact, (16, 32))
    row = global_orders.order_row(find("Euler"), (16, 32), errors, 0.0)
    assert row["signed"][-1] == pytest.approx(float(errors[-1].norm()), rel=1e-14)
    assert abs(row["signed"][0]) < float(errors[0].norm())
    assert row["norms"] == pytest.approx(
        [float(e.square().mean().sqrt()) for e in errors], rel=1e-14
    )


def test_expectations_are_integrals_of_the_density():
    tau, process = 0.5, diffusions.PSLD(**weak.PARAMETERS)
    x, m = (
        a.ravel()
        for a in np.meshgrid(np.linspace(-8, 8, 91), np.linspace(-8, 8, 91), indexing="ij")
    )
    mass = (
        np.exp(log_density(process, weak.TARGET, np.stack([x, m])[:, :, None], tau))
        * (16 / 90) ** 2
    )
    found = weak.expectation(weak.observables, tau)
    np.testing.assert_allclose(found, weak.observables(x, m) @ mass, atol=1e-8)


@pytest.mark.share(3)
@pytest.mark.parametrize("name", ["EM", "SSCS", "NOBA", "ROBAB"])
def test_on_a_gaussian_the_recursion_gives_the_exact_moments_of_the_run(name, monkeypatch):
    monkeypatch.setattr(weak, "TARGET", Mixture([1.0], [[0.6]], 0.4))
    process, law = diffusions.PSLD(**weak.PARAMETERS), targets.Gaussian(0.4, 0.6)
    times = [process.T - weak.START + (weak.START - weak.END) * i / 2 for i in range(3)]

    def raw(x, m):
        return np.stack([x, x * m])

    found = weak.run_expectation(STOCHASTIC[name], raw, 2, points=41, nodes=4)
    start = targets.marginal(process, law, weak.START)
    ends = moments.run(STOCHASTIC[name], process, law, times, start, denoise=False)
    mean, covariance = ends.mean, ends.covariance
    expected = [mean[0], covariance[0][1] + mean[0] * mean[1]]
    np.testing.assert_allclose(found, np.array(expected, dtype=float).ravel(), rtol=1e-6)


@pytest.mark.heavy
def test_a_finer_grid_gives_the_same_weak_error():
    coarse = weak.run_expectation(STOCHASTIC["RBAO"], weak.observables, 2)
    fine = weak.run_expectation(STOCHASTIC["RBAO"], weak.observables, 2, 121, 9)
    np.testing.assert_allclose(coarse, fine, atol=2e-7)
    exact = weak.expectation(weak.observables, weak.END)
    assert np.all(abs(fine - exact) > 1e-3)


def squares(tau):
    """E x^2 of the exact law: in closed form, by the moments of its components."""
    process = diffusions.PSLD(**weak.PARAMETERS)
    parts = zip(weak.TARGET.variances, weak.TARGET.means, strict=True)
    laws = [targets.Gaussian(float(v), float(m[0])) for v, m in parts]
    ends = [targets.marginal(process, law, tau) for law in laws]
    return sum(
        float(w * (m[0] ** 2 + c[0][0]))
        for w, (m, c) in zip(weak.TARGET.weights, ends, strict=True)
    )


@pytest.mark.heavy
def test_a_weak_row_is_run_minus_exact_with_what_a_coarser_grid_changes(monkeypatch):
    """On few points, whose interpolation shows: the errors of the row are those of these runs."""
    real, steps = weak.run_expectation, (1, 2, 4)

    def cheap(scheme, phi, n, points=31):
        return real(scheme, phi, n, points, nodes=4)

    monkeypatch.setattr(weak, "run_expectation", cheap)
    monkeypatch.setattr(weak, "entries", lambda *_: (STOCHASTIC["EM"],))
    monkeypatch.setattr(weak, "FEWER", 23)
    rows = weak.compute(steps)
    ends = np.array([cheap(STOCHASTIC["EM"], weak.observables, n) for n in steps])
    exact = weak.expectation(weak.observables, weak.END)
    coarser = abs(cheap(STOCHASTIC["EM"], weak.observables, 4, 23) - ends[-1])
    assert [row["function"] for row in rows] == list(weak.NAMES)
    assert rows[0]["exact"] == pytest.approx(squares(weak.END), rel=1e-12)
    for i, row in enumerate(rows):
        assert (row["scheme"], row["claim"], row["steps"]) == ("EM", 1, list(steps))
        assert row["exact"] == pytest.approx(exact[i], rel=1e-12)
        assert row["signed"] == pytest.approx(ends[:, i] - exact[i], rel=1e-9)
        assert row["floor"] == pytest.approx(coarser[i], rel=1e-6) and row["floor"] > 1e-8
        found = observed_order(steps, row["signed"], row["floor"])
        assert [row[key] for key in ("order", "low", "high")] == [
            found.order,
            found.low,
            found.high,
        ]


DATA = store.stored("global")


@pytest.mark.heavy
@pytest.mark.skipif(DATA is None, reason="no stored results")
@pytest.mark.parametrize("scheme", ["EM", "NOBAB"])
def test_stored_weak_errors_are_those_that_the_code_gives_now(scheme):
    assert DATA is not None
    exact = weak.expectation(weak.observables, weak.END)
    assert exact[0] == pytest.approx(squares(weak.END), rel=1e-10)
    stored = {(row["scheme"], row["function"]): row for row in DATA["weak"]}
    assert set(stored) == {(s, name) for s in STOCHASTIC for name in weak.NAMES}
    for (_, name), row in stored.items():
        assert row["exact"] == pytest.approx(exact[weak.NAMES.index(name)], rel=2e-6)
    # On fewer points than were stored: good to 0.003.
    ends = weak.run_expectation(STOCHASTIC[scheme], weak.observables, 8, points=41, nodes=4)
    for name, error in zip(weak.NAMES, ends - exact, strict=True):
        row = stored[scheme, name]
        assert row["steps"][0] == 8 and row["signed"][0] == pytest.approx(error, rel=6e-3)


@pytest.mark.skipif(DATA is None, reason="no stored results")
def test_the_stored_errors_are_those_that_the_code_gives_now():
    assert DATA is not None
    target = runs.targets()["mixture"]
    z = runs.starts(target)
    row = next(r for r in DATA["ode"]["mixture"]["rows"] if r["scheme"] == "RSE")
    score = target.machine(torch.float64)
    grids = [runs.times_of(target.process, n) for n in (8, 16)]
    coarse, finer = (
        runs.end_state(find("RSE"), target.process, score, times, z) for times in grids
    )
    assert row["steps"][:2] == [8, 16]
    gap = float((coarse - finer).square().mean().sqrt())
    assert row["norms"][0] - row["norms"][1] <= gap <= row["norms"][0] + row["norms"][1]


@pytest.mark.skipif(DATA is None, reason="no stored results")
def test_the_page_says_how_many_orders_are_confirmed():
    from reports.pages.settings import QUICK

    assert DATA is not None
    page = crossval_global.build(QUICK)
    table = page.find("crossval-global-mixture")
    confirmed = sum(row[5] == "yes" for row in table.rows)
    assert f"{confirmed} of {len(table.rows)} deterministic" in page.lead and len(table.rows) == 6


@pytest.mark.skipif(DATA is None, reason="no stored results")
def test_order_five_shows_on_the_network_in_slow_time():
    row = slow_row()
    assert crossval_global.is_confirmed(row) and row["claim"] == 5


@pytest.mark.heavy
@pytest.mark.skipif(DATA is None, reason="no stored results")
def test_the_stored_errors_on_the_network_in_slow_time_are_those_that_the_code_gives_now():
    """Beside a run with three times the steps, whose error is 3^5 times smaller."""
    row, target = slow_row(), global_orders.targets()["slow-network"]
    z, n = runs.starts(target), row["steps"][0]
    score = target.machine(torch.float64)
    coarse, fine = (
        runs.end_state(find("RK45"), target.process, score, runs.times_of(target.process, k), z)
        for k in (n, 3 * n)
    )
    assert float((coarse - fine).square().mean().sqrt()) == pytest.approx(row["norms"][0], rel=0.02)


def slow_row():
    assert DATA is not None
    return next(r for r in DATA["ode"]["slow-network"]["rows"] if r["scheme"] == "RK45")
