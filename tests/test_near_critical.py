"""The exact flow of coupled components beside critical damping: every digit on both sides of it,
and on it.

The closed form for critical damping is wrong by as much as the damping is off, so it may be taken
only where that is below rounding. The reference is Van Loan's block exponential in fifty digits.
"""

from __future__ import annotations

import mpmath
import pytest

from analytic_models.arithmetic import is_critical
from analytic_models.rules import _flow

NOISE = (0.3, 1.7)
OFFSETS = [sign * 10.0**-k for k in (1, 4, 7, 8, 9, 10, 11, 12) for sign in (1, -1)]


def coupled(offset):
    """A damped oscillator whose discriminant is off critical by that share of its larger part."""
    return ((-0.75, 2.0 * (1 + offset)), (-0.78125, -3.25))


def reference(matrix, delta):
    """exp(delta A) and the integral of exp(u A) diag(noise) exp(u A)^T over [0, delta]."""
    with mpmath.workdps(50):
        block = mpmath.zeros(4)
        for i in range(2):
            block[i, i + 2] = mpmath.mpf(NOISE[i])
            for j in range(2):
                block[i, j] = -mpmath.mpf(matrix[i][j])
                block[i + 2, j + 2] = mpmath.mpf(matrix[j][i])
        whole = mpmath.expm(block * delta)
        flow = whole[2:4, 2:4].T
        spread = flow * whole[0:2, 2:4]
        return [[[float(m[i, j]) for j in range(2)] for i in range(2)] for m in (flow, spread)]


@pytest.mark.share(3)
@pytest.mark.parametrize("delta", [0.01, 1.0, 6.0])
@pytest.mark.parametrize("offset", [0.0, *OFFSETS])
def test_the_flow_near_critical_damping_is_exact_to_rounding(offset, delta):
    matrix = coupled(offset)
    moved = _flow(matrix, (0, 0), NOISE, (0, 0), delta)
    flow, spread = reference(matrix, delta)
    assert moved.noise is not None
    for found, exact in ((moved.keep, flow), (moved.noise, spread)):
        size = max(abs(exact[0][0]), abs(exact[1][1]))
        for i in range(2):
            assert list(found[i]) == pytest.approx(exact[i], rel=2e-13, abs=2e-13 * size)


@pytest.mark.parametrize("offset", OFFSETS)
def test_only_what_is_critical_to_rounding_counts_as_critical(offset):
    assert is_critical(coupled(0.0)) and is_critical(coupled(2e-15))
    assert not is_critical(coupled(offset))
    with mpmath.workdps(50):
        exact = tuple(tuple(mpmath.mpf(e) for e in row) for row in coupled(0.0))
        ((a, b), row) = exact
        assert is_critical(exact)
        assert not is_critical(((a, b * (1 + mpmath.mpf("1e-40"))), row))
