"""What a run samples: its settings, their checks, and the identity of what it makes.

    job = Job(find("ROBA"), PSLD(), n=50_000, nfe=50)

The settings, the network and the versions determine the samples; `settings_of` is all of that as
data, which a folder of samples keeps.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from math import isfinite
from typing import Any

import torch

from gpu_samplers.limits import check_counts
from gpu_samplers.network import NCSNpp
from gpu_samplers.processes import PSLD, VP, grid, steps_for, times_on
from gpu_samplers.score import check_numerical_eps
from splitting_analysis.grids import EPS, GRIDS, Grid
from splitting_analysis.models import model_of
from splitting_analysis.schemes import Denoise, Scheme, check_ending, check_history, nfe_for

BLACK_BOX = "RK45 adaptive"
"""The sampler that no word describes: Dormand-Prince with error control, on the probability
flow.
"""

TOLERANCE = 1e-4
"""Of the black box, unless said otherwise."""

PRECISIONS = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "float64": torch.float64,
}
STATES = {"float64": torch.float64, "float32": torch.float32}

MOST_EVALUATIONS = 20_000
"""Per sample: to plan more steps takes minutes, and published samplers have converged at a tenth of
them.
"""


@dataclass(frozen=True)
class Job:
    """What determines the samples, but for the network. Raises ValueError for what cannot be run.

    scheme         the sampler; None is `BLACK_BOX`, which takes `tol` (rtol = atol), not `nfe`
    nfe            score evaluations per sample, at most; they buy the steps of the grid (steps_for)
    grid, eps      a name of splitting_analysis.grids, on [0, T - eps], or reverse times
    denoise        end with one noiseless Euler step over eps, which takes one evaluation; "data":
                   with the data predicted there, which does, too
    lambda_s       scale of the position noise of the letter O; None: the scheme's own
    merge_noise    one normal per component between two evaluations: other samples of the same law
    precision      in which the network runs: float32, tf32 (float32, multiplied in TF32 on a GPU),
                   bf16 or float64
    state          in which the samples are updated: float64 or float32
    factor, numerical_eps  as in NetworkScore
    shard          samples per shard
    form           "npz" or "png"
    """

    scheme: Scheme | None
    process: PSLD | VP
    n: int
    nfe: int | None = None
    seed: int = 0
    grid: Grid = "uniform"
    eps: float = EPS
    denoise: Denoise = True
    lambda_s: float | None = None
    merge_noise: bool = False
    tol: float | None = None
    precision: str = "float32"
    state: str = "float64"
    factor: str = "lower"
    numerical_eps: float = 0.0
    shard: int = 512
    form: str = "npz"

    def __post_init__(self) -> None:
        if not isinstance(self.process, PSLD | VP):
            raise ValueError(f"a network is trained for psld or vp, not {self.process.model_name}")  # noqa: TRY004
        if self.scheme is not None and self.scheme.model_name != self.process.model_name:
            raise ValueError(
                f"{self.name} is a {self.scheme.model_name} scheme, not one for "
                f"{self.process.model_name}"
            )
        if self.scheme is None and not isinstance(self.process, PSLD):
            raise ValueError(f"{BLACK_BOX} runs on psld, not on {self.process.model_name}")
        if isinstance(self.grid, str):
            object.__setattr__(self, "grid", self.grid.strip().lower())
        else:  # it says itself where it ends
            object.__setattr__(self, "grid", tuple(self.grid))
            object.__setattr__(self, "eps", max(0.0, float(self.process.T) - self.grid[-1]))
        for what in ("precision", "state", "factor", "form"):
            object.__setattr__(self, what, getattr(self, what).strip().lower())
        check_counts(self.n, self.shard, self.form)
        for what, value, known in (
            *([("grid", self.grid, GRIDS)] if isinstance(self.grid, str) else []),
            ("precision", self.precision, PRECISIONS),
            ("state", self.state, STATES),
            ("factor", self.factor, ("lower", "upper")),
            ("format", self.form, ("npz", "png")),
        ):
            if value not in known:
                raise ValueError(f"no {what} {value!r}; there are: {', '.join(known)}")
        check_numerical_eps(self.numerical_eps)
        check_ending(self.denoise, model_of(self.process.model_name, "ode"))
        if not 0 <= self.eps < self.process.T:
            raise ValueError(
                f"eps = {self.eps}: the grid ends at T - eps, 0 <= eps < T = {self.process.T:g}"
            )
        if self.scheme is None:
            self._check_black_box()
        else:
            self._check_word(self.scheme)

    def _check_black_box(self) -> None:
        if self.nfe is not None:
            raise ValueError(
                f"nfe = {self.nfe}: {BLACK_BOX} takes what its tolerance tol asks for; give tol"
            )
        if self.tol is None or not 0 < self.tol < 1:
            raise ValueError(
                f"tol = {self.tol}: {BLACK_BOX} takes a tolerance between 0 and 1, e.g. 1e-4"
            )
        own = torch.finfo(STATES[self.state]).eps
        network = (
            2**-10 if self.precision == "tf32" else torch.finfo(PRECISIONS[self.precision]).eps
        )
        if self.tol < (least := max(network / 100, 100 * own)):
            raise ValueError(
                f"tol = {self.tol}: with a network in {self.precision} and a state in "
                f"{self.state} rounding alone errs so much, and the steps would shrink without "
                f"end; give tol >= {least:.2g}"
            )
        if self.grid != "uniform":
            raise ValueError(f"grid = {self.grid}: {BLACK_BOX} chooses its steps itself")
        if self.lambda_s is not None:
            raise ValueError(f"lambda_s: {BLACK_BOX} has no letter O whose noise it could scale")
        if self.merge_noise:
            raise ValueError(f"merge_noise: {BLACK_BOX} is deterministic, it has no noise to merge")

    def _check_word(self, scheme: Scheme) -> None:
        if self.tol is not None:
            raise ValueError(
                f"tol = {self.tol}: {self.name} has fixed steps; a tolerance is for {BLACK_BOX}"
            )
        if self.nfe is None and not isinstance(self.grid, str):  # the grid says its steps itself
            own = nfe_for(len(self.grid) - 1, scheme, self.denoises)
            object.__setattr__(self, "nfe", own)
        if self.nfe is None:
            raise ValueError(f"nfe: {self.name} needs a budget of score evaluations, e.g. 50")
        if self.nfe > MOST_EVALUATIONS:
            raise ValueError(
                f"nfe = {self.nfe}: at most {MOST_EVALUATIONS} evaluations per sample; samplers "
                "have converged long before, and to plan more steps takes minutes"
            )
        check_history(scheme, steps_for(self.nfe, scheme, self.denoises))
        if self.lambda_s is None:
            return
        if not self.has_tunable_noise:
            raise ValueError(f"lambda_s: {self.name} has no letter O whose noise it could scale")
        if not (isfinite(self.lambda_s) and self.lambda_s >= 0):
            raise ValueError(
                f"lambda_s = {self.lambda_s}: a scale of a variance is finite and >= 0"
            )

    @property
    def name(self) -> str:
        return BLACK_BOX if self.scheme is None else self.scheme.name

    @property
    def denoises(self) -> Denoise:
        return self.denoise if self.eps > 0 else False

    @property
    def has_tunable_noise(self) -> bool:
        return self.scheme is not None and self.scheme.has_tunable_noise

    @property
    def times(self) -> list[float]:
        """The reverse times of the grid; of the black box the first and the last."""
        if self.scheme is None or self.nfe is None:
            return grid("uniform", 1, self.process.T, self.eps)
        steps = steps_for(self.nfe, self.scheme, self.denoises)
        return times_on(self.grid, steps, self.process, self.eps)

    @property
    def shards(self) -> list[range]:
        """The sample indices of every shard."""
        return [range(i, min(i + self.shard, self.n)) for i in range(0, self.n, self.shard)]


def digest_of(network: NCSNpp) -> str:
    """SHA-256 of a network's weights with their names, types and shapes, whatever file they are
    from.
    """
    digest = sha256()
    for key, value in network.state_dict().items():
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def settings_of(job: Job, network: NCSNpp, batch: int) -> dict[str, Any]:
    """Everything that determines the samples, as JSON can hold it."""
    own = asdict(job)
    del own["scheme"]
    own["process"] = {"model": job.process.model_name, **asdict(job.process)}
    if job.scheme is None:
        sampler: dict[str, Any] = {"word": BLACK_BOX, "batch": batch}
    else:
        noise, value = job.scheme.lambda_s, job.scheme.lambda_s.value
        rule = {"rule": noise.rule, "value": None if value == "free" else float(value)}
        sampler = {
            "word": str(job.scheme.word),
            "dynamics": job.scheme.dynamics,
            "noise of O": rule if job.has_tunable_noise else None,
            **_settings_of_word(job.scheme),
        }
    versions = {"splitting-analysis": version("splitting-analysis"), "torch": torch.__version__}
    rest = {
        "network": network.config.as_dict(),
        "weights sha256": digest_of(network),
        "versions": versions,
    }
    told: dict[str, Any] = json.loads(json.dumps(sampler | own | rest))
    return told


def _settings_of_word(scheme: Scheme) -> dict[str, Any]:
    """What its word does not say and its model has another for, unless told otherwise."""
    own = {
        "eta": float(scheme.noise_level),
        "clock": scheme.clock,
        "lambda": float(scheme.conjugate),
        "factor of the word": scheme.factor,
        "skip": None if scheme.skip is None else float(scheme.skip),
        "lower order final": scheme.lower_final,
    }
    usual = {
        "eta": float(scheme.dynamics == "sde"),
        "clock": "lambda" if scheme.program.holds else "tau",
        "lambda": 0.0,
        "factor of the word": "lower",
        "skip": None,
        "lower order final": False,
    }
    return {key: value for key, value in own.items() if value != usual[key]}
