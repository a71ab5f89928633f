"""Where sigma is 0 or rounds to 1, and where alpha is 0: readings, factors and stability have their
limits there.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

pytest.importorskip("torch")

import splitting_analysis as sa
from analytic_models.conjugate import transposed_factor
from analytic_models.moments import run
from analytic_models.problem import problem_for
from analytic_models.targets import Gaussian
from gpu_samplers.conjugate import factors
from splitting_analysis.clocks import CLOCKS, Cosine
from splitting_analysis.lookup import as_scheme
from splitting_analysis.processes import PSLD, VP, ScheduledVP


@pytest.mark.parametrize(
    "process", [VP(), VP(T=3.0), VP(T=10.0), ScheduledVP(schedule=Cosine())], ids=str
)
def test_the_clock_sigma_has_all_digits_where_sigma_is_small_and_where_it_rounds_to_one(process):
    taus = np.geomspace(1e-6, float(process.T), 40)
    readings = process.clock_at("sigma", taus)
    with mpmath.workdps(300):
        expected = [mpmath.log1p(-mpmath.exp(-mpmath.mpf(process.integral(u)))) / 2 for u in taus]
        # a digit of b is worth b of them at the end of time
        assert readings == pytest.approx([float(value) for value in expected], rel=1e-12)
    assert process.tau_at("sigma", readings) == pytest.approx(taus, rel=1e-9)


def test_the_engine_steps_in_the_clock_sigma_as_the_exact_moments_do_where_sigma_rounds_to_one():
    """Of a linear ODE samples from the same start differ as the roots of their variances do."""
    samples, variances = [], []
    for clock in ("sigma", "rho"):
        word = sa.scheme("RK4", "vp", clock=clock)
        samples.append(
            sa.sample(
                word,
                n=1,
                nfe=80,
                score=lambda z, tau: -z / (1 - 0.75 * VP(T=5.0).alpha(tau) ** 2),
                shape=(1,),
                denoise=False,
                T=5.0,
            ).item()
        )
        problem = problem_for("vp", [0.25], {"T": 5.0}, denoise=False)
        variances.append(float(problem.law(word, 20).covariance[0][0][0]))
    assert samples[0] / samples[1] == pytest.approx(np.sqrt(variances[0] / variances[1]), rel=1e-10)
    assert abs(samples[0] / samples[1] - 1) > 1e-6


@pytest.mark.parametrize("name", ["lower", "upper"])
@pytest.mark.parametrize(
    "process", [PSLD(), PSLD(Gamma=0.0, nu=4.0), PSLD(kappa=0.0), PSLD(beta_min=0.1)], ids=str
)
def test_the_factor_of_eps_has_its_limit_at_time_zero_in_both_worlds(process, name):
    near, start = 1e-12, 0.0
    both = transposed_factor(process, name, np.array([[near], [start]]))
    ours = [np.array([[np.ravel(e + 0 * both[1][1])[i] for e in r] for r in both]) for i in (0, 1)]
    machine = [found.T for found in factors(process, name, np.array([near, start]))]
    alone = np.array(transposed_factor(process, name, start), dtype=float)
    assert alone == pytest.approx(ours[1], abs=0)
    for found in (ours, machine):
        assert found[1] == pytest.approx(found[0], abs=1e-5)
    assert machine[1] == pytest.approx(ours[1], abs=1e-15)
    assert bool(np.any(ours[1])) == bool(process.kappa)


def test_a_score_evaluated_at_time_zero_gives_a_conjugate_run_its_limit():
    end = [sa.gaussian("CVV", steps=6, eps=eps, spectrum=1, denoise=False) for eps in (0.0, 1e-12)]
    assert end[0].rows[0]["w2"] == pytest.approx(end[1].rows[0]["w2"], rel=1e-6)


def test_a_run_that_blew_up_where_one_of_its_steps_maps_to_zero_says_so_without_a_warning():
    (row,) = sa.gaussian(sa.scheme("SSCS2", "flow", eta=2), steps=4, grid="quadratic").rows
    assert row["unstable"]["components"] == ("x",)


def test_a_vp_that_fades_beyond_what_exp_can_say_is_refused_and_one_before_runs_in_all_clocks():
    for clock in CLOCKS:
        (row,) = sa.gaussian("UniPC2", model="vp", steps=4, spectrum=1, clock=clock, T=59.0).rows
        assert row["w2_x"] < 50
    with pytest.raises(ValueError, match=r"the integral of beta is 704.*at most 600"):
        sa.gaussian("UniPC2", model="vp", steps=4, spectrum=1, T=70.0)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("name", "process"),
    [
        ("DEIS2", lambda number: VP(number(0), number(100), number(1))),
        ("DPM++2M", lambda number: VP(number(0), number(1000), number(1))),
        ("P2M", lambda number: PSLD(beta_min=number(24), beta_max=number(24))),
        ("PDDIM", lambda number: PSLD(kappa=number(10**6))),
    ],
)
def test_where_a_prediction_is_held_float64_has_the_digits_that_are_shown(name, process):
    """At the ends of what is taken: little is kept of the data, or momenta start wide."""
    found = []
    for number in (float, mpmath.mpf):
        with mpmath.workdps(60):
            own = process(number)
            variance = mpmath.mpf("0.01") if number is mpmath.mpf else np.array([0.01])
            times = [number(i) / 5 for i in range(5)] + [1 - number(1) / 1000]
            scheme = as_scheme(name, own.model_name, None)
            law = run(scheme, own, Gaussian(variance, 0), times, denoise=False).covariance
            found.append(float(np.ravel(law[0][0])[0]))
    assert found[0] == pytest.approx(found[1], rel=1e-4)  # what tables show


@pytest.mark.parametrize(
    ("name", "process", "says"),
    [
        ("DEIS2", VP(0.0, 300.0), "keeps 2.7e-33 of the data at forward time 1, .*smaller beta"),
        ("S E:score[2]", VP(0.0, 300.0), "keeps 2.7e-33 of the data"),
        ("P2M", PSLD(T=20.0), "keeps 2.4e-68 of the data at forward time 20"),
        ("PDDIM", PSLD(kappa=1e12), r"kappa = 1e\+12: .*it takes at most 1e\+06"),
    ],
)
def test_a_prediction_that_has_no_digits_left_is_refused_and_no_number_is_told(name, process, says):
    times = [process.T * (1 - 1e-3) * i / 5 for i in range(6)]
    with pytest.raises(ValueError, match=says):
        run(as_scheme(name, process.model_name, None), process, Gaussian([0.01], 0.0), times)
