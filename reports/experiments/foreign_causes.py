"""Why foreign samplers fail a claim: each cause as a number, by formula and as the code has it.

`right` is what the claim means, `formula` what the code's text says, both worked out here without
the library; `seen` is read off the running code. Where formula and seen agree the cause is found.
"""

from __future__ import annotations

from dataclasses import asdict
from math import exp, expm1, sqrt
from typing import Any

import numpy as np

from analytic_models.probing.segments import segments
from analytic_models.probing.signature import probe
from gpu_samplers.adapters import subject
from reports.experiments.foreign_runs import (
    equal_steps_assumed,
    mixed_before_converted,
    noise_of_flows,
)
from reports.experiments.foreign_trace import Trace, alpha_bars, noise_levels, signature_of


def step_beside_the_grid() -> list[Trace]:
    """DDIM steps over N // n training steps, and asks next where its own timesteps say."""
    bars, rows = alpha_bars(), []
    for spacing, steps in (("linspace", (999, 888)), ("trailing", (999, 856))):
        n = 10 if spacing == "linspace" else 7
        grid = n - (spacing == "linspace")  # its last step leads to the data, and is left out
        _, seen = signature_of("diffusers:DDIMScheduler", grid, timestep_spacing=spacing)
        a = bars[steps[0]]

        def weight(t: int, a: float = a) -> float:
            b = bars[t]
            return float(sqrt(b) - sqrt(a * (1 - b) / (1 - a)))

        what = f"DDIM, {spacing}, {n} steps: weight of the data prediction in the first"
        own = float(segments(seen)[1].gains[0, 0, 0])
        right, formula = weight(steps[1]), weight(999 - 1000 // n)
        rows.append(Trace("step", what, right, formula, own))
    return rows


def times_cut() -> list[Trace]:
    """Timesteps rounded, or cut off, to whole ones beside noise levels that are not."""
    rho, n, call = noise_levels(alpha_bars()), 10, 4
    logs, rows = np.log(rho), []
    even = np.exp(np.linspace(logs[-1], logs[0], n))
    ramp = np.linspace(rho[-1] ** (1 / 7), rho[0] ** (1 / 7), n) ** 7
    levels = {"use_exponential_sigmas": (even, np.floor), "use_karras_sigmas": (ramp, np.rint)}
    for option, (sigmas, cut) in levels.items():
        _, seen = signature_of("diffusers:DPMSolverMultistepScheduler", n - 1, **{option: "true"})
        right = float(np.interp(np.log(sigmas[call]), logs, np.arange(1000)))
        what = f"DPMSolverMultistep, {option}: timestep given to the network in step {call + 1}"
        rows.append(Trace("times", what, right, float(cut(right)), 1000 * seen.calls[call].tau - 1))
    flows = {
        "DPMSolverMultistepScheduler": np.linspace(0, 1 - 1 / 1000, n + 1)[::-1],
        "UniPCMultistepScheduler": np.linspace(1, 1 / 1000, n + 1),
    }
    for name, parts in flows.items():
        _, seen = signature_of(
            f"diffusers:{name}",
            n - 1,
            use_flow_sigmas="true",
            flow_shift="3",
            prediction_type="flow_prediction",
        )
        right = 1000 * float(3 * parts[call] / (1 + 2 * parts[call]))
        what = f"{name.removesuffix('Scheduler')}, flow, shift 3: the same"
        own = 1000 * seen.calls[call].tau
        rows.append(Trace("times", what, right, float(np.floor(right)), own))
    return rows


def sign_of_the_third_order() -> list[Trace]:
    """sde-dpmsolver++ of order 3 has - 1/2 where the second difference needs + 1/2."""

    def parts(h: float, sign: int) -> tuple[float, float]:
        """Weights of D1 and D2, over alpha."""
        whole = -expm1(-2 * h)
        return whole / (-2 * h) + 1, (whole - 2 * h) / (2 * h) ** 2 + sign / 2

    options = {"algorithm_type": "sde-dpmsolver++", "solver_order": "3"}
    made, seen = signature_of(
        "diffusers:DPMSolverMultistepScheduler", 9, lower_order_final="false", **options
    )
    lam = [float(made.process.log_snr(c.tau)) for c in seen.calls]  # type: ignore[union-attr]
    alpha = [float(made.process.alpha(c.tau)) for c in seen.calls]  # type: ignore[union-attr]
    h, last, first = lam[3] - lam[2], lam[2] - lam[1], lam[1] - lam[0]
    r0, r1 = last / h, first / h

    def many(sign: int) -> float:
        one, two = parts(h, sign)
        return alpha[3] * (one * r0 + two) / ((r0 + r1) * r1)

    rows = [
        Trace(
            "sign",
            "multistep: weight of the data prediction two evaluations back, third step",
            many(1),
            many(-1),
            float(segments(seen)[3].gains[0, 0, 0]),
        )
    ]
    made, seen = signature_of(
        "diffusers:DPMSolverSinglestepScheduler", 4, solver_type="heun", **options
    )
    lam = [float(made.process.log_snr(c.tau)) for c in seen.calls]  # type: ignore[union-attr]
    alpha = [float(made.process.alpha(c.tau)) for c in seen.calls]  # type: ignore[union-attr]
    h = lam[3] - lam[0]
    r0, r1 = (lam[2] - lam[0]) / h, (lam[1] - lam[0]) / h

    def single(sign: int) -> float:
        one, two = parts(h, sign)
        return alpha[3] * (2 * two - one * r1) / (r0 * (r0 - r1))

    own = float(seen.split(seen.calls[3].form)[1][0, 2, 0])
    what = "singlestep: weight of the third data prediction, first step of three"
    return [*rows, Trace("sign", what, single(1), single(-1), own)]


def noise_of_a_stage() -> list[Trace]:
    """The noise of a step and that of its stage are parts of one path."""
    made, seen = signature_of(
        "diffusers:DPMSolverSinglestepScheduler", 4, algorithm_type="sde-dpmsolver++"
    )
    lam = [float(made.process.log_snr(c.tau)) for c in seen.calls]  # type: ignore[union-attr]
    sigma = [float(made.process.sigma(c.tau)) for c in seen.calls]  # type: ignore[union-attr]
    right = sigma[2] * sigma[1] * exp(lam[1] - lam[2]) * -expm1(2 * (lam[0] - lam[1]))
    stage, end = (seen.split(seen.calls[i].form)[2][0] for i in (1, 2))
    what = "DPMSolverSinglestep, sde-dpmsolver++: covariance of the noises of first stage and step"
    return [Trace("stage", what, right, 0.0, float(stage @ end))]


def asked_before_the_noise() -> list[Trace]:
    """Churn moves state and noise level up; the network was asked before."""
    rows = []
    for name, options in (
        ("EulerDiscreteScheduler", {"use_karras_sigmas": "true"}),
        ("EDMEulerScheduler", {}),
    ):
        plain, _ = signature_of(f"diffusers:{name}", 9, **options)
        assert plain.grid is not None and plain.process is not None  # noqa: S101
        sigma = float(plain.process.T) - plain.grid(9)[0]
        _, seen = signature_of(f"diffusers:{name}", 9, s_churn="5", **options)
        gamma = min(5 / 10, sqrt(2) - 1)
        what = f"{name.removesuffix('Scheduler')}, s_churn = 5: noise level of the first call"
        rows.append(Trace("churn", what, sigma * (1 + gamma), sigma, seen.calls[0].tau))
    return rows


def shifted_twice() -> list[Trace]:
    """A shift that the ends of the grid have already is applied to them again."""

    def shift(s: float) -> float:
        return 3 * s / (1 + 2 * s)

    rows = []
    for name in ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"):
        made = subject(f"diffusers:{name}", {"shift": "3"})
        assert made.process is not None and made.grid is not None  # noqa: S101
        last = float(made.process.T) - made.grid(9)[-1]
        what = f"{name.removesuffix('DiscreteScheduler')}, shift 3: last noise level before 0"
        rows.append(Trace("shift", what, shift(1e-3), shift(shift(1e-3)), last))
    return rows


def another_start() -> list[Trace]:
    """The second step of k-diffusion's three-step sampler integrates its line exactly."""
    made: Any = subject("k_diffusion:sample_dpmpp_3m_sde", {"eta": "0"})
    times = made.grid(6)
    seen = probe(made, made.process, tuple(times))
    first, second, third = (np.log(float(made.process.T) - t) for t in times[:3])
    h, ratio = second - third, (first - second) / (second - third)
    own = float(segments(seen)[2].gains[0, 0, 0])
    what = "dpmpp_3m_sde, eta = 0: weight of the first data prediction in the second step"
    right, formula = expm1(-h) / (2 * ratio), -(expm1(-h) / h + 1) / ratio
    return [Trace("start", what, float(right), float(formula), own)]


def larger_variance() -> list[Trace]:
    """fixed_large takes the variance of the forward step, not of the posterior."""
    bars = alpha_bars()
    _, seen = signature_of("diffusers:DDPMScheduler", 9, variance_type="fixed_large")
    a, b = bars[900], bars[800]
    large = 1 - a / b
    own = float(segments(seen)[1].covariance[0, 0])
    what = "DDPM, fixed_large, 10 steps: variance of the noise of the first"
    return [Trace("large", what, float(large * (1 - b) / (1 - a)), float(large), own)]


def two_interpolations() -> list[Trace]:
    """Noise levels are linear between training steps, the stages' timesteps linear in their log."""
    made, seen = signature_of("diffusers:KDPM2DiscreteScheduler", 6)
    rho = noise_levels(alpha_bars(0.012, 0.00085))
    t = 999 * 5 / 6
    place = int(t)
    part = t - place
    low, high = float(rho[place]), float(rho[place + 1])
    right = low + part * (high - low)
    formula = low * exp(part * np.log(high / low))
    taus = sorted({call.tau for call in seen.calls}, key=lambda tau: abs(tau - formula))
    assert made.process is not None  # noqa: S101
    what = "KDPM2, linspace: noise level that timestep 832.5 means to the network"
    return [Trace("linear", what, right, float(formula), taus[0])]


def log_linear_beside_linear_times() -> list[Trace]:
    """EulerDiscrete's log-linear noise levels keep timesteps that are linear."""
    n, call, rho = 10, 4, noise_levels(alpha_bars())
    _, seen = signature_of("diffusers:EulerDiscreteScheduler", n, interpolation_type="log_linear")
    right = exp(np.linspace(np.log(rho[-1]), np.log(rho[0]), n + 1)[call])
    formula = np.interp(np.linspace(999, 0, n)[call], np.arange(1000), rho)
    what = f"EulerDiscrete, log_linear, {n} steps: noise level the network is asked at in step 5"
    return [Trace("log", what, float(right), float(formula), seen.calls[call].tau)]


TRACES = (
    step_beside_the_grid,
    times_cut,
    sign_of_the_third_order,
    noise_of_a_stage,
    asked_before_the_noise,
    noise_of_flows,
    shifted_twice,
    equal_steps_assumed,
    mixed_before_converted,
    another_start,
    larger_variance,
    two_interpolations,
    log_linear_beside_linear_times,
)


def causes() -> list[dict[str, Any]]:
    """All traces, as they are stored."""
    return [asdict(row) for trace in TRACES for row in trace()]
