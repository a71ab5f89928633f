"""Samples in a folder: what they are samples of, which of them are there, and how they get there
whole.
"""

from __future__ import annotations

import json
import os
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpu_samplers.files import check_folder, read_json, whole

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

RECORD, LOCK = "run.json", ".lock"
MODES = {1: "L", 3: "RGB"}
"""Images that PNG can hold, by channels."""
_NAME = re.compile(r"(\d{8,})(?:-(\d{8,})\.npz|\.png)")

Images = NDArray[np.float32]


_OF_A_RUN = {"word", "n", "process", "network", "weights sha256", "versions"}
"""What every record has, whatever the sampler."""


def named_folder(name: str | Path) -> Path:
    """The folder of that name. Raises ValueError for an empty one, which would be the current
    folder.
    """
    if not str(name).strip():
        raise ValueError(
            f"the folder to write to has the empty name {str(name)!r}; give one, or . for this"
        )
    return Path(name)


@contextmanager
def claimed(folder: Path, settings: Mapping[str, Any]) -> Iterator[None]:
    """`folder` as that of the run with these settings (JSON), and of no other command while this
    one lasts.

    The record of a run that left no sample makes room; any other file of its name is kept. `n` is
    no setting of a run, it is what was asked for last: the record says the most that was. What was
    half written is removed. Raises ValueError if the folder holds samples of another run, or a
    run.json that is no record, is being written to, or cannot be.
    """
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            if os.path.lexists(folder / RECORD):
                _read_record(folder)
            for part in folder.glob(".*.part"):
                part.unlink()
            _record(folder, settings)
            yield
    except OSError as error:
        raise ValueError(f"{folder}: cannot hold samples: {error.strerror}") from None


def _record(folder: Path, settings: Mapping[str, Any]) -> None:
    """See to it that the folder's record is that of the run."""
    record, held = folder / RECORD, most_held(folder)
    if others := sorted(p.name for p in folder.iterdir() if p.suffix in (".npz", ".png")):
        if not record.exists():
            raise ValueError(f"{folder}: holds {others[0]} but no {RECORD}; give an empty folder")
        check_record(folder, settings)
        if read_json(record).get("n") == max(settings["n"], held):
            return
    with whole(record) as path:
        told = {**settings, "n": max(settings["n"], held)}
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder; the system lets go of it however the process ends.

    A folder itself is locked, where the system opens folders; Windows locks a file in it. A file
    system that knows no locks is used without.
    """
    place = folder / LOCK if sys.platform == "win32" else folder
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT if sys.platform == "win32" else os.O_RDONLY)
    try:
        try:
            _lock(descriptor)
        except (BlockingIOError, PermissionError):  # the second on Windows
            raise ValueError(
                f"{folder}: another command is writing samples there; wait for its end"
            ) from None
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)
        if place != folder:
            with suppress(OSError):
                place.unlink()


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def check_record(folder: Path, settings: Mapping[str, Any]) -> None:
    """Raise ValueError unless the folder's record holds these settings; the message says which
    differ.
    """
    there = _read_record(folder)
    if differ := list(_differences(there | {"n": settings["n"]}, settings)):
        raise ValueError(
            f"{folder}: holds samples of another run: {'; '.join(differ)}; give another folder"
        )


def _read_record(folder: Path) -> dict[str, Any]:
    """The folder's record. Raises ValueError where another file, or none, bears its name."""
    try:
        there = read_json(folder / RECORD)
    except ValueError as error:
        raise ValueError(f"{error}; no record of a run: give another folder") from None
    if not isinstance(there, dict) or not there.keys() >= _OF_A_RUN:
        raise ValueError(
            f"{folder / RECORD}: is no record of a run, and is kept; give another folder"
        )
    return there


def _differences(there: Any, here: Any, name: str = "") -> Iterator[str]:
    if isinstance(there, dict) and isinstance(here, dict):
        for key in [*here, *(key for key in there if key not in here)]:
            yield from _differences(there.get(key), here.get(key), f"{name} {key}".strip())
    elif there != here:
        yield f"{name} is {json.dumps(there)} there, {json.dumps(here)} here"


def missing(
    folder: Path, form: str, shards: Sequence[range], shape: tuple[int, int, int]
) -> list[range]:
    """The shards that are not there, readable to the last byte, with samples of that shape and no
    others.

    Where fewer samples are asked for than before, the file of a longer shard holds the shorter one.
    Raises ValueError where something else than a file bears the name of a shard.
    """
    longest: dict[int, int] = {}
    for start, stop in _ranges(folder):
        longest[start] = max(stop, longest.get(start, 0))
    wanted = []
    for shard in shards:
        there = (
            range(shard.start, max(shard.stop, longest.get(shard.start, 0)))
            if form == "npz"
            else shard
        )
        for path in (
            {_npz(folder, shard), _npz(folder, there)} if form == "npz" else _pngs(folder, shard)
        ):
            if os.path.lexists(path) and not path.is_file():
                raise ValueError(
                    f"{path}: is no file, but samples are to be written there; remove it"
                )
        if not _holds(folder, form, there, shape):
            wanted.append(shard)
    return wanted


def drop_superseded(folder: Path) -> None:
    """Remove the shards that a longer one of the same start has replaced: more samples were asked
    for.
    """
    kept: dict[int, int] = {}
    for start, stop in sorted(_ranges(folder)):  # of one start, the longest comes last
        if start in kept:
            _npz(folder, range(start, kept[start])).unlink()
        kept[start] = stop


def most_held(folder: Path) -> int:
    """One more than the largest index that a file of samples has by its name."""
    found = [_NAME.fullmatch(path.name) for path in folder.iterdir()]
    return max((int(match[2] or match[1]) + 1 for match in found if match), default=0)


def _ranges(folder: Path) -> list[tuple[int, int]]:
    """First index and end of every .npz, by its name."""
    found = [_NAME.fullmatch(path.name) for path in folder.iterdir()]
    return [(int(match[1]), int(match[2]) + 1) for match in found if match and match[2]]


def _holds(folder: Path, form: str, shard: range, shape: tuple[int, int, int]) -> bool:
    try:
        if form == "npz":
            path, most = _npz(folder, shard), 4 * len(shard) * int(np.prod(shape)) + 4096
            with zipfile.ZipFile(path) as archive:  # not one that unpacks to more
                if any(entry.file_size > most for entry in archive.infolist()):
                    return False
            images, index = read_shard(path)
            return index.tolist() == list(shard) and images.shape == (len(shard), *shape)
        return all(_png_is_readable(path, shape) for path in _pngs(folder, shard))
    except Exception:  # noqa: BLE001 - absent, cut off or something else: the readers raise anything
        return False


def read_shard(path: Path) -> tuple[Images, NDArray[np.int64]]:
    """`images` (n, channels, height, width) and `index` (n,) of an .npz. Raises anything for
    another file.
    """
    # opened here: of a file that is cut off, np.load would leave the handle open
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        return file["images"], file["index"]


def write_shard(folder: Path, form: str, shard: range, images: Images, nfe: Sequence[int]) -> None:
    """Write images (n, channels, height, width) and the evaluations that each took (n,)."""
    if form == "npz":
        with whole(_npz(folder, shard)) as path, path.open("wb") as file:
            index, counts = np.array(shard, dtype=np.int64), np.array(nfe, dtype=np.int64)
            np.savez(file, images=images, index=index, nfe=counts)
        return
    bytes_ = np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8).transpose(0, 2, 3, 1)
    for i, image in zip(shard, bytes_, strict=True):
        with whole(_png(folder, i)) as path:
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(
                path, format="PNG"
            )


def _npz(folder: Path, shard: range) -> Path:
    return folder / f"{shard[0]:08d}-{shard[-1]:08d}.npz"


def _png(folder: Path, index: int) -> Path:
    return folder / f"{index:08d}.png"


def _pngs(folder: Path, shard: range) -> list[Path]:
    return [_png(folder, i) for i in shard]


def _png_is_readable(path: Path, shape: tuple[int, int, int]) -> bool:
    channels, height, width = shape
    with Image.open(path, formats=("PNG",)) as image:
        if image.size != (width, height):  # before it is unpacked
            return False
        image.load()
        return image.mode == MODES[channels]
