"""Code that draws its own random numbers: its law from samples, with what chance leaves open."""

from __future__ import annotations

from typing import Any

import numpy as np

from analytic_models.probing.checks import Check
from analytic_models.probing.law import TARGET, affine_score, exact, output_law, starting
from analytic_models.probing.manners import seed_all
from analytic_models.probing.orders import evenly
from analytic_models.probing.reference import subject_for
from analytic_models.probing.running import Array, run
from analytic_models.probing.signature import sizes
from analytic_models.probing.subject import Subject
from splitting_analysis.processes import Process
from splitting_analysis.schemes import Scheme

SAMPLES = 40_000
COARSE, FINE = 8, 64
HUGE = 1e100
"""Where squares leave float64."""
LIKELY, UNLIKELY = 4.0, 5.5
"""Standard errors within which a number agrees, and beyond which it does not."""


def noisy_law(
    subject: Subject, process: Process, scheme: Scheme | None, lambda_s: Any
) -> list[Check]:
    """Mean and covariance on a Gaussian target: against the claimed word's, and the exact ones."""
    grid = subject.grid or evenly(process)
    checks = []
    if scheme is not None:
        times = grid(COARSE)
        law = output_law(subject_for(scheme, lambda_s=lambda_s), process, times)
        name = f"its law after {COARSE} steps is that of the claimed word"
        checks.append(compared(name, _samples(subject, process, times), law.mean, law.covariance))
    times = grid(FINE)
    mean, covariance = exact(process, times, stochastic=True)
    found = _samples(subject, process, times)
    name = f"its law after {FINE} steps is near the exact one"
    slack = 0.1 if scheme is None else 0.02
    if scheme is not None:
        law = output_law(subject_for(scheme, lambda_s=lambda_s), process, times)
        mean, covariance = law.mean, law.covariance
        name = f"its law after {FINE} steps is that of the claimed word"
    checks.append(compared(name, found, mean, covariance, slack if scheme is None else 0.0))
    return checks


def _samples(subject: Subject, process: Process, times: Any) -> Array:
    n, asked, m = sizes(process)
    d = len(TARGET.variances)
    rng = np.random.default_rng(21)
    seed_all(21)
    mean, covariance = starting(process, times[0])
    roots = np.linalg.cholesky(covariance)
    z = mean.T + np.einsum("dij,bjd->bid", roots, rng.normal(size=(SAMPLES, n, d)))

    def score(_: int, y: Array, tau: float) -> Array:
        return affine_score(process, TARGET, y.reshape(SAMPLES, asked, d), tau).reshape(
            SAMPLES, m * d
        )

    done = run(
        subject,
        process,
        times,
        z.reshape(SAMPLES, n * d),
        score,
        lambda _: rng.normal(size=(SAMPLES, n * d)),
        limit=40,
    )
    return done.final.reshape(SAMPLES, n, d)


def compared(
    name: str, samples: Array, mean: Array, covariance: Array, slack: float = 0.0
) -> Check:
    """The moments of samples against what they should be, the worst in standard errors."""
    worst, text, wanted = 0.0, "", ""
    if (largest := float(np.max(np.abs(samples)))) > HUGE:
        return Check(
            name, "fail", "states of the size of the data", f"states as large as {largest:.2g}"
        )
    for mode in range(samples.shape[2]):
        own = samples[:, :, mode]
        centred = own - own.mean(axis=0)
        for i in range(samples.shape[1]):
            size = np.sqrt(covariance[mode, i, i])
            error = own[:, i].std() / np.sqrt(len(own))
            off = max(0.0, abs(own[:, i].mean() - mean[mode, i]) - slack * size) / error
            if off > worst:
                worst = off
                text = (
                    f"mean of component {i + 1}, mode {mode}: {own[:, i].mean():.4g} +- {error:.2g}"
                )
                wanted = f"{mean[mode, i]:.4g}"
            for j in range(i, samples.shape[1]):
                products = centred[:, i] * centred[:, j]
                error = products.std() / np.sqrt(len(own))
                scale = np.sqrt(covariance[mode, i, i] * covariance[mode, j, j])
                gap = abs(products.mean() - covariance[mode, i, j]) - slack * scale
                if max(0.0, gap) / error > worst:
                    worst = gap / error
                    text = (
                        f"covariance of components {i + 1} and {j + 1}, mode {mode}: "
                        f"{products.mean():.4g} +- {error:.2g}"
                    )
                    wanted = f"{covariance[mode, i, j]:.4g}"
    where = f"{len(samples):,} samples, one standard error behind +-"
    if worst <= LIKELY:
        return Check(name, "pass", seen=f"all moments within {worst:.1f} standard errors")
    verdict = "inconclusive" if worst < UNLIKELY else "fail"
    return Check(name, verdict, wanted, text, where)  # type: ignore[arg-type]
