"""What the forward pass of the full-size network costs, and how it is made faster than plain eager
torch.

Run `python -m tests.benchmarks.bench_network`; it needs some minutes, most of them for
torch.compile. Processor time of `cifar10_sota` (97.6 M parameters), batch 1: the plain forward,
channels-last, Winograd convolutions (network.winograd), torch.compile, both, and the plain forward
in bf16; and what a whole run costs in units of NFE times the network, at most 1.02. On a GPU: times
of the device, batch 64.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from gpu_samplers import engine, ncsnpp
from gpu_samplers.network.ncsnpp import NCSNpp
from gpu_samplers.network.winograd import with_winograd
from gpu_samplers.processes import PSLD, grid, steps_for
from gpu_samplers.score import NetworkScore
from splitting_analysis.catalogue import find

REPEATS = 5
GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
BATCH = 64 if GPU else 1
NFE = 50 if GPU else 10


def seconds(action: Callable[[], object]) -> float:
    """Median time of an action, once warm: the wall's on a GPU, the processor's per thread on a
    CPU.
    """
    action()
    spent = []
    for _ in range(REPEATS):
        if GPU:
            torch.cuda.synchronize()
        clock = time.perf_counter if GPU else time.process_time
        start = clock()
        action()
        if GPU:
            torch.cuda.synchronize()
        spent.append(clock() - start)
    return statistics.median(spent) / (1 if GPU else torch.get_num_threads())


def run_beside_forwards(network: NCSNpp, z: torch.Tensor, t: torch.Tensor) -> tuple[float, float]:
    """Seconds (wall) of a run of NFE evaluations and of NFE forwards: medians, in turn as machines
    drift.
    """
    scheme = find("ROBA")
    score, times = NetworkScore(network, PSLD()), grid("uniform", steps_for(NFE, scheme))
    spent = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        for _ in engine.sample(
            scheme, PSLD(), score, times, (3, 32, 32), range(BATCH), batch=BATCH, device=DEVICE
        ):
            pass
        between = time.perf_counter()
        for _ in range(NFE):
            network(z, t)
        if GPU:
            torch.cuda.synchronize()
        spent.append((between - start, time.perf_counter() - between))
    whole, forwards = zip(*spent[1:], strict=True)  # the first warms up
    return statistics.median(whole), statistics.median(forwards)


def main() -> None:
    torch.manual_seed(0)
    plain = ncsnpp("cifar10_sota").eval().requires_grad_(False).to(DEVICE)
    z = torch.randn(BATCH, 6, 32, 32, device=DEVICE)
    t = torch.full((BATCH,), 0.3, device=DEVICE)
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fast = with_winograd(copy.deepcopy(plain))
    low = copy.deepcopy(plain).bfloat16()
    ways: dict[str, Callable[[], object]] = {
        "plain eager, float32": lambda: plain(z, t),
        "channels-last": lambda: last(z.contiguous(memory_format=torch.channels_last), t),
        "winograd": lambda: fast(z, t),
        "compiled": _compiled(plain, z, t),
        "winograd, compiled": _compiled(fast, z, t),
        "plain eager, bf16": lambda: low(z.bfloat16(), t),
    }
    where = torch.cuda.get_device_name() if GPU else f"CPU, {torch.get_num_threads()} threads"
    table = Table("forward", "s", "of plain", title=f"cifar10_sota, batch {BATCH}, {where}")
    with torch.no_grad():
        unit = seconds(ways["plain eager, float32"])
        for name, action in ways.items():
            spent = seconds(action)
            table.add_row(name, f"{spent:.3f}", f"{spent / unit:.2f}")
        whole, forwards = run_beside_forwards(plain, z, t)
        table.add_row(
            f"ROBA, {NFE} evaluations, of {NFE}", f"{whole:.3f}", f"{whole / forwards:.3f}"
        )
    Console().print(table)


def _compiled(network: torch.nn.Module, z: torch.Tensor, t: torch.Tensor) -> Callable[[], object]:
    compiled = torch.compile(network, dynamic=False)
    return lambda: compiled(z, t)


if __name__ == "__main__":
    main()
