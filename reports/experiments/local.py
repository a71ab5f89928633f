"""One step on non-Gaussian scores, closed form against engine: computed here and stored.

    python -m reports.experiments.local [target ...]

computes the targets (all of them by default) and replaces them in `data/crossval_local.json`, one
at a time: an interrupted run keeps what it has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from gpu_samplers import engine
from gpu_samplers.configs import Config
from gpu_samplers.exact import covariance, transition
from gpu_samplers.network import NCSNpp
from gpu_samplers.processes import PSLD, VP
from reports.experiments import ode, sde, store
from reports.experiments.runner import SILENT, Watch, main
from reports.experiments.scores import Diffusion, Score, Tensor
from reports.experiments.store import rounded
from reports.experiments.targets import (
    Target,
    digits_target,
    exact_target,
    has_network,
    images,
    network_target,
    patches_target,
)
from splitting_analysis.catalogue import entries
from splitting_analysis.schemes import Scheme
from splitting_analysis.weak import local_error

SEED, NEAR = 2024, 1 / 256


@dataclass(frozen=True)
class Case:
    """A target and where its one-step errors are measured.

    `taus` are the forward times of the ODE states, `sde_tau` and `sde_step` time and largest step
    of the SDE one (small against the time in which the score changes).
    """

    what: str
    target: Target
    taus: tuple[float, ...]
    sde_tau: float
    sde_step: float
    share: float = 1 / 4
    levels: int = 13
    repeats: int = 1
    """For a leading power above 3: the largest step as a share of the forward time, how many step
    sizes, and over how many close times they are averaged."""
    directions: int = 0
    """Of the noise of stochastic samplers, drawn at random: closed forms sum over them; 0: all."""

    @property
    def scores(self) -> tuple[Diffusion, engine.Score, Score]:
        """The process, and its score in float64 as the engine takes it and as it is
        differentiated.
        """
        return self.target.process, self.target.machine(torch.float64), self.target.smooth


def mixture() -> Case:
    """Three Gaussians in the plane, beta not constant: every term of a closed form counts."""
    process = PSLD(Gamma=0.3, nu=2.1, beta_min=2.0, beta_max=11.0)
    what = "three Gaussians in the plane, Γ = 0.3, ν = 2.1, β from 2 to 11"
    return Case(what, _mixture(process), (0.8, 0.4), 0.4, 1e-4)


def vp_mixture() -> Case:
    """The same three Gaussians under VP."""
    return Case("three Gaussians in the plane, VP", _mixture(VP()), (0.6, 0.3), 0.3, 1e-4)


def _mixture(process: Diffusion) -> Target:
    means = torch.tensor([[0.9, -0.4], [-0.7, 0.8], [-0.3, -1.1]], dtype=torch.float64)
    # One variance for all: then no log-determinant matters, whose second forward derivative torch
    # gets wrong.
    return exact_target("mixture", process, means, 0.2, torch.tensor([0.5, 0.2, 0.3]))


def data_set() -> Case:
    """The exact score of the digits data set itself, no network."""
    what = "exact score of the digits data set, 1,797 images of 64 pixels"
    return Case(what, exact_target("dataset", PSLD(), images()), (0.9, 0.3), 0.3, 1e-5)


def random_network() -> Case:
    """A small NCSN++ with random weights: no structure that could hide an error."""
    config = Config(
        image_size=8, nf=16, ch_mult=(1, 2), num_res_blocks=1, attn_resolutions=(4,), dropout=0.0,
        in_ch=2, out_ch=2,
    )  # fmt: skip

    def load(dtype: torch.dtype) -> tuple[NCSNpp, PSLD]:
        return filled(NCSNpp(config), SEED).to(dtype), PSLD()

    return _network("NCSN++ with random weights, 8 × 8", network_target("random", load, images()))


def trained_network() -> Case:
    """The NCSN++ that comes with the package."""
    return _network("NCSN++ trained on the digits, 8 × 8", digits_target())


def patches_network() -> Case:
    """The NCSN++ of the patches, in six channels of 32 x 32 pixels: too many for noise in every
    direction.
    """
    what = "NCSN++ trained on patches of photographs, 3 × 32 × 32, noise in 8 random directions"
    return replace(_network(what, patches_target()), directions=8)


def _network(what: str, target: Target) -> Case:
    # Fourier features of log t with frequencies of some 16: the network changes within 1/100 of a
    # time.
    return Case(what, target, (0.9, 0.3), 0.5, 1e-5, 1 / 250, 9, 32)


CASES: dict[str, Callable[[], Case]] = {
    "mixture": mixture,
    "mixture, VP": vp_mixture,
    "data set": data_set,
    "random network": random_network,
    "digits network": trained_network,
    "patches network": patches_network,
}


OF_NETWORK = {"digits network": "digits", "patches network": "patches"}
"""The cases that need weights, with the images these were trained on."""


@torch.no_grad()
def filled(network: NCSNpp, seed: int) -> NCSNpp:
    """The network with every parameter random: the released initialisation makes its output almost
    0.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        normal = torch.randn(value.shape, generator=generator)
        if value.ndim >= 2:
            value.copy_(normal * 0.5 / math.sqrt(value[0].numel()))
        else:  # the frequencies of the time embedding, scales, shifts
            value.copy_(
                16 * normal if name.endswith(".W") else name.endswith(".weight") + 0.1 * normal
            )
    return network


def noised(target: Target, tau: float, seed: int) -> Tensor:
    """A datum at forward time tau, (n, 1, *shape): the mean plus noise of the perturbation
    kernel.
    """
    generator = torch.Generator().manual_seed(seed)
    x0 = target.data[torch.randint(len(target.data), (1,), generator=generator)]
    time = torch.tensor(tau, dtype=torch.float64)
    factor = torch.linalg.cholesky(covariance(target.process, time, time.new_zeros(1))[0])
    noise = torch.randn(len(factor), *x0.shape, generator=generator, dtype=torch.float64)
    mean = torch.einsum("i,...->i...", transition(target.process, time)[:, 0], x0)
    return mean + torch.einsum("ij,j...->i...", factor, noise)


def directions(shape: tuple[int, ...], number: int, seed: int) -> Tensor:
    """Random orthonormal directions (number, *shape), float64."""
    generator = torch.Generator().manual_seed(seed)
    normals = torch.randn(math.prod(shape), number, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(normals)[0].T.reshape(number, *shape)


def ode_row(case: Case, scheme: Scheme, tau: float) -> dict[str, Any]:
    """One deterministic scheme at one state, as a row of the page."""
    high = (local_error(scheme).leading or 0) > 3
    h, levels = (tau * case.share, case.levels) if high else (min(0.02, tau / 4), 14)
    # The round-off of a state is proportional to it: what is of order h^6 is measured close to the
    # origin.
    z = noised(case.target, tau, SEED) * (NEAR if high else 1)
    found = ode.compare(scheme, *case.scores, z, tau, h, levels, case.repeats)
    return {
        "scheme": scheme.name,
        "tau": tau,
        "power": found.power,
        "predicted": rounded(found.predicted),
        "measured": rounded(found.measured),
        "ratio_minus_1": rounded(found.ratio - 1, 3),
        "difference": rounded(found.difference, 3),
        "uncertainty": rounded(found.uncertainty, 3),
        "steps": [rounded(h) for h in found.steps],
        "by_step": [rounded(r, 8) for r in found.by_step],
    }


def sde_rows(case: Case, schemes: tuple[Scheme, ...]) -> list[dict[str, Any]]:
    """Stochastic schemes at one state, as rows of the page."""
    z = noised(case.target, case.sde_tau, SEED)
    units = directions(case.target.shape, case.directions, SEED) if case.directions else None
    found = sde.compare(schemes, *case.scores, z, case.sde_tau, case.sde_step, units=units)
    return [
        {
            "scheme": name,
            "kind": kind,
            "predicted": rounded(c.predicted),
            "measured": rounded(c.measured),
            "ratio_minus_1": rounded(c.ratio - 1, 3) if c.predicted else None,
            "standard_error": rounded(c.standard_error, 3),
            "difference": rounded(c.difference, 3),
        }
        for name, kinds in found.items()
        for kind, c in kinds.items()
    ]


def compute(case: Case, watch: Watch = SILENT) -> dict[str, Any]:
    """Everything that is stored of one case."""
    model = case.target.process.model_name
    states = [(scheme, tau) for scheme in entries(model, "ode") for tau in case.taus]
    return {
        "what": case.what,
        "model": model,
        "weights_sha256": case.target.weights,
        "sde_tau": case.sde_tau,
        "ode": [ode_row(case, scheme, tau) for scheme, tau in watch(states, "ODE")],
        "sde": [
            row for schemes in watch([sde.judged(model)], "SDE") for row in sde_rows(case, schemes)
        ],
    }


def keep(name: str, watch: Watch = SILENT) -> None:
    """Compute a case and replace it in the store."""
    result = compute(CASES[name](), watch)
    cases = (store.stored("local") or {}).get("targets", {}) | {name: result}
    settings = {"_seed": SEED, "_near": NEAR, "_rotations": sde.ROTATIONS}
    store.save("local", {**settings, "targets": {n: cases[n] for n in CASES if n in cases}})


if __name__ == "__main__":
    there = [name for name in CASES if name not in OF_NETWORK or has_network(OF_NETWORK[name])]
    main(store.KEPT["local"].command, __doc__, {name: partial(keep, name) for name in there})
