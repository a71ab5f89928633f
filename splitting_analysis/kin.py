"""Which samplers of one model do what a sampler of another does: its nearest kin, a row for each
kind. Standard library only.
"""

from __future__ import annotations

from collections.abc import Collection

from splitting_analysis.families import FIXED_TARGETS, POSITION_ONLY

ROWS: tuple[tuple[str, str, str, str], ...] = (
    ("PDDIM EI LDDIM-I LDDIM-II", "DDIM DPM++1", "", "PDDIM with factor=flow is gDDIM"),
    ("P2M ExpAdams2", "DPM++2M UniPC2 UniPC2-bh1 DEIS2 rho-DEIS2", "", ""),
    ("P3M ExpAdams3", "DPM++3M UniPC3 UniPC3-bh1 DEIS3 rho-DEIS3", "", ""),
    ("Exp-Midpoint P2M", "DPM-Solver-2 DPM++2S res2s Midpoint", "", ""),
    ("P3M Exp-Midpoint RK4", "DPM-Solver-3 DPM++3S", "", ""),
    ("PDDIM P2M", "DPM++1-SDE Euler-a DDPM DPM++2M-SDE", "", "with --eta 1"),
    ("P2M", "SA2 DPM++2S-SDE DPM++2M-SDE", "", "with --eta 1"),
    ("Euler RSE", "Euler", "SE", ""),
    ("Heun", "Heun EDM DPM-Solver-2", "VV", ""),
    ("RK4 RK45", "RK4 DPM-Solver-3 UniPC3", "VV", ""),
    ("EM", "EM DDPM Euler-a DPM++1-SDE", "EM EI", ""),
    ("SSCS", "EI DPM++1-SDE DDPM", "EI GJF", ""),
    ("SSCS ROBAB", "SSCS SSCS2", "BAOAB OBABO UBU BAOAB-RESPA2", ""),
    ("RVV CVV", "Strang Strang-Euler", "VV", ""),
    ("RSE NSE CSE NCSE", "Euler", "SE", ""),
    ("RVV NVV CVV NCVV", "Strang DPM-Solver-2", "VV RESPA2 RESPA4", ""),
    ("ROBA RBAO NOBA NBAO COBA NCOBA", "SSCS", "BAOA BAOAB GJF BAOAB-RESPA2", ""),
    (
        "ROBAB NOBAB",
        "SSCS2 SSCS",
        "BAOAB OBABO ABOBA UBU BUB SPV BBK BAOAB-RESPA2 BAOAB-RESPA4 OBABO-RESPA2",
        "",
    ),
)
"""Names of psld, of models of positions alone, and of fixed targets, the nearest first; and what is
to be said of psld's."""
MOST = 4


def kin(name: str, home: str, known: Collection[str], column: int) -> str:
    """What does in another model as `name` does at home: names among `known`, of that column of the
    rows; "" where nothing does.

    `home` is the column of the name, as `column_of` says.
    """
    for row in ROWS:
        if name in row[column_of(home)].split():
            near = [other for other in row[column].split() if other in known]
            note = f" ({row[3]})" if row[3] and column == 0 else ""
            if near:
                return " or ".join(near[:MOST]) + note
    return ""


def column_of(model: str) -> int:
    """In which column of the rows a model's samplers are."""
    if model in FIXED_TARGETS:
        return 2
    return int(model in POSITION_ONLY)
