"""Images to train on, scaled to [-1, 1]: scikit-learn's digits, a folder of pictures, or an npz file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

PICTURES = (".png", ".jpg", ".jpeg")
HOLD_OUT_EVERY = 5
"""Every fifth image is held out: a split that depends on nothing but the order of the images."""


@dataclass(frozen=True)
class Images:
    """Images (N, C, H, W), float32 in [-1, 1], and a name that says what they are."""

    name: str
    pixels: torch.Tensor

    @property
    def digest(self) -> str:
        """SHA-256 of the pixels and their shape: whether two runs saw the same data."""
        told = str(tuple(self.pixels.shape)).encode() + self.pixels.contiguous().numpy().tobytes()
        return hashlib.sha256(told).hexdigest()

    def split(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Images to train on and those held out, every fifth."""
        held = torch.arange(len(self.pixels)) % HOLD_OUT_EVERY == HOLD_OUT_EVERY - 1
        return self.pixels[~held], self.pixels[held]


def load_images(source: str | Path) -> Images:
    """`digits` (1,797 images, 1 x 8 x 8), a folder of .png and .jpg of one size, or an .npz with `images`.

    Pictures have at most 8 bits per channel. An npz holds `images` (N, H, W) or (N, H, W, C): uint8, or
    numbers in [-1, 1]. Raises ValueError, naming the file, for what is not a set of images.
    """
    if str(source) == "digits":
        return digits()
    path = Path(source)
    if path.is_dir():
        return Images(path.name, _scaled(path, _folder(path)))
    if path.suffix == ".npz" and path.is_file():
        return Images(path.name, _scaled(path, _npz(path)))
    raise ValueError(f"no data {str(source)!r}; give digits, a folder of pictures, or an .npz file")


def digits() -> Images:
    """scikit-learn's bundled handwritten digits, grey levels 0..16 as -1..1."""
    from sklearn.datasets import load_digits

    pixels = np.asarray(load_digits().images, dtype=np.float32)
    return Images("digits", torch.from_numpy(pixels / 8 - 1)[:, None])


def _folder(path: Path) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
    if not files:
        raise ValueError(f"{path}: no pictures ({', '.join(PICTURES)}) in this folder")
    pictures: list[np.ndarray] = []
    for file in files:
        try:
            with Image.open(file) as picture:
                if picture.mode[0] in "IF":  # 16 or 32 bits: convert() makes all levels above 255 white
                    raise ValueError(
                        f"{file}: a picture of mode {picture.mode}; it takes one of 8 bits per channel, "
                        "or an .npz of numbers in [-1, 1]"
                    )
                pictures.append(np.asarray(picture.convert("L" if picture.mode in ("1", "L") else "RGB")))
        except (OSError, UnidentifiedImageError) as error:
            raise ValueError(f"{file}: cannot be read as a picture: {error}") from None
        if pictures[-1].shape != pictures[0].shape:
            shapes = f"{pictures[-1].shape}, but {files[0].name} {pictures[0].shape}"
            raise ValueError(f"{file}: the pictures of a folder have one size and mode; this one is {shapes}")
    return np.stack(pictures)


def _npz(path: Path) -> np.ndarray:
    try:
        # opened here: of a file that is cut off, np.load would leave the handle open
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as content:
            names, images = ", ".join(content), content.get("images")
    except Exception as error:  # noqa: BLE001 - damaged bytes, or objects, can make the reader raise anything
        raise ValueError(f"{path}: cannot be read: {error}") from None
    if images is None:
        raise ValueError(f"{path}: holds {names or 'nothing'}, but no array `images`")
    return images


def _scaled(path: Path, images: np.ndarray) -> torch.Tensor:
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[1] != images.shape[2] or not images.size:
        raise ValueError(f"{path}: images are (N, H, H) or (N, H, H, C), not {images.shape}")
    if images.dtype == np.uint8:
        images = images.astype(np.float32) / 127.5 - 1
    elif not np.issubdtype(images.dtype, np.floating) or not (np.abs(images) <= 1).all():
        raise ValueError(f"{path}: images are uint8, or numbers in [-1, 1]; these are {images.dtype}")
    return torch.from_numpy(images.astype(np.float32)).permute(0, 3, 1, 2).contiguous()
