"""Stored numbers that another stored or printed number determines: one forged and resealed
shows.
"""

from __future__ import annotations

import math

import pytest

from reports.experiments import conjugate, conjugate_rules, store
from splitting_analysis.catalogue import find
from splitting_analysis.processes import PSLD
from splitting_analysis.schemes import steps_for

JUDGED = {"dataset": "residual", "network": "still"}
"""The noise of a cell that the comparisons on a target are about."""
PRINTED = "3cfd534e2260ca24b408e4845917628eb400462fae9356cf5e4c7dd18350a8cc"
"""Of the published figures: nothing computes those of networks again; they change with a paper
alone.
"""


def of(name):
    found = store.stored(name)
    assert found is not None
    return found


def last_digit(value):
    """One unit of the sixth digit, to which stored numbers are rounded."""
    return 10.0 ** (math.floor(math.log10(abs(value))) - 5) if value else 0.0


@pytest.mark.parametrize("name", JUDGED)
def test_a_stored_comparison_is_the_difference_of_the_two_stored_cells(name):
    cells = {
        (c["scheme"], c["grid"], c["nfe"]): c
        for c in of(f"quality_{name}")["cells"]
        if c["rule"] == "one"
    }
    compared = 0
    for row in of("comparisons")["targets"][name]["rows"]:
        naive, reduced = (
            cells[row[which], row["grid"], row["nfe"]] for which in ("naive", "reduced")
        )
        for number, in_cell in (("frechet", "frechet"), ("noise", JUDGED[name])):
            a, b = naive[in_cell], reduced[in_cell]
            if a is None or b is None:
                assert row[number] is None
                continue
            off = last_digit(a) + last_digit(b) + last_digit(row[number])
            assert row[number] == pytest.approx(a - b, rel=0, abs=off), (row, number)
            compared += 1
    assert compared > 50


def test_the_published_figures_are_those_that_were_copied_from_the_papers():
    assert store.seal(store.published()) == PRINTED


def test_stored_errors_on_the_cifar_10_spectrum_are_the_published_ones_to_the_printed_digit():
    ours, theirs = of("cifar10")["vp_w2"], store.published()["gaussian_w2_vp_cifar10"]
    for eps in ("eps=0", "eps=1e-3"):
        for name, row in theirs[eps].items():
            for nfe, printed in row.items():
                assert abs(ours[eps][name][nfe] - printed) <= 0.00501, (eps, name, nfe)
    corrected, heun = ours["eps=1e-3"]["Heun, NFE/2 points"], ours["eps=1e-3"]["Heun"]
    assert all(corrected[nfe] == heun[str(int(nfe) // 2)] for nfe in ("500", "1000"))


def beyond(rule, nfe, name):
    """What a rule adds to lambda_0 at a budget, with h the mean step."""
    p = PSLD()
    beta = float(p.beta(p.T))
    u = beta * p.T / steps_for(nfe, find(name, "psld"))
    return rule.A * beta * u / (1 + rule.R * u)


@pytest.mark.parametrize("name", [conjugate.NAME, *conjugate_rules.RULES])
def test_a_stored_lambda_that_is_predicted_is_one_number_and_what_its_budget_adds(name):
    if name == conjugate.NAME:
        rule = conjugate_rules.Rule(1.0, conjugate.RULE)
        kept = {**of("conjugate")["spectra"], "CIFAR-10": of("cifar10")["conjugate_lambda"]}
    else:
        rule = conjugate_rules.RULES[name]
        kept = {key: own[name] for key, own in of("conjugate_rules")["spectra"].items()}
    for grids in kept.values():
        assert list(grids) == list(conjugate.GRIDS)
        for rows in grids.values():
            told = {n: row["predicted"] - beyond(rule, int(n), name) for n, row in rows.items()}
            digits = max(last_digit(row["predicted"]) for row in rows.values())
            assert len(told) > 2 and max(told.values()) - min(told.values()) < 2 * digits


def test_a_card_agrees_with_what_it_was_compared_with_as_far_as_it_says():
    found = of("gpu")["parts"]["parity"]
    assert list(found) == of("gpu")["wanted"]["parity"]
    found |= of("gpu")["parts"]["runs"]
    assert all(row["error"] <= row["limit"] for row in found.values() if "limit" in row)
    assert all(row["same"] is True for row in found.values() if "same" in row)
    assert sum("limit" in row or "same" in row for row in found.values()) > 20
