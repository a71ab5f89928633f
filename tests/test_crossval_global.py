"""Global and weak errors on scores that are not Gaussian: Gaussian targets, other rules, stored data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analytic_models import diffusions, moments, targets
from analytic_models.mixtures import Mixture, log_density
from gpu_samplers import processes
from reports.crossval import global_orders, results, runs, weak
from reports.pages import crossval_global
from splitting_analysis.catalogue import entries, find
from splitting_analysis.order import observed_order

MEANS = torch.tensor([[0.5, -0.8], [-0.4, 0.9], [0.1, 0.2]], dtype=torch.float64)
TARGET = runs.exact_target("tiny", processes.PSLD(), MEANS, 0.3)
STOCHASTIC = {s.name: s for s in entries("psld", "sde")}


@pytest.fixture(scope="module")
def start():
    z = runs.starts(TARGET, 1)
    return z, runs.reference(TARGET, z)


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


def test_the_reference_and_a_fine_runge_kutta_run_agree(start):
    z, exact = start
    assert 0 < global_orders.floor_of(TARGET, z, exact) < 1e-8


def test_the_signed_errors_are_projections_and_the_norms_root_mean_squares(start):
    z, exact = start
    errors = global_orders.end_errors(TARGET, find("Euler"), z, exact, (16, 32))
    row = global_orders.order_row(find("Euler"), (16, 32), errors, 0.0)
    assert row["signed"][-1] == pytest.approx(float(errors[-1].norm()), rel=1e-14)
    assert abs(row["signed"][0]) < float(errors[0].norm())
    assert row["norms"] == pytest.approx([float(e.square().mean().sqrt()) for e in errors], rel=1e-14)


def test_expectations_are_integrals_of_the_density():
    tau, process = 0.5, diffusions.PSLD(**weak.PARAMETERS)
    x, m = (a.ravel() for a in np.meshgrid(np.linspace(-8, 8, 91), np.linspace(-8, 8, 91), indexing="ij"))
    mass = np.exp(log_density(process, weak.TARGET, np.stack([x, m])[:, :, None], tau)) * (16 / 90) ** 2
    found = weak.expectation(weak.observables, tau)
    np.testing.assert_allclose(found, weak.observables(x, m) @ mass, atol=1e-8)


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


def test_a_finer_grid_gives_the_same_weak_error():
    coarse = weak.run_expectation(STOCHASTIC["RBAO"], weak.observables, 2)
    fine = weak.run_expectation(STOCHASTIC["RBAO"], weak.observables, 2, 121, 9)
    np.testing.assert_allclose(coarse, fine, atol=2e-7)
    exact = weak.expectation(weak.observables, weak.END)
    assert np.all(abs(fine - exact) > 1e-3)


DATA = results.stored("global")


@pytest.mark.skipif(DATA is None, reason="no stored results")
def test_the_stored_errors_are_those_that_the_code_gives_now():
    assert DATA is not None
    target = runs.targets()["mixture"]
    z = runs.starts(target)
    row = next(r for r in DATA["ode"]["mixture"]["rows"] if r["scheme"] == "RSE")
    score = target.machine(torch.float64)
    grids = [runs.times_of(target.process, n) for n in (8, 16)]
    coarse, finer = (runs.end_state(find("RSE"), target.process, score, times, z) for times in grids)
    assert row["steps"][:2] == [8, 16]
    gap = float((coarse - finer).square().mean().sqrt())
    assert row["norms"][0] - row["norms"][1] <= gap <= row["norms"][0] + row["norms"][1]
    for kept in DATA["weak"]:
        again = observed_order(kept["steps"], kept["signed"], kept["floor"])
        assert again.order == (kept["order"] and pytest.approx(kept["order"], abs=1e-3))


@pytest.mark.parametrize(
    ("name", "part"), [("global", "ode"), ("global", "strong"), ("reuse", "targets"), ("rounding", "targets")]
)
def test_the_stored_weights_are_those_of_the_network_that_is_here(name, part):
    if "network" not in runs.targets():
        pytest.skip("no trained network here")
    kept = results.stored(name)
    assert kept is not None
    assert kept[part]["network"]["weights_sha256"] == runs.targets()["network"].weights


@pytest.mark.skipif(DATA is None, reason="no stored results")
def test_the_page_says_how_many_orders_are_confirmed():
    from reports.pages.settings import QUICK

    assert DATA is not None
    page = crossval_global.build(QUICK)
    table = page.find("crossval-global-mixture")
    confirmed = sum(row[5] == "yes" for row in table.rows)
    assert f"{confirmed} of {len(table.rows)} deterministic" in page.lead and len(table.rows) == 6
