"""The network that comes with the package: NCSN++ trained here on scikit-learn's digits."""

from __future__ import annotations

from pathlib import Path

import torch

from gpu_samplers.checkpoints import Checkpoint, network_of, read_checkpoint
from gpu_samplers.network import NCSNpp
from gpu_samplers.processes import PSLD

DIGITS = Path(__file__).parent / "weights" / "digits.safetensors"
"""The weights, their configuration and the record of their training."""


def process_of(stored: Checkpoint) -> PSLD | None:
    """The process that a network was trained for, if the file's record says it."""
    return PSLD(**stored.record["process"]) if "process" in stored.record else None


def digits_network(dtype: torch.dtype = torch.float32) -> tuple[NCSNpp, PSLD]:
    """The digits network in eval mode, and the process it was trained for.

    It takes states (B, 2, 8, 8), position and momentum of images in [-1, 1], and forward times (B,).
    """
    stored = read_checkpoint(DIGITS)
    process = process_of(stored)
    if process is None:
        raise ValueError(f"{DIGITS}: its record does not say the process")
    return network_of(DIGITS, stored, dtype=dtype), process
