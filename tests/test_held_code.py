"""The code that `derive --format python` writes of a word that holds a prediction is that word: the
engine's path on random targets, and every check of `validate`.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the engine needs torch")

from analytic_models.probing.subject import load  # noqa: E402
from analytic_models.probing.validate import validate  # noqa: E402
from gpu_samplers import engine  # noqa: E402
from gpu_samplers.plan import plan  # noqa: E402
from splitting_analysis.catalogue import find  # noqa: E402
from splitting_analysis.data_catalogue import DATA_CATALOGUE  # noqa: E402
from splitting_analysis.held_code import runs_whole  # noqa: E402
from splitting_analysis.position_catalogue import HELD_CATALOGUE  # noqa: E402
from splitting_analysis.processes import PSLD, VP  # noqa: E402
from splitting_analysis.retuned import with_noise_level  # noqa: E402
from splitting_analysis.schemes import scheme  # noqa: E402
from splitting_analysis.step_code import step_code  # noqa: E402
from tests.test_held_predictions import CASES  # noqa: E402
from tests.test_held_predictions import PROCESSES as POSITION_ONLY  # noqa: E402

PROCESSES = {**POSITION_ONLY, "psld": PSLD()}
FEW = ("vp-DPM++2M-SDE", "vp-UniPC2-bh1", "ve-EDM", "vp-DPM++2S-SDE", "flow-Midpoint", "ve-DEIS3")


def grid_of(process: Any) -> list[float]:
    return [float(process.T * (1 - (1 - i / 8) ** 2)) for i in range(8)]


def written(own, style="torch"):
    """The function that the code defines."""
    named: dict[str, Any] = {"__name__": "written"}
    exec(compile(step_code(own, style), "written.py", "exec"), named)  # noqa: S102 - the test
    return named["sample" if runs_whole(own) else "step"]


def walked(own, process, call, score, z, noise):
    """Where the code arrives, in one call or step by step."""
    grid = grid_of(process)
    if runs_whole(own):
        return call(score, z, grid, noise, process)
    for t, after in pairwise(grid):
        z = call(z, t, after - t, score, noise, process)
    return z


def follows(own, process):
    """Whether the code ends where the engine does, with the same normals and a random score."""
    n, d = len(process.stationary), 3
    seeded = torch.Generator().manual_seed(7)
    mixing = torch.randn(n * d, n * d, dtype=torch.float64, generator=seeded)
    draws = torch.randn(40, n, 4, d, dtype=torch.float64, generator=seeded)

    def flat(z):
        return torch.cat(tuple(z), 1)

    def score(z, tau):
        """Of a law as wide as the process at tau, or at its end, and something that mixes it."""
        wide = [1.0, *process.stationary[1:]]
        if n == 1:
            wide = [process.alpha(tau) ** 2 + process.sigma(tau) ** 2]
        widths = torch.tensor(wide, dtype=torch.float64).repeat_interleave(d)
        return -z / widths + torch.tanh(z @ mixing) / 3

    z = draws[-1] * torch.tensor(process.stationary, dtype=torch.float64).view(n, 1, 1) ** 0.5
    left = iter(draws)
    found = walked(own, process, written(own), score, flat(z), lambda: flat(next(left)))
    ready, left = plan(own, process, grid_of(process), denoise=False), iter(draws)
    wanted, _ = engine.run(
        ready,
        lambda y, tau: torch.stack(score(flat(y), tau).split(d, 1)),
        z,
        lambda parts: next(left)[:parts],
    )
    assert float((found - flat(wanted)).abs().max()) < 1e-11 * float(wanted.abs().max())


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(s, id=name, marks=() if name in FEW else pytest.mark.heavy)
        for s in HELD_CATALOGUE
        for name in [f"{s.model_name}-{s.name}"]
    ],
)
def test_the_code_of_a_held_entry_of_the_catalogue_ends_where_the_engine_does(entry):
    follows(entry, PROCESSES[entry.model_name])


@pytest.mark.heavy
@pytest.mark.parametrize("model", ["vp", "ve", "flow"])
@pytest.mark.parametrize(("word", "dynamics", "clock", "eta"), CASES)
def test_the_code_of_any_other_held_word_ends_where_the_engine_does(
    word, dynamics, clock, eta, model
):
    follows(scheme(word, model, dynamics, clock=clock, eta=eta), PROCESSES[model])


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["DDIM", "SA2", "DPM++2M-SDE", "DPM++2S-SDE"])
def test_the_noise_level_is_that_of_the_scheme(name):
    follows(with_noise_level(find(name, "vp"), Fraction(1, 2)), PROCESSES["vp"])


@pytest.mark.parametrize("name", ["DPM++2M", "UniPC3"])
def test_the_last_steps_hold_fewer_evaluations_where_that_is_told(name):
    follows(replace(find(name, "vp"), lower_final=True), PROCESSES["vp"])


def test_a_run_ends_with_the_data_where_that_is_told():
    own, process = find("DPM++2M", "vp"), VP()
    z, grid = torch.randn(3, 2, dtype=torch.float64), grid_of(process)
    call, last = written(own), process.T - grid[-1]
    there = call(lambda x, _: -x, z, grid, None, process)
    ended = call(lambda x, _: -x, z, grid, None, process, denoise=True)
    assert torch.equal(ended, (1 - process.sigma(last) ** 2) * there / process.alpha(last))


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["DPM++2M", "DPM++2S", "Euler-a", "SA2", "UniPC2"])
def test_the_code_is_validated_as_its_sampler(name, tmp_path):
    own = find(name, "vp")
    file = tmp_path / "written.py"
    file.write_text(step_code(own))
    found = validate(load(file, "sample" if runs_whole(own) else "step"), own)
    assert found.holds, str(found)


def test_the_numpy_code_gives_the_numbers_of_the_torch_code():
    own, process = find("DPM++2S", "vp"), PROCESSES["vp"]
    z = np.random.default_rng(3).normal(size=(4, 2))
    one, two = (
        walked(own, process, written(own, style), lambda x, tau: -x * tau, make(z), None)
        for style, make in (("python", np.array), ("torch", torch.as_tensor))
    )
    assert isinstance(two, torch.Tensor) and np.max(np.abs(two.numpy() - one)) < 1e-13


@pytest.mark.parametrize(
    ("own", "line"),
    [
        (find("EDM", "ve"), "x = start + dt * (eps_1 + eps_2) / 2"),
        (find("Midpoint", "flow"), "x = start + dt * v_2"),
        (
            scheme("S E:eps/2 S@1/2 E:eps[2]", "vp", "ode", clock="rho"),
            "x = model.alpha(end) * (start / model.alpha(begin) + dt * eps_2)",
        ),
        (
            scheme("S E:eps", "vp", "sde"),
            "x = model.alpha(end) * (x / model.alpha(begin) + (1 + ETA**2) * dt * eps_1)",
        ),
        (scheme("S E:eps/2 S@1/2 E:eps[1]", "ve", "ode", clock="lambda"), "x = start + dt * eps_2"),
        (
            scheme("S E:eps", "ve", "sde", eta=Fraction(1, 2), clock="rho"),
            "x = x + ETA * sqrt(model.sigma(begin) ** 2 - model.sigma(end) ** 2) * xi_0",
        ),
        (  # one noise of the step, however often it is gone over
            scheme("S E:eps S@1 E:eps[2]", "ve", "sde", eta=Fraction(3, 2), clock="rho"),
            "x = start + (1 + ETA**2) * dt * (eps_1 + eps_2) / 2",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else f"{value.model_name}-{value.name}",
)
def test_where_the_rate_of_what_is_held_is_constant_the_code_reads_as_the_papers(own, line):
    code = step_code(own)
    assert f"{line}\n" in code and "leggauss" not in code and "linalg" not in code
    if own.model_name == "ve":
        assert "dt = model.sigma(end) - model.sigma(begin)\n" in code
        assert ("alpha" in code) == (own.in_clock == "lambda")  # which asks for a time inside
    follows(own, PROCESSES[own.model_name])


def test_lengths_in_a_clock_of_a_constant_rate_are_differences_with_a_history_too():
    code = step_code(scheme("S E:eps[3]", "vp", "ode", clock="rho"))
    assert "leggauss" not in code
    assert "whole = (1 + ETA**2) * alpha * (clock(end, model) - clock(begin, model))\n" in code
    bh1 = scheme("S E:eps S@1 E:eps[2:bh1]", "ve", "ode", clock="rho")
    follows(bh1, PROCESSES["ve"])  # its coefficient is of the kernel in lambda


def test_the_code_names_what_it_takes_of_the_process_and_no_more():
    code = step_code(find("DPM++2M", "vp"))
    assert "as functions of tau, alpha, sigma\n" in code and "def between" not in code
    assert "tau_of_lambda" in step_code(find("DPM++2S", "vp"))
    assert "import numpy" not in step_code(find("DDIM", "vp"))


PAIRS = [
    *DATA_CATALOGUE,
    *(with_noise_level(entry, Fraction(1)) for entry in DATA_CATALOGUE),
    replace(DATA_CATALOGUE[1], factor="upper"),
    replace(DATA_CATALOGUE[2], factor="symmetric"),
    scheme("S E:data/2 S@1/2 E:data[2:dpm]", "psld", "sde"),
    scheme("S E:data[2]", "psld", "ode", clock="rho"),
]


@pytest.mark.parametrize(
    "own",
    [
        pytest.param(s, id=f"{s.name}-{s.noise_level}-{s.factor}", marks=marks)
        for i, s in enumerate(PAIRS)
        for marks in [() if i in (1, 3) else pytest.mark.heavy]
    ],
)
def test_the_code_of_data_held_on_psld_ends_where_the_engine_does(own):
    follows(own, PROCESSES["psld"])


@pytest.mark.parametrize(
    ("own", "told"),
    [
        (find("ExpAdams2", "psld"), "the score or its eps"),
        (with_noise_level(find("P2M", "psld"), Fraction(1, 2)), "eta = 1/2"),
        (replace(find("P2M", "psld"), factor="flow"), "the factor flow"),
        (scheme("S E:data[2:bh1]", "psld", "ode"), "coefficients bh1"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_what_a_pair_holds_without_a_formula_is_refused_in_a_sentence(own, told):
    with pytest.raises(ValueError, match=f"on psld it holds.*{told}"):
        step_code(own)
