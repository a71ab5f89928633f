"""Failures of foreign samplers traced to formulas."""

from typing import Any


def causes() -> list[dict[str, Any]]:
    return []
