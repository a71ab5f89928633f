"""OpenMM's Langevin integrators, as one step of the protocol: the real integrator, in double.

Positions and momenta are one particle each per number, unit mass and temperature; every force that
the integrator evaluates is a call of the score. Its random numbers are its own: `noise=none` sets
the temperature to 0, which leaves its deterministic part, and `noise=own` (the default) draws.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from analytic_models.probing.subject import Subject
from gpu_samplers.adapters import options as texts
from gpu_samplers.adapters.arrays import Array
from splitting_analysis.processes import Langevin

INTEGRATORS = ("LangevinMiddleIntegrator", "LangevinIntegrator", "MTSLangevinIntegrator")
OPTIONS = {"friction": 1.0, "noise": "own", "seed": 1, "inner": 1}
"""`inner` steps of the only force, within one of none, is what MTSLangevinIntegrator can do."""


@dataclass
class Stepper:
    """One integrator, with a context for every size of batch that it is asked for."""

    library: Any
    name: str
    friction: float
    own: bool
    seed: int
    inner: int
    contexts: dict[int, tuple[Any, Any, list[Any]]] = field(default_factory=dict)

    def step(
        self,
        z: Array,
        t: float,
        h: float,
        score: Any,
        noise: Any,  # noqa: ARG002
        model: Any,
    ) -> Array:
        """One step, `step` of the protocol."""
        d = z.shape[1] // 2
        count = z.shape[0] * d
        context, integrator, force = self.context(count, float(h))
        force[0] = lambda q: score(q.reshape(-1, d), model.T - t).reshape(-1)
        context.setPositions(self.vectors(z[:, :d]))
        context.setVelocities(self.vectors(z[:, d:]))
        integrator.step(1)
        state = context.getState(positions=True, velocities=True)
        q = state.getPositions(asNumpy=True)._value[:, 0]
        p = state.getVelocities(asNumpy=True)._value[:, 0]
        return np.hstack([np.reshape(q, (-1, d)), np.reshape(p, (-1, d))]).astype(float)

    @staticmethod
    def vectors(values: Array) -> Array:
        made = np.zeros((values.size, 3))
        made[:, 0] = values.reshape(-1)
        return made

    def context(self, count: int, h: float) -> tuple[Any, Any, list[Any]]:
        if count not in self.contexts:
            self.contexts[count] = self.made(count, h)
        self.contexts[count][1].setStepSize(h)  # one stream of random numbers, whatever the steps
        return self.contexts[count]

    def made(self, count: int, h: float) -> tuple[Any, Any, list[Any]]:
        mm = self.library
        system, force = mm.System(), [lambda q: -q]
        for _ in range(count):
            system.addParticle(1.0)

        def computed(state: Any) -> tuple[float, Array]:
            q = state.getPositions(asNumpy=True)._value[:, 0]
            return 0.0, self.vectors(np.asarray(force[0](np.array(q)), dtype=float))

        python = mm.PythonForce(computed)
        python.setForceGroup(1)
        system.addForce(python)
        gas = mm.unit.MOLAR_GAS_CONSTANT_R.value_in_unit(
            mm.unit.kilojoules_per_mole / mm.unit.kelvin
        )
        # with kT = 1 kJ/mol, mass 1 Da and lengths in nm, time in ps has no factor left
        kelvin = 1 / gas if self.own else 0.0
        if self.name == "MTSLangevinIntegrator":
            groups = [(0, 1), (1, self.inner)] if self.inner > 1 else [(1, 1)]
            integrator = mm.MTSLangevinIntegrator(kelvin, self.friction, h, groups)
        else:
            integrator = getattr(mm, self.name)(kelvin, self.friction, h)
        integrator.setRandomNumberSeed(self.seed)
        platform = mm.Platform.getPlatformByName("Reference")
        context = mm.Context(system, integrator, platform)
        return context, integrator, force


def load() -> Any:
    """The package. Raises ValueError where it is missing, or too old for forces in Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            library: Any = import_module("openmm")
    except ImportError as error:
        raise ValueError(f"openmm needs the package openmm: pip install openmm ({error})") from None
    if not hasattr(library, "PythonForce"):
        raise ValueError(
            f"openmm {library.__version__} has no PythonForce, which asks the score: openmm>=8.4"
        )
    return library


def subject(name: str, options: Mapping[str, str] | None = None) -> Subject:
    """An integrator as the subject of a validation. Raises ValueError naming what there is."""
    library = load()
    if name not in INTEGRATORS:
        raise ValueError(f"openmm has no {name!r} known here; there are: {', '.join(INTEGRATORS)}")
    values = {**OPTIONS, **texts.parsed(options or {}, OPTIONS, f"openmm:{name}")}
    if values["noise"] not in ("own", "none"):
        raise ValueError(f"option noise={values['noise']}: own or none")
    for key in ("friction", "inner"):
        if not values[key] > 0 or values[key] != (
            int(values[key]) if key == "inner" else values[key]
        ):
            raise ValueError(f"option {key}={values[key]}: a positive number, inner a whole one")
    stepper = Stepper(
        library,
        name,
        float(values["friction"]),
        values["noise"] == "own",
        int(values["seed"]),
        int(values["inner"]),
    )
    call: Callable[..., Any] = stepper.step
    shown = " ".join([f"openmm:{name}", *(f"{k}={v}" for k, v in (options or {}).items())])
    notes = (f"openmm {library.__version__}", "its random numbers are its own")
    return Subject(shown, "step", call, Langevin(gamma=float(values["friction"])), notes=notes)
