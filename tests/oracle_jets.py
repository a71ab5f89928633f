"""Named samplers in exact rational arithmetic: an oracle without a float in it.

The score is a random polynomial with rational coefficients about the point where the step starts,
so its derivatives there are arbitrary numbers: an identity that holds for them holds for any smooth
score. Each sampler is spelled as its paper prints it, in one dimension; h = r^2, noise is r times a
symbol whose moments follow from Isserlis' formula, and everything beyond r^4 = h^2 is dropped.

Nothing of the package is imported.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from math import factorial
from typing import Any

from sympy import QQ
from sympy.polys.rings import ring

TOP = 4
"""Powers of r kept."""
R, r, *NOISE = ring("r,a0,b0,a1,b1,a2,b2", QQ)
P, X, Y, T = ring("X,Y,T", QQ)
"""Scores and test functions: polynomials in x - x0, m - m0 and forward time tau - tau0."""


def cut(p: Any) -> Any:
    return R({powers: c for powers, c in p.terms() if powers[0] <= TOP})


def mul(p: Any, q: Any) -> Any:
    return cut(p * q)


def series(factors: Callable[[int], Any], delta: Any) -> Any:
    """sum of factors(k) delta^k for a delta of order h."""
    return cut(R(factors(0)) + factors(1) * delta + factors(2) * mul(delta, delta))


def exp(p: Any) -> Any:
    return series(lambda k: Fraction(1, factorial(k)), p)


def at(polynomial: Any, x: Any, m: Any, tau: Any) -> Any:
    """The polynomial at increments x, m, tau, by powers."""
    total = R(0)
    for (i, j, k), c in polynomial.terms():
        term = R(c)
        for base, power in ((x, i), (m, j), (tau, k)):
            for _ in range(power):
                term = mul(term, base)
        total += term
    return total


class Process:
    """Random rational parameters, score, beta and starting point of PSLD or VP."""

    def __init__(self, seed: int) -> None:
        draw = random.Random(seed)

        def number() -> Fraction:
            return Fraction(draw.randint(-9, 9) or 5, draw.randint(1, 5))

        self.Gamma, self.nu, self.M, self.lambda_s = (abs(number()) for _ in range(4))
        self.x, self.m = number(), number()
        self.beta = [abs(number()), number(), number(), number()]
        """Taylor coefficients in tau - tau0."""
        powers = [
            (i, j, k) for i in range(4) for j in range(4) for k in range(3) if i + j + 2 * k <= 4
        ]

        def score() -> Any:
            return P({power: QQ(*number().as_integer_ratio()) for power in powers})

        self.sx, self.sm = score(), score()


class Step:
    """One step from (x, m), in increments; `moments` of the noise drawn so far."""

    def __init__(self, p: Process, model: str) -> None:
        self.p, self.model = p, model
        self.x, self.m = R(p.x), R(p.m)
        self.b = r**2 * p.beta[0]
        self.moments: list[tuple[Any, Any, Any]] = []
        self.sx = self.sm = R(0)

    def clock(self, start: Fraction, stop: Fraction) -> Any:
        """The integral of beta from reverse time t + start h to t + stop h."""
        beta = self.p.beta
        return sum(
            r ** (2 * k + 2) * beta[k] * (-1) ** k * (stop ** (k + 1) - start ** (k + 1)) / (k + 1)
            for k in range(2)
        )

    def S(self, time: int = 0) -> Step:
        self.sx = at(self.p.sx, self.x - self.p.x, self.m - self.p.m, -time * r**2)
        self.sm = at(self.p.sm, self.x - self.p.x, self.m - self.p.m, -time * r**2)
        return self

    def draw(self, xx: Any, xm: Any, mm: Any) -> Step:
        """Add (a, b) with the given covariance."""
        a, b = NOISE[2 * len(self.moments) : 2 * len(self.moments) + 2]
        self.moments.append((xx, xm, mm))
        self.x, self.m = self.x + r * a, self.m + r * b
        return self

    def A(self, c: Fraction = Fraction(1), k: int = 2) -> Step:
        p = self.p
        drift = k * p.Gamma * self.x - self.m / p.M + k * p.Gamma * self.sx
        self.x = cut(self.x + c * mul(self.b / 2, drift))
        return self

    def B(self, c: Fraction = Fraction(1), k: int = 2) -> Step:
        p = self.p
        drift = self.x + k * p.nu * self.m + k * p.M * p.nu * self.sm
        self.m = cut(self.m + c * mul(self.b / 2, drift))
        return self

    def E(self, k: int = 2) -> Step:
        p, x = self.p, self.x
        if self.model == "vp":
            self.x = cut(x + mul(self.b / 2, x + k * self.sx))
            if k == 2:
                self.draw(R(p.beta[0]), R(0), R(0))
            return self
        self.x, self.m = (
            cut(x + mul(self.b / 2, p.Gamma * x - self.m / p.M + k * p.Gamma * self.sx)),
            cut(self.m + mul(self.b / 2, x + p.nu * self.m + k * p.M * p.nu * self.sm)),
        )
        if k == 2:
            self.draw(R(p.beta[0] * p.Gamma), R(0), R(p.beta[0] * p.M * p.nu))
        return self

    def O(self) -> Step:  # noqa: E743 - the paper's letter
        p, delta = self.p, self.clock(Fraction(0), Fraction(1))
        self.x = mul(exp(-delta * p.Gamma / 2), self.x)
        self.m = mul(exp(-delta * p.nu / 2), self.m)
        xx, mm = 1 - exp(-p.lambda_s * delta * p.Gamma), p.M * (1 - exp(-delta * p.nu))
        return self.draw(over_h(xx), R(0), over_h(mm))

    def L(self, start: Fraction, stop: Fraction) -> Step:
        p, delta = self.p, self.clock(start, stop)
        if self.model == "vp":
            self.x = mul(exp(-delta / 2), self.x)
            self.draw(over_h(1 - exp(-delta)), R(0), R(0))
            return self
        (a, b), (c, d) = (-p.Gamma / 2, -1 / (2 * p.M)), (Fraction(1, 2), -p.nu / 2)
        square = (a * a + b * c, a * b + b * d, c * a + d * c, c * b + d * d)
        powers = zip((1, 0, 0, 1), (a, b, c, d), [entry / 2 for entry in square], strict=True)
        f = [series(list(entries).__getitem__, delta) for entries in powers]
        self.x, self.m = (
            mul(f[0], self.x) + mul(f[1], self.m),
            mul(f[2], self.x) + mul(f[3], self.m),
        )
        self.draw(
            over_h(1 - mul(f[0], f[0]) - p.M * mul(f[1], f[1])),
            over_h(-mul(f[0], f[2]) - p.M * mul(f[1], f[3])),
            over_h(p.M - mul(f[2], f[2]) - p.M * mul(f[3], f[3])),
        )
        return self

    def K(self) -> Step:
        p = self.p
        if self.model == "vp":
            self.x = cut(self.x + mul(self.b, self.sx + self.x))
            return self
        self.x = cut(self.x + p.Gamma * mul(self.b, self.sx + self.x))
        self.m = cut(self.m + p.M * p.nu * mul(self.b, self.sm + self.m / p.M))
        return self

    def exponential(self, k: int = 2) -> Step:
        """Score frozen, everything else exact: dx = (x/2 + s) delta + dW(delta)."""
        delta = self.clock(Fraction(0), Fraction(1))
        self.x = mul(exp(delta / 2), self.x) + k * mul(exp(delta / 2) - 1, self.sx)
        if k == 2:
            self.draw(over_h(exp(delta) - 1), R(0), R(0))
        return self

    def ancestral(self) -> Step:
        """x = (x + b s) / sqrt(1 - b) + sqrt(b) xi."""
        root = series(lambda k: [1, Fraction(1, 2), Fraction(3, 8)][k], self.b)
        self.x = mul(root, self.x + mul(self.b, self.sx))
        self.draw(R(self.p.beta[0]), R(0), R(0))
        return self

    def mean(self, p: Any) -> Any:
        """Average over the noise (Isserlis), as a polynomial in r."""
        total = R(0)
        for powers, c in p.terms():
            term = R({(powers[0], *[0] * len(NOISE)): c})
            for i, (xx, xm, mm) in enumerate(self.moments):
                term = mul(term, _moment(powers[1 + 2 * i], powers[2 + 2 * i], xx, xm, mm))
            total += term
        return cut(total)


def over_h(p: Any) -> Any:
    return R({(powers[0] - 2, *powers[1:]): c for powers, c in p.terms()})


def _moment(i: int, j: int, xx: Any, xm: Any, mm: Any) -> Any:
    """E[a^i b^j] of centred Gaussians, by Isserlis' recursion."""
    if (i + j) % 2 or i < 0 or j < 0:
        return R(0)
    if i == j == 0:
        return R(1)
    if i:
        return (i - 1) * xx * _moment(i - 2, j, xx, xm, mm) + j * xm * _moment(
            i - 1, j - 1, xx, xm, mm
        )
    return (j - 1) * mm * _moment(i, j - 2, xx, xm, mm)


HALF = Fraction(1, 2)
SAMPLERS: dict[tuple[str, str, str], Callable[[Step], Step]] = {
    ("psld", "ode", "Euler"): lambda z: z.S().E(k=1),
    ("psld", "ode", "NSE"): lambda z: z.S().B(k=1).S().A(k=1),
    ("psld", "ode", "RSE"): lambda z: z.S().B(k=1).A(k=1),
    ("psld", "ode", "NVV"): lambda z: z.S().B(HALF, 1).S().A(k=1).S().B(HALF, 1),
    ("psld", "ode", "RVV"): lambda z: z.S().B(HALF, 1).A(k=1).S(1).B(HALF, 1),
    ("psld", "sde", "EM"): lambda z: z.S().E(),
    ("psld", "sde", "SSCS"): lambda z: z.L(HALF * 0, HALF).S().K().L(HALF, HALF * 2),
    ("psld", "sde", "NOBA"): lambda z: z.O().S().B().S().A(),
    ("psld", "sde", "ROBA"): lambda z: z.O().S().B().A(),
    ("psld", "sde", "NBAO"): lambda z: z.S().B().S().A().O(),
    ("psld", "sde", "RBAO"): lambda z: z.S().B().A().O(),
    ("psld", "sde", "NOBAB"): lambda z: z.O().S().B(HALF).S().A().S().B(HALF),
    ("psld", "sde", "ROBAB"): lambda z: z.O().S().B(HALF).A().S(1).B(HALF),
    ("vp", "ode", "Euler"): lambda z: z.S().E(k=1),
    ("vp", "sde", "EM"): lambda z: z.S().E(),
    ("vp", "sde", "EI"): lambda z: z.S().exponential(),
    ("vp", "sde", "DDPM"): lambda z: z.S().ancestral(),
    ("vp", "sde", "SSCS"): lambda z: z.L(HALF * 0, HALF).S().K().L(HALF, HALF * 2),
}


def error(process: Process, key: tuple[str, str, str], phi: Any) -> dict[int, Any]:
    """Coefficients of h and h^2 of exact minus scheme in E phi; phi a polynomial in X, Y."""
    model, dynamics, _ = key
    z = SAMPLERS[key](Step(process, model))
    scheme = z.mean(at(phi, z.x - process.x, z.m - process.m, R(0)))
    by_power = {k: scheme.coeff(r ** (2 * k)) if k else 0 for k in (1, 2)}
    true, term = {}, phi
    for k in (1, 2):
        term = generator(process, model, dynamics, term)
        true[k] = term.coeff(1) / factorial(k)
    return {k: true[k] - by_power[k] for k in (1, 2)}


def generator(p: Process, model: str, dynamics: str, phi: Any) -> Any:
    """-phi_tau + grad phi . drift + 1/2 tr(D Hess phi)."""
    q = {name: QQ(*getattr(p, name).as_integer_ratio()) for name in ("Gamma", "nu", "M", "x", "m")}
    beta = sum(QQ(*c.as_integer_ratio()) * T**k for k, c in enumerate(p.beta))
    x, m, k = X + q["x"], Y + q["m"], 2 if dynamics == "sde" else 1
    if model == "vp":
        drifts, noises = [(x + k * p.sx) / 2], [1]
    else:
        drifts = [
            (q["Gamma"] * x - m / q["M"] + k * q["Gamma"] * p.sx) / 2,
            (x + q["nu"] * m + k * q["M"] * q["nu"] * p.sm) / 2,
        ]
        noises = [q["Gamma"], q["M"] * q["nu"]]
    total = -phi.diff(T)
    for v, f, g in zip((X, Y), drifts, noises, strict=False):
        total += beta * f * phi.diff(v)
        if dynamics == "sde":
            total += beta * g * phi.diff(v).diff(v) / 2
    return total


def field(process: Process, phi: Any) -> Callable[..., Any]:
    """Derivatives of the scores and of phi at the starting point, along scalar directions."""
    functions = {"sx": process.sx, "s": process.sx, "sm": process.sm, "phi": phi}

    def derivative(name: str, j: int, directions: Any) -> Any:
        powers = [sum(c == v for c, _ in directions) for v in "xm"] + [j]
        value = functions[name]
        for v, power in zip((X, Y, T), powers, strict=True):
            for _ in range(power):
                value = value.diff(v)
        constant = value.coeff(1)
        result = Fraction(int(constant.numerator), int(constant.denominator))
        for _, direction in directions:
            result = result * direction
        return result

    return derivative
