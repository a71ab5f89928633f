"""The word that a signature is: the claimed one, one of the catalogue, or one next to the claim."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from analytic_models.probing.reference import subject_for
from analytic_models.probing.running import Trouble
from analytic_models.probing.segments import same
from analytic_models.probing.signature import Signature, probe
from splitting_analysis.catalogue import samplers
from splitting_analysis.clocks import CLOCKS
from splitting_analysis.models import MODELS, Piece, Rule
from splitting_analysis.predictions import COEFFICIENTS, HELD
from splitting_analysis.processes import Process
from splitting_analysis.program import Advance, Evaluate, Hold, Instruction, Program
from splitting_analysis.schemes import Scheme

Next = tuple[str, Scheme, Program]
"""What is different, and the scheme and program that are so."""


def recognised(seen: Signature, process: Process, times: Sequence[float]) -> str:
    """The sampler of the catalogue that the signature is; "" if none."""
    stochastic = bool(seen.draws)
    for scheme in samplers(process.model_name):
        if (scheme.dynamics == "sde") == stochastic and _is(seen, scheme, process, times):
            return str(scheme)
    return ""


def next_to(claimed: Scheme, seen: Signature, process: Process, times: Sequence[float]) -> str:
    """The word one slip away from the claimed one that the signature is; "" if none."""
    for text, scheme, program in neighbours(claimed):
        if _is(seen, scheme, process, times, program):
            return f"{claimed.word}, but {text}"
    return ""


def _is(
    seen: Signature,
    scheme: Scheme,
    process: Process,
    times: Sequence[float],
    program: Program | None = None,
) -> bool:
    evaluations = (program or scheme.program).evaluations * (len(times) - 1)
    if abs(evaluations - len(seen.calls)) > len(times) - 1:
        return False
    try:
        other = probe(subject_for(scheme, program), process, times)
    except (Trouble, ValueError, ZeroDivisionError, OverflowError):
        return False
    return same(seen, other)


def neighbours(scheme: Scheme) -> Iterator[Next]:
    """Words one slip away from the scheme's: another time, token, order, share, history or
    noise."""
    steps = scheme.program.instructions
    for i, op in enumerate(steps):
        for text, changed in _changes(scheme, i, op):
            yield text, scheme, Program((*steps[:i], *changed, *steps[i + 1 :]))
    for i in range(len(steps) - 1):
        a, b = steps[i : i + 2]
        text = f"{token(scheme, b)} comes before {token(scheme, a)}"
        yield text, scheme, Program((*steps[:i], b, a, *steps[i + 2 :]))
    for clock in CLOCKS:
        if scheme.program.holds and clock != scheme.in_clock:
            yield f"held in the clock {clock}", replace(scheme, clock=clock), scheme.program
    for name, held in HELD.items():
        ops = scheme.program.holds
        if ops and held != ops[0].held:
            changed = tuple(replace(o, held=held) if isinstance(o, Hold) else o for o in steps)
            yield f"{name} is held", scheme, Program(changed)


def _changes(
    scheme: Scheme, i: int, op: Instruction
) -> Iterator[tuple[str, tuple[Instruction, ...]]]:
    """What else could stand in place of one token."""
    match op:
        case Evaluate():
            number = sum(isinstance(o, Evaluate) for o in scheme.program.instructions[: i + 1])
            for at in (Fraction(0), Fraction(1, 2), Fraction(1)):
                if at != op.at:
                    text = f"score call {number} of a step is conditioned on {moment(at)}"
                    yield f"{text}, not {moment(op.at)}", (replace(op, at=at),)
            yield f"score call {number} of a step is left out, the score before it used again", ()
        case Advance():
            yield from _other_advances(scheme, op)
        case Hold():
            yield from _other_holds(scheme, op)
        case _:
            return


def _other_advances(scheme: Scheme, op: Advance) -> Iterator[tuple[str, tuple[Instruction, ...]]]:
    shown = token(scheme, op)
    yield f"{shown} is left out", ()
    yield f"{shown} is taken twice", (op, op)
    for share, name in ((op.share / 2, "half as far"), (op.share * 2, "twice as far")):
        yield f"{shown} goes {name}", (replace(op, stop=op.start + share),)
    if op.piece.has_noise:
        silent = replace(op.piece, noise=lambda _: (0,) * len(scheme.model.components))
        yield f"{shown} has no noise", (replace(op, piece=silent),)
    for name, piece in _others(scheme, op):
        yield f"{name} stands for {shown}", (replace(op, piece=piece),)
    if op.piece.uses_score:
        for at in (Fraction(0), Fraction(1)):
            text = f"the score is evaluated anew before {shown}, on {moment(at)}"
            yield text, (Evaluate(at), op)


def _other_holds(scheme: Scheme, op: Hold) -> Iterator[tuple[str, tuple[Instruction, ...]]]:
    shown = token(scheme, op)
    for through in (op.through - 1, op.through + 1):
        if through:
            text = f"{shown} goes through {through} evaluation{'s' * (through > 1)}"
            yield text, (replace(op, through=through),)
    for name, known in COEFFICIENTS.items():
        if known.rule is not op.rule:
            text = f"{shown} has the coefficients {name or 'of the integral'}"
            yield text, (replace(op, rule=known.rule),)
    yield f"{shown} starts elsewhere", (replace(op, restarts=not op.restarts),)


def _others(scheme: Scheme, op: Advance) -> Iterator[tuple[str, Piece]]:
    """Pieces of the same letter under another rule, or of the other dynamics."""
    letter = token(scheme, op).partition("/")[0].partition(":")[0].partition("*")[0]
    for (model, dynamics), other in MODELS.items():
        if model != scheme.model_name:
            continue
        for key, piece in other.pieces.items():
            same_letter = key.partition(":")[0] == letter and piece is not op.piece
            if same_letter and piece.rule is not Rule.CONJUGATE:
                yield f"the {dynamics.upper()}'s {key}", piece


def token(scheme: Scheme, op: Instruction) -> str:
    """An instruction as the word spells it, as far as it does."""
    index = getattr(op, "index", None)
    if index is not None:
        return str(scheme.word.ops[index])
    if isinstance(op, Evaluate):
        return "S" if op.at == 0 else f"S@{op.at}"
    return "E[...]"


def moment(at: Fraction) -> str:
    """A conditioning time, by its part of the step."""
    if at == 0:
        return "T - t"
    return "T - (t + h)" if at == 1 else f"T - (t + {at} h)"
