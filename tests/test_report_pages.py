"""What the report's pages say, against other routes to the same facts."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sympy

from analytic_models import position_noise as noise
from analytic_models.linear_flow import closed_flow
from analytic_models.moments import starting_law
from analytic_models.problem import Problem
from analytic_models.targets import Gaussian, load_spectrum
from reports.experiments import cifar10, store
from reports.pages import exact, exact_runs, orders, position_noise, published, reuse, stability
from reports.pages.settings import QUICK
from reports.render import spelling
from splitting_analysis import differences
from splitting_analysis.algebra import algebra
from splitting_analysis.catalogue import CATALOGUE, entries, find
from splitting_analysis.errors import keys_of, spell_error
from splitting_analysis.grids import EPS
from splitting_analysis.observed import ObservedOrder
from splitting_analysis.schemes import steps_for
from splitting_analysis.styles import LATEX, TEXT
from splitting_analysis.trees import Combination, linear
from splitting_analysis.weak import local_error

SHARED = Path(__file__).parents[2] / "shared"
PAIRS = differences.pairs()


def test_the_pairs_are_the_five_of_the_papers():
    names = [(pair.naive.name, pair.reduced.name) for pair in PAIRS]
    assert names == [(f"N{rest}", f"R{rest}") for rest in ("SE", "VV", "OBA", "BAO", "OBAB")]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_the_changes_listed_are_the_whole_difference_of_the_errors(pair):
    before, after = local_error(pair.naive), local_error(pair.reduced)
    total: dict[tuple[int, str], list[tuple[int, Combination]]] = {}
    for change in differences.changes(before, after):
        assert change.before != change.after
        step = linear([(1, change.before), (-1, change.after)])
        total.setdefault((change.power, change.key), []).append((1, step))
    expected = (before - after).terms
    for k in expected:
        for key in keys_of(before, k):
            assert linear(total.get((k, key), [])) == expected[k][key]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_verdict_is_what_the_coefficients_say(pair):
    verdicts = set()
    for c in differences.changes(local_error(pair.naive), local_error(pair.reduced)):
        verdicts.add(c.verdict)
        summed = linear([(1, c.before), (1, c.after)])
        assert (c.verdict == "cancelled") == (not c.after)
        assert (c.verdict == "added") == (not c.before)
        assert (c.verdict == "sign flipped") == (not summed)
    assert verdicts


def test_the_lead_on_reuse_names_what_is_no_more_and_in_which_pairs():
    gone: dict[str, set[str]] = {}
    for pair in PAIRS:
        for change in reuse._leading_changes(pair):
            if not change.after:
                gone.setdefault(reuse._head(change), set()).add(pair.name)
    names = [pair.name for pair in PAIRS if any(pair.name in pairs for pairs in gone.values())]
    said = f"cancels {spelling.listed(sorted(gone))} in the momentum ({spelling.listed(names)})"
    assert gone and said in reuse._lead()


def test_what_is_left_without_gamma_has_none_and_the_rest_vanishes_with_it():
    gamma, removed = algebra().p.Gamma, 0
    for combination in local_error(find("RSE"), 2).terms[2].values():
        kept = differences.without_gamma(combination)
        assert kept.keys() <= combination.keys()
        for tree, coefficient in combination.items():
            own = kept.get(tree, algebra().ring.zero)
            assert own.subs([(gamma, 3)]) == own
            assert (coefficient - own).subs([(gamma, 0)]) == 0
            removed += not own
    assert removed > 2 and kept


@pytest.mark.heavy
def test_without_gamma_is_the_error_at_gamma_zero():
    to_sympy, gamma = algebra().to_sympy, sympy.Symbol("Gamma", positive=True)
    removed = 0
    for scheme in entries("psld"):
        if scheme.word.is_runge_kutta:
            continue
        for combination in local_error(scheme, 2).terms[2].values():
            kept = differences.without_gamma(combination)
            for tree, coefficient in combination.items():
                value = to_sympy(coefficient).subs(gamma, 0)
                assert sympy.expand(value - (to_sympy(kept[tree]) if tree in kept else 0)) == 0
                removed += tree not in kept
    assert removed > 100


def test_the_unconditioned_word_differs_from_the_reduced_one_in_score_times_only():
    for name in ("RVV", "ROBAB"):
        scheme = find(name)
        plain = differences.unconditioned(scheme)
        assert str(plain.word) == str(scheme.word).replace("S@1", "S") != str(scheme.word)
    assert differences.unconditioned(find("ROBA")).word == find("ROBA").word


@pytest.mark.parametrize("model", ["psld", "vp"])
@pytest.mark.parametrize("dynamics", ["ode", "sde"])
def test_the_limit_is_that_of_the_exact_flow(model, dynamics):
    process, target = exact_runs.diffusion(model), exact_runs.target()
    flow = closed_flow(dynamics, process, target, 0.0, process.T - EPS)
    _, covariance = flow.push(*starting_law(process, target, "prior"))
    direct = np.linalg.norm(np.sqrt(covariance[0][0]) - np.sqrt(target.variances))
    found = exact_runs.limit(model, dynamics, "prior", denoise=False)["w2_x"]
    assert found == pytest.approx(direct, rel=1e-5)
    assert found != pytest.approx(exact_runs.limit(model, dynamics, "prior")["w2_x"], rel=0.1)


@pytest.mark.share(2)
@pytest.mark.parametrize("value", [0.0, 2.0])
def test_the_bias_of_lambda_s_agrees_with_the_integrated_moment_equations(value):
    small = exact_runs.target().variances[:12]
    setting = Problem(position_noise.setting("uniform").process, Gaussian(small))
    flow = closed_flow("sde", setting.process, setting.target, 0.0, setting.process.T - setting.eps)
    exact = flow.push(*starting_law(setting.process, setting.target, "prior"))[1][0][0]
    with pytest.MonkeyPatch.context() as patch:
        unit = noise.limit_excess_variance(setting, 2.0)
        patch.setattr(position_noise, "_limit_variances", lambda: (np.asarray(exact), unit))
        assert position_noise._bias(value) == pytest.approx(noise.bias(setting, value), rel=1e-6)


def test_the_budget_of_a_stable_run_is_the_smallest_that_keeps_every_step_stable():
    for scheme in entries("psld", "ode"):
        limit = float(stability.limits(scheme, (0.01,), EPS)[0])
        budget = stability._budget(scheme, [limit, math.inf, math.nan])
        assert budget is not None
        steps = budget // scheme.word.nfe
        assert (1 - EPS) / steps <= limit * (1 + 1e-9)
        assert steps == 1 or (1 - EPS) / (steps - 1) > limit
    assert stability._budget(scheme, [math.nan]) is None


def test_the_lead_on_stability_names_the_shortest_and_the_longest_limit(monkeypatch):
    limits = {"Euler": 4.0, "RSE": 2.5, "EM": 2.0, "ROBA": 3.5}
    monkeypatch.setattr(stability, "_stiffest", lambda _: 0.25)
    monkeypatch.setattr(
        stability, "limits", lambda scheme, *_: np.array([limits.get(scheme.name, 3.0)])
    )
    said = stability._lead()
    assert "from 2.50 (RSE) to 4.00 (Euler) for the probability flow" in said
    assert "from 2.00 (EM) to 3.50 (ROBA) for the reverse SDE" in said
    assert said.endswith("Euler’s is 2.0 times as long as Euler–Maruyama’s.")


def test_the_entry_that_is_shown_is_the_one_that_converges_most_slowly(monkeypatch):
    found = {
        key: ObservedOrder((), "order", "", order, order, order)
        for key, order in (("x", 2.0), ("xm", 1.0), ("mm", 3.0))
    }
    monkeypatch.setattr(orders, "global_orders", lambda *_: found)
    key, worst, steps = orders.observed.__wrapped__(find("Euler"), (4, 8))
    assert (key, worst.order, steps) == ("xm", 1.0, (4, 8))


@pytest.mark.parametrize(
    ("low", "high", "contradicted"),
    [(1.9, 2.1, False), (2.02, 2.1, True), (1.9, 1.98, True), (None, None, True)],
)
def test_an_interval_without_the_derived_order_stands_against_it(
    monkeypatch, low, high, contradicted
):
    found = ObservedOrder((), "order", "", 2.0, low, high)
    monkeypatch.setattr(orders, "observed", lambda *_: ("x", found, ()))
    monkeypatch.setattr(orders, "order_of", lambda _: 2)
    said = orders._lead(QUICK)
    assert (f"Against it stand {CATALOGUE[0].name}" in said) == contradicted
    assert ("none contradicts it" in said) != contradicted


def test_the_lead_on_position_noise_names_where_the_best_lambda_s_gains_most(monkeypatch):
    def best(*given: float) -> noise.Best:
        value, least, exact = given
        return noise.Best(value, least, exact, nfe=20, steps=19, boundary=None)

    told = {
        "uniform": {("EM", 20): best(1.5, 2.0, 3.0), ("ROBA", 50): best(0.5, 1.0, 4.0)},
        "quadratic": {("EM", 20): best(1.2, 5.0, 5.0)},
    }
    monkeypatch.setattr(position_noise, "_all", lambda _, grid: told[grid])
    said = position_noise._lead(QUICK)
    assert " in 2 of 3 cases" in said
    assert "most for ROBA at 50 evaluations on the uniform grid, a factor 4.0 in" in said


def test_a_published_figure_agrees_up_to_half_a_unit_of_its_last_digit():
    assert published.agrees(0.315063, 0.32) and published.agrees(0.1724, 0.17)
    assert not published.agrees(0.32501, 0.32) and not published.agrees(0.31499, 0.32)


def test_without_stored_results_the_page_says_what_is_missing_and_why(monkeypatch):
    whole = published.build(QUICK)
    monkeypatch.setattr(published, "stored", lambda _: None)
    page = published.build(QUICK)
    shown = str(page)
    assert (
        "missing" in page.lead and "Our column is missing" in shown and published.COMMAND in shown
    )
    for table in ("published-w2-full", "published-w2-cut", "published-fid"):
        one, other = whole.find(table), page.find(table)
        assert [row[1] for row in one.rows] == [row[1] for row in other.rows]
        assert any(cell is None for row in other.rows for cell in row)


def test_the_quoted_figures_are_those_of_the_reference():
    file = SHARED / "reference" / "published.json"
    if not file.is_file():
        pytest.skip("the reference tables are not beside this checkout")
    reference, ours = json.loads(file.read_text(encoding="utf-8")), store.published()
    for key in ("psld_cifar10_fid", "other_backbones_fid_100nfe"):
        assert ours[key]["rows"] == reference[key]["rows"]
    for eps in ("eps=0", "eps=1e-3"):
        assert ours["gaussian_w2_vp_cifar10"][eps] == reference["gaussian_w2_vp_cifar10"][eps]


def test_the_stored_results_are_what_the_command_computes():
    file = SHARED / "data" / "cifar10_covariance_eigenvalues.npy"
    if not file.is_file():
        pytest.skip("the CIFAR-10 spectrum is not beside this checkout")
    kept = store.stored("cifar10")
    assert kept is not None
    assert hashlib.sha256(file.read_bytes()).hexdigest() == kept["_spectrum_sha256"]
    target = Gaussian(load_spectrum(str(file)))
    for eps, name, nfe in (
        ("eps=0", "DDPM", 50),
        ("eps=1e-3", cifar10.CORRECTED, 50),
        ("eps=1e-3", "RK4", 250),
    ):
        value = cifar10.vp_w2(target, name, nfe, float(eps[4:]))
        assert kept["vp_w2"][eps][name][str(nfe)] == float(f"{value:.6g}")
    for grid, name in (("uniform", "ROBA"), ("quadratic", "SSCS")):
        value = cifar10.psld_w2(target, name, 50, grid)
        assert kept["psld_w2_x"][grid][name]["50"] == float(f"{value:.6g}")


def test_formulas_kept_from_one_scheme_are_not_shown_for_another():
    for scheme in entries("psld", "ode")[:5]:
        error = local_error(scheme)
        for key in keys_of(error, 2):
            shown = spelling.entry(error, 2, key)
            assert (shown.text, shown.latex) == tuple(
                spell_error(error, 2, key, style) for style in (TEXT, LATEX)
            )


def test_expressions_show_a_positive_constant_below_and_decimals_for_roots():
    x, v = sympy.symbols("x v", positive=True)
    assert spelling.expression(-4 * v / (v - 1)).text == "4 v/(1 − v)"
    assert spelling.expression(-4 / ((x - 2) * (x + 2))).text == "4/(4 − x²)"
    assert spelling.expression(v * (2 - v)).text == "2 v − v²"
    root = sympy.CRootOf(x**3 + 2 * x**2 + 3 * x + 3, 0)
    value = spelling.expression(4 * v * root / (v - 1))
    assert (
        value.text == f"{-4 * float(sympy.N(root, 5)):.5g} v/(1 − v)" and "CRoot" not in value.latex
    )


def test_words_for_counts():
    assert [spelling.count(n) for n in (0, 1, 12, 13)] == ["no", "one", "twelve", "13"]
    assert [spelling.share(*n) for n in ((28, 28), (3, 3), (2, 3))] == [
        "all 28",
        "all three",
        "2 of 3",
    ]
    assert [spelling.listed(list(s)) for s in ("", "a", "ab", "abc")] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


def test_the_axis_of_lambda_s_reaches_beyond_every_best_value(monkeypatch):
    largest = 14.0
    made = noise.Best(largest, 0.1, 0.2, 20, 19, None)
    monkeypatch.setattr(position_noise, "best", lambda scheme, nfe, grid: made)
    monkeypatch.setattr(position_noise, "x_error_curve", lambda *_: lambda values: values)
    settings = replace(QUICK, lambda_nfes=(20,))
    for panel in position_noise._figure(settings, "uniform").panels:
        assert all(min(line.x) == 0 and max(line.x) >= 1.1 * largest for line in panel.lines)
    monkeypatch.setattr(position_noise, "_bias", lambda value: value)
    assert largest in [row[0] for row in position_noise._bias_table(settings).rows]


def test_a_sampler_below_the_line_of_the_exact_flow_is_named_and_explained():
    settings = replace(QUICK, nfes=(20, 500))
    (told,) = exact._below_the_line(settings)
    said = "".join(map(str, told.parts))
    figure = exact._figure(settings, "ode")
    below = {
        (line.label, int(x), grid)
        for grid, panel in zip(exact_runs.GRIDS, figure.panels, strict=True)
        for line in panel.lines
        for x, y in zip(line.x, line.y, strict=True)
        if y < 0.95 * panel.marks[0].level
    }
    assert below == {("RK45", 500, "uniform")}
    assert "Below the dotted line lies RK45 at 500 evaluations on the uniform grid." in said
    # |rest + own|² = |rest|² + 2 rest·own + |own|²: smaller than the rest alone only if they are
    # opposed
    rest = exact_runs.limit_per_mode("psld", "ode", "prior")
    both = exact_runs.per_mode(
        find("RK45"), steps_for(500, find("RK45"), denoise=True), "uniform", "prior"
    )
    a, b, c = np.linalg.norm(rest), np.linalg.norm(both - rest), np.linalg.norm(both)
    cosine = (c**2 - a**2 - b**2) / (2 * a * b)
    assert f"{cosine:.2f}".replace("-", "−") in said
    assert np.all(rest > 0) and "leaves all 64 standard deviations too large" in said
    assert exact._below_the_line(replace(QUICK, nfes=(20,))) == []
