"""The state of an interrupted training, read from a file that may be damaged or someone else's."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gpu_samplers.checkpoints import problems_of, unpickled
from gpu_samplers.configs import SHORT
from gpu_samplers.files import parsed
from gpu_samplers.network import NCSNpp

_KEYS = ("told", "network", "average", "optimizer", "step", "seconds", "total", "curve")


def read_state(
    partial: Path,
    told: Mapping[str, Any],
    network: NCSNpp,
    optimizer: torch.optim.Optimizer,
    steps: int,
) -> dict[str, Any]:
    """What `partial` holds, fit to be put into the network and the optimizer of this training.

    Raises ValueError, naming the file, where it is damaged, no state of a training, or of one with
    other settings than `told`.
    """
    try:
        content = unpickled(partial)
    except ValueError as error:
        raise _refused(partial, str(error).removeprefix(f"{partial}: ")) from None
    if not isinstance(content, dict) or (lacking := [key for key in _KEYS if key not in content]):
        what = (
            f"it lacks {', '.join(lacking)}" if isinstance(content, dict) else "it holds no state"
        )
        raise _refused(partial, what)
    before = _settings(partial, content["told"])
    now = json.loads(json.dumps(dict(told)))
    differ = [
        f"{key} {SHORT.repr(before.get(key))}, now {SHORT.repr(now[key])}"
        for key in now
        if before.get(key) != now[key]
    ]
    if differ:
        raise ValueError(
            f"{partial}: an interrupted training with other settings ({'; '.join(differ)}); "
            "repeat its settings to resume it, or remove the file"
        )
    wanted = network.state_dict()
    for name in ("network", "average"):
        weights = content[name]
        if not isinstance(weights, dict) or not all(
            isinstance(v, torch.Tensor) for v in weights.values()
        ):
            raise _refused(partial, f"its {name} is no set of weights")
        if problems := problems_of(wanted, weights):
            raise _refused(partial, f"its {name} has {'; '.join(problems)}")
    if problem := _optimizer_problem(content["optimizer"], optimizer) or _counts_problem(
        content, steps
    ):
        raise _refused(partial, problem)
    return content


def _refused(partial: Path, what: str) -> ValueError:
    return ValueError(
        f"{partial}: no interrupted training, or damaged: {what}; remove it to begin anew"
    )


def _settings(partial: Path, told: Any) -> dict[str, Any]:
    try:
        before = parsed(told)
    except (ValueError, TypeError):
        before = None
    if not isinstance(before, dict):
        raise _refused(partial, "its settings cannot be read")
    return before


def _optimizer_problem(stored: Any, optimizer: torch.optim.Optimizer) -> str:
    """What is wrong with the stored state of the optimizer; empty where it fits."""
    own = optimizer.state_dict()["param_groups"]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    try:
        groups, state = stored["param_groups"], stored["state"]
        if _told_of_groups(groups) != _told_of_groups(own):
            return "its optimizer is of another kind"
        for i, parameter in enumerate(parameters):
            if i not in state:
                if parameter.requires_grad:
                    return f"its optimizer lacks parameter {i}"
                continue
            averages = [state[i][name] for name in ("exp_avg", "exp_avg_sq")]
            if any(a.shape != parameter.shape or a.layout != torch.strided for a in averages):
                return f"its optimizer has another shape for parameter {i}"
            if not all(a.isfinite().all() for a in (*averages, state[i]["step"])):
                return f"its optimizer is NaN or infinite for parameter {i}"
        if not set(state) <= set(range(len(parameters))):
            return "its optimizer has parameters that the network lacks"
    except (TypeError, KeyError, AttributeError, IndexError, ValueError, RuntimeError):
        return "its optimizer is no state of Adam"
    return ""


def _told_of_groups(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What must be the same: not the rate, which changes, nor how a device computes the rest."""
    return [
        {k: v for k, v in group.items() if k not in ("lr", "foreach", "fused")} for group in groups
    ]


def _counts_problem(content: Mapping[str, Any], steps: int) -> str:
    step, curve = content["step"], content["curve"]
    if not isinstance(step, int) or not 0 < step <= steps:
        return f"it says step {SHORT.repr(step)} of {steps}"
    for name in ("seconds", "total"):
        value = content[name]
        if not isinstance(value, int | float) or not math.isfinite(value):
            return f"its {name} is {SHORT.repr(value)}, no finite number"
    if not isinstance(curve, list) or not all(map(_is_point, curve)):
        return "its curve is no list of (step, loss, held-out loss)"
    if [point[0] for point in curve] != sorted({point[0] for point in curve if point[0] <= step}):
        return "the steps of its curve do not rise"
    return ""


def _is_point(point: Any) -> bool:
    return (
        isinstance(point, list | tuple)
        and len(point) == 3
        and isinstance(point[0], int)
        and all(isinstance(loss, int | float) and math.isfinite(loss) for loss in point[1:])
    )
