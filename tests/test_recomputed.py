"""A row of every claim that the report's sentences rest on, computed again by the code as it is.

The seal of a stored file tells accidents; these tell numbers that no run ever gave. What takes
more than a second or two runs with `make heavy`: there the cheapest row of a claim is enough, and a
coarser reference where that tells the stored number. Rows that the tests of one experiment compute
again are not here.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from statistics import median

import pytest
import torch

from analytic_models.targets import Gaussian, load_spectrum
from gpu_samplers.processes import PSLD
from reports.experiments import (
    cifar10,
    comparisons,
    global_orders,
    local,
    ode,
    quality,
    quality_data,
    reuse,
    rounding,
    runs,
    scores,
    sde,
    store,
    strong_orders,
    weak,
)
from reports.experiments.rounding import DTYPES
from splitting_analysis.catalogue import entries, find
from splitting_analysis.weak import at_lambda_one

pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
)
SPECTRUM = Path(__file__).parents[2] / "shared" / "data" / "cifar10_covariance_eigenvalues.npy"
STOCHASTIC = [s.name for s in entries("psld", "sde")]


@cache
def of(name):
    found = store.stored(name)
    assert found is not None
    return found


STORED_TARGETS = sorted(of("comparisons")["targets"])
"""Those of the networks that come with this copy."""


def rms(values):
    return float(values.square().mean().sqrt())


# One step.


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["data set", "random network", "digits network"])
def test_a_noisy_step_errs_now_as_the_stored_rows_say(name):
    """RBAO has all three errors, and the cheapest closed forms of those that have. The step alone,
    not extrapolated, is off by its share of the time in which a score changes: 1e-3 on networks.
    """
    made, word = local.CASES[name](), "RBAO"
    z = local.noised(made.target, made.sde_tau, local.SEED)
    args = *made.scores, z, made.sde_tau, made.sde_step
    found = sde.compare((find(word),), *args, levels=1, rotations=1)[word]
    rows = [row for row in of("local")["targets"][name]["sde"] if row["scheme"] == word]
    assert {row["kind"] for row in rows} == {"mean", "second moments", "strong"}
    for row in rows:
        now = found[row["kind"]]
        assert now.predicted == pytest.approx(row["predicted"], rel=1e-5), row["kind"]
        assert now.measured == pytest.approx(row["measured"], rel=3e-3), row["kind"]


def test_a_step_of_higher_order_errs_now_as_the_stored_row_says():
    made = local.CASES["mixture, VP"]()
    kept = of("local")["targets"]["mixture, VP"]["ode"]
    (row,) = (row for row in kept if (row["scheme"], row["tau"]) == ("Heun", made.taus[0]))
    now = local.ode_row(made, find("Heun", "vp"), made.taus[0])
    assert row["power"] == now["power"] == 3
    for side in ("predicted", "measured"):
        assert now[side] == pytest.approx(row[side], rel=1e-5), side
    # what is left of the ratio is as large as its uncertainty, which is another on another machine
    assert abs(now["ratio_minus_1"] - row["ratio_minus_1"]) < 10 * row["uncertainty"]


@pytest.mark.heavy
@pytest.mark.parametrize("name", of("local")["targets"])
def test_the_stored_closed_forms_of_deterministic_steps_are_those_of_now(name):
    made = local.CASES[name]()
    for row in of("local")["targets"][name]["ode"]:
        scheme = find(row["scheme"], made.target.process.model_name)
        if row["power"] == 2:
            z = local.noised(made.target, row["tau"], local.SEED)
            power, error = ode.leading_term(
                scheme, made.target.process, made.target.smooth, z, scores.dyadic(row["tau"])
            )
            assert power == 2
            assert row["predicted"] == pytest.approx(float(error.norm()), rel=1e-5), (
                row["scheme"],
                row["tau"],
            )


# Whole runs.


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["network", "slow-network"])
def test_the_stored_errors_of_whole_runs_on_a_network_are_those_of_now(name):
    """Of every deterministic sampler at the fewest steps, beside SciPy's reference at a coarser
    tolerance: the reference takes most of the time.
    """
    target = global_orders.targets()[name]
    z = runs.starts(target)
    exact = runs.reference(target, z, tolerance=1e-5)
    for row in of("global")["ode"][name]["rows"]:
        if row["norms"][0] < 1e-5:  # finer than this reference
            assert row["scheme"] == "RK45"
            continue
        times = runs.times_of(target.process, row["steps"][0])
        end = runs.end_state(
            find(row["scheme"]), target.process, target.machine(torch.float64), times, z
        )
        assert rms(end - exact) == pytest.approx(row["norms"][0], rel=4e-3), row["scheme"]


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["mixture", "network"])
def test_the_stored_strong_errors_of_every_sampler_are_those_of_now(name):
    """At the fewest steps; of one sampler at those that show its order, with its standard error.

    On the network beside the coarser reference alone, whose distance from the other is stored: the
    references take most of the time."""
    target, part = runs.targets()[name], of("global")["strong"][name]
    process, machine = target.process, target.machine(torch.float64)
    z = runs.starts(target, part["samples"])
    path = strong_orders.fine_path(target.shape, part["samples"], runs.SEED, part["fine"])
    span, model = process.T - runs.CUT, find("EM").model
    paths = [strong_orders.halved(path)] + [path] * (name == "mixture")
    with torch.no_grad():
        coarser, *finer = (
            sde.reference(process, model, target.smooth, z, process.T, span, p) for p in paths
        )
    exact, near = coarser, 2 * part["floor"]
    if finer:
        exact, near = finer[0], 1e-6
        assert rms(exact - coarser) == pytest.approx(part["floor"], rel=1e-4)
    assert part["samples"] == global_orders.PATHS[name]
    for row in part["rows"]:
        scheme, squares = at_lambda_one(find(row["scheme"])), []
        last_but_two, last = row["steps"][-3], row["steps"][-1]
        for n in (row["steps"][0], *([last_but_two, last] if row["scheme"] == "EM" else [])):
            end = strong_orders.end_on_path(scheme, process, machine, z, path, n, runs.CUT)
            squares.append((end - exact).square().transpose(0, 1).flatten(1).mean(1))
            norm = row["norms"][row["steps"].index(n)]
            assert rms(end - exact) == pytest.approx(norm, rel=1e-5, abs=near), (row["scheme"], n)
        if row["scheme"] == "EM":
            coarse, fine = squares[1:]
            order, spread = strong_orders.order_of(coarse, fine, last / last_but_two)
            loose = near / row["norms"][-1]
            assert row["order"] == pytest.approx(order, abs=1e-5 + loose)
            assert row["standard_error"] == pytest.approx(spread, rel=1e-4 + 10 * loose)


@pytest.mark.heavy
@pytest.mark.parametrize("word", STOCHASTIC)
def test_the_stored_weak_errors_of_every_sampler_are_those_of_now(word):
    exact = weak.expectation(weak.observables, weak.END)
    rows = [row for row in of("global")["weak"] if row["scheme"] == word]
    assert [row["function"] for row in rows] == list(weak.NAMES)
    found = weak.run_expectation(find(word), weak.observables, rows[0]["steps"][0]) - exact
    assert [row["signed"][0] for row in rows] == pytest.approx(list(found), rel=2e-5)


# What reuse assumes.


def differences(name):
    return of("reuse")["targets"][name]["differences"]


def most_and_least(steps):
    """The pairs whose misses at so many steps are the ends of the range that the page names."""
    rows = {
        (name, pair): next(row["carried_miss"] for row in run if row["steps"] == steps)
        for name in ("mixture", "network")
        for pair, run in differences(name).items()
    }
    return min(rows, key=lambda key: rows[key]), max(rows, key=lambda key: rows[key])


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        pytest.param(
            name, n, marks=pytest.mark.heavy if name == "network" or n == reuse.STEPS[-1] else ()
        )
        for name in runs.targets()
        for n in reuse.STEPS
    ],
)
def test_the_stored_changes_of_the_score_in_every_run_are_those_of_now(name, steps):
    kept = of("reuse")["targets"][name]["changes"][str(steps)]
    for now, then in zip(reuse.changes(runs.targets()[name], steps), kept, strict=True):
        assert now == pytest.approx(then, rel=2e-3)


@pytest.mark.heavy
@pytest.mark.parametrize("end", [0, 1], ids=["least", "most"])
def test_the_ends_of_the_range_of_misses_that_the_page_names_are_those_of_now(end):
    steps = reuse.PREDICTED_STEPS[-1]
    name, pair = most_and_least(steps)[end]
    first, second = pair.split("/")
    (kept,) = (row for row in differences(name)[pair] if row["steps"] == steps)
    found = reuse.predicted_difference(runs.targets()[name], (first, second), steps)
    assert found == pytest.approx(kept, rel=1e-3)


@pytest.mark.heavy
@pytest.mark.parametrize("pair", ["/".join(pair) for pair in reuse.PAIRS])
def test_the_stored_differences_of_short_runs_on_the_network_are_predicted_now(pair):
    kept, (first, second) = differences("network")[pair][0], pair.split("/")
    found = reuse.predicted_difference(runs.targets()["network"], (first, second), kept["steps"])
    assert found == pytest.approx(kept, rel=1e-3)


# Rounding. Another CPU adds up in another order: float32 differs by more than its own few
# roundings.


def roundings_again(name, steps_of):
    target = runs.targets()[name]
    z = runs.starts(target)
    for row in of("rounding")["targets"][name]["rows"]:
        scheme, steps = find(row["scheme"]), row["steps"][:steps_of]
        best = rounding.ends(target, scheme, torch.float64, z, steps)
        for dtype, factor in (("bfloat16", 1.3), ("float32", 2.5)):
            less = rounding.ends(target, scheme, DTYPES[dtype], z, steps)
            for n, a, b, kept in zip(steps, less, best, row[dtype], strict=False):
                assert 1 / factor < rms(a - b) / kept < factor, (row["scheme"], dtype, n)


@pytest.mark.heavy
def test_the_stored_roundings_on_the_network_are_of_the_size_found_now():
    roundings_again("network", 1)


@pytest.mark.heavy
def test_the_stored_roundings_on_the_mixture_are_of_the_size_found_now():
    roundings_again("mixture", 1)


# Quality.


@pytest.mark.heavy
@pytest.mark.parametrize("name", STORED_TARGETS)
@pytest.mark.parametrize("pair", ["/".join(pair) for pair in reuse.PAIRS])
def test_a_stored_comparison_of_every_pair_is_that_of_now(name, pair):
    """At the smallest budget, with its standard errors, and through it the two cells of the
    sweep.
    """
    where, number = quality.target(name), quality.SAMPLES[name]
    first, second = pair.split("/")
    key = {"naive": first, "reduced": second, "grid": "uniform", "nfe": quality_data.COMPARED[0]}
    (kept,) = (
        row for row in of("comparisons")["targets"][name]["rows"] if key.items() <= row.items()
    )
    now = comparisons.comparison(where, (first, second), key["grid"], key["nfe"], number)
    for measure in ("frechet", "noise"):
        error = kept[f"{measure}_error"]
        assert now[measure] == pytest.approx(
            kept[measure], abs=0.1 * error + 2e-3 * abs(kept[measure])
        )
        assert now[f"{measure}_error"] == pytest.approx(error, rel=0.05)


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["dataset", "network"])
def test_stored_cells_at_fifty_evaluations_are_those_of_now(name):
    data = quality_data.stored(name)
    assert data is not None
    cells = {quality_data.key_of(cell): cell for cell in data["cells"]}
    for key in (("SSCS", "uniform", 50, "one"), ("ROBA", "quadratic", 50, "one")):
        again = quality.cell(quality.target(name), key, data["samples"], 1.0)
        for number in ("frechet", "residual", "still"):
            assert again[number] == pytest.approx(cells[key][number], rel=5e-3), (key, number)


@pytest.mark.heavy
def test_a_stored_lambda_is_the_one_that_tuning_finds_now():
    """At the smallest budget that the sentence on tuning counts, neither 1 nor an end."""
    data = quality_data.stored("dataset")
    assert data is not None
    key = ("ROBA", "quadratic", quality_data.COMPARED[0], "tuned")
    (cell,) = (cell for cell in data["cells"] if quality_data.key_of(cell) == key)
    assert cell["lambda_s"] in set(quality.LAMBDAS[1:-1]) - {1.0}
    assert quality.tuned(find(key[0]), *key[1:3]) == cell["lambda_s"]


@pytest.mark.heavy
@pytest.mark.skipif(
    not SPECTRUM.is_file(), reason="the CIFAR-10 spectrum is not beside this checkout"
)
def test_every_stored_error_on_the_cifar_10_spectrum_is_that_of_now():
    kept = store.stored("cifar10")
    assert kept is not None
    for table, rows in cifar10.compute(Gaussian(load_spectrum(str(SPECTRUM)))).items():
        for name, row in rows.items():
            for scheme, by_nfe in row.items():
                # None where a run blew up
                now = {n: e if e is None else pytest.approx(e, rel=2e-6) for n, e in by_nfe.items()}
                assert kept[table][name][scheme] == now, (name, scheme)


# What needs no long run.


def test_the_exact_gaussian_errors_beside_the_cells_are_those_of_now():
    """Every ninth of those at most 50 evaluations long; grids, rules and samplers all occur."""
    data = quality_data.stored("dataset")
    assert data is not None
    seen = []
    for cell in [c for c in data["cells"] if c["nfe"] <= 50][::9]:
        name, grid, nfe, rule = quality_data.key_of(cell)
        found = quality.gaussian(PSLD(), find(name), grid, nfe, cell["lambda_s"])
        assert {key: cell[key] for key in quality.EXACT} == pytest.approx(found, rel=2e-6), (
            name,
            grid,
            nfe,
        )
        seen.append((grid, rule))
    assert {*seen} == {(grid, rule) for grid in quality_data.GRIDS for rule in quality_data.RULES}


@pytest.mark.parametrize("name", STORED_TARGETS)
def test_no_standard_error_of_the_noise_is_smaller_than_normal_noise_allows(name):
    """Mean squares of k normal pixels spread by sqrt(2 / k) of their mean at least.

    So does the difference of two of them that go together.
    """
    part = of("comparisons")["targets"][name]
    images = quality.target(name).data.flatten(1)
    still = sum(len(images[:, i].unique()) == 1 for i in range(images.shape[1]))
    pixels = {"dataset": images.shape[1], "network": still}[name]
    least = math.sqrt(2 / pixels / part["samples"])
    shares = [
        row["noise_error"] / abs(row["noise"]) for row in part["rows"] if row["noise"] is not None
    ]
    assert 0.85 * least < min(shares) < 1.15 * least


@pytest.mark.parametrize("name", STORED_TARGETS)
def test_standard_errors_of_frechet_distances_are_of_the_size_of_a_perfect_samplers_spread(name):
    """The spread of a distance grows like its root. Independent sets of samples would have a median
    of about 1, those that share what is random less."""
    data = quality_data.stored(name)
    assert data is not None
    cells = {quality_data.key_of(cell): cell["frechet"] for cell in data["cells"]}
    sizes = []
    for row in of("comparisons")["targets"][name]["rows"]:
        both = sum(
            cells[row[which], row["grid"], row["nfe"], "one"] or 0 for which in ("naive", "reduced")
        )
        sizes.append((row["frechet_error"] or 0) / math.sqrt(both * data["floors"]["spread"]))
    assert 0.5 < median(sizes) < 1.2
