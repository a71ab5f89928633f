"""A conjugate step whose linear part moves by more than the clock: a B that depends on time, or a
score from which C_skip z was taken (theory section 6).

W(u) = Y(u -> end), the flow of dz = M(tau) z dt with M = B + beta (linear + weights C_skip) over
reverse time, solves dW/du = W M(u) upwards from W(end) = I, as A does. It is a Taylor series in
v = sqrt(tau), panel by panel, each as long as its series allows; what the step gains is its
integral, by the tanh-sinh rule in v. gpu_samplers.conjugate finds the same by collocation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

from analytic_models.diffusions import PSLD, VP, law
from analytic_models.matrices import Rows, times
from analytic_models.quadrature import unit_integral
from analytic_models.series import Series, convolved, function, power
from analytic_models.targets import Block
from splitting_analysis.bends import Arithmetic
from splitting_analysis.models import Piece, conjugation
from splitting_analysis.schemes import Scheme

TERMS = 30
"""Of a panel's series in float64."""
MOST_PANELS, SHORTEST = 500, 2.0**-20
"""So many, and of so much of the way, before B counts as one that has no series."""
Process = PSLD | VP
Source = Callable[[Any], Rows]
"""At forward times shaped like the nodes: what the flow is integrated against."""


def shift_at(scheme: Scheme, process: Process, piece: Piece, tau: Any) -> Block:
    """B at forward time tau: a number, or an array, as then are the entries that move."""
    value = (0 * tau + 1) * scheme.conjugate.numerator / scheme.conjugate.denominator
    names = {"tau": tau, "lambda": value, "beta": process.beta(tau)}
    if isinstance(process, PSLD):
        names |= {"Gamma": process.Gamma, "nu": process.nu, "M": process.M}
    by = Arithmetic(lambda f: (0 * tau + 1) * f.numerator / f.denominator, names, function, power)
    with np.errstate(all="ignore"):
        found = conjugation(piece.conjugation, value, len(process.stationary), by)
    if any(not np.all(_finite(entry)) for row in found for entry in row):
        raise ValueError(
            f"{scheme.name}: B = {piece.conjugation} has no finite value at forward time "
            f"{float(np.ravel(np.asarray(tau, dtype=float))[0]):g}"
        )
    return found


def skip_matrix(process: Process, variance: Any, tau: Any) -> Rows:
    """C_skip = -Sigma^-1 of Gaussian data of that variance, at forward time tau."""
    _, rows, det = law(process, 0, variance, tau)
    if len(rows) == 1:
        return [[-1 / rows[0][0]]]
    (xx, xm), (_, mm) = rows
    return [[-mm / det, xm / det], [xm / det, -xx / det]]


def skip_at(scheme: Scheme, process: Process, tau: Any) -> Rows:
    """C_skip of a scheme that has one, at forward time tau."""
    variance = scheme.skip or Fraction(1)
    number = (0 * tau + 1) * variance.numerator / variance.denominator
    return skip_matrix(process, number, tau)


@dataclass(frozen=True)
class _Panel:
    """W on a part of the way, as fractions of it in v: W(begin) times a series in the part done."""

    begin: float
    end: float
    start: Rows
    terms: list[Rows]

    def at(self, share: Any) -> Rows:
        s = (share - self.begin) / (self.end - self.begin)
        n = range(len(self.start))
        total = [[0 * s + self.terms[-1][i][j] for j in n] for i in n]
        for term in reversed(self.terms[:-1]):
            total = [[total[i][j] * s + term[i][j] for j in n] for i in n]
        return times(self.start, total)


def moving_flow(
    scheme: Scheme, process: Process, piece: Piece, begin: Any, end: Any
) -> Callable[[Any], Rows]:
    """W at a part of the way from `end` up to `begin`, 0 to 1 in the root of forward time.

    Raises ValueError where B has no power series on the way.
    """
    if process.beta_max is None:
        raise ValueError(
            f"{scheme.name}: skip = {scheme.skip} is for a beta that is linear in time, not for "
            "the schedule of this vp"
        )
    low, length = _root(end), _root(begin) - _root(end)
    digits = mpmath.mp.dps if isinstance(length, mpmath.mpf) else 0
    count, small = (2 * digits + 10, mpmath.eps) if digits else (TERMS, 2e-17)
    n = range(len(process.stationary))
    here: Rows = [[0 * length + int(i == j) for j in n] for i in n]
    panels: list[_Panel] = []
    waiting = [(0.0, 1.0)]
    while waiting:
        a, b = waiting.pop()
        with np.errstate(all="ignore"):
            series = _rates(scheme, process, piece, low + a * length, (b - a) * length, count)
            terms = _flow(series, count, 0 * length)
        sizes = [_size(term) for term in terms]
        if sum(sizes[1:]) <= 2 and sizes[-1] + sizes[-2] <= small:
            panels.append(_Panel(a, b, here, terms))
            here = panels[-1].at(b)
        elif len(panels) > MOST_PANELS or b - a < SHORTEST:
            worst = sum(abs(entry) for term in terms for row in term for entry in row)
            place = int(np.argmax(np.nan_to_num(worst, nan=np.inf))) if not digits else 0
            where = (low + a * length) ** 2
            tau = float(np.ravel(where)[place]) if not digits else float(where)
            raise ValueError(
                f"{scheme.name}: B = {piece.conjugation} moves too fast, or has no power series, "
                f"near forward time {tau:.3g}"
            )
        else:
            middle = (a + b) / 2
            waiting += [(middle, b), (a, middle)]
    return lambda share: _evaluated(panels, share)


def moving_step(
    scheme: Scheme, process: Process, piece: Piece, begin: Any, end: Any, source: Source
) -> tuple[Block, Block]:
    """What the step keeps of the state, and the integral of W against `source`, over forward time
    from `end` to `begin`: scalars, or arrays of shape (k, 1).
    """
    if not isinstance(begin, np.ndarray | mpmath.mpf):
        start, stop = (np.array([[float(x)]]) for x in (begin, end))
        found = moving_step(scheme, process, piece, start, stop, source)
        keep, gain = (
            tuple(tuple(float(np.ravel(e)[0]) for e in row) for row in rows) for rows in found
        )
        return keep, gain
    flow = moving_flow(scheme, process, piece, begin, end)
    n = range(len(process.stationary))
    shift = shift_at(scheme, process, piece, begin)
    first = [[int(i == j) - (begin - end) * shift[i][j] for j in n] for i in n]
    low, length = _root(end), _root(begin) - _root(end)

    def integrand(share: Any) -> Rows:
        v = low + share * length
        product = times(flow(share), source(v * v))
        return [[2 * v * entry for entry in row] for row in product]

    whole = unit_integral(integrand, len(n), length)
    gained = tuple(tuple(length * entry for entry in row) for row in whole)
    return times(flow(1.0), first), gained


def _rates(
    scheme: Scheme, process: Process, piece: Piece, v: Any, width: Any, count: int
) -> list[list[Series | None]]:
    """2 v M times the width, as series in the part of the panel that is done."""
    nothing = [0 * v for _ in range(count)]
    tau = Series([v * v, 2 * v * width, width * width, *nothing][:count])
    slope = (process.beta_max - process.beta_min) / process.T
    beta = Series([process.beta(v * v), *(slope * c for c in tau.c[1:])])
    speed = Series([2 * v * width, 2 * width * width, *nothing][:count])

    def constant(number: Any) -> Series:
        return Series([0 * v + number, *nothing[1:]])

    value = scheme.conjugate.numerator * (0 * v + 1) / scheme.conjugate.denominator
    names = {"tau": tau, "beta": beta, "lambda": constant(value)}
    p = process.parameters
    names |= {key: constant(getattr(p, key)) for key in ("Gamma", "nu", "M") if key in vars(p)}
    by = Arithmetic(
        lambda f: constant((0 * v + 1) * f.numerator / f.denominator),
        names,
        lambda name, u: u.of(name),
        Series.raised,
    )
    linear, weights = piece.linear(p), piece.score(p)
    n = range(len(linear))
    shift = conjugation(piece.conjugation, value, len(linear), by)
    skip = _skipped(scheme, process, v, beta, speed) if scheme.skip is not None else None
    rows: list[list[Series | None]] = []
    for i in n:
        row: list[Series | None] = []
        for j in n:
            parts = []
            if isinstance(shift[i][j], Series):
                parts.append(shift[i][j])
            elif not (isinstance(shift[i][j], int) and shift[i][j] == 0):
                parts.append(constant(shift[i][j]))
            if linear[i][j] != 0:
                parts.append(Series([linear[i][j] * c for c in beta.c]))
            if skip is not None and weights[i] != 0:
                parts.append(beta * Series([weights[i] * c for c in skip[i][j]]))
            total = parts[0] if parts else None
            for part in parts[1:]:
                total = part if total is None else total + part
            row.append(None if total is None else _short(speed * total))
        rows.append(row)
    return rows


def _skipped(
    scheme: Scheme, process: Process, v: Any, beta: Series, speed: Series
) -> list[list[list[Any]]]:
    """C_skip as series: dC/dtau = beta (-(C F + F^T C) / 2 + C D C) with F and D of the forward
    process.
    """
    drift: Block
    noise: tuple[Any, ...]
    if isinstance(process, PSLD):
        drift = ((-process.Gamma, 1 / process.M), (-1, -process.nu))
        noise = (process.Gamma, process.M * process.nu)
    else:
        drift, noise = ((-1,),), (1,)
    n = range(len(noise))
    found = [[[entry] for entry in row] for row in skip_at(scheme, process, v * v)]
    pushed = Series([convolved(beta.c, speed.c, k) for k in range(len(beta.c))])
    slopes: list[Rows] = []
    for k in range(len(beta.c) - 1):
        last = [[found[i][j][k] for j in n] for i in n]
        own = [
            [
                -sum(last[i][m] * drift[m][j] + drift[m][i] * last[m][j] for m in n) / 2
                + sum(noise[m] * convolved(found[i][m], found[m][j], k) for m in n)
                for j in n
            ]
            for i in n
        ]
        slopes.append(own)
        for i in n:
            for j in n:
                total = sum(pushed.c[q] * slopes[k - q][i][j] for q in range(k + 1))
                found[i][j].append(total / (k + 1))
    return found


def _flow(rates: list[list[Series | None]], count: int, zero: Any) -> list[Rows]:
    """V with dV/ds = V N(s), V(0) = I, so many terms."""
    n = range(len(rates))
    terms: list[Rows] = [[[zero + int(i == j) for j in n] for i in n]]
    for k in range(count - 1):
        grown = [[zero for _ in n] for _ in n]
        for m in n:
            for j in n:
                series = rates[m][j]
                if series is None:
                    continue
                for i in n:
                    for q in range(min(k + 1, len(series.c))):
                        grown[i][j] = grown[i][j] + terms[k - q][i][m] * series.c[q]
        terms.append([[entry / (k + 1) for entry in row] for row in grown])
    return terms


def _short(series: Series) -> Series:
    """Without the zeros at its end: of polynomials they are most of it."""
    last = max((k for k, c in enumerate(series.c) if np.any(c != 0)), default=0)
    return Series(series.c[: last + 1])


def _evaluated(panels: list[_Panel], share: Any) -> Rows:
    """W at one part of the way, or at an array of them, shape (m,), on a last axis."""
    if not isinstance(share, np.ndarray):
        return next(p for p in panels if share <= p.end).at(share)
    n = range(len(panels[0].start))
    blocks = []
    for panel in panels:
        inside = (share > panel.begin) & (share <= panel.end)
        inside |= (panel.begin == 0) & (share <= 0)
        blocks.append(panel.at(share[inside]))
    return [[np.concatenate([block[i][j] for block in blocks], axis=-1) for j in n] for i in n]


def _root(tau: Any) -> Any:
    return mpmath.sqrt(tau) if isinstance(tau, mpmath.mpf) else tau**0.5


def _size(rows: Rows) -> float:
    largest = max(_some(abs(entry)) for row in rows for entry in row)
    return largest if largest == largest else float("inf")


def _some(value: Any) -> float:
    return float(np.max(value)) if isinstance(value, np.ndarray) else float(value)


def _finite(value: Any) -> Any:
    return mpmath.isfinite(value) if isinstance(value, mpmath.mpf) else np.isfinite(value)
