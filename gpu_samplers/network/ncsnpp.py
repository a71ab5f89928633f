"""NCSN++ (arXiv 2011.13456, appendix H) with the settings of PSLD (arXiv 2303.01748)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gpu_samplers.configs import Config, config_of
from gpu_samplers.network.layers import (
    Attention,
    FourierFeatures,
    PyramidDown,
    ResBlock,
    conv,
    group_norm,
    initialised,
    positional_features,
    skip_scale,
)


class NCSNpp(nn.Module):
    """A U-Net with biggan blocks: noise prediction epsilon(z, t).

    `all_modules` holds the modules in the order in which the forward pass uses them, which is the
    released order of keys: construction and `forward` below walk through the network in step, line
    by line.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.scale = skip_scale(config)
        self.all_modules = nn.ModuleList()
        nf, attends, add = config.nf, set(config.attn_resolutions), self.all_modules.append

        if config.embedding_type == "fourier":
            add(FourierFeatures(nf, config.fourier_scale))
            add(initialised(nn.Linear(2 * nf, 4 * nf)))
        else:  # positional features have nothing to store, hence no place here
            add(initialised(nn.Linear(nf, 4 * nf)))
        add(initialised(nn.Linear(4 * nf, 4 * nf)))

        add(conv(config.in_ch, nf))
        widths, channels, pyramid = [nf], nf, config.in_ch
        for resolution, factor in zip(config.resolutions, config.ch_mult, strict=True):
            for _ in range(config.num_res_blocks):
                add(ResBlock(config, channels, nf * factor))
                channels = nf * factor
                if resolution in attends:
                    add(Attention(config, channels))
                widths.append(channels)
            if resolution != config.resolutions[-1]:
                add(ResBlock(config, channels, channels, "down"))
                if config.progressive_input == "residual":
                    add(PyramidDown(config, pyramid, channels))
                    pyramid = channels
                widths.append(channels)

        add(ResBlock(config, channels, channels))
        add(Attention(config, channels))
        add(ResBlock(config, channels, channels))

        for resolution, factor in zip(
            reversed(config.resolutions), reversed(config.ch_mult), strict=True
        ):
            for _ in range(config.num_res_blocks + 1):
                add(ResBlock(config, channels + widths.pop(), nf * factor))
                channels = nf * factor
            if resolution in attends:
                add(Attention(config, channels))
            if resolution != config.image_size:
                add(ResBlock(config, channels, channels, "up"))

        add(group_norm(channels))
        add(conv(channels, config.out_ch, scale=config.init_scale))

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        """The noise seen in state z (B, in_ch, H, W) at forward time t > 0, unscaled: (B, out_ch,
        H, W).

        t is one time per state (B,) or one for all (); its features are computed in float32 at
        least. z has the precision of the weights. Raises ValueError for shapes that do not fit.
        """
        config = self.config
        shape = (config.in_ch, config.image_size, config.image_size)
        if tuple(z.shape[1:]) != shape or t.shape not in ((), z.shape[:1]):
            raise ValueError(
                f"the network takes states (B, {', '.join(map(str, shape))}) and times (B,) or (); "
                f"got {tuple(z.shape)} and {tuple(t.shape)}"
            )
        attends = set(config.attn_resolutions)
        layer = iter(self.all_modules)

        t = t.reshape(-1).to(torch.promote_types(z.dtype, torch.float32))
        fourier = config.embedding_type == "fourier"
        features = next(layer)(t) if fourier else positional_features(t, config.nf // 2)
        embedding = next(layer)(features.to(z.dtype))
        embedding = functional.silu(next(layer)(functional.silu(embedding)))

        skips, pyramid = [next(layer)(z)], z
        for resolution in config.resolutions:
            for _ in range(config.num_res_blocks):
                h = next(layer)(skips[-1], embedding)
                if resolution in attends:
                    h = next(layer)(h)
                skips.append(h)
            if resolution != config.resolutions[-1]:
                h = next(layer)(skips[-1], embedding)
                if config.progressive_input == "residual":
                    h = pyramid = (next(layer)(pyramid) + h) * self.scale
                skips.append(h)

        h = next(layer)(skips[-1], embedding)
        h = next(layer)(h)
        h = next(layer)(h, embedding)

        for resolution in reversed(config.resolutions):
            for _ in range(config.num_res_blocks + 1):
                h = next(layer)(torch.cat([h, skips.pop()], dim=1), embedding)
            if resolution in attends:
                h = next(layer)(h)
            if resolution != config.image_size:
                h = next(layer)(h, embedding)

        h = functional.silu(next(layer)(h))
        return next(layer)(h)


def ncsnpp(config: Config | str | Path | Mapping[str, Any]) -> NCSNpp:
    """The network of a configuration (a name, a .json file, a dict or a Config), with random
    weights.

    Raises ValueError for a configuration that cannot be built. The weights come from torch's global
    generator (torch.manual_seed); under `torch.device("meta")` nothing is allocated.
    """
    return NCSNpp(config_of(config))
