"""Exact moments: against plain dense samplers, fifty digits and symbols; and what a run
promises.
"""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from analytic_models import moments as module
from analytic_models.diffusions import PSLD, VP, Diffusion, Langevin
from analytic_models.grids import grid
from analytic_models.moments import Moments, run, starting_law
from analytic_models.pushing import pushed, with_roots
from analytic_models.steps import one_step
from analytic_models.targets import Gaussian, initial, marginal, score
from splitting_analysis.catalogue import CATALOGUE, find
from splitting_analysis.schemes import LambdaS, scheme
from tests.oracle_moments import SAMPLERS, Plain
from tests.strategies import examples, schemes

PROCESSES: dict[str, Diffusion] = {
    "psld": PSLD(0.3, 2.5, 2.0, 7.0, 0.04), "vp": VP(0.2, 3.5), "langevin": Langevin(0.8, 2.0)
}  # fmt: skip
TIMES = {name: [0.0, 0.1, 0.25, 0.5, 0.6, 0.83, 0.95] for name in ("psld", "vp")}
TIMES["langevin"] = [0.0, 0.2, 0.5, 0.9, 1.0, 1.7, 2.0]
VARIANCES, MEAN = np.array([0.05, 0.7, 2.0]), np.array([0.4, -1.0, 0.3])
TARGET = Gaussian(VARIANCES, MEAN)
R = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
PRINTED = [s for s in CATALOGUE if (s.model_name, s.name) in SAMPLERS]
BY_NAME = pytest.mark.parametrize(
    "entry", CATALOGUE, ids=lambda s: f"{s.model_name}-{s.dynamics}-{s.name}"
)
N = 11


def dense(law: Moments):
    """Mean (k, d) and covariance (k, k, d, d) in the data basis, from a law in the eigenbasis."""
    d = len(VARIANCES)
    mean = np.array([R @ np.broadcast_to(m, d) for m in law.mean])
    covariance = [[R @ np.diag(np.broadcast_to(c, d)) @ R.T for c in row] for row in law.covariance]
    return mean, np.array(covariance)


def plain(model, *options):
    return Plain(model, PROCESSES[model], R @ np.diag(VARIANCES) @ R.T, R @ MEAN, *options)


def agree(law: Moments, oracle: Plain, tolerance: float = 1e-12) -> None:
    mean, covariance = dense(law)
    scale = np.abs(oracle.covariance()).max()
    assert np.abs(mean - oracle.mean()).max() < tolerance * max(1, np.sqrt(scale))
    assert np.abs(covariance - oracle.covariance()).max() < tolerance * scale


@pytest.mark.parametrize("entry", PRINTED, ids=lambda s: f"{s.model_name}-{s.dynamics}-{s.name}")
def test_moments_in_the_eigenbasis_are_those_of_the_printed_sampler_in_any_basis(entry):
    times = TIMES[entry.model_name]
    last = 0 if entry.model_name == "langevin" else 2 if entry.dynamics == "sde" else 1
    oracle = plain(entry.model_name).run(times, SAMPLERS[entry.model_name, entry.name], last)
    law = run(entry, PROCESSES[entry.model_name], TARGET, times)
    agree(law, oracle)
    # printed with a score per kick
    if not entry.carries_score and entry.name not in ("ABOBA", "OBABO"):
        assert entry.model_name == "langevin" or law.nfe == oracle.evaluations


def test_every_sampler_printed_for_this_oracle_is_one_of_the_catalogue():
    """Those of the catalogue that it lacks are judged by gpu_samplers/plain.py alone."""
    assert len(PRINTED) == len(SAMPLERS)


@pytest.mark.parametrize("rule", ["exponent", "variance"])
@pytest.mark.parametrize("value", [0, Fraction(1, 3), 1.7])
def test_lambda_scales_the_position_noise_by_its_rule(rule, value):
    times, exact = TIMES["psld"], Fraction(value)
    for name in ("ROBA", "NOBAB", "RBAO"):
        oracle = plain("psld", float(value), rule).run(times, SAMPLERS["psld", name], 2)
        entry = replace(find(name), lambda_s=LambdaS(rule))
        fixed = replace(find(name), lambda_s=LambdaS(rule, exact))
        agree(run(entry, PROCESSES["psld"], TARGET, times, lambda_s=value), oracle)
        agree(
            run(entry, PROCESSES["psld"], TARGET, times, lambda_s=lambda t: value + 0 * t), oracle
        )
        agree(run(fixed, PROCESSES["psld"], TARGET, times), oracle)


def test_a_varying_lambda_is_taken_at_the_start_of_each_step():
    process, times, entry = PROCESSES["psld"], TIMES["psld"], find("ROBA")
    law = starting_law(process, TARGET, "prior")
    for t, after in pairwise(times):
        piece = run(
            entry, process, TARGET, [t, after], law, denoise=False, lambda_s=0 if t < 0.3 else 2 - t
        )
        law = piece.mean, piece.covariance
    whole = run(
        entry, process, TARGET, times, denoise=False, lambda_s=lambda t: 0 if t < 0.3 else 2 - t
    )
    assert np.allclose(law[1], whole.covariance, rtol=1e-14)


def test_a_carried_score_is_that_of_the_step_before():
    """B/2 A S@1 B/2 keeps the score of its step's end, and evaluates once at the start of all."""

    def step(p):
        p.B(0.5, 1), p.A(1, 1), p.S(1), p.B(0.5, 1)

    oracle = plain("psld")
    oracle.t, oracle.h = 0.0, 0.0
    oracle.S()
    oracle.run(TIMES["psld"], step, 1)
    law = run(scheme("B/2 A S@1 B/2", "psld", "ode"), PROCESSES["psld"], TARGET, TIMES["psld"])
    agree(law, oracle)
    assert law.nfe == oracle.evaluations == len(TIMES["psld"]) - 1 + 2

    def noisy(p):
        p.B(1, 2), p.O(), p.S(), p.A(1, 2)

    oracle = plain("psld")
    oracle.t, oracle.h = 0.0, 0.0
    oracle.S()
    oracle.run(TIMES["psld"], noisy, 2)
    agree(run(scheme("B O S A"), PROCESSES["psld"], TARGET, TIMES["psld"]), oracle)


def test_each_part_of_a_letter_covers_its_own_part_of_the_step():
    def step(p):
        p.O(0, 1 / 3), p.S(), p.B(1, 2), p.O(1 / 3, 1), p.A(1, 2)

    oracle = plain("psld").run(TIMES["psld"], step, 2)
    agree(run(scheme("O/3 S B O*2/3 A"), PROCESSES["psld"], TARGET, TIMES["psld"]), oracle)


@pytest.mark.parametrize("model", ["psld", "vp", "langevin"])
def test_a_short_row_weighs_the_last_evaluations(model):
    """The midpoint rule as the row [1] and as [0, 1]; both start again from the step's start."""
    times = TIMES[model]
    oracle = plain(model).run(
        times, lambda p: p.runge_kutta([[], [0.5]], [0, 1], [0, 0.5]), int(model != "langevin")
    )
    for word in ("S E[1/2] S@1/2 E[1]", "S E[1/2] S@1/2 E[0,1]"):
        agree(run(scheme(word, model, "ode"), PROCESSES[model], TARGET, times), oracle)


def precise(diffusion):
    return replace(
        diffusion, **{f.name: mpmath.mpf(getattr(diffusion, f.name)) for f in fields(diffusion)}
    )


@BY_NAME
def test_high_precision_and_float64_agree(entry):
    process, times = PROCESSES[entry.model_name], TIMES[entry.model_name][:4]
    law = run(entry, process, TARGET, times)
    with mpmath.workdps(40):
        mode = Gaussian(mpmath.mpf(VARIANCES[1]), mpmath.mpf(MEAN[1]))
        exact = run(entry, precise(process), mode, [mpmath.mpf(t) for t in times])
        n = range(len(exact.mean))
        for i in n:
            assert abs(law.mean[i][1] - exact.mean[i]) < 1e-13 * (1 + abs(exact.mean[i]))
            for j in n:
                assert isinstance(exact.covariance[i][j], mpmath.mpf)
                size = mpmath.sqrt(exact.covariance[i][i] * exact.covariance[j][j])
                assert abs(law.covariance[i][j][1] - exact.covariance[i][j]) < 1e-13 * size
    assert law.nfe == exact.nfe


@pytest.mark.heavy
@pytest.mark.parametrize(
    "text",
    [
        "O S B A",
        "S E",
        *(
            pytest.param(long, marks=pytest.mark.heavy)
            for long in ("L/2 S K L/2", "S B/2 A S@1 B/2")
        ),
    ],
)
def test_the_symbolic_step_is_the_number_step_at_its_values(text):
    values = PROCESSES["psld"]
    names = [f.name for f in fields(values)]
    symbols = sympy.symbols(names, positive=True)
    C, t, h = sympy.symbols("C t h", positive=True)
    at = {s: sympy.nsimplify(getattr(values, n)) for s, n in zip(symbols, names, strict=True)}
    at |= {C: sympy.Rational(7, 10), t: sympy.Rational(1, 5), h: sympy.Rational(1, 10)}
    symbolic, target = PSLD(*symbols), Gaussian(C, sympy.Integer(0))
    word = scheme(text)
    step = one_step(word, symbolic, t, h, lambda tau: score(symbolic, target, tau))
    number = one_step(word, values, 0.2, 0.1, lambda tau: score(values, Gaussian(0.7, 0.0), tau))
    with mpmath.workdps(30):
        numbers = [mpmath.mpf(value.p) / value.q for value in at.values()]
        for form, reference in zip(step.forms, number.forms, strict=True):
            assert form.keys() == reference.keys()
            for key, value in form.items():
                found = sympy.lambdify(list(at), value, "mpmath", cse=True)(*numbers)
                assert float(found) == pytest.approx(reference[key], rel=1e-11)
    for block, block_of_numbers in zip(step.noise, number.noise, strict=True):
        for value, other in zip(sum(block, ()), sum(block_of_numbers, ()), strict=True):
            assert float(sympy.sympify(value).subs(at)) == pytest.approx(other, rel=1e-9)


@st.composite
def settings_of_a_run(draw):
    """A random scheme, process, spectrum and grid that ends short of T."""
    any_scheme = draw(schemes(max_parts=2))
    beta = st.floats(0.5, 8.0)
    gamma, kappa = st.sampled_from([0.0, 0.01, 0.5]), st.sampled_from([0.0, 0.04])
    process: Diffusion = Langevin(draw(st.floats(0.1, 3.0)), 1.0)
    if any_scheme.model_name == "psld":
        process = PSLD(draw(gamma), 4.0, draw(beta), draw(beta), draw(kappa))
    elif any_scheme.model_name == "vp":
        process = VP(draw(beta), draw(beta))
    low = 1e-3 if any_scheme.model_name == "langevin" else 0.0
    spectrum = draw(st.lists(st.floats(low, 50.0), min_size=1, max_size=3))
    parts = np.array(draw(st.lists(st.floats(0.2, 1.0), min_size=8, max_size=20)))
    times = [0.0, *(0.99 * np.cumsum(parts) / parts.sum())]
    return (
        any_scheme,
        process,
        spectrum,
        times,
        draw(st.sampled_from(["prior", "pT"])),
        draw(st.booleans()),
    )


@given(settings_of_a_run())
@examples(24)
def test_covariances_stay_positive_and_evaluations_are_counted(case):
    any_scheme, process, spectrum, times, start, denoise = case
    longest = max((after - t) * process.beta(process.T - t) for t, after in pairwise(times))
    if longest * max((op.fraction for op in any_scheme.word if op.rule == "ddpm"), default=0) >= 1:
        with pytest.raises(ValueError, match=r"beta h = .* there h must be below"):
            run(any_scheme, process, Gaussian(spectrum), times, start, denoise)
        return
    law = run(any_scheme, process, Gaussian(spectrum), times, start, denoise)
    last = denoise and any_scheme.model_name != "langevin"
    assert law.steps == len(times) - 1
    assert law.nfe == law.steps * any_scheme.word.nfe + any_scheme.carries_score + last
    k, shape = len(law.covariance), (len(spectrum),)
    block = np.moveaxis(
        np.array([[np.broadcast_to(e, shape) for e in row] for row in law.covariance]), 2, 0
    )
    assert block.shape == (*shape, k, k) and all(m.shape == shape for m in law.mean)
    assert np.array_equal(block, np.swapaxes(block, 1, 2))
    trace = np.trace(block, axis1=1, axis2=2)
    assert np.all(np.linalg.eigvalsh(block).min(axis=1) >= -1e-12 * trace)
    if any_scheme.dynamics == "sde" and not denoise:
        assert np.all(trace > 0)


@pytest.mark.share(3)
@BY_NAME
def test_neither_the_number_of_steps_at_once_nor_the_other_modes_change_a_result(
    entry, monkeypatch
):
    process, times = PROCESSES[entry.model_name], TIMES[entry.model_name]
    whole = run(entry, process, TARGET, times)
    for size in (1, 4, 6, 10**6):
        monkeypatch.setattr(module, "CACHED", size)
        again = run(entry, process, TARGET, times)
        assert np.allclose(again.covariance, whole.covariance, rtol=1e-12, atol=1e-14)
        assert (
            np.allclose(again.mean, whole.mean, rtol=1e-13, atol=1e-15) and again.nfe == whole.nfe
        )
    for k in range(len(VARIANCES)):
        one = run(entry, process, Gaussian(VARIANCES[k : k + 1], MEAN[k : k + 1]), times)
        assert np.allclose(
            np.array(one.covariance)[..., 0], np.array(whole.covariance)[..., k], rtol=1e-14
        )


@pytest.mark.parametrize(
    ("word", "model", "lower_final"),
    [
        ("S E:data/2[2] S@1/2 E:data[3]", "vp", False),
        ("S E:data[3]", "vp", True),
        ("S B:eye A:eye", "psld", False),
    ],
)
def test_nor_where_evaluations_are_kept_or_the_steps_come_from_a_table(
    word, model, lower_final, monkeypatch
):
    entry = replace(scheme(word, model), lower_final=lower_final)
    process, times = PROCESSES[model], TIMES[model]
    one_by_one = run(entry, process, Gaussian(VARIANCES[1], MEAN[1]), times)
    for size in (1, 6, 10**6):
        monkeypatch.setattr(module, "CACHED", size)
        found = run(entry, process, TARGET, times)
        assert np.allclose(
            np.array(found.covariance)[..., 1], one_by_one.covariance, rtol=1e-11, atol=1e-14
        )
        assert np.allclose(np.array(found.mean)[:, 1], one_by_one.mean, rtol=1e-12, atol=1e-14)
        assert found.nfe == one_by_one.nfe


@pytest.mark.parametrize("name", ["Euler", "RVV"])
def test_a_mean_that_a_run_starts_with_is_pushed_though_the_target_has_none(name):
    entry, process, times = find(name), PROCESSES["psld"], TIMES["psld"]
    start = (0.4, -1.0), ((1.0, 0.2), (0.2, 0.5))
    found = run(entry, process, Gaussian(VARIANCES, 0.0), times, start)
    alone = run(entry, process, Gaussian(VARIANCES[2], 0.0), times, start)
    assert np.array(found.mean)[:, 2] == pytest.approx(np.array(alone.mean, dtype=float), rel=1e-12)
    assert np.abs(found.mean).min() > 1e-3


def test_a_mode_that_leaves_the_numbers_is_nan_in_all_of_its_law_and_others_stay():
    """Rounding can end at minus infinity, of which a distance would make what it likes."""
    keys = [("z", 0), ("z", 1)]
    one, none = np.ones(2), np.zeros(2)
    unit, nothing = ((one, none), (none, one)), ((none, none), (none, none))
    grows = np.full((3, 2), [1e60, 0.5])
    forms = ({keys[0]: grows}, {keys[1]: np.full((3, 1), 0.5)})
    for law, roots in ((unit, ()), (nothing, unit)):
        end, moved = pushed(forms, (), keys, (0.0, 0.0), law, 3, roots)[1:]
        whole = with_roots(end, moved) if roots else end
        for i in (0, 1):
            for j in (0, 1):
                assert np.isnan(whole[i][j][0])
                assert whole[i][j][1] == (i == j) / 64


def test_noise_in_which_two_kept_predictions_differ_a_little_is_not_lost():
    """z <- z + 1e8 (z - p) after a step that gave both the same normals, and z 1e-8 of others."""
    keys, nothing = [("z", 0), ("p", 0, 0)], ((0.0, 0.0), (0.0, 0.0))
    far, one = np.array([[0.0], [1e8]]), np.ones((2, 1))
    forms = (
        {keys[0]: one + far, keys[1]: -far, ("n", 0, 0): one, ("n", 1, 0): 1e-8 * one},
        {keys[1]: one, ("n", 0, 0): one},
    )
    law = pushed(forms, (((0.3,),), ((0.5,),)), keys, (0.0, 0.0), nothing, 2)[1]
    found: Any = np.array(law)[..., 0]
    assert found == pytest.approx(np.array([[1.1, 0.6], [0.6, 0.6]]), rel=1e-7)


def test_a_run_in_two_halves_is_the_run():
    for entry in (find("ROBA"), find("RVV"), find("EI", "vp")):
        process, times = PROCESSES[entry.model_name], TIMES[entry.model_name]
        first = run(entry, process, TARGET, times[:4], denoise=False)
        second = run(entry, process, TARGET, times[3:], (first.mean, first.covariance))
        whole = run(entry, process, TARGET, times)
        assert np.allclose(second.covariance, whole.covariance, rtol=1e-14)
        assert np.allclose(second.mean, whole.mean, rtol=1e-13)
        assert second.nfe + first.nfe == whole.nfe


def test_runs_start_from_the_prior_or_from_the_exact_law():
    for process in PROCESSES.values():
        for start, law in (
            ("pT", marginal(process, TARGET, process.T)),
            ("prior", ((0, 0), np.diag(process.stationary))),
        ):
            mean, covariance = starting_law(process, TARGET, start)
            for i in range(len(mean)):
                assert np.allclose(mean[i], law[0][i])
                assert all(np.allclose(covariance[i][j], law[1][i][j]) for j in range(len(mean)))
    late = starting_law(PROCESSES["vp"], TARGET, "pT", 0.4)
    assert np.array_equal(late[1][0][0], marginal(PROCESSES["vp"], TARGET, 0.6)[1][0][0])


@pytest.mark.parametrize("name", ["ROBA", "RVV", "SSCS", "EM", "Euler"])
def test_many_steps_end_at_the_data_law(name):
    process, entry = PROCESSES["psld"], find(name)
    errors = []
    for steps in (400, 800):
        law = run(entry, process, TARGET, grid("uniform", steps, 1.0, 0.0), "pT", denoise=False)
        exact = initial(process, TARGET)
        errors.append([law.mean[0] - exact[0][0], law.covariance[0][0] - exact[1][0][0]])
    assert np.abs(errors[1]).max() < 0.02
    assert np.allclose(np.array(errors[0]) / errors[1], 2, atol=0.15), "first order"


def test_nothing_is_denoised_where_the_grid_ends_at_the_data():
    times = [*TIMES["psld"], 1.0]
    entry, process = find("ROBA"), PROCESSES["psld"]
    with_step, without = (run(entry, process, TARGET, times, denoise=d) for d in (True, False))
    assert with_step.nfe == without.nfe == 7
    assert np.array_equal(with_step.covariance, without.covariance)


def test_a_centred_target_keeps_the_mean_at_zero_and_a_mean_does_not_touch_the_covariance():
    for entry in CATALOGUE:
        process, times = PROCESSES[entry.model_name], TIMES[entry.model_name]
        centred, moved = (run(entry, process, Gaussian(VARIANCES, mu), times) for mu in (0.0, MEAN))
        assert all(np.array_equal(m, np.zeros(3)) for m in centred.mean)
        assert np.allclose(centred.covariance, moved.covariance, rtol=1e-14)
        assert np.all(np.abs(moved.mean[0]) > 0)
