"""Samplers of today's toolboxes and what each is said to be: by its documentation, or its name."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from splitting_analysis.clocks import Clock


@dataclass(frozen=True)
class Case:
    """A sampler with options, and the claim; `clock` where a claimed word has another than lambda.

    `why` says where the claim is from, or why these options.
    """

    spec: str
    claims: str
    options: tuple[tuple[str, str], ...] = ()
    clock: Clock | None = None
    why: str = ""

    @property
    def key(self) -> str:
        """What names the case among the stored."""
        shown = " ".join(f"{name}={value}" for name, value in self.options)
        return " | ".join(part for part in (self.spec, shown, self.claims, self.clock) if part)

    @property
    def command(self) -> str:
        """What reproduces it."""
        words = ["splitting-analysis", "validate", self.spec]
        for name, value in self.options:
            words += ["--option", f"{name}={value}"]
        words += ["--claims", self.claims]
        return shlex.join([*words, *(["--clock", self.clock] if self.clock else [])])


def _of(library: str, *rows: tuple[str, str] | tuple[str, str, str]) -> tuple[Case, ...]:
    """Rows of "name option=value ...", claim (with "in rho", if that is its clock), and why."""
    made = []
    for name, claims, *why in rows:
        first, *options = name.split()
        pairs = tuple((k, v) for k, _, v in (option.partition("=") for option in options))
        word, _, clock = claims.partition(" in ")
        known: Clock | None = "rho" if clock else None
        made.append(Case(f"{library}:{first}", word, pairs, known, why[0] if why else ""))
    return tuple(made)


FORMULA = "lower orders at the end switched off: the formula alone"
RUNGE = "HeunDiscreteScheduler"
DIFFUSERS = _of(
    "diffusers",
    ("DDIMScheduler", "DDIM"),
    ("DDIMScheduler prediction_type=v_prediction", "DDIM"),
    ("DDIMScheduler prediction_type=sample", "DDIM"),
    ("DDIMScheduler timestep_spacing=trailing", "DDIM"),
    ("DDIMScheduler timestep_spacing=linspace", "DDIM"),
    ("DDIMScheduler eta=1", "Euler-a", "with eta = 1 DDIM is the ancestral sampler"),
    ("DDIMParallelScheduler", "DDIM"),
    ("CogVideoXDDIMScheduler", "DDIM"),
    ("CogVideoXDDIMScheduler timestep_spacing=linspace", "DDIM"),
    ("CogVideoXDPMScheduler", "DPM++2M-SDE"),
    ("DDPMScheduler", "Euler-a", "the exact posterior, whatever the steps"),
    ("DDPMScheduler timestep_spacing=linspace", "Euler-a"),
    ("DDPMScheduler timestep_spacing=trailing", "Euler-a"),
    ("DDPMScheduler variance_type=fixed_large", "Euler-a"),
    ("DDPMParallelScheduler", "Euler-a"),
    ("UnCLIPScheduler", "Euler-a"),
    ("DDPMWuerstchenScheduler", "Euler-a"),
    ("PNDMScheduler", "order=2", "the paper proves order 2"),
    ("PNDMScheduler skip_prk_steps=true", "order=2"),
    ("PNDMScheduler prediction_type=v_prediction", "order=2"),
    ("IPNDMScheduler", "order=4", "called a fourth-order scheduler"),
    ("DEISMultistepScheduler lower_order_final=false", "S E:eps[2]", FORMULA),
    ("DEISMultistepScheduler lower_order_final=false solver_order=3", "S E:eps[3]", FORMULA),
    ("DPMSolverMultistepScheduler", "DPM++2M"),
    ("DPMSolverMultistepScheduler timestep_spacing=trailing", "DPM++2M"),
    ("DPMSolverMultistepScheduler timestep_spacing=leading", "DPM++2M"),
    ("DPMSolverMultistepScheduler prediction_type=v_prediction", "DPM++2M"),
    ("DPMSolverMultistepScheduler beta_schedule=squaredcos_cap_v2", "DPM++2M"),
    ("DPMSolverMultistepScheduler solver_order=1", "DPM++1"),
    ("DPMSolverMultistepScheduler solver_type=heun", "S E:data[2]"),
    ("DPMSolverMultistepScheduler solver_order=3 lower_order_final=false", "DPM++3M", FORMULA),
    ("DPMSolverMultistepScheduler use_karras_sigmas=true", "DPM++2M"),
    ("DPMSolverMultistepScheduler use_exponential_sigmas=true", "DPM++2M"),
    ("DPMSolverMultistepScheduler use_beta_sigmas=true", "DPM++2M"),
    ("DPMSolverMultistepScheduler use_lu_lambdas=true", "DPM++2M"),
    (
        (
            "DPMSolverMultistepScheduler prediction_type=flow_prediction use_flow_sigmas=true "
            "flow_shift=3"
        ),
        "DPM++2M",
    ),
    (
        (
            "DPMSolverMultistepScheduler algorithm_type=dpmsolver final_sigmas_type=sigma_min "
            "lower_order_final=false"
        ),
        "S E:eps[2:dpm]",
        FORMULA,
    ),
    (
        (
            "DPMSolverMultistepScheduler algorithm_type=dpmsolver final_sigmas_type=sigma_min "
            "lower_order_final=false solver_order=3"
        ),
        "S E:eps[3:dpm]",
        FORMULA,
    ),
    ("DPMSolverMultistepScheduler algorithm_type=sde-dpmsolver++", "DPM++2M-SDE"),
    ("DPMSolverMultistepScheduler algorithm_type=sde-dpmsolver++ solver_order=1", "Euler-a"),
    ("DPMSolverMultistepScheduler algorithm_type=sde-dpmsolver++ solver_type=heun", "S E:data[2]"),
    (
        (
            "DPMSolverMultistepScheduler algorithm_type=sde-dpmsolver++ solver_order=3 "
            "lower_order_final=false"
        ),
        "S E:data[3:dpm]",
        FORMULA,
    ),
    ("DPMSolverSinglestepScheduler solver_order=1", "DPM++1"),
    ("DPMSolverSinglestepScheduler", "order=2", "its stages lie on the grid, not in the middle"),
    ("DPMSolverSinglestepScheduler algorithm_type=sde-dpmsolver++", "order=2"),
    (
        (
            "DPMSolverSinglestepScheduler algorithm_type=sde-dpmsolver++ solver_order=3 "
            "solver_type=heun"
        ),
        "order=1",
    ),
    ("UniPCMultistepScheduler", "UniPC2"),
    ("UniPCMultistepScheduler solver_type=bh1", "E:data[2:bh1] S@1 E:data[3:bh1]"),
    (
        "UniPCMultistepScheduler predict_x0=false lower_order_final=false",
        "E:eps[2:bh2] S@1 E:eps[3:bh2]",
        FORMULA,
    ),
    ("UniPCMultistepScheduler use_karras_sigmas=true", "UniPC2"),
    (
        "UniPCMultistepScheduler prediction_type=flow_prediction use_flow_sigmas=true flow_shift=3",
        "UniPC2",
    ),
    ("SASolverScheduler", "order=1", "stochastic from timestep 200 to 800 only"),
    ("EulerDiscreteScheduler", "Euler"),
    ("EulerDiscreteScheduler timestep_spacing=trailing", "Euler"),
    ("EulerDiscreteScheduler timestep_spacing=leading", "Euler"),
    ("EulerDiscreteScheduler prediction_type=v_prediction", "Euler"),
    ("EulerDiscreteScheduler use_karras_sigmas=true", "Euler"),
    ("EulerDiscreteScheduler use_exponential_sigmas=true", "Euler"),
    ("EulerDiscreteScheduler use_beta_sigmas=true", "Euler"),
    ("EulerDiscreteScheduler interpolation_type=log_linear", "Euler"),
    (
        (
            "EulerDiscreteScheduler interpolation_type=log_linear timestep_type=continuous "
            "prediction_type=v_prediction"
        ),
        "Euler",
    ),
    ("EulerDiscreteScheduler use_karras_sigmas=true s_churn=5", "order=1"),
    ("EulerAncestralDiscreteScheduler", "Euler-a"),
    ("EulerAncestralDiscreteScheduler timestep_spacing=trailing", "Euler-a"),
    (RUNGE, "Heun"),
    (f"{RUNGE} timestep_spacing=trailing", "Heun"),
    (f"{RUNGE} use_karras_sigmas=true", "Heun"),
    (f"{RUNGE} prediction_type=v_prediction", "Heun"),
    ("KDPM2DiscreteScheduler timestep_spacing=trailing", "DPM-Solver-2"),
    ("KDPM2DiscreteScheduler", "DPM-Solver-2"),
    ("KDPM2DiscreteScheduler use_exponential_sigmas=true", "DPM-Solver-2"),
    ("KDPM2DiscreteScheduler use_karras_sigmas=true", "DPM-Solver-2"),
    ("KDPM2AncestralDiscreteScheduler use_exponential_sigmas=true", "order=2"),
    ("LMSDiscreteScheduler", "S E:eps[4] in rho", "4 is its default order"),
    ("LMSDiscreteScheduler use_karras_sigmas=true", "S E:eps[4] in rho"),
    ("DPMSolverSDEScheduler use_karras_sigmas=true", "order=2"),
    ("EDMEulerScheduler", "Euler"),
    ("EDMEulerScheduler s_churn=5", "order=1"),
    ("EDMDPMSolverMultistepScheduler", "DPM++2M"),
    ("EDMDPMSolverMultistepScheduler sigma_schedule=exponential", "DPM++2M"),
    ("EDMDPMSolverMultistepScheduler solver_order=3 lower_order_final=false", "DPM++3M", FORMULA),
    ("EDMDPMSolverMultistepScheduler algorithm_type=sde-dpmsolver++", "DPM++2M-SDE"),
    ("CosineDPMSolverMultistepScheduler", "DPM++2M-SDE"),
    ("ScoreSdeVeScheduler", "order=1", "its predictor; the corrector adapts to norms of a batch"),
    ("FlowMatchEulerDiscreteScheduler", "Euler"),
    ("FlowMatchEulerDiscreteScheduler shift=3", "Euler"),
    ("FlowMatchEulerDiscreteScheduler use_dynamic_shifting=true mu=1.15", "Euler"),
    ("FlowMatchEulerDiscreteScheduler use_karras_sigmas=true", "Euler"),
    ("FlowMatchEulerDiscreteScheduler stochastic_sampling=true", "order=1"),
    ("FlowMatchHeunDiscreteScheduler", "Heun"),
    ("FlowMatchHeunDiscreteScheduler s_churn=5", "order=1"),
    ("LTXEulerAncestralRFScheduler", "order=1"),
    ("LTXEulerAncestralRFScheduler eta=0", "Euler"),
    ("MiniMaxH3Scheduler", "Euler"),
    ("HeliosScheduler", "order=2", "from σ = 1, where log(α/σ) is infinite: no word does that"),
    ("HeliosScheduler scheduler_type=euler", "Euler"),
    ("RFD4ProteinaScheduler tail_steps=0", "order=1"),
)
K_DIFFUSION = _of(
    "k_diffusion",
    ("sample_euler", "Euler"),
    ("sample_euler s_churn=5 s_tmax=50", "order=1"),
    ("sample_euler_ancestral", "Euler-a"),
    ("sample_heun", "Heun"),
    ("sample_heun s_churn=5 s_tmax=50", "order=2"),
    ("sample_dpm_2", "DPM-Solver-2"),
    ("sample_dpm_2_ancestral", "order=2"),
    ("sample_dpm_2_ancestral eta=0", "DPM-Solver-2"),
    ("sample_lms", "S E:eps[4] in rho", "4 is its default order"),
    ("sample_dpm_fast", "order=3", "orders 3, 3, ..., 2"),
    ("sample_dpmpp_2s_ancestral", "order=2"),
    ("sample_dpmpp_2s_ancestral eta=0", "DPM++2S"),
    ("sample_dpmpp_sde", "order=2"),
    ("sample_dpmpp_2m", "DPM++2M"),
    ("sample_dpmpp_2m_sde", "DPM++2M-SDE"),
    ("sample_dpmpp_2m_sde solver_type=heun", "S E:data[2]"),
    ("sample_dpmpp_2m_sde eta=0", "DPM++2M"),
    ("sample_dpmpp_3m_sde", "S E:data[3:dpm]"),
    ("sample_dpmpp_3m_sde eta=0", "DPM++3M"),
)
OPENMM = _of(
    "openmm",
    ("LangevinMiddleIntegrator", "BAOA", "its law is the word’s; its draws cannot be repeated"),
)
CASES = {"diffusers": DIFFUSERS, "k_diffusion": K_DIFFUSION, "openmm": OPENMM}
"""By library, which is a part of the experiment."""
