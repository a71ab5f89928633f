"""Splittings of VP beside its other samplers: the stored cells, computed again, and the page."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="samples need torch")

from analytic_models.problem import problem_for
from gpu_samplers.embedded import BUNDLED
from reports.experiments import store, vp_splitting
from reports.experiments import vp_splitting_data as data
from reports.pages import vp_splitting as page
from reports.pages import vp_splitting_levels as levels
from reports.pages.settings import QUICK
from reports.render.document import Table, printed
from splitting_analysis import find
from splitting_analysis.catalogue import samplers
from splitting_analysis.retuned import with_noise_level

TARGETS = ("cifar10", "dataset", "network")


def kept(target):
    found = store.stored(f"vp_{target}")
    if found is None and target == "network":
        pytest.skip("the cells of the network are not in this copy")
    assert found is not None
    return found


@pytest.mark.parametrize("target", TARGETS)
def test_every_cell_is_stored_once_and_is_of_its_noise_level(target):
    cells = kept(target)["cells"]
    assert [data.key_of(cell) for cell in cells] == list(data.keys())
    assert all(cell["eta"] in (0, 1) or cell["sampler"] == data.TUNED for cell in cells)


def test_the_tuned_noise_is_the_best_of_those_tried_on_the_digits_spectrum():
    for grid in data.GRIDS:
        key = (data.TUNED, grid, 10)
        plain = data.exact(("DPM++2M", grid, 10))
        assert data.exact(key)["w2_x"] <= plain["w2_x"]  # eta 0 is among them
        found = problem_for("vp", grid=grid).errors(find("DPM++2M-SDE", "vp"), 9)
        assert data.exact(key)["w2_x"] <= found["w2_x"] * (1 + 1e-5)  # and eta 1


@pytest.mark.parametrize("target", ["dataset", "network"])
def test_the_exact_error_beside_the_samples_is_that_of_the_word(target):
    for cell in kept(target)["cells"][::17]:
        again = data.exact(data.key_of(cell))
        assert {key: cell[key] for key in again} == again


@pytest.mark.heavy
@pytest.mark.parametrize("target", ["dataset", "network"])
def test_stored_cells_are_sampled_and_judged_now_as_they_were(target):
    for cell in [c for c in kept(target)["cells"] if c["nfe"] == 10][::5]:
        again = vp_splitting.cell(target, data.key_of(cell))
        for name, value in again.items():
            told = cell[name] if isinstance(value, str) else pytest.approx(cell[name], rel=1e-3)
            assert value == told, (cell["sampler"], name)


@pytest.mark.heavy
def test_the_network_that_comes_with_the_package_passes_as_a_model_of_the_digits():
    kept("network")
    judge = vp_splitting.judge()
    assert judge["frechet"] < page.PASSES * judge["held_out"]


def test_the_network_of_vp_passed_when_it_was_judged():
    judge = kept("network")["judge"]
    assert judge["frechet"] < page.PASSES * judge["held_out"] and BUNDLED["digits-vp"].is_file()


def test_other_settings_do_not_join_the_cells_that_are_there(tmp_path, monkeypatch):
    told = kept("dataset") | {"seed": 7}
    monkeypatch.setattr(store, "DATA", tmp_path)
    store.save("vp_dataset", told)
    with pytest.raises(ValueError, match="holds another seed; delete it to start anew"):
        vp_splitting.compute("dataset")


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path, monkeypatch):
    found = kept("dataset")
    monkeypatch.setattr(store, "DATA", tmp_path)
    store.save("vp_dataset", found | {"cells": found["cells"][:-2]})
    asked = []

    def cell(target, key):
        asked.append(key)
        return next(c for c in found["cells"] if data.key_of(c) == key)

    monkeypatch.setattr(vp_splitting, "cell", cell)
    vp_splitting.compute("dataset")
    assert asked == list(data.keys())[-2:]
    assert kept("dataset")["cells"] == found["cells"]


@pytest.fixture(scope="module")
def built():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "limit", lambda *_: 0.0092)
        return page.build(QUICK)


def columns(built, target, grid, prefix="nfe"):
    """Numbers of a table by budget and sampler, as a reader finds them; the links taken off."""
    table = built.find(f"vp-splitting-{target}-{grid}")
    names = [str(row[0]).strip("[").split("]")[0] for row in table.rows]
    return {
        column.key.removeprefix(prefix): dict(
            zip(names, (row[i] for row in table.rows), strict=True)
        )
        for i, column in enumerate(table.columns)
        if column.key.startswith(prefix)
    }


def two_best(values):
    """Name and number of the best splitting and of the best other sampler."""
    there = {name: v for name, v in values.items() if v is not None}
    kinds = ({n: v for n, v in there.items() if (n in data.SPLITTINGS) == own} for own in (1, 0))
    return [min(kind.items(), key=lambda item: item[1]) for kind in kinds]


@pytest.mark.heavy
def test_the_first_sentence_is_true_of_all_samplers_of_vp(built):
    """Every named sampler, run through another door, loses where the sentence says it does."""
    won = 0
    names = [s.name for s in samplers("vp")]
    for grid in data.GRIDS:
        ours = problem_for("vp", grid=grid)
        for nfe, values in columns(built, "digits", grid).items():
            assert set(names) | {data.REUSED, data.TUNED} == set(values)
            (_, a), (other, b) = two_best(values)
            steps = ours.steps(find(other, "vp"), int(nfe)) if other != data.TUNED else 0
            if steps:
                assert ours.errors(find(other, "vp"), steps)["w2_x"] == pytest.approx(b, rel=1e-5)
            won += a < b
    assert f"Of {len(names) + 2} samplers" in built.lead
    assert f"in {won or 'none'} of 10 cases" in built.lead


def test_every_word_of_vp_that_splits_is_among_the_splittings():
    for own in samplers("vp"):
        assert ("L" in {op.letter for op in own.word}) == (own.name in data.SPLITTINGS)


def test_the_page_says_what_its_tables_hold(built):
    rows = []
    for grid in data.GRIDS:
        for nfe, values in columns(built, "digits", grid).items():
            best = (f"{name}: {printed(value)}" for name, value in two_best(values))
            rows.append((grid, int(nfe), *best))
            assert not any(math.isnan(v) for v in values.values() if v is not None)
    assert list(built.find("vp-splitting-digits-best").rows) == rows
    assert values["DPM++3S"] == data.exact(("DPM++3S", "quadratic", 100))["w2_x"]


def test_what_the_lead_says_of_samples_is_counted_again_with_their_errors(built):
    sure, other_sure, total = 0, 0, 0
    for target, title in page.TITLES.items():
        kept(target)
        cases, won = 0, 0
        shown = {row[:2]: row[2:] for row in built.find(f"vp-splitting-{target}-best").rows}
        for grid in data.GRIDS:
            errors = columns(built, target, grid, "error")
            for nfe, values in columns(built, target, grid).items():
                (own, a), (other, b) = two_best(values)
                cases, won = cases + 1, won + (a < b)
                for name, text in zip((own, other), shown[grid, int(nfe)], strict=True):
                    told = f"{printed(values[name], '2g')} ± {printed(errors[nfe][name], '1g')}"
                    assert text == f"{name}: {told}"
                chance = math.sqrt(errors[nfe][own] ** 2 + errors[nfe][other] ** 2)
                sure, other_sure = sure + (b > a + 2 * chance), other_sure + (a > b + 2 * chance)
                total += 1
        assert f"in {won} of {cases} with the {title}" in built.lead
    said = f"by more than two standard errors it is in {sure or 'none'} of these {total}, and "
    assert built.lead.endswith(f"{said}another sampler in {other_sure or 'none'}.")


@pytest.mark.parametrize(
    ("frechet", "said"), [(25.0, "passes as"), (30.1, "does **not** pass as"), (5.0, "passes as")]
)
def test_a_network_passes_up_to_three_times_the_distance_of_held_out_images(frechet, said):
    judge = {"frechet": frechet, "held_out": 10.0, "number": 5, "sampler": "EM", "nfe": 9}
    told = page._judged(judge)
    assert f"The network {said} a model" in told
    assert f", {printed(frechet / 10, '2g')} times that of as many held-out" in told


def test_the_ratios_that_are_told_are_over_the_error_of_sscs(monkeypatch):
    errors = {"SSCS": 2.0, "SSCS2": 1.0, data.REUSED: 6.0}
    names = (*data.SPLITTINGS, "DDIM")
    cells = {
        (name, page.GRID, nfe): {"w2_x": errors.get(name, 1.0)}
        for name in names
        for nfe in data.NFES
    }
    monkeypatch.setattr(page, "limit", lambda _: 0.125)
    said = page._said(cells)
    assert all(f"0.50 and 3.0 at {nfe}" in said for nfe in data.NFES)


def test_no_table_has_more_columns_than_a_page_is_wide(built):
    for table in (block for block in built.blocks if isinstance(block, Table)):
        assert len(table.columns) <= 12 and len({c.key for c in table.columns}) == len(
            table.columns
        )


def test_the_page_without_stored_results_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "DATA", tmp_path)
    monkeypatch.setattr(page, "limit", lambda *_: 0.0092)
    said = str(page.build(QUICK))
    assert said.count("**Not in this copy**") == len(TARGETS)


def test_the_noise_level_said_to_be_the_best_is_that_of_the_table():
    (table,) = [b for b in levels.blocks() if isinstance(b, Table)]
    for model in ("vp", "ve", "flow"):
        rows = [row for row in table.rows if row[:2] == (model, levels.NAME)]
        assert [row[2] for row in rows] == [f"{float(eta):g}" for eta in levels.LEVELS]
        for place, nfe in enumerate(levels.NFES, 3):
            cells = {str(row[2]): c for row in rows if isinstance(c := row[place], float)}
            least = min(cells.values())
            assert levels.best(model, nfe) == (min(cells, key=lambda eta: cells[eta]), least)
    ours = problem_for("vp", "digits", grid="quadratic", denoise="data")
    own = with_noise_level(find("SSCS", "vp"), levels.LEVELS[1])
    assert levels.errors()["vp", "SSCS", "0.5"][20] == ours.errors(own, 19)["w2_x"]
