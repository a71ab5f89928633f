"""What is said of a model in one place, for all worlds, commands and pages: a line of `FAMILIES`.

What its letters mean is in models.py, its process in processes.py. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from splitting_analysis.clocks import PositionOnly
from splitting_analysis.models import Dynamics
from splitting_analysis.processes import PSLD, VE, VP, Flow, Langevin, Process, Respa

Effort = tuple[int, float, float]
"""The highest order that the formulas of a short word reach within half a minute of CPU, the
seconds that takes, and by how much the next order takes longer (and is longer to read)."""


@dataclass(frozen=True)
class Family:
    """A model as it is run, derived and shown.

    label       what a sentence calls it
    process     its process, whose defaults are the model's
    point       where its error is a number, unless said otherwise
    diffuses    false where the target itself is sampled: no early stop, no denoising step, and a
                score that does not depend on time
    denoises    whether a run ends with the denoising step unless said otherwise
    timesteps   whether networks know its time as timesteps of 1000
    spectrum    of the target, unless said otherwise
    optional    what else may be given there
    kinds       what its ODE and its SDE are called
    titles      of the catalogue's chapters on them
    efforts     what deriving them takes, as measured
    observed    parameters at which page "orders" runs it: beta varies in time
    """

    label: str
    process: type[Process]
    point: Mapping[str, float]
    diffuses: bool = True
    denoises: bool = True
    timesteps: bool = True
    spectrum: str = "digits"
    optional: tuple[str, ...] = ()
    kinds: Mapping[Dynamics, str] | None = None
    titles: Mapping[Dynamics, str] | None = None
    efforts: Mapping[Dynamics, Effort] | None = None
    observed: tuple[str, ...] = ()

    def kind(self, dynamics: Dynamics) -> str:
        """What these dynamics are called."""
        if self.kinds is not None:
            return self.kinds[dynamics]
        return "probability-flow ODE" if dynamics == "ode" else "reverse SDE"

    def title(self, dynamics: Dynamics) -> str:
        """The heading of the samplers of these dynamics."""
        if self.titles is not None:
            return self.titles[dynamics]
        return f"{self.label}, {'probability flow' if dynamics == 'ode' else 'reverse SDE'}"

    def effort(self, dynamics: Dynamics) -> Effort:
        """What deriving it takes: as for PSLD, the longest, where it was not measured."""
        return (self.efforts or FAMILIES["psld"].efforts or {})[dynamics]


FAMILIES: dict[str, Family] = {
    "psld": Family(
        "PSLD",
        PSLD,
        point={"Gamma": 0.01, "nu": 4.01, "beta": 8.0, "T": 1.0},
        optional=("lambda_s", "M", "beta_min", "beta_max", "tau", "t"),
        efforts={"sde": (4, 8, 18), "ode": (5, 18, 10)},
        observed=("0.25", "4.25", "2", "4", "0.04", "1"),
    ),
    "vp": Family(
        "VP",
        VP,
        point={"beta_min": 0.1, "beta_max": 20.0, "T": 1.0},
        optional=("beta", "tau", "t"),
        efforts={"sde": (6, 20, 9), "ode": (8, 16, 4)},
        observed=("0.1", "5", "1"),
    ),
    "ve": Family("VE", VE, {"T": VE.T}, timesteps=False, optional=("tau", "t")),
    "flow": Family("flow matching", Flow, {"T": Flow.T}, denoises=False, optional=("tau", "t")),
    "langevin": Family(
        "Langevin dynamics",
        Langevin,
        diffuses=False,
        denoises=False,
        timesteps=False,
        # Three variances of digits are 0, where it has no score; a well of unit frequency is the
        # usual test of molecular dynamics.
        spectrum="1",
        point={"gamma": 1.0},
        kinds={"ode": "Hamiltonian flow", "sde": "kinetic Langevin"},
        titles={"ode": "Hamiltonian dynamics", "sde": "Kinetic Langevin dynamics"},
        efforts={"sde": (6, 4, 10), "ode": (10, 1, 2)},
        observed=("1", "2"),
    ),
    "respa": Family(
        "Langevin dynamics of two forces",
        Respa,
        diffuses=False,
        denoises=False,
        timesteps=False,
        spectrum="1",
        point={"gamma": 1.0},
        kinds={"ode": "Hamiltonian flow", "sde": "kinetic Langevin"},
        titles={
            "ode": "Hamiltonian dynamics of two forces",
            "sde": "Kinetic Langevin dynamics of two forces",
        },
        observed=("1", "2"),
    ),
}
"""By the name of a model."""
POSITION_ONLY = tuple(
    name for name, family in FAMILIES.items() if issubclass(family.process, PositionOnly)
)
"""The models without a momentum."""
FIXED_TARGETS = tuple(name for name, family in FAMILIES.items() if not family.diffuses)
"""The models in which the target itself is sampled."""


def family_of(process: Process) -> Family:
    """The family that a process is of."""
    return FAMILIES[process.model_name]


def fixed_target(process: Process) -> TypeGuard[Langevin]:
    """Whether the target itself is sampled, by a force without a time: a process with a gamma."""
    return not family_of(process).diffuses


def names(models: Iterable[str]) -> str:
    """The models as a message lists them: psld, vp and flow."""
    *most, last = models
    return f"{', '.join(most)} and {last}"
