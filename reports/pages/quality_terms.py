"""What the page on quality calls the targets, the measures and the exact errors."""

from __future__ import annotations

from typing import Any

from reports.experiments.quality_data import Cell, Key, key_of

TARGETS = {
    "dataset": "exact score of the digits data set",
    "network": "trained network",
    "patches": "network trained on patches of photographs",
}
TABLE_NFES = (50, 100)
QUALITIES = {
    "frechet": "Fréchet distance",
    "residual": "residual noise",
    "still": "noise at still pixels",
}
JUDGED = {
    "dataset": ("frechet", "residual"),
    "network": ("frechet", "still"),
    "patches": ("frechet", "residual"),
}
"""What samples are judged by: a network's are near no image of the data, noise or not. But of the
patches no pixel is still."""
ERRORS = {"w2_x": "W_{2}", "kl_x": "KL", "worst_mode_x": "worst mode"}

Cells = dict[Key, Cell]


def cells_of(data: dict[str, Any]) -> Cells:
    return {key_of(cell): cell for cell in data["cells"]}
