"""3 x 3 convolutions with a quarter of the multiplications: Winograd's minimal filtering F(4 x 4, 3
x 3).

Lavin & Gray, arXiv 1509.09308, section 4.3. On a CPU a full-size network spends most of its time in
3 x 3 convolutions that run near the processor's peak: only fewer multiplications make it faster.
Tiles of 6 x 6 inputs become tiles of 4 x 4 outputs through 36 products in place of 144; what is
left is 36 matrix products of channels, which libraries do well. Rounding errors are several times
those of the direct sum.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gpu_samplers.network.ncsnpp import NCSNpp

INPUT = (
    (4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0), (0, 2, -1, -2, 1, 0), (0, 4, 0, -5, 0, 1),
)  # fmt: skip
FILTER_24 = ((6, 0, 0), (-4, -4, -4), (-4, 4, -4), (1, 2, 4), (1, -2, 4), (0, 0, 24))
"""The filter's transform, times 24."""
OUTPUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))
SMALLEST = 32
"""Images with fewer pixels along a side have too few tiles: the direct convolution is as fast
there.
"""
FEWEST = 32
"""With fewer channels there is little to multiply."""


class WinogradConv(nn.Module):
    """The same map as a 3 x 3 convolution with stride 1 and zeros around, for sides divisible by
    4.
    """

    weight: Tensor
    """(36, out, in): the transformed filters, four times as large."""
    bias: Tensor
    into: Tensor
    """(36, 36): a 6 x 6 tile to its transform."""
    out: Tensor
    """(16, 36): a transform to a 4 x 4 tile."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        w = conv.weight.detach()
        bias = w.new_zeros(len(w)) if conv.bias is None else conv.bias.detach()
        g = torch.tensor(FILTER_24, dtype=torch.float64, device=w.device) / 24
        weight = torch.einsum("ai,ocij,bj->aboc", g, w.double(), g).flatten(0, 1)
        into, out = (torch.tensor(rows, dtype=w.dtype, device=w.device) for rows in (INPUT, OUTPUT))
        self.register_buffer("weight", weight.to(w.dtype))
        self.register_buffer("bias", bias[:, None, None])
        self.register_buffer("into", torch.kron(into, into))
        self.register_buffer("out", torch.kron(out, out))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        rows, columns, wide = height // 4, width // 4, self.weight.shape[1]
        # of shape (batch, channels * 36, rows * columns)
        tiles = functional.unfold(x, 6, padding=1, stride=4)
        tiles = tiles.reshape(batch, channels, 36, -1).permute(2, 1, 0, 3).reshape(36, -1)
        products = self.weight @ (self.into @ tiles).reshape(36, channels, -1)
        y = (self.out @ products.reshape(36, -1)).reshape(4, 4, wide, batch, rows, columns)
        return y.permute(3, 2, 4, 0, 5, 1).reshape(batch, wide, height, width) + self.bias


@torch.no_grad()
def with_winograd(network: NCSNpp) -> NCSNpp:
    """The network with its 3 x 3 convolutions of large images replaced, in place; for inference on
    a CPU.

    In float32 its output moves by some 1e-5; a network of small images stays as it is.
    """
    sides: dict[nn.Module, int] = {}
    plain = [m for m in network.modules() if isinstance(m, nn.Conv2d) and _fits(m)]
    hooks = [
        m.register_forward_pre_hook(lambda m, args: sides.update({m: args[0].shape[2]}))
        for m in plain
    ]
    config, like = network.config, next(network.parameters())
    image = like.new_zeros(1, config.in_ch, config.image_size, config.image_size)
    network(image, like.new_ones(1))
    for hook in hooks:
        hook.remove()
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            side = sides.get(child, 0)
            if isinstance(child, nn.Conv2d) and side >= SMALLEST and side % 4 == 0:
                setattr(module, name, WinogradConv(child))
    return network


def _fits(conv: nn.Conv2d) -> bool:
    plain = conv.stride == conv.dilation == (1, 1) and conv.padding == (1, 1) and conv.groups == 1
    return (
        plain and conv.kernel_size == (3, 3) and min(conv.in_channels, conv.out_channels) >= FEWEST
    )
