"""A harmonic well, a free particle and a constant force, each by a second route.

Transport by running code, closed forms by numbers; what theory section 11 says of them. The law has
its second routes in test_harmonic_langevin.py.
"""

from __future__ import annotations

import json
import math

import pytest
import sympy
from hypothesis import given

import splitting_analysis as sa
from analytic_models.diffusions import Langevin
from analytic_models.harmonic import Harmonic, X, Y, closed_forms, measures, transport
from analytic_models.harmonic_table import lawless
from analytic_models.probing.reference import subject_for
from analytic_models.probing.stability import transport as code_transport
from analytic_models.table import Formula
from reports import cli
from splitting_analysis.catalogue import entries, find, samplers
from splitting_analysis.schemes import scheme
from tests.strategies import examples, splitting_words

SDE = entries("langevin", "sde")
WHOLE = ("BAOAB", "ABOBA", "OBABO", "BAOA", "O/2 A/2 S B A/2 O/2")
"""Friction split symmetrically around kicks, or kicks around it."""


def named(text):
    return scheme(text, "langevin", "sde") if " " in text else find(text, "langevin", "sde")


@pytest.mark.parametrize("text", WHOLE)
def test_friction_split_around_whole_kicks_drags_and_diffuses_by_half_its_cotangent(text):
    for gamma_h in (0.1, 1.0, 7.0):
        found = transport(named(text), Langevin(2 * gamma_h), 0.5)
        half = gamma_h / 2
        assert found == pytest.approx([half / math.tanh(half)] * 2, rel=1e-12)


@pytest.mark.parametrize("text", ["UBU", "BUB", "S B/4 U/2 S B/2 U/2 S B/4"])
def test_the_free_particle_moves_exactly_and_a_constant_force_pulls_it_exactly(text):
    for gamma in (0.2, 2.0, 14.0):
        assert transport(named(text), Langevin(gamma), 0.5) == pytest.approx((1, 1), rel=1e-12)


def test_where_the_momentum_of_a_free_particle_grows_there_is_no_transport_and_none_is_told():
    """Euler-Maruyama multiplies it by 1 - gamma h, beyond -1 for gamma h > 2."""
    table = sa.harmonic("EM", "BAOAB", h=[1.9, 2.5])
    told = [(row["diffusion"], row["drift"]) for row in table.rows]
    assert told[0] == pytest.approx((1, 1)) and told[1] == (None, None)
    assert None not in told[2] + told[3]
    assert "EM has no transport at h = 2.5: the momentum of a free particle grows" in table.note
    assert "EM has no transport at h = 1.9" not in table.note


def test_at_its_limit_a_step_keeps_no_law_and_just_below_it_a_wide_one():
    at, below = sa.harmonic("OBABO", h=[2, 2 * (1 - 1e-12)]).rows
    assert at["position"] is at["momentum"] is at["correlation"] is None
    assert below["position"] > 1e10


def test_kicks_moved_off_the_middle_of_the_friction_lose_that():
    found = transport(named("B/2 O/2 A O/2 S B/2"), Langevin(1.0), 1.0)
    assert found == pytest.approx((0.5 / math.tanh(0.5), 0.5 / math.sinh(0.5)), rel=1e-12)


@pytest.mark.heavy
@examples(3)
@given(word=splitting_words("langevin", "sde", 2))
def test_transport_is_that_of_running_code(word):
    own = scheme(word, "langevin", "sde")
    process = Langevin(1.2)
    ours = code_transport(subject_for(own), process, 0.48)
    assert transport(own, process, 0.4) == pytest.approx(ours, rel=1e-8)


def agree(own):
    forms = closed_forms(own)
    for h, omega, gamma in ((0.3, 0.5, 1.1), (0.7, 1.2, 2.3)):
        numbers = measures(own, h, omega, gamma)
        at = {X: gamma * h, Y: (omega * h) ** 2}
        for name in ("position", "momentum", "correlation", "diffusion", "drift"):
            value = float(sympy.sympify(getattr(forms, name)).subs(at))
            scale = omega * h if name == "correlation" else 1.0
            assert value * scale == pytest.approx(getattr(numbers, name), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("text", ["BAOAB", "EM"])
def test_a_closed_form_is_its_number(text):
    agree(named(text))


@pytest.mark.heavy
@pytest.mark.parametrize(
    "text",
    ["B/2 O/2 A O/2 S B/2", "ABOBA", "OBABO", "UBU", "BUB", "S B O/3 A O*2/3"],
)
def test_a_closed_form_with_tangents_is_its_number(text):
    agree(named(text))


@pytest.mark.heavy
def test_the_limit_is_where_the_closed_form_says():
    for entry in SDE:
        found = measures(entry, 0.1, 1.3, 0.9)
        # all boundaries of the catalogue rise with y slower than y itself: the first one counts
        gamma_h = found.limit * 0.9 / 1.3
        roots = [float(root.subs(X, gamma_h)) for root in LIMITS[entry.name]]
        assert min(abs(found.limit**2 - root) for root in roots) < 1e-6


@pytest.mark.parametrize(
    ("name", "friction"), [pytest.param("UBU", 30.0, marks=pytest.mark.heavy), ("BAOAB", 0.05)]
)
def test_a_law_is_kept_up_to_the_limit_and_none_beyond_whatever_the_friction(name, friction):
    own = find(name, "langevin")
    limit = measures(own, 0.01, 1.0, friction).limit
    below, above = (measures(own, limit * (1 + e), 1.0, friction) for e in (-1e-6, 1e-6))
    assert below.position is not None and above.position is None


@pytest.mark.parametrize(
    ("name", "h", "omega", "gamma"),
    [("EI", 100.0, 100.0, 0.1), ("BBK", 1e6, 1e6, 1e-6), ("SPV", 1e6, 1e6, 1e6)],
)
def test_far_beyond_stability_no_law_is_kept_either(name, h, omega, gamma, monkeypatch):
    monkeypatch.setattr("analytic_models.harmonic._limit", lambda *_: 2.0)
    assert measures(find(name, "langevin"), h, omega, gamma).position is None


def test_friction_as_small_as_rounding_costs_no_digits(monkeypatch):
    monkeypatch.setattr("analytic_models.harmonic._limit", lambda *_: 2.0)
    for name in ("BAOAB", "EM"):
        found = measures(find(name, "langevin"), 1e-6, 1e-6, 1e-6)
        law = found.position, found.momentum, found.diffusion, found.drift
        assert law == pytest.approx([1.0] * 4, abs=1e-11)


def test_a_step_without_a_law_is_told_where_no_limit_was_found_too():
    row = {"scheme": "X", "h": 40.0, "position": None, "limit": None}
    assert lawless([row], 2.0) == ["X keeps no law at h = 40: omega h = 80 is not stable"]


@pytest.mark.heavy
def test_the_limit_of_a_word_of_many_short_steps_is_found_and_told(capsys):
    word = "(B/12 A/12 O/6 A/12 S B/12)*6"  # BAOAB six times
    with pytest.raises(SystemExit) as status:
        cli.main(["harmonic", word, "--h", "40"])
    assert not status.value.code
    said = capsys.readouterr().err
    assert "keeps no law at h = 40: omega h = 40 is beyond its limit, 12\n" in said


TANGENT = sympy.tanh(X / 2)
LIMITS = {
    **dict.fromkeys(("BAOAB", "ABOBA", "OBABO", "BAOA"), (sympy.Integer(4),)),
    "EM": (X, 2 * X - 4),
    "EI": (
        2 * X**2 * TANGENT / (X * TANGENT - X + 2 * TANGENT),
        2 * X**2 / (X - 2 * TANGENT),
    ),
    **dict.fromkeys(("UBU", "BUB"), (2 * X / sympy.tanh(X / 2),)),
}


@pytest.mark.parametrize("name", ["BAOAB", "EM", pytest.param("BUB", marks=pytest.mark.heavy)])
def test_the_boundaries_of_the_closed_forms_are_those(name):
    for ours, known in zip(
        closed_forms(find(name, "langevin", "sde")).limit, LIMITS[name], strict=True
    ):
        assert sympy.simplify((ours - known).rewrite(sympy.exp)) == 0


def test_a_power_of_the_fast_part_is_one_of_its_letter():
    shown = Formula("phi**3*y**2*tanh(x/4)**3 - phi").shown
    assert shown == "φ³ y² tanh³(x/4) − φ"


@pytest.mark.heavy
def test_an_eigenvalue_on_the_circle_is_no_limit_where_another_is_beyond_it():
    own = scheme("S B*2/3 U B/3", "langevin", "sde")
    # an eigenvalue is -1 at 6 x/tanh(x/2), too
    assert closed_forms(own).limit == (3 * X,)
    limit = measures(own, 1.0, 1.0, 0.5).limit
    assert limit**2 == pytest.approx(3 * 0.5 * limit, rel=1e-9)


def test_formulas_have_no_sign_to_spare():
    found = closed_forms(find("OBABO", "langevin"))
    assert str(found.position) == "4/(4 - y)" and str(found.drift) == "x/(2*tanh(x/2))"


def test_the_command_prints_numbers_with_what_is_exact_and_names_what_is_too_long(capsys):
    with pytest.raises(SystemExit) as status:
        cli.main(["harmonic", "BAOAB", "UBU", "--h", "0.5,1.1", "--omega", "2", "--gamma", "6"])
    assert not status.value.code
    shown = capsys.readouterr()
    head, *rows = [line.split("\t") for line in shown.out.splitlines()]
    assert head == [
        "scheme",
        "h",
        "position",
        "momentum",
        "correlation",
        "limit",
        "diffusion",
        "drift",
    ]
    assert rows[0] == ["BAOAB", "0.5", "1", "0.75", "0", "2", "1.65719", "1.65719"]
    assert rows[1][2:5] == ["-", "-", "-"] and rows[3][0] == "UBU" and rows[3][2] != "-"
    assert "BAOAB keeps no law at h = 1.1: omega h = 2.2 is beyond its limit, 2" in shown.err


def test_the_command_gives_formulas_and_json(capsys):
    with pytest.raises(SystemExit):
        cli.main(["harmonic", "BAOAB", "--json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert row["momentum"] == "1 - y/4" and row["limit"] == "4" and row["scheme"] == "BAOAB"


def test_command_and_notebook_take_every_number_to_its_place(capsys, monkeypatch):
    """Measures that give back what they were asked for: those themselves take seconds."""
    monkeypatch.setattr(
        "analytic_models.harmonic_table.measures",
        lambda _, h, omega, gamma, fast: Harmonic(h, omega, gamma, fast, 1e-14, 1e-12),
    )
    with pytest.raises(SystemExit):
        cli.main(
            [
                "harmonic",
                "BAOAB-RESPA2",
                "--h",
                "0.25,0.5",
                "--omega",
                "3",
                "--gamma",
                "2",
                "--fast",
                "0.8",
                "--json",
            ]
        )
    rows = json.loads(capsys.readouterr().out)
    table = sa.harmonic("BAOAB-RESPA2", h=["1/4", 0.5], omega=3, gamma=2, fast=0.8)
    assert list(table) == rows
    for row, h in zip(rows, (0.25, 0.5), strict=True):
        assert [row[key] for key in ("h", "position", "momentum", "correlation", "limit")] == [
            h, h, 3, 2, 0.8
        ]  # fmt: skip
        assert (row["diffusion"], row["drift"]) == (0, 1e-12)  # what rounding leaves of 0 is 0


def test_a_limit_is_that_of_a_unit_well_with_the_friction_in_units_of_its_frequency(monkeypatch):
    monkeypatch.setattr("analytic_models.harmonic._limit", lambda _, friction, __: friction)
    assert measures(find("BAOAB", "langevin"), 0.1, 2.0, 3.0).limit == 1.5


def test_a_notebook_names_the_steps_that_keep_no_law_too(monkeypatch):
    monkeypatch.setattr(
        "analytic_models.harmonic_table.measures",
        lambda *_: Harmonic(None, None, None, 2.0, 1.0, 1.0),
    )
    note = sa.harmonic("BAOAB", h=3, omega=2).note
    assert note.endswith("BAOAB keeps no law at h = 3: omega h = 6 is beyond its limit, 2")
    with pytest.raises(ValueError, match="omega, gamma and fast are for numbers: give h, too"):
        sa.harmonic("BAOAB", omega=2)


@pytest.mark.heavy
def test_the_command_takes_every_number_to_the_measures_and_says_which(capsys, monkeypatch):
    one, two = find("SPV", "langevin"), find("BAOAB-RESPA2", "respa")
    mixed = scheme("S B A O", "langevin", "sde")
    numbers = ["--omega", "3", "--gamma", "2"]
    for own, more, told in (
        (one, ["--h", "0.25,0.5"], {}),
        (mixed, ["--h", "1e-5"], {}),
        (two, ["--h", "0.25,0.5", "--fast", "0.8"], {"fast": 0.8}),
    ):
        with pytest.raises(SystemExit):
            cli.main(["harmonic", own.name, *more, *numbers, "--json"])
        rows = json.loads(capsys.readouterr().out)
        assert [row["h"] for row in rows] == [float(h) for h in more[1].split(",")]
        for row in rows:
            found = measures(own, row["h"], 3.0, 2.0, **told)
            assert row["word"] == str(own.word)
            for key, value in vars(found).items():
                assert row[key] == pytest.approx(value, rel=1e-12, abs=1e-13), (own.name, key)
    assert abs(found.position - measures(two, 0.5, 3.0, 2.0).position) > 1e-3
    monkeypatch.setattr("analytic_models.harmonic_table.rows", lambda *_: iter(()))  # seconds each
    rest = "; the limit is of y, the correlation <q p>/h\n"
    for names, note in (
        (["SPV", "--h", "0.5", *numbers], "omega = 3, gamma = 2; exact: 1, 1, 0 and 1, 1\n"),
        (["SPV"], f"x = gamma h, y = (omega h)²{rest}"),
        (
            ["SPV", "BAOAB-RESPA2"],
            f"x = gamma h, y = (omega h)², φ the fast part of the force{rest}",
        ),
    ):
        with pytest.raises(SystemExit):
            cli.main(["harmonic", *names])
        assert capsys.readouterr().err.endswith(note)


def test_without_a_name_the_command_has_every_sampler_of_kinetic_langevin(capsys, monkeypatch):
    monkeypatch.setattr("analytic_models.harmonic._limit", lambda *_: 2.0)
    with pytest.raises(SystemExit):
        cli.main(["harmonic", "--h", "0.5", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert [row["scheme"] for row in rows] == [s.name for s in samplers("langevin", "sde")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["BAOAB", "--h", "-1"], "h = -1: h lies between 1e-06 and 1e+06"),
        (["BAOAB", "--h", "1,x"], "--h: 'x' is not a number"),
        (["BAOAB", "--h", "1", "--gamma", "0"], "gamma = 0: gamma lies between"),
        (["BAOAB", "--h", "1", "--omega", "1e9"], "omega = 1e+09: omega lies between"),
        (["BAOAB", "--omega", "2"], "--omega, --gamma and --fast are for numbers: give --h, too"),
        (["S B C/2 A O"], "the fractions of C add up to 1/2"),
        (["S B C A/2 O"], "the fractions of A add up to 1/2"),
        (["BAOAB", "--h", "1", "--fast", "0.9"], "--fast is for words of two forces"),
        (["VV"], "VV is no langevin sde scheme; it belongs to langevin (ode)"),
        (["ROBA", "--h", "1"], "ROBA is no langevin sde scheme"),
    ],
)
def test_the_command_refuses_what_means_nothing(capsys, arguments, said):
    with pytest.raises(SystemExit) as status:
        cli.main(["harmonic", *arguments])
    assert status.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")


@pytest.mark.parametrize(
    ("name", "model", "said"), [("VV", "langevin", "no friction"), ("ROBA", "psld", "psld")]
)
def test_measures_are_those_of_langevin_with_friction(name, model, said):
    for ask in (closed_forms, lambda s: measures(s, 1.0)):
        with pytest.raises(ValueError, match=said):
            ask(find(name, model))
