"""Why foreign samplers fail a claim: each cause as a number, by formula and as the code has it.

`right` is what the claim means, `formula` what the code's text says, both worked out here without
the library; `seen` is read off the running code. Where formula and seen agree the cause is found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import asin, cos, exp, expm1, hypot, log2, pi, sin, sqrt, tan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytic_models.probing.segments import segments
from analytic_models.probing.signature import Signature, probe
from analytic_models.probing.subject import Subject
from gpu_samplers.adapters import subject

V = 0.3
"""Variance of the data where a run as a whole is looked at."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trace:
    """One number that shows a cause; `cause` is a key of the page's texts."""

    cause: str
    what: str
    right: float
    formula: float
    seen: float | None


def _bars(last: float = 0.02, first: float = 1e-4, n: int = 1000) -> Array:
    """Alpha-bar of linear betas, in float64."""
    return np.asarray(np.cumprod(1 - np.linspace(first, last, n)))


def _rho(bars: Array) -> Array:
    return np.asarray(np.sqrt((1 - bars) / bars))


def _signature(spec: str, n: int, **options: str) -> tuple[Subject, Signature]:
    made = subject(spec, {"arithmetic": "double", **options})
    assert made.process is not None and made.grid is not None  # noqa: S101 - an adapter brings both
    return made, probe(made, made.process, tuple(made.grid(n)))


def _variance(spec: str, n: int, **options: str) -> float:
    """The variance of a sampler's result on N(0, V), over the right one, minus 1."""
    made: Any = subject(spec, {"arithmetic": "double", **options})
    process, grid, draws = made.process, made.grid(n), [0]

    def size(tau: float) -> float:
        return float(process.alpha(tau) ** 2 * V + process.sigma(tau) ** 2)

    def run(z: Array, noise: Callable[[], Array]) -> Array:
        return np.asarray(made.call(lambda y, tau: -y / size(tau), z, grid, noise, process))

    def counted() -> Array:
        draws[0] += 1
        return np.zeros((1, 1))

    run(np.zeros((1, 1)), counted)
    basis = iter(np.eye(draws[0] + 1)[1:])
    start, end = (float(process.T) - grid[i] for i in (0, -1))
    z = np.zeros((draws[0] + 1, 1))
    z[0] = sqrt(size(start))
    final = run(z, lambda: next(basis)[:, None])
    return float(np.sum(final**2) / size(end) - 1)


def step_beside_the_grid() -> list[Trace]:
    """DDIM steps over N // n training steps, and asks next where its own timesteps say."""
    bars, rows = _bars(), []
    for spacing, steps in (("linspace", (999, 888)), ("trailing", (999, 856))):
        n = 10 if spacing == "linspace" else 7
        grid = n - (spacing == "linspace")  # its last step leads to the data, and is left out
        _, seen = _signature("diffusers:DDIMScheduler", grid, timestep_spacing=spacing)
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
    rho, n, call = _rho(_bars()), 10, 4
    logs, rows = np.log(rho), []
    even = np.exp(np.linspace(logs[-1], logs[0], n))
    ramp = np.linspace(rho[-1] ** (1 / 7), rho[0] ** (1 / 7), n) ** 7
    levels = {"use_exponential_sigmas": (even, np.floor), "use_karras_sigmas": (ramp, np.rint)}
    for option, (sigmas, cut) in levels.items():
        _, seen = _signature("diffusers:DPMSolverMultistepScheduler", n - 1, **{option: "true"})
        right = float(np.interp(np.log(sigmas[call]), logs, np.arange(1000)))
        what = f"DPMSolverMultistep, {option}: timestep given to the network in step {call + 1}"
        rows.append(Trace("times", what, right, float(cut(right)), 1000 * seen.calls[call].tau - 1))
    flows = {
        "DPMSolverMultistepScheduler": np.linspace(0, 1 - 1 / 1000, n + 1)[::-1],
        "UniPCMultistepScheduler": np.linspace(1, 1 / 1000, n + 1),
    }
    for name, parts in flows.items():
        _, seen = _signature(
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
    made, seen = _signature(
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
    made, seen = _signature(
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
    made, seen = _signature(
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
        plain, _ = _signature(f"diffusers:{name}", 9, **options)
        assert plain.grid is not None and plain.process is not None  # noqa: S101
        sigma = float(plain.process.T) - plain.grid(9)[0]
        _, seen = _signature(f"diffusers:{name}", 9, s_churn="5", **options)
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


def _lagrange(nodes: Array, a: float, b: float) -> Array:
    """Integrals over [a, b] of the polynomials that are 1 at one node and 0 at the others."""
    size = abs(a - b)
    x = (nodes - a) / size
    powers = np.vander(x, increasing=True).T
    end = (b - a) / size
    moments = [size * end ** (k + 1) / (k + 1) for k in range(len(x))]
    weights: Array = np.linalg.solve(powers, np.array(moments))
    return weights


ADAMS: dict[int, Array] = {
    1: np.array([1.0]),
    2: np.array([3, -1]) / 2,
    3: np.array([23, -16, 5]) / 12,
    4: np.array([55, -59, 37, -9]) / 24,
}


def noise_of_flows() -> list[Trace]:
    """All noise drawn anew in every step, and churn without the scale that a flow needs."""
    n = 64
    levels = [float(s) for s in np.linspace(1, 1e-3, n + 1)]

    def size(s: float) -> float:
        return (1 - s) ** 2 * V + s * s

    variance = 1.0
    for s, after in pairwise(levels):
        variance *= ((1 - after) * (1 - s) * V / size(s)) ** 2
        variance += after**2
    name = "diffusers:FlowMatchEulerDiscreteScheduler"
    anew = Trace(
        "anew",
        f"FlowMatchEuler, stochastic_sampling, {n} steps: relative error of the variance",
        0.0,
        variance / size(levels[-1]) - 1,
        _variance(name, n, stochastic_sampling="true"),
    )
    variance, gamma = 1.0, min(5 / (2 * (n + 1) - 1), sqrt(2) - 1)
    for s, after in pairwise(levels):
        first, last = ((u - (1 - u) * V) / size(u) for u in (s, after))
        raised = s * (1 + gamma)
        slope, step = first * s / raised, after - raised
        keep = 1 + step / 2 * (slope + last * (1 + slope * step))
        variance *= keep**2
        variance += (raised**2 - s * s) * (1 + step * last / 2) ** 2
    return [
        anew,
        Trace(
            "flow",
            f"FlowMatchHeun, s_churn = 5, {n} steps: relative error of the variance",
            0.0,
            variance / size(levels[-1]) - 1,
            _variance("diffusers:FlowMatchHeunDiscreteScheduler", n, s_churn="5"),
        ),
    ]


def equal_steps_assumed() -> list[Trace]:
    """IPNDM weighs earlier noises as for equal steps; in sigma/alpha no two are equal."""
    n = 64
    first = 1 - 1e-7
    turns = [first, *(i / (n + 1) for i in range(n, 0, -1))]
    angles = [pi / 2 * first, *(asin(sin(pi / 2 * u) ** 2) for u in turns[1:])]
    seen = _variance("diffusers:IPNDMScheduler", n)
    what = f"IPNDM, {n} steps: relative error of the variance"
    exact, as_is = (_adams(angles, 0, equal) for equal in (False, True))

    def order(equal: bool) -> float:
        """Of the formula alone: three exact values before the first step."""
        ends = [
            _adams(
                [asin(sin(pi / 2 * (0.9 - 0.8 * i / m)) ** 2) for i in range(-3, m + 1)], 3, equal
            )
            for m in (512, 1024)
        ]
        return log2(abs(ends[0] / ends[1]))

    last = "IPNDM, its formula after an exact start: observed order"
    return [
        Trace("equal", what, exact, as_is, seen),
        Trace("equal", last, order(False), order(True), None),
    ]


def _adams(angles: Sequence[float], known: int, equal: bool) -> float:
    """Relative error of the variance on N(0, V) of Adams and Bashforth's steps in rho = tan(angle).

    `known` values before the start are exact; weights are for equal steps, or the integrals.
    """

    def exact(u: float) -> float:
        return hypot(sqrt(V), tan(u))

    def noise(x: float, u: float) -> float:
        return sin(u) * cos(u) * x / (cos(u) ** 2 * V + sin(u) ** 2)

    before = list(angles[known - 1 :: -1]) if known else []
    noises = [noise(exact(u), u) for u in before]
    x = exact(angles[known])
    for u, after in pairwise(angles[known:]):
        before.insert(0, u)
        noises.insert(0, noise(x, u))
        k = min(len(noises), 4)
        rhos = np.tan(np.array(before[:k]))
        step = tan(after) - tan(u)
        by = ADAMS[k] * step if equal else _lagrange(rhos, tan(u), tan(after))
        x += float(by @ np.array(noises[:k]))
    return (x / exact(angles[-1])) ** 2 - 1


def mixed_before_converted() -> list[Trace]:
    """PNDM averages velocities of several states, and converts the average at one."""
    n, bars = 50, _bars()
    step = 1000 // n

    def error(mixed: bool) -> float:
        def velocity(x: float, t: int) -> float:
            a = bars[t]
            noise = sqrt(1 - a) * x / (a * V + 1 - a)
            data = (x - sqrt(1 - a) * noise) / sqrt(a)
            return float(sqrt(a) * noise - sqrt(1 - a) * data)

        def said(x: float, t: int) -> float:
            v, a = velocity(x, t), bars[t]
            return v if mixed else float(sqrt(a) * v + sqrt(1 - a) * x)

        def moved(x: float, t: int, to: int, out: float) -> float:
            a, b = bars[t], bars[to] if to >= 0 else bars[0]
            noise = sqrt(a) * out + sqrt(1 - a) * x if mixed else out
            return float(sqrt(b / a) * (x - sqrt(1 - a) * noise) + sqrt(1 - b) * noise)

        t, history = 1000 - step, list[float]()
        x = sqrt(bars[t] * V + 1 - bars[t])
        while t > 0:
            history.insert(0, said(x, t))
            if len(history) <= 3:  # Runge and Kutta's four stages
                half, out = t - step // 2, history[0]
                second = said(moved(x, t, half, out), half)
                third = said(moved(x, t, half, second), half)
                fourth = said(moved(x, t, t - step, third), t - step)
                out = (out + 2 * second + 2 * third + fourth) / 6
            else:
                out = float(ADAMS[4] @ np.array(history[:4]))
            x, t = moved(x, t, t - step, out), t - step
        return float(x * x / (bars[0] * V + 1 - bars[0]) - 1)

    own = _variance("diffusers:PNDMScheduler", n - 1, prediction_type="v_prediction")
    what = f"PNDM, v_prediction, {n} steps: relative error of the variance"
    return [Trace("mixed", what, error(False), error(True), own)]


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
    bars = _bars()
    _, seen = _signature("diffusers:DDPMScheduler", 9, variance_type="fixed_large")
    a, b = bars[900], bars[800]
    large = 1 - a / b
    own = float(segments(seen)[1].covariance[0, 0])
    what = "DDPM, fixed_large, 10 steps: variance of the noise of the first"
    return [Trace("large", what, float(large * (1 - b) / (1 - a)), float(large), own)]


def two_interpolations() -> list[Trace]:
    """Noise levels are linear between training steps, the stages' timesteps linear in their log."""
    made, seen = _signature("diffusers:KDPM2DiscreteScheduler", 6)
    rho = _rho(_bars(0.012, 0.00085))
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
    n, call, rho = 10, 4, _rho(_bars())
    _, seen = _signature("diffusers:EulerDiscreteScheduler", n, interpolation_type="log_linear")
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
