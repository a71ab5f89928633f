"""Splittings of VE and of flow matching, one line each: as those of VP, L before and after K.

What they split into is said in models.py. Of VE's flow nothing is left to L, so that its splittings
are steps of K alone and none has a name; of its SDE L is the noise.
"""

from __future__ import annotations

from splitting_analysis.models import Dynamics
from splitting_analysis.schemes import Scheme, Source, scheme

STRANG = "Liu, Gu & Liu, arXiv 2601.17375 (2026)"
CLD = "Dockhorn, Vahdat & Kreis, ICLR 2022 (CLD), arXiv 2112.07068"
STRANG_WORD = "L/2 S@1/2 K[1/2] S@1/2 K[0,1] L/2"
SSCS2_WORD = "L/2 S K[1/2] S@1/2 K[0,1] L/2"
_MIDPOINT = "without a momentum, its kick by the midpoint rule"
_ROWS: tuple[tuple[str, str, Dynamics, int, int, str, str, tuple[str, ...]], ...] = (
    ("Strang-Euler", "L/2 S@1/2 K L/2", "ode", 1, 1, STRANG, "its kick by Euler", ("flow",)),
    ("Strang", STRANG_WORD, "ode", 2, 2, STRANG, "second-order sampler", ("flow",)),
    ("SSCS", "L/2 S K L/2", "sde", 1, 1, CLD, "without a momentum", ("ve", "flow")),
    ("SSCS2", SSCS2_WORD, "sde", 2, 2, CLD, _MIDPOINT, ("ve", "flow")),
)
SPLITTING_CATALOGUE: tuple[Scheme, ...] = tuple(
    scheme(word, model, dynamics, name, source=Source(cite, place), order=order, nfe=nfe)
    for name, word, dynamics, order, nfe, cite, place, models in _ROWS
    for model in models
)
