"""The constant of the error, beside its power: C of C h^p on a Gaussian target, against the word's.

The claimed word runs through the same exact moments, which agree with its closed form (tests).
"""

from __future__ import annotations

import numpy as np

from analytic_models.probing.checks import Check
from analytic_models.probing.orders import FLOOR, Observed

LEADING = "its leading error is that of the claimed word"
CLOSE = 0.05
"""How far the ratio of the constants may be from 1: other coefficients show by more."""
NONE = 1e-9
"""Parts of the word's error that are round-off: none is left."""


def leading(seen: Observed, claimed: Observed) -> Check:
    """Both errors at the finest counts, in the component in which the claimed word errs most."""
    common = [n for n in seen.counts if n in claimed.counts]
    ours = seen.errors[[seen.counts.index(n) for n in common]]
    theirs = claimed.errors[[claimed.counts.index(n) for n in common]]
    clear = [
        k for k in range(len(common)) if np.max(np.abs(theirs[k])) > 1e4 * FLOOR and common[k] > 8
    ]
    if len(clear) < 2:
        return Check(LEADING, "inconclusive", "errors above round-off", "none in both", "")
    early, late = clear[-2:]
    worst = int(np.argmax(np.abs(theirs[late])))
    first, last = (float(ours[k, worst] / theirs[k, worst]) for k in (early, late))
    # what is left falls with the step: one extrapolation
    ratio = last + (last - first) * common[early] / (common[late] - common[early])
    name = claimed.names[worst] if claimed.names else "its worst component"
    if abs(ratio - 1) <= CLOSE:
        return Check(LEADING, "pass", seen=f"{ratio:.3f} times it, in the {name}")
    return Check(
        LEADING,
        "fail",
        "errors 1 times the claimed word's as steps are refined",
        f"{ratio if abs(ratio) > NONE else 0:.3g} times, in the {name}",
        f"runs of {common[early]} and {common[late]} steps on a Gaussian target",
    )
