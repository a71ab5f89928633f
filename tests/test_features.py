"""The classifier behind the Fréchet distance: what it knows, and that the file is what the script
makes.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gpu_samplers import features
from gpu_samplers.data import digits
from gpu_samplers.quality import frechet_distance


def test_the_shipped_classifier_knows_the_held_out_digits_as_well_as_its_record_says():
    network, record = features.classifier()
    _, held = digits().split()
    rows = np.arange(len(digits().pixels)) % 5 == 4
    guesses = network(held.double()).argmax(1).numpy()
    share = float(np.mean(guesses == features.labels().numpy()[rows]))
    assert share == pytest.approx(record["accuracy"], abs=1e-9)
    assert share > 0.95
    assert record["test_images"] == len(held) == rows.sum()
    assert features.FILE.stat().st_size < 300_000


def test_the_features_are_what_the_last_layer_sees_in_float64():
    network, _ = features.classifier()
    images = digits().pixels[:7]
    found = features.digit_features(images)
    assert found.shape == (7, features.FEATURES)
    assert found.dtype == np.float64
    assert -0.279 < found.min() < 0  # smooth in the image: SiLU's least value, and none cut off
    logits = found @ network.last.weight.detach().numpy().T + network.last.bias.detach().numpy()
    assert np.allclose(logits, network(images.double()).detach().numpy(), rtol=1e-12)


@pytest.mark.heavy
def test_noise_and_a_missing_class_both_move_the_frechet_distance():
    images = digits().pixels
    seen = features.digit_features(images)
    floor = frechet_distance(
        features.digit_features(images[::2]), features.digit_features(images[1::2])
    )
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    noisy = [
        frechet_distance(features.digit_features(images + s * noise), seen) for s in (0.1, 0.3, 1.0)
    ]
    assert noisy == sorted(noisy)
    assert noisy[-1] > 10 * floor
    assert frechet_distance(seen[features.labels().numpy() != 3], seen) > floor


def test_training_is_the_same_twice_and_leaves_torchs_generator_alone(tmp_path):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    (first, record), (second, _) = features.train(epochs=1), features.train(epochs=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert record["epochs"] == 1
    assert 0.3 < record["accuracy"] < 1


def test_what_is_saved_is_read_again_and_a_bad_file_is_refused(monkeypatch, tmp_path):
    path = tmp_path / "made" / "c.safetensors"
    network = features.Classifier()
    features.save(network, {"accuracy": 0.5}, path)
    monkeypatch.setattr(features, "FILE", path)
    features.classifier.cache_clear()
    try:
        read, record = features.classifier()
        assert record == {"accuracy": 0.5}
        assert torch.equal(read.last.weight, network.last.weight.double())
        features.classifier.cache_clear()
        path.write_bytes(b"no weights")
        with pytest.raises(
            ValueError, match=r"not the weights of the classifier .*python -m gpu_samplers.features"
        ):
            features.classifier()
        path.unlink()
        with pytest.raises(ValueError, match="not the weights of the classifier"):
            features.classifier()
    finally:
        monkeypatch.undo()
        features.classifier.cache_clear()


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(N, 1, 8, 8\), not \(2, 64\)"):
        features.digit_features(torch.zeros(2, 64))
