"""Rows of `splitting-analysis gaussian`: exact errors on a Gaussian target, no Monte Carlo."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytic_models.diffusions import Diffusion, diffusion_of
from analytic_models.distances import score_card
from analytic_models.grids import grid
from analytic_models.moments import run, steps_for
from analytic_models.targets import Gaussian, load_spectrum
from reports.expressions import parse_settings
from reports.lookup import check_lambda_s
from splitting_analysis.scheme import Scheme

EPS = 1e-3
"""Where the grid ends before T, unless said otherwise."""


@dataclass(frozen=True)
class Setting:
    """What all rows of a table share."""

    spectrum: NDArray[np.float64]
    diffusion: Diffusion
    start: str = "prior"
    grid: str = "uniform"
    eps: float = EPS
    denoise: bool = True

    def times(self, steps: int) -> list[float]:
        return grid(self.grid, steps, self.diffusion.T, self.eps)

    @property
    def denoises(self) -> bool:
        """Whether a denoising step is taken: there is nothing to denoise from eps = 0."""
        return self.denoise and self.eps > 0


def cases(
    schemes: list[Scheme], counts: list[int], lambdas: list[float | None]
) -> list[tuple[Scheme, int, float | None]]:
    """Scheme, count and lambda_s of every row: a scheme in which lambda_s does not act has one per count.

    Raises ValueError where lambda_s is given and acts in none of them.
    """
    if lambdas != [None]:
        check_lambda_s("--lambda-s", *schemes)
    return [
        (scheme, count, lambda_s)
        for scheme in schemes
        for count in counts
        for lambda_s in (lambdas if scheme.has_tunable_noise else [None])
    ]


def rows(
    asked: list[tuple[Scheme, int, float | None]], setting: Setting, *, are_steps: bool
) -> Iterator[dict[str, Any]]:
    """One row per case, as soon as it is computed; its count is of steps, or of evaluations."""
    target = Gaussian(setting.spectrum)
    for scheme, count, lambda_s in asked:
        n = count if are_steps else steps_for(count, scheme, setting.denoises)
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
            **_finite(score_card(moments, setting.diffusion, target)),
        }


def _finite(card: dict[str, float]) -> dict[str, float | None]:
    """A sampler that diverged beyond float64 has no number: null in JSON, a dash in the table."""
    return {key: value if math.isfinite(value) else None for key, value in card.items()}


def setting_of(
    model: str, spectrum: str, parameters: str, start: str, grid_name: str, eps: float | None,
    denoise: bool | None,
) -> Setting:  # fmt: skip
    """The setting of the command's options; None is the default. Raises ValueError for bad ones."""
    if start not in ("prior", "pT"):
        raise ValueError(f"--start {start}: there are prior (the stationary law) and pT (the exact law at T)")
    if grid_name not in ("uniform", "quadratic"):
        raise ValueError(f"--grid {grid_name}: there are uniform and quadratic")
    kind = type(diffusion_of(model))
    given = parse_settings(parameters, [field.name for field in fields(kind)]) if parameters else {}
    diffusion = diffusion_of(model, **given)
    variances = load_spectrum(spectrum)
    if model == "langevin":
        _refuse_for_langevin(spectrum, variances, grid_name, eps, denoise)
        return Setting(variances, diffusion, start, grid_name, eps=0.0, denoise=False)
    eps = EPS if eps is None else eps
    if not 0 <= eps < diffusion.T:
        raise ValueError(f"--eps {eps}: the last time is T - eps, 0 <= eps < T = {diffusion.T}")
    return Setting(variances, diffusion, start, grid_name, eps, denoise is not False)


def _refuse_for_langevin(
    spectrum: str, variances: NDArray[np.float64], grid_name: str, eps: float | None, denoise: bool | None
) -> None:
    """Langevin dynamics samples the target itself: nothing is diffused, so nothing is left to denoise."""
    for option, given in (("--eps", eps is not None), ("--denoise/--no-denoise", denoise is not None)):
        if given:
            raise ValueError(f"{option}: a langevin run has no diffusion to stop early and no denoising step")
    if grid_name != "uniform":
        raise ValueError(f"--grid {grid_name}: a langevin run takes uniform steps")
    if zeros := int(np.sum(variances == 0)):
        raise ValueError(
            f"--spectrum {spectrum}: {zeros} of {variances.size} variances are 0, and a langevin run needs "
            "positive ones: --spectrum v1,v2,... or FILE.npy"
        )


def counts(text: str, option: str) -> list[int]:
    """Positive integers from "50,100". Raises ValueError naming the option."""
    for part in text.split(","):
        if not (part.strip().isascii() and part.strip().isdigit() and 1 <= int(part.strip()[:9]) <= 10**7):
            raise ValueError(f"{option} {text}: {part!r} is not a positive number, e.g. {option} 50,100")
    return [int(part) for part in text.split(",")]


def lambdas(text: str | None) -> list[float | None]:
    """Values of lambda_s from "1,1.2"; [None] when not given. Raises ValueError."""
    if text is None:
        return [None]
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--lambda-s {text}: numbers such as 1 or 1,1.1,1.2") from None
    if not all(0 <= value < float("inf") for value in values):
        raise ValueError(f"--lambda-s {text}: lambda_s scales a variance, so it is finite and >= 0")
    return list(values)


def shown(value: Any) -> str:
    """A cell of the table for a person."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def footnote(setting: Setting, rows: list[dict[str, Any]]) -> str:
    """What the table's numbers refer to."""
    modes = setting.spectrum.size
    if setting.diffusion.model_name == "langevin":
        return f"{modes} modes, start {setting.start}, uniform steps over T = {setting.diffusion.T:g}"
    text = f"{modes} modes, start {setting.start}, {setting.grid} grid, eps {setting.eps:g}"
    text += ", denoising step" if setting.denoises else ", no denoising step"
    if rows and rows[0]["kl_modes"] < modes:
        text += f"; kl_x over the {rows[0]['kl_modes']} modes with positive variance"
    return text
