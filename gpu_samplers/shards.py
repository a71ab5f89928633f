"""Samples in a folder: what they are samples of, which of them are there, and how they get there whole."""

from __future__ import annotations

import fcntl
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RECORD = "run.json"
MODES = {1: "L", 3: "RGB"}
"""Images that PNG can hold, by channels."""
UNREADABLE = (OSError, EOFError, ValueError, KeyError, SyntaxError, zipfile.BadZipFile, zlib.error)
"""What NumPy, zipfile and Pillow raise for a file that is absent, cut off or something else."""

Images = NDArray[np.float32]


@contextmanager
def claimed(folder: Path, settings: Mapping[str, Any]) -> Iterator[None]:
    """`folder` as that of the run with these settings (JSON), and of no other command while this one lasts.

    Raises ValueError if it holds samples of another run, is being written to, or cannot be.
    """
    record = folder / RECORD
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not record.exists():
            if others := sorted(path.name for path in folder.iterdir() if path.suffix in (".npz", ".png")):
                raise ValueError(f"{folder}: holds {others[0]} but no {RECORD}; give an empty folder")
            with _whole(record) as path:
                path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        check_record(folder, settings)
        lock = record.open("rb")
    except OSError as error:
        raise ValueError(f"{folder}: cannot hold samples: {error.strerror}") from None
    with lock:  # let go of by the system however the process ends
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{folder}: another command is writing samples there; wait for its end"
            ) from None
        yield


def check_record(folder: Path, settings: Mapping[str, Any]) -> None:
    """Raise ValueError unless the folder's record holds these settings; the message says which differ."""
    record = folder / RECORD
    try:
        there = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{record}: cannot be read: {error}") from None
    if differ := list(_differences(there, settings)):
        raise ValueError(f"{folder}: holds samples of another run: {'; '.join(differ)}; give another folder")


def _differences(there: Any, here: Any, name: str = "") -> Iterator[str]:
    if isinstance(there, dict) and isinstance(here, dict):
        for key in [*here, *(key for key in there if key not in here)]:
            yield from _differences(there.get(key), here.get(key), f"{name} {key}".strip())
    elif there != here:
        yield f"{name} is {json.dumps(there)} there, {json.dumps(here)} here"


def holds(folder: Path, form: str, shard: range, shape: tuple[int, int, int]) -> bool:
    """Whether the shard is there, readable to the last byte, with samples of that shape and no others."""
    try:
        if form == "npz":
            images, index = read_shard(_npz(folder, shard))
            return index.tolist() == list(shard) and images.shape == (len(shard), *shape)
        return all(_png_is_readable(_png(folder, i), shape) for i in shard)
    except UNREADABLE:
        return False


def read_shard(path: Path) -> tuple[Images, NDArray[np.int64]]:
    """`images` (n, channels, height, width) and `index` (n,) of an .npz. Raises one of UNREADABLE."""
    # opened here: of a file that is cut off, np.load would leave the handle open
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        return file["images"], file["index"]


def write_shard(folder: Path, form: str, shard: range, images: Images, nfe: Sequence[int]) -> None:
    """Write images (n, channels, height, width) and the evaluations that each took (n,)."""
    if form == "npz":
        with _whole(_npz(folder, shard)) as path, path.open("wb") as file:
            index, counts = np.array(shard, dtype=np.int64), np.array(nfe, dtype=np.int64)
            np.savez(file, images=images, index=index, nfe=counts)
        return
    bytes_ = np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8).transpose(0, 2, 3, 1)
    for i, image in zip(shard, bytes_, strict=True):
        with _whole(_png(folder, i)) as path:
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(path, format="PNG")


def _npz(folder: Path, shard: range) -> Path:
    return folder / f"{shard[0]:08d}-{shard[-1]:08d}.npz"


def _png(folder: Path, index: int) -> Path:
    return folder / f"{index:08d}.png"


def _png_is_readable(path: Path, shape: tuple[int, int, int]) -> bool:
    channels, height, width = shape
    with Image.open(path) as image:
        image.load()
        return image.mode == MODES[channels] and image.size == (width, height)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A place to write to; what is there at the end replaces `path` in one piece.

    Its name is always the same, so that what a killed run has left is written over, not added to. Raises
    ValueError where nothing can be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be written: {error.strerror}") from None
