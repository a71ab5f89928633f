"""What score reuse assumes: the change of the score under B, and predicted differences, on a
mixture.
"""

from __future__ import annotations

import pytest
import torch

from gpu_samplers import processes
from reports.experiments import reuse, runs, store, targets
from reports.experiments.ode import one_step
from reports.pages import crossval_reuse
from reports.pages.settings import QUICK
from splitting_analysis.catalogue import find
from splitting_analysis.weak import local_error

pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
)

MEANS = torch.tensor([[0.5, -0.8], [-0.4, 0.9], [0.1, 0.2]], dtype=torch.float64)
TARGET = targets.exact_target("tiny", processes.PSLD(Gamma=0.3, nu=4.3), MEANS, 0.3)
DATA = store.stored("reuse")


def test_the_kick_is_the_engines_b():
    z, tau, h = runs.starts(TARGET, 3), 0.7, 0.02
    s = TARGET.smooth(z, torch.tensor(tau, dtype=torch.float64))
    kicked = reuse.kick(TARGET.process, z, s, tau, h)
    end = one_step(find("RSE"), TARGET.process, TARGET.machine(torch.float64), z, tau, h)
    assert torch.equal(kicked[0], z[0])
    assert torch.allclose(kicked[1], end[1], rtol=1e-13, atol=1e-14)  # A leaves the momentum alone
    assert float((kicked - z).abs().max()) > 1e-3


@pytest.mark.heavy
def test_the_change_of_the_score_halves_with_the_step():
    coarse, fine = (
        reuse.changes(TARGET, steps, cut=0.2, samples=1)[-steps // 4] for steps in (40, 80)
    )
    assert coarse["tau"] == pytest.approx(fine["tau"])
    for part in ("x", "m"):
        assert 1.8 < coarse[part] / fine[part] < 2.2
    assert coarse["x"] > 1e-4


@pytest.mark.heavy
def test_carried_along_the_closed_forms_give_the_difference_in_the_limit_and_summed_they_do_not():
    coarse, fine = (reuse.predicted_difference(TARGET, ("NSE", "RSE"), n, 0.4, 1) for n in (10, 20))
    assert 1.5 < coarse["carried_miss"] / fine["carried_miss"] < 3
    assert fine["summed_miss"] > 3 * fine["carried_miss"]


def test_the_closed_form_of_one_step_is_what_a_naive_step_adds_to_a_reduced_one():
    z, tau, score = runs.starts(TARGET, 2), 0.5, TARGET.machine(torch.float64)
    naive, reduced = find("NVV"), find("RVV")
    closed = reuse.difference_coefficient(
        local_error(reduced) - local_error(naive), reduced, TARGET.process, TARGET.smooth, z, tau
    )
    gaps = []
    for h in (2e-3, 1e-3):
        ends = [one_step(s, TARGET.process, score, z, tau, h) for s in (naive, reduced)]
        gaps.append(float(((ends[0] - ends[1]) / h**2 - closed).norm() / closed.norm()))
    assert gaps[1] < 0.02 and 1.9 < gaps[0] / gaps[1] < 2.1


@pytest.mark.heavy
@pytest.mark.skipif(DATA is None, reason="no stored results")
def test_the_stored_changes_and_differences_are_those_that_the_code_gives_now():
    assert DATA is not None
    target = runs.targets()["mixture"]
    kept = DATA["targets"]["mixture"]
    for now, then in zip(reuse.changes(target, 10), kept["changes"]["10"], strict=True):
        assert now == pytest.approx(then, rel=1e-3)
    row = reuse.predicted_difference(target, ("NSE", "RSE"), 10)
    assert row == pytest.approx(kept["differences"]["NSE/RSE"][0], rel=1e-3)


@pytest.mark.skipif(DATA is None, reason="no stored results")
@pytest.mark.parametrize("name", ["mixture", "network"])
def test_a_stored_miss_is_one_that_its_ratio_allows(name):
    """| |p| - |m| | <= |p - m| <= |p| + |m|; and carried along, it falls with the step."""
    assert DATA is not None
    for rows in DATA["targets"][name]["differences"].values():
        assert [row["steps"] for row in rows] == list(reuse.PREDICTED_STEPS)
        for row in rows:
            for kind in ("carried", "summed"):
                ratio, miss = row[f"{kind}_ratio"], row[f"{kind}_miss"]
                assert abs(ratio - 1) <= miss * 1.001 and miss <= ratio + 1
        assert rows[-1]["carried_miss"] < 0.6 * rows[0]["carried_miss"]


@pytest.mark.skipif(DATA is None, reason="no stored results")
def test_the_page_shows_the_largest_change_and_its_time():
    assert DATA is not None
    table = crossval_reuse.build(QUICK).find("crossval-reuse-changes")
    rows = DATA["targets"]["mixture"]["changes"]["10"]
    largest = max(rows, key=lambda row: row["x"])
    assert table.rows[0][2:4] == (largest["x"], largest["tau"])
