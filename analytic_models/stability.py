"""Largest stable step of a scheme on a Gaussian target, coefficients frozen at one forward time.

The test equation is that of frozen.py: one step is a fixed matrix M(h), and the scheme is stable at
h while no eigenvalue of M(h) leaves the unit disk.

An eigenvalue may leave the disk like h^k with any k, so slowly that float64 does not see it, and it
may stay on the circle all the way (symplectic maps). Where float64 cannot tell which, the same map
is evaluated again with DIGITS digits.

What a limit means depends on the exact frozen flow exp(h A):

    contracting or turning    the limit is the first h at which the scheme leaves the unit disk:
                              0 where it does so at once, inf where it never does up to `longest`
    standing still            the same, but leaving the disk at once is the scheme's error there and
                              no instability: nan, never 0
    expanding                 growth is right, so no step is too long for stability: nan
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

from analytic_models.conjugate_stability import pinned
from analytic_models.diffusions import Diffusion
from analytic_models.frozen import (
    NEUTRAL,
    cancelling_rate,
    exact_growth,
    excess,
    frozen_at,
    frozen_problem,
    frozen_step,
    stands_still,
    step_matrix,
)
from analytic_models.resonance import first_window
from analytic_models.targets import Block
from splitting_analysis.schemes import Scheme

Array = NDArray[np.float64]
TOLERANCE, CARRIED_TOLERANCE = 4e-15, 1e-9
"""How far a Jury condition, or an eigenvalue of a larger matrix, may be off by round-off near a
crossing.
"""
UNDECIDED, CARRIED_UNDECIDED = 1e-12, 1e-6
"""A scan point this close to the circle decides nothing in float64."""
CLEAR = 1e-7
"""An eigenvalue this far outside at the first unstable point of the scan leaves no doubt."""
DIGITS, FAINT = 150, -80
"""Decimal digits of the second look, where growth below 10^FAINT in a step counts as none: h^13 is
seen.
"""
SCAN = 800
"""Steps tried, in geometric progression, before bisection."""
SMALLEST = 1e-6
"""The shortest step tried, in units of the fastest time scale of the exact flow."""
AT_ONCE = 1e-2
"""A limit shorter than this, in time scales, of a mode that stands still up to NEUTRAL is where the
error of a step passes NEUTRAL.
"""


def largest_stable_step(
    scheme: Scheme, diffusion: Diffusion, variances: Any, tau: float, longest: float | None = None
) -> Array:
    """The largest h such that every step up to h is stable, per target variance; shape (d,).

    Units of forward time. 0: unstable at once (below SMALLEST time scales); inf: stable up to
    `longest` (default 10 T); nan: the exact frozen flow expands, or
    stands still while the scheme grows at once. Found by a scan of SCAN steps and
    bisection, so an unstable window narrower than a scan interval can be missed. A step that does
    not exist (DDPM, beta h >= 1) counts as unstable. Where beta is 0 nothing moves: inf.
    Raises ValueError where the score does not exist at tau, or scheme and process are of different
    models.
    """
    if diffusion.beta(tau) == 0:
        return np.full(np.size(variances), np.inf)
    own, frozen = frozen_problem(scheme, diffusion, variances, tau)
    bent = pinned(scheme, diffusion, float(tau))
    growth, fastest = exact_growth(scheme, own, frozen)
    rate = cancelling_rate(scheme, own, frozen)
    wide = scheme.carries_score and len(frozen) > 1  # eigenvalues of larger matrices are less exact
    tolerance = CARRIED_TOLERANCE if wide else TOLERANCE
    longest = 10 * float(diffusion.T) if longest is None else longest
    scan = np.geomspace(min(SMALLEST / rate.max(), longest / 10), longest, SCAN)
    found = excess(scheme, own, frozen, scan[:, None], bent)
    within = scan[:, None] >= SMALLEST / rate  # shorter than that, round-off decides
    undecided = within & (np.abs(found) <= (CARRIED_UNDECIDED if wide else UNDECIDED))
    unstable: NDArray[np.bool_] = within & ~undecided & ~(found <= tolerance)
    first = np.where(unstable.any(axis=0), np.argmax(unstable, axis=0), SCAN)
    low, high = scan[np.maximum(first - 1, 0)], scan[np.minimum(first, SCAN - 1)]
    for _ in range(60):
        middle = (low + high) / 2
        bad = ~(excess(scheme, own, frozen, middle, bent) <= tolerance)
        low, high = np.where(bad, low, middle), np.where(bad, middle, high)
    limit = np.where(low * rate <= 2 * SMALLEST, 0.0, low)
    limit = np.where(first < SCAN, limit, np.inf)
    still = stands_still(scheme, own, frozen)
    limit = np.where((growth > NEUTRAL * fastest) & ~still, np.nan, limit)
    for mode in np.flatnonzero(~np.isnan(limit)):
        at = int(first[mode])
        begin = at
        while begin and undecided[begin - 1, mode]:
            begin -= 1
        faint = at < SCAN and found[at, mode] < CLEAR
        if at - begin > 1 or wide or faint:  # a plain crossing takes one point of the scan at most
            variance = float(np.broadcast_to(np.asarray(variances, float), limit.shape)[mode])
            leaves = _precise(scheme, diffusion, variance, tau)
            shortest = int(np.argmax(within[:, mode]))
            reach = scan[max(begin - 1, shortest) : at + 1]
            limit[mode] = _first_exit(
                leaves, reach, float(limit[mode]), 2 * SMALLEST / float(rate[mode])
            )
    # two forces, or kicks of one that differ, resonate in windows that the scan steps over
    if scheme.model.acts or (scheme.nfe > 1 and not scheme.model.time_dependent):
        for mode in np.flatnonzero(limit > 0):
            one = partial(step_matrix, scheme, own, _of_mode(frozen, int(mode)))
            window = first_window(one, scan[scan >= SMALLEST / rate[mode]])
            limit[mode] = min(float(limit[mode]), window[0] if window else np.inf)
    # Of one component that contracts a short enough step does, too: 0 is what is not resolved.
    still |= (limit == 0) & (len(frozen) == 1)
    return np.where(still & (limit * rate < AT_ONCE), np.nan, limit)


def _of_mode(frozen: Block, mode: int) -> Block:
    return tuple(
        tuple(float(np.ravel(e)[mode if np.size(e) > 1 else 0]) for e in row) for row in frozen
    )


def stiffest(scheme: Scheme, diffusion: Diffusion, variances: Any, tau: float) -> int:
    """Index of the mode whose exact frozen flow is the fastest (the first of equals).

    A variance of 0 counts like any other where the score exists. Raises ValueError where it does
    not.
    """
    return int(
        np.argmax(exact_growth(scheme, *frozen_problem(scheme, diffusion, variances, tau))[1])
    )


def _first_exit(
    leaves: Callable[[float], bool], scan: Array, guess: float, shortest: float
) -> float:
    """Where the map first leaves the disk on the increasing steps `scan`; inf if nowhere, 0 if at
    once.

    A `guess` that holds to 1e-9 is kept, else it is found by bisection. Six steps of the scan
    before it are tried: an exit between two of them that is undone is not seen.
    """
    steps = np.unique([scan[0], *scan[np.linspace(0, len(scan) - 1, 6).astype(int)], scan[-1]])
    tried = [float(h) for h in steps]
    if shortest < guess < np.inf:
        around = [guess * (1 - 1e-9), guess * (1 + 1e-9)]
        tried = [
            *(h for h in tried if h < around[0]),
            *around,
            *(h for h in tried if h > around[1]),
        ]
    outside = next((i for i, h in enumerate(tried) if leaves(h)), None)
    if outside is None:
        return float("inf")
    if outside == 0:
        return 0.0
    low, high = tried[outside - 1], tried[outside]
    if high == guess * (1 + 1e-9):
        return guess
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if leaves(middle) else (middle, high)
    return low if low > shortest else 0.0


def _precise(
    scheme: Scheme, diffusion: Diffusion, variance: float, tau: float
) -> Callable[[float], bool]:
    """Whether the frozen map of h has an eigenvalue outside the disk, in DIGITS digits from the
    start.
    """
    with mpmath.workdps(DIGITS):
        names = [field.name for field in fields(diffusion) if field.init]
        numbers = {
            name: mpmath.mpf(getattr(diffusion, name)) for name in names if name != "schedule"
        }
        exact, time = replace(diffusion, **numbers), mpmath.mpf(tau)
        own, frozen = frozen_at(exact, mpmath.mpf(variance), time)
        bent = pinned(scheme, exact, time)

    def leaves(h: float) -> bool:
        with mpmath.workdps(DIGITS):
            try:
                matrix = frozen_step(scheme, own, frozen, mpmath.mpf(h), bent)
            except ValueError:
                return True  # a step that does not exist
            return _beyond_circle(mpmath.matrix(matrix))

    return leaves


def _beyond_circle(matrix: Any) -> bool:
    """Whether an mpmath matrix has an eigenvalue outside the unit disk, by more than `FAINT`.

    A carried score mostly adds eigenvalues that are 0: what is left is then Jury's criterion.
    """
    faint = mpmath.mpf(10) ** FAINT
    monic, power = [mpmath.mpf(1)], mpmath.eye(matrix.rows)
    for k in range(1, matrix.rows + 1):  # Faddeev and Le Verrier
        moved = matrix * power
        monic.append(-sum(moved[i, i] for i in range(matrix.rows)) / k)
        power = moved + monic[-1] * mpmath.eye(matrix.rows)
    while abs(monic[-1]) < faint / 10**20:
        monic.pop()
    if len(monic) <= 3:
        trace, det = -(monic + [0])[1], (monic + [0, 0])[2]
        return bool(max(det - 1, abs(trace) - 1 - det) > faint)
    return bool(
        max(abs(value) for value in mpmath.eig(matrix, left=False, right=False)) > 1 + faint
    )
