"""The samplers of `k-diffusion`, as samplers of the protocol: VE, time is sigma.

They take any falling noise levels. On its own grid a run steps through Karras et al.'s, and in the
end to 0, which is the data. Only the package's sampling module is loaded: the package as a whole
needs a dozen others that sampling does not.
"""

from __future__ import annotations

import ast
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch

from analytic_models.probing.subject import Subject
from gpu_samplers.adapters import options as texts
from gpu_samplers.adapters.arrays import Array, array, tensor
from gpu_samplers.adapters.brownian import Brownian
from gpu_samplers.adapters.networks import predicted
from splitting_analysis.processes import VE

HIDDEN = ("model", "x", "sigmas", "extra_args", "callback", "disable", "noise_sampler", "n",
          "sigma_min", "sigma_max", "return_info")  # fmt: skip
OWN: dict[str, Any] = {"sigma_min": 0.01, "sigma_max": 80.0, "rho": 7.0, "ends": "grid"}
"""Options of the grid; with `ends=data` a last step leads from sigma_min to 0, the data."""
OTHERS = {"sample_dpm_adaptive": "takes steps that depend on the values: it has no grid"}


@cache
def library() -> ModuleType:
    """k_diffusion.sampling. Raises ValueError where it, or what it imports, is missing."""
    found = find_spec("k_diffusion")
    if found is None or not found.submodule_search_locations:
        raise ValueError("k_diffusion needs the package k-diffusion: pip install k-diffusion")
    home = Path(next(iter(found.submodule_search_locations)))
    package, name = ModuleType("k_diffusion_sampling"), "k_diffusion_sampling"
    package.__path__ = [str(home)]
    sys.modules[name] = package
    sys.modules[f"{name}.utils"] = package.utils = _utils(home)  # type: ignore[attr-defined]
    try:
        return import_module(f"{name}.sampling")
    except ImportError as error:
        raise ValueError(
            f"k_diffusion samples with torchdiffeq, torchsde and tqdm: pip install them ({error})"
        ) from None


def _utils(home: Path) -> ModuleType:
    """The one function of k_diffusion.utils that sampling calls, from the package's own text."""
    module, file = ModuleType("k_diffusion_sampling.utils"), home / "utils.py"
    body: list[ast.stmt] = [
        part
        for part in ast.parse(file.read_text("utf-8")).body
        if isinstance(part, ast.FunctionDef) and part.name == "append_dims"
    ]
    exec(compile(ast.Module(body, []), str(file), "exec"), module.__dict__)  # noqa: S102
    return module


@dataclass(frozen=True)
class Run:
    """A sampling function with its options."""

    name: str
    call: Callable[..., Any]
    named: dict[str, Any]
    ends: tuple[float, float]
    rho: float
    short: bool

    @property
    def process(self) -> VE:
        """Churn asks the network beyond the first noise level, by a factor of sqrt(2) at most."""
        return VE(T=self.ends[1] * (2**0.5 if self.named.get("s_churn") else 1))

    @property
    def fast(self) -> bool:
        """Whether it makes its own grid, uniform in log sigma, of a number of evaluations."""
        return "sigmas" not in inspect.signature(self.call).parameters

    def grid(self, n: int) -> list[float]:
        """Reverse times of the noise levels of n steps."""
        low, high = self.ends
        T = float(self.process.T)
        if self.fast:
            ratio = math.log(low / high)
            return [T - high * math.exp(ratio * i / n) for i in range(n)] + [T - low]
        levels = library().get_sigmas_karras(n + self.short, low, high, self.rho)
        levels = levels[:-1] if self.short else levels
        return [T - min(float(level), high) for level in levels]

    def sample(self, score: Any, z: Array, grid: Sequence[float], noise: Any, model: Any) -> Array:  # noqa: ARG002
        """The whole run, `sample` of the protocol."""
        process = self.process
        module, shape = library(), (*z.shape, 1, 1)

        def network(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            tau = float(sigma.reshape(-1)[0])
            return tensor(predicted("sample", process, array(x, z.shape), tau, score), shape)

        def drawn(*given: Any, **named: Any) -> torch.Tensor:  # noqa: ARG001
            return tensor(noise(), shape)

        def plain(x: torch.Tensor) -> Callable[..., torch.Tensor]:  # noqa: ARG001
            return drawn

        class Sampler:
            def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ARG002
                self.path = Brownian(drawn)

            def __call__(self, sigma: Any, after: Any) -> Any:
                return self.path(sigma, after)

        sigmas = [float(process.T) - float(t) for t in grid]
        with (
            mock.patch.object(module, "default_noise_sampler", plain),
            mock.patch.object(module, "BrownianTreeNoiseSampler", Sampler),
            mock.patch.object(torch, "randn_like", drawn),
        ):
            if self.fast:
                count = 3 * (len(sigmas) - 1) - 1
                given: tuple[Any, ...] = (sigmas[-1], sigmas[0], count)
            else:
                given = (torch.tensor(sigmas, dtype=torch.float64),)
            return array(
                self.call(network, tensor(z, shape), *given, disable=True, **self.named), z.shape
            )


def subject(name: str, options: Mapping[str, str] | None = None) -> Subject:
    """`sample_NAME` (or NAME) as the subject of a validation.

    Options are those of the function, and of the grid (OWN). Raises ValueError naming what there
    is.
    """
    module = library()
    there = [one for one in vars(module) if one.startswith("sample_")]
    full = name if name.startswith("sample_") else f"sample_{name}"
    if full in OTHERS:
        raise ValueError(f"k_diffusion:{full} {OTHERS[full]}: there is nothing here to validate")
    if full not in there:
        raise ValueError(f"k_diffusion has no sampler {name!r}; there are: {', '.join(there)}")
    call: Callable[..., Any] = getattr(module, full)
    found = texts.known(call, hidden=HIDDEN)
    values = texts.parsed(options or {}, {**OWN, **found}, f"k_diffusion:{full}")
    own = {**OWN, **{key: values.pop(key) for key in list(values) if key in OWN}}
    if not 0 < own["sigma_min"] < own["sigma_max"]:
        raise ValueError(
            f"sigma_min={own['sigma_min']} and sigma_max={own['sigma_max']}: 0 < sigma_min < "
            "sigma_max"
        )
    if own["ends"] not in ("data", "grid"):
        raise ValueError(f"option ends={own['ends']}: grid or data")
    ends = own["sigma_min"], own["sigma_max"]
    run = Run(full, call, values, ends, own["rho"], own["ends"] == "grid")
    shown = " ".join([f"k_diffusion:{full}", *(f"{k}={v}" for k, v in (options or {}).items())])
    notes = (f"k-diffusion {version('k-diffusion')}",)
    return Subject(shown, "sample", run.sample, run.process, run.grid, notes=notes)
