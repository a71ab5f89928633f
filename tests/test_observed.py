"""observed_order against sequences whose order is known by construction."""

from __future__ import annotations

import math
import random
from dataclasses import FrozenInstanceError
from fractions import Fraction

import mpmath as mp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitting_analysis.observed import ObservedOrder, observed_order
from tests.strategies import examples

STEPS = [2**k for k in range(3, 10)]


def interval(result: ObservedOrder) -> tuple[float, float, float]:
    """Low, estimate, high of a result that has them."""
    assert result.low is not None and result.order is not None and result.high is not None
    return result.low, result.order, result.high


def sequence(p, c=(1.0,), steps=STEPS):
    """Signed errors c_0 h^p + c_1 h^(p+1) + ... at h = 1/n."""
    return [sum(ck * mp.mpf(n) ** -(p + k) for k, ck in enumerate(c)) for n in steps]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("p", [1, 2, 3, 5])
def test_a_power_series_shows_its_own_order_and_not_the_next_or_the_last(p, sign):
    result = observed_order(STEPS, sequence(p, (sign * 0.3, 2.0, -1.0, 0.7)))
    assert result.verdict == "order"
    low, _, high = interval(result)
    assert low <= p <= high < low + 5e-3
    assert result.confirms(p) and not result.confirms(p + 1) and not result.confirms(p - 1)


@pytest.mark.heavy
def test_the_interval_holds_the_true_order_of_all_but_one_in_a_hundred_random_series():
    draw = random.Random(20240211)
    missed = settled = 0
    for _ in range(200):
        p = draw.choice([Fraction(1, 2), 1, 2, 4])
        steps = draw.choice([STEPS, [10, 15, 25, 40, 70], [50, 100, 250, 500, 1000]])
        c = [draw.uniform(-2, 2) for _ in range(draw.randint(1, 4))]
        result = observed_order(steps, sequence(p, (1.0, *c), steps))
        assert result.verdict != "diverges"
        if result.verdict == "order":
            settled += 1
            low, _, high = interval(result)
            missed += not low <= float(p) <= high
    assert settled >= 190
    assert missed <= settled / 100


def test_extrapolation_reaches_an_order_that_the_running_orders_have_not():
    result = observed_order(STEPS, sequence(1, (1.0, 3.0, 2.0)))
    last = result.rows[-1].running
    assert last is not None and abs(last - 1) > 1e-3
    assert abs(interval(result)[1] - 1) < 1e-5


def test_a_power_that_is_not_an_integer_is_reported_as_it_is():
    result = observed_order(STEPS, sequence(Fraction(1, 2), (1.0, 0.2)))
    assert result.confirms(0.5) and not result.confirms(0) and not result.confirms(1)


def test_an_error_that_tends_to_a_constant_has_order_zero_and_does_not_diverge():
    for slope in (1, -1):
        result = observed_order(STEPS, [0.1 + slope / n for n in STEPS])
        assert result.confirms(0)


def test_an_error_that_grows_like_a_power_diverges_with_a_negative_order():
    result = observed_order(STEPS, sequence(-1, (0.1, 0.2)))
    assert result.verdict == "diverges"
    assert result.order == pytest.approx(-1, abs=1e-3)
    assert not result.confirms(1) and not result.confirms(-1)


def test_an_error_that_grows_like_an_exponential_diverges():
    result = observed_order(STEPS, [mp.mpf(1.1) ** n for n in STEPS])
    assert result.verdict == "diverges" and result.order is None


def test_an_error_that_overflows_at_the_finest_step_diverges():
    for bad in (math.inf, math.nan):
        assert observed_order([1, 2, 4, 8], [1.0, 2.0, 4.0, bad]).verdict == "diverges"


def test_an_overflow_at_the_coarsest_step_is_left_out_and_said():
    result = observed_order(STEPS, [math.inf, *sequence(2)[1:]])
    assert result.confirms(2)
    assert "1 not finite, left out" in result.summary


def test_points_under_the_floor_are_left_out_and_said():
    errors = sequence(4, (1.0, 0.5))
    errors[-2:] = [1e-11, -1e-11]
    assert not observed_order(STEPS, errors).confirms(4)
    result = observed_order(STEPS, errors, floor=1.5e-11)
    low, _, high = interval(result)
    assert result.verdict == "order" and low <= 4 <= high
    assert "2 under the floor, left out" in result.summary
    assert [row.running is None for row in result.rows] == [True] + 4 * [False] + 2 * [True]


@examples(16)
@given(noise=st.lists(st.floats(-1, 1), min_size=7, max_size=7))
def test_a_floor_widens_the_interval_by_what_round_off_can_do(noise):
    floor = 1e-9
    errors = [e + floor * u for e, u in zip(sequence(2, (1.0, -0.4)), noise, strict=True)]
    result = observed_order(STEPS, errors, floor=floor)
    low, _, high = interval(result)
    assert result.verdict == "order" and low <= 2 <= high
    assert result.confirms(2)


def test_errors_that_are_all_round_off_are_inconclusive_and_so_is_an_exact_method():
    for errors, floor in (([1e-16, -1e-16, 2e-16], 1e-15), ([0, 0, 0], None)):
        result = observed_order([1, 2, 4], errors, floor)
        assert result.verdict == "inconclusive"
        assert "3 under the floor" in result.reason and "0 usable points" in result.reason


def test_two_points_are_too_few_for_an_interval():
    result = observed_order([1, 2], [1.0, 0.5])
    assert result.verdict == "inconclusive" and "3 are needed" in result.reason


def test_a_sign_change_leaves_the_running_order_undefined_and_is_recorded():
    errors = [-1e-3, *sequence(2)[1:]]
    result = observed_order(STEPS, errors)
    assert result.rows[1].running is None and result.rows[1].note == "sign change"
    assert result.confirms(2) and "1 sign change" in result.summary


def test_errors_that_alternate_in_sign_are_inconclusive_however_fast_they_fall():
    errors = [(-1) ** k * e for k, e in enumerate(sequence(2))]
    result = observed_order(STEPS, errors)
    assert result.verdict == "inconclusive" and "6 sign change" in result.reason


def test_running_orders_that_do_not_settle_are_inconclusive():
    errors = [e * f for e, f in zip(sequence(2), [1, 2, 1, 2, 1, 2, 1], strict=True)]
    result = observed_order(STEPS, errors)
    assert result.verdict == "inconclusive" and "not settling" in result.reason


def test_steps_and_step_counts_give_the_same_table():
    errors = sequence(3, (1.0, 1.0))
    by_count = observed_order(STEPS, errors)
    by_step = observed_order([Fraction(1, n) for n in STEPS], errors)
    assert by_count == by_step
    assert [float(row.h) for row in by_count.rows] == [1 / n for n in STEPS]
    assert by_count.rows[0].running is None


def test_errors_far_below_the_smallest_float_still_show_their_order():
    with mp.workdps(400):
        errors = [mp.mpf(10) ** -390 * mp.mpf(n) ** -2 for n in STEPS]
    assert observed_order(STEPS, errors).confirms(2)


def test_the_table_prints_step_error_and_running_order_and_the_verdict():
    text = str(observed_order([10, 20, 40], [-0.1, 0.02, 0.01]))
    lines = text.splitlines()
    assert [cell.strip() for cell in lines[0].split("|")] == ["h", "error", "running order"]
    assert [cell.strip() for cell in lines[3].split("|")] == [
        "0.05",
        "0.02",
        "undefined",
        "sign change",
    ]
    assert "1.0000" in lines[4] and lines[5].startswith("inconclusive")


@pytest.mark.parametrize(
    ("steps", "errors", "floor", "message"),
    [
        ([], [], None, "none were given"),
        ([1, 2, 4], [1.0, 0.5], None, "3 steps but 2 errors"),
        ([4, 2, 1], [1, 2, 3], None, "refine strictly"),
        ([0.1, 0.2], [1, 2], None, "refine strictly"),
        ([2, 2], [1, 2], None, "refine strictly"),
        ([0, 1], [1, 2], None, "finite and positive"),
        ([-0.5, -0.25], [1, 2], None, "finite and positive"),
        ([math.nan, 0.5], [1, 2], None, "finite and positive"),
        ([1, 2, 4], [4, 2, 1], -1, "floor"),
        ([1, 2, 4], [4, 2, 1], math.inf, "floor"),
    ],
)
def test_bad_input_is_refused_with_what_would_be_right(steps, errors, floor, message):
    with pytest.raises(ValueError, match=message):
        observed_order(steps, errors, floor)


def test_the_result_is_frozen_data():
    result = observed_order([1, 2, 4], [4, 2, 1])
    with pytest.raises(FrozenInstanceError):
        result.order = 2  # type: ignore[misc]
