"""Page: observed orders, step by step, beside the orders derived from the words."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import mpmath

from analytic_models.convergence import global_orders, slowest
from analytic_models.targets import Gaussian
from reports.pages.catalogue import ELSEWHERE, TITLES, WHAT, named
from reports.pages.settings import Settings
from reports.render.document import (
    Block,
    Cell,
    Column,
    Figure,
    Heading,
    Line,
    Page,
    Panel,
    Table,
    text,
)
from reports.render.spelling import count, link, listed, share
from splitting_analysis.catalogue import CATALOGUE, entries
from splitting_analysis.families import FAMILIES
from splitting_analysis.observed import ObservedOrder
from splitting_analysis.schemes import Scheme
from splitting_analysis.weak import at_lambda_one, order_of

VARIANCE, MEAN, CUT = "0.5", "0.5", "0.2"
WITHIN = 0.01
DIGITS = 40
"""Decimal digits for orders above two, whose errors reach float64's round-off within the table."""
COARSER = 4
"""High order needs so many times fewer steps."""


@cache
def observed(scheme: Scheme, steps: tuple[int, ...]) -> tuple[str, ObservedOrder, tuple[int, ...]]:
    """The entry (mean or covariance) that converges slowest, what it shows, and the steps used."""
    precise = order_of(scheme) > 2
    number: Any = mpmath.mpf if precise else float
    family = FAMILIES[scheme.model_name]
    cut = number(CUT) if scheme.model.time_dependent else number(0)
    if precise:
        steps = tuple(n // COARSER for n in steps[:5])
    with mpmath.workdps(DIGITS):
        process = family.process(*map(number, family.observed))
        variance = number(VARIANCE)
        # In float64 a list of one mode: the steps' maps are then computed many at once.
        target = Gaussian(variance if precise else [variance], number(MEAN))
        orders = global_orders(at_lambda_one(scheme), process, target, steps, cut)
    worst = slowest(orders)
    return next(key for key, result in orders.items() if result is worst), worst, steps


def build(settings: Settings) -> Page:
    body: list[Block] = [
        text(
            f"One Gaussian mode, variance {VARIANCE}, mean {MEAN}, with a rate β that varies in "
            f"time; the scheme runs to T − {CUT} and its mean and covariance there are compared "
            "with those of the exact flow, signed and without sampling. Shown is the entry that "
            "converges most slowly: “x” is a mean, “x m” a covariance. The running order is that "
            "between two neighbouring steps; the observed order extrapolates it to h → 0, with "
            "an interval. Where running orders do not settle the verdict is *inconclusive*, not "
            "a number. Orders up to two are observed in float64 with its round-off floor, higher "
            f"ones with {DIGITS} digits."
        ),
        text(
            f"These are {len(CATALOGUE)} of the {named()} named samplers; most others hold a "
            f"prediction or are conjugate: {ELSEWHERE}."
        ),
    ]
    for (model, dynamics), title in TITLES.items():
        name = f"{model}-{dynamics}"
        body += [
            Heading(title, name),
            _summary(settings, model, dynamics, title),
            _long_table(settings, model, dynamics, title),
        ]
    body += [Heading("Errors against step", "figure"), _figure(settings)]
    return Page("orders", "Observed orders", _lead(settings), tuple(body))


def _lead(settings: Settings) -> str:
    results = {s: observed(s, settings.order_steps)[1] for s in CATALOGUE}
    confirmed = [s for s, r in results.items() if r.confirms(order_of(s), WITHIN)]
    rest = [s for s in CATALOGUE if s not in confirmed]
    wrong = [
        s
        for s in rest
        if results[s].verdict == "order" and not _consistent(results[s], order_of(s))
    ]
    confirmed_part = (
        f"For {share(len(confirmed), len(CATALOGUE))} of the catalogue’s {WHAT} the whole interval "
        f"of the observed order lies within {WITHIN} of the order derived from the word"
    )
    parts = [confirmed_part]
    if rest and not wrong:
        names = listed([f"{s.name} ({s.model_name})" for s in rest])
        parts.append(
            f". For the other {count(len(rest))}, {names}, the table is too coarse to say so "
            "sharply, and none contradicts it"
        )
    if wrong:
        parts.append(f". Against it stand {listed([s.name for s in wrong])}")
    return "".join(parts) + "."


def _consistent(result: ObservedOrder, order: int) -> bool:
    return result.low is not None and result.high is not None and result.low <= order <= result.high


def _entry(key: str) -> str:
    return " ".join(key)


def _summary(settings: Settings, model: str, dynamics: str, title: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for s in entries(model, dynamics):
        key, result, steps = observed(s, settings.order_steps)
        running = [row.running for row in result.rows][-2:]
        rows.append(
            (
                link(s),
                _entry(key),
                steps[-1],
                *running,
                result.order,
                result.low,
                result.high,
                order_of(s),
                "yes" if result.confirms(order_of(s), WITHIN) else _verdict(result, order_of(s)),
            )
        )
    return Table(
        f"orders-{model}-{dynamics}",
        f"**{title}.** Running orders of the last two refinements, observed order with its "
        "interval, and the derived order.",
        (
            Column("scheme", "scheme"),
            Column("entry", "slowest entry"),
            Column("steps", "steps", "at the finest", "d"),
            Column("before", "running", "last but one", "3f"),
            Column("last", "running", "last", "3f"),
            Column("observed", "observed", "h → 0", "4f"),
            Column("low", "interval", "low", "3f"),
            Column("high", "interval", "high", "3f"),
            Column("derived", "derived", "from the word", "d"),
            Column("confirmed", "confirmed", f"to {WITHIN}"),
        ),
        tuple(rows),
        "exact moments against the exact flow",
    )


def _verdict(result: ObservedOrder, order: int) -> str:
    if result.verdict != "order":
        return result.verdict
    return "consistent" if _consistent(result, order) else "no"


def _long_table(settings: Settings, model: str, dynamics: str, title: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for s in entries(model, dynamics):
        key, result, steps = observed(s, settings.order_steps)
        for n, row in zip(steps, result.rows, strict=True):
            rows.append(
                (s.name, _entry(key), n, float(row.h), float(row.error), row.running, row.note)
            )
    return Table(
        f"steps-{model}-{dynamics}",
        f"**Step by step: {title}**. Signed error of the entry, scheme minus exact; h is one over "
        "the number of steps.",
        (
            Column("scheme", "scheme"),
            Column("entry", "entry"),
            Column("steps", "steps", "", "d"),
            Column("h", "h", "", "4g"),
            Column("error", "error", "signed", "4g"),
            Column("running", "running order", "", "4f"),
            Column("note", "note"),
        ),
        tuple(rows),
        "exact moments against the exact flow",
        folded=True,
    )


def _figure(settings: Settings) -> Figure:
    panels = []
    for key in (("psld", "ode"), ("psld", "sde")):
        lines = []
        for s in entries(*key):
            rows = observed(s, settings.order_steps)[1].rows
            errors = tuple(abs(float(r.error)) or math.nan for r in rows)
            lines.append(Line(s.name, tuple(float(r.h) for r in rows), errors))
        panels.append(
            Panel(
                TITLES[key],
                tuple(lines),
                "h, one over the number of steps",
                "absolute error, slowest entry",
            )
        )
    steepest = max(entries("psld"), key=order_of)
    return Figure(
        "orders-psld",
        "**Error against step.** The slowest entry of each sampler; an order p is a slope p. The "
        f"steepest is {steepest.name}, of order {order_of(steepest)}.",
        tuple(panels),
        "the tables above",
    )
