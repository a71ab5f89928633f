"""A score is someone else's code: it may write into what it is given, and use its own memory again."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the samplers need torch")

from gpu_samplers import engine, plain  # noqa: E402
from gpu_samplers.noise import Noise  # noqa: E402
from gpu_samplers.processes import PSLD, VP, Langevin, grid  # noqa: E402
from splitting_analysis import find  # noqa: E402
from splitting_analysis.numbers import Point, _asked, callable_field  # noqa: E402

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
    ("RSE", "psld", PSLD()), ("RK45", "psld", PSLD()), ("ROBA", "psld", PSLD()), ("RBAO", "psld", PSLD()),
    ("Euler", "vp", VP()), ("RK4", "vp", VP()), ("EM", "vp", VP()),
    ("VV", "langevin", Langevin()), ("BAOAB", "langevin", Langevin()),
]  # fmt: skip


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


@pytest.mark.parametrize("how", [by_engine, by_page])
@pytest.mark.parametrize("rude", RUDE)
@pytest.mark.parametrize(("name", "model", "process"), CASES, ids=lambda v: v if isinstance(v, str) else "")
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
