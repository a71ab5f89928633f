"""Times at which a sampler asks for scores: which are right, and what is said of wrong ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from analytic_models.claimed import noted
from analytic_models.probing.agreement import _ratio, _shown, agreement
from analytic_models.probing.checks import Check, Validation, apart
from analytic_models.probing.comparison import Comparison
from analytic_models.probing.reference import subject_for
from analytic_models.probing.running import Trouble
from analytic_models.probing.segments import Difference
from analytic_models.probing.signature import probe
from analytic_models.probing.subject import subject_of
from analytic_models.probing.timing import timing
from analytic_models.probing.validate import BROKEN, PROCESSES, validate
from reports.experiments.seeded.case import data_of, held
from splitting_analysis.catalogue import find
from tests.test_validation import PROCESS, TIMES_OF_VP, behaved, ddim, trouble


@pytest.mark.parametrize("tau", [1000.0, -0.1, np.nan, "noon", np.array([0.1, 0.2])])
def test_a_time_that_is_none_is_named_with_its_call(tau):
    told = trouble(lambda z, t, h, score, noise, model: z + score(z, tau))
    assert "forward time" in told
    assert "step 1, score call 1" in told


def test_a_grid_that_is_ignored_is_seen():
    def own_grid(score, z, grid, noise, model):
        for tau, after in pairwise(np.linspace(0.9, 0.1, len(grid))):
            z = held(model, z, data_of(model, score, z, float(tau)), float(tau), float(after))
        return z

    assert "the same times" in behaved(own_grid)["it runs over the grid that it is given"]


@pytest.mark.share(3)
@pytest.mark.parametrize("tau", [0.0, 5.0, -1.0, None])
def test_a_force_is_given_any_time(tau):
    def verlet(z, t, h, score, noise, model):
        q, p = z[:, : z.shape[1] // 2], z[:, z.shape[1] // 2 :]
        p = p + h / 2 * score(q, tau)
        q = q + h * p
        return np.hstack([q, p + h / 2 * score(q, tau)])

    assert validate(verlet, "VV", "langevin").holds


@pytest.mark.heavy
def test_times_in_float32_are_those_of_the_grid():
    def rounded(z, t, h, score, noise, model):
        tau, after = (float(np.float32(model.T - u)) for u in (t, t + h))
        return held(model, z, data_of(model, score, z, tau), tau, after)

    found = validate(rounded, "DDIM", "vp")
    assert found.holds, str(found)
    assert any("its times are float32" in note for note in found.notes)
    assert not any("float32" in note for note in validate(ddim, "DDIM", "vp").notes)


def verlet_that_keeps(wrong):
    """A step that takes its last force for the next one's first; `wrong` times as much of it."""
    kept: list[np.ndarray] = []

    def step(z, t, h, score, noise, model):
        q, p = np.hsplit(z, 2)
        known = kept and kept[0].shape == q.shape and np.array_equal(kept[0], q)
        p = p + h / 2 * (wrong * kept[1] if known else score(q, 0.0))
        q = q + h * p
        kept[:] = [q, score(q, 0.0)]
        return np.hstack([q, p + h / 2 * kept[1]])

    return step


@pytest.mark.heavy
@pytest.mark.parametrize(("wrong", "holds"), [(1.0, True), (1.01, False)])
def test_a_step_may_keep_its_last_force_for_the_next(wrong, holds):
    found = validate(verlet_that_keeps(wrong), "VV", "langevin")
    assert found.holds is holds, str(found)


def churned(amount, noisy):
    """Heun's step from a time above the step's own, to which noise has led."""

    def step(z, t, h, score, noise, model):
        after, start = model.T - t - h, model.T - t
        tau = min(start * (1 + amount * h), model.T)
        if noisy:
            z = z + np.sqrt(tau**2 - start**2) * noise()
        slope = -tau * score(z, tau)
        ahead = z + (after - tau) * slope
        return z + (after - tau) * (slope - after * score(ahead, after)) / 2

    return step


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("amount", "noisy", "verdict"), [(0.02, True, "pass"), (0.02, False, "fail"), (0, True, "pass")]
)
def test_a_time_above_its_step_is_right_where_noise_leads_there(amount, noisy, verdict):
    found = validate(churned(amount, noisy), "evaluations=2", "ve")
    check = next(c for c in found.checks if "inside its step" in c.name)
    assert check.verdict == verdict
    assert ("noise is added first" in check.seen) is (noisy and amount > 0)
    assert found.holds is (verdict == "pass"), str(found)


def said_of_times(at, model="vp"):
    """The message on DDIM that asks its score at `at(tau, t, h)`."""

    def wrong(z, t, h, score, noise, model):
        tau = model.T - t
        return held(model, z, data_of(model, score, z, tau, at=at(tau, t, h)), tau, tau - h)

    return timing(compared(wrong, "DDIM", model))


def compared(call, name, model):
    """The code beside the word, on a grid whose steps differ."""
    scheme, process = find(name, model), PROCESSES[model]
    times = tuple(process.T * (0.1 + 0.8 * (i / 6) ** 1.2) for i in range(7))
    seen, claimed = (probe(s, process, times) for s in (subject_of(call), subject_for(scheme)))
    return Comparison(scheme, scheme.program, process, times, seen, claimed)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (lambda tau, t, h: np.floor(tau * 50) / 50, "cut to multiples of 1/50"),
        (lambda tau, t, h: np.round(tau * 200) / 200, "rounded to multiples of 1/200"),
        (lambda tau, t, h: np.ceil(tau * 1000) / 1000, "rounded up to multiples of 1/1000"),
        (lambda tau, t, h: tau - 2 * h * h, "behind the step's start by 2 h^2"),
        (lambda tau, t, h: tau - h, "T - (t + h)"),
        (lambda tau, t, h: tau * 0.9, "all are 0.9 times the claimed ones"),
    ],
)
def test_the_rule_behind_wrong_times_is_named(at, said):
    assert said in str(said_of_times(at))


@pytest.mark.parametrize(
    ("deviation", "said"),
    [
        (lambda b, h: np.sqrt(b) * h, "goes with h^1:"),
        (lambda b, h: np.sqrt(b), "goes with h^-1:"),
        (lambda b, h: np.sqrt(b * h) * h, "goes with h^2:"),
        (lambda b, h: np.sqrt(np.expm1(b * h)), ""),
        (lambda b, h: b * h, ""),
    ],
)
def test_a_power_of_the_step_is_named_only_where_the_noise_is_off_by_one(deviation, said):
    def step(z, t, h, score, noise, model):
        b = model.beta(model.T - t)
        return z + h * b * (z / 2 + score(z, model.T - t)) + deviation(b, h) * noise()

    check = agreement(compared(step, "EM", "vp"))[-1]
    assert (check.name, check.verdict) == ("the noise is as claimed", "fail")
    assert ("goes with h^" in check.seen) is bool(said), check.seen
    assert said in check.seen


@pytest.mark.parametrize(
    ("bent", "where"),
    [(0, "before score call 1"), (2, "between score calls 2 and 3"), (3, "after score call 3")],
)
def test_what_is_not_affine_is_placed_between_score_calls(bent, where):
    def run_(score, z, grid, noise, model):
        for k, (t, after) in enumerate(pairwise([*grid])):
            z = ddim(np.clip(z, -3, 3) if k == bent else z, t, after - t, score, noise, model)
        return np.clip(z, -3, 3) if bent == 3 else z

    with pytest.raises(Trouble, match="not affine") as caught:
        probe(subject_of(run_), PROCESS, TIMES_OF_VP)
    assert where in caught.value.where


def test_two_numbers_are_shown_in_digits_in_which_they_differ():
    assert apart(0.9, 0.9 + 4e-8) == "0.9"
    assert apart(0.9 + 4e-8, 0.9) == "0.90000004"
    assert apart(1.00034, 1, 3) == "1.00034"
    assert apart(0.5, 0.25) == apart(0.5, 0.5) == "0.5"


def test_a_time_that_is_off_by_little_is_shown_to_be_off():
    check = said_of_times(lambda tau, t, h: tau * (1 + 4e-8))
    assert "all are 1.00000004 times" in check.seen
    assert check.seen.split(";")[0] != check.expected


def test_what_rounds_away_in_single_precision_is_said_to_be_missing_or_not_claimed():
    gone = Difference(0, "gain", 0, 0, 0, seen=1.1e-11, claimed=-3.3e-3)
    assert (_shown(gone.seen, gone.claimed), _ratio(gone)) == ("0", " (missing)")
    extra = replace(gone, seen=-3.3e-3, claimed=1.1e-11)
    assert (_shown(extra.claimed, extra.seen), _ratio(extra)) == ("0", " (claimed: none)")
    small = replace(gone, seen=-3.3e-8)  # a part in 10^5 is one
    assert _shown(small.seen, small.claimed) != "0" and "of the claimed one" in _ratio(small)


def test_only_code_that_broke_down_in_a_model_that_nobody_said_is_told_which():
    broke = Validation("mine", "psld", "order=1", (Check(BROKEN, "fail"),))
    assert noted(broke, None).notes
    assert not noted(broke, "psld").notes and not noted(replace(broke, claims="ROBA"), None).notes
    for check in (Check(BROKEN, "pass"), Check("another", "fail")):
        assert not noted(replace(broke, checks=(check,)), None).notes
