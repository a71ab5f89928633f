"""Images to train on: what is read, how it is scaled, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from gpu_samplers.data import Images, digits, load_images


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
    assert digits().digest not in (Images("", other).digest, Images("", other.reshape(1797, 1, 4, 16)).digest)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"pictures": np.zeros((2, 4, 4))}, "holds pictures, but no array `images`"),
        ({"images": np.zeros((2, 4, 5))}, r"images are \(N, H, H\)"),
        ({"images": np.zeros((4, 4))}, r"images are \(N, H, H\)"),
        ({"images": np.zeros((0, 4, 4))}, r"images are \(N, H, H\)"),
        ({"images": np.full((2, 4, 4), 7.0)}, r"numbers in \[-1, 1\]"),
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
    with pytest.raises(ValueError, match=rf"deep\.png: a picture of mode {mode}; it takes one of 8 bits"):
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
