"""Grids by name and grids given: their formulas, both worlds alike, bad ones refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import splitting_analysis as sa
from analytic_models.grids import read_grid, times_on
from analytic_models.problem import problem_for
from splitting_analysis.grids import GRIDS, check_end
from splitting_analysis.processes import PSLD, VE, VP, Flow, Langevin

EPS = 1e-3
PROCESSES = [VP(), VP(0.5, 7.0, T=1.5), VE(80.0), Flow()]


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_karras_is_the_grid_of_edm_in_sigma_over_alpha(process):
    tau = process.T - np.array(times_on("karras", 9, process, 0.002))
    rho = np.array([process.sigma(t) / process.alpha(t) for t in tau])
    most, least = rho[0] ** (1 / 7), rho[-1] ** (1 / 7)
    wanted = [(most + i / 9 * (least - most)) ** 7 for i in range(10)]
    assert np.allclose(rho, wanted, rtol=1e-9) and tau[0] == pytest.approx(process.T)


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_lambda_rises_evenly_on_its_grid(process):
    tau = process.T - np.array(times_on("lambda", 7, process, EPS))
    readings = [process.log_snr(float(t)) for t in tau]
    assert np.allclose(np.diff(readings), np.diff(readings)[0], rtol=1e-7)


@pytest.mark.parametrize("n", [5, 10, 17, 50])
def test_timesteps_are_spaced_as_diffusers_documents(n):
    """The formulas of its `set_timesteps`, steps_offset 1 for leading."""
    formulas = {
        "leading": (np.arange(n) * (1000 // n)).round()[::-1] + 1,
        "trailing": np.round(np.arange(1000, 0, -1000 / n))[:n] - 1,
        "linspace": np.linspace(0, 999, n + 1).round()[::-1][:-1],
    }
    for name, wanted in formulas.items():
        times = np.array(times_on(name, n, PSLD(), EPS))
        assert np.allclose((1 - times[:-1]) * 1000 - 1, wanted, atol=1e-9), name
        assert times[-1] == 1 - EPS


def test_both_worlds_have_the_same_grids():
    pytest.importorskip("torch")
    from gpu_samplers.processes import times_on as of_the_machine

    for name in GRIDS:
        ours, theirs = times_on(name, 12, VP(), EPS), of_the_machine(name, 12, VP(), EPS)
        assert np.allclose(ours, theirs, rtol=1e-14, atol=1e-14), name


def test_a_grid_given_time_by_time_is_that_grid_wherever_it_comes_from(tmp_path):
    times = (0.0, 0.2, 0.55, 0.8, 0.999)
    np.save(tmp_path / "times.npy", times)
    (tmp_path / "times.txt").write_text("0 0.2\n0.55, 0.8 0.999\n", encoding="utf-8")
    for text in ("0,0.2,0.55,0.8,0.999", str(tmp_path / "times.npy"), str(tmp_path / "times.txt")):
        assert read_grid(text) == times
    row = sa.gaussian("ROBA", steps=4, grid=times).rows[0]
    other = sa.gaussian("ROBA", steps=4, grid=str(tmp_path / "times.npy")).rows[0]
    assert row == other and row["grid"] == list(times) and row["eps"] == pytest.approx(1e-3)
    evenly = [0.999 * i / 4 for i in range(5)]
    same = sa.gaussian("ROBA", steps=4, grid=evenly).rows[0]
    named = sa.gaussian("ROBA", steps=4, grid="uniform").rows[0]
    assert same["w2_x"] == pytest.approx(named["w2_x"], rel=1e-9)


@pytest.mark.parametrize(
    ("grid", "steps", "model", "problem"),
    [
        ("cubic", 4, "psld", "no grid 'cubic'; there are: uniform, quadratic, karras"),
        ("karras", 4, "psld", "for vp, ve and flow, not for psld"),
        ("trailing", 4, "ve", "not of ve"),
        ("leading", 3, "langevin", "uniform steps"),
        ("0,0.5,0.4", 2, "psld", "0.5 is followed by 0.4 at index 2"),
        ("0,0.5,x", 2, "psld", "times are numbers"),
        ("0,0.5,0.9", 3, "psld", "has 2 steps, and 3 are asked for"),
        ("0,0.5,2", 2, "psld", "beyond T"),
        ("-1,0.5", 1, "psld", "start at 0 or later"),
        ("linspace", 999, "psld", "at most 998 steps"),
        ("nowhere.npy", 3, "psld", "no grid 'nowhere.npy'"),
    ],
)
def test_grids_that_cannot_be_are_refused_with_what_would_be_right(grid, steps, model, problem):
    with pytest.raises(ValueError, match=problem):
        problem_for(model, [1.0], {}, grid=grid).times(steps)


def test_a_langevin_run_takes_steps_of_any_lengths():
    times = (0.0, 0.1, 0.4, 1.0)
    rows = sa.gaussian("BAOAB", steps=3, grid=times, T=1.0).rows
    assert rows[0]["grid"] == list(times) and Langevin().T > 1


@pytest.mark.parametrize("given", ["0,0.3,0.9", (0.0, 0.3, 0.9)])
def test_an_eps_that_a_given_grid_does_not_end_at_is_refused_and_one_that_it_does_is_not(given):
    for eps in (None, 0.1):
        told: dict[str, Any] = {} if eps is None else {"eps": eps}
        assert problem_for("vp", [1.0], {}, grid=given, **told).eps == pytest.approx(0.1)
    says = "eps = 0.01 with a grid that is given: its last time is 0.9, which says that eps is 0.1"
    with pytest.raises(ValueError, match=says):
        problem_for("vp", [1.0], {}, grid=given, eps=0.01)


@pytest.mark.parametrize(("what", "value"), [("eps", "x"), ("start", 3), ("eps", None)])
def test_what_is_no_end_or_start_of_a_run_is_a_value_error(what, value):
    how: Any = {what: value}
    with pytest.raises(ValueError, match=f"{what} {value}: "):
        problem_for("vp", [1.0], {}, **how)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (7, "grid = 7: a name, or reverse times"),
        (None, "grid = None: a name, or reverse times"),
        ((0.5,), "2 to 1000000 reverse times, not 1"),
        ((0.0, 0.9, 0.5), r"0\.9 is followed by 0\.5 at index 2"),
        ((0.0, float("nan")), "0 is followed by nan"),
        (("a", 0.5), "a name, or reverse times"),
    ],
)
def test_what_is_no_grid_is_a_value_error_in_python_too(given, says):
    with pytest.raises(ValueError, match=says):
        sa.gaussian("ROBA", steps=2, spectrum=1, grid=given)
    with pytest.raises(ValueError, match=says):
        sa.sample("ROBA", n=1, nfe=3, grid=given)


def test_an_eps_beside_a_given_grid_is_the_grids_or_refused_where_samples_are_drawn_too():
    def drawn(**told: Any) -> Any:
        return sa.sample("ROBA", n=1, nfe=3, score=lambda z, _: -z, shape=(1,), **told)

    grid = (0.0, 0.3, 0.9)
    assert drawn(grid=grid) == drawn(grid=grid, eps=0.1) != drawn()
    with pytest.raises(ValueError, match=r"eps = 0\.01 with a grid that is given"):
        drawn(grid=grid, eps=0.01)
    with pytest.raises(ValueError, match=r"eps = 0\.01 with a grid that is given"):
        sa.sample("ROBA", n=1, nfe=3, grid=grid, eps=0.01)


def test_an_eps_beside_a_grid_that_is_given_is_what_the_grid_leaves():
    check_end([0.0, 0.9], 1.0, 0.1)
    with pytest.raises(ValueError, match=r"which says that eps is 0\.105; leave eps out"):
        check_end([0.0, 0.895], 1.0, 0.1)
