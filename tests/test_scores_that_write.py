"""A score is someone else's code: it may write into its argument, reuse its memory, or return
anything.
"""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the samplers need torch")

from gpu_samplers import engine, plain  # noqa: E402
from gpu_samplers.noise import Noise  # noqa: E402
from gpu_samplers.processes import PSLD, VP, Langevin, grid  # noqa: E402
from gpu_samplers.score import NetworkScore  # noqa: E402
from splitting_analysis import find  # noqa: E402
from splitting_analysis.numbers import Point, _asked  # noqa: E402
from tests.oracle_fields import callable_field  # noqa: E402

SHAPE = (2, 3)


def clean(z, tau):
    return -z * (1 + tau) + torch.sin(z)


def in_place(z, tau):
    return z.copy_(clean(z, tau))


def through_numpy(z, tau):
    array, value = z.numpy(), clean(z, tau).numpy()
    array[...] = value
    return z


def through_data(z, tau):
    value = clean(z, tau)
    z.data.fill_(7.0)
    return value


class SameBuffer:
    """Returns the same memory every time, as CUDA graphs and code with preallocated outputs do."""

    buffer = None

    def __call__(self, z, tau):
        value = clean(z, tau)
        self.buffer = value if self.buffer is None else self.buffer.copy_(value)
        return self.buffer


class Late:
    """Behaves at first."""

    calls = 0

    def __call__(self, z, tau):
        self.calls += 1
        value = clean(z, tau)
        return z.copy_(value) if self.calls > 3 else value


RUDE = [in_place, through_numpy, through_data, SameBuffer, Late]
CASES = [
    ("RSE", "psld", PSLD()),
    ("RK45", "psld", PSLD()),
    ("ROBA", "psld", PSLD()),
    ("RBAO", "psld", PSLD()),
    ("Euler", "vp", VP()),
    ("RK4", "vp", VP()),
    ("EM", "vp", VP()),
    ("VV", "langevin", Langevin()),
    ("BAOAB", "langevin", Langevin()),
]


def start(process):
    return Noise(0, range(2), SHAPE, torch.float64)(len(process.stationary))


def by_engine(name, model, process, score):
    times = grid("uniform", 6, process.T, 1e-2)
    ready, output = engine.prepared(find(name, model), process, score, times)
    return engine.run(ready, output, start(process), Noise(1, range(2), SHAPE, torch.float64))[0]


def by_page(name, model, process, score):
    times = grid("uniform", 6, process.T, 1e-2)
    with torch.no_grad():
        noise = Noise(1, range(2), SHAPE, torch.float64)
        return plain.sample(name, process, score, start(process), times, noise)


@pytest.mark.share(4)
@pytest.mark.parametrize("how", [by_engine, by_page])
@pytest.mark.parametrize("rude", RUDE)
@pytest.mark.parametrize(
    ("name", "model", "process"), CASES, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_score_that_writes_where_it_should_not_gives_the_samples_of_one_that_does_not(
    how, rude, name, model, process
):
    score = rude() if isinstance(rude, type) else rude
    assert torch.equal(how(name, model, process, score), how(name, model, process, clean))


def test_a_callable_of_a_closed_form_may_write_into_its_direction_and_reuse_its_result():
    direction, buffer = np.array([1.0, 2.0]), np.zeros(2)

    def jvp(_name, _component, v):
        buffer[...] = 3 * v
        v *= 0
        return buffer

    def score(_name):
        buffer[...] = direction
        return buffer

    point = Point({}, callable_field(score, jvp, lambda _: buffer), {})
    first = _asked(point, "s", 0, [])
    second = _asked(point, "s", 0, [("x", direction)])
    assert first.tolist() == [1.0, 2.0] and second.tolist() == [3.0, 6.0]
    assert direction.tolist() == [1.0, 2.0]


WRONG = {
    "None": lambda z: None,
    "type builtins.list": lambda z: z.tolist(),
    "type builtins.float": lambda z: 1.0,
    "type numpy.ndarray": lambda z: z.numpy(),
    "type builtins.tuple": lambda z: (z, z),
    "complex128": lambda z: z + 0j,
    "bool": lambda z: z > 0,
    "int64": lambda z: z.long(),
    "float8_e5m2": lambda z: z.to(torch.float8_e5m2),
    "sparse_coo float64": lambda z: z.to_sparse(),
    "nested": lambda z: torch.nested.nested_tensor(list(z)),
    "meta": lambda z: z.to("meta"),
    r"float64 tensor of shape \(1,": lambda z: z[:1],
}


@pytest.mark.filterwarnings("ignore:.*nested tensors")
@pytest.mark.parametrize("said", WRONG)
def test_a_score_or_network_that_returns_no_float_tensor_of_the_shape_is_told_what_it_must_return(
    said,
):
    process, network = PSLD(), torch.nn.Identity()
    network.forward = lambda z, _: WRONG[said](z)
    with pytest.raises(ValueError, match=rf"^the score must return a float tensor .*\(2, .*{said}"):
        by_engine("RSE", "psld", process, lambda z, tau: WRONG[said](z))
    score = NetworkScore(network, process, torch.float64)
    with pytest.raises(ValueError, match=rf"^the network must return a float tensor .*{said}"):
        score(torch.ones(2, 2, 1, 2, 3, dtype=torch.float64), 0.5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_score_may_return_any_float_precision(dtype):
    end = by_engine("RSE", "psld", PSLD(), lambda z, tau: clean(z, tau).to(dtype))
    assert end.dtype == torch.float64
    assert torch.allclose(end, by_engine("RSE", "psld", PSLD(), clean), rtol=0.05, atol=0.05)
