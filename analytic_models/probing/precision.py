"""Code in the precision that networks run in: float32 in, float32 out, and rounded as float32 is.

Two measures, neither of which knows what the code computes. A run on float32 inputs is compared
with one in float64 on the same numbers. And one in float64 is moved a little, twice: what is smooth
moves twice as far, what is rounded to few digits inside moves in jumps.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import numpy as np

from analytic_models.probing.checks import Check
from analytic_models.probing.manners import ordinary_run
from analytic_models.probing.running import Array, Run, Trouble, as_given
from analytic_models.probing.subject import Subject
from splitting_analysis.processes import Process

KEEPS = "float32 states stay float32, with its rounding"
GRAINS = "no number is rounded more coarsely than to float32"
COARSE = 1e-5
"""Part of a state: rounding to float32 is far below, one to float16 or bfloat16 far above."""
CARRIED = 100.0
"""So much more than rounded inputs alone do to a result may the rounding of a whole run do."""
NUDGE = 3e-4
"""Part of the inputs by which they are moved: less than float16 resolves, nothing that bends."""


def precision(
    subject: Subject, process: Process, times: Sequence[float], first: Run
) -> list[Check]:
    """Both checks; none of code behind an adapter, which chooses types of its own."""
    if subject.adapted:
        return []
    return [_keeps(subject, process, times), _grains(subject, process, times, first)]


def _keeps(subject: Subject, process: Process, times: Sequence[float]) -> Check:
    wanted = "float32 states, as they were given"
    forms = functools.partial(ordinary_run, subject, process, times)
    single = as_given(subject, np.float32)
    try:
        found = forms(form=single)
        remark = ""
        if not subject.torch and "float64" in found.types and "float16" not in found.types:
            # NumPy 2 lets its own float64 scalars widen float32 arrays, NumPy 1 did not
            with _kept():
                weak = forms(form=lambda values: _Weak.of(single(values)))
            if set(weak.types) == {"float32"}:
                found, remark = weak, "its float64 scalars aside, which in NumPy 2 widen it"
    except Trouble as trouble:
        if trouble.late:
            raise
        seen = f"with float32 states: {trouble.seen}"
        return Check(KEEPS, "fail", "a run in float32, as in float64", seen, trouble.where)
    other = next((kind for kind in found.types if kind != "float32"), "")
    if other:
        return Check(KEEPS, "fail", wanted, f"{other} comes back", found.types[other])
    exact = forms(form=lambda values: as_given(subject, np.float64)(np.float32(values)))
    plain = forms()
    off, inputs = _apart(found.final, exact.final), _apart(exact.final, plain.final)
    if off <= max(COARSE, CARRIED * inputs):
        return Check(KEEPS, "pass", seen=remark)
    return Check(
        KEEPS,
        "fail",
        f"the float64 run to about {max(COARSE, CARRIED * inputs):.0e}",
        f"apart from it by {off:.1e}: float32 rounds to 1e-7, float16 to 1e-3, bfloat16 to 8e-3",
        "what is computed where the states are float32",
    )


def _grains(subject: Subject, process: Process, times: Sequence[float], first: Run) -> Check:

    def jumps(nudge: float) -> float:
        one, two = (ordinary_run(subject, process, times, nudge=k * nudge).final for k in (1, 2))
        return float(np.max(np.abs(two - 2 * one + first.final) / (1 + np.abs(first.final))))

    try:
        jump = jumps(NUDGE)
        if jump > COARSE and jumps(4 * NUDGE) > 8 * jump:  # a bend: 16 times, of rounding 2 or so
            jump = 0.0
    except Trouble as trouble:
        if trouble.late:
            raise
        return Check(GRAINS, "fail", "a run from nearby states, too", trouble.seen, trouble.where)
    if jump <= COARSE:
        return Check(GRAINS, "pass")
    return Check(
        GRAINS,
        "fail",
        "a result that moves evenly with its inputs, but for 1e-7",
        f"it moves in jumps of {jump:.1e}: float16 rounds to 1e-3, bfloat16 to 8e-3",
        "a conversion inside, of states, scores or normals",
    )


def _apart(a: Array, b: Array) -> float:
    return float(np.max(np.abs(a - b) / (1 + np.abs(b))))


class _Weak(np.ndarray[Any, np.dtype[Any]]):
    """An array that scalars of NumPy do not widen, as Python's numbers do not."""

    @staticmethod
    def of(values: Any) -> Any:
        return values.view(_Weak) if type(values) is np.ndarray else values

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **named: Any) -> Any:
        out = named.pop("out", None)
        if out is not None:
            named["out"] = tuple(_plain(one) for one in out)
        result = getattr(ufunc, method)(*(_number(_plain(one)) for one in inputs), **named)
        if out is not None:
            return out[0] if len(out) == 1 else out
        return tuple(map(_Weak.of, result)) if isinstance(result, tuple) else _Weak.of(result)

    def __array_function__(
        self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        return _Weak.of(super().__array_function__(func, types, args, kwargs))


@contextlib.contextmanager
def _kept() -> Iterator[None]:
    """`asarray` and its like leave a weak array weak."""

    def keeping(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(value: Any, *given: Any, **named: Any) -> Any:
            found = make(value, *given, **named)
            return _Weak.of(found) if isinstance(value, _Weak) else found

        return made

    with contextlib.ExitStack() as stack:
        for name in ("asarray", "array", "ascontiguousarray"):
            stack.enter_context(mock.patch.object(np, name, keeping(getattr(np, name))))
        yield


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, _Weak) else value


def _number(value: Any) -> Any:
    scalar = isinstance(value, np.floating) or (isinstance(value, np.ndarray) and not value.ndim)
    return float(value) if scalar and value.dtype.kind == "f" else value
