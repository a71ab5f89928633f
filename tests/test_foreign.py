"""Samplers of today's toolboxes, judged: what is stored, and what the page says of it."""

from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from typing import Any

import pytest

from reports.experiments import foreign_causes, foreign_runs, store
from reports.experiments.foreign_cases import CASES, Case
from reports.pages import foreign
from reports.pages.foreign_causes import CAUSES, HARMLESS, cause_of
from reports.pages.settings import QUICK
from reports.render.document import tables


def data():
    return store.stored("foreign")


def rows():
    return [
        (c, r) for name, found in data()["libraries"].items() for c, r in foreign._rows(name, found)
    ]


def test_every_case_is_stored_once_and_nothing_else():
    for library, cases in CASES.items():
        keys = [case.key for case in cases]
        assert len(set(keys)) == len(keys)
        assert [row["key"] for row in data()["libraries"][library]] == keys


@pytest.mark.parametrize("name", ["defects", "foreign"])
def test_what_is_stored_was_found_by_the_validation_as_it_is(name):
    kept = store.stored(name) or {}
    rows = kept["rows"] if name == "defects" else [*chain(*kept["libraries"].values())]
    old = [row["key"] for row in rows if row.get("judge") != store.judge()]
    assert not old, f"recompute {len(old)} verdicts: {store.KEPT[name].command}"


def test_a_comment_asks_for_nothing_and_a_number_for_all_verdicts_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "JUDGE", tmp_path)
    digests = []
    for text in ("CLOSE = 1\n", "# why\n\nCLOSE = 1\n", "CLOSE = 2\n"):
        (tmp_path / "law.py").write_text(text)
        digests.append(store.judge())
    assert digests[0] == digests[1] != digests[2]


def test_every_failure_has_a_cause_with_its_numbers():
    known = {trace["cause"] for trace in data()["causes"]}
    for case, row in rows():
        if foreign.verdict_of(row) == "fails":
            assert cause_of(case) in known & set(CAUSES), case.key


def test_every_cause_is_what_the_formula_says_and_not_what_is_right():
    assert {trace["cause"] for trace in data()["causes"]} == set(CAUSES)
    for trace in data()["causes"]:
        right, formula, seen = trace["right"], trace["formula"], trace["seen"]
        assert right != pytest.approx(formula, rel=1e-6)
        if seen is not None:
            assert seen == pytest.approx(formula, rel=1e-4, abs=1e-9)


def test_the_page_names_all_that_fails_with_its_command():
    page = foreign.build(QUICK)
    table = next(t for t in tables(page) if t.key == "foreign-failures")
    failing = [case for case, row in rows() if foreign.verdict_of(row) == "fails"]
    assert [row[4] for row in table.rows] == [f"`{case.command}`" for case in failing]
    assert f"Of {len(rows())} configurations" in page.lead


def test_an_order_that_settles_on_one_target_only_is_not_settled():
    check = ["its order is 2: 2 holds, 3 does not", "fail", "order 2", "", "runs"]
    for seen, verdict in (
        ("nothing that settles on a Gaussian target, 1.7 on a skewed target", "not settled"),
        ("1.6 on a Gaussian target, 1.7 on a skewed target", "fails"),
    ):
        check[3] = seen
        assert foreign.verdict_of({"verdict": "fails", "checks": [check]}) == verdict


def test_a_command_is_what_a_shell_takes():
    case = Case("diffusers:X", "S E:data[2]", (("a", "1"), ("b", "two")))
    command = "splitting-analysis validate diffusers:X --option a=1 --option b=two --claims"
    assert case.command == f"{command} 'S E:data[2]'"


def here(library):
    """Whether the library is the version that the stored rows are about."""
    name = {"k_diffusion": "k-diffusion"}.get(library, library)
    try:
        return {row["version"] for row in data()["libraries"][library]} == {version(name)}
    except PackageNotFoundError:
        return False


@pytest.mark.heavy
@pytest.mark.parametrize(
    "key",
    [
        "diffusers:DDIMScheduler | DDIM",
        "diffusers:DDPMScheduler | variance_type=fixed_large | Euler-a",
        "diffusers:EulerDiscreteScheduler | Euler",
        "diffusers:HeliosScheduler | scheduler_type=euler | Euler",
        "diffusers:IPNDMScheduler | order=4",
        "k_diffusion:sample_dpmpp_2m | DPM++2M",
        "openmm:LangevinMiddleIntegrator | BAOA",
    ],
)
def test_a_stored_verdict_is_found_again(key):
    from reports.experiments.foreign import judged

    library = key.partition(":")[0]
    if not here(library):
        pytest.skip(f"{library} is absent, or another version: make foreign")
    case = next(case for case in CASES[library] if case.key == key)
    stored = next(row for row in data()["libraries"][library] if row["key"] == key)
    found = judged(case)
    names = [[name, verdict] for name, verdict, *_ in found.pop("checks")]
    assert names == [[name, verdict] for name, verdict, *_ in stored["checks"]]
    found.pop("judge")  # whose verdict it was is another test's business
    rest = {name: value for name, value in stored.items() if name not in ("checks", "judge")}
    assert found == rest


@pytest.mark.skipif(not here("diffusers"), reason="diffusers is absent, or another version")
@pytest.mark.parametrize(
    "trace",
    [
        foreign_causes.step_beside_the_grid,
        foreign_runs.equal_steps_assumed,
        foreign_causes.sign_of_the_third_order,
        pytest.param(foreign_causes.times_cut, marks=pytest.mark.heavy),
        pytest.param(foreign_runs.mixed_before_converted, marks=pytest.mark.heavy),
        pytest.param(foreign_causes.two_interpolations, marks=pytest.mark.heavy),
    ],
)
def test_a_stored_cause_is_found_again(trace):
    known = {row["what"]: row for row in data()["causes"]}
    for found in trace():
        stored = known[found.what]
        assert (found.seen is None) == (stored["seen"] is None)
        for name in ("right", "formula", *(["seen"] if found.seen is not None else [])):
            assert getattr(found, name) == pytest.approx(stored[name], rel=1e-5)


def a_row(*checks: tuple[str, ...], verdict: str = "fails") -> dict[str, Any]:
    return {"verdict": verdict, "checks": [(*check, "") for check in checks]}


ORDER = ("the order is 2", "fail", "2; claimed", "nothing that settles; 1.4")
NOISE = ("its noise is the claimed one", "fail", "1; whole", "0.5; half of it")
FINE = ("its times are right", "pass", "", "all of them")


def test_a_row_fails_where_more_than_an_unsettled_order_does():
    assert foreign.verdict_of(a_row(FINE, ORDER)) == "not settled"
    assert foreign.verdict_of(a_row(ORDER, NOISE)) == "fails"
    assert foreign.verdict_of(a_row(FINE, verdict="holds")) == "holds"


def test_of_the_first_check_that_fails_it_is_told_what_is_seen_and_what_was_claimed():
    told = foreign._seen(a_row(FINE, NOISE, ORDER))
    assert told == "Not so: its noise is the claimed one. Seen: 0.5. Claimed: 1"
    assert foreign._seen(a_row(FINE, verdict="holds")) == "all of them"


def test_the_lead_counts_failures_and_those_of_them_that_do_no_harm(monkeypatch):
    cases = CASES["diffusers"][:6]
    found = [
        a_row(NOISE),
        a_row(NOISE),
        a_row(NOISE),
        a_row(ORDER),
        a_row(verdict="holds"),
        a_row(),
    ]
    harm, harmless = "a cause", next(iter(HARMLESS))
    causes = dict(zip(cases, (harm, harmless, harm, harm, harm, harm), strict=True))
    monkeypatch.setattr(foreign, "cause_of", causes.__getitem__)
    said = foreign._lead(list(zip(cases, found, strict=True)))
    assert said.startswith("Of 6 configurations of ")
    assert " 1 are exactly what they are said to be, 4 are not, one of them by design" in said
    assert "and of one the order does not settle" in said
