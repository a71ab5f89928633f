"""Every scheduler of Hugging Face `diffusers` that samples from a score, as a sampler of the
protocol.

A run makes a fresh scheduler and drives it as a pipeline does: `set_timesteps`, then for every
timestep `scale_model_input`, the network, `step`. Its own noise is replaced by the protocol's, its
arithmetic (float32 in most places) is left as it is.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from itertools import pairwise
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch

from analytic_models.probing.subject import Subject
from gpu_samplers.adapters import options as texts
from gpu_samplers.adapters.arrays import Array, array, tensor
from gpu_samplers.adapters.brownian import Brownian
from gpu_samplers.adapters.names import OTHERS, SAMPLERS
from gpu_samplers.adapters.networks import Network
from gpu_samplers.adapters.schedulers import FIRST, HIDDEN, levels_of, network_of

OWN: dict[str, Any] = {"again": False, "arithmetic": "single", "ends": "grid"}
"""Options of the adapter itself.

again        run twice with one object, and give the second run
arithmetic   `double` computes in float64 where the scheduler's code says float32
ends         `data` takes a last step to the data too; the run ends where it starts otherwise, for
             at the data the noise is 0 and log sigma infinite
"""
CHOICES = {"arithmetic": ("single", "double"), "ends": ("grid", "data")}
ROUNDING = 2e-6
"""Part of a time: noise levels and timesteps are float32, and nearer than this they are one."""


@dataclass
class Run:
    """A scheduler class with its options, ready to be run."""

    name: str
    kind: type
    make: dict[str, Any]
    grid_options: dict[str, Any]
    step_options: dict[str, Any]
    again: bool = False
    double: bool = False
    short: bool = False
    known: dict[tuple[float, ...], int] = field(default_factory=dict)
    paths: dict[int, list[float]] = field(default_factory=dict)

    @property
    def module(self) -> ModuleType:
        return import_module(self.kind.__module__)

    def scheduler(self, n: int | None = None) -> Any:
        with self.quiet(), self.arithmetic():
            made = copy.deepcopy(self.fresh)
            if n is not None:
                self.set(made, n)
            return made

    @cached_property
    def fresh(self) -> Any:
        """As it is made, never run: some take a second to make."""
        return self.kind(**self.make)

    def set(self, scheduler: Any, n: int) -> None:
        """Its timesteps, as its pipeline sets them."""
        scheduler.set_timesteps(n, **self.grid_options)
        if self.name == "ScoreSdeVeScheduler":
            scheduler.set_sigmas(n)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Without its warnings: what matters of them is measured."""
        logger = logging.getLogger("diffusers")
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            logger.setLevel(level)

    @contextlib.contextmanager
    def arithmetic(self) -> Iterator[None]:
        """With `double`, float32 means float64 to the scheduler's module."""
        if not self.double:
            yield
            return
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            with (
                mock.patch.object(self.module, "torch", _Double(torch)),
                mock.patch.object(self.module, "np", _Double(np), create=True),
            ):
                yield
        finally:
            torch.set_default_dtype(default)

    @cached_property
    def network(self) -> Network:
        return network_of(self.name, self.scheduler())

    def calls(self, scheduler: Any) -> list[float]:
        """The timesteps that it is stepped through."""
        steps = [float(t) for t in scheduler.timesteps]
        return steps[:-1] if self.name == "DDPMWuerstchenScheduler" else steps

    def taus(self, n: int) -> list[float]:
        """Forward times of the noise levels that a run of n steps goes through, falling."""
        if n not in self.paths:
            self.paths[n] = self._taus(n)
        return self.paths[n][:-1] if self.left_out(n) else self.paths[n]

    def left_out(self, n: int) -> bool:
        """Whether a run of n steps ends where its last step, to the data, starts."""
        # Wuerstchen's ends at an alpha-bar of 0.9999, and adds no noise there
        return self.short and (self.paths[n][-1] == 0 or self.name == "DDPMWuerstchenScheduler")

    def _taus(self, n: int) -> list[float]:
        scheduler, network = self.scheduler(n), self.network
        called = [network.tau(t) for t in self.calls(scheduler)]
        levels = levels_of(self.name, scheduler)
        if levels is None:
            if self.name == "PNDMScheduler":  # its start-up looks ahead
                called = [network.tau(float(t)) for t in scheduler._timesteps[::-1]]
            return _falling([*called, *_end(self, scheduler, network)])
        taus = [network.tau_of_sigma(level) for level in levels]
        steps = self.calls(scheduler)
        return _falling([_nearest(tau, steps, called, network) for tau in taus])

    def grid(self, n: int) -> list[float]:
        """Reverse times of the run with n steps: increasing, to the data or its last noise level.

        Steps that lead nowhere (from a noise level to itself) are not in it.
        """
        process = self.network.process
        count = n
        if len(self.taus(n)) < len(self.paths[n]):
            count = n + 1  # one step more, which is then left out
        times = [float(process.T) - tau for tau in self.taus(count)]
        self.known[tuple(times)] = count
        return times

    def steps_of(self, grid: Sequence[float]) -> int:
        """The number of steps whose grid this is. Raises ValueError where there is none."""
        times = tuple(float(t) for t in grid)
        if times in self.known:
            return self.known[times]
        for n in range(max(len(times) - 2, 1), 2 * len(times) + 4):
            if len(own := self.grid(n)) == len(times) and np.allclose(own, times, 1e-9, 1e-9):
                return n
        raise ValueError(
            f"{self.name} brings its own grid: none of {len(times) - 1} steps is the one given"
        )

    def sample(self, score: Any, z: Array, grid: Sequence[float], noise: Any, model: Any) -> Array:  # noqa: ARG002
        """The whole run, `sample` of the protocol."""
        n = self.steps_of(grid)
        scheduler = self.scheduler(n)
        self.taus(n)
        end = -1 if self.left_out(n) else None
        start = np.array(z)
        if self.again:
            rng = np.random.default_rng(3)
            self.drive(scheduler, _calm, start, lambda: rng.normal(size=z.shape), end)
            with self.quiet(), self.arithmetic():
                self.set(scheduler, n)
        final = self.drive(scheduler, score, start, noise, end)
        # its coefficients are float32: what comes back has no more digits
        return final if self.double else final.astype(np.float32)

    def drive(self, scheduler: Any, score: Any, start: Array, noise: Any, end: int | None) -> Array:
        """Step a scheduler whose timesteps are set through them, but for those from `end` on."""
        network = self.network
        shape = (*start.shape, 1, 1) if self.name != "RFD4ProteinaScheduler" else (*start.shape, 1)

        def drawn(*size: Any, **named: Any) -> torch.Tensor:  # noqa: ARG001
            made = tensor(noise(), shape)
            return made.to(named["dtype"]) if named.get("dtype") is not None else made

        x, walk = tensor(start, shape), _Walk(self.name, scheduler, self.step_options)
        with self.quiet(), self.arithmetic(), _noise(self.module, drawn):
            steps = list(walk.timesteps())
            for place, t in enumerate(steps):
                # a corrector mends the state in the step after: what it leaves is kept
                last = end is not None and place == len(steps) + end
                if last and getattr(scheduler, "last_sample", None) is None:
                    break
                asked = scheduler.scale_model_input(x, t) if walk.scales else x
                tau = network.tau(float(t.reshape(-1)[0]))
                said = network.answer(array(asked, start.shape), tau, score)
                x = walk.step(tensor(said, shape), t, x)
                if last:
                    x = scheduler.last_sample
        return array(x, start.shape)


def _calm(y: Array, tau: float) -> Array:
    """A score that no process makes grow."""
    return -y / (1 + tau * tau)


class _Walk:
    """What differs between schedulers in the loop of their pipelines."""

    def __init__(self, name: str, scheduler: Any, options: Mapping[str, Any]) -> None:
        self.name, self.scheduler, self.options = name, scheduler, dict(options)
        self.scales = hasattr(scheduler, "scale_model_input")
        self.count, self.old = 0, None
        self.all = list(scheduler.timesteps)

    def timesteps(self) -> Iterator[torch.Tensor]:
        if self.name == "DDPMWuerstchenScheduler":
            yield from (t.reshape(1) for t in self.all[:-1])
        else:
            yield from self.all

    def step(self, said: torch.Tensor, t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        named: dict[str, Any] = {**self.options, "return_dict": False}
        before, self.count = self.count, self.count + 1
        match self.name:
            case "ScoreSdeVeScheduler":
                return self.scheduler.step_pred(said, t, x, **named)[0]
            case "CogVideoXDPMScheduler":
                back = self.all[before - 1] if before else None
                made, self.old = self.scheduler.step(said, self.old, t, back, x, **named)
                return made
            case "UnCLIPScheduler":
                last = before + 1 == len(self.all)
                named["prev_timestep"] = None if last else self.all[before + 1]
            case "RFD4ProteinaScheduler":
                named["emit_mask"] = torch.ones(x.shape[:2], dtype=x.dtype)
        return self.scheduler.step(said, t, x, **named)[0]


class _Double:
    """A module in which float32 is float64."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, "float64" if name == "float32" else name)


@contextlib.contextmanager
def _noise(module: ModuleType, drawn: Callable[..., torch.Tensor]) -> Iterator[None]:
    """The protocol's normals wherever the scheduler's module draws its own."""

    class Sampler:
        def __init__(self, x: torch.Tensor, *given: Any, **named: Any) -> None:  # noqa: ARG002
            self.path = Brownian(drawn)

        def __call__(self, sigma: Any, after: Any) -> torch.Tensor:
            made: torch.Tensor = self.path(sigma, after)
            return made

    with contextlib.ExitStack() as stack:
        if hasattr(module, "randn_tensor"):
            stack.enter_context(mock.patch.object(module, "randn_tensor", drawn))
        if hasattr(module, "BrownianTreeNoiseSampler"):
            stack.enter_context(mock.patch.object(module, "BrownianTreeNoiseSampler", Sampler))
        yield


def _end(run: Run, scheduler: Any, network: Network) -> list[float]:
    """Where the last step of a scheduler without noise levels leads."""
    if run.name == "DDPMWuerstchenScheduler":
        process = network.process
        return [float(process.schedule.inverse(-math.log(0.9999)))]
    if run.name == "UnCLIPScheduler":
        return [0.0]
    last = min(run.calls(scheduler))
    if hasattr(scheduler, "previous_timestep"):
        last = float(scheduler.previous_timestep(last))
    else:
        last -= scheduler.config.num_train_timesteps // scheduler.num_inference_steps
    if last >= 0:
        return [network.tau(last)]
    kept = float(getattr(scheduler, "final_alpha_cumprod", 1.0))
    return [0.0 if kept == 1 else network.tau(0)]


def _nearest(tau: float, steps: list[float], called: list[float], network: Network) -> float:
    """The time as a call has it, where the two differ by rounding to float32 alone."""
    for t, own in zip(steps, called, strict=True):
        ulp = abs(network.tau(t + 2 * float(np.spacing(np.float32(t)))) - own)
        if abs(tau - own) <= max(ROUNDING * own, ulp):
            return own
    return tau


def _falling(taus: list[float]) -> list[float]:
    """Without those that do not fall: stages, which repeat a time or look ahead, and null steps."""
    kept = taus[:1]
    for tau in taus[1:]:
        if tau < kept[-1]:
            kept.append(tau)
    return kept


def load(name: str) -> type:
    """The class. Raises ValueError for a name that is none, or is no sampler, and without the
    library."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            library = import_module("diffusers")
    except ImportError as error:
        raise ValueError(
            f"diffusers:{name} needs the package diffusers: pip install diffusers ({error})"
        ) from None
    if name in OTHERS:
        raise ValueError(f"diffusers:{name} {OTHERS[name]}: there is nothing here to validate")
    if name not in SAMPLERS:
        raise ValueError(
            f"diffusers has no scheduler {name!r} that is known here; there are: "
            f"{', '.join(sorted(SAMPLERS))}"
        )
    try:
        kind: type = getattr(library, name)
    except AttributeError:
        version = library.__version__
        raise ValueError(f"diffusers {version} has no {name}; 0.42.1 has it") from None
    return kind


def subject(name: str, options: Mapping[str, str] | None = None) -> Subject:
    """A scheduler with options as the subject of a validation.

    Options are those of its constructor, of `set_timesteps` and of `step`, and `again` and
    `arithmetic` (OWN). Raises ValueError naming what there is.
    """
    kind = load(name)
    step = getattr(kind, "step_pred", None) or kind.step  # type: ignore[attr-defined]
    places: list[Callable[..., Any]] = [kind.__init__, kind.set_timesteps, step]  # type: ignore[misc,attr-defined]
    of = f"diffusers:{name}"
    found = [texts.known(place, hidden=HIDDEN) for place in places]
    values = texts.parsed(options or {}, {**OWN, **found[2], **found[1], **found[0]}, of)
    first = dict(FIRST.get(name, {}))
    notes = [f"diffusers {import_module('diffusers').__version__}"]
    if "clip_sample" in found[0]:
        first["clip_sample"] = False
        if "clip_sample" not in values:
            notes.append("clip_sample=false: by default it clips the data to [-1, 1]")
    own = {key: values.pop(key) for key in list(values) if key in OWN}
    for key, choices in CHOICES.items():
        if own.get(key, choices[0]) not in choices:
            raise ValueError(f"option {key}={own[key]}: {' or '.join(choices)}")
    made = {key: value for key, value in values.items() if key in found[0]}
    run = Run(
        name,
        kind,
        {**first, **made},
        {key: value for key, value in values.items() if key in found[1] and key not in found[0]},
        {key: value for key, value in values.items() if key not in {**found[0], **found[1]}},
        bool(own.get("again", False)),
        own.get("arithmetic") == "double",
        own.get("ends", "grid") == "grid",
    )
    shown = " ".join(f"{key}={value}" for key, value in (options or {}).items())
    _try(run, f"{of} {shown}".strip())
    process = run.network.process
    return Subject(
        f"{of} {shown}".strip(), "sample", run.sample, process, run.grid, notes=tuple(notes)
    )


def _try(run: Run, shown: str) -> None:
    """Raises ValueError for options with which it does not run."""
    try:
        grid = run.grid(24 if run.name == "RFD4ProteinaScheduler" else 8)
        rng = np.random.default_rng(1)
        z = rng.normal(size=(2, 2))
        run.sample(_calm, z, grid, lambda: rng.normal(size=z.shape), None)
    except Exception as error:
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise ValueError(f"{shown} does not run: {type(error).__name__}: {said}") from error
    if any(b <= a for a, b in pairwise(grid)):
        raise ValueError(f"{shown} does not run: its noise levels do not fall")
