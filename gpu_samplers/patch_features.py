"""What is seen of a colour patch: fixed features for a Fréchet distance, and its power by
frequency.

The features are those of a scattering transform (Bruna & Mallat, arXiv 1203.1513): the moduli of
oriented wavelets at several scales, averaged over the patch, and once more of these. Nothing in
them is trained or fitted, so they are the same on every machine; averages of moduli tell textures
apart as a trained network's do, and their logarithms are nearer to Gaussian and see noise in a calm
patch as well as in a busy one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from torch.nn import functional

from gpu_samplers.processes import Array

Tensor = torch.Tensor
SIDE = 32
CHANNELS = ("luminance", "red-green", "yellow-blue")
_OPPONENT = ((1, 1, 1), (1, -1, 0), (1, 1, -2))
"""Their weights of red, green and blue, before each row is made a unit vector."""
ANGLES, LEVELS, TAPS = 4, 3, 7
FLOOR = 1 / 255
"""Half a grey level, where pixels go from -1 to 1: moduli below it are no longer told apart."""
BANDS = 16
"""Frequencies whose power is looked at: 1 to 16 cycles along a patch."""
_CHUNK = 1024


def opponent(images: Tensor) -> Tensor:
    """Luminance and two differences of colours (N, 3, 32, 32), float64: a rotation of red, green
    and blue.

    Raises ValueError for another shape and for values that are not finite.
    """
    if images.ndim != 4 or images.shape[1:] != (3, SIDE, SIDE):
        raise ValueError(f"colour patches are (N, 3, {SIDE}, {SIDE}), not {tuple(images.shape)}")
    if not images.isfinite().all():
        raise ValueError("the patches hold values that are NaN or infinite")
    rows = torch.tensor(_OPPONENT, dtype=torch.float64, device=images.device)
    return torch.einsum(
        "ij,njhw->nihw", rows / rows.norm(dim=1, keepdim=True), images.detach().double()
    )


def band_power(images: Tensor) -> Array:
    """Power (N, 3, BANDS) of colour patches by channel and frequency, averaged over directions.

    Of the patch without its mean, under a window that falls to 0 at the edges: without it the jump
    from one edge to the other would be most of the power at high frequencies.
    """
    window = torch.hann_window(SIDE + 2, periodic=False, dtype=torch.float64, device=images.device)[
        1:-1
    ]
    frequency = torch.fft.fftfreq(SIDE, 1 / SIDE, device=images.device)
    band = torch.hypot(frequency[:, None], frequency[None]).round().long().flatten()
    found = []
    for part in torch.split(images, _CHUNK):
        x = opponent(part)
        x = (x - x.mean((2, 3), keepdim=True)) * window[:, None] * window
        power = torch.fft.fft2(x, norm="ortho").abs().square().flatten(2)
        found.append(
            torch.stack([power[..., band == k].mean(-1) for k in range(1, BANDS + 1)], dim=-1)
        )
    return np.asarray(torch.cat(found).cpu().numpy(), dtype=np.float64)


@cache
def wavelets() -> Tensor:
    """Morlet wavelets (ANGLES, 2, TAPS, TAPS), real and imaginary part, of mean 0 and norm 1,
    float64.
    """
    at = torch.arange(TAPS, dtype=torch.float64) - TAPS // 2
    envelope = torch.exp(-(at[:, None] ** 2 + at[None] ** 2) / (2 * 1.4**2))
    found = []
    for k in range(ANGLES):
        angle = math.pi * k / ANGLES
        wave = torch.exp(
            0.55j * math.pi * (math.cos(angle) * at[None] + math.sin(angle) * at[:, None])
        )
        wavelet = envelope * wave
        wavelet = wavelet - envelope * wavelet.sum() / envelope.sum()
        wavelet = wavelet / wavelet.abs().square().sum().sqrt()
        found.append(torch.stack([wavelet.real, wavelet.imag]))
    return torch.stack(found)


def _moduli(x: Tensor) -> Tensor:
    """Moduli (N, C * ANGLES, H - 6, W - 6) of every channel of x under every wavelet; no edge is
    made up.
    """
    bank = wavelets().to(x).flatten(0, 1)[:, None]
    n, channels, height, width = x.shape
    y = functional.conv2d(x.reshape(n * channels, 1, height, width), bank)
    y = y.reshape(n * channels, ANGLES, 2, *y.shape[2:]).square().sum(2).sqrt()
    return y.reshape(n, channels * ANGLES, *y.shape[2:])


def _parts(x: Tensor) -> Iterator[Tensor]:
    """Groups of features (N, k) of opponent channels: colour, contrasts by scale and how uneven
    they are.
    """
    yield x.mean((2, 3))
    for level in range(LEVELS):
        moduli = _moduli(x)
        yield _log(moduli.mean((2, 3)))
        yield _log(moduli.std((2, 3), correction=0))
        if level == 0:  # where in the patch it is busy, for the luminance: edges, or all over
            yield _log(_moduli(functional.avg_pool2d(moduli[:, :ANGLES], 2)).mean((2, 3)))
        x = functional.avg_pool2d(x, 2)


def _log(values: Tensor) -> Tensor:
    return (values + FLOOR).log()


def patch_features(images: Tensor) -> Array:
    """Features (N, 91), float64, of colour patches (N, 3, 32, 32). Raises ValueError for anything
    else.

    Computed in float32, six times as fast: FLOOR is far above its rounding.
    """
    parts = [
        torch.cat(list(_parts(opponent(part).float())), dim=1)
        for part in torch.split(images, _CHUNK)
    ]
    return np.asarray(torch.cat(parts).cpu().numpy(), dtype=np.float64)
