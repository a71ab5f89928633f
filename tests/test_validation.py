"""Validation of code nobody here wrote: its manners, its claims, its messages, and the command."""

from __future__ import annotations

import json
import time
from itertools import pairwise

import numpy as np
import pytest

from analytic_models.probing import running
from analytic_models.probing.claims import read
from analytic_models.probing.limits import limit_in_words
from analytic_models.probing.manners import manners
from analytic_models.probing.running import Late, Trouble, budget, run
from analytic_models.probing.stability import largest_step, transport_note
from analytic_models.probing.subject import Subject, subject_of
from analytic_models.probing.validate import PROCESSES, validate
from reports.cli import main
from reports.experiments.seeded.case import data_of, held, taus_of
from splitting_analysis.processes import VP, Langevin

TIMES_OF_VP = (0.1, 0.3, 0.6, 0.9)
PROCESS = PROCESSES["vp"]
OWN = np.random.default_rng(11)
"""What code draws from by itself: no two runs alike, and every test run the same."""


def ddim(z, t, h, score, noise, model):
    tau = model.T - t
    return held(model, z, data_of(model, score, z, tau), tau, tau - h)


def euler(z, t, h, score, noise, model):
    b = model.beta(model.T - t)
    return z + h * b * (z / 2 + score(z, model.T - t)) + np.sqrt(h * b) * noise()


def behaved(call, **options):
    """The names of the checks of its manners that do not pass, with what is said."""
    found = manners(Subject("it", subject_of(call).kind, call, **options), PROCESS, TIMES_OF_VP)
    return {c.name: f"{c.verdict}: {c.seen} {c.where}" for c in found.checks if c.verdict != "pass"}


def trouble(call, **options):
    with pytest.raises(Trouble) as caught:
        behaved(call, **options)
    return f"{caught.value.expected}; {caught.value.seen}; {caught.value.where}"


@pytest.mark.parametrize("call", [ddim, euler])
def test_right_code_is_well_behaved(call):
    assert not behaved(call)


def test_code_that_raises_is_told_what_and_on_which_line():
    def raises(z, t, h, score, noise, model):
        return z / list[float]()[0]

    said = trouble(raises)
    assert "raises IndexError: list index out of range" in said
    assert f"step 1, line {raises.__code__.co_firstlineno + 1} of test_validation.py" in said


def test_code_that_exits_is_a_verdict_and_not_an_exit():
    assert "raises SystemExit" in trouble(lambda z, t, h, score, noise, model: exit(3))


@pytest.mark.parametrize("swallows", [False, True])
def test_code_that_hangs_is_stopped(swallows):
    def hangs(z, t, h, score, noise, model):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                time.sleep(5)
            except Exception:
                if swallows:
                    continue
                raise
        return z

    began = time.monotonic()
    assert "a run in at most 0.1 s; still running: stopped" in trouble(hangs, limit=0.1)
    assert time.monotonic() - began < 4


def test_the_time_limit_is_gone_once_the_code_is_done():
    run(
        subject_of(ddim),
        PROCESS,
        (0.1, 0.9),
        np.ones((2, 1)),
        lambda *a: -a[1],
        lambda _: np.zeros((2, 1)),
        limit=0.2,
    )
    time.sleep(0.25)  # an alarm left behind would end the test run


def test_when_the_time_of_a_validation_is_up_no_run_begins():
    with budget(0.0), pytest.raises(Late):
        behaved(ddim)
    assert not behaved(ddim)


def test_slow_code_is_left_open_and_not_called_wrong(monkeypatch):
    monkeypatch.setattr("analytic_models.probing.validate.LONGEST", 0.05)

    def slow(z, t, h, score, noise, model):
        time.sleep(0.03)
        return ddim(z, t, h, score, noise, model)

    found = validate(slow, "DDIM", "vp")
    assert not found.holds
    assert not found.failures
    assert found.checks[-1].verdict == "inconclusive"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda z: z * np.nan, "NaN or infinity"),
        (lambda z: z[:1], "shape (1, 3)"),
        (lambda z: z[:, :1], "shape (5, 1)"),
        (list, "is list"),
        (lambda z: z + 0j, "complex128"),
        (lambda z: z.astype(object), "object"),
        (lambda z: None, "is NoneType"),
    ],
)
def test_what_is_no_state_is_named_with_its_step(value, said):
    told = trouble(lambda z, t, h, score, noise, model: value(z))
    assert said in told
    assert "step 1" in told


def test_a_state_overwritten_by_a_whole_run_is_seen_too():
    def overwrites(score, z, grid, noise, model):
        for tau, after in pairwise(taus_of(model, grid)):
            z[...] = held(model, z, data_of(model, score, z, tau), tau, after)
        return z

    assert "z is overwritten" in behaved(overwrites)["its inputs are left as they are"]


def test_what_code_prints_is_no_part_of_the_answer(capsys):
    def talks(z, t, h, score, noise, model):
        print("step")
        return ddim(z, t, h, score, noise, model)

    assert not behaved(talks)
    captured = capsys.readouterr()
    assert not captured.out
    assert "step" in captured.err


@pytest.mark.parametrize("clamped", [True, False])
def test_an_order_that_samples_do_not_show_is_left_open(clamped, monkeypatch):
    monkeypatch.setattr("analytic_models.probing.statistics.SAMPLES", 2000)

    def step(z, t, h, score, noise, model):
        own = noise() if clamped else OWN.normal(size=z.shape)
        return np.clip(euler(z, t, h, score, lambda: own, model), -8, 8)

    found = validate(step, "order=1", "vp")
    assert not found.holds
    assert not found.failures
    assert any("order is 1" in c.name and c.verdict == "inconclusive" for c in found.checks)


def test_history_that_leaks_is_told_from_random_numbers():
    kept: list[np.ndarray] = []

    def leaks(score, z, grid, noise, model):
        for tau, after in pairwise(taus_of(model, grid)):
            data = data_of(model, score, z, tau)
            used = data + 0.3 * (data - kept[-1]) if kept and kept[-1].shape == z.shape else data
            kept.append(data)
            z = held(model, z, used, tau, after)
        return z

    found = behaved(leaks)
    assert list(found) == ["two runs with the same normals agree"]
    assert "fail: apart by" in found["two runs with the same normals agree"]
    assert "history of the first run" in found["two runs with the same normals agree"]
    judged = validate(leaks, "DDIM", "vp")  # and nothing of what follows from it
    assert len(judged.failures) == 1 and judged.checks[-1] == judged.failures[0]


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("claim", "model", "known"), [("DDPM", "vp", "abar"), ("EDM", "ve", "first adds noise")]
)
def test_what_is_known_of_a_claimed_sampler_is_said_where_code_is_not_it(claim, model, known):
    assert any(known in note for note in validate(euler, claim, model).notes)


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda z: np.random.normal(size=z.shape), "once the global generators are seeded"),  # noqa: NPY002
        (lambda z: OWN.normal(size=z.shape), "that no seed repeats"),
    ],
)
def test_numbers_of_its_own_are_left_to_samples(draw, said):
    def own(z, t, h, score, noise, model):
        return euler(z, t, h, score, lambda: draw(z), model)

    found = manners(subject_of(own), PROCESS, TIMES_OF_VP)
    assert found.own_noise
    assert all(check.verdict == "pass" for check in found.checks)
    assert any(said in check.seen for check in found.checks)


@pytest.mark.parametrize(("scale", "holds"), [(1.0, True), (1.2, False)])
def test_numbers_that_no_seed_repeats_are_judged_by_their_law(scale, holds):
    rng = np.random.default_rng(5)

    def own(score, z, grid, noise, model):
        for t, after in pairwise(grid):
            xi = scale * rng.normal(size=z.shape)
            z = euler(z, t, after - t, score, lambda xi=xi: xi, model)
        return z

    assert validate(own, "EM", "vp").holds is holds


def test_a_buffer_that_was_never_filled_is_seen_whatever_memory_holds():
    def unfilled(z, t, h, score, noise, model):
        extra = np.empty_like(z)
        return ddim(z, t, h, score, noise, model) + 0 * extra

    assert "NaN" in behaved(unfilled)["memory is filled before it is read"]


# What right code may do.


def in_pairs(drops):
    """Midpoint steps over pairs of the grid's; what an odd number leaves over is one Euler step, or
    is dropped.
    """

    def run_(score, z, grid, noise, model):
        slope = lambda z, t: -(model.T - t) * score(z, model.T - t)  # noqa: E731 - d x / d tau
        steps = list(grid)
        for k in range(0, len(steps) - 2, 2):
            t, middle, after = steps[k : k + 3]
            halfway = z - (middle - t) * slope(z, t)
            # of steps of two lengths: through both slopes, linear in time
            share = (after - t) / (2 * (middle - t))
            z = z - (after - t) * ((1 - share) * slope(z, t) + share * slope(halfway, middle))
        if len(steps) % 2 == 0 and not drops:
            z = z - (steps[-1] - steps[-2]) * slope(z, steps[-2])
        return z

    return run_


@pytest.mark.heavy
@pytest.mark.parametrize(("drops", "holds"), [(False, True), (True, False)])
def test_an_odd_number_of_steps_must_converge_as_an_even_one(drops, holds):
    found = validate(in_pairs(drops), "order=2", "ve")
    assert found.holds is holds, str(found)


def test_code_for_even_numbers_of_steps_alone_is_seen():
    def even(score, z, grid, noise, model):
        assert len(grid) % 2 == 1, "an even number of steps"
        for t, after in pairwise(grid):
            z = ddim(z, t, after - t, score, noise, model)
        return z

    found = validate(even, "DDIM", "vp")
    assert "an even number of steps" in str(found)
    assert not found.holds


# What is said of wrong times.


# What else is said.


# Limits, stability, transport.


@pytest.mark.heavy
def test_the_limit_of_right_code_is_right():
    words = limit_in_words(subject_of(ddim), VP(0.1, 6.0), stochastic=False)
    assert "tends to 0.3 where 0.3 is right" in words


def test_the_largest_step_of_verlet_is_2():
    def verlet(z, t, h, score, noise, model):
        q, p = z[:, :1], z[:, 1:]
        p = p + h / 2 * score(q, model.T - t)
        q = q + h * p
        return np.hstack([q, p + h / 2 * score(q, model.T - t)])

    assert largest_step(subject_of(verlet), Langevin(0.7)) == pytest.approx(2, abs=5e-3)


def test_nothing_is_said_of_transport_without_friction():
    assert transport_note(subject_of(ddim), Langevin(gamma=0.0)) == ""


# Claims, and the command.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing is claimed"),
        ("order=two", "a whole number from 1 to 12"),
        ("order=0", "a whole number from 1 to 12"),
        ("speed=3", "cannot read 'speed=3'"),
        ("order=1, order=2", "order is said twice"),
        ("ROBA, ROBAB", "two samplers"),
        ("ROBAX", "ROBAX"),
        ("S B", "A"),
    ],
)
def test_a_claim_that_cannot_be_read_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        read(text, "psld")


@pytest.mark.parametrize("call", [7, lambda: 0, lambda a, b: a, "O S B A"])
def test_what_is_no_sampler_is_refused(call):
    with pytest.raises(ValueError, match=r"must be step\(z, t, h, score, noise, model\)"):
        validate(call, "ROBA")


CODE = """
from reports.experiments.seeded.case import drifted, kicked

def right(z, t, h, score, noise, model):
    s = score(z, model.T - t)
    return drifted(model, kicked(model, z, s, t, h, 1), s, t, h, 1)

def wrong(z, t, h, score, noise, model):
    return right(z, t, h, lambda z, tau: score(z, t), noise, model)
"""


@pytest.mark.parametrize(("name", "status"), [("right", 0), ("wrong", 1)])
def test_the_command_says_by_its_status_whether_every_claim_holds(name, status, tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(CODE)
    with pytest.raises(SystemExit) as ended:
        main(["validate", f"{file}:{name}", "--claims", "RSE", "--json"])
    assert (ended.value.code or 0) == status
    told = json.loads(capsys.readouterr().out)
    assert set(told) >= {"sampler", "model", "claims", "holds", "deduced", "notes", "checks"}
    assert told["holds"] is (status == 0)
    assert set(told["checks"][0]) == {"name", "verdict", "expected", "seen", "where"}


def test_bad_claims_are_one_message_and_status_2(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(CODE)
    with pytest.raises(SystemExit) as ended:
        main(["validate", f"{file}:right", "--claims", "order=many"])
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert "order is a whole number" in captured.err
    assert not captured.out


@pytest.mark.parametrize(
    ("named", "options", "said"),
    [
        ("{}:right: ", (), "which function? give path/to/file.py:function"),
        ("code.txt:right", (), "which function? give path/to/file.py:function"),
        ("/code:right", (), "which function? give path/to/file.py:function"),
        ("{}:Kept", (), "Kept is a class: make an object of it"),
        ("{}:right", ("--lambda-s", "0"), "no letter O whose position noise it could scale"),
    ],
)
def test_what_the_command_cannot_validate_is_one_message(named, options, said, tmp_path, capsys):
    file = tmp_path / "code.py"
    file.write_text(CODE + "\nclass Kept:\n    pass\n")
    with pytest.raises(SystemExit) as status:
        main(["validate", named.format(file), "--claims", "DDIM", "--model", "vp", *options])
    assert status.value.code == 2
    (line,) = [each for each in capsys.readouterr().err.splitlines() if "error" in each]
    assert said in line


def test_a_validation_leaves_no_deadline_behind():
    assert running._ends == [float("inf")]
