"""Conjugate integrators: two routes to each number, the print, the engine, exact moments, DDIM,
stability.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

torch = pytest.importorskip("torch")

from analytic_models import moments  # noqa: E402
from analytic_models.conjugate import conjugate_step as exact_step  # noqa: E402
from analytic_models.conjugate_stability import criterion, step_radius  # noqa: E402
from analytic_models.stability import largest_stable_step  # noqa: E402
from analytic_models.targets import Gaussian, marginal, score  # noqa: E402
from gpu_samplers import engine, plain  # noqa: E402
from gpu_samplers.conjugate import conjugate_step as machine_step  # noqa: E402
from gpu_samplers.plan import plan  # noqa: E402
from splitting_analysis.catalogue import find  # noqa: E402
from splitting_analysis.clocks import table  # noqa: E402
from splitting_analysis.conjugate_catalogue import CONJUGATE_CATALOGUE  # noqa: E402
from splitting_analysis.lookup import conjugated  # noqa: E402
from splitting_analysis.models import conjugation  # noqa: E402
from splitting_analysis.notation import WordError, parse  # noqa: E402
from splitting_analysis.processes import PSLD, VP, ScheduledVP  # noqa: E402
from splitting_analysis.reduction import naive, reduced  # noqa: E402
from splitting_analysis.retuned import with_conjugation  # noqa: E402
from splitting_analysis.schemes import Scheme, scheme  # noqa: E402
from splitting_analysis.weak import local_error  # noqa: E402

TARGET = Gaussian([2.0, 0.1])
PROCESSES = {
    "constant": PSLD(),
    "linear": PSLD(beta_min=0.1, beta_max=16.0),
    "cld": PSLD(Gamma=0.0, nu=4.0, beta_min=0.5, beta_max=12.0),
    "no nu": PSLD(Gamma=4.0, nu=0.0),
}
EVERY_PROCESS = pytest.mark.parametrize("process", PROCESSES.values(), ids=list(PROCESSES))
EVERY_ENTRY = pytest.mark.parametrize("entry", CONJUGATE_CATALOGUE, ids=lambda s: s.name)
STRETCHES = ((1.0, 0.9), (1.0, 0.1), (0.3, 0.001), (0.5, 0.0), (0.001, 0.0))


def bent(entry: Scheme, value: float = 1.5) -> Scheme:
    """With a lambda where it has one."""
    acts = {piece.conjugation for piece in entry.program.pieces} - {"", "eps"}
    return replace(entry, conjugate=Fraction(value)) if acts else entry


def machine(entry: Scheme, process: Any, begin: float, end: float) -> tuple[Any, Any]:
    """keep and gain of the first piece, by collocation."""
    piece, p = entry.program.pieces[0], process.parameters
    linear, weight = np.array(piece.linear(p), float), np.array(piece.score(p), float)
    shift = np.array(conjugation(piece.conjugation, float(entry.conjugate), len(linear)), float)
    return machine_step(process, linear, weight, shift, entry.factor, begin, end, begin)


def apart(found: Any, expected: Any) -> float:
    found, expected = np.array(found, float), np.array(expected, float)
    size = np.abs(expected).max()  # the score is nothing to B where nu is 0
    return float(np.abs(found - expected).max() / (size or 1))


def exact_score(process: Any) -> Any:
    def at(z: Any, tau: float) -> Any:
        (a, b), (c, d) = (
            [torch.as_tensor(e) for e in row] for row in score(process, TARGET, tau)[0]
        )
        return torch.stack([a * z[0] + b * z[1], c * z[0] + d * z[1]])

    return at


@pytest.mark.share(4)
@EVERY_PROCESS
@pytest.mark.parametrize("word", ["S E:eps", "S E:eye", "S E:ones", "S B:ones A:eye"])
@pytest.mark.parametrize("factor", ["lower", "upper"])
def test_what_a_step_keeps_and_gains_is_the_same_by_two_routes_also_down_to_zero(
    process, word, factor
):
    entry = replace(bent(scheme(word, "psld", "ode")), factor=factor)
    for begin, end in STRETCHES:
        by_series = exact_step(entry, process, entry.program.pieces[0], begin, end, begin)
        for found, expected in zip(by_series, machine(entry, process, begin, end), strict=True):
            assert apart(found, expected) < 1e-13


@pytest.mark.heavy
def test_the_numbers_are_those_of_many_digits():
    entry = bent(scheme("S E:ones", "psld", "ode"))
    numbers = PROCESSES["linear"]
    with mpmath.workdps(22):
        process = PSLD(
            *(mpmath.mpf(getattr(numbers, k)) for k in ("Gamma", "nu", "beta_min", "beta_max"))
        )
        begin, end = mpmath.mpf(0.5), mpmath.mpf(0.4375)
        wanted = exact_step(entry, process, entry.program.pieces[0], begin, end, begin)
    for found, expected in zip(machine(entry, numbers, 0.5, 0.4375), wanted, strict=True):
        assert apart(found, expected) < 1e-13


@EVERY_PROCESS
def test_near_zero_the_gain_converges_like_the_root_of_the_last_time(process):
    entry = scheme("S E:eps", "psld", "ode")
    whole = machine(entry, process, 0.01, 0.0)[1]
    left = [np.abs(machine(entry, process, 0.01, e)[1] - whole).max() for e in (4e-8, 1e-8)]
    assert 1.9 < left[0] / left[1] < 2.1


FAST = PSLD(beta_min=100.0, beta_max=300.0)


@pytest.mark.parametrize("process", [*PROCESSES.values(), FAST, VP(), ScheduledVP()], ids=repr)
@pytest.mark.parametrize("value", [0, -20, 300])
def test_short_steps_at_once_are_those_alone_which_take_many_nodes(process, value):
    entry = replace(scheme("S E:eye", process.model_name, "ode"), conjugate=Fraction(value))
    piece = entry.program.pieces[0]
    steps = [(a, a * b) for a in (0.99, 0.3, 0.01, 1e-4) for b in (0, 0.2, 0.55, 0.9)]
    begin, end = np.array(steps).T[:, :, np.newaxis]
    together = exact_step(entry, process, piece, begin, end, begin)
    for k, step in enumerate(steps):
        alone = exact_step(entry, process, piece, *step, step[0])
        for found, wanted in zip(together, alone, strict=True):
            here = [
                [entry[k, 0] for entry in np.broadcast_arrays(begin, *row)[1:]] for row in found
            ]
            assert apart(here, wanted) < 1e-13


def test_on_a_table_of_alpha_bar_both_routes_stop_where_beta_jumps():
    """dx = lambda x + beta/2 (x - eps/sigma), between the table's times by scipy's quadrature."""
    falls, bend = np.cumprod(1 - np.random.default_rng(3).uniform(0.02, 0.3, 12)), 1.5
    process, entry = (
        ScheduledVP(schedule=table(falls.tolist())),
        bent(scheme("S E:eye", "vp", "ode"), bend),
    )
    knots, clock = np.arange(13) / 12, -np.log([1.0, *falls])

    def b(tau: float) -> float:
        return float(np.interp(tau, knots, clock))

    stretches = ((1.0, 0.77), (0.77, 0.3), (0.3, 0.28), (0.2, 0.001))
    taus: Any = np.array(stretches).T[:, :, None]
    at_once = exact_step(entry, process, entry.program.pieces[0], taus[0], taus[1], taus[0])
    for i, (begin, end) in enumerate(stretches):
        edges = [end, *knots[(knots > end) & (knots < begin)], begin]
        sigma = np.sqrt(-np.expm1(-b(begin)))

        def rate(u: float, slope: float, end: float = end) -> float:
            grown = np.exp(bend * (u - end) + (b(u) - b(end)) / 2)
            return float(grown * slope / 2 / np.sqrt(-np.expm1(-b(u))))

        gain = sigma * sum(
            scipy.integrate.quad(
                rate, low, high, ((b(high) - b(low)) / (high - low),), epsrel=1e-12
            )[0]
            for low, high in pairwise(edges)
        )
        alone = exact_step(entry, process, entry.program.pieces[0], begin, end, begin)
        assert alone[1][0][0] == pytest.approx(gain, rel=1e-11)
        assert at_once[1][0][0][i, 0] == pytest.approx(gain, rel=1e-11)
        assert at_once[0][0][0][i, 0] == pytest.approx(alone[0][0][0], rel=1e-13)
        found = machine(entry, process, begin, end)
        assert found[0][0, 0] == pytest.approx(alone[0][0][0], rel=1e-13)
        assert found[1][0, 0] == pytest.approx(gain, rel=1e-11)
    far = exact_step(entry, process, entry.program.pieces[0], *map(mpmath.mpf, ("1", "0.77", "1")))
    assert float(far[1][0][0]) == pytest.approx(at_once[1][0][0][0, 0], rel=1e-13)


def test_steps_of_a_grid_at_once_are_the_steps_one_by_one():
    entry, process = bent(find("CVV")), PROCESSES["linear"]
    times = [0.0, 0.2, 0.45, 0.7]
    every, alone = (
        moments.run(entry, process, Gaussian(v), times) for v in (np.full(5000, 2.0), 2.0)
    )
    for i in range(2):
        for j in range(2):
            here = float(np.ravel(every.covariance[i][j])[0])
            assert here == pytest.approx(alone.covariance[i][j], rel=1e-12)


IN_TURN = [
    pytest.param(s, ("lower", "upper")[(i + k) % 2], id=f"{s.name}-{'lu'[(i + k) % 2]}")
    for i, s in enumerate(CONJUGATE_CATALOGUE)
    for k in range(2)
]


@pytest.mark.share(6)  # every entry, with one factor or the other
@pytest.mark.parametrize(("entry", "factor"), IN_TURN)
def test_engine_print_and_exact_moments_are_one(entry, factor):
    process = PROCESSES["constant" if factor == "lower" else "cld"]
    entry, times = replace(bent(entry), factor=factor), [0.0, 0.3, 0.5]
    z = torch.eye(2, dtype=torch.float64)[:, :, None].repeat(1, 1, 2)
    draws = torch.zeros_like(z)
    given: Any = {} if entry.name == "EI" else {"lam": float(entry.conjugate)}
    s, silence = exact_score(process), lambda _: draws
    ran = engine.run(plan(entry, process, times), s, z, silence)[0]
    printed = plain.sample(entry.name, process, s, z, times, silence, factor=factor, **given)
    assert float((ran - printed).abs().max() / printed.abs().max()) < 1e-12
    quiet = (0, 0), ((1.0, 0.0), (0.0, 0.0))
    silent = moments.run(entry, process, TARGET, times, start=quiet)
    noisy = moments.run(entry, process, TARGET, times, start=((0, 0), ((0.0, 0.0), (0.0, 0.0))))
    for i in range(2):
        for j in range(2):
            pushed = np.array(silent.covariance[i][j]) - np.array(noisy.covariance[i][j])
            product = (ran[i, 0] * ran[j, 0]).numpy()
            assert np.abs(pushed - product).max() < 1e-12 * float(ran.abs().max() ** 2)
    assert silent.nfe == entry.nfe * 2 + 1


@pytest.mark.share(3)
@EVERY_ENTRY
@pytest.mark.parametrize("value", [0, 2])
def test_the_order_that_is_claimed_is_the_order_that_is_observed_and_no_higher(entry, value):
    if value and entry.name == "EI":
        return
    entry, process = replace(entry, conjugate=Fraction(value)), PROCESSES["constant"]
    wanted: Any = np.array(marginal(process, TARGET, 0.1)[1])
    errors = []
    for steps in (200, 400):
        law = moments.run(
            entry, process, TARGET, np.linspace(0, 0.9, steps + 1).tolist(), "pT", False
        )
        errors.append(np.abs(np.array(law.covariance) - wanted).max())
    assert abs(np.log2(errors[0] / errors[1]) - entry.order) < 0.1


@pytest.mark.parametrize("factor", [0, 1])
def test_without_b_the_conjugate_step_of_vp_is_ddim_step_for_step(factor):
    process, times = VP(), [0.0, 0.2, 0.5, 0.7, 0.99]
    bare = replace(scheme("S E:eye", "vp", "ode"), conjugate=Fraction(factor))
    z = torch.linspace(-2, 3, 5, dtype=torch.float64)[None]
    ends = [
        engine.run(
            plan(s, process, times[:n], denoise=False), lambda x, tau: torch.tanh(x) * tau - x, z
        )[0]
        for n in (2, 3, 4, 5)
        for s in (bare, find("DDIM", "vp", "ode"))
    ]
    pairs = zip(ends[::2], ends[1::2], strict=True)
    same = [bool(torch.allclose(a, b, rtol=1e-12, atol=0)) for a, b in pairs]
    assert same == [factor == 0] * 4


@pytest.mark.parametrize(
    ("variance", "tau", "h", "value", "said", "stable"),
    [
        (2.0, 0.1, 0.05, 1, True, True),
        (2.0, 0.5, 0.3, 0, False, False),
        (2.0, 0.5, 0.05, 20, True, False),
        (0.01, 0.1, 0.05, -5, False, True),
    ],
)
def test_the_criterion_on_the_conjugated_part_is_no_statement_on_the_step_itself(
    variance, tau, h, value, said, stable
):
    """It looks at A z, and cannot see A change over the step."""
    entry, process = replace(find("LDDIM-I"), conjugate=Fraction(value)), PROCESSES["constant"]
    told: Any = criterion(entry, process, [variance], tau)
    (limit,) = told
    (radius,) = step_radius(entry, process, [variance], tau, h)
    assert (bool(h <= limit), bool(radius <= 1)) == (said, stable)


@pytest.mark.parametrize("word", ["S E:eye", "S E:ones", "S B:eye A:eye"])
def test_the_largest_stable_step_is_where_the_frozen_map_leaves_the_disk_by_another_exponential(
    word,
):
    entry, process = bent(scheme(word, "psld", "ode"), 0.5), PROCESSES["constant"]
    tau, variance = 0.5, 1.086
    (limit,) = largest_stable_step(entry, process, [variance], tau)
    hessian = np.array(score(process, Gaussian(variance), tau)[0], float)

    def radius(h: float) -> float:
        whole = np.eye(2)
        carried = hessian  # of the score seen at the step's start, as a function of its state
        for piece in entry.program.pieces:
            p = process.parameters
            shift = np.array(conjugation(piece.conjugation, 0.5, 2), float)
            block = np.zeros((4, 4))
            block[:2, :2] = process.beta_min * np.array(piece.linear(p), float) + shift
            block[:2, 2:] = process.beta_min * np.diag(np.array(piece.score(p), float))
            flow = scipy.linalg.expm(h * block)
            whole = flow[:2, :2] @ (np.eye(2) - h * shift) @ whole + flow[:2, 2:] @ carried
        return float(np.abs(np.linalg.eigvals(whole)).max())

    assert 0.01 < limit < 1 and radius(0.999 * limit) < 1 < radius(1.001 * limit)


def test_lambda_and_factor_come_from_the_parameters_and_leave_the_rest_to_the_process():
    (found,), rest = conjugated([find("LDDIM-I")], "lambda=0.5,beta_min=4,factor=upper")
    assert (found.conjugate, found.factor, rest) == (Fraction(1, 2), "upper", "beta_min=4")
    assert conjugated([find("RSE")], "nu=3") == ([find("RSE")], "nu=3")


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("lambda=1", "RSE", "acts in conjugate steps"),
        ("lambda=1", "EI", "has B = 0"),
        ("factor=left", "EI", "lower, upper"),
        ("lambda=x", "LDDIM-I", "lambda"),
        ("lambda=1,lambda=2", "LDDIM-I", "twice"),
        ("lambda=1e9", "LDDIM-I", "beyond"),
    ],
)
def test_a_lambda_or_factor_that_does_not_act_is_refused(text, name, says):
    with pytest.raises(ValueError, match=says):
        conjugated([find(name, "psld")], text)


def test_an_eps_from_before_the_step_is_refused_and_one_from_its_start_is_not():
    with pytest.raises(WordError, match="from before the step's start"):
        scheme("B:eye/2 A:eye S B:eye/2", "psld", "ode")
    assert scheme("B:eye/2 A:eye S@1 B:eye/2", "psld", "ode").carries_score


def test_a_factor_is_refused_where_no_eps_is_held():
    with pytest.raises(ValueError, match="factor"):
        with_conjugation(find("RSE"), None, "upper")


@pytest.mark.parametrize("name", ["CSE", "CVV", "COBA"])
def test_the_naive_conjugate_words_are_the_reduced_ones_with_a_score_anew_before_every_piece(name):
    plain, fresh = find(name, "psld"), find(f"N{name}", "psld")
    assert naive(plain).word == fresh.word == naive(str(plain.word), "psld", plain.dynamics)
    assert reduced(fresh).word == plain.word != fresh.word


def test_a_b_of_ones_own_is_spelled_as_the_matrix_that_lambda_multiplies():
    for named, spelled in (("S E:eye", "S E:{1,0,0,1}"), ("S E:ones", "S E:{1,1.0,2/2,1}")):
        one, other = (bent(scheme(w, "psld", "ode")) for w in (named, spelled))
        maps = [exact_step(s, PSLD(), s.program.pieces[0], 0.5, 0.4, 0.5) for s in (one, other)]
        assert apart(maps[1], maps[0]) < 1e-14
        assert (
            str(local_error(one, 2)).splitlines()[1:] == str(local_error(other, 2)).splitlines()[1:]
        )
    own = bent(scheme("S B:{0,0,-1/2,1} A:{0.25,0,0,1}", "psld", "ode"))
    assert str(own.word) == "S B:{0,0,-1/2,1} A:{1/4,0,0,1}" == str(parse(str(own.word)))


@pytest.mark.parametrize("process", [PROCESSES["constant"], PROCESSES["linear"]])
@pytest.mark.parametrize("word", ["S E:{1,0,0,1/2}", "S E:{0,1,-1,0}"])
def test_any_b_is_the_same_by_two_routes(process, word):
    entry = bent(scheme(word, "psld", "ode"))
    by_series = exact_step(entry, process, entry.program.pieces[0], 0.3, 0.2, 0.3)
    for found, expected in zip(by_series, machine(entry, process, 0.3, 0.2), strict=True):
        assert apart(found, expected) < 1e-13
    assert apart(by_series[0], machine(bent(find("LDDIM-I")), process, 0.3, 0.2)[0]) > 1e-3


@pytest.mark.parametrize(
    ("word", "model"),
    [
        ("S E:{1,0,0}", "psld"),
        ("S E:{1,0,0,1/0}", "psld"),
        ("S E:{1,0,0,1}", "vp"),
        ("S E:{}", "psld"),
    ],
)
def test_a_matrix_that_is_none_is_refused_at_its_place(word, model):
    with pytest.raises(WordError, match=r"\^"):
        scheme(word, model, "ode")


def test_a_constant_b_beyond_all_numbers_is_refused_at_once_by_the_engine():
    told = with_conjugation(scheme("S E:{1000,0,0,1000}", "psld"), Fraction(900))
    with pytest.raises(ValueError, match=r"B moves too fast: from forward time 1 to 0.75 .*exp\(4"):
        plan(told, PSLD(), [0.0, 0.25, 0.999])
