"""One step of any word on forms: sparse linear combinations of its inputs (state, carried score,
the constant 1, fresh noise), which give its matrices.

The score is affine on a Gaussian target, so every op is an affine map plus Gaussian noise. Entries
are scalars or arrays over modes, of NumPy floats, mpmath numbers or SymPy expressions alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any, assert_never

from analytic_models import exponential
from analytic_models.clocked import fading_rate, length, number, position_only, time_at
from analytic_models.conjugate_moving import skip_at
from analytic_models.diffusions import PSLD, VP, Diffusion
from analytic_models.held import hold, predicted
from analytic_models.rules import (
    Lambda,
    Map,
    advance,
    coefficients,
    product,
)
from analytic_models.targets import Block, Pair
from splitting_analysis.churn import Churn
from splitting_analysis.models import Piece
from splitting_analysis.predictions import Prediction
from splitting_analysis.program import Advance, Evaluate, Hold, Row
from splitting_analysis.schemes import Scheme

Form = dict[Any, Any]
"""{basis element: coefficient}; see `StepMap` for the basis."""
Affine = tuple[Block, Pair]
"""The score at one time, s = H z + g."""
Slope = tuple[Any, list[Form]]
"""A drift, and the length of the step for it."""
CONSTANT = ("1", 0)
"""The basis element 1 of a form."""


@dataclass(frozen=True)
class StepMap:
    """One step: component i becomes forms[i], over z_j = ("z", j), carried ("s", j), `CONSTANT`,
    and noise.

    `score` are the forms of the score held at the end; noise element ("n", k, i) belongs to block
    k with covariance noise[k]; blocks are independent. `kept` are the forms of the predictions that
    later steps need, oldest first, with the forward times at which they were evaluated; in them
    component c of the j-th of earlier steps is ("p", j, c).
    """

    forms: tuple[Form, ...]
    score: tuple[Form, ...]
    noise: tuple[Block, ...]
    evaluations: int
    kept: tuple[tuple[Any, tuple[Form, ...]], ...] = ()


def add_scaled(into: Form, factor: Any, form: Form) -> None:
    """into += factor * form. Exact zeros and ones cost nothing."""
    if isinstance(factor, int | float) and factor == 0:
        return
    one = isinstance(factor, int | float) and factor == 1
    for key, value in form.items():
        unit = isinstance(value, int) and value == 1
        term = factor if unit else value if one else factor * value
        into[key] = into[key] + term if key in into else term


def one_step(
    scheme: Scheme,
    diffusion: Diffusion,
    t: Any,
    h: Any,
    score_at: Callable[[Any], Affine],
    lambda_s: Lambda = None,
    earlier: Sequence[Any] = (),
    ready: Mapping[int, Map] = MappingProxyType({}),
    usable: int | None = None,
    steps: int = 1,
) -> StepMap:
    """The exact map of one step from reverse time t over h. `score_at(tau)` gives the affine score.

    `earlier` are the forward times of the predictions kept from the steps before, oldest first, of
    which the last `usable` may be held; None for all. `steps` are those of the run.
    """
    unused = 0 if usable is None else max(0, len(earlier) - usable)
    program, n = scheme.program, len(scheme.model.components)
    state: list[Form] = [{("z", i): 1} for i in range(n)]
    t, h, noise = _begun(scheme, diffusion, t, h, steps, state)
    start = [dict(form) for form in state]
    held: tuple[Form, ...] = tuple({("s", i): 1} for i in range(n))
    base, drifts = start, list[Slope]()
    parts = range(components_held(scheme))
    kept: list[tuple[Any, tuple[Form, ...]]] = [
        (tau, tuple({("p", j, c): 1} for c in parts)) for j, tau in enumerate(earlier)
    ]
    blocks: dict[tuple[Fraction, Fraction], int] = {}
    told: tuple[Form, ...] = ()
    for op in program.instructions:
        match op:
            case Evaluate():
                tau = time_at(scheme, diffusion, t, h, op.at)
                held = without_skip(scheme, diffusion, tau, state, evaluated(score_at(tau), state))
                if program.holds:
                    kept.append((tau, held_forms(scheme, diffusion, tau, state, held)))
                if program.held_piece:
                    told = predicted_forms(program.held_piece, diffusion, tau, state, held)
                if op.begins:
                    base, drifts = [dict(form) for form in state], []
                if op.weighed:
                    slope = drift_form(op.weighed, diffusion, tau, state, held, scheme.model.onto)
                    drifts.append((length(scheme, diffusion, t, h, tau), slope))
            case Row():
                state = _weighed(op, base, drifts)
            case Advance():
                moved = ready.get(op.index) or advance(scheme, diffusion, op, t, h, lambda_s)
                state = _moved(moved, state, told if op.piece.held else held, len(noise))
                if moved.noise is not None:
                    noise.append(moved.noise)
            case Hold():
                ends = (
                    time_at(scheme, diffusion, t, h, op.start),
                    time_at(scheme, diffusion, t, h, op.stop),
                )
                before = start if op.restarts else state
                state, added = _held(scheme, diffusion, op, ends, before, kept[unused:])
                if added is None:
                    continue
                times = [time_at(scheme, diffusion, t, h, at) for _, at in op.drawn]
                _draw(scheme, diffusion, op, (ends[0], *times), added, state, noise, blocks)
            case _:
                assert_never(op)
    return StepMap(
        tuple(state),
        held,
        tuple(noise),
        program.evaluations,
        tuple(kept[max(0, len(kept) - program.history) :]),
    )


def _draw(
    scheme: Scheme,
    diffusion: Diffusion,
    op: Hold,
    times: Sequence[Any],
    whole: Block,
    state: Sequence[Form],
    noise: list[Block],
    blocks: dict[tuple[Fraction, Fraction], int],
) -> None:
    """Add the noise of a held step to its end state, part by part between forward times; a part has
    one noise, however often it is gone over. `whole` is its covariance where there is one part.
    """
    for part, begin, end in zip(op.drawn, times, times[1:], strict=False):
        block = blocks.setdefault(part, len(noise))
        if block == len(noise):
            alone = len(op.drawn) == 1
            noise.append(whole if alone else _noise_of(scheme, diffusion, op, (begin, end))[1])
        kept: Sequence[Sequence[Any]] | None = None
        if part[1] != op.stop:
            kept = _noise_of(scheme, diffusion, op, (end, times[-1]))[0]
        for i, form in enumerate(state):
            for j in range(len(state)):
                add_scaled(form, int(i == j) if kept is None else kept[i][j], {("n", block, j): 1})


def _begun(
    scheme: Scheme, diffusion: Diffusion, t: Any, h: Any, steps: int, state: list[Form]
) -> tuple[Any, Any, list[Block]]:
    """Start and size of a step, and the noise that its state begins with."""
    if scheme.churn is None:
        return t, h, []
    t, h, added = churned(scheme.churn, diffusion, t, h, steps)
    state[0]["n", 0, 0] = 1
    return t, h, [((added,),)]


def churned(churn: Churn, diffusion: Diffusion, t: Any, h: Any, steps: int) -> tuple[Any, Any, Any]:
    """Start and size of a step of VE that has gone back in time, and the variance of its noise."""
    sigma = diffusion.T - t
    gamma = min(float(churn.S_churn) / steps, 2**0.5 - 1)
    inside = (sigma >= float(churn.S_tmin)) & (sigma <= churn.end)
    back = sigma * (gamma * inside)
    added = float(churn.S_noise) ** 2 * back * (2 * sigma + back)
    return t - back, h + back, added


def _weighed(op: Row, base: Sequence[Form], drifts: Sequence[Slope]) -> list[Form]:
    """The state that a row of a Runge-Kutta step leads to."""
    state = [dict(form) for form in base]
    for weight, (h, drift) in zip(op.weights, drifts, strict=True):
        if weight:
            for form, slope in zip(state, drift, strict=True):
                add_scaled(form, h * weight.numerator / weight.denominator, slope)
    return state


def _held(
    scheme: Scheme,
    diffusion: Diffusion,
    op: Hold,
    ends: tuple[Any, Any],
    before: Sequence[Form],
    kept: Sequence[tuple[Any, tuple[Form, ...]]],
) -> tuple[list[Form], Block | None]:
    """The state after a step that holds the last of the predictions kept, and the covariance of its
    noise, if any.
    """
    through = kept[-op.through :]
    step = _step(scheme, diffusion, op, ends, [tau for tau, _ in through])
    forms: list[Form] = []
    for i, row in enumerate(step.keep):
        form: Form = {}
        for entry, component in zip(row, before, strict=True):
            add_scaled(form, entry, component)
        for gain, (_, prediction) in zip(step.gains, through, strict=True):
            for factor, part in zip(gain[i], prediction, strict=True):
                add_scaled(form, factor, part)
        forms.append(form)
    return forms, step.noise


def _step(
    scheme: Scheme, diffusion: Diffusion, op: Hold, ends: tuple[Any, Any], nodes: Sequence[Any]
) -> exponential.Step:
    """What holding predictions evaluated at forward times does between two others."""
    eta = number(scheme.noise_level, ends[0])
    if isinstance(diffusion, PSLD):
        return exponential.hold(op, diffusion, scheme.in_clock, eta, scheme.factor, *ends, nodes)
    own = hold(op, position_only(diffusion), scheme.in_clock, eta, *ends, nodes)
    noise = ((own.noise,),) if scheme.noise_level else None
    return exponential.Step(((own.keep,),), tuple(((gain,),) for gain in own.gains), noise)


def _noise_of(
    scheme: Scheme, diffusion: Diffusion, op: Hold, ends: tuple[Any, Any]
) -> tuple[Block, Block]:
    """What is kept of noise between two forward times, and the covariance of what is drawn."""
    step = _step(scheme, diffusion, op, ends, ends[:1])
    if step.noise is None:
        raise AssertionError(f"{scheme.name}: no noise with eta = {scheme.noise_level}")
    return step.keep, step.noise


def components_held(scheme: Scheme) -> int:
    """Components of the prediction that a word holds: of PSLD's score and eps both."""
    pair = scheme.holds_pair and scheme.program.holds[0].held.prediction is not Prediction.DATA
    return 2 if pair else 1


def held_forms(
    scheme: Scheme, diffusion: Diffusion, tau: Any, state: Sequence[Form], held: Sequence[Form]
) -> tuple[Form, ...]:
    """What the word holds, at the current state and forward time tau."""
    kind = scheme.program.holds[0].held.prediction
    return predicted_forms(kind, diffusion, tau, state, held, scheme.factor)


def predicted_forms(
    prediction: Prediction,
    diffusion: Diffusion,
    tau: Any,
    state: Sequence[Form],
    held: Sequence[Form],
    factor: str = "lower",
) -> tuple[Form, ...]:
    """A prediction at the state and the score `held` there, at forward time tau."""
    if isinstance(diffusion, PSLD):
        own, gain = exponential.predicted(prediction, diffusion, factor, tau)
    else:
        of_one, of_score = predicted(prediction, position_only(diffusion), tau)
        own, gain = ((of_one,),), ((of_score,),)
    found = []
    for of_state, of_held in zip(own, gain, strict=True):
        form: Form = {}
        for factors, forms in ((of_state, state), (of_held, held)):
            for entry, component in zip(factors, forms, strict=True):
                add_scaled(form, entry, component)
        found.append(form)
    return tuple(found)


def _moved(moved: Map, state: Sequence[Form], held: Sequence[Form], block: int) -> list[Form]:
    new: list[Form] = []
    for i in range(len(state)):
        form: Form = {}
        for j in range(len(state)):
            add_scaled(form, moved.keep[i][j], state[j])
        for gain, own in zip(moved.gain[i], held, strict=True):
            add_scaled(form, gain, own)
        if moved.noise is not None:
            form["n", block, i] = 1
        new.append(form)
    return new


def evaluated(affine: Affine, state: Sequence[Form]) -> tuple[Form, ...]:
    h, g = affine
    forms = []
    for row, constant in zip(h, g, strict=True):
        form: Form = {}
        for entry, component in zip(row, state, strict=True):
            add_scaled(form, entry, component)
        if not (isinstance(constant, int | float) and constant == 0):
            add_scaled(form, constant, {CONSTANT: 1})
        forms.append(form)
    return tuple(forms)


def without_skip(
    scheme: Scheme, diffusion: Diffusion, tau: Any, state: Sequence[Form], held: Sequence[Form]
) -> tuple[Form, ...]:
    """What conjugate steps hold of the score: all but C_skip z, where there is one."""
    if scheme.skip is None or not isinstance(diffusion, PSLD | VP):
        return tuple(held)
    rest = []
    for row, form in zip(skip_at(scheme, diffusion, tau), held, strict=True):
        own = dict(form)
        for entry, component in zip(row, state, strict=True):
            add_scaled(own, -entry, component)
        rest.append(own)
    return tuple(rest)


def drift_form(
    piece: Piece,
    diffusion: Diffusion,
    tau: Any,
    state: Sequence[Form],
    held: Sequence[Form],
    onto: Sequence[int],
) -> list[Form]:
    """The drift of a piece at the current state and forward time tau, the score held."""
    linear, weights, _ = coefficients(piece, diffusion)
    rate, faded = diffusion.beta(tau), fading_rate(piece, diffusion, tau)
    result = []
    for i, row in enumerate(linear):
        form: Form = {}
        add_scaled(form, faded, state[i])
        for entry, component in zip(row, state, strict=True):
            add_scaled(form, product(entry, rate), component)
        for j, weight, own in zip(onto, weights, held, strict=True):
            if i == j:
                add_scaled(form, product(weight, rate), own)
        result.append(form)
    return result
