"""A skewed target, to first order in its skewness: what stochastic code does where scores are not
linear.

The data law is a Gaussian with a third cumulant kappa. To first order in kappa the score is that of
the Gaussian plus a quadratic, with c = c(tau) the mean's response to x_0 and w = Sigma^-1 c,

    q(z) = kappa/2 w ((w.z)^2 - w.Sigma w),

and the exact law at any time has mean 0 and the third cumulant kappa c c c. What the sampler makes
of it is exact too: a signature says how every q acts on the result, and the moments are Gaussian.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

from analytic_models.probing.running import Array
from analytic_models.probing.signature import Signature
from analytic_models.targets import Gaussian, marginal
from splitting_analysis.families import fixed_target
from splitting_analysis.models import model_of
from splitting_analysis.processes import Process

VARIANCE = 0.8


def _law(process: Process, tau: float) -> tuple[Array, Array]:
    """Covariance of the Gaussian (n, n), and c (n,): the mean where that of the data is 1."""
    mean, rows = marginal(process, Gaussian(np.array([VARIANCE]), np.array([1.0])), tau)
    covariance = np.array([[float(np.ravel(e)[0]) for e in row] for row in rows])
    return covariance, np.array([float(np.ravel(e)[0]) for e in mean])


def skew_errors(signature: Signature, process: Process, first: float, last: float) -> Array:
    """Mean and third cumulants of the result less the exact ones, per unit of kappa.

    The run leads from reverse time `first` to `last`, from the exact law on.
    """
    n, m, normals = signature.n, signature.m, signature.n * signature.draws
    K, asked = len(signature.distinct), model_of(process.model_name, "ode").asked
    weights, m = _weights(process, m), len(asked)
    states = np.zeros((K, m, n + normals))  # y_k over start and normals, to order 0
    pushed = np.zeros((K, m, K, m))  # and over the q_i, to order 1
    slopes = np.zeros((K, m, m))
    gains = np.zeros(K)

    def walk(form: Array, k: int) -> tuple[Array, Array]:
        """A form's expansion, what is free in the first k calls replaced by what it is."""
        start, scores, noise = signature.split(form)
        scores = scores @ weights
        state = np.hstack([start, noise])
        push = np.zeros((len(form), K, m))
        for j in range(k):
            if np.any(scores[:, j]):
                state += scores[:, j] @ slopes[j] @ states[j]
                push += np.einsum("ab,bcd->acd", scores[:, j] @ slopes[j], pushed[j])
                push[:, j] += scores[:, j] / gains[j]
        return state, push

    quadratics = []
    for k, call in enumerate(signature.distinct):
        states[k], pushed[k] = walk(call.form[:m], k)
        whole, c = _law(process, call.tau)
        covariance, c = whole[np.ix_(asked, asked)], c[list(asked)]
        precision = np.linalg.inv(covariance)
        # s = own y + gain D, and s = -P y + q: what is free is D = slope y + q / gain
        slopes[k] = (-precision - call.own * np.eye(m)) / call.gain
        gains[k] = call.gain
        w = precision @ c
        quadratics.append((w, float(w @ covariance @ w)))
    final, push = walk(signature.final, K)
    law0 = np.eye(n + normals)
    law0[:n, :n] = _law(process, process.T - first)[0]
    mean = np.zeros(n)
    third = np.einsum("abc,ia,jb,kc->ijk", _third(process, first), *[final[:, :n]] * 3)
    for k, (w, level) in enumerate(quadratics):
        u = w @ states[k]
        mean += push[:, k] @ w * (u @ law0 @ u - level) / 2
        shared = final @ law0 @ u
        one = np.einsum("i,j,k->ijk", push[:, k] @ w, shared, shared)
        third += one + one.transpose(1, 0, 2) + one.transpose(1, 2, 0)
    wrong = third - _third(process, last)
    entries = [wrong[i] for i in combinations_with_replacement(range(n), 3)]
    return np.array([*mean, *entries])


def _weights(process: Process, m: int) -> Array:
    """What each score returned is of the whole one, (m, components asked at)."""
    if not fixed_target(process):
        return np.eye(m)
    parts = [process.shares[i] for i in model_of(process.model_name, "ode").driven]
    return np.array(parts, dtype=float)[:, None]


def _third(process: Process, t: float) -> Array:
    c = _law(process, process.T - t)[1]
    result: Array = np.einsum("i,j,k->ijk", c, c, c)
    return result
