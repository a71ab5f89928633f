"""A run with a name: process, target, grid, start, early stop and denoising in one object."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any

import numpy as np

from analytic_models.distances import score_card
from analytic_models.grids import read_grid, times_on
from analytic_models.instability import instability
from analytic_models.moments import Moments, run
from analytic_models.rules import Lambda
from analytic_models.schedules import schedule_name, scheduled
from analytic_models.targets import Gaussian, load_spectrum
from splitting_analysis.families import family_of
from splitting_analysis.grids import EPS, Grid, check_end
from splitting_analysis.lookup import as_scheme, spelled
from splitting_analysis.models import model_of
from splitting_analysis.processes import Process, process_of
from splitting_analysis.schemes import Denoise, Scheme, check_ending, check_history, steps_for

STARTS = ("prior", "pT")


@dataclass(frozen=True, eq=False)
class Problem:
    """A Gaussian target and how it is sampled: all that a run needs but a scheme and a number of
    steps.

    start     "prior" (the stationary law) or "pT" (the exact law at T)
    grid      a name of `splitting_analysis.grids`, a file or a text of times, or reverse times
    eps       the grid ends at T - eps; 0 for Langevin dynamics, which sample the target itself
    denoise   end with a noiseless Euler step over eps, at one evaluation; "data": with the data
              predicted there in place of the position, at one evaluation too

    Raises ValueError for a start, grid or eps that there is not, or a target without a score.
    """

    process: Process
    target: Gaussian
    grid: Grid = "uniform"
    start: str = "prior"
    eps: float = EPS
    denoise: Denoise = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", spelled(self.start, STARTS))
        if isinstance(self.grid, str):
            object.__setattr__(self, "grid", read_grid(self.grid))
        if not isinstance(self.grid, str):  # it says itself where it ends
            object.__setattr__(self, "eps", max(0.0, float(self.process.T) - self.grid[-1]))
        if self.start not in STARTS:
            raise ValueError(
                f"start {self.start}: there are prior (the stationary law) and pT (the exact law "
                "at T)"
            )
        if not (isinstance(self.eps, Real) and 0 <= self.eps < self.process.T):
            raise ValueError(
                f"eps {self.eps}: the last time is T - eps, 0 <= eps < T = {self.process.T}"
            )
        check_ending(self.denoise, model_of(self.process.model_name, "ode"))
        if not family_of(self.process).diffuses:
            self._check_fixed_target()
        # an eps that is none is refused before the first run
        times_on(self.grid, self.least_steps, self.process, self.eps)

    def _check_fixed_target(self) -> None:
        if isinstance(self.grid, str) and self.grid != "uniform":
            raise ValueError(
                f"grid {self.grid}: a {self.process.model_name} run takes uniform steps"
            )
        if (self.eps and isinstance(self.grid, str)) or self.denoise:
            raise ValueError(
                f"a {self.process.model_name} run has no diffusion to stop early and no denoising "
                "step: eps = 0 and denoise = False"
            )
        if zeros := int(np.sum(np.asarray(self.target.variances) == 0)):
            raise ValueError(
                f"spectrum: {zeros} of {np.size(self.target.variances)} variances are 0, and a "
                f"{self.process.model_name} run needs positive ones, v1,v2,..."
            )

    @property
    def denoises(self) -> Denoise:
        """How the run ends: there is nothing to denoise from eps = 0."""
        return self.denoise if self.eps > 0 else False

    @property
    def grid_name(self) -> str:
        """The grid as a table's footnote calls it."""
        return self.grid if isinstance(self.grid, str) else "given"

    @property
    def least_steps(self) -> int:
        """Steps of the shortest grid: of one that is given all."""
        return 1 if isinstance(self.grid, str) else len(self.grid) - 1

    def times(self, steps: int) -> list[float]:
        """The grid, `steps` + 1 reverse times."""
        return times_on(self.grid, steps, self.process, self.eps)

    def scheme(self, given: str | Scheme) -> Scheme:
        """The scheme of a name or word, in the model that is run."""
        return as_scheme(given, self.process.model_name)

    def steps(self, scheme: str | Scheme, nfe: int) -> int:
        """Steps that a budget of score evaluations buys. Raises ValueError below 1."""
        return steps_for(nfe, self.scheme(scheme), self.denoises)

    def law(self, scheme: str | Scheme, steps: int, lambda_s: Lambda = None) -> Moments:
        """Mean and covariance of what the scheme samples in so many steps, exactly."""
        scheme = self.scheme(scheme)
        check_history(scheme, steps)
        return run(
            scheme,
            self.process,
            self.target,
            self.times(steps),
            self.start,
            self.denoises,
            lambda_s,
        )

    def _acting(self, scheme: Scheme) -> dict[str, Any]:
        """What a row says of its scheme and process beyond the word; None where it does not act."""
        return {
            "lambda": float(scheme.conjugate) if scheme.program.conjugates else None,
            "factor": scheme.factor if scheme.factors else None,
            "skip": None if scheme.skip is None else float(scheme.skip),
            "eta": float(scheme.noise_level) if scheme.model.time_dependent else None,
            "clock": scheme.in_clock if scheme.model.time_dependent else None,
            "schedule": schedule_name(self.process),
            "lower_order_final": scheme.lower_final,
            "churn": scheme.churn and scheme.churn.as_dict(),
        }

    def errors(
        self, scheme: str | Scheme, steps: int, lambda_s: float | None = None
    ) -> dict[str, Any]:
        """The errors of that law against the target, and what they are of, as data for JSON.

        A number that left float64 is None. "unstable" is None, or says at which step, with which
        limit and in which mode the run blew up: its errors are then no results.
        """
        scheme = self.scheme(scheme)
        moments = self.law(scheme, steps, lambda_s)
        cause = instability(
            scheme, self.process, self.target, self.times(steps), moments, self.denoises is True
        )
        card = score_card(moments, self.process, self.target)
        return {
            "scheme": scheme.name,
            "word": str(scheme.word),
            "model": scheme.model_name,
            "dynamics": scheme.dynamics,
            "steps": moments.steps,
            "nfe": moments.nfe,
            "lambda_s": lambda_s,
            **self._acting(scheme),
            "grid": self.grid if isinstance(self.grid, str) else list(self.grid),
            "start": self.start,
            "eps": self.eps,
            "denoise": self.denoises,
            **{key: value if math.isfinite(value) else None for key, value in card.items()},
            "unstable": None if cause is None else asdict(cause),
        }


def problem_for(
    model: str,
    spectrum: Any = None,
    parameters: dict[str, Any] | None = None,
    schedule: str | None = None,
    **how: Any,
) -> Problem:
    """The problem of a model's name: defaults where nothing is said, `how` as `Problem` takes it.

    `spectrum` are variances, or a text as `load_spectrum` reads it (default: digits, or unit
    variance for langevin), `schedule` is vp's as `load_schedule` reads it. Raises ValueError for
    what there is not.
    """
    model = model.strip().lower()
    process = process_of(model, **(parameters or {}))
    family = family_of(process)
    if schedule is not None:
        process = scheduled(process, schedule, parameters or {})
    if spectrum is None:
        spectrum = family.spectrum
    # a name, not a file and not numbers
    if isinstance(spectrum, str) and spectrum.strip().isalpha():
        spectrum = spectrum.strip().lower()
    if not isinstance(spectrum, str):
        try:
            spectrum = np.atleast_1d(np.asarray(spectrum, dtype=np.float64))
        except (TypeError, ValueError, OverflowError):
            raise ValueError(
                f"spectrum = {str(spectrum)[:40]}: variances are one number, several, or a text "
                "such as 'digits'"
            ) from None
    target = Gaussian(load_spectrum(spectrum) if isinstance(spectrum, str) else spectrum)
    given = how.get("eps")
    how = {"denoise": family.denoises, "eps": EPS if family.diffuses else 0.0, **how}
    made = Problem(process, target, **how)
    if given is not None and not isinstance(made.grid, str):
        check_end(made.grid, process.T, given)
    return made
