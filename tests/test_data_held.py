"""Data held on PSLD and CLD: exact moments, engine and print are one, and converge as derived."""

from __future__ import annotations

import ast
import json
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

torch = pytest.importorskip("torch", reason="the engine needs torch")

from analytic_models import bridges, given_data, mixtures, moments  # noqa: E402
from analytic_models.targets import Gaussian, marginal  # noqa: E402
from analytic_models.targets import score as exact_score  # noqa: E402
from gpu_samplers import embedded, engine, plain, plain_psld_data, sampling  # noqa: E402
from gpu_samplers.job import Job  # noqa: E402
from gpu_samplers.plan import plan  # noqa: E402
from gpu_samplers.shards import read_shard  # noqa: E402
from reports import cli  # noqa: E402
from splitting_analysis.data_catalogue import DATA_CATALOGUE  # noqa: E402
from splitting_analysis.held_error import held_error  # noqa: E402
from splitting_analysis.lookup import as_scheme  # noqa: E402
from splitting_analysis.processes import PSLD, VE, VP  # noqa: E402
from splitting_analysis.retuned import with_conjugation, with_noise_level  # noqa: E402
from splitting_analysis.schemes import FACTORS, scheme  # noqa: E402
from tests.probing import gaussian_score, law  # noqa: E402
from tests.test_sample_command import net  # noqa: E402, F401 - a fixture

TARGET = Gaussian([3.0, 0.2], [0.5, -1.0])
LINE = Gaussian([0.4])
PROCESSES = {"psld": PSLD(), "cld": PSLD(0.0, 4.0), "beta varies": PSLD(0.3, 2.1, 2.0, 11.0, 0.04)}
HALF = Fraction(1, 2)
GRID = [1 - (1 - i / 5) ** 2 for i in range(5)]
NAMES = [entry.name for entry in DATA_CATALOGUE]


def sampler(name, eta=0, factor="lower", clock=None):
    """A named sampler, or a word, with its noise level and factor."""
    if name not in NAMES:
        own = scheme(name, "psld", "sde" if eta else "ode", clock=clock, eta=Fraction(eta))
        return with_conjugation(own, None, factor)
    return with_conjugation(with_noise_level(as_scheme(name), Fraction(eta)), None, factor)


def same(found, wanted, tolerance=1e-11):
    scale = max(1.0, float(np.max(np.abs(wanted))))
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * scale)


def covariance_at(process: PSLD, tau: float) -> Any:
    return np.array(given_data.covariance_block(process, tau))


def block(covariance):
    return np.array([[np.broadcast_to(entry, 2) for entry in row] for row in covariance])


@pytest.mark.share(2)
@pytest.mark.parametrize(
    ("process", "word", "clock", "eta", "factor"),
    [
        ("psld", "S E:data[2:dpm]", None, 0, "lower"),
        ("cld", "S E:data[3]", None, 0, "upper"),
        ("beta varies", "S E:data[2]", "tau", 0, "symmetric"),
        ("cld", "E:data[2:bh1] S@1 E:data[2]", "rho", 0, "flow"),
        ("psld", "S E:data[3]", None, 1, "lower"),
        ("beta varies", "S E:data[2]", None, HALF, "upper"),
        ("beta varies", "S E:data[2]", None, 0, "aligned"),
        ("psld", "S E:data", None, HALF, "aligned"),
        ("beta varies", "S E:data/2 S@1/2 E:data/2", "sigma", 1, "lower"),
        ("psld", "E:data[2] S@1 E:data[2]", None, 1, "lower"),
    ],
)
def test_the_engine_has_the_exact_law(process, word, clock, eta, factor):
    """Two routes to every coefficient: closed forms and an adaptive method; collocation."""
    own, process = sampler(word, eta, factor, clock), PROCESSES[process]
    exact = moments.run(own, process, TARGET, GRID, denoise="data")
    score = engine.Counted(gaussian_score(process, TARGET))
    ready = plan(own, process, GRID, denoise="data")
    mean, covariance = law(
        lambda z, noise: engine.run(ready, score, z, noise)[0], 2, 2, process.stationary
    )
    same(mean, np.array(exact.mean))
    same(covariance, np.array(exact.covariance))
    assert score.calls == 2 * exact.nfe == 2 * ready.nfe


@pytest.mark.share(2)
@pytest.mark.parametrize(
    ("name", "eta", "factor"),
    [
        *(("P2M", 0, factor) for factor in FACTORS),
        ("PDDIM", 1, "lower"),
        ("P2M", 1, "lower"),
        ("P3M", 0, "lower"),
        ("P3M", 1, "lower"),
    ],
)
def test_a_printed_sampler_has_the_exact_law_and_the_engine_its_path(name, eta, factor):
    own, process = sampler(name, eta, factor), PROCESSES["psld"]
    exact = moments.run(own, process, TARGET, GRID, denoise="data")
    score = gaussian_score(process, TARGET)
    options = {"last": "data", "eta": float(eta), "factor": factor}
    printed = partial(plain.sample, name, process, score)
    run = lambda z, noise: printed(z, GRID, noise, **options)  # noqa: E731 - a name for one line
    mean, covariance = law(run, 2, 2, process.stationary)
    same(mean, np.array(exact.mean), 1e-10)
    same(covariance, np.array(exact.covariance), 1e-10)
    draws = torch.randn(
        len(GRID), 2, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    ready = plan(own, process, GRID, denoise="data")
    ends = []
    for way in (run, lambda z, noise: engine.run(ready, score, z, noise)[0]):
        left = iter(draws)
        ends.append(way(draws[-1], lambda _, left=left: next(left)).numpy())
    same(ends[1], ends[0], 1e-10)


def test_a_printed_sampler_of_data_is_denoised_along_the_drift_that_its_eta_has():
    process, score = PROCESSES["psld"], gaussian_score(PROCESSES["psld"], TARGET)
    for eta in (0, 1):
        exact = moments.run(sampler("PDDIM", eta), process, TARGET, GRID)
        run = partial(plain.sample, "PDDIM", process, score, times=GRID, eta=eta)
        covariance = law(lambda z, noise, run=run: run(z=z, noise=noise), 2, 2, process.stationary)[
            1
        ]
        same(covariance, np.array(exact.covariance), 1e-10)


def test_with_the_flows_factor_one_evaluation_is_the_printed_step_of_gddim():
    """z' = Phi z + (R' - Phi R) eps with eps = -R^T s: held is eps, and R is the flow's."""
    process, begin, end = PROCESSES["psld"], 0.8, 0.5
    (op,) = sampler("PDDIM", 0, "flow").program.holds
    step = bridges.hold(op, process, "lambda", 0, "flow", begin, end, [begin])
    own, gain = (np.array(part, dtype=float) for part in given_data.predicted(process, begin))
    s = np.array([[float(e[0]) for e in row] for row in exact_score(process, LINE, begin)[0]])
    found: Any = np.array(step.keep) + np.outer(step.gains[0], own + gain @ s)
    r = np.linalg.cholesky(given_data.covariance_block(process, begin))
    after = plain_psld_data.carried(process, "flow", begin, end) @ r
    phi = np.linalg.inv(plain_psld_data.transition(process, begin, end))
    same(found, phi - (after - phi @ r) @ r.T @ s)


def test_with_the_aligned_factor_psld_is_a_process_of_position_alone():
    """What z tells of x_0 is S = mu^T Sigma^-1 z, and S / q is x_0 and noise of variance 1/q."""
    process = PROCESSES["psld"]
    end = moments.run(sampler("PDDIM", 0, "aligned"), process, LINE, GRID, "pT", False)
    noises: list[float] = []
    seen: Any = None
    for t in GRID:
        sigma, mu = (
            np.array(f(process, 1 - t)) for f in (given_data.covariance_block, given_data.mean)
        )
        seen = np.linalg.solve(sigma, mu)
        noises.append(float((mu @ seen) ** -0.5))
    ve = VE(noises[0])
    grid = [0.0, *(noises[0] - noise for noise in noises[1:])]
    wanted = moments.run(as_scheme("DDIM", "ve"), ve, LINE, grid, "pT", False)
    covariance = np.array([[float(np.ravel(e)[0]) for e in row] for row in end.covariance])
    found = seen @ covariance @ seen * noises[-1] ** 4
    same(found, wanted.covariance[0][0])
    other = moments.run(sampler("PDDIM"), process, LINE, GRID, "pT", False)
    covariance = np.array([[float(np.ravel(e)[0]) for e in row] for row in other.covariance])
    assert abs(seen @ covariance @ seen * noises[-1] ** 4 / found - 1) > 1e-4


@pytest.mark.parametrize(
    ("process", "eta"),
    [*((name, eta) for name in PROCESSES for eta in (0, 1)), ("cld", HALF)],
)
def test_a_known_data_point_is_sampled_exactly_with_any_noise_and_factor(process, eta):
    """On data of one point the prediction is that point: one step of any length is exact."""
    process = PROCESSES[process]
    point, grid = Gaussian([0.0, 0.0], [0.7, -2.0]), [0.0, 0.6, 0.95]
    for factor in FACTORS if eta == 0 else ("symmetric",):
        for word in ("S E:data", "S E:data[2]") if eta != HALF else ("S E:data",):
            found = moments.run(sampler(word, eta, factor), process, point, grid, "pT", False)
            mean, covariance = marginal(process, point, process.T - grid[-1])
            same(np.array(found.mean), np.array(mean))
            same(block(found.covariance), block(covariance))


def test_where_the_score_is_held_instead_a_step_errs_on_a_known_data_point():
    point, grid = Gaussian([0.0, 0.0], [0.7, -2.0]), [0.0, 0.6, 0.95]
    own = scheme("S E:exp", "psld", "ode")
    found = moments.run(own, PSLD(), point, grid, "pT", denoise=False)
    wanted = block(marginal(PSLD(), point, 1 - grid[-1])[1])
    assert np.max(np.abs(block(found.covariance) - wanted)) > 0.1


def test_a_known_data_point_is_what_a_run_ends_with():
    point = Gaussian([0.0, 0.0], [0.7, -2.0])
    for name, process in (("P2M", PSLD()), ("ROBA", PSLD()), ("DPM++2M", VP())):
        own = as_scheme(name, process.model_name)
        found = moments.run(own, process, point, GRID, denoise="data")
        same(found.mean[0], point.mean)
        same(found.covariance[0][0], np.zeros(2))


def test_with_the_flows_factor_a_step_is_the_reverse_sde_of_its_noise_level():
    """dz = (F z - (1 + eta^2)/2 G G^T s) dtau and the noise eta G dW, s that of a known point."""
    process, eta = PROCESSES["beta varies"], 0.5
    point = Gaussian([0.0], [1.0])
    (op,) = sampler("S E:data", HALF, "flow").program.holds
    step = bridges.hold(op, process, "lambda", eta, "flow", 0.5, 0.3, [0.5])
    f = np.array([[-process.Gamma, 1 / process.M], [-1.0, -process.nu]]) / 2
    spread = np.diag([process.Gamma, process.M * process.nu])

    def slope(tau, flat):
        z, q = flat[:6].reshape(2, 3), flat[6:].reshape(2, 2)
        matrix, shift = exact_score(process, point, tau)
        pull = np.array([[entry[0] for entry in row] for row in matrix])
        w = process.beta(tau) * (f - (1 + eta**2) / 2 * spread @ pull)
        source = -process.beta(tau) * (1 + eta**2) / 2 * spread @ np.array(shift).ravel()
        moved = w @ z
        moved[:, 2] += source
        return np.concatenate(
            [moved.ravel(), (w @ q + q @ w.T - eta**2 * process.beta(tau) * spread).ravel()]
        )

    start = np.concatenate([np.hstack([np.eye(2), np.zeros((2, 1))]).ravel(), np.zeros(4)])
    end = solve_ivp(slope, (0.5, 0.3), start, method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1]
    same(np.array(step.keep), end[:6].reshape(2, 3)[:, :2])
    same(np.array(step.gains[0]), end[:6].reshape(2, 3)[:, 2])
    same(np.array(step.noise), end[6:].reshape(2, 2))


@pytest.mark.parametrize("factor", FACTORS)
def test_what_a_factor_carries_along_is_a_square_root_and_all_that_differs_is_a_turn(factor):
    process = PROCESSES["psld"]
    (op,) = sampler("S E:data").program.holds
    m: Any = np.array(bridges.hold(op, process, "lambda", 0, factor, 0.7, 0.2, [0.7]).keep)
    lower: Any = np.array(bridges.hold(op, process, "lambda", 0, "lower", 0.7, 0.2, [0.7]).keep)
    before, after = (covariance_at(process, tau) for tau in (0.7, 0.2))
    same(m @ before @ m.T, after)
    root = np.linalg.cholesky(after)
    turn = np.linalg.solve(root, m @ np.linalg.inv(lower) @ root)
    same(turn @ turn.T, np.eye(2))
    assert (abs(turn[0, 1]) > 1e-3) == (factor != "lower")


def uniform(n, end=0.9):
    return [end * i / n for i in range(n + 1)]


def graded(n, end=0.9):
    """Steps that double from h / n^2 up to h: what a start of lower order errs by is h^4."""
    h, sizes = end / n, [end / n**3]
    while 2 * sizes[-1] < h:
        sizes.append(2 * sizes[-1])
    first = sum(sizes)
    rest = round((end - first) / h)
    start = np.concatenate([[0], np.cumsum(sizes)])
    return [*start, *(first + (end - first) * np.arange(1, rest + 1) / rest)]


def observed(errors):
    return np.log2(errors[-2] / errors[-1])


@pytest.mark.parametrize(
    ("name", "grid", "order"),
    [
        ("PDDIM", graded, 1),
        ("P2M", graded, 2),
        ("P3M", graded, 3),
        ("PDDIM", uniform, 1),
        ("P2M", uniform, 2),
        ("P3M", uniform, 2),
    ],
)
def test_orders_on_a_gaussian_are_those_in_history_and_that_of_the_start(name, grid, order):
    """P3M starts with orders 1 and 2, whose first step errs by h^2; graded steps take that away."""
    process, own, errors = PROCESSES["beta varies"], sampler(name), []
    for n in (40, 80):
        found = moments.run(own, process, TARGET, grid(n), "pT", denoise=False)
        wanted = block(marginal(process, TARGET, process.T - 0.9)[1])
        errors.append(np.max(np.abs(block(found.covariance) - wanted)))
    assert abs(observed(errors) - order) < 0.25
    assert own.order == held_error(own).order == int(name[1]) if name != "PDDIM" else own.order == 1


MIXTURE = mixtures.Mixture([1.0, 2.0], [[-1.0], [0.8]], [0.2, 0.1])


def ends_of(own, process, factor, grid, start):
    """The states after a run on the mixture, through the exact world's steps alone."""
    (op,) = own.program.holds
    z, taus, seen = start, list[float](), list[Any]()
    for tau, after in zip(1 - np.array(grid), 1 - np.array(grid[1:]), strict=False):
        (px, _), gain = given_data.predicted(process, tau)
        s = mixtures.score(process, MIXTURE, z, tau)
        data = px * z[0] + gain[0] * s[0] + gain[1] * s[1]
        taus, seen = [*taus, tau][-op.through :], [*seen, data]
        step = bridges.hold(op, process, "lambda", 0, factor, tau, after, taus)
        new = np.einsum("ij,jbd->ibd", np.array(step.keep), z)
        for pull, known in zip(step.gains, seen[-len(taus) :], strict=True):
            new = new + np.array(pull)[:, None, None] * known
        z = new
    return z


@pytest.mark.parametrize(("name", "order"), [("PDDIM", 1), ("P2M", 2), ("P3M", 3)])
def test_orders_hold_on_data_that_are_not_gaussian(name, order):
    """Against the flow dz = (W (z - mu x_0(z)) + mu' x_0(z)) dtau of the symmetric factor."""
    process, factor = PROCESSES["beta varies"], "symmetric"
    start = np.array([[[0.4], [-1.2], [1.5]], [[0.2], [-0.3], [0.1]]])

    def slope(tau, flat):
        z = flat.reshape(start.shape)
        (px, _), gain = given_data.predicted(process, tau)
        s = mixtures.score(process, MIXTURE, z, tau)
        data = px * z[0] + gain[0] * s[0] + gain[1] * s[1]
        away = z - np.array(given_data.mean(process, tau))[:, None, None] * data
        moved = np.einsum("ij,jbd->ibd", np.array(bridges.drift(process, factor, 0, tau)), away)
        return (moved + np.array(given_data.mean_rate(process, tau))[:, None, None] * data).ravel()

    exact = solve_ivp(slope, (1.0, 0.4), start.ravel(), method="DOP853", rtol=1e-9, atol=1e-10)
    errors = []
    for n in (16, 32):
        found = ends_of(sampler(name), process, factor, graded(n, 0.6), start)
        errors.append(np.max(np.abs(found.ravel() - exact.y[:, -1])))
    assert abs(observed(errors) - order) < 0.35


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("P2M", {"eta": 2}, "between 0, deterministic, and 1, the exact bridge"),
        ("P2M", {"factor": "left"}, "there are: lower, upper, symmetric, flow, aligned"),
        ("S E:eps", {"factor": "flow"}, "there are: lower, upper"),
    ],
)
def test_a_noise_level_or_factor_that_there_is_not_is_refused_with_those_there_are(
    name, options, says
):
    with pytest.raises(ValueError, match=says):
        sampler(name, **options)


@pytest.mark.parametrize("route", [moments.run, plan])
def test_where_no_data_can_be_held_the_reason_is_said(route):
    given = (TARGET,) if route is moments.run else ()
    for process, grid, says in (
        (PSLD(6.0, 1.0), GRID, "Gamma < nu"),
        (PSLD(), [0.0, 0.5, 1.0], "end[s]? at eps > 0"),
    ):
        with pytest.raises(ValueError, match=says):
            route(sampler("P2M"), process, *given, grid)


def test_the_command_samples_with_noise_level_factor_and_ending_and_says_so_in_its_folder(
    tmp_path,
    capsys,
    net,  # noqa: F811 - a fixture
):
    def run(*options):
        words = ["sample", "--sampler", "P2M", "--nfe", "4", "--n", "1", "--checkpoint", str(net)]
        with pytest.raises(SystemExit) as stopped:
            cli.main([*words, "--out", str(tmp_path / "command"), *options])
        return stopped.value.code or 0, capsys.readouterr().err

    options = "--eta", "1/2", "--denoise", "data", "--param", "factor=aligned"
    assert run(*options)[0] == 0
    network, process = embedded.network_and_process(net, "psld", {}, None, "float32")
    job = Job(sampler("P2M", HALF, "aligned"), process, 1, 4, denoise="data")
    sampling.write_samples(tmp_path / "job", job, network)
    command, wanted = (
        read_shard(next((tmp_path / name).glob("*.npz")))[0] for name in ("command", "job")
    )
    np.testing.assert_array_equal(command, wanted)
    record = json.loads((tmp_path / "command" / "run.json").read_text())
    assert [record[key] for key in ("eta", "factor of the word", "denoise")] == [
        0.5,
        "aligned",
        "data",
    ]
    code, err = run(*options[:4])
    assert code == 2 and "holds samples of another run: factor of the word" in err


def test_what_is_printed_knows_no_word_and_no_letter():
    tree = ast.parse(Path(plain_psld_data.__file__).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {m for m in modules if m and m.startswith(("gpu_samplers", "splitting_analysis"))}
    assert ours <= {"gpu_samplers.processes", "gpu_samplers.plain_psld"}


def test_every_entry_has_its_printed_sampler_and_every_printed_sampler_its_entry():
    found = {plain.sampler_of(entry.model_name, entry.name) for entry in DATA_CATALOGUE}
    assert found == {*plain_psld_data.SAMPLERS.values()}
