"""Fréchet inception distance of one's own images, by torch-fidelity (the optional extra `fid`)."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch.utils.data import Dataset

from gpu_samplers.checkpoints import unpickled
from gpu_samplers.data import load_images

Source = str | Path | torch.Tensor
KNOWN = ("cifar10-train",)
"""References that torch-fidelity fetches by itself; published figures on CIFAR-10 are against this
one.
"""


class Bytes(Dataset[torch.Tensor]):
    """Images as the Inception network takes them: item i is uint8, (3, H, W); grey images are
    tripled.
    """

    def __init__(self, pixels: torch.Tensor) -> None:
        """`pixels` (N, C, H, W) in [-1, 1]; what a sampler left outside is clipped."""
        if pixels.ndim != 4 or pixels.shape[1] not in (1, 3) or len(pixels) < 2:
            shape = tuple(pixels.shape)
            raise ValueError(f"images are (N, C, H, W) with C = 1 or 3 and N >= 2, not {shape}")
        if not pixels.is_floating_point() or not pixels.isfinite().all():
            raise ValueError(
                f"images are finite numbers in [-1, 1]; these are {pixels.dtype}, or not finite"
            )
        grey = pixels.detach().cpu().clamp(-1, 1)
        self.pixels = ((grey + 1) * 127.5).round().to(torch.uint8).expand(-1, 3, -1, -1)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.pixels[index]


def fid(
    images: Source,
    reference: Source,
    *,
    weights: str | Path | None = None,
    batch: int = 64,
    cuda: bool = False,
) -> float:
    """FID of `images` against `reference`: folders of pictures, .npz, or tensors (N, C, H, W) in
    [-1, 1].

    `reference` may also be the name of a data set in KNOWN. `weights` is the file of Inception
    weights; without it torch-fidelity downloads them (weights-inception-2015-12-05, TensorFlow's,
    the ones that published FIDs use) once. Raises ValueError for images that are none, where
    torch-fidelity is not installed, or where the weights are missing, damaged, or would run code
    when they are read.
    """
    first = _input(images)
    second = str(reference) if reference in KNOWN else _input(reference)
    if weights is not None:
        _refuse_bad_weights(Path(weights))
    try:
        fidelity: Any = importlib.import_module("torch_fidelity")
    # a torchvision of another torch raises RuntimeError
    except (ImportError, RuntimeError) as error:
        remedy = (
            "pip install 'splitting-analysis[fid]', with the torchvision that fits the installed "
            "torch"
        )
        raise ValueError(f"torch-fidelity cannot be imported ({error}); {remedy}") from None
    try:
        found = fidelity.calculate_metrics(
            input1=first,
            input2=second,
            fid=True,
            cuda=cuda,
            batch_size=batch,
            verbose=False,
            cache=False,
            feature_extractor_weights_path=None if weights is None else str(weights),
        )
    except (URLError, OSError) as error:
        remedy = "give them as a file with `weights`"
        raise ValueError(
            f"the Inception weights (or the data set) cannot be had: {error}; {remedy}"
        ) from None
    return float(found["frechet_inception_distance"])


def _input(source: Source) -> Bytes:
    return Bytes(source if isinstance(source, torch.Tensor) else load_images(source).pixels)


def _refuse_bad_weights(path: Path) -> None:
    """torch-fidelity unpickles the file without restriction: read it first by torch's reader for
    weights.
    """
    try:
        content = unpickled(path)
    except ValueError as error:
        raise ValueError(
            f"{path}: no file of weights: {str(error).removeprefix(f'{path}: ')}"
        ) from None
    if not isinstance(content, dict):
        raise ValueError(  # noqa: TRY004 - it is the file that is wrong
            f"{path}: holds no state dict, but {type(content).__name__}"
        )
