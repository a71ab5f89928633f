"""Words that hold a prediction: exact moments, the engine and the papers' samplers are one."""

from __future__ import annotations

import ast
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the engine needs torch")

from analytic_models import held, moments  # noqa: E402
from analytic_models.targets import Gaussian, marginal  # noqa: E402
from gpu_samplers import engine, plain, plain_position, plain_position_noise  # noqa: E402
from gpu_samplers import held as engines  # noqa: E402
from gpu_samplers.plan import plan  # noqa: E402
from splitting_analysis.catalogue import find  # noqa: E402
from splitting_analysis.clocks import CLOCKS, Table, scaled_linear  # noqa: E402
from splitting_analysis.position_catalogue import HELD_CATALOGUE  # noqa: E402
from splitting_analysis.processes import VE, VP, Flow, Process, ScheduledVP  # noqa: E402
from splitting_analysis.retuned import with_noise_level  # noqa: E402
from splitting_analysis.schemes import scheme  # noqa: E402
from splitting_analysis.weak import order_of  # noqa: E402
from tests.probing import gaussian_score, law  # noqa: E402

TARGET = Gaussian([3.0, 0.2], [0.5, -1.0])
PROCESSES: dict[str, Process] = {
    "vp": VP(),
    "ve": VE(),
    "flow": Flow(0.9),
    "cosine": ScheduledVP(),
    "scaled-linear": ScheduledVP(schedule=scaled_linear()),
}
EVERY_PROCESS = pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)
EVERY_ENTRY = pytest.mark.parametrize(
    "entry", HELD_CATALOGUE, ids=lambda s: f"{s.model_name}-{s.name}"
)
CASES = [
    ("S E:data/3 S@1/3 E:data*2/3[2] S@2/3 E:data[3]", "ode", "sigma", None),
    ("S E:eps S@1 E:eps[2]", "ode", "rho", None),
    ("E:data[2:bh1] S@1 E:data[3:bh2]", "ode", "tau", None),
    ("E:data[4] S@1 E:data[4]", "ode", None, None),
    ("S E:velocity[2]", "ode", "tau", None),
    ("S E:score[2]", "ode", None, None),
    ("E:v[2:bh1] S@1 E:v[3]", "ode", "sigma", None),
    ("S E:data[2]", "sde", "tau", Fraction(3, 2)),
    ("S E:ddim", "sde", None, Fraction(1, 2)),
    ("S E:eps[2]", "sde", None, Fraction(1, 3)),
    ("E:data[2:bh1] S@1 E:data[2]", "sde", None, None),
    ("S E:data/2 S@1/2 E:data/2", "sde", None, None),
    ("S E:data/3 S@1/3 E:data*2/3[2] S@2/3 E:data[3]", "sde", None, Fraction(1, 2)),
    ("S E:data/2 S@1/2 E:data/2 S@1 E:data[3]", "sde", "tau", None),
]


def times(process, n=9):
    """A grid with unequal steps, from T on."""
    return [float(process.T * (1 - (1 - i / (n + 1)) ** 2)) for i in range(n + 1)]


def same(found, wanted, rtol=2e-11):
    scale = max(1.0, float(np.max(np.abs(wanted))))
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-13 * scale)


@pytest.mark.share(15)  # the heavy tests: every case with every process
@EVERY_PROCESS
@pytest.mark.parametrize(("word", "dynamics", "clock", "eta"), CASES)
def test_the_engine_has_the_exact_law(process, word, dynamics, clock, eta):
    own = scheme(word, process.model_name, dynamics, clock=clock, eta=eta)
    grid = times(process)
    exact = moments.run(own, process, TARGET, grid, denoise=False)
    score = engine.Counted(gaussian_score(process, TARGET))
    ready = plan(own, process, grid, denoise=False)
    mean, covariance = law(
        lambda z, noise: engine.run(ready, score, z, noise)[0], 1, 2, process.stationary
    )
    same(mean, np.array(exact.mean))
    same(covariance, np.array(exact.covariance))
    assert score.calls == 2 * exact.nfe == 2 * ready.nfe


@pytest.mark.share(3)
@EVERY_ENTRY
def test_a_printed_sampler_has_the_exact_law_and_the_engine_its_path(entry):
    process = PROCESSES[entry.model_name]
    grid, score = times(process), gaussian_score(process, TARGET)
    exact = moments.run(entry, process, TARGET, grid, denoise=False)
    counted = engine.Counted(score)
    sampler = partial(plain.sample, entry.name, process, counted, last=False)
    printed = lambda z, noise: sampler(z, grid, noise)  # noqa: E731 - a name for one line
    mean, covariance = law(printed, 1, 2, process.stationary)
    same(mean, np.array(exact.mean))
    same(covariance, np.array(exact.covariance))
    assert counted.calls == 2 * exact.nfe
    draws = torch.randn(
        2 * len(grid), 1, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    z = process.stationary[0] ** 0.5 * draws[-1]
    ends = []
    ready = plan(entry, process, grid, denoise=False)
    for run in (printed, lambda z, noise: engine.run(ready, score, z, noise)[0]):
        left = iter(draws)
        ends.append(run(z, lambda parts, left=left: next(left)[:parts]).numpy())
    same(ends[1], ends[0])


@pytest.mark.parametrize("eta", [Fraction(0), Fraction(1, 2), Fraction(1)])
@EVERY_PROCESS
def test_ddim_and_its_denoising_step_are_the_printed_ones_at_every_eta(process, eta):
    ddim = next(s for s in HELD_CATALOGUE if (s.name, s.model_name) == ("DDIM", process.model_name))
    own, grid = with_noise_level(ddim, eta), times(process)
    exact = moments.run(own, process, TARGET, grid)
    score = gaussian_score(process, TARGET)
    mean, covariance = law(
        lambda z, noise: plain.sample("DDIM", process, score, z, grid, noise, eta=float(eta)),
        1,
        2,
        process.stationary,
    )
    same(mean, np.array(exact.mean))
    same(covariance, np.array(exact.covariance))
    ready = plan(own, process, grid)
    found = law(lambda z, noise: engine.run(ready, score, z, noise)[0], 1, 2, process.stationary)
    same(found[1], np.array(exact.covariance))
    # held or not, the equation is one: so is the step
    euler = scheme("S E", process.model_name, eta=eta)
    assert own.equation.drift == euler.equation.drift == euler.model.drift


@EVERY_PROCESS
def test_with_eta_1_or_0_ddims_own_noise_is_that_of_the_reverse_sde(process):
    grid = times(process)
    for dynamics in ("ode", "sde"):
        laws = [
            moments.run(
                scheme(word, process.model_name, dynamics), process, TARGET, grid, denoise=False
            )
            for word in ("S E:ddim", "S E:data")
        ]
        same(laws[0].covariance, np.array(laws[1].covariance), rtol=1e-12)
    half = [
        moments.run(
            scheme(w, process.model_name, "sde", eta=Fraction(1, 2)),
            process,
            TARGET,
            grid,
            denoise=False,
        )
        for w in ("S E:ddim", "S E:data")
    ]
    assert np.max(np.abs(np.array(half[0].covariance) / np.array(half[1].covariance) - 1)) > 1e-3


@pytest.mark.share(4)
@pytest.mark.parametrize(
    "word", ["S E:data[2:dpm]", "E:data[2:bh2] S@1 E:data[3:bh2]", "S E:eps[2]"]
)
@pytest.mark.parametrize("dynamics", ["ode", "sde"])
def test_high_precision_and_float64_agree(word, dynamics):
    if dynamics == "sde":
        word = word.replace("bh2", "bh1")
    own = scheme(word, "vp", dynamics, clock="tau" if "eps" in word else None)
    with mpmath.workdps(40):
        exact = VP(mpmath.mpf("0.1"), mpmath.mpf(8), mpmath.mpf(1))
        target = Gaussian(mpmath.mpf(3), mpmath.mpf("0.5"))
        grid = [mpmath.mpf(i) / 6 for i in range(6)]
        wanted = moments.run(own, exact, target, grid, "pT", denoise=False)
    found = moments.run(
        own, VP(0.1, 8.0), Gaussian([3.0], [0.5]), [i / 6 for i in range(6)], "pT", False
    )
    same(found.mean[0][0], float(wanted.mean[0]), 1e-12)
    same(found.covariance[0][0][0], float(wanted.covariance[0][0]), 1e-12)


WEAK = [
    pytest.param(s, eta, id=f"{s.model_name}-{s.name}-{eta}")
    for s in HELD_CATALOGUE
    if s.dynamics == "sde"
    for eta in (Fraction(1, 4), Fraction(1, 2), Fraction(1), Fraction(3, 2))
    if s.model_name != "flow" and (eta <= 1 or s.name != "Euler-a")
]


@pytest.mark.share(19)
@pytest.mark.parametrize(("entry", "eta"), WEAK)
def test_the_covariance_converges_with_the_claimed_weak_order_and_no_higher(entry, eta):
    """From any law: on its own path of marginals, the leading coefficient may be small."""
    own: Any = with_noise_level(entry, eta)
    process: Any = PROCESSES[entry.model_name]
    ends = (3.0, 0.6) if own.model_name == "ve" else (0.9, 0.2)
    high, low = (process.clock_at("lambda", tau) for tau in ends)
    found: list[float] = []
    for n in (80, 160, 320):
        taus = [process.tau_at("lambda", high + (low - high) * i / n) for i in range(n + 1)]
        run = moments.run(
            own,
            process,
            Gaussian(0.3, 0.7),
            [process.T - tau for tau in taus],
            ((2.0,), ((0.2,),)),
            False,
        )
        found.append(float(np.ravel(run.covariance[0][0])[0]))
    first, second = np.diff(found)
    assert abs(np.log2(first / second) - entry.order) < 0.2


@pytest.mark.parametrize("name", ["DPM++2M", "DPM++3M", "UniPC3"])
@pytest.mark.parametrize("steps", [9, 3])
def test_the_last_steps_hold_fewer_evaluations_where_that_is_told(name, steps):
    own, process = replace(find(name, "vp"), lower_final=True), PROCESSES["vp"]
    grid, score = times(process, steps), gaussian_score(process, TARGET)
    exact = moments.run(own, process, TARGET, grid, denoise=False)
    ready = plan(own, process, grid, denoise=False)
    for run in (
        lambda z, noise: engine.run(ready, score, z, noise)[0],
        lambda z, noise: plain.sample(
            name, process, score, z, grid, noise, last=False, lower_order_final=True
        ),
    ):
        mean, covariance = law(run, 1, 2, process.stationary)
        same(mean, np.array(exact.mean))
        same(covariance, np.array(exact.covariance))
    usual = moments.run(find(name, "vp"), process, TARGET, grid, denoise=False)
    assert np.max(np.abs(np.array(exact.covariance) / np.array(usual.covariance) - 1)) > 1e-6


def test_a_last_step_that_holds_its_own_evaluation_alone_is_ddims():
    usual, process, grid = scheme("S E:data[2]", "vp"), PROCESSES["vp"], times(PROCESSES["vp"])
    own = replace(usual, lower_final=True)
    assert [own.usable(left) for left in (1, 2, 3, 9)] == [0, 1, 1, 1]
    before = moments.run(usual, process, TARGET, grid[:-1], denoise=False)
    law_there, last = (before.mean, before.covariance), scheme("S E:data", "vp")
    ended = moments.run(last, process, TARGET, grid[-2:], law_there, False)
    found = moments.run(own, process, TARGET, grid, denoise=False)
    same(found.covariance[0][0], np.array(ended.covariance[0][0]), 1e-13)


@pytest.mark.parametrize(
    "word", ["S E:data", "S E:data/2 S@1/2 E:data[2:dpm]", "E:data S@1 E:data[2]"]
)
def test_a_lower_order_at_the_end_is_refused_where_no_step_holds_earlier_ones(word):
    with pytest.raises(ValueError, match="for words that hold evaluations of earlier steps"):
        replace(scheme(word, "vp"), lower_final=True)


@pytest.mark.parametrize("eta", [0, Fraction(1, 2), 1])
def test_sa_solver_holds_for_every_noise_level_and_ends_with_the_law_of_the_data(eta):
    """Its limit is the right one, at eta 0 that of the ODE, whose order is derived."""
    entry = next(s for s in HELD_CATALOGUE if s.name == "SA2")
    own, process, target = with_noise_level(entry, Fraction(eta)), VP(), Gaussian(0.3, 0.7)
    grid = times(process, 60)
    mean, covariance = marginal(process, target, process.T - grid[-1])
    found = moments.run(own, process, target, grid, "pT", False)
    assert abs(found.mean[0] - mean[0]) < 1e-3
    assert abs(found.covariance[0][0] / covariance[0][0] - 1) < 0.02
    assert own.dynamics == ("sde" if eta else "ode") and (eta or order_of(own) == 2)
    score = gaussian_score(process, TARGET)
    exact = moments.run(own, process, TARGET, times(process), denoise=False)
    got, spread = law(
        lambda z, noise: plain.sample(
            "SA2", process, score, z, times(process), noise, last=False, eta=float(eta)
        ),
        1,
        2,
        process.stationary,
    )
    same(got, np.array(exact.mean))
    same(spread, np.array(exact.covariance))


@pytest.mark.parametrize("dynamics", ["ode", "sde"])
@pytest.mark.parametrize(
    "word", ["S E:data[2:dpm]", "S E:data[3]", "E:data[2:bh2] S@1 E:data[3:bh2]"]
)
def test_steps_taken_many_at_once_are_those_taken_one_by_one(word, dynamics):
    own, grid = scheme(word, "vp", dynamics), times(VP(), 30)
    together = moments.run(own, VP(), TARGET, grid, denoise=False)
    for k, variance in enumerate(TARGET.variances):
        alone = moments.run(
            own, VP(), Gaussian(float(variance), float(TARGET.mean[k])), grid, denoise=False
        )
        same(together.covariance[0][0][k], alone.covariance[0][0], 1e-12)
        same(together.mean[0][k], alone.mean[0], 1e-12)


@EVERY_PROCESS
@pytest.mark.parametrize("word", ["S E:data", "S E:data[2]", "S E:data/2 S@1/2 E:data/2"])
def test_a_known_data_point_is_sampled_exactly_with_any_noise(process, word):
    """On a data law of one point the data prediction is that point: nothing is left to err."""
    point = Gaussian([0.0, 0.0], [0.7, -2.0])
    grid = times(process)
    for dynamics in ("ode", "sde"):
        own = scheme(word, process.model_name, dynamics)
        found = moments.run(own, process, point, grid, "pT", denoise=False)
        mean, covariance = marginal(process, point, process.T - grid[-1])
        same(found.mean[0], np.asarray(mean[0]), 1e-10)
        same(found.covariance[0][0], np.broadcast_to(covariance[0][0], 2), 1e-10)


@pytest.mark.parametrize("module", [plain_position, plain_position_noise])
def test_what_is_printed_knows_no_word_and_no_letter(module):
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {m for m in modules if m and m.startswith(("gpu_samplers", "splitting_analysis"))}
    assert ours <= {"splitting_analysis.clocks", "gpu_samplers.plain_position"}


def test_every_entry_has_its_printed_sampler_and_every_printed_sampler_its_entry():
    found = {plain.sampler_of(entry.model_name, entry.name) for entry in HELD_CATALOGUE}
    printed = plain_position.SAMPLERS | plain_position_noise.SAMPLERS
    assert found == {*printed.values()}


@pytest.mark.parametrize("prediction", ["data", "eps", "score", "velocity", "v"])
def test_a_step_however_long_in_lambda_holds_what_the_engines_quadrature_says(prediction):
    (op,) = scheme(f"S E:{prediction}[2]", "vp", "ode").program.holds
    table = ScheduledVP(schedule=Table((0.7, 0.2)))
    for process in (VP(), ScheduledVP(), table, Flow(0.9)):
        nodes = [0.9 * process.T, 0.95 * process.T]
        for clock in CLOCKS:
            for end in (1e-6, 0.01):
                expected = engines.hold(op, process, clock, 0, nodes[0], end, nodes).gains
                begin, after = np.array([[nodes[0]]]), np.array([[end]])
                found = held.hold(op, process, clock, 0, begin, after, nodes).gains
                assert np.ravel(found) == pytest.approx(expected, rel=2e-10)


def test_a_history_much_shorter_than_the_step_takes_no_digits_from_the_law():
    """The evaluations kept all but agree there, and what multiplies them is large."""
    entry, process, target = find("DEIS3", "flow"), Flow(0.999), Gaussian([0.01, 0.3])
    grid = [0.0, 0.001, 0.002, 0.02, 0.3, 0.9]
    score, ready = gaussian_score(process, target), plan(entry, process, grid, denoise=False)
    exact = moments.run(entry, process, target, grid, denoise=False)
    _, covariance = law(
        lambda z, noise: engine.run(ready, score, z, noise)[0], 1, 2, process.stationary
    )
    same(covariance, np.array(exact.covariance), 1e-7)
