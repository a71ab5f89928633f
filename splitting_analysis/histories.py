"""What words that hold a prediction must satisfy, and where a run's evaluations stand."""

from __future__ import annotations

from fractions import Fraction

from splitting_analysis.models import Model
from splitting_analysis.notation import Op, Word
from splitting_analysis.predictions import COEFFICIENTS, HELD


def check_held(word: Word, model: Model) -> None:
    """Raise `WordError` at the first token that a word with held predictions cannot have."""
    names = [op.key for op in word if op.letter != "S"]
    done = Fraction(0)
    evaluations = sum(op.letter == "S" for op in word)
    if not evaluations:
        raise word.error(0, "the prediction is held but never evaluated", "an S, e.g. S E:data")
    for index, op in enumerate(word):
        if op.letter == "S":
            if op.at != done:
                here = "S" if done == 0 else f"S@{done}"
                raise word.error(index, f"the state here stands at {done} of the step", here)
            continue
        if op.key != names[0]:
            raise word.error(
                index, f"one word holds one prediction, and {names[0]} stands before", names[0]
            )
        _check_coefficients(word, index, op)
        if op.fraction < 0:
            raise word.error(index, "an exact substep cannot run backwards", "a positive fraction")
        before, done = done, op.fraction if op.through else done + op.fraction
        if done > 1:
            raise word.error(index, f"this reaches to {done} of the step", "at most 1")
        anew = op.through and before and model.dynamics == "sde"
        if anew and (done < before or (done > before and HELD[op.rule].ddim)):
            raise word.error(
                index,
                f"the noise of the step up to {before} is drawn already"
                + (", and DDIM's is that of one step" if done > before else ""),
                f"a step anew over {before}",
            )
    if done != 1:
        raise word.error(
            len(word.ops) - 1, f"the last step reaches to {done}", "E:data over the whole step"
        )
    _check_nodes(word)


def _check_coefficients(word: Word, index: int, op: Op) -> None:
    if op.coefficients not in COEFFICIENTS:
        known = ", ".join(f"[2:{name}]" for name in COEFFICIENTS if name)
        raise word.error(
            index, f"no coefficients {op.coefficients!r}", f"[2] for the integral, {known}"
        )
    most = 1 if HELD[op.rule].ddim else COEFFICIENTS[op.coefficients].most
    if op.through > most:
        what = (
            "DDIM's noise is" if HELD[op.rule].ddim else f"the coefficients {op.coefficients!r} are"
        )
        what = what if op.coefficients or most == 1 else "polynomials are"
        raise word.error(index, f"{what} known through {most} evaluation(s)", f"{op.key}[{most}]")


def _check_nodes(word: Word) -> None:
    """No polynomial passes twice through one time: S@1 is the next step's S."""
    here: list[Fraction] = []
    times = [op.at for op in word if op.letter == "S"]
    for index, op in enumerate(word):
        if op.letter == "S":
            here.append(op.at)
        elif op.through > len(here):
            before = [at - 1 for at in reversed(times)]
            reach = [*here, *before[: op.through - len(here)]]
            if len(set(reach)) < len(reach):
                problem = "the polynomial would pass twice through one time"
                raise word.error(index, problem, "fewer evaluations, or no second S")
        elif len(set(here[-(op.through or 1) :])) < len(here[-(op.through or 1) :]):
            raise word.error(index, "two evaluations at one time", "an S where the state has moved")
