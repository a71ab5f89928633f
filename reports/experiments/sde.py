"""One step of a stochastic sampler on a score: engine minus reference on one Brownian path.

The path over the step enters through finitely many standard normals: its projections on piecewise
linear functions. They are drawn as rows of random orthogonal matrices, in pairs of opposite sign,
so that every polynomial of degree 3 in them averages exactly: what a leading coefficient depends on
is free of Monte Carlo noise, and independent rotations show what the rest is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np
import torch

from gpu_samplers import engine
from gpu_samplers.processes import Array, exponential, lower_factor
from reports.experiments.ode import one_step
from reports.experiments.scores import (
    Diffusion,
    Score,
    Tensor,
    as_engine_sees,
    coefficient,
    drift,
    dyadic,
    unit_vectors,
)
from splitting_analysis.catalogue import entries
from splitting_analysis.errors import LocalError
from splitting_analysis.models import Model, Piece, Rule
from splitting_analysis.program import Advance
from splitting_analysis.schemes import Scheme
from splitting_analysis.strong import strong_error
from splitting_analysis.weak import at_lambda_one, local_error

SUBSTEPS = 2
"""Intervals of the path of one step, and steps of its reference; the halves of SSCS end where one
does.
"""
CHUNK = 256
LEVELS = 3
"""Step sizes h, h/2, ..., of an extrapolation to h = 0."""
ROTATIONS = 8
"""Independent designs: their spread is the standard error."""
SPREAD = 1 / 100
"""Rotations have step sizes of their own, so much apart: the rounding of coefficients, the same in
every run at one step, then shows in the standard error."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)


@dataclass(frozen=True)
class Comparison:
    """Predicted and measured leading coefficients of one kind of error.

    Norms of the coefficients; `ratio` is measured over predicted, `standard_error` its standard
    error over rotations; `difference` is the norm of measured minus predicted over that of the
    predicted. Where the closed form says 0, the ratio is NaN, `difference` the measured norm and
    `standard_error` its own.
    """

    predicted: float
    measured: float
    ratio: float
    standard_error: float
    difference: float


def orthogonal_normals(size: int, seed: int) -> Tensor:
    """(2 size, size): +-sqrt(size) times the rows of a random rotation, like N(0, I) to degree
    3.
    """
    generator = torch.Generator().manual_seed(seed)
    q, r = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))
    rows = sqrt(size) * q * r.diagonal().sign()
    return torch.cat([rows, -rows])


def projections(
    process: Diffusion,
    tau: float,
    h: float,
    piece: Piece,
    start: float,
    stop: float,
    substeps: int = SUBSTEPS,
) -> Array:
    """What normals of the path make up a piece's noise over [start, stop] of the step, (n, n,
    substeps, 2).

    normals_of_the_engine[i] = sum over (c, k, j) of result[i, c, k, j] * path[c, k, j], of unit
    variance. Exact rules take the integral of exp(linear * clock) g dW, others the increment of the
    path.
    """
    p, width = process.parameters, h / substeps
    linear = np.array(piece.linear(p), dtype=np.float64)
    strength = np.array(piece.noise(p), dtype=np.float64)
    n = len(strength)
    loadings = np.zeros((n, n, substeps, 2))
    t, end = process.T - tau, process.T - tau + stop * h
    for k in range(substeps):
        if not (start <= k / substeps and (k + 1) / substeps <= stop):
            continue
        s = (_NODES + 1) / 2
        at = t + (k + s) * width
        basis = np.stack([np.ones_like(s), sqrt(3) * (2 * s - 1)]) / sqrt(width)
        kernel = np.broadcast_to(np.eye(n), (len(s), n, n))
        if piece.rule is Rule.EXPONENTIAL:
            left = np.array([process.clock(u, end - u) for u in at])
            rate = np.array([sqrt(process.beta(process.T - u)) for u in at])
            kernel = exponential(linear, left) * rate[:, None, None] * np.sqrt(strength)
        loadings[:, :, k] = np.einsum("s,sic,js->icj", _WEIGHTS * width / 2, kernel, basis)
    flat = loadings.reshape(n, -1)
    acted = [i for i in range(n) if np.abs(flat[i]).max() > 0]
    covariance = flat[acted] @ flat[acted].T
    result = np.zeros_like(flat)
    result[acted] = np.linalg.solve(lower_factor(covariance), flat[acted])
    return result.reshape(loadings.shape)


class PathNoise:
    """The normals that the engine asks for in one step of `scheme`, made from a path's.

    path (n, substeps, 2, batch, *shape). Blocks come in the order of the word's noisy tokens.
    """

    def __init__(
        self, scheme: Scheme, process: Diffusion, tau: float, h: float, path: Tensor
    ) -> None:
        self.path, self.blocks = path, list[Tensor]()
        for op in scheme.program.instructions:
            if isinstance(op, Advance) and op.piece.has_noise:
                loadings = projections(
                    process, tau, h, op.piece, float(op.start), float(op.stop), path.shape[1]
                )
                self.blocks.append(
                    torch.einsum("ickj,ckj...->i...", torch.as_tensor(loadings), path)
                )

    def __call__(self, parts: int) -> Tensor:
        block = self.blocks.pop(0)
        if len(block) != parts:
            raise ValueError(
                f"the engine draws {parts} components where the word's noise has {len(block)}"
            )
        return block


def reference(
    process: Diffusion, model: Model, score: Score, z: Tensor, tau: float, h: float, path: Tensor
) -> Tensor:
    """The reverse SDE from z (n, batch, *shape) over h: one step of SRA1 (Roessler 2010) per
    interval.

    Of strong order 3/2 and weak order 2 for additive noise, and of another family than the
    samplers: its own error is one power of h below every leading term compared here.
    """
    field = drift(process, model, score)
    strength = torch.tensor(model.drift.noise(process.parameters), dtype=torch.float64)
    width = h / path.shape[1]

    def g(at: float) -> Tensor:
        return (process.beta(at) * strength).sqrt().reshape(-1, *[1] * (z.ndim - 1))

    def slope(state: Tensor, at: float) -> Tensor:
        return field(state, torch.tensor(at, dtype=torch.float64))

    for k in range(path.shape[1]):
        here = tau - k * width
        increment = sqrt(width) * path[:, k, 0]
        # integral of W, over width
        area = sqrt(width) * (path[:, k, 0] / 2 - path[:, k, 1] / (2 * sqrt(3)))
        now, later = g(here), g(here - width)
        first = slope(z, here)
        second = slope(z + 0.75 * width * first + 1.5 * later * area, here - 0.75 * width)
        z = z + width * (first + 2 * second) / 3 + later * (increment - area) + now * area
    return z


def measured(
    schemes: tuple[Scheme, ...],
    process: Diffusion,
    machine: engine.Score,
    z: Tensor,
    tau: float,
    h: float,
    seed: int,
    units: Tensor,
) -> dict[str, dict[str, Tensor]]:
    """For every scheme, at z (n, 1, *shape): errors of one step, divided by their power of h, one
    rotation.

    The path moves in the directions `units` (r, *shape), orthonormal.

    Keys "x", "m": of the mean (*shape), by h^2; "xx", "xm", ...: of the second moments of the
    increment, traces, by h^2; "strong xx", ...: mean squares on one path, traces, by h^3.
    """
    n, shape, score = len(z), z.shape[2:], as_engine_sees(machine)
    normals = orthogonal_normals(n * SUBSTEPS * 2 * len(units), seed)
    sums: dict[str, dict[str, Tensor]] = {s.name: {} for s in schemes}
    for first in range(0, len(normals), CHUNK):
        rows = normals[first : first + CHUNK]
        path = rows.reshape(len(rows), n, SUBSTEPS, 2, len(units)) @ units.flatten(1)
        path = path.movedim(0, 3).reshape(n, SUBSTEPS, 2, len(rows), *shape)
        start = z.expand(n, len(rows), *shape).contiguous()
        with torch.no_grad():
            exact = reference(process, schemes[0].model, score, start, tau, h, path)
        for s in schemes:
            noise = PathNoise(s, process, tau, h, path)
            error = exact - one_step(s, process, machine, start, tau, h, noise)
            both = 2 * (exact - start) - error  # the two increments added
            for i, a in enumerate(s.model.components):
                _add(sums[s.name], a, error[i].sum(0) / h**2 / len(normals))
                for j, b in enumerate(s.model.components[i:], i):
                    cross = (error[i] * both[j] + both[i] * error[j]).sum() / 2
                    _add(sums[s.name], a + b, cross / h**2 / len(normals))
                    _add(
                        sums[s.name],
                        f"strong {a}{b}",
                        (error[i] * error[j]).sum() / h**3 / len(normals),
                    )
    return sums


def limit(values: list[Tensor]) -> Tensor:
    """The limit of a power series in h from its values at h, h/2, ...: the last of Neville's
    table.
    """
    for j in range(1, len(values)):
        values = [fine + (fine - coarse) / (2**j - 1) for coarse, fine in pairwise(values)]
    return values[0]


def _add(into: dict[str, Tensor], key: str, value: Tensor) -> None:
    into[key] = into[key] + value if key in into else value


def predicted(
    scheme: Scheme, process: Diffusion, score: Score, z: Tensor, tau: float, units: Tensor
) -> dict[str, Tensor]:
    """The closed forms of what `measured` measures, lambda_s = 1."""
    plain = at_lambda_one(scheme)
    weak = _leading(local_error(plain), 2)
    values = coefficient(weak, 2, process, plain, score, z, tau, units)
    strong = _leading(strong_error(plain), 3)
    mean_square = coefficient(strong, 3, process, plain, score, z, tau, units)
    return values | {f"strong {key}": value for key, value in mean_square.items()}


def judged(model: str) -> tuple[Scheme, ...]:
    """The samplers of a model's SDE of weak order 1: of these one step's error leads with h^2."""
    return tuple(each for each in entries(model, "sde") if each.order == 1)


def _leading(error: LocalError, power: int) -> LocalError:
    if error.leading != power:
        raise ValueError(
            f"{error.name}: its {error.kind} error leads with h^{error.leading}, not h^{power}"
        )
    return error


def compare(
    schemes: tuple[Scheme, ...],
    process: Diffusion,
    machine: engine.Score,
    score: Score,
    z: Tensor,
    tau: float,
    h: float,
    levels: int = LEVELS,
    rotations: int = ROTATIONS,
    units: Tensor | None = None,
) -> dict[str, dict[str, Comparison]]:
    """Leading errors of SDE schemes at z (n, 1, *shape), forward time tau, lambda_s = 1: name ->
    kind.

    Kinds: "mean", "second moments", "strong". Measured at the step sizes h, h/2, ..., `levels` in
    all, on the same normals, and extrapolated to 0. h must be small against the time in which the
    score changes; it and tau are taken as `dyadic`. Noise is in the orthonormal directions `units`
    (r, *shape), by default all: a full-size network has too many.
    """
    tau, directions = dyadic(tau), unit_vectors(z) if units is None else units
    runs = []
    for seed in range(rotations):
        own = dyadic(h * (1 + SPREAD * seed / rotations))
        by_step = [
            measured(schemes, process, machine, z, tau, own / 2**k, seed, directions)
            for k in range(levels)
        ]
        runs.append(
            {
                s: {key: limit([step[s][key] for step in by_step]) for key in by_step[0][s]}
                for s in by_step[0]
            }
        )
    result: dict[str, dict[str, Comparison]] = {}
    for s in schemes:
        closed = predicted(s, process, score, z, tau, directions)
        kinds: dict[str, list[str]] = {"mean": [], "second moments": [], "strong": []}
        for key in closed:
            kinds["mean" if len(key) == 1 else "strong" if " " in key else "second moments"].append(
                key
            )
        result[s.name] = {
            kind: _compared(
                _vector(closed, keys), torch.stack([_vector(run[s.name], keys) for run in runs])
            )
            for kind, keys in kinds.items()
        }
    return result


def _vector(values: dict[str, Tensor], keys: list[str]) -> Tensor:
    return torch.cat([values[key].reshape(-1) for key in keys])


def _compared(closed: Tensor, runs: Tensor) -> Comparison:
    norm, mean = float(closed.norm()), runs.mean(0)
    size = float(mean.norm())
    if len(runs) == 1:
        error = float("nan")
    elif norm == 0:
        error = float(runs.var(0).sum().sqrt()) / sqrt(len(runs))
    # the spread of the component along the predicted vector: what the ratio of norms varies by
    else:
        error = float((runs @ closed).std()) / norm**2 / sqrt(len(runs))
    if norm == 0:
        return Comparison(norm, size, float("nan"), error, size)
    return Comparison(norm, size, size / norm, error, float((mean - closed).norm()) / norm)
