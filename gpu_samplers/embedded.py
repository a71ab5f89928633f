"""The networks that come with the package: NCSN++ trained here on scikit-learn's digits and
photographs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import torch

from gpu_samplers.checkpoints import Checkpoint, network_of, read_checkpoint
from gpu_samplers.configs import SHORT
from gpu_samplers.network import NCSNpp
from gpu_samplers.processes import PSLD, VP

RECIPES: Mapping[str, str] = {
    "digits": "--data digits",
    "patches": "--data patches",
    "digits-vp": "--data digits --process vp --steps 3500",
}
"""How `splitting-analysis train` makes such a network, by its name."""
BUNDLED: Mapping[str, Path] = {
    name: Path(__file__).parent / "weights" / f"{name}.safetensors" for name in RECIPES
}
"""The weights by name: the images they were trained on, and the process where it is not PSLD. They
hold their configuration and the record of the training.
"""
DIGITS = BUNDLED["digits"]
DEFAULT: Mapping[str, str] = {"psld": "digits", "vp": "digits-vp"}
"""The network that a model's samplers run on unless told otherwise."""
KINDS: Mapping[str, type[PSLD | VP]] = {"psld": PSLD, "vp": VP}
"""The processes that networks are trained for, by the names of their models."""


def network_and_process(
    checkpoint: str | Path | None,
    model: str,
    given: Mapping[str, float],
    config: str | None = None,
    precision: str = "float32",
    option: str = "model",
) -> tuple[NCSNpp, PSLD | VP]:
    """A network and its process: defaults, then what the file's record says, then what is `given`.

    `checkpoint` is a file or a name in BUNDLED (default: DEFAULT's), `model` a key of KINDS;
    `option` is how the model is called in a message. Raises ValueError where they do not fit.
    """
    name = str(checkpoint or DEFAULT[model])
    path = bundled_path(name) if name in BUNDLED else Path(name)
    stored, kind = read_checkpoint(path), KINDS[model]
    try:
        recorded = recorded_settings(stored, kind)
    except ValueError as error:
        raise ValueError(f"{path}: {error}, which is not {option} {model}") from None
    dtype = torch.float64 if precision == "float64" else torch.float32
    return network_of(path, stored, config, dtype), kind(**(recorded | dict(given)))


def process_of(stored: Checkpoint) -> PSLD | VP | None:
    """The process that a network was trained for, if the file's record says it; ValueError if it is
    none.
    """
    if "process" not in stored.record:
        return None
    kind = KINDS.get(str(stored.record.get("model", "psld")), PSLD)
    return kind(**recorded_settings(stored, kind))


def recorded_settings(stored: Checkpoint, kind: type[PSLD | VP]) -> dict[str, float]:
    """The parameters of a process in a file's record, {} if it says none.

    Raises ValueError for what is not a set of parameters of that kind, each a finite number, and
    where the record names another kind; one that names none is of PSLD or older than the names.
    """
    if (named := stored.record.get("model", kind.model_name)) != kind.model_name:
        raise ValueError(f"its record says the model {SHORT.repr(named)}")
    told, known = stored.record.get("process", {}), [field.name for field in fields(kind)]
    numbers = isinstance(told, dict) and all(
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
        for value in told.values()
    )
    if not numbers or not set(told) <= set(known):
        raise ValueError(
            f"its record says the process {SHORT.repr(told)}, but one of {kind.model_name} is "
            f"numbers for {', '.join(known)}"
        )
    kind(**told)  # refuses bad values by name
    return dict(told)


def bundled_path(name: str) -> Path:
    """The file of a network in BUNDLED. Raises ValueError for another name, and where it is not
    there.
    """
    if name not in BUNDLED:
        raise ValueError(
            f"no network {name!r} comes with the package; there are: {', '.join(BUNDLED)}"
        )
    if not BUNDLED[name].is_file():
        raise ValueError(
            f"{BUNDLED[name]}: these weights are not in this copy; "
            f"`splitting-analysis train {RECIPES[name]}` makes such ones"
        )
    return BUNDLED[name]


def bundled_network(name: str, dtype: torch.dtype = torch.float32) -> tuple[NCSNpp, PSLD | VP]:
    """A network in BUNDLED, in eval mode, and the process it was trained for.

    It takes states, position and of PSLD momentum of images in [-1, 1], and forward times (B,): the
    digits' states are (B, 2, 8, 8), of VP (B, 1, 8, 8), those of the patches (B, 6, 32, 32). Errors
    as in `bundled_path`.
    """
    path = bundled_path(name)
    stored = read_checkpoint(path)
    process = process_of(stored)
    if process is None:
        raise ValueError(f"{path}: its record does not say the process")
    return network_of(path, stored, dtype=dtype), process


def digits_network(dtype: torch.dtype = torch.float32) -> tuple[NCSNpp, PSLD]:
    """The digits network of PSLD: see `bundled_network`."""
    network, process = bundled_network("digits", dtype)
    if not isinstance(process, PSLD):
        raise TypeError(f"{DIGITS} is a network of {process.model_name}")
    return network, process
