"""Published figures reproduced: Pierret & Galerne, ICML 2025 (arXiv 2405.14250), table 1, every
cell.

The conventions are those of shared/reference/published.json: VP with beta from 0.1 to 20, started
at the exact law at T, uniform grid of as many points as evaluations on [0, T - eps] (so one step
fewer), no denoising step, exact 2-Wasserstein distance to the data law on the CIFAR-10 covariance
spectrum.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from analytic_models.diffusions import VP
from analytic_models.distances import score_card
from analytic_models.grids import grid
from analytic_models.moments import Moments, run
from analytic_models.targets import Gaussian, load_spectrum
from splitting_analysis.catalogue import find

SHARED = Path(__file__).parents[2] / "shared"
SPECTRUM = SHARED / "data" / "cifar10_covariance_eigenvalues.npy"
FIGURES = SHARED / "reference" / "published.json"
POINTS_PER_EVALUATION = {"RK4": 1 / 4}
"""Heun as published has a point per evaluation, though it evaluates twice per step: see the
erratum.
"""
CELLS = [
    (eps, scheme, nfe)
    for eps, schemes in ((0.0, "EM EI DDPM Euler"), (1e-3, "EM EI DDPM Euler Heun RK4"))
    for scheme in schemes.split()
    for nfe in (50, 250, 500, 1000)
]
HALF_DIGIT = 0.005
"""Half a unit of the last printed digit."""


@pytest.fixture(scope="module")
def target():
    if not SPECTRUM.is_file():
        pytest.skip("the CIFAR-10 spectrum (shared/data) is not here")
    return Gaussian(load_spectrum(str(SPECTRUM)))


@pytest.fixture(scope="module")
def table():
    if not FIGURES.is_file():
        pytest.skip("the published figures (shared/reference) are not here")
    return json.loads(FIGURES.read_text())["gaussian_w2_vp_cifar10"]


def law(target: Gaussian, scheme: str, points: int, eps: float) -> Moments:
    times = grid("uniform", points - 1, VP().T, eps)
    return run(find(scheme, "vp"), VP(), target, times, "pT", denoise=False)


def w2(target: Gaussian, scheme: str, points: int, eps: float) -> float:
    return score_card(law(target, scheme, points, eps), VP(), target)["w2_x"]


def test_the_cells_below_are_all_there_are(table):
    names = {0.0: "eps=0", 1e-3: "eps=1e-3"}
    printed = {
        (e, s, int(n)) for e, name in names.items() for s, row in table[name].items() for n in row
    }
    assert printed == set(CELLS)


@pytest.mark.share(4)
@pytest.mark.parametrize(("eps", "scheme", "nfe"), CELLS)
def test_table_1_is_reproduced_to_its_printed_digits(eps, scheme, nfe, target, table):
    printed = table["eps=0" if eps == 0 else "eps=1e-3"][scheme][str(nfe)]
    ours = w2(target, scheme, int(nfe * POINTS_PER_EVALUATION.get(scheme, 1)), eps)
    assert abs(ours - printed) <= HALF_DIGIT


def test_the_heun_row_charges_half_of_its_evaluations(target, table):
    """Erratum to table 1, Heun: with NFE points the sampler evaluates 2 (NFE - 1) times. Given the
    points that its budget buys, it is worse than Euler at NFE 50 and better from 250 on."""
    published, euler = table["eps=1e-3"]["Heun"], table["eps=1e-3"]["Euler"]
    assert law(target, "Heun", 50, 1e-3).nfe == 98
    honest = {nfe: w2(target, "Heun", nfe // 2, 1e-3) for nfe in (50, 250, 500, 1000)}
    assert law(target, "Heun", 25, 1e-3).nfe <= 50
    assert honest[50] == pytest.approx(2.04, abs=HALF_DIGIT)
    assert honest[50] > euler["50"] > published["50"]
    for nfe in (250, 500, 1000):
        assert honest[nfe] < euler[str(nfe)]
    for nfe in (500, 1000):  # the honest row is the printed one at half the budget
        assert abs(honest[nfe] - published[str(nfe // 2)]) <= HALF_DIGIT


def test_the_spectrum_is_that_of_the_article(target):
    assert target.variances.shape == (3072,) and np.all(target.variances >= 0)
    assert target.variances.max() == pytest.approx(221.45, abs=0.01)
