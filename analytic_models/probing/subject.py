"""The sampler under test: running code, and how it is called.

    step(z, t, h, score, noise, model) -> z          one step from reverse time t over h
    sample(score, z, grid, noise, model) -> z        a whole run over the reverse times of a grid

`z` is a float64 array (batch, 2 d), positions first (psld, langevin), or (batch, d);
`score(z, tau)` takes forward time and has z's shape (langevin: `score(q, tau)`, the force at
positions (batch, d)); `noise()` gives fresh standard normals like z; `model` is a process of
splitting_analysis.processes.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any, Literal

from splitting_analysis.processes import Process

Kind = Literal["step", "sample"]
STEP = ("z", "t", "h", "score", "noise", "model")
SAMPLE = ("score", "z", "grid", "noise", "model")
FORMS = f"step({', '.join(STEP)}) or sample({', '.join(SAMPLE)})"


@dataclass(frozen=True)
class Subject:
    """A sampler as code. `process` and `grid` are its own where it brings them.

    grid     number of steps -> its reverse times, one more than steps, increasing
    torch    whether it wants tensors in place of arrays
    limit    seconds that one run of it may take
    notes    what its adapter has to say: shown with the verdict
    """

    name: str
    kind: Kind
    call: Callable[..., Any]
    process: Process | None = None
    grid: Callable[[int], Sequence[float]] | None = None
    torch: bool = False
    notes: tuple[str, ...] = ()
    limit: float = 20.0

    @property
    def adapted(self) -> bool:
        """Whether it comes through an adapter, whose types and devices are not the code's."""
        return self.process is not None or self.grid is not None


def subject_of(call: Callable[..., Any], name: str | None = None) -> Subject:
    """A callable as a subject; its parameters say whether it is a step or a whole run.

    Raises ValueError for what is neither.
    """
    if isinstance(call, Subject):
        return call
    name = name or str(getattr(call, "__qualname__", type(call).__name__))
    if isinstance(call, type):
        raise ValueError(  # noqa: TRY004 - bad input is a ValueError here
            f"{name} is a class: make an object of it in the file, and name its method or itself"
        )
    if not callable(call):
        methods = [each for each in ("step", "sample") if callable(getattr(call, each, None))]
        hint = f"; its method is {name}.{methods[0]}" if methods else ""
        message = f"{name} is {type(call).__name__}, and not callable; it must be {FORMS}{hint}"
        raise ValueError(message)  # noqa: TRY004 - bad input is a ValueError here
    parameters = _parameters(call)
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p.name for p in parameters if p.kind in kinds and p.default is p.empty]
    places = [p.name for p in parameters if p.kind in kinds]
    if needed[:1] == ["score"] or (len(needed) == len(SAMPLE) and "t" not in needed):
        kind: Kind = "sample"
    elif len(needed) <= len(STEP) <= len(places):
        kind = "step"
    else:
        raise _refused(name, parameters)
    try:  # it is given them by place, whatever their names
        inspect.Signature(parameters).bind(*(SAMPLE if kind == "sample" else STEP))
    except TypeError:
        raise _refused(name, parameters) from None
    return Subject(name, kind, call, torch=_wants_torch(call))


def _refused(name: str, parameters: Sequence[inspect.Parameter]) -> ValueError:
    kinds = {p.kind for p in parameters}
    hint = ""
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        hint = "; a wrapper keeps the names with functools.wraps"
    elif inspect.Parameter.KEYWORD_ONLY in kinds:
        hint = ", called by place and not by name"
    shown = str(inspect.Signature(parameters)) if parameters else "(no parameters)"
    return ValueError(f"{name} takes {shown}; it must be {FORMS}{hint}")


def _parameters(call: Callable[..., Any]) -> list[inspect.Parameter]:
    """Of a module of torch those of its `forward`: it is called with any."""
    try:
        found = list(inspect.signature(call).parameters.values())
        if [p.kind for p in found] == [
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        ]:
            found = list(inspect.signature(getattr(call, "forward", call)).parameters.values())
    except (TypeError, ValueError):
        return []
    return found


def _wants_torch(call: Callable[..., Any]) -> bool:
    """Whether the function names torch: then it is given tensors."""
    if hasattr(call, "forward") and "torch" in sys.modules:
        return isinstance(call, sys.modules["torch"].nn.Module)
    code = getattr(inspect.unwrap(call), "__code__", None)
    known = getattr(inspect.unwrap(call), "__globals__", {})
    used = _names(code) if code is not None else set()
    torch = sys.modules.get("torch")
    mentioned = {name for name, value in known.items() if torch is not None and value is torch}
    helpers = [known[n] for n in used if inspect.isfunction(known.get(n))]
    own = any(mentioned & _names(h.__code__) for h in helpers if h is not call)
    return bool(mentioned & used) or "torch" in used or own or _decorated(call)


def _decorated(call: Callable[..., Any]) -> bool:
    """Whether a decorator of torch wraps it, as `inference_mode` does."""
    while hasattr(call, "__wrapped__"):
        if str(getattr(call, "__globals__", {}).get("__name__", "")).startswith("torch."):
            return True
        call = call.__wrapped__
    return False


def _names(code: CodeType) -> set[str]:
    """Global names that code uses, in functions within it, too."""
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*map(_names, inner))


class _Afresh(SourceFileLoader):
    """Compiles what the file says now. A file that was kept compiled passes for another of the same
    size from the same second: of an edited sampler the one before would be judged.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def load(path: str | Path, attribute: str) -> Callable[..., Any]:
    """A function of a Python file. Raises ValueError that says what is missing.

    The file runs as any import does, with its folder on the path.
    """
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"{file}: no such file; give path/to/file.py:function")
    name = f"_validated_{file.stem}"
    loader = _Afresh(name, str(file)) if file.suffix == ".py" else None
    spec = spec_from_file_location(name, file, loader=loader)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file}: not a Python file; give path/to/file.py:function")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(file.parent.resolve()))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever foreign code raises
        raise ValueError(f"{file} cannot be loaded: {type(error).__name__}: {error}") from None
    finally:
        sys.path.remove(str(file.parent.resolve()))
    found: Any = module
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if found is None:
        names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise ValueError(
            f"{file}: no function {attribute!r}; there are: {', '.join(names) or 'none'}"
        )
    call: Callable[..., Any] = found
    return call
