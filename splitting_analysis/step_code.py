"""A word as Python code of the protocol of `validate`: one step, or a whole run where the score is
carried from step to step.

The code is read from the pieces of the model, as the engine's is, and stands on its own: it takes
what it needs to know of the process from `model`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, assert_never

import sympy

from splitting_analysis.code_lines import grouped, indented, share_of, shifted, spelled, summed
from splitting_analysis.fading_code import faded_lines, frozen_fading
from splitting_analysis.held_code import held_code
from splitting_analysis.models import Piece, Rule
from splitting_analysis.program import Advance, Evaluate, Hold, Row
from splitting_analysis.schemes import Scheme
from splitting_analysis.symbols import ones

FORMATS = ("python", "torch")
"""NumPy arrays, or tensors."""
STACK = {"python": "np.hstack", "torch": "torch.hstack"}
FLOW = '''
def flow(linear, score, noise, delta):
    """What the flow of dz = (linear z + score s) + noise over delta does: to z, s and normals."""
    n, F = len(linear), np.array(linear, dtype=float)
    halvings = max(0, int(np.frexp(delta * np.abs(F).max())[1]))
    block, part = np.zeros((2 * n, 2 * n)), delta / 2**halvings
    block[:n, :n], block[:n, n:] = F, np.eye(n)
    gain = expm(part * block)[:n, n:] * np.array(score, dtype=float)
    block[:n, :n], block[:n, n:], block[n:, n:] = -F, np.diag(noise), F.T
    moved = expm(part * block)
    keep = moved[n:, n:].T
    spread = keep @ moved[:n, n:]
    for _ in range(halvings):
        gain, spread, keep = gain + keep @ gain, spread + keep @ spread @ keep.T, keep @ keep
    values, vectors = np.linalg.eigh(spread)
    root = vectors * np.sqrt(np.maximum(values, 0))
    return keep.tolist(), gain.tolist(), root.tolist()
'''
"""Of pieces that couple positions and momenta (Van Loan 1978, over a part of delta in which nothing
grows by much, and that doubled); its matrices are 2 by 2."""


def step_code(scheme: Scheme, style: str = "python", lambda_s: Fraction | None = None) -> str:
    """The scheme as a Python file. Raises ValueError for what is no such step."""
    program = scheme.program
    if program.holds:
        return held_code(scheme, style)
    if program.conjugates or program.held_piece:
        what = "takes conjugate steps" if program.conjugates else "holds a prediction in a piece"
        raise ValueError(
            f"{scheme.name}: {scheme.again} {what}: its coefficients are integrals over each step. "
            'Code is written for words of the other letters, such as "O S B A" or "S E:data"; '
            "others run as they are, by splitting-analysis sample"
        )
    if scheme.in_clock != "tau":
        raise ValueError(
            f"{scheme.name}: {scheme.again} runs in the clock {scheme.in_clock}: code is written "
            "for splittings in forward time; others run as they are, in a notebook's sa.sample"
        )
    body = _Writer(scheme, style, lambda_s).written()
    head = [f'"""{_title(scheme)}', "", *_told(scheme, style), '"""', ""]
    return "\n".join([*head, *_imports(body), "", *body]) + "\n"


def _title(scheme: Scheme) -> str:
    kind = "a whole run" if scheme.carries_score else "one step"
    name = "" if scheme.name == str(scheme.word) else f"{scheme.name} = "
    return f"{name}{scheme.word} as {kind} ({scheme.model_name}, {scheme.dynamics})."


def _told(scheme: Scheme, style: str) -> list[str]:
    d = "(batch, d)" if len(scheme.model.components) == 1 else "(batch, 2 d), positions first"
    q = "q" if _is_force(scheme) else "z"
    of_q = " at positions (batch, d)" if q == "q" else ""
    of_q += ": the fast force, then the slow one" * bool(scheme.model.acts)
    kind = "a tensor" if style == "torch" else "an array"
    return [
        f"z             {kind} {d}",
        f"score({q}, tau) the score at forward time tau = T - t{of_q}",
        "noise()       fresh standard normals like z",
        "model         the process: its parameters, beta(tau), clock(t, length) = integral of beta",
    ]


def _is_force(scheme: Scheme) -> bool:
    """Whether the score is that of the positions alone, a force or two, which moves the momenta."""
    return "" in scheme.model.scores or bool(scheme.model.acts)


def _imports(body: list[str]) -> list[str]:
    """What the lines of the code use, and no more."""
    text = "\n".join(body)
    used = [name for name in ("exp", "expm1", "log", "sqrt") if re.search(rf"\b{name}\(", text)]
    lines = [f"from math import {', '.join(used)}", ""] if used else []
    others = {
        "import numpy as np": "np.",
        "import torch": "torch.",
        "from scipy.linalg import expm": "expm(",
    }
    ours = [line for line, sign in others.items() if sign in text]
    return [*lines, *ours, ""] if ours else lines


class _Writer:
    """The lines of one word."""

    def __init__(self, scheme: Scheme, style: str, lambda_s: Fraction | None) -> None:
        self.scheme, self.stack = scheme, STACK[style]
        self.lambda_s = _scale(scheme, lambda_s)
        names = scheme.model.components
        self.names = names
        self.vector = len(names) > 1
        self.scores = [f"s{n}" if self.vector else "s" for n in names]
        self.force = _is_force(scheme)
        self.forces = ["fast", "slow"] if scheme.model.acts else []
        if self.force:
            self.scores = ["", "f"]
        self.normals = [f"xi_{n}" for n in names] if self.vector else ["xi"]
        known = {name: sympy.Symbol(name, positive=True) for name in vars(ones())}
        known["half"], known["iM"] = sympy.Rational(1, 2), 1 / known["M"]
        self.parameters = type("p", (), known)
        self.lines: list[str] = []
        self.stages = 0
        self.moving: list[str] = []

    def written(self) -> list[str]:
        """The function, with its helper where it needs one."""
        scheme, program = self.scheme, self.scheme.program
        for op, token in zip(program.instructions, scheme.word, strict=True):
            self.lines.append(f"# {token}")
            self.instruction(op)
        helper = FLOW.strip("\n").split("\n") + ["", ""] if self.used("flow") else []
        step = [*self.frozen(), *self.lines]
        if not scheme.carries_score:
            head = "def step(z, t, h, score, noise, model):"
            told = '"""From reverse time t over h."""'
            last = ["return " + self.state()]
            inside = [told, *self.known(), *self.split(), *step, *last]
            return [*helper, head, *indented(inside)]
        head = "def sample(score, z, grid, noise, model):"
        told = '"""Over the reverse times of a grid; the score is carried from step to step."""'
        inside = [told, *self.known(), *self.split(), *self.evaluation("grid[0]")]
        inside += ["for t, after in zip(grid[:-1], grid[1:]):"]
        inside += indented(["h = after - t", *step]) + ["return " + self.state()]
        return [*helper, head, *indented(inside)]

    def known(self) -> list[str]:
        """The parameters of the process that the lines use."""
        names = ["T", *filter(self.used, self.scheme.model.parameters)]
        return [f"{', '.join(names)} = {', '.join(f'model.{n}' for n in names)}"]

    def split(self) -> list[str]:
        if not self.vector:
            return ["x = z"]
        x, m = self.names
        return ["d = z.shape[1] // 2", f"{x}, {m} = z[:, :d], z[:, d:]"]

    def state(self) -> str:
        return f"{self.stack}(({', '.join(self.names)}))" if self.vector else self.names[0]

    def frozen(self) -> list[str]:
        """What is fixed at a step's start."""
        rates = {"b": "b = h * model.beta(T - t)", "r": "r = h * model.fading(T - t)"}
        return [line for name, line in rates.items() if self.used(name)]

    def used(self, name: str) -> bool:
        return any(re.search(rf"\b{name}\b", line) for line in self.lines if line[0] != "#")

    def instruction(self, op: Any) -> None:
        match op:
            case Evaluate():
                if op.begins and op.weighed:
                    self.begin(op.weighed)
                self.lines += self.evaluation(shifted("t", op.at))
                if op.weighed:
                    self.drift(op.weighed, shifted("t", op.at))
            case Row():
                self.row(op.weights)
            case Advance():
                self.advance(op)
            case Hold():
                raise AssertionError("refused before")
            case _:
                assert_never(op)

    def evaluation(self, at: str) -> list[str]:
        tau = f"T - {at}" if at in ("t", "grid[0]") else f"T - ({at})"
        if self.force:
            asked = [f"f = score({self.names[0]}, {tau})"]
            return [*asked, "fast, slow = f[:, :d], f[:, d:]"] if self.forces else asked
        if not self.vector:
            return [f"s = score(x, {tau})"]
        return [
            f"s = score({self.state()}, {tau})",
            f"{', '.join(self.scores)} = s[:, :d], s[:, d:]",
        ]

    def begin(self, piece: Piece) -> None:
        """A run of rows, of a piece that need not move every component: what moves, from where."""
        linear, score, _ = self.terms(piece)
        self.moving = [n for i, n in enumerate(self.names) if self.drift_of(i, linear, score)]
        first = ", ".join(f"{n}0" for n in self.moving)
        self.lines.append(f"{first} = {', '.join(self.moving)}")
        self.stages = 0

    def drift(self, piece: Piece, at: str) -> None:
        """The drift of a Runge-Kutta stage, a name for each component that moves."""
        self.stages += 1
        linear, score, _ = self.terms(piece)
        tau = f"T - {at}" if at == "t" else f"T - ({at})"
        rate = "" if self.force else f"model.beta({tau}) * "
        for i, n in enumerate(self.names):
            if n not in self.moving:
                continue
            text = self.drift_of(i, linear, score)
            fades = frozen_fading(piece.fading, f"model.fading({tau})")
            self.lines.append(f"d{n}{self.stages} = {rate}{grouped(text) if rate else text}{fades}")

    def row(self, weights: tuple[Fraction, ...]) -> None:
        for n in self.moving:
            terms = [
                (sympy.Rational(w.numerator, w.denominator), f"d{n}{k}")
                for k, w in enumerate(weights, 1)
                if w
            ]
            moved = f" + h * {grouped(summed(terms))}" if terms else ""
            self.lines.append(f"{n} = {n}0{moved}")

    def advance(self, op: Advance) -> None:
        linear, score, noise = self.terms(op.piece)
        b = share_of("h" if self.force else "b", op.share)
        if op.piece.has_noise:
            self.draw(op.piece, linear, noise)
        match op.piece.rule:
            case Rule.EULER:
                fades = frozen_fading(op.piece.fading * op.share, "r")
                self.euler(linear, score, noise, b, fades)
            case Rule.MIDPOINT:
                self.midpoint(linear, score, noise, b)
            case Rule.ANCESTRAL:
                self.lines.append(f"x = (x + {b} * s) / sqrt(1 - {b}) + sqrt({b}) * xi")
            case Rule.EXPONENTIAL if op.piece.fading:
                self.lines += faded_lines(op, noise[0])
            case Rule.EXPONENTIAL:
                start, length = shifted("t", op.start), share_of("h", op.share)
                clock = length if self.force else f"model.clock({start}, {length})"
                self.lines.append(f"delta = {clock}")
                self.exponential(op.piece, linear, score, noise)
            case Rule.CONJUGATE | Rule.HELD:
                raise AssertionError("refused before")
            case _:
                assert_never(op.piece.rule)

    def terms(self, piece: Piece) -> tuple[Any, Any, Any]:
        p = self.parameters
        linear, score, noise = piece.linear(p), piece.score(p), piece.noise(p)
        s = sympy.sympify
        weights = [s(e) for e in score]
        if self.forces:
            weights = self.pushed(weights)
        return [[s(e) for e in row] for row in linear], weights, [s(e) for e in noise]

    def pushed(self, weights: list[Any]) -> list[Any]:
        """By component the weight of what a piece takes of two forces, which is named for it."""
        taken = [(w, n) for w, n in zip(weights, self.forces, strict=True) if w != 0]
        self.scores = ["", grouped(summed(taken))]
        return [sympy.Integer(0), sympy.Integer(bool(taken))]

    def draw(self, piece: Piece, linear: Any, noise: list[Any]) -> None:
        if not self.vector:
            self.lines.append("xi = noise()")
            return
        halves = ["xi[:, :d]", "xi[:, d:]"]
        reached = piece.rule is Rule.EXPONENTIAL and self.couples(linear)
        kept = [i for i, q in enumerate(noise) if q != 0 or reached]
        names = ", ".join(self.normals[i] for i in kept)
        self.lines += ["xi = noise()", f"{names} = {', '.join(halves[i] for i in kept)}"]

    def drift_of(self, i: int, linear: Any, score: Any) -> str:
        terms = [(linear[i][j], n) for j, n in enumerate(self.names)] + [(score[i], self.scores[i])]
        return summed([(c, n) for c, n in terms if c != 0])

    def euler(self, linear: Any, score: Any, noise: Any, b: str, fades: str) -> None:
        """All components from the same state: one assignment where more than one moves."""
        moved: list[tuple[str, str]] = []
        for i, n in enumerate(self.names):
            text = self.drift_of(i, linear, score)
            if not text:
                continue
            line = f"{n} + {b} * {grouped(text)}{fades}"
            if noise[i] != 0:
                q = "" if noise[i] == 1 else f" * {spelled(noise[i])}"
                line += f" + sqrt({b}{q}) * {self.normals[i]}"
            moved.append((n, line))
        if len(moved) == 1:
            self.lines.append(f"{moved[0][0]} = {moved[0][1]}")
            return
        self.lines += [f"{n}_new = {line}" for n, line in moved]
        names = ", ".join(n for n, _ in moved)
        self.lines.append(f"{names} = {', '.join(f'{n}_new' for n, _ in moved)}")

    def midpoint(self, linear: Any, score: Any, noise: Any, b: str) -> None:
        """Components that do not act on each other, each solved for where its step ends."""
        for i, n in enumerate(self.names):
            terms = [(linear[i][i] / 2, n), (score[i], self.scores[i])]
            if not (text := summed([(c, name) for c, name in terms if c != 0])):
                continue
            q = "" if noise[i] == 1 else f" * {spelled(noise[i])}"
            drawn = "" if noise[i] == 0 else f" + sqrt({b}{q}) * {self.normals[i]}"
            below = f"(1 + {b} * {grouped(spelled(-linear[i][i] / 2))})"
            self.lines.append(f"{n} = ({n} + {b} * {grouped(text)}{drawn}) / {below}")

    def exponential(self, piece: Piece, linear: Any, score: Any, noise: Any) -> None:
        if self.couples(linear):
            self.coupled(linear, score, noise)
            return
        for i in range(len(self.names)):
            self.alone(piece, i, linear[i][i], score[i], noise[i])

    @staticmethod
    def couples(linear: Any) -> bool:
        """Whether one component acts on the other."""
        return any(e != 0 for i, row in enumerate(linear) for j, e in enumerate(row) if i != j)

    def alone(self, piece: Piece, i: int, rate: Any, weight: Any, noise: Any) -> None:
        """A component that no other one acts on."""
        name, delta = self.names[i], sympy.Symbol("delta", positive=True)
        terms = [name if rate == 0 else f"exp({spelled(rate * delta)}) * {name}"]
        if weight != 0:
            ramp = delta * weight
            if rate != 0:
                ramp = sympy.Symbol(f"expm1({spelled(rate * delta)})") * weight / rate
            terms.append(f"{spelled(ramp)} * {self.scores[i]}")
        if noise != 0:
            tuned = self.lambda_s if piece.tuned == i else sympy.Integer(1)
            own = rate * (tuned if self.scheme.lambda_s.rule == "exponent" else 1)
            spread = noise * tuned * delta
            if rate != 0:
                grown = sympy.Symbol(f"expm1({spelled(2 * own * delta)})")
                spread = sympy.cancel(noise * tuned / (2 * own)) * grown if own != 0 else 0 * delta
            terms.append(f"sqrt({spelled(spread)}) * {self.normals[i]}")
        if terms != [name]:
            self.lines.append(f"{name} = {' + '.join(terms)}")

    def coupled(self, linear: Any, score: Any, noise: Any) -> None:
        rows = ", ".join(f"({', '.join(map(spelled, row))})" for row in linear)
        pairs = [f"({', '.join(map(spelled, each))})" for each in (score, noise)]
        silent, unscored = all(q == 0 for q in noise), all(w == 0 for w in score)
        made = f"keep, {'_' if unscored else 'gain'}, {'_' if silent else 'root'}"
        self.lines += [
            f"linear = ({rows})",
            f"{made} = flow(linear, {pairs[0]}, {pairs[1]}, delta)",
        ]
        groups: list[tuple[str, Sequence[str]]] = [("keep", self.names)]
        groups += [] if unscored else [("gain", self.scores)]
        groups += [] if silent else [("root", self.normals)]
        for i, n in enumerate(self.names):
            terms = [f"{m}[{i}][{j}] * {v}" for m, vs in groups for j, v in enumerate(vs) if v]
            self.lines.append(f"{n}_new = {' + '.join(terms)}")
        names = ", ".join(self.names)
        self.lines.append(f"{names} = {', '.join(f'{n}_new' for n in self.names)}")


def _scale(scheme: Scheme, given: Fraction | None) -> Any:
    """lambda_s as a number: what is given, else the scheme's own, else 1."""
    value: Any = scheme.lambda_s.value if given is None else given
    if value == "free":
        return sympy.Integer(1)
    return sympy.Rational(value.numerator, value.denominator)
