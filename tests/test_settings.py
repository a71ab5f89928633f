"""What samplers are told beside their names: each takes what acts in it, and tables say so."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from typing import Any

import pytest

import splitting_analysis as sa
from reports.commands import derivation
from reports.commands.gaussian_options import churning
from reports.commands.options import with_options
from splitting_analysis import find, scheme
from splitting_analysis.held_code import _title
from splitting_analysis.lookup import conjugated, reading, told
from splitting_analysis.notation import parse
from splitting_analysis.retuned import with_noise_level
from splitting_analysis.schemes import Scheme, check_history
from splitting_analysis.settings import keys, shown
from tests.test_cli import run  # noqa: F401 - a fixture

HEUN, EDM = find("Heun", "ve"), find("EDM", "ve")
P2M, ROBA, EI, LDDIM = (find(name, "psld") for name in ("P2M", "ROBA", "EI", "LDDIM-I"))
WORD = scheme("S E:eps S@1 E:eps[2]", "ve")


@pytest.mark.parametrize(
    ("schemes", "cells"),
    [
        ([EDM, HEUN], ["", ""]),
        ([HEUN, WORD], ["clock ρ", "clock λ"]),
        ([WORD], [""]),
        ([LDDIM, EI], ["λ=0", ""]),
        (told([P2M, P2M, ROBA], factor="flow"), ["factor=flow", "factor=flow", ""]),
        ([P2M, *told([P2M], factor="aligned")], ["factor=lower", "factor=aligned"]),
        (told([P2M, ROBA], eta="1/2"), ["η=0.5", ""]),
        ([find("SA2", "ve"), find("DDIM", "ve")], ["", ""]),
        ([scheme("S E:data", "vp", "sde"), scheme("S E:data", "vp")], ["η=1", "η=0"]),
        (told([LDDIM, EI], skip=1), ["λ=0 skip=1", "skip=1"]),
        (with_options([find("DDPM"), find("DDIM", "vp")], None, ".5"), ["η=1", "η=0.5"]),
        (with_options([find("P3M"), P2M], None, None, lower_final=True), ["lower final order"] * 2),
        (churning([HEUN], "S_churn=10")[0], ["S_churn=10"]),
        (churning([EDM], "S_noise=1.003")[0], ["S_noise=1.003"]),
        ([sa.scheme("ROBA", lambda_s=2), ROBA], ["λ_s=2", ""]),
    ],
)
def test_a_row_says_what_it_was_told_and_no_more(schemes, cells):
    assert shown(schemes) == cells


def test_the_deterministic_row_beside_one_that_churns_stays_and_alone_it_may_churn():
    both, rest = churning([EDM, HEUN], "S_churn=10,T=9")
    assert both[0].churn and both[0].churn.S_churn == 10 and (both[1], rest) == (HEUN, "T=9")
    (alone,), _ = churning([HEUN], "S_churn=10")
    assert alone.stochastic and not HEUN.stochastic


def test_several_values_of_lambda_and_factor_make_a_row_each_where_they_act():
    given = "lambda=0,1/2,factor=lower,upper,nu=3"
    found, rest = conjugated([ROBA, EI, LDDIM], given, several=True)
    assert rest == "nu=3"
    assert [(s.name, s.conjugate, s.factor) for s in found] == [
        ("ROBA", 0, "lower"),
        *(("EI", 0, factor) for factor in ("lower", "upper")),
        *(("LDDIM-I", v, f) for v in (0, Fraction(1, 2)) for f in ("lower", "upper")),
    ]
    with pytest.raises(ValueError, match="several are for gaussian and stability"):
        conjugated([LDDIM], given)


@pytest.mark.parametrize(
    "change",
    [
        lambda own: told(own, factor="flow"),
        lambda own: told(own, "1/2"),
        lambda own: told(own, skip=2),
        lambda own: told(own, eta=1),
        lambda own: with_options(own, None, "1"),
        lambda own: with_options(own, "rho", None),
        lambda own: churning(own, "S_churn=1")[0],
    ],
)
def test_a_setting_is_refused_where_it_acts_in_none_and_beside_another_it_is_not(change: Any):
    with pytest.raises(ValueError, match="ROBA"):
        change([ROBA, ROBA])
    beside = [P2M, LDDIM, HEUN]
    first, *others = change([ROBA, *beside])
    assert first == ROBA and others != beside


def test_a_value_that_cannot_be_is_refused_beside_those_that_do_not_take_it():
    for given in ({"eta": -1}, {"eta": 2}, {"factor": "left"}, {"skip": -1}, {"value": 1e9}):
        with pytest.raises(ValueError, match=r"eta|factor|skip|lambda"):
            told([ROBA, P2M, EI, LDDIM], **given)
    with pytest.raises(ValueError, match="P2M: eta = 2"):  # though SA2 takes it
        told([find("SA2", "vp"), P2M], eta=2)
    with pytest.raises(ValueError, match=r"eta = 3/2; DDIM's own lies between 0 and 1"):
        told([scheme("S E:ddim", "vp")], eta="3/2")


def test_an_order_is_claimed_in_the_clock_of_the_claim_alone():
    own = find("DPM++2M", "vp")
    assert [told([own], clock=clock)[0].order for clock in ("lambda", "rho", "tau")] == [
        2, None, None
    ]  # fmt: skip


def test_a_score_that_is_carried_counts_among_the_evaluations_of_a_short_run():
    word = scheme("E:data[4] S@1 E:data[4]", "vp")
    check_history(word, 3)
    with pytest.raises(ValueError, match="through 4 evaluations, and a run of 2 steps has 3: take"):
        check_history(word, 2)


@pytest.mark.parametrize(("dynamics", "eta"), [("ode", "0.5"), ("sde", "0"), (" ODE", "1")])
def test_dynamics_and_a_noise_level_that_contradict_each_other_are_refused(run, dynamics, eta):  # noqa: F811
    for command in ("derive", "gaussian"):
        given = ["--nfe", "9"] if command == "gaussian" else []
        told = ["S E:data", "--dynamics", dynamics, "--eta", eta, *given]
        code, out, err = run(command, *told)
        assert (code, out) == (2, "") and "eta = 0 is the ODE" in err
    with pytest.raises(ValueError, match="eta = 0 is the ODE"):
        sa.gaussian("S E:data", nfe=9, spectrum=1, dynamics=dynamics, eta=eta)
    assert with_options([P2M], None, "0", dynamics="ode") == [P2M]


def test_a_level_that_was_told_is_in_the_heading_and_no_letter_is_called_noise(run, monkeypatch):  # noqa: F811
    monkeypatch.setattr(derivation, "held_formulas", lambda _, style, heading, say: str(heading))
    monkeypatch.setattr(derivation, "order_in_words", lambda _: "")
    code, out, err = run("derive", "S E:data", "--eta", "0.5")
    assert (code, "read as" in err) == (0, False) and "'noise level: eta = 1/2'" in out
    assert "noise level" not in run("derive", "PDDIM")[1]
    assert "'told: factor=flow'" in str(
        derivation._heading(told([P2M], factor="flow")[0], None, None)
    )
    table = sa.gaussian("S E:data", nfe=9, spectrum=1, eta=0.5)
    assert "read as" not in str(table) and "η=0.5" in str(table)
    own = with_noise_level(scheme("S E:data", "psld"), Fraction(1))
    assert "is noise" in reading(own, None)  # what the sentence would have been


def test_printed_tables_have_the_column_and_json_has_not(run):  # noqa: F811
    asked = ("gaussian", "LDDIM-I", "EI", "--nfe", "5", "--spectrum", "1", "--param", "lambda=0,2")
    _, out, _ = run(*asked)
    table = [line.split("\t")[:3] for line in out.splitlines()]
    assert table == [
        ["scheme", "settings", "steps"],
        ["LDDIM-I", "λ=0", "4"],
        ["LDDIM-I", "λ=2", "4"],
        ["EI", "", "4"],
    ]
    assert all("settings" not in row for row in json.loads(run(*asked, "--json")[1]))
    plain = sa.gaussian("ROBA", nfe=5, spectrum=1)
    assert plain.columns[:2] == ("scheme", "steps")


def test_rows_of_one_name_are_lines_of_their_own():
    table = sa.gaussian(P2M, *told([P2M], factor="flow"), nfe=[5, 9], spectrum=1)
    assert table.labels[::2] == ["P2M factor=lower", "P2M factor=flow"]


@pytest.mark.heavy
def test_a_plot_has_a_line_for_each_sampler_of_one_name():
    table = sa.gaussian(P2M, *told([P2M], factor="flow"), nfe=[5, 9], spectrum=1)
    assert [len(line.get_xdata()) for line in table.plot().get_lines()] == [2, 2]


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("psld", ("lambda", "factor", "skip")),
        ("ve", ("S_churn", "S_tmin", "S_tmax", "S_noise")),
        ("langevin", ()),
    ],
)
def test_an_unknown_parameter_is_answered_with_all_that_there_are(run, model, known):  # noqa: F811
    assert set(known) <= set(keys(model)) and ("S_churn" in keys(model)) == (model == "ve")
    name = {"psld": "ROBA", "ve": "DDIM", "langevin": "BAOAB"}[model]
    code, _, err = run("gaussian", name, "--model", model, "--nfe", "9", "--param", "nothing=1")
    allowed = err.partition("allowed: ")[2]
    assert code == 2 and all(key in allowed for key in known)
    assert isinstance(find(name, model), Scheme)


def test_a_grid_that_is_given_needs_no_number_of_steps_and_says_what_it_costs(run, tmp_path):  # noqa: F811
    times = tmp_path / "times.txt"
    times.write_text("0 0.3 0.7 0.99")
    asked = ("gaussian", "ROBA", "NOBA", "--spectrum", "1", "--grid", str(times), "--json")
    rows = json.loads(run(*asked)[1])
    assert [(row["steps"], row["nfe"]) for row in rows] == [(3, 4), (3, 7)]
    assert rows == json.loads(run(*asked, "--steps", "3")[1])
    own = sa.gaussian("ROBA", "NOBA", spectrum=1, grid=[0, 0.3, 0.7, 0.99])
    assert [row["w2_x"] for row in own] == [row["w2_x"] for row in rows]
    for option, count in (("--nfe", "4"), ("--steps", "4"), ("--nfe", "50")):
        code, _, err = run(*asked, option, count)
        assert code == 2 and "evaluations on this grid: ROBA 4, NOBA 7" in err
    assert "give either --nfe 50,100" in run(*asked, "--nfe", "4", "--steps", "3")[2]
    assert "give either --nfe 50,100" in run("gaussian", "ROBA")[2]


@pytest.mark.heavy
def test_samples_on_a_grid_that_is_given_need_no_budget():
    pytest.importorskip("torch")
    given: Any = {"n": 1, "grid": [0, 0.4, 1], "score": lambda z, tau: -z, "shape": (2,)}
    assert (sa.sample("NOBA", **given) == sa.sample("NOBA", nfe=4, **given)).all()


@pytest.mark.heavy
def test_images_on_a_grid_that_is_given_need_no_budget():
    pytest.importorskip("torch")
    images = sa.sample("ROBA", n=1, grid=[0, 0.5, 0.9])
    assert (images == sa.sample("ROBA", n=1, nfe=3, grid=[0, 0.5, 0.9])).all()


def test_a_sampler_that_churns_is_not_called_an_ode_alone(monkeypatch):
    monkeypatch.setattr(derivation, "order_in_words", lambda _: "")
    first = [derivation._heading(own, None, None)[0] for own in (EDM, HEUN)]
    assert ["with noise before each step" in line for line in first] == [True, False]
    assert EDM.kind == "ode+churn" and "(ve, ode+churn)" in _title(EDM)


def test_the_help_of_derive_says_the_grammar_and_refused_words_name_it(run):  # noqa: F811
    section = run("derive", "--help")[1].partition("Words, carried out")[2].partition("Examples")[0]
    rows = [line.strip() for line in section.splitlines()[1:] if line.strip()]
    tokens = [token for row in rows for token in re.split(r" {2,}", row.replace(" E:{", "  E:{"))]
    words = [t for t in tokens if re.match(r"[A-Z(]", t) and not t.startswith("E:{1")]
    assert len(words) > 15 and all(parse(word) for word in words)
    assert "derive --help" in run("derive", "S E:")[2]


@pytest.mark.parametrize(
    ("name", "options", "end"),
    [
        ("ROBA", "", "denoising step"),
        ("ROBA", "--param Gamma=0.02,T=2", "denoising step, Gamma = 0.02, T = 2"),
        ("DDIM", "--model vp --param beta_max=9", "denoising step, beta_max = 9"),
        ("DDIM", "--model vp --schedule cosine", "schedule cosine, T = 0.9946"),
        ("BAOAB", "--param gamma=2", "over T = 10, gamma = 2"),
    ],
)
def test_the_footer_says_what_the_process_was_told(run, name, options, end):  # noqa: F811
    asked = ("gaussian", name, "--steps", "3", "--spectrum", "1", *options.split())
    assert run(*asked)[2].splitlines()[0].endswith(end)


def test_a_clock_is_told_to_those_alone_in_which_it_acts_and_repeats_no_other():
    table = sa.gaussian("DPM++2M", "DDIM", model="vp", clock=["tau", "rho"], nfe=5, spectrum=1)
    assert [row["scheme"] for row in table] == ["DPM++2M", "DPM++2M", "DDIM"]
    own = sa.gaussian("DDIM", model="vp", nfe=5, spectrum=1)
    assert table.rows[2] == own.rows[0]
