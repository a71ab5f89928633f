"""The weak local error of a held prediction as expressions: mean, second moments, and how its
differentials are spelled.

    P, P_u, P_uu      the prediction and its derivatives in the clock at a fixed state
    P_x(v), P_xx(v, w)  its derivatives along directions; P_ux is that of P_u
    e1, e2            unit vectors: what they stand in is summed over all of them
    outer(v, w)       the matrix v w^T, on a diagonal block its symmetric part
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import sympy

from splitting_analysis.held_averages import LIVE
from splitting_analysis.held_weak import WeakHeldError
from splitting_analysis.models import Model
from splitting_analysis.trees import MOMENT, Tree
from splitting_analysis.weak import moments


def weak_moments(error: WeakHeldError, model: Model) -> dict[str, sympy.Expr]:
    """The error of the mean by component ("x"), and of the increment's second moments ("xm")."""
    pair = len(model.components) > 1
    return {
        key: _gathered([_renamed(c, pair) * spelled(tree) for tree, c in terms.items()])
        for key, terms in moments(model, error.phi).items()
    }


def _gathered(terms: Sequence[sympy.Expr]) -> sympy.Expr:
    """Their sum, with what equal factors share outside."""
    by_factor: dict[sympy.Expr, list[sympy.Expr]] = {}
    for term in terms:
        factor, differential = term.as_independent(sympy.Function, *_differentials(term))
        by_factor.setdefault(factor, []).append(differential)
    parts = [
        sympy.Mul(factor, sympy.Add(*them), evaluate=False) if len(them) > 1 else factor * them[0]
        for factor, them in by_factor.items()
    ]
    return sympy.Add(*parts)


def _differentials(term: sympy.Expr) -> list[sympy.Symbol]:
    return [s for s in term.free_symbols if re.fullmatch(r"P(_u+)?", str(s))]


def spelled(tree: Tree) -> sympy.Expr:
    """A tree as a SymPy expression in P and its derivatives."""
    name, j, children = tree
    inside = [spelled(child) for _, child in children]
    if name == MOMENT:
        return sympy.Function("outer")(*inside)
    if name != LIVE:
        return sympy.Symbol(name)
    along = "u" * j + "".join(component for component, _ in children)
    own = f"{LIVE}_{along}" if along else LIVE
    return sympy.Function(own)(*inside) if inside else sympy.Symbol(own)


def _renamed(coefficient: sympy.Expr, pair: bool) -> sympy.Expr:
    """q0xx as q where there is one component, as q_xx where there are two; kappa1x likewise."""
    names = {}
    for symbol in coefficient.free_symbols:
        found = re.fullmatch(r"(q|kappa)(\d)([xm]+)", str(symbol))
        if found:
            own = found[1] + ("" if found[2] == "0" else found[2])
            names[symbol] = sympy.Symbol(f"{own}_{found[3]}" if pair else own)
    return coefficient.xreplace(names)
