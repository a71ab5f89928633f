"""The schedulers of diffusers: what their networks are, and how they count noise levels."""

from __future__ import annotations

import math
from typing import Any

from gpu_samplers.adapters.names import DISCRETE, EXPLODED, FLOWS, RISING
from gpu_samplers.adapters.networks import Discrete, Exploded, Network, Rising, Straight, Timed
from gpu_samplers.adapters.tables import Interpolated, Quarter
from splitting_analysis.clocks import Cosine
from splitting_analysis.processes import VE, ScheduledVP

FIRST: dict[str, dict[str, Any]] = {
    "HeliosScheduler": {"stages": 1},
    "RFD4ProteinaScheduler": {
        "schedule_mode": "power",
        "noise_mode": "1/t",
        "tsr_k": 1.0,
        "tsr_sigma": 1.0,
    },
}
"""Options that differ here from the library's defaults, or have none there."""
HIDDEN = ("model_output", "timestep", "sample", "generator", "return_dict", "device",
          "num_inference_steps", "variance_noise", "old_pred_original_sample", "timestep_back",
          "prev_timestep", "emit_mask", "pred_original_sample", "use_clipped_model_output",
          "per_token_timesteps", "stage_index", "kwargs")  # fmt: skip
LOGARITHMIC = (
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "use_lu_lambdas",
)


def network_of(name: str, scheduler: Any) -> Network:
    config = scheduler.config
    if name in FLOWS or config.get("use_flow_sigmas"):
        if name == "MiniMaxH3Scheduler":
            return Straight("data_minus_noise", steps=1, backward=True)
        if name == "RFD4ProteinaScheduler":
            return Straight("data_minus_noise", steps=1, backward=True)
        kind = config.get("prediction_type", "flow_prediction")
        return Straight(kind, steps=config.num_train_timesteps)
    if name in DISCRETE:
        bars = tuple(max(float(a), 1e-14) for a in scheduler.alphas_cumprod)
        between = name.startswith("KDPM2") or any(config.get(key) for key in LOGARITHMIC)
        process = ScheduledVP(schedule=Interpolated(bars, logarithmic=between))
        table = Discrete(process, config.prediction_type, len(bars))
        if name not in EXPLODED:
            return table
        v = config.prediction_type == "v_prediction"
        return Exploded(table, v and config.get("timestep_type") == "continuous")
    if name in RISING:
        rising = VE(T=config.sigma_max)
        if name == "ScoreSdeVeScheduler":
            ratio = config.sigma_max / config.sigma_min
            return Rising(rising, lambda t: config.sigma_min * ratio**t, "score")
        sigma_of = _quarter if name == "CosineDPMSolverMultistepScheduler" else _edm
        return Rising(rising, sigma_of, config.prediction_type, config.sigma_data)
    if name == "IPNDMScheduler":
        return Timed(ScheduledVP(schedule=Quarter()), "v_prediction")
    schedule = Cosine(s=float(config.s))
    return Timed(ScheduledVP(T=schedule.inverse(-math.log(1e-4)), schedule=schedule), "epsilon")


def _edm(timestep: float) -> float:
    return math.exp(4 * timestep)


def _quarter(timestep: float) -> float:
    return math.tan(math.pi / 2 * timestep)


def levels_of(name: str, scheduler: Any) -> list[float] | None:
    """The noise levels that steps start from and the last one ends at; None: those of timesteps."""
    match name:
        case "ScoreSdeVeScheduler":
            places = (scheduler.timesteps * (len(scheduler.timesteps) - 1)).long()
            return [float(scheduler.discrete_sigmas[i]) for i in places] + [0.0]
        case "IPNDMScheduler":
            return [float(b) for b in scheduler.betas]
        case "RFD4ProteinaScheduler":
            return [1 - float(t) for t in scheduler._times]
    if getattr(scheduler, "sigmas", None) is None:
        return None
    levels = [float(level) for level in scheduler.sigmas]
    if name == "EulerDiscreteScheduler":  # log_linear makes one more than its timesteps use
        return levels[: len(scheduler.timesteps) + 1]
    if name == "DPMSolverSinglestepScheduler":
        starts = [i for i, order in enumerate(scheduler.order_list) if order == 1]
        return [levels[i] for i in starts] + levels[-1:]
    return levels
