"""What `validate` tells of a word beside its verdict: in text, in JSON and as a page."""

from __future__ import annotations

import json
import math
import re

import pytest

import splitting_analysis as sa
from reports import cli
from reports.pages.word import BUDGETS, NEAR_DATA, facts
from reports.render import html
from reports.render.document import Page, Table
from splitting_analysis.catalogue import samplers
from splitting_analysis.lookup import as_scheme

EVERY = [s for s in samplers() if s.model_name != "ve" and s.name not in ("UniPC3", "RK45")]


def ran(capsys, *arguments):
    """Exit status, standard output and standard error of a command."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    shown = capsys.readouterr()
    return ended.value.code or 0, shown.out, shown.err


def test_the_facts_are_those_of_the_functions_that_tell_one_each():
    found = facts(as_scheme("O S B A"), as_scheme("ROBAB"))
    told = found.as_dict()
    assert (told["order"], told["evaluations_per_step"]) == (sa.order("ROBA"), 1)
    table = sa.gaussian("O S B A", "ROBAB", nfe=list(BUDGETS))
    assert [(r["scheme"], r["nfe"], r["w2_x"]) for r in told["w2_x"]] == [
        (r["scheme"], r["nfe"], r["w2_x"]) for r in table.rows
    ]
    (limit,) = sa.stability("ROBA", tau=NEAR_DATA).rows
    assert told["largest_stable_step"] == {"tau": NEAR_DATA, "step": limit["largest_step"]}
    error = sa.local_error("ROBA", 2, lambda_s=1)
    assert {each["entry"][0] for each in told["local_error"]} == {"x", "m"}
    for each in told["local_error"]:
        assert each["text"] in str(error).replace("\n", " "), each


def test_a_verlet_step_of_a_unit_well_is_stable_up_to_two():
    assert facts(as_scheme("VV")).limit == pytest.approx(2, abs=1e-9)


@pytest.mark.parametrize("scheme", EVERY, ids=lambda s: f"{s.model_name} {s.dynamics} {s.name}")
@pytest.mark.share(60)
def test_all_there_is_of_any_sampler_is_told_and_what_there_is_not_has_its_reason(scheme):
    found = facts(scheme)
    told = found.as_dict()
    json.dumps(told, allow_nan=False)
    gaps = [row for row in told["w2_x"] if row["nfe"] is None]
    gaps += [told["order"]] * (told["order"] is None)
    gaps += [found.limit] * (found.limit is None)
    assert len(told["absent"]) == len(gaps)
    assert bool(told["local_error"]) == (told["order"] is not None)
    assert scheme.order in (None, told["order"]) or told["order"] is None
    page = html.render(Page("word", "T", "l", tuple(found.blocks())), [])
    assert all(html.inline(reason) in page for reason in told["absent"])
    assert str(scheme.word) in page and str(scheme.word) in str(found)


def test_what_is_not_finite_is_null_in_json_and_told_in_words():
    found = facts(as_scheme("S B A"))
    unstable = type(found)(found.scheme, 1, (), (("x", 10, 10, None),), math.nan, ())
    assert unstable.as_dict()["largest_stable_step"]["step"] is None
    assert "the exact flow itself grows" in str(unstable) and "x: –" in str(unstable)


def test_a_run_that_blew_up_is_unstable_here_as_it_is_in_the_table_and_its_problem_is_named():
    word = as_scheme("S B/2 A S@1 B/2", "psld")
    found = facts(word)
    causes = [row["unstable"] for row in sa.gaussian(word, nfe=list(BUDGETS)).rows]
    assert any(causes) and not all(causes)
    told = found.as_dict()["w2_x"]
    assert [row["unstable"] for row in told] == [bool(cause) for cause in causes]
    assert "unstable, " in str(found)
    on = "digits: 64 modes, start prior, uniform grid, eps 0.001, denoising step"
    page = html.render(Page("word", "T", "l", tuple(found.blocks())), [])
    assert f"on {on}\n" in str(found) and on in page and "unstable" in page


@pytest.mark.heavy
def test_validate_tells_of_a_word_all_that_is_known_beside_the_claimed_sampler(capsys, tmp_path):
    page = tmp_path / "page.html"
    code, shown, _ = ran(
        capsys, "validate", "S E", "--model", "vp", "--claims", "Euler", "--report", str(page)
    )
    assert code == 0
    text = page.read_text()
    known = facts(as_scheme("S E", "vp", "ode"), as_scheme("Euler", "vp"))
    assert f"\n\n{known}\n" in shown
    assert [name for name, *_ in known.rows[:: len(BUDGETS)]] == ["S E", "Euler"]
    for block in known.blocks():
        if isinstance(block, Table):
            assert all(block.shown(i, j) in text for i in range(2) for j in range(4))
    assert "copy LaTeX" in text
    assert "href=" not in text, "the page stands alone: it has no other page to lead to"


@pytest.mark.heavy
def test_json_has_the_word_under_its_own_key_and_code_has_none(capsys, tmp_path):
    code, shown, _ = ran(capsys, "validate", "S E", "--model", "vp", "--dynamics", "ode", "--json")
    told = json.loads(shown)
    assert code == 0 and told["holds"] and told["word"]["word"] == "S E"
    file = tmp_path / "mine.py"
    file.write_text("def step(z, t, h, score, noise, model):\n    return z\n")
    claims = ["--claims", "Euler", "--model", "vp", "--json"]
    code, shown, _ = ran(capsys, "validate", f"{file}:step", *claims)
    told = json.loads(shown)
    assert code == 1 and not told["holds"] and "word" not in told


@pytest.mark.heavy
def test_the_page_of_what_fails_begins_with_what_fails(capsys, tmp_path):
    page = tmp_path / "page.html"
    code, shown, _ = ran(
        capsys, "validate", "S E", "--model", "vp", "--claims", "Heun", "--report", str(page)
    )
    text = page.read_text()
    assert code == 1
    assert text.index('id="fails"') < text.index('id="holds"') < text.index('id="known"')
    failed = shown.count("\n        fail  ")
    (checks,) = re.findall(r"of (\d+) checks", shown)
    assert failed and f"{failed} of {checks} checks fail" in text
    assert text.count("<b>fails</b>") == failed


@pytest.mark.parametrize(("word", "dynamics"), [("S E:v[2]", "ode"), ("S E:data[2]", "sde")])
def test_the_symbols_of_an_error_where_a_prediction_is_held_are_told_below_it(word, dynamics):
    known = facts(as_scheme(word, "vp", dynamics))
    told = str(known).split("coefficient of h³\n")[1].split("\n  exact W2")[0].split("\n")
    formulas, legend = told[: len(known.error[0].items)], told[len(known.error[0].items) :]
    letters = set(re.findall(r"\b(?:P\d?|r\d|q)(?![\w(])", "\n".join(formulas)))
    assert {"r1"} < letters and all(
        any(line.strip().startswith(f"{name}: ") for line in legend) for name in letters
    )
