"""A score that torch.func can differentiate, and its elementary differentials for the closed forms.

Every derivative is a nested Jacobian-vector product (forward mode), exact to round-off: no
finite difference stands between a closed form and the network.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch.func import jvp

from gpu_samplers import engine
from gpu_samplers.exact import covariance
from gpu_samplers.processes import PSLD, VP
from splitting_analysis.errors import LocalError
from splitting_analysis.models import Model
from splitting_analysis.numbers import Directions, Field, Point, evaluate
from splitting_analysis.schemes import Scheme
from splitting_analysis.symbols import parts
from splitting_analysis.trees import Combination

Tensor = torch.Tensor
Diffusion = PSLD | VP
Score = Callable[[Tensor, Tensor], Tensor]
"""score(z, tau): z (n, batch, *shape) and tau () give (n, batch, *shape), differentiable in
both.
"""

_GRID = 2.0**-46

# the first jvp makes torch call a function that it deprecates itself
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    jvp(torch.sin, (torch.zeros(()),), (torch.ones(()),))


def network_score(network: torch.nn.Module, process: Diffusion) -> Score:
    """The score -L(tau)^-T network(z, tau) in float64, L the lower factor of the perturbation
    kernel.

    The network takes (batch, n * channels, ...) and times (batch,), as gpu_samplers.NetworkScore
    feeds it (theory, section 1, numerical_eps 0); its weights are converted in place.
    """
    network = network.double().eval().requires_grad_(False)

    def score(z: Tensor, tau: Tensor) -> Tensor:
        n, batch, channels = z.shape[:3]
        image = z.transpose(0, 1).reshape(batch, n * channels, *z.shape[3:])
        predicted = network(image, tau.expand(batch)).reshape(batch, n, channels, *z.shape[3:])
        kernel = covariance(process, tau, tau.new_zeros(1))[0]
        # L^T s = -eps by hand: torch.linalg.solve is differentiated wrongly when jvp is nested in
        # jvp.
        eps = predicted.transpose(0, 1)
        first = kernel[0, 0].sqrt()
        if n == 1:
            return -eps / first
        below = kernel[1, 0] / first
        momentum = -eps[1] / (kernel[1, 1] - below**2).sqrt()
        return torch.stack([-(eps[0] + below * momentum) / first, momentum])

    return score


def dyadic(value: float) -> float:
    """A time or a step as a multiple of 2^-46: sums and halves of such are exact.

    The engine's step is the difference (t + h) - t on a grid, which rounding moves by up to 1e-16:
    small steps must not differ from what they are said to be by that much.
    """
    return round(value / _GRID) * _GRID


def as_engine_sees(machine: engine.Score) -> Score:
    """The engine's score, taking the time as a tensor; not differentiable.

    References run on it, not on the differentiable one: the same network summed in another order
    differs by 1e-14, more than an error of order h^6 at the steps that matter.
    """
    return lambda z, tau: machine(z, float(tau))


def beta(process: Diffusion, tau: Tensor | float) -> Any:
    """The clock rate at forward time tau, differentiable."""
    return process.beta_min + tau * (process.beta_max - process.beta_min) / process.T


def drift(process: Diffusion, model: Model, score: Score) -> Score:
    """The reverse drift (n, batch, *shape) of `model` (theory, section 2) at a state and forward
    time.
    """
    parameters = process.parameters
    linear = torch.tensor(model.drift.linear(parameters), dtype=torch.float64)
    weight = torch.tensor(model.drift.score(parameters), dtype=torch.float64)

    def field(z: Tensor, tau: Tensor) -> Tensor:
        scored = torch.einsum("i,i...->i...", weight, score(z, tau))
        return beta(process, tau) * (torch.einsum("ij,j...->i...", linear, z) + scored)

    return field


def along(function: Score, tangents: list[tuple[Tensor, Tensor]]) -> Score:
    """The derivative of `function` along every tangent (dz, dtau) in turn: nested jvp."""
    for tangent in tangents:
        function = _once(function, tangent)
    return function


def _once(function: Score, tangent: tuple[Tensor, Tensor]) -> Score:
    return lambda z, tau: jvp(function, (z, tau), tangent)[1]


def score_field(model: Model, score: Score, z: Tensor, tau: Tensor) -> Field:
    """Every differential d^j s / dtau^j of the score at z (n, batch, *shape) along any directions.

    A direction is (batch, *shape), or (many, *shape) at a batch of one: the result has its length.
    """
    row = {name: i for i, name in enumerate(model.scores) if name}
    index = {component: i for i, component in enumerate(model.components)}

    def field(name: str, j: int, directions: Directions) -> Tensor:
        batch = max([z.shape[1], *(len(v) for _, v in directions)])
        base = z.expand(len(z), batch, *z.shape[2:]).clone()
        still, now = torch.zeros_like(base), torch.zeros_like(tau)
        tangents = [(still, torch.ones_like(tau))] * j
        for component, direction in directions:
            tangent = torch.zeros_like(base)
            tangent[index[component]] = direction
            tangents.append((tangent, now))
        return along(score, tangents)(base, tau)[row[name]]

    return field


def unit_vectors(z: Tensor) -> Tensor:
    """The unit vectors (d, *shape) of one component of a state z (n, batch, *shape)."""
    return torch.eye(z[0, 0].numel(), dtype=torch.float64).reshape(-1, *z.shape[2:])


def point(
    process: Diffusion, model: Model, score: Score, z: Tensor, tau: float, units: Tensor
) -> Point:
    """Where a closed form is evaluated: the score's differentials at z (n, batch, *shape), tau.

    The unit vectors are one stack (d, *shape): a trace is then one batched product, for a batch of
    one, in the h^2 terms of a weak error and the leading ones of a strong error. Laplacians come
    from second derivatives along the same stack. Fewer orthonormal `units` are the closed form of
    noise in these directions alone.
    """
    time = torch.tensor(tau, dtype=torch.float64)
    field = score_field(model, score, z, time)

    def laplacian(name: str, component: str) -> Tensor:
        return field(name, 0, ((component, units), (component, units))).sum(0, keepdim=True)

    slope = (process.beta_max - process.beta_min) / process.T
    parameters = {
        "beta": beta(process, tau),
        "dbeta": slope,
        "d2beta": 0.0,
        "d3beta": 0.0,
        "lambda_s": 1.0,
    }
    parameters |= {name: getattr(process.parameters, name, 0.0) for name in ("Gamma", "nu", "M")}
    return Point(dict(zip(model.components, z, strict=True)), field, parameters, [units], laplacian)


def drift_point(process: Diffusion, scheme: Scheme, score: Score, z: Tensor, tau: float) -> Point:
    """The same for a Runge-Kutta word: the differentials of the full drift, time appended as a row.

    Its error at z (n, 1, *shape) comes out as a vector (n * d + 1,), the time's part last.
    """
    slope, size = drift(process, scheme.model, score), z.numel()

    def autonomous(y: Tensor) -> Tensor:
        change = slope(y[:size].reshape(z.shape), process.T - y[size])
        return torch.cat([change.reshape(-1), y.new_ones(1)])

    def field(_: str, __: int, directions: Directions) -> Tensor:
        function: Callable[[Tensor], Tensor] = autonomous
        for _, direction in directions:
            function = _once_flat(function, direction)
        return function(torch.cat([z.reshape(-1), z.new_tensor([process.T - tau])]))

    return Point({}, field, {})


def _once_flat(function: Callable[[Tensor], Tensor], tangent: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda y: jvp(function, (y,), (tangent,))[1]


def coefficient(
    error: LocalError,
    power: int,
    process: Diffusion,
    scheme: Scheme,
    score: Score,
    z: Tensor,
    tau: float,
    units: Tensor | None = None,
) -> dict[str, Tensor]:
    """The coefficient of h^power of a local error at z (n, 1, *shape), by key, on a network.

    Means and ODE errors are (*shape), second moments and mean squares traces (). Noise is in the
    directions `units`, by default all.
    """
    terms = {key: value for key, value in error.terms[power].items() if key != "phi"}
    if scheme.word.is_runge_kutta:
        total = evaluate(terms["z"], drift_point(process, scheme, score, z, tau))
        return dict(zip(scheme.model.components, total[:-1].reshape(z[:, 0].shape), strict=True))
    here = point(process, scheme.model, score, z, tau, unit_vectors(z) if units is None else units)
    return {key: _value(key, terms[key], here, z) for key in terms}


def _value(key: str, combination: Combination, here: Point, z: Tensor) -> Tensor:
    shape = z.shape[2:] if len(parts(key)) == 1 else ()
    if not combination:
        return z.new_zeros(shape)
    return torch.as_tensor(evaluate(combination, here), dtype=torch.float64).reshape(shape)
