"""Between the float64 arrays of the protocol and the tensors that foreign code computes with."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]


def tensor(array: Any, shape: tuple[int, ...] | None = None) -> torch.Tensor:
    """A float64 tensor of its own memory; in this shape, if one is given."""
    made = torch.tensor(np.array(array, dtype=np.float64))
    return made if shape is None else made.reshape(shape)


def array(value: torch.Tensor, shape: tuple[int, ...] | None = None) -> Array:
    """A float64 array of its own memory; in this shape, if one is given."""
    made = np.array(value.detach().cpu().numpy(), dtype=np.float64)
    return made if shape is None else made.reshape(shape)
