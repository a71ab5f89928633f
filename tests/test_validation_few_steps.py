"""What a validation sees in few steps, on uneven ones, far out, and of what is thrown away."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from numpy import empty

from analytic_models.probing.agreement import agreement
from analytic_models.probing.checks import Check
from analytic_models.probing.claimed_order import UNEVEN, Asked
from analytic_models.probing.comparison import Comparison
from analytic_models.probing.manners import manners
from analytic_models.probing.many import LONG, many
from analytic_models.probing.reference import subject_for
from analytic_models.probing.running import Trouble, run
from analytic_models.probing.signature import probe
from analytic_models.probing.statistics import compared
from analytic_models.probing.stiff import STIFF, explodes, stiff
from analytic_models.probing.subject import Subject, subject_of
from analytic_models.probing.validate import PROCESSES, validate
from reports.commands.validation import Settings, judged
from reports.experiments.seeded.case import data_of, held, taus_of
from splitting_analysis.catalogue import find
from splitting_analysis.schemes import scheme

TIMES = (0.1, 0.3, 0.6, 0.9)
PROCESS = PROCESSES["vp"]


def em(z, t, h, score, noise, model):
    b = model.beta(model.T - t)
    return z + h * b * (z / 2 + score(z, model.T - t)) + (h * b) ** 0.5 * noise()


def ddim(z, t, h, score, noise, model):
    tau = model.T - t
    return held(model, z, data_of(model, score, z, tau), tau, tau - h)


def second_order(ratio):
    """DPM-Solver++(2M) in lambda; `ratio(h, before)` weighs the difference of data predictions."""

    def run_(score, z, grid, noise, model):
        last, before = None, 1.0
        for tau, after in pairwise(taus_of(model, grid)):
            data, h = data_of(model, score, z, tau), model.log_snr(after) - model.log_snr(tau)
            used = data if last is None else data + ratio(h, before) * (data - last)
            z, last, before = held(model, z, used, tau, after), data, h
        return z

    return run_


def uneven(call, model="vp"):
    asked = Asked(subject_of(call), PROCESSES[model], False, affine=True, single=False)
    return asked.uneven(2)


@pytest.mark.heavy
def test_weights_for_equal_steps_alone_show_on_uneven_ones():
    right = uneven(second_order(lambda h, before: h / before / 2))
    assert (right.name, right.verdict) == (UNEVEN, "pass")
    wrong = uneven(adams(equal=True), "flow")
    assert wrong.verdict == "fail"
    assert "1.0" in wrong.seen
    assert uneven(adams(equal=False), "flow").verdict == "pass"


@pytest.mark.parametrize(
    ("found", "verdict"),
    [((1.04, None), "fail"), ((None, 1.0), "fail"), ((1.0, 3.96), "pass"), ((None, 2.4), None)],
)
def test_a_lower_order_that_settles_on_one_uneven_grid_fails(found, verdict, monkeypatch):
    orders = iter(found)
    monkeypatch.setattr(Asked, "on", lambda *_: SimpleNamespace(order=next(orders)))
    asked = Asked(replace(subject_of(em), kind="step"), PROCESS, False, affine=True, single=False)
    said = asked.uneven(4)
    assert (said.verdict if isinstance(said, Check) else None) == verdict


def adams(equal):
    """Adams-Bashforth of order 2 in time; `equal` takes the weights of equal steps."""

    def run_(score, z, grid, noise, model):
        last, before = None, 1.0
        for t, after in pairwise(grid):
            tau, h = model.T - t, after - t
            alpha, sigma = model.alpha(tau), model.sigma(tau)
            shrink, growth = model.rates(tau)
            slope = -(
                shrink / alpha * z - (sigma * growth - shrink / alpha * sigma**2) * score(z, tau)
            )
            part = 0.5 if equal else h / before / 2
            used = slope if last is None else slope + part * (slope - last)
            z, last, before = z + h * used, slope, h
        return z

    return run_


@pytest.mark.heavy
@pytest.mark.parametrize(("equal", "holds"), [(True, False), (False, True)])
def test_a_claimed_order_is_judged_on_uneven_steps(equal, holds):
    found = validate(adams(equal), "order=2", "flow")
    assert found.holds is holds, str(found)
    assert [c.name for c in found.failures] == [UNEVEN] * (not holds)
    assert any("on a stiff target" in note and "(Euler" in note for note in found.notes)


def clamped(z, t, h, score, noise, model):
    return em(z, t, h if h < 0.3 else 0.9 * h, score, noise, model)


def late(score, z, grid, noise, model):
    """DDIM; from the twentieth step on Euler's rule."""
    for number, (t, after) in enumerate(pairwise(grid)):
        if number < 20:
            z = ddim(z, t, after - t, score, noise, model)
        else:
            h = (after - t) * model.beta(model.T - t)
            z = z + h / 2 * (z + score(z, model.T - t))
    return z


def test_what_begins_after_many_steps_is_seen():
    word = subject_for(find("DDIM", "vp"))
    for call, verdict in ((ddim, "pass"), (late, "fail")):
        (found,) = many(subject_of(call), word, PROCESS)
        assert (found.name, found.verdict) == (LONG, verdict)


def test_what_depends_on_a_large_batch_is_seen():
    def large(z, t, h, score, noise, model):
        after = ddim(z, t, h, score, noise, model)
        after[64:] *= 1 + h
        return after

    def named(call):
        found = manners(subject_of(call), PROCESS, TIMES).checks
        return next(check for check in found if "batch" in check.name)

    assert named(ddim).verdict == "pass"
    wrong = named(large)
    assert wrong.verdict == "fail" and "936 of them, from 65" in wrong.seen


@pytest.mark.parametrize(("call", "verdict"), [(em, "pass"), (clamped, "fail")])
def test_what_is_done_in_long_steps_alone_is_seen(call, verdict):
    (found,) = stiff(subject_of(call), subject_for(find("EM", "vp")), PROCESS)
    assert (found.name, found.verdict) == (STIFF, verdict)
    assert verdict == "pass" or found.seen != found.expected


def test_times_in_float32_are_right_on_a_stiff_target():
    def single_times(z, t, h, score, noise, model):
        tau = float(np.float32(model.T - t))
        s = score(z, tau)
        return z + h * (tau * s + (z + tau**2 * s) / (1 - tau))

    (found,) = stiff(
        subject_of(single_times), subject_for(find("Euler", "flow")), PROCESSES["flow"]
    )
    assert found.verdict == "pass", str(found)


def test_how_many_steps_it_takes_is_said_beside_the_known_ones():
    said = explodes(subject_of(em), PROCESS, stochastic=True, affine=True)
    own = said.partition("it takes ")[2].partition(" steps")[0]
    assert f"(EM {own})" in said
    assert int(own) > 8
    assert "2 or fewer steps" in explodes(subject_of(ddim), PROCESS, stochastic=False, affine=True)


def wasteful(at_end, in_steps):
    """DDIM that evaluates in vain: at its end, in each step where it begins, or where it ends."""

    def run_(score, z, grid, noise, model):
        for tau, after in pairwise(taus_of(model, grid)):
            if in_steps == "begin":
                score(1.01 * z, tau)
            z = held(model, z, data_of(model, score, z, tau), tau, after)
            if in_steps == "end":
                score(z, after)
        if at_end:
            score(z, model.T - grid[-1])
        return z

    return run_


@pytest.mark.share(3)
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (wasteful(True, ""), "8: one evaluation is thrown away after the last step"),
        (wasteful(False, "begin"), "14: 7 evaluations are in vain: 1 in each step"),
        (
            wasteful(False, "end"),
            "14: 7 evaluations are in vain: 1 in each step, 6 of them where it is called again",
        ),
    ],
)
def test_an_evaluation_that_is_thrown_away_is_named_and_the_rest_compared(call, said):
    found = validate(call, "DDIM", "vp")
    (bad,) = [c for c in found.checks if c.verdict != "pass"]
    assert (bad.verdict, bad.seen) == ("fail", said)
    assert found.deduced.startswith("DDIM")


def test_noise_that_is_drawn_once_is_used_again_in_every_step():
    def once(score, z, grid, noise, model):
        xi = noise()
        for t, after in pairwise(grid):
            z = em(z, t, after - t, score, lambda: xi, model)
        return z

    word = find("EM", "vp")
    times = tuple(np.linspace(0.1, 0.9, 8))
    seen, told = (probe(s, PROCESS, times) for s in (subject_of(once), subject_for(word)))
    (bad,) = [
        c
        for c in agreement(Comparison(word, word.program, PROCESS, times, seen, told))
        if c.verdict != "pass"
    ]
    assert "normals are used again" in bad.seen
    assert bad.where.endswith("(and in other steps)")


def test_what_goes_by_the_place_in_the_batch_is_told_from_rows_that_mix():
    def reseeds(z, t, h, score, noise, model):
        return em(z, t, h, score, lambda: np.random.default_rng(3).normal(size=z.shape), model)

    def numbered(z, t, h, score, noise, model):
        z = em(z, t, h, score, noise, model)
        return z * np.linspace(1, 1.1, len(z))[:, None]

    def mixes(z, t, h, score, noise, model):
        z = em(z, t, h, score, noise, model)
        return z - 0.1 * z.mean(axis=0)

    said = {}
    for call in (reseeds, numbered, mixes):
        checks = manners(subject_of(call), PROCESS, TIMES).checks
        (said[call],) = [c.seen for c in checks if c.name.startswith("each row")]
    for call in (reseeds, numbered):
        assert "a row's result depends on its place in the batch" in said[call]
    assert "depends on those beside it" in said[mixes]


def unfilled(z, t, h, score, noise, model):
    return em(z, t, h, score, noise, model) + 0 * empty(z.shape)


def unfilled_torch(z, t, h, score, noise, model):
    return em(z, t, h, score, noise, model) + 0 * z.new_empty(z.shape)


@pytest.mark.parametrize(("call", "torch"), [(unfilled, False), (unfilled_torch, True)])
def test_empty_memory_is_poisoned_under_any_name(call, torch):
    subject = Subject("it", "step", call, torch=torch)
    checks = manners(subject, PROCESS, TIMES).checks
    (found,) = [c for c in checks if c.name.startswith("memory")]
    assert "NaN" in found.seen
    assert np.isfinite(empty(3) * 0).all() or empty.__module__  # the name is its own again
    assert empty is np.empty


@pytest.mark.parametrize("inside", [20.0, 400.0])
def test_a_clamp_far_out_is_seen(inside):
    def step(z, t, h, score, noise, model):
        return em(np.clip(z, -inside, inside), t, h, score, noise, model)

    with pytest.raises(Trouble, match="not affine"):
        probe(subject_of(step), PROCESS, TIMES)


def test_normals_cut_at_four_deviations_are_seen():
    def step(z, t, h, score, noise, model):
        return em(z, t, h, score, lambda: np.clip(noise(), -4, 4), model)

    with pytest.raises(Trouble, match="not affine"):
        probe(subject_of(step), PROCESS, TIMES)


def test_who_returns_more_than_z_is_told_to_return_z_alone():
    def step(z, t, h, score, noise, model):
        return em(z, t, h, score, noise, model), {}

    zeros = np.zeros((2, 3))
    with pytest.raises(Trouble, match="is tuple: return only z"):
        run(subject_of(step), PROCESS, TIMES, zeros, lambda *a: -a[1], lambda _: zeros)


@pytest.mark.heavy
def test_what_is_known_of_a_word_is_known_for_its_parameters():
    def rows(param):
        settings = Settings(param=param)
        known = judged("Euler", None, "vp", "ode", settings, [], lambda _: None)[1]
        assert known is not None
        return known.rows

    assert rows("beta_max=20") != rows("beta_max=8")


def runge_kutta_in_float32(weights):
    """Runge-Kutta of order 4 in time, in float32 whatever it is given; right with 1, 2, 2, 1."""
    f = np.float32

    def step(z, t, h, score, noise, model):
        def slope(x, u):
            tau = model.T - u
            alpha, sigma = model.alpha(tau), model.sigma(tau)
            shrink, growth = model.rates(tau)
            weight = sigma * growth - shrink / alpha * sigma**2
            return f(weight) * f(score(x, tau)) - f(shrink / alpha) * x

        z = f(z)
        slopes = [slope(z, t)]
        for part in (0.5, 0.5, 1.0):
            slopes.append(slope(z + f(part * h) * slopes[-1], t + part * h))
        moves = sum(f(w) * s for w, s in zip(weights, slopes, strict=True))
        return z + f(h / sum(weights)) * moves

    return step


@pytest.mark.heavy
def test_an_order_that_float32_hides_is_that_of_the_word_whose_errors_it_has():
    right = validate(runge_kutta_in_float32((1, 2, 2, 1)), "order=4", "vp")
    assert right.holds, str(right)
    (check,) = [c for c in right.checks if c.name.startswith("its order is 4")]
    assert "its errors are those of RK4" in check.seen
    wrong = validate(runge_kutta_in_float32((1, 2, 2, 1.01)), "order=4", "vp")
    assert not wrong.holds
    assert validate(runge_kutta_in_float32((1, 2, 2, 1)), "order=3", "vp").failures


@pytest.mark.heavy
@pytest.mark.parametrize("claimed", [2, 3])
def test_an_order_that_a_scheme_of_ones_own_claims_is_judged(claimed):
    own = scheme("S E:data[2]", "vp", name="MINE", order=claimed)
    names = [check.name for check in validate(own, own).failures]
    assert names == (["its order is 3: 3 holds, 4 does not"] if claimed == 3 else [])


def test_samples_too_large_to_square_are_no_agreement():
    samples = np.full((50, 1, 2), 1e200) * np.linspace(-1, 1, 50)[:, None, None]
    found = compared("its law", samples, np.zeros((2, 1)), np.ones((2, 1, 1)))
    assert (found.verdict, found.seen) == ("fail", "states as large as 1e+200")


def test_memory_that_is_not_filled_holds_the_same_in_every_run():
    def unfilled(z, t, h, score, noise, model):
        return z + h * np.empty_like(z)

    process = PROCESSES["vp"]
    z = np.ones((2, 3))
    ends = []
    for _ in range(3):
        np.full((2, 3), 1e200)  # what the next array may get
        ends.append(
            run(subject_of(unfilled), process, (0.0, 0.5), z, lambda *_: z, lambda _: z).final
        )
    assert all(np.array_equal(end, z) for end in ends)
