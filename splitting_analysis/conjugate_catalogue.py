"""Conjugate integrators of PSLD, one line each; lambda is 0 unless `Scheme.conjugate` says
another.
"""

from __future__ import annotations

from splitting_analysis.models import Dynamics
from splitting_analysis.schemes import Scheme, Source, scheme

CONJUGATE = "Pandey, Rudolph & Mandt, ICLR 2024, arXiv 2310.07894"
_NAIVE = "with a score anew before every piece, as the naive splittings have"
_ROWS: tuple[tuple[str, str, Dynamics, int, int, str], ...] = (
    ("EI", "S E:eps", "ode", 1, 1, "exponential integrator, B = 0"),
    ("LDDIM-I", "S E:eye", "ode", 1, 1, "lambda-DDIM-I, B = lambda I"),
    ("LDDIM-II", "S E:ones", "ode", 1, 1, "lambda-DDIM-II, B = lambda times all ones"),
    ("CSE", "S B:eye A:eye", "ode", 1, 1, "conjugate symplectic Euler, reduced"),
    ("CVV", "S B:eye/2 A:eye S@1 B:eye/2", "ode", 1, 2, "conjugate velocity Verlet, reduced"),
    ("COBA", "O S B:eye A:eye", "sde", 1, 1, "conjugate OBA, reduced"),
    ("NCSE", "S B:eye S A:eye", "ode", 1, 2, f"conjugate symplectic Euler {_NAIVE}"),
    ("NCVV", "S B:eye/2 S A:eye S B:eye/2", "ode", 1, 3, f"conjugate velocity Verlet {_NAIVE}"),
    ("NCOBA", "O S B:eye S A:eye", "sde", 1, 2, f"conjugate OBA {_NAIVE}"),
)
CONJUGATE_CATALOGUE: tuple[Scheme, ...] = tuple(
    scheme(word, "psld", dynamics, name, source=Source(CONJUGATE, place), order=order, nfe=nfe)
    for name, word, dynamics, order, nfe, place in _ROWS
)
