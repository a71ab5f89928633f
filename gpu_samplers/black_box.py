"""The black-box solver of the released code, in torch: Dormand-Prince 5(4) with error control."""

from __future__ import annotations

from collections.abc import Callable
from math import nextafter
from typing import Any

import torch

Tensor = torch.Tensor

# Dormand & Prince 5(4) (Hairer, Norsett & Wanner I, table II.5.2): nodes, rows, and b - b^.
DP_C = (0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1)
DP_A: tuple[tuple[float, ...], ...] = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
DP_B = (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
DP_E = (71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def dormand_prince(
    f: Callable[[float, Tensor], Tensor], t: float, z: Tensor, h: float, first: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """One step: the fifth-order result and the six stages; `first` is f(t, z)."""
    k = [first]
    for c, row in zip(DP_C[1:], DP_A[1:], strict=True):
        k.append(f(t + c * h, z + h * sum(a * ki for a, ki in zip(row, k, strict=True))))
    return z + h * sum(b * ki for b, ki in zip(DP_B, k, strict=True)), k


def adaptive(
    f: Callable[[float, Tensor], Tensor], t: float, end: float, z: Tensor, rtol: float, atol: float
) -> Tensor:
    """Dormand-Prince with error control (Hairer, Norsett & Wanner I, II.4): SciPy's RK45, step for
    step.

    The batch is one vector with one step size, as in the released code. Raises ArithmeticError
    when the step size underflows.
    """

    def norm(error: Any, scale: Tensor) -> float:
        return float((error / scale).square().mean().sqrt())

    first, scale = f(t, z), atol + z.abs() * rtol
    d0, d1 = norm(z, scale), norm(first, scale)
    h0 = min(1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1, end - t)
    d2 = norm(f(t + h0, z + h0 * first) - first, scale) / h0
    h1 = max(1e-6, h0 * 1e-3) if max(d1, d2) <= 1e-15 else (0.01 / max(d1, d2)) ** 0.2
    h, rejected = min(100 * h0, h1, end - t), False
    while t < end:
        if not h >= 10 * (nextafter(t, end) - t):
            raise ArithmeticError(f"RK45: at t = {t:g} no step is small enough for the tolerances")
        h = min(h, end - t)
        new, k = dormand_prince(f, t, z, h, first)
        k.append(f(t + h, new))
        error = h * sum(e * ki for e, ki in zip(DP_E, k, strict=True))
        size = norm(error, atol + torch.maximum(z.abs(), new.abs()) * rtol)
        # NaN: the step shrinks until it underflows
        factor = 10.0 if size == 0 else 0.9 * size**-0.2
        if size < 1:
            t, z, first = (end if h == end - t else t + h), new, k[-1]
            h, rejected = h * min(1.0 if rejected else 10.0, factor), False
        else:
            h, rejected = h * max(0.2, factor), True  # max(0.2, nan) is 0.2
    return z
