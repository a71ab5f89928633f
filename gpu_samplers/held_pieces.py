"""A piece of a splitting with a prediction held, in float64: its exact flow, by collocation.

The score is written in the state and what is held, and the linear equation that results is solved.
analytic_models.held_pieces has closed forms and a quadrature: each judges the other.
"""

from __future__ import annotations

from itertools import pairwise
from math import ceil, log

import numpy as np

from gpu_samplers.bridges import collocated, means
from gpu_samplers.clocked import fading, position_only
from gpu_samplers.conjugate import NODES, factors
from gpu_samplers.held import predicted
from gpu_samplers.processes import PSLD, Array, Process
from splitting_analysis.models import Piece
from splitting_analysis.predictions import Prediction

PANEL = 0.25
"""Of lambda, or of log tau, at most, in a panel."""


def flow(piece: Piece, process: Process, begin: float, end: float) -> tuple[Array, Array]:
    """(keep, gain) of z <- keep z + gain P from forward time `begin` to `end`, (n, n) and (n, 1).

    Raises ValueError where it would end without noise, or begin without data.
    """
    if end <= 0:
        raise ValueError(
            f"a step from forward time {begin:g} to {end:g}: there is no noise at 0, where what is "
            "held says no score; the grid ends at eps > 0"
        )
    linear = np.array(piece.linear(process.parameters), dtype=np.float64)
    weights = np.array(piece.score(process.parameters), dtype=np.float64)
    n = len(weights)
    state = np.hstack([np.eye(n), np.zeros((n, 1))])
    for high, low in pairwise(_edges(process, begin, end)):
        taus = high * (low / high) ** NODES
        speed = (-log(low / high) * taus)[:, None, None]
        rates = np.array([process.beta(float(tau)) for tau in taus])[:, None, None]
        own, gain = _score(process, Prediction(piece.held), taus)
        matrix = rates * (linear + weights[:, None] * own)
        if piece.fading:
            fades = np.array([fading(process, float(tau)) for tau in taus])
            matrix = matrix + float(piece.fading) * fades[:, None, None]
        source = rates * weights[:, None] * gain
        padded = np.concatenate([np.zeros((len(taus), n, n)), source], axis=2)
        state = collocated(speed * matrix, speed * padded, state)
    return state[:, :n], state[:, n:]


def _score(process: Process, held: Prediction, taus: Array) -> tuple[Array, Array]:
    """s = own z + gain P at forward times (k,), shapes (k, n, n) and (k, n, 1)."""
    if isinstance(process, PSLD):
        back = np.linalg.inv(factors(process, "lower", taus))
        inverse = back.swapaxes(1, 2) @ back
        return -inverse, inverse @ means(process, taus)[:, :, None]
    pairs = [predicted(held, position_only(process), float(tau)) for tau in taus]
    own = np.array([-a / b for a, b in pairs])
    return own[:, None, None], np.array([1 / b for _, b in pairs])[:, None, None]


def _edges(process: Process, begin: float, end: float) -> list[float]:
    """Forward times of panels, between which nothing jumps and little changes."""
    if isinstance(process, PSLD):
        damping = (process.Gamma + process.nu) * process.clock(process.T - begin, begin - end)
        parts = max(1, ceil(2 * log(begin / end)), ceil(4 * damping))
        return [float(t) for t in begin * (end / begin) ** (np.arange(parts + 1) / parts)]
    own = position_only(process)
    edges = []
    for a, b in pairwise([begin, *reversed(own.kinks(end, begin)), end]):
        first, last = float(own.log_snr(a)), float(own.log_snr(b))
        parts = max(1, ceil((last - first) / PANEL), ceil(log(a / b) / PANEL))
        inner = [own.tau_of_lambda(first + (last - first) * i / parts) for i in range(1, parts)]
        edges += [a, *map(float, inner)]
    return [*edges, end]
