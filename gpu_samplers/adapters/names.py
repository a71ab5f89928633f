"""The schedulers of diffusers: which sample a score, of what kind, and which do not, and why."""

from __future__ import annotations

EXPLODED = (
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "LMSDiscreteScheduler",
    "DPMSolverSDEScheduler",
)
"""Keep x / alpha: to them all processes are VE."""
DISCRETE = (
    *EXPLODED,
    "DDIMScheduler",
    "DDIMParallelScheduler",
    "CogVideoXDDIMScheduler",
    "CogVideoXDPMScheduler",
    "DDPMScheduler",
    "DDPMParallelScheduler",
    "UnCLIPScheduler",
    "PNDMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "UniPCMultistepScheduler",
    "SASolverScheduler",
)
FLOWS = (
    "FlowMatchEulerDiscreteScheduler",
    "FlowMatchHeunDiscreteScheduler",
    "LTXEulerAncestralRFScheduler",
    "MiniMaxH3Scheduler",
    "HeliosScheduler",
    "RFD4ProteinaScheduler",
)
RISING = (
    "EDMEulerScheduler",
    "EDMDPMSolverMultistepScheduler",
    "CosineDPMSolverMultistepScheduler",
    "ScoreSdeVeScheduler",
)
TIMED = ("IPNDMScheduler", "DDPMWuerstchenScheduler")
SAMPLERS = (*DISCRETE, *FLOWS, *RISING, *TIMED)

DISTILLED = "asks a distilled network for the end of the path, not a score"
TOKENS = "samples tokens, not a diffusion in R^d"
INVERSE = "runs from data to noise"
OTHERS = {
    "CMStochasticIterativeScheduler": DISTILLED,
    "LCMScheduler": DISTILLED,
    "TCDScheduler": DISTILLED,
    "SCMScheduler": DISTILLED,
    "FlowMatchLCMScheduler": DISTILLED,
    "FlowMapEulerDiscreteScheduler": DISTILLED,
    "PiflowScheduler": DISTILLED,
    "HeliosDMDScheduler": DISTILLED,
    "ConsistencyDecoderScheduler": DISTILLED,
    "AmusedScheduler": TOKENS,
    "BlockRefinementScheduler": TOKENS,
    "DiscreteDDIMScheduler": TOKENS,
    "EntropyBoundScheduler": TOKENS,
    "VQDiffusionScheduler": TOKENS,
    "DDIMInverseScheduler": INVERSE,
    "DPMSolverMultistepInverseScheduler": INVERSE,
    "RePaintScheduler": "fills a hole of a given image",
    "KarrasVeScheduler": "is deprecated, and no longer among the schedulers",
    "ScoreSdeVpScheduler": "is deprecated, and no longer among the schedulers",
}
"""Schedulers that are no samplers in the sense of this project, and why."""
