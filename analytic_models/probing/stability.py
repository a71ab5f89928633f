"""The largest stable step of code for kinetic Langevin, and its transport (theory section 11).

Both are properties at a finite step, and neither shows in the stationary law.
"""

from __future__ import annotations

from dataclasses import replace
from math import tanh

import numpy as np

from analytic_models.probing.checks import Check
from analytic_models.probing.running import Array, Trouble, run
from analytic_models.probing.subject import Subject
from splitting_analysis.models import model_of
from splitting_analysis.processes import Langevin

NAME = "it is stable as long as the claimed word"
LONGEST, SMALLEST = 4.0, 0.05
"""Steps that are tried, for the force -q of unit frequency."""
STEPS = 24
ROUNDING = 1e-5
"""By how much a step may seem to grow."""
SLACK = 0.9
"""Part of the claimed largest step up to which code must be stable."""
RELAXED = 24.0
"""Friction times time, after which a start is forgotten."""


def forces(process: Langevin, whole: Array) -> Array:
    """What a score returns where the whole force is that: it alone, or a fast and a slow part."""
    return np.hstack(
        [process.shares[i] * whole for i in model_of(process.model_name, "ode").driven]
    )


def linear_run(subject: Subject, process: Langevin, h: float, steps: int, force: float) -> Array:
    """Where (0, 0), (1, 0) and (0, 1) end after so many steps under the force -force q, no noise:
    (3, 2).
    """
    start = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    times = [h * i for i in range(steps + 1)]
    own = replace(process, T=times[-1])
    return run(
        replace(subject, grid=None),
        own,
        times,
        start,
        lambda _, q, __: forces(own, -force * q),
        lambda _: np.zeros_like(start),
    ).final


def growth(subject: Subject, process: Langevin, h: float) -> float:
    """By how much the fastest growing state grows in a step of length h; 1 on the brink."""
    try:
        end = linear_run(subject, process, h, STEPS, 1.0)
    except Trouble:
        return np.inf
    rates = np.abs(np.linalg.eigvals(end[1:] - end[0]))
    return float(np.max(rates)) ** (1 / STEPS)


def largest_step(subject: Subject, process: Langevin) -> float:
    """The step up to which the code does not grow on the force -q; at most `LONGEST`."""
    steps = np.geomspace(SMALLEST, LONGEST, 18)
    stable = [growth(subject, process, h) <= 1 + ROUNDING for h in steps]
    if all(stable):
        return LONGEST
    first = stable.index(False)
    if first == 0:
        return 0.0
    low, high = steps[first - 1], steps[first]
    for _ in range(10):
        middle = (low + high) / 2
        if growth(subject, process, middle) <= 1 + ROUNDING:
            low = middle
        else:
            high = middle
    return float(low)


def stability(subject: Subject, claimed: Subject, process: Langevin) -> Check:
    """The largest stable step beside that of the claimed word."""
    gamma = float(process.gamma)
    ours, theirs = largest_step(subject, process), largest_step(claimed, process)
    what = f"for the force -q, gamma = {gamma:g}"
    if ours >= SLACK * theirs:
        return Check(NAME, "pass", seen=f"up to h = {ours:.2g} {what}")
    return Check(
        NAME,
        "fail",
        f"no growth up to h = {theirs:.3g} {what}",
        f"grows from h = {ours:.3g} on",
        "long runs at one step",
    )


def transport(subject: Subject, process: Langevin, gamma_h: float) -> tuple[float, float]:
    """Diffusion of a free particle times gamma, and drift velocity under a unit force times gamma,
    at the step h = gamma_h / gamma: both 1 in the exact dynamics.
    """
    gamma = float(process.gamma)
    h, n = gamma_h / gamma, int(np.ceil(RELAXED / gamma_h))
    spread, drift = [], []
    for steps in (n, 2 * n):
        times = [h * i for i in range(steps + 1)]
        own = replace(process, T=times[-1])
        subject = replace(subject, grid=None)

        def nothing(_: int, q: Array, __: float, own: Langevin = own) -> Array:
            return forces(own, 0 * q)

        def unit(_: int, q: Array, __: float, own: Langevin = own) -> Array:
            return forces(own, np.ones_like(q))

        draws = run(
            subject,
            own,
            times,
            np.zeros((1, 2)),
            nothing,
            lambda _: np.zeros((1, 2)),
        ).draws
        rows = 1 + 2 * draws

        def noise(number: int, rows: int = rows, draws: int = draws) -> Array:
            values = np.zeros((rows, 2))
            if number < draws:
                values[1 + 2 * number, 0] = values[2 + 2 * number, 1] = 1
            return values

        free = run(
            subject,
            own,
            times,
            np.zeros((rows, 2)),
            nothing,
            noise,
        ).final
        pulled = run(
            subject,
            own,
            times,
            np.zeros((1, 2)),
            unit,
            lambda _: np.zeros((1, 2)),
        ).final
        spread.append(float(np.sum((free[1:, 0] - free[0, 0]) ** 2)))
        drift.append(float(pulled[0, 0]))
    return (
        (spread[1] - spread[0]) / (2 * n * h) * gamma,
        (drift[1] - drift[0]) / (n * h) * gamma,
    )


def transport_note(subject: Subject, process: Langevin) -> str:
    """What a free particle does, in a sentence; "" where nothing drags it or the code cannot."""
    if not float(process.gamma):
        return ""
    try:
        found = [transport(subject, process, step) for step in (0.4, 0.2, 1.0)]
    except Trouble:
        return ""
    limit = (4 * found[1][0] - found[0][0]) / 3, (4 * found[1][1] - found[0][1]) / 3
    whole = found[2]
    splitting = 0.5 / tanh(0.5)
    return (
        f"transport of a free particle, 1 where it is exact: at gamma h = 1 diffusion times gamma "
        f"is {whole[0]:.3f} and drift velocity times gamma {whole[1]:.3f} (friction split around "
        f"whole kicks: {splitting:.3f}); as h falls they tend to {limit[0]:.3f} and {limit[1]:.3f}"
    )
