"""The code of words whose held prediction has a constant rate in a variable of its own, and which
hold evaluations of the step itself: the step is written as papers do.

    noise      d(x/alpha) = (1 + eta^2) eps d(sigma/alpha)
    velocity   dx = v dtau

A step of the polynomial is then a length in that variable, which is a difference, times rational
weights; EDM's Heun is x + dt (eps_1 + eps_2)/2 with dt = sigma(end) - sigma(begin).
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import Any

import sympy

from splitting_analysis.position_code import OWN, PREDICTED, between, clock_of, has_inside
from splitting_analysis.predictions import COEFFICIENTS, Prediction
from splitting_analysis.processes import PROCESSES
from splitting_analysis.program import Evaluate, Hold
from splitting_analysis.schemes import Scheme

LOG_SNR = [
    "def log_snr(tau, model):",
    "    return log(model.alpha(tau) / model.sigma(tau))",
    "",
    "",
]
NAMES = {Prediction.EPS: "eps", Prediction.VELOCITY: "v"}


def reads_plainly(scheme: Scheme) -> bool:
    """Whether its code is written so."""
    holds = scheme.program.holds
    # coefficients that look at the kernel at the end mean the one in lambda
    if any(op.through > 1 and op.rule is COEFFICIENTS["bh1"].rule for op in holds):
        return False
    own = OWN.get(holds[0].held.prediction)
    return (
        own is not None
        and not (scheme.holds_pair or holds[0].held.ddim)
        and not (scheme.program.history or scheme.carries_score)
        and (scheme.in_clock == own or all(op.through == 1 for op in holds))
    )


def scales(scheme: Scheme) -> bool:
    """Whether alpha is anything but 1."""
    process: Any = PROCESSES[scheme.model_name]()
    return any(process.alpha(process.T * k / 7) != 1 for k in range(1, 8))


def own_functions(scheme: Scheme) -> list[str]:
    """The lines before the step's own."""
    lines: list[str] = []
    kind = scheme.program.holds[0].held.prediction
    if kind is Prediction.EPS and scales(scheme):
        lines += ["def rho(tau, model):", "    return model.sigma(tau) / model.alpha(tau)", "", ""]
    told, formula = PREDICTED[kind]
    body = [f'    """The {told}, as the score has it."""']
    if kind is Prediction.EPS:
        formula = formula.replace("sigma", "model.sigma(tau)")
    else:
        body += ["    alpha, sigma = model.alpha(tau), model.sigma(tau)"]
        body += ["    da, ds = model.rates(tau)"]
    lines += ["def predicted(x, tau, score, model):", *body, f"    return {formula}", "", ""]
    if has_inside(scheme):
        lines += [] if scheme.in_clock in ("tau", "lambda") else clock_of(scheme)
        lines += LOG_SNR if scheme.in_clock == "lambda" else []
        lines += between(scheme)
    return lines


def own_step(scheme: Scheme, times: dict[Fraction, str]) -> list[str]:
    """The instructions of one step; `times` are the names of forward times by their part of it."""
    program, lines = scheme.program, list[str]()
    name = NAMES[program.holds[0].held.prediction]
    if any(op.restarts for op in program.holds):
        lines.append("start = x")
    drawn: dict[tuple[Fraction, Fraction], str] = {}
    made: list[tuple[str, Fraction]] = []
    length = ""
    for op, token in zip(program.instructions, scheme.word, strict=True):
        lines.append(f"# {token}")
        if isinstance(op, Evaluate):
            made.append((f"{name}_{len(made) + 1}", op.at))
            lines.append(f"{made[-1][0]} = predicted(x, {times[op.at]}, score, model)")
        elif isinstance(op, Hold):
            begin, end = times[op.start], times[op.stop]
            now = f"dt = {_reading(scheme, end)} - {_reading(scheme, begin)}"
            lines += [] if now == length else [now]
            length = now
            lines.append(_moved(scheme, op, begin, end, _weighed(op, made[-op.through :])))
            for part in op.drawn if scheme.noise_level else ():
                if part not in drawn:
                    drawn[part] = f"xi_{len(drawn)}"
                    lines.append(f"{drawn[part]} = noise()")
                first, last = (_reading(scheme, times[at]) for at in part)
                alpha = f"model.alpha({end}) * " if scales(scheme) else ""
                spread = f"ETA * {alpha}sqrt({first} ** 2 - {last} ** 2)"
                lines.append(f"x = x + {spread} * {drawn[part]}")
    return lines


def _reading(scheme: Scheme, time: str) -> str:
    """Of the variable at a time."""
    if scheme.program.holds[0].held.prediction is Prediction.VELOCITY:
        return time
    return f"rho({time}, model)" if scales(scheme) else f"model.sigma({time})"


def _moved(scheme: Scheme, op: Hold, begin: str, end: str, held: str) -> str:
    before = "start" if op.restarts else "x"
    rate = "(1 + ETA**2) * dt" if scheme.noise_level else "dt"
    if op.held.prediction is Prediction.EPS and scales(scheme):
        return f"x = model.alpha({end}) * ({before} / model.alpha({begin}) + {rate} * {held})"
    return f"x = {before} + {rate} * {held}"


def _weighed(op: Hold, made: list[tuple[str, Fraction]]) -> str:
    """The mean of the held polynomial over the stretch, in its evaluations."""
    length = op.stop - op.start
    places = [sympy.Rational(at - op.start) / sympy.Rational(length) for _, at in made]
    moments = [sympy.Rational(1, k + 1) for k in range(len(made))]
    powers = sympy.Matrix(len(made), len(made), lambda k, j: places[j] ** k)
    found = powers.LUsolve(sympy.Matrix(op.rule(moments, sympy.Integer(1))))
    below = lcm(*(int(weight.q) for weight in found))
    text = ""
    for weight, (name, _) in zip(found, made, strict=True):
        times = int(weight * below)
        if times:
            own = name if abs(times) == 1 else f"{abs(times)} * {name}"
            sign = ("-" if times < 0 else "") if not text else (" - " if times < 0 else " + ")
            text += sign + own
    if below == 1:
        return f"({text})" if " + " in text or " - " in text else text
    return f"({text}) / {below}"
