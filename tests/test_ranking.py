"""Pages on the whole family and on what ranks samplers: what they say of the stored cells."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch

from analytic_models.diffusions import PSLD
from analytic_models.problem import Problem, problem_for
from analytic_models.targets import Gaussian
from gpu_samplers.features import digit_features
from gpu_samplers.quality import frechet_distance
from reports.experiments import family, predicted, quality, store
from reports.pages import family as family_page
from reports.pages import questions, ranking, site
from reports.pages.settings import QUICK
from reports.render import figures
from reports.render.spelling import listed
from splitting_analysis.catalogue import find
from splitting_analysis.schemes import steps_for


@pytest.fixture(scope="module")
def kept():
    found = store.stored("family")
    assert found is not None
    return found


def test_a_law_that_is_the_datas_moves_no_image():
    centre, variances, modes = predicted.basis("dataset")
    law = Problem(PSLD(), Gaussian(variances, centre @ modes)).law("SSCS", 400)
    exact = type(law)(
        ((centre @ modes), *law.mean[1:]), ((variances, 0), (0, 0)), law.nfe, law.steps
    )
    pixels = quality.target("dataset").data.float()
    assert torch.allclose(predicted.moved("dataset", exact), pixels, atol=1e-6)
    assert not torch.allclose(predicted.moved("dataset", law), pixels, atol=1e-4)


def test_images_moved_have_the_mean_and_covariance_of_the_law():
    centre, variances, modes = predicted.basis("dataset")
    own = np.where(np.arange(64) % 2, variances / 4, variances + 0.1)
    mean = centre @ modes + 0.3
    law = Problem(PSLD(), Gaussian(variances, centre @ modes)).law("EM", 2)
    moved = predicted.moved("dataset", type(law)((mean, 0), ((own, 0), (0, 0)), 1, 1))
    inside = moved.double().flatten(1).numpy() @ modes
    assert np.max(np.abs(inside.mean(0) - mean)) < 0.05
    narrow = np.arange(64) % 2 == 1
    assert np.allclose(inside.var(0)[narrow], own[narrow], rtol=1e-4, atol=1e-6)
    assert np.allclose(inside.var(0)[~narrow], own[~narrow], rtol=0.2)


ROWS = [
    {"sampler": name, "grid": grid, "nfe": 5, "frechet": f, "frechet_error": e, "w2_x": w}
    for name, grid, f, e, w in [
        ("a", "uniform", 10.0, 1.0, 0.1),
        ("b", "uniform", 14.0, 1.0, 0.2),  # 2.8 standard errors from a: chance
        ("c", "uniform", 15.0, 1.0, 0.05),  # 3.5: decided, and W2 has it wrong
        ("d", "uniform", None, None, None),  # diverged: worse than every one
        ("e", "uniform", 5000.0, 1.0, 3.0),  # no images: against d undecided
        ("f", "quadratic", 1.0, 0.1, 9.0),  # alone on its grid
    ]
]


def test_a_large_distance_without_an_error_of_its_own_has_a_twentieth_as_that():
    found = [cell for cell in ranking.cells("dataset") if cell["frechet"] is not None]
    spread = min(cell["frechet_error"] for cell in found)
    assert {cell["frechet_error"] == spread for cell in found} == {True, False}
    for cell in found:
        assert cell["frechet_error"] == max(spread, 0.05 * cell["frechet"])


def test_pairs_that_count_differ_by_more_than_chance_and_one_of_them_makes_images():
    pairs = {(a["sampler"], b["sampler"]) for a, b in ranking.decided(ROWS)}
    assert pairs == {("a", "c"), *product("abc", "de")}
    assert ranking.right(ranking.decided(ROWS), "w2_x") == 6
    assert ranking.right(ranking.decided(ROWS), "kl_x") is None


@pytest.mark.parametrize("part", ranking.PARTS)
def test_the_table_of_pairs_counts_the_stored_cells(part):
    nfe = 5 if part == "family" else 10
    cells = [c for c in ranking.cells(part) if c["nfe"] == nfe]
    page = ranking.build(QUICK)
    (row,) = (r for r in page.find("ranking-pairs").rows if r[:2] == (ranking.PARTS[part], nfe))

    def size(cell, key):
        return math.inf if cell[key] is None else cell[key]

    total = right = 0
    for a in cells:
        for b in cells:
            if a["grid"] != b["grid"] or not size(a, "frechet") < min(1e3, size(b, "frechet")):
                continue
            error = math.hypot(a["frechet_error"], b["frechet_error"] or 0.0)
            if size(b, "frechet") - a["frechet"] > 3 * error:
                total += 1
                right += size(a, "predicted") < size(b, "predicted")
    assert row[2] == total
    assert row[3] == pytest.approx(100 * right / total)


def test_the_lead_names_the_least_and_the_most_of_the_table():
    page, ends = ranking.build(QUICK), list[float]()
    for row in (r for r in page.find("ranking-pairs").rows if r[1] == "all"):
        shares = [float(share) for share in row[3:] if share is not None]
        said = next(part for part in page.lead.split("; ") if str(row[0]) in part[-60:])
        for share in (min(shares), max(shares)):
            assert f"{share:.0f}%" in said and f"of {row[2]} on the {row[0]}" in said
        ends += shares
    assert f"comes closer in {min(ends):.0f}% to {max(ends):.0f}% of the pairs" in page.lead


def test_a_budget_has_one_marker_in_all_panels():
    figure = ranking.build(QUICK).find("ranking-foretold")
    assert figures.shared_legend(figure) and len(figure.panels) == 3


def test_a_budget_that_was_not_computed_to_the_end_is_not_shown(kept, monkeypatch):
    assert {row["nfe"] for row in family_page.rows()} == set(kept["whole"])
    monkeypatch.setattr(store, "stored", lambda _: {**kept, "whole": kept["whole"][:1]})
    assert {row["nfe"] for row in family_page.rows()} == {kept["whole"][0]}


def test_every_budget_called_whole_has_every_sampler_on_both_grids(kept):
    there = {(row["sampler"], row["grid"], row["nfe"]) for row in kept["rows"]}
    assert kept["whole"]
    assert there >= set(family.keys(tuple(kept["whole"])))


def test_the_page_names_the_best_of_each_budget_and_what_is_beyond_chance(kept):
    page = family_page.build(QUICK)
    table = page.find("family-best")
    beyond = []
    for nfe, held, other, _ in table.rows:
        there = [r for r in kept["rows"] if r["nfe"] == nfe and r["frechet"] is not None]
        holding = [r for r in there if r["sampler"].startswith(("PDDIM", "P2M", "P3M"))]
        rest = [r for r in there if r not in holding]
        first, second = (min(rows, key=lambda r: r["frechet"]) for rows in (holding, rest))
        assert held.startswith(f"{first['sampler']}, {first['grid']} grid: ")
        assert other.startswith(f"{second['sampler']}, {second['grid']} grid: ")
        error = np.hypot(first["frechet_error"], second["frechet_error"])
        beyond += [nfe] if second["frechet"] - first["frechet"] > 3 * error else []
    assert [row[0] for row in table.rows] == kept["whole"]
    assert f"with {listed([str(n) for n in beyond])} evaluations samplers that hold" in page.lead


@pytest.mark.heavy
def test_the_exact_errors_beside_the_cells_are_those_of_now(kept):
    rows = [r for r in kept["rows"] if r["lambda"] is None and r["w2_x"] is not None][::3]
    assert len(rows) > 3
    for row in rows:
        scheme = family.samplers()[row["sampler"]]
        run = problem_for("psld", "digits", grid=row["grid"], denoise="data")
        steps = steps_for(row["nfe"], scheme, "data")
        assert run.errors(scheme, steps)["w2_x"] == pytest.approx(row["w2_x"], rel=1e-5)


@pytest.mark.heavy
def test_lambda_of_a_conjugate_integrator_is_the_best_of_those_tried(kept):
    rows = [r for r in kept["rows"] if r["lambda"] is not None and r["sampler"] != "EI"]
    for row in rows:
        scheme = family.chosen(find(row["sampler"], "psld"), row["grid"], row["nfe"])
        assert float(scheme.conjugate) == row["lambda"]


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["SSCS", "P2M, lower"])
def test_a_stored_distance_on_the_network_is_that_of_now(kept, name):
    (row,) = (
        r for r in kept["rows"] if (r["sampler"], r["grid"], r["nfe"]) == (name, "quadratic", 5)
    )
    again = family.row((name, "quadratic", 5))
    assert again["frechet"] == pytest.approx(row["frechet"], rel=0.01)
    assert again["frechet_error"] == pytest.approx(row["frechet_error"], rel=0.05)


def test_what_is_foretold_now_is_what_is_stored():
    found = store.stored("predicted")
    assert found is not None
    (row,) = (
        r
        for r in found["rows"]
        if (r["part"], r["sampler"], r["grid"], r["nfe"]) == ("network", "ROBA", "uniform", 50)
    )
    where = quality.target("network")
    pixels = where.data.double().flatten(1).numpy()
    mean, covariance = pixels.mean(0), np.cov(pixels.T, bias=True)
    variances, modes = np.linalg.eigh(covariance)
    run = Problem(PSLD(), Gaussian(np.maximum(variances, 0), mean @ modes))
    law = run.law("ROBA", steps_for(50, find("ROBA")))
    # another way there: the optimal map where a mode narrows, noise where it widens
    own = np.asarray(law.covariance[0][0])
    keep = np.sqrt(np.minimum(own, variances) / np.where(variances > 1e-9, variances, np.inf))
    add = (modes * np.sqrt(np.maximum(own - np.maximum(variances, 0), 0.0))) @ modes.T
    noise = np.random.default_rng(0).normal(size=pixels.shape)
    images = (pixels - mean) @ (modes * keep) @ modes.T + noise @ add + modes @ law.mean[0]
    features = digit_features(torch.tensor(images).float().reshape(where.data.shape))
    again = frechet_distance(features, digit_features(where.data))
    assert again == pytest.approx(row["predicted"], rel=2e-3)


def test_every_open_question_is_answered_by_pages_that_there_are():
    slugs = {slug for slug, _, _ in site.PAGES}
    assert {slug for question in questions.QUESTIONS for slug in question.evidence} <= slugs
    assert {*questions.MEASURE} <= slugs
    page = ranking.build(QUICK)
    told = questions.build([page])
    assert any(page.lead[:60] in str(block) for block in told.blocks)


def test_the_lead_on_the_family_says_who_is_closest_beyond_chance(monkeypatch):
    gaps = {5: (10.0, 1.0), 10: (-10.0, 1.0), 20: (1.0, 1.0), 50: (-1.0, 1.0)}
    monkeypatch.setattr(family_page, "_budgets", lambda _: list(gaps))
    monkeypatch.setattr(family_page, "gap", lambda _, nfe: gaps[nfe])
    said = family_page._lead([])
    assert "with 5 evaluations samplers that hold the data come closest" in said
    assert "with 10 evaluations a sampler that does not hold" in said
    assert "with 20 and 50 evaluations the best of the two kinds" in said
