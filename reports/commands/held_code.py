"""A word that holds a prediction as Python code: one step, or a whole run where it holds what
earlier steps evaluated.

The coefficients are functions of the grid, and stand in the code as such; of the process it takes
T, alpha(tau) and sigma(tau) from `model`, and the inverse of the clock where a step needs it.
"""

from __future__ import annotations

import re
from fractions import Fraction
from textwrap import indent

from splitting_analysis.predictions import COEFFICIENTS, CoefficientRule, Prediction
from splitting_analysis.program import Evaluate, Hold
from splitting_analysis.schemes import Scheme

PREDICTED = {
    Prediction.DATA: ("data", "(x + sigma**2 * score(x, tau)) / alpha"),
    Prediction.EPS: ("noise", "-sigma * score(x, tau)"),
    Prediction.SCORE: ("score", "score(x, tau)"),
    Prediction.V: (
        "v = alpha eps - sigma data",
        "-sigma * (x + (alpha**2 + sigma**2) * score(x, tau)) / alpha",
    ),
    Prediction.VELOCITY: (
        "slope of x along the probability flow",
        "(da * x + sigma * (da * sigma - ds * alpha) * score(x, tau)) / alpha",
    ),
}
"""What is held: its name, and the formula at x and tau."""
KEPT = {
    Prediction.DATA: "model.sigma(end) / model.sigma(begin) * exp(-(ETA**2) * h)",
    Prediction.EPS: "model.alpha(end) / model.alpha(begin)",
    Prediction.SCORE: "model.alpha(end) / model.alpha(begin)",
    Prediction.V: "sqrt(size(end, model) / size(begin, model))",
    Prediction.VELOCITY: "1.0",
}
SPREAD = {
    Prediction.DATA: "model.sigma(end) * sqrt(-expm1(-2 * ETA**2 * h))",
    Prediction.EPS: "ETA * model.sigma(end) * sqrt(expm1(2 * h))",
}
KERNEL = {
    Prediction.DATA: "(1 + ETA**2) * alpha * np.exp((1 + ETA**2) * (u - last))",
    Prediction.EPS: "-(1 + ETA**2) * sigma * np.exp(last - u)",
    Prediction.SCORE: "alpha * each(lambda tau: model.sigma(tau) ** 2 / model.alpha(tau))",
    Prediction.V: "-each(lambda tau: model.alpha(tau) * model.sigma(tau) "
    "* sqrt(size(end, model) / size(tau, model)) / size(tau, model))",
    Prediction.VELOCITY: "np.ones_like(u)",
}
"""Of what is held, in log(alpha/sigma) or, for the velocity, in forward time."""
WHOLE = {
    Prediction.DATA: "-alpha * expm1(-(1 + ETA**2) * (last - first))",
    Prediction.EPS: "-(1 + ETA**2) * sigma * expm1(last - first)",
    Prediction.VELOCITY: "last - first",
}
"""The integral of the kernel, where it has a formula."""
AT_END = {
    Prediction.DATA: "(1 + ETA**2) * alpha * (last - first)",
    Prediction.EPS: "-(1 + ETA**2) * sigma * (last - first)",
    Prediction.SCORE: "sigma**2 * (last - first)",
    Prediction.V: "-alpha * sigma * (last - first) / size(end, model)",
    Prediction.VELOCITY: "last - first",
}
READINGS = {
    "tau": ("tau", "{0}"),
    "lambda": ("log(model.alpha(tau) / model.sigma(tau))", "model.tau_of_lambda({0})"),
    "sigma": ("log(model.sigma(tau))", "model.tau_of_log_sigma({0})"),
    "rho": ("model.sigma(tau) / model.alpha(tau)", "model.tau_of_lambda(-log({0}))"),
}
"""Of a clock: its reading at tau, and tau at a reading."""
NAMED = (Prediction.DATA, Prediction.EPS, Prediction.SCORE, Prediction.V)
"""Those whose coefficients know alpha and sigma at the end."""
RULES = {
    "dpm": """
    if len(moments) == 2:
        return [moments[0], moments[0] / 2]
    return [*moments[:2], moments[2] / 2] if len(moments) == 3 else moments""",
    "dpm3": """
    return [*moments[:2], 2 * moments[1] / 3] if len(moments) == 3 else moments""",
    "bh1": """
    return [moments[0], at_end / 2] if len(moments) == 2 else moments""",
    "bh2": """
    return [moments[0], moments[0] / 2] if len(moments) == 2 else moments""",
}
"""What stands for the moments of the polynomial, by the name of the coefficients."""


def held_code(scheme: Scheme, style: str) -> str:
    """The scheme as a Python file. Raises ValueError for a process with a momentum."""
    if scheme.holds_pair:
        raise ValueError(
            f"{scheme.name}: {scheme.word} holds a prediction of a pair: its coefficients are "
            "integrals of matrices. Code of held predictions is written for vp, ve and flow; "
            "others run as they are, by splitting-analysis sample"
        )
    body = _body(scheme)
    if scheme.in_clock == "lambda":  # one function says it
        body = [re.sub(r"\bclock\(", "log_snr(", line) for line in body]
    text = "\n".join(body)
    names = ("ceil", "exp", "expm1", "log", "sqrt")
    used = [name for name in names if re.search(rf"(?<![.\w]){name}\(", text)]
    lines = [f'"""{_title(scheme)}', "", *_told(scheme, style, text), '"""', ""]
    lines += [f"from math import {', '.join(used)}", ""] if used else []
    lines += ["import numpy as np", ""] if "np." in text else []
    level = scheme.noise_level
    lines += [f"ETA = {_number(level)}", '"""The noise level: 0 the ODE, 1 the reverse SDE."""', ""]
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
    return f"{name}{scheme.word} as {kind} ({scheme.model_name}, {scheme.dynamics})."


def _told(scheme: Scheme, style: str, text: str) -> list[str]:
    kind = "a tensor" if style == "torch" else "an array"
    needs = dict.fromkeys(re.findall(r"model\.(\w+)\(", text))
    lines = [
        f"z             {kind} (batch, d)",
        "score(z, tau) the score at forward time tau = T - t",
        "noise()       fresh standard normals like z",
        f"model         the process: T and, as functions of tau, {', '.join(needs)}",
    ]
    return lines + ["denoise       end with the data predicted"] * runs_whole(scheme)


def runs_whole(scheme: Scheme) -> bool:
    """Whether its code is that of a whole run: a step alone does not know what it holds."""
    return bool(scheme.program.history or scheme.carries_score or scheme.churn)


def _body(scheme: Scheme) -> list[str]:
    holds = scheme.program.holds
    kind, ddim = holds[0].held.prediction, holds[0].held.ddim
    name, formula = PREDICTED[kind]
    reading, back = READINGS[scheme.in_clock]
    lines = ["def clock(tau, model):", f"    return {reading}", "", ""]
    lines = [] if scheme.in_clock == "lambda" else lines
    lines += [
        "def log_snr(tau, model):",
        "    return log(model.alpha(tau) / model.sigma(tau))",
        "",
        "",
    ]
    if kind is Prediction.V:
        lines += [
            "def size(tau, model):",
            "    return model.alpha(tau) ** 2 + model.sigma(tau) ** 2",
            "",
            "",
        ]
    rates = ["    da, ds = model.rates(tau)"] if kind is Prediction.VELOCITY else []
    needs = (
        []
        if kind is Prediction.SCORE
        else ["    alpha, sigma = model.alpha(tau), model.sigma(tau)"]
    )
    if kind is Prediction.EPS:
        needs = ["    sigma = model.sigma(tau)"]
    lines += [
        "def predicted(x, tau, score, model):",
        f'    """The {name}, as the score has it."""',
        *needs,
        *rates,
        f"    return {formula}",
        "",
        "",
    ]
    kept = "sqrt(model.sigma(end) ** 2 - spread(begin, end, model) ** 2) / model.sigma(begin)"
    h = ["    h = log_snr(end, model) - log_snr(begin, model)"]
    lines += [
        "def kept(begin, end, model):",
        '    """What a step between two forward times leaves of the state."""',
        *(h if kind is Prediction.DATA and not ddim else []),
        f"    return {kept if ddim else KEPT[kind]}",
        "",
        "",
    ]
    if ddim or scheme.noise_level:
        spread = "ETA * model.sigma(end) * sqrt(-expm1(-2 * h))" if ddim else SPREAD[kind]
        lines += [
            "def spread(begin, end, model):",
            '    """The standard deviation of the noise that it draws."""',
            *h,
            f"    return {spread}",
            "",
            "",
        ]
    lines += _gains(scheme, kind, ddim)
    function = _function(scheme)
    if any("between(" in line for line in function):
        reading = "clock(begin, model) + share * (clock(end, model) - clock(begin, model))"
        lines += [
            "def between(begin, end, share, model):",
            '    """The forward time at a part of the step, as its clock measures it."""',
            f"    reading = {reading}",
            f"    return {back.format('reading')}",
            "",
            "",
        ]
    return [*lines, *function]


def _gains(scheme: Scheme, kind: Prediction, ddim: bool) -> list[str]:
    """Coefficients of the predictions."""
    if ddim:
        return [
            "def gains(begin, end, taus, model, rule):",
            '    """What multiplies the prediction."""',
            "    return [model.alpha(end) - model.alpha(begin) * kept(begin, end, model)]",
            "",
            "",
        ]
    own = "tau" if kind is Prediction.VELOCITY else "lambda"
    at, back = ("{0}", "{0}") if own == "tau" else ("log_snr({0}, model)", READINGS["lambda"][1])
    lines: list[str] = []
    rules = {op.rule for op in scheme.program.holds}
    for name, text in {"polynomial": "\n    return moments", **RULES}.items():
        if COEFFICIENTS["" if name == "polynomial" else name].rule in rules:
            lines += [f"def {name}(moments, at_end):", *text.strip("\n").split("\n"), "", ""]
    by_theta = "(u - first) / (last - first)"
    inside = "each(lambda tau: clock(tau, model))"
    if scheme.in_clock != own:
        by_theta = f"({inside} - clock(begin, model)) / (clock(end, model) - clock(begin, model))"
    uses_each = "each(" in by_theta or "each(" in KERNEL[kind]
    head = [
        *lines,
        "def gains(begin, end, taus, model, rule):",
        '    """What multiplies predictions at the forward times taus, held as a polynomial."""',
        *(["    alpha, sigma = model.alpha(end), model.sigma(end)"] if kind in NAMED else []),
        f"    first, last = {at.format('begin')}, {at.format('end')}",
    ]
    tail = [
        f"    at_end = {AT_END[kind]}",
        "    start, span = clock(begin, model), clock(end, model) - clock(begin, model)",
        "    places = [(clock(tau, model) - start) / span for tau in taus]",
        "    powers = np.vander(places, increasing=True).T",
        "    return np.linalg.solve(powers, rule(moments, at_end)).tolist()",
        "",
        "",
    ]
    if kind in WHOLE and all(_needs_whole(op) for op in scheme.program.holds):
        whole = f"    moments = [{WHOLE[kind]}] * len(taus)  # the first alone counts"
        return [*head, whole, *tail]
    each = [
        "",
        "    def each(function):",
        f"        return np.array([function({back.format('v')}) for v in u])",
        "",
    ]
    return [
        *head,
        "    edges = np.linspace(first, last, ceil(2 * abs(last - first)) + 2)",
        "    nodes, weights = np.polynomial.legendre.leggauss(20)",
        "    lengths = np.diff(edges)[:, None]",
        "    u = (edges[:-1, None] + lengths * (nodes + 1) / 2).ravel()",
        *(each if uses_each else []),
        f"    theta = {by_theta}",
        f"    kernel = {KERNEL[kind]} * (lengths * weights / 2).ravel()",
        "    moments = [np.sum(kernel * theta**k) for k in range(len(taus))]",
        *tail,
    ]


def _needs_whole(op: Hold) -> bool:
    """Whether of the moments it takes the first alone."""
    return op.through == 1 or (op.through == 2 and _rule_name(op.rule) in ("dpm", "bh1", "bh2"))


def _function(scheme: Scheme) -> list[str]:
    """The step, or the run."""
    program = scheme.program
    first = "past.append((begin, predicted(x, begin, score, model)))"
    inside = _step(scheme)
    if not runs_whole(scheme):
        head = ["def step(z, t, h, score, noise, model):", '    """From reverse time t over h."""']
        lines = ["begin, end, x, past = model.T - t, model.T - t - h, z, []", *inside, "return x"]
        return [*head, *(indent(line, "    ") for line in lines)]
    lines = ["x, past = z, []  # past: forward times and predictions, the newest last"]
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
    elif not scheme.carries_score:
        loop.append("past = []")
    lines += ["for i in range(len(grid) - 1):", *(indent(line, "    ") for line in loop)]
    lines += [
        "if denoise:",
        "    tau = model.T - grid[-1]",
        "    return (x + model.sigma(tau) ** 2 * score(x, tau)) / model.alpha(tau)",
        "return x",
    ]
    told = "Over the reverse times of a grid; the first steps hold the evaluations that there are."
    return [
        "def sample(score, z, grid, noise, model, denoise=False):",
        f'    """{told}"""',
        *(indent(line, "    ") for line in lines),
    ]


def _step(scheme: Scheme) -> list[str]:
    """The instructions of one step."""
    program = scheme.program
    lines: list[str] = []
    if any(op.restarts for op in program.holds):
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
    for op, token in zip(program.instructions, scheme.word, strict=True):
        lines.append(f"# {token}")
        if isinstance(op, Evaluate):
            tau = time(op.at)
            lines.append(f"past.append(({tau}, predicted(x, {tau}, score, model)))")
        elif isinstance(op, Hold):
            lines += _hold(op, (time(op.start), time(op.stop)))
            if scheme.noise_level:
                for part in op.drawn:
                    if part not in drawn:
                        drawn[part] = f"xi_{len(drawn)}"
                        lines.append(f"{drawn[part]} = noise()")
                    ends = f"{time(part[0])}, {time(part[1])}"
                    rest = ""
                    if part[1] != op.stop:
                        rest = f"kept({time(part[1])}, {time(op.stop)}, model) * "
                    lines.append(f"x = x + {rest}spread({ends}, model) * {drawn[part]}")
    return lines


def _hold(op: Hold, ends: tuple[str, str]) -> list[str]:
    rule = "None" if op.held.ddim else _rule_name(op.rule)
    before = "start" if op.restarts else "x"
    own = f"{ends[0]}, {ends[1]}"
    return [
        f"held = past[-{op.through}:]",
        f"factors = gains({own}, [tau for tau, _ in held], model, {rule})",
        f"x = kept({own}, model) * {before}",
        "for factor, (_, prediction) in zip(factors, held):",
        "    x = x + factor * prediction",
    ]


def _rule_name(rule: CoefficientRule) -> str:
    return next(name for name, own in COEFFICIENTS.items() if own.rule is rule) or "polynomial"
