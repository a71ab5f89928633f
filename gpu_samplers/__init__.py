"""What runs on a network, in torch: the released architecture, its checkpoints and the samplers.

`ncsnpp("cifar10_sota")` is the network with random weights, `load_checkpoint("psld.ckpt",
"cifar10_sota")` with those of a file; both take states z (B, 6, 32, 32) and forward times t (B,) or
().
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu_samplers.checkpoints import (
        Checkpoint,
        load_checkpoint,
        read_checkpoint,
        save_checkpoint,
    )
    from gpu_samplers.configs import CONFIGS, Config, config_of
    from gpu_samplers.network import NCSNpp, ncsnpp

__all__ = [
    "CONFIGS",
    "Checkpoint",
    "Config",
    "NCSNpp",
    "config_of",
    "load_checkpoint",
    "ncsnpp",
    "read_checkpoint",
    "save_checkpoint",
]

_IN = {"CONFIGS": "configs", "Config": "configs", "config_of": "configs"}
_IN |= {"NCSNpp": "network", "ncsnpp": "network"}


def __getattr__(name: str) -> Any:
    """Only now: modules that need no torch can be imported where there is none."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_IN.get(name, 'checkpoints')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
