"""Weak errors of data held on PSLD, the exact bridge: one step from an exact past, on a Gaussian.

Nothing of the exact world is asked: the reverse of a Gaussian process is Bayes' rule, twice, given
the data and of the data's law, in many digits; what a step misses is extrapolated to h = 0.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import pytest
import sympy
from mpmath import matrix, mpf

from splitting_analysis.catalogue import find
from splitting_analysis.held_weak import weak_held_error
from splitting_analysis.processes import PSLD
from splitting_analysis.retuned import with_noise_level

PROCESS = PSLD(0.3, 2.1, 2.0, 11.0)
MASS = 4 / mpf(PROCESS.Gamma - PROCESS.nu) ** 2
LAST = matrix([[1, 0], [0, MASS]])
PAIRS = ("xx", "xm", "mm")


def flow(tau: Any, since: Any = 0) -> Any:
    """Phi(tau <- since)."""
    g, nu = mpf(PROCESS.Gamma), mpf(PROCESS.nu)
    clock = PROCESS.integral(tau) - PROCESS.integral(since)
    drift = matrix([[-g, 1 / MASS], [-1, -nu]]) / 2
    return mpmath.exp(-(g + nu) / 4 * clock) * (
        mpmath.eye(2) + clock * (drift + (g + nu) / 4 * mpmath.eye(2))
    )


def law(tau: Any, variance: Any) -> Any:
    """The covariance of z where that of x_0 is `variance`: of the kernel at 0."""
    first = matrix([[variance, 0], [0, mpf(PROCESS.kappa) * MASS]])
    return LAST + flow(tau) * (first - LAST) * flow(tau).T


def back(tau: Any, end: Any, variance: Any) -> tuple[Any, Any]:
    """What the reverse process keeps from `tau` down to `end`, and the covariance of its noise."""
    before, phi = law(end, variance), flow(tau, end)
    keep = before * phi.T * mpmath.inverse(law(tau, variance))
    return keep, before - keep * phi * before


def clock(tau: Any) -> Any:
    return mpmath.log(flow(tau)[0, 0]) - mpmath.log(law(tau, 0)[0, 0]) / 2


def tau_at(reading: Any) -> Any:
    return mpmath.findroot(lambda tau: clock(tau) - reading, (mpf("0.3"), mpf("0.6")))


def mean(tau: Any) -> Any:
    return flow(tau)[:, 0]


def row(tau: Any, variance: Any) -> Any:
    """x_0 as predicted is that row of z."""
    return variance * (flow(tau)[:, 0].T * mpmath.inverse(law(tau, variance)))


def gains(name: str, taus: list[Any]) -> list[Any]:
    """Of the predictions, oldest first, in the step between the last two times."""
    begin, end = taus[-2:]
    first, length = clock(begin), clock(end) - clock(begin)
    whole = mean(end) - back(begin, end, 0)[0] * mean(begin)
    if name == "P2M":
        w = length / (first - clock(taus[0])) / 2
        return [-w * whole, (1 + w) * whole]

    def moved(theta: Any, i: int) -> Any:
        tau = tau_at(first + theta * length)
        return (back(tau, end, 0)[0] * mean(tau))[i]

    moments = [whole]
    for k in (1, 2):  # the kernel is the derivative of what is moved
        parts = [
            mpmath.quad(
                lambda u, i=i, k=k: moved(u, i) * k * u ** (k - 1),
                [0, 1],
                method="gauss-legendre",
                maxdegree=3,  # twelve nodes on a short step
            )
            for i in range(2)
        ]
        moments.append(mean(end) - matrix(parts))
    places = [(clock(tau) - first) / length for tau in taus[:-1]]
    powers = matrix([[place**k for place in places] for k in range(3)])
    solved = mpmath.inverse(powers)
    return [sum((solved[j, k] * moments[k] for k in range(3)), 0 * whole) for j in range(3)]


def missed(name: str, taus: list[Any], variance: Any, z: Any) -> list[Any]:
    """Exact minus scheme: means of x and m, second moments xx, xm, mm, of the increment from z at
    the first time, with the linear part taken out.
    """
    exact, noises = [[z, *[mpmath.zeros(2)] * (len(taus) - 1)]], []
    for i, (tau, end) in enumerate(pairwise(taus)):
        keep, noise = back(tau, end, variance)
        noises.append(noise)
        exact.append([keep * part for part in exact[-1]])
        exact[-1][i + 1] = mpmath.eye(2)  # of that step's own noise
    keep, noise = back(taus[-2], taus[-1], 0)
    scheme = [keep * part for part in exact[-2]]
    for gain, tau, line in zip(gains(name, taus), taus[:-1], exact[:-1], strict=True):
        of_data = gain * row(tau, variance)
        scheme = [part + of_data * own for part, own in zip(scheme, line, strict=True)]
    scheme[-1] = mpmath.eye(2)
    unit = mpmath.inverse(back(taus[0], taus[-1], 0)[0])
    found = []
    for line, own in ((exact[-1], noises), (scheme, [*noises[:-1], noise])):
        shift = unit * line[0] - z
        second = shift * shift.T
        for part, covariance in zip(line[1:], own, strict=True):
            second += unit * part * covariance * (unit * part).T
        found.append([*shift, second[0, 0], second[0, 1], second[1, 1]])
    return [a - b for a, b in zip(*found, strict=True)]


def bases(start: Any) -> tuple[Any, Any]:
    """What the linear part keeps from `start` on by a clock's length, and the gain of data held
    there, undone by it.
    """
    reading = clock(start)

    def unit(u: Any) -> Any:
        return back(start, tau_at(reading + u), 0)[0]

    def carried(u: Any, i: int) -> Any:
        return (mpmath.inverse(unit(u)) * mean(tau_at(reading + u)))[i]

    return unit, carried


def coefficients(start: Any, ratios: list[Any]) -> dict[str, Any]:
    """What the symbols of the derived error stand for."""
    unit, carried = bases(start)

    def spread(u: Any, i: int, j: int) -> Any:
        undone = mpmath.inverse(unit(u))
        return (undone * back(start, tau_at(clock(start) + u), 0)[1] * undone.T)[i, j]

    values = {f"r{i + 1}": ratio for i, ratio in enumerate(ratios)}
    for i, c in enumerate("xm"):
        slopes = [mpmath.diff(lambda u, i=i: carried(u, i), 0, k) for k in (1, 2)]
        values[f"kappa1{c}"] = slopes[1] / slopes[0]
    for pair in PAIRS:
        i, j = map("xm".index, pair)
        for k in range(2):
            values[f"q{k}{pair}"] = mpmath.diff(lambda u, i=i, j=j: spread(u, i, j), 0, k + 1)
    return values


def derived(name: str, start: Any, variance: Any, z: Any, ratios: list[Any]) -> tuple[Any, int]:
    """The same by the trees, the coefficients of the power."""
    error = weak_held_error(with_noise_level(find(name), Fraction(1)))
    values = coefficients(start, ratios)
    unit, carried = bases(start)
    kernel = [mpmath.diff(lambda u, i=i: carried(u, i), 0) for i in range(2)]

    def row_at(u: Any, i: int) -> Any:
        return (row(tau_at(clock(start) + u), variance) * unit(u))[0, i]

    predicted = [
        [mpmath.diff(lambda u, i=i: row_at(u, i), 0, j) for i in range(2)] for j in range(3)
    ]

    def value(tree: Any, component: str) -> Any:
        """Of what stands in that component."""
        head, j, children = tree
        if head != "P":
            return mpf(1)
        if len(children) > 1:
            return mpf(0)
        total = sum(predicted[j]["xm".index(c)] * value(child, c) for c, child in children)
        if not children:
            total = predicted[j][0] * z[0] + predicted[j][1] * z[1]
        return kernel["xm".index(component)] * total

    totals = dict.fromkeys(("x", "m", *PAIRS), mpf(0))
    for tree, coefficient in error.phi.items():
        label = "".join(sorted((c for c, _ in tree[2]), key="xm".index))
        if label in totals:
            names = [str(s) for s in coefficient.free_symbols]
            number = sympy.lambdify(names, coefficient, "mpmath")(*(values[n] for n in names))
            for c, child in tree[2]:
                number *= value(child, c)
            totals[label] += number * (2 if label in ("xx", "mm") else 1)
    return list(totals.values()), error.power


@pytest.mark.heavy
@pytest.mark.parametrize(("name", "through"), [("P2M", 2), ("P3M", 3)])
def test_one_step_of_the_bridge_errs_by_the_derived_moments(name, through):
    """error / h^p, extrapolated to h = 0, is the coefficient to 1e-6."""
    with mpmath.workdps(40):
        start, variance, z = mpf("0.5"), mpf("0.4"), matrix(["0.7", "-0.3"])
        ratios = [mpf("1.5"), mpf("0.8")][: through - 1]
        wanted, power = derived(name, start, variance, z, ratios)
        rows = []
        for k in range(6):
            h = mpf(1) / 50 / 2**k
            readings = [clock(start)]
            for ratio in (*reversed(ratios), mpf(1)):
                readings.append(readings[-1] + ratio * h)
            taus = [tau_at(reading) for reading in readings]
            rows.append([e / h**power for e in missed(name, taus, variance, z)])
        for k in range(1, 6):
            rows = [
                [(2**k * b - a) / (2**k - 1) for a, b in zip(one, two, strict=True)]
                for one, two in pairwise(rows)
            ]
        assert power == 3 and max(map(abs, wanted)) > 1e-3
        for found, told in zip(rows[0], wanted, strict=True):
            assert abs(found - told) < 1e-6 * max(abs(told), mpf(1) / 100)
