"""One step on scores that are not Gaussian: closed forms on a differentiable score against the
engine.
"""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch

from gpu_samplers.embedded import DIGITS
from gpu_samplers.network import ncsnpp
from gpu_samplers.processes import PSLD
from gpu_samplers.score import NetworkScore
from reports.experiments import gpu_parity, local, ode, scores, sde, store
from splitting_analysis.catalogue import entries, find
from splitting_analysis.models import model_of
from splitting_analysis.schemes import scheme

MIXTURE, VP_MIXTURE = local.mixture(), local.vp_mixture()
TARGETS = {"psld": MIXTURE, "vp": VP_MIXTURE}


def named(schemes):
    """Those of order 4 and 5 have derivatives to the fifth and sixth: seconds."""
    return [
        pytest.param(
            s, id=f"{s.model_name}-{s.name}", marks=pytest.mark.heavy if s.order >= 4 else ()
        )
        for s in schemes
    ]


@pytest.fixture(scope="module")
def network():
    return local.random_network()


def score_of(name):
    """A score, a state and a time, away from every special value."""
    target = {"mixture": local.mixture, "network": local.random_network}[name]()
    return target, local.noised(target.target, 0.4, 5), torch.tensor(0.4, dtype=torch.float64)


@pytest.mark.parametrize("name", ["mixture", "network"])
def test_the_differentiable_score_is_the_one_the_engine_runs_on(name):
    target, z, tau = score_of(name)
    _, machine, smooth = target.scores
    assert float(smooth(z, tau).norm()) > 1
    torch.testing.assert_close(smooth(z, tau), machine(z, 0.4), rtol=1e-11, atol=1e-11)


@pytest.mark.share(6)
@pytest.mark.parametrize("name", ["mixture", "network"])
@pytest.mark.parametrize(
    ("j", "along", "against"),
    [
        (1, "", (0, "")),
        (0, "x", (0, "")),
        (0, "mx", (0, "m")),
        (1, "m", (0, "m")),
        (2, "", (1, "")),
    ],
)
def test_a_differential_is_the_slope_of_the_one_below_it(name, j, along, against):
    """Central differences at two step sizes, extrapolated, in the variable that was added last."""
    target, z, tau = score_of(name)
    model = model_of("psld", "ode")
    generator = torch.Generator().manual_seed(1)
    v, w = torch.randn(2, *z[0].shape, generator=generator, dtype=torch.float64)
    directions = tuple(zip(along, (v, w), strict=False))
    lower_j, lower = against
    below = directions[: len(lower)]
    moved = [d for d in directions if d not in below]

    def value(eps):
        state, time = z.clone(), tau + (eps if lower_j < j else 0)
        for component, direction in moved:
            state["xm".index(component)] += eps * direction
        return scores.score_field(model, target.target.smooth, state, time)("sm", lower_j, below)

    def slope(eps):
        return (value(eps) - value(-eps)) / (2 * eps)

    exact = scores.score_field(model, target.target.smooth, z, tau)("sm", j, directions)
    found = (4 * slope(1e-5) - slope(2e-5)) / 3
    assert float((found - exact).norm()) < 1e-5 * float(exact.norm())


@pytest.mark.share(7)
@pytest.mark.parametrize("word", named([*entries("psld", "ode"), *entries("vp", "ode")]))
def test_every_ode_word_errs_on_a_mixture_as_its_closed_form_says(word):
    target = TARGETS[word.model_name]
    row = local.ode_row(target, word, target.taus[0])
    assert row["power"] == (word.order or 0) + 1
    tolerance = 1e-7 if row["power"] == 2 else 2e-3
    assert abs(row["ratio_minus_1"]) < tolerance and row["difference"] < tolerance
    # Divided by one power of h more it would grow without end, by one less it would vanish.
    assert row["predicted"] > 0.01


@cache
def sde_found(word):
    """What one noisy step of a sampler on its mixture is worth, by kind of error."""
    target = TARGETS[word.model_name]
    z = local.noised(target.target, target.sde_tau, local.SEED)
    found = sde.compare(
        (word,),
        *target.scores,
        z,
        target.sde_tau,
        target.sde_step,
        rotations=2,
    )
    return found[word.name]


QUICK = ("SSCS", "ROBAB")
NOISY = [
    pytest.param(
        s,
        id=f"{s.model_name}-{s.name}",
        marks=pytest.mark.heavy if s.model_name == "psld" and s.name not in QUICK else (),
    )
    for s in (*sde.judged("psld"), *sde.judged("vp"))
]
"""Of PSLD by default two, with all that a word can hold: exact pieces, reuse, a score at the step's
end.
"""


@pytest.mark.share(3)
@pytest.mark.parametrize("word", NOISY)
def test_every_sde_word_errs_on_a_mixture_as_its_closed_forms_say(word):
    for kind, c in sde_found(word).items():
        # symmetric about its score: no h^2 term
        if word.name == "SSCS" and kind == "second moments":
            assert c.predicted == 0 and c.measured < 1e-6 and 0 < c.standard_error < 1e-6
            continue
        assert c.predicted > 1
        assert c.difference < 1e-6 and 0 < c.standard_error < 1e-6, kind


@pytest.mark.heavy
def test_a_weak_error_measured_at_a_step_of_no_use_does_not_pass():
    """The comparison is no tautology: at a large step the higher powers show."""
    c = sde.compare(
        (find("ROBA"),),
        *MIXTURE.scores,
        local.noised(MIXTURE.target, 0.4, local.SEED),
        0.4,
        0.05,
        1,
        1,
    )["ROBA"]
    assert all(found.difference > 0.05 for found in c.values())


@pytest.mark.share(3)
@pytest.mark.parametrize("word", NOISY)
def test_the_stored_stochastic_rows_on_a_mixture_are_those_found_now(word):
    kept = store.stored("local")
    if kept is None:
        pytest.skip("no stored results in this copy")
    all_rows = kept["targets"][{"psld": "mixture", "vp": "mixture, VP"}[word.model_name]]["sde"]
    rows = [row for row in all_rows if row["scheme"] == word.name]
    assert len(rows) == 3 and len(all_rows) == 3 * len(sde.judged(word.model_name))
    for row in rows:
        c = sde_found(word)[row["kind"]]
        assert c.predicted == pytest.approx(row["predicted"], rel=1e-5)
        assert c.measured == pytest.approx(row["measured"], rel=1e-5, abs=1e-4)


def test_a_standard_error_is_the_spread_of_the_ratio_over_rotations():
    """At a step so large that what the rotations do not average shows."""
    word, tau = find("EM", "vp"), 0.4
    z = local.noised(VP_MIXTURE.target, tau, local.SEED)
    units, rotations = scores.unit_vectors(z), 2
    args = *VP_MIXTURE.scores, z, tau
    found = sde.compare((word,), *args, 0.05, 1, rotations)["EM"]
    closed = sde.predicted(word, VP_MIXTURE.target.process, VP_MIXTURE.target.smooth, z, tau, units)
    steps = 0.05, 0.05 * (1 + sde.SPREAD / 2)
    drawn = [
        sde.measured((word,), *args[:2], z, scores.dyadic(tau), scores.dyadic(h), seed, units)["EM"]
        for seed, h in enumerate(steps)
    ]
    for kind, keys in (
        ("mean", [k for k in closed if len(k) == 1]),
        ("second moments", [k for k in closed if len(k) == 2]),
        ("strong", [k for k in closed if k.startswith("strong")]),
    ):
        size = sum(float(closed[k].square().sum()) for k in keys)
        along = [sum(float((one[k] * closed[k]).sum()) for k in keys) / size for one in drawn]
        mean = sum(along) / rotations
        spread = math.sqrt(sum((a - mean) ** 2 for a in along) / (rotations - 1) / rotations)
        assert found[kind].standard_error == pytest.approx(spread, rel=1e-6) and spread > 1e-7, kind
    assert all(
        math.isnan(c.standard_error) for c in sde.compare((word,), *args, 0.05, 1, 1)["EM"].values()
    )


@pytest.mark.parametrize("levels", [3, 4, 5])
def test_an_extrapolation_says_how_far_it_may_be_off(levels):
    found = ode.extrapolated(
        lambda h: torch.tensor([math.exp(h), math.cos(3 * h)], dtype=torch.float64), 0.5, levels
    )
    off = float((found.value - 1).norm())
    assert 0 < off < found.uncertainty < 1e3 * off


def test_an_extrapolation_is_not_taken_in_by_round_off_that_repeats():
    """Two fine values, the same to the last bit but wrong, look settled to whoever asks only
    them.
    """
    values = {2.0**-k: torch.tensor([math.exp(2.0**-k)], dtype=torch.float64) for k in range(10)}
    values[2.0**-8] = values[2.0**-9] = torch.tensor([0.9999], dtype=torch.float64)
    found = ode.extrapolated(lambda h: values[h], 1.0, 10)
    assert abs(float(found.value) - 1) < found.uncertainty < 1e-6


@pytest.mark.parametrize("levels", [3, 4])
def test_a_comparison_of_few_step_sizes_differs_by_less_than_its_uncertainty(levels):
    z = local.noised(MIXTURE.target, 0.4, local.SEED)
    c = ode.compare(find("RSE"), *MIXTURE.scores, z, 0.4, 2e-2, levels)
    assert 1e-9 < c.difference < c.uncertainty < 1e3 * c.difference


@pytest.mark.share(4)
@pytest.mark.parametrize("name", [pytest.param("Euler", marks=pytest.mark.heavy), "RSE", "RVV"])
def test_ode_words_err_on_a_network_as_their_closed_forms_say(network, name):
    z = local.noised(network.target, 0.4, 2)
    process, machine, smooth = network.scores
    c = ode.compare(find(name), process, machine, smooth, z, 0.4, 2e-3, 5)
    assert c.difference < 1e-4 and c.predicted > 10
    assert abs(c.by_step[-1] - 1) < abs(c.by_step[0] - 1) / 4


@pytest.mark.heavy
def test_the_closed_form_tells_the_conditioning_time_of_the_second_score(network):
    """RVV with S for S@1 has another leading error by far more than the comparison's tolerance."""
    z = local.noised(network.target, 0.4, 2)
    made = [
        ode.leading_term(s, network.target.process, network.target.smooth, z, 0.4)[1]
        for s in (find("RVV"), scheme("S B/2 A S B/2"))
    ]
    assert float((made[1] - made[0]).norm()) > 0.1 * float(made[0].norm())


def test_normals_in_orthogonal_pairs_have_the_moments_of_a_normal_law_to_degree_three():
    rows = sde.orthogonal_normals(6, 3)
    torch.testing.assert_close(
        rows.mean(0), torch.zeros(6, dtype=torch.float64), rtol=0, atol=1e-12
    )
    torch.testing.assert_close(rows.T @ rows / len(rows), torch.eye(6, dtype=torch.float64))
    cubes = torch.einsum("bi,bj,bk->ijk", rows, rows, rows)
    assert float(cubes.abs().max()) < 1e-10
    assert not torch.allclose(rows, sde.orthogonal_normals(6, 4))


@pytest.mark.parametrize("word", named([*sde.judged("psld"), *sde.judged("vp")]))
def test_the_normals_made_from_a_path_are_independent_and_of_unit_variance(word):
    process = TARGETS[word.model_name].target.process
    n = len(process.stationary)
    basis = torch.eye(n * sde.SUBSTEPS * 2, dtype=torch.float64)
    path = basis.reshape(n, sde.SUBSTEPS, 2, -1, 1)
    noise = sde.PathNoise(word, process, 0.4, 1e-3, path)
    blocks = torch.cat([block[..., 0] for block in noise.blocks])
    torch.testing.assert_close(blocks @ blocks.T, torch.eye(len(blocks), dtype=torch.float64))


def test_the_reference_converges_to_the_path_that_many_euler_maruyama_steps_approach():
    """Another route to the same solution: the path refined by a Brownian bridge of its own
    normals.
    """
    process, tau, h = MIXTURE.target.process, 0.4, 1e-2
    z = local.noised(MIXTURE.target, tau, 1)
    model = model_of("psld", "sde")
    generator = torch.Generator().manual_seed(2)
    path = torch.randn(2, sde.SUBSTEPS, 2, 1, 2, generator=generator, dtype=torch.float64)
    found = sde.reference(process, model, MIXTURE.target.smooth, z, tau, h, path)
    field, distances = scores.drift(process, model, MIXTURE.target.smooth), []
    strength = torch.tensor(model.drift.noise(process.parameters), dtype=torch.float64)
    for steps in (32, 64, 128):
        state, width, part = z.clone(), h / sde.SUBSTEPS, h / steps
        for i in range(steps):
            k, first = divmod(i * sde.SUBSTEPS, steps)
            u = first / steps, (first + sde.SUBSTEPS) / steps
            at = tau - i * part
            # d/du of the path's two functions over [0, 1]: u, and sqrt(3) (u^2 - u)
            a, b = (x * path[:, k, 0] + math.sqrt(3) * (x * x - x) * path[:, k, 1] for x in u)
            kick = (
                (process.beta(at - part / 2) * strength).sqrt()[:, None, None]
                * math.sqrt(width)
                * (b - a)
            )
            state = state + part * field(state, torch.tensor(at, dtype=torch.float64)) + kick
        distances.append(float((state - found).norm()))
    moved = float((found - z).norm())
    assert distances[-1] < 4e-3 * moved
    assert distances[0] > distances[1] > distances[2]


@pytest.mark.heavy
@pytest.mark.skipif(not DIGITS.is_file(), reason="no trained digits network in this copy")
def test_one_step_on_the_digits_network_errs_as_its_closed_form_and_the_stored_row_say():
    target, stored = local.trained_network(), store.stored("local")
    assert stored is not None
    (row, *_) = (r for r in stored["targets"]["digits network"]["ode"] if r["scheme"] == "RSE")
    z, h = local.noised(target.target, row["tau"], local.SEED), row["steps"][3]
    c = ode.compare(find("RSE"), *target.scores, z, row["tau"], h, 5)
    assert c.difference < 1e-3
    assert (c.predicted, c.measured) == pytest.approx((row["predicted"], row["measured"]), rel=1e-3)
    assert c.predicted == pytest.approx(row["predicted"], rel=2e-6)
    assert c.by_step == pytest.approx(row["by_step"][3:8], rel=1e-6)


def directions(count, shape):
    """Random orthonormal directions (count, *shape)."""
    generator = torch.Generator().manual_seed(7)
    drawn = torch.randn(math.prod(shape), count, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(drawn)[0].T.reshape(count, *shape)


@pytest.mark.heavy
def test_noise_in_one_direction_errs_as_its_closed_forms_say():
    z, units = local.noised(MIXTURE.target, 0.4, 2), directions(1, (2,))
    args = *MIXTURE.scores, z, 0.4, 1e-4, 3, 2
    one, whole = (sde.compare((find("ROBA"),), *args, u)["ROBA"] for u in (units, None))
    for kind, c in one.items():
        assert c.difference < 1e-4, kind
        assert abs(c.predicted - whole[kind].predicted) > 1e-3 * whole[kind].predicted, kind


def released(name, size):
    """The score of an architecture that was released, differentiable and for the engine, and a
    state.
    """
    network = gpu_parity.fill_by_rule(ncsnpp(name)).double()
    score, machine = (
        scores.network_score(network, PSLD()),
        NetworkScore(network, PSLD(), torch.float64),
    )
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, 1, 3, size, size, generator=generator, dtype=torch.float64)
    return score, machine, z


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["Euler", "NSE", "RSE", "NVV", "RVV"])
def test_one_step_on_a_small_network_built_as_released_errs_as_its_closed_form_says(name):
    score, machine, z = released("tiny_sota", 16)
    c = ode.compare(find(name), PSLD(), machine, score, z, 0.5, 1e-4, 3)
    assert c.difference < 1e-6


@pytest.mark.heavy
def test_one_step_on_the_released_cifar_10_network_errs_as_its_closed_form_says():
    """One sampler at one step size, not extrapolated: an evaluation takes seconds."""
    score, machine, z = released("cifar10_sota", 32)
    c = ode.compare(find("Euler"), PSLD(), machine, score, z, 0.5, 1e-5, 1)
    assert c.difference < 1e-3


@pytest.mark.heavy
def test_one_noisy_step_on_a_small_network_built_as_released_errs_as_its_closed_forms_say():
    """Noise in one direction of its 768. Beside so little noise the next power of h in the drift
    counts at 1e-6 already.
    """
    score, machine, z = released("tiny_sota", 16)
    schemes = (find("EM"), find("ROBA"))
    found = sde.compare(
        schemes, PSLD(), machine, score, z, 0.5, 2e-8, 1, 1, directions(1, (3, 16, 16))
    )
    for name, kinds in found.items():
        for kind, c in kinds.items():
            assert c.difference < 0.01, (name, kind, c)


def test_a_stochastic_scheme_is_not_compared_as_a_deterministic_one():
    with pytest.raises(ValueError, match="ROBA is stochastic"):
        ode.compare(find("ROBA"), PSLD(), *MIXTURE.scores[1:], torch.zeros(2, 1, 2), 0.4)
