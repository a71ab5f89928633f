"""Winograd's convolutions: the same map, exactly in exact arithmetic, to rounding in a network."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from gpu_samplers.configs import Config
from gpu_samplers.network import ncsnpp
from gpu_samplers.network.winograd import FILTER_24, INPUT, OUTPUT, WinogradConv, with_winograd
from reports.experiments.gpu_parity import fill_by_rule

LARGE = Config(32, 32, (1, 1), 1, (16,), 0.0)


def test_the_transforms_are_those_of_a_convolution_in_exact_arithmetic():
    rng = np.random.default_rng(0)
    tile, taps = (
        rng.integers(-9, 9, (6, 6)).astype(object),
        rng.integers(-9, 9, (3, 3)).astype(object),
    )
    b, g, a = (np.array(rows, dtype=object) for rows in (INPUT, FILTER_24, OUTPUT))
    transformed = (g @ taps @ g.T) * Fraction(1, 24**2)
    ours = a @ (transformed * (b @ tile @ b.T)) @ a.T
    direct = [[(tile[i : i + 3, j : j + 3] * taps).sum() for j in range(4)] for i in range(4)]
    assert (ours == np.array(direct)).all()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-13), (torch.float32, 1e-4)])
def test_images_of_any_batch_and_shape_are_convolved_as_by_torch(bias, dtype, close):
    torch.manual_seed(1)
    conv = nn.Conv2d(5, 7, 3, padding=1, bias=bias).to(dtype)
    x = torch.randn(3, 5, 8, 12, dtype=dtype)
    with torch.no_grad():
        assert (WinogradConv(conv)(x) - conv(x)).abs().max() < close


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_a_network_of_large_images_keeps_its_output(dtype, close):
    torch.manual_seed(2)
    network, z = fill_by_rule(ncsnpp(LARGE)).to(dtype), torch.randn(2, 6, 32, 32, dtype=dtype)
    t = torch.tensor([0.1, 0.9])
    with torch.no_grad():
        before = network(z, t)
        after = with_winograd(network)(z, t)
    assert 0 < (after - before).abs().max() < close * before.abs().max()
    replaced = [m for m in network.modules() if isinstance(m, WinogradConv)]
    direct = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(replaced) >= 4 and len(direct) >= 4  # those at 16 x 16, and with 6 channels, stay


def test_a_network_of_small_images_stays_as_it_is():
    network = ncsnpp("tiny_sota")
    with_winograd(network)
    assert not any(isinstance(m, WinogradConv) for m in network.modules())
