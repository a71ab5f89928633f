"""Between the float64 arrays of the protocol and the tensors that foreign code computes with."""

from __future__ import annotations

from collections.abc import Callable
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


def as_numpy(call: Callable[..., Any]) -> Callable[..., Any]:
    """A step or sampler written for tensors, as one that takes and returns float64 arrays.

    Arrays among its arguments become tensors, and so does what the callables among them (score,
    noise) return; a tensor of float32 or less that comes back keeps its digits, no more.
    """

    def inward(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return tensor(value)
        if callable(value) and not hasattr(value, "model_name"):
            return lambda *given: tensor(value(*(outward(one) for one in given)))
        return value

    def outward(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return array(value) if value.ndim else float(value)

    def called(*given: Any) -> Any:
        return outward(call(*(inward(one) for one in given)))

    return called
