"""Samplers of PSLD and CLD that hold the data, one line each (theory section 10)."""

from __future__ import annotations

from splitting_analysis.schemes import Scheme, Source, scheme

GDDIM = "after Zhang, Tao & Chen, ICLR 2023 (gDDIM), arXiv 2206.05564, with the data held"
_ROWS: tuple[tuple[str, str, int, str], ...] = (
    ("PDDIM", "S E:data", 1, "DDIM of a pair: one evaluation"),
    ("P2M", "S E:data[2:dpm]", 2, "DPM-Solver++(2M) of a pair: two evaluations"),
    ("P3M", "S E:data[3]", 3, "the polynomial's exact integral: three evaluations"),
)
DATA_CATALOGUE: tuple[Scheme, ...] = tuple(
    scheme(word, "psld", "ode", name, source=Source(GDDIM, place), order=order, nfe=1)
    for name, word, order, place in _ROWS
)
"""`order` is claimed for a fixed ratio of successive steps in lambda, once the run has enough
evaluations behind it; they start with order 1, 2."""
