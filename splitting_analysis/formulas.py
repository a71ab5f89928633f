"""Closed forms for people and programs: text, LaTeX, MathML and JSON from one walk.

A combination of elementary differentials is printed as a sum in which directions of the same
Jacobian are gathered, so that d_x s[Gamma x] - d_x s[m/M] reads d_x s[Gamma x - m/M]. The walk
is one; a `Style` says how its few shapes are spelled.

Reading the shapes: d_x s[v] is the Jacobian of s in x applied to v, Lap_x s the sum of second
derivatives over coordinates (the trace term of Ito's formula), d_tau the derivative in forward
time. Second moments are d x d matrices: u (x) v is u v^T, I the identity, and on a diagonal
block ("xx") a product stands for its symmetric part; in one dimension it is the plain product.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import gcd
from typing import Any

from sympy.polys.rings import PolyElement

from splitting_analysis.styles import Style
from splitting_analysis.symbols import base, printed, rank, row
from splitting_analysis.trees import MOMENT, Combination, Tree, gather, is_contraction


def coefficient_parts(element: PolyElement) -> tuple[str, Fraction, dict[str, int], list[Any]]:
    """Sign, rational content, powers of symbols and remaining polynomial factors of a coefficient.

    M and 1/M are merged into one signed power of M.
    """
    constant, factors = _factored(element)
    content = Fraction(int(constant.numerator), int(constant.denominator))
    powers: dict[str, int] = {}
    rest: list[Any] = []
    for factor, exponent in factors:
        if len(factor) == 1:
            name = str(
                factor.leading_expv() and factor.ring.symbols[factor.leading_expv().index(1)]
            )
            powers[name] = powers.get(name, 0) + exponent
        else:
            if _leading_sign(factor) < 0:
                factor, content = -factor, content * (-1) ** exponent
            rest.append((factor, exponent))
    if content < 0:
        # Spend the sign inside a bracket, 1 - lambda_s rather than -(lambda_s - 1), if one gains.
        odd_factor = next(
            (i for i, (f, k) in enumerate(rest) if k % 2 and min(f.coeffs()) < 0), None
        )
        if odd_factor is not None:
            rest[odd_factor] = (-rest[odd_factor][0], rest[odd_factor][1])
            content = -content
    for inverse in [name for name in powers if row(name).power == -1]:
        name = base(row(inverse)).name
        powers[name] = powers.get(name, 0) - powers.pop(inverse)
    sign = "-" if content < 0 else "+"
    return sign, abs(content), {k: v for k, v in powers.items() if v}, rest


@lru_cache(maxsize=10_000)
def _factored(element: PolyElement) -> tuple[Any, list[tuple[PolyElement, int]]]:
    """A constant and factors with their exponents. One term, as most have, is its own
    factorization.

    Kept, as every style spells the same coefficients and factoring them is most of the work.
    """
    if len(element) != 1:
        return element.factor_list()
    ((exponents, constant),) = element.terms()
    return constant, [(g, k) for g, k in zip(element.ring.gens, exponents, strict=True) if k]


def _leading_sign(element: PolyElement) -> int:
    _, coefficient = _ordered_terms(element)[0]
    return 1 if coefficient > 0 else -1


def _ordered_terms(element: PolyElement) -> list[tuple[Any, Any]]:
    """Terms with positive coefficients first, so that a bracket opens without a minus."""
    return sorted(element.terms(), key=lambda term: (term[1] < 0, [-k for k in term[0]]))


def spell_coefficient(element: PolyElement, style: Style) -> tuple[str, str]:
    """Sign and spelling of a coefficient; the spelling of 1 is empty."""
    sign, content, powers, rest = coefficient_parts(element)
    top = [_power(name, powers[name], style) for name in _sorted(powers) if powers[name] > 0]
    bottom = [_power(name, -powers[name], style) for name in _sorted(powers) if powers[name] < 0]
    if bottom and not top and content.numerator == 1 and [k for _, k in rest] == [1]:
        if content.denominator != 1:
            bottom.insert(0, style.number(content.denominator))
        return sign, style.fraction(_polynomial(rest[0][0], style), style.product(bottom))
    for factor, exponent in rest:
        inside = style.bracket("(", _polynomial(factor, style), ")")
        top.append(inside if exponent == 1 else style.power(inside, exponent))
    if content.numerator != 1 or (not top and (bottom or content.denominator != 1)):
        top.insert(0, style.number(content.numerator))
    if content.denominator != 1:
        bottom.insert(0, style.number(content.denominator))
    above = style.product(top)
    return sign, style.fraction(above, style.product(bottom)) if bottom else above


def _sorted(powers: dict[str, int]) -> list[str]:
    return sorted(powers, key=printed().index)


def _power(name: str, k: int, style: Style) -> str:
    return style.symbol(name) if k == 1 else style.power(style.symbol(name), k)


def _polynomial(element: PolyElement, style: Style) -> str:
    terms = []
    for monomial, coefficient in _ordered_terms(element):
        sign, text = spell_coefficient(element.ring({monomial: coefficient}), style)
        terms.append((sign, text or style.number(1)))
    return style.total(terms)


def spell(combination: Combination, style: Style) -> str:
    """The combination as a sum, directions of equal Jacobians gathered, common factor outside."""
    if not combination:
        return style.number(0)
    common = _common_factor(list(combination.values()))
    reduced = {t: c.quo(common) for t, c in combination.items()}
    sign, factor = spell_coefficient(common, style)
    terms = _terms(reduced, style)
    if len(terms) == 1:
        inner_sign, text = terms[0]
        both = "+" if inner_sign == sign else "-"
        return style.total([(both, style.product([factor, text]))])
    if terms[0][0] == "-" and all(s == "-" for s, _ in terms):
        sign, terms = "-" if sign == "+" else "+", [("+", t) for _, t in terms]
    body = style.total(terms)
    if not factor and sign == "+":
        return body
    return style.total([(sign, style.product([factor, style.bracket("(", body, ")")]))])


def _common_factor(coefficients: list[PolyElement]) -> PolyElement:
    """Largest monomial with a rational content that divides all, positive."""
    ring = coefficients[0].ring
    monomials = [m for c in coefficients for m in c.monoms()]
    numbers = [q for c in coefficients for q in c.coeffs()]
    exponents = tuple(min(column) for column in zip(*monomials, strict=True))
    top = gcd(*(int(q.numerator) for q in numbers))
    bottom = 1
    for q in numbers:
        bottom = bottom * int(q.denominator) // gcd(bottom, int(q.denominator))
    return ring({exponents: ring.domain(top) / ring.domain(bottom)})


def _terms(combination: Combination, style: Style) -> list[tuple[str, str]]:
    """(sign, spelling) of every term, plain ones first, Jacobian directions gathered."""
    plain, gathered = gather(combination)
    ordered = sorted(plain.items(), key=lambda item: _simplicity(item[0]))
    result = [_term(coefficient, _spell_tree(tree, style), style) for tree, coefficient in ordered]
    for (name, j, others, component), direction in sorted(
        gathered.items(), key=lambda item: (len(item[0][2]), item[0])
    ):
        outside = _common_factor(list(direction.values()))
        inner = {tree: c.quo(outside) for tree, c in direction.items()}
        terms = _terms(inner, style)
        flip = all(s == "-" for s, _ in terms)
        if flip:
            terms = [("+", text) for _, text in terms]
        head = _spell_derivative(name, j, [*(c for c, _ in others), component], style)
        arguments = [_spell_tree(child, style) for _, child in others] + [style.total(terms)]
        text = head + style.bracket("[", style.comma.join(arguments), "]")
        result.append(_term(-outside if flip else outside, text, style))
    return result


def _term(coefficient: PolyElement, text: str, style: Style) -> tuple[str, str]:
    sign, factor = spell_coefficient(coefficient, style)
    return sign, style.product([factor, text])


def _simplicity(tree: Tree) -> Any:
    return (len(tree[2]), tree[1], rank(tree[0]), tree)


def _spell_derivative(name: str, j: int, components: list[str], style: Style) -> str:
    """d_tau^j d_x^a d_m^b s, without its arguments."""
    if name == "f":
        return style.primed(style.symbol(name), len(components))
    parts = [style.partial(style.symbol("tau"), j)] if j else []
    parts += [
        style.partial(style.symbol(c), components.count(c))
        for c in sorted(set(components))  # as the children: i-th derivative, i-th argument
    ]
    return style.gap.join([*parts, style.symbol(name)])


def _spell_tree(tree: Tree, style: Style) -> str:
    name, j, children = tree
    if name == MOMENT:
        return _spell_moment(tree, style)
    contracted = [c for c, child in children if is_contraction(child)]
    others = list(children)
    operators = []
    if len(contracted) == 2 and contracted[0] == contracted[1]:
        operators = [style.laplace(style.symbol(contracted[0]))]
        others = [(c, child) for c, child in children if not is_contraction(child)]
    head = _spell_derivative(name, j, [c for c, _ in others], style)
    text = style.gap.join([*operators, head])
    if others:
        text += style.bracket(
            "[", style.comma.join(_spell_tree(child, style) for _, child in others), "]"
        )
    return text


def _spell_moment(tree: Tree, style: Style) -> str:
    """A second moment u v^T as a matrix: the identity, Jacobians, or an outer product."""
    children = tree[2]
    (_, u), (_, v) = sorted(children, key=lambda item: rank(item[0]))
    if is_contraction(u) and is_contraction(v):
        return style.symbol("identity")
    left = _spell_derivative(u[0], u[1], [u[2][0][0]], style) if _is_jacobian(u) else ""
    right = _spell_derivative(v[0], v[1], [v[2][0][0]], style) if _is_jacobian(v) else ""
    transposed = style.transposed(style.bracket("(", right, ")"))
    if left and right:
        return style.product([left, transposed])
    if left and is_contraction(v):
        return left
    if right and is_contraction(u):
        # On a diagonal block only the symmetric part counts: no transpose to show there.
        return right if children[0][0] == children[1][0] else transposed
    return _spell_tree(u, style) + style.symbol("outer") + _spell_tree(v, style)


def _is_jacobian(tree: Tree) -> bool:
    return len(tree[2]) == 1 and is_contraction(tree[2][0][1])
