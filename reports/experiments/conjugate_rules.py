"""Whether the best lambda of LDDIM-II, CSE, CVV and COBA is told without a search, too.

    python -m reports.experiments.conjugate_rules [digits|patches|power-law]

writes it to `data/conjugate_rules.json`. As for lambda-DDIM-I (conjugate.py) the leading position
error of whole runs is a parabola in lambda, mode by mode; here its parts are read off the closed
form of the word itself, which is evaluated on the score of a Gaussian, noise included. The smallest
sum of squares is at lambda_0. What is added to it at few steps, A beta u / (1 + R u) with u =
beta h, was chosen word by word on the spectra of digits and patches; the power law is a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytic_models.problem import Problem, problem_for
from reports.experiments import runner, store
from reports.experiments.conjugate import (
    GRIDS,
    NFES,
    POWER_LAW,
    Choice,
    covariance,
    keep,
    lowest_at_the_end,
)
from reports.experiments.runner import SILENT, Watch
from splitting_analysis.catalogue import find
from splitting_analysis.numbers import Directions, Point, evaluate
from splitting_analysis.points import values_at
from splitting_analysis.processes import PSLD
from splitting_analysis.retuned import with_conjugation
from splitting_analysis.symbols import pair
from splitting_analysis.weak import local_error

Array = NDArray[np.float64]
SPECTRA: dict[str, Any] = {"digits": "digits", "patches": "patches", "power-law": POWER_LAW}
FITTED_ON = ("digits", "patches")
SEARCHED = np.unique(np.concatenate([np.arange(-6.0, 8.1, 1.0), np.arange(-2.5, 3.1, 0.5)]))
"""Values of lambda among which the best one is looked for, and then between the next."""
FARTHEST = 150.0
"""Where the best lies at an end of those, it is looked for beyond, so far: there all samples of a
few long steps are the mean, which may be closer to the data than what a smaller lambda makes.
"""


@dataclass(frozen=True)
class Rule:
    """lambda_0 + A beta u / (1 + R u), A and R with the smallest mean log regret on FITTED_ON."""

    A: float
    R: float


RULES: dict[str, Rule] = {
    "LDDIM-II": Rule(0.9, 2.5),
    "CSE": Rule(0.3, 1.0),
    "CVV": Rule(0.3, 0.0),
    "COBA": Rule(-0.7, 0.0),
}


@cache
def _values(tau: float) -> dict[str, float]:
    """Parameters and rates at tau, which all words share: they take most of the time."""
    return values_at([find("LDDIM-I", "psld")], {"x": 0.0, "m": 0.0, "tau": tau})


def local_parts(name: str, variances: Array, tau: float) -> tuple[list[Array], list[Array]]:
    """What one step is off by, h^2 (E z in the mean, N in the covariance), as parabolas in lambda.

    Coefficients of 1, lambda and lambda^2, shapes (d, 2, 2). PSLD at its default parameters.
    """
    scheme, p = find(name, "psld"), PSLD()
    terms = local_error(scheme, 2).terms[2]
    beta, mass = float(p.beta(tau)), float(p.M)
    drift = np.array([[p.Gamma, -1 / mass], [1.0, p.nu]]) / 2
    pull = np.diag([p.Gamma, mass * p.nu])
    sigma = covariance(variances, tau)
    hessian = -np.linalg.inv(sigma)
    slope = beta * (-drift @ sigma - sigma @ drift.T + pull)
    jacobians = hessian, hessian @ slope @ hessian
    d, components = len(variances), scheme.model.components

    def at(value: float, state: tuple[float, float]) -> dict[str, Array]:
        z = {c: np.full(d, s) for c, s in zip(components, state, strict=True)}

        def field(score: str, j: int, directions: Directions) -> Any:
            row = jacobians[j][:, scheme.model.scores.index(score)]
            if not directions:
                return row[:, 0] * z["x"] + row[:, 1] * z["m"]
            if len(directions) > 1:
                return np.zeros(d)
            component, along = directions[0]
            return row[:, components.index(component)] * along

        point = Point(z, field, {**_values(tau), "lambda_": value, "lambda_s": 1.0})
        return {
            key: np.broadcast_to(np.asarray(evaluate(c, point), dtype=np.float64), (d,))
            for key, c in terms.items()
            if key != "phi"
        }

    means, noises = [], []
    for value in (-1.0, 0.0, 1.0):
        columns = [at(value, unit) for unit in ((1.0, 0.0), (0.0, 1.0))]
        means.append(np.stack([np.stack([c[k] for c in columns], -1) for k in components], -2))
        still = at(value, (0.0, 0.0))
        first, last = components
        mixed = pair(first, last, components)
        keys = [
            [pair(first, first, components), mixed],
            [mixed, pair(last, last, components)],
        ]
        nothing = np.zeros(d)
        noises.append(
            np.stack([np.stack([still.get(k, nothing) for k in r], -1) for r in keys], -2)
        )
    return _parabola(means), _parabola(noises)


def _parabola(at: list[Array]) -> list[Array]:
    """Coefficients from the values at -1, 0 and 1."""
    low, middle, high = at
    return [middle, (high - low) / 2, (high + low) / 2 - middle]


def leading_lambda(name: str, variances: Array, grid: str) -> float:
    """lambda_0: the one that makes the leading position error of whole runs smallest."""
    values = np.asarray(variances, dtype=np.float64)
    return _leading(name, tuple(values[values > 0]), grid)


@cache
def _leading(name: str, variances: tuple[float, ...], grid: str) -> float:
    values = np.array(variances)

    def changes(tau: float, sigma: Array) -> Iterator[Array]:
        for mean, noise in zip(*local_parts(name, values, tau), strict=True):
            change = mean @ sigma
            yield change + np.swapaxes(change, 1, 2) + noise

    return lowest_at_the_end(changes, find(name, "psld").dynamics, values, grid)


def predicted_lambda(name: str, variances: Array, grid: str, steps: int) -> float:
    """The rule, with h the mean step."""
    p, rule = PSLD(), RULES[name]
    beta = float(p.beta(p.T))
    u = beta * p.T / steps
    return leading_lambda(name, variances, grid) + rule.A * beta * u / (1 + rule.R * u)


def w2(problem: Problem, name: str, value: float, nfe: int) -> float:
    """Exact position W2 at a lambda, to four decimals."""
    own = with_conjugation(find(name, "psld"), Fraction(round(value * 10_000), 10_000))
    found = problem.errors(own, problem.steps(own, nfe))["w2_x"]
    return float("inf") if found is None else float(found)


def choice(name: str, spectrum: Any, grid: str, nfe: int) -> Choice:
    """What the best of SEARCHED, refined, and the predicted lambda are worth at a budget."""
    problem = problem_for("psld", spectrum, grid=grid)
    tried = {float(value): w2(problem, name, float(value), nfe) for value in SEARCHED}
    best, width = min(tried, key=lambda value: tried[value]), 1.0
    while best in (min(tried), max(tried)) and abs(best) < FARTHEST:
        beyond = best + (width if best > 0 else -width)
        tried[beyond] = w2(problem, name, beyond, nfe)
        best, width = min(tried, key=lambda value: tried[value]), 2 * width
    between = [width / 2**k for k in range(1, 20) if width / 2**k > 1.0]
    for width in (*between, 0.5, 0.25, 0.125, 0.06, 0.03):
        for value in (best - width, best + width):
            tried[value] = w2(problem, name, value, nfe)
        best = min(tried, key=lambda value: tried[value])
    variances = np.asarray(problem.target.variances)
    steps = problem.steps(find(name, "psld"), nfe)
    told = predicted_lambda(name, variances, grid, steps)
    return Choice(best, told, tried[best], w2(problem, name, told, nfe), tried[0.0])


def compute(spectrum: Any, watch: Watch = SILENT) -> dict[str, Any]:
    """By word, grid and budget the fields of `Choice`, at six significant digits."""
    cases = [(name, grid, nfe) for name in RULES for grid in GRIDS for nfe in NFES]
    found: dict[str, Any] = {name: {grid: {} for grid in GRIDS} for name in RULES}
    for name, grid, nfe in watch(cases, "lambda"):
        own = asdict(choice(name, spectrum, grid, nfe))
        found[name][grid][str(nfe)] = {k: float(f"{v:.6g}") for k, v in own.items()}
    return found


if __name__ == "__main__":
    parts = {name: partial(keep, "conjugate_rules", SPECTRA, compute, name) for name in SPECTRA}
    runner.main(store.KEPT["conjugate_rules"].command, __doc__, parts)
