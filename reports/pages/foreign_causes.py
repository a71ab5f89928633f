"""The causes of failures of foreign samplers, in words; their numbers are stored."""

from __future__ import annotations

from dataclasses import dataclass

from reports.experiments.foreign_cases import Case


@dataclass(frozen=True)
class Cause:
    """A heading, and what the library's text says."""

    title: str
    words: str


CAUSES = {
    "step": Cause(
        "A step that does not lead to the next timestep",
        "DDIM steps from timestep t to t − N // n, of N training steps and n steps "
        "(`DDIMScheduler.step`, `prev_timestep`). With `timestep_spacing=leading` the next call "
        "is made there. With `linspace` it is made at t − (N − 1)/(n − 1), further on, and with "
        "`trailing`, unless n divides N, elsewhere by rounding: the network is asked at another "
        "noise level than the state has. The error of a step is of the order of the step over "
        "n, so runs still converge, at first order. DDPM looks its next timestep up in its "
        "list, and does not have it.",
    ),
    "times": Cause(
        "The network’s time is not the noise level’s",
        "Noise levels from Karras’s, exponential, beta or shifted flow grids lie between "
        "training steps. Their timesteps are made whole: rounded with `use_karras_sigmas`, cut "
        "off with the others, where `set_timesteps` converts to int64. The state is then "
        "advanced with the noise level, and the network conditioned up to one training step "
        "beside it, which more steps do not mend. It matters most at low noise, where one "
        "training step is a large part of σ. Euler’s and Heun’s schedulers keep the fraction.",
    ),
    "sign": Cause(
        "A sign in sde-dpmsolver++ of third order",
        "The second difference D_{2} of the data predictions has the weight α ((1 − e^{−2h} − "
        "2h)/(2h)^{2} − 1/2) in `multistep_dpm_solver_third_order_update` and in "
        "`singlestep_dpm_solver_third_order_update`. The deterministic weight −α ((e^{−h} − 1 + "
        "h)/h^{2} − 1/2), with 2h for h, is α ((1 − e^{−2h} − 2h)/(2h)^{2} + 1/2). That goes to "
        "0 with h, as it must; the shipped one goes to −α. On N(0, 0.3) the variance of the "
        "singlestep scheduler with `solver_type=heun` is 48 times the right one at 160 steps "
        "and 47 times at 320; the multistep scheduler’s is 29 % too large at 80 steps.",
    ),
    "stage": Cause(
        "A stage’s noise that its step does not share",
        "Not settled by observed orders: the sde-dpmsolver++ of the singlestep scheduler draws "
        "the noise of a stage and that of the step which starts before it independently. In the "
        "reverse SDE they are one path. k-diffusion’s `sample_dpmpp_sde` draws both from one "
        "Brownian tree, and has weak order 2.",
    ),
    "equal": Cause(
        "Adams–Bashforth’s weights where steps are not equal",
        "IPNDM weighs the last four noise predictions by 55, −59, 37, −9 over 24, right for "
        "equal steps in ρ = σ/α, of which it makes none. The local error is then h^{2} Δρ ε′ "
        "ρ″/(12 ρ′): order 2, not 4, after an exact start, too, where the integrals of the same "
        "polynomials give 4. The first steps of a run, from infinite ρ, leave less than that.",
    ),
    "mixed": Cause(
        "Velocities averaged before they are converted",
        "With `v_prediction` PNDM averages the network’s velocities of several states and "
        "times, and converts the average to a noise with the state and α of the current one "
        "(`_get_prev_sample`). A velocity means a noise only together with its own state and "
        "time. Converted one by one, v-prediction gives what ε-prediction does; as it is, the "
        "error at 50 steps is 200 times that, and falls at first order.",
    ),
    "large": Cause(
        "The larger of two variances",
        "By design: `fixed_large` takes β_{t}, the variance of a forward step, which Ho et al. "
        "name beside that of the posterior. It is another sampler, with the same limit.",
    ),
    "linear": Cause(
        "Two interpolations between training steps",
        "Harmless: with `linspace` KDPM2’s noise levels are interpolated linearly, the "
        "timesteps of its stages by the logarithm. One network cannot mean both; here they "
        "differ by 3 parts in a million. Orders observed on this grid rise slowly to 2: 1.64, "
        "1.65, 1.72 and 1.82 on N(0, 0.3) as 25 steps are doubled to 400. With `trailing` the "
        "code is the claimed word.",
    ),
    "log": Cause(
        "Log-linear noise levels beside linear timesteps",
        "`interpolation_type=log_linear` replaces the noise levels after the timesteps are "
        "made, and leaves these as they were, unless `timestep_type=continuous` and "
        "v-prediction derive them from the levels, which is how Stable Video Diffusion uses it: "
        "then the claim holds. It also makes one noise level more than there are timesteps, so "
        "the run ends at the lowest level and not at 0.",
    ),
    "start": Cause(
        "A start of its own",
        "Harmless: k-diffusion’s `sample_dpmpp_3m_sde` takes its second step with the exact "
        "integral of the line through two data predictions, where the claimed word starts with "
        "DPM-Solver++(2M). From the third step on the weights are the claimed ones, half of the "
        "exact second difference included.",
    ),
    "anew": Cause(
        "All noise drawn anew",
        "By design: `stochastic_sampling` goes from the data prediction to fresh noise in every "
        "step, (1 − σ′) D + σ′ ξ, keeping none of the state’s. That samples what a distilled "
        "network says of the end of the path. With the prediction of an ordinary network, a "
        "mean, variance is lost in every step: the limit is not the target, however many steps "
        "are taken.",
    ),
    "flow": Cause(
        "Churn that moves a flow off its path",
        "`s_churn` adds the noise from σ to σ̂ of a variance-exploding process to a state of "
        "flow matching and leaves the data’s share at 1 − σ, where σ̂ has 1 − σ̂; it asks the "
        "network before that, and from σ = 1 it goes beyond the end of time. What is added in "
        "all does not vanish with smaller steps: the limit is another law.",
    ),
    "churn": Cause(
        "Noise is added after the network was asked",
        "Not a failed claim: runs converge, at first order. `s_churn` raises the noise level "
        "from σ to σ̂ and adds noise to the state. EDM’s algorithm 2 then asks the network at "
        "the new state and level; here `step` receives what it said before, at the old ones. "
        "k-diffusion asks afterwards.",
    ),
    "shift": Cause(
        "A shift applied twice",
        "Not a failed claim, since the grid is the scheduler’s own: the ends of the grid are "
        "shifted when it is made, and `set_timesteps` shifts them again. The last noise level "
        "before the data is three times what a shift of 3 makes it.",
    ),
}
"""By the key of their traces."""
HARMLESS = ("large", "linear", "anew", "start")

RULES: tuple[tuple[str, str, str], ...] = (
    ("step", "DDIM", "timestep_spacing"),
    ("large", "DDPM", "fixed_large"),
    ("sign", "DPMSolver", "solver_order=3 sde-dpmsolver++"),
    ("stage", "DPMSolverSinglestep", "sde-dpmsolver++"),
    ("churn", "diffusers:E", "s_churn"),
    ("flow", "FlowMatchHeun", "s_churn"),
    ("anew", "FlowMatchEuler", "stochastic_sampling"),
    ("start", "3m_sde", ""),
    ("log", "EulerDiscrete", "log_linear"),
    ("equal", "IPNDM", ""),
    ("mixed", "PNDM", "v_prediction"),
    ("times", "", "use_karras_sigmas"),
    ("times", "", "use_exponential_sigmas"),
    ("times", "", "use_beta_sigmas"),
    ("times", "", "use_lu_lambdas"),
    ("times", "", "use_flow_sigmas"),
    ("linear", "KDPM2DiscreteScheduler", ""),
)
"""Cause, a part of the sampler's name, and parts of its options: the first that fits."""


def cause_of(case: Case) -> str:
    """The key of the cause of a failed case, "" where none is known."""
    options = " ".join(f"{name}={value}" for name, value in case.options)
    for key, name, parts in RULES:
        if name in case.spec and all(part in options for part in parts.split()):
            return key
    return ""
