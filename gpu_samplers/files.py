"""Files that appear whole or not at all, and files of others that are looked at before they are
read.

Standard library only: what writes a report needs it without torch.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

JSON_BYTES = 2**24
"""Most that is read as JSON: 16 MB, far beyond any configuration or record."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to; at the end it replaces `path` in one step, else it is
    removed.

    Its name is always the same: what a killed run has left is written over, not added to. The file
    has the permissions that the umask leaves, whoever writes it. Raises ValueError where it cannot
    be written, and where something else than a file is in its place.
    """
    _check_place(path)
    part = part_of(path)
    try:
        try:
            mode = _created(part)
            yield part
            part.chmod(mode)  # a library may have put a private file in its place
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
    except OSError as error:
        raise ValueError(f"{path}: cannot be written: {_reason(error, path)}") from None


def _check_place(path: Path) -> None:
    """Raise ValueError where a pipe or a device is at `path`: a file would replace it, for all."""
    with suppress(OSError):
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise ValueError(
                f"{path}: cannot be written: it is a pipe or a device; give a file in a folder"
            )


def part_of(path: Path) -> Path:
    """Where the content of `path` is written before it is whole."""
    return path.with_name(f".{path.name}.part")


def _created(part: Path) -> int:
    """Make an empty file anew, and say its permissions."""
    with suppress(FileNotFoundError):
        part.unlink()
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)


def _reason(error: OSError, path: Path) -> str:
    """Why, without the name of the file beside; a missing folder is named."""
    if isinstance(error, FileNotFoundError) and not is_folder(path.parent):
        return f"there is no folder {path.parent}"
    return error.strerror or str(error)


def is_there(path: str | Path) -> bool:
    """Whether something is at `path`; pathlib's own would raise for a name that is too long."""
    return os.path.exists(path)  # noqa: PTH110 - see above


def is_folder(path: str | Path) -> bool:
    """Whether a folder is at `path`, as `is_there`."""
    return os.path.isdir(path)  # noqa: PTH112 - see above


def check_file(path: Path, needed: int = 0) -> None:
    """Raise ValueError unless `path` can be written now: before the work, not after it.

    Tried by a file beside it, which is removed. `needed` bytes must be free. The folder must be
    there.
    """
    if is_folder(path):
        raise ValueError(f"{path}: cannot be written: it is a folder, a file is to be there")
    _check_place(path)
    try:
        _created(part_of(path))
        part_of(path).unlink()
    except OSError as error:
        raise ValueError(f"{path}: cannot be written: {_reason(error, path)}") from None
    check_space(path.parent, needed)


def check_folder(folder: Path, needed: int = 0) -> None:
    """Raise ValueError unless files can be written to `folder` now; what it makes to see that, it
    removes.
    """
    missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _created(folder / ".try.part")
        (folder / ".try.part").unlink()
        check_space(folder, needed)
    except OSError as error:
        blocked = next(
            (place for place in (folder, *folder.parents) if os.path.lexists(place)), folder
        )
        why = f"{blocked} is no folder" if not is_folder(blocked) else error.strerror or error
        raise ValueError(f"{folder}: cannot be written to: {why}; give another folder") from None
    finally:
        for place in missing:
            with suppress(OSError):  # not there, or not empty any more
                place.rmdir()


def check_space(folder: Path, needed: int) -> None:
    """Raise ValueError, with the numbers, where fewer than `needed` bytes are free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ValueError(f"{folder}: {size(needed)} are needed there, {size(free)} are free")


def check_readable(path: Path) -> None:
    """Raise ValueError unless `path` is a file that can be opened: reading a pipe or a device never
    ends.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            with path.open("rb"):
                return
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        why = getattr(error, "strerror", None) or error
        why = "there is no such file" if isinstance(error, FileNotFoundError) else why
        raise ValueError(f"{path}: cannot be read: {why}") from None
    what = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
    raise ValueError(f"{path}: cannot be read: it is {what}, give a file")


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises ValueError, naming the file, for one that is none, huge or too
    deep.
    """
    check_readable(path)
    if (found := path.stat().st_size) > JSON_BYTES:
        raise ValueError(
            f"{path}: of {size(found)}, where at most {size(JSON_BYTES)} are read as JSON"
        )
    try:
        return parsed(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read as JSON: {error}") from None


def parsed(text: str) -> Any:
    """JSON as data. Raises ValueError for all that is none, nested too deeply too."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def size(count: float) -> str:
    """A number of bytes as people read it: 1.5 GB."""
    units = ["bytes", "kB", "MB", "GB", "TB", "PB"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        units.pop(0)
    return f"{count:.3g} {units[0]}"


def write_whole(path: Path, content: str) -> Path:
    """Write text (UTF-8) beside its place, then rename; folders are made. Returns the path.

    Raises ValueError where it cannot be written; then nothing is left of it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{path}: cannot be written: {path.parent}: {error.strerror}") from None
    with whole(path) as part:
        part.write_text(content, encoding="utf-8", newline="\n")
    return path
