"""Budgets and grids of exact runs, and what is no run."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from analytic_models.diffusions import VP
from analytic_models.grids import grid
from analytic_models.moments import run
from analytic_models.targets import Gaussian
from splitting_analysis.catalogue import find
from splitting_analysis.schemes import scheme, steps_for
from tests.test_moments import PROCESSES, TARGET, precise


def test_budgets_buy_steps_and_too_small_ones_are_refused():
    assert steps_for(50, find("ROBA"), True) == 49 and steps_for(50, find("ROBA"), False) == 50
    assert steps_for(50, find("NOBAB"), True) == 16
    assert steps_for(50, scheme("B/2 A S@1 B/2", dynamics="ode"), True) == 48
    assert steps_for(7, find("RK45"), True) == 1
    with pytest.raises(
        ValueError, match="6 evaluations buy no step of RK45: one step takes 6, and 1 go"
    ):
        steps_for(6, find("RK45"), True)
    with pytest.raises(ValueError, match="0 evaluations buy no step of BAOAB"):
        steps_for(0, find("BAOAB", "langevin"), False)
    for nfe, entry in ((50, find("ROBAB")), (31, find("NVV")), (20, find("BAOAB", "langevin"))):
        last = entry.model_name != "langevin"
        steps = steps_for(nfe, entry, last)
        process = PROCESSES[entry.model_name]
        times = grid("uniform", steps, process.T, 1e-3 if last else 0.0)
        spent = run(entry, process, TARGET, times).nfe
        assert spent <= nfe < spent + entry.word.nfe


REFUSED = [
    (
        "DDPM",
        "vp",
        [0.0, 0.5, 0.9],
        {},
        r"beta h = 1.75 in the step at t = 0, .* below 0.286, not 0.5",
    ),
    ("ROBA", "psld", [0.0], {}, "at least two finite times"),
    ("ROBA", "psld", [0.0, 0.5, 0.5], {}, "does not increase at index 2: 0.5 then 0.5"),
    ("ROBA", "psld", [0.0, float("nan")], {}, "finite"),
    ("ROBA", "psld", [-0.1, 0.5], {}, "outside"),
    ("ROBA", "psld", [0.0, 1.1], {}, "outside"),
    ("ROBA", "psld", [0.0, 0.5], {"start": "posterior"}, "there are: prior, pT"),
    ("ROBA", "psld", [0.0, 0.5], {"lambda_s": -0.5}, "lambda_s = -0.5"),
    ("ROBA", "psld", [0.0, 0.5], {"lambda_s": float("inf")}, "finite and >= 0"),
    ("ROBA", "psld", [0.0, 0.5], {"lambda_s": lambda t: -1.0}, "finite and >= 0"),
    ("EM", "langevin", [0.0, 0.5], {"model": "vp"}, "EM is a vp scheme, not one for langevin"),
]


@pytest.mark.parametrize(("name", "model", "times", "options", "problem"), REFUSED)
def test_bad_runs_are_refused_with_the_reason(name, model, times, options, problem):
    entry = find(name, options.pop("model") if "model" in options else model)
    with pytest.raises(ValueError, match=problem):
        run(entry, PROCESSES[model], TARGET, times, **options)


def test_a_step_that_does_not_exist_is_refused_at_any_precision():
    process, mode = precise(PROCESSES["vp"]), Gaussian(mpmath.mpf(1), mpmath.mpf(0))
    with pytest.raises(ValueError, match=r"beta h = 1.75"):
        run(find("DDPM", "vp"), process, mode, [mpmath.mpf(0), mpmath.mpf(1) / 2])


def test_a_score_needed_at_a_degenerate_law_is_refused_and_one_not_needed_is_not():
    target, times = Gaussian([1.0, 0.0]), grid("uniform", 5, 1.0, 0.0)
    with pytest.raises(ValueError, match="mode 1 at forward time 0 does not exist"):
        run(find("Heun", "vp"), VP(), target, times)
    assert run(find("EM", "vp"), VP(0.1, 1.0), target, times).nfe == 5


def test_grids_run_from_zero_to_eps_before_the_end():
    assert grid("uniform", 4, 1.0, 0.0) == [0, 0.25, 0.5, 0.75, 1]
    steps, end = 10, 1 - 1e-3
    assert np.allclose(
        grid("quadratic", steps), [end * (1 - (1 - i / steps) ** 2) for i in range(steps + 1)]
    )
    for name in ("uniform", "quadratic"):
        times = grid(name, 37, 2.0, 0.1)
        assert (
            times[0] == 0 and times[-1] == 1.9 and np.all(np.diff(times) > 0) and len(times) == 38
        )
    thirds = grid("uniform", 3, mpmath.mpf(1), mpmath.mpf(0))
    assert abs(3 * thirds[1] - 1) < 4 * mpmath.mp.eps


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda: grid("cubic", 4), "there are: uniform, quadratic"),
        (lambda: grid("uniform", 0), "at least 1 step"),
        (lambda: grid("uniform", 4, 1.0, 1.0), "eps = 1.0"),
        (lambda: grid("uniform", 4, 1.0, -0.1), "eps = -0.1"),
        (lambda: grid("uniform", 4, 1.0, float("nan")), "eps = nan"),
    ],
)
def test_bad_grids_are_refused(call, problem):
    with pytest.raises(ValueError, match=problem):
        call()
