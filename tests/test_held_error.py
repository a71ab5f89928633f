"""Orders and leading local errors of words that hold a prediction, against one exact step with
numbers in.
"""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
import sympy
from mpmath import mpf
from sympy import Rational

from analytic_models.held import hold, predicted
from splitting_analysis.held_error import held_error
from splitting_analysis.position_catalogue import HELD_CATALOGUE
from splitting_analysis.predictions import Prediction
from splitting_analysis.processes import VE, VP, Flow
from splitting_analysis.program import Evaluate, Hold
from splitting_analysis.schemes import scheme
from splitting_analysis.weak import local_error, order_of

VARIANCE = mpf("0.3")
DETERMINISTIC = [entry for entry in HELD_CATALOGUE if entry.dynamics == "ode"]
WORDS = [
    "S E:data[2]",
    "S E:data[3]",
    "S E:eps[2:bh1]",
    "S E:data[2:bh2]",
    "E:data[2:bh1] S@1 E:data[2:bh2]",
    "S E:data/3 S@1/3 E:data*2/3[2] S@2/3 E:data[2]",
    "E:eps[2] S@1 E:eps[3]",
]


@pytest.mark.parametrize(
    "entry",
    [pytest.param(s, marks=pytest.mark.heavy if "bh1" in s.name else ()) for s in DETERMINISTIC],
    ids=lambda s: f"{s.model_name}-{s.name}",
)
def test_an_entry_claims_the_order_that_is_derived(entry):
    assert order_of(entry) == entry.order


@pytest.mark.share(2)
@pytest.mark.parametrize(
    "entry",
    [pytest.param(s, marks=pytest.mark.heavy if "UniPC" in s.name else ()) for s in DETERMINISTIC],
    ids=lambda s: f"{s.model_name}-{s.name}",
)
def test_ratios_of_steps_as_symbols_leave_the_order_that_numbers_leave(entry):
    assert held_error(entry).order == order_of(entry)


def path(process, tau):
    """The probability flow from one start: x grows like the standard deviation."""
    return mpmath.sqrt(process.alpha(tau) ** 2 * VARIANCE + process.sigma(tau) ** 2)


def prediction_at(kind, process, tau, x):
    own, gain = predicted(kind, process, tau)
    return own * x - gain * x / path(process, tau) ** 2


def one_step(own, process, readings):
    """Exact minus scheme after the last of the steps between clock `readings`, earlier states
    exact.

    An evaluation at the end of an earlier step is made where that step's own predictor, from exact
    evaluations, arrives.
    """
    kind, clock, program = own.program.holds[0].held.prediction, own.in_clock, own.program
    taus = [process.tau_at(clock, u) for u in readings]
    ends = [op.at for op in program.instructions if isinstance(op, Evaluate)]

    def exact(tau):
        return tau, prediction_at(kind, process, tau, path(process, tau))

    def step(i, kept, until_evaluation):
        def time(at):
            u = readings[i] + (readings[i + 1] - readings[i]) * at.numerator / at.denominator
            return process.tau_at(clock, u)

        start = state = path(process, taus[i])
        for op in program.instructions:
            if isinstance(op, Evaluate):
                if until_evaluation:
                    break
                kept = [*kept, (time(op.at), prediction_at(kind, process, time(op.at), state))]
            elif isinstance(op, Hold):
                through = kept[-op.through :]
                made = hold(
                    op,
                    process,
                    clock,
                    0,
                    time(op.start),
                    time(op.stop),
                    [tau for tau, _ in through],
                )
                state = made.keep * (start if op.restarts else state)
                state += sum(
                    gain * value for gain, (_, value) in zip(made.gains, through, strict=True)
                )
        return state

    last = len(taus) - 2
    if ends == [Fraction(1)]:
        kept = [exact(tau) for tau in taus[: last - 3]]
        for i in range(last - 4, last):
            arrived = step(i, [exact(tau) for tau in taus[: i + 1]], True)
            kept.append((taus[i + 1], prediction_at(kind, process, taus[i + 1], arrived)))
    else:
        kept = [exact(tau) for tau in taus[:last]]
    return path(process, taus[-1]) - step(last, kept, False)


def predicted_error(own, process, tau, ratios):
    """The derived leading coefficient with numbers in, in units of x, and its power."""
    kind, clock = own.program.holds[0].held.prediction, own.in_clock
    error, here = held_error(own), process.clock_at(clock, tau)

    def along(u):
        at = process.tau_at(clock, u)
        return prediction_at(kind, process, at, path(process, at))

    alpha, sigma = process.alpha(tau), process.sigma(tau)
    slope = prediction_at(kind, process, tau, mpf(1))
    unit = {
        (Prediction.DATA, "lambda"): alpha,
        (Prediction.EPS, "lambda"): -sigma,
        (Prediction.EPS, "rho"): alpha,
        (Prediction.VELOCITY, "tau"): mpf(1),
    }[kind, clock]
    values = {"J": unit * slope, **{f"r{i + 1}": r for i, r in enumerate(ratios)}}
    values |= {f"P{k}": mpmath.diff(along, here, k) for k in range(1, 5)}
    names = [symbol.name for symbol in error.coefficient.free_symbols]
    coefficient = sympy.lambdify([sympy.Symbol(n) for n in names], error.coefficient, "mpmath")
    return unit * coefficient(*(values[name] for name in names)), error.power


MODELS = ("vp", "ve", "flow", "vp", "ve", "vp", "flow")
CASES = [
    *(
        (own.name, own)
        for own in DETERMINISTIC
        if own.name not in ("DDIM", "DEIS2", "DEIS3")
        and (own.model_name, own.name) != ("flow", "Midpoint")
    ),
    *((word, scheme(word, model)) for word, model in zip(WORDS, MODELS, strict=True)),
    ("midpoint", scheme("S E:velocity/2 S@1/2 E:velocity[1]", "vp", clock="tau")),
]
"""DEIS's kernel is known by symbols only; on a Gaussian, under flow matching, the midpoint rule's
leading term vanishes."""


@pytest.mark.share(9)
@pytest.mark.parametrize(
    ("name", "own"),
    [
        pytest.param(
            name,
            own,
            id=f"{name}-{own.model_name}",
            marks=pytest.mark.heavy if "UniPC" in name else (),
        )
        for name, own in CASES
    ],
)
def test_one_step_errs_by_the_derived_leading_term(name, own):
    """error / (C h^p) tends to 1, and is twice as far from it at twice the step, or nearer."""
    process = {"vp": VP, "ve": VE, "flow": Flow}[own.model_name]()
    ratios = [mpf(3) / 2, mpf(2) / 3, mpf(5) / 4, mpf(1), mpf(4) / 5, mpf(1)]
    with mpmath.workdps(60):
        process = type(process)(**{k: mpf(v) for k, v in vars(process).items()})
        tau = mpf("0.4")
        wanted, power = predicted_error(own, process, tau, ratios)
        here, sign = process.clock_at(own.in_clock, tau), 1 if own.in_clock == "lambda" else -1
        misses = []
        for h in (mpf(1) / 1000, mpf(1) / 2000):
            readings = [here]
            for ratio in ratios:
                readings.insert(0, readings[0] - sign * ratio * h)
            readings.append(here + sign * h)
            misses.append(one_step(own, process, readings) / (wanted * (sign * h) ** power) - 1)
    assert abs(misses[0]) < 0.05
    assert abs(misses[1]) < 0.55 * abs(misses[0])


def test_what_is_shipped_as_of_order_three_has_order_two():
    shipped, exact = scheme("S E:data[3:dpm]", "vp"), scheme("S E:data[3]", "vp")
    assert (order_of(shipped), order_of(exact)) == (2, 3)
    assert held_error(shipped).coefficient == sympy.Symbol("P2") / 12


@pytest.mark.parametrize(
    "k", [*range(1, 5), *(pytest.param(k, marks=pytest.mark.heavy) for k in (5, 8))]
)
def test_the_polynomials_integral_through_k_evaluations_has_order_k(k):
    assert order_of(scheme(f"S E:data[{k}]", "vp")) == k
    assert order_of(scheme(f"S E:eps[{k}]", "vp", clock="tau")) == k


@pytest.mark.heavy
def test_beyond_order_four_the_coefficient_is_that_of_equal_steps_which_adams_bashforth_has():
    """In rho eps has the kernel 1: the polynomial is that of Adams and Bashforth's method."""
    known = {3: Rational(3, 8), 5: Rational(95, 288), 6: Rational(19087, 60480)}
    for k, gamma in known.items():
        found = held_error(scheme(f"S E:eps[{k}]", "vp", clock="rho"))
        equal = {f"r{i}": 1 for i in range(1, 8)}
        assert (found.power, found.equal_steps) == (k + 1, k > 4)
        assert found.coefficient.subs(equal) == gamma * sympy.Symbol(f"P{k}")


@pytest.mark.heavy
def test_a_predictor_and_a_corrector_through_many_evaluations_have_the_correctors_order():
    assert order_of(scheme("E:data[4] S@1 E:data[5]", "vp")) == 5


@pytest.mark.heavy
def test_what_the_stages_of_earlier_steps_are_off_counts():
    """On the path of a linear problem, with numbers in: the stage of the step before is held."""
    own = scheme("S E:eps/2 S@1/2 E:eps[3]", "vp", clock="rho")
    found = held_error(own)
    j, r = sympy.symbols("J r1")
    values = {"J": j, "P1": 0, "P2": 0, "J1": 0, "r1": r}
    # places -r/2, 0, 1/2; the stages are off by -J P'(h/2)^2/2 of their own steps
    theta = [-r / 2, sympy.Integer(0), Rational(1, 2)]
    weights = sympy.Matrix(3, 3, lambda i, k: theta[k] ** i).solve(
        sympy.Matrix([1, Rational(1, 2), Rational(1, 3)])
    )
    slope = sympy.Symbol("P1")
    wanted = (weights[2] + weights[0] * r**2) * j * slope / 8
    values.pop("P1")
    assert sympy.simplify(found.coefficient.subs(values) - wanted) == 0


def test_more_evaluations_of_earlier_steps_than_there_are_ratios_are_refused():
    with pytest.raises(ValueError, match="14 earlier steps at most"):
        order_of(scheme("E:data[8] S@1 E:data[8]", "vp"))


def test_the_error_of_an_sde_word_is_found_elsewhere():
    with pytest.raises(ValueError, match=r"that of an SDE's is held_weak\.weak_held_error"):
        held_error(scheme("S E:data", "vp", "sde"))
    with pytest.raises(ValueError, match="holds a prediction; its error is not one in elementary"):
        local_error(scheme("S E:data", "vp"))


@pytest.mark.parametrize("process", [VE(), Flow()], ids=["ve", "flow"])
@pytest.mark.parametrize("prediction", ["v", "velocity"])
def test_a_short_step_that_holds_a_prediction_follows_the_exact_path_of_a_gaussian(
    process, prediction
):
    """Along the path x / sqrt(alpha^2 v + sigma^2) stands still; a step errs by its square."""
    own = scheme(f"S E:{prediction}", process.model_name, "ode")
    (op,) = own.program.holds
    begin, variance = 0.6 * process.T, 0.4

    def spread(tau):
        return process.alpha(tau) ** 2 * variance + process.sigma(tau) ** 2

    def off(length):
        end = begin - length
        step = hold(op, process, own.in_clock, 0.0, begin, end, [begin])
        a, b = predicted(op.held.prediction, process, begin)
        moved = step.keep + step.gains[0] * (a - b / spread(begin))
        return moved - (spread(end) / spread(begin)) ** 0.5

    unit = 1e-2 * process.T
    assert 0 < abs(off(unit)) < 1e-3
    assert off(unit) / off(unit / 2) == pytest.approx(4, rel=0.05)
