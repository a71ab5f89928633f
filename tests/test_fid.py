"""FID by torch-fidelity: what is handed over at its boundary, and what is refused.

The default tests replace torch-fidelity itself, whose weights are a download; where the package is
installed, one test runs it for real on the architecture with random weights.
"""

from __future__ import annotations

import pickle
import re
import sys
from importlib import import_module
from types import ModuleType
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch

from gpu_samplers.fid import Bytes, fid
from gpu_samplers.quality import frechet_distance

IMAGES = torch.linspace(-1, 1, 3 * 3 * 4 * 4).reshape(3, 3, 4, 4)


def standing_in(monkeypatch, calculate):
    module = ModuleType("torch_fidelity")
    vars(module)["calculate_metrics"] = calculate
    monkeypatch.setitem(sys.modules, "torch_fidelity", module)


def of_means(**options):
    """The Fréchet distance of the images' channel means: what a feature extractor would see of
    them.
    """
    assert options["fid"]
    first, second = (
        np.stack(
            [
                item.double().mean((1, 2)).numpy()
                for item in (options[k][i] for i in range(len(options[k])))
            ]
        )
        for k in ("input1", "input2")
    )
    return {"frechet_inception_distance": frechet_distance(first, second)}


def test_both_sets_reach_the_package_as_bytes(monkeypatch):
    standing_in(monkeypatch, of_means)
    other = IMAGES.flip(0) * 0.5
    levels = [((x + 1) * 127.5).round().mean((2, 3)).double().numpy() for x in (IMAGES, other)]
    assert fid(IMAGES, other) == pytest.approx(frechet_distance(*levels), rel=1e-12)
    assert fid(IMAGES, other) > 1
    assert fid(IMAGES, IMAGES) == pytest.approx(0, abs=1e-9)


def test_a_byte_is_the_nearest_grey_level_and_what_lies_outside_is_clipped():
    pixels = (
        torch.tensor([-1.5, -1.0, 0.0, 1.0, 7.0, 1 / 255]).reshape(1, 1, 2, 3).expand(2, -1, -1, -1)
    )
    item = Bytes(pixels)[1]
    assert item.dtype == torch.uint8
    assert item.shape == (3, 2, 3)
    for channel in item:
        assert channel.flatten().tolist() == [0, 0, 128, 255, 255, 128]


def test_a_folder_of_pictures_is_the_images_in_it(monkeypatch, tmp_path):
    from PIL import Image

    standing_in(monkeypatch, of_means)
    bytes_ = Bytes(IMAGES)
    for i in range(len(bytes_)):
        Image.fromarray(bytes_[i].permute(1, 2, 0).numpy()).save(tmp_path / f"{i}.png")
    other = IMAGES * 0.25
    assert fid(tmp_path, other) == pytest.approx(fid(IMAGES, other), rel=1e-12)


def test_settings_and_known_names_are_passed_on(monkeypatch, tmp_path):
    seen = {}

    def record(**options):
        seen.update(options)
        return {"frechet_inception_distance": 3.5}

    standing_in(monkeypatch, record)
    weights = tmp_path / "inception.pth"
    torch.save({"fc.bias": torch.zeros(2)}, weights)
    assert fid(IMAGES, "cifar10-train", weights=weights, batch=7) == 3.5
    assert seen["input2"] == "cifar10-train"
    assert (seen["batch_size"], seen["cuda"]) == (7, False)
    assert seen["feature_extractor_weights_path"] == str(weights)


def test_a_missing_package_is_one_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(
        ValueError, match=r"torch-fidelity cannot be imported .*splitting-analysis\[fid\]"
    ):
        fid(IMAGES, IMAGES)


def test_weights_that_cannot_be_downloaded_are_one_clear_error(monkeypatch):
    def offline(**_):
        raise URLError("no network")

    standing_in(monkeypatch, offline)
    with pytest.raises(ValueError, match=r"Inception weights .*no network.*give them as a file"):
        fid(IMAGES, IMAGES)


class _Code:
    def __reduce__(self):
        return print, ("run",)


def test_weights_that_would_run_code_are_refused_before_the_package_sees_them(
    monkeypatch, tmp_path, capsys
):
    standing_in(monkeypatch, lambda **_: pytest.fail("the package was called"))
    bad = tmp_path / "bad.pth"
    bad.write_bytes(pickle.dumps(_Code(), protocol=2))
    for path, why in ((bad, "no file of weights"), (tmp_path / "none.pth", "cannot be read")):
        with pytest.raises(ValueError, match=f"{re.escape(str(path))}: .*{why}"):
            fid(IMAGES, IMAGES, weights=path)
    listed = tmp_path / "list.pth"
    torch.save([1], listed)
    with pytest.raises(ValueError, match="no state dict, but list"):
        fid(IMAGES, IMAGES, weights=listed)
    assert "run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("pixels", "why"),
    [
        (IMAGES[:1], "N >= 2"),
        (IMAGES[:, :2], "C = 1 or 3"),
        (IMAGES[0], r"\(N, C, H, W\)"),
        (IMAGES * torch.nan, "finite"),
        (IMAGES.to(torch.uint8), "uint8"),
    ],
)
def test_images_that_are_none_are_refused(pixels, why):
    with pytest.raises(ValueError, match=why):
        fid(IMAGES, pixels)


def test_torch_fidelity_itself_gives_the_frechet_distance_of_its_features(monkeypatch, tmp_path):
    """Random Inception weights: the number means nothing; call, bytes and distance are real."""
    try:
        inception: Any = import_module("torch_fidelity.feature_extractor_inceptionv3")
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torch-fidelity is not here ({error})")
    torch.manual_seed(0)
    saved = {}
    with monkeypatch.context() as patch:
        patch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(
            inception.FeatureExtractorInceptionV3,
            "load_state_dict",
            lambda self, _: saved.update(torch.nn.Module.state_dict(self)),
        )
        extractor = inception.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    weights = tmp_path / "random.pth"
    torch.save(saved, weights)
    sets = [torch.rand(6, 1, 8, 8) * 2 - 1, torch.rand(5, 1, 8, 8) - 1]
    features = [
        extractor(torch.stack([Bytes(s)[i] for i in range(len(s))]))[0].double().numpy()
        for s in sets
    ]
    assert fid(*sets, weights=weights) == pytest.approx(frechet_distance(*features), rel=1e-3)
