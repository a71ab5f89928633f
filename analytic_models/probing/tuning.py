"""Words with a number in them that the claim does not say: lambda_s of the letter O, eta of a held
prediction. It is read off from the noise, and then everything else must agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from scipy.optimize import brentq

from analytic_models.probing.reference import subject_for
from analytic_models.probing.running import Trouble
from analytic_models.probing.segments import same, segments
from analytic_models.probing.signature import Signature, probe
from splitting_analysis.catalogue import samplers
from splitting_analysis.models import model_of
from splitting_analysis.processes import Process
from splitting_analysis.schemes import Scheme

RANGES = {"lambda_s": (0.0, 20.0), "eta": (1e-3, 3.0)}
Tuned = Callable[[float], tuple[Scheme, Any]]
"""A value to the scheme and the lambda_s that it is run with."""


def tuned(seen: Signature, process: Process, times: Sequence[float], claimed: Scheme | None) -> str:
    """The claimed word, or one of the catalogue, with the number that makes it the one seen; ""
    where none does."""
    if not seen.draws:
        return ""
    known = samplers(process.model_name)
    for scheme in dict.fromkeys([*([claimed] if claimed else []), *known]):
        for name, at in _numbers(scheme):
            found = _solved(seen, process, times, at, *RANGES[name])
            if found is not None:
                return f"{scheme} with {name} = {found:.6g}"
    return ""


def _numbers(scheme: Scheme) -> Iterator[tuple[str, Tuned]]:
    if scheme.has_tunable_noise:
        yield "lambda_s", lambda value: (scheme, value)
    if scheme.program.holds and not scheme.holds_pair:
        model = model_of(scheme.model_name, "sde")

        def noisy(value: float) -> tuple[Scheme, Any]:
            return replace(scheme, model=model, eta=Fraction(value), order=None), None

        most = 1.0 if scheme.program.holds[0].held.ddim else RANGES["eta"][1]
        yield "eta", lambda value: noisy(min(value, most))


def _solved(
    seen: Signature,
    process: Process,
    times: Sequence[float],
    at: Tuned,
    low: float,
    high: float,
) -> float | None:
    """The value at which the noise of the first noisy segment is the one seen, if all agrees
    then."""
    ours = [float(s.covariance[0, 0]) if len(s.noise) else 0.0 for s in segments(seen)]
    place = next((k for k, amount in enumerate(ours) if amount > 0), None)
    if place is None:
        return None

    def other(value: float) -> Signature:
        scheme, lambda_s = at(value)
        return probe(subject_for(scheme, lambda_s=lambda_s), process, times)

    def gap(value: float) -> float:
        theirs = segments(other(value))
        return float(theirs[place].covariance[0, 0]) - ours[place] if place < len(theirs) else 1.0

    try:
        if gap(low) * gap(high) > 0:
            return None
        value = float(brentq(gap, low, high, xtol=1e-12))
        return value if same(seen, other(value)) else None
    except (Trouble, ValueError, ZeroDivisionError, OverflowError):
        return None
