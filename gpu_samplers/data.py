"""Images to train on, scaled to [-1, 1]: two sets of scikit-learn's, a folder of pictures, or an
npz file.
"""

from __future__ import annotations

import hashlib
import math
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpu_samplers.files import check_readable, is_folder, is_there
from gpu_samplers.memory import check_memory

PICTURES = (".png", ".jpg", ".jpeg")
HOLD_OUT_EVERY = 5
"""Every fifth image is held out, unless a set says which: that depends on nothing but their
order.
"""
PHOTOGRAPHS = ("china.jpg", "flower.jpg")
PATCH = 32
"""Pixels along one side of a patch: CIFAR's."""
TAUGHT_STRIDE, HELD_STRIDE = 5, 16
"""Pixels from one patch to the next, where patches are trained on and where they are held out."""
MOST_PIXELS = 4096
"""Along one side of a picture: what the largest network takes."""


@dataclass(frozen=True)
class Images:
    """Images (N, C, H, W), float32 in [-1, 1], and a name that says what they are.

    `held` (N,) says which of them are held out; None: every fifth. ValueError for another mask.
    """

    name: str
    pixels: torch.Tensor
    held: torch.Tensor | None = None

    def __post_init__(self) -> None:
        held = self.held
        if held is None:
            return
        if (
            held.dtype != torch.bool
            or held.shape != self.pixels.shape[:1]
            or held.all()
            or not held.any()
        ):
            raise ValueError(
                f"{self.name}: `held` is one bool per image, {len(self.pixels)}, true for some "
                "and not for all"
            )

    @property
    def digest(self) -> str:
        """SHA-256 of the pixels, their shape and a split of their own: whether two runs saw the
        same data.
        """
        told = hashlib.sha256(str(tuple(self.pixels.shape)).encode())
        for part in (self.pixels, self.held):
            if part is not None:
                told.update(part.contiguous().numpy().data)
        return told.hexdigest()

    def split(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Images to train on and those held out."""
        held = self.held
        if held is None:
            held = torch.arange(len(self.pixels)) % HOLD_OUT_EVERY == HOLD_OUT_EVERY - 1
        return self.pixels[~held], self.pixels[held]


def load_images(source: str | Path) -> Images:
    """A name in BUNDLED, a folder of .png and .jpg of one size, or an .npz with `images`.

    Pictures have at most 8 bits per channel. An npz holds `images` (N, H, W) or (N, H, W, C):
    uint8, or numbers in [-1, 1]. Raises ValueError, naming the file, for what is not a set of
    images.
    """
    if str(source) in BUNDLED:
        return BUNDLED[str(source)]()
    path = Path(source)
    if is_folder(path):
        return Images(path.name, _scaled(path, _folder(path)))
    if path.suffix == ".npz" and is_there(path):
        check_readable(path)
        return Images(path.name, _scaled(path, _npz(path)))
    names = ", ".join(BUNDLED)
    raise ValueError(
        f"no data {str(source)!r}; give {names}, a folder of pictures, or an .npz file"
    )


def digits() -> Images:
    """scikit-learn's bundled handwritten digits, grey levels 0..16 as -1..1."""
    return Images("digits", torch.from_numpy(_grey_levels() / 8 - 1)[:, None])


@cache
def _grey_levels() -> np.ndarray:
    """Of the digits, (1797, 8, 8); scikit-learn reads them from text, again at every call."""
    from sklearn.datasets import load_digits

    return np.asarray(load_digits().images, dtype=np.float32)


def patches() -> Images:
    """Colour patches (20460, 3, 32, 32) of the two photographs that scikit-learn ships, each also
    mirrored.

    The left halves are trained on, a patch at every fifth pixel of every fifth row; of the right
    halves, with which they share no pixel, every sixteenth is held out. At their full size:
    averaged over directions the power of these patches falls like k^-2.0, as that of natural images
    does; at half the size like k^-2.5.
    """
    from sklearn.datasets import load_sample_image

    taught: list[np.ndarray] = []
    held: list[np.ndarray] = []
    for name in PHOTOGRAPHS:
        pixels = np.asarray(load_sample_image(name), dtype=np.float32) / 127.5 - 1
        left, right = np.split(pixels, 2, axis=1)
        for part, half, stride in ((taught, left, TAUGHT_STRIDE), (held, right, HELD_STRIDE)):
            cut = np.lib.stride_tricks.sliding_window_view(half, (PATCH, PATCH), axis=(0, 1))
            # (rows, columns, 3, PATCH, PATCH), a view like those that follow
            cut = cut[::stride, ::stride]
            part += [cut, cut[..., ::-1]]
    sizes = [cut.shape[0] * cut.shape[1] for cut in taught + held]
    found = np.empty((sum(sizes), 3, PATCH, PATCH), dtype=np.float32)
    for cut, place in zip(taught + held, np.split(found, np.cumsum(sizes)[:-1]), strict=True):
        place.reshape(cut.shape)[...] = cut
    out = torch.arange(len(found)) >= sum(sizes[: len(taught)])
    return Images("patches", torch.from_numpy(found), out)


BUNDLED: Mapping[str, Callable[[], Images]] = {"digits": digits, "patches": patches}
"""The sets that come with scikit-learn, by name."""


def _folder(path: Path) -> np.ndarray:
    try:
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    if not files:
        raise ValueError(f"{path}: no pictures ({', '.join(PICTURES)}) in this folder")
    pictures: list[np.ndarray] = []
    for file in files:
        pictures.append(_picture(file))
        if len(pictures) == 1:
            _check_memory(path, len(files) * pictures[0].size)
        if pictures[-1].shape != pictures[0].shape:
            shapes = f"{pictures[-1].shape}, but {files[0].name} {pictures[0].shape}"
            raise ValueError(
                f"{file}: the pictures of a folder have one size and mode; this one is {shapes}"
            )
    return np.stack(pictures)


def _picture(file: Path) -> np.ndarray:
    """The bytes of a picture, (H, W) or (H, W, 3). Its size is looked at before it is unpacked."""
    from PIL import Image

    check_readable(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refused below
            # these formats only: others start programs, and a name does not say what a file is
            with Image.open(file, formats=("PNG", "JPEG", "TIFF")) as picture:
                problem = _unfit(picture.size, picture.mode)
                if not problem:
                    return np.asarray(picture.convert("L" if picture.mode in ("1", "L") else "RGB"))
    except Image.DecompressionBombError:
        problem = (
            f"it has more pixels than any network takes: at most {MOST_PIXELS} x {MOST_PIXELS}"
        )
    except Exception as error:  # noqa: BLE001 - damaged bytes can make the reader raise anything
        problem = f"cannot be read as a picture: {error}"
    raise ValueError(f"{file}: {problem}")


def _unfit(size: tuple[int, int], mode: str) -> str:
    if max(size) > MOST_PIXELS:
        return (
            f"has {size[0]} x {size[1]} pixels; a network takes at most {MOST_PIXELS} x "
            f"{MOST_PIXELS}"
        )
    if mode[0] in "IF":  # 16 or 32 bits: convert() makes all levels above 255 white
        return (
            f"a picture of mode {mode}; it takes one of 8 bits per channel, or an .npz of numbers "
            "in [-1, 1]"
        )
    return ""


def _check_memory(path: Path, numbers: int) -> None:
    """Images are held as they come and in float32, twice while they are turned."""
    check_memory(
        8 * numbers, f"{path}: {numbers:,} pixels and channels", "give fewer or smaller images"
    )


def _npz(path: Path) -> np.ndarray:
    images = None
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {
                entry.filename.removesuffix(".npy"): entry.file_size for entry in archive.infolist()
            }
            head = _header(archive) if "images" in entries else ((), np.dtype(np.uint8))
    except Exception as error:  # noqa: BLE001 - damaged bytes can make the reader raise anything
        raise ValueError(f"{path}: cannot be read: {error}") from None
    if "images" not in entries:
        names = ", ".join(name[:40] for name in list(entries)[:6])
        raise ValueError(f"{path}: holds {names or 'nothing'}, but no array `images`")
    shape, dtype = head
    _check_memory(path, max(entries["images"] // max(dtype.itemsize, 1), math.prod(shape)))
    try:
        # opened here: of a file that is cut off, np.load would leave the handle open
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as content:
            images = content["images"]
    except Exception as error:  # noqa: BLE001 - as above
        raise ValueError(f"{path}: `images` cannot be read: {error}") from None
    if not isinstance(images, np.ndarray):
        raise ValueError(f"{path}: `images` is no array of NumPy")  # noqa: TRY004 - the file is wrong
    return images


def _header(archive: zipfile.ZipFile) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type that the entry `images` claims, before anything of it is unpacked."""
    with archive.open("images.npy") as file:
        version = np.lib.format.read_magic(file)
        npy = np.lib.format
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
    return shape, dtype


def _scaled(path: Path, images: np.ndarray) -> torch.Tensor:
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[1] != images.shape[2] or not images.size:
        raise ValueError(f"{path}: images are (N, H, H) or (N, H, H, C), not {images.shape}")
    if images.dtype == np.uint8:
        images = images.astype(np.float32) / 127.5 - 1
    elif not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            f"{path}: images are uint8, or numbers in [-1, 1]; these are {images.dtype}"
        )
    else:
        _check_range(path, images)
    return torch.from_numpy(images.astype(np.float32)).permute(0, 3, 1, 2).contiguous()


def _check_range(path: Path, images: np.ndarray) -> None:
    """Raise ValueError, naming the first image, unless all numbers lie in [-1, 1]."""
    for i, image in enumerate(images):
        if not np.isfinite(image).all():
            raise ValueError(f"{path}: image {i} is NaN or infinite; give numbers in [-1, 1]")
        if np.abs(image).max() > 1:
            raise ValueError(
                f"{path}: images are uint8, or numbers in [-1, 1]; these are {images.dtype}, and "
                f"image {i} has some from {image.min():g} to {image.max():g}"
            )
