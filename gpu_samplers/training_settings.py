"""What determines a training: the network, the process it is trained for, and how."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gpu_samplers.configs import Config
from gpu_samplers.processes import PSLD, VP

DIGITS_CONFIG = Config(8, 32, (1, 2), 1, (4,), 0.1, in_ch=2, out_ch=2)
"""The network for the digits: 754,050 parameters."""
PATCHES_CONFIG = Config(32, 64, (1, 1, 1), 2, (8,), 0.1, fir=False, progressive_input="none")
"""The network for the patches: 2,498,694 parameters. As wide on every level, for its 3 x 3
convolutions of 64 and 128 channels fill a card; resampled without a filter, which would be slow
depthwise convolutions."""
NETWORKS: Mapping[str, Config] = {"digits": DIGITS_CONFIG, "patches": PATCHES_CONFIG}
"""For each of `data.BUNDLED`, with the channels of PSLD; `network_for` has those of a process."""
PRECISIONS = ("float32", "bf16")
MOST_RATE = 1e3
"""Of Adam's step size; weights are of order 1."""


@dataclass(frozen=True)
class Settings:
    """Everything that determines the weights, besides the images. Raises ValueError for bad
    values.
    """

    config: Config
    process: PSLD | VP = field(default_factory=PSLD)
    steps: int = 7000
    batch: int = 128
    rate: float = 1e-3
    """Adam's step size: reached linearly over `warmup` steps, then a cosine down to 0."""
    warmup: int = 200
    ema: float = 0.999
    """Decay of the averaged weights, per step; they are what is saved."""
    clip: float = 1.0
    """Largest norm of a gradient."""
    eps: float = 1e-3
    """Forward times are drawn from [eps, T]."""
    seed: int = 0
    precision: str = "float32"
    """That of the network's convolutions and products, by torch's autocast; weights, loss, Adam and
    average are float32 with either."""

    def __post_init__(self) -> None:
        if type(self.process) not in (PSLD, VP):  # a record holds their parameters, no schedule
            raise ValueError(
                f"training: a network is trained for psld or vp (with a linear beta), not for "
                f"{type(self.process).__name__}"
            )
        for name in ("steps", "batch"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"training: {name} = {getattr(self, name)}; it must be at least 1")
        if not -(2**63) <= self.seed < 2**63:
            raise ValueError(f"training: seed = {self.seed}; it must lie in [-2^63, 2^63)")
        for name in ("rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"training: {name} = {getattr(self, name)}; it must be positive")
        if self.rate > MOST_RATE:
            raise ValueError(
                f"training: rate = {self.rate:g}; Adam moves every weight by about so much a step: "
                f"at most {MOST_RATE:g}, e.g. 1e-3"
            )
        if not 0 <= self.ema < 1 or self.warmup < 0:
            raise ValueError(
                f"training: ema = {self.ema} in [0, 1), warmup = {self.warmup} >= 0 must hold"
            )
        if not 0 < self.eps < self.process.T:
            raise ValueError(
                f"training: eps = {self.eps}; forward times lie in [eps, T], 0 < eps < T"
            )
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"training: precision = {self.precision}; it is {' or '.join(PRECISIONS)}"
            )

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON can hold them."""
        told = asdict(self) | {"config": self.config.as_dict()}
        return told if isinstance(self.process, PSLD) else told | {"model": self.process.model_name}


def network_for(data: str, process: PSLD | VP) -> Config:
    """The network of NETWORKS for a bundled set, with as many channels as a state has."""
    config, n = NETWORKS[data], len(process.stationary)
    pair = len(PSLD().stationary)
    return replace(config, in_ch=config.in_ch // pair * n, out_ch=config.out_ch // pair * n)
