"""PSLD's eps or score held through several evaluations: exact moments, the engine and the print are
one; orders, and the leading error of one step.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from numpy.polynomial import Chebyshev
from scipy.integrate import solve_ivp

torch = pytest.importorskip("torch")

from analytic_models import exponential, moments  # noqa: E402
from analytic_models.conjugate import conjugate_flow, conjugate_step  # noqa: E402
from analytic_models.targets import Gaussian, marginal, score  # noqa: E402
from gpu_samplers import engine, plain  # noqa: E402
from gpu_samplers import exponential as machine  # noqa: E402
from gpu_samplers.plan import plan  # noqa: E402
from splitting_analysis.catalogue import find  # noqa: E402
from splitting_analysis.exponential_catalogue import EXPONENTIAL_CATALOGUE  # noqa: E402
from splitting_analysis.held_error import held_error  # noqa: E402
from splitting_analysis.models import model_of  # noqa: E402
from splitting_analysis.predictions import Prediction  # noqa: E402
from splitting_analysis.processes import PSLD  # noqa: E402
from splitting_analysis.retuned import with_conjugation, with_noise_level  # noqa: E402
from splitting_analysis.schemes import scheme  # noqa: E402
from splitting_analysis.weak import order_of  # noqa: E402
from tests.probing import gaussian_score, law  # noqa: E402

TARGET = Gaussian([2.0, 0.1], [0.5, -1.0])
PROCESSES = {
    "constant": PSLD(),
    "linear": PSLD(beta_min=0.1, beta_max=16.0),
    "cld": PSLD(Gamma=0.0, nu=4.0, beta_min=0.5, beta_max=12.0),
}
EVERY_ENTRY = pytest.mark.parametrize("entry", EXPONENTIAL_CATALOGUE, ids=lambda s: s.name)
EVERY_PROCESS = pytest.mark.parametrize("process", PROCESSES.values(), ids=list(PROCESSES))
CASES = [
    ("S E:eps[2]", "tau", "upper"),
    ("S E:score[3]", "lambda", "lower"),
    ("E:eps[2:bh2] S@1 E:eps[3:bh1]", "rho", "lower"),
    ("S E:eps/3 S@1/3 E:eps*2/3[2] S@2/3 E:eps[2]", "sigma", "upper"),
]
GRID = [0.0, 0.25, 0.45, 0.8, 0.999]


def same(found: Any, wanted: Any, rtol: float = 2e-11) -> None:
    scale = max(1.0, float(np.max(np.abs(wanted))))
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-12 * scale)


def ran(own: Any, process: Any, entry: Any = None, **options: Any) -> tuple[Any, Any]:
    """Mean and covariance of the engine, or of the print of an entry."""
    given = gaussian_score(process, TARGET)
    ready = plan(own, process, GRID, denoise=False)

    def run(z: Any, noise: Any) -> Any:
        if entry is None:
            return engine.run(ready, given, z, noise)[0]
        name = entry.name
        return plain.sample(name, process, given, z, GRID, noise, last=False, **options)

    return law(run, 2, 2, process.stationary)


@EVERY_ENTRY
def test_engine_print_and_exact_moments_are_one(entry):
    holds = bool(entry.program.holds)
    process = PROCESSES["linear" if holds else "constant"]
    own = replace(entry, factor="upper") if holds else entry
    exact = moments.run(own, process, TARGET, GRID, denoise=False)
    options = {"factor": "upper"} if holds else {}
    for mean, covariance in (ran(own, process), ran(own, process, entry, **options)):
        same(mean, np.array(exact.mean))
        same(covariance, np.array(exact.covariance))


@pytest.mark.share(6)
@EVERY_PROCESS
@pytest.mark.parametrize(("word", "clock", "factor"), CASES)
def test_the_engine_has_the_exact_law(process, word, clock, factor):
    own = scheme(word, "psld", "ode", clock=clock)
    own = replace(own, factor=factor) if "eps" in word else own
    exact = moments.run(own, process, TARGET, GRID, denoise=False)
    mean, covariance = ran(own, process)
    same(mean, np.array(exact.mean))
    same(covariance, np.array(exact.covariance))


@pytest.mark.heavy
def test_the_numbers_are_those_of_many_digits():
    (op,) = scheme("S E:eps[3]", "psld", "ode").program.holds
    times, process = (0.5, 0.4375, [0.75, 0.625, 0.5]), PROCESSES["linear"]
    with mpmath.workdps(22):
        begin, end, nodes = mpmath.mpf(0.5), mpmath.mpf(0.4375), [mpmath.mpf(t) for t in times[2]]
        precise = PSLD(
            *(mpmath.mpf(getattr(process, k)) for k in ("Gamma", "nu", "beta_min", "beta_max"))
        )
        wanted = exponential.hold(op, precise, "tau", 0, "lower", begin, end, nodes)
    for module in (exponential, machine):
        found: Any = module.hold(op, process, "tau", 0, "lower", *times)
        same(np.array(found.keep, float), np.array(wanted.keep, float), 1e-13)
        same(np.array(found.gains, float), np.array(wanted.gains, float), 1e-12)


def test_through_one_evaluation_it_is_the_conjugate_step_without_b():
    ei, process = scheme("S E:eps", "psld", "ode"), PROCESSES["linear"]
    assert not ei.program.holds and ei.program.conjugates
    (op,) = scheme("S E:eps[1]", "psld", "ode").program.holds
    keep, gain = conjugate_step(ei, process, ei.program.pieces[0], 0.6, 0.4, 0.6)
    held = exponential.hold(op, process, "tau", 0, "lower", 0.6, 0.4, [0.6])
    _, turned = exponential.predicted(op.held.prediction, process, "lower", 0.6)
    same(np.array(held.keep, float), np.array(keep, float), 1e-14)
    same(np.array(held.gains[0], float) @ np.array(turned, float), np.array(gain, float), 1e-13)


@EVERY_ENTRY
def test_an_entry_claims_the_order_that_is_derived(entry):
    assert order_of(entry) == entry.order


@pytest.mark.parametrize("name", ["ExpAdams2", "Exp-Midpoint"])
def test_the_order_that_is_claimed_is_the_order_of_whole_runs_and_no_higher(name):
    """A run of ExpAdams3 has the order of its start, with one evaluation and with two."""
    entry, process, target = find(name, "psld"), PROCESSES["constant"], Gaussian(0.3)
    wanted: Any = np.array(marginal(process, target, 0.5)[1])
    errors = []
    for steps in (40, 80):
        times = (0.5 * np.linspace(0, 1, steps + 1)).tolist()
        found = moments.run(entry, process, target, times, "pT", False)
        errors.append(np.abs(np.array(found.covariance) - wanted).max())
    assert abs(np.log2(errors[0] / errors[1]) - entry.order) < 0.1


START, RATIOS = 0.5, (1.5, 0.8)
"""The forward time of the step whose error is looked at, and the lengths of those before it."""


class Flow:
    """The probability flow of "linear" on a Gaussian, what is held along it, and its kernel."""

    def __init__(self) -> None:
        self.process, target = PROCESSES["linear"], Gaussian(0.4)
        drift, p = model_of("psld", "ode").drift, self.process.parameters
        self.linear = drift.linear(p)
        self.pull = np.diag(np.array(drift.score(p), float))
        self.score = lambda tau: np.array(score(self.process, target, tau)[0], float)
        ends, z = (START + 0.2, START - 0.2), np.array([0.7, -0.3])
        self.early, self.late = (
            solve_ivp(self.slope, (START, end), z, "DOP853", None, True, rtol=1e-12, atol=1e-13)
            for end in ends
        )

    def at(self, tau: float) -> Any:
        path: Any = (self.early if tau > START else self.late).sol
        return path(tau)

    def slope(self, tau: float, z: Any) -> Any:
        drift = np.array(self.linear, float) + self.pull @ self.score(tau)
        return -self.process.beta(tau) * drift @ z

    def turned(self, tau: float) -> Any:
        return np.array(exponential.predicted(Prediction.EPS, self.process, "lower", tau)[1], float)

    def eps(self, tau: float, z: Any = None) -> Any:
        return self.turned(tau) @ self.score(tau) @ (self.at(tau) if z is None else z)

    def carried(self, tau: float) -> Any:
        """y = carried^-1 z has no linear part."""
        return np.array(conjugate_flow(self.process, self.linear, START, tau), float)

    def kernel(self, tau: float) -> Any:
        """y' = kernel eps, in reverse time."""
        pushed = self.pull @ np.linalg.inv(self.turned(tau))
        return self.process.beta(tau) * np.linalg.solve(self.carried(tau), pushed)

    def leading(self, coefficient: Any) -> Any:
        """The derived coefficient, matrices applied to derivatives of eps."""
        u = 0.2 * np.cos(np.pi * (np.arange(16) + 0.5) / 16)  # reverse time since the start
        seen = np.array([self.eps(START - v) for v in u])
        series = [Chebyshev.fit(u, column, 12) for column in seen.T]
        first = self.kernel(START)
        change = (self.kernel(START - 1e-4) - self.kernel(START + 1e-4)) / 2e-4
        P = {sympy.Symbol(f"P{k}"): np.array([c.deriv(k)(0) for c in series]) for k in range(4)}
        J = self.turned(START) @ self.score(START) @ first
        matrices = {"J": J, "kappa1": np.linalg.solve(first, change), "": np.eye(2)}
        total = np.zeros(2)
        for name, matrix in matrices.items():
            own = coefficient.coeff(name) if name else coefficient.subs({"J": 0, "kappa1": 0})
            for symbol, vector in P.items():
                ratios = dict(zip(("r1", "r2"), RATIOS, strict=True))
                total = total + float(own.coeff(symbol).subs(ratios)) * matrix @ vector
        return first @ total


@pytest.mark.parametrize("word", ["S E:eps[2]", "S E:eps[3]", "S E:eps/2 S@1/2 E:eps[1]"])
def test_one_step_errs_by_the_derived_leading_term_in_position_and_momentum(word):
    """error / (C h^p) tends to 1: the kernel and what follows of it are matrices."""
    own, flow = scheme(word, "psld", "ode", clock="tau"), Flow()
    error = held_error(own)
    wanted = flow.leading(sympy.expand(error.coefficient))
    misses = []
    for h in (0.02, 0.01):
        before = [START + h * sum(RATIOS[:k]) for k in (2, 1, 0)]
        kept = [(tau, flow.eps(tau)) for tau in before]
        state = origin = flow.at(START)
        for op in own.program.holds:
            through, nodes = kept[-op.through :], [tau for tau, _ in kept[-op.through :]]
            begin, end = (START - h * float(share) for share in (op.start, op.stop))
            step = exponential.hold(op, flow.process, "tau", 0, "lower", begin, end, nodes)
            state = np.array(step.keep, float) @ (origin if op.restarts else state)
            for part, (_, value) in zip(step.gains, through, strict=True):
                state = state + np.array(part, float) @ value
            kept.append((end, flow.eps(end, state)))
        missed = np.linalg.solve(flow.carried(START - h), flow.at(START - h) - state)
        size = np.linalg.norm(wanted) * h**error.power
        misses.append(np.linalg.norm(missed - wanted * h**error.power) / size)
    assert misses[0] < 0.4 and misses[1] < 0.6 * misses[0]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: scheme("S E:eps[2]", "psld", "sde"), "the psld SDE holds no eps"),
        (
            lambda: with_noise_level(scheme("S E:eps[2]", "psld", "ode"), Fraction(1)),
            "E:eps is one of the ODE",
        ),
        (
            lambda: with_conjugation(scheme("S E:eps[2]", "psld", "ode"), None, "flow"),
            "there are: lower, upper",
        ),
        (
            lambda: with_conjugation(scheme("S E:score[2]", "psld", "ode"), None, "upper"),
            "the score has no factor",
        ),
        (lambda: scheme("S E:eps[2] E:eye", "psld", "ode"), "one word holds one prediction"),
    ],
)
def test_what_does_not_act_on_a_held_pair_is_refused_with_what_there_is(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_step_that_holds_eps_to_time_zero_is_refused():
    own, process = scheme("S E:eps[2]", "psld", "ode", clock="tau"), PROCESSES["constant"]
    with pytest.raises(ValueError, match="end at eps > 0"):
        moments.run(own, process, TARGET, [0.0, 0.5, 1.0])
    with pytest.raises(ValueError, match="ends at eps > 0"):
        plan(own, process, [0.0, 0.5, 1.0])
