"""Stored results of the cross-validation, `reports/data/crossval_NAME.json`; read without torch."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from reports.files import write_whole

DATA = Path(__file__).parents[1] / "data"
PACKAGES = ("torch", "numpy", "scipy")


def path_of(name: str) -> Path:
    """Where the results of `name` ("global", "reuse", "rounding") are."""
    return DATA / f"crossval_{name}.json"


def stored(name: str) -> dict[str, Any] | None:
    """The stored results, or None where the file is absent."""
    return read(path_of(name))


def read(path: Path) -> dict[str, Any] | None:
    """A file of stored results, or None where it is absent."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def save(name: str, about: str, command: str, results: dict[str, Any]) -> None:
    """Write results and what they were made with; the file changes whole or not at all."""
    versions = {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
    document = {"_about": about, "_command": command, "_versions": versions, **results}
    write_whole(path_of(name), json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def digest(path: Path) -> str:
    """The SHA-256 of a file of weights."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rounded(value: Any, digits: int = 6) -> Any:
    """A nested result with every float at `digits` significant digits."""
    if isinstance(value, dict):
        return {key: rounded(entry, digits) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry, digits) for entry in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
