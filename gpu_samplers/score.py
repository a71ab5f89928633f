"""A network that predicts epsilon, as the score of a process: precision, memory format,
compilation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from gpu_samplers.graphs import Graphs
from gpu_samplers.processes import PSLD, VP, Array, kernel, lower_factor

_PRECISIONS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
MOST_NUMERICAL_EPS = 1e-2
"""It is added to variances of order 1, against rounding; with more the kernel is not the trained
one.
"""


def check_numerical_eps(value: float) -> None:
    """Raise ValueError unless it is one that rounding may ask for."""
    if not 0 <= value <= MOST_NUMERICAL_EPS:
        raise ValueError(
            f"numerical_eps = {value}: it is added to variances of order 1, against rounding: "
            f"from 0 to {MOST_NUMERICAL_EPS:g}, e.g. 1e-9"
        )


def check_returned(what: str, s: Any, shape: Sequence[int], state: torch.Tensor) -> None:
    """Raise ValueError unless what someone else's code returned for `state` is a float tensor of
    that shape.

    Its values are not looked at: on a GPU that would wait for the device.
    """
    if (
        isinstance(s, torch.Tensor)
        and s.dtype in _PRECISIONS
        and s.layout is torch.strided
        and s.is_meta == state.is_meta
        and not s.is_nested
        and s.shape == shape
    ):
        return
    raise ValueError(
        f"{what} must return a float tensor (float16/bfloat16/float32/float64) of shape "
        f"{tuple(shape)}; it returned {_described(s)}"
    )


def _described(s: Any) -> str:
    if not isinstance(s, torch.Tensor):
        return "None" if s is None else f"an object of type {type(s).__module__}.{type(s).__name__}"
    kind = "nested " if s.is_nested else "meta " if s.is_meta else ""
    layout = "" if s.layout is torch.strided else f"{s.layout} "
    shape = "" if s.is_nested else f" of shape {tuple(s.shape)}"
    return f"a {kind}{layout}{s.dtype} tensor{shape}".replace("torch.", "")


@contextmanager
def float32_products(tf32: bool) -> Iterator[None]:
    """Have a GPU multiply float32 in TF32 (10 bits of mantissa), or in full, whatever was set
    before.

    torch's own default is TF32 for convolutions: three digits, under the name of float32.
    """
    convolutions, matrices = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, matrices.allow_tf32
    convolutions.allow_tf32 = matrices.allow_tf32 = tf32
    try:
        yield
    finally:
        convolutions.allow_tf32, matrices.allow_tf32 = before


class NetworkScore:
    """score(z, tau) = -L^-T network(z, tau) with L L^T the covariance of the perturbation kernel.

    The network takes z as (batch, n * channels, ...), components one after another along axis 1,
    and the forward time (batch,), and predicts epsilon in the shape of z. Time stays in float32 or
    better whatever the precision: bf16 would hold it to three digits.

    dtype          precision that the network runs in; its parameters are converted in place
    compile        run it through torch.compile (static shapes: a smaller last batch compiles again)
    channels_last  keep its weights and images in channels-last memory format
    tf32           in float32 let a GPU multiply in TF32; otherwise float32 is float32
    graphs         replay it as a CUDA graph: the host launches it at once (static shapes too)
    factor         "lower" or "upper": the triangular factor L of the covariance it was trained with
    numerical_eps  added to the variances; released PSLD weights want 1e-9, theory 0; at most 1e-2
    """

    def __init__(
        self,
        network: torch.nn.Module,
        process: PSLD | VP,
        dtype: torch.dtype = torch.float32,
        *,
        compile: bool = False,  # noqa: A002 - torch's word
        channels_last: bool = False,
        tf32: bool = False,
        graphs: bool = False,
        factor: str = "lower",
        numerical_eps: float = 0.0,
    ) -> None:
        if dtype not in _PRECISIONS:
            raise ValueError(
                f"a network runs in one of {', '.join(map(str, _PRECISIONS))}, not {dtype}"
            )
        if factor not in ("lower", "upper"):
            raise ValueError(f"no factor {factor!r} of the covariance; there are: lower, upper")
        check_numerical_eps(numerical_eps)
        self.process, self.dtype, self.side, self.numerical_eps = (
            process,
            dtype,
            factor,
            numerical_eps,
        )
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        network = network.to(dtype=dtype).eval()
        if channels_last:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.tf32 = tf32
        self.network: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = (
            torch.compile(network, dynamic=False) if compile else network
        )
        if graphs:
            self.network = Graphs(self.network)

    def factor(self, tau: float) -> Array:
        """The matrix (n, n) that takes the network's output to the score at forward time tau."""
        covariance = kernel(self.process, tau)
        covariance = covariance + self.numerical_eps * np.eye(len(covariance))
        if self.side == "lower":
            factor = lower_factor(covariance)
        else:  # upper-triangular U, U U^T = covariance: the lower factor with the axes reversed
            factor = lower_factor(covariance[::-1, ::-1])[::-1, ::-1]
        return np.asarray(-np.linalg.inv(factor).T, dtype=np.float64)

    def output(self, z: torch.Tensor, tau: float) -> torch.Tensor:
        """What the network predicts at z (n, batch, channels, ...): the same shape, in its
        precision.
        """
        n, batch, channels = z.shape[:3]
        image = torch.empty(
            (batch, n * channels, *z.shape[3:]),
            dtype=self.dtype,
            device=z.device,
            memory_format=self.format,
        )
        # one pass: order, precision and format
        image.view(batch, n, channels, *z.shape[3:]).copy_(z.transpose(0, 1))
        precise = torch.promote_types(self.dtype, torch.float32)
        time = torch.full((batch,), tau, dtype=precise, device=z.device)
        with float32_products(self.tf32):
            predicted = self.network(image, time)
        # it predicts epsilon for every component
        check_returned("the network", predicted, image.shape, image)
        return predicted.reshape(batch, n, channels, *z.shape[3:]).transpose(0, 1)

    def __call__(self, z: torch.Tensor, tau: float) -> torch.Tensor:
        """The score at z, in the precision of z."""
        matrix = torch.as_tensor(self.factor(tau), dtype=z.dtype, device=z.device)
        return torch.einsum("ij,j...->i...", matrix, self.output(z, tau).to(z.dtype))
