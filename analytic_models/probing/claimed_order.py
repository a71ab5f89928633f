"""Whether code has the order that is claimed for it: on equal steps, and on steps that differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analytic_models.probing.checks import Check, Verdict
from analytic_models.probing.leading import leading
from analytic_models.probing.orders import (
    COUNTS,
    FLOOR_SINGLE,
    NEAR,
    UNEVEN_COUNTS,
    Grid,
    Observed,
    bent,
    evenly,
    gaussian_orders,
    mixture_orders,
    ramped,
    skewed_orders,
)
from analytic_models.probing.reference import subject_for
from analytic_models.probing.running import Trouble
from analytic_models.probing.subject import Subject
from analytic_models.probing.verdicts import lowest_of, number, ordered
from splitting_analysis.catalogue import samplers
from splitting_analysis.processes import Process
from splitting_analysis.schemes import Scheme

ABOVE = 10.0
"""So many times the round-off of float32, an error says something."""
UNEVEN = "its order is no lower on steps of different lengths"
BENDS = (0.75, -0.75)
"""Of the grids with uneven steps: pairs as 1 to 2, growing, or as 2 to 1, shrinking."""


@dataclass(frozen=True)
class Asked:
    """Code whose order is asked for, and what is known of it."""

    subject: Subject
    process: Process
    stochastic: bool
    affine: bool
    single: bool
    lambda_s: Any = None
    known: str = ""
    """The word of the catalogue that its coefficients are, if one is."""

    @property
    def grid(self) -> Grid:
        return self.subject.grid or evenly(self.process)

    def first(self) -> Observed:
        """On equal steps, or its own."""
        return self.on(self.grid)

    def on(self, grid: Grid, counts: Sequence[int] = COUNTS) -> Observed:
        """Of code that is not affine the Gaussian law is not known: a mixture's points judge it."""
        if self.affine:
            how = self.stochastic, self.single, counts
            return gaussian_orders(self.subject, self.process, grid, *how)
        return mixture_orders(self.subject, self.process, grid, self.single, counts)

    def judged(
        self, expected: int, first: Observed, scheme: Scheme | None
    ) -> tuple[list[Check], list[str]]:
        """The checks of the order, and notes on what they leave open."""
        seen = [first, self.beyond_linear(self.grid) if self.affine else None]
        lowest, start = lowest_of(seen), ""
        slow = lowest is None or lowest < expected - NEAR
        runs_freely = self.subject.kind == "sample" and self.subject.grid is None
        if self.affine and slow and expected > 1 and runs_freely:
            gentle = ramped(self.process)
            again = [self.on(gentle), self.beyond_linear(gentle)]
            other = lowest_of(again)
            if other is not None and abs(other - expected) <= NEAR:
                start = (
                    "; that is the formula's, in a run with short first steps: with steps of one "
                    f"length the start leaves {number(lowest)}"
                )
                seen, lowest = again, other
        checks, notes = [ordered(expected, seen, lowest, start)], list[str]()
        if lowest is None and self.single and self.affine:
            return [self.by_word(expected, first, checks[0])], notes
        if lowest is None or abs(lowest - expected) > NEAR:
            return checks, notes
        if self.subject.grid is None and not start:
            found = self.uneven(expected)
            notes += [found] if isinstance(found, str) else []
            checks += [found] if isinstance(found, Check) else []
        if scheme is not None and self.affine:
            reference = subject_for(scheme, lambda_s=self.lambda_s)
            own = gaussian_orders(reference, self.process, self.grid, self.stochastic)
            checks.append(leading(first, own))
        return checks, notes

    def by_word(self, expected: int, first: Observed, check: Check) -> Check:
        """Where float32 leaves too few errors to show an order: whether they are, step for step,
        those of the word that its coefficients are.
        """
        word = next((s for s in samplers(self.process.model_name) if str(s) == self.known), None)
        if word is not None and word.order is not None:
            own = gaussian_orders(subject_for(word), self.process, self.grid, self.stochastic)
            theirs = own.errors[: len(first.counts)]
            if own.counts[: len(first.counts)] == first.counts:
                off = float(np.max(np.abs(first.errors - theirs)))
                clear = np.max(np.abs(theirs), axis=1) > ABOVE * FLOOR_SINGLE
                if off < FLOOR_SINGLE and np.sum(clear) >= 2:
                    seen = f"its errors are those of {word}, of order {word.order}, to {off:.0e}"
                    same: Verdict = "pass" if word.order == expected else "fail"
                    return replace(check, verdict=same, seen=f"{seen}; below is round-off")
        seen = (
            "; float32 leaves too few errors above round-off: in float64, or with a word claimed, "
        )
        return replace(check, seen=f"{check.seen}{seen}it would be decided")

    def uneven(self, expected: int) -> Check | str:
        """The same on two grids whose steps grow and shrink: right if it holds on one, wrong
        if a lower one settles on one of them, and none as high.
        """
        found: list[float | None] = []
        for bend in BENDS:
            grid = bent(self.process, bend)
            try:
                found.append(self.on(grid, UNEVEN_COUNTS).order)
                if expected > 1 and self.subject.kind == "sample" and _low(found[-1], expected):
                    gentle = ramped(self.process, grid)  # is it the start that costs the order?
                    found[-1] = self.on(gentle, UNEVEN_COUNTS).order
            except Trouble as trouble:
                if trouble.late:
                    raise
                text = f"{trouble.seen} on steps of different lengths"
                return Check(UNEVEN, "fail", "a run over any grid", text, trouble.where)
            last = found[-1]
            if last is not None and last >= expected - NEAR:
                return Check(UNEVEN, "pass", seen=f"{last:.3f} on pairs as 1 to 2")
        known = [order for order in found if order is not None]
        # a lower order that settles on one grid is enough, whatever the other leaves open
        clear = [order for order in known if abs(order - round(order)) <= NEAR]
        if not clear:
            return "on steps of different lengths its order does not settle"
        return Check(
            UNEVEN,
            "fail",
            f"order {expected}, as on equal steps",
            " and ".join(number(order) for order in found)
            + " on pairs of steps as 1 to 2 and as 2 to 1: weights that hold for equal steps alone",
            "what combines evaluations of several steps, or a mean of two times",
        )

    def beyond_linear(self, grid: Grid) -> Observed | None:
        try:
            if not self.stochastic:
                found = mixture_orders(self.subject, self.process, grid, self.single)
                if found.order is not None:
                    return found
            return skewed_orders(self.subject, self.process, grid)
        except Trouble as trouble:
            if trouble.late:
                raise
            return None


def _low(order: float | None, expected: int) -> bool:
    return order is None or order < expected - NEAR
