"""Largest stable steps as a table: a row per scheme and time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from analytic_models.conjugate_stability import criterion
from analytic_models.diffusions import Diffusion
from analytic_models.stability import largest_stable_step
from analytic_models.table import Table
from splitting_analysis.schemes import Scheme
from splitting_analysis.settings import shown

COLUMNS = ("scheme", "tau", "largest_step", "mode", "variance")


def limits(
    schemes: Sequence[Scheme], diffusion: Diffusion, variances: Any, times: Sequence[float]
) -> Table:
    """A row per scheme and time: the shortest of the largest stable steps over the variances, and
    its mode.

    Of a word of one conjugate step also what |1 + h lambda~| <= 1 would say, the paper's criterion;
    None for others. Raises ValueError for a time outside [0, T], and as `largest_stable_step`.
    """
    values, rows = np.atleast_1d(np.asarray(variances, dtype=np.float64)), []
    for scheme in schemes:
        for tau in times:
            if not 0 <= tau <= diffusion.T:
                raise ValueError(f"tau = {tau}: forward time lies in [0, T = {diffusion.T:g}]")
            steps = largest_stable_step(scheme, diffusion, values, tau)
            said = criterion(scheme, diffusion, values, tau)
            mode = 0 if np.isnan(steps).all() else int(np.nanargmin(steps))
            rows.append(
                {
                    "scheme": scheme.name,
                    "word": str(scheme.word),
                    "model": scheme.model_name,
                    "dynamics": scheme.dynamics,
                    "tau": tau,
                    "largest_step": float(steps[mode]),
                    "mode": mode,
                    "variance": float(values[mode]),
                    "criterion": None if said is None else float(said.min()),
                }
            )
    columns: tuple[str, ...] = COLUMNS
    if any(row["criterion"] is not None for row in rows):
        columns = (*COLUMNS, "criterion")
    note = f"shortest over {values.size} mode{'s' * (values.size > 1)}, coefficients frozen at tau"
    told = tuple(shown([scheme for scheme in schemes for _ in times]))
    return Table(tuple(rows), columns, note, ("tau", "largest_step"), told)
