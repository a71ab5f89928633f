"""The catalogue: every entry sourced, unique, and what the papers' tables and rules say it is."""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from functools import cache
from math import prod

import pytest

from splitting_analysis import CATALOGUE, catalogue, find, naive, parse, reduced
from splitting_analysis.catalogue import entries, read_catalogue, register
from splitting_analysis.models import MODEL_NAMES
from splitting_analysis.notation import Word
from splitting_analysis.reduction import skeleton
from splitting_analysis.schemes import Scheme, scheme

EVERY_ENTRY = pytest.mark.parametrize("entry", CATALOGUE, ids=lambda s: f"{s.model_name}-{s.name}")

# The PSLD rows as the papers name them: name, word, dynamics, evaluations per step.
PSLD_TABLE = """
    Euler | S E                     | ode | 1
    NSE   | S B S A                 | ode | 2
    RSE   | S B A                   | ode | 1
    NVV   | S B/2 S A S B/2         | ode | 3
    RVV   | S B/2 A S@1 B/2         | ode | 2
    EM    | S E                     | sde | 1
    SSCS  | L/2 S K L/2             | sde | 1
    NOBA  | O S B S A               | sde | 2
    ROBA  | O S B A                 | sde | 1
    NBAO  | S B S A O               | sde | 2
    RBAO  | S B A O                 | sde | 1
    NOBAB | O S B/2 S A S B/2       | sde | 3
    ROBAB | O S B/2 A S@1 B/2       | sde | 2
"""
PSLD_ROWS = [
    tuple(cell.strip() for cell in row.split("|")) for row in PSLD_TABLE.strip().splitlines()
]
NAIVE_AND_REDUCED = [row[0] for row in PSLD_ROWS if row[0][0] == "N"]


@EVERY_ENTRY
def test_an_entry_names_its_source_and_claims_its_order(entry):
    assert entry.source.citation and entry.source.citation != "user"
    assert re.search(r"arXiv \d{4}\.\d{5}|\b(19|20)\d\d\b", entry.source.citation)
    assert entry.order is not None and entry.order >= 1
    assert entry.nfe == str(entry.word).count("S")


def test_a_name_means_one_scheme_of_a_model():
    names = Counter((entry.model_name, entry.name) for entry in CATALOGUE)
    assert max(names.values()) == 1


def test_no_two_entries_of_a_process_are_the_same_sampler():
    words = Counter((entry.model_name, entry.dynamics, entry.word) for entry in CATALOGUE)
    assert max(words.values()) == 1


@pytest.mark.parametrize(("name", "word", "dynamics", "nfe"), PSLD_ROWS, ids=str)
def test_the_papers_table_is_in_the_catalogue(name, word, dynamics, nfe):
    entry = find(name)
    assert (entry.word, entry.dynamics, entry.nfe) == (parse(word), dynamics, int(nfe))


@pytest.mark.parametrize("name", NAIVE_AND_REDUCED)
def test_the_two_rules_give_the_catalogues_naive_and_reduced_words(name):
    naively, partner = find(name), find("R" + name[1:])
    pieces = skeleton(naively.word)
    assert pieces == skeleton(partner.word)
    assert naive(pieces) == naively.word
    assert reduced(pieces) == partner.word
    assert naively.dynamics == partner.dynamics


@EVERY_ENTRY
def test_the_two_rules_depend_on_the_pieces_alone(entry):
    for rule in (naive, reduced):
        assert rule(rule(entry.word)) == rule(entry.word)
        assert (
            rule(naive(entry.word)) == rule(reduced(entry.word)) == rule(str(skeleton(entry.word)))
        )


def test_a_letter_without_a_score_gets_no_evaluation():
    assert naive("O L B A K") == parse("O L S B S A S K")
    assert reduced("O B A O") == parse("O S B A O")


def test_only_a_closing_piece_gets_a_second_evaluation():
    assert reduced("B/2 A/2 B/2 A/2 O") == parse("S B/2 A/2 B/2 S@1 A/2 O")


def test_the_rules_act_on_a_scheme_in_its_own_model():
    """In PSLD every A uses the score, in Langevin none does."""
    baoab = find("BAOAB", "langevin")
    assert str(naive(baoab).word) == "S B/2 A/2 O A/2 S B/2"
    assert naive(baoab).model is reduced(baoab).model is baoab.model
    assert str(reduced(baoab).word) == "S B/2 A/2 O A/2 S B/2"
    assert naive(find("ROBA")).word == find("NOBA").word


@EVERY_ENTRY
def test_every_entry_is_found_by_its_name(entry):
    assert find(entry.name, entry.model_name) is entry
    assert entry in entries(entry.model_name, entry.dynamics)


def test_the_catalogue_is_its_models_put_together():
    by_model = [entry for model in MODEL_NAMES for entry in entries(model)]
    assert by_model == sorted(CATALOGUE, key=lambda entry: MODEL_NAMES.index(entry.model_name))
    assert entries() == CATALOGUE
    assert {entry.dynamics for entry in entries(dynamics="ode")} == {"ode"}


def test_an_unknown_name_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="no scheme is named 'ROBOA'; did you mean ROBA"):
        find("ROBOA")
    with pytest.raises(ValueError, match="there are: flow, langevin, psld, respa, ve, vp"):
        find("Heun", "edm")
    with pytest.raises(
        ValueError, match=r"BAOAB is no psld scheme; it belongs to langevin \(sde\)"
    ):
        find("baoab", "psld")


OWN = """
[[sampler]]
name = "Mine"
word = "O S B/2 A B/2"
order = 1
nfe = 1
source = "me"
lambda_s = "5/4"

[[sampler]]
name = "Mine"
word = "S B A"
model = "langevin"
"""


@pytest.fixture
def forgotten(monkeypatch):
    monkeypatch.setattr(catalogue, "_registered", [])


def test_a_catalogue_of_ones_own_is_found_like_the_built_in_one(tmp_path, forgotten):
    (tmp_path / "own.toml").write_text(OWN)
    for _ in range(2):  # the same again changes nothing
        register(*read_catalogue(tmp_path / "own.toml"))
    assert len(entries()) == len(CATALOGUE) + 2
    mine = find("MINE")
    assert (str(mine.word), mine.order, mine.lambda_s.value) == ("O S B/2 A B/2", 1, Fraction(5, 4))
    assert find("mine", "langevin").dynamics == "ode"
    with pytest.raises(ValueError, match="the name roba is taken: model psld has O S B A by it"):
        register(scheme("S B A O", name="roba"))
    assert len(entries()) == len(CATALOGUE) + 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[[sampler]]\nname = 'X'\nword = 'S B'",
            r"own\.toml, sampler 1 \('X'\): B does not add up",
        ),
        (
            "[[sampler]]\nname = 'X'\nword = 'S B A'\nnfe = 2",
            r"sampler 1 \('X'\): X: claims 2 evaluations",
        ),
        ("[[sampler]]\nname = 'X'", "it needs name and word, and may have model, dynamics"),
        ("[[sampler]]\nname = 'X'\nword = 3", r"sampler 1: word = 3 should be of type str"),
        (
            "[[sampler]]\nname = 'X'\nword = 'O S B A'\nlambda_s = 'much'",
            "lambda_s: 'much' is not a number",
        ),
        (
            "[[sampler]]\nname = 'X'\nword = 'O S B A'\nlambda_s = '1e9999999'",
            "lambda_s: '1e9999999' is",
        ),
        (
            "[[sampler]]\nname = 'X'\nword = 'O S B A'\nlambda_s = '1/0'",
            "lambda_s: '1/0' divides by zero",
        ),
        (
            "[[sampler]]\nname = 'X'\nword = 'S B A'\nlambda_s = 2",
            "lambda_s, but it has no letter O",
        ),
        ("[[sampler]]\nname = 'S E'\nword = 'S B A'", "'S E' is no name"),
        ("[[sampler]]\nname = 'A'\nword = 'S B A'", "'A' is no name"),
        ("[[sampler]]\nname = ' X'\nword = 'S B A'", "' X' is no name"),
        ("x = " + "[" * 5000, "cannot be read as a catalogue|no TOML"),
        ("#" * 300_000, "at most 200000 bytes"),
        ("[sampler]\nname = 'X'", r"a catalogue holds entries \[\[sampler\]\]"),
        ("sampler = ", "no TOML"),
        (None, "no file to read a catalogue from"),
    ],
)
def test_a_catalogue_that_is_none_is_refused_at_its_entry(text, said, tmp_path, forgotten):
    if text is not None:
        (tmp_path / "own.toml").write_text(text)
    with pytest.raises(ValueError, match=said):
        register(*read_catalogue(tmp_path / "own.toml"))
    assert entries() == CATALOGUE


# Runge-Kutta claims, against Butcher's order conditions: sum_i b_i phi_i(tree) = 1 / density(tree).
Tree = tuple["Tree", ...]


@cache
def rooted_trees(nodes: int) -> frozenset[Tree]:
    """All rooted trees with so many nodes, as sorted tuples of subtrees."""
    if nodes == 1:
        return frozenset({()})
    grown: set[Tree] = set()
    for tree in rooted_trees(nodes - 1):
        grown |= set(with_a_leaf(tree))
    return frozenset(grown)


def with_a_leaf(tree: Tree) -> list[Tree]:
    """The trees that arise by hanging one more leaf anywhere."""
    here = [tuple(sorted((*tree, ())))]
    return here + [
        tuple(sorted((*tree[:i], child, *tree[i + 1 :])))
        for i, old in enumerate(tree)
        for child in with_a_leaf(old)
    ]


def size(tree: Tree) -> int:
    return 1 + sum(map(size, tree))


def density(tree: Tree) -> int:
    return size(tree) * prod(map(density, tree))


def runge_kutta_order(word: Word, most: int = 7) -> int:
    """The order by Butcher's conditions, from the rows alone."""
    rows = [op.row for op in word if op.letter != "S"]
    matrix, weights = [(), *rows[:-1]], rows[-1]

    def products(tree: Tree) -> list[Fraction]:
        """At each stage, the product over the subtrees of the tableau applied to theirs."""
        inner = [[dot(row, products(child)) for row in matrix] for child in tree]
        return [
            prod((values[i] for values in inner), start=Fraction(1)) for i in range(len(matrix))
        ]

    # The rows of an explicit method end before the diagonal: zip stops there.
    def dot(row: tuple[Fraction, ...], values: list[Fraction]) -> Fraction:
        return sum((a * v for a, v in zip(row, values, strict=False)), Fraction(0))

    for order in range(1, most):
        if any(
            dot(weights, products(tree)) != Fraction(1, density(tree))
            for tree in rooted_trees(order)
        ):
            return order - 1
    raise AssertionError(f"order beyond {most - 1}: raise `most`")


def test_there_are_as_many_rooted_trees_as_cayley_counted():
    assert [len(rooted_trees(n)) for n in range(1, 8)] == [1, 1, 2, 4, 9, 20, 48]


RUNGE_KUTTA = [entry for entry in CATALOGUE if entry.word.is_runge_kutta]


@pytest.mark.parametrize("entry", RUNGE_KUTTA, ids=lambda s: s.name)
def test_a_runge_kutta_word_has_exactly_the_order_it_claims(entry: Scheme):
    assert runge_kutta_order(entry.word) == entry.order


def test_the_published_tableaus_are_all_there():
    assert {entry.name: entry.word.nfe for entry in RUNGE_KUTTA} == {"Heun": 2, "RK4": 4, "RK45": 6}
