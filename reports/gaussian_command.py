"""`splitting-analysis gaussian`: exact errors on a Gaussian target, no Monte Carlo."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytic_models.diffusions import Diffusion, diffusion_of
from analytic_models.distances import score_card
from analytic_models.grids import grid
from analytic_models.moments import run, steps_for
from analytic_models.targets import Gaussian
from splitting_analysis.scheme import Scheme


@dataclass(frozen=True)
class Setting:
    """What all rows of a table share. `eps` and `denoise` do not apply to Langevin runs."""

    spectrum: NDArray[np.float64]
    diffusion: Diffusion
    start: str = "prior"
    grid: str = "uniform"
    eps: float = 1e-3
    denoise: bool = True

    def times(self, steps: int) -> list[float]:
        if self.diffusion.model_name == "langevin":
            return grid("uniform", steps, self.diffusion.T, 0.0)
        return grid(self.grid, steps, self.diffusion.T, self.eps)

    @property
    def denoises(self) -> bool:
        """Whether a denoising step is taken: there is nothing to denoise from eps = 0."""
        return self.denoise and self.eps > 0 and self.diffusion.model_name != "langevin"


def rows(
    schemes: list[Scheme], setting: Setting, steps: list[int] | None, nfe: list[int] | None,
    lambdas: list[float | None],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """One row per scheme, count and lambda_s, as soon as it is computed."""
    target = Gaussian(setting.spectrum)
    for scheme, count, lambda_s in itertools.product(schemes, steps or nfe or [], lambdas):
        if lambda_s is not None and not scheme.model.has_tunable_noise:
            raise ValueError(f"--lambda-s: {scheme.name} has no letter O whose noise it could scale")
        n = count if steps else steps_for(count, scheme, setting.denoises)
        moments = run(
            scheme, setting.diffusion, target, setting.times(n), setting.start, setting.denoises, lambda_s
        )
        yield {
            "scheme": scheme.name,
            "word": str(scheme.word),
            "model": scheme.model_name,
            "dynamics": scheme.dynamics,
            "steps": moments.steps,
            "nfe": moments.nfe,
            "lambda_s": lambda_s,
            "grid": setting.grid,
            "start": setting.start,
            "eps": setting.eps,
            "denoise": setting.denoises,
            **score_card(moments, setting.diffusion, target),
        }


def setting_of(
    model: str, spectrum: NDArray[np.float64], parameters: dict[str, float], start: str, grid_name: str,
    eps: float, denoise: bool,
) -> Setting:  # fmt: skip
    """The setting of the command's options. Raises ValueError for bad ones."""
    if start not in ("prior", "pT"):
        raise ValueError(f"--start {start}: there are prior (the stationary law) and pT (the exact law at T)")
    if grid_name not in ("uniform", "quadratic"):
        raise ValueError(f"--grid {grid_name}: there are uniform and quadratic")
    if not 0 <= eps < 1:
        raise ValueError(f"--eps {eps}: the last time is T - eps, 0 <= eps < T")
    return Setting(spectrum, diffusion_of(model, **parameters), start, grid_name, eps, denoise)
