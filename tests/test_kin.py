"""A name of another model is answered with the samplers of the model asked for that do the same."""

from __future__ import annotations

import pytest

from splitting_analysis.catalogue import find, samplers
from splitting_analysis.kin import ROWS, column_of, kin


def test_every_kin_is_a_sampler_of_its_column_and_few_have_none():
    known = [
        {s.name for s in samplers() if column_of(s.model_name) == column} for column in range(3)
    ]
    for column in range(3):
        said = {name for row in ROWS for name in row[column].split()}
        assert said <= known[column]
        assert len(known[column] - said) < 3  # a new sampler need not have any


@pytest.mark.parametrize(
    ("name", "model", "near"),
    [
        ("DDIM", "psld", "PDDIM or EI or LDDIM-I or LDDIM-II (PDDIM with factor=flow is gDDIM)"),
        ("DPM++2M", "PSLD", "P2M or ExpAdams2"),
        ("P2M", "ve", "DPM++2M or UniPC2"),
        ("EDM", "vp", "Heun"),
        ("ROBA", "langevin", "BAOA or BAOAB"),
        ("BAOAB", "respa", "BAOAB-RESPA2"),
    ],
)
def test_a_name_of_another_model_is_answered_with_its_nearest(name, model, near):
    with pytest.raises(ValueError, match="it belongs to") as refused:
        find(name, model)
    assert f"; nearest in {model.lower()}: {near}" in str(refused.value)


def test_where_nothing_is_near_and_where_the_dynamics_are_wrong_none_is_named():
    assert kin("DDIM", "vp", [s.name for s in samplers("langevin")], 2) == ""
    with pytest.raises(ValueError, match=r"belongs to psld \(sde\)$"):
        find("ROBA", "psld", "ode")
