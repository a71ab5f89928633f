"""The page of the harmonic well says what the formulas and the numbers behind it say."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, nan, sqrt
from typing import Any

import pytest

from analytic_models.harmonic import Harmonic, X, Y
from analytic_models.verlet import PRINTED
from reports.pages import harmonic_forces, harmonic_well
from reports.pages.settings import QUICK
from reports.render import html
from reports.render.document import Formula, Page
from splitting_analysis.catalogue import _entry, entries, samplers
from tests.browser import MATHML, xml


def cells(table, key):
    at = [column.key for column in table.columns].index(key)
    shown = [row[at].text if isinstance(row[at], Formula) else row[at] for row in table.rows]
    return dict(zip([str(row[0]) for row in table.rows], shown, strict=True))


@pytest.mark.heavy
def test_the_integrators_of_five_decades_are_in_order_and_the_gj_set_is_exact(monkeypatch):
    few = tuple(s for s in samplers("langevin", "sde") if s.name in ("BBK", "GJF", "BAOAB"))
    monkeypatch.setattr(harmonic_well, "words", lambda: few)
    table = harmonic_well._decades()
    years = list(cells(table, "year").values())
    assert years == sorted(years) and years[0] == 1978 and len(years) == len(PRINTED) + len(few)
    errors = {name.split("]")[0].strip("["): e for name, e in cells(table, "qq_error").items()}
    assert [n for n, e in errors.items() if e == "0" and n[:2] == "GJ"] == [
        n for n in errors if n[:2] == "GJ"
    ]
    assert errors["BBK"] == "h² ω²/4" and errors["vGB"] == "h⁴ ω⁴/48" and errors["BAOAB"] == "0"
    drifts = {name.split("]")[0].strip("["): e for name, e in cells(table, "drift").items()}
    assert [n for n, e in drifts.items() if e != "1"] == ["BAOAB"]
    assert [row[0] for row in harmonic_well._others().rows] == [each.name for each in PRINTED]


def test_two_limits_of_a_sampler_are_one_formula_as_single_ones_are(monkeypatch):
    two = [s for s in entries("langevin", "sde") if s.name in ("EM", "BAOAB")]
    monkeypatch.setattr(harmonic_well, "words", lambda: tuple(two))
    table = harmonic_well._transport()
    both, one = (row[1] for row in table.rows)
    assert isinstance(both, Formula) and isinstance(one, Formula)
    assert list(cells(table, "limit").values()) == ["γ h; −4 + 2 γ h", "4"]
    source = xml(f"<math>{both.mathml}</math>")
    assert {part.tag for part in source.iter()} <= MATHML
    assert both.latex.count(r"\gamma h") == 2


def test_every_sampler_is_in_one_cycle():
    rows = [str(row[1]) for row in harmonic_well._classes().rows]
    for entry in samplers("langevin", "sde"):
        assert sum(f"[{entry.name}]" in row for row in rows) == 1


def test_the_law_of_a_new_sampler_may_have_exponentials(monkeypatch):
    new = _entry("OBA", "O S B A", "langevin", "sde", 1, 1, "nobody", "nowhere")
    monkeypatch.setattr(harmonic_well, "words", lambda: (new,))
    law, (block,) = harmonic_well._law(), harmonic_well._long_forms()
    page = html.render(Page("p", "T", "l", (law, block)), [("p", "T")])
    assert ">OBA<" in page and "OBA, with x = γh and y = ω² h², T = tanh(x/2)" in page


@pytest.mark.heavy
def test_two_forces_fail_first_where_they_resonate_unless_friction_lies_between():
    table: Any = harmonic_forces.two_forces()[1]
    rows = {row[0]: row for row in table.rows}
    assert list(rows) == [s.name for s in samplers("respa", "sde")]
    at = [column.key for column in table.columns].index("limit_0.99_0.01")
    window = [sqrt(8 / 1.01), sqrt(8 / 0.99)]
    for name in ("BAOAB-RESPA2", "OBABO-RESPA2"):
        assert window[0] <= rows[name][at] + 1e-6 < window[1]
    assert rows["BAOAB-RESPA2"][at + 1] > 4 > 3 > rows["OBABO-RESPA2"][at + 1]
    assert rows["BAOAB-RESPA2"][3].text == "h² ω²/16 − h² ω² φ²/16"


@pytest.mark.heavy
def test_the_page_has_every_sampler_and_its_curves_end_at_its_limit():
    page = harmonic_well.build(QUICK)
    names = [f"[{s.name}]" for s in samplers("langevin", "sde")]
    for key in ("harmonic-law", "harmonic-transport"):
        assert [str(row[0]).split("(")[0] for row in page.find(key).rows] == names
    errors = cells(page.find("harmonic-law"), "qq_error")
    found = {name.split("]")[0][1:]: value for name, value in errors.items()}
    assert found["UBU"] == "−h² ω²/6" and found["BUB"] == "h² ω²/12" and found["BAOAB"] == "0"
    limits = {r[0].split("]")[0][1:]: r[2] for r in page.find("harmonic-transport").rows}
    none = [name for name, limit in limits.items() if limit < 1 + 1e-9]
    assert none == ["EM"] and "and EM keeps none." in page.lead  # at a step of 1
    position, momentum = page.find("harmonic-errors").panels
    assert [line.label for line in position.lines] == ["EM", "EI", "OBABO", "UBU", "BUB"]
    for line in (*position.lines, *momentum.lines):
        drawn = [x for x, y in zip(line.x, line.y, strict=True) if y == y]
        assert max(drawn) < limits[line.label]
        assert max(line.x) > limits[line.label]
        for x, y in zip(line.x, line.y, strict=True):
            assert (y == y) == (x < limits[line.label]), (line.label, x)


def test_the_lead_names_the_smallest_error_the_largest_and_who_keeps_no_law(monkeypatch):
    right, large, small, lost = own = harmonic_well.words()[:4]
    errors = {large.name: 0.5, small.name: 0.02, lost.name: nan}
    monkeypatch.setattr(harmonic_well, "words", lambda: own)
    monkeypatch.setattr(harmonic_well, "exact", lambda scheme, _: scheme == right)
    monkeypatch.setattr(harmonic_well, "error", lambda scheme, *_: errors[scheme.name])
    said = harmonic_well._lead()
    assert f"at every step for {right.name};" in said
    assert (
        f"off by 2.0 % for {small.name} and by 50 % for {large.name}, and {lost.name} keeps" in said
    )


def test_an_error_is_the_distance_of_a_moment_from_one(monkeypatch):
    kept = Harmonic(0.75, 1.5, 0.0, 2.0, 1.0, 1.0)
    monkeypatch.setattr(harmonic_well, "measures", lambda *_: kept)
    own = harmonic_well.words()[0]
    found = [harmonic_well.error.__wrapped__(own, 1.0, what) for what in ("position", "momentum")]
    assert found == [0.25, 0.5]
    monkeypatch.setattr(harmonic_well, "measures", lambda *_: replace(kept, position=None))
    assert isnan(harmonic_well.error.__wrapped__(own, 1.0, "position"))


def test_formulas_are_shown_in_the_friction_the_step_and_the_frequency():
    assert harmonic_well.shown(X).text == "γ h"
    assert harmonic_well.shown(Y).text in ("ω² h²", "h² ω²")
