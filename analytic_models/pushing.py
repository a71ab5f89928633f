"""The law of affine maps of a Gaussian: mean and covariance pushed through the forms of steps.

Arrays over modes go through small matrices (rows, columns, modes), one product a step for all
modes, which lie side by side in memory; entries that are no arrays (mpmath numbers, SymPy
expressions) go one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from analytic_models.rules import is_zero
from analytic_models.steps import CONSTANT, Form
from analytic_models.targets import Block, Pair


def push(
    forms: Sequence[Form],
    noise: Sequence[Block],
    keys: Sequence[Any],
    mean: Pair,
    covariance: Block,
) -> tuple[Pair, Block]:
    """Mean and covariance of the forms, whose inputs `keys` have the given law."""
    return one_by_one(forms, keys, mean, covariance, collected(forms, noise))


def collected(forms: Sequence[Form], noise: Sequence[Block]) -> list[list[Any]]:
    """Covariance of the noise in the forms; 0 where there is none."""
    block: list[list[Any]] = [[0] * len(forms) for _ in forms]
    for i, left in enumerate(forms):
        for j in range(i, len(forms)):
            terms = (
                term for b, q in enumerate(noise) for term in _noise_terms(left, forms[j], b, q)
            )
            block[i][j] = block[j][i] = _total(terms)
    return block


def _noise_terms(left: Form, right: Form, block: int, covariance: Block) -> Iterator[Any]:
    for a, row in enumerate(covariance):
        for b, q in enumerate(row):
            x, y = left.get(("n", block, a)), right.get(("n", block, b))
            if x is not None and y is not None and not is_zero(q):
                yield x * y * q


def one_by_one(
    forms: Sequence[Form],
    keys: Sequence[Any],
    mean: Pair,
    covariance: Block,
    noise: Sequence[Sequence[Any]],
) -> tuple[Pair, Block]:
    n = range(len(forms))
    rows = [[(j, form[key]) for j, key in enumerate(keys) if key in form] for form in forms]
    # none where the target is centred
    moving = [j for j in range(len(keys)) if not is_zero(mean[j])]
    new_mean = tuple(
        _total([form.get(CONSTANT, 0), *(entry * mean[j] for j, entry in row if j in moving)])
        for form, row in zip(forms, rows, strict=True)
    )
    half = [
        [_total(entry * column[j] for j, entry in row) for column in covariance] for row in rows
    ]
    block: list[list[Any]] = [[0] * len(forms) for _ in n]
    for i in n:
        for j in range(i, len(forms)):
            block[i][j] = _total([noise[i][j], *(entry * half[i][k] for k, entry in rows[j])])
            block[j][i] = block[i][j]
    return new_mean, tuple(tuple(row) for row in block)


def _total(terms: Iterable[Any]) -> Any:
    """Their sum, skipping exact zeros."""
    total: Any = None
    for term in terms:
        if isinstance(term, np.ndarray) or term != 0:
            total = term if total is None else total + term
    return 0 if total is None else total


def pushed(
    forms: Sequence[Form],
    noise: Sequence[Block],
    keys: Sequence[Any],
    mean: Pair,
    covariance: Block,
    steps: int,
    roots: Block = (),
) -> tuple[Pair, Block, Block]:
    """The law after `steps` steps, whose entries are arrays (steps, 1) or (steps, modes), and whose
    independent blocks of noise have the covariances `noise`.

    What the forms give are the inputs `keys` of the next step; of a single one, any number. Steps
    without noise, or with a history and noise of one component, are multiplied, one product of
    matrices each, and the law is pushed once; that also loses fewer digits where predictions that
    are kept all but agree. For the same reason what of the law a run started with comes apart, as
    rows of `roots`: the whole covariance is roots roots^T more.
    """
    size = len(forms)
    whole = _stacked([[form.get(key, 0) for key in keys] for form in forms], steps)
    shift = _stacked([[form.get(CONSTANT, 0)] for form in forms], steps)
    centre = _stacked([[value] for value in mean], 1)[0]
    law = _stacked(covariance, 1)[0]
    started = _stacked(roots, 1)[0] if roots else None
    in_columns = len(keys) > 1 and all(len(block) == 1 for block in noise)
    added = [] if in_columns else collected(forms, noise)
    if steps > 1 and all(is_zero(entry) for row in added for entry in row):
        if np.any(centre) or np.any(shift):
            for k in range(steps):
                centre = _product(whole[k], centre) + shift[k]
        columns = _columns(forms, noise, steps) if in_columns and noise else None
        product, spread = _multiplied(whole, columns)
        law = _by_transposed(_product(product, law), product) + spread
        started = None if started is None else _product(product, started)
        law[:, :, ~np.isfinite(law).all(axis=(0, 1))] = np.nan  # beyond stability no sign is right
    else:
        each = _stacked(added or collected(forms, noise), steps)
        for k in range(steps):
            centre = _product(whole[k], centre) + shift[k]
            law = _by_transposed(_product(whole[k], law), whole[k]) + each[k]
            started = None if started is None else _product(whole[k], started)
    return (
        tuple(centre[i, 0] for i in range(size)),
        tuple(tuple(law[min(i, j), max(i, j)] for j in range(size)) for i in range(size)),
        () if started is None else _entries(started),
    )


def rooted(forms: Sequence[Form], keys: Sequence[Any], covariance: Block) -> Block:
    """Rows of R, R R^T the covariance of the forms of `keys`, one or two, that have this one."""
    law = _stacked(covariance, 1)[0]
    first = np.sqrt(law[0, 0])
    root = np.zeros_like(law)
    root[0, 0] = first
    if len(law) > 1:
        root[1, 0] = law[1, 0] / np.where(first > 0, first, 1.0)
        root[1, 1] = np.sqrt(np.maximum(law[1, 1] - root[1, 0] ** 2, 0.0))
    whole = _stacked([[form.get(key, 0) for key in keys] for form in forms], 1)[0]
    return _entries(_product(whole, root))


def with_roots(covariance: Block, roots: Block) -> Block:
    """The covariance, roots roots^T more; nan where it is not finite, as no sign is right there."""
    root = _stacked(roots, 1)[0]
    law = _stacked(covariance, 1)[0] + _by_transposed(root, root)
    law[:, :, ~np.isfinite(law).all(axis=(0, 1))] = np.nan
    return _entries(law)


def _product(a: Any, b: Any) -> Any:
    """Of matrices (rows, columns, modes), in every mode."""
    return np.einsum("ij...,jk...->ik...", a, b)


def _by_transposed(a: Any, b: Any) -> Any:
    """The first times the second one's transpose."""
    return np.einsum("ij...,kj...->ik...", a, b)


def _entries(matrices: Any) -> Block:
    """Matrices (rows, columns, modes) as rows of arrays (modes,)."""
    return tuple(tuple(row) for row in matrices)


def _multiplied(whole: Any, columns: Any) -> tuple[Any, Any]:
    """All steps as one matrix, (n, n, modes), and the covariance of the noise that they add, whose
    roots are `columns`, (steps, n, blocks, modes), if any.
    """
    product = whole[-1]
    if columns is None:
        for step in whole[-2::-1]:
            product = _product(product, step)
        return product, 0.0
    modes = max(whole.shape[-1], columns.shape[-1])
    moved = [np.broadcast_to(columns[-1], (*columns.shape[1:3], modes))]
    for step, root in zip(whole[-2::-1], columns[-2::-1], strict=True):
        moved.append(_product(product, root))
        product = _product(product, step)
    roots = np.concatenate(moved, axis=1)
    return product, _by_transposed(roots, roots)


def _columns(forms: Sequence[Form], noise: Sequence[Block], steps: int) -> Any:
    """What unit noise of every block adds to the forms."""
    roots = [np.sqrt(block[0][0]) for block in noise]
    return _stacked(
        [[form.get(("n", b, 0), 0) * root for b, root in enumerate(roots)] for form in forms], steps
    )


def _stacked(rows: Sequence[Sequence[Any]], steps: int) -> Any:
    """Entries as matrices (steps, rows, columns, modes); modes is 1 where all have the same."""
    values = [[np.asarray(value, dtype=np.float64) for value in row] for row in rows]
    modes = max((value.shape[-1] for row in values for value in row if value.ndim), default=1)
    result = np.zeros((steps, len(rows), len(rows[0]), modes))
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if value.ndim or value:
                result[:, i, j] = value
    return result
