"""The best lambda and its rule: parts by other routes, and what the page says of them."""

from __future__ import annotations

import numpy as np
import pytest

from analytic_models.problem import problem_for
from reports.experiments import conjugate
from reports.experiments.store import stored
from reports.pages import conjugate as page
from reports.pages import conjugate_more
from reports.pages.conjugate_rules import regret
from reports.render.document import Paragraph, Table, printed
from splitting_analysis.catalogue import find
from splitting_analysis.numbers import Point
from splitting_analysis.points import values_at
from splitting_analysis.schemes import scheme
from splitting_analysis.weak import local_error
from tests.oracle_fields import error_numbers, linear_field


@pytest.mark.heavy
@pytest.mark.parametrize("tau", [0.5, 0.01])
def test_the_parabola_in_lambda_is_the_closed_form_of_the_word(tau):
    variances, state = np.array([1.3, 0.01]), {"x": 0.4, "m": -0.9}
    parts = conjugate.local_error(variances, tau)
    own, scheme = np.array([0.4, -0.9]), find("LDDIM-I", "psld")
    for k in (0, 1) if tau < 0.1 else (1,):
        h = 1e-5 * tau
        hessians = [
            -np.linalg.inv(conjugate.covariance(variances[k : k + 1], tau + d))[0]
            for d in (0, h, -h)
        ]
        slopes = [hessians[0].tolist(), ((hessians[1] - hessians[2]) / (2 * h)).tolist()]
        field = linear_field(scheme.model, slopes, [[0.0, 0.0]] * 2, state)
        for value in (0.7, -2.0, 0.0)[: 2 if k else 3]:
            values = values_at([scheme], {**state, "tau": tau, "lambda": value})
            wanted = error_numbers(local_error(scheme, 2), Point(state, field, values))[2]
            found = sum(value**j * part[k] @ own for j, part in enumerate(parts))
            assert found == pytest.approx([wanted["x"], wanted["m"]], rel=1e-6)


@pytest.mark.heavy
@pytest.mark.parametrize("grid", conjugate.GRIDS)
def test_with_many_steps_the_best_lambda_is_the_root_that_the_closed_form_gives(grid):
    """W2 at lambda_0 over W2 at values about it; the best value moves there like h."""
    spectrum = [2.0, 0.3, 0.05]
    problem = problem_for("psld", spectrum, grid=grid, start="pT", denoise=False)
    leading = conjugate.leading_lambda(np.array(spectrum), grid)
    near = [conjugate.w2(problem, leading + d, 8000) for d in (-0.3, 0.0, 0.3)]
    assert near[1] < min(near[0], near[2])
    squares = np.polyfit([-0.3, 0, 0.3], np.array(near) ** 2, 2)
    assert abs(-squares[1] / (2 * squares[0])) < 0.05


@pytest.mark.heavy
def test_a_stored_choice_is_found_again():
    kept = stored("conjugate")
    assert kept is not None
    again = conjugate.choice("digits", "uniform", 50)
    told = kept["spectra"]["digits"]["uniform"]["50"]
    assert told["w2_predicted"] == pytest.approx(again.w2_predicted, rel=1e-5)
    assert told["predicted"] == pytest.approx(again.predicted, rel=1e-5)
    assert told["w2_best"] == pytest.approx(again.w2_best, rel=1e-4)


def test_no_predicted_lambda_beats_the_best_one_and_every_case_is_stored():
    found = page.found()
    assert {name for name, *_ in found} == {"digits", "power-law", "CIFAR-10"}
    assert len(found) == 3 * len(conjugate.GRIDS) * len(conjugate.NFES)
    for key, at in found.items():
        assert regret(at) >= 1 - 1e-5, key
        assert at["w2_best"] <= at["w2_zero"], key


def test_the_lead_says_how_often_the_rule_is_worse_than_no_lambda_where_nothing_was_fitted():
    kept = stored("conjugate")
    assert kept is not None
    rows = [row for grid in kept["spectra"]["power-law"].values() for row in grid.values()]
    worse = sum(row["w2_predicted"] > row["w2_zero"] for row in rows)
    assert f"it is worse than EI in {worse} of {len(rows)} rows" in page._lead()
    assert 0 < worse < len(rows) and "down by up to a factor of" in page._lead()


@pytest.mark.heavy
def test_the_page_says_where_the_criterion_misleads():
    rows = page._single_steps().rows
    assert [row[-1] for row in rows] == ["right", "right", "misleads", "misleads"]
    assert {row[4] for row in rows} == {"stable", "unstable"}
    rates = [float(str(row[2])) for row in page._end().rows]
    assert rates[1] == pytest.approx(rates[2], rel=0.03) != rates[0]
    change = 100 * abs(rates[3] / rates[2] - 1)
    assert change < 1 and f"changes by {printed(change, '2g')} %" in page._end().caption


@pytest.mark.heavy
def test_c_skip_of_unit_variance_takes_the_error_of_ei_down_wherever_the_page_says_so():
    (heading, said, table) = conjugate_more.skips()
    assert isinstance(said, Paragraph) and isinstance(table, Table) and heading
    rows = {(row[0], row[2]): [float(str(c)) for c in row[3:]] for row in table.rows}
    gains = np.array(rows["EI", "0"]) / np.array(rows["EI", "of variance 1"])
    told = f"of EI by {printed(gains.min(), '2g')} to {printed(gains.max(), '2g')}."
    assert gains.min() > 1 and told in str(said.parts[-1])
    # lambda has less to add where C_skip is
    lambdas = np.array(rows["LDDIM-I", "of variance 1"]) / np.array(rows["EI", "of variance 1"])
    bare = np.array(rows["LDDIM-I", "0"]) / np.array(rows["EI", "0"])
    assert np.abs(np.log(lambdas)).max() < np.abs(np.log(bare)).max()


@pytest.mark.heavy
def test_with_b_i_over_tau_plus_c_the_error_of_the_state_vanishes_to_second_order():
    one = scheme("S E:{1/(tau+1/4),0,0,1/(tau+1/4)}", "psld", "ode")
    values = values_at([one], {"x": 1.0, "m": 0.0, "tau": 0.3})
    assert values["b1"] ** 2 + values["db1"] == pytest.approx(0, abs=1e-14)
    table = conjugate_more.moving()[-1]
    assert isinstance(table, Table) and len(table.rows) == len(conjugate_more.MOVING)
