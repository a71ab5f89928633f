"""What is seen of a colour patch: the power of known waves, and features that tell patches from bad
ones.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="features need torch")

from gpu_samplers.data import patches  # noqa: E402
from gpu_samplers.patch_features import (  # noqa: E402
    BANDS,
    CHANNELS,
    band_power,
    opponent,
    patch_features,
    wavelets,
)
from gpu_samplers.quality import frechet_distance  # noqa: E402

GREY, RED_GREEN = torch.ones(3), torch.tensor([1.0, -1.0, 0.0])


@pytest.fixture(scope="module")
def taught():
    images = patches()
    assert images.held is not None
    return images.pixels[: -images.held.sum() : 37].clone()


def wave(cycles, angle, colour=GREY, phase=0.3):
    """A wave of so many cycles along a patch, (1, 3, 32, 32)."""
    at = torch.arange(32) / 32
    along = math.cos(angle) * at[None] + math.sin(angle) * at[:, None]
    return colour[:, None, None] * torch.sin(2 * math.pi * cycles * along + phase)[None, None]


def test_the_opponent_channels_are_a_rotation_whose_first_axis_is_grey():
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    turned = opponent(images)
    assert torch.allclose(turned.square().sum(1), images.double().square().sum(1))
    assert torch.allclose(turned[:, 0], images.double().sum(1) / 3**0.5)
    assert opponent(wave(3, 0)).abs().amax((0, 2, 3))[1:].max() < 1e-6


@pytest.mark.parametrize("cycles", [2, 5, 11, 16])
@pytest.mark.parametrize("angle", [0.0, math.pi / 2])
def test_the_power_of_a_wave_is_in_its_own_band_and_channel(cycles, angle):
    power = band_power(wave(cycles, angle, RED_GREEN))[0]
    assert CHANNELS[np.unravel_index(power.argmax(), power.shape)[0]] == "red-green"
    assert power[1].argmax() == cycles - 1
    near = power[1, max(0, cycles - 3) : cycles + 2].sum()
    assert near > 0.95 * power.sum() and power[[0, 2]].max() < 1e-10 * near


def test_white_noise_has_the_same_power_in_every_band_and_a_flat_patch_has_none():
    noise = 0.5 * torch.randn(600, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    power = band_power(noise).mean(0)
    window = np.square(np.hanning(34)[1:-1]).mean() ** 2
    assert power[:, 2:] == pytest.approx(0.25 * window * np.ones((3, BANDS - 2)), rel=0.06)
    assert band_power(torch.full((1, 3, 32, 32), 0.7)).max() < 1e-20


def test_the_wavelets_see_no_grey_level_and_each_sees_its_own_direction():
    bank = wavelets()
    assert torch.allclose(bank.sum((2, 3)), torch.zeros(4, 2, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(bank.square().sum((1, 2, 3)), torch.ones(4, dtype=torch.float64))
    for k in range(4):
        seen = patch_features(wave(9, math.pi * k / 4))[0, 3:7]  # the luminance's finest moduli
        assert seen.argmax() == k


def test_features_of_a_patch_are_its_own():
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    found = patch_features(images)
    assert found.shape == (3, 91) and found.dtype == np.float64
    for k in range(3):
        assert patch_features(images[k : k + 1])[0] == pytest.approx(found[k], abs=1e-5)


@pytest.mark.heavy
def test_features_do_not_depend_on_which_patches_are_seen_together(taught):
    alone = np.concatenate([patch_features(taught[:1]), patch_features(taught[1:40])])
    assert patch_features(taught[:40]) == pytest.approx(alone, abs=1e-5)
    assert alone.shape == (40, 91) and alone.dtype == np.float64


def spoiled(images, how):
    generator = torch.Generator().manual_seed(2)
    if how == "noise":
        return images + 0.02 * torch.randn(images.shape, generator=generator)
    if how == "blur":
        return torch.nn.functional.avg_pool2d(
            torch.nn.functional.pad(images, (1,) * 4, "reflect"), 3, 1
        )
    if how == "colours":
        return images[:, [2, 0, 1]]
    # the same power spectrum and no edges: phases at random, the same in all channels
    if how == "scrambled":
        turn = torch.fft.rfft2(torch.randn(len(images), 1, 32, 32, generator=generator))
        return torch.fft.irfft2(torch.fft.rfft2(images) * turn / turn.abs(), s=(32, 32))
    return 1.3 * images


@pytest.mark.share(3)
@pytest.mark.parametrize("how", ["noise", "blur", "colours", "scrambled", "contrast"])
def test_patches_are_far_from_spoiled_ones_and_near_to_others_like_them(taught, how):
    """An error of one part in fifty is an order of magnitude beyond what chance makes."""
    one, other = patch_features(taught[::2]), patch_features(taught[1::2])
    chance = frechet_distance(one, other)
    assert frechet_distance(patch_features(spoiled(taught[1::2], how)), one) > 3 * chance


@pytest.mark.parametrize("see", [opponent, band_power, patch_features])
@pytest.mark.parametrize(
    ("images", "says"),
    [
        (torch.zeros(2, 1, 32, 32), r"colour patches are \(N, 3, 32, 32\), not \(2, 1, 32, 32\)"),
        (torch.zeros(3, 32, 32), r"not \(3, 32, 32\)"),
        (torch.full((1, 3, 32, 32), math.nan), "NaN or infinite"),
    ],
)
def test_what_is_no_set_of_patches_is_refused(see, images, says):
    with pytest.raises(ValueError, match=says):
        see(images)
