"""Files that change whole or not at all."""

from __future__ import annotations

from pathlib import Path

from gpu_samplers.files import whole


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
