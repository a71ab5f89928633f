"""The functions that the code of predictions held on position-only processes stands on (theory
section 10): what is held, and what a step that holds it does.
"""

from __future__ import annotations

from splitting_analysis.clocks import Clock
from splitting_analysis.predictions import COEFFICIENTS, CoefficientRule, Prediction
from splitting_analysis.program import Hold
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
INSIDE = "begin + share * (end - begin)"
NAMED = (Prediction.DATA, Prediction.EPS, Prediction.SCORE, Prediction.V)
"""Those whose coefficients know alpha and sigma at the end."""
OWN: dict[Prediction, Clock] = {Prediction.EPS: "rho", Prediction.VELOCITY: "tau"}
"""The clock in which the rate of what is held is constant: of the noise (1 + eta^2) alpha at the
end, of the velocity 1."""
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


def position_functions(scheme: Scheme) -> list[str]:
    """The lines before the step's own."""
    holds = scheme.program.holds
    kind, ddim = holds[0].held.prediction, holds[0].held.ddim
    name, formula = PREDICTED[kind]
    lines = [] if scheme.in_clock == "lambda" else clock_of(scheme)
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
    if has_inside(scheme):
        lines += between(scheme)
    return lines


def has_inside(scheme: Scheme) -> bool:
    """Whether a step stops inside."""
    holds = scheme.program.holds
    return any(op.start not in (0, 1) or op.stop not in (0, 1) for op in holds)


def clock_of(scheme: Scheme) -> list[str]:
    """The clock as a function."""
    return ["def clock(tau, model):", f"    return {READINGS[scheme.in_clock][0]}", "", ""]


def between(scheme: Scheme) -> list[str]:
    """The time inside a step as a function."""
    reading = "clock(begin, model) + share * (clock(end, model) - clock(begin, model))"
    told = '    """The forward time at a part of the step, as its clock measures it."""'
    if scheme.in_clock == "tau":
        return ["def between(begin, end, share, model):", told, f"    return {INSIDE}", "", ""]
    return [
        "def between(begin, end, share, model):",
        told,
        f"    reading = {reading}",
        f"    return {READINGS[scheme.in_clock][1].format('reading')}",
        "",
        "",
    ]


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
    lines = rules_of(scheme)
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
    if scheme.in_clock == OWN.get(kind):  # in it the kernel is constant
        rates = {"rho": "(1 + ETA**2) * alpha * ", "tau": ""}
        span = "(clock(end, model) - clock(begin, model))"
        whole = f"    whole = {rates[scheme.in_clock]}{span}"
        each = "    moments = [whole / (k + 1) for k in range(len(taus))]"
        return [*head, whole, each, *tail]
    if kind in WHOLE and all(needs_whole(op) for op in scheme.program.holds):
        whole = f"    moments = [{WHOLE[kind]}] * len(taus)  # the first alone counts"
        return [*head, whole, *tail]
    inner = [
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
        *(inner if uses_each else []),
        f"    theta = {by_theta}",
        f"    kernel = {KERNEL[kind]} * (lengths * weights / 2).ravel()",
        "    moments = [np.sum(kernel * theta**k) for k in range(len(taus))]",
        *tail,
    ]


def rules_of(scheme: Scheme) -> list[str]:
    """What its held polynomials take for their moments, as functions."""
    lines: list[str] = []
    rules = {op.rule for op in scheme.program.holds}
    for name, text in {"polynomial": "\n    return moments", **RULES}.items():
        if COEFFICIENTS["" if name == "polynomial" else name].rule in rules:
            lines += [f"def {name}(moments, at_end):", *text.strip("\n").split("\n"), "", ""]
    return lines


def needs_whole(op: Hold) -> bool:
    """Whether of the moments it takes the first alone."""
    return op.through == 1 or (op.through == 2 and rule_name(op.rule) in ("dpm", "bh1", "bh2"))


def rule_name(rule: CoefficientRule) -> str:
    """The name of a rule's function in the code."""
    return next(name for name, own in COEFFICIENTS.items() if own.rule is rule) or "polynomial"
