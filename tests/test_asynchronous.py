"""The host hands a run to the device and waits for nothing before its end: shown without a GPU.

A run on torch's "meta" device computes no numbers. Whatever needs one, an `if` on a tensor,
`.item()`, `.tolist()` or a copy to the host, raises; and every operation handed to the device can
be counted.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

torch = pytest.importorskip("torch", reason="the samplers are torch code")

from torch import nn  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from gpu_samplers import engine, ncsnpp  # noqa: E402
from gpu_samplers.network.winograd import with_winograd  # noqa: E402
from gpu_samplers.processes import PSLD, grid  # noqa: E402
from gpu_samplers.score import NetworkScore  # noqa: E402
from splitting_analysis import CATALOGUE, find  # noqa: E402

NAMES = [entry.name for entry in CATALOGUE if entry.model_name == "psld"]
FREE = {
    "_unsafe_view",
    "empty",
    "expand",
    "new_empty",
    "promote_types",
    "select",
    "slice",
    "t",
    "transpose",
    "unsqueeze",
    "view",
}
"""Operations that leave the device nothing to do: other views of the same memory, and new
memory.
"""


class Operations(TorchDispatchMode):
    """Counts the operations that have something to compute."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.__name__.split(".")[0]
        self.seen[name] += name not in FREE
        return func(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def no_looks(monkeypatch):
    """Only the end of the run looks at the scores: a look on the way reads what has arrived by
    itself.
    """
    monkeypatch.setattr(engine, "LOOK_EVERY", 10**6)


def without_numbers(config):
    """A network on the meta device."""
    with torch.device("meta"):
        return ncsnpp(config).eval().requires_grad_(False)


def handed_over(name, network, steps=2, state=torch.float64, **options):
    """Operations of every evaluation, and those of the whole run, up to where the host waits."""
    score = NetworkScore(network, PSLD(), **options)
    ready, output = engine.prepared(find(name), PSLD(), score, grid("uniform", steps))
    inside: list[int] = []

    def counted(z, tau):
        with Operations() as operations:
            predicted = output(z, tau)
        inside.append(operations.seen.total())
        return predicted

    z = torch.empty(2, 4, 3, 32, 32, device="meta", dtype=state)
    with (
        Operations() as operations,
        pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"),
    ):
        engine.run(ready, counted, z, lambda parts: torch.empty(parts, *z.shape[1:], device="meta"))
    assert len(inside) == ready.nfe, "the host waited for the device before the last evaluation"
    return inside, operations.seen.total()


@cache
def full_size():
    """Operations of the evaluations of a step of the full-size network: seconds, for two tests."""
    return handed_over("ROBA", without_numbers("cifar10_sota"), steps=1)[0]


class Stub(nn.Module):
    """A network without operations."""

    def forward(self, z, t):  # noqa: ARG002 - a network's interface
        return z


@pytest.mark.share(4)
@pytest.mark.parametrize("state", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_the_host_waits_for_nothing_before_the_last_evaluation(name, state):
    handed_over(name, Stub(), state=state)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("winograd", "options"),
    [(False, {}), (True, {"dtype": torch.bfloat16}), (True, {"channels_last": True})],
    ids=str,
)
def test_nor_does_the_full_size_network_make_it_wait(winograd, options):
    if not winograd:
        full_size()  # it fails where the host waits
        return
    network = with_winograd(without_numbers("cifar10_sota"))
    handed_over("ROBA", network, steps=1, **options)


@pytest.mark.heavy
def test_a_sampler_adds_less_than_two_percent_to_the_operations_of_the_network():
    evaluations = full_size()
    for name in NAMES:
        (few, total_of_few), (many, total_of_many) = (
            handed_over(name, Stub(), steps=n) for n in (2, 4)
        )
        own = (total_of_many - total_of_few) / (len(many) - len(few))
        assert 4 < own < 0.02 * min(evaluations), name
