"""Mean and covariance of any word on a Gaussian target, pushed exactly: no Monte Carlo, no
asymptotics.

The score is affine there, so every op is an affine map plus Gaussian noise. A step is run once on
*forms*, sparse linear combinations of its inputs (state, carried score, the constant 1, fresh
noise), which gives its matrices; the moments follow. Entries are scalars or arrays over modes, of
NumPy floats, mpmath numbers or SymPy expressions alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from analytic_models.clocked import time_at
from analytic_models.diffusions import Diffusion
from analytic_models.grids import check_times
from analytic_models.pushing import push, pushed, rooted, with_roots
from analytic_models.rules import (
    Lambda,
    conjugate_tables,
    part_of,
    refuse_long,
)
from analytic_models.steps import (
    Affine,
    Form,
    add_scaled,
    components_held,
    drift_form,
    evaluated,
    held_forms,
    one_step,
    predicted_forms,
    without_skip,
)
from analytic_models.targets import Block, Gaussian, Pair, marginal, score
from splitting_analysis.predictions import Prediction
from splitting_analysis.program import Evaluate
from splitting_analysis.schemes import Denoise, Scheme, check_ending

CACHED = 3 * 2**13
"""About the numbers in an array over steps and modes: a step's arrays stay in the processor's
cache.
"""


@dataclass(frozen=True)
class Moments:
    """Law of a sampler's output: mean[i], covariance[i][j] with entries (d,); evaluations
    counted.
    """

    mean: Pair
    covariance: Block
    nfe: int
    steps: int


def run(
    scheme: Scheme,
    diffusion: Diffusion,
    target: Gaussian,
    times: Sequence[Any],
    start: str | tuple[Pair, Block] = "prior",
    denoise: Denoise = True,
    lambda_s: Lambda = None,
) -> Moments:
    """Push mean and covariance through all steps of the grid `times` (n + 1 reverse times).

    `start` is "prior" (stationary law), "pT" (the exact law at the first time), or a mean and
    covariance. With `denoise`, one noiseless Euler step of the scheme's drift follows over what is
    left up to T, at one more evaluation (nothing is left, and nothing done, where the grid ends at
    T); with "data" the position is replaced by the data predicted there. Raises ValueError where
    the grid is bad, a score does not exist, or a step is too long.
    """
    if scheme.model_name != diffusion.model_name:
        raise ValueError(
            f"{scheme.name} is a {scheme.model_name} scheme, not one for {diffusion.model_name}"
        )
    check_times(times, diffusion.T)
    check_ending(denoise, scheme.model)
    refuse_denoising(scheme, denoise is True and times[-1] < diffusion.T)
    counted = 0

    def score_at(tau: Any) -> Affine:
        nonlocal counted
        counted += np.size(tau)
        return score(diffusion, target, tau)

    mean, covariance = starting_law(diffusion, target, start, times[0])
    mean, covariance = (
        tuple(map(_plain, mean)),
        tuple(tuple(map(_plain, row)) for row in covariance),
    )
    size = len(mean)
    keys: list[Any] = [("z", i) for i in range(size)]
    holds, history = bool(scheme.program.holds), scheme.program.history
    kept: list[Any] = []
    forms: tuple[Form, ...] = tuple({key: 1} for key in keys)
    own = list(keys)
    if scheme.carries_score:
        kept = [diffusion.T - times[0]] if holds else []
        held = [("p", 0, c) for c in range(components_held(scheme))]
        keys += held if holds else [("s", i) for i in range(size)]
        forms = _with_score(scheme, diffusion, size, score_at, diffusion.T - times[0])
    roots: Block = ()
    if history and isinstance(target.variances, np.ndarray):
        roots = rooted(forms, own, covariance)
        covariance = tuple(tuple(0.0 for _ in row) for row in covariance)
    mean, covariance = push(forms, (), own, mean, covariance)
    tables, done = conjugate_tables(scheme, diffusion, target, times), 0
    # a scheme beyond its stability ends at inf or nan
    with np.errstate(over="ignore", invalid="ignore"):
        for t, h in _stretches(times, target, history, history if scheme.lower_final else 0):
            refuse_long(scheme, diffusion, t, h)
            earlier = kept if np.size(t) == 1 else _earlier(scheme, diffusion, kept, t, h)
            ready = {index: part_of(table, done, np.size(t)) for index, table in tables.items()}
            done += np.size(t)
            usable = scheme.usable(len(times) - done)
            step = one_step(
                scheme, diffusion, t, h, score_at, lambda_s, earlier, ready, usable, len(times) - 1
            )
            forms = step.forms + (step.score if scheme.carries_score and not holds else ())
            forms += tuple(form for _, held in step.kept for form in held)
            if isinstance(t, np.ndarray):
                mean, covariance, roots = pushed(
                    forms, step.noise, keys, mean, covariance, len(t), roots
                )
            else:
                mean, covariance = push(forms, step.noise, keys, mean, covariance)
            kept = [_last(tau) for tau, _ in step.kept]
            if holds:
                parts = range(components_held(scheme))
                keys = [("z", i) for i in range(size)]
                keys += [("p", j, c) for j in range(len(kept)) for c in parts]
        mean, covariance = mean[:size], tuple(row[:size] for row in covariance[:size])
        covariance = with_roots(covariance, roots[:size]) if roots else covariance
        left = diffusion.T - times[-1]
        if denoise and left > 0 and scheme.model.time_dependent:
            forms = _denoising_step(scheme, diffusion, times[-1], left, score_at, denoise)
            mean, covariance = push(forms, (), keys[:size], mean, covariance)
    if isinstance(target.variances, np.ndarray):
        shape = target.variances.shape
        mean = tuple(np.broadcast_to(value, shape) for value in mean)
        covariance = tuple(
            tuple(np.broadcast_to(value, shape) for value in row) for row in covariance
        )
    return Moments(mean, covariance, counted, len(times) - 1)


def refuse_denoising(scheme: Scheme, denoise: bool) -> None:
    """Raise ValueError where an Euler step of a drift is wanted that the model has no letter
    for.
    """
    if denoise and "E" not in scheme.model.pieces:
        raise ValueError(
            f"{scheme.model_name} has no Euler letter, and no denoising step: --no-denoise, or "
            "--denoise data"
        )


def _stretches(
    times: Sequence[Any], target: Gaussian, first: int, last: int
) -> Iterator[tuple[Any, Any]]:
    """Starts t and sizes h of the steps: many at once, shape (n, 1), for arrays of modes; else one
    by one.

    The first steps come alone, as they have fewer evaluations behind them than the others, and the
    last do where they use fewer.
    """
    if not isinstance(target.variances, np.ndarray):
        yield from ((t, after - t) for t, after in pairwise(times))
        return
    t = np.asarray(times, dtype=np.float64)[:, np.newaxis]
    begins = min(first, len(t) - 1)
    ends = max(begins, len(t) - 1 - last)
    parts = max(1, round((ends - begins) * target.variances.size / CACHED))
    width = max(1, -(-(ends - begins) // parts))
    middle = [(i, min(i + width, ends)) for i in range(begins, ends, width)]
    alone = [(i, i + 1) for i in (*range(begins), *range(ends, len(t) - 1))]
    for a, b in sorted(alone + middle):
        yield t[a:b], np.diff(t[a : b + 1], axis=0)


def _earlier(
    scheme: Scheme, diffusion: Diffusion, kept: Sequence[Any], t: Any, h: Any
) -> list[Any]:
    """Forward times of the predictions that each step of a stretch keeps from those before, (n, 1)
    each.
    """
    times = [op.at for op in scheme.program.instructions if isinstance(op, Evaluate)]
    own = np.hstack([time_at(scheme, diffusion, t, h, at) for at in times]).ravel()
    row = np.concatenate([np.ravel(kept), own])
    starts = np.arange(len(t)) * len(times)
    return [row[starts + j][:, np.newaxis] for j in range(len(kept))]


def _last(tau: Any) -> Any:
    return tau[-1:] if isinstance(tau, np.ndarray) else tau


def _plain(value: Any) -> Any:
    """What `_at` does, for an entry of the law: an array over one mode as the number in it."""
    return value.item() if isinstance(value, np.ndarray) and value.size == 1 else value


def starting_law(
    diffusion: Diffusion, target: Gaussian, start: str | tuple[Pair, Block], t: Any = 0
) -> tuple[Pair, Block]:
    """Mean and covariance that a run from reverse time t begins with."""
    if isinstance(start, tuple):
        return start
    if start == "pT":
        return marginal(diffusion, target, diffusion.T - t)
    if start != "prior":
        raise ValueError(f"no start {start!r}; there are: prior, pT")
    n = range(len(diffusion.stationary))
    zero = 0 * target.variances
    block = tuple(tuple(zero + diffusion.stationary[i] if i == j else zero for j in n) for i in n)
    return tuple(0 for _ in n), block


def _with_score(
    scheme: Scheme,
    diffusion: Diffusion,
    size: int,
    score_at: Callable[[Any], Affine],
    tau: Any,
) -> tuple[Form, ...]:
    """The state and its score, or what a word holds of it."""
    state: list[Form] = [{("z", i): 1} for i in range(size)]
    held = without_skip(scheme, diffusion, tau, state, evaluated(score_at(tau), state))
    if scheme.program.holds:
        held = held_forms(scheme, diffusion, tau, state, held)
    return (*state, *held)


def _denoising_step(
    scheme: Scheme,
    diffusion: Diffusion,
    t: Any,
    left: Any,
    score_at: Callable[[Any], Affine],
    how: Denoise,
) -> tuple[Form, ...]:
    n = len(scheme.model.components)
    state: list[Form] = [{("z", i): 1} for i in range(n)]
    held = evaluated(score_at(diffusion.T - t), state)
    if how == "data":
        data = predicted_forms(Prediction.DATA, diffusion, diffusion.T - t, state, held)
        return (*data, *state[1:])
    drift = drift_form(
        scheme.equation.drift, diffusion, diffusion.T - t, state, held, scheme.model.onto
    )
    for i in range(n):
        add_scaled(state[i], left, drift[i])
    return tuple(state)
