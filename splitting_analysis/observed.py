"""Observed order of convergence, from signed errors at decreasing steps. Standard library and
mpmath.

Near h = 0 a method's error is C h^p (1 + c_1 h + c_2 h^2 + ...), hence

    log|e(h)| = log C + p log h + c_1 h + c_2 h^2 + ...

The k-th extrapolant of p is the one that solves this, cut after c_k, exactly on the finest k + 2
points; k = 0 is the running order of the finest pair. The step of the estimate to its neighbours
in this table measures what is cut off, and a known round-off floor is carried through the linear
system: together they are the interval. Signs are data: no absolute value is ever taken of a slope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Rational
from typing import Any, Literal

from mpmath import isfinite, log, mp, mpf, nstr

Verdict = Literal["order", "inconclusive", "diverges"]

SETTLED = 0.25
"""Half-width of the interval above which running orders count as not settling."""
MARGIN = 0.05
"""A growing error counts as diverging when its order is below zero by more than this."""
ROUNDING = 2.0**-52
"""Relative round-off that every error is assumed to carry: that of a float64."""
SAFETY = 3
"""The interval is this many times wider than the spread it is read from."""
MOST_TERMS = 6


@dataclass(frozen=True)
class Row:
    """One line of the table: step, signed error, running order to the line above (or None)."""

    h: Any
    error: Any
    running: float | None
    note: str = ""


@dataclass(frozen=True)
class ObservedOrder:
    """What a table of errors says about the order, and how far it can be trusted.

    `order` and the interval [low, high] are None unless the running orders settle; `reason` says
    why a verdict is not an order, or what was left out on the way to it.
    """

    rows: tuple[Row, ...]
    verdict: Verdict
    reason: str = ""
    order: float | None = None
    low: float | None = None
    high: float | None = None

    def confirms(self, claim: float, within: float = 0.01) -> bool:
        """Whether the whole interval lies in [claim - within, claim + within]: two-sided."""
        if self.verdict != "order" or self.low is None or self.high is None:
            return False
        return claim - within <= self.low and self.high <= claim + within

    def __str__(self) -> str:
        head = ("h", "error", "running order", "")
        body = [(nstr(r.h, 6), nstr(r.error, 6), _shown(r.running), r.note) for r in self.rows]
        widths = [max(len(line[i]) for line in [head, *body]) for i in range(3)]
        lines = [
            " | ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=False))
            + (f" | {line[3]}" if line[3] else "")
            for line in [head, *body]
        ]
        lines.insert(1, "-+-".join("-" * width for width in widths))
        return "\n".join([*lines, self.summary])

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        text: str = self.verdict
        if self.order is not None and self.low is not None and self.high is not None:
            text += f" {self.order:.4f} in [{self.low:.4f}, {self.high:.4f}]"
        return text + (f" ({self.reason})" if self.reason else "")


def observed_order(
    steps_or_h: Sequence[Any], errors: Sequence[Any], floor: Any = None
) -> ObservedOrder:
    """The order of convergence that signed `errors` show.

    steps_or_h  numbers of steps (all integers, increasing; h = 1/n) or steps h > 0, decreasing
    errors      approximation minus exact, signed, one per step; float, Fraction or mpf
    floor       absolute size of the round-off in an error, if known. Points under it are left out
                and said so; those above it widen the interval by what round-off could do to them.

    Raises ValueError for steps that are not positive and refining, or a length mismatch.
    """
    with mp.workdps(max(mp.dps, 30)):
        h = _steps(steps_or_h)
        e = [_mpf(error) for error in errors]
        if len(e) != len(h):
            raise ValueError(f"{len(h)} steps but {len(e)} errors: one error per step is needed")
        limit = mpf(0) if floor is None else _mpf(floor)
        if not (isfinite(limit) and limit >= 0):
            raise ValueError(f"the round-off floor is a finite size >= 0, not {floor}")
        return _judge(_table(h, e, limit), limit)


def _judge(rows: tuple[Row, ...], floor: mpf) -> ObservedOrder:
    tail = _usable_tail(rows)
    remarks = "; ".join(
        f"{number} {what}"
        for what in ("under the floor, left out", "not finite, left out", "sign change")
        if (number := sum(row.note == what for row in rows))
    )
    if not isfinite(rows[-1].error):
        return ObservedOrder(rows, "diverges", "the error at the finest step is not finite")
    running = [row.running for row in tail[1:] if row.running is not None]
    if len(running) >= 2 and _grows_without_bound(running):
        return ObservedOrder(rows, "diverges", "the error grows faster and faster")
    if len(tail) < 3:
        why = f"{len(tail)} usable points of one sign at the fine end, 3 are needed"
        return ObservedOrder(rows, "inconclusive", "; ".join(filter(None, [why, remarks])))
    order, width = _extrapolate(tail, floor)
    if width > SETTLED:
        why = f"running orders not settling: {order:.2f} +- {width:.2g}"
        return ObservedOrder(rows, "inconclusive", "; ".join(filter(None, [why, remarks])))
    verdict: Verdict = "diverges" if order + max(width, MARGIN) < 0 else "order"
    return ObservedOrder(rows, verdict, remarks, order, order - width, order + width)


def _grows_without_bound(running: list[float]) -> bool:
    """Running orders that are negative and becoming more so: an instability, no power of h."""
    return running[-1] < -MARGIN and running[-1] < running[-2] - SETTLED


def _extrapolate(tail: list[Row], floor: mpf) -> tuple[float, float]:
    """The extrapolant of the order with the narrowest interval, and the interval's half-width.

    The half-width is SAFETY times the distance to the farthest of the three neighbours in the
    extrapolation table: one term fewer, one point earlier, both. (The nearest neighbour alone can
    agree by chance, and then the interval would miss the order.)
    """
    table = []
    for terms in range(min(len(tail) - 2, MOST_TERMS) + 1):
        value, noise = _extrapolant(tail, terms, floor)
        earlier = _extrapolant(tail[:-1], terms, floor)[0] if terms + 3 <= len(tail) else None
        table.append((value, noise, earlier))
    candidates = []
    for (fewer, _, both), (value, noise, earlier) in pairwise(table):
        neighbours = [v for v in (fewer, both, earlier) if v is not None]
        candidates.append((noise + SAFETY * max(abs(value - v) for v in neighbours), value))
    width, order = min(candidates)
    return float(order), float(width)


def _extrapolant(tail: list[Row], terms: int, floor: mpf) -> tuple[mpf, mpf]:
    """p from the finest terms + 2 points, and how far round-off can move it."""
    points = tail[-(terms + 2) :]
    # Steps in units of the finest one: the system is then well scaled, and p is unchanged.
    unit = points[-1].h
    x = [r.h / unit for r in points]
    system = [[mpf(1) for _ in x], [log(v) for v in x]]
    system += [[v**k for v in x] for k in range(1, terms + 1)]
    weights = _second_solution(system)
    value = sum(w * log(abs(r.error)) for w, r in zip(weights, points, strict=True))
    noise = sum(
        abs(w) * (floor / abs(r.error) + ROUNDING) for w, r in zip(weights, points, strict=True)
    )
    return value, noise


def _second_solution(system: list[list[mpf]]) -> list[mpf]:
    """w with system w = (0, 1, 0, ...): elimination in lists, faster than mpmath's matrices."""
    rows = [[*row, mpf(i == 1)] for i, row in enumerate(system)]
    for k in range(len(rows)):
        pivot = max(range(k, len(rows)), key=lambda i: abs(rows[i][k]))
        rows[k], rows[pivot] = rows[pivot], rows[k]
        for row in rows[k + 1 :]:
            factor = row[k] / rows[k][k]
            row[k:] = [a - factor * b for a, b in zip(row[k:], rows[k][k:], strict=True)]
    found: list[mpf] = []
    for k, row in reversed(list(enumerate(rows))):
        known = sum((a * w for a, w in zip(row[k + 1 : -1], found, strict=True)), mpf(0))
        found.insert(0, (row[-1] - known) / row[k])
    return found


def _table(h: list[mpf], e: list[mpf], floor: mpf) -> tuple[Row, ...]:
    rows: list[Row] = []
    above: Row | None = None
    for step, error in zip(h, e, strict=True):
        running, note = None, ""
        if not isfinite(error):
            note = "not finite, left out"
        elif abs(error) <= floor:
            note = "under the floor, left out"
        elif above is not None and above.error * error < 0:
            note = "sign change"
        elif above is not None:
            running = float(log(above.error / error) / log(above.h / step))
        row = Row(step, error, running, note)
        rows.append(row)
        if not note.endswith("left out"):
            above = row
    return tuple(rows)


def _usable_tail(rows: tuple[Row, ...]) -> list[Row]:
    """The finest points with errors of one sign, those left out left out."""
    usable = [row for row in rows if not row.note.endswith("left out")]
    start = max((i for i, row in enumerate(usable) if row.note == "sign change"), default=0)
    return usable[start:]


def _steps(values: Sequence[Any]) -> list[mpf]:
    if not len(values):
        raise ValueError("an order needs steps and errors; none were given")
    numbers = [_mpf(value) for value in values]
    if not all(isfinite(n) and n > 0 for n in numbers):
        raise ValueError(f"steps are finite and positive, not {_listed(numbers)}")
    counts = all(isinstance(value, Rational) and value.denominator == 1 for value in values)
    h = [1 / n for n in numbers] if counts else numbers
    if not all(coarse > fine for coarse, fine in pairwise(h)):
        raise ValueError(
            f"steps refine strictly (counts increase, h decreases), not {_listed(numbers)}"
        )
    return h


def _mpf(value: Any) -> mpf:
    if isinstance(value, Rational):
        return mpf(int(value.numerator)) / int(value.denominator)
    return value if isinstance(value, mpf) else mpf(float(value))


def _listed(numbers: list[mpf]) -> str:
    return ", ".join(nstr(n, 6) for n in numbers)


def _shown(running: float | None) -> str:
    return "undefined" if running is None else f"{running:.4f}"
