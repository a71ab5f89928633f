"""Strong errors on affine scores, exactly: the error as a linear functional of one Brownian path.

For s = J(tau) z + k(tau) both the exact reverse flow and one step of a sampler are affine maps plus
integrals of kernels against the same path, so E[err err^T] = mean mean^T + integral of K(u) K(u)^T
du (Ito's isometry), with K the difference of the two kernels. The integral is a Gauss rule between
the ends of the pieces; the exact kernel is the solution of a linear differential equation. Powers
of h are read off a circle of complex h, as in oracle_errors.

The noise of a piece is what its paper prints, driven by the path: over [a, b] the exact flows (O,
L, exponential) take the integral of exp(delta(u, b) matrix) g dW, Euler and ancestral steps take g
(W(b) - W(a)) with g frozen; lambda_s scales the path of the position in O.

Nothing of the package is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import factorial
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial
from scipy.integrate import solve_ivp

from tests.oracle_tokens import read

CIRCLE, RADIUS = 16, 0.04
COMPONENTS = {"psld": "xm", "vp": "x", "langevin": "qp"}


@dataclass
class Affine:
    """A process with an affine score: `jacobian[j]`, `offset[j]` are the coefficients of (tau -
    tau0)^j.
    """

    model: str
    jacobian: list[Any]
    offset: list[Any]
    state: Any
    beta: Polynomial
    """In tau - tau0, the start of the step being tau0."""
    Gamma: float
    nu: float
    M: float
    gamma: float
    lambda_s: float

    def __post_init__(self) -> None:
        self.components = COMPONENTS[self.model]
        self.d = len(self.state) // len(self.components)
        self.h = RADIUS * np.exp(2j * np.pi * np.arange(CIRCLE) / CIRCLE)

    def blocks(self, matrix: Any) -> Any:
        return np.kron(np.array(matrix, float), np.eye(self.d))

    def pieces(self) -> dict[str, tuple[Any, Any, Any]]:
        """Letter -> linear part, score weight, noise (theory sections 1 to 3 and 8), without
        beta.
        """
        G, n, M, g = self.Gamma, self.nu, self.M, self.gamma
        table: dict[str, tuple[Any, Any, Any]]
        if self.model == "vp":
            table = {
                "E": ([[0.5]], [1], [1]), "E:exp": ([[0.5]], [1], [1]),
                "E:ddpm": ([[0.5]], [1], [1]),
                "L": ([[-0.5]], [0], [1]), "K": ([[1]], [1], [0]),
            }  # fmt: skip
        elif self.model == "langevin":
            table = {
                "E": ([[0, 1], [0, -g]], [0, 1], [0, 2 * g]),
                "A": ([[0, 1], [0, 0]], [0, 0], [0, 0]), "B": ([[0, 0], [0, 0]], [0, 1], [0, 0]),
                "O": ([[0, 0], [0, -g]], [0, 0], [0, 2 * g]),
                "O:mid": ([[0, 0], [0, -g]], [0, 0], [0, 2 * g]),
                "U": ([[0, 1], [0, -g]], [0, 0], [0, 2 * g]),
                "E:exp": ([[0, 1], [0, -g]], [0, 1], [0, 2 * g]),
            }  # fmt: skip
        else:
            table = {
                "E": ([[G / 2, -1 / (2 * M)], [0.5, n / 2]], [G, M * n], [G, M * n]),
                "E:exp": ([[G / 2, -1 / (2 * M)], [0.5, n / 2]], [G, M * n], [G, M * n]),
                "A": ([[G, -1 / (2 * M)], [0, 0]], [G, 0], [0, 0]),
                "B": ([[0, 0], [0.5, n]], [0, M * n], [0, 0]),
                "O": ([[-G / 2, 0], [0, -n / 2]], [0, 0], [G, M * n]),
                "L": ([[-G / 2, -1 / (2 * M)], [0.5, -n / 2]], [0, 0], [G, M * n]),
                "K": ([[G, 0], [0, n]], [G, M * n], [0, 0]),
            }
        return {
            letter: (self.blocks(f), self.blocks(np.diag(s)), np.repeat(np.sqrt(noise), self.d))
            for letter, (f, s, noise) in table.items()
        }

    def score(self, shift: Any) -> tuple[Any, Any]:
        """Jacobian and offset at forward times tau0 - shift (an array over the circle)."""
        powers = [(-shift) ** j for j in range(len(self.jacobian))]
        return (
            sum(
                p[:, None, None] * np.asarray(j) for p, j in zip(powers, self.jacobian, strict=True)
            ),
            sum(p[:, None] * np.asarray(k) for p, k in zip(powers, self.offset, strict=True)),
        )


EXACT = ("O", "L", "U", "E:exp")


def strong_error(p: Affine, word: str, highest: int = 3) -> dict[int, Any]:
    """Coefficients of h^1..h^highest of E[err err^T], err = exact minus scheme on one path."""
    tokens = [(t, *read(t)) for t in word.split()]
    pieces, ends = p.pieces(), {Fraction(0), Fraction(1)}
    clocks: dict[str, Fraction] = {}
    for _, letter, rule, _, part, _ in tokens:
        clocks[letter] = clocks.get(letter, Fraction(0)) + part
        if letter != "S" and pieces[letter + rule][2].any():
            ends.add(clocks[letter])
    u, w = gauss(sorted(e - shift for e in ends for shift in (0, 1)))
    size = len(p.state)
    mean = np.broadcast_to(np.asarray(p.state, complex), (CIRCLE, size))
    kernel = np.zeros((CIRCLE, len(u), size, size), complex)
    held: Any = None

    def go(mean: Any, kernel: Any, held: Any, origin: int, first: int) -> tuple[Any, Any, Any]:
        clocks: dict[str, Fraction] = {}
        base, slopes, counting = (mean, kernel), list[tuple[Any, Any]](), False
        for i, (_, letter, rule, at, part, row) in enumerate(tokens):
            begun = clocks.get(letter, Fraction(0))
            clocks[letter] = begun + part
            if i < first:
                continue
            if letter == "S":
                jacobian, offset = p.score(p.h * (origin + float(at)))
                held = (jacobian @ mean[..., None])[..., 0] + offset, jacobian[:, None] @ kernel
                if "K[" in word:  # a Runge-Kutta step of K, at the rates of its evaluations
                    base, slopes = (base, slopes) if counting else ((mean, kernel), [])
                    counting = True
                    own, gain, _ = pieces["K"]
                    rate = (p.h * p.beta(-(origin + float(at)) * p.h))[:, None]
                    at_mean = (own @ mean[..., None] + gain @ held[0][..., None])[..., 0]
                    at_kernel = own @ kernel + gain @ held[1]
                    slopes.append((rate * at_mean, rate[..., None, None] * at_kernel))
                continue
            if row:
                mean, kernel = (
                    base[k] + sum(float(w) * s[k] for w, s in zip(row, slopes, strict=True))
                    for k in (0, 1)
                )
                continue
            counting = False
            matrix, weight, g = pieces[letter + rule]
            start, stop = origin + float(begun), origin + float(begun + part)
            inside = (u > start) & (u < stop)
            frozen = p.h * float(part) * p.beta(-origin * p.h)
            if letter + rule in EXACT:
                b = p.beta.integ()
                whole = b(-start * p.h) - b(-stop * p.h)
                rest = b(-u[None] * p.h[:, None]) - b(-stop * p.h)[:, None]
                root = np.sqrt(p.beta(-u[None] * p.h[:, None]))
                keep, gain = flow(matrix, whole)
                new = flow(matrix, rest)[0] * (root[..., None, None] * g)
            else:
                gain = frozen[:, None, None] * np.eye(size)
                keep = np.eye(size) + gain @ matrix
                if rule == ":ddpm":
                    keep = np.eye(size) / np.sqrt(1 - frozen)[:, None, None]
                    gain = keep * frozen[:, None, None]
                root = np.sqrt(p.beta(-origin * p.h))[:, None, None, None]
                new = np.broadcast_to(root * np.diag(g), kernel.shape)
                if rule == ":mid":
                    middle = np.linalg.inv(np.eye(size) - gain @ matrix / 2)
                    keep, gain = middle @ (np.eye(size) + gain @ matrix / 2), middle @ gain
                    new = middle[:, None] @ new
            if letter == "O" and p.model == "psld":
                new = new * np.sqrt(np.repeat([p.lambda_s, 1.0], p.d))
            score = np.zeros_like(mean), np.zeros_like(kernel)
            score = score if held is None else held
            gain = gain @ weight
            mean = (keep @ mean[..., None] + gain @ score[0][..., None])[..., 0]
            kernel = keep[:, None] @ kernel + gain[:, None] @ score[1]
            kernel = kernel + new * inside[None, :, None, None]
        return mean, kernel, held

    last = max(i for i, t in enumerate(tokens) if t[1] == "S")
    if any(
        letter in word[: word.index("S")] for letter in ("BKEA" if p.model == "psld" else "BKE")
    ):
        mean, kernel, held = go(mean, kernel, held, -1, last)
    truth = exact(p, mean, kernel, u)
    mean, kernel, _ = go(mean, kernel, held, 0, 0)
    e, k = truth[0] - mean, truth[1] - kernel
    square = e[:, :, None] * e[:, None, :] + p.h[:, None, None] * np.einsum(
        "j,hjab,hjcb->hac", w, k, k
    )
    values = np.fft.fft(square, axis=0) / CIRCLE
    return {n: (values[n] / RADIUS**n).real for n in range(1, highest + 1)}


def gauss(ends: list[Fraction]) -> tuple[Any, Any]:
    """Nodes and weights of Gauss rules between consecutive ends."""
    x, w = np.polynomial.legendre.leggauss(4)
    intervals = [(float(a), float(b)) for a, b in pairwise(ends) if b > a]
    u = np.concatenate([(a + b) / 2 + (b - a) / 2 * x for a, b in intervals])
    return u, np.concatenate([(b - a) / 2 * w for a, b in intervals])


def flow(matrix: Any, clock: Any) -> tuple[Any, Any]:
    """exp(clock matrix) and the integral of exp over the clock, by their power series: clocks are
    small.
    """
    clock = np.asarray(clock)[..., None, None]
    power: Any = np.eye(len(matrix))
    keep: Any = 0
    gain: Any = 0
    for k in range(12):
        keep = keep + clock**k / factorial(k) * power
        gain = gain + clock ** (k + 1) / factorial(k + 1) * power
        power = power @ matrix
    return keep, gain


def exact(p: Affine, mean: Any, kernel: Any, u: Any) -> tuple[Any, Any]:
    """Mean and kernel after one step of the reverse SDE, from psi(v) = flow from v to 1.

    psi' = -psi A and, for the offset, q' = -psi b, from v = 1 (psi = I, q = 0) back to 0.
    """
    size = len(p.state)
    matrix, weight, g = p.pieces()["E"]

    def slope(v: float, y: Any) -> Any:
        psi = y.reshape(CIRCLE, size, size + 1)[..., :size]
        jacobian, offset = p.score(p.h * v)
        rate = (p.h * p.beta(-v * p.h))[:, None, None]
        drift = rate * np.concatenate(
            [matrix + weight @ jacobian, (weight @ offset[..., None])], axis=-1
        )
        return -(psi @ drift).ravel()

    start = np.tile(np.eye(size, size + 1, dtype=complex), (CIRCLE, 1, 1)).ravel()
    inside = np.flatnonzero(u > 0)[::-1]
    times = [*u[inside], 0.0]
    solution = solve_ivp(
        slope, (1, 0), start, "DOP853", times, rtol=1e-13, atol=1e-15, max_step=0.25
    )
    psi = np.moveaxis(solution.y, 1, 0).reshape(len(times), CIRCLE, size, size + 1)
    whole = psi[-1]
    after = (whole[..., :size] @ mean[..., None])[..., 0] + whole[..., size]
    new = whole[:, None, :, :size] @ kernel
    for row, index in zip(psi, inside, strict=False):
        root = np.sqrt(p.beta(-u[index] * p.h))[:, None, None]
        new[:, index] += row[..., :size] * root * g
    return after, new
