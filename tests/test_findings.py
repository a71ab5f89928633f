"""The sentences that open the pages of stored results, counted again from the files."""

from __future__ import annotations

import math
import re
from statistics import median
from typing import Any

import numpy as np
import pytest

from analytic_models.problem import problem_for
from reports.experiments import quality_data, store
from reports.experiments.vp_splitting_data import REUSED
from reports.pages import (
    choice,
    crossval_global,
    crossval_local,
    crossval_reuse,
    crossval_rounding,
    exact_best,
    quality,
    quality_terms,
)
from reports.pages.settings import QUICK
from reports.render.document import printed
from reports.render.spelling import number
from splitting_analysis.catalogue import entries, samplers


def stored(name):
    found = store.stored(name)
    assert found is not None
    return found


@pytest.mark.heavy
def test_exact_errors_name_the_best_of_the_page_and_of_all_samplers_of_psld():
    """Every sampler once more, through the door that users have."""
    ours, said = problem_for("psld", grid="uniform"), exact_best.lead().split(" With 100")[0]
    errors = {s: ours.errors(s, ours.steps(s, 50))["w2_x"] for s in samplers("psld")}
    assert f" of all its {len(errors)} named samplers" in said
    for here in (True, False):
        names = []
        for dynamics in ("ode", "sde"):
            own = [s for s in (entries("psld") if here else errors) if s.dynamics == dynamics]
            first = min(own, key=lambda s: errors[s] or math.inf)
            names.append(f"{first.name} ({printed(errors[first])}")
        assert re.search(rf"{re.escape(names[0])}[^()]*\) and {re.escape(names[1])}\)", said)
    plain = {"Euler", "RK45", "EM"}
    assert all(name in said for name in plain)
    assert {
        s.name for s in entries("psld") if not {"A", "B", "K"} & {op.letter for op in s.word}
    } == (plain)


def test_exact_errors_name_the_best_of_the_page_before_that_of_all(monkeypatch):
    """Of each group here its size, in place of the errors, which take a second."""
    monkeypatch.setattr(exact_best, "_best", lambda own, *_: (f"best of {len(own)}", 0.5))
    monkeypatch.setattr(exact_best, "_errors", lambda *_: {"Euler": 0.7})
    here, of_all = (
        [f"best of {len(own('psld', dynamics))} (0.500" for dynamics in ("ode", "sde")]
        for own in (entries, samplers)
    )
    for said in exact_best.lead().split(" With 100 "):
        places = [said.index(part) for part in (*here, *of_all)]
        assert places == sorted(places)


def test_the_best_is_the_sampler_of_the_smallest_finite_error(monkeypatch):
    errors = {"EM": 2.0, "ROBA": 1.0, "SSCS": 3.0, "NOBA": math.inf}

    def at_budget(own, *_):
        return {"w2_x": errors[own.name]} if own.name in errors else None

    monkeypatch.setattr(exact_best, "at_budget", at_budget)
    assert exact_best._best(entries("psld", "sde"), "uniform", 50) == ("ROBA", 1.0)


def test_one_step_the_largest_differences_are_those_named():
    targets = stored("local")["targets"].values()
    worst = {True: 0.0, False: 0.0}
    for row in (row for target in targets for row in target["ode"]):
        worst[row["power"] == 2] = max(worst[row["power"] == 2], abs(row["ratio_minus_1"]))
    rows = [row for target in targets for row in target["sde"]]
    noisy = max(row["difference"] for row in rows if row["predicted"] != 0)
    off = [abs(row["ratio_minus_1"]) if row["predicted"] else row["measured"] for row in rows]
    beyond = [row for row, size in zip(rows, off, strict=True) if size > 3 * row["standard_error"]]
    lead = crossval_local.build(QUICK).lead
    assert (
        f"within {number(worst[True])} for deterministic samplers of order 1 and "
        f"{number(worst[False])}" in lead
    )
    counted = f"all {len(rows)}" if not beyond else f"{len(rows) - len(beyond)} of {len(rows)}"
    assert (
        f"stochastic ones agree within {number(noisy)}, {counted} within three standard errors."
        in lead
    )


def test_orders_the_counts_are_those_of_the_tables():
    data, page = stored("global"), crossval_global.build(QUICK)
    expected = []
    for name in data["ode"]:
        kinds = ["global", "strong"] if name in data["strong"] else ["global"]
        for table in (page.find(f"crossval-{kind}-{name}") for kind in kinds):
            verdicts = [row[[c.key for c in table.columns].index("verdict")] for row in table.rows]
            expected.append((verdicts.count("yes"), len(verdicts)))
    weak = page.find("crossval-weak")
    verdicts = [row[[c.key for c in weak.columns].index("verdict")] for row in weak.rows]
    expected.append((verdicts.count("yes"), len(verdicts)))
    assert [(int(a), int(b)) for a, b in re.findall(r"(\d+) of (\d+)", page.lead)] == expected


def test_reuse_the_largest_changes_and_the_misses_of_the_longest_runs():
    data, lead = stored("reuse"), crossval_reuse.build(QUICK).lead
    misses = []
    for found in data["targets"].values():
        longest = found["changes"][max(found["changes"], key=int)]
        assert f"{printed(100 * max(row['x'] for row in longest), '2g')} %" in lead
        for rows in found["differences"].values():
            misses += [max(rows, key=lambda row: row["steps"])["carried_miss"]]
    low, high = (printed(100 * value, "2g") for value in (min(misses), max(misses)))
    assert f"missing {low} to {high} % of it" in lead


def test_rounding_the_counts_are_those_of_the_rows():
    data, lead = stored("rounding"), crossval_rounding.build(QUICK).lead
    expected = []
    for found in data["targets"].values():
        rows = [row for row in found["rows"] if row["scheme"] != "RK45"]
        hidden = {
            dtype: sum(
                any(r >= t for r, t in zip(row[dtype], row["truncation"], strict=True))
                for row in rows
            )
            for dtype in ("bfloat16", "float32")
        }
        expected += [str(hidden["bfloat16"]), str(len(rows)), str(hidden["float32"])]
    assert re.findall(r"for (\d+)(?: of the (\d+) samplers)?", lead) == [
        pair
        for k in range(0, len(expected), 3)
        for pair in ((expected[k], expected[k + 1]), (expected[k + 2], ""))
    ]


@pytest.fixture(scope="module")
def on_quality():
    return quality.build(QUICK)


@pytest.mark.parametrize("target", ["dataset", "network"])
def test_quality_the_noise_that_reuse_saves(on_quality, target):
    found = quality_data.stored(target)
    assert found is not None
    noise, factors = quality_terms.JUDGED[target][1], []
    cells = {(c["scheme"], c["grid"], c["nfe"]): c for c in found["cells"] if c["rule"] == "one"}
    for (name, grid, nfe), cell in cells.items():
        if name[0] == "N" and nfe in (20, 50, 100):
            factors.append(cell[noise] / cells["R" + name[1:], grid, nfe][noise])
    better = sum(f > 1 for f in factors)
    said = f"{better} of {len(factors)} comparisons on the {quality_terms.TARGETS[target]}"
    assert f"{said} (by a median factor of {printed(median(factors), '2g')})" in on_quality.lead


@pytest.mark.parametrize("target", ["dataset", "network"])
def test_quality_the_sentence_on_ranks_sums_up_its_tables(on_quality, target):
    said = " ".join(str(getattr(block, "parts", "")) for block in on_quality.blocks)
    for measure in quality_terms.JUDGED[target]:
        table = on_quality.find(f"quality-ranks-{target}-{measure}")
        for k, title in enumerate(quality_terms.ERRORS.values()):
            rho, p = (
                np.array([row[3 + 2 * k + i] for row in table.rows], dtype=float) for i in (0, 1)
            )
            sure = sum(q < 0.05 and r > 0 for r, q in zip(rho, p, strict=True))
            assert (
                f"{title} predicts the {quality_terms.QUALITIES[measure]} with a median ρ of "
                f"{printed(float(np.median(rho)), '2f')} (p < 0.05 in {sure} of {len(rho)} rows)"
                in said
            )


def test_published_the_smallest_p_is_that_of_the_ranks_beside_it(on_quality):
    table = on_quality.find("quality-published")
    for row in table.rows:
        n, rhos, smallest = row[3], row[4:-1], row[-1]
        # of n! orders at least two (one and its mirror image) agree as well as the best of the row
        # does
        assert 2 / math.factorial(n) <= smallest + 1e-12 <= 1 + 1e-12
        perfect = any(abs(abs(rho) - 1) < 1e-12 for rho in rhos)
        assert perfect == (smallest < 2.5 / math.factorial(n))


def test_which_sampler_a_budget_asks_for_is_counted_again_from_the_samples():
    (table,) = choice.table()
    seen: list[list[Any]] = []
    for model, found, error in (
        ("PSLD", stored("family")["rows"], "frechet_error"),
        ("VP", stored("vp_network")["cells"], "standard_error"),
    ):
        for nfe in (5, 10, 20, 50, 100):
            words = {s.name: str(s.word) for s in samplers("vp")} | {REUSED: "S L/2 K L/2"}
            cells = [c for c in found if c["nfe"] == nfe and c["frechet"] is not None]
            told = {True: "", False: ""}
            least = dict.fromkeys(told, (math.inf, 0.0))
            for c in cells:
                word = c.get("word") or words.get(c["sampler"], "S E:data[2:dpm]")
                if (c["frechet"], c[error]) < least[" E" in word]:
                    least[" E" in word] = (c["frechet"], c[error])
                    shown = printed(c["frechet"]), printed(c[error], "1g")
                    told[" E" in word] = f"{c['sampler']}, {c['grid']}: {shown[0]} ± {shown[1]}"
            (a, da), (b, db) = least[True], least[False]
            apart = pytest.approx((b - a) / math.sqrt(da**2 + db**2))
            seen.append([model, nfe, told[True], told[False], apart])
            if nfe == choice.BUDGET:
                name, distance = told[True].partition(",")[0], printed(a)
                assert a < b and f"{name} on {model} ({distance}, quadratic grid;" in choice.lead()
    assert [list(row) for row in table.rows] == seen
