"""Causes that show in whole runs: the variance of samples, by formula and as the code has it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import asin, cos, hypot, log2, pi, sin, sqrt, tan

import numpy as np

from reports.experiments.foreign_trace import Array, Trace, V, alpha_bars, run_variance


def _lagrange(nodes: Array, a: float, b: float) -> Array:
    """Integrals over [a, b] of the polynomials that are 1 at one node and 0 at the others."""
    size = abs(a - b)
    x = (nodes - a) / size
    powers = np.vander(x, increasing=True).T
    end = (b - a) / size
    moments = [size * end ** (k + 1) / (k + 1) for k in range(len(x))]
    weights: Array = np.linalg.solve(powers, np.array(moments))
    return weights


ADAMS: dict[int, Array] = {
    1: np.array([1.0]),
    2: np.array([3, -1]) / 2,
    3: np.array([23, -16, 5]) / 12,
    4: np.array([55, -59, 37, -9]) / 24,
}


def noise_of_flows() -> list[Trace]:
    """All noise drawn anew in every step, and churn without the scale that a flow needs."""
    n = 64
    levels = [float(s) for s in np.linspace(1, 1e-3, n + 1)]

    def size(s: float) -> float:
        return (1 - s) ** 2 * V + s * s

    variance = 1.0
    for s, after in pairwise(levels):
        variance *= ((1 - after) * (1 - s) * V / size(s)) ** 2
        variance += after**2
    name = "diffusers:FlowMatchEulerDiscreteScheduler"
    anew = Trace(
        "anew",
        f"FlowMatchEuler, stochastic_sampling, {n} steps: relative error of the variance",
        0.0,
        variance / size(levels[-1]) - 1,
        run_variance(name, n, stochastic_sampling="true"),
    )
    variance, gamma = 1.0, min(5 / (2 * (n + 1) - 1), sqrt(2) - 1)
    for s, after in pairwise(levels):
        first, last = ((u - (1 - u) * V) / size(u) for u in (s, after))
        raised = s * (1 + gamma)
        slope, step = first * s / raised, after - raised
        keep = 1 + step / 2 * (slope + last * (1 + slope * step))
        variance *= keep**2
        variance += (raised**2 - s * s) * (1 + step * last / 2) ** 2
    return [
        anew,
        Trace(
            "flow",
            f"FlowMatchHeun, s_churn = 5, {n} steps: relative error of the variance",
            0.0,
            variance / size(levels[-1]) - 1,
            run_variance("diffusers:FlowMatchHeunDiscreteScheduler", n, s_churn="5"),
        ),
    ]


def equal_steps_assumed() -> list[Trace]:
    """IPNDM weighs earlier noises as for equal steps; in sigma/alpha no two are equal."""
    n = 64
    first = 1 - 1e-7
    turns = [first, *(i / (n + 1) for i in range(n, 0, -1))]
    angles = [pi / 2 * first, *(asin(sin(pi / 2 * u) ** 2) for u in turns[1:])]
    seen = run_variance("diffusers:IPNDMScheduler", n)
    what = f"IPNDM, {n} steps: relative error of the variance"
    exact, as_is = (_adams(angles, 0, equal) for equal in (False, True))

    def order(equal: bool) -> float:
        """Of the formula alone: three exact values before the first step."""
        ends = [
            _adams(
                [asin(sin(pi / 2 * (0.9 - 0.8 * i / m)) ** 2) for i in range(-3, m + 1)], 3, equal
            )
            for m in (512, 1024)
        ]
        return log2(abs(ends[0] / ends[1]))

    last = "IPNDM, its formula after an exact start: observed order"
    return [
        Trace("equal", what, exact, as_is, seen),
        Trace("equal", last, order(False), order(True), None),
    ]


def _adams(angles: Sequence[float], known: int, equal: bool) -> float:
    """Relative error of the variance on N(0, V) of Adams and Bashforth's steps in rho = tan(angle).

    `known` values before the start are exact; weights are for equal steps, or the integrals.
    """

    def exact(u: float) -> float:
        return hypot(sqrt(V), tan(u))

    def noise(x: float, u: float) -> float:
        return sin(u) * cos(u) * x / (cos(u) ** 2 * V + sin(u) ** 2)

    before = list(angles[known - 1 :: -1]) if known else []
    noises = [noise(exact(u), u) for u in before]
    x = exact(angles[known])
    for u, after in pairwise(angles[known:]):
        before.insert(0, u)
        noises.insert(0, noise(x, u))
        k = min(len(noises), 4)
        rhos = np.tan(np.array(before[:k]))
        step = tan(after) - tan(u)
        by = ADAMS[k] * step if equal else _lagrange(rhos, tan(u), tan(after))
        x += float(by @ np.array(noises[:k]))
    return (x / exact(angles[-1])) ** 2 - 1


def mixed_before_converted() -> list[Trace]:
    """PNDM averages velocities of several states, and converts the average at one."""
    n, bars = 50, alpha_bars()
    step = 1000 // n

    def error(mixed: bool) -> float:
        def velocity(x: float, t: int) -> float:
            a = bars[t]
            noise = sqrt(1 - a) * x / (a * V + 1 - a)
            data = (x - sqrt(1 - a) * noise) / sqrt(a)
            return float(sqrt(a) * noise - sqrt(1 - a) * data)

        def said(x: float, t: int) -> float:
            v, a = velocity(x, t), bars[t]
            return v if mixed else float(sqrt(a) * v + sqrt(1 - a) * x)

        def moved(x: float, t: int, to: int, out: float) -> float:
            a, b = bars[t], bars[to] if to >= 0 else bars[0]
            noise = sqrt(a) * out + sqrt(1 - a) * x if mixed else out
            return float(sqrt(b / a) * (x - sqrt(1 - a) * noise) + sqrt(1 - b) * noise)

        t, history = 1000 - step, list[float]()
        x = sqrt(bars[t] * V + 1 - bars[t])
        while t > 0:
            history.insert(0, said(x, t))
            if len(history) <= 3:  # Runge and Kutta's four stages
                half, out = t - step // 2, history[0]
                second = said(moved(x, t, half, out), half)
                third = said(moved(x, t, half, second), half)
                fourth = said(moved(x, t, t - step, third), t - step)
                out = (out + 2 * second + 2 * third + fourth) / 6
            else:
                out = float(ADAMS[4] @ np.array(history[:4]))
            x, t = moved(x, t, t - step, out), t - step
        return float(x * x / (bars[0] * V + 1 - bars[0]) - 1)

    own = run_variance("diffusers:PNDMScheduler", n - 1, prediction_type="v_prediction")
    what = f"PNDM, v_prediction, {n} steps: relative error of the variance"
    return [Trace("mixed", what, error(False), error(True), own)]
