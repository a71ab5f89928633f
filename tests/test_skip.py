"""Conjugate steps on a preconditioned score, s = C_skip z + C_out eps, C_skip of Gaussian data."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.linalg

torch = pytest.importorskip("torch")

import splitting_analysis as sa  # noqa: E402
from analytic_models import moments  # noqa: E402
from analytic_models.conjugate import conjugate_step  # noqa: E402
from analytic_models.conjugate_moving import skip_matrix  # noqa: E402
from analytic_models.conjugate_stability import criterion, pinned, step_radius  # noqa: E402
from analytic_models.frozen import frozen_problem, step_matrix  # noqa: E402
from analytic_models.probing import reference  # noqa: E402
from analytic_models.stability import largest_stable_step  # noqa: E402
from analytic_models.steps import evaluated, without_skip  # noqa: E402
from analytic_models.targets import Gaussian, marginal, score  # noqa: E402
from gpu_samplers import engine, plain_conjugate  # noqa: E402
from gpu_samplers.conjugate import skipped  # noqa: E402
from gpu_samplers.plan import plan  # noqa: E402
from reports import cli  # noqa: E402
from splitting_analysis.catalogue import find  # noqa: E402
from splitting_analysis.clocks import Cosine  # noqa: E402
from splitting_analysis.numbers import Point  # noqa: E402
from splitting_analysis.points import values_at  # noqa: E402
from splitting_analysis.processes import PSLD, VP, ScheduledVP  # noqa: E402
from splitting_analysis.program import Advance  # noqa: E402
from splitting_analysis.schemes import Scheme, scheme  # noqa: E402
from splitting_analysis.weak import error_difference, local_error  # noqa: E402
from tests.oracle_fields import error_numbers, linear_field  # noqa: E402
from tests.test_conjugate import PROCESSES, TARGET, apart, bent, exact_score  # noqa: E402
from tests.test_moving_b import machine  # noqa: E402

TIMES = [0.0, 0.3, 0.5]


def with_skip(word: str, variance: Fraction = Fraction(1, 4), **options: Any) -> Scheme:
    return replace(bent(scheme(word, "psld")), skip=variance, **options)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("word", "process"),
    [
        (word, process)
        for word in ("S E:eps", "S B:ones A:eye", "S E:{lambda*tau,0,0,exp(-tau)}")
        for process in PROCESSES
    ],
)
def test_what_a_step_keeps_and_gains_is_the_same_by_two_routes(word, process):
    for factor, variance in (("lower", Fraction(1, 4)), ("upper", Fraction(9))):
        s, own = with_skip(word, variance, factor=factor), PROCESSES[process]
        for op in s.program.instructions:
            for begin, end in ((1.0, 0.95), (0.3, 0.28), (0.03, 0.001)):
                if isinstance(op, Advance):
                    wanted = conjugate_step(s, own, op.piece, begin, end, begin)
                    for found, other in zip(machine(s, own, op, begin, end), wanted, strict=True):
                        assert apart(found, other) < 1e-13


@pytest.mark.parametrize("process", [*PROCESSES.values(), VP()])
def test_c_skip_is_minus_the_inverse_of_the_covariance_in_both_worlds_and_in_print(process):
    for tau in (1e-3, 0.4, 1.0):
        law: Any = np.array(marginal(process, Gaussian(0.7), tau)[1], float)
        wanted = -np.linalg.inv(law)
        assert apart(skip_matrix(process, 0.7, tau), wanted) < 1e-10
        assert apart(skipped(process, 0.7, np.array([tau]))[0], wanted) < 1e-10
        if isinstance(process, PSLD):
            assert apart(plain_conjugate.skipped(process, tau, 0.7), wanted) < 1e-10


@pytest.mark.parametrize(("word", "process"), [("S E:eps", PSLD(0.3)), ("S E:eye", VP())])
def test_of_gaussian_data_of_that_variance_nothing_of_the_score_is_held(word, process):
    own = scheme(word, process.model_name, "ode")
    state = [{("z", i): 1} for i in range(len(process.stationary))]
    for variance, left in ((2.0, False), (0.5, True)):
        held = evaluated(score(process, Gaussian(variance), 0.3), state)
        rest = without_skip(replace(own, skip=Fraction(2)), process, 0.3, state, held)
        found = [abs(float(value)) for form in rest for value in form.values()]
        assert max(found) > 0.1 if left else max(found) < 1e-12
        assert without_skip(own, process, 0.3, state, held) == held


@pytest.mark.heavy
@pytest.mark.parametrize("name", PROCESSES)
def test_on_gaussian_data_of_that_variance_the_exponential_integrator_is_exact(name):
    """eps is 0 there; of other data, and without C_skip, it is not."""
    process, times = PROCESSES[name], np.linspace(0, 0.999, 6).tolist()
    errors = []
    for variance, skip in ((2.0, Fraction(2)), (2.1, Fraction(2)), (2.0, None)):
        s = replace(find("EI"), skip=skip)
        law = moments.run(s, process, Gaussian(np.array([variance, 2.0])), times, "pT", False)
        wanted: Any = np.array(marginal(process, Gaussian(variance), 1e-3)[1], float)
        found = np.array([[law.covariance[i][j][0] for j in range(2)] for i in range(2)])
        errors.append(np.abs(found - wanted).max() / np.abs(wanted).max())
    assert errors[0] < 1e-11 and min(errors[1:]) > 1e-4


@pytest.mark.heavy
def test_of_vp_it_is_exact_too_and_a_schedule_is_refused():
    s = replace(scheme("S E:eye", "vp", "ode"), skip=Fraction(2))
    times = np.linspace(0, 0.999, 6).tolist()
    law = moments.run(s, VP(), Gaussian(2.0), times, "pT", False)
    wanted = marginal(VP(), Gaussian(2.0), 1e-3)[1][0][0]
    assert float(law.covariance[0][0]) == pytest.approx(float(wanted), rel=1e-12)
    z = torch.ones(1, 1, dtype=torch.float64)
    own = replace(s, conjugate=Fraction(1, 2))

    def score(x: Any, tau: float) -> Any:
        return -x / float(marginal(VP(), Gaussian(0.3), tau)[1][0][0])

    ran = engine.run(plan(own, VP(), times, denoise=False), score, z)[0]
    pushed = moments.run(own, VP(), Gaussian(0.3), times, ((0,), ((1.0,),)), False)
    assert float(ran[0, 0]) ** 2 == pytest.approx(float(pushed.covariance[0][0]), rel=1e-12)
    with pytest.raises(ValueError, match=r"skip .* schedule"):
        moments.run(s, ScheduledVP(schedule=Cosine()), Gaussian(2.0), [0.0, 0.5])


@pytest.mark.parametrize(
    "word",
    [
        pytest.param("S E:eps", marks=pytest.mark.heavy),
        "B:eye/2 A:eye S@1 B:eye/2",
        pytest.param("S B:eye/2 A:ones S@1 B:eye/2", marks=pytest.mark.heavy),
    ],
)
def test_engine_and_exact_moments_are_one_also_where_the_score_is_carried(word):
    s, process = with_skip(word, factor="upper"), PROCESSES["constant"]
    z = torch.eye(2, dtype=torch.float64)[:, :, None].repeat(1, 1, 2)
    ran = engine.run(plan(s, process, TIMES), exact_score(process), z)[0]
    quiet = (0, 0), ((1.0, 0.0), (0.0, 0.0))
    pushed = moments.run(s, process, TARGET, TIMES, start=quiet)
    for i in range(2):
        for j in range(2):
            product = (ran[i, 0] * ran[j, 0]).numpy()
            wrong = np.abs(np.array(pushed.covariance[i][j]) - product).max()
            assert wrong < 1e-12 * float(ran.abs().max() ** 2)
    plain = moments.run(replace(s, skip=None), process, TARGET, TIMES, start=quiet)
    assert not np.allclose(np.array(plain.covariance), np.array(pushed.covariance), rtol=1e-3)


@pytest.mark.heavy
@pytest.mark.parametrize("word", ["S E:eps", "S B:eye A:eye"])
def test_the_print_is_the_engine_s(word):
    p, s = PROCESSES["constant"], with_skip(word)
    at, variance = exact_score(p), 0.25
    z = torch.tensor([[0.3, 0.4], [-0.7, 0.2]], dtype=torch.float64)
    ran = engine.run(plan(s, p, TIMES, denoise=False), at, z)[0]

    def s_of(x: Any, m: Any, tau: float) -> Any:
        return tuple(at(torch.stack([x, m]), tau))

    if word == "S E:eps":
        zero = plain_conjugate.scaled(0.0, plain_conjugate.IDENTITY)
        printed = plain_conjugate.single(p, s_of, z[0], z[1], TIMES, zero, "lower", variance)
    else:
        own, taus = plain_conjugate.scaled(1.5, plain_conjugate.IDENTITY), [1 - t for t in TIMES]
        parts = (
            (((0.0, 0.0), (-1 / 2, -p.nu / 2)), (0.0, p.M * p.nu)),
            (((-p.Gamma / 2, 1 / p.M / 2), (0.0, 0.0)), (p.Gamma, 0.0)),
        )
        moves = [
            plain_conjugate.mover(p, linear, noise, own, "lower", taus, variance)
            for linear, noise in parts
        ]
        printed = z[0], z[1]
        for tau, after in pairwise(taus):
            eps = plain_conjugate.eps_of(p, s_of, *printed, tau, "lower", variance)
            for move in moves:
                printed = move(printed, eps, tau, after)
    off = (ran - torch.stack(list(printed))).abs().max()
    assert float(off / ran.abs().max()) < 1e-12


def test_the_closed_form_vanishes_on_gaussian_data_of_that_variance_and_says_what_c_skip_brings():
    s, process = replace(find("EI"), skip=Fraction(2)), PSLD()
    tau, state = 0.4, {"x": 0.3, "m": -0.7}
    with mpmath.workdps(40):
        exact = PSLD(*(mpmath.mpf(v) for v in (process.Gamma, process.nu, 8, 8)))

        def entry(i: int, j: int) -> Any:
            return mpmath.taylor(lambda u: skip_matrix(exact, mpmath.mpf(2), u)[i][j], tau, 1)

        slopes = [[[float(entry(i, j)[k]) for j in (0, 1)] for i in (0, 1)] for k in (0, 1)]
    field = linear_field(s.model, slopes, [[0.0, 0.0]] * 2, state)
    sizes = []
    for one in (s, find("EI")):
        values = values_at([one], {**state, "tau": tau})
        numbers = error_numbers(local_error(one, 2), Point(state, field, values))[2]
        sizes.append(max(map(abs, numbers.values())))
    assert sizes[0] < 1e-12 < 0.1 < sizes[1]
    assert "c_xx" in str(error_difference(s, find("EI"), 2))
    with pytest.raises(ValueError, match="skip = 1 and 2"):
        error_difference(s, replace(s, skip=Fraction(1)))


def test_the_frozen_step_is_the_exact_flow_on_gaussian_data_of_that_variance():
    s, process, tau = replace(find("EI"), skip=Fraction(2)), PROCESSES["linear"], 0.3
    own, frozen = frozen_problem(s, process, [2.0], tau)
    found = step_matrix(s, own, frozen, np.array([0.2]), pinned(s, process, tau))[0]
    p = process.parameters
    piece = s.program.pieces[0]
    hessian = np.array(skip_matrix(process, 2.0, tau), float)
    drift = np.array(piece.linear(p), float) + np.diag(piece.score(p)) @ hessian
    assert found == pytest.approx(scipy.linalg.expm(0.2 * process.beta(tau) * drift), rel=1e-10)
    limit = criterion(s, process, [2.0], tau)
    assert limit is not None and limit[0] > 1e10
    # modes apart from it are held with it, and are not without
    with_it, without = (largest_stable_step(e, process, [0.1], tau)[0] for e in (s, find("EI")))
    assert with_it != pytest.approx(without, rel=1e-2)
    assert step_radius(s, process, [2.0], tau, 0.01)[0] != pytest.approx(
        step_radius(find("EI"), process, [2.0], tau, 0.01)[0], rel=1e-6
    )


@pytest.mark.parametrize(
    ("word", "skip", "says"),
    [
        ("S B A", 1, "acts in words whose scores conjugate steps alone use"),
        ("S B:eye A", 1, "conjugate steps alone"),
        ("S E:eps[2]", 1, "conjugate steps alone"),
        ("S E:eps", 0, "above 0"),
        ("S E:eps", -1, "above 0"),
        ("S E:eps", "1e9", "above 0 and up to"),
        ("S E:eps", "much", "skip: 'much' is not a number"),
    ],
)
def test_a_skip_that_does_not_act_or_is_no_variance_is_refused_in_one_sentence(word, skip, says):
    with pytest.raises(ValueError, match=says):
        sa.scheme(word, skip=skip)


@pytest.mark.heavy
def test_the_command_and_the_notebook_take_it(capsys):
    with pytest.raises(SystemExit):
        cli.main(["gaussian", "EI", "--nfe", "2", "--spectrum", "2", "--json", "--param", "skip=1"])
    rows = json.loads(capsys.readouterr().out)
    assert list(sa.gaussian("EI", nfe=2, spectrum=2, skip=1).rows) == rows
    assert rows[0]["skip"] == 1.0 != sa.gaussian("EI", nfe=2, spectrum=2).rows[0]["skip"]
    given: Any = {"n": 1, "nfe": 2, "score": lambda z, tau: -z, "shape": (1,)}
    assert not np.allclose(sa.sample("EI", **given), sa.sample("EI", **given, skip=2))
    assert sa.stability("EI", tau=0.3, spectrum=0.1, skip=2).rows[0]["criterion"] is not None
    assert "c_mm" in str(sa.local_error("EI", 2, skip=1))


def test_the_walk_of_the_validation_is_the_engine_s():
    s, process = with_skip("B:eye/2 A:eye S@1 B:eye/2"), PROCESSES["constant"]
    at = exact_score(process)
    z = torch.tensor([[0.3, 0.4], [-0.7, 0.2]], dtype=torch.float64)
    ran = engine.run(plan(s, process, TIMES, denoise=False), at, z)[0]

    def score_of(rows: Any, tau: float) -> Any:  # (batch, components times modes)
        return at(torch.tensor(rows).view(2, 2), tau).reshape(1, 4).numpy()

    walked = reference.subject_for(s).call(
        score_of, z.reshape(1, 4).numpy(), TIMES, lambda: np.zeros((1, 4)), process
    )
    assert walked.reshape(2, 2) == pytest.approx(ran.numpy(), rel=1e-11)
