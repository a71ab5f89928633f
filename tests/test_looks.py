"""One look per sampler on all pages, told apart by colour-blind readers and in grey, never a
reference's.
"""

from __future__ import annotations

import colorsys
from itertools import combinations

import numpy as np
import pytest

from reports.render import figures, html
from reports.render.document import Figure, Line, Mark, Page, Panel, to_json
from reports.render.looks import MARKERS, PALETTE, looks
from splitting_analysis import catalogue
from splitting_analysis.catalogue import CATALOGUE, FURTHER, _entry, entries

PAIRS = [("NSE", "RSE"), ("NVV", "RVV"), ("NOBA", "ROBA"), ("NBAO", "RBAO"), ("NOBAB", "ROBAB")]
BUILT_IN = (*CATALOGUE, *FURTHER)
KEYS = sorted({(s.model_name, s.dynamics) for s in CATALOGUE})
# Machado, Oliveira & Fernandes 2009, full severity, on linear RGB
BLINDNESS = {
    "protan": "0.152286 1.052583 -0.204868  0.114503 0.786281 0.099216  -0.003882 -0.048116 "
    "1.051998",
    "deutan": "0.367322 0.860646 -0.227968  0.280085 0.672501 0.047413  -0.011820 0.042940 "
    "0.968881",
    "none": "1 0 0  0 1 0  0 0 1",
}


def linear(colour):
    s = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    ) @ np.clip(rgb, 0, 1)
    t = xyz / [0.9505, 1, 1.089]
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_every_sampler_has_a_look_of_its_own():
    found = looks()
    assert found.keys() == {s.name for s in BUILT_IN} | {"S E:data[3]"}
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize(("naive", "reduced"), PAIRS)
def test_a_naive_sampler_looks_like_its_reduced_form_hollow_and_dashed(naive, reduced):
    one, other = looks()[naive], looks()[reduced]
    assert (one.colour, one.marker) == (other.colour, other.marker)
    assert (one.hollow, other.hollow) == (True, False)
    assert one.dashes and not other.dashes


@pytest.mark.parametrize("at", [0, 7, len(CATALOGUE)])
@pytest.mark.parametrize(
    ("name", "word", "model", "dynamics"),
    [
        ("BABO", "S B/2 A S@1 B/2 O", "psld", "sde"),
        ("TWIN", "O S B A", "psld", "sde"),  # ROBA's word once more
        ("TWICE", "O S B S A", "psld", "sde"),  # and NOBA's
        ("AB", "S A B", "psld", "ode"),
        ("OBA", "O S B A", "langevin", "sde"),
    ],
)
def test_a_new_sampler_gets_a_look_of_its_own_and_leaves_the_others_theirs(
    monkeypatch, at, name, word, model, dynamics
):
    before = looks()
    name = f"{name} tried"  # a name that no catalogue will have
    new = _entry(name, word, model, dynamics, 1, word.count("S"), "nobody")
    monkeypatch.setattr(catalogue, "CATALOGUE", (*CATALOGUE[:at], new, *CATALOGUE[at:]))
    after = looks()
    assert {n: after[n] for n in before} == before
    assert after[name] not in before.values()


def test_a_new_pair_is_recognised_as_one(monkeypatch):
    new = (
        _entry("NAB tried", "S A S B", "psld", "ode", 1, 2, "nobody"),
        _entry("RAB tried", "S A B", "psld", "ode", 1, 1, "nobody"),
    )
    monkeypatch.setattr(catalogue, "CATALOGUE", (*CATALOGUE, *new))
    naive, reduced = looks()["NAB tried"], looks()["RAB tried"]
    assert (naive.colour, naive.marker) == (reduced.colour, reduced.marker) and naive.hollow


@pytest.mark.parametrize("key", KEYS, ids="-".join)
def test_samplers_of_one_panel_are_told_apart_in_grey_by_marker_and_filling(key):
    shown = [looks()[s.name] for s in entries(*key)]
    assert len({(look.marker, look.hollow) for look in shown}) == len(shown)


ROUND = "o8hp"


@pytest.mark.parametrize("key", KEYS, ids="-".join)
def test_of_one_hue_at_most_one_filled_marker_of_a_panel_is_nearly_round(key):
    found = [looks()[s.name] for s in entries(*key)]
    hues = [look.colour for look in found if look.marker in ROUND and not look.hollow]
    assert len(set(hues)) == len(hues)


@pytest.mark.parametrize("kind", BLINDNESS)
@pytest.mark.parametrize("key", KEYS, ids="-".join)
def test_hues_of_one_panel_are_far_apart_for_every_eye(key, kind):
    matrix = np.array(BLINDNESS[kind].split(), dtype=float).reshape(3, 3)
    hues = sorted({looks()[s.name].colour for s in entries(*key)})
    assert len(hues) >= 2
    for one, other in combinations(hues, 2):
        distance = np.linalg.norm(lab(matrix @ linear(one)) - lab(matrix @ linear(other)))
        assert distance > 18, (one, other)  # a just noticeable difference is about 2


def test_a_reference_is_grey_and_no_sampler_is():
    def saturation(colour):
        return colorsys.rgb_to_hls(*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)))[2]

    assert saturation(figures.GREY) < 0.1
    assert min(map(saturation, PALETTE)) > 0.3
    assert not {look.marker for look in figures._OTHERS} & set(MARKERS)


def figure(*lines, marks=()):
    return Figure(
        "f", "**A**. b", (Panel("p", lines, "x", "y", marks=marks), Panel("q", lines, "x", "y"))
    )


ROBA = Line("ROBA", (1.0, 2.0), (0.1, 0.2))
OTHER = Line("10 steps", (1.0, 2.0), (0.2, 0.3))
FLOOR = Line("floor", (1.0, 2.0), (0.01, 0.02), "reference")


def test_a_sampler_keeps_its_look_whatever_is_drawn_with_it():
    alone = figures.legend(Panel("p", (ROBA,), "x", "y"))
    with_others = figures.legend(Panel("p", (OTHER, Line("EM", (1.0,), (1.0,)), ROBA), "x", "y"))
    assert dict(alone)["ROBA"] == dict(with_others)["ROBA"] == looks()["ROBA"]
    assert dict(with_others)["10 steps"].colour not in PALETTE
    svg = figures.draw_panel(figure(ROBA, OTHER), 0)
    assert looks()["ROBA"].colour in svg and looks()["EM"].colour not in svg


def test_references_are_named_in_place_and_in_the_data_but_not_in_the_legend():
    shown = figure(ROBA, OTHER, FLOOR, marks=(Mark(0.05, "limit"),))
    assert [name for name, _ in figures.legend(shown.panels[0])] == ["ROBA", "10 steps"]
    plain = figures.draw_panel(figure(ROBA, OTHER), 0)
    drawn = figures.draw_panel(shown, 0)
    # two lines and their names
    assert plain.count(figures.GREY) == 0 and drawn.count(figures.GREY) >= 4
    panel, _ = to_json(Page("p", "T", "l", (shown,)))["blocks"][0]["panels"]
    assert panel["marks"] == [{"label": "limit", "level": 0.05}]
    assert panel["lines"][2]["label"] == "floor"


def test_panels_stand_apart_with_one_legend_below_where_all_name_the_same():
    page = html.render(Page("p", "T", "l", (figure(ROBA, OTHER),)), [("p", "P")])
    assert page.count('<div class="panel"><svg') == 2 and page.count('<ul class="legend">') == 1
    unlike = Figure(
        "g", "c", (Panel("p", (ROBA, OTHER), "x", "y"), Panel("q", (ROBA, FLOOR), "x", "y"))
    )
    page = html.render(Page("p", "T", "l", (unlike,)), [("p", "P")])
    assert page.count('<ul class="legend">') == 1  # of the first; one curve needs none
    last = page.index('<div class="panel"', page.index('<div class="panel"') + 1)
    assert page.index('<ul class="legend">') < last


def test_a_legend_shows_the_curve_as_it_is_drawn():
    hollow, filled = (figures.key_svg(looks()[name]) for name in ("NOBA", "ROBA"))
    assert "stroke-dasharray" in hollow and "var(--paper)" in hollow
    assert "stroke-dasharray" not in filled and f'fill="{looks()["ROBA"].colour}"' in filled
    shapes = {figures.key_svg(looks()[s.name]) for s in entries("psld")}
    assert len(shapes) == len(entries("psld"))
