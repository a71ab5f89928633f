"""One step on non-Gaussian scores, closed form against engine: computed here and stored.

    python -m reports.crossval.local [target ...]

computes the targets (all of them by default) and replaces them in `data/crossval_local.json`, one at
a time: an interrupted run keeps what it has.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from gpu_samplers import engine
from gpu_samplers.configs import Config
from gpu_samplers.data import digits
from gpu_samplers.embedded import DIGITS, digits_network
from gpu_samplers.exact import MixtureScore, covariance, transition
from gpu_samplers.network import NCSNpp
from gpu_samplers.processes import PSLD, VP
from gpu_samplers.score import NetworkScore
from reports.crossval import ode, results, sde
from reports.crossval.results import rounded
from reports.crossval.scores import Diffusion, Score, Tensor, network_score
from splitting_analysis.catalogue import entries
from splitting_analysis.local_error import local_error
from splitting_analysis.scheme import Scheme

COMMAND = "python -m reports.crossval.local"
SEED, NEAR = 2024, 1 / 256


@dataclass(frozen=True)
class Target:
    """What a comparison runs on: the engine's score, the differentiable one, and data x_0 (k, *shape).

    `taus` are the forward times of the ODE states, `sde_tau` and `sde_step` time and largest step of the
    SDE one (small against the time in which the score changes).
    """

    what: str
    process: Diffusion
    machine: engine.Score
    score: Score
    data: Tensor
    taus: tuple[float, ...]
    sde_tau: float
    sde_step: float
    sha256: str = ""
    share: float = 1 / 4
    levels: int = 13
    repeats: int = 1
    """For a leading power above 3: the largest step as a share of the forward time, how many step sizes, and
    over how many close times they are averaged."""


def mixture() -> Target:
    """Three Gaussians in the plane, beta not constant: every term of a closed form counts."""
    process = PSLD(Gamma=0.3, nu=2.1, beta_min=2.0, beta_max=11.0)
    score = _mixture(process)
    what = "three Gaussians in the plane, Γ = 0.3, ν = 2.1, β from 2 to 11"
    return Target(what, process, score, score, score.means, (0.8, 0.4), 0.4, 1e-4)


def vp_mixture() -> Target:
    """The same three Gaussians under VP."""
    process = VP()
    score = _mixture(process)
    what = "three Gaussians in the plane, VP"
    return Target(what, process, score, score, score.means, (0.6, 0.3), 0.3, 1e-4)


def _mixture(process: Diffusion) -> MixtureScore:
    means = torch.tensor([[0.9, -0.4], [-0.7, 0.8], [-0.3, -1.1]], dtype=torch.float64)
    # One variance for all: then no log-determinant matters, whose second forward derivative torch gets wrong.
    return MixtureScore(process, means, 0.2, torch.tensor([0.5, 0.2, 0.3]))


def images() -> Tensor:
    """The digits (1797, 1, 8, 8) in float64."""
    return digits().pixels.double()


def data_set() -> Target:
    """The exact score of the digits data set itself, no network."""
    process = PSLD()
    score = MixtureScore(process, images())
    what = "exact score of the digits data set, 1,797 images of 64 pixels"
    return Target(what, process, score, score, images(), (0.9, 0.3), 0.3, 1e-5)


def random_network() -> Target:
    """A small NCSN++ with random weights: no structure that could hide an error."""
    config = Config(
        image_size=8, nf=16, ch_mult=(1, 2), num_res_blocks=1, attn_resolutions=(4,), dropout=0.0,
        in_ch=2, out_ch=2,
    )  # fmt: skip
    network = filled(NCSNpp(config), SEED)
    return _network("NCSN++ with random weights, 8 × 8", network, PSLD(), "")


def trained_network() -> Target:
    """The NCSN++ that comes with the package."""
    network, process = digits_network(torch.float64)
    return _network("NCSN++ trained on the digits, 8 × 8", network, process, results.digest(DIGITS))


def _network(what: str, network: NCSNpp, process: PSLD, sha256: str) -> Target:
    score = network_score(network, process)
    machine = NetworkScore(network, process, torch.float64)
    # Fourier features of log t with frequencies of some 16: the network changes within 1/100 of a time.
    times, step = (0.9, 0.3), 1e-5
    return Target(what, process, machine, score, images(), times, 0.5, step, sha256, 1 / 250, 9, 32)


TARGETS: dict[str, Callable[[], Target]] = {
    "mixture": mixture,
    "mixture, VP": vp_mixture,
    "data set": data_set,
    "random network": random_network,
    "digits network": trained_network,
}


@torch.no_grad()
def filled(network: NCSNpp, seed: int) -> NCSNpp:
    """The network with every parameter random: the released initialisation makes its output almost 0."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        normal = torch.randn(value.shape, generator=generator)
        if value.ndim >= 2:
            value.copy_(normal * 0.5 / math.sqrt(value[0].numel()))
        else:  # the frequencies of the time embedding, scales, shifts
            value.copy_(16 * normal if name.endswith(".W") else name.endswith(".weight") + 0.1 * normal)
    return network


def noised(target: Target, tau: float, seed: int) -> Tensor:
    """A datum at forward time tau, (n, 1, *shape): the mean plus noise of the perturbation kernel."""
    generator = torch.Generator().manual_seed(seed)
    x0 = target.data[torch.randint(len(target.data), (1,), generator=generator)]
    time = torch.tensor(tau, dtype=torch.float64)
    factor = torch.linalg.cholesky(covariance(target.process, time, time.new_zeros(1))[0])
    noise = torch.randn(len(factor), *x0.shape, generator=generator, dtype=torch.float64)
    mean = torch.einsum("i,...->i...", transition(target.process, time)[:, 0], x0)
    return mean + torch.einsum("ij,j...->i...", factor, noise)


def ode_row(target: Target, scheme: Scheme, tau: float) -> dict[str, Any]:
    """One deterministic scheme at one state, as a row of the page."""
    high = (local_error(scheme).leading or 0) > 3
    h, levels = (tau * target.share, target.levels) if high else (min(0.02, tau / 4), 14)
    # The round-off of a state is proportional to it: what is of order h^6 is measured close to the origin.
    z = noised(target, tau, SEED) * (NEAR if high else 1)
    found = ode.compare(
        scheme, target.process, target.machine, target.score, z, tau, h, levels, target.repeats
    )
    return {
        "scheme": scheme.name, "tau": tau, "power": found.power,
        "predicted": rounded(found.predicted), "measured": rounded(found.measured),
        "ratio_minus_1": rounded(found.ratio - 1, 3), "difference": rounded(found.difference, 3),
        "uncertainty": rounded(found.uncertainty, 3),
        "steps": [rounded(h) for h in found.steps], "by_step": [rounded(r, 8) for r in found.by_step],
    }  # fmt: skip


def sde_rows(target: Target, schemes: tuple[Scheme, ...]) -> list[dict[str, Any]]:
    """Stochastic schemes at one state, as rows of the page."""
    z = noised(target, target.sde_tau, SEED)
    found = sde.compare(
        schemes, target.process, target.machine, target.score, z, target.sde_tau, target.sde_step
    )
    return [
        {
            "scheme": name, "kind": kind, "predicted": rounded(c.predicted), "measured": rounded(c.measured),
            "ratio_minus_1": rounded(c.ratio - 1, 3) if c.predicted else None,
            "standard_error": rounded(c.standard_error, 3),
            "difference": rounded(c.difference, 3),
        }
        for name, kinds in found.items() for kind, c in kinds.items()
    ]  # fmt: skip


def compute(target: Target) -> dict[str, Any]:
    """Everything that is stored of one target."""
    model = target.process.model_name
    return {
        "what": target.what,
        "model": model,
        "weights_sha256": target.sha256,
        "sde_tau": target.sde_tau,
        "ode": [ode_row(target, s, tau) for s in entries(model, "ode") for tau in target.taus],
        "sde": sde_rows(target, entries(model, "sde")),
    }


def main(names: list[str]) -> None:
    """Compute the named targets, all that there are by default. Raises ValueError for an unknown name."""
    for name in names:
        if name not in TARGETS:
            raise ValueError(f"no target {name!r}; there are: {', '.join(TARGETS)}")
    for name in names or [n for n in TARGETS if n != "digits network" or DIGITS.is_file()]:
        result = compute(TARGETS[name]())
        targets = (results.stored("local") or {}).get("targets", {}) | {name: result}
        about = "Local errors on non-Gaussian scores, two ways; see reports/crossval/local.py."
        ordered = {n: targets[n] for n in TARGETS if n in targets}
        settings = {"_seed": SEED, "_near": NEAR, "_rotations": sde.ROTATIONS}
        results.save("local", about, COMMAND, {**settings, "targets": ordered})


if __name__ == "__main__":
    main(sys.argv[1:])
