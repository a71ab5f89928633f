"""The page on sample quality says what the stored cells say; its rank correlations are
Spearman's.
"""

from __future__ import annotations

import copy
import math
import re

import numpy as np
import pytest
from scipy import stats

from reports.experiments import quality_data, store
from reports.experiments.ranks import RESAMPLES, spearman
from reports.pages import quality, quality_terms
from reports.pages.settings import QUICK
from reports.render.document import Figure, Table
from reports.render.figures import draw_panel
from splitting_analysis import catalogue
from splitting_analysis.catalogue import entries, find

RNG = np.random.default_rng(2)


def everything(data):
    """Cells by scheme, grid, NFE and rule, read apart from the page."""
    return {(c["scheme"], c["grid"], c["nfe"], c["rule"]): c for c in data["cells"]}


def comparisons(target):
    found = store.stored("comparisons")
    assert found is not None
    return found["targets"][target]["rows"]


@pytest.fixture(scope="module")
def data():
    found = quality_data.stored("dataset")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def page():
    return quality.build(QUICK)


def test_rho_and_p_are_those_of_scipy():
    for n in (5, 14):
        x, y = RNG.normal(size=n), RNG.normal(size=n)
        y[1] = y[0]
        mine = spearman(list(x), list(y))
        assert mine.rho == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
        ranks = stats.rankdata(x) - (n + 1) / 2, stats.rankdata(y) - (n + 1) / 2
        by_scipy = stats.permutation_test(
            (ranks[0],),
            lambda x, axis, y=ranks[1]: np.abs(np.sum(x * y, axis=axis)),
            permutation_type="pairings",
            n_resamples=5000,
            vectorized=True,
            alternative="greater",
            rng=1,
        )
        assert mine.p == pytest.approx(by_scipy.pvalue, abs=1e-12 if n == 5 else 0.03)


def test_perfect_agreement_of_three_is_no_proof():
    found = spearman([1, 2, 3], [10, 20, math.inf])
    assert (found.rho, found.p) == pytest.approx((1, 2 / 6))
    assert found.n == 3
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]).p == pytest.approx(2 / 24)
    # of the orders that are looked at the one observed alone
    assert spearman(list(range(14)), list(range(14))).p == pytest.approx(1 / (1 + RESAMPLES))


def test_pairs_with_a_gap_are_left_out_and_too_few_or_constant_ones_have_no_rank():
    assert spearman([1, None, 3, 4], [2, 9, 3, 4]).n == 3
    for x, y in (([1, None, 3], [1, 2, 3]), ([1, 1, 1, 1], [1, 2, 3, 4])):
        assert math.isnan(spearman(x, y).rho)
        assert math.isnan(spearman(x, y).p)
    with pytest.raises(ValueError, match="2 numbers on one side and 3"):
        spearman([1, 2], [1, 2, 3])


@pytest.mark.parametrize("grid", quality_data.GRIDS)
def test_the_tables_hold_the_stored_numbers(page, data, grid):
    cells, table = everything(data), page.find(f"quality-dataset-{grid}")
    columns = [column.key for column in table.columns]
    assert len(table.rows) == len(entries("psld"))
    for scheme, row in zip(entries("psld"), table.rows, strict=True):
        shown = dict(zip(columns, row, strict=True))
        assert shown["scheme"].startswith(f"[{scheme.name}]")
        for nfe in (50, 100):
            one, tuned = (cells.get((scheme.name, grid, nfe, rule)) for rule in ("one", "tuned"))
            assert one is not None
            assert shown[f"frechet{nfe}"] == one["frechet"]
            assert shown[f"residual{nfe}"] == one["residual"]
            assert shown[f"still{nfe}"] == one["still"]
            assert shown[f"tuned{nfe}"] == (tuned and tuned["frechet"])
            assert shown[f"lambda{nfe}"] == (tuned and tuned["lambda_s"])


def test_the_figures_draw_every_sampler_once_and_leave_out_what_diverged(page, data):
    cells, names = everything(data), set()
    for dynamics in ("ode", "sde"):
        figure = page.find(f"quality-dataset-{dynamics}")
        assert isinstance(figure, Figure)
        assert len(figure.panels) == 4
        for panel, (measure, grid) in zip(
            figure.panels,
            [(m, g) for m in ("frechet", "residual") for g in quality_data.GRIDS],
            strict=True,
        ):
            for line in panel.lines:
                names.add(line.label)
                for nfe, y in zip(line.x, line.y, strict=True):
                    value = cells.get((line.label, grid, int(nfe), "one"), {}).get(
                        measure, math.inf
                    )
                    assert y == value if value <= quality.DRAWN[measure] else math.isnan(y)
    assert draw_panel(figure, 0).startswith("<svg")
    assert names == {s.name for s in entries("psld")}


@pytest.mark.parametrize("measure", ["frechet", "residual"])
def test_the_ranks_are_those_of_the_stored_cells(page, data, measure):
    cells = everything(data)
    table = page.find(f"quality-ranks-dataset-{measure}")
    assert isinstance(table, Table)
    assert {row[:2] for row in table.rows} == {
        (grid, nfe) for grid in ("uniform", "quadratic") for nfe in (10, 20, 50, 100, 200)
    }
    for row in table.rows:
        grid, nfe, n = row[:3]
        known = [
            c for k, c in cells.items() if k[1:] == (grid, nfe, "one") and c[measure] is not None
        ]
        assert n == len(known)
        expected = [
            stats.spearmanr([c[error] for c in known], [c[measure] for c in known]).statistic
            for error in quality_terms.ERRORS
        ]
        assert row[3::2] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("target", ["dataset", "network"])
def test_the_sentence_on_reuse_counts_the_comparisons(page, target):
    """Counted again from the file: positive differences are those in which reuse is better."""
    rows = comparisons(target)
    assert len(rows) == 5 * 2 * 3
    sure = {
        measure: [
            row[measure] / row[f"{measure}_error"] for row in rows if row[measure] is not None
        ]
        for measure in ("frechet", "noise")
    }
    counts = [sum(sign * t > 3 for t in sure[m]) for m in ("frechet", "noise") for sign in (1, -1)]
    said = quality._reuse_counts(rows)
    pattern = (
        r"in (\d+) of (\d+) comparisons .*raises it so in (\d+); it lowers .* in (\d+) and "
        r"raises it in (\d+)"
    )
    found = re.search(pattern, said)
    assert found is not None
    numbers = [int(n) for n in found.groups()]
    assert numbers == [counts[0], len(sure["frechet"]), *counts[1:]]
    sure_at = sorted({row["nfe"] for row in rows if row["frechet"] > 3 * row["frechet_error"]})
    assert f"comparisons (at {' and '.join(map(str, sure_at))} evaluations)" in said
    assert said in " ".join(str(getattr(block, "parts", "")) for block in page.blocks)


@pytest.mark.parametrize("target", ["dataset", "network"])
def test_the_stored_comparisons_are_those_of_the_stored_cells(target):
    found = quality_data.stored(target)
    assert found is not None
    cells, noise = everything(found), quality_terms.JUDGED[target][1]
    for row in comparisons(target):
        a, b = (cells[row[which], row["grid"], row["nfe"], "one"] for which in ("naive", "reduced"))
        scale = max(a["frechet"], b["frechet"])
        assert row["frechet"] == pytest.approx(a["frechet"] - b["frechet"], abs=1e-4 * scale)
        assert row["noise"] == pytest.approx(
            a[noise] - b[noise], abs=1e-4 * max(a[noise], b[noise])
        )


def test_the_leads_count_those_that_chance_cannot_tell_from_a_perfect_sampler(page):
    counts = []
    for target in ("dataset", "network"):
        found = quality_data.stored(target)
        assert found is not None
        limit = found["floors"]["bootstrap"] + 2 * found["floors"]["spread"]
        runs = [c["frechet"] for c in found["cells"] if c["nfe"] == 50 and c["rule"] == "one"]
        good = sum(f <= limit for f in runs)
        counts.append(f"{good} of {len(runs)} on the {quality_terms.TARGETS[target]}")
    assert " and ".join(counts) in page.lead


def test_the_sentences_turn_with_the_data(monkeypatch, data):
    """Naive and reduced exchanged, and tuning made to pay: the page says so."""
    other = copy.deepcopy(data)
    for cell in other["cells"]:
        if cell["scheme"][0] in "NR" and cell["scheme"] != "RK45":
            cell["scheme"] = ("R" if cell["scheme"][0] == "N" else "N") + cell["scheme"][1:]
        if cell["rule"] == "tuned":
            cell["frechet"] = 0.01
    assert quality._tuning(quality_terms.cells_of(other)).endswith("tuning pays.")
    assert quality._best(quality_terms.cells_of(other), "uniform", 50)["scheme"] == "NVV"


def test_tuning_counts_the_cells_in_which_it_chose_another_lambda(data):
    cells = everything(data)
    moved = [key for key, cell in cells.items() if key[3] == "tuned" and cell["lambda_s"] != 1]
    moved = [key for key in moved if key[2] in quality_data.COMPARED]
    better = sum(cells[key]["frechet"] < cells[(*key[:3], "one")]["frechet"] for key in moved)
    said = quality._tuning(quality_terms.cells_of(data))
    assert f"off 1 ({len(moved)} cells at these budgets)" in said
    assert f"fell in {better} of them" in said


def test_without_stored_results_the_page_says_how_to_make_them(monkeypatch, tmp_path):
    monkeypatch.setattr(store, "DATA", tmp_path)
    empty = quality.build(QUICK)
    text = " ".join(str(getattr(block, "parts", "")) for block in empty.blocks)
    for target in ("dataset", "network"):
        assert f"python -m reports.experiments.quality --target {target}" in text
    assert "missing from this copy" in empty.lead
    assert not [block for block in empty.blocks if isinstance(block, Table)]


def test_half_a_run_on_the_network_is_shown_as_far_as_it_went(monkeypatch, tmp_path, data):
    """Up to 50 evaluations, one cell diverged: gaps in the tables, no crash."""
    half = copy.deepcopy(data)
    half["cells"] = [c for c in half["cells"] if c["nfe"] <= 50]
    half["cells"][-1]["frechet"] = half["cells"][-1]["residual"] = half["cells"][-1]["still"] = None
    monkeypatch.setattr(store, "DATA", tmp_path)
    for target in ("dataset", "network"):
        quality_data.save(target, half)
    page = quality.build(QUICK)
    table = page.find("quality-network-uniform")
    assert all(row[6] is None for row in table.rows)
    assert all(row[1] is not None for row in table.rows)
    assert len(page.find("quality-ranks-network-frechet").rows) == 6
    assert "held out" in " ".join(str(getattr(block, "parts", "")) for block in page.blocks)


def test_a_new_sampler_has_gaps_and_leaves_the_ranks_of_the_others(monkeypatch, tmp_path, data):
    part = copy.deepcopy(data)
    part["cells"] = [c for c in part["cells"] if c["nfe"] == 50]
    monkeypatch.setattr(store, "DATA", tmp_path)
    quality_data.save("dataset", part)
    new = catalogue._entry("ABOA", "A/2 S B O A/2", "psld", "sde", 1, 1, "nobody", "nowhere")
    monkeypatch.setattr(catalogue, "CATALOGUE", (*catalogue.CATALOGUE, new))
    page = quality.build(QUICK)
    row = next(r for r in page.find("quality-dataset-uniform").rows if r[0].startswith("[ABOA]"))
    assert set(row[1:]) == {None}
    assert [r[2] for r in page.find("quality-ranks-dataset-frechet").rows] == [14, 14]


def test_published_figures_stand_beside_tuned_cells(page, data):
    cells, table = everything(data), page.find("quality-published")
    row = next(r for r in table.rows if r[1:3] == ("uniform", 50))
    fid = {"EM": 30.81, "SSCS": 18.83, "NOBA": 36.87, "ROBA": 2.76, "NVV": 69.06, "RVV": 14.19}
    mine = [
        cells[n, "uniform", 50, "tuned" if "O" in str(find(n).word) else "one"]["frechet"]
        for n in fid
    ]
    assert row[3] == len(fid)
    assert row[4] == pytest.approx(stats.spearmanr(list(fid.values()), mine).statistic, abs=1e-12)
