"""The parts of NCSN++ (arXiv 2011.13456, appendix H), named as in the released state dicts.

Images are (B, C, H, W). The attributes GroupNorm_0, Conv_0, NIN_0, W, ... are the keys of released
checkpoints: renaming one, or changing the order in which they are set, breaks loading.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from gpu_samplers.configs import Config

Linear = TypeVar("Linear", nn.Conv2d, nn.Linear)


def group_norm(channels: int) -> nn.GroupNorm:
    """At most 32 groups of at least 4 channels; eps 1e-6."""
    groups = min(channels // 4, 32)
    if channels % groups:
        raise ValueError(
            f"network configuration: {channels} channels do not divide into the {groups} groups "
            "of a group norm; choose nf and ch_mult so that layers with more than 128 channels "
            "have a multiple of 32"
        )
    return nn.GroupNorm(groups, channels, eps=1e-6)


def conv(channels: int, out: int, size: int = 3, *, scale: float = 1.0) -> nn.Conv2d:
    layer = nn.Conv2d(channels, out, size, padding=size // 2)
    return initialised(layer, scale)


def initialised(layer: Linear, scale: float = 1.0) -> Linear:
    """Weights uniform with variance scale * 2 / (fan_in + fan_out), bias 0."""
    fill(layer.weight, scale)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def fill(weight: Tensor, scale: float) -> None:
    # scale 0 stands for 1e-10: an output layer starts at nearly 0, yet its gradients do not vanish
    nn.init.xavier_uniform_(weight, gain=math.sqrt(scale or 1e-10))


class FourierFeatures(nn.Module):
    """sin and cos of 2 pi W log t: (B,) -> (B, 2n). W is normal times `scale`, and not trained."""

    def __init__(self, n: int, scale: float) -> None:
        super().__init__()
        drawn = torch.empty(n)
        if not drawn.is_meta:  # where there are no numbers, drawing would load torch's compiler
            drawn = scale * torch.randn(n)
        self.W = nn.Parameter(drawn, requires_grad=False)

    def forward(self, t: Tensor) -> Tensor:
        phase = t.log()[:, None] * self.W * 2 * math.pi
        return torch.cat([phase.sin(), phase.cos()], dim=1)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # Phases reach hundreds of radians: with the 3 digits of bf16 they would be noise. W stays
        # float32.
        exact = self.W.detach()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call] # torch has no types for it
        if self.W.dtype in (torch.bfloat16, torch.float16):
            self.W.data = exact.to(self.W.device)
        return self


def positional_features(t: Tensor, n: int) -> Tensor:
    """sin and cos of t times n frequencies falling geometrically from 1 to 1e-4: (B,) -> (B,
    2n).
    """
    k = torch.arange(n, dtype=t.dtype, device=t.device)
    phase = t[:, None] * torch.exp(-math.log(10_000) / (n - 1) * k)
    return torch.cat([phase.sin(), phase.cos()], dim=1)


class Fir(nn.Module):
    """The separable low-pass filter with four taps, normalised: each channel convolved with it.

    `padding` zeros around the image; every `stride`-th pixel is kept.
    """

    kernel: Tensor

    def __init__(self, taps: tuple[float, ...], *, stride: int, padding: int) -> None:
        super().__init__()
        # on the CPU by name: real numbers even in a network whose weights are on "meta"
        k = torch.tensor(taps, dtype=torch.float64, device="cpu")
        k = k / k.sum()
        self.register_buffer(
            "kernel", torch.outer(k, k).to(torch.get_default_dtype()), persistent=False
        )
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        weight = self.kernel.expand(x.shape[1], 1, 4, 4)
        return functional.conv2d(
            x, weight, stride=self.stride, padding=self.padding, groups=x.shape[1]
        )


class FirUp(Fir):
    """Twice the resolution: zeros between pixels, then the filter with gain 4 (a transposed
    convolution).
    """

    def __init__(self, taps: tuple[float, ...]) -> None:
        super().__init__(taps, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        weight = 4 * self.kernel.expand(x.shape[1], 1, 4, 4)
        return functional.conv_transpose2d(x, weight, stride=2, padding=1, groups=x.shape[1])


def resampling(config: Config, direction: Literal["up", "down"]) -> nn.Module:
    """Half or twice the resolution; without the filter, the mean of 2 x 2 pixels or their
    repetition.
    """
    if direction == "down":
        return Fir(config.fir_kernel, stride=2, padding=1) if config.fir else nn.AvgPool2d(2)
    return FirUp(config.fir_kernel) if config.fir else nn.Upsample(scale_factor=2, mode="nearest")


class PyramidDown(nn.Module):
    """The input pyramid, one level down: filter, then a 3 x 3 convolution at every other pixel."""

    def __init__(self, config: Config, channels: int, out: int) -> None:
        super().__init__()
        self.Conv2d_0 = initialised(nn.Conv2d(channels, out, 3, stride=2))
        self.blur = Fir(config.fir_kernel, stride=1, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.Conv2d_0(self.blur(x))


class ResBlock(nn.Module):
    """The residual block of BigGAN, both branches resampled if asked; `embedding` is (B or 1, 4
    nf).
    """

    def __init__(
        self,
        config: Config,
        channels: int,
        out: int,
        direction: Literal["up", "down"] | None = None,
    ) -> None:
        super().__init__()
        self.GroupNorm_0 = group_norm(channels)
        self.Conv_0 = conv(channels, out)
        self.Dense_0 = initialised(nn.Linear(4 * config.nf, out))
        self.GroupNorm_1 = group_norm(out)
        self.Conv_1 = conv(out, out, scale=config.init_scale)
        straight = channels == out and direction is None
        self.Conv_2 = nn.Identity() if straight else conv(channels, out, 1)
        self.resample = resampling(config, direction) if direction else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.scale = skip_scale(config)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = functional.silu(self.GroupNorm_0(x))
        h, x = self.resample(h), self.resample(x)
        h = self.Conv_0(h) + self.Dense_0(embedding)[:, :, None, None]
        h = self.Conv_1(self.dropout(functional.silu(self.GroupNorm_1(h))))
        return (self.Conv_2(x) + h) * self.scale


class Pointwise(nn.Module):
    """One linear map for every pixel, (..., C) -> (..., C); the released name is NIN."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        # (in, out), the transpose of nn.Linear's
        self.W = nn.Parameter(torch.empty(channels, channels))
        self.b = nn.Parameter(torch.zeros(channels))
        fill(self.W, scale)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.W + self.b


class Attention(nn.Module):
    """Self-attention of all pixels, one head. Written out: torch.func differentiates it in both
    modes.
    """

    def __init__(self, config: Config, channels: int) -> None:
        super().__init__()
        self.GroupNorm_0 = group_norm(channels)
        self.NIN_0 = Pointwise(channels, 0.1)
        self.NIN_1 = Pointwise(channels, 0.1)
        self.NIN_2 = Pointwise(channels, 0.1)
        self.NIN_3 = Pointwise(channels, config.init_scale)
        self.scale = skip_scale(config)

    def forward(self, x: Tensor) -> Tensor:
        pixels = self.GroupNorm_0(x).flatten(2).transpose(1, 2)  # (B, H W, C)
        query, key, value = self.NIN_0(pixels), self.NIN_1(pixels), self.NIN_2(pixels)
        weights = torch.softmax(query @ key.transpose(1, 2) / math.sqrt(x.shape[1]), dim=-1)
        h = self.NIN_3(weights @ value)
        return (x + h.transpose(1, 2).reshape(x.shape)) * self.scale


def skip_scale(config: Config) -> float:
    """The sum of two branches of unit variance has variance 2."""
    return math.sqrt(0.5) if config.skip_rescale else 1.0
