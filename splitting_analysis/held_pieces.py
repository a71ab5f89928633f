"""Closed forms of splittings whose pieces hold a prediction: in differentials of that prediction.

With P what is held, beta s = A z + B P, and A and B move in time: of data A = -beta/sigma^2 and B =
beta alpha/sigma^2. So the drift is linear in z and P, which takes the place of the score: exact
flow and scheme are expanded in derivatives of P. What A and B are made of is closed under
derivatives in time, so that the coefficients stay polynomials:

    alpha, 1/sigma, 1/(alpha^2 + sigma^2)          of positions alone
    mu, what multiplies x_0 in z, and Sigma^-1     of psld
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise
from math import factorial
from typing import Any

from splitting_analysis.algebra import algebra
from splitting_analysis.conjugate_rule import series_at, series_flow, series_times
from splitting_analysis.models import Model, Piece
from splitting_analysis.predictions import Prediction
from splitting_analysis.program import Advance

NAMES = {
    Prediction.DATA: "D",
    Prediction.EPS: "epsilon",
    Prediction.VELOCITY: "u",
    Prediction.V: "v",
    Prediction.SCORE: "s",
}
"""What a prediction is called in formulas."""
MOST = 4
"""The highest power of h that errors of such words are derived to."""
Matrix = list[list[Any]]


@dataclass(frozen=True, eq=False)
class Told:
    """What is held in the pieces of a word of `model`, and what that says of the score."""

    model: Model
    held: Prediction

    @property
    def name(self) -> str:
        return NAMES[self.held]

    def _rates(self) -> dict[str, Any]:
        """Derivatives in forward time of what the coefficients are made of."""
        a = algebra()
        beta, found = a.betas[0], dict[str, Any]()
        for derivatives in (a.betas, a.fadings):
            found |= {str(low): high for low, high in pairwise(derivatives)}
        if self.model.name == "psld":
            p, half = a.p, a.number(Fraction(1, 2))
            x, m = a.element("mu_x"), a.element("mu_m")
            xx, xm, mm = (a.element(name) for name in ("P_xx", "P_xm", "P_mm"))
            f = [[-p.Gamma * half, p.iM * half], [-half * a.one, -p.nu * half]]
            g = [p.Gamma, p.M * p.nu]
            inverse = [[xx, xm], [xm, mm]]
            n = range(2)

            def rate(i: int, j: int) -> Any:
                turned = sum(inverse[i][k] * f[k][j] + f[k][i] * inverse[k][j] for k in n)
                pulled = sum(inverse[i][k] * g[k] * inverse[k][j] for k in n)
                return -beta * (turned + pulled)

            found |= {"mu_x": beta * (f[0][0] * x + f[0][1] * m)}
            found |= {"mu_m": beta * (f[1][0] * x + f[1][1] * m)}
            found |= {"P_xx": rate(0, 0), "P_xm": rate(0, 1), "P_mm": rate(1, 1)}
            return found
        fades = self._fades()
        alpha, q, size = (a.element(name) for name in ("alpha", "isigma", "isize"))
        found["alpha"] = -fades * alpha
        found["isigma"] = fades * q - beta * q**3 * a.number(Fraction(1, 2))
        found["isize"] = 2 * fades * size - beta * size**2
        return found

    def _fades(self) -> Any:
        """-alpha'/alpha."""
        a = algebra()
        halved = a.betas[0] * a.number(Fraction(1, 2))
        return {"vp": halved, "ve": a.ring.zero}.get(self.model.name, a.fadings[0])

    def derivative(self, element: Any) -> Any:
        """d/dtau of a coefficient."""
        a, total = algebra(), algebra().ring.zero
        for name, rate in _table(self).items():
            change = element.diff(a.element(name))
            if change:
                total += change * rate
        return a.reduce(total)

    def drift(self, piece: Piece) -> tuple[Matrix, list[Any]]:
        """(M, c) of the piece's drift M z + c P at the base point."""
        a = algebra()
        p, own, gain = a.p, *self.score()
        linear, weights = piece.linear(p), piece.score(p)
        n = range(len(linear))
        matrix = [[a.betas[0] * linear[i][j] + weights[i] * own[i][j] for j in n] for i in n]
        if piece.fading:
            matrix[0][0] += a.number(piece.fading) * a.fadings[0]
        return matrix, [weights[i] * gain[i] for i in n]

    def score(self) -> tuple[Matrix, list[Any]]:
        """(A, B) of beta s = A z + B P at the base point."""
        a = algebra()
        beta = a.betas[0]
        if self.model.name == "psld":
            xx, xm, mm = (a.element(name) for name in ("P_xx", "P_xm", "P_mm"))
            inverse, mu = [[xx, xm], [xm, mm]], [a.element("mu_x"), a.element("mu_m")]
            n = range(2)
            pull = [beta * sum(inverse[i][k] * mu[k] for k in n) for i in n]
            return [[-beta * inverse[i][j] for j in n] for i in n], pull
        alpha, q, size = (a.element(name) for name in ("alpha", "isigma", "isize"))
        fades = self._fades()
        own, gain = {
            Prediction.DATA: (-beta * q**2, beta * alpha * q**2),
            Prediction.EPS: (a.ring.zero, -beta * q),
            Prediction.SCORE: (a.ring.zero, beta),
            Prediction.VELOCITY: (-2 * fades, -2 * a.one),
            Prediction.V: (-beta * size, -beta * alpha * q * size),
        }[self.held]
        return [[own]], [gain]

    def taylor(self, element: Any, offset: Fraction, terms: int) -> list[Any]:
        """A coefficient at forward time tau - offset h, as coefficients of h^0, h^1, ..."""
        a, found = algebra(), []
        for k in range(terms):
            found.append(element * a.number(Fraction((-offset) ** k if k else 1, factorial(k))))
            element = self.derivative(element) if element else element
        return found

    def transition(
        self, op: Advance, origin: int, terms: int
    ) -> tuple[list[list[list[Any]]], list[list[Any]]]:
        """K and G of z <- K z + G P through h^terms, series in h, in the step from `origin` on."""
        matrix, force = self.drift(op.piece)
        n = range(len(matrix))
        series = [[self.taylor(entry, Fraction(1), terms) for entry in row] for row in matrix]
        moved = [[[series[i][j][k] for j in n] for i in n] for k in range(terms)]
        pulls = [self.taylor(entry, Fraction(1), terms) for entry in force]
        pulled = [[[pulls[i][k] if j == 0 else 0 for j in n] for i in n] for k in range(terms)]
        growth, undone = series_flow(moved, terms)
        inner = series_times(undone, pulled, terms - 1)
        start, stop = op.start + origin, op.stop + origin
        number = algebra().number
        integral = [[[0 for _ in n] for _ in n]] + [
            [
                [entry * number((stop ** (k + 1) - start ** (k + 1)) / (k + 1)) for entry in row]
                for row in inner[k]
            ]
            for k in range(terms)
        ]
        end = series_at(growth, stop)
        keep = series_times(end, series_at(undone, start), terms)
        gain = series_times(end, integral, terms)
        return (
            [[[m[i][j] for m in keep] for j in n] for i in n],
            [[m[i][0] for m in gain] for i in n],
        )


@cache
def _table(told: Told) -> dict[str, Any]:
    return told._rates()


@cache
def told_of(model: Model, held: Prediction) -> Told:
    """The one of its kind, so that what it derives is kept."""
    return Told(model, held)
