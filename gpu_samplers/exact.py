"""Exact scores in torch of targets that are not Gaussian: mixtures, and the data set itself.

Written on their own from the theory (sections 1 and 8), in coefficients that torch.func can
differentiate in time too; analytic_models states the same targets in NumPy, so that each judges the
other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from gpu_samplers.processes import PSLD, VP, Langevin, kernels

Tensor = torch.Tensor
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)
_AT_ONCE = 2**19
"""Numbers of the largest array that a mixture's score makes."""


def integrated_beta(process: PSLD | VP, tau: Tensor) -> Tensor:
    """b(tau), the integral of beta over [0, tau]."""
    slope = (process.beta_max - process.beta_min) / process.T
    return (process.beta_min + slope / 2 * tau) * tau


def transition(process: PSLD | VP, tau: Tensor) -> Tensor:
    """Phi(tau), (..., n, n) for times (...): z_tau has the mean Phi z_0 (theory, section 1)."""
    return _flow(process, integrated_beta(process, tau))


def covariance(process: PSLD | VP, tau: Tensor, variance: Tensor) -> Tensor:
    """Covariance of z_tau, (..., k, n, n), where x_0 has the variances (k,) and m_0 the data's;
    times (...).

    PSLD: the noise is the integral of Phi(u) diag(Gamma, M nu) Phi(u)^T over [0, b], by
    Gauss-Legendre quadrature (near machine precision for (Gamma + nu) b up to 100): a sum of
    positive terms, where S - Phi S Phi^T would lose the digits of a short time.
    """
    b = integrated_beta(process, tau)
    return _covariance(process, b, _flow(process, b), variance)


# Each operation with a constant costs as much as a hundred numbers where torch.func differentiates
# it: in time, that is most of a score. So there are few of them, on all entries at once.


def _covariance(process: PSLD | VP, b: Tensor, phi: Tensor, variance: Tensor) -> Tensor:
    """`covariance` after the clocks b (...), whose transition is phi."""
    if isinstance(process, VP):
        return (torch.exp(-b)[..., None] * variance - torch.expm1(-b)[..., None])[..., None, None]
    nodes, weights = (torch.as_tensor(a / 2).to(b) for a in (1 + _NODES, _WEIGHTS))
    rates = weights[:, None, None] * b.new_tensor((process.Gamma, process.M * process.nu))
    flows = _flow(process, b[..., None] * nodes)
    noise = b[..., None, None] * ((flows * rates) @ flows.mT).sum(-3)
    start = torch.stack((variance, torch.full_like(variance, process.kappa * process.M)), dim=1)
    phi = phi[..., None, :, :]
    return noise[..., None, :, :] + (phi * start[:, None, :]) @ phi.mT


def _flow(process: PSLD | VP, b: Tensor) -> Tensor:
    """Phi after the clocks b (...), shape (..., n, n)."""
    b = b[..., None, None]
    if isinstance(process, VP):
        return torch.exp(-b / 2)
    half, fast = (process.nu - process.Gamma) / 2, (process.nu + process.Gamma) / 2
    rest = b.new_tensor(((half / 2, half**2 / 2), (-1 / 2, -half / 2)))
    return torch.exp(-fast / 2 * b) * (torch.eye(2).to(b) + b * rest)


class MixtureScore:
    """The score of sum_k w_k N(mu_k, v_k I) at every forward time; v = 0 is a data set.

    means (k, *shape), variances and weights (k,) or numbers; weights are relative. Called as a
    score is: z (n, batch, *shape), tau -> the same shape; Langevin: the position alone, (1, batch,
    *shape), and tau is not looked at. Coefficients are computed in float64, the rest in the
    arithmetic of z. Raises ValueError for shapes or values that are no mixture, states that do not
    fit it, and a component without density (v = 0 at tau = 0; a tau that is a tensor is not
    checked).
    """

    def __init__(
        self,
        process: PSLD | VP | Langevin,
        means: Tensor,
        variances: Tensor | float = 0.0,
        weights: Tensor | float = 1.0,
    ) -> None:
        if means.ndim < 2 or means.numel() == 0:
            raise ValueError(
                f"means are (k, ...) with k >= 1 of d >= 1 numbers, not {tuple(means.shape)}"
            )
        k = len(means)
        self.process, self.shape = process, means.shape[1:]
        self.means = means.detach().reshape(k, -1).double()
        self.variances = self._per_component(variances, "variances")
        weights = self._per_component(weights, "weights")
        finite = all(t.isfinite().all() for t in (self.means, self.variances, weights))
        if not (finite and (self.variances >= 0).all() and (weights > 0).all()):
            raise ValueError(
                "a mixture has finite means, finite variances >= 0 and finite weights > 0"
            )
        if isinstance(process, Langevin) and not (self.variances > 0).all():
            raise ValueError("Langevin dynamics adds no noise to its target: variances must be > 0")
        self.log_weights = (weights / weights.sum()).log()

    def _per_component(self, values: Tensor | float, name: str) -> Tensor:
        k, tensor = (
            len(self.means),
            torch.as_tensor(values, dtype=torch.float64, device=self.means.device),
        )
        if tensor.shape not in ((), (k,)):
            raise ValueError(
                f"{k} means take {k} {name} or one number, not shape {tuple(tensor.shape)}"
            )
        return tensor.expand(k)

    def __call__(self, z: Tensor, tau: float | Tensor) -> Tensor:
        n = len(self.process.stationary) if not isinstance(self.process, Langevin) else 1
        if z.shape[:1] != (n,) or z.shape[2:] != self.shape:
            shapes = f"({n}, batch, {', '.join(map(str, self.shape))}), not {tuple(z.shape)}"
            raise ValueError(f"the state under {self.process.model_name} is {shapes}")
        device = z.device
        variances, means = self.variances.to(device), self.means.to(device)
        if isinstance(self.process, Langevin):
            shift, cov = torch.ones(1, dtype=torch.float64, device=device), variances[:, None, None]
        else:
            if not isinstance(tau, Tensor) and (
                tau < 0 or (tau == 0 and not (variances > 0).all())
            ):
                raise ValueError(
                    f"forward time {tau:g}: one of variance 0 has a score at tau > 0 only"
                )
            time = torch.as_tensor(tau, dtype=torch.float64, device=device)
            b = integrated_beta(self.process, time)
            phi = _flow(self.process, b)
            shift, cov = phi[:, 0], _covariance(self.process, b, phi, variances)
        d = means.shape[1]
        determinant, inverse = _determinant_and_inverse(cov)
        scale = (self.log_weights.to(device) - d * determinant.log() / 2).to(z)
        centres, precisions = (shift[:, None, None] * means).to(z), inverse.to(z)
        # So many samples at a time that all differences, (n, samples, k, d), are not too large.
        samples = max(1, _AT_ONCE // centres.numel())
        parts = torch.split(z.flatten(2), samples, dim=1)
        return torch.cat([_pull(x, centres, precisions, scale) for x in parts], dim=1).reshape(
            z.shape
        )


def _determinant_and_inverse(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Of matrices (k, n, n), n <= 2, written out: torch gets nested jvps of logdet wrong."""
    if matrices.shape[-1] == 1:
        return matrices[:, 0, 0], 1 / matrices
    a, b, c, d = matrices.flatten(1).unbind(1)
    determinant = a * d - b * c
    adjugate = torch.stack([d, -b, -c, a], dim=1).reshape(-1, 2, 2)
    return determinant, adjugate / determinant[:, None, None]


def _pull(x: Tensor, centres: Tensor, precisions: Tensor, scale: Tensor) -> Tensor:
    """The score at states x (n, b, d): components pull towards their centres (n, k, d) by their
    shares.
    """
    away = x[:, :, None] - centres[:, None]
    pulls = -torch.einsum("kij,jbkd->ibkd", precisions, away)
    shares = torch.softmax(scale + (away * pulls).sum((0, 3)) / 2, dim=1)
    return torch.einsum("bk,ibkd->ibd", shares, pulls)


def data_set_score(process: PSLD | VP, images: Tensor) -> Callable[[Tensor, float], Tensor]:
    """The exact score of a data set (k, *shape), fast: -P (z - phi E[x_0 | z]), in two matrix
    products.

    P is the precision of the perturbation kernel (theory, section 1, hybrid score matching), phi
    the first column of the transition matrix: the state's mean is phi x_0. For sampling: it is not
    differentiable in time, and far below tau = 1e-3 the squares cancel; `MixtureScore` is slower
    and has neither limit.
    """
    flat = images.reshape(len(images), -1).double()
    squares = flat.square().sum(1)

    def score(z: Tensor, tau: float, /) -> Tensor:
        (phi,), (covariance,) = kernels(process, [tau])
        precision = np.linalg.inv(covariance)
        pull, n = phi @ precision, len(phi)
        state = z.reshape(n, z.shape[1], -1).double()
        pulled = sum(pull[i] * state[i] for i in range(n))
        logits = pulled @ flat.T - squares * float(pull @ phi) / 2
        mean = torch.softmax(logits, dim=1) @ flat
        away = [state[i] - phi[i] * mean for i in range(n)]
        rows = [-sum(precision[i, j] * away[j] for j in range(n)) for i in range(n)]
        return torch.stack(rows).reshape(z.shape).to(z.dtype)

    return score
