"""Tensors that pretend to live on another device: whether torch code makes its own where its inputs
are. No such device is needed: values are in memory, and what is asked of them is answered.

An operation on tensors of both devices is refused as a card refuses it: indices, copies and tensors
of one number without dimensions may be mixed. Nothing here imports torch before it is asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any
from unittest import mock

import numpy as np

from analytic_models.probing.checks import Check
from analytic_models.probing.manners import ordinary_run
from analytic_models.probing.running import Trouble, as_given
from analytic_models.probing.subject import SAMPLE, STEP, Subject
from splitting_analysis.processes import Process

LIVES = "its tensors live where its inputs do"
ELSEWHERE = "meta"
"""The device that is pretended: one that asks for no hardware, and that no numbers are on."""
MAKERS = ("tensor", "as_tensor", "asarray")
"""What makes tensors of given numbers: on the pretended device torch itself would drop them."""
ARRAYS = {"numpy": ".numpy()", "__array__": "NumPy's array"}
"""What makes arrays of tensors, and how it is called."""


class Mixed(Exception):
    """What a card refuses."""


def located(subject: Subject, process: Process, times: Sequence[float]) -> Check | str:
    """The check of torch code; a note where it could not be looked at, "" for other code.

    The grid may be on either device: code that is right for one of them is right.
    """
    if subject.adapted or not subject.torch:
        return ""
    found: list[Check | str] = []
    for whole in (False, True) if subject.kind == "sample" else (False,):
        found.append(_located(subject, process, times, whole))
        if isinstance(found[-1], Check) and found[-1].verdict == "pass":
            return found[-1]
    return found[0]


def _located(
    subject: Subject, process: Process, times: Sequence[float], whole: bool
) -> Check | str:
    plain = as_given(subject)

    def given(values: Any) -> Any:
        with _pretended().torch.device("cpu"):  # whatever default device the code has set
            made = plain(values)
        return made if np.ndim(values) < 2 and not whole else _pretended().moved(made)

    try:
        with _pretended().watched():
            ordinary_run(_strict(subject), process, times, form=given)
    except Trouble as trouble:
        if trouble.late:
            raise
        if not trouble.seen.startswith(said := f"raises {Mixed.__name__}: "):
            where = f" ({trouble.where})" if trouble.where else ""
            return f"whether {LIVES} could not be looked at: it {trouble.seen}{where}"
        seen = trouble.seen.removeprefix(said)
        return Check(LIVES, "fail", "tensors on the device of z", seen, trouble.where)
    return Check(LIVES, "pass")


def _strict(subject: Subject) -> Subject:
    """The same, refused a state or a time of the other device in its score, and such a result."""

    def call(*arguments: Any) -> Any:
        place = (SAMPLE if subject.kind == "sample" else STEP).index("score")
        asked = arguments[place]

        def score(y: Any, tau: Any) -> Any:
            _refuse(y, "the state given to the score")
            _refuse(tau, "the time given to the score")
            return asked(y, tau)

        result = subject.call(*arguments[:place], score, *arguments[place + 1 :])
        _refuse(result, "the result")
        return result

    return replace(subject, call=call)


def _refuse(value: Any, what: str) -> None:
    torch = import_module("torch")
    if isinstance(value, torch.Tensor) and value.dim() and value.device.type != ELSEWHERE:
        raise Mixed(f"{what} is on the CPU, and z on another device")


class _Pretence:
    """A class of tensors with values in memory and another device, and who watches over them."""

    def __init__(self) -> None:
        self.torch: Any = import_module("torch")
        self.tree: Any = import_module("torch.utils._pytree")
        with self.torch.device("cpu"):  # for torch to note what makes tensors before it is watched
            self.torch.empty(0)
        self.watching = False
        self.generators: list[Any] = []
        """Those of the other device, here on the CPU."""
        modes: Any = import_module("torch.utils._python_dispatch")

        def dispatched(
            _: Any,
            func: Any,
            types: Any,  # noqa: ARG001
            args: Any = (),
            kwargs: Any = None,
        ) -> Any:
            return self.done(func, args, dict(kwargs or {}))

        self.kind: Any = type(
            "Pretended",
            (self.torch.Tensor,),
            {
                "__torch_function__": self.torch._C._disabled_torch_function_impl,
                "__torch_dispatch__": classmethod(dispatched),
            },
        )
        self.mode: Any = type(
            "Mode", (modes.TorchDispatchMode,), {"__torch_dispatch__": dispatched}
        )

    def moved(self, inner: Any) -> Any:
        """A tensor as one of the other device, with its values."""
        made = self.torch.Tensor._make_wrapper_subclass(
            self.kind,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=self.torch.device(ELSEWHERE),
        )
        made.inner = inner
        return made

    def done(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """An operation on the values; its result is where a card's would be."""
        tensors = [
            each
            for each in self.tree.tree_leaves((args, kwargs))
            if isinstance(each, self.torch.Tensor)
        ]
        there = any(isinstance(each, self.kind) for each in tensors)
        if there and self.watching:
            self.refuse(func, tensors)
        if (asked := kwargs.get("device")) is not None:
            there = self.torch.device(asked).type == ELSEWHERE
            kwargs["device"] = self.torch.device("cpu")
        if (drawn := kwargs.get("generator")) is not None:
            there = there or any(drawn is each for each in self.generators)
        known: dict[int, Any] = {}

        def opened(each: Any) -> Any:
            if not isinstance(each, self.kind):
                return each
            known[id(each.inner)] = each
            return each.inner

        args, kwargs = self.tree.tree_map(opened, (args, kwargs))

        def closed(each: Any) -> Any:
            if not there or not isinstance(each, self.torch.Tensor):
                return each
            return known.get(id(each)) if id(each) in known else self.moved(each)

        return self.tree.tree_map(closed, func(*args, **kwargs))

    def refuse(self, func: Any, tensors: Sequence[Any]) -> None:
        name = str(func).removeprefix("aten.").partition(".")[0]
        for each in tensors:
            if isinstance(each, self.kind) or not each.dim() or name in ("copy_", "_to_copy"):
                continue
            if name.startswith("index") and not each.is_floating_point():
                continue
            if each.device.type == ELSEWHERE:
                raise NotImplementedError(f"makes a tensor whose values {name} needs, unseen here")
            shape, kind = tuple(each.shape), str(each.dtype).removeprefix("torch.")
            raise Mixed(f"a {kind} tensor {shape} on the CPU meets one of z's device in {name}")

    def allowed(self) -> list[tuple[Any, str, Any]]:
        """What a card knows and the pretended device does not, (place, name, what stands for it):
        inference mode, as which nothing here records gradients, autocast, generators.
        """
        torch = self.torch
        casting, generator = torch.autocast.__init__, torch.Generator

        def cast(own: Any, device_type: str, *given: Any, **named: Any) -> None:
            if device_type != ELSEWHERE:
                return casting(own, device_type, *given, **named)
            return casting(own, "cpu", enabled=False)

        class Generators(type):
            def __call__(cls, device: Any = "cpu") -> Any:
                if torch.device(device).type != ELSEWHERE:
                    return generator(device)
                self.generators.append(made := generator())
                return made

            def __instancecheck__(cls, each: Any) -> bool:
                return isinstance(each, generator)

        return [
            (torch.inference_mode, "__enter__", lambda _: None),
            (torch.inference_mode, "__exit__", lambda *_: None),
            (torch.autocast, "__init__", cast),
            (torch, "Generator", Generators("Generator", (), {})),
        ]

    def makers(self) -> list[tuple[Any, str, Any]]:
        """What makes tensors of given numbers, (place, name, what stands for it)."""
        torch = self.torch

        def making(make: Callable[..., Any]) -> Callable[..., Any]:
            def made(*given: Any, device: Any = None, **named: Any) -> Any:
                asked = torch.empty(0).device if device is None else torch.device(device)
                if isinstance(given[0] if given else None, self.kind):
                    if device is None or asked.type == ELSEWHERE:
                        return given[0].to(named["dtype"]) if named.get("dtype") else given[0]
                elif asked.type == ELSEWHERE:
                    with torch.device("cpu"):
                        return self.moved(make(*given, **named))
                return make(*given, device=device, **named)

            return made

        new = torch.Tensor.new_tensor

        def beside(own: Any, *given: Any, **named: Any) -> Any:
            if not isinstance(own, self.kind) or named.get("device") is not None:
                return new(own, *given, **named)
            return self.moved(new(own.inner, *given, **named))

        found = [(torch, name, making(getattr(torch, name))) for name in MAKERS]
        return [*found, (torch.Tensor, "new_tensor", beside)]

    def arrays(self) -> list[tuple[Any, str, Any]]:
        """What makes arrays of tensors, which on a card works on copies alone, and lists."""
        tensor = self.torch.Tensor
        listed = tensor.tolist

        def numbers(own: Any) -> Any:
            return listed(own.inner if isinstance(own, self.kind) else own)

        def refused(name: str) -> Callable[..., Any]:
            plain = getattr(tensor, name)

            def array(own: Any, *given: Any, **named: Any) -> Any:
                if isinstance(own, self.kind) and not named.get("force"):
                    raise Mixed(f"{ARRAYS[name]} of a tensor on z's device: .cpu() first")
                return plain(own.inner if isinstance(own, self.kind) else own, *given, **named)

            return array

        return [(tensor, "tolist", numbers), *((tensor, name, refused(name)) for name in ARRAYS)]

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Operations inside are refused where they mix devices."""
        self.watching = True
        with contextlib.ExitStack() as stack:
            for place, name, other in (*self.makers(), *self.arrays(), *self.allowed()):
                stack.enter_context(mock.patch.object(place, name, other))
            stack.enter_context(self.mode())
            try:
                yield
            finally:
                self.watching = False
                self.generators.clear()


@cache
def _pretended() -> _Pretence:
    return _Pretence()
