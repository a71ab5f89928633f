"""Further samplers of PSLD's probability flow, one line each: Runge-Kutta methods, and exponential
ones that hold eps through several evaluations (theory section 10).
"""

from __future__ import annotations

from splitting_analysis.clocks import Clock
from splitting_analysis.schemes import Scheme, Source, scheme

EDM = "Karras et al., NeurIPS 2022 (EDM), arXiv 2206.00364"
TEXTBOOK = "Hairer, Norsett & Wanner, Solving Ordinary Differential Equations I (1993)"
DEIS = "after Zhang & Chen, ICLR 2023 (DEIS), arXiv 2204.13902, of a pair"
DPM = "after Lu et al., NeurIPS 2022 (DPM-Solver), arXiv 2206.00927, of a pair"
RK4 = "S E[1/2] S@1/2 E[0,1/2] S@1/2 E[0,0,1] S@1 E[1/6,1/3,1/3,1/6]"
_ROWS: tuple[tuple[str, str, int, int, str, str], ...] = (
    ("Heun", "S E[1] S@1 E[1/2,1/2]", 2, 2, EDM, "algorithm 1"),
    ("RK4", RK4, 4, 4, TEXTBOOK, "II.1"),
    ("ExpAdams2", "S E:eps[2]", 2, 1, DEIS, "tAB1: EI through two evaluations"),
    ("ExpAdams3", "S E:eps[3]", 3, 1, DEIS, "tAB2: EI through three evaluations"),
    ("Exp-Midpoint", "S E:eps/2 S@1/2 E:eps[1]", 2, 2, DPM, "algorithm 1, in forward time"),
)
_CLOCK: Clock = "tau"
EXPONENTIAL_CATALOGUE: tuple[Scheme, ...] = tuple(
    scheme(
        word, "psld", "ode", name, source=Source(cite, place), order=order, nfe=nfe, clock=_CLOCK
    )
    for name, word, order, nfe, cite, place in _ROWS
)
"""`order` of those that hold eps is claimed for a fixed ratio of successive steps, once the run has
enough evaluations behind it; it is that for any factor."""
