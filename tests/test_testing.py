"""The pytest plugin: the checks of a sampler as tests, on the command line and in a test suite."""

from __future__ import annotations

import pytest

import splitting_analysis as sa
from analytic_models.probing.checks import Check, Validation
from gpu_samplers.adapters import named

pytest_plugins = ["pytester"]
STEPS = """
def right(z, t, h, score, noise, model):
    return z + h * model.beta(model.T - t) / 2 * (z + score(z, model.T - t))


def wrong(z, t, h, score, noise, model):
    return z + h * model.beta(model.T - t) / 2 * (z + score(z, model.T - t - h))
"""
SUITE = """
from splitting_analysis.testing import SamplerTests
from mine import right


class TestRight(SamplerTests):
    sampler, claims, model = right, "Euler", "vp"

    def test_of_its_own(self):
        assert self.model == "vp"


class TestWord(SamplerTests):
    sampler = "O S B A"


def test_both(validate_sampler):
    assert validate_sampler(right, claims="order=1", model="vp").claims == "order=1"
"""
HOLDS, FAILS = Check("it holds", "pass", seen="so"), Check("it fails", "fail", "a", "b", "here")
CHECKS = {"false": (HOLDS, FAILS), "open": (HOLDS, Check("who knows", "inconclusive", "a", "b"))}


@pytest.fixture(scope="session")
def known(tmp_path_factory):
    """What `validate` says of a wrong step. Its packages are loaded before a test of pytest inside
    pytest begins, after which what was loaded in it is dropped.
    """
    file = tmp_path_factory.mktemp("known") / "mine.py"
    file.write_text(STEPS)
    return sa.validate(f"{file}:wrong", "Euler", "vp").checks


@pytest.fixture
def asked(monkeypatch):
    """What validations were asked for; their checks are those of `CHECKS`, or hold."""
    calls = []

    def validate(sampler, claims=None, model=None, **rest):
        calls.append((sampler, claims, model, {k: v for k, v in rest.items() if v is not None}))
        if sampler == "nobody":
            raise ValueError("no scheme is named nobody")
        checks = CHECKS.get(sampler, (HOLDS,))
        return Validation(str(sampler), model or "psld", str(claims), checks, "ROBA = O S B A")

    monkeypatch.setattr(sa, "validate", validate)
    return calls


@pytest.fixture
def run(known, pytester, monkeypatch):
    """pytest with the plugin, in this process and a folder that holds mine.py."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "")
    pytester.makepyfile(mine=STEPS)
    pytester.syspathinsert()

    def ran(*arguments):
        return pytester.runpytest_inprocess(
            "-p", "splitting_analysis.testing", "-p", "no:cacheprovider", "--color=no", *arguments
        )

    return ran


def test_each_check_of_a_sampler_on_the_command_line_is_a_test_named_by_its_sentence(run, known):
    given = ["--sampler", "mine.py:wrong", "--sampler-model", "vp", "--claims", "Euler"]
    shown = run("-v", *given).stdout.str()
    for check in known:
        verdict = "PASSED" if check.verdict == "pass" else "FAILED"
        assert f"mine.py:wrong::{check.name} {verdict}" in shown
    assert "every score is conditioned on the claimed time FAILED" in shown
    assert "  expected  T - t " in shown and "  seen      T - (t + h) " in shown
    assert "  where     score call 1" in shown
    assert "Traceback" not in shown and "testing.py" not in shown


def test_a_sampler_is_validated_once_and_judged_as_it_is_said_to_be(run, asked):
    result = run("--sampler", "false", "--claims", "ROBA", "--sampler-dynamics", "sde")
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == 1
    assert asked == [("false", "ROBA", None, {"dynamics": "sde"})]
    result.stdout.fnmatch_lines(
        ["fail: it fails", "*expected  a", "*seen      b", "*where     here"]
    )


def test_what_is_left_open_fails_as_it_does_in_the_command(run, asked):
    result = run("--sampler", "open")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["inconclusive: who knows"])


def test_claims_go_with_their_samplers_in_order_or_are_those_of_all(run, asked):
    run("--sampler", "one", "--sampler", "two", "--claims", "A", "--claims", "B")
    run("--sampler", "one", "--sampler", "two", "--claims", "C")
    run("--sampler", "one")
    assert [call[:2] for call in asked] == [
        *(("one", "A"), ("two", "B")),
        *(("one", "C"), ("two", "C")),
        ("one", None),
    ]


def test_a_suite_is_collected_with_the_sampler_only_where_its_path_is_given(run, asked, pytester):
    pytester.makepyfile(test_suite="def test_of_the_suite():\n    pass\n")
    run("--sampler", "true").assert_outcomes(passed=1)
    run("--sampler", "true", "test_suite.py").assert_outcomes(passed=2)
    run().assert_outcomes(passed=1)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--claims", "ROBA"], "--claims is said of a sampler: give --sampler, too"),
        (["--sampler-model", "vp"], "--sampler-model is said of a sampler"),
        (["--sampler", "a", "--claims", "b", "--claims", "c"], "--claims 2 times for 1 samplers"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(arguments, said, run, asked):
    result = run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR and not asked
    assert said in result.stderr.str()


def test_what_cannot_be_read_is_one_sentence_and_no_traceback(run, asked):
    result = run("--sampler", "nobody")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    shown = result.stdout.str()
    assert "\nno scheme is named nobody\n" in shown and "testing.py" not in shown


def test_a_class_validates_its_sampler_once_and_has_a_test_for_each_check(run, asked, pytester):
    pytester.makepyfile(test_suite=SUITE)
    result = run("-v")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*::TestRight::test_sampler?it holds? PASSED*"])
    named = [getattr(sampler, "__name__", sampler) for sampler, *_ in asked]
    assert named == ["right", "O S B A", "right"]
    assert [call[1:3] for call in asked] == [("Euler", "vp"), (None, None), ("order=1", "vp")]


def test_a_class_and_the_fixture_fail_with_the_checks_that_do_not_hold(run, asked, pytester):
    suite = SUITE.replace('"O S B A"', '"false"').replace("_sampler(right", '_sampler("false"')
    pytester.makepyfile(test_suite=suite)
    result = run()
    result.assert_outcomes(passed=3, failed=2)
    shown = result.stdout.str()
    assert "fail: it fails" in shown and "expected a" in shown and "testing.py" not in shown


def test_a_class_without_a_sampler_says_what_it_lacks(run, asked, pytester):
    pytester.makepyfile(test_suite=SUITE.replace('sampler = "O S B A"', "pass"))
    result = run()
    assert "TestWord: set sampler = my_step and claims = 'ROBAB'" in result.stdout.str()
    assert result.ret == pytest.ExitCode.INTERRUPTED


def test_every_option_is_in_the_help_of_pytest(run):
    shown = run("--help").stdout.str()
    for option in ("--sampler=TEXT", "--claims=TEXT", "--sampler-model=", "--sampler-dynamics="):
        assert option in shown


@pytest.mark.parametrize("text", ["mine.py", "mine.py::right", "folder/mine.py"])
def test_a_file_without_its_function_is_asked_for_it(text):
    with pytest.raises(ValueError, match=r"which function\? give path/to/file.py:function"):
        sa.validate(text, "Euler", "vp")


@pytest.mark.parametrize("word", ["S E:data[2]", "O S B:eye A:eye", "ROBA"])
def test_a_word_with_a_colon_is_no_file_and_no_library(word):
    assert named(word) is None
    with pytest.raises(ValueError, match="--option a=1: for samplers of a library"):
        named(word, ["a=1"])
