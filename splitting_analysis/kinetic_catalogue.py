"""Samplers of kinetic Langevin dynamics whose friction is the implicit midpoint rule, and others of
five decades that the pages of stored results leave out, one line each (theory section 11).
"""

from __future__ import annotations

from splitting_analysis.schemes import Scheme, Source, scheme

_BETWEEN = (
    "Its momentum is the one between positions. The printed one, at the positions, lies in the "
    "middle of O:mid, whose normal it takes in two halves, of this step and the next."
)
_ROWS: tuple[tuple[str, str, int, Source], ...] = (
    (
        "GJF",
        "B/2 A/2 O:mid A/2 S B/2",
        2,
        Source(
            "Gronbech-Jensen & Farago, Mol. Phys. 111, 983 (2013)",
            "GJ-I, its velocity at the positions",
        ),
    ),
    (
        "SPV",
        "A/2 S B/2 O:mid B/2 A/2",
        2,
        Source("Mannella, Phys. Rev. E 69, 041107 (2004)", "quasi-symplectic leapfrog"),
    ),
    (
        "BBK",
        "S B/2 O:mid B/2 A",
        1,
        Source(
            "Brunger, Brooks & Karplus, Chem. Phys. Lett. 105, 495 (1984)",
            "as leapfrog",
            _BETWEEN,
        ),
    ),
)
_TUCKERMAN = "Tuckerman, Berne & Martyna, J. Chem. Phys. 97, 1990 (1992)"
_LAGARDERE = "Lagardere, Aviat & Piquemal, J. Phys. Chem. Lett. 10, 2593 (2019)"
_TWO_FORCES: tuple[tuple[str, str, str], ...] = (
    ("RESPA2", "B/2 (C/4 A/2 S C/4)*2 B/2", _TUCKERMAN),
    ("RESPA4", "B/2 (C/8 A/4 S C/8)*4 B/2", _TUCKERMAN),
    ("BAOAB-RESPA2", "B/2 (C/4 A/4 O/2 A/4 S C/4)*2 B/2", _LAGARDERE),
    ("BAOAB-RESPA4", "B/2 (C/8 A/8 O/4 A/8 S C/8)*4 B/2", _LAGARDERE),
    ("OBABO-RESPA2", "O/2 B/2 (C/4 A/2 S C/4)*2 B/2 O/2", "after " + _TUCKERMAN),
)
"""Of respa: B is the kick of the slow force, once a step, C that of the fast one."""
KINETIC_CATALOGUE: tuple[Scheme, ...] = (
    *(
        scheme(word, "langevin", "sde", name, source=source, order=order, nfe=1)
        for name, word, order, source in _ROWS
    ),
    *(
        scheme(word, "respa", None, name, source=Source(cite, "r-RESPA"), order=2)
        for name, word, cite in _TWO_FORCES
    ),
)
