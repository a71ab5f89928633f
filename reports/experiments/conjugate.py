"""Which lambda is best for lambda-DDIM-I on a Gaussian, and a rule that tells it without a search.

    python -m reports.experiments.conjugate [digits|power-law]

writes them to `data/conjugate_lambda.json`; those of the CIFAR-10 spectrum come with cifar10.py.

To leading order in the step the error of the final covariance is a sum over time of the local
errors, h^2 (e0 + lambda e1 + lambda^2 e2) z with closed forms for the three (what
`splitting-analysis derive LDDIM-I` prints), each carried to the end by the exact flow. So the
position error is, mode by mode, a parabola in lambda, and the lambda that makes the whole smallest
is a root of a cubic: lambda_0. It does not depend on h. At few steps the best lambda is larger, by
about beta u / (1 + RULE u) with u = beta h: RULE was chosen on the spectra of digits,
patches and CIFAR-10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from analytic_models.linear_flow import closed_flow
from analytic_models.problem import Problem, problem_for
from analytic_models.targets import Gaussian, marginal
from reports.experiments import runner, store
from reports.experiments.runner import SILENT, Watch
from splitting_analysis.catalogue import find
from splitting_analysis.factor_rates import factor_rates
from splitting_analysis.models import Dynamics
from splitting_analysis.processes import PSLD
from splitting_analysis.retuned import with_conjugation
from splitting_analysis.schemes import Scheme

Array = NDArray[np.float64]
NAME = "LDDIM-I"
NFES = (20, 50, 100)
GRIDS = ("uniform", "quadratic")
RULE = 1.6
SEARCHED = np.arange(-3.0, 4.1, 1.0)
"""Values of lambda between which the best one is looked for."""
POWER_LAW = tuple(1 / k**2 for k in range(1, 65))
"""A spectrum on which nothing was chosen."""
SPECTRA: dict[str, Any] = {"digits": "digits", "power-law": POWER_LAW}
NODES = 40
"""Of Gauss and Legendre in the root of forward time."""


@dataclass(frozen=True)
class Choice:
    """At a budget: position W2 at the best lambda, at the predicted one, and at 0."""

    best: float
    predicted: float
    w2_best: float
    w2_predicted: float
    w2_zero: float

    @property
    def regret(self) -> float:
        """How many times as far the predicted lambda ends."""
        return self.w2_predicted / self.w2_best


def bent(value: float) -> Scheme:
    """The scheme with that lambda, to four decimals."""
    return with_conjugation(find(NAME, "psld"), Fraction(round(value * 10_000), 10_000))


def local_error(variances: Array, tau: float) -> tuple[Array, Array, Array]:
    """e0, e1, e2 of one step's error h^2 (e0 + lambda e1 + lambda^2 e2) z, shapes (d, 2, 2).

    PSLD at its default parameters, the lower factor of eps.
    """
    p = PSLD()
    beta, gamma, nu, mass = float(p.beta(tau)), p.Gamma, p.nu, float(p.M)
    drift = np.array([[gamma, -1 / mass], [1.0, nu]]) / 2
    pull = np.diag([gamma, mass * nu]) / 2
    sigma = covariance(variances, tau)
    hessian = -np.linalg.inv(sigma)
    slope = beta * (-drift @ sigma - sigma @ drift.T + 2 * pull)  # of Sigma, the forward process
    moving = hessian @ slope @ hessian  # of the score in tau
    values = {"tau": tau, "beta_min": beta, "beta_max": beta, "T": 1.0, "kappa": p.kappa}
    found = factor_rates("psld", "lower", {**values, "Gamma": gamma, "nu": nu, "M": mass})
    rates = np.array([[found["l_xx"], 0.0], [found["l_mx"], found["l_mm"]]])
    flow = beta * (drift + pull @ hessian)
    e0 = beta / 2 * pull @ (-moving + hessian @ flow - rates.T @ hessian)
    e1 = -beta / 2 * pull @ hessian
    return e0, e1, np.broadcast_to(np.eye(2) / 2, e0.shape)


def covariance(variances: Array, tau: float) -> Array:
    """Of the marginal law, shape (d, 2, 2)."""
    rows = marginal(PSLD(), Gaussian(variances), tau)[1]
    return _matrices(rows, len(variances))


def _matrices(rows: Any, d: int) -> Array:
    whole = np.array([[np.broadcast_to(e, (d,)) for e in row] for row in rows], dtype=np.float64)
    return np.moveaxis(whole, -1, 0)


def local_lambda(variances: Array, tau: float) -> float:
    """The lambda that makes the mean square of one step's h^2 coefficient smallest at tau."""
    parts, sigma = local_error(variances, tau), covariance(variances, tau)
    squares = [[np.sum(a @ sigma * b) for b in parts] for a in parts]
    return lowest([sum(squares[i][k - i] for i in range(3) if 0 <= k - i < 3) for k in range(5)])


def leading_lambda(variances: Array, grid: str) -> float:
    """lambda_0: the one that makes the leading position error of whole runs smallest."""
    values = np.asarray(variances, dtype=np.float64)
    return _leading(tuple(values[values > 0]), grid)


@cache
def _leading(variances: tuple[float, ...], grid: str) -> float:
    values = np.array(variances)

    def changes(tau: float, sigma: Array) -> Iterator[Array]:
        for part in local_error(values, tau):
            change = part @ sigma
            yield change + np.swapaxes(change, 1, 2)

    return lowest_at_the_end(changes, "ode", values, grid)


def lowest_at_the_end(
    changes: Callable[[float, Array], Iterator[Array]],
    dynamics: Dynamics,
    values: Array,
    grid: str,
) -> float:
    """The lambda with the smallest position error of whole runs, to leading order.

    changes(tau, Sigma) are the coefficients of 1, lambda and lambda^2, (d, 2, 2), in what the h^2
    error of a step at tau does to the covariance Sigma; the exact flow carries them to the end.
    """
    p, eps = PSLD(), 1e-3
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    low, high = eps**0.5, p.T**0.5
    roots = (high - low) / 2 * nodes + (high + low) / 2
    total = np.zeros((3, len(values)))
    for root, weight in zip(roots, weights * (high - low) * roots, strict=True):
        tau = float(root * root)
        sigma = covariance(values, tau)
        flow = closed_flow(dynamics, p, Gaussian(values), p.T - tau, p.T - eps)
        carry = _matrices(flow.matrix, len(values))
        # steps are longer than on average where the grid is thin
        share = 1.0 if grid == "uniform" else 2 * (1 - (p.T - tau) / (p.T - eps)) ** 0.5
        for k, change in enumerate(changes(tau, sigma)):
            total[k] += weight * share * (carry @ change @ np.swapaxes(carry, 1, 2))[:, 0, 0]
    off = total / (2 * np.sqrt(covariance(values, eps)[:, 0, 0]))
    squares = off @ off.T
    return lowest([sum(squares[i][k - i] for i in range(3) if 0 <= k - i < 3) for k in range(5)])


def lowest(coefficients: list[Any]) -> float:
    """Where a quartic, coefficients from the constant on, has the minimum next to 0."""
    quartic = np.polynomial.Polynomial([float(c) for c in coefficients])
    roots = quartic.deriv().roots()
    real = [float(r.real) for r in roots if abs(r.imag) < 1e-9 * (1.0 + float(abs(r)))]
    return min((r for r in real if quartic.deriv(2)(r) >= 0), key=abs)


def predicted_lambda(variances: Array, grid: str, steps: int) -> float:
    """The rule: lambda_0 + beta u / (1 + RULE u), u = beta h with h the mean step."""
    p = PSLD()
    beta = float(p.beta(p.T))
    u = beta * p.T / steps
    return leading_lambda(variances, grid) + beta * u / (1 + RULE * u)


def w2(problem: Problem, value: float, nfe: int) -> float:
    """Exact position W2 at a lambda."""
    scheme = bent(value)
    found = problem.errors(scheme, problem.steps(scheme, nfe))["w2_x"]
    return float("inf") if found is None else float(found)


def choice(spectrum: Any, grid: str, nfe: int) -> Choice:
    """What the best and the predicted lambda are worth at a budget."""
    problem = problem_for("psld", spectrum, grid=grid)
    tried = [w2(problem, float(value), nfe) for value in SEARCHED]
    i = min(max(int(np.argmin(tried)), 1), len(SEARCHED) - 2)
    found = minimize_scalar(
        lambda value: w2(problem, float(value), nfe),
        bounds=(SEARCHED[i - 1], SEARCHED[i + 1]),
        method="bounded",
        options={"xatol": 5e-3},
    )
    variances = np.asarray(problem.target.variances)
    predicted = predicted_lambda(variances, grid, problem.steps(bent(0.0), nfe))
    zero = w2(problem, 0.0, nfe)
    return Choice(float(found.x), predicted, float(found.fun), w2(problem, predicted, nfe), zero)


def compute(spectrum: Any, watch: Watch = SILENT) -> dict[str, Any]:
    """By grid and budget the fields of `Choice`, at six significant digits."""
    return {
        grid: {
            str(nfe): {
                key: float(f"{value:.6g}")
                for key, value in asdict(choice(spectrum, grid, nfe)).items()
            }
            for nfe in watch(NFES, f"lambda, {grid} grid")
        }
        for grid in GRIDS
    }


def keep(
    kept: str,
    spectra: dict[str, Any],
    computed: Callable[[Any, Watch], dict[str, Any]],
    name: str,
    watch: Watch = SILENT,
) -> None:
    """Compute a spectrum and store it beside the others of that file."""
    before = (store.stored(kept) or {}).get("spectra", {})
    found = before | {name: computed(spectra[name], watch)}
    store.save(kept, {"spectra": {key: found[key] for key in spectra if key in found}})


if __name__ == "__main__":
    parts = {name: partial(keep, "conjugate", SPECTRA, compute, name) for name in SPECTRA}
    runner.main(store.KEPT["conjugate"].command, __doc__, parts)
