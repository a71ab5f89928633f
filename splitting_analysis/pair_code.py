"""The functions that the code of data held on PSLD stands on (theory section 10): the law given the
data, its factor, and what a step that holds the data does.
"""

from __future__ import annotations

from splitting_analysis.predictions import COEFFICIENTS, Prediction
from splitting_analysis.schemes import Scheme

ROOTS = {
    "lower": "np.linalg.cholesky(covariance(tau, model))",
    "upper": "np.linalg.cholesky(covariance(tau, model)[::-1, ::-1])[::-1, ::-1]",
    "symmetric": "vectors * np.sqrt(values) @ vectors.T",
}
LAW = '''
def transition(tau, model, start=0.0):
    """What is left at forward time tau of a state at an earlier one, (2, 2)."""
    b, g, n = model.clock(model.T - tau, tau - start), model.Gamma, model.nu
    turned = [[1 + (n - g) * b / 4, (g - n) ** 2 * b / 8], [-b / 2, 1 + (g - n) * b / 4]]
    return exp(-(g + n) * b / 4) * np.array(turned)


def covariance(tau, model):
    """Of positions and momenta at tau given the data, (2, 2)."""
    left, prior = transition(tau, model), np.diag([1.0, model.M])
    return prior + left @ (np.diag([0.0, model.kappa * model.M]) - prior) @ left.T


def log_snr(tau, model):
    return log(transition(tau, model)[0, 0]) - log(covariance(tau, model)[0, 0]) / 2


def moved(matrix, z):
    """A (2, 2) matrix times positions and momenta."""
    d, ((a, b), (c, e)) = z.shape[1] // 2, matrix.tolist()
    return STACK((a * z[:, :d] + b * z[:, d:], c * z[:, :d] + e * z[:, d:]))


def predicted(z, tau, score, model):
    """The data, as the score has it."""
    d, s = z.shape[1] // 2, score(z, tau)
    (xx, xm), _ = covariance(tau, model).tolist()
    return (z[:, :d] + xx * s[:, :d] + xm * s[:, d:]) / float(transition(tau, model)[0, 0])


'''
FLOW = '''
def root(tau, model):
    """R with R R^T = covariance."""
BODY    return ROOT


def kept(begin, end, model):
    """What a step leaves of z - mu x_0, which R^-1 carries along."""
    return root(end, model) @ np.linalg.inv(root(begin, model))


'''
BRIDGE = '''
def kept(begin, end, model):
    """What the exact bridge leaves of z - mu x_0: Bayes' rule."""
    there = covariance(end, model) @ transition(begin, model, end).T
    return there @ np.linalg.inv(covariance(begin, model))


def spread(begin, end, model):
    """The lower factor of the covariance of the noise that it draws."""
    rest = kept(begin, end, model) @ transition(begin, model, end) @ covariance(end, model)
    return np.linalg.cholesky(covariance(end, model) - rest)


'''
BETWEEN = '''
def between(begin, end, share, model):
    """The forward time at a part of the step, as its clock measures it."""
    first, last = clock(begin, model), clock(end, model)
    reading = first + share * (last - first)
    return brentq(lambda tau: clock(tau, model) - reading, end, begin, xtol=1e-15, rtol=1e-14)


'''
GAINS = '''
def gains(begin, end, taus, model, rule):
    """What multiplies data predicted at the forward times taus, held as a polynomial: pairs."""
    before, after = transition(begin, model)[:, 0], transition(end, model)[:, 0]
MOMENTS
    start, span = clock(begin, model), clock(end, model) - clock(begin, model)
    places = [(clock(tau, model) - start) / span for tau in taus]
    powers = np.vander(places, increasing=True).T
    return np.linalg.solve(powers, np.array(rule(moments, None))).tolist()


'''
WHOLE = (
    "    moments = [after - kept(begin, end, model) @ before] * len(taus)  # the first alone counts"
)
INTEGRALS = """    nodes, weights = np.polynomial.legendre.leggauss(24)

    def carried(share):  # mu of a time between, as it arrives at the end
        tau = between(begin, end, share, model)
        return kept(tau, end, model) @ transition(tau, model)[:, 0]

    inside = [(share, w / 2, carried(share)) for share, w in zip((nodes + 1) / 2, weights)]
    moments = [after - kept(begin, end, model) @ before]
    for k in range(1, len(taus)):
        integral = sum(w * share ** (k - 1) * value for share, w, value in inside)
        moments.append(after - k * integral)"""
"""The moments of mu' - W mu by parts."""


def refuse_pair(scheme: Scheme) -> None:
    """Raise ValueError for a scheme that holds a prediction of a pair and has no such code."""
    told = ""
    if scheme.program.holds[0].held.prediction is not Prediction.DATA:
        told = "the score or its eps, whose coefficients are integrals of matrices"
    elif scheme.noise_level not in (0, 1):
        told = f"the data with eta = {scheme.noise_level}, which has no formula between 0 and 1"
    elif not scheme.noise_level and scheme.factor not in ROOTS:
        told = f"the data with the factor {scheme.factor}, of which there is no formula for code"
    elif any(op.rule is COEFFICIENTS["bh1"].rule for op in scheme.program.holds):
        told = "the data with coefficients bh1, which need the kernel at the end"
    if told:
        raise ValueError(
            f"{scheme.name}: on psld it holds {told}. Code is written for data held there with eta "
            f"0 or 1 and the factors {', '.join(ROOTS)}; others run as they are, by "
            "splitting-analysis sample"
        )


def pair_functions(scheme: Scheme, rules: list[str], whole: bool, stack: str) -> list[str]:
    """The lines before the step's own."""
    text = LAW.replace("STACK", stack)
    if scheme.noise_level:
        text += BRIDGE.lstrip("\n")
    else:
        body = ""
        if scheme.factor == "symmetric":
            body = "    values, vectors = np.linalg.eigh(covariance(tau, model))\n"
        text += FLOW.lstrip("\n").replace("BODY", body).replace("ROOT", ROOTS[scheme.factor])
    inner = any(op.start not in (0, 1) or op.stop not in (0, 1) for op in scheme.program.holds)
    if inner or not whole:
        text += BETWEEN.lstrip("\n")
    text += (
        "\n".join(rules)
        + "\n"
        + GAINS.lstrip("\n").replace("MOMENTS", WHOLE if whole else INTEGRALS)
    )
    return text.strip("\n").split("\n") + ["", ""]
