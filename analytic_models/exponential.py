"""What a step of PSLD holds, with numbers in: data (bridges.py), or the score or its eps, a pair.

With the score or eps = -L^T s held as a polynomial in a clock the linear part is exact,

    z' = Y(end, begin) z + sum over j of (integral of Y(end, u) beta w L(u)^-T l_j(u) du) (-eps_j)

with Y the flow of dz = beta linear z dt, w what multiplies the score, and l_j Lagrange's
polynomials, or what a rule for their moments makes of them; for the score L is 1. Through one
evaluation this is the conjugate step with B = 0. gpu_samplers.exponential finds it by collocation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analytic_models import bridges, given_data
from analytic_models.conjugate import conjugate_flow, inverse_factor, smooth, transposed_factor
from analytic_models.diffusions import PSLD
from analytic_models.held import weights
from analytic_models.quadrature import integral
from analytic_models.targets import Block
from splitting_analysis.clocks import Clock
from splitting_analysis.models import model_of
from splitting_analysis.predictions import Prediction
from splitting_analysis.program import Hold

N = range(2)


@dataclass(frozen=True)
class Step:
    """z <- keep z + sum of gains[j] prediction_j + N(0, noise); gains are (2, p) for p components
    of the prediction, noise is None where there is none.
    """

    keep: Block
    gains: tuple[Block, ...]
    noise: Block | None


def predicted(prediction: Prediction, process: PSLD, factor: str, tau: Any) -> tuple[Block, Block]:
    """(own, gain), (p, 2) each: the prediction at forward time tau is own z + gain s."""
    if prediction not in (Prediction.EPS, Prediction.SCORE):
        own, gain = given_data.predicted(process, tau)
        return (own,), (gain,)
    none = ((0, 0), (0, 0))
    if prediction is Prediction.SCORE:
        return none, ((1, 0), (0, 1))
    turned = transposed_factor(process, factor, tau)
    return none, tuple(tuple(-entry for entry in row) for row in turned)


def hold(
    op: Hold,
    process: PSLD,
    clock: Clock,
    eta: Any,
    factor: str,
    begin: Any,
    end: Any,
    nodes: Sequence[Any],
) -> Step:
    """The step from forward time `begin` to `end`, its predictions evaluated at the forward times
    `nodes`.

    Raises ValueError where it would end without noise, and where the clock does not run one way.
    """
    kind = op.held.prediction
    if kind not in (Prediction.EPS, Prediction.SCORE):
        step = bridges.hold(op, process, clock, eta, factor, begin, end, nodes)
        gains = tuple(tuple((entry,) for entry in gain) for gain in step.gains)
        return Step(step.keep, gains, step.noise)
    first, last = given_data.clock_ends(process, clock, begin, end)
    drift, p = model_of("psld", "ode").drift, process.parameters
    linear, strengths = drift.linear(p), drift.score(p)

    def kernel(u: Any) -> list[list[Any]]:
        """Of what is held, in forward time."""
        rate = process.beta(u)
        if kind is Prediction.SCORE:
            return [[rate * strengths[i] if i == j else 0 * u for j in N] for i in N]
        held = inverse_factor(process, factor, u)
        return [[-rate * strengths[i] * held[i][j] for j in N] for i in N]

    def integrand(u: Any, begin: Any, end: Any) -> list[list[Any]]:
        """The kernel carried to the end, times 1, theta, theta^2, ..., side by side."""
        flow, source = conjugate_flow(process, linear, u, end), kernel(u)
        carried = [[sum(flow[i][k] * source[k][j] for k in N) for j in N] for i in N]
        if len(nodes) == 1:
            return carried
        first, last = (given_data.clock_at(process, clock, tau) for tau in (begin, end))
        theta = (given_data.clock_at(process, clock, u) - first) / (last - first)
        return [[entry * theta**k for k in range(len(nodes)) for entry in row] for row in carried]

    found = integral(integrand, (2, 2 * len(nodes)), begin, end, smooth(process, begin, end))
    places = [(given_data.clock_at(process, clock, tau) - first) / (last - first) for tau in nodes]
    span = (first - last) / given_data.clock_rate(process, clock, end)  # of forward time, by theta
    at_end = [[span * entry for entry in row] for row in kernel(end)]
    columns = [[weights(places, op.rule(found[i][j::2], at_end[i][j])) for j in N] for i in N]
    gains = tuple(
        tuple(tuple(columns[i][j][node] for j in N) for i in N) for node in range(len(nodes))
    )
    keep = conjugate_flow(process, linear, begin, end)
    return Step(tuple(tuple(row) for row in keep), gains, None)
