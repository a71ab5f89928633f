"""The constant of an error is that of the claimed word, and no other: from both sides."""

from __future__ import annotations

import numpy as np
import pytest

from analytic_models.probing.leading import leading
from analytic_models.probing.orders import Observed, evenly, gaussian_orders
from analytic_models.probing.reference import subject_for
from analytic_models.probing.validate import PROCESSES
from analytic_models.probing.verdicts import ordered
from splitting_analysis.catalogue import find

COUNTS = (8, 16, 32, 64)


def errors(constant, next_one=3.0, counts=COUNTS):
    """C h^2 (1 + c h) in one component, nothing in another."""
    h = 1 / np.array(counts)
    table = np.stack([constant * h**2 * (1 + next_one * h), 0 * h], axis=1)
    return Observed("a target", 2.0, counts, table, False, ("mean of x", "cov(x, x)"))


@pytest.mark.parametrize(("ratio", "verdict"), [(1, "pass"), (1.04, "pass"), (1.06, "fail")])
def test_the_ratio_of_the_constants_is_judged_and_not_what_falls_faster(ratio, verdict):
    found = leading(errors(ratio, next_one=-2.0), errors(1.0))
    assert found.verdict == verdict and "mean of x" in found.seen


def test_the_sign_counts_and_errors_that_are_round_off_say_nothing():
    assert leading(errors(-1.0), errors(1.0)).verdict == "fail"
    assert leading(errors(1e-9), errors(1e-9)).verdict == "inconclusive"
    assert leading(errors(1e-15), errors(1.0)).seen.startswith("0 times")


@pytest.mark.heavy
def test_a_word_that_errs_otherwise_at_the_same_order_is_told_from_the_claimed_one():
    process = PROCESSES["psld"]
    seen = {
        name: gaussian_orders(subject_for(find(name)), process, evenly(process), stochastic=True)
        for name in ("ROBA", "RBAO")
    }
    assert leading(seen["ROBA"], seen["ROBA"]).verdict == "pass"
    assert leading(seen["RBAO"], seen["ROBA"]).verdict == "fail"


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [(2.1, "pass"), (1.9, "pass"), (1.05, "fail"), (1.4, "inconclusive"), (2.6, "inconclusive")]
    + [(0.7, "fail"), (3.3, "fail")],
)
def test_an_order_between_whole_numbers_next_to_the_claimed_one_decides_nothing(seen, verdict):
    assert ordered(2, [errors(1.0)], seen, "").verdict == verdict
