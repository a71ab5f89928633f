"""Every sampler of the catalogue again, as its paper prints it: slow, flat, to be held beside the
page.

Nothing here or in plain_psld.py knows words, letters or models.py: a wrong letter there cannot
hide. A sampler takes the process, the score, the state's components, the reverse times
t_0 < ... < t_n and the noise, and returns the components at t_n. PSLD: s(x, m, tau) is (sx, sm)
and noise() two normals; VP: s(x, tau), noise() one; Langevin: s(q), noise() one, noise(2) two. It
is called model_name, as `psld_roba`, and found by that; one of an ODE calls its last argument `_`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from inspect import isfunction, signature
from math import exp, expm1, factorial, sqrt
from typing import Any

import torch

from gpu_samplers import (
    plain_conjugate,
    plain_exponential,
    plain_langevin,
    plain_position,
    plain_position_noise,
    plain_psld,
    plain_psld_data,
    plain_splitting,
)
from gpu_samplers.plain_psld import delta, steps
from gpu_samplers.processes import PSLD, VE, VP, Flow, Langevin, Process, Respa

Tensor = torch.Tensor
Pair = tuple[Tensor, Tensor]
Times = Sequence[float]


def slope(p: VP, s: Any, x: Tensor, tau: float) -> Tensor:
    return p.beta(tau) / 2 * (x + s(x, tau))


def vp_euler(p: VP, s: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """Euler on the probability flow (Song et al. 2021)."""
    for t, h in steps(times):
        x = x + h * slope(p, s, x, p.T - t)
    return x


def vp_heun(p: VP, s: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """Heun on the probability flow (Karras et al. 2022, algorithm 1)."""
    for t, h in steps(times):
        d = slope(p, s, x, p.T - t)
        after = slope(p, s, x + h * d, p.T - t - h)
        x = x + h * (d / 2 + after / 2)
    return x


def vp_rk4(p: VP, s: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """The classical Runge-Kutta method on the probability flow."""
    for t, h in steps(times):
        k1 = slope(p, s, x, p.T - t)
        k2 = slope(p, s, x + h / 2 * k1, p.T - t - h / 2)
        k3 = slope(p, s, x + h / 2 * k2, p.T - t - h / 2)
        k4 = slope(p, s, x + h * k3, p.T - t - h)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x


def vp_em(p: VP, s: Any, x: Tensor, times: Times, noise: Any) -> Tensor:
    """Euler-Maruyama on the reverse SDE (Song et al. 2021)."""
    for t, h in steps(times):
        b = p.beta(p.T - t)
        x = x + h * b * (x / 2 + s(x, p.T - t)) + sqrt(h * b) * noise()
    return x


def vp_ei(p: VP, s: Any, x: Tensor, times: Times, noise: Any) -> Tensor:
    """Exponential integrator (Pierret & Galerne 2025): linear part exact, score frozen, exact
    variance.
    """
    for t, h in steps(times):
        d = delta(p, t, h)
        x = exp(d / 2) * x + 2 * expm1(d / 2) * s(x, p.T - t) + sqrt(expm1(d)) * noise()
    return x


def vp_ddpm(p: VP, s: Any, x: Tensor, times: Times, noise: Any) -> Tensor:
    """Ancestral sampling (Ho et al. 2020, algorithm 2) with beta_i = h beta, variance beta_i."""
    for t, h in steps(times):
        b = h * p.beta(p.T - t)
        x = (x + b * s(x, p.T - t)) / sqrt(1 - b) + sqrt(b) * noise()
    return x


def vp_sscs(p: VP, s: Any, x: Tensor, times: Times, noise: Any) -> Tensor:
    """SSCS without a momentum: half of the OU flow, the score's kick, the other half."""
    for t, h in steps(times):
        first, second = delta(p, t, h / 2), delta(p, t + h / 2, h / 2)
        x = exp(-first / 2) * x + sqrt(1 - exp(-first)) * noise()
        x = x + h * p.beta(p.T - t) * (s(x, p.T - t) + x)
        x = exp(-second / 2) * x + sqrt(1 - exp(-second)) * noise()
    return x


def vp_strang_euler(p: VP, s: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """Strang splitting of the probability flow (Liu, Gu & Liu 2026), the score's part by Euler."""
    for t, h in steps(times):
        x = exp(delta(p, t, h / 2) / 2) * x
        x = x + h * p.beta(p.T - t) / 2 * s(x, p.T - t - h / 2)
        x = exp(delta(p, t + h / 2, h / 2) / 2) * x
    return x


def vp_strang(p: VP, s: Any, x: Tensor, times: Times, _: Any) -> Tensor:
    """Strang splitting of the probability flow (Liu, Gu & Liu 2026): half of the linear flow, the
    score's part by the explicit midpoint rule at the middle time, the other half.
    """
    for t, h in steps(times):
        middle = p.T - t - h / 2
        x = exp(delta(p, t, h / 2) / 2) * x
        k1 = p.beta(middle) / 2 * s(x, middle)
        x = x + h * p.beta(middle) / 2 * s(x + h / 2 * k1, middle)
        x = exp(delta(p, t + h / 2, h / 2) / 2) * x
    return x


def vp_sscs2(p: VP, s: Any, x: Tensor, times: Times, noise: Any) -> Tensor:
    """SSCS without a momentum, its kick x' = beta (s + x) by the explicit midpoint rule."""
    for t, h in steps(times):
        first, second = delta(p, t, h / 2), delta(p, t + h / 2, h / 2)
        x = exp(-first / 2) * x + sqrt(1 - exp(-first)) * noise()
        y = x + h / 2 * p.beta(p.T - t) * (s(x, p.T - t) + x)
        x = x + h * p.beta(p.T - t - h / 2) * (s(y, p.T - t - h / 2) + y)
        x = exp(-second / 2) * x + sqrt(1 - exp(-second)) * noise()
    return x


# Langevin: force s = -grad U, unit mass and temperature. A force at an unchanged position is kept.


def langevin_se(_p: Langevin, s: Any, q: Tensor, v: Tensor, times: Times, _: Any) -> Pair:
    """Symplectic Euler."""
    for _t, h in steps(times):
        v = v + h * s(q)
        q = q + h * v
    return q, v


def langevin_vv(_p: Langevin, s: Any, q: Tensor, v: Tensor, times: Times, _: Any) -> Pair:
    """Velocity Verlet (Hairer, Lubich & Wanner 2003)."""
    f = s(q)
    for _t, h in steps(times):
        v = v + h / 2 * f
        q = q + h * v
        f = s(q)
        v = v + h / 2 * f
    return q, v


def langevin_em(p: Langevin, s: Any, q: Tensor, v: Tensor, times: Times, noise: Any) -> Pair:
    """Euler-Maruyama."""
    for _t, h in steps(times):
        q, v = q + h * v, v + h * (s(q) - p.gamma * v) + sqrt(2 * p.gamma * h) * noise()
    return q, v


def friction(p: Langevin, v: Tensor, h: float, noise: Any) -> Tensor:
    """The exact Ornstein-Uhlenbeck update of the momentum."""
    return exp(-p.gamma * h) * v + sqrt(1 - exp(-2 * p.gamma * h)) * noise()


def langevin_baoab(p: Langevin, s: Any, q: Tensor, v: Tensor, times: Times, noise: Any) -> Pair:
    """BAOAB (Leimkuhler & Matthews 2013)."""
    f = s(q)
    for _t, h in steps(times):
        v = v + h / 2 * f
        q = q + h / 2 * v
        v = friction(p, v, h, noise)
        q = q + h / 2 * v
        f = s(q)
        v = v + h / 2 * f
    return q, v


def langevin_aboba(p: Langevin, s: Any, q: Tensor, v: Tensor, times: Times, noise: Any) -> Pair:
    """ABOBA (Leimkuhler & Matthews 2013)."""
    for _t, h in steps(times):
        q = q + h / 2 * v
        f = s(q)
        v = v + h / 2 * f
        v = friction(p, v, h, noise)
        v = v + h / 2 * f
        q = q + h / 2 * v
    return q, v


def langevin_obabo(p: Langevin, s: Any, q: Tensor, v: Tensor, times: Times, noise: Any) -> Pair:
    """OBABO (Bussi & Parrinello 2007)."""
    f = s(q)
    for _t, h in steps(times):
        v = friction(p, v, h / 2, noise)
        v = v + h / 2 * f
        q = q + h * v
        f = s(q)
        v = v + h / 2 * f
        v = friction(p, v, h / 2, noise)
    return q, v


def langevin_baoa(p: Langevin, s: Any, q: Tensor, v: Tensor, times: Times, noise: Any) -> Pair:
    """BAOA, or GSD (Kieninger & Keller 2022)."""
    for _t, h in steps(times):
        v = v + h * s(q)
        q = q + h / 2 * v
        v = friction(p, v, h, noise)
        q = q + h / 2 * v
    return q, v


def free(
    p: Langevin, q: Tensor, v: Tensor, h: float, xi: Tensor, eta: Tensor
) -> tuple[Tensor, Tensor]:
    """The exact free particle with friction and noise: U of Alamo Zapatero 2017."""
    g, x = p.gamma, p.gamma * h
    ramp = -expm1(-x) / g if g else h
    qq, qv = _squares(x)  # of the noise, in units of h^2 and h
    root = sqrt(qq)
    below = qv / root if root else 0.0
    rest = sqrt(max(-expm1(-2 * x) - below**2, 0.0))
    return q + ramp * v + h * root * xi, exp(-x) * v + below * xi + rest * eta


def _squares(x: float) -> tuple[float, float]:
    """(2 x - 3 + 4 e^-x - e^-2x) / x^2 and (1 - e^-x)^2 / x, the first by its series where it
    cancels.
    """
    if not x:
        return 0.0, 0.0
    if x > 0.5:
        first = (2 * x - 3 + 4 * exp(-x) - exp(-2 * x)) / x / x
    else:
        first = sum((-x) ** (n - 2) * (4 - 2**n) / factorial(n) for n in range(3, 24))
    return first, expm1(-x) ** 2 / x


def langevin_ei(p: Langevin, s: Any, q: Tensor, v: Tensor, times: Times, noise: Any) -> Pair:
    """The force held over a step, all else exact (Ermak & Buckholz 1980; Cheng et al. 2018)."""
    for _t, h in steps(times):
        f, x = s(q), p.gamma * h
        # 1 - e^-x and x - 1 + e^-x, over x and x^2: what the force adds to v and q
        ramp = -expm1(-x) / x if x else 1.0
        rest = (1 - ramp) / x if x > 0.1 else sum((-x) ** n / factorial(n + 2) for n in range(14))
        q, v = free(p, q, v, h, *noise(2))
        q, v = q + h * h * rest * f, v + h * ramp * f
    return q, v


def langevin_ubu(p: Langevin, s: Any, q: Tensor, v: Tensor, times: Times, noise: Any) -> Pair:
    """UBU (Alamo Zapatero 2017; Sanz-Serna & Zygalakis 2021)."""
    for _t, h in steps(times):
        q, v = free(p, q, v, h / 2, *noise(2))
        v = v + h * s(q)
        q, v = free(p, q, v, h / 2, *noise(2))
    return q, v


def langevin_bub(p: Langevin, s: Any, q: Tensor, v: Tensor, times: Times, noise: Any) -> Pair:
    """BUB (Sanz-Serna & Zygalakis 2021)."""
    f = s(q)
    for _t, h in steps(times):
        v = v + h / 2 * f
        q, v = free(p, q, v, h, *noise(2))
        f = s(q)
        v = v + h / 2 * f
    return q, v


Sampler = Callable[..., Any]
POSITION_ONLY = ("vp", "ve", "flow")
"""Models that all samplers of plain_position.py are for."""
_MODELS = {kind.model_name for kind in (PSLD, VP, Langevin, Respa)}
SAMPLERS: dict[tuple[str, str], Sampler] = {
    (model, name): function
    for function in [
        *vars(plain_psld).values(),
        *vars(plain_conjugate).values(),
        *vars(plain_exponential).values(),
        *vars(plain_langevin).values(),
        *globals().values(),
    ]
    if isfunction(function)
    for model, _, name in [function.__name__.partition("_")]
    if model in _MODELS
}
"""By model and name: the functions that are called so, "psld_roba". `psld_rk45_adaptive` is no
word's.
"""


def sampler_of(model: str, name: str) -> Sampler:
    """The sampler that a catalogue name of a model stands for, upper or lower case; ValueError if
    none.
    """
    key = (model, re.sub(r"\W+", "_", name.lower()))
    of_position = plain_position.SAMPLERS | plain_position_noise.SAMPLERS
    of_position |= plain_splitting.SAMPLERS
    shared = of_position if model in POSITION_ONLY else plain_psld_data.SAMPLERS
    for name_there in ("_".join(key), key[1]):
        if key not in SAMPLERS and name_there in shared:
            return shared[name_there]
    if key not in SAMPLERS:
        known = ", ".join(own for kind, own in SAMPLERS if kind == model) or "none"
        raise ValueError(f"no plain {model} sampler {name!r}; there are: {known}")
    return SAMPLERS[key]


def noise_level(sampler: Sampler, **options: Any) -> float:
    """eta of the equation that it solves: 0 without noise, 1 with noise and no eta to take."""
    parameters = signature(sampler).parameters
    eta = options.get("eta", parameters["eta"].default if "eta" in parameters else 1)
    return float(eta) if "noise" in parameters else 0.0


def denoise(p: PSLD | VP | VE | Flow, eta: float, score: Any, z: Tensor, t: float) -> Tensor:
    """One Euler step, without noise, from t to T of the reverse drift at noise level eta: the score
    counts 1 + eta^2 times what it does in the flow, with a momentum twice at any level.
    """
    eta = float(eta > 0) if isinstance(p, PSLD) else eta
    h, b, k, s = p.T - t, p.beta(p.T - t), 1 + eta**2, score(z, p.T - t)
    if isinstance(p, VP):
        return z + h * b / 2 * (z + k * s)
    if isinstance(p, VE | Flow):
        return z + h * (k * b / 2 * s - p.rates(h)[0] / p.alpha(h) * z)
    (x, m), (sx, sm), G, nu, M = z, s, p.Gamma, p.nu, p.M
    dx, dm = G * x - m / M + k * G * sx, x + nu * m + k * M * nu * sm
    return torch.stack((x + h * b / 2 * dx, m + h * b / 2 * dm))


def known(p: PSLD | VP | VE | Flow, score: Any, z: Tensor, tau: float) -> Tensor:
    """The state with the data that its score tells in place of the position."""
    s = score(z, tau)
    if isinstance(p, PSLD):
        x = plain_psld_data.data(p, lambda *_: s, z[0], z[1], tau)
    else:
        x = plain_position.data(p, lambda *_: s[0], z[0], tau)
    return torch.stack((x, *z[1:]))


def _on_copies(score: Any) -> Any:
    """The score, which may write into its argument or into its last result: both are copies."""
    return lambda z, tau: score(z.clone(), tau).clone()


def sample(
    name: str,
    p: Process,
    score: Any,
    z: Tensor,
    times: Times,
    noise: Any,
    *,
    last: bool | str = True,
    **options: Any,
) -> Tensor:
    """The end state (n, batch, ...) of sampler `name` started at z, in z's precision.

    score(z, tau) and noise(q) as in engine.run. `last`: with the denoising step, where there is
    something left to denoise, or with the data predicted in place of the position. `options` go to
    the sampler (lambda_s; tol of "RK45 adaptive").
    """
    sampler, score = sampler_of(p.model_name, name), _on_copies(score)

    if isinstance(p, Langevin):

        def normals(count: int = 1) -> Tensor:
            drawn = noise(count)
            return drawn if count > 1 else drawn[0]

        def force(q: Tensor) -> Tensor:
            found: Tensor = score(q[None], 0.0)
            return found if isinstance(p, Respa) else found[0]

        return torch.stack(sampler(p, force, *z, times, normals))
    if p.model_name in POSITION_ONLY:
        of_one = lambda x, tau: score(x[None], tau)[0]  # noqa: E731 - a name for one line
        z = sampler(p, of_one, z[0], times, lambda: noise(1)[0], **options)[None]
    else:
        of_pair = lambda x, m, tau: score(torch.stack((x, m)), tau)  # noqa: E731 - a name for one line
        z = torch.stack(sampler(p, of_pair, *z, times, lambda: noise(2), **options))
    if not last or times[-1] >= p.T:
        return z
    if last == "data":
        return known(p, score, z, p.T - times[-1])
    return denoise(p, noise_level(sampler, **options), score, z, times[-1])
