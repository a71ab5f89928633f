"""Rows of `splitting-analysis gaussian`: exact errors on a Gaussian target, no Monte Carlo."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytic_models.diffusions import Diffusion, diffusion_of
from analytic_models.distances import score_card
from analytic_models.grids import grid
from analytic_models.instability import instability
from analytic_models.moments import run, steps_for
from analytic_models.targets import Gaussian, load_spectrum
from reports.expressions import parse_settings
from reports.lookup import check_lambda_s
from splitting_analysis.catalogue import CATALOGUE
from splitting_analysis.lookup import as_scheme
from splitting_analysis.models import MODEL_NAMES
from splitting_analysis.scheme import Scheme

EPS = 1e-3
"""Where the grid ends before T, unless said otherwise."""
SPECTRA = {"langevin": "1"}
"""The spectrum of a model, unless said otherwise; digits for the others. Three variances of digits are 0,
where a langevin run has no score; a well of unit frequency is the usual test of molecular dynamics."""
MOST = 10**7
"""Steps or evaluations of one run, at most."""
LONGEST = 600.0
"""Seconds that a table may take by its estimate."""
UNDISPUTED = 2 * 10**6
"""Numbers (steps times modes) pushed in about a second: below, nothing is estimated."""
ROW = UNDISPUTED // 25
"""What else a row costs at most, in the same numbers: saying why it blew up."""
ERRORS = ("w2_x", "w2", "kl_x", "worst_mode_x")
"""Columns that are no numbers where a run blew up; w2 alone where only the momentum did."""


def schemes_of(texts: list[str], model: str | None, dynamics: str | None) -> list[Scheme]:
    """The schemes of names or words, all of one model. Raises ValueError as `as_scheme` does, or for two.

    Without `model` a name belongs where it is found, PSLD first, and a word to PSLD.
    """
    found = [as_scheme(text, model, dynamics) for text in texts]
    names = list(dict.fromkeys(s.model_name for s in found))
    if len(names) > 1:
        parts = ", ".join(f"{s.name} is a {s.model_name} scheme" for s in found)
        common = [name for name in MODEL_NAMES if _all_in(texts, name, dynamics)]
        hint = f"; all of them exist in {' and in '.join(common)}: --model {common[0]}" if common else ""
        raise ValueError(f"one table is for one model, but {parts}{hint or '; run them apart'}")
    return found


def _all_in(texts: list[str], model: str, dynamics: str | None) -> bool:
    try:
        return bool([as_scheme(text, model, dynamics) for text in texts])
    except ValueError:
        return False


def readings(texts: list[str], schemes: list[Scheme], dynamics: str | None) -> list[str]:
    """One line for every word that would mean something else with the other dynamics, if none was given."""
    if dynamics is not None:
        return []
    names = {entry.name.casefold() for entry in CATALOGUE}
    lines = []
    for text, scheme in zip(texts, schemes, strict=True):
        other = "sde" if scheme.dynamics == "ode" else "ode"
        if text.strip().casefold() in names or not _all_in([text], scheme.model_name, other):
            continue
        called = " for Euler-Maruyama" if str(scheme.word) == "S E" else ""
        lines.append(f"{scheme.word} read as {scheme.dynamics.upper()} (--dynamics {other}{called})")
    return list(dict.fromkeys(lines))


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
        times = setting.times(count if are_steps else steps_for(count, scheme, setting.denoises))
        moments = run(
            scheme, setting.diffusion, target, times, setting.start, setting.denoises, lambda_s
        )
        cause = instability(scheme, setting.diffusion, target, times, moments, setting.denoises)
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
            "unstable": None if cause is None else asdict(cause),
        }


def check_time(
    asked: list[tuple[Scheme, int, float | None]], setting: Setting, *, are_steps: bool
) -> float:
    """Seconds that the rows will take, timed on the first steps of each scheme; 0 where they are few.

    Raises ValueError beyond LONGEST, saying the estimate.
    """
    target = Gaussian(setting.spectrum)
    counts = [n if are_steps else steps_for(n, scheme, setting.denoises) for scheme, n, _ in asked]
    numbers = sum(counts) * max(setting.spectrum.size, 20)  # a step of one mode costs as much as of 20
    if numbers + ROW * len(asked) < UNDISPUTED:
        return 0.0
    per_step: dict[str, float] = {}
    for (scheme, _, lambda_s), n in zip(asked, counts, strict=True):
        if scheme.name not in per_step:
            first = min(n, 200 if setting.spectrum.size < 10**5 else 2)
            times = [(setting.diffusion.T - setting.eps) * i / n for i in range(first + 1)]
            began = time.perf_counter()
            run(scheme, setting.diffusion, target, times, setting.start, denoise=False, lambda_s=lambda_s)
            per_step[scheme.name] = (time.perf_counter() - began) / (len(times) - 1)
    steps = sum(per_step[scheme.name] * n for (scheme, _, _), n in zip(asked, counts, strict=True))
    seconds = steps + ROW * len(asked) / UNDISPUTED
    if seconds > LONGEST:
        raise ValueError(
            f"{len(asked)} rows of {sum(counts)} steps in all would take about {_spoken(seconds)} "
            f"({1e6 * steps / sum(counts):.0f} microseconds a step of {setting.spectrum.size} modes), and a "
            f"table may take {_spoken(LONGEST)}: give fewer steps, evaluations or rows"
        )
    return seconds


def _spoken(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.0f} hours"


def announcement(seconds: float) -> str | None:
    """What is said before a table that takes a while; None before one that does not."""
    return f"about {_spoken(seconds)} to go" if seconds > 5 else None


def _finite(card: dict[str, float]) -> dict[str, float | None]:
    """A sampler that diverged beyond float64 has no number: null in JSON, a dash in the table."""
    return {key: value if math.isfinite(value) else None for key, value in card.items()}


def setting_of(
    model: str, spectrum: str | None, parameters: str, start: str, grid_name: str, eps: float | None,
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
    spectrum = SPECTRA.get(model, "digits") if spectrum is None else spectrum
    variances = load_spectrum(spectrum)
    if model == "langevin":
        _refuse_for_langevin(spectrum, variances, grid_name, eps, denoise)
        return Setting(variances, diffusion, start, grid_name, eps=0.0, denoise=False)
    eps = EPS if eps is None else eps
    if not 0 <= eps < diffusion.T:
        raise ValueError(f"--eps {eps}: the last time is T - eps, 0 <= eps < T = {diffusion.T}")
    grid(grid_name, 1, diffusion.T, eps)  # an eps that vanishes beside T is refused before the first row
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
        digits = part.strip().lstrip("0")
        if not (part.strip().isascii() and part.strip().isdigit() and digits):
            raise ValueError(f"{option} {text}: {part!r} is not a positive number, e.g. {option} 50,100")
        if len(digits) > len(str(MOST)) or int(digits) > MOST:
            raise ValueError(f"{option} {part.strip()[:20]}: at most {MOST} in one run")
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


def cell(row: dict[str, Any], column: str) -> str:
    """A cell of the table for a person: an error of a run that blew up is no number."""
    cause = row["unstable"]
    blew_up = ERRORS if cause and cause["components"][0] in ("x", "q") else ("w2",)
    if cause and column in blew_up:
        return "unstable"
    value = row[column]
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def blow_ups(rows: list[dict[str, Any]]) -> list[str]:
    """One line for every run that blew up: its step, the limit and the mode."""
    return list(dict.fromkeys(_blow_up(row, row["unstable"]) for row in rows if row["unstable"]))


def _blow_up(row: dict[str, Any], cause: dict[str, Any]) -> str:
    return (
        f"{row['scheme']} with {row['steps']} step{'s' * (row['steps'] > 1)} is unstable in "
        f"{' and '.join(cause['components'])}: for mode {cause['mode']} (variance "
        f"{cause['variance']:.3g}) the step {cause['step']:.3g} at tau = {cause['tau']:.3g} is beyond "
        f"the limit there, {cause['limit']:.3g}"
    )


def footnote(setting: Setting, rows: list[dict[str, Any]]) -> str:
    """What the table's numbers refer to."""
    modes = setting.spectrum.size
    if setting.diffusion.model_name == "langevin":
        law = "unit variance" if modes == 1 and setting.spectrum[0] == 1 else f"{modes} modes"
        return f"{law}, start {setting.start}, uniform steps over T = {setting.diffusion.T:g}"
    text = f"{modes} modes, start {setting.start}, {setting.grid} grid, eps {setting.eps:g}"
    text += ", denoising step" if setting.denoises else ", no denoising step"
    if rows and rows[0]["kl_modes"] < modes:
        text += f"; kl_x over the {rows[0]['kl_modes']} modes with positive variance"
    return text
