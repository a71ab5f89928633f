"""The score of PSLD, or its eps, held over a step, in float64: by collocation in sqrt(tau).

dz = beta (linear z + w s) dt with s = -L^-T eps, and eps (or s) a polynomial in a clock.
analytic_models.exponential has the linear part in closed form and integrates it: each judges the
other.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from gpu_samplers import bridges
from gpu_samplers.conjugate import NODES, factors, inverse_factors, panels
from gpu_samplers.processes import PSLD, Array, forward_drift
from splitting_analysis.clocks import Clock
from splitting_analysis.predictions import Prediction
from splitting_analysis.program import Hold

PAIRS = (Prediction.EPS, Prediction.SCORE)
"""Predictions of two components."""


def predicted(kind: Prediction, process: PSLD, factor: str, tau: float) -> tuple[Array, Array]:
    """What is held at forward time tau, as the factors (p, 2) of state and score."""
    if kind not in PAIRS:
        return bridges.predicted(process, tau)
    if kind is Prediction.SCORE:
        return np.zeros((2, 2)), np.eye(2)
    return np.zeros((2, 2)), -factors(process, factor, np.array([tau]))[0].T


def hold(
    op: Hold,
    process: PSLD,
    clock: Clock,
    eta: float,
    factor: str,
    begin: float,
    end: float,
    nodes: Sequence[float],
) -> bridges.Step:
    """The step from forward time `begin` to `end`, its predictions evaluated at the forward times
    `nodes`.

    Raises ValueError where it would end without noise, or its clock turns back.
    """
    kind = op.held.prediction
    if kind not in PAIRS:
        return bridges.hold(op, process, clock, eta, factor, begin, end, nodes)
    first, last = bridges.ends(process, clock, begin, end)
    count = len(nodes)
    pull = np.diag([process.Gamma, process.M * process.nu]) / 2

    def kernel(taus: Array) -> Array:
        """Of what is held, over forward time."""
        rates = np.array([process.beta(tau) for tau in taus])[:, None, None]
        if kind is Prediction.SCORE:
            return np.asarray(rates * pull)
        return np.asarray(-rates * (pull @ inverse_factors(process, factor, taus)))

    state = np.hstack([np.eye(2), np.zeros((2, 2 * count))])
    size = float(process.beta(begin) * np.abs(forward_drift(process)).sum())
    for high, low in panels(sqrt(begin), sqrt(end), sqrt(float(process.T)), size):
        v = high + (low - high) * NODES
        taus, speed = v * v, (2 * v * (high - low))[:, None, None]
        rates = np.array([process.beta(tau) for tau in taus])[:, None, None]
        theta = (bridges.readings(process, clock, taus) - first) / (last - first)
        source = [speed * kernel(taus) * theta[:, None, None] ** k for k in range(count)]
        padded = np.concatenate([np.zeros((len(v), 2, 2)), *source], axis=2)
        state = bridges.collocated(-speed * rates * forward_drift(process), padded, state)
    span = (first - last) / bridges.speed(process, clock, end)
    at_end = kernel(np.array([end]))[0] * span
    places = (bridges.readings(process, clock, np.array(nodes)) - first) / (last - first)
    powers = places ** np.arange(count)[:, None]
    gains = np.empty((count, 2, 2))
    for i, j in np.ndindex(2, 2):
        moments = op.rule(state[i, 2 + j :: 2].tolist(), float(at_end[i, j]))
        gains[:, i, j] = np.linalg.solve(powers, np.array(moments))
    return bridges.Step(state[:, :2], tuple(gains), np.zeros((2, 2)))
