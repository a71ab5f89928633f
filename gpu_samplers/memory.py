"""How much memory there is, and a refusal with numbers before more is asked for.

Needs are lower bounds: what is refused could not have run.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import torch

from gpu_samplers.configs import Config
from gpu_samplers.files import size

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux says what a container may use."""


def memory(device: torch.device | str = "cpu") -> float:
    """Bytes that a device has in all, used or not; infinite where the system does not say."""
    device = torch.device(device)
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    found = float("inf")
    with suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        found = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for place in _LIMITS:
        with suppress(OSError, ValueError):  # absent, or the word "max"
            found = min(found, float(Path(place).read_text(encoding="ascii")))
    return found


def check_memory(needed: float, what: str, remedy: str, device: torch.device | str = "cpu") -> None:
    """Raise ValueError, with both numbers, where `what` needs more bytes than a device has."""
    if needed > (there := memory(device)):
        raise ValueError(
            f"{what} needs at least {size(needed)} of memory, {torch.device(device).type} has "
            f"{size(there)} in all; {remedy}"
        )


def widest(config: Config) -> int:
    """Numbers of the largest feature map that a network makes of one sample."""
    sides = zip(config.resolutions, config.ch_mult, strict=True)
    return max(config.nf * factor * side**2 for side, factor in sides)


def kept_for_gradients(config: Config) -> int:
    """Numbers that a network keeps of one sample for its gradient, at least: two per block and
    pixel.
    """
    sides = zip(config.resolutions, config.ch_mult, strict=True)
    return sum(2 * config.num_res_blocks * config.nf * factor * side**2 for side, factor in sides)
