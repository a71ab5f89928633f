"""A word that holds a prediction as Python code: one step, or a whole run where it holds what
earlier steps evaluated.

The coefficients are functions of the grid, and stand in the code as such: of position-only
processes those of position_code.py, of PSLD those of pair_code.py. The code stands on its own, and
takes what it needs to know of the process from `model`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from textwrap import indent

from splitting_analysis.own_code import own_functions, own_step, reads_plainly, scales
from splitting_analysis.pair_code import pair_functions, refuse_pair
from splitting_analysis.position_code import needs_whole, position_functions, rule_name, rules_of
from splitting_analysis.program import Evaluate, Hold
from splitting_analysis.schemes import Scheme

STACK = {"python": "np.hstack", "torch": "torch.hstack"}


def held_code(scheme: Scheme, style: str) -> str:
    """The scheme as a Python file. Raises ValueError for what a pair holds without a formula."""
    if scheme.holds_pair:
        refuse_pair(scheme)
    body = _body(scheme, STACK[style])
    if scheme.in_clock == "lambda":  # one function says it
        body = [re.sub(r"(?<!model\.)\bclock\(", "log_snr(", line) for line in body]
    text = "\n".join(body)
    names = ("ceil", "exp", "expm1", "log", "sqrt")
    used = [name for name in names if re.search(rf"(?<![.\w]){name}\(", text)]
    lines = [f'"""{_title(scheme)}', "", *_told(scheme, style, text), '"""', ""]
    lines += [f"from math import {', '.join(used)}", ""] if used else []
    others = {
        "import numpy as np": "np.",
        "import torch": "torch.",
        "from scipy.optimize import brentq": "brentq(",
    }
    ours = [line for line, sign in others.items() if sign in text]
    lines += [*ours, ""] if ours else []
    if "ETA" in text:
        told = '"""The noise level: 0 the ODE, 1 the reverse SDE."""'
        lines += [f"ETA = {_number(scheme.noise_level)}", told, ""]
    return "\n".join([*lines, "", *body]) + "\n"


def _number(value: Fraction) -> str:
    return (
        str(value.numerator)
        if value.denominator == 1
        else f"{value.numerator} / {value.denominator}"
    )


def _title(scheme: Scheme) -> str:
    kind = "a whole run" if runs_whole(scheme) else "one step"
    name = "" if scheme.name == str(scheme.word) else f"{scheme.name} = "
    return f"{name}{scheme.word} as {kind} ({scheme.model_name}, {scheme.kind})."


def _told(scheme: Scheme, style: str, text: str) -> list[str]:
    kind = "a tensor" if style == "torch" else "an array"
    if scheme.holds_pair:
        return [
            f"z             {kind} (batch, 2 d), positions first",
            "score(z, tau) the score at forward time tau = T - t",
            "noise()       fresh standard normals like z",
            "model         the process: T, Gamma, nu, M, kappa and clock(t, length), the integral",
            "              of beta from reverse time t on",
        ] + ["denoise       end with the data predicted"] * runs_whole(scheme)
    needs = dict.fromkeys(re.findall(r"model\.(\w+)\(", text))
    lines = [
        f"z             {kind} (batch, d)",
        "score(z, tau) the score at forward time tau = T - t",
        "noise()       fresh standard normals like z",
        f"model         the process: T and, as functions of tau, {', '.join(needs)}",
    ]
    return lines + ["denoise       end with the data predicted"] * runs_whole(scheme)


def _body(scheme: Scheme, stack: str) -> list[str]:
    """The functions, the step or run last."""
    if not scheme.holds_pair and reads_plainly(scheme):
        return [*own_functions(scheme), *_function(scheme, stack)]
    if not scheme.holds_pair:
        return [*position_functions(scheme), *_function(scheme, stack)]
    whole = all(needs_whole(op) for op in scheme.program.holds)
    own = pair_functions(scheme, rules_of(scheme), whole, stack)
    return [*_pair_clock(scheme), *own, *_function(scheme, stack)]


def runs_whole(scheme: Scheme) -> bool:
    """Whether its code is that of a whole run: a step alone does not know what it holds."""
    return bool(scheme.program.history or scheme.carries_score or scheme.churn)


def _pair_clock(scheme: Scheme) -> list[str]:
    """The clock of a process with a momentum, where it is not lambda."""
    known = {
        "tau": "tau",
        "sigma": "log(covariance(tau, model)[0, 0]) / 2",
        "rho": "exp(-log_snr(tau, model))",
    }
    if scheme.in_clock == "lambda":
        return []
    return ["def clock(tau, model):", f"    return {known[scheme.in_clock]}", "", ""]


def _function(scheme: Scheme, stack: str) -> list[str]:
    """The step, or the run."""
    program = scheme.program
    first = "past.append((begin, predicted(x, begin, score, model)))"
    plain = not scheme.holds_pair and reads_plainly(scheme)
    inside = _step(scheme, stack, plain)
    if not runs_whole(scheme):
        head = ["def step(z, t, h, score, noise, model):", '    """From reverse time t over h."""']
        lines = ["begin, end, x, past = model.T - t, model.T - t - h, z, []", *inside, "return x"]
        if plain:
            lines[0] = "begin, end, x = model.T - t, model.T - t - h, z"
        return [*head, *(indent(line, "    ") for line in lines)]
    lines = ["x, past = z, []  # past: forward times and predictions, the newest last"]
    lines = ["x = z"] if plain else lines
    if scheme.carries_score:
        lines += ["begin = model.T - grid[0]", first]
    if scheme.churn:
        numbers = scheme.churn.as_dict()
        lines += [
            f"{n} = {'float(' + repr('inf') + ')' if v is None else repr(v)}"
            for n, v in numbers.items()
        ]
    loop = ["begin, end = model.T - grid[i], model.T - grid[i + 1]"]
    if scheme.churn:
        loop += [
            "if S_tmin <= begin <= S_tmax:  # back in time first, by adding noise",
            "    raised = begin * (1 + min(S_churn / (len(grid) - 1), sqrt(2) - 1))",
            "    if raised > begin:",
            "        x = x + S_noise * sqrt(raised**2 - begin**2) * noise()",
            "    begin = raised",
        ]
    if scheme.lower_final:
        least = int(scheme.carries_score)
        loop += [
            "# the last steps hold fewer",
            f"left = {least} + (len(grid) - 2 - i) * {program.evaluations}",
            f"past = past[max(0, len(past) - min({program.history}, left)):]",
        ]
    loop += inside
    if program.history:
        loop.append(f"past = past[-{program.history}:]")
    elif not (scheme.carries_score or plain):
        loop.append("past = []")
    lines += ["for i in range(len(grid) - 1):", *(indent(line, "    ") for line in loop)]
    end = "(x + model.sigma(tau) ** 2 * score(x, tau)) / model.alpha(tau)"
    if plain and not scales(scheme):
        end = "x + model.sigma(tau) ** 2 * score(x, tau)"
    if scheme.holds_pair:
        end = f"{stack}((predicted(x, tau, score, model), x[:, x.shape[1] // 2 :]))"
    lines += ["if denoise:", "    tau = model.T - grid[-1]", f"    return {end}", "return x"]
    told = "Over the reverse times of a grid"
    told += "." if plain else "; the first steps hold the evaluations that there are."
    return [
        "def sample(score, z, grid, noise, model, denoise=False):",
        f'    """{told}"""',
        *(indent(line, "    ") for line in lines),
    ]


def _step(scheme: Scheme, stack: str, plain: bool) -> list[str]:
    """The instructions of one step."""
    program = scheme.program
    lines: list[str] = []
    if any(op.restarts for op in program.holds) and not plain:
        lines.append("start = x")
    drawn: dict[tuple[Fraction, Fraction], str] = {}

    def time(at: Fraction) -> str:
        if at in (0, 1):
            return "end" if at else "begin"
        return f"at_{at.numerator}_{at.denominator}"

    named: set[str] = set()
    marks = [op.at for op in program.instructions if isinstance(op, Evaluate)]
    marks += [
        at for op in program.holds for part in (*op.drawn, (op.start, op.stop)) for at in part
    ]
    for at in sorted(set(marks)):
        if at in (0, 1) or time(at) in named:
            continue
        named.add(time(at))
        share = f"{at.numerator} / {at.denominator}"
        lines.append(f"{time(at)} = between(begin, end, {share}, model)")
    if plain:
        return lines + own_step(scheme, {at: time(at) for at in marks})
    for op, token in zip(program.instructions, scheme.word, strict=True):
        lines.append(f"# {token}")
        if isinstance(op, Evaluate):
            tau = time(op.at)
            lines.append(f"past.append(({tau}, predicted(x, {tau}, score, model)))")
        elif isinstance(op, Hold):
            lines += _hold(op, (time(op.start), time(op.stop)), stack if scheme.holds_pair else "")
            if scheme.noise_level:
                for part in op.drawn:
                    if part not in drawn:
                        drawn[part] = f"xi_{len(drawn)}"
                        lines.append(f"{drawn[part]} = noise()")
                    ends = f"{time(part[0])}, {time(part[1])}"
                    rest = ""
                    if part[1] != op.stop:
                        rest = f"kept({time(part[1])}, {time(op.stop)}, model)"
                    noise = _times(rest, f"spread({ends}, model)", drawn[part], scheme.holds_pair)
                    lines.append(f"x = x + {noise}")
    return lines


def _times(rest: str, spread: str, normals: str, pair: bool) -> str:
    """Noise drawn before, and what is left of it."""
    if not pair:
        return f"{rest} * {spread} * {normals}" if rest else f"{spread} * {normals}"
    return f"moved({rest} @ {spread}, {normals})" if rest else f"moved({spread}, {normals})"


def _hold(op: Hold, ends: tuple[str, str], stack: str) -> list[str]:
    rule = "None" if op.held.ddim else rule_name(op.rule)
    before = "start" if op.restarts else "x"
    own = f"{ends[0]}, {ends[1]}"
    return [
        f"held = past[-{op.through}:]",
        f"factors = gains({own}, [tau for tau, _ in held], model, {rule})",
        f"x = moved(kept({own}, model), {before})"
        if stack
        else f"x = kept({own}, model) * {before}",
        "for factor, (_, prediction) in zip(factors, held):",
        f"    x = x + {stack}((factor[0] * prediction, factor[1] * prediction))"
        if stack
        else "    x = x + factor * prediction",
    ]
