"""What brings foreign samplers to the protocol: schedules, options, noise. No foreign package."""

import math
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from analytic_models.probing.reference import subject_for
from analytic_models.probing.segments import same
from analytic_models.probing.signature import probe
from gpu_samplers.adapters import options as texts
from gpu_samplers.adapters import subject
from gpu_samplers.adapters.brownian import Brownian
from gpu_samplers.adapters.networks import predicted
from gpu_samplers.adapters.tables import Interpolated, Quarter
from splitting_analysis.catalogue import find
from splitting_analysis.clocks import scaled_linear
from splitting_analysis.processes import Flow, ScheduledVP

BARS = scaled_linear(n=20).alpha_bar


def rho(process, tau):
    return float(process.clock_at("rho", tau))


@pytest.mark.parametrize("logarithmic", [True, False])
def test_between_the_times_of_a_table_rho_or_its_logarithm_is_linear(logarithmic):
    process = ScheduledVP(schedule=Interpolated(BARS, logarithmic=logarithmic))
    shown = math.log if logarithmic else float
    for i, (first, last) in enumerate(pairwise(BARS)):
        ends = [shown(math.sqrt((1 - bar) / bar)) for bar in (first, last)]
        for part in (0.0, 0.3, 0.9):
            expected = ends[0] + part * (ends[1] - ends[0])
            assert shown(rho(process, (i + 1 + part) / 20)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "schedule", [Interpolated(BARS), Interpolated(BARS, logarithmic=False), Quarter()]
)
def test_a_foreign_schedule_has_the_time_and_the_rate_of_its_integral(schedule):
    for tau in (0.004, 0.03, 0.0733, 0.4111, 0.77, 0.98):
        b = schedule.integral(tau)
        assert schedule.inverse(b) == pytest.approx(tau, rel=1e-12)
        slope = (schedule.integral(tau + 1e-6) - schedule.integral(tau - 1e-6)) / 2e-6
        assert schedule.beta(tau) == pytest.approx(slope, rel=1e-6)


def test_increments_over_intervals_that_overlap_have_the_covariance_of_one_path():
    drawn = iter(np.eye(12))
    path = Brownian(lambda: next(drawn))
    asked = [(4.0, 2.0), (4.0, 1.0), (1.0, 0.25), (3.0, 1.5), (4.0, 0.25), (6.0, 5.0)]
    rows = np.array([path(a, b) for a, b in asked])
    for i, one in enumerate(asked):
        for j, other in enumerate(asked):
            common = max(min(one[0], other[0]) - max(one[1], other[1]), 0)
            sizes = math.sqrt((one[0] - one[1]) * (other[0] - other[1]))
            assert rows[i] @ rows[j] == pytest.approx(common / sizes, abs=1e-12)


def test_times_that_float32_rounded_are_one_time_of_the_path():
    drawn = iter(np.eye(9))
    path = Brownian(lambda: next(drawn))
    first, again = path(4.0, 2.0), path(4.0, float(np.float32(2.0) * (1 + 2e-7)))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction", "flow_prediction"])
def test_a_prediction_of_any_kind_gives_the_state_back(kind):
    process, tau = Flow(), 0.4
    alpha, sigma = 1 - tau, tau
    data, noise = np.array([[0.7]]), np.array([[-1.3]])
    z = alpha * data + sigma * noise
    said = predicted(kind, process, z, tau, lambda z, tau: -noise / sigma)
    expected = {
        "epsilon": noise,
        "sample": data,
        "v_prediction": alpha * noise - sigma * data,
        "flow_prediction": noise - data,
    }
    assert said == pytest.approx(expected[kind])


def test_an_unknown_prediction_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"no prediction_type 'x0'.*epsilon"):
        predicted("x0", Flow(), np.ones((1, 1)), 0.5, lambda z, tau: z)


def options(order: int = 2, karras: bool = False, kind: str = "midpoint", ends: object = None):
    return order, karras, kind, ends


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("order", "3", 3),
        ("order", "0.5", 0.5),
        ("karras", "True", True),
        ("kind", "none", "none"),
        ("ends", "[1, 2]", [1, 2]),
        ("ends", "none", None),
        ("ends", "grid", "grid"),
    ],
)
def test_an_option_is_read_as_its_default_is(name, text, value):
    assert texts.parsed({name: text}, texts.known(options), "x") == {name: value}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("orders", "3", "x has no option 'orders'; there are: ends, karras, kind, order"),
        ("order", "true", "option order=true: a number"),
        ("order", "three", "option order=three: a number"),
        ("karras", "1", "option karras=1: true or false"),
    ],
)
def test_an_option_that_is_none_is_refused_with_what_would_be_right(name, text, says):
    with pytest.raises(ValueError, match=says):
        texts.parsed({name: text}, texts.known(options), "x")


@pytest.mark.parametrize("spec", ["diffuser:DDIM", "DDIMScheduler", "", ":x"])
def test_a_library_that_is_unknown_is_refused_with_those_there_are(spec):
    with pytest.raises(ValueError, match="there are: diffusers:NAME, k_diffusion:NAME"):
        subject(spec)


@pytest.mark.parametrize(
    ("spec", "module"),
    [("diffusers:DDIMScheduler", "diffusers"), ("openmm:LangevinMiddleIntegrator", "openmm")],
)
def test_a_library_that_is_missing_is_one_message_with_the_package_to_install(
    spec, module, monkeypatch
):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=f"needs the package {module}: pip install"):
        subject(spec)


def test_the_guide_is_an_adapter_that_works(monkeypatch):
    guide = (Path(texts.__file__).parent / "README.md").read_text("utf-8")
    code = guide.partition("```python\n")[2].partition("```")[0]
    assert len([line for line in code.splitlines() if line]) <= 30
    tool: Any = ModuleType("tool")

    def euler(denoise, x, sigmas, randn):
        for a, b in pairwise(sigmas):
            x = x + (b - a) / a * (x - denoise(x, a))
        return x

    tool.euler = euler
    monkeypatch.setitem(sys.modules, "tool", tool)
    made: dict[str, Any] = {}
    exec(code, made)  # noqa: S102 - the guide
    found = made["subject"]("euler", {})
    seen = probe(found, found.process, found.grid(5))
    wanted = probe(subject_for(find("Euler", "ve")), found.process, found.grid(5))
    assert same(seen, wanted)
