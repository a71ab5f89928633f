"""The stored cells of `reports.crossval.quality`: where they are, read and written without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reports.crossval.results import DATA, read, write

GRIDS = ("uniform", "quadratic")
NFES = (10, 20, 50, 100, 200)
COMPARED = (20, 50, 100)
"""Evaluations at which naive and reduced samplers are compared."""
RULES = ("one", "tuned")
"""lambda_s = 1, or tuned (schemes with an O alone)."""

Cell = dict[str, Any]
Key = tuple[str, str, int, str]
"""Scheme, grid, NFE, rule for lambda_s."""


def key_of(cell: Cell) -> Key:
    return cell["scheme"], cell["grid"], cell["nfe"], cell["rule"]


def path_of(target: str) -> Path:
    return DATA / f"quality_{target}.json"


def stored(target: str) -> dict[str, Any] | None:
    """The stored results of a target, or None where the file is absent."""
    return read(path_of(target))


def save(target: str, document: dict[str, Any]) -> None:
    """Write the results of a target, one line per cell; the file changes whole or not at all."""
    write(path_of(target), document, rows="cells")
