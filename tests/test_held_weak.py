"""Weak orders and leading weak errors of SDE words that hold a prediction, by two other routes."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

import mpmath
import pytest
import sympy
from mpmath import mpf

from analytic_models import moments
from analytic_models.held import hold, predicted
from analytic_models.targets import Gaussian
from splitting_analysis import program
from splitting_analysis.catalogue import find
from splitting_analysis.data_catalogue import DATA_CATALOGUE
from splitting_analysis.held_weak import weak_held_error, weak_leading_power
from splitting_analysis.position_catalogue import HELD_CATALOGUE
from splitting_analysis.predictions import Prediction
from splitting_analysis.processes import VP
from splitting_analysis.program import Evaluate, Hold
from splitting_analysis.retuned import with_noise_level
from splitting_analysis.schemes import scheme
from splitting_analysis.weak import order_of

STOCHASTIC = [entry for entry in HELD_CATALOGUE if entry.dynamics == "sde"]
LEVELS = [Fraction(1, 2), Fraction(1), Fraction(3, 2)]
HALF = Fraction(1, 2)


@pytest.mark.parametrize(
    ("entry", "eta"),
    [
        pytest.param(
            entry,
            eta,
            id=f"{entry.model_name}-{entry.name}-{eta}",
            marks=() if eta == 1 and entry.name != "SA2" else pytest.mark.heavy,
        )
        for entry in STOCHASTIC
        for eta in LEVELS
        if eta <= 1 or entry.name != "Euler-a"  # DDIM's own noise ends at 1
    ],
)
def test_an_entry_claims_the_weak_order_that_is_derived_at_any_noise_level(entry, eta):
    assert order_of(with_noise_level(entry, eta)) == entry.order


@pytest.mark.heavy
def test_data_held_on_psld_with_noise_have_weak_order_one_and_two():
    found = {s.name: order_of(with_noise_level(s, Fraction(1))) for s in DATA_CATALOGUE[:2]}
    assert found == {"PDDIM": 1, "P2M": 2}


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("word", "order"),
    [
        ("S E:eps", 1),
        ("S E:eps[2]", 2),
        ("S E:data[2]", 2),
        ("S E:data[3]", 2),  # the noise of a step is one normal: no polynomial mends that
        ("S E:data/2 S@1/2 E:data/2", 1),
        ("E:data S@1 E:data[2]", 2),
        ("S E:data[2:bh1]", 2),
    ],
)
def test_the_weak_order_of_other_words(word, order):
    assert order_of(scheme(word, "vp", "sde")) == order


@pytest.mark.heavy
@pytest.mark.parametrize("clock", ["tau", "rho"])
def test_a_word_has_its_weak_order_in_every_clock(clock):
    assert order_of(scheme("S E:data[2]", "vp", "sde", clock=clock)) == 2


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["DPM++1-SDE", "DPM++2M-SDE", "DPM++2S-SDE", "SA2", "Euler-a"])
def test_ratios_as_symbols_leave_the_power_that_numbers_leave(name):
    entry = find(name, "vp")
    assert weak_held_error(entry).power == weak_leading_power(entry)


@pytest.mark.heavy
@pytest.mark.parametrize(("shared", "order"), [(True, 2), (False, 1)])
def test_a_stage_that_draws_noise_of_its_own_costs_an_order(shared, order, monkeypatch):
    """DPM++2S-SDE without a common Brownian path, on a Gaussian from any law."""
    if not shared:
        monkeypatch.setattr(program, "_drawn", lambda _, start, stop: ((start, stop),))
    program.resolve.cache_clear()
    own = replace(find("DPM++2S-SDE", "vp"))  # its word is resolved anew
    process, found = VP(), []
    for n in (40, 80, 160):
        taus = [process.tau_at("lambda", -1 + 2 * i / n) for i in range(n + 1)]
        times = [process.T - tau for tau in taus]
        law = moments.run(own, process, Gaussian(0.3, 0.7), times, ((2.0,), ((0.2,),)), False)
        found.append(law.covariance[0][0])
    program.resolve.cache_clear()
    first, second = found[1] - found[0], found[2] - found[1]
    assert abs(math.log2(first / second) - order) < 0.1


# One step on a Gaussian, from an exact past: a linear SDE whose law is known in closed form.

VARIANCE, MEAN = mpf("0.3"), mpf("0.7")


class Line(dict[Any, Any]):
    """A number as a linear form in normals and 1."""

    def plus(self, factor, other):
        return Line({k: self.get(k, 0) + factor * other.get(k, 0) for k in {*self, *other}})


def spread(process, tau):
    return process.alpha(tau) ** 2 * VARIANCE + process.sigma(tau) ** 2


def flow(process, eta, a, b):
    """What the reverse SDE does to a deviation from the mean, between two forward times."""
    ratio, sizes = process.alpha(b) / process.alpha(a), [process.alpha(t) ** 2 for t in (a, b)]
    inner = (spread(process, b) / sizes[1]) / (spread(process, a) / sizes[0])
    return ratio * inner ** ((1 + eta * eta) / 2)


def shared(process, eta, a, b):
    """Covariance of the exact noise between two forward times and of what a step draws there."""
    sigma, end = process.sigma(b), process.log_snr(b)

    def density(u):
        tau = process.tau_at("lambda", u)
        kept = sigma / process.sigma(tau) * mpmath.exp(-eta * eta * (end - u))
        return kept * flow(process, eta, tau, b) * 2 * eta * eta * process.sigma(tau) ** 2

    return mpmath.quad(density, [process.log_snr(a), end])


def one_step(own, process, readings, x):  # noqa: C901 - one step, read from top to bottom
    """Errors of mean and second moment, exact minus scheme, in units of x at the first reading."""
    eta, ops = (
        mpf(own.noise_level.numerator) / own.noise_level.denominator,
        own.program.instructions,
    )
    taus = [process.tau_at("lambda", u) for u in readings]
    evaluations = [op.at for op in ops if isinstance(op, Evaluate)]
    covariance, states, last = {}, [Line({1: x})], len(taus) - 2

    def evaluated(tau, state):
        own_, gain = predicted(Prediction.DATA, process, tau)
        factor, center = gain / spread(process, tau), process.alpha(tau) * MEAN
        return Line({k: (own_ - factor) * v for k, v in state.items()}).plus(
            1, Line({1: factor * center})
        )

    def time(i, at):
        share = mpf(at.numerator) / at.denominator
        return process.tau_at("lambda", readings[i] + (readings[i + 1] - readings[i]) * share)

    def noisy(op, i, state, name, end):
        for part in op.drawn:
            first, second = (time(i, at) for at in part)
            key = (name, *part)
            covariance[key, key] = hold(
                op, process, own.in_clock, eta, first, second, [first]
            ).noise
            carried = mpf(1)
            if part[1] != op.stop:
                carried = hold(op, process, own.in_clock, eta, second, end, [second]).keep
            state = state.plus(carried, Line({key: mpf(1)}))
        return state

    def stepped(i, state, kept, name, until_evaluation):
        begin, made = state, list(kept)
        for op in ops:
            if isinstance(op, Evaluate):
                if until_evaluation:
                    return state, made
                made.append((time(i, op.at), evaluated(time(i, op.at), state)))
            elif isinstance(op, Hold):
                ends = [time(i, at) for at in (op.start, op.stop)]
                through = made[-op.through :]
                step = hold(
                    op, process, own.in_clock, eta, ends[0], ends[1], [tau for tau, _ in through]
                )
                old = begin if op.restarts else state
                state = Line({k: step.keep * v for k, v in old.items()})
                for gain, (_, value) in zip(step.gains, through, strict=True):
                    state = state.plus(gain, value)
                state = noisy(op, i, state, name, ends[1])
        return state, made

    kept = [(taus[0], evaluated(taus[0], states[0]))]
    for i in range(last + 1):
        a, b = taus[i], taus[i + 1]
        phi, key = flow(process, eta, a, b), ("exact", i)
        covariance[key, key] = spread(process, b) - phi**2 * spread(process, a)
        moved = Line({k: phi * v for k, v in states[-1].items()})
        shift = process.alpha(b) * MEAN - phi * process.alpha(a) * MEAN
        states.append(moved.plus(1, Line({1: shift, key: mpf(1)})))
        if i == last:
            break
        if evaluations == [1]:  # at the state that the step itself predicts, with its noise
            arrived, _ = stepped(i, states[i], kept, i, True)
            drawn = (i, Fraction(0), Fraction(1))
            covariance[key, drawn] = covariance[drawn, key] = shared(process, eta, a, b)
            kept.append((b, evaluated(b, arrived)))
        elif i + 1 < last:
            kept.append((b, evaluated(b, states[-1])))
    made, _ = stepped(last, states[last], kept, last, False)
    grown = mpmath.exp(eta * eta * (readings[-1] - readings[0]))
    unit = grown * process.sigma(taus[0]) / process.sigma(taus[-1])
    exact, found = (moments_of(line, covariance, unit, x) for line in (states[-1], made))
    return [a - b for a, b in zip(exact, found, strict=True)]


def moments_of(line, covariance, unit, x):
    """Mean and second moment of unit * line - x."""
    mean = unit * line[1] - x
    normals = {k: unit * v for k, v in line.items() if k != 1}
    variance = sum(
        p * q * covariance.get((k, other), 0)
        for (k, p), (other, q) in product(normals.items(), repeat=2)
    )
    return mean, variance + mean**2


def derived(own, process, reading, x, ratios):
    """The same errors' leading coefficients, from the trees."""
    error, eta = weak_held_error(own), own.noise_level
    more = mpf(eta.numerator) / eta.denominator
    more *= more
    start = process.tau_at("lambda", reading)

    def prediction(u, y):
        tau = process.tau_at("lambda", reading + u)
        own_, gain = predicted(Prediction.DATA, process, tau)
        here = y * mpmath.exp(-more * u) * process.sigma(tau) / process.sigma(start)
        score = -(here - process.alpha(tau) * MEAN) / spread(process, tau)
        return (1 + more) * process.alpha(start) * (own_ * here + gain * score)

    def value(tree):
        name, j, children = tree
        if name != "P":  # DDIM's own noise leaves the state itself
            return x if name == "x" else mpf(1)
        if len(children) > 1:
            return mpf(0)

        def along(u):
            if children:
                return prediction(u, x + 1) - prediction(u, x)
            return prediction(u, x)

        slope = mpmath.diff(along, 0, j) if j else along(0)
        return slope * value(children[0][1]) if children else slope

    values = {"q0xx": 2 * more * process.sigma(start) ** 2}
    values |= {f"r{i + 1}": r for i, r in enumerate(ratios)}
    totals = [mpf(0), mpf(0)]
    for tree, coefficient in error.phi.items():
        count = len(tree[2])
        if count > 2:
            continue
        names = [str(s) for s in coefficient.free_symbols]
        number = sympy.lambdify([sympy.Symbol(n) for n in names], coefficient, "mpmath")(
            *(values[n] for n in names)
        )
        inner = mpf(1)
        for _, child in tree[2]:
            inner *= value(child)
        totals[count - 1] += number * inner * count
    return totals, error.power


GAUSSIAN = [
    (with_noise_level(find("DPM++1-SDE", "vp"), HALF), ()),
    (find("Euler-a", "vp"), ()),
    (with_noise_level(find("Euler-a", "vp"), HALF), ()),
    (with_noise_level(find("DPM++2M-SDE", "vp"), HALF), (Fraction(3, 2),)),
    (find("DPM++2M-SDE", "vp"), (Fraction(2, 3),)),
    (with_noise_level(find("DPM++2S-SDE", "vp"), HALF), ()),
    (scheme("S E:data[3]", "vp", "sde"), (Fraction(3, 2), Fraction(2, 3))),
    (with_noise_level(scheme("S E:data/2 S@1/2 E:data/2", "vp", "sde"), HALF), ()),
    (with_noise_level(find("SA2", "vp"), HALF), (Fraction(3, 2), Fraction(2, 3), Fraction(1))),
    (
        with_noise_level(scheme("E:data S@1 E:data[2]", "vp", "sde"), HALF),
        (Fraction(3, 2), Fraction(1)),
    ),
]


@pytest.mark.parametrize(
    ("own", "ratios"),
    [
        pytest.param(
            own,
            r,
            id=f"{own.name}-{own.noise_level}",
            marks=() if i == 4 else pytest.mark.heavy,
        )
        for i, (own, r) in enumerate(GAUSSIAN)
    ],
)
def test_one_step_from_an_exact_past_errs_by_the_derived_moments_on_a_gaussian(own, ratios):
    """error / h^p, extrapolated to h = 0, is the coefficient to 1e-6; with eta = 1 that of the mean
    is 0, as what is predicted is a martingale.
    """
    with mpmath.workdps(60):
        process = VP(*(mpf(v) for v in vars(VP()).values()))
        reading, x = process.clock_at("lambda", mpf("0.4")), mpf("1.3")
        sizes = [mpf(r.numerator) / r.denominator for r in ratios]
        wanted, power = derived(own, process, reading, x, sizes)
        rows = []
        for k in range(7):
            h = mpf(1) / 100 / 2**k
            readings = [reading]
            for r in reversed(sizes):
                readings.append(readings[-1] + r * h)
            readings.append(readings[-1] + h)
            rows.append([e / h**power for e in one_step(own, process, readings, x)])
        for k in range(1, 7):
            rows = [
                [(2**k * b - a) / (2**k - 1) for a, b in zip(one, two, strict=True)]
                for one, two in pairwise(rows)
            ]
        for found, told in zip(rows[0], wanted, strict=True):
            assert abs(found - told) < 1e-6 * max(abs(told), mpf(1) / 100)
        assert abs(wanted[1]) > 1e-4
