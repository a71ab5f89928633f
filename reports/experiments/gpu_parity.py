"""The same numbers on a GPU: network, engine and noise beside a CPU's, rounding beside the stored
one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

import numpy as np
import torch

from gpu_samplers import embedded, engine, ncsnpp
from gpu_samplers.noise import Noise
from gpu_samplers.processes import PSLD
from gpu_samplers.score import NetworkScore, float32_products
from reports.experiments import runs, store
from reports.experiments.gpu_card import Card, Row
from splitting_analysis.catalogue import entries, find

ROUNDED = ("Euler", "RSE", "RVV", "EM", "SSCS", "ROBA", "ROBAB")
Module = TypeVar("Module", bound=torch.nn.Module)
REFERENCE = "ncsnpp_tiny_sota_io.npz"
LIMITS = {"float32": 2e-5, "float64": 1e-10}
"""How far outputs may be from the released network's, absolutely."""
SAME = 1e-12
"""How far an end of a float64 run may be from a CPU's, relative to its largest entry."""


def rows(card: Card) -> Iterator[Row]:
    """Each check with the error seen and, where there is one, its limit."""
    yield Row("noise, the same bits as on a CPU", 5, partial(noise, card))
    if card.reference is not None:
        for precision in LIMITS:
            measure = partial(network, card, card.reference, precision)
            yield Row(f"network, {precision}, beside the released outputs", 5, measure)
    for scheme in entries("psld"):
        yield Row(f"{scheme.name}, float64, beside a CPU", 5, partial(run, card, scheme.name))
    for name in ROUNDED:
        yield Row(f"{name}, rounding of the network", 15, partial(rounding, card, name))


def noise(card: Card) -> dict[str, Any]:
    """Draws for the device beside the same for a CPU, in both precisions."""
    same = True
    for dtype in (torch.float32, torch.float64):
        here, there = (
            Noise(3, range(40), (3, 32, 32), dtype, device) for device in ("cpu", card.device)
        )
        here.expect(9)
        there.expect(9)
        same &= all(torch.equal(here(parts), there(parts).cpu()) for parts in (2, 1, 6))
    return {"same": same}


def fill_by_rule(network: Module) -> Module:
    """The weights with which the released network's outputs were stored: drawn by name, for each
    entry.
    """
    filled = {}
    for key, old in network.state_dict().items():
        shape = tuple(old.shape)
        drawn = np.random.default_rng(crc32(key.encode())).standard_normal(shape).astype(np.float32)
        if len(shape) >= 2:
            drawn *= np.float32(0.5 / np.sqrt(np.prod(shape[1:])))
        elif key.endswith(".W"):
            drawn *= 16
        elif key.endswith(".weight"):
            drawn = 1 + np.float32(0.1) * drawn
        else:
            drawn *= np.float32(0.05)
        filled[key] = torch.from_numpy(drawn)
    network.load_state_dict(filled)
    return network.eval()


@torch.no_grad()
def network(card: Card, folder: Path, precision: str) -> dict[str, Any]:
    """The network's output beside the released one's."""
    stored = np.load(folder / REFERENCE)
    dtype = getattr(torch, precision)
    net = fill_by_rule(ncsnpp("tiny_sota")).to(device=card.device, dtype=dtype)
    with float32_products(tf32=False):
        out = net(*(torch.from_numpy(stored[key]).to(card.device, dtype) for key in ("x", "t")))
    error = np.abs(out.cpu().numpy() - stored[precision]).max()
    return {"error": float(error), "limit": LIMITS[precision]}


def run(card: Card, name: str) -> dict[str, Any]:
    """A run on the digits network, all of it in float64, beside the same on a CPU."""
    scheme, ends = find(name), []
    for device in (torch.device("cpu"), card.device):
        net, process = embedded.digits_network(torch.float64)
        score = NetworkScore(net.to(device), process, torch.float64)
        ends.append(_end(scheme.name, score, process, 12, device).cpu())
    return {"error": float((ends[1] - ends[0]).abs().max() / ends[0].abs().max()), "limit": SAME}


def _end(
    name: str, score: NetworkScore, process: PSLD, steps: int, device: torch.device
) -> torch.Tensor:
    z = engine.prior(
        process, Noise(runs.SEED, range(runs.SAMPLES), (1, 8, 8), torch.float64, device)
    )
    draws = Noise(runs.SEED + 1, range(runs.SAMPLES), (1, 8, 8), torch.float64, device)
    return runs.end_state(find(name), process, score, runs.times_of(process, steps), z, draws)


def rounding(card: Card, name: str) -> dict[str, Any]:
    """Root mean square of what the network's rounding changes at the end, beside the CPU's and
    truncation.

    The same run as on the page of rounding; TF32 has no CPU to stand beside.
    """
    told = store.stored("rounding") or {"targets": {"network": {"rows": []}}}
    stored = {row["scheme"]: row for row in told["targets"]["network"]["rows"]}.get(name)
    steps = 128 if find(name).dynamics == "ode" else 64
    if stored is None or card.toy:
        steps = 4 if card.toy else steps
    net, process = embedded.digits_network(torch.float64)
    best = _end(
        name, NetworkScore(net.to(card.device), process, torch.float64), process, steps, card.device
    )
    found: dict[str, Any] = {"steps": steps}
    for key, dtype in (
        ("float32", torch.float32),
        ("tf32", torch.float32),
        ("bfloat16", torch.bfloat16),
    ):
        net, process = embedded.digits_network()
        score = NetworkScore(net.to(card.device), process, dtype, tf32=key == "tf32")
        end = _end(name, score, process, steps, card.device)
        found[key] = float((end - best).square().mean().sqrt())
    if stored is not None and steps in stored["steps"]:
        place = stored["steps"].index(steps)
        found |= {f"{key}_cpu": stored[key][place] for key in ("float32", "bfloat16")}
        found["truncation"] = stored["truncation"][place]
    return found
