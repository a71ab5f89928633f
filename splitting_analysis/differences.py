"""Which elementary differentials differ between the local errors of two schemes: what score reuse
changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from splitting_analysis.catalogue import CATALOGUE
from splitting_analysis.errors import LocalError, keys_of
from splitting_analysis.notation import Op, Word
from splitting_analysis.reduction import naive, reduced
from splitting_analysis.schemes import Scheme
from splitting_analysis.trees import MOMENT, Combination, Tree, units


class Pair(NamedTuple):
    """A naive and a reduced scheme of one skeleton."""

    naive: Scheme
    reduced: Scheme

    @property
    def name(self) -> str:
        return f"{self.naive.name} / {self.reduced.name}"


@dataclass(frozen=True)
class Change:
    """One elementary differential whose coefficient differs between two schemes' errors."""

    power: int
    key: str
    before: Combination
    after: Combination

    @property
    def verdict(self) -> str:
        if not self.after:
            return "cancelled"
        if not self.before:
            return "added"
        if self.before == {tree: -c for tree, c in self.after.items()}:
            return "sign flipped"
        return "changed"


def pairs() -> tuple[Pair, ...]:
    """Catalogue schemes that are the naive and the reduced form of one skeleton, as the rules make
    them.
    """
    found = []
    for other in CATALOGUE:
        if (
            len(other.model.score_arguments) > 1  # else reuse is exact, or there is one part
            and naive(other.word) != other.word
            and reduced(other.word) == other.word
        ):
            for scheme in CATALOGUE:
                same = (scheme.model_name, scheme.dynamics) == (other.model_name, other.dynamics)
                if same and scheme.word == naive(other.word):
                    found.append(Pair(scheme, other))
    return tuple(found)


def changes(before: LocalError, after: LocalError, powers: range | None = None) -> Iterator[Change]:
    """All differentials in which two errors differ, Jacobians along any direction taken as one."""
    for k in powers or before.terms:
        for key in keys_of(before, k):
            left, right = _families(before.terms[k][key]), _families(after.terms[k][key])
            for family in dict.fromkeys([*left, *right]):
                one, two = left.get(family, {}), right.get(family, {})
                if one != two:
                    yield Change(k, key, one, two)


def _families(combination: Combination) -> dict[object, Combination]:
    """The combination by differential: Jacobians of one kind, whatever their direction,
    together.
    """
    result: dict[object, Combination] = {}
    for tree, coefficient in combination.items():
        result.setdefault(_family(tree), {})[tree] = coefficient
    return result


def _family(tree: Tree) -> object:
    name, j, children = tree
    if not children or name == MOMENT or units(tree):
        return tree
    return name, j, tuple(c for c, _ in children)


def without_gamma(combination: Combination) -> Combination:
    """The combination at Gamma = 0, that is, for CLD."""
    result = {}
    for tree, coefficient in combination.items():
        ring = coefficient.ring
        index = [str(s) for s in ring.symbols].index("Gamma")
        kept = {m: c for m, c in coefficient.terms() if m[index] == 0}
        if kept:
            result[tree] = ring.from_dict(kept)
    return result


def unconditioned(scheme: Scheme) -> Scheme:
    """The same word with every score conditioned on the step's start."""
    ops = tuple(Op("S") if op.letter == "S" else op for op in scheme.word)
    return replace(scheme, name=f"{scheme.name} with S for S@1", word=Word(ops), order=None)
