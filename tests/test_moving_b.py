"""A B of conjugate steps that depends on time: its text, two routes to each number, engine, print,
exact moments, closed forms, stability.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from analytic_models import moments  # noqa: E402
from analytic_models.conjugate import conjugate_step  # noqa: E402
from analytic_models.conjugate_stability import criterion  # noqa: E402
from analytic_models.probing import claims  # noqa: E402
from analytic_models.series import Series, function  # noqa: E402
from analytic_models.stability import largest_stable_step  # noqa: E402
from gpu_samplers import adapters, engine, plain_conjugate  # noqa: E402
from gpu_samplers.clocked import Step  # noqa: E402
from gpu_samplers.plan import plan  # noqa: E402
from gpu_samplers.rules import Tuned, advance  # noqa: E402
from splitting_analysis import bends  # noqa: E402
from splitting_analysis.catalogue import find  # noqa: E402
from splitting_analysis.notation import WordError, parse  # noqa: E402
from splitting_analysis.points import values_at  # noqa: E402
from splitting_analysis.processes import PSLD  # noqa: E402
from splitting_analysis.program import Advance  # noqa: E402
from splitting_analysis.retuned import with_conjugation  # noqa: E402
from splitting_analysis.schemes import Scheme, scheme  # noqa: E402
from splitting_analysis.weak import error_difference, local_error, order_of  # noqa: E402
from tests.strategies import examples, fractions, parts_of_one  # noqa: E402
from tests.test_conjugate import PROCESSES, TARGET, apart, exact_score  # noqa: E402

WORDS = {
    "time": "S E:{lambda*tau,0,0,lambda}",
    "beta": "S E:{lambda*beta,0,0,lambda*beta}",
    "turns": "S E:{tau,1-tau,-tau**2,lambda*nu}",
    "elementary": "S E:{exp(-tau),sin(3*tau),cos(tau)*lambda,1/(1+tau)}",
    "pieces": "S B:{tau,0,beta/(20*M),1/(tau+1/20)} A:{sqrt(tau),0,tanh(5*tau-2),log(tau+1/100)}",
    "more": "S E:{erf(tau),tan(tau)/9,atan(8*tau),sinh(tau)-cosh(tau/2)}",
    "strong": "S E:{20*tau,30,-30*tau,20}",
}


def own(word: str, value: Fraction = Fraction(3, 2), **options: Any) -> Scheme:
    """Of the ODE, with a lambda where it acts."""
    made = scheme(word, "psld", "ode")
    return replace(made, conjugate=value if made.bends else Fraction(0), **options)


def machine(s: Scheme, process: Any, op: Advance, begin: float, end: float) -> Any:
    skip = None if s.skip is None else float(s.skip)
    tuned = Tuned(1.0, "exponent", float(s.conjugate), s.factor, skip)
    op = replace(op, start=Fraction(0), stop=Fraction(1), seen=Fraction(0))
    return advance(op, Step(process, "tau", 1 - begin, begin - end), tuned)[:2]


@pytest.mark.parametrize(
    ("word", "process", "stretch"),
    [
        pytest.param(
            WORDS[word],
            PROCESSES[process],
            stretch,
            id=f"{word}-{process}-{stretch[1]}",
            marks=()
            if (word, process, stretch[1]) in (("pieces", "linear", 0.28), ("turns", "cld", 0.9))
            else pytest.mark.heavy,
        )
        for word in WORDS
        for process in PROCESSES
        for stretch in ((1.0, 0.9), (0.3, 0.28), (0.3, 0.001))
    ],
)
def test_what_a_step_keeps_and_gains_is_the_same_by_two_routes(word, process, stretch):
    s = own(word)
    for op in s.program.instructions:
        if isinstance(op, Advance):
            by_series = conjugate_step(s, process, op.piece, stretch[0], stretch[1], stretch[0])
            for found, wanted in zip(machine(s, process, op, *stretch), by_series, strict=True):
                assert apart(found, wanted) < 1e-13


@pytest.mark.heavy
def test_the_numbers_are_those_of_many_digits():
    s, numbers = own(WORDS["elementary"]), PROCESSES["linear"]
    with mpmath.workdps(22):
        names = ("Gamma", "nu", "beta_min", "beta_max")
        process = PSLD(*(mpmath.mpf(getattr(numbers, k)) for k in names))
        times = mpmath.mpf(0.5), mpmath.mpf(0.4375), mpmath.mpf(0.5)
        wanted = conjugate_step(s, process, s.program.pieces[0], *times)
    (op,) = (each for each in s.program.instructions if isinstance(each, Advance))
    for found, expected in zip(machine(s, numbers, op, 0.5, 0.4375), wanted, strict=True):
        assert apart(found, expected) < 1e-13


def test_a_multiple_of_i_that_moves_stretches_by_its_integral():
    """A B that commutes with all else: Y is that of B = 0 times exp of the integral of f."""
    process, (begin, end) = PROCESSES["linear"], (0.5, 0.4)
    bare = find("EI", "psld")
    plain = conjugate_step(bare, process, bare.program.pieces[0], begin, end, begin)[0]
    h = begin - end
    growth = {
        "tau": np.exp((begin**2 - end**2) / 2) * (1 - h * begin),
        "exp(-tau)": np.exp(np.exp(-end) - np.exp(-begin)) * (1 - h * np.exp(-begin)),
        # (tau + c) / (tau - h + c) is what Euler's step takes away
        "1/(tau+1/4)": 1.0,
    }
    for text, factor in growth.items():
        s = own(f"S E:{{{text},0,0,{text}}}")
        keep = conjugate_step(s, process, s.program.pieces[0], begin, end, begin)[0]
        assert apart(keep, factor * np.array(plain)) < 1e-14, text


def test_a_matrix_with_names_that_do_not_move_is_the_named_one():
    one, other = (own(w) for w in ("S E:ones", "S E:{lambda,lambda,lambda,lambda}"))
    process = PROCESSES["linear"]
    maps = [conjugate_step(s, process, s.program.pieces[0], 0.5, 0.4, 0.5) for s in (one, other)]
    assert apart(maps[1][0], maps[0][0]) < 1e-14 and apart(maps[1][1], maps[0][1]) < 1e-14
    texts = [str(local_error(s, 2)).splitlines()[1:] for s in (one, other)]
    assert texts[0] == texts[1]
    assert error_difference(own(WORDS["time"]), other).leading == 2


@pytest.mark.parametrize("name", ["pieces", pytest.param("elementary", marks=pytest.mark.heavy)])
def test_engine_print_and_exact_moments_are_one(name):
    process, s, times = PROCESSES["constant"], own(WORDS[name], factor="upper"), [0.0, 0.3, 0.5]
    z = torch.eye(2, dtype=torch.float64)[:, :, None].repeat(1, 1, 2)
    at = exact_score(process)
    ran = engine.run(plan(s, process, times, denoise=False), at, z)[0]
    printed = z
    for row in range(2):
        x, m = _printed(process, at, z[:, row], times, s)
        printed = printed.clone()
        printed[:, row] = torch.stack([x, m])
    assert float((ran - printed).abs().max() / printed.abs().max()) < 1e-12
    quiet = (0, 0), ((1.0, 0.0), (0.0, 0.0))
    pushed = moments.run(s, process, TARGET, times, start=quiet, denoise=False)
    for i in range(2):
        for j in range(2):
            product = (ran[i, 0] * ran[j, 0]).numpy()
            wrong = np.abs(np.array(pushed.covariance[i][j]) - product).max()
            assert wrong < 1e-12 * float(ran.abs().max() ** 2)


def _printed(process: Any, score: Any, z: Any, times: Any, s: Scheme) -> Any:
    """As the paper has it: z_hat = A z with A from tau = 0 on."""
    p, lam = process, float(s.conjugate)

    def s_of(x: Any, m: Any, tau: float) -> Any:
        return tuple(score(torch.stack([x, m]), tau))

    def matrix(text: str) -> Any:
        symbols = {key: sympy.Symbol(key) for key in ("beta", "nu", "Gamma", "M", "lam", "tau")}
        entries = text[3:-1].replace("lambda", "lam").split(",")
        expressions = [sympy.sympify(entry, symbols) for entry in entries]
        names = {"lam": lam, "nu": p.nu, "Gamma": p.Gamma, "M": 4 / (p.nu - p.Gamma) ** 2}
        here = {symbols[key]: value for key, value in names.items()}
        here[symbols["beta"]] = p.beta_min  # constant in these tests
        bound = [sympy.lambdify(symbols["tau"], e.subs(here), "math") for e in expressions]
        return lambda tau: tuple(
            (float(bound[2 * i](tau)), float(bound[2 * i + 1](tau))) for i in range(2)
        )

    texts = str(s.word).split()[1:]
    if len(texts) == 1:
        return plain_conjugate.single(p, s_of, z[0], z[1], times, matrix(texts[0]), s.factor)
    taus = [p.T - t for t in times]
    linear = {
        "A": ((-p.Gamma / 2, 1 / p.M / 2), (0.0, 0.0)),
        "B": ((0.0, 0.0), (-1 / 2, -p.nu / 2)),
    }
    noise = {"A": (p.Gamma, 0.0), "B": (0.0, p.M * p.nu)}
    movers = [
        plain_conjugate.mover(p, linear[t[0]], noise[t[0]], matrix(t), s.factor, taus)
        for t in texts
    ]
    x, m = z
    for tau, after in pairwise(taus):
        eps = plain_conjugate.eps_of(p, s_of, x, m, tau, s.factor)
        for move in movers:
            x, m = move((x, m), eps, tau, after)
    return x, m


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "pieces" else pytest.mark.heavy) for n in WORDS]
)
def test_the_order_is_one_and_no_higher(name):
    s = scheme(WORDS[name], "psld", "ode")
    assert order_of(s) == 1
    if name == "time":
        errors = []
        s, process = own(WORDS[name]), PROCESSES["constant"]
        wanted: Any = np.array(
            moments.run(find("RK4"), process, TARGET, _grid(800), "pT").covariance
        )
        for steps in (100, 200):
            law = moments.run(s, process, TARGET, _grid(steps), "pT")
            errors.append(np.abs(np.array(law.covariance) - wanted).max())
        assert abs(np.log2(errors[0] / errors[1]) - 1) < 0.1


def _grid(steps: int) -> list[float]:
    return [float(t) for t in np.linspace(0, 0.9, steps + 1)]


def test_lambda_is_told_where_it_acts_and_a_b_without_it_refuses_one():
    assert scheme(WORDS["time"], "psld", "ode").bends
    with pytest.raises(ValueError, match="without lambda"):
        with_conjugation(scheme("S E:{tau,0,0,1}", "psld", "ode"), Fraction(1))
    told = local_error(with_conjugation(scheme(WORDS["time"], "psld", "ode"), Fraction(2)), 2)
    assert "λ" not in str(told).split("\n", 1)[1] and "τ" in str(told)


def test_closed_forms_substitute_polynomials_and_name_other_entries():
    text = str(local_error(scheme("S E:{lambda*beta,0,0,sqrt(tau)}", "psld", "ode"), 2))
    assert "β² λ + β′" in text and "b_1² + b_1′" in text and "b_2" not in text
    values = values_at(
        [scheme("S E:{0,0,0,exp(2*tau)}", "psld", "ode")], {"x": 1, "m": 1, "tau": 0.25}
    )
    slopes = [values[f"{d}b1"] for d in ("", "d", "d2", "d3")]
    assert slopes == pytest.approx([np.exp(0.5) * 2**k for k in range(4)], rel=1e-14)
    one, other = (scheme(f"S E:{{{f}(tau),0,0,1}}", "psld", "ode") for f in ("exp", "sin"))
    with pytest.raises(ValueError, match="have no common formula"):
        error_difference(one, other)
    with pytest.raises(ValueError, match="no finite value and derivatives at tau = 0"):
        values_at(
            [scheme("S E:{log(tau-1/4),0,0,1}", "psld", "ode")], {"x": 1, "m": 1, "tau": 0.25}
        )


@pytest.mark.heavy
def test_stable_steps_are_those_of_the_b_at_the_time_of_freezing():
    moving, still = own("S E:{lambda*tau,0,0,tau**2}"), own("S E:{1/2,0,0,1/6}")
    process = PROCESSES["constant"]
    assert still.conjugate == Fraction(3, 2)
    for find_limit in (largest_stable_step, criterion):
        found, wanted = (find_limit(s, process, [1.1, 0.02], 0.5) for s in (moving, still))
        assert found == pytest.approx(wanted, rel=1e-9)
    assert largest_stable_step(moving, process, [1.1], 0.4)[0] != pytest.approx(
        largest_stable_step(moving, process, [1.1], 0.5)[0], rel=1e-3
    )


@pytest.mark.parametrize(
    "text",
    [pytest.param(f"1/(tau-{c})", marks=pytest.mark.heavy) for c in ("1/2", "0.4321")]
    + ["sqrt(tau-1/2)"],
)
def test_a_b_that_is_not_finite_on_the_way_is_refused_in_both_worlds(text):
    s, process = own(f"S E:{{{text},0,0,1}}"), PROCESSES["constant"]
    for run in (
        lambda: moments.run(s, process, TARGET, _grid(4)),
        lambda: plan(s, process, _grid(4)),
    ):
        with pytest.raises(ValueError, match="forward time 0"):
            run()


@st.composite
def random_words(draw: st.DrawFn) -> str:
    """Conjugate splittings of the ODE, each piece with a B of its own, each score used."""
    entries = st.sampled_from(
        ["0", "1", "lambda", "tau", "-tau**2", "exp(-tau)", "1/(1+tau)", "sin(3*tau)", "beta/9"]
    )
    row = []
    for letter in "AB":
        for part in draw(parts_of_one(2)):
            shift = ",".join(draw(st.lists(entries, min_size=4, max_size=4)))
            name = draw(st.sampled_from(["eye", "eps", "{" + shift + "}"]))
            row.append(f"{letter}:{name}*{part}")
    row = draw(st.permutations(row))
    fresh = [True, *(draw(st.booleans()) for _ in row[1:])]
    at = [draw(st.sampled_from(["S", "S@1", "S@1/2"])) for _ in row]
    return " ".join(
        f"{at[i]} {op}" if new else op for i, (op, new) in enumerate(zip(row, fresh, strict=True))
    )


@pytest.mark.heavy
@given(random_words(), st.sampled_from(["lower", "upper"]), st.sampled_from([None, Fraction(1, 2)]))
@examples(25)
def test_random_words_are_the_same_in_engine_and_exact_moments_and_of_order_one(word, factor, skip):
    s, process = own(word, factor=factor, skip=skip), PROCESSES["linear"]
    z = torch.eye(2, dtype=torch.float64)[:, :, None].repeat(1, 1, 2)
    times = [0.3, 0.4, 0.45]
    ran = engine.run(plan(s, process, times), exact_score(process), z)[0]
    pushed = moments.run(s, process, TARGET, times, start=((0, 0), ((1.0, 0.0), (0.0, 0.0))))
    for i in range(2):
        for j in range(2):
            product = (ran[i, 0] * ran[j, 0]).numpy()
            off = np.abs(np.array(pushed.covariance[i][j]) - product).max()
            assert off < 1e-11 * float(ran.abs().max() ** 2)
    assert order_of(replace(s, skip=None)) == 1


_NUMBERS = fractions(-3, 3, 7)


def nodes() -> st.SearchStrategy[Any]:
    """Entries of B, as they are read."""

    def grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        powers = st.sampled_from([Fraction(2), Fraction(1, 2), Fraction(-1), Fraction(3)])
        return st.one_of(
            st.tuples(st.sampled_from("+-*/"), inner, inner),
            st.tuples(st.just("neg"), inner),
            st.tuples(st.just("**"), inner, powers),
            st.tuples(st.sampled_from(bends.FUNCTIONS), inner),
        )

    return st.recursive(st.one_of(_NUMBERS, st.sampled_from(bends.NAMES)), grown, max_leaves=8)


@given(nodes())
@examples(20)
def test_the_text_of_an_entry_is_read_as_the_entry_by_us_and_by_sympy(node):
    text = bends.spelled(node)
    try:
        again = bends.read(text)
    except ValueError:  # numbers alone, which are carried out: 1/0
        assert not bends.occurring(node) or "(" in text or "/" in text
        return
    assert bends.spelled(again) == bends.spelled(bends.read(bends.spelled(again)))
    values = dict(zip(bends.NAMES, (0.3, 0.7, 2.1, 0.4, 1.9, 0.6), strict=True))
    by = bends.Arithmetic(float, values, function, lambda x, k: np.float64(x) ** float(k))
    with np.errstate(all="ignore"):
        try:
            found, twice = (float(bends.value(n, by)) for n in (node, again))
        except ZeroDivisionError:
            return
    symbols = {("lam" if key == "lambda" else key): value for key, value in values.items()}
    if not np.isfinite(found) or abs(found) > 1e12:
        return
    assert twice == pytest.approx(found, rel=1e-9, abs=1e-9)
    wanted = sympy.N(
        sympy.sympify(
            text.replace("lambda", "lam"),
            {key: sympy.Float(value, 40) for key, value in symbols.items()}
            | {"beta": sympy.Float(2.1, 40)},
        ),
        30,
    )
    if wanted.is_real and abs(wanted) < 1e12:
        assert found == pytest.approx(float(wanted), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", bends.FUNCTIONS)
def test_series_of_a_function_are_those_of_mpmath(name):
    given_series = [0.7, 0.3, -0.2, *[0.0] * 5]
    found = Series(given_series).of(name).c
    with mpmath.workdps(30):
        a, b, c = map(mpmath.mpf, given_series[:3])
        wanted = mpmath.taylor(lambda s: getattr(mpmath, name)(a + b * s + c * s * s), 0, 7)
    assert np.array(found, float) == pytest.approx([float(w) for w in wanted], abs=1e-14)


@pytest.mark.parametrize(
    ("matrix", "says"),
    [
        ("{1,0,0,x}", "unknown name 'x'"),
        ("{1,0,0,2**tau}", "a power in B is a number"),
        ("{1,0,0,tau/(1-1)}", "divides by zero"),
        ("{1,0,0,__import__('os')}", "no entry of B"),
        ("{1,0,0,().__class__}", "cannot stand in B|no entry"),
        ("{1,0,0,9**9**9}", "a power in B"),
        ("{1,0,0,tau.real}", "cannot stand in B"),
        ("{1,0,0,0x10}", "is no number in B"),
        ("{1,0,tau}", "4 entries"),
        ("{1,0,0," + "(" * 300 + "1" + ")" * 300 + "}", "characters|no entry"),
        ("{1,0,0," + "-" * 300 + "tau}", "nested|no entry"),
    ],
)
def test_an_entry_that_is_none_is_refused_at_its_place_in_one_sentence(matrix, says):
    with pytest.raises(WordError, match=says) as refused:
        parse(f"S E:{matrix}")
    assert "^" in str(refused.value) and len(str(refused.value)) < 700


def test_a_matrix_with_names_is_one_token_and_has_one_spelling():
    word = parse("S (B:{ lambda * (tau + 0.5), 0, 0, .5 }/2 A:eye/2)*2")
    assert str(word) == " ".join(["S", *["B:{lambda*(tau+1/2),0,0,1/2}/2 A:eye/2"] * 2])
    assert parse(str(word)) == word and parse(word.folded) == word


def test_a_word_with_a_matrix_is_a_claim_and_no_path_and_a_claim_beside_others():
    word = "S B:{1/M,0,0,tau} A:eye"
    found = claims.read(f"{word}, order=1", "psld", "ode")
    assert found.scheme == scheme(word, "psld", "ode") and found.order == 1
    assert adapters.named(word) is None
