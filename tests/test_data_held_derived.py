"""Data held on PSLD: what is derived of one step, its commands, and its page."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
import sympy
from numpy.polynomial import Chebyshev
from scipy.integrate import solve_ivp

from analytic_models import bridges, given_data
from analytic_models.problem import problem_for
from reports import cli
from reports.experiments import held_data
from reports.pages import data_held as page
from reports.pages import data_held_pieces, site
from reports.pages.settings import QUICK
from reports.render.document import printed
from splitting_analysis.catalogue import find
from splitting_analysis.data_slope import OMEGA, RATE, N, P, Q, V, prediction_slope
from splitting_analysis.held_error import held_error, leading_power
from splitting_analysis.processes import PSLD
from splitting_analysis.retuned import with_conjugation
from splitting_analysis.schemes import FACTORS, scheme

PROCESS = PSLD(0.3, 2.1, 2.0, 11.0)
VARIANCE = 0.4


@pytest.fixture
def run(capsys):
    """Run a command in this process: (exit code, standard output, standard error)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            cli.main(arguments)
        return (stopped.value.code or 0, *capsys.readouterr())

    return run


def known(tau):
    """mu, Sigma, and the row with which z predicts x_0 on data N(0, VARIANCE)."""
    mu, sigma = (np.array(f(PROCESS, tau)) for f in (given_data.mean, given_data.covariance_block))
    pull = np.linalg.solve(sigma, mu)
    return mu, sigma, VARIANCE * pull / (1 + VARIANCE * mu @ pull)


def along(factor, tau, z):
    """dz/dtau of the deterministic flow."""
    mu, _, row = known(tau)
    w: Any = np.array(bridges.drift(PROCESS, factor, 0, tau))
    return w @ z + (np.array(given_data.mean_rate(PROCESS, tau)) - w @ mu) * (row @ z)


@pytest.mark.parametrize("factor", FACTORS)
def test_the_prediction_changes_as_derived_and_the_aligned_factor_leaves_no_momentum_in_it(factor):
    tau, z, step = 0.4, np.array([0.7, -0.3]), 1e-5
    mu, sigma, row = known(tau)
    later, before = (known(tau + d)[2] for d in (step, -step))
    found = (later - before) @ z / (2 * step) + row @ along(factor, tau, z)
    q, *near = (m @ np.linalg.solve(s, m) for m, s, _ in map(known, (tau, tau + step, tau - step)))
    # the angle of any factor's R^-1 mu, up to a constant, is that of the lower one's but its turn
    turning = bridges.angle(PROCESS, "aligned", factor, tau + step, tau - step) / (2 * step)
    lower = np.linalg.cholesky(sigma)
    w = np.linalg.solve(lower, mu)
    across = np.array([-w[1], w[0]]) @ np.linalg.solve(lower, z) / np.sqrt(q)
    values = {V: VARIANCE, Q: q, RATE: np.log(near[0] / near[1]) / (2 * step), OMEGA: -turning}
    wanted = prediction_slope().subs(values | {P: row @ z, N: across})
    assert abs(float(wanted) / found - 1) < 1e-6
    assert (abs(turning) < 1e-6) == (factor == "aligned")


@pytest.mark.parametrize(("name", "factor"), [("P2M", "flow"), ("P3M", "lower")])
def test_one_step_errs_by_the_derived_leading_term_in_position_and_momentum(name, factor):
    """error / (C h^p) tends to 1: it is nearer to it at half the step."""
    own = with_conjugation(find(name), None, factor)
    (op,), error, ratios, start = own.program.holds, held_error(own), (1.5, 0.8), 0.5
    here = given_data.clock_at(PROCESS, "lambda", start)

    def hold(end, nodes):
        return bridges.hold(op, PROCESS, "lambda", 0, factor, start, end, nodes)

    def turned(tau):
        """R(tau) R(start)^-1, from the turn against the lower factor."""
        lower = [np.linalg.cholesky(known(t)[1]) for t in (tau, start)]
        by = bridges.angle(PROCESS, factor, "lower", start, tau) if tau < start else 0.0
        by = by if tau <= start else -bridges.angle(PROCESS, factor, "lower", tau, start)
        rotation = [[np.cos(by), -np.sin(by)], [np.sin(by), np.cos(by)]]
        return lower[0] @ rotation @ np.linalg.inv(lower[1])

    readings = here + np.linspace(-0.5, 0.2, 18)
    taus = [tau_of(u) for u in readings]
    ends = {tau > start: tau for tau in (taus[0], taus[-1])}
    path: Any = {
        early: solve_ivp(
            lambda t, y: along(factor, t, y),
            (start, end),
            [0.7, -0.3],
            "DOP853",
            dense_output=True,
            rtol=1e-11,
            atol=1e-12,
        ).sol
        for early, end in ends.items()
    }

    def prediction(tau):
        return known(tau)[2] @ path[tau > start](tau)

    predictions = Chebyshev.fit(readings, [prediction(t) for t in taus], 13)
    seen = np.array([np.linalg.solve(turned(t), known(t)[0]) for t in taus])
    kernels = [Chebyshev.fit(readings, column, 13).deriv() for column in seen.T]
    quality = []
    for h in (0.08, 0.04):
        nodes = [tau_of(here - h * sum(ratios[:k])) for k in reversed(range(op.through))]
        end = tau_of(here + h)
        step = hold(end, nodes)
        found = np.array(step.keep) @ path[False](start)
        for gain, tau in zip(step.gains, nodes, strict=True):
            found = found + np.array(gain) * prediction(tau)
        missed = np.linalg.solve(np.array(step.keep), path[False](end) - found)
        for own_error, kernel in zip(missed, kernels, strict=True):
            values = {f"P{k}": predictions.deriv(k)(here) for k in range(1, 4)}
            values |= {"r1": ratios[0], "r2": ratios[1]}
            values["kappa1"] = kernel.deriv()(here) / kernel(here)
            numbers = {s: values[s.name] for s in error.coefficient.free_symbols}
            derived = kernel(here) * float(error.coefficient.subs(numbers)) * h**error.power
            quality.append(abs(own_error / derived - 1))
    assert max(quality[2:]) < 0.2 and max(quality[2:]) < 0.7 * max(quality[:2])


def tau_of(reading):
    first, last = (given_data.clock_at(PROCESS, "lambda", tau) for tau in (1.0, 1e-3))
    share = (reading - first) / (last - first)
    return given_data.tau_between(PROCESS, "lambda", 1.0, 1e-3, share)


@pytest.mark.heavy
def test_stages_have_their_order_too_and_a_formula_where_it_is_one():
    assert leading_power(scheme("S E:data/2 S@1/2 E:data[2]", "psld")) == 3
    mixed = scheme("E:data[2:bh2] S@1 E:data[3:bh2]", "psld")
    assert leading_power(mixed) == 4
    with pytest.raises(ValueError, match="its order is 3"):
        held_error(mixed)


def test_derive_prints_the_error_of_both_components(run):
    code, out, _ = run("derive", "P2M")
    assert code == 0 and "order: 2 (claimed: 2)" in out and "log(Φ_xx/σ_x)" in out
    assert re.search(r"x, m: \(P1\*kappa1 \+ 3\*P2\*r1 \+ 2\*P2\)/12", out)
    code, out, _ = run("derive", "P3M", "--format", "json")
    (found,) = json.loads(out)
    assert found["terms"].keys() == {"4"} and found["terms"]["4"].keys() == {"x", "m"}
    assert sympy.sympify(found["terms"]["4"]["m"]).free_symbols


def test_the_command_gives_the_numbers_of_the_prototype(run):
    """Theory section 10: lower factor, eta 0, quadratic grid, ending with the data."""
    options = ("--model", "psld", "--eta", "0", "--denoise", "data", "--grid", "quadratic")
    code, out, err = run("gaussian", "P2M", *options, "--nfe", "5,10,20,50", "--json")
    rows = json.loads(out)
    assert (code, err) == (0, "")
    assert [float(f"{row['w2_x']:.2g}") for row in rows] == [0.14, 0.51, 0.13, 0.017]
    assert {(row["denoise"], row["eta"], row["factor"]) for row in rows} == {("data", 0.0, "lower")}
    assert [row["nfe"] for row in rows] == [5, 10, 20, 50]


@pytest.mark.heavy
def test_factor_and_noise_level_reach_the_step_and_a_bridge_has_no_factor(run):
    def error(*options):
        out = run("gaussian", "P2M", "--nfe", "4", "--spectrum", "1,0.1", "--json", *options)[1]
        return json.loads(out)[0]["w2_x"]

    factors = [error("--param", f"factor={factor},Gamma=0.02,nu=4.02") for factor in FACTORS]
    assert len(set(factors)) == len(FACTORS)
    bridges_ = {error("--eta", "1", "--param", f"factor={name}") for name in ("lower", "flow")}
    assert len(bridges_) == 1 and error("--eta", "1/2") not in {error(), *bridges_}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("gaussian P2M --nfe 9 --eta 2", "between 0, deterministic, and 1, the exact bridge"),
        ("gaussian P2M --nfe 9 --eta -1", "a noise level lies between 0"),
        ("gaussian P2M --nfe 9 --param factor=left", "lower, upper, symmetric, flow, aligned"),
        ("gaussian EI --model psld --nfe 9 --param factor=flow", "there are: lower, upper"),
        ("gaussian ROBA --nfe 9 --param factor=flow", "S E:data; O S B A has none"),
        ("gaussian P3M --steps 2", "a run of 2 steps has 2: take more steps, or hold fewer"),
        ("gaussian P2M --nfe 2", "or hold fewer, S E:data"),
        ("sample --sampler ROBA --nfe 9 --n 1 --out none --eta 1", "words that hold a prediction"),
        ("sample --sampler P2M --nfe 9 --n 1 --out none --param factor=left", "no factor 'left'"),
        ("gaussian DPM++3M --model vp --steps 2", "or hold fewer, S E:data[2]"),
        ("gaussian UniPC3 --model flow --steps 2", "through 4 evaluations, and a run of 2 steps"),
        ("gaussian DEIS2 --model ve --nfe 2", "more steps, or hold fewer, S E:eps"),
        ("gaussian Heun --model flow --nfe 9 --eta 1", "flow holds E:data, E:eps, E:ddim"),
        ("gaussian DDIM --model vp --nfe 9 --clock rho", "DDIM does neither"),
        ("gaussian LDDIM-I --nfe 9 --eta 1", "eta acts in words that hold a prediction"),
        ("gaussian DEIS2 --model vp --nfe 9 --eps 0", "end at eps > 0"),
        ("gaussian P2M --nfe 9 --eps 0", "end at eps > 0"),
        ("gaussian P2M --nfe 9 --param Gamma=6,nu=1", "Gamma < nu"),
        ("gaussian P2M --nfe 9 --denoise=euler", "--denoise data for the data predicted"),
        ("gaussian P2M --nfe 9 --denoise data --no-denoise", "one ending"),
        ("gaussian BAOAB --model langevin --nfe 9 --denoise data", "no denoising step"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(words, says, run):
    code, out, err = run(*words.split())
    assert (code, out) == (2, "") and says in err and err.startswith("error: ")


def test_a_piece_without_a_score_holds_nothing_and_is_told_which_do(run):
    code, _, err = run("gaussian", "O:data S B A", "--nfe", "9")
    assert code == 2 and "O:data: the whole drift holds data, this piece does not" in err
    assert run("gaussian", "O S B A:data", "--nfe", "9")[0] == 0


def test_a_run_of_flow_matching_may_end_with_the_data_or_with_an_euler_step(run):
    for ending, said in (("--denoise data", "ends with the data"), ("--denoise", "denoising step")):
        asked = ("DPM++2M", "--model", "flow", "--nfe", "9", *ending.split())
        code, _, err = run("gaussian", *asked)
        assert code == 0 and said in err


@pytest.fixture(scope="module")
def built():
    """The page with the stored errors in place of the digits', which take longer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "digits", page.cifar10)
        patch.setattr(page, "best_grids", page.stored_grids)
        patch.setattr(data_held_pieces, "digits", data_held_pieces.cifar10)
        return page.build(QUICK)


def test_the_page_is_registered_and_its_lead_names_the_best_on_either_side(built):
    assert built.slug in [slug for slug, *_ in site.PAGES]
    found = page.cifar10()
    for nfe in held_data.NFES:
        for group in (held_data.held(), held_data.others()):
            errors = [e for (key, _, n), e in found.items() if n == nfe and key in group and e]
            assert printed(min(errors)) in built.lead.partition(". Best")[0]


def test_the_lead_says_at_which_budgets_the_data_held_do_not_come_closer(monkeypatch):
    def told(worse):
        scaled = {
            at: error and error * (1e6 if at[2] in worse and at[0] in held_data.held() else 1)
            for at, error in page.cifar10().items()
        }
        monkeypatch.setattr(page, "digits", lambda: scaled)
        return re.sub(r" \([^)]*\)", "", page._lead()).partition("W_{2}, ")[2]

    assert told(()) == "with 5, 10 and 20 evaluations."
    assert told((10,)) == "with 5 and 20 evaluations, not with 10."
    assert told((5, 10, 20)) == "at no budget, not with 5, 10 and 20."


def test_the_table_of_the_page_holds_the_stored_errors_and_those_are_of_now(built):
    table, found = built.find("data-held-cifar10"), page.cifar10()
    shown = {
        (row[0], row[1]): dict(zip([c.key for c in table.columns], row, strict=True))
        for row in table.rows
    }
    for (key, grid, nfe), error in found.items():
        name, factor = key
        cell = shown[name, factor or "–"][f"{grid}{nfe}"]
        assert cell == (page.UNSTABLE if error is None else error)
    ours = problem_for("psld", "digits", grid="quadratic", denoise="data")
    own = held_data.held()["P2M", "aligned"]
    assert held_data.w2(ours, own, 10) == ours.errors(own, 9)["w2_x"]


def test_the_best_grid_is_the_best_of_all_and_the_page_shows_it(built):
    own, spectrum = held_data.gridded()["P2M", "aligned"], np.array([1.0, 0.1])
    power, error = held_data.on_best_grid(spectrum, own, 5)
    quadratic = held_data.w2(held_data.problem(spectrum, "quadratic"), own, 5)
    uniform = held_data.w2(held_data.problem(spectrum, "uniform"), own, 5)
    assert error is not None and quadratic is not None and uniform is not None
    assert power in held_data.POWERS and error <= min(uniform, quadratic) * (1 + 1e-12)
    table, found = built.find("data-held-grids"), page.stored_grids()
    keys = [c.key for c in table.columns]
    for row in table.rows:
        for nfe in held_data.NFES:
            key = row[0], "" if row[1] == "–" else row[1]
            shown = tuple(row[keys.index(f"CIFAR-10{nfe}{kind}")] for kind in ("p", "w2"))
            assert shown == found[key, nfe]


def test_the_page_counts_the_cases_in_which_the_aligned_factor_is_best(built):
    found, best = page.cifar10(), 0
    for name in ("PDDIM", "P2M", "P3M"):
        for grid in held_data.GRIDS:
            for nfe in held_data.NFES:
                errors = {f: found[(name, f), grid, nfe] for f in FACTORS}
                best += errors["aligned"] == min(e for e in errors.values() if e is not None)
    said = [str(vars(block).get("parts", "")) for block in built.blocks]
    (told,) = [part for part in said if "the aligned one" in part]
    assert f"in {best} of 18 cases" in told and best > 9


def test_the_table_of_pieces_holds_the_stored_errors_and_the_text_counts_them(built):
    table, found = built.find("data-held-pieces-cifar10"), data_held_pieces.cifar10()
    keys = [column.key for column in table.columns]
    for row, (model, _, plain, held) in zip(table.rows, held_data.IN_PIECES, strict=False):
        assert row[:2] == (model, held)
        for nfe in held_data.NFES:
            for kind, word in (("score", plain), ("data", held)):
                error = found[model, word, nfe]
                shown = row[keys.index(f"{kind}{nfe}")]
                assert shown == (data_held_pieces.UNSTABLE if error is None else error)
    texts = [str(vars(block).get("parts", "")) for block in built.blocks]
    (told,) = [part for part in texts if "hold them" in part or "holds them over" in part]
    cases = [
        (found[m, plain, nfe], found[m, held, nfe])
        for m, _, plain, held in held_data.IN_PIECES
        for nfe in held_data.NFES
    ]
    closer = sum(b is not None and (a is None or b < a) for a, b in cases)
    assert f"in {closer} of {len(cases)} cases" in told and "stays behind" in told
    own = held_data.problem("digits", "quadratic", "vp")
    one = held_data.w2(own, scheme("L/2 S K:data L/2", "vp", "sde"), 5)
    assert one == pytest.approx(own.errors(scheme("L/2 S K:data L/2", "vp", "sde"), 4)["w2_x"])


def test_the_best_on_its_best_grid_is_told_by_how_much_it_is_closer_than_sscs(monkeypatch):
    best, other, behind = ("P2M", "aligned"), ("P3M", "aligned"), ("SSCS", "")
    found = {(best, n): (2.5, 0.5) for n in held_data.NFES}
    found |= {(other, n): (4.0, 0.75) for n in held_data.NFES}
    found |= {(behind, n): (3.0, 1.5) for n in held_data.NFES}
    monkeypatch.setattr(page, "best_grids", lambda: found)
    for nfe in held_data.NFES:
        told = f"with {nfe} evaluations P2M, aligned, p = 2.5, 3.0 times as close as SSCS"
        assert told in page._gridded()


def test_a_stored_grid_is_a_power_and_the_error_on_it():
    found = page.stored_grids()
    assert found and {power for power, _ in found.values()} <= set(held_data.POWERS)
    assert {error for _, error in found.values()} - set(held_data.POWERS)
