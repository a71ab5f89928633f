"""Runge-Kutta rows of a piece between others: what they are worth, where they start, what they
cost.
"""

from __future__ import annotations

import numpy as np
import pytest

from analytic_models.problem import problem_for
from splitting_analysis import find, parse, scheme
from splitting_analysis.notation import WordError
from splitting_analysis.program import Evaluate, Row
from splitting_analysis.weak import local_error

MIDPOINT = "L/2 S@1/2 K[1/2] S@1/2 K[0,1] L/2"


@pytest.mark.parametrize("dynamics", ["ode", "sde"])
def test_a_splitting_has_order_2_where_halves_stand_around_a_step_of_order_2_alone(dynamics):
    """Local errors begin at h^(order + 1); of the SDE in every moment of the increment."""
    for middle, order in (
        ("S@1/2 K", 1),
        ("S K[1/2] S K[0,1]", 1),  # the times of the piece stand still, at its start
        ("S@1/2 K[1/2] S@1/2 K[0,1]", 2),  # ... at its middle
        ("S K[1/2] S@1/2 K[0,1]", 2),
        ("S K[1] S@1 K[1/2,1/2]", 2),
        ("S K[1] S@1 K[1/3,2/3]", 1),
    ):
        word = scheme(f"L/2 {middle} L/2", "vp", dynamics)
        assert local_error(word).leading == order + 1, middle
    assert local_error(scheme("L S K[1/2] S@1/2 K[0,1]", "vp", dynamics)).leading == 2


def test_a_row_of_one_evaluation_is_the_piece_by_eulers_rule():
    for text, own in (("L/2 S K[1] L/2", "L/2 S K L/2"), ("L/3 S K[1] L*2/3", "L/3 S K L*2/3")):
        ours = problem_for("vp", spectrum=[0.2, 3.0])
        a, b = (ours.law(scheme(each, "vp", "sde"), 7) for each in (text, own))
        assert np.allclose(a.covariance[0][0], b.covariance[0][0], rtol=1e-13)


def test_rows_restart_where_the_first_of_their_evaluations_was():
    program = scheme("S K[1/4] S@1/4 K[0,1/2] L S@1/2 K[1/2]", "vp", "sde").program
    begins = [op.begins for op in program.instructions if isinstance(op, Evaluate)]
    assert begins == [True, False, True]
    assert [len(op.weights) for op in program.instructions if isinstance(op, Row)] == [1, 2, 1]
    assert not parse(MIDPOINT).is_runge_kutta and program.has_rows


def test_sscs_of_order_2_nears_the_data_with_the_square_of_the_step_and_em_with_the_step():
    """The exact law on a Gaussian, from the law at T and without a cut: what is left is the
    steps' error.
    """
    ours = problem_for("vp", spectrum=[0.25], start="pT", denoise=False, eps=0.0)
    found = {
        name: [ours.errors(find(name, "vp"), steps)["w2_x"] for steps in (400, 800)]
        for name in ("EM", "SSCS", "SSCS2", "Strang", "Strang-Euler")
    }
    for name, (coarse, fine) in found.items():
        order = find(name, "vp").order
        assert np.log2(coarse / fine) == pytest.approx(order, abs=0.1), name
    assert found["SSCS2"][0] < found["EM"][1] / 4  # at equal evaluations


def test_every_run_of_rows_starts_where_it_begins_and_has_drifts_of_its_own():
    """A run of one evaluation is Euler's step there, also after another run."""
    first = "S B[1/2] S@1/2 B[0,1]"
    whole, own = (scheme(f"{first} S {last}", "psld", "ode") for last in ("A[1]", "A"))
    assert (local_error(whole, 3) - local_error(own, 3)).leading is None
    assert local_error(scheme(f"{first} S A[1/3] S@2/3 A[1/4,3/4]", "psld", "ode")).leading == 2


@pytest.mark.parametrize("last", ["S K[1/4,1/4] L/4", "S@3/4 K[1/4,1/4] L/4", "S K[1/2,1/2] L/4"])
def test_a_row_weighs_the_evaluations_of_its_own_run_alone(last):
    with pytest.raises(WordError, match="2 weights, but 1 evaluations in this run"):
        scheme(f"L/2 S K[1/2] S@1/2 K[0,1/2] L/4 {last}", "vp", "sde")
