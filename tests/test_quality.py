"""Measures of sample quality, and the sweep that stores them, against other routes to the same
numbers.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.linalg
import torch

from gpu_samplers.data import digits
from gpu_samplers.processes import PSLD
from gpu_samplers.quality import (
    frechet_distance,
    nearest_squares,
    residual_noise,
    still_pixel_noise,
)
from reports.experiments import comparisons, quality, quality_data, store
from reports.pages import exact_runs
from splitting_analysis.catalogue import entries, find

RNG = np.random.default_rng(5)


def by_matrix_root(a, b):
    """The Fréchet distance as printed, with SciPy's root of the product of the covariances."""
    mean = a.mean(0) - b.mean(0)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(first @ second)
    return float(mean @ mean + np.trace(first + second - 2 * root.real))


def test_the_frechet_distance_is_the_formula_with_a_matrix_root():
    for n, m, k in ((40, 60, 5), (30, 31, 12), (200, 90, 3)):
        mix = RNG.normal(size=(k, k))
        a, b = RNG.normal(size=(n, k)), RNG.normal(size=(m, k)) @ mix + 0.7
        assert frechet_distance(a, b) == pytest.approx(by_matrix_root(a, b), rel=1e-9)
        assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-12)


def test_the_frechet_distance_of_one_feature_is_that_of_two_normals():
    a, b = RNG.normal(1, 2, size=(50, 1)), RNG.normal(-1, 0.5, size=(70, 1))
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)


def test_the_frechet_distance_survives_singular_covariances():
    a = RNG.normal(size=(8, 20))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(a, a + 3) == pytest.approx(9 * 20, rel=1e-9)
    assert frechet_distance(a, 3 * a) == pytest.approx(
        4 * np.trace(np.cov(a.T)) + 4 * a.mean(0) @ a.mean(0), rel=1e-9
    )


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        (np.zeros((3, 2)), np.zeros((3, 4)), r"\(3, 2\) and \(3, 4\)"),
        (np.zeros(3), np.zeros((3, 1)), "same k"),
        (np.zeros((1, 2)), np.zeros((3, 2)), "first set has 1 sample"),
        (np.zeros((3, 2)), np.full((3, 2), np.nan), "second set holds features that are NaN"),
    ],
)
def test_features_that_have_no_frechet_distance_are_refused(a, b, why):
    with pytest.raises(ValueError, match=why):
        frechet_distance(a, b)


def test_residual_noise_is_the_variance_of_noise_added_to_images(monkeypatch):
    images = digits().pixels
    noise = torch.from_numpy(RNG.normal(size=(500, 1, 8, 8))) * 0.01
    noisy = images[:500] + noise
    assert residual_noise(noisy, images) == pytest.approx(float(noise.square().mean()), rel=1e-6)
    whole = nearest_squares(noisy, images)
    monkeypatch.setattr("gpu_samplers.quality._CHUNK", 7 * len(images))
    assert torch.allclose(nearest_squares(noisy, images), whole, rtol=1e-10)
    pairs = torch.cdist(noisy[:20].flatten(1), images.double().flatten(1)).min(1).values.square()
    assert torch.allclose(whole[:20], pairs, rtol=1e-6)


def test_still_pixels_show_noise_but_not_that_an_image_is_new():
    images = digits().pixels
    seen, held = digits().split()
    assert still_pixel_noise(held, seen) == pytest.approx(0, abs=1e-12)
    assert residual_noise(held, seen) > 0.01
    still = [i for i in range(64) if len(images.flatten(1)[:, i].unique()) == 1]
    noise = torch.from_numpy(RNG.normal(size=(400, 1, 8, 8))) * 0.1
    expected = float(noise.flatten(1)[:, still].square().mean())
    assert still_pixel_noise(images[:400] + noise, images) == pytest.approx(expected, rel=1e-9)
    with pytest.raises(ValueError, match="no pixel is the same"):
        still_pixel_noise(images, images + torch.rand(len(images), 1, 8, 8))


@pytest.mark.parametrize("measure", [residual_noise, still_pixel_noise])
def test_samples_unlike_the_images_are_refused(measure):
    images = digits().pixels[:5]
    for samples, why in (
        (images[:, :, :4], "of one shape"),
        (images[:0], "n, m >= 1"),
        (images * torch.nan, "NaN"),
    ):
        with pytest.raises(ValueError, match=why):
            measure(samples, images)


@pytest.mark.heavy
def test_a_cell_is_what_is_stored():
    """The stored data are those that the code makes now: a cheap cell, and what a perfect sampler
    scores.
    """
    data = quality_data.stored("dataset")
    assert data is not None
    where = quality.target("dataset")
    cells = {quality_data.key_of(cell): cell for cell in data["cells"]}
    assert data["floors"] == pytest.approx(quality.floors(where, data["samples"]), rel=1e-4)
    key = ("ROBA", "uniform", 10, "tuned")
    again = quality.cell(where, key, data["samples"], cells[key]["lambda_s"])
    numbers = [k for k, v in again.items() if isinstance(v, float)]
    assert len(numbers) == 4 + len(quality.EXACT)
    for number in numbers:
        assert again[number] == pytest.approx(cells[key][number], rel=1e-3), number
    assert again.keys() == cells[key].keys()


@pytest.mark.heavy
def test_the_networks_floors_are_what_is_stored():
    found = quality_data.stored("network")
    assert found is not None
    now = quality.floors(quality.target("network"), found["samples"])
    assert found["floors"] == pytest.approx(now, rel=1e-4)


def test_the_exact_errors_and_lambdas_beside_both_targets_are_the_same():
    both = [quality_data.stored(name) for name in ("dataset", "network")]
    first, second = (
        {quality_data.key_of(c): c for c in data["cells"]} for data in both if data is not None
    )
    assert first.keys() == second.keys() and len(first) == len(list(quality.all_keys()))
    for key, cell in first.items():
        for number in (*quality.EXACT, "lambda_s"):
            assert second[key][number] == cell[number], key


@pytest.mark.parametrize("name", ["dataset", "network"])
def test_the_stored_cells_are_all_that_the_catalogue_has_and_of_the_settings_in_the_code(name):
    data = quality_data.stored(name)
    assert data is not None
    assert [quality_data.key_of(cell) for cell in data["cells"]] == list(quality.all_keys())
    for key, value in quality.header(quality.target(name)).items():
        assert data[key] == value, key


def test_lambda_is_tuned_for_schemes_with_an_o_alone():
    both = {key[0] for key in quality.all_keys() if key[3] == "tuned"}
    assert both == {s.name for s in entries("psld") if "O" in str(s.word)}
    assert {key[0] for key in quality.all_keys()} == {s.name for s in entries("psld")}
    assert {key[2] for key in quality.all_keys(50)} == {10, 20, 50}


@pytest.mark.heavy
def test_tuning_takes_the_smallest_distance_on_its_own_seed(monkeypatch):
    scheme, where = find("ROBA"), quality.target("dataset")
    monkeypatch.setattr(quality, "TUNING_SAMPLES", 40)
    quality.tuned.cache_clear()
    best = quality.tuned(scheme, "uniform", 10)
    quality.tuned.cache_clear()
    found: list[float] = []
    for value in quality.LAMBDAS:
        samples = quality.samples_of(where, scheme, "uniform", 10, value, quality.TUNING_SEED, 40)
        distance = quality.qualities(where, samples)["frechet"]
        found.append(np.inf if distance is None else distance)
    assert best == quality.LAMBDAS[int(np.argmin(found))]
    assert quality.TUNING_SEED != quality.SEED


def test_a_tuned_cell_is_that_of_the_smallest_distance_on_the_tuning_seed(monkeypatch):
    """Distances in place of samples, which take seconds; on other samples the least is another."""
    distances = {0.0: 5.0, 0.5: None, 1.0: 3.0, 2.0: 2.0, 4.0: 2.5, 8.0: None}
    sizes = {quality.TUNING_SEED: quality.TUNING_SAMPLES, quality.SEED: 7}

    def samples_of(where, scheme, grid_name, nfe, lambda_s, seed, number):
        assert (scheme.name, grid_name, nfe, number) == ("ROBA", "quadratic", 20, sizes[seed])
        return lambda_s if seed == quality.TUNING_SEED else 8.0 - lambda_s

    monkeypatch.setattr(quality, "samples_of", samples_of)
    monkeypatch.setattr(quality, "qualities", lambda _, value: {"frechet": distances.get(value)})
    monkeypatch.setattr(quality, "gaussian", lambda *given: {"given": given[1:5]})
    where = quality.target("dataset")
    for rule, wanted in (("one", 1.0), ("tuned", 2.0)):
        quality.tuned.cache_clear()
        cell = quality.cell(where, ("ROBA", "quadratic", 20, rule), 7)
        assert cell["lambda_s"] == wanted and cell["given"] == (
            find("ROBA"),
            "quadratic",
            20,
            wanted,
        )
    assert quality.cell(where, ("ROBA", "quadratic", 20, "tuned"), 7, 4.0)["lambda_s"] == 4
    distances.clear()
    quality.tuned.cache_clear()
    assert quality.tuned(find("ROBA"), "quadratic", 20) == 1.0
    quality.tuned.cache_clear()


def test_a_sampler_that_diverges_has_no_quality(monkeypatch):
    where = quality.target("dataset")

    def diverges(*_, **__):
        raise FloatingPointError("ROBA: the state overflowed")
        yield

    monkeypatch.setattr("gpu_samplers.engine.sample", diverges)
    cell = quality.cell(where, ("ROBA", "uniform", 10, "one"), 4)
    assert [cell[k] for k in ("frechet", "residual", "still")] == [None] * 3


def test_a_stopped_run_goes_on_where_it_was_and_another_setting_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(store, "DATA", tmp_path)
    monkeypatch.setattr(quality, "SAMPLES", {"dataset": 8})
    monkeypatch.setattr(quality, "FLOOR_DRAWS", 2)
    wanted = [
        ("EM", "uniform", 10, "one"),
        ("RSE", "uniform", 10, "one"),
        ("RVV", "quadratic", 10, "one"),
    ]
    monkeypatch.setattr(quality, "all_keys", lambda _=0: iter(wanted))
    made: list[str] = []

    def stop(keys, _):
        """Stops the first run after two cells, as Ctrl-C would."""
        for key in keys:
            if len(made) == 2 and "RSE" in {k[0] for k in keys}:
                raise KeyboardInterrupt
            yield key
            made.append(key[0])

    with pytest.raises(KeyboardInterrupt):
        quality.compute("dataset", watch=stop)
    first = quality_data.stored("dataset")
    assert first is not None and len(first["cells"]) == 2
    quality.compute("dataset", watch=stop)
    assert made == ["EM", "RSE", "RVV"]
    whole = quality_data.stored("dataset")
    assert whole is not None
    assert whole["cells"][:2] == first["cells"]
    assert list(tmp_path.iterdir()) == [quality_data.path_of("dataset")]
    monkeypatch.setattr(quality, "SAMPLES", {"dataset": 9})
    with pytest.raises(ValueError, match="holds another samples"):
        quality.compute("dataset")


def test_a_file_that_cannot_be_written_leaves_the_old_one(monkeypatch, tmp_path):
    monkeypatch.setattr(store, "DATA", tmp_path)
    quality_data.save("dataset", {"a": 1, "cells": [{"b": 2.5}, {"b": None}]})
    found = quality_data.stored("dataset")
    assert (
        found is not None and found.items() >= {"a": 1, "cells": [{"b": 2.5}, {"b": None}]}.items()
    )
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(ValueError, match="cannot be written: full"):
        quality_data.save("dataset", {"cells": []})
    assert json.loads((tmp_path / "quality_dataset.json").read_text())["a"] == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_the_gaussian_error_beside_a_cell_is_that_of_the_page_on_exact_errors():
    for name, grid in (("NOBA", "uniform"), ("RVV", "quadratic")):
        card = exact_runs.at_budget(find(name), 50, grid)
        assert card is not None
        found = quality.gaussian(PSLD(), find(name), grid, 50, 1.0)
        assert found == {key: pytest.approx(card[key], rel=1e-5) for key in quality.EXACT}


def test_there_is_no_other_target():
    with pytest.raises(ValueError, match="no target 'cifar'"):
        quality.target("cifar")


def test_the_stored_comparisons_are_of_the_settings_in_the_code():
    stored = store.stored("comparisons")
    assert (
        stored is not None and stored["targets"].keys() | {"patches"} == comparisons.NOISES.keys()
    )
    for name, part in stored["targets"].items():
        assert part["weights_sha256"] == quality.target(name).weights
        settings = (quality.SAMPLES[name], quality.SEED, comparisons.GROUPS)
        assert (part["samples"], part["seed"], part["groups"]) == settings


def test_a_comparison_is_the_two_cells_apart_with_a_standard_error_each():
    """On few samples of few steps: Fréchet distances and noise of the two runs, taken one by
    one.
    """
    where, n = quality.target("dataset"), 160
    found = comparisons.comparison(where, ("NSE", "RSE"), "uniform", 5, n)
    runs = [
        quality.samples_of(where, find(k), "uniform", 5, 1.0, quality.SEED, n)
        for k in ("NSE", "RSE")
    ]
    naive, reduced = (quality.qualities(where, samples) for samples in runs)
    for measure, cell in (("frechet", "frechet"), ("noise", "residual")):
        apart = (naive[cell] or 0) - (reduced[cell] or 0)
        assert found[measure] == pytest.approx(apart, rel=1e-4)
    squares = [
        nearest_squares(samples, where.data).numpy() / 64 for samples in runs if samples is not None
    ]
    spread = np.std(squares[0] - squares[1], ddof=1) / np.sqrt(n)
    assert found["noise_error"] == pytest.approx(spread, rel=1e-9)
    assert 0 < found["frechet_error"] < abs(found["frechet"])


def test_the_error_of_a_difference_is_its_spread_over_seeds():
    """Features of two samplers that share half of what is random: drawn anew forty times."""
    rng, reference = np.random.default_rng(0), np.random.default_rng(1).normal(size=(500, 3))
    found = []
    for _ in range(40):
        shared = rng.normal(size=(160, 3))
        a, b = (shared + rng.normal(size=(160, 3)) * scale for scale in (0.8, 0.4))
        found.append(comparisons.difference(a, b, reference))
    apart, errors = np.array(found).T
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(apart.std(ddof=1), rel=0.35)
