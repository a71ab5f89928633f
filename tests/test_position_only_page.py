"""The page on samplers that hold a prediction: its sentences are its tables, its numbers those of
the API.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

import splitting_analysis as sa
from reports.pages import exact_runs, site
from reports.pages import position_only as page
from reports.pages.exact_runs import GRIDS
from reports.pages.settings import QUICK
from reports.render.document import printed
from reports.render.figures import legend
from reports.render.spelling import listed
from splitting_analysis.grids import EPS
from splitting_analysis.held_error import held_error, leading_power
from splitting_analysis.lookup import as_scheme
from splitting_analysis.position_catalogue import HELD_CATALOGUE

pytestmark = pytest.mark.heavy  # the page takes seconds to be built

SLOW = ("UniPC2", "UniPC3", "S E:data[3]")


@pytest.fixture(scope="module")
def built():
    return page.build(QUICK)


def cells(table):
    """Errors by sampler, grid and budget."""
    keys = [c.key for c in table.columns]
    return {
        (re.sub(r"`|^\[|\]\(.*", "", str(row[0])), grid, nfe): row[keys.index(f"{grid}{nfe}")]
        for row in table.rows
        for grid in GRIDS
        for nfe in page.TABLED
    }


def test_the_page_is_registered_under_its_slug(built):
    assert (built.slug, "Position-only samplers", page.build) in site.PAGES


def test_the_lead_names_the_most_accurate_of_the_table_with_its_error(built):
    table = built.find("position-only-vp")
    found, sentence = cells(table), built.lead.split(". With")[0]
    for grid in GRIDS:
        for names in (page.HELD, ("Euler", "Heun", "RK4", "EI")):
            errors = {n: e for n in names if isinstance(e := found[n, grid, page.TOLD], float)}
            best = min(errors, key=errors.__getitem__)
            assert re.search(rf"(?<!\w){re.escape(best)}(?!\w)", sentence)
            assert printed(errors[best]) in sentence
    assert f"With {page.TOLD} score evaluations the best of eleven samplers" in sentence


def test_the_lead_counts_those_of_higher_order_that_are_behind_ddim(built):
    found, orders = cells(built.find("position-only-vp")), built.find("position-only-orders")
    higher = [n for n in page.HELD if order_in(orders, n)[0] >= 2]
    words = ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    for grid in GRIDS:
        behind = [n for n in higher if found[n, grid, page.FEW] > found["DDIM", grid, page.FEW]]
        assert f"{words[len(behind)]} on the {grid} grid" in built.lead
        assert page.behind(grid) == behind
    assert f"of the {words[len(higher)]} of order 2 or more" in built.lead


def order_in(table, name):
    keys = [c.key for c in table.columns]
    row = next(row for row in table.rows if str(row[0]).strip("`") == name)
    return row[keys.index("order")], row[keys.index("claimed")], row[keys.index("power")]


@pytest.mark.parametrize(
    ("name", "model", "grid", "nfe"),
    [
        ("UniPC2", "vp", "quadratic", 20),
        ("DEIS3", "vp", "uniform", 10),
        ("Midpoint", "flow", "uniform", 50),
    ],
)
def test_a_cell_is_what_the_function_for_exact_errors_gives(built, name, model, grid, nfe):
    row = sa.gaussian(name, nfe=nfe, model=model, grid=grid, start="pT", denoise=False).rows[0]
    shown = cells(built.find(f"position-only-{model}"))[name, grid, nfe]
    assert shown == pytest.approx(row["w2_x"], rel=1e-12)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "scheme",
    [s if s.name not in SLOW else pytest.param(s, marks=pytest.mark.heavy) for s in page.ordered()],
    ids=lambda s: f"{s.model_name}-{s.name}",
)
def test_an_order_in_the_table_is_that_of_the_symbolic_error(built, scheme):
    error = held_error(scheme)
    assert leading_power(scheme) == error.power
    rows = {(row[1], row[2], row[5], row[7]) for row in built.find("position-only-orders").rows}
    shown = page.ordered()[scheme], error.order, "h" + "⁰¹²³⁴⁵"[error.power]
    assert (f"`{scheme.word}`", *shown) in rows


def test_the_table_of_orders_has_every_sampler_of_the_probability_flow_once(built):
    rows = [(row[0], row[1]) for row in built.find("position-only-orders").rows]
    expected = {(s.name, f"`{s.word}`") for s in HELD_CATALOGUE if s.dynamics == "ode"}
    assert len(set(rows)) == len(rows) and set(rows) == expected | {
        (f"`{name}`",) * 2 for name in page.UNNAMED
    }


def test_a_claim_is_shown_only_where_another_order_is_derived_and_a_note_says_so(built):
    table = built.find("position-only-orders")
    claimed = {row[0]: (row[5], row[6]) for row in table.rows if row[6] is not None}
    assert claimed == {"DPM++3M": (2, 3)}
    told = " ".join("".join(map(str, b.parts)) for b in built.blocks if hasattr(b, "parts"))
    assert "**DPM++3M.**" in told and "order is 2, not 3" in told


def said(built):
    return " ".join("".join(map(str, b.parts)) for b in built.blocks if hasattr(b, "parts"))


def test_the_dotted_line_is_the_exact_flow_cut_at_eps(built):
    other_route = exact_runs.limit("vp", "ode", "pT", denoise=False)["w2_x"]
    assert page.limit("vp") == pytest.approx(other_route, rel=1e-6)
    variances = np.asarray(page.problem("flow", "uniform").target.variances)
    there = np.sqrt((1 - EPS) ** 2 * variances + EPS**2)  # x_tau = (1 - tau) x_0 + tau eps
    assert page.limit("flow") == pytest.approx(np.linalg.norm(there - np.sqrt(variances)))
    for model in ("vp", "flow"):
        caption = built.find(f"position-only-{model}").caption
        assert f"h → 0 is {printed(page.limit(model))}." in caption


def test_who_is_said_to_be_below_the_dotted_line_has_a_point_there(built):
    figure = built.find("position-only-nfe")
    names = [line.label for line in figure.panels[0].lines]
    low = {
        line.label
        for panel in figure.panels
        for line in panel.lines
        if min(y for y in line.y if y == y) < 0.95 * panel.marks[0].level
    }
    told = said(built).partition("The dotted line is no bound: ")[2].partition(" come")[0]
    assert low and told == listed([name for name in names if name in low])


def test_the_text_names_those_of_higher_order_that_are_behind_ddim_and_their_clocks(built):
    told = said(built).partition("though of higher order, are ")[2]
    for grid in GRIDS:
        assert f"on the {grid} grid {listed(page.behind(grid))}" in told or not page.behind(grid)
    behind = {name for grid in GRIDS for name in page.behind(grid)}
    clocks = {as_scheme(name, "vp").in_clock for name in behind}
    assert told.partition(".")[0].endswith("all of them in the clock λ") == (clocks == {"lambda"})


def test_the_sentence_on_flow_matching_names_the_best_of_its_table(built):
    found = cells(built.find("position-only-flow"))
    told = said(built).partition("along a straight line. ")[2]
    for grid in GRIDS:
        errors = {n: e for n in page.FLOW if isinstance(e := found[n, grid, page.TOLD], float)}
        best = min(errors, key=errors.__getitem__)
        assert f"{printed(errors[best])} on the {grid} grid ({best})" in told


def test_weak_orders_are_the_claimed_ones_and_every_sampler_says_its_cost_and_clock(built):
    weak = {row[1]: row[2:] for row in built.find("position-only-weak-orders").rows}
    noisy = {f"`{s.word}`": s for s in HELD_CATALOGUE if s.dynamics == "sde"}
    assert weak == {word: (s.nfe, s.order, s.order) for word, s in noisy.items()}
    clocks = {"tau": "τ", "lambda": "λ", "rho": "σ/α"}
    rows = {(row[1], row[3], row[4]) for row in built.find("position-only-orders").rows}
    assert rows == {(f"`{s.word}`", clocks[s.in_clock], s.nfe) for s in page.ordered()}
    for model in ("vp", "flow"):
        for row in built.find(f"position-only-{model}").rows:
            name = re.sub(r"`|^\[|\]\(.*", "", str(row[0]))
            assert row[2] == as_scheme(name, model).nfe
    for s in HELD_CATALOGUE:
        if s.model_name == "vp" and s.source.erratum:
            assert s.source.erratum in said(built) and s.name in said(built)


def test_a_run_that_blew_up_has_no_point_and_says_so_in_the_table(built):
    found = cells(built.find("position-only-vp"))
    curves = {
        (line.label, grid): dict(zip(line.x, line.y, strict=True))
        for grid, panel in zip(GRIDS, built.find("position-only-nfe").panels, strict=True)
        for line in panel.lines
    }
    gone = [key for key, value in found.items() if value == "unstable"]
    assert ("RK4", "uniform", 10) in gone
    for (name, grid, nfe), value in found.items():
        drawn = curves[name, grid][nfe]
        assert np.isnan(drawn) if value == "unstable" else drawn == value


def test_curves_of_a_panel_differ_in_marker(built):
    for panel in built.find("position-only-nfe").panels:
        markers = [look.marker for _, look in legend(panel)]
        assert len(set(markers)) == len(markers) == 15


def test_the_last_step_is_stretched_as_the_log_snr_of_vp_says():
    def reading(tau):  # alpha^2 / sigma^2 = 1 / (e^B - 1) with B the integral of beta
        return -np.log(np.expm1(0.1 * tau + 9.95 * tau * tau)) / 2

    taus = 1 - np.linspace(0, 1 - EPS, page.FEW + 1)
    first, second = np.diff(reading(taus[-3:]))
    assert page.stretch("uniform") == pytest.approx(second / first, rel=1e-9)


def test_words_without_an_entry_are_shown_as_code():
    assert page._named(as_scheme("S E:data[3]", "vp")) == "`S E:data[3]`"
