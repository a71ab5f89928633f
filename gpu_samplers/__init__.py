"""What runs on a network, in torch: the released architecture, its checkpoints and the samplers.

    from gpu_samplers import load_checkpoint, ncsnpp
    net = ncsnpp("cifar10_sota")                      # random weights
    net = load_checkpoint("psld.ckpt", "cifar10_sota")
    epsilon = net(z, t)                               # z (B, 6, 32, 32), forward time t (B,) or ()
"""

from __future__ import annotations

from gpu_samplers.checkpoints import Checkpoint, load_checkpoint, read_checkpoint, save_checkpoint
from gpu_samplers.configs import CONFIGS, Config, config_of
from gpu_samplers.network import NCSNpp, ncsnpp

__all__ = [
    "CONFIGS",
    "Config",
    "NCSNpp",
    "config_of",
    "ncsnpp",
]
