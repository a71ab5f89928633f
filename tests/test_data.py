"""Images to train on: what is read, how it is scaled, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image

from gpu_samplers.data import BUNDLED, Images, digits, load_images
from gpu_samplers.network import ncsnpp
from gpu_samplers.processes import PSLD, VP
from gpu_samplers.training_settings import NETWORKS, network_for


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_the_digits_are_scikit_learns_with_16_grey_levels_between_minus_one_and_one():
    images = load_images("digits")
    assert images.name == "digits"
    assert images.pixels.shape == (1797, 1, 8, 8) and images.pixels.dtype == torch.float32
    assert np.array_equal((images.pixels[:, 0].numpy() + 1) * 8, load_digits().images)


def test_every_fifth_image_is_held_out_and_none_twice():
    pixels = torch.arange(12.0).reshape(12, 1, 1, 1)
    taught, held = Images("twelve", pixels).split()
    assert held.flatten().tolist() == [4, 9]
    assert taught.flatten().tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 10, 11]


def test_a_set_may_say_itself_what_is_held_out():
    pixels, held = torch.arange(4.0).reshape(4, 1, 1, 1), torch.tensor([False, True, True, False])
    images = Images("four", pixels, held)
    assert [part.flatten().tolist() for part in images.split()] == [[0, 3], [1, 2]]
    assert len({images.digest, Images("", pixels).digest, Images("", pixels, ~held).digest}) == 3


@pytest.mark.parametrize("held", [[1, 0, 1, 0], [True] * 4, [False] * 4, [True, False, True]])
def test_a_split_that_is_none_is_refused(held):
    with pytest.raises(ValueError, match="four: `held` is one bool per image, 4, true for some"):
        Images("four", torch.zeros(4, 1, 1, 1), torch.tensor(held))


@pytest.fixture(scope="module")
def patches():
    return load_images("patches")


def test_patches_of_photographs_stand_where_they_were_taken_from(monkeypatch):
    """Of small ones: of the first row, of the second and the last, each with its mirror image."""
    levels = np.arange(2 * 50 * 140 * 3, dtype=np.float32).reshape(2, 50, 140, 3) % 251
    shown = {"china.jpg": levels[0], "flower.jpg": levels[1]}
    monkeypatch.setattr("sklearn.datasets.load_sample_image", shown.__getitem__)
    for part, first, stride in zip(BUNDLED["patches"]().split(), (0, 70), (5, 16), strict=True):
        corners = [(i, j) for i in range(0, 19, stride) for j in range(first, first + 39, stride)]
        assert len(part) == 4 * len(corners) > 8
        for at, (k, i, j) in enumerate((k, *corner) for k in (0, 1) for corner in corners):
            patch = (levels[k, i : i + 32, j : j + 32] / 127.5 - 1).transpose(2, 0, 1)
            place = at + k * len(corners)
            assert np.allclose(part[place], patch, atol=1e-6)
            assert np.allclose(part[place + len(corners)], patch[:, :, ::-1], atol=1e-6)


@pytest.mark.heavy
def test_patches_are_of_left_halves_those_held_out_of_right_ones_and_each_has_a_mirror_image(
    patches,
):
    """Each by its place: rows, then columns, at a stride; a photograph, then its mirrored
    patches.
    """
    for part, first, stride in zip(patches.split(), (0, 320), (5, 16), strict=True):
        corners = [
            (i, j) for i in range(0, 427 - 31, stride) for j in range(first, first + 289, stride)
        ]
        assert len(part) == 4 * len(corners)
        for k, name in enumerate(("china.jpg", "flower.jpg")):
            photograph = load_sample_image(name)
            for at in (0, 1, len(corners) // 2, len(corners) - 1):
                i, j = corners[at]
                patch = (photograph[i : i + 32, j : j + 32] / 127.5 - 1).transpose(2, 0, 1)
                plain, mirrored = (
                    part[2 * k * len(corners) + at],
                    part[(2 * k + 1) * len(corners) + at],
                )
                assert np.allclose(plain.numpy(), patch, atol=1e-6)
                assert np.allclose(mirrored.numpy(), patch[:, :, ::-1], atol=1e-6)


@pytest.mark.heavy
def test_the_power_of_the_patches_falls_like_that_of_natural_images(patches):
    """Like k^-2, averaged over directions; the window keeps the edges of a patch from adding to
    it.
    """
    window = np.outer(np.hanning(32), np.hanning(32))
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(32, 1 / 32), np.fft.fftfreq(32, 1 / 32))).round()
    for part in patches.split():
        x = part[::14].double().numpy()
        x -= x.mean((2, 3), keepdims=True)
        power = np.square(np.abs(np.fft.fft2(x * window))).mean((0, 1))
        bands = [power[k == band].mean() for band in range(2, 16)]
        slope, _ = np.polyfit(np.log(range(2, 16)), np.log(bands), 1)
        assert slope == pytest.approx(-2.0, abs=0.1)


def test_every_set_that_is_bundled_has_a_network_that_takes_it_and_is_small():
    assert NETWORKS.keys() == BUNDLED.keys()
    sizes = {"digits": (1, 8), "patches": (3, 32)}
    for name, config in NETWORKS.items():
        assert (config.in_ch, config.out_ch) == (2 * sizes[name][0],) * 2
        assert network_for(name, VP()).in_ch == network_for(name, VP()).out_ch == sizes[name][0]
        assert network_for(name, PSLD()) == config
        assert config.image_size == sizes[name][1]
        with torch.device("meta"):
            assert sum(p.numel() for p in ncsnpp(config).parameters()) < 3e6  # 12 MB in float32


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    for name, level in (("b.png", 255), ("a.png", 0), ("notes.txt", None)):
        if level is None:
            (tmp_path / name).write_text("no picture")
        else:
            Image.fromarray(np.full((4, 4), level, np.uint8)).save(tmp_path / name)
    pixels = load_images(tmp_path).pixels
    assert pixels.shape == (2, 1, 4, 4)
    assert pixels[0].unique().item() == -1 and pixels[1].unique().item() == 1


def test_colours_are_channels(tmp_path):
    colour = np.zeros((4, 4, 3), np.uint8)
    colour[..., 2] = 255
    Image.fromarray(colour).save(tmp_path / "blue.png")
    pixels = load_images(tmp_path).pixels
    assert pixels.shape == (1, 3, 4, 4)
    assert pixels.mean((0, 2, 3)).tolist() == [-1, -1, 1]


def test_an_npz_holds_bytes_or_numbers_between_minus_one_and_one(tmp_path):
    levels = np.array([[[0, 255], [51, 204]]], np.uint8)
    bytes_ = load_images(saved(tmp_path / "bytes.npz", images=levels))
    numbers = load_images(saved(tmp_path / "numbers.npz", images=levels[..., None] / 127.5 - 1))
    assert bytes_.pixels.shape == (1, 1, 2, 2)
    assert torch.allclose(bytes_.pixels, numbers.pixels, atol=1e-7)
    assert bytes_.pixels.flatten().tolist() == pytest.approx([-1, 1, -0.6, 0.6])


def test_two_sets_have_one_digest_only_if_every_pixel_is_the_same():
    other = digits().pixels.clone()
    other[5, 0, 3, 3] += 1e-6
    assert digits().digest == Images("another name", digits().pixels.clone()).digest
    assert digits().digest not in (
        Images("", other).digest,
        Images("", other.reshape(1797, 1, 4, 16)).digest,
    )


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"pictures": np.zeros((2, 4, 4))}, "holds pictures, but no array `images`"),
        ({"images": np.zeros((2, 4, 5))}, r"images are \(N, H, H\)"),
        ({"images": np.zeros((4, 4))}, r"images are \(N, H, H\)"),
        ({"images": np.zeros((0, 4, 4))}, r"images are \(N, H, H\)"),
        ({"images": np.full((2, 4, 4), 1.01)}, r"numbers in \[-1, 1\].* from 1\.01 to 1\.01"),
        ({"images": np.full((2, 4, 4), np.nan)}, r"numbers in \[-1, 1\]"),
        ({"images": np.zeros((2, 4, 4), np.int64)}, "these are int64"),
        ({"images": np.zeros((2, 4, 4), object)}, "cannot be read: Object arrays"),
    ],
)
def test_an_npz_of_something_else_is_refused_by_name(tmp_path, arrays, says):
    path = saved(tmp_path / "some.npz", **arrays)
    with pytest.raises(ValueError, match=says) as error:
        load_images(path)
    assert str(path) in str(error.value)


def test_pictures_of_several_sizes_damaged_ones_and_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no pictures"):
        load_images(tmp_path)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b\.png.*\(5, 5\), but a\.png \(4, 4\)"):
        load_images(tmp_path)
    (tmp_path / "b.png").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"b\.png: cannot be read"):
        load_images(tmp_path)


@pytest.mark.parametrize(
    ("levels", "mode"),
    [
        (np.array([[0, 256], [4096, 65535]], np.uint16), "I;16"),
        (np.array([[0, 0.5], [1, 300]], np.float32), "F"),
    ],
    ids=["16 bits", "floating point"],
)
def test_pictures_of_more_than_8_bits_are_refused_rather_than_cut_to_white(tmp_path, levels, mode):
    Image.fromarray(levels).save(tmp_path / "deep.png", format="PNG" if mode == "I;16" else "TIFF")
    with pytest.raises(
        ValueError, match=rf"deep\.png: a picture of mode {mode}; it takes one of 8 bits"
    ):
        load_images(tmp_path)


@pytest.mark.parametrize("source", ["digit", "missing.npz", "missing/"])
def test_what_is_no_data_is_refused(source):
    with pytest.raises(ValueError, match=r"no data.*give digits, patches, a folder"):
        load_images(source)


def test_a_damaged_npz_is_refused(tmp_path):
    path = tmp_path / "cut.npz"
    path.write_bytes(saved(tmp_path / "whole.npz", images=np.zeros((2, 4, 4))).read_bytes()[:60])
    with pytest.raises(ValueError, match=r"cut\.npz: cannot be read"):
        load_images(path)


def test_a_file_that_is_no_npz_inside_is_refused_by_name(tmp_path):
    (tmp_path / "text.npz").write_text("no arrays")
    with pytest.raises(ValueError, match=r"text\.npz: cannot be read"):
        load_images(tmp_path / "text.npz")
