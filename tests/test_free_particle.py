"""The letter U of kinetic Langevin, a free particle with friction and noise, for any friction.

Its covariance is 2 h/gamma - (3 - 4 e^-gamma h + e^-2 gamma h)/gamma^2 in position, the square of
(1 - e^-gamma h) over gamma between the two, and 1 - e^-2 gamma h in momentum: of order h^3, h^2
and h, which a plain float64 evaluation of these formulas loses at small gamma h.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from scipy.linalg import expm

from analytic_models.arithmetic import flow_2x2
from analytic_models.diffusions import Langevin
from analytic_models.moments import run
from analytic_models.rules import advance
from analytic_models.stability import largest_stable_step
from analytic_models.targets import Gaussian
from gpu_samplers import rules
from gpu_samplers.clocked import Step
from splitting_analysis.lookup import as_scheme
from splitting_analysis.program import Advance
from splitting_analysis.schemes import scheme
from splitting_analysis.step_code import FLOW

UBU = scheme("U/2 S B U/2", "langevin")
H = 0.3


def reference(gamma, h):
    with mpmath.workdps(200):
        g, h = mpmath.mpf(gamma), mpmath.mpf(h)
        if not g:
            return [[1, float(h)], [0, 1]], [[0, 0], [0, 0]]
        c = mpmath.exp(-g * h)
        qq, qp = 2 * h / g - (3 - 4 * c + c * c) / g**2, (1 - c) ** 2 / g
        flow, spread = [[1, (1 - c) / g], [0, c]], [[qq, qp], [qp, 1 - c * c]]
        return [[[float(e) for e in row] for row in m] for m in (flow, spread)]


@pytest.mark.parametrize("gamma", [0.0, 1e-30, 1e-9, 1e-3, 0.7, 30.0, 1e4, 1e9, 1e29])
def test_both_worlds_and_written_code_move_a_free_particle_to_rounding_whatever_the_friction(gamma):
    (first, *_) = [op for op in UBU.program.instructions if isinstance(op, Advance)]
    process = Langevin(gamma, 1.0)
    flow, spread = reference(gamma, H / 2)
    ours = advance(UBU, process, first, 0.0, H, None)
    noise = np.zeros((2, 2)) if ours.noise is None else np.array(ours.noise)
    machine = rules.advance(first, Step(process, "tau", 0.0, H), rules.Tuned(1.0, "exponent"))
    assert machine.noise is not None
    written: dict[str, Any] = {"np": np, "expm": expm}
    exec(FLOW, written)  # noqa: S102 - what the code of a word defines
    keep, _, root = map(
        np.array, written["flow"](((0, 1), (0, -gamma)), (0, 0), (0, 2 * gamma), H / 2)
    )
    for found in (
        (np.array(ours.keep), noise),
        (machine.keep, machine.noise @ machine.noise.T),
        (keep, root @ root.T),
    ):
        assert found[0] == pytest.approx(np.array(flow), rel=1e-14, abs=0)
        assert found[1] == pytest.approx(np.array(spread), rel=2e-14, abs=0)


def test_the_closed_form_is_its_number():
    gamma, h = sympy.symbols("gamma h", positive=True)
    closed = flow_2x2(((0, 1), (0, -gamma)), (0, 2 * gamma), h)
    at = {gamma: sympy.Rational(7, 10), h: sympy.Rational(3, 10)}
    numbers = flow_2x2(((0.0, 1.0), (0.0, -0.7)), (0.0, 1.4), 0.3)
    for symbols, floats in zip(closed, numbers, strict=True):
        found = [[float(sympy.sympify(e).subs(at)) for e in row] for row in symbols]
        assert np.array(found) == pytest.approx(np.array(floats), rel=1e-12)


def test_other_coupled_pieces_have_no_closed_form_and_say_so():
    a = sympy.Symbol("a", positive=True)
    with pytest.raises(ValueError, match="no closed form of this exponential piece"):
        flow_2x2(((0, 1), (a, -1)), (0, 2), a)


TARGET, TIMES = Gaussian([0.4, 2.0], [1.0, -1.0]), [0.0, 0.2, 0.5, 0.9, 1.0]


def covariance(word: str, gamma: float) -> Any:
    """After a run over TIMES, (2, 2, modes)."""
    law = run(scheme(word, "langevin"), Langevin(gamma, 1.0), TARGET, TIMES)
    return np.array(law.covariance)


@pytest.mark.parametrize("word", ["U/3 S B U*2/3", "B/2 U S B/2"])
def test_without_friction_the_free_particle_is_the_drift_of_the_position(word):
    moving, little, plain = (
        covariance(own, gamma)
        for own, gamma in ((word, 0.0), (word, 1e-7), (word.replace("U", "A"), 0.0))
    )
    assert moving == pytest.approx(plain, rel=1e-13)
    assert 1e-8 < np.abs(little - plain).max() < 1e-6


def test_a_free_particle_may_be_cut_anywhere_and_a_splitting_of_it_may_not():
    part = Fraction(2, 7)
    whole, cut, split = (
        covariance(word, 0.7) for word in ("S B U", f"S B U*{part} U*{1 - part}", "S B O/2 A O/2")
    )
    assert cut == pytest.approx(whole, rel=1e-13)
    assert np.abs(split - whole).max() > 1e-3


@pytest.mark.parametrize("matrix", [((0.0, 1.0), (0.0, -0.7)), ((-0.5, 2.0), (-3.0, 0.25))])
def test_a_flow_over_many_intervals_is_that_over_each_by_itself(matrix):
    """An array of lengths far apart, which one number of halvings does not suit: those of a scan,
    or of a grid of one's own.
    """
    lengths = np.array([[1e-9], [0.01], [1.0], [30.0]])
    lengths = np.vstack([lengths, [[1e18]]]) if matrix[0][0] == 0 else lengths
    noise = (0.0, 1.4)
    together = flow_2x2(matrix, noise, lengths)
    for i, length in enumerate(lengths[:, 0]):
        with mpmath.workdps(40):
            exact = tuple(tuple(mpmath.mpf(e) for e in row) for row in matrix)
            alone = flow_2x2(exact, tuple(map(mpmath.mpf, noise)), mpmath.mpf(length))
        for whole, one in zip(together, alone, strict=True):
            for row, other in zip(whole, one, strict=True):
                size = max(abs(float(e)) for e in other)
                assert [float(e[i, 0]) for e in row] == pytest.approx(
                    [float(e) for e in other], rel=1e-12, abs=1e-13 * size
                )


@pytest.mark.parametrize("name", ["UBU", "BUB"])
def test_a_limit_does_not_depend_on_how_far_one_looks(name):
    scheme, well = as_scheme(name, "langevin", None), np.ones(1)
    near, far = (
        largest_stable_step(scheme, Langevin(T=T), well, 0.0, 2 * T)[0] for T in (10.0, 1e24)
    )
    assert 2 < near < 3 and far == pytest.approx(near, rel=1e-9)
