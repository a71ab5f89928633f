"""A validation finds nothing wrong with what is right: the catalogue printed and run, random words,
random grids and processes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analytic_models.probing.agreement import agreement
from analytic_models.probing.comparison import Comparison
from analytic_models.probing.reference import subject_for
from analytic_models.probing.running import Trouble
from analytic_models.probing.signature import probe
from analytic_models.probing.validate import PROCESSES, validate
from splitting_analysis.catalogue import samplers
from splitting_analysis.notation import WordError
from splitting_analysis.processes import PSLD, VP, Langevin
from splitting_analysis.schemes import scheme
from tests import strategies
from tests.subjects import engine_subject, plain_subject

ENTRIES = samplers()
NAMES = [f"{entry.model_name}-{entry.name}-{entry.dynamics}" for entry in ENTRIES]
SHIFTED = 68
"""The engine's share of the entries begins elsewhere than that of the prints."""


def complaints(found):
    return [str(check) for check in found.checks if check.verdict != "pass"]


@pytest.mark.heavy
@pytest.mark.share(75)
@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_every_sampler_as_its_paper_prints_it_is_what_it_is_called(entry):
    assert not complaints(validate(plain_subject(entry), entry, entry.model_name))


@pytest.mark.share(120)
@pytest.mark.parametrize(
    "entry",
    [*ENTRIES[SHIFTED:], *ENTRIES[:SHIFTED]],
    ids=[*NAMES[SHIFTED:], *NAMES[:SHIFTED]],
)
def test_every_sampler_as_the_engine_runs_it_is_what_it_is_called(entry):
    assert not complaints(validate(engine_subject(entry), entry, entry.model_name))


@st.composite
def processes(draw, model):
    """A process of the model, none of its numbers special, and not stiff."""
    part = lambda low, high: draw(st.floats(low, high, allow_nan=False))  # noqa: E731
    match model:
        case "psld":
            return PSLD(part(0.01, 0.5), part(1.5, 3), part(0.5, 3), part(3, 7), part(0.05, 0.5))
        case "vp":
            return VP(part(0.05, 1), part(2, 8))
        case "langevin":
            return Langevin(part(0.1, 2), T=part(1, 4))
    return PROCESSES[model]


@st.composite
def grids(draw, process):
    """Reverse times inside of the process, their steps from equal to 1 : 5."""
    steps = draw(st.lists(st.floats(1, 5), min_size=2, max_size=5))
    times = 0.1 + 0.8 * np.cumsum([0, *steps]) / sum(steps)
    return [float(process.T * t) for t in times]


def disagreements(scheme_, process, times):
    try:
        claimed = probe(subject_for(scheme_), process, times)
    except Trouble:  # ddpm divides by sqrt(1 - beta h): some steps are too long for it
        assume(False)
    seen = probe(engine_subject(scheme_), process, times)
    checks = agreement(Comparison(scheme_, scheme_.program, process, times, seen, claimed))
    return [str(check) for check in checks if check.verdict != "pass"]


def random_word(data, keys=tuple(strategies.MODEL_KEYS)):
    model, dynamics = data.draw(st.sampled_from(keys))
    made = data.draw(strategies.schemes(model, dynamics, 2))
    process = data.draw(processes(made.model_name))
    return made, process, data.draw(grids(process))


@strategies.examples(12)
@given(data=st.data())
def test_a_random_word_on_the_engine_agrees_with_itself(data):
    assert not disagreements(*random_word(data))


@pytest.mark.heavy
@strategies.examples(300)
@given(data=st.data())
def test_many_random_words_on_the_engine_agree_with_themselves(data):
    assert not disagreements(*random_word(data))


@pytest.mark.heavy
@strategies.examples(25)
@given(data=st.data())
def test_a_random_word_on_the_engine_passes_every_check(data):
    made, _, _ = random_word(data)
    assume(len(made.word.ops) < 8)
    found = validate(engine_subject(made), made, made.model_name)
    assert not complaints(found), str(made)


@strategies.examples(6)
@given(data=st.data())
def test_a_held_sampler_agrees_with_itself_on_any_grid(data):
    entry = data.draw(st.sampled_from([e for e in ENTRIES if e.program.holds]))
    process = data.draw(processes(entry.model_name))
    assert not disagreements(entry, process, data.draw(grids(process)))


@strategies.examples(10)
@given(data=st.data())
def test_a_word_with_one_token_moved_is_not_taken_for_the_claimed_one(data):
    """The other side: the claim is one letter away, and is seen not to hold."""
    made, process, times = random_word(data, (("psld", "sde"), ("psld", "ode")))
    ops = list(made.word.ops)
    places = [k for k, (a, b) in enumerate(pairwise(ops)) if a.letter != b.letter]
    assume(places)
    k = data.draw(st.sampled_from(places))
    ops[k], ops[k + 1] = ops[k + 1], ops[k]
    try:
        other = scheme(" ".join(map(str, ops)), made.model_name, made.dynamics)
    except WordError:
        assume(False)
    seen = probe(engine_subject(made), process, times)
    claimed = probe(subject_for(other), process, times)
    checks = agreement(Comparison(other, other.program, process, times, seen, claimed))
    if all(check.verdict == "pass" for check in checks):  # then they are the same map: A S and S A
        assert probe_equal(made, other, process, times)


def probe_equal(one, other, process, times):
    """Whether two words send the same start and normals to the same end, on a score that bends."""
    z = np.random.default_rng(0).normal(size=(4, 2))

    def run(word):
        rng = np.random.default_rng(1)
        score = lambda y, tau: -np.sin(y) * (1 + tau)  # noqa: E731
        call = engine_subject(word).call
        return call(score, z, np.array(times), lambda: rng.normal(size=z.shape), process)

    return bool(np.max(np.abs(run(one) - run(other))) < 1e-9)
