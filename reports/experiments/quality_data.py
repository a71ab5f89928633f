"""The stored cells of `reports.experiments.quality`: where they are, read and written without
torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reports.experiments import store

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
    return store.path_of(f"quality_{target}")


def stored(target: str) -> dict[str, Any] | None:
    """The stored results of a target, or None where the file is absent."""
    return store.stored(f"quality_{target}")


def save(target: str, document: dict[str, Any]) -> None:
    """Write the results of a target, one line per cell; the file changes whole or not at all."""
    store.save(f"quality_{target}", document)
