"""The digits network: that it is a real model, and that what is stored about it is about these
weights.
"""

from __future__ import annotations

import hashlib
import re
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from gpu_samplers.data import digits
from gpu_samplers.embedded import DIGITS, digits_network
from gpu_samplers.features import digit_features
from gpu_samplers.matching import loss_of
from gpu_samplers.quality import frechet_distance, residual_noise, still_pixel_noise
from gpu_samplers.training_settings import DIGITS_CONFIG, Settings
from reports.experiments import quality_data, samples, store
from reports.experiments.store import stored
from reports.pages import (
    crossval_global,
    crossval_local,
    crossval_reuse,
    crossval_rounding,
    network,
)
from reports.pages.settings import QUICK
from reports.render.document import to_json
from reports.render.html import render
from splitting_analysis.grids import EPS


def pixels(rows):
    return np.array([list(bytes.fromhex(row)) for row in rows], dtype=int)


def test_the_weights_are_small_and_those_of_the_default_training():
    net, process = digits_network()
    assert DIGITS.stat().st_size < 8e6
    assert (net.config, process) == (DIGITS_CONFIG, Settings(DIGITS_CONFIG).process)


def test_it_predicts_noise_on_images_that_it_has_never_seen_as_well_as_its_record_says():
    net, process = digits_network()
    _, held = digits().split()
    generator = torch.Generator().manual_seed(5)
    normal = torch.randn(len(held), 2, 8, 8, generator=generator)
    tau = torch.linspace(1e-3, 1, len(held))[torch.randperm(len(held), generator=generator)]
    with torch.no_grad():
        found = loss_of(net, process, held, tau, normal).item()
    data = stored("network")
    assert data is not None
    assert found == pytest.approx(data["curve"][-1][2], rel=0.1)
    assert found < 0.05  # predicting nothing has a loss of 1


def pictured():
    """The stored samples by grey levels (80, 8, 8), out of their mosaic."""
    data = stored("network")
    assert data is not None
    assert data["weights_sha256"] == hashlib.sha256(DIGITS.read_bytes()).hexdigest()
    framed = pixels(data["pictures"]["samples"]).reshape(samples.ROWS, 9, samples.COLUMNS, 9)
    return framed.transpose(0, 2, 1, 3).reshape(-1, 9, 9)[:, :8, :8]


def off_the_picture(drawn):
    """By how many grey levels samples lie at most from those of the picture."""
    now = np.rint((drawn[:80, 0].clamp(-1, 1).double().numpy() + 1) * 127.5)
    return np.abs(now - pictured()[: len(now)]).max()


@pytest.mark.heavy
def test_samples_drawn_now_are_those_of_the_picture():
    # a rounding error may cross the border of a grey level
    assert off_the_picture(samples.sampled(4)) <= 1
    assert pictured()[:4].std() > 50


def test_the_samples_of_the_picture_are_closer_to_the_digits_than_noise():
    drawn = torch.from_numpy(pictured()[:, None] / 127.5 - 1)
    taught, held = digits().split()
    reference = digit_features(taught)
    blurred = held[: len(drawn)] + torch.randn(
        drawn.shape, generator=torch.Generator().manual_seed(1)
    )
    distances = [frechet_distance(digit_features(s.float()), reference) for s in (drawn, blurred)]
    assert distances[0] < distances[1] / 2
    assert still_pixel_noise(drawn, taught) < 0.01


def judged(images):
    """The three numbers of a set of images, beside those that were taught."""
    taught, _ = digits().split()
    return {
        "frechet": frechet_distance(digit_features(images), digit_features(taught)),
        "residual": residual_noise(images, taught),
        "still": still_pixel_noise(images, taught),
    }


def test_samples_and_held_out_images_are_judged_beside_those_that_were_taught(monkeypatch):
    _, held = digits().split()
    generator = torch.Generator().manual_seed(3)
    images = held[:100] + 0.1 * torch.randn(100, 1, 8, 8, generator=generator)
    monkeypatch.setattr(samples, "sampled", lambda number: images)
    made, data = samples.compute(), stored("network")
    assert data is not None
    assert made["judged"]["samples"] == pytest.approx(judged(images), rel=1e-5)
    for found in (made, data):
        assert found["judged"]["held-out images"] == pytest.approx(judged(held), rel=1e-4, abs=1e-9)
    drawn = ("judged", "pictures")
    assert {k: v for k, v in made.items() if k not in drawn} == {
        k: v for k, v in data.items() if k not in drawn and not k.startswith("_")
    }
    assert made["pictures"]["data"] == data["pictures"]["data"]


def test_the_stored_samples_are_as_good_as_more_of_the_same_in_the_sweep():
    """The 512 of the cell begin with these 359: fewer images lie a little farther off."""
    data, sweep = stored("network"), quality_data.stored("network")
    assert data is not None and sweep is not None
    key = (data["sampler"], data["grid"], data["nfe"], "one")
    (cell,) = (cell for cell in sweep["cells"] if quality_data.key_of(cell) == key)
    assert (sweep["seed"], sweep["eps"]) == (data["seed"], EPS)
    for measure, value in data["judged"]["samples"].items():
        assert value == pytest.approx(cell[measure], rel=0.2), measure


@pytest.mark.heavy
def test_the_stored_samples_are_drawn_and_judged_now_as_they_were():
    data = stored("network")
    assert data is not None
    drawn = samples.sampled(data["number"])
    assert len(pictured()) == 80 and off_the_picture(drawn) <= 1
    assert data["judged"]["samples"] == pytest.approx(judged(drawn), rel=1e-3)


def test_samples_lie_within_three_times_the_floor():
    data = stored("network")
    assert data is not None
    assert 0.3 < network.ratio(data) < network.WITHIN


def test_the_page_shows_two_pictures_and_the_curve_and_needs_no_torch():
    page = network.build(QUICK)
    pictures, curve = page.find("network-samples"), page.find("network-loss")
    assert [len(panel.pixels) for panel in pictures.panels] == [72, 72]
    assert len(curve.panels[0].lines) == 2
    html = render(page, [("network", "Digits network")])
    assert html.count("data:image/png;base64") == 2
    assert "pixels" in str(to_json(page))


@pytest.mark.parametrize(
    "page",
    [network, crossval_global, crossval_local, crossval_reuse, crossval_rounding],
    ids=lambda page: page.__name__,
)
def test_a_page_without_its_stored_results_says_how_to_make_them(page, monkeypatch, tmp_path):
    monkeypatch.setattr(store, "DATA", tmp_path)
    built = page.build(QUICK)
    assert "missing from this copy" in built.lead
    (module,) = re.findall(r"python -m (reports\.experiments\.\w+)", str(built.blocks))
    assert find_spec(module) is not None


def test_the_ratio_is_of_samples_to_what_was_held_out():
    judged = {"samples": {"frechet": 6.0}, "held-out images": {"frechet": 4.0}}
    assert network.ratio({"judged": judged}) == 1.5
