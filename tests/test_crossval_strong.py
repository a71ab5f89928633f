"""Global strong errors: paths that are one on every grid, orders seen, and only where they hold."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from math import sqrt

import numpy as np
import pytest
import torch

from gpu_samplers import processes
from reports.experiments import runs, sde, strong_orders, targets
from reports.experiments.store import stored
from reports.pages import crossval_global
from reports.pages.settings import QUICK
from splitting_analysis.catalogue import entries, find
from splitting_analysis.schemes import LambdaS

MEANS = torch.tensor([[0.5, -0.8], [-0.4, 0.9], [0.1, 0.2]], dtype=torch.float64)
TARGET = targets.exact_target("mixture", processes.PSLD(), MEANS, 0.3)
STEPS, FINE, SAMPLES = (8, 16, 32, 64), 256, 24
DATA = stored("global")


def test_a_path_on_half_as_many_intervals_is_the_same_path():
    """Increments add up, and so do the areas under the path, for two intervals and their union."""
    path, width = strong_orders.fine_path((3,), 2, seed=1, intervals=6), 0.1
    coarse = strong_orders.halved(path)

    def increment(p, w):
        return sqrt(w) * p[:, :, 0]

    def area(p, w):  # the integral of W over an interval, W = 0 at its start
        return w**1.5 * (p[:, :, 0] / 2 - p[:, :, 1] / (2 * sqrt(3)))

    first, second = path[:, 0::2], path[:, 1::2]
    whole = increment(first, width) + increment(second, width)
    assert torch.allclose(increment(coarse, 2 * width), whole, atol=1e-14)
    under = area(first, width) + area(second, width) + width * increment(first, width)
    assert torch.allclose(area(coarse, 2 * width), under, atol=1e-14)


REFERENCES: dict[int, torch.Tensor] = {}
"""Exact ends by the number of intervals of their path: each is computed once, as it takes
seconds.
"""
solve = sde.reference


def remembered(*arguments):
    intervals = arguments[-1].shape[1]
    if intervals not in REFERENCES:
        REFERENCES[intervals] = solve(*arguments)
    return REFERENCES[intervals]


@cache
def computed(name):
    """What is stored of the sampler, as the test's smaller run finds it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strong_orders, "entries", lambda *_: (find(name),))
        patch.setattr(sde, "reference", remembered)
        return strong_orders.compute(TARGET, STEPS, samples=SAMPLES, fine=FINE)


def found(name):
    (row,) = computed(name)["rows"]
    assert row["scheme"] == name
    return row


@pytest.mark.heavy
@pytest.mark.parametrize("name", [s.name for s in entries("psld", "sde")])
def test_every_stochastic_sampler_is_of_strong_order_one_and_of_no_other(name):
    row = found(name)
    assert row["claim"] == 1
    assert row["order"] == pytest.approx(1, abs=0.2)  # the neighbours are 1/2 away


def test_a_row_goes_from_the_last_number_of_steps_but_two_with_the_jackknifes_error():
    z, path = (
        runs.starts(TARGET, SAMPLES),
        strong_orders.fine_path(TARGET.shape, SAMPLES, runs.SEED, FINE),
    )
    process, machine = TARGET.process, TARGET.machine(torch.float64)
    row = found("EM")
    exact = REFERENCES[FINE]
    with torch.no_grad():
        ends = [
            strong_orders.end_on_path(find("EM"), process, machine, z, path, n, runs.CUT)
            for n in STEPS
        ]
    squares = np.array([(end - exact).square().mean((0, 2)).numpy() for end in ends])
    assert row["norms"] == pytest.approx(np.sqrt(squares.mean(1)), rel=1e-9)

    def order(of):
        return np.log2(of[1].sum() / of[3].sum()) / 2 / 2  # from 16 to 64 steps

    left_out = [order(np.delete(squares, k, axis=1)) for k in range(SAMPLES)]
    assert row["order"] == pytest.approx(order(squares), rel=1e-9)
    spread = sqrt((SAMPLES - 1) / SAMPLES * np.square(left_out - np.mean(left_out)).sum())
    assert row["standard_error"] == pytest.approx(spread, rel=1e-9)


def test_a_claim_half_an_order_off_or_an_order_that_is_not_sure_is_not_confirmed():
    row = {"order": 1.04, "claim": 1, "standard_error": 0.03}
    assert crossval_global.is_confirmed_strong(row)
    assert crossval_global.is_confirmed_strong({"order": 0.86, "claim": 1, "standard_error": 0.02})
    for change in (
        {"claim": 0.5},
        {"claim": 1.5},
        {"order": 1.2},
        {"order": 0.8},  # misses the claim, though no order 1/2 away is in reach
        {"standard_error": 0.2},
        {"order": 1.1, "standard_error": 0.14},
        {"order": 0.9, "standard_error": 0.14},
    ):
        assert not crossval_global.is_confirmed_strong(row | change)


@pytest.mark.heavy
def test_too_much_position_noise_leaves_no_order():
    target = targets.exact_target("mixture", processes.PSLD(Gamma=0.5, nu=3.0), MEANS, 0.3)
    z, path = runs.starts(target, 4), strong_orders.fine_path(target.shape, 4, 0, 128)
    machine, span = target.machine(torch.float64), target.process.T - runs.CUT
    plain = replace(find("ROBA"), lambda_s=LambdaS(value=Fraction(1)))
    with torch.no_grad():
        exact = sde.reference(
            target.process, plain.model, target.smooth, z, target.process.T, span, path
        )

    def ratio(scheme):
        coarse, fine = (
            strong_orders.end_on_path(scheme, target.process, machine, z, path, n, runs.CUT) - exact
            for n in (16, 64)
        )
        return float(fine.norm() / coarse.norm())

    assert ratio(plain) < 0.4
    assert ratio(replace(plain, lambda_s=LambdaS(value=Fraction(2)))) > 0.6


def test_the_reference_is_far_more_accurate_than_what_it_judges():
    assert 0 < computed("EM")["floor"] < found("EM")["norms"][1] / 10  # at 16 steps


def test_the_standard_error_is_the_jackknifes():
    generator = torch.Generator().manual_seed(2)
    fine = torch.rand(400, generator=generator, dtype=torch.float64) + 0.5
    coarse = 4 * fine * torch.exp(0.1 * torch.randn(400, generator=generator, dtype=torch.float64))
    order, error = strong_orders.order_of(coarse, fine, 2.0)
    assert order == pytest.approx(1, abs=4 * error)
    # log of a ratio of means: the delta method, on its own
    a, b = coarse.numpy() / coarse.mean().item(), fine.numpy() / fine.mean().item()
    assert error == pytest.approx(np.std(a - b) / sqrt(400) / 2 / np.log(2), rel=0.02)
    with pytest.raises(ValueError, match="needs two or more"):
        strong_orders.order_of(coarse[:1], fine[:1], 2.0)


@pytest.mark.skipif(DATA is None, reason="no stored results")
def test_the_stored_strong_orders_are_those_of_the_network_that_is_here_and_confirmed():
    assert DATA is not None
    assert DATA["strong"]["network"]["weights_sha256"] == runs.targets()["network"].weights
    page = crossval_global.build(QUICK)
    for name, result in DATA["strong"].items():
        table = page.find(f"crossval-strong-{name}")
        assert [row[0] for row in table.rows] == [s.name for s in entries("psld", "sde")]
        confirmed = [crossval_global.is_confirmed_strong(row) for row in result["rows"]]
        assert [row[4] for row in table.rows] == ["yes" if ok else "no" for ok in confirmed]
        assert sum(confirmed) >= 7
