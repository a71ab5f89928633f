"""Largest stable steps: bisection against exact roots, closed forms, eigenvalues and runs that blow
up.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy
from hypothesis import given, reject
from hypothesis import strategies as st
from scipy.optimize import brentq

from analytic_models.boundaries import boundaries, jury_conditions, polynomial_limit
from analytic_models.diffusions import PSLD, VP, Diffusion, Langevin
from analytic_models.frozen import frozen_problem, spectral_radius, step_matrix
from analytic_models.moments import run
from analytic_models.stability import largest_stable_step, stiffest
from analytic_models.targets import Gaussian, digits_spectrum, marginal
from splitting_analysis.catalogue import CATALOGUE, entries, find
from splitting_analysis.clocks import Cosine, table
from splitting_analysis.notation import Word
from splitting_analysis.processes import ScheduledVP
from splitting_analysis.schemes import Scheme, scheme
from tests.strategies import examples, splitting_words

VARIANCES = [0.001, 0.05, 0.3, 0.8, 1.0, 1.5, 4.0]
PROCESSES: dict[str, Diffusion] = {
    "psld": PSLD(Gamma=0.3, nu=3.1, beta_min=3.0, beta_max=9.0, kappa=0.1),
    "vp": VP(2.0, 12.0),
    "langevin": Langevin(0.7),
}
CARRIED = [
    scheme("A S B", "psld", "ode"),
    scheme("K L S", "psld", "sde"),
    scheme("K S L", "vp", "sde"),
]
named = pytest.mark.parametrize(
    "entry", [*CATALOGUE, *CARRIED], ids=lambda s: f"{s.model_name}-{s.name}"
)


def drift_of_theory(entry: Scheme, diffusion: Diffusion, variance: float, tau: float) -> np.ndarray:
    """The exact frozen drift, written out from theory section 2 and 8."""
    if isinstance(diffusion, Langevin):
        friction = diffusion.gamma if entry.dynamics == "sde" else 0.0
        return np.array([[0, 1], [-1 / variance, -friction]])
    assert isinstance(diffusion, PSLD | VP)
    factor = 2 if entry.dynamics == "sde" else 1
    rate = diffusion.beta_min + tau * (diffusion.beta_max - diffusion.beta_min)
    precision = np.linalg.inv(np.array(marginal(diffusion, Gaussian(variance), tau)[1]))
    if isinstance(diffusion, VP):
        return rate / 2 * (np.eye(1) - factor * precision)
    g, n, mass = diffusion.Gamma, diffusion.nu, diffusion.M
    return (
        rate
        / 2
        * (np.array([[g, -1 / mass], [1, n]]) - factor * np.diag([g, mass * n]) @ precision)
    )


@pytest.mark.share(13)
@named
@pytest.mark.parametrize("tau", [0.03, 0.6])
def test_the_spectral_radius_first_leaves_the_unit_disk_at_the_largest_stable_step(entry, tau):
    diffusion = PROCESSES[entry.model_name]
    limits = largest_stable_step(entry, diffusion, VARIANCES, tau)
    own, frozen = frozen_problem(entry, diffusion, VARIANCES, tau)
    bounded = np.isfinite(limits)
    reach = np.where(bounded, limits, 3.0)
    below = np.linspace(0.001, 0.9999, 250)[:, None] * reach
    above = 1.0001 * reach
    inside = spectral_radius(step_matrix(entry, own, frozen, below))[:, ~np.isnan(limits)]
    assert inside.max() <= 1 + 1e-9
    outside = spectral_radius(step_matrix(entry, own, frozen, above))[bounded]
    assert np.all((outside > 1) | np.isnan(outside))
    assert bounded.any() or np.isinf(limits).any()


@pytest.mark.share(12)
@named
def test_a_mode_has_no_limit_exactly_where_its_exact_frozen_flow_expands(entry):
    diffusion = PROCESSES[entry.model_name]
    for tau in (0.03, 0.9):
        limits = largest_stable_step(entry, diffusion, VARIANCES, tau)
        growth = [
            np.linalg.eigvals(drift_of_theory(entry, diffusion, v, tau)).real.max()
            for v in VARIANCES
        ]
        at_once = entry.name == "Strang"  # where the exact flow stands still, from 0 on
        assert list(np.isnan(limits)) == [g > 1e-9 or (at_once and abs(g) < 1e-9) for g in growth]


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["Euler", "NSE", "RSE", "NVV", "RVV", "EM"])
def test_bisection_finds_the_exact_roots_of_jurys_polynomials(name):
    entry, diffusion = find(name), PROCESSES["psld"]
    for tau in (0.03, 0.6):
        by_scan = largest_stable_step(entry, diffusion, [0.05, 0.8, 4.0], tau)
        exact = [polynomial_limit(entry, diffusion, v, tau) for v in (0.05, 0.8, 4.0)]
        assert by_scan == pytest.approx(exact, rel=1e-9, nan_ok=True)


@given(st.data())
@examples(6)
def test_the_scan_and_the_exact_roots_agree_on_any_word(data):
    """Carried scores, weak instabilities and neutral flows among them; 1x1 and 2x2 maps."""
    keys = [("psld", "ode"), ("vp", "ode"), ("vp", "sde"), ("langevin", "ode"), ("langevin", "sde")]
    model, dynamics = data.draw(st.sampled_from(keys))
    word = data.draw(splitting_words(model, dynamics))
    entry = scheme(word, model, dynamics)
    still = PSLD(Gamma=0.25, nu=3.25, kappa=1.0)  # neutral where the data variance is 1
    diffusion = still if model == "psld" and data.draw(st.booleans()) else PROCESSES[model]
    variance = data.draw(st.sampled_from([0.001, 0.75, 1.0, 1.5]))
    tau = data.draw(st.sampled_from([0.0625, 0.5]))
    exact = polynomial_limit(entry, diffusion, variance, tau)
    if exact is None:
        reject()  # no polynomial
    limit = largest_stable_step(entry, diffusion, [variance], tau, 1e3)[0]
    assert limit == pytest.approx(
        np.inf if exact >= 1e3 else exact, rel=1e-8, abs=1e-5, nan_ok=True
    )


@pytest.mark.share(3)
@pytest.mark.parametrize(
    "word",
    [
        "B*3/5 S B*2/5 A",  # grows like h^2, below the round-off of its 4x4 matrix
        "S E",
        "S E[1] S@1 E[1/2,1/2]",
        "S E[1/2] S@1/2 E[1]",
        "S E[1/3] S@1/3 E[0,2/3] S@2/3 E[1/4,0,3/4]",
    ],
)
@pytest.mark.parametrize("variance", [0.01, 0.7, 30.0])
def test_an_instability_however_weak_leaves_no_stable_step(word, variance):
    """The exact flow rotates; these maps grow like h^2 or h^4 at every step."""
    entry = scheme(word, "langevin", "ode")
    stable = word.endswith("[1/4,0,3/4]")  # order 3 damps: up to sqrt(3) on the imaginary axis
    expected = np.sqrt(3 * variance) if stable else 0.0
    assert largest_stable_step(entry, Langevin(1.0, 3.0), [variance], 0.5, 1e3)[0] == pytest.approx(
        expected
    )
    assert polynomial_limit(entry, Langevin(1.0, 3.0), variance, 0.5) == pytest.approx(expected)


def test_the_stiffest_mode_has_the_fastest_exact_flow():
    variances = [0.3, 0.0, 4.0, 1e-5]
    for entry in (find("RSE"), find("EM"), find("EM", "vp")):
        assert stiffest(entry, PROCESSES[entry.model_name], variances, 1e-3) == 1
    assert stiffest(find("BAOAB", "langevin"), PROCESSES["langevin"], [0.3, 0.1, 4.0], 0.0) == 1


@pytest.mark.parametrize(
    ("name", "limit"), [("RSE", 0.00370), ("RK45", 0.00699), ("ROBA", 0.00190), ("EM", 0.00203)]
)
def test_the_limits_of_the_digits_stiffest_mode_are_those_of_variance_zero(name, limit):
    spectrum = digits_spectrum()
    mode = stiffest(find(name), PSLD(), spectrum, 1e-3)
    assert spectrum[mode] == 0
    limits = largest_stable_step(find(name), PSLD(), spectrum[[mode, 0, 30, 60]], 1e-3)
    assert limits[0] == pytest.approx(limit, abs=5e-6) and limits[0] == np.nanmin(limits)


@pytest.mark.heavy
def test_the_fifth_order_runge_kutta_step_is_stable_up_to_the_root_of_its_polynomials():
    limit = largest_stable_step(find("RK45"), PROCESSES["psld"], [0.3], 0.2)[0]
    assert limit == pytest.approx(
        polynomial_limit(find("RK45"), PROCESSES["psld"], 0.3, 0.2), rel=1e-9
    )


@pytest.mark.parametrize("name", ["ROBA", "SSCS"])
def test_a_step_with_exact_substeps_has_no_polynomial(name):
    assert polynomial_limit(find(name), PROCESSES["psld"], 0.3, 0.2) is None


@pytest.mark.share(4)
@pytest.mark.parametrize("entry", entries("vp"), ids=lambda s: s.name)
def test_closed_forms_of_vp_are_the_limits_in_the_clock(entry):
    tau, diffusion = 0.4, PROCESSES["vp"]
    rate, data = diffusion.beta(tau), np.array([0.05, 0.4, 0.9, 1.4, 1.9])
    v = sympy.Symbol("v", positive=True)
    frozen = marginal(diffusion, Gaussian(data), tau)[1][0][0]
    found = boundaries(entry)
    assert bool(found) == ("L" not in entry.word.letters)  # exact flows leave no polynomial
    if not found:
        return
    for limit, variance in zip(
        largest_stable_step(entry, diffusion, data, tau, 1e3), frozen, strict=True
    ):
        values = [sympy.N(form.subs(v, sympy.Float(variance, 30))) for form in found]
        positive = [float(value) for value in values if value.is_real and value > 0]
        assert (
            np.isnan(limit)
            if not positive
            else rate * limit == pytest.approx(min(positive), rel=1e-9)
        )


@pytest.mark.heavy
def test_closed_forms_of_vp_are_the_textbook_ones():
    v = sympy.Symbol("v", positive=True)
    expected = {
        "Euler": 4 * v / (1 - v),
        "Heun": 4 * v / (1 - v),
        "EM": 4 * v / (2 - v),
        "EI": 2 * sympy.log((2 + v) / (2 - v)),
        "DDPM": v * (2 - v),
    }
    for name, form in expected.items():
        (found,) = boundaries(find(name, "vp"))
        for value in (sympy.Rational(1, 3), sympy.Rational(4, 5)):
            assert abs(sympy.N((found - form).subs(v, value), 30)) < 1e-25
    real_axis = -sympy.real_roots(
        sympy.Poly(
            sympy.Symbol("z") ** 3 + 4 * sympy.Symbol("z") ** 2 + 12 * sympy.Symbol("z") + 24
        )
    )[0]
    (rk4,) = boundaries(find("RK4", "vp"))
    assert (
        abs(sympy.N((rk4 - real_axis * 2 * v / (1 - v)).subs(v, sympy.Rational(1, 3)), 30)) < 1e-25
    )


def test_a_limit_without_a_closed_form_is_none_and_no_error():
    word = scheme("B/2 O/2 A O/2 S B/2", model="langevin", dynamics="sde")
    assert boundaries(word) == ()
    (limit,) = largest_stable_step(word, Langevin(1.0), [1.0], 0.0, longest=50.0)
    assert limit == pytest.approx(brentq(lambda h: h**2 - 4 * np.cosh(h / 2), 2, 4), rel=1e-7)


@pytest.mark.heavy
def test_every_splitting_of_the_harmonic_oscillator_is_stable_up_to_h_omega_two():
    omega = sympy.Symbol("omega", positive=True)
    data = np.array([0.1, 1.0, 7.0])
    for entry in entries("langevin"):
        if entry.name in ("EM", "EI", "BUB"):  # no splittings, and UBU in another order
            continue
        limits = largest_stable_step(entry, Langevin(0.7), data, 0.0, longest=50.0)
        if "U" in entry.word.letters:  # (omega h)^2 = 2 gamma h coth(gamma h/2), which is above 4
            assert not boundaries(entry)
            assert limits == pytest.approx(1.4 * data / np.tanh(0.35 * limits), rel=1e-7)
            continue
        assert boundaries(entry) == (2 / omega,)
        assert limits == pytest.approx(2 * np.sqrt(data), rel=1e-7)


@pytest.mark.share(4)
@pytest.mark.parametrize("gamma", [0.1, 1.0, 5.0])
def test_euler_maruyama_of_the_harmonic_oscillator_stops_at_its_closed_form(gamma):
    omega, friction = sympy.symbols("omega gamma", positive=True)
    for variance in (0.1, 1.0, 7.0):
        limit = largest_stable_step(find("EM", "langevin"), Langevin(gamma), [variance], 0.0)[0]
        values = [
            sympy.N(f.subs({omega: variance**-0.5, friction: gamma}))
            for f in boundaries(find("EM", "langevin"))
        ]
        assert limit == pytest.approx(
            min(float(value) for value in values if value.is_real), rel=1e-9
        )


@pytest.mark.share(4)
@pytest.mark.parametrize("name", ["SE", "VV", "EM", "BAOAB", "ABOBA", "OBABO", "BAOA", "UBU"])
def test_runs_stay_bounded_below_the_limit_and_blow_up_above_it(name):
    entry, target = find(name, "langevin"), Gaussian(np.array([0.3]))
    limit = largest_stable_step(entry, Langevin(3.0), [0.3], 0.0)[0]
    sizes = []
    for factor in (0.97, 1.02):
        times = np.arange(601) * factor * limit
        moments = run(entry, Langevin(3.0, T=float(times[-1])), target, list(times), denoise=False)
        sizes.append(float(moments.covariance[0][0][0]))
    assert sizes[0] < 100 and sizes[1] > 1e3 * sizes[0]


def test_an_explicit_euler_step_of_a_pure_rotation_is_never_stable_and_a_symplectic_one_is():
    still = PSLD(kappa=1.0)  # with unit data variance the law is stationary: the flow is a rotation
    assert largest_stable_step(find("Euler"), still, [1.0], 0.5)[0] == 0
    assert 0.1 < largest_stable_step(find("NSE"), still, [1.0], 0.5)[0] < 1
    assert polynomial_limit(find("Euler"), still, 1.0, 0.5) == pytest.approx(0, abs=1e-12)


def test_a_flow_that_stands_still_bounds_no_step():
    for name in ("Euler", "Heun", "RK4"):
        assert largest_stable_step(find(name, "vp"), VP(), [1.0], 0.5)[0] == np.inf


@pytest.mark.parametrize("tau", [0.001, 0.5, 1.0])
def test_growth_that_is_the_error_of_a_step_where_the_flow_stands_still_is_no_limit_of_zero(tau):
    """Strang multiplies by 1 + u^3/6 there; beside it the limit is where contraction ends, like the
    root of what the mode lacks.
    """
    strang, process = find("Strang", "vp"), VP(8.0, 8.0)
    near = [0.9999, 1 - 1e-6, 1 - 1e-13, 1.0, 1 + 1e-13, 1.001]
    limits = largest_stable_step(strang, process, near, 0.001)
    assert list(np.isnan(limits)) == [False, False, True, True, True, True]
    assert limits[0] / limits[1] == pytest.approx(10, rel=1e-2) and limits[1] > 1e-5
    twice = [2.0, *near[1:3]]  # the SDE stands still where twice the score is the drift
    assert not (largest_stable_step(find("DDPM", "vp"), process, twice, 0.0) == 0).any()
    # far from the data every mode is nearly at rest, and none has the limit 0
    assert not (largest_stable_step(strang, process, VARIANCES, tau) == 0).any()
    # a rotation is another matter: its norm is kept, and losing it at once is what 0 says
    assert largest_stable_step(find("Euler"), PSLD(kappa=1.0), [1.0], tau)[0] == 0


def test_a_ddpm_step_cannot_be_longer_than_its_variance_allows():
    assert largest_stable_step(find("DDPM", "vp"), VP(8.0, 8.0), [1.0], 0.5)[0] == pytest.approx(
        1 / 8
    )


def test_twice_the_rate_halves_every_limit():
    slow = PSLD(beta_min=4.0, beta_max=4.0)
    own, frozen = frozen_problem(find("ROBA"), slow, VARIANCES, 0.2)
    fast = replace(slow, beta_min=8.0, beta_max=8.0)
    assert own == slow
    h = np.full(len(VARIANCES), 0.05)
    for entry in entries("psld"):
        assert np.allclose(
            step_matrix(entry, own, frozen, 2 * h), step_matrix(entry, fast, frozen, h)
        )


@pytest.mark.share(6)
@pytest.mark.parametrize("name", ["Euler", "RSE", "NSE", "RVV", "ROBA", "NOBAB", "SSCS"])
def test_a_word_begun_elsewhere_in_its_cycle_has_the_same_limits(name):
    """Frozen coefficients know no time, so S B A and A S B, which carries its score, are one
    cycle.
    """
    entry = find(name)
    limits = largest_stable_step(entry, PROCESSES["psld"], [0.05, 0.8], 0.2)
    for k in range(1, len(entry.word.ops)):
        turned = scheme(Word(entry.word.ops[k:] + entry.word.ops[:k]), "psld", entry.dynamics)
        assert largest_stable_step(turned, PROCESSES["psld"], [0.05, 0.8], 0.2) == pytest.approx(
            limits, rel=1e-5
        )


def test_the_round_off_of_a_law_at_rest_is_no_instability():
    """R(z) = 1 + z + 53/30 z^2 + ... is inside the disk on the imaginary axis, from 0 on."""
    entry = scheme("S E[3/5] S@3/5 E[2,-1] S@1 E[-7/6,1,7/6]", "psld", "ode")
    still = PSLD(Gamma=0.0, nu=4.0, kappa=1.0)
    (limit,) = largest_stable_step(entry, still, [1.0], 0.5)
    assert (
        limit == pytest.approx(polynomial_limit(entry, still, 1.0, 0.5), rel=1e-8) and limit > 0.09
    )


def test_where_nothing_moves_every_step_is_stable():
    limits = largest_stable_step(find("EM", "vp"), VP(8.0, 0.0), [0.0, 1.0], 1.0)
    assert list(limits) == [np.inf, np.inf]


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="vp scheme"):
        largest_stable_step(find("EM", "vp"), PSLD(), [1.0], 0.5)
    with pytest.raises(ValueError, match="degenerate"):
        largest_stable_step(find("EM"), PSLD(), [0.0], 0.0)
    with pytest.raises(ValueError, match="polynomial_limit"):
        boundaries(find("ROBA"))
    own, frozen = frozen_problem(CARRIED[0], PROCESSES["psld"], [0.3], 0.2)
    exact = tuple(tuple(sympy.Rational(float(e[0])) for e in row) for row in frozen)
    with pytest.raises(ValueError, match="carries its score"):
        jury_conditions(CARRIED[0], own, exact, sympy.Symbol("h"))


@pytest.mark.parametrize("schedule", [Cosine(), table([0.9, 0.5, 0.2])], ids=["cosine", "table"])
def test_a_schedule_has_the_limits_of_a_constant_rate_where_rate_and_integral_agree(schedule):
    """Also where the second look, in many digits, has to tell them."""
    process, tau = ScheduledVP(schedule=schedule), 0.6
    rate = process.beta(tau)
    for name in ("Strang", "EM", "SSCS"):
        limits, expected = (
            largest_stable_step(find(name, "vp"), own, [0.02, 0.7, 1.0], at, 20.0)
            for own, at in ((process, tau), (VP(rate, rate), process.integral(tau) / rate))
        )
        assert limits == pytest.approx(expected, rel=1e-9, nan_ok=True)
