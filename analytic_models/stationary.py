"""The law a sampler keeps when its target does not move: kinetic Langevin on a harmonic well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import mpmath
import sympy
from sympy.polys.matrices import DomainMatrix

from analytic_models.diffusions import Langevin
from analytic_models.steps import Form, one_step
from analytic_models.targets import Block, Gaussian, score
from splitting_analysis.schemes import Scheme

DIGITS = 80
"""A step whose friction is 1e-12 of what it moves leaves 1 - eigenvalue as small, and far beyond
stability eigenvalues grow as large: float64 has no digits left there.
"""


def stationary(scheme: Scheme, diffusion: Langevin, variance: Any, h: Any) -> Block:
    """Covariance ((qq, qp), (qp, pp)) that one step of size h leaves unchanged, one mode.

    `variance` is that of the target position, 1/omega^2. With SymPy arguments the closed form, with
    floats its value, from DIGITS digits. Solves P = A P A^T + Q for the exact one-step map. Raises
    ValueError where no such law exists (h beyond stability, or no friction).
    """
    if isinstance(h, sympy.Basic):
        return _kept(scheme, diffusion, variance, h)
    with mpmath.workdps(DIGITS):
        found = _kept(scheme, in_digits(diffusion), mpmath.mpf(variance), mpmath.mpf(h))
        return tuple(tuple(float(value) for value in row) for row in found)


def in_digits(diffusion: Langevin) -> Langevin:
    """The process with mpmath numbers in place of floats."""
    names = [field.name for field in fields(diffusion) if field.init]
    return replace(diffusion, **{name: mpmath.mpf(getattr(diffusion, name)) for name in names})


def _kept(scheme: Scheme, diffusion: Langevin, variance: Any, h: Any) -> Block:
    target = Gaussian(variance)
    step = one_step(scheme, diffusion, 0 * h, h, lambda tau: score(diffusion, target, tau))
    forms: list[Form] = [*step.forms]
    keys: list[Any] = [("z", 0), ("z", 1)]
    if scheme.carries_score:  # the forces on the momentum, held from step to step
        forms += [step.score[i] for i in scheme.model.driven]
        keys += [("s", i) for i in scheme.model.driven]
    size = len(forms)
    pairs = [(i, j) for i in range(size) for j in range(i, size)]
    rows, right = [], []
    for i, j in pairs:
        row = [0 * h for _ in pairs]
        for k, x in enumerate(keys):
            for m, y in enumerate(keys):
                entry = forms[i].get(x, 0) * forms[j].get(y, 0)
                row[pairs.index((min(k, m), max(k, m)))] -= entry
        row[pairs.index((i, j))] += 1
        rows.append(row)
        right.append(_noise(forms[i], forms[j], step.noise))
    solution = _solve(rows, right) if _contracts(forms, keys) else None
    if solution is None:
        raise ValueError(
            f"{scheme.name} keeps no law at h = {h}: the step is unstable or has no friction"
        )
    qq, qp, pp = (solution[pairs.index(pair)] for pair in ((0, 0), (0, 1), (1, 1)))
    return ((qq, qp), (qp, pp))


def _noise(left: Form, right: Form, blocks: tuple[Block, ...]) -> Any:
    return sum(
        left.get(("n", k, a), 0) * block[a][b] * right.get(("n", k, b), 0)
        for k, block in enumerate(blocks)
        for a in range(len(block))
        for b in range(len(block))
    )


def _contracts(forms: Sequence[Form], keys: Sequence[Any]) -> bool:
    """Whether all eigenvalues of the step lie inside the unit disk; of formulas that is not
    asked.
    """
    rows = [[form.get(key, 0) for key in keys] for form in forms]
    if any(isinstance(entry, sympy.Basic) for row in rows for entry in row):
        return True
    return all(abs(e) < 1 for e in mpmath.eig(mpmath.matrix(rows), left=False, right=False))


def _solve(rows: list[list[Any]], right: list[Any]) -> list[Any] | None:
    if any(isinstance(entry, sympy.Basic) for row in rows for entry in row):
        matrix = sympy.Matrix([[*row, x] for row, x in zip(rows, right, strict=True)])
        forwards, back = _one_exponential(matrix)
        reduced, pivots = DomainMatrix.from_Matrix(matrix.subs(forwards)).to_field().rref()
        if len(pivots) < len(rows):
            return None
        return [sympy.factor(x).subs(back) for x in reduced.to_Matrix().col(-1)]
    try:
        return list(mpmath.lu_solve(mpmath.matrix(rows), mpmath.matrix(right)))
    except ZeroDivisionError:
        return None


def _one_exponential(matrix: sympy.Matrix) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Substitutions that make all exp(k gamma h), k rational, powers of one symbol, and back.

    Elimination then runs in a field of rational functions, exact and fast.
    """
    found = sorted(matrix.atoms(sympy.exp), key=str)
    if not found:
        return {}, {}
    ratios = [sympy.simplify(e.args[0] / found[0].args[0]) for e in found]
    denominator = sympy.ilcm(1, *(ratio.q for ratio in ratios))
    symbol = sympy.Symbol("decay", positive=True)
    forwards = {e: symbol ** (ratio * denominator) for e, ratio in zip(found, ratios, strict=True)}
    return forwards, {symbol: sympy.exp(found[0].args[0] / denominator)}
