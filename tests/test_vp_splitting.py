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
from reports.pages.settings import QUICK
from splitting_analysis import find

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
    assert [data.key_of(cell) for cell in cells] == list(data.keys(target))
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
        assert again == pytest.approx(cell, rel=1e-3), cell["sampler"]


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
    assert asked == list(data.keys("dataset"))[-2:]
    assert kept("dataset")["cells"] == found["cells"]


def test_the_page_says_what_its_tables_hold(monkeypatch):
    monkeypatch.setattr(page, "limit", lambda _: 0.0092)
    built = page.build(QUICK)
    table = built.find("vp-splitting-digits")
    column = [c.key for c in table.columns].index("quadratic20")
    values = {row[0]: row[column] for row in table.rows}
    best = min(v for v in values.values() if v is not None)
    assert best == data.exact(("UniPC3", "quadratic", 20))["w2_x"]
    assert f"{best:.3g} (UniPC3) with 20" in built.lead
    assert values["DDIM"] < min(v for k, v in values.items() if "Strang" in k and v)
    assert not any(math.isnan(v) for v in values.values() if v is not None)


def test_the_page_without_stored_results_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "DATA", tmp_path)
    monkeypatch.setattr(page, "limit", lambda _: 0.0092)
    said = str(page.build(QUICK))
    assert said.count("**Not in this copy**") == len(TARGETS)
