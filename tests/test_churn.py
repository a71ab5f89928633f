"""EDM's noise before a step: exact moments, the engine and the print are one; its order and its
limit.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from analytic_models import moments  # noqa: E402
from analytic_models.targets import Gaussian, marginal  # noqa: E402
from gpu_samplers import engine, plain  # noqa: E402
from gpu_samplers.plan import plan  # noqa: E402
from reports.commands.gaussian_options import churning  # noqa: E402
from splitting_analysis.catalogue import find  # noqa: E402
from splitting_analysis.churn import Churn  # noqa: E402
from splitting_analysis.processes import VE  # noqa: E402
from splitting_analysis.schemes import scheme  # noqa: E402
from tests.probing import gaussian_score, law  # noqa: E402

TARGET, PROCESS = Gaussian([3.0, 0.2], [0.5, -1.0]), VE(20.0)
GRID = [20.0 - level for level in (20.0, 12.0, 7.0, 3.0, 1.0, 0.2)]


def same(found: Any, wanted: Any, rtol: float = 2e-12) -> None:
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-11)


@pytest.mark.parametrize(
    "numbers", [(40, 0.5, 15, 1), (1, 0, None, 1.003), (0, 0, None, 1), (2, 1, 7, 1.01)]
)
def test_engine_print_and_exact_moments_are_one_with_any_four_numbers(numbers):
    names: dict[str, Any] = dict(
        zip(("S_churn", "S_tmin", "S_tmax", "S_noise"), numbers, strict=True)
    )
    exactly: Any = {k: None if v is None else Fraction(v) for k, v in names.items()}
    churn = Churn(**exactly)
    own = replace(find("EDM", "ve"), churn=churn)
    given = {k: np.inf if v is None else v for k, v in names.items()}
    exact = moments.run(own, PROCESS, TARGET, GRID, denoise=False)
    score = gaussian_score(PROCESS, TARGET)
    ready = plan(own, PROCESS, GRID, denoise=False)
    for run in (
        lambda z, noise: engine.run(ready, score, z, noise)[0],
        lambda z, noise: plain.sample("EDM", PROCESS, score, z, GRID, noise, last=False, **given),
    ):
        mean, covariance = law(run, 1, 2, PROCESS.stationary)
        same(mean, np.array(exact.mean))
        same(covariance, np.array(exact.covariance))


def variances(own: Any, counts: tuple[int, ...], start: Any = "pT") -> list[float]:
    """Of a Gaussian, from its law at the start, on levels that fall geometrically to 1/2."""
    target = Gaussian(0.3)
    found = []
    for n in counts:
        levels = np.geomspace(20.0, 0.5, n + 1)
        run = moments.run(own, PROCESS, target, (20.0 - levels).tolist(), start, False)
        found.append(float(np.ravel(run.covariance[0][0])[0]))
    return found


def test_with_noise_as_the_level_rises_the_order_is_heuns_and_with_more_the_limit_is_another():
    own = find("EDM", "ve")
    wanted = float(np.ravel(marginal(PROCESS, Gaussian(0.3), 0.5)[1][0][0])[0])
    churn = Churn(Fraction(4))
    errors = np.abs(np.array(variances(replace(own, churn=churn), (100, 200))) - wanted)
    assert abs(np.log2(errors[0] / errors[1]) - own.order) < 0.15
    more = variances(replace(own, churn=replace(churn, S_noise=Fraction(11, 10))), (100, 200))
    assert min(np.abs(np.array(more) - wanted)) > 50 * max(errors)


def test_what_a_run_is_off_at_the_start_fades_as_in_its_own_sde_up_to_order_1():
    """On these levels the SDE's eta^2 = S_churn / log(20 / 0.5) is one number, and a variance that
    is off by a part of V = 0.3 + sigma^2 ends off by that part, times V^(1 + eta^2) at the end
    over that at the start.
    """
    own, counts = replace(find("EDM", "ve"), churn=Churn(Fraction(4))), (200, 400)
    right = variances(own, counts, ((0.0,), ((400.3,),)))
    wide = variances(own, counts, ((0.0,), ((2 * 400.3 + 1e6,),)))
    faded = (np.array(wide) - right) / (400.3 + 1e6)
    errors = np.abs(faded / (0.55 / 400.3) ** (1 + 4 / np.log(40)) - 1)
    assert abs(np.log2(errors[0] / errors[1]) - 1) < 0.05


def test_without_churn_it_is_heun():
    own = replace(find("EDM", "ve"), churn=Churn(Fraction(0)))
    assert variances(own, (7,)) == variances(find("Heun", "ve"), (7,))


def test_the_numbers_come_from_the_parameters_and_leave_the_rest_to_the_process():
    (found,), rest = churning([find("EDM", "ve")], "S_noise=1.003,T=10")
    usual: Any = find("EDM", "ve").churn
    assert found.churn == replace(usual, S_noise=Fraction("1.003"))
    assert (rest, found.order) == ("T=10", None)
    assert churning([find("Heun", "ve")], "T=10") == ([find("Heun", "ve")], "T=10")


@pytest.mark.parametrize(
    ("text", "own", "says"),
    [
        ("S_churn=-1", find("EDM", "ve"), "between 0 and"),
        ("S_tmin=3,S_tmax=1", find("EDM", "ve"), "0 <= S_tmin <= S_tmax"),
        ("S_churn=x", find("EDM", "ve"), "--param S_churn"),
        ("S_noise=1.1", find("Heun", "ve"), "S_noise: of the noise that S_churn adds"),
        ("S_churn=0,S_tmin=1,S_tmax=2", find("EDM", "ve"), "S_tmin, S_tmax: .* e.g. S_churn=40"),
        ("S_churn=1,S_churn=2", find("EDM", "ve"), "given twice"),
        ("S_churn=1", find("DPM++2M", "ve"), "evaluations of its own alone"),
        ("S_churn=1", find("Heun", "flow"), "a step of ve"),
        ("S_churn=1", scheme("S E", "ve", "ode"), "a step of ve that holds"),
    ],
)
def test_a_churn_that_there_is_not_is_refused_with_what_there_is(text, own, says):
    with pytest.raises(ValueError, match=says):
        churning([own], text)
